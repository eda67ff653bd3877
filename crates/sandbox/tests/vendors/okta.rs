//! `@okta/okta-sdk-nodejs`, and Okta's description of its API in `@okta/openapi`.

use bwdc_sandbox::cloud::okta::{CLIENT_ID, Okta, PRIVATE_KEY_JWK, TOKEN};
use bwdc_sandbox::cloud::{Behaviour, Company, Status};
use serde_json::Value;

use crate::{emails, memberships, node, small_pages, sorted, text};

#[tokio::test(flavor = "multi_thread")]
async fn okta_sdk_nodejs_reads_the_same_people() {
    reads_the_same_people(&[TOKEN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_sdk_nodejs_reads_the_same_people_as_an_application() {
    reads_the_same_people(&[CLIENT_ID, PRIVATE_KEY_JWK]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_conform_to_oktas_description() {
    let okta = Okta::from(&Company::sample());
    let group = okta.groups.iter().find(|group| group.name == "Sales").unwrap().id.clone();
    let cloud = okta.start(Behaviour::default()).await.unwrap();
    let told = node("okta_openapi.mjs", &[&cloud.url(), TOKEN, &group]);
    let living = Company::sample().users.iter().filter(|user| user.status != Status::Deleted).count();
    let expected = serde_json::json!({
        "/api/v1/users": living,
        "/api/v1/groups": Company::sample().groups.len(),
        "/api/v1/groups/{groupId}/users": 3,
    });
    assert_eq!(told, expected);
}

async fn reads_the_same_people(credentials: &[&str]) {
    let cloud = Okta::from(&Company::sample()).start(small_pages()).await.unwrap();
    let url = cloud.url();
    let arguments: Vec<&str> = [url.as_str()].into_iter().chain(credentials.iter().copied()).collect();
    let told = node("okta.mjs", &arguments);
    let users = told["users"].as_array().unwrap();
    let with = |status: &str| {
        let found = users.iter().filter(|user| user["status"] == status);
        sorted(found.map(|user| text(user, "email")))
    };
    assert_eq!(with("ACTIVE"), emails(Status::Active));
    assert_eq!(with("SUSPENDED"), emails(Status::Disabled));
    assert_eq!(with("DEPROVISIONED"), emails(Status::Deleted));
    let member = |id: &Value| id.as_str().unwrap().trim_start_matches("00u").to_owned();
    let groups =
        told["groups"].as_array().unwrap().iter().map(|group| {
            (text(group, "name"), sorted(group["members"].as_array().unwrap().iter().map(member)))
        });
    assert_eq!(groups.collect::<std::collections::BTreeMap<_, _>>(), memberships());
}
