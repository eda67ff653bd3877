//! Search filters in the grammar of RFC 4515, with errors that point at the character.

use super::wire::{Writer, tag};
use crate::{Error, ErrorKind, Result};

/// Depth at which filters are refused before we recurse into them.
const DEEPEST: usize = 100;

/// Checks one filter of the configuration.
pub(super) fn check(setting: &str, text: &str) -> Result<()> {
    let Err((at, problem)) = encoded(text) else { return Ok(()) };
    let filter = text.trim();
    let column = filter.get(..at).map_or(at, |before| before.chars().count());
    Err(Error::new(
        ErrorKind::Configuration,
        format!("Reading {setting}"),
        format!("{problem}, at character {}\n  {filter}\n  {}^", column + 1, " ".repeat(column)),
    )
    .hint("Example: (&(objectClass=person)(ou=Sales)); see RFC 4515."))
}

/// Encodes a filter as it is sent (RFC 4511, section 4.5.1.7), or reports the position of the mistake and the reason.
pub(super) fn encoded(text: &str) -> std::result::Result<Vec<u8>, Fault> {
    Grammar { text: text.trim(), at: 0 }.whole()
}

/// Escapes these characters in a value, so that it stands for itself in a filter (RFC 4515, section 3).
pub(super) fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\0' | '(' | ')' | '*' | '\\' => escaped.push_str(&format!("\\{:02x}", character as u32)),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Position of an octet, and the problem there.
pub(super) type Fault = (usize, &'static str);

type Parsed<T> = std::result::Result<T, Fault>;

/// Alternatives of `Filter`.
mod choice {
    use super::tag;

    pub(super) const AND: u8 = tag::context_of_many(0);
    pub(super) const OR: u8 = tag::context_of_many(1);
    pub(super) const NOT: u8 = tag::context_of_many(2);
    pub(super) const EQUAL: u8 = tag::context_of_many(3);
    pub(super) const SUBSTRINGS: u8 = tag::context_of_many(4);
    pub(super) const AT_LEAST: u8 = tag::context_of_many(5);
    pub(super) const AT_MOST: u8 = tag::context_of_many(6);
    pub(super) const PRESENT: u8 = tag::context(7);
    pub(super) const ALIKE: u8 = tag::context_of_many(8);
    pub(super) const EXTENSIBLE: u8 = tag::context_of_many(9);
}

struct Grammar<'a> {
    text: &'a str,
    at: usize,
}

impl Grammar<'_> {
    fn whole(mut self) -> Parsed<Vec<u8>> {
        let mut filter = Writer::default();
        self.filter(0, &mut filter)?;
        match self.peek() {
            None => Ok(filter.finish()),
            Some(b'(') => Err((self.at, "a second filter begins here; join them as (&(first)(second))")),
            Some(_) => Err((self.at, "the filter ends before this")),
        }
    }

    fn filter(&mut self, depth: usize, out: &mut Writer) -> Parsed<()> {
        if depth > DEEPEST {
            return Err((self.at, "the filter is nested too deeply"));
        }
        self.expect(b'(', "an opening bracket is missing")?;
        match self.peek() {
            Some(b'&') => self.many(depth, choice::AND, out)?,
            Some(b'|') => self.many(depth, choice::OR, out)?,
            Some(b'!') => {
                self.at += 1;
                let mut inside = Writer::default();
                self.filter(depth + 1, &mut inside)?;
                out.value(choice::NOT, &inside.finish());
            }
            _ => self.item(out)?,
        }
        self.expect(b')', "a closing bracket is missing")
    }

    fn many(&mut self, depth: usize, choice: u8, out: &mut Writer) -> Parsed<()> {
        self.at += 1;
        let mut inside = Writer::default();
        while self.peek() == Some(b'(') {
            self.filter(depth + 1, &mut inside)?;
        }
        out.value(choice, &inside.finish());
        Ok(())
    }

    fn item(&mut self, out: &mut Writer) -> Parsed<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| !matches!(b, b'=' | b'(' | b')')) {
            self.at += 1;
        }
        if self.peek() != Some(b'=') {
            return Err((self.at, "an equals sign is missing"));
        }
        let left = &self.text[start..self.at];
        self.at += 1;
        match left.char_indices().next_back() {
            None => Err((start, "an attribute's name is missing")),
            Some((end, ':')) => self.extensible(start, &left[..end], out),
            Some((end, '>')) => self.compared(choice::AT_LEAST, start, &left[..end], out),
            Some((end, '<')) => self.compared(choice::AT_MOST, start, &left[..end], out),
            Some((end, '~')) => self.compared(choice::ALIKE, start, &left[..end], out),
            Some(_) => self.equal(start, left, out),
        }
    }

    fn compared(&mut self, choice: u8, start: usize, name: &str, out: &mut Writer) -> Parsed<()> {
        attribute(start, name)?;
        let value = self.value()?.plain()?;
        out.many(choice, |item| {
            item.value(tag::OCTET_STRING, name.as_bytes());
            item.value(tag::OCTET_STRING, &value);
        });
        Ok(())
    }

    fn equal(&mut self, start: usize, name: &str, out: &mut Writer) -> Parsed<()> {
        attribute(start, name)?;
        let value = self.value()?;
        match &value.parts[..] {
            [only] => out.many(choice::EQUAL, |item| {
                item.value(tag::OCTET_STRING, name.as_bytes());
                item.value(tag::OCTET_STRING, only);
            }),
            parts if parts.iter().all(Vec::is_empty) => out.value(choice::PRESENT, name.as_bytes()),
            parts => out.many(choice::SUBSTRINGS, |item| {
                item.value(tag::OCTET_STRING, name.as_bytes());
                item.many(tag::SEQUENCE, |list| substrings(parts, list));
            }),
        }
        Ok(())
    }

    /// Parses `name:dn:rule:=value`, of which the name or the rule may be missing.
    fn extensible(&mut self, start: usize, left: &str, out: &mut Writer) -> Parsed<()> {
        let mut parts = left.split(':');
        let name = parts.next().unwrap_or_default();
        let (in_dn, rule) = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => (None, None),
            (Some(dn), None, _) if dn.eq_ignore_ascii_case("dn") => (Some(dn), None),
            (rule, None, _) => (None, rule),
            (Some(dn), rule, None) if dn.eq_ignore_ascii_case("dn") => (Some(dn), rule),
            _ => return Err((start, "an extensible match must be name:dn:rule:=value")),
        };
        if !name.is_empty() {
            attribute(start, name)?;
        }
        if let Some(rule) = rule {
            attribute(start, rule)?;
        }
        if name.is_empty() && rule.is_none() {
            return Err((start, "an attribute's name is missing"));
        }
        let value = self.value()?.plain()?;
        out.many(choice::EXTENSIBLE, |item| {
            if let Some(rule) = rule {
                item.value(tag::context(1), rule.as_bytes());
            }
            if !name.is_empty() {
                item.value(tag::context(2), name.as_bytes());
            }
            item.value(tag::context(3), &value);
            if in_dn.is_some() {
                item.value(tag::context(4), &[0xff]);
            }
        });
        Ok(())
    }

    fn value(&mut self) -> Parsed<Value> {
        let mut value = Value { start: self.at, parts: vec![Vec::new()] };
        while let Some(octet) = self.peek().filter(|octet| *octet != b')') {
            match octet {
                b'(' => return Err((self.at, "a bracket in a value must be written \\28")),
                b'*' => value.parts.push(Vec::new()),
                b'\\' => {
                    let escaped = self.escape();
                    value.push(
                        escaped.ok_or((self.at, "a backslash must be followed by two hexadecimal digits"))?,
                    );
                    self.at += 2;
                }
                _ => value.push(octet),
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn escape(&self) -> Option<u8> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 3)?;
        let digit = |octet: u8| char::from(octet).to_digit(16);
        u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Parsed<()> {
        if self.peek() != Some(byte) {
            return Err((self.at, problem));
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// Parts between the asterisks of a value.
struct Value {
    start: usize,
    parts: Vec<Vec<u8>>,
}

impl Value {
    fn push(&mut self, octet: u8) {
        if let Some(part) = self.parts.last_mut() {
            part.push(octet);
        }
    }

    fn plain(mut self) -> Parsed<Vec<u8>> {
        match (self.parts.pop(), self.parts.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err((self.start, "an asterisk in such a value must be written \\2a")),
        }
    }
}

/// Treats two asterisks side by side as one.
fn substrings(parts: &[Vec<u8>], list: &mut Writer) {
    let last = parts.len() - 1;
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let place = if at == 0 {
            0
        } else if at == last {
            2
        } else {
            1
        };
        list.value(tag::context(place), part);
    }
}

/// Checks a name, an OID or a rule, with options (RFC 4512, sections 2.5 and 1.4). Underscores are not in the standard, but in use.
fn attribute(start: usize, name: &str) -> Parsed<()> {
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b';' | b'_');
    match name.bytes().position(|octet| !is_allowed(octet)) {
        _ if name.is_empty() => Err((start, "an attribute's name is missing")),
        Some(at) => Err((start + at, "this is not an attribute's name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_what_the_standard_allows() {
        for filter in [
            "(cn=Babs Jensen)",
            " (&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*))) ",
            "(!(cn=Tim Howes))",
            "(cn:caseExactMatch:=Fred)",
            "(userAccountControl:1.2.840.113556.1.4.803:=2)",
            "(o=Parens R Us \\28for all your needs\\29)",
            "(seeAlso=)",
            "(cn=*)",
        ] {
            assert_eq!(check("sync.userFilter", filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn points_at_the_character() {
        for (filter, at, problem) in [
            ("(cn=a", 6, "closing bracket"),
            ("cn=a", 1, "opening bracket"),
            ("(cn=a)(cn=b)", 7, "second filter"),
            ("(cn=a))", 7, "ends before"),
            ("(cn)", 4, "equals sign"),
            ("(=a)", 2, "name is missing"),
            ("(cn=a\\2)", 6, "backslash"),
            ("(cn=ü(b)", 6, "bracket in a value"),
            ("(&(cn=a)cn=b)", 9, "closing bracket"),
        ] {
            let error = check("sync.userFilter", filter).unwrap_err().to_string();
            assert!(error.contains(&format!("at character {at}\n")), "{filter}: {error}");
            assert!(error.contains(problem), "{filter}: {error}");
        }
        assert!(check("f", &"(!".repeat(100_000)).unwrap_err().to_string().contains("too deeply"));
    }

    proptest! {
        #![proptest_config(few())]

        /// A filter is parsed, or the error points at a character of it.
        #[test]
        fn fuzz_ldap_filters(text in prop_oneof![
            damaged_text([
                "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*o*e))(!(cn=Tim\\20Howes)))",
                "(userAccountControl:1.2.840.113556.1.4.803:=2)",
                "(:dn:2.4.6.8.10:=Dino)",
                "(|(age>=5)(age<=7)(cn~=ü)(seeAlso=)(cn=*))",
            ]),
            "[(&|!)=a*\\\\2ü ]{0,40}",
        ]) {
            match encoded(&text) {
                Ok(filter) => {
                    prop_assert!(filter.len() <= 8 * text.len() + 16);
                    prop_assert_eq!(check("f", &text), Ok(()));
                }
                Err((at, _)) => {
                    prop_assert!(at <= text.trim().len() && text.trim().is_char_boundary(at), "{at}");
                    let error = check("f", &text).unwrap_err();
                    prop_assert!(error.to_string().contains(", at character "));
                    crate::fuzz::harmless(&error, text.len())?;
                }
            }
        }

        /// An escaped value stands for itself.
        #[test]
        fn fuzz_values_in_filters(value in damaged_text(["cn=a*(b)\\,dc=x\0"])) {
            let mut expected = Writer::default();
            expected.many(choice::EQUAL, |item| {
                item.value(tag::OCTET_STRING, b"member");
                item.value(tag::OCTET_STRING, value.as_bytes());
            });
            prop_assert_eq!(encoded(&format!("(member={})", escaped(&value))), Ok(expected.finish()));
        }
    }
}
