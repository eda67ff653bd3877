//! Injected faults, at the n-th request: a request that never arrives, an answer that is lost or late.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};

use crate::response::html;
use crate::routes::Server;

/// Largest body that is read before a fault.
const LARGEST: usize = 64 * 1024 * 1024;

/// Fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// Nothing is done, and the connection ends.
    Lost,
    /// It is done, and the connection ends without an answer.
    AnswerLost,
    /// It is done, and the connection ends within the answer's body.
    AnswerCut,
    /// It is done, and a gateway answers 504 instead.
    GatewayTimeout,
    /// A gateway answers 504 at once. It is done this many milliseconds later.
    DoneLater(u64),
    /// It is done, and answered this many milliseconds later.
    AnsweredLater(u64),
    /// Nothing is done, and the answer is this status with a page of HTML.
    Refused(u16),
    /// Tokens issued so far become invalid.
    ExpiredToken,
}

/// Kind of requests that are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Counted {
    /// All, including logins.
    #[default]
    All,
    /// Only API requests that read.
    Reads,
    /// Only API requests that change something.
    Changes,
}

/// Fault and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Injection {
    /// Number of the request; the next one is 1.
    pub at: usize,
    /// Kind of requests that are counted.
    #[serde(default)]
    pub counted: Counted,
    /// Fault.
    pub fault: Fault,
}

#[derive(Default)]
struct Record {
    requests: Vec<String>,
    waiting: Vec<Injection>,
}

/// Pending faults, and the requests so far.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Record>);

impl Faults {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn inject(&self, injection: Injection) {
        self.record().waiting.push(Injection { at: injection.at.max(1), ..injection });
    }

    pub(crate) fn clear(&self) {
        self.record().waiting.clear();
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.record().requests.clone()
    }

    /// Records a request. If several faults are pending for it, the one that was injected first happens.
    fn meet(&self, request: &Request) -> Option<Fault> {
        let path = request.uri().path();
        let mut record = self.record();
        record.requests.push(format!("{} {path}", request.method()));
        let is_api = path.starts_with("/api/");
        let is_read = request.method() == Method::GET;
        let mut met = None;
        record.waiting.retain_mut(|waiting| {
            let counts = match waiting.counted {
                Counted::All => true,
                Counted::Reads => is_api && is_read,
                Counted::Changes => is_api && !is_read,
            };
            waiting.at -= usize::from(counts);
            if waiting.at == 0 {
                met = met.or(Some(waiting.fault));
            }
            waiting.at > 0
        });
        met
    }
}

/// Passes a request on, or carries out its fault.
pub(crate) async fn play(State(server): State<Server>, request: Request, next: Next) -> Response {
    let Some(fault) = server.faults.meet(&request) else { return next.run(request).await };
    // The sender has sent all of it.
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else { return html(StatusCode::PAYLOAD_TOO_LARGE) };
    let request = Request::from_parts(parts, Body::from(body));
    match fault {
        Fault::Lost => no_answer(),
        Fault::AnswerLost => {
            next.run(request).await;
            no_answer()
        }
        Fault::AnswerCut => half_of(next.run(request).await).await,
        Fault::GatewayTimeout => {
            next.run(request).await;
            html(StatusCode::GATEWAY_TIMEOUT)
        }
        Fault::DoneLater(milliseconds) => {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                next.run(request).await;
            });
            html(StatusCode::GATEWAY_TIMEOUT)
        }
        Fault::AnsweredLater(milliseconds) => {
            let answer = next.run(request).await;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            answer
        }
        Fault::Refused(status) => {
            html(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Fault::ExpiredToken => {
            server.store.expire_tokens();
            next.run(request).await
        }
    }
}

fn cut_on_purpose() -> io::Error {
    io::Error::other("cut on purpose")
}

/// Answer whose connection ends before its first byte.
fn no_answer() -> Response {
    Body::from_stream(stream::once(async { Err::<Bytes, _>(cut_on_purpose()) })).into_response()
}

/// Sends the headers and half of the body, then ends the connection.
async fn half_of(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap_or_default();
    let half = body.slice(..body.len() / 2);
    parts.headers.remove(CONTENT_LENGTH);
    let end = async {
        // The data before it is already being sent.
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(cut_on_purpose())
    };
    let stream = stream::StreamExt::chain(stream::iter([Ok(half)]), stream::once(end));
    Response::from_parts(parts, Body::from_stream(stream))
}
