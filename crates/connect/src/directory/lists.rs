//! Shared code of the cloud directories: lists of people that are combined, and groups whose members are requested group by
//! group.

use std::collections::HashSet;

use bwdc_core::entry::User;
use bwdc_core::note::{Note, Noted, Step};
use bwdc_core::organization::Moment;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{CreationTimes, Progress};
use crate::Result;

/// List, or the news that its owner is gone.
#[derive(Debug)]
pub(super) enum Listed<T> {
    /// Complete list.
    All(Vec<T>),
    /// Deleted during the read.
    Gone,
}

/// Members of a group.
#[derive(Debug)]
pub(super) enum Members<M> {
    All(Vec<M>),
    /// The group cannot be read completely, for this reason: it is left out, and stays in the organization as it was.
    None(&'static str),
}

/// An entry that stays in memory until a read is over.
pub(super) trait SizeInMemory {
    /// Number of octets it takes, besides itself.
    fn beside(&self) -> usize;
}

/// Makes room for the entries of a page.
///
/// # Errors
/// There is none.
pub(super) fn keep<T: SizeInMemory>(entries: &[T], progress: &Progress) -> Result<()> {
    progress.keep(entries.iter().map(|entry| size_of::<T>() + entry.beside()).sum())
}

/// The octets of a text that may be absent.
pub(super) fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

/// Reason for leaving out a group that was in the list before.
pub(super) const DELETED: &str = "the group was deleted while it was read and was left out";

impl<M> From<Listed<M>> for Members<M> {
    fn from(listed: Listed<M>) -> Self {
        match listed {
            Listed::All(members) => Self::All(members),
            Listed::Gone => Self::None(DELETED),
        }
    }
}

/// Groups with their members, and notes about those that were left out.
pub(super) type WithMembers<'a, R, M> = Noted<Vec<(&'a R, Vec<M>)>>;

/// Requests the members of each group, `at_once` at a time; the client limits the requests.
///
/// # Errors
/// Returns the first failure of a list, unless its group was deleted.
pub(super) async fn with_members<'a, R, M, F: Future<Output = Result<Members<M>>>>(
    records: &'a [R],
    at_once: usize,
    name: impl Fn(&R) -> &str,
    members: impl Fn(&'a R) -> F,
) -> Result<WithMembers<'a, R, M>> {
    let asked: Vec<F> = records.iter().map(members).collect();
    let read: Vec<Members<M>> = stream::iter(asked).buffered(at_once).try_collect().await?;
    let (mut groups, mut notes) = (Vec::with_capacity(records.len()), Vec::new());
    for (record, members) in records.iter().zip(read) {
        match members {
            Members::All(members) => groups.push((record, members)),
            Members::None(reason) => notes.push(Note::warning(Step::Read, name(record), reason)),
        }
    }
    Ok((groups, notes))
}

/// Reads a value that a vendor's schema allows to be null as if it were absent.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> std::result::Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Groups with and without a name.
#[derive(Debug)]
pub(super) struct ByName<R> {
    pub(super) named: Vec<R>,
    /// Groups without a name cannot be imported; groups that they are in can still have their members.
    pub(super) nameless: Vec<R>,
    /// Ids of the groups that were left out.
    pub(super) notes: Vec<Note>,
}

/// Separates groups with a name from those without.
pub(super) fn by_name<R>(records: Vec<R>, name: impl Fn(&R) -> &str, id: impl Fn(&R) -> String) -> ByName<R> {
    let (named, nameless): (Vec<R>, Vec<R>) =
        records.into_iter().partition(|record| !name(record).trim().is_empty());
    let note = |record| Note::warning(Step::Read, id(record), "the group has no name and was left out");
    let notes = nameless.iter().map(note).collect();
    ByName { named, nameless, notes }
}

/// People of a list.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) users: Vec<User>,
    /// See [`bwdc_core::snapshot::Snapshot`].
    pub(super) created: CreationTimes,
}

impl People {
    /// Converts each person; the second value is the creation time.
    pub(super) fn of(people: impl Iterator<Item = (User, Option<Moment>)>) -> Self {
        let mut found = Self::default();
        for (user, created) in people {
            found.created.extend(created.map(|created| (user.external_id.clone(), created)));
            found.users.push(user);
        }
        found
    }

    /// Removes the people who are known already.
    fn but_for(&mut self, known: &[User]) {
        let known: HashSet<_> = known.iter().map(|user| &user.external_id).collect();
        self.users.retain(|user| !known.contains(&user.external_id));
    }
}

/// Lists of a directory that filters by itself. Each is read at another time.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Living people whom the administrator's filter keeps.
    pub(super) asked_for: People,
    /// People who left, whatever the filter.
    pub(super) left: People,
    /// Living people, whatever the filter, if that matters.
    pub(super) living: People,
}

impl Lists {
    /// Users and others of a snapshot, and when they were created. Somebody who was restored during the read counts as living.
    pub(super) fn joined(self) -> (Vec<User>, Vec<User>, CreationTimes) {
        let Self { mut asked_for, mut left, mut living } = self;
        left.but_for(&asked_for.users);
        left.but_for(&living.users);
        living.but_for(&asked_for.users);
        let mut created = left.created;
        created.extend(living.created);
        created.extend(asked_for.created);
        asked_for.users.append(&mut left.users);
        (asked_for.users, living.users, created)
    }
}

/// Reads a time such as `2021-04-28T21:10:57.210Z` (RFC 3339); whatever else comes counts as absent.
pub(super) fn moment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Moment>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let time: Option<Timestamp> = value.as_str().and_then(|text| text.parse().ok());
    Ok(time.map(|time| Moment(time.as_second())))
}
