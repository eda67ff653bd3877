//! The organization at the other end.

use bwdc_config::{Environment, env, server, settings};
use bwdc_connect::bitwarden::{self, Client, ServerKind, Token};
use bwdc_core::Prepared;
use bwdc_core::check::ServerLimits;
use bwdc_core::error::{Error, Result};
use bwdc_core::plan::{Plan, Server};
use bwdc_store::errand::Company;
use bwdc_store::{Data, DataFile};
use jiff::Timestamp;

use crate::context::Context;
use crate::session::{self, OrganizationLogin};
use crate::under_way::{self, ImportEnd};

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
    pub(crate) client: Client,
    pub(crate) account: OrganizationLogin,
}

impl<'a> OpenOrganization<'a> {
    pub(crate) fn open(context: &'a Context, data: &Data, account: OrganizationLogin) -> Result<Self> {
        let client = client(&context.file, data, &context.environment)?;
        if let Some(url) = server::endpoints(data)?.in_clear() {
            context.warn(&format!(
                "{url} is reached by http (server.allowPlainHttp): the API key and everybody's names cross the network in clear."
            ));
        }
        Ok(Self { context, client, account })
    }

    pub(crate) async fn token(&self) -> Result<Token> {
        self.account.token(&self.client, &self.context.file, &self.context.secrets).await
    }

    /// Who answers there; asked only when it makes a difference.
    pub(crate) async fn server(&self, prepared: &Prepared) -> Result<Server> {
        if !prepared.depends_on_server() {
            return Ok(Server::Official);
        }
        Ok(match self.client.server_kind().await? {
            ServerKind::Vaultwarden => Server::Vaultwarden,
            ServerKind::Official | ServerKind::Other(_) => Server::Official,
        })
    }

    /// `files` are those of the folders that are synced by it.
    pub(crate) async fn import(&self, plan: &Plan, token: Token, files: &[&DataFile]) -> Result<()> {
        under_way::begin(self.context, files).await?;
        let Err(failed) = self.send(plan, token).await else { return Ok(()) };
        under_way::failed(files, failed.ended)?;
        Err(failed.error)
    }

    async fn send(&self, plan: &Plan, mut token: Token) -> std::result::Result<(), FailedImport> {
        let count = plan.requests.len();
        for (request, number) in plan.requests.iter().zip(1..) {
            if !token.is_fresh(Timestamp::now()) {
                token = self.token().await.map_err(FailedImport::before)?;
            }
            let sent = match self.client.import(&token, request).await {
                Err(error) if error.kind() == bwdc_connect::ErrorKind::Credentials => {
                    token = self.renew(error).await.map_err(FailedImport::before)?;
                    self.client.import(&token, request).await
                }
                other => other,
            };
            if let Err(error) = sent {
                let ended = match error.kind() {
                    bwdc_connect::ErrorKind::Unclear => ImportEnd::Unclear,
                    _ => ImportEnd::Surely,
                };
                return Err(FailedImport { error: self.explain(error, number, count).await, ended });
            }
        }
        Ok(())
    }

    /// A refused token is dropped, and the key tried once for another.
    async fn renew(&self, refused: bwdc_connect::Error) -> Result<Token> {
        session::forget_token(&self.context.secrets).await?;
        let again = self.account.new_token(&self.client, &self.context.file, &self.context.secrets).await;
        again.map_err(|error| Error::from(refused).hint(error.to_string()))
    }

    async fn explain(&self, error: bwdc_connect::Error, number: usize, count: usize) -> Error {
        if error.kind() == bwdc_connect::ErrorKind::Credentials
            && let Err(other) = session::forget_token(&self.context.secrets).await
        {
            return other;
        }
        let error = Error::from(error);
        if count == 1 {
            return error;
        }
        error.while_doing(format!(
            "Batch {number} of {count} failed (the {} before it were imported; the next run repeats all)",
            number - 1
        ))
    }
}

/// An import that failed, and whether the server has done with it.
struct FailedImport {
    error: Error,
    ended: ImportEnd,
}

impl FailedImport {
    /// It failed before a request was sent that nobody has answered.
    fn before(error: Error) -> Self {
        Self { error, ended: ImportEnd::Surely }
    }
}
