//! `onelogin` from PyPI, which speaks version 2 of the API.

use bwdc_sandbox::cloud::onelogin::{CLIENT_ID, CLIENT_SECRET, OneLogin};
use bwdc_sandbox::cloud::{Company, Status};
use serde_json::{Value, json};

use crate::{emails, memberships, python, small_pages, sorted, text};

#[tokio::test(flavor = "multi_thread")]
async fn onelogins_python_client_reads_the_same_people() {
    let cloud = OneLogin::from(&Company::sample()).start(small_pages()).await.unwrap();
    let told = python("read_onelogin.py", &[&cloud.url(), CLIENT_ID, CLIENT_SECRET]);
    let users = told["users"].as_array().unwrap();
    let with = |status: i64| {
        let found = users.iter().filter(|user| user["status"] == status);
        sorted(found.map(|user| text(user, "email")))
    };
    assert_eq!(with(1), emails(Status::Active));
    assert_eq!(with(2), emails(Status::Disabled));
    // Deleted people have vanished.
    assert_eq!(users.len(), with(1).len() + with(2).len());
    let members = |role: &Value| {
        let has_role = |user: &&Value| user["roles"].as_array().unwrap().contains(&role["id"]);
        sorted(users.iter().filter(has_role).map(|user| text(user, "name")))
    };
    let roles = told["roles"].as_array().unwrap();
    let groups = roles.iter().map(|role| (text(role, "name"), members(role)));
    assert_eq!(groups.collect::<std::collections::BTreeMap<_, _>>(), memberships());
    assert_eq!(told["counts"], json!([users.len(), roles.len()]));
}
