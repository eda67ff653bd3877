//! `bwdc data-file`

use crate::ui::Answer;
use bwdc_sync::Context;

pub(super) fn run(context: &Context) -> Answer {
    Answer::Text(Some(context.file.path().display().to_string()))
}
