//! Servers from DNS service records (RFC 2782): domain controllers publish `_ldap._tcp.<domain>`.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

use super::config::Config;
use crate::{Error, ErrorKind, Result};

/// Configured host: a server, or a service name that stands for several.
pub(super) fn is_service(host: &str) -> bool {
    host.starts_with('_')
}

/// Server named in a service record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    priority: u16,
    weight: u16,
}

/// Servers of a configuration, in the order in which to try them. The port is always the configured one: the records contain
/// that of plain LDAP only.
pub(super) async fn servers(config: &Config) -> Result<Vec<Config>> {
    let mut servers = Vec::new();
    for host in std::iter::once(&config.host).chain(&config.fallbacks) {
        let hosts = if is_service(host) { targets(host).await? } else { vec![host.clone()] };
        servers.extend(hosts.into_iter().map(|host| config.on(host)));
    }
    Ok(servers)
}

async fn targets(service: &str) -> Result<Vec<String>> {
    let attempted = || format!("Looking up the servers of {service} in the DNS");
    let failed = |reason: String| {
        Error::new(ErrorKind::Unreachable, attempted(), reason).hint(
            "Check ldap.hostname and this machine's name servers (`dig SRV NAME` shows their answer), or name the servers \
            themselves.",
        )
    };
    let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    let resolver = resolver.map_err(|error| failed(error.to_string()))?;
    // The trailing dot prevents the use of search domains.
    let name = format!("{}.", service.trim_end_matches('.'));
    let found = resolver.srv_lookup(name).await.map_err(|error| failed(error.to_string()))?;
    let targets = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => Some(Target {
            host: srv.target.to_utf8().trim_end_matches('.').to_owned(),
            priority: srv.priority,
            weight: srv.weight,
        }),
        _ => None,
    });
    let hosts = in_order(targets.collect(), |total| fastrand::u32(0..=total));
    let domain = domain(service);
    match hosts.iter().find(|host| !is_within(host, domain)) {
        // A forged answer must not get our password by presenting a valid certificate for another name.
        Some(stranger) => Err(failed(format!("{stranger} is not within the domain {domain}"))),
        None if hosts.is_empty() => Err(failed("there are none".to_owned())),
        None => Ok(hosts),
    }
}

/// Part after the labels that begin with an underscore, as in `_ldap._tcp.Site._sites.dc._msdcs.example.org`.
fn domain(service: &str) -> &str {
    let service = service.trim_end_matches('.');
    let labels = service.rmatch_indices('_').next().map_or(service, |(at, _)| &service[at..]);
    labels.split_once('.').map_or("", |(_, domain)| domain)
}

fn is_within(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_lowercase(), domain.to_lowercase());
    host == domain || host.ends_with(&format!(".{domain}"))
}

/// Sorts lower priorities first; equal ones at random, in proportion to the weights (RFC 2782, "Usage rules").
fn in_order(mut targets: Vec<Target>, pick: impl Fn(u32) -> u32) -> Vec<String> {
    // Those of weight 0 first, so that they have a small chance.
    targets.sort_by_key(|target| (target.priority, target.weight, target.host.clone()));
    let mut hosts = Vec::with_capacity(targets.len());
    while let Some(priority) = targets.first().map(|target| target.priority) {
        let equals = targets.iter().take_while(|target| target.priority == priority);
        let total = equals.clone().map(|target| u32::from(target.weight)).sum();
        let picked = pick(total);
        let mut sum = 0;
        let at = equals
            .clone()
            .position(|target| {
                sum += u32::from(target.weight);
                sum >= picked
            })
            .unwrap_or(0);
        hosts.push(targets.remove(at).host);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, priority: u16, weight: u16) -> Target {
        Target { host: host.to_owned(), priority, weight }
    }

    #[test]
    fn priorities_come_first_and_weights_share_the_rest() {
        let targets =
            || vec![target("far", 10, 100), target("a", 0, 60), target("b", 0, 30), target("zero", 0, 0)];
        assert_eq!(in_order(targets(), |_| 0), ["zero", "b", "a", "far"]);
        assert_eq!(in_order(targets(), |total| total), ["a", "b", "zero", "far"]);
        assert_eq!(in_order(targets(), |total| total / 2), ["a", "b", "zero", "far"]);
        assert!(in_order(Vec::new(), |_| 0).is_empty());
    }

    #[test]
    fn a_service_belongs_to_a_domain() {
        for (service, expected) in [
            ("_ldap._tcp.example.org", "example.org"),
            ("_ldap._tcp.dc._msdcs.example.org.", "example.org"),
            ("_ldap._tcp.Site_1._sites.example.org", "example.org"),
        ] {
            assert_eq!(domain(service), expected);
        }
        assert!(is_within("DC1.Example.org", "example.org") && is_within("example.org", "example.org"));
        assert!(!is_within("dc1.badexample.org", "example.org") && !is_within("example.net", "example.org"));
    }
}
