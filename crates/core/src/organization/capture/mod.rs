//! Everything that decides a plan, as one value that can be written to a file, redacted, and planned again elsewhere.

mod file;
mod pseudonyms;
mod redact;

use serde::{Deserialize, Serialize};

pub use self::file::{Holds, Unreadable, VERSION};
pub use self::pseudonyms::Pseudonyms;
use super::changes::{Changes, Question, changes};
use super::directory::{DirectoryNow, GroupsRead, Part, PeopleRead, Source};
use super::ledger::Ledger;
use super::moment::Moment;
use super::roster::Roster;
use super::settings::Settings;
use crate::check::ServerLimits;
use crate::merge::{MergePart, MergeSource, Merged, Share, merge};
use crate::prepare::{Prepared, prepare};
use crate::rules::Rules;
use crate::snapshot::Snapshot;

/// Everything that decides a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capture {
    /// Time of the reads, as RFC 3339 in UTC.
    pub created_at: String,
    /// The same, for the decisions.
    pub now: Moment,
    /// The organization's id.
    pub organization: String,
    /// The server's address.
    pub server: String,
    /// The server's limits on one import.
    pub limits: ServerLimits,
    /// Directories, the most important first.
    pub directories: Vec<CapturedDirectory>,
    /// Whether groups were read.
    pub groups_read: GroupsRead,
    /// Settings about the organization.
    pub settings: Settings,
    /// The organization, with the memberships that were read.
    pub roster: Roster,
    /// Knowledge from before, after [`Ledger::settled`].
    pub ledger: Ledger,
}

/// One directory as it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapturedDirectory {
    /// Name by which an administrator knows it.
    pub name: String,
    /// Prefix of its groups' names; usually empty.
    pub prefix: String,
    /// Entries.
    pub snapshot: Snapshot,
    /// Rules by which they are prepared.
    pub rules: Rules,
    /// Place, filters and completeness.
    pub source: Source,
    /// Whether people are imported from it.
    pub people: PeopleRead,
}

/// What follows from a capture.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// People and groups to import.
    pub prepared: Prepared,
    /// Part of each directory in it, if there are several.
    pub parts: Vec<MergePart>,
    /// The directory, joined.
    pub directory: DirectoryNow,
    /// The changes.
    pub changes: Changes,
}

impl Capture {
    /// Decides again, by the functions that every run uses.
    pub fn replay(&self) -> Replayed {
        let Merged { prepared, parts } = self.prepared();
        let read: Vec<Part<'_>> = self.directories.iter().map(CapturedDirectory::part).collect();
        let directory = DirectoryNow::of(&read, &prepared, self.groups_read);
        let changes = changes(&self.question(&directory));
        Replayed { prepared, parts, directory, changes }
    }

    /// One directory alone is prepared, and several are merged, as they are by every run.
    fn prepared(&self) -> Merged {
        if let [alone] = self.directories.as_slice() {
            let prepared = prepare(alone.snapshot.clone(), &alone.rules);
            return Merged { prepared, parts: Vec::new() };
        }
        merge(self.directories.iter().map(CapturedDirectory::share).collect())
    }

    /// The question that was answered, about this directory.
    pub fn question<'a>(&'a self, directory: &'a DirectoryNow) -> Question<'a> {
        let Self { roster, ledger, settings, now, .. } = self;
        Question { directory, roster, ledger, settings, now: *now }
    }
}

impl CapturedDirectory {
    fn share(&self) -> Share {
        let Self { name, prefix, snapshot, rules, source: _, people: _ } = self;
        let source = MergeSource { name: name.clone(), prefix: prefix.clone() };
        Share::of(source, snapshot.clone(), rules)
    }

    fn part(&self) -> Part<'_> {
        let Self { snapshot, rules, source, people, .. } = self;
        Part { snapshot, rules, source: source.clone(), people: *people }
    }
}
