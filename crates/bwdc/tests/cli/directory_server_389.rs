//! 389 Directory Server: an id that survives a rename, people who vanish, accounts that are locked.

use bwdc_sandbox::Options;
use bwdc_testkit::ds389::{MANAGER, PASSWORD};
use bwdc_testkit::{Ds389, ldif};

use crate::harness::{Instance, Organization};

fn seed() -> String {
    // The server has its suffix already.
    let all = ldif::small(4, 1, 3);
    all.split_once("\n\n").unwrap().1.to_owned()
}

#[test]
fn a_directory_from_start_to_end() {
    let server = Ds389::with(&seed());
    let organization = Organization::start(Options::default());
    let mut instance = Instance::empty();
    instance.key(&organization.sandbox);
    instance.set_env("BWDC_LDAP_PASSWORD", PASSWORD);
    let more = ["ldap.externalIdAttribute=nsUniqueId", "sync.removeDisabled=true", "sync.removeMissing=true"];
    let more: Vec<&str> = more.iter().flat_map(|setting| ["--set", setting]).collect();
    instance.init(&organization, server.port(), MANAGER, &more).ok();
    // The server supplies its product and its base DN.
    assert_eq!(instance.data()["directoryLdap"]["disabledBy"], "nsAccountLock");
    assert_eq!(instance.data()["directoryLdap"]["rootPath"], ldif::SUFFIX);
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("Syncing complete.\nSynced 1 group(s) and 4 user(s).\n", "")
    );
    let members = organization.group("group0");
    assert_eq!(members.len(), 3);

    // Renamed, with the same id: nothing changes in the organization.
    server.modify(&format!(
        "dn: uid=user0,ou=people,{0}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n\n\
         dn: uid=user1,ou=people,{0}\nchangetype: modrdn\nnewrdn: uid=renamed1\ndeleteoldrdn: 1\n",
        ldif::SUFFIX
    ));
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(organization.emails().len(), 4);

    // One locked, one gone.
    server.modify(&format!(
        "dn: uid=user2,ou=people,{0}\nchangetype: modify\nadd: nsAccountLock\nnsAccountLock: true\n\n\
         dn: uid=user3,ou=people,{0}\nchangetype: delete\n",
        ldif::SUFFIX
    ));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["user0@example.org", "user1@example.org"]);
    assert!(
        instance.run(&["doctor"]).ok().out.contains("ok    LDAP people: attribute nsUniqueId: has values")
    );
}

/// The server's cookie is the same on every page. It examines 5,000 entries for an ordinary account and sends it 2,000, however
/// small the pages: such a list is read in parts, by an id that the account may search for.
#[test]
fn a_list_of_many_pages_and_an_ordinary_account() {
    const MANY: usize = 12_000;
    const READER: (&str, &str) = ("uid=reader,dc=example,dc=org", "Reader-Passw0rd1");
    let all = ldif::small(MANY, 0, 0);
    let server = Ds389::with(all.split_once("\n\n").unwrap().1);
    server.modify(&format!(
        "dn: {}\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: reader\nuserPassword: {}\n",
        READER.0, READER.1
    ));
    let organization = Organization::start(Options::default());
    let mut instance = Instance::empty();
    instance.key(&organization.sandbox);
    let mut read = |(name, password): (&str, &str)| {
        instance.set_env("BWDC_LDAP_PASSWORD", password);
        let settings = ["--set", "sync.largeImport=true", "--set", "sync.overwriteExisting=false"];
        instance.init(&organization, server.port(), name, &settings).ok();
        instance.run(&["test"])
    };
    let of_manager = read((MANAGER, PASSWORD)).ok();
    let found: serde_json::Value = serde_json::from_str(&of_manager.out).unwrap();
    assert_eq!(found["enabledUsers"].as_array().unwrap().len(), MANY, "{}", of_manager.err);

    let may_read = |attributes: &str| {
        let aci = format!(
            "(targetattr{attributes})(version 3.0; acl \"read\"; allow (read,search,compare) userdn=\"ldap:///all\";)"
        );
        server.modify(&format!("dn: {}\nchangetype: modify\nreplace: aci\naci: {aci}\n", ldif::SUFFIX));
    };
    may_read(r#"!="userPassword""#);
    let of_reader = read(READER).ok();
    assert!(of_reader.out == of_manager.out, "{}", of_reader.err);

    may_read(r#"="objectClass || cn || mail || uid || member || nsAccountLock""#);
    instance.run(&["config", "ldap.externalIdAttribute", "dn"]).ok();
    instance.run(&["test"]).fails(1, &["adminLimitExceeded (11)", "Nothing was imported"]);
}
