//! Google Workspace.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bwdc_sandbox::Options;
use bwdc_sandbox::cloud::google::{self, Account, Google, Member, Person, Team};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Played, instance, mails, runtime, small_pages};
use crate::harness::{Instance, Organization, Ran};

struct PlayedGoogle;

impl Played for PlayedGoogle {
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud {
        runtime.block_on(Google::from(company).start(behaviour)).unwrap()
    }

    fn section(&self, _: &Cloud) -> (u8, &'static str, Value) {
        let values = json!({
            "clientEmail": google::CLIENT_EMAIL, "privateKey": google::PRIVATE_KEY,
            "adminUser": google::ADMIN, "domain": google::DOMAIN,
        });
        (2, "directoryGsuite", values)
    }

    fn environment(&self, cloud: &Cloud) -> Vec<(&'static str, String)> {
        vec![
            ("BWDC_GOOGLE_TOKEN_URL", format!("{}/token", cloud.url())),
            ("BWDC_GOOGLE_API_URL", cloud.url()),
        ]
    }

    fn renews_tokens(&self) -> bool {
        true
    }
}

#[test]
fn one_fault_at_every_request() {
    super::one_fault_at_every_request(&PlayedGoogle);
}

#[test]
fn snapshots_replay() {
    super::snapshots_replay(&PlayedGoogle);
}

#[test]
fn one_is_looked_up() {
    super::one_is_looked_up(&PlayedGoogle, "group2", super::GroupById::Found);
}

#[test]
fn faults_that_stay() {
    super::faults_that_stay(&PlayedGoogle);
}

#[test]
fn nulls_where_the_schema_allows_them() {
    super::nulls_where_the_schema_allows_them(&PlayedGoogle);
}

#[test]
fn enormous_numbers() {
    super::enormous_numbers(&PlayedGoogle);
}

#[test]
fn repeated_secrets() {
    super::repeated_secrets(&PlayedGoogle);
}

#[test]
fn an_expired_page_token() {
    super::an_expired_page_token(&PlayedGoogle);
}

/// Google reports no limits in its answers: the documented 2,400 requests go at once, and the others when the first of these are a minute old.
#[test]
fn the_limit_is_never_exceeded() {
    let runtime = runtime();
    let google = Google::from(&Company::of_size(10, 2_430, 2));
    let world = World::of(&runtime, google, Behaviour::default());
    let ran = world.run(&["sync"]).ok();
    assert!(ran.out.contains("Synced 2430 group(s) and 10 user(s)."), "{}", ran.out);
    assert_eq!((world.cloud.exceeded(), world.cloud.requests()), (0, 1 + 1 + 1 + 13 + 2_430));
}

/// Google Workspace, an organization, and an instance between them.
struct World {
    instance: Instance,
    organization: Organization,
    cloud: Cloud,
}

impl World {
    fn of(runtime: &Runtime, google: Google, behaviour: Behaviour) -> Self {
        let cloud = runtime.block_on(google.start(behaviour)).unwrap();
        let organization = Organization::start(Options::default());
        let mut instance = instance(&PlayedGoogle, &cloud, &organization);
        instance.change(|data| data["sync"]["largeImport"] = true.into());
        instance.set_env("BWDC_RETRY_SECONDS", "20");
        Self { instance, organization, cloud }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.instance.run(arguments)
    }

    fn set(&self, name: &str, value: Value) {
        self.instance.change(|data| data["directoryGsuite"][name] = value);
    }

    /// Clears the settings that a key file contains, and names a key file.
    fn use_key_file(&mut self) -> PathBuf {
        let path = self.instance.data_folder().join("key.json");
        fs::write(&path, google::key_file(&self.cloud)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self.set("privateKey", Value::Null);
        self.set("clientEmail", Value::Null);
        self.set("keyFile", "key.json".into());
        self.instance.unset_env("BWDC_GOOGLE_TOKEN_URL");
        path
    }
}

fn person(name: &str, account: Account, unit: &'static str) -> Person {
    Person { account, unit, ..Person::named(name) }
}

fn company() -> Google {
    let mut users = vec![
        person("jane", Account::Active, "/Sales"),
        person("bob", Account::Active, "/Sales"),
        person("sue", Account::Suspended, "/IT"),
        person("arch", Account::Archived, "/IT"),
        person("gone", Account::Deleted, "/Sales"),
    ];
    users.extend((0..4).map(|number| person(&format!("p{number}"), Account::Active, "/IT")));
    let suspended = Member { status: Some("SUSPENDED"), ..Member::user("sue") };
    let outside = Member { status: None, ..Member::user("guest") };
    let groups = vec![
        Team::named("Sales", vec![Member::user("jane"), Member::user("bob"), outside]),
        Team::named("IT", vec![Member::user("p0"), Member::user("p1"), Member::user("p2"), suspended]),
        Team::named("All", vec![Member::customer()]),
        Team::named("Both", vec![Member::group("Sales"), Member::group("IT")]),
        Team::named("Empty", vec![]),
    ];
    Google { users, groups, ..Google::default() }
}

fn world(runtime: &Runtime) -> World {
    World::of(runtime, company(), small_pages(HashMap::new()))
}

#[test]
fn people_and_groups_page_after_page() {
    let runtime = runtime();
    let world = world(&runtime);
    let ran = world.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(world.organization.emails(), mails(&["bob", "jane", "p0", "p1", "p2", "p3"]));
    assert_eq!(world.organization.group("Sales"), mails(&["bob", "jane"]));
    assert_eq!(world.organization.group("IT"), mails(&["p0", "p1", "p2"]));
    assert_eq!(world.organization.group("Both"), mails(&["bob", "jane", "p0", "p1", "p2"]));
    assert_eq!(world.organization.group("All"), mails(&["bob", "jane", "p0", "p1", "p2", "p3"]));
    assert!(world.organization.group("Empty").is_empty());
    // A token; 8 people and one who left in 3 + 1 pages; 5 groups in 2; their members in 1 + 2 + 1 + 1 + 1.
    assert_eq!(world.cloud.requests(), 13);
    assert!(world.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));
    let test = world.run(&["test"]).ok();
    assert!(test.err.contains("suspended or otherwise inactive were left out: IT (1)"), "{}", test.err);
    assert!(test.err.contains("outside the Google Workspace were left out: Sales (1)"), "{}", test.err);
    let doctor = world.run(&["doctor"]).ok().out;
    for words in [
        "the key in gsuite.key is for",
        "Google login: for admin@example.org, with all scopes",
        "Google users: 3 can be read",
        "Google groups: 3 can be read",
        "members of the group Sales: 3 can be read",
    ] {
        assert!(doctor.contains(words), "{words} is not in {doctor}");
    }
}

#[test]
fn a_member_without_a_status_counts_if_the_directory_has_that_person() {
    let runtime = runtime();
    let mut company = company();
    let untold = |name| Member { status: None, ..Member::user(name) };
    company.groups.push(Team::named("Untold", ["jane", "p3", "gone", "guest"].map(untold).to_vec()));
    let world = World::of(&runtime, company, small_pages(HashMap::new()));
    // People left out by the query belong to the directory, too.
    for query in ["", "|orgUnitPath=/Sales"] {
        world.run(&["config", "sync.userFilter", query]).ok();
        world.run(&["sync"]).ok();
        assert_eq!(world.organization.group("Untold"), mails(&["jane", "p3"]));
        let test = world.run(&["test"]).ok();
        assert!(test.err.contains("were left out: Sales (1); Untold (2)"), "{}", test.err);
    }
}

#[test]
fn suspended_and_archived_people_stay_unless_they_are_to_leave() {
    let runtime = runtime();
    let world = world(&runtime);
    world.run(&["config", "sync.removeDisabled", "false"]).ok();
    world.run(&["sync"]).ok();
    let everybody = ["arch", "bob", "jane", "p0", "p1", "p2", "p3", "sue"];
    assert_eq!(world.organization.emails(), mails(&everybody));
    // The whole customer includes suspended people; a suspended member by name does not count.
    assert_eq!(world.organization.group("All"), mails(&everybody));
    assert_eq!(world.organization.group("IT"), mails(&["p0", "p1", "p2"]));
    world.run(&["config", "sync.removeDisabled", "true"]).ok();
    world.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["bob", "jane", "p0", "p1", "p2", "p3"]));
}

#[test]
fn recreated_people_are_not_removed() {
    let runtime = runtime();
    let mut company = company();
    let again = Person { id: "id-of-somebody-new".to_owned(), ..Person::named("gone") };
    company.users.push(Person { unit: "/Elsewhere", ..again });
    let world = World::of(&runtime, company, small_pages(HashMap::new()));
    world.run(&["sync"]).ok();
    assert!(world.organization.emails().contains(&"gone@example.org".to_owned()));
    // Not even if a query leaves the new account out.
    world.run(&["config", "sync.userFilter", "|orgUnitPath=/Sales"]).ok();
    world.run(&["sync"]).ok();
    assert!(world.organization.emails().contains(&"gone@example.org".to_owned()));
}

#[test]
fn filters_of_both_kinds() {
    let runtime = runtime();
    let world = world(&runtime);
    world.run(&["config", "sync.userFilter", "exclude:bob@example.org|orgUnitPath=/Sales"]).ok();
    world.run(&["config", "sync.groupFilter", "include:sales, all"]).ok();
    world.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["jane"]));
    let test: Value = serde_json::from_str(&world.run(&["test"]).ok().out).unwrap();
    assert_eq!(test["groups"].as_array().unwrap().len(), 2);
    assert_eq!(test["deletedUsers"][0]["externalId"], "id-of-gone");
    // Members left out by the query still belong to the directory.
    let all = test["groups"].as_array().unwrap().iter().find(|group| group["displayName"] == "All").unwrap();
    assert_eq!(all["userIds"].as_array().unwrap().len(), 8, "{all}");

    world.run(&["config", "sync.groupFilter", "|email:sales*"]).ok();
    let test: Value = serde_json::from_str(&world.run(&["test"]).ok().out).unwrap();
    assert_eq!(test["groups"][0]["displayName"], "Sales");

    world.run(&["config", "sync.userFilter", "inculde:x"]).fails(1, &["did you mean `include`?"]);
    world.run(&["config", "sync.userFilter", "orgUnitPath=/Sales"]).fails(1, &["after a `|`"]);
    world.run(&["config", "sync.userFilter", "|nonsense"]).ok();
    world.run(&["sync"]).fails(1, &["HTTP 400, invalid: Invalid Input: query", "sync.userFilter"]);
}

#[test]
fn one_domain_or_all_of_a_customer() {
    let runtime = runtime();
    let mut company = company();
    company.users.push(Person { email: "x@second.example".to_owned(), ..Person::named("x") });
    let second =
        Team { email: "second@second.example".to_owned(), ..Team::named("Second", vec![Member::user("x")]) };
    company.groups.push(second);
    let world = World::of(&runtime, company, small_pages(HashMap::new()));
    let read = || -> (usize, usize) {
        let test: Value = serde_json::from_str(&world.run(&["test"]).ok().out).unwrap();
        (test["enabledUsers"].as_array().unwrap().len(), test["groups"].as_array().unwrap().len())
    };
    assert_eq!(read(), (6, 5));
    world.set("customer", google::CUSTOMER.into());
    assert_eq!(read(), (6, 5));
    let ran = world.run(&["test"]).ok();
    assert!(ran.err.contains("gsuite.customer C0sandbox has no effect"), "{}", ran.err);
    world.set("domain", Value::Null);
    assert_eq!(read(), (7, 6));
    world.set("customer", "my_customer".into());
    assert_eq!(read(), (7, 6));
    world.set("customer", "Example Ltd".into());
    world.run(&["sync"]).fails(1, &["HTTP 400, badRequest: Bad Request", "gsuite.customer", "C0abc123"]);
    world.set("customer", Value::Null);
    world.run(&["sync"]).fails(1, &["Directory configuration incomplete.", "gsuite.domain"]);
    world.set("domain", "exampel.org".into());
    world.run(&["sync"]).fails(1, &["HTTP 404, notFound: Domain not found.", "gsuite.domain", "exampel.org"]);
}

#[test]
fn a_group_deleted_meanwhile_is_left_out() {
    let runtime = runtime();
    let mut company = company();
    company.vanishing.insert("id-of-group-Sales".to_owned());
    let world = World::of(&runtime, company, Behaviour::default());
    let ran = world.run(&["sync"]).ok();
    assert!(ran.err.contains("the group was deleted while it was read"), "{}", ran.err);
    assert_eq!(world.organization.sandbox.groups().unwrap().len(), 4);
}

#[test]
fn keys_in_several_forms() {
    let runtime = runtime();
    let mut world = world(&runtime);
    let key = google::PRIVATE_KEY;
    for way in [key.replace('\n', "\\n"), format!("  \n {key}"), format!("\"{}\"", key.replace('\n', "\\n"))]
    {
        world.set("privateKey", way.into());
        world.run(&["test"]).ok();
    }
    // The whole file instead of the key.
    world.set("clientEmail", Value::Null);
    world.set("privateKey", google::key_file(&world.cloud).into());
    world.instance.unset_env("BWDC_GOOGLE_TOKEN_URL");
    world.run(&["test"]).ok();
    world.set("privateKey", Value::Null);
    let file = world.instance.folder.path().join("pasted.json");
    fs::write(&file, google::key_file(&world.cloud)).unwrap();
    world.run(&["config", "gsuite.key", "--secretfile", &file.display().to_string()]).ok();
    world.run(&["test"]).ok();
    world.set("privateKey", Value::Null);
    world.run(&["test"]).fails(1, &["Directory configuration incomplete.", "gsuite."]);
}

#[test]
fn a_key_file() {
    let runtime = runtime();
    let mut world = world(&runtime);
    let path = world.use_key_file();
    let ran = world.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    let doctor = world.run(&["doctor"]).ok().out;
    assert!(!doctor.contains("Secret gsuite.key") && doctor.contains("key.json is for"), "{doctor}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = world.run(&["test"]).ok();
    assert!(ran.err.contains("mode 644") && ran.err.contains("chmod 600"), "{}", ran.err);
    world.set("clientEmail", "other@p.iam.gserviceaccount.com".into());
    world.run(&["test"]).fails(1, &["gsuite.clientEmail is other@", "bwdc config unset gsuite.clientEmail"]);
    world.set("clientEmail", Value::Null);
    fs::write(&path, r#"{"installed":{"client_secret":"hunter2"}}"#).unwrap();
    let ran = world.run(&["test"]).fails(1, &["key.json", "`client_email` is missing"]);
    assert!(!ran.err.contains("hunter2"));
    fs::remove_file(&path).unwrap();
    world.run(&["test"]).fails(1, &["key.json", "gsuite.keyFile"]);
}

#[test]
fn wrong_keys_and_accounts() {
    let runtime = runtime();
    let world = world(&runtime);
    let refused = |words: &[&str]| {
        let ran = world.run(&["sync"]).fails(1, words);
        assert!(!ran.err.contains("MII") && !ran.err.contains("eyJ"), "{}", ran.err);
    };
    world.set("privateKey", google::STRANGERS_PRIVATE_KEY.into());
    refused(&["HTTP 400, invalid_grant: Invalid JWT Signature.", "The key in gsuite.key does not belong to"]);
    world.set("privateKey", google::PRIVATE_KEY[..200].into());
    refused(&["gsuite.key", "no -----END line"]);
    world.set("privateKey", google::PRIVATE_KEY.into());
    world.set("clientEmail", "gone@p.iam.gserviceaccount.com".into());
    refused(&["account not found", "gone@p.iam.gserviceaccount.com is deleted or misspelt"]);
    world.set("clientEmail", google::CLIENT_EMAIL.into());
    for nobody in ["nobody@example.org", "sue@example.org", "gone@example.org"] {
        world.set("adminUser", nobody.into());
        refused(&["invalid_grant: Invalid email or User ID", "gsuite.adminUser", nobody]);
    }
    world.set("adminUser", "jane@example.org".into());
    refused(&["HTTP 403, forbidden: Not Authorized to access this resource/api", "administrator role"]);
    world.set("adminUser", Value::Null);
    refused(&["Directory configuration incomplete.", "gsuite.adminUser"]);
    assert_eq!(world.organization.imports(), 0);
}

#[test]
fn addresses_are_protected() {
    let runtime = runtime();
    let mut world = world(&runtime);
    world.instance.set_env("BWDC_GOOGLE_API_URL", "http://admin.googleapis.com");
    world.run(&["sync"]).fails(1, &["BWDC_GOOGLE_API_URL", "unprotected"]);
    world.instance.set_env("BWDC_GOOGLE_API_URL", &world.cloud.url());
    world.instance.set_env("BWDC_GOOGLE_TOKEN_URL", "http://example.org/token");
    world.run(&["sync"]).fails(1, &["BWDC_GOOGLE_TOKEN_URL", "unprotected"]);
}

#[test]
fn a_missing_scope_is_named() {
    let runtime = runtime();
    let mut company = company();
    company.delegated.retain(|scope| !scope.contains("member"));
    let mut world = World::of(&runtime, company, Behaviour::default());
    world.use_key_file();
    world.run(&["sync"]).fails(
        1,
        &[
            "HTTP 401, unauthorized_client",
            "client id 100000000000000000001",
            google::SCOPES[0],
            google::SCOPES[2],
        ],
    );
    let doctor = world.run(&["doctor"]).fails(1, &[]).out;
    for (scope, is_granted) in google::SCOPES.into_iter().zip([true, true, false]) {
        let granted = doctor.contains(&format!("Google scope {scope}: granted"));
        assert_eq!(granted, is_granted, "{doctor}");
    }
    assert!(doctor.contains(&format!("Google scope {}: Logging in", google::SCOPES[2])), "{doctor}");

    let nothing = Google { delegated: Vec::new(), ..Google::from(&Company::sample()) };
    let world = World::of(&runtime, nothing, Behaviour::default());
    let doctor = world.run(&["doctor"]).fails(1, &[]).out;
    assert!(doctor.contains("Google login: Logging in") && !doctor.contains("Google scope"), "{doctor}");
    assert!(doctor.contains("`client_id` in its key file"), "{doctor}");
}

#[test]
fn init_accepts_a_key_file_instead_of_address_and_key() {
    let runtime = runtime();
    let cloud = runtime.block_on(company().start(Behaviour::default())).unwrap();
    let organization = Organization::start(Options::default());
    let mut instance = Instance::empty();
    instance.key(&organization.sandbox);
    instance.set_env("BWDC_GOOGLE_API_URL", &cloud.url());
    let path = instance.folder.path().join("key.json");
    fs::write(&path, google::key_file(&cloud)).unwrap();
    let key_file = format!("gsuite.keyFile={}", path.display());
    let server = organization.sandbox.url();
    let with = |settings: &[&str]| {
        let mut arguments = vec!["--nointeraction", "init", "--server", &server, "--directory", "gsuite"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        instance.run(&arguments)
    };
    let admin = "gsuite.adminUser=admin@example.org";
    with(&[admin, "gsuite.domain=example.org"]).fails(1, &["gsuite.clientEmail is missing"]);
    with(&[&key_file, admin]).fails(1, &["gsuite.domain is missing"]);
    with(&[&key_file, admin, "gsuite.customer=my_customer"]).ok();
    let ran = with(&[&key_file, admin, "gsuite.customer=", "gsuite.domain=example.org"]).ok();
    assert!(ran.err.contains("Google login: for admin@example.org"), "{}", ran.err);
    assert_eq!(instance.data()["directoryGsuite"]["keyFile"], path.display().to_string());
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 8);
}

/// Ends the sandbox when the test ends.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_commands_printed_by_the_sandbox_work() {
    let mut instance = Instance::empty();
    let temporary = instance.folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    instance.set_env("TMPDIR", temporary.to_str().unwrap());
    let left = || std::fs::read_dir(&temporary).unwrap().count();
    for name in ["google", "gsuite"] {
        let mut sandbox = Running(instance.spawn(&["sandbox", "--directory", name]));
        let mut commands = Vec::new();
        for line in BufReader::new(sandbox.0.stdout.take().unwrap()).lines() {
            commands.extend(line.unwrap().strip_prefix("  ").map(str::to_owned));
            if commands.last().is_some_and(|command| command == "bwdc sync") {
                break;
            }
        }
        let program = env!("CARGO_BIN_EXE_bwdc");
        let script =
            format!("set -e\nrm -rf rehearsal\nbwdc() {{ '{program}' \"$@\"; }}\n{}", commands.join("\n"));
        let shell = instance.command_of(Path::new("/bin/sh"), &["-c", &script]).output().unwrap();
        let ran = Ran::from(shell).ok();
        assert!(ran.out.contains("Synced 5 group(s) and 12 user(s)."), "{name}: {}\n{}", ran.out, ran.err);
        assert_eq!(left(), 1, "the key file's folder");
        let ended = std::process::Command::new("kill").arg(sandbox.0.id().to_string()).status().unwrap();
        assert!(ended.success() && sandbox.0.wait().unwrap().success());
        assert_eq!(left(), 0);
    }
}
