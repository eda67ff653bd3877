//! A run that knows nothing of earlier ones does no more than one with a ledger: nobody else leaves or is given access again, no group and no
//! membership goes that would not go anyway.

use std::collections::BTreeSet;

use bwdc_core::entry::ExternalId;
use bwdc_core::organization::changes::{Action, Changes, GroupChange, Hold};
use bwdc_core::organization::ledger::{LastImport, Legacy};
use bwdc_core::organization::roster::{Kind, MemberId};
use bwdc_core::organization::settings::Settings;
use bwdc_core::organization::{Ledger, Moment, Roster};
use bwdc_testkit::few;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::ops::{Op, op};
use crate::stateful::{fail, no_limits};
use crate::world::{Reading, World};

/// What takes something from somebody, or gives access back.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    people: BTreeSet<MemberId>,
    restored: BTreeSet<MemberId>,
    groups: BTreeSet<ExternalId>,
    memberships: BTreeSet<(ExternalId, MemberId)>,
}

impl Taken {
    fn of(changes: &Changes) -> Self {
        let member = |slot| changes.slot(slot).and_then(|slot| slot.member.clone());
        let people = |is: fn(Action) -> bool| {
            let done = changes.visible().filter(|change| is(change.action) && change.hold == Hold::Free);
            done.filter_map(|change| member(change.slot)).collect()
        };
        let groups = || changes.groups.iter().filter(|group| group.hold == Hold::Free);
        let of_group = |group: &GroupChange| {
            let id = group.relinked.clone().unwrap_or_else(|| group.external_id.clone());
            let leave = group.leave.iter().filter_map(|edge| member(edge.slot));
            leave.map(|member| (id.clone(), member)).collect::<Vec<_>>()
        };
        Self {
            people: people(|action| matches!(action, Action::Revoke | Action::Remove)),
            restored: people(|action| action == Action::Restore),
            groups: groups()
                .filter(|group| group.action.is_end())
                .map(|group| group.external_id.clone())
                .collect(),
            memberships: groups().flat_map(of_group).collect(),
        }
    }

    fn is_part_of(&self, other: &Self) -> bool {
        self.people.is_subset(&other.people)
            && self.restored.is_subset(&other.restored)
            && self.groups.is_subset(&other.groups)
            && self.memberships.is_subset(&other.memberships)
    }
}

fn without_ledger(roster: &Roster, now: Moment) -> Ledger {
    let legacy = Legacy { directories: Vec::new(), roster: Some(roster), last: LastImport::Other, now };
    Ledger::migrated(&legacy)
}

/// With a ledger and without, of one world.
fn both(mut world: World) -> (World, Changes, Changes) {
    let (.., with, _) = world.compute(Reading::Everything);
    world.ledger = without_ledger(&world.server, world.now);
    world.settings = world.settings.clone().without_ledger();
    let (.., without, _) = world.compute(Reading::Everything);
    (world, with, without)
}

fn no_more(settings: Settings, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut world = World::new(Kind::Official, settings);
    ops.iter().for_each(|op| world.play(op));
    let (world, with, without) = both(world);
    let (with, without) = (Taken::of(&with), Taken::of(&without));
    if without.is_part_of(&with) {
        Ok(())
    } else {
        Err(fail(&world, &format!("with {with:#?}\nwithout {without:#?}")))
    }
}

/// It would be easy to do nothing at all.
#[test]
fn it_does_what_it_may() {
    let mut world = World::new(Kind::Official, no_limits());
    [Op::Hire(0), Op::Hire(1), Op::Sync(crate::world::Fault::None), Op::Delete(0), Op::Hire(2)]
        .iter()
        .for_each(|op| world.play(op));
    let limited = Settings { newcomers: world.settings.newcomers, ..Settings::default() };
    let (_, with, without) = both(world);
    assert_eq!(Taken::of(&without), Taken::of(&with));
    assert_eq!(Taken::of(&without).people.len(), 1);
    assert!(without.members.iter().any(|change| change.action == Action::Invite));

    let mut world = World::new(Kind::Official, limited);
    [Op::Hire(0), Op::Hire(1), Op::Sync(crate::world::Fault::None), Op::Delete(0), Op::Hire(2)]
        .iter()
        .for_each(|op| world.play(op));
    let (_, with, without) = both(world);
    assert_eq!(
        (Taken::of(&with).people.len(), Taken::of(&without).people.len()),
        (1, 0),
        "a limit holds it back"
    );
    assert!(without.is_held() && without.members.iter().any(|change| change.action == Action::Invite));
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn without_a_ledger_no_more_is_taken(ops in prop::collection::vec(op(), 1..60)) {
        no_more(no_limits(), &ops)?;
    }

    #[test]
    fn without_a_ledger_limits_let_nothing_pass(ops in prop::collection::vec(op(), 1..60)) {
        no_more(Settings { newcomers: no_limits().newcomers, ..Settings::default() }, &ops)?;
    }
}
