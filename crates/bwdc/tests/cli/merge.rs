//! Several directories, one organization, one import.

use std::fs;

use bwdc_sandbox::Options;
use serde_json::{Value, json};

use crate::harness::Organization;
use crate::machine::Machine;

const TOML: &str = "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
                    [organization.acme]\nmerge = [\"hq\", \"berlin\"]\n";

fn scene() -> (Organization, Machine) {
    let organization = Organization::start(Options::default());
    let mut machine = Machine::new();
    machine.add("hq", &organization, "h1,ann@example.org,\nh2,joe@example.org,\n", "hs,Staff,h1;h2\n");
    machine.add("berlin", &organization, "b1,eva@example.org,\nb2,joe@example.org,\n", "bs,Staff,b1;b2\n");
    machine.toml(TOML);
    (organization, machine)
}

fn ledger(organization: &Organization) -> String {
    format!("ledger-{}.json", organization.sandbox.client_id().replace("organization.", ""))
}

fn external_id(organization: &Organization, email: &str) -> Option<String> {
    let members = organization.sandbox.members().unwrap();
    members.into_iter().find(|member| member.email == email).and_then(|member| member.external_id)
}

#[test]
fn both_directories_are_one_import() {
    let (organization, mut machine) = scene();
    machine.toml(&format!("{TOML}prefix = {{ berlin = \"Berlin / \" }}\n"));
    let ran = machine.run(&["sync", "--all"]).ok();
    assert_eq!(
        ran.out,
        "acme: Synced 2 group(s) and 3 user(s).\nTotal: 1 of 1 synced, 2 group(s) and 3 user(s).\n"
    );
    let mut emails = organization.emails();
    emails.sort();
    assert_eq!(emails, ["ann@example.org", "eva@example.org", "joe@example.org"]);
    // The first in the list determines the id; the other's groups contain the same person.
    assert_eq!(external_id(&organization, "joe@example.org").as_deref(), Some("h2"));
    assert_eq!(organization.group("Staff").len(), 2);
    let mut berlin = organization.group("Berlin / Staff");
    berlin.sort();
    assert_eq!(berlin, ["eva@example.org", "joe@example.org"]);
    assert_eq!(organization.imports(), 1);
    // An unchanged import is not sent. What the organization holds decides, not what the folders remember.
    let ran = machine.run(&["sync", "--instance", "acme"]).ok();
    assert_eq!(ran.out, "Syncing complete.\nSynced 0 group(s) and 0 user(s).\n");
    assert_eq!(organization.imports(), 1);
    machine.change("berlin", |data| data["lastSyncHash"] = "other".into());
    fs::remove_file(machine.path("berlin").join(ledger(&organization))).unwrap();
    machine.run(&["sync", "--instance", "acme"]).ok();
    assert_eq!(organization.imports(), 1);
    // Each folder has all that is known, also after the end of the merge.
    let kept = |name: &str| fs::read_to_string(machine.path(name).join(ledger(&organization))).unwrap();
    assert_eq!(kept("hq"), kept("berlin"));
    let (hq, berlin) = (machine.data("hq"), machine.data("berlin"));
    assert_eq!(hq["lastSyncHash"], berlin["lastSyncHash"]);
    assert!(hq["lastUserSync"].is_string() && berlin["lastGroupSync"].is_string());
}

/// A person who is deleted in one directory is active in the other, and keeps the id that the organization knows, until the other
/// deletes the person too.
#[test]
fn the_living_stay() {
    let (organization, machine) = scene();
    machine.run(&["sync", "--all"]).ok();
    machine.people("hq", "h1,ann@example.org,\nh2,joe@example.org,left\n", "hs,Head office,h1\n");
    machine.people("berlin", "b1,eva@example.org,\nb2,joe@example.org,\n", "bs,Berlin,b1;b2\n");
    let ran = machine.run(&["test", "--instance", "acme"]).ok();
    assert!(
        ran.err
            .contains("not removed, because another directory has an active account with the same address"),
        "{}",
        ran.err
    );
    for hq in ["h1,ann@example.org,\nh2,joe@example.org,left\n", "h1,ann@example.org,\n"] {
        machine.people("hq", hq, "hs,Head office,h1\n");
        machine.run(&["sync", "--all"]).ok();
        assert_eq!(external_id(&organization, "joe@example.org").as_deref(), Some("h2"));
        assert_eq!(organization.group("Berlin"), ["eva@example.org", "joe@example.org"]);
    }
    machine.people("berlin", "b1,eva@example.org,\nb2,,left\n", "bs,Berlin,b1\n");
    machine.run(&["sync", "--all"]).ok();
    assert_eq!(organization.emails(), ["ann@example.org", "eva@example.org"]);
}

/// An account created later in a more important directory does not change a person's id.
#[test]
fn the_first_id_stays() {
    let (organization, machine) = scene();
    machine.people("hq", "h1,ann@example.org,\n", "hs,Staff,h1\n");
    machine.run(&["sync", "--all"]).ok();
    assert_eq!(external_id(&organization, "joe@example.org").as_deref(), Some("b2"));
    machine.people("hq", "h1,ann@example.org,\nh2,joe@example.org,\n", "hs,Head office,h1;h2\n");
    for _ in 0..2 {
        machine.run(&["sync", "--all"]).ok();
        assert_eq!(external_id(&organization, "joe@example.org").as_deref(), Some("b2"));
        assert_eq!(organization.group("Head office").len(), 2);
    }
}

#[test]
fn overwriting_keeps_everybody() {
    let (organization, machine) = scene();
    for name in ["hq", "berlin"] {
        machine.change(name, |data| data["sync"]["overwriteExisting"] = true.into());
    }
    machine.run(&["sync", "--all"]).ok();
    assert_eq!(organization.emails().len(), 3);
    machine.people("berlin", "b1,eva@example.org,left\n", "");
    machine.run(&["sync", "--all"]).fails(5, &["No active people were found in berlin"]);
    assert_eq!(organization.emails().len(), 3);
}

#[test]
fn a_failed_read_imports_nothing() {
    let (organization, machine) = scene();
    machine.run(&["sync", "--all"]).ok();
    let before = (machine.data("hq"), machine.data("berlin"), organization.imports());
    machine.people("hq", "h1,ann@example.org,\n", "");
    fs::remove_dir_all(machine.path("berlin").join("company")).unwrap();
    machine.run(&["sync", "--all"]).fails(1, &["acme: berlin: ", "a merge needs all of its directories"]);
    assert_eq!((machine.data("hq"), machine.data("berlin"), organization.imports()), before);
}

#[test]
fn different_people_with_one_id_are_refused() {
    let (organization, machine) = scene();
    machine.people("berlin", "h1,eva@example.org,\n", "");
    let words = ["external id h1", "hq: ann@example.org", "berlin: eva@example.org"];
    machine.run(&["sync", "--all"]).fails(1, &words);
    assert_eq!(organization.imports(), 0);
    for name in ["hq", "berlin"] {
        machine.change(name, |data| data["sync"]["onBadRecord"] = "skip".into());
    }
    machine.run(&["sync", "--all"]).fails(4, &words);
    assert_eq!(organization.emails(), ["joe@example.org"]);
    assert_eq!(organization.group("Staff"), ["joe@example.org"]);
}

#[test]
fn contradictory_settings_are_refused() {
    let (organization, machine) = scene();
    machine.change("berlin", |data| data["sync"]["largeImport"] = true.into());
    machine.run(&["sync", "--all"]).fails(1, &["sync.largeImport is not the same", "hq and berlin"]);
    machine.change("berlin", |data| data["sync"]["largeImport"] = false.into());
    for (key, value) in [
        ("limitRemovals", "20%"),
        ("limitLeaves", "20%"),
        ("limitRepairs", "20%"),
        ("limitInvites", "20%"),
        ("onLimit", "stop"),
        ("grace", "14d"),
        ("vanishedGroups", "empty"),
        ("relink", "address"),
        ("reinvite", "10d"),
        ("verifyEvery", "12h"),
    ] {
        machine.change("berlin", |data| data["sync"][key] = value.into());
        machine.run(&["sync", "--all"]).fails(1, &[&format!("sync.{key} is not the same"), "hq and berlin"]);
        machine.change("berlin", |data| data["sync"][key] = Value::Null);
    }
    machine.change("berlin", |data| data["sync"] = json!({}));
    machine.run(&["sync", "--all"]).fails(1, &["berlin: Neither sync.users nor sync.groups"]);
    machine.change("berlin", |data| data["sync"] = json!({ "users": true }));
    machine.change("berlin", |data| data["organizationId"] = "9c0d4fc9-0000-0000-0000-000000000000".into());
    machine
        .run(&["sync", "--all"])
        .fails(1, &["berlin is merged into organization.", "belongs to organization.9c0d4fc9"]);
    assert_eq!(organization.imports(), 0);
}

/// Neither with the file that merges it nor, after a merge, without it.
#[test]
fn a_part_of_a_merge_is_not_synced_alone() {
    let (organization, mut machine) = scene();
    let words = ["merged with other directories into the organization acme", "--instance acme"];
    machine.run(&["sync", "--instance", "hq"]).fails(1, &words);
    machine.run(&["sync", "--appdata", "berlin"]).fails(1, &words);
    // Whatever path leads there.
    std::os::unix::fs::symlink(machine.path("berlin"), machine.path("other")).unwrap();
    machine.run(&["sync", "--appdata", "other"]).fails(1, &words);
    machine.run(&["sync", "--appdata", "hq/../berlin"]).fails(1, &words);
    machine.run(&["sync", "--all"]).ok();
    machine.usual.unset_env("BWDC_CONFIG");
    machine.usual.set_env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", "./hq");
    machine.run(&["sync"]).fails(1, &words);
    machine.run(&["test"]).ok();
    assert_eq!(organization.imports(), 1);
    // Taken out of the merge, it is independent again.
    fs::write(machine.path("bwdc.toml"), "[instance.hq]\nfolder = \"hq\"\n").unwrap();
    machine.run(&["sync"]).ok();
    assert_eq!(machine.data("hq").get("mergedBy"), None);
}

/// It counts the people of the organization, from whichever directory they leave, and `--allow-removals` lets them go.
#[test]
fn the_removal_limit_applies_to_the_organization() {
    let (organization, machine) = scene();
    let people = |from: usize, to: usize| -> String {
        (from..to).map(|at| format!("p{at},p{at}@example.org,\n")).collect()
    };
    machine.people("hq", &people(0, 100), "");
    machine.people("berlin", &people(100, 120), "");
    machine.change("hq", |data| data["sync"]["removeMissing"] = true.into());
    machine.run(&["sync", "--all"]).fails(1, &["sync.removeMissing is not the same", "hq and berlin"]);
    machine.change("berlin", |data| data["sync"]["removeMissing"] = true.into());
    machine.run(&["sync", "--all"]).ok();
    machine.people("berlin", &people(100, 105), "");
    let words =
        ["15 people would leave the organization, and sync.limitRemovals allows 12", "p119@example.org"];
    machine.run(&["sync", "--all"]).fails(5, &words);
    assert_eq!(organization.emails().len(), 120);
    // A person who moved to the other directory is not gone; those who are gone are few enough.
    machine.people("hq", &people(0, 112), "");
    machine.run(&["sync", "--all"]).ok();
    assert_eq!(organization.emails().len(), 112);
    // Slices count together: eight were let go within the day.
    machine.people("hq", &people(0, 104), "");
    machine.people("berlin", &people(104, 105), "");
    machine
        .run(&["sync", "--all"])
        .fails(5, &["15 people would leave the organization", "allows 12 within 24 hours (8 done already)"]);
    assert_eq!(organization.emails().len(), 112);
    machine.run(&["sync", "--all", "--allow-removals", "7"]).ok();
    assert_eq!(organization.emails().len(), 105);
}

#[test]
fn json_contains_the_notes() {
    let (_organization, machine) = scene();
    let value: Value = serde_json::from_str(&machine.run(&["--response", "sync", "--all"]).ok().out).unwrap();
    let acme = &value["data"]["data"][0];
    assert_eq!((&acme["instance"], &acme["users"], &acme["groups"]), (&"acme".into(), &3.into(), &2.into()));
    let notes = acme["notes"].to_string();
    assert!(
        notes.contains("berlin: joe@example.org (b2): another directory of the merge has the same address"),
        "{notes}"
    );
}
