//! Runs that find everything as the last one left it: they neither read the ledger nor decide anew, and miss nothing.

use std::path::PathBuf;

use bwdc_sandbox::{Edit, Flavour};

use super::{BOTH, directory, numbered, scene, set};
use crate::harness::{Instance, Organization};

const GROUPS: &str = "g,Staff,0;1;2\nh,Crew,3;4\n";

/// A company that has come to rest.
fn resting(flavour: Flavour) -> (Organization, Instance) {
    let (organization, instance) = scene(flavour, &numbered(0, 10), GROUPS);
    set(&instance, "sync.verifyEvery", "1s");
    for _ in 0..3 {
        instance.run(&["sync"]).ok();
    }
    assert!(is_at_rest(&instance), "{flavour:?}");
    (organization, instance)
}

fn beginning_with(instance: &Instance, start: &str) -> PathBuf {
    let files = std::fs::read_dir(instance.data_folder()).unwrap().map(|entry| entry.unwrap().path());
    let found = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(start));
    let found: Vec<PathBuf> = found.collect();
    assert_eq!(found.len(), 1, "{start}: {found:?}");
    found[0].clone()
}

fn is_at_rest(instance: &Instance) -> bool {
    std::fs::read_to_string(beginning_with(instance, "seen-")).unwrap().contains("\"evidence\"")
}

/// Memberships are due once a second, and times are whole seconds.
fn until_memberships_are_due() {
    std::thread::sleep(std::time::Duration::from_millis(1_100));
}

/// The ledger is not read: one that is damaged behind its first words is noticed only when there is something to do.
#[test]
fn the_ledger_is_not_read_until_something_has_changed() {
    for flavour in BOTH {
        let (organization, instance) = resting(flavour);
        let ledger = beginning_with(&instance, "ledger-");
        let text = std::fs::read_to_string(&ledger).unwrap();
        std::fs::write(&ledger, &text[..text.len() - 5]).unwrap();
        assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
        directory(&instance, &numbered(0, 11), GROUPS);
        instance.run(&["sync"]).fails(1, &["ledger-", "is damaged"]);
        std::fs::write(&ledger, &text).unwrap();
        instance.run(&["sync"]).ok();
        assert!(organization.emails().contains(&"p10@x.org".to_owned()), "{flavour:?}");
    }
}

/// A ledger as an earlier version wrote it is written anew once, and then at rest as any other.
#[test]
fn a_ledger_of_the_first_form_comes_to_rest() {
    for flavour in BOTH {
        let (organization, instance) = resting(flavour);
        let path = beginning_with(&instance, "ledger-");
        let read = || serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap()).unwrap();
        let mut kept = read();
        assert_eq!(kept["ledger"]["version"], 3, "{kept}");
        kept["ledger"]["version"] = 1.into();
        kept["print"] = 1.into();
        let ids: Vec<String> = kept["ledger"]["people"].as_object().unwrap().keys().cloned().collect();
        for group in kept["ledger"]["groups"].as_object_mut().unwrap().values_mut() {
            for member in group["members"].as_array_mut().unwrap() {
                *member = ids[usize::try_from(member.as_u64().unwrap()).unwrap()].clone().into();
            }
        }
        std::fs::write(&path, kept.to_string()).unwrap();
        let sent = organization.changes_of(|| (0..3).for_each(|_| drop(instance.run(&["sync"]).ok())));
        assert!(sent.is_empty(), "{flavour:?}: {sent:?}");
        assert!(read()["ledger"]["version"] == 3 && is_at_rest(&instance), "{flavour:?}: {}", read());
    }
}

/// Members, groups, and the memberships that are due: nothing else is asked.
#[test]
fn only_the_lists_and_what_is_due_are_asked_for() {
    let (organization, instance) = resting(Flavour::Official);
    until_memberships_are_due();
    let mut asked = organization.requests_of(|| drop(instance.run(&["sync"]).ok()));
    asked.retain(|request| !request.contains("/connect/token"));
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked.iter().filter(|request| request.ends_with("/member-ids")).count(), 2, "{asked:?}");
    set(&instance, "sync.verifyEvery", "off");
    instance.run(&["sync"]).ok();
    let asked = organization.requests_of(|| drop(instance.run(&["sync"]).ok()));
    assert_eq!(asked.len(), 2, "{asked:?}");
}

/// A change to the directory, the organization or the settings, and whether it is done.
type Change = (&'static str, fn(&Organization, &Instance), fn(&Organization) -> bool);

#[test]
fn whatever_changes_is_noticed() {
    fn edit(organization: &Organization, edit: Edit) {
        organization.sandbox.edit(edit).unwrap();
    }
    let changes: [Change; 8] = [
        (
            "joiner",
            |_, instance| directory(instance, &numbered(0, 11), GROUPS),
            |organization| organization.emails().len() == 11,
        ),
        (
            "leaver",
            |_, instance| {
                directory(instance, &numbered(0, 10).replace("9,p9@x.org,", "9,p9@x.org,left"), GROUPS);
            },
            |organization| !organization.active().contains(&"p9@x.org".to_owned()),
        ),
        (
            "setting",
            |_, instance| {
                directory(instance, &numbered(0, 9), GROUPS);
                instance.run(&["sync"]).ok();
                instance.run(&["sync"]).ok();
                set(instance, "sync.removeMissing", "true");
            },
            |organization| organization.active().len() == 9,
        ),
        (
            "membership in the directory",
            |_, instance| directory(instance, &numbered(0, 10), "g,Staff,0;1\nh,Crew,3;4\n"),
            |organization| organization.group("Staff").len() == 2,
        ),
        (
            "removed by hand",
            |organization, _| edit(organization, Edit::Remove("p0@x.org".into())),
            |organization| organization.group("Staff").len() == 3,
        ),
        (
            "renamed by hand",
            |organization, _| {
                edit(organization, Edit::RenameGroup { group: "h".into(), name: "Pirates".into() })
            },
            |organization| organization.group("Crew").len() == 2,
        ),
        (
            "taken out of a group by hand",
            |organization, _| {
                edit(organization, Edit::Leave { group: "h".into(), member: "p3@x.org".into() })
            },
            |organization| organization.group("Crew").len() == 2,
        ),
        (
            "put into a group by hand",
            |organization, _| edit(organization, Edit::Join { group: "h".into(), member: "p9@x.org".into() }),
            |organization| organization.group("Crew").len() == 2,
        ),
    ];
    for (what, change, is_done) in changes {
        let (organization, instance) = resting(Flavour::Official);
        change(&organization, &instance);
        until_memberships_are_due();
        instance.run(&["sync"]).ok();
        assert!(is_done(&organization), "{what}");
    }
}

/// Nor is a cache that was cleared, or evidence that is a day old, taken for rest.
#[test]
fn evidence_ends() {
    let (organization, instance) = resting(Flavour::Vaultwarden);
    instance.run(&["clear-cache"]).ok();
    let sent = organization.changes_of(|| drop(instance.run(&["sync"]).ok()));
    assert_eq!(sent.len(), 1, "{sent:?}");
    for _ in 0..2 {
        instance.run(&["sync"]).ok();
    }
    let seen = beginning_with(&instance, "seen-");
    let mut kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&seen).unwrap()).unwrap();
    kept["evidence"]["until"] = 1.into();
    std::fs::write(&seen, kept.to_string()).unwrap();
    instance.run(&["sync"]).ok();
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&seen).unwrap()).unwrap();
    assert!(kept["evidence"]["until"].as_i64().unwrap() > 1, "{kept}");
}
