//! Mail: by SMTP with TLS (RFC 8314) or STARTTLS (RFC 3207), or by the machine's own sendmail.

use std::fmt;

use bwdc_core::Secret;
use bwdc_core::alert::{Alert, Severity};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use reqwest::Url;

use crate::http::{Network, is_local};
use crate::{Error, ErrorKind, Result, mask};

use super::event_variable;
use super::process::Program;
use super::smtp::Server;

/// The usual place, which a scheduler's PATH does not have.
const SENDMAIL: &str = "/usr/sbin/sendmail";

/// Mail, understood.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Server that takes it.
    pub server: MailServer,
    /// Sender.
    from: Mailbox,
    /// Receivers.
    to: Vec<Mailbox>,
    /// Login, where the server asks for one.
    login: Option<MailLogin>,
    /// Variables that are kept from sendmail, since they may have secrets.
    hidden: Vec<String>,
}

/// Login to a mail server.
#[derive(Clone, Debug)]
pub struct MailLogin {
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// Server that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailServer {
    /// A server on the network.
    Smtp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// How the connection is protected.
        protection: Protection,
    },
    /// A program of this machine that takes mail as sendmail does.
    Sendmail(String),
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// TLS from the start.
    Tls,
    /// STARTTLS, or no mail.
    StartTls,
    /// STARTTLS if the server, on this machine, has it.
    IfOffered,
    /// Nothing, on this machine.
    Nothing,
}

impl MailServer {
    /// Reads `smtp://host:port`, `smtps://host:port`, `sendmail` or `sendmail:/path`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        const FORM: &str =
            "it must be `smtp://host:port`, `smtps://host:port`, `sendmail` or `sendmail:/path`";
        if text == "sendmail" {
            return Ok(Self::Sendmail(SENDMAIL.to_owned()));
        }
        if let Some(path) = text.strip_prefix("sendmail:") {
            let is_absolute = std::path::Path::new(path).is_absolute();
            return is_absolute
                .then(|| Self::Sendmail(path.to_owned()))
                .ok_or("the path of sendmail must be absolute");
        }
        let url = Url::parse(text.trim()).map_err(|_| FORM)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it must not have a login in it: use `user` and `password_file`");
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(FORM);
        }
        // Hosts of schemes that are unknown to the library are not told from addresses.
        let is_here = url::Host::parse(host).is_ok_and(|host| is_loopback(&host));
        let protection = match (url.scheme(), url.query(), is_here) {
            ("smtps", None, _) => Protection::Tls,
            ("smtp", None, true) => Protection::IfOffered,
            ("smtp", None, false) => Protection::StartTls,
            ("smtp", Some("tls=off"), true) => Protection::Nothing,
            ("smtp", Some("tls=off"), false) => {
                return Err("mail without TLS is for a server on this machine only");
            }
            _ => return Err(FORM),
        };
        let usual = if protection == Protection::Tls { 465 } else { 587 };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self::Smtp { host, port: url.port().unwrap_or(usual), protection })
    }
}

fn is_loopback(host: &url::Host) -> bool {
    let url = Url::parse(&format!("http://{host}/"));
    url.is_ok_and(|url| is_local(&url))
}

impl fmt::Display for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Sendmail(program) => f.write_str(program),
        }
    }
}

impl Mail {
    /// Mail from one address to others.
    ///
    /// # Errors
    /// An address is not one; it is named.
    pub fn new(server: MailServer, from: &str, to: &[String]) -> std::result::Result<Self, String> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>().map_err(|error| format!("`{text}` is no mail address: {error}"))
        };
        let to = to.iter().map(|text| mailbox(text)).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Self { server, from: mailbox(from)?, to, login: None, hidden: Vec::new() })
    }

    /// With a login, where the server asks for one.
    #[must_use]
    pub fn with_login(self, login: Option<MailLogin>) -> Self {
        Self { login, ..self }
    }

    /// With variables that are kept from sendmail.
    #[must_use]
    pub fn hiding(self, hidden: Vec<String>) -> Self {
        Self { hidden, ..self }
    }

    pub(super) async fn tell(&self, attempted: &str, alert: &Alert, network: &Network) -> Result<String> {
        let message = self.message(attempted, alert)?;
        match &self.server {
            MailServer::Sendmail(program) => {
                let handed = self.hand_to(program, attempted, alert, &message).await;
                handed.map_err(|error| {
                    error.hint(
                        "Install a mail server that has /usr/sbin/sendmail, name one as `sendmail:/path`, or name an SMTP server.",
                    )
                })?;
                Ok("handed to sendmail".to_owned())
            }
            MailServer::Smtp { host, port, protection } => {
                let server = Server { host, port: *port, protection: *protection };
                let mut connection = server.connect(attempted, network).await?;
                let refused = |error| refusal(attempted, &error);
                if let Some(MailLogin { user, password }) = &self.login {
                    mask::sent(password.reveal());
                    let login = Credentials::new(user.clone(), password.reveal().to_owned());
                    connection.auth(&[Mechanism::Plain, Mechanism::Login], &login).await.map_err(refused)?;
                }
                let answer =
                    connection.send(message.envelope(), &message.formatted()).await.map_err(refused)?;
                // The mail is taken, however the server says goodbye.
                let _ = connection.quit().await;
                let said = answer.first_line().unwrap_or_default().to_owned();
                Ok(format!("{} {said}", answer.code()))
            }
        }
    }

    /// As every sendmail takes it: no end at a single dot, then sender and receivers.
    async fn hand_to(&self, program: &str, attempted: &str, alert: &Alert, message: &Message) -> Result<()> {
        let mut words: Vec<String> = vec![program.to_owned(), "-i".to_owned()];
        if let Some(from) = message.envelope().from() {
            words.extend(["-f".to_owned(), from.to_string()]);
        }
        let to = message.envelope().to().iter().map(ToString::to_string);
        let arguments: Vec<String> = std::iter::once("--".to_owned()).chain(to).collect();
        let no_program = || Error::new(ErrorKind::Configuration, attempted, "no program is named");
        let program = Program::new(words, self.hidden.clone()).ok_or_else(no_program)?;
        program.told(attempted, &arguments, event_variable(alert), &message.formatted()).await
    }

    fn message(&self, attempted: &str, alert: &Alert) -> Result<Message> {
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(format!("[bwdc] {}", alert.title))
            .message_id(Some(format!("<{}.{}@bwdc>", id_safe(&alert.id), id_safe(&alert.host))))
            .header(ContentType::TEXT_PLAIN)
            // RFC 3834: no answer of an absent person comes back.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if alert.severity == Severity::Error {
            let name = HeaderName::new_from_ascii_str("Importance");
            builder = builder.raw_header(HeaderValue::new(name, "high".to_owned()));
        }
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let body = format!(
            "{}\n\n-- \nbwdc on {}, instance {}, {}\n",
            alert.body(),
            alert.host,
            alert.instance,
            alert.at
        );
        builder.body(body).map_err(|error| Error::new(ErrorKind::Configuration, attempted, error))
    }
}

/// What the server refuses, in its words.
pub(super) fn refusal(attempted: &str, error: &lettre::transport::smtp::Error) -> Error {
    let code = error.status().map_or_else(String::new, |code| format!("{code} "));
    Error::new(ErrorKind::Refused, attempted, format!("{code}{}", innermost(error)))
}

/// Last cause in the chain: the words of the server or of the system.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Letters, digits, hyphens, dots.
fn id_safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_without_tls_stays_on_this_machine() {
        let protection = |text: &str| match MailServer::parse(text) {
            Ok(MailServer::Smtp { protection, .. }) => protection,
            other => panic!("{other:?}"),
        };
        assert_eq!(protection("smtp://mail.example.org:25"), Protection::StartTls);
        assert_eq!(protection("smtps://mail.example.org"), Protection::Tls);
        for here in ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"] {
            assert_eq!(protection(&format!("smtp://{here}:25")), Protection::IfOffered, "{here}");
            assert_eq!(protection(&format!("smtp://{here}:25?tls=off")), Protection::Nothing);
        }
        for (wrong, why) in [
            ("smtp://mail.example.org?tls=off", "on this machine only"),
            ("smtp://localhost.example.org?tls=off", "on this machine only"),
            ("smtp://me:hunter2@mail.example.org", "password_file"),
            ("mail.example.org", "smtp://host:port"),
            ("http://mail.example.org", "smtp://host:port"),
        ] {
            let told = MailServer::parse(wrong).unwrap_err();
            assert!(told.contains(why) && !told.contains("hunter2"), "{told}");
        }
        let at = |path: &str| Ok(MailServer::Sendmail(path.to_owned()));
        assert_eq!(MailServer::parse("sendmail"), at("/usr/sbin/sendmail"));
        assert_eq!(MailServer::parse("sendmail:/usr/bin/msmtp"), at("/usr/bin/msmtp"));
        assert!(MailServer::parse("sendmail:msmtp").unwrap_err().contains("absolute"));
    }
}
