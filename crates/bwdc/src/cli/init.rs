//! `bwdc init`: sets up an instance. What is not given by options is asked; everything is tried before anything is saved.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bwdc_connect::bitwarden::{Credentials, Token};
use bwdc_connect::directory::{self, Directory as _, Scope, ldap};
use bwdc_connect::probe::{Check, Outcome};
use bwdc_core::Secret;
use clap::Args;
use serde_json::Value;
use tokio::time::timeout;

use super::login::{self, Origin};
use super::which::WhichOne;
use super::{Given, Interaction};
use crate::config::presets::{self, Preset};
use crate::config::secrets::{self, Keeping, Known, Source};
use crate::config::settings::{self, Setting};
use crate::config::{Instance, env, instance};
use crate::job;
use crate::run::{self, Context};
use crate::session;
use crate::ui::{self, Answer, Echo, Reply};
use bwdc_core::error::{Error, Result};
use bwdc_store::{Data, key};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory type: ldap, file, entra, gsuite, okta or onelogin.
    #[arg(long, value_name = "NAME")]
    directory: Option<String>,
    /// The Bitwarden server's base URL.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Any other setting. May be repeated. See `bwdc config --help`. For secrets, see docs/secrets.md.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Save without testing the directory and the login.
    #[arg(long)]
    untested: bool,
    #[command(flatten)]
    pub(super) which: WhichOne,
}

pub(super) async fn run(given: &Given, arguments: Arguments, interaction: Interaction) -> Result<Answer> {
    let context = &arguments.which.new_context(given)?;
    let mut draft = Draft::new(context, interaction)?;
    draft.given(&arguments)?;
    draft.resume()?;
    loop {
        if draft.questions().await? == Turn::Back {
            draft.go_back();
            continue;
        }
        let tried = if arguments.untested { Ok(()) } else { draft.try_directory().await };
        match tried {
            Ok(()) => break,
            Err(trouble) if draft.again(&trouble)? => {}
            Err(trouble) => return Err(trouble.error.also("Nothing was saved.")),
        }
    }
    let login = if arguments.untested { None } else { draft.log_in().await? };
    draft.make_secrets_last(login.as_ref()).await?;
    draft.place_for_secrets(login.as_ref()).await?;
    draft.save(login).await?;
    let mut lines = vec![format!("Saved in {}.", context.file.path().display())];
    lines.extend(where_secrets_are(context).await?);
    lines.push(
        "Next: `bwdc test` shows what a sync would do, `bwdc sync` does it, `bwdc doctor` checks everything."
            .to_owned(),
    );
    Ok(Answer::Message { title: "bwdc is set up.".to_owned(), message: Some(lines.join("\n")) })
}

/// Where the questions go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Next,
    Back,
}

/// Why the directory cannot be read as it is described.
struct Trouble {
    error: Error,
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The secret is not the right one.
    Secret,
    Anything,
}

/// What is to be saved, and nothing saved yet.
struct Draft<'a> {
    context: &'a Context,
    interaction: Interaction,
    /// As it will be, secrets included.
    data: Data,
    changes: Vec<(&'static Setting, Value)>,
    /// What needs not be asked any more.
    answered: HashSet<&'static str>,
    /// What was asked, in this order.
    asked: Vec<&'static str>,
    /// Whether nothing was configured before.
    is_new: bool,
    secrets: Vec<(&'static Known, Secret)>,
}

/// An accepted API key.
struct Login {
    credentials: Credentials,
    token: Token,
    origin: Origin,
}

/// What has to be known of each directory, in the order in which it is asked.
fn required(directory: &str) -> &'static [&'static str] {
    match directory {
        "ldap" => {
            &["ldap.hostname", "ldap.ssl", "ldap.startTls", "ldap.port", "ldap.username", "ldap.password"]
        }
        "file" => &["file.path"],
        "entra" => &["entra.tenant", "entra.applicationId", "entra.key"],
        "gsuite" => {
            &["gsuite.keyFile", "gsuite.clientEmail", "gsuite.key", "gsuite.adminUser", "gsuite.domain"]
        }
        "okta" => &["okta.orgUrl", "okta.token"],
        "onelogin" => &["onelogin.region", "onelogin.clientId", "onelogin.secret"],
        _ => &[],
    }
}

impl<'a> Draft<'a> {
    fn new(context: &'a Context, interaction: Interaction) -> Result<Self> {
        let data = session::with_app_id(context.file.load()?);
        let is_new = !context.file.path().exists();
        let (changes, secrets, asked) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { context, interaction, data, changes, answered: HashSet::new(), asked, is_new, secrets })
    }

    fn given(&mut self, arguments: &Arguments) -> Result<()> {
        for (name, value) in [("server", &arguments.server), ("directory", &arguments.directory)] {
            if let Some(value) = value {
                self.set(settings::find(name)?, value)?;
            }
        }
        for pair in &arguments.settings {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Error::new(format!("`--set {pair}` has no `=`.")).hint("Example: --set ldap.port=636")
            })?;
            let setting = settings::find(name)?;
            if secrets::of_setting(setting.name).is_some() {
                return Err(Error::new(format!(
                    "The secret {name} would be visible to other users of this machine."
                ))
                .hint("Set it in one of the ways in docs/secrets.md, such as its _FILE variable."));
            }
            self.set(setting, value)?;
        }
        Ok(())
    }

    fn set(&mut self, setting: &'static Setting, text: &str) -> Result<()> {
        let value = setting.parse(text, &self.data)?;
        setting.store(&mut self.data, value.clone());
        self.changes.retain(|(known, _)| known.name != setting.name);
        self.changes.push((setting, value));
        self.answered.insert(setting.name);
        Ok(())
    }

    /// Everything that has to be known, one after the other.
    async fn questions(&mut self) -> Result<Turn> {
        for name in ["server", "directory"] {
            if self.question(name).await? == Turn::Back {
                return Ok(Turn::Back);
            }
        }
        self.directory_questions().await
    }

    /// The last question is asked again, with what was answered as the proposal.
    fn go_back(&mut self) {
        let Some(name) = self.asked.pop() else {
            ui::hint("This is the first question.");
            return;
        };
        self.forget(name);
    }

    fn forget(&mut self, name: &str) {
        self.answered.remove(name);
        self.secrets.retain(|(known, _)| known.name != name);
        if let Some(known) = secrets::of_setting(name) {
            known.kept.take(&mut self.data);
        }
    }

    /// Asks for a setting that was not given.
    async fn question(&mut self, name: &'static str) -> Result<Turn> {
        let setting = settings::find(name)?;
        if self.answered.contains(name) {
            return Ok(Turn::Next);
        }
        if let Some(known) = secrets::of_setting(name) {
            return self.secret_question(known, setting).await;
        }
        let now = setting.stored_text(&self.data);
        let proposed = now.or_else(|| self.proposal(name)).or_else(|| Some(setting.default.to_owned()));
        let proposed = proposed.filter(|text| !text.is_empty());
        if self.interaction == Interaction::None {
            let value = proposed.ok_or_else(|| missing(name))?;
            return self.set(setting, &value).map(|()| Turn::Next);
        }
        loop {
            let answer = match (self.ask(setting, proposed.as_deref(), Echo::Shown)?, &proposed) {
                (Reply::Back, _) => return Ok(Turn::Back),
                (Reply::Text(text), _) => text,
                (Reply::Enter, Some(proposed)) => proposed.clone(),
                (Reply::Enter, None) => {
                    ui::hint("An answer is required.");
                    continue;
                }
                (Reply::End, _) => return Err(missing(name)),
            };
            match self.set(setting, &answer) {
                Ok(()) => return self.answer_given(name),
                Err(error) => ui::hint(&error.to_string()),
            }
        }
    }

    async fn secret_question(&mut self, known: &'static Known, setting: &Setting) -> Result<Turn> {
        let is_there = self.context.secrets.find(&self.data, known).await?.is_some();
        if is_there {
            return Ok(Turn::Next);
        }
        if self.interaction == Interaction::None {
            return Err(Error::new(format!("The secret {} is missing.", known.name)).hint(format!(
                "Set {0} or {0}_FILE, or use another of the ways in docs/secrets.md.",
                known.variable
            )));
        }
        let secret = loop {
            match self.ask(setting, None, Echo::Hidden)? {
                Reply::Back => return Ok(Turn::Back),
                Reply::Text(text) => break Secret::from(text),
                Reply::Enter => ui::hint("An answer is required."),
                Reply::End => return Err(missing(known.name)),
            }
        };
        known.kept.put(&mut self.data, &secret);
        self.secrets.push((known, secret));
        self.answer_given(known.name)
    }

    fn answer_given(&mut self, name: &'static str) -> Result<Turn> {
        self.asked.push(name);
        self.keep_for_later()?;
        Ok(Turn::Next)
    }

    fn ask(&self, setting: &Setting, proposed: Option<&str>, echo: Echo) -> Result<Reply> {
        let Setting { name, meaning, .. } = setting;
        let explained = explanation(name).map(|text| format!("{text}\n")).unwrap_or_default();
        let proposed = proposed.map(|text| format!(" [{text}]")).unwrap_or_default();
        ui::question(&format!("{explained}{name}: {meaning}{proposed}\n>"), echo)
            .map_err(|error| Error::new(format!("Asking for {name}: {error}")))
    }

    fn is_on(&self, flag: &str) -> bool {
        settings::find(flag).is_ok_and(|setting| setting.stored(&self.data) == Some(&Value::Bool(true)))
    }

    /// What follows from the other answers.
    fn proposal(&self, name: &str) -> Option<String> {
        match name {
            "directory" => Some("ldap".to_owned()),
            "ldap.ssl" => Some("true".to_owned()),
            "ldap.port" if self.is_on("ldap.ssl") && !self.is_on("ldap.startTls") => Some("636".to_owned()),
            "ldap.port" => Some("389".to_owned()),
            "sync.users" | "sync.groups" => Some("true".to_owned()),
            "entra.tenant" => self.context.environment.text(env::AZURE_TENANT_ID),
            "entra.applicationId" => self.context.environment.text(env::AZURE_CLIENT_ID),
            _ => None,
        }
    }

    async fn directory_questions(&mut self) -> Result<Turn> {
        let directory = instance::directory_name(&self.data)?;
        for name in required(directory) {
            // StartTLS is a way of protecting the connection: without, there is nothing to ask.
            if *name == "ldap.startTls" && !self.is_on("ldap.ssl") {
                self.set(settings::find(name)?, "false")?;
            }
            // A certificate needs neither name nor password, and a key file has both.
            let is_of_login = matches!(
                *name,
                "ldap.username" | "ldap.password" | "gsuite.clientEmail" | "gsuite.key" | "entra.key"
            );
            if is_of_login && instance::needed_secret(&self.data, &self.context.environment).is_none() {
                continue;
            }
            let is_key_file = *name == "okta.token"
                && instance::needed_secret(&self.data, &self.context.environment).is_none();
            let turn = if self.needs_no_answer(name) {
                self.optional_question(name)?
            } else {
                self.question(if is_key_file { "okta.privateKeyFile" } else { name }).await?
            };
            if turn == Turn::Back {
                return Ok(turn);
            }
        }
        if directory == "ldap"
            && (self.authority_question()? == Turn::Back || self.look_at_ldap_server().await? == Turn::Back)
        {
            return Ok(Turn::Back);
        }
        let of_leavers = if self.interaction == Interaction::Terminal { LEAVERS } else { &[] };
        for name in ["sync.users", "sync.groups"].into_iter().chain(of_leavers.iter().copied()) {
            if self.question(name).await? == Turn::Back {
                return Ok(Turn::Back);
            }
        }
        Ok(Turn::Next)
    }

    /// The file of the authority that signed the server's certificate; none for one that the system knows.
    fn authority_question(&mut self) -> Result<Turn> {
        let name = match (self.is_on("ldap.ssl"), self.is_on("ldap.startTls")) {
            (false, _) => return Ok(Turn::Next),
            (true, true) => "ldap.tlsCaPath",
            (true, false) => "ldap.sslCaPath",
        };
        self.optional_question(name)
    }

    /// What may be left out, for something else or for nothing.
    fn needs_no_answer(&self, name: &str) -> bool {
        let has_customer =
            || settings::find("gsuite.customer").is_ok_and(|setting| setting.stored(&self.data).is_some());
        name == "gsuite.keyFile" || name == "gsuite.domain" && has_customer()
    }

    fn optional_question(&mut self, name: &'static str) -> Result<Turn> {
        let setting = settings::find(name)?;
        if self.interaction == Interaction::None || self.answered.contains(name) {
            return Ok(Turn::Next);
        }
        let now = setting.stored(&self.data).and_then(Value::as_str).map(str::to_owned);
        match self.ask(setting, now.as_deref(), Echo::Shown)? {
            Reply::Back => return Ok(Turn::Back),
            Reply::Text(path) => self.set(setting, &path)?,
            Reply::Enter | Reply::End => {
                self.answered.insert(name);
            }
        }
        self.answer_given(name)
    }

    /// Where the tree begins and what things are called, as far as the server says so.
    async fn look_at_ldap_server(&mut self) -> Result<Turn> {
        let root = settings::find("ldap.rootPath")?;
        let said = match self.instance().await?.directory {
            directory::Config::Ldap(config) => {
                let limit = LOOK.min(job::longest(&self.data));
                match timeout(limit, ldap::root_dse(&config)).await {
                    Ok(said) => said.map_err(Error::from),
                    Err(_) => Err(Error::new(format!(
                        "Asking the LDAP server where its tree begins: no answer within {} s.",
                        limit.as_secs()
                    ))
                    .hint("Check ldap.hostname, ldap.port and the firewall.")),
                }
            }
            _ => Ok(ldap::RootDse::default()),
        };
        let said = match said {
            // Without an answer there is nothing to propose: the error tells why.
            Err(error) if self.interaction == Interaction::None && root.stored(&self.data).is_none() => {
                return Err(error.also("Nothing was saved."));
            }
            said => said.unwrap_or_default(),
        };
        if root.stored(&self.data).is_none()
            && let Some(context) =
                said.naming_contexts.iter().find(|context| context.to_lowercase().contains("dc="))
        {
            root.store(&mut self.data, context.as_str().into());
        }
        if self.question("ldap.rootPath").await? == Turn::Back {
            return Ok(Turn::Back);
        }
        let chosen = settings::find("ldap.preset")?
            .stored(&self.data)
            .and_then(Value::as_str)
            .and_then(presets::named);
        self.name_things(chosen.unwrap_or_else(|| presets::for_product(said.product)))?;
        Ok(Turn::Next)
    }

    /// What was not said otherwise is as the product has it.
    fn name_things(&mut self, preset: &Preset) -> Result<()> {
        for (name, value) in preset.settings() {
            let setting = settings::find(name)?;
            if setting.stored(&self.data).is_none() {
                self.set(setting, value)?;
            }
        }
        self.choose_identity(preset)
    }

    /// An id that survives renames, where nobody is known by another one yet. What was set up before keeps what it has: its
    /// organization knows its people by that.
    fn choose_identity(&mut self, preset: &Preset) -> Result<()> {
        let setting = settings::find("ldap.externalIdAttribute")?;
        let is_set = setting.stored(&self.data).is_some();
        // Active Directory's is the usual one.
        let Some(attribute) = preset.identity.filter(|attribute| !is_set && *attribute != "objectGUID")
        else {
            return Ok(());
        };
        if self.is_new {
            return self.set(setting, attribute);
        }
        ui::progress(
            &format!(
                "Note: people and groups are identified by their DN, which changes when they are renamed. For an organization that has never been synced, `bwdc config ldap.externalIdAttribute {attribute}` is better; see the LDAP page."
            ),
            self.context.style,
        );
        Ok(())
    }

    async fn instance(&self) -> Result<Instance> {
        let Context { file, environment, secrets, .. } = self.context;
        Instance::of(&self.data, file.folder(), environment, secrets).await
    }

    /// Looks at every step of a read.
    async fn try_directory(&self) -> std::result::Result<(), Trouble> {
        let instance = self.instance().await.map_err(Trouble::from)?;
        for warning in &instance.warnings {
            ui::warning(warning, self.context.style);
        }
        let scope = instance.scope.unwrap_or(Scope::UsersAndGroups);
        let directory =
            directory::open(instance.directory).map_err(|error| Trouble::from(Error::from(error)))?;
        let longest = job::longest(&self.data);
        let checks = timeout(longest, directory.probe(scope)).await.map_err(|_| {
            let took =
                format!("Trying the directory took longer than {} s (sync.timeout).", longest.as_secs());
            Trouble::from(Error::new(took).hint("A server may hang. Nothing was saved."))
        })?;
        checks.into_iter().try_for_each(|check| self.told(check))
    }

    fn told(&self, check: Check) -> std::result::Result<(), Trouble> {
        match check.outcome {
            Outcome::Good(found) => ui::progress(&format!("{}: {found}", check.what), self.context.style),
            Outcome::Doubtful { found, next_step } => {
                ui::warning(&format!("{}: {found}. {next_step}", check.what), self.context.style);
            }
            Outcome::Bad(error) => {
                let is_of_secret = error.kind() == bwdc_connect::Kind::Credentials;
                let cause = if is_of_secret { Cause::Secret } else { Cause::Anything };
                return Err(Trouble { error: Error::from(error).while_doing(check.what), cause });
            }
        }
        Ok(())
    }

    /// Whether somebody wants to answer again: all answers so far are proposed. Of a login that fails, the secret alone is asked again.
    fn again(&mut self, Trouble { error, cause }: &Trouble) -> Result<bool> {
        if self.interaction == Interaction::None {
            return Ok(false);
        }
        ui::hint(&error.to_string());
        if let (Cause::Secret, Some((known, _))) = (cause, self.secrets.last()) {
            let name = known.name;
            self.forget(name);
            ui::hint(&format!("Give {name} again, or go back with <."));
            return Ok(true);
        }
        let wants = ui::confirm("Answer again?")
            .map_err(|error| Error::new(format!("Asking whether to go on: {error}")))?;
        if wants {
            self.answered.retain(|name| matches!(*name, "server" | "directory"));
            for (known, _) in self.secrets.drain(..) {
                known.kept.take(&mut self.data);
            }
        }
        Ok(wants)
    }

    /// Tries the key that syncs would use, which may have been given anew. The token of an earlier run proves nothing of it.
    async fn try_kept_login(&self) -> Result<()> {
        let account = session::Account::of(&self.data, &self.context.secrets).await?;
        if let Some(warning) = &account.warning {
            return Err(Error::new(warning).hint("Nothing was saved."));
        }
        // A token alone, as the existing connector may leave it, lasts until it expires.
        let Ok(credentials) = account.credentials() else { return Ok(()) };
        let client = run::client(&self.context.file, &self.data, &self.context.environment)?;
        match client.token(credentials).await {
            Ok(_) => {
                ui::progress("Bitwarden: the server accepts the API key", self.context.style);
                Ok(())
            }
            Err(error) => Err(self.context.secrets.refused(error).await.also("Nothing was saved.")),
        }
    }

    /// Tries the API key. Nothing to do if a login was kept before. One that was typed is asked again if it is wrong.
    async fn log_in(&self) -> Result<Option<Login>> {
        if login::is_logged_in(self.context, &self.data).await? {
            return self.try_kept_login().await.map(|()| None);
        }
        if self.interaction == Interaction::Terminal {
            ui::hint(
                "You find the client id and the API key in the web vault: Settings > Organization info > View API key.",
            );
        }
        let (credentials, origin, token) = loop {
            let arguments = login::Arguments::default();
            let (credentials, origin) =
                login::credentials(self.context, &self.data, arguments, self.interaction).await?;
            let client = run::client(&self.context.file, &self.data, &self.context.environment)?;
            match client.token(&credentials).await {
                Ok(token) => break (credentials, origin, token),
                Err(error) if origin == Origin::Once && error.kind() == bwdc_connect::Kind::Credentials => {
                    ui::hint(&self.context.secrets.refused(error).await.to_string());
                }
                Err(error) => {
                    return Err(self.context.secrets.refused(error).await.also("Nothing was saved."));
                }
            }
        };
        ui::progress("Bitwarden: the server accepts the API key", self.context.style);
        Ok(Some(Login { credentials, token, origin }))
    }

    /// What was given to this run is there for the next one as well: a file or a command that a variable names is named by a setting, and
    /// the value of a variable is kept.
    async fn make_secrets_last(&mut self, login: Option<&Login>) -> Result<()> {
        let directory = instance::needed_secret(&self.data, &self.context.environment);
        for known in directory.into_iter().chain([&secrets::CLIENT_ID, &secrets::CLIENT_SECRET]) {
            let Some(found) = self.context.secrets.given(&self.data, known).await? else { continue };
            let environment = &self.context.environment;
            match found.source {
                // A login keeps its own.
                Source::Variable(_) if known.is_of_login() && login.is_some() => {}
                Source::Variable(_) => self.secrets.push((known, found.secret)),
                Source::File { path, .. } if environment.is_set(&known.file_variable()) => {
                    self.set(settings::find(&known.file_setting())?, &absolute(&path)?)?;
                }
                Source::Command { .. } => {
                    if let Some(line) = environment.text(&known.command_variable()) {
                        self.set(settings::find(&known.command_setting())?, &line)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// On a machine without a secret store, the secrets file is the place, if there is anything to keep.
    async fn place_for_secrets(&mut self, login: Option<&Login>) -> Result<()> {
        let is_to_be_kept = |login: &Login| matches!(login.origin, Origin::Once | Origin::Variable);
        let has_secrets = !self.secrets.is_empty() || login.is_some_and(is_to_be_kept);
        let is_store = self.context.secrets.keeping(&self.data) == Keeping::OsStore;
        if has_secrets && is_store && self.context.secrets.why_no_store(&self.data).await.is_some() {
            self.set(settings::find("secrets.file")?, secrets::USUAL_FILE)?;
            ui::progress(
                &format!(
                    "Secrets will be stored in {}, readable only by its owner, because there is no secret store here",
                    secrets::USUAL_FILE
                ),
                self.context.style,
            );
        }
        Ok(())
    }

    /// Where answers are until all are given. No secret is among them.
    fn later(&self) -> PathBuf {
        self.context.file.folder().join(LATER)
    }

    /// Goes on where somebody stopped.
    fn resume(&mut self) -> Result<()> {
        if self.interaction == Interaction::None {
            return Ok(());
        }
        ui::hint(
            "Press Enter to accept the value in brackets; < goes back one question. Nothing is saved before it has been tested.",
        );
        let Ok(text) = bwdc_store::files::read_regular(&self.later()) else { return Ok(()) };
        let answers = kept_answers(&text);
        if answers.is_empty() {
            return Ok(());
        }
        let wants = ui::confirm(&format!("Continue with the {} answers from last time?", answers.len()))
            .map_err(|error| Error::new(format!("Asking whether to go on: {error}")))?;
        if wants {
            for (setting, text) in answers {
                // What is no answer to it is asked again.
                if !self.answered.contains(setting.name) && self.set(setting, &text).is_ok() {
                    self.asked.push(setting.name);
                }
            }
        }
        Ok(())
    }

    /// Keeps the answers, so that Ctrl-C loses none.
    fn keep_for_later(&self) -> Result<()> {
        let answers: Vec<(&str, String)> = self
            .asked
            .iter()
            .filter(|name| secrets::of_setting(name).is_none())
            .filter_map(|name| Some((*name, settings::find(name).ok()?.stored_text(&self.data)?)))
            .collect();
        let text = serde_json::to_vec(&answers)
            .map_err(|error| Error::new(format!("Writing the answers so far as JSON: {error}")))?;
        let folder = self.context.file.folder();
        let is_first = !self.later().exists();
        bwdc_store::files::can_write(folder)?;
        bwdc_store::files::write_atomically(&self.later(), &text)?;
        if is_first {
            ui::hint(&format!(
                "(Ctrl-C keeps your answers, except secrets, in {}; the next `bwdc init` continues with them.)",
                self.later().display()
            ));
        }
        Ok(())
    }

    async fn save(self, login: Option<Login>) -> Result<()> {
        let later = self.later();
        self.save_all(login).await?;
        // The answers are in their place now.
        let _ = std::fs::remove_file(later);
        Ok(())
    }

    async fn save_all(self, login: Option<Login>) -> Result<()> {
        let Self { context, data, changes, secrets, .. } = self;
        let app_id = session::app_id(&context.file, &data)?;
        context.file.update(|data| {
            for (setting, value) in changes {
                setting.store(data, value);
            }
            data.set(key::APP_ID, app_id);
            Ok(())
        })?;
        let secrets: Vec<_> = secrets.iter().map(|(known, secret)| (&known.kept, Some(secret))).collect();
        if !secrets.is_empty() {
            context.secrets.keep(&secrets, |_| Ok(())).await?;
        }
        match login {
            Some(Login { credentials, token, origin }) => {
                login::keep(context, &data, &credentials, &token, origin).await
            }
            // Whose key it is, for a run that is given the key alone.
            None => match session::given_key(&data, &context.secrets).await? {
                Some((credentials, _)) => session::store_organization(&context.file, &credentials),
                None => Ok(()),
            },
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self { error, cause: Cause::Anything }
    }
}

/// For how long a server is asked what it is. Without that, the usual is proposed.
const LOOK: Duration = Duration::from_secs(30);

/// Answers so far, beside data.json.
const LATER: &str = "init-answers.json";

/// The answers in the file, of questions that there are. No secret is asked from there, nor taken.
fn kept_answers(text: &[u8]) -> Vec<(&'static Setting, String)> {
    let answers: Vec<(String, String)> = serde_json::from_slice(text).unwrap_or_default();
    let known = answers.into_iter().filter_map(|(name, text)| Some((settings::find(&name).ok()?, text)));
    known.filter(|(setting, _)| secrets::of_setting(setting.name).is_none()).collect()
}

/// What becomes of those who leave.
const LEAVERS: &[&str] = &["sync.removeDisabled", "sync.removeMissing"];

/// What has to be known to answer.
fn explanation(name: &str) -> Option<&'static str> {
    match name {
        "sync.removeDisabled" => Some(
            "People whom the directory reports as deleted always lose access. Remove people who are disabled there as well?",
        ),
        "sync.removeMissing" => Some(
            "Most LDAP servers and files do not report deleted people: they are just missing. Remove people who are missing from a complete read? (Never many at once: see docs/exit-codes.md.)",
        ),
        _ => None,
    }
}

/// As a setting names it: a scheduler starts elsewhere.
fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::new(format!("Finding the file {}: {error}", path.display())))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        Error::new(format!("The name {} is no UTF-8.", path.display())).hint("Rename the file.")
    })
}

/// Where the next run finds each secret that it needs, for whoever sets it up.
async fn where_secrets_are(context: &Context) -> Result<Vec<String>> {
    let data = context.file.load()?;
    let directory = instance::needed_secret(&data, &context.environment);
    let mut lines = Vec::new();
    for known in directory.into_iter().chain([&secrets::CLIENT_SECRET]) {
        let lasting = context.secrets.without_variables().find(&data, known).await?;
        lines.push(match lasting {
            Some(found) => format!("{} is in {}.", known.name, found.source),
            None => {
                format!("{} is not stored: supply it to every run, as docs/secrets.md shows.", known.name)
            }
        });
    }
    Ok(lines)
}

fn missing(name: &str) -> Error {
    Error::new(format!("The setting {name} is missing.")).hint(format!(
        "Give it with `--set {name}=VALUE`, or answer the questions on a terminal. Nothing was saved."
    ))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few, harmless};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_secret_and_nothing_unknown_is_taken_from_answers() {
        let text = br#"[["ldap.password","p"],["LDAP.Port","636"],["no.such","x"],["okta.token","t"],["sync.users","true"]]"#;
        let taken: Vec<_> =
            kept_answers(text).into_iter().map(|(setting, text)| (setting.name, text)).collect();
        assert_eq!(taken, [("ldap.port", "636".to_owned()), ("sync.users", "true".to_owned())]);
    }

    proptest! {
        #![proptest_config(few())]

        /// What is taken is an answer that a question would take, is shown as one line, and is kept as it is.
        #[test]
        fn fuzz_answers_of_init(text in damaged([
            r#"[["server","https://vault.bitwarden.eu"],["directory","ldap"],["ldap.hostname","dc1.example.org"],["ldap.port","636"],["ldap.ssl","true"],["sync.userFilter","(cn=*)"]]"#,
            r#"[["directory","file"],["file.path","/srv/hr"],["exec.ldap.password","pass show 'bw'"],["ldap.password","p"],["sync.timeout","5m"]]"#,
            "[]",
        ])) {
            let mut data = Data::default();
            for (setting, text) in kept_answers(&text) {
                prop_assert!(secrets::of_setting(setting.name).is_none());
                match setting.parse(&text, &data) {
                    Ok(value) => {
                        setting.store(&mut data, value);
                        prop_assert!(setting.fault(&data).is_none());
                        prop_assert!(!setting.stored_text(&data).unwrap_or_default().contains(char::is_control));
                    }
                    Err(error) => harmless(&error, text.len())?,
                }
            }
        }
    }
}
