//! `bwdc history`

use std::num::NonZeroUsize;

use bwdc_config::{settings, zone};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::organization::record::RunRecord;
use bwdc_store::history::{Entry, Filter, Found, Head, History, KeptRun, Sought};
use bwdc_store::runs::Ending;
use bwdc_sync::{Context, SyncJob};
use clap::Args;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde_json::Value;

use super::planning::{self, Among, Told, Wanted};
use super::which::{Which, Wish};
use super::{Invocation, status};
use crate::overview::Overview;
use crate::ui::{self, Style};

#[derive(Debug, Args)]
#[command(
    override_usage = "bwdc history [OPTIONS]\n       bwdc history show <RUN>\n       bwdc history <WHO>"
)]
pub(super) struct Arguments {
    /// Address, id or name of a person or a group: every run that was about it. Or `show`: one run.
    who: Option<String>,
    /// Id of the run after `show`; its beginning is enough.
    run: Option<String>,
    #[command(flatten)]
    pub(super) which: Which,
    /// Number of runs, the latest first. Default: 20.
    #[arg(short = 'n', long = "number", value_name = "N", default_value = "20", hide_default_value = true)]
    number: NonZeroUsize,
    /// Only runs since then: 12h, 7d, 2026-03-04, 2026-03-04T05:00, or with a time zone.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only runs with this result: ok, leftOut, failed, blocked, cutOff, running. May be repeated.
    #[arg(long = "result", value_name = "RESULT", value_parser = result, value_delimiter = ',')]
    results: Vec<Ending>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is asked.
enum Asked<'a> {
    /// The latest runs.
    Runs,
    /// One run.
    Run(&'a str),
    /// Runs that were about somebody or a group.
    About(&'a str),
}

/// A length of time before now, a day, or a moment.
fn since(text: &str) -> std::result::Result<Timestamp, String> {
    let ago = settings::length(text).and_then(|length| Timestamp::now().checked_sub(length).ok());
    let local = |time: DateTime| zone::local().to_timestamp(time).ok();
    let day = || text.parse::<Date>().ok().and_then(|day| local(day.at(0, 0, 0, 0)));
    let time = ago
        .or_else(|| text.parse().ok())
        .or_else(|| text.parse::<DateTime>().ok().and_then(local))
        .or_else(day);
    time.ok_or_else(|| "it must be a time such as 12h, 7d, 2026-03-04 or 2026-03-04T05:00".to_owned())
}

fn result(text: &str) -> std::result::Result<Ending, String> {
    match text.to_lowercase().replace('-', "").as_str() {
        "ok" => Ok(Ending::Ok),
        "leftout" => Ok(Ending::LeftOut),
        "failed" => Ok(Ending::Failed),
        "held" | "blocked" => Ok(Ending::Blocked),
        "cutoff" => Ok(Ending::CutOff),
        "running" => Ok(Ending::Running),
        _ => Err("it must be ok, leftOut, failed, blocked, cutOff or running".to_owned()),
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(ui::Answer, Exit)> {
    let asked = arguments.asked()?;
    let jobs = arguments.which.jobs(invocation, Wish::Test)?;
    let wanted = Wanted::json_or_text(arguments.json, invocation.style);
    let (arguments, asked) = (&arguments, &asked);
    planning::each(jobs, invocation, wanted, async |job: &SyncJob, among| {
        let context = leading(job)?;
        // One that seems to be cut off may just be about to tell its end.
        status::look(context.file.folder()).await?;
        let reader = Reader { history: job.history(), job, among, style: invocation.style };
        match asked {
            Asked::Runs => reader.runs(&arguments.filter()),
            Asked::Run(id) => reader.run(id),
            Asked::About(who) => reader.about(who, &arguments.filter()),
        }
    })
    .await
}

/// In a merge, each folder has the same history.
fn leading(job: &SyncJob) -> Result<&Context> {
    job.check_folders()?;
    job.contexts().into_iter().next().ok_or_else(|| Error::new(format!("{} has no directories.", job.name())))
}

impl Arguments {
    fn asked(&self) -> Result<Asked<'_>> {
        match (self.who.as_deref(), self.run.as_deref()) {
            (None, _) => Ok(Asked::Runs),
            (Some("show"), Some(run)) => Ok(Asked::Run(run)),
            (Some("show"), None) => Err(Error::new("error: missing required argument 'run'")
                .hint("List the runs: bwdc history. Then: bwdc history show RUN")),
            (Some(who), None) if who.trim().is_empty() => Err(Error::new("The name to look for is empty.")
                .hint(
                    "Give an address, an id or a name: bwdc history ann@example.org. All runs: bwdc history",
                )),
            (Some(who), None) => Ok(Asked::About(who)),
            (Some(who), Some(more)) => Err(Error::new(format!("`{who} {more}` is more than one name."))
                .hint("Put a name with blanks in quotes: bwdc history 'Human Resources'")),
        }
    }

    fn filter(&self) -> Filter {
        Filter { since: self.since, results: self.results.clone(), most: Some(self.number.get()) }
    }
}

/// History of a job.
struct Reader<'a> {
    history: History,
    job: &'a SyncJob,
    among: Among,
    style: Style,
}

impl Reader<'_> {
    fn runs(&self, filter: &Filter) -> Result<Told> {
        let heads = self.warned(self.history.heads(filter)?);
        let value = heads.iter().map(value).collect::<Result<Vec<_>>>()?;
        let overview = match heads.is_empty() && !self.is_empty()? {
            true => Overview::sentence("No run that is kept matches."),
            false => Overview::of_runs(&heads),
        };
        Ok(told(overview, value.into()))
    }

    /// Whether no runs are kept at all.
    fn is_empty(&self) -> Result<bool> {
        let one = Filter { most: Some(1), ..Filter::default() };
        Ok(self.history.heads(&one)?.runs.is_empty())
    }

    fn run(&self, id: &str) -> Result<Told> {
        let Some(run) = self.warned(self.history.run(id)?).into_iter().next() else {
            return Err(Error::new(format!("The history of {} has no run {id}.", self.job.name()))
                .hint("List the runs that are kept: bwdc history -n 1000"));
        };
        let mut value = value(&run.head)?;
        value["object"] = "run".into();
        add_entries(&mut value, entries(&run))?;
        Ok(told(Overview::from(&run), value))
    }

    fn about(&self, who: &str, filter: &Filter) -> Result<Told> {
        let sought = self.history.follow(Sought::new(who))?;
        let runs = self.warned(self.history.about(&sought, filter)?);
        let mut values = Vec::new();
        for (head, entries) in &runs {
            let mut value = value(head)?;
            add_entries(&mut value, entries.clone())?;
            values.push(value);
        }
        if runs.is_empty() && self.history.run(who).is_ok_and(|found| !found.runs.is_empty()) {
            ui::progress(&format!("To see the run {who}: bwdc history show {who}"), self.style);
        }
        Ok(told(Overview::about(who, &sought, &runs), values.into()))
    }

    /// What was found; files that were skipped are told.
    fn warned<T>(&self, Found { runs, skipped }: Found<T>) -> Vec<T> {
        for file in skipped {
            let text = match self.among {
                Among::Alone => file.to_string(),
                Among::Others => format!("{}: {file}", self.job.name()),
            };
            ui::warning(&text, self.style);
        }
        runs
    }
}

fn told(overview: Overview, value: Value) -> Told {
    Told { overview, value, exit: Exit::Success }
}

/// A run as JSON, with what it sent apart: `groups` is the list of its changes to groups.
fn value(head: &Head) -> Result<Value> {
    let mut value = ui::as_json("the history", &Head { sent: None, ..head.clone() })?;
    value["sent"] = ui::as_json("the history", &head.sent)?;
    Ok(value)
}

fn entries(KeptRun { record, .. }: &KeptRun) -> Vec<Entry> {
    let Some(RunRecord { members, groups, .. }) = record.as_deref() else { return Vec::new() };
    let members = members.iter().cloned().map(Entry::Member);
    members.chain(groups.iter().cloned().map(Entry::Group)).collect()
}

fn add_entries(value: &mut Value, entries: Vec<Entry>) -> Result<()> {
    let (mut members, mut groups) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Member(entry) => members.push(ui::as_json("the history", &entry)?),
            Entry::Group(entry) => groups.push(ui::as_json("the history", &entry)?),
        }
    }
    value["members"] = members.into();
    value["groups"] = groups.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_results_are_understood() {
        let exact: Timestamp = "2026-03-04T05:00:00Z".parse().unwrap();
        assert_eq!(since("2026-03-04T05:00:00Z"), Ok(exact));
        assert_eq!(since("2026-03-04T06:00:00+01:00"), Ok(exact));
        assert!(since("2026-03-04").unwrap() <= since("2026-03-04T05:00").unwrap());
        assert!(since("7d").unwrap() < since("12h").unwrap());
        for wrong in ["soon", "", "2026-13-01", "-7d"] {
            assert!(since(wrong).unwrap_err().contains("it must be a time"), "{wrong}");
        }
        let words =
            ["ok", "leftOut", "left-out", "failed", "held", "blocked", "cut-off", "cutOff", "running"];
        assert!(words.iter().all(|word| result(word).is_ok()));
        assert!(result("locked").is_err());
    }
}
