//! Schedules: when syncs run, and the files of the schedulers that run them.
//!
//! Every renderer is pure: it gives text, or the reason why a scheduler cannot do what is asked. `install` alone acts.

pub(crate) mod expression;
