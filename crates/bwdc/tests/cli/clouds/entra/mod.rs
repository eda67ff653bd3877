//! Microsoft Entra ID.

use std::collections::HashMap;
use std::fs;

use bwdc_sandbox::cloud::entra::{
    APPLICATION, Bin, DOMAIN, Entra, Kind, LinkRefusal, Member, Person, Presence, SECRET, TENANT, Team,
    Tenant, Unit, group_id, unit_id, user_id,
};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company, Fault};
use bwdc_sandbox::{Limits, Options};
use bwdc_testkit::RsaKey;
use bwdc_testkit::rsa::der;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Played, contents, in_parallel, instance, mails, runtime, small_pages};
use crate::harness::{Instance, Organization};

mod leavers;
mod logins;

struct PlayedEntra;

impl Played for PlayedEntra {
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud {
        runtime.block_on(Entra::from(company).start(behaviour)).unwrap()
    }

    fn section(&self, _cloud: &Cloud) -> (u8, &'static str, Value) {
        (
            1,
            "directoryEntra",
            json!({
                "identityAuthority": "login.microsoftonline.com", "tenant": TENANT, "applicationId": APPLICATION, "key": SECRET,
            }),
        )
    }

    fn environment(&self, cloud: &Cloud) -> Vec<(&'static str, String)> {
        ["BWDC_ENTRA_LOGIN_URL", "BWDC_ENTRA_GRAPH_URL"].map(|name| (name, cloud.url())).to_vec()
    }

    fn renews_tokens(&self) -> bool {
        true
    }
}

#[test]
fn one_fault_at_every_request() {
    super::one_fault_at_every_request(&PlayedEntra);
}

#[test]
fn snapshots_replay() {
    super::snapshots_replay(&PlayedEntra);
}

#[test]
fn one_is_looked_up() {
    super::one_is_looked_up(&PlayedEntra, "group2", super::GroupById::Found);
}

#[test]
fn faults_that_stay() {
    super::faults_that_stay(&PlayedEntra);
}

#[test]
fn nulls_where_the_schema_allows_them() {
    super::nulls_where_the_schema_allows_them(&PlayedEntra);
}

#[test]
fn enormous_numbers() {
    super::enormous_numbers(&PlayedEntra);
}

#[test]
fn repeated_secrets() {
    super::repeated_secrets(&PlayedEntra);
}

#[test]
fn an_expired_page_token() {
    super::an_expired_page_token(&PlayedEntra);
}

/// Microsoft announces no limit in advance, so this tests the documented one, with more groups than it allows in a window.
#[test]
fn the_limit_is_never_exceeded() {
    let runtime = runtime();
    let company = Company::of_size(40, 1_900, 1);
    let cloud = PlayedEntra.start(&runtime, &company, Behaviour::default());
    let organization = Organization::start(Options::default());
    instance(&PlayedEntra, &cloud, &organization).run(&["sync"]).ok();
    assert_eq!(cloud.exceeded(), 0);
    let (people, groups) = contents(&organization);
    assert_eq!((people.len(), groups.len()), (40, 1_900));
    assert!(groups.iter().all(|(_, members)| members.len() == 1));
}

/// A tenant, its settings, and an organization.
struct World {
    entra: Entra,
    cloud: Cloud,
    organization: Organization,
    instance: Instance,
    _runtime: Runtime,
}

impl World {
    fn with(tenant: Tenant) -> Self {
        Self::behaving(tenant, small_pages(HashMap::new()))
    }

    fn behaving(tenant: Tenant, behaviour: Behaviour) -> Self {
        let runtime = runtime();
        let entra = Entra::from(tenant);
        let cloud = runtime.block_on(entra.clone().start(behaviour)).unwrap();
        let organization = Organization::start(Options { limits: Limits::SelfHosted, ..Options::default() });
        let instance = instance(&PlayedEntra, &cloud, &organization);
        Self { entra, cloud, organization, instance, _runtime: runtime }
    }

    fn set(&self, name: &str, value: impl Into<Value>) {
        self.instance.change(|data| data["directoryEntra"][name] = value.into());
    }

    fn filter(&self, name: &str, filter: &str) {
        self.instance.run(&["config", name, filter]).ok();
    }

    /// Result of `test` for people, by address or id.
    fn test(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.instance.run(arguments).ok().out).unwrap()
    }

    fn names(&self, list: &str) -> Vec<String> {
        let told = self.test(&["test"]);
        let emails = told[list].as_array().unwrap().iter().map(|user| user["displayName"].as_str().unwrap());
        let mut names: Vec<String> = emails.map(|email| email.replace("@example.org", "")).collect();
        names.sort();
        names
    }

    /// What `doctor` finds.
    fn doctor(&self, code: i32) -> String {
        let ran = self.instance.run(&["doctor"]);
        assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
        ran.out
    }

    fn link(&self) -> Option<String> {
        self.instance.data()["userDeltaToken"].as_str().map(str::to_owned)
    }

    fn count(&self, path: &str) -> usize {
        self.cloud.log().iter().filter(|line| line.contains(path)).count()
    }
}

/// Ada, Ben, Cleo and Dan are active; Eve is disabled, Finn was deleted. Engineering contains Ada and the group Web, which contains
/// Ben and a laptop.
fn tenant() -> Tenant {
    let mut tenant = Tenant::from(&Company::default());
    let names = ["ada", "ben", "cleo", "dan", "eve", "finn"];
    tenant.users = names.map(Person::named).to_vec();
    tenant.users[4].account_enabled = false;
    tenant.users[5].presence = Presence::Deleted;
    let laptop = Member { id: "00000000-0000-4000-8000-00000000000a".to_owned(), kind: Kind::Device };
    let contact = Member { id: "00000000-0000-4000-8000-00000000000b".to_owned(), kind: Kind::Contact };
    tenant.groups = vec![
        Team::named("Engineering", vec![Member::user("ada"), Member::group("Web"), contact]),
        Team::named("Web", vec![Member::user("ben"), Member::user("finn"), laptop]),
        Team::named("Sales", vec![Member::user("cleo"), Member::user("eve"), Member::user("dan")]),
    ];
    tenant.units = vec![
        Unit::named("Berlin", vec![Member::group("Engineering"), Member::user("dan")]),
        Unit::named("Paris", vec![Member::group("Web"), Member::group("Sales")]),
    ];
    tenant
}

#[test]
fn people_and_groups_page_after_page() {
    let world = World::with(tenant());
    assert_eq!(world.instance.run(&["sync"]).ok().err, "");
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
    assert_eq!(world.organization.group("Engineering"), mails(&["ada", "ben"]));
    assert_eq!(world.organization.group("Sales"), mails(&["cleo", "dan"]));
    // A token, 5 people in 2 pages, now and the recycle bin, 3 groups, their members.
    assert_eq!(world.cloud.requests(), 1 + 2 + 2 + 1 + 3, "{:#?}", world.cloud.log());
    assert_eq!(
        (world.names("disabledUsers"), world.names("deletedUsers")),
        (vec!["eve".into()], vec!["finn".into()])
    );
    // The next import is without Finn, who has left; the one after it is identical.
    world.instance.run(&["sync"]).ok();
    assert!(world.instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));
}

#[test]
fn guests_and_first_domains() {
    let mut tenant = tenant();
    let person = |mail: Option<&str>, name: &str| Person {
        mail: mail.map(str::to_owned),
        user_principal_name: name.to_owned(),
        ..Person::named(name)
    };
    let guest = |name: &str| format!("{name}_elsewhere.example#EXT#@{DOMAIN}");
    tenant.users = vec![
        person(Some("gina@elsewhere.example"), &guest("gina")),
        person(None, &guest("hugo")),
        person(Some(&format!("iris@{DOMAIN}")), "iris@example.org"),
        person(Some(" "), "Jon@example.org"),
        person(None, &format!("kim@{DOMAIN}")),
    ];
    tenant.groups =
        vec![Team::named("Guests", vec![Member::user(&guest("hugo")), Member::user("jon@example.org")])];
    let world = World::with(tenant);
    world.instance.run(&["sync"]).ok();
    let kim = format!("kim@{DOMAIN}");
    let expected = ["gina@elsewhere.example", "iris@example.org", "jon@example.org", &kim];
    assert_eq!(world.organization.emails(), expected);
    let told = world.instance.run(&["test"]).ok();
    assert!(
        told.err.contains("a guest without an e-mail address (a sign-in name with # is not one)"),
        "{}",
        told.err
    );
    let named = format!("no e-mail address: {} (", guest("hugo"));
    assert!(told.err.contains(&named), "{}", told.err);
}

#[test]
fn filters_of_people() {
    let world = World::with(tenant());
    for (filter, names) in [
        ("include:ADA@example.org, ben@example.org", vec!["ada", "ben"]),
        ("exclude:ada@example.org", vec!["ben", "cleo", "dan"]),
        (&format!("includeGroup:{}", group_id("Engineering").to_uppercase()), vec!["ada", "ben"]),
        (&format!("includeGroup:{}, {}", group_id("Web"), group_id("Sales")), vec!["ben", "cleo", "dan"]),
        (&format!("excludeGroup:{}", group_id("Engineering")), vec!["cleo", "dan"]),
        (
            &format!(
                "includeGroup:{},{}|excludeGroup:{}|exclude:dan@example.org",
                group_id("Engineering"),
                group_id("Sales"),
                group_id("Web")
            ),
            vec!["ada", "cleo"],
        ),
    ] {
        world.filter("sync.userFilter", filter);
        assert_eq!(world.names("enabledUsers"), names, "{filter}");
        // Deleted people are no longer in any group, but still leave.
        let has_left = world.names("deletedUsers") == ["finn"];
        assert_eq!(has_left, !filter.starts_with("include:"), "{filter}");
    }
    // Members of groups are the directory's people, whether or not they are requested.
    world.filter("sync.userFilter", "");
    world.instance.run(&["sync"]).ok();
    world.filter("sync.userFilter", &format!("includeGroup:{}", group_id("Web")));
    let before = world.count("transitiveMembers");
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.group("Engineering"), mails(&["ada", "ben"]));
    assert_eq!(world.count("transitiveMembers") - before, 1);
    let doctor = world.doctor(0);
    assert!(doctor.contains("in sync.userFilter: 1 can be read"), "{doctor}");
}

#[test]
fn filters_of_groups() {
    let world = World::with(tenant());
    let unit = |keyword: &str, name: &str| format!("{keyword}:{}", unit_id(name));
    for (filter, groups, people) in [
        ("include:sales".to_owned(), vec!["Sales"], vec!["cleo", "dan"]),
        ("exclude:Sales".to_owned(), vec!["Engineering", "Web"], vec!["ada", "ben"]),
        (unit("includeAdministrativeUnit", "Berlin"), vec!["Engineering"], vec!["ada"]),
        (unit("excludeAdministrativeUnit", "Berlin"), vec!["Sales", "Web"], vec!["ben", "cleo", "dan"]),
        (
            format!("{}|exclude:Web", unit("includeAdministrativeUnit", "Paris")),
            vec!["Sales"],
            vec!["cleo", "dan"],
        ),
    ] {
        world.filter("sync.groupFilter", &filter);
        let told = world.test(&["test"]);
        let mut names: Vec<_> = told["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["displayName"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(
            (names, world.names("enabledUsers")),
            (groups, people.into_iter().map(str::to_owned).collect()),
            "{filter}"
        );
    }
    // Through groups outside the units, if all groups nest.
    world.filter("sync.groupFilter", &unit("includeAdministrativeUnit", "Berlin"));
    world.instance.run(&["config", "sync.nestedGroups", "all"]).ok();
    assert_eq!(world.names("enabledUsers"), ["ada", "ben"]);
    // Without synced groups, a group filter affects nobody.
    world.instance.run(&["config", "sync.groups", "false"]).ok();
    assert_eq!(world.names("enabledUsers"), ["ada", "ben", "cleo", "dan"]);
    world.filter("sync.groupFilter", "include:Sales");
    assert_eq!(world.names("enabledUsers"), ["ada", "ben", "cleo", "dan"]);
}

#[test]
fn wrong_filters() {
    let world = World::with(tenant());
    let config = |name: &str, filter: &str| world.instance.run(&["config", name, filter]);
    config("sync.userFilter", "inculdeGroup:x")
        .fails(1, &["did you mean `includeGroup`?", "Nothing was saved"]);
    config("sync.userFilter", "include:a|excludeGruop:x").fails(1, &["did you mean `excludeGroup`?"]);
    config("sync.userFilter", "includeAdministrativeUnit:x").fails(1, &["unknown keyword"]);
    config("sync.groupFilter", "includeGroup:x").fails(1, &["unknown keyword"]);
    config("sync.groupFilter", "includeAdministrativUnit:x")
        .fails(1, &["did you mean `includeAdministrativeUnit`?"]);
    // A value written by another program is refused as well.
    world.instance.change(|data| data["sync"]["userFilter"] = "includGroup:x".into());
    world.instance.run(&["sync"]).fails(1, &["sync.userFilter", "did you mean `includeGroup`?"]);
    for (id, code) in [
        (unit_id("Berlin"), "404, Request_ResourceNotFound"),
        ("sales".to_owned(), "400, Request_BadRequest"),
    ] {
        world.filter("sync.userFilter", &format!("excludeGroup:{id}"));
        let words = [code, "sync.userFilter", &format!("There is no group with the id {id}"), "(request "];
        world.instance.run(&["sync"]).fails(1, &words);
        let doctor = world.doctor(1);
        assert!(doctor.contains(code) && doctor.contains("There is no group with the id"), "{doctor}");
    }
    world.filter("sync.userFilter", "");
    world.filter("sync.groupFilter", &format!("includeAdministrativeUnit:{}", group_id("Web")));
    world.instance.run(&["sync"]).fails(1, &["There is no administrative unit with the id"]);
    assert_eq!(world.organization.imports(), 0);
}

#[test]
fn groups_that_vanish_or_hide_their_members_are_left_out() {
    let mut tenant = tenant();
    tenant.vanishing.insert(group_id("Sales"));
    tenant.groups[1].visibility = Some("HiddenMembership");
    let world = World::with(tenant);
    let ran = world.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("the group was deleted while it was read"), "{}", ran.err);
    assert!(ran.err.contains("Member.Read.Hidden"), "{}", ran.err);
    assert_eq!(world.organization.sandbox.groups().unwrap().len(), 1);
    world.entra.change(|tenant| tenant.permissions.push("Member.Read.Hidden"));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.group("Web"), mails(&["ben"]));
}
