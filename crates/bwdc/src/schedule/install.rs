//! Schedules on this machine: what has to be done to install and remove them, and which there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ZonedDateTime};

use super::account::{self, Account};
use super::cron::{self, Access, Block, Crontab, Entry, Origin, Setting, Settings};
use super::expression::Schedule;
use super::launchd::Domain;
use super::plan::{self, Plan, Step};
use super::systemd::Manager;
use super::{Job, Marker, launchd, systemd, windows};
use crate::config::env::{self, Environment};
use bwdc_core::error::{Error, Result};

/// Who runs the syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheduler {
    Cron,
    Systemd,
    Launchd,
    /// The Task Scheduler.
    Windows,
}

impl Scheduler {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
            Self::Windows => "task-scheduler",
        }
    }

    /// The platform's best.
    pub(crate) fn usual() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Launchd
        } else if systemd_runs() {
            Self::Systemd
        } else {
            Self::Cron
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_here(self) -> bool {
        match self {
            Self::Cron => cfg!(unix),
            Self::Systemd => systemd_runs(),
            Self::Launchd => cfg!(target_os = "macos"),
            Self::Windows => cfg!(windows),
        }
    }
}

/// As sd_booted(3) has it.
fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether cron.allow may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    Yes,
    No,
}

/// The schedules of this machine, as far as this user can see them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) all: Vec<Installed>,
    /// Why some could not be read.
    pub(crate) skipped: Vec<Error>,
}

/// A schedule that is installed.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) scheduler: Scheduler,
    pub(crate) marker: Marker,
    /// The files, or the crontab's user.
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Crontab {
        user: String,
        entry: Entry,
        above: Vec<(String, String)>,
    },
    /// A crontab whose user is gone: cron leaves it alone, until somebody gets the name again.
    Orphan {
        user: String,
        path: PathBuf,
        entry: Entry,
    },
    Units {
        folder: PathBuf,
        name: String,
        manager: Manager,
    },
    PropertyList {
        path: PathBuf,
        domain: Domain,
    },
    Task {
        path: String,
    },
}

// ---- cron ----

/// A crontab as it is; `None` if there is none.
fn crontab(user: &str) -> Result<Option<String>> {
    match plan::run(&crontab_command(user, "-l")?, None) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.message.contains("no crontab for") => Ok(None),
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

/// Where cron's lists are: Linux, then macOS.
const LISTS: [&str; 2] = ["/etc", "/usr/lib/cron"];

/// What cron.allow and cron.deny mean for a user (crontab(1)): cron.allow, if it is there, has to name them; else cron.deny must not.
/// A line counts as it is, blanks included.
fn access(user: &str) -> Result<Allowed> {
    let folder = LISTS
        .iter()
        .map(Path::new)
        .find(|folder| ["cron.allow", "cron.deny"].iter().any(|name| folder.join(name).exists()));
    let Some(folder) = folder.filter(|_| user != "root") else { return Ok(Allowed::Yes) };
    let names = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.lines().any(|line| line == user))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // `crontab` itself may read it, and says no where it must.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Error::new(format!("Reading {}: {error}", path.display()))),
    };
    let (allow, deny) = (folder.join("cron.allow"), folder.join("cron.deny"));
    match names(&allow)? {
        Some(true) => Ok(Allowed::Yes),
        Some(false) => Ok(Allowed::NotNamed(allow)),
        None if names(&deny)? == Some(true) => Ok(Allowed::Denied(deny)),
        None => Ok(Allowed::Yes),
    }
}

enum Allowed {
    Yes,
    NotNamed(PathBuf),
    Denied(PathBuf),
}

/// Whether things are done, or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Do,
    Show,
}

/// Puts jobs of one user into their crontab; `account` is theirs, if they are there already.
pub(crate) fn into_crontab(
    jobs: &[Job],
    mail: Option<&str>,
    (user, account): (&str, Option<&Account>),
    (fix, mode): (Fix, Mode),
) -> Result<Plan> {
    // What is wrong with them is told before anything is done.
    let entries =
        |above: &Settings<'_>| jobs.iter().map(|job| Entry::of(job, mail, above)).collect::<Result<Vec<_>>>();
    entries(&Settings::default())?;
    let addition = addition_to_allow(user, fix)?;
    let mut plan = Plan::default();
    // Until then not even root can see the crontab.
    match (&addition, mode) {
        (Some(step), Mode::Do) => Plan(vec![step.clone()]).apply()?,
        (step, _) => plan.0.extend(step.clone()),
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
    plan.0.extend(replacing(user, text.as_deref(), known.with(block).as_deref())?);
    Ok(plan)
}

/// The line that cron.allow needs.
///
/// # Errors
/// A user without access, where that may not be changed.
fn addition_to_allow(user: &str, fix: Fix) -> Result<Option<Step>> {
    match (access(user)?, fix) {
        (Allowed::Yes, _) => Ok(None),
        (Allowed::NotNamed(path), Fix::Yes) => Ok(Some(Step::Append { path, line: user.to_owned() })),
        (Allowed::NotNamed(path), Fix::No) => {
            let path = path.display();
            Err(Error::new(format!("cron does not allow {user} a crontab: {path} has no line `{user}`."))
                .hint(format!("As root, `echo {user} >>{path}`, or install with --fix, which does that.")))
        }
        (Allowed::Denied(path), _) => {
            let path = path.display();
            Err(Error::new(format!("cron does not allow {user} a crontab: {path} has the line `{user}`."))
                .hint("Somebody put it there on purpose: remove it if that is no longer wanted, or use another user."))
        }
    }
}

fn replacing(user: &str, now: Option<&str>, then: Option<&str>) -> Result<Option<Step>> {
    if now == then {
        return Ok(None);
    }
    Ok(Some(match then {
        Some(text) => Step::Run { command: crontab_command(user, "-")?, input: Some(text.to_owned()) },
        None => Step::Run { command: crontab_command(user, "-r")?, input: None },
    }))
}

fn out_of_crontab(user: &str, folder: &str) -> Result<Plan> {
    let text = crontab(user)?;
    let known = Crontab::parse(text.as_deref().unwrap_or_default())?;
    let Some(mut block) = known.block.clone() else { return Ok(Plan::default()) };
    block.entries.retain(|entry| entry.marker.folder != folder);
    let was_added = block.access == Access::Added && block.entries.is_empty();
    let mut plan = Plan(Vec::from_iter(replacing(user, text.as_deref(), known.with(block).as_deref())?));
    let allow =
        LISTS.map(|folder| Path::new(folder).join("cron.allow")).into_iter().find(|path| path.exists());
    if let Some(path) = allow.filter(|_| was_added) {
        plan.0.push(Step::TakeOut { path, line: user.to_owned() });
    }
    Ok(plan)
}

fn in_crontab(user: &str) -> Result<Vec<Installed>> {
    let text = crontab(user)?.unwrap_or_default();
    let crontab =
        Crontab::parse(&text).map_err(|error| error.while_doing(format!("The crontab of {user}")))?;
    let owned = |setting: &Setting<'_>| (setting.name.to_owned(), setting.value.to_owned());
    let above: Vec<_> = crontab.settings().0.iter().map(owned).collect();
    let entries = crontab.block.map(|block| block.entries).unwrap_or_default();
    let installed = |entry: Entry| Installed {
        scheduler: Scheduler::Cron,
        marker: entry.marker.clone(),
        place: Place::Crontab { user: user.to_owned(), entry, above: above.clone() },
    };
    Ok(entries.into_iter().map(installed).collect())
}

/// Where cron keeps crontabs: Debian, others, macOS.
const SPOOLS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron", "/var/at/tabs"];

/// A crontab's file, which is named after its user.
#[derive(Debug)]
struct Spooled {
    user: String,
    path: PathBuf,
}

/// Every crontab's: for root only, who may look. What `crontab` itself is about to write is none.
fn spooled() -> Vec<Spooled> {
    let files = SPOOLS.iter().filter_map(|spool| fs::read_dir(spool).ok()).flatten().flatten();
    let files = files.filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
    let spooled = |file: fs::DirEntry| {
        let user = file.file_name().into_string().ok()?;
        (!user.starts_with("tmp.")).then(|| Spooled { user, path: file.path() })
    };
    files.filter_map(spooled).collect()
}

/// What is in the crontab of somebody who is gone.
fn in_orphan(spooled: &Spooled) -> Result<Vec<Installed>> {
    let Spooled { user, path } = spooled;
    let what = format!("The crontab {}, whose user no longer exists", path.display());
    let text = fs::read_to_string(path).map_err(|error| Error::new(format!("{what}: {error}")))?;
    let crontab = Crontab::parse(&text).map_err(|error| error.while_doing(what))?;
    let entries = crontab.block.map(|block| block.entries).unwrap_or_default();
    let installed = |entry: Entry| Installed {
        scheduler: Scheduler::Cron,
        marker: entry.marker.clone(),
        place: Place::Orphan { user: user.clone(), path: path.clone(), entry },
    };
    Ok(entries.into_iter().map(installed).collect())
}

/// Takes a folder out of such a crontab. One that was made for it goes; `crontab` has put comments of its own at its head.
fn out_of_orphan(path: &Path, folder: &str) -> Result<Plan> {
    let text = fs::read_to_string(path)
        .map_err(|error| Error::new(format!("Reading {}: {error}", path.display())))?;
    let known = Crontab::parse(&text)?;
    let Some(mut block) = known.block.clone() else { return Ok(Plan::default()) };
    block.entries.retain(|entry| entry.marker.folder != folder);
    let was_made = block.origin == Origin::Nothing;
    let rest = known.with(block).unwrap_or_default();
    let is_empty = rest.lines().all(|line| line.is_empty() || line.starts_with('#'));
    let path = path.to_owned();
    Ok(Plan(vec![if was_made && is_empty {
        Step::Remove { path }
    } else {
        Step::Replace { path, text: rest }
    }]))
}

// ---- systemd ----

/// Where an administrator's units are (systemd.unit(5)).
pub(crate) fn unit_folder(manager: Manager, config_home: &Path) -> PathBuf {
    match manager {
        Manager::System => PathBuf::from("/etc/systemd/system"),
        Manager::User => config_home.join("systemd/user"),
    }
}

/// What an administrator has added to a job's service.
pub(crate) fn added_to_service(folder: &Path, job: &Job) -> Vec<String> {
    let files =
        fs::read_dir(folder.join(format!("{}.service.d", job.name()))).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort();
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| systemd::properties_in(&text)).collect()
}

fn systemctl(manager: Manager, words: &[&str]) -> Vec<String> {
    let own = (manager == Manager::User).then_some("--user");
    ["systemctl"].into_iter().chain(own).chain(words.iter().copied()).map(str::to_owned).collect()
}

pub(crate) fn into_systemd(job: &Job, options: &systemd::Options, folder: &Path) -> Result<Plan> {
    let mut plan = Plan::default();
    for (name, text) in systemd::units(job, options)? {
        let path = folder.join(name);
        of_this_folder(&path, job)?;
        plan.write(path, text);
    }
    let timer = format!("{}.timer", job.name());
    // One that counts from the boot would run at once: that moment is over.
    let now = if job.schedule == Schedule::Boot { "stop" } else { "restart" };
    if !plan.is_empty() || !is_on(&timer, job, options.manager) {
        for words in [&["daemon-reload"][..], &["enable", "--quiet", &timer], &[now, &timer]] {
            plan.0.push(Step::Run { command: systemctl(options.manager, words), input: None });
        }
    }
    Ok(plan)
}

/// Whether a timer whose files are there is in use as well.
fn is_on(timer: &str, job: &Job, manager: Manager) -> bool {
    let is = |state: &str| plan::run(&systemctl(manager, &[state, "--quiet", timer]), None).is_ok();
    is("is-enabled") && (job.schedule == Schedule::Boot || is("is-active"))
}

/// Two folders can have one name; a file of another's is left alone.
fn of_this_folder(path: &Path, job: &Job) -> Result<()> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
    match Marker::all_in(&text).pop() {
        Some(marker) if marker.folder == job.folder => Ok(()),
        Some(marker) => Err(of_another(&path.display().to_string(), &marker)),
        None => Err(Error::new(format!("{} was not made by `bwdc schedule install`.", path.display()))
            .hint("Move it elsewhere, then install again.")),
    }
}

fn of_another(place: &str, marker: &Marker) -> Error {
    Error::new(format!("{place} is for the folder {}.", marker.folder))
        .hint("Rename one of the folders: their names are too similar.")
}

fn out_of_systemd(folder: &Path, name: &str, manager: Manager) -> Plan {
    let timer = format!("{name}.timer");
    let service = format!("{name}.service");
    let attempt = |words: &[&str]| Step::Try { command: systemctl(manager, words) };
    // A manager that goes on with what it knows has to hear of it; where none runs, the link is what it would do.
    let disable = if Scheduler::Systemd.is_here() {
        Step::Run { command: systemctl(manager, &["disable", "--now", "--quiet", &timer]), input: None }
    } else {
        Step::Remove { path: folder.join("timers.target.wants").join(&timer) }
    };
    Plan(vec![
        disable,
        // When it ran last, which Persistent= remembers.
        attempt(&["clean", "--what=state", &timer]),
        Step::Remove { path: folder.join(&timer) },
        Step::Remove { path: folder.join(&service) },
        attempt(&["daemon-reload"]),
        attempt(&["reset-failed", &timer, &service]),
    ])
}

fn in_systemd(folder: &Path, manager: Manager) -> Vec<Installed> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let timers = files.filter(|path| path.extension().is_some_and(|extension| extension == "timer"));
    let mut all: Vec<_> = timers
        .filter_map(|path| {
            let marker = Marker::all_in(&fs::read_to_string(&path).ok()?).pop()?;
            let name = path.file_stem()?.to_str()?.to_owned();
            let place = Place::Units { folder: folder.to_owned(), name, manager };
            Some(Installed { scheduler: Scheduler::Systemd, marker, place })
        })
        .collect();
    all.sort_by(|one, other| one.marker.folder.cmp(&other.marker.folder));
    all
}

// ---- launchd ----

/// Where property lists are (launchd.plist(5)).
pub(crate) fn list_folder(domain: Domain, home: &Path) -> PathBuf {
    match domain {
        Domain::System => PathBuf::from("/Library/LaunchDaemons"),
        Domain::User => home.join("Library/LaunchAgents"),
    }
}

fn launchd_domain(domain: Domain) -> Result<String> {
    match domain {
        Domain::System => Ok("system".to_owned()),
        Domain::User => {
            let id = plan::run(&["id".to_owned(), "-u".to_owned()], None)?;
            Ok(format!("gui/{}", id.trim()))
        }
    }
}

pub(crate) fn into_launchd(job: &Job, domain: Domain, folder: &Path) -> Result<Plan> {
    let mut plan = Plan::default();
    let label = launchd::label(job);
    let path = folder.join(format!("{label}.plist"));
    of_this_folder(&path, job)?;
    plan.write(path.clone(), launchd::property_list(job, domain)?);
    if !plan.is_empty() {
        let target = launchd_domain(domain)?;
        let loaded = format!("{target}/{label}");
        plan.0.insert(0, Step::attempt(&["launchctl", "bootout", &loaded]));
        plan.0.push(Step::run(&["launchctl", "bootstrap", &target, &path.display().to_string()]));
    }
    Ok(plan)
}

fn in_launchd(folder: &Path, domain: Domain) -> Vec<Installed> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let lists = files.filter(|path| path.extension().is_some_and(|extension| extension == "plist"));
    lists
        .filter_map(|path| {
            let marker = Marker::all_in(&fs::read_to_string(&path).ok()?).pop()?;
            Some(Installed {
                scheduler: Scheduler::Launchd,
                marker,
                place: Place::PropertyList { path, domain },
            })
        })
        .collect()
}

// ---- Task Scheduler ----

/// The file with the task, then the command that registers it.
pub(crate) fn into_task_scheduler(job: &Job, file: &Path) -> Result<Plan> {
    let text = windows::task(job)?;
    let path = windows::path(job);
    match in_task_scheduler()?.into_iter().find(|known| known.place() == path) {
        Some(known) if known.marker == job.marker() => return Ok(Plan::default()),
        // Windows takes large and small letters of a path for the same.
        Some(known) if known.marker.folder.to_lowercase() != job.folder.to_lowercase() => {
            return Err(of_another(&path, &known.marker));
        }
        _ => {}
    }
    Ok(Plan(vec![
        Step::WriteUtf16 { path: file.to_owned(), text },
        // It asks for the user's password.
        Step::Ask { command: windows::create(job, &file.display().to_string()) },
        Step::Remove { path: file.to_owned() },
    ]))
}

fn in_task_scheduler() -> Result<Vec<Installed>> {
    if !Scheduler::Windows.is_here() {
        return Ok(Vec::new());
    }
    let query = ["schtasks", "/Query", "/XML", "ONE"].map(str::to_owned);
    let text = plan::run(&query, None)?;
    let installed = |marker: Marker| {
        let path = format!("\\bwdc\\{}", super::name_of(&marker.folder));
        Installed { scheduler: Scheduler::Windows, marker, place: Place::Task { path } }
    };
    Ok(Marker::all_in(&text).into_iter().map(installed).collect())
}

// ---- all ----

/// Where things of a user are.
#[derive(Clone, Debug)]
pub(crate) struct Homes {
    /// Whose crontab is looked at, if anybody's in particular.
    pub(crate) user: Option<String>,
    pub(crate) home: PathBuf,
    pub(crate) config_home: PathBuf,
}

impl Homes {
    pub(crate) fn of(environment: &Environment, user: Option<String>) -> Self {
        let home = environment.path(env::HOME).unwrap_or_default();
        let config_home = environment.path(env::XDG_CONFIG_HOME).unwrap_or_else(|| home.join(".config"));
        Self { user, home, config_home }
    }
}

/// Every schedule on this machine that this user can see.
pub(crate) fn all(homes: &Homes) -> Result<Found> {
    let Found { mut all, skipped } = if cfg!(unix) { in_crontabs(homes)? } else { Found::default() };
    if cfg!(unix) {
        for manager in [Manager::System, Manager::User] {
            all.extend(in_systemd(&unit_folder(manager, &homes.config_home), manager));
        }
        for domain in [Domain::System, Domain::User] {
            all.extend(in_launchd(&list_folder(domain, &homes.home), domain));
        }
    }
    all.extend(in_task_scheduler()?);
    Ok(Found { all, skipped })
}

/// What is in the crontabs that are looked at. Where there is no cron, nobody's.
fn in_crontabs(homes: &Homes) -> Result<Found> {
    let has_crontab = || {
        let own = plan::run(&["crontab".to_owned(), "-l".to_owned()], None);
        own.err().is_none_or(|error| error.message.contains("no crontab for"))
    };
    let all = match &homes.user {
        Some(user) => in_crontab_or_orphan(user)?,
        None if account::is_root() => return Ok(in_all_crontabs()),
        None if has_crontab() => in_crontab(&account::own_name()?)?,
        None => Vec::new(),
    };
    Ok(Found { all, skipped: Vec::new() })
}

fn in_crontab_or_orphan(user: &str) -> Result<Vec<Installed>> {
    let orphan = || spooled().into_iter().find(|spooled| spooled.user == user);
    match account::find(user)?.is_none().then(orphan).flatten() {
        Some(orphan) => in_orphan(&orphan),
        None => in_crontab(user),
    }
}

/// Everybody's. What one user has broken does not hide the others'.
fn in_all_crontabs() -> Found {
    let mut found = Found::default();
    for spooled in spooled() {
        let read = match account::find(&spooled.user) {
            Ok(Some(_)) => in_crontab(&spooled.user),
            // Whom cron does not let have one any more, not even root can ask about.
            _ => in_orphan(&spooled),
        };
        match read {
            Ok(installed) => found.all.extend(installed),
            Err(error) => found.skipped.push(error),
        }
    }
    found
}

impl Installed {
    /// The next run, as its scheduler will have it.
    pub(crate) fn next(&self, now: &ZonedDateTime) -> Option<Timestamp> {
        if let Place::Units { name, manager, .. } = &self.place
            && let Some(next) = elapses(*manager, name)
        {
            return Some(next);
        }
        self.runs(now, 1).ok()?.first().map(ZonedDateTime::timestamp)
    }

    /// The next runs, as the scheduler will have them. When an interval began is known to the scheduler only: then there are none.
    pub(crate) fn runs(&self, now: &ZonedDateTime, count: usize) -> Result<Vec<ZonedDateTime>> {
        let schedule = Schedule::parse(&self.marker.schedule)?;
        let schedule = match (self.scheduler, &schedule) {
            _ if matches!(self.place, Place::Orphan { .. }) => return Ok(Vec::new()),
            (Scheduler::Cron, _) => Schedule::cron(&cron::time(&schedule)?)?,
            (_, Schedule::Every(_)) => return Ok(Vec::new()),
            _ => schedule,
        };
        Ok(match self.scheduler {
            Scheduler::Systemd => schedule.systemd_runs_after(now.clone()).take(count).collect(),
            _ => schedule.runs_after(now.clone()).take(count).collect(),
        })
    }

    /// Where it is, to read.
    pub(crate) fn place(&self) -> String {
        match &self.place {
            Place::Crontab { user, .. } => format!("the crontab of {user}"),
            Place::Orphan { user, path, .. } => {
                format!("{}: the user {user} is gone, so it does not run", path.display())
            }
            Place::Units { folder, name, .. } => folder.join(format!("{name}.timer")).display().to_string(),
            Place::PropertyList { path, .. } => path.display().to_string(),
            Place::Task { path } => path.clone(),
        }
    }

    /// Its files, or its part of one.
    pub(crate) fn text(&self) -> Result<String> {
        let read = |path: &Path| {
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| Error::new(format!("Reading {}: {error}", path.display())))?;
            Ok(format!("# The file {}:\n{text}", path.display()))
        };
        match &self.place {
            Place::Crontab { entry, .. } | Place::Orphan { entry, .. } => {
                Ok(format!("# In {}:\n{}", self.place(), entry.text()))
            }
            Place::Units { folder, name, .. } => {
                let units = ["service", "timer"].map(|kind| read(&folder.join(format!("{name}.{kind}"))));
                Ok(units.into_iter().collect::<Result<Vec<_>>>()?.join("\n"))
            }
            Place::PropertyList { path, .. } => read(path),
            Place::Task { path } => {
                plan::run(&["schtasks", "/Query", "/XML", "/TN", path].map(str::to_owned), None)
            }
        }
    }

    pub(crate) fn removal(&self) -> Result<Plan> {
        match &self.place {
            Place::Crontab { user, .. } => out_of_crontab(user, &self.marker.folder),
            Place::Orphan { path, .. } => out_of_orphan(path, &self.marker.folder),
            Place::Units { folder, name, manager } => Ok(out_of_systemd(folder, name, *manager)),
            Place::PropertyList { path, domain } => {
                let label = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let loaded = format!("{}/{label}", launchd_domain(*domain)?);
                Ok(Plan(vec![
                    Step::attempt(&["launchctl", "bootout", &loaded]),
                    Step::Remove { path: path.clone() },
                ]))
            }
            Place::Task { path } => Ok(Plan(vec![Step::run(&["schtasks", "/Delete", "/TN", path, "/F"])])),
        }
    }

    /// The command that shows what it said, where that is in the journal.
    pub(crate) fn in_journal(&self) -> Option<Vec<String>> {
        let Place::Units { name, manager, .. } = &self.place else { return None };
        let own = (*manager == Manager::User).then_some("--user");
        let words = ["journalctl"].into_iter().chain(own).chain(["-u", name, "-n", "20"]);
        Some(words.map(str::to_owned).collect())
    }

    /// Whether the command that runs it now ends with the sync; the others only start it.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.place, Place::Crontab { .. } | Place::Units { .. })
    }

    /// What runs it now, as the scheduler would.
    pub(crate) fn run_now(&self) -> Result<Vec<String>> {
        match &self.place {
            Place::Crontab { user, entry, above } => as_cron(user, entry, above),
            Place::Orphan { user, .. } => Err(Error::new(format!("There is no user {user} any more."))
                .hint("`bwdc schedule remove` removes the rest of this schedule.")),
            Place::Units { name, manager, .. } => {
                Ok(systemctl(*manager, &["start", &format!("{name}.service")]))
            }
            Place::PropertyList { path, domain } => {
                let label = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let target = format!("{}/{label}", launchd_domain(*domain)?);
                Ok(vec!["launchctl".to_owned(), "kickstart".to_owned(), target])
            }
            Place::Task { path } => Ok(["schtasks", "/Run", "/TN", path].map(str::to_owned).to_vec()),
        }
    }
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

/// When a timer is due next, by its manager's own word.
fn elapses(manager: Manager, name: &str) -> Option<Timestamp> {
    let timer = format!("{name}.timer");
    let text =
        plan::run(&systemctl(manager, &["list-timers", "--all", "--output=json", &timer]), None).ok()?;
    next_of_timers(&text)
}

/// The first timer of `systemctl list-timers --output=json`. An older systemd gives no number, and one that is not due gives 0.
fn next_of_timers(text: &str) -> Option<Timestamp> {
    let timers: serde_json::Value = serde_json::from_str(text).ok()?;
    let microseconds = timers.get(0)?.get("next")?.as_i64().filter(|next| *next > 0)?;
    Timestamp::from_microsecond(microseconds).ok()
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
