//! The cloud directories, played with a latency and the vendors' documented limits, beside the same requests one after another.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bwdc_connect::http::assertion::{Algorithm, Header, Signer};
use bwdc_connect::http::{Http, HttpRequest, HttpSettings};
use bwdc_core::Secret;
use bwdc_sandbox::cloud::entra::{self, Entra};
use bwdc_sandbox::cloud::google::{self, Google};
use bwdc_sandbox::cloud::okta::{self, Okta};
use bwdc_sandbox::cloud::onelogin::{self, OneLogin};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company};
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Cost, Plan, Report, Server, Target, finish};

/// How long each answer takes.
const LATENCY: Duration = Duration::from_millis(50);
/// Members per group.
pub(crate) const MEMBERS: usize = 20;

/// One vendor, played.
pub(crate) struct Vendor {
    pub(crate) name: &'static str,
    pub(crate) start: fn(&Runtime, &Company, Behaviour) -> Cloud,
    /// What `data.json` says of it, besides the server.
    data: fn(&Cloud) -> String,
    /// Variables that say where it is.
    environment: fn(&Cloud) -> Vec<(&'static str, String)>,
    /// What its requests are authorized by.
    authorization: fn(&Cloud) -> String,
    /// What the existing connector waits before the members of each group are read.
    wait_per_group: Duration,
    /// The largest page: the vendor's own, or what the existing connector asks for where that is less.
    page: usize,
}

pub(crate) const VENDORS: [Vendor; 4] = [ENTRA, GOOGLE, OKTA, ONELOGIN];

const OKTA: Vendor = Vendor {
    name: "Okta",
    start: |runtime, company, behaviour| {
        runtime.block_on(Okta::from(company).start(behaviour)).expect("the played Okta")
    },
    data: |cloud| {
        format!(
            r#""directoryType":3,"directoryOkta":{{"orgUrl":"{}","token":"{}"}}"#,
            cloud.url(),
            okta::TOKEN
        )
    },
    environment: |_| Vec::new(),
    authorization: |_| format!("SSWS {}", okta::TOKEN),
    wait_per_group: Duration::from_millis(500),
    page: usize::MAX,
};

const GOOGLE: Vendor = Vendor {
    name: "Google Workspace",
    start: |runtime, company, behaviour| {
        runtime.block_on(Google::from(company).start(behaviour)).expect("the played Google Workspace")
    },
    data: |cloud| {
        let section = json!({
            "privateKey": google::key_file(cloud), "adminUser": google::ADMIN, "domain": google::DOMAIN,
        });
        format!(r#""directoryType":2,"directoryGsuite":{section}"#)
    },
    environment: |cloud| vec![("BWDC_GOOGLE_API_URL", cloud.url())],
    authorization: google_authorization,
    wait_per_group: Duration::ZERO,
    page: usize::MAX,
};

/// A login like any client's.
fn google_authorization(cloud: &Cloud) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let claims = json!({
        "iss": google::CLIENT_EMAIL, "sub": google::ADMIN, "scope": google::SCOPES.join(" "),
        "aud": format!("{}/token", cloud.url()), "iat": now, "exp": now + 3600,
    });
    let signer = Signer::from_pem(&Secret::from(google::PRIVATE_KEY), "the sandbox").expect("its key");
    let assertion = signer.sign(&Header::new(Algorithm::RS256), &claims).expect("an assertion");
    let form =
        [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.reveal())];
    let url = format!("{}/token", cloud.url()).parse().expect("an address");
    log_in(HttpRequest::post_form(url, &form, Duration::from_secs(60)))
}

const ENTRA: Vendor = Vendor {
    name: "Microsoft Entra ID",
    start: |runtime, company, behaviour| {
        runtime.block_on(Entra::from(company).start(behaviour)).expect("the played tenant")
    },
    data: |_| {
        let section = json!({
            "identityAuthority": "login.microsoftonline.com", "tenant": entra::TENANT,
            "applicationId": entra::APPLICATION, "key": entra::SECRET,
        });
        format!(r#""directoryType":1,"directoryEntra":{section}"#)
    },
    environment: |cloud| vec![("BWDC_ENTRA_LOGIN_URL", cloud.url()), ("BWDC_ENTRA_GRAPH_URL", cloud.url())],
    authorization: |cloud| {
        let url = format!("{}/{}/oauth2/v2.0/token", cloud.url(), entra::TENANT);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", entra::APPLICATION),
            ("client_secret", entra::SECRET),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        log_in(HttpRequest::post_form(url.parse().expect("an address"), &form, Duration::from_secs(60)))
    },
    wait_per_group: Duration::ZERO,
    page: usize::MAX,
};

const ONELOGIN: Vendor = Vendor {
    name: "OneLogin",
    start: |runtime, company, behaviour| {
        runtime.block_on(OneLogin::from(company).start(behaviour)).expect("the played OneLogin")
    },
    data: |_| {
        let section = json!({
            "region": "us", "clientId": onelogin::CLIENT_ID, "clientSecret": onelogin::CLIENT_SECRET,
        });
        format!(r#""directoryType":4,"directoryOnelogin":{section}"#)
    },
    environment: |cloud| vec![("BWDC_ONELOGIN_API_URL", cloud.url())],
    authorization: |cloud| {
        let url = format!("{}/auth/oauth2/v2/token", cloud.url()).parse().expect("an address");
        let body = json!({ "grant_type": "client_credentials" });
        let mut request = HttpRequest::post_json(url, &body, Duration::from_secs(60));
        let basic = STANDARD.encode(format!("{}:{}", onelogin::CLIENT_ID, onelogin::CLIENT_SECRET));
        request.headers.insert(AUTHORIZATION, format!("Basic {basic}").parse().expect("a header"));
        log_in(request)
    },
    wait_per_group: Duration::ZERO,
    // Version 1 of its API, which the existing connector reads, sends 50 at a time.
    page: 50,
};

/// Asks for a token.
fn log_in(request: HttpRequest) -> String {
    let http = Http::new(HttpSettings::default()).expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(http.send("Logging in", &request)).expect("an answer");
    let token: Value = serde_json::from_slice(&answer.body).expect("a token");
    format!("Bearer {}", token["access_token"].as_str().expect("a token"))
}

/// The head of the table.
pub(crate) const HEAD: &str = "\n| cloud, 50 ms for each answer | users / groups | requests | beyond the limit | bwdc sync: wall, CPU, peak | the same requests one after another | the existing connector's waits | times faster |\n\
                               | --- | --- | --- | --- | --- | --- | --- | --- |\n";

/// A row for each vendor.
pub(crate) fn measure(plan: &Plan, users: usize, report: &mut Report) {
    for vendor in &VENDORS {
        report.row(&row(plan, vendor, users, users / 10));
    }
}

/// What plays a cloud.
pub(crate) fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().expect("a runtime")
}

fn row(plan: &Plan, vendor: &Vendor, users: usize, groups: usize) -> String {
    let runtime = runtime();
    let company = Company::of_size(users, groups, MEMBERS);
    let behaviour = Behaviour { latency: LATENCY, page: vendor.page, ..Behaviour::default() };
    let cloud = (vendor.start)(&runtime, &company, behaviour);
    let ours = sync(plan, vendor, &cloud, users, groups);
    let (requests, exceeded) = (cloud.requests(), cloud.exceeded());
    // Without a limit: the one who goes step by step is not to be slowed by what we used up.
    let behaviour = Behaviour {
        latency: LATENCY,
        page: vendor.page,
        quota: Some(bwdc_sandbox::cloud::Quota { most: u64::MAX, window: Duration::from_secs(60) }),
        ..Behaviour::default()
    };
    let other = (vendor.start)(&runtime, &company, behaviour);
    let theirs = runtime.block_on(one_after_another(&cloud, &other, &(vendor.authorization)(&other)));
    let waits = vendor.wait_per_group * u32::try_from(groups).expect("a number of groups");
    let times = (theirs + waits).as_secs_f64() / ours.wall.as_secs_f64();
    format!(
        "| {} | {users} / {groups} | {requests} | {exceeded} | {:.2} s, {:.2} s, {:.1} MiB | {:.1} s | {:.0} s | **{times:.1}** |",
        vendor.name,
        ours.wall.as_secs_f64(),
        ours.cpu.as_secs_f64(),
        ours.peak as f64 / 1_048_576.0,
        theirs.as_secs_f64(),
        waits.as_secs_f64(),
    )
}

pub(crate) fn sync(plan: &Plan, vendor: &Vendor, cloud: &Cloud, users: usize, groups: usize) -> Cost {
    let server = Server::start(plan, Target::Sink);
    let folder = tempfile::Builder::new().prefix("bwdc-bench-").tempdir().expect("a folder");
    let data = format!(
        r#"{{"stateVersion":8,"environmentUrls":{{"base":"{}"}},{},"sync":{{"users":true,"groups":true,"largeImport":true}}}}"#,
        server.url,
        (vendor.data)(cloud)
    );
    fs::write(folder.path().join("data.json"), data).expect("writing data.json");
    let output = folder.path().join("stdout");
    let started = Instant::now();
    let child = Command::new(&plan.bwdc)
        .arg("sync")
        .env_clear()
        .env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", folder.path())
        .env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS", "true")
        .env("BW_CLIENTID", &server.client_id)
        .env("BW_CLIENTSECRET", &server.client_secret)
        .envs((vendor.environment)(cloud))
        .stdout(File::create(&output).expect("a file"))
        .spawn()
        .expect("running bwdc");
    let (is_success, cost) = finish(child, started);
    let said = fs::read_to_string(&output).expect("what bwdc said");
    let expected = format!("Synced {groups} group(s) and {users} user(s).");
    assert!(is_success && said.contains(&expected), "expected `{expected}`, got: {said}");
    cost
}

/// What was asked of one, asked of the other, over one connection.
async fn one_after_another(asked: &Cloud, other: &Cloud, authorization: &str) -> Duration {
    let http = Http::new(HttpSettings::default()).expect("a client");
    let started = Instant::now();
    for line in asked.log() {
        let Some(path) = line.strip_prefix("GET ") else { continue };
        // Addresses of pages lead to where they were given out.
        let path = path.replace(&asked.url(), "");
        let url = format!("{}{path}", other.url()).parse().expect("an address");
        let mut request = HttpRequest::get(url, Duration::from_secs(60));
        request.headers.insert(AUTHORIZATION, authorization.parse().expect("a header"));
        let answer = http.send("Replaying a request", &request).await.expect("an answer");
        assert!(answer.status.is_success(), "{} for {path}", answer.status);
    }
    started.elapsed()
}
