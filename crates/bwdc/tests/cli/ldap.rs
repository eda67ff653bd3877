//! Whole syncs from a real OpenLDAP into the sandbox.

use bwdc_sandbox::{Flavour, Options};
use bwdc_testkit::slapd::Quirk;
use bwdc_testkit::{Slapd, ldif};
use serde_json::{Value, json};

use crate::harness::{IMPORT, Instance, Organization};

fn synced(groups: usize, users: usize) -> String {
    format!("Syncing complete.\nSynced {groups} group(s) and {users} user(s).\n")
}

fn head() -> String {
    let mut out = Vec::new();
    ldif::head(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn person(uid: &str, mail: &str) -> String {
    let mail = if mail.is_empty() { String::new() } else { format!("mail: {mail}\n") };
    format!(
        "dn: uid={uid},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n{mail}\n"
    )
}

#[test]
fn a_directory_of_several_pages_arrives_complete_and_is_sent_once() {
    let slapd = Slapd::with(&ldif::small(2_500, 30, 20));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let first = instance.run(&["sync"]).ok();
    assert_eq!((first.out, first.err), (synced(30, 2_500), String::new()));
    assert_eq!(organization.emails().len(), 2_500);
    // Groups 0 to 9 form a cycle, so they have the same members; group10 contains group9.
    let cycle = organization.group("group0");
    assert!(cycle.len() > 150, "{}", cycle.len());
    assert_eq!(organization.group("group7"), cycle);
    assert!(cycle.iter().all(|email| organization.group("group10").contains(email)));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 0));
    assert_eq!(organization.imports(), 1);
    assert_eq!(instance.data()["lastSyncHash"].as_str().unwrap().len(), 44);
}

#[test]
fn every_kind_of_connection() {
    let slapd = Slapd::with(&ldif::small(20, 3, 5));
    let ca = slapd.certificates().ca.display().to_string();
    let ways = [
        ("plain", json!({})),
        ("unpaged", json!({ "pagedSearch": false })),
        ("StartTLS", json!({ "ssl": true, "startTls": true, "tlsCaPath": ca })),
        ("LDAPS", json!({ "ssl": true, "port": slapd.tls_port(), "sslCaPath": ca })),
        (
            "LDAPS by name",
            json!({ "ssl": true, "port": slapd.tls_port(), "sslCaPath": ca, "hostname": "localhost" }),
        ),
        ("port as text", json!({ "port": slapd.port().to_string() })),
        ("LDAPS, anybody", json!({ "ssl": true, "port": slapd.tls_port(), "sslAllowUnauthorized": true })),
        ("StartTLS, anybody", json!({ "ssl": true, "startTls": true, "sslAllowUnauthorized": true })),
    ];
    for (way, settings) in ways {
        let organization = Organization::start(Options::default());
        let instance = Instance::ldap(&slapd, &organization);
        instance.change(|data| merge(&mut data["directoryLdap"], settings));
        let ran = instance.run(&["sync"]).ok();
        assert_eq!(ran.out, synced(3, 20), "{way}");
        assert_eq!(
            ran.err.contains("Any certificate is accepted"),
            way.ends_with("anybody"),
            "{way}: {}",
            ran.err
        );
    }
}

fn merge(target: &mut Value, more: Value) {
    for (key, value) in more.as_object().unwrap() {
        target[key] = value.clone();
    }
}

#[test]
fn a_client_certificate_is_presented_if_requested() {
    let slapd = Slapd::start(&ldif::small(5, 0, 0), Quirk::WantsClientCertificate);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let certificates = slapd.certificates();
    instance.change(|data| {
        merge(
            &mut data["directoryLdap"],
            json!({ "ssl": true, "port": slapd.tls_port(), "sslCaPath": certificates.ca }),
        );
    });
    instance.run(&["sync"]).fails(1, &["ldaps://127.0.0.1", "Nothing was imported"]);
    let pair = &certificates.client;
    instance.change(|data| {
        merge(&mut data["directoryLdap"], json!({ "sslCertPath": pair.certificate, "sslKeyPath": pair.key }));
    });
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 5));
}

#[test]
fn a_self_signed_certificate_may_be_its_own_authority() {
    let slapd = Slapd::start(&ldif::small(5, 0, 0), Quirk::SelfSigned);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let own = &slapd.certificates().self_signed.certificate;
    instance.change(|data| {
        merge(&mut data["directoryLdap"], json!({ "ssl": true, "port": slapd.tls_port(), "sslCaPath": own }));
    });
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 5));
}

#[test]
fn members_are_found_however_their_names_are_spelled() {
    let ldif = head()
        + &person("ann", "ann@example.org")
        + &person("Doe\\, Joe", "Joe@Example.org").replace("uid: Doe\\, Joe", "uid: Doe, Joe")
        + "dn: cn=Staff,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: Staff\n\
           member: UID=ANN, OU=People, DC=Example, DC=Org\nmember: uid=Doe\\2C Joe,ou=people,dc=example,dc=org\n\
           member: uid=nobody,ou=people,dc=example,dc=org\n\n";
    let slapd = Slapd::with(&ldif);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 2));
    assert_eq!(organization.group("Staff"), ["ann@example.org", "joe@example.org"]);
    let test = instance.run(&["test"]).ok();
    assert!(
        test.err.contains("neither a known user nor a known group were ignored: Staff (1)"),
        "{}",
        test.err
    );
}

#[test]
fn posix_groups_refer_to_user_names() {
    let ldif = head()
        + &person("ann", "ann@example.org")
        + &person("joe", "joe@example.org")
        + "dn: cn=staff,ou=groups,dc=example,dc=org\nobjectClass: posixGroup\ncn: staff\ngidNumber: 7\n\
           memberUid: ANN\nmemberUid: joe\nmemberUid: ghost\n\n";
    let slapd = Slapd::with(&ldif);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| {
        merge(&mut data["sync"], json!({ "groupObjectClass": "posixGroup", "memberAttribute": "memberUid" }));
    });
    assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 2));
    assert_eq!(organization.group("staff"), ["ann@example.org", "joe@example.org"]);
}

#[test]
fn addresses_by_any_case_of_attribute_and_made_addresses() {
    let ldif = head() + &person("ann", " Ann@Example.ORG") + &person("joe", "") + &person("sue", "");
    let slapd = Slapd::with(&ldif);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| {
        merge(&mut data["sync"], json!({ "userEmailAttribute": "MAIL", "groups": false }));
    });
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 1));
    let test = instance.run(&["test"]).ok();
    assert!(test.err.contains("2 x no e-mail address: uid=joe"), "{}", test.err);
    instance.change(|data| {
        merge(
            &mut data["sync"],
            json!({ "useEmailPrefixSuffix": true, "emailPrefixAttribute": "UID", "emailSuffix": "@Made.org" }),
        );
    });
    // Only those who come are sent.
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 2));
    assert_eq!(organization.emails(), ["ann@example.org", "joe@made.org", "sue@made.org"]);
}

/// `*` as the class means every class, as in the existing connector.
#[test]
fn an_asterisk_means_any_class() {
    let odd = "dn: uid=svc,ou=people,dc=example,dc=org\nobjectClass: account\nobjectClass: extensibleObject\nuid: svc\n\
               mail: svc@example.org\n\n";
    let slapd = Slapd::with(&(head() + &person("ann", "ann@example.org") + odd));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| data["sync"]["userObjectClass"] = json!("inetOrgPerson"));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 1));
    instance.change(|data| data["sync"]["userObjectClass"] = json!("*"));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["ann@example.org", "svc@example.org"]);
}

/// Without a suffix, the prefix alone is the address, if it is one.
#[test]
fn an_empty_suffix_leaves_the_prefix() {
    let slapd = Slapd::with(&(head() + &person("ann@example.org", "") + &person("joe", "")));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let made = json!({ "useEmailPrefixSuffix": true, "emailPrefixAttribute": "uid", "emailSuffix": "", "groups": false });
    instance.change(|data| merge(&mut data["sync"], made));
    let wrong = "joe (uid=joe,ou=people,dc=example,dc=org): `joe` is not an e-mail address";
    instance.run(&["sync"]).fails(1, &[wrong, "Nothing was imported"]);
    instance.run(&["config", "sync.onBadRecord", "skip"]).ok();
    let ran = instance.run(&["sync"]);
    assert_eq!((ran.code, organization.emails()), (4, vec!["ann@example.org".to_owned()]), "{}", ran.err);
    assert!(ran.err.contains("joe"), "{}", ran.err);
}

/// An opaque id is shown beside the DN.
#[test]
fn people_with_opaque_ids_are_named_by_dn() {
    let slapd = Slapd::with(&(head() + &person("ann@example.org", "") + &person("joe", "")));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["config", "ldap.externalIdAttribute", "entryUUID"]).ok();
    let named = "uid=joe,ou=people,dc=example,dc=org (";
    let told = instance.run(&["test"]).ok().err;
    assert!(told.contains("2 x no e-mail address: uid=") && told.contains(named), "{told}");
    let made = json!({ "useEmailPrefixSuffix": true, "emailPrefixAttribute": "uid", "emailSuffix": "", "groups": false });
    instance.change(|data| merge(&mut data["sync"], made));
    instance.run(&["sync"]).fails(1, &[named, "): `joe` is not an e-mail address"]);
}

/// A changed user may be a member of unchanged groups: all groups are read.
#[test]
fn a_changed_user_causes_all_groups_to_be_read() {
    let dangling = "dn: cn=staff,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: staff\n\
                    member: uid=user0,ou=people,dc=example,dc=org\nmember: uid=late,ou=people,dc=example,dc=org\n\n";
    let slapd = Slapd::with(&(ldif::small(10, 2, 3) + dangling));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| data["sync"]["revisionDateAttribute"] = json!("modifyTimestamp"));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(3, 10));
    assert_eq!(organization.group("staff"), ["user0@example.org"]);
    let complete = instance.data()["lastFullRead"].clone();
    assert!(complete.is_string());
    slapd.modify(&person("late", "late@example.org").replace("objectClass", "changetype: add\nobjectClass"));
    let sent = organization.changes_of(|| assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 1)));
    assert_eq!(sent, [IMPORT]);
    assert_eq!(organization.group("staff"), ["late@example.org", "user0@example.org"]);
    assert_eq!(instance.data()["lastFullRead"], complete, "only changes were read");
}

#[test]
fn a_user_filter_narrows_the_import_but_not_the_groups() {
    let ldif = head()
        + &person("ann", "ann@example.org")
        + &person("joe", "joe@example.org")
        + "dn: cn=staff,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: staff\n\
           member: uid=ann,ou=people,dc=example,dc=org\nmember: uid=joe,ou=people,dc=example,dc=org\n\n";
    let slapd = Slapd::with(&ldif);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 2));
    instance.change(|data| data["sync"]["userFilter"] = json!("(uid=ann)"));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 0));
    assert_eq!(organization.group("staff"), ["ann@example.org", "joe@example.org"]);
    instance.change(|data| data["sync"]["users"] = json!(false));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 0));
    assert_eq!(organization.group("staff"), ["ann@example.org", "joe@example.org"]);
    assert_eq!(organization.imports(), 1);
    // Groups follow, also with members whom the filter leaves out.
    for (verb, left) in
        [("delete", &["ann@example.org"][..]), ("add", &["ann@example.org", "joe@example.org"])]
    {
        slapd.modify(&format!(
            "dn: cn=staff,ou=groups,dc=example,dc=org\nchangetype: modify\n{verb}: member\n\
             member: uid=joe,ou=people,dc=example,dc=org\n\n"
        ));
        assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 0));
        assert_eq!(organization.group("staff"), left);
    }
    assert_eq!(organization.emails().len(), 2);
    instance.change(|data| data["sync"]["groups"] = json!(false));
    let nothing = instance.run(&["sync"]).ok();
    assert_eq!(nothing.out, synced(0, 0));
    assert!(nothing.err.contains("neither sync.users nor sync.groups is on"));
}

/// The same directory in another order, on another server: the import is the same, and is not sent.
#[test]
fn the_order_of_the_answer_makes_no_difference() {
    let text = ldif::small(300, 12, 15);
    let mut entries: Vec<&str> = text.trim_end().split("\n\n").collect();
    entries[3..].reverse();
    let reversed = entries.join("\n\n") + "\n";
    let (one, other) = (Slapd::with(&text), Slapd::with(&reversed));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&one, &organization);
    assert_eq!(instance.run(&["sync"]).ok().out, synced(12, 300));
    instance.change(|data| data["directoryLdap"]["port"] = json!(other.port()));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 0));
    assert_eq!(organization.imports(), 1);
}

#[test]
fn joiners_leavers_and_movers_follow() {
    let slapd = Slapd::with(&ldif::small(10, 2, 3));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["sync"]).ok();
    slapd.modify(
        "dn: uid=new,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new\ncn: new\nsn: new\n\
         mail: new@example.org\n\ndn: cn=group0,ou=groups,dc=example,dc=org\nchangetype: modify\nreplace: member\n\
         member: uid=new,ou=people,dc=example,dc=org\n\n",
    );
    let sent = organization.changes_of(|| assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 1)));
    assert_eq!(sent, [IMPORT]);
    assert_eq!(organization.group("group0"), ["new@example.org"]);
    assert_eq!(organization.emails().len(), 11);
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    slapd.modify(
        "dn: uid=user1,ou=people,dc=example,dc=org\nchangetype: delete\n\n\
         dn: cn=group1,ou=groups,dc=example,dc=org\nchangetype: modify\nadd: member\n\
         member: uid=new,ou=people,dc=example,dc=org\n\n",
    );
    // Leavers in a request of their own, and first.
    let sent = organization.changes_of(|| assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 1)));
    assert_eq!(sent, [IMPORT, IMPORT]);
    assert!(!organization.emails().contains(&"user1@example.org".to_owned()));
    assert!(organization.group("group1").contains(&"new@example.org".to_owned()));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(0, 0));
}

/// Only those who changed since the last sync, and in the hour before it: clocks differ.
#[test]
fn only_changes_are_read_if_the_server_records_times_of_changes() {
    let of_old = ldif::small(10, 2, 3).replace("\nuid: ", "\nmodifyTimestamp: 20200101000000Z\nuid: ");
    let slapd = Slapd::with(&of_old);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| data["sync"]["revisionDateAttribute"] = json!("modifyTimestamp"));
    let log = instance.folder.path().join("bwdc.log");
    // People who were read, and what was sent.
    let sync = || {
        let ran = instance.run(&["sync", "--log-file", "bwdc.log"]).ok();
        let text = std::fs::read_to_string(&log).unwrap();
        let line = text.lines().rfind(|line| line.contains("the directory was read completely")).unwrap();
        let users = line.split(" users=").nth(1).unwrap().split(' ').next().unwrap();
        (users.parse::<usize>().unwrap(), ran.out)
    };
    assert_eq!(sync(), (10, synced(2, 10)));
    let complete = instance.data()["lastFullRead"].clone();
    assert_eq!(sync(), (0, synced(0, 0)));
    let new = person("new", "new@example.org").replace("objectClass", "changetype: add\nobjectClass");
    slapd.modify(&format!(
        "{new}dn: cn=group0,ou=groups,dc=example,dc=org\nchangetype: modify\nreplace: member\n\
         member: uid=user5,ou=people,dc=example,dc=org\n\n"
    ));
    assert_eq!(sync(), (1, synced(1, 1)));
    assert_eq!(organization.group("group0"), ["user5@example.org"]);
    assert_eq!(instance.data()["lastFullRead"], complete);
    // What such reads miss is found by a complete one, once a day; also after a clock that was wrong.
    let long_ago = json!("2001-01-01T00:00:00.000Z");
    for (key, time) in [("lastFullRead", &long_ago), ("lastUserSync", &json!("2099-01-01T00:00:00.000Z"))] {
        instance.change(|data| data[key] = time.clone());
        assert_eq!(sync(), (11, synced(0, 0)), "{key}");
        assert_eq!(sync(), (1, synced(0, 0)), "{key}");
    }
    assert_ne!(instance.data()["lastFullRead"], complete);
    assert_eq!(organization.emails().len(), 11);
    // Everything is read at first, since another setting is another way of reading.
    instance.change(|data| data["sync"]["revisionDateAttribute"] = json!("whenChanged"));
    assert_eq!(sync(), (11, synced(0, 0)));
    let unknown = instance.run(&["sync"]).ok();
    assert!(unknown.err.contains("no entry has the attribute whenChanged"), "{}", unknown.err);
    assert_eq!(unknown.out, synced(0, 0));
}

#[test]
fn vaultwarden_accepts_the_same_import() {
    let slapd = Slapd::with(&ldif::small(10, 2, 3));
    let organization = Organization::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() });
    let instance = Instance::ldap(&slapd, &organization);
    assert_eq!(instance.run(&["sync"]).ok().out, synced(2, 10));
    assert_eq!(organization.emails().len(), 10);
}

#[test]
fn large_imports_are_sent_in_batches() {
    let slapd = Slapd::with(&ldif::small(4_100, 5, 10));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| data["sync"]["largeImport"] = json!(true));
    assert_eq!(instance.run(&["sync"]).ok().out, synced(5, 4_100));
    assert_eq!((organization.imports(), organization.emails().len()), (4, 4_100));
}

#[test]
fn the_next_server_is_read_if_the_first_is_down() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    // Nothing is listening on the other loopback address.
    instance.run(&["config", "ldap.hostname", "127.0.0.2, 127.0.0.1"]).ok();
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.out, synced(1, 5));
    assert!(ran.err.contains("ldap://127.0.0.2") && ran.err.contains("was read instead"), "{}", ran.err);
    let doctor = instance.run(&["doctor"]).ok();
    assert!(doctor.out.contains("warn  LDAP server: connection: Connecting to 127.0.0.2"), "{}", doctor.out);
    // No server at all: the last one's error. A wrong password is not tried elsewhere.
    instance.run(&["config", "ldap.hostname", "127.0.0.2,127.0.0.3"]).ok();
    instance.run(&["sync"]).fails(1, &["ldap://127.0.0.3", "Connection refused"]);
    instance.run(&["config", "ldap.hostname", "127.0.0.1,127.0.0.2"]).ok();
    instance.run(&["config", "ldap.password", "wrong"]).ok();
    instance.run(&["sync"]).fails(1, &["Logging in to ldap://127.0.0.1", "invalidCredentials"]);
    instance.run(&["config", "ldap.hostname", "dc1:389, dc2"]).fails(1, &["without scheme and port"]);
}

#[test]
fn several_roots_and_paths_are_one_directory() {
    let child = "dc=child,dc=example,dc=org";
    let more = format!(
        "dn: {child}\nobjectClass: dcObject\nobjectClass: organization\no: C\ndc: child\n\n\
         dn: ou=people,{child}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=guests,dc=example,dc=org\nobjectClass: organizationalUnit\nou: guests\n\n\
         dn: uid=kim,ou=people,{child}\nobjectClass: inetOrgPerson\nuid: kim\ncn: kim\nsn: kim\nmail: kim@example.org\n\n\
         dn: uid=guest,ou=guests,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: guest\ncn: g\nsn: g\nmail: guest@example.org\n\n\
         dn: cn=both,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: both\n\
         member: uid=kim,ou=people,{child}\nmember: uid=guest,ou=guests,dc=example,dc=org\nmember: uid=user0,ou=people,dc=example,dc=org\n\n"
    );
    let slapd = Slapd::with(&(ldif::small(2, 0, 0) + &more));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["config", "sync.userPath", "ou=people | ou=guests"]).ok();
    assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 3));
    assert_eq!(organization.group("both"), ["guest@example.org", "user0@example.org"]);
    // Groups are under one root only; a path that is missing under one root is an error, never an incomplete read.
    instance.run(&["config", "ldap.rootPath", &format!("dc=example,dc=org | {child}")]).ok();
    instance.run(&["sync"]).fails(1, &["dc=child", "noSuchObject (32)"]);
    instance.run(&["config", "sync.userPath", "ou=people"]).ok();
    instance.run(&["config", "unset", "sync.groupPath"]).ok();
    assert_eq!(instance.run(&["sync"]).ok().out, synced(1, 1));
    assert_eq!(organization.group("both"), ["kim@example.org", "user0@example.org"]);
    // The guest, whom no path has any more, is in no group, and stays in the organization.
    assert!(organization.emails().contains(&"guest@example.org".to_owned()));
    assert!(instance.run(&["doctor"]).ok().out.contains("under `ou=people,dc=child,dc=example,dc=org`"));
}

#[test]
fn the_client_certificate_may_be_the_login() {
    let slapd = Slapd::start(&ldif::small(4, 1, 2), Quirk::WantsClientCertificate);
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let certificates = slapd.certificates();
    instance.change(|data| {
        let ldap = data["directoryLdap"].as_object_mut().unwrap();
        ldap.remove("password");
        ldap.remove("username");
        ldap.insert("authentication".into(), "certificate".into());
        ldap.insert("sslCertPath".into(), certificates.client.certificate.display().to_string().into());
        ldap.insert("sslKeyPath".into(), certificates.client.key.display().to_string().into());
    });
    instance.run(&["sync"]).fails(1, &["no certificate would be shown", "ldap.ssl"]);
    for (tls, synced) in [
        (json!({ "ssl": true, "port": slapd.tls_port(), "sslCaPath": certificates.ca }), synced(1, 4)),
        (
            json!({ "ssl": true, "startTls": true, "port": slapd.port(), "tlsCaPath": certificates.ca }),
            synced(0, 0),
        ),
    ] {
        instance.change(|data| {
            for (key, value) in tls.as_object().unwrap() {
                data["directoryLdap"][key] = value.clone();
            }
        });
        assert_eq!(instance.run(&["sync"]).ok().out, synced);
        let doctor = instance.run(&["doctor"]).ok().out;
        assert!(doctor.contains("the server accepts the client certificate"), "{doctor}");
        assert!(!doctor.contains("Secret ldap.password"), "{doctor}");
    }
}
