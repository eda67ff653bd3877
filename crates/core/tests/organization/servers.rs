//! Rows of the table of outcomes in the notes on the API, for both servers.

use bwdc_core::import::ImportRequest;
use bwdc_core::organization::roster::{Former, Kind, Seats, Staging, Status};
use bwdc_core::organization::server::{Call, Refusal, Who, after, carry_out};

use crate::made::{group, import_group, leaves, member, owner, request, roster, shown, stays};

const CONFIRMED: Status = Status::Confirmed;

#[test]
fn the_official_server_goes_by_the_external_id() {
    let before = roster(
        Kind::Official,
        [
            member("gone", "1", CONFIRMED),
            member("moved", "2", CONFIRMED),
            member("byhand", "", CONFIRMED),
            member("revoked", "4", Status::Revoked(Former::Unknown)),
            owner("chief", "5"),
            member("taken", "6", CONFIRMED),
        ],
        [group("Old name", "g1", &["gone", "moved", "byhand"])],
    );
    let import = request(
        &[
            leaves("other-address", "1"),
            stays("moved-new", "2"),
            stays("byhand", "3"),
            stays("revoked", "4"),
            leaves("chief", "5"),
            stays("taken", "7"),
            stays("new", "8"),
        ],
        &[import_group("New name", "g1", &["1", "2", "3", "7", "8"]), import_group("Other", "g2", &["4"])],
    );
    assert_eq!(
        shown(&after(&before, &Call::Import(import)).unwrap()),
        [
            "New name g1 [byhand moved new]",
            "Other g2 [revoked]",
            "byhand@x.org 3 Confirmed",
            "chief@x.org 5 Confirmed",
            "moved@x.org 2 Confirmed",
            "new@x.org 8 Invited",
            "revoked@x.org 4 Revoked(Unknown)",
            "taken@x.org 6 Confirmed",
        ]
    );
}

#[test]
fn vaultwarden_goes_by_the_address() {
    let before = roster(
        Kind::Vaultwarden,
        [
            member("gone", "1", CONFIRMED),
            member("a", "2", CONFIRMED),
            member("back", "4", Status::Revoked(Former::Accepted)),
            owner("chief", "5"),
        ],
        [group("Old name", "g1", &["gone", "a"])],
    );
    let import = request(
        &[leaves("gone", "1"), stays("a-new", "2"), stays("back", "4b"), leaves("chief", "5")],
        &[import_group("New name", "g1", &["2", "4b"])],
    );
    assert_eq!(
        shown(&after(&before, &Call::Import(import)).unwrap()),
        [
            // The first with the id.
            "Old name g1 [a back]",
            "a-new@x.org 2 Invited",
            "a@x.org 2 Confirmed",
            "back@x.org 4b Accepted",
            "chief@x.org 5 Revoked(Confirmed)",
            "gone@x.org 1 Revoked(Confirmed)",
        ]
    );
}

#[test]
fn overwriting_removes_who_is_not_listed() {
    let people = || [member("a", "1", CONFIRMED), member("b", "2", CONFIRMED), owner("chief", "3")];
    let import = Call::Import(ImportRequest { overwrite_existing: true, ..request(&[stays("a", "1")], &[]) });
    let official = roster(Kind::Official, people(), []);
    assert_eq!(
        shown(&after(&official, &import).unwrap()),
        ["a@x.org 1 Confirmed", "chief@x.org 3 Confirmed"]
    );
    let vaultwarden = roster(Kind::Vaultwarden, people(), []);
    assert_eq!(shown(&after(&vaultwarden, &import).unwrap()), ["a@x.org 1 Confirmed"]);
}

#[test]
fn an_overwrite_that_fails_has_removed_the_deleted() {
    let people =
        [member("a", "1", CONFIRMED), member("b", "2", CONFIRMED), member("c", "3", Status::Invited)];
    let mut official = roster(Kind::Official, people, []);
    let import = ImportRequest { overwrite_existing: true, ..request(&[leaves("b", "2")], &[]) };
    assert_eq!(carry_out(&mut official, &Call::Import(import)), Err(Refusal::NoMasterPassword));
    assert_eq!(shown(&official), ["a@x.org 1 Confirmed", "c@x.org 3 Invited"]);
}

#[test]
fn what_the_official_server_fails_on() {
    let twins = [member("a", "1", CONFIRMED), member("b", "1", CONFIRMED)];
    let nothing = Call::Import(request(&[], &[]));
    assert_eq!(after(&roster(Kind::Official, twins, []), &nothing), Err(Refusal::Broken));
    let empty = || roster(Kind::Official, [], []);
    let twice = Call::Import(request(&[stays("a", "1"), stays("a", "2")], &[]));
    assert_eq!(after(&empty(), &twice), Err(Refusal::Broken));
    let people = [member("a", "", CONFIRMED), member("b", "1", CONFIRMED)];
    let adopted_twice = Call::Import(request(&[stays("a", "1")], &[]));
    assert_eq!(after(&roster(Kind::Official, people, []), &adopted_twice), Err(Refusal::Broken));
    let mut full = empty();
    full.seats = Some(Seats { available: 2, at_most: Some(2) });
    let two = Call::Import(request(&[stays("a", "1"), stays("b", "2")], &[]));
    assert_eq!(after(&full, &two), Err(Refusal::NoSeats));
    full.seats = Some(Seats { available: 2, at_most: Some(3) });
    assert_eq!(after(&full, &two).unwrap().seats.unwrap().available, 3);
}

#[test]
fn staging_needs_a_server_that_knows_it() {
    let mut official = roster(Kind::Official, [], []);
    let import = Call::Import(ImportRequest {
        invite_users_after_provisioning: false,
        ..request(&[stays("a", "1")], &[])
    });
    assert_eq!(shown(&after(&official, &import).unwrap()), ["a@x.org 1 Invited"]);
    official.staging = Staging::On;
    assert_eq!(shown(&after(&official, &import).unwrap()), ["a@x.org 1 Staged"]);
}

#[test]
fn single_calls() {
    let mut official = roster(
        Kind::Official,
        [member("a", "1", CONFIRMED), member("b", "2", Status::Invited)],
        [group("G", "g1", &["a"])],
    );
    let mut call = |call: Call| carry_out(&mut official, &call).map(|()| shown(&official));
    assert_eq!(call(Call::Restore("m-a".into())), Err(Refusal::AlreadyActive));
    assert_eq!(call(Call::Revoke("m-a".into())).unwrap()[1], "a@x.org 1 Revoked(Confirmed)");
    assert_eq!(call(Call::Revoke("m-a".into())), Err(Refusal::AlreadyRevoked));
    assert_eq!(call(Call::Restore("m-a".into())).unwrap()[1], "a@x.org 1 Confirmed");
    assert_eq!(call(Call::Reinvite("m-a".into())), Err(Refusal::NotInvited));
    call(Call::Reinvite("m-b".into())).unwrap();
    let relink = Call::Relink { member: "m-a".into(), external_id: Some("1b".into()) };
    assert_eq!(call(relink).unwrap()[1], "a@x.org 1b Confirmed");
    let rename = Call::PutGroup { group: "g-G".into(), name: "H".into(), external_id: "g2".into() };
    assert_eq!(call(rename).unwrap()[0], "H g2 [a]");
    let members = vec![Who::Member("m-boss".into()), Who::Imported("2".into()), Who::Imported("9".into())];
    let put = Call::PutGroupMembers { group: "g-G".into(), members };
    assert_eq!(call(put).unwrap()[0], "H g2 [b boss]");
    assert_eq!(call(Call::Remove("m-boss".into())), Err(Refusal::NoConfirmedOwner));
    assert_eq!(call(Call::Remove("m-b".into())).unwrap(), ["H g2 [boss]", "a@x.org 1b Confirmed"]);
    assert_eq!(call(Call::DeleteGroup("g-G".into())).unwrap(), ["a@x.org 1b Confirmed"]);
    let vaultwarden = roster(Kind::Vaultwarden, [member("a", "1", CONFIRMED)], []);
    assert_eq!(after(&vaultwarden, &Call::Revoke("m-a".into())), Err(Refusal::NotFound));
}
