//! The event log of Windows: what went wrong, for who looks there or has a monitor look ("Event Logging", Microsoft Learn).

use super::journal::Priority;
use super::line::{LogRecord, Sink};
use bwdc_config::installation::Format;
use bwdc_config::{Environment, env};

/// Whether warnings and errors go there.
pub(super) fn is_wanted(environment: &Environment) -> bool {
    cfg!(windows) && environment.is_true(env::EVENT_LOG)
}

/// Whether what is said on stderr goes there, since nobody reads the stderr of a service.
pub(crate) fn has_stderr() -> bool {
    #[cfg(windows)]
    return bwdc_daemon::windows_service::is_this_process();
    #[cfg(not(windows))]
    return false;
}

/// Events without a time, which the event log knows.
pub(super) struct EventLogSink;

impl Sink for EventLogSink {
    fn write(&self, record: &LogRecord, _format: Format) {
        report(&record.text(), record.level.into());
    }
}

/// One event. That it cannot be written is not worth a sync.
#[cfg(windows)]
pub(crate) fn report(text: &str, priority: Priority) {
    use bwdc_core::text::cut;
    use winsafe::{HEVENTLOG, co};
    /// The most that one event takes is 31,839 characters (`ReportEventW`).
    const LONGEST: usize = 30_000;
    // Numbers of events in EventCreate.exe, whose message is the text alone: `service install` names it as the source of messages.
    let (kind, id) = match priority {
        Priority::Error => (co::EVENTLOG::ERROR_TYPE, 1),
        Priority::Warning => (co::EVENTLOG::WARNING_TYPE, 2),
        Priority::Info | Priority::Debug => (co::EVENTLOG::INFORMATION_TYPE, 3),
    };
    if let Ok(log) = HEVENTLOG::RegisterEventSource(None, bwdc_schedule::services::WINDOWS_NAME) {
        let _ = log.ReportEvent(kind, 0, id, None, &[cut(text.to_owned(), LONGEST)], &[]);
    }
}

#[cfg(not(windows))]
pub(crate) fn report(_text: &str, _priority: Priority) {}
