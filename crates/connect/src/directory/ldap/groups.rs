//! Groups: found, completed where a server tells long member lists in parts, and looked up where they are outside the search base.

use bwdc_core::entry::ReferenceId;
use bwdc_core::note::{Note, Noted, Step};
use futures_util::future::try_join_all;

use super::client::{self, Connection};
use super::config::OutsideGroups;
use super::convert::{self, GroupRecord, MemberReferences, PersonEntry, Rest};
use super::names::Names;
use super::referral::{SearchTarget, SearchTargets};
use super::request::SearchRequest;
use super::wire::Depth;
use super::{AT_ONCE, Ask, Config, Ldap, Progress, Seen, Since, is_dn, once_each};
use crate::{Error, ErrorKind, Result};

impl Ldap {
    /// Reads all groups, or none if none has changed.
    pub(super) async fn groups(&self, since: Since, progress: &Progress) -> Result<Noted<Vec<GroupRecord>>> {
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

    pub(super) async fn groups_under(
        &self,
        base: &str,
        progress: &Progress,
    ) -> Result<Noted<Vec<GroupRecord>>> {
        let request = SearchRequest {
            what: "groups",
            base: base.to_owned(),
            scope: Depth::Subtree,
            filter: self.config.groups.filter(),
            attributes: convert::group_attributes(&self.config),
            controls: Vec::new(),
        };
        let mut places = SearchTargets::of(&self.config, request);
        let (mut records, mut notes) = (Vec::new(), Vec::new());
        while let Some(place) = places.next() {
            let (found, said, references) = groups_at(&place, progress, &self.names).await?;
            records.extend(found);
            notes.extend(said);
            places.refer(&place, references).await?;
        }
        notes.append(&mut places.notes);
        Ok((records, notes))
    }

    pub(super) async fn read_groups(
        &self,
        ask: &Ask,
        since: Since,
        progress: &Progress,
    ) -> Result<Noted<Vec<GroupRecord>>> {
        if !ask.scope.has_groups() {
            return Ok((Vec::new(), Vec::new()));
        }
        self.groups(since, progress).await
    }

    /// Finds groups outside the bases that are members of these groups, and those that are members of them, and so on: each
    /// unknown name is looked up. Other entries are people outside the bases, computers and the like.
    pub(super) async fn read_outside_groups(
        &self,
        groups: &[GroupRecord],
        people: &[PersonEntry],
        progress: &Progress,
    ) -> Result<Noted<Vec<GroupRecord>>> {
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
    pub(super) async fn look_up_groups(
        &self,
        names: &[ReferenceId],
        progress: &Progress,
    ) -> Result<Noted<Vec<GroupRecord>>> {
        let workers = AT_ONCE.min(names.len());
        let shares = (0..workers).map(|worker| async move {
            let mut connection = Connection::open(&self.config).await?;
            let (mut found, mut notes) = (Vec::new(), Vec::new());
            for name in names.iter().skip(worker).step_by(workers) {
                let request = SearchRequest {
                    what: "a group outside sync.groupPath",
                    base: name.as_str().to_owned(),
                    scope: Depth::Base,
                    filter: self.config.groups.without_filter().filter(),
                    attributes: convert::group_attributes(&self.config),
                    controls: Vec::new(),
                };
                match groups_on(&mut connection, &request, progress, &self.names).await {
                    Ok((records, said, _)) => {
                        found.extend(records);
                        notes.extend(said);
                    }
                    // No such entry, or a name that is not valid.
                    Err(error) if error.kind() == ErrorKind::Configuration => {}
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
pub(super) fn unknown_members(groups: &[GroupRecord], seen: &mut Seen) -> Vec<ReferenceId> {
    let members = groups.iter().flat_map(|record| &record.group.members);
    members.filter(|member| is_dn(member.as_str()) && seen.insert((*member).clone())).cloned().collect()
}

/// Groups of one place with all their members, notes about them, and references to other places.
pub(super) async fn groups_at(
    place: &SearchTarget,
    progress: &Progress,
    names: &Names,
) -> Result<(Vec<GroupRecord>, Vec<Note>, client::Continuations)> {
    let mut connection = Connection::open(&place.config).await?;
    let found = groups_on(&mut connection, &place.request, progress, names).await?;
    connection.close().await;
    Ok(found)
}

pub(super) async fn groups_on(
    connection: &mut Connection<'_>,
    request: &SearchRequest,
    progress: &Progress,
    names: &Names,
) -> Result<(Vec<GroupRecord>, Vec<Note>, client::Continuations)> {
    let config = connection.config();
    let mut records: Vec<GroupRecord> = Vec::new();
    let mut members = MemberReferences::of(names);
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
    complete(config, &mut records, unfinished, progress, names).await?;
    Ok((records, notes, references))
}

/// Completes the lists of members, several groups at once: each answer holds 1,500 values or so, and waiting
/// for it takes longer than reading it.
pub(super) async fn complete(
    config: &Config,
    records: &mut [GroupRecord],
    unfinished: Vec<(usize, String)>,
    progress: &Progress,
    names: &Names,
) -> Result<()> {
    let workers = AT_ONCE.min(unfinished.len());
    let shares = (0..workers).map(|worker| {
        let share = unfinished.iter().skip(worker).step_by(workers);
        let share: Vec<(usize, &str, Rest)> =
            share.map(|(at, dn)| (*at, dn.as_str(), records[*at].rest)).collect();
        async move {
            let mut connection = Connection::open(config).await?;
            let mut references = MemberReferences::of(names);
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
pub(super) async fn rest_of_members(
    connection: &mut Connection<'_>,
    dn: &str,
    mut rest: Rest,
    references: &mut MemberReferences,
    progress: &Progress,
) -> Result<Vec<ReferenceId>> {
    let member = &connection.config().attributes.member;
    let mut members = Vec::new();
    while let Rest::From(from) = rest {
        let request = SearchRequest {
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
                    ErrorKind::Incomplete,
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
