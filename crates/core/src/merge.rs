//! Merge of several directories into one import: each is decided by its own rules, then the decisions are joined, so that
//! none removes what another added.
//!
//! Directories are joined after the decisions, not before: a filter, a rule for disabled accounts, or a group's reference to
//! its members has a meaning within one directory only. The administrator sets their order, and only that order counts; the
//! order in which they were read makes no difference.
//!
//! - An e-mail address is a person, imported under one external id: the first directory's. All groups refer to the person by
//!   that id. Whoever was imported before keeps the id of before, which the ledger knows: [`crate::organization::identity`].
//! - An external id belongs to one person. If two people have the same one, both are [`BadRecord`]s.
//! - Nobody leaves who is active in any of the directories.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use crate::check::{BlockCause, Finding};
use crate::entry::{Email, ExternalId, Status};
use crate::note::{Note, Noted, Severity, Step};
use crate::prepare::{BadRecord, Draft, Fate, Person, Prepared, PreparedGroup, decide, fate, validate};
use crate::rules::{ExistingMembers, Rules};
use crate::snapshot::Snapshot;

/// Directory that takes part in a merge.
#[derive(Clone, Debug)]
pub struct MergeSource {
    /// Name by which an administrator knows it.
    pub name: String,
    /// Prefix of its groups' names; usually empty.
    pub prefix: String,
}

/// Directory, decided by its own rules, as its part of the import.
#[derive(Clone, Debug)]
pub struct Share {
    source: MergeSource,
    draft: Draft,
    /// Everybody who stays, even if a filter leaves them out, with the address if there is one.
    living: FastMap<ExternalId, Option<Email>>,
    /// Addresses of all of them.
    addresses: FastSet<Email>,
    /// Number of people of this directory who stay.
    staying: usize,
}

impl Share {
    /// Decides about one directory. `snapshot` must contain everybody who is active in it, whatever its filter: somebody who
    /// left another directory may be among them.
    pub fn of(source: MergeSource, snapshot: Snapshot, rules: &Rules) -> Self {
        let everybody = || snapshot.users.iter().chain(&snapshot.others);
        let alive = || everybody().filter(|user| fate(user.status, rules) == Fate::Stays);
        let mut living: FastMap<_, _> =
            alive().map(|user| (user.external_id.clone(), user.email.clone())).collect();
        let addresses = alive().filter_map(|user| user.email.clone()).collect();
        let draft = decide(snapshot, rules);
        // If the directory has an id twice, it stands for the person the import would carry.
        living
            .extend(staying(&draft.people).map(|person| (person.external_id.clone(), person.email.clone())));
        let staying = staying(&draft.people).count();
        Self { source, draft, living, addresses, staying }
    }
}

/// Directories joined into one.
#[derive(Clone, Debug)]
pub struct Merged {
    /// People and groups to import.
    pub prepared: Prepared,
    /// Part of each directory, in their order.
    pub parts: Vec<MergePart>,
}

/// Part of one directory in the import.
#[derive(Clone, Debug)]
pub struct MergePart {
    /// Name of the directory.
    pub name: String,
    /// Number of its people who stay.
    pub staying: usize,
}

/// Joins the directories, the most important first. For a single one, the result is that of [`crate::prepare()`].
pub fn merge(shares: Vec<Share>) -> Merged {
    let shares = named(shares);
    let (shares, contested) = without_contested(shares);
    let (shares, mut notes) = spare(shares);
    let (shares, more) = one_per_address(shares);
    notes.extend(more);
    let (shares, draft) = joined(shares, contested, notes);
    let draft = validate::refuse(one_per_external_id(draft));
    let part = |share: Share| MergePart { name: share.source.name, staying: share.staying };
    Merged { prepared: draft.into(), parts: shares.into_iter().map(part).collect() }
}

/// Objections to an import because of one directory, which the total would not show.
pub fn check(parts: &[MergePart], rules: &Rules) -> Vec<Finding> {
    parts.iter().filter_map(|part| nobody_stays(part, rules)).collect()
}

fn nobody_stays(part: &MergePart, rules: &Rules) -> Option<Finding> {
    let is_dangerous = rules.existing == ExistingMembers::Overwrite && part.staying == 0;
    is_dangerous.then(|| Finding {
        cause: BlockCause::Dangerous,
        problem: format!(
            "No active people were found in {}, and with sync.overwriteExisting the import would remove everybody who ever came from \
             there.",
            part.name
        ),
        next_step: "Check its search base, its filters and sync.users, or take it out of the merge.".to_owned(),
    })
}

/// Adds the directory's name to notes and bad records if there are several directories.
fn named(mut shares: Vec<Share>) -> Vec<Share> {
    if shares.len() < 2 {
        return shares;
    }
    for Share { source, draft, .. } in &mut shares {
        let of = |text: &str| if text.is_empty() { source.name.clone() } else { label(source, text) };
        draft.notes.iter_mut().for_each(|note| note.entry = of(&note.entry));
        for BadRecord { entries, problem } in &mut draft.bad_records {
            entries.iter_mut().for_each(|entry| *entry = of(entry));
            *problem = of(problem);
        }
    }
    shares
}

fn label(source: &MergeSource, entry: impl std::fmt::Display) -> String {
    format!("{}: {entry}", source.name)
}

/// Removes people whose external id is contested, from groups too: the id would make one person a member of another's groups.
fn without_contested(mut shares: Vec<Share>) -> (Vec<Share>, Vec<BadRecord>) {
    let contested = contested(&shares);
    if contested.is_empty() {
        return (shares, Vec::new());
    }
    for Share { draft, .. } in &mut shares {
        draft.people.retain(|person| !contested.contains_key(&person.external_id));
        draft.groups = with_members(std::mem::take(&mut draft.groups), |id| {
            (!contested.contains_key(id)).then(|| id.clone())
        });
    }
    let records = contested.into_iter().map(|(id, people)| BadRecord {
        problem: format!(
            "Different people in {} directories of the merge have the external id {id}: {}",
            people.len(),
            people.join("; ")
        ),
        entries: people,
    });
    (shares, records.collect())
}

/// External ids that two directories give to different active people, with their names. Somebody without an address may be
/// anybody, so only equal addresses make one person.
fn contested(shares: &[Share]) -> BTreeMap<ExternalId, Vec<String>> {
    let mut contested = BTreeMap::new();
    if shares.len() < 2 {
        return contested;
    }
    let mut seen: FastMap<&ExternalId, &Option<Email>> = FastMap::default();
    for (id, email) in shares.iter().flat_map(|share| &share.living) {
        let is_other = seen.insert(id, email).is_some_and(|before| before != email);
        if is_other && !contested.contains_key(id) {
            contested.insert(id.clone(), contenders(id, shares));
        }
    }
    contested
}

fn contenders(id: &ExternalId, shares: &[Share]) -> Vec<String> {
    let with_id = shares.iter().filter_map(|share| Some((share, share.living.get(id)?)));
    with_id
        .map(|(share, email)| label(&share.source, email.as_ref().map_or("(no address)", Email::as_str)))
        .collect()
}

/// Keeps people who are active in another directory.
fn spare(mut shares: Vec<Share>) -> Noted<Vec<Share>> {
    let mut notes = Vec::new();
    for at in 0..shares.len() {
        let people = std::mem::take(&mut shares[at].draft.people);
        let mut kept = Vec::with_capacity(people.len());
        for person in people {
            match reason_to_spare(&person, at, &shares) {
                Some(reason) => notes.push(note(reason, &shares[at].source, &person)),
                None => kept.push(person),
            }
        }
        shares[at].draft.people = kept;
    }
    (shares, notes)
}

fn note((severity, reason): (Severity, &str), source: &MergeSource, person: &Person) -> Note {
    let (step, entry, reason) = (Step::Leavers, label(source, person.label()), reason.to_owned());
    Note { severity, step, entry, reason }
}

fn reason_to_spare(person: &Person, at: usize, shares: &[Share]) -> Option<(Severity, &'static str)> {
    if person.fate == Fate::Stays {
        return None;
    }
    let elsewhere = || shares.iter().enumerate().filter(move |&(other, _)| other != at);
    let mut with_id = elsewhere().filter_map(|(_, share)| share.living.get(&person.external_id));
    if let Some(email) = with_id.next() {
        let is_other = person.email.is_some() && *email != person.email;
        return Some(if is_other {
            (
                Severity::Warning,
                "not removed, because another person in another directory has the same external id",
            )
        } else {
            (
                Severity::Info,
                "not removed, because the person is in another directory under the same external id",
            )
        });
    }
    let email = person.email.as_ref()?;
    let has_address = elsewhere().any(|(_, share)| share.addresses.contains(email));
    has_address.then_some((
        Severity::Info,
        "not removed, because another directory has an active account with the same address",
    ))
}

/// Lists each address once, under one id. The groups of all directories refer to the person by that id.
fn one_per_address(mut shares: Vec<Share>) -> Noted<Vec<Share>> {
    let winners = winners(&shares);
    let mut notes = Vec::new();
    for share in &mut shares {
        let mut instead = elsewhere(share, &winners);
        let Share { source, draft, .. } = share;
        draft.people.retain(|person| {
            let winner = person.email.as_ref().and_then(|email| winners.get(email));
            let Some(winner) = winner.filter(|winner| **winner != person.external_id) else { return true };
            if person.fate == Fate::Leaves {
                return true;
            }
            instead.insert(person.external_id.clone(), winner.clone());
            notes.push(Note::info(
                Step::Duplicates,
                label(source, person.label()),
                "another directory of the merge has the same address; its account and external id are used",
            ));
            false
        });
        if !instead.is_empty() {
            draft.groups = with_members(std::mem::take(&mut draft.groups), |id| {
                Some(instead.get(id).unwrap_or(id).clone())
            });
        }
    }
    (shares, notes)
}

fn staying(people: &[Person]) -> impl Iterator<Item = &Person> {
    people.iter().filter(|person| person.fate == Fate::Stays)
}

/// People of a directory that only another directory imports, such as those of a directory that is read for its groups:
/// under the other directory's id. Excludes people whose address the directory itself has twice.
fn elsewhere(share: &Share, winners: &FastMap<Email, ExternalId>) -> FastMap<ExternalId, ExternalId> {
    let mut ids: FastMap<&Email, Vec<&ExternalId>> = FastMap::default();
    for (id, email) in &share.living {
        if let Some(email) = email.as_ref().filter(|email| winners.contains_key(*email)) {
            ids.entry(email).or_default().push(id);
        }
    }
    let alone = ids.into_iter().filter_map(|(email, ids)| match ids[..] {
        [id] => Some((id.clone(), winners[email].clone())),
        _ => None,
    });
    alone.filter(|(id, winner)| id != winner).collect()
}

/// External id under which each address is imported: the first directory's.
fn winners(shares: &[Share]) -> FastMap<Email, ExternalId> {
    let mut winners = FastMap::default();
    for person in shares.iter().flat_map(|share| staying(&share.draft.people)) {
        let Some(email) = &person.email else { continue };
        winners.entry(email.clone()).or_insert_with(|| person.external_id.clone());
    }
    winners
}

/// Replaces members' ids in groups, or drops the members; groups that share a list share the new one.
fn with_members(
    groups: Vec<PreparedGroup>,
    as_member: impl Fn(&ExternalId) -> Option<ExternalId>,
) -> Vec<PreparedGroup> {
    let mut made: HashMap<*const ExternalId, Arc<[ExternalId]>> = HashMap::new();
    let changed = |group: &PreparedGroup| -> Arc<[ExternalId]> {
        let mut ids: Vec<ExternalId> = group.members.iter().filter_map(&as_member).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into()
    };
    // The old lists outlive the loop, so no two of them have the same address in memory.
    groups
        .iter()
        .map(|group| {
            let members = made.entry(group.members.as_ptr()).or_insert_with(|| changed(group));
            PreparedGroup { members: Arc::clone(members), ..group.clone() }
        })
        .collect()
}

/// Merges all drafts into one.
fn joined(mut shares: Vec<Share>, contested: Vec<BadRecord>, more_notes: Vec<Note>) -> (Vec<Share>, Draft) {
    let mut all = Draft::default();
    for Share { source, draft, .. } in &mut shares {
        let Draft { people, groups, notes, bad_records } = std::mem::take(draft);
        all.people.extend(people);
        all.groups.extend(groups.into_iter().map(|group| prefixed(group, &source.prefix)));
        all.notes.extend(notes);
        all.bad_records.extend(bad_records);
    }
    all.groups.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    all.notes.extend(more_notes);
    all.bad_records.extend(contested);
    (shares, all)
}

fn prefixed(group: PreparedGroup, prefix: &str) -> PreparedGroup {
    PreparedGroup { name: format!("{prefix}{}", group.name), ..group }
}

/// Keeps one entry per external id for a person in two directories: an active one first, then one with an address, then one in use.
fn one_per_external_id(mut draft: Draft) -> Draft {
    let rank = |person: &Person| (person.fate, person.email.is_none(), person.status != Status::Active);
    draft.people.sort_by(|a, b| (&a.external_id, rank(a)).cmp(&(&b.external_id, rank(b))));
    let mut twice = Vec::new();
    draft.people.dedup_by(|later, first| {
        let is_same = later.external_id == first.external_id;
        if is_same && later.fate == Fate::Stays {
            twice.push(first.label());
        }
        is_same
    });
    draft.notes.extend(twice.into_iter().map(|label| {
        Note::info(
            Step::Duplicates,
            label,
            "in several directories by the same id and address, and counted once",
        )
    }));
    draft
}
