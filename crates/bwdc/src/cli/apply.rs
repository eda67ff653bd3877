//! `bwdc apply`

use std::path::{Path, PathBuf};

use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::organization::document::{Document, Unusable};
use bwdc_store::{files, report};
use clap::Args;

use super::Invocation;
use super::sync;
use super::which::{Jobs, Which, Wish};
use crate::ui::Answer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Plan saved by `bwdc plan --out`.
    file: PathBuf,
    #[command(flatten)]
    pub(super) which: Which,
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let plan = read(&arguments.file)?;
    let Jobs::One(job) = arguments.which.jobs(invocation, Wish::Sync)? else {
        return Err(Error::new("A plan is for one instance, and several were named.").hint("Name one."));
    };
    let judgement = sync::judgement(std::slice::from_ref(&job), invocation).await;
    let permit = judgement.permit(&job);
    let report = Box::pin(job.apply(report::new_run(), permit, &plan, sync::asked_to_end())).await;
    sync::told("Plan applied.", report, invocation.style)
}

/// The largest plan that is read: several times as large as one of 50,000 people in 2,000 groups.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Reads a plan that was saved.
pub(super) fn read(path: &Path) -> Result<Document> {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > LARGEST {
        return Err(Error::new(format!(
            "Reading the plan {}: it has {size} bytes, too many for a plan.",
            path.display()
        ))
        .hint("Name a file that `bwdc plan --out` has written."));
    }
    let bytes = files::read_regular(path)
        .map_err(|error| Error::new(format!("Reading the plan {}: {error}", path.display())))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| Unusable::NotAPlan(error.to_string()));
    text.and_then(Document::parse).map_err(|why| refused(path, &why))
}

fn refused(path: &Path, why: &Unusable) -> Error {
    Error::new(format!("The plan is not carried out: {}: {why}.", path.display()))
        .hint("Make another one: bwdc plan --out FILE. Nothing was sent.")
        .exit(Exit::Blocked)
}
