//! The settings of OneLogin, understood.

use crate::http::Network;

/// Everything needed to read OneLogin.
#[derive(Clone, Debug)]
pub struct Config {
    /// Trust and patience.
    pub network: Network,
}
