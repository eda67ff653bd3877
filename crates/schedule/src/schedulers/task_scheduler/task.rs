//! A task for the Windows Task Scheduler, as XML ("Task Scheduler Schema", Microsoft Learn), and the commands that register it.

use crate::job::{ScheduledJob, Starter, check, xml};
use crate::script::literal;
use crate::shell::command_line;
use crate::times::Schedule;
use crate::times::cron::{CronExpression, Days};
use crate::times::explain::MONTHS;
use crate::times::field::Field;
use bwdc_core::error::{Error, Result};

/// Of the elements used here, the newest came with this version of the schema (Windows Vista, Windows Server 2008).
const VERSION: &str = "1.2";

/// What the last run printed.
const LAST_OUTPUT: &str = "bwdc-last-output.txt";

/// The most triggers of a task ("triggersType").
const MOST: usize = 48;

/// The longest path ("pathType").
const LONGEST_PATH: usize = 260;

/// Times before this do not matter: triggers have to begin somewhere. A Monday.
const BEGIN: &str = "2024-01-01";

/// The task's folder and name.
pub(crate) fn path(job: &ScheduledJob) -> String {
    format!("\\bwdc\\{}", job.runs.name())
}

/// The XML. Without an encoding in its head it is valid as a UTF-16 file, for `schtasks`, and as a text in PowerShell, alike.
pub(crate) fn task(job: &ScheduledJob) -> Result<String> {
    check(&job.runs)?;
    short(&job.runs.folder)?;
    let triggers: String = triggers(&job.schedule)?.into_iter().map(|trigger| trigger + "\n").collect();
    let user = xml(&job.runs.user);
    Ok(format!(
        "<?xml version=\"1.0\"?>
<Task version=\"{VERSION}\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">
  <RegistrationInfo>
    <Author>bwdc</Author>
    <Description>Syncs the directory into the organization: {folder}</Description>
    <Documentation>{marker}</Documentation>
  </RegistrationInfo>
  <Triggers>
{triggers}  </Triggers>
  <Principals>
    <Principal id=\"Author\">
      <UserId>{user}</UserId>
      <LogonType>Password</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>true</RunOnlyIfNetworkAvailable>
    <Enabled>true</Enabled>
    <ExecutionTimeLimit>PT1H</ExecutionTimeLimit>
  </Settings>
  <Actions Context=\"Author\">
    <Exec>
      <Command>%SystemRoot%\\System32\\cmd.exe</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
",
        folder = xml(&job.runs.folder),
        marker = job.marker().xml_text(),
        arguments = xml(&arguments(job)?),
    ))
}

/// Fails if a path is longer than a task takes ("pathType").
fn short(path: &str) -> Result<()> {
    if path.encode_utf16().count() > LONGEST_PATH {
        return Err(Error::new(format!(
            "`{path}` is longer than the {LONGEST_PATH} characters that a task takes."
        ))
        .hint("Use a folder nearer to the root."));
    }
    Ok(())
}

/// A task has no variables of its own, so that the command processor sets them.
fn arguments(job: &ScheduledJob) -> Result<String> {
    let mut words = Vec::new();
    for (name, value) in job.runs.environment(Starter::Scheduler("task-scheduler")) {
        words.push(format!("set \"{name}={}\"&&", plain(value)?));
    }
    let (program, folder) = (plain(&job.runs.program)?, plain(&job.runs.folder)?);
    let sync = job.runs.syncs.words().join(" ");
    // The log is written by the program itself: the command processor lets nobody else append to what it has open. This has what
    // the last run printed, or why it could not be started.
    let folder = folder.trim_end_matches('\\');
    words.push(format!("\"{program}\" {sync} >\"{folder}\\{LAST_OUTPUT}\" 2>&1"));
    Ok(format!("/d /s /c \"{}\"", words.join(" ")))
}

/// Nothing that the command processor would take for more than a letter; it knows no escape for these.
fn plain(text: &str) -> Result<&str> {
    if text.contains(['"', '%']) {
        return Err(Error::new(format!(
            "`{text}` has a character that the Windows command processor changes."
        ))
        .hint("Use a path or value without % and quotation marks."));
    }
    Ok(text)
}

/// The command that registers the task from a file, and asks for the user's password.
pub(crate) fn create(job: &ScheduledJob, file: &str) -> Vec<String> {
    ["schtasks", "/Create", "/TN", &path(job), "/XML", file, "/RU", &job.runs.user, "/RP", "*", "/F"]
        .map(str::to_owned)
        .to_vec()
}

/// What registers the task: for the command prompt, and for PowerShell. Both ask for the user's password.
pub(crate) fn registering(job: &ScheduledJob, file: &str) -> [String; 2] {
    let (name, user) = (job.runs.name(), literal(&job.runs.user));
    [
        command_line(&create(job, file)),
        format!(
            "$password = (Get-Credential -UserName {user} -Message 'bwdc').GetNetworkCredential().Password\n\
             Register-ScheduledTask -TaskPath '\\bwdc\\' -TaskName '{name}' -Xml (Get-Content -Raw -Encoding UTF8 '{file}') \
             -User {user} -Password $password -Force"
        ),
    ]
}

/// A run of times at even distances: minutes after midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Series {
    first: u16,
    step: u16,
    count: u16,
}

impl Series {
    fn last(self) -> u16 {
        self.first + self.step * (self.count - 1)
    }
}

fn triggers(schedule: &Schedule) -> Result<Vec<String>> {
    match schedule {
        Schedule::Boot => {
            Ok(vec!["    <BootTrigger>\n      <Enabled>true</Enabled>\n    </BootTrigger>".to_owned()])
        }
        Schedule::Every(interval) => Ok(vec![format!(
            "    <TimeTrigger>\n      <StartBoundary>{BEGIN}T00:00:00</StartBoundary>\n      <Repetition>\n        \
             <Interval>PT{}M</Interval>\n      </Repetition>\n    </TimeTrigger>",
            interval.minutes()
        )]),
        Schedule::Cron(cron) => of_cron(cron),
    }
}

fn of_cron(cron: &CronExpression) -> Result<Vec<String>> {
    let dates = dates(cron)?;
    let times = times(cron);
    let count = dates.len() * times.len();
    if count > MOST {
        return Err(Error::new(format!("`{cron}` needs {count} triggers; a task has at most {MOST}."))
            .hint("Use an interval, such as `--every 15m`, or fewer times."));
    }
    let each = |date: &String| times.iter().map(|time| trigger(*time, date)).collect::<Vec<_>>();
    Ok(dates.iter().flat_map(each).collect())
}

fn trigger(Series { first, step, count }: Series, date: &str) -> String {
    let start = format!("{BEGIN}T{:02}:{:02}:00", first / 60, first % 60);
    // One minute longer than to the last run, so that there is no doubt about the end.
    let repetition = match count {
        1 => String::new(),
        _ => format!(
            "      <Repetition>\n        <Interval>PT{step}M</Interval>\n        <Duration>PT{}M</Duration>\n      </Repetition>\n",
            step * (count - 1) + 1
        ),
    };
    format!(
        "    <CalendarTrigger>\n      <StartBoundary>{start}</StartBoundary>\n{repetition}{date}    </CalendarTrigger>"
    )
}

/// The times of a day in as few series as it takes: one for all, or one for each hour, or one for each step within it.
fn times(cron: &CronExpression) -> Vec<Series> {
    let at = |hour: u8, minute: u8| u16::from(hour) * 60 + u16::from(minute);
    let all: Vec<u16> = cron
        .hour
        .values()
        .flat_map(|hour| cron.minute.values().map(move |minute| at(hour, minute)))
        .collect();
    let of_each_minute = || {
        cron.minute
            .values()
            .flat_map(|minute| series(&cron.hour.values().map(|hour| at(hour, minute)).collect::<Vec<_>>()))
    };
    let of_each_hour = || {
        cron.hour
            .values()
            .flat_map(|hour| series(&cron.minute.values().map(|minute| at(hour, minute)).collect::<Vec<_>>()))
    };
    let ways = [series(&all), of_each_minute().collect(), of_each_hour().collect()];
    ways.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// Ascending values as runs at even distances.
fn series(values: &[u16]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for value in values.iter().copied() {
        match all.last_mut() {
            Some(series) if series.count == 1 => {
                (series.step, series.count) = (value - series.first, 2);
            }
            Some(series) if value == series.last() + series.step => series.count += 1,
            _ => all.push(Series { first: value, step: 0, count: 1 }),
        }
    }
    all
}

/// The kinds of dates, each an element.
fn dates(cron: &CronExpression) -> Result<Vec<String>> {
    if !cron.ever_runs() {
        return Err(Error::new(format!("`{cron}` never runs: there is no such date.")));
    }
    Ok(match cron.days() {
        Days::Every if cron.month.is_full() => {
            vec![
                "      <ScheduleByDay>\n        <DaysInterval>1</DaysInterval>\n      </ScheduleByDay>\n"
                    .to_owned(),
            ]
        }
        Days::Every => vec![by_month((1..=31).collect(), &cron.month)],
        Days::OfMonth => vec![by_month(cron.day_of_month.values().collect(), &cron.month)],
        Days::OfWeek => vec![by_week(cron)],
        Days::Either => vec![by_month(cron.day_of_month.values().collect(), &cron.month), by_week(cron)],
        Days::Both => {
            return Err(Error::new(format!(
                "`{cron}` means the days that match both day fields; a task has no such trigger."
            ))
            .hint("Give only one of the day fields."));
        }
    })
}

fn by_month(days: Vec<u8>, months: &Field) -> String {
    let days: String = days.into_iter().map(|day| format!("          <Day>{day}</Day>\n")).collect();
    format!(
        "      <ScheduleByMonth>\n        <DaysOfMonth>\n{days}        </DaysOfMonth>\n{}      </ScheduleByMonth>\n",
        months_of(months)
    )
}

fn by_week(cron: &CronExpression) -> String {
    const NAMES: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let days: String = cron
        .day_of_week
        .values()
        .map(|day| format!("          <{} />\n", NAMES[usize::from(day) % 7]))
        .collect();
    let days = format!("        <DaysOfWeek>\n{days}        </DaysOfWeek>\n");
    if cron.month.is_full() {
        return format!(
            "      <ScheduleByWeek>\n        <WeeksInterval>1</WeeksInterval>\n{days}      </ScheduleByWeek>\n"
        );
    }
    // The first four weeks and the last are all of a month.
    let weeks: String =
        ["1", "2", "3", "4", "Last"].iter().map(|week| format!("          <Week>{week}</Week>\n")).collect();
    format!(
        "      <ScheduleByMonthDayOfWeek>\n        <Weeks>\n{weeks}        </Weeks>\n{days}{}      </ScheduleByMonthDayOfWeek>\n",
        months_of(&cron.month)
    )
}

fn months_of(field: &Field) -> String {
    let months: String = field
        .values()
        .map(|month| format!("          <{} />\n", MONTHS[usize::from(month - 1) % 12]))
        .collect();
    format!("        <Months>\n{months}        </Months>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Job, Syncs, Writes};

    fn of(expression: &str) -> Vec<Series> {
        let Schedule::Cron(cron) = Schedule::parse(expression).unwrap() else { panic!() };
        let times = times(&cron);
        let mut all: Vec<u16> =
            times.iter().flat_map(|s| (0..s.count).map(|n| s.first + n * s.step)).collect();
        all.sort_unstable();
        let expected: Vec<u16> = cron
            .hour
            .values()
            .flat_map(|hour| cron.minute.values().map(move |minute| u16::from(hour) * 60 + u16::from(minute)))
            .collect();
        assert_eq!(all, expected, "{expression}: every time, and no other");
        times
    }

    #[test]
    fn times_as_few_series() {
        assert_eq!(of("*/15 * * * *"), [Series { first: 0, step: 15, count: 96 }]);
        assert_eq!(of("30 2 * * *"), [Series { first: 150, step: 0, count: 1 }]);
        assert_eq!(of("5,20 */2 * * *").len(), 2);
        assert_eq!(of("*/15 9-17 * * *"), [Series { first: 540, step: 15, count: 36 }]);
        assert_eq!(of("*/7 * * * *").len(), 9);
        assert_eq!(of("0,1,3 5,8 * * *").len(), 3);
    }

    fn job(folder: String) -> ScheduledJob {
        let schedule = Schedule::parse("@daily").unwrap();
        ScheduledJob {
            schedule,
            runs: Job {
                program: "bwdc".to_owned(),
                folder,
                syncs: Syncs::Instance,
                writes: Writes::default(),
                user: "me".to_owned(),
                variables: Vec::new(),
            },
        }
    }

    #[test]
    fn a_folder_that_no_task_takes_is_refused() {
        task(&job(format!("C:\\{}", "\u{fc}".repeat(257)))).unwrap();
        let error = task(&job(format!("C:\\{}", "x".repeat(258)))).unwrap_err();
        assert!(error.to_string().contains("longer than the 260"), "{error}");
    }
}
