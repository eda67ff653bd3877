//! Programs that tell somebody: they are handed a text on stdin. No shell runs them, and what they have started ends with them when they
//! are given up.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use crate::{Error, ErrorKind, Result};

/// Length of what a program says that is repeated in an error.
const REPEATED: u64 = 500;
/// How long the last words of a program that has ended are waited for. What it has left behind may keep its stderr open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Program with its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    /// Program and arguments: never empty.
    words: Vec<String>,
    /// Variables that are kept from it, since they may have secrets.
    hidden: Vec<String>,
}

impl Program {
    /// A program with its arguments, from which these variables are kept. `None` without a program.
    pub fn new(words: Vec<String>, hidden: Vec<String>) -> Option<Self> {
        (!words.is_empty()).then_some(Self { words, hidden })
    }

    /// The program without its arguments.
    pub fn name(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    /// Hands it a text, with one more variable, and waits for its end. If this is given up before, all that it has started is killed.
    pub(super) async fn told(
        &self,
        attempted: &str,
        arguments: &[String],
        variable: (&str, &str),
        text: &[u8],
    ) -> Result<()> {
        let failed = |why: String| Error::new(ErrorKind::Refused, attempted, why);
        let mut child = self.command(arguments, variable).spawn().map_err(|error| {
            failed(format!("{} could not be run: {error}", self.name()))
                .hint("Use an absolute path: a scheduler's PATH is short.")
        })?;
        let group = Group::of(&child);
        let (ended, said) = talk(&mut child, text).await;
        group.ended();
        let ended = ended.map_err(|error| failed(format!("it was lost: {error}")))?;
        if ended.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.trim().lines().last().unwrap_or("it said nothing");
        Err(failed(format!("{ended}: {said}")))
    }

    fn command(&self, arguments: &[String], (name, value): (&str, &str)) -> Command {
        let mut command = Command::new(self.name());
        command.args(self.words.iter().skip(1)).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        for name in &self.hidden {
            command.env_remove(name);
        }
        command.env(name, value);
        #[cfg(unix)]
        command.process_group(0);
        command
    }
}

/// Hands over the text, and listens to the end of the program.
async fn talk(child: &mut Child, text: &[u8]) -> (std::io::Result<ExitStatus>, Vec<u8>) {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut said = Vec::new();
    let ended = {
        let mut exchange =
            Box::pin(async { tokio::join!(hand_over(stdin, text), listen(stderr, &mut said)) });
        let mut is_over = false;
        loop {
            tokio::select! {
                ended = child.wait() => {
                    if !is_over {
                        let _ = tokio::time::timeout(LAST_WORDS, &mut exchange).await;
                    }
                    break ended;
                }
                _ = &mut exchange, if !is_over => is_over = true,
            }
        }
    };
    (ended, said)
}

/// One that does not read to the end is told by its exit code.
async fn hand_over(stdin: Option<ChildStdin>, text: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(text).await;
        let _ = stdin.shutdown().await;
    }
}

async fn listen(stderr: Option<ChildStderr>, said: &mut Vec<u8>) {
    if let Some(stderr) = stderr {
        let mut first = stderr.take(REPEATED);
        let _ = first.read_to_end(said).await;
        // Whoever says more is not to stand still.
        let _ = tokio::io::copy(&mut first.into_inner(), &mut tokio::io::sink()).await;
    }
}

/// The process group of a program. If it is dropped before the program's end, all of it is killed.
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

/// Only the program itself is killed there, by tokio.
#[cfg(windows)]
struct Group;

#[cfg(windows)]
impl Group {
    fn of(_child: &Child) -> Self {
        Self
    }

    fn ended(self) {}
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::BufRead as _;

    use super::*;

    async fn ran(script: &str) -> Result<()> {
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        let none = Error::new(ErrorKind::Configuration, "Telling", "no program is named");
        Program::new(words, Vec::new()).ok_or(none)?.told("Telling", &[], ("X", "1"), b"text\n").await
    }

    #[tokio::test]
    async fn the_end_of_a_program_is_told_in_its_words() {
        ran("read line; test \"$line$X\" = text1").await.unwrap();
        let told = ran("echo one >&2; echo 'no such room' >&2; exit 3").await.unwrap_err();
        assert!(told.to_string().contains("exit status: 3: no such room"), "{told}");
        // Nor is what it leaves behind waited for.
        ran("sleep 5 & exit 0").await.unwrap();
        // One that neither reads nor stops talking.
        ran("exec <&-; yes 2>&1 >&2 | head -c 1000000 >&2").await.unwrap();
    }

    /// What it has started ends with it, also what no longer is its child.
    #[tokio::test]
    async fn a_program_that_is_given_up_leaves_nobody_behind() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let script =
            format!("(sleep 600 & echo started; wait) > {0} & (sleep 600 > {0} &) ; wait", fifo.display());
        let telling = tokio::spawn(async move { ran(&script).await });
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let read = std::io::BufReader::new(std::fs::File::open(&fifo).unwrap());
            read.lines().for_each(|line| sender.send(line.unwrap()).unwrap());
        });
        assert_eq!(lines.recv().await.as_deref(), Some("started"));
        telling.abort();
        assert!(telling.await.unwrap_err().is_cancelled());
        // The last of them has closed its end.
        let closed = tokio::time::timeout(Duration::from_secs(60), lines.recv()).await;
        assert_eq!(closed.expect("somebody is left"), None);
    }
}
