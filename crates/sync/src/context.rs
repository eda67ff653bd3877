//! One instance, and all that a run of it needs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bwdc_config::installation::AlertSetup;
use bwdc_config::{Environment, Secrets};
use bwdc_connect::directory::Progress;
use bwdc_core::error::{Error, Result};
use bwdc_store::DataFile;
use bwdc_store::errand::{Company, InstanceAddress};
use bwdc_store::tokens::TokenMemory;

use crate::watch::Watch;

/// What every command of an instance needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its data.json.
    pub file: DataFile,
    /// The environment of this process.
    pub environment: Environment,
    /// Where its secrets are.
    pub secrets: Secrets,
    /// Who is told what happens.
    pub watch: Arc<dyn Watch>,
    /// By which the log and summaries know the instance.
    pub name: String,
    pub(crate) company: Company,
    pub(crate) alerts: Arc<AlertSetup>,
}

impl Context {
    /// Of a folder without a name: its own.
    pub fn new(file: DataFile, environment: Environment, watch: Arc<dyn Watch>) -> Self {
        let environment = environment.counting();
        let secrets = Secrets::new(environment.clone(), file.clone());
        let name =
            file.folder().file_name().unwrap_or(file.folder().as_os_str()).to_string_lossy().into_owned();
        Self { file, environment, secrets, watch, name, company: Company::Alone, alerts: Arc::default() }
    }

    /// The one in this place.
    pub fn at(place: InstanceAddress, environment: Environment, watch: Arc<dyn Watch>) -> Self {
        let InstanceAddress { folder, name, company, found_by } = place;
        let context = Self::new(DataFile::in_folder(folder.into()), environment, watch).named(&name);
        Self { company, ..context.found_by(found_by.map(PathBuf::from)) }
    }

    /// What another process has to know to find it.
    pub fn place(&self) -> InstanceAddress {
        let Self { file, secrets, name, company, .. } = self;
        let found_by = secrets.installation().map(OsString::from);
        InstanceAddress { folder: file.folder().into(), name: name.clone(), company: *company, found_by }
    }

    /// One on which this `bwdc.toml` had a say.
    #[must_use]
    pub fn found_by(self, installation: Option<PathBuf>) -> Self {
        Self { secrets: self.secrets.found_by(installation), ..self }
    }

    /// One whose folder somebody named, on the command line or in `bwdc.toml`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// A folder that was named is there; it is not made for a slip of the pen.
    pub fn check_folder(&self) -> Result<()> {
        let folder = self.file.folder();
        if folder.is_dir() {
            return Ok(());
        }
        Err(Error::new(format!("There is no folder {}.", folder.display()))
            .hint(format!("Correct its name, or set it up: bwdc init --appdata {}", folder.display())))
    }

    /// One of several in this run: warnings say which one, and no line counts.
    #[must_use]
    pub fn among_others(self) -> Self {
        Self { company: Company::AmongOthers, ..self }
    }

    /// Says something in the log, and to whoever watches.
    pub fn warn(&self, text: &str) {
        tracing::warn!("{text}");
        self.watch.logged_warning(&self.labelled(text));
    }

    /// With the name before it, where there are others.
    pub fn labelled(&self, text: &str) -> String {
        match self.company {
            Company::Alone => text.to_owned(),
            Company::AmongOthers => format!("{}: {text}", self.name),
        }
    }

    /// Shows the counts of a read for as long as what it returns is kept. Of several instances nobody's are shown.
    pub fn show(&self, progress: &Arc<Progress>) -> Option<Box<dyn Send>> {
        match self.company {
            Company::Alone => Some(self.watch.reading(progress)),
            Company::AmongOthers => None,
        }
    }

    /// One about which these channels are told.
    #[must_use]
    pub fn alerting(self, alerts: &Arc<AlertSetup>) -> Self {
        Self { alerts: Arc::clone(alerts), ..self }
    }

    /// Who is told about the instance: by `bwdc.toml`, or else by its settings, which are read now.
    pub fn alert_setup(&self) -> Arc<AlertSetup> {
        if !self.alerts.is_empty() {
            return Arc::clone(&self.alerts);
        }
        Arc::new(AlertSetup::clone(&self.alerts).of_settings(&self.file, &self.environment))
    }

    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub fn with_tokens(self, tokens: TokenMemory) -> Self {
        Self { secrets: self.secrets.with_tokens(tokens), ..self }
    }
}
