//! Distinguished names, compared as RFC 4514 and the usual matching rules require: without regard to case, to blanks
//! around separators, to how a character is escaped and to the order of a multi-valued RDN. Values are prepared as RFC 4518
//! requires: composed and decomposed accents, unusual blanks and invisible characters make no difference.

use std::fmt::Write as _;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfkc_quick};

/// Normal form of a name: equal results mean equal names. `None` if the text is not a DN. The usual name, which only needs
/// lower case, is written straight into the given buffer.
pub(super) fn normalise<'a>(dn: &str, buffer: &'a mut String) -> Option<&'a str> {
    buffer.clear();
    if !is_plain(dn) {
        *buffer = Parser { rest: dn }.dn()?;
    } else if dn.is_ascii() {
        buffer.push_str(dn);
        buffer.make_ascii_lowercase();
    } else if is_prepared(dn) {
        buffer.extend(dn.chars().flat_map(folded));
    } else {
        *buffer = Parser { rest: dn }.dn()?;
    }
    Some(buffer)
}

/// Whether lower case is all that is needed: no escapes, quotes, multi-valued RDNs or insignificant blanks.
fn is_plain(dn: &str) -> bool {
    let bytes = dn.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    // One pass each, without a branch for each octet: the compiler takes many at once.
    let count = |octet: u8| bytes.iter().fold(0_usize, |count, byte| count + usize::from(*byte == octet));
    let is_special = bytes.iter().fold(false, |found, byte| found | is_special(*byte));
    !is_special
        && first.is_ascii_alphanumeric()
        && !matches!(last, b' ' | b',')
        && count(b'=') == count(b',') + 1
        && (count(b' ') == 0 || bytes.windows(2).all(is_significant))
}

fn is_special(byte: u8) -> bool {
    let is_control = (byte < b' ') | (byte == 0x7f);
    let is_quoting = (byte == b'\\') | (byte == b'"') | (byte == b'<') | (byte == b'>');
    is_control | is_quoting | (byte == b'+') | (byte == b';') | (byte == b'#')
}

/// Whether neither of two octets is a blank that makes no difference.
fn is_significant(pair: &[u8]) -> bool {
    !matches!(pair, [b' ' | b',' | b'=', b' '] | [b' ', b',' | b'='])
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn dn(mut self) -> Option<String> {
        let mut rdns = Vec::new();
        if self.rest.trim().is_empty() {
            return None;
        }
        loop {
            rdns.push(self.rdn()?);
            match self.next() {
                None => return Some(rdns.join(",")),
                Some(',' | ';') => {}
                Some(_) => return None,
            }
        }
    }

    fn rdn(&mut self) -> Option<String> {
        let mut pairs = Vec::new();
        loop {
            pairs.push(self.pair()?);
            if self.peek() != Some('+') {
                break;
            }
            self.next();
        }
        pairs.sort_unstable();
        Some(pairs.join("+"))
    }

    fn pair(&mut self) -> Option<String> {
        let (kind, rest) = self.rest.split_once('=')?;
        let kind = kind.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if kind.is_empty() || !kind.chars().all(is_name) {
            return None;
        }
        self.rest = rest.trim_start_matches(' ');
        let value = if self.peek() == Some('"') { self.quoted()? } else { self.value()? };
        Some(format!("{}={}", kind.to_ascii_lowercase(), canonical(&value)))
    }

    /// Reads a value up to the next separator, escapes resolved. Escaped characters are marked so that an escaped blank
    /// at an end survives.
    fn value(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut significant = 0;
        loop {
            match self.peek() {
                None | Some(',' | ';' | '+') => break,
                Some('\\') => {
                    self.next();
                    self.escaped(&mut value)?;
                    significant = value.len();
                }
                Some(c) => {
                    self.next();
                    push(&mut value, c);
                    if c != ' ' {
                        significant = value.len();
                    }
                }
            }
        }
        value.truncate(significant);
        Some(value)
    }

    /// Reads the older form of RFC 2253, section 4.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.next();
        let mut value = Vec::new();
        loop {
            match self.next()? {
                '"' => break,
                '\\' => self.escaped(&mut value)?,
                c => push(&mut value, c),
            }
        }
        self.rest = self.rest.trim_start_matches(' ');
        Some(value)
    }

    fn escaped(&mut self, value: &mut Vec<u8>) -> Option<()> {
        // Not `from_str_radix` alone, which also accepts a plus sign.
        let hex = self.rest.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            value.push(byte);
            self.rest = &self.rest[2..];
        } else {
            push(value, self.next()?);
        }
        Some(())
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }
}

fn push(value: &mut Vec<u8>, c: char) {
    value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Writes a value in lower case, runs of blanks as one (RFC 4518, section 2.6.1), separators escaped one way.
fn canonical(value: &[u8]) -> String {
    let text = prepared(&String::from_utf8_lossy(value));
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut out = String::with_capacity(text.len());
    for c in words.join(" ").chars() {
        if matches!(c, ',' | '+' | ';' | '"' | '\\' | '<' | '>' | '#' | '=') {
            let _ = write!(out, "\\{:02x}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether only the case is left to convert.
fn is_prepared(text: &str) -> bool {
    let is_odd = |c: char| !c.is_ascii() && (c.is_whitespace() || is_nothing(c) || c == 'İ');
    is_nfkc_quick(text.chars()) == IsNormalized::Yes && !text.chars().any(is_odd)
}

/// Applies RFC 4518, sections 2.2 and 2.3: map, fold case, normalise.
fn prepared(text: &str) -> String {
    let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
    let mapped = text.chars().map(blank).filter(|c| !is_nothing(*c)).nfkc();
    let folded: String = mapped.flat_map(folded).nfkc().map(blank).filter(|c| !is_nothing(*c)).collect();
    folded
}

/// Lower case, character by character: a sigma at the end of a word is a sigma.
fn folded(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().map(|c| if c == 'ς' { 'σ' } else { c })
}

/// Characters that are mapped to nothing: controls, soft hyphens, joiners and the like (RFC 4518, section 2.2).
fn is_nothing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::damage::soon;
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    fn normalise(dn: &str) -> Option<String> {
        super::normalise(dn, &mut String::new()).map(str::to_owned)
    }

    fn same(a: &str, b: &str) {
        assert!(normalise(a).is_some(), "{a}");
        assert_eq!(normalise(a), normalise(b), "{a} / {b}");
    }

    #[test]
    fn spellings_of_one_name_are_equal() {
        same("CN=Jane Doe,OU=People,DC=example,DC=org", "cn=jane doe,ou=people,dc=example,dc=org");
        same("cn=Jane Doe , ou = People,dc=example,dc=org", "cn=jane doe,ou=people,dc=example,dc=org");
        same("cn=Doe\\, Jane,dc=x", "CN=doe\\2C jane,dc=x");
        same("cn=\"Doe, Jane\",dc=x", "cn=Doe\\, Jane,dc=x");
        same("cn=Jane  Doe,dc=x", "cn=jane doe,dc=x");
        same("cn=a+uid=b,dc=x", "UID=B+CN=A,dc=x");
        same("cn=J\\C3\\BCrgen,dc=x", "cn=jürgen,dc=x");
        same("cn=JÜRGEN,dc=x", "cn=jürgen,dc=x");
        same("cn=a;dc=x", "cn=a,dc=x");
        same("cn=a\\=b,dc=x", "cn=a=b,dc=x");
        same("cn=C\\#,dc=x", "cn=c#,dc=x");
        same("cn=Jose\u{301},dc=x", "cn=JOSÉ,dc=x");
        same("cn=Ju\u{308}rgen\u{a0}Groß,dc=x", "cn=jürgen groß,dc=x");
        same("cn=\u{feff}Ju\u{ad}ne\u{3000} Roe,dc=x", "cn=june roe,dc=x");
        same("cn=ΟΔΟΣ,dc=x", "cn=οδος,dc=x");
        same("cn=ＡＢＣ,dc=x", "cn=abc,dc=x");
    }

    #[test]
    fn different_names_stay_different() {
        assert_ne!(normalise("cn=a,dc=x"), normalise("cn=a\\,dc\\=x"));
        assert_ne!(normalise("cn=a+b=c,dc=x"), normalise("cn=a\\+b\\=c,dc=x"));
        assert_ne!(normalise("cn=janedoe,dc=x"), normalise("cn=jane doe,dc=x"));
    }

    #[test]
    fn text_that_is_not_a_name_has_no_normal_form() {
        for text in ["", "  ", "jane", "cn", ",", "cn=a,", "=a,dc=x", "cn=a,,dc=x", "cn=\"a,dc=x", "cn=a\\"] {
            assert_eq!(normalise(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        /// A name has one normal form, which is its own.
        #[test]
        fn fuzz_names_of_ldap(text in prop_oneof![
            damaged_text([
                "CN=Doe\\, Jane+uid=j,OU=People;dc = example ,DC=org",
                "cn=\"Doe, Jane\",dc=x",
                "cn=J\\C3\\BCrgen Groß\\20,dc=x",
                "1.2.3=#04024869,dc=İx",
                "cn=Ju\u{308}rgen\u{a0}\u{fb03},dc=ΟΔΟΣ",
            ]),
            any::<String>(),
        ]) {
            if let Some(once) = soon(|| normalise(&text)) {
                prop_assert!(once.len() <= 64 * text.len(), "{} of {}", once.len(), text.len());
                prop_assert_eq!(normalise(&once), Some(once.clone()));
            }
        }
    }

    proptest! {
        #[test]
        fn case_blanks_and_escapes_do_not_matter(
            values in prop::collection::vec("[a-zA-Zäöß][a-z0-9 ,+\"\\\\<>;=#]{0,8}[a-z]", 1..5),
            hex in any::<bool>(),
        ) {
            let escape = |value: &str, hex: bool| -> String {
                value.chars().map(|c| match c {
                    ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' if hex => format!("\\{:02X}", c as u32),
                    ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' => format!("\\{c}"),
                    c => c.to_string(),
                }).collect()
            };
            let plain: Vec<String> = values.iter().map(|v| format!("cn={}", escape(v, false))).collect();
            let other: Vec<String> = values.iter().map(|v| format!(" CN = {} ", escape(&v.to_uppercase(), hex))).collect();
            // Upper case of `ß` is `SS`, which no server treats as equal.
            prop_assume!(!values.iter().any(|v| v.contains('ß')));
            prop_assert_eq!(normalise(&plain.join(",")), normalise(&other.join(",")));
        }
    }
}
