//! An explanation says what the decision is.

use bwdc_core::explain::{Answer, DirectoryRead, Effect, Facts, MembershipState, Sought, SubjectKind};
use bwdc_core::organization::directory::{DirectoryNow, GroupsRead, Part, PeopleRead, Source};
use bwdc_core::organization::roster::{Basis, Kind, Roster};
use bwdc_core::organization::{Ledger, Moment, Question, Settings, changes};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// For everybody who was asked for: in or out, the address, and the groups.
    #[test]
    fn the_steps_end_where_the_decision_does(world in world()) {
        let snapshot = world.snapshot.clone().in_canonical_order();
        let prepared = prepare(snapshot.clone(), &world.rules);
        let source = Source { place: None, covers: Vec::new(), coverage: Coverage::Full, filters: String::new() };
        let part = Part {
            snapshot: &snapshot,
            rules: &world.rules,
            source,
            people: PeopleRead::Imported,
        };
        let directory = DirectoryNow::of(&[part], &prepared, GroupsRead::Completely);
        let (roster, ledger, settings) =
            (Roster::new(Kind::Official, Basis::Live), Ledger::default(), Settings::default());
        let question =
            Question { directory: &directory, roster: &roster, ledger: &ledger, settings: &settings, now: Moment(1) };
        let changes = changes(&question);
        let directories = [DirectoryRead {
            name: "one",
            prefix: "",
            snapshot: &snapshot,
            rules: &world.rules,
            people: PeopleRead::Imported,
        }];
        let facts = Facts {
            directories: &directories,
            prepared: &prepared,
            question,
            changes: &changes,
            refused: &[],
            written: |moment| moment.0.to_string(),
        };
        for user in snapshot.users.iter().chain(&snapshot.others) {
            let id = &user.external_id;
            let sought = Sought { text: id.to_string(), kind: Some(SubjectKind::Person), ..Sought::default() };
            let Answer::Found(explanation) = bwdc_core::explain(&facts, &sought) else { panic!("{id}") };
            let entries = explanation.directories[0].entries.iter().filter(|entry| entry.external_id == id.as_str());
            let entries: Vec<_> = entries.collect();
            let is_in = entries.iter().any(|entry| entry.steps.last().unwrap().effect != Effect::LeftOut);
            let person = prepared.people.iter().find(|person| person.external_id == *id);
            prop_assert_eq!(is_in, person.is_some(), "{}: {:#?}", id, entries);
            if let Some(email) = person.and_then(|person| person.email.as_ref()) {
                prop_assert!(entries.iter().any(|entry| entry.name.as_deref() == Some(email.as_str())));
            }
            // A tombstone is no member, though another entry with its id may be.
            let told: BTreeSet<&str> = entries
                .iter()
                .flat_map(|entry| &entry.memberships)
                .filter(|membership| membership.state == MembershipState::Imported)
                .map(|membership| membership.external_id.as_str())
                .collect();
            let groups = prepared.groups.iter().filter(|group| group.members.contains(id));
            prop_assert_eq!(told, groups.map(|group| group.external_id.as_str()).collect::<BTreeSet<_>>(), "{}", id);
        }
    }
}
