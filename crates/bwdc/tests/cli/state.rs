//! `data.json` and its locks: either the old or the new state, never one in between.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use bwdc_sandbox::{Counted, Fault, Flavour, Injection, Options};
use bwdc_testkit::proxy::mute_server;
use bwdc_testkit::{Slapd, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn unknown_keys_and_the_order_of_keys_are_kept() {
    let instance = Instance::empty();
    let before = "\u{feff}{\"stateVersion\":8,\"zebra\":{\"b\":1,\"a\":[null,\"é\"]},\"window\":{\"x\":-5},\"lastSyncHash\":\"h\",\"sync\":{\"odd\":true,\"users\":false}}";
    fs::create_dir_all(instance.data_folder()).unwrap();
    fs::write(instance.data_file(), before).unwrap();
    fs::set_permissions(instance.data_file(), fs::Permissions::from_mode(0o644)).unwrap();
    instance.run(&["config", "sync.users", "true"]).ok();
    let expected = r#"{
  "stateVersion": 8,
  "zebra": {
    "b": 1,
    "a": [
      null,
      "é"
    ]
  },
  "window": {
    "x": -5
  },
  "lastSyncHash": "h",
  "sync": {
    "odd": true,
    "users": true
  }
}"#;
    assert_eq!(instance.text(), expected);
    assert_eq!(mode(&instance.data_file()), 0o600);
}

#[test]
fn nothing_is_created_until_something_is_stored() {
    let instance = Instance::empty();
    instance.run(&["data-file"]).ok();
    instance.run(&["test"]).fails(1, &["You are not logged in."]);
    assert!(!instance.data_folder().exists());
    instance.run(&["config", "server", "bw.example.org/"]).ok();
    assert_eq!(mode(&instance.data_folder()), 0o700);
    assert_eq!(mode(&instance.data_file()), 0o600);
    let expected = json!({
        "stateVersion": 8,
        "environmentUrls": { "base": "https://bw.example.org", "api": null, "identity": null, "webVault": null },
    });
    assert_eq!(instance.data(), expected);
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    for (text, place) in [
        ("{\n  \"stateVersion\": 8,\n  \"a\": tru\n}", "line 4 column 0"),
        ("", "line 1 column 0"),
        ("[]", "no JSON object"),
        ("{\"a\":1", "line 1 column 6"),
    ] {
        let instance = Instance::empty();
        fs::create_dir_all(instance.data_folder()).unwrap();
        fs::write(instance.data_file(), text).unwrap();
        for command in
            [&["config", "sync.users", "true"][..], &["sync"], &["clear-cache"], &["login", "a", "b"]]
        {
            instance.run(command).fails(1, &["data.json is damaged", place, "left as it is"]);
        }
        assert_eq!(instance.text(), text);
        assert_eq!(
            fs::read_dir(instance.data_folder())
                .unwrap()
                .filter(|entry| {
                    let name = entry.as_ref().unwrap().file_name();
                    let ours = ["data.json", "last-run.json", "history"];
                    !name.to_string_lossy().ends_with("lock") && ours.iter().all(|ours| name != *ours)
                })
                .count(),
            0
        );
    }
}

#[test]
fn a_second_sync_names_the_running_one_and_has_its_own_exit_code() {
    let slapd = Slapd::with(&ldif::small(5, 0, 0));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| data["directoryLdap"]["port"] = json!(mute_server()));
    instance.run(&["login"]).ok();
    let mut first = instance.spawn(&["sync"]);
    let lock = instance.data_folder().join("bwdc.lock");
    let holder = format!("process {}", first.id());
    for _ in 0..500 {
        if fs::read_to_string(&lock).is_ok_and(|text| text.contains(&holder)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    instance.run(&["sync"]).fails(3, &["Another sync", &holder, "This one did nothing"]);
    // Settings can still be changed, and nothing is lost.
    instance.run(&["config", "sync.removeDisabled", "true"]).ok();
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock ended with the process.
    instance.change(|data| data["directoryLdap"]["port"] = json!(slapd.port()));
    instance.run(&["sync"]).ok();
    assert_eq!(instance.data()["sync"]["removeDisabled"], true);
}

#[test]
fn a_kill_at_any_moment_leaves_the_file_intact() {
    let organization = Organization::start(Options::default());
    let users: String = (0..3_000).map(|at| format!("{at},u{at}@example.org\n")).collect();
    let instance = Instance::files(&format!("id,email\n{users}"), "name,members\n", &organization);
    instance.run(&["login"]).ok();
    let before = instance.data();
    for millisecond in 0..40 {
        instance.run(&["clear-cache"]).ok();
        let mut child = instance.spawn(&["sync"]);
        std::thread::sleep(Duration::from_millis(millisecond * 4));
        child.kill().unwrap();
        child.wait().unwrap();
        let data = instance.data();
        for key in ["apiKeyClientSecret", "accessToken", "sync", "directoryFile", "organizationId"] {
            assert_eq!(data[key], before[key], "{key} after {millisecond}");
        }
        // All or nothing: the digest is stored with the time.
        assert_eq!(data["lastSyncHash"].is_string(), data["lastUserSync"].is_string());
    }
    instance.run(&["clear-cache"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 3_000);
}

/// Killed while the second of two imports is not answered: the ledger as it was before, and beside it that one was acknowledged.
#[test]
fn a_run_that_is_killed_between_two_imports_is_gone_on_with() {
    for flavour in [Flavour::Official, Flavour::Vaultwarden] {
        let organization = Organization::start(Options { flavour, ..Options::default() });
        let users: String = (0..2_100).map(|at| format!("{at},u{at}@example.org\n")).collect();
        let mut instance = Instance::files(&format!("id,email\n{users}"), "name,members\n", &organization);
        instance.run(&["login"]).ok();
        instance.run(&["config", "sync.largeImport", "true"]).ok();
        instance.set_env("BWDC_RETRY_SECONDS", "1");
        let fault = Fault::AnsweredLater(60_000);
        organization.sandbox.inject(Injection { at: 2, counted: Counted::Changes, fault });
        let sent = instance
            .data_folder()
            .join(format!("sent-{}.json", organization.sandbox.client_id().replace("organization.", "")));
        let mut child = instance.spawn(&["sync"]);
        let started = std::time::Instant::now();
        while !sent.exists() {
            assert!(started.elapsed().as_secs() < 60);
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let kept: Value = serde_json::from_slice(&fs::read(&sent).unwrap()).unwrap();
        assert_eq!((&kept["acknowledged"], mode(&sent)), (&json!(1), 0o600), "{flavour:?}");
        let ran = instance.run(&["sync"]).ok();
        assert_eq!(organization.emails().len(), 2_100, "{flavour:?}: {}", ran.err);
        assert!(!sent.exists(), "{flavour:?}");
        let again = organization.changes_of(|| drop(instance.run(&["sync"]).ok()));
        assert!(again.is_empty(), "{flavour:?}: {again:?}");
    }
}

/// Needs root for a disk of its own.
#[test]
fn a_full_disk_loses_nothing() {
    if !may_mount() {
        return;
    }
    let organization = Organization::start(Options::default());
    let users: String = (0..50).map(|at| format!("{at},u{at}@example.org\n")).collect();
    let instance = Instance::files(&format!("id,email\n{users}"), "name,members\n", &organization);
    instance.run(&["login"]).ok();
    let before = instance.data();
    // In a mount namespace of its own: a tiny disk with the instance, filled up.
    let script = "set -e
        mount -t tmpfs -o size=256k tmpfs \"$DISK\"
        cp -r \"$DATA\"/. \"$DISK\"
        cat /dev/zero > \"$DISK/filler\" 2>/dev/null || true
        code=0
        BITWARDENCLI_CONNECTOR_APPDATA_DIR=$DISK \"$BWDC\" sync || code=$?
        rm -f \"$DISK/filler\"
        cp \"$DISK/data.json\" \"$AFTER\"
        ls -a \"$DISK\" > \"$AFTER.list\"
        exit $code";
    let after = instance.folder.path().join("after.json");
    let ran = on_a_small_disk(&instance, script, &[("AFTER", after.as_os_str())]);
    ran.fails(1, &["No space left on device"]);
    let left: Value = serde_json::from_str(&fs::read_to_string(&after).unwrap()).unwrap();
    assert_eq!(left, before);
    let list = fs::read_to_string(format!("{}.list", after.display())).unwrap();
    assert!(!list.contains(".tmp"), "{list}");
}

/// Whether this user may mount a disk; CI must.
fn may_mount() -> bool {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    assert!(is_root || std::env::var_os("CI").is_none(), "CI runs as root");
    is_root
}

/// Runs a script in a mount namespace of its own: it mounts `$DISK` and fills it with what is in `$DATA`.
fn on_a_small_disk(instance: &Instance, script: &str, variables: &[(&str, &OsStr)]) -> Ran {
    let disk = instance.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut command = instance.command_of("unshare".as_ref(), &["-m", "sh", "-c", script]);
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DISK", &disk)
        .env("DATA", instance.data_folder())
        .env("BWDC", env!("CARGO_BIN_EXE_bwdc"))
        .envs(variables.iter().copied());
    command.output().unwrap().into()
}

/// Room on the disk for the ledger and the import's own files, but not for the history as well: the import is worth more.
#[test]
fn a_disk_that_is_nearly_full_does_without_history() {
    if !may_mount() {
        return;
    }
    let worked: Vec<bool> = (40..=100).step_by(6).map(sync_with_free_room).collect();
    // Otherwise the sizes above are not those at which room is scarce.
    assert!(worked.contains(&true) && worked.contains(&false), "{worked:?}");
}

/// Syncs 300 newcomers with so many KiB free. Whether that works, with a history as well as without.
fn sync_with_free_room(free: usize) -> bool {
    let script = "set -e
        mount -t tmpfs -o size=1m tmpfs \"$DISK\"
        cp -r \"$DATA\"/. \"$DISK\"
        available=$(df -k --output=avail \"$DISK\" | tail -1)
        head -c $(((available - FREE) * 1024)) /dev/zero > \"$DISK/filler\"
        BITWARDENCLI_CONNECTOR_APPDATA_DIR=$DISK \"$BWDC\" sync";
    let sync = |history: &str| -> Ran {
        let organization = Organization::start(Options::default());
        let users: String = (0..300).map(|at| format!("{at},user{at}@example.org\n")).collect();
        let instance = Instance::files(&format!("id,email\n{users}"), "name,members\n", &organization);
        instance.run(&["login"]).ok();
        if history == "none" {
            // No folder can be made where a file is.
            fs::write(instance.data_folder().join("history"), "").unwrap();
        }
        on_a_small_disk(&instance, script, &[("FREE", free.to_string().as_ref())])
    };
    let (with, without) = (sync("kept"), sync("none"));
    assert_eq!(with.code, without.code, "{free} KiB: {}\n{}", with.err, without.err);
    with.code == 0
}

/// Tombstones without an address get the one that was imported.
#[test]
fn a_leaver_without_an_address_is_still_removed() {
    for flavour in [bwdc_sandbox::Flavour::Official, bwdc_sandbox::Flavour::Vaultwarden] {
        let organization = Organization::start(Options { flavour, ..Options::default() });
        let instance =
            Instance::files("id,email\n1,a@example.org\n2,b@example.org\n", "name,members\n", &organization);
        instance.run(&["sync"]).ok();
        let organization_id = organization.sandbox.client_id().replace("organization.", "");
        let ledger = instance.data_folder().join(format!("ledger-{organization_id}.json"));
        assert_eq!(mode(&ledger), 0o600);
        instance.company("id,email,status\n1,,deleted\n2,b@example.org,\n3,,deleted\n", "name,members\n");
        let ran = instance.run(&["sync"]).ok();
        let members = organization.sandbox.members().unwrap();
        let gone = members.iter().find(|member| member.email == "a@example.org");
        let is_vaultwarden = flavour == bwdc_sandbox::Flavour::Vaultwarden;
        assert_eq!(gone.map(|member| member.status), is_vaultwarden.then_some(bwdc_sandbox::Status::Revoked));
        assert_eq!(
            ran.err.contains("and Vaultwarden finds a member by address only: 3"),
            is_vaultwarden,
            "{}",
            ran.err
        );
    }
}
