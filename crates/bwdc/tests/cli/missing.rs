//! Leavers in a directory without tombstones: a real OpenLDAP that loses people.

use std::fs;

use bwdc_sandbox::Options;
use bwdc_testkit::{Slapd, ldif};

use crate::harness::{Instance, Organization};

fn scene(people: usize) -> (Slapd, Organization, Instance) {
    let slapd = Slapd::with(&ldif::small(people, 3, 4));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    (slapd, organization, instance)
}

fn delete(slapd: &Slapd, people: impl IntoIterator<Item = usize>) {
    let entries = people
        .into_iter()
        .map(|number| format!("dn: uid=user{number},ou=people,{}\nchangetype: delete\n\n", ldif::SUFFIX));
    slapd.modify(&entries.collect::<String>());
}

fn email(number: usize) -> String {
    format!("user{number}@example.org")
}

#[test]
fn a_person_who_vanished_leaves_and_a_failed_run_loses_nothing() {
    let (slapd, organization, instance) = scene(20);
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 20);
    delete(&slapd, [7]);
    let test = instance.run(&["test"]).ok();
    assert!(
        test.err.contains("the person is no longer in the directory") && test.err.contains(&email(7)),
        "{}",
        test.err
    );
    // The server is down for one run.
    let url = organization.sandbox.url();
    instance.run(&["config", "server", "http://127.0.0.1:9"]).ok();
    instance.run(&["sync"]).fails(1, &[]);
    instance.run(&["config", "server", &url]).ok();
    assert!(instance.run(&["sync"]).ok().out.contains("3 group(s) and 20 user(s)"));
    assert_eq!(organization.emails().len(), 19);
    assert!(!organization.emails().contains(&email(7)));
    // The next import no longer contains the person, and does again when the person returns.
    assert!(instance.run(&["sync"]).ok().out.contains("3 group(s) and 19 user(s)"));
    slapd.modify(&format!(
        "dn: uid=user7,ou=people,{}\nobjectClass: inetOrgPerson\nuid: user7\ncn: x\nsn: x\nmail: {}\n",
        ldif::SUFFIX,
        email(7)
    ));
    instance.run(&["sync"]).ok();
    assert!(organization.emails().contains(&email(7)));
}

#[test]
fn many_at_once_are_held_back_until_the_number_is_given() {
    let (slapd, organization, instance) = scene(40);
    instance.run(&["sync"]).ok();
    delete(&slapd, 0..11);
    let before = instance.text();
    for command in ["sync", "test"] {
        let ran =
            instance.run(&[command]).fails(5, &["11 of the 40 people", "--allow-removals 11", &email(3)]);
        assert_eq!(ran.out, "");
    }
    instance.run(&["sync", "--allow-removals", "10"]).fails(5, &["11 of the 40 people"]);
    assert_eq!((organization.emails().len(), instance.text()), (40, before));
    instance.run(&["test", "--allow-removals", "11"]).ok();
    instance.run(&["sync", "--allow-removals", "11"]).ok();
    assert_eq!(organization.emails().len(), 29);
    // It applied only once.
    delete(&slapd, 11..22);
    instance.run(&["sync"]).fails(5, &["11 of the 29 people"]);
}

#[test]
fn a_changed_scope_makes_nobody_a_leaver() {
    let (slapd, organization, instance) = scene(6);
    instance.run(&["sync"]).ok();
    // Fewer because of the administrator's own filter: they are still in the directory.
    instance.run(&["config", "sync.userFilter", "(|(uid=user0)(uid=user1))"]).ok();
    instance.run(&["config", "sync.groups", "false"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 6);
    // Another base: nobody is known there yet.
    slapd.modify(&format!("dn: ou=others,{0}\nobjectClass: organizationalUnit\nou: others\n\ndn: uid=x,ou=others,{0}\nobjectClass: inetOrgPerson\nuid: x\ncn: x\nsn: x\nmail: x@example.org\n", ldif::SUFFIX));
    instance.run(&["config", "unset", "sync.userFilter"]).ok();
    instance.run(&["config", "sync.userPath", "ou=others"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 7);
}

#[test]
fn a_moved_entry_stays() {
    let (slapd, organization, instance) = scene(5);
    instance.run(&["sync"]).ok();
    slapd.modify(&format!(
        "dn: uid=user2,ou=people,{}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n",
        ldif::SUFFIX
    ));
    let test = instance.run(&["test"]).ok();
    assert!(test.err.contains("an active account has the same address"), "{}", test.err);
    let ran = instance.run(&["sync"]).ok();
    assert!(ran.err.contains("has a different id than at the last sync"), "{}", ran.err);
    assert_eq!(organization.emails().len(), 5);
    // Reported once.
    assert_eq!(instance.run(&["sync"]).ok().err, "");
}

#[test]
fn with_reads_of_changes_it_is_refused() {
    let (_slapd, organization, instance) = scene(5);
    instance.run(&["config", "sync.revisionDateAttribute", "modifyTimestamp"]).ok();
    instance
        .run(&["sync"])
        .fails(1, &["sync.removeMissing and sync.revisionDateAttribute exclude each other"]);
    assert_eq!(organization.imports(), 0);
}

#[test]
fn off_by_default_nobody_leaves_and_nothing_is_recorded() {
    let (slapd, organization, instance) = scene(5);
    instance.run(&["config", "unset", "sync.removeMissing"]).ok();
    instance.run(&["sync"]).ok();
    delete(&slapd, [1]);
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 5);
    assert!(!instance.data_folder().join("known-people.json").exists());
}

#[test]
fn files_lose_people_too() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,a@x.org\n2,b@x.org\n", "id,name,members\n", &organization);
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["sync"]).ok();
    instance.company("id,email\n1,a@x.org\n", "id,name,members\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["a@x.org"]);
    let known = fs::read_to_string(instance.data_folder().join("known-people.json")).unwrap();
    assert!(known.contains("a@x.org") && !known.contains("b@x.org"), "{known}");
}
