//! The daemon with many instances, each synced at every full minute: what it takes of memory, how often it wakes when there is
//! nothing to do, and whether it misses or overlaps a run. What it starts for each sync is not its own memory: that one ends with it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{Plan, Report, Server, Target};

pub(super) const HEAD: &str = "\nThe daemon, each instance at every full minute (`scripts/bench daemon/200`).\n\n\
     | instances | full minutes | runs: good, failed, overlapping | resident before, after: all (its own) | wake-ups in 20 idle seconds |\n\
     | --- | --- | --- | --- | --- |\n";
/// Name of the log's file.
const LOG: &str = "bwdc.log";
/// How many full minutes are lived through.
const MINUTES: usize = 3;
const IDLE: Duration = Duration::from_secs(20);

/// A row of the table; takes as many minutes as it says.
pub(super) fn measure(plan: &Plan, instances: usize, report: &mut Report) {
    let server = Server::start(plan, Target::Sandbox);
    let folder = installation("* * * * *", (0..instances).map(|_| Organization::of(&server)));
    until_second(2);
    let mut daemon = Daemon::start(plan, folder.path(), &["--spread", "0"]);
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
    daemon.assert_running();
    let log = log(folder.path());
    let Runs { good, failed, overlapping } = Runs::of(log.lines());
    report.row(&format!(
        "| {instances} | {MINUTES} | {good}, {failed}, {overlapping} | {before}, {after} | {woken} |"
    ));
}

/// Where an instance is synced into.
pub(super) struct Organization {
    pub(super) url: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl Organization {
    pub(super) fn of(server: &Server) -> Self {
        Self {
            url: server.url.clone(),
            client_id: server.client_id.clone(),
            client_secret: server.client_secret.clone(),
        }
    }
}

/// A folder and a person for each instance, which are synced at these times.
pub(super) fn installation(cron: &str, organizations: impl Iterator<Item = Organization>) -> TempDir {
    let folder = tempfile::Builder::new().prefix("bwdc-bench-").tempdir().expect("a folder");
    let mut toml = format!("schedule.cron = \"{cron}\"\n[log]\nfile = \"{LOG}\"\nmax_size = \"1GB\"\n");
    for (number, organization) in organizations.enumerate() {
        let instance = folder.path().join(format!("i{number}"));
        fs::create_dir(&instance).expect("a folder");
        let people = format!("id,email\np{number},p{number}@example.org\n");
        fs::write(instance.join("users.csv"), people).expect("a file");
        let Organization { url, client_id, client_secret } = organization;
        let id = client_id.trim_start_matches("organization.");
        let data = format!(
            r#"{{"stateVersion":8,"environmentUrls":{{"base":"{url}"}},"directoryType":"file","directoryFile":{{"path":"."}},"sync":{{"users":true}},"organizationId":"{id}"}}"#,
        );
        fs::write(instance.join("data.json"), data).expect("a file");
        let secrets = format!("BW_CLIENTID={client_id}\nBW_CLIENTSECRET={client_secret}\n");
        let file = instance.join("secrets.env");
        fs::write(&file, secrets).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its permissions");
        writeln!(toml, "[instance.i{number}]\nfolder = \"i{number}\"").expect("a text");
    }
    fs::write(folder.path().join("bwdc.toml"), toml).expect("a file");
    folder
}

/// What the daemon and its syncs have logged.
pub(super) fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join(LOG)).expect("the log")
}

/// Waits for the next time that clocks show this second.
fn until_second(second: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let wait = (60 + second - now.as_secs() % 60 - 1) % 60 + 1;
    std::thread::sleep(Duration::from_secs(wait));
}

/// Ends with the measurement.
pub(super) struct Daemon(Child);

impl Daemon {
    pub(super) fn start(plan: &Plan, folder: &Path, options: &[&str]) -> Self {
        // From the root on, because it is started in another folder.
        let bwdc = plan.bwdc.canonicalize().expect("the program");
        let child = Command::new(bwdc)
            .args(["--config", "bwdc.toml", "daemon"])
            .args(options)
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder)
            .stderr(File::create(folder.join("stderr")).expect("a file"))
            .spawn();
        Self(child.expect("running the daemon"))
    }

    pub(super) fn assert_running(&mut self) {
        assert!(self.0.try_wait().expect("the daemon's state").is_none(), "the daemon ended by itself");
    }

    /// Process id.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Resident memory, and how much of it is not the program's file.
    pub(super) fn memory(&self) -> String {
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
pub(super) struct Runs {
    pub(super) good: usize,
    pub(super) failed: usize,
    pub(super) overlapping: usize,
}

impl Runs {
    /// Counts those that these lines of the log tell of.
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let (mut runs, mut running) = (Self::default(), HashSet::new());
        for line in lines {
            let Some(instance) = instance(line) else { continue };
            if line.contains("sync started") {
                runs.overlapping += usize::from(!running.insert(instance));
            } else if line.contains("sync ok") {
                runs.good += 1;
                running.remove(instance);
            } else if line.contains("sync failed") {
                runs.failed += 1;
                running.remove(instance);
            }
        }
        runs
    }
}

/// The instance that a line of the log is about.
pub(super) fn instance(line: &str) -> Option<&str> {
    line.split_whitespace().find_map(|word| word.strip_prefix("instance="))
}
