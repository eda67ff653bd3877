//! `bwdc last-sync`

use clap::Args;

use super::which::Which;
use super::{Invocation, several};
use crate::ui::Answer;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_store::{Memory as _, Remembered};
use bwdc_sync::Context;
use bwdc_sync::session;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `users` or `groups`
    object: String,
    #[command(flatten)]
    pub(super) which: Which,
}

pub(super) async fn run(
    invocation: &Invocation,
    Arguments { object, which }: Arguments,
) -> Result<(Answer, Exit)> {
    several::each(which.contexts(invocation)?, invocation.style, async |context| of(context, &object).await)
        .await
}

async fn of(context: &Context, object: &str) -> Result<Answer> {
    let data = context.file.load()?;
    if !session::is_logged_in(&data, &context.secrets).await? {
        return Err(session::not_logged_in(&context.secrets, &data).await);
    }
    let Remembered { users_synced, groups_synced, .. } = context.file.recall()?;
    let synced = match object.to_lowercase().as_str() {
        "users" => users_synced,
        "groups" => groups_synced,
        _ => return Err(Error::new("Unknown object.")),
    };
    Ok(Answer::Text(synced.map(|time| time.text().to_owned())))
}
