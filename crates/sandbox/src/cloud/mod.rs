//! The cloud directories, played on loopback: what they answer, page by page, their limits, and what goes wrong with them.
//!
//! A vendor is one file: its records, its routes and its words ([`okta`], for example). What all have in common is here: the
//! server, latency, limits that are counted, access tokens, and faults on purpose.

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

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many requests, in the vendor's words and headers.
    Limited,
    /// An error of the server's own.
    Internal,
    /// The connection ends without an answer.
    Reset,
    /// The answer breaks off half-way.
    Cut,
    /// The answer is no JSON.
    NoJson,
    /// The vendor's own error, with the status 200.
    ErrorInOk,
    /// Every access token that was given out so far is not accepted any more. One that lasts for ever is revoked.
    ExpiredToken,
    /// The next page is said to be this one.
    RepeatedPage,
    /// The way to this page is refused, as when its token has expired.
    ExpiredPage,
    /// What the vendor's schema allows to be null or absent is so here and there, by this seed.
    Nulls(u64),
    /// A refusal that repeats the request, with its headers and all.
    Echo,
    /// Every number, in headers and in the answer, is the largest that there is.
    Extremes,
}

impl Fault {
    /// Each of them.
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

/// Requests (or what they cost) in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub most: u64,
    /// How long a window is, in whole seconds.
    pub window: Duration,
}

/// A PEM file with a certificate (and its chain), and one with its key.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How a cloud behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Port to listen on; 0 for any free port.
    pub listen: SocketAddr,
    /// Plain HTTP if `None`.
    pub tls: Option<Tls>,
    /// The largest page, whatever is asked for.
    pub page: usize,
    /// The vendor's documented limits if `None`.
    pub quota: Option<Quota>,
    /// How long each answer takes.
    pub latency: Duration,
    /// What happens to which requests, by number from 0.
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

/// A running cloud. It ends when dropped.
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

    /// The base of its addresses, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.engine.requests()
    }

    /// Method and path with query of each request so far, in order.
    pub fn log(&self) -> Vec<String> {
        self.engine.log()
    }

    /// How many of the requests came by HTTP/2.
    pub fn by_http2(&self) -> usize {
        self.engine.by_http2()
    }

    /// How often a limit was exceeded.
    pub fn exceeded(&self) -> usize {
        self.engine.exceeded()
    }

    /// Makes every access token that was given out so far invalid.
    pub fn expire_tokens(&self) {
        self.engine.expire_tokens();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.server.abort();
    }
}
