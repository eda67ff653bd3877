//! Errors on the wire, worded so that somebody can act on them.

use std::fmt;

use crate::mask::masked;

/// Kind of failure. The program maps each kind to an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A setting is missing, invalid or contradicts another.
    Configuration,
    /// No connection: name not found, refused, cut, no answer in time.
    Unreachable,
    /// The other side's certificate was not accepted, or TLS failed otherwise.
    Tls,
    /// The other side does not accept our name and secret.
    Credentials,
    /// The other side understood the request and refused it.
    Refused,
    /// The other side refused the request as a whole, before it did anything.
    Rejected,
    /// It is not known whether the other side has done it, or is still working on it.
    Unclear,
    /// The read could not be finished: none of it is used.
    Incomplete,
    /// The answer, or a file's content, is invalid.
    Data,
}

/// Error with the attempt, the reason in the other side's own words, and the next step.
///
/// Never carries a secret: callers pass addresses, names and answers, not credentials, and what a server repeats of them is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    attempted: String,
    reason: String,
    hint: Option<String>,
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The same error of another kind.
    #[must_use]
    pub(crate) fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Makes an error. `attempted` is such as "Reading users from ldap://host:389 under ou=people,dc=example,dc=org (page 3)";
    /// `reason` is the other side's own text if there is one.
    pub fn new(kind: ErrorKind, attempted: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self {
            kind,
            attempted: attempted.into(),
            reason: masked(&reason.to_string()).into_owned(),
            hint: None,
        }
    }

    /// Adds a sentence that says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Next step, if known.
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempted.is_empty() {
            return f.write_str(&self.reason);
        }
        write!(f, "{}: {}", self.attempted, self.reason)
    }
}

impl std::error::Error for Error {}

/// Error for the administrator: fit for display, with the exit code of a failure.
impl From<Error> for bwdc_core::Error {
    fn from(error: Error) -> Self {
        let shown = Self::new(bwdc_core::error::shown(&error.to_string()));
        match error.hint {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}
