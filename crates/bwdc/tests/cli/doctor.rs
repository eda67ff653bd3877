//! `bwdc doctor` names the right cause, and only that one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bwdc_sandbox::{Flavour, Options};
use bwdc_testkit::slapd::Quirk;
use bwdc_testkit::{Slapd, free_port, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};

/// Valid setup, over LDAPS.
fn healthy(slapd: &Slapd, organization: &Organization) -> Instance {
    let instance = Instance::ldap(slapd, organization);
    with_ldap(
        &instance,
        &json!({
            "ssl": true, "port": slapd.tls_port(), "sslCaPath": slapd.certificates().ca, "hostname": "localhost",
        }),
    );
    instance
}

fn with_ldap(instance: &Instance, changes: &Value) {
    instance.change(|data| {
        for (key, value) in changes.as_object().unwrap() {
            data["directoryLdap"][key] = value.clone();
        }
    });
}

/// Checks that failed.
fn failed(instance: &Instance) -> Vec<Value> {
    let before = instance.data_file().exists().then(|| instance.text());
    let ran = instance.run(&["doctor", "--json"]);
    let report: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err));
    let failed: Vec<Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] == "failed")
        .cloned()
        .collect();
    assert_eq!(report["ok"], failed.is_empty());
    assert_eq!(ran.code, i32::from(!failed.is_empty()));
    assert_eq!(before, instance.data_file().exists().then(|| instance.text()), "looking changes nothing");
    failed
}

/// Expects one failed check, with these words in its finding and advice.
#[track_caller]
fn names(instance: &Instance, check: &str, words: &[&str]) {
    let failed = failed(instance);
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0]["check"], check, "{failed:#?}");
    let told =
        format!("{} -> {}", failed[0]["found"].as_str().unwrap(), failed[0]["nextStep"].as_str().unwrap());
    for word in words {
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
}

#[test]
fn a_healthy_installation() {
    let slapd = Slapd::with(&ldif::small(20, 5, 4));
    let organization = Organization::start(Options::default());
    let instance = healthy(&slapd, &organization);
    let ran = instance.run(&["doctor"]).ok();
    for line in [
        "ok    data.json: ",
        "ok    Folder: ",
        "ok    Lock: no sync is running",
        "ok    Settings: all values are valid",
        "ok    Secret login.clientSecret: found in the variable BW_CLIENTSECRET",
        "ok    Secret ldap.password: found in data.json",
        "ok    LDAP server: name: localhost is ",
        "ok    LDAP server: connection: ",
        "ok    LDAP server: certificate: ",
        "ok    LDAP login: the server accepts cn=reader",
        "ok    LDAP people: there are entries under `ou=people,dc=example,dc=org`",
        "ok    LDAP people: attribute mail: has values",
        "ok    LDAP groups: attribute member: has values",
        "ok    Bitwarden API: connection: ",
        "ok    Clock: it agrees with the server's clock",
        "accepts the API key",
        "ok    Rehearsal: 20 people and 5 groups with ",
    ] {
        assert!(ran.out.contains(line), "`{line}` is not in:\n{}", ran.out);
    }
    assert!(
        !ran.out.contains(organization.sandbox.client_secret()) && !ran.out.contains("battery"),
        "{}",
        ran.out
    );
    assert_eq!(organization.imports(), 0);
}

#[test]
fn connection_problems_of_a_directory() {
    let slapd = Slapd::with(&ldif::small(5, 2, 2));
    let organization = Organization::start(Options::default());
    let elsewhere = Slapd::with(&ldif::small(1, 0, 0));
    let other_ca = elsewhere.certificates().ca.display().to_string();
    let closed = free_port();
    for (changes, check, words) in [
        (
            json!({ "port": closed }),
            "LDAP server: connection",
            &["Connection refused", "Nothing is listening on port", "ldap.port"][..],
        ),
        (json!({ "port": slapd.port() }), "LDAP server: certificate", &["TLS", "ldap.port"]),
        (json!({ "sslCaPath": other_ca }), "LDAP server: certificate", &["ldap.sslCaPath"]),
        (
            json!({ "hostname": "no.such.host.invalid" }),
            "LDAP server: name",
            &["Looking up no.such.host.invalid", "DNS"],
        ),
        (json!({ "password": "wrong" }), "LDAP login", &["invalidCredentials (49)", "ldap.password"]),
        (json!({ "rootPath": "dc=example,dc=com" }), "LDAP people", &["noSuchObject (32)", "ldap.rootPath"]),
    ] {
        let instance = healthy(&slapd, &organization);
        with_ldap(&instance, &changes);
        let failures = failed(&instance);
        assert_eq!(failures[0]["check"], check, "{changes}: {failures:#?}");
        let told = failures[0].to_string();
        for word in words {
            assert!(told.contains(word), "`{word}` is not in: {told}");
        }
    }
}

#[test]
fn an_expired_certificate() {
    let slapd = Slapd::start(&ldif::small(5, 1, 2), Quirk::Expired);
    let organization = Organization::start(Options::default());
    names(&healthy(&slapd, &organization), "LDAP server: certificate", &["expired", "renewed", "clock"]);
    let instance = healthy(&slapd, &organization);
    with_ldap(
        &instance,
        &json!({
            "startTls": true, "port": slapd.port(), "tlsCaPath": slapd.certificates().ca, "hostname": "localhost",
        }),
    );
    names(&instance, "LDAP server: certificate", &["expired", "renewed"]);
}

#[test]
fn start_tls() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = healthy(&slapd, &organization);
    with_ldap(
        &instance,
        &json!({ "startTls": true, "port": slapd.port(), "tlsCaPath": slapd.certificates().ca }),
    );
    let ran = instance.run(&["doctor"]).ok();
    assert!(ran.out.contains("ok    LDAP server: certificate: CN="), "{}", ran.out);
    with_ldap(&instance, &json!({ "tlsCaPath": null }));
    names(&instance, "LDAP server: certificate", &["UnknownIssuer", "ldap.tlsCaPath"]);
}

#[test]
fn filters_classes_and_attributes_that_match_nothing() {
    let slapd = Slapd::with(&ldif::small(5, 2, 2));
    let organization = Organization::start(Options::default());
    for (setting, value, check, words) in [
        (
            "sync.userFilter",
            "(title=Astronaut)",
            "LDAP people",
            &["none matches", "(title=Astronaut)", "Check sync.userFilter."][..],
        ),
        (
            "sync.userObjectClass",
            "account",
            "LDAP people",
            &["no entry matches (&(objectClass=account))", "sync.userObjectClass"],
        ),
        (
            "sync.userEmailAttribute",
            "mial",
            "LDAP people: attribute mial",
            &["no entry has a value of mial", "sync.userEmailAttribute"],
        ),
        (
            "sync.memberAttribute",
            "uniqueMember",
            "LDAP groups: attribute uniqueMember",
            &["sync.memberAttribute", "all groups would be empty"],
        ),
        ("sync.groupPath", "ou=gruppen", "LDAP groups", &["noSuchObject (32)", "sync.groupPath"]),
    ] {
        let instance = healthy(&slapd, &organization);
        instance.run(&["config", setting, value]).ok();
        names(&instance, check, words);
    }
}

#[test]
fn a_directory_may_have_no_groups() {
    let slapd = Slapd::with(&ldif::small(5, 2, 2));
    let organization = Organization::start(Options::default());
    let instance = healthy(&slapd, &organization);
    instance.run(&["config", "sync.groupFilter", "(cn=nothing)"]).ok();
    let ran = instance.run(&["doctor"]).ok();
    assert!(
        ran.out.contains("warn  LDAP groups: ") && ran.out.contains("Check sync.groupFilter."),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("It works; 3 warning(s).\n"), "{}", ran.out);
}

#[test]
fn the_organization() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let mut instance = healthy(&slapd, &organization);
    instance.set_env("BW_CLIENTSECRET", "wrong");
    names(&instance, "Organization", &["invalid_client", "API key"]);
    let instance = healthy(&slapd, &organization);
    let closed = format!("http://127.0.0.1:{}", free_port());
    instance.run(&["config", "server", &closed]).ok();
    names(&instance, "Bitwarden API: connection", &["Connection refused", "bwdc config server"]);
    instance.run(&["config", "server", "https://no.such.host.invalid"]).ok();
    names(&instance, "Bitwarden API: name", &["Looking up no.such.host.invalid"]);
    // Something other than a Bitwarden server.
    instance.run(&["config", "server", &format!("{}/elsewhere", organization.sandbox.url())]).ok();
    names(&instance, "Organization", &["404", "bwdc config server"]);
}

#[test]
fn unavailable_secrets() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let mut instance = healthy(&slapd, &organization);
    instance.set_env("BWDC_LDAP_PASSWORD_FILE", "/nowhere/password");
    let failures = failed(&instance);
    assert_eq!(failures[0]["check"], "Secret ldap.password");
    assert!(failures[0].to_string().contains("/nowhere/password"), "{failures:?}");
    let mut instance = healthy(&slapd, &organization);
    let path = instance.folder.path().join("secrets.env");
    fs::write(&path, "BWDC_LDAP_PASSWORD=x\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    instance.set_env("BWDC_SECRETS_FILE", &path.display().to_string());
    let failures = failed(&instance);
    assert!(failures[0].to_string().contains("mode 644"), "{failures:?}");
    let mut instance = healthy(&slapd, &organization);
    instance.unset_env("BW_CLIENTSECRET");
    let failures = failed(&instance);
    assert_eq!(failures[0]["check"], "Secret login.clientSecret");
    assert!(failures[0]["nextStep"].as_str().unwrap().contains("bwdc login"));
}

#[test]
fn the_installation_itself() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = healthy(&slapd, &organization);
    instance.change(|data| data["sync"]["interval"] = 3.into());
    names(&instance, "Settings", &["sync.interval in data.json cannot be `3`", "at least 5"]);
    instance.change(|data| data["sync"]["interval"] = 5.into());
    fs::set_permissions(instance.data_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = instance.run(&["doctor"]).ok();
    assert!(ran.out.contains("warn  data.json:") && ran.out.contains("chmod 600"), "{}", ran.out);
    fs::write(instance.data_file(), "{").unwrap();
    assert!(failed_damaged(&instance).contains("line 1 column 1"));
    let empty = Instance::empty();
    assert!(empty.run(&["doctor"]).code == 1);
    assert!(!empty.data_file().exists());
}

fn failed_damaged(instance: &Instance) -> String {
    let ran = instance.run(&["doctor"]);
    assert_eq!(ran.code, 1);
    ran.out
}

#[test]
fn a_missing_ca_file() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = healthy(&slapd, &organization);
    with_ldap(&instance, &json!({ "sslCaPath": "/nowhere/ca.pem" }));
    names(&instance, "LDAP server: certificate", &["/nowhere/ca.pem", "No such file"]);
}

/// Works, but will surprise somebody.
#[test]
fn settings_that_keep_leavers_and_ids_that_change_are_reported() {
    let slapd = Slapd::with(&ldif::small(3, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let told = |words: &str| {
        let out = instance.run(&["doctor"]).ok().out;
        assert!(out.contains(words), "`{words}` is not in: {out}");
    };
    told("nobody is ever removed: this directory does not report deleted accounts");
    told("identified by their DN, which changes when they are renamed");
    instance.run(&["config", "sync.removeDisabled", "true"]).ok();
    told("only disabled people are removed");
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["config", "ldap.externalIdAttribute", "entryUUID"]).ok();
    told("Everything is in order.");
    let filter = "(&(mail=*)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))";
    instance.run(&["config", "sync.userFilter", filter]).ok();
    let out = instance.run(&["doctor"]).out;
    assert!(out.contains("excludes disabled people"), "{out}");
}

#[test]
fn differences_of_vaultwarden_are_reported() {
    let organization = Organization::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() });
    let instance = Instance::files("id,email\n1,a@example.org\n", "name,members\nA,1\n", &organization);
    let out = instance.run(&["doctor"]).ok().out;
    assert!(out.contains("ORG_GROUPS_ENABLED") && out.contains("revoked by hand come back"), "{out}");
}

/// New ids make everybody new, so this must not happen by mistake.
#[test]
fn a_new_id_for_synced_people_must_be_confirmed() {
    let slapd = Slapd::with(&ldif::small(3, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let change = ["config", "ldap.externalIdAttribute", "entryUUID"];
    instance.run(&change).ok();
    instance.run(&["config", "unset", "ldap.externalIdAttribute"]).ok();
    instance.run(&["sync"]).ok();
    let before = instance.text();
    instance.run(&change).fails(1, &["every group is created a second time", "add --yes"]);
    instance.run(&[&["--nointeraction"], &change[..]].concat()).fails(1, &["Nothing was saved."]);
    assert_eq!(instance.text(), before);
    instance.run(&[&change[..], &["--yes"]].concat()).ok();
    assert_eq!(instance.data()["directoryLdap"]["externalIdAttribute"], "entryUUID");
    // Setting the same value again is not a change.
    instance.run(&change).ok();
}

/// People at a terminal see at once what failed, and do not wait for a minute.
#[test]
fn a_hopeless_login_is_reported_at_once_and_given_up_soon() {
    let mut instance = Instance::empty();
    instance.set_env("BW_CLIENTID", "organization.11111111-2222-3333-4444-555555555555");
    instance.set_env("BW_CLIENTSECRET", "x");
    instance.unset_env("BWDC_RETRY_SECONDS");
    instance.run(&["config", "server", &format!("http://127.0.0.1:{}", free_port())]).ok();
    // script(1) gives it a terminal.
    let line = format!("'{}' login", env!("CARGO_BIN_EXE_bwdc"));
    let mut command = instance.command_of("script".as_ref(), &["-qec", &line, "/dev/null"]);
    let ran: Ran = command.env("PATH", "/usr/bin:/bin").output().unwrap().into();
    let told =
        ran.out.find("Trying again for up to 5 s.").or_else(|| ran.out.find("Trying again for up to 4 s."));
    let given_up = ran.out.find("(tried ").expect(&ran.out);
    assert!(told.is_some_and(|told| told < given_up), "{}", ran.out);
    assert!(!ran.out.contains("import"), "{}", ran.out);
    let seconds = ran.out.split(" times in ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(seconds.parse::<u64>().unwrap() <= 5, "{}", ran.out);
}
