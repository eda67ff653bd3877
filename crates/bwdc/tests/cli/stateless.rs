//! `bwdc sync --state none`: a job without a volume.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bwdc_sandbox::{Flavour, Options};
use serde_json::json;

use crate::harness::{Instance, Organization};

const USERS: &str = "id,email,status\n1,ann@example.org,\n2,bob@example.org,\n3,eve@example.org,\n";
const GROUPS: &str = "id,name,members\ng,Staff,1;2\n";

/// Everything in a folder: names, contents, times.
fn files(folder: &Path) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .filter(|file| file.path().is_file())
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap(), file.metadata().unwrap().modified().unwrap())
        })
        .collect();
    all.sort();
    all
}

fn read_only(instance: &Instance, mode: u32) {
    fs::set_permissions(instance.data_folder(), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_sync_without_a_state_compares_and_leaves_nothing() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, GROUPS, &organization);
    instance.key(&organization.sandbox);
    let before = files(&instance.data_folder());
    read_only(&instance, 0o500);
    let sync = |more: &[&str]| instance.run(&[&["sync", "--state", "none"], more].concat());
    let first = sync(&[]).ok();
    assert_eq!(organization.emails(), ["ann@example.org", "bob@example.org", "eve@example.org"]);
    assert!(first.err.contains("Nothing is known of earlier runs (--state none)"), "{}", first.err);
    assert_eq!(first.err.lines().count(), 1, "{}", first.err);
    // What is there already is not sent again.
    let changes = organization.changes_of(|| drop(sync(&[]).ok()));
    assert_eq!(changes, [""; 0]);
    assert_eq!(files(&instance.data_folder()), before);
    read_only(&instance, 0o700);

    // Somebody who is only missing stays, also in groups; somebody new comes.
    instance.change(|data| data["sync"]["removeMissing"] = json!(true));
    instance.company(
        "id,email,status\n2,bob@example.org,\n4,dan@example.org,\n",
        "id,name,members\ng,Staff,2;4\n",
    );
    sync(&[]).ok();
    assert_eq!(organization.emails().len(), 4);
    assert_eq!(organization.group("Staff"), ["ann@example.org", "bob@example.org", "dan@example.org"]);

    // Whoever the directory says has left is held back by the limit, unless this run is given a number.
    instance.change(|data| data["sync"]["removeDisabled"] = json!(true));
    instance.company(
        "id,email,status\n2,bob@example.org,disabled\n4,dan@example.org,\n",
        "id,name,members\ng,Staff,4\n",
    );
    sync(&[]).fails(5, &["bob@example.org", "--allow-removals", "set the limit to off"]);
    assert_eq!(organization.emails().len(), 4);
    sync(&["--allow-removals", "1"]).ok();
    assert_eq!(organization.emails(), ["ann@example.org", "dan@example.org", "eve@example.org"]);

    // What a run with a state has left there counts for nothing, and stays.
    instance.run(&["sync"]).ok();
    let before = files(&instance.data_folder());
    assert!(before.iter().any(|(name, ..)| name.starts_with("ledger-")));
    instance
        .company("id,email,status\n4,dan@example.org,\n5,joe@example.org,\n", "id,name,members\ng,Staff,4\n");
    sync(&[]).ok();
    assert_eq!(organization.emails().len(), 4);
    assert_eq!(files(&instance.data_folder()), before);
}

#[test]
fn a_server_that_cannot_be_read_needs_a_state() {
    let options = Options { flavour: Flavour::Vaultwarden, ..Options::default() };
    let organization = Organization::start(options);
    let mut instance = Instance::files(USERS, GROUPS, &organization);
    instance.key(&organization.sandbox);
    let changes = organization.changes_of(|| {
        let sync = instance.run(&["sync", "--state", "none"]);
        drop(sync.fails(1, &["does not let the organization be read", "without --state none"]));
    });
    assert_eq!(changes, [""; 0]);
    assert!(organization.emails().is_empty());
}
