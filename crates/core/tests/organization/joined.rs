//! Ledgers that went different ways, as after the folders of a merge were synced apart, and are joined again.

use std::sync::Arc;

use bwdc_core::entry::{ExternalId, FoundAs};
use bwdc_core::known::KnownPeople;
use bwdc_core::organization::directory::{DirectoryNow, Entry, GroupsRead, Place, State};
use bwdc_core::organization::ledger::{LastImport, Legacy, LegacyDirectory};
use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::Settings;
use bwdc_core::organization::{Ledger, Moment, Span, changes, requests};
use bwdc_core::prepare::PreparedGroup;

use crate::facts::{IN, Site, directory, entry, source};

fn group(id: &str, members: &[&str]) -> PreparedGroup {
    PreparedGroup {
        external_id: id.into(),
        name: format!("Group {id}"),
        members: members.iter().map(|id| ExternalId::from(*id)).collect(),
        found_as: FoundAs::default(),
    }
}

fn of(place: &str, people: &[Entry], groups: &[PreparedGroup]) -> DirectoryNow {
    DirectoryNow {
        groups_read: GroupsRead::Completely,
        groups: groups.to_vec(),
        ..directory(people, &[source(place, "")])
    }
}

/// The ledger after runs with these directories, one after the other.
fn after(runs: &[DirectoryNow]) -> Ledger {
    let mut site = Site::new(Kind::Official, Settings::default());
    for run in runs {
        site.sync(run);
        site.sync(run);
    }
    site.ledger
}

fn people(ledger: &Ledger) -> Vec<(&str, &str)> {
    ledger.people().map(|(id, record)| (id.as_str(), record.email.as_str())).collect()
}

#[test]
fn an_older_copy_adds_the_people_whom_only_it_knows() {
    let newer = after(&[of("here", &[entry("1", "a", IN)], &[])]);
    let older = after(&[of("there", &[entry("2", "b", IN), entry("3", "c", IN)], &[])]);
    let joined = newer.clone().joined(older.clone());
    assert_eq!(people(&joined), [("1", "a@x.org"), ("2", "b@x.org"), ("3", "c@x.org")]);
    assert_eq!(joined.person(&"2".into()), older.person(&"2".into()), "with all that is known of them");
    let places: Vec<&Place> = joined.places().collect();
    assert_eq!(places, [&Place::from("here"), &Place::from("there")]);
}

#[test]
fn an_older_copy_never_adds_somebody_whose_address_or_id_is_known() {
    // 9 was seen as 5 later.
    let newer = after(&[
        of("here", &[entry("1", "a", IN), entry("2", "b", IN), entry("9", "e", IN)], &[]),
        of("here", &[entry("1", "a", IN), entry("2", "b", IN), entry("5", "e", IN)], &[]),
    ]);
    assert_eq!(newer.person(&"9".into()).map(|record| record.ids.contains_key(&"5".into())), Some(true));
    for (known, why) in [
        (&[entry("1", "other", IN)][..], "the id"),
        (&[entry("7", "a", IN)], "the address"),
        (&[entry("5", "other", IN)], "an id that the directory has now"),
        (&[entry("9", "other", IN)], "the id that the organization knows"),
    ] {
        let joined = newer.clone().joined(after(&[of("there", known, &[])]));
        assert_eq!(people(&joined), people(&newer), "{why}");
    }
    // Known in the older copy as 8, and later as 2: somebody else.
    let older = after(&[of("there", &[entry("8", "x", IN)], &[]), of("there", &[entry("2", "x", IN)], &[])]);
    assert_eq!(people(&older), [("8", "x@x.org")]);
    assert_eq!(people(&newer.clone().joined(older)), people(&newer), "an id that the directory had then");
    // Imported by a merge under an id that is another's now.
    let known = r#"{"population":"p","people":{"6":"x@x.org"},"imported_as":{"6":"5"}}"#;
    let known: KnownPeople = serde_json::from_str(known).unwrap();
    let directories = vec![LegacyDirectory { known: &known, place: None }];
    let legacy = Legacy { directories, roster: None, last: LastImport::Other, now: Moment(1) };
    let older = Ledger::migrated(&legacy);
    assert_eq!(people(&older), [("5", "x@x.org")]);
    assert_eq!(people(&newer.clone().joined(older)), people(&newer), "an id that was imported then");
}

#[test]
fn who_has_left_since_does_not_come_back_from_an_older_copy() {
    let runs = [
        of("here", &[entry("1", "a", IN), entry("2", "b", IN)], &[]),
        of("here", &[entry("1", "a", State::Deleted), entry("2", "b", IN)], &[]),
    ];
    let (older, newer) = (after(&runs[..1]), after(&runs));
    assert_ne!(newer.person(&"1".into()), older.person(&"1".into()));
    let joined = newer.clone().joined(older);
    assert_eq!(joined.person(&"1".into()), newer.person(&"1".into()));
}

#[test]
fn groups_of_an_older_copy_are_to_be_read_again() {
    let all = [entry("1", "a", IN), entry("2", "b", IN)];
    let newer = after(&[of("here", &all, &[group("g1", &["1"])])]);
    let older = after(&[of("here", &all, &[group("g1", &["1", "2"]), group("g2", &["2"])])]);
    let joined = newer.joined(older.clone());
    let groups: Vec<_> =
        joined.groups().map(|(id, group)| (id.as_str(), Arc::clone(&group.members))).collect();
    assert_eq!(groups, [("g1", ["1".into()].into()), ("g2", ["2".into()].into())]);
    let verified = |ledger: &Ledger, id: &str| {
        ledger.groups().any(|(other, group)| other.as_str() == id && group.verified.is_some())
    };
    assert!(verified(&older, "g2") && verified(&joined, "g1"));
    assert!(!verified(&joined, "g2"));
}

#[test]
fn a_copy_adds_nothing_to_itself_and_nothing_twice() {
    let newer = after(&[of("here", &[entry("1", "a", IN)], &[group("g1", &["1"])])]);
    let older = after(&[of("there", &[entry("2", "b", IN)], &[group("g2", &["2"])])]);
    assert_eq!(newer.clone().joined(newer.clone()), newer);
    let joined = newer.joined(older.clone());
    assert_eq!(joined.clone().joined(older), joined);
}

/// A directory that was synced alone was cut off in the middle: what it may have done is looked for, and what it did counts.
#[test]
fn an_unfinished_run_and_the_counts_of_an_older_copy_stay() {
    let all = of("there", &[entry("1", "a", IN), entry("2", "b", IN), entry("3", "c", IN)], &[]);
    let newer = after(&[of("here", &[entry("9", "z", IN)], &[])]);
    let mut site = Site::new(Kind::Official, Settings::default());
    site.sync(&all);
    site.now = site.now.plus(Span(7));
    let one_less =
        of("there", &[entry("1", "a", IN), entry("2", "b", IN), entry("3", "c", State::Deleted)], &[]);
    site.sync(&one_less);
    let two_less = of(
        "there",
        &[entry("1", "a", IN), entry("2", "b", State::Deleted), entry("3", "c", State::Deleted)],
        &[],
    );
    let roster = site.roster();
    let question = site.question(&two_less, &roster);
    let steps = requests(&question, &changes(&question));
    let older = site.ledger.clone().begun(&steps, site.now);
    let joined = newer.clone().joined(older.clone());
    assert_eq!(joined.unfinished(), older.unfinished());
    assert_eq!(joined.clone().joined(older.clone()), joined, "nothing twice");
    let stored = |ledger: &Ledger| serde_json::to_value(ledger).unwrap();
    assert_eq!(stored(&joined)["removals"], stored(&older)["removals"]);
    assert_eq!(stored(&joined)["removals"].as_array().map(Vec::len), Some(1));
    // The later copy has come to the end of the same run.
    let finished = site.ledger.clone().finished(&question, &changes(&question));
    assert_eq!(finished.joined(older).unfinished(), None);
}
