//! The settings of Microsoft Entra ID, understood.

use crate::http::Network;

/// Everything needed to read Microsoft Entra ID.
#[derive(Clone, Debug)]
pub struct Config {
    /// Trust and patience.
    pub network: Network,
}
