//! Kubernetes: a CronJob for each job, printed and never applied.

mod manifests;

use jiff::ZonedDateTime;
use serde_json::json;

use super::{Accounts, Backend, Homes, KeepsState, Machine, Mode, Printed, ScheduleListing, at};
use crate::job::ScheduledJob;
use crate::request::ScheduleRequest;
use crate::steps::Steps;
use crate::times::Schedule;
use bwdc_core::error::Result;

pub use self::manifests::{Options, State};

/// Kubernetes as a scheduler.
pub(super) struct Kubernetes;

impl Backend for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn is_here(&self) -> bool {
        false
    }

    fn machine(&self) -> Machine {
        Machine::Another { folder: "/var/lib/bwdc", program: "bwdc" }
    }

    fn accounts(&self) -> Accounts {
        Accounts::Named
    }

    fn keeps_state(&self) -> KeepsState {
        KeepsState::AsAsked
    }

    /// A container's output is its log.
    fn default_log(&self, _folder: &str) -> Option<String> {
        None
    }

    fn first_run(&self, schedule: &Schedule, now: &ZonedDateTime) -> Option<String> {
        at(schedule.next_after(now))
    }

    fn steps(&self, _request: &ScheduleRequest, _mode: Mode) -> Result<Steps> {
        Ok(Steps::default())
    }

    fn try_out(&self, _request: &ScheduleRequest, _job: &ScheduledJob) -> Result<()> {
        Ok(())
    }

    fn print(&self, request: &ScheduleRequest) -> Result<Printed> {
        let ScheduleRequest { jobs, options, .. } = request;
        let each = |job: &ScheduledJob| manifests::manifests(job, &options.kubernetes);
        let text = jobs.iter().map(each).collect::<Result<Vec<_>>>()?.join("---\n");
        let value = json!({ "object": "manifests", "yaml": text });
        Ok(Printed { text: text.trim_end().to_owned(), value })
    }

    fn list(&self, _homes: &Homes) -> Result<ScheduleListing> {
        Ok(ScheduleListing::default())
    }
}
