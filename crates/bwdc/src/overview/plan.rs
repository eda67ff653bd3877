//! A plan, laid out.

use std::collections::HashSet;

use bwdc_core::organization::changes::{Action, Cause, Code, GroupAction, Summary, Warning, Way};
use bwdc_core::organization::document::{Document, Group, Limit, Member, SeatsTotal};

use super::words::{self, counted};
use super::{Overview, Section, Tone};

const PEOPLE: &[&str] = &["Address", "Cause", "External id"];
const MEMBERSHIPS: &[&str] = &["Group", "Address", "Cause"];

impl From<&Document> for Overview {
    fn from(plan: &Document) -> Self {
        let mut overview = Self { title: title(plan), facts: facts(plan), ..Self::default() };
        held(plan, &mut overview);
        overview.add(people(plan, Action::Remove));
        overview.add(people(plan, Action::Revoke));
        overview.add(memberships_lost(plan));
        overview.add(groups_ended(plan));
        overview.add(missing(plan));
        overview.add(people(plan, Action::Restore));
        overview.add(people(plan, Action::Invite));
        overview.add(people(plan, Action::Stage));
        overview.add(people(plan, Action::Adopt));
        overview.add(people(plan, Action::Relink));
        overview.add(memberships_gained(plan));
        overview.add(groups_created(plan));
        overview.add(groups_renamed(plan));
        overview.add(groups_updated(plan));
        overview.add(warnings(&plan.warnings));
        overview.totals = totals(plan);
        overview
    }
}

fn title(plan: &Document) -> String {
    let organization = &plan.organization;
    format!("Plan for organization {} on {}", organization.id, organization.server)
}

fn facts(plan: &Document) -> Vec<String> {
    let read = match plan.coverage.as_str() {
        "full" => "The directory was read completely.",
        _ => "Only changes were read from the directory.",
    };
    let times = format!("Made {}, expires {}.", words::time(&plan.created_at), words::time(&plan.expires_at));
    let mut facts = vec![format!("{} {read}", words::basis(plan.basis)), times];
    if plan.members.is_empty() && plan.groups.is_empty() {
        facts.push("Nothing to do.".to_owned());
    }
    facts
}

fn held(plan: &Document, overview: &mut Overview) {
    let tripped = plan.limits.iter().filter(|limit| limit.tripped);
    let row = |Limit { limit, allowed, wanted, .. }: &Limit| {
        vec![words::setting(*limit).to_owned(), words::exceeded(*limit, *allowed, *wanted)]
    };
    let limits = Section::new("Limits exceeded", Tone::Danger, &["Limit", "Reason"])
        .led("Changes that count towards them are held back. `bwdc approve` lets them through.");
    overview.add(limits.rows(tripped.map(row)));
    let columns = &["Address", "Action", "Cause", "External id"];
    let people = plan.members.iter().filter(|member| member.held).map(|member| {
        let action = words::action(member.action).to_owned();
        vec![member.email.clone(), action, why(member), external_id(member)]
    });
    overview.add(Section::new("Held back: people", Tone::Danger, columns).rows(people));
    let columns = &["Group", "Action", "Cause", "External id"];
    let groups = plan.groups.iter().filter_map(held_group);
    overview.add(Section::new("Held back: groups", Tone::Danger, columns).rows(groups));
    let columns = &["Group", "Address", "Action"];
    let memberships = plan.groups.iter().flat_map(|group| {
        let joins = group.join.iter().filter(|_| group.held).map(|id| (id, "join"));
        let leaves = group.held_leave.iter().map(|id| (id, "leave"));
        let row =
            |(id, action): (&String, &str)| vec![group.name.clone(), address(plan, id), action.to_owned()];
        joins.chain(leaves).map(row)
    });
    overview.add(Section::new("Held back: memberships", Tone::Danger, columns).rows(memberships));
}

/// A group of which more is held back than memberships.
fn held_group(group: &Group) -> Option<Vec<String>> {
    let action = match (&group.held_name, group.action) {
        (Some(name), _) => format!("rename to {name}"),
        (None, GroupAction::Update) => return None,
        (None, action) => words::group_action(action).to_owned(),
    };
    let is_held = group.held || group.held_name.is_some();
    is_held.then(|| vec![group.name.clone(), action, reason(group), group.external_id.clone()])
}

fn people(plan: &Document, action: Action) -> Section {
    let (title, tone) = words::people(action);
    let people = plan.members.iter().filter(|member| !member.held && member.action == action);
    let rows = people.map(|member| vec![member.email.clone(), why(member), external_id(member)]);
    Section::new(title, tone, PEOPLE).rows(rows)
}

fn external_id(member: &Member) -> String {
    member.external_id.clone().unwrap_or_default()
}

fn why(member: &Member) -> String {
    words::cause_of(member.action, member.cause).to_owned()
}

fn reason(group: &Group) -> String {
    words::cause_of_group(group.action, group.cause).to_owned()
}

/// The address of somebody whom a group names by an id, or the id.
fn address(plan: &Document, id: &str) -> String {
    plan.addresses.get(id).cloned().unwrap_or_else(|| id.to_owned())
}

fn free(plan: &Document) -> impl Iterator<Item = &Group> {
    plan.groups.iter().filter(|group| !group.held)
}

fn memberships(plan: &Document, way: Way) -> impl Iterator<Item = Vec<String>> {
    let missing: HashSet<&str> =
        plan.missing.iter().filter_map(|person| person.external_id.as_deref()).collect();
    let cause = move |group: &Group, id: &str| match group.cause {
        _ if group.action.is_end() => reason(group),
        Cause::New if missing.contains(id) => words::cause_of_membership(way, Cause::Missing).to_owned(),
        cause => words::cause_of_membership(way, cause).to_owned(),
    };
    free(plan).flat_map(move |group| {
        let list = match way {
            Way::Join => &group.join,
            Way::Leave => &group.leave,
        };
        let row = |id: &String| vec![group.name.clone(), address(plan, id), cause(group, id)];
        list.iter().map(row).collect::<Vec<_>>()
    })
}

fn memberships_lost(plan: &Document) -> Section {
    Section::new("Memberships lost", Tone::Danger, MEMBERSHIPS).rows(memberships(plan, Way::Leave))
}

fn memberships_gained(plan: &Document) -> Section {
    Section::new("Memberships gained", Tone::Good, MEMBERSHIPS).rows(memberships(plan, Way::Join))
}

/// People who stay although the directory does not have them any more.
fn missing(plan: &Document) -> Section {
    let rows = plan
        .missing
        .iter()
        .map(|person| vec![person.email.clone(), person.external_id.clone().unwrap_or_default()]);
    Section::new("Members no longer in the directory", Tone::Caution, &["Address", "External id"])
        .led("They stay in the organization, since sync.removeMissing is off, but leave the directory's groups.")
        .rows(rows)
}

fn groups_ended(plan: &Document) -> Section {
    let ended = free(plan).filter(|group| matches!(group.action, GroupAction::Empty | GroupAction::Delete));
    let rows = ended.map(|group| {
        let action = words::group_action(group.action).to_owned();
        let members = counted(group.leave.len(), "member", "members");
        vec![group.name.clone(), action, members, group.external_id.clone()]
    });
    let columns = &["Group", "Action", "Members", "External id"];
    Section::new("Groups deleted or emptied", Tone::Danger, columns).rows(rows)
}

fn groups_created(plan: &Document) -> Section {
    let created = free(plan).filter(|group| group.action == GroupAction::Create);
    let rows = created.map(|group| vec![group.name.clone(), reason(group), group.external_id.clone()]);
    Section::new("Groups created", Tone::Good, &["Group", "Cause", "External id"]).rows(rows)
}

fn groups_renamed(plan: &Document) -> Section {
    let rows = free(plan).filter_map(|group| {
        let from = group.renamed_from.clone()?;
        Some(vec![from, group.name.clone(), reason(group), group.external_id.clone()])
    });
    let columns = &["From", "To", "Cause", "External id"];
    Section::new("Groups renamed", Tone::Caution, columns).rows(rows)
}

/// Groups that change in nothing that another section tells.
fn groups_updated(plan: &Document) -> Section {
    let is_told =
        |group: &Group| !group.join.is_empty() || !group.leave.is_empty() || group.renamed_from.is_some();
    let updated = free(plan).filter(|group| group.action == GroupAction::Update && !is_told(group));
    let rows = updated.map(|group| vec![group.name.clone(), reason(group), group.external_id.clone()]);
    Section::new("Groups updated", Tone::Caution, &["Group", "Cause", "External id"]).rows(rows)
}

/// Warnings in the order of their codes. Mails are among the totals.
pub(super) fn warnings(warnings: &[Warning]) -> Section {
    let mut warnings: Vec<&Warning> =
        warnings.iter().filter(|warning| warning.code != Code::MailsSent).collect();
    warnings.sort_by_key(|warning| warning.code);
    let rows = warnings.into_iter().map(|warning| vec![words::word(&warning.code), warning.text.clone()]);
    Section::new("Warnings", Tone::Caution, &["Code", "Warning"]).rows(rows)
}

fn totals(plan: &Document) -> Vec<[String; 2]> {
    let mails = plan.warnings.iter().find(|warning| warning.code == Code::MailsSent);
    let mails = mails.map_or_else(|| "none".to_owned(), |warning| warning.text.clone());
    let rest = [("Seats", seats(&plan.summary.seats)), ("Mails", mails)];
    totals_of(&plan.summary.counts).into_iter().chain(rest.map(total)).collect()
}

/// Changes in numbers.
pub(super) fn totals_of(sum: &Summary) -> Vec<[String; 2]> {
    let people = listed(&[
        (sum.remove, "removed"),
        (sum.revoke, "revoked"),
        (sum.restore, "restored"),
        (sum.invite, "invited"),
        (sum.stage, "added without an invitation"),
        (sum.adopt, "given an external id"),
        (sum.relink, "given another external id"),
        (sum.unchanged, "unchanged"),
    ]);
    let groups = listed(&[
        (sum.groups_deleted, "deleted"),
        (sum.groups_emptied, "emptied"),
        (sum.groups_created, "created"),
        (sum.groups_renamed, "renamed"),
        (sum.groups_updated, "updated"),
    ]);
    let memberships = listed(&[(sum.leave, "lost"), (sum.join, "gained")]);
    let held = if sum.held == 0 { "nothing".to_owned() } else { counted(sum.held, "change", "changes") };
    [("People", people), ("Groups", groups), ("Memberships", memberships), ("Held back", held)]
        .map(total)
        .into()
}

fn total((of, number): (&str, String)) -> [String; 2] {
    [of.to_owned(), number]
}

fn listed(counts: &[(usize, &str)]) -> String {
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if told.is_empty() { "unchanged".to_owned() } else { told.join(", ") }
}

fn seats(SeatsTotal { in_use, needed, available }: &SeatsTotal) -> String {
    let total = available.map(|available| format!(", {available} in total")).unwrap_or_default();
    format!("{in_use} in use, {needed} more needed{total}")
}
