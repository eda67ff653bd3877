//! Processing of a request before and after a vendor's own code: counting, latency, limits, tokens, faults.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, DATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Behaviour, Fault, Quota};

/// Largest request body that is read.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Behaviour of one vendor.
pub(crate) trait Vendor: Send + Sync + 'static {
    /// Answers a request.
    fn routes(self: Arc<Self>, engine: &Arc<Engine>) -> Router;
    /// Makes a refusal in the vendor's format, with its status.
    fn refusal(&self, refusal: Refusal) -> Response;
    /// Charge of a request; `None` for one that is not counted.
    fn charge(&self, request: &Parts) -> Option<Charge>;
    /// Adds the remaining requests of a limit to an answer, if the vendor does.
    fn tell(&self, _standing: Standing, _headers: &mut HeaderMap) {}
    /// Whether the request is authenticated, or need not be.
    fn is_authorized(&self, request: &Parts, engine: &Engine) -> bool;
    /// Requested properties that the vendor's schema allows to be null or absent.
    fn nullable(&self) -> &'static [&'static str];
}

/// Reason why a request is refused before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Limited,
    Internal,
    Token,
    /// The page token or link is no longer accepted.
    Page,
}

/// Charge for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Name of the limit.
    pub(crate) limit: &'static str,
    pub(crate) cost: u64,
    /// Quota as the vendor documents it.
    pub(crate) quota: Quota,
}

/// State of a limit after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) most: u64,
    pub(crate) left: u64,
    /// Seconds of Unix time at which the window ends, and the seconds until then.
    pub(crate) end: u64,
    pub(crate) ends_in: u64,
}

/// State shared by all requests.
#[derive(Debug)]
pub(crate) struct Engine {
    behaviour: Behaviour,
    url: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    log: Vec<String>,
    /// Number of requests by HTTP/2.
    by_http2: usize,
    exceeded: usize,
    /// By limit.
    usage: HashMap<&'static str, Usage>,
    tokens: HashSet<String>,
    given_out: usize,
    /// Whether permanent tokens were revoked.
    is_revoked: bool,
}

/// Usage of one limit.
#[derive(Debug)]
struct Usage {
    quota: Quota,
    /// Number of the window since 1970, and what was used in it.
    window: u64,
    used: u64,
    in_all: u64,
}

impl Usage {
    /// Least time in which all of it was possible with no more than the quota in any window, wherever that begins.
    fn least_time(&self) -> Duration {
        let windows = self.in_all.saturating_sub(1) / self.quota.most.max(1);
        self.quota.window * u32::try_from(windows).unwrap_or(u32::MAX)
    }
}

impl Engine {
    pub(crate) fn new(behaviour: Behaviour, url: String) -> Self {
        Self { behaviour, url, state: Mutex::default() }
    }

    /// Own address, without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Number of entries of a list on a page.
    pub(crate) fn page(&self, asked: Option<usize>, usual: usize, largest: usize) -> usize {
        asked.unwrap_or(usual).min(largest).min(self.behaviour.page).max(1)
    }

    /// Issues an access token.
    pub(crate) fn give_token(&self) -> String {
        let mut state = self.state();
        state.given_out += 1;
        let token = format!("sandbox-token-{}", state.given_out);
        state.tokens.insert(token.clone());
        token
    }

    /// Whether it was issued and has not expired.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.state().tokens.contains(token)
    }

    /// Whether permanent tokens are still valid.
    pub(crate) fn accepts_lasting(&self) -> bool {
        !self.state().is_revoked
    }

    pub(crate) fn expire_tokens(&self) {
        let mut state = self.state();
        state.tokens.clear();
        state.is_revoked = true;
    }

    pub(crate) fn requests(&self) -> usize {
        self.state().log.len()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    pub(crate) fn by_http2(&self) -> usize {
        self.state().by_http2
    }

    pub(crate) fn exceeded(&self) -> usize {
        self.state().exceeded
    }

    /// Least time in which all requests so far were possible under the limits.
    pub(crate) fn least_time(&self) -> Duration {
        self.state().usage.values().map(Usage::least_time).max().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of this request.
    fn note(&self, request: &Parts) -> usize {
        let mut state = self.state();
        state.log.push(format!("{} {}", request.method, request.uri));
        state.by_http2 += usize::from(request.version == Version::HTTP_2);
        state.log.len() - 1
    }

    /// Counts a request. Returns whether it was one too many, and the state of the limit.
    fn count(&self, charge: Charge, now: u64) -> (bool, Standing) {
        let quota = self.behaviour.quota.unwrap_or(charge.quota);
        let Quota { most, window } = quota;
        let length = window.as_secs().max(1);
        let mut state = self.state();
        let nothing = Usage { quota, window: now / length, used: 0, in_all: 0 };
        let usage = state.usage.entry(charge.limit).or_insert(nothing);
        if usage.window != now / length {
            (usage.window, usage.used) = (now / length, 0);
        }
        usage.used += charge.cost;
        usage.in_all += charge.cost;
        let end = (usage.window + 1) * length;
        let (is_over, left) = (usage.used > most, most.saturating_sub(usage.used));
        if is_over {
            state.exceeded += 1;
        }
        (is_over, Standing { most, left, end, ends_in: end - now })
    }

    /// Answers one request; an error ends the connection without an answer.
    pub(crate) async fn answer(
        &self,
        vendor: &dyn Vendor,
        routes: Router,
        request: Request,
    ) -> io::Result<Response> {
        let (parts, body) = request.into_parts();
        let number = self.note(&parts);
        let fault = self.behaviour.faults.get(&number).copied();
        tokio::time::sleep(self.behaviour.latency).await;
        if fault == Some(Fault::Reset) {
            return Err(io::Error::other("reset on purpose"));
        }
        // A complete request, before the clock is read: that is when the vendor counts it.
        let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(io::Error::other)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let counted = vendor.charge(&parts).map(|charge| self.count(charge, now));
        let standing = counted.map(|(_, standing)| standing);
        let is_over = counted.is_some_and(|(is_over, _)| is_over);
        let mut answer = self.faulty(vendor, routes, parts, body, fault, is_over).await?;
        let standing = match fault {
            // A limit that was only simulated ends at once.
            Some(Fault::Limited) => {
                standing.map(|standing| Standing { left: 0, end: now + 1, ends_in: 1, ..standing })
            }
            _ => standing,
        };
        if let Some(standing) = standing {
            vendor.tell(standing, answer.headers_mut());
        }
        answer.headers_mut().insert(DATE, date(now));
        if fault == Some(Fault::Extremes) { with_extremes(answer).await } else { Ok(answer) }
    }

    async fn faulty(
        &self,
        vendor: &dyn Vendor,
        routes: Router,
        mut parts: Parts,
        body: Bytes,
        fault: Option<Fault>,
        is_over: bool,
    ) -> io::Result<Response> {
        match fault {
            _ if is_over => return Ok(vendor.refusal(Refusal::Limited)),
            Some(Fault::Limited) => return Ok(vendor.refusal(Refusal::Limited)),
            Some(Fault::Internal) => return Ok(vendor.refusal(Refusal::Internal)),
            Some(Fault::ErrorInOk) => {
                let mut answer = vendor.refusal(Refusal::Internal);
                *answer.status_mut() = StatusCode::OK;
                return Ok(answer);
            }
            Some(Fault::Echo) => return Ok(echo(&parts, &body)),
            Some(Fault::NoJson) => return Ok("<html>a proxy says hello</html>".into_response()),
            Some(Fault::ExpiredToken) => self.expire_tokens(),
            Some(Fault::RepeatedPage) => {
                parts.extensions.insert(RepeatsPage);
            }
            Some(Fault::ExpiredPage) => return Ok(vendor.refusal(Refusal::Page)),
            Some(Fault::Cut | Fault::Reset | Fault::Nulls(_) | Fault::Extremes) | None => {}
        }
        if !vendor.is_authorized(&parts, self) {
            return Ok(vendor.refusal(Refusal::Token));
        }
        let request = Request::from_parts(parts, Body::from(body));
        let answer = routes.oneshot(request).await.map_err(io::Error::other)?;
        match fault {
            Some(Fault::Cut) => cut(answer).await,
            Some(Fault::Nulls(seed)) => with_nulls(answer, vendor.nullable(), seed).await,
            _ => Ok(answer),
        }
    }
}

/// Makes some optional properties of the answer null or absent: one in four.
async fn with_nulls(answer: Response, nullable: &[&str], seed: u64) -> io::Result<Response> {
    let (mut parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return Ok(Response::from_parts(parts, Body::from(body)));
    };
    make_nulls(&mut value, nullable, (seed, ""));
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(value.to_string())))
}

/// Makes the same choice for the same entry, by its id, on every page and in every list.
fn make_nulls(value: &mut Value, nullable: &[&str], (seed, of): (u64, &str)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| make_nulls(value, nullable, (seed, of))),
        Value::Object(object) => {
            let id = object.get("id").map_or_else(|| of.to_owned(), Value::to_string);
            for key in nullable {
                let mut hasher = DefaultHasher::new();
                (&id, key, seed).hash(&mut hasher);
                match hasher.finish() % 8 {
                    0 if object.contains_key(*key) => drop(object.insert((*key).to_owned(), Value::Null)),
                    1 => drop(object.shift_remove(*key)),
                    _ => {}
                }
            }
            object.values_mut().for_each(|value| make_nulls(value, nullable, (seed, &id)));
        }
        _ => {}
    }
}

/// Answer of a debugging proxy or an overly talkative server.
fn echo(parts: &Parts, body: &[u8]) -> Response {
    let headers: Vec<String> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let text = format!("{}; {}", headers.join("; "), String::from_utf8_lossy(body));
    let error = serde_json::json!({
        "error": { "code": "BadRequest", "message": text }, "error_description": text, "message": text, "errorSummary": text, "errorCode": "E0000001",
        "statusCode": 400, "name": "BadRequest",
    });
    (StatusCode::BAD_REQUEST, error.to_string()).into_response()
}

/// Headers with counts and times.
const COUNTS: [&str; 12] = [
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "total-pages",
    "total-count",
    "retry-after",
];

/// Replaces numbers in the answer with ones that no counter reaches.
async fn with_extremes(answer: Response) -> io::Result<Response> {
    let (mut parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    for name in COUNTS {
        parts.headers.insert(name, HeaderValue::from(u64::MAX));
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return Ok(Response::from_parts(parts, Body::from(body)));
    };
    make_extremes(&mut value);
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(value.to_string())))
}

/// Keeps the numbers of entries, because they are ids.
fn make_extremes(value: &mut Value) {
    match value {
        Value::Number(number) => *number = u64::MAX.into(),
        Value::Array(values) => values.iter_mut().for_each(make_extremes),
        Value::Object(object) => {
            let others = object.iter_mut().filter(|(key, _)| *key != "id" && *key != "role_ids");
            others.for_each(|(_, value)| make_extremes(value));
        }
        _ => {}
    }
}

/// Sends half of the answer, then ends the connection.
async fn cut(answer: Response) -> io::Result<Response> {
    let (mut parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    let half = body.slice(..body.len() / 2);
    parts.headers.remove(CONTENT_LENGTH);
    let end = async {
        // Headers and half of the body are sent before the end comes.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(io::Error::other("cut on purpose"))
    };
    let stream = futures_util::StreamExt::chain(stream::iter([Ok(half)]), stream::once(end));
    Ok(Response::from_parts(parts, Body::from_stream(stream)))
}

#[derive(Clone, Copy)]
struct RepeatsPage;

/// Whether this request's answer is to name itself as the next page.
pub(crate) fn repeats_page(request: &Parts) -> bool {
    request.extensions.get::<RepeatsPage>().is_some()
}

fn date(now: u64) -> HeaderValue {
    let now = i64::try_from(now).ok().and_then(|now| jiff::Timestamp::from_second(now).ok());
    let text = now.unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
