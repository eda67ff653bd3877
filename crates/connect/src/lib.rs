//! Everything that `bwdc` sends and receives: directories are read, the Bitwarden organization is written.
//!
//! No state, no terminal and no environment of its own: the input arrives as configuration values, and results
//! are returned. (The HTTP library reads the standard proxy variables and the system's trust store by itself.)

pub mod alert;
pub mod bitwarden;
pub mod directory;
pub mod error;
#[cfg(test)]
mod fuzz;
pub mod http;
pub mod mask;
mod names;
pub mod probe;
pub mod release;
pub mod tls;

pub use error::{Error, ErrorKind, Result};
