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
    command.iter().map(|word| argument(word)).collect::<Vec<_>>().join(" ")
}

/// A word as programs of Windows take their command line apart: in quotes where it needs them, a quote in it behind a backslash, and
/// backslashes before a quote doubled ("Parsing C command-line arguments", Microsoft Learn).
pub(crate) fn argument(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "\\/:*._=-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    let mut slashes = 0;
    for c in word.chars() {
        match c {
            '\\' => slashes += 1,
            '"' => {
                quoted.push_str(&"\\".repeat(2 * slashes + 1));
                slashes = 0;
            }
            _ => {
                quoted.push_str(&"\\".repeat(slashes));
                slashes = 0;
            }
        }
        if c != '\\' {
            quoted.push(c);
        }
    }
    quoted.push_str(&"\\".repeat(2 * slashes));
    quoted.push('"');
    quoted
}
