//! `bwdc snapshot`

use std::path::{Path, PathBuf};
use std::{fs, io};

use bwdc_core::error::{Error, Result};
use bwdc_core::organization::capture::{Capture, Pseudonyms};
use bwdc_store::files;
use clap::Args;

use super::Invocation;
use super::which::{Jobs, Which, Wish};
use crate::ui::Answer;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// File to write, readable by its owner only.
    file: PathBuf,
    #[command(flatten)]
    pub(super) which: Which,
}

/// Only an earlier snapshot, or an empty file, gives way.
fn replaceable(path: &Path) -> Result<()> {
    let refused = |why: &str| {
        Error::new(format!("{} is there already: {why}. It is not overwritten.", path.display()))
            .hint("Name another file, or remove this one.")
    };
    match fs::read_to_string(path) {
        Ok(text) if text.is_empty() || Capture::parse(&text).is_ok() => Ok(()),
        Ok(_) => Err(refused("it is no snapshot")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(&error.to_string())),
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<Answer> {
    let Jobs::One(job) = arguments.which.jobs(invocation, Wish::Sync)? else {
        return Err(Error::new("A snapshot is of one instance, and several were named.").hint("Name one."));
    };
    job.check_folders()?;
    let file = arguments.file;
    let path = std::path::absolute(&file)
        .map_err(|error| Error::new(format!("Finding {}: {error}", file.display())))?;
    replaceable(&path)?;
    let contexts = job.contexts();
    let first = contexts.first().ok_or_else(|| Error::new("There is no instance to take a snapshot of."))?;
    let key = first.file.snapshot_key()?;
    let capture = Box::pin(bwdc_sync::capture(&job)).await?;
    let text = capture
        .written(&Pseudonyms::by(&key))
        .map_err(|error| Error::new(format!("Writing the snapshot as JSON: {error}")))?;
    files::write_atomically(&path, text.as_bytes())?;
    files::make_private(&path)?;
    Ok(Answer::Message {
        title: format!("Saved: {}.", capture.holds()),
        message: Some(format!(
            "Addresses, names and ids are replaced. To see the plan that follows: bwdc replay {}",
            file.display()
        )),
    })
}
