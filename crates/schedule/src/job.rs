//! What is run, as everything that starts it is given it: the sync of one instance by a scheduler, or the daemon by what keeps services.

use serde::{Deserialize, Serialize};

use crate::times::Schedule;
use crate::variables::{APPDATA_DIR, LOG_FILE, STARTED_BY};
use bwdc_core::error::{Error, Result};

/// The log in an instance's folder, where nothing else is said.
pub const USUAL_LOG: &str = "bwdc.log";

/// The sync of one instance, as every scheduler is given it.
#[derive(Clone, Debug)]
pub struct ScheduledJob {
    /// When it runs.
    pub schedule: Schedule,
    /// What it runs.
    pub runs: Job,
}

/// The program, for whom and where.
#[derive(Clone, Debug)]
pub struct Job {
    /// The program, by its absolute path: a scheduler's PATH is short.
    pub program: String,
    /// The folder of data.json.
    pub folder: String,
    /// Whether one instance or all.
    pub syncs: Syncs,
    /// Where it writes besides its folder.
    pub writes: Writes,
    /// User to run the job as.
    pub user: String,
    /// Besides the folder's, for the environment that whatever starts it leaves bare.
    pub variables: Vec<(String, String)>,
}

/// Where a job writes besides its folder, by what bwdc.toml says.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// The folder of the log file.
    pub log: Option<String>,
    /// The folders of the instances, for a job that syncs all.
    pub instances: Vec<String>,
}

impl Writes {
    /// All folders.
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.log.iter().chain(&self.instances)
    }
}

/// What a job syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syncs {
    /// The instance in the folder.
    #[default]
    Instance,
    /// All instances in bwdc.toml.
    Everything,
}

impl Syncs {
    /// The words behind the program's name.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Instance => &["sync"],
            Self::Everything => &["sync", "--all"],
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(crate) fn is_instance(&self) -> bool {
        *self == Self::Instance
    }
}

/// What starts a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// A scheduler, by its name: the runs keep it.
    Scheduler(&'static str),
    /// What keeps services: the daemon starts the runs.
    Services,
}

impl Job {
    /// All variables of the job, the folder's first, and which scheduler starts it.
    pub(crate) fn environment(&self, by: Starter) -> impl Iterator<Item = (&str, &str)> {
        let scheduler = match by {
            Starter::Scheduler(name) => Some((STARTED_BY, name)),
            Starter::Services => None,
        };
        [(APPDATA_DIR, self.folder.as_str())]
            .into_iter()
            .chain(scheduler)
            .chain(self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The log file, if it has one.
    pub(crate) fn log_file(&self) -> Option<&str> {
        log_file(&self.variables)
    }

    /// A name for its files and units, of its folder.
    pub(crate) fn name(&self) -> String {
        name_of(&self.folder)
    }
}

/// `bwdc-srv-one` for `/srv/one`.
pub(crate) fn name_of(folder: &str) -> String {
    let words = folder.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once("bwdc").chain(words).collect::<Vec<_>>().join("-").to_lowercase()
}

pub(crate) fn log_file(variables: &[(String, String)]) -> Option<&str> {
    variables.iter().find(|(name, _)| name == LOG_FILE).map(|(_, path)| path.as_str())
}

/// Refuses what would end a line of a file.
pub(crate) fn on_one_line(what: &str, text: &str) -> Result<()> {
    if text.contains(['\n', '\r', '\0']) {
        return Err(Error::new(format!("The {what} `{}` contains a line break.", text.escape_debug()))
            .hint("No scheduler can store that: use another."));
    }
    Ok(())
}

/// Checks what stands in every file.
pub(crate) fn check(job: &Job) -> Result<()> {
    on_one_line("folder", &job.folder)?;
    on_one_line("program", &job.program)?;
    on_one_line("user", &job.user)?;
    job.writes.all().try_for_each(|folder| on_one_line("folder", folder))?;
    job.variables.iter().try_for_each(|(name, value)| on_one_line(&format!("variable {name}"), value))
}

/// As text between XML tags.
pub(crate) fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
