//! A property list for launchd (launchd.plist(5)).

use crate::job::{Job, ScheduledJob, Starter, USUAL_LOG, check, xml};
use crate::times::Schedule;
use crate::times::cron::{CronExpression, Days};
use crate::times::field::Field;
use bwdc_core::error::{Error, Result};

/// More dictionaries than this are a sign of an expression that is not meant for launchd.
const MOST: usize = 1000;

/// The label, which is also the file's name.
pub(crate) fn label(job: &ScheduledJob) -> String {
    format!("bwdc.{}", job.runs.name())
}

/// Whose launchd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// `/Library/LaunchDaemons`, as a user of its own.
    System,
    /// `~/Library/LaunchAgents`, while its user is logged in.
    User,
}

pub(crate) fn property_list(job: &ScheduledJob, domain: Domain) -> Result<String> {
    let list = List {
        label: label(job),
        command: "schedule",
        marker: job.marker().xml_text(),
        words: job.runs.syncs.words().iter().map(|word| (*word).to_owned()).collect(),
        starter: Starter::Scheduler("launchd"),
        job: &job.runs,
        domain,
    };
    list.text(&trigger(&job.schedule)?)
}

/// What every property list has, whenever it runs.
pub(crate) struct List<'a> {
    /// Its label.
    pub(crate) label: String,
    /// The command that made it.
    pub(crate) command: &'static str,
    /// What it is found by.
    pub(crate) marker: String,
    /// The words behind the program's name.
    pub(crate) words: Vec<String>,
    /// What starts it.
    pub(crate) starter: Starter,
    /// What it runs.
    pub(crate) job: &'a Job,
    /// Whose launchd.
    pub(crate) domain: Domain,
}

impl List<'_> {
    /// The file. `when` has the keys about when it runs.
    pub(crate) fn text(&self, when: &str) -> Result<String> {
        let Self { label, command, marker, words, starter, job, domain } = self;
        check(job)?;
        // The program appends to the same file, and says nothing twice there.
        let log = job.log_file().map_or_else(|| format!("{}/{USUAL_LOG}", job.folder), str::to_owned);
        let variables: String = job
            .environment(*starter)
            .map(|(name, value)| format!("{}{}", key(2, name), string(2, value)))
            .collect();
        let user = match domain {
            Domain::System => format!("{}{}", key(1, "UserName"), string(1, &job.user)),
            Domain::User => String::new(),
        };
        let words: String = words.iter().map(|word| string(2, word)).collect();
        Ok([
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
                 <!-- Made by `bwdc {command} install`; `bwdc {command} remove` takes it away. -->\n"
            ),
            format!("<!-- {marker} -->\n<plist version=\"1.0\">\n<dict>\n"),
            format!("{}{}", key(1, "Label"), string(1, label)),
            user,
            key(1, "ProgramArguments"),
            format!("\t<array>\n{}{words}\t</array>\n", string(2, &job.program)),
            format!("{}\t<dict>\n{variables}\t</dict>\n", key(1, "EnvironmentVariables")),
            format!("{}{}", key(1, "WorkingDirectory"), string(1, &job.folder)),
            // 077, in decimal.
            format!("{}{}", key(1, "Umask"), integer(1, 63)),
            format!("{}{}", key(1, "ProcessType"), string(1, "Background")),
            format!("{}{}", key(1, "StandardOutPath"), string(1, &log)),
            format!("{}{}", key(1, "StandardErrorPath"), string(1, &log)),
            when.to_owned(),
            "</dict>\n</plist>\n".to_owned(),
        ]
        .concat())
    }
}

fn trigger(schedule: &Schedule) -> Result<String> {
    match schedule {
        Schedule::Every(interval) => {
            Ok(format!("{}{}", key(1, "StartInterval"), integer(1, interval.minutes() * 60)))
        }
        Schedule::Boot => Ok(format!("{}\t<true/>\n", key(1, "RunAtLoad"))),
        Schedule::Cron(cron) => {
            let times: String = calendar(cron)?.iter().map(|time| dictionary(time)).collect();
            Ok(format!("{}\t<array>\n{times}\t</array>\n", key(1, "StartCalendarInterval")))
        }
    }
}

type Times = Vec<(&'static str, u8)>;

/// Every combination of the fields' values; what is not named counts as any.
fn calendar(cron: &CronExpression) -> Result<Vec<Times>> {
    if !cron.ever_runs() {
        return Err(Error::new(format!("`{cron}` never runs: there is no such date.")));
    }
    let (of_month, of_week) = (("Day", &cron.day_of_month), ("Weekday", &cron.day_of_week));
    // A day of the month and one of the week in one dictionary would mean either, as with cron; two say it plainly.
    let day_sets = match cron.days() {
        Days::Every => vec![None],
        Days::OfMonth => vec![Some(of_month)],
        Days::OfWeek => vec![Some(of_week)],
        Days::Either => vec![Some(of_month), Some(of_week)],
        Days::Both => {
            return Err(Error::new(format!(
                "`{cron}` means the days that match both day fields; launchd runs on those that match either."
            ))
            .hint("Give only one of the day fields."));
        }
    };
    let times = day_sets.into_iter().flat_map(|days| {
        let fields =
            [Some(("Minute", &cron.minute)), Some(("Hour", &cron.hour)), days, Some(("Month", &cron.month))];
        fields
            .into_iter()
            .flatten()
            .fold(vec![Times::new()], |times, (name, field)| combined(times, name, field))
    });
    let times: Vec<_> = times.collect();
    if times.len() > MOST {
        return Err(Error::new(format!(
            "`{cron}` is more than {MOST} entries for launchd, which has no ranges and no steps."
        ))
        .hint("Use an interval, such as `--every 15m`, or fewer times."));
    }
    Ok(times)
}

fn combined(times: Vec<Times>, name: &'static str, field: &Field) -> Vec<Times> {
    if field.is_full() || times.len() > MOST {
        return times;
    }
    let with = |times: &Times, value| times.iter().copied().chain([(name, value)]).collect();
    times.iter().flat_map(|times| field.values().map(move |value| with(times, value))).collect()
}

fn dictionary(times: &[(&str, u8)]) -> String {
    let keys: String = times
        .iter()
        .map(|(name, value)| format!("{}{}", key(3, name), integer(3, i64::from(*value))))
        .collect();
    if keys.is_empty() { "\t\t<dict/>\n".to_owned() } else { format!("\t\t<dict>\n{keys}\t\t</dict>\n") }
}

pub(crate) fn key(depth: usize, name: &str) -> String {
    format!("{}<key>{}</key>\n", "\t".repeat(depth), xml(name))
}

pub(crate) fn string(depth: usize, text: &str) -> String {
    format!("{}<string>{}</string>\n", "\t".repeat(depth), xml(text))
}

pub(crate) fn integer(depth: usize, number: i64) -> String {
    format!("{}<integer>{number}</integer>\n", "\t".repeat(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(expression: &str) -> Result<Vec<Times>> {
        match Schedule::parse(expression)? {
            Schedule::Cron(cron) => calendar(&cron),
            _ => Ok(Vec::new()),
        }
    }

    #[test]
    fn expressions_as_dictionaries() {
        assert_eq!(times("30 2 * * *").unwrap(), [[("Minute", 30), ("Hour", 2)]]);
        assert_eq!(times("* * * * *").unwrap(), [[]]);
        assert_eq!(
            times("0 0 1 * 5").unwrap(),
            [[("Minute", 0), ("Hour", 0), ("Day", 1)], [("Minute", 0), ("Hour", 0), ("Weekday", 5)]]
        );
        assert_eq!(times("*/15 9-17 * * 1-5").unwrap().len(), 4 * 9 * 5);
        assert!(times("0 0 */2 * 1").unwrap_err().message.contains("both day fields"));
        assert!(times("1-59 1-23 1-30 * *").unwrap_err().message.contains("no ranges"));
    }
}
