//! Google Workspace.

mod client;
pub mod config;
mod convert;
mod failure;
mod login;

use std::collections::HashSet;
use std::sync::Arc;

use bwdc_core::note::{Note, Noted, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};

use self::client::{Client, GroupRecord, MemberRecord, Page, Record, UserRecord};
pub use self::config::{Config, KeyFile, ServiceAccount, Tenancy};
use self::convert::Listing;
use self::login::SCOPES;
use super::lists::{ByName, Listed, Lists, Members, People};
use super::lookup::{self, Sighting, attribute};
use super::{Abilities, Ask, Directory, Progress, ReadScope, Tombstones, lists};
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

/// Number of groups read at the same time; the client limits the requests.
const AT_ONCE: usize = 128;

/// Google Workspace.
#[derive(Debug)]
pub struct Google {
    config: Config,
    client: Client,
}

impl Google {
    /// Checks the settings that can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        let client = Client::new(&config)?;
        Ok(Self { config, client })
    }

    /// Query for a list of people or groups.
    fn query<'a>(&'a self, native: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
        let mut query = vec![self.config.part.parameter()];
        query.extend(native.map(|native| ("query", native)));
        query
    }

    async fn users(
        &self,
        what: &str,
        listing: Listing,
        native: Option<&str>,
        progress: &Progress,
    ) -> Result<People> {
        let mut query = self.query(native);
        if listing == Listing::Deleted {
            query.push(("showDeleted", "true"));
        }
        let records: Vec<UserRecord> = self.all(what, &query, progress).await?;
        records.iter().for_each(|_| progress.user());
        Ok(People::of(records.iter().map(|record| (convert::user(record, listing), record.creation_time))))
    }

    /// Reads a list that must exist.
    async fn all<T: Record>(
        &self,
        what: &str,
        query: &[(&str, &str)],
        progress: &Progress,
    ) -> Result<Vec<T>> {
        match self.client.list(what, &[T::LIST], query, progress).await? {
            Listed::All(entries) => Ok(entries),
            Listed::Gone => Err(no_list(what)),
        }
    }

    /// Reads people by the administrator's query, those who left whatever the query, and the others if it matters who they are.
    async fn people(&self, ask: &Ask, progress: &Progress) -> Result<Lists> {
        let native = self.config.user_query.as_deref();
        let (asked_for, left) = if ask.scope.has_users() {
            tokio::try_join!(
                self.users("users", Listing::Living, native, progress),
                self.users("deleted users", Listing::Deleted, None, progress),
            )?
        } else {
            Default::default()
        };
        let is_everybody = ask.scope.has_users() && native.is_none();
        let living = if is_everybody || !ask.needs_others(asked_for.users.iter().chain(&left.users)) {
            People::default()
        } else {
            self.users("all users", Listing::Living, None, progress).await?
        };
        Ok(Lists { asked_for, left, living })
    }

    /// Reads groups with their members, several at once. One deleted during the read is left out, with a note.
    async fn groups(
        &self,
        scope: ReadScope,
        progress: &Progress,
    ) -> Result<Noted<Vec<(GroupRecord, Vec<MemberRecord>)>>> {
        if !scope.has_groups() {
            return Ok((Vec::new(), Vec::new()));
        }
        let query = self.query(self.config.group_query.as_deref());
        let mut records: Vec<GroupRecord> = self.all("groups", &query, progress).await?;
        // A list that changes during the read may contain an entry twice.
        let mut seen = HashSet::new();
        records.retain(|record| seen.insert(record.id.clone()));
        let ByName { named: records, mut notes, .. } =
            lists::by_name(records, |record| &record.name, |record| record.id.clone());
        progress.expect_requests(records.len());
        let members = |record| self.members(record, progress);
        let (read, more) = lists::with_members(&records, AT_ONCE, |record| &record.name, members).await?;
        notes.extend(more);
        Ok((read.into_iter().map(|(record, members)| (record.clone(), members)).collect(), notes))
    }

    async fn members(&self, record: &GroupRecord, progress: &Progress) -> Result<Members<MemberRecord>> {
        let what = format!("the members of the group {}", record.name);
        let listed = self
            .client
            .list(&what, &[GroupRecord::LIST, &record.id, MemberRecord::LIST], &[], progress)
            .await?;
        progress.group();
        Ok(listed.into())
    }
}

fn no_list(what: &str) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("Reading {what} from Google"),
        "HTTP 404: there is no such list",
    )
    .hint("Check BWDC_GOOGLE_API_URL.")
}

/// Checks each step of a read separately.
impl Google {
    /// Finds the scopes the service account has, if it does not have all.
    async fn scopes(&self, refused: Error) -> Vec<Check> {
        let mut checks = Vec::new();
        for scope in SCOPES {
            let what = format!("Google scope {scope}");
            checks.push(match self.client.try_scope(scope).await {
                Ok(()) => Check::good(what, "granted"),
                Err(error) => Check::bad(what, error),
            });
        }
        match checks.iter().filter(|check| check.is_bad()).count() {
            // The failure has nothing to do with scopes.
            0 => checks.push(Check::bad("Google login", refused)),
            all if all == checks.len() => checks = vec![Check::bad("Google login", refused)],
            _ => {}
        }
        checks
    }

    async fn list_check<T: Record>(&self, path: &[&str], query: &[(&str, &str)]) -> (Check, Vec<T>) {
        let what = format!("Google {}", T::LIST);
        match self.client.first_page::<T>(T::LIST, path, query).await {
            Ok(Page::Entries(found)) if found.is_empty() => {
                let next_step = "Check the filter, and gsuite.domain or gsuite.customer.";
                (Check::doubtful(what, "there are none", next_step), found)
            }
            Ok(Page::Entries(found)) => {
                let count = found.len();
                let or_more = if Some(count) == T::PAGE.parse().ok() { " or more" } else { "" };
                (Check::good(what, format!("{count}{or_more} can be read")), found)
            }
            Ok(Page::Gone | Page::BegunAgain) => (Check::bad(what, no_list(T::LIST)), Vec::new()),
            Err(error) => (Check::bad(what, error), Vec::new()),
        }
    }

    /// Checks members of the first group, which need a permission of their own.
    async fn members_check(&self, groups: &[GroupRecord]) -> Option<Check> {
        let group = groups.first()?;
        let path = [GroupRecord::LIST, &group.id, MemberRecord::LIST];
        let what = format!("Google members of the group {}", group.name);
        Some(match self.client.first_page::<MemberRecord>("members", &path, &[]).await {
            Ok(Page::Entries(found)) => Check::good(what, format!("{} can be read", found.len())),
            Ok(Page::Gone | Page::BegunAgain) => Check::good(what, "the group was deleted just now"),
            Err(error) => Check::bad(what, error),
        })
    }
}

impl Directory for Google {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::Yes }
    }

    fn covers(&self, place: &Place) -> bool {
        *place == self.config.part.place()
    }

    async fn probe(&self, scope: ReadScope) -> Vec<Check> {
        let ServiceAccount { client_email, source, .. } = self.client.login().account();
        let mut checks =
            vec![Check::good("Google key", format!("the key in {source} is for {client_email}"))];
        if let Err(error) = self.client.log_in().await {
            let has_answer = error.kind() == ErrorKind::Credentials;
            checks.extend(if has_answer {
                self.scopes(error).await
            } else {
                vec![Check::bad("Google login", error)]
            });
            return checks;
        }
        checks.push(Check::good("Google login", format!("for {}, with all scopes", self.config.admin_user)));
        let users = self.query(self.config.user_query.as_deref());
        checks.push(self.list_check::<UserRecord>(&[UserRecord::LIST], &users).await.0);
        if scope.has_groups() && !checks.iter().any(Check::is_bad) {
            let query = self.query(self.config.group_query.as_deref());
            let (check, groups) = self.list_check::<GroupRecord>(&[GroupRecord::LIST], &query).await;
            checks.push(check);
            checks.extend(self.members_check(&groups).await);
        }
        checks
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        let (people, (records, mut notes)) =
            tokio::try_join!(self.people(ask, progress), self.groups(ask.scope, progress))?;
        let is_empty = people.asked_for.users.is_empty();
        let (users, others, created) = people.joined();
        let part = &self.config.part;
        if is_empty && ask.scope.has_users() {
            notes.push(Note::warning(Step::Read, "", format!("the {part} has no users")));
        }
        let living = convert::living(users.iter().chain(&others));
        let mut groups = Vec::with_capacity(records.len());
        for (record, members) in &records {
            let (group, more) = convert::group(record, members, &living);
            groups.push(group);
            notes.extend(more);
        }
        let everybody = convert::everybody(&groups, users.iter().chain(&others));
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups: everybody.into_iter().collect(),
            coverage: Coverage::Full,
            population: Some(format!("google {part}")),
            place: Some(part.place()),
            created,
            server_time: None,
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }

    async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
        let (people, groups) = tokio::join!(self.found::<UserRecord>(text), self.found::<GroupRecord>(text));
        lookup::people_and_groups(
            people.map(|records| records.iter().map(sighting).collect()),
            groups.map(|records| records.iter().map(group_sighting).collect()),
        )
    }
}

impl Google {
    /// Entries that have a text as their address, their name or their id.
    async fn found<T: Record>(&self, text: &str) -> Result<Vec<T>> {
        let text = text.trim();
        let what = format!("{} by {text}", T::LIST);
        let field = if text.contains('@') { "email" } else { "name" };
        let query = format!("{field}={}", lookup::quoted(text, '\'', &['\''], '\\'));
        let mut found: Vec<T> = self.all(&what, &self.query(Some(&query)), &Progress::default()).await?;
        // No query has ids.
        if found.is_empty() && !text.is_empty() && text.chars().all(is_of_id) {
            found.extend(self.client.entry(&what, &[T::LIST, text]).await?);
        }
        Ok(found)
    }
}

/// Letters, digits, and what joins them.
fn is_of_id(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

fn group_sighting(record: &GroupRecord) -> Sighting {
    let GroupRecord { id, name } = record;
    lookup::group(id, vec![attribute("id", Some(id)), attribute("name", Some(name))])
}

fn sighting(record: &UserRecord) -> Sighting {
    let UserRecord { id, primary_email, suspended, archived, .. } = record;
    let attributes = vec![
        attribute("id", Some(id)),
        attribute("primaryEmail", primary_email.as_ref()),
        attribute("suspended", Some(suspended)),
        attribute("archived", Some(archived)),
    ];
    let mark = match (suspended, archived) {
        (true, _) => Some("suspended=true".to_owned()),
        (false, true) => Some("archived=true".to_owned()),
        (false, false) => None,
    };
    lookup::person(id, attributes, mark)
}

#[cfg(test)]
mod tests {
    use bwdc_sandbox::cloud::google::{ADMIN, CLIENT_EMAIL, PRIVATE_KEY};

    use super::*;
    use bwdc_core::Secret;

    /// No members at all.
    pub(super) fn config() -> Config {
        let key = Some(Secret::from(PRIVATE_KEY));
        let account = ServiceAccount::new(Some(CLIENT_EMAIL.to_owned()), key, None).unwrap();
        Config {
            admin_user: ADMIN.to_owned(),
            part: Tenancy::Domain("example.org".to_owned()),
            user_query: None,
            group_query: None,
            token_url: Config::token_url(None, &account).unwrap(),
            api_url: Config::api_url(None).unwrap(),
            network: crate::http::Network::default(),
            account,
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", Google::open(config()).unwrap());
        assert!(!shown.contains("MII") && shown.contains(CLIENT_EMAIL), "{shown}");
    }
}
