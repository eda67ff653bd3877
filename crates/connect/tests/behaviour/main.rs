//! Suite for every directory: the same company, in each directory's own format, must give the same result.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use bwdc_connect::directory::ldap::config::{
    Attributes, Bind, Flavour, Identity, OutsideGroups, Paging, PrimaryGroups, Referrals, SearchSettings,
    Security, Timeouts,
};
use bwdc_connect::directory::ldap::disabled::DisabledBy;
use bwdc_connect::directory::{
    self, Abilities, AnyDirectory, Ask, Config, Directory, MOST_KEPT, Others, Progress, ReadExtent,
    ReadScope, entra, file, google, ldap, okta, onelogin,
};
use bwdc_connect::http::{Network, base_url};
use bwdc_core::Secret;
use bwdc_core::entry::Status;
use bwdc_core::organization::Moment;
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};
use bwdc_sandbox::cloud::entra::{APPLICATION, Entra, SECRET, TENANT};
use bwdc_sandbox::cloud::google::Google;
use bwdc_sandbox::cloud::okta::{Okta, TOKEN};
use bwdc_sandbox::cloud::onelogin::{CLIENT_ID, CLIENT_SECRET, OneLogin};
use bwdc_sandbox::cloud::{self, Behaviour, Cloud, Company, Group, User};
use bwdc_testkit::Slapd;
use bwdc_testkit::slapd::PASSWORD;
use jiff::Timestamp;
use tempfile::TempDir;

mod changes;
mod everybody;

/// Directory with the company, and the objects that keep it running.
struct World {
    directory: AnyDirectory,
    nesting: Nesting,
    _keeps: Vec<Box<dyn Any>>,
}

/// Whether groups can be members of groups, and members can be unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Possible,
    Unknown,
}

const LDIF: &str = "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: E\ndc: example\n\n\
dn: ou=people,dc=example,dc=org\nobjectClass: organizationalUnit\nou: people\n\n\
dn: ou=groups,dc=example,dc=org\nobjectClass: organizationalUnit\nou: groups\n\n\
dn: uid=joe,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: joe\ncn: joe\nsn: joe\nmail: Joe@Example.org\n\n\
dn: uid=ann,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: ann\ncn: ann\nsn: ann\nmail: ann@example.org\n\n\
dn: uid=nomail,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: nomail\ncn: x\nsn: x\n\n\
dn: cn=Outer,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: Outer\n\
member: cn=Inner,ou=groups,dc=example,dc=org\nmember: uid=ghost,ou=people,dc=example,dc=org\n\n\
dn: cn=Inner,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: Inner\n\
member: uid=joe,ou=people,dc=example,dc=org\nmember: uid=nomail,ou=people,dc=example,dc=org\n\
member: cn=Outer,ou=groups,dc=example,dc=org\n\n";

fn ldap(paging: Paging) -> World {
    let slapd = Slapd::with(LDIF);
    let config = ldap::Config { paging, ..ldap_config(&slapd) };
    let directory = directory::open(Config::Ldap(Box::new(config))).unwrap();
    World { directory, nesting: Nesting::Possible, _keeps: vec![Box::new(slapd)] }
}

fn ldap_config(slapd: &Slapd) -> ldap::Config {
    let search = |path: &str, class: &str| SearchSettings {
        path: path.into(),
        object_class: class.into(),
        filter: None,
    };
    ldap::Config {
        host: "127.0.0.1".into(),
        fallbacks: Vec::new(),
        port: slapd.port(),
        security: Security::Plain,
        bind: Bind::Simple { username: slapd.reader(), password: Secret::from(PASSWORD) },
        flavour: Flavour::Generic,
        paging: Paging::Pages,
        root: "dc=example,dc=org".into(),
        users: search("ou=people", "inetOrgPerson"),
        groups: search("ou=groups", "groupOfNames"),
        attributes: Attributes {
            email: "mail".into(),
            made_email: None,
            group_name: "cn".into(),
            member: "member".into(),
            revision: None,
        },
        identity: Identity::GuidOrDn,
        disabled_by: Vec::new(),
        primary_groups: PrimaryGroups::Ignored,
        referrals: Referrals::Report,
        outside_groups: OutsideGroups::Ignored,
        timeouts: Timeouts::default(),
    }
}

fn files(write: impl FnOnce(&TempDir)) -> World {
    let folder = tempfile::tempdir().unwrap();
    write(&folder);
    let config = file::Config { path: folder.path().to_owned() };
    let directory = directory::open(Config::File(Box::new(config))).unwrap();
    World { directory, nesting: Nesting::Possible, _keeps: vec![Box::new(folder)] }
}

fn csv() -> World {
    files(|folder| {
        fs::write(
            folder.path().join("users.csv"),
            "id,email\njoe,Joe@Example.org\nann,ann@example.org\nnomail,\n",
        )
        .unwrap();
        fs::write(
            folder.path().join("groups.csv"),
            "name,members\nOuter,Inner;ghost\nInner,joe;nomail;Outer\n",
        )
        .unwrap();
    })
}

fn json() -> World {
    files(|folder| {
        let users = r#"[{"id":"joe","email":"Joe@Example.org"},{"id":"ann","email":"ann@example.org"},{"id":"nomail"}]"#;
        let groups = r#"[{"name":"Outer","members":["Inner","ghost"]},{"name":"Inner","members":["joe","nomail","Outer"]}]"#;
        fs::write(folder.path().join("users.json"), users).unwrap();
        fs::write(folder.path().join("groups.json"), groups).unwrap();
    })
}

/// Company in the sandbox's format.
fn played() -> Company {
    let person = |name: &str, email: Option<&str>| User {
        name: name.to_owned(),
        email: email.map(str::to_owned),
        status: cloud::Status::Active,
    };
    let group = |name: &str, users: &[&str], groups: &[&str]| Group {
        name: name.to_owned(),
        users: users.iter().map(|&user| user.to_owned()).collect(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    };
    Company {
        users: vec![
            person("joe", Some("Joe@Example.org")),
            person("ann", Some("ann@example.org")),
            person("nomail", None),
        ],
        groups: vec![group("Outer", &["ghost"], &["Inner"]), group("Inner", &["joe", "nomail"], &["Outer"])],
    }
}

/// Page size small enough for several pages.
fn small_pages() -> Behaviour {
    Behaviour { page: 2, ..Behaviour::default() }
}

async fn okta() -> World {
    let cloud = Okta::from(&played()).start(small_pages()).await.unwrap();
    let directory = directory::open(Config::Okta(Box::new(okta_config(&cloud)))).unwrap();
    World { directory, nesting: Nesting::Unknown, _keeps: vec![Box::new(cloud)] }
}

fn okta_config(cloud: &Cloud) -> okta::Config {
    okta::Config {
        org_url: okta::Config::org_url(&cloud.url()).unwrap(),
        credentials: okta::Credentials::Token(Secret::from(TOKEN)),
        user_filter: None,
        group_filter: None,
        network: Network::default(),
    }
}

async fn google() -> World {
    let cloud = Google::from(&played()).start(small_pages()).await.unwrap();
    let directory = directory::open(Config::Google(Box::new(google_config(&cloud)))).unwrap();
    World { directory, nesting: Nesting::Possible, _keeps: vec![Box::new(cloud)] }
}

fn google_config(cloud: &Cloud) -> google::Config {
    let key_file = Secret::from(cloud::google::key_file(cloud));
    let account = google::ServiceAccount::new(None, Some(key_file), None).unwrap();
    google::Config {
        admin_user: cloud::google::ADMIN.to_owned(),
        part: google::Tenancy::Domain(cloud::google::DOMAIN.to_owned()),
        user_query: None,
        group_query: None,
        token_url: google::Config::token_url(None, &account).unwrap(),
        api_url: google::Config::api_url(Some(("here", cloud.url()))).unwrap(),
        network: Network::default(),
        account,
    }
}

async fn onelogin() -> World {
    let cloud = OneLogin::from(&played()).start(small_pages()).await.unwrap();
    let directory = directory::open(Config::OneLogin(Box::new(onelogin_config(&cloud)))).unwrap();
    World { directory, nesting: Nesting::Unknown, _keeps: vec![Box::new(cloud)] }
}

fn onelogin_config(cloud: &Cloud) -> onelogin::Config {
    onelogin::Config {
        api_url: base_url("test", &cloud.url(), "").unwrap(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::from(CLIENT_SECRET),
        email_suffix: None,
        network: Network::default(),
    }
}

async fn entra() -> World {
    let cloud = Entra::from(&played()).start(small_pages()).await.unwrap();
    let directory = directory::open(Config::Entra(Box::new(entra_config(&cloud)))).unwrap();
    World { directory, nesting: Nesting::Possible, _keeps: vec![Box::new(cloud)] }
}

fn entra_config(cloud: &Cloud) -> entra::Config {
    let authority = entra::Authority::Public;
    entra::Config {
        authority,
        login_url: authority.login_url("LOGIN", Some(&cloud.url())).unwrap(),
        graph_url: authority.graph_url("GRAPH", Some(&cloud.url())).unwrap(),
        tenant: TENANT.to_owned(),
        application_id: APPLICATION.to_owned(),
        credential: entra::Credential::Secret(Secret::from(SECRET)),
        user_filter: entra::EntraFilter::default(),
        group_filter: entra::EntraFilter::default(),
        outside_groups: entra::OutsideGroups::Ignored,
        network: Network::default(),
    }
}

async fn worlds() -> Vec<(&'static str, World)> {
    vec![
        ("ldap, paged", ldap(Paging::Pages)),
        ("ldap, unpaged", ldap(Paging::Unpaged)),
        ("csv", csv()),
        ("json", json()),
        ("google", google().await),
        ("entra", entra().await),
        ("okta", okta().await),
        ("onelogin", onelogin().await),
    ]
}

async fn read(world: &World, scope: ReadScope) -> (Snapshot, (u64, u64)) {
    let progress = Arc::new(Progress::default());
    let ask = Ask { scope, extent: ReadExtent::Everything, others: Others::WhenNeeded };
    let snapshot = world.directory.read(&ask, &progress).await.unwrap();
    let counts = progress.counts();
    (snapshot, (counts.users, counts.groups))
}

#[tokio::test]
async fn everybody_arrives_with_address_and_status() {
    for (name, world) in worlds().await {
        let (snapshot, counts) = read(&world, ReadScope::UsersAndGroups).await;
        let emails: Vec<_> =
            snapshot.users.iter().map(|user| user.email.as_ref().map(|e| e.as_str())).collect();
        assert_eq!(emails, [Some("ann@example.org"), Some("joe@example.org"), None], "{name}");
        assert!(snapshot.users.iter().all(|user| user.status == Status::Active), "{name}");
        assert_eq!((snapshot.coverage, counts), (Coverage::Full, (3, 2)), "{name}");
    }
}

#[tokio::test]
async fn members_are_references_to_people_and_groups() {
    for (name, world) in worlds().await {
        let (snapshot, _) = read(&world, ReadScope::UsersAndGroups).await;
        let people = snapshot.users.iter().map(|user| (&user.reference_id, user.external_id.as_str()));
        let groups = snapshot.groups.iter().map(|group| (&group.reference_id, group.name.as_str()));
        let known: BTreeMap<_, _> = people.chain(groups).collect();
        let members = |group: &str| {
            let group = snapshot.groups.iter().find(|found| found.name == group).unwrap();
            let found = group.members.iter().filter(|member| known.contains_key(member)).count();
            (found, group.members.len() - found)
        };
        let expected = match world.nesting {
            Nesting::Possible => ((1, 1), (3, 0)),
            Nesting::Unknown => ((0, 0), (2, 0)),
        };
        assert_eq!((members("Outer"), members("Inner")), expected, "{name}: (known, unknown) members");
    }
}

#[tokio::test]
async fn each_half_can_be_read_alone() {
    for (name, world) in worlds().await {
        let (users, _) = read(&world, ReadScope::Users).await;
        assert_eq!((users.users.len(), users.others.len(), users.groups.len()), (3, 0, 0), "{name}");
        let (groups, _) = read(&world, ReadScope::Groups).await;
        assert_eq!((groups.users.len(), groups.others.len(), groups.groups.len()), (0, 3, 2), "{name}");
    }
}

/// People, groups and members share one limit on memory.
#[tokio::test]
async fn a_directory_without_end_does_not_fill_the_memory() {
    for (name, world) in worlds().await {
        for scope in [ReadScope::Users, ReadScope::Groups] {
            let ask = Ask { scope, extent: ReadExtent::Everything, others: Others::WhenNeeded };
            let progress = Arc::new(Progress::default());
            progress.keep(usize::try_from(MOST_KEPT).unwrap() - 100).unwrap();
            let error = world.directory.read(&ask, &progress).await.unwrap_err().to_string();
            assert!(error.contains("more than 4 GiB of people, groups and members"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn reading_twice_gives_the_same() {
    for (name, world) in worlds().await {
        let (one, _) = read(&world, ReadScope::UsersAndGroups).await;
        let (other, _) = read(&world, ReadScope::UsersAndGroups).await;
        assert_eq!((one.users, one.groups), (other.users, other.groups), "{name}");
        let Abilities { tombstones: _ } = world.directory.abilities();
    }
}

#[tokio::test]
async fn each_place_is_covered_by_its_own_directory_only() {
    let worlds = worlds().await;
    let mut places = Vec::new();
    for (name, world) in &worlds {
        let (snapshot, _) = read(world, ReadScope::Users).await;
        places.push((*name, snapshot.place.unwrap()));
    }
    for (name, world) in &worlds {
        for (of, place) in &places {
            // Both servers hold the same tree.
            let is_own = name == of || (name.starts_with("ldap") && of.starts_with("ldap"));
            assert_eq!(world.directory.covers(place), is_own, "{name}: {place}");
        }
        assert!(!world.directory.covers(&Place::from("")), "{name}");
    }
}

#[tokio::test]
async fn creation_times_are_read_where_there_are_any() {
    for (name, world) in worlds().await {
        for scope in [ReadScope::Users, ReadScope::Groups] {
            let (snapshot, _) = read(&world, scope).await;
            let people = snapshot.users.iter().chain(&snapshot.others);
            let known = people.filter(|user| snapshot.created.contains_key(&user.external_id)).count();
            let expected = if matches!(name, "csv" | "json") { 0 } else { 3 };
            assert_eq!((known, snapshot.created.len()), (expected, expected), "{name}");
            // Nobody has been created in the future, or before there were directories.
            let plausible = Moment(700_000_000)..Moment(Timestamp::now().as_second() + 3_600);
            assert!(snapshot.created.values().all(|created| plausible.contains(created)), "{name}");
        }
    }
}

#[test]
fn a_file_is_the_same_place_by_any_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let open = |path: PathBuf| directory::open(Config::File(Box::new(file::Config { path }))).unwrap();
    fs::create_dir(path.join("monday")).unwrap();
    fs::create_dir(path.join("tuesday")).unwrap();
    symlink("monday", path.join("today")).unwrap();
    let place = |name: &str| Place::from(format!("file {}", path.join(name).display()));
    let today = open(path.join("today"));
    assert!(open(path.join("./monday/../today/")).covers(&place("today")));
    assert!(today.covers(&place("monday")) && !today.covers(&place("tuesday")));
    fs::remove_file(path.join("today")).unwrap();
    symlink("tuesday", path.join("today")).unwrap();
    assert!(
        today.covers(&place("today")) && today.covers(&place("tuesday")) && !today.covers(&place("monday"))
    );
}
