//! Changes in the organization that no import made, and groups that the directory does not have any more.

use bwdc_sandbox::{Edit, Flavour, Group};

use super::{BOTH, directory, numbered, scene, set};
use crate::harness::Organization;

fn find(organization: &Organization, name: &str) -> Option<Group> {
    organization.sandbox.groups().unwrap().into_iter().find(|group| group.name == name)
}

/// Somebody removed, a group renamed, somebody put in, somebody taken out.
#[test]
fn drift_by_hand_is_mended() {
    let (organization, instance) = scene(Flavour::Official, &numbered(0, 10), "g,Staff,0;1;2\nh,Crew,3;4\n");
    set(&instance, "sync.verifyEvery", "1s");
    instance.run(&["sync"]).ok();
    let edit = |edit: Edit| organization.sandbox.edit(edit).unwrap();
    let before = organization.sandbox.groups().unwrap();
    edit(Edit::Remove("p0@x.org".into()));
    edit(Edit::RenameGroup { group: "h".into(), name: "Pirates".into() });
    edit(Edit::Join { group: "h".into(), member: "p9@x.org".into() });
    edit(Edit::Leave { group: "h".into(), member: "p3@x.org".into() });
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 10);
    assert_eq!(organization.sandbox.groups().unwrap(), before);
    assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
}

/// Other groups, and people whom no directory has, are nobody's business.
#[test]
fn what_is_not_ours_stays() {
    let (organization, instance) = scene(Flavour::Official, &numbered(0, 3), "g,Staff,0;1\n");
    set(&instance, "sync.removeMissing", "true");
    set(&instance, "sync.verifyEvery", "1s");
    instance.run(&["sync"]).ok();
    let edit = |edit: Edit| organization.sandbox.edit(edit).unwrap();
    edit(Edit::CreateGroup { name: "Ours".into(), external_id: None });
    edit(Edit::Join { group: "Ours".into(), member: "p2@x.org".into() });
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
    assert_eq!(organization.group("Ours"), ["p2@x.org"]);
}

/// A restored or wrong server is held, and comes back when an administrator says so.
#[test]
fn mass_drift_is_held() {
    let (organization, instance) = scene(Flavour::Official, &numbered(0, 20), "g,Staff,0;1;2\n");
    instance.run(&["sync"]).ok();
    for at in 3..12 {
        organization.sandbox.edit(Edit::Remove(format!("p{at}@x.org"))).unwrap();
    }
    directory(&instance, &numbered(0, 21), "g,Staff,0;1;2\n");
    let words =
        ["9 changes made by somebody else would be undone", "sync.limitRepairs", "p5@x.org", "bwdc approve"];
    instance.run(&["sync"]).fails(5, &words);
    // Everything else was done.
    assert_eq!(organization.emails().len(), 12);
    assert!(organization.emails().contains(&"p20@x.org".to_owned()));
    instance.run(&["approve"]).fails(5, &[]);
    instance.run(&["sync"]).fails(5, &words);
    instance.run(&["approve", "--yes"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 21);
}

/// Told in every run, with the number of members, until it is decided what becomes of it.
#[test]
fn a_group_that_vanished() {
    for flavour in BOTH {
        for wish in ["empty", "delete"] {
            let (organization, instance) = scene(flavour, &numbered(0, 4), "g,Staff,0;1\nh,Crew,2;3\n");
            instance.run(&["sync"]).ok();
            directory(&instance, &numbered(0, 4), "g,Staff,0;1\n");
            for _ in 0..2 {
                let sent = organization.changes_of(|| {
                    let ran = instance.run(&["sync"]).ok();
                    assert!(ran.err.contains("Crew") && ran.err.contains("its 2 members"), "{}", ran.err);
                    assert!(ran.err.contains("sync.vanishedGroups"), "{}", ran.err);
                });
                assert!(sent.is_empty(), "{sent:?}");
            }
            set(&instance, "sync.vanishedGroups", wish);
            instance.run(&["sync"]).ok();
            let left = find(&organization, "Crew").map(|group| group.members);
            let expected = match (flavour, wish) {
                (Flavour::Official, "delete") => None,
                _ => Some(Vec::new()),
            };
            assert_eq!(left, expected, "{flavour:?} {wish}");
            assert_eq!(organization.group("Staff"), ["p0@x.org", "p1@x.org"]);
            assert_eq!(organization.active().len(), 4);
            let sent = organization.changes_of(|| assert_eq!(instance.run(&["sync"]).ok().err, ""));
            assert!(sent.is_empty(), "{sent:?}");
        }
    }
}
