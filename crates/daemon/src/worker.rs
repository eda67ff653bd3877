//! One sync in a process of its own: what it took of memory is given back when it ends, and if it crashes, or the system kills it
//! for want of memory, the daemon and the other syncs go on.
//!
//! The daemon starts its own program as `bwdc worker`, hands it an [`Order`] on stdin, and gets a [`WorkerResult`] on stdout: both have
//! the access token, which command lines, variables and files would show to others.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use bwdc_core::error::{Error, Exit, Result};
use bwdc_schedule::variables::STARTED_BY;
use bwdc_store::errand::{Errand, InstallationText};
use bwdc_store::report;
use bwdc_store::tokens::KeptToken;
use jiff::Timestamp;

/// The first argument of a worker.
pub const COMMAND: &str = "worker";

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long a worker may take to tell channels, which it does within 10 s.
const TELLING: Duration = Duration::from_secs(60);

/// What a worker is to do.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// Of the daemon: another may have taken its place on the disk.
    version: String,
    /// Names the run in the log.
    pub run: String,
    /// What to do about the errand.
    #[serde(default)]
    pub task: WorkerTask,
    /// What to sync.
    pub errand: Errand,
    /// What else is configured, to see whether one removes the people of the other.
    pub others: Vec<Errand>,
    /// Organization that was assumed, if others were left out because theirs is another one.
    #[serde(default)]
    pub assumed: Option<String>,
    /// The access token of an earlier run.
    pub token: Option<KeptToken>,
    /// The `bwdc.toml` that says who is told when something is wrong.
    #[serde(default)]
    pub alerts: Option<InstallationText>,
    /// Whether the daemon was told to print nothing.
    pub quiet: bool,
}

/// What a worker is to do about its errand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerTask {
    /// Sync.
    #[default]
    Sync,
    /// Tell those who want to know that no sync has succeeded for three intervals.
    TellMissed {
        /// Last success that the daemon knows of, or its own beginning.
        last: Timestamp,
        /// Time when the third was over.
        since: Timestamp,
    },
}

/// What became of a sync.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerResult {
    /// As the command `sync` would have ended.
    pub exit: u8,
    /// The sentence it ended with.
    pub message: String,
    /// The access token for the next run.
    pub token: Option<KeptToken>,
    /// Organization that it is synced into, if that is known. Where it is not the assumed one, nothing was done.
    #[serde(default)]
    pub organization: Option<String>,
}

/// What else is configured, as far as it may be synced into the same organization.
#[derive(Default)]
pub(crate) struct Others {
    pub(crate) errands: Vec<Errand>,
    /// Organization by which some were left out.
    pub(crate) assumed: Option<String>,
}

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The settings of the log, as variables: the worker reads no `bwdc.toml`, which may say something else by now.
    pub log: Vec<(&'static str, OsString)>,
    /// Whether the daemon was told to print nothing.
    pub quiet: bool,
    /// No sync may take longer.
    pub longest: Duration,
}

impl Workers {
    pub(crate) fn order(
        &self,
        errand: Errand,
        others: Others,
        token: Option<KeptToken>,
        alerts: Option<InstallationText>,
    ) -> Order {
        Order {
            version: VERSION.to_owned(),
            run: report::new_run(),
            task: WorkerTask::Sync,
            errand,
            others: others.errands,
            assumed: others.assumed,
            token,
            alerts,
            quiet: self.quiet,
        }
    }

    /// Has channels told, within their time.
    pub(crate) async fn tell(self, order: Order) {
        let name = order.errand.name();
        match timeout(TELLING, self.done(&order)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(instance = name, "the missed success was not told: {error}"),
            Err(_) => tracing::warn!(instance = name, "the missed success was not told in time"),
        }
    }

    /// Has it done. A worker that cannot be started, or ends without a word, has failed; then there is a line in the log, too.
    pub(crate) async fn run(self, order: Order) -> WorkerResult {
        let started = Instant::now();
        let done = timeout(self.longest, self.done(&order)).await;
        let done = done.unwrap_or_else(|_| Err(too_long(self.longest)));
        match done {
            Ok(done) => done,
            Err(error) => {
                report::log_lost(order.errand.name(), &order.run, started.elapsed().as_secs_f64(), &error);
                let Order { token, assumed: organization, .. } = order;
                WorkerResult { exit: Exit::Failure as u8, message: error.to_string(), token, organization }
            }
        }
    }

    async fn done(&self, order: &Order) -> Result<WorkerResult> {
        let program = program()?;
        let folders = order.errand.folders();
        let attempted = |error: std::io::Error| {
            Error::new(format!("Running the sync in a process of its own, {}: {error}", program.display()))
                .hint("If the program was updated, restart the daemon; else the machine may be short of memory or processes.")
        };
        let order = serde_json::to_vec(order)
            .map_err(|error| Error::new(format!("Handing the sync to a process of its own: {error}")))?;
        let mut child = self.command(&program, folders).spawn().map_err(attempted)?;
        let group = Group::of(&child);
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read all is told by its end.
            let _ = stdin.write_all(&order).await;
        }
        let mut printed = Vec::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_end(&mut printed).await.map_err(attempted)?;
        }
        let ended = child.wait().await.map_err(attempted)?;
        group.ended();
        understood(&printed).unwrap_or_else(|| Err(without_a_word(ended)))
    }

    /// The folders are arguments: a worker of root's becomes their owner before it reads anything.
    fn command(&self, program: &Path, folders: Vec<&Path>) -> Command {
        let mut command = Command::new(program);
        command.arg(COMMAND).args(folders).env_remove("NOTIFY_SOCKET").env(STARTED_BY, "daemon");
        command.envs(self.log.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        apart(&mut command);
        command
    }
}

/// Ctrl-C in a terminal is for the daemon, which lets its workers come to their end.
#[cfg(unix)]
fn apart(command: &mut Command) {
    command.process_group(0).arg0("bwdc");
}

/// Likewise; and a daemon without a window opens none for a worker
/// (<https://learn.microsoft.com/windows/win32/procthread/process-creation-flags>).
#[cfg(windows)]
fn apart(command: &mut Command) {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
}

/// A worker under way, with the commands that it runs. If it is dropped before its end, all of them are killed.
#[cfg(unix)]
struct Group(Option<rustix::process::Pid>);

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(leader.and_then(rustix::process::Pid::from_raw))
    }

    fn ended(mut self) {
        self.0 = None;
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

/// Only the worker itself is killed there, by tokio.
#[cfg(windows)]
struct Group;

#[cfg(windows)]
impl Group {
    fn of(_child: &Child) -> Self {
        Self
    }

    fn ended(self) {}
}

/// This very program, also after an update has put another in its place: the two may not understand each other.
fn program() -> Result<PathBuf> {
    const RUNNING: &str = "/proc/self/exe";
    let path = env::current_exe()
        .map_err(|error| Error::new(format!("Finding this program's own file: {error}")))?;
    // Linux tells of one that was replaced as "... (deleted)".
    Ok(if !path.exists() && cfg!(target_os = "linux") { RUNNING.into() } else { path })
}

/// The worker's answer, or why it did not even begin: the last line that it printed.
fn understood(printed: &[u8]) -> Option<Result<WorkerResult>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Response {
        Done { data: WorkerResult },
        Failed { message: String, hint: Option<String> },
    }
    let last = printed.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
    Some(match serde_json::from_slice(last).ok()? {
        Response::Done { data } => Ok(data),
        Response::Failed { message, hint } => Err(Error { next_step: hint, ..Error::new(message) }),
    })
}

fn too_long(longest: Duration) -> Error {
    Error::new(format!("The sync took longer than {} s and was aborted.", longest.as_secs()))
        .hint("The log shows how far it got: a server may hang.")
}

fn without_a_word(ended: ExitStatus) -> Error {
    Error::new(format!("The process of the sync ended unexpectedly: {ended}."))
        .hint("The service's log may say more. The system kills processes when it runs out of memory.")
}

impl Order {
    /// The order as a worker gets it.
    ///
    /// # Errors
    /// It makes no sense, or comes from a daemon of another version.
    pub fn read(order: &[u8]) -> Result<Self> {
        read(order)
    }
}

fn read(order: &[u8]) -> Result<Order> {
    #[derive(Deserialize)]
    struct Daemon {
        version: String,
    }
    let no_sense = |error: serde_json::Error| {
        Error::new(format!(
            "This is what `bwdc daemon` starts for each sync; its order makes no sense: {error}."
        ))
        .hint("To sync, run `bwdc sync`.")
    };
    let Daemon { version } = serde_json::from_slice(order).map_err(no_sense)?;
    if version != VERSION {
        return Err(Error::new(format!(
            "The daemon is version {version}, but the installed program is now version {VERSION}."
        ))
        .hint("Restart the daemon."));
    }
    serde_json::from_slice(order).map_err(no_sense)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_are_read() {
        for order in orders() {
            assert!(read(order.as_bytes()).is_ok(), "{order}");
        }
    }

    #[test]
    fn the_last_line_counts() {
        let answer = r#"{"success":true,"data":{"exit":4,"message":"done","token":null}}"#;
        let done = understood(format!("some library's line\n{answer}\n").as_bytes()).unwrap().unwrap();
        assert_eq!((done.exit, done.message.as_str()), (4, "done"));
        let failed = understood(b"{\"success\":false,\"message\":\"no\"}").unwrap();
        assert_eq!(failed.err().unwrap().message, "no");
        for other in ["", "\n", "{", &format!("{answer}\nmore")] {
            assert!(understood(other.as_bytes()).is_none(), "{other}");
        }
    }

    /// An order for each kind of errand.
    fn orders() -> Vec<String> {
        let folder = serde_json::to_string(&OsString::from("/srv/hq")).unwrap();
        let place = format!(r#"{{"name":"hq","folder":{folder},"company":"amongOthers"}}"#);
        [
            format!(r#"{{"usual":{place}}}"#),
            format!(r#"{{"merged":{{"name":"acme","members":[[{place},"Berlin / "]],"path":{folder},"at_once":4}}}}"#),
        ]
        .iter()
        .map(|errand| {
            format!(r#"{{"version":"{VERSION}","run":"5e0c","errand":{errand},"others":[{errand}],"assumed":"x","token":{{"clientId":"organization.x","token":"t","expiresAt":"2026-01-01T00:00:00Z"}},"task":{{"tellMissed":{{"last":"2026-01-01T00:00:00Z","since":"2026-01-01T00:00:00Z"}}}},"quiet":true}}"#)
        })
        .collect()
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_orders_to_workers(order in damaged(orders())) {
            match read(&order) {
                Ok(order) => {
                    let again = read(&serde_json::to_vec(&order).unwrap()).unwrap();
                    prop_assert_eq!(again.errand, order.errand);
                }
                Err(error) => bwdc_testkit::harmless(&error, order.len())?,
            }
        }

        #[test]
        fn fuzz_answers_of_workers(printed in damaged([
            "some library's line\n{\"success\":true,\"data\":{\"exit\":4,\"message\":\"done\",\"token\":null}}\n",
            "{\"success\":false,\"message\":\"no\",\"hint\":\"x\"}",
        ])) {
            match understood(&printed) {
                Some(Ok(done)) => prop_assert!(done.message.len() <= printed.len()),
                Some(Err(error)) => prop_assert!(error.to_string().len() <= printed.len()),
                None => {}
            }
        }
    }
}
