//! A socket in the folder of the configuration.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use bwdc_core::error::{Error, Result};

/// Where the socket of a daemon is whose configuration is in this folder.
pub(super) fn place(folder: &Path) -> PathBuf {
    folder.join("daemon.sock")
}

pub(super) async fn connect(place: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(place).await
}

/// Whether it failed because there is no daemon, not even one that is busy or somebody else's.
pub(super) fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The daemon's end. The socket is removed when it is dropped.
#[derive(Debug)]
pub(in super::super) struct Listener {
    listener: UnixListener,
    place: PathBuf,
}

impl Listener {
    /// Takes the place of a socket that nobody answers at any more.
    pub(super) fn open(place: PathBuf) -> Result<Self> {
        let attempted = |error: io::Error| {
            Error::new(format!("Opening the daemon's socket {}: {error}", place.display())).hint(match place
                .parent()
            {
                Some(folder) if !folder.exists() => {
                    format!(
                        "There is no folder {0}. Set the instance up first: bwdc init --appdata {0}",
                        folder.display()
                    )
                }
                _ => "The user who runs the daemon must own this folder.".to_owned(),
            })
        };
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(attempted(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&place).map_err(attempted)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).map_err(attempted)?;
        Ok(Self { listener, place })
    }

    /// The next one who comes, and may: our own user and root.
    pub(super) async fn accept(&mut self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if may_ask(&stream) {
                return Ok(stream);
            }
            tracing::warn!("another user asked for the daemon's status and got no answer");
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.place);
    }
}

fn may_ask(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
