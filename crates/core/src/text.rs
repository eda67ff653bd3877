//! Texts from outside, made fit to be shown: one line each, of bearable length, and without anything that moves a terminal.

use std::hash::Hasher;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// A number with the noun for one, or for several.
pub fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// The first of these names, and how many more there are.
pub fn first_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The beginning of a text that is longer than this many characters, and how long it was.
pub fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}... ({} characters)", text[..end].trim_end(), text.chars().count()),
    }
}

/// Escapes everything that ends a line or moves a cursor: what a directory holds must not forge a line.
pub fn escaped(text: &str) -> String {
    escaped_but_for(text, |_| false)
}

/// Escapes what moves a cursor in a text that has lines of its own.
pub fn escaped_lines(text: &str) -> String {
    escaped_but_for(text, |c| matches!(c, '\n' | '\t'))
}

/// Whether a character controls a terminal, ends a line, turns the direction of writing (Unicode, bidirectional formatting characters), or cannot be
/// seen, so that two names look the same.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn escaped_but_for(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let is_harmful = |c: char| is_harmful(c) && !is_kept(c);
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        if is_harmful(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
        escaped
    })
}

/// First 96 bits of a SHA-256 over each text, prefixed with its length: it recognises texts without storing them.
pub fn digest(texts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        let text = text.as_ref();
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    STANDARD_NO_PAD.encode(&hasher.finalize()[..12])
}

/// Hasher for whole values: SHA-256, so that nobody can make two values look alike.
#[derive(Default)]
pub(crate) struct ContentHasher(Sha256);

impl Hasher for ContentHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of no use here: see [`Self::digest`].
    fn finish(&self) -> u64 {
        0
    }
}

impl ContentHasher {
    /// First 96 bits of the hash.
    pub(crate) fn digest(self) -> String {
        STANDARD_NO_PAD.encode(&self.0.finalize()[..12])
    }
}

/// Names the first control character: NUL, escape, line ends, those of C1.
pub(crate) fn control_character(place: &str, text: &str) -> Option<String> {
    // Mostly there is none, which whole words of bytes tell sooner: those of C1 begin with C2.
    if !text.bytes().any(|byte| matches!(byte, 0..0x20 | 0x7f | 0xc2)) {
        return None;
    }
    let found = text.chars().find(|c| c.is_control())?;
    Some(format!("{place} has a control character in it (U+{:04X})", u32::from(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        let name = "bo\u{200b}b\u{feff}\u{ad}\u{2060}\u{200d}@x.org";
        assert_eq!(escaped(name), "bo\\u{200b}b\\u{feff}\\u{ad}\\u{2060}\\u{200d}@x.org");
        assert_eq!(escaped("Jos\u{e9} \u{7530}\u{4e2d}"), "Jos\u{e9} \u{7530}\u{4e2d}");
    }

    #[test]
    fn every_control_character_is_found_and_nothing_else() {
        for c in char::MIN..=char::MAX {
            let found = control_character("the name", &format!("a{c}"));
            assert_eq!(found.is_some(), c.is_control(), "{c:?}");
        }
        let problem = control_character("the name", "a\u{a9}b\u{9b}");
        assert_eq!(problem.as_deref(), Some("the name has a control character in it (U+009B)"));
    }
}
