//! Google's refusals, with advice (Directory API, "Limits and quotas", "Common errors").

use serde::Deserialize;

use super::config::Tenancy;
use super::login::Login;
use crate::directory::lists::or_default;
use crate::http::Response;
use crate::{Error, ErrorKind};

/// Temporary limits: per minute, and for concurrent requests.
const PASSING: [&str; 4] =
    ["quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"];

#[derive(Debug, Deserialize)]
struct Refusal {
    error: Trouble,
}

#[derive(Debug, Deserialize)]
struct Trouble {
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default, deserialize_with = "or_default")]
    errors: Vec<Cause>,
    status: Option<String>,
    /// Reason in the format of newer parts of Google.
    #[serde(default, deserialize_with = "or_default")]
    details: Vec<Cause>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    reason: Option<String>,
}

impl Trouble {
    fn of(response: &Response) -> Option<Self> {
        serde_json::from_slice::<Refusal>(&response.body).ok().map(|refusal| refusal.error)
    }

    fn reasons(&self) -> Vec<&str> {
        let causes = self.errors.iter().chain(&self.details);
        let mut reasons: Vec<&str> = causes.filter_map(|cause| cause.reason.as_deref()).collect();
        reasons.dedup();
        if reasons.is_empty() {
            reasons.extend(self.status.as_deref());
        }
        reasons
    }

    fn is_one_of(&self, reasons: &[&str]) -> bool {
        self.reasons().iter().any(|reason| reasons.contains(reason))
    }

    fn says(&self, words: &str) -> bool {
        self.message.to_lowercase().contains(words)
    }
}

/// Whether another try may succeed, if the status alone does not tell.
pub(super) fn may_pass(response: &Response) -> bool {
    response.status.as_u16() == 403
        && Trouble::of(response).is_some_and(|trouble| trouble.is_one_of(&PASSING))
}

/// Whether Google answered, and not something in between.
pub(super) fn is_googles(response: &Response) -> bool {
    Trouble::of(response).is_some()
}

/// Whether the key is that of an entry of another kind: of a group where a person was asked for ("Type not supported: userKey").
pub(super) fn is_of_another_kind(response: &Response) -> bool {
    Trouble::of(response).is_some_and(|trouble| trouble.says("type not supported"))
}

/// Error for the caller.
pub(super) fn refused(attempted: &str, response: &Response, login: &Login, part: &Tenancy) -> Error {
    let status = response.status.as_u16();
    let id = response.request_id().map_or(String::new(), |id| format!(" (request {id})"));
    let Some(trouble) = Trouble::of(response) else {
        return unknown(attempted, status, &id);
    };
    let told = format!("HTTP {status}, {}: {}{id}", trouble.reasons().join(", "), trouble.message);
    let (kind, hint) = advice(status, &trouble, login, part);
    Error::new(kind, attempted, told).hint(hint)
}

fn unknown(attempted: &str, status: u16, id: &str) -> Error {
    let (kind, reason) = match status {
        200 => (ErrorKind::Data, format!("the answer is not a list{id}")),
        _ => (ErrorKind::Refused, format!("HTTP {status}{id}, without a message from Google")),
    };
    Error::new(kind, attempted, reason)
        .hint("Check BWDC_GOOGLE_API_URL, and whether a proxy answers instead. Nothing was imported.")
}

fn advice(status: u16, trouble: &Trouble, login: &Login, part: &Tenancy) -> (ErrorKind, String) {
    let quotas = "the quotas of the Admin SDK API in the Google Cloud console";
    let (name, value) = part.parameter();
    match status {
        401 => (
            ErrorKind::Credentials,
            "Google does not accept the access token it issued. Run `bwdc doctor`; the service account's key may have been \
            deleted just now."
                .to_owned(),
        ),
        429 => (ErrorKind::Unreachable, format!("Google's limit is used up by others; try again at another time, or see {quotas}.")),
        403 if trouble.is_one_of(&PASSING) => {
            (ErrorKind::Unreachable, format!("Google's limit is used up by others; try again at another time, or see {quotas}."))
        }
        403 if trouble.is_one_of(&["dailyLimitExceeded"]) => {
            (ErrorKind::Refused, format!("The project's queries for today are used up. Try again tomorrow, or raise {quotas}."))
        }
        403 if trouble.is_one_of(&["accessNotConfigured", "SERVICE_DISABLED"]) => (
            ErrorKind::Configuration,
            "Enable the Admin SDK API in the service account's project (Google Cloud console > APIs & Services > Library), and wait \
            a few minutes."
                .to_owned(),
        ),
        403 if trouble.is_one_of(&["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"]) => {
            (ErrorKind::Credentials, login.delegation())
        }
        403 => (
            ErrorKind::Credentials,
            format!(
                "gsuite.adminUser needs an administrator role that may read users and groups (Admin API privileges), and {value} \
                must belong to the same Google Workspace: check gsuite.{name}."
            ),
        ),
        404 => (ErrorKind::Configuration, format!("Check gsuite.{name}: Google does not know `{value}`.")),
        400 if trouble.says("query") => (
            ErrorKind::Configuration,
            "Check the query after the `|` in sync.userFilter and sync.groupFilter (Google's \"Search for users\" and \"Search for \
            groups\" explain its syntax)."
                .to_owned(),
        ),
        400 if trouble.says("token") => {
            (ErrorKind::Incomplete, "The list could not be read to its end. Nothing was imported: try again.".to_owned())
        }
        400 => (
            ErrorKind::Configuration,
            format!("Check gsuite.{name}: a domain looks like example.org, a customer id like C0abc123 or my_customer."),
        ),
        300..=399 => (ErrorKind::Configuration, "Check BWDC_GOOGLE_API_URL: the server redirects elsewhere.".to_owned()),
        _ => (ErrorKind::Refused, "See https://www.google.com/appsstatus. Nothing was imported.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::directory::google::tests::config;

    fn answer(status: u16, body: &str) -> Response {
        let status = StatusCode::from_u16(status).unwrap();
        Response { status, headers: HeaderMap::new(), body: body.to_owned().into() }
    }

    fn reason(status: u16, reason: &str, message: &str) -> Response {
        answer(
            status,
            &format!(
                r#"{{"error":{{"code":{status},"message":"{message}","errors":[{{"message":"{message}","domain":"global","reason":"{reason}"}}]}}}}"#
            ),
        )
    }

    #[test]
    fn limits_are_temporary_except_the_daily_limit() {
        for word in PASSING {
            assert!(may_pass(&reason(403, word, "")), "{word}");
        }
        for word in ["dailyLimitExceeded", "forbidden", "insufficientPermissions"] {
            assert!(!may_pass(&reason(403, word, "")), "{word}");
        }
        let newer = r#"{"error":{"code":403,"message":"","status":"PERMISSION_DENIED","details":[{"@type":"x","reason":"RATE_LIMIT_EXCEEDED"}]}}"#;
        assert!(may_pass(&answer(403, newer)));
        assert!(!may_pass(&answer(403, "<html>")) && !may_pass(&reason(400, "quotaExceeded", "")));
    }

    #[test]
    fn each_refusal_has_googles_message_and_advice() {
        let (login, part) = (Login::new(&config()).unwrap(), Tenancy::Domain("example.org".to_owned()));
        for (status, word, message, hint) in [
            (
                403,
                "accessNotConfigured",
                "Admin SDK API has not been used in project 1",
                "Enable the Admin SDK API",
            ),
            (403, "insufficientPermissions", "Insufficient Permission", "domain-wide delegation"),
            (403, "forbidden", "Not Authorized to access this resource/api", "administrator role"),
            (403, "dailyLimitExceeded", "Daily Limit Exceeded", "tomorrow"),
            (403, "userRateLimitExceeded", "User Rate Limit Exceeded", "at another time"),
            (404, "notFound", "Domain not found.", "gsuite.domain: Google does not know `example.org`"),
            (400, "badRequest", "Bad Request", "gsuite.domain"),
            (400, "invalid", "Invalid Input: query", "sync.userFilter"),
            (400, "invalid", "Invalid Input: pageToken", "try again"),
            (503, "backendError", "Service unavailable", "appsstatus"),
        ] {
            let error = refused("Reading users", &reason(status, word, message), &login, &part);
            assert!(error.to_string().contains(&format!("HTTP {status}, {word}: {message}")), "{error}");
            assert!(error.next_step().unwrap().contains(hint), "{:?}", error.next_step());
        }
        for (status, body) in [(502, "<html>"), (403, "{}"), (200, "{}")] {
            let error = refused("Reading users", &answer(status, body), &login, &part);
            assert!(error.next_step().unwrap().contains("proxy"), "{error}");
        }
    }

    const SAMPLES: [&str; 4] = [
        r#"{"error":{"code":403,"message":"Not Authorized","errors":[{"message":"x","domain":"global","reason":"forbidden"}]}}"#,
        r#"{"error":{"code":403,"message":"","status":"PERMISSION_DENIED","details":[{"@type":"x","reason":"RATE_LIMIT_EXCEEDED"}]}}"#,
        r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token"}"#,
        "<html>",
    ];

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_refusals_of_google(
            body in damaged(SAMPLES),
            status in crate::fuzz::status(),
            date in damaged(["Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"]),
        ) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(status, body.clone()), "date", &date);
            let _ = (may_pass(&answer), is_googles(&answer));
            let (login, part) = (Login::new(&config()).unwrap(), Tenancy::Domain("example.org".to_owned()));
            crate::fuzz::harmless(&refused("Reading users", &answer, &login, &part), body.len())?;
            crate::fuzz::harmless(&login.refused("Logging in", &answer), body.len())?;
        }
    }
}
