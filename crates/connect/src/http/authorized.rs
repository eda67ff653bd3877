//! Requests with an access token that is renewed before and when it expires.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Http, HttpRequest, Response};
use crate::{Error, ErrorKind, Result};
use bwdc_core::Secret;

/// Number of new tokens tried for one request. More than one, because a new one may be about to expire, too.
const NEW_TOKENS: usize = 3;

/// Value of the `Authorization` header, and its end.
#[derive(Clone, Debug)]
pub struct AccessToken {
    header: HeaderValue,
    /// Time from which a new one is requested; `None` if it does not expire.
    renew_at: Option<Instant>,
}

impl AccessToken {
    /// Makes the header. `scheme` is such as `Bearer`; `renew_at` is shortly before the end.
    pub fn new(scheme: &str, token: &Secret, renew_at: Option<Instant>) -> Result<Self> {
        let header = HeaderValue::from_str(&format!("{scheme} {}", token.reveal()));
        let mut header = header.map_err(|_| {
            Error::new(ErrorKind::Configuration, "Using the token", "there are control characters in it")
        })?;
        header.set_sensitive(true);
        Ok(Self { header, renew_at })
    }

    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

/// Source of access tokens.
pub trait TokenSource: Send + Sync {
    /// Supplies a new token, or always the same one.
    fn new_token(&self, http: &Http) -> impl Future<Output = Result<AccessToken>> + Send;
}

/// HTTP client that is logged in.
#[derive(Debug)]
pub struct Authorized<S> {
    http: Http,
    source: S,
    token: Mutex<Option<AccessToken>>,
}

impl<S: TokenSource> Authorized<S> {
    /// Requests a token with the first request.
    pub fn new(http: Http, source: S) -> Self {
        Self { http, source, token: Mutex::new(None) }
    }

    /// Sends like [`Http::send`], with a token. A refused token (401) is replaced: it may have expired or been revoked. If several
    /// new tokens in a row are refused, access has been lost.
    pub async fn send(&self, attempted: &str, request: HttpRequest) -> Result<Response> {
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

    /// Requests a token, to see whether that works.
    pub async fn log_in(&self) -> Result<()> {
        self.token(None).await.map(|_| ())
    }

    async fn with_token(
        &self,
        mut request: HttpRequest,
        refused: Option<&AccessToken>,
    ) -> Result<(HttpRequest, AccessToken)> {
        let token = self.token(refused).await?;
        request.headers.insert(AUTHORIZATION, token.header.clone());
        Ok((request, token))
    }

    /// Token in use, or a new one; concurrent callers wait and get the same one.
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
