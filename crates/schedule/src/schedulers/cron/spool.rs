//! Crontabs as files: those whose user is gone, which `crontab` does not show.

use std::fs;
use std::path::{Path, PathBuf};

use super::Orphan;
use super::crontab::{Crontab, Entry, Origin};
use crate::schedulers::{Installed, Scheduler};
use crate::steps::{MachineChange, Steps};
use bwdc_core::error::{Error, Result};

/// Where cron keeps crontabs: Debian, others, macOS.
const SPOOLS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron", "/var/at/tabs"];

/// A crontab's file, which is named after its user.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) user: String,
    pub(super) path: PathBuf,
}

/// Every crontab's: for root only, who may look. What `crontab` itself is about to write is none.
pub(super) fn spooled() -> Vec<Spooled> {
    let files = SPOOLS.iter().filter_map(|spool| fs::read_dir(spool).ok()).flatten().flatten();
    let files = files.filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
    let spooled = |file: fs::DirEntry| {
        let user = file.file_name().into_string().ok()?;
        (!user.starts_with("tmp.")).then(|| Spooled { user, path: file.path() })
    };
    files.filter_map(spooled).collect()
}

/// What is in the crontab of somebody who is gone.
pub(super) fn in_orphan(spooled: &Spooled) -> Result<Vec<Installed>> {
    let Spooled { user, path } = spooled;
    let what = format!("The crontab {}, whose user no longer exists", path.display());
    let text = fs::read_to_string(path).map_err(|error| Error::new(format!("{what}: {error}")))?;
    let crontab = Crontab::parse(&text).map_err(|error| error.while_doing(what))?;
    let entries = crontab.block.map(|block| block.entries).unwrap_or_default();
    let installed = |entry: Entry| {
        let marker = entry.marker.clone();
        Installed::at(Scheduler::Cron, marker, Orphan { user: user.clone(), path: path.clone(), entry })
    };
    Ok(entries.into_iter().map(installed).collect())
}

/// Takes a folder out of such a crontab. One that was made for it goes; `crontab` has put comments of its own at its head.
pub(super) fn out_of_orphan(path: &Path, folder: &str) -> Result<Steps> {
    let text = fs::read_to_string(path)
        .map_err(|error| Error::new(format!("Reading {}: {error}", path.display())))?;
    let known = Crontab::parse(&text)?;
    let Some(mut block) = known.block.clone() else { return Ok(Steps::default()) };
    block.entries.retain(|entry| entry.marker.folder != folder);
    let was_made = block.origin == Origin::Nothing;
    let rest = known.with(block).unwrap_or_default();
    let is_empty = rest.lines().all(|line| line.is_empty() || line.starts_with('#'));
    let path = path.to_owned();
    Ok(Steps(vec![if was_made && is_empty {
        MachineChange::Remove { path }
    } else {
        MachineChange::Replace { path, text: rest }
    }]))
}
