//! The plan as a document.

use bwdc_core::organization::document::{Document, Heading};
use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::Limit;
use bwdc_core::snapshot::Coverage;

use crate::ops::Op::*;
use crate::today::{company, plan, settings};
use crate::world::World;

pub(crate) fn heading() -> Heading {
    Heading {
        created_at: "2026-01-01T00:00:00Z".into(),
        expires_at: "2026-01-02T00:00:00Z".into(),
        organization: "org".into(),
        server: "https://x.org".into(),
        coverage: Coverage::Full,
    }
}

#[test]
fn the_document_has_the_keys_of_the_contract() {
    let mut world = company(Kind::Official, 3, settings());
    world.play(&Hire(9));
    world.play(&Join(0, 9));
    world.play(&Quit(0, 1));
    let document = Document::of(&plan(&world).0, heading());
    let text = serde_json::to_string(&document).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
    let expected = serde_json::json!({
        "object": "plan", "version": 1, "createdAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-01-02T00:00:00Z",
        "organization": {"id": "org", "server": "https://x.org", "kind": "official"},
        "basis": "live", "coverage": "full",
        "members": [{"action": "invite", "email": "a9@x.org", "externalId": "id9v5", "memberId": null, "cause": "new",
            "held": false}],
        "groups": [{"action": "update", "name": "Group 0", "externalId": "g0v1", "groupId": "new:00000004", "cause": "new",
            "held": false, "join": ["id9v5"], "leave": ["id1v3"], "heldLeave": []}],
        "addresses": {"id9v5": "a9@x.org", "id1v3": "a1@x.org"},
        "warnings": [{"code": "mailsSent", "subject": "", "text": "One person gets an invitation by mail."}],
        "limits": [
            {"limit": "removals", "allowed": 5, "wanted": 0, "tripped": false},
            {"limit": "leaves", "allowed": 25, "wanted": 1, "tripped": false},
            {"limit": "repairs", "allowed": 25, "wanted": 0, "tripped": false},
            {"limit": "invites", "allowed": null, "wanted": 1, "tripped": false},
        ],
        "summary": {"invite": 1, "stage": 0, "adopt": 0, "relink": 0, "restore": 0, "revoke": 0, "remove": 0,
            "unchanged": 3, "groupsCreated": 0, "groupsRenamed": 0, "groupsUpdated": 1, "groupsEmptied": 0,
            "groupsDeleted": 0, "join": 1, "leave": 1, "held": 0,
            "seats": {"inUse": 4, "needed": 1, "available": null}}
    });
    let mut value = serde_json::to_value(&document).unwrap();
    let seal = value.as_object_mut().unwrap().remove("seal");
    assert_eq!(value, expected);
    assert_eq!(seal.unwrap().as_str().map(str::len), Some(16));
}

#[test]
fn names_before_and_names_that_are_held_are_told() {
    let mut world = company(Kind::Official, 3, settings());
    world.play(&HandRename(0));
    let by_hand = world.server.groups().next().unwrap().name.clone();
    let names = |world: &World| {
        let group = Document::of(&plan(world).0, heading()).groups.remove(0);
        (group.name, group.renamed_from, group.held_name)
    };
    assert_eq!(names(&world), ("Group 0".into(), Some(by_hand.clone()), None));
    world.settings.limit_repairs = Limit::Number(0);
    assert_eq!(names(&world), (by_hand, None, Some("Group 0".into())));
}
