//! systemd: a service and a timer for each job.

pub(crate) mod section;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ZonedDateTime};

use self::section::ServiceSection;
use super::installed::Located;
use super::{Backend, Homes, Installed, Mode, ScheduleListing, Scheduler, at, files};
use crate::commands;
use crate::job::ScheduledJob;
use crate::marker::Marker;
use crate::request::ScheduleRequest;
use crate::steps::{MachineChange, Steps};
use crate::times::Schedule;
use crate::trial;
use bwdc_core::error::Result;

pub use self::section::Manager;
pub use self::units::{Options, calendar};

/// systemd as a scheduler.
pub(super) struct Systemd;

impl Backend for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn is_here(&self) -> bool {
        runs_here()
    }

    /// The journal has what a service says.
    fn default_log(&self, _folder: &str) -> Option<String> {
        None
    }

    fn first_run(&self, schedule: &Schedule, now: &ZonedDateTime) -> Option<String> {
        match schedule {
            Schedule::Every(_) => Some("a minute from now".to_owned()),
            schedule => at(schedule.systemd_runs_after(now.clone()).next()),
        }
    }

    fn steps(&self, request: &ScheduleRequest, _mode: Mode) -> Result<Steps> {
        let ScheduleRequest { jobs, options, homes, .. } = request;
        let folder = unit_folder(options.systemd.manager, &homes.config_home);
        let each = |job: &ScheduledJob| into_systemd(job, &options.systemd, &folder);
        Steps::all(jobs.iter().map(each))
    }

    fn try_out(&self, request: &ScheduleRequest, job: &ScheduledJob) -> Result<()> {
        // Without a systemd that runs, that is what fails.
        if !runs_here() {
            return Ok(());
        }
        let options = &request.options.systemd;
        let folder = unit_folder(options.manager, &request.homes.config_home);
        let added = added_to(&folder, &job.runs.name());
        trial::run(&job.runs, run_once(units::service_of(job, options), &added))
    }

    fn list(&self, homes: &Homes) -> Result<ScheduleListing> {
        if cfg!(not(unix)) {
            return Ok(ScheduleListing::default());
        }
        let of = |manager| in_systemd(&unit_folder(manager, &homes.config_home), manager);
        Ok(ScheduleListing::of([Manager::System, Manager::User].into_iter().flat_map(of).collect()))
    }
}

/// Whether systemd runs this machine, as sd_booted(3) has it.
pub(crate) fn runs_here() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// A service and its timer.
#[derive(Clone, Debug)]
struct Units {
    folder: PathBuf,
    name: String,
    manager: Manager,
}

/// A unit whose output the journal has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalUnit {
    /// The service, without `.service`.
    pub name: String,
    /// The systemd that runs it.
    pub manager: Manager,
}

impl JournalUnit {
    /// The `journalctl` that shows it to root and to the user alike.
    pub fn journalctl(&self) -> Vec<String> {
        let unit = match self.manager {
            Manager::System => "--unit",
            Manager::User => "--user-unit",
        };
        vec!["journalctl".to_owned(), format!("{unit}={}.service", self.name)]
    }

    /// The command that shows what it printed last, as people type it.
    pub fn last_lines(&self) -> Vec<String> {
        let own = (self.manager == Manager::User).then_some("--user");
        let words = ["journalctl"].into_iter().chain(own).chain(["-u", &self.name, "-n", "20"]);
        words.map(str::to_owned).collect()
    }
}

impl Located for Units {
    fn place(&self) -> String {
        self.folder.join(format!("{}.timer", self.name)).display().to_string()
    }

    fn text(&self) -> Result<String> {
        let units =
            ["service", "timer"].map(|kind| files::shown(&self.folder.join(format!("{}.{kind}", self.name))));
        Ok(units.into_iter().collect::<Result<Vec<_>>>()?.join("\n"))
    }

    fn removal(&self) -> Result<Steps> {
        Ok(out_of_systemd(&self.folder, &self.name, self.manager))
    }

    fn run_now(&self) -> Result<Vec<String>> {
        Ok(systemctl(self.manager, &["start", &format!("{}.service", self.name)]))
    }

    fn is_awaited(&self) -> bool {
        true
    }

    fn next(&self) -> Option<Timestamp> {
        elapses(self.manager, &self.name)
    }

    fn runs(&self, schedule: &Schedule, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>> {
        // When an interval began is known to systemd only.
        if matches!(schedule, Schedule::Every(_)) {
            return Ok(Vec::new());
        }
        Ok(schedule.systemd_runs_after(now.clone()).take(count).collect())
    }

    fn journal(&self) -> Option<JournalUnit> {
        Some(JournalUnit { name: self.name.clone(), manager: self.manager })
    }
}

/// Where an administrator's units are (systemd.unit(5)).
pub(crate) fn unit_folder(manager: Manager, config_home: &Path) -> PathBuf {
    match manager {
        Manager::System => PathBuf::from("/etc/systemd/system"),
        Manager::User => config_home.join("systemd/user"),
    }
}

/// What an administrator has added to a service.
pub(crate) fn added_to(folder: &Path, service: &str) -> Vec<String> {
    let files = fs::read_dir(folder.join(format!("{service}.service.d"))).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort();
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| section::properties_in(&text)).collect()
}

pub(crate) fn systemctl(manager: Manager, words: &[&str]) -> Vec<String> {
    let own = (manager == Manager::User).then_some("--user");
    ["systemctl"].into_iter().chain(own).chain(words.iter().copied()).map(str::to_owned).collect()
}

fn into_systemd(job: &ScheduledJob, options: &Options, folder: &Path) -> Result<Steps> {
    let mut steps = Steps::default();
    for (name, text) in units::units(job, options)? {
        let path = folder.join(name);
        files::of_this_folder(&path, job)?;
        steps.write(path, text);
    }
    let timer = format!("{}.timer", job.runs.name());
    // One that counts from the boot would run at once: that moment is over.
    let now = if job.schedule == Schedule::Boot { "stop" } else { "restart" };
    if !steps.is_empty() || !is_on(&timer, job, options.manager) {
        for words in [&["daemon-reload"][..], &["enable", "--quiet", &timer], &[now, &timer]] {
            steps.0.push(MachineChange::Run { command: systemctl(options.manager, words), input: None });
        }
    }
    Ok(steps)
}

/// Whether a timer whose files are there is in use as well.
fn is_on(timer: &str, job: &ScheduledJob, manager: Manager) -> bool {
    let is = |state: &str| commands::run(&systemctl(manager, &[state, "--quiet", timer]), None).is_ok();
    is("is-enabled") && (job.schedule == Schedule::Boot || is("is-active"))
}

fn out_of_systemd(folder: &Path, name: &str, manager: Manager) -> Steps {
    let timer = format!("{name}.timer");
    let service = format!("{name}.service");
    let attempt = |words: &[&str]| MachineChange::Try { command: systemctl(manager, words) };
    Steps(vec![
        disabled(folder, "timers.target", &timer, manager),
        // When it ran last, which Persistent= remembers.
        attempt(&["clean", "--what=state", &timer]),
        MachineChange::Remove { path: folder.join(&timer) },
        MachineChange::Remove { path: folder.join(&service) },
        attempt(&["daemon-reload"]),
        attempt(&["reset-failed", &timer, &service]),
    ])
}

/// Stops a unit, now and at every boot. A manager that goes on with what it knows has to hear of it; where none runs, the link is what it
/// would do.
pub(crate) fn disabled(folder: &Path, target: &str, unit: &str, manager: Manager) -> MachineChange {
    if runs_here() {
        let command = systemctl(manager, &["disable", "--now", "--quiet", unit]);
        return MachineChange::Run { command, input: None };
    }
    MachineChange::Remove { path: folder.join(format!("{target}.wants")).join(unit) }
}

fn in_systemd(folder: &Path, manager: Manager) -> Vec<Installed> {
    let installed = |(path, marker): (PathBuf, Marker)| {
        let name = path.file_stem()?.to_str()?.to_owned();
        Some(Installed::at(Scheduler::Systemd, marker, Units { folder: folder.to_owned(), name, manager }))
    };
    files::marked(folder, "timer").into_iter().filter_map(installed).collect()
}

/// When a timer is due next, by its manager's own word.
fn elapses(manager: Manager, name: &str) -> Option<Timestamp> {
    let timer = format!("{name}.timer");
    let text =
        commands::run(&systemctl(manager, &["list-timers", "--all", "--output=json", &timer]), None).ok()?;
    next_of_timers(&text)
}

/// The first timer of `systemctl list-timers --output=json`. An older systemd gives no number, and one that is not due gives 0.
fn next_of_timers(text: &str) -> Option<Timestamp> {
    let timers: serde_json::Value = serde_json::from_str(text).ok()?;
    let microseconds = timers.get(0)?.get("next")?.as_i64().filter(|next| *next > 0)?;
    Timestamp::from_microsecond(microseconds).ok()
}

/// A service that is there once, with the properties of the one that will be installed.
pub(crate) fn run_once(service: ServiceSection<'_>, added: &[String]) -> Vec<String> {
    let own = (service.manager == Manager::User).then_some("--user");
    let fixed = ["--pipe", "--wait", "--quiet", "--collect"];
    let mut words: Vec<String> =
        ["systemd-run"].into_iter().chain(own).chain(fixed).map(str::to_owned).collect();
    let patience = format!("Environment={}={}", trial::PATIENCE.0, trial::PATIENCE.1);
    let properties = service.properties().chain(added.iter().cloned()).chain([patience]);
    words.extend(properties.map(|line| format!("--property={line}")));
    words.extend(["--".to_owned()].into_iter().chain(trial::doctor(service.job)));
    words
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timer_says_when_it_is_due() {
        let of = |text: &str| next_of_timers(text).map(|next| next.to_string());
        let due = r#"[{"next":1767225600000000,"left":5,"last":null,"unit":"bwdc.timer"}]"#;
        assert_eq!(of(due).as_deref(), Some("2026-01-01T00:00:00Z"));
        for text in [
            "[]",
            "",
            r#"[{"next":0}]"#,
            r#"[{"next":18446744073709551615}]"#,
            r#"[{"next":9223372036854775807}]"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        /// A time that there is, or none.
        #[test]
        fn fuzz_timers_of_systemd(text in damaged_text([
            r#"[{"next":1767225600000000,"left":1767225600000001,"last":1767225000000000,"passed":3,"unit":"bwdc.timer","activates":"bwdc.service"}]"#,
            r#"[{"next":null,"last":null,"unit":"bwdc.timer"}]"#,
            "0 timers listed.",
        ])) {
            if let Some(next) = next_of_timers(&text) {
                prop_assert!(next > Timestamp::UNIX_EPOCH);
                let written = format!("[{{\"next\":{}}}]", next.as_microsecond());
                prop_assert_eq!(next_of_timers(&written), Some(next));
            }
        }
    }
}
