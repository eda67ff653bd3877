//! Microsoft Entra ID.

mod client;
mod config;
mod convert;
mod filter;
mod login;
mod probe;

use crate::http::Vendor;
use std::sync::Arc;

use bwdc_core::entry::{Group, User};
use bwdc_core::note::{Note, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;

use self::client::{
    ChangeRecord, Client, DeletedRecord, GroupRecord, ListAnswer, ListRequest, MemberRecord, Permission,
    UserRecord,
};
pub use self::config::{Authority, Config, Credential, OutsideGroups};
use self::convert::People;
pub use self::filter::EntraFilter;
use self::filter::{Circles, Memberships};
use super::lists::{ByName, Members, SizeInMemory};
use super::lookup::{self, Sighting, Wanted, attribute};
use super::{Abilities, Ask, Directory, Progress, ReadExtent, ReadScope, Tombstones, lists};
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

const ENTRA: Vendor =
    Vendor { name: "Microsoft Entra ID", address: "entra.identityAuthority and BWDC_ENTRA_GRAPH_URL" };

/// Size of the largest pages that Graph sends ("Paging Microsoft Graph data").
const TOP: (&str, &str) = ("$top", "999");
const IDS: (&str, &str) = ("$select", "id");
const USER_FIELDS: (&str, &str) = ("$select", "id,mail,userPrincipalName,accountEnabled,createdDateTime");
const GROUP_FIELDS: (&str, &str) = ("$select", "id,displayName,visibility");
const DELETED_FIELDS: (&str, &str) = ("$select", "id,mail");

/// Number of groups read at the same time; the client limits the requests.
const AT_ONCE: usize = 64;

/// Tenant.
#[derive(Debug)]
pub struct Entra {
    config: Config,
    client: Client,
}

/// People who were deleted.
#[derive(Debug, Default)]
struct Departed {
    users: Vec<User>,
    /// Starting point of the next read of deleted people.
    link: Option<String>,
    notes: Vec<Note>,
}

/// Filter that a group or unit belongs to.
#[derive(Clone, Copy, Debug)]
enum Side {
    Users,
    Groups,
}

impl Entra {
    /// Checks the settings that can be checked without a connection.
    pub fn open(config: Config) -> Result<Self> {
        let client = Client::new(&config)?;
        Ok(Self { config, client })
    }

    async fn all<T: DeserializeOwned + SizeInMemory>(
        &self,
        wanted: ListRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<T>> {
        Ok(self.client.list(wanted, progress).await?.complete()?.entries)
    }

    /// Place for what is remembered: the tenant, by whatever cloud it is reached.
    fn place(&self) -> Place {
        Place::from(format!("entra {}", self.config.tenant.trim().to_lowercase()))
    }

    async fn users(&self, progress: &Progress) -> Result<Vec<UserRecord>> {
        let records: Vec<UserRecord> = self.all(USERS, progress).await?;
        records.iter().for_each(|_| progress.user());
        Ok(records)
    }

    /// Reads people deleted since the stored link was made, or recently if there is none or it has expired.
    async fn departed(&self, ask: &Ask, progress: &Progress) -> Result<Departed> {
        if !ask.scope.has_users() {
            return Ok(Departed::default());
        }
        let stored = match &ask.extent {
            ReadExtent::Since { cursor, .. } => cursor.users.as_deref(),
            ReadExtent::Everything => None,
        };
        let Some(link) = stored else { return self.all_departed(progress).await };
        match self.client.changes::<ChangeRecord>(link, progress).await? {
            ListAnswer::All(list) => Departed::of_changes(list),
            ListAnswer::Refused(refusal) if !refusal.is_expired_link() => Err(refusal.error),
            ListAnswer::Refused(refusal) => {
                let mut departed = self.all_departed(progress).await?;
                departed.notes.push(Note::warning(
                    Step::Leavers,
                    refusal.error,
                    "the link to the changes since the last sync has expired; the people deleted in the last 30 days \
                    were read instead. People who were permanently deleted since the last sync do not leave with this sync",
                ));
                Ok(departed)
            }
        }
    }

    /// Requests a link for next time, then reads everybody in the recycle bin: people deleted in between are in both. Both are
    /// quicker than a list of changes from the beginning, which has everybody and may lack those who were deleted before.
    async fn all_departed(&self, progress: &Progress) -> Result<Departed> {
        let now = self.client.list::<ChangeRecord>(CHANGES_FROM_NOW, progress).await?.supported()?;
        let bin = self.client.list::<DeletedRecord>(DELETED, progress).await?.supported()?;
        let Some(bin) = bin else { return self.changes_from_the_beginning(progress).await };
        let Departed { mut users, link, mut notes } = match now {
            Some(now) => Departed::of_changes(now)?,
            None => Departed::default(),
        };
        if link.is_none() {
            let reason = "this tenant keeps no list of changes: leavers are read from the recycle bin, which covers the last 30 days";
            notes.push(Note::info(Step::Leavers, "", reason));
        }
        users.extend(convert::deleted(&bin.entries));
        Ok(Departed { users, link, notes })
    }

    /// Fallback for a Graph, or a proxy in front of it, that does not support the other way.
    async fn changes_from_the_beginning(&self, progress: &Progress) -> Result<Departed> {
        let list = self.client.list::<ChangeRecord>(CHANGES, progress).await?;
        let mut departed = Departed::of_changes(list.complete()?)?;
        departed.notes.push(Note::warning(
            Step::Leavers,
            "",
            "the recycle bin cannot be read here; people deleted before the last sync may stay",
        ));
        Ok(departed)
    }

    /// Reads everybody, the deleted people, and the starting point of the next read.
    async fn people(&self, ask: &Ask, progress: &Progress) -> Result<(People, Option<String>)> {
        let memberships = async {
            if !ask.scope.has_users() {
                return Ok(Memberships::default());
            }
            self.memberships(Side::Users, progress).await
        };
        let (records, departed, memberships) =
            tokio::try_join!(self.users(progress), self.departed(ask, progress), memberships)?;
        let mut people = convert::people(&records, &Circles::of(&self.config.user_filter, memberships));
        let Departed { users, mut link, notes } = departed;
        people.notes.extend(notes);
        if !ask.scope.has_users() {
            let People { kept, others, created, .. } = people;
            let others = others.into_iter().chain(kept).collect();
            return Ok((People { others, created, ..People::default() }, None));
        }
        let contradicted = convert::contradicted(&users, &records);
        for name in contradicted.values() {
            // Both are read again next time: the correct one has arrived everywhere by then.
            link = None;
            let reason = "reported as deleted and also listed; checked again at the next sync";
            people.notes.push(Note::info(Step::Leavers, name, reason));
        }
        people.kept.extend(users.into_iter().filter(|user| !contradicted.contains_key(&user.external_id)));
        Ok((people, link))
    }

    /// Reads the members of the user filter's groups, or the groups in the group filter's units.
    async fn memberships(&self, side: Side, progress: &Progress) -> Result<Memberships> {
        let filter = self.filter(side);
        let all = filter.ids().into_iter().map(|id| async move {
            let members = self.all_members(side, id, progress).await?;
            Ok::<_, Error>((id.to_owned(), convert::ids(&members, side.kind())))
        });
        // No more tasks than groups: the client limits the requests.
        stream::iter(all.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await
    }

    fn filter(&self, side: Side) -> &EntraFilter {
        match side {
            Side::Users => &self.config.user_filter,
            Side::Groups => &self.config.group_filter,
        }
    }

    /// Reads everybody in a group or unit of a filter. One that does not exist does not count as empty.
    async fn all_members(&self, side: Side, id: &str, progress: &Progress) -> Result<Vec<MemberRecord>> {
        let what = side.what(id);
        let listed = self.client.list(side.wanted(&what, &side.path(id)), progress).await?;
        side.known(id, listed).map(|list| list.entries)
    }

    /// Reads groups with their members, several at once. One deleted during the read is left out, with a note.
    async fn groups(&self, scope: ReadScope, progress: &Progress) -> Result<Groups> {
        if !scope.has_groups() {
            return Ok(Groups::default());
        }
        let (records, memberships) = tokio::try_join!(
            self.all::<GroupRecord>(GROUPS, progress),
            self.memberships(Side::Groups, progress)
        )?;
        let circles = Circles::of(&self.config.group_filter, memberships);
        let ByName { named, nameless, notes } =
            lists::by_name(records, |record| &record.display_name, |record| record.id.clone());
        let (kept, outside) = convert::by_circles(named, &circles);
        let mut groups = Groups { notes, ..Groups::default() };
        groups.notes.extend(outside.iter().map(|record| {
            let reason = "left out by the administrative units in the group filter";
            Note::info(Step::Filter, &record.display_name, reason)
        }));
        let mut outside = match self.config.outside_groups {
            OutsideGroups::Read => outside,
            OutsideGroups::Ignored => Vec::new(),
        };
        outside.extend(nameless);
        progress.expect_requests(kept.len() + outside.len());
        groups.kept = self.with_members(&kept, &mut groups.notes, progress).await?;
        groups.outside = self.with_members(&outside, &mut groups.notes, progress).await?;
        Ok(groups)
    }

    async fn with_members(
        &self,
        records: &[GroupRecord],
        notes: &mut Vec<Note>,
        progress: &Progress,
    ) -> Result<Vec<Group>> {
        let members = |record| self.members(record, progress);
        let (read, more) = lists::with_members(records, AT_ONCE, GroupRecord::label, members).await?;
        notes.extend(more);
        Ok(read.iter().map(|(record, members)| convert::group(record, members)).collect())
    }

    async fn members(&self, record: &GroupRecord, progress: &Progress) -> Result<Members<MemberRecord>> {
        let what = format!("the members of the group {}", record.label());
        let path = ["groups", &record.id, "members"];
        let wanted = ListRequest { what: &what, path: &path, query: &[IDS, TOP], needs: Permission::Groups };
        let listed = self.client.list::<MemberRecord>(wanted, progress).await?;
        progress.group();
        let members = match listed {
            ListAnswer::Refused(refusal) if refusal.is_missing() => {
                return Ok(Members::None(lists::DELETED));
            }
            listed => listed.complete()?.entries,
        };
        if members.is_empty() && record.hides_members() {
            return Ok(Members::None(
                "the group's members are hidden, so it was left out; the application needs Member.Read.Hidden",
            ));
        }
        Ok(Members::All(members))
    }
}

#[derive(Debug, Default)]
struct Groups {
    kept: Vec<Group>,
    /// Reads groups for their members only.
    outside: Vec<Group>,
    notes: Vec<Note>,
}

impl Departed {
    fn of_changes(list: client::List<ChangeRecord>) -> Result<Self> {
        let link = list.delta_link.ok_or_else(|| {
            Error::new(
                ErrorKind::Incomplete,
                "Reading deleted users",
                "the list of changes ends without a link to the next one",
            )
            .hint(
                "Nothing was imported. A proxy may change what Microsoft Entra ID sends; if not, try again.",
            )
        })?;
        Ok(Self { users: convert::removed(&list.entries), link: Some(link), notes: Vec::new() })
    }
}

impl Side {
    fn kind(self) -> convert::MemberKind {
        match self {
            Self::Users => convert::MemberKind::User,
            Self::Groups => convert::MemberKind::Group,
        }
    }

    fn what(self, id: &str) -> String {
        match self {
            Self::Users => format!("the members of the group {id} in sync.userFilter"),
            Self::Groups => format!("the administrative unit {id} in sync.groupFilter"),
        }
    }

    fn path(self, id: &str) -> Vec<&str> {
        match self {
            Self::Users => vec!["groups", id, "transitiveMembers"],
            Self::Groups => vec!["directory", "administrativeUnits", id, "members"],
        }
    }

    fn wanted<'a>(self, what: &'a str, path: &'a [&'a str]) -> ListRequest<'a> {
        let needs = match self {
            Self::Users => Permission::Groups,
            Self::Groups => Permission::Units,
        };
        ListRequest { what, path, query: &[IDS, TOP], needs }
    }

    /// Advice: Graph answers 404 for an unknown id, and 400 for text that is not an id.
    fn known<T>(self, id: &str, listed: ListAnswer<T>) -> Result<client::List<T>> {
        let hint = match self {
            Self::Users => format!(
                "There is no group with the id {id}: correct sync.userFilter; it takes the Object ID of a group."
            ),
            Self::Groups => format!(
                "There is no administrative unit with the id {id}: correct sync.groupFilter; it takes the Object ID of a unit."
            ),
        };
        match listed {
            ListAnswer::Refused(refusal) if matches!(refusal.status, 400 | 404) => {
                Err(refusal.error.hint(hint))
            }
            listed => listed.complete(),
        }
    }
}

const USERS: ListRequest<'_> =
    ListRequest { what: "users", path: &["users"], query: &[USER_FIELDS, TOP], needs: Permission::Users };
const GROUPS: ListRequest<'_> =
    ListRequest { what: "groups", path: &["groups"], query: &[GROUP_FIELDS, TOP], needs: Permission::Groups };
const CHANGES: ListRequest<'_> =
    ListRequest { what: "deleted users", path: &["users", "delta"], query: &[IDS], needs: Permission::Users };
/// Requests no list, only the starting point of the next one ("Use delta query to track changes", sync from now).
///
/// With a property besides the id, because the list reports changes of requested properties only, and an id never changes.
const CHANGES_FROM_NOW: ListRequest<'_> =
    ListRequest { query: &[("$select", "id,accountEnabled"), ("$deltatoken", "latest")], ..CHANGES };
const DELETED: ListRequest<'_> = ListRequest {
    path: &["directory", "deletedItems", "microsoft.graph.user"],
    query: &[DELETED_FIELDS, TOP],
    ..CHANGES
};

impl Directory for Entra {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::Yes }
    }

    fn covers(&self, place: &Place) -> bool {
        *place == self.place()
    }

    async fn probe(&self, scope: ReadScope) -> Vec<Check> {
        self.looked_at(scope).await
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        let ((people, link), groups) =
            tokio::try_join!(self.people(ask, progress), self.groups(ask.scope, progress))?;
        let mut notes = people.notes;
        notes.extend(groups.notes);
        if people.kept.is_empty() && ask.scope.has_users() {
            notes.push(Note::warning(
                Step::Read,
                "",
                format!("the tenant {} has no users to read", self.config.tenant),
            ));
        }
        let snapshot = Snapshot {
            users: people.kept,
            others: people.others,
            groups: groups.kept,
            other_groups: groups.outside,
            coverage: Coverage::Full,
            population: Some(format!("entra {} {}", self.client.place(), self.config.tenant.to_lowercase())),
            place: Some(self.place()),
            created: people.created,
            server_time: None,
            cursor: Cursor { users: link, groups: None },
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }

    async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
        let wanted = Wanted::of(text);
        let people =
            self.found::<UserRecord>(USERS, USER_FIELDS, &["mail", "userPrincipalName", "displayName"], text);
        let groups = self.found::<GroupRecord>(GROUPS, GROUP_FIELDS, &["displayName"], text);
        let (people, groups) = tokio::join!(people, groups);
        let is_meant = |record: &&GroupRecord| wanted.is_any(&[Some(&record.id), Some(&record.display_name)]);
        lookup::people_and_groups(
            people.map(|records| records.iter().map(sighting).collect()),
            groups.map(|records| records.iter().filter(is_meant).map(group_sighting).collect()),
        )
    }
}

impl Entra {
    /// Entries that have a text as their id or as one of these properties: Graph compares them, without regard to case.
    async fn found<T: DeserializeOwned + SizeInMemory>(
        &self,
        list: ListRequest<'_>,
        fields: (&str, &str),
        properties: &[&str],
        text: &str,
    ) -> Result<Vec<T>> {
        let quoted = lookup::quoted(text, '\'', &['\''], '\'');
        // Graph refuses to compare an id with what is none.
        let filter = match uuid::Uuid::parse_str(text.trim()) {
            Ok(id) => format!("id eq '{}'", id.hyphenated()),
            Err(_) => {
                let clauses: Vec<String> =
                    properties.iter().map(|name| format!("{name} eq {quoted}")).collect();
                clauses.join(" or ")
            }
        };
        let query = [fields, TOP, ("$filter", filter.as_str())];
        self.all(ListRequest { query: &query, ..list }, &Progress::default()).await
    }
}

fn group_sighting(record: &GroupRecord) -> Sighting {
    let GroupRecord { id, display_name, visibility } = record;
    let attributes = vec![
        attribute("id", Some(id)),
        attribute("displayName", Some(display_name)),
        attribute("visibility", visibility.as_ref()),
    ];
    lookup::group(id, attributes)
}

fn sighting(record: &UserRecord) -> Sighting {
    let UserRecord { id, mail, user_principal_name, account_enabled, .. } = record;
    let attributes = vec![
        attribute("id", Some(id)),
        attribute("mail", mail.as_ref()),
        attribute("userPrincipalName", user_principal_name.as_ref()),
        attribute("accountEnabled", account_enabled.as_ref()),
    ];
    let is_disabled = *account_enabled == Some(false);
    lookup::person(id, attributes, is_disabled.then(|| "accountEnabled=false".to_owned()))
}
