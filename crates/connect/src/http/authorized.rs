//! Requests with an access token that is renewed before and when it expires.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Http, Request, Response};
use crate::{Error, Kind, Result};
use bwdc_core::Secret;

/// How many new tokens are tried for one request. More than one, because that may be the end of a new one, too.
const NEW_TOKENS: usize = 3;

/// What stands in the `Authorization` header, and until when.
#[derive(Clone, Debug)]
pub struct AccessToken {
    header: HeaderValue,
    /// A new one is asked for from here on; `None` if it does not expire.
    renew_at: Option<Instant>,
}

impl AccessToken {
    /// `scheme` is such as `Bearer`; `renew_at` is somewhat before the end.
    pub fn new(scheme: &str, token: &Secret, renew_at: Option<Instant>) -> Result<Self> {
        let header = HeaderValue::from_str(&format!("{scheme} {}", token.reveal()));
        let mut header = header.map_err(|_| {
            Error::new(Kind::Configuration, "Using the token", "there are control characters in it")
        })?;
        header.set_sensitive(true);
        Ok(Self { header, renew_at })
    }

    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

/// Where access tokens come from.
pub trait TokenSource: Send + Sync {
    /// A new token, or the same for ever.
    fn new_token(&self, http: &Http) -> impl Future<Output = Result<AccessToken>> + Send;
}

/// An HTTP client that is logged in.
#[derive(Debug)]
pub struct Authorized<S> {
    http: Http,
    source: S,
    token: Mutex<Option<AccessToken>>,
}

impl<S: TokenSource> Authorized<S> {
    /// Asks for a token with the first request.
    pub fn new(http: Http, source: S) -> Self {
        Self { http, source, token: Mutex::new(None) }
    }

    /// As [`Http::send`], with a token. One that is refused (401) is replaced: it may have expired, or been revoked. Whoever is
    /// refused with one new token after the other has lost the right.
    pub async fn send(&self, attempted: &str, request: Request) -> Result<Response> {
        let (mut request, mut used) = self.with_token(request, None).await?;
        let mut response = self.http.send(attempted, &request).await?;
        for _ in 0..NEW_TOKENS {
            if response.status != StatusCode::UNAUTHORIZED {
                break;
            }
            let refused = used;
            (request, used) = self.with_token(request, Some(&refused)).await?;
            if used.header == refused.header {
                break;
            }
            tracing::debug!("the access token was refused; trying with a new one");
            response = self.http.send(attempted, &request).await?;
        }
        Ok(response)
    }

    /// Asks for a token, to see whether that works.
    pub async fn log_in(&self) -> Result<()> {
        self.token(None).await.map(|_| ())
    }

    async fn with_token(
        &self,
        mut request: Request,
        refused: Option<&AccessToken>,
    ) -> Result<(Request, AccessToken)> {
        let token = self.token(refused).await?;
        request.headers.insert(AUTHORIZATION, token.header.clone());
        Ok((request, token))
    }

    /// The token in use, or a new one; those who ask meanwhile wait and get the same.
    async fn token(&self, refused: Option<&AccessToken>) -> Result<AccessToken> {
        let mut current = self.token.lock().await;
        let is_refused = |token: &AccessToken| refused.is_some_and(|refused| refused.header == token.header);
        if let Some(token) = current.as_ref().filter(|token| token.is_fresh() && !is_refused(token)) {
            return Ok(token.clone());
        }
        let token = self.source.new_token(&self.http).await?;
        Ok(current.insert(token).clone())
    }
}
