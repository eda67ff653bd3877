//! What the daemon is doing, for `bwdc status` and for whoever watches it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The whole daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) started: Timestamp,
    /// By name.
    pub(crate) instances: BTreeMap<String, InstanceStatus>,
}

/// One instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceStatus {
    /// Since when it is running now.
    pub(crate) running_since: Option<Timestamp>,
    /// When it runs next.
    pub(crate) next_run: Option<Timestamp>,
    /// How the last run under this daemon ended.
    pub(crate) last: Option<Finished>,
    /// Runs since the daemon was started.
    pub(crate) runs: u64,
    /// Failed ones among them.
    pub(crate) failed: u64,
    /// Failed ones since the last good one.
    pub(crate) failures_in_a_row: u32,
    /// When a run last ended well.
    pub(crate) last_success: Option<Timestamp>,
}

/// A run that is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finished {
    pub(crate) at: Timestamp,
    pub(crate) seconds: f64,
    /// As the command `sync` would have ended: docs/exit-codes.md.
    pub(crate) exit: u8,
    /// "Synced 2 group(s) and 7 user(s).", or what went wrong.
    pub(crate) message: String,
}

impl InstanceStatus {
    /// Takes note of a run's end.
    pub(crate) fn finish(&mut self, finished: Finished, is_failure: bool) {
        self.running_since = None;
        self.runs += 1;
        if is_failure {
            self.failed += 1;
        } else {
            self.last_success = Some(finished.at);
        }
        self.last = Some(finished);
    }
}
