//! What waits for an administrator, laid out.

use bwdc_core::organization::changes::KeptBy;
use bwdc_core::organization::pending::{
    Approved, ApprovedSubject, Held, HeldByLimit, HeldGroup, HeldMembership, HeldPerson, InGrace, Pending,
    Person, Protected, VanishedGroup,
};
use bwdc_core::organization::roster::Basis;

use super::words::{self, counted};
use super::{Overview, Section, Tone, plan};

impl From<&Pending> for Overview {
    fn from(pending: &Pending) -> Self {
        let mut overview = Self { title: title(pending), facts: facts(pending), ..Self::default() };
        pending.held.iter().for_each(|held| by_limit(held, &mut overview));
        tables("Held back besides", None, &pending.held_besides, &mut overview);
        overview.add(in_grace(&pending.in_grace));
        overview.add(protected(&pending.protected));
        overview.add(to_mend(pending));
        overview.add(vanished(&pending.vanished_groups));
        pending.approved.iter().for_each(|approval| overview.add(approved(approval)));
        overview
    }
}

fn title(pending: &Pending) -> String {
    format!("Pending as of {}", words::time(&pending.created_at))
}

fn facts(pending: &Pending) -> Vec<String> {
    let mut facts = Vec::new();
    if pending.basis == Basis::Ledger {
        facts.push(words::basis(pending.basis).to_owned());
    }
    if pending.stopped {
        facts.push("A limit is exceeded: no sync sends anything.".to_owned());
    }
    if pending.is_empty() {
        facts.push("Nothing is pending.".to_owned());
    }
    facts
}

fn by_limit(HeldByLimit { limit, allowed, wanted, held }: &HeldByLimit, overview: &mut Overview) {
    let title = format!("Held back by {}", words::setting(*limit));
    tables(&title, Some(&words::exceeded(*limit, *allowed, *wanted)), held, overview);
}

/// A table each for people, groups and memberships; the sentence stands before the first.
fn tables(title: &str, lead: Option<&str>, held: &Held, overview: &mut Overview) {
    let section = |of: &str, columns| Section::new(format!("{title}: {of}"), Tone::Danger, columns);
    let all = [
        section("people", &["Address", "Action", "Cause", "External id", "Id in the directory"])
            .rows(held.people.iter().map(person_row)),
        section("groups", &["Group", "Action", "Cause", "External id"])
            .rows(held.groups.iter().map(group_row)),
        section("memberships", &["Group", "Address", "Action", "Cause"])
            .rows(held.memberships.iter().map(membership_row)),
    ];
    let mut lead = lead;
    for section in all.into_iter().filter(|section| !section.rows.is_empty()) {
        overview.add(match lead.take() {
            Some(lead) => section.led(lead),
            None => section,
        });
    }
}

fn person_row(HeldPerson { person, directory_id, action, cause }: &HeldPerson) -> Vec<String> {
    vec![
        person.email.clone(),
        words::action(*action).to_owned(),
        words::cause_of(*action, *cause).to_owned(),
        id(person),
        directory_id.clone().unwrap_or_default(),
    ]
}

fn group_row(HeldGroup { name, renamed_from, external_id, action, cause }: &HeldGroup) -> Vec<String> {
    let (name, shown) = match renamed_from {
        Some(from) => (from.clone(), format!("rename to {name}")),
        None => (name.clone(), words::group_action(*action).to_owned()),
    };
    vec![name, shown, words::cause_of_group(*action, *cause).to_owned(), external_id.clone()]
}

fn membership_row(HeldMembership { group, person, action, cause, .. }: &HeldMembership) -> Vec<String> {
    vec![
        group.clone(),
        person.email.clone(),
        words::word(action),
        words::cause_of_membership(*action, *cause).to_owned(),
    ]
}

fn id(person: &Person) -> String {
    person.external_id.clone().unwrap_or_default()
}

fn in_grace(people: &[InGrace]) -> Section {
    let columns = &["Address", "Since", "Removed after", "Cause", "External id"];
    let rows = people.iter().map(|InGrace { person, since, until, cause, .. }| {
        vec![
            person.email.clone(),
            words::time(since),
            words::time(until),
            words::cause(*cause).to_owned(),
            id(person),
        ]
    });
    Section::new("In grace", Tone::Caution, columns).rows(rows)
}

fn protected(people: &[Protected]) -> Section {
    let columns = &["Address", "Protected by", "Reason to leave", "External id"];
    let rows = people.iter().map(|Protected { person, cause, by, until }| {
        let by = match by {
            KeptBy::Owner => "role of owner".to_owned(),
            KeptBy::Protection => "sync.protect".to_owned(),
            KeptBy::OtherDirectory => "another directory".to_owned(),
            KeptBy::Undo => until.as_ref().map_or_else(
                || "bwdc undo".to_owned(),
                |until| format!("bwdc undo until {}", words::time(until)),
            ),
        };
        vec![person.email.clone(), by, words::cause(*cause).to_owned(), id(person)]
    });
    Section::new("Protected", Tone::Caution, columns).rows(rows)
}

fn to_mend(pending: &Pending) -> Section {
    Section { title: "Ids and addresses to mend".to_owned(), ..plan::warnings(&pending.to_mend) }
}

fn vanished(groups: &[VanishedGroup]) -> Section {
    let rows = groups.iter().map(|VanishedGroup { name, external_id, members }| {
        vec![name.clone(), counted(*members, "member", "members"), external_id.clone()]
    });
    Section::new("Groups no longer in the directory", Tone::Caution, &["Group", "Members", "External id"])
        .rows(rows)
}

fn approved(Approved { limit, until, subjects }: &Approved) -> Section {
    let title = format!("Approved for {} until {}", words::setting(*limit), words::time(until));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let rows = subjects.iter().map(|subject| {
        let ApprovedSubject { email, external_id, group, group_external_id, action } = subject;
        let group = group.as_ref().or(group_external_id.as_ref()).cloned();
        vec![text(email), text(&group), action.map(words::deed).unwrap_or_default(), text(external_id)]
    });
    Section::new(title, Tone::Good, &["Address", "Group", "Action", "External id"])
        .led("The next sync carries this out, unless more than this would be held back by then.")
        .rows(rows)
}
