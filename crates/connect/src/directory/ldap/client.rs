//! Connections, binds and searches, which end with every entry or with an error.

use tokio::time::timeout;

use super::config::{Bind, Config, Paging, Referrals, Security};
use super::paging::{SIZES, Sight, Tally};
use super::request::SearchRequest;
use super::slices::{self, Slice};
use super::wire::{Control, Entry, Outcome, Protection, SearchItem, SearchMessage, Wire};
use super::{failure, filter, wire};
use crate::{Error, ErrorKind, Result, names};

/// Time limit for the server on one search, in seconds.
const SERVER_TIME_LIMIT: u32 = 300;

/// Largest number of references; no tree has more.
const MOST_REFERENCES: usize = 1_000;

/// Nor has any so long a list of servers.
const LONGEST_REFERENCE: usize = 64 * 1024;

/// Size limit of a search for everything.
const NO_LIMIT: u32 = 0;

/// Bound connection.
pub(super) struct Connection<'a> {
    config: &'a Config,
    wire: Wire,
}

/// References that a search returns besides entries. Each is a list of servers that hold the same part of the tree.
pub(super) type Continuations = Vec<Vec<String>>;

/// Reason why a search did not succeed.
enum Ended {
    /// A smaller page may avoid it.
    TooLarge(Error),
    /// Smaller pages do not avoid it: the server examines only so many entries for one search.
    TooMany(Error),
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
        let wire = opened.map_err(|_| failure::no_answer(&attempted, limit))??;
        let mut connection = Self { config, wire };
        connection.bind().await?;
        Ok(connection)
    }

    /// Asks for the root DSE of the server.
    pub(super) fn config(&self) -> &'a Config {
        self.config
    }

    async fn bind(&mut self) -> Result<()> {
        let who = self.config.bind.who();
        let attempted = format!("Logging in to {} as {who}", self.config.url());
        let answer = match &self.config.bind {
            Bind::Simple { username, password } => self.wire.simple_bind(username, password.reveal()).await,
            Bind::External => self.wire.external_bind().await,
            Bind::Kerberos => kerberos_bind(&mut self.wire, self.config, &attempted).await?,
        };
        let answer = answer.map_err(|broken| failure::broken(&attempted, broken))?;
        failure::of_bind(&attempted, &answer)
    }

    /// Passes on every entry once, page after page. An error means that the entries passed on are not all.
    pub(super) async fn search(
        &mut self,
        request: &SearchRequest,
        mut on_entry: impl FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<Continuations> {
        let mut tally = Tally::default();
        let mut refused = None;
        for size in SIZES {
            match self.pages(request, size, &mut tally, &mut on_entry).await {
                Ok(references) => return Ok(references),
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::TooMany(error)) => {
                    return self.in_slices(request, (size, error), &mut tally, &mut on_entry).await;
                }
                Err(Ended::TooLarge(error)) => refused = Some(error),
            }
            tally.start_over();
        }
        Err(refused.unwrap_or_else(|| failure::malformed(request.what)))
    }

    /// Runs the search in parts that the server is willing to examine; the error is its answer to the whole.
    async fn in_slices(
        &mut self,
        request: &SearchRequest,
        (size, error): (u32, Error),
        tally: &mut Tally,
        on_entry: &mut impl FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<Continuations> {
        // The server does not even examine everything for an id that nobody has.
        let Ok((true, _)) = self.seen(&slices::with_id(request)).await else { return Err(error) };
        let whole = tally.attempt();
        let mut references = Continuations::new();
        let mut left = Slice::default().parts().unwrap_or_default();
        while let Some(slice) = left.pop() {
            tally.start_over();
            match self.pages(&slice.of(request), size, tally, on_entry).await {
                Ok(found) => references.extend(found),
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::TooLarge(error) | Ended::TooMany(error)) => {
                    left.extend(slice.parts().ok_or(error)?)
                }
            }
        }
        references.sort();
        references.dedup();
        match tally.missing_since(whole) {
            0 => Ok(references),
            missing => Err(Error::new(
                ErrorKind::Incomplete,
                self.describe(request, 1),
                format!("{missing} of the entries that came before the server's limit were in none of its parts"),
            )
            .hint(
                "They may have been deleted meanwhile: try again. If it stays, the account may not search by nsUniqueId: give it that \
                permission, or have the limit (nsslapd-lookthroughlimit) raised for it. Nothing was imported.",
            )),
        }
    }

    async fn pages(
        &mut self,
        request: &SearchRequest,
        size: u32,
        tally: &mut Tally,
        on_entry: &mut impl FnMut(&Entry<'_>) -> Result<()>,
    ) -> std::result::Result<Continuations, Ended> {
        let mut references = Vec::new();
        let mut cookie = Vec::new();
        let mut page = 1;
        while let Some(next) =
            self.page(request, (size, cookie, page), tally, on_entry, &mut references).await?
        {
            tally.end_page().map_err(|reason| {
                Error::new(ErrorKind::Incomplete, self.describe(request, page), reason).hint(
                    "Set ldap.pagedSearch to false, or ask the server's administrator. Nothing was imported.",
                )
            })?;
            cookie = next;
            page += 1;
        }
        Ok(references)
    }

    /// Whether anything matches, and where else it might.
    pub(super) async fn exists(&mut self, request: &SearchRequest) -> Result<(bool, Continuations)> {
        match self.seen(request).await {
            Ok(seen) => Ok(seen),
            Err(Ended::Failed(error) | Ended::TooLarge(error)) => Err(error),
            // It gave up before it found one.
            Err(Ended::TooMany(_)) => {
                let mut found = false;
                let on_entry = |_: &Entry<'_>| {
                    found = true;
                    Ok(())
                };
                let references = self.search(request, on_entry).await?;
                Ok((found, references))
            }
        }
    }

    /// Runs the search without pages.
    async fn seen(&mut self, request: &SearchRequest) -> std::result::Result<(bool, Continuations), Ended> {
        let attempted = self.describe(request, 1);
        let (mut found, mut references) = (false, Vec::new());
        self.start(request, 1, &request.controls, &attempted).await?;
        let on_entry = |_: &Entry<'_>| {
            found = true;
            Ok(())
        };
        let result = self.outcome(&attempted, &mut references, on_entry).await?;
        if let Some(elsewhere) = self.followed(&result) {
            references.push(elsewhere);
        } else if result.code == failure::SIZE_LIMIT_EXCEEDED {
            // One entry more than the limit means there are more.
            found = true;
        } else {
            self.judge(&attempted, &result)?;
        }
        Ok((found, references))
    }

    async fn page(
        &mut self,
        request: &SearchRequest,
        (size, cookie, page): (u32, Vec<u8>, u32),
        tally: &mut Tally,
        on_entry: &mut impl FnMut(&Entry<'_>) -> Result<()>,
        references: &mut Continuations,
    ) -> std::result::Result<Option<Vec<u8>>, Ended> {
        let attempted = &self.describe(request, page);
        let mut controls = request.controls.clone();
        if self.config.paging == Paging::Pages {
            controls.push(Control::page(size, &cookie));
        }
        self.start(request, NO_LIMIT, &controls, attempted).await?;
        let unless_again = |entry: &Entry<'_>| match tally.see(entry.name()) {
            Ok(Sight::First) => on_entry(entry),
            Ok(Sight::Again) => Ok(()),
            Err(reason) => Err(Error::new(ErrorKind::Data, attempted, reason)
                .hint("Mend it, or leave the entry out by a filter. Nothing was imported.")),
        };
        let result = self.outcome(attempted, references, unless_again).await?;
        if let Some(elsewhere) = self.followed(&result) {
            references.push(elsewhere);
            return Ok(None);
        }
        self.judge(attempted, &result)?;
        match result.cookie {
            Some(next) => Ok(Some(next).filter(|next| !next.is_empty())),
            // A server that does not page answers with everything.
            None if page == 1 => Ok(None),
            None => {
                let reason = "the server reported that there are more, and does not say whether this was all";
                Err(Ended::Failed(
                    Error::new(ErrorKind::Incomplete, attempted, reason)
                        .hint("Nothing was imported. Try again."),
                ))
            }
        }
    }

    /// Passes on the entries of the running search, up to its end. References are collected, within limits.
    async fn outcome(
        &mut self,
        attempted: &str,
        references: &mut Continuations,
        mut on_entry: impl FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        loop {
            match self.wire.found().await.map_err(|broken| failure::broken(attempted, broken))? {
                SearchItem::Entry(entry) => on_entry(&entry)?,
                SearchItem::Reference(servers)
                    if servers.iter().map(String::len).sum::<usize>() > LONGEST_REFERENCE =>
                {
                    let reason =
                        format!("the server refers to another place in more than {LONGEST_REFERENCE} bytes");
                    return Err(Error::new(ErrorKind::Data, attempted, reason));
                }
                SearchItem::Reference(servers) if references.len() < MOST_REFERENCES => {
                    references.push(servers)
                }
                SearchItem::Reference(_) => {
                    let reason = format!("the server refers to more than {MOST_REFERENCES} other places");
                    return Err(Error::new(ErrorKind::Incomplete, attempted, reason));
                }
                SearchItem::Done(result) => return Ok(result),
            }
        }
    }

    /// Meaning of a search's outcome for the next one.
    fn judge(&self, attempted: &str, result: &Outcome) -> std::result::Result<(), Ended> {
        let paging = self.config.paging;
        failure::of_search(attempted, result, paging).map_err(|error| match (paging, result.code) {
            (Paging::Pages, failure::ADMIN_LIMIT_EXCEEDED) => Ended::TooMany(error),
            (Paging::Pages, _) if failure::is_about_size(result) => Ended::TooLarge(error),
            (Paging::Pages | Paging::Unpaged, _) => Ended::Failed(error),
        })
    }

    /// Servers to which a search as a whole is referred, if referrals are to be followed.
    fn followed(&self, result: &Outcome) -> Option<Vec<String>> {
        let is_followed = result.code == failure::REFERRAL && self.config.referrals == Referrals::Follow;
        (is_followed && !result.referrals.is_empty()).then(|| result.referrals.clone())
    }

    async fn start(
        &mut self,
        request: &SearchRequest,
        size_limit: u32,
        controls: &[Control],
        attempted: &str,
    ) -> Result<()> {
        let filter = filter::encoded(&request.filter).map_err(|(_, problem)| {
            Error::new(
                ErrorKind::Configuration,
                attempted,
                format!("the filter is not valid (RFC 4515): {problem}"),
            )
            .hint("Check sync.userFilter and sync.groupFilter.")
        })?;
        let search = SearchMessage {
            base: &request.base,
            depth: request.scope,
            size_limit,
            time_limit: SERVER_TIME_LIMIT,
            filter: &filter,
            attributes: &request.attributes,
        };
        self.wire.search(&search, controls).await.map_err(|broken| failure::broken(attempted, broken))
    }

    fn describe(&self, request: &SearchRequest, page: u32) -> String {
        let SearchRequest { what, base, filter, .. } = request;
        format!("Reading {what} from {} under `{base}` with {filter} (page {page})", self.config.url())
    }

    /// Unbinds; whether the server receives it does not matter.
    pub(super) async fn close(self) {
        self.wire.close().await;
    }
}

/// Logs in with the process's ticket, to the server of this name (RFC 4752).
#[cfg(feature = "kerberos")]
async fn kerberos_bind(wire: &mut Wire, config: &Config, _: &str) -> Result<wire::Result<Outcome>> {
    Ok(wire.kerberos_bind(&config.host).await)
}

/// Not reached, because the configuration refuses Kerberos first.
#[cfg(not(feature = "kerberos"))]
async fn kerberos_bind(_: &mut Wire, _: &Config, attempted: &str) -> Result<wire::Result<Outcome>> {
    Err(Error::new(ErrorKind::Configuration, attempted, "this build has no support for Kerberos"))
}

async fn connect(config: &Config, attempted: &str) -> Result<Wire> {
    let stream = names::connect(&config.host, config.port)
        .await
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|error| failure::no_connection(attempted, &error))?;
    let protection = match &config.security {
        Security::Plain => Protection::Plain,
        Security::Ldaps(tls) => Protection::Tls(tls_config(tls)?),
        Security::StartTls(tls) => Protection::StartTls(tls_config(tls)?),
    };
    Wire::open(stream, &protection, &config.host, config.timeouts.silence)
        .await
        .map_err(|broken| failure::broken(attempted, broken))
}

pub(super) fn tls_config(tls: &super::config::Tls) -> Result<std::sync::Arc<rustls::ClientConfig>> {
    crate::tls::client_config(&tls.trust, tls.identity.as_ref()).map(std::sync::Arc::new)
}
