//! The schedules that are installed for an instance, for those who ask about the instance.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Given;
use crate::config::env;
use crate::daemon::timetable::Times;
use crate::schedule::Syncs;
use crate::schedule::expression::Schedule;
use crate::schedule::install::{self, Homes, Installed, Place};
use crate::zone;
use bwdc_core::error::Result;

/// One of them.
pub(super) struct Scheduled {
    pub(super) by: &'static str,
    pub(super) times: Times,
    /// As far as anybody but the scheduler can know.
    pub(super) next: Option<Timestamp>,
    pub(super) log_file: Option<PathBuf>,
    pub(super) place: Place,
}

/// Those that this user can see, the next to run first.
pub(super) fn of_folder(folder: &Path, given: &Given) -> Result<Vec<Scheduled>> {
    // What cannot be read is told by `schedule list`.
    let found = install::all(&Homes::of(&given.environment, None))?;
    let theirs = found.all.into_iter().filter(|installed| is_of(installed, folder, given));
    let mut theirs: Vec<Scheduled> = theirs.map(scheduled).collect::<Result<_>>()?;
    theirs.sort_by_key(|scheduled| (scheduled.next.is_none(), scheduled.next));
    Ok(theirs)
}

fn is_of(installed: &Installed, folder: &Path, given: &Given) -> bool {
    if matches!(installed.place, Place::Orphan { .. }) {
        return false;
    }
    let marked = Path::new(&installed.marker.folder);
    match installed.marker.syncs {
        Syncs::Instance => is_same(marked, folder),
        Syncs::Everything => {
            let variable = installed.marker.variables.iter().find(|(name, _)| name == env::CONFIG);
            let file = variable.map_or_else(|| marked.join("bwdc.toml"), |(_, path)| PathBuf::from(path));
            let installation = given.setup.installation.as_ref();
            installation
                .is_some_and(|found| is_same(&found.path, &file) && found.instance_in(folder).is_some())
        }
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    a == b || std::fs::canonicalize(a).is_ok_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b))
}

fn scheduled(installed: Installed) -> Result<Scheduled> {
    let next = installed.next(&zone::now());
    let Installed { scheduler, marker, place } = installed;
    let log_file = marker.variables.iter().find(|(name, _)| name == env::LOG_FILE);
    Ok(Scheduled {
        by: scheduler.name(),
        times: Times::By(Schedule::parse(&marker.schedule)?),
        next,
        log_file: log_file.map(|(_, path)| PathBuf::from(path)),
        place,
    })
}
