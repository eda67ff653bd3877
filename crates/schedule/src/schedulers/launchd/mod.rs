//! launchd: a property list for each job.

pub(crate) mod property_list;

use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;

use self::property_list::Domain;
use super::installed::Located;
use super::{Backend, Homes, Installed, Mode, ScheduleListing, Scheduler, at, files};
use crate::account;
use crate::commands;
use crate::job::{ScheduledJob, Starter, USUAL_LOG};
use crate::request::ScheduleRequest;
use crate::steps::{MachineChange, Steps};
use crate::times::Schedule;
use crate::trial;
use bwdc_core::error::Result;

/// launchd as a scheduler.
pub(super) struct Launchd;

impl Backend for Launchd {
    fn name(&self) -> &'static str {
        "launchd"
    }

    fn is_here(&self) -> bool {
        cfg!(target_os = "macos")
    }

    fn default_log(&self, folder: &str) -> Option<String> {
        Some(format!("{}/{USUAL_LOG}", folder.trim_end_matches('/')))
    }

    fn first_run(&self, schedule: &Schedule, now: &ZonedDateTime) -> Option<String> {
        match schedule {
            Schedule::Every(interval) => Some(format!("{interval} from now")),
            schedule => at(schedule.next_after(now)),
        }
    }

    fn steps(&self, request: &ScheduleRequest, _mode: Mode) -> Result<Steps> {
        let is_own = request.user.is_own()? && !account::is_root();
        let domain = if is_own { Domain::User } else { Domain::System };
        let folder = list_folder(domain, &request.homes.home);
        Steps::all(request.jobs.iter().map(|job| into_launchd(job, domain, &folder)))
    }

    fn try_out(&self, _request: &ScheduleRequest, job: &ScheduledJob) -> Result<()> {
        trial::run(
            &job.runs,
            trial::as_user(&job.runs, Starter::Scheduler(self.name()), trial::Begins::InFolder)?,
        )
    }

    fn list(&self, homes: &Homes) -> Result<ScheduleListing> {
        if cfg!(not(unix)) {
            return Ok(ScheduleListing::default());
        }
        let of = |domain| in_launchd(&list_folder(domain, &homes.home), domain);
        Ok(ScheduleListing::of([Domain::System, Domain::User].into_iter().flat_map(of).collect()))
    }
}

/// A job's property list.
#[derive(Clone, Debug)]
struct PropertyList {
    path: PathBuf,
    domain: Domain,
}

impl PropertyList {
    /// The name by which launchctl knows the job.
    fn target(&self) -> Result<String> {
        let label = self.path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(format!("{}/{label}", launchd_domain(self.domain)?))
    }
}

impl Located for PropertyList {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn text(&self) -> Result<String> {
        files::shown(&self.path)
    }

    fn removal(&self) -> Result<Steps> {
        Ok(unloaded(&self.target()?, &self.path))
    }

    fn run_now(&self) -> Result<Vec<String>> {
        Ok(vec!["launchctl".to_owned(), "kickstart".to_owned(), self.target()?])
    }

    fn runs(&self, schedule: &Schedule, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>> {
        Ok(super::runs_by_the_clock(schedule, now, count))
    }
}

/// Ends a job, and takes its property list away.
pub(crate) fn unloaded(target: &str, path: &Path) -> Steps {
    Steps(vec![
        MachineChange::attempt(&["launchctl", "bootout", target]),
        MachineChange::Remove { path: path.to_owned() },
    ])
}

/// Where property lists are (launchd.plist(5)).
pub(crate) fn list_folder(domain: Domain, home: &Path) -> PathBuf {
    match domain {
        Domain::System => PathBuf::from("/Library/LaunchDaemons"),
        Domain::User => home.join("Library/LaunchAgents"),
    }
}

pub(crate) fn launchd_domain(domain: Domain) -> Result<String> {
    match domain {
        Domain::System => Ok("system".to_owned()),
        Domain::User => {
            let id = commands::run(&["id".to_owned(), "-u".to_owned()], None)?;
            Ok(format!("gui/{}", id.trim()))
        }
    }
}

fn into_launchd(job: &ScheduledJob, domain: Domain, folder: &Path) -> Result<Steps> {
    let label = property_list::label(job);
    files::of_this_folder(&folder.join(format!("{label}.plist")), job)?;
    loaded(&label, property_list::property_list(job, domain)?, domain, folder)
}

/// Writes a property list and has launchd read it, unless it is there already.
pub(crate) fn loaded(label: &str, text: String, domain: Domain, folder: &Path) -> Result<Steps> {
    let mut steps = Steps::default();
    let path = folder.join(format!("{label}.plist"));
    steps.write(path.clone(), text);
    if !steps.is_empty() {
        let target = launchd_domain(domain)?;
        let loaded = format!("{target}/{label}");
        steps.0.insert(0, MachineChange::attempt(&["launchctl", "bootout", &loaded]));
        steps.0.push(MachineChange::run(&["launchctl", "bootstrap", &target, &path.display().to_string()]));
    }
    Ok(steps)
}

fn in_launchd(folder: &Path, domain: Domain) -> Vec<Installed> {
    let installed = |(path, marker)| Installed::at(Scheduler::Launchd, marker, PropertyList { path, domain });
    files::marked(folder, "plist").into_iter().map(installed).collect()
}
