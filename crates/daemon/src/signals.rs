//! What the system asks of what runs until it is told to end: the daemon, a sandbox.

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use bwdc_core::error::Result;

    fn listen(kind: SignalKind) -> Result<Signal> {
        signal(kind).map_err(super::cannot_listen)
    }

    /// Read the configuration again: SIGHUP.
    pub struct Reload(Signal);

    impl Reload {
        /// Listens from now on.
        ///
        /// # Errors
        /// The system does not let it.
        pub fn listen() -> Result<Self> {
            Ok(Self(listen(SignalKind::hangup())?))
        }

        /// Waits until it is asked.
        pub async fn asked(&mut self) {
            self.0.recv().await;
        }
    }

    /// End: SIGTERM and SIGINT.
    pub struct Stop {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Stop {
        /// Listens from now on.
        ///
        /// # Errors
        /// The system does not let it.
        pub fn listen() -> Result<Self> {
            Ok(Self {
                terminate: listen(SignalKind::terminate())?,
                interrupt: listen(SignalKind::interrupt())?,
            })
        }

        /// Waits until it is asked.
        pub async fn asked(&mut self) {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

    use crate::windows_service::{self, Requests};
    use bwdc_core::error::Result;

    /// Read the configuration again: `sc control bwdc paramchange`, of a service. Elsewhere Windows has no signal that means it.
    pub struct Reload(Option<Requests>);

    impl Reload {
        /// Listens from now on.
        ///
        /// # Errors
        /// The system does not let it.
        pub fn listen() -> Result<Self> {
            Ok(Self(windows_service::requests()))
        }

        /// Waits until it is asked.
        pub async fn asked(&mut self) {
            match &mut self.0 {
                Some(requests) => requests.reload().await,
                None => std::future::pending().await,
            }
        }
    }

    /// End: the service is stopped, Ctrl-C, Ctrl-Break, the console is closed, the machine goes down.
    pub struct Stop {
        service: Option<Requests>,
        ctrl_c: CtrlC,
        ctrl_break: CtrlBreak,
        close: CtrlClose,
        shutdown: CtrlShutdown,
    }

    impl Stop {
        /// Listens from now on.
        ///
        /// # Errors
        /// The system does not let it.
        pub fn listen() -> Result<Self> {
            Ok(Self {
                service: windows_service::requests(),
                ctrl_c: ctrl_c().map_err(super::cannot_listen)?,
                ctrl_break: ctrl_break().map_err(super::cannot_listen)?,
                close: ctrl_close().map_err(super::cannot_listen)?,
                shutdown: ctrl_shutdown().map_err(super::cannot_listen)?,
            })
        }

        /// Waits until it is asked.
        pub async fn asked(&mut self) {
            let service = async {
                match &mut self.service {
                    Some(requests) => requests.stop().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = service => {}
                _ = self.ctrl_c.recv() => {}
                _ = self.ctrl_break.recv() => {}
                _ = self.close.recv() => {}
                _ = self.shutdown.recv() => {}
            }
        }
    }
}

pub use self::system::{Reload, Stop};
use bwdc_core::error::{Error, Result};

/// Each way of asking, to be waited for.
pub struct Signals {
    /// To read the configuration again.
    pub reload: Reload,
    /// To end.
    pub stop: Stop,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn listen() -> Result<Self> {
        Ok(Self { reload: Reload::listen()?, stop: Stop::listen()? })
    }
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::new(format!("Listening for the system's signals: {error}"))
}
