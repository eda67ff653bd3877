//! Answers the token request, then reads and discards any import, as fast as possible: the benchmark uses it so that the
//! server's own time does not count. `sink [PORT]` prints its URL.
#![allow(clippy::print_stdout, reason = "the URL is what the caller reads")]

use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::json;

async fn discard(body: Body) -> StatusCode {
    let mut body = body.into_data_stream();
    while let Some(Ok(_)) = body.next().await {}
    StatusCode::OK
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let token =
        || async { Json(json!({ "access_token": "sink", "expires_in": 3600, "token_type": "Bearer" })) };
    let app = Router::new()
        .route("/identity/connect/token", post(token))
        .route("/api/public/organization/import", post(discard));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
