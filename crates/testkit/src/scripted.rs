//! LDAP server that answers each request with octets of the test's choice, such as no real server would send.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use lber::parse::parse_tag;
use lber::structure::{PL, StructureTag};

/// Request, as far as a test needs it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Number of the message.
    pub id: u32,
    /// Number of the operation: 0 bind, 3 search, 23 extended.
    pub operation: u64,
    /// Number of the search on this connection, starting at 1.
    pub search: usize,
    /// Octets of the whole message.
    pub octets: Vec<u8>,
}

/// Answer to a request. None at all keeps the client waiting.
type Answer = dyn Fn(&Request) -> Vec<u8> + Send + Sync;

/// Running server. The thread ends with the process.
#[derive(Debug)]
pub struct Scripted {
    port: u16,
}

impl Scripted {
    /// Starts a server with these answers.
    pub fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self { port }
    }

    /// Port of plain LDAP.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn serve(mut stream: TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut chunk, mut search) = (Vec::new(), [0; 4096], 0);
    loop {
        while let Ok((rest, message)) = parse_tag(&read) {
            let used = read.len() - rest.len();
            let octets = read.drain(..used).collect();
            let Some((id, operation)) = header(message) else { return Ok(()) };
            search += usize::from(operation == 3);
            stream.write_all(&answer(&Request { id, operation, search, octets }))?;
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => read.extend_from_slice(&chunk[..count]),
        }
    }
}

fn header(message: StructureTag) -> Option<(u32, u64)> {
    let PL::C(parts) = message.payload else { return None };
    let mut parts = parts.into_iter();
    let id = parts.next()?.expect_primitive()?.iter().fold(0, |id, octet| id << 8 | u32::from(*octet));
    Some((id, parts.next()?.id))
}

/// Element of BER: a tag with its class and form, and the content.
pub fn element(tag: u8, inside: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inside.len()).expect("a message that fits").to_be_bytes();
    [&[tag, 0x84][..], &length, inside].concat()
}

/// Message with this number; the parts are elements.
pub fn message(id: u32, parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &[element(2, &id.to_be_bytes()), parts.concat()].concat())
}

/// Outcome of an operation (its tag), with a code and a text.
pub fn outcome(operation: u8, code: u8, text: &str) -> Vec<u8> {
    element(operation, &[element(10, &[code]), element(4, b""), element(4, text.as_bytes())].concat())
}

/// Search result entry, each attribute with one value.
pub fn entry(dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let attributes = attributes.iter().map(|(name, value)| {
        let values = element(0x31, &element(4, value.as_bytes()));
        element(0x30, &[element(4, name.as_bytes()), values].concat())
    });
    let list: Vec<u8> = attributes.flatten().collect();
    element(0x64, &[element(4, dn.as_bytes()), element(0x30, &list)].concat())
}

/// Control with the start of the next page (RFC 2696).
pub fn cookie(cookie: &[u8]) -> Vec<u8> {
    let value = element(0x30, &[element(2, &[0]), element(4, cookie)].concat());
    element(0xa0, &element(0x30, &[element(4, b"1.2.840.113556.1.4.319"), element(4, &value)].concat()))
}

/// Octets of elements nested this many deep.
pub fn nested(deep: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..deep {
        octets = element(0x30, &octets);
    }
    octets
}
