//! Being logged in: the organization's API key and the access token made from it.

use bwdc_connect::Secret;
use bwdc_connect::bitwarden::{Client, Credentials, Token};
use jiff::Timestamp;

use crate::config::Environment;
use crate::config::env;
use crate::error::{Error, Result};
use crate::state::{Data, DataFile, key};

/// Keys that a logout removes.
const SECRETS: [&str; 5] =
    [key::ACCESS_TOKEN, key::REFRESH_TOKEN, key::CLIENT_ID, key::CLIENT_SECRET, key::TWO_FACTOR_TOKEN];

/// Who we are to the organization.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) organization_id: String,
    credentials: Option<Credentials>,
    kept: Kept,
}

/// Where the credentials came from, which decides where a new token goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// In `data.json`.
    Stored,
    /// In the environment of this run.
    Given,
}

pub(crate) fn not_logged_in() -> Error {
    Error::new("You are not logged in.")
}

/// Whether `login` was done.
pub(crate) fn is_logged_in(data: &Data) -> bool {
    data.text(key::ACCESS_TOKEN).is_some() || data.text(key::CLIENT_SECRET).is_some()
}

/// Whether secrets go into `data.json`.
pub(crate) fn require_plaintext(environment: &Environment, what: &str) -> Result<()> {
    if environment.is_true(env::PLAINTEXT_SECRETS) {
        return Ok(());
    }
    Err(Error::new(format!("There is no place to keep {what}: this version does not use the operating system's secret store yet."))
        .hint(format!(
            "Set {}=true to keep secrets in data.json (readable by its owner only), or do without `login` and give \
             {} and {} to each `bwdc sync`.",
            env::PLAINTEXT_SECRETS,
            env::CLIENT_ID,
            env::CLIENT_SECRET
        )))
}

/// The organization in a client id, as `organization.<id>`.
pub(crate) fn organization_of(client_id: &str) -> Result<&str> {
    client_id.trim().strip_prefix("organization.").filter(|id| !id.is_empty()).ok_or_else(|| {
        Error::new(format!(
            "The client id `{client_id}` is not an organization's: it reads organization.<id>."
        ))
        .hint("An owner finds it in the web vault under Settings > Organization info > View API key.")
    })
}

impl Account {
    /// The stored login, or the API key in the environment.
    pub(crate) fn of(data: &Data, environment: &Environment) -> Result<Self> {
        if is_logged_in(data) {
            let credentials = match (data.text(key::CLIENT_ID), data.text(key::CLIENT_SECRET)) {
                (Some(id), Some(secret)) => Some(credentials(id, Secret::from(secret))),
                _ => None,
            };
            let organization_id = data.text(key::ORGANIZATION_ID).map(str::to_owned).ok_or_else(|| {
                Error::new("The stored login names no organization.")
                    .hint("Run `bwdc logout` and `bwdc login`.")
            })?;
            return Ok(Self { organization_id, credentials, kept: Kept::Stored });
        }
        match (environment.text(env::CLIENT_ID), environment.secret(env::CLIENT_SECRET)) {
            (Some(id), Some(secret)) => Ok(Self {
                organization_id: organization_of(&id)?.to_owned(),
                credentials: Some(credentials(&id, secret)),
                kept: Kept::Given,
            }),
            _ => Err(not_logged_in()),
        }
    }

    /// A token that is good for a while: the stored one, or a new one.
    pub(crate) async fn token(
        &self,
        client: &Client,
        file: &DataFile,
        environment: &Environment,
    ) -> Result<Token> {
        let stored = match self.kept {
            Kept::Stored => file.load()?.text(key::ACCESS_TOKEN).map(Token::from_stored),
            Kept::Given => None,
        };
        match stored {
            Some(token) if token.is_fresh(Timestamp::now()) => Ok(token),
            _ => self.new_token(client, file, environment).await,
        }
    }

    /// A new token, kept where the login is kept.
    pub(crate) async fn new_token(
        &self,
        client: &Client,
        file: &DataFile,
        environment: &Environment,
    ) -> Result<Token> {
        let credentials = self.credentials.as_ref().ok_or_else(|| {
            Error::new("The access token has expired, and the API key that would renew it is not stored.")
                .hint("Run `bwdc logout` and `bwdc login`.")
        })?;
        let token = client.token(credentials).await?;
        match self.kept {
            Kept::Stored => file.update(|data| {
                data.set(key::ACCESS_TOKEN, token.reveal());
                Ok(())
            })?,
            Kept::Given if environment.is_true(env::PLAINTEXT_SECRETS) => {
                store(file, credentials, &token, &self.organization_id)?;
            }
            Kept::Given => {}
        }
        Ok(token)
    }
}

/// An id and a key, without the blanks that copying leaves at the ends of the id.
pub(crate) fn credentials(client_id: &str, client_secret: Secret) -> Credentials {
    Credentials { client_id: client_id.trim().to_owned(), client_secret }
}

/// Keeps a login. Another organization than before makes a fresh start.
pub(crate) fn store(
    file: &DataFile,
    credentials: &Credentials,
    token: &Token,
    organization_id: &str,
) -> Result<()> {
    file.update(|data| {
        let is_other = data.text(key::ORGANIZATION_ID) != Some(organization_id);
        data.set(key::ACCESS_TOKEN, token.reveal());
        data.set(key::CLIENT_ID, credentials.client_id.as_str());
        data.set(key::CLIENT_SECRET, credentials.client_secret.reveal());
        data.set(key::ENTITY_ID, organization_id);
        if is_other {
            data.forget_cursors();
        }
        data.set(key::ORGANIZATION_ID, organization_id);
        Ok(())
    })
}

/// Removes a login.
pub(crate) fn forget(file: &DataFile) -> Result<()> {
    file.update(|data| {
        SECRETS.iter().for_each(|key| data.remove(key));
        Ok(())
    })
}

/// Removes an access token that the server refused; the API key stays, so that the next run can try again.
pub(crate) fn forget_token(file: &DataFile) -> Result<()> {
    file.update(|data| {
        data.remove(key::ACCESS_TOKEN);
        Ok(())
    })
}

/// The id of this installation, made once.
pub(crate) fn app_id(file: &DataFile, data: &Data) -> Result<String> {
    if let Some(id) = data.text(key::APP_ID) {
        return Ok(id.to_owned());
    }
    file.update(|data| {
        if let Some(id) = data.text(key::APP_ID) {
            return Ok(id.to_owned());
        }
        let id = uuid::Uuid::new_v4().to_string();
        data.set(key::APP_ID, id.as_str());
        Ok(id)
    })
}
