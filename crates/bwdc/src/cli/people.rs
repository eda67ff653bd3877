//! `bwdc people`

use bwdc_core::error::{Exit, Result};
use bwdc_sync::SyncJob;
use clap::Args;

use super::Invocation;
use super::planning::{self, Told, Wanted};
use super::which::{Which, Wish};
use crate::overview::Overview;
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Part of an address, a name or an id. Without it, everybody.
    #[arg(default_value = "", hide_default_value = true)]
    text: String,
    #[command(flatten)]
    pub(super) which: Which,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    let jobs = arguments.which.jobs(invocation, Wish::Test)?;
    let wanted = Wanted::json_or_text(arguments.json, invocation.style);
    planning::each(jobs, invocation, wanted, async |job: &SyncJob, _| {
        job.check_folders()?;
        let known = bwdc_sync::known_people(job, &arguments.text).await?;
        let mut value = ui::as_json("the people", &known)?;
        value["object"] = "people".into();
        Ok(Told { overview: Overview::of_people(&known), value, exit: Exit::Success })
    })
    .await
}
