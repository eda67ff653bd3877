//! `bwdc schedule script`: a sync script to adapt.

use std::path::PathBuf;

use bwdc_schedule::Script;
use clap::{Args, ValueEnum};

use super::paths::{folders, program};
use crate::ui::Answer;
use bwdc_config::env::Environment;
use bwdc_core::error::Result;

#[derive(Debug, Args)]
pub(super) struct ScriptArguments {
    /// The language.
    #[arg(long, value_enum, default_value = if cfg!(windows) { "powershell" } else { "sh" })]
    shell: Shell,
    /// Folder of data.json. Repeat it for several instances.
    #[arg(long, value_name = "DIR")]
    appdata: Vec<PathBuf>,
    /// The organization's client id, if `bwdc login` has not stored it.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File with the API key. Default: `client-secret` in each instance's folder.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Path of the program to run. Default: this one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Sh,
    Powershell,
}

pub(super) fn script(environment: &Environment, arguments: &ScriptArguments) -> Result<Answer> {
    let is_here = cfg!(windows) == (arguments.shell == Shell::Powershell);
    let text = |path: &PathBuf| path.display().to_string();
    let program = match (&arguments.program, is_here) {
        (Some(program), _) => text(program),
        (None, true) => program(None)?,
        (None, false) => "bwdc".to_owned(),
    };
    let folders = if is_here || arguments.appdata.is_empty() {
        folders(environment, &arguments.appdata, None)?
    } else {
        arguments.appdata.iter().map(text).collect()
    };
    let script = Script {
        program,
        folders,
        client_id: arguments.client_id.clone(),
        secret_file: arguments.secret_file.as_ref().map(text),
    };
    let script = match arguments.shell {
        Shell::Sh => script.sh()?,
        Shell::Powershell => script.powershell()?,
    };
    Ok(Answer::Text(Some(script.trim_end().to_owned())))
}
