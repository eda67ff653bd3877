//! `bwdc clear-cache`

use crate::ui::Answer;
use bwdc_core::error::Result;
use bwdc_store::{Memory as _, RunLock, iso};
use bwdc_sync::Context;
use jiff::Timestamp;

pub(super) fn run(context: &Context) -> Result<Answer> {
    // A sync that is running would keep what it knows over it.
    let _lock = RunLock::take(context.file.folder(), &iso(Timestamp::now()))?;
    context.file.forget()?;
    Ok(Answer::message("The sync cache has been cleared."))
}
