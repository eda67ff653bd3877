//! What a job needs before it can be tried and installed: its user, its folders, and who owns them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::account::{self, SystemAccount};
use crate::job::{Job, Syncs};
use crate::schedulers::{Accounts, Mode};
use crate::steps::{MachineChange, Steps};
use crate::trial;
use bwdc_core::error::{Error, Result};

/// The user of a job.
#[derive(Clone, Debug)]
pub struct JobUser {
    /// The name.
    pub name: String,
    /// The account; `None` where it has still to be made, or is of another machine.
    pub account: Option<SystemAccount>,
}

/// Whether owners and permissions that would make a job fail are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// They are: folders and root's files in them are given to the user, and the user is added to cron.allow.
    Fix,
    /// They stay.
    Keep,
}

/// Whether each job is tried before it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It is, as the scheduler would run it.
    Try,
    /// It is not.
    Skip,
}

/// Whether a user who does not exist is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingUser {
    /// The user is made.
    Create,
    /// It is an error.
    Refuse,
}

/// What an installation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallOutcome {
    /// Nothing: it was installed already.
    Nothing,
    /// The jobs are installed now; with what was mended, a sentence for each.
    Installed(Vec<String>),
}

impl JobUser {
    /// The user of this name, or whoever asks where none is given.
    ///
    /// # Errors
    /// Root gave none, or there is no such user and none is to be made.
    pub fn find(name: Option<&str>, missing: MissingUser) -> Result<Self> {
        let name = match name {
            Some(name) => name.to_owned(),
            None if account::is_root() => {
                return Err(Error::new("No user was given, and syncs should not run as root.")
                    .hint("Use --user bwdc, with --create-user if that user does not exist yet."));
            }
            None => account::own_name()?,
        };
        match (account::find(&name)?, missing) {
            (Some(account), _) => Ok(Self { name: account.name.clone(), account: Some(account) }),
            (None, MissingUser::Create) => Ok(Self { name, account: None }),
            (None, MissingUser::Refuse) => Err(Error::new(format!("There is no user {name}."))
                .hint("Create the user with --create-user, or yourself.")),
        }
    }

    /// A user known by name alone.
    pub fn named(name: Option<&str>) -> Self {
        Self { name: name.unwrap_or("bwdc").to_owned(), account: None }
    }

    /// Whether it is whoever runs this program.
    ///
    /// # Errors
    /// The system cannot tell who that is.
    pub fn is_own(&self) -> Result<bool> {
        Ok(self.name == account::own_name()?)
    }

    /// The home folder, that of one who has still to be made too.
    pub fn home(&self) -> PathBuf {
        self.account.as_ref().map_or_else(|| account::home_of_new(&self.name), |account| account.home.clone())
    }
}

/// What a request says about jobs, whatever is to run them.
pub(crate) struct Preparation<'a> {
    /// How the user is known there.
    pub(crate) accounts: Accounts,
    /// The user to run them as.
    pub(crate) user: &'a JobUser,
    /// The jobs.
    pub(crate) jobs: Vec<&'a Job>,
    /// Whether what would make a job fail is mended.
    pub(crate) owners: Owners,
    /// Whether each job is tried first.
    pub(crate) trial: Trial,
    /// Files with secrets outside the folders that only root can read.
    pub(crate) secret_files: &'a [PathBuf],
}

impl Preparation<'_> {
    /// Everything that would be done; `install` says what after the preparation.
    pub(crate) fn preview(&self, install: impl Fn(Mode) -> Result<Steps>) -> Result<Steps> {
        let mut steps = self.steps()?;
        steps.extend(install(Mode::Show)?);
        Ok(steps)
    }

    /// Prepares, tries and installs.
    pub(crate) fn carry_out(
        &self,
        try_out: impl Fn() -> Result<()>,
        install: impl Fn(Mode) -> Result<Steps>,
    ) -> Result<InstallOutcome> {
        self.look_first()?;
        let preparation = self.steps()?;
        // What cannot be done is told before anything is done.
        install(Mode::Show)?;
        preparation.apply()?;
        if self.trial == Trial::Try {
            try_out()?;
        }
        let steps = install(Mode::Do)?;
        let mended: Vec<String> = preparation.0.iter().filter_map(mended).collect();
        if steps.is_empty() && mended.is_empty() {
            return Ok(InstallOutcome::Nothing);
        }
        steps.apply()?;
        Ok(InstallOutcome::Installed(mended))
    }

    /// Looks at what can be told without a change.
    fn look_first(&self) -> Result<()> {
        if self.trial == Trial::Skip || self.accounts == Accounts::Named {
            return Ok(());
        }
        if let (None, Some(job)) = (&self.user.account, self.jobs.first()) {
            trial::program_for_a_stranger(&job.program)?;
        }
        // Whoever may not look hears of that from the trial.
        let is_missing = |job: &&&Job| {
            let data = Path::new(&job.folder).join("data.json");
            job.syncs == Syncs::Instance && data.try_exists().is_ok_and(|is_there| !is_there)
        };
        match self.jobs.iter().find(is_missing) {
            Some(job) => Err(trial::not_set_up(&job.folder)),
            None => Ok(()),
        }
    }

    /// The user and the folders, which a trial needs already.
    fn steps(&self) -> Result<Steps> {
        if self.accounts == Accounts::Named {
            return Ok(Steps::default());
        }
        let mut steps = Steps(self.new_user());
        steps.0.extend(self.new_folders());
        // A user who is made for it gets it, too.
        let is_given = self.owners == Owners::Fix || self.user.account.is_none();
        if is_given && account::is_root() && !self.user.is_own()? {
            self.only_instances()?;
            steps.0.extend(self.new_owners());
        }
        Ok(steps)
    }

    /// A system account without a login shell; nobody else may look into its home.
    fn new_user(&self) -> Vec<MachineChange> {
        if self.user.account.is_some() {
            return Vec::new();
        }
        let user = &self.user.name;
        let home = self.user.home().display().to_string();
        let shell = "/usr/sbin/nologin";
        let make = [
            "useradd",
            "--system",
            "--user-group",
            "--create-home",
            "--home-dir",
            &home,
            "--shell",
            shell,
            user,
        ];
        vec![MachineChange::run(&make), MachineChange::run(&["chmod", "700", &home])]
    }

    /// The folders that are missing: a scheduler cannot begin in one that is not there.
    fn new_folders(&self) -> Vec<MachineChange> {
        let all: BTreeSet<&String> =
            self.jobs.iter().flat_map(|job| job.writes.log.iter().chain([&job.folder])).collect();
        let missing = all.into_iter().filter(|folder| !Path::new(folder).is_dir());
        let user = &self.user.name;
        missing.map(|folder| MachineChange::MakeFolder { path: folder.into(), user: user.clone() }).collect()
    }

    /// The folders of all instances that the jobs sync.
    fn instance_folders(&self) -> impl Iterator<Item = &String> {
        self.jobs.iter().flat_map(|job| job.writes.instances.iter().chain([&job.folder]))
    }

    /// Refuses to give away what is no instance's folder: a slip such as `/etc` would hand the machine to the user.
    fn only_instances(&self) -> Result<()> {
        match self.instance_folders().find(|folder| !is_empty_or_an_instances(Path::new(folder))) {
            Some(other) => Err(Error::new(format!(
                "{other} has files in it and neither data.json nor bwdc.toml: it is not given to {}.",
                self.user.name
            ))
            .hint("Nothing was changed. Check the folder's name; set it up first with `bwdc init --appdata DIR`.")),
            None => Ok(()),
        }
    }

    /// The folders of the jobs, and the files with secrets, for the user.
    fn new_owners(&self) -> Vec<MachineChange> {
        let user = &self.user.name;
        let home = self.user.account.is_none().then(|| self.user.home());
        let folders: BTreeSet<PathBuf> =
            self.instance_folders().map(PathBuf::from).chain(home.clone()).collect();
        let in_home =
            |folder: &Path| home.as_ref().is_some_and(|home| folder != home && folder.starts_with(home));
        let roots = folders.into_iter().filter(|folder| !in_home(folder) && has_what_is_roots(folder, 3));
        let folders = roots.map(|path| MachineChange::Own { path, user: user.clone() });
        let files: BTreeSet<&PathBuf> = self.secret_files.iter().collect();
        let files =
            files.into_iter().map(|path| MachineChange::OwnFile { path: path.clone(), user: user.clone() });
        folders.chain(files).collect()
    }
}

/// Whether a folder is an instance's, or has nothing in it yet.
pub(crate) fn is_empty_or_an_instances(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    let is_empty = std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    is_empty || has("data.json") || has("bwdc.toml")
}

/// What was mended, in a sentence.
fn mended(step: &MachineChange) -> Option<String> {
    match step {
        MachineChange::Own { path, user } => {
            Some(format!("{} and root's files in it now belong to {user}.", path.display()))
        }
        MachineChange::OwnFile { path, user } => Some(format!("{} now belongs to {user}.", path.display())),
        _ => None,
    }
}

/// Whether a folder of an instance, or something in it, is root's.
#[cfg(unix)]
fn has_what_is_roots(path: &Path, depth: usize) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(found) = path.symlink_metadata() else { return false };
    let within = || {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| has_what_is_roots(&path, depth - 1))
    };
    (found.uid() == 0 && !found.is_symlink()) || (found.is_dir() && depth > 0 && within())
}

#[cfg(not(unix))]
fn has_what_is_roots(_path: &Path, _depth: usize) -> bool {
    false
}
