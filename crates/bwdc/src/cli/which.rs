//! Which instances a command is about.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bwdc_core::did_you_mean;
use clap::Args;

use super::Invocation;
use bwdc_config::installation::{Installation, MergedOrganization, NamedInstance};
use bwdc_core::error::{Error, Result};
use bwdc_store::files::real_path;
use bwdc_sync::Context;
use bwdc_sync::SyncJob;
use bwdc_sync::{Merge, MergeMember, not_alone};

/// Without any of these it is the one folder of data.json, as always.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Which {
    /// Folder of an instance's data.json. Repeat it to run several at the same time.
    #[arg(long = "appdata", value_name = "DIR", conflicts_with_all = ["names", "all"])]
    folders: Vec<PathBuf>,
    /// Name of an instance or a merged organization in bwdc.toml. May be repeated.
    #[arg(long = "instance", value_name = "NAME", conflicts_with = "all")]
    names: Vec<String>,
    /// All instances in bwdc.toml.
    #[arg(long)]
    all: bool,
}

/// One instance: the usual folder of data.json, unless another is named.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct WhichOne {
    /// Folder of the instance's data.json.
    #[arg(long = "appdata", value_name = "DIR", conflicts_with = "name")]
    folder: Option<PathBuf>,
    /// Name of an instance in bwdc.toml.
    #[arg(long = "instance", value_name = "NAME")]
    name: Option<String>,
}

impl WhichOne {
    /// The instance, in a folder that is there if it was named.
    pub(super) fn context(&self, invocation: &Invocation) -> Result<Context> {
        let context = self.new_context(invocation)?;
        let is_named = self.folder.is_some() || self.name.is_some();
        if is_named {
            context.check_folder()?;
        }
        Ok(context)
    }

    /// The same, in a folder that may not be there yet.
    pub(super) fn new_context(&self, invocation: &Invocation) -> Result<Context> {
        match (&self.folder, &self.name) {
            (Some(folder), _) => invocation.context_of_folder(folder),
            (None, Some(name)) => invocation.context_by_name(name),
            (None, None) => Ok(invocation.usual_context()),
        }
    }
}

/// The instances that a command looks at or changes one by one.
pub(super) enum Contexts {
    One(Box<Context>),
    /// Answers name each.
    Several(Vec<Context>),
}

impl Contexts {
    pub(super) fn into_vec(self) -> Vec<Context> {
        match self {
            Self::One(context) => vec![*context],
            Self::Several(contexts) => contexts,
        }
    }
}

/// What is to be done: one as the existing connector does it, or several with a summary.
pub(super) enum Jobs {
    One(SyncJob),
    Several(Vec<SyncJob>),
}

/// What somebody wants to do with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Import. A part of a merge alone is refused.
    Sync,
    /// Only look.
    Test,
}

impl Which {
    pub(super) fn jobs(&self, invocation: &Invocation, wish: Wish) -> Result<Jobs> {
        let mut jobs = if self.all {
            invocation.all()?
        } else if !self.names.is_empty() {
            self.names.iter().map(|name| invocation.by_name(name, wish)).collect::<Result<_>>()?
        } else if !self.folders.is_empty() {
            self.folders.iter().map(|folder| invocation.in_folder(folder, wish)).collect::<Result<_>>()?
        } else {
            vec![invocation.usual(wish)?]
        };
        no_folder_twice(&jobs.iter().flat_map(SyncJob::contexts).collect::<Vec<_>>())?;
        match jobs.pop() {
            Some(job) if jobs.is_empty() && !self.all => Ok(Jobs::One(job)),
            Some(job) => {
                jobs.push(job);
                Ok(Jobs::Several(jobs.into_iter().map(among_others).collect()))
            }
            None => Ok(Jobs::Several(jobs)),
        }
    }
}

impl Which {
    /// The instances themselves, whether or not they are merged: of a merged organization all of its directories.
    pub(super) fn contexts(&self, invocation: &Invocation) -> Result<Contexts> {
        let mut contexts = self.named_contexts(invocation)?;
        no_folder_twice(&contexts.iter().collect::<Vec<_>>())?;
        if self.is_named() {
            contexts.iter().try_for_each(Context::check_folder)?;
        }
        match contexts.pop() {
            Some(context) if contexts.is_empty() && !self.all => Ok(Contexts::One(Box::new(context))),
            last => {
                Ok(Contexts::Several(contexts.into_iter().chain(last).map(Context::among_others).collect()))
            }
        }
    }

    /// All of them, or none where what is named cannot be found: the command tells that.
    pub(super) fn all_contexts(&self, invocation: &Invocation) -> Vec<Context> {
        self.named_contexts(invocation).unwrap_or_default()
    }

    fn named_contexts(&self, invocation: &Invocation) -> Result<Vec<Context>> {
        if self.all {
            return invocation.all_contexts();
        }
        let by_name = self.names.iter().map(|name| invocation.contexts_by_name(name));
        let by_name: Vec<Vec<Context>> = by_name.collect::<Result<_>>()?;
        let in_folders = self.folders.iter().map(|folder| invocation.context_of_folder(folder));
        let in_folders: Vec<Context> = in_folders.collect::<Result<_>>()?;
        let named: Vec<Context> = by_name.into_iter().flatten().chain(in_folders).collect();
        Ok(if named.is_empty() { vec![invocation.usual_context()] } else { named })
    }

    /// Whether anything was named.
    pub(super) fn is_named(&self) -> bool {
        self.all || !self.names.is_empty() || !self.folders.is_empty()
    }

    /// What is named, else everything that `bwdc.toml` names, if it names anything.
    pub(super) fn or_everything(&self, invocation: &Invocation) -> Self {
        let has_instances =
            invocation.setup.installation.as_ref().is_some_and(|found| !found.instances.is_empty());
        if !self.is_named() && has_instances { Self { all: true, ..Self::default() } } else { self.clone() }
    }

    /// The instances that were named.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The first of the folders that were named.
    pub(super) fn first_folder(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// The arguments that select the same.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let absolute = |folder: &PathBuf| std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let folders =
            self.folders.iter().flat_map(|folder| ["--appdata".into(), absolute(folder).into_os_string()]);
        let names = self.names.iter().flat_map(|name| ["--instance".into(), name.into()]);
        folders.chain(names).chain(self.all.then(|| "--all".into())).collect()
    }

    /// What a daemon runs: what is named, else everything that `bwdc.toml` names, else the usual folder.
    pub(super) fn standing(&self, invocation: &Invocation, wish: Wish) -> Result<Vec<SyncJob>> {
        match self.or_everything(invocation).jobs(invocation, wish)? {
            Jobs::One(job) => Ok(vec![job]),
            Jobs::Several(jobs) => Ok(jobs),
        }
    }
}

fn among_others(job: SyncJob) -> SyncJob {
    match job {
        SyncJob::Usual(context) | SyncJob::One(context) => SyncJob::One(Box::new(context.among_others())),
        merged @ SyncJob::Merged(_) => merged,
    }
}

/// The second would only find that the first is running.
fn no_folder_twice(contexts: &[&Context]) -> Result<()> {
    let mut seen: HashMap<PathBuf, &str> = HashMap::new();
    for Context { file, name, .. } in contexts {
        let folder = file.folder();
        if let Some(other) = seen.insert(real_path(folder), name) {
            return Err(Error::new(format!("{other} and {name} are the same folder: {}.", folder.display()))
                .hint("Name it once."));
        }
    }
    Ok(())
}

impl Invocation {
    /// The folder of data.json as the existing connector finds it.
    fn usual(&self, wish: Wish) -> Result<SyncJob> {
        let context = self.context();
        let Some(installation) = &self.setup.installation else {
            return Ok(SyncJob::Usual(Box::new(context)));
        };
        let is_empty = !context.file.path().exists();
        if is_empty && !installation.instances.is_empty() {
            return Err(Error::new(format!(
                "There is no data.json in {}, and {} names {}.",
                context.file.folder().display(),
                installation.path.display(),
                names(installation).join(", ")
            ))
            .hint("Choose with --instance NAME or --all."));
        }
        one_of(installation, context, wish)
    }

    /// The same, by the name that it has in `bwdc.toml`.
    fn usual_context(&self) -> Context {
        self.known_by_name(self.context())
    }

    fn known_by_name(&self, context: Context) -> Context {
        let installation = self.setup.installation.as_ref();
        match installation.and_then(|known| known.instance_in(context.file.folder())) {
            Some(instance) => context.named(&instance.name),
            None => context,
        }
    }

    fn context_of_folder(&self, folder: &Path) -> Result<Context> {
        if folder.starts_with("~") {
            return Err(Error::new(format!("`{}` is only expanded by a shell.", folder.display()))
                .hint("Write out the home folder, or leave out the quotes."));
        }
        let absolute = std::path::absolute(folder).map(|path| path.components().collect::<PathBuf>());
        let absolute = absolute
            .map_err(|error| Error::new(format!("Finding the folder {}: {error}", folder.display())))?;
        let context = self.context_in(absolute).named(&folder.display().to_string());
        Ok(self.known_by_name(context))
    }

    fn in_folder(&self, folder: &Path, wish: Wish) -> Result<SyncJob> {
        let context = self.context_of_folder(folder)?;
        match &self.setup.installation {
            Some(installation) => one_of(installation, context, wish),
            None => Ok(SyncJob::One(Box::new(context))),
        }
    }

    fn by_name(&self, name: &str, wish: Wish) -> Result<SyncJob> {
        let installation = self.installation()?;
        if let Some(organization) = installation.organizations.iter().find(|known| known.name == name) {
            return Ok(self.merged(installation, organization));
        }
        match installation.instances.iter().find(|known| known.name == name) {
            Some(instance) => one_of(installation, self.named(instance), wish),
            None => Err(not_named(name, installation)),
        }
    }

    /// One instance; a merged organization is several.
    fn context_by_name(&self, name: &str) -> Result<Context> {
        let installation = self.installation()?;
        let organization = installation.organizations.iter().find(|known| known.name == name);
        let instance = installation.instances.iter().find(|known| known.name == name);
        match (organization, instance) {
            (Some(organization), _) => {
                let members: Vec<&str> =
                    organization.members.iter().map(|member| member.name.as_str()).collect();
                Err(Error::new(format!(
                    "{name} is a merge of several directories, and this command needs a single one."
                ))
                .hint(format!("Choose one of them: {}.", members.join(", "))))
            }
            (None, Some(instance)) => Ok(self.named(instance)),
            (None, None) => Err(not_named(name, installation)),
        }
    }

    fn contexts_by_name(&self, name: &str) -> Result<Vec<Context>> {
        let installation = self.installation()?;
        match installation.organizations.iter().find(|known| known.name == name) {
            Some(organization) => {
                organization.members.iter().map(|member| self.context_by_name(&member.name)).collect()
            }
            None => self.context_by_name(name).map(|context| vec![context]),
        }
    }

    /// Every instance, merged or not.
    fn all_contexts(&self) -> Result<Vec<Context>> {
        let installation = self.installation()?;
        let all: Vec<Context> = installation.instances.iter().map(|instance| self.named(instance)).collect();
        if all.is_empty() { Err(names_none(installation)) } else { Ok(all) }
    }

    /// Every instance that is not merged, and every merge.
    fn all(&self) -> Result<Vec<SyncJob>> {
        let installation = self.installation()?;
        let alone = installation.alone().map(|instance| SyncJob::One(Box::new(self.named(instance))));
        let merged =
            installation.organizations.iter().map(|organization| self.merged(installation, organization));
        let jobs: Vec<SyncJob> = alone.chain(merged).collect();
        if jobs.is_empty() {
            return Err(names_none(installation));
        }
        Ok(jobs)
    }

    /// What `bwdc.toml` names besides these.
    pub(super) fn others(&self, jobs: &[SyncJob]) -> Vec<SyncJob> {
        let all = self.setup.installation.as_ref().and_then(|_| self.all().ok()).unwrap_or_default();
        all.into_iter().filter(|other| jobs.iter().all(|job| job.name() != other.name())).collect()
    }

    fn installation(&self) -> Result<&Installation> {
        self.setup.installation.as_ref().ok_or_else(|| {
            Error::new(format!("There is no bwdc.toml in {}, and none was given.", self.folder.display()))
                .hint("Give it with --config FILE, or give folders with --appdata DIR.")
        })
    }

    fn merged(&self, installation: &Installation, organization: &MergedOrganization) -> SyncJob {
        let members = organization.members.iter().map(|member| {
            let context = self.context_in(member.folder.clone()).named(&member.name).among_others();
            MergeMember { context, prefix: member.prefix.clone() }
        });
        SyncJob::Merged(Merge {
            name: organization.name.clone(),
            members: members.collect(),
            path: installation.path.clone(),
            at_once: self.setup.at_once.value.0,
        })
    }

    fn named(&self, instance: &NamedInstance) -> Context {
        self.context_in(instance.folder.clone()).named(&instance.name)
    }
}

fn not_named(name: &str, installation: &Installation) -> Error {
    let names = names(installation);
    let error = Error::new(format!("{} has no instance `{name}`.", installation.path.display()));
    error.hint(match did_you_mean(name, names.iter().copied()) {
        Some(near) => format!("Did you mean {near}?"),
        None => format!("It names: {}.", names.join(", ")),
    })
}

fn names_none(installation: &Installation) -> Error {
    Error::new(format!("{} has no instances.", installation.path.display()))
        .hint("Add one: [instance.NAME] and folder = \"...\".")
}

/// An instance by the name that it has in `bwdc.toml`, if it may be run alone.
fn one_of(installation: &Installation, context: Context, wish: Wish) -> Result<SyncJob> {
    let Some(instance) = installation.instance_in(context.file.folder()) else {
        return Ok(SyncJob::One(Box::new(context)));
    };
    match installation.merging(&instance.name) {
        Some(organization) if wish == Wish::Sync => {
            Err(not_alone(&instance.name, &organization.name, &installation.path))
        }
        _ => Ok(SyncJob::One(Box::new(context.named(&instance.name)))),
    }
}

fn names(installation: &Installation) -> Vec<&str> {
    let instances = installation.instances.iter().map(|instance| instance.name.as_str());
    instances
        .chain(installation.organizations.iter().map(|organization| organization.name.as_str()))
        .collect()
}
