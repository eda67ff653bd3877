//! Shared code of the two servers' imports.

use axum::response::Response;

/// Import that ended early. Steps before that point remain done, as on the real servers.
pub(crate) enum Stop {
    /// Refused with this answer.
    Answer(Box<Response>),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

pub(crate) type Step<T> = Result<T, Stop>;
