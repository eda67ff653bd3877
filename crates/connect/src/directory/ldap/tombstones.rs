//! Deleted accounts of an Active Directory.

use bwdc_core::note::{Note, Noted, Step};
use jiff::Timestamp;

use super::client::Connection;
use super::config::{Flavour, and};
use super::convert::{self, EntryState, PersonEntry};
use super::request::SearchRequest;
use super::wire::{Control, Criticality, Depth};
use super::{Ask, Ldap, Progress, SHOW_DELETED, nothing, unique};
use crate::{ErrorKind, Result};

impl Ldap {
    /// Reads deleted accounts. If the account may not see them, this is noted and not an error: the permission is often missing.
    pub(super) async fn tombstones(
        &self,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<Noted<Vec<PersonEntry>>> {
        let (mut people, mut notes) = (Vec::new(), Vec::new());
        for root in unique(self.trees.iter().filter_map(|tree| tree.domain.as_deref())) {
            let (found, said) = self.tombstones_of(root, since, progress).await?;
            people.extend(found);
            notes.extend(said);
        }
        Ok((people, notes))
    }

    pub(super) async fn tombstones_of(
        &self,
        root: &str,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<Noted<Vec<PersonEntry>>> {
        let filter = and(&self.config.users.without_filter().filter(), "(isDeleted=TRUE)");
        let request = SearchRequest {
            what: "deleted users",
            base: format!("CN=Deleted Objects,{root}"),
            scope: Depth::Subtree,
            filter: self.changed_since(&filter, since).unwrap_or(filter),
            attributes: convert::user_attributes(&self.config, convert::MemberValues::Dns),
            controls: vec![Control {
                oid: SHOW_DELETED,
                criticality: Criticality::Critical,
                value: Vec::new(),
            }],
        };
        match self.search_people(&request, EntryState::Tombstone, progress).await {
            Ok((people, mut notes)) if people.is_empty() => {
                if !self.may_see(&request).await? {
                    notes.push(warning(format!(
                        "this account may not see {}, so people who were deleted stay in the organization; the LDAP page shows how to \
                        grant the permission",
                        request.base
                    )));
                }
                Ok((people, notes))
            }
            Err(error) if matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Refused) => Ok((
                Vec::new(),
                vec![warning(format!(
                    "deleted users could not be read, so people who left may stay in the organization: {error}"
                ))],
            )),
            other => other,
        }
    }

    /// Whether the account can see the container of deleted entries. Active Directory silently hides entries from accounts without
    /// the permission.
    pub(super) async fn may_see(&self, tombstones: &SearchRequest) -> Result<bool> {
        let request = SearchRequest {
            what: "the container of deleted users",
            scope: Depth::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: nothing(),
            ..tombstones.clone()
        };
        let mut connection = Connection::open(&self.config).await?;
        let seen = connection.exists(&request).await;
        connection.close().await;
        match seen {
            Ok((found, _)) => Ok(found),
            Err(error) if matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Refused) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn read_tombstones(
        &self,
        ask: &Ask,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<Noted<Vec<PersonEntry>>> {
        let wanted = self.config.flavour == Flavour::ActiveDirectory && ask.scope.has_users();
        if wanted { self.tombstones(since, progress).await } else { Ok((Vec::new(), Vec::new())) }
    }
}

fn warning(text: String) -> Note {
    Note::warning(Step::Read, "", text)
}
