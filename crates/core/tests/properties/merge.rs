//! Properties that must hold for every merge of several directories.

use bwdc_core::merge::{self, MergeSource, Merged, Share};
use bwdc_core::prepare::{Fate, Person, Prepared};
use bwdc_core::rules::ExistingMembers;

use super::*;

/// Directories whose people overlap in ids and addresses.
fn worlds() -> impl Strategy<Value = Vec<World>> {
    prop::collection::vec(world(), 2..4)
}

/// Directories whose ids belong to one directory each, as usual.
fn apart(mut worlds: Vec<World>) -> Vec<World> {
    for (at, World { snapshot, .. }) in worlds.iter_mut().enumerate() {
        let id = |id: &ExternalId| ExternalId::from(format!("{at}-{id}"));
        snapshot
            .users
            .iter_mut()
            .chain(&mut snapshot.others)
            .for_each(|user| user.external_id = id(&user.external_id));
        snapshot.groups.iter_mut().for_each(|group| group.external_id = id(&group.external_id));
    }
    worlds
}

fn share(at: usize, world: &World) -> Share {
    let source = MergeSource { name: format!("dir{at}"), prefix: String::new() };
    Share::of(source, world.snapshot.clone().in_canonical_order(), &world.rules)
}

fn merged(worlds: &[World]) -> Merged {
    merge::merge(worlds.iter().enumerate().map(|(at, world)| share(at, world)).collect())
}

fn alone(world: &World) -> Prepared {
    prepare(world.snapshot.clone().in_canonical_order(), &world.rules)
}

fn staying(people: &[Person]) -> impl Iterator<Item = &Person> {
    people.iter().filter(|person| person.fate == Fate::Stays)
}

fn addresses(prepared: &Prepared) -> BTreeSet<Email> {
    staying(&prepared.people).filter_map(|person| person.email.clone()).collect()
}

fn living(worlds: &[World]) -> impl Iterator<Item = &User> {
    worlds.iter().flat_map(|World { snapshot, rules, .. }| {
        snapshot.users.iter().chain(&snapshot.others).filter(|user| !leaves(user, rules))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_single_directory_is_not_a_merge(world in world()) {
        prop_assert_eq!(merged(std::slice::from_ref(&world)).prepared, alone(&world));
    }

    /// Applies to address and id alike, whichever directory the person is in, and whatever its filter is.
    #[test]
    fn active_people_are_not_removed_because_of_another_directory(worlds in worlds()) {
        let ids: BTreeSet<_> = living(&worlds).map(|user| user.external_id.clone()).collect();
        let emails: BTreeSet<_> = living(&worlds).filter_map(|user| user.email.clone()).collect();
        for person in merged(&worlds).prepared.people.iter().filter(|person| person.fate == Fate::Leaves) {
            // A directory that contradicts itself about an id has a bad record already, merged or not.
            let is_alone = worlds.iter().any(|world| alone(world).people.contains(person));
            prop_assert!(!ids.contains(&person.external_id) || is_alone, "{person:?} is active");
            prop_assert!(person.email.as_ref().is_none_or(|email| !emails.contains(email)), "{person:?} is active");
        }
    }

    /// An import that would make the server fail half-way is never sent.
    #[test]
    fn a_merged_import_never_contradicts_itself(worlds in worlds()) {
        let Prepared { people, groups, .. } = merged(&worlds).prepared;
        let ids: BTreeSet<_> = people.iter().map(|person| &person.external_id).collect();
        prop_assert_eq!(ids.len(), people.len());
        let emails: BTreeSet<_> = staying(&people).map(|person| &person.email).collect();
        prop_assert_eq!(emails.len(), staying(&people).count());
        let names: BTreeSet<_> = groups.iter().map(|group| &group.external_id).collect();
        prop_assert_eq!(names.len(), groups.len());
    }

    /// Everybody whom one directory alone would import is imported, by address; only contradictions, which are reported, keep people out.
    #[test]
    fn nobody_is_lost(worlds in worlds()) {
        let merged = merged(&worlds).prepared;
        let imported = addresses(&merged);
        let refused: String = merged.bad_records.iter().map(|record| record.problem.as_str()).collect();
        for world in &worlds {
            for person in staying(&alone(world).people) {
                let is_imported = person.email.as_ref().is_some_and(|email| imported.contains(email));
                let is_named = person.email.as_ref().is_some_and(|email| refused.contains(email.as_str()));
                let is_refused = is_named || refused.contains(&format!("the external id {}: ", person.external_id));
                prop_assert!(is_imported || is_refused, "{person:?} is lost");
            }
        }
    }

    /// Groups of a directory keep the people they have without a merge, by address.
    #[test]
    fn groups_keep_their_people(worlds in worlds()) {
        let worlds = apart(worlds);
        let merged = merged(&worlds).prepared;
        let email_of = |people: &[Person]| -> HashMap<ExternalId, Email> {
            staying(people).filter_map(|person| Some((person.external_id.clone(), person.email.clone()?))).collect()
        };
        let after = email_of(&merged.people);
        for world in &worlds {
            let alone = alone(world);
            let before = email_of(&alone.people);
            for group in &alone.groups {
                let same = merged.groups.iter().find(|other| other.external_id == group.external_id).unwrap();
                let was: BTreeSet<_> = group.members.iter().filter_map(|id| before.get(id)).collect();
                let is: BTreeSet<_> = same.members.iter().filter_map(|id| after.get(id)).collect();
                prop_assert!(was.is_subset(&is), "{was:?} {is:?}");
                prop_assert!(same.members.is_sorted());
            }
        }
    }

    #[test]
    fn the_order_of_a_directorys_answer_does_not_matter(worlds in worlds()) {
        let mut other = worlds.clone();
        for World { snapshot, .. } in &mut other {
            snapshot.users.reverse();
            snapshot.others.reverse();
            snapshot.groups.reverse();
            snapshot.groups.iter_mut().for_each(|group| group.members.reverse());
        }
        let (a, b) = (merged(&worlds), merged(&other));
        prop_assert_eq!(a.prepared.people, b.prepared.people);
        prop_assert_eq!(a.prepared.groups, b.prepared.groups);
        prop_assert_eq!(a.prepared.bad_records, b.prepared.bad_records);
    }

    /// The order of the list decides which account's id is used, never who is imported.
    #[test]
    fn the_order_of_the_list_decides_ids_only(worlds in worlds()) {
        let worlds = apart(worlds);
        let mut reversed = worlds.clone();
        reversed.reverse();
        prop_assert_eq!(addresses(&merged(&worlds).prepared), addresses(&merged(&reversed).prepared));
    }

    /// Of several accounts with one address, the account of the first directory that imports it.
    #[test]
    fn the_first_directory_gives_the_id(worlds in worlds()) {
        let worlds = apart(worlds);
        let merged = merged(&worlds).prepared;
        for person in staying(&merged.people) {
            let first = worlds.iter().find_map(|world| {
                staying(&alone(world).people).find(|other| other.email == person.email).map(|other| other.external_id.clone())
            });
            prop_assert_eq!(first.as_ref(), Some(&person.external_id));
        }
    }
}

fn person(id: &str, email: &str) -> User {
    User {
        external_id: id.into(),
        reference_id: id.into(),
        email: Email::parse(email),
        status: Status::Active,
        found_as: FoundAs::default(),
    }
}

fn directory(users: Vec<User>) -> World {
    let snapshot = Snapshot {
        users,
        others: Vec::new(),
        groups: Vec::new(),
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: None,
        place: None,
        created: Default::default(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    };
    World { snapshot, rules: Rules::default() }
}

fn crowd(name: &str, count: usize) -> World {
    directory(
        (0..count).map(|at| person(&format!("{name}{at}"), &format!("{name}{at}@example.org"))).collect(),
    )
}

#[test]
fn overwriting_with_an_empty_directory_is_dangerous() {
    let merged = merged(&[crowd("a", 3), crowd("b", 0)]);
    let overwrite = Rules { existing: ExistingMembers::Overwrite, ..Rules::default() };
    let findings = merge::check(&merged.parts, &overwrite);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].problem.starts_with("No active people were found in dir1, and"));
    assert!(merge::check(&merged.parts, &Rules::default()).is_empty());
}

#[test]
fn one_id_for_two_people_excludes_both_from_import_and_groups() {
    let mut a = directory(vec![person("7", "ann@example.org"), person("8", "joe@example.org")]);
    let b = directory(vec![person("7", "ben@example.org")]);
    a.snapshot.groups.push(Group {
        external_id: "g".into(),
        reference_id: "g".into(),
        name: "Admins".to_owned(),
        members: vec!["7".into(), "8".into()],
        found_as: FoundAs::default(),
    });
    let prepared = merged(&[a, b]).prepared;
    assert_eq!(prepared.people.len(), 1);
    assert_eq!(*prepared.groups[0].members, ["8".into()]);
    assert_eq!(
        prepared.bad_records[0].problem,
        "Different people in 2 directories of the merge have the external id 7: dir0: ann@example.org; dir1: ben@example.org"
    );
}

#[test]
fn prefixes_keep_names_apart_and_count_towards_the_length() {
    let group = |id: &str, name: &str| Group {
        external_id: id.into(),
        reference_id: id.into(),
        name: name.to_owned(),
        members: Vec::new(),
        found_as: FoundAs::default(),
    };
    let mut a = directory(Vec::new());
    a.snapshot.groups = vec![group("1", "Admins")];
    let mut b = directory(Vec::new());
    b.snapshot.groups = vec![group("2", "Admins"), group("3", &"x".repeat(95))];
    let mut shares = vec![share(0, &a)];
    let source = MergeSource { name: "dir1".to_owned(), prefix: "Berlin / ".to_owned() };
    shares.push(Share::of(source, b.snapshot, &b.rules));
    let prepared = merge::merge(shares).prepared;
    let names: Vec<_> = prepared.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["Admins", "Berlin / Admins"]);
    assert!(prepared.bad_records[0].problem.contains("has 104 characters"));
}

/// A directory that is read for its groups only knows people by ids that nobody imports.
#[test]
fn groups_contain_people_imported_by_another_directory() {
    let a = directory(vec![person("a1", "ann@example.org")]);
    let mut b = directory(Vec::new());
    b.snapshot.others = vec![person("b1", "ann@example.org"), person("b2", "joe@example.org")];
    b.snapshot.groups.push(Group {
        external_id: "g".into(),
        reference_id: "g".into(),
        name: "Staff".to_owned(),
        members: vec!["b1".into(), "b2".into()],
        found_as: FoundAs::default(),
    });
    let prepared = merged(&[a, b]).prepared;
    assert_eq!(*prepared.groups[0].members, ["a1".into(), "b2".into()]);
}
