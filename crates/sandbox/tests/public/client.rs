//! Client that sends arbitrary requests.

use bwdc_sandbox::{Flavour, Kind, Limits, NewMember, Options, Sandbox, Status};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) struct Client {
    pub(crate) sandbox: Sandbox,
    http: reqwest::Client,
    token: String,
}

impl Client {
    pub(crate) async fn start(options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(options).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut client = Self { sandbox, http, token: String::new() };
        client.log_in().await;
        client
    }

    pub(crate) async fn official() -> Self {
        Self::start(Options::default()).await
    }

    pub(crate) async fn cloud() -> Self {
        Self::start(Options { limits: Limits::Cloud, ..Options::default() }).await
    }

    pub(crate) async fn vaultwarden() -> Self {
        Self::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() }).await
    }

    pub(crate) async fn log_in(&mut self) {
        let form = [
            ("scope", "api.organization".to_owned()),
            ("client_id", self.sandbox.client_id()),
            ("deviceType", "8".into()),
            ("deviceIdentifier", "x".into()),
            ("deviceName", "linux".into()),
            ("grant_type", "client_credentials".into()),
            ("client_secret", self.sandbox.client_secret().into()),
        ];
        let url = format!("{}/identity/connect/token", self.sandbox.url());
        let answer = self.http.post(url).form(&form).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        self.token = body["access_token"].as_str().unwrap().to_owned();
    }

    /// Status and body; null for an empty one.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.send(method, path, body).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let url = format!("{}{path}", self.sandbox.url());
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((
            status,
            if text.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            },
        ))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, &format!("/api/public{path}"), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, &format!("/api/public{path}"), Some(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::PUT, &format!("/api/public{path}"), Some(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, &format!("/api/public{path}"), None).await
    }

    pub(crate) async fn import(&self, members: Value, groups: Value) -> (u16, Value) {
        let body = json!({ "groups": groups, "members": members, "overwriteExisting": false });
        self.post("/organization/import", body).await
    }

    pub(crate) fn add(&self, email: &str, id: Option<&str>, status: Status) -> String {
        self.add_as(email, id, status, Kind::User)
    }

    /// Adds a member and returns the id.
    pub(crate) fn add_as(&self, email: &str, id: Option<&str>, status: Status, kind: Kind) -> String {
        let external_id = id.map(str::to_owned);
        let has_master_password = matches!(status, Status::Accepted | Status::Confirmed);
        let new = NewMember { email: email.into(), external_id, status, kind, has_master_password };
        self.sandbox.add_member(&new).unwrap();
        self.id(email)
    }

    pub(crate) fn id(&self, email: &str) -> String {
        self.member(email).id
    }

    pub(crate) fn member(&self, email: &str) -> bwdc_sandbox::Member {
        let members = self.sandbox.members().unwrap();
        members.into_iter().find(|member| member.email == email).unwrap()
    }

    pub(crate) fn has(&self, email: &str) -> bool {
        self.sandbox.members().unwrap().iter().any(|member| member.email == email)
    }

    pub(crate) fn group(&self, name: &str) -> bwdc_sandbox::Group {
        self.sandbox.groups().unwrap().into_iter().find(|group| group.name == name).unwrap()
    }
}

pub(crate) fn refusal(message: &str) -> (u16, Value) {
    (400, json!({ "object": "error", "message": message, "errors": null }))
}

pub(crate) const OWNER: &str = "owner@sandbox.example";
pub(crate) const LAST_OWNER: &str = "Organization must have at least one confirmed owner.";
