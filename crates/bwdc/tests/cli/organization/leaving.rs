//! Who leaves, and who does not.

use bwdc_sandbox::{Counted, Fault, Flavour, Injection, Options, Seats, Status};
use bwdc_testkit::{Slapd, ldif};

use super::{BOTH, directory, numbered, scene, set};
use crate::harness::{IMPORT, Instance, Organization};

const TWO: &str = "1,a@x.org,\n2,b@x.org,\n";

/// The import arrives after the run has given it up, and the directory is as before meanwhile: that is not unchanged.
#[test]
fn a_failed_import_and_a_reverted_directory() {
    for flavour in BOTH {
        let (organization, instance) = scene(flavour, TWO, "g,All,1;2\n");
        set(&instance, "sync.removeMissing", "true");
        instance.run(&["sync"]).ok();
        directory(&instance, &format!("{TWO}3,c@x.org,\n"), "g,All,1;2;3\n");
        // What a run waits for is over after a second (BWDC_RETRY_SECONDS).
        let fault = Fault::DoneLater(1_500);
        organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
        instance.run(&["sync"]).fails(1, &[]);
        std::thread::sleep(std::time::Duration::from_millis(2_000));
        assert_eq!(organization.active(), ["a@x.org", "b@x.org", "c@x.org"], "{flavour:?}");
        directory(&instance, TWO, "g,All,1;2\n");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active(), ["a@x.org", "b@x.org"], "{flavour:?}");
        assert_eq!(organization.active_in("All"), ["a@x.org", "b@x.org"]);
        assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
    }
}

/// A directory that yields nobody takes nothing away: neither people nor the members of groups.
#[test]
fn an_empty_read_is_held() {
    for (flavour, remove_missing) in
        BOTH.into_iter().flat_map(|flavour| [(flavour, "true"), (flavour, "false")])
    {
        let slapd = Slapd::with(&ldif::small(6, 2, 3));
        let organization = Organization::start(Options { flavour, ..Options::default() });
        let instance = Instance::ldap(&slapd, &organization);
        set(&instance, "sync.removeMissing", remove_missing);
        instance.run(&["sync"]).ok();
        let before = (organization.active(), organization.sandbox.groups().unwrap());
        assert!(!before.1[0].members.is_empty());
        for user in 0..6 {
            slapd.modify(&format!("dn: uid=user{user},ou=people,{}\nchangetype: delete\n\n", ldif::SUFFIX));
        }
        for _ in 0..2 {
            let sent = organization.changes_of(|| {
                let ran = instance.run(&["sync"]);
                assert_eq!(ran.code, 5, "{flavour:?} {remove_missing}: {}{}", ran.out, ran.err);
            });
            assert!(sent.is_empty(), "{flavour:?} {remove_missing} {sent:?}");
        }
        assert_eq!((organization.active(), organization.sandbox.groups().unwrap()), before);
    }
}

#[test]
fn overwriting_with_an_export_cut_to_one_person_is_stopped() {
    for flavour in BOTH {
        let (organization, instance) = scene(flavour, &numbered(0, 20), "g,All,0;1;2\n");
        set(&instance, "sync.overwriteExisting", "true");
        instance.run(&["sync"]).ok();
        for email in organization.emails() {
            organization.sandbox.set_status(&email, Status::Confirmed).unwrap();
        }
        // Whoever comes at the same time is not imported either.
        directory(&instance, "0,p0@x.org,\n99,new@x.org,\n", "g,All,0\n");
        let sent = organization.changes_of(|| {
            let words = ["19 people would leave", "sync.limitRemovals allows 5", "Nothing was sent"];
            instance.run(&["sync"]).fails(5, &words);
        });
        assert!(sent.is_empty(), "{flavour:?} {sent:?}");
        assert_eq!((organization.active().len(), organization.group("All").len()), (20, 3));
        instance.run(&["sync", "--allow-removals", "19"]).ok();
        assert_eq!(organization.active(), ["new@x.org", "p0@x.org"], "{flavour:?}");
    }
}

/// Those who come need seats that are not there: that is no reason to keep those who leave.
#[test]
fn leavers_leave_although_the_seats_are_used_up() {
    let (organization, instance) = scene(Flavour::Official, TWO, "");
    instance.run(&["sync"]).ok();
    organization.sandbox.set_seats(Seats { number: Some(3), ..Seats::default() });
    directory(&instance, "1,a@x.org,\n2,b@x.org,left\n3,c@x.org,\n4,d@x.org,\n", "");
    let sent = organization.changes_of(|| {
        let words =
            ["Request 2 of 2 failed", "the next run goes on from there", "Cannot autoscale", "too few seats"];
        instance.run(&["sync", "--log-file", "bwdc.log"]).fails(1, &words);
    });
    assert_eq!(sent, [IMPORT, IMPORT]);
    assert_eq!(organization.emails(), ["a@x.org"]);
    // Who has left is in the log, although the run failed; who has not come is not.
    let log = std::fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap();
    assert!(log.contains("event=remove email=b@x.org"), "{log}");
    assert!(!log.contains("event=invite"), "{log}");
    organization.sandbox.set_seats(Seats { number: Some(4), ..Seats::default() });
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["a@x.org", "c@x.org", "d@x.org"]);
}

/// Whoever leaves is revoked; whoever returns in time has everything again; the others are removed.
#[test]
fn grace() {
    let (organization, instance) =
        scene(Flavour::Official, "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n", "g,All,1;2;3\n");
    set(&instance, "sync.grace", "5s");
    instance.run(&["sync"]).ok();
    for email in ["b@x.org", "c@x.org"] {
        organization.sandbox.set_status(email, Status::Confirmed).unwrap();
    }
    directory(&instance, "1,a@x.org,\n2,b@x.org,left\n3,c@x.org,left\n", "g,All,1;2;3\n");
    let sent = organization.changes_of(|| drop(instance.run(&["sync"]).ok()));
    assert!(sent.len() == 2 && sent.iter().all(|request| request.ends_with("/revoke")), "{sent:?}");
    assert_eq!(organization.active(), ["a@x.org"]);
    assert_eq!(organization.group("All"), ["a@x.org", "b@x.org", "c@x.org"]);
    let pending = instance.run(&["pending"]).ok().out;
    assert!(pending.contains("b@x.org") && pending.contains("c@x.org"), "{pending}");
    directory(&instance, "1,a@x.org,\n2,b@x.org,\n3,c@x.org,left\n", "g,All,1;2;3\n");
    let sent = organization.changes_of(|| drop(instance.run(&["sync"]).ok()));
    assert!(sent.len() == 1 && sent[0].ends_with("/restore"), "{sent:?}");
    assert_eq!(organization.member("b@x.org").unwrap().status, Status::Confirmed);
    assert_eq!(organization.member("c@x.org").unwrap().status, Status::Revoked);
    std::thread::sleep(std::time::Duration::from_secs(5));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["a@x.org", "b@x.org"]);
    assert_eq!(organization.group("All"), ["a@x.org", "b@x.org"]);
}

#[test]
fn protected_people_stay_and_that_is_said() {
    for flavour in BOTH {
        let users = "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n";
        let (organization, instance) = scene(flavour, users, "g,Keepers,3\nh,All,1;2;3;4\n");
        set(&instance, "sync.removeMissing", "true");
        set(&instance, "sync.protect", "B@x.org, group:keepers");
        instance.run(&["sync"]).ok();
        directory(&instance, "1,a@x.org,\n", "g,Keepers,3\nh,All,1\n");
        for _ in 0..2 {
            let ran = instance.run(&["sync"]).ok();
            for email in ["b@x.org", "c@x.org"] {
                let words = format!("{email} would leave, but stays: protected by sync.protect.");
                assert!(ran.err.contains(&words), "{flavour:?} {}", ran.err);
            }
            assert_eq!(organization.active(), ["a@x.org", "b@x.org", "c@x.org"], "{flavour:?}");
        }
        assert_eq!(organization.active_in("Keepers"), ["c@x.org"], "{flavour:?}");
    }
}

/// A filter that leaves disabled people out must not hide that they are disabled.
#[test]
fn disabled_people_leave_although_a_filter_drops_them() {
    for flavour in BOTH {
        let slapd = Slapd::with(&ldif::small(8, 1, 3));
        let organization = Organization::start(Options { flavour, ..Options::default() });
        let instance = Instance::ldap(&slapd, &organization);
        set(&instance, "sync.removeDisabled", "true");
        set(&instance, "ldap.disabledBy", "shadowExpire");
        set(&instance, "sync.userFilter", "(&(!(shadowExpire=1))(!(title=temporary)))");
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active().len(), 8);
        // The filter leaves out another who is not disabled, and stays.
        slapd.modify(&format!(
            "dn: uid=user4,ou=people,{0}\nchangetype: modify\nadd: title\ntitle: temporary\n\n",
            ldif::SUFFIX
        ));
        slapd.modify(&format!(
            "dn: uid=user3,ou=people,{0}\nchangetype: modify\nadd: objectClass\nobjectClass: shadowAccount\n-\n\
             add: shadowExpire\nshadowExpire: 1\n\n",
            ldif::SUFFIX
        ));
        instance.run(&["sync"]).ok();
        let active = organization.active();
        assert!(
            active.len() == 7 && !active.contains(&"user3@example.org".to_owned()),
            "{flavour:?} {active:?}"
        );
        // Whom the ledger does not know is nobody's leaver.
        slapd.modify(&format!(
            "dn: uid=idle,ou=people,{0}\nchangetype: add\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\n\
             uid: idle\ncn: idle\nsn: idle\nmail: idle@example.org\nshadowExpire: 1\n\n",
            ldif::SUFFIX
        ));
        assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
    }
}

/// Paths that changed with the directory: whoever leaves the new place leaves, although nobody reads the old one any more.
#[test]
fn people_of_a_directory_with_other_paths_leave_too() {
    let slapd = Slapd::with(&ldif::small(8, 0, 0));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    set(&instance, "sync.removeMissing", "true");
    set(&instance, "ldap.externalIdAttribute", "entryUUID");
    instance.run(&["sync"]).ok();
    slapd.modify(&format!(
        "dn: ou=staff,{}\nchangetype: add\nobjectClass: organizationalUnit\nou: staff\n\n",
        ldif::SUFFIX
    ));
    for user in 0..8 {
        slapd.modify(&format!(
            "dn: uid=user{user},ou=people,{0}\nchangetype: modrdn\nnewrdn: uid=user{user}\ndeleteoldrdn: 1\n\
             newsuperior: ou=staff,{0}\n\n",
            ldif::SUFFIX
        ));
    }
    set(&instance, "sync.userPath", "ou=staff");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.active().len(), 8);
    slapd.modify(&format!("dn: uid=user1,ou=staff,{}\nchangetype: delete\n\n", ldif::SUFFIX));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.active().len(), 7);
}
