//! `bwdc explain`

use bwdc_connect::directory::{ClauseOutcome, Sighting};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::explain::Candidate;
use bwdc_sync::{ExplainFrom, Explained, Findings, Former, Lookup, Nowhere, RunAbout, SyncJob};
use clap::Args;
use serde_json::{Value, json};

use super::Invocation;
use super::planning::{self, Told, Wanted};
use super::which::{Which, Wish};
use crate::overview::Overview;
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Address, external id, member id, name or DN of a person, or name or id of a group; user:ID or group:ID where both have one id.
    #[arg(value_name = "WHO")]
    who: String,
    #[command(flatten)]
    pub(super) which: Which,
    /// Read nothing: explain from what earlier runs have kept.
    #[arg(long)]
    offline: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    if arguments.who.trim().is_empty() {
        return Err(Error::new("WHO is empty.").hint("Name an address, an id, a name or a DN."));
    }
    let jobs = arguments.which.jobs(invocation, Wish::Sync)?;
    let wanted = Wanted::json_or_text(arguments.json, invocation.style);
    let from = if arguments.offline { ExplainFrom::Offline } else { ExplainFrom::Live };
    let who = &arguments.who;
    planning::each(jobs, invocation, wanted, async |job: &SyncJob, _| {
        job.check_folders()?;
        let explained = Box::pin(bwdc_sync::explain(job, who, from)).await?;
        told(who, &explained)
    })
    .await
}

fn told(who: &str, explained: &Explained) -> Result<Told> {
    let overview = Overview::of_explained(who, explained);
    let (value, exit) = match explained {
        Explained::Found(findings) => (found(who, findings)?, Exit::Success),
        Explained::Ambiguous(candidates) => (ambiguous(who, candidates)?, Exit::Failure),
        Explained::Nowhere(Nowhere { places }) => {
            let value = json!({ "object": "explanation", "who": who, "found": false, "lookedIn": places });
            (value, Exit::Failure)
        }
    };
    Ok(Told { overview, value, exit })
}

fn written(value: &impl serde::Serialize) -> Result<Value> {
    ui::as_json("the explanation", value)
}

fn ambiguous(who: &str, candidates: &[Candidate]) -> Result<Value> {
    let candidates = written(&candidates)?;
    Ok(json!({ "object": "explanation", "who": who, "found": false, "candidates": candidates }))
}

fn found(who: &str, findings: &Findings) -> Result<Value> {
    let Findings { explanation, lookups, runs, left_out, former } = findings;
    let mut value = match explanation {
        Some(explanation) => written(explanation)?,
        None => json!({ "object": "explanation", "who": who }),
    };
    let runs: Vec<Value> = runs.iter().map(run_value).collect::<Result<_>>()?;
    if let Some(map) = value.as_object_mut() {
        map.insert("found".to_owned(), true.into());
        map.insert("lookups".to_owned(), lookups.iter().map(lookup_value).collect());
        map.insert("history".to_owned(), runs.into());
        map.insert("leftOutLast".to_owned(), json!(left_out));
        map.insert("former".to_owned(), former.as_ref().map(former_value).into());
    }
    Ok(value)
}

fn former_value(Former { address, external_id, last, since, now }: &Former) -> Value {
    json!({
        "email": address,
        "externalId": external_id,
        "lastRun": last.run,
        "lastAt": last.at.to_string(),
        "since": since.map(|since| since.to_string()),
        "now": now,
    })
}

fn lookup_value(Lookup { directory, found }: &Lookup) -> Value {
    match found {
        Ok(found) => {
            let found: Vec<Value> = found.iter().map(sighting_value).collect();
            json!({ "directory": directory, "entries": found })
        }
        Err(problem) => json!({ "directory": directory, "entries": [], "problem": problem }),
    }
}

fn sighting_value(Sighting { id, at, attributes, clauses, disabled_by, .. }: &Sighting) -> Value {
    let attributes: serde_json::Map<String, Value> =
        attributes.iter().map(|attribute| (attribute.name.clone(), json!(attribute.values))).collect();
    let clauses: Vec<Value> = clauses
        .iter()
        .map(|check| {
            json!({
                "setting": check.setting,
                "clause": check.clause,
                "matches": check.outcome == ClauseOutcome::Matches,
            })
        })
        .collect();
    json!({
        "externalId": id.as_ref().map(ToString::to_string),
        "at": at,
        "attributes": attributes,
        "clauses": clauses,
        "disabledBy": disabled_by,
    })
}

fn run_value(RunAbout { head, entries }: &RunAbout) -> Result<Value> {
    let entries = written(entries)?;
    Ok(json!({
        "run": head.run,
        "at": head.at.to_string(),
        "command": head.command.word(),
        "by": head.by.as_str(),
        "result": head.result,
        "entries": entries,
    }))
}
