//! An import that may be under way on the server. Before its first request is sent, it stands in `data.json`, and the digest of the
//! import before is forgotten: whatever becomes of this run, the next one takes nothing for unchanged, and sends nothing while the
//! server may still be at the last import.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::context::Context;
use bwdc_core::error::Result;
use bwdc_store::{DataFile, Memory as _};

/// How long a server is given to come to the end of an import that nobody waits for any more, in times of what one request is tried
/// for: two minutes, unless BWDC_RETRY_SECONDS says otherwise.
const TIMES: u32 = 2;
/// Longest pause between two looks at an organization that may be changing.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const USUAL_RETRY: Duration = Duration::from_secs(60);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImportEnd {
    /// The server has answered: it does nothing any more.
    Surely,
    /// The server has done nothing: it refused the request as a whole, or never got it.
    Nothing,
    /// Nobody knows.
    Unclear,
}

/// Writes down that an import begins. On the disk when it returns.
pub(crate) fn begin(files: &[&DataFile]) -> Result<()> {
    let now = Timestamp::now();
    files.iter().try_for_each(|file| file.import_began(now))
}

/// Waits until the last import is surely over.
pub(crate) async fn wait(context: &Context, begun: Option<Timestamp>) -> Result<()> {
    let Some(begun) = begun else { return Ok(()) };
    let Some(left) = left(begun, Timestamp::now(), quiet(context)?) else { return Ok(()) };
    context.warn(&format!(
        "The outcome of the import of {begun} is unknown, and the server may still be working on it: waiting {} s before the next import.",
        left.as_secs().max(1)
    ));
    tokio::time::sleep(left).await;
    Ok(())
}

/// Time after which a server has surely come to the end of a request that nobody waits for any more.
pub(crate) fn quiet(context: &Context) -> Result<Duration> {
    let retry = context.environment.network()?.retry_for.unwrap_or(USUAL_RETRY);
    Ok(retry.saturating_mul(TIMES))
}

/// Pause between two looks at an organization that may be changing, of this time in all.
pub(crate) fn pause(quiet: Duration) -> Duration {
    (quiet / 10).min(LOOK_EVERY)
}

/// What is left of the time that the server is given. A time in the future is a clock that was set back, and says nothing.
fn left(begun: Timestamp, now: Timestamp, quiet: Duration) -> Option<Duration> {
    let since = now.duration_since(begun);
    if since < SignedDuration::ZERO {
        return None;
    }
    quiet.checked_sub(since.unsigned_abs()).filter(|left| !left.is_zero())
}

/// Keeps how an import ended that failed. One that succeeded is over with the record of the run.
pub(crate) fn failed(files: &[&DataFile], ended: ImportEnd) -> Result<()> {
    files.iter().try_for_each(|file| match ended {
        ImportEnd::Surely | ImportEnd::Nothing => file.import_ended(),
        ImportEnd::Unclear => file.import_began(Timestamp::now()),
    })
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_server_is_given_its_time_and_no_more() {
        let begun: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let at = |seconds| left(begun, begun + SignedDuration::from_secs(seconds), Duration::from_secs(120));
        assert_eq!(at(20), Some(Duration::from_secs(100)));
        assert_eq!((at(120), at(500), at(-5)), (None, None, None));
    }

    proptest! {
        #![proptest_config(few())]

        /// Nobody waits longer than a server is given.
        #[test]
        fn fuzz_import_begun(text in damaged_text(["2026-01-01T12:00:00.000Z", "2026-01-01T12:00:00+02:00[Europe/Berlin]", "9999-12-30T22:00:00Z"])) {
            let Ok(begun) = text.parse::<Timestamp>() else { return Ok(()) };
            let quiet = Duration::from_secs(120);
            for now in [Timestamp::MIN, begun, Timestamp::now(), Timestamp::MAX] {
                prop_assert!(left(begun, now, quiet).is_none_or(|left| left <= quiet));
            }
        }
    }
}
