//! A named pipe with a name drawn by lot, which stands in the file `daemon.pipe` beside the configuration. Pipes have no folders: whoever knew the
//! name beforehand could take it first, and keep the daemon from starting or answer in its place. So whoever may write that file answers, and
//! whoever may read it asks.
//!
//! By default the system's administrators and the user who made a pipe may do anything with it, and everybody else may read
//! ("Named Pipe Security and Access Rights", Microsoft Learn). Without writing nobody asks, and who does not ask is not answered.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};
use uuid::Uuid;

use bwdc_core::error::{Error, Result};
use bwdc_store::files::write_atomically;

/// Every instance of the pipe is taken (`winerror.h`).
const ERROR_PIPE_BUSY: i32 = 231;
/// Whoever came is gone again.
const ERROR_NO_DATA: i32 = 232;

/// The file with the name of the pipe of a daemon whose configuration is in this folder.
pub(super) fn place(folder: &Path) -> PathBuf {
    folder.join("daemon.pipe")
}

fn pipe(name: Uuid) -> String {
    format!(r"\\.\pipe\bwdc-{name}")
}

/// The pipe that the file names.
fn named_in(place: &Path) -> io::Result<String> {
    let text = fs::read_to_string(place)?;
    let name = Uuid::try_parse(text.trim()).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(pipe(name))
}

/// Whoever answers learns who we are, and cannot act as us: that is tokio's default.
pub(super) async fn connect(place: &Path) -> io::Result<NamedPipeClient> {
    let pipe = named_in(place)?;
    loop {
        match ClientOptions::new().open(&pipe) {
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

/// The daemon's end. There is always one instance of the pipe that waits.
#[derive(Debug)]
pub(in super::super) struct Listener {
    waiting: NamedPipeServer,
    pipe: String,
    /// Held for as long as the daemon runs.
    _lock: File,
}

impl Listener {
    /// Fails if another daemon has the lock.
    pub(super) fn open(place: PathBuf) -> Result<Self> {
        let opening =
            |error: io::Error| Error::new(format!("Opening the daemon's pipe {}: {error}", place.display()));
        let path = place.with_extension("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(opening)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(super::another_daemon(&place)),
            Err(fs::TryLockError::Error(error)) => return Err(opening(error)),
        }
        let name = Uuid::new_v4();
        let pipe = pipe(name);
        let waiting = options().first_pipe_instance(true).create(&pipe).map_err(opening)?;
        write_atomically(&place, name.to_string().as_bytes())?;
        Ok(Self { waiting, pipe, _lock: lock })
    }

    /// The next one who comes.
    pub(super) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
        loop {
            let next = match self.waiting.connect().await {
                Ok(()) => options().create(&self.pipe),
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
