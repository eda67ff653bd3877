//! Text of a server's refusal, whatever its format.

use std::fmt::Write as _;

use bwdc_core::import::ImportRequest;
use reqwest::StatusCode;
use serde_json::Value;

use crate::http::{Response, short_json};

/// Length after which texts are cut.
const LONGEST: usize = 300;

/// Builds "HTTP 400 Bad Request: text", with details if the server gives any.
pub(super) fn of(response: &Response, request: Option<&ImportRequest>) -> String {
    let told = match short_json(&response.body) {
        Some(value) => of_json(&value, request),
        None => of_text(&String::from_utf8_lossy(&response.body)),
    };
    let mut line = status(response.status);
    if let Some(told) = told {
        let _ = write!(line, ": {told}");
    }
    if let Some(id) = response.request_id() {
        let _ = write!(line, " [request {id}]");
    }
    line
}

fn status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("HTTP {} {reason}", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    }
}

/// Finds the text in the formats of Bitwarden (`message` with `errors` or `validationErrors`), its identity server (`error`,
/// `error_description`) and Vaultwarden (`errorModel` next to empty `error` fields). Names in any case.
fn of_json(value: &Value, request: Option<&ImportRequest>) -> Option<String> {
    let text = |value: &Value, name: &str| {
        field(value, name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let main = field(value, "errorModel")
        .and_then(|model| text(model, "message"))
        .or_else(|| text(value, "message"))
        .or_else(|| text(value, "error_description"))
        .or_else(|| text(value, "error"))
        .or_else(|| field(value, "error").and_then(|error| text(error, "reason")));
    let details: Vec<String> = ["errors", "validationErrors"]
        .iter()
        .filter_map(|name| field(value, name)?.as_object())
        .flatten()
        .flat_map(|(path, texts)| texts_of(texts).into_iter().map(move |text| (path, text)))
        .filter(|(_, text)| main.as_deref() != Some(text.as_str()))
        .map(|(path, text)| if path.is_empty() { text } else { format!("{}: {text}", named(path, request)) })
        .collect();
    match (main, details.is_empty()) {
        (Some(main), true) => Some(cut(&main)),
        (Some(main), false) => Some(format!("{} {}", cut(&main), cut_list(&details))),
        (None, false) => Some(cut_list(&details)),
        (None, true) => None,
    }
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// Adds the entry to a path such as `Members[3].Email`.
fn named(path: &str, request: Option<&ImportRequest>) -> String {
    let entry = || {
        let (list, rest) = path.trim_start_matches("$.").split_once('[')?;
        let at: usize = rest.split_once(']')?.0.parse().ok()?;
        match list.to_lowercase().as_str() {
            "members" => {
                let member = request?.members.get(at)?;
                Some(
                    member
                        .email
                        .as_ref()
                        .map_or(member.external_id.as_str(), |email| email.as_str())
                        .to_owned(),
                )
            }
            "groups" => Some(request?.groups.get(at)?.name.clone()),
            _ => None,
        }
    };
    match entry() {
        Some(entry) => format!("{path} ({entry})"),
        None => path.to_owned(),
    }
}

/// Title of an HTML page, or its first words.
fn of_text(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let from = start + "<title>".len();
        let end = lower[from..].find("</title>")?;
        text.get(from..from + end)
    });
    let words = match title {
        Some(title) => words_of(title),
        None => words_of(text),
    };
    (!words.is_empty()).then(|| cut(&words))
}

fn words_of(html: &str) -> String {
    let mut plain = String::new();
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            c if !in_tag => plain.push(if c.is_control() { ' ' } else { c }),
            _ => {}
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// Largest number of details shown.
const DETAILS: usize = 5;

fn cut_list(details: &[String]) -> String {
    let told: Vec<String> = details.iter().take(DETAILS).map(|detail| cut(detail)).collect();
    let more = details.len().saturating_sub(DETAILS);
    if more > 0 { format!("{} (and {more} more)", told.join(" ")) } else { told.join(" ") }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    fn told(status: u16, body: &str) -> String {
        let response = Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        };
        of(&response, None)
    }

    #[test]
    fn every_format_of_refusal_is_read() {
        for (body, expected) in [
            ("", "HTTP 400 Bad Request"),
            ("{}", "HTTP 400 Bad Request"),
            (r#"{"error":"invalid_client"}"#, "HTTP 400 Bad Request: invalid_client"),
            (r#"{"error":"","error_description":"","Message":"No."}"#, "HTTP 400 Bad Request: No."),
            (r#"{"error":"x","error_description":"why"}"#, "HTTP 400 Bad Request: why"),
            (
                r#"{"message":"","errorModel":{"message":"Invalid client_id"},"validationErrors":{"":["Invalid client_id"]}}"#,
                "HTTP 400 Bad Request: Invalid client_id",
            ),
            (
                r#"{"message":"Bad.","errors":{"Members[0].Email":["odd","long"]}}"#,
                "HTTP 400 Bad Request: Bad. Members[0].Email: odd Members[0].Email: long",
            ),
            (r#"{"validationErrors":{"A":"b"}}"#, "HTTP 400 Bad Request: A: b"),
            (r#"{"error":{"code":404,"reason":"Not Found"}}"#, "HTTP 400 Bad Request: Not Found"),
            ("<html><head><TITLE>502 Bad Gateway</TITLE></head>", "HTTP 400 Bad Request: 502 Bad Gateway"),
            ("<p>Sorry,\n<b>no</b></p>", "HTTP 400 Bad Request: Sorry, no"),
            ("\u{1}\u{2}", "HTTP 400 Bad Request"),
        ] {
            assert_eq!(told(400, body), expected, "{body}");
        }
        assert!(told(500, &"x".repeat(100_000)).len() < 400);
    }

    /// Answers that servers are known to give.
    const SAMPLES: [&str; 6] = [
        r#"{"error":"invalid_client","error_description":"why"}"#,
        r#"{"message":"","errorModel":{"message":"Invalid client_id"},"validationErrors":{"":["Invalid client_id"]}}"#,
        r#"{"message":"Bad.","errors":{"Members[0].Email":["odd","long"],"$.groups[0].name":["no"],"Members[99]":["x"]}}"#,
        r#"{"error":{"code":404,"reason":"Not Found","description":"The requested resource could not be found."}}"#,
        "<html><head><TITLE>502 Bad Gateway</TITLE></head><p>Sorry</p>",
        r#"{"Object":"error","Message":"x","ValidationErrors":{"A":["b","c"],"B":"d","C":["e"],"D":["f"],"E":["g"],"F":["h"]}}"#,
    ];

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_refusals_of_bitwarden(body in damaged(SAMPLES), status in crate::fuzz::status(), id in damaged(["abc-1"])) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(status, body), "x-request-id", &id);
            let request = ImportRequest {
                groups: vec![],
                members: vec![bwdc_core::import::ImportMember { email: None, external_id: "u1".into(), deleted: false }],
                overwrite_existing: false,
                large_import: false,
                invite_users_after_provisioning: false,
            };
            let told = of(&answer, Some(&request));
            prop_assert!(told.starts_with("HTTP "), "{told}");
            prop_assert!(told.chars().count() < LONGEST * (DETAILS + 2), "{} characters", told.chars().count());
            prop_assert!(!told.contains(['\n', '\r']), "{told:?}");
        }
    }
}
