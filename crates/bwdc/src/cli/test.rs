//! `bwdc test`

use bwdc_core::Prepared;
use bwdc_core::entry::{ExternalId, Status};
use bwdc_core::note::by_cause;
use bwdc_core::prepare::{Person, PreparedGroup};
use clap::Args;
use serde::Serialize;

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
            let exit = match ui::object(&Listing::from(&prepared), invocation.style) {
                Ok(()) => Exit::Success,
                Err(error) => ui::unwritten(&error, invocation.style),
            };
            Ok((Answer::Nothing, exit))
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
        let listing = ui::as_json("what would be imported", &Listing::from(prepared));
        value.extend(listing.ok().map(|listing| ("data".to_owned(), listing)));
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

/// What would be imported, as the existing connector prints it: keys in its order, lists by display name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'a> {
    groups: Vec<GroupRow<'a>>,
    enabled_users: Vec<PersonRow<'a>>,
    disabled_users: Vec<PersonRow<'a>>,
    deleted_users: Vec<PersonRow<'a>>,
    object: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupRow<'a> {
    external_id: &'a ExternalId,
    display_name: &'a str,
    user_ids: &'a [ExternalId],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PersonRow<'a> {
    external_id: &'a ExternalId,
    display_name: &'a str,
}

impl<'a> From<&'a Prepared> for Listing<'a> {
    fn from(prepared: &'a Prepared) -> Self {
        let collation = Collation::new();
        let groups = prepared.groups.iter().map(|group| {
            let PreparedGroup { external_id, name, members, .. } = group;
            (name.as_str(), GroupRow { external_id, display_name: name, user_ids: members })
        });
        let people = |status: Status| {
            let people = prepared.people.iter().filter(move |person| person.status == status);
            let row = |person: &'a Person| PersonRow {
                external_id: &person.external_id,
                display_name: display_name(person),
            };
            collation.sorted(people.map(|person| (display_name(person), row(person))).collect())
        };
        Self {
            groups: collation.sorted(groups.collect()),
            enabled_users: people(Status::Active),
            disabled_users: people(Status::Disabled),
            deleted_users: people(Status::Deleted),
            object: "test",
        }
    }
}

fn display_name(person: &Person) -> &str {
    person.email.as_ref().map_or(person.external_id.as_str(), |email| email.as_str())
}
