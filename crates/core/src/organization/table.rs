//! A map in the order of its keys, whose values are found by hash: ids of one directory often begin alike, and comparing their texts
//! from step to step costs more than all else in a large organization.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;

use foldhash::HashMap as FastMap;

/// Values by key. Removed ones leave a hole behind, which [`Table::clone`] and the next run do not have.
pub(super) struct Table<K, V> {
    values: Vec<Option<V>>,
    /// Where the value of a key is, to find it.
    by_key: FastMap<K, u32>,
    /// Where it is, in order.
    order: BTreeMap<K, u32>,
}

impl<K: Ord + Hash + Clone, V> Table<K, V> {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether there is a value.
    pub(super) fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.by_key.contains_key(key)
    }

    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.values.get(*self.by_key.get(key)? as usize)?.as_ref()
    }

    /// The value with the key as it is kept: cloning that shares its text.
    pub(super) fn entry<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (key, at) = self.by_key.get_key_value(key)?;
        Some((key, self.values.get(*at as usize)?.as_ref()?))
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(*self.by_key.get(key)? as usize)?.as_mut()
    }

    pub(super) fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.by_key.get(key) {
            Some(at) => *at as usize,
            None => self.push(key.clone()),
        };
        self.values[at].get_or_insert_with(make)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let at = match self.by_key.get(&key) {
            Some(at) => *at as usize,
            None => self.push(key),
        };
        self.values[at] = Some(value);
    }

    /// Makes room for a key that is not there.
    fn push(&mut self, key: K) -> usize {
        let at = self.values.len();
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        self.by_key.insert(key.clone(), number);
        self.order.insert(key, number);
        self.values.push(None);
        at
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.by_key.remove(key)?;
        self.order.remove(key);
        self.values.get_mut(at as usize)?.take()
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&K, &V) -> bool) {
        let Self { values, by_key, order } = self;
        order.retain(|key, at| {
            let Some(value) = values.get_mut(*at as usize) else { return false };
            let is_kept = value.as_ref().is_some_and(|value| is_kept(key, value));
            if !is_kept {
                *value = None;
                by_key.remove(key);
            }
            is_kept
        });
    }

    /// In the order of keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.order.iter().filter_map(|(key, at)| Some((key, self.values.get(*at as usize)?.as_ref()?)))
    }

    /// In the order of keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Changes every value, in the order in which they came.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.iter_mut().flatten()
    }

    /// Changes every value, in the order of keys.
    pub(super) fn for_each_mut(&mut self, mut change: impl FnMut(&K, &mut V)) {
        let Self { values, order, .. } = self;
        for (key, at) in order {
            if let Some(value) = values.get_mut(*at as usize).and_then(Option::as_mut) {
                change(key, value);
            }
        }
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        let Self { mut values, order, .. } = self;
        order.into_iter().filter_map(move |(key, at)| Some((key, values.get_mut(at as usize)?.take()?)))
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { values: Vec::new(), by_key: FastMap::default(), order: BTreeMap::new() }
    }
}

/// Of several values of one key the last counts, as in other maps.
impl<K: Ord + Hash + Clone, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries: Vec<(K, V)> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (mut values, mut order) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        let mut by_key = FastMap::with_capacity_and_hasher(entries.len(), Default::default());
        for (number, (key, value)) in (0_u32..).zip(entries) {
            by_key.insert(key.clone(), number);
            order.push((key, number));
            values.push(Some(value));
        }
        let order: BTreeMap<K, u32> = order.into_iter().collect();
        Self { values, by_key, order }
    }
}

impl<K: Ord + Hash + Clone, V: Clone> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        self.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl<K: Ord + Hash + Clone, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Hash + Clone, V: Eq> Eq for Table<K, V> {}

impl<K: Ord + Hash + Clone + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
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
