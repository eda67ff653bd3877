//! Small LDAP server that lists the values of an attribute like a Windows domain controller: only so many at once,
//! the rest by `member;range=lo-*` (MS-ADTS, section 3.1.1.3.1.3.3). Samba and OpenLDAP list all of them.
//!
//! It supports simple binds, searches with and without pages, the usual filters, and nothing else of RFC 4511.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use lber::common::TagClass;
use lber::parse::parse_tag;
use lber::structure::{PL, StructureTag};
use lber::write::encode_into;

/// Entry: its name, and attributes with their values.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name.
    pub dn: String,
    /// Attributes in the order in which they are sent.
    pub attributes: Vec<(String, Vec<String>)>,
}

/// Injected fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It ignores paging, and sends everything at once.
    IgnoresPages,
    /// It refuses paging.
    RefusesPages,
    /// Further ranges are answered without values.
    NoMoreValues,
    /// Further ranges are answered with an error.
    RefusesRanges,
}

/// Running server. The thread ends with the process.
#[derive(Debug)]
pub struct Capped {
    port: u16,
    ranges: Arc<AtomicUsize>,
}

struct Directory {
    /// Entries, with their names in lower case.
    entries: Vec<(String, Entry)>,
    cap: usize,
    fault: Fault,
    ranges: Arc<AtomicUsize>,
}

impl Capped {
    /// Serves these entries, with at most `cap` values of an attribute at once.
    pub fn start(entries: Vec<Entry>, cap: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let ranges = Arc::new(AtomicUsize::new(0));
        let entries = entries.into_iter().map(|entry| (entry.dn.to_lowercase(), entry)).collect();
        let directory = Arc::new(Directory { entries, cap, fault, ranges: Arc::clone(&ranges) });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let directory = Arc::clone(&directory);
                std::thread::spawn(move || serve(stream, &directory));
            }
        });
        Self { port, ranges }
    }

    /// Port of plain LDAP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Number of requests for ranges.
    pub fn ranges(&self) -> usize {
        self.ranges.load(Ordering::Relaxed)
    }
}

/// Serves until the client unbinds or disconnects.
fn serve(mut stream: TcpStream, directory: &Directory) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::new();
    let mut chunk = [0; 65536];
    loop {
        while let Ok((rest, message)) = parse_tag(&read) {
            let used = read.len() - rest.len();
            let answers = answer(message, directory);
            read.drain(..used);
            let Some(answers) = answers else { return Ok(()) };
            stream.write_all(&answers)?;
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            count => read.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Next message; `None` at the end, or if it cannot be decoded.
fn answer(message: StructureTag, directory: &Directory) -> Option<Vec<u8>> {
    let mut parts = message.expect_constructed()?.into_iter();
    let id = parts.next()?;
    let operation = parts.next()?;
    let controls = parts.next();
    let mut out = BytesMut::new();
    let mut send = |operation: StructureTag, controls: Option<StructureTag>| {
        let parts = [Some(id.clone()), Some(operation), controls];
        let message = sequence(parts.into_iter().flatten().collect());
        encode_into(&mut out, message).expect("writing to memory");
    };
    match operation.id {
        0 => send(result(1, 0), None),
        3 => {
            let search = Search::of(operation, controls)?;
            if let Some(code) = search.refusal(directory) {
                send(result(5, code), None);
                return Some(out.to_vec());
            }
            let (entries, next) = search.page(directory);
            for entry in entries {
                send(entry, None);
            }
            send(result(5, 0), next.map(paging));
        }
        _ => return None,
    }
    Some(out.to_vec())
}

struct Search {
    base: String,
    /// Scope; 0 is the entry itself.
    scope: u8,
    filter: StructureTag,
    attributes: Vec<String>,
    /// Size and position of a page.
    page: Option<(usize, usize)>,
}

impl Search {
    fn of(operation: StructureTag, controls: Option<StructureTag>) -> Option<Self> {
        let mut parts = operation.expect_constructed()?.into_iter();
        let base = text(parts.next()?)?.to_lowercase();
        let scope = *parts.next()?.expect_primitive()?.first()?;
        let filter = parts.nth(4)?;
        let attributes = parts.next()?.expect_constructed()?.into_iter().filter_map(text).collect();
        Some(Self { base, scope, filter, attributes, page: controls.and_then(page) })
    }

    fn matches(&self, dn: &str, entry: &Entry) -> bool {
        let is_below = || dn.strip_suffix(&self.base).is_some_and(|rest| rest.ends_with(','));
        (dn == self.base || self.scope != 0 && is_below()) && matches(&self.filter, entry)
    }

    /// Entries of a page, and the position of the next one: 0 if there is none.
    fn page(&self, directory: &Directory) -> (Vec<StructureTag>, Option<usize>) {
        let page = self.page.filter(|_| directory.fault != Fault::IgnoresPages);
        let (size, from) = page.unwrap_or((usize::MAX, 0));
        let mut found = directory.entries.iter().filter(|(dn, entry)| self.matches(dn, entry)).skip(from);
        let entries: Vec<StructureTag> =
            found.by_ref().take(size).map(|(_, entry)| self.shown(entry, directory)).collect();
        let next = if found.next().is_some() { from + entries.len() } else { 0 };
        (entries, page.map(|_| next))
    }

    fn asks_for_range(&self) -> bool {
        self.attributes.iter().any(|name| name.contains(";range="))
    }

    /// Result code of a search that is not supported.
    fn refusal(&self, directory: &Directory) -> Option<u8> {
        match directory.fault {
            Fault::RefusesRanges if self.asks_for_range() => Some(53),
            Fault::RefusesPages if self.page.is_some() => Some(12),
            _ => None,
        }
    }

    fn shown(&self, entry: &Entry, directory: &Directory) -> StructureTag {
        let attributes = self.attributes.iter().filter_map(|wanted| {
            let (name, from) = match wanted.split_once(";range=") {
                Some((name, range)) => (name, range.split_once('-')?.0.parse().ok()?),
                None => (wanted.as_str(), 0),
            };
            let (name, values) =
                entry.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            Some(listed(name, values, from, wanted.contains(';'), directory))
        });
        let attributes = attributes.collect();
        StructureTag {
            class: TagClass::Application,
            id: 4,
            payload: PL::C(vec![octets(&entry.dn), sequence(attributes)]),
        }
    }
}

/// Values from a number on, under a name with their range unless they are all.
fn listed(name: &str, values: &[String], from: usize, by_range: bool, directory: &Directory) -> StructureTag {
    if by_range {
        directory.ranges.fetch_add(1, Ordering::Relaxed);
    }
    let to = values.len().min(from.saturating_add(directory.cap));
    let mut part = values.get(from..to).unwrap_or_default();
    if by_range && directory.fault == Fault::NoMoreValues {
        part = &[];
    }
    let description = match (by_range || to < values.len(), to < values.len()) {
        (false, _) => name.to_owned(),
        (true, true) => format!("{name};range={from}-{}", to - 1),
        (true, false) => format!("{name};range={from}-*"),
    };
    let values = StructureTag {
        class: TagClass::Universal,
        id: 17,
        payload: PL::C(part.iter().map(|value| octets(value)).collect()),
    };
    sequence(vec![octets(&description), values])
}

/// Filters of RFC 4511, section 4.5.1: `and`, `or`, `not`, `equalityMatch` and `present`.
fn matches(filter: &StructureTag, entry: &Entry) -> bool {
    let parts = || match &filter.payload {
        PL::C(parts) => parts.as_slice(),
        PL::P(_) => &[],
    };
    let values = |name: &str| {
        let found = entry.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[][..], |(_, values)| values.as_slice())
    };
    match filter.id {
        0 => parts().iter().all(|part| matches(part, entry)),
        1 => parts().iter().any(|part| matches(part, entry)),
        2 => !parts().iter().any(|part| matches(part, entry)),
        3 => {
            let texts: Vec<String> = parts().iter().cloned().filter_map(text).collect();
            let [name, value] = &texts[..] else { return false };
            values(name).iter().any(|known| known.eq_ignore_ascii_case(value))
        }
        7 => {
            let name = text(filter.clone()).unwrap_or_default();
            name.eq_ignore_ascii_case("objectClass") || !values(&name).is_empty()
        }
        _ => false,
    }
}

/// Paging control of RFC 2696: size and cookie, which is the position here.
fn page(controls: StructureTag) -> Option<(usize, usize)> {
    let control = controls.expect_constructed()?.into_iter().next()?;
    let value = control.expect_constructed()?.into_iter().next_back()?.expect_primitive()?;
    let (_, value) = parse_tag(&value).ok()?;
    let mut parts = value.expect_constructed()?.into_iter();
    let size = parts.next()?.expect_primitive()?.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
    let place = text(parts.next()?)?.parse().unwrap_or(0);
    Some((size, place))
}

fn paging(next: usize) -> StructureTag {
    let cookie = if next == 0 { String::new() } else { next.to_string() };
    let mut value = BytesMut::new();
    encode_into(&mut value, sequence(vec![number(2, 0), octets(&cookie)])).expect("writing to memory");
    let value = StructureTag { class: TagClass::Universal, id: 4, payload: PL::P(value.to_vec()) };
    let control = sequence(vec![octets("1.2.840.113556.1.4.319"), value]);
    StructureTag { class: TagClass::Context, id: 0, payload: PL::C(vec![control]) }
}

fn result(operation: u64, code: u8) -> StructureTag {
    let text = if code == 0 { "" } else { "this is not served today" };
    let parts = vec![number(10, code), octets(""), octets(text)];
    StructureTag { class: TagClass::Application, id: operation, payload: PL::C(parts) }
}

fn number(id: u64, value: u8) -> StructureTag {
    StructureTag { class: TagClass::Universal, id, payload: PL::P(vec![value]) }
}

fn octets(text: &str) -> StructureTag {
    StructureTag { class: TagClass::Universal, id: 4, payload: PL::P(text.as_bytes().to_vec()) }
}

fn sequence(parts: Vec<StructureTag>) -> StructureTag {
    StructureTag { class: TagClass::Universal, id: 16, payload: PL::C(parts) }
}

fn text(tag: StructureTag) -> Option<String> {
    tag.expect_primitive().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
