//! A platform whose secret store is not known here.

use bwdc_core::Secret;

type Result<T> = std::result::Result<T, String>;

#[derive(Debug)]
pub(crate) struct OsStore;

const UNKNOWN: &str = "the store of this platform is not known";

impl OsStore {
    pub(crate) async fn open() -> Result<Self> {
        Err(UNKNOWN.to_owned())
    }

    pub(crate) async fn get(&self, _account: &str) -> Result<Option<Secret>> {
        Err(UNKNOWN.to_owned())
    }

    pub(crate) async fn set(&self, _account: &str, _secret: &Secret) -> Result<()> {
        Err(UNKNOWN.to_owned())
    }

    pub(crate) async fn delete(&self, _account: &str) -> Result<()> {
        Err(UNKNOWN.to_owned())
    }
}
