//! Instances that are synced into one organization without a merge, and would remove each other's people.

use std::collections::HashMap;

use bwdc_core::rules::ExistingMembers;

use crate::context::Context;
use crate::job::SyncJob;
use crate::session::{OrganizationLogin, organization_of};
use bwdc_config::Instance;
use bwdc_config::secrets::CLIENT_ID;
use bwdc_core::error::{Error, Result};
use bwdc_store::Data;

/// An instance, and whom it would remove.
struct Rival<'a> {
    name: &'a str,
    organization: Organization,
    existing: ExistingMembers,
    turn: Turn,
}

/// Whom a job is synced into.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Organization {
    /// The id, which no two servers share, however their addresses are written.
    Known(String),
    /// `data.json` cannot be read.
    Unknown,
}

/// Whether a job is part of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    Another,
}

/// What follows for the jobs of a run.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Who may not run, and why, by the name of the job.
    refused: HashMap<String, Error>,
    /// What is only doubtful.
    pub warnings: Vec<String>,
}

impl Judgement {
    /// Whether a job may run, or why not.
    pub fn permit(&self, job: &SyncJob) -> Result<()> {
        self.refused.get(job.name()).map_or(Ok(()), |why| Err(why.clone()))
    }
}

/// Two instances that are synced into one organization without a merge: with `sync.overwriteExisting` each removes whom the other
/// added, so that both are refused; without, only people who leave one directory and are in the other are at risk, which is told.
/// `rest` are those that run at another time.
pub async fn judgement(jobs: &[SyncJob], rest: &[SyncJob]) -> Judgement {
    let mut judgement = Judgement::default();
    if jobs.len() + rest.len() < 2 {
        return judgement;
    }
    let running = jobs.iter().map(|job| (job, Turn::Now)).chain(rest.iter().map(|job| (job, Turn::Another)));
    let mut rivals: Vec<Rival<'_>> = Vec::new();
    for (job, turn) in running {
        rivals.extend(rival(job, turn).await);
    }
    for (name, error) in in_the_dark(&rivals) {
        judgement.refused.insert(name, error);
    }
    for (id, rivals) in by_organization(rivals) {
        match judged(&id, &rivals) {
            Err(error) => {
                judgement.refused.extend(rivals.iter().map(|rival| (rival.name.to_owned(), error.clone())));
            }
            Ok(warning) => judgement.warnings.push(warning),
        }
    }
    judgement
}

/// Who may remove people while it is not known whose they are: the one that cannot be read may be of the same organization.
fn in_the_dark(rivals: &[Rival<'_>]) -> Vec<(String, Error)> {
    let Some(unknown) = rivals.iter().find(|rival| rival.organization == Organization::Unknown) else {
        return Vec::new();
    };
    let refused = |rival: &Rival<'_>| {
        let error = Error::new(format!(
            "The data.json of {} cannot be read, so it is unknown whether it belongs to the same organization; with sync.overwriteExisting, {} would then remove its people.",
            unknown.name, rival.name
        ));
        (rival.name.to_owned(), error.hint(format!("Fix {}, or remove it from bwdc.toml.", unknown.name)))
    };
    rivals.iter().filter(|rival| rival.existing == ExistingMembers::Overwrite).map(refused).collect()
}

/// Two or more each, of whom one at least runs now.
fn by_organization(rivals: Vec<Rival<'_>>) -> Vec<(String, Vec<Rival<'_>>)> {
    let mut groups: Vec<(String, Vec<Rival<'_>>)> = Vec::new();
    for rival in rivals {
        let Organization::Known(id) = &rival.organization else { continue };
        match groups.iter_mut().find(|(known, _)| known == id) {
            Some((_, group)) => group.push(rival),
            None => groups.push((id.clone(), vec![rival])),
        }
    }
    groups.retain(|(_, group)| group.len() > 1 && group.iter().any(|rival| rival.turn == Turn::Now));
    groups
}

/// What to warn of, or why none of them may run.
fn judged(id: &str, rivals: &[Rival<'_>]) -> Result<String> {
    let all = if rivals.len() == 2 { "both" } else { "all" };
    let all = format!("{} are {all} synced into organization.{id}", names(rivals));
    let hint =
        "Merge them in bwdc.toml: [organization.NAME] merge = [...]; docs/many-directories.md says how.";
    if rivals.iter().any(|rival| rival.existing == ExistingMembers::Overwrite) {
        return Err(Error::new(format!(
            "{all}, and with sync.overwriteExisting each would remove the people of the other."
        ))
        .hint(format!("{hint} Until then none of them is synced.")));
    }
    Ok(format!(
        "{all}: whoever leaves one of them is removed, even if the other still has the person. {hint}"
    ))
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

/// Where a job goes. `None` if nothing says so: then it cannot sync either.
async fn rival(job: &SyncJob, turn: Turn) -> Option<Rival<'_>> {
    let context: &Context = job.contexts().into_iter().next()?;
    let name = job.name();
    if !context.file.path().exists() && turn == Turn::Another {
        return None;
    }
    let Ok(data) = context.file.load() else {
        // It goes somewhere, and will again when that is mended.
        let (organization, existing) = (Organization::Unknown, ExistingMembers::Keep);
        return Some(Rival { name, organization, existing, turn });
    };
    let id = match turn {
        Turn::Now => {
            OrganizationLogin::of(&data, &context.secrets).await.ok().map(|account| account.organization_id)
        }
        Turn::Another => None,
    };
    let id = id
        .or_else(|| data.organization_id().map(str::to_owned))
        .or_else(|| organization_given(context, &data))?;
    // What cannot be understood is told when it runs.
    let existing = Instance::existing_members(&data).unwrap_or(ExistingMembers::Keep);
    Some(Rival { name, organization: Organization::Known(id.to_lowercase()), existing, turn })
}

/// The organization in the client id that it is given, if no command has to be run for that.
fn organization_given(context: &Context, data: &Data) -> Option<String> {
    let found = context.secrets.given_without_command(data, &CLIENT_ID).ok().flatten()?;
    organization_of(found.secret.reveal()).ok().map(str::to_owned)
}
