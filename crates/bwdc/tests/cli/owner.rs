//! Folders and files of another user: root continues as that user, owners stay, and users without access are told who the owner is. As root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use bwdc_sandbox::Options;

use crate::harness::{Instance, Organization, Ran, is_root};

/// The user `nobody`, which exists on every system.
pub const NOBODY: u32 = 65_534;
/// Users without a name.
const NAMELESS: u32 = 54_321;

/// Gives a folder with its contents to this user; everybody may enter the folders above.
fn give(instance: &Instance, uid: u32) {
    fs::set_permissions(instance.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    give_folder(&instance.data_folder(), uid);
}

/// Gives a folder with its contents to this user.
pub fn give_folder(folder: &Path, uid: u32) {
    for path in paths(folder) {
        chown(path, Some(uid), Some(uid)).unwrap();
    }
}

fn paths(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(paths(&path)) } else { all.push(path) }
    }
    all
}

#[track_caller]
fn all_belong_to(instance: &Instance, uid: u32) {
    for path in paths(&instance.data_folder()) {
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(found.uid(), uid, "{}", path.display());
    }
}

fn as_user(instance: &Instance, uid: u32, arguments: &[&str]) -> Ran {
    command_of_user(instance, uid, arguments).output().unwrap().into()
}

/// The program as this user starts it.
pub fn command_of_user(instance: &Instance, uid: u32, arguments: &[&str]) -> Command {
    let id = uid.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(env!("CARGO_BIN_EXE_bwdc"));
    command.args(arguments).env_clear().envs(instance.environment.iter().map(|(name, value)| (name, value)));
    command
}

#[test]
fn root_leaves_nothing_behind_that_the_owner_cannot_use() {
    if !is_root("give files to another user") {
        return;
    }
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", &organization);
    give(&instance, NOBODY);
    instance.run(&["login"]).ok();
    for uid in [NOBODY, NAMELESS] {
        give(&instance, uid);
        for arguments in [
            &["config", "sync.removeDisabled", "true"] as &[&str],
            &["test"],
            &["sync"],
            &["clear-cache"],
            &["sync", "--log-file", "bwdc.log"],
            &["doctor"],
            &["last-sync", "users"],
            &["logout"],
        ] {
            let mut ran = instance.run(arguments);
            if arguments[0] == "doctor" {
                ran.code = 0;
            }
            let ran = ran.ok();
            let who = if uid == NOBODY { "nobody".to_owned() } else { format!("user {uid}") };
            assert_eq!(
                ran.err.matches(&format!("Running as {who}, who owns ")).count(),
                1,
                "{arguments:?}: {}",
                ran.err
            );
            all_belong_to(&instance, uid);
        }
        // The owner continues where root stopped.
        let ran = as_user(&instance, uid, &["sync"]).ok();
        assert!(!ran.err.contains("Running as"), "{}", ran.err);
    }
    assert_eq!(organization.emails(), ["ada@example.org"]);
    // In its own folder root stays root, silently.
    give(&instance, 0);
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    all_belong_to(&instance, 0);
}

#[test]
fn root_does_not_read_files_that_the_owner_may_not_read() {
    if !is_root("give files to another user") {
        return;
    }
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\n", &organization);
    give(&instance, NOBODY);
    let secret = instance.folder.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    instance.set_env("BW_CLIENTSECRET_FILE", &secret.display().to_string());
    instance.environment.retain(|(name, _)| name != "BW_CLIENTSECRET");
    instance.run(&["login"]).fails(1, &["Permission denied", "BW_CLIENTSECRET_FILE"]);
    // A command set by the owner of the folder runs with the owner's rights.
    let seen = instance.data_folder().join("seen");
    instance.environment.retain(|(name, _)| name != "BW_CLIENTSECRET_FILE");
    let command = format!("sh -c 'id -u >{}; echo {}'", seen.display(), organization.sandbox.client_secret());
    instance.run(&["config", "exec.login.clientSecret", &command]).ok();
    instance.run(&["login"]).ok();
    assert_eq!(fs::read_to_string(seen).unwrap().trim(), NOBODY.to_string());
    // And in a folder of root's that others could have written to, not at all.
    give(&instance, 0);
    fs::set_permissions(instance.data_folder().join("data.json"), fs::Permissions::from_mode(0o660)).unwrap();
    instance
        .run(&["sync"])
        .fails(1, &["root neither runs nor reads what another user could have written", "chmod 600"]);
}

/// The folders above data.json, and bwdc.toml, count like the file itself.
#[test]
fn root_runs_no_command_that_others_could_have_planted() {
    if !is_root("give files to another user") {
        return;
    }
    const REFUSED: &str = "root neither runs nor reads what another user could have written there";
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\n", &organization);
    let key = organization.sandbox.client_secret().to_owned();
    let ran = instance.folder.path().join("ran");
    let command = format!("sh -c 'touch {}; echo {key}'", ran.display());
    instance.environment.retain(|(name, _)| name != "BW_CLIENTSECRET");
    instance.run(&["config", "exec.login.clientSecret", &command]).ok();
    let top = fs::canonicalize(instance.folder.path()).unwrap();
    // top/company is a link of root's to top/place/data.
    let (place, link, toml) = (top.join("place"), top.join("company"), top.join("bwdc.toml"));
    let data = place.join("data");
    fs::create_dir(&place).unwrap();
    fs::rename(instance.data_folder(), &data).unwrap();
    symlink("place/./../place/data", &link).unwrap();
    fs::write(&toml, "[instance.hq]\nfolder = \"company\"\n").unwrap();
    instance.unset_env("BITWARDENCLI_CONNECTOR_APPDATA_DIR");
    instance.set_env("BWDC_CONFIG", &toml.display().to_string());
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let file = data.join("data.json");
    for (path, usual) in [(&file, 0o600), (&data, 0o755), (&place, 0o755), (&top, 0o755), (&toml, 0o644)] {
        mode(path, usual);
    }
    for (path, bad, usual) in [
        (&file, 0o620, 0o600),
        (&data, 0o775, 0o755),
        (&place, 0o757, 0o755),
        (&top, 0o777, 0o755),
        (&toml, 0o664, 0o644),
    ] {
        mode(path, bad);
        let words = [REFUSED, &path.display().to_string(), &format!("mode {bad:o}"), "To use it, make the f"];
        for command in ["login", "test", "sync"] {
            instance.run(&[command, "--instance", "hq"]).fails(1, &words);
        }
        let told = instance.run(&["doctor", "--instance", "hq"]);
        assert!(told.code == 1 && told.out.contains(REFUSED), "{} {}", told.out, told.err);
        mode(path, usual);
    }
    // With the sticky bit nobody can replace root's files.
    mode(&top, 0o1777);
    // The owner of a folder above has the same power as anybody with write access to it.
    for path in [&place, &toml] {
        chown(path, Some(NOBODY), None).unwrap();
        let words = [REFUSED, &path.display().to_string(), "owner nobody", "sudo -u nobody bwdc"];
        instance.run(&["sync", "--instance", "hq"]).fails(1, &words);
        chown(path, Some(0), None).unwrap();
    }
    assert!(!ran.exists(), "a command was run");
    // A daemon's workers know which bwdc.toml was used.
    mode(&toml, 0o666);
    let log = top.join("log");
    let mut daemon = instance.spawn(&["daemon", "--spread", "0", "--log-file", &log.display().to_string()]);
    let started = std::time::Instant::now();
    while !fs::read_to_string(&log).unwrap_or_default().contains("sync failed") {
        assert!(started.elapsed().as_secs() < 60, "{:?}", fs::read_to_string(&log));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(REFUSED) && !ran.exists(), "{log}");
    mode(&toml, 0o644);
    instance.run(&["sync", "--instance", "hq"]).ok();
    assert!(ran.exists());
}

/// In a folder of root's that others can write to, neither a link nor a setting of theirs misleads root.
#[test]
fn root_follows_no_link_and_no_setting_of_others() {
    if !is_root("own a folder that others can write to") {
        return;
    }
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", &organization);
    let victim = instance.folder.path().join("victim");
    fs::write(&victim, "precious\n").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(instance.data_folder(), fs::Permissions::from_mode(0o1777)).unwrap();
    for name in ["last-run.json", "last-import.json"] {
        let link = instance.data_folder().join(name);
        let _ = fs::remove_file(&link);
        symlink(&victim, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(NOBODY), Some(NOBODY)).unwrap();
        instance.run(&["sync"]);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious\n", "{name}");
        fs::remove_file(&link).unwrap();
    }
    // A file that only root can read would be sent to a server of their choice.
    let mut instance = Instance::empty();
    instance.key(&organization.sandbox);
    instance.write(&serde_json::json!({
        "stateVersion": 8, "environmentUrls": { "base": organization.sandbox.url() }, "directoryType": 0,
        "directoryLdap": { "hostname": "127.0.0.1", "port": 9, "rootPath": "dc=x", "username": "cn=x" },
        "secretFiles": { "ldap.password": victim.display().to_string() },
        "sync": { "users": true },
    }));
    chown(instance.data_file(), Some(NOBODY), Some(NOBODY)).unwrap();
    instance.run(&["sync"]).fails(1, &["names where a secret is, and root neither runs nor reads"]);
}

/// People, logs and programs: what others could have named is not read, not written and not run by root.
/// The owner of the folder may put a link in the place of the log.
#[test]
fn root_follows_no_link_to_a_log() {
    if !is_root("give files to another user") {
        return;
    }
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", &organization);
    let private = instance.folder.path().join("private");
    fs::write(&private, "precious\n").unwrap();
    let log = instance.data_folder().join("bwdc.log");
    symlink(&private, &log).unwrap();
    std::os::unix::fs::lchown(&log, Some(NOBODY), Some(NOBODY)).unwrap();
    for arguments in [&["log"][..], &["log", "--follow"]] {
        let ran = instance.run(arguments).fails(1, &["is a link that belongs to nobody"]);
        assert!(!ran.out.contains("precious"), "{}", ran.out);
    }
}

#[test]
fn root_reads_writes_and_runs_nothing_that_others_could_have_named() {
    if !is_root("own files that others can write to") {
        return;
    }
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files("id,email\n1,ada@example.org\n", "name,members\nA,1\n", &organization);
    let top = fs::canonicalize(instance.folder.path()).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&instance.data_file(), 0o666);
    for command in ["sync", "test"] {
        let words = ["names a file to read (file.path), and root neither runs nor reads", "mode 666"];
        instance.run(&[command]).fails(1, &words);
    }
    mode(&instance.data_file(), 0o600);
    instance.run(&["test"]).ok();

    let (toml, log) = (top.join("bwdc.toml"), top.join("planted"));
    fs::write(&toml, format!("[log]\nfile = \"{}\"\n", log.display())).unwrap();
    instance.set_env("BWDC_CONFIG", &toml.display().to_string());
    mode(&toml, 0o666);
    let words =
        ["bwdc.toml names where the log is, and root does not write where another user could", "mode 666"];
    for command in ["sync", "doctor", "last-sync"] {
        let words = if command == "last-sync" { &words[..1] } else { &words };
        let arguments = if command == "last-sync" { &["last-sync", "users"][..] } else { &[command] };
        instance.run(arguments).fails(1, words);
    }
    let install =
        ["--config", &toml.display().to_string(), "schedule", "install", "--using", "cron", "--dry-run"];
    let install = [&install[..], &["--every", "15m", "--user", "root", "--program", "/bin/true"]].concat();
    instance.run(&install).fails(1, &words);
    assert!(!log.exists());
    mode(&toml, 0o644);
    instance.run(&install).ok();
    instance.run(&["test"]).ok();
    assert!(log.exists());

    let (program, key) = (top.join("print-key"), organization.sandbox.client_secret().to_owned());
    fs::write(&program, format!("#!/bin/sh\ntouch {}\necho {key}\n", top.join("ran").display())).unwrap();
    mode(&program, 0o755);
    instance.environment.retain(|(name, _)| name != "BW_CLIENTSECRET");
    instance.run(&["config", "exec.login.clientSecret", &program.display().to_string()]).ok();
    chown(&program, Some(NOBODY), Some(NOBODY)).unwrap();
    let named = format!("Root does not run {}, which another user could have written", program.display());
    instance
        .run(&["login"])
        .fails(1, &[&named, "owner nobody, mode 755", "exec.login.clientSecret", "chown root"]);
    // By its bare name it is the same program.
    instance.run(&["config", "exec.login.clientSecret", "print-key"]).ok();
    let path = format!("{}:/usr/bin:/bin", top.display());
    let ran: Ran = instance.command(&["login"]).env("PATH", &path).output().unwrap().into();
    ran.fails(1, &[&named]);
    assert!(!top.join("ran").exists());
    chown(&program, Some(0), Some(0)).unwrap();
    let ran: Ran = instance.command(&["login"]).env("PATH", &path).output().unwrap().into();
    ran.ok();
    assert!(top.join("ran").exists());
}

#[test]
fn another_users_link_is_followed_with_that_users_rights() {
    if !is_root("give files to another user") {
        return;
    }
    let mut instance = Instance::empty();
    instance.write(&serde_json::json!({ "stateVersion": 8 }));
    give(&instance, 0);
    let link = instance.folder.path().join("link");
    symlink(instance.data_folder(), &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(NOBODY), Some(NOBODY)).unwrap();
    let before = instance.text();
    instance.set_env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", &link.display().to_string());
    instance.run(&["config", "sync.interval", "17"]).fails(1, &["Running as nobody", "Permission denied"]);
    instance.set_env(
        "BITWARDENCLI_CONNECTOR_APPDATA_DIR",
        &instance.folder.path().join("data").display().to_string(),
    );
    assert_eq!(instance.text(), before);
}

#[test]
fn users_without_access_are_told_who_the_owner_is() {
    if !is_root("give files to another user") {
        return;
    }
    let instance = Instance::empty();
    instance.write(&serde_json::json!({ "stateVersion": 8 }));
    give(&instance, NOBODY);
    fs::set_permissions(instance.data_folder(), fs::Permissions::from_mode(0o700)).unwrap();
    for arguments in [&["config", "sync.interval", "17"] as &[&str], &["sync"], &["test"]] {
        as_user(&instance, NAMELESS, arguments).fails(
            1,
            &[
                "Permission denied",
                "It belongs to nobody, and this runs as user 54321",
                "sudo -u nobody bwdc",
            ],
        );
    }
}

#[test]
fn folders_of_several_users_cannot_be_one_run() {
    if !is_root("give files to another user") {
        return;
    }
    let instance = Instance::empty();
    instance.write(&serde_json::json!({ "stateVersion": 8 }));
    give(&instance, NOBODY);
    let other = instance.folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let folder = instance.data_folder().display().to_string();
    let ran = instance.run(&["sync", "--appdata", &folder, "--appdata", &other.display().to_string()]);
    ran.fails(1, &["belong to different users", "to nobody", "to root", "--instance"]);
}

/// Owner, group and the group's permissions stay, whoever replaces the file; others get nothing.
#[test]
fn a_replaced_file_keeps_its_owner_group_and_mode() {
    if !is_root("give files to another user") {
        return;
    }
    let instance = Instance::empty();
    instance.write(&serde_json::json!({ "stateVersion": 8 }));
    let path = instance.data_folder().join("data.json");
    chown(&path, Some(NOBODY), Some(NAMELESS)).unwrap();
    for (interval, before, after) in
        [("17", 0o640, 0o640), ("18", 0o600, 0o600), ("19", 0o660, 0o660), ("20", 0o644, 0o600)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        instance.run(&["config", "sync.interval", interval]).ok();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (NOBODY, NAMELESS, after));
        assert_eq!(instance.data()["sync"]["interval"].to_string(), interval);
    }
}
