//! Times as LDAP writes them (RFC 4517, section 3.3.13).

use bwdc_core::organization::Moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Writes a time as `yyyymmddHHMMSS.0Z`, as Active Directory does.
pub(super) fn written(time: Timestamp) -> String {
    time.strftime("%Y%m%d%H%M%S.0Z").to_string()
}

/// Reads a time, to the second; `None` if it is none.
pub(super) fn read(text: &str) -> Option<Moment> {
    let (digits, rest) = text.trim().split_at(leading_digits(text.trim()));
    if !matches!(digits.len(), 10 | 12 | 14) {
        return None;
    }
    let two = |at: usize| match digits.get(at..at + 2) {
        Some(two) => two.parse::<i8>().ok(),
        None => Some(0),
    };
    let year = digits[..4].parse().ok()?;
    // A leap second counts as the one before it.
    let second = two(12)?;
    let second = if second == 60 { 59 } else { second };
    let time = DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, second, 0).ok()?;
    let east = seconds_east(without_fraction(digits, rest)?)?;
    let time = Offset::UTC.to_timestamp(time).ok()?;
    Some(Moment(time.as_second().checked_sub(east)?))
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Rest after a fraction of a second. Nobody writes fractions of minutes and hours, which are allowed.
fn without_fraction<'a>(digits: &str, rest: &'a str) -> Option<&'a str> {
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some(rest) };
    let length = leading_digits(fraction);
    (digits.len() == 14 && length > 0).then(|| &fraction[length..])
}

/// Time zone: `Z`, `+0100` or `-05`.
fn seconds_east(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !matches!(digits.len(), 2 | 4) || leading_digits(digits) != digits.len() {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 =
        digits.get(2..).filter(|minutes| !minutes.is_empty()).map_or(Some(0), |text| text.parse().ok())?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_is_read() {
        let noon = "2026-01-02T12:00:00Z".parse::<Timestamp>().unwrap().as_second();
        for (text, expected) in [
            ("20260102120000Z", Some(noon)),
            ("20260102120000.0Z", Some(noon)),
            ("20260102120000.123456Z", Some(noon)),
            ("20260102120007,9Z", Some(noon + 7)),
            ("202601021200Z", Some(noon)),
            ("2026010212Z", Some(noon)),
            ("20260102130000+0100", Some(noon)),
            ("20260102070000.0-05", Some(noon)),
            ("20260102115960Z", Some(noon - 1)),
            ("16010101000000.0Z", Some(-11_644_473_600)),
            ("20260102120000", None),
            ("2601021200000Z", None),
            ("20260102120000.Z", None),
            ("2026010212.5Z", None),
            ("20261302120000Z", None),
            ("20260230120000Z", None),
            ("20260102120000+1", None),
            ("20260102120000+ab", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(read(text), expected.map(Moment), "{text}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_times_of_ldap(text in prop_oneof![
            damaged_text(["20260102120000.0Z", "2026010212+0530", "20260102120000,25-05"]),
            any::<String>(),
        ]) {
            let _ = read(&text);
        }

        #[test]
        fn a_written_time_is_read(seconds in 0..4_000_000_000_i64) {
            let time = Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(read(&written(time)), Some(Moment(seconds)));
        }
    }
}
