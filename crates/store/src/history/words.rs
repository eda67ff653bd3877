//! A run in a line.

use bwdc_core::organization::record::Counts;
use bwdc_core::text::counted;

use super::{Head, RunCommand};

impl Head {
    /// Changes of the run in a line; the end of its message where there are none.
    pub fn changes(&self) -> String {
        changes(self)
    }
}

fn changes(head: &Head) -> String {
    let told = brief(&head.counts);
    let what = match (told.is_empty(), head.result.is_success()) {
        (false, _) => told,
        (true, true) => "none".to_owned(),
        (true, false) => head.message.lines().next().unwrap_or_default().to_owned(),
    };
    match &head.undoes {
        Some(run) => format!("undo of {run}: {what}"),
        None if head.command == RunCommand::Sync => what,
        None => format!("{}: {what}", head.command.word()),
    }
}

fn brief(Counts { made, unclear, not_made }: &Counts) -> String {
    let people = [
        (made.remove, "removed"),
        (made.revoke, "revoked"),
        (made.restore, "restored"),
        (made.invite, "invited"),
        (made.stage, "added without an invitation"),
        (made.adopt, "given an external id"),
        (made.relink, "given another external id"),
    ];
    let groups = [
        (made.groups_deleted, "deleted"),
        (made.groups_emptied, "emptied"),
        (made.groups_created, "created"),
        (made.groups_renamed, "renamed"),
        (made.groups_updated, "updated"),
    ];
    let memberships = [(made.leave, "lost"), (made.join, "gained")];
    let rest = [(made.held, "held back"), (*unclear, "unclear"), (*not_made, "not made")];
    let people = people.iter().map(|(number, what)| (*number, format!("{number} {what}")));
    let of = |(number, what): &(usize, &str), one, several| {
        (*number, format!("{} {what}", counted(*number, one, several)))
    };
    let groups = groups.iter().map(|count| of(count, "group", "groups"));
    let memberships = memberships.iter().map(|count| of(count, "membership", "memberships"));
    let rest = rest.iter().map(|(number, what)| (*number, format!("{number} {what}")));
    let told = people.chain(groups).chain(memberships).chain(rest).filter(|(number, _)| *number > 0);
    told.map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}
