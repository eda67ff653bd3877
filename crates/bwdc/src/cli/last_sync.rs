//! `bwdc last-sync`

use clap::Args;

use super::which::Which;
use super::{Given, several};
use crate::run::Context;
use crate::session;
use crate::ui::Answer;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_store::key;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `users` or `groups`
    object: String,
    #[command(flatten)]
    pub(super) which: Which,
}

pub(super) async fn run(given: &Given, Arguments { object, which }: Arguments) -> Result<(Answer, Exit)> {
    several::each(which.contexts(given)?, given.style, async |context| of(context, &object).await).await
}

async fn of(context: &Context, object: &str) -> Result<Answer> {
    let data = context.file.load()?;
    if !session::is_logged_in(&data, &context.secrets).await? {
        return Err(session::not_logged_in(&context.secrets, &data).await);
    }
    let key = match object.to_lowercase().as_str() {
        "users" => key::LAST_USER_SYNC,
        "groups" => key::LAST_GROUP_SYNC,
        _ => return Err(Error::new("Unknown object.")),
    };
    Ok(Answer::Text(data.text(key).map(str::to_owned)))
}
