//! Several directories, one organization, one import: all are read, or nothing is imported.
//!
//! Each directory keeps its memory in its own folder: cursor, times and known people are its own. The digest of the import
//! stands in every folder, and "unchanged" means that all agree: whichever was synced differently in between, also alone, makes
//! the import go out again.

use std::fmt;
use std::path::{Path, PathBuf};

use bwdc_connect::directory::{Ask, Extent, Others, Scope};
use bwdc_core::changes::Changes;
use bwdc_core::check::Removals;
use bwdc_core::merge::{self, Merged, Part, Share, Source};
use bwdc_core::plan::{Plan, Server, Summary, Target};
use bwdc_core::rules::ExistingMembers;
use bwdc_core::{Prepared, Rules, Snapshot, Verdict};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Comparison, Context, Organization, Outcome, RunRecord, account, blocked, commit, done, limits, lock,
    notes, snapshot, warn,
};
use bwdc_config::settings::{general, sync};
use bwdc_config::{Instance, server};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_store::tokens::TokenMemory;
use bwdc_store::{Data, DataFile, Memory as _, Remembered, RunLock};

/// The directories of one organization, the most important first.
#[derive(Debug)]
pub(crate) struct Merge {
    /// By which `bwdc.toml` knows it.
    pub(crate) name: String,
    pub(crate) members: Vec<Member>,
    /// The `bwdc.toml`.
    pub(crate) path: PathBuf,
    /// How many are read side by side.
    pub(crate) at_once: usize,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) context: Context,
    /// What its groups' names begin with.
    pub(crate) prefix: String,
}

impl Merge {
    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub(crate) fn with_tokens(self, tokens: &TokenMemory) -> Self {
        let with = |member: Member| Member { context: member.context.with_tokens(tokens.clone()), ..member };
        Self { members: self.members.into_iter().map(with).collect(), ..self }
    }
}

/// A whole sync.
pub(crate) async fn sync(merge: &Merge, removals: Removals) -> Result<Outcome> {
    let started = Timestamp::now();
    let _locks = locks(merge, started)?;
    let opened = open(merge).await?;
    let first = &opened[0];
    let account = account(first.context, &first.data).await?;
    let organization = Organization::open(first.context, &first.data, account)?;
    let id = organization.account.organization_id.clone();
    of_one_organization(&opened, &id)?;
    let token = organization.token().await?;
    let (prepared, parts) = read(&opened, merge.at_once).await?;
    let server = organization.server(&prepared).await?;
    let api_url = organization.client.api_url().to_owned();
    let target = Target { api_url, organization_id: id.clone(), server };
    let comparison = Comparison::of(first.context, &target);
    let (changes, imported) =
        Changes::of(comparison.baseline(&first.remembered), &prepared, &first.instance.rules, server);
    let plan = bwdc_core::plan(prepared, &first.instance.rules, &target);
    let sent = match verdict(&opened, &plan, &parts, removals)? {
        Verdict::Blocked(findings) => return Err(blocked(&findings)),
        Verdict::NothingToSend | Verdict::Unchanged => Summary::default(),
        Verdict::Ready => {
            let files: Vec<&DataFile> = opened.iter().map(|opened| &opened.context.file).collect();
            organization.import(&plan, token, &files).await?;
            plan.summary
        }
    };
    let changes = done(changes, sent);
    let merged_by = merge.path.display().to_string();
    let record = |(opened, part)| record(opened, part, &plan, started, &id, &merged_by);
    let records: Vec<RunRecord<'_>> = opened.iter().zip(&parts).map(record).collect();
    commit(&records, sent)?;
    comparison.keep(imported);
    Ok(Outcome { sent, left_out: plan.bad_records.len(), notes: notes(plan), changes })
}

/// Nobody else syncs any of the folders meanwhile.
fn locks(merge: &Merge, started: Timestamp) -> Result<Vec<RunLock>> {
    let take = |Member { context, .. }: &Member| {
        lock(context, started).map_err(|error| error.while_doing(&context.name))
    };
    merge.members.iter().map(take).collect()
}

fn record<'a>(
    opened: &'a Opened<'_>,
    part: &'a Part,
    plan: &'a Plan,
    started: Timestamp,
    organization_id: &'a str,
    merged_by: &'a str,
) -> RunRecord<'a> {
    RunRecord {
        file: &opened.context.file,
        started,
        scope: Some(opened.scope),
        digest: plan.digest_of_requests(),
        cursor: &part.cursor,
        known: (part.known != opened.known).then(|| part.known.clone()),
        organization_id,
        merged_by: Some(merged_by),
    }
}

/// Reads, prepares, plans and checks; sends nothing and keeps nothing.
pub(crate) async fn rehearse(merge: &Merge, removals: Removals) -> Result<Prepared> {
    let opened = open(merge).await?;
    let first = &opened[0];
    let organization_id = account(first.context, &first.data).await?.organization_id;
    of_one_organization(&opened, &organization_id)?;
    let (prepared, parts) = read(&opened, merge.at_once).await?;
    let api_url = server::endpoints(&first.data)?.api_url().to_owned();
    let target = Target { api_url, organization_id, server: Server::Official };
    let plan = bwdc_core::plan(prepared.clone(), &first.instance.rules, &target);
    match verdict(&opened, &plan, &parts, removals)? {
        Verdict::Blocked(findings) => Err(blocked(&findings)),
        Verdict::NothingToSend | Verdict::Unchanged | Verdict::Ready => Ok(prepared),
    }
}

/// What to say about a folder that is to be synced alone.
pub(crate) fn not_alone(what: &dyn fmt::Display, organization: &str, path: &Path) -> Error {
    Error::new(format!(
        "{what} is merged with other directories into the organization {organization} ({}), and synced alone it could remove people whom they added.",
        path.display()
    ))
    .hint(format!("Run `bwdc sync --config {} --instance {organization}`.", path.display()))
}

/// One directory, ready to be read.
struct Opened<'a> {
    context: &'a Context,
    prefix: &'a str,
    data: Data,
    remembered: Remembered,
    instance: Instance,
    scope: Scope,
    known: bwdc_core::known::KnownPeople,
}

/// All of them, checked to agree.
async fn open(merge: &Merge) -> Result<Vec<Opened<'_>>> {
    let mut opened = Vec::new();
    for member in &merge.members {
        let one = Opened::of(member).await;
        opened.push(one.map_err(|error| error.while_doing(&member.context.name))?);
    }
    agreeing(&opened)?;
    Ok(opened)
}

impl<'a> Opened<'a> {
    async fn of(Member { context, prefix }: &'a Member) -> Result<Self> {
        let data = context.file.load()?;
        let instance =
            Instance::of(&data, context.file.folder(), &context.environment, &context.secrets).await?;
        warn(&instance, context);
        let scope = instance.scope.ok_or_else(|| {
            Error::new("Neither sync.users nor sync.groups is on, so it would add nothing to the merge.")
        })?;
        let (remembered, known) = (context.file.recall()?, context.file.known_people()?);
        Ok(Self { context, prefix, data, remembered, instance, scope, known })
    }

    /// Everything, so that "who else has this address" has an answer; but with the cursor, by which some directories know who
    /// was deleted.
    fn ask(&self) -> Ask {
        let extent = match self.instance.rules.existing {
            ExistingMembers::Overwrite => Extent::Everything,
            ExistingMembers::Keep => {
                Extent::Since { users: None, groups: None, cursor: self.remembered.cursor.clone() }
            }
        };
        Ask { scope: self.scope, extent, others: Others::Always }
    }

    async fn read(&self) -> Result<Snapshot> {
        let read = snapshot(&self.instance, self.ask(), self.context).await;
        read.map(|(snapshot, _)| snapshot).map_err(|error| error.while_doing(&self.context.name))
    }

    fn share(&self, snapshot: Snapshot) -> Share {
        let source = Source { name: self.context.name.clone(), prefix: self.prefix.to_owned() };
        Share::of(source, snapshot, &self.instance.rules, self.known.clone())
    }
}

/// What is one import's and not one directory's must be the same in all.
fn agreeing(opened: &[Opened<'_>]) -> Result<()> {
    let [first, others @ ..] = opened else { return Ok(()) };
    let differing = |other: &Opened<'_>| {
        let (a, b) = (&first.instance.rules, &other.instance.rules);
        let settings = [
            (sync::OVERWRITE_EXISTING.name, a.existing == b.existing),
            (sync::LARGE_IMPORT.name, a.size == b.size),
            (sync::INVITE_USERS_AFTER_PROVISIONING.name, a.newcomers == b.newcomers),
            (sync::ON_BAD_RECORD.name, a.bad_records == b.bad_records),
        ];
        settings.into_iter().find(|(_, is_same)| !is_same).map(|(name, _)| (name, other.context.name.clone()))
    };
    match others.iter().find_map(differing) {
        Some((setting, other)) => Err(Error::new(format!(
            "{} and {other} are merged into one import, but {setting} is not the same in both.",
            first.context.name
        ))
        .hint(format!("Set it to the same value in both: bwdc config {setting} VALUE. Nothing was read."))),
        None => Ok(()),
    }
}

/// A directory that was synced into another organization, or says that another server is its own, is there by mistake.
fn of_one_organization(opened: &[Opened<'_>], id: &str) -> Result<()> {
    let first = &opened[0];
    let api_url = server::endpoints(&first.data)?.api_url().to_owned();
    for Opened { context, data, remembered, .. } in &opened[1..] {
        let other = remembered.organization_id.as_deref().filter(|other| *other != id);
        let names_server = [general::SERVER, general::SERVER_API]
            .iter()
            .any(|setting| setting.stored(data).is_some_and(Value::is_string));
        let is_elsewhere = names_server && server::endpoints(data)?.api_url() != api_url;
        let whose = match (other, is_elsewhere) {
            (Some(other), _) => format!("organization.{other}"),
            (None, true) => format!("an organization on {}", server::endpoints(data)?.api_url()),
            (None, false) => continue,
        };
        return Err(Error::new(format!(
            "{} is merged into organization.{id} on {api_url}, but belongs to {whose}.",
            context.name
        ))
        .hint("Remove it from the merge, or log its folder out and set its server. Nothing was read."));
    }
    Ok(())
}

/// Reads all side by side. One that fails does not cut the others short: what is wrong with each is worth knowing.
async fn read(opened: &[Opened<'_>], at_once: usize) -> Result<(Prepared, Vec<Part>)> {
    let reads: Vec<_> = opened.iter().map(Opened::read).collect();
    let read: Vec<Result<Snapshot>> = stream::iter(reads).buffered(at_once).collect().await;
    let snapshots = all(read)?;
    let shares = opened.iter().zip(snapshots).map(|(opened, snapshot)| opened.share(snapshot)).collect();
    let Merged { prepared, parts } = merge::merge(shares);
    Ok((prepared, parts))
}

/// Every one, or what is wrong with those that failed.
fn all(read: Vec<Result<Snapshot>>) -> Result<Vec<Snapshot>> {
    let (read, failed): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let failed: Vec<String> =
        failed.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    if failed.is_empty() {
        return read.into_iter().collect();
    }
    Err(Error::new(failed.join("\n"))
        .hint("Nothing was imported: a merge needs all of its directories.")
        .exit(Exit::Failure))
}

fn verdict(opened: &[Opened<'_>], plan: &Plan, parts: &[Part], removals: Removals) -> Result<Verdict> {
    let first = &opened[0];
    let rules: &Rules = &first.instance.rules;
    let digest = |opened: &Opened<'_>| opened.remembered.digest.clone();
    let agreed = digest(first).filter(|_| opened.iter().all(|opened| digest(opened) == digest(first)));
    let verdict = bwdc_core::check(plan, rules, limits(&first.data)?, removals, agreed.as_deref());
    Ok(verdict.with(merge::check(parts, rules, removals)))
}
