//! The schedules that are installed for an instance, for those who ask about the instance.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Invocation;
use crate::cli::timetable::Times;
use bwdc_config::env;
use bwdc_config::zone;
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
    let theirs = found.installed.into_iter().filter(|installed| is_of(installed, folder, invocation));
    let mut theirs: Vec<Scheduled> = theirs.map(scheduled).collect::<Result<_>>()?;
    theirs.sort_by_key(|scheduled| (scheduled.next.is_none(), scheduled.next));
    Ok(theirs)
}

fn is_of(installed: &Installed, folder: &Path, invocation: &Invocation) -> bool {
    if !installed.is_in_use() {
        return false;
    }
    let marked = Path::new(&installed.marker.folder);
    match installed.marker.syncs {
        Syncs::Instance => is_same(marked, folder),
        Syncs::Everything => {
            let variable = installed.marker.variables.iter().find(|(name, _)| name == env::CONFIG);
            let file = variable.map_or_else(|| marked.join("bwdc.toml"), |(_, path)| PathBuf::from(path));
            let installation = invocation.setup.installation.as_ref();
            installation
                .is_some_and(|found| is_same(&found.path, &file) && found.instance_in(folder).is_some())
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
