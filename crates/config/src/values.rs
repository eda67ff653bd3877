//! Values of settings, with their types checked.

use serde_json::Value;

use crate::setting::{self, Setting};
use bwdc_core::error::{Error, Result};
use bwdc_store::Data;

/// What is configured.
#[derive(Clone, Copy)]
pub(crate) struct StoredValues<'a>(pub(crate) &'a Data);

impl StoredValues<'_> {
    pub(crate) fn value(&self, setting: &Setting) -> Option<&Value> {
        setting.stored(self.0)
    }

    pub(crate) fn text(&self, setting: &Setting) -> Result<Option<String>> {
        match self.value(setting) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
            Some(_) => Err(wrong_type(setting, "a text")),
        }
    }

    pub(crate) fn flag(&self, setting: &Setting) -> Result<bool> {
        self.flag_or(setting, false)
    }

    pub(crate) fn flag_or(&self, setting: &Setting, default: bool) -> Result<bool> {
        match self.value(setting) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(setting, "true or false")),
        }
    }

    pub(crate) fn port(&self, setting: &Setting) -> Result<Option<u16>> {
        let number = match self.value(setting) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        port.map(Some).ok_or_else(|| wrong_type(setting, "a number from 1 to 65535"))
    }

    /// Only whether it is one: who waits so long reads it by itself, and must not take a wrong one for none.
    pub(crate) fn check(&self, setting: &Setting) -> Result<()> {
        setting.understood(self.0).map(drop)
    }

    /// Value in effect, as it would be typed: the stored one, checked, or the default.
    pub(crate) fn in_effect(&self, setting: &Setting) -> Result<String> {
        let stored = setting.understood(self.0)?;
        Ok(stored.map_or_else(|| setting.default.to_owned(), |value| setting::text(&value)))
    }

    pub(crate) fn is_choice(&self, setting: &Setting, word: &str) -> Result<bool> {
        Ok(self.in_effect(setting)? == word)
    }
}

pub(crate) fn wrong_type(setting: &Setting, expected: &str) -> Error {
    let name = setting.name;
    Error::new(format!("The setting {name} in data.json is not {expected}."))
        .hint(format!("Correct it with `bwdc config {name} VALUE`."))
}
