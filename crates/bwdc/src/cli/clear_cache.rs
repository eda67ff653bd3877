//! `bwdc clear-cache`

use crate::run::Context;
use crate::ui::Answer;
use bwdc_core::error::Result;
use bwdc_store::Memory as _;

pub(super) fn run(context: &Context) -> Result<Answer> {
    context.file.forget()?;
    Ok(Answer::message("The sync cache has been cleared."))
}
