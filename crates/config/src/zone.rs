//! The time zone of this machine, in which schedules run and times are shown.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::{Environment, env};

/// Zone that `TZ` names, or else the machine's; UTC where there is none.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks for it")]
pub fn local() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Time on the clock of this machine.
pub fn now() -> ZonedDateTime {
    Timestamp::now().to_zoned_datetime(local())
}

/// Fault of `TZ`, if it names nothing that is known here.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks for it")]
pub fn warning(environment: &Environment) -> Option<String> {
    let name = environment.text(env::TZ)?;
    TimeZone::try_system().err().map(|_| {
        format!(
            "This machine knows no time zone `{}` (the variable TZ): schedules run and times are shown in UTC. Set TZ to a name such \
             as Europe/Berlin; the package with the names is called tzdata.",
            bwdc_core::error::shown(&name)
        )
    })
}
