//! `@okta/okta-sdk-nodejs`.

use bwdc_sandbox::cloud::okta::{Okta, TOKEN};
use bwdc_sandbox::cloud::{Company, Status};
use serde_json::Value;

use crate::{emails, memberships, node, small_pages, sorted, text};

#[tokio::test(flavor = "multi_thread")]
async fn okta_sdk_nodejs_reads_the_same_people() {
    let cloud = Okta::from(&Company::sample()).start(small_pages()).await.unwrap();
    let told = node("okta.mjs", &[&cloud.url(), TOKEN]);
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
