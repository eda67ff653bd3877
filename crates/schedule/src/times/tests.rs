use bwdc_testkit::{damaged_text, few};
use proptest::prelude::*;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::schedulers::cron::time as cron_time;

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
    refused(
        "0 24 * * *",
        &["24 is not a valid hour: it must be from 0 to 23, at character 3\n  0 24 * * *\n    ^"],
    );
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
    refused("moon@08:00", &["`moon` is not a valid day of week"]);
    refused("15x", &["`m`, `h` or `d` is missing, at character 3"]);
    refused("0m", &["from one minute"]);
    refused("ü * * * *", &["`ü` is not a valid minute"]);
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
    assert_eq!(runs("0 0 */12 * 5", from, 2), ["2026-11-13", "2026-12-25"].map(|d| format!("{d} 00:00 UTC")));
    assert_eq!(runs("0 0 1-31 * 5", from, 2), ["2026-11-02", "2026-11-03"].map(|d| format!("{d} 00:00 UTC")));
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
    assert_eq!(runs("30 2,3 * * *", "2026-10-25T02:15+01:00[Europe/Berlin]", 1), ["2026-10-25 03:30 CET"]);
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
        if let Ok(time) = cron_time(&schedule) {
            prop_assert!(!time.contains(['\n', '%']) && Schedule::parse(&time).is_ok(), "{time}");
        }
        if let Schedule::Cron(cron) = &schedule {
            prop_assert!(explain::diagram(cron).len() <= 100_000 + 8 * text.len());
        }
    }
}
