//! `bwdc plan`

use std::path::{Path, PathBuf};

use bwdc_config::settings;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::note::by_cause;
use bwdc_core::organization::Span;
use bwdc_core::organization::document::Document;
use bwdc_store::files;
use bwdc_sync::{Planned, SyncJob};
use clap::Args;
use serde_json::Value;

use super::Invocation;
use super::planning::{self, Among, Told, Wanted};
use super::which::{Jobs, Which, Wish};
use crate::overview::{Form, Overview};
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Print the plan as Markdown, for a ticket or a review.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Save the plan in this file, readable by its owner only, for `bwdc apply`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Time for which a saved plan can be applied: 30m, 12h, 7d. Default: 24h.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h", hide_default_value = true)]
    expires: Span,
    /// Exit with 2 if there is something to do, and with 0 if there is not.
    #[arg(long)]
    exit_code: bool,
}

fn time(text: &str) -> std::result::Result<Span, String> {
    let time = settings::length(text).map(|length| Span(length.as_secs()));
    time.ok_or_else(|| "it must be a time such as 30m, 12h or 7d".to_owned())
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let jobs = arguments.which.jobs(invocation, Wish::Sync)?;
    if arguments.out.is_some() && matches!(jobs, Jobs::Several(_)) {
        return Err(Error::new("--out saves the plan of one instance, and several were named.")
            .hint("Make a plan of each: bwdc plan --instance NAME --out FILE."));
    }
    let style = invocation.style;
    let wanted = match arguments.markdown {
        true => Wanted::Text(Form::Markdown),
        false => Wanted::json_or_text(arguments.json, style),
    };
    let arguments = &arguments;
    planning::each(jobs, invocation, wanted, async |job: &SyncJob, among| {
        let Planned { document, notes, .. } = planning::planned(job, arguments.expires).await?;
        match among {
            Among::Alone => ui::notes(&by_cause(&notes), style),
            Among::Others => ui::notes_of(job.name(), &by_cause(&notes), style),
        }
        let value = value(&document)?;
        if let Some(path) = &arguments.out {
            save(path, &value)?;
            ui::progress(&format!("Saved. To carry it out: bwdc apply {}", path.display()), style);
        }
        Ok(Told { overview: Overview::from(&document), value, exit: arguments.exit(&document) })
    })
    .await
}

impl Arguments {
    fn exit(&self, document: &Document) -> Exit {
        let has_changes = !document.members.is_empty() || !document.groups.is_empty();
        if self.exit_code && has_changes { Exit::SomethingToDo } else { Exit::Success }
    }
}

pub(super) fn value(document: &Document) -> Result<Value> {
    ui::as_json("the plan", document)
}

fn save(path: &Path, plan: &Value) -> Result<()> {
    let path = std::path::absolute(path)
        .map_err(|error| Error::new(format!("Finding {}: {error}", path.display())))?;
    files::write_atomically(&path, format!("{plan:#}\n").as_bytes())?;
    files::make_private(&path)
}
