//! Settings on stdin, secrets among them: no command line and no variable shows them to others.

use std::io::Read as _;

use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Largest input.
const LARGEST: u64 = 1 << 20;

/// Names and values, in the order in which they are given.
pub(super) fn on_stdin() -> Result<Vec<(String, Secret)>> {
    let mut text = Zeroizing::new(Vec::new());
    std::io::stdin()
        .take(LARGEST)
        .read_to_end(&mut text)
        .map_err(|error| Error::new(format!("Reading settings from stdin: {error}")))?;
    understood(&text)
}

fn understood(text: &[u8]) -> Result<Vec<(String, Secret)>> {
    let example =
        "Give a JSON object, such as {\"sync.users\": true, \"ldap.password\": \"...\"}. Nothing was saved.";
    // The position alone: the text may be a secret.
    let object: Map<String, Value> = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::new(format!("The settings on stdin are no JSON object: line {line}, column {column}."))
            .hint(example)
    })?;
    let pair = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, Secret::from(text))),
        Value::Null => Ok((name, Secret::from(""))),
        Value::Bool(_) | Value::Number(_) => Ok((name, Secret::from(value.to_string()))),
        Value::Array(_) | Value::Object(_) => {
            Err(Error::new(format!("The setting {name} on stdin is not a single value.")).hint(example))
        }
    };
    object.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_they_would_be_typed_and_errors_repeat_none() {
        let given = understood(
            br#"{"sync.users": true, "ldap.port": 636, "ldap.password": "p", "sync.userFilter": null}"#,
        )
        .unwrap();
        let given: Vec<(&str, &str)> =
            given.iter().map(|(name, text)| (name.as_str(), text.reveal())).collect();
        assert_eq!(
            given,
            [("sync.users", "true"), ("ldap.port", "636"), ("ldap.password", "p"), ("sync.userFilter", "")]
        );
        for wrong in
            [r#"{"ldap.password": "s3cret""#, r#"["s3cret"]"#, r#"{"ldap.password": ["s3cret"]}"#, "s3cret"]
        {
            let error = understood(wrong.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("s3cret") && error.contains("Nothing was saved"), "{error}");
        }
    }
}
