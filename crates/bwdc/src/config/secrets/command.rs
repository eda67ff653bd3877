//! A command whose output is the secret: a password manager, a vault.
//!
//! It is split into words as a shell would, but no shell runs it. It has a minute.

use std::process::Stdio;
use std::time::Duration;

use bwdc_connect::Secret;
use serde_json::Value;

use super::{Found, Known, Source, looking_for, not_empty, trimmed};
use crate::config::Environment;
use crate::error::{Error, Result};
use crate::state::{Data, key};

const LIMIT: Duration = Duration::from_secs(60);

/// A command that is to print a secret.
pub(super) struct Command {
    /// As configured.
    pub(super) line: String,
    /// The variable or the setting.
    named_by: String,
}

/// The command for this secret, if there is one.
pub(super) fn named(environment: &Environment, data: &Data, known: &Known) -> Option<Command> {
    let variable = known.command_variable();
    if let Some(line) = environment.text(&variable) {
        return Some(Command { line, named_by: variable });
    }
    let line = data.section(key::SECRET_COMMANDS).value(known.name).and_then(Value::as_str)?;
    let is_set = !line.trim().is_empty();
    is_set.then(|| Command { line: line.to_owned(), named_by: format!("exec.{}", known.name) })
}

impl Command {
    pub(super) async fn run(&self, known: &Known) -> Result<Found> {
        let named_by = self.named_by.clone();
        let words = words(&self.line).map_err(|error| error.while_doing(looking_for(known)))?;
        let program = words.first().cloned().unwrap_or_default();
        let secret = run(&words).await.map_err(|why| {
            Error::new(format!("{}: the command {program} ({named_by}) {why}", looking_for(known)))
                .hint("Try the command by hand, as the user who runs bwdc and without a terminal.")
        })?;
        not_empty(secret, Source::Command { program, named_by }, known)
    }
}

/// The words of a command line, quotes and backslashes understood as in a POSIX shell.
pub(crate) fn words(line: &str) -> Result<Vec<String>> {
    shlex::split(line).filter(|words| !words.is_empty()).ok_or_else(|| {
        Error::new("The command line is empty or a quote in it is not closed.")
            .hint("It reads like: pass show bwdc/ldap")
    })
}

async fn run(words: &[String]) -> std::result::Result<Secret, String> {
    let (program, arguments) = words.split_first().ok_or("is empty")?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .map_err(|_| format!("did not end within {} seconds.", LIMIT.as_secs()))?
        .map_err(|error| format!("could not be run: {error}."))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().last().unwrap_or("it said nothing");
        return Err(format!("failed ({}): {said}", output.status));
    }
    String::from_utf8(output.stdout)
        .map(trimmed)
        .map_err(|_| "answered something that is no UTF-8.".to_owned())
}
