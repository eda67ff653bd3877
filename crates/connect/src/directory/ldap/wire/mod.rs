//! Connection to an LDAP server: octets in, messages out. One operation at a time.

mod ber;
mod entry;
#[cfg(feature = "kerberos")]
mod kerberos;
mod message;

use std::cmp::Ordering;
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::mask;

use self::ber::Header;
pub(crate) use self::ber::{Writer, tag};
pub(crate) use self::entry::{Entry, text};
#[cfg(test)]
pub(crate) use self::message::played;
use self::message::{Answer, Request, Role, TooLong, decode, too_long};
pub(crate) use self::message::{Control, Criticality, Depth, Outcome, SearchMessage};

/// Longest value of an attribute; addresses, names and ids are shorter.
pub(crate) const LONGEST_VALUE: usize = 1024 * 1024;

/// Longest message; a group with a million members is shorter.
const LONGEST_MESSAGE: usize = 512 * 1024 * 1024;

/// Number of octets read at once.
const READ: usize = 64 * 1024;

/// Number of entries after which an answer counts as a long one.
const LONG_ANSWER: usize = 32;

/// How long to wait for more of a long answer. Servers send each entry by itself: waking up for each costs more than reading it, on both
/// sides. Not on Windows, where the shortest pause is 15 ms.
const GATHERING: Duration = Duration::from_millis(1);

/// Number of an unsolicited message: the server disconnects (RFC 4511, section 4.4.1).
const UNSOLICITED: u32 = 0;

/// Reason why a connection can no longer be used.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Reading or writing failed.
    Io(io::Error),
    /// It ended before the answer did.
    Cut,
    /// Nothing arrived for this long.
    Silence(Duration),
    /// The octets are not LDAP.
    Malformed,
    /// The server ended it, with a reason.
    Ended(Box<Outcome>),
    /// The server refuses StartTLS.
    StartTls(Box<Outcome>),
    /// A value of an entry is longer than [`LONGEST_VALUE`].
    TooLong(Box<TooLong>),
    /// The server's name is not one that a certificate could have.
    Name(String),
    /// Kerberos error, in the library's words.
    #[cfg(feature = "kerberos")]
    Kerberos(String),
}

impl From<ber::Malformed> for Broken {
    fn from(_: ber::Malformed) -> Self {
        Self::Malformed
    }
}

pub(crate) type Result<T> = std::result::Result<T, Broken>;

/// Protection of the connection.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// None.
    Plain,
    /// TLS from the first octet.
    Tls(Arc<ClientConfig>),
    /// TLS after a request (RFC 4511, section 4.14).
    StartTls(Arc<ClientConfig>),
}

/// Stream that the octets go through.
enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }
}

/// Open connection.
pub(crate) struct Wire {
    socket: Socket,
    /// Received octets, not examined yet from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// Number of the last request.
    id: u32,
    /// Operation that ends its answer.
    ends_with: u8,
    /// Number of entries and references in its answer so far.
    found: usize,
    /// Time the server may remain silent.
    silence: Duration,
    /// Channel binding (RFC 5929, `tls-server-end-point`): ties a login to this TLS connection.
    #[cfg(feature = "kerberos")]
    end_point: Option<Vec<u8>>,
}

/// Result of a search before its end.
pub(crate) enum SearchItem<'a> {
    /// Entry.
    Entry(Entry<'a>),
    /// Servers that hold the same other part of the tree.
    Reference(Vec<String>),
    /// End.
    Done(Outcome),
}

impl Wire {
    /// Makes an LDAP connection from a TCP connection to this host.
    pub(crate) async fn open(
        stream: TcpStream,
        protection: &Protection,
        host: &str,
        silence: Duration,
    ) -> Result<Self> {
        let plain = Self {
            socket: Socket::Plain(stream),
            buffer: Vec::new(),
            start: 0,
            id: 0,
            ends_with: 0,
            found: 0,
            silence,
            #[cfg(feature = "kerberos")]
            end_point: None,
        };
        match protection {
            Protection::Plain => Ok(plain),
            Protection::Tls(config) => plain.with_tls(config, host).await,
            Protection::StartTls(config) => plain.start_tls().await?.with_tls(config, host).await,
        }
    }

    async fn start_tls(mut self) -> Result<Self> {
        let outcome = self.ask(&Request::StartTls).await?;
        if outcome.code != 0 {
            return Err(Broken::StartTls(Box::new(outcome)));
        }
        // Anything injected before TLS must not count as received inside it.
        if self.start < self.buffer.len() { Err(Broken::Malformed) } else { Ok(self) }
    }

    async fn with_tls(self, config: &Arc<ClientConfig>, host: &str) -> Result<Self> {
        let Socket::Plain(stream) = self.socket else { return Ok(self) };
        let host = host.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Broken::Name(error.to_string()))?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await.map_err(Broken::Io)?;
        Ok(Self {
            #[cfg(feature = "kerberos")]
            end_point: kerberos::end_point(&stream),
            socket: Socket::Tls(Box::new(stream)),
            ..self
        })
    }

    /// Logs in with a name and a password.
    pub(crate) async fn simple_bind(&mut self, name: &str, password: &str) -> Result<Outcome> {
        mask::sent(password);
        self.ask(&Request::Simple { name, password }).await
    }

    /// Logs in with the identity in the client certificate (RFC 4422, appendix A).
    pub(crate) async fn external_bind(&mut self) -> Result<Outcome> {
        self.ask(&Request::Sasl { mechanism: "EXTERNAL", credentials: Some(b"") }).await
    }

    /// Starts a search; [`Self::found`] returns its results.
    pub(crate) async fn search(&mut self, search: &SearchMessage<'_>, controls: &[Control]) -> Result<()> {
        self.send(&Request::Search(search), controls).await
    }

    /// Next result of the search.
    pub(crate) async fn found(&mut self) -> Result<SearchItem<'_>> {
        let message = loop {
            let message = self.message().await?;
            if self.is_for_us(message.clone())? {
                break message;
            }
        };
        self.found += 1;
        Ok(match decode(&self.buffer[message])? {
            Answer::Entry(entry) => SearchItem::Entry(entry),
            Answer::Reference(servers) => SearchItem::Reference(servers),
            Answer::Done(outcome) => SearchItem::Done(outcome),
        })
    }

    /// Unbinds; whether the server receives it does not matter.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            self.send(&Request::Unbind, &[]).await?;
            self.socket.shutdown().await.map_err(Broken::Io)
        };
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }

    /// Outcome of a request that is not a search.
    async fn ask(&mut self, request: &Request<'_>) -> Result<Outcome> {
        self.send(request, &[]).await?;
        match self.found().await? {
            SearchItem::Done(outcome) => Ok(outcome),
            SearchItem::Entry(_) | SearchItem::Reference(_) => Err(Broken::Malformed),
        }
    }

    async fn send(&mut self, request: &Request<'_>, controls: &[Control]) -> Result<()> {
        self.id += 1;
        self.ends_with = request.ends_with();
        self.found = 0;
        let message = zeroize::Zeroizing::new(request.encoded(self.id, controls));
        let sent = timeout(self.silence, self.socket.write(&message)).await;
        sent.map_err(|_| Broken::Silence(self.silence))?.map_err(cut_or)
    }

    /// Whether a message belongs to the answer of the last request. Answers to earlier requests are leftovers.
    fn is_for_us(&self, message: Range<usize>) -> Result<bool> {
        let octets = &self.buffer[message];
        let (id, operation) = message::kind(octets)?;
        match id.cmp(&self.id) {
            _ if id == UNSOLICITED => Err(Broken::Ended(Box::new(message::goodbye(octets)?))),
            Ordering::Less => Ok(false),
            Ordering::Equal => Ok(message::role(operation, self.ends_with)? == Role::Part),
            Ordering::Greater => Err(Broken::Malformed),
        }
    }

    /// Position of the next message in the buffer.
    async fn message(&mut self) -> Result<Range<usize>> {
        let mut looked_at = LONGEST_VALUE;
        loop {
            let here = &self.buffer[self.start..];
            if let Some(header) = Header::read(here)? {
                let length = header.end()?;
                if header.tag != tag::SEQUENCE || length > LONGEST_MESSAGE {
                    return Err(Broken::Malformed);
                }
                if let Some(end) = self.start.checked_add(length).filter(|end| *end <= self.buffer.len()) {
                    let message = self.start..end;
                    self.start = end;
                    refuse_long_values(length, &self.buffer[message.clone()])?;
                    return Ok(message);
                }
                if here.len() >= looked_at {
                    refuse_long_values(length, here)?;
                    looked_at = here.len() * 2;
                }
            }
            self.read().await?;
        }
    }

    /// Waits for octets.
    async fn read(&mut self) -> Result<()> {
        // The rest is the beginning of one message.
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(READ);
        let read = gathered(self.socket.read(&mut self.buffer), self.found);
        let read = timeout(self.silence, read).await;
        match read.map_err(|_| Broken::Silence(self.silence))?.map_err(cut_or)? {
            0 => Err(Broken::Cut),
            _ => Ok(()),
        }
    }
}

/// Reads what is there at once. Where nothing is, in the middle of a long answer, it waits a moment, so that more arrives; `found` is the
/// number of entries so far.
async fn gathered(read: impl Future<Output = io::Result<usize>>, found: usize) -> io::Result<usize> {
    let mut read = pin!(read);
    if found >= LONG_ANSWER && !cfg!(windows) {
        if let Poll::Ready(read) = poll!(&mut read) {
            return read;
        }
        sleep(GATHERING).await;
    }
    read.await
}

/// A message shorter than the longest value cannot contain one that is too long.
fn refuse_long_values(length: usize, beginning: &[u8]) -> Result<()> {
    if length <= LONGEST_VALUE {
        return Ok(());
    }
    match too_long(beginning, LONGEST_VALUE) {
        Some(found) => Err(Broken::TooLong(Box::new(found))),
        None => Ok(()),
    }
}

/// A connection that is reset in the middle counts as cut, like one that ends there.
fn cut_or(error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Broken::Cut
        }
        _ => Broken::Io(error),
    }
}
