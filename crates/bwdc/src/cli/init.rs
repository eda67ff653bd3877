//! `bwdc init`: sets up an instance. What is not given by options is asked; everything is tried before anything is saved.

use std::collections::HashSet;

use bwdc_connect::Secret;
use bwdc_connect::bitwarden::{Credentials, Token};
use bwdc_connect::directory::{self, Directory as _, Scope, ldap};
use bwdc_connect::probe::{Check, Outcome};
use clap::Args;
use serde_json::Value;

use super::login::{self, Origin};
use super::which::WhichOne;
use super::{Given, Interaction};
use crate::config::presets::{self, Preset};
use crate::config::secrets::{self, Keeping, Known};
use crate::config::settings::{self, Setting};
use crate::config::{Instance, env, instance};
use crate::error::{Error, Result};
use crate::run::{self, Context};
use crate::session;
use crate::state::{Data, key};
use crate::ui::{self, Answer, Echo};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the people are: ldap, file, entra, gsuite, okta or onelogin.
    #[arg(long, value_name = "NAME")]
    directory: Option<String>,
    /// The Bitwarden server's base URL.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Any other setting; may be given more than once. See `bwdc config --help`. For secrets, see docs/secrets.md.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Save without trying the directory and the login.
    #[arg(long)]
    untested: bool,
    #[command(flatten)]
    pub(super) which: WhichOne,
}

pub(super) async fn run(given: &Given, arguments: Arguments, interaction: Interaction) -> Result<Answer> {
    let context = &arguments.which.new_context(given)?;
    let mut draft = Draft::new(context, interaction)?;
    draft.given(&arguments)?;
    draft.question("server").await?;
    draft.question("directory").await?;
    loop {
        draft.directory_questions().await?;
        let tried = if arguments.untested { Ok(()) } else { draft.try_directory().await };
        match tried {
            Ok(()) => break,
            Err(error) if draft.again(&error)? => {}
            Err(error) => return Err(error.hint("Nothing was saved.")),
        }
    }
    let login = if arguments.untested { None } else { draft.log_in().await? };
    draft.place_for_secrets(login.as_ref()).await?;
    draft.save(login).await?;
    Ok(Answer::Message {
        title: "bwdc is set up.".to_owned(),
        message: Some(format!(
            "Saved in {}. Next: `bwdc test` shows what a sync would do, `bwdc sync` does it, `bwdc doctor` looks at everything.",
            context.file.path().display()
        )),
    })
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
        let (changes, secrets) = (Vec::new(), Vec::new());
        Ok(Self { context, interaction, data, changes, answered: HashSet::new(), secrets })
    }

    fn given(&mut self, arguments: &Arguments) -> Result<()> {
        for (name, value) in [("server", &arguments.server), ("directory", &arguments.directory)] {
            if let Some(value) = value {
                self.set(settings::find(name)?, value)?;
            }
        }
        for pair in &arguments.settings {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Error::new(format!("`--set {pair}` has no `=`.")).hint("It reads like: --set ldap.port=636")
            })?;
            let setting = settings::find(name)?;
            if secrets::of_setting(setting.name).is_some() {
                return Err(Error::new(format!(
                    "The secret {name} would be visible to other users of this machine."
                ))
                .hint("Give it by one of the ways in docs/secrets.md, such as its _FILE variable."));
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

    /// Asks for a setting that was not given.
    async fn question(&mut self, name: &'static str) -> Result<()> {
        let setting = settings::find(name)?;
        if self.answered.contains(name) {
            return Ok(());
        }
        if let Some(known) = secrets::of_setting(name) {
            return self.secret_question(known, setting).await;
        }
        let now = setting.stored_text(&self.data);
        let proposed = now.or_else(|| self.proposal(name)).or_else(|| Some(setting.default.to_owned()));
        let proposed = proposed.filter(|text| !text.is_empty());
        if self.interaction == Interaction::None {
            let value = proposed.ok_or_else(|| missing(name))?;
            return self.set(setting, &value);
        }
        loop {
            let answer = self.ask(setting, proposed.as_deref(), Echo::Shown)?;
            let Some(answer) = answer.or_else(|| proposed.clone()) else { return Err(missing(name)) };
            match self.set(setting, &answer) {
                Ok(()) => return Ok(()),
                Err(error) => ui::hint(&error.to_string()),
            }
        }
    }

    async fn secret_question(&mut self, known: &'static Known, setting: &Setting) -> Result<()> {
        let is_there = self.context.secrets.find(&self.data, known).await?.is_some();
        if is_there {
            return Ok(());
        }
        if self.interaction == Interaction::None {
            return Err(Error::new(format!("The secret {} is missing.", known.name)).hint(format!(
                "Give it in {0}, {0}_FILE or by another of the ways in docs/secrets.md.",
                known.variable
            )));
        }
        let secret = self.ask(setting, None, Echo::Hidden)?.ok_or_else(|| missing(known.name))?;
        let secret = Secret::from(secret);
        known.kept.put(&mut self.data, &secret);
        self.secrets.push((known, secret));
        Ok(())
    }

    fn ask(&self, setting: &Setting, proposed: Option<&str>, echo: Echo) -> Result<Option<String>> {
        let Setting { name, meaning, .. } = setting;
        let proposed = proposed.map(|text| format!(" [{text}]")).unwrap_or_default();
        ui::ask(&format!("{name}: {meaning}{proposed}\n>"), echo)
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

    async fn directory_questions(&mut self) -> Result<()> {
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
            if self.needs_no_answer(name) {
                self.optional_question(name)?;
                continue;
            }
            if *name == "okta.token"
                && instance::needed_secret(&self.data, &self.context.environment).is_none()
            {
                self.question("okta.privateKeyFile").await?;
                continue;
            }
            self.question(name).await?;
        }
        if directory == "ldap" {
            self.authority_question()?;
            self.look_at_ldap_server().await?;
        }
        for name in ["sync.users", "sync.groups"] {
            self.question(name).await?;
        }
        Ok(())
    }

    /// The file of the authority that signed the server's certificate; none for one that the system knows.
    fn authority_question(&mut self) -> Result<()> {
        let name = match (self.is_on("ldap.ssl"), self.is_on("ldap.startTls")) {
            (false, _) => return Ok(()),
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

    fn optional_question(&mut self, name: &'static str) -> Result<()> {
        let setting = settings::find(name)?;
        if self.interaction == Interaction::None || self.answered.contains(name) {
            return Ok(());
        }
        let now = setting.stored(&self.data).and_then(Value::as_str).map(str::to_owned);
        match self.ask(setting, now.as_deref(), Echo::Shown)? {
            Some(path) => self.set(setting, &path),
            None => Ok(()),
        }
    }

    /// Where the tree begins and what things are called, as far as the server says so.
    async fn look_at_ldap_server(&mut self) -> Result<()> {
        let root = settings::find("ldap.rootPath")?;
        let said = match self.instance().await?.directory {
            directory::Config::Ldap(config) => ldap::root_dse(&config).await.ok(),
            _ => None,
        };
        let said = said.unwrap_or_default();
        if root.stored(&self.data).is_none()
            && let Some(context) =
                said.naming_contexts.iter().find(|context| context.to_lowercase().contains("dc="))
        {
            root.store(&mut self.data, context.as_str().into());
        }
        self.question("ldap.rootPath").await?;
        let chosen = settings::find("ldap.preset")?
            .stored(&self.data)
            .and_then(Value::as_str)
            .and_then(presets::named);
        self.name_things(chosen.unwrap_or_else(|| presets::for_product(said.product)))
    }

    /// What was not said otherwise is as the product has it.
    fn name_things(&mut self, preset: &Preset) -> Result<()> {
        for (name, value) in preset.settings() {
            let setting = settings::find(name)?;
            if setting.stored(&self.data).is_none() {
                self.set(setting, value)?;
            }
        }
        self.speak_of_identity(preset)?;
        Ok(())
    }

    /// Not chosen without being asked: an organization that was synced before knows its people by another id.
    fn speak_of_identity(&self, preset: &Preset) -> Result<()> {
        let is_set = settings::find("ldap.externalIdAttribute")?.stored(&self.data).is_some();
        if let Some(attribute) = preset.identity.filter(|attribute| !is_set && *attribute != "objectGUID") {
            ui::progress(
                &format!(
                    "Note: people and groups are known by their DN, which changes when they are renamed. For an organization that \
                     was never synced before, `bwdc config ldap.externalIdAttribute {attribute}` is better; see the LDAP page."
                ),
                self.context.style,
            );
        }
        Ok(())
    }

    async fn instance(&self) -> Result<Instance> {
        let Context { file, environment, secrets, .. } = self.context;
        Instance::of(&self.data, file.folder(), environment, secrets).await
    }

    /// Looks at every step of a read.
    async fn try_directory(&self) -> Result<()> {
        let instance = self.instance().await?;
        for warning in &instance.warnings {
            ui::warning(warning, self.context.style);
        }
        let scope = instance.scope.unwrap_or(Scope::UsersAndGroups);
        for check in directory::open(instance.directory)?.probe(scope).await {
            self.told(check)?;
        }
        Ok(())
    }

    fn told(&self, check: Check) -> Result<()> {
        match check.outcome {
            Outcome::Good(found) => ui::progress(&format!("{}: {found}", check.what), self.context.style),
            Outcome::Doubtful { found, next_step } => {
                ui::warning(&format!("{}: {found}. {next_step}", check.what), self.context.style);
            }
            Outcome::Bad(error) => return Err(Error::from(error).while_doing(check.what)),
        }
        Ok(())
    }

    /// Whether somebody wants to answer again: all answers so far are proposed.
    fn again(&mut self, error: &Error) -> Result<bool> {
        if self.interaction == Interaction::None {
            return Ok(false);
        }
        ui::hint(&error.to_string());
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

    /// Tries the API key. Nothing to do if a login was kept before.
    async fn log_in(&self) -> Result<Option<Login>> {
        if login::is_logged_in(self.context, &self.data).await? {
            return Ok(None);
        }
        let arguments = login::Arguments::default();
        let (credentials, origin) =
            login::credentials(self.context, &self.data, arguments, self.interaction).await?;
        let client = run::client(&self.context.file, &self.data, &self.context.environment)?;
        let token = client.token(&credentials).await?;
        ui::progress("Bitwarden: the server accepts the API key", self.context.style);
        Ok(Some(Login { credentials, token, origin }))
    }

    /// On a machine without a secret store, the secrets file is the place, if there is anything to keep.
    async fn place_for_secrets(&mut self, login: Option<&Login>) -> Result<()> {
        let has_secrets =
            !self.secrets.is_empty() || login.is_some_and(|login| matches!(login.origin, Origin::Once));
        let is_store = self.context.secrets.keeping(&self.data) == Keeping::OsStore;
        if has_secrets && is_store && self.context.secrets.why_no_store(&self.data).await.is_some() {
            self.set(settings::find("secrets.file")?, secrets::USUAL_FILE)?;
            ui::progress(
                &format!(
                    "Secrets will be kept in {}, readable by its owner only: there is no secret store here",
                    secrets::USUAL_FILE
                ),
                self.context.style,
            );
        }
        Ok(())
    }

    async fn save(self, login: Option<Login>) -> Result<()> {
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
        if let Some(Login { credentials, token, origin }) = login {
            login::keep(context, &data, &credentials, &token, origin).await?;
        }
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    Error::new(format!("The setting {name} is missing.")).hint(format!(
        "Give it with `--set {name}=VALUE`, or answer the questions on a terminal. Nothing was saved."
    ))
}
