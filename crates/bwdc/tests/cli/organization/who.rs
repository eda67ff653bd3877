//! Who is who: changed ids, changed addresses, used ids.

use std::time::Duration;

use bwdc_sandbox::{Edit, Flavour, Kind, Options, Status};
use bwdc_testkit::{Slapd, ldif};

use super::{BOTH, directory, scene, set};
use crate::harness::{Instance, Organization};

const THREE: &str = "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n";
const RENAMED: &str = "x1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n";

/// The member keeps the id that the organization knows, in all groups, and leaves like anybody else.
#[test]
fn an_id_that_changed() {
    let (organization, instance) = scene(Flavour::Official, THREE, "g,One,1;2\nh,Two,1;3\n");
    set(&instance, "sync.removeMissing", "true");
    instance.run(&["sync"]).ok();
    let groups = organization.sandbox.groups().unwrap();
    directory(&instance, RENAMED, "g,One,x1;2\nh,Two,x1;3\n");
    for _ in 0..2 {
        let sent = organization.changes_of(|| {
            let ran = instance.run(&["sync"]).ok();
            let words =
                "The directory has a@x.org by the external id x1, and the organization by 1: imported as 1.";
            assert!(ran.err.contains(words), "{}", ran.err);
        });
        assert!(sent.is_empty(), "{sent:?}");
    }
    assert_eq!(organization.sandbox.groups().unwrap(), groups);
    // New memberships arrive, too.
    directory(&instance, RENAMED, "g,One,x1;2\nh,Two,x1;3\ni,Three,x1\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.group("Three"), ["a@x.org"]);
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n", "g,One,2\nh,Two,3\ni,Three,\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["b@x.org", "c@x.org"]);
}

/// With a tombstone of the new id, too, which the organization has never heard of.
#[test]
fn a_leaver_whose_id_changed() {
    for flavour in BOTH {
        let (organization, instance) = scene(flavour, THREE, "g,One,1;2\n");
        instance.run(&["sync"]).ok();
        directory(&instance, RENAMED, "g,One,x1;2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active_in("One"), ["a@x.org", "b@x.org"], "{flavour:?}");
        directory(&instance, "x1,,left\n2,b@x.org,\n3,c@x.org,\n", "g,One,2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active(), ["b@x.org", "c@x.org"], "{flavour:?}");
    }
}

/// `sync.relink address` gives the member the new id, and leaves everything else as it was.
#[test]
fn an_id_that_changed_is_mended() {
    let (organization, instance) = scene(Flavour::Official, THREE, "g,One,1;2\n");
    instance.run(&["sync"]).ok();
    organization.sandbox.set_status("a@x.org", Status::Confirmed).unwrap();
    organization.sandbox.edit(Edit::SetRole { member: "a@x.org".into(), kind: Kind::Admin }).unwrap();
    let before = organization.member("a@x.org").unwrap();
    directory(&instance, RENAMED, "g,One,x1;2\n");
    set(&instance, "sync.relink", "address");
    let sent = organization.changes_of(|| drop(instance.run(&["sync"]).ok()));
    assert_eq!(sent, [format!("PUT /api/public/members/{}", before.id)]);
    let after = organization.member("a@x.org").unwrap();
    assert_eq!(after.external_id.as_deref(), Some("x1"));
    assert_eq!((after.status, after.kind, &after.id), (Status::Confirmed, Kind::Admin, &before.id));
    assert_eq!(organization.group("One"), ["a@x.org", "b@x.org"]);
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("Syncing complete.\nSynced 0 group(s) and 0 user(s).\n", "")
    );
}

/// No import changes an address: that is told in every run, and nobody comes or goes by it.
#[test]
fn an_address_that_changed() {
    let (organization, instance) = scene(Flavour::Official, THREE, "g,One,1;2\n");
    set(&instance, "sync.removeMissing", "true");
    instance.run(&["sync"]).ok();
    directory(&instance, "1,new@x.org,\n2,b@x.org,\n3,c@x.org,\n", "g,One,1;2\n");
    for _ in 0..2 {
        let sent = organization.changes_of(|| {
            let ran = instance.run(&["sync"]).ok();
            assert!(ran.err.contains("new@x.org") && ran.err.contains("a@x.org"), "{}", ran.err);
        });
        assert!(sent.is_empty(), "{sent:?}");
    }
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n", "g,One,2\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["b@x.org", "c@x.org"]);
}

/// The entry was made after the member came: it is another human, who inherits nothing.
#[test]
fn a_used_id_that_another_human_gets() {
    for flavour in BOTH {
        let slapd = Slapd::with(&ldif::small(8, 0, 0));
        let organization = Organization::start(Options { flavour, ..Options::default() });
        let instance = Instance::ldap(&slapd, &organization);
        instance.run(&["sync"]).ok();
        let old = organization.member("user1@example.org").unwrap();
        organization.sandbox.edit(Edit::CreateGroup { name: "Secrets".into(), external_id: None }).unwrap();
        let join = Edit::Join { group: "Secrets".into(), member: old.id.clone() };
        organization.sandbox.edit(join).unwrap();
        // Times of creation are whole seconds.
        std::thread::sleep(Duration::from_millis(2_100));
        slapd.modify(&format!(
            "dn: uid=user1,ou=people,{0}\nchangetype: delete\n\ndn: uid=user1,ou=people,{0}\nchangetype: add\n\
             objectClass: inetOrgPerson\nuid: user1\ncn: x\nsn: x\nmail: other@example.org\n\n",
            ldif::SUFFIX
        ));
        instance.run(&["sync"]).ok();
        let new = organization.member("other@example.org").unwrap();
        assert_ne!(new.id, old.id);
        assert_eq!(new.external_id, old.external_id, "{flavour:?}");
        assert!(!organization.active().contains(&"user1@example.org".to_owned()), "{flavour:?}");
        assert!(!organization.group("Secrets").contains(&new.email), "{flavour:?}");
        assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty(), "{flavour:?}");
    }
}
