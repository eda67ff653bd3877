//! Part of an LDAP directory that is read, as text: `ldap SCOPE CLASS BASE|BASE`, such as
//! `ldap subtree inetorgperson ou=people,dc=example,dc=org|ou=staff,dc=example,dc=org`.
//!
//! SCOPE is `subtree`, or `subtree+referrals` where references to other servers are followed. CLASS is the object class of people, which says
//! what an entry must be to be met at all. Each BASE is a normal form (see [`dn`]), in which a `|` is written `\7c`; none is within
//! another, and they are sorted. No server is named: several may hold the same tree.

use bwdc_core::snapshot::Place;

use super::config::Referrals;
use super::dn;

/// Words for how deep a search goes.
const SUBTREE: &str = "subtree";
const WITH_REFERRALS: &str = "subtree+referrals";

/// Classes with those whose entries have them, too (RFC 4519, RFC 2798, and Active Directory's schema).
const SUBCLASSES: [(&str, &[&str]); 2] = [
    ("person", &["organizationalperson", "inetorgperson", "user"]),
    ("organizationalperson", &["inetorgperson", "user"]),
];

/// Part of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    referrals: Referrals,
    class: String,
    bases: Vec<String>,
}

impl Part {
    /// Part below these bases, however they are spelled.
    pub(super) fn of<'a>(
        referrals: Referrals,
        class: &str,
        bases: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut bases: Vec<String> = bases.into_iter().map(normal).collect();
        bases.sort_unstable();
        bases.dedup();
        let is_outermost = |base: &String| !bases.iter().any(|other| other != base && is_within(base, other));
        let bases = bases.iter().filter(|base| is_outermost(base)).cloned().collect();
        let class = class.to_lowercase().split_whitespace().collect();
        Self { referrals, class, bases }
    }

    /// Reads a place; `None` if it is none of LDAP.
    pub(super) fn parse(place: &Place) -> Option<Self> {
        let mut words = place.as_str().splitn(4, ' ');
        if words.next() != Some("ldap") {
            return None;
        }
        let referrals = match words.next()? {
            SUBTREE => Referrals::Report,
            WITH_REFERRALS => Referrals::Follow,
            _ => return None,
        };
        let class = words.next()?;
        Some(Self::of(referrals, class, words.next()?.split('|')))
    }

    /// Writes it.
    pub(super) fn place(&self) -> Place {
        let scope = match self.referrals {
            Referrals::Report => SUBTREE,
            Referrals::Follow => WITH_REFERRALS,
        };
        Place::from(format!("ldap {scope} {} {}", self.class, self.bases.join("|")))
    }

    /// Whether whoever reads this part meets everybody in the other.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // People whom another server holds are not gone because references are no longer followed.
        let follows = self.referrals == Referrals::Follow || other.referrals == Referrals::Report;
        let is_below_ours = |base: &String| self.bases.iter().any(|ours| is_within(base, ours));
        follows && has_class(&self.class, &other.class) && other.bases.iter().all(is_below_ours)
    }
}

/// Normal form of a base, without the separator.
fn normal(base: &str) -> String {
    let mut buffer = String::new();
    let normal = dn::normalise(base, &mut buffer).map_or_else(|| base.trim().to_lowercase(), str::to_owned);
    normal.replace('|', "\\7c")
}

/// Whether a base is another one or below it. A comma in a normal form always separates.
fn is_within(base: &str, other: &str) -> bool {
    base.strip_suffix(other).is_some_and(|above| above.is_empty() || above.ends_with(','))
}

/// Whether every entry of the second class has the first.
fn has_class(class: &str, of: &str) -> bool {
    let has_subclass = |(known, below): &(&str, &[&str])| *known == class && below.contains(&of);
    matches!(class, "*" | "top") || class == of || SUBCLASSES.iter().any(has_subclass)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    fn part(bases: &[&str]) -> Part {
        Part::of(Referrals::Report, "Person", bases.iter().copied())
    }

    fn covers(ours: &Part, place: &str) -> bool {
        Part::parse(&Place::from(place)).is_some_and(|other| ours.covers(&other))
    }

    #[test]
    fn spelling_order_and_nested_bases_do_not_matter() {
        let place = part(&["OU=People , DC=Example,dc=org", "ou=Smith\\, Ltd,dc=example,dc=org"]).place();
        assert_eq!(
            place.as_str(),
            "ldap subtree person ou=people,dc=example,dc=org|ou=smith\\2c ltd,dc=example,dc=org"
        );
        let other = [
            "ou=smith\\2C ltd,dc=example,dc=org",
            "ou=people,dc=example,dc=org",
            "ou=People,dc=example,dc=org",
        ];
        assert_eq!(part(&other).place(), place);
        let nested = ["ou=a,ou=people,dc=example,dc=org", "ou=people,dc=example,dc=org"];
        assert_eq!(part(&nested), part(&["ou=people,dc=example,dc=org"]));
        // Not below it, although the text ends alike.
        assert_eq!(part(&["ou=xpeople,dc=y", "people,dc=y"]).bases.len(), 2);
        assert_eq!(part(&["ou=a\\,dc=x", "dc=x"]).bases.len(), 2);
        let with_separator = part(&["ou=a\\7Cb,dc=x"]);
        assert_eq!(Part::parse(&with_separator.place()), Some(with_separator));
    }

    #[test]
    fn a_part_covers_what_lies_within_it() {
        let ours = part(&["dc=example,dc=org", "ou=x,dc=y"]);
        for (place, is_covered) in [
            ("ldap subtree person dc=example,dc=org", true),
            ("ldap subtree person ou=a,dc=example,dc=org|ou=x,dc=y", true),
            ("ldap subtree inetorgperson ou=a,dc=example,dc=org", true),
            ("ldap subtree account ou=a,dc=example,dc=org", false),
            ("ldap subtree person ou=a,dc=example,dc=org|dc=y", false),
            ("ldap subtree+referrals person dc=example,dc=org", false),
            ("ldap subtree person ou=aou=x,dc=y", false),
            ("okta example.okta.com", false),
            ("ldap", false),
            ("", false),
        ] {
            assert_eq!(covers(&ours, place), is_covered, "{place}");
        }
        let everything = Part::of(Referrals::Follow, "*", ["dc=org"]);
        assert!(covers(&everything, "ldap subtree+referrals account ou=a,dc=example,dc=org"));
        assert!(!covers(&Part::of(Referrals::Report, "user", ["dc=org"]), "ldap subtree person dc=org"));
    }

    proptest! {
        #![proptest_config(few())]

        /// What is written is read back, and covers itself.
        #[test]
        fn fuzz_places_of_ldap(text in prop_oneof![
            damaged_text([
                "ldap subtree person ou=people,dc=example,dc=org|ou=smith\\2c ltd,dc=x",
                "ldap subtree+referrals * CN=\"Doe, Jane\",dc=x|ou=a\\7cb",
            ]),
            any::<String>(),
        ]) {
            if let Some(part) = Part::parse(&Place::from(text.as_str())) {
                let again = Part::parse(&part.place());
                prop_assert_eq!(again.as_ref(), Some(&part));
                prop_assert!(part.covers(&part));
            }
        }
    }
}
