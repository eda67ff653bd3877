//! Set filters on people, and "only people in the kept groups".

use std::collections::HashSet;

use super::{Draft, Fate, Person, reasons};
use crate::note::{Note, Step};
use crate::rules::Rules;

/// Leaves out people whom `sync.userFilter` does not keep. Whoever has no address cannot be checked, and is kept: the server ignores
/// leavers it does not know, and anybody else is left out for want of an address.
pub(super) fn people(draft: Draft, rules: &Rules) -> Draft {
    let Some(filter) = &rules.user_filter else { return draft };
    let keeps = |person: &Person| person.email.as_ref().is_none_or(|email| filter.keeps(email.as_str()));
    retain(draft, keeps, reasons::USER_FILTER)
}

/// With a group filter, leaves out people who are in none of the kept groups, except leavers.
pub(super) fn only_group_members(draft: Draft, rules: &Rules) -> Draft {
    if rules.group_filter.is_none() {
        return draft;
    }
    let members: HashSet<_> = draft.groups.iter().flat_map(|group| group.members.iter().cloned()).collect();
    let keeps = |person: &Person| person.fate == Fate::Leaves || members.contains(&person.external_id);
    retain(draft, keeps, reasons::NO_KEPT_GROUP)
}

fn retain(mut draft: Draft, keeps: impl Fn(&Person) -> bool, reason: &str) -> Draft {
    let (kept, dropped): (Vec<_>, Vec<_>) = draft.people.into_iter().partition(keeps);
    draft.notes.extend(dropped.iter().map(|person| Note::info(Step::Filter, person.label(), reason)));
    Draft { people: kept, ..draft }
}
