//! People and groups of a directory, in terms that all directories share.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(::std::sync::Arc<str>);

        impl PartialEq for $name {
            /// Most texts that are compared are one and the same: then nothing of them is read.
            fn eq(&self, other: &Self) -> bool {
                ::std::sync::Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl ::std::hash::Hash for $name {
            fn hash<H: ::std::hash::Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// Value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text itself, which is not copied.
            pub fn shared(&self) -> ::std::sync::Arc<str> {
                ::std::sync::Arc::clone(&self.0)
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

        impl From<::std::sync::Arc<str>> for $name {
            fn from(value: ::std::sync::Arc<str>) -> Self {
                Self(value)
            }
        }

        impl ::std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
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
    /// Id that Bitwarden stores to recognise a person or a group: an `objectGUID`, a DN or a vendor's id.
    /// Compared byte by byte, as the server does. Cloning shares the text.
    ExternalId
}

text_type! {
    /// Id that groups of a directory use to refer to their members: a normalised DN or a vendor's id.
    /// Never leaves the program. Cloning shares the text.
    ReferenceId
}

/// E-mail address, trimmed and in lower case, as the server stores it. Never empty.
///
/// Whether the server would accept it is checked later: see [`crate::prepare()`].
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

    /// Address that stands for this one.
    pub(crate) fn replaced(&self, replace: impl FnOnce(&str) -> String) -> Self {
        Self(replace(&self.0).into())
    }

    /// Address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, which is not copied.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
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

/// Name by which an administrator finds an entry whose id is opaque: a DN or a sign-in name. For messages only, so all
/// values compare as equal. Cloning shares the text.
#[derive(Clone, Debug, Default)]
pub struct FoundAs(Option<Arc<str>>);

impl FoundAs {
    /// Wraps a name; a blank one counts as none.
    pub fn of(value: Option<&str>) -> Self {
        Self(value.map(str::trim).filter(|value| !value.is_empty()).map(Into::into))
    }

    /// Text, if there is one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Name and id of the entry, or the id alone.
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

impl Hash for FoundAs {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

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

/// Status of an account in the directory. Deleted wins over disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    Active,
    /// Switched off, but still there.
    Disabled,
    /// Deleted; only a tombstone is left.
    Deleted,
}

/// Account of one person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Id by which the organization knows the person.
    pub external_id: ExternalId,
    /// Id by which groups of the same directory refer to the person.
    pub reference_id: ReferenceId,
    /// Address; absent if the directory has none, as in most tombstones.
    pub email: Option<Email>,
    /// In use, switched off or deleted.
    pub status: Status,
    /// Name to show when the id alone does not identify the person.
    #[serde(skip)]
    pub found_as: FoundAs,
}

/// Group with its direct members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Id by which the organization knows the group.
    pub external_id: ExternalId,
    /// Id by which groups of the same directory refer to this one.
    pub reference_id: ReferenceId,
    /// Display name.
    pub name: String,
    /// Users and groups alike; references to anything else are ignored and counted.
    pub members: Vec<ReferenceId>,
    /// Name to show when name and id do not identify the group.
    #[serde(skip)]
    pub found_as: FoundAs,
}
