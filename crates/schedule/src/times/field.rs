//! One of the five fields of a cron expression.

use bwdc_core::error::{Error, Result};

/// What one of the five fields can hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FieldKind {
    pub(crate) name: &'static str,
    pub(crate) least: u8,
    pub(crate) most: u8,
    /// Names of three letters, the first for `least`.
    names: &'static [&'static str],
}

pub(crate) const MINUTE: FieldKind = FieldKind { name: "minute", least: 0, most: 59, names: &[] };
pub(crate) const HOUR: FieldKind = FieldKind { name: "hour", least: 0, most: 23, names: &[] };
pub(crate) const DAY_OF_MONTH: FieldKind = FieldKind { name: "day of month", least: 1, most: 31, names: &[] };
pub(crate) const MONTH: FieldKind = FieldKind {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 7 is Sunday, as 0 is.
pub(crate) const DAY_OF_WEEK: FieldKind = FieldKind {
    name: "day of week",
    least: 0,
    most: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl FieldKind {
    /// How many different values there are.
    pub(super) fn count(&self) -> u8 {
        if *self == DAY_OF_WEEK { 7 } else { self.most - self.least + 1 }
    }
}

/// A part of an expression, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) whole: &'a str,
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl<'a> Piece<'a> {
    /// What is wrong, pointing at the beginning of this part.
    pub(super) fn fault(self, problem: &str) -> Error {
        fault(self.whole, self.at, problem)
    }

    /// The parts between separators.
    pub(super) fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let begin = self.text.as_ptr() as usize;
        self.text.split(separator).map(move |text| Self {
            at: self.at + (text.as_ptr() as usize - begin),
            text,
            ..self
        })
    }
}

pub(super) fn fault(whole: &str, at: usize, problem: &str) -> Error {
    let column = whole.get(..at).map_or(at, |before| before.chars().count());
    Error::new(format!("{problem}, at character {}\n  {whole}\n  {}^", column + 1, " ".repeat(column)))
}

/// The values of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: &'static FieldKind,
    /// As typed.
    pub(crate) text: String,
    /// Bit `n` for value `n`.
    mask: u64,
    /// The steps behind a `*`.
    pub(crate) steps: Vec<u8>,
}

impl Field {
    pub(super) fn parse(kind: &'static FieldKind, piece: Piece<'_>) -> Result<Self> {
        let mut field = Self { kind, text: piece.text.to_owned(), mask: 0, steps: Vec::new() };
        for item in piece.split(',') {
            field.add(item)?;
        }
        Ok(field)
    }

    /// One value, a range, or `*`, perhaps with a step.
    pub(super) fn add(&mut self, item: Piece<'_>) -> Result<()> {
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

    pub(super) fn range(&self, range: Piece<'_>) -> Result<(u8, u8)> {
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
            let FieldKind { least, most, .. } = *self.kind;
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

    pub(super) fn value(&self, value: Piece<'_>) -> Result<u8> {
        let FieldKind { name, least, most, names } = *self.kind;
        let text = value.text;
        if text.is_empty() {
            return Err(value.fault("a value is missing"));
        }
        if let Some(index) = names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
            return Ok(least + index as u8);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            return number.ok_or_else(|| {
                value.fault(&format!("{text} is not a valid {name}: it must be from {least} to {most}"))
            });
        }
        Err(value.fault(&format!("`{text}` is not a valid {name}")).hint(self.near(text)))
    }

    /// What may have been meant.
    pub(super) fn near(&self, text: &str) -> String {
        let start = text.get(..3).unwrap_or(text).to_lowercase();
        if self.kind.names.contains(&start.as_str()) {
            return format!("cron knows names by their first three letters: {start}.");
        }
        if text.contains(['?', 'L', 'W', '#']) {
            return "`?`, `L`, `W` and `#` belong to other schedulers; cron has numbers, names, `*`, `-`, `,` and `/`."
                .to_owned();
        }
        let FieldKind { least, most, names, .. } = self.kind;
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

pub(super) fn step_of(piece: Piece<'_>) -> Result<u8> {
    match piece.text.parse() {
        Ok(0) => Err(piece.fault("a step cannot be 0")),
        Ok(step) if piece.text.bytes().all(|b| b.is_ascii_digit()) => Ok(step),
        _ if piece.text.is_empty() => Err(piece.fault("the step is missing")),
        _ => Err(piece.fault(&format!("`{}` is not a step", piece.text))),
    }
}
