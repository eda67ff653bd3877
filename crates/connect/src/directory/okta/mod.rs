//! Okta.

mod client;
mod config;
mod convert;
mod failure;
mod login;

use std::time::Duration;

use crate::http::Vendor;
use std::sync::Arc;

use bwdc_core::entry::Group;
use bwdc_core::note::{Note, Noted, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};

use self::client::{Client, GroupRecord, MemberRecord, UserRecord};
pub use self::config::{Config, Credentials};
use super::lists::{ByName, Listed, Lists, Members, People, SizeInMemory};
use super::lookup::{self, Sighting, attribute};
use super::{Abilities, Ask, Directory, Progress, ReadScope, Tombstones, lists};
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

const OKTA: Vendor = Vendor { name: "Okta", address: "okta.orgUrl" };

/// Time limit for one page.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Size of the largest pages that Okta sends (Okta API, "List all users", "List all groups", "List all member users").
const USERS_PAGE: &str = "200";
const GROUPS_PAGE: &str = "10000";
const MEMBERS_PAGE: &str = "1000";

/// Number of groups read at the same time; the client limits the requests.
const AT_ONCE: usize = 64;

/// Filter for deprovisioned people, whom `/users` leaves out unless they are requested.
const DEPROVISIONED: &str = "status eq \"DEPROVISIONED\"";

/// Okta organization.
#[derive(Debug)]
pub struct Okta {
    config: Config,
    client: Client,
}

impl Okta {
    /// Checks the settings that can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        let client = Client::new(&config)?;
        Ok(Self { config, client })
    }

    async fn users(&self, what: &str, filter: Option<&str>, progress: &Progress) -> Result<People> {
        let mut query = vec![("limit", USERS_PAGE)];
        query.extend(filter.map(|filter| ("filter", filter)));
        let records: Vec<UserRecord> = self.all(what, &["users"], &query, progress).await?;
        records.iter().for_each(|_| progress.user());
        Ok(People::of(records.iter().map(|record| (convert::user(record), record.created))))
    }

    /// Reads a list that must exist.
    async fn all<T: serde::de::DeserializeOwned + SizeInMemory>(
        &self,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
        progress: &Progress,
    ) -> Result<Vec<T>> {
        match self.client.list(what, path, query, progress).await? {
            Listed::All(entries) => Ok(entries),
            Listed::Gone => Err(Error::new(
                ErrorKind::Configuration,
                format!("Reading {what} from {}", self.client.place()),
                "HTTP 404: there is no such list",
            )
            .hint("Check okta.orgUrl: it is the organization's own address, without /admin.")),
        }
    }

    /// Reads people by the administrator's filter, those who left whatever the filter, and the others if it matters who they are.
    async fn people(&self, ask: &Ask, progress: &Progress) -> Result<Lists> {
        let filter = self.config.user_filter.as_deref();
        let (asked_for, left) = if ask.scope.has_users() {
            tokio::try_join!(
                self.users("users", filter, progress),
                self.users("deprovisioned users", Some(DEPROVISIONED), progress),
            )?
        } else {
            Default::default()
        };
        let is_everybody = ask.scope.has_users() && filter.is_none();
        let living = if is_everybody || !ask.needs_others(asked_for.users.iter().chain(&left.users)) {
            People::default()
        } else {
            self.users("all users", None, progress).await?
        };
        Ok(Lists { asked_for, left, living })
    }

    /// Reads groups with their members, several at once. One deleted during the read is left out, with a note.
    async fn groups(&self, scope: ReadScope, progress: &Progress) -> Result<Noted<Vec<Group>>> {
        if !scope.has_groups() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut query = vec![("limit", GROUPS_PAGE)];
        query.extend(self.config.group_filter.as_deref().map(|filter| ("filter", filter)));
        let records: Vec<GroupRecord> = self.all("groups", &["groups"], &query, progress).await?;
        let ByName { named: records, mut notes, .. } =
            lists::by_name(records, |record| &record.profile.name, |record| record.id.clone());
        progress.expect_requests(records.len());
        let members = |record| self.members(record, progress);
        let (read, more) =
            lists::with_members(&records, AT_ONCE, |record| &record.profile.name, members).await?;
        notes.extend(more);
        let groups = read.iter().map(|(record, members)| convert::group(record, members)).collect();
        Ok((groups, notes))
    }

    async fn members(&self, record: &GroupRecord, progress: &Progress) -> Result<Members<MemberRecord>> {
        let what = format!("the members of the group {}", record.profile.name);
        let path = ["groups", &record.id, "users"];
        let listed = self.client.list(&what, &path, &[("limit", MEMBERS_PAGE)], progress).await?;
        progress.group();
        Ok(listed.into())
    }

    fn place(&self) -> Place {
        Place::from(format!("okta {}", self.client.host()))
    }

    async fn check<T: serde::de::DeserializeOwned + SizeInMemory>(
        &self,
        what: &'static str,
        path: &str,
        filter: Option<&str>,
    ) -> Check {
        let mut query = vec![("limit", USERS_PAGE)];
        query.extend(filter.map(|filter| ("filter", filter)));
        match self.all::<T>(what, &[path], &query, &Progress::default()).await {
            Ok(found) if found.is_empty() => Check::doubtful(
                format!("Okta {what}"),
                "there are none",
                "Check the filter and the token's role.",
            ),
            Ok(found) => Check::good(format!("Okta {what}"), format!("{} can be read", found.len())),
            Err(error) => Check::bad(format!("Okta {what}"), error),
        }
    }
}

impl Directory for Okta {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::Yes }
    }

    fn covers(&self, place: &Place) -> bool {
        *place == self.place()
    }

    async fn probe(&self, scope: ReadScope) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Credentials::Application { client_id, .. } = &self.config.credentials {
            match self.client.log_in().await {
                Err(error) => return vec![Check::bad("Okta login", error)],
                Ok(()) => {
                    checks.push(Check::good("Okta login", format!("the application {client_id} has a token")))
                }
            }
        }
        checks.push(self.check::<UserRecord>("users", "users", self.config.user_filter.as_deref()).await);
        if scope.has_groups() && !checks.iter().any(Check::is_bad) {
            checks.push(
                self.check::<GroupRecord>("groups", "groups", self.config.group_filter.as_deref()).await,
            );
        }
        checks
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        let (people, (groups, mut notes)) =
            tokio::try_join!(self.people(ask, progress), self.groups(ask.scope, progress))?;
        let is_empty = people.asked_for.users.is_empty();
        let (users, others, created) = people.joined();
        if is_empty && ask.scope.has_users() {
            notes.push(Note::warning(Step::Read, "", format!("{} has no users", self.client.place())));
        }
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups: Vec::new(),
            coverage: Coverage::Full,
            population: Some(format!("okta {}", self.client.place())),
            place: Some(self.place()),
            created,
            server_time: None,
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }

    async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
        let quoted = lookup::quoted(text, '"', &['"', '\\'], '\\');
        let people = format!("id eq {quoted} or profile.email eq {quoted} or profile.login eq {quoted}");
        let left = format!("{DEPROVISIONED} and ({people})");
        let groups = format!("id eq {quoted} or profile.name eq {quoted}");
        let (people, left, groups) = tokio::join!(
            self.found::<UserRecord>("users", ("filter", &people)),
            self.found::<UserRecord>("users", ("filter", &left)),
            self.found::<GroupRecord>("groups", ("search", &groups)),
        );
        let mut records = people?;
        let known: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
        records.extend(left?.into_iter().filter(|record| !known.contains(&record.id)));
        lookup::people_and_groups(
            Ok(records.iter().map(sighting).collect()),
            groups.map(|records| records.iter().map(group_sighting).collect()),
        )
    }
}

impl Okta {
    async fn found<T: serde::de::DeserializeOwned + SizeInMemory>(
        &self,
        list: &str,
        filter: (&str, &str),
    ) -> Result<Vec<T>> {
        self.all(list, &[list], &[("limit", USERS_PAGE), filter], &Progress::default()).await
    }
}

fn group_sighting(record: &GroupRecord) -> Sighting {
    let GroupRecord { id, profile } = record;
    lookup::group(id, vec![attribute("id", Some(id)), attribute("name", Some(&profile.name))])
}

fn sighting(record: &UserRecord) -> Sighting {
    let UserRecord { id, status, profile, .. } = record;
    let attributes = vec![
        attribute("id", Some(id)),
        attribute("email", profile.email.as_ref()),
        attribute("login", profile.login.as_ref()),
        attribute("status", Some(status)),
    ];
    let is_marked = convert::user(record).status != bwdc_core::entry::Status::Active;
    lookup::person(id, attributes, is_marked.then(|| format!("status={status}")))
}
