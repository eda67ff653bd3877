//! Several instances in one run: side by side, one summary, one exit code. One that fails stops no other.

use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::Invocation;
use super::which::Contexts;
use crate::ui::{self, Answer, Style};
use bwdc_config::installation::AtOnce;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_store::runs::RunCounts;
use bwdc_sync::Context;
use bwdc_sync::{Report, SyncJob, worst};

/// What the summary says of one.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) run: String,
    pub(super) duration: f64,
    pub(super) exit: Exit,
    pub(super) facts: Option<RunCounts>,
    pub(super) error: Option<Error>,
    /// What else there is as JSON.
    pub(super) value: Map<String, Value>,
}

/// The error of the only run. Where stderr is the journal, the last line of the run has told it.
pub(super) fn alone(error: Error, style: Style) -> Result<(Answer, Exit)> {
    if style.has_log() && !style.response { Ok((Answer::Nothing, error.exit)) } else { Err(error) }
}

/// Does the same with each instance, one after the other. Of one alone it is that one's answer.
pub(super) async fn each(
    contexts: Contexts,
    style: Style,
    work: impl AsyncFn(&Context) -> Result<Answer>,
) -> Result<(Answer, Exit)> {
    let contexts = match contexts {
        Contexts::One(context) => return work(&context).await.map(|answer| (answer, Exit::Success)),
        Contexts::Several(contexts) => contexts,
    };
    let mut done = Vec::new();
    for context in &contexts {
        let result = work(context).await;
        if let Err(error) = &result {
            ui::error_of(&context.name, error, style);
        }
        done.push((context.name.as_str(), result));
    }
    Ok(answers(&done))
}

fn answers(done: &[(&str, Result<Answer>)]) -> (Answer, Exit) {
    let line = |(name, result): &(&str, Result<Answer>)| match result {
        Ok(answer) => format!("{name}: {}", answer.text()).trim_end().to_owned(),
        Err(error) => format!("{name}: {}", failed(error)),
    };
    let data = |(name, result): &(&str, Result<Answer>)| match result {
        Ok(answer) => json!({ "instance": name, "success": true, "data": answer.data() }),
        Err(error) => {
            let mut all = ui::error_fields(error);
            all.insert("instance".to_owned(), (*name).into());
            all.insert("success".to_owned(), false.into());
            Value::Object(all)
        }
    };
    let text = done.iter().map(line).collect::<Vec<_>>().join("\n");
    let value = json!({ "object": "list", "data": done.iter().map(data).collect::<Vec<_>>() });
    let exit = worst(done.iter().filter_map(|(_, result)| result.as_ref().err()).map(|error| error.exit));
    let failed: Vec<&str> =
        done.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| *name).collect();
    (some_failed(&failed, done.len(), text, value), exit)
}

/// Runs all, so many at a time. What each has to say on stderr is said when it ends; the order of the answer is that of the jobs.
pub(super) async fn side_by_side<'a, T, F: Future<Output = Report<T>>>(
    jobs: &'a [SyncJob],
    invocation: &Invocation,
    run: impl Fn(&'a SyncJob) -> F,
    line_for: impl Fn(Report<T>, Style) -> Line,
) -> Vec<Line> {
    let AtOnce(at_once) = invocation.setup.at_once.value;
    let runs: Vec<_> = jobs.iter().map(run).collect();
    let ended = async |run: F| {
        let line = line_for(run.await, invocation.style);
        if let Some(error) = &line.error {
            ui::error_of(&line.name, error, invocation.style);
        }
        line
    };
    stream::iter(runs).map(ended).buffered(at_once).collect().await
}

/// A line for each and a total; `done` says what was done, `sentence` how much of it.
pub(super) fn answer(
    lines: Vec<Line>,
    done: &str,
    sentence: impl Fn(&RunCounts) -> String,
) -> (Answer, Exit) {
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
    (some_failed(&failed, lines.len(), text, value), exit)
}

/// The answer of several, of whom these failed.
fn some_failed(failed: &[&str], count: usize, text: String, value: Value) -> Answer {
    if failed.is_empty() {
        return Answer::Table { text, value };
    }
    let message = format!("{} of {count} failed: {}", failed.len(), failed.join(", "));
    Answer::Failures { text, message, value }
}

/// The whole error was told on stderr; here is which kind it was.
fn failed(error: &Error) -> &'static str {
    match error.exit {
        Exit::Locked => "not done: another sync of it is running.",
        Exit::Blocked => "something was held back: see bwdc pending.",
        Exit::Failure | Exit::Success | Exit::SomethingToDo | Exit::LeftOut => "failed.",
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
        all.extend(ui::error_fields(error));
    }
    all.extend(value.clone());
    Value::Object(all)
}

fn total(lines: &[Line]) -> Value {
    let sum = |what: fn(&RunCounts) -> usize| {
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
