//! The daemon with many instances, each every quarter of an hour, as it spreads them by itself: whether they start when they are due, how
//! many run at once, what it takes of memory and processor time, and what a sync with nothing to change asks of the network.
//!
//! Each instance is an organization of its own and has one person. The first one is synced through a proxy that counts, into the played
//! official organization, which it reads; all others into a sink.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use tempfile::TempDir;

use super::counting::Counting;
use super::daemon::{Daemon, Organization, Runs, installation, instance, log};
use super::{Plan, Report, Server, Target, median};

pub(super) const HEAD: &str = "\nThe daemon, each instance every quarter of an hour, spread as it does by default, four at once (`scripts/bench quarters/2000`).\n\n\
     | instances | quarter | runs: good, failed, overlapping | late: median, most | most processes at once | resident after it: all (its own) | processor time: daemon, syncs | a sync with nothing to change: requests, bytes |\n\
     | --- | --- | --- | --- | --- | --- | --- | --- |\n";
const QUARTERS: usize = 4;
const QUARTER: u64 = 15 * 60;
/// Before a quarter begins, the daemon is asked when each instance is due.
const EARLY: u64 = 30;
/// All instances are spread over a tenth of the quarter; by then their syncs are to be over.
const OVER: u64 = 10 * 60;

/// A row for each quarter; takes an hour, and the time until it begins.
pub(super) fn measure(plan: &Plan, instances: usize, report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (sink, sandbox) = (Server::start(plan, Target::Sink), Server::start(plan, Target::Sandbox));
    let counting = runtime.block_on(Counting::start(&sandbox.url));
    let counted = Organization { url: counting.url(), ..Organization::of(&sandbox) };
    let others = (1..instances).map(|number| Organization {
        client_id: format!("organization.11111111-2222-3333-4444-{number:012}"),
        ..Organization::of(&sink)
    });
    let folder = installation("*/15 * * * *", std::iter::once(counted).chain(others));
    let address = format!("127.0.0.1:{}", bwdc_testkit::free_port());
    until(QUARTER - 2 * EARLY);
    let mut daemon = Daemon::start(plan, folder.path(), &["--metrics", &address]);
    let scene = Scene { folder, address, counting };
    for quarter in 1..=QUARTERS {
        report.row(&scene.live_through(&daemon, quarter, instances));
        daemon.assert_running();
    }
}

/// Waits until so many seconds of a quarter are over.
fn until(second: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let wait = (QUARTER + second - now.as_secs() % QUARTER) % QUARTER;
    std::thread::sleep(Duration::from_secs(wait));
}

/// What the daemon lives in.
struct Scene {
    folder: TempDir,
    /// Where it tells its metrics.
    address: String,
    counting: Counting,
}

impl Scene {
    /// The next quarter, as a row of the table.
    fn live_through(&self, daemon: &Daemon, quarter: usize, instances: usize) -> String {
        until(QUARTER - EARLY);
        let (due, before) = (self.due(), Spent::of(daemon));
        self.counting.take();
        let begun = Timestamp::now();
        let herd = Herd::watch(daemon.id());
        until(OVER);
        let most = herd.most();
        let (spent, traffic, memory) = (Spent::of(daemon) - before, self.counting.take(), daemon.memory());
        let log = log(self.folder.path());
        let lines = || log.lines().filter(|line| time(line).is_some_and(|time| time >= begun));
        let Runs { good, failed, overlapping } = Runs::of(lines());
        let delays: Vec<f64> = lines()
            .filter(|line| line.contains("sync started"))
            .filter_map(|line| Some(time(line)?.duration_since(*due.get(instance(line)?)?).as_secs_f64()))
            .collect();
        let latest = delays.iter().copied().fold(0.0, f64::max);
        format!(
            "| {instances} | {quarter} | {good}, {failed}, {overlapping} | {:.2} s, {latest:.2} s | {most} | {memory} | {:.1} s, {:.1} s | {}, {} |",
            median(delays),
            spent.own,
            spent.syncs,
            traffic.requests(),
            traffic.octets(),
        )
    }

    /// When each instance is to run next, as the daemon tells Prometheus.
    fn due(&self) -> HashMap<String, Timestamp> {
        const METRIC: &str = "bwdc_sync_next_timestamp_seconds{instance=\"";
        let mut stream = TcpStream::connect(&self.address).expect("the metrics");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the metrics");
        let lines = answer.lines().filter_map(|line| line.strip_prefix(METRIC)?.split_once("\"} "));
        lines
            .map(|(name, seconds)| {
                let seconds: f64 = seconds.parse().expect("a time");
                let time = Timestamp::from_millisecond((seconds * 1_000.0) as i64).expect("a time");
                (name.to_owned(), time)
            })
            .collect()
    }
}

/// When a line was logged.
fn time(line: &str) -> Option<Timestamp> {
    line.split_whitespace().next()?.parse().ok()
}

/// Processor time in seconds.
struct Spent {
    own: f64,
    /// Of all syncs that have ended.
    syncs: f64,
}

impl Spent {
    fn of(daemon: &Daemon) -> Self {
        // proc_pid_stat(5): fields 14 to 17, in hundredths of a second; the second field may have blanks.
        let text = fs::read_to_string(format!("/proc/{}/stat", daemon.id())).expect("a process");
        let fields = text.rsplit(')').next().expect("fields").split_whitespace().skip(11).take(4);
        let seconds: Vec<f64> = fields.map(|ticks| ticks.parse::<f64>().expect("ticks") / 100.0).collect();
        Self { own: seconds[0] + seconds[1], syncs: seconds[2] + seconds[3] }
    }
}

impl std::ops::Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { own: self.own - before.own, syncs: self.syncs - before.syncs }
    }
}

/// Counts the processes of the daemon again and again.
struct Herd {
    is_over: Arc<AtomicBool>,
    counter: JoinHandle<usize>,
}

impl Herd {
    fn watch(daemon: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let counter = std::thread::spawn(move || {
            let mut most = 0;
            while !ends.load(Ordering::Relaxed) {
                most = most.max(children(daemon));
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        Self { is_over, counter }
    }

    fn most(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.counter.join().expect("the count")
    }
}

/// How many processes all threads of this one have started that have not ended.
fn children(process: u32) -> usize {
    let threads = fs::read_dir(Path::new("/proc").join(process.to_string()).join("task"));
    let lists = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.map(|list| list.split_whitespace().count()).sum()
}
