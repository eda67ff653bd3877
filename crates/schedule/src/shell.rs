//! Words and commands as shells take them.

use bwdc_core::error::{Error, Result};

/// Quotes a word for a POSIX shell.
///
/// # Errors
/// The word has a NUL in it.
pub fn quoted(word: &str) -> Result<String> {
    let quoted = shlex::try_quote(word);
    quoted.map(Into::into).map_err(|error| Error::new(format!("Quoting `{}`: {error}", word.escape_debug())))
}

/// A command as the command prompt takes it.
pub(crate) fn command_line(command: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "\\/:*._-".contains(c);
    let word = |word: &String| {
        let needs_none = !word.is_empty() && word.chars().all(is_plain);
        if needs_none { word.clone() } else { format!("\"{word}\"") }
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}
