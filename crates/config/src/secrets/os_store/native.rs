//! macOS's keychain (a generic password) and Windows' Credential Manager (a generic credential named `service/account`, its
//! value in UTF-16; older versions of the existing connector wrote UTF-8, which is read too).

use bwdc_core::Secret;
use keyring::{Entry, Error};
use zeroize::Zeroizing;

use super::{SERVICE, decoded, encoded};

type Result<T> = std::result::Result<T, String>;

#[derive(Debug)]
pub(crate) struct OsStore;

impl OsStore {
    pub(crate) async fn open() -> Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn get(&self, account: &str) -> Result<Option<Secret>> {
        let entry = entry(account)?;
        match entry.get_secret().map(Zeroizing::new) {
            Ok(bytes) => decoded(&bytes).map(Some),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn set(&self, account: &str, secret: &Secret) -> Result<()> {
        entry(account)?.set_password(&encoded(secret)?).map_err(|error| error.to_string())
    }

    pub(crate) async fn delete(&self, account: &str) -> Result<()> {
        match entry(account)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(windows)]
fn entry(account: &str) -> Result<Entry> {
    Entry::new_with_target(&format!("{SERVICE}/{account}"), SERVICE, account)
        .map_err(|error| error.to_string())
}

#[cfg(not(windows))]
fn entry(account: &str) -> Result<Entry> {
    Entry::new(SERVICE, account).map_err(|error| error.to_string())
}
