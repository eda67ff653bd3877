//! Leavers in a directory without tombstones: a real OpenLDAP that loses people.

use bwdc_sandbox::Options;
use bwdc_testkit::{Slapd, ldif};

use crate::harness::{IMPORT, Instance, Organization};

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

fn added(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,{}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: x\nsn: x\nmail: {uid}@example.org\n\n",
        ldif::SUFFIX
    )
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
        test.err.contains("would leave: no longer in the directory (sync.removeMissing): user7@example.org"),
        "{}",
        test.err
    );
    // The server is down for one run.
    let url = organization.sandbox.url();
    instance.run(&["config", "server", "http://127.0.0.1:9"]).ok();
    instance.run(&["sync"]).fails(1, &[]);
    instance.run(&["config", "server", &url]).ok();
    let sent = organization.changes_of(|| {
        assert!(instance.run(&["sync"]).ok().out.contains("0 group(s) and 1 user(s)"));
    });
    assert_eq!(sent, [IMPORT]);
    assert_eq!(organization.emails().len(), 19);
    assert!(!organization.emails().contains(&email(7)));
    // Nothing is sent until the person returns.
    assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
    slapd.modify(&added("user7"));
    instance.run(&["sync"]).ok();
    assert!(organization.emails().contains(&email(7)));
}

#[test]
fn many_at_once_are_held_back_until_the_number_is_given() {
    let (slapd, organization, instance) = scene(40);
    instance.run(&["sync"]).ok();
    let groups = organization.sandbox.groups().unwrap();
    delete(&slapd, 0..11);
    slapd.modify(&added("new"));
    let words = "11 people would leave the organization, and sync.limitRemovals allows 5 within 24 hours";
    for command in ["test", "sync"] {
        let ran =
            instance.run(&[command]).fails(5, &[words, "--allow-removals 11", "bwdc approve", &email(3)]);
        assert_eq!(ran.out, "");
    }
    // All else was done. Those who are held back stay in their groups.
    assert_eq!(organization.emails().len(), 41);
    assert_eq!(organization.sandbox.groups().unwrap(), groups);
    let sent = organization.changes_of(|| {
        instance.run(&["sync", "--allow-removals", "10"]).fails(5, &[words]);
    });
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(organization.emails().len(), 41);
    instance.run(&["test", "--allow-removals", "11"]).ok();
    instance.run(&["sync", "--allow-removals", "11"]).ok();
    assert_eq!(organization.emails().len(), 30);
    // It applied only once, and those who were let go do not count again.
    delete(&slapd, 11..17);
    instance.run(&["sync"]).fails(5, &["6 people would leave the organization", "allows 5"]);
    assert_eq!(organization.emails().len(), 30);
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
    let id = organization.member(&email(2)).unwrap().external_id;
    let groups = organization.sandbox.groups().unwrap();
    slapd.modify(&format!(
        "dn: uid=user2,ou=people,{0}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n\n",
        ldif::SUFFIX
    ));
    // As a server does that keeps references whole.
    let is_in = |group: &str| organization.group(group).contains(&email(2));
    for group in ["group0", "group1", "group2"].into_iter().filter(|group| is_in(group)) {
        slapd.modify(&format!(
            "dn: cn={group},ou=groups,{0}\nchangetype: modify\ndelete: member\nmember: uid=user2,ou=people,{0}\n-\n\
             add: member\nmember: uid=renamed,ou=people,{0}\n\n",
            ldif::SUFFIX
        ));
    }
    assert!(!instance.run(&["test"]).ok().err.contains("would leave"));
    // Told in every run, and nothing is sent.
    for _ in 0..2 {
        let sent = organization.changes_of(|| {
            let ran = instance.run(&["sync"]).ok();
            let words = format!("The directory has {} by the external id uid=renamed,ou=people", email(2));
            assert!(ran.err.contains(&words) && ran.err.contains("sync.relink"), "{}", ran.err);
        });
        assert!(sent.is_empty(), "{sent:?}");
    }
    assert_eq!(organization.emails().len(), 5);
    assert_eq!(
        (organization.member(&email(2)).unwrap().external_id, organization.sandbox.groups().unwrap()),
        (id, groups)
    );
}

/// Whoever is gone is found by the complete read of each day.
#[test]
fn with_reads_of_changes_people_leave_too() {
    let (slapd, organization, instance) = scene(20);
    instance.run(&["config", "sync.revisionDateAttribute", "modifyTimestamp"]).ok();
    instance.run(&["sync"]).ok();
    delete(&slapd, [3]);
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 20, "only changes were read");
    instance.change(|data| data["lastFullRead"] = "2026-01-01T00:00:00.000Z".into());
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 19);
    assert!(!organization.emails().contains(&email(3)));
}

#[test]
fn off_by_default_nobody_leaves() {
    let (slapd, organization, instance) = scene(5);
    instance.run(&["config", "unset", "sync.removeMissing"]).ok();
    instance.run(&["sync"]).ok();
    delete(&slapd, [1]);
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 5);
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
    assert!(!instance.data_folder().join("known-people.json").exists());
    // Never the last, however few they are.
    instance.company("id,email,status\n2,b@x.org,left\n", "id,name,members\n");
    let ran = instance.run(&["sync"]).fails(5, &["1 person would leave", "a@x.org", "nobody would be left"]);
    assert!(!ran.err.contains("allows"), "{}", ran.err);
    instance.company("id,email\n", "id,name,members\n");
    instance.run(&["sync"]).fails(1, &["there are no people in it"]);
    assert_eq!(organization.emails(), ["a@x.org"]);
}
