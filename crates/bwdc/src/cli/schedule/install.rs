//! `bwdc schedule install`: what was asked for on the command line becomes a [`ScheduleRequest`].

use std::path::{Path, PathBuf};

use bwdc_schedule::schedulers::{kubernetes, systemd};
use bwdc_schedule::times::{Schedule, explain};
use bwdc_schedule::{
    Accounts, InstallOutcome, JobUser, Machine, MissingUser, Owners, RequestOptions, ScheduleRequest,
    ScheduledJob, Scheduler, Steps, Syncs, Trial,
};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::homes;
use super::job_files::{self, elsewhere_than};
use super::paths::{folders, program, whole};
use super::times::When;
use crate::ui::{self, Answer, Style};
use bwdc_config::env::{self, Environment};
use bwdc_config::installation::Installation;
use bwdc_config::zone;
use bwdc_config::{secrets, setup};
use bwdc_core::error::{Error, Result};
use bwdc_store::privileges::{self, ReferredFile};

#[derive(Debug, Args)]
pub(super) struct InstallArguments {
    #[command(flatten)]
    when: When,
    /// Scheduler to use. Default: the best one on this system. For Kubernetes, the manifest is only printed.
    #[arg(long, value_parser = schedulers())]
    using: Option<Scheduler>,
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
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=86_400))]
    random_delay: u32,
    /// Kubernetes: container image.
    #[arg(long, value_name = "IMAGE", default_value = concat!("bwdc:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Kubernetes: time zone of the schedule.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

/// Schedulers by their names.
fn schedulers() -> impl TypedValueParser<Value = Scheduler> {
    PossibleValuesParser::new(Scheduler::ALL.map(Scheduler::name)).map(|name| {
        let named = Scheduler::ALL.into_iter().find(|scheduler| scheduler.name() == name);
        named.unwrap_or_else(Scheduler::usual)
    })
}

/// The scheduler, the user and the paths that all jobs have.
struct Target {
    scheduler: Scheduler,
    user: JobUser,
    folders: Vec<String>,
    program: String,
}

pub(super) fn install(
    environment: &Environment,
    arguments: &InstallArguments,
    options: &setup::GlobalOptions,
    style: Style,
) -> Result<Answer> {
    let when = match arguments.when.schedule()? {
        None if !arguments.all => return Err(not_said_when()),
        when => when,
    };
    let target = target(environment, arguments)?;
    let mut variables = arguments.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>>>()?;
    variables.extend(on_the_command_line(options, target.scheduler)?);
    for warning in forgotten(environment, &variables, target.scheduler) {
        ui::warning(&warning, style);
    }
    if arguments.all && target.folders.len() > 1 {
        return Err(Error::new("--all makes one job for everything, but several folders were given.")
            .hint("Give the folder of bwdc.toml, or any one folder together with --config FILE."));
    }
    let syncs = if arguments.all { Syncs::Everything } else { Syncs::Instance };
    let of_folder = |folder: &String| job(folder, (when.as_ref(), syncs), &target, &variables);
    let jobs = target.folders.iter().map(of_folder).collect::<Result<Vec<ScheduledJob>>>()?;
    let request = request(environment, arguments, target, jobs)?;
    request.check()?;
    if let Some(printed) = request.print() {
        let printed = printed?;
        return Ok(Answer::Table { text: printed.text, value: printed.value });
    }
    if arguments.dry_run {
        return shown_only(&request.preview()?);
    }
    match request.carry_out()? {
        InstallOutcome::Nothing => Ok(nothing_to_change()),
        InstallOutcome::Installed(mended) => installed(&request, mended),
    }
}

/// The user to whom every file is open.
const ROOT: &str = "root";

/// The job of one folder.
fn job(
    folder: &str,
    (when, syncs): (Option<&Schedule>, Syncs),
    target: &Target,
    variables: &[(String, String)],
) -> Result<ScheduledJob> {
    let value =
        |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, path)| Path::new(path));
    let (config, log_file) = (value(env::CONFIG), value(env::LOG_FILE));
    let path = Path::new(folder);
    let is_here = target.scheduler.machine() == Machine::This;
    let installation = if is_here { job_files::installation_of(path, config, syncs)? } else { None };
    let schedule = match (when, &installation) {
        (Some(when), _) => when.clone(),
        (None, Some(installation)) => job_files::same_for_all(installation)?,
        (None, None) => return Err(not_said_when()),
    };
    let written = installation.as_ref().and_then(Installation::log_file);
    if let Some(found) = installation.as_ref().filter(|_| written.is_some() && target.user.name == ROOT) {
        // The job gets it as a variable, and does not ask any more who has named it.
        privileges::check_named(ReferredFile::Log, &found.path, None)?;
    }
    let writes =
        installation.map(|installation| job_files::writes(&installation, path, syncs)).transpose()?;
    let mut writes = writes.unwrap_or_default();
    if let Some(log_file) = log_file.filter(|_| is_here) {
        writes.log = elsewhere_than(path, log_file.parent())?;
    }
    let usual = match log_file {
        None => usual_log(target.scheduler, folder, written.as_deref())?,
        Some(_) => None,
    };
    Ok(ScheduledJob {
        schedule,
        program: target.program.clone(),
        folder: folder.to_owned(),
        syncs,
        writes,
        user: target.user.name.clone(),
        variables: variables.iter().cloned().chain(usual).collect(),
    })
}

fn request(
    environment: &Environment,
    arguments: &InstallArguments,
    target: Target,
    jobs: Vec<ScheduledJob>,
) -> Result<ScheduleRequest> {
    let Target { scheduler, user, .. } = target;
    let manager = manager(arguments, scheduler, &user)?;
    let credentials = credentials(&arguments.credential)?;
    let options = RequestOptions {
        mail_to: arguments.mail_to.clone(),
        systemd: systemd::Options { manager, spread: arguments.random_delay, credentials },
        kubernetes: kubernetes::Options { image: arguments.image.clone(), zone: arguments.tz.clone() },
    };
    let secret_files = jobs.iter().flat_map(job_files::secret_files).collect();
    Ok(ScheduleRequest {
        scheduler,
        user,
        jobs,
        homes: homes(environment, None),
        owners: if arguments.fix { Owners::Fix } else { Owners::Keep },
        trial: if arguments.untried { Trial::Skip } else { Trial::Try },
        secret_files,
        options,
    })
}

/// The user's own systemd where that was wanted, or where nothing else is allowed.
fn manager(arguments: &InstallArguments, scheduler: Scheduler, user: &JobUser) -> Result<systemd::Manager> {
    let is_users = match scheduler.accounts() {
        Accounts::OfTheSystem => arguments.user_manager || (user.is_own()? && !bwdc_schedule::is_root()),
        Accounts::Named => arguments.user_manager,
    };
    Ok(if is_users { systemd::Manager::User } else { systemd::Manager::System })
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

pub(super) fn not_said_when() -> Error {
    Error::new("No time was given.")
        .hint("Use one of --every 15m, --cron \"0 12 * * 1\", --at 02:30 and --weekly mon@20:00.")
}

/// The log file of a job that was given none: what bwdc.toml names, else `bwdc.log` in the folder. A service has the journal, and a
/// container its output.
fn usual_log(scheduler: Scheduler, folder: &str, written: Option<&Path>) -> Result<Option<(String, String)>> {
    let Some(default) = scheduler.default_log(folder) else { return Ok(None) };
    let path = written.map_or(Ok(default), whole)?;
    Ok(Some((env::LOG_FILE.to_owned(), path)))
}

/// What holds for every command, as variables of the job.
fn on_the_command_line(
    options: &setup::GlobalOptions,
    scheduler: Scheduler,
) -> Result<Vec<(String, String)>> {
    let setup::GlobalOptions { config, log_file, log_format } = options;
    let path = |path: &PathBuf, option| match scheduler.machine() {
        Machine::This => whole(path),
        Machine::Another { .. } => absolute_there(path, option),
    };
    let paths = [(env::CONFIG, config, "--config"), (env::LOG_FILE, log_file, "--log-file")];
    let given = paths.into_iter().filter_map(|(name, given, option)| Some((name, given.as_ref()?, option)));
    let mut all = given
        .map(|(name, given, option)| Ok((name.to_owned(), path(given, option)?)))
        .collect::<Result<Vec<_>>>()?;
    all.extend(log_format.iter().map(|format| (env::LOG_FORMAT.to_owned(), format.clone())));
    Ok(all)
}

fn target(environment: &Environment, arguments: &InstallArguments) -> Result<Target> {
    let scheduler = arguments.using.unwrap_or_else(Scheduler::usual);
    if let Machine::Another { folder, program } = scheduler.machine() {
        return Ok(elsewhere(scheduler, arguments, (folder, program)));
    }
    let name = arguments.user.as_deref();
    let (user, other_home) = match scheduler.accounts() {
        Accounts::Named => (JobUser::named(name), None),
        Accounts::OfTheSystem => {
            let missing = if arguments.create_user { MissingUser::Create } else { MissingUser::Refuse };
            let user = JobUser::find(name, missing)?;
            let other = (!user.is_own()?).then(|| user.home());
            (user, other)
        }
    };
    let folders = folders(environment, &arguments.appdata, other_home)?;
    Ok(Target { scheduler, user, folders, program: program(arguments.program.as_ref())? })
}

/// The paths of another machine are taken as they are.
fn elsewhere(scheduler: Scheduler, arguments: &InstallArguments, (folder, program): (&str, &str)) -> Target {
    let text = |path: &PathBuf| path.display().to_string();
    let mut folders: Vec<String> = arguments.appdata.iter().map(text).collect();
    if folders.is_empty() {
        folders.push(folder.to_owned());
    }
    Target {
        scheduler,
        user: JobUser::named(arguments.user.as_deref()),
        folders,
        program: arguments.program.as_ref().map_or_else(|| program.to_owned(), text),
    }
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
fn forgotten(environment: &Environment, given: &[(String, String)], scheduler: Scheduler) -> Vec<String> {
    // Another machine has none of this one's variables in any case.
    if scheduler.machine() != Machine::This {
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

fn shown_only(steps: &Steps) -> Result<Answer> {
    if steps.is_empty() {
        return Ok(nothing_to_change());
    }
    Ok(Answer::Table { text: steps.text()?, value: steps.value() })
}

fn nothing_to_change() -> Answer {
    Answer::message("Nothing to change: this schedule is already installed.")
}

/// What was mended, when the first run is, and how to see its result.
fn installed(request: &ScheduleRequest, mended: Vec<String>) -> Result<Answer> {
    let mut lines = mended;
    let now = zone::now();
    for job in &request.jobs {
        lines.push(format!("{}: {}", job.folder, explain::english(&job.schedule)));
        lines.extend(request.first_run(job, &now).map(|first| format!("The first run is {first}.")));
    }
    let name = match &request.jobs[..] {
        [job] => format!(" --appdata {}", bwdc_schedule::quoted(&job.folder)?),
        _ => " --appdata DIR".to_owned(),
    };
    lines.push("Run it now with `bwdc schedule run-now`.".to_owned());
    lines.push(format!("See how it went with `bwdc status{name}`, and more with `bwdc log{name}`."));
    Ok(Answer::Message { title: "The schedule is installed.".to_owned(), message: Some(lines.join("\n")) })
}
