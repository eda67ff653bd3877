//! `bwdc logout`

use crate::error::Result;
use crate::run::Context;
use crate::session;
use crate::ui::Answer;

pub(super) fn run(context: &Context) -> Result<Answer> {
    if !session::is_logged_in(&context.file.load()?) {
        return Err(session::not_logged_in());
    }
    session::forget(&context.file)?;
    Ok(Answer::message("You have logged out."))
}
