//! Public API besides the import, manual changes, and injected faults, over HTTP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod by_hand;
mod client;
mod faults;
mod groups;
mod imports;
mod members;
