//! `bwdc test`

use bwdc_core::Prepared;
use bwdc_core::entry::Status;
use bwdc_core::note::by_cause;
use bwdc_core::prepare::Person;
use clap::Args;
use serde_json::{Value, json};

use super::sync::RemovalArguments;
use crate::collate::Collation;
use crate::error::Result;
use crate::run::{self, Context, Rehearsal};
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only what changed since the last sync.
    #[arg(short, long)]
    last: bool,
    #[command(flatten)]
    removals: RemovalArguments,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Answer> {
    let what = if arguments.last { Rehearsal::SinceLastSync } else { Rehearsal::Everything };
    let prepared = run::rehearse(context, what, arguments.removals.into()).await?;
    ui::notes(&by_cause(&prepared.notes), context.style);
    Ok(Answer::Object(listing(&prepared)))
}

/// The JSON of the existing connector, keys in its order, lists by display name.
pub(super) fn listing(prepared: &Prepared) -> Value {
    let collation = Collation::new();
    let groups = prepared.groups.iter().map(|group| {
        let members: Vec<&str> = group.members.iter().map(|id| id.as_str()).collect();
        let value = json!({ "externalId": group.external_id, "displayName": group.name, "userIds": members });
        (group.name.as_str(), value)
    });
    let people = |status: Status| {
        let people = prepared.people.iter().filter(move |person| person.status == status);
        collation.sorted(people.map(|person| (display_name(person), person_value(person))).collect())
    };
    json!({
        "groups": collation.sorted(groups.collect()),
        "enabledUsers": people(Status::Active),
        "disabledUsers": people(Status::Disabled),
        "deletedUsers": people(Status::Deleted),
        "object": "test",
    })
}

fn person_value(person: &Person) -> Value {
    json!({ "externalId": person.external_id, "displayName": display_name(person) })
}

fn display_name(person: &Person) -> &str {
    person.email.as_ref().map_or(person.external_id.as_str(), |email| email.as_str())
}
