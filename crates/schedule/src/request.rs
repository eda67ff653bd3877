//! What an administrator asks `schedule install` for, complete before anything is done.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::ZonedDateTime;

use crate::job::ScheduledJob;
use crate::preparation::{InstallOutcome, JobUser, Owners, Preparation, Trial};
use crate::schedulers::{Homes, KeepsState, Machine, Printed, Scheduler, kubernetes, systemd};
use crate::steps::Steps;
use crate::times::Schedule;
use bwdc_core::error::{Error, Result};

/// The jobs of one user for one scheduler.
#[derive(Clone, Debug)]
pub struct ScheduleRequest {
    /// The scheduler that is to run them.
    pub scheduler: Scheduler,
    /// The user to run them as.
    pub user: JobUser,
    /// The jobs, one for each folder.
    pub jobs: Vec<ScheduledJob>,
    /// Where things of whoever installs them are.
    pub homes: Homes,
    /// Whether what would make a job fail is mended.
    pub owners: Owners,
    /// Whether each job is tried first.
    pub trial: Trial,
    /// Files with secrets outside the folders that only root can read, and that the user is given with [`Owners::Fix`].
    pub secret_files: Vec<PathBuf>,
    /// What single schedulers have besides.
    pub options: RequestOptions,
}

/// What single schedulers have besides.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// cron: who is mailed the end of the log after a failure.
    pub mail_to: Option<String>,
    /// systemd's own.
    pub systemd: systemd::Options,
    /// Kubernetes' own.
    pub kubernetes: kubernetes::Options,
}

impl ScheduleRequest {
    /// Looks for what cannot be, before anything is done.
    ///
    /// # Errors
    /// Two jobs would have the same name, or a job on a machine would keep nothing.
    pub fn check(&self) -> Result<()> {
        let backend = self.scheduler.backend();
        let asked = self.options.kubernetes.state;
        if asked == kubernetes::State::Nowhere && backend.keeps_state() == KeepsState::Always {
            return Err(Error::new(format!(
                "--state none is for a job without a volume, which {} does not make.",
                backend.name()
            ))
            .hint("Leave it out: the folder keeps what the next sync needs."));
        }
        backend.check(self)
    }

    pub(crate) fn check_names(&self) -> Result<()> {
        let mut names = HashMap::new();
        for job in &self.jobs {
            if let Some(other) = names.insert(job.runs.name(), &job.runs.folder) {
                let name = job.runs.name();
                return Err(Error::new(format!(
                    "{other} and {} would both be called {name}.",
                    job.runs.folder
                ))
                .hint("Rename one of the folders: their names are too similar."));
            }
        }
        Ok(())
    }

    /// The files for another machine; `None` where the jobs are for this one.
    ///
    /// # Errors
    /// The scheduler cannot do what is asked.
    pub fn print(&self) -> Option<Result<Printed>> {
        match self.scheduler.machine() {
            Machine::This => None,
            Machine::Another { .. } => Some(self.scheduler.backend().print(self)),
        }
    }

    /// Everything that would be done.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn preview(&self) -> Result<Steps> {
        self.preparation().preview(|mode| self.scheduler.backend().steps(self, mode))
    }

    /// Prepares, tries and installs.
    ///
    /// # Errors
    /// A job would fail, or something could not be done. Where a job fails its trial, nothing is installed.
    pub fn carry_out(&self) -> Result<InstallOutcome> {
        let backend = self.scheduler.backend();
        let try_out = || self.jobs.iter().try_for_each(|job| backend.try_out(self, job));
        self.preparation().carry_out(try_out, |mode| backend.steps(self, mode))
    }

    /// When a job first runs by itself, in words.
    pub fn first_run(&self, job: &ScheduledJob, now: &ZonedDateTime) -> Option<String> {
        match &job.schedule {
            Schedule::Boot => Some("when the machine next starts".to_owned()),
            schedule => self.scheduler.backend().first_run(schedule, now),
        }
    }

    fn preparation(&self) -> Preparation<'_> {
        Preparation {
            accounts: self.scheduler.accounts(),
            user: &self.user,
            jobs: self.jobs.iter().map(|job| &job.runs).collect(),
            owners: self.owners,
            trial: self.trial,
            secret_files: &self.secret_files,
        }
    }
}
