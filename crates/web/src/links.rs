//! One-time links: a file for each, named by the digest of its token, so that nobody who reads the folder has the token, and taking one
//! is removing a file, which succeeds once.

use std::fs;
use std::path::PathBuf;

use bwdc_config::installation::WebRole;
use bwdc_core::error::{Error, Result};
use bwdc_store::files::{make_private, write_atomically};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::sessions::{digest, hex, random};

/// Longest token that is looked at.
const LONGEST: usize = 128;

/// What a link gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) role: WebRole,
    pub(crate) expires: Timestamp,
}

/// Links of a page.
#[derive(Debug)]
pub(crate) struct Links(PathBuf);

impl Link {
    pub(crate) fn new(role: WebRole, lasts: SignedDuration) -> Self {
        Self { role, expires: Timestamp::now().saturating_add(lasts).unwrap_or(Timestamp::MAX) }
    }
}

impl Links {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, token: &str) -> PathBuf {
        self.0.join(hex(&digest(token.as_bytes())))
    }

    /// Keeps a link, and returns its token.
    pub(crate) fn make(&self, link: &Link) -> Result<String> {
        self.forget_expired();
        let token = random();
        let path = self.path(&token);
        let text =
            serde_json::to_vec(link).map_err(|error| Error::new(format!("Writing the link: {error}")))?;
        write_atomically(&path, &text)?;
        make_private(&path)?;
        Ok(token)
    }

    /// Whether there is a link that has not expired.
    pub(crate) fn is_good(&self, token: &str) -> bool {
        self.read(token).is_some()
    }

    /// Takes a link: nobody else can.
    pub(crate) fn take(&self, token: &str) -> Option<Link> {
        let link = self.read(token)?;
        fs::remove_file(self.path(token)).ok()?;
        Some(link)
    }

    fn read(&self, token: &str) -> Option<Link> {
        if token.len() > LONGEST {
            return None;
        }
        let link: Link = serde_json::from_slice(&fs::read(self.path(token)).ok()?).ok()?;
        (link.expires > Timestamp::now()).then_some(link)
    }

    fn forget_expired(&self) {
        let Ok(files) = fs::read_dir(&self.0) else { return };
        for file in files.flatten() {
            let link = fs::read(file.path()).ok().and_then(|text| serde_json::from_slice::<Link>(&text).ok());
            if link.is_some_and(|link| link.expires <= Timestamp::now()) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_once_and_not_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let links = Links::in_folder(folder.path().to_owned());
        let token = links.make(&Link::new(WebRole::Look, SignedDuration::from_mins(5))).unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1);
        assert!(!names[0].to_string_lossy().contains(&token));
        assert!(links.is_good(&token) && !links.is_good("") && !links.is_good("../links"));
        assert_eq!(links.take(&token).unwrap().role, WebRole::Look);
        assert_eq!(links.take(&token), None);
        let expired = links.make(&Link::new(WebRole::Change, SignedDuration::from_secs(-1))).unwrap();
        assert!(!links.is_good(&expired) && links.take(&expired).is_none());
        links.make(&Link::new(WebRole::Change, SignedDuration::from_mins(1))).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
