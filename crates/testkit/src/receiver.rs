//! HTTP server that keeps what it is sent, as the receiver of a webhook.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// Request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method.
    pub method: String,
    /// Path with the query.
    pub path: String,
    /// Headers, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// Body.
    pub body: String,
}

#[derive(Debug)]
struct State {
    received: Vec<Received>,
    answer: (u16, String),
    answering: Answering,
}

/// Whether requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    AtOnce,
    Held,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Running receiver. The thread ends with the process.
#[derive(Clone, Debug)]
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Starts a receiver that answers 200.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let answering = Answering::AtOnce;
        let state = State { received: Vec::new(), answer: (200, "ok".to_owned()), answering };
        let kept = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared: kept }
    }

    /// Address of this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What was received since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state().received)
    }

    /// Answers like this from now on.
    pub fn answer(&self, status: u16, body: &str) {
        self.state().answer = (status, body.to_owned());
    }

    /// Receives from now on, but answers only once it is released.
    pub fn hold(&self) {
        self.state().answering = Answering::Held;
    }

    /// Answers what is held.
    pub fn release(&self) {
        self.state().answering = Answering::AtOnce;
        self.shared.changed.notify_all();
    }

    /// Waits until this many requests are there.
    pub fn wait_for(&self, count: usize) {
        let waited = self.shared.changed.wait_while(self.state(), |state| state.received.len() < count);
        drop(waited.expect("no thread has panicked with it"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no thread has panicked with it")
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let (status, answer) = {
            let mut state = shared.state.lock().ok()?;
            state.received.push(Received { method, path, headers, body });
            shared.changed.notify_all();
            let state = shared.changed.wait_while(state, |state| state.answering == Answering::Held).ok()?;
            state.answer.clone()
        };
        let head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        (&stream).write_all(head.as_bytes()).ok()?;
    }
}
