//! `bwdc daemon`

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::SignedDuration;

use crate::config::{Environment, place};
use crate::daemon::timetable::{Every, last_run};
use crate::daemon::{self, Configuration, Configured};
use crate::error::{Error, Result};
use crate::run::Context;
use crate::session::TokenMemory;
use crate::state::DataFile;
use crate::ui::{Answer, Style};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of an instance's data.json; may be given more than once.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// How many syncs may be under way at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    at_once: usize,
    /// By how many seconds a start may be put off, so that not all machines come at once; never by more than a tenth of the
    /// interval.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    spread: u32,
    /// Serve /metrics (for Prometheus) and /healthz on this address of this machine, such as 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

pub(super) async fn run(arguments: Arguments, environment: Environment, style: Style) -> Result<Answer> {
    let folders = folders(&arguments.appdata, &environment)?;
    let home = folders.first().cloned().unwrap_or_default();
    // What happens is in the log; nobody waits for answers.
    let style = Style { quiet: true, ..style };
    let load = || {
        let instances: Result<BTreeMap<_, _>> =
            folders.iter().map(|folder| instance(folder, &environment, style)).collect();
        Ok(Configured {
            at_once: arguments.at_once,
            spread: SignedDuration::from_secs(arguments.spread.into()),
            metrics: arguments.metrics,
            instances: instances?,
        })
    };
    daemon::run(&home, load).await?;
    Ok(Answer::Nothing)
}

/// The folders of all instances: those that are named, or the usual one.
pub(super) fn folders(named: &[PathBuf], environment: &Environment) -> Result<Vec<PathBuf>> {
    if named.is_empty() {
        return Ok(vec![place::folder(environment)?]);
    }
    named
        .iter()
        .map(|folder| {
            std::path::absolute(folder)
                .map_err(|error| Error::new(format!("Finding the folder {}: {error}", folder.display())))
        })
        .collect()
}

/// An instance by its interval.
fn instance(
    folder: &Path,
    environment: &Environment,
    style: Style,
) -> Result<(String, Configuration<Every>)> {
    let file = DataFile::in_folder(folder.to_owned());
    let data = file.load()?;
    let timetable = Every::of(&data).ok_or_else(|| {
        Error::new(format!("The instance in {} has no interval to run by.", folder.display()))
            .hint("Set it in minutes: bwdc config sync.interval 15")
    })?;
    let environment = environment.clone();
    let tokens = TokenMemory::default();
    let context = move || Context::new(file.clone(), environment.clone(), style).with_tokens(tokens.clone());
    let configuration = Configuration { timetable, last: last_run(&data), context: Arc::new(context) };
    Ok((folder.display().to_string(), configuration))
}
