//! The order in which people expect names: digits by value, case and accents aside.

use icu_collator::options::{CollatorOptions, Strength};
use icu_collator::preferences::CollationNumericOrdering;
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};

/// Compares names.
pub(crate) struct Collation(Option<CollatorBorrowed<'static>>);

impl Collation {
    pub(crate) fn new() -> Self {
        let mut preferences = CollatorPreferences::default();
        preferences.numeric_ordering = Some(CollationNumericOrdering::True);
        let mut options = CollatorOptions::default();
        options.strength = Some(Strength::Primary);
        Self(Collator::try_new(preferences, options).ok())
    }

    /// The values in the order of their names; equal names keep their order.
    pub(crate) fn sorted<T>(&self, mut named: Vec<(&str, T)>) -> Vec<T> {
        named.sort_by(|(a, _), (b, _)| match &self.0 {
            Some(collator) => collator.compare(a, b),
            None => a.cmp(b),
        });
        named.into_iter().map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_by_value_and_case_aside() {
        let names = ["user10", "User2", "ärger", "Zoe", "user1", "argon"];
        let sorted = Collation::new().sorted(names.map(|name| (name, name)).to_vec());
        assert_eq!(sorted, ["ärger", "argon", "user1", "User2", "user10", "Zoe"]);
    }
}
