//! A search, before it is sent.

use super::wire::{Control, Depth};

/// Search to run.
#[derive(Clone, Debug)]
pub(super) struct SearchRequest {
    /// Name for messages: "users", "groups".
    pub(super) what: &'static str,
    /// Base DN.
    pub(super) base: String,
    /// Depth.
    pub(super) scope: Depth,
    /// Filter (RFC 4515).
    pub(super) filter: String,
    /// Attributes to return.
    pub(super) attributes: Vec<String>,
    /// Controls besides paging.
    pub(super) controls: Vec<Control>,
}
