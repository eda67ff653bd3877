//! Property tests against a model that is slow and obviously correct.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

#[path = "properties/explained.rs"]
mod explained;
#[path = "properties/merge.rs"]
mod merge_of_directories;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};
use bwdc_core::filter::SetFilter;
use bwdc_core::plan::{BATCH_SIZE, Digest, Plan, Server, Target};
use bwdc_core::prepare::flatten::{Direct, flatten};
use bwdc_core::rules::{BadRecords, DisabledUsers, ImportSize, Nesting, Rules};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};
use bwdc_core::{plan, prepare};
use proptest::prelude::*;

fn naive(groups: &[Direct], start: usize) -> BTreeSet<u32> {
    let mut people = BTreeSet::new();
    let mut seen = BTreeSet::from([start]);
    let mut todo = vec![start];
    while let Some(at) = todo.pop() {
        people.extend(groups[at].people.iter().copied());
        for &child in &groups[at].groups {
            if seen.insert(child as usize) {
                todo.push(child as usize);
            }
        }
    }
    people
}

fn forest(groups: usize, people: u32) -> impl Strategy<Value = Vec<Direct>> {
    let group = (
        prop::collection::vec(0..people, 0..6),
        prop::collection::vec(0..u32::try_from(groups).unwrap(), 0..4),
    )
        .prop_map(|(people, groups)| Direct { people, groups });
    prop::collection::vec(group, groups)
}

proptest! {
    #[test]
    fn flattening_is_reachability(groups in forest(12, 20)) {
        let flat = flatten(&groups, 20);
        for (at, members) in flat.iter().enumerate() {
            let expected: Vec<u32> = naive(&groups, at).into_iter().collect();
            prop_assert_eq!(&members[..], &expected[..]);
        }
    }
}

/// One cycle of 10,000 groups with one person each: every group has all 10,000 people, and all share one list, so
/// the work is linear in the edges plus one list.
#[test]
fn a_cycle_of_ten_thousand_groups_shares_one_list() {
    let count = 10_000_u32;
    let groups: Vec<Direct> =
        (0..count).map(|at| Direct { people: vec![at], groups: vec![(at + 1) % count] }).collect();
    let flat = flatten(&groups, count as usize);
    assert_eq!(flat[0].len(), count as usize);
    assert!(flat.iter().all(|list| std::sync::Arc::ptr_eq(list, &flat[0])));
}

/// A chain is as deep as it is long, so nothing may recurse.
#[test]
fn a_chain_of_a_hundred_thousand_groups_does_not_overflow() {
    let count = 100_000_u32;
    let groups: Vec<Direct> = (0..count)
        .map(|at| Direct {
            people: if at + 1 == count { vec![0] } else { Vec::new() },
            groups: if at + 1 == count { Vec::new() } else { vec![at + 1] },
        })
        .collect();
    let flat = flatten(&groups, 1);
    assert!(flat.iter().all(|list| **list == [0]));
}

#[derive(Clone, Debug)]
struct World {
    snapshot: Snapshot,
    rules: Rules,
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![4 => Just(Status::Active), 1 => Just(Status::Disabled), 1 => Just(Status::Deleted)]
}

fn user() -> impl Strategy<Value = User> {
    (0..30_u32, prop::option::weighted(0.9, 0..25_u32), status()).prop_map(|(id, email, status)| User {
        external_id: ExternalId::from(format!("u{id}")),
        reference_id: ReferenceId::from(format!("ref{id}")),
        email: email.and_then(|email| Email::parse(&format!("P{email}@example.org"))),
        status,
        found_as: FoundAs::default(),
    })
}

fn group() -> impl Strategy<Value = Group> {
    (0..8_u32, prop::collection::vec(prop_oneof![0..35_u32, 100..109_u32], 0..6)).prop_map(|(id, members)| {
        Group {
            external_id: ExternalId::from(format!("g{id}")),
            reference_id: ReferenceId::from(format!("ref{}", 100 + id)),
            name: format!("Group {id}"),
            members: members.into_iter().map(|at| ReferenceId::from(format!("ref{at}"))).collect(),
            found_as: FoundAs::default(),
        }
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let emails = prop::collection::btree_set((0..25_u32).prop_map(|n| format!("p{n}@example.org")), 1..12);
    let names = prop::collection::btree_set((0..8_u32).prop_map(|n| format!("group {n}")), 1..6);
    let include = |set: BTreeSet<String>, keep: bool| {
        if keep { SetFilter::Include(set) } else { SetFilter::Exclude(set) }
    };
    (
        prop::option::of((emails, any::<bool>()).prop_map(move |(set, keep)| include(set, keep))),
        prop::option::of((names, any::<bool>()).prop_map(move |(set, keep)| include(set, keep))),
        prop_oneof![Just(DisabledUsers::Keep), Just(DisabledUsers::Remove)],
        prop_oneof![Just(BadRecords::Stop), Just(BadRecords::Skip)],
        prop_oneof![Just(Nesting::KeptGroups), Just(Nesting::AllGroups)],
    )
        .prop_map(|(user_filter, group_filter, disabled, bad_records, nesting)| Rules {
            user_filter,
            group_filter,
            disabled,
            bad_records,
            nesting,
            ..Rules::default()
        })
}

fn world() -> impl Strategy<Value = World> {
    (
        prop::collection::vec(user(), 0..30),
        prop::collection::vec(user(), 0..6),
        prop::collection::vec(group(), 0..8),
        rules(),
    )
        .prop_map(|(users, others, groups, rules)| World {
            snapshot: Snapshot {
                users,
                others,
                groups,
                other_groups: Vec::new(),
                coverage: Coverage::Full,
                population: None,
                place: None,
                created: Default::default(),
                server_time: None,
                cursor: Cursor::default(),
                notes: Vec::new(),
            },
            rules,
        })
}

fn target(server: Server) -> Target {
    Target { api_url: "https://api.example".into(), organization_id: "org".into(), server }
}

fn import(world: &World, server: Server) -> Plan {
    let snapshot = world.snapshot.clone().in_canonical_order();
    plan(prepare(snapshot, &world.rules), &world.rules, &target(server))
}

fn digest(plan: &Plan) -> Option<Digest> {
    bwdc_core::plan::digest(&plan.requests, &target(Server::Official))
}

fn leaves(user: &User, rules: &Rules) -> bool {
    user.status == Status::Deleted
        || (user.status == Status::Disabled && rules.disabled == DisabledUsers::Remove)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// An import that would make the server fail half-way is never sent.
    #[test]
    fn the_import_never_contradicts_itself(world in world()) {
        for server in [Server::Official, Server::Vaultwarden] {
            for request in import(&world, server).requests {
                let mut ids = BTreeSet::new();
                let mut emails = BTreeSet::new();
                for member in &request.members {
                    prop_assert!(ids.insert(member.external_id.clone()), "{:?} twice", member.external_id);
                    if !member.deleted {
                        prop_assert!(member.email.is_some());
                        prop_assert!(emails.insert(member.email.clone()), "{:?} twice", member.email);
                    }
                    prop_assert!(server == Server::Official || member.email.is_some());
                }
                let groups: BTreeSet<_> = request.groups.iter().map(|group| &group.external_id).collect();
                prop_assert_eq!(groups.len(), request.groups.len());
            }
        }
    }

    /// Nobody is removed whose address an active account has, in the import or outside it.
    #[test]
    fn active_people_are_never_removed(world in world()) {
        let living: BTreeSet<_> = world.snapshot.users.iter().chain(&world.snapshot.others)
            .filter(|user| !leaves(user, &world.rules))
            .filter_map(|user| user.email.clone())
            .collect();
        for request in import(&world, Server::Official).requests {
            for member in request.members.iter().filter(|member| member.deleted) {
                if let Some(email) = &member.email {
                    prop_assert!(!living.contains(email), "{email} is active");
                }
            }
        }
    }

    /// Leavers are sent, unless their address is taken or excluded by the filter, or an active account has the same id.
    #[test]
    fn leavers_are_not_forgotten(world in world()) {
        let plan = import(&world, Server::Official);
        let sent: BTreeSet<_> = plan.requests.iter().flat_map(|request| &request.members)
            .map(|member| member.external_id.clone()).collect();
        let everybody: Vec<_> = world.snapshot.users.iter().chain(&world.snapshot.others).collect();
        for user in world.snapshot.users.iter().filter(|user| leaves(user, &world.rules)) {
            let email = &user.email;
            let is_taken = everybody.iter().any(|other| !leaves(other, &world.rules) && other.email.is_some() && other.email == *email);
            let lives = world.snapshot.users.iter().any(|other| other.external_id == user.external_id && !leaves(other, &world.rules));
            let is_filtered = world.rules.user_filter.as_ref().zip(email.as_ref()).is_some_and(|(filter, email)| !filter.keeps(email.as_str()));
            if !is_taken && !lives && !is_filtered {
                prop_assert!(sent.contains(&user.external_id), "{:?} is missing", user);
            }
        }
    }

    /// Group membership is reachability among the kept groups (or all), over the active people of the directory.
    #[test]
    fn groups_contain_the_members_the_directory_lists(world in world()) {
        let plan = import(&world, Server::Official);
        let mut targets: HashMap<&ReferenceId, &User> = HashMap::new();
        for user in world.snapshot.users.iter().chain(&world.snapshot.others).filter(|user| user.status != Status::Deleted) {
            targets.insert(&user.reference_id, user);
        }
        let kept = |group: &Group| world.rules.group_filter.as_ref().is_none_or(|filter| filter.keeps(&group.name));
        let mut by_reference: BTreeMap<&ReferenceId, Vec<&Group>> = BTreeMap::new();
        for group in &world.snapshot.groups {
            by_reference.entry(&group.reference_id).or_default().push(group);
        }
        // Groups with the same id are refused together; the model covers the unique ones.
        prop_assume!(by_reference.values().all(|groups| groups.len() == 1));
        for sent in plan.requests.iter().flat_map(|request| &request.groups) {
            let mut todo: Vec<&Group> = world.snapshot.groups.iter().filter(|group| group.external_id == sent.external_id).collect();
            let mut seen = BTreeSet::new();
            let mut members = BTreeSet::new();
            while let Some(group) = todo.pop() {
                if !seen.insert(&group.reference_id) {
                    continue;
                }
                for member in &group.members {
                    if let Some(user) = targets.get(member) {
                        members.insert(user.external_id.clone());
                    } else if let Some(children) = by_reference.get(member) {
                        todo.extend(children.iter().filter(|child| world.rules.nesting == Nesting::AllGroups || kept(child)));
                    }
                }
            }
            prop_assert_eq!(sent.member_external_ids.iter().cloned().collect::<Vec<_>>(), members.into_iter().collect::<Vec<_>>());
        }
    }

    /// The order of a server's answer makes no difference: same bytes, same digest.
    #[test]
    fn order_does_not_matter(world in world(), seed in any::<u64>()) {
        let mut other = world.clone();
        let mut state = seed;
        let mut shuffle = |length: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if length == 0 { 0 } else { (state >> 33) as usize % length }
        };
        let Snapshot { users, others, groups, .. } = &mut other.snapshot;
        for at in 0..users.len() { let to = shuffle(at + 1); users.swap(at, to); }
        for at in 0..others.len() { let to = shuffle(at + 1); others.swap(at, to); }
        for at in 0..groups.len() { let to = shuffle(at + 1); groups.swap(at, to); }
        for group in groups { group.members.reverse(); }
        let (a, b) = (import(&world, Server::Official), import(&other, Server::Official));
        prop_assert_eq!(serde_json::to_string(&a.requests).unwrap(), serde_json::to_string(&b.requests).unwrap());
        prop_assert_eq!(digest(&a), digest(&b));
    }

    /// Imports that differ in anything have different digests.
    #[test]
    fn the_digest_is_that_of_the_import(world in world(), user in user(), group in group(), at in any::<prop::sample::Index>(), is_whole in any::<bool>()) {
        let mut other = world.clone();
        let Snapshot { users, groups, .. } = &mut other.snapshot;
        if !users.is_empty() {
            let before = &mut users[at.index(world.snapshot.users.len())];
            *before = if is_whole { user } else { User { status: user.status, ..before.clone() } };
        }
        if !groups.is_empty() { let at = at.index(groups.len()); groups[at] = group; }
        let (a, b) = (import(&world, Server::Official), import(&other, Server::Official));
        prop_assert_eq!(a.requests == b.requests, digest(&a) == digest(&b));
    }
}

/// Batches hold at most 2,000 each, people first, and lose nobody.
#[test]
fn a_large_import_is_cut_into_batches() {
    let users: Vec<User> = (0..4_500)
        .map(|at| User {
            external_id: ExternalId::from(format!("u{at:05}")),
            reference_id: ReferenceId::from(format!("u{at:05}")),
            email: Email::parse(&format!("u{at}@example.org")),
            status: Status::Active,
            found_as: FoundAs::default(),
        })
        .collect();
    let groups: Vec<Group> = (0..2_001)
        .map(|at| Group {
            external_id: ExternalId::from(format!("g{at:05}")),
            reference_id: ReferenceId::from(format!("g{at:05}")),
            name: format!("Group {at}"),
            members: vec![ReferenceId::from("u00001")],
            found_as: FoundAs::default(),
        })
        .collect();
    let snapshot = Snapshot {
        users,
        others: Vec::new(),
        groups,
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: None,
        place: None,
        created: Default::default(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    };
    let rules = Rules { size: ImportSize::Batches, ..Rules::default() };
    let plan = plan(prepare(snapshot, &rules), &rules, &target(Server::Official));
    let sizes: Vec<_> =
        plan.requests.iter().map(|request| (request.members.len(), request.groups.len())).collect();
    assert_eq!(sizes, [(BATCH_SIZE, 0), (BATCH_SIZE, 0), (500, 0), (0, BATCH_SIZE), (0, 1)]);
    assert!(plan.requests.iter().all(|request| request.large_import && !request.overwrite_existing));
    assert_eq!((plan.summary.users, plan.summary.groups), (4_500, 2_001));
}
