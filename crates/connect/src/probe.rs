//! Checks of a network address step by step, so that the first step that fails names the cause: name, connection,
//! certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Error, ErrorKind, Result, names};

/// Time limit for each step.
const LIMIT: Duration = Duration::from_secs(10);
/// Remaining lifetime of a certificate below which there is a warning.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Single check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Subject of the check, in a few words.
    pub what: String,
    /// Result.
    pub outcome: CheckOutcome,
}

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// As it should be, with details.
    Good(String),
    /// It works, but somebody should look at it.
    Doubtful {
        /// Details.
        found: String,
        /// Advice.
        next_step: String,
    },
    /// It does not work. Later steps were not checked.
    Bad(Error),
}

impl Check {
    /// Makes a check with a good result.
    pub fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), outcome: CheckOutcome::Good(found.into()) }
    }

    /// Makes a check with a warning.
    pub fn doubtful(what: impl Into<String>, found: impl Into<String>, next_step: impl Into<String>) -> Self {
        let outcome = CheckOutcome::Doubtful { found: found.into(), next_step: next_step.into() };
        Self { what: what.into(), outcome }
    }

    /// Makes a check that failed.
    pub fn bad(what: impl Into<String>, error: Error) -> Self {
        Self { what: what.into(), outcome: CheckOutcome::Bad(error) }
    }

    /// Turns a failure into a warning.
    #[must_use]
    pub fn doubtful_if_bad(self) -> Self {
        match self.outcome {
            CheckOutcome::Bad(error) => {
                let next_step = error.next_step().unwrap_or_default().to_owned();
                Self::doubtful(self.what, error.to_string(), next_step)
            }
            _ => self,
        }
    }

    /// Whether the following steps are worth checking.
    pub fn is_bad(&self) -> bool {
        matches!(self.outcome, CheckOutcome::Bad(_))
    }
}

/// Protection of a connection.
#[derive(Clone, Debug)]
pub enum ProbeProtection {
    /// None.
    None,
    /// From the first byte.
    Tls(Arc<rustls::ClientConfig>),
    /// After LDAP's StartTLS (RFC 4511, section 4.14).
    LdapStartTls(Arc<rustls::ClientConfig>),
}

/// Address on the network.
#[derive(Clone, Debug)]
pub struct ProbeTarget<'a> {
    /// Name, such as "LDAP server".
    pub name: &'a str,
    /// Host name or address, without brackets.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Protection.
    pub protection: ProbeProtection,
    /// Settings for host and port, for advice.
    pub settings: &'a str,
    /// Advice on adding its authority.
    pub name_the_ca: &'a str,
}

impl ProbeTarget<'_> {
    /// Checks name, connection and certificate, up to the first that fails.
    pub async fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let (check, addresses) = self.name().await;
        checks.push(check);
        if addresses.is_empty() {
            return checks;
        }
        match self.connection(&addresses).await {
            Ok((stream, address)) => {
                checks.push(Check::good(format!("{}: connection", self.name), format!("{address} answers")));
                checks.extend(self.certificate(stream).await);
            }
            Err(error) => checks.push(Check::bad(format!("{}: connection", self.name), error)),
        }
        checks
    }

    async fn name(&self) -> (Check, Vec<SocketAddr>) {
        let what = format!("{}: name", self.name);
        let attempted = format!("Looking up {}", self.host);
        let failed = |reason: String| {
            let hint =
                format!("Check {} and this machine's DNS (`getent hosts {}`).", self.settings, self.host);
            Check::bad(&what, Error::new(ErrorKind::Unreachable, &attempted, reason).hint(hint))
        };
        match timeout(LIMIT, names::addresses(self.host, self.port)).await {
            Err(_) => (failed(silence()), Vec::new()),
            Ok(Err(error)) => (failed(error.to_string()), Vec::new()),
            Ok(Ok(addresses)) => {
                if addresses.is_empty() {
                    return (failed("the name has no address".to_owned()), addresses);
                }
                let list: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
                (Check::good(&what, format!("{} is {}", self.host, list.join(", "))), addresses)
            }
        }
    }

    async fn connection(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr)> {
        let mut failed = None;
        for address in addresses {
            let attempted = format!("Connecting to {address}");
            match timeout(LIMIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((stream, *address)),
                Ok(Err(error)) => failed = Some(self.no_connection(attempted, &error)),
                Err(_) => {
                    let error = io::Error::new(io::ErrorKind::TimedOut, silence());
                    failed = Some(self.no_connection(attempted, &error));
                }
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(ErrorKind::Unreachable, "Connecting", "there is no address")))
    }

    fn no_connection(&self, attempted: String, error: &io::Error) -> Error {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!(
                    "Nothing is listening on port {}: check {}, and that the server is running.",
                    self.port, self.settings
                )
            }
            _ => format!("Check {}, the route and the firewalls in between.", self.settings),
        };
        Error::new(ErrorKind::Unreachable, attempted, error).hint(hint)
    }

    async fn certificate(&self, mut stream: TcpStream) -> Option<Check> {
        let what = format!("{}: certificate", self.name);
        let config = match &self.protection {
            ProbeProtection::None => return None,
            ProbeProtection::Tls(config) => config,
            ProbeProtection::LdapStartTls(config) => {
                if let Err(error) = start_tls(&mut stream).await {
                    return Some(Check::bad(what, error));
                }
                config
            }
        };
        Some(match self.handshake(stream, Arc::clone(config)).await {
            Ok(chain) => described(&what, &chain),
            Err(error) => Check::bad(what, error),
        })
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<Vec<CertificateDer<'static>>> {
        let attempted = format!("Setting up TLS with {}:{}", self.host, self.port);
        let name = ServerName::try_from(self.host.to_owned())
            .map_err(|error| Error::new(ErrorKind::Configuration, &attempted, error))?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let mut stream = timeout(LIMIT, connector.connect(name, stream))
            .await
            .map_err(|_| {
                Error::new(ErrorKind::Tls, &attempted, silence())
                    .hint(format!("The port may not speak TLS: check {}.", self.settings))
            })?
            .map_err(|error| self.of_tls(&attempted, &error))?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
        Ok(chain)
    }

    fn of_tls(&self, attempted: &str, error: &io::Error) -> Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Error::new(ErrorKind::Tls, attempted, tls).hint(crate::tls::hint(
                tls,
                self.name_the_ca,
                self.settings,
            )),
            None => Error::new(ErrorKind::Tls, attempted, error)
                .hint(format!("The port may not speak TLS: check {}.", self.settings)),
        }
    }
}

fn silence() -> String {
    format!("no answer within {} s", LIMIT.as_secs())
}

/// Sends an ExtendedRequest 1.3.6.1.4.1.1466.20037 as message 1, and checks that the answer's result code is success.
async fn start_tls(stream: &mut TcpStream) -> Result<()> {
    const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    const SUCCESS: &[u8] = b"\x0a\x01\x00";
    let failed = |reason: String| {
        Error::new(ErrorKind::Tls, "Asking for StartTLS", reason).hint(
            "The server does not offer StartTLS on this port. Set ldap.startTls to false for LDAPS (usually port 636), or have \
            TLS set up on the server.",
        )
    };
    let mut answer = [0; 1024];
    let exchange = async {
        stream.write_all(REQUEST).await?;
        stream.read(&mut answer).await
    };
    let read = timeout(LIMIT, exchange).await.map_err(|_| failed(silence()))?;
    let read = read.map_err(|error| failed(error.to_string()))?;
    if answer[..read].windows(SUCCESS.len()).any(|part| part == SUCCESS) {
        return Ok(());
    }
    Err(failed("the server refused".to_owned()))
}

fn described(what: &str, chain: &[CertificateDer<'_>]) -> Check {
    let parsed = chain.first().and_then(|first| x509_parser::parse_x509_certificate(first).ok());
    let Some((_, first)) = parsed else {
        return Check::good(what, "accepted");
    };
    let expires = Timestamp::from_second(first.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX);
    let found = format!(
        "{}, issued by {}, expires {} (in {} days); {} in the chain",
        first.subject(),
        first.issuer(),
        expires.strftime("%Y-%m-%d"),
        expires.duration_since(Timestamp::now()).as_hours() / 24,
        chain.len()
    );
    if ends_soon(expires) {
        return Check::doubtful(what, found, "Have the server's certificate renewed before it expires.");
    }
    Check::good(what, found)
}

/// Whether something with this end is worth a warning now.
pub(crate) fn ends_soon(at: Timestamp) -> bool {
    at.duration_since(Timestamp::now()) < EXPIRES_SOON
}

/// Proxy for requests to a URL, by the standard variables: host and port only.
pub fn proxy_for(url: &Url) -> Option<String> {
    let uri: http::Uri = url.as_str().parse().ok()?;
    let proxy = hyper_util::client::proxy::matcher::Matcher::from_env().intercept(&uri)?;
    let uri = proxy.uri();
    Some(match uri.port_u16() {
        Some(port) => format!("{}:{port}", uri.host().unwrap_or_default()),
        None => uri.host().unwrap_or_default().to_owned(),
    })
}
