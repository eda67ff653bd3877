//! A schedule in English, as a picture, and what people get wrong about it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::clock_change::ClockChange;
use super::cron::{CronExpression, Days};
use super::field::Field;
use super::{Interval, Schedule};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// In English, which the Task Scheduler's elements are named by as well.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// One sentence.
pub fn english(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Cron(cron) => {
            let text = format!("{}{}{}.", times(cron), days(cron), months(&cron.month));
            let mut letters = text.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
        Schedule::Every(interval) => {
            let amount = amount(*interval);
            // Every minute, every hour.
            let single = amount.strip_prefix("1 ").filter(|unit| !unit.contains(' '));
            format!("Every {}.", single.unwrap_or(&amount))
        }
        Schedule::Boot => "Once, when the machine starts.".to_owned(),
    }
}

fn amount(interval: Interval) -> String {
    let minutes = interval.minutes();
    let parts = [(minutes / 1440, "day"), (minutes / 60 % 24, "hour"), (minutes % 60, "minute")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let words = parts.map(|(count, unit)| counted(count, unit));
    listed(&words.collect::<Vec<_>>(), "and")
}

fn counted(count: i64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// `a, b and c`.
fn listed(words: &[String], word: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}

/// At most so many times of day are listed one by one.
const LISTED: usize = 6;

fn times(cron: &CronExpression) -> String {
    let (minutes, hours) = (cron.minute.values().count(), cron.hour.values().count());
    if minutes * hours <= LISTED {
        let times = cron
            .hour
            .values()
            .flat_map(|hour| cron.minute.values().map(move |minute| format!("{hour:02}:{minute:02}")));
        return format!("at {}", listed(&times.collect::<Vec<_>>(), "and"));
    }
    let minutes = past_the_hour(&cron.minute);
    if cron.hour.is_full() {
        return if cron.minute.is_full() { minutes } else { format!("{minutes} of every hour") };
    }
    format!("{minutes} of the hours {}", ranges(&cron.hour, |hour| format!("{hour:02}")))
}

fn past_the_hour(minute: &Field) -> String {
    let values: Vec<_> = minute.values().collect();
    match (minute.is_full(), even_step(&values, 60)) {
        (true, _) => "every minute".to_owned(),
        (false, Some(step)) if values.first() == Some(&0) => format!("every {step} minutes"),
        (false, _) if values.len() == 1 => format!("at minute {}", minute.numbers("-")),
        (false, _) => format!("at the minutes {}", ranges(minute, |minute| minute.to_string())),
    }
}

/// The step between values that go round evenly.
fn even_step(values: &[u8], round: u8) -> Option<u8> {
    let step = values.get(1)?.checked_sub(*values.first()?)?;
    let is_even = values.windows(2).all(|pair| pair[1] - pair[0] == step);
    (is_even && u64::from(step) * values.len() as u64 == u64::from(round)).then_some(step)
}

fn days(cron: &CronExpression) -> String {
    let of_month = || {
        let days = ranges(&cron.day_of_month, |day| ordinal(day.into()));
        format!("the {days} of the month")
    };
    let of_week = || ranges(&cron.day_of_week, |day| DAYS[usize::from(day) % 7].to_owned());
    match cron.days() {
        Days::Every => ", every day".to_owned(),
        Days::OfMonth => format!(", on {}", of_month()),
        Days::OfWeek => format!(", on {}", of_week()),
        Days::Either => format!(", on {}, and also on {}", of_month(), of_week()),
        Days::Both => format!(", on {} where that is a {}", of_month(), of_week()),
    }
}

fn months(month: &Field) -> String {
    if month.is_full() {
        return String::new();
    }
    format!(", in {}", ranges(month, |month| MONTHS[usize::from(month - 1) % 12].to_owned()))
}

fn ordinal(number: usize) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

/// Values by name, with `to` between the ends of three or more that follow each other.
fn ranges(field: &Field, name: impl Fn(u8) -> String) -> String {
    let mut runs: Vec<Vec<u8>> = Vec::new();
    for value in field.values() {
        match runs.last_mut() {
            Some(run) if run.last() == Some(&(value.wrapping_sub(1))) => run.push(value),
            _ => runs.push(vec![value]),
        }
    }
    let words = runs.into_iter().flat_map(|run| match run[..] {
        [first, _, .., last] if last - first >= 2 => vec![format!("{} to {}", name(first), name(last))],
        _ => run.into_iter().map(&name).collect(),
    });
    listed(&words.collect::<Vec<_>>(), "and")
}

/// The fields, each with a line to its meaning.
pub fn diagram(cron: &CronExpression) -> String {
    let meanings = [
        meaning(&cron.minute, |value| value.to_string()),
        meaning(&cron.hour, |value| value.to_string()),
        meaning(&cron.day_of_month, |value| ordinal(value.into())),
        meaning(&cron.month, |value| MONTHS[usize::from(value - 1) % 12].to_owned()),
        meaning(&cron.day_of_week, |value| DAYS[usize::from(value) % 7].to_owned()),
    ];
    let text = cron.to_string();
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1)).collect();
    let mut lines = vec![format!("  {text}")];
    for (number, field) in cron.fields().into_iter().enumerate().rev() {
        let mut line = String::from("  ");
        for column in 0..starts[number] {
            line.push(if starts.contains(&column) { '│' } else { ' ' });
        }
        let bar = "─".repeat(starts[4] - starts[number] + 1);
        line.push_str(&format!("└{bar} {:12}  {}", field.kind.name, meanings[number]));
        lines.push(line);
    }
    lines.join("\n")
}

fn meaning(field: &Field, name: impl Fn(u8) -> String) -> String {
    if field.is_full() { "every".to_owned() } else { ranges(field, name) }
}

/// What people get wrong, for this schedule in this zone, from a moment on.
pub fn warnings(schedule: &Schedule, zone: &TimeZone, from: Timestamp) -> Vec<String> {
    match schedule {
        Schedule::Cron(cron) if !cron.ever_runs() => vec![never()],
        Schedule::Cron(cron) => {
            let mut warnings: Vec<String> =
                [every_minute(cron), two_day_fields(cron)].into_iter().flatten().collect();
            warnings.extend(uneven_steps(cron));
            warnings.extend(missing_days(cron));
            warnings.extend(clock_changes(cron, zone, from));
            warnings
        }
        Schedule::Every(interval) => too_often(interval.minutes()).into_iter().collect(),
        Schedule::Boot => {
            vec!["It runs when the machine starts, and then not until the next start.".to_owned()]
        }
    }
}

fn never() -> String {
    "It never runs: none of its months has such a day.".to_owned()
}

/// The existing connector's desktop program knows nothing shorter.
const SHORTEST_USUAL: i64 = 5;

fn too_often(minutes: i64) -> Option<String> {
    (minutes < SHORTEST_USUAL).then(|| {
        format!(
            "Every {} is often: each run reads the whole directory, and directories limit how often they can be queried. The desktop program allowed nothing below 5 minutes.",
            if minutes == 1 { "minute".to_owned() } else { format!("{minutes} minutes") }
        )
    })
}

fn every_minute(cron: &CronExpression) -> Option<String> {
    if !cron.minute.is_full() {
        let values: Vec<_> = cron.minute.values().collect();
        let closest = values.windows(2).map(|pair| pair[1] - pair[0]).min()?;
        return too_often(closest.into());
    }
    if cron.hour.is_full() {
        return too_often(1);
    }
    let hours = cron.hour.values().count();
    let hour = cron.hour.numbers("-");
    Some(format!(
        "It runs {} times a day: the minute is `*`, so every minute of the hour counts. For once an hour, write `0 {hour} {} {} {}`.",
        60 * hours,
        cron.day_of_month.text,
        cron.month.text,
        cron.day_of_week.text
    ))
}

fn two_day_fields(cron: &CronExpression) -> Option<String> {
    match cron.days() {
        Days::Either => Some(
            "Both day fields are given: it runs on days that match either of them, not only on those that match both.".to_owned(),
        ),
        Days::Both => Some(
            "Both day fields are given, and one begins with `*`: cron then runs it only on days that match both. Other schedulers \
             read this differently."
                .to_owned(),
        ),
        Days::Every if !cron.day_of_month.begins_with_star() && !cron.day_of_week.begins_with_star() => Some(
            "One of the day fields has all days without being `*`: either field is enough, so it runs every day.".to_owned(),
        ),
        _ => None,
    }
}

fn uneven_steps(cron: &CronExpression) -> Vec<String> {
    let rounds = [(&cron.minute, 60, "minutes", "hour"), (&cron.hour, 24, "hours", "day")];
    let mut warnings = Vec::new();
    for (field, round, unit, whole) in rounds {
        for step in field.steps.iter().copied().filter(|step| round % step != 0) {
            let last = (round - 1) / step * step;
            warnings.push(if last == 0 {
                format!("`*/{step}` goes past the end of the {whole}: it means 0 alone.")
            } else {
                format!(
                    "`*/{step}` is not every {step} {unit}: it starts anew with each {whole}, so the step from {last} to the next 0 \
                     is {} {unit} long.",
                    round - last
                )
            });
        }
    }
    if cron.day_of_month.steps.iter().any(|step| *step > 1) {
        warnings.push(
            "A step in the day of the month starts anew on each 1st: the last day and the first may be neighbours.".to_owned(),
        );
    }
    warnings
}

fn missing_days(cron: &CronExpression) -> Option<String> {
    if cron.days() != Days::OfMonth || cron.day_of_month.steps.iter().any(|step| *step > 1) {
        return None;
    }
    let days: Vec<u8> = cron.day_of_month.values().filter(|day| *day > 28).collect();
    let least = *days.first()?;
    let length = |month: u8| match month {
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let short: Vec<u8> = cron.month.values().filter(|month| length(*month) < least).collect();
    if short.is_empty() && !days.contains(&31) {
        return None;
    }
    if cron.month.values().eq([2]) {
        return Some("The 29th of February exists in leap years only.".to_owned());
    }
    let most = days.last().copied().unwrap_or(least);
    let without: Vec<String> = cron
        .month
        .values()
        .filter(|month| length(*month) < most)
        .map(|month| MONTHS[usize::from(month - 1) % 12].to_owned())
        .collect();
    let day = ordinal(most.into());
    (!without.is_empty()).then(|| {
        let leap = if most == 29 { ", but for leap years" } else { "" };
        format!(
            "There is no {day} in {}{leap}: nothing runs for it then. No field means the last day of a month; the 28th is in all.",
            listed(&without, "and")
        )
    })
}

fn clock_changes(cron: &CronExpression, zone: &TimeZone, from: Timestamp) -> Vec<String> {
    let Ok(end) = from.checked_add(SignedDuration::from_hours(366 * 24)) else { return Vec::new() };
    let changes = ClockChange::after(zone, from).take_while(|change| change.at < end);
    changes.filter_map(|change| clock_change(cron, &change)).collect()
}

fn clock_change(cron: &CronExpression, change: &ClockChange) -> Option<String> {
    let hit = cron.runs_hit(change, 100);
    let first = hit.first()?;
    let clock = |time: DateTime| time.strftime("%H:%M").to_string();
    let runs = match hit.len() {
        1 => format!("the run at {} ", clock(*first)),
        count => format!(
            "{}{count} runs from {} on ",
            if count == 100 { "more than " } else { "the " },
            clock(*first)
        ),
    };
    let what = match (change.before < change.after, cron.is_wildcard()) {
        (true, true) => "fall into the time that is left out, and do not take place",
        (true, false) => {
            "fall into the time that is left out; cron runs them at the first minute after it (once, for several), systemd leaves them out"
        }
        (false, true) => "fall into the time that is there twice; cron runs them twice, systemd may not",
        (false, false) => {
            "fall into the time that is there twice; cron and systemd run them the first time only"
        }
    };
    let what = if hit.len() == 1 {
        what.replace("fall ", "falls ")
            .replace("do not take", "does not take")
            .replace("them", "it")
            .replace(" (once, for several)", "")
    } else {
        what.to_owned()
    };
    Some(format!(
        "On {} the clocks go from {} to {}: {runs}{what}.",
        change.before.strftime("%F"),
        clock(change.before),
        clock(change.after),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        english(&Schedule::parse(text).unwrap())
    }

    fn warned(text: &str) -> String {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let from = "2026-01-01T00:00Z".parse().unwrap();
        warnings(&Schedule::parse(text).unwrap(), &zone, from).join("\n")
    }

    #[test]
    fn in_english() {
        for (text, expected) in [
            ("0 12 * * 1", "At 12:00, on Monday."),
            ("30 2 * * *", "At 02:30, every day."),
            ("*/15 * * * *", "Every 15 minutes of every hour, every day."),
            ("* * * * *", "Every minute, every day."),
            ("0 * * * *", "At minute 0 of every hour, every day."),
            ("5,35 9-17 * * 1-5", "At the minutes 5 and 35 of the hours 09 to 17, on Monday to Friday."),
            ("0 6,18 1,15 * *", "At 06:00 and 18:00, on the 1st and 15th of the month."),
            ("0 0 13 * 5", "At 00:00, on the 13th of the month, and also on Friday."),
            (
                "0 0 */12 3 5",
                "At 00:00, on the 1st, 13th and 25th of the month where that is a Friday, in March.",
            ),
            ("90m", "Every 1 hour and 30 minutes."),
            ("15m", "Every 15 minutes."),
            ("1h", "Every hour."),
            ("@reboot", "Once, when the machine starts."),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn as_a_picture() {
        let Schedule::Cron(cron) = Schedule::parse("30 12 1,15 * fri").unwrap() else { panic!() };
        assert_eq!(
            diagram(&cron),
            "  30 12 1,15 * fri\n  │  │  │    │ └─ day of week   Friday\n  │  │  │    └─── month         every\n  \
             │  │  └──────── day of month  1st and 15th\n  │  └─────────── hour          12\n  └────────────── minute        30"
        );
    }

    #[test]
    fn what_people_get_wrong() {
        for (text, expected) in [
            ("* 3 * * *", "It runs 60 times a day"),
            ("* 3 * * *", "write `0 3 * * *`"),
            ("* * * * *", "Every minute is often"),
            ("0 3 31 * *", "There is no 31st in February, April, June, September and November"),
            ("0 3 30 * *", "There is no 30th in February:"),
            ("0 3 29 2 *", "leap years only"),
            ("0 3 29 * *", "There is no 29th in February, but for leap years"),
            ("0 3 31 2 *", "It never runs"),
            ("0 3 1 * 1", "either of them"),
            ("0 3 */2 * 1", "match both"),
            ("0 3 1-31 * 1", "so it runs every day"),
            ("*/7 * * * *", "from 56 to the next 0 is 4 minutes"),
            ("0 */5 * * *", "from 20 to the next 0 is 4 hours"),
            ("*/90 * * * *", "it means 0 alone"),
            ("0 3 */2 * *", "starts anew on each 1st"),
            (
                "30 2 * * *",
                "On 2026-03-29 the clocks go from 02:00 to 03:00: the run at 02:30 falls into the time that is left out",
            ),
            (
                "30 2 * * *",
                "On 2026-10-25 the clocks go from 03:00 to 02:00: the run at 02:30 falls into the time that is there twice",
            ),
            (
                "*/30 * * * *",
                "the 2 runs from 02:00 on fall into the time that is there twice; cron runs them twice",
            ),
            ("1m", "Every minute is often"),
        ] {
            assert!(warned(text).contains(expected), "{text}: {}", warned(text));
        }
        for text in ["0 12 * * 1", "*/15 4-20 * * *", "0 4 28 * *", "15m"] {
            assert_eq!(warned(text), "", "{text}");
        }
    }
}
