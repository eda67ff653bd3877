//! Entries of a search, read in place: nothing is copied.

use std::borrow::Cow;

use super::ber::{Reader, Result, tag};

/// Octets as text; those that are not UTF-8 are replaced. Nearly all are, and finding that out takes a fraction of the time.
pub(crate) fn text(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(octets),
    }
}

/// Entry as it came (RFC 4511, section 4.5.2), without any assumption about its values. It is read in place: nothing is
/// copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    dn: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Looks at every value once, so that none turns out to be malformed later.
    pub(super) fn parse(content: &'a [u8]) -> Result<Self> {
        let mut parts = Reader::new(content);
        let dn = parts.expect(tag::OCTET_STRING)?;
        let attributes = parts.expect(tag::SEQUENCE)?;
        let mut left = Reader::new(attributes);
        while let Some(attribute) = next_attribute(&mut left)? {
            let mut values = attribute.values.0;
            while values.peek().is_some() {
                values.expect(tag::OCTET_STRING)?;
            }
        }
        Ok(Self { dn, attributes })
    }

    /// Name, as the server spells it; octets that are not UTF-8 are replaced.
    pub(crate) fn dn(&self) -> Cow<'a, str> {
        text(self.dn)
    }

    /// Octets of the name.
    pub(crate) fn name(&self) -> &'a [u8] {
        self.dn
    }

    /// Attributes in the server's order.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut left = Reader::new(self.attributes);
        std::iter::from_fn(move || next_attribute(&mut left).ok().flatten())
    }

    /// Values of an attribute, whatever the case of its name; those of a subtype such as `mail;lang-en` if there are no
    /// others (RFC 4512, section 2.5.2).
    pub(crate) fn values(&self, name: &str) -> Values<'a> {
        let filled = |attribute: &Attribute<'_>| attribute.values.0.peek().is_some();
        let mut subtype = None;
        for attribute in self.attributes().filter(filled) {
            if attribute.description.eq_ignore_ascii_case(name.as_bytes()) {
                return attribute.values;
            }
            if subtype.is_none() && attribute.is_of(name) {
                subtype = Some(attribute.values);
            }
        }
        subtype.unwrap_or_default()
    }

    /// First value as text; octets that are not UTF-8 are replaced.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.values(name).next().map(text)
    }
}

/// Attribute description, options included, with its values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    description: &'a [u8],
    /// Values as they came.
    pub(crate) values: Values<'a>,
}

impl<'a> Attribute<'a> {
    /// Name and options.
    pub(crate) fn description(&self) -> Cow<'a, str> {
        text(self.description)
    }

    /// Whether it is this attribute, ignoring options.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        let own = self.description.split(|octet| *octet == b';').next();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name.as_bytes()))
    }
}

fn next_attribute<'a>(attributes: &mut Reader<'a>) -> Result<Option<Attribute<'a>>> {
    if attributes.peek().is_none() {
        return Ok(None);
    }
    let mut parts = Reader::new(attributes.expect(tag::SEQUENCE)?);
    let description = parts.expect(tag::OCTET_STRING)?;
    Ok(Some(Attribute { description, values: Values(Reader::new(parts.expect(tag::SET)?)) }))
}

/// Values of an attribute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'a>(Reader<'a>);

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next().ok().flatten().map(|(_, value)| value)
    }
}
