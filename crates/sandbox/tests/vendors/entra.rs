//! `@microsoft/microsoft-graph-client` and `@azure/identity`.

use std::collections::BTreeMap;

use bwdc_sandbox::cloud::entra::{
    APPLICATION, Entra, LinkRefusal, Presence, SECRET, TENANT, Tenant, user_id,
};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company, Status, Tls};
use bwdc_testkit::{Certificates, RsaKey};
use serde_json::Value;
use tempfile::TempDir;

use crate::{emails, memberships, node_trusting, small_pages, sorted, text};

/// Over TLS, which Microsoft's clients require.
struct World {
    entra: Entra,
    cloud: Cloud,
    certificates: Certificates,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::make(folder.path());
        let server = certificates.server.clone();
        let tls = Some(Tls { certificate: server.certificate, key: server.key });
        let entra = Entra::from(&Company::sample());
        let cloud = entra.clone().start(Behaviour { tls, ..small_pages() }).await.unwrap();
        Self { entra, cloud, certificates, folder }
    }

    fn told(&self, proof: &str, link: Option<&str>) -> Value {
        let url = self.cloud.url();
        let arguments: Vec<&str> = [&url, TENANT, APPLICATION, proof].into_iter().chain(link).collect();
        node_trusting(&self.certificates.ca, "entra.mjs", &arguments)
    }
}

fn list<'a>(told: &'a Value, name: &str) -> &'a Vec<Value> {
    told[name].as_array().unwrap_or_else(|| panic!("no list {name} in {told}"))
}

fn name(id: &Value) -> Option<String> {
    let users = Company::sample().users;
    users.into_iter().map(|user| user.name).find(|name| user_id(name) == id["id"])
}

fn mails(users: &[Value]) -> Vec<String> {
    sorted(users.iter().map(|user| text(user, "mail")))
}

#[tokio::test(flavor = "multi_thread")]
async fn microsoft_graph_client_reads_the_same_people() {
    let world = World::start().await;
    let told = world.told(SECRET, None);
    let (enabled, disabled): (Vec<Value>, Vec<Value>) =
        list(&told, "users").iter().cloned().partition(|user| user["accountEnabled"] == true);
    assert_eq!(mails(&enabled), emails(Status::Active));
    assert_eq!(mails(&disabled), emails(Status::Disabled));
    assert_eq!(mails(list(&told, "deleted")), emails(Status::Deleted));
    let people = |group: &Value, members: &str| {
        let members = list(group, members).iter();
        sorted(members.filter(|member| member["@odata.type"] == "#microsoft.graph.user").filter_map(name))
    };
    let groups = list(&told, "groups").iter();
    let direct: BTreeMap<_, _> =
        groups.map(|group| (text(group, "displayName"), people(group, "members"))).collect();
    assert_eq!(direct, memberships());
    let engineering =
        list(&told, "groups").iter().find(|group| group["displayName"] == "Engineering").unwrap();
    assert_eq!(people(engineering, "everybody"), ["ada", "ben", "cleo", "dan", "eve", "kim"]);
    let missing = &told["missing"];
    assert_eq!((&missing["status"], &missing["code"]), (&404.into(), &"Request_ResourceNotFound".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn microsoft_graph_client_follows_changes() {
    let world = World::start().await;
    let told = world.told(SECRET, None);
    let here = sorted(emails(Status::Active).into_iter().chain(emails(Status::Disabled)));
    assert_eq!(mails(list(&told["changes"], "found")), here);
    assert!(list(&told["latest"], "found").is_empty());
    world.entra.change(|tenant| {
        tenant.set_presence("ada", Presence::Deleted);
        tenant.set_presence("ben", Presence::Purged);
        tenant.set_presence("lea", Presence::Here);
    });
    for from in ["changes", "latest"] {
        let changed = world.told(SECRET, told[from]["link"].as_str());
        let found = list(&changed, "found").iter();
        let reasons: BTreeMap<_, _> =
            found.map(|entry| (name(entry).unwrap(), entry["@removed"]["reason"].as_str())).collect();
        let expected = [("ada", Some("changed")), ("ben", Some("deleted")), ("lea", None)];
        assert_eq!(reasons, expected.map(|(name, reason)| (name.to_owned(), reason)).into());
        assert_ne!(changed["link"], told[from]["link"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_identity_logs_in_with_a_certificate() {
    let world = World::start().await;
    let path = RsaKey::make().certified(world.folder.path(), 2199);
    let uploaded = bwdc_testkit::rsa::der(&path);
    world.entra.change(|tenant: &mut Tenant| {
        tenant.certificate = Some(uploaded);
        tenant.refuse_links(LinkRefusal::Reset);
    });
    let told = world.told(path.to_str().unwrap(), None);
    assert_eq!(list(&told, "users").len(), 11);
}
