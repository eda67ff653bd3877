//! The daemon with many instances, each synced at every full minute: what it takes of memory, how often it wakes when there is
//! nothing to do, and whether it misses or overlaps a run. What it starts for each sync is not its own memory: that one ends with it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{Plan, Server, Target};

pub(super) const HEAD: &str = "\nThe daemon, each instance at every full minute (`scripts/bench daemon/200`).\n\n\
     | instances | full minutes | runs: good, failed, overlapping | resident before, after: all (its own) | wake-ups in 20 idle seconds |\n\
     | --- | --- | --- | --- | --- |\n";
/// How many full minutes are lived through.
const MINUTES: usize = 3;
const IDLE: Duration = Duration::from_secs(20);

/// A row of the table; takes as many minutes as it says.
pub(super) fn measure(plan: &Plan, instances: usize) -> String {
    let server = Server::start(plan, Target::Sandbox);
    let folder = installation(&server, instances);
    until_second(2);
    let mut daemon = Daemon(start(plan, &server, folder.path()));
    std::thread::sleep(Duration::from_secs(2));
    let before = daemon.memory();
    for _ in 0..MINUTES {
        until_second(1);
    }
    // All runs of the last minute are over, and the next minute has not begun.
    until_second(35);
    let (after, woken) = (daemon.memory(), daemon.wake_ups());
    std::thread::sleep(IDLE);
    let woken = daemon.wake_ups() - woken;
    assert!(daemon.0.try_wait().expect("the daemon's state").is_none(), "the daemon ended by itself");
    let Runs { good, failed, overlapping } = runs(&folder.path().join("bwdc.log"));
    format!("| {instances} | {MINUTES} | {good}, {failed}, {overlapping} | {before}, {after} | {woken} |",)
}

/// A folder and a person for each instance.
fn installation(server: &Server, instances: usize) -> TempDir {
    let folder = tempfile::Builder::new().prefix("bwdc-bench-").tempdir().expect("a folder");
    let mut toml = "schedule.cron = \"* * * * *\"\n[log]\nfile = \"bwdc.log\"\n".to_owned();
    for number in 0..instances {
        let instance = folder.path().join(format!("i{number}"));
        fs::create_dir(&instance).expect("a folder");
        let people = format!("id,email\np{number},p{number}@example.org\n");
        fs::write(instance.join("users.csv"), people).expect("a file");
        let data = format!(
            r#"{{"stateVersion":8,"environmentUrls":{{"base":"{}"}},"directoryType":"file","directoryFile":{{"path":"."}},"sync":{{"users":true}}}}"#,
            server.url
        );
        fs::write(instance.join("data.json"), data).expect("a file");
        writeln!(toml, "[instance.i{number}]\nfolder = \"i{number}\"").expect("a text");
    }
    fs::write(folder.path().join("bwdc.toml"), toml).expect("a file");
    folder
}

fn start(plan: &Plan, server: &Server, folder: &Path) -> Child {
    // From the root on, because it is started in another folder.
    let bwdc = plan.bwdc.canonicalize().expect("the program");
    Command::new(bwdc)
        .args(["--config", "bwdc.toml", "daemon", "--spread", "0"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .env("BW_CLIENTID", &server.client_id)
        .env("BW_CLIENTSECRET", &server.client_secret)
        .stderr(File::create(folder.join("stderr")).expect("a file"))
        .spawn()
        .expect("running the daemon")
}

/// Waits for the next time that clocks show this second.
fn until_second(second: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let wait = (60 + second - now.as_secs() % 60 - 1) % 60 + 1;
    std::thread::sleep(Duration::from_secs(wait));
}

/// Ends with the measurement.
struct Daemon(Child);

impl Daemon {
    /// Resident memory, and how much of it is not the program's file.
    fn memory(&self) -> String {
        let mebibytes = |name: &str| self.field(name) as f64 / 1024.0;
        format!("{:.1} MiB ({:.1})", mebibytes("VmRSS:"), mebibytes("RssAnon:"))
    }

    fn wake_ups(&self) -> u64 {
        self.field("voluntary_ctxt_switches:")
    }

    /// Of proc_pid_status(5); sizes are in KiB.
    fn field(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Default)]
struct Runs {
    good: usize,
    failed: usize,
    overlapping: usize,
}

fn runs(log: &Path) -> Runs {
    let (mut runs, mut running) = (Runs::default(), HashMap::new());
    for line in fs::read_to_string(log).expect("the log").lines() {
        let Some(instance) = line.split_whitespace().find(|word| word.starts_with("instance=")) else {
            continue;
        };
        if line.contains("sync started") {
            runs.overlapping += usize::from(running.insert(instance.to_owned(), true) == Some(true));
        } else if line.contains("sync ok") {
            runs.good += 1;
            running.insert(instance.to_owned(), false);
        } else if line.contains("sync failed") {
            runs.failed += 1;
            running.insert(instance.to_owned(), false);
        }
    }
    runs
}
