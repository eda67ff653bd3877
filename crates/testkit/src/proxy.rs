//! TCP proxy that ends connections where a test wants it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Treatment of the server's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it passes.
    Never,
    /// The connection is closed after this many bytes, counted over all connections.
    CloseAfter(u64),
    /// Nothing more passes after this many bytes, but the connection stays open.
    SilenceAfter(u64),
}

/// Proxy on loopback. Its threads end with its connections.
#[derive(Debug)]
pub struct CutProxy {
    port: u16,
    bytes: Arc<AtomicU64>,
}

impl CutProxy {
    /// Listens and forwards to a port of this machine.
    pub fn start(upstream: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binding a port for the proxy");
        let port = listener.local_addr().expect("its address").port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                serve(client, server, cut, &counter);
            }
        });
        Self { port, bytes }
    }

    /// Port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Number of bytes the server has sent so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

fn serve(client: TcpStream, server: TcpStream, cut: Cut, bytes: &Arc<AtomicU64>) {
    let (mut from_client, mut to_server) =
        (client.try_clone().expect("client"), server.try_clone().expect("server"));
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let bytes = Arc::clone(bytes);
    thread::spawn(move || forward(server, client, cut, &bytes));
}

fn forward(mut server: TcpStream, mut client: TcpStream, cut: Cut, bytes: &AtomicU64) {
    let mut buffer = [0; 4096];
    while let Ok(read) = server.read(&mut buffer) {
        if read == 0 {
            break;
        }
        let before = bytes.fetch_add(read as u64, Ordering::SeqCst);
        let allowed = match cut {
            Cut::Never => read,
            Cut::CloseAfter(limit) | Cut::SilenceAfter(limit) => {
                usize::try_from(limit.saturating_sub(before)).unwrap_or(usize::MAX).min(read)
            }
        };
        if client.write_all(&buffer[..allowed]).is_err() {
            break;
        }
        if allowed < read {
            if matches!(cut, Cut::SilenceAfter(_)) {
                // Open until the client gives up.
                let _ = std::io::copy(&mut client, &mut std::io::sink());
            }
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Starts a server that accepts connections and never sends anything.
pub fn mute_server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binding a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in listener.incoming().map_while(Result::ok) {
            kept.push(connection);
        }
    });
    port
}

/// Starts a server that answers every connection with these bytes and closes it.
pub fn canned_server(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binding a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            let _ = connection.write_all(answer);
            let _ = connection.shutdown(Shutdown::Both);
        }
    });
    port
}
