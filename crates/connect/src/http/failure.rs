//! Requests without an answer, reported so that somebody can act on it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use reqwest::Url;

use super::backoff::Backoff;
use super::{HttpRequest, Repeat};
use crate::tls;
use crate::{Error, ErrorKind};

/// Reason why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Error of the HTTP library.
    Library(reqwest::Error),
    /// Answer larger than any expected one.
    TooLarge,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Library(error.without_url())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => f.write_str(&innermost(error)),
            Self::TooLarge => f.write_str("the answer is too large"),
        }
    }
}

impl Failure {
    /// Whether another try may succeed. TLS that fails once fails again, and so does an invalid request.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Library(error) => tls_error(error).is_none() && !error.is_builder(),
            Self::TooLarge => false,
        }
    }
}

impl Failure {
    /// Whether the other side cannot have the whole request: there was no connection, or it broke while the request was being sent.
    pub(super) fn did_not_arrive(&self) -> bool {
        let Self::Library(error) = self else { return false };
        error.is_connect() || is_write_error(error)
    }
}

/// Whether writing failed with a broken pipe (write(2), EPIPE): the last bytes were not sent.
fn is_write_error(error: &reqwest::Error) -> bool {
    let io = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Last cause in the chain, which is the message of the other side or the system.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(unwrapped)
}

/// Cause inside an IO error, which hides it from `source()`; several may be nested.
fn unwrapped<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref().or_else(|| unwrapped(cause.downcast_ref::<std::io::Error>()?.get_ref()?))
}

/// Error for the caller.
pub(super) fn error_for(
    attempted: &str,
    failure: &Failure,
    request: &HttpRequest,
    backoff: &Backoff,
) -> Error {
    let place = place(&request.url);
    let tried = match backoff.attempts {
        0 | 1 => String::new(),
        n => format!(" (tried {n} times in {} s)", backoff.elapsed.as_secs()),
    };
    let reason = format!("{place}: {failure}{tried}");
    match failure {
        Failure::TooLarge => Error::new(ErrorKind::Data, attempted, reason).hint("Check the server's URL."),
        Failure::Library(error) => match tls_error(error) {
            Some(tls) => Error::new(ErrorKind::Tls, attempted, reason).hint(tls::hint(
                tls,
                "set BWDC_CA_FILE to the authority's PEM file (or NODE_EXTRA_CA_CERTS)",
                "the server's URL",
            )),
            None if request.repeat != Repeat::Always && !failure.did_not_arrive() => {
                Error::new(ErrorKind::Unclear, attempted, reason).hint(UNCLEAR)
            }
            None => Error::new(ErrorKind::Unreachable, attempted, reason).hint(network_hint(error)),
        },
    }
}

/// Error for a limit that is used up and will be renewed too late to wait for it.
pub(super) fn used_up(attempted: &str, url: &Url, wait: Duration) -> Error {
    let reason = format!(
        "{}: the limit on requests is used up; it is renewed in {} minutes",
        place(url),
        wait.as_secs().div_ceil(60)
    );
    Error::new(ErrorKind::Unreachable, attempted, reason)
        .hint("Try again then. Something else may be using up the limit: other programs of the same account count, too.")
}

/// Advice if it is not known whether a request was carried out.
pub(crate) const UNCLEAR: &str = "It may have been done, or the server may still be working on it, so it was not sent a second time. The \
next run sends everything again. If this happens often, increase the timeout of the proxy in front of the server, \
or set sync.largeImport to true for smaller requests.";

fn network_hint(error: &reqwest::Error) -> &'static str {
    let says = |text: &str| causes(error).any(|cause| cause.to_string().to_lowercase().contains(text));
    if says("proxy") || says("tunnel") {
        "The proxy refused. Check HTTPS_PROXY, and NO_PROXY for servers that need none."
    } else if error.is_timeout() {
        "The server did not answer in time: try again later. A scheduled sync does so by itself."
    } else if error.is_connect() {
        "Check the server's URL, DNS, the firewall, and the proxy variables (HTTPS_PROXY, NO_PROXY)."
    } else {
        "The connection broke: try again later. A scheduled sync does so by itself."
    }
}

/// Host and port, for messages.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
