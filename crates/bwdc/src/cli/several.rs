//! Several instances in one run: side by side, one summary, one exit code. One that fails stops no other.

use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::Given;
use crate::config::installation::AtOnce;
use crate::error::{Error, Exit, Result};
use crate::job::{Facts, Job, Report, worst};
use crate::ui::{self, Answer, Style};

/// What the summary says of one.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) run: String,
    pub(super) duration: f64,
    pub(super) exit: Exit,
    pub(super) facts: Option<Facts>,
    pub(super) error: Option<Error>,
    /// What else there is as JSON.
    pub(super) value: Map<String, Value>,
}

/// The error of the only run. Where stderr is the journal, the last line of the run has told it.
pub(super) fn alone(error: Error, style: Style) -> Result<(Answer, Exit)> {
    if style.journal && !style.response { Ok((Answer::Nothing, error.exit)) } else { Err(error) }
}

/// Runs all, so many at a time. What each has to say on stderr is said when it ends; the order of the answer is that of the jobs.
pub(super) async fn side_by_side<'a, T, F: Future<Output = Report<T>>>(
    jobs: &'a [Job],
    given: &Given,
    run: impl Fn(&'a Job) -> F,
    told: impl Fn(Report<T>, Style) -> Line,
) -> Vec<Line> {
    let AtOnce(at_once) = given.setup.at_once.value;
    let runs: Vec<_> = jobs.iter().map(run).collect();
    let ended = async |run: F| {
        let line = told(run.await, given.style);
        if let Some(error) = &line.error {
            ui::error_of(&line.name, error, given.style);
        }
        line
    };
    stream::iter(runs).map(ended).buffered(at_once).collect().await
}

/// A line for each and a total; `done` says what was done, `sentence` how much of it.
pub(super) fn answer(lines: Vec<Line>, done: &str, sentence: impl Fn(&Facts) -> String) -> (Answer, Exit) {
    let of_one = |line: &Line| match (&line.facts, &line.error) {
        (Some(facts), _) => format!("{}: {}", line.name, sentence(facts)),
        (None, Some(error)) => format!("{}: {}", line.name, failed(error)),
        (None, None) => line.name.clone(),
    };
    let mut text: Vec<String> = lines.iter().map(of_one).collect();
    let total = total(&lines);
    text.push(format!(
        "Total: {} of {} {done}, {} group(s) and {} user(s).",
        total["succeeded"], total["instances"], total["groups"], total["users"]
    ));
    whole(lines, text.join("\n"), total)
}

/// What each would import, as JSON.
pub(super) fn listings(lines: Vec<Line>) -> (Answer, Exit) {
    let total = total(&lines);
    let list: Vec<Value> = lines.iter().map(json_of).collect();
    let text = serde_json::to_string_pretty(&list).unwrap_or_default();
    whole(lines, text, total)
}

fn whole(lines: Vec<Line>, text: String, total: Value) -> (Answer, Exit) {
    let exit = worst(lines.iter().map(|line| line.exit));
    let value =
        json!({ "object": "list", "data": lines.iter().map(json_of).collect::<Vec<_>>(), "total": total });
    let failed: Vec<&str> =
        lines.iter().filter(|line| line.error.is_some()).map(|line| line.name.as_str()).collect();
    if failed.is_empty() {
        return (Answer::Table { text, value }, exit);
    }
    let message = format!("{} of {} failed: {}", failed.len(), lines.len(), failed.join(", "));
    (Answer::Failures { text, message, value }, exit)
}

/// The whole error was told on stderr; here is which kind it was.
fn failed(error: &Error) -> &'static str {
    match error.exit {
        Exit::Locked => "not done, because another sync of it is running.",
        Exit::Blocked => "held back by a safety check.",
        Exit::Failure | Exit::Success | Exit::LeftOut => "failed.",
    }
}

fn json_of(line: &Line) -> Value {
    let Line { name, run, duration, exit, error, value, .. } = line;
    let mut all = Map::new();
    all.insert("instance".to_owned(), name.as_str().into());
    all.insert("success".to_owned(), error.is_none().into());
    all.insert("exit".to_owned(), (*exit as u8).into());
    all.insert("run".to_owned(), run.as_str().into());
    all.insert("duration".to_owned(), (*duration).into());
    if let Some(error) = error {
        all.insert("message".to_owned(), error.to_string().into());
    }
    all.extend(value.clone());
    Value::Object(all)
}

fn total(lines: &[Line]) -> Value {
    let sum = |what: fn(&Facts) -> usize| {
        lines.iter().filter_map(|line| line.facts.as_ref()).map(what).sum::<usize>()
    };
    json!({
        "instances": lines.len(),
        "succeeded": lines.iter().filter(|line| line.error.is_none()).count(),
        "users": sum(|facts| facts.users),
        "groups": sum(|facts| facts.groups),
        "removed": sum(|facts| facts.removed),
    })
}
