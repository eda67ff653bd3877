//! `bwdc config`

use std::path::{Path, PathBuf};

use bwdc_core::Secret;
use clap::Args;
use serde_json::{Value, json};

use super::which::WhichOne;
use super::{Interaction, login};
use crate::ui::{self, Answer};
use bwdc_config::directories::{entra, ldap};
use bwdc_config::secrets::{self, SecretDestination, SecretSource};
use bwdc_config::settings::{self, Setting, Type, general};
use bwdc_config::setup::ValueOrigin;
use bwdc_config::{Environment, Setup, installation, server};
use bwdc_core::error::{Error, Result};
use bwdc_store::Data;
use bwdc_sync::Context;

#[derive(Debug, Args)]
#[command(after_long_help = settings_help(), override_usage = "bwdc config <SETTING> [VALUE]\n       bwdc config list\n       bwdc config get <SETTING>\n       bwdc config unset <SETTING>\n       bwdc config import\n       bwdc config schema")]
pub(super) struct Arguments {
    /// The setting's name; or `list`, `get`, `unset`, `schema`, or `import`: settings as a JSON object on stdin, with null for one that is cleared, all or none.
    setting: String,
    /// The new value. Other users of this machine can see it on the command line: for a secret, use one of the options.
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    /// Take the value from this environment variable.
    #[arg(long, value_name = "variable-name")]
    secretenv: Option<String>,
    /// Take the value from the first line of this file; a private key (PEM) or a JSON key file is taken whole.
    #[arg(long, value_name = "filename")]
    secretfile: Option<PathBuf>,
    /// Change a setting that changes people's ids without asking.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub(super) which: WhichOne,
}

impl Arguments {
    /// Whether it is about the form of `bwdc.toml` and no installation.
    pub(super) fn is_schema(&self) -> bool {
        self.setting.eq_ignore_ascii_case("schema") && self.value.is_none()
    }
}

/// The JSON Schema of `bwdc.toml`.
pub(super) fn schema() -> Answer {
    let value = installation::schema();
    Answer::Table { text: serde_json::to_string_pretty(&value).unwrap_or_default(), value }
}

pub(super) async fn run(
    invocation: &super::Invocation,
    arguments: &Arguments,
    interaction: Interaction,
) -> Result<Answer> {
    let context = &arguments.which.context(invocation)?;
    let name = arguments.setting.to_lowercase();
    match (name.as_str(), &arguments.value) {
        ("list", None) => list(context, &invocation.setup).await,
        ("get", Some(name)) => get(context, settings::find(name)?).await,
        ("unset", Some(name)) => unset(context, settings::find(name)?).await,
        ("import", None) => import(context, arguments, interaction).await,
        ("get" | "unset", None) => Err(Error::new(format!("`config {name}` needs the name of a setting."))
            .hint("Give it as the next argument; `bwdc config list` shows all settings.")),
        _ => {
            let setting = settings::find(&name)?;
            set(context, setting, arguments, interaction).await?;
            warn_of_plain_http(context, setting);
            Ok(Answer::message(format!("Saved setting `{name}`.")))
        }
    }
}

async fn set(
    context: &Context,
    setting: &Setting,
    arguments: &Arguments,
    interaction: Interaction,
) -> Result<()> {
    let value = match value(arguments)? {
        Some(value) => value,
        // As the existing connector has it.
        None if setting.kind == Type::Server => String::new(),
        None => {
            return Err(Error::new(format!("No value was given for {}.", setting.name)).hint(
                "Give it as the second argument, or with --secretenv or --secretfile. Nothing was saved.",
            ));
        }
    };
    let data = context.file.load()?;
    let parsed = setting.parse(&value, &data)?;
    if setting.name == IDENTITY && setting.stored(&data) != Some(&parsed) && !arguments.yes {
        confirm_other_ids(&data, interaction)?;
    }
    match secrets::of_setting(setting.name) {
        Some(declared) => {
            if arguments.value.as_ref().is_some_and(|value| !value.is_empty()) {
                login::warn_of_argument(context, setting.name, "--secretfile FILE or --secretenv NAME");
            }
            let secret = Secret::from(value);
            let change = Some(&secret).filter(|secret| !secret.is_empty());
            let destination = context.secrets.keep(&[(&declared.storage, change)], |_| Ok(())).await?;
            tracing::info!("{} is in {destination}", setting.name);
            Ok(())
        }
        None => store(context, setting, parsed),
    }
}

/// Saves what stands on stdin: all of it, if each value is right.
async fn import(context: &Context, arguments: &Arguments, interaction: Interaction) -> Result<Answer> {
    let given = super::given::on_stdin()?;
    let mut data = context.file.load()?;
    let (mut values, mut kept) = (Vec::new(), Vec::new());
    for (name, text) in &given {
        let setting = settings::find(name).map_err(|error| error.while_doing(name))?;
        let value = setting.parse(text.reveal(), &data)?;
        match secrets::of_setting(setting.name) {
            Some(declared) => kept.push((&declared.storage, Some(text).filter(|text| !text.is_empty()))),
            None => {
                if setting.name == IDENTITY && setting.stored(&data) != Some(&value) && !arguments.yes {
                    confirm_other_ids(&data, interaction)?;
                }
                setting.store(&mut data, value.clone());
                values.push((setting, value));
            }
        }
    }
    context.file.update(|data| {
        values.into_iter().for_each(|(setting, value)| setting.store(data, value));
        Ok(())
    })?;
    if !kept.is_empty() {
        context.secrets.keep(&kept, |_| Ok(())).await?;
    }
    Ok(Answer::message(format!("Saved {} setting(s).", given.len())))
}

/// A server that is reached by plain http is refused by every sync, unless that is allowed.
fn warn_of_plain_http(context: &Context, setting: &Setting) {
    if setting.kind != Type::Server {
        return;
    }
    let data = context.file.load().unwrap_or_default();
    let url = server::endpoints(&data).ok().and_then(|endpoints| endpoints.in_clear().map(str::to_owned));
    if let Some(url) = url.filter(|_| !general::SERVER_ALLOW_PLAIN_HTTP.is_on(&data)) {
        context.watch.warning(&format!(
            "{url} is plain http, so every sync is refused: the API key and everybody's names would cross the network in clear. Use https, or allow it with `bwdc config server.allowPlainHttp true`."
        ));
    }
}

/// By which people and groups are known.
const IDENTITY: &str = ldap::settings::EXTERNAL_ID_ATTRIBUTE.name;

/// An organization that was synced knows everybody by the id of then.
fn confirm_other_ids(data: &Data, interaction: Interaction) -> Result<()> {
    if !data.remembered().has_sync_time() {
        return Ok(());
    }
    let told = format!(
        "This instance has been synced before, and the organization knows its people and groups by their present ids. With another {IDENTITY}, every group is created a second time, and people lose their old groups."
    );
    let is_wanted = interaction == Interaction::Terminal
        && ui::confirm_no(&format!("{told}\nChange it anyway?"))
            .map_err(|error| Error::new(format!("Asking whether to go on: {error}")))?;
    if is_wanted {
        return Ok(());
    }
    Err(Error::new(told).hint(
        "Nothing was saved. To change it anyway, add --yes, and check `bwdc test` before the next sync.",
    ))
}

fn store(context: &Context, setting: &Setting, value: Value) -> Result<()> {
    context.file.update(|data| {
        setting.store(data, value);
        Ok(())
    })
}

async fn unset(context: &Context, setting: &Setting) -> Result<Answer> {
    match secrets::of_setting(setting.name) {
        Some(declared) => {
            context.secrets.keep(&[(&declared.storage, None)], |_| Ok(())).await?;
        }
        None => store(context, setting, Value::Null)?,
    }
    Ok(Answer::message(format!("Cleared setting `{}`.", setting.name.to_lowercase())))
}

fn value(arguments: &Arguments) -> Result<Option<String>> {
    if let Some(value) = &arguments.value {
        if looks_like_an_option(value) {
            return Err(Error::new(format!(
                "`config` has no option {value}, and it was not taken for the value."
            ))
            .hint("If it is the value, give it with --secretfile or --secretenv. Nothing was saved."));
        }
        return Ok(Some(value.clone()));
    }
    if let Some(name) = &arguments.secretenv {
        return Environment::named_secret(name).map(|secret| Some(secret.reveal().to_owned())).ok_or_else(
            || Error::new(format!("The variable {name} is not set or empty.")).hint("Nothing was saved."),
        );
    }
    arguments.secretfile.as_deref().map(secret_in).transpose()
}

/// Two hyphens and words of small letters. Other values, such as passwords, may begin with hyphens.
fn looks_like_an_option(value: &str) -> bool {
    let name = value.strip_prefix("--").unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// The first line, as the existing connector takes it; of a key all of them.
fn secret_in(path: &Path) -> Result<String> {
    let text = bwdc_store::files::read_text(path).map_err(|error| {
        Error::new(format!("Reading {}: {error}", path.display())).hint("Nothing was saved.")
    })?;
    let line = text.lines().next().unwrap_or_default().trim_end();
    if line.is_empty() {
        return Err(
            Error::new(format!("The first line of {} is empty.", path.display())).hint("Nothing was saved.")
        );
    }
    let is_key = line.starts_with("-----BEGIN ") || line.starts_with('{');
    Ok(if is_key { text.trim_end().to_owned() } else { line.to_owned() })
}

/// The value that applies; of a secret only where it is.
async fn get(context: &Context, setting: &'static Setting) -> Result<Answer> {
    let data = context.file.load()?;
    let shown = Shown::of(context, &data, setting).await;
    Ok(Answer::Text(shown.value()))
}

async fn list(context: &Context, setup: &Setup) -> Result<Answer> {
    let data = context.file.load()?;
    let mut all = Vec::new();
    for declared in [&secrets::CLIENT_ID, &secrets::CLIENT_SECRET] {
        all.push(Shown::secret(context, &data, declared, declared.name).await);
    }
    for setting in settings::ALL.iter().filter(|setting| setting.name != entra::AZURE_KEY.name) {
        all.push(Shown::of(context, &data, setting).await);
    }
    all.extend(setup.listing().into_iter().map(|(name, row)| Shown {
        name,
        state: row.map_or(State::NotSet, |(value, origin)| State::OfProcess(value, origin)),
    }));
    let destination = context.secrets.destination(&data);
    if let (SecretDestination::OsStore, Some(why)) = (&destination, context.secrets.why_no_store(&data).await)
    {
        context.watch.warning(&why.message);
    }
    let width = all.iter().map(|shown| shown.name.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = all.iter().map(|shown| shown.line(width)).collect();
    lines.push(format!("\nNew secrets are kept in {destination}."));
    let value = json!({
        "object": "list",
        "data": all.iter().map(Shown::json).collect::<Vec<_>>(),
        "newSecretsAreKeptIn": destination.to_string(),
    });
    Ok(Answer::Table { text: lines.join("\n"), value })
}

/// One line of the list.
struct Shown {
    name: String,
    state: State,
}

/// How a setting stands.
enum State {
    Set(Value),
    Default(&'static str),
    /// Of `bwdc.toml` and what stands over it.
    OfProcess(String, ValueOrigin),
    /// Never the secret, only where it is.
    Secret(SecretSource),
    NotSet,
    /// Why a secret cannot be had.
    Unknown(String),
}

impl Shown {
    async fn of(context: &Context, data: &Data, setting: &'static Setting) -> Self {
        if let Some(declared) = secrets::of_setting(setting.name) {
            return Self::secret(context, data, declared, setting.name).await;
        }
        let state = match setting.stored(data) {
            Some(value) => State::Set(value.clone()),
            None if setting.default.is_empty() => State::NotSet,
            None => State::Default(setting.default),
        };
        Self { name: setting.name.to_owned(), state }
    }

    async fn secret(
        context: &Context,
        data: &Data,
        declared: &secrets::DeclaredSecret,
        name: &'static str,
    ) -> Self {
        let state = match context.secrets.find(data, declared).await {
            Ok(Some(found)) => State::Secret(found.source),
            Ok(None) => State::NotSet,
            Err(error) => State::Unknown(error.message),
        };
        Self { name: name.to_owned(), state }
    }

    /// What `get` prints.
    fn value(&self) -> Option<String> {
        match &self.state {
            State::Set(value) => Some(settings::text(value)),
            State::Default(text) => Some((*text).to_owned()),
            State::OfProcess(text, _) => Some(text.clone()),
            State::Secret(source) => Some(format!("[found in {source}]")),
            State::NotSet | State::Unknown(_) => None,
        }
    }

    fn source(&self) -> String {
        match &self.state {
            State::Set(_) => "data.json".to_owned(),
            State::Default(_) => "default".to_owned(),
            State::OfProcess(_, origin) => origin.to_string(),
            State::Secret(source) => source.to_string(),
            State::NotSet => "not set".to_owned(),
            State::Unknown(why) => format!("error: {why}"),
        }
    }

    fn line(&self, width: usize) -> String {
        let name = &self.name;
        match (self.value(), &self.state) {
            (Some(value), State::Default(_) | State::OfProcess(..)) => {
                format!("{name:width$}  {value}  ({})", self.source())
            }
            (Some(value), _) => format!("{name:width$}  {value}"),
            (None, _) => format!("{name:width$}  ({})", self.source()),
        }
    }

    fn json(&self) -> Value {
        let value = match &self.state {
            State::Set(value) => Some(value.clone()),
            _ => self.value().map(Value::from),
        };
        json!({ "name": self.name, "value": value, "source": self.source() })
    }
}

fn settings_help() -> String {
    let lines = settings::ALL.iter().map(|setting| {
        let Setting { name, kind, default, meaning, .. } = setting;
        let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
        format!("  {name} <{}>\n      {meaning}{default}", kind.name())
    });
    format!("Settings:\n{}", lines.collect::<Vec<_>>().join("\n"))
}
