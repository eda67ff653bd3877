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
pub mod filter;
pub mod import;
pub mod known;
pub mod merge;
pub mod note;
pub mod plan;
pub mod prepare;
pub mod rules;
pub mod snapshot;

pub use check::{Verdict, check};
pub use plan::{Plan, plan};
pub use prepare::{Prepared, prepare};
pub use rules::Rules;
pub use snapshot::Snapshot;

/// The candidate nearest to what was typed, if it is near enough to be meant.
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&typed.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
