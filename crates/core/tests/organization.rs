//! The organization as a value: the servers' rules, what changes, and what must never happen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

#[path = "organization/made.rs"]
mod made;
#[path = "organization/servers.rs"]
mod servers;
