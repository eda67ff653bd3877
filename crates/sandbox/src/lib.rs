//! Servers to rehearse and test against: a Bitwarden organization on loopback.
//!
//! It answers like the official server (facts taken from bitwarden/server: `OrganizationController` of the Public API,
//! `ImportOrganizationUsersAndGroupsCommand`, `ErrorResponseModel`), or like Vaultwarden where they differ
//! (`api/core/public.rs`, `api/identity.rs`). State is in SQLite: a file, or memory.
//!
//! Cloud directories to read from are in [`cloud`].
//!
//! Besides the server's own routes there are some under `/sandbox/`, without authentication, to look inside and to set
//! the scene: see [`Sandbox`].

pub mod cloud;
mod edit;
mod fault;
mod import;
mod limits;
mod official;
mod organization;
mod public;
mod request;
mod response;
mod routes;
mod store;
mod vaultwarden;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use self::edit::Edit;
use self::fault::Faults;
pub use self::fault::{Counted, Fault, Injection};
pub use self::limits::Limits;
pub use self::organization::{Feature, Payer, Seats};
use self::store::Store;
pub use self::store::{Collection, Event, Group, Kind, Member, NewMember, Status};

/// Server that is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Bitwarden's own server.
    #[default]
    Official,
    /// Vaultwarden.
    Vaultwarden,
}

/// Storage of the organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory; gone with the process.
    #[default]
    Memory,
    /// An SQLite file, which also keeps the organization's id and key.
    File(PathBuf),
}

/// Clients that may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Only this machine.
    #[default]
    LoopbackOnly,
    /// Any client that reaches the address. The routes under `/sandbox/` need no login.
    AnyAddress,
}

/// Treatment of newcomers when the client does not want them invited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staging {
    /// The flag `pm-34423-staged-status` is off, as on self-hosted servers: they are invited all the same.
    #[default]
    Off,
    /// They are staged.
    On,
}

/// Id and API key of the organization.
#[derive(Clone, Default)]
pub enum Identity {
    /// Random, or those in the file.
    #[default]
    Made,
    /// Given ones, for a new organization.
    Given {
        /// UUID.
        organization: String,
        /// API key.
        key: String,
    },
}

impl std::fmt::Debug for Identity {
    /// Shows everything but the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Made => f.write_str("Made"),
            Self::Given { organization, .. } => {
                f.debug_struct("Given").field("organization", organization).finish_non_exhaustive()
            }
        }
    }
}

/// Options of the sandbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// Server that is simulated.
    pub flavour: Flavour,
    /// Limits that apply.
    pub limits: Limits,
    /// Treatment of newcomers.
    pub staging: Staging,
    /// Storage of the organization.
    pub storage: Storage,
    /// Id and API key.
    pub identity: Identity,
    /// Address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Clients that may connect.
    pub exposure: Exposure,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flavour: Flavour::default(),
            limits: Limits::default(),
            staging: Staging::default(),
            storage: Storage::default(),
            identity: Identity::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            exposure: Exposure::default(),
        }
    }
}

/// Errors of the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not this machine's own.
    #[error(
        "{0} can be reached from other machines, and the sandbox has routes without a login; allow it explicitly if that is wanted"
    )]
    Exposed(SocketAddr),
    /// The port is taken, for example.
    #[error("listening on {address}: {source}")]
    Listen {
        /// Address.
        address: SocketAddr,
        /// Reason.
        source: std::io::Error,
    },
    /// A manual change names nobody.
    #[error("no member and no group is called {0}")]
    Unknown(String),
    /// Error of SQLite.
    #[error("the sandbox's database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Running organization. Stops when dropped.
pub struct Sandbox {
    address: SocketAddr,
    store: Arc<Store>,
    faults: Arc<Faults>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl std::fmt::Debug for Sandbox {
    /// Shows everything but the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts listening.
    pub async fn start(options: Options) -> Result<Self, Error> {
        if !options.listen.ip().is_loopback() && options.exposure == Exposure::LoopbackOnly {
            return Err(Error::Exposed(options.listen));
        }
        let store = Arc::new(Store::open(&options.storage, &options.identity)?);
        let address = options.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let faults = Arc::new(Faults::default());
        let app = routes::app(Arc::clone(&store), Arc::clone(&faults), &options);
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async {
            let _ = stopped.await;
        };
        let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(until).into_future());
        Ok(Self { address, store, faults, stop: Some(stop), server })
    }

    /// Base of `{base}/api` and `{base}/identity`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `organization.<uuid>`
    pub fn client_id(&self) -> String {
        format!("organization.{}", self.store.organization())
    }

    /// API key of the organization.
    pub fn client_secret(&self) -> &str {
        self.store.key()
    }

    /// Members of the organization, by e-mail.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        Ok(self.store.read(store::members)?)
    }

    /// Groups with the addresses of their members, by name.
    pub fn groups(&self) -> Result<Vec<Group>, Error> {
        Ok(self.store.read(store::groups)?)
    }

    /// Number of imports that were completed.
    pub fn imports(&self) -> Result<usize, Error> {
        Ok(self.store.read(store::imports)?)
    }

    /// Events, oldest first.
    pub fn events(&self) -> Result<Vec<Event>, Error> {
        Ok(self.store.read(store::events)?)
    }

    /// Adds a member, to set the scene.
    pub fn add_member(&self, member: &NewMember) -> Result<(), Error> {
        self.store.write(|db| store::insert(db, member).map(|_| ()))?;
        Ok(())
    }

    /// Changes a member's status and master password, as accepting an invitation would.
    pub fn set_status(&self, email: &str, status: Status) -> Result<(), Error> {
        self.store.write(|db| store::set_status(db, email, status))?;
        Ok(())
    }

    /// Makes a manual change, like an administrator in the web vault.
    pub fn edit(&self, edit: Edit) -> Result<(), Error> {
        edit::apply(&self.store, edit)
    }

    /// Seats of the organization, including those the server bought.
    pub fn seats(&self) -> Seats {
        self.store.scene().seats()
    }

    /// Sets the seats. There is no limit until then.
    pub fn set_seats(&self, seats: Seats) {
        self.store.scene().set_seats(seats);
    }

    /// Removes a feature from the plan.
    pub fn take_away(&self, feature: Feature) {
        self.store.scene().take_away(feature);
    }

    /// Adds a feature back to the plan.
    pub fn give_back(&self, feature: Feature) {
        self.store.scene().give_back(feature);
    }

    /// Injects a fault: the n-th request from now on fails.
    pub fn inject(&self, injection: Injection) {
        self.faults.inject(injection);
    }

    /// Discards pending faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Requests so far, such as `PUT /api/public/members/{id}`, including logins but not those under `/sandbox/`.
    pub fn requests(&self) -> Vec<String> {
        self.faults.requests()
    }

    /// Invalidates all tokens.
    pub fn expire_tokens(&self) {
        self.store.expire_tokens();
    }

    /// Stops the server, after the requests in progress.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), &mut self.server).await;
    }

    /// Runs until the server ends by itself, which happens only on failure.
    pub async fn run(mut self) -> Result<(), Error> {
        let address = self.address;
        match (&mut self.server).await {
            Ok(Err(source)) => Err(Error::Listen { address, source }),
            _ => Ok(()),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}
