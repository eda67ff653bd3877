//! What the daemon is doing, for `bwdc status` and for whoever watches it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use bwdc_core::error::Exit;
use bwdc_store::runs::Run;

/// The whole daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it was started.
    pub started: Timestamp,
    /// By name.
    pub instances: BTreeMap<String, InstanceStatus>,
}

/// One instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Since when it is running now.
    pub running_since: Option<Timestamp>,
    /// When it runs next.
    pub next_run: Option<Timestamp>,
    /// How the last run under this daemon ended.
    pub last: Option<Finished>,
    /// Runs since the daemon was started.
    pub runs: u64,
    /// Failed ones among them.
    pub failed: u64,
    /// Those among them that were left to another sync of the same folder.
    #[serde(default)]
    pub busy: u64,
    /// The same since the last of another kind.
    #[serde(default)]
    pub busy_in_a_row: u32,
    /// Failed ones since the last good one.
    pub failures_in_a_row: u32,
    /// When a run last ended well.
    pub last_success: Option<Timestamp>,
    /// The last run, as its folder keeps it, also from before this daemon.
    #[serde(default)]
    pub last_run: Option<Run>,
}

/// A run that is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// As the command `sync` would have ended: docs/exit-codes.md.
    pub exit: u8,
    /// "Synced 2 group(s) and 7 user(s).", or what went wrong.
    pub message: String,
}

/// What a run's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunVerdict {
    Good,
    /// Another sync of the same folder was under way: whether that one comes to a good end is not known.
    Busy,
    Bad,
}

impl RunVerdict {
    pub(crate) fn of(exit: u8) -> Self {
        const GOOD: [u8; 2] = [Exit::Success as u8, Exit::LeftOut as u8];
        match exit {
            exit if GOOD.contains(&exit) => Self::Good,
            exit if exit == Exit::Locked as u8 => Self::Busy,
            _ => Self::Bad,
        }
    }
}

/// So often in a row another sync may be under way before something is wrong with it.
const BUSY: u32 = 3;
/// So late a run may start before something is wrong: so many syncs hang that no room is left.
const LATE: SignedDuration = SignedDuration::from_mins(15);

impl InstanceStatus {
    /// Takes note of a run's end.
    pub(crate) fn finish(&mut self, finished: Finished) {
        self.running_since = None;
        self.runs += 1;
        let verdict = RunVerdict::of(finished.exit);
        self.busy_in_a_row = if verdict == RunVerdict::Busy { self.busy_in_a_row + 1 } else { 0 };
        match verdict {
            RunVerdict::Good => self.last_success = Some(finished.at),
            RunVerdict::Busy => self.busy += 1,
            RunVerdict::Bad => self.failed += 1,
        }
        self.last = Some(finished);
    }

    /// Why somebody should look at it.
    pub fn trouble(&self, now: Timestamp) -> Option<String> {
        if self.failures_in_a_row > 0 {
            return Some(format!("failed {} times in a row", self.failures_in_a_row));
        }
        if self.busy_in_a_row >= BUSY {
            return Some(format!("another sync was running {} times in a row", self.busy_in_a_row));
        }
        if self.next_run.is_none() && self.running_since.is_none() {
            return Some("will not run again".to_owned());
        }
        let late = self.next_run.map(|next| now.duration_since(next)).filter(|late| *late > LATE)?;
        Some(format!("{} minutes late: too many other syncs are running", late.as_mins()))
    }
}

impl DaemonStatus {
    /// The names of the instances that somebody should look at.
    pub fn in_trouble(&self, now: Timestamp) -> Vec<&str> {
        let in_trouble = self.instances.iter().filter(|(_, instance)| instance.trouble(now).is_some());
        in_trouble.map(|(name, _)| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(instance: &mut InstanceStatus, exit: Exit, second: i64) {
        let at = Timestamp::from_second(second).unwrap();
        instance.finish(Finished { at, seconds: 1.0, exit: exit as u8, message: String::new() });
    }

    #[test]
    fn another_sync_at_it_is_no_success_and_not_for_ever_well() {
        let now = Timestamp::from_second(100).unwrap();
        let mut instance = InstanceStatus { next_run: Some(now), ..Default::default() };
        ended(&mut instance, Exit::LeftOut, 1);
        ended(&mut instance, Exit::Locked, 2);
        ended(&mut instance, Exit::Locked, 3);
        assert_eq!(instance.last_success, Timestamp::from_second(1).ok());
        assert_eq!((instance.runs, instance.failed, instance.busy), (3, 0, 2));
        assert_eq!(instance.trouble(now), None);
        ended(&mut instance, Exit::Locked, 4);
        assert!(instance.trouble(now).unwrap().contains("3 times in a row"));
        ended(&mut instance, Exit::Success, 5);
        assert_eq!((instance.trouble(now), instance.busy_in_a_row), (None, 0));
    }

    #[test]
    fn one_that_waits_for_room_for_long_is_in_trouble() {
        let instance = InstanceStatus { next_run: Timestamp::from_second(0).ok(), ..Default::default() };
        assert_eq!(instance.trouble(Timestamp::from_second(900).unwrap()), None);
        assert!(
            instance.trouble(Timestamp::from_second(961).unwrap()).unwrap().starts_with("16 minutes late")
        );
    }
}
