//! Settings by name, with their types checked.

use serde_json::Value;

use crate::settings;
use bwdc_core::error::{Error, Result};
use bwdc_store::Data;

/// What is configured.
#[derive(Clone, Copy)]
pub(super) struct Values<'a>(pub(super) &'a Data);

impl Values<'_> {
    pub(super) fn value(&self, name: &str) -> Result<Option<&Value>> {
        Ok(settings::find(name)?.stored(self.0))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
            Some(_) => Err(wrong_type(name, "a text")),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        self.flag_or(name, false)
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        match self.value(name)? {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    pub(super) fn port(&self, name: &str) -> Result<Option<u16>> {
        let number = match self.value(name)? {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        port.map(Some).ok_or_else(|| wrong_type(name, "a number from 1 to 65535"))
    }

    /// Only whether it is one: who waits so long reads it by itself, and must not take a wrong one for none.
    pub(super) fn check_length(&self, name: &str) -> Result<()> {
        match self.value(name)? {
            Some(value) if settings::length(&settings::text(value)).is_none() => {
                Err(wrong_type(name, "a duration such as 20s, 5m or 1h (a year at most)"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_choice(&self, name: &str, word: &str) -> Result<bool> {
        let Some(text) = self.text(name)? else { return Ok(false) };
        let known = settings::find(name)?.parse(&text, self.0)?;
        Ok(known == word)
    }
}

pub(super) fn wrong_type(name: &str, expected: &str) -> Error {
    Error::new(format!("The setting {name} in data.json is not {expected}."))
        .hint(format!("Correct it with `bwdc config {name} VALUE`."))
}
