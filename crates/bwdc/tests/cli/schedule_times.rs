//! Next runs of schedules, against two independent implementations: croniter (with Python's own time zones) and `systemd-analyze
//! calendar`, which gets the expression we make for systemd.
//!
//! Cases left out, with the reason:
//!
//! - a range of one value (`3-3`): croniter treats it as all values
//! - `*` in a list in a day field (`1,*`): croniter drops everything beside the `*`, and with it the rule about the first character
//! - the Chatham Islands, with systemd: at the minutes that a change leaves out there, systemd 252 gives up ("Resource deadlock
//!   avoided")
//!
//! The differences at clock changes are in `next_runs.py`: `cron` is our result, `systemd` that of systemd.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::harness::{Instance, vendor_clients};

const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Nuuk",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
];

const COUNT: usize = 5;

struct Case {
    expression: String,
    zone: &'static str,
    from: Timestamp,
}

/// List of values, ranges and steps.
fn field(random: &mut fastrand::Rng, least: u8, most: u8, stars: Stars) -> String {
    let count = [1, 1, 1, 2, 3][random.usize(0..5)];
    let stars = if count == 1 { Stars::Anywhere } else { stars };
    (0..count).map(|_| item(random, least, most, stars)).collect::<Vec<_>>().join(",")
}

#[derive(Clone, Copy, PartialEq)]
enum Stars {
    Anywhere,
    Alone,
}

fn item(random: &mut fastrand::Rng, least: u8, most: u8, stars: Stars) -> String {
    let first = random.u8(least..most);
    let last = random.u8(first + 1..=most);
    match random.u8(0..10) {
        0..=2 if stars == Stars::Anywhere => "*".to_owned(),
        3..=4 if stars == Stars::Anywhere => format!("*/{}", random.u8(1..=(most - least) / 2 + 1)),
        5..=6 => format!("{first}-{last}"),
        7 => format!("{first}-{last}/{}", random.u8(1..=5)),
        _ => first.to_string(),
    }
}

fn expression(random: &mut fastrand::Rng) -> String {
    let minute = field(random, 0, 59, Stars::Anywhere);
    // Many in the hours in which clocks change.
    let hour = if random.bool() {
        field(random, 0, 23, Stars::Anywhere)
    } else {
        field(random, 0, 4, Stars::Anywhere)
    };
    let day = if random.bool() { "*".to_owned() } else { field(random, 1, 31, Stars::Alone) };
    let month = if random.u8(0..3) > 0 { "*".to_owned() } else { field(random, 1, 12, Stars::Anywhere) };
    let week = if random.bool() { "*".to_owned() } else { field(random, 0, 7, Stars::Alone) };
    format!("{minute} {hour} {day} {month} {week}")
}

/// Any moment of twenty years; or one in the six hours before the clocks change.
fn moment(random: &mut fastrand::Rng, zone: &str, place: When) -> Timestamp {
    let any = Timestamp::from_second(random.i64(1_420_070_400..2_051_222_400)).unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let change = zone.following(any).next().map(|change| change.timestamp());
    match (place, change) {
        (When::BeforeAChange, Some(change)) => {
            Timestamp::from_second(change.as_second() - random.i64(0..6 * 3600)).unwrap()
        }
        _ => any,
    }
}

#[derive(Clone, Copy)]
enum When {
    Any,
    BeforeAChange,
}

fn cases(seed: u64, count: usize, when: When) -> Vec<Case> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut case = || {
        let zone = ZONES[random.usize(0..ZONES.len())];
        let expression = expression(&mut random);
        Case { expression, zone, from: moment(&mut random, zone, when) }
    };
    (0..count).map(|_| case()).collect()
}

/// Results of croniter and Python's zones, for each case those of cron and of systemd.
fn independent(cases: &[Case]) -> Vec<Value> {
    let python = vendor_clients().join("python/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/next_runs.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = cases
        .iter()
        .map(|case| {
            let Case { expression, zone, from } = case;
            json!({ "expression": expression, "zone": zone, "from": from.as_second(), "count": COUNT })
                .to_string()
                + "\n"
        })
        .collect();
    let feed = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn seconds(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|run| run.as_i64().unwrap()).collect()
}

/// Runs that systemd itself finds for calendar events.
fn by_systemd(events: &Value, case: &Case) -> Vec<i64> {
    let events =
        events.as_array().unwrap().iter().map(|event| format!("{} {}", event.as_str().unwrap(), case.zone));
    let events: Vec<_> = events.collect();
    if events.is_empty() {
        return Vec::new();
    }
    let output = Command::new("systemd-analyze")
        .args(["calendar", &format!("--iterations={COUNT}")])
        .arg(format!("--base-time={}", case.from.strftime("%F %T UTC")))
        .args(&events)
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} ({events:?}): {err}", case.expression);
    let text = String::from_utf8(output.stdout).unwrap();
    let runs: BTreeSet<i64> = text
        .lines()
        .filter_map(|line| {
            let (name, run) = line.trim().split_once(": ")?;
            (name == "Next elapse" || name.starts_with("Iter. #")).then_some(run)
        })
        .filter(|run| *run != "never")
        .map(|run| {
            let run = run.split_once(' ').unwrap().1.trim_end_matches(" UTC");
            let run: jiff::civil::DateTime = run.parse().unwrap();
            run.to_zoned_datetime(TimeZone::UTC).unwrap().timestamp().as_second()
        })
        .collect();
    runs.into_iter().take(COUNT).collect()
}

#[track_caller]
fn agree(cases: &[Case]) {
    let instance = Instance::empty();
    let mut later = 0;
    for (case, expected) in cases.iter().zip(independent(cases)) {
        let Case { expression, zone, from } = case;
        let from_text = from.to_string();
        let ran = instance
            .run(&["--response", "schedule", "explain", expression, "--tz", zone, "--from", &from_text])
            .ok();
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        let runs = |key: &str| -> Vec<i64> {
            let second = |run: &Value| run.as_str().unwrap().parse::<Timestamp>().unwrap().as_second();
            answer["data"][key].as_array().unwrap().iter().map(second).collect()
        };
        assert_eq!(runs("next"), seconds(&expected["cron"]), "`{expression}` in {zone} after {from}");
        let systemd = seconds(&expected["systemd"]);
        assert_eq!(
            runs("nextBySystemd"),
            systemd,
            "as we say, systemd: `{expression}` in {zone} after {from}"
        );
        if *zone != "Pacific/Chatham" {
            let by_systemd = by_systemd(&answer["data"]["onCalendar"], case);
            assert_eq!(by_systemd, systemd, "systemd: `{expression}` in {zone} after {from}");
        }
        later += usize::from(expected["cron"] != expected["systemd"]);
    }
    // The cases include some in which the two differ.
    assert!(later > 0 || cases.is_empty());
}

#[test]
fn around_clock_changes_as_croniter_and_systemd_compute_it() {
    agree(&cases(6, 1200, When::BeforeAChange));
}

#[test]
fn at_any_time_as_croniter_and_systemd_compute_it() {
    agree(&cases(7, 1200, When::Any));
}

#[test]
fn the_zone_is_that_of_the_runs() {
    let instance = Instance::empty();
    let zone = ["--tz", "Asia/Tokyo", "--from", "2026-01-01T00:00", "-n", "1"];
    let ran = instance.run(&[&["--response", "schedule", "next", "--at", "02:30"][..], &zone].concat()).ok();
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["data"], json!(["2026-01-01T02:30:00+09:00"]));
}
