//! Connection to a mail server, with the trust of every other connection. The library that speaks SMTP accepts no server whose own
//! certificate is the trusted one, so TLS is ours: what comes before it (RFC 3207) is read here, and the library gets a stream that
//! begins with a greeting.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::mail::{Protection, refusal};
use crate::http::Network;
use crate::tls::{self, Trust};
use crate::{Error, ErrorKind, Result, names};

/// Greeting in place of the one that was read already.
const GREETING: &[u8] = b"220 ready\r\n";
/// Longest answer that is read before TLS.
const LONGEST: u64 = 64 * 1024;

/// Server, and how it is reached.
pub(super) struct Server<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) protection: Protection,
}

impl Server<'_> {
    /// Connects, with TLS as it is wanted.
    pub(super) async fn connect(&self, attempted: &str, network: &Network) -> Result<AsyncSmtpConnection> {
        let unreachable = |error: std::io::Error| Error::new(ErrorKind::Unreachable, attempted, error);
        let tcp = names::connect(self.host, self.port).await.map_err(unreachable)?;
        match self.protection {
            Protection::Nothing => speak(attempted, Box::new(tcp)).await,
            Protection::Tls => {
                let stream = self.encrypted(attempted, tcp, network).await?;
                speak(attempted, Box::new(Greeted { greeting: b"", stream })).await
            }
            Protection::StartTls | Protection::IfOffered => self.upgraded(attempted, tcp, network).await,
        }
    }

    async fn upgraded(
        &self,
        attempted: &str,
        tcp: TcpStream,
        network: &Network,
    ) -> Result<AsyncSmtpConnection> {
        let mut reader = BufReader::new(tcp);
        let unreachable = |error: std::io::Error| Error::new(ErrorKind::Unreachable, attempted, error);
        said(attempted, &mut reader, "220").await?;
        let hello = format!("EHLO {}\r\n", ClientId::default());
        reader.write_all(hello.as_bytes()).await.map_err(unreachable)?;
        let offers = said(attempted, &mut reader, "250").await?;
        if !offers.iter().any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
            if self.protection == Protection::IfOffered {
                let stream = reader.into_inner();
                return speak(attempted, Box::new(Greeted { greeting: GREETING, stream })).await;
            }
            let error = Error::new(ErrorKind::Tls, attempted, "the server does not offer STARTTLS");
            return Err(error.hint("Mail without STARTTLS is for a server on this machine only: use smtps://, or a server that has STARTTLS."));
        }
        reader.write_all(b"STARTTLS\r\n").await.map_err(unreachable)?;
        said(attempted, &mut reader, "220").await?;
        if !reader.buffer().is_empty() {
            // Somebody in between put it there (CVE-2011-0411).
            return Err(Error::new(
                ErrorKind::Tls,
                attempted,
                "the server went on without TLS after it had agreed to it",
            ));
        }
        let stream = self.encrypted(attempted, reader.into_inner(), network).await?;
        speak(attempted, Box::new(Greeted { greeting: GREETING, stream })).await
    }

    async fn encrypted(
        &self,
        attempted: &str,
        tcp: TcpStream,
        network: &Network,
    ) -> Result<TlsStream<TcpStream>> {
        let trust = network.extra_ca.clone().map_or(Trust::System, Trust::SystemAndFile);
        let connector = TlsConnector::from(Arc::new(tls::client_config(&trust, None)?));
        let name = ServerName::try_from(self.host.to_owned())
            .map_err(|error| Error::new(ErrorKind::Configuration, attempted, error))?;
        connector.connect(name, tcp).await.map_err(|error| {
            let of_tls = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            let hint = of_tls
                .map(|error| tls::hint(error, "set BWDC_CA_FILE to its PEM file", "the channel's server"));
            let told = Error::new(ErrorKind::Tls, attempted, &error);
            match hint {
                Some(hint) => told.hint(format!(
                    "{hint} For a server on this machine, `smtp://localhost:25?tls=off` does without TLS."
                )),
                None => told,
            }
        })
    }
}

async fn speak(attempted: &str, stream: Box<dyn AsyncTokioStream>) -> Result<AsyncSmtpConnection> {
    let connected = AsyncSmtpConnection::connect_with_transport(stream, &ClientId::default()).await;
    connected.map_err(|error| refusal(attempted, &error))
}

/// Lines of an answer without its code, which must be this one.
async fn said(attempted: &str, reader: &mut BufReader<TcpStream>, code: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut left = reader.take(LONGEST);
    loop {
        let mut line = String::new();
        let read = left.read_line(&mut line).await;
        let count = read.map_err(|error| Error::new(ErrorKind::Unreachable, attempted, error))?;
        let line = line.trim_end();
        let (given, rest) = line.split_at_checked(3).unwrap_or((line, ""));
        if count == 0 || given != code {
            let why = if line.is_empty() { "the server hung up" } else { line };
            return Err(Error::new(ErrorKind::Refused, attempted, why));
        }
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        if !rest.starts_with('-') {
            return Ok(lines);
        }
    }
}

/// Stream that begins with a greeting.
#[derive(Debug)]
struct Greeted<S> {
    greeting: &'static [u8],
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Greeted<TcpStream> {
    fn peer_addr(&self) -> std::io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncTokioStream for Greeted<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> std::io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Error about a server that says this at once, and then nothing.
    async fn told(text: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        });
        let client = Server { host: "localhost", port, protection: Protection::StartTls };
        let error = client.connect("Telling", &Network::default()).await.err().unwrap();
        server.await.unwrap();
        error.to_string()
    }

    #[tokio::test]
    async fn nothing_is_taken_from_before_the_handshake() {
        let injected = told("220 x\r\n250-x\r\n250 starttls\r\n220 go\r\n250 injected\r\n").await;
        assert!(injected.contains("went on without TLS"), "{injected}");
        let without = told("220-x\r\n220 y\r\n250 SIZE\r\n").await;
        assert!(without.contains("does not offer STARTTLS"), "{without}");
        let refused = told("554 no service\r\n").await;
        assert!(refused.contains("554 no service"), "{refused}");
    }
}
