//! Redaction of a capture. Structures are taken apart field by field: a new field does not compile until somebody has decided what
//! becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::HashMap as FastMap;

use super::{Capture, CapturedDirectory, Pseudonyms};
use crate::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, User};
use crate::filter::{SetFilter, normalise};
use crate::organization::directory::Source;
use crate::organization::ledger::{
    Approval, Counted, Effect, GroupRecord, Journal, Ledger, Protection, Record,
};
use crate::organization::limits::person_key;
use crate::organization::roster::{self, Basis, GroupId, Held, Member, MemberId, Roster};
use crate::organization::settings::{Protect, Settings};
use crate::rules::Rules;
use crate::snapshot::{Cursor, Place, Snapshot};

impl Capture {
    /// The same capture without anybody's data: what follows from it is the same.
    #[must_use]
    pub fn redacted(&self, pseudonyms: &Pseudonyms) -> Self {
        let Self {
            created_at,
            now,
            organization,
            server,
            limits,
            directories,
            groups_read,
            settings,
            roster,
            ledger,
        } = self;
        let redaction = Redaction::of(self, pseudonyms);
        Self {
            created_at: created_at.clone(),
            now: *now,
            organization: pseudonyms.opaque(organization),
            server: pseudonyms.opaque(server),
            limits: *limits,
            directories: directories
                .iter()
                .zip(1..)
                .map(|(directory, number)| redaction.directory(directory, number))
                .collect(),
            groups_read: *groups_read,
            settings: redaction.settings(settings),
            roster: redaction.roster(roster),
            ledger: redaction.ledger(ledger),
        }
    }
}

/// Replacements, and what must be known to make them.
struct Redaction<'a> {
    pseudonyms: &'a Pseudonyms,
    /// Ids of the server, which keep their order: of several members with one id the first or the last counts.
    members: FastMap<&'a MemberId, MemberId>,
    groups: FastMap<&'a GroupId, GroupId>,
    /// Keys of what counts towards a limit, where they do not say by themselves which part is which.
    keys: FastMap<String, String>,
}

impl<'a> Redaction<'a> {
    fn of(capture: &'a Capture, pseudonyms: &'a Pseudonyms) -> Self {
        let roster = &capture.roster;
        // Ids that are made up of the directory's have the order of its people: that is kept from nobody who knows their names.
        let numbered = |number: usize, id: &str| match roster.basis {
            Basis::Live => format!("{number:08}-{}", pseudonyms.opaque(id)),
            Basis::Ledger => pseudonyms.opaque(id),
        };
        let members = roster.members().enumerate();
        let groups = roster.groups().enumerate();
        let mut redaction = Self {
            pseudonyms,
            members: members
                .map(|(number, member)| (&member.id, numbered(number, member.id.as_str()).into()))
                .collect(),
            groups: groups
                .map(|(number, group)| (&group.id, numbered(number, group.id.as_str()).into()))
                .collect(),
            keys: FastMap::default(),
        };
        if has_keys(&capture.ledger) {
            redaction.keys = redaction.known_keys(capture);
        }
        redaction
    }

    fn text(&self, text: &str) -> String {
        self.pseudonyms.text(text)
    }

    fn id(&self, id: &ExternalId) -> ExternalId {
        self.text(id.as_str()).into()
    }

    fn ids(&self, ids: &[ExternalId]) -> Arc<[ExternalId]> {
        let mut ids: Vec<ExternalId> = ids.iter().map(|id| self.id(id)).collect();
        ids.sort_unstable();
        ids.into()
    }

    fn id_set(&self, ids: &BTreeSet<ExternalId>) -> BTreeSet<ExternalId> {
        ids.iter().map(|id| self.id(id)).collect()
    }

    fn reference(&self, id: &ReferenceId) -> ReferenceId {
        self.pseudonyms.opaque(id.as_str()).into()
    }

    fn email(&self, email: &Email) -> Email {
        email.replaced(|text| self.text(text))
    }

    fn place(&self, place: &Place) -> Place {
        self.pseudonyms.opaque(place.as_str()).into()
    }

    fn member_id(&self, id: &MemberId) -> MemberId {
        self.members.get(id).cloned().unwrap_or_else(|| self.pseudonyms.opaque(id.as_str()).into())
    }

    fn group_id(&self, id: &GroupId) -> GroupId {
        self.groups.get(id).cloned().unwrap_or_else(|| self.pseudonyms.opaque(id.as_str()).into())
    }

    fn directory(&self, directory: &CapturedDirectory, number: usize) -> CapturedDirectory {
        let CapturedDirectory { name: _, prefix, snapshot, rules, source, people } = directory;
        let mut rules = self.rules(rules);
        // Prefix and name become one text, as the organization has it.
        rules.group_filter = directory
            .rules
            .group_filter
            .as_ref()
            .map(|filter| self.filter(&prefixed_filter(filter, prefix, &snapshot.groups)));
        CapturedDirectory {
            name: format!("directory {number}"),
            prefix: String::new(),
            snapshot: self.snapshot(snapshot, prefix),
            rules,
            source: self.source(source),
            people: *people,
        }
    }

    fn snapshot(&self, snapshot: &Snapshot, prefix: &str) -> Snapshot {
        let Snapshot {
            users,
            others,
            groups,
            other_groups,
            coverage,
            population,
            place,
            created,
            server_time,
            cursor: _,
            notes: _,
        } = snapshot;
        let people = |users: &[User]| users.iter().map(|user| self.user(user)).collect();
        let named = |groups: &[Group]| groups.iter().map(|group| self.group(group, prefix)).collect();
        Snapshot {
            users: people(users),
            others: people(others),
            groups: named(groups),
            other_groups: named(other_groups),
            coverage: *coverage,
            population: population.as_deref().map(|text| self.pseudonyms.opaque(text)),
            place: place.as_ref().map(|place| self.place(place)),
            created: created.iter().map(|(id, at)| (self.id(id), *at)).collect(),
            server_time: *server_time,
            cursor: Cursor::default(),
            notes: Vec::new(),
        }
    }

    fn user(&self, user: &User) -> User {
        let User { external_id, reference_id, email, status, found_as: _ } = user;
        User {
            external_id: self.id(external_id),
            reference_id: self.reference(reference_id),
            email: email.as_ref().map(|email| self.email(email)),
            status: *status,
            found_as: FoundAs::default(),
        }
    }

    fn group(&self, group: &Group, prefix: &str) -> Group {
        let Group { external_id, reference_id, name, members, found_as: _ } = group;
        Group {
            external_id: self.id(external_id),
            reference_id: self.reference(reference_id),
            name: self.text(&prefixed(name, prefix)),
            members: members.iter().map(|member| self.reference(member)).collect(),
            found_as: FoundAs::default(),
        }
    }

    fn rules(&self, rules: &Rules) -> Rules {
        let Rules {
            user_filter,
            group_filter,
            disabled,
            missing,
            existing,
            size,
            newcomers,
            bad_records,
            nesting,
        } = rules;
        let filter = |filter: &Option<SetFilter>| filter.as_ref().map(|filter| self.filter(filter));
        Rules {
            user_filter: filter(user_filter),
            group_filter: filter(group_filter),
            disabled: *disabled,
            missing: *missing,
            existing: *existing,
            size: *size,
            newcomers: *newcomers,
            bad_records: *bad_records,
            nesting: *nesting,
        }
    }

    fn filter(&self, filter: &SetFilter) -> SetFilter {
        match filter {
            SetFilter::Include(set) => SetFilter::Include(self.texts(set)),
            SetFilter::Exclude(set) => SetFilter::Exclude(self.texts(set)),
            SetFilter::All(filters) => {
                SetFilter::All(filters.iter().map(|filter| self.filter(filter)).collect())
            }
        }
    }

    fn texts(&self, texts: &BTreeSet<String>) -> BTreeSet<String> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    fn source(&self, source: &Source) -> Source {
        let Source { place, covers, coverage, filters } = source;
        Source {
            place: place.as_ref().map(|place| self.place(place)),
            covers: covers.iter().map(|place| self.place(place)).collect(),
            coverage: *coverage,
            filters: self.pseudonyms.opaque(filters),
        }
    }

    fn settings(&self, settings: &Settings) -> Settings {
        let Settings {
            absent,
            disabled,
            existing,
            size,
            newcomers,
            relink,
            grace,
            vanished_groups,
            reinvite,
            protect: Protect { people, groups },
            limit_removals,
            limit_leaves,
            limit_repairs,
            limit_invites,
            on_limit,
            allow_removals,
            verify_every,
            earlier,
        } = settings;
        Settings {
            absent: *absent,
            disabled: *disabled,
            existing: *existing,
            size: *size,
            newcomers: *newcomers,
            relink: *relink,
            grace: *grace,
            vanished_groups: *vanished_groups,
            reinvite: *reinvite,
            protect: Protect { people: self.texts(people), groups: self.texts(groups) },
            limit_removals: *limit_removals,
            limit_leaves: *limit_leaves,
            limit_repairs: *limit_repairs,
            limit_invites: *limit_invites,
            on_limit: *on_limit,
            allow_removals: *allow_removals,
            verify_every: *verify_every,
            earlier: *earlier,
        }
    }

    fn roster(&self, roster: &Roster) -> Roster {
        let Roster { kind, basis, staging, seats, members, groups, made: _ } = roster;
        let mut redacted = Roster { staging: *staging, seats: *seats, ..Roster::new(*kind, *basis) }
            .with_members(members.values().map(|member| self.member(member)));
        for roster::Group { id, name, external_id, members } in groups.values() {
            redacted.put_group(roster::Group {
                id: self.group_id(id),
                name: self.text(name),
                external_id: external_id.as_ref().map(|id| self.id(id)),
                members: match members {
                    Held::Unread => Held::Unread,
                    Held::Read(members) => Held::of(members.iter().map(|id| self.member_id(id))),
                },
            });
        }
        redacted
    }

    fn member(&self, member: &Member) -> Member {
        let Member { id, email, external_id, status, role, account } = member;
        Member {
            id: self.member_id(id),
            email: self.email(email),
            external_id: external_id.as_ref().map(|id| self.id(id)),
            status: *status,
            role: *role,
            account: *account,
        }
    }

    fn ledger(&self, ledger: &Ledger) -> Ledger {
        let Ledger {
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
        } = ledger;
        let counted = |list: &[Counted]| list.iter().map(|counted| self.counted(counted)).collect();
        Ledger {
            version: *version,
            due: *due,
            people: people.iter().map(|(id, record)| (self.id(id), self.record(record))).collect(),
            groups: groups.iter().map(|(id, group)| (self.id(id), self.group_record(group))).collect(),
            strangers: strangers.iter().map(|(id, since)| (self.id(id), *since)).collect(),
            ran: *ran,
            places: places.iter().map(|(place, at)| (self.place(place), *at)).collect::<BTreeMap<_, _>>(),
            removals: counted(removals),
            leaves: counted(leaves),
            repairs: counted(repairs),
            invites: counted(invites),
            approvals: approvals.iter().map(|approval| self.approval(approval)).collect(),
            journal: journal.as_ref().map(|journal| self.journal(journal)),
            server: server.as_ref().map(|server| self.pseudonyms.opaque(server).into()),
            moved_from: moved_from.as_ref().map(|server| self.pseudonyms.opaque(server).into()),
        }
    }

    fn record(&self, record: &Record) -> Record {
        let Record { email, standing, ids, places, matched, invited, doubt, protection } = record;
        let mut places: Vec<Place> = places.iter().map(|place| self.place(place)).collect();
        places.sort_unstable();
        Record {
            email: self.email(email),
            standing: *standing,
            ids: ids.iter().map(|(id, sight)| (self.id(id), *sight)).collect(),
            places: places.into(),
            matched: matched.as_deref().map(|filters| self.pseudonyms.opaque(filters).into()),
            invited: *invited,
            doubt: *doubt,
            protection: protection.as_deref().map(|protection| self.protection(protection).into()),
        }
    }

    fn protection(&self, protection: &Protection) -> Protection {
        let Protection { until, groups } = protection;
        Protection { until: *until, groups: self.id_set(groups) }
    }

    fn group_record(&self, group: &GroupRecord) -> GroupRecord {
        let GroupRecord { name, members, verified, unsure } = group;
        GroupRecord {
            name: self.text(name),
            members: self.ids(members),
            verified: *verified,
            unsure: *unsure,
        }
    }

    fn counted(&self, counted: &Counted) -> Counted {
        let Counted { key, at, approved } = counted;
        Counted { key: self.key(key), at: *at, approved: *approved }
    }

    fn approval(&self, approval: &Approval) -> Approval {
        let Approval { limit, changes, until } = approval;
        let changes = changes.iter().map(|(key, deed)| (self.key(key), *deed)).collect();
        Approval { limit: *limit, changes, until: *until }
    }

    fn journal(&self, journal: &Journal) -> Journal {
        let Journal { begun, steps, counts } = journal;
        let effects =
            |effects: &[Effect]| effects.iter().map(|effect| self.effect(effect)).collect::<Vec<_>>();
        Journal {
            begun: *begun,
            steps: steps.iter().map(|step| effects(step).into()).collect(),
            counts: effects(counts),
        }
    }

    fn effect(&self, effect: &Effect) -> Effect {
        match effect {
            Effect::In { action, id, email, directory_id } => Effect::In {
                action: *action,
                id: self.id(id),
                email: self.email(email),
                directory_id: self.id(directory_id),
            },
            Effect::Out { id, becomes, member, email, cause } => Effect::Out {
                id: self.id(id),
                becomes: self.id(becomes),
                member: *member,
                email: self.email(email),
                cause: *cause,
            },
            Effect::Grace { id, email, until, cause, by } => Effect::Grace {
                id: self.id(id),
                email: self.email(email),
                until: *until,
                cause: *cause,
                by: *by,
            },
            Effect::Renamed { from, to } => Effect::Renamed { from: self.id(from), to: self.id(to) },
            Effect::Released(id) => Effect::Released(self.id(id)),
            Effect::Protected { id, protection } => {
                Effect::Protected { id: self.id(id), protection: self.protection(protection).into() }
            }
            Effect::Reinvited(id) => Effect::Reinvited(self.id(id)),
            Effect::Group { id, name, members } => {
                Effect::Group { id: self.id(id), name: self.text(name), members: self.ids(members) }
            }
            Effect::GroupRenamed { from, to } => {
                Effect::GroupRenamed { from: self.id(from), to: self.id(to) }
            }
            Effect::NoGroup(id) => Effect::NoGroup(self.id(id)),
            Effect::Counts { limit, keys, approved } => Effect::Counts {
                limit: *limit,
                keys: keys.iter().map(|key| self.key(key)).collect(),
                approved: *approved,
            },
        }
    }

    /// Replacement of what [`crate::organization::limits`] counts by: a person, a group, or a person in a group.
    fn key(&self, key: &str) -> String {
        match key.split_once('\n') {
            Some((group, person)) => format!("{}\n{}", self.text(group), self.person_or_group(person)),
            None => self.person_or_group(key),
        }
    }

    fn person_or_group(&self, key: &str) -> String {
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        if let Some(id) = key.strip_prefix("member:") {
            return format!("member:{}", self.member_id(&MemberId::from(id)));
        }
        match key.rsplit_once(' ') {
            Some((id, email)) if email.contains('@') => format!("{} {}", self.text(id), self.text(email)),
            _ => self.text(key),
        }
    }

    /// Keys of everybody who is known: ids and addresses may have spaces in them.
    fn known_keys(&self, capture: &Capture) -> FastMap<String, String> {
        let Capture { roster, ledger, directories, .. } = capture;
        let mut keys = FastMap::default();
        let mut put = |id: &ExternalId, email: &Email| {
            keys.insert(person_key(id, email), person_key(&self.id(id), &self.email(email)));
        };
        for (id, record) in ledger.people() {
            put(id, &record.email);
            record.ids.keys().for_each(|own| put(own, &record.email));
        }
        for member in roster.members() {
            if let Some(id) = &member.external_id {
                put(id, &member.email);
            }
        }
        let users = directories.iter().flat_map(|directory| {
            let Snapshot { users, others, .. } = &directory.snapshot;
            users.iter().chain(others)
        });
        for user in users {
            if let Some(email) = &user.email {
                put(&user.external_id, email);
            }
        }
        let of_ledger = ledger.groups().map(|(id, _)| id);
        let of_roster = roster.groups().filter_map(|group| group.external_id.as_ref());
        let of_directories = directories.iter().flat_map(|directory| &directory.snapshot.groups);
        let groups = of_ledger.chain(of_roster).chain(of_directories.map(|group| &group.external_id));
        for id in groups {
            keys.insert(id.to_string(), self.text(id.as_str()));
        }
        keys
    }
}

fn has_keys(ledger: &Ledger) -> bool {
    let Ledger { removals, leaves, repairs, invites, approvals, journal, .. } = ledger;
    let lists = [removals, leaves, repairs, invites];
    lists.iter().any(|list| !list.is_empty()) || !approvals.is_empty() || journal.is_some()
}

/// Name as the organization has it. One without a name is a bad record, and stays one.
fn prefixed(name: &str, prefix: &str) -> String {
    if name.trim().is_empty() { name.to_owned() } else { format!("{prefix}{name}") }
}

/// The filter that keeps groups with the prefix as the other keeps them without.
fn prefixed_filter(filter: &SetFilter, prefix: &str, groups: &[Group]) -> SetFilter {
    if prefix.is_empty() {
        return filter.clone();
    }
    let set = |set: &BTreeSet<String>| -> BTreeSet<String> {
        let of_groups = groups.iter().filter(|group| set.contains(&normalise(&group.name)));
        let of_groups = of_groups.map(|group| normalise(&prefixed(&group.name, prefix)));
        let of_nobody = set.iter().map(|value| normalise(&format!("{prefix}{value}")));
        of_groups.chain(of_nobody).collect()
    };
    match filter {
        SetFilter::Include(values) => SetFilter::Include(set(values)),
        SetFilter::Exclude(values) => SetFilter::Exclude(set(values)),
        SetFilter::All(filters) => {
            SetFilter::All(filters.iter().map(|filter| prefixed_filter(filter, prefix, groups)).collect())
        }
    }
}
