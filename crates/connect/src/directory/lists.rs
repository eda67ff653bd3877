//! What the directories in the cloud have in common: lists of people that are put together, and groups whose members are asked for
//! group by group.

use std::collections::HashSet;

use bwdc_core::entry::User;
use bwdc_core::note::{Note, Step};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Deserializer};

use super::Progress;
use crate::Result;

/// A list, or that what it belongs to is there no more.
#[derive(Debug)]
pub(super) enum Listed<T> {
    /// To its last page.
    All(Vec<T>),
    /// Deleted while we read.
    Gone,
}

/// The members of a group.
#[derive(Debug)]
pub(super) enum Members<M> {
    All(Vec<M>),
    /// The group cannot be had whole, for this reason: it is left out, and stays in the organization as it was.
    None(&'static str),
}

/// An entry that stays in memory until a read is over.
pub(super) trait Kept {
    /// How many octets it takes, besides itself.
    fn beside(&self) -> usize;
}

/// Makes room for the entries of a page.
///
/// # Errors
/// There is none.
pub(super) fn keep<T: Kept>(entries: &[T], progress: &Progress) -> Result<()> {
    progress.keep(entries.iter().map(|entry| size_of::<T>() + entry.beside()).sum())
}

/// The octets of a text that may be absent.
pub(super) fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

/// Why there are no members of a group that was in the list before.
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
pub(super) type WithMembers<'a, R, M> = (Vec<(&'a R, Vec<M>)>, Vec<Note>);

/// Asks for the members of each group, `at_once` at a time; how many requests that may be, the client decides.
///
/// # Errors
/// The first list that cannot be had, other than by its group's end.
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

/// What a vendor's schema allows to be null, as what it is where it is absent.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> std::result::Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Groups by whether they have a name.
#[derive(Debug)]
pub(super) struct ByName<R> {
    pub(super) named: Vec<R>,
    /// No group can be made of these; groups that they are in can still have their members.
    pub(super) nameless: Vec<R>,
    /// Which were left out, by id.
    pub(super) notes: Vec<Note>,
}

/// Tells groups with a name from those that have none.
pub(super) fn by_name<R>(records: Vec<R>, name: impl Fn(&R) -> &str, id: impl Fn(&R) -> String) -> ByName<R> {
    let (named, nameless): (Vec<R>, Vec<R>) =
        records.into_iter().partition(|record| !name(record).trim().is_empty());
    let note = |record| Note::warning(Step::Read, id(record), "the group has no name and was left out");
    let notes = nameless.iter().map(note).collect();
    ByName { named, nameless, notes }
}

/// The living with those who left. Whoever was restored while we read is in both lists, and lives.
pub(super) fn with_leavers(mut living: Vec<User>, left: Vec<User>) -> Vec<User> {
    let left = but_for(left, &living);
    living.extend(left);
    living
}

/// Without those who are known.
pub(super) fn but_for(mut users: Vec<User>, known: &[User]) -> Vec<User> {
    let known: HashSet<_> = known.iter().map(|user| &user.external_id).collect();
    users.retain(|user| !known.contains(&user.external_id));
    users
}
