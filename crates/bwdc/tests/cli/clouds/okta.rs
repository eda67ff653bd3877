//! Okta.

use std::collections::{HashMap, HashSet};

use bwdc_sandbox::Options;
use bwdc_sandbox::cloud::okta::{Okta, Person, TOKEN, Team};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company, Tls};
use bwdc_testkit::Certificates;
use bwdc_testkit::certificates::Pair;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Played, instance, mails, runtime, small_pages};
use crate::harness::Organization;

struct PlayedOkta;

impl Played for PlayedOkta {
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud {
        runtime.block_on(Okta::from(company).start(behaviour)).unwrap()
    }

    fn section(&self, cloud: &Cloud) -> (u8, &'static str, Value) {
        (3, "directoryOkta", json!({ "orgUrl": cloud.url(), "token": TOKEN }))
    }

    fn renews_tokens(&self) -> bool {
        false
    }
}

#[test]
fn one_fault_at_every_request() {
    super::one_fault_at_every_request(&PlayedOkta);
}

#[test]
fn faults_that_stay() {
    super::faults_that_stay(&PlayedOkta);
}

#[test]
fn the_limit_is_never_exceeded() {
    super::the_limit_is_never_exceeded(&PlayedOkta, 12);
}

fn user(name: &str, status: &'static str, department: &'static str) -> Person {
    Person { id: format!("00u{name}"), status, email: Some(format!("{name}@example.org")), department }
}

fn group(name: &str, members: &[&str]) -> Team {
    let members = members.iter().map(|member| format!("00u{member}")).collect();
    Team { id: format!("00g{name}"), name: name.to_owned(), members }
}

fn company() -> Okta {
    let mut users = vec![
        user("jane", "ACTIVE", "Sales"),
        user("bob", "LOCKED_OUT", "Sales"),
        user("idle", "SUSPENDED", "IT"),
        user("gone", "DEPROVISIONED", "Sales"),
    ];
    users.extend((0..8).map(|number| user(&format!("p{number}"), "ACTIVE", "IT")));
    let groups = vec![
        group("Sales", &["jane", "bob", "gone"]),
        group("IT", &["idle", "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"]),
        group("Empty", &[]),
    ];
    Okta { users, groups, vanishing: HashSet::new() }
}

fn start(runtime: &Runtime, company: Okta, behaviour: Behaviour) -> Cloud {
    runtime.block_on(company.start(behaviour)).unwrap()
}

#[test]
fn people_and_groups_page_after_page() {
    let runtime = runtime();
    let okta = start(&runtime, company(), small_pages(HashMap::new()));
    let organization = Organization::start(Options::default());
    let instance = instance(&PlayedOkta, &okta, &organization);
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(
        organization.emails(),
        mails(&["bob", "jane", "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"])
    );
    assert_eq!(organization.group("Sales"), mails(&["bob", "jane"]));
    assert_eq!(organization.group("IT").len(), 8);
    assert!(organization.group("Empty").is_empty());
    // 11 people and one who left in 4 + 1 pages, 3 groups in one, their members in 1 + 3 + 1.
    assert_eq!(okta.requests(), 11);
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));
    let doctor = instance.run(&["doctor"]).ok();
    assert!(doctor.out.contains("Okta groups: 3 can be read"), "{}", doctor.out);
}

#[test]
fn filters_of_both_kinds() {
    let runtime = runtime();
    let okta = start(&runtime, company(), small_pages(HashMap::new()));
    let organization = Organization::start(Options::default());
    let instance = instance(&PlayedOkta, &okta, &organization);
    instance
        .run(&["config", "sync.userFilter", "exclude:bob@example.org|profile.department eq \"Sales\""])
        .ok();
    instance.run(&["config", "sync.groupFilter", "include:sales, IT"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), mails(&["jane"]));
    // A member who is not imported by this filter is one of the directory all the same.
    let test = instance.run(&["test"]).ok().out;
    let test: serde_json::Value = serde_json::from_str(&test).unwrap();
    assert_eq!(test["groups"].as_array().unwrap().len(), 2);
    assert_eq!(test["deletedUsers"][0]["externalId"], "00ugone");

    instance.run(&["config", "sync.userFilter", "inculde:x"]).fails(1, &["did you mean `include`?"]);
    instance.run(&["config", "sync.userFilter", "|nonsense"]).ok();
    instance.run(&["sync"]).fails(1, &["HTTP 400, E0000031: Invalid search criteria.", "sync.userFilter"]);
}

#[test]
fn a_group_deleted_meanwhile_is_left_out() {
    let runtime = runtime();
    let mut company = company();
    company.vanishing.insert("00gSales".to_owned());
    let okta = start(&runtime, company, Behaviour::default());
    let organization = Organization::start(Options::default());
    let ran = instance(&PlayedOkta, &okta, &organization).run(&["sync"]).ok();
    assert!(ran.err.contains("the group was deleted while it was read"), "{}", ran.err);
    assert_eq!(organization.sandbox.groups().unwrap().len(), 2);
}

#[test]
fn wrong_tokens_and_addresses() {
    let runtime = runtime();
    let okta = start(&runtime, company(), Behaviour::default());
    let organization = Organization::start(Options::default());
    let instance = instance(&PlayedOkta, &okta, &organization);
    instance.change(|data| data["directoryOkta"]["token"] = "00very-secret".into());
    let ran = instance.run(&["sync"]).fails(1, &["HTTP 401, E0000011: Invalid token provided", "okta.token"]);
    assert!(!ran.err.contains("00very-secret"), "{}", ran.err);
    instance.change(|data| data["directoryOkta"]["orgUrl"] = "http://example.okta.com".into());
    instance.run(&["sync"]).fails(1, &["okta.orgUrl", "unprotected"]);
    instance.change(|data| data["directoryOkta"]["orgUrl"] = serde_json::Value::Null);
    instance.run(&["sync"]).fails(1, &["Directory configuration incomplete.", "okta.orgUrl"]);
}

#[test]
fn over_tls_with_http_2() {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let Pair { certificate, key } = certificates.server.clone();
    let behaviour = Behaviour { tls: Some(Tls { certificate, key }), ..Behaviour::default() };
    let okta = start(&runtime, company(), behaviour);
    let organization = Organization::start(Options::default());
    let mut instance = instance(&PlayedOkta, &okta, &organization);
    instance.run(&["sync"]).fails(1, &["Reading ", "certificate"]);
    assert_eq!(organization.imports(), 0);
    instance.set_env("BWDC_CA_FILE", &certificates.ca.display().to_string());
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 10);
    assert_eq!((okta.by_http2(), okta.requests()), (6, 6));
}
