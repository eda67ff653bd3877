//! The Secret Service over D-Bus (GNOME Keyring, KWallet, KeePassXC), without a C library. Attributes as libsecret's
//! simple API has them, which is what the existing connector goes through.

use std::collections::HashMap;
use std::time::Duration;

use bwdc_core::Secret;
use secret_service::{EncryptionType, Item, SecretService};
use zeroize::Zeroizing;

use super::{SERVICE, decoded, encoded};

/// How long the store may take; unlocking may ask somebody on a desktop.
const LIMIT: Duration = Duration::from_secs(30);
/// libsecret's name for secrets without a schema of their own.
const SCHEMA: (&str, &str) = ("xdg:schema", "org.freedesktop.Secret.Generic");

type Result<T> = std::result::Result<T, String>;

pub(crate) struct OsStore(SecretService<'static>);

impl std::fmt::Debug for OsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OsStore")
    }
}

impl OsStore {
    pub(crate) async fn open() -> Result<Self> {
        limited(SecretService::connect(EncryptionType::Dh)).await.map(Self).map_err(|why| {
            tracing::debug!("connecting to the secret service: {why}");
            "no secret service is running for this user".to_owned()
        })
    }

    pub(crate) async fn get(&self, account: &str) -> Result<Option<Secret>> {
        let Some(item) = self.item(account).await? else { return Ok(None) };
        let bytes = Zeroizing::new(limited(item.get_secret()).await?);
        decoded(&bytes).map(Some)
    }

    pub(crate) async fn set(&self, account: &str, secret: &Secret) -> Result<()> {
        let value = encoded(secret)?;
        if let Some(item) = self.item(account).await? {
            return limited(item.set_secret(value.as_bytes(), "text/plain")).await;
        }
        let collection = limited(self.0.get_default_collection()).await?;
        limited(collection.ensure_unlocked()).await.map_err(|why| format!("it is locked ({why})"))?;
        let attributes = HashMap::from([("service", SERVICE), ("account", account), SCHEMA]);
        let label = format!("{SERVICE}/{account}");
        limited(collection.create_item(&label, attributes, value.as_bytes(), true, "text/plain")).await?;
        Ok(())
    }

    pub(crate) async fn delete(&self, account: &str) -> Result<()> {
        match self.item(account).await? {
            Some(item) => limited(item.delete()).await,
            None => Ok(()),
        }
    }

    async fn item(&self, account: &str) -> Result<Option<Item<'_>>> {
        let attributes = HashMap::from([("service", SERVICE), ("account", account)]);
        let found = limited(self.0.search_items(attributes)).await?;
        if let Some(item) = found.unlocked.into_iter().next() {
            return Ok(Some(item));
        }
        let Some(item) = found.locked.into_iter().next() else { return Ok(None) };
        limited(item.unlock()).await.map_err(|why| format!("it is locked ({why})"))?;
        Ok(Some(item))
    }
}

async fn limited<T>(work: impl Future<Output = std::result::Result<T, secret_service::Error>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result.map_err(|error| match error {
            secret_service::Error::NoResult => "it has no default keyring".to_owned(),
            secret_service::Error::Locked | secret_service::Error::Prompt => {
                "its keyring is locked, and nobody unlocked it".to_owned()
            }
            other => other.to_string(),
        }),
        Err(_) => Err(format!("it did not answer within {} seconds", LIMIT.as_secs())),
    }
}
