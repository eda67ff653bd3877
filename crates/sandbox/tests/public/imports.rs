use bwdc_sandbox::{Edit, Feature, Seats, Status};
use serde_json::json;

use crate::client::{Client, LAST_OWNER, OWNER, refusal};

#[tokio::test]
async fn duplicate_member_ids_fail_every_import_before_any_change() {
    let client = Client::official().await;
    let a = client.add("a@x.org", Some("1"), Status::Confirmed);
    client.add("b@x.org", Some("2"), Status::Confirmed);
    assert_eq!(client.put(&format!("/members/{a}"), json!({ "type": 2, "externalId": "2" })).await.0, 200);
    let (status, answer) = client.import(json!([{ "externalId": "2", "deleted": true }]), json!([])).await;
    assert_eq!((status, &answer["message"]), (500, &json!("An unhandled server error has occurred.")));
    assert!(client.has("a@x.org") && client.has("b@x.org"));
    client.put(&format!("/members/{a}"), json!({ "type": 2, "externalId": "1" })).await;
    assert_eq!(client.import(json!([]), json!([])).await.0, 200);
}

#[tokio::test]
async fn duplicate_group_ids_fail_imports_with_groups_after_people() {
    let client = Client::official().await;
    for name in ["A", "B"] {
        client.post("/groups", json!({ "name": name, "externalId": "g" })).await;
    }
    let group = json!([{ "name": "C", "externalId": "c", "memberExternalIds": [] }]);
    assert_eq!(client.import(json!([{ "email": "n@x.org", "externalId": "n" }]), group).await.0, 500);
    assert!(client.has("n@x.org"));
    assert_eq!(client.import(json!([]), json!([])).await.0, 200);
}

#[tokio::test]
async fn adopting_an_id_in_use_fails_after_removals() {
    let client = Client::official().await;
    client.add("hand@x.org", None, Status::Confirmed);
    client.add("taken@x.org", Some("t"), Status::Confirmed);
    client.add("goes@x.org", Some("g"), Status::Confirmed);
    let members =
        json!([{ "email": "hand@x.org", "externalId": "t" }, { "externalId": "g", "deleted": true }]);
    assert_eq!(client.import(members, json!([])).await.0, 500);
    assert_eq!(client.member("hand@x.org").external_id, None);
    assert!(!client.has("goes@x.org"));
}

#[tokio::test]
async fn plan_and_seats_are_checked_in_the_servers_order() {
    let client = Client::official().await;
    client.add("goes@x.org", Some("g"), Status::Confirmed);
    client.sandbox.set_seats(Seats { number: Some(2), ..Seats::default() });
    let members = json!([
        { "email": "a@x.org", "externalId": "a" }, { "email": "b@x.org", "externalId": "b" },
        { "externalId": "g", "deleted": true },
    ]);
    let answer = client.import(members.clone(), json!([])).await;
    assert_eq!(answer, refusal("Cannot autoscale on self-hosted instance."));
    assert!(!client.has("goes@x.org") && !client.has("a@x.org"), "removals stand, nobody is invited");
    client.sandbox.set_seats(Seats { number: Some(3), ..Seats::default() });
    client.sandbox.take_away(Feature::Mail);
    assert_eq!(client.import(members.clone(), json!([])).await.1["message"], "Errors have occurred.");
    client.sandbox.give_back(Feature::Mail);
    client.sandbox.take_away(Feature::Groups);
    let group = json!([{ "name": "G", "externalId": "g", "memberExternalIds": [] }]);
    assert_eq!(client.import(members.clone(), group).await, refusal("Organization cannot use groups."));
    assert!(client.has("a@x.org"), "people were processed");
    client.sandbox.take_away(Feature::Directory);
    assert_eq!(
        client.import(members, json!([])).await,
        refusal("Organization cannot use directory syncing.")
    );
}

#[tokio::test]
async fn without_a_confirmed_owner_nobody_is_invited() {
    let client = Client::official().await;
    client.sandbox.edit(Edit::Revoke(OWNER.into())).unwrap();
    let members = json!([{ "email": "a@x.org", "externalId": "a" }]);
    assert_eq!(client.import(members, json!([])).await, refusal(LAST_OWNER));
    assert_eq!(client.post("/members", json!({ "email": "a@x.org", "type": 2 })).await, refusal(LAST_OWNER));
    assert_eq!(client.import(json!([]), json!([])).await.0, 200);
}

#[tokio::test]
async fn the_cloud_allows_two_hundred_reads_a_minute() {
    let client = Client::cloud().await;
    let mut answered = 0;
    let refused = loop {
        let answer = client.get("/groups").await;
        if answer.0 != 200 {
            break answer;
        }
        answered += 1;
    };
    assert_eq!((answered, refused.0), (200, 429));
    assert_eq!(refused.1["message"], "Slow down! Too many requests. Try again in 1m.");
}
