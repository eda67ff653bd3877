//! What earlier runs did, laid out.

use std::fmt::Display;

use bwdc_core::organization::changes::{Action, GroupAction, Way};
use bwdc_core::organization::limits::Deed;
use bwdc_core::organization::record::{
    GroupEntry, GroupMember, GroupState, Made, MemberEntry, MemberState, RunRecord, StatusWord,
};
use bwdc_core::organization::roster::Basis;
use bwdc_store::history::{Entry, Head, KeptRun, Sought};

use super::words::{self, counted};
use super::{Overview, Section, Tone, plan};

/// Actions on people, the most dangerous first.
const ACTIONS: [Action; 7] = [
    Action::Remove,
    Action::Revoke,
    Action::Restore,
    Action::Invite,
    Action::Stage,
    Action::Adopt,
    Action::Relink,
];

impl Overview {
    /// Runs, the latest first.
    pub(crate) fn of_runs(heads: &[Head]) -> Self {
        if heads.is_empty() {
            return Self::sentence(
                "No runs are kept. Those that change something, are held back or fail are kept from now on.",
            );
        }
        let columns = &["Run", "Began", "By", "Result", "Changes"];
        let rows = heads.iter().map(|head| {
            vec![
                head.run.clone(),
                words::local(head.at),
                head.by.known().unwrap_or_default().to_owned(),
                head.result.word().to_owned(),
                head.changes(),
            ]
        });
        let mut overview = Self::sentence("History, the latest run first");
        overview.add(Section::new("Runs", Tone::Good, columns).rows(rows));
        overview.facts.push("One of them: bwdc history show RUN.".to_owned());
        overview
    }

    /// What is known of somebody or a group. `entries` are those that are about it.
    pub(crate) fn about(who: &str, sought: &Sought, runs: &[(Head, Vec<Entry>)]) -> Self {
        let mut overview = Self::sentence(&format!("Changes to {who}, the latest first"));
        let columns = &["Began", "Run", "Change", "Cause", "Before", "After", "Made"];
        let rows = runs.iter().flat_map(|(head, entries)| {
            let rows = entries.iter().flat_map(|entry| event(head, entry, sought));
            rows.map(|row| [vec![words::local(head.at), head.run.clone()], row.into()].concat())
                .collect::<Vec<_>>()
        });
        overview.add(Section::new("Changes", Tone::Good, columns).rows(rows));
        if overview.sections.is_empty() {
            return Self::sentence(&format!("No run that is kept was about {who}."));
        }
        overview
    }
}

impl From<&KeptRun> for Overview {
    fn from(KeptRun { head, record }: &KeptRun) -> Self {
        let mut overview = Self::sentence(&format!("Run {}: {}", head.run, head.result.word()));
        overview.facts = facts(head);
        let Some(record) = record else { return overview };
        for (made, title) in [(Made::Held, "Held back"), (Made::Unclear, "Unclear"), (Made::No, "Not made")] {
            rest(record, made, title, &mut overview);
        }
        let (losses, rest) = ACTIONS.split_at(2);
        losses.iter().for_each(|action| overview.add(people(record, *action)));
        overview.add(memberships(record, Way::Leave));
        overview.add(groups_ended(record));
        rest.iter().for_each(|action| overview.add(people(record, *action)));
        overview.add(memberships(record, Way::Join));
        overview.add(groups_changed(record));
        overview.totals = plan::totals_of(&head.counts.made);
        overview
    }
}

fn facts(head: &Head) -> Vec<String> {
    let duration = head.duration_seconds.map(|seconds| format!(", took {seconds:.1} s")).unwrap_or_default();
    let exit = head.exit.map(|exit| format!(", exit {exit}")).unwrap_or_default();
    let command = head.command.word();
    let began = words::local(head.at);
    let by = head.by.known().map(|by| format!(" by {by}")).unwrap_or_default();
    let mut facts = vec![format!("bwdc {command}{by}, began {began}{duration}{exit}.")];
    facts.extend(head.undoes.iter().map(|run| format!("An undo of the run {run}.")));
    if let Some(target) = &head.target {
        facts.push(format!("Organization {} on {}.", target.organization, target.server));
        if target.basis == Basis::Ledger {
            facts.push(words::basis(target.basis).to_owned());
        }
    }
    let sentences = head.message.lines().chain(head.hint.iter().flat_map(|hint| hint.lines()));
    facts.extend(sentences.filter(|line| !line.trim().is_empty()).map(str::to_owned));
    facts
}

fn people(record: &RunRecord, action: Action) -> Section {
    let (title, tone) = words::people(action);
    let made = record.members.iter().filter(|entry| entry.made == Made::Yes && entry.action == action);
    let rows = made.map(|entry| {
        let cause = words::cause_of(action, entry.cause).to_owned();
        let [before, after] = states(entry, record.basis);
        vec![address(entry), cause, ids(entry), before, after]
    });
    Section::new(title, tone, &["Address", "Cause", "External id", "Before", "After"]).rows(rows)
}

/// Changes that were not made, or of which nobody knows.
fn rest(record: &RunRecord, made: Made, title: &str, overview: &mut Overview) {
    let section = |of: &str, columns| Section::new(format!("{title}: {of}"), Tone::Danger, columns);
    let members = record.members.iter().filter(|entry| entry.made == made).map(|entry| {
        let action = words::action(entry.action).to_owned();
        let [before, after] = states(entry, record.basis);
        let cause = words::cause_of(entry.action, entry.cause).to_owned();
        vec![address(entry), action, cause, ids(entry), before, after]
    });
    let columns = &["Address", "Action", "Cause", "External id", "Before", "After"];
    overview.add(section("people", columns).rows(members));
    let columns = &["Group", "Action", "Cause", "External id"];
    let groups = record.groups.iter().filter(|entry| entry.made == made).map(|entry| {
        let action = words::group_action(entry.action).to_owned();
        let cause = words::cause_of_group(entry.action, entry.cause).to_owned();
        vec![name(entry), action, cause, external_id(entry)]
    });
    overview.add(section("groups", columns).rows(groups));
    let columns = &["Group", "Address", "Action"];
    let edges = record.groups.iter().flat_map(|entry| {
        let rows = |members: &[GroupMember], action: &str| -> Vec<Vec<String>> {
            members
                .iter()
                .map(|member| vec![name(entry), member.email.to_string(), action.to_owned()])
                .collect()
        };
        let (join, leave) = match (made, entry.made == made) {
            (Made::Held, _) => (&entry.held_join[..], &entry.held_leave[..]),
            (_, true) => (&entry.join[..], &entry.leave[..]),
            (_, false) => (&[][..], &[][..]),
        };
        [rows(leave, "leave"), rows(join, "join")].concat()
    });
    overview.add(section("memberships", columns).rows(edges));
}

fn made(record: &RunRecord) -> impl Iterator<Item = &GroupEntry> {
    record.groups.iter().filter(|entry| entry.made == Made::Yes)
}

fn memberships(record: &RunRecord, way: Way) -> Section {
    let (title, tone) = match way {
        Way::Join => ("Memberships gained", Tone::Good),
        Way::Leave => ("Memberships lost", Tone::Danger),
    };
    let rows = made(record).flat_map(|entry| {
        let cause = words::cause_of_membership(way, entry.cause).to_owned();
        let list = match way {
            Way::Join => &entry.join,
            Way::Leave => &entry.leave,
        };
        list.iter()
            .map(|member| vec![name(entry), member.email.to_string(), cause.clone()])
            .collect::<Vec<_>>()
    });
    Section::new(title, tone, &["Group", "Address", "Cause"]).rows(rows)
}

fn groups_ended(record: &RunRecord) -> Section {
    let ended = made(record).filter(|entry| entry.action.is_end());
    Section::new("Groups deleted or emptied", Tone::Danger, GROUPS).rows(ended.map(group_row))
}

fn groups_changed(record: &RunRecord) -> Section {
    let changed = made(record).filter(|entry| !entry.action.is_end());
    Section::new("Groups created or changed", Tone::Good, GROUPS).rows(changed.map(group_row))
}

const GROUPS: &[&str] = &["Group", "Action", "Cause", "External id", "Before", "After"];

fn group_row(entry: &GroupEntry) -> Vec<String> {
    let action = words::group_action(entry.action).to_owned();
    let cause = words::cause_of_group(entry.action, entry.cause).to_owned();
    let [before, after] = group_states(entry);
    vec![name(entry), action, cause, external_id(entry), before, after]
}

/// Rows of a change for somebody or a group: what, why, before, after, made.
fn event(head: &Head, entry: &Entry, sought: &Sought) -> Vec<[String; 5]> {
    let basis = head.target.as_ref().map_or(Basis::Live, |target| target.basis);
    match entry {
        Entry::Member(entry) => {
            let [before, after] = states(entry, basis);
            let what = format!("{} {}", words::action(entry.action), address(entry));
            let cause = words::cause_of(entry.action, entry.cause).to_owned();
            vec![[what, cause, before, after, words::made(entry.made).to_owned()]]
        }
        Entry::Group(entry) if sought.is_group(entry) => {
            let [before, after] = group_states(entry);
            let what = format!("{} {}", words::group_action(entry.action), name(entry));
            vec![[
                what,
                words::cause_of_group(entry.action, entry.cause).to_owned(),
                before,
                after,
                words::made(entry.made).to_owned(),
            ]]
        }
        Entry::Group(entry) => edges(entry, sought),
    }
}

/// Memberships of somebody in a group that came or went.
fn edges(entry: &GroupEntry, sought: &Sought) -> Vec<[String; 5]> {
    let lists = [
        (&entry.leave, Way::Leave, entry.made),
        (&entry.join, Way::Join, entry.made),
        (&entry.held_leave, Way::Leave, Made::Held),
        (&entry.held_join, Way::Join, Made::Held),
    ];
    let is_about = |members: &[GroupMember]| members.iter().any(|member| sought.is_member(member));
    let about = lists.into_iter().filter(|(members, ..)| is_about(members));
    let row = |(_, way, made): (_, Way, Made)| {
        let cause = words::cause_of_membership(way, entry.cause).to_owned();
        let none = String::new;
        let what = format!("{} {}", words::deed(Deed::Membership(way)), name(entry));
        [what, cause, none(), none(), words::made(made).to_owned()]
    };
    about.map(row).collect()
}

fn address(entry: &MemberEntry) -> String {
    let state = entry.after.as_ref().or(entry.before.as_ref());
    state.map(|state| state.email.to_string()).unwrap_or_default()
}

/// The external id, or both where it changes.
fn ids(MemberEntry { before, after, .. }: &MemberEntry) -> String {
    let id = |state: &Option<MemberState>| state.as_ref().and_then(|state| state.external_id.clone());
    changed(id(before), id(after))
}

fn changed<T: Display + PartialEq>(before: Option<T>, after: Option<T>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
        (before, after) => after.or(before).map(|text| text.to_string()).unwrap_or_default(),
    }
}

fn states(entry: &MemberEntry, basis: Basis) -> [String; 2] {
    let text = |state: &Option<MemberState>| state.as_ref().map(|state| state_text(state, basis));
    [text(&entry.before).unwrap_or_default(), text(&entry.after).unwrap_or_default()]
}

/// Status, role if it is a special one, and groups. The ledger knows only who is revoked.
fn state_text(MemberState { status, role, groups, .. }: &MemberState, basis: Basis) -> String {
    let status = match (basis, status) {
        (Basis::Ledger, StatusWord::Revoked) | (Basis::Live, _) => words::status(*status),
        (Basis::Ledger, _) => "member",
    };
    let names: Vec<&str> = groups.values().map(String::as_str).collect();
    let names = (!names.is_empty()).then(|| format!("in {}", names.join(", ")));
    let parts = [Some(status.to_owned()), words::role(*role).map(str::to_owned), names];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn name(GroupEntry { before, after, .. }: &GroupEntry) -> String {
    after.as_ref().or(before.as_ref()).map(|state| state.name.clone()).unwrap_or_default()
}

fn external_id(GroupEntry { before, after, .. }: &GroupEntry) -> String {
    let id = |state: &Option<GroupState>| state.as_ref().map(|state| state.external_id.clone());
    changed(id(before), id(after))
}

/// Number of members, with the name where it changes.
fn group_states(entry: &GroupEntry) -> [String; 2] {
    let text = |state: &Option<GroupState>| {
        let Some(GroupState { name, members, .. }) = state else { return String::new() };
        let members = counted(*members, "member", "members");
        match entry.action {
            GroupAction::Rename => format!("{name}, {members}"),
            _ if entry.is_renamed() => format!("{name}, {members}"),
            _ => members,
        }
    };
    [text(&entry.before), text(&entry.after)]
}
