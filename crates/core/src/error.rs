//! Errors as shown to the administrator, and their exit codes.

use std::fmt;

use crate::text::{cut, escaped};

/// Exit code of the program. Documented in `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// It failed, or the command line was invalid: as the existing connector.
    Failure = 1,
    /// There is something to do, and `plan --exit-code` asked.
    SomethingToDo = 2,
    /// Another run of this instance is in progress.
    Locked = 3,
    /// Done, but entries that could not be imported were left out (`sync.onBadRecord` is `skip`).
    LeftOut = 4,
    /// Something was held back and everything else was done, or nothing was sent: the message says which.
    Blocked = 5,
}

/// The first attempt that succeeds, else the first error. `None` without any attempt; those behind a success are not made.
pub fn first_success<T>(attempts: impl IntoIterator<Item = Result<T>>) -> Option<Result<T>> {
    let mut attempts = attempts.into_iter();
    let first = attempts.next()?;
    Some(first.or_else(|error| attempts.find_map(Result::ok).ok_or(error)))
}

/// Failure, and the next step.
#[derive(Clone, Debug)]
pub struct Error {
    /// The attempt, its object, and the reason for the failure.
    pub message: String,
    /// Next step, if known.
    pub next_step: Option<String>,
    /// Exit code, if nobody handles the error.
    pub exit: Exit,
}

/// Result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Error that ends the program with 1.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), next_step: None, exit: Exit::Failure }
    }

    /// Sets the next step.
    #[must_use]
    pub fn hint(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = Some(next_step.into());
        self
    }

    /// Sets the next step, unless there is one.
    #[must_use]
    pub fn or_hint(self, next_step: impl Into<String>) -> Self {
        if self.next_step.is_some() { self } else { self.hint(next_step) }
    }

    /// Adds a next step, on a line of its own.
    #[must_use]
    pub fn also(self, next_step: &str) -> Self {
        match &self.next_step {
            Some(first) => Self { next_step: Some(format!("{first}\n{next_step}")), ..self },
            None => self.hint(next_step),
        }
    }

    /// Sets another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Puts the context before the message.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.next_step {
            Some(next_step) => write!(f, "\n{next_step}"),
            None => Ok(()),
        }
    }
}

/// Length beyond which a text from outside is cut.
const LONGEST: usize = 2_000;

/// Beginnings of continuation lines; a line that begins like this does not look like a separate one.
const CONTINUED: &str = "\n  ";

/// Makes a text with parts from outside fit for display: of limited length, without foreign line ends and control characters.
pub fn shown(text: &str) -> String {
    cut(text.split(CONTINUED).map(escaped).collect::<Vec<_>>().join(CONTINUED), LONGEST)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_success_counts_and_else_the_first_error() {
        let attempts = |outcomes: &[std::result::Result<u8, &str>]| {
            let outcomes = outcomes.iter().map(|outcome| outcome.map_err(Error::new));
            first_success(outcomes).map(|found| found.map_err(|error| error.message))
        };
        assert_eq!(attempts(&[]), None);
        assert_eq!(attempts(&[Err("a"), Ok(1), Ok(2)]), Some(Ok(1)));
        assert_eq!(attempts(&[Err("a"), Err("b")]), Some(Err("a".to_owned())));
    }

    #[test]
    fn foreign_texts_forge_no_line_and_control_no_terminal() {
        let forged =
            shown("no such user\n2026-01-01T00:00:00.000Z INFO bwdc: sync ok\u{1b}[2J\u{9b}1A\u{202e}\r");
        assert_eq!(
            forged,
            "no such user\\n2026-01-01T00:00:00.000Z INFO bwdc: sync ok\\u{1b}[2J\\u{9b}1A\\u{202e}\\r"
        );
        assert_eq!(shown("at character 3\n  (a\n  ^"), "at character 3\n  (a\n  ^");
        // Cut where a line would continue.
        let cut = shown(&format!("{}\n  more", "x".repeat(LONGEST - 1)));
        assert!(cut.ends_with("x... (2006 characters)"), "{}", &cut[LONGEST - 10..]);
        let long = shown(&"x".repeat(100_000_000));
        assert!(long.len() < 2_100 && long.ends_with("... (100000000 characters)"));
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_texts_that_are_shown(text in damaged_text(["no such user\n2026-01-01 INFO bwdc: sync ok\u{1b}[2J", "at character 3\n  (a\n  ^"])) {
            let shown = shown(&text);
            bwdc_testkit::plain(&shown)?;
            prop_assert!(shown.chars().count() <= LONGEST + 40);
            prop_assert!(shown.lines().skip(1).all(|line| line.starts_with("  ")), "{shown:?}");
        }
    }
}
