//! An explanation, laid out as a report for a ticket.

use bwdc_connect::directory::{ClauseOutcome, Sighting};
use bwdc_core::entry::Status;
use bwdc_core::explain::{
    Candidate, Effect, Explanation, InDirectory, InEntry, MembershipState, Next, StepName, SubjectKind,
    VerdictCode,
};
use bwdc_core::organization::record::{GroupEntry, GroupMember, Made, MemberEntry};
use bwdc_core::organization::roster::Basis;
use bwdc_core::prepare::Stage;
use bwdc_store::history::Entry;
use bwdc_sync::{Explained, Findings, Former, Lookup, Nowhere, RunAbout};
use jiff::Timestamp;

use super::words::{self, counted};
use super::{Overview, Section, Tone, plan};

/// Word for what a server that cannot be read does not tell.
const NOT_KNOWN: &str = "not known";

impl Overview {
    /// Lays out an explanation.
    pub(crate) fn of_explained(who: &str, explained: &Explained) -> Self {
        match explained {
            Explained::Found(findings) => of_findings(who, findings),
            Explained::Ambiguous(candidates) => of_candidates(who, candidates),
            Explained::Nowhere(Nowhere { places }) => Self {
                title: format!("{who} was not found."),
                facts: places.iter().map(|place| format!("Looked in {place}.")).collect(),
                ..Self::default()
            },
        }
    }
}

fn of_candidates(who: &str, candidates: &[Candidate]) -> Overview {
    let rows = candidates.iter().map(|candidate| {
        let kind = match candidate.subject {
            SubjectKind::Person => "person",
            SubjectKind::Group => "group",
        };
        vec![kind.to_owned(), candidate.name.clone(), candidate.id.clone()]
    });
    let mut overview = Overview {
        title: format!("Several have the name {who}."),
        facts: vec![
            "Name one of them by its address or id; where a person and a group have the same, write user:ID or group:ID."
                .to_owned(),
        ],
        ..Overview::default()
    };
    overview.add(Section::new("Candidates", Tone::Caution, &["Kind", "Name", "Id"]).rows(rows));
    overview
}

fn of_findings(who: &str, findings: &Findings) -> Overview {
    let Findings { explanation, lookups, runs, left_out, former } = findings;
    let mut overview = match explanation {
        Some(explanation) => of_explanation(explanation),
        None => Overview {
            title: who.to_owned(),
            facts: vec![known_besides(lookups).to_owned()],
            ..Overview::default()
        },
    };
    overview.facts.extend(former.iter().map(former_words));
    overview.facts.extend(left_out.iter().map(|reason| format!("The last import left it out: {reason}.")));
    let several = lookups.len() > 1;
    for Lookup { directory, found } in lookups {
        let of = if several { format!(" in {directory}") } else { String::new() };
        match found {
            Ok(found) => found.iter().for_each(|sighting| {
                add_sighting(&mut overview, sighting, &of, status_of(explanation.as_ref(), sighting));
            }),
            Err(problem) => {
                overview.facts.push(format!("The attributes{of} could not be looked up: {problem}"))
            }
        }
    }
    if let Some(explanation) = explanation {
        if explanation.basis != Some(Basis::Live) {
            overview.facts.extend(last_sent(runs));
        }
        add_organization(&mut overview, explanation);
    }
    overview.add(
        Section::new("Runs", Tone::Good, &["Time", "Run", "Change", "Note"])
            .rows(runs.iter().flat_map(run_rows)),
    );
    overview
}

/// Where somebody is known of whom there is no explanation. Nothing is looked up offline.
fn known_besides(lookups: &[Lookup]) -> &'static str {
    match lookups {
        [] => "Known from the history of runs alone. Neither the directory nor the organization was read.",
        _ => "Not among the people and groups that are read, and not in the organization.",
    }
}

fn of_explanation(explanation: &Explanation) -> Overview {
    let kind = match explanation.subject {
        SubjectKind::Person => "person",
        SubjectKind::Group => "group",
    };
    let mut facts = vec![words::with_times(&explanation.verdict.text)];
    facts.extend(explanation.basis.map(|basis| words::basis(basis).to_owned()));
    let mut overview = Overview {
        title: format!("{} ({kind}), {}", explanation.who, words::minute(&explanation.created_at)),
        ..Overview::default()
    };
    for directory in &explanation.directories {
        if directory.entries.is_empty() {
            facts.push(not_in(directory));
        }
        directory.entries.iter().for_each(|entry| add_entry(&mut overview, directory, entry, explanation));
    }
    overview.facts = facts;
    overview
}

fn not_in(InDirectory { directory, place, people_read, groups_read, .. }: &InDirectory) -> String {
    let place = place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    format!(
        "Not in the directory {directory}{place}: looked among {} and {}.",
        counted(*people_read, "person", "people"),
        counted(*groups_read, "group", "groups")
    )
}

fn add_entry(overview: &mut Overview, directory: &InDirectory, entry: &InEntry, explanation: &Explanation) {
    let tone = match explanation.verdict.code {
        VerdictCode::Held | VerdictCode::Refused => Tone::Danger,
        VerdictCode::LeftOut | VerdictCode::ServerRule | VerdictCode::Kept | VerdictCode::Waits => {
            Tone::Caution
        }
        _ => Tone::Good,
    };
    let steps = entry.steps.iter().map(|step| {
        vec![step_word(step.step).to_owned(), effect_word(step.effect).to_owned(), step.text.clone()]
    });
    let title = format!("Steps in {}", directory.directory);
    overview
        .add(Section::new(title, tone, &["Step", "Effect", "Why"]).led(lead(directory, entry)).rows(steps));
    let memberships = entry.memberships.iter().map(|membership| {
        vec![
            membership.group.clone(),
            state_word(membership.state).to_owned(),
            membership.path.join(" > "),
            membership.text.clone(),
        ]
    });
    let columns = &["Group", "Imported", "Path", "Why"];
    overview.add(
        Section::new(format!("Groups in {}", directory.directory), Tone::Good, columns).rows(memberships),
    );
}

fn lead(directory: &InDirectory, entry: &InEntry) -> String {
    let mut parts: Vec<String> = entry.name.iter().cloned().collect();
    parts.push(format!("external id {}", entry.external_id));
    parts.extend(entry.found_as.clone());
    parts.extend(entry.status.map(|status| {
        match status {
            Status::Active => "active",
            Status::Disabled => "disabled",
            Status::Deleted => "deleted",
        }
        .to_owned()
    }));
    parts.extend(entry.member_count.map(|count| counted(count, "member", "members")));
    parts.extend(directory.place.iter().map(|place| format!("found in {place}")));
    parts.join(", ")
}

fn step_word(step: StepName) -> &'static str {
    match step {
        StepName::Read => "search",
        StepName::Status => "status",
        StepName::GroupsToKeep => "group filter",
        StepName::Merge => "merge",
        StepName::Stage(stage) => match stage {
            Stage::LeaversAddress => "address of a leaver",
            Stage::UserFilter => "user filter",
            Stage::GroupFilter => "group filter",
            Stage::Email => "address",
            Stage::Leavers => "leavers",
            Stage::ExternalIds => "external id",
            Stage::Addresses => "duplicates",
            Stage::Validate => "server's rules",
        },
    }
}

fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Passed => "passed",
        Effect::Changed => "changed",
        Effect::LeftOut => "left out",
    }
}

fn state_word(state: MembershipState) -> &'static str {
    match state {
        MembershipState::Imported => "yes",
        _ => "no",
    }
}

/// An attribute, as the directory has it, by which an account is disabled or deleted.
fn counting(mark: &str, status: Option<Status>) -> String {
    let word = if status == Some(Status::Deleted) { "deleted" } else { "disabled" };
    match mark.split_once('=') {
        Some((name, value)) => format!("{name} is \"{value}\" in the directory, which counts as {word}"),
        None => format!("{mark}, which counts as {word}"),
    }
}

/// Status of the entry with the id of one that a directory was asked for.
fn status_of(explanation: Option<&Explanation>, sighting: &Sighting) -> Option<Status> {
    let id = sighting.id.as_ref()?;
    let mut entries = explanation?.directories.iter().flat_map(|directory| &directory.entries);
    entries.find(|entry| entry.external_id == id.as_str()).and_then(|entry| entry.status)
}

fn add_sighting(overview: &mut Overview, sighting: &Sighting, of: &str, status: Option<Status>) {
    let rows = sighting.attributes.iter().filter(|attribute| !attribute.values.is_empty());
    let rows = rows.map(|attribute| vec![attribute.name.clone(), attribute.values.join(", ")]);
    let marks =
        sighting.disabled_by.iter().map(|mark| vec!["account state".to_owned(), counting(mark, status)]);
    overview.add(
        Section::new(format!("Attributes{of}"), Tone::Good, &["Attribute", "Value"])
            .led(sighting.at.clone())
            .rows(rows.chain(marks)),
    );
    let clauses = sighting.clauses.iter().map(|check| {
        let outcome = match check.outcome {
            ClauseOutcome::Matches => "matches",
            ClauseOutcome::Fails => "does not match",
        };
        vec![check.setting.to_owned(), check.clause.clone(), outcome.to_owned()]
    });
    overview.add(
        Section::new(format!("Searches{of}"), Tone::Good, &["Setting", "Part", "Outcome"]).rows(clauses),
    );
}

fn add_organization(overview: &mut Overview, explanation: &Explanation) {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let sent = explanation.sent.iter().map(|sent| {
        let seen = sent.ids.iter().map(|seen| format!("{} until {}", seen.id, words::minute(&seen.last)));
        vec![
            sent.email.clone(),
            sent.external_id.clone(),
            words::with_times(&sent.standing),
            sent.groups.join(", "),
            seen.collect::<Vec<_>>().join(", "),
        ]
    });
    let columns = &["Address", "External id", "Standing", "Groups", "Seen in the directory"];
    overview.add(Section::new("Imported so far", Tone::Good, columns).rows(sent));
    let sent = explanation.sent_groups.iter().map(|group| {
        vec![group.name.clone(), group.external_id.clone(), counted(group.members, "member", "members")]
    });
    overview.add(
        Section::new("Group imported so far", Tone::Good, &["Group", "External id", "Members"]).rows(sent),
    );
    let members = explanation.members.iter().map(|member| {
        vec![
            member.email.clone(),
            optional(&member.member_id),
            optional(&member.external_id),
            member.status.map_or(NOT_KNOWN, words::status).to_owned(),
            member.role.map_or(NOT_KNOWN.to_owned(), |role| words::word(&role)),
            member.groups.join(", "),
            if member.protected { "sync.protect".to_owned() } else { String::new() },
        ]
    });
    let columns = &["Address", "Member id", "External id", "Status", "Role", "Groups", "Protected by"];
    let place = match explanation.basis {
        Some(Basis::Live) => "In the organization",
        Some(Basis::Ledger) | None => "In the organization, by earlier imports",
    };
    overview.add(Section::new(place, Tone::Good, columns).rows(members));
    let groups = explanation.groups.iter().map(|group| {
        let members = group.members.map(|count| counted(count, "member", "members"));
        vec![
            group.name.clone(),
            optional(&group.group_id),
            optional(&group.external_id),
            members.unwrap_or_default(),
        ]
    });
    let columns = &["Group", "Group id", "External id", "Members"];
    overview.add(Section::new("Group in the organization", Tone::Good, columns).rows(groups));
    add_next(overview, &explanation.next);
}

fn add_next(overview: &mut Overview, next: &Next) {
    let people =
        next.members.iter().map(|member| vec![member.email.clone(), words::with_times(&member.text)]);
    let memberships = next.memberships.iter().map(|change| vec![change.group.clone(), change.text.clone()]);
    let groups = next.groups.iter().map(|group| vec![group.name.clone(), group.text.clone()]);
    let refused =
        next.refused.iter().map(|why| vec!["everything".to_owned(), format!("nothing is sent: {why}")]);
    let is_held = next.members.iter().any(|member| member.held) || !next.refused.is_empty();
    let tone = if is_held { Tone::Danger } else { Tone::Good };
    let rows = refused.chain(people).chain(memberships).chain(groups);
    overview.add(Section::new("Next sync", tone, &["About", "What"]).rows(rows));
    overview.add(plan::warnings(&next.warnings));
}

/// Since when the address of somebody is another one, as far as the history says.
fn former_words(Former { address, last, since, now, .. }: &Former) -> String {
    let time = |time: &Timestamp| words::minute(&time.to_string());
    let now = now.as_ref().map(|now| format!(": it is {now} now")).unwrap_or_default();
    let former = format!("{address} is a former address{now}");
    let run = format!("the run {} at {}", last.run, time(&last.at));
    match since {
        Some(since) if *since == last.at => format!("{former}. It was given up with {run}."),
        Some(since) => {
            format!(
                "{former}. It was last known to {run}; since {} at the latest it is another.",
                time(since)
            )
        }
        None => format!("{former}. It was last known to {run}; it is another since."),
    }
}

/// What the latest run about somebody has sent, where the server does not say what became of it.
fn last_sent(runs: &[RunAbout]) -> Option<String> {
    let is_sent = |entry: &&Entry| matches!(made(entry), Made::Yes | Made::Unclear);
    let what = |entry: &Entry| match entry_words(entry) {
        (what, Made::Unclear) => format!("{what}, which the server did not confirm"),
        (what, _) => what,
    };
    let sent = |RunAbout { head, entries }: &RunAbout| {
        let all: Vec<String> = entries.iter().filter(is_sent).map(what).collect();
        let time = words::minute(&head.at.to_string());
        (!all.is_empty()).then(|| format!("Last sent at {time} by the run {}: {}.", head.run, all.join("; ")))
    };
    runs.iter().find_map(sent)
}

fn made(entry: &Entry) -> Made {
    match entry {
        Entry::Member(entry) => entry.made,
        Entry::Group(entry) => entry.made,
    }
}

fn run_rows(RunAbout { head, entries }: &RunAbout) -> Vec<Vec<String>> {
    let row = |(what, made): (String, Made)| {
        vec![words::minute(&head.at.to_string()), head.run.clone(), what, words::made(made).to_owned()]
    };
    entries.iter().map(|entry| row(entry_words(entry))).collect()
}

fn entry_words(entry: &Entry) -> (String, Made) {
    match entry {
        Entry::Member(MemberEntry { action, cause, made, before, after, .. }) => {
            let email = after.as_ref().or(before.as_ref()).map(|state| state.email.clone());
            let what = format!("{}: {}", words::action(*action), words::cause_of(*action, *cause));
            (format!("{} {what}", email.unwrap_or_default()), *made)
        }
        Entry::Group(GroupEntry { action, made, before, after, join, leave, .. }) => {
            let name = after.as_ref().or(before.as_ref()).map(|state| state.name.clone()).unwrap_or_default();
            let people = |members: &[GroupMember]| {
                members.iter().map(|member| &*member.email).take(5).collect::<Vec<_>>().join(", ")
            };
            let moves = [("join", join), ("leave", leave)];
            let moves = moves.iter().filter(|(_, members)| !members.is_empty());
            let moves: Vec<String> = moves
                .map(|(way, members)| format!("{} {way} ({})", members.len(), people(members)))
                .collect();
            (format!("group {name}, {}: {}", words::group_action(*action), moves.join("; ")), *made)
        }
    }
}
