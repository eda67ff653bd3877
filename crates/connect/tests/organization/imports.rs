//! Imports in any order, with manual changes between them: the simulated servers against the servers' rules in `core`.

use bwdc_connect::bitwarden::ImportBody;
use bwdc_core::entry::{Email, ExternalId};
use bwdc_core::import::{ImportGroup, ImportMember, ImportRequest};
use bwdc_core::organization::roster::{Account, Former, Member, MemberId, Role, Status};
use bwdc_core::organization::server::{Call, carry_out};
use bwdc_core::organization::{Basis, Kind, Roster};
use bwdc_sandbox::{Edit, Status as Played};
use bwdc_testkit::few;
use proptest::prelude::*;

use crate::world::{Patience, World};

const OWNER: &str = "owner@sandbox.example";

#[derive(Clone, Debug)]
enum Step {
    Import(ImportRequest),
    Accept(u8),
    Confirm(u8),
    Revoke(u8),
    Restore(u8),
}

fn address(at: u8) -> String {
    if at == 0 { OWNER.to_owned() } else { format!("m{at}@x.org") }
}

fn id() -> impl Strategy<Value = ExternalId> {
    (0..6u8).prop_map(|id| ExternalId::from(format!("id{id}")))
}

fn entry() -> impl Strategy<Value = ImportMember> {
    (prop::option::weighted(0.95, 0..6u8), id(), prop::bool::weighted(0.3)).prop_map(
        |(at, external_id, deleted)| ImportMember {
            email: at.and_then(|at| Email::parse(&address(at))),
            external_id,
            deleted,
        },
    )
}

fn group() -> impl Strategy<Value = ImportGroup> {
    (0..3u8, 0..3u8, prop::collection::vec(id(), 0..5)).prop_map(|(name, external_id, members)| ImportGroup {
        name: format!("G{name}"),
        external_id: format!("g{external_id}").into(),
        member_external_ids: members.into(),
    })
}

fn import() -> impl Strategy<Value = ImportRequest> {
    let lists = (prop::collection::vec(group(), 0..3), prop::collection::vec(entry(), 0..5));
    (lists, prop::bool::weighted(0.2), any::<bool>()).prop_map(
        |((groups, members), overwrite_existing, invite)| ImportRequest {
            groups,
            members,
            overwrite_existing,
            large_import: false,
            invite_users_after_provisioning: invite,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => import().prop_map(Step::Import),
        1 => (1..6u8).prop_map(Step::Accept),
        1 => (1..6u8).prop_map(Step::Confirm),
        1 => (1..6u8).prop_map(Step::Revoke),
        1 => (1..6u8).prop_map(Step::Restore),
    ]
}

/// Members and groups without the ids, which each side assigns itself.
fn view(roster: &Roster) -> Vec<String> {
    let name = |member: &Member| {
        format!(
            "{} {:?} {:?}",
            member.email,
            member.external_id.as_ref().map(ExternalId::as_str),
            member.status
        )
    };
    let mut lines: Vec<String> = roster.members().map(name).collect();
    lines.extend(roster.groups().map(|group| {
        let mut members: Vec<&str> =
            group.members.known().iter().map(|id| roster.member(id).unwrap().email.as_str()).collect();
        members.sort_unstable();
        format!("{} {:?} {members:?}", group.name, group.external_id.as_ref().map(ExternalId::as_str))
    }));
    lines.sort();
    lines
}

fn held(world: &World) -> Vec<String> {
    let status = |status: Played, former: Played| match (status, former) {
        (Played::Revoked, Played::Invited) => Status::Revoked(Former::Invited),
        (Played::Revoked, Played::Accepted) => Status::Revoked(Former::Accepted),
        (Played::Revoked, Played::Staged) => Status::Revoked(Former::Staged),
        (Played::Revoked, _) => Status::Revoked(Former::Confirmed),
        (status, _) => Status::of_number(match status {
            Played::Invited => 0,
            Played::Accepted => 1,
            Played::Confirmed => 2,
            _ => 3,
        }),
    };
    let members = world.sandbox.members().unwrap().into_iter();
    let mut lines: Vec<String> = members
        .map(|member| {
            format!("{} {:?} {:?}", member.email, member.external_id, status(member.status, member.former))
        })
        .collect();
    let groups = world.sandbox.groups().unwrap().into_iter();
    lines.extend(groups.map(|group| format!("{} {:?} {:?}", group.name, group.external_id, group.members)));
    lines.sort();
    lines
}

/// Makes a manual change in both.
fn by_hand(world: &World, model: &mut Roster, step: &Step) {
    let (Step::Accept(at) | Step::Confirm(at) | Step::Revoke(at) | Step::Restore(at)) = step else { return };
    let name = address(*at);
    let found: Vec<Member> =
        model.members().filter(|member| member.email.as_str() == name).cloned().collect();
    let [member] = found.as_slice() else { return };
    let (status, account, edit) = match step {
        Step::Accept(_) => (Status::Accepted, Account::Linked, Edit::Accept(name)),
        Step::Confirm(_) => (Status::Confirmed, Account::Linked, Edit::Confirm(name)),
        Step::Revoke(_) => (member.status.revoked(), member.account, Edit::Revoke(name)),
        _ => (member.status.restored(member.account), member.account, Edit::Restore(name)),
    };
    model.put_member(Member { status, account, ..member.clone() });
    world.edit(edit);
}

/// Condition on which the server's dictionary of ids fails before the adoption is stored. The rules in `core` store it, then fail.
fn adopts_a_taken_id(model: &Roster, request: &ImportRequest) -> bool {
    let nameless = model.members().filter(|member| member.external_id.is_none());
    let ids: Vec<&ExternalId> = nameless
        .filter_map(|member| {
            let entry = |entry: &&ImportMember| !entry.deleted && entry.email.as_ref() == Some(&member.email);
            Some(&request.members.iter().rfind(entry)?.external_id)
        })
        .collect();
    let taken = model.members_by_external_id();
    ids.iter().enumerate().any(|(at, id)| taken.contains_key(*id) || ids[..at].contains(id))
}

async fn run(world: World, kind: Kind, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Roster::new(kind, Basis::Ledger);
    let member = |id: &str, email: &str, role, status, account| Member {
        id: MemberId::from(id),
        email: Email::parse(email).unwrap(),
        external_id: None,
        status,
        role,
        account,
    };
    model.put_member(member("m0", OWNER, Role::Owner, Status::Confirmed, Account::Linked));
    model.put_member(member("m1", "m1@x.org", Role::User, Status::Invited, Account::None));
    world.add("m1@x.org", None, Played::Invited);
    prop_assert_eq!(view(&model), held(&world));
    for step in steps {
        by_hand(&world, &mut model, &step);
        if let Step::Import(request) = &step {
            if adopts_a_taken_id(&model, request) {
                continue;
            }
            let before = view(&model);
            let done = carry_out(&mut model, &Call::Import(request.clone()));
            let sent = world.client.import(&world.token, request, &ImportBody::of(request).unwrap()).await;
            prop_assert_eq!(view(&model), held(&world), "{:?} {:?} {:?} {:?}", before, request, done, sent);
            prop_assert_eq!(done.is_ok(), sent.is_ok(), "{:?} {:?} {:?} {:?}", before, request, done, sent);
        }
    }
    Ok(())
}

fn play(kind: Kind, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = match kind {
            Kind::Official => World::official(Patience::None).await,
            Kind::Vaultwarden => World::vaultwarden().await,
        };
        run(world, kind, steps).await
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: few().cases / 2, ..few() })]

    #[test]
    fn the_official_server_imports_by_the_rules(steps in prop::collection::vec(step(), 1..10)) {
        play(Kind::Official, steps)?;
    }

    #[test]
    fn vaultwarden_imports_by_the_rules(steps in prop::collection::vec(step(), 1..10)) {
        play(Kind::Vaultwarden, steps)?;
    }
}
