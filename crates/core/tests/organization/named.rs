//! Sequences that the random worlds have found, each by its name.

use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::{Absent, OnLimit, Relink, VanishedGroups};

use bwdc_core::rules::DisabledUsers;

use crate::limited;
use crate::ops::Op::{self, *};
use crate::stateful::play;
use crate::world::Fault::{Lost, None, Unheard};

fn both(ops: &[Op]) {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        play(kind, ops).unwrap();
    }
}

#[test]
fn a_lost_new_address_and_then_the_person_is_deleted() {
    both(&[Hire(1), Sync(Unheard(1)), NewAddress(1), Sync(Lost(0)), Delete(1)]);
}

#[test]
fn a_lost_new_group_that_is_dropped_again() {
    both(&[
        Hire(1),
        MakeGroup(1),
        Sync(None),
        NewAddress(1),
        Hire(4),
        NewGroupId(1),
        Sync(Lost(0)),
        DropGroup(1),
    ]);
}

#[test]
fn a_lost_newcomer_who_goes_and_comes_again() {
    both(&[Hire(0), Sync(Lost(0)), Vanish(0), Sync(None), Hire(0)]);
}

#[test]
fn a_lost_group_that_is_renamed() {
    both(&[MakeGroup(2), Sync(Lost(0)), RenameGroup(2)]);
}

#[test]
fn a_lost_relink_of_somebody_whom_the_filter_leaves_out_then() {
    both(&[Hire(2), Sync(None), NewId(2), Relink(Relink::Address), Sync(Lost(0)), Exclude(2)]);
    both(&[Hire(2), Sync(None), NewId(2), Relink(Relink::Address), Sync(Lost(0)), Sync(Lost(0)), Exclude(2)]);
    both(&[Hire(4), Relink(Relink::Address), Sync(None), NewId(4), Sync(Lost(0)), Vanish(4)]);
}

#[test]
fn a_lost_newcomer_whom_the_filter_leaves_out_then() {
    both(&[MakeGroup(1), Join(1, 4), Hire(4), Sync(Lost(0)), Exclude(4)]);
    both(&[Hire(0), MakeGroup(2), Sync(None), NewAddress(0), Sync(Lost(0)), Exclude(0), Join(2, 0)]);
    both(&[Hire(4), Sync(Unheard(0)), Exclude(4), MakeGroup(2), Join(2, 4)]);
}

#[test]
fn a_lost_new_address_and_then_the_person_vanishes() {
    both(&[Hire(5), Sync(None), NewAddress(5), Sync(Lost(0)), Vanish(5)]);
}

#[test]
fn a_relink_that_nobody_heard_of_and_then_the_person_vanishes() {
    both(&[
        Hire(5),
        Absent(Absent::Missing),
        Relink(Relink::Address),
        Sync(None),
        NewId(5),
        Sync(Unheard(0)),
        Vanish(5),
    ]);
}

/// Given access back by hand, and gone from the directory without a word: nobody is removed for a grace that has been taken back.
#[test]
fn restored_by_hand_and_the_tombstone_is_gone_when_the_grace_ends() {
    let ops =
        [Grace(1), Hire(5), Sync(None), Delete(5), Sync(None), Hire(0), HandRestore(5), Vanish(5), Pass(24)];
    play(Kind::Official, &ops).unwrap();
}

#[test]
fn a_used_id() {
    both(&[Hire(0), Hire(5), Sync(None), Hire(3), Vanish(5), Hire(3), UsedId(1, 5)]);
    both(&[Hire(2), Sync(None), Vanish(2), UsedId(5, 2), Delete(5)]);
    both(&[Hire(2), Sync(None), Vanish(2), UsedId(5, 2), Exclude(5)]);
}

#[test]
fn swapped_addresses_of_somebody_whom_the_filter_leaves_out() {
    both(&[Exclude(1), Hire(1), Hire(2), Sync(None), Swap(1, 2)]);
    both(&[Exclude(5), Hire(1), Hire(0), Hire(5), Sync(None), Delete(0), Swap(1, 5)]);
    both(&[MakeGroup(1), Exclude(5), Hire(2), Join(1, 5), Hire(5), Sync(None), Swap(2, 5)]);
    both(&[Hire(4), Sync(None), Exclude(4), NewAddress(4), Hire(1), Sync(None), Swap(1, 4)]);
}

#[test]
fn swapped_addresses_after_a_new_id() {
    both(&[Hire(1), Hire(0), Sync(None), NewId(0), Sync(None), Swap(1, 0), Sync(None), NewAddress(1)]);
}

#[test]
fn a_lost_relink_with_limits() {
    let relink = Relink(Relink::Address);
    let ops =
        [MakeGroup(2), Hire(0), Join(2, 2), Hire(2), Sync(None), NewId(2), relink, Sync(Lost(0)), Hire(3)];
    limited::play(Kind::Vaultwarden, OnLimit::Hold, &ops).unwrap();
}

#[test]
fn an_invitation_after_a_new_address_counts_again() {
    let ops = [Hire(1), Hire(0), Hire(5), Sync(Unheard(1)), HandRemove(5), NewAddress(5), Sync(None)];
    limited::play(Kind::Official, OnLimit::Hold, &ops).unwrap();
}

#[test]
fn a_lost_removal_counts_when_it_is_sent_again() {
    let ops =
        [Hire(0), Hire(5), Sync(None), NewAddress(5), Sync(Lost(0)), Pass(24), NewAddress(0), Sync(None)];
    limited::play(Kind::Vaultwarden, OnLimit::Hold, &ops).unwrap();
}

/// The address of somebody who was known by an earlier id is a leaver's by now: the old membership ends.
#[test]
fn a_swap_with_a_leaver_after_a_new_id() {
    let remove = Disabled(DisabledUsers::Remove);
    let ops = [Hire(2), Sync(None), remove, Hire(5), NewId(2), Sync(None), Disable(5), Swap(5, 2)];
    both(&ops);
}

#[test]
fn a_swap_with_somebody_left_out_whose_leaving_is_held() {
    let ops =
        [Hire(0), Hire(5), Sync(None), Delete(5), Sync(None), Exclude(0), Hire(2), Sync(None), Swap(0, 2)];
    limited::play(Kind::Vaultwarden, OnLimit::Hold, &ops).unwrap();
}

#[test]
fn a_lost_swap_and_then_one_of_them_vanishes() {
    both(&[Hire(0), Hire(3), Sync(None), Swap(0, 3), Sync(Lost(0)), Vanish(3)]);
}

#[test]
fn somebody_whose_id_was_used_comes_back() {
    let ops =
        [Hire(2), Sync(None), Hire(5), Hire(0), Vanish(2), UsedId(1, 2), Sync(None), Hire(2), Delete(0)];
    limited::play(Kind::Official, OnLimit::Hold, &ops).unwrap();
}

#[test]
fn a_change_of_ids_that_was_lost_and_another_one() {
    both(&[Hire(2), Sync(None), NewId(2), Sync(None), Relink(Relink::Address), Sync(Lost(0)), NewId(2)]);
    both(&[Relink(Relink::Address), Hire(2), Sync(None), NewId(2), Sync(Unheard(0)), Vanish(2), Hire(2)]);
}

#[test]
fn invited_by_hand_while_the_filter_left_the_person_out() {
    both(&[Exclude(0), Hire(0), Sync(None), HandInvite(0), Sync(None), Include(0), NewAddress(0)]);
}

#[test]
fn somebody_left_out_has_the_former_id_of_a_leaver() {
    both(&[Hire(0), Hire(2), Sync(None), Swap(2, 0), Exclude(0), Sync(None), Delete(2)]);
}

#[test]
fn somebody_whose_id_is_used_comes_back_and_is_made_an_owner() {
    both(&[Hire(2), Sync(None), Vanish(2), UsedId(0, 2), Hire(2), Own(2)]);
}

#[test]
fn an_owner_changes_id_and_address_while_disabled() {
    let ops =
        [Hire(5), Sync(None), Disabled(DisabledUsers::Remove), NewId(5), Own(5), Disable(5), Sync(None)];
    both(&[ops.as_slice(), &[NewAddress(5), Disabled(DisabledUsers::Keep)]].concat());
}

#[test]
fn a_vanished_group_is_emptied_of_somebody_whose_lost_leaving_is_repeated() {
    let empty = Vanished(VanishedGroups::Empty);
    for gone in [DropGroup(2), NewGroupId(2)] {
        both(&[
            MakeGroup(2),
            Hire(0),
            Join(2, 0),
            Sync(None),
            gone,
            NewAddress(0),
            Sync(Lost(0)),
            empty.clone(),
        ]);
    }
}

/// The tombstone of an id says nothing of somebody who was made again with another one.
#[test]
fn somebody_made_again_is_not_in_the_directory_any_more() {
    both(&[Hire(2), Sync(None), Delete(2), Hire(2), Sync(None), Vanish(2)]);
    both(&[
        Hire(2),
        Sync(None),
        Vanish(2),
        Relink(Relink::Address),
        UsedId(5, 2),
        Hire(2),
        Delete(5),
        Sync(None),
        Vanish(2),
    ]);
}
