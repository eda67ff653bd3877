//! Times as files have them.

use jiff::Timestamp;

/// ISO 8601 in UTC with milliseconds, as `data.json` has it.
pub fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
