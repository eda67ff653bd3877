//! List of words in one field, separated by semicolons: a quoted word, or the name of a known group, may contain some.

use std::collections::HashSet;

/// Names of the groups in the file of groups.
#[derive(Debug, Default)]
pub(super) struct GroupNames<'a> {
    all: HashSet<&'a str>,
    /// Names with a semicolon, the longest first.
    with_separator: Vec<&'a str>,
}

impl<'a> GroupNames<'a> {
    pub(super) fn of(names: impl IntoIterator<Item = &'a str>) -> Self {
        let all: HashSet<&str> = names.into_iter().map(str::trim).collect();
        let mut with_separator: Vec<&str> = all.iter().copied().filter(|name| name.contains(';')).collect();
        with_separator.sort_unstable_by_key(|name| (std::cmp::Reverse(name.len()), *name));
        Self { all, with_separator }
    }

    /// Known name with a semicolon at the beginning of the text, and the rest.
    fn at_start<'t>(&self, text: &'t str) -> Option<(&'a str, &'t str)> {
        self.with_separator.iter().find_map(|name| Some((*name, behind(text.strip_prefix(name)?)?)))
    }

    fn is_list_of_others(&self, name: &str) -> bool {
        name.split(';').all(|part| self.all.contains(part.trim()))
    }
}

/// Words of a field, or the reason why they are ambiguous.
pub(super) fn words(field: &str, known: &GroupNames<'_>) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = field.trim_start();
    while !rest.is_empty() {
        let (word, behind) = first(rest, known)?;
        if !word.is_empty() {
            words.push(word);
        }
        rest = behind.trim_start();
    }
    Ok(words)
}

fn first<'t>(text: &'t str, known: &GroupNames<'_>) -> Result<(String, &'t str), String> {
    if let Some((name, behind)) = known.at_start(text) {
        return if known.is_list_of_others(name) {
            Err(format!(
                "`{name}` could be the name of one group or a list of several; write it in quotes, or use ids"
            ))
        } else {
            Ok((name.to_owned(), behind))
        };
    }
    if let Some(inside) = text.strip_prefix('"') {
        return quoted(inside).ok_or_else(|| {
            format!("a closing quote is missing, or something other than a semicolon follows it: `{text}`")
        });
    }
    let (word, behind) = text.split_once(';').unwrap_or((text, ""));
    Ok((word.trim().to_owned(), behind))
}

/// Text up to the closing quote, and the rest. A quote inside it is doubled.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let (inside, behind_quote) = rest.split_once('"')?;
        word.push_str(inside);
        match behind_quote.strip_prefix('"') {
            Some(more) => {
                word.push('"');
                rest = more;
            }
            None => return Some((word.trim().to_owned(), behind(behind_quote)?)),
        }
    }
}

/// Rest after the separator, if a separator or the end comes next.
fn behind(text: &str) -> Option<&str> {
    let text = text.trim_start();
    if text.is_empty() { Some(text) } else { text.strip_prefix(';') }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quoted_words_and_known_names_are_not_split() {
        let known = GroupNames::of(["Sales", "R&D; Ops", "R&D; Ops; West"]);
        for (field, expected) in [
            ("", &[][..]),
            (" a ;; b;", &["a", "b"]),
            ("\"a; b\" ; c", &["a; b", "c"]),
            ("\"say \"\"a;b\"\"\"", &["say \"a;b\""]),
            ("Team \"A\";c", &["Team \"A\"", "c"]),
            ("Sales;R&D; Ops", &["Sales", "R&D; Ops"]),
            ("R&D; Ops; West;Sales", &["R&D; Ops; West", "Sales"]),
            ("R&D; Opsie", &["R&D", "Opsie"]),
        ] {
            assert_eq!(words(field, &known).unwrap(), expected, "{field}");
        }
    }

    #[test]
    fn ambiguous_text_is_an_error() {
        let known = GroupNames::of(["A", "B", "A;B"]);
        assert!(words("A;B", &known).unwrap_err().contains("a list of several"));
        assert_eq!(words("\"A;B\"", &known).unwrap(), ["A;B"]);
        assert!(words("\"A;B", &known).unwrap_err().contains("closing quote"));
        assert!(words("\"A\"B", &known).unwrap_err().contains("closing quote"));
    }

    proptest! {
        #![proptest_config(few())]

        /// Words written in quotes are read back unchanged.
        #[test]
        fn fuzz_lists_in_a_field(field in damaged_text(["Staff;R&D; Ops; West", "\"a; b\" ; c", "\"say \"\"a;b\"\"\""])) {
            let known = GroupNames::of(["Sales", "R&D; Ops", "R&D; Ops; West"]);
            if let Ok(found) = bwdc_testkit::damage::soon(|| words(&field, &known)) {
                let again: Vec<_> = found.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
                prop_assert_eq!(words(&again.join(";"), &known), Ok(found));
            }
        }
    }
}
