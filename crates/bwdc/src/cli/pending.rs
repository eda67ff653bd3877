//! `bwdc pending`

use bwdc_core::error::{Exit, Result};
use bwdc_core::organization::Span;
use bwdc_core::organization::pending::Pending;
use bwdc_sync::SyncJob;
use clap::Args;
use serde_json::Value;

use super::Invocation;
use super::planning::{self, Told, Wanted};
use super::which::{Which, Wish};
use crate::overview::Overview;
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let jobs = arguments.which.jobs(invocation, Wish::Sync)?;
    let wanted = Wanted::json_or_text(arguments.json, invocation.style);
    planning::each(jobs, invocation, wanted, async |job: &SyncJob, _| {
        let pending = planning::planned(job, Span::DAY).await?.pending;
        Ok(Told { overview: Overview::from(&pending), value: value(&pending)?, exit: Exit::Success })
    })
    .await
}

pub(super) fn value(pending: &Pending) -> Result<Value> {
    ui::as_json("what is pending", pending)
}
