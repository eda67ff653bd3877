//! Data files of older versions: read, used for a sync, and migrated with a copy of the original.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bwdc_sandbox::{Identity, Options};
use bwdc_testkit::slapd::PASSWORD;
use bwdc_testkit::{Slapd, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, ldap_data};

const ORGANIZATION: &str = "6f1e0c52-8a37-4b6d-9a52-3f0b7c1d2e4f";
const KEY: &str = "k3y";

fn organization() -> Organization {
    let identity = Identity::Given { organization: ORGANIZATION.to_owned(), key: KEY.to_owned() };
    Organization::start(Options { identity, ..Options::default() })
}

/// Versions 5 to 8: flat keys.
fn flat(version: Value, slapd: &Slapd, url: &str) -> Value {
    let mut data = ldap_data(slapd, url);
    data["stateVersion"] = version;
    data["organizationId"] = ORGANIZATION.into();
    data["apiKeyClientId"] = format!("organization.{ORGANIZATION}").into();
    data["apiKeyClientSecret"] = KEY.into();
    data["lastSyncHash"] = "h".into();
    data["window"] = json!({ "width": 800 });
    data
}

/// Versions 3 and 4: everything under an account.
fn under_account(version: u64, slapd: &Slapd, url: &str) -> Value {
    let flat = flat(json!(0), slapd, url);
    let account = "0b9d8c7e-1111-4222-8333-444455556666";
    json!({
        "global": { "stateVersion": version, "environmentUrls": flat["environmentUrls"], "locale": "en" },
        "activeUserId": account,
        "appId": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
        "another-account": { "directorySettings": { "organizationId": "not-this-one", "sync": { "users": false } } },
        account: {
            "profile": { "userId": account, "apiKeyClientId": flat["apiKeyClientId"] },
            "keys": { "apiKeyClientSecret": KEY },
            "tokens": { "accessToken": null },
            "directoryConfigurations": { "ldap": flat["directoryLdap"], "azure": { "tenant": "t" }, "oneLogin": {} },
            "directorySettings": {
                "organizationId": ORGANIZATION, "directoryType": 0, "sync": flat["sync"],
                "lastGroupSync": "2026-01-01T00:00:00.000Z", "lastSyncHash": "h", "groupDelta": "gd",
            },
        },
    })
}

#[test]
fn a_file_of_every_version_ends_in_a_sync_with_the_settings_it_had() {
    let slapd = Slapd::with(&ldif::small(12, 4, 3));
    for version in 3..=8_u64 {
        let organization = organization();
        let url = organization.sandbox.url();
        let instance = Instance::empty();
        let old = if version < 5 {
            under_account(version, &slapd, &url)
        } else {
            flat(json!(version), &slapd, &url)
        };
        instance.write(&old);
        let before = instance.text();
        let expected = if version < 5 { "2026-01-01T00:00:00.000Z\n" } else { "" };
        assert_eq!(instance.run(&["last-sync", "groups"]).ok().out, expected, "version {version}");
        assert_eq!(instance.text(), before, "reading changes nothing");
        let ran = instance.run(&["sync"]).ok();
        assert_eq!(ran.out, "Syncing complete.\nSynced 4 group(s) and 12 user(s).\n", "version {version}");
        assert_eq!(ran.err, "", "version {version}");
        assert_eq!(organization.emails().len(), 12);

        let data = instance.data();
        assert_eq!(data["stateVersion"], 8);
        assert_eq!(data["directoryLdap"]["hostname"], "127.0.0.1");
        assert_eq!(data["directoryLdap"]["password"], PASSWORD);
        assert_eq!(data["sync"]["userObjectClass"], "inetOrgPerson");
        let invites = if version < 8 { json!(true) } else { Value::Null };
        assert_eq!(data["sync"]["inviteUsersAfterProvisioning"], invites);
        for (name, value) in old.as_object().unwrap() {
            let changes = ["stateVersion", "sync", "lastSyncHash"];
            assert!(changes.contains(&name.as_str()) || data[name] == *value, "{name} of version {version}");
        }
        let copy = instance.data_folder().join(format!("data.json.v{version}.bak"));
        if version < 8 {
            assert_eq!(fs::read_to_string(&copy).unwrap(), before);
            assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        } else {
            assert!(!copy.exists());
        }
        assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));
    }
}

#[test]
fn a_copy_is_never_overwritten() {
    let instance = Instance::empty();
    for (number, name) in [(1, "data.json.v7.bak"), (2, "data.json.v7.2.bak"), (1, "data.json.v7.bak")] {
        instance.write(&json!({ "stateVersion": 7, "number": number, "sync": {} }));
        let before = instance.text();
        instance.run(&["clear-cache"]).ok();
        assert_eq!(fs::read_to_string(instance.data_folder().join(name)).unwrap(), before);
        assert_eq!(instance.data()["number"], number);
    }
    assert!(!instance.data_folder().join("data.json.v7.3.bak").exists());
}

#[test]
fn a_file_that_is_too_old_is_named_and_left_alone() {
    for data in [
        json!({ "stateVersion": 2 }),
        json!({ "global": { "stateVersion": 1 } }),
        json!({ "stateVersion": "x" }),
    ] {
        let instance = Instance::empty();
        instance.write(&data);
        let before = instance.text();
        for command in [&["last-sync", "users"][..], &["clear-cache"], &["config", "sync.users", "true"]] {
            let ran = instance.run(command).fails(1, &["data.json", "state version", "It was left as it is"]);
            assert!(ran.out.is_empty());
        }
        assert_eq!(instance.text(), before);
    }
}
