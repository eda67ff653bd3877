//! The organization as a value: the servers' rules, what changes, and what must never happen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

#[path = "organization/captured.rs"]
mod captured;
#[path = "organization/documents.rs"]
mod documents;
#[path = "organization/explained.rs"]
mod explained;
#[path = "organization/facts.rs"]
mod facts;
#[path = "organization/forgetful.rs"]
mod forgetful;
#[path = "organization/joined.rs"]
mod joined;
#[path = "organization/limited.rs"]
mod limited;
#[path = "organization/made.rs"]
mod made;
#[path = "organization/merged.rs"]
mod merged;
#[path = "organization/model.rs"]
mod model;
#[path = "organization/named.rs"]
mod named;
#[path = "organization/ops.rs"]
mod ops;
#[path = "organization/pending.rs"]
mod pending;
#[path = "organization/planned.rs"]
mod planned;
#[path = "organization/records.rs"]
mod records;
#[path = "organization/servers.rs"]
mod servers;
#[path = "organization/stateful.rs"]
mod stateful;
#[path = "organization/today.rs"]
mod today;
#[path = "organization/undone.rs"]
mod undone;
#[path = "organization/world.rs"]
mod world;
