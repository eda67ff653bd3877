//! `bwdc last-sync`

use clap::Args;

use crate::error::{Error, Result};
use crate::run::Context;
use crate::session;
use crate::state::key;
use crate::ui::Answer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `users` or `groups`
    object: String,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<Answer> {
    let data = context.file.load()?;
    if !session::is_logged_in(&data, &context.secrets).await? {
        return Err(session::not_logged_in(&context.secrets, &data).await);
    }
    let key = match arguments.object.to_lowercase().as_str() {
        "users" => key::LAST_USER_SYNC,
        "groups" => key::LAST_GROUP_SYNC,
        _ => return Err(Error::new("Unknown object.")),
    };
    Ok(Answer::Text(data.text(key).map(str::to_owned)))
}
