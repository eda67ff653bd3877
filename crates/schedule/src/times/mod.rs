//! When syncs run: expressions, times and intervals, and the times that follow from them.
//!
//! The five fields mean what Debian's cron makes of them (crontab(5), cron(8)), also where that is odd:
//!
//! - If neither day field begins with `*`, a day matches when *either* field does; else both must match. A field such as
//!   `*/2` begins with `*`, too.
//! - What a reversed range such as `5-1` never matches there is refused here, like all else that cron takes and nobody means.
//! - When the clocks go forward by less than three hours, a run at a fixed time in the skipped hour takes place at the
//!   first minute after it; when they go back, it is not repeated. What has `*` at the front of its minute or hour field
//!   goes by the clock on the wall. Larger changes are corrections: the new time counts.

pub(crate) mod clock_change;
pub(crate) mod cron;
pub mod engine;
pub mod explain;
pub(crate) mod field;

use std::fmt;

use jiff::civil::Time;
use jiff::{SignedDuration, ZonedDateTime};

pub use self::cron::CronExpression;

use self::field::{DAY_OF_WEEK, Field, Piece, fault};
use bwdc_core::error::Result;

/// When syncs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At the times that five fields name.
    Cron(Box<CronExpression>),
    /// So much time after the one before.
    Every(Interval),
    /// Once, when the machine starts: `@reboot`.
    Boot,
}

impl Schedule {
    /// Five fields (`0 12 * * 1`), a nickname (`@daily`), an interval (`15m`, `1h30m`, `1d`), a time of day (`02:30`), or days of
    /// the week and a time (`mon@20:00`, `mon-fri@20:00`).
    ///
    /// # Errors
    /// What is wrong, with a line that points at the character.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        match text.find([' ', '\t', '@', ':']).map(|at| (at, text.as_bytes()[at])) {
            Some((0, _)) => Self::cron(text),
            Some((_, b'@')) => Self::weekly(text),
            Some((_, b':')) => Self::daily(text),
            Some(_) => Self::cron(text),
            None => Ok(Self::Every(Interval::parse(text)?)),
        }
    }

    fn of(cron: CronExpression) -> Self {
        Self::Cron(Box::new(cron))
    }

    /// Five fields, or a nickname.
    pub fn cron(text: &str) -> Result<Self> {
        if text.trim() == "@reboot" {
            Ok(Self::Boot)
        } else {
            CronExpression::parse(text.trim()).map(Self::of)
        }
    }

    /// A time of day.
    pub fn daily(text: &str) -> Result<Self> {
        let time = time_of_day(text, 0, text.trim())?;
        CronExpression::parse(&format!("{} {} * * *", time.minute(), time.hour())).map(Self::of)
    }

    /// Days of the week and a time, with an `@` in between.
    pub fn weekly(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((days, time)) = text.split_once('@') else {
            return Err(fault(text, text.len(), "`@` and the time are missing")
                .hint("Write the days and the time, such as mon@20:00 or mon,thu@20:00."));
        };
        Field::parse(&DAY_OF_WEEK, Piece { whole: text, at: 0, text: days })?;
        let time = time_of_day(text, days.len() + 1, time)?;
        CronExpression::parse(&format!("{} {} * * {days}", time.minute(), time.hour())).map(Self::of)
    }

    /// The first run after a moment; `None` if there is none, or none that the calendar knows.
    pub fn next_after(&self, moment: &ZonedDateTime) -> Option<ZonedDateTime> {
        match self {
            Self::Cron(cron) => cron.next_after(moment),
            Self::Every(interval) => moment.checked_add(interval.0).ok(),
            Self::Boot => None,
        }
    }

    /// The runs after a moment, one by one.
    pub fn runs_after(&self, moment: ZonedDateTime) -> impl Iterator<Item = ZonedDateTime> + use<'_> {
        std::iter::successors(self.next_after(&moment), |run| self.next_after(run))
    }

    /// The same by systemd's calendar events: nothing for a time that a clock change leaves out, and of one that it shows twice the
    /// first.
    pub fn systemd_runs_after(&self, moment: ZonedDateTime) -> impl Iterator<Item = ZonedDateTime> + use<'_> {
        self.runs_after(moment).filter(|run| match self {
            Self::Cron(cron) => cron.is_at(run.datetime()) && is_first_showing(run),
            Self::Every(_) | Self::Boot => true,
        })
    }
}

/// As `parse` takes it.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => cron.fmt(f),
            Self::Every(interval) => interval.fmt(f),
            Self::Boot => f.write_str("@reboot"),
        }
    }
}

/// A time of day within a larger text.
fn time_of_day(whole: &str, at: usize, text: &str) -> Result<Time> {
    let parts = text.split_once(':').and_then(|(hour, minute)| {
        let is_number =
            |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        (is_number(hour) && is_number(minute)).then(|| (hour.parse().ok(), minute.parse().ok()))
    });
    match parts {
        Some((Some(hour), Some(minute))) if (0..24).contains(&hour) && (0..60).contains(&minute) => {
            Time::new(hour, minute, 0, 0).map_err(|error| fault(whole, at, &error.to_string()))
        }
        _ => Err(fault(whole, at, &format!("`{text}` is not a time of day"))
            .hint("Write hours and minutes on a clock of 24 hours, such as 02:30 or 20:00.")),
    }
}

/// A whole number of minutes, from one minute to 31 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub(crate) SignedDuration);

const LONGEST: i64 = 31 * 24 * 60;

impl Interval {
    /// `15m`, `2h`, `1h30m`, `1d`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let hint = "Write minutes, hours or days, such as 15m, 2h, 1h30m or 1d.";
        let (mut minutes, mut rest) = (0_i64, text);
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: i64 =
                rest[..digits].parse().map_err(|_| fault(text, at, "a number is missing").hint(hint))?;
            let unit = match rest[digits..].chars().next() {
                Some('m') => 1,
                Some('h') => 60,
                Some('d') => 24 * 60,
                _ => return Err(fault(text, at + digits, "`m`, `h` or `d` is missing").hint(hint)),
            };
            minutes = minutes.saturating_add(number.saturating_mul(unit));
            rest = &rest[digits + 1..];
        }
        if !(1..=LONGEST).contains(&minutes) {
            return Err(fault(text, 0, "an interval is from one minute to 31 days long").hint(hint));
        }
        Ok(Self(SignedDuration::from_mins(minutes)))
    }

    /// Its length in minutes.
    pub fn minutes(self) -> i64 {
        self.0.as_mins()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.minutes();
        for (unit, value) in [("d", minutes / 1440), ("h", minutes / 60 % 24), ("m", minutes % 60)] {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        Ok(())
    }
}

/// Whether the clocks have not shown this time shortly before.
fn is_first_showing(run: &ZonedDateTime) -> bool {
    let earlier = run.time_zone().to_ambiguous_zoned_datetime(run.datetime()).earlier();
    earlier.is_ok_and(|earlier| earlier.timestamp() == run.timestamp())
}

#[cfg(test)]
mod tests;
