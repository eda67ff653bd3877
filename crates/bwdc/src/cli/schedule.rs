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
use crate::config::{place, secrets, setup};
use crate::log::{self, escaped};
use crate::schedule::account::{self, Account};
use crate::schedule::expression::Schedule;
use crate::schedule::install::{self, Fix, Homes, Installed, Mode, Scheduler};
use crate::schedule::launchd::Domain;
use crate::schedule::plan::{self, Plan, Step};
use crate::schedule::script::Script;
use crate::schedule::systemd::Manager;
use crate::schedule::trial::{self, By};
use crate::schedule::{Job, Marker, Syncs, USUAL_LOG, Writes, cron, explain, kubernetes, systemd, windows};
use crate::ui::{self, Answer, Style};
use crate::zone;
#[cfg(unix)]
use crate::{
    config::secrets::Known,
    state::{DataFile, key},
};
use bwdc_core::error::{Error, Exit, Result};

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
    /// Explain an expression in plain English, with its next runs and anything unusual about it.
    Explain(ExplainArguments),
    /// Install a schedule.
    Install(Box<InstallArguments>),
    /// List the installed schedules.
    List(UserArgument),
    /// Show the files of a schedule.
    Show(Selection),
    /// Remove schedules completely.
    Remove(RemoveArguments),
    /// Show the next runs.
    Next(NextArguments),
    /// Run an installed sync now, as its scheduler would.
    RunNow(Selection),
    /// Print a sync script to adapt.
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
    /// Time zone, such as Europe/Berlin. Default: the zone of this machine.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Start from this time (2026-03-28T00:00) instead of now.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct When {
    /// Interval: 15m, 2h, 1d.
    #[arg(long, value_name = "INTERVAL")]
    every: Option<String>,
    /// Cron expression: "0 12 * * 1", @daily.
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Daily at this time: 02:30.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// On these days of the week at this time: mon@20:00, mon-fri@06:00.
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
    /// Scheduler to use. Default: the best one on this system. For Kubernetes, the manifest is only printed.
    #[arg(long, value_enum)]
    using: Option<Using>,
    /// User to run the job as.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Create the user if it does not exist: a system account without a login shell.
    #[arg(long, requires = "user")]
    create_user: bool,
    /// Folder of data.json. Repeat it for several instances.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// Sync all instances in bwdc.toml (in that folder, or given by --config) instead of the one in the folder.
    /// Without a time, the schedule in that file applies.
    #[arg(long)]
    all: bool,
    /// Print the files and commands without changing anything.
    #[arg(long)]
    dry_run: bool,
    /// Set an environment variable for the job (no secrets), such as BWDC_CA_FILE=/etc/ours.pem. Schedulers do not pass on the variables of your shell.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Path of the program to run. Default: this one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Fix what would make the job fail: give the user the folder, root's files in it and the secret files named by
    /// root; add the user to cron.allow.
    #[arg(long)]
    fix: bool,
    /// Install without a trial run as that user.
    #[arg(long)]
    untried: bool,
    /// cron: mail the end of the log to this address when a sync fails.
    #[arg(long, value_name = "ADDRESS")]
    mail_to: Option<String>,
    /// systemd: use the user's own manager (systemctl --user).
    #[arg(long)]
    user_manager: bool,
    /// systemd: a secret from a file that only root can read: login.clientSecret=/etc/bwdc/key.
    #[arg(long, value_name = "NAME=FILE")]
    credential: Vec<String>,
    /// systemd: maximum random delay of a start, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    random_delay: u32,
    /// Kubernetes: container image.
    #[arg(long, value_name = "IMAGE", default_value = concat!("bwdc:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Kubernetes: time zone of the schedule.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

#[derive(Debug, Args)]
struct UserArgument {
    /// User whose crontab to read.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

#[derive(Debug, Args)]
struct Selection {
    /// Folder of the instance, if several have a schedule.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    #[command(flatten)]
    user: UserArgument,
}

#[derive(Debug, Args)]
struct RemoveArguments {
    #[command(flatten)]
    selection: Selection,
    /// Remove all schedules.
    #[arg(long, conflicts_with = "appdata")]
    all: bool,
    /// Print the files and commands without changing anything.
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
    /// Folder of data.json. Repeat it for several instances.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// The organization's client id, if `bwdc login` has not stored it.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File with the API key. Default: `client-secret` in each instance's folder.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Path of the program to run. Default: this one.
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
    options: &setup::Options,
    style: Style,
) -> Result<(Answer, Exit)> {
    if let Some(warning) = zone::warning(environment) {
        ui::warning(&warning, style);
    }
    let done = |answer: Answer| (answer, Exit::Success);
    match arguments.command {
        Command::Explain(arguments) => explain(&arguments).map(done),
        Command::Install(arguments) => install(environment, &arguments, options, style).map(done),
        Command::List(arguments) => list(environment, arguments.user, style).map(done),
        Command::Show(selection) => show(environment, selection, style).map(done),
        Command::Remove(arguments) => remove(environment, arguments, style).map(done),
        Command::Next(arguments) => next(environment, arguments, style).map(done),
        Command::RunNow(selection) => run_now(environment, selection, style).map(done),
        Command::Script(arguments) => script(environment, &arguments).map(done),
    }
}

// ---- the clock ----

impl Clock {
    fn zone(&self) -> Result<TimeZone> {
        let Some(name) = &self.tz else { return Ok(zone::local()) };
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
                .hint("Use the form 2026-03-28T00:00, or 2026-03-28T00:00Z for UTC.")
        })
    }
}

fn shown(run: &ZonedDateTime) -> String {
    run.strftime("%a %F %H:%M %Z").to_string()
}

/// A run in the zone it is for, and in this machine's where that shows another time.
fn in_both(run: &ZonedDateTime) -> String {
    let local = run.with_time_zone(zone::local());
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

fn next(environment: &Environment, arguments: NextArguments, style: Style) -> Result<Answer> {
    let now = arguments.clock.now()?;
    let count = arguments.count;
    if let Some(schedule) = arguments.when.schedule()? {
        let runs: Vec<_> = schedule.runs_after(now).take(count).collect();
        let lines: Vec<_> = runs.iter().map(in_both).collect();
        return Ok(Answer::Table { text: lines.join("\n"), value: values(&runs) });
    }
    let all = found(environment, arguments.user.user, style)?;
    if all.is_empty() {
        return Err(nothing_installed());
    }
    let mut parts = Vec::new();
    let mut list = Vec::new();
    for installed in &all {
        let runs = installed.runs(&now, count)?;
        let lines: Vec<_> = runs.iter().map(|run| format!("  {}", in_both(run))).collect();
        let folder = escaped(&installed.marker.folder);
        parts.push(format!("{folder} ({})\n{}", told(installed), lines.join("\n")));
        list.push(json!({ "folder": installed.marker.folder, "next": values(&runs) }));
    }
    Ok(Answer::Table { text: parts.join("\n"), value: list.into() })
}

fn told(installed: &Installed) -> String {
    let Marker { schedule, syncs, .. } = &installed.marker;
    let all = match syncs {
        Syncs::Instance => "",
        Syncs::Everything => "all instances in bwdc.toml, ",
    };
    format!("{all}{}, by {}", escaped(schedule), installed.scheduler.name())
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
    options: &setup::Options,
    style: Style,
) -> Result<Answer> {
    let when = match arguments.when.schedule()? {
        None if !arguments.all => return Err(not_said_when()),
        when => when,
    };
    let target = target(environment, arguments)?;
    let mut variables = arguments.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>>>()?;
    variables.extend(on_the_command_line(options, target.using)?);
    for warning in forgotten(environment, &variables, &target) {
        ui::warning(&warning, style);
    }
    if arguments.all && target.folders.len() > 1 {
        return Err(Error::new("--all makes one job for everything, but several folders were given.")
            .hint("Give the folder of bwdc.toml, or any one folder together with --config FILE."));
    }
    let value =
        |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, path)| Path::new(path));
    let (config, log_file) = (value(env::CONFIG), value(env::LOG_FILE));
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
        let written = installation.as_ref().and_then(Installation::log_file);
        let writes = installation.map(|installation| writes(&installation, path, syncs)).transpose()?;
        let mut writes = writes.unwrap_or_default();
        if let Some(log_file) = log_file.filter(|_| !target.using.is_elsewhere()) {
            writes.log = elsewhere_than(path, log_file.parent())?;
        }
        let usual = match log_file {
            None => usual_log(target.using, folder, written.as_deref())?,
            Some(_) => None,
        };
        Ok(Job {
            schedule,
            program: target.program.clone(),
            folder: folder.clone(),
            syncs,
            writes,
            user: target.user.clone(),
            variables: variables.iter().cloned().chain(usual).collect(),
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
            let options = systemd_options(arguments, &target)?;
            before_anything(arguments, &target, &jobs)?;
            let preparation = preparation(arguments, &target, &jobs)?;
            let jobs_of = (&jobs[..], &options);
            // What cannot be is told before anything is done.
            let only_shown = plan_of(environment, arguments, &target, jobs_of, Mode::Show)?;
            if arguments.dry_run {
                return shown_only(preparation, only_shown);
            }
            preparation.apply()?;
            try_all(environment, arguments, &target, jobs_of)?;
            let plan = plan_of(environment, arguments, &target, jobs_of, Mode::Do)?;
            carry_out(&preparation, &plan, &target, &jobs)
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
                .hint("Rename one of the folders: their names are too similar."));
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
fn absolute_there(path: &Path, option: &str) -> Result<String> {
    let text = path.display().to_string();
    let has_drive = text.get(1..3).is_some_and(|after| after == ":\\" || after == ":/");
    if text.starts_with('/') || text.starts_with("\\\\") || has_drive {
        return Ok(text);
    }
    Err(Error::new(format!("`{option} {text}` is not an absolute path."))
        .hint("Use an absolute path such as /var/lib/bwdc/bwdc.toml or C:\\ProgramData\\bwdc\\bwdc.toml."))
}

fn not_said_when() -> Error {
    Error::new("No time was given.")
        .hint("Use one of --every 15m, --cron \"0 12 * * 1\", --at 02:30 and --weekly mon@20:00.")
}

/// The `bwdc.toml` that a job of this folder will find.
fn installation_of(folder: &Path, config: Option<&Path>, syncs: Syncs) -> Result<Option<Installation>> {
    let nothing = Environment::default();
    match installation::find(config, &nothing, folder)? {
        None if syncs == Syncs::Everything => {
            Err(Error::new(format!("There is no bwdc.toml in {}.", folder.display()))
                .hint("Give it with --config FILE, or leave out --all."))
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
        _ => Err(Error::new(format!("{path} has no single schedule for all instances."))
            .hint("Give one, such as --every 15m, or run each on its own schedule with `bwdc daemon`.")),
    }
}

/// Where a job of this folder writes besides it, by what `bwdc.toml` says.
///
/// # Errors
/// That such a job would fail every time.
fn writes(installation: &Installation, folder: &Path, syncs: Syncs) -> Result<Writes> {
    let is_elsewhere = |path: &&Path| !path.starts_with(folder);
    let log = elsewhere_than(folder, installation.log_file().as_deref().and_then(Path::parent))?;
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

/// A folder, unless it is in the instance's, or that itself.
fn elsewhere_than(folder: &Path, other: Option<&Path>) -> Result<Option<String>> {
    other.filter(|other| !other.starts_with(folder)).map(whole).transpose()
}

/// Where the program logs if nothing was said: what bwdc.toml names, else `bwdc.log` in the folder. A service has the journal, and
/// a container its output.
fn usual_log(using: Using, folder: &str, written: Option<&Path>) -> Result<Option<(String, String)>> {
    let path = match (using, written) {
        (Using::Systemd | Using::Kubernetes, _) => return Ok(None),
        (_, Some(written)) => whole(written)?,
        (Using::TaskScheduler, None) => format!("{}\\{USUAL_LOG}", folder.trim_end_matches('\\')),
        (Using::Cron | Using::Launchd, None) => format!("{}/{USUAL_LOG}", folder.trim_end_matches('/')),
    };
    Ok(Some((env::LOG_FILE.to_owned(), path)))
}

/// What holds for every command, as variables of the job.
fn on_the_command_line(options: &setup::Options, using: Using) -> Result<Vec<(String, String)>> {
    let setup::Options { config, log_file, log_format } = options;
    let path = |path: &PathBuf, option| {
        if using.is_elsewhere() { absolute_there(path, option) } else { whole(path) }
    };
    let paths = [(env::CONFIG, config, "--config"), (env::LOG_FILE, log_file, "--log-file")];
    let given = paths.into_iter().filter_map(|(name, given, option)| Some((name, given.as_ref()?, option)));
    let mut all = given
        .map(|(name, given, option)| Ok((name.to_owned(), path(given, option)?)))
        .collect::<Result<Vec<_>>>()?;
    all.extend(log_format.iter().map(|format| (env::LOG_FORMAT.to_owned(), format.clone())));
    Ok(all)
}

fn may_run_alone(installation: &Installation, folder: &Path) -> Result<()> {
    let path = installation.path.display();
    let instance = installation.instance_in(folder);
    let refused = match instance.and_then(|instance| installation.merging(&instance.name)) {
        Some(merge) => {
            format!(
                "{} is merged into {} by {path} and cannot be synced alone.",
                folder.display(),
                merge.name
            )
        }
        None if instance.is_none()
            && !installation.instances.is_empty()
            && !folder.join("data.json").exists() =>
        {
            format!("There is no data.json in {}, but {path} has instances.", folder.display())
        }
        None => return Ok(()),
    };
    Err(Error::new(refused).hint("Use --all to sync all of them."))
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

/// User to run the job as, if they are there; else they have to be made.
fn account(arguments: &InstallArguments) -> Result<Option<Account>> {
    let name = match &arguments.user {
        Some(name) => name.clone(),
        None if account::is_root() => {
            return Err(Error::new("No user was given, and syncs should not run as root.")
                .hint("Use --user bwdc, with --create-user if that user does not exist yet."));
        }
        None => account::own_name()?,
    };
    match account::find(&name)? {
        None if !arguments.create_user => Err(Error::new(format!("There is no user {name}."))
            .hint("Create the user with --create-user, or yourself.")),
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
    path.map(|path| path.display().to_string()).map_err(|error| {
        Error::new(format!("Finding the program: {error}")).hint("Give its path with --program.")
    })
}

/// `NAME=VALUE`, if it is nothing that others must not see.
fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = named(text, "--env")?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(
            Error::new(format!("`{name}` is not a valid variable name.")).hint("Give --env NAME=VALUE.")
        );
    }
    if secrets::ALL.iter().any(|known| known.variable == name && name != env::CLIENT_ID) {
        return Err(Error::new(format!(
            "{name} is secret, and other users can read the files of a schedule."
        ))
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

fn systemd_options(arguments: &InstallArguments, target: &Target) -> Result<systemd::Options> {
    let is_own = target.user == account::own_name().unwrap_or_default();
    let manager = if arguments.user_manager || (is_own && !account::is_root()) {
        Manager::User
    } else {
        Manager::System
    };
    let credentials = credentials(&arguments.credential)?;
    Ok(systemd::Options { manager, spread: arguments.random_delay, credentials })
}

/// What can be told without a change.
fn before_anything(arguments: &InstallArguments, target: &Target, jobs: &[Job]) -> Result<()> {
    if arguments.untried || arguments.dry_run || target.using == Using::TaskScheduler {
        return Ok(());
    }
    if target.account.is_none() {
        trial::program_for_a_stranger(&target.program)?;
    }
    // Whoever may not look hears of that from the trial.
    let is_missing = |job: &&Job| {
        let data = Path::new(&job.folder).join("data.json");
        job.syncs == Syncs::Instance && data.try_exists().is_ok_and(|is_there| !is_there)
    };
    match jobs.iter().find(is_missing) {
        Some(job) => Err(trial::not_set_up(&job.folder)),
        None => Ok(()),
    }
}

/// The user and the folders, which a trial needs already.
fn preparation(arguments: &InstallArguments, target: &Target, jobs: &[Job]) -> Result<Plan> {
    let mut plan = Plan(new_user(target));
    plan.0.extend(new_folders(target, jobs)?);
    let may_give =
        account::is_root() && target.user != account::own_name()? && target.using != Using::TaskScheduler;
    // A user who is made for it gets it, too.
    if may_give && (arguments.fix || target.account.is_none()) {
        let home = target.account.is_none().then(|| account::home_of_new(&target.user));
        let folders = jobs.iter().flat_map(|job| job.writes.instances.iter().chain([&job.folder]));
        let folders: BTreeSet<PathBuf> = folders.map(PathBuf::from).chain(home.clone()).collect();
        let in_home =
            |folder: &Path| home.as_ref().is_some_and(|home| folder != home && folder.starts_with(home));
        let roots = folders.into_iter().filter(|folder| !in_home(folder) && has_what_is_roots(folder, 3));
        plan.0.extend(roots.map(|path| Step::Own { path, user: target.user.clone() }));
        let files: BTreeSet<PathBuf> = jobs.iter().flat_map(secret_files).collect();
        plan.0.extend(files.into_iter().map(|path| Step::OwnFile { path, user: target.user.clone() }));
    }
    Ok(plan)
}

/// The files with secrets outside the folder that only root can read. They are named by root: on this command line, or in a
/// data.json that nobody else could have written.
#[cfg(unix)]
fn secret_files(job: &Job) -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = Path::new(&job.folder);
    let is_roots_alone = |path: &Path| {
        path.symlink_metadata().is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0)
    };
    let file = DataFile::in_folder(folder.to_owned());
    let data = if is_roots_alone(folder) && is_roots_alone(&file.path()) { file.load().ok() } else { None };
    let in_data: Vec<PathBuf> = data.map_or_else(Vec::new, |data| {
        let own = secrets::ALL.iter().map(|known| (key::SECRET_FILES, known.name));
        let all = own.chain([(key::SECRETS, "file")]);
        let named = all.filter_map(|(section, name)| data.section(section).value(name)?.as_str());
        named.map(|path| place::resolve(folder, path)).collect()
    });
    let names = secrets::ALL.into_iter().map(Known::file_variable).chain([env::SECRETS_FILE.to_owned()]);
    let names: BTreeSet<String> = names.collect();
    let given = job.variables.iter().filter(|(name, _)| names.contains(name));
    let all = given.map(|(_, path)| PathBuf::from(path)).chain(in_data);
    let is_hidden = |path: &Path| {
        path.symlink_metadata()
            .is_ok_and(|found| found.is_file() && found.uid() == 0 && found.mode() & 0o004 == 0)
    };
    all.filter(|path| !path.starts_with(folder) && is_hidden(path)).collect()
}

#[cfg(not(unix))]
fn secret_files(_job: &Job) -> Vec<PathBuf> {
    Vec::new()
}

/// Whether a folder of an instance, or something in it, is root's.
#[cfg(unix)]
fn has_what_is_roots(path: &Path, depth: usize) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(found) = path.symlink_metadata() else { return false };
    let within = || {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| has_what_is_roots(&path, depth - 1))
    };
    (found.uid() == 0 && !found.is_symlink()) || (found.is_dir() && depth > 0 && within())
}

#[cfg(not(unix))]
fn has_what_is_roots(_path: &Path, _depth: usize) -> bool {
    false
}

fn try_all(
    environment: &Environment,
    arguments: &InstallArguments,
    target: &Target,
    (jobs, options): (&[Job], &systemd::Options),
) -> Result<()> {
    if arguments.untried {
        return Ok(());
    }
    let homes = Homes::of(environment, None);
    let folder = install::unit_folder(options.manager, &homes.config_home);
    jobs.iter().try_for_each(|job| match target.using {
        Using::Cron => trial::run(job, By::Cron),
        Using::Launchd => trial::run(job, By::Launchd),
        Using::Systemd if Scheduler::Systemd.is_here() => {
            trial::run(job, By::Systemd { options, added: &install::added_to_service(&folder, job) })
        }
        // Without a systemd that runs, that is what fails.
        Using::Systemd | Using::TaskScheduler | Using::Kubernetes => Ok(()),
    })
}

fn plan_of(
    environment: &Environment,
    arguments: &InstallArguments,
    target: &Target,
    (jobs, options): (&[Job], &systemd::Options),
    mode: Mode,
) -> Result<Plan> {
    let mut plan = Plan::default();
    let homes = Homes::of(environment, None);
    let is_own = target.user == account::own_name().unwrap_or_default();
    match target.using {
        Using::Cron => {
            let fix = if arguments.fix { Fix::Yes } else { Fix::No };
            let user = (target.user.as_str(), target.account.as_ref());
            let entries = install::into_crontab(jobs, arguments.mail_to.as_deref(), user, (fix, mode))?;
            plan.0.extend(entries.0);
        }
        Using::Systemd => {
            let folder = install::unit_folder(options.manager, &homes.config_home);
            for job in jobs {
                plan.0.extend(install::into_systemd(job, options, &folder)?.0);
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
    let user = &target.user;
    Ok(missing.map(|folder| Step::MakeFolder { path: folder.into(), user: user.clone() }).collect())
}

fn shown_only(mut plan: Plan, more: Plan) -> Result<Answer> {
    plan.0.extend(more.0);
    if plan.is_empty() {
        return Ok(nothing_to_change());
    }
    Ok(Answer::Table { text: plan.text()?, value: plan.value() })
}

fn nothing_to_change() -> Answer {
    Answer::message("Nothing to change: this schedule is already installed.")
}

fn carry_out(preparation: &Plan, plan: &Plan, target: &Target, jobs: &[Job]) -> Result<Answer> {
    let mut lines: Vec<String> = preparation.0.iter().filter_map(given).collect();
    if plan.is_empty() && lines.is_empty() {
        return Ok(nothing_to_change());
    }
    plan.apply()?;
    let now = zone::now();
    for job in jobs {
        lines.push(format!("{}: {}", job.folder, explain::english(&job.schedule)));
        lines.extend(first_run(job, target.using, &now).map(|first| format!("The first run is {first}.")));
    }
    let folder = jobs.first().map(|job| job.folder.as_str()).unwrap_or_default();
    let name = if jobs.len() == 1 {
        format!(" --appdata {}", cron::quoted(folder)?)
    } else {
        " --appdata DIR".to_owned()
    };
    lines.push("Run it now with `bwdc schedule run-now`.".to_owned());
    lines.push(format!("See how it went with `bwdc status{name}`, and more with `bwdc log{name}`."));
    Ok(Answer::Message { title: "The schedule is installed.".to_owned(), message: Some(lines.join("\n")) })
}

/// What was mended.
fn given(step: &Step) -> Option<String> {
    match step {
        Step::Own { path, user } => {
            Some(format!("{} and root's files in it now belong to {user}.", path.display()))
        }
        Step::OwnFile { path, user } => Some(format!("{} now belongs to {user}.", path.display())),
        _ => None,
    }
}

/// When it first runs by itself.
fn first_run(job: &Job, using: Using, now: &ZonedDateTime) -> Option<String> {
    match (&job.schedule, using) {
        (Schedule::Boot, _) => Some("when the machine next starts".to_owned()),
        (Schedule::Every(_), Using::Systemd) => Some("a minute from now".to_owned()),
        (Schedule::Every(interval), Using::Launchd | Using::TaskScheduler) => {
            Some(format!("{interval} from now"))
        }
        (schedule, Using::Cron) => {
            let schedule = Schedule::cron(&cron::time(schedule).ok()?).ok()?;
            schedule.next_after(now).map(|run| format!("at {}", shown(&run)))
        }
        (schedule, Using::Systemd) => {
            schedule.systemd_runs_after(now.clone()).next().map(|run| format!("at {}", shown(&run)))
        }
        (schedule, _) => schedule.next_after(now).map(|run| format!("at {}", shown(&run))),
    }
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

/// The schedules that can be seen, with a warning for what could not be read.
fn found(environment: &Environment, user: Option<String>, style: Style) -> Result<Vec<Installed>> {
    let found = install::all(&Homes::of(environment, user))?;
    for skipped in &found.skipped {
        ui::warning(&escaped_lines(&format!("Left out: {skipped}")), style);
    }
    Ok(found.all)
}

/// Lines stay, for what is said in several.
fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

fn nothing_installed() -> Error {
    Error::new("No schedule is installed.").hint(
        "Create one with `bwdc schedule install`. Root or an administrator also sees the schedules of others.",
    )
}

fn list(environment: &Environment, user: Option<String>, style: Style) -> Result<Answer> {
    let all = found(environment, user, style)?;
    let now = zone::now();
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for installed in &all {
        let next = installed.next(&now).map(|next| next.to_zoned_datetime(now.time_zone().clone()));
        let when = next.as_ref().map(|run| format!(", next {}", shown(run))).unwrap_or_default();
        let marker = &installed.marker;
        lines.push(format!(
            "{}: {} as {}{when}\n  in {}",
            escaped(&marker.folder),
            told(installed),
            escaped(&marker.user),
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
            "next": next.map(|next| values(&[next])[0].take()),
        }));
    }
    let text = if lines.is_empty() { "No schedule is installed.".to_owned() } else { lines.join("\n") };
    Ok(Answer::Table { text, value: list.into() })
}

/// What is meant: all of the folders that are named, or the only one.
fn selected(environment: &Environment, selection: Selection, style: Style) -> Result<Vec<Installed>> {
    let all = found(environment, selection.user.user, style)?;
    if selection.appdata.is_empty() {
        return match all.len() {
            0 => Err(nothing_installed()),
            1 => Ok(all),
            _ => {
                let folders: Vec<_> =
                    all.iter().map(|one| format!("--appdata {}", escaped(&one.marker.folder))).collect();
                Err(Error::new("Several schedules are installed.")
                    .hint(format!("Choose one: {}.", folders.join(", "))))
            }
        };
    }
    let folders = folders(environment, &selection.appdata, None)?;
    let chosen: Vec<_> = all.into_iter().filter(|one| folders.contains(&one.marker.folder)).collect();
    match folders.iter().find(|folder| !chosen.iter().any(|one| one.marker.folder == **folder)) {
        Some(folder) => Err(Error::new(format!("There is no schedule for {folder}."))
            .hint("`bwdc schedule list` shows all schedules.")),
        None => Ok(chosen),
    }
}

fn show(environment: &Environment, selection: Selection, style: Style) -> Result<Answer> {
    let texts: Vec<_> =
        selected(environment, selection, style)?.iter().map(Installed::text).collect::<Result<Vec<_>>>()?;
    let text = texts.join("\n");
    Ok(Answer::Table {
        text: escaped_lines(text.trim_end()),
        value: json!({ "object": "string", "data": text }),
    })
}

fn remove(environment: &Environment, arguments: RemoveArguments, style: Style) -> Result<Answer> {
    let chosen = if arguments.all {
        found(environment, arguments.selection.user.user, style)?
    } else {
        selected(environment, arguments.selection, style)?
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
    let folders: Vec<_> = chosen.iter().map(|one| escaped(&one.marker.folder)).collect();
    Ok(Answer::Message {
        title: "The schedule has been removed.".to_owned(),
        message: Some(format!(
            "{} is no longer synced automatically. The folder and its user remain.",
            folders.join(", ")
        )),
    })
}

/// Remove all schedules, or those that were named.
fn run_now(environment: &Environment, selection: Selection, style: Style) -> Result<Answer> {
    let chosen = if selection.appdata.is_empty() {
        found(environment, selection.user.user, style)?
    } else {
        selected(environment, selection, style)?
    };
    if chosen.is_empty() {
        return Err(nothing_installed());
    }
    let runs: Vec<(&Installed, Result<String>)> =
        chosen.iter().map(|one| (one, one.run_now().and_then(|command| plan::run(&command, None)))).collect();
    let text: Vec<String> = runs.iter().map(|(one, ran)| ran_told(one, ran)).collect();
    let failed = runs.iter().filter(|(_, ran)| ran.is_err()).count();
    let is_awaited = chosen.iter().all(Installed::is_awaited);
    match failed {
        0 => Ok(Answer::Message {
            title: if is_awaited {
                "The sync ran as the scheduler will run it.".to_owned()
            } else {
                "The sync was started as the scheduler will start it.".to_owned()
            },
            message: Some(text.join("\n")),
        }),
        _ => Err(Error::new(format!("{failed} of {} failed.\n{}", runs.len(), text.join("\n")))
            .hint("The output above says why; `bwdc doctor` checks everything.")),
    }
}

/// What became of one, what it printed, and the end of its log.
fn ran_told(installed: &Installed, ran: &Result<String>) -> String {
    let mut lines = vec![format!("{}:", escaped(&installed.marker.folder))];
    let printed = match ran {
        Ok(printed) => printed.clone(),
        Err(error) => error.to_string(),
    };
    let quoted = |text: &str| text.lines().map(|line| format!("  {}", escaped(line))).collect::<Vec<_>>();
    lines.extend(quoted(&printed));
    if let Some((place, end)) = end_of_log(installed) {
        lines.push(format!("  {place}"));
        lines.extend(end.lines().map(|line| format!("    {}", escaped(line))));
    }
    lines.join("\n")
}

/// Where it logs, if there is a log yet, and the last lines there.
fn end_of_log(installed: &Installed) -> Option<(String, String)> {
    let (place, end) = match installed.in_journal() {
        Some(command) => {
            let read = [&command[..], &["--no-pager", "-o", "cat"].map(str::to_owned)].concat();
            (format!("Its output: `{}`.", command.join(" ")), plan::run(&read, None).ok()?)
        }
        None => {
            let path = installed.marker.log_file();
            let end = log::end(&path, 5).ok()?;
            (format!("Its output is in {}, which ends with", escaped(&path.display().to_string())), end)
        }
    };
    (!end.trim().is_empty()).then_some((place, end))
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
