//! Sequences that the random worlds have found, each by its name.

use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::{Absent, Relink};

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

#[test]
fn a_used_id() {
    both(&[Hire(0), Hire(5), Sync(None), Hire(3), Vanish(5), Hire(3), UsedId(1, 5)]);
    both(&[Hire(2), Sync(None), Vanish(2), UsedId(5, 2), Delete(5)]);
    both(&[Hire(2), Sync(None), Vanish(2), UsedId(5, 2), Exclude(5)]);
}
