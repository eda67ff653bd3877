//! The wire: connections, binds and searches that end with every entry or with an error.

use std::time::Duration;

use ldap3::asn1::{PL, StructureTag, parse_tag};
use ldap3::controls::{PagedResults, RawControl};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchOptions, StdStream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::config::{Bind, Config, Paging, Referrals, Security};
use super::failure;
use super::paging::{SIZES, Sight, Tally};
use crate::{Error, Kind, Result};

/// Longer values of an attribute are none that is asked for: addresses, names, ids.
const LONGEST_VALUE: usize = 1024 * 1024;

/// How long the server may work on one search, in seconds.
const SERVER_TIME_LIMIT: i32 = 300;

/// RFC 2696.
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// One entry as it came, without any assumption about its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The name, as the server spells it.
    pub(super) dn: String,
    /// Attribute descriptions, options included, with their values.
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Record {
    /// The values of an attribute, whatever the case of its name; those of a subtype such as `mail;lang-en` where there are no
    /// others (RFC 4512, section 2.5.2).
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        let find = |is_meant: &dyn Fn(&str) -> bool| {
            self.attributes.iter().find(|(description, values)| is_meant(description) && !values.is_empty())
        };
        let own = find(&|description| description.eq_ignore_ascii_case(name));
        let subtype = || {
            find(&|description| {
                description.split_once(';').is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(name))
            })
        };
        own.or_else(subtype).map_or(&[], |(_, values)| values)
    }

    /// The first value as text; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.values(name).first().map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// What to look for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// For messages: "users", "groups".
    pub(super) what: &'static str,
    /// Where the search starts.
    pub(super) base: String,
    /// How deep it goes.
    pub(super) scope: Scope,
    /// RFC 4515.
    pub(super) filter: String,
    /// Only these attributes are sent.
    pub(super) attributes: Vec<String>,
    /// Besides paging.
    pub(super) controls: Vec<RawControl>,
}

/// A bound connection.
pub(super) struct Connection<'a> {
    config: &'a Config,
    ldap: Ldap,
}

/// What a search brings besides entries: where the rest of the tree is said to be. Each is a list of servers that hold the same.
pub(super) type References = Vec<Vec<String>>;

/// Why a search came to no good end.
enum Ended {
    /// A smaller page may get round it.
    TooLarge(Error),
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Connection<'a> {
    /// Connects, protects the connection and binds.
    pub(super) async fn open(config: &'a Config) -> Result<Self> {
        let limit = config.timeouts.connect;
        let attempted = format!("Connecting to {}", config.url());
        let opened = timeout(limit, connect(config, &attempted)).await;
        let ldap = opened.map_err(|_| failure::no_answer(&attempted, limit))??;
        let mut connection = Self { config, ldap };
        connection.bind().await?;
        Ok(connection)
    }

    /// Of the server at the other end.
    pub(super) fn config(&self) -> &'a Config {
        self.config
    }

    async fn bind(&mut self) -> Result<()> {
        let who = self.config.bind.who();
        let attempted = format!("Logging in to {} as {who}", self.config.url());
        let limit = self.config.timeouts.silence;
        let bind = async {
            match &self.config.bind {
                Bind::Simple { username, password } => {
                    self.ldap.simple_bind(username, password.reveal()).await
                }
                Bind::External => self.ldap.sasl_external_bind().await,
                Bind::Kerberos => kerberos_bind(&mut self.ldap, &self.config.host).await,
            }
        };
        let answer = timeout(limit, bind)
            .await
            .map_err(|_| failure::no_answer(&attempted, limit))?
            .map_err(|error| failure::broken(&attempted, &error))?;
        failure::of_bind(&attempted, &answer)
    }

    /// Hands over every entry once, page after page. An error anywhere means that what was handed over is not all.
    pub(super) async fn search(
        &mut self,
        request: &Request,
        mut on_entry: impl FnMut(Record) -> Result<()>,
    ) -> Result<References> {
        let mut tally = Tally::default();
        let mut sizes = SIZES.into_iter();
        let mut refused = None;
        loop {
            let Some(size) = sizes.next() else {
                return Err(refused.unwrap_or_else(|| failure::malformed(request.what)));
            };
            match self.pages(request, size, &mut tally, &mut on_entry).await {
                Ok(references) => return Ok(references),
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::TooLarge(error)) => refused = Some(error),
            }
            tally.start_over();
        }
    }

    async fn pages(
        &mut self,
        request: &Request,
        size: i32,
        tally: &mut Tally,
        on_entry: &mut impl FnMut(Record) -> Result<()>,
    ) -> std::result::Result<References, Ended> {
        let mut references = Vec::new();
        let mut cookie = Vec::new();
        let mut page = 1;
        while let Some(next) =
            self.page(request, (size, cookie, page), tally, on_entry, &mut references).await?
        {
            tally.end_page().map_err(|reason| {
                Error::new(Kind::Incomplete, self.describe(request, page), reason).hint(
                    "Set ldap.pagedSearch to false, or ask the server's administrator. Nothing was imported.",
                )
            })?;
            cookie = next;
            page += 1;
        }
        Ok(references)
    }

    /// Whether anything matches, and where else it might.
    pub(super) async fn exists(&mut self, request: &Request) -> Result<(bool, References)> {
        let attempted = self.describe(request, 1);
        self.ldap.with_search_options(SearchOptions::new().sizelimit(1).timelimit(SERVER_TIME_LIMIT));
        if !request.controls.is_empty() {
            self.ldap.with_controls(request.controls.clone());
        }
        let mut stream = self.start(request, &attempted).await?;
        let (mut found, mut references) = (false, Vec::new());
        while let Some(entry) = self.next(&mut stream, &attempted).await? {
            if entry.is_ref() {
                references.push(reference_urls(entry.0));
            } else {
                found = found || !entry.is_intermediate();
            }
        }
        let result = stream.finish().await;
        if let Some(elsewhere) = self.followed(&result) {
            references.push(elsewhere);
        } else if result.rc == failure::SIZE_LIMIT_EXCEEDED {
            // One entry more than the limit is what was asked about.
            found = true;
        } else {
            failure::of_search(&attempted, &result, self.config.paging)?;
        }
        Ok((found, references))
    }

    async fn page(
        &mut self,
        request: &Request,
        (size, cookie, page): (i32, Vec<u8>, u32),
        tally: &mut Tally,
        on_entry: &mut impl FnMut(Record) -> Result<()>,
        references: &mut References,
    ) -> std::result::Result<Option<Vec<u8>>, Ended> {
        let attempted = &self.describe(request, page);
        let mut controls = request.controls.clone();
        if self.config.paging == Paging::Pages {
            controls.push(PagedResults { size, cookie }.into());
        }
        if !controls.is_empty() {
            self.ldap.with_controls(controls);
        }
        self.ldap.with_search_options(SearchOptions::new().timelimit(SERVER_TIME_LIMIT));
        let mut stream = self.start(request, attempted).await?;
        while let Some(entry) = self.next(&mut stream, attempted).await? {
            if entry.is_intermediate() {
                continue;
            }
            if entry.is_ref() {
                references.push(reference_urls(entry.0));
                continue;
            }
            let record = record(entry.0).ok_or_else(|| failure::malformed(attempted))?;
            check_size(&record, attempted)?;
            if tally.see(&record.dn) == Sight::First {
                on_entry(record)?;
            }
        }
        let result = stream.finish().await;
        if let Some(elsewhere) = self.followed(&result) {
            references.push(elsewhere);
            return Ok(None);
        }
        let paging = self.config.paging;
        failure::of_search(attempted, &result, paging).map_err(|error| {
            if paging == Paging::Pages && failure::is_about_size(&result) {
                Ended::TooLarge(error)
            } else {
                Ended::Failed(error)
            }
        })?;
        Ok(next_cookie(&result, attempted)?)
    }

    /// The servers to which a search as a whole is referred, if that is to be followed.
    fn followed(&self, result: &LdapResult) -> Option<Vec<String>> {
        let is_followed = result.rc == failure::REFERRAL && self.config.referrals == Referrals::Follow;
        (is_followed && !result.refs.is_empty()).then(|| result.refs.clone())
    }

    async fn start<'s>(&mut self, request: &'s Request, attempted: &str) -> Result<Stream<'s>> {
        let limit = self.config.timeouts.silence;
        timeout(
            limit,
            self.ldap.streaming_search(&request.base, request.scope, &request.filter, &request.attributes),
        )
        .await
        .map_err(|_| failure::no_answer(attempted, limit))?
        .map_err(|error| failure::broken(attempted, &error))
    }

    async fn next(&self, stream: &mut Stream<'_>, attempted: &str) -> Result<Option<ldap3::ResultEntry>> {
        let limit = self.config.timeouts.silence;
        timeout(limit, stream.next())
            .await
            .map_err(|_| failure::no_answer(attempted, limit))?
            .map_err(|error| failure::broken(attempted, &error))
    }

    fn describe(&self, request: &Request, page: u32) -> String {
        let Request { what, base, filter, .. } = request;
        format!("Reading {what} from {} under `{base}` with {filter} (page {page})", self.config.url())
    }

    /// Says goodbye; whether the server hears it does not matter.
    pub(super) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.ldap.unbind()).await;
    }
}

/// RFC 4752: with the process's ticket, for the server of this name, bound to the certificate of the TLS connection (RFC 5929,
/// `tls-server-end-point`).
#[cfg(feature = "kerberos")]
async fn kerberos_bind(ldap: &mut Ldap, host: &str) -> ldap3::result::Result<LdapResult> {
    ldap.sasl_gssapi_bind(host).await
}

/// The configuration refuses it before it gets here.
#[cfg(not(feature = "kerberos"))]
async fn kerberos_bind(_: &mut Ldap, _: &str) -> ldap3::result::Result<LdapResult> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into())
}

type Stream<'s> = ldap3::SearchStream<'s, String, &'s Vec<String>>;

async fn connect(config: &Config, attempted: &str) -> Result<Ldap> {
    let stream = TcpStream::connect((config.host.as_str(), config.port))
        .await
        .map_err(|error| failure::no_connection(attempted, &error))?;
    let stream = stream
        .set_nodelay(true)
        .and_then(|()| stream.into_std())
        .map_err(|error| failure::no_connection(attempted, &error))?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream));
    let settings = match &config.security {
        Security::Plain => settings,
        Security::Ldaps(tls) => settings.set_config(tls_config(tls)?),
        Security::StartTls(tls) => settings.set_config(tls_config(tls)?).set_starttls(true),
    };
    let (connection, ldap) = LdapConnAsync::with_settings(settings, &config.url())
        .await
        .map_err(|error| failure::broken(attempted, &error))?;
    let drive = async move {
        if let Err(error) = connection.drive().await {
            tracing::debug!(%error, "the LDAP connection ended");
        }
    };
    // So that the log knows whose connection it was.
    tokio::spawn(drive.in_current_span());
    Ok(ldap)
}

pub(super) fn tls_config(tls: &super::config::Tls) -> Result<std::sync::Arc<rustls::ClientConfig>> {
    crate::tls::client_config(&tls.trust, tls.identity.as_ref()).map(std::sync::Arc::new)
}

/// `SearchResultEntry` of RFC 4511, section 4.5.2.
fn record(tag: StructureTag) -> Option<Record> {
    let mut parts = constructed(tag)?.into_iter();
    let dn = text(parts.next()?)?;
    let attributes = constructed(parts.next()?)?
        .into_iter()
        .map(|attribute| {
            let mut parts = constructed(attribute)?.into_iter();
            let description = text(parts.next()?)?;
            let values = constructed(parts.next()?)?.into_iter().map(primitive).collect::<Option<_>>()?;
            Some((description, values))
        })
        .collect::<Option<_>>()?;
    Some(Record { dn, attributes })
}

/// No name and no value is so long, except on a server that means harm.
fn check_size(record: &Record, attempted: &str) -> Result<()> {
    let values =
        record.attributes.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let Some((name, value)) = values.into_iter().find(|(_, value)| value.len() > LONGEST_VALUE) else {
        return Ok(());
    };
    let dn: String = record.dn.chars().take(200).collect();
    let reason = format!("the entry {dn} has a value of {} bytes in the attribute {name}", value.len());
    Err(Error::new(Kind::Data, attempted, reason)
        .hint(format!("At most {LONGEST_VALUE} bytes are read. Shorten it, or leave the entry out by a filter. Nothing was imported.")))
}

fn reference_urls(tag: StructureTag) -> Vec<String> {
    constructed(tag).into_iter().flatten().filter_map(text).collect()
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

fn text(tag: StructureTag) -> Option<String> {
    let bytes = primitive(tag)?;
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Where the next page starts. `None` at the end, and from servers that do not page: they answer without the control
/// and with everything.
fn next_cookie(result: &LdapResult, attempted: &str) -> Result<Option<Vec<u8>>> {
    let Some(control) = result.ctrls.iter().find(|control| control.1.ctype == PAGED_RESULTS) else {
        return Ok(None);
    };
    let cookie = control
        .1
        .val
        .as_deref()
        .and_then(|value| parse_tag(value).ok())
        .and_then(|(_, tag)| constructed(tag)?.into_iter().nth(1))
        .and_then(primitive)
        .ok_or_else(|| failure::malformed(attempted))?;
    Ok(Some(cookie).filter(|cookie| !cookie.is_empty()))
}

/// Whether the error says that the stream ended before the server said so.
pub(super) fn is_cut(error: &LdapError) -> bool {
    matches!(error, LdapError::EndOfStream | LdapError::OpSend { .. } | LdapError::ResultRecv { .. })
}
