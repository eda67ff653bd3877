//! The organization at the other end.

use std::collections::HashMap;

use bwdc_config::{Environment, env, server, settings};
use bwdc_connect::ErrorKind;
use bwdc_connect::bitwarden::{self, Client, EditOutcome, ImportBody, Offered, RosterAnswer, Token, Within};
use bwdc_core::check::ServerLimits;
use bwdc_core::entry::ExternalId;
use bwdc_core::error::{Error, Result, shown};
use bwdc_core::import::ImportRequest;
use bwdc_core::organization::roster::{GroupId, Kind, MemberId, Roster, Seats, Staging};
use bwdc_core::organization::server::{Call, Who};
use bwdc_store::errand::Company;
use bwdc_store::{Data, DataFile};
use jiff::Timestamp;

use crate::context::Context;
use crate::session::{self, OrganizationLogin};
use crate::under_way::ImportEnd;

/// Who we are to the organization of this instance.
pub(crate) async fn account(context: &Context, data: &Data) -> Result<OrganizationLogin> {
    let account = OrganizationLogin::of(data, &context.secrets).await?;
    if let Some(warning) = &account.warning {
        context.warn(warning);
    }
    let before = data.organization_id().filter(|before| *before != account.organization_id);
    match before {
        Some(before) if context.company == Company::AmongOthers => {
            Err(anothers_key(before, &account.organization_id))
        }
        _ => Ok(account),
    }
}

/// A variable is the same for all instances of a run, and one company's directory must not end up in another's organization.
fn anothers_key(before: &str, now: &str) -> Error {
    Error::new(format!(
        "The API key belongs to organization.{now}, but this folder belongs to organization.{before}. This is refused in a run of several instances."
    ))
    .hint(format!(
        "A variable such as {} applies to all of them: unset it, and give each its own key in its folder's secrets.env. If the folder now belongs to another organization, sync it alone once.",
        env::CLIENT_SECRET
    ))
}

/// What the server refuses by number.
pub(crate) fn limits(data: &Data) -> Result<ServerLimits> {
    let is_cloud = server::endpoints(data)?.is_cloud();
    Ok(if is_cloud { ServerLimits::Cloud } else { ServerLimits::SelfHosted })
}

fn allows_plain_http(data: &Data) -> bool {
    settings::general::SERVER_ALLOW_PLAIN_HTTP.is_on(data)
}

/// A client for the servers that are configured.
///
/// # Errors
/// An address makes no sense, or is reached by plain http without leave.
pub fn client(file: &DataFile, data: &Data, environment: &Environment) -> Result<Client> {
    let endpoints = server::endpoints(data)?;
    if let (Some(url), false) = (endpoints.in_clear(), allows_plain_http(data)) {
        return Err(Error::new(format!(
            "The server {url} is reached by plain http: the API key and everybody's names and addresses would cross the network in clear."
        ))
        .hint(
            "Set the server's https address (bwdc config server https://...). If nobody can listen on that network: bwdc config \
             server.allowPlainHttp true.",
        ));
    }
    let settings = bitwarden::Config {
        endpoints,
        network: environment.network()?,
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        device_id: file.app_id(data)?,
    };
    Ok(Client::new(settings)?)
}

/// The organization at the other end, and who we are to it.
pub(crate) struct OpenOrganization<'a> {
    context: &'a Context,
    data: Data,
    /// Base URL of the API.
    pub(crate) api_url: String,
    pub(crate) account: OrganizationLogin,
    /// Made when something is asked for the first time.
    client: Option<Client>,
    token: Option<Token>,
}

/// What an organization holds, as far as it lets itself be looked at.
pub(crate) enum Found {
    /// Members and groups, without the memberships in groups.
    Live(Roster),
    /// The server takes imports only; its rules.
    Unreadable(Kind),
}

/// An answer of the organization.
pub(crate) enum Answer {
    /// Not decoded yet.
    Lists(Box<RosterAnswer>),
    /// The server takes imports only; its rules.
    Unreadable(Kind),
}

impl Answer {
    /// Kind of server that answered.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Lists(_) => Kind::Official,
            Self::Unreadable(kind) => *kind,
        }
    }

    /// With the digest of what was answered.
    pub(crate) async fn digested(self) -> Result<(Self, String)> {
        match self {
            Self::Lists(lists) => {
                let digesting = tokio::task::spawn_blocking(move || (lists.digest(), lists));
                let digested = digesting.await;
                let (digest, lists) = digested.map_err(|error| {
                    Error::new(format!("Comparing the organization with the last run: {error}"))
                })?;
                Ok((Self::Lists(lists), digest))
            }
            Self::Unreadable(kind) => Ok((Self::Unreadable(kind), String::new())),
        }
    }

    pub(crate) async fn decoded(self) -> Result<Found> {
        match self {
            Self::Lists(lists) => Ok(Found::Live(lists.decoded().await?)),
            Self::Unreadable(kind) => Ok(Found::Unreadable(kind)),
        }
    }
}

impl<'a> OpenOrganization<'a> {
    /// Nobody is asked anything yet.
    pub(crate) fn open(context: &'a Context, data: &Data, account: OrganizationLogin) -> Result<Self> {
        let api_url = server::endpoints(data)?.api_url().to_owned();
        Ok(Self { context, data: data.clone(), api_url, account, client: None, token: None })
    }

    fn client(&mut self) -> Result<Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = client(&self.context.file, &self.data, &self.context.environment)?;
        if let Some(url) = server::endpoints(&self.data)?.in_clear() {
            self.context.warn(&format!(
                "{url} is reached by http (server.allowPlainHttp): the API key and everybody's names cross the network in clear."
            ));
        }
        self.client = Some(client.clone());
        Ok(client)
    }

    /// Logs in, if no token of before is good.
    pub(crate) async fn log_in(&mut self) -> Result<()> {
        self.token().await.map(drop)
    }

    /// A token that is good for a while.
    async fn token(&mut self) -> Result<Token> {
        if let Some(token) = self.token.as_ref().filter(|token| token.is_fresh(Timestamp::now())) {
            return Ok(token.clone());
        }
        let client = self.client()?;
        let token = self.account.token(&client, &self.context.file, &self.context.secrets).await?;
        self.token = Some(token.clone());
        Ok(token)
    }

    /// Asks something, with another token where the first is refused.
    async fn asked<T>(
        &mut self,
        ask: impl AsyncFn(&Client, &Token) -> bwdc_connect::Result<T>,
    ) -> std::result::Result<T, FailedCall> {
        let client = self.client().map_err(FailedCall::before)?;
        let token = self.token().await.map_err(FailedCall::before)?;
        match ask(&client, &token).await {
            Err(error) if error.kind() == ErrorKind::Credentials => {
                let token = self.renew(error).await.map_err(FailedCall::before)?;
                match ask(&client, &token).await {
                    Ok(answer) => Ok(answer),
                    Err(error) => Err(self.failed(error).await),
                }
            }
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// A refused token is dropped, and the key tried once for another.
    async fn renew(&mut self, refused: bwdc_connect::Error) -> Result<Token> {
        session::forget_token(&self.context.secrets).await?;
        self.token = None;
        let client = self.client()?;
        let again = self.account.new_token(&client, &self.context.file, &self.context.secrets).await;
        let token = again.map_err(|error| Error::from(refused).hint(error.to_string()))?;
        self.token = Some(token.clone());
        Ok(token)
    }

    async fn failed(&mut self, error: bwdc_connect::Error) -> FailedCall {
        if error.kind() == ErrorKind::Credentials
            && let Err(other) = session::forget_token(&self.context.secrets).await
        {
            return FailedCall::before(other);
        }
        let ended = match error.kind() {
            ErrorKind::Unclear => ImportEnd::Unclear,
            ErrorKind::Rejected
            | ErrorKind::Credentials
            | ErrorKind::Configuration
            | ErrorKind::Unreachable
            | ErrorKind::Tls => ImportEnd::Nothing,
            _ => ImportEnd::Surely,
        };
        FailedCall { error: Error::from(error), ended }
    }

    /// Reads members and groups, or finds out whose rules the server follows.
    pub(crate) async fn look(&mut self) -> Result<Answer> {
        let offered = self.asked(async |client, token| client.roster(token).await).await?;
        match offered {
            Offered::Read(lists) => Ok(Answer::Lists(Box::new(lists))),
            Offered::NotOffered => {
                let description = self.asked(async |client, token| client.server(token).await).await?;
                Ok(Answer::Unreadable(description.kind.rules()))
            }
        }
    }

    /// Reads the members of these groups.
    pub(crate) async fn memberships(&mut self, groups: &[GroupId]) -> Result<Vec<(GroupId, Within)>> {
        Ok(self.asked(async |client, token| client.memberships(token, groups).await.complete()).await?)
    }

    /// Reads the members of these groups into the roster. A group that is deleted meanwhile is none.
    pub(crate) async fn read_memberships(&mut self, roster: &mut Roster, groups: &[GroupId]) -> Result<()> {
        for (id, within) in self.memberships(groups).await? {
            match within {
                Within::Members(members) => roster.fill_group(&id, members),
                Within::Gone => roster.remove_group(&id),
            }
        }
        Ok(())
    }

    /// Asks whether newcomers can be staged.
    pub(crate) async fn staging(&mut self) -> Result<Staging> {
        Ok(self.asked(async |client, token| client.server(token).await).await?.staging)
    }

    /// Asks for the seats.
    pub(crate) async fn seats(&mut self) -> Result<Option<Seats>> {
        Ok(self.asked(async |client, token| client.seats(token).await).await?)
    }

    /// Sends one request that changes something. `members` are those of the roster, by external id.
    pub(crate) async fn send(&mut self, call: &Call) -> std::result::Result<(), FailedCall> {
        match call {
            Call::PutGroupMembers { group, members } => {
                let members = self.ids(members).await?;
                self.asked(async |client, token| done(client.put_group_members(token, group, &members).await))
                    .await
            }
            _ => self.asked(async |client, token| send(client, token, call).await).await,
        }
    }

    /// Sends an import, of which this is the body.
    pub(crate) async fn import(
        &mut self,
        request: &ImportRequest,
        body: &ImportBody,
    ) -> std::result::Result<(), FailedCall> {
        self.asked(async |client, token| client.import(token, request, body).await).await
    }

    /// The server's ids of members, also of those who were imported just now.
    async fn ids(&mut self, members: &[Who]) -> std::result::Result<Vec<MemberId>, FailedCall> {
        let is_imported = |who: &Who| matches!(who, Who::Imported(_));
        let mut imported: HashMap<ExternalId, MemberId> = HashMap::new();
        if members.iter().any(is_imported) {
            let all = self.asked(async |client, token| client.members(token).await).await?;
            if let Offered::Read(all) = all {
                imported.extend(all.into_iter().filter_map(|member| Some((member.external_id?, member.id))));
            }
        }
        let id = |who: &Who| match who {
            Who::Member(id) => Ok(id.clone()),
            Who::Imported(id) => imported.get(id).cloned().ok_or_else(|| FailedCall::before(not_listed(id))),
        };
        members.iter().map(id).collect()
    }
}

/// A group is not filled without somebody who was imported into it.
fn not_listed(id: &ExternalId) -> Error {
    Error::new(format!(
        "Filling a group: the member with the external id {} was imported just now, and the organization does not list it.",
        shown(id.as_str())
    ))
    .hint("Look at the member in the web vault. The next run compares, and fills the group.")
}

async fn send(client: &Client, token: &Token, call: &Call) -> bwdc_connect::Result<()> {
    match call {
        Call::Import(request) => client.import(token, request, &ImportBody::of(request)?).await,
        Call::Revoke(member) => done(client.revoke(token, member).await),
        Call::Restore(member) => done(client.restore(token, member).await),
        Call::Remove(member) => done(client.delete_member(token, member).await),
        Call::Relink { member, external_id } => {
            done(client.put_member(token, member, external_id.as_ref()).await)
        }
        Call::Reinvite(member) => done(client.reinvite(token, member).await),
        Call::PutGroup { group, name, external_id } => {
            done(client.put_group(token, group, name, Some(external_id)).await)
        }
        Call::DeleteGroup(group) => done(client.delete_group(token, group).await),
        // Its members' ids are looked up first.
        Call::PutGroupMembers { .. } => Ok(()),
    }
}

fn done<T>(outcome: EditOutcome<T>) -> bwdc_connect::Result<()> {
    match outcome {
        EditOutcome::Done(_) => Ok(()),
        EditOutcome::NotDone(error) | EditOutcome::Unclear(error) => Err(error),
    }
}

/// A request that failed, and whether the server has done with it.
pub(crate) struct FailedCall {
    pub(crate) error: Error,
    pub(crate) ended: ImportEnd,
}

impl FailedCall {
    /// It failed before a request was sent that nobody has answered.
    pub(crate) fn before(error: Error) -> Self {
        Self { error, ended: ImportEnd::Nothing }
    }
}

impl From<FailedCall> for Error {
    fn from(failed: FailedCall) -> Self {
        failed.error
    }
}
