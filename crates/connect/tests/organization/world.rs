//! Simulated organization and a client of it.

use std::time::Duration;

use bwdc_connect::bitwarden::{ApiKey, Client, Config, Endpoints, Offered, Token};
use bwdc_connect::http::Network;
use bwdc_core::Secret;
use bwdc_core::organization::Roster;
use bwdc_core::organization::roster::{GroupId, MemberId};
use bwdc_sandbox::{
    Counted, Edit, Fault, Flavour, Injection, Kind, Limits, NewMember, Options, Sandbox, Status,
};

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    pub(crate) token: Token,
}

/// Time for which a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Some,
    None,
}

impl World {
    pub(crate) async fn start(options: Options, patience: Patience) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(options).await.unwrap();
        let retry_for = match patience {
            Patience::Some => Duration::from_secs(20),
            Patience::None => Duration::ZERO,
        };
        let config = Config {
            endpoints: Endpoints::resolve(Some(&sandbox.url()), None, None).unwrap(),
            network: Network { retry_for: Some(retry_for), ..Network::default() },
            client_version: "2026.1.0".into(),
            device_id: "00000000-0000-4000-8000-000000000001".into(),
        };
        let client = Client::new(config).unwrap();
        let client_secret = Secret::from(sandbox.client_secret());
        let credentials = ApiKey { client_id: sandbox.client_id(), client_secret };
        let token = client.token(&credentials).await.unwrap();
        Self { sandbox, client, token }
    }

    pub(crate) async fn official(patience: Patience) -> Self {
        Self::start(Options::default(), patience).await
    }

    pub(crate) async fn cloud() -> Self {
        Self::start(Options { limits: Limits::Cloud, ..Options::default() }, Patience::None).await
    }

    pub(crate) async fn vaultwarden() -> Self {
        Self::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() }, Patience::None).await
    }

    pub(crate) fn edit(&self, edit: Edit) {
        self.sandbox.edit(edit).unwrap();
    }

    /// Adds a user.
    pub(crate) fn add(&self, email: &str, external_id: Option<&str>, status: Status) -> MemberId {
        self.edit(Edit::Add(NewMember {
            email: email.into(),
            external_id: external_id.map(str::to_owned),
            status,
            kind: Kind::User,
            has_master_password: false,
        }));
        self.member(email)
    }

    pub(crate) fn add_group(&self, name: &str, members: &[&str]) -> GroupId {
        self.edit(Edit::CreateGroup { name: name.into(), external_id: Some(name.to_lowercase()) });
        for member in members {
            self.edit(Edit::Join { group: name.into(), member: (*member).to_owned() });
        }
        self.group(name)
    }

    pub(crate) fn member(&self, email: &str) -> MemberId {
        let members = self.sandbox.members().unwrap();
        members.into_iter().find(|member| member.email == email).unwrap().id.into()
    }

    pub(crate) fn group(&self, name: &str) -> GroupId {
        let groups = self.sandbox.groups().unwrap();
        groups.into_iter().find(|group| group.name == name).unwrap().id.into()
    }

    pub(crate) fn inject(&self, at: usize, fault: Fault) {
        self.sandbox.inject(Injection { at, counted: Counted::All, fault });
    }

    /// Everything that the server contains, memberships included.
    pub(crate) async fn roster(&self) -> Roster {
        let Offered::Read(answer) = self.client.roster(&self.token).await.unwrap() else {
            panic!("not offered")
        };
        let mut roster = answer.decoded().await.unwrap();
        let groups: Vec<GroupId> = roster.groups().map(|group| group.id.clone()).collect();
        let read = self.client.memberships(&self.token, &groups).await.complete().unwrap();
        for (id, within) in read {
            let bwdc_connect::bitwarden::Within::Members(members) = within else { panic!("{id} is gone") };
            let group = roster.group(&id).unwrap().clone();
            roster.put_group(bwdc_core::organization::roster::Group { members, ..group });
        }
        roster
    }
}
