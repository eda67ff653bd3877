//! Problems of the machine with files and streams: mounts, pipes, full disks, processes that are killed or stopped.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use std::process::{Command, Stdio};

use bwdc_sandbox::Options;
use serde_json::json;

use crate::harness::{Instance, Organization, Ran, is_root};

/// The user `nobody`.
const NOBODY: u32 = 65_534;

fn set_up(organization: &Organization) -> Instance {
    let instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", organization);
    instance.run(&["login"]).ok();
    instance
}

/// `data.json` alone is mounted, as into a container. As root, in a mount namespace of its own.
#[test]
fn a_data_file_mounted_alone_is_written_in_place() {
    if !is_root("mount") {
        return;
    }
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let host = instance.folder.path().join("host.json");
    fs::copy(instance.data_file(), &host).unwrap();
    let script =
        r#"mount --bind "$1" "$2" && "$3" sync && "$3" sync && "$3" config sync.interval 23 && "$3" doctor"#;
    let ran = run_with_mount(&instance, &host, script);
    assert!(
        ran.out.contains("Synced 1 group(s) and 1 user(s).") && ran.out.contains("is a mount of its own"),
        "{} {}",
        ran.out,
        ran.err
    );
    assert_eq!(organization.imports(), 1);
    let written: serde_json::Value = serde_json::from_str(&fs::read_to_string(&host).unwrap()).unwrap();
    assert_eq!(written["sync"]["interval"], 23);
    assert!(written["lastSyncHash"].is_string(), "{written}");
    assert!(!instance.data_folder().join("data.json.new").exists());
}

/// Runs a script where mounts are its own: `$1` is the file to mount, `$2` data.json, `$3` the program.
fn run_with_mount(instance: &Instance, host: &std::path::Path, script: &str) -> Ran {
    let mut command = instance.command_of("unshare".as_ref(), &["--mount", "sh", "-c", script, "sh"]);
    command.arg(host).arg(instance.data_file()).arg(env!("CARGO_BIN_EXE_bwdc"));
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap().into()
}

/// Likewise where the mount hides a file of another user's, in a folder with the sticky bit: there rename(2) says EPERM.
#[test]
fn a_mount_over_another_users_file_is_written_in_place() {
    if !is_root("mount") {
        return;
    }
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let host = instance.folder.path().join("host.json");
    fs::copy(instance.data_file(), &host).unwrap();
    for path in [instance.folder.path(), &instance.data_folder()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o1777)).unwrap();
    }
    chown(&host, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::remove_file(instance.data_folder().join("data.json.lock")).unwrap();
    let script = r#"mount --bind "$1" "$2" && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$3" config sync.interval 29"#;
    let ran = run_with_mount(&instance, &host, script);
    ran.ok();
    let written: serde_json::Value = serde_json::from_str(&fs::read_to_string(&host).unwrap()).unwrap();
    assert_eq!(written["sync"]["interval"], 29);
    assert!(!instance.data_folder().join("data.json.new").exists());
}

/// In a folder where everybody may make files, a copy of somebody else's is none of ours.
#[test]
fn a_copy_that_somebody_else_has_made_does_not_count() {
    if !is_root("give files to another user") {
        return;
    }
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let copy = instance.data_folder().join("data.json.new");
    let mut planted = instance.data();
    planted["sync"]["interval"] = json!(53);
    fs::write(&copy, planted.to_string()).unwrap();
    chown(&copy, Some(NOBODY), Some(NOBODY)).unwrap();
    assert_ne!(instance.run(&["config", "get", "sync.interval"]).ok().out.trim(), "53");
    chown(&copy, Some(0), Some(0)).unwrap();
    assert_eq!(instance.run(&["config", "get", "sync.interval"]).ok().out.trim(), "53");
}

/// Other files may be mounted alone as well: what they remember is not lost with a process.
#[test]
fn every_file_that_was_cut_off_in_its_place_is_read_from_its_copy() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    instance.run(&["config", "secrets.file", "secrets.env"]).ok();
    instance.run(&["sync"]).ok();
    let secrets = instance.data_folder().join("secrets.env");
    fs::write(&secrets, format!("BW_CLIENTSECRET={}\n", organization.sandbox.client_secret())).unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    let ledger = format!("ledger-{}.json", organization.sandbox.client_id().replace("organization.", ""));
    for name in [&ledger, "last-run.json", "last-import.json", "secrets.env"] {
        let path = instance.data_folder().join(name);
        fs::copy(&path, instance.data_folder().join(format!("{name}.new"))).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }
    let status = instance.run(&["status"]);
    assert!(!status.err.contains("last-run.json"), "{}", status.err);
    let mut command = instance.command(&["sync"]);
    let ran: Ran = command.env_remove("BW_CLIENTSECRET").output().unwrap().into();
    let ran = ran.ok();
    assert!(!ran.err.contains("last-import.json") && !ran.err.contains(&ledger), "{}", ran.err);
}

/// The process ended during a write in place: the new contents are beside the file.
#[test]
fn an_interrupted_write_in_place_is_finished() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let mut whole = instance.data();
    whole["sync"]["interval"] = json!(41);
    let copy = instance.data_folder().join("data.json.new");
    fs::write(&copy, whole.to_string()).unwrap();
    fs::write(instance.data_file(), &whole.to_string()[..40]).unwrap();
    assert_eq!(instance.run(&["config", "get", "sync.interval"]).ok().out.trim(), "41");
    instance.run(&["sync"]).ok();
    assert!(!copy.exists());
    assert_eq!(instance.data()["sync"]["interval"], 41);
}

/// If data.json is a link, the copy is beside the target.
#[test]
fn an_interrupted_write_in_place_behind_a_link_is_finished() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let mut whole = instance.data();
    let real = instance.folder.path().join("real.json");
    fs::rename(instance.data_file(), &real).unwrap();
    symlink(&real, instance.data_file()).unwrap();
    whole["sync"]["interval"] = json!(43);
    let copy = instance.folder.path().join("real.json.new");
    fs::write(&copy, whole.to_string()).unwrap();
    assert_eq!(instance.run(&["config", "get", "sync.interval"]).ok().out.trim(), "43");
    instance.run(&["config", "sync.removeDisabled", "true"]).ok();
    assert!(!copy.exists() && instance.data_file().is_symlink());
    assert_eq!(instance.data()["sync"]["interval"], 43);
}

#[test]
fn temporary_files_of_killed_processes_are_removed() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let left = instance.data_folder().join(".bwdc-Ab12Cd.tmp");
    let being_written = instance.data_folder().join(".bwdc-Ef34Gh.tmp");
    for command in [&["logout"] as &[&str], &["sync"]] {
        fs::write(&left, "secret").unwrap();
        let file = File::create(&being_written).unwrap();
        file.lock().unwrap();
        instance.run(command).ok();
        assert!(!left.exists() && being_written.exists(), "{command:?}");
    }
    for round in 0..30 {
        let mut child = instance.spawn(&["config", "sync.interval", &(10 + round).to_string()]);
        // At any moment: each round waits longer.
        (0..round * 40_000).for_each(|number| {
            std::hint::black_box(number);
        });
        let _ = child.kill();
        child.wait().unwrap();
    }
    instance.run(&["config", "sync.interval", "77"]).ok();
    let names: Vec<_> =
        fs::read_dir(instance.data_folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{names:?}");
    assert_eq!(instance.data()["sync"]["interval"], 77);
}

#[test]
fn an_answer_that_cannot_be_written_is_not_a_success() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    for arguments in [
        &["test"] as &[&str],
        &["config", "list"],
        &["schedule", "script"],
        &["data-file"],
        &["--help"],
        &["--version"],
        &["--response", "test"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = instance.command(arguments).stdout(Stdio::from(full)).output().unwrap();
        Ran::from(output).fails(1, &["Writing the answer to stdout: No space left on device"]);
    }
    // A reader that stops early is not an error.
    let output = Command::new("sh")
        .args(["-c", "\"$1\" config list | head -1; exit 0", "sh", env!("CARGO_BIN_EXE_bwdc")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(instance.environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Each would wait forever.
#[test]
fn dead_pipes_links_and_locks_are_reported() {
    let organization = Organization::start(Options::default());
    let mut instance = set_up(&organization);
    let pipe = instance.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    instance.set_env("BW_CLIENTSECRET_FILE", &pipe.display().to_string());
    instance.unset_env("BW_CLIENTSECRET");
    instance.run(&["sync"]).fails(1, &["pipe", "it gave no end of its text for 5 s"]);
    instance.unset_env("BW_CLIENTSECRET_FILE");

    let lock = File::create(instance.data_folder().join("data.json.lock")).unwrap();
    lock.lock().unwrap();
    let before = instance.text();
    instance
        .run(&["config", "sync.interval", "17"])
        .fails(1, &["data.json.lock: another process has held it for 10 s", "Nothing was changed"]);
    lock.unlock().unwrap();
    assert_eq!(instance.text(), before);

    fs::remove_file(instance.data_file()).unwrap();
    symlink("/nowhere/data.json", instance.data_file()).unwrap();
    instance
        .run(&["config", "sync.interval", "17"])
        .fails(1, &["is a link to /nowhere/data.json, which is not there"]);
    instance.run(&["sync"]).fails(1, &["is a link to"]);

    fs::remove_file(instance.data_file()).unwrap();
    fs::rename(&pipe, instance.data_file()).unwrap();
    instance.run(&["sync"]).fails(1, &["data.json: it is not a regular file"]);
}

/// A lock that is a link would be written through.
#[test]
fn locks_must_not_be_links() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let victim = instance.folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    for (lock, command) in [("bwdc.lock", "sync"), ("data.json.lock", "clear-cache")] {
        let path = instance.data_folder().join(lock);
        let _ = fs::remove_file(&path);
        symlink(&victim, &path).unwrap();
        instance.run(&[command]).fails(1, &[lock]);
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(fs::read_to_string(victim).unwrap(), "mine");
}

#[test]
fn too_few_open_files_are_an_error_and_no_import() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let mut command = instance.command_of("sh".as_ref(), &["-c", "ulimit -n 5; exec \"$1\" sync", "sh"]);
    let ran: Ran = command.arg(env!("CARGO_BIN_EXE_bwdc")).output().unwrap().into();
    ran.fails(1, &["Too many open files"]);
    assert_eq!(organization.imports(), 0);
}

/// Written like this by Windows PowerShell with `>`, and by some editors.
#[test]
fn a_data_file_in_utf_16_is_read() {
    let organization = Organization::start(Options::default());
    let instance = set_up(&organization);
    let text = instance.text();
    let little: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> =
        [0xFE, 0xFF].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    for bytes in [little, big] {
        fs::write(instance.data_file(), bytes).unwrap();
        instance.run(&["config", "get", "directory"]).ok();
        instance.run(&["sync"]).ok();
        assert_eq!(instance.data()["directoryType"], "file");
    }
}

#[test]
fn a_file_of_accounts_without_a_version_is_not_mistaken_for_a_new_one() {
    let instance = Instance::empty();
    instance.write(
        &json!({ "4c1b": { "directoryConfigurations": { "ldap": { "hostname": "ldap.example.org" } } } }),
    );
    let before = instance.text();
    instance.run(&["config", "list"]).fails(1, &["has no stateVersion", "\"stateVersion\": 4"]);
    instance.run(&["config", "sync.interval", "9"]).fails(1, &["has no stateVersion"]);
    assert_eq!(instance.text(), before);
}

/// systemd stops a unit, or the machine shuts down: the log says that the sync did not finish.
#[test]
fn a_terminated_sync_says_so_in_the_log() {
    let organization = Organization::start(Options::default());
    let mut instance = set_up(&organization);
    let started = instance.folder.path().join("started");
    instance.unset_env("BW_CLIENTSECRET");
    let command =
        format!("/bin/sh -c '/usr/bin/touch {}; exec /bin/cat /dev/zero >/dev/null'", started.display());
    instance.set_env("BW_CLIENTSECRET_EXEC", &command);
    let child = instance.spawn(&["sync", "--log-file", "bwdc.log"]);
    while !started.exists() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ran: Ran = child.wait_with_output().unwrap().into();
    let told =
        ["The sync was stopped before it was done.", "The next run repeats it.", "The import had not begun."];
    ran.fails(1, &told);
    let log = fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap();
    assert!(log.contains("sync failed") && log.contains("was stopped before"), "{log}");
    assert_eq!(organization.imports(), 0);
}

/// `docker --env-file` and systemd's `EnvironmentFile=` treat quotes differently.
#[test]
fn quotes_around_a_secret_are_hinted_at_when_a_login_fails() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\n", &organization);
    let key = organization.sandbox.client_secret();
    for quoted in [format!("\"{key}\""), format!("'{key}'")] {
        instance.set_env("BW_CLIENTSECRET", &quoted);
        for command in ["login", "sync"] {
            let ran = instance.run(&[command]);
            assert!(!ran.err.contains(key), "{}", ran.err);
            ran.fails(
                1,
                &["BW_CLIENTSECRET, from the variable BW_CLIENTSECRET, begins and ends with a quote"],
            );
        }
    }
    instance.set_env("BW_CLIENTSECRET", "wrong");
    assert!(!instance.run(&["login"]).err.contains("quote"));
    instance.set_env("BW_CLIENTID", &format!("\"{}\"", organization.sandbox.client_id()));
    instance.run(&["login"]).fails(1, &["begins and ends with a quote"]);
}

#[test]
fn a_secret_on_the_command_line_is_warned_of() {
    let instance = Instance::empty();
    let ran = instance.run(&["config", "ldap.password", "hunter2"]).ok();
    assert!(
        ran.err.contains("ldap.password on the command line is visible") && !ran.err.contains("hunter2"),
        "{}",
        ran.err
    );
    assert_eq!(instance.run(&["config", "ldap.hostname", "ldap.example.org"]).ok().err, "");
}

/// A pipe without a writer, in place of one of our files or of the directory, is reported at once.
#[test]
fn pipes_are_not_accepted_as_files() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", &organization);
    let pipe = |name: &str| {
        let path = instance.folder.path().join(name);
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let last = pipe("data/last-run.json");
    let status = instance.run(&["status"]).fails(1, &[]);
    assert!(status.out.contains("last-run.json"), "{}", status.out);
    assert_eq!(instance.run(&["sync"]).code, 0, "how the last run went is not needed");
    fs::remove_file(last).unwrap();
    let imported = pipe("data/last-import.json");
    instance.run(&["clear-cache"]).ok();
    assert_eq!(instance.run(&["sync"]).code, 0);
    fs::remove_file(imported).unwrap();
    pipe("data/bwdc.toml");
    instance.run(&["sync"]).fails(1, &["bwdc.toml"]);
    fs::remove_file(instance.data_folder().join("bwdc.toml")).unwrap();
    let users = pipe("pipe.csv");
    instance.run(&["config", "file.path", users.to_str().unwrap()]).ok();
    instance.run(&["sync"]).fails(1, &["pipe.csv", "not a regular file"]);
}
