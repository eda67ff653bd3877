//! A schedule that is installed.

use std::fmt::Debug;
use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};

use super::Scheduler;
use super::systemd::JournalUnit;
use crate::marker::Marker;
use crate::steps::Steps;
use crate::times::Schedule;
use bwdc_core::error::Result;

/// What each scheduler knows of a job of its own.
pub(crate) trait Located: Debug + Send + Sync {
    /// The place, to read.
    fn place(&self) -> String;

    /// Its files, or its part of one.
    fn text(&self) -> Result<String>;

    /// What it takes to remove it.
    fn removal(&self) -> Result<Steps>;

    /// The command that runs it now, as the scheduler would.
    fn run_now(&self) -> Result<Vec<String>>;

    /// The next runs, as the scheduler will have them.
    fn runs(&self, schedule: &Schedule, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>>;

    /// The next run by the scheduler's own word, where it can be asked.
    fn next(&self) -> Option<Timestamp> {
        None
    }

    /// Whether the command that runs it now ends with the sync; others only start it.
    fn is_awaited(&self) -> bool {
        false
    }

    /// Whether the scheduler will ever run it.
    fn is_in_use(&self) -> bool {
        true
    }

    /// The unit, where the journal has what it prints.
    fn journal(&self) -> Option<JournalUnit> {
        None
    }
}

/// A schedule that is installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The scheduler that runs it.
    pub scheduler: Scheduler,
    /// The job.
    pub marker: Marker,
    located: Arc<dyn Located>,
}

impl Installed {
    pub(super) fn at(scheduler: Scheduler, marker: Marker, located: impl Located + 'static) -> Self {
        Self { scheduler, marker, located: Arc::new(located) }
    }

    /// The next run, as its scheduler will have it.
    pub fn next(&self, now: &ZonedDateTime) -> Option<Timestamp> {
        let next = || self.runs(now, 1).ok()?.first().map(ZonedDateTime::timestamp);
        self.located.next().or_else(next)
    }

    /// The next runs, as the scheduler will have them. When an interval began is known to the scheduler only: then there are none.
    ///
    /// # Errors
    /// The expression in its file makes no sense.
    pub fn runs(&self, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>> {
        self.located.runs(&Schedule::parse(&self.marker.schedule)?, now, count)
    }

    /// The place where it is installed, to read.
    pub fn place(&self) -> String {
        self.located.place()
    }

    /// Its files, or its part of one.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn text(&self) -> Result<String> {
        self.located.text()
    }

    /// What it takes to remove it.
    ///
    /// # Errors
    /// The scheduler cannot be asked.
    pub fn removal(&self) -> Result<Steps> {
        self.located.removal()
    }

    /// The unit, where the journal has what it prints.
    pub fn journal(&self) -> Option<JournalUnit> {
        self.located.journal()
    }

    /// Whether the command that runs it now ends with the sync; others only start it.
    pub fn is_awaited(&self) -> bool {
        self.located.is_awaited()
    }

    /// Whether the scheduler will ever run it: not where its user is gone.
    pub fn is_in_use(&self) -> bool {
        self.located.is_in_use()
    }

    /// The command that runs it now, as the scheduler would.
    ///
    /// # Errors
    /// Nobody can run it.
    pub fn run_now(&self) -> Result<Vec<String>> {
        self.located.run_now()
    }
}
