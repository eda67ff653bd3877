//! Reading and changing the organization, member by member and group by group, against the simulated servers.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod edits;
mod imports;
mod reads;
mod rules;
mod world;
