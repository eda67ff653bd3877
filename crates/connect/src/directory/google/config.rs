//! The settings of Google Workspace, understood.

use crate::http::Network;

/// Everything needed to read Google Workspace.
#[derive(Clone, Debug)]
pub struct Config {
    /// Trust and patience.
    pub network: Network,
}
