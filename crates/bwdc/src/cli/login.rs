//! `bwdc login`

use bwdc_connect::bitwarden::{ApiKey, Token};
use bwdc_core::Secret;
use clap::Args;

use super::which::WhichOne;
use super::{Interaction, Invocation};
use crate::ui::{self, Answer, Echo};
use bwdc_config::env;
use bwdc_config::secrets::{self, DeclaredSecret, FoundSecret, SecretDestination, SecretSource};
use bwdc_core::error::{Error, Result};
use bwdc_store::Data;
use bwdc_sync::Context;
use bwdc_sync::session;

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Arguments {
    /// The organization's client id: organization.<id>
    #[arg(value_name = "CLIENT_ID")]
    pub(super) client_id: Option<String>,
    /// The organization's API key. Other users of this machine can see it on the command line: set BW_CLIENTSECRET instead.
    #[arg(value_name = "CLIENT_SECRET")]
    pub(super) client_secret: Option<Secret>,
    #[command(flatten)]
    pub(super) which: WhichOne,
}

/// Where a key came from, which decides whether it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyOrigin {
    /// Somebody gave it to this run only.
    Once,
    /// A variable may be there the next time, or not.
    Variable,
    /// It will be there the next time.
    Lasting(SecretSource),
}

pub(super) async fn run(
    invocation: &Invocation,
    arguments: Arguments,
    interaction: Interaction,
) -> Result<Answer> {
    let context = &arguments.which.context(invocation)?;
    let data = context.file.load()?;
    if is_logged_in(context, &data).await? {
        let organization = data.organization_id().unwrap_or("(unknown)");
        return Err(Error::new(format!("You are already logged in as organization.{organization}.")));
    }
    if arguments.client_secret.as_ref().is_some_and(|secret| !secret.is_empty()) {
        warn_of_arguments(context);
    }
    let (credentials, origin) = credentials(context, &data, arguments, interaction).await?;
    let why_no_store = context.secrets.why_no_store(&data).await;
    if let (KeyOrigin::Once, Some(why)) = (&origin, why_no_store) {
        return Err(why);
    }
    let client = bwdc_sync::client(&context.file, &data, &context.environment)?;
    let token = match client.token(&credentials).await {
        Ok(token) => token,
        Err(error) => return Err(context.secrets.refused(error).await),
    };
    keep(context, &data, &credentials, &token, origin).await?;
    Ok(Answer::message("You are logged in!"))
}

/// The API key, from the first place that has it, or from a person.
pub(super) async fn credentials(
    context: &Context,
    data: &Data,
    arguments: Arguments,
    interaction: Interaction,
) -> Result<(ApiKey, KeyOrigin)> {
    let id = arguments.client_id.filter(|id| !id.is_empty()).map(Secret::from);
    let asked = || ask("client_id:", Echo::Shown, interaction);
    let (id, _) = obtain(context, data, &secrets::CLIENT_ID, id, asked)
        .await?
        .ok_or_else(|| Error::new("Client ID is required."))?;
    let secret = arguments.client_secret.filter(|secret| !secret.is_empty());
    let asked = || ask("client_secret:", Echo::Hidden, interaction);
    let (secret, origin) = obtain(context, data, &secrets::CLIENT_SECRET, secret, asked)
        .await?
        .ok_or_else(|| Error::new("Client Secret is required."))?;
    let credentials = session::credentials(id.reveal(), secret);
    session::organization_of(&credentials.client_id)?;
    Ok((credentials, origin))
}

/// Keeps what was accepted, unless it will be there the next time anyway.
pub(super) async fn keep(
    context: &Context,
    data: &Data,
    credentials: &ApiKey,
    token: &Token,
    origin: KeyOrigin,
) -> Result<()> {
    match origin {
        KeyOrigin::Lasting(source) => {
            tracing::info!("the API key stays where it is: {source}");
            session::store_organization(&context.file, credentials)
        }
        KeyOrigin::Variable if context.secrets.why_no_store(data).await.is_some() => {
            session::store_organization(&context.file, credentials)?;
            context.watch.warning(&format!(
                    "The API key was accepted but not stored, because there is no secret store here: every sync needs {} and {} too.",
                    env::CLIENT_ID,
                    env::CLIENT_SECRET
                ));
            Ok(())
        }
        KeyOrigin::Variable | KeyOrigin::Once => session::store(&context.secrets, credentials, token).await,
    }
}

/// A login that was kept; in the secrets file, one that `login` made.
pub(super) async fn is_logged_in(context: &Context, data: &Data) -> Result<bool> {
    if session::kept_login(data, &context.secrets).await?.is_some() {
        return Ok(true);
    }
    let in_file = matches!(context.secrets.destination(data), SecretDestination::SecretsFile(_));
    let is_known = data.organization_id().is_some();
    let invocation = session::given_key(data, &context.secrets).await?;
    Ok(in_file && is_known && matches!(invocation, Some((_, SecretSource::SecretsFile(_)))))
}

/// From the command line, from where it is given, or from a person.
async fn obtain(
    context: &Context,
    data: &Data,
    declared: &DeclaredSecret,
    argument: Option<Secret>,
    ask: impl FnOnce() -> Result<Option<String>>,
) -> Result<Option<(Secret, KeyOrigin)>> {
    if let Some(argument) = argument {
        return Ok(Some((argument, KeyOrigin::Once)));
    }
    match context.secrets.given(data, declared).await? {
        Some(FoundSecret { secret, source: SecretSource::Variable(_) }) => {
            Ok(Some((secret, KeyOrigin::Variable)))
        }
        Some(FoundSecret { secret, source }) => Ok(Some((secret, KeyOrigin::Lasting(source)))),
        None => Ok(ask()?.map(|text| (Secret::from(text), KeyOrigin::Once))),
    }
}

fn ask(question: &str, echo: Echo, interaction: Interaction) -> Result<Option<String>> {
    match interaction {
        Interaction::None => Ok(None),
        Interaction::Terminal => {
            ui::ask(question, echo).map_err(|error| Error::new(format!("Asking for the {question} {error}")))
        }
    }
}

fn warn_of_arguments(context: &Context) {
    let secret = env::CLIENT_SECRET;
    warn_of_argument(context, "The API key", &format!("{secret}, {secret}_FILE or the prompt"));
}

/// Says that a secret was where everybody sees it.
pub(super) fn warn_of_argument(context: &Context, what: &str, better: &str) {
    context.watch.warning(&format!(
            "{what} on the command line is visible to other users of this machine, and stays in the shell's history. \
             Better: {better}."
        ));
}
