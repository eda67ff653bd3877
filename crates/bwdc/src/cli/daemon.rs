//! `bwdc daemon`

use std::collections::BTreeMap;
use std::net::SocketAddr;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::Given;
use super::which::Which;
use crate::daemon::timetable::{Times, last_run};
use crate::daemon::{self, Configuration, Configured};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::log;
use crate::run::Context;
use crate::ui::Answer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// How many syncs may be under way at once, instead of limits.at_once of bwdc.toml.
    #[arg(long, value_name = "NUMBER")]
    at_once: Option<usize>,
    /// By how many seconds a start may be put off, so that not all machines come at once; never by more than a tenth of the
    /// time between two.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    spread: u32,
    /// Serve /metrics (for Prometheus) and /healthz on this address of this machine, such as 127.0.0.1:9464, instead of
    /// daemon.listen of bwdc.toml.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

pub(super) async fn run(arguments: Arguments, given: Given) -> Result<Answer> {
    if !given.style.quiet {
        log::on_stderr(&given.setup.log);
    }
    // What happens is in the log; nobody waits for answers.
    let given = given.quietly();
    let home = home(&arguments.which, &given)?;
    let load = || configured(&arguments, given.again()?);
    daemon::run(&home, load).await?;
    Ok(Answer::Nothing)
}

/// Where the daemon's socket is: beside `bwdc.toml`, or in the first folder.
pub(super) fn home(which: &Which, given: &Given) -> Result<std::path::PathBuf> {
    if let Some(folder) = given.setup.installation.as_ref().and_then(|found| found.path.parent()) {
        return Ok(folder.to_owned());
    }
    let jobs = which.standing(given)?;
    let first = jobs.iter().flat_map(Job::contexts).next().map(|context| context.file.folder().to_owned());
    Ok(first.unwrap_or_else(|| given.folder.clone()))
}

fn configured(arguments: &Arguments, given: Given) -> Result<Configured<Times>> {
    let jobs = arguments.which.standing(&given)?;
    let instances: Result<BTreeMap<_, _>> = jobs.into_iter().map(|job| configuration(job, &given)).collect();
    Ok(Configured {
        at_once: arguments.at_once.unwrap_or(given.setup.at_once.value.0),
        spread: SignedDuration::from_secs(arguments.spread.into()),
        metrics: arguments.metrics.or(given.setup.listen.map(|listen| listen.value.0)),
        instances: instances?,
    })
}

fn configuration(job: Job, given: &Given) -> Result<(String, Configuration<Times>)> {
    let (timetable, last) = (times(&job, given)?, last(&job)?);
    Ok((job.name().to_owned(), Configuration { timetable, last, job }))
}

/// By the schedule in `bwdc.toml`, or else by the interval in `data.json`.
fn times(job: &Job, given: &Given) -> Result<Times> {
    if let Some(schedule) = given.setup.installation.as_ref().and_then(|found| found.schedule_of(job.name()))
    {
        return schedule.times().map(Times::By);
    }
    let contexts = job.contexts();
    let Some(first) = contexts.first() else { return Ok(Times::usual()) };
    Times::of(&first.file.load()?).ok_or_else(|| {
        Error::new(format!("The instance in {} has no interval to run by.", first.file.folder().display()))
            .hint("Set it in minutes, `bwdc config sync.interval 15`, or give it a schedule in bwdc.toml.")
    })
}

/// When it last ran to a good end; of several the earliest.
fn last(job: &Job) -> Result<Option<Timestamp>> {
    let of_one = |context: &Context| Ok(last_run(&context.file.load()?));
    let times: Result<Vec<_>> = job.contexts().into_iter().map(of_one).collect();
    Ok(times?.into_iter().min().flatten())
}
