//! `bwdc login`

use bwdc_connect::Secret;
use clap::Args;

use super::{Interaction, block_on};
use crate::config::env;
use crate::error::{Error, Result};
use crate::run::{self, Context};
use crate::session;
use crate::state::key;
use crate::ui::{self, Answer, Echo};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The organization's client id: organization.<id>
    #[arg(value_name = "CLIENT_ID")]
    client_id: Option<String>,
    /// The organization's API key. Others on this machine can see it here: better give it in BW_CLIENTSECRET.
    #[arg(value_name = "CLIENT_SECRET")]
    client_secret: Option<Secret>,
}

pub(super) fn run(context: &Context, arguments: Arguments, interaction: Interaction) -> Result<Answer> {
    let data = context.file.load()?;
    if session::is_logged_in(&data) {
        let organization = data.text(key::ORGANIZATION_ID).unwrap_or("(unknown)");
        return Err(Error::new(format!("You are already logged in as organization.{organization}.")));
    }
    let environment = &context.environment;
    let client_id =
        arguments.client_id.filter(|id| !id.is_empty()).or_else(|| environment.text(env::CLIENT_ID));
    let client_id = given_or_asked(client_id, "client_id:", Echo::Shown, interaction)?
        .ok_or_else(|| Error::new("Client ID is required."))?;
    let secret = arguments.client_secret.filter(|secret| !secret.is_empty());
    let secret = secret.or_else(|| environment.secret(env::CLIENT_SECRET));
    let secret = match secret {
        Some(secret) => Some(secret),
        None => given_or_asked(None, "client_secret:", Echo::Hidden, interaction)?.map(Secret::from),
    };
    let secret = secret.ok_or_else(|| Error::new("Client Secret is required."))?;
    session::require_plaintext(environment, "the login")?;
    let organization = session::organization_of(&client_id)?.to_owned();
    let credentials = session::credentials(&client_id, secret);
    let client = run::client(&context.file, &data, environment)?;
    let token = block_on(client.token(&credentials))??;
    session::store(&context.file, &credentials, &token, &organization)?;
    Ok(Answer::message("You are logged in!"))
}

fn given_or_asked(
    given: Option<String>,
    question: &str,
    echo: Echo,
    interaction: Interaction,
) -> Result<Option<String>> {
    match (given, interaction) {
        (Some(given), _) => Ok(Some(given)),
        (None, Interaction::None) => Ok(None),
        (None, Interaction::Terminal) => {
            ui::ask(question, echo).map_err(|error| Error::new(format!("Asking for the {question} {error}")))
        }
    }
}
