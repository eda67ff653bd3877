//! The schedules that are installed for an instance, for those who ask about the instance.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;

use super::Invocation;
use crate::cli::timetable::Times;
use bwdc_config::installation::{Installation, InstalledSchedules};
use bwdc_config::{Environment, env, zone};
use bwdc_core::error::Result;
use bwdc_schedule::schedulers::systemd::JournalUnit;
use bwdc_schedule::times::Schedule;
use bwdc_schedule::{Installed, Syncs, schedulers};
use bwdc_store::files::real_path;

/// One of them.
pub(super) struct Scheduled {
    pub(super) by: &'static str,
    pub(super) times: Times,
    /// As far as anybody but the scheduler can know.
    pub(super) next: Option<Timestamp>,
    pub(super) log_file: Option<PathBuf>,
    /// The unit, where the journal has the log.
    pub(super) journal: Option<JournalUnit>,
}

/// Those that this user can see, the next to run first.
pub(super) fn of_folder(folder: &Path, invocation: &Invocation) -> Result<Vec<Scheduled>> {
    // What cannot be read is told by `schedule list`.
    let found = schedulers::list(&super::schedule::homes(&invocation.environment, None))?;
    let everything = Everything::of(invocation.setup.installation.as_ref());
    let theirs =
        found.installed.into_iter().filter(|installed| is_of(installed, folder, everything.as_ref()));
    let mut theirs: Vec<Scheduled> = theirs.map(scheduled).collect::<Result<_>>()?;
    theirs.sort_by_key(|scheduled| (scheduled.next.is_none(), scheduled.next));
    Ok(theirs)
}

/// Finds the schedule of a folder, for alerts about successes that are missed. The schedulers are asked once.
pub(super) fn installed(
    environment: &Environment,
    installation: Option<&Installation>,
) -> InstalledSchedules {
    let (homes, everything) = (super::schedule::homes(environment, None), Everything::of(installation));
    let found = OnceLock::new();
    InstalledSchedules::by(move |folder| {
        let found = found.get_or_init(|| match schedulers::list(&homes) {
            Ok(found) => found.installed,
            Err(error) => {
                tracing::info!("the installed schedules cannot be listed: {error}");
                Vec::new()
            }
        });
        let theirs = found.iter().find(|installed| is_of(installed, folder, everything.as_ref()));
        theirs.and_then(|installed| Schedule::parse(&installed.marker.schedule).ok())
    })
}

/// What a job that syncs everything is about.
struct Everything {
    /// `bwdc.toml`.
    file: PathBuf,
    /// Folders of its instances.
    folders: Vec<PathBuf>,
}

impl Everything {
    fn of(installation: Option<&Installation>) -> Option<Self> {
        let Installation { path, instances, .. } = installation?;
        let folders = instances.iter().map(|instance| instance.folder.clone()).collect();
        Some(Self { file: path.clone(), folders })
    }
}

fn is_of(installed: &Installed, folder: &Path, everything: Option<&Everything>) -> bool {
    if !installed.is_in_use() {
        return false;
    }
    let marked = Path::new(&installed.marker.folder);
    match installed.marker.syncs {
        Syncs::Instance => is_same(marked, folder),
        Syncs::Everything => {
            let variable = installed.marker.variables.iter().find(|(name, _)| name == env::CONFIG);
            let file = variable.map_or_else(|| marked.join("bwdc.toml"), |(_, path)| PathBuf::from(path));
            everything.is_some_and(|Everything { file: own, folders }| {
                is_same(own, &file) && folders.iter().any(|known| is_same(known, folder))
            })
        }
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    a == b || real_path(a) == real_path(b)
}

fn scheduled(installed: Installed) -> Result<Scheduled> {
    let next = installed.next(&zone::now());
    let journal = installed.journal();
    let Installed { scheduler, marker, .. } = installed;
    let log_file = marker.variables.iter().find(|(name, _)| name == env::LOG_FILE);
    Ok(Scheduled {
        by: scheduler.name(),
        times: Times::By(Schedule::parse(&marker.schedule)?),
        next,
        log_file: log_file.map(|(_, path)| PathBuf::from(path)),
        journal,
    })
}
