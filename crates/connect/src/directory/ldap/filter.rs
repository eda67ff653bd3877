//! Search filters by the grammar of RFC 4515, with errors that point at the character.

use crate::{Error, Kind, Result};

/// Deeper filters are refused before a parser recurses into them.
const DEEPEST: usize = 100;

/// Checks one filter of the configuration.
pub(super) fn check(setting: &str, text: &str) -> Result<()> {
    let filter = text.trim();
    let fault = Grammar { text: filter, at: 0 }.whole().err();
    let fault = fault.or_else(|| ldap3::parse_filter(filter).is_err().then_some((0, "this is no filter")));
    let Some((at, problem)) = fault else { return Ok(()) };
    let column = filter.get(..at).map_or(at, |before| before.chars().count());
    Err(Error::new(
        Kind::Configuration,
        format!("Understanding {setting}"),
        format!("{problem}, at character {}\n  {filter}\n  {}^", column + 1, " ".repeat(column)),
    )
    .hint("A filter reads like (&(objectClass=person)(ou=Sales)); see RFC 4515."))
}

type Fault = (usize, &'static str);

struct Grammar<'a> {
    text: &'a str,
    at: usize,
}

impl Grammar<'_> {
    fn whole(mut self) -> std::result::Result<(), Fault> {
        self.filter(0)?;
        match self.peek() {
            None => Ok(()),
            Some(b'(') => Err((self.at, "a second filter begins here; join them as (&(first)(second))")),
            Some(_) => Err((self.at, "the filter has ended before this")),
        }
    }

    fn filter(&mut self, depth: usize) -> std::result::Result<(), Fault> {
        if depth > DEEPEST {
            return Err((self.at, "the filter is nested too deeply"));
        }
        self.expect(b'(', "an opening bracket is missing")?;
        match self.peek() {
            Some(b'&' | b'|') => {
                self.at += 1;
                while self.peek() == Some(b'(') {
                    self.filter(depth + 1)?;
                }
            }
            Some(b'!') => {
                self.at += 1;
                self.filter(depth + 1)?;
            }
            _ => self.item()?,
        }
        self.expect(b')', "a closing bracket is missing")
    }

    fn item(&mut self) -> std::result::Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|b| !matches!(b, b'=' | b'(' | b')')) {
            self.at += 1;
        }
        if self.peek() != Some(b'=') {
            return Err((self.at, "an equals sign is missing"));
        }
        if self.at == start {
            return Err((start, "an attribute's name is missing"));
        }
        self.at += 1;
        while self.peek().is_some_and(|b| b != b')') {
            match self.peek() {
                Some(b'(') => return Err((self.at, "a bracket in a value is written \\28")),
                Some(b'\\') if !self.is_escape() => {
                    return Err((self.at, "a backslash is followed by two hexadecimal digits"));
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn is_escape(&self) -> bool {
        self.text
            .as_bytes()
            .get(self.at + 1..self.at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> std::result::Result<(), Fault> {
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

#[cfg(test)]
mod tests {
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
            ("(cn=a))", 7, "ended before"),
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
        #[test]
        fn never_panics(text in "[(&|!)=a*\\\\2ü ]{0,40}") {
            let _ = check("f", &text);
        }
    }
}
