//! `bwdc.toml`: what one machine runs. It is optional, and holds no secrets.
//!
//! The types here are the one description of the file: the reader, the editors' schema and the reference page are made of
//! them, doc comments included.

mod alert_settings;
mod alerts;
mod read;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bwdc_core::Secret;
use bwdc_core::error::Error;
use bwdc_schedule::times::Schedule;
use bwdc_store::DataFile;
use bwdc_store::files::real_path;
use jiff::Timestamp;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::{Environment, zone};

use self::alerts::AlertsEntry;
pub use self::alerts::{Alerts, VARIABLES as ALERT_VARIABLES, WantedChannel};
pub use self::read::{FILE, find, of_text};
pub use self::values::{Age, AtOnce, Format, Keep, Level, Listen, ScheduleEntry, Size, WebAddress, WebRole};

/// What one machine runs: instances, organizations, schedules, the log and limits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Content {
    /// The instances by name. A name has letters, digits, `-`, `_` and `.`; it stands in the log, in summaries and in metrics.
    #[schemars(with = "BTreeMap<String, InstanceEntry>")]
    pub instance: BTreeMap<Spanned<String>, InstanceEntry>,
    /// Organizations that several instances are synced into together, by a name of your choice.
    #[schemars(with = "BTreeMap<String, OrganizationEntry>")]
    pub organization: BTreeMap<Spanned<String>, OrganizationEntry>,
    /// When instances and organizations are synced that have no schedule of their own.
    pub schedule: Option<ScheduleEntry>,
    /// The log file.
    pub(crate) log: LogEntry,
    /// What a machine or a network bears.
    pub(crate) limits: LimitsEntry,
    /// The daemon.
    pub(crate) daemon: DaemonEntry,
    /// The page in the browser.
    pub(crate) web: WebEntry,
    /// Who is told when something is wrong: [alerts.md](alerts.md).
    pub(crate) alerts: AlertsEntry,
}

/// One folder with a `data.json`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstanceEntry {
    /// The folder of the instance's `data.json`; a relative one starts at the folder of `bwdc.toml`.
    #[schemars(with = "String")]
    pub folder: Spanned<String>,
    /// When it is synced.
    pub schedule: Option<ScheduleEntry>,
}

/// One organization, and the instances whose directories make one import.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganizationEntry {
    /// The instances, two or more, the most important first. They are synced together or not at all.
    #[schemars(with = "Vec<String>", extend("minItems" = 2))]
    pub merge: Spanned<Vec<Spanned<String>>>,
    /// What the names of an instance's groups begin with, by instance: `prefix = { berlin = "Berlin / " }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub prefix: BTreeMap<Spanned<String>, String>,
    /// When they are synced.
    pub schedule: Option<ScheduleEntry>,
}

/// Where is logged, what, and for how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogEntry {
    /// The log file; a relative one starts at the folder of `bwdc.toml`. Without it nothing is logged to a file.
    #[schemars(with = "Option<String>")]
    pub file: Option<Spanned<String>>,
    /// A line of text for each event, or a JSON object on a line.
    #[schemars(extend("default" = Format::default().to_string()))]
    pub format: Option<Format>,
    /// The least important events that are logged.
    #[schemars(extend("default" = Level::default().to_string()))]
    pub level: Option<Level>,
    /// A new file is begun before the file gets larger than this.
    #[schemars(extend("default" = Size::default().to_string()))]
    pub max_size: Option<Size>,
    /// A new file is begun when the first line of the file is older than this.
    #[schemars(extend("default" = Age::default().to_string()))]
    pub max_age: Option<Age>,
    /// How many older files are kept, from `bwdc.log.1` (the newest) on.
    #[schemars(extend("default" = Keep::default().0))]
    pub keep: Option<Keep>,
}

/// What a machine or a network bears.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsEntry {
    /// How many instances are synced side by side.
    #[schemars(extend("default" = AtOnce::default().0))]
    pub at_once: Option<AtOnce>,
}

/// The daemon.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DaemonEntry {
    /// Where it answers `/healthz` and `/metrics`: a loopback address and a port. Without it, nowhere.
    pub listen: Option<Listen>,
}

/// The page in the browser.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebEntry {
    /// Where `bwdc web` serves it: an address and a port, or the path of a socket. An address that other machines can reach needs a
    /// certificate and a password.
    #[schemars(extend("default" = WebAddress::default().to_string()))]
    pub listen: Option<WebAddress>,
    /// Names by which browsers ask for it, besides the address: those of a proxy or of the DNS.
    #[schemars(extend("default" = Vec::<String>::new()))]
    pub hosts: Vec<String>,
    /// The certificate and those that signed it, in PEM; a relative path starts at the folder of `bwdc.toml`.
    #[schemars(with = "Option<String>")]
    pub certificate: Option<Spanned<String>>,
    /// The certificate's key, in PEM.
    #[schemars(with = "Option<String>")]
    pub key: Option<Spanned<String>>,
    /// Those who log in with a password, by name.
    pub user: BTreeMap<String, WebUserEntry>,
}

/// Somebody who logs in to the page with a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebUserEntry {
    /// Hash of the password, as `bwdc web password` prints it.
    pub hash: String,
    /// Rights: `look` sees everything, `approve` also syncs, carries out plans, approves and undoes, `change` also changes settings and schedules.
    #[serde(default = "look")]
    pub role: WebRole,
}

/// Nobody is given rights by leaving something out.
fn look() -> WebRole {
    WebRole::Look
}

/// The page in the browser, understood.
#[derive(Clone, Debug)]
pub struct WebSection {
    /// Address, if the file says so.
    pub listen: Option<WebAddress>,
    /// Further names.
    pub hosts: Vec<String>,
    /// Certificate, absolute.
    pub certificate: Option<PathBuf>,
    /// Its key, absolute.
    pub key: Option<PathBuf>,
    /// Name, hash and rights of those who have a password.
    pub users: Vec<(String, String, WebRole)>,
}

/// The file, understood and checked.
#[derive(Debug)]
pub struct Installation {
    /// Path of the file.
    pub path: PathBuf,
    /// In the order of their names.
    pub instances: Vec<NamedInstance>,
    /// In the order of their names.
    pub organizations: Vec<MergedOrganization>,
    pub(crate) log: LogEntry,
    pub(crate) limits: LimitsEntry,
    pub(crate) daemon: DaemonEntry,
    /// The page in the browser.
    pub web: WebSection,
    /// Who is told when something is wrong.
    pub alerts: Alerts,
    /// The file as it is. The address of a webhook may stand in it.
    text: Secret,
}

/// Who is told what, and who else is to be watched.
#[derive(Clone, Debug, Default)]
pub struct AlertSetup {
    /// Channels, and what they want.
    pub alerts: Alerts,
    /// Instances and organizations of the same file.
    pub watched: Arc<[Watched]>,
    /// Schedules that are installed on this machine.
    pub installed: InstalledSchedules,
    /// Reason why nobody can be told.
    pub fault: Option<Error>,
}

impl AlertSetup {
    /// Whether anybody is to be told anything.
    pub fn is_empty(&self) -> bool {
        self.alerts.channels.is_empty() && self.alerts.textfile.is_none()
    }

    /// This setup with the channels that the settings of an instance and the variables want.
    #[must_use]
    pub fn of_settings(self, file: &DataFile, environment: &Environment) -> Self {
        let data = file.load().unwrap_or_default();
        match alert_settings::of_settings(file, &data, environment) {
            Ok(alerts) => Self { alerts, ..self },
            Err(error) => Self { fault: Some(error), ..self },
        }
    }

    /// Time from which on a success is missed, by the schedule that is installed for the folder, else by that in the file.
    pub fn overdue_at(&self, name: &str, folder: &Path, since: Timestamp) -> Option<Timestamp> {
        let of_file = || self.watched.iter().find(|watched| watched.name == name)?.schedule.clone();
        let schedule = self.installed.of(folder).or_else(of_file)?;
        let next = |time: Timestamp| {
            let local = time.to_zoned_datetime(zone::local());
            schedule.next_after(&local).map(|next| next.timestamp())
        };
        (0..INTERVALS).try_fold(since, |time, _| next(time))
    }
}

/// Schedules that are installed on this machine. They are looked for when somebody asks.
#[derive(Clone, Default)]
pub struct InstalledSchedules(Option<Arc<FindSchedule>>);

/// Finds the schedule that is installed for a folder.
type FindSchedule = dyn Fn(&Path) -> Option<Schedule> + Send + Sync;

impl InstalledSchedules {
    /// Schedules as this finds them.
    pub fn by(find: impl Fn(&Path) -> Option<Schedule> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(find)))
    }

    fn of(&self, folder: &Path) -> Option<Schedule> {
        self.0.as_ref().and_then(|find| find(folder))
    }
}

impl std::fmt::Debug for InstalledSchedules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "InstalledSchedules" } else { "InstalledSchedules(none)" })
    }
}

/// Instance or organization whose successes are not to be missed.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Name in the file.
    pub name: String,
    /// Folder with its memory; of a merge that of the first.
    pub folder: PathBuf,
    schedule: Option<Schedule>,
}

/// Number of intervals that may pass without a success.
const INTERVALS: usize = 3;

impl Watched {
    /// An instance that stands in no file.
    pub fn alone(name: &str, folder: &Path) -> Self {
        Self { name: name.to_owned(), folder: folder.to_owned(), schedule: None }
    }
}

/// An instance with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedInstance {
    /// Name in the file.
    pub name: String,
    /// Absolute.
    pub folder: PathBuf,
    /// Its own, or the one of the file; none for an instance that is merged.
    pub schedule: Option<ScheduleEntry>,
}

/// Instances that make one import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedOrganization {
    /// Name in the file.
    pub name: String,
    /// The most important first.
    pub members: Vec<MergedInstance>,
    /// Schedule of its own, or the one of the file.
    pub schedule: Option<ScheduleEntry>,
}

/// Instance that is merged into an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedInstance {
    /// Name in the file.
    pub name: String,
    /// Folder, absolute.
    pub folder: PathBuf,
    /// Beginning of its groups' names.
    pub prefix: String,
}

impl Installation {
    /// The file's text, for another process.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// Who is told what, and who is watched.
    pub fn alert_setup(&self) -> AlertSetup {
        let times = |schedule: &Option<ScheduleEntry>| schedule.as_ref().and_then(|entry| entry.times().ok());
        let alone = self.alone().map(|instance| Watched {
            name: instance.name.clone(),
            folder: instance.folder.clone(),
            schedule: times(&instance.schedule),
        });
        let merged = self.organizations.iter().filter_map(|organization| {
            Some(Watched {
                name: organization.name.clone(),
                folder: organization.members.first()?.folder.clone(),
                schedule: times(&organization.schedule),
            })
        });
        AlertSetup {
            alerts: self.alerts.clone(),
            watched: alone.chain(merged).collect(),
            ..AlertSetup::default()
        }
    }

    /// The instance that has this folder, by whatever path it is reached: through a link, or with `..` in it.
    pub fn instance_in(&self, folder: &Path) -> Option<&NamedInstance> {
        let named = self.instances.iter().find(|instance| instance.folder == folder);
        named.or_else(|| {
            let real = real_path(folder);
            self.instances.iter().find(|instance| real_path(&instance.folder) == real)
        })
    }

    /// The organization that an instance is merged into.
    pub fn merging(&self, instance: &str) -> Option<&MergedOrganization> {
        let is_member = |organization: &&MergedOrganization| {
            organization.members.iter().any(|member| member.name == instance)
        };
        self.organizations.iter().find(is_member)
    }

    /// The instances that are not merged.
    pub fn alone(&self) -> impl Iterator<Item = &NamedInstance> {
        self.instances.iter().filter(|instance| self.merging(&instance.name).is_none())
    }

    /// When an instance or an organization of this name is synced, if the file says so.
    pub fn schedule_of(&self, name: &str) -> Option<&ScheduleEntry> {
        let organization = self.organizations.iter().find(|known| known.name == name);
        let instance = self.instances.iter().find(|known| known.name == name);
        match (organization, instance) {
            (Some(organization), _) => organization.schedule.as_ref(),
            (None, Some(instance)) => instance.schedule.as_ref(),
            (None, None) => None,
        }
    }

    /// Keys and values as in the file: folders absolute, a schedule also where it is the whole file's.
    pub fn listing(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        if !self.alerts.channels.is_empty() {
            rows.push(("alerts.after".to_owned(), self.alerts.after.to_string()));
            let redact = self.alerts.privacy == bwdc_core::alert::Privacy::Redacted;
            rows.push(("alerts.redact".to_owned(), redact.to_string()));
        }
        for channel in &self.alerts.channels {
            let events: Vec<&str> = channel.events.iter().map(|event| event.word()).collect();
            let key = format!("alerts.channel.{}", channel.name);
            rows.push((format!("{key}.type"), channel.kind().to_owned()));
            rows.push((format!("{key}.events"), events.join(", ")));
        }
        let scheduled = |of: &str, schedule: &Option<ScheduleEntry>| {
            schedule.as_ref().map(|schedule| {
                let (key, text) = schedule.written();
                (format!("{of}.schedule.{key}"), text.to_owned())
            })
        };
        for NamedInstance { name, folder, schedule } in &self.instances {
            let key = format!("instance.{name}");
            rows.push((format!("{key}.folder"), folder.display().to_string()));
            rows.extend(scheduled(&key, schedule));
        }
        for MergedOrganization { name, members, schedule } in &self.organizations {
            let key = format!("organization.{name}");
            let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
            rows.push((format!("{key}.merge"), names.join(", ")));
            let prefixed = members.iter().filter(|member| !member.prefix.is_empty());
            rows.extend(
                prefixed.map(|member| (format!("{key}.prefix.{}", member.name), member.prefix.clone())),
            );
            rows.extend(scheduled(&key, schedule));
        }
        rows
    }

    /// The log file, absolute.
    pub fn log_file(&self) -> Option<PathBuf> {
        self.log.file.as_ref().map(|file| self.resolve(file.get_ref()))
    }

    fn resolve(&self, path: &str) -> PathBuf {
        read::resolve(&self.path, path)
    }
}

/// The JSON Schema of the file, for editors.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<Content>();
    schema.insert("title".to_owned(), FILE.into());
    schema.into()
}

/// TOML has no null: what is optional is left out.
fn without_null(schema: &mut Schema) {
    let is_null = |part: &Value| part == "null" || part["type"] == "null";
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|part| !is_null(part));
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(mut choices)) = schema.remove("anyOf") else { return };
    choices.retain(|part| !is_null(part));
    match <[Value; 1]>::try_from(choices) {
        Ok([Value::Object(only)]) => only.into_iter().for_each(|(key, value)| {
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }),
        Ok(choices) => {
            schema.insert("anyOf".to_owned(), choices.to_vec().into());
        }
        Err(choices) => {
            schema.insert("anyOf".to_owned(), choices.into());
        }
    }
}

#[cfg(test)]
mod reference;
