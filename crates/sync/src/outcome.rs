//! What became of a run.

use std::collections::BTreeMap;

use bwdc_config::settings::sync;
use bwdc_core::Prepared;
use bwdc_core::changes::ImportChange;
use bwdc_core::check::{BlockCause, Finding};
use bwdc_core::error::{Error, Exit, Result, shown};
use bwdc_core::note::{Note, Step};
use bwdc_core::organization::changes::{Changes, Code, Stopped, Warning};
use bwdc_core::organization::limits::LimitName;
use bwdc_core::organization::pending::{Held, HeldByLimit, Pending};
use bwdc_core::plan::ImportSummary;
use bwdc_core::prepare::{BadRecord, Fate};
use bwdc_store::runs::RunCounts;

use crate::decide::Decision;

/// At most so many are named.
const NAMED: usize = 20;

/// What a sync did.
#[derive(Clone, Debug)]
pub struct SyncOutcome {
    /// What was sent; nothing if the server has it already.
    pub sent: ImportSummary,
    /// Why entries were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that had to be left out.
    pub left_out: usize,
    /// Who came and who left, as far as this run did it.
    pub changes: Vec<ImportChange>,
}

/// How a run of a job went.
#[derive(Debug)]
pub struct Report<T> {
    /// The instance, or the organization of a merge.
    pub name: String,
    /// Names this run in the log.
    pub run: String,
    /// In seconds.
    pub duration: f64,
    /// The outcome.
    pub result: Result<T>,
}

impl SyncOutcome {
    /// How a command ends that did this.
    pub fn exit(&self) -> Exit {
        if self.left_out > 0 { Exit::LeftOut } else { Exit::Success }
    }
}

/// What can be told of a run that succeeded.
pub trait Reportable {
    /// The counts.
    fn facts(&self) -> RunCounts;
    /// Why entries were dropped or changed.
    fn notes(&self) -> &[Note];
}

impl Reportable for SyncOutcome {
    fn facts(&self) -> RunCounts {
        let Self { sent, left_out, changes, .. } = self;
        RunCounts {
            users: sent.users,
            groups: sent.groups,
            removed: changes.iter().filter(|change| change.kind.is_leaving()).count(),
            left_out: *left_out,
        }
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }
}

impl Reportable for Prepared {
    fn facts(&self) -> RunCounts {
        let removed = self.people.iter().filter(|person| person.fate == Fate::Leaves).count();
        let Self { people, groups, bad_records, .. } = self;
        RunCounts { users: people.len(), groups: groups.len(), removed, left_out: bad_records.len() }
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Notes of the decisions about the directory and about the organization, with a warning for each entry that was left out for being
/// wrong.
pub(crate) fn notes(mut notes: Vec<Note>, bad_records: &[BadRecord], warnings: &[Warning]) -> Vec<Note> {
    notes.extend(left_out(bad_records));
    notes.extend(warned(warnings));
    notes
}

/// Warnings of a plan for every run, a few of each kind. What is no news after the run has done it is for plans only.
fn warned(warnings: &[Warning]) -> Vec<Note> {
    let mut notes = Vec::new();
    let lasting = |warning: &&Warning| !matches!(warning.code, Code::MailsSent | Code::NotVerified);
    let lasting: Vec<&Warning> = warnings.iter().filter(lasting).collect();
    for kind in lasting.chunk_by(|a, b| a.code == b.code) {
        let shown = kind.iter().take(NAMED);
        notes.extend(shown.copied().map(noted));
        if kind.len() > NAMED {
            let text = format!("{} more of this kind: bwdc plan lists them", kind.len() - NAMED);
            notes.extend(kind.first().map(|first| noted(&Warning { text, ..(*first).clone() })));
        }
    }
    notes
}

/// Entries of `sync.protect` that match nobody.
pub(crate) fn protects_nobody(changes: &Changes) -> impl Iterator<Item = Note> {
    changes.warnings.iter().filter(|warning| warning.code == Code::ProtectsNobody).map(noted)
}

/// What an administrator has decided, and what nearly every directory has, is no reason for a warning in every run.
fn noted(warning: &Warning) -> Note {
    match warning.code {
        Code::UnknownMembers | Code::RevokedStays | Code::StagedStays | Code::InviteExpired => {
            Note::info(Step::Organization, "", &warning.text)
        }
        _ => Note::warning(Step::Organization, "", &warning.text),
    }
}

/// A warning for each entry that is left out for being wrong.
pub(crate) fn left_out(records: &[BadRecord]) -> impl Iterator<Item = Note> {
    records.iter().map(|record| Note::warning(Step::Validate, &record.problem, "left out"))
}

impl SyncOutcome {
    pub(crate) fn nothing() -> Self {
        let note =
            Note::warning(Step::Read, "", "neither sync.users nor sync.groups is on, so nothing was read");
        Self { sent: ImportSummary::default(), notes: vec![note], left_out: 0, changes: Vec::new() }
    }
}

/// What is to be imported where nothing was read.
pub(crate) fn nothing_read() -> Prepared {
    Prepared {
        people: Vec::new(),
        groups: Vec::new(),
        notes: SyncOutcome::nothing().notes,
        bad_records: Vec::new(),
    }
}

/// Why an import is held back.
pub(crate) fn blocked(findings: &[Finding]) -> Error {
    let is_dangerous = findings.iter().any(|finding| finding.cause == BlockCause::Dangerous);
    let problems: Vec<String> = findings.iter().map(|finding| shown(&finding.problem)).collect();
    let mut next_steps: Vec<&str> = findings.iter().map(|finding| finding.next_step.as_str()).collect();
    next_steps.dedup();
    Error::new(problems.join("\n"))
        .hint(format!("{} Nothing was imported.", next_steps.join(" ")))
        .exit(if is_dangerous { Exit::Blocked } else { Exit::Failure })
}

/// Whether something was done, or only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tense {
    /// A sync.
    Done,
    /// A rehearsal.
    Rehearsed,
}

/// What the limits hold back, by name, and the way out. `None` if nothing is held.
pub(crate) fn held(decision: &Decision, tense: Tense) -> Option<Error> {
    if !decision.changes.is_held() {
        return None;
    }
    let pending = decision.pending();
    let removals = pending.held.iter().find(|held| held.limit == LimitName::Removals);
    let number = removals.map_or(String::new(), |held| {
        format!(" (or, only the people who leave: bwdc sync --allow-removals {})", held.held.people.len())
    });
    Some(exceeded(&pending, decision.changes.stopped, tense).hint(format!(
        "The whole list: bwdc pending. If the directory is right, let it through once: bwdc approve{number}. Else check the search \
         base, the filters, the account's rights and the server."
    )))
}

/// The limits that are exceeded, and what they hold back, by name.
pub(crate) fn exceeded(pending: &Pending, stopped: Stopped, tense: Tense) -> Error {
    let tripped: Vec<String> = pending.held.iter().map(tripped).collect();
    let rest = match (stopped, tense) {
        (Stopped::Yes, Tense::Done) => "Nothing was sent.",
        (Stopped::Yes, Tense::Rehearsed) => "Nothing would be sent.",
        (Stopped::No, Tense::Done) => "Everything else was done.",
        (Stopped::No, Tense::Rehearsed) => "Everything else would be done.",
    };
    Error::new(format!("{}\n{rest}", tripped.join("\n"))).exit(Exit::Blocked)
}

/// Name of a limit's setting.
pub(crate) fn setting(limit: LimitName) -> &'static str {
    match limit {
        LimitName::Removals => sync::LIMIT_REMOVALS.name,
        LimitName::Leaves => sync::LIMIT_LEAVES.name,
        LimitName::Repairs => sync::LIMIT_REPAIRS.name,
        LimitName::Invites => sync::LIMIT_INVITES.name,
    }
}

fn tripped(HeldByLimit { limit, allowed, wanted, held }: &HeldByLimit) -> String {
    let allowed = allowed.unwrap_or_default();
    let setting = setting(*limit);
    let ([one, several], none_left) = match limit {
        LimitName::Removals => (
            ["person would leave the organization", "people would leave the organization"],
            "nobody would be left in the organization, or in a directory of the merge",
        ),
        LimitName::Leaves => (
            [
                "membership in a group would be lost by somebody who stays",
                "memberships in groups would be lost by people who stay",
            ],
            "none would be left",
        ),
        LimitName::Repairs => (
            ["change made by somebody else would be undone", "changes made by somebody else would be undone"],
            "",
        ),
        LimitName::Invites => (["person would be invited", "people would be invited"], ""),
    };
    let people = held.people.iter().map(|person| shown(&person.person.email));
    let groups = held.groups.iter().map(|group| format!("the group {}", shown(&group.name)));
    let memberships = held.memberships.iter();
    let memberships = memberships
        .map(|membership| format!("{} in {}", shown(&membership.person.email), shown(&membership.group)));
    let names: Vec<String> = people.chain(groups).chain(memberships).collect();
    let count = names.len();
    // A percentage never lets the last one go, however few they are.
    let (number, why) = match wanted.saturating_sub(count) {
        _ if *wanted <= allowed => (count, format!("{none_left} ({setting})")),
        0 => (*wanted, format!("{setting} allows {allowed} within 24 hours")),
        before => (*wanted, format!("{setting} allows {allowed} within 24 hours ({before} done already)")),
    };
    let what = if number == 1 { one } else { several };
    format!("{number} {what}, and {why}. Held back: {}.{}", named(names), causes(held))
}

/// Why people would leave or come, with the number of each.
fn causes(held: &Held) -> String {
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    for person in &held.people {
        *causes.entry(person.cause.reason()).or_default() += 1;
    }
    let causes: Vec<String> = causes.into_iter().map(|(cause, count)| format!("{cause} ({count})")).collect();
    if causes.is_empty() { String::new() } else { format!(" Cause: {}.", causes.join("; ")) }
}

/// A list of names that is not longer than anybody reads.
pub(crate) fn named(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let names = names.join("; ");
    if more == 0 { names } else { format!("{names}; and {more} more") }
}
