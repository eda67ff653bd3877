use bwdc_sandbox::{Feature, Status};
use serde_json::{Value, json};

use crate::client::{Client, refusal};

const UNKNOWN: &str = "6d7b1b5c-0000-4000-8000-000000000001";

#[tokio::test]
async fn a_group_is_made_changed_filled_and_deleted() {
    let client = Client::official().await;
    let (a, b) =
        (client.add("a@x.org", None, Status::Confirmed), client.add("b@x.org", None, Status::Revoked));
    let access = json!([{ "id": UNKNOWN, "readOnly": false, "hidePasswords": true, "manage": false }]);
    let (status, group) =
        client.post("/groups", json!({ "name": "One", "externalId": "g", "collections": access })).await;
    let id = group["id"].as_str().unwrap().to_owned();
    let expected =
        json!({ "object": "group", "id": id, "name": "One", "externalId": "g", "collections": access });
    assert_eq!((status, &group), (200, &expected));
    let path = format!("/groups/{id}");
    assert_eq!(client.get(&path).await, (200, expected.clone()));
    assert_eq!(client.get("/groups").await, (200, json!({ "object": "list", "data": [expected] })));
    let filled = client.put(&format!("{path}/member-ids"), json!({ "memberIds": [a, b, UNKNOWN] })).await;
    assert_eq!(filled, (200, Value::Null));
    // Omitted properties are reset; members stay.
    let (status, group) = client.put(&path, json!({ "name": "Two" })).await;
    assert_eq!(
        (status, &group["name"], &group["externalId"], &group["collections"]),
        (200, &json!("Two"), &Value::Null, &json!([]))
    );
    let mut ids = [a.clone(), b];
    ids.sort();
    assert_eq!(client.get(&format!("{path}/member-ids")).await, (200, json!(ids)));
    client.put(&format!("{path}/member-ids"), json!({ "memberIds": [a] })).await;
    assert_eq!(client.group("Two").members, ["a@x.org"]);
    assert_eq!(client.delete(&format!("/members/{a}")).await.0, 200);
    assert!(client.group("Two").members.is_empty());
    assert_eq!(client.delete(&path).await, (200, Value::Null));
    assert_eq!(client.get(&path).await, (404, Value::Null));
}

#[tokio::test]
async fn names_and_plans_are_checked() {
    let client = Client::official().await;
    for (body, path) in [
        (json!({ "externalId": "g" }), "Name"),
        (json!({ "name": " " }), "Name"),
        (json!({ "name": "n".repeat(101) }), "Name"),
        (json!({ "name": "n", "externalId": "x".repeat(301) }), "ExternalId"),
    ] {
        let (status, answer) = client.post("/groups", body).await;
        assert_eq!(
            (status, answer["errors"].as_object().unwrap().keys().next().unwrap().as_str()),
            (400, path)
        );
    }
    // Two groups may have the same name.
    for _ in 0..2 {
        assert_eq!(client.post("/groups", json!({ "name": "Twin" })).await.0, 200);
    }
    client.sandbox.take_away(Feature::Groups);
    assert_eq!(
        client.post("/groups", json!({ "name": "n" })).await,
        refusal("This organization cannot use groups.")
    );
    assert_eq!(client.sandbox.groups().unwrap().len(), 2);
}
