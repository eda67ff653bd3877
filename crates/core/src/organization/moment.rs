//! Times as values: nobody in this crate asks a clock.

use std::fmt;

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

impl fmt::Display for Moment {
    /// In UTC: 2026-02-28 17:05 UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = date(day);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
    }
}

/// Year, month and day in the Gregorian calendar, of a number of days since the beginning of 1970. The year is counted from March, so
/// that a leap day is its last.
fn date(day: i64) -> (i64, i64, i64) {
    let since_0000_03_01 = day.saturating_add(719_468);
    let (era, of_era) = (since_0000_03_01.div_euclid(146_097), since_0000_03_01.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days since the beginning of 1970, the inverse of [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Moment {
    /// ISO 8601 in UTC: 2026-02-28T17:05:09Z.
    pub fn iso(self) -> String {
        let (day, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = date(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Reads what [`Self::iso`] writes, with or without parts of a second.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
        let numbers = |text: &str, separator: char| -> Option<Vec<i64>> {
            text.split(separator)
                .map(|part| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit())))
                .collect()
        };
        let time = time.split_once('.').map_or(time, |(whole, _)| whole);
        let (&[year, month, day], &[hour, minute, second]) =
            (numbers(day, '-')?.as_slice(), numbers(time, ':')?.as_slice())
        else {
            return None;
        };
        if year > 9999 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days(year, month, day);
        (date(days) == (year, month, day)).then(|| Self(days * 86_400 + hour * 3600 + minute * 60 + second))
    }

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
    fn times_are_written() {
        let cases = [
            (0, "1970-01-01 00:00 UTC"),
            (951_827_696, "2000-02-29 12:34 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
        ];
        for (second, text) in cases {
            assert_eq!(Moment(second).to_string(), text);
        }
        assert_eq!(Moment(951_827_696).iso(), "2000-02-29T12:34:56Z");
        for second in [-86_401, 0, 951_827_696, 4_107_542_400, 253_402_300_799] {
            assert_eq!(Moment::parse(&Moment(second).iso()), Some(Moment(second)));
        }
        assert_eq!(Moment::parse("2026-01-01T00:00:00.123Z"), Some(Moment(1_767_225_600)));
        for wrong in [
            "2026-02-30T00:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00Z",
            "2026-01-01T24:00:00Z",
            "-1-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_has_no_time_pass() {
        assert_eq!(Moment(10).since(Moment(4)), Span(6));
        assert_eq!(Moment(4).since(Moment(10)), Span::NONE);
        assert_eq!(Moment(4).plus(Span::DAY), Moment(86_404));
        assert_eq!(Moment(i64::MAX).plus(Span(u64::MAX)), Moment(i64::MAX));
    }
}
