//! Login with a Kerberos ticket: SASL GSSAPI (RFC 4752), bound to the TLS connection (RFC 5929, `tls-server-end-point`).

use cross_krb5::{ClientCtx, InitiateFlags, K5Ctx as _, Step};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Broken, Outcome, Request, Result, Wire};

const MECHANISM: &str = "GSSAPI";
/// RFC 4511, appendix A.
const IN_PROGRESS: u32 = 14;
/// Security layer that adds nothing: the connection is protected by TLS (RFC 4752, section 3.3).
const NO_LAYER: u8 = 1;

impl Wire {
    /// Logs in to the server of this name with the ticket of the process.
    pub(crate) async fn kerberos_bind(&mut self, host: &str) -> Result<Outcome> {
        let service = format!("ldap/{host}");
        let (pending, token) =
            ClientCtx::new(InitiateFlags::empty(), None, &service, self.end_point.as_deref())
                .map_err(failed)?;
        let outcome = self.step(Some(&token)).await?;
        let Some(token) = go_on(&outcome)? else { return Ok(outcome) };
        let mut context = match pending.step(token).map_err(failed)? {
            Step::Finished((context, None)) => context,
            Step::Finished((_, Some(_))) | Step::Continue(_) => {
                return Err(Broken::Kerberos("the server wants more steps than RFC 4752 allows".to_owned()));
            }
        };
        let outcome = self.step(None).await?;
        let Some(token) = go_on(&outcome)? else { return Ok(outcome) };
        let offer = context.unwrap(token).map_err(failed)?;
        if offer.first().is_none_or(|layers| layers & NO_LAYER == 0) {
            return Err(Broken::Kerberos(
                "the server requires sealing by Kerberos, even inside TLS".to_owned(),
            ));
        }
        // No layer, so no buffer for one.
        let answer = context.wrap(true, &[NO_LAYER, 0, 0, 0]).map_err(failed)?;
        self.step(Some(&answer)).await
    }

    async fn step(&mut self, credentials: Option<&[u8]>) -> Result<Outcome> {
        self.ask(&Request::Sasl { mechanism: MECHANISM, credentials }).await
    }
}

/// Token that the server sent for the next step; `None` once it has decided.
fn go_on(outcome: &Outcome) -> Result<Option<&[u8]>> {
    match (&outcome.credentials, outcome.code) {
        (Some(token), IN_PROGRESS) => Ok(Some(token)),
        (None, IN_PROGRESS) => Err(Broken::Kerberos("the server did not send a token".to_owned())),
        _ => Ok(None),
    }
}

fn failed(error: impl std::fmt::Display) -> Broken {
    Broken::Kerberos(format!("{error:#}"))
}

/// Channel binding: a hash of the server's certificate with the hash function of its signature; SHA-256 for the old ones
/// (RFC 5929, section 4.1).
pub(crate) fn end_point(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let hash = match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        // MD5, SHA-1 and SHA-256 with RSA; SHA-1 and SHA-256 with ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Sha256::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
        // RSA-PSS has it in its parameters, Ed25519 has none: nothing is defined.
        _ => return None,
    };
    Some([b"tls-server-end-point:", &hash[..]].concat())
}
