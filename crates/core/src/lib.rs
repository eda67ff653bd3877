//! Decisions of `bwdc`, on one page:
//!
//! ```text
//! Snapshot --prepare--> Prepared --organization--> Changes --> requests
//! ```
//!
//! A [`snapshot::Snapshot`] is a complete read of a directory. [`prepare()`] decides who is imported and records the
//! reason for everybody who is not; where several directories share one import, [`merge`] joins the decisions about
//! each. [`plan()`] lays out the requests. [`check()`] has the final say. Everything here takes values and returns
//! values: no IO, no async, no clock, no environment.

pub mod alert;
pub mod changes;
pub mod check;
pub mod entry;
pub mod error;
pub mod explain;
pub mod filter;
pub mod import;
pub mod known;
pub mod merge;
pub mod metrics;
pub mod note;
pub mod organization;
pub mod plan;
pub mod prepare;
pub mod rules;
pub mod secret;
pub mod snapshot;
pub mod text;
mod texts;

pub use check::check;
pub use error::{Error, Exit, Result};
pub use explain::explain;
pub use plan::{Plan, plan};
pub use prepare::{Prepared, prepare};
pub use rules::Rules;
pub use secret::Secret;
pub use snapshot::Snapshot;

/// Candidate closest to the typed text, if it is close enough.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    let near = |candidate: &'a str| {
        let (most, lower) = (2.max(candidate.len() / 4), candidate.to_lowercase());
        // A large difference in length is not worth comparing: the time and memory grow with the product of the lengths.
        if length.abs_diff(lower.chars().count()) > most {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&typed, &lower);
        (distance <= most).then_some((distance, candidate))
    };
    let nearest = candidates.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn close_words_are_suggested_and_endless_ones_are_not_compared() {
        let known = ["email", "employee id", "status"];
        assert_eq!(did_you_mean("Emial", known), Some("email"));
        assert_eq!(did_you_mean("emplyoee-id", known), Some("employee id"));
        assert_eq!(did_you_mean("mail address", known), None);
        assert_eq!(did_you_mean(&"status".repeat(1_000_000), known), None);
    }
}
