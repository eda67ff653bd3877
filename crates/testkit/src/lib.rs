//! Real servers for the tests and the benchmark: a private OpenLDAP with StartTLS and LDAPS, an Active
//! Directory (Samba), a 389 Directory Server, a secret service (GNOME Keyring), a DNS server, certificates good and bad,
//! a proxy that cuts connections, synthetic directories, and damaged inputs for parsers.
//!
//! Everything listens on loopback, on free ports, in folders of its own, and ends when dropped, so that tests can run in
//! parallel. A missing program is a panic that says what to install.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test support: a failure to set the scene is a failed test, and servers are polled until they answer"
)]

pub mod capped;
pub mod certificates;
mod client;
pub mod damage;
pub mod dns;
pub mod ds389;
pub mod keyring;
pub mod ldif;
pub mod proxy;
pub mod receiver;
pub mod rsa;
pub mod samba;
mod samples;
pub mod scripted;
pub mod slapd;
pub mod smtp;

pub use capped::Capped;
pub use certificates::Certificates;
pub use damage::{damaged, damaged_text, few, harmless, line_in, plain};
pub use ds389::Ds389;
pub use keyring::Keyring;
pub use proxy::{Cut, CutProxy};
pub use receiver::{Received, Receiver};
pub use rsa::RsaKey;
pub use samba::Samba;
pub use samples::DATA_FILES;
pub use scripted::Scripted;
pub use slapd::Slapd;
pub use smtp::{Smtp, SmtpTls};

use std::net::TcpListener;

/// Port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .expect("binding a free port")
        .local_addr()
        .expect("its address")
        .port()
}
