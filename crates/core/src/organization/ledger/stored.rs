//! The form in which a ledger is stored: JSON that people can read, without what most people have in common.
//!
//! - A person has by default the one id that the organization knows, and was last seen in the directory in the last run (`ran`).
//! - Places and filters are listed once (`origins`); a person has the number of them, and 0 by default.
//! - People have numbers: those of the list first, from 0 on, then those whom the journal brings in (`in`), as they come.
//! - A member of a group, in the journal as well, is the number of a person, or an id where nobody with a number has it.
//! - The directory's id of somebody whom the journal brings in (`directory_id`) is by default the one that the organization knows.
//!
//! Earlier forms are read as well: form 2 has only ids in the journal, form 1 only ids in groups, too.

mod journal;
mod members;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::Arc;

use foldhash::HashMap as FastMap;
use foldhash::quality::FixedState;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::journal::{ReadJournal, WrittenJournal};
use self::members::{Known, Numbers, ReadMember, WrittenMembers};
use super::{
    Approval, Counted, Doubt, Due, GroupRecord, Ids, Invited, Ledger, Protection, Record, Sight, Standing,
    VERSION,
};
use crate::entry::{Email, ExternalId};
use crate::organization::directory::Place;
use crate::organization::moment::Moment;
use crate::organization::table::Table;

/// Form of a ledger, to be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    version: u32,
    #[serde(default)]
    due: Due,
    #[serde(default)]
    ran: Option<Moment>,
    #[serde(default)]
    places: BTreeMap<Place, Moment>,
    #[serde(default)]
    origins: Vec<Origin>,
    people: ReadPeople,
    groups: BTreeMap<ExternalId, ReadGroup>,
    #[serde(default)]
    strangers: BTreeMap<ExternalId, Moment>,
    #[serde(default)]
    removals: Vec<Counted>,
    #[serde(default)]
    leaves: Vec<Counted>,
    #[serde(default)]
    repairs: Vec<Counted>,
    #[serde(default)]
    invites: Vec<Counted>,
    #[serde(default)]
    approvals: Vec<Approval>,
    #[serde(default)]
    journal: Option<ReadJournal>,
    #[serde(default)]
    server: Option<Arc<str>>,
    #[serde(default)]
    moved_from: Option<Arc<str>>,
}

/// Form of a ledger, to be written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: u32,
    due: Due,
    #[serde(skip_serializing_if = "Option::is_none")]
    ran: Option<Moment>,
    places: &'a BTreeMap<Place, Moment>,
    origins: Vec<Origin>,
    people: WrittenPeople<'a>,
    groups: WrittenGroups<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    strangers: &'a BTreeMap<ExternalId, Moment>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    removals: &'a [Counted],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    leaves: &'a [Counted],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    repairs: &'a [Counted],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    invites: &'a [Counted],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    approvals: &'a [Approval],
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<WrittenJournal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<&'a str>,
}

/// Where people were found, and by which filters.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Origin {
    #[serde(default)]
    places: Arc<[Place]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matched: Option<Arc<str>>,
}

#[derive(Deserialize)]
struct ReadPerson {
    email: Email,
    #[serde(default = "standing_in")]
    standing: Standing,
    /// Of the own id, if that is the only one.
    #[serde(default)]
    first: Option<Moment>,
    #[serde(default = "last_run")]
    last: Moment,
    #[serde(default)]
    created: Option<Moment>,
    #[serde(default)]
    ids: Option<BTreeMap<ExternalId, ReadSight>>,
    #[serde(default)]
    origin: usize,
    #[serde(default)]
    invited: Option<StoredInvited>,
    #[serde(default)]
    doubt: Option<Doubt>,
    #[serde(default)]
    protection: Option<Arc<Protection>>,
}

#[derive(Deserialize)]
struct ReadSight {
    first: Moment,
    #[serde(default = "last_run")]
    last: Moment,
    #[serde(default)]
    created: Option<Moment>,
}

/// Invitations: one, by default.
#[derive(Serialize, Deserialize)]
struct StoredInvited {
    first: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Moment>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    count: u32,
}

impl From<Invited> for StoredInvited {
    fn from(Invited { first, last, count }: Invited) -> Self {
        Self { first, last: Some(last).filter(|last| *last != first), count }
    }
}

impl From<StoredInvited> for Invited {
    fn from(StoredInvited { first, last, count }: StoredInvited) -> Self {
        Self { first, last: last.unwrap_or(first), count }
    }
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

/// Stands for the time of the last run while that is not known yet.
const LAST_RUN: Moment = Moment(i64::MIN);

fn last_run() -> Moment {
    LAST_RUN
}

fn standing_in() -> Standing {
    Standing::In
}

/// People as they are read, and the number of each one's origin, which may be known later only.
#[derive(Default)]
struct ReadPeople {
    people: Table<ExternalId, Record>,
    origins: Vec<usize>,
    /// As they came.
    ids: Vec<ExternalId>,
}

impl<'de> Deserialize<'de> for ReadPeople {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct People;

        impl<'de> Visitor<'de> for People {
            type Value = ReadPeople;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("people by their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadPeople, A::Error> {
                let mut read = ReadPeople::default();
                while let Some((id, person)) = map.next_entry::<ExternalId, ReadPerson>()? {
                    if read.people.contains_key(&id) {
                        return Err(de::Error::custom("a person is in it twice"));
                    }
                    read.origins.push(person.origin);
                    let record = person.record(&id);
                    read.ids.push(id.clone());
                    read.people.insert(id, record);
                }
                Ok(read)
            }
        }

        deserializer.deserialize_map(People)
    }
}

#[derive(Serialize)]
struct WrittenPerson<'a> {
    email: &'a Email,
    #[serde(skip_serializing_if = "is_in")]
    standing: Standing,
    /// Of the own id, if that is the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<BTreeMap<&'a ExternalId, WrittenSight>>,
    #[serde(skip_serializing_if = "is_zero")]
    origin: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<StoredInvited>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<Doubt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protection: Option<&'a Protection>,
}

#[derive(Hash, Serialize)]
struct WrittenSight {
    first: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Moment>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_in(standing: &Standing) -> bool {
    *standing == Standing::In
}

impl Sight {
    fn written(&self, ran: Option<Moment>) -> WrittenSight {
        let Self { first, last, created } = *self;
        WrittenSight { first, last: Some(last).filter(|last| Some(*last) != ran), created }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadGroup {
    name: String,
    members: Vec<ReadMember>,
    #[serde(default)]
    verified: Option<Moment>,
    #[serde(default)]
    unsure: bool,
}

impl ReadGroup {
    fn record<E: de::Error>(self, known: &mut Known) -> Result<GroupRecord, E> {
        let Self { name, members, verified, unsure } = self;
        Ok(GroupRecord { name, members: known.members(members)?, verified, unsure })
    }
}

/// Groups, to be written.
struct WrittenGroups<'a> {
    groups: &'a BTreeMap<ExternalId, GroupRecord>,
    numbers: &'a Numbers<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenGroup<'a> {
    name: &'a str,
    members: WrittenMembers<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Moment>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unsure: bool,
}

impl Serialize for WrittenGroups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { groups, numbers } = self;
        let mut map = serializer.serialize_map(Some(groups.len()))?;
        for (id, GroupRecord { name, members, verified, unsure }) in *groups {
            let members = WrittenMembers { members, numbers };
            map.serialize_entry(id, &WrittenGroup { name, members, verified: *verified, unsure: *unsure })?;
        }
        map.end()
    }
}

impl From<ReadSight> for Sight {
    fn from(ReadSight { first, last, created }: ReadSight) -> Self {
        Self { first, last, created }
    }
}

struct WrittenPeople<'a> {
    ledger: &'a Ledger,
    /// In the order of people.
    origins: Vec<usize>,
}

impl Serialize for WrittenPeople<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { ledger: Ledger { people, ran, .. }, origins } = self;
        let mut map = serializer.serialize_map(Some(people.len()))?;
        for ((id, record), origin) in people.iter().zip(origins) {
            map.serialize_entry(id, &record.written(id, *origin, *ran))?;
        }
        map.end()
    }
}

impl Record {
    fn written(&self, id: &ExternalId, origin: usize, ran: Option<Moment>) -> WrittenPerson<'_> {
        let Self { email, standing, ids, invited, doubt, protection, .. } = self;
        let only = self.only_sight(id).map(|sight| sight.written(ran));
        let all = || ids.iter().map(|(id, sight)| (id, sight.written(ran))).collect();
        WrittenPerson {
            email,
            standing: *standing,
            ids: (only.is_none() && !ids.is_empty()).then(all),
            first: only.as_ref().map(|sight| sight.first),
            last: only.as_ref().and_then(|sight| sight.last),
            created: only.and_then(|sight| sight.created),
            origin,
            invited: invited.map(StoredInvited::from),
            doubt: *doubt,
            protection: protection.as_deref(),
        }
    }

    /// Times of the id that the organization knows, if the directory has never had another.
    fn only_sight(&self, id: &ExternalId) -> Option<&Sight> {
        let mut all = self.ids.iter();
        all.next().filter(|(own, _)| *own == id && all.next().is_none()).map(|(_, sight)| sight)
    }
}

impl Serialize for Ledger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            version,
            due,
            people,
            groups,
            strangers,
            ran,
            places,
            removals,
            leaves,
            repairs,
            invites,
            approvals,
            journal,
            server,
            moved_from,
        } = self;
        let (origins, of_people) = origins(people);
        let numbers = Numbers::of(self);
        Written {
            version: *version,
            due: *due,
            ran: *ran,
            places,
            origins,
            people: WrittenPeople { ledger: self, origins: of_people },
            groups: WrittenGroups { groups, numbers: &numbers },
            strangers,
            removals,
            leaves,
            repairs,
            invites,
            approvals,
            journal: journal.as_ref().map(|journal| WrittenJournal::of(journal, &numbers)),
            server: server.as_deref(),
            moved_from: moved_from.as_deref(),
        }
        .serialize(serializer)
    }
}

/// All origins, each once, and the number of each person's.
fn origins(people: &Table<ExternalId, Record>) -> (Vec<Origin>, Vec<usize>) {
    let mut numbers: FastMap<(&[Place], Option<&str>), usize> = FastMap::default();
    let mut origins = Vec::new();
    let mut of_people = Vec::with_capacity(people.len());
    for Record { places, matched, .. } in people.values() {
        of_people.push(*numbers.entry((places, matched.as_deref())).or_insert_with(|| {
            origins.push(Origin { places: Arc::clone(places), matched: matched.clone() });
            origins.len() - 1
        }));
    }
    (origins, of_people)
}

impl<'de> Deserialize<'de> for Ledger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read {
            version,
            due,
            ran,
            places,
            origins,
            people,
            groups,
            strangers,
            removals,
            leaves,
            repairs,
            invites,
            approvals,
            journal,
            server,
            moved_from,
        } = Read::deserialize(deserializer)?;
        let ReadPeople { people, origins: of_people, mut ids } = people;
        ids.extend(journal.iter().flat_map(ReadJournal::newcomers).cloned());
        let mut known = Known::of(ids);
        let record = |(id, group): (ExternalId, ReadGroup)| Ok((id, group.record(&mut known)?));
        let groups: Result<BTreeMap<ExternalId, GroupRecord>, D::Error> =
            groups.into_iter().map(record).collect();
        let groups = groups?;
        let journal = journal.map(|journal| journal.journal(&mut known)).transpose()?;
        let mut ledger = Self {
            // An older form is this one from now on; who reads a newer one refuses it.
            version: version.max(VERSION),
            due,
            people,
            groups,
            strangers,
            ran,
            places,
            removals,
            leaves,
            repairs,
            invites,
            approvals,
            journal,
            server,
            moved_from,
        };
        // In the order in which they were read.
        for (record, origin) in ledger.people.values_mut().zip(of_people) {
            // A ledger of nobody has no origins; whoever is in one has.
            let origin = origins.get(origin);
            let origin = origin.ok_or_else(|| de::Error::custom("a person's origin is not in the list"))?;
            record.places = Arc::clone(&origin.places);
            record.matched.clone_from(&origin.matched);
            for sight in record.ids.values_mut().filter(|sight| sight.last == LAST_RUN) {
                sight.last = ran.unwrap_or(sight.first);
            }
        }
        Ok(ledger)
    }
}

impl ReadPerson {
    fn record(self, id: &ExternalId) -> Record {
        let Self { email, standing, first, last, created, ids, invited, doubt, protection, .. } = self;
        let ids = match (ids, first) {
            (Some(ids), _) => ids.into_iter().map(|(id, sight)| (id, sight.into())).collect(),
            (None, Some(first)) => Ids::one(id.clone(), Sight { first, last, created }),
            (None, None) => Ids::default(),
        };
        let invited = invited.map(Invited::from);
        Record { email, standing, ids, places: Arc::default(), matched: None, invited, doubt, protection }
    }
}

impl Ledger {
    /// A number that changes with everything but the times at which everybody and everything was last seen: those of a run that finds
    /// nothing new, which [`super::Times`] has.
    pub fn print(&self) -> u64 {
        let Self {
            version,
            due,
            people,
            groups,
            strangers,
            ran,
            places,
            removals,
            leaves,
            repairs,
            invites,
            approvals,
            journal,
            server,
            moved_from,
        } = self;
        let mut state = FixedState::with_seed(0).build_hasher();
        (version, due, strangers, removals, leaves, repairs, invites, approvals, journal).hash(&mut state);
        (server, moved_from).hash(&mut state);
        for (place, at) in places {
            (place, Some(at).filter(|at| Some(**at) != *ran)).hash(&mut state);
        }
        people.len().hash(&mut state);
        for (id, record) in people.iter() {
            let Record { email, standing, ids, places, matched, invited, doubt, protection } = record;
            (id, email, standing, places, matched, invited, doubt, protection).hash(&mut state);
            for (own, sight) in ids.iter() {
                // The own id is hashed already.
                (Some(own).filter(|own| *own != id), sight.written(*ran)).hash(&mut state);
            }
        }
        groups.len().hash(&mut state);
        for (id, GroupRecord { name, members, verified: _, unsure }) in groups {
            (id, name, members, unsure).hash(&mut state);
        }
        state.finish()
    }
}
