//! `bwdc` keeps a Bitwarden organization in step with a company's directory.

mod cli;
mod collate;
#[cfg(unix)]
mod first_process;
mod harden;
mod log;
mod overview;
mod ui;
#[cfg(windows)]
mod windows_service;

use std::process::ExitCode;

/// musl's own allocator takes a third more processor time and a fifth more memory for a sync of 50,000 people.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(ui::internal_error));
    harden::no_core_dumps();
    #[cfg(unix)]
    if first_process::is_this()
        && let Some(ended) = first_process::run()
    {
        return ended;
    }
    #[cfg(windows)]
    if let Some(ended) = windows_service::run() {
        return ended;
    }
    ExitCode::from(cli::main(std::env::args_os()) as u8)
}
