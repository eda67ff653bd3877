//! `bwdc completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::ui::Answer;
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// For which shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "bwdc", &mut script);
    let script =
        String::from_utf8(script).map_err(|error| Error::new(format!("Making the script: {error}")))?;
    Ok(Answer::Text(Some(script.trim_end().to_owned())))
}
