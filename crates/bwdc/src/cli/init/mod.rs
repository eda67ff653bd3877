//! `bwdc init`: sets up an instance. What is not given by options is asked; everything is tried before anything is saved.

mod questions;
mod saving;
mod trial;

use std::collections::HashSet;

use bwdc_connect::bitwarden::{ApiKey, Token};
use bwdc_core::Secret;
use clap::Args;
use serde_json::Value;

use self::questions::Direction;
use self::saving::where_secrets_are;
use super::given;
use super::login::{self, KeyOrigin};
use super::which::WhichOne;
use super::{Interaction, Invocation};
use crate::ui::Answer;
use bwdc_config::directories;
use bwdc_config::secrets::{self, DeclaredSecret};
use bwdc_config::settings::{self, Setting, general};
use bwdc_core::error::{Error, Result};
use bwdc_store::Data;
use bwdc_sync::Context;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[arg(long, value_name = "NAME", help = directory_help())]
    directory: Option<String>,
    /// The Bitwarden server's base URL.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Any other setting. May be repeated. See `bwdc config --help`. For secrets, see docs/secrets.md.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Read further settings from stdin as a JSON object, secrets among them, and the API key as login.clientId and login.clientSecret.
    #[arg(long)]
    stdin: bool,
    /// Test the directory and the login, and save nothing.
    #[arg(long = "try", conflicts_with = "untested")]
    try_only: bool,
    /// Save without testing the directory and the login.
    #[arg(long)]
    untested: bool,
    #[command(flatten)]
    pub(super) which: WhichOne,
}

fn directory_help() -> String {
    let names = directories::names();
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    format!("Directory type: {} or {last}", others.join(", "))
}

pub(super) async fn run(
    invocation: &Invocation,
    arguments: Arguments,
    interaction: Interaction,
) -> Result<Answer> {
    let context = &arguments.which.new_context(invocation)?;
    context.secrets.make_private(context.file.folder())?;
    let mut draft = Draft::new(context, interaction)?;
    draft.given(&arguments)?;
    if arguments.stdin {
        draft.given_on_stdin(given::on_stdin()?)?;
    }
    draft.resume()?;
    loop {
        if draft.questions().await? == Direction::Back {
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
    if arguments.try_only {
        let message = Some("Nothing was saved.".to_owned());
        return Ok(Answer::Message { title: "The directory and the login work.".to_owned(), message });
    }
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
    secrets: Vec<(&'static DeclaredSecret, Secret)>,
    /// API key that was given on stdin.
    key: login::Arguments,
}

/// An accepted API key.
struct Login {
    credentials: ApiKey,
    token: Token,
    origin: KeyOrigin,
}

impl<'a> Draft<'a> {
    fn new(context: &'a Context, interaction: Interaction) -> Result<Self> {
        let mut data = context.file.load()?;
        data.make_app_id();
        let is_new = !context.file.path().exists();
        let (changes, secrets, asked) = (Vec::new(), Vec::new(), Vec::new());
        let key = login::Arguments::default();
        Ok(Self {
            context,
            interaction,
            data,
            changes,
            answered: HashSet::new(),
            asked,
            is_new,
            secrets,
            key,
        })
    }

    fn given(&mut self, arguments: &Arguments) -> Result<()> {
        for (setting, value) in
            [(&general::SERVER, &arguments.server), (&general::DIRECTORY, &arguments.directory)]
        {
            if let Some(value) = value {
                self.set(setting, value)?;
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

    fn given_on_stdin(&mut self, given: Vec<(String, Secret)>) -> Result<()> {
        for (name, text) in given {
            if name.eq_ignore_ascii_case(secrets::CLIENT_ID.name) {
                self.key.client_id = Some(text.reveal().to_owned());
            } else if name.eq_ignore_ascii_case(secrets::CLIENT_SECRET.name) {
                self.key.client_secret = Some(text);
            } else {
                self.given_setting(settings::find(&name).map_err(|error| error.while_doing(&name))?, text)?;
            }
        }
        Ok(())
    }

    fn given_setting(&mut self, setting: &'static Setting, text: Secret) -> Result<()> {
        let Some(declared) = secrets::of_setting(setting.name) else {
            return self.set(setting, text.reveal());
        };
        setting.parse(text.reveal(), &self.data)?;
        declared.storage.put(&mut self.data, &text);
        self.secrets.push((declared, text));
        self.answered.insert(setting.name);
        Ok(())
    }

    fn set(&mut self, setting: &'static Setting, text: &str) -> Result<()> {
        let value = setting.parse(text, &self.data)?;
        setting.store(&mut self.data, value.clone());
        self.changes.retain(|(declared, _)| declared.name != setting.name);
        self.changes.push((setting, value));
        self.answered.insert(setting.name);
        Ok(())
    }
}
