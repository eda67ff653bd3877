//! A command whose output is the secret: a password manager, a vault.
//!
//! It is split into words as a shell would, but no shell runs it. It has a minute.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bwdc_core::Secret;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;

use super::process_tree::ProcessTree;
use super::{DeclaredSecret, FoundSecret, SecretSource, looking_for, not_empty, trimmed};
use crate::Environment;
use bwdc_core::error::{Error, Result};
use bwdc_store::{Data, privileges};

const LIMIT: Duration = Duration::from_secs(60);

/// No secret is larger; a private key has some thousand bytes.
const LARGEST: u64 = 1 << 20;

/// A command that is to print a secret.
pub(super) struct Command {
    /// As configured.
    pub(super) line: String,
    named_by: NamedBy,
}

/// Who has chosen the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    /// Whoever started this process.
    Variable,
    /// Whoever can write to `data.json`.
    Setting,
}

/// The command for this secret, if there is one.
pub(super) fn named(environment: &Environment, data: &Data, declared: &DeclaredSecret) -> Option<Command> {
    let variable = declared.command_variable();
    if let Some(line) = environment.text(&variable) {
        return Some(Command { line, named_by: NamedBy::Variable });
    }
    let line = declared.command.stored(data).and_then(Value::as_str)?;
    let is_set = !line.trim().is_empty();
    is_set.then(|| Command { line: line.to_owned(), named_by: NamedBy::Setting })
}

impl Command {
    /// Whether somebody else than whoever started this process may have chosen it.
    pub(super) fn is_of_data_file(&self) -> bool {
        self.named_by == NamedBy::Setting
    }

    pub(super) async fn run(&self, declared: &DeclaredSecret) -> Result<FoundSecret> {
        let named_by = match self.named_by {
            NamedBy::Variable => declared.command_variable(),
            NamedBy::Setting => declared.command.name.to_owned(),
        };
        let words = words(&self.line).map_err(|error| error.while_doing(looking_for(declared)))?;
        let program = words.first().cloned().unwrap_or_default();
        let failed = |why: String| {
            Error::new(format!("{}: the command {program} ({named_by}) {why}", looking_for(declared)))
        };
        if is_relative(&program) {
            return Err(failed(
                "is a relative path, which a scheduler resolves in another folder.".to_owned(),
            )
            .hint("Use the absolute path of the program, or its bare name if it is in PATH."));
        }
        if self.is_of_data_file() {
            let program = Environment::program(&program);
            program
                .map_or(Ok(()), |program| privileges::check_program(&program))
                .map_err(|error| error.while_doing(format!("{}, by {named_by}", looking_for(declared))))?;
        }
        let secret = run(&words).await.map_err(|why| {
            failed(why).hint("Try the command by hand, as the user who runs bwdc and without a terminal.")
        })?;
        not_empty(secret, SecretSource::Command { program, named_by }, declared)
    }
}

/// A bare name is looked up in PATH.
fn is_relative(program: &str) -> bool {
    program.contains('/') && !program.starts_with('/')
}

/// The words of a command line, quotes and backslashes understood as in a POSIX shell.
pub fn words(line: &str) -> Result<Vec<String>> {
    shlex::split(line).filter(|words| !words.is_empty()).ok_or_else(|| {
        Error::new("The command line is empty or a quote in it is not closed.")
            .hint("Example: pass show bwdc/ldap")
    })
}

async fn run(words: &[String]) -> std::result::Result<Secret, String> {
    let (program, arguments) = words.split_first().ok_or("is empty")?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("could not be run: {error}."))?;
    // What it has started ends with it.
    let tree = ProcessTree::of(&child);
    let ended = tokio::time::timeout(LIMIT, output(&mut child))
        .await
        .map_err(|_| format!("did not end within {} seconds.", LIMIT.as_secs()))?;
    let (status, printed, said) = ended?;
    tree.ended();
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let said = said.trim().lines().last().unwrap_or("it said nothing");
        return Err(format!("failed ({status}): {said}"));
    }
    String::from_utf8(printed).map(trimmed).map_err(|_| "printed something that is not UTF-8.".to_owned())
}

/// How it ended, with what it printed and what it said on stderr, both within bounds.
async fn output(child: &mut Child) -> std::result::Result<(ExitStatus, Vec<u8>, Vec<u8>), String> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (printed, said) = tokio::join!(bounded(stdout), bounded(stderr));
    let (printed, said) = (printed?, said?);
    let status = child.wait().await.map_err(|error| format!("was lost: {error}."))?;
    Ok((status, printed, said))
}

async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let Some(stream) = stream else { return Ok(bytes) };
    let read = stream.take(LARGEST + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| format!("could not be read: {error}."))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("printed more than {} KiB, too much for a secret.", LARGEST >> 10));
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn ran(line: &str) -> std::result::Result<Secret, String> {
        run(&words(line).map_err(|error| error.to_string())?).await
    }

    #[tokio::test]
    async fn a_command_that_prints_without_end_is_ended() {
        assert_eq!(ran("yes").await.unwrap_err(), "printed more than 1024 KiB, too much for a secret.");
        assert_eq!(ran("sh -c 'echo \"a b\"; echo no >&2'").await.unwrap().reveal(), "a b");
        assert!(ran("sh -c 'echo locked >&2; exit 3'").await.unwrap_err().contains("): locked"));
    }

    /// What a command has started ends with it, when it is given up.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_command_that_is_given_up_leaves_nobody_behind() {
        use tokio::io::AsyncBufReadExt as _;
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", "cat /dev/zero >/dev/null & echo $!; wait"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut printed = tokio::io::BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut line).await.unwrap();
        drop(ProcessTree::of(&child));
        // Its end of the pipe closes with the last of them.
        assert_eq!(printed.read_line(&mut line).await.unwrap(), 0);
        child.wait().await.unwrap();
        // It lets go of the pipe a moment before it is gone.
        let process = format!("/proc/{}/stat", line.trim());
        let lives = || std::fs::read_to_string(&process).is_ok_and(|state| !state.contains(") Z "));
        let gone = async {
            while lives() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
    }

    #[test]
    fn a_relative_path_is_told_from_a_name() {
        assert!(is_relative("./get-secret") && is_relative("bin/get-secret"));
        assert!(!is_relative("pass") && !is_relative("/usr/bin/pass"));
    }
}
