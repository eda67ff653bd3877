//! A proxy that keeps what a client asks, and counts what it is answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What has passed.
#[derive(Default)]
pub(crate) struct Traffic {
    asked: Vec<u8>,
    answered: usize,
}

impl Traffic {
    /// Requests of HTTP/1.1: each has a line with the version.
    pub(crate) fn requests(&self) -> usize {
        String::from_utf8_lossy(&self.asked).matches(" HTTP/1.1\r\n").count()
    }

    /// Octets in both directions, without those of TCP and IP.
    pub(crate) fn octets(&self) -> usize {
        self.asked.len() + self.answered
    }
}

/// Runs until its runtime ends.
pub(crate) struct Counting {
    port: u16,
    traffic: Arc<Mutex<Traffic>>,
}

impl Counting {
    /// Leads to this address, such as `http://127.0.0.1:8080`.
    pub(crate) async fn start(to: &str) -> Self {
        let to = to.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        tokio::spawn(accept(listener, to, Arc::clone(&traffic)));
        Self { port, traffic }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What has passed since the last call.
    pub(crate) fn take(&self) -> Traffic {
        std::mem::take(&mut self.traffic.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(listener: TcpListener, to: String, traffic: Arc<Mutex<Traffic>>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&to).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        pump(from_client, to_server, Arc::clone(&traffic), |traffic, octets| {
            traffic.asked.extend_from_slice(octets)
        });
        pump(from_server, to_client, Arc::clone(&traffic), |traffic, octets| {
            traffic.answered += octets.len()
        });
    }
}

/// Hands on what comes, and notes it.
fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    traffic: Arc<Mutex<Traffic>>,
    note: fn(&mut Traffic, &[u8]),
) {
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            note(&mut traffic.lock().unwrap_or_else(PoisonError::into_inner), &buffer[..read]);
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
}
