//! OneLogin.

use std::collections::HashMap;

use bwdc_sandbox::Options;
use bwdc_sandbox::cloud::onelogin::{
    CLIENT_ID, CLIENT_SECRET, Change, Counts, OneLogin, Paging, Person, Role, RolesTold, Scope, What,
};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company, Fault, Quota};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Played, in_parallel, instance, mails, runtime, small_pages};
use crate::harness::{Instance, Organization};

struct PlayedOneLogin;

impl Played for PlayedOneLogin {
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud {
        runtime.block_on(OneLogin::from(company).start(behaviour)).unwrap()
    }

    fn section(&self, _cloud: &Cloud) -> (u8, &'static str, Value) {
        let section = json!({ "region": "eu", "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET });
        (4, "directoryOnelogin", section)
    }

    fn environment(&self, cloud: &Cloud) -> Vec<(&'static str, String)> {
        vec![("BWDC_ONELOGIN_API_URL", cloud.url())]
    }

    fn renews_tokens(&self) -> bool {
        true
    }
}

/// Account that neither counts its lists nor includes people's roles.
struct Untelling;

impl Played for Untelling {
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud {
        let account = OneLogin::from(company);
        let account = OneLogin { roles_told: RolesTold::Never, counts: Counts::Untold, ..account };
        runtime.block_on(account.start(behaviour)).unwrap()
    }

    fn section(&self, cloud: &Cloud) -> (u8, &'static str, Value) {
        PlayedOneLogin.section(cloud)
    }

    fn environment(&self, cloud: &Cloud) -> Vec<(&'static str, String)> {
        PlayedOneLogin.environment(cloud)
    }

    fn renews_tokens(&self) -> bool {
        true
    }
}

#[test]
fn one_fault_at_every_request() {
    super::one_fault_at_every_request(&PlayedOneLogin);
}

#[test]
fn snapshots_replay() {
    super::snapshots_replay(&PlayedOneLogin);
}

#[test]
fn one_fault_at_every_request_by_cursor() {
    super::one_fault_at_every_request(&Untelling);
}

#[test]
fn one_is_looked_up() {
    super::one_is_looked_up(&PlayedOneLogin, "group2", super::GroupById::NotLookedUp);
}

#[test]
fn faults_that_stay() {
    super::faults_that_stay(&PlayedOneLogin);
}

#[test]
fn nulls_where_the_schema_allows_them() {
    super::nulls_where_the_schema_allows_them(&PlayedOneLogin);
}

#[test]
fn enormous_numbers() {
    super::enormous_numbers(&PlayedOneLogin);
}

#[test]
fn repeated_secrets() {
    super::repeated_secrets(&PlayedOneLogin);
}

#[test]
fn the_limit_is_never_exceeded() {
    super::the_limit_is_never_exceeded(&PlayedOneLogin, 3);
}

fn person(id: u64, email: &str, username: &str, role_ids: &[u64]) -> Person {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Person {
        id,
        email: text(email),
        username: text(username),
        status: 1,
        role_ids: role_ids.to_vec(),
        created_at: None,
    }
}

fn role(id: u64, name: &str) -> Role {
    Role { id, name: name.to_owned() }
}

/// Seven people on three pages, two roles with similar ids, and one that nobody has.
fn account() -> OneLogin {
    let mut suspended = person(2, "sue@example.org", "", &[1]);
    suspended.status = 2;
    let mut locked = person(3, "lou@example.org", "", &[11]);
    locked.status = 3;
    OneLogin {
        users: vec![
            person(1, "Ann@Example.org", "ann", &[1, 11]),
            suspended,
            locked,
            person(4, "no address", "una@example.org", &[11]),
            person(5, "", "pat", &[1]),
            person(6, "", "", &[1]),
            person(7, "zoe@example.org", "", &[]),
        ],
        roles: vec![role(1, "One"), role(11, "Eleven"), role(12, "Nobody's")],
        ..OneLogin::default()
    }
}

struct Stage {
    cloud: Cloud,
    organization: Organization,
    instance: Instance,
    // After the work that runs on it.
    _runtime: Runtime,
}

fn play(account: OneLogin, behaviour: Behaviour) -> Stage {
    let runtime = runtime();
    let cloud = runtime.block_on(account.start(behaviour)).unwrap();
    let organization = Organization::start(Options::default());
    let instance = instance(&PlayedOneLogin, &cloud, &organization);
    Stage { cloud, organization, instance, _runtime: runtime }
}

#[test]
fn people_and_roles_page_after_page() {
    let stage = play(account(), small_pages(HashMap::new()));
    let ran = stage.instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(stage.organization.emails(), mails(&["ann", "lou", "una", "zoe"]));
    assert_eq!(stage.organization.group("One"), mails(&["ann"]));
    assert_eq!(stage.organization.group("Eleven"), mails(&["ann", "lou", "una"]));
    assert!(stage.organization.group("Nobody's").is_empty());
    // A login, three pages of people and one of roles.
    assert_eq!(stage.cloud.requests(), 5, "{:#?}", stage.cloud.log());
    let test: Value = serde_json::from_str(&stage.instance.run(&["test"]).ok().out).unwrap();
    assert_eq!(test["enabledUsers"][0]["externalId"], "1");
    assert_eq!(test["disabledUsers"][0]["externalId"], "2");
    let groups = test["groups"].as_array().unwrap();
    assert!(groups.iter().any(|group| group["externalId"] == "11" && group["displayName"] == "Eleven"));
    let doctor = stage.instance.run(&["doctor"]).ok();
    for line in ["OneLogin login: accepted", "OneLogin users: 7 can be read", "OneLogin roles: 3 can be read"]
    {
        assert!(doctor.out.contains(line), "`{line}` is not in {}", doctor.out);
    }
    assert!(doctor.out.contains("a sync takes about 5"), "{}", doctor.out);
}

#[test]
fn addresses_are_made_from_user_names_if_configured() {
    let stage = play(account(), Behaviour::default());
    stage.instance.run(&["config", "sync.useEmailPrefixSuffix", "true"]).ok();
    stage.instance.run(&["config", "sync.emailSuffix", "@made.example.org"]).ok();
    stage.instance.run(&["sync"]).ok();
    assert!(stage.organization.emails().contains(&"pat@made.example.org".to_owned()));
    assert_eq!(stage.organization.group("One").len(), 2);
    // Nobody is left out silently.
    let told = stage.instance.run(&["test"]).ok().err;
    assert!(told.contains("no e-mail address: 6") && !told.contains("sync.emailSuffix"), "{told}");

    // Nor with an invalid address.
    stage.instance.run(&["config", "unset", "sync.emailSuffix"]).ok();
    let told = stage.instance.run(&["sync"]).ok().err;
    let words = "user name and sync.emailSuffix do not make an e-mail address: pat (5), as `pat`";
    assert!(told.contains(words), "{told}");

    stage.instance.run(&["config", "sync.useEmailPrefixSuffix", "false"]).ok();
    let told = stage.instance.run(&["test"]).ok().err;
    assert!(told.contains("no e-mail address: pat (5); 6"), "{told}");
}

#[test]
fn set_filters_only() {
    let stage = play(account(), Behaviour::default());
    stage.instance.run(&["config", "sync.userFilter", "exclude:ann@example.org"]).ok();
    stage.instance.run(&["config", "sync.groupFilter", "include: eleven"]).ok();
    stage.instance.run(&["sync"]).ok();
    // Not in any group that the filter keeps.
    assert_eq!(stage.organization.emails(), mails(&["lou", "una"]));
    assert_eq!(stage.organization.sandbox.groups().unwrap().len(), 1);

    stage.instance.run(&["config", "sync.userFilter", "exlude:x"]).fails(1, &["did you mean `exclude`?"]);
    stage
        .instance
        .run(&["config", "sync.userFilter", "exclude:x|status=1"])
        .fails(1, &["does not support a query"]);
    stage.instance.change(|data| data["sync"]["userFilter"] = "inclde:x".into());
    stage.instance.run(&["sync"]).fails(1, &["sync.userFilter", "did you mean `include`?"]);
    stage.instance.change(|data| data["sync"]["userFilter"] = "|status=1".into());
    stage.instance.run(&["sync"]).fails(1, &["sync.userFilter", "does not support a query"]);
    assert_eq!(stage.organization.imports(), 1);
}

#[test]
fn wrong_credentials_and_settings() {
    let stage = play(account(), Behaviour::default());
    stage.instance.change(|data| data["directoryOnelogin"]["clientSecret"] = "very-secret".into());
    let ran = stage.instance.run(&["sync"]).fails(
        1,
        &[
            "Logging in at http://127.0.0.1",
            "HTTP 401, Unauthorized: Authentication Failure",
            "onelogin.secret",
            "onelogin.region",
        ],
    );
    assert!(!ran.err.contains("very-secret"), "{}", ran.err);
    let doctor = stage.instance.run(&["doctor"]);
    assert_ne!(doctor.code, 0);
    assert!(doctor.out.contains("Authentication Failure"), "{}", doctor.out);
    for (key, setting) in [("clientSecret", "onelogin.secret"), ("clientId", "onelogin.clientId")] {
        stage.instance.change(|data| data["directoryOnelogin"][key] = Value::Null);
        stage.instance.run(&["sync"]).fails(1, &["Directory configuration incomplete.", setting]);
    }
    stage.instance.change(|data| data["directoryOnelogin"]["region"] = "ap".into());
    stage.instance.run(&["sync"]).fails(1, &["onelogin.region", "`ap`", "us, eu"]);
    assert_eq!(stage.organization.imports(), 0);
}

#[test]
fn the_region_determines_the_address() {
    let mut stage = play(account(), Behaviour::default());
    stage.instance.unset_env("BWDC_ONELOGIN_API_URL");
    // Nothing is listening there, so no real server is asked.
    stage.instance.set_env("HTTPS_PROXY", "http://127.0.0.1:9");
    for (region, host) in [("us", "api.us.onelogin.com"), ("eu", "api.eu.onelogin.com")] {
        stage.instance.run(&["config", "onelogin.region", region]).ok();
        stage.instance.run(&["sync"]).fails(1, &[host]);
    }
    stage.instance.set_env("BWDC_ONELOGIN_API_URL", "http://onelogin.example.org");
    stage.instance.run(&["sync"]).fails(1, &["BWDC_ONELOGIN_API_URL", "unprotected"]);
}

#[test]
fn the_account_may_have_an_address_of_its_own() {
    let mut stage = play(account(), Behaviour::default());
    stage.instance.unset_env("BWDC_ONELOGIN_API_URL");
    stage.instance.run(&["config", "onelogin.url", &format!("{}/", stage.cloud.url())]).ok();
    stage.instance.run(&["sync"]).ok();
    is_whole(&stage);
    assert_eq!(stage.cloud.requests(), 3, "{:#?}", stage.cloud.log());

    stage.instance.run(&["config", "onelogin.url", &format!("{}/elsewhere", stage.cloud.url())]).ok();
    stage.instance.run(&["sync"]).fails(1, &["Logging in", "onelogin.url"]);
    stage.instance.run(&["config", "onelogin.url", "http://example.onelogin.com"]).ok();
    stage.instance.run(&["sync"]).fails(1, &["onelogin.url", "unprotected", "https://example.onelogin.com"]);
    // Nothing is listening there, so no real server is asked.
    stage.instance.set_env("HTTPS_PROXY", "http://127.0.0.1:9");
    stage.instance.run(&["config", "onelogin.url", "example.onelogin.com"]).ok();
    stage.instance.run(&["sync"]).fails(1, &["https://example.onelogin.com"]);
    assert_eq!(stage.organization.imports(), 1);
}

#[test]
fn a_missing_scope_is_named() {
    let account = OneLogin { scope: Scope::AuthenticationOnly, ..account() };
    let stage = play(account, Behaviour::default());
    stage
        .instance
        .run(&["sync"])
        .fails(1, &["HTTP 403, ForbiddenError: Insufficient Permissions", "Read Users"]);
    let doctor = stage.instance.run(&["doctor"]);
    assert!(doctor.out.contains("OneLogin login: accepted"), "{}", doctor.out);
    assert!(doctor.out.contains("Read Users"), "{}", doctor.out);
}

#[test]
fn an_error_in_a_200_is_an_error_or_temporary() {
    let behaviour = || small_pages((2..1_000).map(|request| (request, Fault::ErrorInOk)).collect());
    let stage = play(account(), behaviour());
    stage.instance.run(&["sync"]).fails(
        1,
        &["Reading users", "HTTP 500, InternalServerError: Internal Server Error", "status.onelogin.com"],
    );
    assert_eq!(stage.organization.imports(), 0);
    let mut stage = play(account(), small_pages(HashMap::from([(2, Fault::ErrorInOk)])));
    stage.instance.set_env("BWDC_RETRY_SECONDS", "4");
    stage.instance.run(&["sync"]).ok();
    assert_eq!(stage.organization.emails().len(), 4);
}

#[test]
fn a_limit_used_up_by_others_is_not_waited_for() {
    let quota = Quota { most: 2, window: std::time::Duration::from_secs(1_000_000_000) };
    let stage = play(account(), Behaviour { quota: Some(quota), ..small_pages(HashMap::new()) });
    stage.instance.run(&["sync"]).fails(1, &["the limit on requests is used up", "minutes"]);
    assert_eq!((stage.cloud.exceeded(), stage.organization.imports()), (0, 0));
}

/// A person on the first page is deleted while others are read: the first one on the second page moves to the first page.
#[test]
fn nobody_is_lost_between_two_pages() {
    let change = |before_call, what| Change { before_call, what };
    let changes = vec![
        change(1, What::DeleteUser(1)),
        // Their number is unchanged.
        change(1, What::CreateUser(person(100, "new@example.org", "", &[1]))),
    ];
    let stage = play(OneLogin { changes, ..account() }, small_pages(HashMap::new()));
    stage.instance.run(&["sync"]).ok();
    assert_eq!(stage.organization.emails(), mails(&["lou", "new", "una", "zoe"]));
    assert_eq!(stage.cloud.requests(), 1 + 3 + 3 + 1, "{:#?}", stage.cloud.log());
}

#[test]
fn a_list_that_keeps_changing_is_an_error() {
    // Seven people on as many pages, then six, and so on: three reads by number, three by cursor.
    let leave = |(before_call, id)| Change { before_call, what: What::DeleteUser(id) };
    let changes = [(1, 1), (8, 2), (14, 3), (19, 4), (22, 5), (24, 6)].map(leave).to_vec();
    let stage = play(OneLogin { changes, ..account() }, Behaviour { page: 1, ..Behaviour::default() });
    stage
        .instance
        .run(&["sync"])
        .fails(1, &["Reading users", "do not match, in 6 reads", "by cursor", "try again later"]);
    assert_eq!(stage.organization.imports(), 0);
}

/// State of `account()`, whichever way it is read.
fn is_whole(stage: &Stage) {
    assert_eq!(stage.organization.emails(), mails(&["ann", "lou", "una", "zoe"]));
    assert_eq!(stage.organization.group("One"), mails(&["ann"]));
    assert_eq!(stage.organization.group("Eleven"), mails(&["ann", "lou", "una"]));
    assert!(stage.organization.group("Nobody's").is_empty());
}

#[test]
fn missing_roles_come_in_three_forms() {
    for roles_told in [RolesTold::AsList, RolesTold::NullForNone, RolesTold::AbsentForNone] {
        let mut account = OneLogin { roles_told, ..account() };
        account.users[3].role_ids = vec![];
        let stage = play(account, Behaviour { page: 4, ..Behaviour::default() });
        stage.instance.run(&["sync"]).ok();
        assert_eq!(stage.organization.group("Eleven"), mails(&["ann", "lou"]), "{roles_told:?}");
        // A login, two pages of people and one of roles: nobody's roles are requested separately.
        assert_eq!(stage.cloud.requests(), 4, "{roles_told:?}: {:#?}", stage.cloud.log());
    }
}

#[test]
fn members_are_read_role_by_role_if_people_come_without_roles() {
    let untold = || OneLogin { roles_told: RolesTold::Never, ..account() };
    let stage = play(untold(), small_pages(HashMap::new()));
    stage.instance.run(&["sync"]).ok();
    is_whole(&stage);
    // A login, three pages of people, one of roles, and two, one and one of the people with each role.
    assert_eq!(stage.cloud.requests(), 1 + 3 + 1 + 2 + 1 + 1, "{:#?}", stage.cloud.log());
    let doctor = stage.instance.run(&["doctor"]).ok();
    assert!(doctor.out.contains("read role by role instead"), "{}", doctor.out);

    // A page with a single person, who has no roles, may be one that omits roles.
    let stage =
        play(OneLogin { roles_told: RolesTold::AbsentForNone, ..account() }, small_pages(HashMap::new()));
    stage.instance.run(&["sync"]).ok();
    is_whole(&stage);

    // Deleted between the list of roles and its members.
    let changes = vec![Change { before_call: 4, what: What::DeleteRole(11) }];
    let stage = play(OneLogin { changes, ..untold() }, small_pages(HashMap::new()));
    let ran = stage.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("deleted while it was read"), "{}", ran.err);
    let names: Vec<String> =
        stage.organization.sandbox.groups().unwrap().into_iter().map(|group| group.name).collect();
    assert_eq!(names, ["Nobody's", "One"]);
}

#[test]
fn a_list_whose_count_does_not_match_is_read_by_cursor() {
    let accounts = [
        (Counts::Untold, Paging::Both),
        (Counts::Untold, Paging::Cursors),
        (Counts::Untold, Paging::Numbers),
        (Counts::Right, Paging::Cursors),
        (Counts::TooFew, Paging::Both),
        (Counts::TooFew, Paging::Cursors),
    ];
    in_parallel(&accounts, |&(counts, paging)| {
        let mut account = OneLogin { counts, paging, ..account() };
        account.roles.extend([role(13, "Thirteen"), role(14, "Fourteen")]);
        let stage = play(account, small_pages(HashMap::new()));
        stage.instance.run(&["sync"]).ok();
        is_whole(&stage);
        assert!(stage.organization.group("Fourteen").is_empty());
    });
}

/// Never an incomplete import.
#[test]
fn a_list_with_a_count_that_is_too_high_is_an_error() {
    let accounts = [
        (Counts::TooMany, Paging::Both, &["7 of 8", "7 of 8 by cursor"][..]),
        (Counts::TooMany, Paging::Cursors, &["7 of 8 by cursor"]),
        (
            Counts::Untold,
            Paging::Neither,
            &["3 and no count by cursor without an end", "Total-Count", "After-Cursor", "proxy"],
        ),
    ];
    in_parallel(&accounts, |&(counts, paging, words)| {
        let stage = play(OneLogin { counts, paging, ..account() }, small_pages(HashMap::new()));
        stage.instance.run(&["sync"]).fails(1, words);
        assert_eq!(stage.organization.imports(), 0, "{counts:?} {paging:?}");
    });
}

/// A person on the first page is deleted while the list is read by cursor: without a count, only a second read shows who moved.
#[test]
fn nobody_is_lost_between_two_cursors() {
    // The first call finds that there is no count; the read by cursor begins with the second.
    let changes = vec![Change { before_call: 2, what: What::DeleteUser(1) }];
    let account = OneLogin { changes, counts: Counts::Untold, ..account() };
    let stage = play(account, small_pages(HashMap::new()));
    stage.instance.run(&["config", "sync.groups", "false"]).ok();
    stage.instance.run(&["sync"]).ok();
    assert_eq!(stage.organization.emails(), mails(&["lou", "una", "zoe"]));
}

#[test]
fn a_cursor_that_leads_back_is_an_error() {
    let faults = (0..1_000).map(|request| (request, Fault::RepeatedPage)).collect();
    let stage = play(OneLogin { counts: Counts::Untold, ..account() }, small_pages(faults));
    stage.instance.run(&["sync"]).fails(1, &["Reading users", "3 and no count by cursor without an end"]);
    assert_eq!(stage.organization.imports(), 0);
}

/// It becomes neither a group without members nor one with only some of them.
#[test]
fn a_role_deleted_meanwhile_is_left_out() {
    let synced = play(account(), small_pages(HashMap::new()));
    synced.instance.run(&["sync"]).ok();
    assert_eq!(synced.organization.group("Eleven").len(), 3);
    for before_call in 1..4 {
        let changes = vec![Change { before_call, what: What::DeleteRole(11) }];
        let stage = play(OneLogin { changes, ..account() }, small_pages(HashMap::new()));
        stage.instance.run(&["sync"]).ok();
        let names: Vec<String> =
            stage.organization.sandbox.groups().unwrap().into_iter().map(|group| group.name).collect();
        assert_eq!(names, ["Nobody's", "One"], "before call {before_call}");
        let told = stage.instance.run(&["test"]).ok();
        assert!(!told.out.contains("Eleven"), "{}", told.out);
    }
}

#[test]
fn vanished_people_leave_if_configured() {
    // A sync takes three calls for people and one for roles.
    let changes = vec![Change { before_call: 4, what: What::DeleteUser(7) }];
    let stage = play(OneLogin { changes, ..account() }, small_pages(HashMap::new()));
    stage.instance.run(&["config", "sync.removeMissing", "true"]).ok();
    stage.instance.run(&["sync"]).ok();
    assert_eq!(stage.organization.emails(), mails(&["ann", "lou", "una", "zoe"]));
    stage.instance.run(&["sync"]).ok();
    assert_eq!(stage.organization.emails(), mails(&["ann", "lou", "una"]));
}
