//! `bwdc clear-cache`

use crate::ui::Answer;
use bwdc_core::error::Result;
use bwdc_store::Memory as _;
use bwdc_sync::Context;

pub(super) fn run(context: &Context) -> Result<Answer> {
    context.file.forget()?;
    Ok(Answer::message("The sync cache has been cleared."))
}
