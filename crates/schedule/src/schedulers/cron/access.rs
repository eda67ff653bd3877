//! Who may have a crontab.

use std::fs;
use std::path::{Path, PathBuf};

use crate::preparation::Owners;
use crate::steps::MachineChange;
use bwdc_core::error::{Error, Result};

/// Where cron's lists are: Linux, then macOS.
const LISTS: [&str; 2] = ["/etc", "/usr/lib/cron"];

/// What cron.allow and cron.deny mean for a user (crontab(1)): cron.allow, if it is there, has to name them; else cron.deny must not.
/// A line counts as it is, blanks included.
fn access(user: &str) -> Result<Allowed> {
    let folder = LISTS
        .iter()
        .map(Path::new)
        .find(|folder| ["cron.allow", "cron.deny"].iter().any(|name| folder.join(name).exists()));
    let Some(folder) = folder.filter(|_| user != "root") else { return Ok(Allowed::Yes) };
    let names = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.lines().any(|line| line == user))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // `crontab` itself may read it, and says no where it must.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Error::new(format!("Reading {}: {error}", path.display()))),
    };
    let (allow, deny) = (folder.join("cron.allow"), folder.join("cron.deny"));
    match names(&allow)? {
        Some(true) => Ok(Allowed::Yes),
        Some(false) => Ok(Allowed::NotNamed(allow)),
        None if names(&deny)? == Some(true) => Ok(Allowed::Denied(deny)),
        None => Ok(Allowed::Yes),
    }
}

enum Allowed {
    Yes,
    NotNamed(PathBuf),
    Denied(PathBuf),
}

/// The line that cron.allow needs.
///
/// # Errors
/// A user without access, where that may not be changed.
pub(super) fn addition_to_allow(user: &str, owners: Owners) -> Result<Option<MachineChange>> {
    match (access(user)?, owners) {
        (Allowed::Yes, _) => Ok(None),
        (Allowed::NotNamed(path), Owners::Fix) => {
            Ok(Some(MachineChange::Append { path, line: user.to_owned() }))
        }
        (Allowed::NotNamed(path), Owners::Keep) => {
            let path = path.display();
            Err(Error::new(format!("cron does not allow {user} a crontab: {path} has no line `{user}`."))
                .hint(format!("As root, `echo {user} >>{path}`, or install with --fix, which does that.")))
        }
        (Allowed::Denied(path), _) => {
            let path = path.display();
            Err(Error::new(format!("cron does not allow {user} a crontab: {path} has the line `{user}`."))
                .hint("Somebody put it there on purpose: remove it if that is no longer wanted, or use another user."))
        }
    }
}

/// Takes the user out of cron.allow again.
pub(super) fn removal_from_allow(user: &str) -> Option<MachineChange> {
    let allow =
        LISTS.map(|folder| Path::new(folder).join("cron.allow")).into_iter().find(|path| path.exists());
    allow.map(|path| MachineChange::TakeOut { path, line: user.to_owned() })
}
