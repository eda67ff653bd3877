//! The decisions of `bwdc`, told on one page:
//!
//! ```text
//! Snapshot --prepare--> Prepared --plan--> Plan --check--> Verdict
//! ```
//!
//! A [`snapshot::Snapshot`] is a directory as it was read, completely. [`prepare()`] decides who is imported and keeps
//! the reason for everybody who is not; where several directories make one import, [`merge`] joins what was decided
//! about each. [`plan()`] lays the requests out. [`check()`] has the last word. Everything
//! here takes values and returns values: no IO, no async, no clock, no environment.

pub mod changes;
pub mod check;
pub mod entry;
pub mod error;
pub mod filter;
pub mod import;
pub mod known;
pub mod merge;
pub mod note;
pub mod organization;
pub mod plan;
pub mod prepare;
pub mod rules;
pub mod secret;
pub mod snapshot;
pub mod text;

pub use check::{Verdict, check};
pub use error::{Error, Exit, Result};
pub use plan::{Plan, plan};
pub use prepare::{Prepared, prepare};
pub use rules::Rules;
pub use secret::Secret;
pub use snapshot::Snapshot;

/// The candidate nearest to what was typed, if it is near enough to be meant.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    let near = |candidate: &'a str| {
        let (most, lower) = (2.max(candidate.len() / 4), candidate.to_lowercase());
        // What differs by more in length is not compared: that takes time and memory for each pair of their letters.
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
    fn what_is_near_is_meant_and_what_is_endless_is_not_compared() {
        let known = ["email", "employee id", "status"];
        assert_eq!(did_you_mean("Emial", known), Some("email"));
        assert_eq!(did_you_mean("emplyoee-id", known), Some("employee id"));
        assert_eq!(did_you_mean("mail address", known), None);
        assert_eq!(did_you_mean(&"status".repeat(1_000_000), known), None);
    }
}
