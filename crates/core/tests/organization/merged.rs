//! Several directories with overlapping people: whoever was imported keeps the id of before, and leaves under it.

use std::collections::{BTreeMap, BTreeSet};

use bwdc_core::Rules;
use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status as Life, User};
use bwdc_core::merge::{MergeSource, Share, merge};
use bwdc_core::organization::changes::{Action, Cause, Code, KeptBy};
use bwdc_core::organization::directory::{DirectoryNow, Entry, GroupsRead, Part, PeopleRead, State};
use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::{Absent, Limit, Settings};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};
use bwdc_testkit::few;
use proptest::prelude::*;

use crate::facts::{IN, Site, directory, done, entry, source};

/// What a directory says about a soul: nothing, or an account.
type Account = Option<Life>;

/// Souls of one directory.
type People = Vec<Account>;

fn user(directory: usize, soul: usize, status: Life) -> User {
    let id = format!("{directory}-{soul}");
    User {
        external_id: id.as_str().into(),
        reference_id: ReferenceId::from(id),
        // A tombstone has no address.
        email: Email::parse(&format!("a{soul}@x.org")).filter(|_| status != Life::Deleted),
        status,
        found_as: FoundAs::default(),
    }
}

/// A directory with one group of everybody in it.
fn snapshot(directory: usize, people: &People) -> Snapshot {
    let of = |(soul, account): (usize, &Account)| Some(user(directory, soul, (*account)?));
    let users: Vec<User> = people.iter().enumerate().filter_map(of).collect();
    let group = Group {
        external_id: format!("g{directory}").as_str().into(),
        reference_id: ReferenceId::from(format!("g{directory}")),
        name: format!("Group {directory}"),
        members: users.iter().map(|user| user.reference_id.clone()).collect(),
        found_as: FoundAs::default(),
    };
    Snapshot {
        users,
        others: Vec::new(),
        groups: vec![group],
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: None,
        place: None,
        created: Default::default(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    }
}

/// The directories as one, in this order of importance.
fn read(order: &[usize], all: &[People]) -> DirectoryNow {
    let rules = Rules::default();
    let snapshots: Vec<Snapshot> = order.iter().map(|at| snapshot(*at, &all[*at])).collect();
    let share = |(at, snapshot): (&usize, &Snapshot)| {
        let source = MergeSource { name: format!("dir{at}"), prefix: String::new() };
        Share::of(source, snapshot.clone(), &rules)
    };
    let merged = merge(order.iter().zip(&snapshots).map(share).collect());
    let part = |(at, snapshot)| Part {
        snapshot,
        rules: &rules,
        source: source(&format!("dir{at}"), ""),
        people: PeopleRead::Imported,
    };
    let parts: Vec<Part<'_>> = order.iter().zip(&snapshots).map(part).collect();
    DirectoryNow::of(&parts, &merged.prepared, GroupsRead::Completely)
}

fn lives(people: &[People], soul: usize) -> bool {
    people.iter().any(|people| matches!(people[soul], Some(Life::Active)))
}

/// Members by address, with the external id.
fn members(site: &Site) -> BTreeMap<String, ExternalId> {
    let active = site.server.members().filter(|member| !member.status.is_revoked());
    active.filter_map(|member| Some((member.email.to_string(), member.external_id.clone()?))).collect()
}

/// Addresses in each group.
fn groups(site: &Site) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups = BTreeMap::new();
    for group in site.server.groups() {
        let members = group.members.known().iter().filter_map(|id| site.server.member(id));
        let active = members.filter(|member| !member.status.is_revoked());
        groups.insert(group.name.clone(), active.map(|member| member.email.to_string()).collect());
    }
    groups
}

const SOULS: usize = 5;

fn site(kind: Kind) -> Site {
    let off = Limit::Off;
    Site::new(
        kind,
        Settings {
            absent: Absent::Missing,
            limit_removals: off,
            limit_leaves: off,
            limit_repairs: off,
            limit_invites: off,
            ..Settings::default()
        },
    )
}

fn play(kind: Kind, runs: &[(bool, Vec<People>)]) -> Result<(), TestCaseError> {
    let mut site = site(kind);
    let mut ids: BTreeMap<String, ExternalId> = BTreeMap::new();
    for (is_reversed, all) in runs {
        let order = if *is_reversed { [1, 0] } else { [0, 1] };
        let changes = site.sync(&read(&order, all));
        prop_assert!(changes.members.iter().all(|change| change.action != Action::Relink));
        let now = members(&site);
        let expected: BTreeSet<String> =
            (0..SOULS).filter(|soul| lives(all, *soul)).map(|soul| format!("a{soul}@x.org")).collect();
        prop_assert_eq!(now.keys().cloned().collect::<BTreeSet<_>>(), expected);
        for (email, id) in &now {
            let before = ids.get(email).unwrap_or(id);
            prop_assert_eq!(before, id, "{}", email);
        }
        // Whoever has left may come again under another id.
        ids = now;
        for (at, people) in all.iter().enumerate() {
            let living = (0..SOULS).filter(|soul| matches!(people[*soul], Some(Life::Active)));
            let living: BTreeSet<String> = living.map(|soul| format!("a{soul}@x.org")).collect();
            prop_assert_eq!(&groups(&site)[&format!("Group {at}")], &living);
        }
        prop_assert!(site.plan(&read(&order, all)).is_empty());
    }
    Ok(())
}

fn run() -> impl Strategy<Value = (bool, Vec<People>)> {
    let account = prop_oneof![3 => Just(Some(Life::Active)), 2 => Just(None), 1 => Just(Some(Life::Deleted))];
    (any::<bool>(), prop::collection::vec(prop::collection::vec(account, SOULS), 2))
}

/// The directory that gave the id ends, and the other one has another address: only the ledger knows that it is the same person.
#[test]
fn a_person_whose_id_ended_is_known_by_the_other_directorys_id() {
    let mut site = site(Kind::Official);
    let person = |id, name, source| Entry { source, ..entry(id, name, IN) };
    let places = [source("dir0", ""), source("dir1", "")];
    let rest = person("0-9", "z", 0);
    site.sync(&directory(&[rest.clone(), person("0-1", "a", 0), person("1-1", "a", 1)], &places));
    let before = members(&site);
    let married = directory(&[rest.clone(), person("1-1", "b", 1)], &places);
    assert!(site.plan(&married).is_empty());
    site.sync(&married);
    assert_eq!(members(&site), before);
    // And leaves under that id.
    let gone = person("1-1", "b", 1);
    let gone = directory(&[rest, Entry { state: State::Deleted, ..gone }], &places);
    assert_eq!(done(&site.plan(&gone)), [(Action::Remove, Cause::Deleted, "a@x.org".to_owned())]);
}

/// The merge has ended: who left one directory and is alive in the other by another id keeps access while the first is synced alone.
#[test]
fn who_lives_in_another_directory_of_a_former_merge_stays() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut site = site(kind);
        let person = |id, name, source| Entry { source, ..entry(id, name, IN) };
        let places = [source("dir0", ""), source("dir1", "")];
        let rest = || person("0-9", "z", 0);
        let gone = || Entry { state: State::Deleted, ..person("0-1", "a", 0) };
        site.sync(&directory(&[rest(), person("0-1", "a", 0), person("1-1", "a", 1)], &places));
        assert!(site.sync(&directory(&[rest(), gone(), person("1-1", "a", 1)], &places)).members.is_empty());
        let alone = |people: &[Entry]| directory(people, &places[..1]);
        let changes = site.sync(&alone(&[rest(), gone()]));
        assert_eq!(done(&changes), [], "{kind:?}");
        assert_eq!(changes.kept.iter().map(|kept| kept.by).collect::<Vec<_>>(), [KeptBy::OtherDirectory]);
        assert!(changes.warnings.iter().any(|warning| warning.code == Code::LivesElsewhere));
        // Seen alive in this directory alone, and gone again: there is nothing but this directory.
        site.sync(&alone(&[rest(), person("0-1", "a", 0)]));
        let changes = site.plan(&alone(&[rest(), gone()]));
        assert_eq!(changes.members.len(), 1, "{kind:?}");
    }
}

/// The loss of a small directory is a loss, however large the other one is.
#[test]
fn nobody_left_in_a_directory_of_a_merge_is_too_many() {
    let settings = Settings { absent: Absent::Missing, ..Settings::default() };
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut site = Site::new(kind, settings.clone());
        let places = [source("dir0", ""), source("dir1", "")];
        let of = |source: usize, count: usize| -> Vec<Entry> {
            let name = |at| format!("d{source}-{at}");
            (0..count).map(|at| Entry { source, ..entry(&name(at), &name(at), IN) }).collect()
        };
        site.sync(&directory(&[of(0, 1_000), of(1, 20)].concat(), &places));
        let changes = site.plan(&directory(&of(0, 1_000), &places));
        assert_eq!(changes.members.len(), 20);
        assert!(changes.is_held(), "{:?}", changes.limits);
        let one_is_left = site.plan(&directory(&[of(0, 1_000), of(1, 1)].concat(), &places));
        assert_eq!((one_is_left.members.len(), one_is_left.is_held()), (19, false));
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn people_of_a_merge_keep_their_id_and_leave_under_it_official(runs in prop::collection::vec(run(), 1..6)) {
        play(Kind::Official, &runs)?;
    }

    #[test]
    fn people_of_a_merge_keep_their_id_and_leave_under_it_vaultwarden(runs in prop::collection::vec(run(), 1..6)) {
        play(Kind::Vaultwarden, &runs)?;
    }
}
