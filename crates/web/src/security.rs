//! What every request has to pass, and what every answer has in its head.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bwdc_config::installation::WebAddress;

use crate::Site;
use crate::visit::Refusal;

/// How browsers reach the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

impl Transport {
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

/// Names by which the page may be asked for: a name that somebody else's DNS has for this address is none of them.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
    addresses: Addresses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    /// This machine's own, and `localhost`: also the end of a tunnel, whatever its port.
    Loopback,
    /// This one.
    One(IpAddr),
    /// Each, as it listens on all: an address is nobody's name.
    Any,
}

impl Hosts {
    pub(crate) fn of(address: &WebAddress, names: &[String]) -> Self {
        let addresses = match address {
            WebAddress::Socket(_) => Addresses::Loopback,
            WebAddress::Tcp(address) if address.ip().is_loopback() => Addresses::Loopback,
            WebAddress::Tcp(address) if address.ip().is_unspecified() => Addresses::Any,
            WebAddress::Tcp(address) => Addresses::One(address.ip()),
        };
        let names = names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        Self { names, addresses }
    }

    fn has(&self, authority: &Authority) -> bool {
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        let is_known_address = |address: IpAddr| match self.addresses {
            Addresses::Loopback => address.is_loopback(),
            Addresses::One(own) => address == own,
            Addresses::Any => true,
        };
        let is_localhost = host == "localhost" && self.addresses != Addresses::Any;
        !authority.as_str().contains('@')
            && (self.names.contains(&host)
                || is_localhost && self.addresses == Addresses::Loopback
                || bare.parse().is_ok_and(is_known_address))
    }
}

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Refuses what comes from another page or by another name, and marks every answer.
pub(crate) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let response = match admitted(&site, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    marked(response, site.transport)
}

fn admitted(site: &Site, request: &Request) -> Result<(), Refusal> {
    let host = host(request).filter(|host| site.hosts.has(host));
    let Some(host) = host else {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "The page is not served by this name.",
            "Add the name to web.hosts in bwdc.toml if a proxy or a DNS name leads here.",
        ));
    };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && !is_from_a_neighbour(request) {
        return Ok(());
    }
    if is_from_elsewhere(request.headers(), &host, site.transport) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "The request came from another page.",
            "Open the page itself and try again. Behind a proxy, let it pass on the header Host.",
        ));
    }
    Ok(())
}

/// Whether a page of the same site and another origin asks for one of an instance: another port of this machine has our cookies, and some
/// of these pages start commands.
fn is_from_a_neighbour(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    request.uri().path().starts_with("/i/") && site == Some(b"same-site")
}

/// The one name that a request asks for.
fn host(request: &Request) -> Option<Authority> {
    let mut all = request.headers().get_all(HOST).iter();
    let named: Authority = all.next()?.to_str().ok()?.parse().ok()?;
    let is_one = all.next().is_none();
    let is_same = request.uri().authority().is_none_or(|authority| *authority == named);
    (is_one && is_same).then_some(named)
}

/// Whether a browser says that another page sent it. A proxy that ends TLS makes `https` of `http`.
fn is_from_elsewhere(headers: &HeaderMap, host: &Authority, transport: Transport) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return false };
    let schemes: &[&str] = if transport == Transport::Tls { &["https"] } else { &["http", "https"] };
    let is_ours =
        |scheme: &&str| origin.as_bytes().eq_ignore_ascii_case(format!("{scheme}://{host}").as_bytes());
    origins.next().is_some() || !schemes.iter().any(is_ours)
}

fn marked(mut response: Response, transport: Transport) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With `no-referrer`, browsers would send forms with the origin `null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("same-origin"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if transport == Transport::Tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(address: &str) -> Hosts {
        Hosts::of(&address.parse().unwrap(), &["BWDC.example.org".to_owned()])
    }

    #[test]
    fn only_our_own_names_are_answered() {
        for (address, good, bad) in [
            (
                "127.0.0.1:8444",
                "127.0.0.1:8444 localhost:9000 [::1]:8444 bwdc.example.org",
                "evil.example 192.0.2.1:8444 localhost.evil.example x@localhost",
            ),
            ("/run/bwdc/web.sock", "localhost 127.0.0.1:1", "evil.example 192.0.2.1"),
            ("192.0.2.1:443", "192.0.2.1 bwdc.example.org:443", "localhost 127.0.0.1 192.0.2.2 evil.example"),
            ("0.0.0.0:443", "192.0.2.1 10.0.0.1:443 BWDC.EXAMPLE.ORG.", "localhost evil.example"),
        ] {
            let hosts = hosts(address);
            for name in good.split(' ') {
                assert!(hosts.has(&name.parse().unwrap()), "{address} {name}");
            }
            for name in bad.split(' ') {
                assert!(!hosts.has(&name.parse().unwrap()), "{address} {name}");
            }
        }
    }

    #[test]
    fn other_pages_are_told_apart() {
        let host: Authority = "localhost:8444".parse().unwrap();
        let from = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_from_elsewhere(&pairs.collect(), &host, Transport::Plain)
        };
        assert!(
            !from(&[]) && !from(&[("origin", "http://localhost:8444"), ("sec-fetch-site", "same-origin")])
        );
        assert!(from(&[("origin", "null")]) && from(&[("origin", "http://localhost:9000")]));
        assert!(from(&[("origin", "https://evil.example")]));
        assert!(from(&[("sec-fetch-site", "cross-site")]) && from(&[("sec-fetch-site", "same-site")]));
    }
}
