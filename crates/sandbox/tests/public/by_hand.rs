use bwdc_sandbox::{Edit, Error, Kind, NewMember, Status};
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, OWNER};

#[tokio::test]
async fn an_administrator_changes_members_by_hand() {
    for client in [Client::official().await, Client::vaultwarden().await] {
        let edit = |edit| client.sandbox.edit(edit).unwrap();
        let new = NewMember {
            email: "A@x.org".into(),
            external_id: None,
            status: Status::Invited,
            kind: Kind::User,
            has_master_password: false,
        };
        edit(Edit::Add(new));
        edit(Edit::Accept("a@x.org".into()));
        edit(Edit::Confirm("A@X.org".into()));
        edit(Edit::SetRole { member: "a@x.org".into(), kind: Kind::Owner });
        edit(Edit::SetExternalId { member: "a@x.org".into(), external_id: Some("a".into()) });
        // Revoked twice, as a script might.
        edit(Edit::Revoke("a@x.org".into()));
        edit(Edit::Revoke("a@x.org".into()));
        let member = client.member("a@x.org");
        assert_eq!(
            (member.status, member.kind, member.external_id.as_deref()),
            (Status::Revoked, Kind::Owner, Some("a"))
        );
        edit(Edit::Restore(member.id.clone()));
        edit(Edit::SetEmail { member: member.id.clone(), email: "B@x.org".into() });
        let member = client.member("b@x.org");
        assert_eq!((member.status, member.has_master_password), (Status::Confirmed, true));
        edit(Edit::Remove(OWNER.into()));
        assert_eq!(client.sandbox.members().unwrap().len(), 1);
        edit(Edit::SetExternalId { member: member.id, external_id: None });
        assert_eq!(client.member("b@x.org").external_id, None);
    }
}

#[tokio::test]
async fn an_administrator_changes_groups_by_hand() {
    let client = Client::vaultwarden().await;
    let edit = |edit| client.sandbox.edit(edit).unwrap();
    edit(Edit::CreateGroup { name: "One".into(), external_id: Some("g".into()) });
    edit(Edit::RenameGroup { group: "g".into(), name: "Two".into() });
    edit(Edit::Join { group: "Two".into(), member: OWNER.into() });
    assert_eq!(client.group("Two").members, [OWNER]);
    edit(Edit::SetGroupExternalId { group: "Two".into(), external_id: None });
    edit(Edit::Leave { group: "Two".into(), member: OWNER.into() });
    let group = client.group("Two");
    assert!(group.members.is_empty() && group.external_id.is_none());
    assert!(
        matches!(client.sandbox.edit(Edit::DeleteGroup("g".into())), Err(Error::Unknown(name)) if name == "g")
    );
    edit(Edit::DeleteGroup(group.id));
    assert!(client.sandbox.groups().unwrap().is_empty());
}

#[tokio::test]
async fn edits_and_faults_come_by_http_as_well() {
    let client = Client::official().await;
    let post = |path: &'static str, body| {
        let client = &client;
        async move { client.ask(Method::POST, path, Some(&body)).await.0 }
    };
    for edit in [
        json!({ "createGroup": { "name": "One", "externalId": "g" } }),
        json!({ "join": { "group": "One", "member": OWNER } }),
        json!({ "setExternalId": { "member": OWNER, "externalId": "o" } }),
        json!({ "setRole": { "member": OWNER, "kind": "admin" } }),
    ] {
        assert_eq!(post("/sandbox/edit", edit.clone()).await, 204, "{edit}");
    }
    assert_eq!(post("/sandbox/edit", json!({ "remove": "nobody@x.org" })).await, 404);
    assert_eq!(
        (client.group("One").members, client.member(OWNER).kind),
        (vec![OWNER.to_owned()], Kind::Admin)
    );
    assert_eq!(post("/sandbox/faults", json!({ "at": 1, "fault": { "refused": 503 } })).await, 204);
    assert_eq!(client.get("/members").await.0, 503);
    let requests = client.ask(Method::GET, "/sandbox/requests", None).await.1;
    assert_eq!(requests, json!(["POST /identity/connect/token", "GET /api/public/members"]));
}
