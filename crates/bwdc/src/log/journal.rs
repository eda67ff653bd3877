//! The journal of systemd: it reads stderr line by line and takes a line's priority from a `<N>` before it (sd-daemon(3)).

use tracing::Level;

use super::line::{LogRecord, Sink};
use crate::ui;
use bwdc_config::installation::Format;
use bwdc_config::{Environment, env};

/// As syslog(3) numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Error = 3,
    Warning = 4,
    Info = 6,
    Debug = 7,
}

impl From<Level> for Priority {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl From<Priority> for Level {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Error => Self::ERROR,
            Priority::Warning => Self::WARN,
            Priority::Info => Self::INFO,
            Priority::Debug => Self::DEBUG,
        }
    }
}

/// Whether stderr leads to the journal: `JOURNAL_STREAM` has the device and inode number of the socket that systemd made it
/// (systemd.exec(5)); a program further down may have led stderr elsewhere since.
pub(crate) fn is_on_stderr(environment: &Environment) -> bool {
    let Some(named) = environment.text(env::JOURNAL_STREAM) else { return false };
    let numbers =
        named.split_once(':').and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    numbers.is_some_and(|numbers| stderr() == Some(numbers))
}

/// The device and inode number of stderr.
#[cfg(unix)]
pub(super) fn stderr() -> Option<(u64, u64)> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
    std::fs::File::from(stderr).metadata().ok().map(|stderr| (stderr.dev(), stderr.ino()))
}

#[cfg(not(unix))]
pub(super) fn stderr() -> Option<(u64, u64)> {
    None
}

/// Each line with its priority.
pub(crate) fn with_priority(text: &str, priority: Priority) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("<{}>{line}", priority as u8)).collect();
    lines.join("\n")
}

/// Lines without a time, which the journal knows.
pub(super) struct JournalSink;

impl Sink for JournalSink {
    fn write(&self, record: &LogRecord, _format: Format) {
        ui::journal(&with_priority(&record.text(), record.level.into()));
    }
}
