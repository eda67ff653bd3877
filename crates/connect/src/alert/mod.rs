//! Channels: how somebody is told what [`bwdc_core::alert`] has decided.
//!
//! Whoever knows the address of a webhook can use it, so addresses are secrets here: they stand in no error and no log.

mod mail;
mod ping;
mod presets;
mod process;
mod smtp;
mod webhook;

use std::fmt;
use std::time::Duration;

use bwdc_core::alert::Alert;
use reqwest::Url;
use url::Position;

pub use self::mail::{Mail, MailLogin, MailServer};
pub use self::ping::{Ping, Signal};
pub use self::presets::Preset;
pub use self::process::Program;
pub use self::webhook::{SIGNATURE_HEADER, Webhook, signature};
use crate::http::{Http, HttpRequest, HttpSettings, Network, Response, is_local};
use crate::{Error, ErrorKind, Result, mask};

/// How long one channel may take for one message.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a temporary failure is tried again; the next run tries again anyway.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// Length of an answer that is repeated in an error.
const REPEATED: usize = 200;

/// A channel, understood.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Name of the channel.
    pub name: String,
    /// How it is told.
    pub kind: ChannelKind,
}

/// How a channel is told.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// By an HTTP request.
    Webhook(Webhook),
    /// By mail.
    Mail(Mail),
    /// By a dead man's switch in the form of healthchecks.io.
    Ping(Ping),
    /// By a program.
    Command(Program),
}

impl Channel {
    /// Tells an alert. Returns what came back, in a few words.
    pub async fn tell(&self, alert: &Alert, network: &Network) -> Result<String> {
        let attempted = self.attempted();
        let told = async {
            match &self.kind {
                ChannelKind::Webhook(webhook) => webhook.tell(&attempted, alert, network).await,
                ChannelKind::Mail(mail) => mail.tell(&attempted, alert, network).await,
                ChannelKind::Ping(ping) => ping.send(&attempted, Signal::Log, &alert.body(), network).await,
                ChannelKind::Command(program) => by_program(program, &attempted, alert).await,
            }
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap_or_else(|_| {
            let silence = format!("no answer within {} s", PATIENCE.as_secs());
            Err(Error::new(ErrorKind::Unreachable, &attempted, silence))
        })
    }

    /// Beginning of an error.
    fn attempted(&self) -> String {
        format!("Alerting the channel {} ({})", self.name, self.kind)
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(webhook) => write!(f, "webhook at {}", webhook.url.host()),
            Self::Mail(mail) => write!(f, "mail by {}", mail.server),
            Self::Ping(ping) => write!(f, "ping of {}", ping.url.host()),
            Self::Command(program) => write!(f, "command {}", program.name()),
        }
    }
}

/// Address with a secret in it. It prints as its host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Reads an address: https, or plain http to this machine.
    ///
    /// # Errors
    /// Says what is wrong, without repeating anything of it.
    pub fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        let url =
            Url::parse(text.trim()).map_err(|_| "it must be a URL such as https://hooks.example.org/…")?;
        match url.scheme() {
            _ if url.host().is_none() => Err("it must have a host name"),
            "https" => Ok(Self(url)),
            "http" if is_local(&url) => Ok(Self(url)),
            "http" => Err("it must begin with https://: plain http is for this machine only"),
            _ => Err("it must begin with https://"),
        }
    }

    /// Host and port, which are no secret.
    pub fn host(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }

    /// The address itself, for a request. From then on its secret parts are masked wherever they come back.
    fn reveal(&self) -> &Url {
        const SHORTEST: usize = 12;
        mask::sent(&self.0[Position::BeforePath..]);
        mask::sent(self.0.path());
        for part in self.0.path_segments().into_iter().flatten().filter(|part| part.len() >= SHORTEST) {
            mask::sent(part);
        }
        for (_, value) in self.0.query_pairs() {
            mask::sent(&value);
        }
        if let Some(password) = self.0.password() {
            mask::sent(password);
        }
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/[secret]", self.host())
    }
}

/// Variable with the event for programs.
fn event_variable(alert: &Alert) -> (&'static str, &'static str) {
    ("BWDC_ALERT_EVENT", alert.event.word())
}

async fn by_program(program: &Program, attempted: &str, alert: &Alert) -> Result<String> {
    let mut document =
        serde_json::to_vec(alert).map_err(|error| Error::new(ErrorKind::Configuration, attempted, error))?;
    document.push(b'\n');
    program.told(attempted, &[], event_variable(alert), &document).await?;
    Ok("exit 0".to_owned())
}

fn client(network: &Network) -> Result<Http> {
    let network = Network { retry_for: Some(RETRY_FOR), ..network.clone() };
    Http::new(HttpSettings { network, ..HttpSettings::default() })
}

async fn sent(attempted: &str, request: &HttpRequest, network: &Network) -> Result<String> {
    let response = client(network)?.send(attempted, request).await?;
    if response.status.is_success() {
        return Ok(format!("HTTP {}", response.status.as_u16()));
    }
    Err(refusal(attempted, &response))
}

fn refusal(attempted: &str, Response { status, body, .. }: &Response) -> Error {
    let said: String = String::from_utf8_lossy(body).trim().chars().take(REPEATED).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let error = Error::new(ErrorKind::Refused, attempted, format!("HTTP {status}{said}"));
    match status.as_u16() {
        300..=399 => error.hint("Redirects are not followed: use the address that it leads to."),
        401 | 403 | 404 | 410 => {
            error.hint("Check the channel's address and its key: it may have been revoked.")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_prints_its_host_alone() {
        let url =
            SecretUrl::parse("https://user:pass@hooks.example.org:8443/services/T0/s3cr3t?token=x").unwrap();
        assert_eq!(format!("{url:?}"), "hooks.example.org:8443/[secret]");
        for (wrong, why) in [
            ("http://hooks.example.org/s3cr3t", "this machine only"),
            ("ftp://x/s3cr3t", "https://"),
            ("s3cr3t", "https://"),
            ("http://127.0.0.1.example.org/s3cr3t", "this machine only"),
        ] {
            let told = SecretUrl::parse(wrong).unwrap_err();
            assert!(told.contains(why) && !told.contains("s3cr3t"), "{told}");
        }
        assert!(
            SecretUrl::parse("http://127.0.0.1:80/x").is_ok() && SecretUrl::parse("http://[::1]/x").is_ok()
        );
    }

    proptest! {
        #![proptest_config(few())]

        /// An accepted address is https or this machine's, and neither it nor an error shows a secret.
        #[test]
        fn fuzz_addresses_of_channels(text in damaged_text([
            "https://hooks.example.org/services/S3cr3tS3cr3t?x=S3cr3tS3cr3t", "http://127.0.0.1:8080/S3cr3tS3cr3t", "http://[::1]/",
        ])) {
            match SecretUrl::parse(&text) {
                Ok(url) => {
                    prop_assert!(url.0.scheme() == "https" || is_local(&url.0));
                    let is_in_host = url.host().to_lowercase().contains("s3cr3t");
                    let printed = format!("{url:?}");
                    prop_assert!(is_in_host || !printed.contains("S3cr3t"));
                }
                Err(told) => prop_assert!(!told.contains("S3cr3t")),
            }
        }
    }
}
