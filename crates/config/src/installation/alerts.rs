//! `[alerts]`: who is told when something is wrong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bwdc_connect::alert::{
    Channel, ChannelKind, Mail, MailLogin, MailServer, Ping, Preset, Program, SecretUrl, Webhook,
};
use bwdc_core::Secret;
use bwdc_core::alert::{Event, Privacy};
use bwdc_core::error::{Error, Result};
use bwdc_store::privileges::{self, ReferredFile};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use toml::Spanned;

use super::values::numbers;
use crate::env::{self, Environment};
use crate::secrets;

/// Alerts: who is told when something is wrong.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlertsEntry {
    /// Number of failures in a row before somebody is told.
    #[schemars(extend("default" = After::default().0))]
    pub after: Option<After>,
    /// Keeps people's names and addresses, and every text that may have them, out of alerts.
    #[schemars(extend("default" = false))]
    pub redact: Option<bool>,
    /// Text file with metrics that is written after each run, for the textfile collector of node_exporter: `/path/bwdc.prom`.
    #[schemars(with = "Option<String>")]
    pub textfile: Option<Spanned<String>>,
    /// Channels by a name of your choice.
    #[schemars(with = "BTreeMap<String, ChannelEntry>")]
    pub channel: BTreeMap<Spanned<String>, ChannelEntry>,
}

/// One channel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelEntry {
    /// Kind of channel.
    #[serde(rename = "type")]
    #[schemars(with = "ChannelType")]
    pub kind: Spanned<ChannelType>,
    /// Events that it is told. Default: `failed`, `recovered`, `held`, `missed` and `expiring`; of a ping none, since it is told of each run.
    #[schemars(with = "Option<Vec<EventWord>>")]
    pub events: Option<Vec<EventWord>>,
    /// Address of a webhook or a ping: https, or plain http to this machine.
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<Hidden>>,
    /// File with the address instead, since whoever knows it can use it.
    #[schemars(with = "Option<String>")]
    pub url_file: Option<Spanned<String>>,
    /// Form of a webhook's body.
    #[schemars(extend("default" = "json"))]
    pub preset: Option<PresetWord>,
    /// File with the key of the receiver: PagerDuty's routing key, Opsgenie's API key, ntfy's access token.
    #[schemars(with = "Option<String>")]
    pub key_file: Option<Spanned<String>>,
    /// File with the key by which a webhook's body is signed (HMAC-SHA256).
    #[schemars(with = "Option<String>")]
    pub hmac_key_file: Option<Spanned<String>>,
    /// Mail server: `smtp://host:port` (STARTTLS), `smtps://host:port`, `sendmail` or `sendmail:/path` of a program that takes mail like it.
    #[schemars(with = "Option<String>")]
    pub server: Option<Spanned<String>>,
    /// Sender of the mail.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// Receivers of the mail.
    #[schemars(with = "Option<Vec<String>>")]
    pub to: Option<Spanned<Vec<String>>>,
    /// User at the mail server.
    pub user: Option<String>,
    /// File with that user's password.
    #[schemars(with = "Option<String>")]
    pub password_file: Option<Spanned<String>>,
    /// Program with its arguments. It gets the JSON document on stdin; no shell runs it.
    #[schemars(with = "Option<String>")]
    pub command: Option<Spanned<String>>,
}

/// Kind of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChannelType {
    /// HTTP request.
    Webhook,
    /// Mail.
    Mail,
    /// Dead man's switch in the form of healthchecks.io.
    Ping,
    /// Program.
    Command,
}

/// Makes a type of the words of another, as the file has them: read by the word, described by all of them.
macro_rules! word {
    ($(#[doc = $doc:literal])+ $name:ident($of:ty), $all:expr, $words:expr, $what:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $name($of);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> std::result::Result<Self, String> {
                let found = $all.into_iter().find(|one| one.word() == text);
                let words = || format!(concat!("there is no ", $what, " `{}`; it must be one of: {}"), text.escape_debug(), $words.join(", "));
                found.map(Self).ok_or_else(words)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words = $words.map(|word| json_schema!({ "type": "string", "const": word }));
                json_schema!({ "oneOf": words })
            }
        }
    };
}

word! {
    /// Event by its word.
    EventWord(Event), Event::WANTED, Event::WORDS, "event"
}

word! {
    /// Form of a webhook's body by its word.
    PresetWord(Preset), Preset::ALL, Preset::WORDS, "preset"
}

/// Text that prints as `[secret]`.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Hidden(Secret);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Number of failures: from 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "i64", extend("minimum" = 1, "maximum" = 1000))]
pub(crate) struct After(pub usize);

impl Default for After {
    fn default() -> Self {
        Self(2)
    }
}

impl TryFrom<i64> for After {
    type Error = String;

    fn try_from(value: i64) -> std::result::Result<Self, String> {
        numbers::within(value, 1..=1000).map(Self)
    }
}

/// Alerts as they are wanted.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// Number of failures in a row before somebody is told.
    pub after: u32,
    /// Whether people may be named.
    pub privacy: Privacy,
    /// Text file with metrics.
    pub textfile: Option<PathBuf>,
    /// Channels in the order of their names.
    pub channels: Vec<WantedChannel>,
}

/// Channel as it is wanted. Its secrets are looked for when it is used.
#[derive(Clone, Debug)]
pub struct WantedChannel {
    /// Name.
    pub name: String,
    /// Events that it is told.
    pub events: Vec<Event>,
    kind: WantedKind,
    /// The file that names the channel.
    named_by: PathBuf,
}

#[derive(Clone, Debug)]
enum WantedKind {
    Webhook { url: Place, preset: Preset, key: Option<Place>, hmac_key: Option<Place> },
    Mail { mail: Mail, user: Option<String>, password: Option<Place> },
    Ping { url: Place },
    Command(Vec<String>),
}

/// Where a channel's secret is, unless its variable has it.
#[derive(Clone, Debug)]
enum Place {
    Here(Secret),
    File(PathBuf),
    /// In its variable alone.
    Variable,
}

/// Part of the name of a channel's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Url,
    Key,
    HmacKey,
    Password,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Url => "URL",
            Self::Key => "KEY",
            Self::HmacKey => "HMAC_KEY",
            Self::Password => "PASSWORD",
        }
    }
}

/// What the variables of channels' secrets begin with.
pub const VARIABLES: &str = "BWDC_ALERT_";

/// Variable with a secret of a channel: `BWDC_ALERT_OPS_URL`.
fn variable(channel: &str, part: Part) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = channel.chars().map(upper).collect();
    format!("{VARIABLES}{name}_{}", part.word())
}

/// Variables that are kept from programs of channels.
fn hidden(environment: &Environment) -> Vec<String> {
    secrets::variables().chain(environment.names_with(VARIABLES)).collect()
}

impl WantedChannel {
    /// Whether the channel wants to be told of an event. All of them are told of a test.
    pub fn wants(&self, event: Event) -> bool {
        event == Event::Test || self.events.contains(&event)
    }

    /// Whether the channel is told of each run.
    pub fn is_ping(&self) -> bool {
        matches!(self.kind, WantedKind::Ping { .. })
    }

    /// Kind of the channel, in a word.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            WantedKind::Webhook { .. } => "webhook",
            WantedKind::Mail { .. } => "mail",
            WantedKind::Ping { .. } => "ping",
            WantedKind::Command(_) => "command",
        }
    }

    /// The channel with its secrets.
    ///
    /// # Errors
    /// A secret is missing, cannot be read or is wrong.
    pub fn open(&self, environment: &Environment) -> Result<Channel> {
        let find = |part, place: &Place| self.secret(environment, part, place);
        let url = |place| {
            let text = find(Part::Url, place)?;
            SecretUrl::parse(text.reveal()).map_err(|why| self.wrong(format!("its address is wrong: {why}")))
        };
        let optional = |part, place: &Option<Place>| match place {
            Some(place) => find(part, place).map(Some),
            None => self.given(environment, part),
        };
        let kind = match &self.kind {
            WantedKind::Webhook { url: place, preset, key, hmac_key } => {
                let (key, hmac_key) = (optional(Part::Key, key)?, optional(Part::HmacKey, hmac_key)?);
                if preset.needs_key() && key.is_none() {
                    return Err(self.wrong("its key is missing").hint(format!(
                        "Set key_file, or the variable {}.",
                        variable(&self.name, Part::Key)
                    )));
                }
                ChannelKind::Webhook(Webhook { url: url(place)?, preset: *preset, key, hmac_key })
            }
            WantedKind::Mail { mail, user, password } => {
                let password = optional(Part::Password, password)?;
                let login = match (user.clone(), password) {
                    (Some(user), Some(password)) => Some(MailLogin { user, password }),
                    (Some(_), None) => {
                        return Err(self.wrong("the password of its user is missing").hint(format!(
                            "Set password_file, or the variable {}.",
                            variable(&self.name, Part::Password)
                        )));
                    }
                    (None, _) => None,
                };
                if let MailServer::Sendmail(program) = &mail.server {
                    self.check_program(program)?;
                }
                ChannelKind::Mail(mail.clone().with_login(login).hiding(hidden(environment)))
            }
            WantedKind::Ping { url: place } => ChannelKind::Ping(Ping { url: url(place)? }),
            WantedKind::Command(words) => ChannelKind::Command(self.program(words, environment)?),
        };
        Ok(Channel { name: self.name.clone(), kind })
    }

    fn program(&self, words: &[String], environment: &Environment) -> Result<Program> {
        words.first().map_or(Ok(()), |program| self.check_program(program))?;
        Program::new(words.to_vec(), hidden(environment)).ok_or_else(|| self.wrong("its command is empty"))
    }

    /// Root runs no program that somebody else could have named or written.
    fn check_program(&self, program: &str) -> Result<()> {
        privileges::check_named(ReferredFile::Secret, &self.named_by, None)?;
        Environment::program(program).map_or(Ok(()), |program| privileges::check_program(&program))
    }

    /// A secret: of its variable first, then of the file that a variable names, of the key, of systemd's credentials.
    fn secret(&self, environment: &Environment, part: Part, place: &Place) -> Result<Secret> {
        if let Some(secret) = self.given(environment, part)? {
            return Ok(secret);
        }
        match place {
            Place::Here(secret) => Ok(secret.clone()),
            Place::Variable => {
                let variable = variable(&self.name, part);
                Err(self
                    .wrong(format!("the variable {variable} is not set"))
                    .hint(format!("Or name a file with it: {variable}_FILE.")))
            }
            Place::File(path) => {
                privileges::check_named(ReferredFile::Secret, &self.named_by, None)?;
                self.in_file(path)
            }
        }
    }

    /// A secret of whoever started this process: of its variable, of the file that its `_FILE` variable names, or of systemd's credentials.
    fn given(&self, environment: &Environment, part: Part) -> Result<Option<Secret>> {
        let variable = variable(&self.name, part);
        if let Some(secret) = environment.secret(&variable) {
            return Ok(Some(secret));
        }
        if let Some(path) = environment.path(&format!("{variable}_FILE")) {
            return self.in_file(&path).map(Some);
        }
        let credential = format!("alert.{}.{}", self.name, part.word().to_lowercase());
        let path = environment.path(env::CREDENTIALS_DIRECTORY).map(|folder| folder.join(credential));
        path.filter(|path| path.exists()).map(|path| self.in_file(&path)).transpose()
    }

    /// Content of a file with one secret.
    fn in_file(&self, path: &Path) -> Result<Secret> {
        let text = bwdc_store::files::read_text(path)
            .map_err(|error| self.wrong(format!("reading {}: {error}", path.display())))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(self.wrong(format!("the file {} is empty", path.display())));
        }
        Ok(Secret::from(text))
    }

    fn wrong(&self, why: impl fmt::Display) -> Error {
        Error::new(format!("The channel {} cannot be used: {why}.", self.name))
    }
}

/// What is wrong with a channel, and where: the key, or the whole.
pub(crate) struct Wrong {
    pub(super) at: std::ops::Range<usize>,
    pub(super) why: String,
}

impl Wrong {
    fn new(at: std::ops::Range<usize>, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }
}

impl AlertsEntry {
    /// The alerts, understood. `file` is the one that they stand in.
    pub(super) fn understood(self, file: &Path) -> std::result::Result<Alerts, Wrong> {
        let mut channels = Vec::new();
        for (name, entry) in self.channel {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let text = name.get_ref();
            if text.is_empty() || text.len() > 64 || !text.chars().all(is_allowed) {
                let why = format!("`{}` is not a valid name of a channel", text.escape_debug());
                return Err(Wrong::new(name.span(), why));
            }
            channels.push(entry.understood(name.into_inner(), file)?);
        }
        let After(after) = self.after.unwrap_or_default();
        let privacy = if self.redact.unwrap_or_default() { Privacy::Redacted } else { Privacy::Named };
        let textfile = match &self.textfile {
            Some(path) if !path.get_ref().ends_with(".prom") => {
                return Err(Wrong::new(path.span(), "the text file of metrics must end with .prom"));
            }
            Some(path) => Some(super::read::resolve(file, path.get_ref())),
            None => None,
        };
        let after = u32::try_from(after).unwrap_or(u32::MAX);
        Ok(Alerts { after, privacy, textfile, channels })
    }
}

impl ChannelEntry {
    fn understood(self, name: String, file: &Path) -> std::result::Result<WantedChannel, Wrong> {
        self.check_keys(&name)?;
        let at = self.kind.span();
        let path = |path: &Spanned<String>| Place::File(super::read::resolve(file, path.get_ref()));
        let place = |place: &Option<Spanned<String>>| place.as_ref().map(path);
        let kind = match self.kind.get_ref() {
            ChannelType::Webhook => WantedKind::Webhook {
                url: self.address(file)?,
                preset: self.preset.map(|PresetWord(preset)| preset).unwrap_or_default(),
                key: place(&self.key_file),
                hmac_key: place(&self.hmac_key_file),
            },
            ChannelType::Ping => WantedKind::Ping { url: self.address(file)? },
            ChannelType::Mail => {
                let server = required(&self.server, &at, "server")?;
                let from = required(&self.from, &at, "from")?;
                let to = required(&self.to, &at, "to")?;
                let parsed = MailServer::parse(server.get_ref())
                    .map_err(|why| Wrong::new(server.span(), format!("the mail server: {why}")))?;
                if to.get_ref().is_empty() {
                    return Err(Wrong::new(to.span(), "nobody is named in `to`"));
                }
                let mail = Mail::new(parsed, from.get_ref(), to.get_ref())
                    .map_err(|why| Wrong::new(from.span(), why))?;
                WantedKind::Mail { mail, user: self.user.clone(), password: place(&self.password_file) }
            }
            ChannelType::Command => {
                let line = required(&self.command, &at, "command")?;
                let words = secrets::command_words(line.get_ref())
                    .map_err(|error| Wrong::new(line.span(), error.message.trim_end_matches('.')))?;
                WantedKind::Command(words)
            }
        };
        let usual: &[Event] = if matches!(kind, WantedKind::Ping { .. }) { &[] } else { &Event::USUAL };
        let events = self.events.map(|words| words.into_iter().map(|EventWord(event)| event).collect());
        Ok(WantedChannel {
            name,
            events: events.unwrap_or_else(|| usual.to_vec()),
            kind,
            named_by: file.to_owned(),
        })
    }

    /// Address, in the file itself, in another one, or in a variable.
    fn address(&self, file: &Path) -> std::result::Result<Place, Wrong> {
        match (&self.url, &self.url_file) {
            (Some(url), Some(_)) => Err(Wrong::new(url.span(), "`url` and `url_file` exclude each other")),
            (Some(url), None) => {
                let Hidden(text) = url.get_ref();
                SecretUrl::parse(text.reveal())
                    .map_err(|why| Wrong::new(url.span(), format!("the address of the channel: {why}")))?;
                Ok(Place::Here(text.clone()))
            }
            (None, Some(path)) => Ok(Place::File(super::read::resolve(file, path.get_ref()))),
            (None, None) => Ok(Place::Variable),
        }
    }

    /// Keys that a channel of this kind does not have.
    fn check_keys(&self, name: &str) -> std::result::Result<(), Wrong> {
        use ChannelType::{Command, Mail, Ping, Webhook};
        let kind = *self.kind.get_ref();
        let given: [(&str, bool, &[ChannelType]); 11] = [
            ("url", self.url.is_some(), &[Webhook, Ping]),
            ("url_file", self.url_file.is_some(), &[Webhook, Ping]),
            ("preset", self.preset.is_some(), &[Webhook]),
            ("key_file", self.key_file.is_some(), &[Webhook]),
            ("hmac_key_file", self.hmac_key_file.is_some(), &[Webhook]),
            ("server", self.server.is_some(), &[Mail]),
            ("from", self.from.is_some(), &[Mail]),
            ("to", self.to.is_some(), &[Mail]),
            ("user", self.user.is_some(), &[Mail]),
            ("password_file", self.password_file.is_some(), &[Mail]),
            ("command", self.command.is_some(), &[Command]),
        ];
        let stray = given.iter().find(|(_, is_given, kinds)| *is_given && !kinds.contains(&kind));
        match stray {
            Some((key, ..)) => {
                let why = format!("the channel {name} has `{key}`, which its type does not have");
                Err(Wrong::new(self.kind.span(), why))
            }
            None => Ok(()),
        }
    }
}

fn required<'a, T>(
    value: &'a Option<T>,
    at: &std::ops::Range<usize>,
    key: &str,
) -> std::result::Result<&'a T, Wrong> {
    value.as_ref().ok_or_else(|| Wrong::new(at.clone(), format!("the key `{key}` is missing")))
}
