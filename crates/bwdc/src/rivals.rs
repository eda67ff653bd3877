//! Instances that are synced into one organization without a merge, and would remove each other's people.

use std::collections::HashMap;

use bwdc_core::rules::ExistingMembers;

use crate::config::{Instance, env, instance};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::run::Context;
use crate::session::{Account, organization_of};
use crate::state::key;

/// An instance, and whom it would remove.
struct Rival<'a> {
    name: &'a str,
    organization: (String, String),
    existing: ExistingMembers,
    turn: Turn,
}

/// Whether a job is part of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    Another,
}

/// What follows for the jobs of a run.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// Who may not run, and why, by the name of the job.
    pub(crate) refused: HashMap<String, Error>,
    pub(crate) warnings: Vec<String>,
}

/// Two instances that are synced into one organization without a merge: with `sync.overwriteExisting` each removes whom the other
/// added, so that both are refused; without, only people who leave one directory and are in the other are at risk, which is told.
/// `rest` are those that run at another time.
pub(crate) async fn judgement(jobs: &[Job], rest: &[Job]) -> Judgement {
    let mut judgement = Judgement::default();
    if jobs.len() + rest.len() < 2 {
        return judgement;
    }
    let running = jobs.iter().map(|job| (job, Turn::Now)).chain(rest.iter().map(|job| (job, Turn::Another)));
    let mut rivals: Vec<Rival<'_>> = Vec::new();
    for (job, turn) in running {
        rivals.extend(rival(job, turn).await);
    }
    for rivals in by_organization(rivals) {
        match judged(&rivals) {
            Err(error) => {
                judgement.refused.extend(rivals.iter().map(|rival| (rival.name.to_owned(), error.clone())));
            }
            Ok(warning) => judgement.warnings.push(warning),
        }
    }
    judgement
}

/// Two or more each, of whom one at least runs now.
fn by_organization(rivals: Vec<Rival<'_>>) -> Vec<Vec<Rival<'_>>> {
    let mut groups: Vec<Vec<Rival<'_>>> = Vec::new();
    for rival in rivals {
        match groups.iter_mut().find(|group| group[0].organization == rival.organization) {
            Some(group) => group.push(rival),
            None => groups.push(vec![rival]),
        }
    }
    groups.retain(|group| group.len() > 1 && group.iter().any(|rival| rival.turn == Turn::Now));
    groups
}

/// What to warn of, or why none of them may run.
fn judged(rivals: &[Rival<'_>]) -> Result<String> {
    let (api_url, id) = &rivals[0].organization;
    let all = if rivals.len() == 2 { "both" } else { "all" };
    let all = format!("{} are {all} synced into organization.{id} on {api_url}", names(rivals));
    let hint =
        "Merge them in bwdc.toml: [organization.NAME] merge = [...]; docs/many-directories.md says how.";
    if rivals.iter().any(|rival| rival.existing == ExistingMembers::Overwrite) {
        return Err(Error::new(format!(
            "{all}, and with sync.overwriteExisting each would remove the people of the other."
        ))
        .hint(format!("{hint} Neither was synced.")));
    }
    Ok(format!("{all}: who leaves one is removed, even if the other has the person too. {hint}"))
}

/// At most three of them.
fn names(rivals: &[Rival<'_>]) -> String {
    let names: Vec<&str> = rivals.iter().map(|rival| rival.name).collect();
    match names[..] {
        [first, second] => format!("{first} and {second}"),
        [first, second, third] => format!("{first}, {second} and {third}"),
        [first, second, ref rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
        [] | [_] => names.concat(),
    }
}

/// Where a job goes, as far as it can be told; what is wrong with it is told when it runs. Of one that does not run now only
/// what data.json and the variable for all say: no command is run for its secrets.
async fn rival(job: &Job, turn: Turn) -> Option<Rival<'_>> {
    let context: &Context = job.contexts().into_iter().next()?;
    let data = context.file.load().ok()?;
    let id = match turn {
        Turn::Now => Account::of(&data, &context.secrets).await.ok()?.organization_id,
        Turn::Another => match data.text(key::ORGANIZATION_ID) {
            Some(id) => id.to_owned(),
            None => organization_of(&context.environment.text(env::CLIENT_ID)?).ok()?.to_owned(),
        },
    };
    let api_url = instance::endpoints(&data).ok()?.api_url().to_owned();
    let existing = Instance::existing_members(&data).ok()?;
    Some(Rival { name: job.name(), organization: (api_url, id), existing, turn })
}
