//! Settings of Google Workspace.

use std::fmt;

use reqwest::Url;
use serde::Deserialize;

use crate::directory::incomplete;
use crate::http::{Network, base_url};
use crate::{Error, ErrorKind, Result};
use bwdc_core::Secret;
use bwdc_core::snapshot::Place;

/// Default token endpoint (Google Identity, "Using OAuth 2.0 for Server to Server Applications").
pub const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Default address of the Directory API.
pub const API_URL: &str = "https://admin.googleapis.com";

/// Settings for reading one Google Workspace.
#[derive(Clone, Debug)]
pub struct Config {
    /// Service account that reads.
    pub account: ServiceAccount,
    /// Administrator on whose behalf it reads.
    pub admin_user: String,
    /// Part that is read.
    pub part: Tenancy,
    /// Google's own query for people: the part after the first `|` of `sync.userFilter`.
    pub user_query: Option<String>,
    /// Google's own query for groups.
    pub group_query: Option<String>,
    /// Full URL of the token endpoint.
    pub token_url: Url,
    /// Base URL of `/admin/directory/v1/...`.
    pub api_url: Url,
    /// Trust and time limits.
    pub network: Network,
}

/// Part of a Google Workspace to read. If both are set, the existing connector and Google read the domain only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// People and groups with an address in this domain.
    Domain(String),
    /// All domains of the customer with this id.
    Customer(String),
}

impl Tenancy {
    /// Parameter of the API, and its value.
    pub(super) fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::Domain(domain) => ("domain", domain),
            Self::Customer(id) => ("customer", id),
        }
    }
}

impl Tenancy {
    /// Place for what is remembered. Domains have no case; ids of customers do.
    pub(super) fn place(&self) -> Place {
        Place::from(match self {
            Self::Domain(domain) => format!("google domain {}", domain.trim().to_lowercase()),
            Self::Customer(id) => format!("google customer {}", id.trim()),
        })
    }
}

impl fmt::Display for Tenancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = self.parameter();
        write!(f, "{name} {value}")
    }
}

/// Service account (Google Cloud IAM, "Service accounts").
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// E-mail address.
    pub client_email: String,
    /// Private key, in PEM.
    pub key: Secret,
    /// Source of the key, for messages.
    pub source: String,
    /// Client id by which the admin console knows the account, if it came with the key.
    pub client_id: Option<String>,
    /// Id of the key, if it came with the key.
    pub key_id: Option<String>,
    /// Token endpoint named in the key file.
    pub token_uri: Option<String>,
}

impl ServiceAccount {
    /// Builds the account from the settings: an address and a key, or the content of a key file in place of either or both.
    pub fn new(client_email: Option<String>, key: Option<Secret>, file: Option<KeyFile>) -> Result<Self> {
        // Somebody who is asked for the key may paste the whole file.
        let (key, file) = match key {
            Some(key) if file.is_none() && KeyFile::is_one(&key) => {
                (None, Some(KeyFile::parse("gsuite.key", &key)?))
            }
            key => (key, file),
        };
        let set = "Set it with `bwdc config gsuite.clientEmail ADDRESS`, or name the key file with `bwdc config gsuite.keyFile PATH`.";
        let Some(file) = file else {
            let client_email = client_email.ok_or_else(|| incomplete("gsuite.clientEmail", set))?;
            let key = key.ok_or_else(|| {
                incomplete("gsuite.key", "Set it with `bwdc config gsuite.key`, or name the key file with `bwdc config gsuite.keyFile PATH`.")
            })?;
            let source = "gsuite.key".to_owned();
            return Ok(Self { client_email, key, source, client_id: None, key_id: None, token_uri: None });
        };
        if let Some(set) = client_email.filter(|set| !set.trim().eq_ignore_ascii_case(&file.client_email)) {
            return Err(file.contradicts(&set));
        }
        let KeyFile { source, client_email, private_key, private_key_id, client_id, token_uri } = file;
        Ok(Self { client_email, key: private_key, source, client_id, key_id: private_key_id, token_uri })
    }
}

/// Service account key as Google's console supplies it: a JSON file (Google Cloud IAM, "Create and delete service account keys").
#[derive(Clone, Debug)]
pub struct KeyFile {
    source: String,
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
    client_id: Option<String>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    client_id: Option<String>,
    token_uri: Option<String>,
}

impl KeyFile {
    /// Understands its content; `source` says where it is, for messages.
    pub fn parse(source: &str, text: &Secret) -> Result<Self> {
        let wrong = |reason: String| {
            Error::new(ErrorKind::Configuration, format!("Reading the service account's key in {source}"), reason)
                .hint("Make a key for the service account in the Google Cloud console (Keys > Add key > JSON), and use that file unchanged.")
        };
        let text = text.reveal().trim().trim_start_matches('\u{feff}').trim_matches('\'');
        // The library's message may contain a part of the key.
        let written: Written = serde_json::from_str(text).map_err(|error| {
            wrong(format!("it is not a key file in JSON (line {}, column {})", error.line(), error.column()))
        })?;
        let Written { kind, client_email, private_key, private_key_id, client_id, token_uri } = written;
        let missing = |name: &str| match &kind {
            Some(kind) if kind != "service_account" => {
                wrong(format!("its type must be `service_account`, not `{kind}`"))
            }
            _ => wrong(format!("`{name}` is missing")),
        };
        let client_email = client_email.ok_or_else(|| missing("client_email"))?;
        let private_key = private_key.map(Secret::from).ok_or_else(|| missing("private_key"))?;
        Ok(Self {
            source: source.to_owned(),
            client_email,
            private_key,
            private_key_id,
            client_id,
            token_uri,
        })
    }

    /// Whether a key is the content of a key file rather than the key alone.
    fn is_one(text: &Secret) -> bool {
        text.reveal().trim_start_matches(['\u{feff}', '\'', ' ', '\t', '\r', '\n']).starts_with('{')
    }

    fn contradicts(&self, set: &str) -> Error {
        let Self { source, client_email, .. } = self;
        Error::new(
            ErrorKind::Configuration,
            "",
            format!("gsuite.clientEmail is {set}, but the key in {source} belongs to {client_email}."),
        )
        .hint("Clear it with `bwdc config unset gsuite.clientEmail`, or name the other account's key file.")
    }
}

impl Config {
    /// Token endpoint: from the variable given with its name, else from the key file, else Google's own.
    pub fn token_url(variable: Option<(&str, String)>, account: &ServiceAccount) -> Result<Url> {
        match (variable, &account.token_uri) {
            (Some((name, text)), _) => base_url(name, &text, TOKEN_URL),
            (None, Some(text)) => base_url(&format!("token_uri of {}", account.source), text, TOKEN_URL),
            (None, None) => base_url("the token endpoint", TOKEN_URL, TOKEN_URL),
        }
    }

    /// Base URL of the Directory API: from the variable given with its name, else Google's own.
    pub fn api_url(variable: Option<(&str, String)>) -> Result<Url> {
        match variable {
            Some((name, text)) => base_url(name, &text, API_URL),
            None => base_url("the Directory API", API_URL, API_URL),
        }
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = r#"{"type":"service_account","client_email":"a@p.iam.gserviceaccount.com","private_key":"hunter2",
        "client_id":"123","private_key_id":"k","token_uri":"https://oauth2.example/token"}"#;

    fn parsed(text: &str) -> Result<KeyFile> {
        KeyFile::parse("key.json", &Secret::from(text))
    }

    #[test]
    fn a_key_may_be_the_whole_file() {
        for text in [FILE.to_owned(), format!("\n '{FILE}'\n")] {
            let account = ServiceAccount::new(None, Some(Secret::from(text)), None).unwrap();
            assert_eq!(account.client_email, "a@p.iam.gserviceaccount.com");
            assert_eq!((account.key.reveal(), account.client_id.as_deref()), ("hunter2", Some("123")));
            assert_eq!(Config::token_url(None, &account).unwrap().as_str(), "https://oauth2.example/token");
        }
    }

    #[test]
    fn missing_settings_are_named() {
        let key = || Some(Secret::from("k"));
        let email = |text: &str| Some(text.to_owned());
        let file = || Some(parsed(FILE).unwrap());
        let error = ServiceAccount::new(None, key(), None).unwrap_err();
        assert_eq!(error.to_string(), "Directory configuration incomplete.");
        assert!(error.next_step().unwrap().starts_with("Setting: gsuite.clientEmail. "), "{error:?}");
        let error = ServiceAccount::new(email("a@b"), None, None).unwrap_err();
        assert!(error.next_step().unwrap().contains("gsuite.key."), "{error:?}");
        assert!(ServiceAccount::new(email("A@p.iam.gserviceaccount.com"), None, file()).is_ok());
        let error = ServiceAccount::new(email("b@p.iam.gserviceaccount.com"), None, file()).unwrap_err();
        assert!(error.to_string().contains("key.json belongs to a@p.iam"), "{error}");
    }

    #[test]
    fn other_files_are_reported_without_their_secrets() {
        for (text, words) in [
            (r#"{"installed":{"client_secret":"hunter2"}}"#, "`client_email` is missing"),
            (r#"{"type":"authorized_user","refresh_token":"hunter2"}"#, "`authorized_user`"),
            (r#"{"client_email":"a@b"}"#, "`private_key` is missing"),
            (r#"{"private_key":{"hunter2":1}}"#, "line 1"),
            ("{\"private_key\":\"hunter2\n\"}", "line"),
            ("hunter2", "not a key file in JSON"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_key_files(text in damaged_text([
            FILE.to_owned(),
            format!("\u{feff}'{FILE}'"),
            r#"{"type":"authorized_user","refresh_token":"hunter2"}"#.to_owned(),
            r#"{"installed":{"client_secret":"hunter2"}}"#.to_owned(),
        ])) {
            let key = Some(Secret::from(text.as_str()));
            for account in [parsed(&text).and_then(|file| ServiceAccount::new(None, None, Some(file))), ServiceAccount::new(None, key, None)] {
                match account {
                    Ok(account) => {
                        if let Err(error) = Config::token_url(None, &account) {
                            crate::fuzz::harmless(&error, text.len())?;
                        }
                        let shown = format!("{account:?}");
                        prop_assert!(shown.contains("key: [secret]") && shown.len() <= 16 * text.len() + 200);
                    }
                    Err(error) => crate::fuzz::harmless(&error, text.len())?,
                }
            }
        }
    }
}
