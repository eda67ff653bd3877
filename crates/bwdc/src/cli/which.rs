//! Which instances a command is about.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bwdc_core::did_you_mean;
use clap::Args;

use super::Given;
use crate::config::installation::{Installation, Named, Organization};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::run::Context;
use crate::run::merged::{self, Member, Merge};
use crate::state::DataFile;

/// Without any of these it is the one folder of data.json, as always.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Which {
    /// The folder of an instance's data.json. Given more than once, all are done side by side.
    #[arg(long = "appdata", value_name = "DIR", conflicts_with_all = ["names", "all"])]
    folders: Vec<PathBuf>,
    /// An instance or a merged organization of bwdc.toml, by name; likewise.
    #[arg(long = "instance", value_name = "NAME", conflicts_with = "all")]
    names: Vec<String>,
    /// Everything that bwdc.toml names.
    #[arg(long)]
    all: bool,
}

/// What is to be done: one as the existing connector does it, or several with a summary.
pub(super) enum Jobs {
    One(Job),
    Several(Vec<Job>),
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
    pub(super) fn jobs(&self, given: &Given, wish: Wish) -> Result<Jobs> {
        let mut jobs = if self.all {
            given.all()?
        } else if !self.names.is_empty() {
            self.names.iter().map(|name| given.by_name(name, wish)).collect::<Result<_>>()?
        } else if !self.folders.is_empty() {
            self.folders.iter().map(|folder| given.in_folder(folder, wish)).collect::<Result<_>>()?
        } else {
            vec![given.usual(wish)?]
        };
        no_folder_twice(&jobs)?;
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
    /// What a daemon runs: what is named, else everything that `bwdc.toml` names, else the usual folder.
    pub(super) fn standing(&self, given: &Given) -> Result<Vec<Job>> {
        let is_named = self.all || !self.names.is_empty() || !self.folders.is_empty();
        let has_instances =
            given.setup.installation.as_ref().is_some_and(|found| !found.instances.is_empty());
        let all = Self { all: true, ..Self::default() };
        let which = if !is_named && has_instances { &all } else { self };
        match which.jobs(given, Wish::Sync)? {
            Jobs::One(job) => Ok(vec![job]),
            Jobs::Several(jobs) => Ok(jobs),
        }
    }
}

fn among_others(job: Job) -> Job {
    match job {
        Job::Usual(context) | Job::One(context) => Job::One(Box::new(context.among_others())),
        merged @ Job::Merged(_) => merged,
    }
}

/// The second would only find that the first is running.
fn no_folder_twice(jobs: &[Job]) -> Result<()> {
    let mut seen: HashMap<PathBuf, &str> = HashMap::new();
    for context in jobs.iter().flat_map(Job::contexts) {
        let folder = context.file.folder();
        let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        if let Some(other) = seen.insert(real, &context.name) {
            return Err(Error::new(format!(
                "{other} and {} are the same folder: {}.",
                context.name,
                folder.display()
            ))
            .hint("Name it once."));
        }
    }
    Ok(())
}

impl Given {
    /// The folder of data.json as the existing connector finds it.
    fn usual(&self, wish: Wish) -> Result<Job> {
        let context = self.context();
        let Some(installation) = &self.setup.installation else { return Ok(Job::Usual(Box::new(context))) };
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

    fn in_folder(&self, folder: &Path, wish: Wish) -> Result<Job> {
        if folder.starts_with("~") {
            return Err(Error::new(format!("`{}` is understood by shells only.", folder.display()))
                .hint("Write the home folder out, or without quotes."));
        }
        let absolute = std::path::absolute(folder).map(|path| path.components().collect::<PathBuf>());
        let absolute = absolute
            .map_err(|error| Error::new(format!("Finding the folder {}: {error}", folder.display())))?;
        let context = self.context_in(absolute).named(&folder.display().to_string());
        match &self.setup.installation {
            Some(installation) => one_of(installation, context, wish),
            None => Ok(Job::One(Box::new(context))),
        }
    }

    fn by_name(&self, name: &str, wish: Wish) -> Result<Job> {
        let installation = self.installation()?;
        if let Some(organization) = installation.organizations.iter().find(|known| known.name == name) {
            return Ok(self.merged(installation, organization));
        }
        match installation.instances.iter().find(|known| known.name == name) {
            Some(instance) => one_of(installation, self.named(instance), wish),
            None => {
                let names = names(installation);
                let error =
                    Error::new(format!("{} names no instance `{name}`.", installation.path.display()));
                Err(error.hint(match did_you_mean(name, names.iter().copied()) {
                    Some(near) => format!("Did you mean {near}?"),
                    None => format!("It names: {}.", names.join(", ")),
                }))
            }
        }
    }

    /// Every instance that is not merged, and every merge.
    fn all(&self) -> Result<Vec<Job>> {
        let installation = self.installation()?;
        let alone = installation.alone().map(|instance| Job::One(Box::new(self.named(instance))));
        let merged =
            installation.organizations.iter().map(|organization| self.merged(installation, organization));
        let jobs: Vec<Job> = alone.chain(merged).collect();
        if jobs.is_empty() {
            return Err(Error::new(format!("{} names no instance.", installation.path.display()))
                .hint("Add one: [instance.NAME] and folder = \"...\"."));
        }
        Ok(jobs)
    }

    /// What `bwdc.toml` names besides these.
    pub(super) fn others(&self, jobs: &[Job]) -> Vec<Job> {
        let all = self.setup.installation.as_ref().and_then(|_| self.all().ok()).unwrap_or_default();
        all.into_iter().filter(|other| jobs.iter().all(|job| job.name() != other.name())).collect()
    }

    fn installation(&self) -> Result<&Installation> {
        self.setup.installation.as_ref().ok_or_else(|| {
            Error::new(format!("There is no bwdc.toml in {}, and none was named.", self.folder.display()))
                .hint("Name it with --config FILE, or name folders with --appdata DIR.")
        })
    }

    fn merged(&self, installation: &Installation, organization: &Organization) -> Job {
        let members = organization.members.iter().map(|member| {
            let context = self.context_in(member.folder.clone()).named(&member.name).among_others();
            Member { context, prefix: member.prefix.clone() }
        });
        Job::Merged(Merge {
            name: organization.name.clone(),
            members: members.collect(),
            path: installation.path.clone(),
            at_once: self.setup.at_once.value.0,
        })
    }

    fn named(&self, instance: &Named) -> Context {
        self.context_in(instance.folder.clone()).named(&instance.name)
    }

    fn context_in(&self, folder: PathBuf) -> Context {
        Context::new(DataFile::in_folder(folder), self.environment.clone(), self.style)
    }
}

/// An instance by the name that it has in `bwdc.toml`, if it may be run alone.
fn one_of(installation: &Installation, context: Context, wish: Wish) -> Result<Job> {
    let Some(instance) = installation.instance_in(context.file.folder()) else {
        return Ok(Job::One(Box::new(context)));
    };
    match installation.merging(&instance.name) {
        Some(organization) if wish == Wish::Sync => {
            Err(merged::not_alone(&instance.name, &organization.name, &installation.path))
        }
        _ => Ok(Job::One(Box::new(context.named(&instance.name)))),
    }
}

fn names(installation: &Installation) -> Vec<&str> {
    let instances = installation.instances.iter().map(|instance| instance.name.as_str());
    instances
        .chain(installation.organizations.iter().map(|organization| organization.name.as_str()))
        .collect()
}
