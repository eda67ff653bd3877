//! Explanation of one person or group: where it was found, what each step made of it, what the organization holds, and what the next
//! sync does. A pure function of what a run has read and decided.
//!
//! The steps are those of [`crate::prepare()`], run one by one with a look at the entry before and after each ([`trace`]); so an explanation
//! says what a sync does.

mod find;
mod next;
mod organization;
mod trace;
mod verdict;

use std::collections::BTreeSet;

use serde::Serialize;

pub use self::find::{Candidate, Sought, SubjectKind};
pub use self::next::{Next, NextGroup, NextMember, NextMembership};
pub use self::organization::{HeldGroup, HeldMember, SeenId, SentGroup, SentMember};
pub use self::trace::{Effect, Membership, MembershipState, StepName, TracedStep};
pub use self::verdict::{Verdict, VerdictCode};
use crate::entry::Status;
use crate::organization::directory::PeopleRead;
use crate::organization::{Basis, Changes, Ledger, Moment, Question};
use crate::prepare::Prepared;
use crate::rules::Rules;
use crate::snapshot::Snapshot;

/// One directory as it was read.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryRead<'a> {
    /// Name of the instance.
    pub name: &'a str,
    /// Prefix of its groups' names in a merge.
    pub prefix: &'a str,
    /// Its contents, with memberships.
    pub snapshot: &'a Snapshot,
    /// Rules by which it is prepared.
    pub rules: &'a Rules,
    /// Whether people are imported from it.
    pub people: PeopleRead,
}

/// Values from which an explanation is made.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The directories, the most important first.
    pub directories: &'a [DirectoryRead<'a>],
    /// The decision about all of them.
    pub prepared: &'a Prepared,
    /// Values that decide what changes.
    pub question: Question<'a>,
    /// Changes that follow.
    pub changes: &'a Changes,
    /// Reasons for which a sync would send nothing.
    pub refused: &'a [String],
    /// Writes a time.
    pub written: fn(Moment) -> String,
}

/// Answer to "who is this?".
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This one.
    Found(Box<Explanation>),
    /// Several have the name.
    Ambiguous(Vec<Candidate>),
    /// Neither the directories nor the organization nor the ledger know it.
    Nowhere,
}

/// Explanation of one person or group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Explanation {
    pub object: &'static str,
    /// As it was asked for.
    pub who: String,
    pub subject: SubjectKind,
    pub created_at: String,
    /// None where nothing but our own records was looked at.
    pub basis: Option<Basis>,
    pub verdict: Verdict,
    /// All directories, also those that do not have it.
    pub directories: Vec<InDirectory>,
    /// What was imported, by the ledger.
    pub sent: Vec<SentMember>,
    pub sent_groups: Vec<SentGroup>,
    /// What the organization holds.
    pub members: Vec<HeldMember>,
    pub groups: Vec<HeldGroup>,
    pub next: Next,
}

/// What one directory has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct InDirectory {
    pub directory: String,
    /// Part of the directory that was read.
    pub place: Option<String>,
    /// Numbers of people and groups among which it was looked for.
    pub people_read: usize,
    pub groups_read: usize,
    pub entries: Vec<InEntry>,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct InEntry {
    pub external_id: String,
    /// DN, sign-in name or the vendor's id.
    pub found_as: Option<String>,
    /// Address of a person, or name of a group.
    pub name: Option<String>,
    /// Of a person.
    pub status: Option<Status>,
    /// Steps in their order, up to the one that left it out.
    pub steps: Vec<TracedStep>,
    /// Groups that a person, or a group, is in.
    pub memberships: Vec<Membership>,
    /// Number of members of a group, nested ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_count: Option<usize>,
}

impl Explanation {
    /// Labels that the notes of a run may have had for it: by what was imported, and as it was asked for.
    pub fn labels(&self) -> BTreeSet<String> {
        let people = self.sent.iter().flat_map(|sent| {
            let ids = sent.ids.iter().map(|seen| &seen.id).chain([&sent.external_id]);
            ids.flat_map(|id| [format!("{} ({id})", sent.email), id.clone()])
        });
        let groups = self.sent_groups.iter().map(|group| format!("{} ({})", group.name, group.external_id));
        people.chain(groups).chain([self.who.clone()]).collect()
    }
}

/// Explains whom or what was asked for.
pub fn explain(facts: &Facts<'_>, sought: &Sought) -> Answer {
    let subject = match find::find(facts, sought) {
        find::Found::One(subject) => subject,
        find::Found::Several(candidates) => return Answer::Ambiguous(candidates),
        find::Found::Nobody => return Answer::Nowhere,
    };
    let directories = trace::directories(facts, &subject);
    let question = &facts.question;
    let next = next::next(facts, &subject);
    let members = organization::members(facts, &subject);
    let groups = organization::groups(question, &subject);
    let sent = organization::sent(question.ledger, &subject, facts.written);
    let sent_groups = organization::sent_groups(question.ledger, &subject, facts.written);
    let kind = subject.kind();
    let verdict = verdict::verdict(&verdict::Known {
        facts,
        subject: &subject,
        directories: &directories,
        next: &next,
        members: &members,
        groups: &groups,
    });
    Answer::Found(Box::new(Explanation {
        object: "explanation",
        who: sought.text.clone(),
        subject: kind,
        created_at: (facts.written)(question.now),
        basis: Some(question.roster.basis),
        verdict,
        directories,
        sent,
        sent_groups,
        members,
        groups,
        next,
    }))
}

/// Explains from what was imported alone: nothing is read.
pub fn explain_from_ledger(
    ledger: &Ledger,
    sought: &Sought,
    now: Moment,
    written: fn(Moment) -> String,
) -> Answer {
    let subject = match find::in_ledger(ledger, sought) {
        find::Found::One(subject) => subject,
        find::Found::Several(candidates) => return Answer::Ambiguous(candidates),
        find::Found::Nobody => return Answer::Nowhere,
    };
    let sent = organization::sent(ledger, &subject, written);
    let sent_groups = organization::sent_groups(ledger, &subject, written);
    Answer::Found(Box::new(Explanation {
        object: "explanation",
        who: sought.text.clone(),
        subject: subject.kind(),
        created_at: written(now),
        basis: None,
        verdict: verdict::offline(&sent, &sent_groups),
        directories: Vec::new(),
        sent,
        sent_groups,
        members: Vec::new(),
        groups: Vec::new(),
        next: Next::default(),
    }))
}
