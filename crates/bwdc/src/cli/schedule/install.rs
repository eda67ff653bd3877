//! `bwdc schedule install`: what was asked for on the command line becomes a [`ScheduleRequest`].

use std::path::{Path, PathBuf};

use bwdc_schedule::schedulers::{kubernetes, systemd};
use bwdc_schedule::times::{Schedule, explain};
use bwdc_schedule::{
    InstallOutcome, JobUser, Machine, RequestOptions, ScheduleRequest, ScheduledJob, Scheduler, Syncs,
};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::homes;
use super::job_files::{self, JobTarget};
use super::job_options::{self, JobOptions};
use super::paths::{folders, program};
use super::times::When;
use crate::cli::sync::State;
use crate::ui::{Answer, Style};
use bwdc_config::env::{self, Environment};
use bwdc_config::setup;
use bwdc_config::zone;
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct InstallArguments {
    #[command(flatten)]
    when: When,
    /// Scheduler to use. Default: the best one on this system. For Kubernetes, the manifest is only printed.
    #[arg(long, value_parser = schedulers())]
    using: Option<Scheduler>,
    /// Folder of data.json. Repeat it for several instances.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// Sync all instances in bwdc.toml (in that folder, or given by --config) instead of the one in the folder.
    /// Without a time, the schedule in that file applies.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    job: JobOptions,
    /// cron: mail the end of the log to this address when a sync fails.
    #[arg(long, value_name = "ADDRESS")]
    mail_to: Option<String>,
    /// systemd: maximum random delay of a start, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=86_400))]
    random_delay: u32,
    /// Kubernetes: container image.
    #[arg(long, value_name = "IMAGE", default_value = concat!("bwdc:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Kubernetes: time zone of the schedule.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Kubernetes: `none` for a job without a volume, by `bwdc sync --state none`. The settings are in a ConfigMap then.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = State::Folder, conflicts_with = "all")]
    state: State,
}

/// Schedulers by their names.
fn schedulers() -> impl TypedValueParser<Value = Scheduler> {
    PossibleValuesParser::new(Scheduler::ALL.map(Scheduler::name)).map(|name| {
        let named = Scheduler::ALL.into_iter().find(|scheduler| scheduler.name() == name);
        named.unwrap_or_else(Scheduler::usual)
    })
}

/// The scheduler, the user, the paths and the secrets that all jobs have.
struct Target {
    scheduler: Scheduler,
    user: JobUser,
    folders: Vec<String>,
    program: String,
    credentials: Vec<(String, String)>,
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
    let variables = arguments.job.variables(environment, options, target.scheduler.machine(), style)?;
    let syncs = if arguments.all { Syncs::Everything } else { Syncs::Instance };
    check_folders(&target, syncs)?;
    let of_folder = |folder: &String| job(folder, (when.as_ref(), syncs), &target, &variables);
    let jobs = target.folders.iter().map(of_folder).collect::<Result<Vec<ScheduledJob>>>()?;
    let request = request(environment, arguments, target, jobs)?;
    request.check()?;
    if let Some(printed) = request.print() {
        let printed = printed?;
        return Ok(Answer::Table { text: printed.text, value: printed.value });
    }
    if arguments.job.dry_run {
        return job_options::shown_only(&request.preview()?, NOTHING_TO_CHANGE);
    }
    match request.carry_out()? {
        InstallOutcome::Nothing => Ok(Answer::message(NOTHING_TO_CHANGE)),
        InstallOutcome::Installed(mended) => installed(&request, mended),
    }
}

const NOTHING_TO_CHANGE: &str = "Nothing to change: this schedule is already installed.";

/// Refuses several folders where only one makes sense.
fn check_folders(target: &Target, syncs: Syncs) -> Result<()> {
    if target.folders.len() < 2 {
        return Ok(());
    }
    if syncs == Syncs::Everything {
        return Err(Error::new("--all makes one job for everything, but several folders were given.")
            .hint("Give the folder of bwdc.toml, or any one folder together with --config FILE."));
    }
    if !target.credentials.is_empty() {
        return Err(Error::new(
            "--credential would give the instances in all these folders one secret, in place of their own.",
        )
        .hint("Schedule each by a command of its own, with its own --credential."));
    }
    Ok(())
}

/// The job of one folder.
fn job(
    folder: &str,
    (when, syncs): (Option<&Schedule>, Syncs),
    target: &Target,
    variables: &[(String, String)],
) -> Result<ScheduledJob> {
    let path = Path::new(folder);
    let is_here = target.scheduler.machine() == Machine::This;
    let config = job_files::value_of(variables, env::CONFIG).map(Path::new);
    let installation = if is_here { job_files::installation_of(path, config, syncs)? } else { None };
    if let Some(found) = installation.as_ref().filter(|_| syncs == Syncs::Everything) {
        job_files::check_credentials(&target.credentials, found)?;
    }
    let schedule = match (when, &installation) {
        (Some(when), _) => when.clone(),
        (None, Some(installation)) => job_files::same_for_all(installation)?,
        (None, None) => return Err(not_said_when()),
    };
    let default_log = target.scheduler.default_log(folder);
    let target = JobTarget {
        program: &target.program,
        folder,
        user: &target.user.name,
        machine: target.scheduler.machine(),
        default_log: default_log.as_deref(),
    };
    let runs = job_files::job(&target, syncs, installation.as_ref(), variables)?;
    Ok(ScheduledJob { schedule, runs })
}

fn request(
    environment: &Environment,
    arguments: &InstallArguments,
    target: Target,
    jobs: Vec<ScheduledJob>,
) -> Result<ScheduleRequest> {
    let Target { scheduler, user, credentials, .. } = target;
    let manager = arguments.job.manager(scheduler.accounts(), &user)?;
    let options = RequestOptions {
        mail_to: arguments.mail_to.clone(),
        systemd: systemd::Options { manager, spread: arguments.random_delay, credentials },
        kubernetes: kubernetes::Options {
            image: arguments.image.clone(),
            zone: arguments.tz.clone(),
            state: match arguments.state {
                State::Folder => kubernetes::State::Volume,
                State::None => kubernetes::State::Nowhere,
            },
        },
    };
    let secret_files = jobs.iter().flat_map(|job| job_files::secret_files(&job.runs)).collect();
    Ok(ScheduleRequest {
        scheduler,
        user,
        jobs,
        homes: homes(environment, None),
        owners: arguments.job.owners(),
        trial: arguments.job.trial(),
        secret_files,
        options,
    })
}

pub(super) fn not_said_when() -> Error {
    Error::new("No time was given.")
        .hint("Use one of --every 15m, --cron \"0 12 * * 1\", --at 02:30 and --weekly mon@20:00.")
}

fn target(environment: &Environment, arguments: &InstallArguments) -> Result<Target> {
    let scheduler = arguments.using.unwrap_or_else(Scheduler::usual);
    let credentials = arguments.job.credentials()?;
    if let Machine::Another { folder, program } = scheduler.machine() {
        return Ok(elsewhere(scheduler, arguments, credentials, (folder, program)));
    }
    let (user, other_home) = arguments.job.account(scheduler.accounts(), None)?;
    let folders = folders(environment, &arguments.appdata, other_home)?;
    let program = program(arguments.job.program.as_ref())?;
    Ok(Target { scheduler, user, folders, program, credentials })
}

/// The paths of another machine are taken as they are.
fn elsewhere(
    scheduler: Scheduler,
    arguments: &InstallArguments,
    credentials: Vec<(String, String)>,
    (folder, program): (&str, &str),
) -> Target {
    let text = |path: &PathBuf| path.display().to_string();
    let mut folders: Vec<String> = arguments.appdata.iter().map(text).collect();
    if folders.is_empty() {
        folders.push(folder.to_owned());
    }
    Target {
        scheduler,
        user: JobUser::named(arguments.job.user.as_deref()),
        folders,
        program: arguments.job.program.as_ref().map_or_else(|| program.to_owned(), text),
        credentials,
    }
}

/// What was mended, when the first run is, and how to see its result.
fn installed(request: &ScheduleRequest, mended: Vec<String>) -> Result<Answer> {
    let mut lines = mended;
    let now = zone::now();
    for job in &request.jobs {
        lines.push(format!("{}: {}", job.runs.folder, explain::english(&job.schedule)));
        lines.extend(request.first_run(job, &now).map(|first| format!("The first run is {first}.")));
    }
    let name = match &request.jobs[..] {
        [job] => format!(" --appdata {}", bwdc_schedule::quoted(&job.runs.folder)?),
        _ => " --appdata DIR".to_owned(),
    };
    lines.push("Run it now with `bwdc schedule run-now`.".to_owned());
    lines.push(format!("See how it went with `bwdc status{name}`, and more with `bwdc log{name}`."));
    Ok(Answer::Message { title: "The schedule is installed.".to_owned(), message: Some(lines.join("\n")) })
}
