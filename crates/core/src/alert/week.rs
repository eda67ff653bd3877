//! A week in numbers.

use serde::{Deserialize, Serialize};

use super::Credential;
use crate::organization::Moment;

/// Number of the week since 1970. Weeks begin on Monday, in UTC.
pub(super) fn number(now: Moment) -> i64 {
    // The first day of 1970 was a Thursday.
    (now.0.div_euclid(86_400) + 3).div_euclid(7)
}

/// A week in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Week {
    /// Runs that are in the history: those that changed something, were held or failed.
    pub runs: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// People who were invited, adopted or restored.
    pub joined: usize,
    /// People who were removed or revoked.
    pub left: usize,
    /// People who wait for their grace to end, where the run that tells it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<usize>,
    /// Changes that are held back.
    pub held: usize,
    /// What ends within 30 days.
    pub expiring: Vec<Credential>,
}
