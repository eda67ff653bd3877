//! `bwdc schedule explain` and `next`: what an expression means, and when the next runs are.

use bwdc_schedule::schedulers::{shown, systemd};
use bwdc_schedule::times::{Interval, Schedule, explain};
use clap::Args;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde_json::json;

use super::installed::{UserArgument, described, found, nothing_installed};
use super::values;
use crate::log::escaped;
use crate::ui::{Answer, Style};
use bwdc_config::env::Environment;
use bwdc_config::zone;
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Five fields, @daily and the like, an interval (15m), a time (02:30), or days and a time (mon@20:00).
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    #[command(flatten)]
    clock: Clock,
}

#[derive(Debug, Args)]
pub(super) struct Clock {
    /// Time zone, such as Europe/Berlin. Default: the zone of this machine.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Start from this time (2026-03-28T00:00) instead of now.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct When {
    /// Interval: 15m, 2h, 1d.
    #[arg(long, value_name = "INTERVAL")]
    every: Option<String>,
    /// Cron expression: "0 12 * * 1", @daily.
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Daily at this time: 02:30.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// On these days of the week at this time: mon@20:00, mon-fri@06:00.
    #[arg(long, value_name = "DAYS@TIME")]
    weekly: Option<String>,
}

impl When {
    /// The schedule, if one was given.
    pub(super) fn schedule(&self) -> Result<Option<Schedule>> {
        let Self { every, cron, at, weekly } = self;
        let parsed = match (every, cron, at, weekly) {
            (Some(every), ..) => Interval::parse(every).map(Schedule::Every),
            (_, Some(cron), ..) => Schedule::cron(cron),
            (_, _, Some(time), _) => Schedule::daily(time),
            (_, _, _, Some(days)) => Schedule::weekly(days),
            _ => return Ok(None),
        };
        parsed.map(Some)
    }
}

#[derive(Debug, Args)]
pub(super) struct NextArguments {
    /// How many.
    #[arg(short = 'n', value_name = "NUMBER", default_value_t = 5)]
    count: usize,
    #[command(flatten)]
    when: When,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    user: UserArgument,
}

impl Clock {
    fn zone(&self) -> Result<TimeZone> {
        let Some(name) = &self.tz else { return Ok(zone::local()) };
        TimeZone::get(name).map_err(|error| {
            Error::new(format!("Finding the time zone {name}: {error}"))
                .hint("Use a name of the IANA database, such as Europe/Berlin or UTC; the system's package is called tzdata.")
        })
    }

    fn now(&self) -> Result<ZonedDateTime> {
        let zone = self.zone()?;
        let Some(text) = &self.from else { return Ok(Timestamp::now().to_zoned_datetime(zone)) };
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(moment.to_zoned_datetime(zone));
        }
        let civil = text.parse::<DateTime>().and_then(|civil| civil.to_zoned_datetime(zone));
        civil.map_err(|error| {
            Error::new(format!("Understanding the time `{text}`: {error}"))
                .hint("Use the form 2026-03-28T00:00, or 2026-03-28T00:00Z for UTC.")
        })
    }
}

/// A run in the zone it is for, and in this machine's where that shows another time.
fn in_both(run: &ZonedDateTime) -> String {
    let local = run.with_time_zone(zone::local());
    if local.datetime() == run.datetime() {
        return shown(run);
    }
    format!("{}   here {}", shown(run), shown(&local))
}

pub(super) fn explain(arguments: &ExplainArguments) -> Result<Answer> {
    let schedule = Schedule::parse(&arguments.expression)?;
    let now = arguments.clock.now()?;
    let english = explain::english(&schedule);
    let runs: Vec<_> = schedule.runs_after(now.clone()).take(5).collect();
    let warnings = explain::warnings(&schedule, now.time_zone(), now.timestamp());
    let mut parts = vec![english.clone()];
    let calendar = match &schedule {
        Schedule::Cron(cron) => {
            parts.push(explain::diagram(cron));
            systemd::calendar(cron).unwrap_or_default()
        }
        Schedule::Every(_) | Schedule::Boot => Vec::new(),
    };
    if !runs.is_empty() {
        let lines: Vec<_> = runs.iter().map(|run| format!("  {}", in_both(run))).collect();
        parts.push(format!("Next:\n{}", lines.join("\n")));
    }
    parts.extend(warnings.iter().map(|warning| format!("Note: {warning}")));
    let value = json!({
        "object": "schedule",
        "schedule": schedule.to_string(),
        "english": english,
        "next": values(&runs),
        "nextBySystemd": values(&schedule.systemd_runs_after(now).take(5).collect::<Vec<_>>()),
        "onCalendar": calendar,
        "warnings": warnings,
    });
    Ok(Answer::Table { text: parts.join("\n\n"), value })
}

pub(super) fn next(environment: &Environment, arguments: NextArguments, style: Style) -> Result<Answer> {
    let now = arguments.clock.now()?;
    let count = arguments.count;
    if let Some(schedule) = arguments.when.schedule()? {
        let runs: Vec<_> = schedule.runs_after(now).take(count).collect();
        let lines: Vec<_> = runs.iter().map(in_both).collect();
        return Ok(Answer::Table { text: lines.join("\n"), value: values(&runs) });
    }
    let all = found(environment, arguments.user.user, style)?;
    if all.is_empty() {
        return Err(nothing_installed());
    }
    let mut parts = Vec::new();
    let mut list = Vec::new();
    for installed in &all {
        let runs = installed.runs(&now, count)?;
        let lines: Vec<_> = runs.iter().map(|run| format!("  {}", in_both(run))).collect();
        let folder = escaped(&installed.marker.folder);
        parts.push(format!("{folder} ({})\n{}", described(installed), lines.join("\n")));
        list.push(json!({ "folder": installed.marker.folder, "next": values(&runs) }));
    }
    Ok(Answer::Table { text: parts.join("\n"), value: list.into() })
}
