//! Commands of the program, each a process of its own: what it took of memory is given back when it ends, and the page can do nothing that
//! the command line cannot. Secrets go to them on stdin.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bwdc_config::env;
use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Program;
use crate::report::{Report, Writer};

/// Commands that run at the same time; others wait.
const AT_ONCE: usize = 4;
/// Quick questions, which do not wait for those.
const QUICK_AT_ONCE: usize = 4;
/// How long a quick question may take.
const QUICK: Duration = Duration::from_secs(60);
/// How long anything may take.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Largest answer that is kept in memory.
const LARGEST: u64 = 8 << 20;
/// Longest line of a report.
const LONGEST_LINE: u64 = 1 << 20;

/// One command.
pub(crate) struct Order {
    pub(crate) arguments: Vec<OsString>,
    pub(crate) form: Form,
    pub(crate) stdin: Option<Secret>,
}

/// Whom a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// For others that look at something.
    Look,
    /// For other changes alone: nobody who looks at something holds up a sync.
    Change,
}

/// Form of the answer.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// One JSON object.
    Response,
    /// Lines, written to this file.
    Report(PathBuf),
}

/// What became of a command.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Exit code; none if it was killed.
    pub(crate) exit: Option<i32>,
    pub(crate) message: Option<String>,
    pub(crate) next_step: Option<String>,
    pub(crate) data: Value,
    pub(crate) report: Option<Report>,
}

impl Outcome {
    fn failed(error: Error) -> Self {
        Self { message: Some(error.message), next_step: error.next_step, ..Self::default() }
    }
}

impl Order {
    /// Whose answer is one JSON object.
    pub(crate) fn new<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self { arguments: arguments.into_iter().map(Into::into).collect(), form: Form::Response, stdin: None }
    }

    pub(crate) fn of(self, selection: &[OsString]) -> Self {
        let arguments = self.arguments.into_iter().chain(selection.iter().cloned()).collect();
        Self { arguments, ..self }
    }

    pub(crate) fn with_stdin(self, stdin: Secret) -> Self {
        Self { stdin: Some(stdin), ..self }
    }

    /// Digest of the arguments and of what is passed on stdin.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for argument in &self.arguments {
            digest.update(argument.as_encoded_bytes());
            digest.update([0]);
        }
        digest.update(self.stdin.as_ref().map_or("", Secret::reveal));
        digest.finalize().into()
    }

    /// The same where the arguments end with what somebody typed, behind `--`.
    pub(crate) fn of_before(mut self, selection: &[OsString]) -> Self {
        let end = self.arguments.iter().position(|argument| argument == "--").unwrap_or(self.arguments.len());
        self.arguments.splice(end..end, selection.iter().cloned());
        self
    }
}

/// Starts commands.
pub(crate) struct Runner {
    program: Program,
    file: PathBuf,
    turns: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    quick: Arc<Semaphore>,
}

impl Runner {
    pub(crate) fn new(program: Program) -> Result<Self> {
        let [turns, changes, quick] =
            [AT_ONCE, AT_ONCE, QUICK_AT_ONCE].map(|most| Arc::new(Semaphore::new(most)));
        Ok(Self { program, file: this_program()?, turns, changes, quick })
    }

    /// Arguments that select all instances.
    pub(crate) fn all(&self) -> &[OsString] {
        &self.program.all
    }

    /// Asks something that is answered at once.
    pub(crate) async fn ask(&self, order: Order) -> Result<Value> {
        let Ok(_turn) = self.quick.acquire().await else { return Ok(Value::Null) };
        let asked = timeout(QUICK, self.carry_out(&order, |_| {})).await;
        let Outcome { message, next_step, data, .. } = asked.unwrap_or_else(|_| too_long(QUICK));
        match message {
            None => Ok(data),
            Some(message) => Err(Error { next_step, ..Error::new(message) }),
        }
    }

    /// Runs a command to its end; each line that it has to say meanwhile is told.
    pub(crate) async fn run(&self, order: Order, turn: Turn, told: impl FnMut(String)) -> Outcome {
        let turns = match turn {
            Turn::Look => &self.turns,
            Turn::Change => &self.changes,
        };
        let Ok(_turn) = turns.acquire().await else { return Outcome::default() };
        timeout(LONGEST, self.carry_out(&order, told)).await.unwrap_or_else(|_| too_long(LONGEST))
    }

    async fn carry_out(&self, order: &Order, mut told: impl FnMut(String)) -> Outcome {
        let attempted = |error: std::io::Error| {
            Error::new(format!("Running {} in a process of its own: {error}", self.file.display()))
                .hint("If the program was updated, restart the page; else the machine may be short of memory or processes.")
        };
        let mut child = match self.command(order).spawn() {
            Ok(child) => child,
            Err(error) => return Outcome::failed(attempted(error)),
        };
        let fed = feed(&mut child, order.stdin.as_ref());
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Outcome::default();
        };
        let answered = async {
            match &order.form {
                Form::Response => response(stdout).await,
                Form::Report(path) => report(stdout, path).await,
            }
        };
        let ((), answered, ()) = tokio::join!(fed, answered, tell(stderr, &mut told));
        let exit = match child.wait().await {
            Ok(status) => status.code(),
            Err(error) => return Outcome::failed(attempted(error)),
        };
        let outcome = answered.unwrap_or_else(Outcome::failed);
        match (exit, outcome.message.is_some() || !outcome.data.is_null() || outcome.report.is_some()) {
            (Some(0..=5), true) | (Some(0), false) => Outcome { exit, ..outcome },
            _ => Outcome { exit, ..Outcome::failed(ended_badly(exit).or_hint("The log may say more.")) },
        }
    }

    fn command(&self, order: &Order) -> Command {
        let mut command = Command::new(&self.file);
        command.arg("--nointeraction");
        for name in [env::PRETTY, env::RAW, env::QUIET, env::CLEAN_EXIT, env::RESPONSE, "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        match order.form {
            Form::Response => command.arg("--response"),
            Form::Report(_) => &mut command,
        };
        // Progress is told line by line in both.
        command.env(env::FOR_PROGRAM, "true").env(env::STARTED_BY, "web").env(env::NO_COLOR, "1");
        command.envs(self.program.variables.iter().map(|(name, value)| (name, value)));
        command.args(&order.arguments).kill_on_drop(true);
        let stdin = if order.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0).arg0("bwdc");
        command
    }
}

/// This very program, also after an update has put another in its place.
fn this_program() -> Result<PathBuf> {
    const RUNNING: &str = "/proc/self/exe";
    if Path::new(RUNNING).exists() {
        return Ok(RUNNING.into());
    }
    std::env::current_exe().map_err(|error| Error::new(format!("Finding this program's own file: {error}")))
}

fn too_long(longest: Duration) -> Outcome {
    Outcome::failed(
        Error::new(format!("It took longer than {} s and was aborted.", longest.as_secs()))
            .hint("A server may hang; the log shows how far it got."),
    )
}

fn ended_badly(exit: Option<i32>) -> Error {
    match exit {
        Some(code) => Error::new(format!("The command ended with exit code {code}, and without an answer.")),
        None => Error::new("The command was killed.")
            .hint("The system kills processes when it runs out of memory."),
    }
}

fn feed<'a>(child: &mut Child, text: Option<&'a Secret>) -> impl Future<Output = ()> + use<'a> {
    let stdin = child.stdin.take();
    async move {
        if let (Some(mut stdin), Some(text)) = (stdin, text) {
            // One that ends before it has read all is told by its end.
            let _ = stdin.write_all(text.reveal().as_bytes()).await;
        }
    }
}

/// Each line of stderr.
async fn tell(stderr: impl AsyncRead + Unpin, told: &mut impl FnMut(String)) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stderr).take(64 * 1024).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => told(String::from_utf8_lossy(line.trim_ascii_end()).into_owned()),
        }
    }
}

#[derive(Deserialize)]
struct Response {
    success: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    data: Value,
}

async fn response(stdout: impl AsyncRead + Unpin) -> Result<Outcome> {
    let mut stdout = stdout.take(LARGEST);
    let mut text = Vec::new();
    stdout.read_to_end(&mut text).await.map_err(unreadable)?;
    drained(stdout.into_inner()).await;
    let last = text.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    if last.is_empty() {
        return Ok(Outcome::default());
    }
    Ok(of_response(serde_json::from_slice(last).map_err(unreadable)?))
}

fn of_response(Response { success, message, hint, data }: Response) -> Outcome {
    let message = (!success).then(|| message.unwrap_or_else(|| "It failed.".to_owned()));
    Outcome { message, next_step: hint, data, ..Outcome::default() }
}

/// Writes a report to its file as it comes; what is no report is an answer like others.
async fn report(stdout: impl AsyncRead + Unpin, path: &Path) -> Result<Outcome> {
    let mut stdout = BufReader::new(stdout);
    let mut writer = Writer::create(path)?;
    let mut line = Vec::new();
    let mut other = None;
    loop {
        line.clear();
        let read = (&mut stdout).take(LONGEST_LINE).read_until(b'\n', &mut line).await.map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if !line.starts_with(b"{\"success\":") {
            writer.line(line.trim_ascii_end())?;
        } else if let Ok(response) = serde_json::from_slice::<Response>(&line) {
            other = Some(of_response(response));
        }
    }
    let report = writer.end()?;
    Ok(other.unwrap_or_else(|| Outcome { report, ..Outcome::default() }))
}

/// Reads to the end, so that the command does not wait for a reader.
async fn drained(mut rest: impl AsyncRead + Unpin) {
    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::new(format!("Reading the answer of a command: {error}"))
}
