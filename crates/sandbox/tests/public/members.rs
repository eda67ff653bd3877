use bwdc_sandbox::{Edit, Feature, Kind, Payer, Seats, Status};
use serde_json::{Value, json};

use crate::client::{Client, LAST_OWNER, OWNER, refusal};

const COLLECTION: &str = "6d7b1b5c-0000-4000-8000-000000000001";

#[tokio::test]
async fn all_members_are_listed_with_every_property() {
    let client = Client::official().await;
    for (email, status) in [
        ("revoked@x.org", Status::Revoked),
        ("invited@x.org", Status::Invited),
        ("accepted@x.org", Status::Accepted),
        ("staged@x.org", Status::Staged),
    ] {
        client.add(email, Some(email), status);
    }
    let (status, list) = client.get("/members").await;
    assert_eq!((status, &list["object"]), (200, &json!("list")));
    let members = list["data"].as_array().unwrap();
    let shown: Vec<_> = members
        .iter()
        .map(|member| {
            (
                member["email"].as_str().unwrap(),
                member["status"].as_i64().unwrap(),
                member["userId"].is_null(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("accepted@x.org", 1, false),
            ("invited@x.org", 0, true),
            (OWNER, 2, false),
            ("revoked@x.org", -1, false),
            ("staged@x.org", 3, true),
        ]
    );
    let keys: Vec<&str> = members[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "object",
            "id",
            "userId",
            "name",
            "email",
            "externalId",
            "status",
            "type",
            "twoFactorEnabled",
            "resetPasswordEnrolled",
            "collections",
            "permissions",
            "ssoExternalId"
        ]
    );
    let id = members[0]["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/members/{id}")).await.1["email"], "accepted@x.org");
    assert_eq!(client.get(&format!("/members/{id}/group-ids")).await, (200, json!([])));
}

#[tokio::test]
async fn an_unknown_id_is_answered_without_a_body() {
    let client = Client::official().await;
    let (member, group) = (json!({ "type": 2 }), json!({ "name": "G" }));
    let nothing = (404, Value::Null);
    for (kind, body) in [("members", member), ("groups", group)] {
        let path = format!("/{kind}/6d7b1b5c-0000-4000-8000-000000000001");
        assert_eq!(client.get(&path).await, nothing);
        assert_eq!(client.put(&path, body).await, nothing);
        assert_eq!(client.delete(&path).await, nothing);
    }
    for path in ["reinvite", "revoke", "restore"] {
        assert_eq!(client.post(&format!("/members/{COLLECTION}/{path}"), json!({})).await, nothing);
    }
    assert_eq!(client.get(&format!("/members/{COLLECTION}/group-ids")).await, nothing);
    assert_eq!(client.get(&format!("/groups/{COLLECTION}/member-ids")).await, nothing);
}

#[tokio::test]
async fn one_is_invited_with_role_groups_and_access() {
    let client = Client::official().await;
    let group = client.post("/groups", json!({ "name": "G" })).await.1["id"].clone();
    let access = json!([{ "id": COLLECTION, "readOnly": true, "hidePasswords": false, "manage": false }]);
    let body = json!({
        "email": "New@X.org", "type": 4, "externalId": "n", "groups": [group, COLLECTION], "collections": access,
        "permissions": { "manageGroups": true },
    });
    let (status, member) = client.post("/members", body.clone()).await;
    assert_eq!(
        (
            status,
            &member["email"],
            &member["status"],
            &member["type"],
            &member["externalId"],
            &member["collections"]
        ),
        (200, &json!("new@x.org"), &json!(0), &json!(4), &json!("n"), &access)
    );
    let id = member["id"].as_str().unwrap();
    assert_eq!(
        client.get(&format!("/members/{id}/group-ids")).await.1,
        json!([group]),
        "unknown groups are dropped"
    );
    assert_eq!(client.post("/members", body).await, refusal("This user has already been invited."));
    // The list of all members has no collections: read a member before changing it.
    let list = client.get("/members").await.1;
    let listed = list["data"].as_array().unwrap().iter().find(|listed| listed["id"] == member["id"]).unwrap();
    assert_eq!(
        (&listed["collections"], &listed["permissions"]),
        (&Value::Null, &json!({ "manageGroups": true }))
    );
}

#[tokio::test]
async fn bodies_are_validated() {
    let client = Client::official().await;
    let cases = [
        (json!({}), vec!["Email", "Type"]),
        (json!({ "email": "a@b", "type": 3 }), vec!["Email", "Type"]),
        (json!({ "email": "a b@x.org", "type": 2 }), vec!["Email"]),
        (json!({ "email": "a@x.org", "type": 2, "externalId": "x".repeat(301) }), vec!["ExternalId"]),
        (json!({ "email": "a@x.org", "type": 2, "externalId": 7 }), vec!["$.externalId"]),
        (json!({ "email": "a@x.org", "type": "2" }), vec!["$.type"]),
        (json!({ "email": "a@x.org", "type": 2, "groups": ["x"] }), vec!["$.groups"]),
        (json!([]), vec!["$"]),
    ];
    for (body, paths) in cases {
        let (status, answer) = client.post("/members", body.clone()).await;
        assert_eq!(
            (status, &answer["message"]),
            (400, &json!("The request's model state is invalid.")),
            "{body}"
        );
        assert_eq!(answer["errors"].as_object().unwrap().keys().collect::<Vec<_>>(), paths, "{body}");
    }
    let odd = json!({ "email": "a@x.org", "type": 2, "collections": [{ "id": COLLECTION, "readOnly": true, "manage": true }] });
    assert_eq!(client.post("/members", odd).await.0, 400);
}

#[tokio::test]
async fn a_put_resets_omitted_properties_except_groups_and_permissions() {
    let client = Client::official().await;
    let group = client.post("/groups", json!({ "name": "G" })).await.1["id"].clone();
    let access = json!([{ "id": COLLECTION, "readOnly": true, "hidePasswords": false, "manage": false }]);
    let full = json!({
        "email": "a@x.org", "type": 4, "externalId": "a", "groups": [group], "collections": access,
        "permissions": { "manageGroups": true },
    });
    let id = client.post("/members", full).await.1["id"].as_str().unwrap().to_owned();
    let path = format!("/members/{id}");
    let (status, member) = client.put(&path, json!({ "type": 4 })).await;
    assert_eq!(
        (status, &member["externalId"], &member["collections"], &member["permissions"]),
        (200, &Value::Null, &json!([]), &json!({ "manageGroups": true }))
    );
    assert_eq!(client.get(&format!("{path}/group-ids")).await.1, json!([group]));
    let (_, member) = client
        .put(&path, json!({ "TYPE": 2, "externalId": "b", "groups": [], "email": "other@x.org" }))
        .await;
    assert_eq!(
        (&member["externalId"], &member["permissions"], &member["email"]),
        (&json!("b"), &Value::Null, &json!("a@x.org"))
    );
    assert_eq!(client.get(&format!("{path}/group-ids")).await.1, json!([]));
    let unknown = client.put(&path, json!({ "type": 2, "groups": [COLLECTION] })).await;
    assert_eq!((unknown.0, &unknown.1["message"]), (404, &json!("Resource not found.")));
    assert_eq!(
        client.put(&format!("{path}/group-ids"), json!({ "groupIds": [group, COLLECTION] })).await,
        (200, Value::Null)
    );
    assert_eq!(client.get(&format!("{path}/group-ids")).await.1, json!([group]));
}

#[tokio::test]
async fn revoked_members_are_restored_unchanged() {
    let client = Client::official().await;
    for former in [Status::Invited, Status::Accepted, Status::Confirmed, Status::Staged] {
        let email = format!("{former:?}@x.org").to_lowercase();
        let id = client.add(&email, Some(&email), former);
        let (revoke, restore) = (format!("/members/{id}/revoke"), format!("/members/{id}/restore"));
        assert_eq!(client.post(&restore, json!({})).await, refusal("Already active."));
        assert_eq!(client.post(&revoke, json!({})).await, (200, Value::Null));
        assert_eq!(client.member(&email).status, Status::Revoked);
        assert_eq!(client.post(&revoke, json!({})).await, refusal("Already revoked."));
        assert_eq!(client.post(&restore, json!({})).await, (200, Value::Null));
        assert_eq!(client.member(&email).status, former);
    }
}

#[tokio::test]
async fn the_last_confirmed_owner_stays() {
    let client = Client::official().await;
    let path = format!("/members/{}", client.id(OWNER));
    client.add_as("second@x.org", None, Status::Accepted, Kind::Owner);
    assert_eq!(client.delete(&path).await, refusal(LAST_OWNER));
    assert_eq!(client.post(&format!("{path}/revoke"), json!({})).await, refusal(LAST_OWNER));
    assert_eq!(client.put(&path, json!({ "type": 2 })).await, refusal(LAST_OWNER));
    client.sandbox.edit(Edit::Confirm("second@x.org".into())).unwrap();
    assert_eq!(client.delete(&path).await, (200, Value::Null));
    assert!(!client.has(OWNER));
}

#[tokio::test]
async fn only_invited_members_are_invited_again() {
    let client = Client::official().await;
    let invited = client.add("invited@x.org", None, Status::Invited);
    let accepted = client.add("accepted@x.org", None, Status::Accepted);
    let path = |id: &str| format!("/members/{id}/reinvite");
    assert_eq!(client.post(&path(&invited), json!({})).await, (200, Value::Null));
    assert_eq!(client.post(&path(&accepted), json!({})).await, refusal("User invalid."));
    assert_eq!(client.sandbox.events().unwrap().last().unwrap().what, "invited again");
}

#[tokio::test]
async fn seats_are_taken_by_invited_accepted_and_confirmed_members() {
    let client = Client::official().await;
    client.add("staged@x.org", None, Status::Staged);
    let revoked = client.add("revoked@x.org", None, Status::Revoked);
    client.sandbox.set_seats(Seats { number: Some(2), ..Seats::default() });
    assert_eq!(client.post("/members", json!({ "email": "a@x.org", "type": 2 })).await.0, 200);
    let full = refusal("Cannot autoscale on self-hosted instance.");
    assert_eq!(client.post("/members", json!({ "email": "b@x.org", "type": 2 })).await, full);
    assert_eq!(client.post(&format!("/members/{revoked}/restore"), json!({})).await, full);
    assert_eq!(client.delete(&format!("/members/{}", client.id("a@x.org"))).await.0, 200);
    assert_eq!(client.post(&format!("/members/{revoked}/restore"), json!({})).await.0, 200);
    let (status, answer) = client.get("/organization/subscription").await;
    assert_eq!((status, &answer["message"]), (400, &json!("Only allowed when not self hosted.")));
}

#[tokio::test]
async fn the_cloud_buys_seats_up_to_its_limit() {
    let client = Client::cloud().await;
    client.sandbox.set_seats(Seats { number: Some(1), most: Some(2), payer: Payer::Itself });
    let invite = |email: &'static str| client.post("/members", json!({ "email": email, "type": 2 }));
    assert_eq!(invite("a@x.org").await.0, 200);
    let subscription = client.get("/organization/subscription").await;
    assert_eq!(
        subscription,
        (
            200,
            json!({
                "passwordManager": { "seats": 2, "maxAutoScaleSeats": 2, "storage": null },
                "secretsManager": { "seats": null, "maxAutoScaleSeats": null, "serviceAccounts": null, "maxAutoScaleServiceAccounts": null },
            })
        )
    );
    assert_eq!(invite("b@x.org").await, refusal("Seat limit has been reached."));
    client.sandbox.set_seats(Seats { number: Some(2), most: None, payer: Payer::Reseller });
    assert_eq!(
        invite("b@x.org").await,
        refusal("Seat limit has been reached. Contact your provider to purchase additional seats.")
    );
}

#[tokio::test]
async fn without_mail_nobody_is_invited_and_seats_are_put_back() {
    let client = Client::cloud().await;
    client.sandbox.set_seats(Seats { number: Some(1), ..Seats::default() });
    client.sandbox.take_away(Feature::Mail);
    let (status, answer) = client.post("/members", json!({ "email": "a@x.org", "type": 2 })).await;
    assert_eq!((status, &answer["message"]), (400, &json!("Errors have occurred.")));
    assert!(!client.has("a@x.org"));
    assert_eq!(client.sandbox.seats().number, Some(1));
    client.sandbox.give_back(Feature::Mail);
    assert_eq!(client.post("/members", json!({ "email": "a@x.org", "type": 2 })).await.0, 200);
}

#[tokio::test]
async fn vaultwarden_has_only_the_import() {
    let client = Client::vaultwarden().await;
    let id = client.id(OWNER);
    let answers = [
        client.get("/members").await,
        client.get(&format!("/members/{id}")).await,
        client.get("/groups").await,
        client.get("/organization/subscription").await,
        client.get("/organization/import").await,
        client.post("/members", json!({})).await,
        client.put(&format!("/members/{id}"), json!({ "type": 0 })).await,
        client.delete(&format!("/members/{id}")).await,
        client.post(&format!("/members/{id}/revoke"), json!({})).await,
    ];
    for (status, answer) in answers {
        assert_eq!((status, &answer["error"]["code"]), (404, &json!(404)), "{answer}");
    }
    assert_eq!(client.import(json!([]), json!([])).await.0, 200);
}
