//! Members of groups: numbers of people, or ids.

use std::fmt;
use std::sync::Arc;

use foldhash::HashSet as FastSet;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entry::ExternalId;
use crate::organization::ledger::{Journal, Ledger};
use crate::texts::ByText;

/// People who have a number, in its order: those of the list, then those whom the journal brings in.
fn numbered(ledger: &Ledger) -> impl Iterator<Item = &ExternalId> {
    let people = ledger.people.iter().map(|(id, _)| id);
    people.chain(ledger.journal.iter().flat_map(Journal::newcomers))
}

/// A member as it is read: the number of a person, or an id.
pub(super) enum ReadMember {
    Number(usize),
    Id(ExternalId),
}

impl<'de> Deserialize<'de> for ReadMember {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Member;

        impl Visitor<'_> for Member {
            type Value = ReadMember;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a person's number, or an id")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ReadMember, E> {
                Ok(ReadMember::Number(usize::try_from(number).unwrap_or(usize::MAX)))
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<ReadMember, E> {
                Ok(ReadMember::Id(id.into()))
            }
        }

        deserializer.deserialize_any(Member)
    }
}

/// Ids that members may have. Each is stored once.
pub(super) struct Known {
    numbered: Vec<ExternalId>,
    others: FastSet<ExternalId>,
}

impl Known {
    /// `numbered` has the people who have a number, in its order.
    pub(super) fn of(numbered: Vec<ExternalId>) -> Self {
        Self { numbered, others: FastSet::default() }
    }

    /// Members by their ids.
    ///
    /// # Errors
    /// A number is nobody's.
    pub(super) fn members<E: de::Error>(&mut self, members: Vec<ReadMember>) -> Result<Arc<[ExternalId]>, E> {
        members.into_iter().map(|member| self.member(member)).collect()
    }

    fn member<E: de::Error>(&mut self, member: ReadMember) -> Result<ExternalId, E> {
        let Self { numbered, others } = self;
        match member {
            ReadMember::Number(number) => numbered
                .get(number)
                .cloned()
                .ok_or_else(|| E::custom("a member of a group is not in the list of people")),
            ReadMember::Id(id) => Ok(match others.get(&id) {
                Some(known) => known.clone(),
                None => {
                    others.insert(id.clone());
                    id
                }
            }),
        }
    }
}

/// Numbers of people. Most ids of members are the very texts that the people have.
pub(super) struct Numbers<'a>(ByText<'a, usize>);

impl<'a> Numbers<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Self {
        Self(numbered(ledger).map(ExternalId::as_str).zip(0..).collect())
    }

    fn number(&self, id: &ExternalId) -> Option<usize> {
        self.0.get(id.as_str())
    }
}

/// Members, to be written.
pub(super) struct WrittenMembers<'a> {
    pub(super) members: &'a [ExternalId],
    pub(super) numbers: &'a Numbers<'a>,
}

/// A member, to be written.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenMember<'a> {
    Number(usize),
    Id(&'a ExternalId),
}

impl Serialize for WrittenMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = |id| self.numbers.number(id).map_or(WrittenMember::Id(id), WrittenMember::Number);
        serializer.collect_seq(self.members.iter().map(written))
    }
}
