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

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};

use bwdc_core::error::{Error, Result};

/// When syncs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// At the times that five fields name.
    Cron(Box<Cron>),
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
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        match text.find([' ', '\t', '@', ':']).map(|at| (at, text.as_bytes()[at])) {
            Some((0, _)) => Self::cron(text),
            Some((_, b'@')) => Self::weekly(text),
            Some((_, b':')) => Self::daily(text),
            Some(_) => Self::cron(text),
            None => Ok(Self::Every(Interval::parse(text)?)),
        }
    }

    fn of(cron: Cron) -> Self {
        Self::Cron(Box::new(cron))
    }

    /// Five fields, or a nickname.
    pub(crate) fn cron(text: &str) -> Result<Self> {
        if text.trim() == "@reboot" { Ok(Self::Boot) } else { Cron::parse(text.trim()).map(Self::of) }
    }

    /// A time of day.
    pub(crate) fn daily(text: &str) -> Result<Self> {
        let time = time_of_day(text, 0, text.trim())?;
        Cron::parse(&format!("{} {} * * *", time.minute(), time.hour())).map(Self::of)
    }

    /// Days of the week and a time, with an `@` in between.
    pub(crate) fn weekly(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((days, time)) = text.split_once('@') else {
            return Err(fault(text, text.len(), "`@` and the time are missing")
                .hint("Write the days and the time, such as mon@20:00 or mon,thu@20:00."));
        };
        Field::parse(&DAY_OF_WEEK, Piece { whole: text, at: 0, text: days })?;
        let time = time_of_day(text, days.len() + 1, time)?;
        Cron::parse(&format!("{} {} * * {days}", time.minute(), time.hour())).map(Self::of)
    }

    /// The first run after a moment; `None` if there is none, or none that the calendar knows.
    pub(crate) fn next_after(&self, moment: &ZonedDateTime) -> Option<ZonedDateTime> {
        match self {
            Self::Cron(cron) => cron.next_after(moment),
            Self::Every(interval) => moment.checked_add(interval.0).ok(),
            Self::Boot => None,
        }
    }

    /// The runs after a moment, one by one.
    pub(crate) fn runs_after(&self, moment: ZonedDateTime) -> impl Iterator<Item = ZonedDateTime> + use<'_> {
        std::iter::successors(self.next_after(&moment), |run| self.next_after(run))
    }

    /// The same by systemd's calendar events: nothing for a time that a clock change leaves out, and of one that it shows twice the
    /// first.
    pub(crate) fn systemd_runs_after(
        &self,
        moment: ZonedDateTime,
    ) -> impl Iterator<Item = ZonedDateTime> + use<'_> {
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
pub(crate) struct Interval(SignedDuration);

const LONGEST: i64 = 31 * 24 * 60;

impl Interval {
    /// `15m`, `2h`, `1h30m`, `1d`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
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

    pub(crate) fn minutes(self) -> i64 {
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

/// What one of the five fields can hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) least: u8,
    pub(crate) most: u8,
    /// Names of three letters, the first for `least`.
    names: &'static [&'static str],
}

pub(crate) const MINUTE: Kind = Kind { name: "minute", least: 0, most: 59, names: &[] };
pub(crate) const HOUR: Kind = Kind { name: "hour", least: 0, most: 23, names: &[] };
pub(crate) const DAY_OF_MONTH: Kind = Kind { name: "day of month", least: 1, most: 31, names: &[] };
pub(crate) const MONTH: Kind = Kind {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 7 is Sunday, as 0 is.
pub(crate) const DAY_OF_WEEK: Kind = Kind {
    name: "day of week",
    least: 0,
    most: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Kind {
    /// How many different values there are.
    fn count(&self) -> u8 {
        if *self == DAY_OF_WEEK { 7 } else { self.most - self.least + 1 }
    }
}

/// A part of an expression, and where it stands.
#[derive(Clone, Copy)]
struct Piece<'a> {
    whole: &'a str,
    at: usize,
    text: &'a str,
}

impl<'a> Piece<'a> {
    /// What is wrong, pointing at the beginning of this part.
    fn fault(self, problem: &str) -> Error {
        fault(self.whole, self.at, problem)
    }

    /// The parts between separators.
    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let begin = self.text.as_ptr() as usize;
        self.text.split(separator).map(move |text| Self {
            at: self.at + (text.as_ptr() as usize - begin),
            text,
            ..self
        })
    }
}

fn fault(whole: &str, at: usize, problem: &str) -> Error {
    let column = whole.get(..at).map_or(at, |before| before.chars().count());
    Error::new(format!("{problem}, at character {}\n  {whole}\n  {}^", column + 1, " ".repeat(column)))
}

/// The values of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: &'static Kind,
    /// As typed.
    pub(crate) text: String,
    /// Bit `n` for value `n`.
    mask: u64,
    /// The steps behind a `*`.
    pub(crate) steps: Vec<u8>,
}

impl Field {
    fn parse(kind: &'static Kind, piece: Piece<'_>) -> Result<Self> {
        let mut field = Self { kind, text: piece.text.to_owned(), mask: 0, steps: Vec::new() };
        for item in piece.split(',') {
            field.add(item)?;
        }
        Ok(field)
    }

    /// One value, a range, or `*`, perhaps with a step.
    fn add(&mut self, item: Piece<'_>) -> Result<()> {
        let mut parts = item.split('/');
        let (Some(range), step, None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(item.fault("there is more than one step"));
        };
        let (first, last) = self.range(range)?;
        let step = step.map(step_of).transpose()?;
        match step {
            Some(step) if first == last && !range.text.contains('-') => {
                let most = self.kind.most;
                return Err(range
                    .fault("a step needs `*` or a range before it")
                    .hint(format!("For every value from there on, write {}-{most}/{step}.", range.text)));
            }
            Some(step) if range.text == "*" => self.steps.push(step),
            _ => {}
        }
        for value in (first..=last).step_by(step.unwrap_or(1).into()) {
            let is_second_sunday = *self.kind == DAY_OF_WEEK && value == 7;
            self.mask |= 1 << if is_second_sunday { 0 } else { value };
        }
        Ok(())
    }

    fn range(&self, range: Piece<'_>) -> Result<(u8, u8)> {
        if range.text == "*" {
            return Ok((self.kind.least, self.kind.most));
        }
        let mut ends = range.split('-');
        let first = ends.next().map(|end| self.value(end)).transpose()?.unwrap_or_default();
        let Some(end) = ends.next() else { return Ok((first, first)) };
        let last = self.value(end)?;
        if let Some(more) = ends.next() {
            return Err(more.fault("the range has ended before this"));
        }
        if first > last {
            let Kind { least, most, .. } = *self.kind;
            let low = if least == last { least.to_string() } else { format!("{least}-{last}") };
            let high = if first >= most { most.to_string() } else { format!("{first}-{most}") };
            // 0 and 7 are one day.
            let other = if *self.kind == DAY_OF_WEEK && last == 0 { high } else { format!("{high},{low}") };
            return Err(range
                .fault(&format!("the range {} is the wrong way round: cron would never run it", range.text))
                .hint(format!("Over the end, write {other}.")));
        }
        Ok((first, last))
    }

    fn value(&self, value: Piece<'_>) -> Result<u8> {
        let Kind { name, least, most, names } = *self.kind;
        let text = value.text;
        if text.is_empty() {
            return Err(value.fault("a value is missing"));
        }
        if let Some(index) = names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
            return Ok(least + index as u8);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            return number
                .ok_or_else(|| value.fault(&format!("{text} is no {name}: it is from {least} to {most}")));
        }
        Err(value.fault(&format!("`{text}` is no {name}")).hint(self.near(text)))
    }

    /// What may have been meant.
    fn near(&self, text: &str) -> String {
        let start = text.get(..3).unwrap_or(text).to_lowercase();
        if self.kind.names.contains(&start.as_str()) {
            return format!("cron knows names by their first three letters: {start}.");
        }
        if text.contains(['?', 'L', 'W', '#']) {
            return "`?`, `L`, `W` and `#` belong to other schedulers; cron has numbers, names, `*`, `-`, `,` and `/`."
                .to_owned();
        }
        let Kind { least, most, names, .. } = self.kind;
        let names = if names.is_empty() { String::new() } else { format!(", or {}", names.join(", ")) };
        format!("A {} is a number from {least} to {most}{names}, a range, a list, or `*`.", self.kind.name)
    }

    /// Whether it begins with `*`, as `*/2` does: what cron's rules about days and clock changes go by.
    pub(crate) fn begins_with_star(&self) -> bool {
        self.text.starts_with('*')
    }

    pub(crate) fn is_full(&self) -> bool {
        self.mask.count_ones() == u32::from(self.kind.count())
    }

    pub(crate) fn has(&self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.mask & (1 << value) != 0)
    }

    /// All values, in order.
    pub(crate) fn values(&self) -> impl Iterator<Item = u8> + Clone + use<'_> {
        (self.kind.least..=self.kind.most).filter(|value| self.has(*value as i8))
    }

    /// All values in numbers, with ranges where three or more follow each other; `*` for all there are.
    pub(crate) fn numbers(&self, range: &str) -> String {
        if self.is_full() {
            return "*".to_owned();
        }
        let mut runs: Vec<(u8, u8)> = Vec::new();
        for value in self.values() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == value => *last = value,
                _ => runs.push((value, value)),
            }
        }
        let written = runs.into_iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}{range}{last}"),
        });
        written.collect::<Vec<_>>().join(",")
    }
}

fn step_of(piece: Piece<'_>) -> Result<u8> {
    match piece.text.parse() {
        Ok(0) => Err(piece.fault("a step cannot be 0")),
        Ok(step) if piece.text.bytes().all(|b| b.is_ascii_digit()) => Ok(step),
        _ if piece.text.is_empty() => Err(piece.fault("the step is missing")),
        _ => Err(piece.fault(&format!("`{}` is not a step", piece.text))),
    }
}

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

/// Five fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    /// As typed, single blanks in between.
    text: String,
    pub(crate) minute: Field,
    pub(crate) hour: Field,
    pub(crate) day_of_month: Field,
    pub(crate) month: Field,
    pub(crate) day_of_week: Field,
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl Cron {
    fn parse(text: &str) -> Result<Self> {
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

    fn nickname(text: &str) -> Result<Self> {
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

    fn is_at(&self, time: DateTime) -> bool {
        self.is_on(time.date()) && self.on_day(time.time()) == Some(time.time())
    }

    /// The first time on the clock, at `earliest` or later, without regard to clock changes.
    fn on_clock(&self, earliest: DateTime) -> Option<DateTime> {
        if let Some(time) = self.is_on(earliest.date()).then(|| self.on_day(earliest.time())).flatten() {
            return Some(earliest.date().to_datetime(time));
        }
        let date = self.date_after(earliest.date())?;
        Some(date.to_datetime(self.on_day(Time::midnight())?))
    }

    fn on_day(&self, earliest: Time) -> Option<Time> {
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

    fn date_after(&self, date: Date) -> Option<Date> {
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

    /// Whether any day of the calendar matches.
    pub(crate) fn ever_runs(&self) -> bool {
        self.date_after(Date::constant(2000, 1, 1)).is_some()
    }

    fn next_after(&self, moment: &ZonedDateTime) -> Option<ZonedDateTime> {
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
    fn repeated_until(&self, zone: &TimeZone, moment: Timestamp) -> Option<DateTime> {
        let last = ClockChange::last_until(zone, moment)?;
        (!self.is_wildcard() && last.is_small() && last.after < last.before)
            .then(|| whole_minute(last.before))
            .flatten()
    }
}

fn not_five(text: &str, pieces: &[Piece<'_>]) -> Error {
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

/// Whether the clocks have not shown this time shortly before.
fn is_first_showing(run: &ZonedDateTime) -> bool {
    let earlier = run.time_zone().to_ambiguous_zoned_datetime(run.datetime()).earlier();
    earlier.is_ok_and(|earlier| earlier.timestamp() == run.timestamp())
}

/// The first whole minute after a time.
fn next_minute(time: DateTime) -> Option<DateTime> {
    let time = time.with().second(0).subsec_nanosecond(0).build().ok()?;
    time.checked_add(SignedDuration::from_mins(1)).ok()
}

/// The time, or the first whole minute after it.
fn whole_minute(time: DateTime) -> Option<DateTime> {
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
    fn last_until(zone: &TimeZone, moment: Timestamp) -> Option<Self> {
        let just_after = moment.checked_add(SignedDuration::from_nanos(1)).ok()?;
        zone.preceding(just_after).next().map(|transition| Self::of(zone, transition.timestamp()))
    }

    fn of(zone: &TimeZone, at: Timestamp) -> Self {
        let just_before = at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
        let (before, after) = (zone.to_offset(just_before), zone.to_offset(at));
        Self { at, before: before.to_datetime(at), after: after.to_datetime(at) }
    }

    /// By less than three hours: what cron does not take for a correction of the clock.
    fn is_small(&self) -> bool {
        self.before.duration_until(self.after).abs() < SignedDuration::from_hours(3)
    }

    /// The first whole minute after it.
    fn first_minute(&self) -> Option<Timestamp> {
        let wait = self.after.duration_until(whole_minute(self.after)?);
        self.at.checked_add(wait).ok()
    }

    /// The times on the clock, at most so many, that it leaves out or shows twice, at which an expression would run.
    pub(crate) fn runs_hit(&self, cron: &Cron, most: usize) -> Vec<DateTime> {
        let (begin, end) = (self.before.min(self.after), self.before.max(self.after));
        let first = whole_minute(begin).and_then(|begin| cron.on_clock(begin));
        let runs = std::iter::successors(first, |run| cron.on_clock(next_minute(*run)?));
        runs.take_while(|run| *run < end).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    fn runs(expression: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression).unwrap();
        let from: ZonedDateTime = from.parse().unwrap();
        schedule.runs_after(from).take(count).map(|run| run.strftime("%F %H:%M %Z").to_string()).collect()
    }

    fn refused(text: &str, words: &[&str]) {
        let error = Schedule::parse(text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }

    #[test]
    fn mistakes_point_at_the_character() {
        refused("* * * *", &["five fields, and here are 4, at character 8"]);
        refused("0 0 12 * * 1", &["here are 6, at character 12", "no seconds"]);
        refused("0 24 * * *", &["24 is no hour: it is from 0 to 23, at character 3\n  0 24 * * *\n    ^"]);
        refused("5/10 * * * *", &["a step needs", "character 1", "5-59/10"]);
        refused("*/0 * * * *", &["a step cannot be 0", "character 3"]);
        refused("0 0 * * fri-mon", &["wrong way round", "character 9", "write 5-7,0-1"]);
        refused("0 0 * * sat-sun", &["write 6-7."]);
        refused("0 0 * january *", &["first three letters: jan"]);
        refused("0 0 L * *", &["other schedulers"]);
        refused("1,,2 * * * *", &["a value is missing, at character 3"]);
        refused("1-3-5 * * * *", &["the range has ended before this, at character 5"]);
        refused("@Daily", &["small letters"]);
        refused("25:00", &["not a time of day"]);
        refused("mon@8", &["`8` is not a time of day, at character 5"]);
        refused("moon@08:00", &["`moon` is no day of week"]);
        refused("15x", &["`m`, `h` or `d` is missing, at character 3"]);
        refused("0m", &["from one minute"]);
        refused("ü * * * *", &["`ü` is no minute"]);
        refused("", &["an interval is from"]);
    }

    #[test]
    fn what_is_shown_is_what_was_meant() {
        for (typed, shown) in [
            ("  0  12 * *\t1 ", "0 12 * * 1"),
            ("@weekly", "0 0 * * 0"),
            ("02:30", "30 2 * * *"),
            ("mon,thu@20:05", "5 20 * * mon,thu"),
            ("90m", "1h30m"),
            ("@reboot", "@reboot"),
        ] {
            let schedule = Schedule::parse(typed).unwrap();
            assert_eq!(schedule.to_string(), shown);
            assert_eq!(Schedule::parse(shown).unwrap(), schedule);
        }
    }

    #[test]
    fn the_rule_of_the_two_day_fields() {
        let from = "2026-11-01T00:00[UTC]";
        assert_eq!(
            runs("0 0 13 * 5", from, 3),
            ["2026-11-06", "2026-11-13", "2026-11-20"].map(|d| format!("{d} 00:00 UTC"))
        );
        // It begins with a star: both must match.
        assert_eq!(
            runs("0 0 */12 * 5", from, 2),
            ["2026-11-13", "2026-12-25"].map(|d| format!("{d} 00:00 UTC"))
        );
        assert_eq!(
            runs("0 0 1-31 * 5", from, 2),
            ["2026-11-02", "2026-11-03"].map(|d| format!("{d} 00:00 UTC"))
        );
        assert_eq!(runs("0 0 * * 7", from, 1), runs("0 0 * * sun", from, 1));
    }

    #[test]
    fn rare_days_and_days_that_never_are() {
        assert_eq!(runs("0 0 29 2 *", "2096-03-01T00:00[UTC]", 1), ["2104-02-29 00:00 UTC"]);
        assert!(runs("0 0 31 2,4,6,9,11 *", "2026-01-01T00:00[UTC]", 1).is_empty());
        assert!(runs("@reboot", "2026-01-01T00:00[UTC]", 1).is_empty());
        assert_eq!(runs("7m", "2026-01-01T00:00[UTC]", 2), ["2026-01-01 00:07 UTC", "2026-01-01 00:14 UTC"]);
    }

    #[test]
    fn clocks_that_go_forward() {
        let from = "2026-03-29T01:30[Europe/Berlin]";
        assert_eq!(runs("30 2 * * *", from, 2), ["2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"]);
        assert_eq!(runs("0,30 2 * * *", from, 2), ["2026-03-29 03:00 CEST", "2026-03-30 02:00 CEST"]);
        assert_eq!(runs("30 2,3 * * *", from, 2), ["2026-03-29 03:00 CEST", "2026-03-29 03:30 CEST"]);
        assert_eq!(runs("*/30 * * * *", from, 2), ["2026-03-29 03:00 CEST", "2026-03-29 03:30 CEST"]);
        assert_eq!(runs("*/30 2 * * *", from, 1), ["2026-03-30 02:00 CEST"]);
        // A whole day is a correction, not daylight saving.
        assert_eq!(runs("0 2 30 * *", "2011-12-29T12:00[Pacific/Apia]", 1), ["2012-01-30 02:00 +14"]);
    }

    #[test]
    fn clocks_that_go_back() {
        let from = "2026-10-25T02:15+02:00[Europe/Berlin]";
        assert_eq!(runs("30 2 * * *", from, 2), ["2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"]);
        assert_eq!(
            runs("30 * * * *", from, 3),
            ["2026-10-25 02:30 CEST", "2026-10-25 02:30 CET", "2026-10-25 03:30 CET"]
        );
        // From within the hour that is there again.
        assert_eq!(
            runs("30 2,3 * * *", "2026-10-25T02:15+01:00[Europe/Berlin]", 1),
            ["2026-10-25 03:30 CET"]
        );
        // Half an hour, on Lord Howe Island.
        assert_eq!(
            runs("45 1 * * *", "2026-04-05T01:40+11:00[Australia/Lord_Howe]", 2),
            ["2026-04-05 01:45 +11", "2026-04-06 01:45 +1030"]
        );
    }

    const SAMPLES: [&str; 12] = [
        "0 12 * * 1",
        "*/15 0-6,20-23/2 1,15 jan-mar mon,thu",
        "30 2 29 2 *",
        "0 0 31 4,6 *",
        "@daily",
        "@reboot",
        "1h30m",
        "31d",
        "02:30",
        "mon,thu@20:05",
        "5-59/10 * 1-31 * 5",
        "* * * * *",
    ];

    proptest! {
        #![proptest_config(few())]

        /// A schedule is shown as it is understood, and its runs come one after the other; or the error points at a character.
        #[test]
        fn fuzz_schedules(
            text in damaged_text(SAMPLES),
            zone in prop::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "UTC"]),
            second in prop_oneof![Just(i64::from(i32::MAX)), 0..4_000_000_000_i64, -5_000_000_000_i64..253_402_207_200],
        ) {
            use super::super::{cron, explain};
            let schedule = match Schedule::parse(&text) {
                Ok(schedule) => schedule,
                Err(error) => {
                    bwdc_testkit::harmless(&error, text.len())?;
                    let at: Option<usize> = error.message.split(", at character ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
                    prop_assert!(at.is_some_and(|at| at <= text.chars().count() + 1), "{}", error);
                    return Ok(());
                }
            };
            prop_assert_eq!(&Schedule::parse(&schedule.to_string()).unwrap(), &schedule);
            let zone = TimeZone::get(zone).unwrap();
            let from = Timestamp::from_second(second).unwrap();
            let zoned = from.to_zoned_datetime(zone.clone());
            let runs: Vec<_> = bwdc_testkit::damage::soon(|| schedule.runs_after(zoned.clone()).take(5).collect());
            prop_assert!(runs.iter().all(|run| *run > zoned) && runs.is_sorted());
            let by_systemd: Vec<_> = bwdc_testkit::damage::soon(|| schedule.systemd_runs_after(zoned.clone()).take(2).collect());
            prop_assert!(by_systemd.iter().all(|run| *run > zoned));
            prop_assert!((1..1_000).contains(&explain::english(&schedule).len()));
            for warning in bwdc_testkit::damage::soon(|| explain::warnings(&schedule, &zone, from)) {
                prop_assert!(warning.len() <= 1_000 + text.len());
            }
            if let Ok(time) = cron::time(&schedule) {
                prop_assert!(!time.contains(['\n', '%']) && Schedule::parse(&time).is_ok(), "{time}");
            }
            if let Schedule::Cron(cron) = &schedule {
                prop_assert!(explain::diagram(cron).len() <= 100_000 + 8 * text.len());
            }
        }
    }
}
