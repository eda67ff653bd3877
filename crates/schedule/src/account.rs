//! Users of the operating system, asked by its own tools, so that those of a directory (NSS) count as well.

use std::path::PathBuf;
use std::process::Command;

use bwdc_core::error::{Error, Result};
#[cfg(unix)]
use rustix::process::{Gid, Uid};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemAccount {
    /// The name.
    pub name: String,
    /// The home folder.
    pub home: PathBuf,
}

/// Where `--create-user` puts the home.
pub fn home_of_new(name: &str) -> PathBuf {
    PathBuf::from("/var/lib").join(name)
}

/// Whether everything is allowed to this process.
#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Windows has no such user; its tools ask for what they need.
#[cfg(not(unix))]
pub fn is_root() -> bool {
    false
}

/// The name of the user who runs this.
///
/// # Errors
/// The system cannot tell.
pub fn own_name() -> Result<String> {
    answer_of(Command::new("id").arg("-un"))?
        .ok_or_else(|| Error::new("Asking for the user's name: `id -un` failed."))
}

/// What to write before a command so that it runs as a user.
pub(crate) fn as_user(name: &str) -> Result<Vec<String>> {
    let words: &[&str] = if name == own_name()? {
        &[]
    } else if cfg!(target_os = "linux") {
        &["runuser", "-u", name, "--"]
    } else {
        &["sudo", "-n", "-u", name, "--"]
    };
    Ok(words.iter().map(|word| (*word).to_owned()).collect())
}

/// A user by name, if there is one.
///
/// # Errors
/// A name that no user can have (useradd(8)), or tools that are missing.
pub fn find(name: &str) -> Result<Option<SystemAccount>> {
    let is_valid = |name: &str| {
        let rest = name.strip_suffix('$').unwrap_or(name);
        !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            && !rest.starts_with(['-', '.'])
    };
    if !is_valid(name) {
        return Err(Error::new(format!("`{name}` is not a valid user name."))
            .hint("A name has letters, digits, `_`, `.` and `-`, such as bwdc."));
    }
    if answer_of(Command::new("id").args(["-u", name]))?.is_none() {
        return Ok(None);
    }
    // The name was checked above: the shell sees nothing but the name.
    let home = answer_of(Command::new("sh").args(["-c", &format!("echo ~{name}")]))?;
    let home = home.filter(|home| home.starts_with('/'));
    let home = home.ok_or_else(|| Error::new(format!("The user {name} has no home folder.")))?;
    Ok(Some(SystemAccount { name: name.to_owned(), home: PathBuf::from(home) }))
}

/// The numbers of a user and of the user's own group.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

/// The numbers of a user by name.
///
/// # Errors
/// There is no such user, or `id` is missing.
#[cfg(unix)]
pub(crate) fn ids_of(name: &str) -> Result<Ids> {
    let number = |option| match answer_of(Command::new("id").args([option, name]))?.map(|text| text.parse()) {
        Some(Ok(number)) => Ok(number),
        _ => Err(Error::new(format!("There is no user {name}."))),
    };
    Ok(Ids { uid: Uid::from_raw(number("-u")?), gid: Gid::from_raw(number("-g")?) })
}

/// The name of a user by number, if there is one.
#[cfg(unix)]
pub(crate) fn name_of(uid: u32) -> Option<String> {
    answer_of(Command::new("id").args(["-un", &uid.to_string()])).ok().flatten()
}

/// What a command prints, if it succeeds.
fn answer_of(command: &mut Command) -> Result<Option<String>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Error::new(format!("Running {program}: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    Ok(output.status.success().then_some(text))
}
