//! The first run after a release that kept no ledger, but the people of its last complete read.

use std::fs;

use bwdc_sandbox::Flavour;
use serde_json::json;

use super::{BOTH, directory, numbered, scene, set};
use crate::harness::{Instance, Organization};

/// As the former release has left it, with everybody in it who is a member.
fn as_before(organization: &Organization, instance: &Instance, population: &str) {
    let id = organization.sandbox.client_id().replace("organization.", "");
    fs::remove_file(instance.data_folder().join(format!("ledger-{id}.json"))).unwrap();
    let members = organization.sandbox.members().unwrap();
    let known: serde_json::Map<String, serde_json::Value> =
        members.into_iter().filter_map(|member| Some((member.external_id?, json!(member.email)))).collect();
    let file = json!({ "population": population, "people": known });
    fs::write(instance.data_folder().join("known-people.json"), file.to_string()).unwrap();
}

fn upgraded(flavour: Flavour, population: impl Fn(&Instance) -> String) -> (Organization, Instance) {
    let (organization, instance) = scene(flavour, &numbered(0, 20), "g,All,0;1;2\n");
    set(&instance, "sync.removeMissing", "true");
    instance.run(&["sync"]).ok();
    as_before(&organization, &instance, &population(&instance));
    (organization, instance)
}

fn same(instance: &Instance) -> String {
    format!("file {}", instance.data_folder().join("company").display())
}

/// Whoever left between the last run of the former release and the first of this one is not forgotten.
#[test]
fn those_who_left_meanwhile_leave() {
    for flavour in BOTH {
        let (organization, instance) = upgraded(flavour, same);
        directory(&instance, &numbered(0, 19), "g,All,0;1;2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active().len(), 19, "{flavour:?}");
        assert!(!organization.active().contains(&"p19@x.org".to_owned()), "{flavour:?}");
        assert_eq!(organization.active_in("All").len(), 3);
        assert!(!instance.data_folder().join("known-people.json").exists());
        assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
    }
}

/// Who was known from another part of the directory has not left by being elsewhere.
#[test]
fn those_of_another_place_stay() {
    for flavour in BOTH {
        let (organization, instance) = upgraded(flavour, |_| "file /elsewhere".to_owned());
        directory(&instance, &numbered(0, 19), "g,All,0;1;2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active().len(), 20, "{flavour:?}");
        // Once seen, they leave like anybody else.
        directory(&instance, &numbered(0, 20), "g,All,0;1;2\n");
        instance.run(&["sync"]).ok();
        directory(&instance, &numbered(0, 19), "g,All,0;1;2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active().len(), 19, "{flavour:?}");
    }
}

/// Most of a directory that is gone at the first run is held as at any other.
#[test]
fn a_directory_cut_meanwhile_is_held() {
    for flavour in BOTH {
        let (organization, instance) = upgraded(flavour, same);
        directory(&instance, &numbered(0, 5), "g,All,0;1;2\n");
        let ran = instance.run(&["sync"]).fails(5, &["15 people would leave the organization"]);
        assert_eq!(organization.active().len(), 20, "{flavour:?} {}", ran.err);
        directory(&instance, &numbered(0, 20), "g,All,0;1;2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active().len(), 20, "{flavour:?}");
    }
}
