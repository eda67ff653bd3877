//! Filters of people by group and of groups by administrative unit, besides the set filters by address and name:
//! `includeGroup:ID,ID|exclude:jane@example.org`. Each clause narrows the result of the others.

use std::collections::{BTreeSet, HashSet};

use bwdc_core::filter::{Clause, FilterError, SetFilter, clauses};

const USERS: [&str; 4] = ["include", "exclude", "includeGroup", "excludeGroup"];
const GROUPS: [&str; 4] = ["include", "exclude", "includeAdministrativeUnit", "excludeAdministrativeUnit"];

/// Parsed `sync.userFilter` or `sync.groupFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntraFilter {
    /// Clauses by address or name: applied where every directory's set filters are.
    pub set: Option<SetFilter>,
    /// Clauses by membership.
    circles: Vec<Circle>,
}

/// Clause that keeps members of any of these groups or units, or everybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Circle {
    side: Side,
    /// Ids of the groups or units, in lower case.
    ids: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Inside,
    Outside,
}

impl EntraFilter {
    /// Parses a filter of people.
    pub fn of_users(text: &str) -> Result<Self, FilterError> {
        Ok(Self::of(clauses(text, &USERS)?))
    }

    /// Parses a filter of groups.
    pub fn of_groups(text: &str) -> Result<Self, FilterError> {
        Ok(Self::of(clauses(text, &GROUPS)?))
    }

    fn of(clauses: Vec<Clause>) -> Self {
        let (mut sets, mut circles) = (Vec::new(), Vec::new());
        for Clause { keyword, values } in clauses {
            match keyword {
                "include" => sets.push(SetFilter::Include(values)),
                "exclude" => sets.push(SetFilter::Exclude(values)),
                _ if keyword.starts_with("include") => {
                    circles.push(Circle { side: Side::Inside, ids: values });
                }
                _ => circles.push(Circle { side: Side::Outside, ids: values }),
            }
        }
        let set = if sets.len() > 1 { Some(SetFilter::All(sets)) } else { sets.pop() };
        Self { set, circles }
    }

    /// Whether the directory need not be asked.
    pub fn is_by_set_only(&self) -> bool {
        self.circles.is_empty()
    }

    /// All ids in it, each once.
    pub(super) fn ids(&self) -> BTreeSet<&str> {
        self.circles.iter().flat_map(|circle| &circle.ids).map(String::as_str).collect()
    }
}

impl Circle {
    /// Whether the filter keeps somebody who is in exactly these of its groups or units.
    fn keeps(&self, is_in: impl Fn(&str) -> bool) -> bool {
        let is_inside = self.ids.iter().any(|id| is_in(id));
        is_inside == (self.side == Side::Inside)
    }
}

/// Ids of the groups or units of a filter, and of the members of each, in lower case.
pub(super) type Memberships = Vec<(String, HashSet<String>)>;

/// Members of each group or unit of a filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Circles<'a> {
    circles: &'a [Circle],
    members: Memberships,
}

impl<'a> Circles<'a> {
    pub(super) fn of(filter: &'a EntraFilter, members: Memberships) -> Self {
        Self { circles: &filter.circles, members }
    }

    /// Whether every clause keeps the entry with this id.
    pub(super) fn keep(&self, id: &str) -> bool {
        let is_in =
            |place: &str| self.members.iter().any(|(known, members)| known == place && members.contains(id));
        self.circles.iter().all(|circle| circle.keeps(is_in))
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_clause_narrows() {
        let filter =
            EntraFilter::of_users("includeGroup:A,b|excludeGroup:c|exclude:x@y.org|INCLUDE:z@y.org").unwrap();
        assert!(matches!(&filter.set, Some(SetFilter::All(sets)) if sets.len() == 2));
        assert_eq!(filter.ids(), BTreeSet::from(["a", "b", "c"]));
        let group = |id: &str, members: &[&str]| {
            (id.to_owned(), members.iter().map(|&member| member.to_owned()).collect::<HashSet<_>>())
        };
        let members = vec![group("a", &["1", "3"]), group("b", &["2"]), group("c", &["3", "4"])];
        let circles = Circles::of(&filter, members);
        assert_eq!(["1", "2", "3", "4", "5"].map(|id| circles.keep(id)), [true, true, false, false, false]);
        assert!(Circles::default().keep("anybody"));
        assert!(EntraFilter::of_users(" ").unwrap().is_by_set_only());
    }

    #[test]
    fn people_and_groups_have_different_keywords() {
        assert!(EntraFilter::of_groups("includeAdministrativeUnit:u|exclude:Interns").is_ok());
        let wrong = EntraFilter::of_groups("includeGroup:x").unwrap_err().to_string();
        assert!(wrong.starts_with("unknown keyword `includeGroup`"), "{wrong}");
        let typo = EntraFilter::of_users("inculdeGroup:x").unwrap_err().to_string();
        assert_eq!(typo, "unknown keyword `inculdeGroup` (did you mean `includeGroup`?)");
        let typo = EntraFilter::of_groups("excludeAdminUnit:x").unwrap_err().to_string();
        assert!(typo.contains("unknown keyword"), "{typo}");
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_set_filters(text in damaged_text(["includeGroup:A,b|excludeGroup:c|exclude:x@y.org|INCLUDE:z@y.org", "excludeAdministrativeUnit: u , v |include:Interns", ":|,"])) {
            for filter in [EntraFilter::of_users(&text), EntraFilter::of_groups(&text)] {
                match filter {
                    Ok(filter) => {
                        prop_assert!(filter.ids().iter().all(|id| *id == id.to_lowercase() && !id.is_empty()));
                        let _ = Circles::of(&filter, Memberships::default()).keep("1");
                    }
                    Err(error) => prop_assert!(error.to_string().len() <= 8 * text.len() + 2_000),
                }
            }
        }
    }
}
