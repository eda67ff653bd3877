//! The journal of a run that has begun.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::members::{Known, Numbers, ReadMember, WrittenMembers};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::Action;
use crate::organization::ledger::{Effect, Journal};
use crate::organization::moment::Moment;

/// Form of a journal, to be read.
#[derive(Deserialize)]
pub(super) struct ReadJournal {
    begun: Moment,
    steps: Vec<Vec<ReadEffect>>,
    #[serde(default)]
    counts: Vec<Effect>,
}

/// An effect, to be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "the journal has an effect that is none")]
enum ReadEffect {
    In {
        action: Action,
        id: ExternalId,
        email: Email,
        /// That of `id` by default.
        #[serde(default)]
        directory_id: Option<ExternalId>,
    },
    Group {
        id: ExternalId,
        name: String,
        members: Vec<ReadMember>,
    },
    #[serde(untagged)]
    Other(Effect),
}

impl ReadJournal {
    /// Ids of people whom it brings in, in its order: see [`Journal::newcomers`].
    pub(super) fn newcomers(&self) -> impl Iterator<Item = &ExternalId> {
        self.steps.iter().flatten().filter_map(|effect| match effect {
            ReadEffect::In { id, .. } => Some(id),
            _ => None,
        })
    }

    /// # Errors
    /// A member has a number that is nobody's.
    pub(super) fn journal<E: serde::de::Error>(self, known: &mut Known) -> Result<Journal, E> {
        let Self { begun, steps, counts } = self;
        let mut step = |effects: Vec<ReadEffect>| -> Result<Arc<[Effect]>, E> {
            effects.into_iter().map(|effect| effect.effect(known)).collect()
        };
        let steps: Result<Vec<Arc<[Effect]>>, E> = steps.into_iter().map(&mut step).collect();
        Ok(Journal { begun, steps: steps?, counts })
    }
}

impl ReadEffect {
    fn effect<E: serde::de::Error>(self, known: &mut Known) -> Result<Effect, E> {
        Ok(match self {
            Self::In { action, id, email, directory_id } => {
                let directory_id = directory_id.unwrap_or_else(|| id.clone());
                Effect::In { action, id, email, directory_id }
            }
            Self::Group { id, name, members } => Effect::Group { id, name, members: known.members(members)? },
            Self::Other(effect) => effect,
        })
    }
}

/// Form of a journal, to be written.
#[derive(Serialize)]
pub(super) struct WrittenJournal<'a> {
    begun: Moment,
    steps: Vec<WrittenStep<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    counts: &'a [Effect],
}

/// Effects of a request, to be written.
struct WrittenStep<'a> {
    effects: &'a [Effect],
    numbers: &'a Numbers<'a>,
}

/// An effect, to be written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WrittenEffect<'a> {
    In {
        action: Action,
        id: &'a ExternalId,
        email: &'a Email,
        #[serde(skip_serializing_if = "Option::is_none")]
        directory_id: Option<&'a ExternalId>,
    },
    Group {
        id: &'a ExternalId,
        name: &'a str,
        members: WrittenMembers<'a>,
    },
    #[serde(untagged)]
    Other(&'a Effect),
}

impl<'a> WrittenJournal<'a> {
    pub(super) fn of(Journal { begun, steps, counts }: &'a Journal, numbers: &'a Numbers<'a>) -> Self {
        let steps = steps.iter().map(|effects| WrittenStep { effects, numbers }).collect();
        Self { begun: *begun, steps, counts }
    }
}

impl Serialize for WrittenStep<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.effects.iter().map(|effect| WrittenEffect::of(effect, self.numbers)))
    }
}

impl<'a> WrittenEffect<'a> {
    fn of(effect: &'a Effect, numbers: &'a Numbers<'a>) -> Self {
        match effect {
            Effect::In { action, id, email, directory_id } => {
                let directory_id = Some(directory_id).filter(|directory_id| *directory_id != id);
                Self::In { action: *action, id, email, directory_id }
            }
            Effect::Group { id, name, members } => {
                Self::Group { id, name, members: WrittenMembers { members, numbers } }
            }
            other => Self::Other(other),
        }
    }
}
