//! Five fields, and the times that follow from them.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

use super::clock_change::{ClockChange, next_minute, whole_minute};
use super::field::{DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH, Piece, fault};
use bwdc_core::error::{Error, Result};

/// Which days, when both day fields are considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Days {
    Every,
    OfMonth,
    OfWeek,
    /// When either field matches.
    Either,
    /// When both fields match.
    Both,
}

/// The five fields of a cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronExpression {
    /// As typed, single blanks in between.
    text: String,
    pub(crate) minute: Field,
    pub(crate) hour: Field,
    pub(crate) day_of_month: Field,
    pub(crate) month: Field,
    pub(crate) day_of_week: Field,
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

pub(super) const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl CronExpression {
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.starts_with('@') {
            return Self::nickname(text);
        }
        let begin = text.as_ptr() as usize;
        let pieces: Vec<_> = text
            .split_ascii_whitespace()
            .map(|part| Piece { whole: text, at: part.as_ptr() as usize - begin, text: part })
            .collect();
        let [minute, hour, day_of_month, month, day_of_week] = pieces[..] else {
            return Err(not_five(text, &pieces));
        };
        Ok(Self {
            text: pieces.iter().map(|piece| piece.text).collect::<Vec<_>>().join(" "),
            minute: Field::parse(&MINUTE, minute)?,
            hour: Field::parse(&HOUR, hour)?,
            day_of_month: Field::parse(&DAY_OF_MONTH, day_of_month)?,
            month: Field::parse(&MONTH, month)?,
            day_of_week: Field::parse(&DAY_OF_WEEK, day_of_week)?,
        })
    }

    pub(super) fn nickname(text: &str) -> Result<Self> {
        match NICKNAMES.iter().find(|(name, _)| *name == text) {
            Some((_, fields)) => Self::parse(fields),
            None => {
                let known = NICKNAMES.map(|(name, _)| name).join(", ");
                Err(fault(text, 0, &format!("`{text}` is unknown to cron"))
                    .hint(format!("It knows {known} and @reboot, in small letters.")))
            }
        }
    }

    pub(crate) fn fields(&self) -> [&Field; 5] {
        [&self.minute, &self.hour, &self.day_of_month, &self.month, &self.day_of_week]
    }

    /// Goes by the clock on the wall when the clocks change (cron(8)).
    pub(crate) fn is_wildcard(&self) -> bool {
        self.minute.begins_with_star() || self.hour.begins_with_star()
    }

    pub(crate) fn days(&self) -> Days {
        let (month, week) = (&self.day_of_month, &self.day_of_week);
        let either = !month.begins_with_star() && !week.begins_with_star();
        match (month.is_full(), week.is_full()) {
            (true, true) => Days::Every,
            (true, false) | (false, true) if either => Days::Every,
            (false, true) => Days::OfMonth,
            (true, false) => Days::OfWeek,
            (false, false) if either => Days::Either,
            (false, false) => Days::Both,
        }
    }

    pub(crate) fn is_on(&self, date: Date) -> bool {
        let month = self.day_of_month.has(date.day());
        let week = self.day_of_week.has(date.weekday().to_sunday_zero_offset());
        self.month.has(date.month())
            && match self.days() {
                Days::Every => true,
                Days::OfMonth => month,
                Days::OfWeek => week,
                Days::Either => month || week,
                Days::Both => month && week,
            }
    }

    pub(super) fn is_at(&self, time: DateTime) -> bool {
        self.is_on(time.date()) && self.on_day(time.time()) == Some(time.time())
    }

    /// The first time on the clock, at `earliest` or later, without regard to clock changes.
    pub(super) fn on_clock(&self, earliest: DateTime) -> Option<DateTime> {
        if let Some(time) = self.is_on(earliest.date()).then(|| self.on_day(earliest.time())).flatten() {
            return Some(earliest.date().to_datetime(time));
        }
        let date = self.date_after(earliest.date())?;
        Some(date.to_datetime(self.on_day(Time::midnight())?))
    }

    pub(super) fn on_day(&self, earliest: Time) -> Option<Time> {
        let minute_from =
            |least: i8| self.minute.values().map(|minute| minute as i8).find(|minute| *minute >= least);
        if self.hour.has(earliest.hour())
            && let Some(minute) = minute_from(earliest.minute())
        {
            return Time::new(earliest.hour(), minute, 0, 0).ok();
        }
        let hour = self.hour.values().map(|hour| hour as i8).find(|hour| *hour > earliest.hour())?;
        Time::new(hour, minute_from(0)?, 0, 0).ok()
    }

    pub(super) fn date_after(&self, date: Date) -> Option<Date> {
        // The calendar repeats after 400 years.
        let last = date.year().saturating_add(400);
        let mut date = date.tomorrow().ok()?;
        while !self.is_on(date) {
            date = if self.month.has(date.month()) {
                date.tomorrow().ok()?
            } else {
                date.first_of_month().checked_add(Span::new().months(1)).ok()?
            };
            if date.year() > last {
                return None;
            }
        }
        Some(date)
    }

    /// The times on the clock, at most so many, that a change of the clocks leaves out or shows twice, at which it would run.
    pub(crate) fn runs_hit(&self, change: &ClockChange, most: usize) -> Vec<DateTime> {
        let (begin, end) = (change.before.min(change.after), change.before.max(change.after));
        let first = whole_minute(begin).and_then(|begin| self.on_clock(begin));
        let runs = std::iter::successors(first, |run| self.on_clock(next_minute(*run)?));
        runs.take_while(|run| *run < end).take(most).collect()
    }

    /// Whether any day of the calendar matches.
    pub fn ever_runs(&self) -> bool {
        self.date_after(Date::constant(2000, 1, 1)).is_some()
    }

    pub(super) fn next_after(&self, moment: &ZonedDateTime) -> Option<ZonedDateTime> {
        let zone = moment.time_zone();
        let (timestamp, mut offset) = (moment.timestamp(), moment.offset());
        let mut earliest = next_minute(offset.to_datetime(timestamp))?;
        if let Some(repeated_until) = self.repeated_until(zone, timestamp) {
            earliest = earliest.max(repeated_until);
        }
        for change in ClockChange::after(zone, timestamp) {
            let run = self.on_clock(earliest)?;
            if run < change.before {
                return Some(offset.to_timestamp(run).ok()?.to_zoned_datetime(zone.clone()));
            }
            let is_fixed_time = !self.is_wildcard() && change.is_small();
            if is_fixed_time && run < change.after {
                return Some(change.first_minute()?.to_zoned_datetime(zone.clone()));
            }
            earliest =
                whole_minute(if is_fixed_time { change.before.max(change.after) } else { change.after })?;
            offset = zone.to_offset(change.at);
        }
        let run = self.on_clock(earliest)?;
        Some(offset.to_timestamp(run).ok()?.to_zoned_datetime(zone.clone()))
    }

    /// Up to when on the clock a moment is in a time that is there twice, if fixed times are not run again in it.
    pub(super) fn repeated_until(&self, zone: &TimeZone, moment: Timestamp) -> Option<DateTime> {
        let last = ClockChange::last_until(zone, moment)?;
        (!self.is_wildcard() && last.is_small() && last.after < last.before)
            .then(|| whole_minute(last.before))
            .flatten()
    }
}

pub(super) fn not_five(text: &str, pieces: &[Piece<'_>]) -> Error {
    let count = pieces.len();
    let names = "The five are minute, hour, day of month, month and day of week, such as 30 2 * * 1-5.";
    match pieces.get(5) {
        Some(sixth) => sixth
            .fault(&format!("a cron expression has five fields, and here are {count}"))
            .hint(format!("{names} There are no seconds, no year and no command.")),
        None => fault(text, text.len(), &format!("a cron expression has five fields, and here are {count}"))
            .hint(names),
    }
}
