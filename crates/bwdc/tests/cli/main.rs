//! The program as a whole: the binary, a private OpenLDAP, the sandbox organization. One file per topic.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect by panicking, and wait for other processes"
)]

mod active_directory;
mod alerts;
mod bodies;
mod browser;
mod bwdc_toml;
mod clouds;
mod commands;
mod contrib;
mod daemon;
mod directory_server_389;
mod doctor;
mod elsewhere;
mod explain;
mod failures;
mod harness;
mod history;
mod identity;
mod init;
mod ldap;
mod ldap_hostile;
mod life;
mod log;
mod machine;
mod machine_faults;
mod many;
mod merge;
mod migration;
mod missing;
mod organization;
mod owner;
mod packaging;
mod people;
mod plan;
mod ranges;
mod recordings;
mod schedule;
mod schedule_cron;
mod schedule_systemd;
mod schedule_times;
mod secrets;
mod server;
mod snapshot;
mod state;
mod stateless;
mod status;
mod undo;
mod web;
mod which;
mod worlds;
