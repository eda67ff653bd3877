//! `bwdc daemon`

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bwdc_daemon::{Audience, Configuration, Configured, LoadOccasion, MetricsAddress, Workers};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::Invocation;
use super::timetable::{Times, last_run};
use super::web;
use super::which::{Which, Wish};
use crate::log;
use crate::ui::Answer;
use bwdc_config::installation::{AtOnce, WebAddress};
use bwdc_config::settings;
use bwdc_config::zone;
use bwdc_core::error::{Error, Result};
use bwdc_store::errand::InstallationText;
use bwdc_store::privileges::{self, Owner};
use bwdc_sync::Context;
use bwdc_sync::SyncJob;
use bwdc_web::Server;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    options: Options,
}

/// What does not depend on the instances.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Maximum number of syncs running at the same time; overrides limits.at_once in bwdc.toml.
    #[arg(long, value_name = "NUMBER")]
    at_once: Option<AtOnce>,
    /// Maximum random delay of a start in seconds, so that not all machines connect at once; never more than a tenth
    /// of the interval.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    spread: u32,
    /// Time limit for one sync in seconds; a sync that hangs is stopped.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    longest: u64,
    /// Serve /metrics (for Prometheus) and /healthz on this loopback address, such as 127.0.0.1:9464; overrides
    /// daemon.listen in bwdc.toml.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Allow an address for --metrics that other machines can reach. It requires no login: for containers, whose network
    /// decides who reaches it.
    #[arg(long, requires = "metrics")]
    expose_metrics: bool,
    /// Also serve the page of `bwdc web` here: an address and a port, such as 127.0.0.1:8444, or the path of a socket.
    #[arg(long, value_name = "ADDRESS", value_parser = web::address)]
    web: Option<WebAddress>,
    #[command(flatten)]
    page: web::AccessArguments,
}

pub(super) async fn run(arguments: Arguments, invocation: Invocation) -> Result<Answer> {
    if !invocation.style.quiet {
        log::on_stderr(&invocation.setup.log);
    }
    if let Some(warning) = zone::warning(&invocation.environment) {
        tracing::warn!("{warning}");
    }
    let workers = Workers {
        log: invocation.setup.log.variables(),
        quiet: invocation.style.quiet,
        longest: Duration::from_secs(arguments.options.longest),
    };
    // What happens is in the log; nobody waits for answers.
    let invocation = invocation.quietly();
    let homes = homes(&arguments.which, &invocation)?;
    let page = page(&arguments, &invocation).await?;
    let load = |moment| configured(&arguments, invocation.again()?, moment);
    let daemon = Box::pin(bwdc_daemon::run(&homes, workers, load));
    match page {
        None => daemon.await?,
        Some(page) => tokio::select! {
            result = daemon => result?,
            () = page.run() => {}
        },
    }
    Ok(Answer::Nothing)
}

/// The page, if it is wanted. It reads what instances have kept, which root does for nobody else.
async fn page(arguments: &Arguments, invocation: &Invocation) -> Result<Option<Server>> {
    let Some(address) = &arguments.options.web else { return Ok(None) };
    let contexts = arguments.which.or_everything(invocation).all_contexts(invocation);
    let folders: Vec<_> = contexts.iter().map(|context| context.file.folder().to_owned()).collect();
    if let Owner::Another(user) = privileges::owner_of_all(&folders)? {
        return Err(Error::new(format!(
            "The instances belong to {user}, and the daemon runs as root: it does not serve the page."
        ))
        .hint(format!(
            "Run the daemon as {user} (in systemd: User={user}), or the page by itself: bwdc web."
        )));
    }
    let again = invocation.again()?;
    Box::pin(web::server(Some(address.clone()), &arguments.options.page, &arguments.which, again))
        .await
        .map(Some)
}

/// Where the daemon's socket and the page's own files may be: beside `bwdc.toml`; in an instance's folder if there is none, or we may not
/// write there. In the first one at the start, which need not be the first one now.
pub(super) fn homes(which: &Which, invocation: &Invocation) -> Result<Vec<PathBuf>> {
    match beside_installation(invocation) {
        Some(folder) => {
            Ok([folder].into_iter().chain(folders(which, invocation).unwrap_or_default()).collect())
        }
        None => Ok(vec![first_folder(which, invocation)?]),
    }
}

fn beside_installation(invocation: &Invocation) -> Option<PathBuf> {
    invocation.setup.installation.as_ref()?.path.parent().map(Path::to_owned)
}

fn first_folder(which: &Which, invocation: &Invocation) -> Result<PathBuf> {
    let first = folders(which, invocation)?.into_iter().next();
    Ok(first.unwrap_or_else(|| invocation.folder.clone()))
}

fn folders(which: &Which, invocation: &Invocation) -> Result<Vec<PathBuf>> {
    let jobs = which.standing(invocation, Wish::Sync)?;
    let contexts = jobs.iter().flat_map(SyncJob::contexts);
    Ok(contexts.map(|context| context.file.folder().to_owned()).collect())
}

fn configured(
    arguments: &Arguments,
    invocation: Invocation,
    moment: LoadOccasion,
) -> Result<Configured<Times>> {
    let jobs = arguments.which.standing(&invocation, Wish::Sync)?;
    let others = invocation.others(&jobs).iter().map(SyncJob::errand).collect();
    let configuration = |job| configuration(job, &invocation, moment);
    let instances: Result<BTreeMap<_, _>> = jobs.into_iter().map(configuration).collect();
    Ok(Configured {
        at_once: arguments.options.at_once.unwrap_or(invocation.setup.at_once.value).0,
        spread: SignedDuration::from_secs(arguments.options.spread.into()),
        metrics: metrics(&arguments.options, &invocation),
        instances: instances?,
        others,
        alerts: invocation.setup.installation.as_ref().map(|found| InstallationText {
            path: found.path.clone().into(),
            text: found.text().reveal().to_owned(),
        }),
    })
}

/// Where metrics are served. `bwdc.toml` names only addresses of this machine.
fn metrics(options: &Options, invocation: &Invocation) -> Option<MetricsAddress> {
    let address = options.metrics.or(invocation.setup.listen.map(|listen| listen.value.0))?;
    let audience = if options.expose_metrics { Audience::Network } else { Audience::ThisMachine };
    Some(MetricsAddress { address, audience })
}

/// One that cannot be understood is left as it was by a reload. At the start it runs as usual, which tells what is wrong with it, and
/// keeps nobody else from running.
fn configuration(
    job: SyncJob,
    invocation: &Invocation,
    moment: LoadOccasion,
) -> Result<(String, Configuration<Times>)> {
    let understood = times(&job, invocation).and_then(|times| Ok((times, last(&job)?)));
    let (timetable, last) = match (understood, moment) {
        (Ok(understood), _) => understood,
        (Err(error), LoadOccasion::Reload) => return Err(error.while_doing(job.name())),
        (Err(error), LoadOccasion::Start) => {
            tracing::error!(
                instance = job.name(),
                "the schedule cannot be read, so a sync runs every few minutes: {error}"
            );
            (Times::usual(), None)
        }
    };
    let (errand, organization) = (job.errand(), last_organization(&job));
    Ok((job.name().to_owned(), Configuration { timetable, last, errand, organization }))
}

/// Organization that a job was last synced into.
pub(super) fn last_organization(job: &SyncJob) -> Option<String> {
    let context = job.contexts().into_iter().next()?;
    Some(context.file.load().ok()?.organization_id()?.to_lowercase())
}

/// By the schedule in `bwdc.toml`, or else by the interval in `data.json`.
fn times(job: &SyncJob, invocation: &Invocation) -> Result<Times> {
    if let Some(schedule) =
        invocation.setup.installation.as_ref().and_then(|found| found.schedule_of(job.name()))
    {
        return schedule.times().map(Times::By);
    }
    let contexts = job.contexts();
    let Some(first) = contexts.first() else { return Ok(Times::usual()) };
    let data = first.file.load()?;
    let times = Times::of(&data).ok_or_else(|| {
        Error::new(format!("The instance in {} has no interval.", first.file.folder().display()))
            .hint("Set it in minutes, `bwdc config sync.interval 15`, or give it a schedule in bwdc.toml.")
    })?;
    if let Some(fault) = settings::sync::INTERVAL.fault(&data) {
        tracing::warn!(instance = job.name(), "{fault}");
    }
    Ok(times)
}

/// When it last ran to a good end; of several the earliest.
fn last(job: &SyncJob) -> Result<Option<Timestamp>> {
    let of_one = |context: &Context| Ok(last_run(&context.file.load()?));
    let times: Result<Vec<_>> = job.contexts().into_iter().map(of_one).collect();
    Ok(times?.into_iter().min().flatten())
}
