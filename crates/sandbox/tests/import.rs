//! Semantics of the server over HTTP, row by row.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use bwdc_sandbox::{Exposure, Flavour, Kind, Limits, NewMember, Options, Sandbox, Staging, Status, Storage};
use serde_json::{Value, json};

struct Client {
    sandbox: Sandbox,
    http: reqwest::Client,
    token: String,
}

impl Client {
    async fn start(options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(options).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut client = Self { sandbox, http, token: String::new() };
        client.log_in().await;
        client
    }

    async fn log_in(&mut self) {
        let (status, body) = self.token(&self.form()).await;
        assert_eq!(status, 200, "{body}");
        self.token = body["access_token"].as_str().unwrap().to_owned();
    }

    fn form(&self) -> Vec<(&'static str, String)> {
        vec![
            ("scope", "api.organization".into()),
            ("client_id", self.sandbox.client_id()),
            ("deviceType", "8".into()),
            ("deviceIdentifier", "x".into()),
            ("deviceName", "linux".into()),
            ("grant_type", "client_credentials".into()),
            ("client_secret", self.sandbox.client_secret().into()),
        ]
    }

    async fn token(&self, form: &[(&str, String)]) -> (u16, Value) {
        let url = format!("{}/identity/connect/token", self.sandbox.url());
        let answer = self.http.post(url).form(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn import(&self, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/public/organization/import", self.sandbox.url());
        let answer = self.http.post(url).bearer_auth(&self.token).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/api{path}", self.sandbox.url());
        self.http.get(url).bearer_auth(&self.token).send().await.unwrap().json().await.unwrap()
    }

    fn add(&self, email: &str, id: Option<&str>, status: Status, kind: Kind, has_master_password: bool) {
        let external_id = id.map(str::to_owned);
        let member = NewMember { email: email.into(), external_id, status, kind, has_master_password };
        self.sandbox.add_member(&member).unwrap();
    }

    /// Address, external id and status of everybody but the first owner.
    fn members(&self) -> Vec<(String, Option<String>, Status)> {
        let members = self.sandbox.members().unwrap().into_iter();
        members
            .filter(|member| member.email != "owner@sandbox.example")
            .map(|member| (member.email, member.external_id, member.status))
            .collect()
    }

    fn status(&self, email: &str) -> Option<Status> {
        self.members().into_iter().find(|(known, _, _)| known == email).map(|(_, _, status)| status)
    }
}

fn body(members: Value, groups: Value) -> Value {
    json!({ "groups": groups, "members": members, "overwriteExisting": false, "largeImport": false, "inviteUsersAfterProvisioning": false })
}

fn active(email: &str, id: &str) -> Value {
    json!({ "email": email, "externalId": id, "deleted": false })
}

fn deleted(email: Option<&str>, id: &str) -> Value {
    json!({ "email": email, "externalId": id, "deleted": true })
}

fn group(name: &str, id: &str, members: &[&str]) -> Value {
    json!({ "name": name, "externalId": id, "memberExternalIds": members })
}

fn vaultwarden() -> Options {
    Options { flavour: Flavour::Vaultwarden, ..Options::default() }
}

#[tokio::test]
async fn the_effect_on_each_kind_of_member() {
    let client = Client::start(Options::default()).await;
    client.add("stays-revoked@x.org", Some("r"), Status::Revoked, Kind::User, true);
    client.add("staged@x.org", Some("s"), Status::Staged, Kind::User, false);
    client.add("goes@x.org", Some("g"), Status::Confirmed, Kind::User, true);
    client.add("invited-goes@x.org", Some("i"), Status::Invited, Kind::User, false);
    client.add("admin-goes@x.org", Some("a"), Status::Confirmed, Kind::Admin, true);
    client.add("owner-stays@x.org", Some("o"), Status::Confirmed, Kind::Owner, true);
    client.add("adopts@x.org", None, Status::Confirmed, Kind::User, true);
    client.add("other-id@x.org", Some("old"), Status::Confirmed, Kind::User, true);
    client.add("unlisted@x.org", Some("u"), Status::Invited, Kind::User, false);
    let members = json!([
        active("New@X.org", "n"),
        active("stays-revoked@x.org", "r"),
        active("staged@x.org", "s"),
        deleted(Some("whatever@x.org"), "g"),
        deleted(None, "i"),
        deleted(None, "a"),
        deleted(None, "o"),
        deleted(None, "nobody"),
        active("adopts@x.org", "adopted"),
        active("other-id@x.org", "new"),
        active("moved@x.org", "both"),
        deleted(None, "both"),
    ]);
    assert_eq!(client.import(&body(members, json!([]))).await.0, 200);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        client.members(),
        [
            ("adopts@x.org".into(), text("adopted"), Status::Confirmed),
            ("moved@x.org".into(), text("both"), Status::Invited),
            ("new@x.org".into(), text("n"), Status::Invited),
            ("other-id@x.org".into(), text("old"), Status::Confirmed),
            ("owner-stays@x.org".into(), text("o"), Status::Confirmed),
            ("staged@x.org".into(), text("s"), Status::Staged),
            ("stays-revoked@x.org".into(), text("r"), Status::Revoked),
            ("unlisted@x.org".into(), text("u"), Status::Invited),
        ]
    );
    assert_eq!(client.sandbox.imports().unwrap(), 1);
}

#[tokio::test]
async fn groups_are_replaced_and_never_deleted() {
    let client = Client::start(Options::default()).await;
    let people = json!([active("a@x.org", "a"), active("b@x.org", "b")]);
    let groups = json!([group("One", "g1", &["a", "ghost"]), group("Two", "g2", &["a", "b"])]);
    assert_eq!(client.import(&body(people, groups)).await.0, 200);
    // A person who is not in this request may still be in its groups.
    let groups = json!([group("Renamed", "g1", &["b"]), group("Empty", "g3", &[])]);
    assert_eq!(client.import(&body(json!([]), groups)).await.0, 200);
    let groups = client.sandbox.groups().unwrap();
    let shown: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.members.join(" "))).collect();
    assert_eq!(
        shown,
        [("Empty", String::new()), ("Renamed", "b@x.org".into()), ("Two", "a@x.org b@x.org".into())]
    );
    let listed = client.get("/public/groups").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    let two = groups.iter().find(|group| group.name == "Two").unwrap();
    assert_eq!(
        client.get(&format!("/public/groups/{}/member-ids", two.id)).await.as_array().unwrap().len(),
        2
    );
    let members = client.get("/public/members").await;
    let a = members["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|member| member["email"] == "a@x.org")
        .unwrap()
        .clone();
    assert_eq!(
        (&a["status"], &a["type"], &a["externalId"], &a["userId"]),
        (&json!(0), &json!(2), &json!("a"), &Value::Null)
    );
    let id = a["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/public/members/{id}/group-ids")).await, json!([two.id]));
}

#[tokio::test]
async fn one_bad_entry_refuses_the_whole_request() {
    let client = Client::start(Options::default()).await;
    let members = json!([
        active("good@x.org", "g"),
        active("two@at@x.org", "x"),
        { "externalId": "y" },
        { "email": "z@x.org", "externalId": " ", "deleted": null },
    ]);
    let (status, answer) = client.import(&body(members, json!([group(&"n".repeat(101), "", &[])]))).await;
    assert_eq!((status, &answer["message"]), (400, &json!("The request's model state is invalid.")));
    let paths: Vec<&str> = answer["errors"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in [
        "Groups[0].Name",
        "Groups[0].ExternalId",
        "Members[1].Email",
        "Members[2].Email",
        "Members[3].ExternalId",
        "Members[3].deleted",
    ] {
        assert!(paths.contains(&path), "{path} is not in {paths:?}");
    }
    assert!(client.members().is_empty());
    let (status, answer) = client.import(&json!({ "members": [], "groups": [] })).await;
    assert_eq!((status, answer["errors"].get("OverwriteExisting").is_some()), (400, true));
}

#[tokio::test]
async fn data_that_passes_validation_may_fail_half_way() {
    let client = Client::start(Options::default()).await;
    client.add("goes@x.org", Some("g"), Status::Confirmed, Kind::User, true);
    assert_eq!(client.import(&json!({ "members": [], "overwriteExisting": false })).await.0, 500);
    let twins = json!([deleted(None, "g"), active("a@x.org", "1"), active("A@x.org", "2")]);
    assert_eq!(client.import(&body(twins, json!([]))).await.0, 500);
    assert!(client.members().is_empty(), "the removal before it is done");
    let twins = json!([group("A", "g", &[]), group("B", "g", &[])]);
    assert_eq!(client.import(&body(json!([active("a@x.org", "1")]), twins)).await.0, 500);
    assert_eq!(client.members().len(), 1, "people were processed");
    assert!(client.sandbox.groups().unwrap().is_empty());
    let lacking = json!([{ "name": "A", "externalId": "g" }]);
    assert_eq!(client.import(&body(json!([]), lacking)).await.0, 500);
}

#[tokio::test]
async fn overwriting_removes_unlisted_members_if_all_have_a_password() {
    let client = Client::start(Options::default()).await;
    client.add("listed@x.org", Some("1"), Status::Confirmed, Kind::User, true);
    client.add("unlisted@x.org", Some("2"), Status::Confirmed, Kind::User, true);
    client.add("by-hand@x.org", None, Status::Confirmed, Kind::User, true);
    client.add("owner2@x.org", Some("3"), Status::Confirmed, Kind::Owner, true);
    let mut import = body(json!([active("listed@x.org", "1")]), json!([]));
    import["overwriteExisting"] = json!(true);
    assert_eq!(client.import(&import).await.0, 200);
    let left: Vec<String> = client.members().into_iter().map(|(email, _, _)| email).collect();
    assert_eq!(left, ["by-hand@x.org", "listed@x.org", "owner2@x.org"]);
    client.add("invited@x.org", Some("4"), Status::Invited, Kind::User, false);
    let (status, answer) = client.import(&import).await;
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap().starts_with("Sync failed."));
    assert_eq!(client.members().len(), 4);
}

#[tokio::test]
async fn staging_needs_the_flag() {
    let client = Client::start(Options { staging: Staging::On, ..Options::default() }).await;
    client.import(&body(json!([active("a@x.org", "a")]), json!([]))).await;
    assert_eq!(client.status("a@x.org"), Some(Status::Staged));
    let mut import = body(json!([active("a@x.org", "a"), active("b@x.org", "b")]), json!([]));
    import["inviteUsersAfterProvisioning"] = json!(true);
    client.import(&import).await;
    assert_eq!(
        (client.status("a@x.org"), client.status("b@x.org")),
        (Some(Status::Staged), Some(Status::Invited))
    );
    assert_eq!(client.get("/config").await["featureStates"]["pm-34423-staged-status"], true);
}

#[tokio::test]
async fn logins_are_refused_in_each_servers_format() {
    let official = Client::start(Options::default()).await;
    let vaultwarden = Client::start(vaultwarden()).await;
    for (field, value, error, message) in [
        ("client_secret", "wrong", "invalid_client", "Incorrect client_secret"),
        (
            "client_id",
            "organization.11111111-2222-3333-4444-555555555555",
            "invalid_client",
            "Invalid client_id",
        ),
        ("client_id", "user.x", "invalid_client", "Malformed client_id"),
        ("scope", "api", "invalid_scope", "Scope not supported"),
        ("grant_type", "password", "unsupported_grant_type", "Invalid type"),
    ] {
        let with = |client: &Client| -> Vec<_> {
            let change = |(name, old): (&'static str, String)| {
                (name, if name == field { value.to_owned() } else { old })
            };
            client.form().into_iter().map(change).collect()
        };
        let (status, answer) = official.token(&with(&official)).await;
        assert_eq!((status, &answer), (400, &json!({ "error": error })));
        let (status, answer) = vaultwarden.token(&with(&vaultwarden)).await;
        assert_eq!((status, &answer["message"], &answer["error"]), (400, &json!(message), &json!("")));
        assert_eq!(answer["errorModel"]["message"], message);
    }
    let without_device: Vec<_> =
        vaultwarden.form().into_iter().filter(|(name, _)| !name.starts_with("device")).collect();
    assert_eq!(vaultwarden.token(&without_device).await.1["message"], "device_identifier cannot be blank");
}

#[tokio::test]
async fn nothing_works_without_a_valid_token() {
    let mut client = Client::start(Options::default()).await;
    client.sandbox.expire_tokens();
    assert_eq!(client.import(&body(json!([]), json!([]))).await, (401, Value::Null));
    client.log_in().await;
    assert_eq!(client.import(&body(json!([]), json!([]))).await.0, 200);
}

#[tokio::test]
async fn the_clouds_limits() {
    let client = Client::start(Options { limits: Limits::Cloud, ..Options::default() }).await;
    let people: Vec<Value> = (0..2_001).map(|at| active(&format!("u{at}@x.org"), &format!("{at}"))).collect();
    let mut import = body(json!(people), json!([]));
    assert_eq!(client.import(&import).await.1["message"], "You cannot import this much data at once.");
    import["largeImport"] = json!(true);
    assert_eq!(client.import(&import).await.0, 200);
    // The request after 60 in a minute is refused, on a fast machine an earlier one because of 5 a second; limits.rs tests which.
    let mut refused = 0;
    for _ in 0..400 {
        refused = client.import(&body(json!([]), json!([]))).await.0;
        if refused == 429 {
            break;
        }
    }
    assert_eq!(refused, 429);
}

#[tokio::test]
async fn vaultwarden_matches_by_address() {
    let client = Client::start(vaultwarden()).await;
    client.add("changes-id@x.org", Some("old"), Status::Confirmed, Kind::User, true);
    client.add("revoked@x.org", Some("r"), Status::Revoked, Kind::User, true);
    client.add("goes@x.org", Some("g"), Status::Confirmed, Kind::User, true);
    let members = json!([
        active("Changes-Id@x.org", "new"),
        active("revoked@x.org", "r"),
        deleted(Some("goes@x.org"), "g"),
        deleted(Some("unknown@x.org"), "?")
    ]);
    let groups = json!([group("One", "g1", &["new", "g"])]);
    assert_eq!(client.import(&body(members, groups)).await.0, 200);
    assert_eq!(client.members()[0].1.as_deref(), Some("new"));
    assert_eq!(client.status("revoked@x.org"), Some(Status::Confirmed));
    assert_eq!(client.status("goes@x.org"), Some(Status::Revoked));
    // Restored with the previous groups; the name of a group stays.
    let members = json!([active("goes@x.org", "g")]);
    assert_eq!(client.import(&body(members, json!([group("Other name", "g1", &["new", "g"])]))).await.0, 200);
    assert_eq!(client.status("goes@x.org"), Some(Status::Confirmed));
    let groups = client.sandbox.groups().unwrap();
    assert_eq!((groups[0].name.as_str(), groups[0].members.len()), ("One", 2));
    for odd in
        [json!([deleted(None, "x")]), json!([{ "email": "a@x.org", "externalId": 7, "deleted": false }])]
    {
        assert_eq!(client.import(&body(odd, json!([]))).await, (422, Value::Null));
    }
    assert_eq!(client.get("/config").await["server"]["name"], "Vaultwarden");
    assert_eq!(client.get("/public/members").await["error"]["code"], 404);
}

#[tokio::test]
async fn vaultwarden_overwrites_last_and_spares_the_last_owner() {
    let client = Client::start(vaultwarden()).await;
    client.add("unlisted@x.org", Some("u"), Status::Invited, Kind::User, false);
    let mut import = body(json!([active("a@x.org", "a"), deleted(Some("b@x.org"), "b")]), json!([]));
    import["overwriteExisting"] = json!(true);
    assert_eq!(client.import(&import).await.0, 200);
    assert_eq!(client.members().len(), 1);
    let odd =
        body(json!([active("c@x.org", "c"), active("no-address", "d"), active("e@x.org", "e")]), json!([]));
    let (status, answer) = client.import(&odd).await;
    assert_eq!(
        (status, &answer["message"]),
        (400, &json!("User email no-address is not a valid email address"))
    );
    assert!(
        client.status("c@x.org").is_some() && client.status("e@x.org").is_none(),
        "entries before it stay"
    );
}

#[tokio::test]
async fn a_file_keeps_the_organization_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        || Options { storage: Storage::File(folder.path().join("organization.db")), ..Options::default() };
    let first = Client::start(options()).await;
    first.import(&body(json!([active("a@x.org", "a")]), json!([group("G", "g", &["a"])]))).await;
    let (id, key) = (first.sandbox.client_id(), first.sandbox.client_secret().to_owned());
    first.sandbox.stop().await;
    let second = Client::start(options()).await;
    assert_eq!((second.sandbox.client_id(), second.sandbox.client_secret()), (id, key.as_str()));
    assert_eq!(second.sandbox.groups().unwrap()[0].members, ["a@x.org"]);
    assert!(!format!("{:?}", second.sandbox).contains(&key));
}

#[tokio::test]
async fn other_machines_are_refused_unless_allowed() {
    let listen = "0.0.0.0:0".parse().unwrap();
    assert!(Sandbox::start(Options { listen, ..Options::default() }).await.is_err());
    let exposed = Options { listen, exposure: Exposure::AnyAddress, ..Options::default() };
    Sandbox::start(exposed).await.unwrap().stop().await;
}

#[tokio::test]
async fn an_import_that_is_too_large_is_refused() {
    let client = Client::start(vaultwarden()).await;
    let long = "x".repeat(21 * 1024 * 1024);
    assert_eq!(client.import(&json!({ "members": [active(&long, "x")] })).await.0, 413);
}
