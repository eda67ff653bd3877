//! Random worlds with limits: within 24 hours no more happens than the limits let through, whatever fails, and nothing that is held is
//! lost.

use std::collections::{BTreeMap, BTreeSet};

use bwdc_core::organization::changes::Stopped;
use bwdc_core::organization::ledger::Standing;
use bwdc_core::organization::roster::{Kind, Member, Roster};
use bwdc_core::organization::settings::{Limit, OnLimit, Settings};
use bwdc_core::organization::{Ledger, Moment, Span};
use bwdc_core::rules::Newcomers;
use bwdc_testkit::few;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::model::shape;
use crate::ops::Op::{Delete, Hire, Join, MakeGroup, NewAddress, Sync};
use crate::ops::{Op, op};
use crate::stateful::{end_well, fail, without_swaps_of_others};
use crate::world::{Fault, World};

const REMOVALS: usize = 1;
const LEAVES: usize = 2;
const INVITES: usize = 3;

fn settings(on_limit: OnLimit) -> Settings {
    Settings {
        limit_removals: Limit::Number(REMOVALS),
        limit_leaves: Limit::Number(LEAVES),
        limit_repairs: Limit::Number(2),
        limit_invites: Limit::Number(INVITES),
        newcomers: Newcomers::Invite,
        on_limit,
        ..Settings::default()
    }
}

/// What has happened, and when, counted without the program.
#[derive(Default)]
struct Seen {
    removals: BTreeMap<String, Moment>,
    leaves: BTreeMap<(String, String), Moment>,
    invites: BTreeMap<String, Moment>,
}

fn recent<K>(seen: &BTreeMap<K, Moment>, now: Moment) -> usize {
    seen.values().filter(|at| now.since(**at) < Span::DAY).count()
}

impl Seen {
    fn run(&mut self, before: &Roster, after: &Roster, ledger: &Ledger, now: Moment) {
        let in_grace = |member: &Member| {
            let record = member.external_id.as_ref().and_then(|id| ledger.person(id));
            record.is_some_and(|record| matches!(record.standing, Standing::Grace { .. }))
        };
        let mut leavers: BTreeSet<&str> = BTreeSet::new();
        for member in before.members() {
            let there = after.member(&member.id);
            let is_out = there.is_none_or(|there| there.status.is_revoked() && !member.status.is_revoked());
            if is_out {
                leavers.insert(member.email.as_str());
            }
            if is_out && !in_grace(member) {
                self.removals.insert(member.email.to_string(), now);
            }
        }
        for member in after.members().filter(|member| before.member(&member.id).is_none()) {
            self.invites.insert(member.email.to_string(), now);
        }
        for group in before.groups() {
            let Some(id) = &group.external_id else { continue };
            let imported: BTreeSet<&str> = ledger
                .groups()
                .filter(|(other, _)| *other == id)
                .flat_map(|(_, group)| group.members.iter().map(|id| id.as_str()))
                .collect();
            let there = after.group(&group.id);
            for member in group.members.known().iter().filter_map(|id| before.member(id)) {
                let stays = there.is_some_and(|there| there.members.known().contains(&member.id));
                let is_ours = member.external_id.as_ref().is_some_and(|id| imported.contains(id.as_str()));
                if !stays && is_ours && !leavers.contains(member.email.as_str()) && !in_grace(member) {
                    self.leaves.insert((id.to_string(), member.email.to_string()), now);
                }
            }
        }
    }
}

pub(crate) fn play(kind: Kind, on_limit: OnLimit, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut world = World::new(kind, settings(on_limit));
    let mut seen = Seen::default();
    for op in ops {
        let (before, ledger) = (world.server.clone(), world.ledger.clone());
        let live = (kind == Kind::Official).then_some(&before);
        let ledger = ledger.settled(live, world.now);
        world.play(op);
        if !matches!(op, Op::Sync(_)) {
            continue;
        }
        // A run takes a minute.
        let now = Moment(world.now.0 - 60);
        seen.run(&before, &world.server, &ledger, now);
        let counts = (recent(&seen.removals, now), recent(&seen.leaves, now), recent(&seen.invites, now));
        if counts.0 > REMOVALS || counts.1 > LEAVES || counts.2 > INVITES {
            let text =
                format!("{counts:?} got through: {:?} {:?} {:?}", seen.removals, seen.leaves, seen.invites);
            return Err(fail(&world, &text));
        }
    }
    let before = world.server.clone();
    let changes = world.sync(Fault::None);
    if changes.is_some_and(|changes| changes.stopped == Stopped::Yes) && world.server != before {
        return Err(fail(&world, "a run that is stopped changes something"));
    }
    world.remember();
    world.pass(Span::days(2));
    let open = |setting: &mut Limit| *setting = Limit::Off;
    open(&mut world.settings.limit_removals);
    open(&mut world.settings.limit_leaves);
    open(&mut world.settings.limit_repairs);
    open(&mut world.settings.limit_invites);
    end_well(world)
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn limited_official(ops in prop::collection::vec(op(), 1..60)) {
        play(Kind::Official, OnLimit::Hold, &ops)?;
    }

    #[test]
    fn limited_vaultwarden(ops in prop::collection::vec(op(), 1..60)) {
        play(Kind::Vaultwarden, OnLimit::Hold, &without_swaps_of_others(ops))?;
    }

    #[test]
    fn stopped_official(ops in prop::collection::vec(op(), 1..60)) {
        play(Kind::Official, OnLimit::Stop, &ops)?;
    }
}

/// A group that is sent whole names those whose new address is held back by the id that they have.
#[test]
fn whoever_keeps_an_old_address_for_now_stays_in_a_group_that_changes() {
    let mut world = World::new(Kind::Vaultwarden, settings(OnLimit::Hold));
    let ops = [
        Hire(1),
        Hire(2),
        Hire(3),
        MakeGroup(0),
        Join(0, 1),
        Sync(Fault::None),
        Delete(2),
        Sync(Fault::None),
    ];
    for op in &ops {
        world.play(op);
    }
    for op in [NewAddress(1), Join(0, 3), Sync(Fault::None)] {
        world.play(&op);
    }
    let after = shape(&world.server);
    let (_, members) = after.groups.values().next().unwrap();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    assert_eq!(members, ["a1@x.org", "a3@x.org"], "{after:?}");
}
