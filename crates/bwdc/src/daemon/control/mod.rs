//! The socket by which `bwdc status` asks: a line of JSON for whoever connects, and may.

use std::path::{Path, PathBuf};

use super::status::Status;
use crate::error::{Error, Result};

/// Where the socket of a daemon is whose configuration is in this folder.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("daemon.sock")
}

#[cfg(unix)]
pub(super) use self::unix::Listener;
#[cfg(unix)]
pub(crate) use self::unix::ask;

fn no_daemon(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(format!("No daemon answers at {}: {why}.", path.display()))
        .hint("Start it with `bwdc daemon`, or look at the service's log.")
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};

    use super::{Error, Result, Status, no_daemon};

    /// An answer takes no longer.
    const LIMIT: Duration = Duration::from_secs(5);

    /// The daemon's end. The socket is removed when it is dropped.
    #[derive(Debug)]
    pub(in super::super) struct Listener {
        listener: UnixListener,
        path: PathBuf,
    }

    impl Listener {
        /// Takes the place of a socket that nobody answers at any more.
        pub(in super::super) async fn open(path: PathBuf) -> Result<Self> {
            let attempted = |error: std::io::Error| {
                Error::new(format!("Opening the daemon's socket {}: {error}", path.display()))
                    .hint("The user who runs the daemon must own this folder.")
            };
            if UnixStream::connect(&path).await.is_ok() {
                return Err(Error::new(format!("Another daemon answers at {}.", path.display()))
                    .hint("Stop it first; one daemon runs all instances of a configuration."));
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(attempted(error)),
                _ => {}
            }
            let listener = UnixListener::bind(&path).map_err(attempted)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(attempted)?;
            Ok(Self { listener, path })
        }

        /// The next one who asks, and may: our own user and root.
        pub(in super::super) async fn accept(&self) -> UnixStream {
            loop {
                match self.listener.accept().await {
                    Ok((stream, _)) if may_ask(&stream) => return stream,
                    Ok(_) => tracing::warn!("another user asked for the daemon's status and got no answer"),
                    Err(error) => {
                        tracing::warn!(%error, "a request for the daemon's status was not accepted");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn may_ask(stream: &UnixStream) -> bool {
        let own = rustix::process::geteuid().as_raw();
        stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
    }

    /// Tells the status, and ends.
    pub(in super::super) async fn tell(mut stream: UnixStream, status: Status) {
        let text = serde_json::to_vec(&status).unwrap_or_default();
        let told = async {
            stream.write_all(&text).await?;
            stream.shutdown().await
        };
        if !matches!(tokio::time::timeout(LIMIT, told).await, Ok(Ok(()))) {
            tracing::debug!("somebody asked for the status and did not wait for it");
        }
    }

    /// Asks the daemon.
    pub(crate) async fn ask(path: &Path) -> Result<Status> {
        let asked = async {
            let mut stream = UnixStream::connect(path).await?;
            let mut text = Vec::new();
            stream.read_to_end(&mut text).await?;
            Ok::<_, std::io::Error>(text)
        };
        let text = tokio::time::timeout(LIMIT, asked)
            .await
            .map_err(|_| no_daemon(path, format!("no answer within {} s", LIMIT.as_secs())))?
            .map_err(|error| no_daemon(path, error))?;
        serde_json::from_slice(&text).map_err(|error| {
            no_daemon(path, format!("the answer makes no sense ({error})"))
                .hint("It runs as another user, or is another version: restart it.")
        })
    }
}

#[cfg(unix)]
pub(super) use self::unix::tell;

/// Elsewhere there is no such socket; the port for metrics tells the same.
#[cfg(not(unix))]
pub(crate) async fn ask(path: &Path) -> Result<Status> {
    Err(no_daemon(path, "this system has no such sockets"))
}
