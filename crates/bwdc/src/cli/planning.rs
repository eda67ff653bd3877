//! What the commands share that look at an organization before anything is done to it: reading, and telling it of one job or of several.

use bwdc_core::error::{Exit, Result};
use bwdc_core::organization::Span;
use bwdc_sync::{Planned, SyncJob, worst};
use serde_json::{Value, json};

use super::Invocation;
use super::which::Jobs;
use crate::overview::{Form, Overview};
use crate::ui::{self, Answer, Style};

/// What a command has to say of one job.
pub(super) struct Told {
    pub(super) overview: Overview,
    pub(super) value: Value,
    pub(super) exit: Exit,
}

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Json,
    Text(Form),
}

impl Wanted {
    /// JSON, or text as the terminal takes it.
    pub(super) fn json_or_text(json: bool, style: Style) -> Self {
        if json { Self::Json } else { Self::Text(ui::form(style)) }
    }
}

/// Whether a command is about several jobs, so that names have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    Alone,
    Others,
}

/// Reads the directory and the organization of a job. Nothing is changed or kept.
pub(super) async fn planned(job: &SyncJob, expires: Span) -> Result<Planned> {
    job.check_folders()?;
    Box::pin(bwdc_sync::plan(job, expires)).await
}

/// Does the same with each job, one after the other; one that fails stops no other.
pub(super) async fn each(
    jobs: Jobs,
    invocation: &Invocation,
    wanted: Wanted,
    work: impl AsyncFn(&SyncJob, Among) -> Result<Told>,
) -> Result<(Answer, Exit)> {
    let jobs = match jobs {
        Jobs::One(job) => return work(&job, Among::Alone).await.map(|told| of_one(told, wanted)),
        Jobs::Several(jobs) => jobs,
    };
    let mut done = Vec::new();
    for job in &jobs {
        let result = work(job, Among::Others).await;
        if let Err(error) = &result {
            ui::error_of(job.name(), error, invocation.style);
        }
        done.push((job.name(), result));
    }
    Ok(of_several(done, wanted))
}

fn of_one(Told { overview, value, exit }: Told, wanted: Wanted) -> (Answer, Exit) {
    match wanted {
        Wanted::Json => (Answer::Object(value), exit),
        Wanted::Text(form) => (Answer::Written { text: overview.written(form), value }, exit),
    }
}

fn of_several(done: Vec<(&str, Result<Told>)>, wanted: Wanted) -> (Answer, Exit) {
    let exit = worst(done.iter().map(|(_, result)| match result {
        Ok(told) => told.exit,
        Err(error) => error.exit,
    }));
    let failed: Vec<&str> =
        done.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| *name).collect();
    let message = format!("{} of {} failed: {}", failed.len(), done.len(), failed.join(", "));
    let is_failure = !failed.is_empty();
    let value = json!({ "object": "list", "data": done.iter().map(value_of).collect::<Vec<_>>() });
    let text = match wanted {
        Wanted::Json => serde_json::to_string_pretty(&value).unwrap_or_default(),
        // An answer with failures is escaped once more, and has no colours.
        Wanted::Text(Form::Coloured) if is_failure => texts(done, Form::Plain),
        Wanted::Text(form) => texts(done, form),
    };
    let answer =
        if is_failure { Answer::Failures { text, message, value } } else { Answer::Written { text, value } };
    (answer, exit)
}

/// The errors have been told on stderr.
fn texts(done: Vec<(&str, Result<Told>)>, form: Form) -> String {
    let overviews = done.into_iter().filter_map(|(name, result)| Some(result.ok()?.overview.named(name)));
    overviews.map(|overview| overview.written(form)).collect::<Vec<_>>().join("\n\n")
}

fn value_of((name, result): &(&str, Result<Told>)) -> Value {
    match result {
        Ok(told) => {
            json!({ "instance": name, "success": true, "exit": told.exit as u8, "data": told.value })
        }
        Err(error) => {
            let mut all = ui::error_fields(error);
            all.insert("instance".to_owned(), (*name).into());
            all.insert("success".to_owned(), false.into());
            all.insert("exit".to_owned(), (error.exit as u8).into());
            Value::Object(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use bwdc_core::error::Error;

    use super::*;

    fn told(exit: Exit) -> Result<Told> {
        let overview = Overview::sentence("Plan\u{1b}");
        Ok(Told { overview, value: json!({ "object": "plan" }), exit })
    }

    #[test]
    fn of_several_each_is_named() {
        let done = vec![("a", told(Exit::Success)), ("b", told(Exit::SomethingToDo))];
        let (answer, exit) = of_several(done, Wanted::Text(Form::Plain));
        assert_eq!((answer.text().as_str(), exit), ("a: Plan\\u{1b}\n\nb: Plan\\u{1b}", Exit::SomethingToDo));
        assert_eq!(answer.data()["data"][1]["exit"], 2);
        assert_eq!(answer.data()["data"][1]["data"]["object"], "plan");
    }

    #[test]
    fn one_that_fails_hides_no_other() {
        let done = vec![("a", told(Exit::SomethingToDo)), ("b", Err(Error::new("No.")))];
        let (answer, exit) = of_several(done, Wanted::Text(Form::Coloured));
        assert_eq!(exit, Exit::Failure);
        let Answer::Failures { text, message, value } = answer else { panic!("{answer:?}") };
        assert_eq!((text.as_str(), message.as_str()), ("a: Plan\\u{1b}", "1 of 2 failed: b"));
        assert_eq!(
            (&value["data"][1]["success"], &value["data"][1]["message"]),
            (&false.into(), &"No.".into())
        );
    }
}
