//! Okta.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use bwdc_sandbox::Options;
use bwdc_sandbox::cloud::okta::{
    Application, CLIENT_ID, Dpop, Okta, PRIVATE_KEY_JWK, PRIVATE_KEY_PEM, Person, Role, TOKEN, Team,
};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company, Tls};
use bwdc_testkit::Certificates;
use bwdc_testkit::certificates::Pair;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Played, instance, mails, runtime, small_pages};
use crate::harness::{Instance, Organization};

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

/// Okta, read by an application.
struct PlayedForApplication {
    folder: tempfile::TempDir,
}

impl PlayedForApplication {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_key(&folder.path().join("key.pem"), PRIVATE_KEY_PEM);
        Self { folder }
    }
}

fn write_key(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl Played for PlayedForApplication {
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud {
        PlayedOkta.start(runtime, company, behaviour)
    }

    fn section(&self, cloud: &Cloud) -> (u8, &'static str, Value) {
        let key = self.folder.path().join("key.pem");
        let section = json!({ "orgUrl": cloud.url(), "clientId": CLIENT_ID, "privateKeyFile": key });
        (3, "directoryOkta", section)
    }

    fn renews_tokens(&self) -> bool {
        true
    }
}

#[test]
fn one_fault_at_every_request() {
    super::one_fault_at_every_request(&PlayedOkta);
}

#[test]
fn snapshots_replay() {
    super::snapshots_replay(&PlayedOkta);
}

#[test]
fn one_fault_at_every_request_of_an_application() {
    super::one_fault_at_every_request(&PlayedForApplication::new());
}

#[test]
fn permanent_faults_for_an_application() {
    super::faults_that_stay(&PlayedForApplication::new());
}

#[test]
fn one_is_looked_up() {
    super::one_is_looked_up(&PlayedOkta, "group2", super::GroupById::Found);
}

#[test]
fn faults_that_stay() {
    super::faults_that_stay(&PlayedOkta);
}

#[test]
fn nulls_where_the_schema_allows_them() {
    super::nulls_where_the_schema_allows_them(&PlayedOkta);
}

#[test]
fn enormous_numbers() {
    super::enormous_numbers(&PlayedOkta);
}

#[test]
fn repeated_secrets() {
    super::repeated_secrets(&PlayedOkta);
}

#[test]
fn an_expired_page_token() {
    super::an_expired_page_token(&PlayedOkta);
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
    Okta { users, groups, ..Okta::default() }
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
    // A member not imported because of this filter still belongs to the directory.
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

/// Application with its key in a file beside `data.json`.
fn of_application(cloud: &Cloud, organization: &Organization) -> Instance {
    let instance = instance(&PlayedOkta, cloud, organization);
    write_key(&instance.data_folder().join("okta.json"), PRIVATE_KEY_JWK);
    instance.change(|data| {
        data["directoryOkta"] =
            json!({ "orgUrl": cloud.url(), "clientId": CLIENT_ID, "privateKeyFile": "okta.json" });
    });
    instance
}

#[test]
fn an_application_reads_with_its_private_key() {
    let runtime = runtime();
    // Of several keys, the JWK names its own.
    let okta = Okta { application: Application { keys: 2, ..Application::default() }, ..company() };
    let okta = start(&runtime, okta, small_pages(HashMap::new()));
    let organization = Organization::start(Options::default());
    let instance = of_application(&okta, &organization);
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(organization.emails().len(), 10);
    assert_eq!(okta.requests(), 12);
    let doctor = instance.run(&["doctor"]).ok();
    assert!(doctor.out.contains("Okta login: the application 0oasandbox has a token"), "{}", doctor.out);
    assert!(!doctor.out.contains("okta.token"), "{}", doctor.out);

    // A PEM names none.
    write_key(&instance.data_folder().join("okta.json"), PRIVATE_KEY_PEM);
    instance
        .run(&["test"])
        .fails(1, &["invalid_client: The client_assertion JWT kid is invalid.", "okta.keyId"]);
    instance.run(&["config", "okta.keyId", "sandbox-key"]).ok();
    instance.run(&["test"]).ok();
}

#[test]
fn an_application_without_permission() {
    let runtime = runtime();
    let organization = Organization::start(Options::default());
    let with = |application: Application| {
        let cloud = start(&runtime, Okta { application, ..company() }, Behaviour::default());
        let instance = of_application(&cloud, &organization);
        let doctor = instance.run(&["doctor"]);
        assert_ne!(doctor.code, 0, "{}", doctor.out);
        (instance.run(&["sync"]), doctor.out)
    };
    let usual = Application::default;
    let (ran, doctor) = with(Application { dpop: Dpop::Required, ..usual() });
    let words =
        ["invalid_dpop_proof: The DPoP proof JWT header is missing.", "Turn off `Require Demonstrating"];
    ran.fails(1, &words);
    assert!(words.iter().all(|word| doctor.contains(word)), "{doctor}");
    let (ran, doctor) = with(Application { scopes: vec!["okta.users.read"], ..usual() });
    ran.fails(1, &["invalid_scope", "okta.groups.read"]);
    assert!(doctor.contains("okta.groups.read"), "{doctor}");
    let (ran, doctor) = with(Application { role: Role::None, ..usual() });
    ran.fails(1, &["HTTP 403, E0000006", "Read-Only Administrator"]);
    assert!(doctor.contains("Read-Only Administrator"), "{doctor}");
    assert_eq!(organization.imports(), 0);
}

#[test]
fn unusable_keys() {
    let runtime = runtime();
    let okta = start(&runtime, company(), Behaviour::default());
    let organization = Organization::start(Options::default());
    let instance = of_application(&okta, &organization);
    let key = instance.data_folder().join("okta.json");
    let jwk = |change: fn(&mut Value)| {
        let mut jwk: Value = serde_json::from_str(PRIVATE_KEY_JWK).unwrap();
        change(&mut jwk);
        jwk.to_string()
    };
    let secret = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
    for (text, why) in [
        (
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"),
            "it is not an RSA key",
        ),
        ("no key".to_owned(), "it has no -----BEGIN line"),
        (jwk(|jwk| jwk["kty"] = "EC".into()), "a key of the type EC, but an RSA key is needed"),
        (jwk(|jwk| jwk["d"] = Value::Null), "not a JWK of a private RSA key"),
        (jwk(|jwk| jwk["p"] = "!".into()), "not base64url"),
        (jwk(|jwk| jwk["p"] = "AQAB".into()), "RSA key invalid"),
    ] {
        write_key(&key, &text);
        let ran = instance.run(&["sync"]).fails(1, &["okta.privateKeyFile", "okta.json", why]);
        assert!(!ran.err.contains(secret), "{}", ran.err);
    }
    fs::remove_file(&key).unwrap();
    instance.run(&["sync"]).fails(1, &["Reading okta.privateKeyFile", "No such file"]);
    instance.change(|data| data["directoryOkta"]["privateKeyFile"] = Value::Null);
    instance.run(&["sync"]).fails(1, &["Directory configuration incomplete.", "okta.privateKeyFile"]);
    // The key of another application.
    fs::write(&key, PRIVATE_KEY_PEM).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    instance.change(|data| {
        data["directoryOkta"]["privateKeyFile"] = "okta.json".into();
        data["directoryOkta"]["clientId"] = "0oaanother".into();
    });
    let words = ["invalid_client: The issuer and subject", "okta.clientId", "Others than its owner can read"];
    instance.run(&["sync"]).fails(1, &words);
    assert_eq!((okta.requests(), organization.imports()), (1, 0));
}

#[test]
fn init_asks_an_application_for_its_key_and_for_no_token() {
    let runtime = runtime();
    let okta = start(&runtime, company(), Behaviour::default());
    let organization = Organization::start(Options::default());
    let mut instance = Instance::empty();
    instance.key(&organization.sandbox);
    fs::create_dir_all(instance.data_folder()).unwrap();
    write_key(&instance.data_folder().join("okta.json"), PRIVATE_KEY_JWK);
    let (url, org_url) = (organization.sandbox.url(), format!("okta.orgUrl={}", okta.url()));
    let client_id = format!("okta.clientId={CLIENT_ID}");
    let init = ["--nointeraction", "init", "--server", &url, "--directory", "okta"];
    let init = [&init[..], &["--set", &org_url, "--set", &client_id]].concat();
    instance.run(&init).fails(1, &["okta.privateKeyFile"]);
    instance.run(&[&init[..], &["--set", "okta.privateKeyFile=okta.json"]].concat()).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 11);
}
