//! `bwdc test`

use bwdc_core::Prepared;
use bwdc_core::entry::Status;
use bwdc_core::note::by_cause;
use bwdc_core::prepare::Person;
use clap::Args;
use serde_json::{Value, json};

use super::several;
use super::sync::RemovalArguments;
use super::which::{Jobs, Which, Wish};
use crate::collate::Collation;
use crate::ui::{self, Answer, Style};
use bwdc_core::error::{Exit, Result};
use bwdc_sync::ReadPurpose;
use bwdc_sync::{Report, Reportable as _};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// Only what changed since the last sync.
    #[arg(short, long)]
    last: bool,
    #[command(flatten)]
    removals: RemovalArguments,
}

pub(super) async fn run(invocation: &super::Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let what = if arguments.last { ReadPurpose::SinceLastSync } else { ReadPurpose::Everything };
    let removals = arguments.removals.allowed;
    match arguments.which.jobs(invocation, Wish::Test)? {
        Jobs::One(job) => {
            let prepared = match job.rehearse(what, removals).await.result {
                Ok(prepared) => prepared,
                Err(error) => return several::alone(error, invocation.style),
            };
            ui::notes(&by_cause(&prepared.notes), invocation.style);
            Ok((Answer::Object(listing(&prepared)), Exit::Success))
        }
        Jobs::Several(jobs) => {
            let lines =
                several::side_by_side(&jobs, invocation, |job| job.rehearse(what, removals), line_for).await;
            Ok(several::listings(lines))
        }
    }
}

/// One of several: notes at once, what would be imported in the answer.
fn line_for(report: Report<Prepared>, style: Style) -> several::Line {
    let Report { name, run, duration, result } = report;
    let mut value = serde_json::Map::new();
    if let Ok(prepared) = &result {
        ui::notes_of(&name, &by_cause(&prepared.notes), style);
        value.insert("data".to_owned(), listing(prepared));
    }
    several::Line {
        exit: result.as_ref().map_or_else(|error| error.exit, |_| Exit::Success),
        facts: result.as_ref().ok().map(Prepared::facts),
        error: result.err(),
        name,
        run,
        duration,
        value,
    }
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
