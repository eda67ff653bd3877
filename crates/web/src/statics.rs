//! Files that are in the program: style, script, icon. Their addresses change with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::sessions::{digest, hex};
use crate::visit::Refusal;

struct File {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const FILES: [File; 3] = [
    File { name: "page.css", kind: "text/css; charset=utf-8", content: include_str!("../static/page.css") },
    File {
        name: "page.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../static/page.js"),
    },
    File { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../static/icon.svg") },
];

static MARK: LazyLock<String> = LazyLock::new(|| {
    let all: String = FILES.iter().map(|file| file.content).collect();
    hex(&digest(all.as_bytes())[..8])
});

/// Address of a file.
pub(crate) fn address(name: &str) -> String {
    format!("/static/{}/{name}", *MARK)
}

pub(crate) async fn answer(Path((_, name)): Path<(String, String)>) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return Refusal::not_found().into_response();
    };
    let headers = [(CONTENT_TYPE, file.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, file.content).into_response()
}
