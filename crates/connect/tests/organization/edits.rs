use bwdc_connect::ErrorKind;
use bwdc_connect::bitwarden::{EditEffect, EditOutcome, Invitation};
use bwdc_core::entry::{Email, ExternalId};
use bwdc_core::organization::roster::{MemberId, Role};
use bwdc_sandbox::{Edit, Fault, Kind as Played, Member, Status};

use crate::world::{Patience, World};

/// One change of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    Revoke,
    Restore,
    DeleteMember,
    PutMember,
    Reinvite,
    Invite,
    PutGroup,
    PutGroupMembers,
    CreateGroup,
    DeleteGroup,
}

const ALL: [Kinds; 10] = [
    Kinds::Revoke,
    Kinds::Restore,
    Kinds::DeleteMember,
    Kinds::PutMember,
    Kinds::Reinvite,
    Kinds::Invite,
    Kinds::PutGroup,
    Kinds::PutGroupMembers,
    Kinds::CreateGroup,
    Kinds::DeleteGroup,
];

impl Kinds {
    /// Reads first, and writes then.
    fn reads(self) -> usize {
        usize::from(matches!(self, Self::PutMember | Self::PutGroup))
    }
}

async fn world(patience: Patience) -> World {
    let world = World::official(patience).await;
    world.add("a@x.org", Some("a"), Status::Confirmed);
    world.add("r@x.org", Some("r"), Status::Confirmed);
    world.add("i@x.org", Some("i"), Status::Invited);
    world.edit(Edit::Revoke("r@x.org".into()));
    world.add_group("G", &["a@x.org"]);
    world
}

fn id(text: &str) -> ExternalId {
    ExternalId::from(text)
}

fn newcomer(world: &World) -> Invitation {
    let email = Email::parse("new@x.org").unwrap();
    Invitation { email, role: Role::Admin, external_id: Some(id("n")), groups: vec![world.group("G")] }
}

/// Makes the change.
async fn make(world: &World, kind: Kinds) -> EditOutcome<()> {
    let (client, token) = (&world.client, &world.token);
    let (a, r, i, g) =
        (world.member("a@x.org"), world.member("r@x.org"), world.member("i@x.org"), world.group("G"));
    match kind {
        Kinds::Revoke => nothing(client.revoke(token, &a).await),
        Kinds::Restore => nothing(client.restore(token, &r).await),
        Kinds::DeleteMember => nothing(client.delete_member(token, &a).await),
        Kinds::PutMember => client.put_member(token, &a, Some(&id("new"))).await,
        Kinds::Reinvite => client.reinvite(token, &i).await,
        Kinds::Invite => nothing(client.invite(token, &newcomer(world)).await),
        Kinds::PutGroup => client.put_group(token, &g, "New", Some(&id("new"))).await,
        Kinds::PutGroupMembers => client.put_group_members(token, &g, &[r, i]).await,
        Kinds::CreateGroup => nothing(client.create_group(token, "New", Some(&id("new"))).await),
        Kinds::DeleteGroup => nothing(client.delete_group(token, &g).await),
    }
}

fn nothing<T>(outcome: EditOutcome<T>) -> EditOutcome<()> {
    match outcome {
        EditOutcome::Done(_) => EditOutcome::Done(()),
        EditOutcome::NotDone(error) => EditOutcome::NotDone(error),
        EditOutcome::Unclear(error) => EditOutcome::Unclear(error),
    }
}

/// Visible contents of the organization. Ids differ in every world, so they are left out.
fn seen(world: &World) -> String {
    let member = |member: Member| {
        format!(
            "{} {:?} {:?} {:?} {:?}",
            member.email, member.external_id, member.status, member.former, member.kind
        )
    };
    let members: Vec<String> = world.sandbox.members().unwrap().into_iter().map(member).collect();
    let groups: Vec<String> = world
        .sandbox
        .groups()
        .unwrap()
        .into_iter()
        .map(|group| format!("{} {:?} {:?}", group.name, group.external_id, group.members))
        .collect();
    let again =
        world.sandbox.events().unwrap().into_iter().filter(|event| event.what == "invited again").count();
    format!("{members:?} {groups:?} {again}")
}

/// Result without any fault.
async fn before_and_after(kind: Kinds) -> (String, String) {
    let world = world(Patience::None).await;
    let before = seen(&world);
    let requests = world.sandbox.requests().len();
    assert_eq!(make(&world, kind).await, EditOutcome::Done(()), "{kind:?}");
    assert_eq!(world.sandbox.requests().len() - requests, 1 + kind.reads());
    (before, seen(&world))
}

#[tokio::test]
async fn each_change_is_made() {
    for kind in ALL {
        let (before, after) = before_and_after(kind).await;
        assert_ne!(before, after, "{kind:?}");
    }
    let world = world(Patience::None).await;
    let created = world.client.create_group(&world.token, "Twin", None).await;
    assert_eq!(created, EditOutcome::Done(world.group("Twin")));
    let invited = world.client.invite(&world.token, &newcomer(&world)).await;
    assert_eq!(invited, EditOutcome::Done(world.member("new@x.org")));
    let member =
        world.sandbox.members().unwrap().into_iter().find(|member| member.email == "new@x.org").unwrap();
    assert_eq!(
        (member.kind, member.status, member.external_id.as_deref()),
        (Played::Admin, Status::Invited, Some("n"))
    );
    assert_eq!(world.sandbox.groups().unwrap()[0].members, ["a@x.org", "new@x.org"]);
}

/// Expected outcome, by the fault of the request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Done,
    NotDone,
    Unclear,
}

#[tokio::test]
async fn each_change_reports_its_outcome_whatever_happens_to_its_request() {
    let table = [
        (Fault::Lost, Expected::Unclear),
        (Fault::AnswerLost, Expected::Unclear),
        (Fault::AnswerCut, Expected::Unclear),
        (Fault::GatewayTimeout, Expected::Unclear),
        (Fault::DoneLater(300), Expected::Unclear),
        (Fault::AnsweredLater(20), Expected::Done),
        (Fault::Refused(408), Expected::Unclear),
        (Fault::Refused(500), Expected::Unclear),
        (Fault::Refused(502), Expected::Unclear),
        (Fault::Refused(524), Expected::Unclear),
        (Fault::Refused(400), Expected::NotDone),
        (Fault::Refused(403), Expected::NotDone),
        (Fault::Refused(404), Expected::NotDone),
        (Fault::Refused(413), Expected::NotDone),
        (Fault::Refused(429), Expected::NotDone),
        (Fault::Refused(503), Expected::NotDone),
        (Fault::Refused(302), Expected::NotDone),
        (Fault::Refused(200), Expected::Unclear),
        (Fault::ExpiredToken, Expected::NotDone),
    ];
    for kind in ALL {
        let (before, after) = before_and_after(kind).await;
        for (fault, expected) in table {
            // An empty answer has nothing that could be cut off: it is complete, and means success.
            let is_empty =
                !matches!(kind, Kinds::PutMember | Kinds::PutGroup | Kinds::Invite | Kinds::CreateGroup);
            let world = world(Patience::None).await;
            world.inject(1 + kind.reads(), fault);
            let outcome = make(&world, kind).await;
            let ended = match &outcome {
                EditOutcome::Done(()) => Expected::Done,
                EditOutcome::NotDone(_) => Expected::NotDone,
                EditOutcome::Unclear(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unclear);
                    assert!(error.next_step().unwrap().contains("It may have been done"), "{error}");
                    Expected::Unclear
                }
            };
            if !(is_empty && fault == Fault::AnswerCut) {
                assert_eq!(ended, expected, "{kind:?} {fault:?} {outcome:?}");
            }
            let now = seen(&world);
            match ended {
                Expected::Done => assert_eq!(now, after, "{kind:?} {fault:?}"),
                Expected::NotDone => assert_eq!(now, before, "{kind:?} {fault:?}"),
                Expected::Unclear => assert!(now == before || now == after, "{kind:?} {fault:?}: {now}"),
            }
            if matches!(fault, Fault::DoneLater(_)) {
                assert_eq!(now, before);
            }
        }
    }
}

#[tokio::test]
async fn a_failed_read_makes_no_change() {
    for kind in ALL.into_iter().filter(|kind| kind.reads() == 1) {
        for fault in [
            Fault::Lost,
            Fault::AnswerLost,
            Fault::AnswerCut,
            Fault::GatewayTimeout,
            Fault::Refused(500),
            Fault::Refused(200),
            Fault::ExpiredToken,
        ] {
            let world = world(Patience::None).await;
            let before = seen(&world);
            world.inject(1, fault);
            let outcome = make(&world, kind).await;
            assert!(matches!(outcome, EditOutcome::NotDone(_)), "{kind:?} {fault:?} {outcome:?}");
            assert_eq!(seen(&world), before);
        }
    }
}

/// A server without capacity has done nothing: it is asked again. Otherwise the change would be made twice.
#[tokio::test]
async fn only_requests_that_were_not_begun_are_sent_again() {
    for kind in ALL {
        let (_, after) = before_and_after(kind).await;
        let world = world(Patience::Some).await;
        for (fault, is_repeated) in
            [(Fault::Refused(500), false), (Fault::Lost, false), (Fault::Refused(503), true)]
        {
            let before = world.sandbox.requests().len();
            world.inject(1 + kind.reads(), fault);
            let outcome = make(&world, kind).await;
            let sent = world.sandbox.requests().len() - before - kind.reads();
            assert_eq!(sent, 1 + usize::from(is_repeated), "{kind:?} {fault:?} {outcome:?}");
            assert_eq!(matches!(outcome, EditOutcome::Done(())), is_repeated);
        }
        assert_eq!(seen(&world), after, "{kind:?}");
    }
}

#[tokio::test]
async fn a_change_made_before_is_reported() {
    let world = world(Patience::None).await;
    let (client, token) = (&world.client, &world.token);
    let (a, r, g) = (world.member("a@x.org"), world.member("r@x.org"), world.group("G"));
    let odd_role = Invitation { role: Role::Other, ..newcomer(&world) };
    assert_eq!(client.revoke(token, &a).await, EditOutcome::Done(EditEffect::Made));
    assert_eq!(client.revoke(token, &a).await, EditOutcome::Done(EditEffect::WasSo));
    assert_eq!(client.restore(token, &r).await, EditOutcome::Done(EditEffect::Made));
    assert_eq!(client.restore(token, &r).await, EditOutcome::Done(EditEffect::WasSo));
    assert_eq!(client.delete_member(token, &a).await, EditOutcome::Done(EditEffect::Made));
    assert_eq!(client.delete_member(token, &a).await, EditOutcome::Done(EditEffect::WasSo));
    assert_eq!(client.delete_group(token, &g).await, EditOutcome::Done(EditEffect::Made));
    assert_eq!(client.delete_group(token, &g).await, EditOutcome::Done(EditEffect::WasSo));
    let refused = [
        nothing(client.revoke(token, &a).await),
        nothing(client.revoke(token, &world.member("owner@sandbox.example")).await),
        nothing(client.delete_member(token, &world.member("owner@sandbox.example")).await),
        client.reinvite(token, &r).await,
        client.put_member(token, &a, None).await,
        client.put_group(token, &g, "x", None).await,
        client.put_group_members(token, &g, &[]).await,
        nothing(client.invite(token, &odd_role).await),
    ];
    for outcome in refused {
        assert!(matches!(outcome, EditOutcome::NotDone(_)), "{outcome:?}");
    }
    // Another server's answer to an unknown path does not mean that the member is gone.
    let vaultwarden = World::vaultwarden().await;
    let member = vaultwarden.member("owner@sandbox.example");
    let outcome = vaultwarden.client.delete_member(&vaultwarden.token, &member).await;
    assert!(matches!(outcome, EditOutcome::NotDone(_)), "{outcome:?}");
    // An id is a name, and cannot lead to another path.
    let outcome = client.delete_member(token, &MemberId::from("../groups/x?y#z")).await;
    assert!(
        world
            .sandbox
            .requests()
            .last()
            .unwrap()
            .starts_with("DELETE /api/public/members/..%2Fgroups%2Fx%3Fy%23z"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_new_external_id_leaves_role_access_and_groups_as_they_were() {
    let world = world(Patience::None).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let access = serde_json::json!([{ "id": "6d7b1b5c-0000-4000-8000-000000000001", "readOnly": true, "hidePasswords": true, "manage": false }]);
    let (a, g) = (world.member("a@x.org"), world.group("G"));
    for (path, body) in [
        (
            format!("members/{a}"),
            serde_json::json!({ "type": 4, "externalId": "a", "collections": access, "permissions": { "manageUsers": true } }),
        ),
        (format!("groups/{g}"), serde_json::json!({ "name": "G", "externalId": "g", "collections": access })),
    ] {
        let url = format!("{}/api/public/{path}", world.sandbox.url());
        let sent = http
            .put(url)
            .bearer_auth(world.token.reveal())
            .header("content-type", "application/json")
            .body(body.to_string());
        assert_eq!(sent.send().await.unwrap().status(), 200);
    }
    let member = |world: &World| {
        let members = world.sandbox.members().unwrap();
        members.into_iter().find(|member| member.email == "a@x.org").unwrap()
    };
    let (before, group) = (member(&world), world.sandbox.groups().unwrap().remove(0));
    assert!(before.permissions.is_some() && before.collections.len() == 1);
    assert_eq!(world.client.put_member(&world.token, &a, Some(&id("b"))).await, EditOutcome::Done(()));
    assert_eq!(member(&world), Member { external_id: Some("b".into()), ..before.clone() });
    assert_eq!(world.client.put_member(&world.token, &a, None).await, EditOutcome::Done(()));
    assert_eq!(member(&world), Member { external_id: None, ..before });
    assert_eq!(world.client.put_group(&world.token, &g, "H", None).await, EditOutcome::Done(()));
    let now = world.sandbox.groups().unwrap().remove(0);
    assert_eq!(now, bwdc_sandbox::Group { name: "H".into(), external_id: None, ..group });
}

#[tokio::test]
async fn a_token_is_not_repeated_in_an_error() {
    let world = world(Patience::None).await;
    world.sandbox.expire_tokens();
    let EditOutcome::NotDone(error) = world.client.revoke(&world.token, &world.member("a@x.org")).await
    else {
        panic!("done without a token")
    };
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(!format!("{error} {error:?}").contains(world.token.reveal()));
}
