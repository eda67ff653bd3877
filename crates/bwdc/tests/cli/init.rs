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
        "",          // a host is required
        "elsewhere", // hostname
        "<",         // back to the host name
        "localhost",
        "",        // TLS is proposed
        "n",       // no StartTLS
        "no port", // refused, asked again
        &port,
        &slapd.reader(),
        "wrong password",
        &ca,
        "dc=example,dc=org", // not proposed, because the login failed
        "",                  // users
        "",                  // groups
        "y",                 // the disabled leave
        "",                  // the missing stay
        PASSWORD,            // asked again, and nothing else
        &organization.sandbox.client_id(),
        "wrong key",
        &organization.sandbox.client_id(),
        organization.sandbox.client_secret(),
    ];
    let ran = answering(&instance, &["init"], &answers).ok();
    for words in [
        "cannot be `no port`",
        "invalidCredentials (49)",
        "An answer is required.",
        "Give ldap.password again",
        "Settings > Organization info > View API key",
        "invalid_client",
        "who are disabled there as well?",
        "the server accepts the API key",
        "secrets.env",
    ] {
        assert!(ran.err.contains(words), "`{words}` is not in: {}", ran.err);
    }
    for secret in [PASSWORD, organization.sandbox.client_secret(), "wrong password", "wrong key"] {
        assert!(!ran.err.contains(secret) && !instance.text().contains(secret));
    }
    let data = instance.data();
    assert_eq!(data["directoryLdap"]["rootPath"], "dc=example,dc=org");
    assert_eq!(data["sync"]["groupObjectClass"], "groupOfNames");
    assert_eq!(data["directoryLdap"]["hostname"], "localhost");
    assert_eq!(data["directoryLdap"]["externalIdAttribute"], "entryUUID");
    assert_eq!(
        (&data["sync"]["removeDisabled"], &data["sync"]["removeMissing"]),
        (&true.into(), &false.into())
    );
    assert!(!instance.data_folder().join("init-answers.json").exists());
    assert_eq!(instance.run(&["sync"]).ok().out, "Syncing complete.\nSynced 3 group(s) and 9 user(s).\n");
    let told = instance.run(&["doctor"]).ok().out;
    assert!(told.contains("only disabled people are removed") && told.contains("1 warning(s)"), "{told}");
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    assert!(instance.run(&["doctor"]).ok().out.contains("Everything is in order."));
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
    let password = instance.folder.path().join("password");
    fs::write(&password, PASSWORD).unwrap();
    instance.set_env("BWDC_LDAP_PASSWORD_EXEC", &format!("/bin/cat '{}'", password.display()));
    let more = ["--set", "sync.userPath=ou=people"];
    let ran = instance.init(&organization, slapd.port(), &slapd.reader(), &more).ok();
    assert!(ran.out.starts_with("bwdc is set up.\n"), "{}", ran.out);
    assert_eq!(instance.data()["directoryLdap"]["rootPath"], "dc=example,dc=org");
    assert!(
        !instance.text().contains(PASSWORD)
            && !instance.text().contains(organization.sandbox.client_secret())
    );
    assert_eq!(instance.run(&["sync"]).ok().out, "Syncing complete.\nSynced 2 group(s) and 6 user(s).\n");
    // A second run changes only the given settings.
    let before = instance.data();
    instance.run(&["--nointeraction", "init", "--set", "sync.removeDisabled=true"]).ok();
    let mut after = instance.data();
    assert_eq!(after["sync"]["removeDisabled"], true);
    after["sync"].as_object_mut().unwrap().remove("removeDisabled");
    assert_eq!(before, after);
}

#[test]
fn settings_that_do_not_work_are_not_saved() {
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
    // The base DN cannot be proposed: the message names the cause, not its consequence.
    let silent = ["--set", "ldap.port=1"];
    let ran = init(&instance, &silent).fails(1, &["Connection refused", "Nothing was saved."]);
    assert!(!ran.err.contains("ldap.rootPath"), "{}", ran.err);
    let tls = format!("ldap.port={}", slapd.tls_port());
    init(&instance, &["--set", "ldap.ssl=true", "--set", &tls])
        .fails(1, &["certificate", "Nothing was saved."]);
    init(&instance, &["--set", "ldap.password=x"]).fails(1, &["visible to other users", "_FILE"]);
    init(&instance, &["--set", "ldap.portt=x"]).fails(1, &["Did you mean ldap.port?"]);
    instance.run(&["init", "--directory", "ldpa"]).fails(1, &["did you mean ldap?"]);
    assert!(!instance.data_file().exists());
    // Unless requested.
    init(&instance, &["--untested", root[0], root[1]]).ok();
    assert_eq!(instance.data()["directoryLdap"]["port"], slapd.port());
}

/// The token of an earlier run proves nothing about a new key.
#[test]
fn a_new_key_is_tried() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::empty();
    instance.key(&organization.sandbox);
    instance.company("id,email\n1,a@example.org\n", "name,members\n");
    let url = organization.sandbox.url();
    let init = |instance: &Instance, server: &str| {
        let set = ["--set", "file.path=company", "--set", "sync.users=true"];
        instance.run(
            &[&["--nointeraction", "init", "--server", server, "--directory", "file"][..], &set].concat(),
        )
    };
    init(&instance, &url).ok();
    instance.run(&["sync"]).ok();
    let before = instance.text();
    init(&instance, &format!("http://127.0.0.1:{}", bwdc_testkit::free_port()))
        .fails(1, &["Nothing was saved"]);
    instance.set_env("BW_CLIENTSECRET", "wrong-key");
    init(&instance, &url).fails(1, &["Logging in to", "Nothing was saved"]);
    assert_eq!(instance.text(), before);
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
    assert!(ran.out.contains("login.clientSecret is in the secrets file "), "{}", ran.out);
    for name in ["BW_CLIENTID", "BW_CLIENTSECRET"] {
        instance.unset_env(name);
    }
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 1 group(s) and 1 user(s)."));
}

/// The next run has the folder and nothing else.
#[test]
fn every_secret_is_kept_however_it_was_given() {
    let slapd = Slapd::with(&ldif::small(4, 1, 2));
    let organization = Organization::start(Options::default());
    let key = organization.sandbox.client_secret();
    let of_file = |instance: &Instance, name: &str, secret: &str| {
        let path = instance.folder.path().join(name);
        fs::write(&path, format!("{secret}\n")).unwrap();
        path.display().to_string()
    };
    let ways: [(&str, &str); 4] = [
        ("", "the secrets file "),
        ("_FILE", "(the setting secretFile."),
        ("_EXEC", "(exec."),
        ("untested", "the secrets file "),
    ];
    for (way, told) in ways {
        let mut instance = fresh();
        instance.set_env("BW_CLIENTID", &organization.sandbox.client_id());
        for (variable, secret) in [("BWDC_LDAP_PASSWORD", PASSWORD), ("BW_CLIENTSECRET", key)] {
            match way {
                "_FILE" => {
                    instance.set_env(&format!("{variable}_FILE"), &of_file(&instance, variable, secret))
                }
                "_EXEC" => instance.set_env(&format!("{variable}_EXEC"), &format!("/bin/echo '{secret}'")),
                _ => instance.set_env(variable, secret),
            }
        }
        let mut more =
            vec!["--set", "ldap.rootPath=dc=example,dc=org", "--set", "sync.userObjectClass=inetOrgPerson"];
        more.extend(["--set", "sync.groupObjectClass=groupOfNames", "--set", "sync.groupNameAttribute=cn"]);
        more.extend((way == "untested").then_some("--untested"));
        let ran = instance.init(&organization, slapd.port(), &slapd.reader(), &more).ok();
        for name in ["ldap.password", "login.clientSecret"] {
            let line =
                ran.out.lines().find(|line| line.starts_with(&format!("{name} is in "))).unwrap_or_default();
            assert!(line.contains(told), "{way}: {}", ran.out);
        }
        assert!(!ran.out.contains(PASSWORD) && !ran.out.contains(key) && !ran.err.contains(key));
        instance.environment.retain(|(name, _)| !name.starts_with("BW_") && !name.starts_with("BWDC_LDAP"));
        let ran = instance.run(&["sync"]).ok();
        assert!(ran.out.contains("Synced 1 group(s) and 4 user(s)."), "{way}: {}", ran.out);
    }
}

#[test]
fn yes_and_no_are_true_and_false() {
    let instance = Instance::empty();
    for (text, value) in [
        ("y", true),
        ("No", false),
        ("TRUE", true),
        ("False", false),
        ("1", true),
        ("0", false),
        ("yes", true),
        ("n", false),
    ] {
        instance.run(&["config", "sync.removeDisabled", text]).ok();
        assert_eq!(instance.data()["sync"]["removeDisabled"], value, "{text}");
    }
    instance.run(&["config", "sync.removeDisabled", "maybe"]).fails(1, &["Value must be 'true' or 'false'."]);
}

/// After Ctrl-C or a closed terminal, the next run continues with the answers, and asks for the secrets.
#[test]
fn answers_are_kept_until_all_are_given() {
    let slapd = Slapd::with(&ldif::small(3, 1, 2));
    let organization = Organization::start(Options::default());
    let mut instance = fresh();
    let port = slapd.port().to_string();
    let first = [&organization.sandbox.url(), "ldap", "127.0.0.1", "n", &port, &slapd.reader(), PASSWORD];
    let ran = answering(&instance, &["init"], &first).fails(1, &["Ctrl-C keeps your answers"]);
    assert!(!instance.data_file().exists(), "{}", ran.err);
    let kept = fs::read_to_string(instance.data_folder().join("init-answers.json")).unwrap();
    assert!(kept.contains("127.0.0.1") && !kept.contains(PASSWORD), "{kept}");
    instance.key(&organization.sandbox);
    let rest = ["y", PASSWORD, "", "", "", "", ""];
    let ran = answering(&instance, &["init"], &rest).ok();
    assert!(ran.err.contains("Continue with the 6 answers from last time?"), "{}", ran.err);
    assert_eq!(instance.data()["directoryLdap"]["hostname"], "127.0.0.1");
    assert!(!instance.data_folder().join("init-answers.json").exists());
}

/// An existing instance keeps the id it was set up with.
#[test]
fn an_id_that_survives_renames_is_chosen_for_new_instances_only() {
    let slapd = Slapd::with(&ldif::small(3, 1, 2));
    let organization = Organization::start(Options::default());
    let mut instance = fresh();
    instance.key(&organization.sandbox);
    instance.set_env("BWDC_LDAP_PASSWORD", PASSWORD);
    instance.init(&organization, slapd.port(), &slapd.reader(), &[]).ok();
    assert_eq!(instance.data()["directoryLdap"]["externalIdAttribute"], "entryUUID");
    instance
        .change(|data| drop(data["directoryLdap"].as_object_mut().unwrap().remove("externalIdAttribute")));
    let ran = instance.init(&organization, slapd.port(), &slapd.reader(), &[]).ok();
    assert!(ran.err.contains("`bwdc config ldap.externalIdAttribute entryUUID` is better"), "{}", ran.err);
    assert!(instance.data()["directoryLdap"].get("externalIdAttribute").is_none());
}
