//! Explanation of one person or group: reads as a plan does, sends and keeps nothing.

use std::collections::BTreeSet;

use bwdc_connect::directory::{Directory as _, Sighted, Sighting};
use bwdc_core::entry::ExternalId;
use bwdc_core::error::{Error, Result};
use bwdc_core::explain::{
    Answer, Candidate, DirectoryRead, Explanation, Facts, Sought, SubjectKind, explain_from_ledger,
};
use bwdc_core::organization::changes::Cause;
use bwdc_core::organization::directory::PeopleRead;
use bwdc_core::organization::record::{GroupEntry, Made, MemberEntry, MemberState};
use bwdc_core::text::counted;
use bwdc_store::Memory as _;
use bwdc_store::history::{self, Entry, Filter, Head};
use jiff::Timestamp;

use crate::decide::{moment, written};
use crate::history::warned;
use crate::job::SyncJob;
use crate::ledger::{KeptByRuns, kept_by_runs};
use crate::plan::Decided;
use crate::planned::everything;
use crate::read::Keep;

/// Number of runs that are told.
const RUNS: usize = 10;

/// Next step where directory or organization cannot be read.
const WITHOUT_READING: &str = "bwdc explain --offline WHO reads neither the directory nor the organization: it answers from the last run's record.";

/// Source of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFrom {
    /// Directory and organization are read.
    Live,
    /// Nothing is read but what earlier runs have kept.
    Offline,
}

/// Answer to "who is this?".
#[derive(Clone, Debug)]
pub enum Explained {
    /// This one.
    Found(Box<Findings>),
    /// Several have the name.
    Ambiguous(Vec<Candidate>),
    /// Nobody has it.
    Nowhere(Nowhere),
}

/// Explanation, with what the directories and the history say besides.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Explanation. None for an entry that no search of the administrator finds.
    pub explanation: Option<Explanation>,
    /// Entries as the directories have them.
    pub lookups: Vec<Lookup>,
    /// Runs that were about it, the latest first.
    pub runs: Vec<RunAbout>,
    /// Reasons for which the last import left it out, where nothing was read.
    pub left_out: Vec<&'static str>,
    /// What the history says of an address that nobody has any more.
    pub former: Option<Former>,
}

/// Address that a person had.
#[derive(Clone, Debug)]
pub struct Former {
    /// The former address.
    pub address: String,
    /// External id of the person.
    pub external_id: String,
    /// Last run that knew the person by it.
    pub last: Head,
    /// First run that knew the person by another one, if any has changed anything since.
    pub since: Option<Timestamp>,
    /// Address that the person has now.
    pub now: Option<String>,
}

/// ExplainFrom-up in one directory.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Name of the instance.
    pub directory: String,
    /// What was found; or why nothing could be looked for.
    pub found: std::result::Result<Vec<Sighting>, String>,
}

/// Run that was about somebody.
#[derive(Clone, Debug)]
pub struct RunAbout {
    /// Head of its record.
    pub head: Head,
    /// Changes that were about it.
    pub entries: Vec<Entry>,
}

/// Places where nobody was found.
#[derive(Clone, Debug, Default)]
pub struct Nowhere {
    /// In words, one for each.
    pub places: Vec<String>,
}

/// Explains a person or a group.
///
/// # Errors
/// Directory or organization cannot be read whole.
pub async fn explain(job: &SyncJob, who: &str, look: ExplainFrom) -> Result<Explained> {
    match look {
        ExplainFrom::Live => live(job, who).await,
        ExplainFrom::Offline => offline(job, who).await,
    }
}

async fn live(job: &SyncJob, who: &str) -> Result<Explained> {
    let without = |error: Error| error.also(WITHOUT_READING);
    let decided = everything(job, Timestamp::now(), Keep::Snapshots).await.map_err(without)?;
    let asked = Sought::of(who);
    let lookups = lookups(&decided, &asked).await;
    let found = lookups.iter().filter_map(|lookup| lookup.found.as_ref().ok()).flatten();
    let found: Vec<&Sighting> = found.collect();
    let ids = |but: Sighted| -> Vec<ExternalId> {
        found
            .iter()
            .filter(|sighting| sighting.kind != but)
            .filter_map(|sighting| sighting.id.clone())
            .collect()
    };
    let sought = Sought { people: ids(Sighted::Group), groups: ids(Sighted::Person), ..asked };
    let refused: Vec<String> = decided.check().err().map(|error| error.message).into_iter().collect();
    let directories = directories(&decided);
    let decision = &decided.decision;
    let facts = Facts {
        directories: &directories,
        prepared: &decided.reading.prepared,
        question: decision.known.question(),
        changes: &decision.changes,
        refused: &refused,
        written,
    };
    match bwdc_core::explain(&facts, &sought) {
        Answer::Found(explanation) => {
            let lookups = of_entries(&decided, lookups, &explanation).await;
            let runs = runs(job, &names(&sought.text, &explanation), Some(explanation.subject))?;
            let former = given_up(&explanation, &runs, |sought| bwdc_core::explain(&facts, sought));
            Ok(Explained::Found(Box::new(Findings {
                explanation: Some(*explanation),
                lookups,
                runs,
                left_out: Vec::new(),
                former,
            })))
        }
        Answer::Ambiguous(candidates) => Ok(Explained::Ambiguous(candidates)),
        Answer::Nowhere
            if lookups.iter().any(|lookup| lookup.found.as_ref().is_ok_and(|all| !all.is_empty())) =>
        {
            let runs = runs(job, &BTreeSet::from([sought.text.clone()]), sought.kind)?;
            Ok(Explained::Found(Box::new(Findings {
                explanation: None,
                lookups,
                runs,
                left_out: Vec::new(),
                former: None,
            })))
        }
        Answer::Nowhere => {
            let runs = runs(job, &BTreeSet::from([sought.text.clone()]), sought.kind)?;
            let known = known_by(&sought, &runs, |sought| bwdc_core::explain(&facts, sought));
            let found = match known {
                Some((explanation, former)) => {
                    let lookups = of_entries(&decided, lookups, &explanation).await;
                    former_findings(job, explanation, former)?.with(lookups)
                }
                None if runs.is_empty() => return Ok(Explained::Nowhere(nowhere(&decided))),
                None => Findings { explanation: None, lookups, runs, left_out: Vec::new(), former: None },
            };
            Ok(Explained::Found(Box::new(found)))
        }
    }
}

fn directories<'a>(decided: &'a Decided<'_>) -> Vec<DirectoryRead<'a>> {
    let each = decided.opened.iter().zip(&decided.reading.snapshots);
    let read = each.map(|(opened, snapshot)| DirectoryRead {
        name: &opened.context.name,
        prefix: opened.prefix,
        snapshot,
        rules: &opened.instance.rules,
        people: if opened.has_users() { PeopleRead::Imported } else { PeopleRead::NotImported },
    });
    read.collect()
}

/// Looks the text up in every directory. One that refuses is told; the rest stands without it.
async fn lookups(decided: &Decided<'_>, sought: &Sought) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    for (opened, source) in decided.opened.iter().zip(&decided.reading.sources) {
        let found = source.directory.look_up(&sought.text).await.map_err(|error| error.to_string());
        let found = found.map(|found| of_kind(found, sought.kind));
        lookups.push(Lookup { directory: opened.context.name.clone(), found });
    }
    lookups
}

/// Entries that are of a kind, or may be.
fn of_kind(found: Vec<Sighting>, kind: Option<SubjectKind>) -> Vec<Sighting> {
    let other = kind.map(|kind| match kind {
        SubjectKind::Person => Sighted::Group,
        SubjectKind::Group => Sighted::Person,
    });
    found.into_iter().filter(|sighting| other != Some(sighting.kind)).collect()
}

/// The same for an entry that is known by something that no directory has, such as a member's id.
async fn of_entries(decided: &Decided<'_>, lookups: Vec<Lookup>, explanation: &Explanation) -> Vec<Lookup> {
    let mut all = Vec::new();
    let each = lookups.into_iter().zip(&decided.reading.sources).zip(&explanation.directories);
    let kind = Some(explanation.subject);
    for ((lookup, source), known) in each {
        let lookup = Lookup { found: lookup.found.map(|found| of_kind(found, kind)), ..lookup };
        let is_found = lookup.found.as_ref().is_ok_and(|found| !found.is_empty());
        let entry = known.entries.first().filter(|_| !is_found && lookup.found.is_ok());
        let found = match entry {
            None => lookup.found,
            Some(entry) => {
                let found = source.directory.look_up(&entry.external_id).await;
                found.map(|found| of_kind(found, kind)).map_err(|error| error.to_string())
            }
        };
        all.push(Lookup { found, ..lookup });
    }
    all
}

fn nowhere(decided: &Decided<'_>) -> Nowhere {
    let each = decided.opened.iter().zip(&decided.reading.snapshots);
    let in_directories = each.map(|(opened, snapshot)| {
        let place = snapshot.place.as_ref().map_or("the directory", |place| place.as_str());
        format!(
            "{}: {} and {} ({place})",
            opened.context.name,
            counted(snapshot.users.len() + snapshot.others.len(), "person", "people"),
            counted(snapshot.groups.len() + snapshot.other_groups.len(), "group", "groups")
        )
    });
    let known = &decided.decision.known;
    let in_organization = format!(
        "the organization: {} and {}",
        counted(known.roster.members().count(), "member", "members"),
        counted(known.roster.groups().count(), "group", "groups")
    );
    let in_ledger =
        format!("earlier imports: {}", counted(known.ledger.people().count(), "person", "people"));
    Nowhere { places: in_directories.chain([in_organization, in_ledger]).collect() }
}

async fn offline(job: &SyncJob, who: &str) -> Result<Explained> {
    let KeptByRuns { organization_id, ledger } = kept_by_runs(job).await?;
    let contexts = job.contexts();
    let Some(first) = contexts.first() else { return Err(job.has_nothing()) };
    let sought = Sought::of(who);
    let left_out = first.file.last_import().filter(|import| import.organization_id == organization_id);
    let left_out = left_out.map(|import| import.left_out).unwrap_or_default();
    match explain_from_ledger(&ledger, &sought, moment(Timestamp::now()), written) {
        Answer::Found(explanation) => {
            let runs = runs(job, &names(&sought.text, &explanation), Some(explanation.subject))?;
            let labels = labelled(job, explanation.labels());
            let left_out = left_out.reasons_of(&labels);
            let explain =
                |sought: &Sought| explain_from_ledger(&ledger, sought, moment(Timestamp::now()), written);
            let former = given_up(&explanation, &runs, explain);
            let report =
                Findings { explanation: Some(*explanation), lookups: Vec::new(), runs, left_out, former };
            Ok(Explained::Found(Box::new(report)))
        }
        Answer::Ambiguous(candidates) => Ok(Explained::Ambiguous(candidates)),
        Answer::Nowhere => {
            let (asked, names) = (sought.clone(), BTreeSet::from([sought.text]));
            let runs = runs(job, &names, sought.kind)?;
            let reasons = left_out.reasons_of(&labelled(job, names));
            let explain =
                |sought: &Sought| explain_from_ledger(&ledger, sought, moment(Timestamp::now()), written);
            if let Some((explanation, former)) = known_by(&asked, &runs, explain) {
                return Ok(Explained::Found(Box::new(former_findings(job, explanation, former)?)));
            }
            if runs.is_empty() && reasons.is_empty() {
                let places = vec![
                    format!("earlier imports: {}", counted(ledger.people().count(), "person", "people")),
                    "the history of runs".to_owned(),
                    format!(
                        "the entries that the last import left out: {}, by name only in the log (bwdc log)",
                        left_out.len()
                    ),
                ];
                return Ok(Explained::Nowhere(Nowhere { places }));
            }
            let report =
                Findings { explanation: None, lookups: Vec::new(), runs, left_out: reasons, former: None };
            Ok(Explained::Found(Box::new(report)))
        }
    }
}

/// Somebody whom only the history knows by an address: explained by the external id that the person had with it.
fn known_by(
    sought: &Sought,
    runs: &[RunAbout],
    explain: impl Fn(&Sought) -> Answer,
) -> Option<(Explanation, Former)> {
    let address = &sought.text;
    let has = |state: &&MemberState| state.email.eq_ignore_ascii_case(address);
    let (last, id) = runs.iter().find_map(|run| {
        let id =
            run.states().filter(has).find_map(|state| state.external_id.as_deref().map(str::to_owned))?;
        Some((run.head.clone(), id))
    })?;
    let (explanation, now) = holder(&id, address, explain)?;
    let former = Former { address: address.clone(), external_id: id, last, since: None, now };
    Some((Explanation { who: address.clone(), ..explanation }, former))
}

/// Address that a server which knows people by their addresses keeps as a member of its own, after the person was given another one.
fn given_up(
    explanation: &Explanation,
    runs: &[RunAbout],
    explain: impl Fn(&Sought) -> Answer,
) -> Option<Former> {
    if explanation.directories.iter().any(|directory| !directory.entries.is_empty()) {
        return None;
    }
    let is_own = |email: &str| explanation.sent.iter().any(|sent| sent.email.eq_ignore_ascii_case(email));
    let before = |entry: &Entry| match entry {
        Entry::Member(MemberEntry {
            cause: Cause::IdReused,
            made: Made::Yes | Made::Unclear,
            before: Some(MemberState { email, external_id: Some(id), .. }),
            ..
        }) if is_own(email) => Some((email.to_string(), id.to_string())),
        _ => None,
    };
    let (last, (address, external_id)) =
        runs.iter().find_map(|run| Some((run.head.clone(), run.entries.iter().find_map(before)?)))?;
    let (_, now) = holder(&external_id, &address, explain)?;
    let since = Some(last.at);
    now.is_some().then_some(Former { address, external_id, last, since, now })
}

/// The person with an external id, and an address of the person's that is not this one.
fn holder(
    id: &str,
    address: &str,
    explain: impl Fn(&Sought) -> Answer,
) -> Option<(Explanation, Option<String>)> {
    let by_id = Sought { text: id.to_owned(), kind: Some(SubjectKind::Person), ..Sought::default() };
    let Answer::Found(explanation) = explain(&by_id) else { return None };
    let Explanation { members, sent, directories, .. } = &*explanation;
    let entries = directories.iter().flat_map(|directory| &directory.entries);
    let of_members = members.iter().map(|member| &member.email);
    let known = of_members.chain(entries.filter_map(|entry| entry.name.as_ref()));
    let mut known = known.chain(sent.iter().map(|sent| &sent.email));
    let now = known.find(|email| !email.eq_ignore_ascii_case(address)).cloned();
    Some((*explanation, now))
}

fn former_findings(job: &SyncJob, explanation: Explanation, former: Former) -> Result<Findings> {
    let runs = runs(job, &names(&former.address, &explanation), Some(SubjectKind::Person))?;
    let is_another = |state: MemberState| !state.email.eq_ignore_ascii_case(&former.address);
    let later = runs.iter().rev().filter(|run| run.head.at > former.last.at);
    let since = later.filter(|run| run.states().cloned().any(is_another)).map(|run| run.head.at).next();
    let former = Some(Former { since, ..former });
    Ok(Findings { explanation: Some(explanation), lookups: Vec::new(), runs, left_out: Vec::new(), former })
}

impl Findings {
    fn with(self, lookups: Vec<Lookup>) -> Self {
        Self { lookups, ..self }
    }
}

impl RunAbout {
    /// States of members before and after.
    fn states(&self) -> impl Iterator<Item = &MemberState> {
        let states = self.entries.iter().flat_map(|entry| match entry {
            Entry::Member(MemberEntry { before, after, .. }) => [after.as_ref(), before.as_ref()],
            Entry::Group(_) => [None, None],
        });
        states.flatten()
    }
}

/// Labels as the notes of a run have them: in a merge with the directory before.
fn labelled(job: &SyncJob, labels: BTreeSet<String>) -> BTreeSet<String> {
    let contexts = job.contexts();
    let of = |label: &String| {
        contexts.iter().map(|context| format!("{}: {label}", context.name)).collect::<Vec<_>>()
    };
    let merged: Vec<String> = labels.iter().flat_map(of).collect();
    labels.into_iter().chain(merged).collect()
}

/// Everything by which the history may name it.
fn names(who: &str, explanation: &Explanation) -> BTreeSet<String> {
    let Explanation { sent, sent_groups, members, groups, directories, .. } = explanation;
    let sent = sent.iter().flat_map(|sent| [&sent.email, &sent.external_id]);
    let members = members.iter().map(|member| &member.email);
    let entries = directories.iter().flat_map(|directory| &directory.entries).map(|entry| &entry.external_id);
    let groups =
        sent_groups.iter().map(|group| &group.external_id).chain(groups.iter().map(|group| &group.name));
    let all = sent.chain(members).chain(entries).chain(groups).cloned();
    all.chain([who.to_owned()]).collect()
}

/// The latest runs that were about any of these names. A person and a group may have the same.
fn runs(job: &SyncJob, names: &BTreeSet<String>, kind: Option<SubjectKind>) -> Result<Vec<RunAbout>> {
    let history = job.history();
    let sought = history.follow(history::Sought::any(names.iter().map(String::as_str)))?;
    let runs = warned(job, history.about(&sought, &Filter::default())?).into_iter();
    let is_about = |entry: &Entry| match (entry, kind) {
        (_, None) => true,
        (Entry::Member(entry), Some(kind)) => (kind == SubjectKind::Person) == sought.is_person(entry),
        (Entry::Group(entry), Some(SubjectKind::Group)) => sought.is_group(entry),
        (Entry::Group(GroupEntry { join, leave, held_join, held_leave, .. }), Some(SubjectKind::Person)) => {
            [join, leave, held_join, held_leave].into_iter().flatten().any(|member| sought.is_member(member))
        }
    };
    let about = runs
        .map(|(head, entries)| RunAbout { head, entries: entries.into_iter().filter(is_about).collect() });
    Ok(about.filter(|run| !run.entries.is_empty()).take(RUNS).collect())
}
