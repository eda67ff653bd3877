//! Root's rights, given up where an instance belongs to another user: what root writes there the user's own syncs could not
//! replace, and what that user put there (links, commands that print secrets) must not be followed or run with root's rights.

#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub use self::elsewhere::{Owner, cannot_as, check_link, check_named, check_program, owner_of_all};
#[cfg(unix)]
pub use self::unix::{Owner, cannot_as, check_link, check_named, check_program, owner_of_all};

/// What a file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferredFile<'a> {
    /// A command that prints a secret, or a file with one.
    Secret,
    /// A file or folder that is read, by this setting.
    File(&'a str),
    /// A file that is written.
    Log,
}
