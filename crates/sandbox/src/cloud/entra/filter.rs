//! Small part of Graph's `$filter`: `property eq 'text'`, joined by `or`. A quote within a text is doubled.

use serde_json::Value;

/// Property with its wanted value.
pub(super) struct Clause {
    name: String,
    value: String,
}

/// Parses a filter on these properties; `None` for anything else. Graph compares an id with another id only.
pub(super) fn parsed(text: &str, known: &[&str]) -> Option<Vec<Clause>> {
    let (mut clauses, mut rest) = (Vec::new(), text);
    loop {
        let (name, after) = rest.trim_start().split_once(" eq ")?;
        let (value, after) = quoted(after.trim_start())?;
        let is_allowed = known.contains(&name) && (name != "id" || uuid::Uuid::parse_str(&value).is_ok());
        if !is_allowed {
            return None;
        }
        clauses.push(Clause { name: name.to_owned(), value });
        match after.trim() {
            "" => return Some(clauses),
            _ => rest = after.strip_prefix(" or ")?,
        }
    }
}

/// Text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut rest) = (String::new(), text.strip_prefix('\'')?);
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

/// Whether an entry has one of the wanted values. Case makes no difference.
pub(super) fn matches(clauses: &[Clause], entry: &Value) -> bool {
    let has = |Clause { name, value }: &Clause| {
        entry[name.as_str()].as_str().is_some_and(|own| own.eq_ignore_ascii_case(value))
    };
    clauses.iter().any(has)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clauses_are_parsed_with_their_quotes() {
        let known = ["id", "mail", "displayName"];
        let clauses = parsed("mail eq 'o''neill@x' or displayName eq 'a or b'", &known).unwrap();
        assert!(matches(&clauses, &json!({ "mail": "O'Neill@x" })));
        assert!(matches(&clauses, &json!({ "displayName": "A or B" })));
        assert!(!matches(&clauses, &json!({ "mail": null, "displayName": "a" })));
        for refused in
            ["", "mail eq o", "mail eq 'a", "mail eq 'a' and mail eq 'b'", "name eq 'a'", "id eq '7'"]
        {
            assert!(parsed(refused, &known).is_none(), "{refused}");
        }
    }
}
