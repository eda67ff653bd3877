//! Single facts that random worlds do not come across: several directories, filters, places, migration, invitations.

use bwdc_core::Rules;
use bwdc_core::entry::{Email, ExternalId, FoundAs, ReferenceId, Status as Life, User};
use bwdc_core::filter::SetFilter;
use bwdc_core::known::KnownPeople;
use bwdc_core::organization::changes::{Action, Cause, Changes, Code};
use bwdc_core::organization::directory::{
    DirectoryNow, Entry, GroupsRead, LeftOut, Part, PeopleRead, Place, Scope, Source, State,
};
use bwdc_core::organization::ledger::{LastImport, Legacy, LegacyDirectory};
use bwdc_core::organization::roster::{Kind, Roster, Status};
use bwdc_core::organization::server::{Call, carry_out};
use bwdc_core::organization::settings::{Absent, Protect, Settings};
use bwdc_core::organization::{Ledger, Moment, Question, Span, changes, requests};
use bwdc_core::prepare;
use bwdc_core::rules::{DisabledUsers, Newcomers};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};

use crate::made::{email, group, member, roster};

pub(crate) fn source(place: &str, filters: &str) -> Source {
    let (place, covers) = (Some(Place::from(place)), Vec::new());
    Source { place, covers, coverage: Coverage::Full, filters: filters.to_owned() }
}

pub(crate) fn entry(id: &str, name: &str, state: State) -> Entry {
    Entry {
        id: id.into(),
        email: Email::parse(&format!("{name}@x.org")),
        source: 0,
        state,
        created: None,
        found_as: FoundAs::default(),
    }
}

pub(crate) fn directory(people: &[Entry], sources: &[Source]) -> DirectoryNow {
    DirectoryNow { people: people.to_vec(), sources: sources.to_vec(), ..DirectoryNow::default() }
}

/// An organization, its ledger and a clock.
pub(crate) struct Site {
    pub(crate) server: Roster,
    pub(crate) ledger: Ledger,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
}

impl Site {
    pub(crate) fn new(kind: Kind, settings: Settings) -> Self {
        let settings = Settings { newcomers: Newcomers::Invite, ..settings };
        Self { server: roster(kind, [], []), ledger: Ledger::default(), settings, now: Moment(1_000) }
    }

    pub(crate) fn roster(&self) -> Roster {
        match self.server.kind {
            Kind::Official => self.server.clone(),
            Kind::Vaultwarden => self.ledger.roster(Kind::Vaultwarden),
        }
    }

    pub(crate) fn plan(&self, directory: &DirectoryNow) -> Changes {
        let roster = self.roster();
        changes(&self.question(directory, &roster))
    }

    pub(crate) fn question<'a>(&'a self, directory: &'a DirectoryNow, roster: &'a Roster) -> Question<'a> {
        Question { directory, roster, ledger: &self.ledger, settings: &self.settings, now: self.now }
    }

    pub(crate) fn sync(&mut self, directory: &DirectoryNow) -> Changes {
        let roster = self.roster();
        let question = self.question(directory, &roster);
        let changes = changes(&question);
        let steps = requests(&question, &changes);
        for step in &steps {
            carry_out(&mut self.server, &step.call).unwrap();
        }
        let ledger = self.ledger.clone().begun(&steps, self.now).acknowledged(steps.len());
        let question = Question {
            directory,
            roster: &roster,
            ledger: &self.ledger,
            settings: &self.settings,
            now: self.now,
        };
        self.ledger = ledger.finished(&question, &changes);
        self.now = self.now.plus(Span(60));
        changes
    }
}

pub(crate) fn done(changes: &Changes) -> Vec<(Action, Cause, String)> {
    let email = |slot| changes.slot(slot).unwrap().email.to_string();
    changes.members.iter().map(|change| (change.action, change.cause, email(change.slot))).collect()
}

fn codes(changes: &Changes) -> Vec<Code> {
    changes.warnings.iter().map(|warning| warning.code).filter(|code| *code != Code::MailsSent).collect()
}

pub(crate) const IN: State = State::Imported;
pub(crate) const OUT: State = State::LeftOut(LeftOut::Filter);

#[test]
fn one_human_in_two_directories_stays_when_either_ends() {
    let mut site = Site::new(Kind::Official, Settings { absent: Absent::Missing, ..Settings::default() });
    let first = entry("1", "a", IN);
    let second = Entry { source: 1, ..entry("2", "a", State::LeftOut(LeftOut::Other)) };
    let both = directory(&[first, second], &[source("one", ""), source("two", "")]);
    assert_eq!(site.sync(&both).summary().invite, 1);
    let alone = directory(&[entry("2", "a", IN), entry("9", "z", IN)], &[source("two", "")]);
    let changes = site.sync(&alone);
    assert_eq!(done(&changes), [(Action::Invite, Cause::New, "z@x.org".to_owned())]);
    assert_eq!(codes(&changes), [Code::IdChanged]);
}

#[test]
fn two_who_were_alive_at_once_are_two_humans() {
    let mut site = Site::new(Kind::Official, Settings::default());
    let twin = entry("2", "a", State::LeftOut(LeftOut::Other));
    let rest = || [entry("8", "y", IN), entry("9", "z", IN)];
    let all = |people: &[Entry]| directory(&[people, &rest()].concat(), &[source("one", "")]);
    site.sync(&all(&[entry("1", "a", IN), twin]));
    let changes = site.plan(&all(&[entry("2", "a", IN)]));
    assert!(changes.members.is_empty());
    assert_eq!(codes(&changes), [Code::AddressTaken]);
    let changes = site.sync(&all(&[entry("1", "a", State::Deleted), entry("2", "a", IN)]));
    assert_eq!(
        done(&changes),
        [
            (Action::Remove, Cause::Deleted, "a@x.org".to_owned()),
            (Action::Invite, Cause::New, "a@x.org".to_owned()),
        ]
    );
    let now = site.server.members().find(|member| member.email == email("a@x.org")).unwrap();
    assert_eq!(now.external_id, Some("2".into()));
}

#[test]
fn a_tombstone_with_an_unknown_id_is_the_member_with_the_address() {
    let mut site = Site::new(Kind::Official, Settings::default());
    let rest = || [entry("8", "y", IN), entry("9", "z", IN)];
    site.sync(&directory(&[&rest()[..], &[entry("1", "a", IN)]].concat(), &[source("one", "")]));
    let gone = directory(&[&rest()[..], &[entry("1b", "a", State::Deleted)]].concat(), &[source("one", "")]);
    assert_eq!(done(&site.plan(&gone)), [(Action::Remove, Cause::Deleted, "a@x.org".to_owned())]);
}

#[test]
fn who_was_seen_in_a_place_is_missing_only_there() {
    let mut site = Site::new(Kind::Official, Settings { absent: Absent::Missing, ..Settings::default() });
    let rest = || [entry("8", "y", IN), entry("9", "z", IN)];
    let whole = |people: &[Entry]| directory(&[people, &rest()].concat(), &[source("dc=x", "")]);
    site.sync(&whole(&[entry("1", "a", IN)]));
    let part = directory(&rest(), &[source("ou=p,dc=x", "")]);
    assert!(site.sync(&part).is_empty());
    // Gone in between, and the path as it was.
    assert_eq!(done(&site.plan(&whole(&[]))), [(Action::Remove, Cause::Missing, "a@x.org".to_owned())]);
    // A wider place covers the one before.
    let wider = Source { covers: vec![Place::from("dc=x")], ..source("dc=com", "") };
    let wider = directory(&rest(), &[wider]);
    assert_eq!(site.plan(&wider).summary().remove, 1);
    // A read of changes says nothing about who is not in it.
    let changed = Source { coverage: Coverage::Changes, ..source("dc=x", "") };
    assert!(site.plan(&directory(&[], &[changed])).is_empty());
}

#[test]
fn out_of_scope_by_filters_that_have_not_changed() {
    let mut site = Site::new(Kind::Official, Settings { absent: Absent::OutOfScope, ..Settings::default() });
    let rest = || [entry("8", "y", IN), entry("9", "z", IN)];
    let all = |state, filters| {
        directory(&[&rest()[..], &[entry("1", "a", state)]].concat(), &[source("dc=x", filters)])
    };
    site.sync(&all(IN, "f"));
    assert!(site.plan(&all(OUT, "g")).is_empty());
    let changes = site.plan(&all(OUT, "f"));
    assert_eq!(done(&changes), [(Action::Remove, Cause::OutOfScope, "a@x.org".to_owned())]);
}

#[test]
fn somebody_with_a_new_id_whom_only_a_read_of_changes_has() {
    let mut site = Site::new(Kind::Official, Settings::default());
    site.sync(&directory(&[entry("1", "a", IN)], &[source("dc=x", "")]));
    let changed = Source { coverage: Coverage::Changes, ..source("dc=x", "") };
    let changes = site.plan(&directory(&[entry("2", "a", IN)], &[changed]));
    // Whoever has the old id may be alive, and unchanged.
    assert!(changes.members.is_empty());
    assert_eq!(codes(&changes), [Code::AddressTaken]);
}

#[test]
fn swapped_addresses_stay_on_vaultwarden() {
    let mut site = Site::new(Kind::Vaultwarden, Settings::default());
    let all = |a, b| directory(&[entry("1", a, IN), entry("2", b, IN)], &[source("dc=x", "")]);
    site.sync(&all("a", "b"));
    let changes = site.sync(&all("b", "a"));
    assert!(changes.members.iter().all(|change| change.action == Action::Relink));
    let ids: Vec<_> = site.server.members().filter_map(|member| member.external_id.clone()).collect();
    assert_eq!(ids, [ExternalId::from("2"), ExternalId::from("1")]);
    assert!(site.server.members().all(|member| !member.status.is_revoked()));
    assert!(site.plan(&all("b", "a")).is_empty());
}

#[test]
fn the_protected_stay_by_address_id_and_group() {
    for protect in ["a@x.org", "1", "group:Glass"] {
        let mut site =
            Site::new(Kind::Official, Settings { protect: Protect::parse(protect), ..Settings::default() });
        let rest = || [entry("8", "y", IN), entry("9", "z", IN)];
        let all =
            |state| directory(&[&rest()[..], &[entry("1", "a", state)]].concat(), &[source("dc=x", "")]);
        site.sync(&all(IN));
        let id =
            site.server.members().find(|member| member.external_id == Some("1".into())).unwrap().id.clone();
        let mut glass = group("Glass", "", &[]);
        glass.members = bwdc_core::organization::roster::Held::of([id]);
        site.server.put_group(glass);
        let changes = site.plan(&all(State::Deleted));
        assert!(changes.is_empty(), "{protect}");
        assert_eq!(codes(&changes), [Code::ProtectedKept]);
    }
}

#[test]
fn invitations_are_sent_again_three_times_in_all() {
    let mut site = Site::new(Kind::Official, Settings { reinvite: Some(Span::DAY), ..Settings::default() });
    let all = directory(&[entry("1", "a", IN)], &[source("dc=x", "")]);
    site.sync(&all);
    let mut days = Vec::new();
    for day in 1..60 {
        site.now = Moment(1_000).plus(Span::days(day));
        let changes = site.sync(&all);
        assert!(changes.is_empty());
        days.extend((!changes.reinvites.is_empty()).then_some(day));
    }
    assert_eq!(days, [7, 8]);
}

#[test]
fn memberships_are_read_in_turn() {
    let mut site = Site::new(Kind::Official, Settings::default());
    let mut all = directory(&[entry("1", "a", IN)], &[source("dc=x", "")]);
    all.groups_read = GroupsRead::Completely;
    all.groups = (0..96)
        .map(|at| bwdc_core::prepare::PreparedGroup {
            external_id: format!("g{at:02}").into(),
            name: format!("Group {at}"),
            members: [ExternalId::from("1")].into(),
            found_as: FoundAs::default(),
        })
        .collect();
    site.sync(&all);
    site.sync(&all);
    site.now = site.now.plus(Span(15 * 60 - 60));
    let roster = site.roster();
    let to_read = |site: &Site| {
        let question = site.question(&all, &roster);
        Ledger::to_read(&question, &changes(&question)).len()
    };
    assert_eq!(to_read(&site), 1);
    site.now = site.now.plus(Span::DAY);
    assert_eq!(to_read(&site), 96);
}

fn known(text: &str) -> KnownPeople {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_first_ledger_removes_nobody_whom_the_old_file_did_not_know() {
    let known = known(r#"{"population":"p","people":{"1":"a@x.org","2":"b@x.org"}}"#);
    let place = Place::from("dc=x");
    let server = roster(
        Kind::Official,
        ["a", "b", "c"].map(|name| {
            let id = match name {
                "a" => "1",
                "b" => "2",
                _ => "3",
            };
            member(name, id, Status::Confirmed)
        }),
        [],
    );
    let directories = vec![LegacyDirectory { known: &known, place: Some(&place) }];
    let now = Moment(1_000);
    let mut site = Site::new(Kind::Official, Settings { absent: Absent::Missing, ..Settings::default() });
    site.ledger =
        Ledger::migrated(&Legacy { directories, roster: Some(&server), last: LastImport::Other, now });
    site.server = server;
    // 2 and 3 are gone; only 2 was known.
    let changes = site.plan(&directory(&[entry("1", "a", IN)], &[source("dc=x", "")]));
    assert_eq!(done(&changes), [(Action::Remove, Cause::Missing, "b@x.org".to_owned())]);
}

#[test]
fn the_first_ledger_of_a_server_that_cannot_be_read() {
    let known = known(r#"{"1":"a@x.org"}"#);
    let legacy = |last| Legacy {
        directories: vec![LegacyDirectory { known: &known, place: None }],
        roster: None,
        last,
        now: Moment(1_000),
    };
    let all = directory(&[entry("1", "a", IN), entry("2", "b", IN)], &[source("dc=x", "")]);
    let mut site = Site::new(Kind::Vaultwarden, Settings::default());
    site.ledger = Ledger::migrated(&legacy(LastImport::Other));
    let roster = site.roster();
    let question = site.question(&all, &roster);
    let steps = requests(&question, &changes(&question));
    let Call::Import(request) = &steps[0].call else { panic!("{steps:#?}") };
    assert_eq!(request.members.len(), 2);
    let same = Ledger::migrated(&legacy(LastImport::Same));
    let roster = same.roster(Kind::Vaultwarden);
    let question = Question {
        directory: &all,
        roster: &roster,
        ledger: &same,
        settings: &site.settings,
        now: Moment(1_000),
    };
    site.ledger = same.clone().taken_over(&question, &changes(&question));
    assert!(site.plan(&all).is_empty());
    let roster = site.roster();
    let question = site.question(&all, &roster);
    assert!(requests(&question, &changes(&question)).is_empty());
}

fn user(id: &str, name: &str, status: Life) -> User {
    User {
        external_id: id.into(),
        reference_id: ReferenceId::from(id),
        email: Email::parse(&format!("{name}@x.org")),
        status,
        found_as: FoundAs::default(),
    }
}

#[test]
fn a_directory_is_made_of_what_was_read_and_decided() {
    let snapshot = Snapshot {
        users: vec![
            user("1", "a", Life::Active),
            user("2", "b", Life::Active),
            user("3", "c", Life::Deleted),
            user("4", "d", Life::Disabled),
            User { email: None, ..user("5", "e", Life::Active) },
        ],
        others: vec![user("6", "f", Life::Active), user("7", "g", Life::Disabled)],
        groups: Vec::new(),
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: None,
        place: None,
        created: [(ExternalId::from("1"), Moment(5))].into_iter().collect(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    };
    let rules = Rules {
        user_filter: Some(SetFilter::Exclude(["b@x.org".to_owned()].into())),
        disabled: DisabledUsers::Remove,
        ..Rules::default()
    };
    let prepared = prepare(snapshot.clone(), &rules);
    let part = Part {
        snapshot: &snapshot,
        rules: &rules,
        source: source("dc=x", "f"),
        people: PeopleRead::Imported,
    };
    let now = DirectoryNow::of(&[part], &prepared, GroupsRead::Completely);
    let states: Vec<_> = now.people.iter().map(|entry| entry.state).collect();
    assert_eq!(
        states,
        [
            IN,
            OUT,
            State::Deleted,
            State::Disabled(Scope::Matched),
            State::LeftOut(LeftOut::Other),
            OUT,
            State::Disabled(Scope::LeftOut),
        ]
    );
    assert_eq!(now.people[0].created, Some(Moment(5)));
}
