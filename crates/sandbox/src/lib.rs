//! Servers to rehearse and test against: a Bitwarden organization on loopback.
//!
//! It answers as the official server does (facts read from bitwarden/server: `OrganizationController` of the Public API,
//! `ImportOrganizationUsersAndGroupsCommand`, `ErrorResponseModel`), or as Vaultwarden does where they differ
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

/// Whose behaviour is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Bitwarden's own server.
    #[default]
    Official,
    /// Vaultwarden.
    Vaultwarden,
}

/// Where the organization is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// Gone with the process.
    #[default]
    Memory,
    /// An SQLite file, which also keeps the organization's id and key.
    File(PathBuf),
}

/// Who may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Only this machine.
    #[default]
    LoopbackOnly,
    /// Whoever reaches the address. The routes under `/sandbox/` need no login.
    AnyAddress,
}

/// What newcomers become when the client does not want them invited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staging {
    /// The flag `pm-34423-staged-status` is off, as on self-hosted servers: they are invited all the same.
    #[default]
    Off,
    /// They are staged.
    On,
}

/// The organization's id and API key.
#[derive(Clone, Default)]
pub enum Identity {
    /// Made at random, or as they are in the file.
    #[default]
    Made,
    /// As given, for a new organization.
    Given {
        /// A UUID.
        organization: String,
        /// The API key.
        key: String,
    },
}

impl std::fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Made => f.write_str("Made"),
            Self::Given { organization, .. } => {
                f.debug_struct("Given").field("organization", organization).finish_non_exhaustive()
            }
        }
    }
}

/// How the sandbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose behaviour is played.
    pub flavour: Flavour,
    /// Whether the cloud's limits apply.
    pub limits: Limits,
    /// What newcomers become.
    pub staging: Staging,
    /// Where the organization is kept.
    pub storage: Storage,
    /// Who it is.
    pub identity: Identity,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may connect.
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

/// What can go wrong.
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
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A change by hand names nobody.
    #[error("no member and no group is called {0}")]
    Unknown(String),
    /// SQLite's word.
    #[error("the sandbox's database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// A running organization. Stops when dropped.
pub struct Sandbox {
    address: SocketAddr,
    store: Arc<Store>,
    faults: Arc<Faults>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl std::fmt::Debug for Sandbox {
    /// Without the key.
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

    /// The base of `{base}/api` and `{base}/identity`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `organization.<uuid>`
    pub fn client_id(&self) -> String {
        format!("organization.{}", self.store.organization())
    }

    /// The organization's API key.
    pub fn client_secret(&self) -> &str {
        self.store.key()
    }

    /// Everybody in the organization, by e-mail.
    pub fn members(&self) -> Result<Vec<Member>, Error> {
        Ok(self.store.read(store::members)?)
    }

    /// The groups with the addresses of their members, by name.
    pub fn groups(&self) -> Result<Vec<Group>, Error> {
        Ok(self.store.read(store::groups)?)
    }

    /// How many imports were carried out to the end.
    pub fn imports(&self) -> Result<usize, Error> {
        Ok(self.store.read(store::imports)?)
    }

    /// What happened, oldest first.
    pub fn events(&self) -> Result<Vec<Event>, Error> {
        Ok(self.store.read(store::events)?)
    }

    /// Adds somebody, to set the scene.
    pub fn add_member(&self, member: &NewMember) -> Result<(), Error> {
        self.store.write(|db| store::insert(db, member).map(|_| ()))?;
        Ok(())
    }

    /// Changes somebody's status and whether there is a master password, as accepting an invitation would.
    pub fn set_status(&self, email: &str, status: Status) -> Result<(), Error> {
        self.store.write(|db| store::set_status(db, email, status))?;
        Ok(())
    }

    /// Changes something by hand, as an administrator does in the web vault.
    pub fn edit(&self, edit: Edit) -> Result<(), Error> {
        edit::apply(&self.store, edit)
    }

    /// Seats of the organization, with those that were bought by the server.
    pub fn seats(&self) -> Seats {
        self.store.scene().seats()
    }

    /// Sets the seats. There is no limit until then.
    pub fn set_seats(&self, seats: Seats) {
        self.store.scene().set_seats(seats);
    }

    /// Takes a feature away from the plan.
    pub fn take_away(&self, feature: Feature) {
        self.store.scene().take_away(feature);
    }

    /// Gives a feature back.
    pub fn give_back(&self, feature: Feature) {
        self.store.scene().give_back(feature);
    }

    /// Lets a request fail: the n-th from now on.
    pub fn inject(&self, injection: Injection) {
        self.faults.inject(injection);
    }

    /// Forgets the faults that still wait for their request.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Requests so far, like `PUT /api/public/members/{id}`, logins included, those under `/sandbox/` left out.
    pub fn requests(&self) -> Vec<String> {
        self.faults.requests()
    }

    /// Makes all tokens invalid.
    pub fn expire_tokens(&self) {
        self.store.expire_tokens();
    }

    /// Ends the server, after the requests under way.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), &mut self.server).await;
    }

    /// Runs until the server ends by itself, which it does only on failure.
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
