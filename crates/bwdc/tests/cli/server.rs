//! Failures between us and the organization.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bwdc_sandbox::{Limits, Options, Status};
use bwdc_testkit::slapd::Quirk;
use bwdc_testkit::{Slapd, free_port, ldif};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Instance, Organization};

const USERS: &str = "id,email\n1,a@example.org\n2,b@example.org\n";
const MORE_USERS: &str = "id,email\n1,a@example.org\n2,b@example.org\n3,c@example.org\n";

/// Server whose import gives the specified answers, request by request; the last one repeats.
struct Faulty {
    url: String,
    asked: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Faulty {
    fn start(answers: Vec<fn() -> Response>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let token = || async { Json(json!({ "access_token": "t0ken-value", "expires_in": 3600 })) };
        // Whole, so that the connection can go on.
        let import = move |_body: axum::body::Bytes| {
            let at = counter.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let answer = answers[at]();
            async move { answer }
        };
        let app = Router::new()
            .route("/identity/connect/token", post(token))
            .route("/api/public/organization/import", post(import));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async { axum::serve(listener, app).await });
        Self { url, asked, _runtime: runtime }
    }

    fn instance(&self) -> Instance {
        let mut instance = Instance::empty();
        instance.company(USERS, "name,members\nAll,1;2\n");
        instance.write(&json!({
            "stateVersion": 8, "environmentUrls": { "base": self.url }, "directoryType": "file",
            "directoryFile": { "path": "company" }, "sync": { "users": true, "groups": true },
        }));
        instance.set_env("BW_CLIENTID", "organization.11111111-2222-3333-4444-555555555555");
        instance.set_env("BW_CLIENTSECRET", "s3cret-value");
        instance.run(&["login"]).ok();
        instance
    }
}

fn status(code: u16, body: &'static str) -> Response {
    (StatusCode::from_u16(code).unwrap(), body).into_response()
}

#[test]
fn every_refusal_is_one_clear_message() {
    type Answer = fn() -> Response;
    let cases: [(Answer, &[&str]); 9] = [
        (
            || {
                status(
                    400,
                    r#"{"object":"error","message":"The request's model state is invalid.","errors":{"Members[1].Email":["The Email field is not a valid e-mail address."]}}"#,
                )
            },
            &[
                "HTTP 400 Bad Request",
                "model state is invalid",
                "Members[1].Email (b@example.org): The Email field",
            ],
        ),
        (
            || {
                status(
                    400,
                    r#"{"message":"Organization cannot use directory syncing.","validationErrors":null}"#,
                )
            },
            &["cannot use directory syncing", "plan"],
        ),
        (|| status(401, ""), &["HTTP 401 Unauthorized", "bwdc login"]),
        (|| status(403, ""), &["HTTP 403 Forbidden"]),
        (
            || status(404, "<html><title>Nothing here</title></html>"),
            &["HTTP 404", "Nothing here", "bwdc config server"],
        ),
        (
            || status(413, "<html><head><title>413 Request Entity Too Large</title>"),
            &["HTTP 413", "sync.largeImport"],
        ),
        (
            || status(429, r#"{"message":"Slow down! Too many requests. Try again in 1m."}"#),
            &["HTTP 429", "Slow down!"],
        ),
        (
            || status(500, r#"{"message":"An unhandled server error has occurred."}"#),
            &["HTTP 500", "unhandled server error", "safe"],
        ),
        (|| status(502, "<html><body><h1>Bad gateway</h1></body></html>"), &["HTTP 502", "Bad gateway"]),
    ];
    for (answer, words) in cases {
        let server = Faulty::start(vec![answer]);
        let instance = server.instance();
        let ran = instance.run(&["sync"]).fails(1, words);
        assert!(!ran.err.contains("t0ken-value") && !ran.err.contains("s3cret-value"), "{}", ran.err);
        let data = instance.data();
        assert!(data["lastSyncHash"].is_null() && data["lastUserSync"].is_null());
        assert_eq!(data["apiKeyClientSecret"], "s3cret-value");
    }
}

#[test]
fn temporary_failures_are_overcome() {
    let retry_at_once = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response();
    let server = Faulty::start(vec![retry_at_once, || status(503, ""), || status(204, "")]);
    let mut instance = server.instance();
    instance.set_env("BWDC_RETRY_SECONDS", "20");
    instance.run(&["sync"]).ok();
    assert_eq!(server.asked.load(Ordering::SeqCst), 3);
}

/// Sends part of a body: the reader sees the connection end.
fn broken_off() -> Response {
    let part = futures_util::stream::iter([
        Ok(axum::body::Bytes::from("{")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    axum::body::Body::from_stream(part).into_response()
}

/// Behind a gateway that no longer waits, or a connection that broke, the server may still be working on it.
#[test]
fn no_second_import_is_sent_while_the_first_may_be_running() {
    type Answer = fn() -> Response;
    let answers: [Answer; 4] =
        [|| status(502, ""), || status(504, "<h1>Gateway Time-out</h1>"), || status(408, ""), broken_off];
    for answer in answers {
        let server = Faulty::start(vec![|| status(200, ""), answer, || status(200, "")]);
        let mut instance = server.instance();
        instance.set_env("BWDC_RETRY_SECONDS", "5");
        instance.run(&["sync"]).ok();
        let first = instance.data();
        assert!(first["lastSyncHash"].is_string() && first["importBegun"].is_null());
        instance.company(MORE_USERS, "name,members\nAll,1;2;3\n");
        let ran = instance
            .run(&["sync"])
            .fails(1, &["It may have been done, or the server may still be working on it"]);
        assert_eq!(server.asked.load(Ordering::SeqCst), 2, "{}", ran.err);
        // The directory is as it was at the first import. The organization's state is unknown: it is sent again, but not at once.
        instance.company(USERS, "name,members\nAll,1;2\n");
        let data = instance.data();
        assert!(data["lastSyncHash"].is_null() && data["importBegun"].is_string(), "{data}");
        assert_eq!(data["lastUserSync"], first["lastUserSync"]);
        instance.set_env("BWDC_RETRY_SECONDS", "1");
        let ran = instance.run(&["sync"]).ok();
        assert!(
            ran.out.contains("2 user(s)") && ran.err.contains("may still be working on it"),
            "{} {}",
            ran.out,
            ran.err
        );
        assert_eq!(server.asked.load(Ordering::SeqCst), 3);
        assert_eq!(instance.data()["lastSyncHash"], first["lastSyncHash"]);
        assert!(instance.data()["importBegun"].is_null());
    }
}

/// A run of many requests may be killed in any of them: the next one waits for as long after it as after the first.
#[test]
fn a_later_request_of_a_long_import_is_dated() {
    fn slow() -> Response {
        std::thread::sleep(Duration::from_millis(10_200));
        status(200, "")
    }
    fn less_slow() -> Response {
        std::thread::sleep(Duration::from_secs(1));
        status(200, "")
    }
    let server = Faulty::start(vec![slow, less_slow, || status(204, "")]);
    let instance = server.instance();
    let users: String = (0..3_000).map(|number| format!("{number},user{number}@example.org\n")).collect();
    instance.company(&format!("id,email\n{users}"), "name,members\nAll,1;2\n");
    instance.run(&["config", "sync.largeImport", "true"]).ok();
    let begun = || instance.data()["importBegun"].as_str().map(str::to_owned);
    let times = std::thread::scope(|scope| {
        let sync = scope.spawn(|| instance.run(&["sync"]).ok());
        let mut times = std::collections::BTreeSet::new();
        while !sync.is_finished() {
            times.extend(begun());
            std::thread::sleep(Duration::from_millis(50));
        }
        times
    });
    assert!(server.asked.load(Ordering::SeqCst) > 1 && times.len() > 1, "{times:?}");
    assert_eq!(begun(), None);
}

/// The process ends after the server has done it, and before that is recorded.
#[test]
fn an_import_sent_by_a_killed_run_does_not_count_as_unsent() {
    let server =
        Faulty::start(vec![|| status(200, ""), || status(400, r#"{"message":"No."}"#), || status(200, "")]);
    let instance = server.instance();
    instance.run(&["sync"]).ok();
    let before = instance.data();
    instance.company(MORE_USERS, "name,members\nAll,1;2;3\n");
    // A refusal ends it: nothing is running, and the next run need not wait.
    instance.run(&["sync"]).fails(1, &["No."]);
    assert!(instance.data()["lastSyncHash"].is_null() && instance.data()["importBegun"].is_null());
    instance.company(USERS, "name,members\nAll,1;2\n");
    let ran = instance.run(&["sync"]).ok();
    // Whether the refused import has brought somebody nobody knows.
    let missing = "No longer in the directory: 1 member (c@example.org)";
    assert!(ran.out.contains("2 user(s)") && ran.err.contains(missing), "{} {}", ran.out, ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert_eq!(instance.data()["lastSyncHash"], before["lastSyncHash"]);
}

/// Sign-in page, maintenance notice, message of a firewall.
#[test]
fn a_page_instead_of_an_answer_is_not_a_successful_import() {
    type Answer = fn() -> Response;
    let pages: [Answer; 6] = [
        || status(200, r#"{"error":"down"}"#),
        || status(200, r#"{"object":"error","Message":"Maintenance"}"#),
        || status(200, r#"{"message":"The request is invalid.","validationErrors":{"Groups":["No."]}}"#),
        || status(200, "<html><title>Sign in</title></html>"),
        || status(202, "Down for maintenance"),
        || status(200, "{\"cut\":"),
    ];
    for page in pages {
        let server = Faulty::start(vec![page]);
        let instance = server.instance();
        instance
            .run(&["sync"])
            .fails(1, &["this is not an answer from a Bitwarden server", "does not count as done"]);
        let data = instance.data();
        assert!(data["lastSyncHash"].is_null() && data["lastUserSync"].is_null());
    }
    let answers: [Answer; 4] = [
        || status(200, ""),
        || status(204, ""),
        || status(201, " {\"object\":\"import\"}\n"),
        || status(200, "null"),
    ];
    for answer in answers {
        let server = Faulty::start(vec![answer]);
        server.instance().run(&["sync"]).ok();
    }
}

#[test]
fn a_refusal_is_not_repeated() {
    let server = Faulty::start(vec![|| status(400, r#"{"message":"No."}"#)]);
    server.instance().run(&["sync"]).fails(1, &["No."]);
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn an_expired_token_is_renewed_once() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, "name,members\n", &organization);
    instance.run(&["login"]).ok();
    let first = instance.data()["accessToken"].clone();
    organization.sandbox.expire_tokens();
    instance.run(&["sync"]).ok();
    assert_ne!(instance.data()["accessToken"], first);
    assert_eq!(organization.emails(), ["a@example.org", "b@example.org"]);
}

#[test]
fn tokens_are_reused_between_runs() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, "name,members\n", &organization);
    instance.run(&["sync"]).ok();
    let token = instance.data()["accessToken"].clone();
    assert!(token.is_string(), "sync with a key in the environment logs in");
    instance.company("id,email\n1,a@example.org\n", "name,members\n");
    instance.run(&["sync"]).ok();
    assert_eq!(instance.data()["accessToken"], token);
}

#[test]
fn a_redirect_is_not_followed_with_a_secret() {
    let elsewhere =
        || (StatusCode::MOVED_PERMANENTLY, [("location", "https://elsewhere.example/x?y=z")]).into_response();
    let server = Faulty::start(vec![elsewhere]);
    let ran = server
        .instance()
        .run(&["sync"])
        .fails(1, &["HTTP 301", "https://elsewhere.example/x", "https, not http?"]);
    assert!(!ran.err.contains("y=z"));
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, "name,members\n", &organization);
    instance.set_env("http_proxy", &format!("http://127.0.0.1:{}", free_port()));
    instance.run(&["login"]).fails(1, &["Logging in to http://127.0.0.1", "proxy"]);
    instance.set_env("no_proxy", "127.0.0.1");
    instance.run(&["login"]).ok();
}

/// OpenLDAP's LDAPS port stands in for a web server: its certificate is checked before anything is sent.
#[test]
fn an_untrusted_certificate_is_named_at_once() {
    let slapd = Slapd::with(&ldif::small(1, 0, 0));
    let expired = Slapd::start(&ldif::small(1, 0, 0), Quirk::Expired);
    let mut instance = Instance::empty();
    instance.set_env("BW_CLIENTID", "organization.x");
    instance.set_env("BW_CLIENTSECRET", "y");
    let at = |port: u16| format!("https://localhost:{port}");
    instance.run(&["config", "server", &at(slapd.tls_port())]).ok();
    let ran = instance.run(&["login"]).fails(1, &["UnknownIssuer", "BWDC_CA_FILE"]);
    assert!(!ran.err.contains("tried"), "{}", ran.err);
    instance.set_env("BWDC_CA_FILE", slapd.certificates().ca.to_str().unwrap());
    let trusted = instance.run(&["login"]).fails(1, &["localhost"]);
    assert!(!trusted.err.contains("certificate"), "{}", trusted.err);
    instance.run(&["config", "server", &at(expired.tls_port())]).ok();
    instance.set_env("BWDC_CA_FILE", expired.certificates().ca.to_str().unwrap());
    instance.run(&["login"]).fails(1, &["expired", "have it renewed"]);
    instance.set_env("BWDC_CA_FILE", "/nowhere.pem");
    instance.run(&["login"]).fails(1, &["/nowhere.pem", "No such file"]);
}

#[test]
fn a_missing_server_is_named_with_host_and_port() {
    let instance = {
        let mut instance = Instance::empty();
        let port = free_port();
        instance.run(&["config", "server", &format!("http://127.0.0.1:{port}")]).ok();
        instance.set_env("BW_CLIENTID", "organization.x");
        instance.set_env("BW_CLIENTSECRET", "y");
        instance
    };
    instance
        .run(&["login"])
        .fails(1, &["Logging in to http://127.0.0.1", "Connection refused", "Check the server's URL"]);
}

#[test]
fn a_wrong_key_lists_the_possible_causes() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, "name,members\n", &organization);
    instance.set_env("BW_CLIENTSECRET", "wrong-key");
    let ran = instance
        .run(&["login"])
        .fails(1, &["invalid_client", "API key is wrong", "disabled", "no API access"]);
    assert!(!ran.err.contains("wrong-key"));
    assert!(instance.data().get("apiKeyClientSecret").is_none());
}

#[test]
fn the_clouds_rate_limit_is_kept() {
    let organization = Organization::start(Options { limits: Limits::Cloud, ..Options::default() });
    let mut instance = Instance::files(USERS, "name,members\n", &organization);
    instance.set_env("BWDC_RETRY_SECONDS", "30");
    instance.run(&["login"]).ok();
    let users: String = (0..2_001).map(|at| format!("{at},u{at}@example.org\n")).collect();
    instance.company(&format!("id,email\n{users}"), "name,members\n");
    instance.run(&["sync"]).fails(1, &["You cannot import this much data at once", "sync.largeImport"]);
    instance.change(|data| data["sync"]["largeImport"] = json!(true));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 2_001);
}

#[test]
fn a_failing_batch_is_numbered() {
    let server = Faulty::start(vec![|| status(200, ""), || {
        status(400, r#"{"message":"Seat limit has been reached."}"#)
    }]);
    let instance = server.instance();
    let users: String = (0..4_500).map(|at| format!("{at},u{at}@example.org\n")).collect();
    instance.company(&format!("id,email\n{users}"), "name,members\n");
    instance.change(|data| data["sync"]["largeImport"] = json!(true));
    instance.run(&["sync"]).fails(
        1,
        &["Request 2 of 3 failed", "the next run goes on from there", "Seat limit", "too few seats"],
    );
    assert!(instance.data()["lastSyncHash"].is_null());
}

#[test]
fn overwriting_removes_unlisted_people_and_spares_owners() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, "name,members\n", &organization);
    instance.run(&["sync"]).ok();
    for email in organization.emails() {
        organization.sandbox.set_status(&email, Status::Confirmed).unwrap();
    }
    instance.company("id,email\n1,a@example.org\n", "name,members\n");
    instance.change(|data| data["sync"]["overwriteExisting"] = json!(true));
    instance.run(&["sync"]).ok();
    let left: Vec<String> =
        organization.sandbox.members().unwrap().into_iter().map(|member| member.email).collect();
    assert_eq!(left, ["a@example.org", "owner@sandbox.example"]);
}

#[test]
fn with_response_a_refused_import_is_json() {
    let server = Faulty::start(vec![|| status(401, "")]);
    let ran = server.instance().run(&["--response", "sync"]);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &json["success"]), (1, &json!(false)));
    assert!(json["message"].as_str().unwrap().contains("HTTP 401"));
}

/// A login imports nothing, so there is nothing to repeat.
#[test]
fn a_failed_login_does_not_mention_imports() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let failing = Router::new().fallback(|| async { StatusCode::SERVICE_UNAVAILABLE });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async { axum::serve(listener, failing).await });
    let mut instance = Instance::empty();
    instance.write(&json!({ "stateVersion": 8, "environmentUrls": { "base": url } }));
    instance.set_env("BW_CLIENTID", "organization.11111111-2222-3333-4444-555555555555");
    instance.set_env("BW_CLIENTSECRET", "s3cret-value");
    let ran = instance.run(&["login"]).fails(1, &["HTTP 503", "try again later"]);
    assert!(!ran.err.contains("import") && !ran.err.contains("next run"), "{}", ran.err);
}

/// Names, results and messages of others: on stderr, which cron puts into a log, and in the log.
#[test]
fn texts_of_a_server_or_a_directory_forge_no_line() {
    let answer = || {
        status(
            400,
            r#"{"message":"No.\n2026-01-01T00:00:00.000Z INFO  bwdc: sync ok users=9\u001b[2J\u009b31m"}"#,
        )
    };
    let server = Faulty::start(vec![answer]);
    let instance = server.instance();
    let ran = instance.run(&["sync", "--log-file", "bwdc.log"]).fails(1, &["No."]);
    let log = std::fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap();
    for text in [&ran.err, &log] {
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("2026-01-01T00:00:00.000Z")), "{text}");
    }
    let users = "id,email\n\"1\u{1b}[2J\u{85}\",not-an-address\u{1b}[31m\n2,b@example.org\n";
    instance.company(users, "name,members\n");
    for command in ["test", "sync", "doctor"] {
        let ran = instance.run(&[command]);
        assert!(!ran.err.contains(['\u{1b}', '\u{85}']), "{command}: {:?}", ran.err);
        assert!(command == "test" || !ran.out.contains('\u{1b}'), "{command}: {:?}", ran.out);
    }
}

/// A server, or a proxy in front of it, may repeat what it was sent.
#[test]
fn a_repeated_secret_is_masked() {
    let answers: [fn() -> Response; 3] = [
        || status(400, r#"{"message":"the token t0ken-value is not good"}"#),
        || status(200, "<html>You sent: Authorization: Bearer t0ken-value</html>"),
        || status(413, "t0ken-value, s3cret-value"),
    ];
    for answer in answers {
        let server = Faulty::start(vec![answer]);
        let instance = server.instance();
        for words in [&["sync", "--log-file", "bwdc.log"][..], &["sync", "--response"]] {
            let ran = instance.run(words);
            let log = std::fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap();
            let text = format!("{}{}{log}", ran.out, ran.err);
            assert!(!text.contains("t0ken-value"), "{text}");
            assert_eq!(ran.code, 1, "{text}");
        }
    }
}

/// Key and people are sent in clear only if configured.
#[test]
fn plain_http_to_another_machine_is_refused_unless_allowed() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, "name,members\n", &organization);
    // A proxy on this machine leads there: the host name is what counts.
    instance.set_env("http_proxy", &organization.sandbox.url());
    let saved = instance.run(&["config", "server", "http://vault.example.org"]).ok();
    assert!(saved.err.contains("so every sync is refused"), "{}", saved.err);
    for command in ["login", "sync", "doctor"] {
        let ran = instance.run(&[command]);
        assert_eq!(ran.code, 1);
        let told = format!("{}{}", ran.out, ran.err);
        assert!(
            told.contains("would cross the network in clear") && told.contains("server.allowPlainHttp"),
            "{told}"
        );
    }
    assert_eq!(organization.sandbox.events().unwrap().len(), 0);
    instance.run(&["config", "server.allowPlainHttp", "true"]).ok();
    let ran = instance.run(&["sync"]);
    assert!(ran.err.contains("is reached by http (server.allowPlainHttp)") || ran.code == 1, "{}", ran.err);
    assert!(!ran.err.contains("would cross"), "{}", ran.err);
}

/// An endless directory is given up, and the lock with it.
#[test]
fn an_endless_sync_is_given_up() {
    let slapd = Slapd::with(&ldif::small(2, 0, 0));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["login"]).ok();
    instance.run(&["config", "ldap.port", &bwdc_testkit::proxy::mute_server().to_string()]).ok();
    instance.run(&["config", "sync.timeout", "1s"]).ok();
    instance.run(&["config", "sync.timeout", "1 week"]).fails(1, &["20s, 5m, 1h or 2d"]);
    for _ in 0..2 {
        instance.run(&["sync"]).fails(1, &["The sync took longer than 1 s (sync.timeout)"]);
    }
    assert_eq!(organization.imports(), 0);
}
