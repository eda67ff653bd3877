//! Waiting for a time of the wall clock, through sleep and changes of the clock.

use jiff::Timestamp;

/// Waits until the wall clock shows this time, or was set, or the machine woke up: then it is time to look again. Without a time,
/// for ever.
pub(super) async fn until(time: Option<Timestamp>) {
    match time {
        Some(time) => wait(time).await,
        None => std::future::pending().await,
    }
}

/// A timer of the kernel that follows the wall clock, and ends early when that is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET):
/// no wake-ups in between.
#[cfg(target_os = "linux")]
async fn wait(time: Timestamp) {
    if let Err(error) = timer(time).await {
        tracing::debug!(%error, "no timer by the wall clock; waiting by steps instead");
        by_steps(time).await;
    }
}

#[cfg(target_os = "linux")]
async fn timer(time: Timestamp) -> std::io::Result<()> {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let never = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Zero would disarm it.
    let at = Timespec { tv_sec: time.as_second().max(1), tv_nsec: time.subsec_nanosecond().max(0).into() };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, flags, &Itimerspec { it_interval: never, it_value: at })?;
    #[expect(
        deprecated,
        reason = "an OwnedFd keeps the promise that its successor wants made in unsafe code"
    )]
    let timer = tokio::io::unix::AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)?;
    // Readable when it is time, and with an error when the clock was set: either way we look again.
    let _ = timer.readable().await?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
async fn wait(time: Timestamp) {
    by_steps(time).await;
}

/// Sleeps do not count the time that a machine was asleep, so long ones are cut.
async fn by_steps(time: Timestamp) {
    const STEP: std::time::Duration = std::time::Duration::from_secs(60);
    let left = time.duration_since(Timestamp::now());
    let left = std::time::Duration::try_from(left).unwrap_or_default();
    tokio::time::sleep(left.min(STEP)).await;
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[tokio::test]
    async fn waits_until_then_and_not_for_the_past() {
        let time = Timestamp::now() + SignedDuration::from_millis(120);
        until(Some(time)).await;
        assert!(Timestamp::now() >= time);
        until(Some(Timestamp::UNIX_EPOCH)).await;
    }
}
