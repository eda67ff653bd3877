//! Which lines of a log somebody wants to see.

use jiff::Timestamp;
use serde_json::Value;

/// How bad what is shown has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFilter {
    Any,
    /// Warnings and errors.
    Trouble,
}

/// What is chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) severity: LineFilter,
    /// By the names that the log has; all if it is empty.
    pub(super) instances: Vec<String>,
}

/// What a line says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    level: String,
    instance: Option<String>,
}

impl Choice {
    pub(super) fn has(&self, line: &str) -> bool {
        match head(line) {
            Some(head) => self.has_level(&head.level) && self.has_instance(head.instance.as_deref()),
            None => self.instances.is_empty() && self.has_foreign(line),
        }
    }

    fn has_level(&self, level: &str) -> bool {
        self.severity == LineFilter::Any || matches!(level, "WARN" | "ERROR")
    }

    fn has_instance(&self, name: Option<&str>) -> bool {
        self.instances.is_empty() || name.is_some_and(|name| self.instances.iter().any(|known| known == name))
    }

    /// What a scheduler led there besides: the answers of good runs, and anything else, which is trouble.
    fn has_foreign(&self, line: &str) -> bool {
        const GOOD: [&str; 2] = ["Syncing complete.", "Synced "];
        self.severity == LineFilter::Any
            || !(line.trim().is_empty() || GOOD.iter().any(|good| line.starts_with(good)))
    }
}

/// `None` for a line of somebody else.
fn head(line: &str) -> Option<Head> {
    if line.starts_with('{') {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        return Some(Head { level: text("level")?, instance: text("instance") });
    }
    let mut words = line.split_ascii_whitespace();
    words.next()?.parse::<Timestamp>().ok()?;
    let level = words.next()?.to_owned();
    words.next().filter(|word| *word == "bwdc:")?;
    let instance = words.find_map(|word| word.strip_prefix("instance=")).map(str::to_owned);
    Some(Head { level, instance })
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "2026-03-04T05:06:09.112Z INFO  bwdc: sync ok instance=hq run=5e0c9b1f2a44 users=812";
    const BAD: &str =
        "2026-03-04T05:06:09.112Z ERROR bwdc: sync failed instance=hq run=5e exit=1 error=\"no\"";
    const JSON: &str =
        r#"{"time":"2026-03-04T05:06:09.112Z","level":"WARN","message":"x","instance":"berlin"}"#;

    fn chosen(severity: LineFilter, instances: &[&str]) -> Vec<&'static str> {
        let instances = instances.iter().map(|name| (*name).to_owned()).collect();
        let choice = Choice { severity, instances };
        let lines = [
            GOOD,
            BAD,
            JSON,
            "Syncing complete.",
            "Synced 1 group(s) and 2 user(s).",
            "",
            "sh: 1: bwdc: not found",
        ];
        lines.into_iter().filter(|line| choice.has(line)).collect()
    }

    #[test]
    fn trouble_is_warnings_errors_and_what_a_shell_says() {
        assert_eq!(chosen(LineFilter::Any, &[]).len(), 7);
        assert_eq!(chosen(LineFilter::Trouble, &[]), [BAD, JSON, "sh: 1: bwdc: not found"]);
    }

    #[test]
    fn one_instance_of_several_in_a_file() {
        assert_eq!(chosen(LineFilter::Any, &["hq"]), [GOOD, BAD]);
        assert_eq!(chosen(LineFilter::Trouble, &["berlin", "x"]), [JSON]);
    }

    proptest! {
        #![proptest_config(few())]

        /// A line is one instance's only if it says so.
        #[test]
        fn fuzz_lines_of_logs(line in damaged_text([GOOD, BAD, JSON, "sh: 1: bwdc: not found", "Synced 1 group(s) and 2 user(s)."])) {
            for severity in [LineFilter::Any, LineFilter::Trouble] {
                let of = |names: &[&str]| Choice { severity, instances: names.iter().map(|name| (*name).to_owned()).collect() };
                prop_assert!(!of(&["hq"]).has(&line) || line.contains("hq") || line.contains("\\u"));
                prop_assert!(!of(&["hq"]).has(&line) || of(&[]).has(&line));
            }
            prop_assert!(of_any().has(&line));
            bwdc_testkit::plain(&crate::log::escaped(&line))?;
        }
    }

    fn of_any() -> Choice {
        Choice { severity: LineFilter::Any, instances: Vec::new() }
    }
}
