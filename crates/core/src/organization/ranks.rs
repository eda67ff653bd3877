//! Members of groups in the order of what they are known by, which is compared once for all groups.

use super::changes::{Slot, SlotId};

/// Ranks of slots by a key.
pub(super) struct Ranks<K> {
    /// By slot. `None` of those who have no key.
    of_slots: Vec<Option<u32>>,
    /// Each once, in order.
    keys: Vec<K>,
}

impl<K: Ord> Ranks<K> {
    pub(super) fn of<'a>(slots: &'a [Slot], key: impl Fn(&'a Slot) -> Option<K>) -> Self {
        let slots_with_key = slots.iter().enumerate().filter_map(|(at, slot)| Some((key(slot)?, at)));
        let mut with_key: Vec<(K, usize)> = slots_with_key.collect();
        // Mostly in order, which a stable sort makes use of.
        with_key.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut ranks = Self { of_slots: vec![None; slots.len()], keys: Vec::with_capacity(with_key.len()) };
        for (key, at) in with_key {
            if ranks.keys.last() != Some(&key) {
                ranks.keys.push(key);
            }
            ranks.of_slots[at] = u32::try_from(ranks.keys.len() - 1).ok();
        }
        ranks
    }

    /// Keys of these slots, in order; those who have none are left out.
    pub(super) fn in_order(
        &self,
        slots: impl Iterator<Item = SlotId>,
    ) -> impl ExactSizeIterator<Item = &K> + Clone {
        let rank = |slot: SlotId| self.of_slots.get(slot as usize).copied().flatten();
        let mut ranks: Vec<u32> = slots.filter_map(rank).collect();
        ranks.sort_unstable();
        ranks.into_iter().map(|rank| &self.keys[rank as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Email, ExternalId};

    fn slot(after: Option<&str>) -> Slot {
        let email = Email::parse("a@x.org").unwrap();
        Slot { member: None, email, before: None, after: after.map(ExternalId::from) }
    }

    #[test]
    fn keys_are_in_order() {
        let slots = [Some("c"), None, Some("a"), Some("b"), Some("a")].map(slot);
        let ranks = Ranks::of(&slots, |slot| slot.after.as_ref());
        let ids: Vec<&str> = ranks.in_order([0, 1, 2, 4, 9].into_iter()).map(|id| id.as_str()).collect();
        assert_eq!(ids, ["a", "a", "c"]);
    }
}
