//! What an instance remembers, in its folder: `data.json` (settings and the memory of the last run), the people known, the last import,
//! how runs went, and the lock of the one that is under way. Nothing here talks on a network or decides what is imported.

pub mod data;
pub mod errand;
pub mod files;
pub mod imported;
mod lock;
pub mod people;
pub mod privileges;
pub mod report;
pub mod runs;
mod time;
pub mod tokens;

pub use data::{Data, DataFile, key};
pub use lock::RunLock;
pub use time::iso;
