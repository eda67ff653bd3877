//! Pings in the form of healthchecks.io (<https://healthchecks.io/docs/http_api/>), which others speak, too: the other side tells somebody
//! when none comes.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};

use super::{PATIENCE, SecretUrl, sent};
use crate::Result;
use crate::http::{HttpRequest, Network, Repeat, below};

/// Ping, understood.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Address of the check.
    pub url: SecretUrl,
}

/// What is told about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It begins.
    Start,
    /// It did its work.
    Success,
    /// It did not do its work, or not all of it.
    Fail,
    /// Something to keep in the other side's log, which says nothing about success.
    Log,
}

impl Ping {
    /// Sends a signal with a text.
    pub async fn send(
        &self,
        attempted: &str,
        signal: Signal,
        text: &str,
        network: &Network,
    ) -> Result<String> {
        let path = match signal {
            Signal::Start => Some("start"),
            Signal::Success => None,
            Signal::Fail => Some("fail"),
            Signal::Log => Some("log"),
        };
        let url = below(self.url.reveal(), path, (attempted, "the address takes no path"))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(USER_AGENT, HeaderValue::from_static("bwdc"));
        let request = HttpRequest {
            method: Method::POST,
            url,
            headers,
            body: Some(text.to_owned().into()),
            timeout: PATIENCE,
            repeat: Repeat::Always,
        };
        sent(attempted, &request, network).await
    }
}
