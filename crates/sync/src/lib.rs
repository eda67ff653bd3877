//! A run, from the settings to what is kept: one road for one directory or many.
//!
//! ```text
//! open --> read --> decide --> check  (plan.rs: `plan` and `test` end here)  --> send --> keep  (apply.rs)
//! ```
//!
//! Nothing here prints, knows a terminal, a command line or the environment: what a run has to say goes to a [`Watch`] or into the
//! log.

mod alerts;
mod apply;
mod beside;
mod context;
mod decide;
mod explained;
mod history;
mod in_step;
mod job;
mod ledger;
mod lines;
mod merge;
mod open;
mod organization;
mod outcome;
mod people;
mod plan;
mod planned;
mod read;
mod record;
pub mod rivals;
mod run;
mod send;
pub mod session;
mod snapshot;
mod stateless;
mod under_way;
mod undo;
mod watch;

pub use alerts::{Tried, overdue, tell_missed, try_channels};
pub use context::Context;
pub use explained::{ExplainFrom, Explained, Findings, Former, Lookup, Nowhere, RunAbout, explain};
pub use job::{SyncJob, of_errand};
pub use lines::ENTRIES;
pub use merge::{Merge, MergeMember, not_alone};
pub use organization::client;
pub use outcome::{Report, Reportable, SyncOutcome};
pub use people::{KnownGroup, KnownPeople, KnownPerson, KnownStanding, known_people};
pub use plan::rehearse;
pub use planned::{Approved, Planned, approve, plan};
pub use read::ReadPurpose;
pub use run::{longest, worst};
pub use snapshot::{capture, replay};
pub use undo::{PlannedUndo, UndoOrder, plan_undo};
pub use watch::{Nobody, Watch};
