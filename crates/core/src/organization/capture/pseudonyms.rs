//! Replacing texts, so that equal ones stay equal and nobody reads them back without the key.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use crate::organization::identity::LEFT;

/// Length of a block of SHA-256.
const BLOCK: usize = 64;
/// Numbers of UTF-16 code units at which a server's rule may change: of names, addresses and external ids.
const THRESHOLDS: [usize; 3] = [100, 256, 300];
/// Spaces at the beginning or the end of a text that are kept.
const KEPT_SPACES: usize = 20;
/// Bytes of an authentication code that a replacement shows, two letters each.
const SHOWN: usize = 12;

/// Replacements of texts by HMAC-SHA-256.
///
/// A text has the same replacement everywhere, one in other case the same in other case. Kept are the `@` of an address (both sides are
/// replaced by themselves), spaces around it, whether it has control characters, and which of the servers' limits its length exceeds.
/// The order of texts is not kept.
#[derive(Clone)]
pub struct Pseudonyms {
    inner: Sha256,
    outer: Sha256,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Pseudonyms {
    /// Replacements by this key.
    pub fn by(key: &[u8; 32]) -> Self {
        let hasher = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let hasher = Sha256::new().chain_update(block);
            block.zeroize();
            hasher
        };
        Self { inner: hasher(0x36), outer: hasher(0x5c) }
    }

    /// Replacement of an address, a name or an id.
    pub fn text(&self, text: &str) -> String {
        match text.strip_prefix(LEFT) {
            Some(rest) => format!("{LEFT}{}", self.whole(rest)),
            None => self.whole(text),
        }
    }

    /// Replacement of a text of which only equality counts; of none, none.
    pub fn opaque(&self, text: &str) -> String {
        if text.is_empty() { String::new() } else { letters(&self.code("opaque", text)) }
    }

    fn whole(&self, text: &str) -> String {
        let core = text.trim();
        if core.is_empty() {
            return spaces(text).to_owned();
        }
        let mut replaced = match core.split_once('@') {
            None => self.part(core),
            Some((local, domain)) if !domain.contains('@') => {
                format!("{}@{}", self.part(local), self.part(domain))
            }
            Some(_) => format!("{}@@", self.part(core)),
        };
        if let Some(control) = core.chars().find(|c| c.is_control()) {
            replaced.insert(1, control);
        }
        lengthen(&mut replaced, core, 'x');
        let before = &text[..text.len() - text.trim_start().len()];
        let after = &text[text.trim_end().len()..];
        let mut replaced = format!("{}{replaced}{}", spaces(before), spaces(after));
        lengthen(&mut replaced, text, ' ');
        replaced
    }

    /// Replacement of a part between signs that are kept.
    fn part(&self, part: &str) -> String {
        if part.is_empty() {
            return String::new();
        }
        let lower = part.to_lowercase();
        let replaced = letters(&self.code("text", &lower));
        if lower == part {
            return replaced;
        }
        let case = self.code("case", part);
        let is_upper = |at: usize| at == 0 || case[at / 8] >> (at % 8) & 1 == 1;
        let cased = |(at, c): (usize, char)| if is_upper(at) { c.to_ascii_uppercase() } else { c };
        replaced.chars().enumerate().map(cased).collect()
    }

    fn code(&self, use_of: &str, text: &str) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(use_of).chain_update([0]).chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

/// Letters from a to p for half-bytes: nothing that reads like a number or a word of hexadecimal digits.
fn letters(code: &[u8; 32]) -> String {
    let letter = |half: u8| char::from(b'a' + half);
    code.iter().take(SHOWN).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
}

/// White space, as far as it is kept.
fn spaces(text: &str) -> &str {
    text.char_indices().nth(KEPT_SPACES).map_or(text, |(end, _)| &text[..end])
}

/// Makes a text longer than the same limits as another.
fn lengthen(replaced: &mut String, text: &str, by: char) {
    let length = |text: &str| text.encode_utf16().count();
    let exceeded = THRESHOLDS.into_iter().rev().find(|threshold| length(text) > *threshold);
    let missing = exceeded.map_or(0, |threshold| (threshold + 1).saturating_sub(length(replaced)));
    replaced.extend(std::iter::repeat_n(by, missing));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms() -> Pseudonyms {
        Pseudonyms::by(&[7; 32])
    }

    #[test]
    fn the_code_is_hmac_sha_256() {
        // Computed with Python's hmac module: key 32 times 0x07, message "text\0jane".
        let code = pseudonyms().code("text", "jane");
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "f4dd5670e7b99d7419b19ec31e093611c721cd226d5c04e93838a37f9f6c0e98");
    }

    #[test]
    fn case_and_both_sides_of_an_address_stay_comparable() {
        let p = pseudonyms();
        let (upper, lower) = (p.text("Jane@X.org"), p.text("jane@x.org"));
        assert_ne!(upper, lower);
        assert_eq!(upper.to_lowercase(), lower);
        assert_ne!(p.text("JANE@X.org"), upper);
        let domain = |text: &str| p.text(text).split_once('@').map(|(_, domain)| domain.to_owned());
        assert_eq!(domain("jane@x.org"), domain("joe@x.org"));
        assert_ne!(p.text("jane"), Pseudonyms::by(&[8; 32]).text("jane"));
    }

    #[test]
    fn what_is_wrong_with_a_text_stays_wrong() {
        let p = pseudonyms();
        assert_eq!((p.text(""), p.text("  "), p.text("@").as_str()), (String::new(), "  ".to_owned(), "@"));
        assert!(p.text("@x").starts_with('@') && p.text("x@").ends_with('@'));
        assert_eq!(p.text("a@b@c").matches('@').count(), 2);
        assert!(p.text("a\u{7}b").contains('\u{7}'));
        assert_eq!(p.text(" Jane ").trim(), p.text("Jane"));
        for (length, threshold) in [(100, None), (101, Some(100)), (257, Some(256)), (301, Some(300))] {
            let replaced = p.text(&"é".repeat(length)).encode_utf16().count();
            let exceeded = THRESHOLDS.into_iter().rev().find(|threshold| replaced > *threshold);
            assert_eq!(exceeded, threshold, "{length}");
        }
        assert!(p.text(&format!("a{}", " ".repeat(110))).len() > 100);
        assert!(p.text(&" ".repeat(99).replace("   ", " a ")).len() <= 100);
    }

    #[test]
    fn an_id_that_was_given_up_is_that_of_the_address() {
        let p = pseudonyms();
        assert_eq!(p.text("left:jane@x.org"), format!("left:{}", p.text("jane@x.org")));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", pseudonyms()), "[secret]");
    }
}
