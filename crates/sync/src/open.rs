//! The directories of a job, ready to be read.

use bwdc_config::settings::{self, Setting, general, sync};
use bwdc_config::{Instance, server};
use bwdc_connect::directory::ReadScope;
use bwdc_core::error::{Error, Result};
use bwdc_core::text::digest;
use bwdc_store::{Data, DataFile, Memory as _, Remembered};
use serde_json::Value;

use crate::context::Context;
use crate::job::SyncJob;

/// One directory of an import, ready to be read.
pub(crate) struct Opened<'a> {
    pub(crate) context: &'a Context,
    /// What its groups' names begin with.
    pub(crate) prefix: &'a str,
    pub(crate) data: Data,
    pub(crate) remembered: Remembered,
    pub(crate) instance: Instance,
}

impl<'a> Opened<'a> {
    async fn of(context: &'a Context, prefix: &'a str) -> Result<Self> {
        let data = context.file.load()?;
        let Context { file, environment, secrets, .. } = context;
        let instance = Instance::of(&data, file.folder(), environment, secrets).await?;
        for warning in &instance.warnings {
            context.warn(warning);
        }
        let remembered = file.recall()?;
        Ok(Self { context, prefix, data, remembered, instance })
    }

    /// All filters on people and groups, as text: equal texts match the same people. Paths are part of the place that is read.
    pub(crate) fn filters(&self) -> String {
        let settings = [
            &sync::USERS,
            &sync::GROUPS,
            &sync::USER_FILTER,
            &sync::GROUP_FILTER,
            &sync::USER_OBJECT_CLASS,
            &sync::GROUP_OBJECT_CLASS,
        ];
        settings.map(|setting| setting.stored_text(&self.data).unwrap_or_default()).join("\n")
    }

    /// Whether people are imported from it.
    pub(crate) fn has_users(&self) -> bool {
        self.instance.scope.is_some_and(ReadScope::has_users)
    }

    /// Whether syncs read only what changed since the last one.
    pub(crate) fn reads_changes(&self) -> bool {
        sync::REVISION_DATE_ATTRIBUTE.stored_text(&self.data).is_some_and(|text| !text.trim().is_empty())
    }

    /// All settings that decide what is read, as a digest: a change of any of them asks for a complete read.
    pub(crate) fn read_settings(&self) -> String {
        let text = |setting: &Setting| setting.stored_text(&self.data).unwrap_or_default();
        let server =
            server::endpoints(&self.data).map(|found| found.api_url().to_owned()).unwrap_or_default();
        digest(settings::of_reads().map(text).chain([server]))
    }

    /// One of a merge, to which it has to add something.
    async fn merged(context: &'a Context, prefix: &'a str) -> Result<Self> {
        let opened = Self::of(context, prefix).await?;
        match opened.instance.scope {
            Some(_) => Ok(opened),
            None => Err(Error::new(
                "Neither sync.users nor sync.groups is on, so it would add nothing to the merge.",
            )),
        }
    }
}

/// The most important directory that people are imported from: they leave no other. The first, if people are imported from none.
pub(crate) fn of_people<'a, 'b>(opened: &'a [Opened<'b>]) -> Option<&'a Opened<'b>> {
    opened.iter().find(|opened| opened.has_users()).or(opened.first())
}

/// The data.json of each.
pub(crate) fn files<'a>(opened: &[Opened<'a>]) -> Vec<&'a DataFile> {
    opened.iter().map(|opened| &opened.context.file).collect()
}

/// All directories of a job, the most important first, checked to agree.
pub(crate) async fn open(job: &SyncJob) -> Result<Vec<Opened<'_>>> {
    let merge = match job {
        SyncJob::Usual(context) | SyncJob::One(context) => return Ok(vec![Opened::of(context, "").await?]),
        SyncJob::Merged(merge) => merge,
    };
    let mut opened = Vec::new();
    for member in &merge.members {
        let one = Opened::merged(&member.context, &member.prefix).await;
        opened.push(one.map_err(|error| job.about(&member.context, error))?);
    }
    agreeing(&opened)?;
    Ok(opened)
}

/// What is one import's and not one directory's must be the same in all. Who is protected is joined.
fn agreeing(opened: &[Opened<'_>]) -> Result<()> {
    let Some(first) = of_people(opened) else { return Ok(()) };
    let differing = |other: &Opened<'_>| {
        let (a, b) = (&first.instance.rules, &other.instance.rules);
        let (ours, theirs) = (&first.instance.organization, &other.instance.organization);
        let settings = [
            (sync::OVERWRITE_EXISTING.name, a.existing == b.existing),
            (sync::LARGE_IMPORT.name, a.size == b.size),
            (sync::INVITE_USERS_AFTER_PROVISIONING.name, a.newcomers == b.newcomers),
            (sync::ON_BAD_RECORD.name, a.bad_records == b.bad_records),
            (sync::LIMIT_REMOVALS.name, ours.limit_removals == theirs.limit_removals),
            (sync::LIMIT_LEAVES.name, ours.limit_leaves == theirs.limit_leaves),
            (sync::LIMIT_REPAIRS.name, ours.limit_repairs == theirs.limit_repairs),
            (sync::LIMIT_INVITES.name, ours.limit_invites == theirs.limit_invites),
            (sync::ON_LIMIT.name, ours.on_limit == theirs.on_limit),
            (sync::GRACE.name, ours.grace == theirs.grace),
            (sync::VANISHED_GROUPS.name, ours.vanished_groups == theirs.vanished_groups),
            (sync::RELINK.name, ours.relink == theirs.relink),
            (sync::REINVITE.name, ours.reinvite == theirs.reinvite),
            (sync::VERIFY_EVERY.name, ours.verify_every == theirs.verify_every),
            (sync::REMOVE_MISSING.name, !other.has_users() || ours.absent == theirs.absent),
        ];
        settings.into_iter().find(|(_, is_same)| !is_same).map(|(name, _)| (name, other.context.name.clone()))
    };
    match opened.iter().find_map(differing) {
        Some((setting, other)) => Err(Error::new(format!(
            "{} and {other} are merged into one import, but {setting} is not the same in both.",
            first.context.name
        ))
        .hint(format!("Set it to the same value in both: bwdc config {setting} VALUE. Nothing was read."))),
        None => Ok(()),
    }
}

/// A directory that was synced into another organization, or says that another server is its own, is there by mistake.
pub(crate) fn of_one_organization(opened: &[Opened<'_>], id: &str) -> Result<()> {
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
