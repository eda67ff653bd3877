//! Messages of RFC 4511 that a reader of directories needs.

use super::ber::{Header, Malformed, Reader, Result, Writer, number, tag};
use super::entry::{Entry, text};

/// RFC 2696.
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// RFC 4511, section 4.14.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const BIND_REQUEST: u8 = tag::application(0);
const BIND_RESPONSE: u8 = tag::application(1);
const UNBIND_REQUEST: u8 = tag::application_value(2);
const SEARCH_REQUEST: u8 = tag::application(3);
const SEARCH_ENTRY: u8 = tag::application(4);
const SEARCH_DONE: u8 = tag::application(5);
const SEARCH_REFERENCE: u8 = tag::application(19);
const EXTENDED_REQUEST: u8 = tag::application(23);
const EXTENDED_RESPONSE: u8 = tag::application(24);
/// Intermediate response: neither an entry nor the end of a search (RFC 4511, section 4.13).
const INTERMEDIATE_RESPONSE: u8 = tag::application(25);

/// Part of the tree below a base (RFC 4511, section 4.5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The entry itself.
    Base,
    /// The entries directly below it.
    OneLevel,
    /// The entry and everything below it.
    Subtree,
}

/// Control (RFC 4511, section 4.1.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    /// OID.
    pub(crate) oid: &'static str,
    /// Reaction of a server that does not know it.
    pub(crate) criticality: Criticality,
    /// Empty if there is none.
    pub(crate) value: Vec<u8>,
}

/// Reaction of a server that does not know a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criticality {
    /// It refuses the request.
    Critical,
    /// It ignores the control.
    Ignored,
}

impl Control {
    /// Requests this many entries, starting at the cookie (RFC 2696).
    pub(crate) fn page(size: u32, cookie: &[u8]) -> Self {
        let mut value = Writer::default();
        value.many(tag::SEQUENCE, |page| {
            page.number(tag::INTEGER, size);
            page.value(tag::OCTET_STRING, cookie);
        });
        Self { oid: PAGED_RESULTS, criticality: Criticality::Ignored, value: value.finish() }
    }
}

/// Search as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct SearchMessage<'a> {
    pub(crate) base: &'a str,
    pub(crate) depth: Depth,
    /// Largest number of entries; 0 for all.
    pub(crate) size_limit: u32,
    /// Time limit in seconds.
    pub(crate) time_limit: u32,
    /// Encoded by [`super::super::filter::encoded`].
    pub(crate) filter: &'a [u8],
    pub(crate) attributes: &'a [String],
}

/// Request without its number.
#[derive(Clone, Debug)]
pub(crate) enum Request<'a> {
    /// Login by name and password.
    Simple {
        name: &'a str,
        password: &'a str,
    },
    /// Step of a SASL login. `None` sends nothing, an empty text sends an empty token.
    Sasl {
        mechanism: &'a str,
        credentials: Option<&'a [u8]>,
    },
    Search(&'a SearchMessage<'a>),
    StartTls,
    Unbind,
}

impl Request<'_> {
    /// Message with this number.
    pub(crate) fn encoded(&self, id: u32, controls: &[Control]) -> Vec<u8> {
        let mut message = Writer::default();
        message.many(tag::SEQUENCE, |message| {
            message.number(tag::INTEGER, id);
            self.operation(message);
            if !controls.is_empty() {
                message.many(tag::context_of_many(0), |list| {
                    controls.iter().for_each(|one| control(list, one));
                });
            }
        });
        message.finish()
    }

    /// Operation that ends the answer.
    pub(crate) fn ends_with(&self) -> u8 {
        match self {
            Self::Simple { .. } | Self::Sasl { .. } => BIND_RESPONSE,
            Self::Search(_) => SEARCH_DONE,
            // There is no answer to an unbind.
            Self::StartTls | Self::Unbind => EXTENDED_RESPONSE,
        }
    }

    fn operation(&self, message: &mut Writer) {
        match self {
            Self::Simple { name, password } => message.many(BIND_REQUEST, |bind| {
                bind.number(tag::INTEGER, 3);
                bind.value(tag::OCTET_STRING, name.as_bytes());
                bind.value(tag::context(0), password.as_bytes());
            }),
            Self::Sasl { mechanism, credentials } => message.many(BIND_REQUEST, |bind| {
                bind.number(tag::INTEGER, 3);
                bind.value(tag::OCTET_STRING, b"");
                bind.many(tag::context_of_many(3), |sasl| {
                    sasl.value(tag::OCTET_STRING, mechanism.as_bytes());
                    if let Some(credentials) = credentials {
                        sasl.value(tag::OCTET_STRING, credentials);
                    }
                });
            }),
            Self::Search(search) => message.many(SEARCH_REQUEST, |request| search.fill(request)),
            Self::StartTls => {
                message.many(EXTENDED_REQUEST, |extended| extended.value(tag::context(0), START_TLS));
            }
            Self::Unbind => message.value(UNBIND_REQUEST, b""),
        }
    }
}

impl SearchMessage<'_> {
    fn fill(&self, request: &mut Writer) {
        request.value(tag::OCTET_STRING, self.base.as_bytes());
        let depth = match self.depth {
            Depth::Base => 0,
            Depth::OneLevel => 1,
            Depth::Subtree => 2,
        };
        request.number(tag::ENUMERATED, depth);
        // Aliases are not followed.
        request.number(tag::ENUMERATED, 0);
        request.number(tag::INTEGER, self.size_limit);
        request.number(tag::INTEGER, self.time_limit);
        // Attributes with their values.
        request.value(tag::BOOLEAN, &[0]);
        request.written(self.filter);
        request.many(tag::SEQUENCE, |list| {
            for attribute in self.attributes {
                list.value(tag::OCTET_STRING, attribute.as_bytes());
            }
        });
    }
}

fn control(list: &mut Writer, Control { oid, criticality, value }: &Control) {
    list.many(tag::SEQUENCE, |control| {
        control.value(tag::OCTET_STRING, oid.as_bytes());
        if *criticality == Criticality::Critical {
            control.value(tag::BOOLEAN, &[0xff]);
        }
        if !value.is_empty() {
            control.value(tag::OCTET_STRING, value);
        }
    });
}

/// Outcome of an operation (RFC 4511, section 4.1.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// RFC 4511, appendix A.
    pub(crate) code: u32,
    /// Part of the name that exists.
    pub(crate) matched: String,
    /// Text from the server.
    pub(crate) text: String,
    /// Other servers to ask.
    pub(crate) referrals: Vec<String>,
    /// Credentials of a SASL login.
    pub(crate) credentials: Option<Vec<u8>>,
    /// Start of the next page. `None` from a server that does not page.
    pub(crate) cookie: Option<Vec<u8>>,
}

/// Message of an answer.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    Entry(Entry<'a>),
    Reference(Vec<String>),
    /// End of a search or of another operation.
    Done(Outcome),
}

/// Number of a message and the tag of its operation.
pub(crate) fn kind(message: &[u8]) -> Result<(u32, u8)> {
    let mut message = Reader::new(Reader::new(message).expect(tag::SEQUENCE)?);
    let id = message.expect(tag::INTEGER).and_then(number)?;
    Ok((id, message.peek().ok_or(Malformed)?))
}

/// Role of an operation for a request whose answer ends with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the answer, the last one included.
    Part,
    /// Irrelevant.
    Aside,
}

/// Finds the role of an operation. One that does not belong to the answer is an error.
pub(crate) fn role(operation: u8, ends_with: u8) -> Result<Role> {
    match operation {
        INTERMEDIATE_RESPONSE => Ok(Role::Aside),
        SEARCH_ENTRY | SEARCH_REFERENCE if ends_with == SEARCH_DONE => Ok(Role::Part),
        _ if operation == ends_with => Ok(Role::Part),
        _ => Err(Malformed),
    }
}

/// Reads the server's notice when it ends the connection by itself.
pub(crate) fn goodbye(message: &[u8]) -> Result<Outcome> {
    match decode(message)? {
        Answer::Done(outcome) => Ok(outcome),
        Answer::Entry(_) | Answer::Reference(_) => Err(Malformed),
    }
}

/// Reads a message.
pub(crate) fn decode(message: &[u8]) -> Result<Answer<'_>> {
    let mut message = Reader::new(Reader::new(message).expect(tag::SEQUENCE)?);
    message.expect(tag::INTEGER)?;
    let (operation, content) = message.next()?.ok_or(Malformed)?;
    Ok(match operation {
        SEARCH_ENTRY => Answer::Entry(Entry::parse(content)?),
        SEARCH_REFERENCE => Answer::Reference(texts(content)?),
        SEARCH_DONE | BIND_RESPONSE | EXTENDED_RESPONSE => {
            let mut outcome = outcome(content)?;
            // Active Directory sends something else here when it disconnects.
            if let Some(controls) = message.optional(tag::context_of_many(0))? {
                outcome.cookie = cookie(controls)?;
            }
            Answer::Done(outcome)
        }
        _ => return Err(Malformed),
    })
}

fn outcome(content: &[u8]) -> Result<Outcome> {
    let mut parts = Reader::new(content);
    let mut outcome = Outcome {
        code: parts.expect(tag::ENUMERATED).and_then(number)?,
        matched: text(parts.expect(tag::OCTET_STRING)?).into_owned(),
        text: text(parts.expect(tag::OCTET_STRING)?).into_owned(),
        ..Outcome::default()
    };
    while let Some((tag, content)) = parts.next()? {
        match tag {
            REFERRAL => outcome.referrals = texts(content)?,
            SERVER_CREDENTIALS => outcome.credentials = Some(content.to_vec()),
            _ => {}
        }
    }
    Ok(outcome)
}

/// Fields of every outcome.
const REFERRAL: u8 = tag::context_of_many(3);
/// Field of a login's outcome.
const SERVER_CREDENTIALS: u8 = tag::context(7);

fn cookie(controls: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut controls = Reader::new(controls);
    while controls.peek().is_some() {
        let mut control = Reader::new(controls.expect(tag::SEQUENCE)?);
        let oid = control.expect(tag::OCTET_STRING)?;
        control.optional(tag::BOOLEAN)?;
        if oid != PAGED_RESULTS.as_bytes() {
            continue;
        }
        let mut page = Reader::new(Reader::new(control.expect(tag::OCTET_STRING)?).expect(tag::SEQUENCE)?);
        // The server's estimate, which may be anything.
        page.expect(tag::INTEGER)?;
        return Ok(Some(page.expect(tag::OCTET_STRING)?.to_vec()));
    }
    Ok(None)
}

fn texts(content: &[u8]) -> Result<Vec<String>> {
    let mut reader = Reader::new(content);
    let mut texts = Vec::new();
    while reader.peek().is_some() {
        texts.push(text(reader.expect(tag::OCTET_STRING)?).into_owned());
    }
    Ok(texts)
}

/// Value that is longer than any that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) dn: String,
    pub(crate) attribute: String,
    pub(crate) length: usize,
}

/// Looks for a value of more octets than this in a message of which perhaps only the beginning is there, so that it is refused
/// before it is in memory.
pub(crate) fn too_long(message: &[u8], longest: usize) -> Option<TooLong> {
    let (mut dn, mut attribute, mut before) = (None, None, 0);
    let mut left = message;
    while let Ok(Some(header)) = Header::read(left) {
        if header.is_of_many() {
            left = &left[header.size..];
        } else if header.length > longest {
            let shown = |octets: Option<&[u8]>| octets.map(|octets| text(octets).into_owned());
            return Some(TooLong {
                dn: shown(dn).unwrap_or_default(),
                attribute: shown(attribute).unwrap_or_default(),
                length: header.length,
            });
        } else {
            let content = left.get(header.size..header.size + header.length)?;
            match before {
                SEARCH_ENTRY => dn = Some(content),
                tag::SEQUENCE => attribute = Some(content),
                _ => {}
            }
            left = &left[header.size + header.length..];
        }
        before = header.tag;
    }
    None
}

/// Messages as a server writes them, for tests.
#[cfg(test)]
pub(crate) mod played {
    use super::*;

    /// Encodes a `SearchResultEntry`.
    pub(crate) fn entry(dn: &str, attributes: &[(impl AsRef<str>, Vec<impl AsRef<[u8]>>)]) -> Vec<u8> {
        message(|message| {
            message.many(SEARCH_ENTRY, |entry| {
                entry.value(tag::OCTET_STRING, dn.as_bytes());
                entry.many(tag::SEQUENCE, |list| {
                    for (description, values) in attributes {
                        list.many(tag::SEQUENCE, |attribute| {
                            attribute.value(tag::OCTET_STRING, description.as_ref().as_bytes());
                            attribute.many(tag::SET, |set| {
                                values.iter().for_each(|value| set.value(tag::OCTET_STRING, value.as_ref()));
                            });
                        });
                    }
                });
            });
        })
    }

    pub(crate) fn message(operation: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut octets = Writer::default();
        octets.many(tag::SEQUENCE, |message| {
            message.number(tag::INTEGER, 7);
            operation(message);
        });
        octets.finish()
    }

    /// Entry of such a message.
    pub(crate) fn read(message: &[u8]) -> Entry<'_> {
        match decode(message) {
            Ok(Answer::Entry(entry)) => entry,
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::played::message;
    use super::*;

    #[test]
    fn an_entry_is_read_in_place() {
        let octets =
            played::entry("cn=a", &[("mail;lang-en", vec!["x"]), ("MAIL", vec!["y", "z"]), ("cn", vec![])]);
        let entry = played::read(&octets);
        assert_eq!(entry.dn(), "cn=a");
        assert_eq!(entry.values("mail").collect::<Vec<_>>(), [b"y", b"z"]);
        assert_eq!(entry.text("cn"), None);
        assert_eq!(
            entry.attributes().map(|a| a.description().into_owned()).collect::<Vec<_>>(),
            ["mail;lang-en", "MAIL", "cn"]
        );
    }

    #[test]
    fn an_outcome_has_all_its_fields() {
        let octets = {
            let mut octets = Writer::default();
            octets.many(tag::SEQUENCE, |message| {
                message.number(tag::INTEGER, 9);
                message.many(SEARCH_DONE, |done| {
                    done.number(tag::ENUMERATED, 10);
                    done.value(tag::OCTET_STRING, b"dc=x");
                    done.value(tag::OCTET_STRING, "wär\u{fffd}".as_bytes());
                    done.many(REFERRAL, |urls| urls.value(tag::OCTET_STRING, b"ldap://h/"));
                    done.value(SERVER_CREDENTIALS, b"c");
                });
                message.many(tag::context_of_many(0), |controls| {
                    control(
                        controls,
                        &Control { oid: "1.2.3", criticality: Criticality::Critical, value: Vec::new() },
                    );
                    control(controls, &Control::page(5, b"next"));
                });
            });
            octets.finish()
        };
        assert_eq!(kind(&octets), Ok((9, SEARCH_DONE)));
        let Ok(Answer::Done(outcome)) = decode(&octets) else { panic!("{octets:?}") };
        assert_eq!((outcome.code, &*outcome.matched), (10, "dc=x"));
        assert_eq!((&*outcome.text, &outcome.referrals[..]), ("wär\u{fffd}", &["ldap://h/".to_owned()][..]));
        assert_eq!(
            (outcome.credentials.as_deref(), outcome.cookie.as_deref()),
            (Some(&b"c"[..]), Some(&b"next"[..]))
        );
    }

    /// A message nested ten thousand times must not use up the stack, wherever the nesting is.
    #[test]
    fn nesting_costs_nothing() {
        let mut nested = Vec::new();
        for _ in 0..10_000 {
            let mut outer = Writer::default();
            outer.value(tag::SEQUENCE, &nested);
            nested = outer.finish();
        }
        assert!(decode(&nested).is_err());
        let inside = message(|message| message.many(SEARCH_ENTRY, |entry| entry.written(&nested)));
        assert!(decode(&inside).is_err());
        let mut control = Writer::default();
        control.value(tag::context_of_many(0), &nested);
        let control = control.finish();
        let beside = message(|message| {
            message.many(SEARCH_DONE, |done| {
                done.number(tag::ENUMERATED, 0);
                done.value(tag::OCTET_STRING, b"");
                done.value(tag::OCTET_STRING, b"");
            });
            message.written(&control);
        });
        assert!(decode(&beside).is_err());
        assert_eq!(too_long(&nested, 1000), None);
    }

    #[test]
    fn a_long_value_is_found_once_its_length_is_there() {
        let octets =
            played::entry("cn=a", &[("cn", vec![vec![1; 10]]), ("photo", vec![vec![1; 10], vec![0; 5000]])]);
        let found = TooLong { dn: "cn=a".into(), attribute: "photo".into(), length: 5000 };
        assert_eq!(too_long(&octets[..octets.len() - 4990], 4999), Some(found));
        assert_eq!(too_long(&octets, 5000), None);
    }

    /// Messages of every kind.
    fn samples() -> Vec<Vec<u8>> {
        let outcome = |kind: u8, more: fn(&mut Writer)| {
            message(|message| {
                message.many(kind, |done| {
                    done.number(tag::ENUMERATED, 10);
                    done.value(tag::OCTET_STRING, b"dc=x");
                    done.value(tag::OCTET_STRING, b"no such object");
                    more(done);
                });
            })
        };
        let cookie = {
            let mut octets = Writer::default();
            octets.many(tag::SEQUENCE, |message| {
                message.number(tag::INTEGER, 9);
                message.many(SEARCH_DONE, |done| {
                    done.number(tag::ENUMERATED, 0);
                    done.value(tag::OCTET_STRING, b"");
                    done.value(tag::OCTET_STRING, b"");
                });
                message.many(tag::context_of_many(0), |list| control(list, &Control::page(0, b"cookie")));
            });
            octets.finish()
        };
        vec![
            played::entry(
                "cn=a,dc=x",
                &[("mail", vec![vec![b'a'; 200]]), ("member;range=0-1", vec![vec![b'b'; 3]; 4])],
            ),
            outcome(BIND_RESPONSE, |done| done.value(SERVER_CREDENTIALS, b"ticket")),
            outcome(SEARCH_DONE, |done| {
                done.many(REFERRAL, |list| list.value(tag::OCTET_STRING, b"ldap://other/dc=x"));
            }),
            outcome(EXTENDED_RESPONSE, |done| done.value(tag::context(10), b"1.3.6.1.4.1.1466.20036")),
            message(|message| {
                message
                    .many(SEARCH_REFERENCE, |list| list.value(tag::OCTET_STRING, b"ldap://other/dc=x??sub"));
            }),
            cookie,
        ]
    }

    proptest! {
        #![proptest_config(few())]

        /// A message is read or refused, and nothing is read beyond its end.
        #[test]
        fn fuzz_ldap_messages(octets in damaged(samples())) {
            let _ = (kind(&octets), goodbye(&octets));
            match decode(&octets) {
                Ok(Answer::Entry(entry)) => {
                    let values = entry.attributes().flat_map(|attribute| attribute.values).map(<[u8]>::len).sum::<usize>();
                    prop_assert!(values + entry.name().len() <= octets.len());
                    let _ = (entry.text("mail"), entry.dn());
                }
                Ok(Answer::Reference(urls)) => prop_assert!(urls.iter().map(String::len).sum::<usize>() <= 3 * octets.len()),
                Ok(Answer::Done(outcome)) => prop_assert!(outcome.matched.len() + outcome.text.len() <= 3 * octets.len()),
                Err(Malformed) => {}
            }
            if let Some(found) = too_long(&octets, 20) {
                prop_assert!(found.length > 20 && found.dn.len() + found.attribute.len() <= 6 * 20);
            }
        }

        #[test]
        fn fuzz_any_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (decode(&octets), too_long(&octets, 20));
            let mut reader = Reader::new(&octets);
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}
