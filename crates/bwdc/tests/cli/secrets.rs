//! Sources and places of secrets: every source, a real secret service, and no secret in any output.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bwdc_sandbox::Options;
use bwdc_testkit::slapd::PASSWORD;
use bwdc_testkit::{Keyring, Slapd, ldif};
use serde_json::Value;

use crate::harness::{Instance, Organization, ldap_data};

const SERVICE: &str = "Bitwarden Directory Connector";

/// Directory, organization, and an instance without any secret or place for one.
struct Scene {
    slapd: Slapd,
    organization: Organization,
    instance: Instance,
}

impl Scene {
    fn set() -> Self {
        let slapd = Slapd::with(&ldif::small(7, 2, 3));
        let organization = Organization::start(Options::default());
        let mut instance = Instance::empty();
        instance.unset_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS");
        let mut data = ldap_data(&slapd, &organization.sandbox.url());
        data["directoryLdap"].as_object_mut().unwrap().remove("password");
        instance.write(&data);
        Self { slapd, organization, instance }
    }

    fn id(&self) -> String {
        self.organization.sandbox.client_id()
    }

    fn key(&self) -> String {
        self.organization.sandbox.client_secret().to_owned()
    }

    /// The three secrets that a sync needs: name, variable, value.
    fn all(&self) -> [(&'static str, &'static str, String); 3] {
        [
            ("login.clientId", "BW_CLIENTID", self.id()),
            ("login.clientSecret", "BW_CLIENTSECRET", self.key()),
            ("ldap.password", "BWDC_LDAP_PASSWORD", PASSWORD.to_owned()),
        ]
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.instance.folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// Checks that login and sync work, that the list names every source, and that no secret is shown.
    fn works(&mut self, source: &str) {
        self.instance.set_env("BITWARDENCLI_CONNECTOR_DEBUG", "true");
        let mut shown = String::new();
        for command in
            [&["login"][..], &["sync"], &["test"], &["config", "list"], &["--response", "config", "list"]]
        {
            let ran = self.instance.run(command).ok();
            shown += &ran.out;
            shown += &ran.err;
        }
        assert!(shown.contains("You are logged in!"), "{shown}");
        assert!(shown.contains("Synced 2 group(s) and 7 user(s)."), "{shown}");
        let list: Value = serde_json::from_str(
            self.instance.run(&["--response", "config", "list"]).out.lines().last().unwrap(),
        )
        .unwrap();
        for (name, _, _) in self.all() {
            let lines = list["data"]["data"].as_array().unwrap();
            let line = lines.iter().find(|line| line["name"] == name).unwrap();
            assert!(line["source"].as_str().unwrap().contains(source), "{line}");
        }
        for secret in [&self.key(), PASSWORD] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(self.organization.emails().len(), 7);
        assert_eq!(self.organization.imports(), 1);
    }

    fn keeps_no_secret(&self) {
        let folder = self.instance.data_folder();
        let history = fs::read_dir(folder.join("history")).into_iter().flatten();
        let paths = fs::read_dir(&folder).unwrap().chain(history).map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.is_file());
        for path in paths {
            let text = fs::read_to_string(path).unwrap();
            assert!(!text.contains(&self.key()) && !text.contains(PASSWORD));
        }
    }
}

#[test]
fn variables() {
    let mut scene = Scene::set();
    for (_, variable, value) in scene.all() {
        scene.instance.set_env(variable, &value);
    }
    scene.works("the variable");
    scene.keeps_no_secret();
}

#[test]
fn a_file_each() {
    let mut scene = Scene::set();
    for (name, variable, value) in scene.all() {
        let path = scene.file(name, &format!("{value}\n"));
        scene.instance.set_env(&format!("{variable}_FILE"), &path);
    }
    scene.works("_FILE");
    scene.keeps_no_secret();
    // A second login only checks again, because nothing was stored.
    scene.instance.run(&["login"]).ok();
    scene.instance.run(&["logout"]).fails(1, &["You are not logged in.", "BW_CLIENTSECRET_FILE"]);
}

#[test]
fn commands_named_by_variables() {
    let mut scene = Scene::set();
    for (name, variable, value) in scene.all() {
        let path = scene.file(&format!("a {name}"), &value);
        scene.instance.set_env(&format!("{variable}_EXEC"), &format!("/bin/cat '{path}'"));
    }
    scene.works("the command /bin/cat");
    scene.keeps_no_secret();
}

#[test]
fn commands_named_by_settings() {
    let mut scene = Scene::set();
    for (name, _, value) in scene.all() {
        let path = scene.file(&format!("a {name}"), &value);
        scene.instance.run(&["config", &format!("exec.{name}"), &format!("/bin/cat \"{path}\"")]).ok();
    }
    scene.works("exec.");
    scene.keeps_no_secret();
}

/// A password manager may ask somebody each time.
#[test]
fn a_command_runs_once_however_often_its_secret_is_needed() {
    let mut scene = Scene::set();
    let log = scene.instance.folder.path().join("log");
    let script = |secret: &str| format!("/bin/sh -c \"echo run >> '{}'; echo '{secret}'\"", log.display());
    scene.instance.set_env("BW_CLIENTID", &scene.id());
    scene.instance.set_env("BW_CLIENTSECRET_EXEC", &script(&scene.key()));
    scene.instance.set_env("BWDC_LDAP_PASSWORD_EXEC", &script(PASSWORD));
    scene.instance.run(&["doctor"]).ok();
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 2);
}

#[test]
fn systemd_credentials() {
    let mut scene = Scene::set();
    let folder = scene.instance.folder.path().join("credentials");
    fs::create_dir(&folder).unwrap();
    for (name, _, value) in scene.all() {
        fs::write(folder.join(name), value).unwrap();
    }
    scene.instance.set_env("CREDENTIALS_DIRECTORY", &folder.display().to_string());
    scene.works("the systemd credential");
    scene.keeps_no_secret();
}

#[test]
fn a_secrets_file_written_by_hand() {
    let mut scene = Scene::set();
    let lines = scene.all().map(|(_, variable, value)| format!("{variable}={value}\n"));
    let path = scene.file("my-secrets", &format!("# mine\n\n{}", lines.concat()));
    scene.instance.set_env("BWDC_SECRETS_FILE", &path);
    scene.works("the secrets file");
    scene.keeps_no_secret();
}

#[test]
fn a_secrets_file_written_by_login_and_config() {
    let scene = Scene::set();
    let Scene { instance, .. } = &scene;
    instance.run(&["config", "secrets.file", "secrets.env"]).ok();
    instance.run(&["config", "ldap.password", PASSWORD]).ok();
    let ran = instance.run(&["login", &scene.id(), &scene.key()]).ok();
    assert!(ran.err.contains("visible to other users"), "{}", ran.err);
    let path = instance.data_folder().join("secrets.env");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let already = format!("You are already logged in as {}.", scene.id());
    instance.run(&["login", &scene.id(), &scene.key()]).fails(1, &[&already]);
    let ran = instance.run(&["sync"]).ok();
    assert!(ran.out.contains("Synced 2 group(s) and 7 user(s)."), "{}", ran.out);
    assert!(!instance.text().contains(&scene.key()) && !instance.text().contains(PASSWORD));
    instance.run(&["logout"]).ok();
    instance.run(&["sync"]).fails(1, &["You are not logged in."]);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("BWDC_LDAP_PASSWORD={PASSWORD}\n"));
}

#[test]
fn a_secrets_file_readable_by_others_stops_everything() {
    let mut scene = Scene::set();
    let path = scene.file("secrets", &format!("BW_CLIENTSECRET={}\n", scene.key()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    scene.instance.set_env("BWDC_SECRETS_FILE", &path);
    for command in [&["sync"][..], &["login"], &["config", "ldap.password", "x"]] {
        scene.instance.run(command).fails(1, &[&path, "mode 644", "chmod 600"]);
    }
}

#[test]
fn plain_text_in_the_data_file() {
    let mut scene = Scene::set();
    scene.instance.set_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS", "true");
    scene.instance.set_env("BW_CLIENTID", &scene.id());
    scene.instance.set_env("BW_CLIENTSECRET", &scene.key());
    let path = scene.file("password", PASSWORD);
    scene.instance.run(&["config", "ldap.password", "--secretfile", &path]).ok();
    scene.instance.run(&["login"]).ok();
    scene.instance.unset_env("BW_CLIENTID");
    scene.instance.unset_env("BW_CLIENTSECRET");
    assert!(scene.instance.run(&["sync"]).ok().out.contains("Synced 2 group(s) and 7 user(s)."));
    assert_eq!(scene.instance.data()["apiKeyClientSecret"], scene.key());
    // Once stored, they are read without the variable too.
    scene.instance.unset_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS");
    assert!(scene.instance.run(&["sync"]).ok().out.contains("Synced 0 group(s)"));
    // A new token is stored beside the key, too.
    scene.instance.change(|data| data.as_object_mut().unwrap().retain(|key, _| key != "accessToken"));
    assert!(scene.instance.run(&["sync"]).ok().out.contains("Synced 0 group(s)"));
    assert!(scene.instance.data()["accessToken"].is_string());
}

#[test]
fn a_source_without_a_secret_is_an_error_that_names_it() {
    let scene = Scene::set();
    let fails = |name: &str, value: &str, words: &[&str]| {
        let mut instance = Instance {
            folder: tempfile::tempdir().unwrap(),
            environment: scene.instance.environment.clone(),
        };
        instance.set_env(
            "BITWARDENCLI_CONNECTOR_APPDATA_DIR",
            &instance.folder.path().join("data").display().to_string(),
        );
        instance.write(&scene.instance.data());
        instance.set_env("BW_CLIENTID", &scene.id());
        instance.set_env("BW_CLIENTSECRET", &scene.key());
        instance.set_env(name, value);
        let ran = instance.run(&["sync"]).fails(1, words);
        assert!(ran.err.contains("ldap.password"), "{}", ran.err);
        assert_eq!(scene.organization.imports(), 0);
    };
    let empty = scene.file("empty", "\n");
    fails(
        "BWDC_LDAP_PASSWORD_FILE",
        "/nowhere/password",
        &["/nowhere/password", "No such file", "BWDC_LDAP_PASSWORD_FILE"],
    );
    fails("BWDC_LDAP_PASSWORD_FILE", &empty, &["is empty"]);
    fails(
        "BWDC_LDAP_PASSWORD_EXEC",
        "/nowhere/pass show x",
        &["/nowhere/pass", "could not be run", "BWDC_LDAP_PASSWORD_EXEC"],
    );
    fails(
        "BWDC_LDAP_PASSWORD_EXEC",
        "/bin/sh -c 'echo the vault is sealed >&2; exit 3'",
        &["the vault is sealed", "3"],
    );
    fails("BWDC_LDAP_PASSWORD_EXEC", "/bin/true", &["is empty"]);
    fails("BWDC_LDAP_PASSWORD_EXEC", "/bin/echo 'x", &["a quote in it is not closed"]);
}

#[test]
fn a_real_secret_service_stores_items_the_existing_connector_would_find() {
    let keyring = Keyring::start();
    let mut scene = Scene::set();
    scene.instance.set_env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let Scene { instance, .. } = &scene;
    instance.run(&["config", "ldap.password", PASSWORD]).ok();
    assert_eq!(instance.data()["directoryLdap"]["password"], "[STORED SECURELY]");
    assert_eq!(keyring.saved(SERVICE, "secretLdap").unwrap(), format!("\"{PASSWORD}\""));
    let key = scene.key();
    instance.run(&["login", &scene.id(), &key]).ok();
    assert_eq!(keyring.saved(SERVICE, "apiKeyClientSecret").unwrap(), format!("\"{key}\""));
    assert_eq!(keyring.saved(SERVICE, "apiKeyClientId").unwrap(), format!("\"{}\"", scene.id()));
    assert!(keyring.saved(SERVICE, "accessToken").unwrap().len() > 20);
    scene.keeps_no_secret();
    let already = format!("You are already logged in as {}.", scene.id());
    instance.run(&["login"]).fails(1, &[&already]);
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 2 group(s) and 7 user(s)."));
    let list = instance.run(&["config", "list"]).ok().out;
    assert!(
        list.contains("ldap.password                      [found in the secret store (Secret Service)]"),
        "{list}"
    );
    // Saving again replaces the item; there is one, not two.
    instance.run(&["config", "ldap.password", "wrong"]).ok();
    assert_eq!(keyring.saved(SERVICE, "secretLdap").unwrap(), "\"wrong\"");
    instance.run(&["config", "unset", "ldap.password"]).ok();
    assert_eq!(keyring.saved(SERVICE, "secretLdap"), None);
    instance.run(&["logout"]).ok();
    for account in ["apiKeyClientSecret", "apiKeyClientId", "accessToken"] {
        assert_eq!(keyring.saved(SERVICE, account), None);
    }
    instance.run(&["sync"]).fails(1, &["You are not logged in."]);
}

#[test]
fn items_saved_by_the_existing_connector_in_a_secret_service_are_found() {
    let keyring = Keyring::start();
    let mut scene = Scene::set();
    scene.instance.set_env("DBUS_SESSION_BUS_ADDRESS", keyring.address());
    let organization = scene.id().trim_start_matches("organization.").to_owned();
    let json = |text: &str| format!("\"{text}\"");
    keyring.save(SERVICE, "apiKeyClientId", &json(&scene.id()));
    keyring.save(SERVICE, "apiKeyClientSecret", &json(&scene.key()));
    scene.instance.change(|data| {
        data["organizationId"] = organization.clone().into();
        data["directoryLdap"]["password"] = "[STORED SECURELY]".into();
        data["directoryLdap"]["id"] = "0b9d8c7e-1111-4222-8333-444455556666".into();
    });
    let instance = &scene.instance;
    instance.run(&["sync"]).fails(1, &["ldap.password", "not there for this user"]);
    // Newest name, bare name, and the name of an account of state version 4.
    for account in [
        "secretLdap:0b9d8c7e-1111-4222-8333-444455556666",
        "secretLdap",
        &format!("{organization}_ldapPassword"),
    ] {
        instance.run(&["config", "unset", "ldap.password"]).ok();
        instance.change(|data| data["directoryLdap"]["password"] = "[STORED SECURELY]".into());
        keyring.save(SERVICE, account, &json(PASSWORD));
        instance.run(&["clear-cache"]).ok();
        assert!(instance.run(&["sync"]).ok().out.contains("and 7 user(s)."), "{account}");
    }
}

#[test]
fn a_stored_secret_without_a_store_names_the_choices() {
    let mut scene = Scene::set();
    scene.instance.change(|data| data["directoryLdap"]["password"] = "[STORED SECURELY]".into());
    scene.instance.set_env("BW_CLIENTID", &scene.id());
    scene.instance.set_env("BW_CLIENTSECRET", &scene.key());
    for bus in ["", "unix:path=/nowhere/bus", "nonsense"] {
        scene.instance.set_env("DBUS_SESSION_BUS_ADDRESS", bus);
        scene.instance.run(&["sync"]).fails(
            1,
            &[
                "ldap.password",
                "no secret service is running",
                "secrets.file",
                "BWDC_LDAP_PASSWORD_FILE",
                "docs/secrets.md",
            ],
        );
    }
    assert_eq!(scene.slapd.port(), scene.instance.data()["directoryLdap"]["port"]);
}

/// A key in the environment that belongs to another organization must not send this directory there.
#[test]
fn a_key_of_another_organization_does_not_replace_the_login() {
    let mut scene = Scene::set();
    scene.instance.set_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS", "true");
    scene.instance.run(&["config", "ldap.password", PASSWORD]).ok();
    scene.instance.run(&["login", &scene.id(), &scene.key()]).ok();
    scene.instance.set_env("BW_CLIENTID", "organization.0b9d8c7e-1111-4222-8333-444455556666");
    scene.instance.set_env("BW_CLIENTSECRET", "of-the-other");
    let ran = scene.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("the login is used") && !ran.err.contains("of-the-other"), "{}", ran.err);
    assert_eq!(scene.organization.emails().len(), 7);
}

/// `/proc/<pid>` of a running program: no secret in its arguments, and no other process of the user may read its memory.
#[cfg(target_os = "linux")]
#[test]
fn a_running_sync_shows_nothing_and_dumps_nothing() {
    let mut scene = Scene::set();
    let (ready, path) = (scene.instance.folder.path().join("ready"), scene.file("wait", ""));
    let script =
        format!("touch '{}'; while [ ! -s '{path}' ]; do sleep 0.05; done; echo {PASSWORD}", ready.display());
    scene.instance.set_env("BWDC_LDAP_PASSWORD_EXEC", &format!("/bin/sh -c \"{script}\""));
    scene.instance.set_env("BW_CLIENTID", &scene.id());
    let key = scene.file("key", &scene.key());
    scene.instance.set_env("BW_CLIENTSECRET_FILE", &key);
    scene.instance.set_env("PATH", "/usr/bin:/bin");
    let child = scene.instance.spawn(&["sync"]);
    wait_for(&ready);
    let process = format!("/proc/{}", child.id());
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("{process}/{file}")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(&scene.key()));
    }
    fs::write(&path, "go").unwrap();
    let ran: crate::harness::Ran = child.wait_with_output().unwrap().into();
    assert!(ran.ok().out.contains("7 user(s)"));
}

fn wait_for(path: &Path) {
    for _ in 0..400 {
        if path.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("{} never came", path.display());
}
