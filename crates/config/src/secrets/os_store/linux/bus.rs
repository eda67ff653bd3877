//! A connection to the user's message bus: calls and their answers, and the one signal that is waited for
//! ("D-Bus Specification": "Message Protocol", "Authentication Protocol", "Server Addresses").

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::wire::{Malformed, Order, Reader, STRUCTURE, Writer};
use crate::env::Environment;

/// Largest message that is read: secrets are a few hundred octets, and a list of them a few thousand.
const LARGEST: usize = 16 * 1024 * 1024;
/// Longest line of the authentication.
const LONGEST_LINE: usize = 16 * 1024;

/// Kinds of messages.
const CALL: u8 = 1;
const ANSWER: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// The bus itself.
const BUS: Object<'static> = Object {
    service: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// Reasons why the bus or a service on it does not help.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The bus cannot be reached, or has gone.
    Connection(io::Error),
    /// The bus does not know this user.
    NotWelcome(String),
    /// The call was answered with an error: its name, and what it says.
    Refused(String, String),
    /// What came is not what was asked for.
    Malformed,
    /// The keyring is locked, and nobody unlocked it.
    Locked,
    /// There is no default keyring.
    NoDefault,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "the message bus: {error}"),
            Self::NotWelcome(answer) => write!(f, "the message bus does not accept this user: {answer}"),
            Self::Refused(name, message) => write!(f, "{message} ({name})"),
            Self::Malformed => f.write_str("it answered with something else than what it was asked"),
            Self::Locked => f.write_str("its keyring is locked, and nobody unlocked it"),
            Self::NoDefault => f.write_str("it has no default keyring"),
        }
    }
}

impl From<Malformed> for Trouble {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

pub(super) type Result<T> = std::result::Result<T, Trouble>;

/// Object of a service, seen by one of its interfaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    pub(super) service: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
}

/// Body of a message.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    order: Order,
}

impl Body {
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.bytes, self.order)
    }
}

/// Message of any kind.
#[derive(Debug)]
pub(super) struct Message {
    kind: u8,
    pub(super) fields: Fields,
    pub(super) body: Body,
}

/// What a message says about itself.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) path: String,
    pub(super) member: String,
    error: String,
    reply_to: u32,
}

impl Fields {
    /// "Header Fields", of which only some matter here.
    fn read(mut elements: Reader<'_>) -> std::result::Result<Self, Malformed> {
        let mut fields = Self::default();
        while !elements.is_done() {
            elements.align(STRUCTURE)?;
            match (elements.byte()?, elements.signature()?) {
                (1, "o") => elements.text()?.clone_into(&mut fields.path),
                (3, "s") => elements.text()?.clone_into(&mut fields.member),
                (4, "s") => elements.text()?.clone_into(&mut fields.error),
                (5, "u") => fields.reply_to = elements.number()?,
                (_, "s" | "o") => drop(elements.text()?),
                (_, "g") => drop(elements.signature()?),
                (_, "u") => drop(elements.number()?),
                _ => return Err(Malformed),
            }
        }
        Ok(fields)
    }
}

impl Message {
    /// The first whole message of what has arrived, and its length.
    pub(super) fn first(arrived: &[u8]) -> std::result::Result<Option<(Self, usize)>, Malformed> {
        let Some(head) = arrived.first_chunk::<16>() else { return Ok(None) };
        let order = Order::of(head[0])?;
        let mut reader = Reader::new(arrived, order);
        let _ = reader.number()?;
        let body = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
        let _ = reader.number()?;
        let fields = usize::try_from(reader.clone().number()?).map_err(|_| Malformed)?;
        if body.max(fields) > LARGEST {
            return Err(Malformed);
        }
        let begin = (16 + fields).next_multiple_of(STRUCTURE);
        let Some(bytes) = arrived.get(begin..begin + body) else { return Ok(None) };
        let fields = Fields::read(reader.array(STRUCTURE)?)?;
        let body = Body { bytes: bytes.to_vec(), order };
        let length = begin + body.bytes.len();
        Ok(Some((Self { kind: head[1], fields, body }, length)))
    }

    fn answer(self) -> Result<Body> {
        if self.kind == ANSWER {
            return Ok(self.body);
        }
        let message = self.body.reader().text().unwrap_or_default().to_owned();
        Err(Trouble::Refused(self.fields.error, message))
    }
}

/// Connection to the user's bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    /// What has arrived and was not read yet, so that nothing is lost when whoever waits gives up.
    arrived: Vec<u8>,
    /// Number of the last call.
    serial: u32,
    /// Signals that came while something else was waited for.
    signals: Vec<Message>,
}

impl Bus {
    /// Connects to the bus of the user's session.
    pub(super) async fn of_session() -> Result<Self> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "this user has none");
        for socket in sockets() {
            match UnixStream::connect(&socket).await {
                Ok(stream) => return Self::greeted(stream).await,
                Err(error) => failed = error,
            }
        }
        Err(failed.into())
    }

    /// Introduces this user on a connection to a bus.
    pub(super) async fn greeted(stream: UnixStream) -> Result<Self> {
        let mut bus = Self { stream, arrived: Vec::new(), serial: 0, signals: Vec::new() };
        let user = rustix::process::geteuid().as_raw().to_string();
        let user: String = user.bytes().map(|digit| format!("{digit:02x}")).collect();
        bus.stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes()).await?;
        let line = bus.line().await?;
        if !line.starts_with("OK ") {
            return Err(Trouble::NotWelcome(line));
        }
        bus.stream.write_all(b"BEGIN\r\n").await?;
        bus.call(BUS, "Hello", "", |_| {}).await?;
        Ok(bus)
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.arrived.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.arrived.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.arrived.len() > LONGEST_LINE {
                return Err(Trouble::Malformed);
            }
            self.more().await?;
        }
    }

    /// Calls a method and waits for its answer; `signature` is that of what `arguments` writes.
    pub(super) async fn call(
        &mut self,
        object: Object<'_>,
        method: &str,
        signature: &str,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<Body> {
        let mut body = Writer::default();
        arguments(&mut body);
        self.serial += 1;
        let serial = self.serial;
        let message = call(serial, object, method, signature, body.bytes());
        self.stream.write_all(message.bytes()).await?;
        loop {
            let message = self.message().await?;
            if matches!(message.kind, ANSWER | ERROR) && message.fields.reply_to == serial {
                return message.answer();
            }
            self.keep(message);
        }
    }

    /// Has a signal of an object sent to this connection.
    pub(super) async fn subscribe(&mut self, object: Object<'_>, signal: &str) -> Result<()> {
        let rule = format!(
            "type='signal',sender='{}',path='{}',interface='{}',member='{signal}'",
            object.service, object.path, object.interface
        );
        self.call(BUS, "AddMatch", "s", |arguments| {
            arguments.text(&rule);
        })
        .await?;
        Ok(())
    }

    /// Waits for a signal of an object, which may have come already.
    pub(super) async fn signal(&mut self, path: &str, signal: &str) -> Result<Body> {
        loop {
            let is_it = |message: &Message| message.fields.path == path && message.fields.member == signal;
            if let Some(index) = self.signals.iter().position(is_it) {
                return Ok(self.signals.swap_remove(index).body);
            }
            let message = self.message().await?;
            self.keep(message);
        }
    }

    /// The bus tells everybody its own news, which nobody waits for.
    fn keep(&mut self, message: Message) {
        if message.kind == SIGNAL && message.fields.path != BUS.path {
            self.signals.push(message);
        }
    }

    async fn message(&mut self) -> Result<Message> {
        loop {
            if let Some((message, length)) = Message::first(&self.arrived)? {
                self.arrived.drain(..length);
                return Ok(message);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.arrived).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(()),
        }
    }
}

/// "Message Format", with the fields that a call has.
fn call(serial: u32, object: Object<'_>, method: &str, signature: &str, body: &[u8]) -> Writer {
    let texts =
        [(1, "o", object.path), (2, "s", object.interface), (3, "s", method), (6, "s", object.service)];
    let mut message = Writer::default();
    message.byte(b'l').byte(CALL).byte(0).byte(1);
    message.number(u32::try_from(body.len()).unwrap_or(u32::MAX)).number(serial);
    message.array(STRUCTURE, |fields| {
        for (field, kind, value) in texts {
            fields.align(STRUCTURE).byte(field).signature(kind).text(value);
        }
        fields.align(STRUCTURE).byte(8).signature("g").signature(signature);
    });
    message.align(STRUCTURE).raw(body);
    message
}

/// Where the bus of the user's session may be.
fn sockets() -> Vec<PathBuf> {
    if let Some(addresses) = Environment::session_bus() {
        return sockets_of(&addresses.to_string_lossy());
    }
    let folder = Environment::runtime_folder()
        .unwrap_or_else(|| Path::new("/run/user").join(rustix::process::geteuid().as_raw().to_string()));
    vec![folder.join("bus")]
}

fn sockets_of(addresses: &str) -> Vec<PathBuf> {
    addresses
        .split(';')
        .filter_map(|address| address.trim().strip_prefix("unix:"))
        .filter_map(socket)
        .collect()
}

fn socket(parameters: &str) -> Option<PathBuf> {
    parameters.split(',').filter_map(|parameter| parameter.split_once('=')).find_map(|(key, value)| {
        let value = percent_decode_str(value).collect();
        match key {
            "path" => Some(PathBuf::from(OsString::from_vec(value))),
            // A name that is no file: begins with a zero octet for the system.
            "abstract" => Some(PathBuf::from(OsString::from_vec([vec![0], value].concat()))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_buses() {
        let paths =
            |addresses| sockets_of(addresses).into_iter().map(PathBuf::into_os_string).collect::<Vec<_>>();
        assert_eq!(paths("unix:path=/run/user/7/bus"), ["/run/user/7/bus"]);
        assert_eq!(paths("unix:abstract=/tmp/dbus-x%20y,guid=12"), ["\0/tmp/dbus-x y"]);
        assert_eq!(paths("tcp:host=localhost;unix:guid=12,path=/b;"), ["/b"]);
        assert!(paths("autolaunch:").is_empty());
    }

    #[test]
    fn a_message_is_read_once_it_is_there_as_a_whole() {
        let object = Object { service: "a.b", path: "/x", interface: "a.c" };
        let mut body = Writer::default();
        body.text("said");
        let sent = call(3, object, "Do", "s", body.bytes());
        let sent = sent.bytes();
        for end in 0..sent.len() {
            assert!(Message::first(&sent[..end]).unwrap().is_none(), "{end} octets are no message");
        }
        let (message, length) = Message::first(&[sent, b"l"].concat()).unwrap().unwrap();
        assert_eq!((message.kind, length), (CALL, sent.len()));
        assert_eq!((message.fields.path.as_str(), message.fields.member.as_str()), ("/x", "Do"));
        assert_eq!(message.body.reader().text(), Ok("said"));
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_before_it_has_come() {
        let head = [&b"l\x02\x00\x01"[..], &u32::MAX.to_le_bytes(), &[1, 0, 0, 0], &[0; 4]].concat();
        assert!(Message::first(&head).is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_arrives_ends_the_program(mut arrived: Vec<u8>) {
            arrived.insert(0, b'l');
            let _ = Message::first(&arrived);
        }
    }
}
