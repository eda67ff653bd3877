//! The daemon as a service of the machine: started with it, restarted when it fails. What keeps services is behind [`Keeper`], as schedulers
//! are behind theirs; a service and a scheduled sync of the same machine run with the same restrictions.

mod launchd;
mod systemd;
mod windows;

pub(crate) use self::windows::ServiceChange;
pub use self::windows::make_private_folder;
#[cfg(windows)]
pub use self::windows::own_words;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::{Job, Syncs, on_one_line};
use crate::marker;
use crate::preparation::{InstallOutcome, JobUser, Owners, Preparation, Trial};
use crate::schedulers::systemd::Manager;
use crate::schedulers::{Accounts, Homes, Mode, Scheduler};
use crate::steps::Steps;
use bwdc_core::error::{Error, Result};

/// What keeps services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKeeper {
    /// systemd, by the unit `bwdc.service`.
    Systemd,
    /// launchd, by the property list `bwdc.daemon`.
    Launchd,
    /// The service control manager of Windows, by the service `bwdc`.
    Windows,
}

/// The service's name on Windows, and the source of its events there.
pub const WINDOWS_NAME: &str = "bwdc";

/// The word that Windows starts the program with. It is no command of people's, so that no help and no completion has it.
pub const WINDOWS_COMMAND: &str = "service-process";

impl ServiceKeeper {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Systemd, Self::Launchd, Self::Windows];

    fn keeper(self) -> &'static dyn Keeper {
        match self {
            Self::Systemd => &systemd::Systemd,
            Self::Launchd => &launchd::Launchd,
            Self::Windows => &windows::Windows,
        }
    }

    /// The scheduler of the same system: whether it is here and where it logs are the same.
    fn scheduler(self) -> Scheduler {
        match self {
            Self::Systemd => Scheduler::Systemd,
            Self::Launchd => Scheduler::Launchd,
            Self::Windows => Scheduler::TaskScheduler,
        }
    }

    /// The name, as `--using` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Systemd | Self::Launchd => self.scheduler().name(),
            Self::Windows => "windows",
        }
    }

    /// How the service's user is known.
    pub fn accounts(self) -> Accounts {
        self.scheduler().accounts()
    }

    /// User of a service for which none was named. `None` where one has to be.
    pub fn usual_user(self) -> Option<&'static str> {
        match self {
            Self::Systemd | Self::Launchd => None,
            Self::Windows => Some(windows::ACCOUNT),
        }
    }

    /// What keeps the services of this machine.
    ///
    /// # Errors
    /// Nothing that is known here.
    pub fn of_this_machine() -> Result<Self> {
        Self::ALL.into_iter().find(|keeper| keeper.scheduler().is_here()).ok_or_else(|| {
            Error::new("Neither systemd nor launchd runs here, and it is not Windows: nothing can keep a service.")
                .hint("Have this machine's own init run `bwdc daemon`, or let cron run syncs: `bwdc schedule install`.")
        })
    }

    /// The log file of a service that was given none. `None` where the keeper itself keeps what a service prints.
    pub fn default_log(self, folder: &str) -> Option<String> {
        self.scheduler().default_log(folder)
    }
}

/// What is asked of everything that keeps services.
trait Keeper: Sync {
    /// What it takes to install the service, and to start it.
    fn steps(&self, request: &ServiceRequest) -> Result<Steps>;

    /// Tries the service's configuration as it would run.
    fn try_out(&self, request: &ServiceRequest) -> Result<()>;

    /// The services that this user can see.
    fn list(&self, homes: &Homes) -> Vec<InstalledService>;
}

/// What an administrator asks `service install` for, complete before anything is done.
#[derive(Clone, Debug)]
pub struct ServiceRequest {
    /// What is to keep it.
    pub keeper: ServiceKeeper,
    /// The user to run it as.
    pub user: JobUser,
    /// What it runs: the folder is that of bwdc.toml or data.json.
    pub job: Job,
    /// Further options of `bwdc daemon`.
    pub options: Vec<String>,
    /// Where things of whoever installs it are.
    pub homes: Homes,
    /// Whether what would make it fail is mended.
    pub owners: Owners,
    /// Whether it is tried first.
    pub trial: Trial,
    /// Files with secrets outside the folders that only root can read, and that the user is given with [`Owners::Fix`].
    pub secret_files: Vec<PathBuf>,
    /// The systemd that is to run it.
    pub manager: Manager,
    /// systemd: the name of a secret, and the file with it.
    pub credentials: Vec<(String, String)>,
}

impl ServiceRequest {
    /// Everything that would be done.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn preview(&self) -> Result<Steps> {
        self.preparation().preview(|mode| self.steps(mode))
    }

    /// Prepares, tries, installs and starts.
    ///
    /// # Errors
    /// The daemon could not work, or something could not be done. Where the trial fails, nothing is installed.
    pub fn carry_out(&self) -> Result<InstallOutcome> {
        let keeper = self.keeper.keeper();
        self.preparation().carry_out(|| keeper.try_out(self), |mode| self.steps(mode))
    }

    fn steps(&self, _mode: Mode) -> Result<Steps> {
        self.options.iter().try_for_each(|option| on_one_line("option", option))?;
        self.keeper.keeper().steps(self)
    }

    fn preparation(&self) -> Preparation<'_> {
        Preparation {
            accounts: self.keeper.accounts(),
            user: &self.user,
            jobs: vec![&self.job],
            owners: self.owners,
            trial: self.trial,
            secret_files: &self.secret_files,
        }
    }

    /// The words behind the program's name.
    fn words(&self) -> impl Iterator<Item = &str> {
        [DAEMON].into_iter().chain(self.options.iter().map(String::as_str))
    }

    fn served(&self) -> Served {
        Served {
            folder: self.job.folder.clone(),
            syncs: self.job.syncs,
            user: self.job.user.clone(),
            program: self.job.program.clone(),
            options: self.options.clone(),
            variables: self.job.variables.clone(),
        }
    }
}

/// The command that the service is.
const DAEMON: &str = "daemon";

/// What a service serves, as its file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The folder of bwdc.toml or data.json.
    pub folder: String,
    /// Whether one instance or all.
    #[serde(default, skip_serializing_if = "Syncs::is_instance")]
    pub syncs: Syncs,
    /// User the daemon runs as.
    pub user: String,
    /// The program, by its absolute path.
    pub program: String,
    /// Further options of `bwdc daemon`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Besides the folder's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<(String, String)>,
}

const MARKER: &str = "bwdc-service: ";

impl Served {
    fn marker(&self) -> String {
        marker::text_of(MARKER, self)
    }

    /// As a file says that `service install` has made.
    fn of_text(text: &str) -> Option<Self> {
        marker::all_in(MARKER, text).pop()
    }
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceState {
    /// In its keeper's own words: `active (running)`.
    pub state: String,
    /// Whether it runs.
    pub is_running: bool,
    /// Whether it starts with the machine.
    pub starts_at_boot: bool,
}

/// What a keeper knows of a service of its own.
trait Kept: Debug + Send + Sync {
    /// How it is now.
    fn state(&self) -> Result<ServiceState>;

    /// What it takes to stop and remove it.
    fn removal(&self) -> Result<Steps>;
}

/// A service that is installed.
#[derive(Clone, Debug)]
pub struct InstalledService {
    /// What keeps it.
    pub keeper: ServiceKeeper,
    /// Its file.
    pub place: PathBuf,
    /// What it serves.
    pub served: Served,
    kept: Arc<dyn Kept>,
}

impl InstalledService {
    /// How it is now.
    ///
    /// # Errors
    /// Its keeper cannot be asked.
    pub fn state(&self) -> Result<ServiceState> {
        self.kept.state()
    }

    /// What it takes to stop and remove it.
    ///
    /// # Errors
    /// It is a package's, or its keeper cannot be asked.
    pub fn removal(&self) -> Result<Steps> {
        self.kept.removal()
    }
}

/// The services of this machine that this user can see.
pub fn installed(homes: &Homes) -> Vec<InstalledService> {
    ServiceKeeper::ALL.into_iter().flat_map(|keeper| keeper.keeper().list(homes)).collect()
}

fn not_ours(path: &std::path::Path) -> Error {
    Error::new(format!("{} was not made by `bwdc service install`.", path.display()))
        .hint("Move it elsewhere, then install again.")
}
