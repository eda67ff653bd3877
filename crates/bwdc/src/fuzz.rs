//! What the fuzz targets share: what must hold for every error that tells of what others wrote.

use proptest::prelude::*;

use crate::error::Error;

/// Fails where an error says more than a bearable multiple of what was read.
pub(crate) fn harmless(error: &Error, read: usize) -> Result<(), TestCaseError> {
    let shown = error.to_string();
    prop_assert!(!shown.is_empty() && shown.len() <= 8 * read + 4_000, "{} of {read} octets", shown.len());
    Ok(())
}

/// Fails where a text that is shown moves a terminal, or seems to be other lines than it is.
pub(crate) fn plain(text: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(crate::log::escaped_lines(text), text);
    Ok(())
}

/// The line that an error names, if it does.
pub(crate) fn line_in(error: &Error) -> Option<usize> {
    let rest = error.message.split_once(" line ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
