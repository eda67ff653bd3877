//! The order in which people expect names: digits by value, case and accents aside.

use std::borrow::Cow;

use icu_collator::CollatorBorrowed;
use icu_collator::options::{CollatorOptions, Strength};

/// Compares names, as no language in particular does: the orders of single languages would be 0.6 MB of the program.
pub(crate) struct Collation(CollatorBorrowed<'static>);

impl Collation {
    pub(crate) fn new() -> Self {
        let mut options = CollatorOptions::default();
        options.strength = Some(Strength::Primary);
        Self(CollatorBorrowed::new_root(options))
    }

    /// The values in the order of their names; equal names keep their order.
    pub(crate) fn sorted<T>(&self, named: Vec<(&str, T)>) -> Vec<T> {
        let mut named: Vec<(Cow<'_, str>, T)> =
            named.into_iter().map(|(name, value)| (with_comparable_numbers(name), value)).collect();
        named.sort_by(|(a, _), (b, _)| self.0.compare(a, b));
        named.into_iter().map(|(_, value)| value).collect()
    }
}

/// Puts before each number of a name how many digits it has, so that the order of digits is that of numbers: 9 is 19, 10 is 210.
fn with_comparable_numbers(name: &str) -> Cow<'_, str> {
    let is_digit = |character: char| character.is_ascii_digit();
    if !name.contains(is_digit) {
        return Cow::Borrowed(name);
    }
    let mut comparable = String::with_capacity(name.len() + 8);
    let mut rest = name;
    while let Some(begin) = rest.find(is_digit) {
        let (before, number) = rest.split_at(begin);
        let (number, after) = number.split_at(number.find(|c| !is_digit(c)).unwrap_or(number.len()));
        comparable.push_str(before);
        push_comparable(&mut comparable, number.trim_start_matches('0'));
        rest = after;
    }
    comparable.push_str(rest);
    Cow::Owned(comparable)
}

fn push_comparable(comparable: &mut String, digits: &str) {
    // A nine says that there are nine digits and that more are counted.
    let (nines, ones) = (digits.len() / 9, digits.len() % 9);
    comparable.extend(std::iter::repeat_n('9', nines));
    comparable.extend(char::from_digit(ones as u32, 10));
    comparable.push_str(digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_order<const N: usize>(expected: [&str; N]) {
        let mut names = expected;
        names.reverse();
        assert_eq!(Collation::new().sorted(names.map(|name| (name, name)).to_vec()), expected);
    }

    #[test]
    fn digits_by_value_and_case_aside() {
        assert_order(["ärger", "argon", "user1", "User2", "user10", "Zoe"]);
    }

    #[test]
    fn numbers_of_any_length_stand_where_digits_do() {
        assert_order([
            "a 10",
            "a0",
            "a7b",
            "a08",
            "a99999999",
            "a100000000",
            "a99999999999999999",
            "a100000000000000000",
            "a1000000000000000000b",
            "aa1",
        ]);
    }

    #[test]
    fn letters_of_other_languages_stand_beside_those_they_come_from() {
        assert_order(["Łukasz", "lump", "Ørsted", "otter", "Straße", "Strasser"]);
    }

    #[test]
    fn what_is_the_same_aside_from_case_accents_and_zeros_keeps_its_order() {
        let names = ["b7", "B007", "ä", "A", "a"];
        let sorted = Collation::new().sorted(names.map(|name| (name, name)).to_vec());
        assert_eq!(sorted, ["ä", "A", "a", "b7", "B007"]);
    }
}
