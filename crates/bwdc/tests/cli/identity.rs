//! Ids by which the organization knows people, attributes of disabled accounts, and the presets.

use bwdc_sandbox::Options;
use bwdc_testkit::{Slapd, ldif};
use serde_json::Value;

use crate::harness::{Instance, Organization};

fn ids(instance: &Instance) -> Vec<(String, String)> {
    let out = instance.run(&["test"]).ok().out;
    let test: Value = serde_json::from_str(&out).unwrap();
    let pair = |user: &Value| {
        (user["displayName"].as_str().unwrap().to_owned(), user["externalId"].as_str().unwrap().to_owned())
    };
    test["enabledUsers"].as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn an_id_that_survives_a_rename() {
    let slapd = Slapd::with(&ldif::small(3, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["config", "ldap.externalIdAttribute", "entryuuid", "--yes"]).ok();
    let before = ids(&instance);
    assert!(before.iter().all(|(_, id)| id.len() == 36 && !id.contains("uid=")), "{before:?}");
    instance.run(&["sync"]).ok();
    let members = organization.group("group0");
    slapd.modify(&format!(
        "dn: uid=user1,ou=people,{0}\nchangetype: modrdn\nnewrdn: uid=elsewhere\ndeleteoldrdn: 1\n\n\
         dn: uid=elsewhere,ou=people,{0}\nchangetype: modify\nreplace: mail\nmail: married@example.org\n",
        ldif::SUFFIX
    ));
    let after = ids(&instance);
    let id =
        |of: &[(String, String)], name: &str| of.iter().find(|(email, _)| email == name).unwrap().1.clone();
    assert_eq!(id(&after, "married@example.org"), id(&before, "user1@example.org"));
    instance.run(&["sync"]).ok();
    assert!(members.len() >= 2);
    // The DN changes with a rename.
    instance.run(&["config", "ldap.externalIdAttribute", "dn", "--yes"]).ok();
    assert!(ids(&instance).iter().any(|(_, id)| id.starts_with("uid=elsewhere,")));
}

#[test]
fn an_entry_without_the_id_stops_the_read() {
    let slapd = Slapd::with(&ldif::small(3, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["config", "ldap.externalIdAttribute", "nsUniqueId", "--yes"]).ok();
    instance.run(&["sync"]).fails(1, &["it has no nsUniqueId", "ldap.externalIdAttribute"]);
    assert_eq!(organization.imports(), 0);
    let doctor = instance.run(&["doctor"]);
    assert!(doctor.out.contains("FAIL  LDAP people: attribute nsUniqueId"), "{}", doctor.out);
}

#[test]
fn accounts_disabled_by_other_attributes() {
    let person = |uid: &str, expires: &str| {
        format!(
            "dn: uid={uid},ou=people,{}\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\nuid: {uid}\ncn: {uid}\nsn: {uid}\n\
             mail: {uid}@example.org\n{expires}\n",
            ldif::SUFFIX
        )
    };
    let people = [
        person("past", "shadowExpire: 1\n"),
        person("future", "shadowExpire: 99999\n"),
        person("never", "shadowExpire: -1\n"),
    ];
    let slapd = Slapd::with(&(ldif::small(1, 0, 0) + &people.concat()));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["config", "sync.removeDisabled", "true"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 4);
    instance.run(&["config", "ldap.disabledBy", "shadowexpire , nsAccountLock"]).ok();
    assert_eq!(instance.data()["directoryLdap"]["disabledBy"], "shadowExpire, nsAccountLock");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["future@example.org", "never@example.org", "user0@example.org"]);
    instance
        .run(&["config", "ldap.disabledBy", "shadowExpires"])
        .fails(1, &["did you mean shadowExpire?", "Allowed"]);
}

#[test]
fn a_preset_sets_names_and_leaves_the_id() {
    let instance = Instance::empty();
    instance.run(&["config", "ldap.preset", "FreeIPA"]).ok();
    let data = instance.data();
    assert_eq!(data["sync"]["userPath"], "cn=users,cn=accounts");
    assert_eq!(data["directoryLdap"]["disabledBy"], "nsAccountLock");
    assert_eq!(data["directoryLdap"]["ad"], false);
    assert!(data["directoryLdap"].get("externalIdAttribute").is_none());
    instance.run(&["config", "ldap.preset", "opneldap"]).fails(1, &["did you mean openldap?"]);
}

/// Contacts are `person`, computers `user`: neither is a person's account.
#[test]
fn the_preset_for_active_directory_selects_accounts_of_people() {
    let instance = Instance::empty();
    instance.run(&["config", "ldap.preset", "ad"]).ok();
    let sync = &instance.data()["sync"];
    assert_eq!(sync["userObjectClass"], "user");
    assert!(sync["userFilter"].as_str().unwrap().contains("(sAMAccountType=805306368)"), "{sync}");
    instance.run(&["config", "ldap.preset", "openldap"]).ok();
    assert!(!instance.data()["sync"]["userFilter"].to_string().contains("sAMAccountType"));
    instance.run(&["config", "sync.userFilter", "(title=*)"]).ok();
    instance.run(&["config", "ldap.preset", "ad"]).ok();
    assert_eq!(instance.data()["sync"]["userFilter"], "(title=*)");
}
