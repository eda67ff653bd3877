//! `bwdc clear-cache`

use serde_json::Value;

use crate::run::Context;
use crate::ui::Answer;
use bwdc_core::error::Result;
use bwdc_store::key;

pub(super) fn run(context: &Context) -> Result<Answer> {
    context.file.update(|data| {
        data.forget_cursors();
        data.set(key::LAST_SYNC_HASH, Value::Null);
        data.remove(key::IMPORT_BEGUN);
        Ok(())
    })?;
    Ok(Answer::message("The sync cache has been cleared."))
}
