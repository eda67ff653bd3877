//! Commands, options and their output, as scripts use them.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use bwdc_sandbox::Options;
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};

const USERS: &str = "id,email,status\nu10,user10@example.org,\nu2,User2@example.org,\nu3,x@example.org,disabled\nu4,y@example.org,deleted\n";
const GROUPS: &str = "id,name,members\ng1,Staff,u2;u10\n";

fn company() -> (Organization, Instance) {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, GROUPS, &organization);
    (organization, instance)
}

#[test]
fn login_and_logout() {
    let (organization, mut instance) = company();
    assert_eq!(instance.run(&["login"]).ok().out, "You are logged in!\n");
    let id = organization.sandbox.client_id();
    instance.run(&["login"]).fails(1, &[&format!("You are already logged in as {id}.")]);
    let data = instance.data();
    assert_eq!(data["apiKeyClientId"], id);
    assert_eq!(data["organizationId"], id.strip_prefix("organization.").unwrap());
    assert_eq!(data["appId"].as_str().unwrap().len(), 36);
    assert_eq!(instance.run(&["logout"]).ok().out, "You have logged out.\n");
    let text = instance.text();
    assert!(!text.contains(organization.sandbox.client_secret()) && !text.contains("accessToken"));
    instance.run(&["logout"]).fails(1, &["You are not logged in."]);
    instance.unset_env("BW_CLIENTSECRET");
    instance.run(&["login", "--nointeraction"]).fails(1, &["Client Secret is required."]);
    instance.run(&["login"]).fails(1, &["Client Secret is required."]);
    instance.unset_env("BW_CLIENTID");
    instance.run(&["login", "--nointeraction"]).fails(1, &["Client ID is required."]);
    instance.run(&["login", "user.abc", "x"]).fails(1, &["organization.<id>"]);
    instance.run(&["login", &id, organization.sandbox.client_secret()]).ok();
}

#[test]
fn login_asks_on_stderr_and_reads_stdin() {
    let (organization, mut instance) = company();
    instance.unset_env("BW_CLIENTID");
    instance.unset_env("BW_CLIENTSECRET");
    let mut child = instance
        .command(&["login"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let answers = format!("{}\n{}\n", organization.sandbox.client_id(), organization.sandbox.client_secret());
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "You are logged in!\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "client_id: client_secret: ");
}

#[test]
fn without_a_place_for_secrets_login_says_what_to_do() {
    let (organization, mut instance) = company();
    instance.unset_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS");
    let choices = [
        "secrets.file",
        "BW_CLIENTSECRET_FILE",
        "LoadCredential",
        "exec.",
        "BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS=true",
    ];
    instance.run(&["login", "organization.x", "key"]).fails(1, &choices);
    instance.run(&["config", "ldap.password", "p"]).fails(1, &choices);
    let ran = instance.run(&["login"]).ok();
    assert_eq!(ran.out, "You are logged in!\n");
    assert!(ran.err.contains("every sync needs BW_CLIENTID and BW_CLIENTSECRET too"), "{}", ran.err);
    // A sync with the key in the environment needs no place, and leaves nothing behind.
    instance.run(&["sync"]).ok();
    assert!(!instance.text().contains(organization.sandbox.client_secret()));
    assert_eq!(organization.emails().len(), 3);
}

#[test]
fn test_lists_by_display_name_in_the_known_format() {
    let (organization, instance) = company();
    let ran = instance.run(&["test"]).ok();
    let expected = concat!(
        r#"{"groups":[{"externalId":"g1","displayName":"Staff","userIds":["u10","u2"]}],"#,
        r#""enabledUsers":[{"externalId":"u2","displayName":"user2@example.org"},"#,
        r#"{"externalId":"u10","displayName":"user10@example.org"}],"#,
        r#""disabledUsers":[{"externalId":"u3","displayName":"x@example.org"}],"#,
        r#""deletedUsers":[{"externalId":"u4","displayName":"y@example.org"}],"object":"test"}"#,
        "\n"
    );
    assert_eq!(ran.out, expected);
    let response: Value =
        serde_json::from_str(&instance.run(&["--response", "test", "-l"]).ok().out).unwrap();
    assert_eq!((&response["success"], &response["data"]["object"]), (&json!(true), &json!("test")));
    assert_eq!(organization.imports(), 0);
    assert!(instance.data().get("lastUserSync").is_none());
}

#[test]
fn last_sync_and_clear_cache() {
    let (_organization, instance) = company();
    instance.run(&["login"]).ok();
    assert_eq!(instance.run(&["last-sync", "users"]).ok().out, "");
    let never = instance.run(&["last-sync", "groups", "--response"]).ok().out;
    assert_eq!(never, "{\"success\":true,\"data\":{\"object\":\"string\",\"data\":null}}\n");
    instance.run(&["sync"]).ok();
    let time = instance.run(&["last-sync", "USERS"]).ok().out;
    assert!(time.ends_with("Z\n") && time.len() == 25, "{time}");
    instance.run(&["last-sync", "bad"]).fails(1, &["Unknown object."]);
    assert_eq!(instance.run(&["clear-cache"]).ok().out, "The sync cache has been cleared.\n");
    assert_eq!(instance.run(&["last-sync", "users"]).ok().out, "");
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 1 group(s) and 4 user(s)."));
}

#[test]
fn global_options_and_their_variables() {
    let mut instance = Instance::empty();
    let path = instance.data_file().display().to_string();
    let error = "{\"success\":false,\"message\":\"You are not logged in.\"}\n";
    assert_eq!(instance.run(&["sync", "--response"]).out, error);
    assert_eq!(instance.run(&["--response", "--cleanexit", "sync"]).ok().out, error);
    let quiet = instance.run(&["--quiet", "sync"]);
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (1, "", ""));
    assert_eq!(instance.run(&["data-file", "--raw"]).ok().out, format!("{path}\n"));
    assert_eq!(instance.run(&["--raw", "clear-cache"]).ok().out, "");
    let pretty = instance.run(&["--response", "--pretty", "data-file"]).ok().out;
    let expected = format!(
        "{{\n  \"success\": true,\n  \"data\": {{\n    \"object\": \"string\",\n    \"data\": \"{path}\"\n  }}\n}}\n"
    );
    assert_eq!(pretty, expected);
    let message = instance.run(&["--response", "clear-cache"]).ok().out;
    let expected = r#"{"success":true,"data":{"noColor":false,"object":"message","title":"The sync cache has been cleared.","message":null}}"#;
    assert_eq!(message, format!("{expected}\n"));
    for (variable, value, code, out) in [
        ("BW_RESPONSE", "true", 1, error),
        ("BW_RESPONSE", "1", 1, ""),
        ("BW_CLEANEXIT", "false", 0, ""),
        ("BW_CLEANEXIT", "", 1, ""),
        ("BW_QUIET", "TRUE", 1, ""),
    ] {
        instance.set_env(variable, value);
        let ran = instance.run(&["sync"]);
        assert_eq!((ran.code, ran.out.as_str()), (code, out), "{variable}={value}");
        instance.unset_env(variable);
    }
}

#[test]
fn usage_errors_end_with_one() {
    let instance = Instance::empty();
    let unknown = instance.run(&["--cleanexit", "bogus"]).fails(1, &[]);
    assert_eq!(unknown.err, "Invalid command: bogus\nSee --help for a list of available commands.\n");
    for arguments in [&[][..], &["--pretty"], &["--bogus"], &["sync", "extra"], &["last-sync"], &["config"]] {
        let ran = instance.run(arguments).fails(1, &[]);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{arguments:?}");
    }
    assert_eq!(instance.run(&["--version"]).ok().out, format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(instance.run(&["-v"]).ok().out, format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert!(instance.run(&["--help"]).ok().out.contains("last-sync"));
    assert!(instance.run(&["config", "--help"]).ok().out.contains("ldap.sslCaPath"));
}

#[test]
fn config_saves_valid_values_and_refuses_others() {
    let instance = Instance::empty();
    let saved = |arguments: &[&str]| {
        let ran = instance.run(&[&["config"], arguments].concat()).ok();
        assert_eq!(ran.out, format!("Saved setting `{}`.\n", arguments[0].to_lowercase()));
    };
    saved(&["SERVER", "http://bw.company.com:8080/sub/"]);
    saved(&["directory", "0"]);
    saved(&["ldap.port", "636"]);
    saved(&["ldap.password", "p w"]);
    saved(&["sync.inviteUsersAfterProvisioning", "true"]);
    let data = instance.data();
    assert_eq!(data["environmentUrls"]["base"], "http://bw.company.com:8080/sub");
    assert_eq!(data["directoryLdap"], json!({ "port": 636, "password": "p w" }));
    assert_eq!(data["sync"], json!({ "inviteUsersAfterProvisioning": true }));
    for server in ["bitwarden.com", "null", "https://bitwarden.com/", ""] {
        saved(&["server", server]);
        assert_eq!(instance.data()["environmentUrls"]["base"], Value::Null, "{server}");
    }
    let before = instance.text();
    for (arguments, words) in [
        (&["directory", "5"][..], "Invalid directory type value."),
        (&["directory", "-1"], "Invalid directory type value."),
        (&["directory", "abc"], "Invalid directory type value."),
        (&["directory", "1abc"], "Invalid directory type value."),
        (&["directory", "0x1"], "Invalid directory type value."),
        (&["server", "not a url"], "spaces"),
        (&["server", "ftp://x"], "must begin with https:// or http://"),
        (&["server.api", "https://u:p@x"], "password"),
        (&["ldap.prot", "1"], "Did you mean ldap.port?"),
        (&["ldap.port", "0"], "1 to 65535"),
        (&["ldap.ssl", "maybe"], "Value must be 'true' or 'false'."),
        (&["sync.inviteUsersAfterProvisioning", "x"], "Value must be 'true' or 'false'."),
        (&["sync.onBadRecord", "ignore"], "stop, skip"),
        (&["ldap.password"], "No value was given"),
        (&["ldap.password", "--stdin"], "has no option --stdin"),
        (&["ldap.password", "--secretenv", "UNSET"], "UNSET is not set"),
        (&["ldap.password", "--secretfile", "/nowhere"], "/nowhere"),
        (&["ldap.password", "--secretfile", "/dev/null"], "is empty"),
        (&["bogus", "x"], "Unknown setting."),
    ] {
        instance.run(&[&["config"], arguments].concat()).fails(1, &[words]);
        assert_eq!(instance.text(), before, "{arguments:?}");
    }
}

#[test]
fn secrets_come_from_the_environment_or_the_first_line_of_a_file() {
    let mut instance = Instance::empty();
    instance.set_env("MY_SECRET", "from env");
    instance.run(&["config", "ldap.password", "--secretenv", "MY_SECRET"]).ok();
    assert_eq!(instance.data()["directoryLdap"]["password"], "from env");
    let file = instance.folder.path().join("secret");
    fs::write(&file, "from file\r\nsecond line\n").unwrap();
    instance.run(&["config", "ldap.password", "--secretfile", file.to_str().unwrap()]).ok();
    assert_eq!(instance.data()["directoryLdap"]["password"], "from file");
}

#[test]
fn another_directory_or_organization_starts_afresh() {
    let (organization, instance) = company();
    let old = json!({ "lastUserSync": "2026-01-01T00:00:00.000Z", "userDeltaToken": "u", "organizationId": "old", "lastSyncHash": "x" });
    let set = || {
        instance.change(|data| {
            for (key, value) in old.as_object().unwrap() {
                data[key] = value.clone();
            }
        });
    };
    set();
    instance.run(&["config", "directory", "file"]).ok();
    assert_eq!(instance.data()["userDeltaToken"], "u");
    instance.run(&["login"]).ok();
    let data = instance.data();
    assert!(data["userDeltaToken"].is_null() && data["lastUserSync"].is_null());
    assert_eq!(data["lastSyncHash"], "x");
    assert_ne!(data["organizationId"], "old");
    set();
    instance.run(&["config", "directory", "ldap"]).ok();
    assert!(instance.data()["lastUserSync"].is_null());
    drop(organization);
}

#[test]
fn the_folder_is_found_as_before() {
    let mut instance = Instance::empty();
    let home = instance.folder.path().display().to_string();
    let place = |instance: &Instance| instance.run(&["data-file"]).ok().out.trim_end().to_owned();
    instance.set_env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", "relative/dir/");
    assert_eq!(place(&instance), format!("{home}/relative/dir/data.json"));
    instance.set_env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", "");
    assert_eq!(place(&instance), format!("{home}/.config/Bitwarden Directory Connector/data.json"));
    instance.set_env("XDG_CONFIG_HOME", &format!("{home}/xdg"));
    assert_eq!(place(&instance), format!("{home}/xdg/Bitwarden Directory Connector/data.json"));
    instance.set_env("BITWARDEN_CONNECTOR_APPDATA_DIR", &format!("{home}/legacy"));
    assert_eq!(place(&instance), format!("{home}/legacy/data.json"));
}

#[test]
fn no_secret_is_logged() {
    let (organization, mut instance) = company();
    instance.set_env("BITWARDENCLI_CONNECTOR_DEBUG", "true");
    let login = instance.run(&["login"]).ok();
    let sync = instance.run(&["--response", "sync"]).ok();
    assert!(sync.err.contains("/api/public/organization/import"), "{}", sync.err);
    let token = instance.data()["accessToken"].as_str().unwrap().to_owned();
    for text in [login.out, login.err, sync.out, sync.err] {
        assert!(!text.contains(organization.sandbox.client_secret()) && !text.contains(&token), "{text}");
    }
}

#[test]
fn the_demo_ends_by_itself_and_leaves_nothing() {
    let mut instance = Instance::empty();
    let temporary = instance.folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    instance.set_env("TMPDIR", temporary.to_str().unwrap());
    let ran = instance.run(&["demo"]).ok();
    for words in [
        "Synced 14 group(s) and 60 user(s).",
        "+ nia.campbell@example.com",
        "- finn.murphy@example.com",
        "Web and mobile",
        "10 people would leave the organization, and sync.limitRemovals allows 5",
        "Approved until",
        "Synced 0 group(s) and 9 user(s).",
    ] {
        assert!(ran.out.contains(words), "{words} is not in: {}", ran.out);
    }
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!instance.data_folder().exists());
}

/// Scripts compare them: nothing else is on the same line, and the next step has a place of its own.
#[test]
fn sentences_of_the_existing_connector_stand_alone() {
    let organization = Organization::start(Options::default());
    let large = json!({
        "stateVersion": 8, "directoryType": "file", "directoryFile": { "path": "company" },
        "environmentUrls": { "base": organization.sandbox.url() },
        "sync": { "users": true, "overwriteExisting": true, "largeImport": true },
    });
    let mut instance = Instance::empty();
    let people: String = (0..2001).map(|at| format!("{at},{at}@example.org,\n")).collect();
    instance.company(&format!("id,email,status\n{people}"), "id,name,members\n");
    instance.write(&large);
    instance.key(&organization.sandbox);
    let out = Instance::empty();
    let incomplete = Instance::empty();
    incomplete.write(&json!({ "stateVersion": 8, "directoryType": 0, "sync": { "users": true }, "accessToken": "x",
        "organizationId": "11111111-2222-3333-4444-555555555555", "apiKeyClientId": "x", "apiKeyClientSecret": "x" }));
    let large_import = "You cannot use the 'Remove and re-add organization users during the next sync' option with large imports.";
    for (instance, arguments, sentence, has_hint) in [
        (&out, &["sync"][..], "You are not logged in.", false),
        (&out, &["--nointeraction", "login"], "Client ID is required.", false),
        (&out, &["--nointeraction", "login", "organization.x"], "Client Secret is required.", false),
        (&out, &["config", "directory", "9"], "Invalid directory type value.", true),
        (&out, &["config", "ldap.ssl", "maybe"], "Value must be 'true' or 'false'.", true),
        (&out, &["config", "bogus", "x"], "Unknown setting.", true),
        (&incomplete, &["last-sync", "bad"], "Unknown object.", false),
        (&incomplete, &["test"], "Directory configuration incomplete.", true),
        (&instance, &["sync"], large_import, true),
    ] {
        let ran = instance.run(arguments);
        assert_eq!((ran.code, ran.err.lines().next()), (1, Some(sentence)), "{arguments:?} {}", ran.err);
        assert_eq!(ran.err.lines().count() > 1, has_hint, "{}", ran.err);
        let told: Value =
            serde_json::from_str(&instance.run(&[&["--response"], arguments].concat()).out).unwrap();
        assert_eq!(told["message"], sentence);
        let hint = told["hint"].as_str().unwrap_or_default();
        assert_eq!(ran.err, format!("{sentence}\n{hint}{}", if has_hint { "\n" } else { "" }));
    }
}

#[test]
fn a_misspelt_command_gets_a_suggestion() {
    let instance = Instance::empty();
    instance.run(&["snyc"]).fails(
        1,
        &["Invalid command: snyc\nSee --help for a list of available commands.\n", "Did you mean sync?"],
    );
    let ran = instance.run(&["xyzzy"]).fails(1, &["Invalid command: xyzzy"]);
    assert!(!ran.err.contains("Did you mean"), "{}", ran.err);
    instance.run(&["sync", "--dry-run"]).fails(1, &["error: unknown option '--dry-run'", "bwdc plan"]);
}

/// A command's own options come before the global ones.
#[test]
fn help_lists_the_global_options_last() {
    let out = Instance::empty().run(&["sync", "--help"]).ok().out;
    let at = |words: &str| out.find(words).unwrap_or_else(|| panic!("`{words}` is not in: {out}"));
    assert!(at("--allow-removals") < at("Options of all commands:"), "{out}");
    for global in ["--pretty", "--response", "--config", "--log-file"] {
        assert!(at("Options of all commands:") < at(global), "{global}: {out}");
    }
}

/// An invalid limit must neither remove the limit of a run nor set a different one.
#[test]
fn invalid_times_are_refused_and_reported() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", &organization);
    instance.run(&["login"]).ok();
    for value in ["-1", "0s", "9999999999h", "3600", "99999999999999999999s"] {
        instance
            .run(&["config", "--", "sync.timeout", value])
            .fails(1, &["20s, 5m, 1h or 2d, at most a year"]);
        instance.change(|data| data["sync"]["timeout"] = value.into());
        for command in ["sync", "test"] {
            instance.run(&[command]).fails(1, &["sync.timeout in data.json cannot be"]);
        }
    }
    instance.change(|data| data["sync"]["timeout"] = (-1).into());
    instance.run(&["sync"]).fails(1, &["sync.timeout in data.json cannot be"]);
    assert_eq!(organization.imports(), 0);
    instance.run(&["config", "unset", "sync.timeout"]).ok();
    for value in ["-1", "0", "525601"] {
        instance.run(&["config", "--", "sync.interval", value]).fails(1, &["at most 525600"]);
    }
    let ran: Ran = instance.command(&["sync"]).env("BWDC_RETRY_SECONDS", "1e18").output().unwrap().into();
    ran.fails(1, &["BWDC_RETRY_SECONDS", "at most a year"]);
    let install = ["schedule", "install", "--dry-run", "--every", "15m", "--random-delay", "4294967295"];
    instance.run(&install).fails(1, &["4294967295", "86400"]);
    for option in [["--longest", "0"], ["--at-once", "0"], ["--at-once", "99999999"]] {
        assert_eq!(instance.run(&["daemon", option[0], option[1]]).code, 1, "{option:?}");
    }
}

/// They forge lines and move terminals wherever a name is shown: named with their place, and shown as what they are.
#[test]
fn control_characters_are_a_bad_record_with_file_and_line() {
    let organization = Organization::start(Options::default());
    let people = "id,email\n1,ada@example.org\n\"2\nsync ok\",\"b@\u{1b}[2Jx.org\"\n";
    let instance = Instance::files(people, "id,name,members\ng,\"A\u{9b}1A\",1\n", &organization);
    instance.run(&["login"]).ok();
    let words = [
        "users.csv, line 3 (2\\nsync ok): the external id has a control character in it (U+000A)",
        "groups.csv, line 2 (A\\u{9b}1A (g)): the group's name has a control character in it (U+009B)",
    ];
    let ran = instance.run(&["sync"]).fails(1, &words);
    assert!(!ran.err.contains(['\u{1b}', '\u{9b}']), "{:?}", ran.err);
    assert_eq!(organization.imports(), 0);
    instance.run(&["config", "sync.onBadRecord", "skip"]).ok();
    instance.run(&["sync"]).fails(4, &words);
    assert_eq!(organization.emails(), ["ada@example.org"]);
}
