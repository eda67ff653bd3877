//! Runs undone at random: the organization is as before, or what differs was named beforehand; on both kinds of server, with faults.

use std::collections::{BTreeMap, BTreeSet};

use bwdc_core::entry::ExternalId;
use bwdc_core::organization::changes::{Cause, Code, Hold, KeptBy};
use bwdc_core::organization::directory::DirectoryNow;
use bwdc_core::organization::record::{GroupState, Made, RunRecord};
use bwdc_core::organization::roster::{Group, Held, Kind, Role, Roster, Staging, Status};
use bwdc_core::organization::server::{Call, carry_out};
use bwdc_core::organization::settings::{Absent, Limit, Protect, Settings, VanishedGroups};
use bwdc_core::organization::undo::{Left, Lost, Protecting, to_read};
use bwdc_core::organization::{Ledger, Moment, Question, Span, Step, Undo, requests};
use bwdc_testkit::few;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::made::email;
use crate::model::{Shape, shape};
use crate::ops::Op::{
    Absent as SetAbsent, Confirm, Delete, Grace, Hire, Join, MakeGroup, NewAddress, Own, Quit, Sync, Vanish,
};
use crate::ops::{Op, op};
use crate::stateful::{fail, no_limits, without_swaps_of_others};
use crate::world::{Fault, LastRun, World, stored};

/// An undo before its first request.
struct Computed {
    ledger: Ledger,
    roster: Roster,
    settings: Settings,
    undo: Undo,
    steps: Vec<Step>,
}

impl Computed {
    /// Record of the undo itself, once all of it was done.
    fn record(&self) -> RunRecord {
        let directory = DirectoryNow::default();
        let Self { ledger, roster, settings, undo, .. } = self;
        let question = Question { directory: &directory, roster, ledger, settings, now: Moment(0) };
        RunRecord::of(&question, &undo.changes).all_made()
    }
}

impl World {
    fn to_undo(&self, record: &RunRecord, later: &[RunRecord]) -> Computed {
        let live = (self.server.kind == Kind::Official).then_some(&self.server);
        let ledger = self.ledger.clone().settled(live, self.now);
        let settings = self.settings.clone().for_undo();
        let roster = match live {
            None => ledger.roster(Kind::Vaultwarden),
            Some(server) => {
                let wanted: BTreeSet<_> = to_read(record, server, &ledger, &settings).into_iter().collect();
                let mut roster = server.clone();
                for group in server.groups().filter(|group| !wanted.contains(&group.id)) {
                    roster.put_group(Group { members: Held::Unread, ..group.clone() });
                }
                roster
            }
        };
        let directory = DirectoryNow::default();
        let question = Question {
            directory: &directory,
            roster: &roster,
            ledger: &ledger,
            settings: &settings,
            now: self.now,
        };
        let undo = Undo::of(&question, record, later, Protecting::Until(self.now.plus(Span::days(7))));
        let steps = requests(&question, &undo.changes);
        Computed { ledger, roster, settings, undo, steps }
    }

    /// Undoes the last run. What was computed, and whether it came to its end.
    fn undo(&mut self, record: &RunRecord, fault: Fault) -> (Computed, bool) {
        self.undo_before(record, &[], fault)
    }

    /// Undoes a run that others followed.
    fn undo_before(&mut self, record: &RunRecord, later: &[RunRecord], fault: Fault) -> (Computed, bool) {
        let computed = self.to_undo(record, later);
        self.ledger = stored(&computed.ledger);
        if !computed.steps.is_empty() {
            self.ledger = stored(&self.ledger.clone().begun(&computed.steps, self.now));
        }
        let begun = self.ledger.clone();
        for (at, step) in computed.steps.iter().enumerate() {
            if fault == Fault::Lost(at) {
                return (computed, false);
            }
            let answer = carry_out(&mut self.server, &step.call);
            assert_eq!(answer, Ok(()), "{:#?}\n{:#?}\n{}", step.call, self.server, self.trace.join("\n"));
            if fault == Fault::Unheard(at) {
                return (computed, false);
            }
            self.ledger = stored(&begun.clone().acknowledged(at + 1));
        }
        let directory = DirectoryNow::default();
        let question = Question {
            directory: &directory,
            roster: &computed.roster,
            ledger: &computed.ledger,
            settings: &computed.settings,
            now: self.now,
        };
        self.ledger = stored(&self.ledger.clone().undone(&question, &computed.undo.changes));
        (computed, true)
    }
}

/// People, groups and memberships that may differ, because that was said beforehand.
fn named(undo: &Undo) -> BTreeSet<String> {
    // They come back, in another way.
    let is_back = |lost: &Lost| {
        matches!(lost, Lost::Membership | Lost::Role | Lost::Staged | Lost::Protection | Lost::Group)
    };
    let lost = undo.lost.iter().filter(|(lost, _)| !is_back(lost)).flat_map(|(_, subjects)| subjects);
    undo.left.values().flatten().chain(lost).cloned().collect()
}

/// What differs between two organizations and was not named.
fn unnamed(before: &Shape, after: &Shape, named: &BTreeSet<String>) -> Vec<String> {
    let mut all = Vec::new();
    let emails: BTreeSet<&String> = before.members.keys().chain(after.members.keys()).collect();
    for email in emails {
        if before.members.get(email) != after.members.get(email) && !named.contains(email) {
            all.push(format!("{email}: {:?} {:?}", before.members.get(email), after.members.get(email)));
        }
    }
    let ids: BTreeSet<&String> = before.groups.keys().chain(after.groups.keys()).collect();
    for id in ids {
        let (old, new) = (before.groups.get(id), after.groups.get(id));
        let name = |group: Option<&(String, BTreeSet<String>)>| group.map(|(name, _)| name.clone());
        if name(old).is_some_and(|name| named.contains(&name))
            || name(new).is_some_and(|name| named.contains(&name))
        {
            continue;
        }
        if name(old) != name(new) {
            all.push(format!("group {id}: {old:?} {new:?}"));
            continue;
        }
        let empty = BTreeSet::new();
        let (a, b) = (old.map_or(&empty, |(_, all)| all), new.map_or(&empty, |(_, all)| all));
        for email in a.symmetric_difference(b) {
            let group = name(old).unwrap_or_default();
            if !named.contains(email) && !named.contains(&format!("{email} in {group}")) {
                all.push(format!("{email} in {group}: {a:?} {b:?}"));
            }
        }
    }
    all
}

/// A world after these edits and a last run, which may fail. None if nothing was ever run.
fn lived(kind: Kind, ops: &[Op], last: Fault) -> Option<(World, LastRun)> {
    let mut world = World::new(kind, no_limits());
    for op in ops.iter().filter(|op| !of_faults(kind, op)) {
        world.play(op);
    }
    world.trace.push("last".to_owned());
    world.sync(last);
    world.pass(Span(60));
    let run = world.last.clone()?;
    Some((world, run))
}

/// What a server that cannot be read has done of an unfinished run, nobody knows.
fn of_faults(kind: Kind, op: &Op) -> bool {
    kind == Kind::Vaultwarden && matches!(op, Op::Sync(fault) if *fault != Fault::None)
}

/// Plays, and undoes the last run at once.
fn undone(kind: Kind, ops: &[Op], last: Fault) -> Result<(), TestCaseError> {
    let Some((mut world, LastRun { record, before })) = lived(kind, ops, last) else { return Ok(()) };
    let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
    let differences = unnamed(&shape(&before), &shape(&world.server), &named(&undo));
    if !differences.is_empty() {
        let text = format!(
            "{differences:#?}\n{record:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}",
            undo.left, undo.lost, undo.changes.members, undo.changes.groups
        );
        return Err(fail(&world, &text));
    }
    again(&world, &record)?;
    kept(world, &undo)
}

/// Undoes a run and then the undo: the organization is as the run left it, or what differs was named.
fn undone_and_done_again(kind: Kind, ops: &[Op]) -> Result<(), TestCaseError> {
    let Some((mut world, LastRun { record, .. })) = lived(kind, ops, Fault::None) else { return Ok(()) };
    let before = shape(&world.server);
    let (first, _) = world.undo(&record, Fault::None);
    world.pass(Span(60));
    let second = first.record();
    let (Computed { undo, .. }, _) = world.undo(&second, Fault::None);
    let mut said = named(&undo);
    said.extend(named(&first.undo));
    let differences = unnamed(&before, &shape(&world.server), &said);
    if differences.is_empty() {
        return Ok(());
    }
    Err(fail(&world, &format!("{differences:#?}\n{record:#?}\n{second:#?}\n{:#?}", undo.changes)))
}

/// Undone a second time, nothing changes.
fn again(world: &World, record: &RunRecord) -> Result<(), TestCaseError> {
    let Computed { undo, steps, .. } = world.to_undo(record, &[]);
    if steps.is_empty() && undo.changes.is_empty() {
        return Ok(());
    }
    Err(fail(world, &format!("a second undo sends {steps:#?}\n{record:#?}")))
}

/// The next sync takes nobody away again who came back, nor their memberships.
fn kept(mut world: World, undo: &Undo) -> Result<(), TestCaseError> {
    let protection = |world: &World, email: &String| {
        let record = world.ledger.people().find(|(_, record)| record.email.as_str() == email);
        record.and_then(|(_, record)| record.protection.clone())
    };
    let coming = undo.changes.members.iter().filter(|change| !change.action.is_leaving());
    let emails = coming.map(|change| undo.changes.slot(change.slot).unwrap().email.to_string());
    let protected: Vec<String> = emails.filter(|email| protection(&world, email).is_some()).collect();
    world.trace.push("after the undo".to_owned());
    world.pass(Span::DAY);
    if world.sync(Fault::None).is_none() {
        return Err(fail(&world, "no end"));
    }
    let after = shape(&world.server);
    for email in protected {
        let is_in = after.members.get(&email).is_some_and(|(_, is_revoked)| !is_revoked);
        let ids = protection(&world, &email).map(|protection| protection.groups.clone()).unwrap_or_default();
        let is_out_of = |id: &&ExternalId| {
            after.groups.get(id.as_str()).is_none_or(|(_, members)| !members.contains(&email))
        };
        if !is_in || protection(&world, &email).is_none() || ids.iter().any(|id| is_out_of(&id)) {
            return Err(fail(&world, &format!("{email} came back to {ids:?}, and is out again")));
        }
    }
    Ok(())
}

/// Undoes a run with a fault and then again: the same comes of it as without the fault.
fn undone_in_the_end(kind: Kind, ops: &[Op], fault: Fault) -> Result<(), TestCaseError> {
    let Some((mut world, LastRun { record, .. })) = lived(kind, ops, Fault::None) else { return Ok(()) };
    let mut straight = world.clone();
    let (_, is_done) = straight.undo(&record, Fault::None);
    assert!(is_done);
    let (_, is_done) = world.undo(&record, fault);
    world.pass(Span(60));
    if !is_done {
        let (Computed { undo, .. }, is_done) = world.undo(&record, Fault::None);
        assert!(is_done);
        if shape(&world.server) != shape(&straight.server) {
            let text = format!("{:#?}\n{record:#?}\n{:#?}", shape(&straight.server), undo.changes);
            return Err(fail(&world, &text));
        }
    }
    again(&world, &record)
}

/// Undoes a run long after it, when others have changed things: nothing but what the run changed is touched, and no owner leaves.
fn undone_late(kind: Kind, ops: &[Op], later: &[Op]) -> Result<(), TestCaseError> {
    let Some((mut world, LastRun { record, .. })) = lived(kind, ops, Fault::None) else { return Ok(()) };
    let mut records = Vec::new();
    for op in later.iter().filter(|op| !of_faults(kind, op)) {
        world.play(op);
        let last = last_record(&world);
        if matches!(op, Op::Sync(_)) && last != record && records.last() != Some(&last) {
            records.push(last);
        }
    }
    let before = world.server.clone();
    let (Computed { undo, .. }, _) = world.undo_before(&record, &records, Fault::None);
    let taken = taken_from(&records, &shape(&before), &shape(&world.server));
    if !taken.is_empty() {
        let text = format!("{taken:#?}\n{record:#?}\n{records:#?}\n{:#?}", undo.changes);
        return Err(fail(&world, &text));
    }
    let states =
        record.members.iter().flat_map(|entry| [entry.before.clone(), entry.after.clone()]).flatten();
    let about: BTreeSet<String> = states.map(|state| state.email.to_string()).collect();
    for member in before.members() {
        let after = world.server.member(&member.id);
        let is_owner = kind == Kind::Official && member.role == Role::Owner;
        let is_out = after.is_none_or(|after| after.status.is_revoked());
        if is_owner && is_out && !member.status.is_revoked() {
            return Err(fail(&world, &format!("the owner {} has left\n{record:#?}", member.email)));
        }
        if after != Some(member) && !about.contains(member.email.as_str()) {
            return Err(fail(
                &world,
                &format!("{} was touched\n{record:#?}\n{:#?}", member.email, undo.changes),
            ));
        }
    }
    let Computed { undo, steps, .. } = world.to_undo(&record, &records);
    if steps.is_empty() && undo.changes.is_empty() {
        return Ok(());
    }
    Err(fail(&world, &format!("a second undo sends {steps:#?}\n{record:#?}\n{records:#?}")))
}

/// What these runs brought and an undo took: members, groups, and memberships of groups.
fn taken_from(records: &[RunRecord], before: &Shape, after: &Shape) -> Vec<String> {
    let is_in = |shape: &Shape, email: &str| shape.members.get(email).is_some_and(|(_, revoked)| !revoked);
    let has = |shape: &Shape, id: &str, email: &str| {
        shape.groups.get(id).is_some_and(|(_, members)| members.contains(email))
    };
    // The undo may give a group its former id.
    let is_lost = |state: &GroupState, email: &str| {
        let id = state.external_id.as_str();
        let mut named = after.groups.values().filter(|(name, _)| *name == state.name);
        let still_has = match after.groups.contains_key(id) {
            true => has(after, id, email),
            false => named.any(|(_, members)| members.contains(email)),
        };
        has(before, id, email) && !still_has
    };
    let mut taken = Vec::new();
    for entry in records.iter().flat_map(|run| &run.members).filter(|entry| entry.made == Made::Yes) {
        let (None, Some(state)) = (&entry.before, &entry.after) else { continue };
        if is_in(before, &state.email) && !is_in(after, &state.email) {
            taken.push(state.email.to_string());
        }
    }
    for entry in records.iter().flat_map(|run| &run.groups).filter(|entry| entry.made == Made::Yes) {
        let Some(state) = &entry.after else { continue };
        let id = state.external_id.as_str();
        if entry.before.is_none() && before.groups.contains_key(id) && !after.groups.contains_key(id) {
            taken.push(state.name.clone());
        }
        let lost = entry.join.iter().map(|who| &*who.email);
        // Whom the run itself brought leaves with all memberships.
        let lost = lost.filter(|email| is_lost(state, email) && is_in(after, email));
        taken.extend(lost.map(|email| format!("{email} in {}", state.name)));
    }
    taken
}

/// A run of which nothing was done is followed by one that does it: an undo of the first takes nothing from the second.
fn undone_before_a_later_one(kind: Kind, ops: &[Op]) -> Result<(), TestCaseError> {
    let Some((mut world, LastRun { record, .. })) = lived(kind, ops, Fault::Lost(0)) else { return Ok(()) };
    world.sync(Fault::None);
    world.pass(Span(60));
    let later = last_record(&world);
    let before = shape(&world.server);
    if later == record {
        return Ok(());
    }
    let (Computed { undo, .. }, _) = world.undo_before(&record, std::slice::from_ref(&later), Fault::None);
    let mut differences = unnamed(&before, &shape(&world.server), &BTreeSet::new());
    if kind == Kind::Vaultwarden {
        // Who left, and groups, are only sent again, and not listed.
        let invited = later.members.iter().filter(|entry| entry.before.is_none());
        let invited: Vec<&str> = invited.filter_map(|entry| Some(&*entry.after.as_ref()?.email)).collect();
        differences.retain(|text| invited.iter().any(|email| text.starts_with(email)));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(fail(&world, &format!("{differences:#?}\n{record:#?}\n{later:#?}\n{:#?}", undo.changes)))
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![(0..5_usize).prop_map(Fault::Lost), (0..5_usize).prop_map(Fault::Unheard)]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![2 => Just(Fault::None), 1 => fault()]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..50)
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn runs_are_undone_on_the_official_server(ops in ops(), last in any_fault()) {
        undone(Kind::Official, &ops, last)?;
    }

    #[test]
    fn runs_are_undone_on_vaultwarden(ops in ops()) {
        undone(Kind::Vaultwarden, &without_swaps_of_others(ops), Fault::None)?;
    }

    #[test]
    fn an_undo_that_fails_is_finished_by_the_next_one(ops in ops(), fault in fault()) {
        undone_in_the_end(Kind::Official, &ops, fault)?;
        undone_in_the_end(Kind::Vaultwarden, &without_swaps_of_others(ops), fault)?;
    }

    #[test]
    fn an_undo_is_undone(ops in ops()) {
        undone_and_done_again(Kind::Official, &ops)?;
        undone_and_done_again(Kind::Vaultwarden, &without_swaps_of_others(ops))?;
    }

    #[test]
    fn what_a_later_run_did_is_not_undone_with_one_that_was_cut_off(ops in ops()) {
        undone_before_a_later_one(Kind::Official, &ops)?;
        undone_before_a_later_one(Kind::Vaultwarden, &without_swaps_of_others(ops))?;
    }

    #[test]
    fn what_others_have_changed_since_is_left(ops in ops(), later in ops()) {
        undone_late(Kind::Official, &ops, &later)?;
        undone_late(Kind::Vaultwarden, &without_swaps_of_others(ops), &without_swaps_of_others(later))?;
    }
}

fn last_record(world: &World) -> RunRecord {
    world.last.clone().unwrap().record
}

fn played(kind: Kind, settings: Settings, ops: &[Op]) -> World {
    let mut world = World::new(kind, settings);
    ops.iter().for_each(|op| world.play(op));
    world
}

fn subjects<T: Ord>(named: &BTreeMap<T, BTreeSet<String>>, what: &T) -> Vec<String> {
    named.get(what).into_iter().flatten().cloned().collect()
}

#[test]
fn whoever_was_removed_is_invited_into_the_former_groups_and_stays_for_the_time_of_protection() {
    let ops = [
        Hire(1),
        Hire(2),
        MakeGroup(0),
        Join(0, 1),
        Join(0, 2),
        Sync(Fault::None),
        Confirm(1),
        Delete(1),
        Sync(Fault::None),
    ];
    let mut world = played(Kind::Official, no_limits(), &ops);
    assert!(!shape(&world.server).members.contains_key("a1@x.org"));
    let record = last_record(&world);
    let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
    assert_eq!(subjects(&undo.lost, &Lost::Membership), ["a1@x.org"]);
    let after = shape(&world.server);
    assert_eq!(after.members["a1@x.org"], (Some("id1v1".to_owned()), false));
    assert!(after.groups.values().all(|(_, members)| members.contains("a1@x.org")), "{after:?}");
    let until = world.now.plus(Span::days(7));
    world.pass(Span::days(6));
    let changes = world.sync(Fault::None).unwrap();
    let warning = changes.warnings.iter().find(|warning| warning.code == Code::ProtectedKept).unwrap();
    assert!(warning.text.contains(&format!("protected until {until}")), "{warning:?}");
    assert_eq!(changes.kept.iter().map(|kept| kept.by).collect::<Vec<_>>(), [KeptBy::Undo]);
    assert_eq!(shape(&world.server), after);
    world.pass(Span::days(2));
    world.sync(Fault::None).unwrap();
    assert!(!shape(&world.server).members.contains_key("a1@x.org"));
}

#[test]
fn memberships_that_came_back_with_somebody_stay_in_the_next_sync() {
    let ops = [
        Hire(1),
        MakeGroup(0),
        Join(0, 1),
        SetAbsent(Absent::Missing),
        Sync(Fault::None),
        Vanish(1),
        Sync(Fault::None),
    ];
    let mut world = played(Kind::Official, no_limits(), &ops);
    let record = last_record(&world);
    world.undo(&record, Fault::None);
    // Alive again, and in no group of the directory.
    world.play(&Hire(1));
    world.play(&Quit(0, 1));
    let changes = world.sync(Fault::None).unwrap();
    let after = shape(&world.server);
    assert!(after.groups.values().all(|(_, members)| members.contains("a1@x.org")), "{after:?}");
    let warning = changes.warnings.iter().find(|warning| warning.code == Code::ProtectedKept).unwrap();
    assert!(
        warning.text.starts_with("a1@x.org would leave the group Group 0, and stays in it"),
        "{warning:?}"
    );
}

#[test]
fn owners_and_administrators_who_came_with_the_run_stay() {
    let mut world = played(Kind::Official, no_limits(), &[Hire(1), Hire(2), Sync(Fault::None), Own(1)]);
    world.confirm(2);
    world.by_soul_mut(2, |member| member.role = Role::Admin);
    let record = last_record(&world);
    let before = shape(&world.server);
    let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
    assert_eq!(subjects(&undo.left, &Left::Owner), ["a1@x.org"]);
    assert_eq!(subjects(&undo.left, &Left::OtherRole), ["a2@x.org"]);
    assert_eq!(shape(&world.server), before);
}

/// A run that did one of two things, nobody heard of it, and a later one did the other.
#[test]
fn of_a_run_that_was_cut_off_only_what_no_later_run_did_is_undone() {
    let mut world = played(Kind::Official, no_limits(), &[Hire(1), MakeGroup(0), Join(0, 1)]);
    world.sync(Fault::Unheard(0));
    let record = last_record(&world);
    assert!(shape(&world.server).members.contains_key("a1@x.org"), "{record:#?}");
    world.pass(Span(60));
    let Computed { undo, .. } = world.to_undo(&record, &[]);
    let unclear = undo.unclear.unwrap();
    assert_eq!((unclear.count, unclear.back, unclear.acknowledged), (2, 0, 0));
    world.play(&Hire(2));
    world.sync(Fault::None);
    let later = last_record(&world);
    world.pass(Span(60));
    world.undo_before(&record, std::slice::from_ref(&later), Fault::None);
    let after = shape(&world.server);
    assert!(!after.members.contains_key("a1@x.org") && after.members.contains_key("a2@x.org"), "{after:?}");
    // Of a second one that did nothing, everything is as before.
    world.play(&Hire(3));
    world.sync(Fault::Lost(0));
    let record = last_record(&world);
    let undo = world.to_undo(&record, &[]).undo;
    assert!(undo.changes.is_empty(), "{:#?}", undo.changes);
    let unclear = undo.unclear.unwrap();
    assert_eq!(
        (unclear.count, unclear.back, unclear.acknowledged),
        (record.members.len() + record.groups.len(), unclear.count, 0)
    );
    world.sync(Fault::None);
    let later = last_record(&world);
    let undo = world.to_undo(&record, &[later]).undo;
    assert!(subjects(&undo.left, &Left::LaterRun).contains(&"a3@x.org".to_owned()), "{:?}", undo.left);
}

/// A newcomer whose account has another address since, and one who was given another id by hand, are not undone already.
#[test]
fn newcomers_whom_others_have_changed_are_named_with_their_groups() {
    let ops = [MakeGroup(0), Hire(1), Hire(2), Join(0, 1), Join(0, 2), Sync(Fault::None)];
    let mut world = played(Kind::Official, no_limits(), &ops);
    let record = last_record(&world);
    world.confirm(1);
    world.by_soul_mut(1, |member| member.email = email("married@x.org"));
    world.by_soul_mut(2, |member| member.external_id = Some("by-hand".into()));
    let members = shape(&world.server).members;
    let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
    assert_eq!(subjects(&undo.left, &Left::OtherAddress), ["a1@x.org", "a1@x.org in Group 0"]);
    assert_eq!(subjects(&undo.left, &Left::OtherId), ["a2@x.org", "a2@x.org in Group 0"]);
    assert_eq!((undo.back, shape(&world.server).members), (0, members));
}

/// Whoever is revoked by an undo gets the groups back, too: a revoked member of the official server keeps them.
#[test]
fn somebody_who_is_revoked_again_is_in_the_groups_of_before() {
    let ops = [
        MakeGroup(0),
        Hire(1),
        Join(0, 1),
        SetAbsent(Absent::Missing),
        Grace(2),
        Sync(Fault::None),
        Confirm(1),
        Vanish(1),
        Sync(Fault::None),
    ];
    let mut world = played(Kind::Official, no_limits(), &ops);
    let before = shape(&world.server);
    assert!(before.members["a1@x.org"].1, "revoked: {before:?}");
    world.play(&Hire(1));
    world.play(&Quit(0, 1));
    world.sync(Fault::None).unwrap();
    assert!(shape(&world.server).groups.values().all(|(_, members)| members.is_empty()));
    let record = last_record(&world);
    world.undo(&record, Fault::None);
    assert_eq!(shape(&world.server), before);
}

#[test]
fn an_undo_keeps_within_the_limits() {
    let settings = Settings { limit_removals: Limit::Number(1), ..no_limits() };
    let mut world = played(Kind::Official, settings, &[Hire(1), Hire(2), MakeGroup(0), Sync(Fault::None)]);
    let record = last_record(&world);
    let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
    assert!(undo.changes.is_held());
    let after = shape(&world.server);
    assert_eq!((after.members.len(), after.groups.len()), (3, 0), "all else is done: {after:?}");
    world.settings.limit_removals = Limit::Off;
    let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
    assert!(!undo.changes.is_held());
    assert_eq!((shape(&world.server).members.len(), undo.back), (1, 1));
}

/// Whoever is held keeps the groups, the ones that the run made among them: they wait for those who are held.
#[test]
fn a_group_of_those_whom_a_limit_holds_back_stays() {
    let ops =
        [Hire(1), Hire(2), MakeGroup(0), MakeGroup(1), Join(0, 1), Join(0, 2), Join(1, 1), Sync(Fault::None)];
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let settings = Settings { limit_removals: Limit::Number(1), ..no_limits() };
        let mut world = played(kind, settings, &ops);
        let record = last_record(&world);
        let before = shape(&world.server);
        let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
        assert!(undo.changes.is_held());
        assert!(
            undo.changes.groups.iter().all(|group| group.hold == Hold::Held),
            "{:#?}",
            undo.changes.groups
        );
        assert_eq!(shape(&world.server), before, "{kind:?}");
        world.settings.limit_removals = Limit::Off;
        let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
        assert!(!undo.changes.is_held());
        let after = shape(&world.server);
        assert!(after.groups.values().all(|(_, members)| members.is_empty()), "{kind:?} {after:?}");
        assert!(
            !after.members.values().any(|(id, is_revoked)| id.is_some() && !is_revoked),
            "{kind:?} {after:?}"
        );
    }
}

#[test]
fn an_undo_of_an_undo_ends_the_protection_by_name() {
    let ops = [Hire(1), Hire(2), Sync(Fault::None), Delete(1), Sync(Fault::None)];
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let mut world = played(kind, no_limits(), &ops);
        let record = last_record(&world);
        let removed = shape(&world.server);
        let (first, _) = world.undo(&record, Fault::None);
        let record = first.record();
        let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
        assert_eq!(subjects(&undo.lost, &Lost::Protection), ["a1@x.org"], "{kind:?}");
        assert_eq!(shape(&world.server), removed);
        let is_protected = world.ledger.people().any(|(_, record)| record.protection.is_some());
        assert!(!is_protected);
    }
}

#[test]
fn on_vaultwarden_everything_is_an_import_and_newcomers_stay_as_revoked_members() {
    let mut world =
        played(Kind::Vaultwarden, no_limits(), &[Hire(1), MakeGroup(0), Join(0, 1), Sync(Fault::None)]);
    let record = last_record(&world);
    let (Computed { undo, steps, .. }, _) = world.undo(&record, Fault::None);
    assert!(steps.iter().all(|step| matches!(step.call, Call::Import(_))));
    assert_eq!(subjects(&undo.lost, &Lost::StaysMember), ["a1@x.org"]);
    assert_eq!(subjects(&undo.lost, &Lost::GroupStays), ["Group 0"]);
    let after = shape(&world.server);
    assert!(after.members["a1@x.org"].1, "revoked");
    assert!(after.groups.values().all(|(_, members)| members.is_empty()));
}

#[test]
fn whoever_was_staged_is_staged_again_and_the_others_are_invited() {
    let mut world = played(Kind::Official, no_limits(), &[Hire(1), Hire(2)]);
    world.server.staging = Staging::On;
    world.sync(Fault::None);
    world.by_soul_mut(2, |member| member.status = Status::Staged);
    world.play(&Delete(1));
    world.play(&Delete(2));
    world.pass(Span(60));
    world.sync(Fault::None);
    let record = last_record(&world);
    world.undo(&record, Fault::None);
    let status = |email: &str| {
        world.server.members().find(|member| member.email.as_str() == email).map(|one| one.status)
    };
    assert_eq!((status("a1@x.org"), status("a2@x.org")), (Some(Status::Invited), Some(Status::Staged)));
}

/// Vaultwarden knows people by their addresses: the former one is back and protected, in the groups of the directory, and it is said
/// until when. Then the next sync follows the directory again.
#[test]
fn a_former_address_that_came_back_to_vaultwarden_is_told_as_protected() {
    let ops = [Hire(1), MakeGroup(0), Join(0, 1), Sync(Fault::None), NewAddress(1), Sync(Fault::None)];
    let mut world = played(Kind::Vaultwarden, no_limits(), &ops);
    let moved = shape(&world.server);
    let record = last_record(&world);
    world.undo(&record, Fault::None);
    let until = world.now.plus(Span::days(7));
    let undone = shape(&world.server);
    let is_in = |shape: &Shape, email: &str| shape.members.get(email).is_some_and(|(_, revoked)| !revoked);
    assert!(is_in(&undone, "a1@x.org"), "{undone:?}");
    for op in [MakeGroup(1), Join(1, 1)] {
        world.play(&op);
    }
    world.pass(Span::DAY);
    let changes = world.sync(Fault::None).unwrap();
    let kept: Vec<_> = changes.kept.iter().map(|kept| (kept.cause, kept.by)).collect();
    assert_eq!(kept, [(Cause::IdReused, KeptBy::Undo)]);
    let warning = changes.warnings.iter().find(|warning| warning.code == Code::ProtectedKept).unwrap();
    assert!(warning.text.contains(&format!("protected until {until}")), "{warning:?}");
    let after = shape(&world.server);
    assert!(is_in(&after, "a1@x.org"), "{after:?}");
    assert!(after.groups.values().all(|(_, members)| members.contains("a1@x.org")), "{after:?}");
    world.pass(Span::days(7));
    world.sync(Fault::None).unwrap();
    assert_eq!(shape(&world.server).members, moved.members);
}

/// A group and a person that were made, taken away and made again are those of the last run that made them.
#[test]
fn what_a_later_run_made_again_is_left_to_that_run() {
    let ops = [
        Hire(1),
        MakeGroup(0),
        Join(0, 1),
        SetAbsent(Absent::Missing),
        Op::Vanished(VanishedGroups::Delete),
        Sync(Fault::None),
    ];
    let mut world = played(Kind::Official, no_limits(), &ops);
    let first = last_record(&world);
    let (accounts, groups) = (world.accounts.clone(), world.groups.clone());
    let mut later = Vec::new();
    for op in [Vanish(1), Op::DropGroup(0), Sync(Fault::None)] {
        world.play(&op);
    }
    later.push(last_record(&world));
    assert_eq!((world.server.members().count(), world.server.groups().count()), (1, 0));
    (world.accounts, world.groups) = (accounts, groups);
    world.pass(Span::DAY);
    world.sync(Fault::None).unwrap();
    later.push(last_record(&world));
    let before = shape(&world.server);
    assert_eq!((before.members.len(), before.groups.len()), (2, 1), "{before:?}");
    let (Computed { undo, .. }, _) = world.undo_before(&first, &later, Fault::None);
    assert_eq!(subjects(&undo.left, &Left::LaterRun), ["Group 0", "a1@x.org"]);
    assert_eq!(shape(&world.server), before);
}

/// A group that `sync.protect` names stays with everybody in it, and a protected member stays in the others.
#[test]
fn protected_groups_and_people_keep_what_a_run_gave_them() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let ops = [
            Hire(1),
            Hire(2),
            Hire(3),
            MakeGroup(0),
            MakeGroup(1),
            MakeGroup(2),
            Join(0, 1),
            Join(1, 2),
            Join(1, 3),
            Sync(Fault::None),
        ];
        let mut world = played(kind, no_limits(), &ops);
        let record = last_record(&world);
        let before = shape(&world.server);
        world.settings.protect = Protect::parse("a2@x.org, group:Group 0, group:Group 2");
        let (Computed { undo, .. }, _) = world.undo(&record, Fault::None);
        let after = shape(&world.server);
        let members = |name: &str| -> Vec<String> {
            let group = after.groups.values().find(|(known, _)| known == name);
            group.map(|(_, members)| members.iter().cloned().collect()).unwrap_or_default()
        };
        assert_eq!(members("Group 0"), ["a1@x.org"], "{kind:?} {after:?}");
        assert_eq!(members("Group 1"), ["a2@x.org"], "{kind:?} {after:?}");
        assert_eq!(after.groups.len(), before.groups.len(), "{kind:?} {after:?}");
        let left = subjects(&undo.left, &Left::Protected);
        for subject in ["a1@x.org", "a2@x.org", "a2@x.org in Group 1", "Group 0", "Group 2"] {
            assert!(left.contains(&subject.to_owned()), "{subject}: {left:?}");
        }
    }
}

/// What a later run did as well and others have taken back since is as before, and not another run's.
#[test]
fn what_is_as_before_is_left_to_no_later_run() {
    let mut world = played(Kind::Official, no_limits(), &[Hire(1), Hire(2), Sync(Fault::None)]);
    let first = last_record(&world);
    let mut later = Vec::new();
    for _ in 0..2 {
        world.play(&Op::HandRemove(2));
        world.pass(Span::DAY);
        world.sync(Fault::None).unwrap();
        later.push(last_record(&world));
    }
    let undo = world.to_undo(&first, &later).undo;
    assert_eq!(subjects(&undo.left, &Left::LaterRun), ["a2@x.org"]);
    world.play(&Op::HandRemove(2));
    let undo = world.to_undo(&first, &later).undo;
    assert!(subjects(&undo.left, &Left::LaterRun).is_empty(), "{:?}", undo.left);
    assert_eq!(undo.back, 1);
}

/// Whoever was removed by hand and came back with the run is in no group of before: what the ledger has of a group is not what it has.
#[test]
fn an_undo_of_an_undo_gives_back_no_membership_that_was_lost_before() {
    undone_and_done_again(
        Kind::Official,
        &[Hire(3), MakeGroup(0), Join(0, 3), Sync(Fault::None), Op::HandRemove(3), Op::NewGroupId(0)],
    )
    .unwrap();
}
