//! `bwdc config`

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::config::instance::{DIRECTORIES, FILE_DIRECTORY, server_url};
use crate::config::settings::{self, Type};
use crate::config::{Environment, settings::Setting};
use crate::error::{Error, Result};
use crate::run::Context;
use crate::session;
use crate::state::{Data, key};
use crate::ui::Answer;

#[derive(Debug, Args)]
#[command(after_long_help = settings_help())]
pub(super) struct Arguments {
    /// The setting's name.
    setting: String,
    /// Its new value. Others on this machine can see it here: better give a secret by one of the options.
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    /// Take the value from this environment variable.
    #[arg(long, value_name = "NAME")]
    secretenv: Option<String>,
    /// Take the value from the first line of this file.
    #[arg(long, value_name = "FILE")]
    secretfile: Option<PathBuf>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Answer> {
    let name = arguments.setting.to_lowercase();
    let value = value(arguments)?;
    match name.as_str() {
        "server" => set_server(context, &value.unwrap_or_default())?,
        "directory" => set_directory(context, &value.unwrap_or_default())?,
        _ => set(context, settings::find(&name)?, value)?,
    }
    Ok(Answer::message(format!("Saved setting `{name}`.")))
}

fn value(arguments: &Arguments) -> Result<Option<String>> {
    if arguments.value.is_some() {
        return Ok(arguments.value.clone());
    }
    if let Some(name) = &arguments.secretenv {
        return Environment::named_secret(name).map(|secret| Some(secret.reveal().to_owned())).ok_or_else(
            || Error::new(format!("The variable {name} is not set or empty.")).hint("Nothing was saved."),
        );
    }
    arguments.secretfile.as_ref().map(first_line).transpose()
}

fn first_line(path: &PathBuf) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(format!("Reading {}: {error}", path.display())).hint("Nothing was saved.")
    })?;
    let line = text.lines().next().unwrap_or_default().trim_end();
    if line.is_empty() {
        return Err(
            Error::new(format!("The first line of {} is empty.", path.display())).hint("Nothing was saved.")
        );
    }
    Ok(line.to_owned())
}

fn set(context: &Context, setting: &Setting, value: Option<String>) -> Result<()> {
    let Some(value) = value else {
        return Err(Error::new(format!("No value was given for {}.", setting.name))
            .hint("Give it as the second argument, or with --secretenv or --secretfile."));
    };
    if setting.kind == Type::Secret {
        session::require_plaintext(&context.environment, "the secret")?;
    }
    let value = setting.parse(&value)?;
    context.file.update(|data| {
        data.set_in(setting.section, setting.key, value);
        Ok(())
    })
}

/// The cloud is no server of one's own: all URLs are forgotten.
fn set_server(context: &Context, text: &str) -> Result<()> {
    let base = match text.trim().trim_end_matches('/') {
        "" | "null" | "bitwarden.com" | "https://bitwarden.com" => Value::Null,
        text => server_url(text)?.into(),
    };
    context.file.update(|data| {
        data.set_in(key::URLS, "base", base);
        for name in ["api", "identity", "webVault"] {
            data.set_in(key::URLS, name, Value::Null);
        }
        Ok(())
    })
}

fn set_directory(context: &Context, text: &str) -> Result<()> {
    let text = text.trim().to_lowercase();
    let known = DIRECTORIES.iter().find(|(number, name)| *number == text || *name == text);
    let value: Value = match known {
        Some((number, _)) => number.parse::<u64>().map_or(Value::Null, Value::from),
        None if text == FILE_DIRECTORY => FILE_DIRECTORY.into(),
        None => {
            return Err(Error::new("Invalid directory type value.")
                .hint("One of: 0 or ldap, 1 or entra, 2 or gsuite, 3 or okta, 4 or onelogin, file."));
        }
    };
    context.file.update(|data: &mut Data| {
        if data.value(key::DIRECTORY_TYPE) != Some(&value) {
            data.forget_cursors();
        }
        data.set(key::DIRECTORY_TYPE, value);
        Ok(())
    })
}

fn settings_help() -> String {
    let special = [
        (
            "server",
            "The server's base URL; `bitwarden.com` and `https://vault.bitwarden.eu` mean the clouds.",
        ),
        ("directory", "0 or ldap, 1 or entra, 2 or gsuite, 3 or okta, 4 or onelogin, file."),
    ];
    let table = settings::all().map(|setting| {
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!(" [default: {}]", setting.default)
        };
        format!("  {}\n      {}{default}", setting.name, setting.meaning)
    });
    let lines: Vec<String> =
        special.iter().map(|(name, meaning)| format!("  {name}\n      {meaning}")).chain(table).collect();
    format!("Settings:\n{}", lines.join("\n"))
}
