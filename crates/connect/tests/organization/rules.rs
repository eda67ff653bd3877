//! Single changes in any order, with any fault, against the servers' rules in `core`.

use bwdc_connect::bitwarden::{Client, EditOutcome, Token};
use bwdc_core::organization::Roster;
use bwdc_core::organization::roster::{Former, Group, Held, Member, MemberId, Status};
use bwdc_core::organization::server::{Call, Who, after};
use bwdc_sandbox::{Fault, Status as Played};
use bwdc_testkit::few;
use proptest::prelude::*;

use crate::world::{Patience, World};

/// Change of the n-th member or group, if there is one.
#[derive(Clone, Debug)]
enum Step {
    Revoke(usize),
    Restore(usize),
    Remove(usize),
    Relink(usize, u8),
    Reinvite(usize),
    PutGroup(usize, u8),
    PutMembers(usize, Vec<usize>),
    DeleteGroup(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..8usize;
    prop_oneof![
        at().prop_map(Step::Revoke),
        at().prop_map(Step::Restore),
        at().prop_map(Step::Remove),
        (at(), 0..4u8).prop_map(|(at, id)| Step::Relink(at, id)),
        at().prop_map(Step::Reinvite),
        (0..3usize, 0..4u8).prop_map(|(at, id)| Step::PutGroup(at, id)),
        (0..3usize, prop::collection::vec(at(), 0..5))
            .prop_map(|(at, members)| Step::PutMembers(at, members)),
        (0..3usize).prop_map(Step::DeleteGroup),
    ]
}

fn trouble() -> impl Strategy<Value = Option<(usize, Fault)>> {
    let fault = prop::sample::select(vec![
        Fault::Lost,
        Fault::AnswerLost,
        Fault::AnswerCut,
        Fault::GatewayTimeout,
        Fault::AnsweredLater(1),
        Fault::Refused(429),
        Fault::Refused(500),
        Fault::Refused(503),
    ]);
    prop::option::of((1..=2usize, fault))
}

fn call(step: &Step, members: &[MemberId], groups: &[Group]) -> Option<Call> {
    let member = |at: usize| members.get(at).cloned();
    let group = |at: usize| Some(groups.get(at)?.id.clone());
    Some(match step {
        Step::Revoke(at) => Call::Revoke(member(*at)?),
        Step::Restore(at) => Call::Restore(member(*at)?),
        Step::Remove(at) => Call::Remove(member(*at)?),
        Step::Relink(at, id) => {
            Call::Relink { member: member(*at)?, external_id: Some(format!("id{id}").into()) }
        }
        Step::Reinvite(at) => Call::Reinvite(member(*at)?),
        Step::PutGroup(at, id) => Call::PutGroup {
            group: group(*at)?,
            name: format!("G{id}"),
            external_id: format!("g{id}").into(),
        },
        Step::PutMembers(at, list) => Call::PutGroupMembers {
            group: group(*at)?,
            members: list.iter().filter_map(|at| member(*at)).map(Who::Member).collect(),
        },
        Step::DeleteGroup(at) => Call::DeleteGroup(group(*at)?),
    })
}

async fn make(client: &Client, token: &Token, call: &Call) -> EditOutcome<()> {
    let nothing = |outcome| match outcome {
        EditOutcome::Done(_) => EditOutcome::Done(()),
        EditOutcome::NotDone(error) => EditOutcome::NotDone(error),
        EditOutcome::Unclear(error) => EditOutcome::Unclear(error),
    };
    match call {
        Call::Import(_) => unreachable!("no step is an import"),
        Call::Revoke(id) => nothing(client.revoke(token, id).await),
        Call::Restore(id) => nothing(client.restore(token, id).await),
        Call::Remove(id) => nothing(client.delete_member(token, id).await),
        Call::Relink { member, external_id } => client.put_member(token, member, external_id.as_ref()).await,
        Call::Reinvite(id) => client.reinvite(token, id).await,
        Call::PutGroup { group, name, external_id } => {
            client.put_group(token, group, name, Some(external_id)).await
        }
        Call::PutGroupMembers { group, members } => {
            let ids: Vec<MemberId> = members
                .iter()
                .filter_map(|who| match who {
                    Who::Member(id) => Some(id.clone()),
                    Who::Imported(_) => None,
                })
                .collect();
            client.put_group_members(token, group, &ids).await
        }
        Call::DeleteGroup(id) => nothing(client.delete_group(token, id).await),
    }
}

/// State as in the server's list: without a revoked member's previous state.
fn told(roster: &Roster) -> (Vec<Member>, Vec<Group>) {
    let member = |member: &Member| {
        let status =
            if member.status.is_revoked() { Status::Revoked(Former::Unknown) } else { member.status };
        Member { status, ..member.clone() }
    };
    let group =
        |group: &Group| Group { members: Held::of(group.members.known().iter().cloned()), ..group.clone() };
    (roster.members().map(member).collect(), roster.groups().map(group).collect())
}

async fn run(patience: Patience, steps: Vec<(Step, Option<(usize, Fault)>)>) -> Result<(), TestCaseError> {
    let world = World::official(patience).await;
    for (at, status) in
        [Played::Invited, Played::Accepted, Played::Confirmed, Played::Staged].iter().enumerate()
    {
        world.add(&format!("m{at}@x.org"), Some(&format!("id{at}")), *status);
    }
    for name in ["G0", "G1", "G2"] {
        world.add_group(name, &["m0@x.org", "m2@x.org"]);
    }
    let mut model = world.roster().await;
    let members: Vec<MemberId> = model.members().map(|member| member.id.clone()).collect();
    let groups: Vec<Group> = model.groups().cloned().collect();
    for (step, trouble) in steps {
        let Some(call) = call(&step, &members, &groups) else { continue };
        if let Some((at, fault)) = trouble {
            world.inject(at, fault);
        }
        let outcome = make(&world.client, &world.token, &call).await;
        world.sandbox.clear_faults();
        let held = told(&world.roster().await);
        let done = after(&model, &call);
        let is_done = done.as_ref().is_ok_and(|done| told(done) == held);
        let is_as_before = told(&model) == held;
        match &outcome {
            // A change made before is done without an effect.
            EditOutcome::Done(()) => {
                prop_assert!(is_done || (done.is_err() && is_as_before), "{call:?} {trouble:?}")
            }
            EditOutcome::NotDone(error) => prop_assert!(is_as_before, "{call:?} {trouble:?} {error}"),
            EditOutcome::Unclear(error) => {
                prop_assert!(is_done || is_as_before, "{call:?} {trouble:?} {error}")
            }
        }
        if trouble.is_none()
            && let Err(refusal) = &done
        {
            prop_assert!(is_as_before, "{call:?} {refusal}");
        }
        // A revoked member's previous state is known from the model only.
        if is_done && let Ok(done) = done {
            model = done;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: few().cases / 4, ..few() })]

    #[test]
    fn the_server_does_what_the_rules_say_and_the_client_what_became_of_it(
        steps in prop::collection::vec((step(), trouble()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(Patience::None, steps))?;
    }
}
