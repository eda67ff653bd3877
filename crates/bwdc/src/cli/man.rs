//! `bwdc man`

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::Cli;
use crate::ui::Answer;
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder for the pages, such as /usr/local/share/man/man1; created if it does not exist.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Answer> {
    let folder = &arguments.folder;
    let write = || -> std::io::Result<usize> {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)?;
        std::fs::read_dir(folder).map(Iterator::count)
    };
    let count = write().map_err(|error| {
        Error::new(format!("Writing the man pages to {}: {error}", folder.display()))
            .hint("Choose a folder that you can write to.")
    })?;
    Ok(Answer::Message {
        title: "The man pages have been written.".to_owned(),
        message: Some(format!(
            "{count} file(s) in {}: see `man -l {}`.",
            folder.display(),
            folder.join("bwdc.1").display()
        )),
    })
}
