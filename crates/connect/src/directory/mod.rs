//! The directories: what can be asked of each, and the one place that opens them.

pub mod file;
pub mod ldap;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bwdc_core::snapshot::{Cursor, Snapshot};
use jiff::Timestamp;

use crate::Result;
use crate::probe::Check;

/// Which half of a directory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `sync.users` only.
    Users,
    /// `sync.groups` only. People are still read, so that members are known.
    Groups,
    /// Both.
    UsersAndGroups,
}

impl Scope {
    /// Whether people are to be imported.
    pub fn has_users(self) -> bool {
        matches!(self, Self::Users | Self::UsersAndGroups)
    }

    /// Whether groups are to be imported.
    pub fn has_groups(self) -> bool {
        matches!(self, Self::Groups | Self::UsersAndGroups)
    }
}

/// How much of the directory is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything, whatever was read before.
    Everything,
    /// Only what changed since, where the directory was configured for it; otherwise everything.
    Since {
        /// When users were last synced.
        users: Option<Timestamp>,
        /// When groups were last synced.
        groups: Option<Timestamp>,
        /// What the last read left behind.
        cursor: Cursor,
    },
}

/// One request for a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Users, groups or both.
    pub scope: Scope,
    /// Everything or changes.
    pub extent: Extent,
    /// Who else.
    pub others: Others,
}

/// Whether people whom the directory's own filter leaves out are read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// If something depends on them: membership, or the addresses of people who leave.
    WhenNeeded,
    /// Always, because being absent from the read means having left.
    Always,
}

/// What a directory can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether deleted accounts are reported, so that leavers are known by name.
    pub tombstones: Tombstones,
}

/// Whether a directory reports deleted accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstones {
    /// They simply vanish.
    No,
    /// They are listed, perhaps without an address.
    Yes,
}

/// Counts what has been read so far, for whoever shows it. Cheap to bump from several tasks.
#[derive(Debug, Default)]
pub struct Progress {
    users: AtomicU64,
    groups: AtomicU64,
}

impl Progress {
    /// One more person.
    pub fn user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// One more group.
    pub fn group(&self) {
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    /// People and groups read so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.users.load(Ordering::Relaxed), self.groups.load(Ordering::Relaxed))
    }
}

/// What every directory does. A read yields every page or an error, never a part.
pub trait Directory {
    /// What this directory can tell.
    fn abilities(&self) -> Abilities;

    /// Looks at every step of a read by itself, up to the first that fails, so that the cause of a failure has a name.
    fn probe(&self, scope: Scope) -> impl Future<Output = Vec<Check>> + Send;

    /// Reads what was asked for, completely.
    fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> impl Future<Output = Result<Snapshot>> + Send;
}

/// The configuration of one directory.
#[derive(Clone, Debug)]
pub enum Config {
    /// Active Directory or any LDAP server.
    Ldap(Box<ldap::Config>),
    /// CSV or JSON files.
    File(file::Config),
}

/// An opened directory of any kind.
#[derive(Debug)]
pub enum AnyDirectory {
    /// Active Directory or any LDAP server.
    Ldap(Box<ldap::Ldap>),
    /// CSV or JSON files.
    File(file::Files),
}

/// Checks the configuration as far as that is possible without a connection.
pub fn open(config: Config) -> Result<AnyDirectory> {
    Ok(match config {
        Config::Ldap(config) => AnyDirectory::Ldap(Box::new(ldap::Ldap::open(*config)?)),
        Config::File(config) => AnyDirectory::File(file::Files::open(config)?),
    })
}

impl Directory for AnyDirectory {
    fn abilities(&self) -> Abilities {
        match self {
            Self::Ldap(directory) => directory.abilities(),
            Self::File(directory) => directory.abilities(),
        }
    }

    async fn probe(&self, scope: Scope) -> Vec<Check> {
        match self {
            Self::Ldap(directory) => directory.probe(scope).await,
            Self::File(directory) => directory.probe(scope).await,
        }
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        match self {
            Self::Ldap(directory) => directory.read(ask, progress).await,
            Self::File(directory) => directory.read(ask, progress).await,
        }
    }
}
