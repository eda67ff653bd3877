//! Telling what keeps services how we are: systemd (sd_notify(3)), or Windows. Who was started by nobody of these tells nobody.

#[cfg(unix)]
pub(super) use self::systemd::{alive, doing, ready, reloading, stopping, watchdog};
#[cfg(windows)]
pub(super) use self::windows::{alive, doing, ready, reloading, stopping, watchdog};

#[cfg(unix)]
mod systemd {
    use std::time::Duration;

    use sd_notify::NotifyState;

    /// We are ready, or ready again after a reload.
    pub(in super::super) fn ready() {
        tell(&[NotifyState::Ready]);
    }

    /// We are about to take another configuration.
    pub(in super::super) fn reloading() {
        match NotifyState::monotonic_usec_now() {
            Ok(time) => tell(&[NotifyState::Reloading, time]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// We are about to end.
    pub(in super::super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    /// A line for `systemctl status`.
    pub(in super::super) fn doing(text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    /// We are alive.
    pub(in super::super) fn alive() {
        tell(&[NotifyState::Watchdog]);
    }

    /// How often it wants to hear that, halved for safety; `None` if it does not.
    pub(in super::super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|interval| interval / 2)
    }

    fn tell(states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "systemd was not told");
        }
    }
}

/// Windows hears when a service runs and when it is about to end; it has no watchdog.
#[cfg(windows)]
mod windows {
    use std::time::Duration;

    pub(in super::super) use crate::windows_service::{ready, stopping};

    pub(in super::super) fn reloading() {}
    pub(in super::super) fn doing(_text: &str) {}
    pub(in super::super) fn alive() {}
    pub(in super::super) fn watchdog() -> Option<Duration> {
        None
    }
}
