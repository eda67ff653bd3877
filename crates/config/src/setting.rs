//! One setting: its name, where it stands in `data.json`, what it takes and what it means.

use std::time::Duration;

use bwdc_core::did_you_mean;
use bwdc_core::error::Error;
use bwdc_store::Data;
use serde_json::Value;

/// Values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text on one line; empty removes it, here and in all that follow but for secrets.
    Text,
    /// Text without blanks.
    Word,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`.
    Flag,
    /// `true`, `false` or this word.
    FlagOr(&'static str),
    /// A whole number from 1 to 65535.
    Port,
    /// Minutes between syncs of a daemon; from 5 to a year.
    Minutes,
    /// A length of time: seconds, minutes, hours, days or weeks.
    Length,
    /// This word, or a length of time.
    LengthOr(&'static str, Shortest),
    /// A day: `2027-01-31`.
    Day,
    /// A whole number from 1 to 1000.
    Count,
    /// `off`, a number or a percentage.
    Limit,
    /// Addresses, ids and `group:NAME`, with commas in between.
    Protected,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Some of these words, with commas in between.
    Words(&'static [&'static str]),
    /// A group of settings, by name.
    Preset(&'static [&'static str]),
    /// A base URL.
    Url,
    /// The same, or a name of Bitwarden's cloud.
    Server,
    /// A kind of directory, by name or number.
    Directory,
    /// A host's name or address, without scheme and port.
    Host,
    /// One or more of these, with commas in between.
    Hosts,
    /// Distinguished names (RFC 4514), or the parts before the root, with `|` in between.
    Dns,
    /// The name of an attribute or an object class, or its OID (RFC 4512).
    Attribute,
    /// A filter, in the language of the directory.
    Filter(Filtered),
    /// The end of an address, with the @.
    EmailSuffix,
    /// An address.
    Email,
    /// A file or folder.
    Path,
    /// A command line.
    Command,
}

/// Shortest length of time that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortest {
    /// A second.
    Second,
    /// A day.
    Day,
}

impl Shortest {
    /// The same as a length of time.
    pub(crate) const fn length(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Day => Duration::from_secs(24 * 3600),
        }
    }
}

/// Entries that a filter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// People.
    Users,
    /// Groups.
    Groups,
}

/// Place of a setting in `data.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredAt {
    /// Key at the top.
    Top(&'static str),
    /// Section and key.
    In(&'static str, &'static str),
}

use StoredAt::{In, Top};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name, as typed after `bwdc config`.
    pub name: &'static str,
    /// Place in `data.json`.
    pub place: StoredAt,
    /// Values that it takes.
    pub kind: Type,
    /// Value that applies when it is not set, in words.
    pub default: &'static str,
    /// Meaning, in a sentence.
    pub meaning: &'static str,
}

/// Setting of these properties.
pub(crate) const fn setting(
    name: &'static str,
    place: StoredAt,
    kind: Type,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, place, kind, default, meaning }
}

/// Declares settings as constants, each once, and `SETTINGS`: all of them in this order, as they are shown.
macro_rules! settings {
    ($($constant:ident: $name:literal, $place:expr, $kind:expr, $default:literal, $meaning:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning)]
            pub const $constant: $crate::setting::Setting =
                $crate::setting::setting($name, $place, $kind, $default, $meaning);
        )+

        /// All of them, in the order in which they are shown.
        pub(crate) const SETTINGS: &[$crate::setting::Setting] = &[$($constant),+];
    };
}
pub(crate) use settings;

impl Setting {
    /// The value as it is in `data.json`.
    pub fn stored<'a>(&self, data: &'a Data) -> Option<&'a Value> {
        match self.place {
            Top(key) => data.value(key),
            In(section, key) => data.section(section).value(key),
        }
    }

    /// The value in `data.json` as it would be typed.
    pub fn stored_text(&self, data: &Data) -> Option<String> {
        self.stored(data).map(text)
    }

    /// Whether a setting that is true or false is on.
    pub fn is_on(&self, data: &Data) -> bool {
        self.stored(data) == Some(&Value::Bool(true))
    }

    /// Puts a value into `data.json`, and nothing that follows from it.
    pub fn put(&self, data: &mut Data, value: impl Into<Value>) {
        match self.place {
            Top(key) => data.set(key, value),
            In(section, key) => data.set_in(section, key, value),
        }
    }

    /// Error of a wrong value, in the sentence of the existing connector for the two types that it checks.
    pub(crate) fn refused(&self, typed: &str, why: &str, allowed: &str) -> Error {
        let Self { name, kind, .. } = self;
        let told = format!("The setting {name} cannot be `{typed}`: {why}.").replace("?.", "?");
        let allowed = format!("Allowed: {allowed}. Nothing was saved.");
        match kind {
            Type::Flag => Error::new("Value must be 'true' or 'false'.").hint(format!("{told}\n{allowed}")),
            Type::Directory => Error::new("Invalid directory type value.").hint(format!("{told}\n{allowed}")),
            Type::Secret => Error::new(format!("The secret {name} is not valid: {why}.")).hint(allowed),
            _ => Error::new(told).hint(allowed),
        }
    }
}

/// Words that are allowed, as the end of a sentence.
pub(crate) fn allowed_words(words: &[&str]) -> String {
    format!("one of: {}", words.join(", "))
}

/// The word of these that was meant.
pub(crate) fn one_of<'a>(text: &str, words: &[&'a str]) -> std::result::Result<&'a str, String> {
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| near(text, words, "it is not one of the allowed values"))
}

/// The word that was meant perhaps, or another reason.
pub(crate) fn near(text: &str, words: &[&str], otherwise: &str) -> String {
    did_you_mean(text, words.iter().copied())
        .map_or_else(|| otherwise.to_owned(), |word| format!("did you mean {word}?"))
}

/// A value as it would be typed.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `20s`, `5m`, `1h`, `14d`, `2w`; more than nothing and at most a year.
pub fn length(text: &str) -> Option<Duration> {
    const LONGEST: u64 = 365 * 24 * 3600;
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    let seconds = count.checked_mul(unit).filter(|seconds| (1..=LONGEST).contains(seconds))?;
    Some(Duration::from_secs(seconds))
}
