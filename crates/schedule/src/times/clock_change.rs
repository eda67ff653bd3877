//! The moments at which the clocks of a zone change.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The first whole minute after a time.
pub(super) fn next_minute(time: DateTime) -> Option<DateTime> {
    let time = time.with().second(0).subsec_nanosecond(0).build().ok()?;
    time.checked_add(SignedDuration::from_mins(1)).ok()
}

/// The time, or the first whole minute after it.
pub(super) fn whole_minute(time: DateTime) -> Option<DateTime> {
    if time.second() == 0 && time.subsec_nanosecond() == 0 { Some(time) } else { next_minute(time) }
}

/// A moment at which the clocks of a zone change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClockChange {
    pub(crate) at: Timestamp,
    /// What they would have shown.
    pub(crate) before: DateTime,
    /// What they show instead.
    pub(crate) after: DateTime,
}

impl ClockChange {
    /// The changes after a moment, in order; for many zones without end.
    pub(crate) fn after(zone: &TimeZone, moment: Timestamp) -> impl Iterator<Item = Self> + use<'_> {
        zone.following(moment).map(|transition| Self::of(zone, transition.timestamp()))
    }

    /// The last change at a moment or before.
    pub(super) fn last_until(zone: &TimeZone, moment: Timestamp) -> Option<Self> {
        let just_after = moment.checked_add(SignedDuration::from_nanos(1)).ok()?;
        zone.preceding(just_after).next().map(|transition| Self::of(zone, transition.timestamp()))
    }

    pub(super) fn of(zone: &TimeZone, at: Timestamp) -> Self {
        let just_before = at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
        let (before, after) = (zone.to_offset(just_before), zone.to_offset(at));
        Self { at, before: before.to_datetime(at), after: after.to_datetime(at) }
    }

    /// By less than three hours: what cron does not take for a correction of the clock.
    pub(super) fn is_small(&self) -> bool {
        self.before.duration_until(self.after).abs() < SignedDuration::from_hours(3)
    }

    /// The first whole minute after it.
    pub(super) fn first_minute(&self) -> Option<Timestamp> {
        let wait = self.after.duration_until(whole_minute(self.after)?);
        self.at.checked_add(wait).ok()
    }
}
