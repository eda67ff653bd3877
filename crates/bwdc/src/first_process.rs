//! The first process of a container, which has duties that no other process has: to take on what others leave behind, and to hear signals,
//! since the system ends it by none that it does not listen for (pid_namespaces(7)).
//!
//! There the program starts itself once more, does these duties, and ends as the other does. So every command runs as anywhere else.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use bwdc_core::error::Exit;

/// Signals that are passed on.
const PASSED_ON: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Whether this is the first process.
pub(crate) fn is_this() -> bool {
    std::process::id() == 1
}

/// Runs the program as a process of its own, until it ends. Where that cannot be, this one has to do: `None`.
pub(crate) fn run() -> Option<ExitCode> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let events = listen().ok()?;
        let child = start().ok()?;
        Some(until_the_end(child, events).await)
    })
}

/// What the first process hears.
enum Event {
    /// A process has ended, of its own or one that was left behind.
    Ended,
    /// A signal for the program.
    Signal(Signal),
}

/// Listens from now on.
fn listen() -> std::io::Result<Receiver<Event>> {
    let (sender, events) = channel(16);
    forward(SignalKind::child(), sender.clone(), || Event::Ended)?;
    for passed_on in PASSED_ON {
        forward(SignalKind::from_raw(passed_on.as_raw()), sender.clone(), move || Event::Signal(passed_on))?;
    }
    Ok(events)
}

fn forward(
    kind: SignalKind,
    sender: Sender<Event>,
    event: impl Fn() -> Event + Send + 'static,
) -> std::io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            if sender.send(event()).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn start() -> std::io::Result<Pid> {
    let mut arguments = env::args_os();
    let mut command = Command::new(env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let child = command.args(arguments).spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| std::io::Error::other("the system gave the process no number"))
}

async fn until_the_end(child: Pid, mut events: Receiver<Event>) -> ExitCode {
    while let Some(event) = events.recv().await {
        match event {
            Event::Ended => {
                if let Some(code) = take_on(child) {
                    return code;
                }
            }
            // It may have ended just now; then the next event tells it.
            Event::Signal(signal) => drop(kill_process(child, signal)),
        }
    }
    ExitCode::from(Exit::Failure as u8)
}

/// Takes on every process that has ended, and tells how the program ended if it is among them.
fn take_on(child: Pid) -> Option<ExitCode> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            return Some(code(status));
        }
    }
    None
}

/// Exit code of a process, or as a shell has it for one that was ended by a signal.
fn code(status: WaitStatus) -> ExitCode {
    let signalled = status.terminating_signal().map(|signal| signal + 128);
    let code = status.exit_status().or(signalled).and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(Exit::Failure as u8))
}
