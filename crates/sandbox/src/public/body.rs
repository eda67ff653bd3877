//! Bodies of the Public API, with a list of errors by property, in the format of ASP.NET Core.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::import::{Step, Stop};
use crate::organization::refused;
use crate::request::{Faults, capitalised, get};
use crate::response::public_error;
use crate::store::{Collection, Kind};

/// Body that is read property by property.
pub(super) struct Body {
    object: Map<String, Value>,
    faults: Faults,
}

fn invalid(faults: &Faults) -> Stop {
    let message = "The request's model state is invalid.";
    Stop::Answer(Box::new(public_error(StatusCode::BAD_REQUEST, message, Some(faults))))
}

impl Body {
    pub(super) fn of(bytes: &[u8]) -> Step<Self> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(Self { object, faults: Faults::new() }),
            _ => {
                let text = "The JSON value could not be converted.".to_owned();
                Err(invalid(&Faults::from([("$".to_owned(), vec![text])])))
            }
        }
    }

    /// Ends the reading: refused if there were errors.
    pub(super) fn end(self) -> Step<()> {
        if self.faults.is_empty() { Ok(()) } else { Err(invalid(&self.faults)) }
    }

    fn add(&mut self, path: &str, text: &str) {
        self.faults.entry(path.to_owned()).or_default().push(text.to_owned());
    }

    fn not_convertible<T>(&mut self, name: &str) -> Option<T> {
        self.add(&format!("$.{name}"), "The JSON value could not be converted.");
        None
    }

    /// Text of at most this many characters.
    pub(super) fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = match get(&self.object, name)? {
            Value::String(text) => text.clone(),
            _ => return self.not_convertible(name),
        };
        if text.encode_utf16().count() > longest {
            let field = capitalised(name);
            let told = format!("The field {field} must be a string with a maximum length of {longest}.");
            self.add(&field, &told);
        }
        Some(text)
    }

    /// Text that must not be missing or blank.
    pub(super) fn required(&mut self, name: &str, longest: usize) -> String {
        let text = self.text(name, longest).unwrap_or_default();
        if text.trim().is_empty() {
            self.lacks(name);
        }
        text
    }

    fn lacks(&mut self, name: &str) {
        let field = capitalised(name);
        self.add(&field, &format!("The {field} field is required."));
    }

    /// Address, by a stricter rule than the import's: a name, one `@`, a host with a dot, no spaces.
    pub(super) fn email(&mut self) -> String {
        let email = self.required("email", 256);
        let is_address = match email.split_once('@') {
            Some((name, host)) => {
                let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
                !name.is_empty() && is_host && !host.contains('@') && !email.contains(char::is_whitespace)
            }
            None => false,
        };
        if !email.is_empty() && !is_address {
            self.add("Email", "The Email field is not a supported e-mail address format.");
        }
        email.to_lowercase()
    }

    /// Role. 3 no longer exists.
    pub(super) fn kind(&mut self) -> Kind {
        match get(&self.object, "type").map(Value::as_i64) {
            Some(Some(number @ (0 | 1 | 2 | 4))) => Kind::of(number),
            Some(Some(_)) => {
                self.add("Type", "The field Type is invalid.");
                Kind::User
            }
            Some(None) => self.not_convertible("type").unwrap_or(Kind::User),
            None => {
                self.lacks("type");
                Kind::User
            }
        }
    }

    /// Ids, if the property is present.
    pub(super) fn ids(&mut self, name: &str) -> Option<Vec<String>> {
        let Value::Array(values) = get(&self.object, name)? else { return self.not_convertible(name) };
        let ids: Option<Vec<String>> = values.iter().map(uuid).collect();
        ids.or_else(|| self.not_convertible(name))
    }

    /// Access to collections; none if the property is missing.
    pub(super) fn collections(&mut self) -> Step<Vec<Collection>> {
        let read = match get(&self.object, "collections") {
            None => return Ok(Vec::new()),
            Some(value) => serde_json::from_value::<Vec<Collection>>(value.clone()),
        };
        let collections = read.ok().or_else(|| self.not_convertible("collections")).unwrap_or_default();
        if collections.iter().any(|access| access.manage && (access.read_only || access.hide_passwords)) {
            return Err(refused(
                "The Manage property is mutually exclusive and cannot be true while the ReadOnly or HidePasswords properties are also true.",
            ));
        }
        Ok(collections)
    }

    /// Permissions of a custom role.
    pub(super) fn permissions(&mut self) -> Option<Value> {
        match get(&self.object, "permissions")? {
            permissions @ Value::Object(_) => Some(permissions.clone()),
            _ => self.not_convertible("permissions"),
        }
    }
}

fn uuid(value: &Value) -> Option<String> {
    uuid::Uuid::parse_str(value.as_str()?).ok().map(|id| id.to_string())
}
