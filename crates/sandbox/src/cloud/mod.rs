//! Cloud directories, simulated on loopback: their answers, page by page, their limits, and their failures.
//!
//! Each vendor is one file with its records, routes and messages ([`okta`], for example). Shared code is here: the server,
//! latency, counted limits, access tokens, and injected faults.

mod company;
mod engine;
pub mod entra;
pub mod google;
pub mod okta;
pub mod onelogin;
mod server;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::company::{Company, Group, Status, User};
pub(crate) use self::engine::{Charge, Engine, Refusal, Standing, Vendor, repeats_page};

/// Fault for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many requests, in the vendor's format and headers.
    Limited,
    /// Internal server error.
    Internal,
    /// The connection ends without an answer.
    Reset,
    /// The answer breaks off half-way.
    Cut,
    /// The answer is not JSON.
    NoJson,
    /// The vendor's own error, with the status 200.
    ErrorInOk,
    /// Every access token issued so far is invalidated. A permanent one is revoked.
    ExpiredToken,
    /// The link to the next page refers to this one.
    RepeatedPage,
    /// The page token or link is refused, as after its expiry.
    ExpiredPage,
    /// Some properties that the vendor's schema allows to be null or absent are, chosen by this seed.
    Nulls(u64),
    /// A refusal that repeats the request, including its headers.
    Echo,
    /// Every number, in headers and in the answer, is the largest possible.
    Extremes,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 8] = [
        Self::Limited,
        Self::Internal,
        Self::Reset,
        Self::Cut,
        Self::NoJson,
        Self::ErrorInOk,
        Self::ExpiredToken,
        Self::RepeatedPage,
    ];
}

/// Quota of requests (or their cost) in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Amount.
    pub most: u64,
    /// Length of a window, in whole seconds.
    pub window: Duration,
}

/// PEM files with a certificate (and its chain), and with its key.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate.
    pub certificate: PathBuf,
    /// Key.
    pub key: PathBuf,
}

/// Behaviour of a cloud.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Port to listen on; 0 for any free port.
    pub listen: SocketAddr,
    /// TLS certificate; plain HTTP if `None`.
    pub tls: Option<Tls>,
    /// Largest page, whatever is requested.
    pub page: usize,
    /// Quota; the vendor's documented limits if `None`.
    pub quota: Option<Quota>,
    /// Latency of each answer.
    pub latency: Duration,
    /// Faults by number of the request, starting at 0.
    pub faults: HashMap<usize, Fault>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            page: usize::MAX,
            quota: None,
            latency: Duration::ZERO,
            faults: HashMap::new(),
        }
    }
}

/// Running cloud. It ends when dropped.
#[derive(Debug)]
pub struct Cloud {
    address: SocketAddr,
    scheme: &'static str,
    engine: Arc<Engine>,
    server: JoinHandle<()>,
}

impl Cloud {
    /// Starts listening.
    pub(crate) async fn start<V: Vendor>(vendor: V, behaviour: Behaviour) -> io::Result<Self> {
        let tls = behaviour.tls.as_ref().map(server::acceptor).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(behaviour.listen).await?;
        let address = listener.local_addr()?;
        let engine = Arc::new(Engine::new(behaviour, format!("{scheme}://{address}")));
        let server = tokio::spawn(server::serve(listener, tls, Arc::new(vendor), Arc::clone(&engine)));
        Ok(Self { address, scheme, engine, server })
    }

    /// Base of its addresses, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Number of requests so far.
    pub fn requests(&self) -> usize {
        self.engine.requests()
    }

    /// Method and path with query of each request so far, in order.
    pub fn log(&self) -> Vec<String> {
        self.engine.log()
    }

    /// Number of requests by HTTP/2.
    pub fn by_http2(&self) -> usize {
        self.engine.by_http2()
    }

    /// Number of times a limit was exceeded.
    pub fn exceeded(&self) -> usize {
        self.engine.exceeded()
    }

    /// Least time in which all requests so far were possible under the limits, wherever their windows begin.
    pub fn least_time(&self) -> Duration {
        self.engine.least_time()
    }

    /// Invalidates every access token issued so far.
    pub fn expire_tokens(&self) {
        self.engine.expire_tokens();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.server.abort();
    }
}
