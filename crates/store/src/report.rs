//! Runs in the log: their names, and their last lines.

use bwdc_core::error::{Error, Exit};

/// Names a run in the log.
pub fn new_run() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(12).collect()
}

/// The last line of a sync that cannot write it itself: it was cut off, or did not even begin. The duration is in seconds.
pub fn log_lost(name: &str, run: &str, duration: f64, error: &Error) {
    let span = tracing::error_span!("run", instance = name, run);
    span.in_scope(|| log_failure("sync", rounded(duration), error));
}

/// Seconds, rounded to milliseconds.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Logs that a run has failed. The form of the line is documented in docs/log.md; alerts are made of it.
pub fn log_failure(verb: &str, duration: f64, error: &Error) {
    let (exit, text) = (error.exit as u8, error.to_string());
    // Another run is at it: nothing is wrong yet.
    if error.exit == Exit::Locked {
        tracing::warn!(duration, exit, error = text, "{verb} failed");
    } else {
        tracing::error!(duration, exit, error = text, "{verb} failed");
    }
}
