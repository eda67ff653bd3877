//! The organization as a value: what it holds, what a sync changes in it, and by which requests.
//!
//! Everything here takes values and returns values, like the rest of this crate; times come in as [`Moment`]s. A run asks in this
//! order:
//!
//! 1. The ledger is read from the disk, or made by [`Ledger::migrated`].
//! 2. The directories are read; [`DirectoryNow::of`] makes one value of them.
//! 3. The organization is read into a [`Roster`] without memberships, where it can be: then `ledger.settled(Some(&roster), now)`, else
//!    `ledger.settled(None, now)` and [`Ledger::roster`].
//! 4. [`Ledger::to_read`] says which memberships to read; they are put into the roster.
//! 5. [`changes()`] says what changes, what the limits hold back, and what an administrator should know; [`document::Document::of`] is
//!    the plan, and [`pending::Pending::of`] what waits for an administrator. A plan ends here.
//! 6. [`requests()`] lays the requests out. Where there are any, [`Ledger::begun`] is stored before the first is sent.
//! 7. After each request that was acknowledged, their number is stored: [`Ledger::acknowledged`] makes the ledger of it. A request that
//!    was not acknowledged ends the run: the next one begins with what the ledger has in its journal.
//! 8. When all were acknowledged, or there was none to send: [`Ledger::finished`], stored.
//!
//! [`server::carry_out`] has the servers' rules, for predictions and for tests.

pub mod capture;
pub mod changes;
pub mod directory;
pub mod document;
pub mod identity;
pub mod in_step;
pub mod leaving;
pub mod ledger;
pub mod limits;
pub mod moment;
pub mod pending;
mod ranks;
pub mod record;
pub mod requests;
pub mod roster;
pub mod server;
pub mod settings;
mod table;
pub mod undo;

pub use capture::Capture;
pub use changes::{Changes, Question, changes};
pub use directory::DirectoryNow;
pub use ledger::Ledger;
pub use moment::{Moment, Span};
pub use pending::Pending;
pub use requests::{Step, requests};
pub use roster::{Basis, Kind, Roster};
pub use settings::Settings;
pub use undo::Undo;
