//! When instances run: by their schedule in `bwdc.toml`, or by the Interval setting, as the desktop app did.

use jiff::{SignedDuration, Timestamp};

use bwdc_config::settings::MINUTES_OF_A_YEAR;
use bwdc_config::settings::sync::INTERVAL;
use bwdc_config::zone;
use bwdc_schedule::times::Schedule;
use bwdc_schedule::times::engine::Timetable;
use bwdc_store::Data;

/// The interval of an instance that sets none.
const USUAL: SignedDuration = SignedDuration::from_mins(5);

/// When one instance runs.
#[derive(Clone, Debug)]
pub(crate) enum Times {
    /// By the interval of the settings.
    Every(Every),
    /// By a schedule, on the clock of this machine.
    By(Schedule),
}

impl Timetable for Times {
    fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(Every(interval)) => time.checked_add(*interval).ok(),
            Self::By(schedule) => {
                let local = time.to_zoned_datetime(zone::local());
                schedule.next_after(&local).map(|next| next.timestamp())
            }
        }
    }

    /// What is to run every so often.
    fn is_due_at_first(&self) -> bool {
        matches!(self, Self::Every(_) | Self::By(Schedule::Every(_)))
    }
}

impl Times {
    /// By the interval in `data.json`, if that does not say never.
    pub(crate) fn of(data: &Data) -> Option<Self> {
        Every::of(data).map(Self::Every)
    }

    /// Where nothing is said.
    pub(crate) fn usual() -> Self {
        Self::Every(Every(USUAL))
    }
}

/// Again after so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Every(SignedDuration);

impl Every {
    /// `sync.interval`, in minutes: at least 5; 0 and less, and more than a year, mean that it is not to run by itself.
    pub(crate) fn of(data: &Data) -> Option<Self> {
        let minutes = match INTERVAL.stored(data) {
            None => return Some(Self(USUAL)),
            Some(value) => value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?,
        };
        let interval = SignedDuration::try_from_secs_f64(minutes * 60.0).ok()?;
        let longest = SignedDuration::from_mins(MINUTES_OF_A_YEAR.into());
        (interval.is_positive() && interval <= longest).then(|| Self(interval.max(USUAL)))
    }
}

/// When an instance last ran to a good end.
pub(crate) fn last_run(data: &Data) -> Option<Timestamp> {
    data.remembered().last_sync()
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_is_in_minutes_and_at_least_five() {
        for (stored, expected) in [
            (serde_json::json!(15), Some(15)),
            (serde_json::json!("30"), Some(30)),
            (serde_json::json!(1), Some(5)),
            (serde_json::json!(0), None),
            (serde_json::json!(-5), None),
            (serde_json::json!(525_601), None),
            (serde_json::json!(1e300), None),
            (serde_json::json!("NaN"), None),
            (serde_json::Value::Null, Some(5)),
        ] {
            let mut data = Data::default();
            INTERVAL.put(&mut data, stored.clone());
            let expected = expected.map(|minutes| Every(SignedDuration::from_mins(minutes)));
            assert_eq!(Every::of(&data), expected, "{stored}");
        }
    }
    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_interval(text in damaged_text(["15", "7.5", "1e308", "-1", "0.000001"])) {
            let mut data = Data::default();
            INTERVAL.put(&mut data, text);
            let times = Times::of(&data);
            let usual = |Every(interval)| interval >= USUAL;
            prop_assert!(times.is_none_or(|times| matches!(times, Times::Every(every) if usual(every))));
        }
    }
}
