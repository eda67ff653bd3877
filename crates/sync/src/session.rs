//! Being logged in: the organization's API key and the access token made from it.
//!
//! A key that is given to every run (a variable, a file, a command, a credential, the secrets file) needs no login, and
//! wins over one that a login kept, unless it is another organization's.

use bwdc_connect::bitwarden::{ApiKey, Client, Token};
use bwdc_core::Secret;
use jiff::Timestamp;

use bwdc_config::Secrets;
use bwdc_config::secrets::{
    ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, FoundSecret, OTHER_TOKENS, SecretDestination, SecretSource,
};
use bwdc_core::error::{Error, Result};
use bwdc_store::{Data, DataFile};

/// Who we are to the organization.
#[derive(Debug)]
pub struct OrganizationLogin {
    /// The organization's id.
    pub organization_id: String,
    credentials: Option<ApiKey>,
    /// From an earlier run.
    token: Option<Token>,
    new_tokens: NewTokens,
    /// What to say about where this came from.
    pub warning: Option<String>,
}

/// What becomes of a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewTokens {
    /// Kept in `data.json`, where the last one was.
    InDataFile,
    /// Kept where secrets are kept.
    WithSecrets,
    /// Kept in memory: the key is given to every run.
    InMemory,
}

/// With the reason if the place where a login would be kept cannot be looked into.
pub async fn not_logged_in(secrets: &Secrets, data: &Data) -> Error {
    let error = Error::new("You are not logged in.");
    match secrets.why_no_store(data).await {
        Some(why) if data.organization_id().is_some() => error.hint(why.to_string()),
        _ => error,
    }
}

/// What `login` left behind.
pub struct StoredLogin {
    client_id: Option<String>,
    client_secret: Option<FoundSecret>,
    token: Option<FoundSecret>,
}

/// The login that was kept, if there is one.
pub async fn kept_login(data: &Data, secrets: &Secrets) -> Result<Option<StoredLogin>> {
    let token = secrets.kept(data, &ACCESS_TOKEN).await?;
    let client_secret = secrets.kept(data, &CLIENT_SECRET.storage).await?;
    if token.is_none() && client_secret.is_none() {
        return Ok(None);
    }
    let client_id =
        secrets.kept(data, &CLIENT_ID.storage).await?.map(|found| found.secret.reveal().to_owned());
    Ok(Some(StoredLogin { client_id, client_secret, token }))
}

/// The API key that is given to every run, if there is one, and where it is.
pub async fn given_key(data: &Data, secrets: &Secrets) -> Result<Option<(ApiKey, SecretSource)>> {
    let Some(FoundSecret { secret, source }) = secrets.given(data, &CLIENT_SECRET).await? else {
        return Ok(None);
    };
    let client_id = match secrets.given(data, &CLIENT_ID).await? {
        Some(id) => id.secret.reveal().to_owned(),
        None => match data.organization_id() {
            Some(id) => format!("organization.{id}"),
            None => return Ok(None),
        },
    };
    Ok(Some((credentials(&client_id, secret), source)))
}

/// Whether a sync would find somebody to be.
pub async fn is_logged_in(data: &Data, secrets: &Secrets) -> Result<bool> {
    Ok(given_key(data, secrets).await?.is_some() || kept_login(data, secrets).await?.is_some())
}

/// The organization in a client id, as `organization.<id>`.
pub fn organization_of(client_id: &str) -> Result<&str> {
    client_id.trim().strip_prefix("organization.").filter(|id| !id.is_empty()).ok_or_else(|| {
        Error::new(format!(
            "The client id `{client_id}` is not an organization's: it reads organization.<id>."
        ))
        .hint(if bwdc_config::secrets::is_quoted(&Secret::from(client_id.trim())) {
            "It begins and ends with a quote: take the quotes away where it is set."
        } else {
            "An owner finds it in the web vault under Settings > Organization info > View API key."
        })
    })
}

impl OrganizationLogin {
    /// The key that is given, or the login that was kept.
    pub async fn of(data: &Data, secrets: &Secrets) -> Result<Self> {
        let before = data.organization_id();
        let Some((credentials, source)) = given_key(data, secrets).await? else {
            return match kept_login(data, secrets).await? {
                Some(login) => Self::of_login(login, data),
                None => Err(not_logged_in(secrets, data).await),
            };
        };
        let organization_id = organization_of(&credentials.client_id)?.to_owned();
        let is_other = before.is_some_and(|before| before != organization_id);
        if is_other && let Some(login) = kept_login(data, secrets).await? {
            let account = Self::of_login(login, data)?;
            let warning = format!(
                "{source} is the key of organization.{organization_id}, but the login is organization.{}: the login is used. \
                 To change, run `bwdc logout`.",
                account.organization_id
            );
            return Ok(Self { warning: Some(warning), ..account });
        }
        let token = ACCESS_TOKEN.written_in(data).filter(|_| !is_other).map(Token::from_stored);
        let is_data_file = token.is_some() || secrets.destination(data) == SecretDestination::DataFile;
        let new_tokens = if is_data_file && !is_other { NewTokens::InDataFile } else { NewTokens::InMemory };
        let in_memory = || {
            let (token, expires_at) = secrets.tokens().of(&credentials.client_id)?;
            Some(Token::kept(token.reveal().to_owned(), expires_at))
        };
        let token = token.or_else(in_memory);
        Ok(Self { organization_id, credentials: Some(credentials), token, new_tokens, warning: None })
    }

    fn of_login(login: StoredLogin, data: &Data) -> Result<Self> {
        let organization_id = match (data.organization_id(), &login.client_id) {
            (Some(id), _) => id.to_owned(),
            (None, Some(client_id)) => organization_of(client_id)?.to_owned(),
            (None, None) => {
                return Err(Error::new("The stored login names no organization.")
                    .hint("Run `bwdc logout` and `bwdc login`."));
            }
        };
        let is_in_data_file = [&login.token, &login.client_secret]
            .into_iter()
            .flatten()
            .any(|found| found.source == SecretSource::DataFile);
        let new_tokens = if is_in_data_file { NewTokens::InDataFile } else { NewTokens::WithSecrets };
        let credentials = match (login.client_id, login.client_secret) {
            (Some(id), Some(found)) => Some(credentials(&id, found.secret)),
            _ => None,
        };
        let token = login.token.map(|found| Token::from_stored(found.secret.reveal()));
        Ok(Self { organization_id, credentials, token, new_tokens, warning: None })
    }

    /// The API key.
    pub fn credentials(&self) -> Result<&ApiKey> {
        self.credentials.as_ref().ok_or_else(|| {
            Error::new("The access token has expired, and the API key that would renew it is not stored.")
                .hint("Run `bwdc logout` and `bwdc login`.")
        })
    }

    /// A token that is good for a while: the one of an earlier run, or a new one.
    pub async fn token(&self, client: &Client, file: &DataFile, secrets: &Secrets) -> Result<Token> {
        match &self.token {
            Some(token) if token.is_fresh(Timestamp::now()) => Ok(token.clone()),
            _ => self.new_token(client, file, secrets).await,
        }
    }

    /// A new token, kept where the login is kept.
    pub async fn new_token(&self, client: &Client, file: &DataFile, secrets: &Secrets) -> Result<Token> {
        let token = match client.token(self.credentials()?).await {
            Ok(token) => token,
            Err(error) => return Err(secrets.refused(error).await),
        };
        match self.new_tokens {
            NewTokens::InDataFile | NewTokens::WithSecrets if !file.has_state() => {}
            NewTokens::InMemory => {
                let secret = Secret::from(token.reveal());
                secrets.tokens().keep(&self.credentials()?.client_id, secret, token.expires_at());
            }
            NewTokens::InDataFile => file.update(|data| {
                ACCESS_TOKEN.put(data, &Secret::from(token.reveal()));
                Ok(())
            })?,
            NewTokens::WithSecrets => {
                // Without it the next run logs in again: no reason to fail this one.
                let secret = Secret::from(token.reveal());
                if let Err(error) = secrets.keep(&[(&ACCESS_TOKEN, Some(&secret))], |_| Ok(())).await {
                    tracing::warn!("the access token could not be kept: {error}");
                }
            }
        }
        Ok(token)
    }
}

/// An id and a key, without the blanks that copying leaves at the ends of the id.
pub fn credentials(client_id: &str, client_secret: Secret) -> ApiKey {
    ApiKey { client_id: client_id.trim().to_owned(), client_secret }
}

/// Keeps a login.
pub async fn store(secrets: &Secrets, credentials: &ApiKey, token: &Token) -> Result<()> {
    let organization_id = organization_of(&credentials.client_id)?;
    let token = Secret::from(token.reveal());
    let client_id = Secret::from(credentials.client_id.as_str());
    let changes = [
        (&ACCESS_TOKEN, Some(&token)),
        (&CLIENT_ID.storage, Some(&client_id)),
        (&CLIENT_SECRET.storage, Some(&credentials.client_secret)),
    ];
    let also = |data: &mut Data| {
        data.belong_to(organization_id);
        Ok(())
    };
    secrets.keep(&changes, also).await?;
    Ok(())
}

/// Keeps which organization it is, and no secret.
pub fn store_organization(file: &DataFile, credentials: &ApiKey) -> Result<()> {
    let organization_id = organization_of(&credentials.client_id)?;
    file.update(|data| {
        data.belong_to(organization_id);
        Ok(())
    })
}

/// Removes a login.
pub async fn forget(secrets: &Secrets) -> Result<()> {
    let own = [&ACCESS_TOKEN, &CLIENT_ID.storage, &CLIENT_SECRET.storage];
    let all: Vec<_> = own.into_iter().chain(&OTHER_TOKENS).map(|kept| (kept, None)).collect();
    secrets.keep(&all, |_| Ok(())).await?;
    Ok(())
}

/// Removes an access token that the server refused; the API key stays, so that the next run can try again.
pub async fn forget_token(secrets: &Secrets) -> Result<()> {
    secrets.tokens().forget();
    secrets.keep(&[(&ACCESS_TOKEN, None)], |_| Ok(())).await?;
    Ok(())
}
