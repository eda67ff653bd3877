//! Field masks: the parts of an answer to include, such as `nextPageToken,users(id,name/fullName)` ("Partial responses").

use serde_json::Value;

/// Name, and the parts of it to include; everything if there are none.
pub(super) struct Mask(Vec<(String, Mask)>);

impl Mask {
    /// Parses a mask; `None` if it is not valid.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars().filter(|letter| !letter.is_whitespace()).peekable();
        let mask = Self::list(&mut letters)?;
        letters.next().is_none().then_some(mask)
    }

    fn list(letters: &mut std::iter::Peekable<impl Iterator<Item = char>>) -> Option<Self> {
        let mut parts = Vec::new();
        loop {
            parts.push(Self::part(letters)?);
            if letters.next_if_eq(&',').is_none() {
                return Some(Self(parts));
            }
        }
    }

    fn part(letters: &mut std::iter::Peekable<impl Iterator<Item = char>>) -> Option<(String, Self)> {
        let mut name = String::new();
        while let Some(letter) =
            letters.next_if(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '*'))
        {
            name.push(letter);
        }
        if name.is_empty() {
            return None;
        }
        if letters.next_if_eq(&'/').is_some() {
            return Some((name, Self(vec![Self::part(letters)?])));
        }
        if letters.next_if_eq(&'(').is_none() {
            return Some((name, Self(Vec::new())));
        }
        let inner = Self::list(letters)?;
        letters.next_if_eq(&')').map(|_| (name, inner))
    }

    /// Removes everything that is not included.
    pub(super) fn apply(&self, value: &mut Value) {
        match value {
            _ if self.0.is_empty() => {}
            Value::Array(entries) => entries.iter_mut().for_each(|entry| self.apply(entry)),
            Value::Object(fields) => {
                fields.retain(|name, _| self.of(name).is_some());
                for (name, field) in fields.iter_mut() {
                    if let Some(inner) = self.of(name) {
                        inner.apply(field);
                    }
                }
            }
            _ => {}
        }
    }

    fn of(&self, name: &str) -> Option<&Self> {
        self.0.iter().find(|(known, _)| known == name || known == "*").map(|(_, inner)| inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_included_parts_are_left() {
        let full = json!({ "kind": "k", "next": "n", "users": [{ "id": 1, "name": { "given": "g", "full": "f" }, "x": 2 }] });
        for (mask, left) in [
            ("next", json!({ "next": "n" })),
            ("kind, users(id)", json!({ "kind": "k", "users": [{ "id": 1 }] })),
            ("users/name/full", json!({ "users": [{ "name": { "full": "f" } }] })),
            ("users(id,name(given))", json!({ "users": [{ "id": 1, "name": { "given": "g" } }] })),
            ("*", full.clone()),
        ] {
            let mut value = full.clone();
            Mask::parse(mask).unwrap().apply(&mut value);
            assert_eq!(value, left, "{mask}");
        }
        for wrong in ["", "users(", "users(id", "users)", "a,,b", "a b!"] {
            assert!(Mask::parse(wrong).is_none(), "{wrong}");
        }
    }
}
