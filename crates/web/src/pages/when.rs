//! Times: how long ago or how soon, with the exact one at hand.

use bwdc_config::zone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

pub(crate) fn when(time: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(time.strftime("%Y-%m-%dT%H:%M:%SZ")) title=(exact(time)) { (relative(time, now)) } }
}

/// In the zone of this machine.
pub(crate) fn exact(time: Timestamp) -> String {
    time.to_zoned_datetime(zone::local()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = now.duration_since(time);
    match length(distance.abs()) {
        None => "now".to_owned(),
        Some(length) if distance.is_negative() => format!("in {length}"),
        Some(length) => format!("{length} ago"),
    }
}

fn length(distance: SignedDuration) -> Option<String> {
    let seconds = distance.as_secs();
    let (number, unit) = match seconds {
        0..=4 => return None,
        5..=89 => (seconds, "s"),
        90..=5_399 => ((seconds + 30) / 60, "min"),
        5_400..=129_599 => ((seconds + 1_800) / 3_600, "h"),
        _ => ((seconds + 43_200) / 86_400, "days"),
    };
    Some(format!("{number} {unit}"))
}

pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.0} min", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let told = |seconds: i64| relative(Timestamp::from_second(1_000_000 + seconds).unwrap(), now);
        for (seconds, text) in [
            (0, "now"),
            (-60, "60 s ago"),
            (-90, "2 min ago"),
            (300, "in 5 min"),
            (-7200, "2 h ago"),
            (-86_400 * 3, "3 days ago"),
        ] {
            assert_eq!(told(seconds), text);
        }
        assert_eq!((super::seconds(1.26), super::seconds(300.0)), ("1.3 s".to_owned(), "5 min".to_owned()));
    }
}
