//! The Task Scheduler of Windows: a task for each job.

mod task;

use std::path::Path;

use jiff::ZonedDateTime;
use serde_json::json;

use super::installed::Located;
use super::{
    Accounts, Backend, Homes, Installed, Machine, Mode, Printed, ScheduleListing, Scheduler, at, files,
};
use crate::commands;
use crate::job::{ScheduledJob, USUAL_LOG, name_of};
use crate::marker::Marker;
use crate::request::ScheduleRequest;
use crate::steps::{MachineChange, Steps};
use crate::times::Schedule;
use bwdc_core::error::Result;

#[cfg(test)]
pub(crate) use self::task::registering;

/// The Task Scheduler as a scheduler.
pub(super) struct TaskScheduler;

impl Backend for TaskScheduler {
    fn name(&self) -> &'static str {
        "task-scheduler"
    }

    fn is_here(&self) -> bool {
        cfg!(windows)
    }

    fn machine(&self) -> Machine {
        if cfg!(windows) {
            return Machine::This;
        }
        Machine::Another { folder: "C:\\ProgramData\\bwdc", program: "C:\\Program Files\\bwdc\\bwdc.exe" }
    }

    fn accounts(&self) -> Accounts {
        Accounts::Named
    }

    fn default_log(&self, folder: &str) -> Option<String> {
        Some(format!("{}\\{USUAL_LOG}", folder.trim_end_matches('\\')))
    }

    fn first_run(&self, schedule: &Schedule, now: &ZonedDateTime) -> Option<String> {
        match schedule {
            Schedule::Every(interval) => Some(format!("{interval} from now")),
            schedule => at(schedule.next_after(now)),
        }
    }

    fn steps(&self, request: &ScheduleRequest, _mode: Mode) -> Result<Steps> {
        let each = |job: &ScheduledJob| {
            let file = std::env::temp_dir().join(format!("{}.xml", job.runs.name()));
            into_task_scheduler(job, &file)
        };
        Steps::all(request.jobs.iter().map(each))
    }

    /// It asks for the user's password: nobody can be tried without it.
    fn try_out(&self, _request: &ScheduleRequest, _job: &ScheduledJob) -> Result<()> {
        Ok(())
    }

    fn print(&self, request: &ScheduleRequest) -> Result<Printed> {
        let mut parts = Vec::new();
        let mut list = Vec::new();
        for job in &request.jobs {
            let file = format!("{}.xml", job.runs.name());
            let xml = task::task(job)?;
            let [prompt, powershell] = task::registering(job, &file);
            parts.push(format!(
                "# The file {file}, in UTF-16 or UTF-8:\n{xml}\n# At the command prompt:\n{prompt}\n\n# Or in PowerShell:\n{powershell}"
            ));
            list.push(json!({ "file": file, "xml": xml, "schtasks": prompt, "powershell": powershell }));
        }
        Ok(Printed { text: parts.join("\n\n"), value: list.into() })
    }

    fn list(&self, _homes: &Homes) -> Result<ScheduleListing> {
        in_task_scheduler().map(ScheduleListing::of)
    }
}

/// A task.
#[derive(Clone, Debug)]
struct Task {
    /// Its folder and name in the Task Scheduler.
    path: String,
}

impl Located for Task {
    fn place(&self) -> String {
        self.path.clone()
    }

    fn text(&self) -> Result<String> {
        commands::run(&["schtasks", "/Query", "/XML", "/TN", &self.path].map(str::to_owned), None)
    }

    fn removal(&self) -> Result<Steps> {
        Ok(Steps(vec![MachineChange::run(&["schtasks", "/Delete", "/TN", &self.path, "/F"])]))
    }

    fn run_now(&self) -> Result<Vec<String>> {
        Ok(["schtasks", "/Run", "/TN", &self.path].map(str::to_owned).to_vec())
    }

    fn runs(&self, schedule: &Schedule, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>> {
        Ok(super::runs_by_the_clock(schedule, now, count))
    }
}

/// The file with the task, then the command that registers it.
fn into_task_scheduler(job: &ScheduledJob, file: &Path) -> Result<Steps> {
    let text = task::task(job)?;
    let path = task::path(job);
    match in_task_scheduler()?.into_iter().find(|known| known.place() == path) {
        Some(known) if known.marker == job.marker() => return Ok(Steps::default()),
        // Windows takes large and small letters of a path for the same.
        Some(known) if known.marker.folder.to_lowercase() != job.runs.folder.to_lowercase() => {
            return Err(files::of_another(&path, &known.marker));
        }
        _ => {}
    }
    Ok(Steps(vec![
        MachineChange::WriteUtf16 { path: file.to_owned(), text },
        // It asks for the user's password.
        MachineChange::Ask { command: task::create(job, &file.display().to_string()) },
        MachineChange::Remove { path: file.to_owned() },
    ]))
}

fn in_task_scheduler() -> Result<Vec<Installed>> {
    if cfg!(not(windows)) {
        return Ok(Vec::new());
    }
    let query = ["schtasks", "/Query", "/XML", "ONE"].map(str::to_owned);
    let text = commands::run(&query, None)?;
    let installed = |marker: Marker| {
        let path = format!("\\bwdc\\{}", name_of(&marker.folder));
        Installed::at(Scheduler::TaskScheduler, marker, Task { path })
    };
    Ok(Marker::all_in(&text).into_iter().map(installed).collect())
}
