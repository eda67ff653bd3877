//! Active Directory and any other LDAP server.

mod changes;
mod client;
pub mod config;
mod convert;
pub mod disabled;
mod discovery;
mod dn;
mod failure;
mod filter;
mod generalized_time;
mod groups;
mod lookup;
mod names;
mod paging;
mod place;
mod probe;
mod referral;
mod request;
mod root_dse;
mod slices;
mod tombstones;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bwdc_core::entry::{ExternalId, Group, ReferenceId, Status, User};
use bwdc_core::note::{Note, Noted, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};
use jiff::Timestamp;

use self::changes::Since;
use self::client::Connection;
pub use self::config::Config;
use self::config::{Flavour, Referrals, Tree};
use self::convert::{AccountKind, EntryState, PersonEntry, USER_ACCOUNT};
use self::names::Names;
use self::place::Part;
use self::referral::SearchTargets;
use self::request::SearchRequest;
pub use self::root_dse::{Product, RootDse, root_dse};
use self::wire::Depth;
use super::{
    Abilities, Ask, CreationTimes, Directory, Others, Progress, ReadExtent, ReadScope, Sighting, Tombstones,
};
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

/// Whether a text is a distinguished name (RFC 4514).
pub fn is_dn(text: &str) -> bool {
    dn::normalise(text, &mut String::new()).is_some()
}

/// Checks a search filter (RFC 4515); the error names the setting and points at the character.
pub fn check_filter(setting: &str, filter: &str) -> Result<()> {
    filter::check(setting, filter)
}

/// Number of connections that read the rest of long lists of members.
const AT_ONCE: usize = 4;

/// `LDAP_SERVER_SHOW_DELETED_OID` (MS-ADTS, section 3.1.1.3.4.1.14).
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";

/// LDAP directory whose settings are valid. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Ldap {
    config: Arc<Config>,
    trees: Arc<[Tree]>,
    names: Names,
}

impl Ldap {
    /// Checks the settings that can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        for (setting, search) in [("sync.userFilter", &config.users), ("sync.groupFilter", &config.groups)] {
            if let Some(filter) = &search.filter {
                filter::check(setting, filter)?;
            }
        }
        let trees = config.trees()?.into();
        Ok(Self { config: Arc::new(config), trees, names: Names::default() })
    }

    /// Bases for people, each once.
    fn user_bases(&self) -> Vec<&str> {
        unique(self.trees.iter().flat_map(|tree| &tree.users).map(String::as_str))
    }

    /// Removes duplicates: bases may lie inside each other, and servers may hold the same.
    fn may_find_twice(&self, bases: &[&str]) -> bool {
        bases.len() > 1 || self.config.referrals == Referrals::Follow
    }

    /// Bases for groups, each once.
    fn group_bases(&self) -> Vec<&str> {
        unique(self.trees.iter().flat_map(|tree| &tree.groups).map(String::as_str))
    }

    /// Directory with the first server that can be reached, and notes about those before it. One server is read from start
    /// to end: two may not be equally up to date.
    async fn reachable(&self) -> Result<Noted<Self>> {
        let servers = discovery::servers(&self.config).await?;
        let (config, notes) = first_reachable(servers, "the next server of ldap.hostname").await?;
        Ok((Self { config: Arc::new(config), ..self.clone() }, notes))
    }

    /// Reads people with the given search, on a connection of its own: OpenLDAP serves one paged search per connection.
    async fn people(
        &self,
        what: &'static str,
        filter: String,
        progress: &Progress,
    ) -> Result<Noted<Vec<PersonEntry>>> {
        let (mut people, mut notes) = (Vec::new(), Vec::new());
        let bases = self.user_bases();
        for base in &bases {
            let request = SearchRequest {
                what,
                base: (*base).to_owned(),
                scope: Depth::Subtree,
                filter: filter.clone(),
                attributes: convert::user_attributes(&self.config, convert::member_values(&self.config)),
                controls: Vec::new(),
            };
            let (found, said) = self.search_people(&request, EntryState::Living, progress).await?;
            people.extend(found);
            notes.extend(said);
        }
        if self.may_find_twice(&bases) {
            once_each(&mut people, |person: &PersonEntry| person.user.reference_id.clone());
        }
        Ok((people, notes))
    }

    async fn search_people(
        &self,
        request: &SearchRequest,
        found: EntryState,
        progress: &Progress,
    ) -> Result<Noted<Vec<PersonEntry>>> {
        let mut places = SearchTargets::of(&self.config, request.clone());
        let mut people = Vec::new();
        let now = Timestamp::now();
        while let Some(place) = places.next() {
            let mut connection = Connection::open(&place.config).await?;
            let references = connection
                .search(&place.request, |record| {
                    progress.user();
                    let person = convert::person(record, &self.config, found, now, &self.names)?;
                    progress.keep(person.size())?;
                    people.push(person);
                    Ok(())
                })
                .await?;
            connection.close().await;
            places.refer(&place, references).await?;
        }
        Ok((people, places.notes))
    }

    /// Whether anything matches under any of these bases.
    async fn exists(&self, what: &'static str, bases: &[&str], filter: &str) -> Result<bool> {
        for base in bases {
            let request = SearchRequest {
                what,
                base: (*base).to_owned(),
                scope: Depth::Subtree,
                filter: filter.to_owned(),
                attributes: nothing(),
                controls: Vec::new(),
            };
            let mut places = SearchTargets::of(&self.config, request);
            while let Some(place) = places.next() {
                let mut connection = Connection::open(&place.config).await?;
                let (found, references) = connection.exists(&place.request).await?;
                connection.close().await;
                if found {
                    return Ok(true);
                }
                places.refer(&place, references).await?;
            }
        }
        Ok(false)
    }

    async fn read_people(
        &self,
        ask: &Ask,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<Noted<Vec<PersonEntry>>> {
        if !ask.scope.has_users() {
            return Ok((Vec::new(), Vec::new()));
        }
        let filter = self.config.users.filter();
        let filter = self.changed_since(&filter, since).unwrap_or(filter);
        let (people, mut notes) = self.people("users", filter, progress).await?;
        notes.extend(others_among(&people));
        if people.is_empty() && since.is_none() {
            notes.push(Note::warning(
                Step::Read,
                "",
                format!(
                    "no user was found under `{}` with {}",
                    self.user_bases().join("` and `"),
                    self.config.users.filter()
                ),
            ));
        }
        Ok((people, notes))
    }

    /// Scope of the read. Without the filter, because people it leaves out are known as others. Without the server, because
    /// several may hold the same tree.
    fn population(&self) -> String {
        let Config { users, identity, referrals, .. } = &*self.config;
        let bases = self.user_bases().join("|");
        // People whom another server holds are not gone because references are no longer followed.
        let followed = match referrals {
            Referrals::Report => "",
            Referrals::Follow => " with referrals",
        };
        format!("ldap {bases} {} {identity:?}{followed}", users.without_filter().filter()).to_lowercase()
    }

    /// Part of the directory that is read.
    fn part(&self) -> Part {
        let Config { users, referrals, .. } = &*self.config;
        Part::of(*referrals, &users.object_class, self.user_bases())
    }

    /// Reads everybody who is not among `asked_for`, whatever the filter.
    async fn read_others(&self, asked_for: &[PersonEntry], progress: &Progress) -> Result<Vec<PersonEntry>> {
        let (mut people, _) =
            self.people("all users", self.config.users.without_filter().filter(), progress).await?;
        let known: Seen = asked_for.iter().map(|person| person.user.reference_id.clone()).collect();
        people.retain(|person| !known.contains(&person.user.reference_id));
        Ok(people)
    }
}

/// Removes the tombstones of people who were restored during the read.
fn but_for_living(mut tombstones: Vec<PersonEntry>, living: &[&Vec<PersonEntry>]) -> Vec<PersonEntry> {
    if tombstones.is_empty() {
        return tombstones;
    }
    let living: foldhash::HashSet<&ExternalId> =
        living.iter().copied().flatten().map(|person| &person.user.external_id).collect();
    tombstones.retain(|person| !living.contains(&person.user.external_id));
    tombstones
}

/// Entries known so far, by reference.
type Seen = foldhash::HashSet<ReferenceId>;

/// Whether the people who were requested are all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Everybody {
    Yes,
    No,
}

/// Runs a search on a thread of its own, so that users and groups are decoded in parallel.
async fn on_own_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    // Its log lines belong to the same run.
    let work = tracing::Instrument::in_current_span(work);
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new(ErrorKind::Unreachable, "Starting a thread for a search", error))?;
        runtime.block_on(work)
    };
    tokio::task::spawn_blocking(run).await.map_err(|error| {
        Error::new(ErrorKind::Incomplete, "Reading the directory", error).hint("Nothing was imported.")
    })?
}

/// First server that can be reached, and notes about those before it; `instead` names what is read then.
async fn first_reachable(servers: Vec<Config>, instead: &str) -> Result<Noted<Config>> {
    let mut notes = Vec::new();
    let mut left = servers.len();
    for config in servers {
        left -= 1;
        // A single server is tried by the read itself.
        let tried = match (notes.is_empty(), left) {
            (true, 0) => Ok(()),
            _ => match Connection::open(&config).await {
                Ok(connection) => {
                    connection.close().await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        match tried {
            Ok(()) => return Ok((config, notes)),
            // A wrong password must not be tried everywhere: it would lock the account.
            Err(error) if left == 0 || !matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Tls) => {
                return Err(error);
            }
            Err(error) => {
                notes.push(Note::warning(Step::Read, "", format!("{error}; {instead} was read instead")));
            }
        }
    }
    Err(Error::new(ErrorKind::Configuration, "Reading the directory", "no server is configured"))
}

impl Directory for Ldap {
    fn abilities(&self) -> Abilities {
        let tombstones = match self.config.flavour {
            Flavour::ActiveDirectory => Tombstones::Yes,
            Flavour::Generic => Tombstones::No,
        };
        Abilities { tombstones }
    }

    fn covers(&self, place: &Place) -> bool {
        Part::parse(place).is_some_and(|other| self.part().covers(&other))
    }

    async fn probe(&self, scope: ReadScope) -> Vec<Check> {
        probe::probe(self, scope).await
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        let (this, mut notes) = self.reachable().await?;
        let server_time = this.server_time().await?;
        let (since, said) = this.since(ask, server_time).await?;
        notes.extend(said);
        let each = || (this.clone(), ask.clone(), Arc::clone(progress));
        let (people, groups, tombstones) = tokio::try_join!(
            on_own_thread({
                let (this, ask, progress) = each();
                async move { this.read_people(&ask, since.users, &progress).await }
            }),
            on_own_thread({
                let (this, ask, progress) = each();
                async move { this.read_groups(&ask, since, &progress).await }
            }),
            this.read_tombstones(ask, since.users, progress),
        )?;
        let ((mut people, n1), (mut groups, n2), (tombstones, n3)) = (people, groups, tombstones);
        notes.extend(n1.into_iter().chain(n2).chain(n3));
        let is_everybody = match (ask.scope.has_users(), &this.config.users.filter, since.users) {
            (true, None, None) => Everybody::Yes,
            _ => Everybody::No,
        };
        let has_left = |person: &PersonEntry| person.user.status != Status::Active;
        // Not for groups that were not read because nothing has changed.
        let needs_others = ask.others == Others::Always
            || !groups.is_empty()
            || people.iter().chain(&tombstones).any(has_left);
        let others = if is_everybody == Everybody::Yes || !needs_others {
            Vec::new()
        } else {
            this.read_others(&people, progress).await?
        };
        people.extend(but_for_living(tombstones, &[&people, &others]));
        let first_other = people.len();
        people.extend(others);
        let (outside, said) = this.read_outside_groups(&groups, &people, progress).await?;
        notes.extend(said);
        this.names.forget();
        let inside = groups.len();
        groups.extend(outside);
        convert::join_primary_groups(&mut groups, &people);
        let mut groups: Vec<Group> = groups.into_iter().map(|record| record.group).collect();
        convert::resolve_uids(&mut groups, &people);
        let other_groups = groups.split_off(inside);
        let created = creation_times(&people);
        let mut users: Vec<User> = people.into_iter().map(|person| person.user).collect();
        let others = users.split_off(first_other);
        let coverage = if since.is_complete() { Coverage::Full } else { Coverage::Changes };
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups,
            coverage,
            population: Some(this.population()),
            place: Some(this.part().place()),
            created,
            server_time,
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }

    async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
        self.sightings(text).await
    }
}

fn creation_times(people: &[PersonEntry]) -> CreationTimes {
    people.iter().filter_map(|person| Some((person.user.external_id.clone(), person.created?))).collect()
}

/// Reports entries among the people that are not persons. They stay: an administrator who set the class `person`
fn others_among(people: &[PersonEntry]) -> Option<Note> {
    const SHOWN: usize = 3;
    let is_other =
        |person: &&PersonEntry| person.kind == AccountKind::Other && person.user.status == Status::Active;
    let addresses: Vec<&str> = people
        .iter()
        .filter(is_other)
        .filter_map(|person| Some(person.user.email.as_ref()?.as_str()))
        .collect();
    let shown = addresses.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = if addresses.len() > SHOWN { ", ..." } else { "" };
    let text = format!(
        "{} of the entries read as people are contacts, computers or service accounts ({shown}{more}), because sync.userObjectClass is \
        `person`; to read accounts of people only, set it to `user` and sync.userFilter to `(sAMAccountType={USER_ACCOUNT})`",
        addresses.len()
    );
    // If the kind is known of nobody, nothing can be reported.
    let is_told = people.iter().any(|person| person.kind == AccountKind::Person);
    (is_told && !addresses.is_empty()).then(|| Note::warning(Step::Read, "", text))
}

fn unique<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn once_each<T>(entries: &mut Vec<T>, id: impl Fn(&T) -> ReferenceId) {
    let mut seen = foldhash::HashSet::default();
    entries.retain(|entry| seen.insert(id(entry)));
}

/// Requests entries without attributes (RFC 4511, section 4.5.1.8).
fn nothing() -> Vec<String> {
    vec!["1.1".to_owned()]
}
