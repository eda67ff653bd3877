//! `bwdc data-file`

use crate::run::Context;
use crate::ui::Answer;

pub(super) fn run(context: &Context) -> Answer {
    Answer::Text(Some(context.file.path().display().to_string()))
}
