//! `bwdc init`: by options, by answers, and nothing saved that does not work.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use bwdc_sandbox::Options;
use bwdc_testkit::slapd::PASSWORD;
use bwdc_testkit::{Slapd, ldif};

use crate::harness::{Instance, Organization, Ran};

fn fresh() -> Instance {
    let mut instance = Instance::empty();
    instance.unset_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS");
    instance
}

fn answering(instance: &Instance, arguments: &[&str], answers: &[&str]) -> Ran {
    let mut child = instance
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap().into()
}

#[test]
fn by_answers_on_a_machine_without_a_secret_store() {
    let slapd = Slapd::with(&ldif::small(9, 3, 2));
    let organization = Organization::start(Options::default());
    let instance = fresh();
    let port = slapd.tls_port().to_string();
    let ca = slapd.certificates().ca.display().to_string();
    let answers = [
        &organization.sandbox.url(),
        "",          // ldap is proposed
        "localhost", // hostname
        "",          // TLS is proposed
        "false",     // no StartTLS
        "no port",   // refused, asked again
        &port,
        &slapd.reader(),
        "wrong password",
        &ca,
        "dc=example,dc=org", // the server does not say, as the login failed
        "",                  // users
        "",                  // groups
        "y",                 // answer again
        "",
        "",
        "",
        "",
        "", // host, ssl, startTls, port, username as before
        PASSWORD,
        "",
        "", // root
        "", // users
        "", // groups
        &organization.sandbox.client_id(),
        organization.sandbox.client_secret(),
    ];
    let ran = answering(&instance, &["init"], &answers).ok();
    for words in [
        "cannot be `no port`",
        "invalidCredentials (49)",
        "Answer again? [Y/n]",
        "the server accepts the API key",
        "secrets.env",
    ] {
        assert!(ran.err.contains(words), "`{words}` is not in: {}", ran.err);
    }
    for secret in [PASSWORD, organization.sandbox.client_secret(), "wrong password"] {
        assert!(!ran.err.contains(secret) && !instance.text().contains(secret));
    }
    let data = instance.data();
    assert_eq!(data["directoryLdap"]["rootPath"], "dc=example,dc=org");
    assert_eq!(data["sync"]["groupObjectClass"], "groupOfNames");
    assert!(ran.err.contains("bwdc config ldap.externalIdAttribute entryUUID"), "{}", ran.err);
    assert!(data["directoryLdap"].get("externalIdAttribute").is_none());
    assert_eq!(instance.run(&["sync"]).ok().out, "Syncing complete.\nSynced 3 group(s) and 9 user(s).\n");
    assert!(instance.run(&["doctor"]).ok().out.contains("Everything is as it should be."));
}

#[test]
fn by_options_with_the_root_from_the_server() {
    let slapd = Slapd::with(&ldif::small(6, 2, 2));
    let organization = Organization::start(Options::default());
    let mut instance = fresh();
    instance.set_env("BW_CLIENTID", &organization.sandbox.client_id());
    let key = instance.folder.path().join("key");
    fs::write(&key, organization.sandbox.client_secret()).unwrap();
    instance.set_env("BW_CLIENTSECRET_FILE", &key.display().to_string());
    instance.set_env("BWDC_LDAP_PASSWORD_EXEC", &format!("/bin/echo '{PASSWORD}'"));
    let more = ["--set", "sync.userPath=ou=people"];
    let ran = instance.init(&organization, slapd.port(), &slapd.reader(), &more).ok();
    assert!(ran.out.starts_with("bwdc is set up.\n"), "{}", ran.out);
    assert_eq!(instance.data()["directoryLdap"]["rootPath"], "dc=example,dc=org");
    assert!(
        !instance.text().contains(PASSWORD)
            && !instance.text().contains(organization.sandbox.client_secret())
    );
    assert_eq!(instance.run(&["sync"]).ok().out, "Syncing complete.\nSynced 2 group(s) and 6 user(s).\n");
    // Once more changes nothing but what is given.
    let before = instance.data();
    instance.run(&["--nointeraction", "init", "--set", "sync.removeDisabled=true"]).ok();
    let mut after = instance.data();
    assert_eq!(after["sync"]["removeDisabled"], true);
    after["sync"].as_object_mut().unwrap().remove("removeDisabled");
    assert_eq!(before, after);
}

#[test]
fn what_does_not_work_is_not_saved() {
    let slapd = Slapd::with(&ldif::small(3, 1, 1));
    let organization = Organization::start(Options::default());
    let mut instance = fresh();
    let init = |instance: &Instance, more: &[&str]| {
        instance.init(&organization, slapd.port(), &slapd.reader(), more)
    };
    let root = ["--set", "ldap.rootPath=dc=example,dc=org"];
    instance
        .run(&["--nointeraction", "init", "--set", "ldap.hostname=x"])
        .fails(1, &["The setting ldap.username is missing."]);
    init(&instance, &[]).fails(1, &["The secret ldap.password is missing.", "BWDC_LDAP_PASSWORD_FILE"]);
    instance.set_env("BWDC_LDAP_PASSWORD", "wrong");
    init(&instance, &root).fails(1, &["LDAP login", "invalidCredentials (49)", "Nothing was saved."]);
    instance.set_env("BWDC_LDAP_PASSWORD", PASSWORD);
    init(&instance, &[]).fails(1, &["Client ID is required."]);
    instance.set_env("BW_CLIENTID", &organization.sandbox.client_id());
    instance.set_env("BW_CLIENTSECRET", "wrong");
    init(&instance, &[]).fails(1, &["invalid_client"]);
    init(&instance, &["--set", "ldap.password=x"]).fails(1, &["visible to other users", "_FILE"]);
    init(&instance, &["--set", "ldap.portt=x"]).fails(1, &["Did you mean ldap.port?"]);
    instance.run(&["init", "--directory", "ldpa"]).fails(1, &["did you mean ldap?"]);
    assert!(!instance.data_file().exists());
    // Unless it is asked for.
    init(&instance, &["--untested", root[0], root[1]]).ok();
    assert_eq!(instance.data()["directoryLdap"]["port"], slapd.port());
}

#[test]
fn a_directory_of_files() {
    let organization = Organization::start(Options::default());
    let mut instance = fresh();
    instance.company("id,email\nu1,a@example.org\n", "id,name,members\ng1,Staff,u1\n");
    instance.key(&organization.sandbox);
    let url = organization.sandbox.url();
    let ran = instance
        .run(&[
            "init",
            "--nointeraction",
            "--directory",
            "file",
            "--server",
            &url,
            "--set",
            "file.path=company",
        ])
        .ok();
    assert!(ran.err.contains("every sync needs BW_CLIENTID and BW_CLIENTSECRET too"), "{}", ran.err);
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 1 group(s) and 1 user(s)."));
}
