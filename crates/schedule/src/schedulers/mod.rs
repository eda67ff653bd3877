//! The schedulers, a folder for each. What they have in common is what [`Backend`] asks of each; nothing outside these folders
//! depends on which scheduler it is.

pub(crate) mod cron;
mod files;
mod installed;
pub mod kubernetes;
pub(crate) mod launchd;
pub mod systemd;
mod task_scheduler;

use std::path::PathBuf;

use jiff::ZonedDateTime;
use serde_json::Value;

use crate::job::ScheduledJob;
use crate::request::ScheduleRequest;
use crate::steps::Steps;
use crate::times::Schedule;
use bwdc_core::error::{Error, Result};

pub use self::installed::Installed;

#[cfg(test)]
pub(crate) use self::task_scheduler::registering;

/// A scheduler: what starts the syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// cron, by the user's crontab.
    Cron,
    /// systemd, by a service and a timer.
    Systemd,
    /// launchd, by a property list.
    Launchd,
    /// The Task Scheduler of Windows.
    TaskScheduler,
    /// Kubernetes, by a CronJob that is only printed.
    Kubernetes,
}

impl Scheduler {
    /// All schedulers.
    pub const ALL: [Self; 5] =
        [Self::Cron, Self::Systemd, Self::Launchd, Self::TaskScheduler, Self::Kubernetes];

    pub(crate) fn backend(self) -> &'static dyn Backend {
        match self {
            Self::Cron => &cron::Cron,
            Self::Systemd => &systemd::Systemd,
            Self::Launchd => &launchd::Launchd,
            Self::TaskScheduler => &task_scheduler::TaskScheduler,
            Self::Kubernetes => &kubernetes::Kubernetes,
        }
    }

    /// The name, as `--using` takes it.
    pub fn name(self) -> &'static str {
        self.backend().name()
    }

    /// The best scheduler of this machine.
    pub fn usual() -> Self {
        if cfg!(windows) {
            Self::TaskScheduler
        } else if cfg!(target_os = "macos") {
            Self::Launchd
        } else if Self::Systemd.is_here() {
            Self::Systemd
        } else {
            Self::Cron
        }
    }

    /// Whether it is on this machine.
    pub fn is_here(self) -> bool {
        self.backend().is_here()
    }

    /// The machine that a job is for.
    pub fn machine(self) -> Machine {
        self.backend().machine()
    }

    /// How the job's user is known.
    pub fn accounts(self) -> Accounts {
        self.backend().accounts()
    }

    /// The log file of a job that was given none. `None` where the scheduler itself keeps what a job prints.
    pub fn default_log(self, folder: &str) -> Option<String> {
        self.backend().default_log(folder)
    }
}

/// The machine that a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// This one: paths are looked at, and things are done.
    This,
    /// Another: paths are taken as they are, and files are only printed.
    Another {
        /// The usual folder of data.json there.
        folder: &'static str,
        /// The usual program there.
        program: &'static str,
    },
}

/// How a scheduler knows the user of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// As a user of this system, who can be made, given folders and tried.
    OfTheSystem,
    /// By name alone.
    Named,
}

/// Whether things are done, or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are done.
    Do,
    /// They are only shown.
    Show,
}

/// Whether jobs keep what the next one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepsState {
    /// They do.
    Always,
    /// They do unless that is not wanted.
    AsAsked,
}

/// Files to be printed, for another machine.
#[derive(Clone, Debug)]
pub struct Printed {
    /// To read.
    pub text: String,
    /// For programs.
    pub value: Value,
}

/// What is asked of every scheduler.
pub(crate) trait Backend: Sync {
    /// The name, as `--using` takes it.
    fn name(&self) -> &'static str;

    /// Whether it is on this machine.
    fn is_here(&self) -> bool;

    /// The machine that a job is for.
    fn machine(&self) -> Machine {
        Machine::This
    }

    /// How the job's user is known.
    fn accounts(&self) -> Accounts {
        Accounts::OfTheSystem
    }

    /// Whether a job may be without a folder for its state.
    fn keeps_state(&self) -> KeepsState {
        KeepsState::Always
    }

    /// The log file of a job that was given none.
    fn default_log(&self, folder: &str) -> Option<String>;

    /// When a job first runs by itself, in words: "at ...", "a minute from now".
    fn first_run(&self, schedule: &Schedule, now: &ZonedDateTime) -> Option<String>;

    /// Looks for what cannot be, before anything is done: files and units are named after folders, and these can be too much alike.
    fn check(&self, request: &ScheduleRequest) -> Result<()> {
        request.check_names()
    }

    /// What it takes to install the jobs.
    fn steps(&self, request: &ScheduleRequest, mode: Mode) -> Result<Steps>;

    /// Tries a job as the scheduler would run it.
    fn try_out(&self, request: &ScheduleRequest, job: &ScheduledJob) -> Result<()>;

    /// The files for another machine.
    fn print(&self, _request: &ScheduleRequest) -> Result<Printed> {
        Err(Error::new(format!("{} runs on this machine, so there is nothing to print.", self.name())))
    }

    /// The jobs of this scheduler that this user can see.
    fn list(&self, homes: &Homes) -> Result<ScheduleListing>;
}

/// "at" and a time, as every first run is told.
fn at(run: Option<ZonedDateTime>) -> Option<String> {
    run.map(|run| format!("at {}", shown(&run)))
}

/// A time as people read it: day of the week, date, time and zone.
pub fn shown(run: &ZonedDateTime) -> String {
    run.strftime("%a %F %H:%M %Z").to_string()
}

/// The next runs at fixed times. When an interval began is known to the scheduler only.
fn runs_by_the_clock(schedule: &Schedule, now: &ZonedDateTime, count: usize) -> Vec<ZonedDateTime> {
    match schedule {
        Schedule::Every(_) => Vec::new(),
        schedule => schedule.runs_after(now.clone()).take(count).collect(),
    }
}

/// Where things of a user are.
#[derive(Clone, Debug)]
pub struct Homes {
    /// The user whose crontab is looked at; `None` for all that can be seen.
    pub user: Option<String>,
    /// The home folder.
    pub home: PathBuf,
    /// The folder for settings, usually `~/.config`.
    pub config_home: PathBuf,
}

/// The schedules of this machine, as far as this user can see them.
#[derive(Debug, Default)]
pub struct ScheduleListing {
    /// Those that could be read.
    pub installed: Vec<Installed>,
    /// Why some could not be read.
    pub unreadable: Vec<Error>,
}

impl ScheduleListing {
    fn of(installed: Vec<Installed>) -> Self {
        Self { installed, unreadable: Vec::new() }
    }
}

/// Every schedule on this machine that this user can see.
///
/// # Errors
/// A scheduler could not be asked.
pub fn list(homes: &Homes) -> Result<ScheduleListing> {
    Scheduler::ALL.into_iter().try_fold(ScheduleListing::default(), |mut all, scheduler| {
        let more = scheduler.backend().list(homes)?;
        all.installed.extend(more.installed);
        all.unreadable.extend(more.unreadable);
        Ok(all)
    })
}
