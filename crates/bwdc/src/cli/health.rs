//! `bwdc health`: is the daemon alive, and its instances in step? For probes, which have no use for a daemon that does not run.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::Invocation;
use super::status;
use super::which::Which;
use crate::log::escaped;
use crate::ui::Answer;
use bwdc_core::error::{Error, Result};
use bwdc_daemon::status::{DaemonStatus, InstanceStatus};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(arguments: &Arguments, invocation: &Invocation) -> Result<Answer> {
    match status::of_daemon(&arguments.which, invocation).await? {
        Some(status) => healthy(&status, Timestamp::now()),
        None => Err(no_daemon(&arguments.which, invocation)),
    }
}

fn healthy(status: &DaemonStatus, now: Timestamp) -> Result<Answer> {
    let in_trouble = status.instances.iter().filter_map(|(name, instance)| in_trouble(name, instance, now));
    let in_trouble: Vec<String> = in_trouble.collect();
    if !in_trouble.is_empty() {
        return Err(Error::new(in_trouble.join("; ")));
    }
    let count = status.instances.len();
    let text =
        format!("The daemon (process {}) is running, and its {count} instance(s) are in step.", status.pid);
    Ok(Answer::Table { text, value: json!({ "object": "health", "pid": status.pid, "instances": count }) })
}

/// Name and trouble of an instance on one line, with the first line of what its last run said.
fn in_trouble(name: &str, instance: &InstanceStatus, now: Timestamp) -> Option<String> {
    let mut text = format!("{}: {}", escaped(name), instance.trouble(now)?);
    let said = instance.last.as_ref().filter(|_| instance.failures_in_a_row > 0);
    if let Some(first) = said.and_then(|last| last.message.lines().next()) {
        let _ = write!(text, ": {}", escaped(first));
    }
    Some(text)
}

fn no_daemon(which: &Which, invocation: &Invocation) -> Error {
    let places = status::places(which, invocation).unwrap_or_default();
    let mut named: Vec<String> = places.iter().take(2).map(|place| place.display().to_string()).collect();
    if places.len() > named.len() {
        named.push("another instance's folder".to_owned());
    }
    Error::new(format!("No daemon answers this user in {}.", named.join(" or ")))
        .hint("Start it with `bwdc daemon`, or ask as the user who runs it. `bwdc status` needs no daemon.")
}
