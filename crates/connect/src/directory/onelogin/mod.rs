//! OneLogin, by version 2 of its API: the ids, states and roles are those of version 1, and its pages can be asked for by number.

mod client;
mod config;
mod convert;
mod listing;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bwdc_core::entry::Group;
use bwdc_core::note::{Note, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};

use self::client::{Client, Page, Record, RoleIds, RoleRecord, UserRecord};
pub use self::config::{Config, Region};
use super::lists::ByName;
use super::{Abilities, Ask, Directory, Progress, Scope, Tombstones, lists};
use crate::http::Limit;
use crate::probe::Check;
use crate::{Error, Kind, Result};

/// A OneLogin account.
#[derive(Debug)]
pub struct OneLogin {
    config: Config,
    client: Client,
}

impl OneLogin {
    /// Checks what can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        let client = Client::new(&config)?;
        Ok(Self { config, client })
    }

    async fn users(&self, progress: &Progress) -> Result<Vec<UserRecord>> {
        let users: Vec<UserRecord> = listing::all(&self.client, progress).await?;
        users.iter().for_each(|_| progress.user());
        Ok(users)
    }

    /// Roles as groups. They are listed after the people: a role that is deleted meanwhile is not in the list any more, so that it
    /// never becomes a group with a part of its members.
    async fn groups(&self, users: &[UserRecord], progress: &Progress) -> Result<(Vec<Group>, Vec<Note>)> {
        self.must_tell_roles(users)?;
        let mut roles: Vec<RoleRecord> = listing::all(&self.client, progress).await?;
        // One that people have was deleted meanwhile, or moved from page to page while others were.
        if !unlisted(users, &roles).is_empty() {
            roles = listing::all(&self.client, progress).await?;
        }
        roles.iter().for_each(|_| progress.group());
        let unlisted = unlisted(users, &roles)
            .into_iter()
            .map(|id| Note::info(Step::Read, id, "people have this role, but it is not listed (any more)"));
        let mut notes: Vec<Note> = unlisted.collect();
        let ByName { named, notes: more, .. } =
            lists::by_name(roles, |role| &role.name, |role| role.id.to_string());
        notes.extend(more);
        Ok((convert::groups(named, users), notes))
    }

    /// Groups without members instead would take people's access away.
    fn must_tell_roles(&self, users: &[UserRecord]) -> Result<()> {
        let Some(user) = users.iter().find(|user| user.role_ids == RoleIds::Untold) else { return Ok(()) };
        Err(Error::new(
            Kind::Data,
            format!("Reading users from {}", self.client.place()),
            format!("the entry of the user {} does not say which roles it has (role_ids)", user.id),
        )
        .hint("Nothing was imported. A proxy may change what OneLogin sends; if not, its API has changed."))
    }

    async fn check<T: Record>(&self) -> (Check, Option<Page<T>>) {
        let what = format!("OneLogin {}", T::LIST.name);
        match self.client.page::<T>(1, &Progress::default()).await {
            Err(error) => (Check::bad(what, error), None),
            Ok(page) if page.total == 0 => (
                Check::doubtful(what, "there are none", "Check the scope of the credential pair."),
                Some(page),
            ),
            Ok(page) => (Check::good(what, format!("{} can be read", page.total)), Some(page)),
        }
    }
}

/// Ids of roles that people have and that are not in the list.
fn unlisted(users: &[UserRecord], roles: &[RoleRecord]) -> BTreeSet<u64> {
    let listed: HashSet<u64> = roles.iter().map(|role| role.id).collect();
    users.iter().flat_map(convert::role_ids).copied().filter(|id| !listed.contains(id)).collect()
}

/// Whether the calls that are left of this hour are enough for a read.
fn enough_calls(page: &Page<UserRecord>) -> Option<Check> {
    let Limit { left, renewed_in } = page.calls?;
    // People, and a page or two of roles.
    let needed = page.pages + 2;
    let minutes = renewed_in.as_secs().div_ceil(60);
    let found = format!("{left} are left, renewed in {minutes} minutes; a sync takes about {needed}");
    Some(if usize::try_from(left).is_ok_and(|left| left > needed) {
        Check::good("OneLogin calls", found)
    } else {
        Check::doubtful(
            "OneLogin calls",
            found,
            "Sync later, or find out what else uses this account's calls.",
        )
    })
}

impl Directory for OneLogin {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::No }
    }

    async fn probe(&self, scope: Scope) -> Vec<Check> {
        if let Err(error) = self.client.log_in().await {
            return vec![Check::bad("OneLogin login", error)];
        }
        let mut checks = vec![Check::good("OneLogin login", format!("accepted at {}", self.client.place()))];
        let (check, page) = self.check::<UserRecord>().await;
        checks.push(check);
        let Some(page) = page else { return checks };
        if scope.has_groups() {
            checks.extend(
                self.must_tell_roles(&page.records)
                    .err()
                    .map(|error| Check::bad("OneLogin users' roles", error)),
            );
            checks.push(self.check::<RoleRecord>().await.0);
        }
        checks.extend(enough_calls(&page));
        checks
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        let records = self.users(progress).await?;
        let (groups, mut notes) = if ask.scope.has_groups() {
            self.groups(&records, progress).await?
        } else {
            (Vec::new(), Vec::new())
        };
        if records.is_empty() {
            notes.push(Note::warning(
                Step::Read,
                "",
                format!("there are no users at {}", self.client.place()),
            ));
        }
        let suffix = self.config.email_suffix.as_deref();
        let users = records.iter().map(|record| convert::user(record, suffix)).collect();
        let (users, others) = if ask.scope.has_users() { (users, Vec::new()) } else { (Vec::new(), users) };
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups: Vec::new(),
            coverage: Coverage::Full,
            // Another credential pair may see other people.
            population: Some(format!("onelogin {} {}", self.client.place(), self.config.client_id)),
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }
}
