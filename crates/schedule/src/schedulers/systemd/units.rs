//! A service and a timer of systemd (systemd.service(5), systemd.timer(5), systemd.exec(5)).

use super::section::{Manager, ServiceSection, escaped, word};
use crate::job::{ScheduledJob, Starter};
use crate::times::Schedule;
use crate::times::cron::{CronExpression, Days};
use crate::times::field::Field;
use bwdc_core::error::{Error, Result};

/// What a timer has besides its times.
#[derive(Clone, Debug)]
pub struct Options {
    /// The systemd that runs the job.
    pub manager: Manager,
    /// Up to so many seconds later, always the same on one machine: so that many do not arrive in the same second.
    pub spread: u32,
    /// Credentials: the name of a secret, and the file with it.
    pub credentials: Vec<(String, String)>,
}

/// Both units, by file name.
pub(crate) fn units(job: &ScheduledJob, options: &Options) -> Result<[(String, String); 2]> {
    service_of(job, options).check()?;
    let name = job.runs.name();
    Ok([(format!("{name}.service"), service(job, options)), (format!("{name}.timer"), timer(job, options)?)])
}

fn head(job: &ScheduledJob) -> String {
    let marker = job.marker().text();
    let folder = escaped(&job.runs.folder);
    format!(
        "# Made by `bwdc schedule install`; `bwdc schedule remove` takes it away.\n# {marker}\n[Unit]\nDescription=bwdc: sync of {folder}\n"
    )
}

fn service(job: &ScheduledJob, options: &Options) -> String {
    let mut lines = vec![
        format!("{}Wants=network-online.target", head(job)),
        "After=network-online.target".to_owned(),
        String::new(),
        "[Service]".to_owned(),
        "Type=oneshot".to_owned(),
    ];
    let runs = service_of(job, options);
    lines.extend(runs.account());
    lines.push(format!("ExecStart={} {}", word(&job.runs.program), job.runs.syncs.words().join(" ")));
    lines.push("# Another sync is running (3); done, with entries left out (4).".to_owned());
    lines.push("SuccessExitStatus=3 4".to_owned());
    lines.push("TimeoutStartSec=1h".to_owned());
    lines.push(String::new());
    lines.extend(runs.sandbox());
    lines.push(String::new());
    lines.join("\n")
}

/// What the service has besides its commands.
pub(crate) fn service_of<'a>(job: &'a ScheduledJob, options: &'a Options) -> ServiceSection<'a> {
    ServiceSection {
        job: &job.runs,
        starter: Starter::Scheduler("systemd"),
        manager: options.manager,
        credentials: &options.credentials,
    }
}

fn timer(job: &ScheduledJob, options: &Options) -> Result<String> {
    let mut lines = vec![head(job), "[Timer]".to_owned()];
    lines.extend(triggers(&job.schedule)?);
    lines.push("AccuracySec=1s".to_owned());
    // An interval would become longer by it, and machines do not count from the same moment anyway.
    if options.spread > 0 && matches!(job.schedule, Schedule::Cron(_)) {
        lines.push(format!("RandomizedDelaySec={}", options.spread));
        lines.push("FixedRandomDelay=yes".to_owned());
    }
    lines.extend([String::new(), "[Install]".to_owned(), "WantedBy=timers.target".to_owned(), String::new()]);
    Ok(lines.join("\n"))
}

fn triggers(schedule: &Schedule) -> Result<Vec<String>> {
    match schedule {
        Schedule::Cron(cron) => {
            let mut lines: Vec<String> =
                calendar(cron)?.into_iter().map(|calendar| format!("OnCalendar={calendar}")).collect();
            // What was missed while the machine was off is made up for, once.
            lines.push("Persistent=yes".to_owned());
            Ok(lines)
        }
        Schedule::Every(interval) => {
            // The first is due when the timer starts, at boot too: one minute after.
            Ok(vec!["OnActiveSec=1min".to_owned(), format!("OnUnitActiveSec={}min", interval.minutes())])
        }
        Schedule::Boot => Ok(vec!["OnBootSec=1min".to_owned()]),
    }
}

/// The calendar events that are, together, exactly an expression (systemd.time(7)). There the day of the week and the date must both match,
/// so that cron's either-or becomes two events; when they fall together the timer elapses once.
///
/// # Errors
/// There is no such date.
pub fn calendar(cron: &CronExpression) -> Result<Vec<String>> {
    if !cron.ever_runs() {
        return Err(Error::new(format!("`{cron}` never runs: there is no such date.")));
    }
    let week = weekdays(&cron.day_of_week);
    let (day, month) = (cron.day_of_month.numbers(".."), cron.month.numbers(".."));
    let time = format!("{}:{}:00", cron.hour.numbers(".."), cron.minute.numbers(".."));
    let of_month = format!("*-{month}-{day} {time}");
    let of_week = format!("{week} *-{month}-* {time}");
    Ok(match cron.days() {
        Days::Every => vec![format!("*-{month}-* {time}")],
        Days::OfMonth => vec![of_month],
        Days::OfWeek => vec![of_week],
        Days::Either => vec![of_month, of_week],
        Days::Both => vec![format!("{week} {of_month}")],
    })
}

fn weekdays(field: &Field) -> String {
    const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    field.values().map(|day| NAMES[usize::from(day) % 7]).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_as_calendar_events() {
        for (expression, expected) in [
            ("0 12 * * 1", &["Mon *-*-* 12:0:00"][..]),
            ("*/15 9-17 * 1,2 1-5", &["Mon,Tue,Wed,Thu,Fri *-1,2-* 9..17:0,15,30,45:00"]),
            ("30 4 1,15 * 5", &["*-*-1,15 4:30:00", "Fri *-*-* 4:30:00"]),
            ("0 0 */12 * 5", &["Fri *-*-1,13,25 0:0:00"]),
            ("* * * * *", &["*-*-* *:*:00"]),
            ("0 0 1-31 * 5", &["*-*-* 0:0:00"]),
        ] {
            let Schedule::Cron(cron) = Schedule::parse(expression).unwrap() else { panic!() };
            assert_eq!(calendar(&cron).unwrap(), expected, "{expression}");
        }
    }
}
