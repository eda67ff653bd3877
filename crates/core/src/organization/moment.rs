//! Times as values: nobody in this crate asks a clock.

use serde::{Deserialize, Serialize};

/// A point in time, in seconds since the beginning of 1970 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub i64);

/// A length of time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const NONE: Self = Self(0);
    /// One day.
    pub const DAY: Self = Self::days(1);

    /// This many days.
    pub const fn days(days: u64) -> Self {
        Self(days * 24 * 60 * 60)
    }
}

impl Moment {
    /// Time that has passed since an earlier moment; none since a later one, as after a clock was set back.
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment that comes this much later.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_has_no_time_pass() {
        assert_eq!(Moment(10).since(Moment(4)), Span(6));
        assert_eq!(Moment(4).since(Moment(10)), Span::NONE);
        assert_eq!(Moment(4).plus(Span::DAY), Moment(86_404));
        assert_eq!(Moment(i64::MAX).plus(Span(u64::MAX)), Moment(i64::MAX));
    }
}
