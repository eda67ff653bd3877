//! Rows of "what goes wrong today", each as a test that fails without what is here.

use bwdc_core::organization::changes::{Action, Cause, Changes, Code, GroupAction, Hold, Stopped};
use bwdc_core::organization::ledger::Due;
use bwdc_core::organization::limits::{LimitName, Outcome};
use bwdc_core::organization::roster::{Kind, Seats, Status};
use bwdc_core::organization::server::Call;
use bwdc_core::organization::settings::{Absent, Limit, OnLimit, Protect, Relink, Settings, VanishedGroups};
use bwdc_core::organization::{Span, Step};
use bwdc_core::rules::{DisabledUsers, ExistingMembers, Newcomers};

use crate::made::{email, member};
use crate::ops::Op::{self, *};
use crate::stateful;
use crate::world::{Fault, Reading, Soul, World};

fn both(ops: &[Op]) {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        stateful::play(kind, ops).unwrap();
    }
}

pub(crate) fn settings() -> Settings {
    Settings { newcomers: Newcomers::Invite, ..Settings::default() }
}

/// A company of so many people in one group, imported.
pub(crate) fn company(kind: Kind, people: Soul, settings: Settings) -> World {
    let mut world = World::new(kind, settings);
    world.play(&MakeGroup(0));
    for soul in 0..people {
        world.play(&Hire(soul));
        world.play(&Join(0, soul));
    }
    world.play(&Sync(Fault::None));
    world
}

pub(crate) fn plan(world: &World) -> (Changes, Vec<Step>) {
    let (.., changes, steps) = world.compute(Reading::Everything);
    (changes, steps)
}

fn codes(changes: &Changes) -> Vec<Code> {
    changes.warnings.iter().map(|warning| warning.code).collect()
}

fn outcome(changes: &Changes, limit: LimitName) -> Outcome {
    changes.limits.iter().find(|state| state.limit == limit).unwrap().outcome
}

fn in_organization(world: &World) -> usize {
    let members = world.server.members().filter(|member| member.external_id.is_some());
    members.filter(|member| !member.status.is_revoked()).count()
}

#[test]
fn a_lost_run_and_then_the_directory_as_before() {
    let remove = Disabled(DisabledUsers::Remove);
    for fault in [Fault::Lost(0), Fault::Unheard(0)] {
        both(&[Hire(1), Hire(2), remove.clone(), Sync(Fault::None), Disable(2), Sync(fault), Enable(2)]);
        both(&[Hire(1), MakeGroup(0), Sync(Fault::None), Join(0, 1), Sync(fault), Quit(0, 1)]);
    }
}

#[test]
fn an_id_that_changes() {
    both(&[MakeGroup(0), Hire(1), Join(0, 1), Sync(Fault::None), NewId(1), Sync(Fault::None), Delete(1)]);
    let mut world = company(Kind::Official, 3, settings());
    world.play(&NewId(1));
    let (changes, steps) = plan(&world);
    assert!(changes.is_empty() && steps.is_empty());
    assert_eq!(codes(&changes), [Code::IdChanged]);
    world.play(&Sync(Fault::None));
    assert_eq!(codes(&plan(&world).0), [Code::IdChanged]);
    world.settings.relink = Relink::Address;
    let (changes, steps) = plan(&world);
    assert_eq!(changes.members[0].action, Action::Relink);
    assert!(matches!(steps[..], [Step { call: Call::Relink { .. }, .. }]));
    world.play(&Sync(Fault::None));
    let (changes, _) = plan(&world);
    assert!(changes.is_empty() && changes.warnings.is_empty());
}

#[test]
fn a_group_whose_id_changes() {
    let mut world = company(Kind::Official, 3, settings());
    world.play(&NewGroupId(0));
    let (changes, _) = plan(&world);
    assert_eq!(changes.groups[0].action, GroupAction::Create);
    assert!(codes(&changes).contains(&Code::GroupVanished));
    world.settings.relink = Relink::Address;
    let (changes, _) = plan(&world);
    assert_eq!((changes.groups.len(), changes.groups[0].action), (1, GroupAction::Update));
    world.play(&Sync(Fault::None));
    assert!(plan(&world).0.is_empty());
    assert_eq!(world.server.groups().count(), 1);
}

#[test]
fn vaultwarden_goes_by_the_address_that_was_imported() {
    for moved in [NewAddress(1), NoAddress(1)] {
        let mut world = company(Kind::Vaultwarden, 12, settings());
        world.play(&moved);
        world.play(&Sync(Fault::None));
        world.play(&Delete(1));
        world.play(&Sync(Fault::None));
        assert_eq!(in_organization(&world), 11, "{moved:?}");
    }
}

#[test]
fn an_empty_read_removes_nobody() {
    for (kind, people) in [(Kind::Official, 4), (Kind::Official, 40), (Kind::Vaultwarden, 40)] {
        let mut world = company(kind, people, Settings { absent: Absent::Missing, ..settings() });
        (0..people).for_each(|soul| world.play(&Vanish(soul)));
        let (changes, steps) = plan(&world);
        assert_eq!(outcome(&changes, LimitName::Removals), Outcome::Tripped);
        assert!(changes.members.iter().all(|change| change.hold == Hold::Held));
        assert!(codes(&changes).contains(&Code::EmptyRead));
        assert!(steps.is_empty(), "{steps:#?}");
        world.play(&Sync(Fault::None));
        assert_eq!(in_organization(&world), usize::from(people));
    }
}

#[test]
fn slices_trip() {
    let mut world = company(Kind::Official, 100, Settings { absent: Absent::Missing, ..settings() });
    for slice in 0..3 {
        (slice * 8..slice * 8 + 8).for_each(|soul| world.play(&Vanish(soul)));
        world.play(&Sync(Fault::None));
    }
    assert_eq!(in_organization(&world), 92);
    world.pass(Span::DAY);
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 92);
    let (changes, _) = plan(&world);
    world.ledger = world.ledger.clone().approved(&changes, world.now);
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 76);
    // Once.
    assert_eq!(world.ledger.approvals(world.now).count(), 0);
    world.play(&Vanish(90));
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 75);
}

#[test]
fn one_limit_for_every_cause() {
    for (kind, cause) in [
        (Kind::Official, Cause::Deleted),
        (Kind::Vaultwarden, Cause::Deleted),
        (Kind::Official, Cause::Disabled),
        (Kind::Vaultwarden, Cause::Disabled),
    ] {
        let mut world = company(kind, 40, Settings { disabled: DisabledUsers::Remove, ..settings() });
        let ops = (0..39).map(|soul| if cause == Cause::Deleted { Delete(soul) } else { Disable(soul) });
        ops.for_each(|op| world.play(&op));
        let (changes, steps) = plan(&world);
        assert!(changes.members.iter().all(|change| change.cause == cause && change.hold == Hold::Held));
        assert!(steps.is_empty());
    }
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut world = company(kind, 50, settings());
        (0..50).for_each(|soul| world.play(&Confirm(soul)));
        world.settings.existing = ExistingMembers::Overwrite;
        (1..50).for_each(|soul| world.play(&Vanish(soul)));
        let (changes, steps) = plan(&world);
        assert_eq!(changes.members.iter().filter(|change| change.cause == Cause::Overwrite).count(), 49);
        assert_eq!(changes.stopped, Stopped::Yes);
        assert!(steps.is_empty());
        world.settings.limit_removals = Limit::Off;
        world.settings.limit_leaves = Limit::Off;
        world.play(&Sync(Fault::None));
        assert_eq!((in_organization(&world), plan(&world).0.is_empty()), (1, true));
    }
}

#[test]
fn overwriting_spares_the_protected_and_tells_what_would_fail() {
    let protect = Protect::parse("a1@x.org");
    let mut world = company(Kind::Official, 3, Settings { protect, ..settings() });
    world.settings.existing = ExistingMembers::Overwrite;
    (0..3).for_each(|soul| world.play(&Confirm(soul)));
    (1..3).for_each(|soul| world.play(&Vanish(soul)));
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 2);
    world.play(&Hire(4));
    world.play(&Sync(Fault::None));
    world.play(&Vanish(4));
    assert!(codes(&plan(&world).0).contains(&Code::OverwriteWouldFail));
}

/// A Vaultwarden deletes every member with an external id who is not in an import that replaces everybody, also one of whom nobody but
/// `sync.protect` knows.
#[test]
fn overwriting_spares_whom_only_the_protection_knows() {
    let protect = Protect::parse("guest@x.org, a1@x.org, a7@x.org, id-of-nobody");
    let mut world = company(Kind::Vaultwarden, 3, Settings { protect, ..settings() });
    world.settings.existing = ExistingMembers::Overwrite;
    for name in ["guest", "stranger"] {
        world.server.put_member(member(name, &format!("elsewhere-{name}"), Status::Confirmed));
    }
    world.play(&Hire(7));
    let told: Vec<_> =
        plan(&world).0.warnings.into_iter().filter(|it| it.code == Code::ProtectedKept).collect();
    assert_eq!(told.iter().map(|warning| warning.subject.as_str()).collect::<Vec<_>>(), ["guest@x.org"]);
    let status = |world: &World, name: &str| {
        let email = email(&format!("{name}@x.org"));
        world.server.members().find(|member| member.email == email).map(|member| member.status)
    };
    for _ in 0..2 {
        world.play(&Sync(Fault::None));
        assert_eq!(status(&world, "guest"), Some(Status::Confirmed));
        assert_eq!(status(&world, "stranger"), None);
        assert_eq!(in_organization(&world), 5);
        // The next import names everybody again.
        world.play(&Quit(0, 1));
    }
    assert!(world.ledger.people().all(|(_, record)| record.email != email("guest@x.org")));
}

#[test]
fn groups_that_are_all_empty_are_held() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut world = company(kind, 10, settings());
        for group in 1..4 {
            world.play(&MakeGroup(group));
            (0..10).for_each(|soul| world.play(&Join(group, soul)));
        }
        world.play(&Sync(Fault::None));
        for group in 0..4 {
            (0..10).for_each(|soul| world.play(&Quit(group, soul)));
        }
        let (changes, steps) = plan(&world);
        assert_eq!(outcome(&changes, LimitName::Leaves), Outcome::Tripped);
        assert!(codes(&changes).contains(&Code::EmptyRead));
        assert!(changes.groups.iter().all(|group| group.hold == Hold::Held && group.held_leave.len() == 10));
        assert!(steps.is_empty());
    }
}

#[test]
fn who_never_was_a_member_is_no_alarm() {
    let mut world = company(Kind::Official, 10, settings());
    for soul in 20..80 {
        world.play(&Hire(soul));
        world.play(&Delete(soul));
    }
    world.play(&Hire(11));
    let (changes, _) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Removals), Outcome::Within);
    assert_eq!(changes.summary().invite, 1);
    assert_eq!(changes.summary().remove, 0);
}

#[test]
fn a_used_id_brings_no_group() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut world = company(kind, 12, settings());
        world.play(&Vanish(1));
        world.play(&Sync(Fault::None));
        world.play(&Quit(0, 1));
        world.play(&UsedId(50, 1));
        let (changes, steps) = plan(&world);
        assert!(changes.members.iter().any(|change| change.cause == Cause::IdReused));
        let Call::Import(first) = &steps[0].call else { panic!("{steps:#?}") };
        assert!(first.groups.is_empty() && first.members.iter().all(|entry| entry.deleted));
        world.play(&Sync(Fault::None));
        let group = world.server.groups().next().unwrap();
        assert_eq!(group.members.known().len(), 11);
        assert!(plan(&world).0.is_empty());
    }
}

#[test]
fn people_who_are_left_out_leave_when_they_are_gone() {
    let remove = Disabled(DisabledUsers::Remove);
    both(&[Hire(1), remove, Sync(Fault::None), Exclude(1), Disable(1)]);
    both(&[Hire(1), Sync(Fault::None), Exclude(1), Sync(Fault::None), Delete(1)]);
    both(&[Hire(1), Absent(Absent::Missing), Sync(Fault::None), Exclude(1), Sync(Fault::None), Vanish(1)]);
}

#[test]
fn out_of_scope_needs_the_same_filters() {
    let mut world = company(Kind::Official, 12, Settings { absent: Absent::OutOfScope, ..settings() });
    world.play(&Exclude(1));
    assert!(plan(&world).0.is_empty(), "the filter has changed");
}

#[test]
fn groups_that_vanish_are_told() {
    let mut world = company(Kind::Official, 4, settings());
    world.play(&DropGroup(0));
    for _ in 0..2 {
        let (changes, _) = plan(&world);
        assert_eq!((changes.is_empty(), codes(&changes)), (true, vec![Code::GroupVanished]));
        assert_eq!(changes.vanished[0].members, 4);
        world.play(&Sync(Fault::None));
    }
    world.settings.vanished_groups = VanishedGroups::Delete;
    // All memberships at once.
    assert_eq!(outcome(&plan(&world).0, LimitName::Leaves), Outcome::Tripped);
    world.settings.limit_leaves = Limit::Off;
    world.play(&Sync(Fault::None));
    assert_eq!(world.server.groups().count(), 0);
}

#[test]
fn drift_is_mended_and_mass_drift_is_held() {
    let mut world = company(Kind::Official, 12, settings());
    world.play(&HandRemove(1));
    world.play(&HandRename(0));
    world.play(&HandQuit(0, 2));
    let (changes, _) = plan(&world);
    assert_eq!((changes.members[0].action, changes.members[0].cause), (Action::Invite, Cause::Drift));
    assert_eq!(changes.groups[0].cause, Cause::Drift);
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 12);
    world.pass(Span::days(2));
    (0..8).for_each(|soul| world.play(&HandRemove(soul)));
    let (changes, steps) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Repairs), Outcome::Tripped);
    assert!(steps.is_empty(), "{steps:#?}");
}

#[test]
fn a_joiner_is_one_small_request() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut world = company(kind, 30, settings());
        world.play(&Hire(40));
        let (_, steps) = plan(&world);
        let [Step { call: Call::Import(request), .. }] = &steps[..] else { panic!("{steps:#?}") };
        assert_eq!((request.members.len(), request.groups.len()), (1, 0));
    }
}

#[test]
fn leavers_make_room() {
    let mut world = company(Kind::Official, 10, settings());
    world.server.seats = Some(Seats { available: 11, at_most: Some(11) });
    world.play(&Delete(1));
    world.play(&Hire(20));
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 10);
}

#[test]
fn an_owner_who_is_gone_stays_and_is_told() {
    let mut world = company(Kind::Official, 10, settings());
    world.play(&Own(1));
    world.play(&Quit(0, 1));
    world.play(&Delete(1));
    let (changes, _) = plan(&world);
    assert!(changes.members.is_empty());
    assert!(codes(&changes).contains(&Code::OwnerKept));
}

#[test]
fn grace_revokes_restores_and_removes() {
    let mut world = company(Kind::Official, 12, Settings { grace: Span::days(3), ..settings() });
    world.settings.disabled = DisabledUsers::Remove;
    world.play(&Disable(1));
    world.play(&Disable(2));
    world.play(&HandRevoke(3));
    world.play(&Disable(3));
    world.play(&Sync(Fault::None));
    assert_eq!(in_organization(&world), 9);
    let (changes, _) = plan(&world);
    assert!(changes.is_empty());
    assert_eq!(changes.waiting.len(), 3);
    world.play(&Enable(1));
    let (changes, _) = plan(&world);
    let [change] = &changes.members[..] else { panic!("{:#?}", changes.members) };
    assert_eq!((change.action, change.cause), (Action::Restore, Cause::Returned));
    world.play(&Sync(Fault::None));
    world.pass(Span::days(3));
    let (changes, _) = plan(&world);
    assert!(changes.members.iter().all(|change| change.cause == Cause::Grace));
    assert_eq!(changes.summary().remove, 2);
    world.play(&Sync(Fault::None));
    assert_eq!(world.server.members().count(), 11);
}

#[test]
fn stopping_sends_nothing() {
    let mut world = company(Kind::Official, 20, Settings { on_limit: OnLimit::Stop, ..settings() });
    (0..10).for_each(|soul| world.play(&Delete(soul)));
    world.play(&Hire(30));
    let (changes, steps) = plan(&world);
    assert!(steps.is_empty() && changes.members.iter().all(|change| change.hold == Hold::Held));
    world.settings.allow_removals = Some(10);
    assert_eq!(plan(&world).0.summary().remove, 10);
    world.settings.allow_removals = Some(9);
    assert_eq!(plan(&world).0.summary().remove, 0);
}

/// What comes back later was not shown to anybody.
#[test]
fn an_approval_is_for_the_next_run_alone() {
    let mut world = company(Kind::Official, 30, Settings { absent: Absent::Missing, ..settings() });
    (0..10).for_each(|soul| world.play(&Vanish(soul)));
    let (changes, _) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Removals), Outcome::Tripped);
    let all = world.accounts.clone();
    world.ledger = world.ledger.clone().approved(&changes, world.now);
    // The directory is repaired, and breaks again after a run that removed nobody.
    let repaired = company(Kind::Official, 30, settings()).accounts;
    world.accounts = repaired;
    world.play(&Sync(Fault::None));
    world.accounts = all;
    let (changes, _) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Removals), Outcome::Tripped);
}

/// Whoever may leave a group, or be revoked, is not therefore to see the group deleted, or to be removed.
#[test]
fn an_approval_names_the_action() {
    let mut world = company(Kind::Official, 10, Settings { limit_leaves: Limit::Number(0), ..settings() });
    world.settings.vanished_groups = VanishedGroups::Delete;
    (0..10).for_each(|soul| world.play(&Quit(0, soul)));
    let approved = world.ledger.clone().approved(&plan(&world).0, world.now);
    world.ledger = approved.clone();
    assert_eq!(outcome(&plan(&world).0, LimitName::Leaves), Outcome::LetThrough);
    world.play(&DropGroup(0));
    let (changes, steps) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Leaves), Outcome::Tripped);
    assert!(steps.is_empty(), "{steps:#?}");

    let grace = Settings { grace: Span::DAY, limit_removals: Limit::Number(0), ..settings() };
    let mut world = company(Kind::Official, 10, grace);
    (0..9).for_each(|soul| world.play(&Delete(soul)));
    world.ledger = world.ledger.clone().approved(&plan(&world).0, world.now);
    assert_eq!(plan(&world).0.summary().revoke, 9);
    world.settings.grace = Span::NONE;
    let (changes, steps) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Removals), Outcome::Tripped);
    assert!(steps.is_empty(), "{steps:#?}");
}

/// An approval of a release that kept keys without actions asks again.
#[test]
fn an_approval_without_actions_lets_nothing_through() {
    let mut world = company(Kind::Official, 10, Settings { limit_removals: Limit::Number(0), ..settings() });
    world.play(&Delete(1));
    let ledger = world.ledger.clone().approved(&plan(&world).0, world.now);
    let mut stored = serde_json::to_value(&ledger).unwrap();
    let approval = stored["approvals"][0].as_object_mut().unwrap();
    let changes = approval.remove("changes").unwrap();
    let keys: Vec<_> = changes.as_object().unwrap().keys().cloned().collect();
    approval.insert("keys".to_owned(), serde_json::to_value(keys).unwrap());
    world.ledger = serde_json::from_value(stored).unwrap();
    assert_eq!(outcome(&plan(&world).0, LimitName::Removals), Outcome::Tripped);
    assert_eq!(world.ledger.approvals(world.now).count(), 0);
}

/// A third of a company of 60: 20 memberships are few, and nobody is removed. It is told in every run.
#[test]
fn members_who_are_no_longer_in_the_directory_are_told() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut world = company(kind, 60, settings());
        (0..20).for_each(|soul| world.play(&Vanish(soul)));
        let told = |world: &World| {
            let (changes, _) = plan(world);
            let warning = changes.warnings.iter().find(|warning| warning.code == Code::MissingStays).unwrap();
            (changes.missing.len(), warning.text.clone())
        };
        let (missing, text) = told(&world);
        assert_eq!(missing, 20);
        for words in
            ["20 members (a0@x.org; ", "sync.removeMissing is off", "memberships lost in this run: 20"]
        {
            assert!(text.contains(words), "{words} is missing: {text}");
        }
        world.play(&Sync(Fault::None));
        assert_eq!(in_organization(&world), 60);
        let (missing, text) = told(&world);
        assert!(missing == 20 && !text.contains("lost"), "{text}");
        world.settings.absent = Absent::Missing;
        let (changes, _) = plan(&world);
        assert!(changes.missing.is_empty() && !codes(&changes).contains(&Code::MissingStays));
    }
}

/// Nobody is told as gone whom a filter leaves out, who was removed, or whose leaving is known otherwise.
#[test]
fn who_is_left_out_or_removed_is_not_told_as_missing() {
    let mut world = company(Kind::Official, 5, settings());
    world.play(&Exclude(0));
    world.play(&HandRemove(1));
    world.play(&Vanish(1));
    world.play(&Delete(2));
    assert!(plan(&world).0.missing.is_empty());
}

/// A slip in `sync.protect`, and a protected group that is renamed, protect nobody: that is told in every run.
#[test]
fn a_protection_that_protects_nobody_is_told() {
    let protect = Protect::parse("group:Group 0, group:Typo, a1@x.org, nobody@x.org, id-of-nobody");
    let mut world = company(Kind::Official, 5, Settings { protect, ..settings() });
    let told = |world: &World| -> Vec<String> {
        let warnings = plan(world).0.warnings;
        let told = warnings.into_iter().filter(|warning| warning.code == Code::ProtectsNobody);
        told.map(|warning| warning.subject).collect()
    };
    let slips = ["group:typo", "id-of-nobody", "nobody@x.org"];
    assert_eq!(told(&world), slips);
    world.play(&RenameGroup(0));
    let renamed = ["group:group 0", "group:typo", "id-of-nobody", "nobody@x.org"];
    assert_eq!(told(&world), renamed);
    world.play(&Sync(Fault::None));
    assert_eq!(told(&world), renamed);
}

/// Nobody takes the place of the last ones while newcomers are held back.
#[test]
fn newcomers_who_are_held_make_up_for_nobody() {
    let settings = Settings { absent: Absent::Missing, limit_invites: Limit::Off, ..settings() };
    let mut world = company(Kind::Official, 4, settings);
    world.settings.limit_invites = Limit::Number(0);
    (0..4).for_each(|soul| world.play(&Vanish(soul)));
    world.play(&Hire(9));
    let (changes, _) = plan(&world);
    assert_eq!(outcome(&changes, LimitName::Removals), Outcome::Tripped);
}

/// What was imported into another server is not known to be in one that cannot be read: everything is due, until it has been imported.
#[test]
fn another_server_that_cannot_be_read_gets_everything() {
    let mut world = company(Kind::Vaultwarden, 3, settings());
    let about = |world: &mut World, server: &str| world.ledger = world.ledger.clone().about(server, None);
    about(&mut world, "https://a.example/api");
    assert!(plan(&world).1.is_empty());
    world.play(&Sync(Fault::None));
    world.server = World::new(Kind::Vaultwarden, settings()).server;
    about(&mut world, "https://b.example/api");
    let is_told = |world: &World| codes(&plan(world).0).contains(&Code::ServerChanged);
    assert!(is_told(&world) && plan(&world).1.len() == 1);
    world.play(&Sync(Fault::Lost(0)));
    about(&mut world, "https://b.example/api");
    assert!(is_told(&world));
    world.play(&Sync(Fault::None));
    about(&mut world, "https://b.example/api");
    assert_eq!((in_organization(&world), is_told(&world), plan(&world).1.len()), (3, false, 0));
    // And back.
    about(&mut world, "https://a.example/api");
    assert!(is_told(&world));
}

/// What can be read is compared: on another server, with the members of every group.
#[test]
fn another_server_that_can_be_read_is_compared() {
    let mut world = company(Kind::Official, 3, Settings { verify_every: None, ..settings() });
    world.ledger = world.ledger.clone().about("https://a.example/api", Some(&world.server));
    world.play(&Sync(Fault::None));
    world.play(&HandQuit(0, 1));
    let due = |world: &World| world.compute(Reading::Due).3.groups.len();
    assert_eq!(due(&world), 0);
    world.ledger = world.ledger.clone().about("https://b.example/api", Some(&world.server));
    assert_eq!((due(&world), world.ledger.due), (1, Due::Changes));
    assert!(!codes(&plan(&world).0).contains(&Code::ServerChanged));
}

/// Folders of a merge that were synced apart, into two servers.
#[test]
fn copies_about_two_servers_are_about_neither() {
    let world = company(Kind::Vaultwarden, 1, settings());
    let [here, there] =
        ["https://a.example/api", "https://b.example/api"].map(|at| world.ledger.clone().about(at, None));
    let joined = here.clone().joined(there).about("https://a.example/api", None);
    assert_eq!((joined.moved_from(), joined.due), (Some("https://b.example/api"), Due::Everything));
    let joined = world.ledger.clone().joined(here).about("https://a.example/api", None);
    assert_eq!((joined.moved_from(), joined.due), (None, Due::Changes));
}
