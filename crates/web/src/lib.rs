//! The page of bwdc in the browser: what an instance is set to, how it runs, what a sync would do, and the buttons for it.
//!
//! It shows what the folder of an instance has kept, and starts commands of the program for everything else
//! ([why](../../../docs/decisions/0015-the-page-starts-commands.md)): it can do nothing that the command line cannot.

mod commands;
mod drafts;
mod guesses;
mod home;
mod links;
mod listen;
mod pages;
mod password;
mod report;
mod security;
mod sessions;
mod statics;
mod tasks;
mod tls;
mod visit;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bwdc_core::error::Result;

pub use self::home::open_link;
pub use self::listen::{Changes, Server, SocketAccess, listen};
pub use self::password::{PasswordHash, hash};
use bwdc_config::installation::{WebAddress, WebRole};

/// Where the page is served, and to whom.
#[derive(Debug)]
pub struct Access {
    /// Address.
    pub address: WebAddress,
    /// Further names by which browsers may ask for it.
    pub hosts: Vec<String>,
    /// Certificate chain and key, in PEM.
    pub certificate: Option<CertificateFiles>,
    /// Who may connect to a socket.
    pub socket: SocketAccess,
}

/// Files of a certificate.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, then those that signed it.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Somebody who logs in with a password.
#[derive(Clone, Debug)]
pub struct WebUser {
    /// Name.
    pub name: String,
    /// Argon2 hash of the password.
    pub password: PasswordHash,
    /// Rights.
    pub role: WebRole,
}

/// What the page is about.
pub struct Machine {
    /// Folders in which the page may keep what it needs: in the first that it can write to.
    pub homes: Vec<PathBuf>,
    /// Instances, as they are configured now.
    pub instances: Box<dyn Fn() -> Result<Vec<Instance>> + Send + Sync>,
    /// Who logs in with a password, as it is configured now.
    pub users: Box<dyn Fn() -> Result<Vec<WebUser>> + Send + Sync>,
    /// How commands are started.
    pub program: Program,
}

/// The program itself.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Variables that hand down what was given on the command line.
    pub variables: Vec<(&'static str, OsString)>,
    /// Arguments that select all instances of the page.
    pub all: Vec<OsString>,
}

/// What is synced as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Name in summaries and in the log.
    pub name: String,
    /// Its folders: one, unless several directories are merged.
    pub parts: Vec<Part>,
    /// Arguments that select it.
    pub selection: Vec<OsString>,
}

/// A folder with a `data.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name.
    pub name: String,
    /// Folder.
    pub folder: PathBuf,
    /// Arguments that select it.
    pub selection: Vec<OsString>,
}

/// All that requests share.
pub(crate) struct Site {
    machine: Machine,
    hosts: security::Hosts,
    transport: security::Transport,
    /// Name of the session's cookie.
    cookie: String,
    /// Makes the token of the log-in's form.
    login_secret: String,
    sessions: sessions::Sessions,
    guesses: guesses::Guesses,
    verifier: password::Verifier,
    home: home::Home,
    tasks: Arc<tasks::Tasks>,
    drafts: drafts::Drafts,
    runner: Arc<commands::Runner>,
    status: pages::overview::StatusCache,
}

impl Site {
    fn instances(&self) -> Result<Vec<Instance>> {
        (self.machine.instances)()
    }

    fn users(&self) -> Result<Vec<WebUser>> {
        (self.machine.users)()
    }
}
