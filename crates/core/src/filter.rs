//! Set filters: `include:jane@example.com,joe@example.com` and `exclude:Interns`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Filter on trimmed lower-case values: a user's e-mail address or a group's display name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SetFilter {
    /// Only these.
    Include(BTreeSet<String>),
    /// All but these.
    Exclude(BTreeSet<String>),
    /// Entries that all of these keep.
    All(Vec<Self>),
}

impl SetFilter {
    /// Whether an entry with this value is kept.
    pub fn keeps(&self, value: &str) -> bool {
        let normal = normalise(value);
        match self {
            Self::Include(set) => set.contains(&normal),
            Self::Exclude(set) => !set.contains(&normal),
            Self::All(filters) => filters.iter().all(|filter| filter.keeps(value)),
        }
    }
}

impl SetFilter {
    /// The clause that decides about an entry with this value, in words: the first that leaves it out, else all that let it in.
    pub fn clause(&self, value: &str) -> String {
        let normal = normalise(value);
        match self {
            Self::Include(set) if set.contains(&normal) => format!("`include:` names {normal}"),
            Self::Include(set) => format!("`include:{}` does not name {normal}", listed(set)),
            Self::Exclude(set) if set.contains(&normal) => format!("`exclude:` names {normal}"),
            Self::Exclude(set) => format!("`exclude:{}` does not name {normal}", listed(set)),
            Self::All(filters) => match filters.iter().find(|filter| !filter.keeps(value)) {
                Some(filter) => filter.clause(value),
                None => filters.iter().map(|filter| filter.clause(value)).collect::<Vec<_>>().join(", and "),
            },
        }
    }
}

/// The first values of a clause.
fn listed(values: &BTreeSet<String>) -> String {
    const SHOWN: usize = 3;
    let shown = values.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(",");
    if values.len() > SHOWN { format!("{shown},...") } else { shown }
}

/// Parsed filter setting: `keyword:value,value|native query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Part before the first `|`.
    pub set: Option<SetFilter>,
    /// Part after it: a query in the vendor's own language.
    pub native: Option<String>,
}

/// Filter that cannot be parsed. Syncing everybody instead would be the worst possible reaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Unknown word before a colon.
    #[error("unknown keyword `{keyword}`{}", .suggestion.as_ref().map_or(String::new(), |s| format!(" (did you mean `{s}`?)")))]
    UnknownKeyword {
        /// Word as it was written.
        keyword: String,
        /// Known keyword closest to it.
        suggestion: Option<String>,
    },
    /// Text that is not a set filter.
    #[error("`{text}` is not a filter; write `include:a,b` or `exclude:a,b`{}", if *.native { ", and put a query in the directory's own language after a `|`" } else { "" })]
    NotAFilter {
        /// Text as it was written.
        text: String,
        /// Whether the directory accepts a native query.
        native: bool,
    },
    /// A keyword without values.
    #[error("`{keyword}:` has no values; write `{keyword}:a,b`")]
    NoValues {
        /// Keyword without values.
        keyword: String,
    },
    /// Query after `|` for a directory without a query language.
    #[error("this directory does not support a query after `|`")]
    NoNativeQuery,
}

/// Whether a directory has a query language of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeQuery {
    /// Text after `|` is passed to the vendor.
    Allowed,
    /// The directory has no query language.
    None,
}

const KEYWORDS: [&str; 2] = ["include", "exclude"];

/// Parses a `userFilter` or `groupFilter`. Blank means no filter.
pub fn parse(text: &str, native: NativeQuery) -> Result<Filter, FilterError> {
    let (set, query) = match text.split_once('|') {
        Some((set, query)) => (set.trim(), Some(query.trim()).filter(|q| !q.is_empty())),
        None => (text.trim(), None),
    };
    if query.is_some() && native == NativeQuery::None {
        return Err(FilterError::NoNativeQuery);
    }
    let set = if set.is_empty() { None } else { Some(parse_set(set, native)?) };
    Ok(Filter { set, native: query.map(str::to_owned) })
}

fn parse_set(text: &str, native: NativeQuery) -> Result<SetFilter, FilterError> {
    let Clause { keyword, values } = clause(text, &KEYWORDS, native)?;
    Ok(if keyword == "include" { SetFilter::Include(values) } else { SetFilter::Exclude(values) })
}

/// Clause of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// One of the allowed keywords.
    pub keyword: &'static str,
    /// Trimmed and in lower case; at least one.
    pub values: BTreeSet<String>,
}

/// Parses a filter of several clauses separated by `|`, for a directory with more keywords than `include` and `exclude`.
pub fn clauses(text: &str, keywords: &[&'static str]) -> Result<Vec<Clause>, FilterError> {
    let parts = text.split('|').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| clause(part, keywords, NativeQuery::None)).collect()
}

fn clause(text: &str, keywords: &[&'static str], native: NativeQuery) -> Result<Clause, FilterError> {
    let Some((word, values)) = text.split_once(':') else {
        return Err(FilterError::NotAFilter {
            text: text.to_owned(),
            native: native == NativeQuery::Allowed,
        });
    };
    let word = word.trim();
    let Some(keyword) = keywords.iter().find(|keyword| keyword.eq_ignore_ascii_case(word)) else {
        return Err(FilterError::UnknownKeyword {
            keyword: word.to_owned(),
            suggestion: crate::did_you_mean(word, keywords.iter().copied()).map(str::to_owned),
        });
    };
    let values: BTreeSet<String> = values.split(',').map(normalise).filter(|v| !v.is_empty()).collect();
    if values.is_empty() {
        return Err(FilterError::NoValues { keyword: (*keyword).to_owned() });
    }
    Ok(Clause { keyword, values })
}

pub(crate) fn normalise(value: &str) -> String {
    value.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> SetFilter {
        parse(text, NativeQuery::None).unwrap().set.unwrap()
    }

    #[test]
    fn compares_trimmed_and_in_lower_case() {
        let filter = set(" InClude : Jane@Example.com , joe@example.com,, ");
        assert!(filter.keeps(" JANE@example.com "));
        assert!(!filter.keeps("sue@example.com"));
        assert!(!set("exclude:a").keeps("A"));
        assert!(set("exclude:a").keeps("b"));
    }

    #[test]
    fn a_native_query_follows_the_first_bar() {
        let filter = parse("exclude:a|status eq \"X\" | y", NativeQuery::Allowed).unwrap();
        assert_eq!(filter.native.as_deref(), Some("status eq \"X\" | y"));
        let only_native = parse("|orgUnitPath=/x", NativeQuery::Allowed).unwrap();
        assert_eq!(only_native, Filter { set: None, native: Some("orgUnitPath=/x".into()) });
        assert_eq!(parse("|x", NativeQuery::None), Err(FilterError::NoNativeQuery));
        assert_eq!(parse("  ", NativeQuery::None), Ok(Filter::default()));
    }

    #[test]
    fn clauses_are_many_and_filters_can_be_joined() {
        let found = clauses(" include:A, b |excludegroup:X||", &["include", "excludeGroup"]).unwrap();
        let keywords: Vec<_> = found.iter().map(|clause| clause.keyword).collect();
        assert_eq!(keywords, ["include", "excludeGroup"]);
        assert_eq!(found[0].values, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        let typo = clauses("include:a|exclideGroup:x", &["include", "excludeGroup"]).unwrap_err();
        assert_eq!(typo.to_string(), "unknown keyword `exclideGroup` (did you mean `excludeGroup`?)");
        assert_eq!(clauses("", &["include"]), Ok(Vec::new()));
        let joined = SetFilter::All(vec![set("include:a,b"), set("exclude:b")]);
        assert!(joined.keeps("A") && !joined.keeps("b") && !joined.keeps("c"));
        assert!(SetFilter::All(Vec::new()).keeps("anybody"));
    }

    #[test]
    fn text_that_is_not_a_filter_is_refused_with_the_correct_form() {
        let typo = parse("inculde:a", NativeQuery::None).unwrap_err();
        assert_eq!(typo.to_string(), "unknown keyword `inculde` (did you mean `include`?)");
        let odd = parse("zebra:a", NativeQuery::None).unwrap_err();
        assert_eq!(odd.to_string(), "unknown keyword `zebra`");
        let text = parse("jane@example.com", NativeQuery::Allowed).unwrap_err();
        assert!(text.to_string().contains("after a `|`"), "{text}");
        assert!(matches!(parse("include: ,", NativeQuery::None), Err(FilterError::NoValues { .. })));
    }
}
