//! The organization as a value: what it holds, what a sync changes in it, and by which requests.
//!
//! Everything here takes values and returns values, like the rest of this crate; times come in as [`Moment`]s.

pub mod moment;
pub mod roster;
pub mod server;

pub use moment::{Moment, Span};
pub use roster::{Basis, Kind, Roster};
