//! What an instance remembers: [`Memory`] from run to run, how runs went, and the lock of the one that is under way. A folder has it:
//! `data.json` (settings and memory), the ledgers, the last import, the history. Nothing here talks on a network or decides what is imported.

pub mod alerts;
mod data;
pub mod errand;
pub mod files;
mod folder;
pub mod history;
mod imported;
mod ledger;
mod lock;
mod memory;
mod people;
pub mod privileges;
pub mod report;
pub mod runs;
mod snapshot_key;
mod time;
pub mod tokens;

pub use data::{Data, DataFile, Section, StateKeeping, key};
pub use imported::LastImport;
pub use ledger::{KeptLedger, KeptProgress, KeptTimes, StagedLedger};
pub use lock::RunLock;
pub use memory::{FullRead, Memory, Remembered, Success, SyncTime};
pub use time::iso;
