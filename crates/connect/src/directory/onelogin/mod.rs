//! OneLogin, by version 2 of its API: ids, states and roles are those of version 1, and its pages can be requested by number.

mod client;
mod config;
mod convert;
mod failure;
mod listing;
mod record;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bwdc_core::entry::Group;
use bwdc_core::note::{Note, Noted, Step};
use bwdc_core::organization::Moment;
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};

use self::client::{At, Client, List, Page};
pub use self::config::{Config, Region};
use self::record::{Holder, Record, RoleRecord, UserRecord};
use super::lists::{ByName, Listed, Members, People};
use super::lookup::{self, Sighting, Wanted, attribute};
use super::{Abilities, Ask, Directory, Progress, ReadScope, Tombstones, lists};
use crate::http::RateLimit;
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

/// Number of roles whose members are read at the same time; the client limits the requests.
const AT_ONCE: usize = 64;

/// OneLogin account.
#[derive(Debug)]
pub struct OneLogin {
    config: Config,
    client: Client,
}

impl OneLogin {
    /// Checks the settings that can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        let client = Client::new(&config)?;
        Ok(Self { config, client })
    }

    async fn users(&self, progress: &Progress) -> Result<Vec<UserRecord>> {
        let users: Vec<UserRecord> = self.all(&List::users(), progress).await?;
        users.iter().for_each(|_| progress.user());
        Ok(users)
    }

    /// Reads a list without an owner that could be deleted.
    async fn all<T: Record>(&self, list: &List, progress: &Progress) -> Result<Vec<T>> {
        match listing::all(&self.client, list, progress).await? {
            Listed::All(records) => Ok(records),
            Listed::Gone => {
                let attempted = format!("Reading {} from {}", list.what, self.client.place());
                Err(Error::new(ErrorKind::Incomplete, attempted, "the list does not exist")
                    .hint("Nothing was imported."))
            }
        }
    }

    /// Reads roles as groups. They are listed after the people: a role that is deleted meanwhile is no longer in the list, so it
    /// never becomes a group with only some of its members.
    async fn groups(&self, users: &[UserRecord], progress: &Progress) -> Result<Noted<Vec<Group>>> {
        let mut roles: Vec<RoleRecord> = self.all(&List::roles(), progress).await?;
        // A role that people have was deleted meanwhile, or moved from page to page during the read.
        if !unlisted(users, &roles).is_empty() {
            roles = self.all(&List::roles(), progress).await?;
        }
        roles.iter().for_each(|_| progress.group());
        let unlisted = unlisted(users, &roles).into_iter().map(|id| {
            Note::info(Step::Read, id, "people have this role, but it is not listed (or no longer is)")
        });
        let mut notes: Vec<Note> = unlisted.collect();
        let ByName { named, notes: more, .. } =
            lists::by_name(roles, |role| &role.name, |role| role.id.to_string());
        notes.extend(more);
        if tell_roles(users) {
            return Ok((convert::groups(named, users), notes));
        }
        // Groups without members would take people's access away.
        progress.expect_requests(named.len());
        let (groups, more) =
            lists::with_members(&named, AT_ONCE, |role| &role.name, |role| self.holders(role, progress))
                .await?;
        notes.extend(more);
        let group = |(role, holders): (&RoleRecord, Vec<Holder>)| {
            convert::group(role, holders.into_iter().map(|holder| holder.id))
        };
        Ok((groups.into_iter().map(group).collect(), notes))
    }

    async fn holders(&self, role: &RoleRecord, progress: &Progress) -> Result<Members<Holder>> {
        Ok(listing::all(&self.client, &List::holders_of(role), progress).await?.into())
    }

    async fn first<T: Record>(&self, list: &List) -> Result<Option<Page<T>>> {
        self.client.page(list, At::Number(1), &Progress::default()).await
    }

    async fn check<T: Record>(&self, list: &List) -> (Check, Option<Page<T>>) {
        let what = format!("OneLogin {}", list.what);
        match self.first::<T>(list).await {
            Err(error) => (Check::bad(what, error), None),
            Ok(Some(page)) if !page.records.is_empty() => {
                let found = match page.total {
                    Some(total) => format!("{total} can be read"),
                    None => "can be read".to_owned(),
                };
                (Check::good(what, found), Some(page))
            }
            Ok(page) => {
                (Check::doubtful(what, "there are none", "Check the scope of the credential pair."), page)
            }
        }
    }

    /// Whether members can be read role by role instead, tried with the first one.
    async fn check_holders(&self, roles: Option<&Page<RoleRecord>>) -> Option<Check> {
        let what = "OneLogin users' roles";
        match self.first::<Holder>(&List::holders_of(roles?.records.first()?)).await {
            Err(error) => Some(Check::bad(what, error)),
            Ok(_) => Some(Check::good(what, "not included with the users; read role by role instead")),
        }
    }
}

/// Whether the list of people includes their roles. A page on which nobody has any may be one that omits them.
fn tell_roles(users: &[UserRecord]) -> bool {
    users.iter().all(|user| user.role_ids.is_some())
}

/// Ids of roles that people have and that are not in the list.
fn unlisted(users: &[UserRecord], roles: &[RoleRecord]) -> BTreeSet<u64> {
    let listed: HashSet<u64> = roles.iter().map(|role| role.id).collect();
    users.iter().flat_map(convert::role_ids).copied().filter(|id| !listed.contains(id)).collect()
}

/// Whether the remaining calls of this hour are enough for a read.
fn enough_calls(page: &Page<UserRecord>) -> Option<Check> {
    let RateLimit { left, renewed_in } = page.calls?;
    // People, and a page or two of roles.
    let needed = page.pages.unwrap_or(1) + 2;
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

    fn covers(&self, place: &Place) -> bool {
        *place == self.config.place()
    }

    async fn probe(&self, scope: ReadScope) -> Vec<Check> {
        if let Err(error) = self.client.log_in().await {
            return vec![Check::bad("OneLogin login", error)];
        }
        let mut checks = vec![Check::good("OneLogin login", format!("accepted at {}", self.client.place()))];
        let (check, page) = self.check::<UserRecord>(&List::users()).await;
        checks.push(check);
        let Some(page) = page else { return checks };
        if scope.has_groups() {
            let (check, roles) = self.check::<RoleRecord>(&List::roles()).await;
            checks.push(check);
            if !tell_roles(&page.records) {
                checks.extend(self.check_holders(roles.as_ref()).await);
            }
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
            notes.push(Note::warning(Step::Read, "", format!("{} has no users", self.client.place())));
        }
        let suffix = self.config.email_suffix.as_deref();
        if ask.scope.has_users() {
            notes.extend(records.iter().filter_map(|record| convert::made_wrong(record, suffix)));
        }
        let created = |record: &UserRecord| record.created_at.map(|at| Moment(at.as_second()));
        let people = records.iter().map(|record| (convert::user(record, suffix), created(record)));
        let People { users, created } = People::of(people);
        let (users, others) = if ask.scope.has_users() { (users, Vec::new()) } else { (Vec::new(), users) };
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups: Vec::new(),
            coverage: Coverage::Full,
            // Another credential pair may see other people.
            population: Some(format!("onelogin {} {}", self.client.place(), self.config.client_id)),
            place: Some(self.config.place()),
            created,
            server_time: None,
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }

    async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
        let (wanted, text) = (Wanted::of(text), text.trim());
        let suffix = self.config.email_suffix.as_deref();
        // A list can be asked for one property at a time.
        let mut lists = vec![List::users().of("email", text), List::users().of("username", text)];
        if let Some(name) = suffix.and_then(|suffix| text.strip_suffix(suffix)) {
            lists.push(List::users().of("username", name));
        }
        if text.parse::<u64>().is_ok() {
            lists.push(List::users().of("user_ids", text));
        }
        let mut records: Vec<UserRecord> = Vec::new();
        for list in &lists {
            let more: Vec<UserRecord> = self.all(list, &Progress::default()).await?;
            let is_new = |record: &UserRecord| records.iter().all(|known| known.id != record.id);
            let more: Vec<UserRecord> = more.into_iter().filter(is_new).collect();
            records.extend(more);
        }
        // OneLogin takes an asterisk for any text.
        let is_wanted = |record: &&UserRecord| {
            let (id, made) = (record.id.to_string(), convert::user(record, suffix).email);
            let made = made.as_ref().map(bwdc_core::entry::Email::as_str);
            wanted.is_any(&[Some(&id), record.email.as_deref(), record.username.as_deref(), made])
        };
        let roles: Result<Vec<RoleRecord>> =
            self.all(&List::roles().of("name", text), &Progress::default()).await;
        let is_role = |role: &&RoleRecord| wanted.is(&role.name);
        lookup::people_and_groups(
            Ok(records.iter().filter(is_wanted).map(|record| sighting(record, suffix)).collect()),
            roles.map(|roles| roles.iter().filter(is_role).map(role_sighting).collect()),
        )
    }
}

fn role_sighting(RoleRecord { id, name, .. }: &RoleRecord) -> Sighting {
    lookup::group(&id.to_string(), vec![attribute("id", Some(id)), attribute("name", Some(name))])
}

fn sighting(record: &UserRecord, suffix: Option<&str>) -> Sighting {
    let UserRecord { id, email, username, status, .. } = record;
    let attributes = vec![
        attribute("id", Some(id)),
        attribute("email", email.as_ref()),
        attribute("username", username.as_ref()),
        attribute("status", status.as_ref()),
    ];
    let is_marked = convert::user(record, suffix).status != bwdc_core::entry::Status::Active;
    let mark = status.filter(|_| is_marked).map(|status| format!("status={status}"));
    lookup::person(&id.to_string(), attributes, mark)
}
