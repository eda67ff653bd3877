//! Active Directory and any other LDAP server.

mod client;
pub mod config;
mod convert;
pub mod disabled;
mod discovery;
mod dn;
mod failure;
mod filter;
mod paging;
mod probe;
mod referral;
mod root_dse;
mod slices;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bwdc_core::entry::{Group, ReferenceId, Status, User};
use bwdc_core::note::{Note, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};
use futures_util::future::try_join_all;
use jiff::Timestamp;

use self::client::{Connection, Request};
pub use self::config::Config;
use self::config::{Flavour, OutsideGroups, Referrals, Search, Tree, and};
use self::convert::{AccountKind, Found, GroupRecord, Person, References, Rest, USER_ACCOUNT};
use self::referral::{Place, Places};
pub use self::root_dse::{Product, RootDse, root_dse};
use self::wire::{Control, Criticality, Depth};
use super::{Abilities, Ask, Directory, Extent, Others, Progress, Scope, Tombstones};
use crate::probe::Check;
use crate::{Error, Kind, Result};

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
        Ok(Self { config: Arc::new(config), trees })
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
    async fn reachable(&self) -> Result<(Self, Vec<Note>)> {
        let servers = discovery::servers(&self.config).await?;
        let (config, notes) = first_reachable(servers, "the next server of ldap.hostname").await?;
        Ok((Self { config: Arc::new(config), trees: Arc::clone(&self.trees) }, notes))
    }

    /// Reads people with the given search, on a connection of its own: OpenLDAP serves one paged search per connection.
    async fn people(
        &self,
        what: &'static str,
        filter: String,
        progress: &Progress,
    ) -> Result<(Vec<Person>, Vec<Note>)> {
        let (mut people, mut notes) = (Vec::new(), Vec::new());
        let bases = self.user_bases();
        for base in &bases {
            let request = Request {
                what,
                base: (*base).to_owned(),
                scope: Depth::Subtree,
                filter: filter.clone(),
                attributes: convert::user_attributes(&self.config, convert::member_values(&self.config)),
                controls: Vec::new(),
            };
            let (found, said) = self.search_people(&request, Found::Living, progress).await?;
            people.extend(found);
            notes.extend(said);
        }
        if self.may_find_twice(&bases) {
            once_each(&mut people, |person: &Person| person.user.reference_id.clone());
        }
        Ok((people, notes))
    }

    async fn search_people(
        &self,
        request: &Request,
        found: Found,
        progress: &Progress,
    ) -> Result<(Vec<Person>, Vec<Note>)> {
        let mut places = Places::of(&self.config, request.clone());
        let mut people = Vec::new();
        let now = Timestamp::now();
        while let Some(place) = places.next() {
            let mut connection = Connection::open(&place.config).await?;
            let references = connection
                .search(&place.request, |record| {
                    progress.user();
                    let person = convert::person(record, &self.config, found, now)?;
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

    /// Reads all groups, or none if none has changed.
    async fn groups(&self, since: Since, progress: &Progress) -> Result<(Vec<GroupRecord>, Vec<Note>)> {
        let bases = self.group_bases();
        if self.is_unchanged(&bases, since).await? {
            return Ok((Vec::new(), Vec::new()));
        }
        let (mut groups, mut notes) = (Vec::new(), Vec::new());
        for base in &bases {
            let (found, said) = self.groups_under(base, progress).await?;
            groups.extend(found);
            notes.extend(said);
        }
        if self.may_find_twice(&bases) {
            once_each(&mut groups, |record: &GroupRecord| record.group.reference_id.clone());
        }
        Ok((groups, notes))
    }

    /// Whether neither a group nor a user has changed. A changed user may be a member of unchanged groups.
    async fn is_unchanged(&self, group_bases: &[&str], since: Since) -> Result<bool> {
        let Some(groups) = self.changed_since(&self.config.groups.filter(), since.groups) else {
            return Ok(false);
        };
        if self.exists("changed groups", group_bases, &groups).await? {
            return Ok(false);
        }
        match self.changed_since(&self.config.users.filter(), since.users) {
            Some(users) => Ok(!self.exists("changed users", &self.user_bases(), &users).await?),
            None => Ok(true),
        }
    }

    /// Whether anything matches under any of these bases.
    async fn exists(&self, what: &'static str, bases: &[&str], filter: &str) -> Result<bool> {
        for base in bases {
            let request = Request {
                what,
                base: (*base).to_owned(),
                scope: Depth::Subtree,
                filter: filter.to_owned(),
                attributes: nothing(),
                controls: Vec::new(),
            };
            let mut places = Places::of(&self.config, request);
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

    async fn groups_under(&self, base: &str, progress: &Progress) -> Result<(Vec<GroupRecord>, Vec<Note>)> {
        let request = Request {
            what: "groups",
            base: base.to_owned(),
            scope: Depth::Subtree,
            filter: self.config.groups.filter(),
            attributes: convert::group_attributes(&self.config),
            controls: Vec::new(),
        };
        let mut places = Places::of(&self.config, request);
        let (mut records, mut notes) = (Vec::new(), Vec::new());
        while let Some(place) = places.next() {
            let (found, said, references) = groups_at(&place, progress).await?;
            records.extend(found);
            notes.extend(said);
            places.refer(&place, references).await?;
        }
        notes.append(&mut places.notes);
        Ok((records, notes))
    }

    /// Reads deleted accounts. If the account may not see them, this is noted and not an error: the permission is often missing.
    async fn tombstones(
        &self,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<(Vec<Person>, Vec<Note>)> {
        let (mut people, mut notes) = (Vec::new(), Vec::new());
        for root in unique(self.trees.iter().filter_map(|tree| tree.domain.as_deref())) {
            let (found, said) = self.tombstones_of(root, since, progress).await?;
            people.extend(found);
            notes.extend(said);
        }
        Ok((people, notes))
    }

    async fn tombstones_of(
        &self,
        root: &str,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<(Vec<Person>, Vec<Note>)> {
        let filter = and(&self.config.users.without_filter().filter(), "(isDeleted=TRUE)");
        let request = Request {
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
        match self.search_people(&request, Found::Tombstone, progress).await {
            Ok((people, mut notes)) if people.is_empty() => {
                if !self.may_see(&request).await? {
                    notes.push(Note::warning(
                        Step::Read,
                        "",
                        format!(
                            "this account may not see {}, so people who were deleted stay in the organization; the LDAP page shows \
                            how to grant the permission",
                            request.base
                        ),
                    ));
                }
                Ok((people, notes))
            }
            Err(error) if matches!(error.kind(), Kind::Configuration | Kind::Refused) => Ok((
                Vec::new(),
                vec![Note::warning(
                    Step::Read,
                    "",
                    format!(
                        "deleted users could not be read, so people who left may stay in the organization: {error}"
                    ),
                )],
            )),
            other => other,
        }
    }

    /// Whether the account can see the container of deleted entries. Active Directory silently hides entries from accounts without
    /// the permission.
    async fn may_see(&self, tombstones: &Request) -> Result<bool> {
        let request = Request {
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
            Err(error) if matches!(error.kind(), Kind::Configuration | Kind::Refused) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Filter for changed entries, if the administrator configured an attribute for it.
    fn changed_since(&self, filter: &str, since: Option<Timestamp>) -> Option<String> {
        let attribute = self.config.attributes.revision.as_ref()?;
        Some(and(filter, &format!("({attribute}>={})", generalized_time(since?))))
    }

    /// Whether the revision attribute exists in the searched entries. On a server that does not know it, the condition
    /// would match nothing, and every sync after the first would find nobody.
    async fn knows_revision(&self, bases: &[&str], search: &Search) -> Result<bool> {
        let Some(attribute) = &self.config.attributes.revision else { return Ok(false) };
        let filter = and(&search.without_filter().filter(), &format!("({attribute}=*)"));
        self.exists("the revision attribute", bases, &filter).await
    }

    /// Times of the last syncs of users and groups, if only changes are to be read and can be.
    async fn since(&self, ask: &Ask) -> Result<(Since, Vec<Note>)> {
        let Extent::Since { users, groups, cursor: _ } = &ask.extent else {
            return Ok((Since::default(), Vec::new()));
        };
        let users = users.filter(|_| ask.scope.has_users());
        let groups = groups.filter(|_| ask.scope.has_groups());
        if self.config.attributes.revision.is_none() || users.or(groups).is_none() {
            return Ok((Since::default(), Vec::new()));
        }
        let known = match users {
            Some(_) => self.knows_revision(&self.user_bases(), &self.config.users).await?,
            None => self.knows_revision(&self.group_bases(), &self.config.groups).await?,
        };
        if known {
            return Ok((Since { users, groups }, Vec::new()));
        }
        let attribute = self.config.attributes.revision.as_deref().unwrap_or_default();
        let note = format!(
            "no entry has the attribute {attribute} of sync.revisionDateAttribute, so everything was read; set it to \
            `modifyTimestamp`, or clear it to always read everything"
        );
        Ok((Since::default(), vec![Note::warning(Step::Read, "", note)]))
    }

    async fn read_people(
        &self,
        ask: &Ask,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<(Vec<Person>, Vec<Note>)> {
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

    async fn read_groups(
        &self,
        ask: &Ask,
        since: Since,
        progress: &Progress,
    ) -> Result<(Vec<GroupRecord>, Vec<Note>)> {
        if !ask.scope.has_groups() {
            return Ok((Vec::new(), Vec::new()));
        }
        self.groups(since, progress).await
    }

    async fn read_tombstones(
        &self,
        ask: &Ask,
        since: Option<Timestamp>,
        progress: &Progress,
    ) -> Result<(Vec<Person>, Vec<Note>)> {
        let wanted = self.config.flavour == Flavour::ActiveDirectory && ask.scope.has_users();
        if wanted { self.tombstones(since, progress).await } else { Ok((Vec::new(), Vec::new())) }
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

    /// Reads everybody who is not among `asked_for`, if that matters: for membership, and so that somebody who leaves is
    /// not mistaken for an active person with the same address.
    async fn read_others(
        &self,
        ask: &Ask,
        asked_for: &[Person],
        groups: &[GroupRecord],
        is_everybody: Everybody,
        progress: &Progress,
    ) -> Result<Vec<Person>> {
        let matters = ask.others == Others::Always
            || !groups.is_empty()
            || asked_for.iter().any(|person| person.user.status != Status::Active);
        if is_everybody == Everybody::Yes || !matters {
            return Ok(Vec::new());
        }
        let (mut people, _) =
            self.people("all users", self.config.users.without_filter().filter(), progress).await?;
        let known: std::collections::HashSet<_> =
            asked_for.iter().map(|person| &person.user.reference_id).collect();
        people.retain(|person| !known.contains(&person.user.reference_id));
        Ok(people)
    }
}

/// Entries known so far, by reference.
type Seen = foldhash::HashSet<ReferenceId>;

impl Ldap {
    /// Finds groups outside the bases that are members of these groups, and those that are members of them, and so on: each
    /// unknown name is looked up. Other entries are people outside the bases, computers and the like.
    async fn read_outside_groups(
        &self,
        groups: &[GroupRecord],
        people: &[Person],
        progress: &Progress,
    ) -> Result<(Vec<GroupRecord>, Vec<Note>)> {
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        if self.config.outside_groups == OutsideGroups::Ignored {
            return Ok((found, notes));
        }
        let mut seen: Seen = people.iter().map(|person| person.user.reference_id.clone()).collect();
        seen.extend(groups.iter().map(|record| record.group.reference_id.clone()));
        let mut unknown = unknown_members(groups, &mut seen);
        while !unknown.is_empty() {
            let (next, said) = self.look_up_groups(&unknown, progress).await?;
            notes.extend(said);
            unknown = unknown_members(&next, &mut seen);
            found.extend(next);
        }
        Ok((found, notes))
    }

    /// Finds the groups among the names, on several connections: each costs a round trip.
    async fn look_up_groups(
        &self,
        names: &[ReferenceId],
        progress: &Progress,
    ) -> Result<(Vec<GroupRecord>, Vec<Note>)> {
        let workers = AT_ONCE.min(names.len());
        let shares = (0..workers).map(|worker| async move {
            let mut connection = Connection::open(&self.config).await?;
            let (mut found, mut notes) = (Vec::new(), Vec::new());
            for name in names.iter().skip(worker).step_by(workers) {
                let request = Request {
                    what: "a group outside sync.groupPath",
                    base: name.as_str().to_owned(),
                    scope: Depth::Base,
                    filter: self.config.groups.without_filter().filter(),
                    attributes: convert::group_attributes(&self.config),
                    controls: Vec::new(),
                };
                match groups_on(&mut connection, &request, progress).await {
                    Ok((records, said, _)) => {
                        found.extend(records);
                        notes.extend(said);
                    }
                    // No such entry, or a name that is not valid.
                    Err(error) if error.kind() == Kind::Configuration => {}
                    Err(error) => return Err(error),
                }
            }
            connection.close().await;
            Ok::<_, Error>((found, notes))
        });
        let (found, notes): (Vec<_>, Vec<_>) = try_join_all(shares).await?.into_iter().unzip();
        Ok((found.into_iter().flatten().collect(), notes.into_iter().flatten().collect()))
    }
}

/// Members that are DNs (not user names) and have not been seen yet; marks them as seen.
fn unknown_members(groups: &[GroupRecord], seen: &mut Seen) -> Vec<ReferenceId> {
    let members = groups.iter().flat_map(|record| &record.group.members);
    members.filter(|member| is_dn(member.as_str()) && seen.insert((*member).clone())).cloned().collect()
}

/// Whether the people who were requested are all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Everybody {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, Default)]
struct Since {
    users: Option<Timestamp>,
    groups: Option<Timestamp>,
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
            .map_err(|error| Error::new(Kind::Unreachable, "Starting a thread for a search", error))?;
        runtime.block_on(work)
    };
    tokio::task::spawn_blocking(run).await.map_err(|error| {
        Error::new(Kind::Incomplete, "Reading the directory", error).hint("Nothing was imported.")
    })?
}

/// Groups of one place with all their members, notes about them, and references to other places.
async fn groups_at(
    place: &Place,
    progress: &Progress,
) -> Result<(Vec<GroupRecord>, Vec<Note>, client::References)> {
    let mut connection = Connection::open(&place.config).await?;
    let found = groups_on(&mut connection, &place.request, progress).await?;
    connection.close().await;
    Ok(found)
}

async fn groups_on(
    connection: &mut Connection<'_>,
    request: &Request,
    progress: &Progress,
) -> Result<(Vec<GroupRecord>, Vec<Note>, client::References)> {
    let config = connection.config();
    let mut records: Vec<GroupRecord> = Vec::new();
    let mut members = References::default();
    let mut notes = Vec::new();
    let mut unfinished: Vec<(usize, String)> = Vec::new();
    let references = connection
        .search(request, |record| {
            progress.group();
            progress.keep(record.name().len())?;
            match convert::group(record, config, &mut members)? {
                Some(group) => {
                    progress.keep(group.size() + members.grown())?;
                    if group.rest != Rest::Complete {
                        unfinished.push((records.len(), record.dn().into_owned()));
                    }
                    records.push(group);
                }
                None => {
                    notes.push(Note::warning(
                        Step::Read,
                        record.dn(),
                        "the group has no name and was left out",
                    ));
                }
            }
            Ok(())
        })
        .await?;
    complete(config, &mut records, unfinished, progress).await?;
    Ok((records, notes, references))
}

/// Completes the lists of members, several groups at once: each answer holds 1,500 values or so, and waiting
/// for it takes longer than reading it.
async fn complete(
    config: &Config,
    records: &mut [GroupRecord],
    unfinished: Vec<(usize, String)>,
    progress: &Progress,
) -> Result<()> {
    let workers = AT_ONCE.min(unfinished.len());
    let shares = (0..workers).map(|worker| {
        let share = unfinished.iter().skip(worker).step_by(workers);
        let share: Vec<(usize, &str, Rest)> =
            share.map(|(at, dn)| (*at, dn.as_str(), records[*at].rest)).collect();
        async move {
            let mut connection = Connection::open(config).await?;
            let mut references = References::default();
            let mut found = Vec::with_capacity(share.len());
            for (at, dn, rest) in share {
                found
                    .push((at, rest_of_members(&mut connection, dn, rest, &mut references, progress).await?));
            }
            connection.close().await;
            Ok::<_, Error>(found)
        }
    });
    for (at, mut members) in try_join_all(shares).await?.into_iter().flatten() {
        records[at].group.members.append(&mut members);
        records[at].rest = Rest::Complete;
    }
    Ok(())
}

/// Requests the members that a range-limited answer left out, until the server marks the last part.
async fn rest_of_members(
    connection: &mut Connection<'_>,
    dn: &str,
    mut rest: Rest,
    references: &mut References,
    progress: &Progress,
) -> Result<Vec<ReferenceId>> {
    let member = &connection.config().attributes.member;
    let mut members = Vec::new();
    while let Rest::From(from) = rest {
        let request = Request {
            what: "more members",
            base: dn.to_owned(),
            scope: Depth::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: vec![format!("{member};range={from}-*")],
            controls: Vec::new(),
        };
        let mut more = Vec::new();
        let mut next = None;
        connection
            .search(&request, |part| {
                let (found, after) = convert::members(part, member, references);
                progress.keep(size_of_val(&*found) + references.grown())?;
                more.extend(found);
                next = Some(after);
                Ok(())
            })
            .await?;
        match next {
            Some(next) if !more.is_empty() && next.is_after(from) => rest = next,
            _ => {
                return Err(Error::new(
                    Kind::Incomplete,
                    format!("Reading the members of {dn} from number {from} on"),
                    "the server sent no new ones, although it had reported more",
                )
                .hint("The group may have changed meanwhile; the next run reads it again. Nothing was imported."));
            }
        }
        members.append(&mut more);
    }
    Ok(members)
}

/// First server that can be reached, and notes about those before it; `instead` names what is read then.
async fn first_reachable(servers: Vec<Config>, instead: &str) -> Result<(Config, Vec<Note>)> {
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
            Err(error) if left == 0 || !matches!(error.kind(), Kind::Unreachable | Kind::Tls) => {
                return Err(error);
            }
            Err(error) => {
                notes.push(Note::warning(Step::Read, "", format!("{error}; {instead} was read instead")));
            }
        }
    }
    Err(Error::new(Kind::Configuration, "Reading the directory", "no server is configured"))
}

impl Directory for Ldap {
    fn abilities(&self) -> Abilities {
        let tombstones = match self.config.flavour {
            Flavour::ActiveDirectory => Tombstones::Yes,
            Flavour::Generic => Tombstones::No,
        };
        Abilities { tombstones }
    }

    async fn probe(&self, scope: Scope) -> Vec<Check> {
        probe::probe(self, scope).await
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        let (this, mut notes) = self.reachable().await?;
        let (since, said) = this.since(ask).await?;
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
        people.extend(tombstones);
        let is_everybody = match (ask.scope.has_users(), &this.config.users.filter, since.users) {
            (true, None, None) => Everybody::Yes,
            _ => Everybody::No,
        };
        let others = this.read_others(ask, &people, &groups, is_everybody, progress).await?;
        let first_other = people.len();
        people.extend(others);
        let (outside, said) = this.read_outside_groups(&groups, &people, progress).await?;
        notes.extend(said);
        let inside = groups.len();
        groups.extend(outside);
        convert::join_primary_groups(&mut groups, &people);
        let mut groups: Vec<Group> = groups.into_iter().map(|record| record.group).collect();
        convert::resolve_uids(&mut groups, &people);
        let other_groups = groups.split_off(inside);
        let mut users: Vec<User> = people.into_iter().map(|person| person.user).collect();
        let others = users.split_off(first_other);
        let coverage = if since.users.is_some() { Coverage::Changes } else { Coverage::Full };
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups,
            coverage,
            population: Some(this.population()),
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }
}

/// Reports entries among the people that are not persons. They stay: an administrator who set the class `person`
fn others_among(people: &[Person]) -> Option<Note> {
    const SHOWN: usize = 3;
    let is_other =
        |person: &&Person| person.kind == AccountKind::Other && person.user.status == Status::Active;
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

/// Formats a time as `yyyymmddHHMMSS.0Z`, as Active Directory writes it.
fn generalized_time(time: Timestamp) -> String {
    time.strftime("%Y%m%d%H%M%S.0Z").to_string()
}
