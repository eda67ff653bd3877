//! Every environment variable, each read here and nowhere else.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use bwdc_connect::http::{Network, Tally};
use bwdc_core::Secret;
use bwdc_core::metrics::RequestCount;

use crate::installation::ALERT_VARIABLES;
use bwdc_core::error::{Error, Result};
use bwdc_store::runs::RunStarter;

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:expr;)+) => {
        $($(#[doc = $doc])+ pub const $constant: &str = $name;)+
        /// All variables with their meaning: the source of `docs/configuration.md`.
        pub const ALL: &[(&str, &str)] = &[$(($name, concat!($($doc),+))),+];
    };
}

variables! {
    /// The folder of `data.json`, its lock and what else an instance keeps.
    APPDATA_DIR = bwdc_schedule::variables::APPDATA_DIR;
    /// The older name of the same.
    OLDER_APPDATA_DIR = "BITWARDEN_CONNECTOR_APPDATA_DIR";
    /// `true`: secrets are kept in `data.json`.
    PLAINTEXT_SECRETS = "BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS";
    /// `true`: says on the console what it does.
    DEBUG = "BITWARDENCLI_CONNECTOR_DEBUG";
    /// The organization's client id, for `login`, and for `sync` and `test` without a login.
    CLIENT_ID = "BW_CLIENTID";
    /// The organization's API key, likewise.
    CLIENT_SECRET = "BW_CLIENTSECRET";
    /// Where systemd puts a unit's credentials; the secrets in it are named as in `docs/secrets.md`.
    CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY";
    /// A file of secrets, readable by its owner only; as the setting `secrets.file`.
    SECRETS_FILE = "BWDC_SECRETS_FILE";
    /// The file that says what this machine runs; as `--config`. Without it, `bwdc.toml` beside `data.json`, if it is there.
    CONFIG = bwdc_schedule::variables::CONFIG;
    /// The log file; as `--log-file`, and `log.file` in `bwdc.toml`.
    LOG_FILE = bwdc_schedule::variables::LOG_FILE;
    /// `text` or `json`; as `--log-format`, and `log.format`.
    LOG_FORMAT = "BWDC_LOG_FORMAT";
    /// `error`, `warn`, `info` or `debug`; as `log.level`.
    LOG_LEVEL = "BWDC_LOG_LEVEL";
    /// As `log.max_size`.
    LOG_MAX_SIZE = "BWDC_LOG_MAX_SIZE";
    /// As `log.max_age`.
    LOG_MAX_AGE = "BWDC_LOG_MAX_AGE";
    /// As `log.keep`.
    LOG_KEEP = "BWDC_LOG_KEEP";
    /// As `limits.at_once`.
    LIMITS_AT_ONCE = "BWDC_LIMITS_AT_ONCE";
    /// As `daemon.listen`.
    DAEMON_LISTEN = "BWDC_DAEMON_LISTEN";
    /// Set by systemd: where the journal listens. Lines on stderr carry their priority then.
    JOURNAL_STREAM = "JOURNAL_STREAM";
    /// `true`: warnings and errors also go to the event log of Windows. `bwdc service install` sets it there.
    EVENT_LOG = bwdc_schedule::variables::EVENT_LOG;
    /// Who starts this run, in a word, for `bwdc status`: `cron`, `systemd` and so on. Schedules that `bwdc schedule` installs set it.
    STARTED_BY = bwdc_schedule::variables::STARTED_BY;
    /// Set by systemd for what it starts.
    INVOCATION_ID = "INVOCATION_ID";
    /// Where `update` looks for a newer release: the address of a JSON with `tag_name`, as GitHub's latest release has it.
    UPDATE_URL = "BWDC_UPDATE_URL";
    /// The base URL of OneLogin's API, where it is not the one that follows from `onelogin.url` or `onelogin.region`.
    ONELOGIN_API_URL = "BWDC_ONELOGIN_API_URL";
    /// `true`: as `--pretty`.
    PRETTY = "BW_PRETTY";
    /// `true`: as `--raw`.
    RAW = "BW_RAW";
    /// `true`: as `--response`.
    RESPONSE = "BW_RESPONSE";
    /// Anything: as `--cleanexit`.
    CLEAN_EXIT = "BW_CLEANEXIT";
    /// `true`: as `--quiet`.
    QUIET = "BW_QUIET";
    /// `true`: as `--nointeraction`.
    NO_INTERACTION = "BW_NOINTERACTION";
    /// For how many seconds one request is tried again (default 60; 5 for `login`, `init` and `doctor`, for which somebody waits).
    RETRY_SECONDS = bwdc_schedule::variables::RETRY_SECONDS;
    /// For how many seconds a directory may stay silent before the read is given up (default 120).
    SILENCE_SECONDS = "BWDC_SILENCE_SECONDS";
    /// A PEM file with certificates to trust besides the system's, for self-hosted servers.
    CA_FILE = "BWDC_CA_FILE";
    /// The same, by the name that users of the existing connector know.
    NODE_EXTRA_CA_CERTS = "NODE_EXTRA_CA_CERTS";
    /// Google's token endpoint, the whole address, where it is not Google's own or the one in the key file.
    GOOGLE_TOKEN_URL = "BWDC_GOOGLE_TOKEN_URL";
    /// The base of Google's Directory API, where it is not https://admin.googleapis.com.
    GOOGLE_API_URL = "BWDC_GOOGLE_API_URL";
    /// Entra ID: the base URL of the login, instead of the one of entra.identityAuthority.
    ENTRA_LOGIN_URL = "BWDC_ENTRA_LOGIN_URL";
    /// Entra ID: the base URL of Microsoft Graph, likewise.
    ENTRA_GRAPH_URL = "BWDC_ENTRA_GRAPH_URL";
    /// Entra ID: as the setting `entra.tenant`, where that is not set.
    AZURE_TENANT_ID = "AZURE_TENANT_ID";
    /// Entra ID: as the setting `entra.applicationId`, where that is not set.
    AZURE_CLIENT_ID = "AZURE_CLIENT_ID";
    /// Entra ID: as the setting `entra.federatedTokenFile`, where neither that nor another credential is set.
    AZURE_FEDERATED_TOKEN_FILE = "AZURE_FEDERATED_TOKEN_FILE";
    /// The time zone of schedules and of the times that are shown, such as `Europe/Berlin`, where it is not to be the machine's.
    TZ = "TZ";
    /// `true`: reports (`plan`, `pending`, `history`, `explain`, `undo --dry-run`) and errors are printed as JSON lines on stdout, a head, then
    /// each section and its rows, and the progress of a read as lines on stderr. The page of `bwdc web` sets it for what it starts.
    FOR_PROGRAM = "BWDC_FOR_PROGRAM";
    /// Anything: no colour.
    NO_COLOR = "NO_COLOR";
    /// Where `~/.config` is, if not there.
    XDG_CONFIG_HOME = "XDG_CONFIG_HOME";
    /// The user's folder.
    HOME = "HOME";
    /// Name of a machine with Windows, for alerts.
    COMPUTERNAME = "COMPUTERNAME";
    /// The user's folder for settings on Windows.
    APPDATA = "APPDATA";
    /// The folder for what all users of a machine with Windows share.
    PROGRAM_DATA = "ProgramData";
}

const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The environment as it was when the program started. An empty variable counts as absent.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, OsString>, Tally);

impl Environment {
    /// Environment of this process, now: the variables listed here, and these of secrets.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process(secrets: impl Iterator<Item = String>) -> Self {
        let read = |name: String| std::env::var_os(&name).map(|value| (name, value));
        let names = ALL.iter().map(|(name, _)| (*name).to_owned()).chain(secrets);
        let known = names.filter_map(read);
        // Their names have the names of channels in them.
        let of_alerts =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let of_alerts = of_alerts.filter(|(name, _)| name.starts_with(ALERT_VARIABLES));
        Self(known.chain(of_alerts).filter(|(_, value)| !value.is_empty()).collect(), Tally::default())
    }

    /// Name of this machine.
    pub fn host(&self) -> String {
        #[cfg(unix)]
        let name = Some(rustix::system::uname().nodename().to_string_lossy().into_owned());
        #[cfg(not(unix))]
        let name = self.text(COMPUTERNAME);
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
    }

    /// Names of the variables that begin so.
    pub(crate) fn names_with(&self, beginning: &'static str) -> impl Iterator<Item = String> {
        self.0.keys().filter(move |name| name.starts_with(beginning)).cloned()
    }

    /// The environment of the demo: its secrets are the sandbox's and may stand in `data.json`.
    pub fn for_demo() -> Self {
        Self(HashMap::from([(PLAINTEXT_SECRETS.to_owned(), OsString::from("true"))]), Tally::default())
    }

    /// Environment of a job, as far as it decides where its files are.
    pub fn of_job<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), OsString::from(value)));
        Self(variables.collect(), Tally::default())
    }

    /// With a few seconds for what is tried again, unless somebody has said how many.
    pub fn with_short_patience(mut self) -> Self {
        self.0.entry(RETRY_SECONDS.to_owned()).or_insert_with(|| "5".into());
        self
    }

    /// Environment without some of its variables.
    pub fn without(&self, names: &[String]) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(name, _)| !names.contains(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            self.1.clone(),
        )
    }

    /// Environment whose requests are counted apart.
    #[must_use]
    pub fn counting(self) -> Self {
        Self(self.0, Tally::default())
    }

    /// Requests that were made with this environment.
    pub fn requests(&self) -> Vec<RequestCount> {
        self.1.counts()
    }

    /// Variable as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// Certificates to trust besides the system's.
    pub fn extra_ca(&self) -> Option<PathBuf> {
        self.path(CA_FILE).or_else(|| self.path(NODE_EXTRA_CA_CERTS))
    }

    /// Trust and patience, for every vendor alike.
    pub fn network(&self) -> Result<Network> {
        Ok(Network {
            extra_ca: self.extra_ca(),
            retry_for: self.seconds(RETRY_SECONDS)?,
            tally: self.1.clone(),
        })
    }

    /// Variable as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(PathBuf::from)
    }

    /// Variable as a secret.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::from)
    }

    /// Exactly `true`, as the existing connector compares.
    pub fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "true")
    }

    /// Whether a variable is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Variable as a number of seconds.
    pub fn seconds(&self, name: &str) -> Result<Option<Duration>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let seconds = text.trim().parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let seconds = seconds.filter(|seconds| !seconds.is_zero() && *seconds <= A_YEAR);
        seconds.map(Some).ok_or_else(|| {
            Error::new(format!("The variable {name} is `{text}`, which is not a number of seconds (more than 0, at most a year)."))
                .hint("Set it to a number such as 60, or unset it.")
        })
    }

    /// Who started this run: the scheduler's own word, else what the environment shows.
    pub fn started_by(&self) -> RunStarter {
        if let Some(by) = self.text(STARTED_BY).and_then(|word| RunStarter::named(&word)) {
            return by;
        }
        if self.is_set(INVOCATION_ID) && !std::io::stderr().is_terminal() {
            RunStarter::SYSTEMD
        } else if std::io::stderr().is_terminal() || std::io::stdin().is_terminal() {
            RunStarter::PERSON
        } else {
            RunStarter::UNKNOWN
        }
    }

    /// Where the program of a command is: a bare name is looked up in PATH.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn program(name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(name));
        }
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// The variable of one of the environment's own, for a secret that is named on the command line.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn named_secret(name: &str) -> Option<Secret> {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::from)
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
