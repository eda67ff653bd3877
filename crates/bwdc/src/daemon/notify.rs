//! Telling systemd how we are (sd_notify(3)): ready, what we do, alive.

use std::time::Duration;

use sd_notify::NotifyState;

/// We are ready, or ready again after a reload.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// We are about to take another configuration.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// We are about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A line for `systemctl status`.
pub(super) fn doing(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// We are alive.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often it wants to hear that, halved for safety; `None` if it does not.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|interval| interval / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
