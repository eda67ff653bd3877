//! cron: a marked block in a user's own crontab.

mod access;
mod crontab;
mod spool;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::ZonedDateTime;

use self::crontab::{Access, Block, Crontab, Entry, Origin, Setting, Settings};
use super::installed::Located;
use super::{Backend, Homes, Installed, Mode, ScheduleListing, Scheduler, at};
use crate::account;
use crate::commands;
use crate::job::{ScheduledJob, Starter, USUAL_LOG};
use crate::preparation::JobUser;
use crate::request::ScheduleRequest;
use crate::steps::{MachineChange, Steps};
use crate::times::Schedule;
use crate::trial;
use bwdc_core::error::{Error, Result};

pub(crate) use self::crontab::time;

/// cron as a scheduler.
pub(super) struct Cron;

impl Backend for Cron {
    fn name(&self) -> &'static str {
        "cron"
    }

    fn is_here(&self) -> bool {
        cfg!(unix)
    }

    /// The lines of all jobs are in one crontab.
    fn check(&self, _request: &ScheduleRequest) -> Result<()> {
        Ok(())
    }

    fn default_log(&self, folder: &str) -> Option<String> {
        Some(format!("{}/{USUAL_LOG}", folder.trim_end_matches('/')))
    }

    fn first_run(&self, schedule: &Schedule, now: &ZonedDateTime) -> Option<String> {
        at(as_cron_runs_it(schedule).ok()?.next_after(now))
    }

    fn steps(&self, request: &ScheduleRequest, mode: Mode) -> Result<Steps> {
        into_crontab(request, mode)
    }

    fn try_out(&self, _request: &ScheduleRequest, job: &ScheduledJob) -> Result<()> {
        trial::run(
            &job.runs,
            trial::as_user(&job.runs, Starter::Scheduler(self.name()), trial::Begins::AtHome)?,
        )
    }

    fn list(&self, homes: &Homes) -> Result<ScheduleListing> {
        if cfg!(unix) { in_crontabs(homes) } else { Ok(ScheduleListing::default()) }
    }
}

/// cron has no intervals: one is a cron expression of its own.
fn as_cron_runs_it(schedule: &Schedule) -> Result<Schedule> {
    Schedule::cron(&crontab::time(schedule)?)
}

/// A line of a crontab.
#[derive(Clone, Debug)]
struct Line {
    user: String,
    entry: Entry,
    /// The settings above it, which hold for it.
    above: Vec<(String, String)>,
}

impl Located for Line {
    fn place(&self) -> String {
        format!("the crontab of {}", self.user)
    }

    fn text(&self) -> Result<String> {
        Ok(format!("# In {}:\n{}", self.place(), self.entry.text()))
    }

    fn removal(&self) -> Result<Steps> {
        out_of_crontab(&self.user, &self.entry.marker.folder)
    }

    fn run_now(&self) -> Result<Vec<String>> {
        as_cron(&self.user, &self.entry, &self.above)
    }

    fn is_awaited(&self) -> bool {
        true
    }

    fn runs(&self, schedule: &Schedule, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>> {
        Ok(as_cron_runs_it(schedule)?.runs_after(now.clone()).take(count).collect())
    }
}

/// A line of a crontab whose user is gone: cron leaves it alone, until somebody gets the name again.
#[derive(Clone, Debug)]
struct Orphan {
    user: String,
    path: PathBuf,
    entry: Entry,
}

impl Located for Orphan {
    fn place(&self) -> String {
        format!("{}: the user {} is gone, so it does not run", self.path.display(), self.user)
    }

    fn text(&self) -> Result<String> {
        Ok(format!("# In {}:\n{}", self.place(), self.entry.text()))
    }

    fn removal(&self) -> Result<Steps> {
        spool::out_of_orphan(&self.path, &self.entry.marker.folder)
    }

    fn run_now(&self) -> Result<Vec<String>> {
        Err(Error::new(format!("The user {} no longer exists.", self.user))
            .hint("`bwdc schedule remove` removes the rest of this schedule."))
    }

    fn runs(&self, _schedule: &Schedule, _now: &ZonedDateTime, _count: usize) -> Result<Vec<ZonedDateTime>> {
        Ok(Vec::new())
    }

    fn is_in_use(&self) -> bool {
        false
    }
}

/// Message of `crontab -l` for a user without a crontab. Its exit status is that of any other failure.
const NO_CRONTAB: &str = "no crontab for";

/// A crontab as it is; `None` if there is none.
fn crontab(user: &str) -> Result<Option<String>> {
    match commands::run(&crontab_command(user, "-l")?, None) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.message.contains(NO_CRONTAB) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `crontab`, with `-u` where it is somebody else's; only root may do that.
fn crontab_command(user: &str, operand: &str) -> Result<Vec<String>> {
    let words = if user == account::own_name()? {
        vec!["crontab", operand]
    } else if account::is_root() {
        vec!["crontab", "-u", user, operand]
    } else {
        return Err(Error::new(format!("The crontab of {user} is not yours."))
            .hint("Run this as root, or as that user."));
    };
    Ok(words.into_iter().map(str::to_owned).collect())
}

/// Puts the jobs of one user into their crontab.
fn into_crontab(request: &ScheduleRequest, mode: Mode) -> Result<Steps> {
    let ScheduleRequest { jobs, user: JobUser { name: user, account }, owners, options, .. } = request;
    let mail = options.mail_to.as_deref();
    // What is wrong with them is told before anything is done.
    let entries =
        |above: &Settings<'_>| jobs.iter().map(|job| Entry::of(job, mail, above)).collect::<Result<Vec<_>>>();
    entries(&Settings::default())?;
    let addition = access::addition_to_allow(user, *owners)?;
    let mut steps = Steps::default();
    // Until then not even root can see the crontab.
    match (&addition, mode) {
        (Some(step), Mode::Do) => Steps(vec![step.clone()]).apply()?,
        (step, _) => steps.0.extend(step.clone()),
    }
    let is_hidden = addition.is_some() && mode == Mode::Show;
    let text = if account.is_none() || is_hidden { None } else { crontab(user)? };
    let known = Crontab::parse(text.as_deref().unwrap_or_default())?;
    let origin = if text.is_some() { Origin::Crontab } else { Origin::Nothing };
    let mut block = known.block.clone().unwrap_or_else(|| Block { origin, ..Block::default() });
    if addition.is_some() {
        block.access = Access::Added;
    }
    entries(&known.settings())?.into_iter().for_each(|entry| block.put(entry));
    steps.0.extend(replacing(user, text.as_deref(), known.with(block).as_deref())?);
    Ok(steps)
}

fn replacing(user: &str, now: Option<&str>, then: Option<&str>) -> Result<Option<MachineChange>> {
    if now == then {
        return Ok(None);
    }
    Ok(Some(match then {
        Some(text) => {
            MachineChange::Run { command: crontab_command(user, "-")?, input: Some(text.to_owned()) }
        }
        None => MachineChange::Run { command: crontab_command(user, "-r")?, input: None },
    }))
}

fn out_of_crontab(user: &str, folder: &str) -> Result<Steps> {
    let text = crontab(user)?;
    let known = Crontab::parse(text.as_deref().unwrap_or_default())?;
    let Some(mut block) = known.block.clone() else { return Ok(Steps::default()) };
    block.entries.retain(|entry| entry.marker.folder != folder);
    let was_added = block.access == Access::Added && block.entries.is_empty();
    let mut steps = Steps(Vec::from_iter(replacing(user, text.as_deref(), known.with(block).as_deref())?));
    if was_added {
        steps.0.extend(access::removal_from_allow(user));
    }
    Ok(steps)
}

fn in_crontab(user: &str) -> Result<Vec<Installed>> {
    let text = crontab(user)?.unwrap_or_default();
    let crontab =
        Crontab::parse(&text).map_err(|error| error.while_doing(format!("The crontab of {user}")))?;
    let owned = |setting: &Setting<'_>| (setting.name.to_owned(), setting.value.to_owned());
    let above: Vec<_> = crontab.settings().0.iter().map(owned).collect();
    let entries = crontab.block.map(|block| block.entries).unwrap_or_default();
    let installed = |entry: Entry| {
        let marker = entry.marker.clone();
        Installed::at(Scheduler::Cron, marker, Line { user: user.to_owned(), entry, above: above.clone() })
    };
    Ok(entries.into_iter().map(installed).collect())
}

/// What is in the crontabs that are looked at. Where there is no cron, nobody's.
fn in_crontabs(homes: &Homes) -> Result<ScheduleListing> {
    let has_crontab = || account::own_name().and_then(|user| crontab(&user)).is_ok();
    let all = match &homes.user {
        Some(user) => in_crontab_or_orphan(user)?,
        None if account::is_root() => return Ok(in_all_crontabs()),
        None if has_crontab() => in_crontab(&account::own_name()?)?,
        None => Vec::new(),
    };
    Ok(ScheduleListing { installed: all, unreadable: Vec::new() })
}

fn in_crontab_or_orphan(user: &str) -> Result<Vec<Installed>> {
    let orphan = || spool::spooled().into_iter().find(|spooled| spooled.user == user);
    match account::find(user)?.is_none().then(orphan).flatten() {
        Some(orphan) => spool::in_orphan(&orphan),
        None => in_crontab(user),
    }
}

/// Everybody's. What one user has broken does not hide the others'.
fn in_all_crontabs() -> ScheduleListing {
    let mut found = ScheduleListing::default();
    for spooled in spool::spooled() {
        let read = match account::find(&spooled.user) {
            Ok(Some(_)) => in_crontab(&spooled.user),
            // Whom cron does not let have one any more, not even root can ask about.
            _ => spool::in_orphan(&spooled),
        };
        match read {
            Ok(installed) => found.installed.extend(installed),
            Err(error) => found.unreadable.push(error),
        }
    }
    found
}

/// The command in the environment of a cron job (crontab(5)), as its user, by the shell of the crontab and in the user's home.
fn as_cron(user: &str, entry: &Entry, above: &[(String, String)]) -> Result<Vec<String>> {
    let account = account::find(user)?.ok_or_else(|| Error::new(format!("There is no user {user}.")))?;
    let command = entry.command().ok_or_else(|| Error::new("The entry in the crontab has no command."))?;
    let home = account.home.display().to_string();
    let own = entry.settings().map(|setting| (setting.name.to_owned(), setting.value.to_owned()));
    let usual = [("HOME", home.as_str()), ("SHELL", "/bin/sh"), ("PATH", "/usr/bin:/bin")];
    let mut variables: BTreeMap<String, String> =
        usual.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    variables.extend(above.iter().cloned().chain(own));
    variables.insert("LOGNAME".to_owned(), user.to_owned());
    let shell = variables["SHELL"].clone();
    let mut words = account::as_user(user)?;
    words.extend(["env", "-i"].map(str::to_owned));
    words.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
    words.extend([shell, "-c".to_owned(), format!("cd && {command}")]);
    Ok(words)
}
