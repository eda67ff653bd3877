//! Directories: the interface they share, and the one place that opens them.

pub mod entra;
pub mod file;
pub mod google;
pub mod ldap;
mod lists;
mod lookup;
pub mod okta;
pub mod onelogin;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bwdc_core::entry::{ExternalId, Status, User};
use bwdc_core::organization::Moment;
use bwdc_core::snapshot::{Cursor, Place, Snapshot};
use jiff::Timestamp;

pub use self::lookup::{ClauseCheck, ClauseOutcome, RawAttribute, Sighted, Sighting};
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

/// Part of a directory that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadScope {
    /// People only (`sync.users`).
    Users,
    /// Groups only (`sync.groups`). People are still read, so that members are known.
    Groups,
    /// Both.
    UsersAndGroups,
}

impl ReadScope {
    /// Whether people are to be imported.
    pub fn has_users(self) -> bool {
        matches!(self, Self::Users | Self::UsersAndGroups)
    }

    /// Whether groups are to be imported.
    pub fn has_groups(self) -> bool {
        matches!(self, Self::Groups | Self::UsersAndGroups)
    }
}

/// Extent of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadExtent {
    /// Everything, whatever was read before.
    Everything,
    /// Only changes since the last sync, if the directory is configured for it; otherwise everything.
    Since {
        /// Time of the last sync of users.
        users: Option<Timestamp>,
        /// Time of the last sync of groups.
        groups: Option<Timestamp>,
        /// State stored by the last read.
        cursor: Cursor,
    },
}

/// Request for a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Users, groups or both.
    pub scope: ReadScope,
    /// Everything or changes.
    pub extent: ReadExtent,
    /// People to read in addition.
    pub others: Others,
}

impl Ask {
    /// Whether people whom the directory's own filter leaves out have to be read as well: they may be members, and a
    /// leaver must not have the address of somebody who is still there.
    pub fn needs_others<'a>(&self, known: impl IntoIterator<Item = &'a User>) -> bool {
        self.others == Others::Always
            || self.scope.has_groups()
            || known.into_iter().any(|user| user.status != Status::Active)
    }
}

/// Whether people whom the directory's own filter leaves out are read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// If something depends on them: membership, or the addresses of people who leave.
    WhenNeeded,
    /// Always, because absence from the read means having left.
    Always,
}

/// Capabilities of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether deleted accounts are reported, so that leavers are known by name.
    pub tombstones: Tombstones,
}

/// Reporting of deleted accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstones {
    /// They simply vanish.
    No,
    /// They are listed, perhaps without an address.
    Yes,
}

/// Creation times of entries.
type CreationTimes = foldhash::HashMap<ExternalId, Moment>;

/// Counters of what has been read so far, for display. Cheap to increment from several tasks.
#[derive(Debug, Default)]
pub struct Progress {
    users: AtomicU64,
    groups: AtomicU64,
    requests: AtomicU64,
    expected: AtomicU64,
    /// In octets.
    kept: AtomicU64,
}

/// Largest number of octets of entries that a read keeps. A million people with their groups need a tenth of that.
pub const MOST_KEPT: u64 = 4 << 30;

/// State of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// People read so far.
    pub users: u64,
    /// Groups read so far.
    pub groups: u64,
    /// Requests answered so far, if they are counted.
    pub requests: u64,
    /// Estimated total number of requests, if known.
    pub expected: u64,
}

impl Progress {
    /// Counts one more person.
    pub fn user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more group.
    pub fn group(&self) {
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more answered request.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Announces at least this many further requests.
    pub fn expect_requests(&self, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.expected.fetch_max(self.requests.load(Ordering::Relaxed), Ordering::Relaxed);
        self.expected.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts octets of entries that are kept until the read is over.
    ///
    /// # Errors
    /// They are too many for a directory of any company.
    pub fn keep(&self, octets: usize) -> Result<()> {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let before = self.kept.fetch_add(octets, Ordering::Relaxed);
        if before.saturating_add(octets) <= MOST_KEPT {
            return Ok(());
        }
        let reason = format!("there is more than {} GiB of people, groups and members", MOST_KEPT >> 30);
        Err(Error::new(ErrorKind::Data, "Reading the directory", reason).hint(
            "Look for entries with names or addresses without end. If the directory really is that large, leave most of it out by \
             sync.userFilter and sync.groupFilter. Nothing was imported.",
        ))
    }

    /// Current state.
    pub fn counts(&self) -> ReadCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = read(&self.requests);
        ReadCounts {
            users: read(&self.users),
            groups: read(&self.groups),
            requests,
            expected: read(&self.expected).max(requests),
        }
    }
}

/// Interface of every directory. A read returns every page or an error, never a part.
pub trait Directory {
    /// Capabilities of this directory.
    fn abilities(&self) -> Abilities;

    /// Whether a place, perhaps read with other paths, lies entirely within what this directory reads now.
    fn covers(&self, place: &Place) -> bool;

    /// Checks every step of a read separately, up to the first that fails, so that the cause of a failure is named.
    fn probe(&self, scope: ReadScope) -> impl Future<Output = Vec<Check>> + Send;

    /// Reads what was requested, completely.
    fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> impl Future<Output = Result<Snapshot>> + Send;

    /// Looks one person or group up by address, id, name or DN, whatever the administrator's filter says.
    fn look_up(&self, text: &str) -> impl Future<Output = Result<Vec<Sighting>>> + Send;
}

/// Error with the sentence of the existing connector; the setting's name is in the next step.
pub fn incomplete(setting: &str, next_step: &str) -> Error {
    Error::new(ErrorKind::Configuration, "", "Directory configuration incomplete.")
        .hint(format!("Setting: {setting}. {next_step}"))
}

macro_rules! directories {
    ($($(#[doc = $doc:literal])+ $variant:ident($config:ty) opens $directory:ty;)+) => {
        /// Configuration of one directory.
        #[derive(Clone, Debug)]
        pub enum Config {
            $($(#[doc = $doc])+ $variant(Box<$config>),)+
        }

        /// Opened directory of any kind.
        #[derive(Debug)]
        pub enum AnyDirectory {
            $($(#[doc = $doc])+ $variant(Box<$directory>),)+
        }

        /// Checks the configuration as far as possible without a connection.
        pub fn open(config: Config) -> Result<AnyDirectory> {
            Ok(match config {
                $(Config::$variant(config) => AnyDirectory::$variant(Box::new(<$directory>::open(*config)?)),)+
            })
        }

        impl Directory for AnyDirectory {
            fn abilities(&self) -> Abilities {
                match self {
                    $(Self::$variant(directory) => directory.abilities(),)+
                }
            }

            fn covers(&self, place: &Place) -> bool {
                match self {
                    $(Self::$variant(directory) => directory.covers(place),)+
                }
            }

            // On the heap: otherwise each caller that awaits one reserves space for all of them.
            async fn probe(&self, scope: ReadScope) -> Vec<Check> {
                match self {
                    $(Self::$variant(directory) => Box::pin(directory.probe(scope)).await,)+
                }
            }

            async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
                match self {
                    $(Self::$variant(directory) => Box::pin(directory.read(ask, progress)).await,)+
                }
            }

            async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
                match self {
                    $(Self::$variant(directory) => Box::pin(directory.look_up(text)).await,)+
                }
            }
        }
    };
}

directories! {
    /// Active Directory or any LDAP server.
    Ldap(ldap::Config) opens ldap::Ldap;
    /// CSV or JSON files.
    File(file::Config) opens file::Files;
    /// Microsoft Entra ID.
    Entra(entra::Config) opens entra::Entra;
    /// Google Workspace.
    Google(google::Config) opens google::Google;
    /// Okta.
    Okta(okta::Config) opens okta::Okta;
    /// OneLogin.
    OneLogin(onelogin::Config) opens onelogin::OneLogin;
}
