//! A named pipe, by the folder of the configuration.
//!
//! By default the system's administrators and the user who made a pipe may do anything with it, and everybody else may read
//! ("Named Pipe Security and Access Rights", Microsoft Learn). Without writing nobody asks, and who does not ask is not answered.

use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};

use bwdc_core::error::{Error, Result};

/// Every instance of the pipe is taken (`winerror.h`).
const ERROR_PIPE_BUSY: i32 = 231;
/// Whoever came is gone again.
const ERROR_NO_DATA: i32 = 232;

/// Where the pipe of a daemon is whose configuration is in this folder. Pipes have no folders, so that a digest names it.
pub(super) fn place(folder: &Path) -> PathBuf {
    // However the folder is written, in capitals or by a short name, it is this one.
    let folder = fs::canonicalize(folder).or_else(|_| std::path::absolute(folder));
    let folder = folder.unwrap_or_default();
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(format!(r"\\.\pipe\bwdc-{name}"))
}

/// Whoever answers learns who we are, and cannot act as us: that is tokio's default.
pub(super) async fn connect(place: &Path) -> io::Result<NamedPipeClient> {
    loop {
        match ClientOptions::new().open(place) {
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

/// Whether it failed because there is no daemon, not even one that is somebody else's.
pub(super) fn is_nobody(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// The daemon's end. There is always one instance of the pipe that waits, so that nobody else can have its name.
#[derive(Debug)]
pub(in super::super) struct Listener {
    waiting: NamedPipeServer,
    place: PathBuf,
}

impl Listener {
    /// Fails if the pipe is there already, even if it is another user's.
    pub(super) fn open(place: PathBuf) -> Result<Self> {
        match options().first_pipe_instance(true).create(&place) {
            Ok(waiting) => Ok(Self { waiting, place }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(super::another_daemon(&place))
            }
            Err(error) => Err(Error::new(format!("Opening the daemon's pipe {}: {error}", place.display()))),
        }
    }

    /// The next one who comes.
    pub(super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
        loop {
            let next = match self.waiting.connect().await {
                Ok(()) => options().create(&self.place),
                Err(error) => Err(error),
            };
            match next {
                Ok(next) => return Ok(mem::replace(&mut self.waiting, next)),
                Err(error) => {
                    self.waiting.disconnect()?;
                    if error.raw_os_error() != Some(ERROR_NO_DATA) {
                        return Err(error);
                    }
                }
            }
        }
    }
}

fn options() -> ServerOptions {
    let mut options = ServerOptions::new();
    options.reject_remote_clients(true);
    options
}
