//! `bwdc doctor`: looks at one installation from end to end, and says what to do about each thing that is wrong.

use bwdc_connect::bitwarden::{Client, ServerKind};
use bwdc_connect::directory::{self, Directory as _, ReadScope, Tombstones, ldap};
use bwdc_connect::probe::{self, CheckOutcome, ProbeProtection, ProbeTarget};
use bwdc_connect::tls::{self, Trust};
use bwdc_core::Rules;
use bwdc_core::note::{NoteGroup, Severity, by_cause};
use bwdc_core::rules::{DisabledUsers, ExistingMembers, MissingPeople};
use clap::Args;
use jiff::SignedDuration;
use serde_json::{Value, json};
use url::Url;

use super::which::{Contexts, Which};
use crate::log;
use crate::ui::{self, Answer, Mark, Style};
use bwdc_config::secrets::{self, DeclaredSecret, SecretDestination};
use bwdc_config::{Instance, instance, server, settings};
use bwdc_core::error::{Error, Exit, Result, shown};
use bwdc_store::{Data, RunLock, files};
use bwdc_sync::session::OrganizationLogin;
use bwdc_sync::{Context, ReadPurpose, SyncJob, rehearse};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

pub(super) async fn run(invocation: &super::Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let mut findings = of_machine(invocation);
    match arguments.which.contexts(invocation)? {
        Contexts::One(context) => findings.extend(Examination::new(&context).whole().await),
        Contexts::Several(contexts) => {
            for context in &contexts {
                let found = Examination::new(context).whole().await;
                findings.extend(found.into_iter().map(|finding| finding.of(&context.name)));
            }
        }
    }
    let failed = findings.iter().filter(|finding| finding.mark == Mark::Fail).count();
    let doubtful = findings.iter().filter(|finding| finding.mark == Mark::Warn).count();
    let value = json!({
        "object": "doctor",
        "ok": failed == 0,
        "checks": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    });
    let exit = if failed == 0 { Exit::Success } else { Exit::Failure };
    if arguments.json {
        return Ok((Answer::Object(value), exit));
    }
    let mut text: Vec<String> = findings.iter().map(|finding| finding.line(invocation.style)).collect();
    text.push(match (failed, doubtful) {
        (0, 0) => "\nEverything is in order.".to_owned(),
        (0, _) => format!("\nIt works; {doubtful} warning(s)."),
        _ => format!("\n{failed} check(s) failed; {doubtful} warning(s)."),
    });
    Ok((Answer::Table { text: text.join("\n"), value }, exit))
}

/// One thing that was looked at.
struct Finding {
    what: String,
    mark: Mark,
    found: String,
    next_step: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), mark: Mark::Good, found: found.into(), next_step: None }
    }

    fn doubtful(what: impl Into<String>, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { what: what.into(), mark: Mark::Warn, found: found.into(), next_step: Some(next_step.into()) }
    }

    fn bad(what: impl Into<String>, error: Error) -> Self {
        Self { what: what.into(), mark: Mark::Fail, found: error.message, next_step: error.next_step }
    }

    fn skipped(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), mark: Mark::Skip, found: why.into(), next_step: None }
    }

    /// Of one of several instances.
    fn of(self, name: &str) -> Self {
        Self { what: format!("{name}: {}", self.what), ..self }
    }

    fn line(&self, style: Style) -> String {
        let head = format!("{}  {}: {}", ui::mark(self.mark, style), self.what, indented(&self.found));
        match &self.next_step {
            Some(next_step) => format!("{head}\n      -> {}", indented(next_step)),
            None => head,
        }
    }

    fn json(&self) -> Value {
        json!({
            "check": self.what,
            "status": self.mark.name(),
            "found": self.found,
            "nextStep": self.next_step,
        })
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n         ")
}

impl From<probe::Check> for Finding {
    fn from(check: probe::Check) -> Self {
        match check.outcome {
            CheckOutcome::Good(found) => Self::good(check.what, found),
            CheckOutcome::Doubtful { found, next_step } => Self::doubtful(check.what, found, next_step),
            CheckOutcome::Bad(error) => Self::bad(check.what, error.into()),
        }
    }
}

/// `bwdc.toml` and the log, where there are any.
fn of_machine(invocation: &super::Invocation) -> Vec<Finding> {
    let setup = &invocation.setup;
    let toml = setup.installation.as_ref().map(|installation| {
        let path = installation.path.display();
        match installation.warning() {
            Some(warning) => Finding::doubtful(
                "bwdc.toml",
                warning,
                "Only its owner or root should be able to write to it.",
            ),
            None => Finding::good(
                "bwdc.toml",
                format!(
                    "{path} names {} instance(s) and {} merge(s)",
                    installation.instances.len(),
                    installation.organizations.len()
                ),
            ),
        }
    });
    let log = setup.log.file.as_ref().map(|file| {
        let path = file.value.display();
        match log::can_append(&file.value) {
            Ok(()) => Finding::good("Log", format!("{path} can be written to")),
            Err(error) => Finding::doubtful(
                "Log",
                format!("{path} cannot be written: {error}"),
                "Syncs run anyway, but leave no log. Choose another file, or let the user who runs bwdc write there.",
            ),
        }
    });
    toml.into_iter().chain(log).collect()
}

/// Whether anybody who leaves the company leaves the organization.
fn leavers(rules: &Rules, tombstones: Tombstones) -> Option<Finding> {
    let what = "Leavers";
    let remedy = "Run: bwdc config sync.removeMissing true, and bwdc config sync.removeDisabled true; docs/leaving.md explains the limit on removals.";
    if tombstones == Tombstones::Yes
        || rules.missing == MissingPeople::Remove
        || rules.existing == ExistingMembers::Overwrite
    {
        return None;
    }
    Some(match rules.disabled {
        DisabledUsers::Keep => Finding::doubtful(
            what,
            "nobody is ever removed: this directory does not report deleted accounts, and neither sync.removeMissing nor sync.removeDisabled is on",
            remedy,
        ),
        DisabledUsers::Remove => Finding::doubtful(
            what,
            "only disabled people are removed: this directory does not report deleted accounts, and sync.removeMissing is off",
            remedy,
        ),
    })
}

/// Parts of filters that drop people who are disabled (Active Directory's bit, Okta's state), so that nobody sees them leave.
const DROPS_DISABLED: [&str; 3] = [
    "(!(useraccountcontrol:1.2.840.113556.1.4.803:=2))",
    "(!useraccountcontrol:1.2.840.113556.1.4.803:=2)",
    "status eq \"active\"",
];

fn disabled(rules: &Rules, data: &Data) -> Option<Finding> {
    let filter = settings::sync::USER_FILTER.stored(data)?.as_str()?.to_lowercase();
    let drops_disabled = DROPS_DISABLED.iter().any(|part| filter.contains(part));
    (drops_disabled && rules.disabled == DisabledUsers::Remove).then(|| {
        Finding::doubtful(
            "Leavers",
            "sync.userFilter excludes disabled people, so sync.removeDisabled never sees them",
            "Remove that part of sync.userFilter: sync.removeDisabled takes care of disabled people.",
        )
    })
}

/// Ids that change when somebody is renamed.
fn identity(directory: &directory::Config) -> Option<Finding> {
    let directory::Config::Ldap(config) = directory else { return None };
    let is_dn = config.flavour != ldap::config::Flavour::ActiveDirectory
        && matches!(config.identity, ldap::config::Identity::Dn | ldap::config::Identity::GuidOrDn);
    is_dn.then(|| {
        Finding::doubtful(
            "Ids",
            "people and groups are identified by their DN, which changes when they are renamed or moved",
            "See \"Who somebody is\" on the LDAP page; best before the first sync: bwdc config ldap.externalIdAttribute entryUUID (or nsUniqueId, ipaUniqueID).",
        )
    })
}

/// A clock that is further off makes tokens and certificates look expired.
const LARGEST_SKEW: SignedDuration = SignedDuration::from_secs(60);

struct Examination<'a> {
    context: &'a Context,
    findings: Vec<Finding>,
}

impl<'a> Examination<'a> {
    fn new(context: &'a Context) -> Self {
        Self { context, findings: Vec::new() }
    }

    /// Everything, in the order in which one thing depends on another.
    async fn whole(mut self) -> Vec<Finding> {
        let Some(mut data) = self.data_file() else { return self.findings };
        data.make_app_id();
        self.folder();
        self.lock();
        self.settings(&data);
        let longest = bwdc_sync::longest(&data);
        if tokio::time::timeout(longest, Box::pin(self.what_may_hang(&data))).await.is_err() {
            let took =
                format!("the checks took longer than {} s (sync.timeout) and were ended", longest.as_secs());
            self.add(Finding::bad("Time", Error::new(took).hint(
                "What is not in this list was not checked: a server may hang. If the directory really is that large, raise sync.timeout.",
            )));
        }
        self.findings
    }

    async fn what_may_hang(&mut self, data: &Data) {
        let has_secrets = self.secrets(data).await;
        let reads = self.directory(data).await;
        let logged_in = self.server(data).await;
        if has_secrets && reads && logged_in {
            self.rehearsal().await;
        } else {
            self.add(Finding::skipped("Rehearsal", "skipped, because of the failure above"));
        }
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn data_file(&mut self) -> Option<Data> {
        let file = &self.context.file;
        let path = file.path();
        let data = match file.load() {
            Ok(data) => data,
            Err(error) => {
                self.add(Finding::bad("data.json", error));
                return None;
            }
        };
        let finding = match std::fs::metadata(&path).map(|metadata| files::too_open(&metadata)) {
            Err(_) => Finding::bad(
                "data.json",
                Error::new(format!("{} does not exist: nothing is configured.", path.display()))
                    .hint("Run `bwdc init`, or set BITWARDENCLI_CONNECTOR_APPDATA_DIR to the right folder."),
            ),
            Ok(Some(mode)) => Finding::doubtful(
                "data.json",
                format!("{} can be read by others (mode {mode:o})", path.display()),
                format!("Run: chmod 600 '{}'", path.display()),
            ),
            Ok(None) if files::is_mounted(&path) => Finding::doubtful(
                "data.json",
                format!("{} is a mount of its own, so it is written in place", path.display()),
                "Mount its folder instead: then it is replaced atomically, and the lock and the log persist too.",
            ),
            Ok(None) => Finding::good("data.json", path.display().to_string()),
        };
        self.add(finding);
        Some(data)
    }

    fn folder(&mut self) {
        let folder = self.context.file.folder();
        let path = folder.display();
        let finding = match files::can_write(folder) {
            Ok(()) => match std::fs::metadata(folder).ok().and_then(|metadata| files::too_open(&metadata)) {
                Some(mode) if mode & 0o022 != 0 => Finding::doubtful(
                    "Folder",
                    format!("{path} can be changed by others (mode {mode:o})"),
                    format!("Run: chmod 700 '{path}'"),
                ),
                _ => Finding::good("Folder", format!("{path} can be written to")),
            },
            Err(error) => Finding::bad(
                "Folder",
                error.hint("The user who runs bwdc must own this folder; a sync stores its state there."),
            ),
        };
        self.add(finding);
    }

    fn lock(&mut self) {
        let finding = match RunLock::holder(self.context.file.folder()) {
            None => Finding::good("Lock", "no sync is running"),
            Some(holder) => Finding::doubtful(
                "Lock",
                format!("a sync is running ({holder})"),
                "Wait for it to end; a sync started in the meantime exits with code 3.",
            ),
        };
        self.add(finding);
    }

    fn settings(&mut self, data: &Data) {
        let wrong: Vec<Error> = settings::ALL.iter().filter_map(|setting| setting.fault(data)).collect();
        if wrong.is_empty() {
            self.add(Finding::good("Settings", "all values are valid"));
        }
        for error in wrong {
            self.add(Finding::bad("Settings", error));
        }
    }

    async fn secrets(&mut self, data: &Data) -> bool {
        let destination = self.context.secrets.destination(data);
        match (&destination, self.context.secrets.why_no_store(data).await) {
            (SecretDestination::OsStore, Some(why)) => {
                self.add(Finding::skipped(
                    "Secret store",
                    format!("{} Only needed to keep secrets there.", why.message),
                ));
            }
            _ => self.add(Finding::good("Secret store", format!("new secrets are kept in {destination}"))),
        }
        let of_directory = instance::needed_secret(data, &self.context.environment);
        let mut is_complete = true;
        for declared in [Some(&secrets::CLIENT_SECRET), of_directory].into_iter().flatten() {
            is_complete &= self.secret(data, declared).await;
        }
        is_complete
    }

    async fn secret(&mut self, data: &Data, declared: &DeclaredSecret) -> bool {
        let what = format!("Secret {}", declared.name);
        let (finding, is_there) = match self.context.secrets.find(data, declared).await {
            Ok(Some(found)) => (Finding::good(what, format!("found in {}", found.source)), true),
            Ok(None) => {
                let error = Error::new("Not set.").hint(match declared.name {
                    "login.clientSecret" => "Run `bwdc login`, or set it in one of the ways in docs/secrets.md.".to_owned(),
                    name => format!("Run `bwdc config {name} --secretfile FILE`, or set it in one of the ways in docs/secrets.md."),
                });
                (Finding::bad(what, error), false)
            }
            Err(error) => (Finding::bad(what, error), false),
        };
        self.add(finding);
        is_there
    }

    async fn directory(&mut self, data: &Data) -> bool {
        let Context { file, environment, secrets, .. } = self.context;
        let instance = match Instance::of(data, file.folder(), environment, secrets).await {
            Ok(instance) => instance,
            Err(error) => {
                self.add(Finding::bad("Directory", error));
                return false;
            }
        };
        for warning in &instance.warnings {
            self.add(Finding::doubtful("Directory", warning.clone(), "See docs/configuration.md."));
        }
        if instance.scope.is_none() {
            self.add(Finding::doubtful(
                "Directory",
                "neither sync.users nor sync.groups is on, so nothing is synced",
                "Run: bwdc config sync.users true",
            ));
        }
        let identity = identity(&instance.directory);
        let directory = match directory::open(instance.directory) {
            Ok(directory) => directory,
            Err(error) => {
                self.add(Finding::bad("Directory", error.into()));
                return false;
            }
        };
        self.findings.extend(leavers(&instance.rules, directory.abilities().tombstones));
        self.findings.extend(disabled(&instance.rules, data));
        self.findings.extend(identity);
        let checks = directory.probe(instance.scope.unwrap_or(ReadScope::UsersAndGroups)).await;
        let works = !checks.iter().any(probe::Check::is_bad);
        self.findings.extend(checks.into_iter().map(Finding::from));
        works
    }

    async fn server(&mut self, data: &Data) -> bool {
        let Context { file, environment, .. } = self.context;
        let endpoints = match server::endpoints(data) {
            Ok(endpoints) => endpoints,
            Err(error) => {
                self.add(Finding::bad("Bitwarden server", error));
                return false;
            }
        };
        for (name, url) in
            [("Bitwarden API", endpoints.api_url()), ("Bitwarden identity", endpoints.identity_url())]
        {
            if !self.reach(name, url).await {
                return false;
            }
        }
        match bwdc_sync::client(file, data, environment) {
            Ok(client) => {
                self.clock(&client).await;
                self.login(data, &client).await
            }
            Err(error) => {
                self.add(Finding::bad("Bitwarden server", error));
                false
            }
        }
    }

    async fn reach(&mut self, name: &str, url: &str) -> bool {
        let Ok(parsed) = Url::parse(url) else { return true };
        if let Some(proxy) = probe::proxy_for(&parsed) {
            self.add(Finding::good(name, format!("{url} is reached through the proxy {proxy}")));
            return true;
        }
        let trust = self.context.environment.extra_ca().map_or(Trust::System, Trust::SystemAndFile);
        let protection = match parsed.scheme() {
            "https" => match tls::client_config(&trust, None) {
                Ok(config) => ProbeProtection::Tls(config.into()),
                Err(error) => {
                    self.add(Finding::bad(format!("{name}: certificate"), error.into()));
                    return false;
                }
            },
            _ => ProbeProtection::None,
        };
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let place = ProbeTarget {
            name,
            host: &host,
            port: parsed.port_or_known_default().unwrap_or(443),
            protection,
            settings: "`bwdc config server`",
            name_the_ca: "set BWDC_CA_FILE to the authority's PEM file",
        };
        let checks = place.checks().await;
        let works = !checks.iter().any(probe::Check::is_bad);
        self.findings.extend(checks.into_iter().map(Finding::from));
        works
    }

    async fn clock(&mut self, client: &Client) {
        let what = "Clock";
        let finding = match client.clock_ahead().await {
            Ok(Some(ahead)) if ahead.abs() > LARGEST_SKEW => Finding::doubtful(
                what,
                format!("this machine's clock differs from the server's by {} s", ahead.abs().as_secs()),
                "Synchronize the clock (timedatectl, chrony): tokens and certificates depend on it.",
            ),
            Ok(Some(_)) => Finding::good(what, "it agrees with the server's clock"),
            Ok(None) => Finding::skipped(what, "the server does not send its time"),
            Err(error) => Finding::skipped(what, error.to_string()),
        };
        self.add(finding);
    }

    async fn login(&mut self, data: &Data, client: &Client) -> bool {
        let what = "Organization";
        let account = match OrganizationLogin::of(data, &self.context.secrets).await {
            Ok(account) => account,
            Err(error) => {
                self.add(Finding::bad(what, error));
                return false;
            }
        };
        if let Some(warning) = &account.warning {
            self.add(Finding::doubtful(
                what,
                warning.clone(),
                "Unset the variables, or log out and in again.",
            ));
        }
        let credentials = match account.credentials() {
            Ok(credentials) => credentials,
            Err(error) => {
                self.add(Finding::bad(what, error));
                return false;
            }
        };
        if let Err(error) = client.token(credentials).await {
            self.add(Finding::bad(what, error.into()));
            return false;
        }
        let kind = client.server_kind().await.ok();
        let server = match &kind {
            Some(ServerKind::Official) => "a Bitwarden server".to_owned(),
            Some(ServerKind::Vaultwarden) => "Vaultwarden".to_owned(),
            Some(ServerKind::Other(name)) => shown(name),
            None => "an unknown server".to_owned(),
        };
        self.add(Finding::good(
            what,
            format!("organization.{} on {server} accepts the API key", account.organization_id),
        ));
        if kind == Some(ServerKind::Vaultwarden) {
            self.vaultwarden(data);
        }
        true
    }

    /// What is different there, and cannot be seen from outside.
    fn vaultwarden(&mut self, data: &Data) {
        let what = "Vaultwarden";
        if settings::sync::GROUPS.is_on(data) {
            self.add(Finding::doubtful(
                what,
                "groups are off by default there and are then ignored; this cannot be checked from here",
                "Set ORG_GROUPS_ENABLED=true on the server, or switch sync.groups off.",
            ));
        }
        self.add(Finding::doubtful(
            what,
            "people revoked by hand come back when everything is sent: at the first sync, after clear-cache, and after a failed run",
            "Remove them from the directory, or exclude them with sync.userFilter.",
        ));
    }

    async fn rehearsal(&mut self) {
        let what = "Rehearsal";
        let job = SyncJob::One(Box::new(self.context.clone()));
        match rehearse(&job, ReadPurpose::Everything, None).await {
            Err(error) => self.add(Finding::bad(what, error)),
            Ok(prepared) => {
                let (people, groups) = (prepared.people.len(), prepared.groups.len());
                let members: usize = prepared.groups.iter().map(|group| group.members.len()).sum();
                self.add(Finding::good(
                    what,
                    format!("{people} people and {groups} groups with {members} memberships were read and could be imported"),
                ));
                for note in by_cause(&prepared.notes) {
                    self.note(&note);
                }
            }
        }
    }

    fn note(&mut self, note: &NoteGroup<'_>) {
        let text = note.sentence();
        self.add(match note.severity {
            Severity::Warning => Finding::doubtful("Rehearsal", text, "`bwdc test` says more."),
            Severity::Info => Finding::good("Rehearsal", text),
        });
    }
}
