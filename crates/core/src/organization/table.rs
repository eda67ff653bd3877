//! A map in the order of its keys, whose values are found by hash: ids of one directory often begin alike, and comparing their texts
//! from step to step costs more than all else in a large organization.

use std::fmt;
use std::hash::Hash;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use indexmap::map::Entry;
use indexmap::{Equivalent, IndexMap};

/// Values by key.
pub(super) struct Table<K, V> {
    entries: IndexMap<K, V, RandomState>,
    order: Order,
}

/// Order of the keys.
#[derive(Clone)]
enum Order {
    /// That of the entries: each key came after those before it, as where a table is read from a file.
    AsTheyCame,
    /// Places of the entries in order; made when somebody asks for it.
    Other(OnceLock<Vec<u32>>),
}

/// Place of a new key in order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Last,
    Between,
}

impl Order {
    fn unknown() -> Self {
        Self::Other(OnceLock::new())
    }
}

impl<K: Ord + Hash, V> Table<K, V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes room for so many more.
    pub(super) fn reserve_exact(&mut self, more: usize) {
        self.entries.reserve_exact(more);
    }

    /// Whether there is a value.
    pub(super) fn contains_key<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<&V> {
        self.entries.get(key)
    }

    /// The value with the key as it is kept: cloning that shares its text.
    pub(super) fn entry<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<(&K, &V)> {
        self.entries.get_key_value(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    pub(super) fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let at = self.place_or_insert_with(key, make);
        &mut self.entries[at]
    }

    /// Place of a value, by which it is found without its key until one is removed.
    pub(super) fn place<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<usize> {
        self.entries.get_index_of(key)
    }

    pub(super) fn place_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> usize
    where
        K: Clone,
    {
        let place = self.place_in_order(key);
        match self.entries.entry(key.clone()) {
            Entry::Occupied(there) => there.index(),
            Entry::Vacant(gap) => {
                let at = gap.index();
                gap.insert(make());
                self.has_grown(place);
                at
            }
        }
    }

    pub(super) fn at(&self, place: usize) -> Option<&V> {
        self.entries.get_index(place).map(|(_, value)| value)
    }

    pub(super) fn at_mut(&mut self, place: usize) -> Option<&mut V> {
        self.entries.get_index_mut(place).map(|(_, value)| value)
    }

    /// With their places, in their order.
    pub(super) fn places_and_entries(&self) -> impl Iterator<Item = (usize, &K, &V)> {
        self.entries.iter().enumerate().map(|(at, (key, value))| (at, key, value))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let place = self.place_in_order(&key);
        if self.entries.insert(key, value).is_none() {
            self.has_grown(place);
        }
    }

    fn place_in_order(&self, key: &K) -> Place {
        let last = self.entries.last().filter(|_| matches!(self.order, Order::AsTheyCame));
        match last {
            Some((last, _)) if last >= key => Place::Between,
            _ => Place::Last,
        }
    }

    /// A key was added.
    fn has_grown(&mut self, place: Place) {
        if place == Place::Between || matches!(self.order, Order::Other(_)) {
            self.order = Order::unknown();
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (at, _, value) = self.entries.swap_remove_full(key)?;
        // The last entry has taken its place.
        if at < self.entries.len() || matches!(self.order, Order::Other(_)) {
            self.order = Order::unknown();
        }
        Some(value)
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|key, value| is_kept(key, value));
        if let Order::Other(_) = self.order {
            self.order = Order::unknown();
        }
    }

    /// In the order of keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        let places = self.in_order();
        (0..self.len()).filter_map(move |number| {
            let at = places.map_or(Some(number), |places| places.get(number).map(|at| *at as usize));
            self.entries.get_index(at?)
        })
    }

    /// Places of the entries in the order of keys, where it is not that in which they came.
    fn in_order(&self) -> Option<&[u32]> {
        let Order::Other(order) = &self.order else { return None };
        Some(order.get_or_init(|| {
            let mut places: Vec<u32> = (0..).zip(&self.entries).map(|(at, _)| at).collect();
            // Mostly in order, which a stable sort makes use of.
            places.sort_by_key(|at| self.entries.get_index(*at as usize).map(|(key, _)| key));
            places
        }))
    }

    /// In the order of keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Changes every value, in the order in which they came.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }

    /// Changes every value, in the order in which they came.
    pub(super) fn for_each_mut(&mut self, mut change: impl FnMut(&K, &mut V)) {
        self.entries.iter_mut().for_each(|(key, value)| change(key, value));
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        let mut entries: Vec<(K, V)> = self.entries.into_iter().collect();
        if let Order::Other(_) = self.order {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        entries.into_iter()
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: IndexMap::default(), order: Order::AsTheyCame }
    }
}

/// Of several values of one key the last counts, as in other maps.
impl<K: Ord + Hash, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut table = Self::default();
        entries.into_iter().for_each(|(key, value)| table.insert(key, value));
        table
    }
}

impl<K: Clone, V: Clone> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), order: self.order.clone() }
    }
}

impl<K: Ord + Hash, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Ord + Hash, V: Eq> Eq for Table<K, V> {}

impl<K: Ord + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bwdc_testkit::few;
    use proptest::prelude::*;

    use super::Table;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        OrInsert(u8, u8),
        Retain(u8),
        Again,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..20_u8, any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => (0..20_u8).prop_map(Step::Remove),
            2 => (0..20_u8, any::<u8>()).prop_map(|(key, value)| Step::OrInsert(key, value)),
            1 => (0..20_u8).prop_map(Step::Retain),
            1 => Just(Step::Again),
        ]
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn a_table_is_a_map(steps in prop::collection::vec(step(), 0..60)) {
            let mut table: Table<u8, u8> = Table::default();
            let mut map: BTreeMap<u8, u8> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        table.insert(key, value);
                        map.insert(key, value);
                    }
                    Step::Remove(key) => prop_assert_eq!(table.remove(&key), map.remove(&key)),
                    Step::OrInsert(key, value) => {
                        prop_assert_eq!(table.get_or_insert_with(&key, || value), map.entry(key).or_insert(value));
                    }
                    Step::Retain(least) => {
                        table.retain(|key, _| *key >= least);
                        map.retain(|key, _| *key >= least);
                    }
                    Step::Again => table = table.clone().into_entries().chain(table.into_entries()).collect(),
                }
                prop_assert!(table.iter().eq(map.iter()));
                prop_assert_eq!((table.len(), table.is_empty()), (map.len(), map.is_empty()));
                for key in 0..20 {
                    prop_assert_eq!(table.get(&key), map.get(&key));
                    prop_assert_eq!(table.contains_key(&key), map.contains_key(&key));
                }
            }
        }
    }
}
