//! The people and groups of a directory, in words that every directory shares.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self(value.into())
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self(value.into())
            }
        }

        impl From<Arc<str>> for $name {
            fn from(value: Arc<str>) -> Self {
                Self(value)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

pub(crate) use text_type;

text_type! {
    /// What Bitwarden stores to recognise a person or a group: an `objectGUID`, a DN or a vendor's id.
    /// Compared letter by letter, as the server does. Cloning shares the text.
    ExternalId
}

text_type! {
    /// How the groups of one directory refer to their members: a normalised DN or a vendor's id.
    /// Never leaves the program. Cloning shares the text.
    ReferenceId
}

/// An e-mail address, trimmed and in lower case, as the server keeps it. Never empty.
///
/// Whether the server would accept it is a later question: see [`crate::prepare()`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(Arc<str>);

impl Email {
    /// `None` for a blank value.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if value.is_empty() {
            return None;
        }
        if value.is_ascii() && !value.bytes().any(|b| b.is_ascii_uppercase()) {
            return Some(Self(value.into()));
        }
        Some(Self(value.to_lowercase().into()))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("an e-mail address is blank"))
    }
}

/// How an administrator finds an entry whose id says nothing: a DN, a name to sign in with. For messages only, so that all are equal.
/// Cloning shares the text.
#[derive(Clone, Debug, Default)]
pub struct FoundAs(Option<Arc<str>>);

impl FoundAs {
    /// None for a blank value.
    pub fn of(value: Option<&str>) -> Self {
        Self(value.map(str::trim).filter(|value| !value.is_empty()).map(Into::into))
    }

    /// The text, if there is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The entry by this and its id, or by the id alone.
    pub(crate) fn with_id(&self, id: &ExternalId) -> String {
        match self.as_str() {
            Some(name) if name != id.as_str() => format!("{name} ({id})"),
            _ => id.to_string(),
        }
    }
}

impl From<&ReferenceId> for FoundAs {
    fn from(reference: &ReferenceId) -> Self {
        Self(Some(Arc::clone(&reference.0)))
    }
}

impl PartialEq for FoundAs {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FoundAs {}

impl PartialOrd for FoundAs {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FoundAs {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

/// What the directory says about an account. Deleted wins over disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    Active,
    /// Switched off, but still there.
    Disabled,
    /// A tombstone.
    Deleted,
}

/// One person's account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// What the organization knows the person by.
    pub external_id: ExternalId,
    /// What groups of the same directory refer to.
    pub reference_id: ReferenceId,
    /// Absent where the directory has none, as in most tombstones.
    pub email: Option<Email>,
    /// In use, switched off or deleted.
    pub status: Status,
    /// Where the id alone does not say who it is.
    pub found_as: FoundAs,
}

/// One group with its direct members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// What the organization knows the group by.
    pub external_id: ExternalId,
    /// What groups of the same directory refer to.
    pub reference_id: ReferenceId,
    /// The name people see.
    pub name: String,
    /// Users and groups alike; references to neither are ignored and counted.
    pub members: Vec<ReferenceId>,
    /// Where name and id do not say which one it is.
    pub found_as: FoundAs,
}
