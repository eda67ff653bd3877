//! A service and a timer of systemd (systemd.service(5), systemd.timer(5), systemd.exec(5)).

use crate::job::{ScheduledJob, check};
use crate::times::Schedule;
use crate::times::cron::{CronExpression, Days};
use crate::times::field::Field;
use bwdc_core::error::{Error, Result};

/// The systemd that runs a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The system's.
    System,
    /// The user's own, which may not do what needs root: less hardening.
    User,
}

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
    check(job)?;
    let texts = [("folder", &job.folder), ("program", &job.program)].into_iter();
    let files = options.credentials.iter().map(|(_, file)| ("file", file));
    texts.chain(files).try_for_each(|(what, text)| ends_well(what, text))?;
    let name = job.name();
    Ok([(format!("{name}.service"), service(job, options)), (format!("{name}.timer"), timer(job, options)?)])
}

/// systemd drops blanks at the end of a line, and takes a `\\` there for a line that goes on.
fn ends_well(what: &str, text: &str) -> Result<()> {
    if text.ends_with(|c: char| c.is_whitespace() || c == '\\') {
        return Err(Error::new(format!(
            "The {what} `{text}` ends in a space or a backslash, which a systemd unit cannot contain."
        ))
        .hint("Rename it, or choose another scheduler with `--using`."));
    }
    Ok(())
}

fn head(job: &ScheduledJob) -> String {
    let marker = job.marker().text();
    let folder = escaped(&job.folder);
    format!(
        "# Made by `bwdc schedule install`; `bwdc schedule remove` takes it away.\n# {marker}\n[Unit]\nDescription=bwdc: sync of {folder}\n"
    )
}

/// What the service is run with, for one that is run once. No file reads these, so that `%` begins nothing.
pub(crate) fn properties(job: &ScheduledJob, options: &Options) -> Vec<String> {
    properties_in(&service(job, options))
}

/// The same of any unit's text, or of what is added to one.
pub(crate) fn properties_in(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != "[Service]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let lines = lines.filter(|line| line.contains('=') && !line.starts_with(['#', ';']));
    let others = ["Type=", "Exec", "SuccessExitStatus=", "TimeoutStartSec="];
    let lines = lines.filter(|line| !others.iter().any(|other| line.starts_with(other)));
    lines.map(|line| line.replace("%%", "%")).collect()
}

fn service(job: &ScheduledJob, options: &Options) -> String {
    let mut lines = vec![
        format!("{}Wants=network-online.target", head(job)),
        "After=network-online.target".to_owned(),
        String::new(),
        "[Service]".to_owned(),
        "Type=oneshot".to_owned(),
    ];
    if options.manager == Manager::System {
        lines.push(format!("User={}", escaped(&job.user)));
    }
    for (name, value) in job.environment("systemd") {
        lines.push(format!("Environment={}", word(&format!("{name}={value}"))));
    }
    for (name, file) in &options.credentials {
        // Taken as it is, blanks included: quotes would become a part of the name.
        lines.push(format!("LoadCredential={name}:{}", escaped(file)));
    }
    lines.push(format!("WorkingDirectory={}", escaped(&job.folder)));
    lines.push(format!("ExecStart={} {}", word(&job.program), job.syncs.words().join(" ")));
    lines.push("# Another sync is running (3); done, with entries left out (4).".to_owned());
    lines.push("SuccessExitStatus=3 4".to_owned());
    lines.push("TimeoutStartSec=1h".to_owned());
    lines.push(String::new());
    lines.extend(EVERYWHERE.iter().map(|line| (*line).to_owned()));
    if options.manager == Manager::System {
        lines.extend(SYSTEM.iter().map(|line| (*line).to_owned()));
        lines.push(format!("ProtectHome={}", protect_home(job)));
        lines.push(format!("ReadWritePaths={}", word(&job.folder)));
        // Without one that is not there the others still run.
        lines
            .extend(job.writes.all().map(|folder| format!("ReadWritePaths={}", word(&format!("-{folder}")))));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What any manager can do.
const EVERYWHERE: &[&str] = &[
    "UMask=0077",
    "LimitCORE=0",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
];

/// What needs the system's manager.
const SYSTEM: &[&str] = &[
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "PrivateUsers=yes",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
];

/// Homes are empty, unless something that the job needs is in one: so that `BindReadOnlyPaths=` can show a folder of one.
fn protect_home(job: &ScheduledJob) -> &'static str {
    let is_home = |path: &str| ["/home/", "/root/", "/run/user/"].iter().any(|home| path.starts_with(home));
    let paths = [job.folder.as_str(), &job.program].into_iter();
    // A variable may name a file: bwdc.toml, certificates, secrets.
    let values = job.variables.iter().map(|(_, value)| value.as_str());
    if paths.chain(job.writes.all().map(String::as_str)).chain(values).any(is_home) {
        "read-only"
    } else {
        "tmpfs"
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

/// `%` begins a specifier.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word of several, quoted where it must be.
fn word(text: &str) -> String {
    let text = escaped(text);
    if text.contains([' ', '\t', '"', '\'', '\\', ';']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
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
