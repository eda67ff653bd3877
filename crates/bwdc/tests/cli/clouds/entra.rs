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
fn faults_that_stay() {
    super::faults_that_stay(&PlayedEntra);
}

#[test]
fn nulls_where_the_schema_allows_them() {
    super::nulls_where_the_schema_allows_them(&PlayedEntra);
}

#[test]
fn numbers_that_no_counter_has() {
    super::numbers_that_no_counter_has(&PlayedEntra);
}

#[test]
fn secrets_that_come_back() {
    super::secrets_that_come_back(&PlayedEntra);
}

#[test]
fn a_page_token_that_has_expired() {
    super::a_page_token_that_has_expired(&PlayedEntra);
}

/// Microsoft tells no limit before it is met, so this is about the documented one, with more groups than it allows in a window.
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

/// A tenant, what it is read by, and what it is read into.
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

    /// What a sync would say about people, by address or id.
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

/// Ada, Ben, Cleo and Dan work; Eve is switched off, Finn was deleted. Engineering has Ada and the group Web, which has Ben and a
/// laptop.
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
    // The next import is without Finn, who has left; the one after it is the same.
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
    assert!(told.err.contains("a guest: a sign-in name with # is no e-mail address"), "{}", told.err);
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
        // Whoever was deleted is in no group any more, and leaves all the same.
        let has_left = world.names("deletedUsers") == ["finn"];
        assert_eq!(has_left, !filter.starts_with("include:"), "{filter}");
    }
    // Members of groups are the directory's people, whether or not they are asked for.
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
    // Where groups are not synced, a filter of groups is about nobody.
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
    // What another program has written is refused as well.
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
fn leavers_by_their_tombstones() {
    let world = World::with(tenant());
    world.instance.run(&["sync"]).ok();
    let first = world.link().unwrap();
    world.entra.change(|tenant| {
        tenant.set_presence("ada", Presence::Deleted);
        // Between two syncs to the recycle bin and out of it.
        tenant.set_presence("ben", Presence::Purged);
        tenant.add(Person::named("gina"));
    });
    let bin = world.count("deletedItems");
    let told = world.test(&["test", "--last"]);
    assert_eq!(told["deletedUsers"].as_array().unwrap().len(), 2, "{told}");
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["cleo", "dan", "gina"]));
    assert_ne!(world.link().unwrap(), first);
    assert_eq!(world.count("deletedItems"), bin, "a list of changes is enough");
    // Restored, and nobody's leaver.
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Here));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "cleo", "dan", "gina"]));
}

#[test]
fn a_refused_link_loses_no_leavers() {
    for (why, told) in [
        (LinkRefusal::Reset, "HTTP 410, resyncRequired"),
        (LinkRefusal::Expired, "HTTP 400, syncStateNotFound"),
        (LinkRefusal::Malformed, "Badly formed token"),
    ] {
        let world = World::with(tenant());
        world.instance.run(&["sync"]).ok();
        let first = world.link().unwrap();
        world.entra.change(|tenant| {
            tenant.set_presence("ada", Presence::Deleted);
            tenant.refuse_links(why);
        });
        let ran = world.instance.run(&["sync"]).ok();
        assert!(ran.err.contains(told) && ran.err.contains("not accepted any more"), "{}", ran.err);
        assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
        assert_ne!(world.link().unwrap(), first);
        assert_eq!(world.instance.run(&["sync"]).ok().err, "");
    }
    // The token does not follow a link to somewhere else.
    let world = World::with(tenant());
    world.instance.run(&["sync"]).ok();
    world
        .instance
        .change(|data| data["userDeltaToken"] = "http://127.0.0.1:1/v1.0/users/delta?$deltatoken=x".into());
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    let ran = world.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("not one of this server"), "{}", ran.err);
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

/// What passes is no reason to give the link up: nobody else tells of those who were deleted for good meanwhile.
#[test]
fn a_link_that_is_refused_for_a_while_is_kept() {
    for (why, told) in [(LinkRefusal::Unavailable, "HTTP 503"), (LinkRefusal::Denied, "HTTP 403")] {
        let world = World::with(tenant());
        world.instance.run(&["sync"]).ok();
        let first = world.link().unwrap();
        world.entra.change(|tenant| {
            tenant.set_presence("ada", Presence::Purged);
            tenant.refuse_links(why);
        });
        world.instance.run(&["sync"]).fails(1, &[told]);
        assert_eq!(world.link().unwrap(), first);
        assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
        world.entra.change(Tenant::accept_links);
        world.instance.run(&["sync"]).ok();
        assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
    }
}

/// Such as Azure AD B2C.
#[test]
fn a_tenant_without_changes_is_read_by_its_recycle_bin() {
    let world = World::with(tenant());
    world.entra.change(|tenant| tenant.refuse_links(LinkRefusal::NotKept));
    let told = world.instance.run(&["test"]).ok();
    assert!(told.err.contains("this tenant keeps no list of changes"), "{}", told.err);
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.link(), None);
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

#[test]
fn without_a_recycle_bin_there_are_still_changes() {
    let mut tenant = tenant();
    tenant.bin = Bin::Absent;
    let world = World::with(tenant);
    let ran = world.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("the recycle bin cannot be read here"), "{}", ran.err);
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    assert_eq!(world.instance.run(&["sync"]).ok().err, "");
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

/// Whatever goes wrong while changes are read: Ada leaves by this sync, or nothing happens and she leaves by the next.
#[test]
fn no_fault_loses_a_leaver() {
    let healthy = World::with(tenant());
    healthy.instance.run(&["sync"]).ok();
    let first = healthy.cloud.requests();
    healthy.instance.run(&["sync"]).ok();
    let jobs: Vec<(usize, Fault)> = (first..healthy.cloud.requests())
        .flat_map(|request| Fault::ALL.map(|fault| (request, fault)))
        .collect();
    in_parallel(&jobs, |&(request, fault)| {
        let mut world = World::behaving(tenant(), small_pages(HashMap::from([(request, fault)])));
        world.instance.set_env("BWDC_RETRY_SECONDS", "4");
        world.instance.run(&["sync"]).ok();
        let link = world.link();
        world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
        let ran = world.instance.run(&["sync"]);
        let is_there = world.organization.emails().contains(&"ada@example.org".to_owned());
        assert_eq!(
            (ran.code, is_there),
            (i32::from(is_there), ran.code == 1),
            "{fault:?} at {request}: {}",
            ran.err
        );
        assert_eq!(world.link() == link, is_there, "{fault:?} at {request}: {}", ran.err);
        world.instance.run(&["sync"]).ok();
        assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]), "{fault:?} at {request}");
    });
}

#[test]
fn a_failed_import_moves_nothing() {
    let mut world = World::with(tenant());
    world.instance.run(&["sync"]).ok();
    let first = world.link().unwrap();
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    let (id, secret) =
        (world.organization.sandbox.client_id(), world.organization.sandbox.client_secret().to_owned());
    world.instance.set_env("BW_CLIENTSECRET", "wrong");
    world.instance.run(&["logout"]);
    assert_ne!(world.instance.run(&["sync"]).code, 0);
    assert_eq!(world.link().unwrap(), first);
    world.instance.set_env("BW_CLIENTID", &id);
    world.instance.set_env("BW_CLIENTSECRET", &secret);
    // A rehearsal moves nothing either.
    world.instance.run(&["test", "--last"]).ok();
    assert_eq!(world.link().unwrap(), first);
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

#[test]
fn somebody_listed_and_deleted_is_looked_at_again() {
    let mut tenant = tenant();
    // A server that lags behind: the recycle bin has Ada, and so has the list.
    tenant.users.push(Person { presence: Presence::Deleted, ..Person::named("ada") });
    tenant.groups.clear();
    let world = World::with(tenant);
    let ran = world.instance.run(&["sync"]).ok();
    assert!(world.organization.emails().contains(&"ada@example.org".to_owned()), "{}", ran.err);
    assert_eq!(world.link(), None);
    world.entra.change(|tenant| {
        tenant.users.retain(|user| user.id != user_id("ada") || user.presence == Presence::Deleted)
    });
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
    assert!(world.link().is_some());
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

#[test]
fn logins_that_are_refused() {
    let world = World::with(tenant());
    let sync = || world.instance.run(&["sync"]);
    world.set("key", "very-secret");
    let ran = sync().fails(
        1,
        &["HTTP 401, invalid_client: AADSTS7000215: Invalid client secret", "(trace ", "not its Secret ID"],
    );
    assert!(!ran.err.contains("very-secret"), "{}", ran.err);
    world.set("key", SECRET);
    world.entra.change(|tenant| tenant.secret.ends = "2024-01-01T00:00:00Z".to_owned());
    sync().fails(1, &["AADSTS7000222", "The client secret has expired"]);
    world.set("tenant", "nowhere.example.org");
    sync().fails(1, &["AADSTS90002: Tenant 'nowhere.example.org' not found.", "Check entra.tenant"]);
    world.set("tenant", DOMAIN);
    world.set("applicationId", TENANT);
    sync().fails(1, &["AADSTS700016", "Check entra.applicationId"]);
    for name in ["applicationId", "tenant", "key"] {
        world.set(name, Value::Null);
        sync().fails(1, &["Directory configuration incomplete.", &format!("entra.{name}")]);
        world.set(
            name,
            if name == "key" {
                SECRET
            } else if name == "tenant" {
                TENANT
            } else {
                APPLICATION
            },
        );
    }
    world.set("identityAuthority", "login.windows.net");
    sync().fails(
        1,
        &[
            "Directory configuration incomplete.",
            "entra.identityAuthority",
            "login.partner.microsoftonline.cn",
        ],
    );
    assert_eq!(world.organization.imports(), 0);
}

#[test]
fn permissions_that_are_missing_are_named() {
    let world = World::with(tenant());
    world.entra.change(|tenant| tenant.permissions = vec!["User.Read.All"]);
    let words =
        ["HTTP 403, Authorization_RequestDenied: Insufficient privileges", "Group.Read.All", "admin consent"];
    world.instance.run(&["sync"]).fails(1, &words);
    let doctor = world.doctor(1);
    assert!(doctor.contains("missing: Group.Read.All; granted: User.Read.All"), "{doctor}");
    assert!(doctor.contains("Authorization_RequestDenied"), "{doctor}");
    world.entra.change(|tenant| tenant.permissions = vec!["Group.Read.All"]);
    world.instance.run(&["sync"]).fails(1, &["HTTP 403", "User.Read.All"]);
    world.entra.change(|tenant| tenant.permissions = vec!["Directory.Read.All", "Application.Read.All"]);
    world.instance.run(&["sync"]).ok();
    let soon = jiff_in_days(10);
    world.entra.change(|tenant| tenant.secret.ends = soon.clone());
    let doctor = world.doctor(0);
    assert!(doctor.contains(&format!("Entra client secret bwdc: good until {}", &soon[..10])), "{}", doctor);
}

/// A day from now, as Graph tells it.
fn jiff_in_days(days: u64) -> String {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + days * 86_400;
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"])
        .arg(format!("@{seconds}"))
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn with_a_certificate() {
    let world = World::with(tenant());
    let folder = world.instance.data_folder();
    let path = RsaKey::make().certified(&folder, 2199);
    let (other, ended) = (RsaKey::make(), RsaKey::make());
    world.set("key", Value::Null);
    world.set("certificateFile", path.file_name().unwrap().to_str().unwrap());
    world.instance.run(&["sync"]).fails(1, &["AADSTS700027", "Upload the certificate"]);
    world.entra.change(|tenant| tenant.certificate = Some(der(&path)));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
    let doctor = world.doctor(0);
    assert!(doctor.contains("by a certificate") && doctor.contains("good until 2199-12-31"), "{}", doctor);
    // A key that is not the certificate's.
    let mixed = fs::read_to_string(&path).unwrap();
    let mixed = mixed.split("-----BEGIN PRIVATE").next().unwrap().to_owned() + &other.private;
    fs::write(folder.join("mixed.pem"), mixed).unwrap();
    world.set("certificateFile", "mixed.pem");
    world.instance.run(&["sync"]).fails(1, &["AADSTS700027"]);
    // One that has ended.
    let ended = ended.certified(&folder, 2021);
    world.entra.change(|tenant| tenant.certificate = Some(der(&ended)));
    world.set("certificateFile", ended.to_str().unwrap());
    let doctor = world.doctor(1);
    assert!(doctor.contains("good until 2021-12-31"), "{}", doctor);
    fs::write(folder.join("broken.pem"), "no certificate").unwrap();
    for (file, reason) in [("broken.pem", "no PEM certificate"), ("missing.pem", "No such file")] {
        world.set("certificateFile", file);
        world.instance.run(&["sync"]).fails(1, &[file, reason]);
    }
}

#[test]
fn with_a_federated_token() {
    let mut world = World::with(tenant());
    let path = world.instance.data_folder().join("token");
    // Header and claims of a token as Kubernetes makes them, with nobody's signature.
    let token =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0.c2lnbmF0dXJl";
    fs::write(&path, format!("{token}\n")).unwrap();
    for name in ["key", "tenant", "applicationId"] {
        world.set(name, Value::Null);
    }
    world.instance.set_env("AZURE_TENANT_ID", TENANT);
    world.instance.set_env("AZURE_CLIENT_ID", APPLICATION);
    world.instance.set_env("AZURE_FEDERATED_TOKEN_FILE", path.to_str().unwrap());
    let ran = world.instance.run(&["sync"]).fails(1, &["AADSTS700213", "issuer, subject and audience"]);
    assert!(!ran.err.contains(token), "{}", ran.err);
    world.entra.change(|tenant| tenant.federated_token = Some(token.to_owned()));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
    let doctor = world.doctor(0);
    assert!(doctor.contains("by a federated token") && !doctor.contains("entra.key"), "{}", doctor);
    world.instance.unset_env("AZURE_FEDERATED_TOKEN_FILE");
    world.instance.run(&["sync"]).fails(1, &["Directory configuration incomplete.", "entra.key"]);
    world.set("federatedTokenFile", "token");
    world.instance.run(&["sync"]).ok();
    fs::write(&path, "").unwrap();
    world.instance.run(&["sync"]).fails(1, &["Reading the federated token", "the file is empty"]);
}

#[test]
fn a_token_that_ends_half_way_is_renewed() {
    // Twenty pages of people, one after another; the recycle bin is long done by then.
    let faults = HashMap::from([(10, Fault::ExpiredToken), (16, Fault::ExpiredToken)]);
    let company = Company::of_size(60, 0, 0);
    let world = World::behaving(Tenant::from(&company), small_pages(faults));
    world.instance.run(&["config", "sync.groups", "false"]).ok();
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.count("/oauth2/v2.0/token"), 3);
    assert_eq!(world.organization.emails().len(), 60);
}

#[test]
fn the_clouds_of_governments() {
    let world = World::with(tenant());
    for authority in ["login.microsoftonline.us", "login.partner.microsoftonline.cn"] {
        world.instance.run(&["config", "entra.identityAuthority", authority]).ok();
        world.instance.run(&["test"]).ok();
    }
    let mut instance = world.instance;
    instance.unset_env("BWDC_ENTRA_LOGIN_URL");
    instance.set_env("BWDC_RETRY_SECONDS", "0.1");
    instance.set_env("HTTPS_PROXY", "http://127.0.0.1:1");
    instance.run(&["sync"]).fails(1, &["https://login.partner.microsoftonline.cn"]);
    instance.set_env("BWDC_ENTRA_LOGIN_URL", "http://login.example.org");
    instance.run(&["sync"]).fails(1, &["BWDC_ENTRA_LOGIN_URL", "unprotected"]);
}

#[test]
fn init_asks_for_no_secret_where_there_is_another_login() {
    let world = World::with(tenant());
    let path = RsaKey::make().certified(world.instance.folder.path(), 2199);
    world.entra.change(|tenant| tenant.certificate = Some(der(&path)));
    let mut instance = Instance::empty();
    instance.key(&world.organization.sandbox);
    for (name, value) in PlayedEntra.environment(&world.cloud) {
        instance.set_env(name, &value);
    }
    instance.set_env("AZURE_TENANT_ID", TENANT);
    let url = world.organization.sandbox.url();
    let application = format!("entra.applicationId={APPLICATION}");
    let certificate = format!("entra.certificateFile={}", path.display());
    let arguments =
        ["--nointeraction", "init", "--server", &url, "--directory", "entra", "--set", &application, "--set"];
    instance.run(&arguments.iter().copied().chain([certificate.as_str()]).collect::<Vec<_>>()).ok();
    assert_eq!(instance.data()["directoryEntra"]["tenant"], TENANT);
    instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan", "eve"]));
}
