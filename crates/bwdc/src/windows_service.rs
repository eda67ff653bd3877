//! The program as Windows starts it for a service: `bwdc daemon`, which Windows tells to stop and hears from.

use std::ffi::OsString;
use std::process::ExitCode;

use bwdc_core::error::Exit;
use bwdc_schedule::services::WINDOWS_COMMAND;

use crate::cli;
use crate::ui::{self, Style};

/// Runs as a service if that is what Windows has started this program for.
pub(crate) fn run() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_none_or(|first| first != WINDOWS_COMMAND) {
        return None;
    }
    let exit = match bwdc_daemon::windows_service::run(daemon) {
        Ok(()) => Exit::Success,
        Err(error) => ui::error(&error, Style::default()),
    };
    Some(ExitCode::from(exit as u8))
}

/// The daemon, with the words behind that of the service.
fn daemon() -> Exit {
    let own = ["bwdc", "daemon"].map(OsString::from);
    cli::main(own.into_iter().chain(std::env::args_os().skip(2)))
}
