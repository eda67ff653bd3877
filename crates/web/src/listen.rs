//! The listening end: an address of this machine, any other with TLS and a password, or a socket.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::{Extension, Router};
use bwdc_config::installation::WebAddress;
use bwdc_core::error::{Error, Result};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::commands::Runner;
use crate::drafts::Drafts;
use crate::guesses::{Guesses, Source};
use crate::home::Home;
use crate::pages::overview::StatusCache;
use crate::password::Verifier;
use crate::security::{Hosts, Transport};
use crate::sessions::Sessions;
use crate::tasks::Tasks;
use crate::tls::Certificate;
use crate::visit::cookie_name;
use crate::{Access, Machine, Site, WebUser, pages};

/// More connections at once than a handful of browsers have; one more ends the oldest.
const MOST_CONNECTIONS: usize = 128;
/// How long a request may take to arrive, and a connection to wait for the next one.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection may last in all.
const LONGEST: Duration = Duration::from_secs(600);
/// Octets of a request's head.
const LARGEST_HEAD: usize = 32 * 1024;

/// Who may connect to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketAccess {
    /// The owner alone.
    Owner,
    /// The owner and the group of the folder.
    Group,
}

/// A page that listens.
pub struct Server {
    site: Arc<Site>,
    listener: Listener,
    certificate: Option<Arc<Certificate>>,
    url: String,
}

enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Socket(tokio::net::UnixListener, PathBuf),
}

/// Begins to listen. Whoever connects waits for [`Server::run`].
///
/// # Errors
/// The address may not be used without TLS and a password, is in use, or the folder cannot be written.
pub async fn listen(access: Access, machine: Machine) -> Result<Server> {
    check(&access, &(machine.users)()?)?;
    let Access { address, hosts, certificate, socket } = access;
    let certificate = certificate.map(Certificate::load).transpose()?.map(Arc::new);
    let transport = if certificate.is_some() { Transport::Tls } else { Transport::Plain };
    let listener = Listener::open(&address, socket).await?;
    let address = listener.address(address);
    let home = Home::prepare(&machine.homes)?;
    let url = url(&address, &hosts, transport);
    home.announce(&url)?;
    let runner = Arc::new(Runner::new(machine.program.clone())?);
    let site = Site {
        hosts: Hosts::of(&address, &hosts),
        cookie: cookie_name(&address, transport),
        login_secret: crate::sessions::random(),
        transport,
        sessions: Sessions::default(),
        guesses: Guesses::default(),
        verifier: Verifier::new()?,
        tasks: Arc::new(Tasks::new(home.reports())),
        home,
        drafts: Drafts::default(),
        runner,
        status: StatusCache::default(),
        machine,
    };
    Ok(Server { site: Arc::new(site), listener, certificate, url })
}

/// Refuses to be reached from other machines without TLS and a password.
fn check(access: &Access, users: &[WebUser]) -> Result<()> {
    let WebAddress::Tcp(address) = &access.address else { return Ok(()) };
    if address.ip().is_loopback() {
        return Ok(());
    }
    let missing = match (&access.certificate, users) {
        (None, _) => "TLS: set web.certificate and web.key",
        (Some(_), []) => "a password: add [web.user.NAME] with what `bwdc web password` prints",
        (Some(_), _) => return Ok(()),
    };
    Err(Error::new(format!(
        "The page is not served on {address}: other machines can reach it, and there is no {missing}."
    ))
    .hint(
        "Or listen on 127.0.0.1 and reach it by a tunnel: ssh -L 8444:127.0.0.1:8444 HOST. See docs/web.md.",
    ))
}

/// As a browser is given it: by the first name, if there is one.
fn url(address: &WebAddress, hosts: &[String], transport: Transport) -> String {
    let scheme = transport.scheme();
    match (address, hosts.first()) {
        (WebAddress::Socket(_), name) => format!("{scheme}://{}", name.map_or("localhost", String::as_str)),
        (WebAddress::Tcp(address), Some(name)) if !address.ip().is_loopback() => {
            format!("{scheme}://{name}:{}", address.port())
        }
        (WebAddress::Tcp(address), _) => format!("{scheme}://{address}"),
    }
}

impl Listener {
    async fn open(address: &WebAddress, access: SocketAccess) -> Result<Self> {
        match address {
            WebAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await;
                listener.map(Self::Tcp).map_err(|error| {
                    Error::new(format!("Listening on {address} for the page: {error}"))
                        .hint("Choose another port with --listen, such as 127.0.0.1:8445.")
                })
            }
            WebAddress::Socket(path) => Self::socket(path, access).await,
        }
    }

    #[cfg(unix)]
    async fn socket(path: &Path, access: SocketAccess) -> Result<Self> {
        use std::fs;
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        let attempted = |error: std::io::Error| {
            Error::new(format!("Listening at {} for the page: {error}", path.display()))
                .hint("Choose a path in a folder that this user can write to.")
        };
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(Error::new(format!("Another program answers at {}.", path.display()))
                .hint("Stop it first, or choose another path."));
        }
        // What nobody answers at any more; nothing but a socket is removed.
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path).map_err(attempted)?;
        }
        let listener = bound_for_owner(path).map_err(attempted)?;
        let mode = match access {
            SocketAccess::Owner => 0o600,
            SocketAccess::Group => 0o660,
        };
        if access == SocketAccess::Group {
            give_to_group_of_folder(path).map_err(attempted)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(attempted)?;
        Ok(Self::Socket(listener, path.to_owned()))
    }

    #[cfg(not(unix))]
    async fn socket(path: &Path, _access: SocketAccess) -> Result<Self> {
        Err(Error::new(format!("{} is no address.", path.display()))
            .hint("On this system, listen on an address and a port, such as 127.0.0.1:8444."))
    }

    /// The address itself where any free port was asked for.
    fn address(&self, asked: WebAddress) -> WebAddress {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or(asked, WebAddress::Tcp),
            #[cfg(unix)]
            Self::Socket(..) => asked,
        }
    }

    async fn accept(&self) -> std::io::Result<(Connection, Source)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer): (TcpStream, SocketAddr) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Connection::Tcp(stream), Source::of(peer.ip())))
            }
            #[cfg(unix)]
            Self::Socket(listener, _) => Ok((Connection::Socket(listener.accept().await?.0), Source::Socket)),
        }
    }
}

#[cfg(unix)]
fn give_to_group_of_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = std::fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
    std::os::unix::fs::chown(path, None, Some(folder.gid()))
}

/// A socket that nobody but its owner could connect to at any time.
#[cfg(unix)]
fn bound_for_owner(path: &Path) -> std::io::Result<tokio::net::UnixListener> {
    use rustix::fs::Mode;
    use rustix::process::umask;
    let before = umask(Mode::RWXG | Mode::RWXO);
    let bound = tokio::net::UnixListener::bind(path);
    umask(before);
    bound
}

enum Connection {
    Tcp(TcpStream),
    #[cfg(unix)]
    Socket(tokio::net::UnixStream),
}

impl Server {
    /// Address for a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes that are under way, for whoever is about to end the process.
    pub fn changes(&self) -> Changes {
        Changes(Arc::clone(&self.site.tasks))
    }

    /// Answers until it is dropped.
    pub async fn run(self) {
        tracing::info!(url = self.url, "the page is served");
        let routes = pages::routes(Arc::clone(&self.site));
        let mut connections: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            match self.listener.accept().await {
                Ok((connection, source)) => {
                    connections.retain(|connection| !connection.is_finished());
                    if connections.len() >= MOST_CONNECTIONS
                        && let Some(oldest) = connections.pop_front()
                    {
                        oldest.abort();
                        tokio::task::yield_now().await;
                    }
                    let routes = routes.clone().layer(Extension(source));
                    let talk = converse(connection, routes, self.certificate.clone());
                    connections.push_back(tokio::spawn(talk).abort_handle());
                }
                Err(error) => {
                    tracing::warn!(%error, "a request for the page was not accepted");
                    connections.drain(..).for_each(|connection| connection.abort());
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Syncs and other changes that the page has started.
pub struct Changes(Arc<Tasks>);

impl Changes {
    /// Waits until none is under way: to end the process would cut them off.
    pub async fn ended(&self) {
        if self.0.is_changing() {
            tracing::info!("the page waits for a change that is under way");
        }
        while self.0.is_changing() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.site.home.retire();
        #[cfg(unix)]
        if let Listener::Socket(_, path) = &self.listener {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// One type for all connections, so that the program has one HTTP server and not one for each.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn converse(connection: Connection, routes: Router, certificate: Option<Arc<Certificate>>) {
    let stream: Box<dyn Stream> = match (connection, certificate) {
        (Connection::Tcp(stream), None) => Box::new(stream),
        (Connection::Tcp(stream), Some(certificate)) => {
            match timeout(PATIENCE, certificate.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => Box::new(stream),
                Ok(Err(error)) => return tracing::debug!(%error, "somebody came for the page without TLS"),
                Err(_) => return tracing::debug!("somebody came for the page and said nothing"),
            }
        }
        #[cfg(unix)]
        (Connection::Socket(stream), _) => Box::new(stream),
    };
    answer(stream, routes).await;
}

async fn answer(stream: Box<dyn Stream>, routes: Router) {
    let began = Instant::now();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    if let Ok(Err(error)) = timeout(LONGEST, connection).await {
        tracing::debug!(%error, seconds = began.elapsed().as_secs(), "a browser went in the middle of something");
    }
}
