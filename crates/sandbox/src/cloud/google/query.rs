//! Small part of Google's query language ("Search for users", "Search for groups"): `email:x*`, `email=x`,
//! `orgUnitPath='/A b'`, `isSuspended=true`, joined by blanks.

pub(super) const USER_FIELDS: &[&str] = &["email", "name", "orgUnitPath", "isSuspended", "isArchived"];
pub(super) const GROUP_FIELDS: &[&str] = &["email", "name"];

/// Parsed query; matches everything if empty.
pub(super) struct Search(Vec<Clause>);

struct Clause {
    field: String,
    value: String,
    match_by: MatchBy,
}

enum MatchBy {
    Whole,
    Beginning,
    Part,
}

impl Search {
    /// Parses a query; `None` if Google would refuse it.
    pub(super) fn parse(text: &str, fields: &[&str]) -> Option<Self> {
        words(text)?.iter().map(|word| Clause::parse(word, fields)).collect::<Option<_>>().map(Self)
    }

    pub(super) fn matches(&self, of: impl Fn(&str) -> String) -> bool {
        self.0.iter().all(|Clause { field, value, match_by }| {
            let own = of(field).to_lowercase();
            match match_by {
                // A unit includes the units below it.
                MatchBy::Whole if field == "orgUnitPath" => {
                    own == *value || own.starts_with(&format!("{value}/"))
                }
                MatchBy::Whole => own == *value,
                MatchBy::Beginning => own.starts_with(value.as_str()),
                MatchBy::Part => own.contains(value.as_str()),
            }
        })
    }
}

impl Clause {
    fn parse(word: &str, fields: &[&str]) -> Option<Self> {
        let at = word.find(['=', ':'])?;
        let (field, value) = (&word[..at], word[at + 1..].to_lowercase());
        let field = fields.iter().find(|known| known.eq_ignore_ascii_case(field))?;
        let (value, match_by) = match (&word[at..=at], value.strip_suffix('*')) {
            ("=", None) => (value, MatchBy::Whole),
            (":", Some(beginning)) => (beginning.to_owned(), MatchBy::Beginning),
            (":", None) => (value, MatchBy::Part),
            _ => return None,
        };
        Some(Self { field: (*field).to_owned(), value, match_by })
    }
}

/// Splits at blanks outside of quotes, and removes the quotes.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if is_quoted => word.extend(letters.next()),
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    (!is_quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_joined_and_unknown_ones_refused() {
        let of = |field: &str| match field {
            "email" => "Jane@example.org".to_owned(),
            "orgUnitPath" => "/Sales dept/North".to_owned(),
            _ => "false".to_owned(),
        };
        for (text, is_match) in [
            ("", true),
            ("email:jane*", true),
            ("email:ANE@", true),
            ("email=jane@example.org isSuspended=false", true),
            ("isSuspended=true", false),
            ("orgUnitPath='/sales dept'", true),
            ("orgUnitPath=/Sales", false),
        ] {
            assert_eq!(Search::parse(text, USER_FIELDS).unwrap().matches(of), is_match, "{text}");
        }
        for wrong in ["jane", "nonsense=1", "email=x*", "orgUnitPath='/x"] {
            assert!(Search::parse(wrong, USER_FIELDS).is_none(), "{wrong}");
        }
    }
}
