//! Looking up texts most of which are the very ones that are looked for.

use std::cell::OnceCell;

use foldhash::HashMap as FastMap;

/// Values by text. A text that is shared with an entry is found by where it is, and not read; the others are read. Of two entries that share
/// a text the later counts; two that have equal texts apart are told apart by whoever shares one of them.
pub(crate) struct ByText<'a, V> {
    entries: Vec<(&'a str, V)>,
    by_place: FastMap<Place, V>,
    /// Made when a text is not found by where it is.
    by_text: OnceCell<FastMap<&'a str, V>>,
}

impl<'a, V: Copy> ByText<'a, V> {
    pub(crate) fn get(&self, text: &str) -> Option<V> {
        let by_text = || self.by_text.get_or_init(|| self.entries.iter().copied().collect());
        self.by_place.get(&place(text)).or_else(|| by_text().get(text)).copied()
    }
}

impl<'a, V: Copy> FromIterator<(&'a str, V)> for ByText<'a, V> {
    fn from_iter<I: IntoIterator<Item = (&'a str, V)>>(entries: I) -> Self {
        let entries: Vec<(&str, V)> = entries.into_iter().collect();
        let by_place = entries.iter().map(|(text, value)| (place(text), *value)).collect();
        Self { entries, by_place, by_text: OnceCell::new() }
    }
}

/// Address and length of a text.
type Place = (usize, usize);

fn place(text: &str) -> Place {
    (text.as_ptr().addr(), text.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn texts_are_found_by_what_they_say_wherever_they_are() {
        let shared: Arc<str> = "shared".into();
        let entries = [(&*shared, 1), ("twice", 2), ("twice", 3)];
        let found: ByText<'_, i32> = entries.into_iter().collect();
        assert_eq!(found.get(&Arc::clone(&shared)), Some(1));
        assert_eq!(found.get(&String::from("shared")), Some(1));
        assert_eq!(found.get(&String::from("twice")), Some(3));
        let again = shared.to_string();
        let entries = [(&*shared, 1), (&*again, 2), (&*shared, 3)];
        let found: ByText<'_, i32> = entries.into_iter().collect();
        assert_eq!([&*shared, &*again, "shared"].map(|text| found.get(text)), [Some(3), Some(2), Some(3)]);
        assert_eq!(found.get(&shared[..5]), None);
        assert_eq!(found.get("nobody"), None);
    }
}
