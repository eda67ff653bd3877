//! Paging through a list to its last page.

use std::collections::HashSet;

use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

use super::Response;
use crate::{Error, ErrorKind, Result};

/// Vendor at the other end, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// Name, such as "Okta".
    pub name: &'static str,
    /// Setting or variable with its address.
    pub address: &'static str,
}

impl Vendor {
    /// Decodes an answer.
    pub fn decode<T: DeserializeOwned>(&self, attempted: &str, response: &Response) -> Result<T> {
        serde_json::from_slice(&response.body).map_err(|error| {
            let id = response.request_id().map_or(String::new(), |id| format!(" (request {id})"));
            Error::new(
                ErrorKind::Data,
                attempted,
                format!("the answer is not what {} sends: {error}{id}", self.name),
            )
            .hint(format!(
                "Check {}, and whether a proxy answers instead. Nothing was imported.",
                self.address
            ))
        })
    }
}

/// Progress through a list. Each page must be a new one, on the same server: the token goes with each request.
#[derive(Debug)]
pub struct Pages {
    vendor: Vendor,
    what: String,
    first: Url,
    next: Option<Url>,
    seen: HashSet<Url>,
    /// Number of times the list was started.
    beginnings: usize,
}

/// Number of times a list is read again from its beginning because the way to the next page is refused.
const MOST_BEGINNINGS: usize = 3;

/// Page to request.
#[derive(Debug)]
pub struct PageRequest {
    /// Address.
    pub url: Url,
    /// Description for messages: what is read, from where, which page.
    pub attempted: String,
    /// Number, starting at 1.
    pub number: usize,
}

impl Pages {
    /// Starts at the first page; `what` is such as "users".
    pub fn of(vendor: Vendor, what: impl Into<String>, first: Url) -> Self {
        let next = Some(first.clone());
        Self { vendor, what: what.into(), first, next, seen: HashSet::new(), beginnings: 1 }
    }

    /// Restarts the list if the way to a later page is no longer accepted: tokens and links expire, and the token is all that
    /// such a page has in addition to the first one. Returns whether it was restarted; then everything read before does
    /// not count.
    pub fn begin_again(&mut self, turn: &PageRequest, status: StatusCode) -> bool {
        let is_refused = matches!(status, StatusCode::BAD_REQUEST | StatusCode::GONE);
        if turn.number == 1 || !is_refused || self.beginnings == MOST_BEGINNINGS {
            return false;
        }
        tracing::warn!(
            what = self.what,
            page = turn.number,
            "the way to the next page has expired: reading the list again"
        );
        self.beginnings += 1;
        self.seen.clear();
        self.next = Some(self.first.clone());
        true
    }

    /// Page to read now; `None` at the end.
    pub fn turn(&mut self) -> Option<PageRequest> {
        let url = self.next.take()?;
        self.seen.insert(url.clone());
        let number = self.seen.len();
        let place = url.origin().ascii_serialization();
        let attempted = format!("Reading {} from {place} (page {number})", self.what);
        Some(PageRequest { url, attempted, number })
    }

    /// Takes the link to the next page, as the page contained it; without one, the list is complete.
    pub fn link(&mut self, turn: &PageRequest, next: Option<&str>) -> Result<()> {
        let Some(next) = next else { return Ok(()) };
        let url = Url::parse(next).map_err(|error| {
            self.wrong(turn, format!("the link to the next page, `{next}`, is not valid: {error}"))
        })?;
        if url.origin() != turn.url.origin() {
            let place = url.origin().ascii_serialization();
            return Err(self.wrong(turn, format!("the next page is on another server, at {place}")));
        }
        self.go(turn, url)
    }

    /// Takes a token for the next page, sent in the query as `parameter`; without one, the list is complete.
    pub fn token(&mut self, turn: &PageRequest, parameter: &str, token: Option<&str>) -> Result<()> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(()) };
        let mut url = turn.url.clone();
        let others: Vec<(String, String)> = turn
            .url
            .query_pairs()
            .filter(|(name, _)| name != parameter)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(others).append_pair(parameter, token);
        self.go(turn, url)
    }

    fn go(&mut self, turn: &PageRequest, url: Url) -> Result<()> {
        if self.seen.contains(&url) {
            let name = self.vendor.name;
            return Err(self.wrong(turn, format!("{name} refers back to a page that was read already")));
        }
        self.next = Some(url);
        Ok(())
    }

    fn wrong(&self, turn: &PageRequest, reason: String) -> Error {
        Error::new(ErrorKind::Incomplete, &turn.attempted, reason).hint(format!(
            "Nothing was imported. A proxy may change what {} sends; if not, try again.",
            self.vendor.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    const VENDOR: Vendor = Vendor { name: "Example", address: "example.url" };

    fn pages() -> Pages {
        Pages::of(VENDOR, "users", Url::parse("https://example.org/users?limit=2").unwrap())
    }

    #[test]
    fn links_lead_to_new_pages_of_the_same_server() {
        let mut pages = pages();
        let first = pages.turn().unwrap();
        assert_eq!(first.attempted, "Reading users from https://example.org (page 1)");
        assert!(pages.turn().is_none());
        pages.link(&first, Some("https://example.org/users?after=2")).unwrap();
        let second = pages.turn().unwrap();
        for (link, words) in [
            ("https://example.org/users?limit=2", "read already"),
            ("https://example.org/users?after=2", "read already"),
            ("https://evil.example/users", "on another server, at https://evil.example"),
            ("/users?after=3", "is not valid"),
        ] {
            let error = pages.link(&second, Some(link)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.kind(), ErrorKind::Incomplete);
        }
        pages.link(&second, None).unwrap();
        assert!(pages.turn().is_none());
    }

    #[test]
    fn a_refused_later_page_restarts_the_list_a_limited_number_of_times() {
        let mut pages = pages();
        for beginning in 1..=3 {
            let first = pages.turn().unwrap();
            assert_eq!(first.number, 1);
            assert!(!pages.begin_again(&first, StatusCode::BAD_REQUEST));
            pages.link(&first, Some("https://example.org/users?after=2")).unwrap();
            let second = pages.turn().unwrap();
            assert!(!pages.begin_again(&second, StatusCode::FORBIDDEN));
            assert_eq!(pages.begin_again(&second, StatusCode::BAD_REQUEST), beginning < 3);
        }
    }

    #[test]
    fn tokens_replace_each_other_and_do_not_repeat() {
        let mut pages = pages();
        let first = pages.turn().unwrap();
        pages.token(&first, "pageToken", Some("a/b=")).unwrap();
        let second = pages.turn().unwrap();
        assert_eq!(second.url.query(), Some("limit=2&pageToken=a%2Fb%3D"));
        pages.token(&second, "pageToken", Some("c")).unwrap();
        let third = pages.turn().unwrap();
        assert_eq!(third.url.query(), Some("limit=2&pageToken=c"));
        assert!(pages.token(&third, "pageToken", Some("a/b=")).is_err());
        pages.token(&third, "pageToken", Some("")).unwrap();
        assert!(pages.turn().is_none());
    }

    proptest! {
        #![proptest_config(few())]

        /// A token goes nowhere else, and no page is read twice.
        #[test]
        fn fuzz_links_to_the_next_page(links in prop::collection::vec(damaged_text([
            "https://example.org/users?after=2",
            "https://example.org:443/users?limit=2&after=%32#x",
            "HTTPS://EXAMPLE.ORG/users/../users?after=3",
            "https://example.org@evil.example/",
            "//example.org/users",
            "https:example.org/users",
        ]), 1..4)) {
            let mut pages = pages();
            let first = pages.turn().unwrap();
            let (mut turn, mut seen) = (first.url.clone(), vec![first.url.clone()]);
            let origin = turn.origin();
            for link in links {
                let here = PageRequest { url: turn.clone(), attempted: String::new(), number: seen.len() };
                if let Err(error) = pages.link(&here, Some(&link)) {
                    crate::fuzz::harmless(&error, link.len())?;
                    continue;
                }
                turn = pages.turn().unwrap().url;
                prop_assert_eq!(turn.origin(), origin.clone());
                prop_assert!(!seen.contains(&turn), "{turn}");
                seen.push(turn.clone());
            }
        }

        #[test]
        fn fuzz_tokens_for_the_next_page(tokens in prop::collection::vec(damaged_text(["a/b=", "~!!~AAAA", "eyJ&limit=5"]), 1..4)) {
            let mut pages = pages();
            let mut turn = pages.turn().unwrap();
            for token in tokens {
                if let Err(error) = pages.token(&turn, "pageToken", Some(&token)) {
                    crate::fuzz::harmless(&error, token.len())?;
                    continue;
                }
                let Some(next) = pages.turn() else { continue };
                let sent: Vec<_> = next.url.query_pairs().filter(|(name, _)| name == "pageToken").collect();
                prop_assert_eq!(sent.iter().map(|(_, value)| &**value).collect::<Vec<_>>(), [token.as_str()]);
                prop_assert!(next.url.query_pairs().any(|(name, value)| name == "limit" && value == "2"));
                turn = next;
            }
        }

        #[test]
        fn fuzz_answers(body in damaged([r#"[{"id":"1","profile":{"email":"a@example.org"}}]"#, "<html>", "null"]), id in damaged(["abc-1"])) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(200, body.clone()), "x-request-id", &id);
            if let Err(error) = VENDOR.decode::<Vec<serde_json::Value>>("Reading users", &answer) {
                crate::fuzz::harmless(&error, body.len())?;
            }
        }
    }
}
