//! `bwdc schedule`

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::{Value, json};

use crate::config::env::{self, Environment};
use crate::config::installation::{self, Installation};
use crate::config::{place, secrets};
use crate::error::{Error, Exit, Result};
use crate::schedule::account::{self, Account};
use crate::schedule::expression::Schedule;
use crate::schedule::install::{self, Fix, Homes, Installed, Mode, Scheduler};
use crate::schedule::launchd::Domain;
use crate::schedule::plan::{self, Plan, Step};
use crate::schedule::script::Script;
use crate::schedule::systemd::Manager;
use crate::schedule::{Job, Marker, Syncs, Writes, cron, explain, kubernetes, systemd, windows};
use crate::ui::{self, Answer, Style};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bwdc schedule explain \"0 12 * * 1\"\n  bwdc schedule install --every 15m --user bwdc --create-user\n  bwdc schedule install --weekly mon@20:00 --appdata ./one --appdata ./two --dry-run\n  bwdc schedule next -n 5\n  bwdc schedule remove"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say in English what an expression means, when it runs next, and what is odd about it.
    Explain(ExplainArguments),
    /// Have syncs run at set times.
    Install(Box<InstallArguments>),
    /// Show which schedules there are.
    List(UserArgument),
    /// Show the files of a schedule.
    Show(Selection),
    /// Take schedules away, without a trace.
    Remove(RemoveArguments),
    /// Show when the next runs are.
    Next(NextArguments),
    /// Run an installed sync now, as its scheduler would.
    RunNow(Selection),
    /// Print a sync script to keep and to change.
    Script(ScriptArguments),
}

#[derive(Debug, Args)]
struct ExplainArguments {
    /// Five fields, @daily and the like, an interval (15m), a time (02:30), or days and a time (mon@20:00).
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    #[command(flatten)]
    clock: Clock,
}

#[derive(Debug, Args)]
struct Clock {
    /// The zone in which it runs, such as Europe/Berlin; this machine's, if it is not given.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Look from this moment on (2026-03-28T00:00), not from now.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct When {
    /// So often: 15m, 2h, 1d.
    #[arg(long, value_name = "INTERVAL")]
    every: Option<String>,
    /// At the times of a cron expression: "0 12 * * 1", @daily.
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Every day at a time: 02:30.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// On days of the week at a time: mon@20:00, mon-fri@06:00.
    #[arg(long, value_name = "DAYS@TIME")]
    weekly: Option<String>,
}

impl When {
    fn schedule(&self) -> Result<Option<Schedule>> {
        let Self { every, cron, at, weekly } = self;
        let parsed = match (every, cron, at, weekly) {
            (Some(every), ..) => crate::schedule::expression::Interval::parse(every).map(Schedule::Every),
            (_, Some(cron), ..) => Schedule::cron(cron),
            (_, _, Some(time), _) => Schedule::daily(time),
            (_, _, _, Some(days)) => Schedule::weekly(days),
            _ => return Ok(None),
        };
        parsed.map(Some)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Using {
    Cron,
    Systemd,
    Launchd,
    TaskScheduler,
    Kubernetes,
}

#[derive(Debug, Args)]
struct InstallArguments {
    #[command(flatten)]
    when: When,
    /// What runs it; if not given, the platform's best. Kubernetes is printed only.
    #[arg(long, value_enum)]
    using: Option<Using>,
    /// The user as whom it runs.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Make that user if there is none: a system account without a login shell.
    #[arg(long, requires = "user")]
    create_user: bool,
    /// The folder of data.json; more than one for several instances.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// Sync everything that bwdc.toml names (in that folder, or named by --config), not the one instance in the folder; at the time
    /// that the file says for all, if none is given.
    #[arg(long)]
    all: bool,
    /// Show every file and every command, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Give the sync a variable that is not secret, such as BWDC_CA_FILE=/etc/ours.pem. A scheduler passes none on.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The program, if it is not to be this one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// cron: add the user to cron.allow where that is needed.
    #[arg(long)]
    fix: bool,
    /// cron: mail the end of the log to this address when a sync fails.
    #[arg(long, value_name = "ADDRESS")]
    mail_to: Option<String>,
    /// systemd: the user's own manager, not the system's.
    #[arg(long)]
    user_manager: bool,
    /// systemd: a secret from a file that only root can read: login.clientSecret=/etc/bwdc/key.
    #[arg(long, value_name = "NAME=FILE")]
    credential: Vec<String>,
    /// systemd: start up to so many seconds later, each machine at its own time.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    random_delay: u32,
    /// Kubernetes: the image with the program.
    #[arg(long, value_name = "IMAGE", default_value = concat!("bwdc:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Kubernetes: the zone of the times.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

#[derive(Debug, Args)]
struct UserArgument {
    /// The user whose crontab is looked at.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct Selection {
    /// The folder of the instance, where several have a schedule.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    #[command(flatten)]
    user: UserArgument,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    #[command(flatten)]
    selection: Selection,
    /// All that there are.
    #[arg(long, conflicts_with = "appdata")]
    all: bool,
    /// Show every file and every command, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct NextArguments {
    /// How many.
    #[arg(short = 'n', value_name = "NUMBER", default_value_t = 5)]
    count: usize,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    user: UserArgument,
}

#[derive(Debug, Args)]
struct ScriptArguments {
    /// The language.
    #[arg(long, value_enum, default_value = if cfg!(windows) { "powershell" } else { "sh" })]
    shell: Shell,
    /// The folder of data.json; more than one for several instances.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// The organization's client id, if it was not kept by a login.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The file with the API key; if not given, `client-secret` in each instance's folder.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The program, if it is not to be this one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Sh,
    Powershell,
}

pub(super) fn run(
    environment: &Environment,
    arguments: Arguments,
    config: Option<&Path>,
    style: Style,
) -> Result<(Answer, Exit)> {
    let done = |answer: Answer| (answer, Exit::Success);
    match arguments.command {
        Command::Explain(arguments) => explain(&arguments).map(done),
        Command::Install(arguments) => install(environment, &arguments, config, style).map(done),
        Command::List(arguments) => list(environment, arguments.user).map(done),
        Command::Show(selection) => show(environment, selection).map(done),
        Command::Remove(arguments) => remove(environment, arguments).map(done),
        Command::Next(arguments) => next(environment, arguments).map(done),
        Command::RunNow(selection) => run_now(environment, selection).map(done),
        Command::Script(arguments) => script(environment, &arguments).map(done),
    }
}

// ---- the clock ----

impl Clock {
    fn zone(&self) -> Result<TimeZone> {
        let Some(name) = &self.tz else { return Ok(TimeZone::system()) };
        TimeZone::get(name).map_err(|error| {
            Error::new(format!("Finding the time zone {name}: {error}"))
                .hint("Use a name of the IANA database, such as Europe/Berlin or UTC; the system's package is called tzdata.")
        })
    }

    fn now(&self) -> Result<ZonedDateTime> {
        let zone = self.zone()?;
        let Some(text) = &self.from else { return Ok(Timestamp::now().to_zoned_datetime(zone)) };
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(moment.to_zoned_datetime(zone));
        }
        let civil = text.parse::<DateTime>().and_then(|civil| civil.to_zoned_datetime(zone));
        civil.map_err(|error| {
            Error::new(format!("Understanding the time `{text}`: {error}"))
                .hint("Write it as 2026-03-28T00:00, or 2026-03-28T00:00Z for UTC.")
        })
    }
}

fn shown(run: &ZonedDateTime) -> String {
    run.strftime("%a %F %H:%M %Z").to_string()
}

/// A run in the zone it is for, and in this machine's where that shows another time.
fn in_both(run: &ZonedDateTime) -> String {
    let local = run.with_time_zone(TimeZone::system());
    if local.datetime() == run.datetime() {
        return shown(run);
    }
    format!("{}   here {}", shown(run), shown(&local))
}

fn values(runs: &[ZonedDateTime]) -> Value {
    runs.iter().map(|run| run.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).collect()
}

// ---- explain, next ----

fn explain(arguments: &ExplainArguments) -> Result<Answer> {
    let schedule = Schedule::parse(&arguments.expression)?;
    let now = arguments.clock.now()?;
    let english = explain::english(&schedule);
    let runs: Vec<_> = schedule.runs_after(now.clone()).take(5).collect();
    let warnings = explain::warnings(&schedule, now.time_zone(), now.timestamp());
    let mut parts = vec![english.clone()];
    let calendar = match &schedule {
        Schedule::Cron(cron) => {
            parts.push(explain::diagram(cron));
            systemd::calendar(cron).unwrap_or_default()
        }
        Schedule::Every(_) | Schedule::Boot => Vec::new(),
    };
    if !runs.is_empty() {
        let lines: Vec<_> = runs.iter().map(|run| format!("  {}", in_both(run))).collect();
        parts.push(format!("Next:\n{}", lines.join("\n")));
    }
    parts.extend(warnings.iter().map(|warning| format!("Note: {warning}")));
    let value = json!({
        "object": "schedule",
        "schedule": schedule.to_string(),
        "english": english,
        "next": values(&runs),
        "nextBySystemd": values(&schedule.systemd_runs_after(now).take(5).collect::<Vec<_>>()),
        "onCalendar": calendar,
        "warnings": warnings,
    });
    Ok(Answer::Table { text: parts.join("\n\n"), value })
}

fn next(environment: &Environment, arguments: NextArguments) -> Result<Answer> {
    let now = arguments.clock.now()?;
    let count = arguments.count;
    if let Some(schedule) = arguments.when.schedule()? {
        let runs: Vec<_> = schedule.runs_after(now).take(count).collect();
        let lines: Vec<_> = runs.iter().map(in_both).collect();
        return Ok(Answer::Table { text: lines.join("\n"), value: values(&runs) });
    }
    let all = install::all(&homes(environment, arguments.user.user)?)?;
    if all.is_empty() {
        return Err(nothing_installed());
    }
    let mut parts = Vec::new();
    let mut list = Vec::new();
    for installed in &all {
        let runs = runs_of(installed, &now, count)?;
        let lines: Vec<_> = runs.iter().map(|run| format!("  {}", in_both(run))).collect();
        parts.push(format!("{} ({})\n{}", installed.marker.folder, told(installed), lines.join("\n")));
        list.push(json!({ "folder": installed.marker.folder, "next": values(&runs) }));
    }
    Ok(Answer::Table { text: parts.join("\n"), value: list.into() })
}

/// The next runs, as the scheduler will have them. When an interval began is known to the scheduler only: then there are none.
pub(super) fn runs_of(
    installed: &Installed,
    now: &ZonedDateTime,
    count: usize,
) -> Result<Vec<ZonedDateTime>> {
    let schedule = Schedule::parse(&installed.marker.schedule)?;
    let schedule = match (installed.scheduler, &schedule) {
        (Scheduler::Cron, _) => Schedule::cron(&cron::time(&schedule)?)?,
        (_, Schedule::Every(_)) => return Ok(Vec::new()),
        _ => schedule,
    };
    Ok(match installed.scheduler {
        Scheduler::Systemd => schedule.systemd_runs_after(now.clone()).take(count).collect(),
        _ => schedule.runs_after(now.clone()).take(count).collect(),
    })
}

fn told(installed: &Installed) -> String {
    let Marker { schedule, syncs, .. } = &installed.marker;
    let all = match syncs {
        Syncs::Instance => "",
        Syncs::Everything => "everything that bwdc.toml names, ",
    };
    format!("{all}{schedule}, by {}", installed.scheduler.name())
}

// ---- install ----

/// Whom and what a schedule is for.
struct Target {
    using: Using,
    account: Option<Account>,
    user: String,
    folders: Vec<String>,
    program: String,
}

fn install(
    environment: &Environment,
    arguments: &InstallArguments,
    config: Option<&Path>,
    style: Style,
) -> Result<Answer> {
    let when = match arguments.when.schedule()? {
        None if !arguments.all => return Err(not_said_when()),
        when => when,
    };
    let target = target(environment, arguments)?;
    let mut variables = arguments.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>>>()?;
    if let Some(path) = config {
        let path = if target.using.is_elsewhere() { absolute_there(path)? } else { whole(path)? };
        variables.push((env::CONFIG.to_owned(), path));
    }
    for warning in forgotten(environment, &variables, &target) {
        ui::warning(&warning, style);
    }
    if arguments.all && target.folders.len() > 1 {
        return Err(Error::new("With --all there is one job for everything, and here are several folders.")
            .hint("Name the folder of bwdc.toml, or any one together with --config FILE."));
    }
    let config = variables.iter().find(|(name, _)| name == env::CONFIG).map(|(_, path)| Path::new(path));
    let job = |folder: &String| {
        let syncs = if arguments.all { Syncs::Everything } else { Syncs::Instance };
        let path = Path::new(folder);
        let installation =
            if target.using.is_elsewhere() { None } else { installation_of(path, config, syncs)? };
        let schedule = match (&when, &installation) {
            (Some(when), _) => when.clone(),
            (None, Some(installation)) => same_for_all(installation)?,
            (None, None) => return Err(not_said_when()),
        };
        let writes = installation.map(|installation| writes(&installation, path, syncs)).transpose()?;
        Ok(Job {
            schedule,
            program: target.program.clone(),
            folder: folder.clone(),
            syncs,
            writes: writes.unwrap_or_default(),
            user: target.user.clone(),
            variables: variables.clone(),
        })
    };
    let jobs = target.folders.iter().map(job).collect::<Result<Vec<Job>>>()?;
    if target.using != Using::Cron {
        no_name_twice(&jobs)?;
    }
    match target.using {
        Using::Kubernetes => cron_job(&jobs, arguments),
        Using::TaskScheduler if !Scheduler::Windows.is_here() => tasks(&jobs),
        _ => {
            let plan = plan(environment, arguments, &target, &jobs)?;
            carry_out(&plan, arguments, &jobs)
        }
    }
}

/// Files and units are named after folders, and these can be too much alike.
fn no_name_twice(jobs: &[Job]) -> Result<()> {
    let mut names = HashMap::new();
    for job in jobs {
        if let Some(other) = names.insert(job.name(), &job.folder) {
            let name = job.name();
            return Err(Error::new(format!("{other} and {} would both be called {name}.", job.folder))
                .hint("Rename one of the folders: their names are too much alike."));
        }
    }
    Ok(())
}

impl Using {
    /// Whether the paths are those of another machine.
    fn is_elsewhere(self) -> bool {
        self == Self::Kubernetes || (self == Self::TaskScheduler && !cfg!(windows))
    }
}

/// A path of another machine, which has no folder to begin at.
fn absolute_there(path: &Path) -> Result<String> {
    let text = path.display().to_string();
    let has_drive = text.get(1..3).is_some_and(|after| after == ":\\" || after == ":/");
    if text.starts_with('/') || text.starts_with("\\\\") || has_drive {
        return Ok(text);
    }
    Err(Error::new(format!("`--config {text}` is no whole path on the machine that runs it.")).hint(
        "Write it from the root on, such as /var/lib/bwdc/bwdc.toml or C:\\ProgramData\\bwdc\\bwdc.toml.",
    ))
}

fn not_said_when() -> Error {
    Error::new("It was not said when to sync.")
        .hint("Give one of --every 15m, --cron \"0 12 * * 1\", --at 02:30 and --weekly mon@20:00.")
}

/// The `bwdc.toml` that a job of this folder will find.
fn installation_of(folder: &Path, config: Option<&Path>, syncs: Syncs) -> Result<Option<Installation>> {
    let nothing = Environment::default();
    match installation::find(config, &nothing, folder)? {
        None if syncs == Syncs::Everything => {
            Err(Error::new(format!("There is no bwdc.toml in {}.", folder.display()))
                .hint("Name it with --config FILE, or leave out --all."))
        }
        found => Ok(found),
    }
}

/// When everything is synced by `bwdc.toml`, if it says one time for all.
fn same_for_all(installation: &Installation) -> Result<Schedule> {
    let alone = installation.alone().map(|instance| instance.schedule.as_ref());
    let mut all = alone.chain(installation.organizations.iter().map(|merge| merge.schedule.as_ref()));
    let first = all.next().flatten();
    let path = installation.path.display();
    match first {
        Some(first) if all.all(|other| other == Some(first)) => first.times(),
        _ => Err(Error::new(format!("{path} does not say one time for everything."))
            .hint("Give the time, such as --every 15m; or have each synced at its own by `bwdc daemon`.")),
    }
}

/// Where a job of this folder writes besides it, by what `bwdc.toml` says.
///
/// # Errors
/// That such a job would fail every time.
fn writes(installation: &Installation, folder: &Path, syncs: Syncs) -> Result<Writes> {
    let is_elsewhere = |path: &&Path| !path.starts_with(folder);
    let log = installation.log_file();
    let log = log.as_deref().and_then(Path::parent).filter(is_elsewhere).map(whole).transpose()?;
    let instances = match syncs {
        Syncs::Everything => {
            let folders = installation.instances.iter().map(|instance| instance.folder.as_path());
            folders.filter(is_elsewhere).map(whole).collect::<Result<_>>()?
        }
        Syncs::Instance => {
            may_run_alone(installation, folder)?;
            Vec::new()
        }
    };
    Ok(Writes { log, instances })
}

fn may_run_alone(installation: &Installation, folder: &Path) -> Result<()> {
    let path = installation.path.display();
    let instance = installation.instance_in(folder);
    let refused = match instance.and_then(|instance| installation.merging(&instance.name)) {
        Some(merge) => {
            format!("{} is merged into {} by {path}, and not synced alone.", folder.display(), merge.name)
        }
        None if instance.is_none()
            && !installation.instances.is_empty()
            && !folder.join("data.json").exists() =>
        {
            format!("There is no data.json in {}, and {path} names instances.", folder.display())
        }
        None => return Ok(()),
    };
    Err(Error::new(refused).hint("Give --all to sync everything that it names."))
}

fn target(environment: &Environment, arguments: &InstallArguments) -> Result<Target> {
    let using = arguments.using.unwrap_or(match Scheduler::usual() {
        Scheduler::Cron => Using::Cron,
        Scheduler::Systemd => Using::Systemd,
        Scheduler::Launchd => Using::Launchd,
        Scheduler::Windows => Using::TaskScheduler,
    });
    if using.is_elsewhere() {
        return Ok(elsewhere(using, arguments));
    }
    if using == Using::TaskScheduler {
        let user = arguments.user.clone().unwrap_or_else(|| "bwdc".to_owned());
        let folders = folders(environment, &arguments.appdata, None)?;
        return Ok(Target {
            using,
            account: None,
            user,
            folders,
            program: program(arguments.program.as_ref())?,
        });
    }
    let account = account(arguments)?;
    let user = match (&account, &arguments.user) {
        (Some(account), _) => account.name.clone(),
        (None, Some(name)) => name.clone(),
        (None, None) => account::own_name()?,
    };
    let home = account.as_ref().map_or_else(|| account::home_of_new(&user), |account| account.home.clone());
    let other = (user != account::own_name()?).then_some(home);
    let folders = folders(environment, &arguments.appdata, other)?;
    Ok(Target { using, account, user, folders, program: program(arguments.program.as_ref())? })
}

/// The paths of another machine are taken as they are.
fn elsewhere(using: Using, arguments: &InstallArguments) -> Target {
    let (folder, program) = match using {
        Using::Kubernetes => ("/var/lib/bwdc", "bwdc"),
        _ => ("C:\\ProgramData\\bwdc", "C:\\Program Files\\bwdc\\bwdc.exe"),
    };
    let text = |path: &PathBuf| path.display().to_string();
    let mut folders: Vec<String> = arguments.appdata.iter().map(text).collect();
    if folders.is_empty() {
        folders.push(folder.to_owned());
    }
    Target {
        using,
        account: None,
        user: arguments.user.clone().unwrap_or_else(|| "bwdc".to_owned()),
        folders,
        program: arguments.program.as_ref().map_or_else(|| program.to_owned(), text),
    }
}

/// The user as whom it runs, if they are there; else they have to be made.
fn account(arguments: &InstallArguments) -> Result<Option<Account>> {
    let name = match &arguments.user {
        Some(name) => name.clone(),
        None if account::is_root() => {
            return Err(Error::new("It was not said as whom to sync, and root should not.")
                .hint("Give --user bwdc, with --create-user if there is no such user yet."));
        }
        None => account::own_name()?,
    };
    match account::find(&name)? {
        None if !arguments.create_user => Err(Error::new(format!("There is no user {name}."))
            .hint("Have the user made by --create-user, or make them yourself.")),
        account => Ok(account),
    }
}

fn folders(environment: &Environment, given: &[PathBuf], other_home: Option<PathBuf>) -> Result<Vec<String>> {
    let folders = match (given, other_home) {
        ([], None) => vec![place::folder(environment)?],
        ([], Some(home)) => vec![place::in_home(&home)],
        (given, _) => given.to_vec(),
    };
    let mut all = Vec::new();
    for folder in folders {
        let text = whole(&folder)?;
        if !all.contains(&text) {
            all.push(text);
        }
    }
    Ok(all)
}

/// A path from the root on, as text: as schedulers are given it.
fn whole(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::new(format!("Finding {}: {error}", path.display())))?;
    let path: PathBuf = absolute.components().collect();
    let text = path
        .to_str()
        .ok_or_else(|| Error::new(format!("The name {} is no UTF-8.", path.display())).hint("Rename it."))?;
    Ok(text.to_owned())
}

fn program(given: Option<&PathBuf>) -> Result<String> {
    let path = match given {
        Some(path) => std::path::absolute(path),
        None => std::env::current_exe(),
    };
    path.map(|path| path.display().to_string())
        .map_err(|error| Error::new(format!("Finding the program: {error}")).hint("Name it with --program."))
}

/// `NAME=VALUE`, if it is nothing that others must not see.
fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = named(text, "--env")?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::new(format!("`{name}` is no variable's name.")).hint("Give --env NAME=VALUE."));
    }
    if secrets::ALL.iter().any(|known| known.variable == name && name != env::CLIENT_ID) {
        return Err(Error::new(format!("{name} is secret, and others can read where a schedule keeps it."))
            .hint("Put it into a file that only the user can read; docs/secrets.md shows how."));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn named<'a>(text: &'a str, option: &str) -> Result<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| {
        Error::new(format!("`{option} {text}` has no `=`.")).hint(format!("Give {option} NAME=VALUE."))
    })
}

/// What is set here and will not be there.
fn forgotten(environment: &Environment, given: &[(String, String)], target: &Target) -> Vec<String> {
    if target.using == Using::Kubernetes {
        return Vec::new();
    }
    let plain =
        [env::PLAINTEXT_SECRETS, env::SECRETS_FILE, env::CA_FILE, env::NODE_EXTRA_CA_CERTS, env::CONFIG];
    let is_forgotten =
        |name: &&str| environment.is_set(name) && !given.iter().any(|(known, _)| known == name);
    let mut warnings: Vec<String> = plain
        .iter()
        .filter(|name| is_forgotten(name))
        .map(|name| {
            format!(
                "{name} is set here, but the scheduler does not pass it on: give it with --env {name}=..."
            )
        })
        .collect();
    let secret = secrets::ALL.iter().map(|known| known.variable).filter(|name| is_forgotten(name));
    warnings.extend(secret.map(|name| {
        format!("{name} is set here, but the scheduler does not pass it on: keep it in a file, as docs/secrets.md shows.")
    }));
    warnings
}

fn plan(
    environment: &Environment,
    arguments: &InstallArguments,
    target: &Target,
    jobs: &[Job],
) -> Result<Plan> {
    let mut plan = Plan(new_user(target));
    plan.0.extend(new_folders(target, jobs)?);
    let homes = homes(environment, None)?;
    let is_own = target.user == account::own_name().unwrap_or_default();
    match target.using {
        Using::Cron => {
            let fix = if arguments.fix { Fix::Yes } else { Fix::No };
            let mode = if arguments.dry_run { Mode::Show } else { Mode::Do };
            let user = (target.user.as_str(), target.account.as_ref());
            let entries = install::into_crontab(jobs, arguments.mail_to.as_deref(), user, (fix, mode))?;
            plan.0.extend(entries.0);
        }
        Using::Systemd => {
            let manager = if arguments.user_manager || (is_own && !account::is_root()) {
                Manager::User
            } else {
                Manager::System
            };
            let credentials = credentials(&arguments.credential)?;
            let options = systemd::Options { manager, spread: arguments.random_delay, credentials };
            let folder = install::unit_folder(manager, &homes.config_home);
            for job in jobs {
                plan.0.extend(install::into_systemd(job, &options, &folder)?.0);
            }
        }
        Using::Launchd => {
            let domain = if is_own && !account::is_root() { Domain::User } else { Domain::System };
            for job in jobs {
                plan.0.extend(
                    install::into_launchd(job, domain, &install::list_folder(domain, &homes.home))?.0,
                );
            }
        }
        Using::TaskScheduler | Using::Kubernetes => {
            for job in jobs {
                let file = std::env::temp_dir().join(format!("{}.xml", job.name()));
                plan.0.extend(install::into_task_scheduler(job, &file)?.0);
            }
        }
    }
    Ok(plan)
}

fn credentials(given: &[String]) -> Result<Vec<(String, String)>> {
    let credential = |text: &String| {
        let (name, file) = named(text, "--credential")?;
        if !secrets::ALL.iter().any(|known| known.name == name) {
            let known = secrets::ALL.map(|known| known.name).join(", ");
            return Err(
                Error::new(format!("There is no secret `{name}`.")).hint(format!("There are {known}."))
            );
        }
        Ok((name.to_owned(), whole(Path::new(file))?))
    };
    given.iter().map(credential).collect()
}

/// A system account without a login shell; nobody else may look into its home.
fn new_user(target: &Target) -> Vec<Step> {
    if target.account.is_some() || target.using == Using::TaskScheduler {
        return Vec::new();
    }
    let user = &target.user;
    let home = account::home_of_new(user).display().to_string();
    let shell = "/usr/sbin/nologin";
    let make =
        ["useradd", "--system", "--user-group", "--create-home", "--home-dir", &home, "--shell", shell, user];
    vec![Step::run(&make), Step::run(&["chmod", "700", &home])]
}

/// A scheduler cannot begin in a folder that is not there.
fn new_folders(target: &Target, jobs: &[Job]) -> Result<Vec<Step>> {
    if target.using == Using::TaskScheduler {
        return Ok(Vec::new());
    }
    let all: BTreeSet<&String> =
        jobs.iter().flat_map(|job| job.writes.log.iter().chain([&job.folder])).collect();
    let missing = all.into_iter().filter(|folder| !Path::new(folder).is_dir());
    let is_own = target.user == account::own_name()?;
    let step = |folder: &String| {
        if is_own {
            Step::run(&["install", "-d", "-m", "700", folder])
        } else {
            Step::run(&["install", "-d", "-m", "700", "-o", &target.user, folder])
        }
    };
    Ok(missing.map(step).collect())
}

fn carry_out(plan: &Plan, arguments: &InstallArguments, jobs: &[Job]) -> Result<Answer> {
    if plan.is_empty() {
        return Ok(Answer::message("Nothing to change: it is installed so already."));
    }
    if arguments.dry_run {
        return Ok(Answer::Table { text: plan.text()?, value: plan.value() });
    }
    plan.apply()?;
    let mut lines: Vec<String> =
        jobs.iter().map(|job| format!("{}: {}", job.folder, explain::english(&job.schedule))).collect();
    let instances = jobs.iter().filter(|job| job.syncs == Syncs::Instance);
    lines.extend(instances.filter(|job| !Path::new(&job.folder).join("data.json").exists()).map(|job| {
        format!(
            "{} is not set up yet: see `bwdc init`, with {}={} before it.",
            job.folder,
            env::APPDATA_DIR,
            job.folder
        )
    }));
    lines.push("Try it with `bwdc schedule run-now`.".to_owned());
    Ok(Answer::Message { title: "The schedule is installed.".to_owned(), message: Some(lines.join("\n")) })
}

fn cron_job(jobs: &[Job], arguments: &InstallArguments) -> Result<Answer> {
    let options = kubernetes::Options { image: arguments.image.clone(), zone: arguments.tz.clone() };
    let manifests =
        jobs.iter().map(|job| kubernetes::manifests(job, &options)).collect::<Result<Vec<_>>>()?;
    let text = manifests.join("---\n");
    Ok(Answer::Table {
        value: json!({ "object": "manifests", "yaml": text }),
        text: text.trim_end().to_owned(),
    })
}

/// For a Windows machine, printed elsewhere.
fn tasks(jobs: &[Job]) -> Result<Answer> {
    let mut parts = Vec::new();
    let mut list = Vec::new();
    for job in jobs {
        let file = format!("{}.xml", job.name());
        let xml = windows::task(job)?;
        let [prompt, powershell] = windows::registering(job, &file);
        parts.push(format!(
            "# The file {file}, in UTF-16 or UTF-8:\n{xml}\n# At the command prompt:\n{prompt}\n\n# Or in PowerShell:\n{powershell}"
        ));
        list.push(json!({ "file": file, "xml": xml, "schtasks": prompt, "powershell": powershell }));
    }
    Ok(Answer::Table { text: parts.join("\n\n"), value: list.into() })
}

// ---- list, show, remove, run-now ----

pub(super) fn homes(environment: &Environment, user: Option<String>) -> Result<Homes> {
    let home = environment.path(env::HOME).unwrap_or_default();
    let config_home = environment.path(env::XDG_CONFIG_HOME).unwrap_or_else(|| home.join(".config"));
    Ok(Homes { user, home, config_home })
}

fn nothing_installed() -> Error {
    Error::new("There is no schedule.").hint(
        "Make one with `bwdc schedule install`; as root or as an administrator, others' are seen as well.",
    )
}

fn list(environment: &Environment, user: Option<String>) -> Result<Answer> {
    let all = install::all(&homes(environment, user)?)?;
    let now = ZonedDateTime::now();
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for installed in &all {
        let next = runs_of(installed, &now, 1)?;
        let when = next.first().map(|run| format!(", next {}", shown(run))).unwrap_or_default();
        let marker = &installed.marker;
        lines.push(format!(
            "{}: {} as {}{when}\n  in {}",
            marker.folder,
            told(installed),
            marker.user,
            installed.place()
        ));
        list.push(json!({
            "folder": marker.folder,
            "syncs": marker.syncs,
            "schedule": marker.schedule,
            "using": installed.scheduler.name(),
            "user": marker.user,
            "program": marker.program,
            "place": installed.place(),
            "next": values(&next).get(0),
        }));
    }
    let text = if lines.is_empty() { "There is no schedule.".to_owned() } else { lines.join("\n") };
    Ok(Answer::Table { text, value: list.into() })
}

/// What is meant: all of the folders that are named, or the only one.
fn selected(environment: &Environment, selection: Selection) -> Result<Vec<Installed>> {
    let all = install::all(&homes(environment, selection.user.user)?)?;
    if selection.appdata.is_empty() {
        return match all.len() {
            0 => Err(nothing_installed()),
            1 => Ok(all),
            _ => {
                let folders: Vec<_> =
                    all.iter().map(|one| format!("--appdata {}", one.marker.folder)).collect();
                Err(Error::new("There is more than one schedule.")
                    .hint(format!("Say which is meant: {}.", folders.join(", "))))
            }
        };
    }
    let folders = folders(environment, &selection.appdata, None)?;
    let chosen: Vec<_> = all.into_iter().filter(|one| folders.contains(&one.marker.folder)).collect();
    match folders.iter().find(|folder| !chosen.iter().any(|one| one.marker.folder == **folder)) {
        Some(folder) => Err(Error::new(format!("There is no schedule for {folder}."))
            .hint("`bwdc schedule list` shows those there are.")),
        None => Ok(chosen),
    }
}

fn show(environment: &Environment, selection: Selection) -> Result<Answer> {
    let texts: Vec<_> =
        selected(environment, selection)?.iter().map(Installed::text).collect::<Result<Vec<_>>>()?;
    let text = texts.join("\n");
    Ok(Answer::Table { value: json!({ "object": "string", "data": text }), text: text.trim_end().to_owned() })
}

fn remove(environment: &Environment, arguments: RemoveArguments) -> Result<Answer> {
    let chosen = if arguments.all {
        install::all(&homes(environment, arguments.selection.user.user)?)?
    } else {
        selected(environment, arguments.selection)?
    };
    if chosen.is_empty() {
        return Ok(Answer::message("There is no schedule to remove."));
    }
    let mut shown = Plan::default();
    for installed in &chosen {
        // One after the other: two can be in one crontab.
        let plan = installed.removal()?;
        if !arguments.dry_run {
            plan.apply()?;
        }
        shown.0.extend(plan.0);
    }
    if arguments.dry_run {
        return Ok(Answer::Table { text: shown.text()?, value: shown.value() });
    }
    let folders: Vec<_> = chosen.iter().map(|one| one.marker.folder.clone()).collect();
    Ok(Answer::Message {
        title: "The schedule is removed.".to_owned(),
        message: Some(format!(
            "No sync of {} runs by itself any more. The folder and its user stay.",
            folders.join(", ")
        )),
    })
}

fn run_now(environment: &Environment, selection: Selection) -> Result<Answer> {
    let chosen = selected(environment, selection)?;
    let mut failure = None;
    for installed in &chosen {
        let ran = installed.run_now().and_then(|command| plan::run(&command, None));
        if let Err(error) = ran {
            failure = Some(error.hint(installed.said()));
        }
    }
    let only_started = chosen.iter().filter(|installed| !installed.is_awaited());
    let logs: Vec<String> = only_started
        .map(|installed| Path::new(&installed.marker.folder).join("bwdc.log").display().to_string())
        .collect();
    match failure {
        Some(error) => Err(error),
        None if logs.is_empty() => Ok(Answer::message("The sync has run as it will by itself.")),
        None => Ok(Answer::Message {
            title: "The sync was started, as it will be by itself.".to_owned(),
            message: Some(format!("How it ends is in {}.", logs.join(", "))),
        }),
    }
}

// ---- script ----

fn script(environment: &Environment, arguments: &ScriptArguments) -> Result<Answer> {
    let is_here = cfg!(windows) == (arguments.shell == Shell::Powershell);
    let text = |path: &PathBuf| path.display().to_string();
    let program = match (&arguments.program, is_here) {
        (Some(program), _) => text(program),
        (None, true) => program(None)?,
        (None, false) => "bwdc".to_owned(),
    };
    let folders = if is_here || arguments.appdata.is_empty() {
        folders(environment, &arguments.appdata, None)?
    } else {
        arguments.appdata.iter().map(text).collect()
    };
    let script = Script {
        program,
        folders,
        client_id: arguments.client_id.clone(),
        secret_file: arguments.secret_file.as_ref().map(text),
    };
    let script = match arguments.shell {
        Shell::Sh => script.sh()?,
        Shell::Powershell => script.powershell()?,
    };
    Ok(Answer::Text(Some(script.trim_end().to_owned())))
}
