//! Body of an import, as the official server reads it: property names in any case, numbers and booleans
//! accepted as text (`JsonHelpers.cs`), and a list of errors by the path of the property.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Import that passed validation. Properties that may be missing without a refusal make the server fail later.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) members: Option<Vec<Member>>,
    pub(crate) groups: Option<Vec<Group>>,
    pub(crate) overwrite: bool,
    pub(crate) large: bool,
    pub(crate) invite: bool,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) email: Option<String>,
    pub(crate) external_id: String,
    pub(crate) deleted: bool,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) external_id: String,
    pub(crate) member_external_ids: Option<Vec<String>>,
}

/// Errors by path.
pub(crate) type Faults = BTreeMap<String, Vec<String>>;

/// Parses a body.
pub(crate) fn parse(body: &[u8]) -> Result<Import, Faults> {
    let mut faults = Reader::default();
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => {
            faults.add("$", &format!("The JSON value could not be converted. {error}"));
            return Err(faults.0);
        }
    };
    let Some(object) = value.as_object() else {
        faults.add("$", "The JSON value could not be converted.");
        return Err(faults.0);
    };
    let import = faults.import(object);
    if faults.0.is_empty() { Ok(import) } else { Err(faults.0) }
}

pub(crate) fn get<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .filter(|value| !value.is_null())
}

fn has_null(object: &Map<String, Value>, name: &str) -> bool {
    object.iter().any(|(key, value)| key.eq_ignore_ascii_case(name) && value.is_null())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[derive(Default)]
struct Reader(Faults);

impl Reader {
    fn add(&mut self, path: &str, text: &str) {
        self.0.entry(path.to_owned()).or_default().push(text.to_owned());
    }

    fn import(&mut self, object: &Map<String, Value>) -> Import {
        let overwrite = self.flag(object, "overwriteExisting", None, "$.overwriteExisting");
        if overwrite.is_none() {
            self.add("OverwriteExisting", "The OverwriteExisting field is required.");
        }
        let large = self.flag(object, "largeImport", Some(false), "$.largeImport");
        let invite =
            self.flag(object, "inviteUsersAfterProvisioning", Some(true), "$.inviteUsersAfterProvisioning");
        Import {
            members: self.list(object, "members", Self::member),
            groups: self.list(object, "groups", Self::group),
            overwrite: overwrite.unwrap_or_default(),
            large: large.unwrap_or_default(),
            invite: invite.unwrap_or_default(),
        }
    }

    /// Flag; the default replaces an absent property, not null.
    fn flag(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
        default: Option<bool>,
        path: &str,
    ) -> Option<bool> {
        match get(object, name) {
            Some(Value::Bool(flag)) => Some(*flag),
            None if default.is_some() && has_null(object, name) => self.not_convertible(path),
            None => default,
            Some(_) => self.not_convertible(path),
        }
    }

    fn not_convertible<T>(&mut self, path: &str) -> Option<T> {
        self.add(path, "The JSON value could not be converted.");
        None
    }

    fn list<T>(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
        read: fn(&mut Self, &Map<String, Value>, &str) -> T,
    ) -> Option<Vec<T>> {
        let entries = match get(object, name)? {
            Value::Array(entries) => entries,
            _ => return self.not_convertible(&format!("$.{name}")),
        };
        let list = entries.iter().enumerate().filter_map(|(at, entry)| {
            let path = format!("{}[{at}]", capitalised(name));
            match entry.as_object() {
                Some(entry) => Some(read(self, entry, &path)),
                None => self.not_convertible(&format!("$.{name}[{at}]")),
            }
        });
        Some(list.collect())
    }

    fn member(&mut self, object: &Map<String, Value>, path: &str) -> Member {
        let deleted =
            self.flag(object, "deleted", Some(false), &format!("{path}.deleted")).unwrap_or_default();
        let email = get(object, "email").and_then(text);
        match &email {
            None if !deleted => self.add(&format!("{path}.Email"), "Email is required for enabled members."),
            Some(email) => self.email(email, path),
            None => {}
        }
        let external_id = self.required(object, "externalId", 300, path);
        Member { email: email.map(|email| email.to_lowercase()), external_id, deleted }
    }

    /// Address by .NET's `EmailAddressAttribute`: one `@`, neither first nor last.
    fn email(&mut self, email: &str, path: &str) {
        if email.matches('@').count() != 1 || email.starts_with('@') || email.ends_with('@') {
            self.add(&format!("{path}.Email"), "The Email field is not a valid e-mail address.");
        }
        if email.encode_utf16().count() > 256 {
            let text = "The field Email must be a string with a maximum length of 256.";
            self.add(&format!("{path}.Email"), text);
        }
    }

    fn group(&mut self, object: &Map<String, Value>, path: &str) -> Group {
        let member_external_ids = match get(object, "memberExternalIds") {
            None => None,
            Some(Value::Array(ids)) => Some(ids.iter().filter_map(text).collect()),
            Some(one) => text(one).map(|one| vec![one]),
        };
        Group {
            name: self.required(object, "name", 100, path),
            external_id: self.required(object, "externalId", 300, path),
            member_external_ids,
        }
    }

    fn required(&mut self, object: &Map<String, Value>, name: &str, longest: usize, path: &str) -> String {
        let field = capitalised(name);
        let value = get(object, name).and_then(text).unwrap_or_default();
        if value.trim().is_empty() {
            self.add(&format!("{path}.{field}"), &format!("The {field} field is required."));
        }
        if value.encode_utf16().count() > longest {
            let text = format!("The field {field} must be a string with a maximum length of {longest}.");
            self.add(&format!("{path}.{field}"), &text);
        }
        value
    }
}

pub(crate) fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
