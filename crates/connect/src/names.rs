//! Addresses of hosts, by name: one way for the directory, the organization and alerts.

use std::io;
use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::TcpStream;

/// Addresses of a host as the system knows them: from `/etc/hosts`, then from DNS.
pub(crate) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if cfg!(target_env = "musl") {
        let found = of_either_kind(host, port).await;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// Addresses for IPv4 and IPv6, whichever there are. musl, the C library of static programs, fails after its time limit where a server
/// answers for IPv4 and refuses to for IPv6; glibc and this take what there is.
async fn of_either_kind(host: &str, port: u16) -> Vec<SocketAddr> {
    let Ok(mut builder) = TokioResolver::builder_tokio() else { return Vec::new() };
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    let Ok(resolver) = builder.build() else { return Vec::new() };
    let found = resolver.lookup_ip(host).await;
    found
        .map(|found| found.iter().map(|address| SocketAddr::new(address, port)).collect())
        .unwrap_or_default()
}

/// Connects to the first address of a host that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    TcpStream::connect(addresses(host, port).await?.as_slice()).await
}

/// The same for HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostNames;

impl Resolve for HostNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is that of the address asked for.
            let found: Addrs = Box::new(addresses(name.as_str(), 0).await?.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_has_an_address_and_an_unknown_one_an_error() {
        let here = addresses("localhost", 389).await.unwrap();
        assert!(here.iter().all(|address| address.ip().is_loopback() && address.port() == 389), "{here:?}");
        assert!(!here.is_empty());
        assert!(addresses("nowhere.invalid", 389).await.is_err());
    }

    #[tokio::test]
    async fn a_static_program_finds_the_same() {
        let here = of_either_kind("localhost", 389).await;
        assert!(!here.is_empty() && here.iter().all(|address| address.ip().is_loopback()), "{here:?}");
        assert_eq!(of_either_kind("192.0.2.7", 636).await, [SocketAddr::from(([192, 0, 2, 7], 636))]);
    }
}
