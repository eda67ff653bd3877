//! The log: its lines, its files, the journal, and the things it never contains.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Stdio;

use bwdc_sandbox::Options;
use bwdc_testkit::slapd::PASSWORD;
use bwdc_testkit::{Slapd, ldif};
use serde_json::Value;

use crate::harness::{Instance, Organization, Ran};

const USERS: &str = "id,email,status\n1,ann@example.org,\n2,joe@example.org,\n3,,\n";
const GROUPS: &str = "id,name,members\ng,Staff,1;2;99\n";

fn scene() -> (Organization, Instance) {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, GROUPS, &organization);
    (organization, instance)
}

fn log(instance: &Instance) -> String {
    fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap()
}

/// Value of a field in a line of text.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let start =
        line.find(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {line}")) + name.len() + 2;
    line[start..].split(' ').next().unwrap()
}

#[test]
fn a_run_ends_with_one_line_to_alert_on() {
    let (_organization, instance) = scene();
    let plain = instance.run(&["test"]).ok();
    let ran = instance.run(&["sync", "--log-file", "bwdc.log"]).ok();
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("Syncing complete.\nSynced 1 group(s) and 2 user(s).\n", "")
    );
    let text = log(&instance);
    let last = text.lines().last().unwrap();
    assert!(last[24..].starts_with(" INFO  bwdc: sync ok instance=data run="), "{last}");
    let values = ["users", "groups", "removed", "notes"].map(|name| field(last, name));
    assert_eq!(values, ["2", "1", "0", "2"]);
    assert!(field(last, "duration").parse::<f64>().unwrap() > 0.0);
    let run = field(last, "run");
    assert!(
        run.len() == 12 && text.lines().all(|line| line.contains(&format!(" instance=data run={run}"))),
        "{text}"
    );
    assert!(text.contains("bwdc: the directory was read completely"));
    assert_eq!(mode(&instance), 0o640);
    // Each entry only at the debug level.
    assert!(!text.contains("no e-mail address entry="));
    instance.command(&["test", "--log-file", "bwdc.log"]).env("BWDC_LOG_LEVEL", "debug").output().unwrap();
    assert!(log(&instance).contains("bwdc: no e-mail address instance=data"), "{}", log(&instance));
    let with_log = instance.run(&["test", "--log-file", "bwdc.log"]).ok();
    assert_eq!((plain.out, plain.err), (with_log.out, with_log.err));
    instance.run(&["config", "server", "http://127.0.0.1:9"]).ok();
    instance.run(&["sync", "--log-file", "bwdc.log"]).fails(1, &[]);
    let text = log(&instance);
    let last = text.lines().last().unwrap();
    assert!(
        last.contains("ERROR bwdc: sync failed instance=data run=") && field(last, "exit") == "1",
        "{last}"
    );
    assert!(last.contains(" error=\"") && last.contains("127.0.0.1:9"), "{last}");
    let quietly = ["sync", "--log-file", "errors.log"];
    instance.command(&quietly).env("BWDC_LOG_LEVEL", "error").output().unwrap();
    let text = fs::read_to_string(instance.folder.path().join("errors.log")).unwrap();
    assert!(
        text.lines().count() == 1 && text.contains("ERROR bwdc: sync failed instance=data run="),
        "{text}"
    );
}

fn mode(instance: &Instance) -> u32 {
    fs::metadata(instance.folder.path().join("bwdc.log")).unwrap().permissions().mode() & 0o777
}

#[test]
fn json_lines_contain_the_same_facts() {
    let (_organization, instance) = scene();
    instance.run(&["sync", "--log-file", "bwdc.log", "--log-format", "json"]).ok();
    let lines: Vec<Value> = log(&instance).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["message"], &last["level"], &last["users"]),
        (&"sync ok".into(), &"INFO".into(), &2.into())
    );
    assert!(last["duration"].is_f64() && lines.iter().all(|line| line["run"] == last["run"]));
    instance.run(&["sync", "--log-format", "xml"]).fails(1, &["`xml` in --log-format", "`text` or `json`"]);
}

/// Directory contents cannot add lines of their own.
#[test]
fn no_entry_forges_a_line() {
    let organization = Organization::start(Options::default());
    let users = "id,email\n\"x\r\n2026-01-01T00:00:00.000Z INFO  bwdc: sync ok instance=data\u{1b}[2J\",\n";
    let instance = Instance::files(users, "id,name,members\n", &organization);
    instance.command(&["sync", "--log-file", "bwdc.log"]).env("BWDC_LOG_LEVEL", "debug").output().unwrap();
    let text = log(&instance);
    assert!(text.contains("no e-mail address"), "{text}");
    assert!(
        !text.contains('\u{1b}')
            && text.lines().filter(|line| line[24..].starts_with(" INFO  bwdc: sync ok")).count() <= 1
    );
    assert!(text.lines().all(|line| line.starts_with("20") && line.contains(" run=")), "{text}");
}

#[test]
fn four_processes_rotate_and_lose_no_line() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, GROUPS, &organization);
    let users: String = (0..400).map(|at| format!("u{at},\n")).collect();
    instance.company(&format!("id,email\n{users}"), "id,name,members\n");
    for (name, value) in [
        ("BWDC_LOG_LEVEL", "debug"),
        ("BWDC_LOG_FILE", "bwdc.log"),
        ("BWDC_LOG_MAX_SIZE", "4KB"),
        ("BWDC_LOG_KEEP", "1000"),
    ] {
        instance.set_env(name, value);
    }
    let children: Vec<_> = (0..4).map(|_| instance.spawn(&["test"])).collect();
    for child in children {
        Ran::from(child.wait_with_output().unwrap()).ok();
    }
    let files = files(&instance);
    assert!(files.len() > 20, "{files:?}");
    let text: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(text.lines().all(|line| line.starts_with("20") && line.contains(" run=")));
    let runs: std::collections::BTreeSet<&str> = text.lines().map(|line| field(line, "run")).collect();
    assert_eq!(runs.len(), 4);
    for run in runs {
        for at in 0..400 {
            let entry = format!(" run={run} entry=u{at}\n");
            assert_eq!(text.matches(&entry).count(), 1, "{entry}");
        }
    }
    // Exactly this many, if configured.
    instance.set_env("BWDC_LOG_KEEP", "3");
    instance.run(&["test"]).ok();
    assert_eq!(self::files(&instance).len(), 4);
}

/// The log and its rotated files.
fn files(instance: &Instance) -> Vec<PathBuf> {
    let all = fs::read_dir(instance.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    all.filter(|path| name(path).starts_with("bwdc.log") && !name(path).ends_with(".lock")).collect()
}

/// A sync matters more than its log.
#[test]
fn an_unwritable_log_does_not_fail_the_sync() {
    let (_organization, instance) = scene();
    let folder = instance.folder.path();
    let shared = folder.join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(folder.join("victim"), "precious").unwrap();
    symlink(folder.join("victim"), shared.join("bwdc.log")).unwrap();
    for (file, word) in [
        ("/dev/full", "not a regular file"),
        ("/proc/nowhere/bwdc.log", "The run continues"),
        ("shared/bwdc.log", "The run continues"),
    ] {
        let ran = instance.run(&["sync", "--log-file", file]).ok();
        assert_eq!(ran.err.matches("Warning: Writing the log").count(), 1, "{}", ran.err);
        assert!(ran.err.contains(word), "{}", ran.err);
    }
    assert_eq!(fs::read_to_string(folder.join("victim")).unwrap(), "precious");
}

/// The log is limited to four kilobytes by the shell; data.json is smaller.
#[test]
fn a_full_disk_does_not_fail_the_sync() {
    let (organization, instance) = scene();
    let path = instance.folder.path().join("bwdc.log");
    fs::write(&path, format!("{}\n", "x".repeat(4000))).unwrap();
    let program = env!("CARGO_BIN_EXE_bwdc");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec {program} sync --log-file bwdc.log");
    let mut command = instance.command_of(std::path::Path::new("sh"), &["-c", &script]);
    let ran = Ran::from(command.output().unwrap()).ok();
    assert_eq!(ran.err.matches("Warning: Writing the log").count(), 1, "{}", ran.err);
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096);
    assert_eq!(organization.emails().len(), 2);
    // The line that was cut is terminated before the next.
    instance.run(&["sync", "--log-file", "bwdc.log"]).ok();
    let text = log(&instance);
    assert!(text.lines().skip(3).all(|line| line.starts_with("20") && line.contains(" run=")));
    assert!(text.lines().last().unwrap().contains("bwdc: sync ok"));
}

/// As started by systemd: stderr is a socket to the journal, and a variable names it.
#[test]
fn under_systemd_lines_carry_their_priority() {
    let (organization, mut instance) = scene();
    let under_systemd = |instance: &Instance, arguments: &[&str]| {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let theirs = std::os::fd::OwnedFd::from(theirs);
        let socket =
            fs::metadata(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&theirs))).unwrap();
        let mut command = instance.command(arguments);
        command.env("JOURNAL_STREAM", format!("{}:{}", socket.dev(), socket.ino()));
        let code = command.stderr(Stdio::from(theirs)).stdout(Stdio::null()).status().unwrap().code();
        drop(command);
        ours.set_nonblocking(true).unwrap();
        let mut text = String::new();
        let mut buffer = [0; 65536];
        while let Ok(length) = ours.recv(&mut buffer) {
            if length == 0 {
                break;
            }
            text += std::str::from_utf8(&buffer[..length]).unwrap();
        }
        (code, text)
    };
    let (code, text) = under_systemd(&instance, &["sync"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().any(|line| line.starts_with("<6>bwdc: sync ok instance=data run=")), "{text}");
    assert!(text.lines().all(|line| line.starts_with('<')), "{text}");
    instance.set_env("BW_CLIENTSECRET", "wrong");
    instance.change(|data| data["accessToken"] = Value::Null);
    let (code, text) = under_systemd(&instance, &["sync"]);
    assert_eq!(code, Some(1));
    assert!(text.lines().any(|line| line.starts_with("<3>bwdc: sync failed instance=data")), "{text}");
    assert!(text.lines().all(|line| line.starts_with('<')), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("<3>")).count(), 1, "told once: {text}");
    instance.set_env("BW_CLIENTSECRET", organization.sandbox.client_secret());
    instance.change(|data| data["sync"]["onBadRecord"] = "skip".into());
    instance.company("id,email\n1,ann@example.org\n2,joe@example.org\nodd,no address\n", GROUPS);
    let (code, text) = under_systemd(&instance, &["sync"]);
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(text.matches("x left out:").count(), 1, "told once: {text}");
    assert!(text.lines().any(|line| line.starts_with("<4>bwdc: 1 x left out: ") && line.contains(" run=")));
    let (_, text) = under_systemd(&instance, &["--quiet", "sync"]);
    assert_eq!(text, "");
    // An inherited variable that names another socket changes nothing.
    let mut command = instance.command(&["sync"]);
    let ran = Ran::from(command.env("JOURNAL_STREAM", "9:12345").output().unwrap());
    assert!(!ran.err.contains("<3>") && !ran.err.contains("sync failed"), "{}", ran.err);
}

/// Secrets in every place, the most verbose level, every command that handles them.
#[test]
fn secrets_are_never_logged() {
    let slapd = Slapd::with(&ldif::small(5, 2, 2));
    let organization = Organization::start(Options::default());
    let mut instance = Instance::ldap(&slapd, &organization);
    let secret = organization.sandbox.client_secret().to_owned();
    for (name, value) in
        [("BWDC_LOG_LEVEL", "debug"), ("BWDC_LOG_FILE", "bwdc.log"), ("BITWARDENCLI_CONNECTOR_DEBUG", "true")]
    {
        instance.set_env(name, value);
    }
    let mut printed = String::new();
    let mut run = |instance: &Instance, arguments: &[&str]| {
        let ran = instance.run(arguments);
        printed += &ran.out;
        printed += &ran.err;
    };
    run(&instance, &["login"]);
    run(&instance, &["sync"]);
    run(&instance, &["test"]);
    run(&instance, &["doctor"]);
    let token = instance.data()["accessToken"].as_str().unwrap().to_owned();
    run(&instance, &["logout"]);
    // From the environment, from commands, from files, including wrong ones.
    instance.set_env("BWDC_LDAP_PASSWORD", PASSWORD);
    run(&instance, &["sync"]);
    instance.set_env("BWDC_LDAP_PASSWORD", "wrong-hunter2");
    run(&instance, &["sync"]);
    instance.unset_env("BWDC_LDAP_PASSWORD");
    instance.set_env("BWDC_LDAP_PASSWORD_EXEC", &format!("printf {PASSWORD}"));
    run(&instance, &["sync"]);
    instance.set_env("BW_CLIENTSECRET", "wrong-hunter3");
    instance.change(|data| data["accessToken"] = Value::Null);
    run(&instance, &["sync"]);
    run(&instance, &["config", "okta.token", "typed-hunter4"]);
    let log = log(&instance);
    assert!(log.contains("sync ok") && log.contains("sync failed") && log.contains("answered"), "{log}");
    for secret in [secret.as_str(), PASSWORD, &token, "hunter2", "hunter3", "hunter4"] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!printed.contains(secret), "{secret} was printed");
    }
}

/// Lines about people and groups from the last run.
fn events(instance: &Instance) -> Vec<String> {
    let text = log(instance);
    let run = field(text.lines().last().unwrap(), "run").to_owned();
    let of_run = text.lines().filter(|line| line.contains(&run) && line.contains(" event="));
    of_run.map(|line| line.split(&format!("run={run} ")).nth(1).unwrap().to_owned()).collect()
}

#[test]
fn everybody_who_joins_leaves_or_is_left_out_is_named_with_the_reason() {
    let (organization, instance) = scene();
    let sync = || instance.run(&["sync", "--log-file", "bwdc.log"]).ok();
    let removed = || field(log(&instance).lines().last().unwrap(), "removed").to_owned();
    sync();
    assert_eq!(
        events(&instance),
        [
            "event=invite email=ann@example.org externalId=1 reason=\"new among the people to import\"",
            "event=invite email=joe@example.org externalId=2 reason=\"new among the people to import\"",
            "event=group-create externalId=g name=Staff reason=\"new, with 2 member(s)\"",
            "event=leave-out entry=3 reason=\"no e-mail address\"",
        ]
    );
    // Nothing is reported twice.
    assert_eq!(sync().out, "Syncing complete.\nSynced 0 group(s) and 0 user(s).\n");
    assert!(events(&instance).is_empty());
    assert!(log(&instance).contains("nothing has changed since the last import, so nothing was sent"));
    instance.company(
        "id,email,status\n1,ann@example.org,\n2,joe@example.org,deleted\n3,,\n",
        "id,name,members\ng,Staff,1\n",
    );
    sync();
    assert_eq!(
        events(&instance),
        // The group is left with the organization: it needs no change of its own.
        ["event=remove email=joe@example.org externalId=2 reason=\"deleted in the directory\""]
    );
    assert_eq!((removed(), organization.emails().len()), ("1".to_owned(), 1));
    assert_eq!(organization.group("Staff"), ["ann@example.org"]);
    // The leaver is still in the directory, but left before this run.
    instance.company(
        "id,email,status\n1,ann@example.org,\n2,joe@example.org,deleted\n4,eve@example.org,\n",
        "id,name,members\ng,Crew,1\n",
    );
    sync();
    assert_eq!(
        events(&instance),
        [
            "event=invite email=eve@example.org externalId=4 reason=\"new among the people to import\"",
            "event=group-change externalId=g name=Crew reason=\"was called Staff\"",
        ]
    );
    assert_eq!(removed(), "0");
    instance.company(
        "id,email,status\n1,ann@example.org,\n2,joe@example.org,\n4,eve@example.org,disabled\n",
        GROUPS,
    );
    instance.change(|data| data["sync"]["removeDisabled"] = true.into());
    sync();
    let told = events(&instance).join("\n");
    let returned =
        "event=invite email=joe@example.org externalId=2 reason=\"in the directory again, or enabled again\"";
    assert!(told.contains(returned), "{told}");
    let changed =
        "event=group-change externalId=g name=Staff reason=\"was called Crew; 2 member(s), 1 before\"";
    assert!(told.contains(changed), "{told}");
    assert!(told.contains("event=remove email=eve@example.org externalId=4 reason=\"disabled in the directory (sync.removeDisabled)\""), "{told}");
    let path = instance.data_folder().join("last-import.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// After an update of the program, or with a damaged file, the whole company is not reported as new: only those who are.
#[test]
fn nobody_is_reported_as_new_without_a_record() {
    let (organization, instance) = scene();
    let sync = || instance.run(&["sync", "--log-file", "bwdc.log"]).ok();
    sync();
    let id = organization.sandbox.client_id().replace("organization.", "");
    for file in ["last-import.json".to_owned(), format!("ledger-{id}.json")] {
        fs::remove_file(instance.data_folder().join(file)).unwrap();
    }
    instance.company(
        "id,email,status\n1,ann@example.org,\n2,joe@example.org,\n3,,\n4,eve@example.org,\n",
        GROUPS,
    );
    sync();
    assert_eq!(
        events(&instance),
        ["event=invite email=eve@example.org externalId=4 reason=\"new among the people to import\""]
    );
    fs::write(instance.data_folder().join("last-import.json"), "{").unwrap();
    instance.company(USERS, GROUPS);
    sync();
    assert!(events(&instance).is_empty(), "{:?}", events(&instance));
    assert!(log(&instance).contains("what was imported last is not known"));
}

/// Shown on a terminal; the output for scripts is unchanged.
#[test]
fn people_at_a_terminal_see_who_joined_and_left() {
    let (_organization, instance) = scene();
    let at_terminal = || {
        let program = env!("CARGO_BIN_EXE_bwdc");
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &format!("{program} sync"), "/dev/null"]).env_clear().stdin(Stdio::null());
        script.envs(instance.environment.iter().map(|(name, value)| (name, value))).env("NO_COLOR", "1");
        String::from_utf8(script.output().unwrap().stdout).unwrap().replace("\r\n", "\n")
    };
    let out = at_terminal();
    let end = "Synced 1 group(s) and 2 user(s).\nJoined: ann@example.org (new among the people to import)\n\
               Joined: joe@example.org (new among the people to import)\nGroup: Staff (new, with 2 member(s))\n";
    assert!(out.ends_with(end), "{out}");
    let out = at_terminal();
    assert!(out.ends_with("Nothing has changed since the last sync, so nothing was sent.\n"), "{out}");
    instance.company("id,email,status\n1,ann@example.org,\n2,joe@example.org,deleted\n", GROUPS);
    let out = at_terminal();
    assert!(out.contains("Left: joe@example.org (deleted in the directory)"), "{out}");
}

#[test]
fn the_log_is_found_wherever_it_is() {
    let (_organization, mut instance) = scene();
    instance.run(&["log"]).fails(1, &["No log of ", "bwdc status", "docs/log.md"]);
    let usual = instance.data_folder().join("bwdc.log");
    // A pipe is refused at once.
    assert!(std::process::Command::new("mkfifo").arg(&usual).status().unwrap().success());
    instance.run(&["log"]).fails(1, &["not a regular file"]);
    fs::remove_file(&usual).unwrap();
    // A cron job's log in the folder.
    instance.run(&["sync", "--log-file", &usual.display().to_string()]).ok();
    let all = instance.run(&["log"]).ok().out;
    assert_eq!(all, fs::read_to_string(&usual).unwrap());
    let last = instance.run(&["log", "-n", "1"]).ok().out;
    assert!(last.contains("bwdc: sync ok ") && last.lines().count() == 1, "{last}");
    assert_eq!(instance.run(&["log", "--errors"]).ok().out, "");
    // A named one comes first; control characters in it cannot affect the terminal.
    let other = instance.folder.path().join("other.log");
    fs::write(&other, "2026-03-04T05:06:09.112Z ERROR bwdc: sync failed instance=data\nsh: 1: \u{1b}[2Jno\nSyncing complete.\n").unwrap();
    instance.set_env("BWDC_LOG_FILE", &instance.folder.path().join("later.log").display().to_string());
    instance.run(&["log"]).fails(1, &["later.log does not exist: nothing has been logged yet."]);
    instance.set_env("BWDC_LOG_FILE", &other.display().to_string());
    assert_eq!(
        instance.run(&["log", "--errors"]).ok().out,
        "2026-03-04T05:06:09.112Z ERROR bwdc: sync failed instance=data\nsh: 1: \\u{1b}[2Jno\n"
    );
    let told: Value =
        serde_json::from_str(&instance.run(&["--response", "log", "-n", "1"]).ok().out).unwrap();
    assert_eq!(told["data"]["logs"][0]["lines"], serde_json::json!(["Syncing complete."]));
    // Lines of rotated files.
    fs::rename(&other, instance.folder.path().join("other.log.1")).unwrap();
    fs::write(&other, "2026-03-05T05:06:09.112Z INFO  bwdc: sync ok instance=data\n").unwrap();
    assert_eq!(instance.run(&["log", "-n", "2"]).ok().out.lines().next(), Some("Syncing complete."));
}

#[test]
fn the_log_is_followed_across_rotation() {
    let (_organization, mut instance) = scene();
    for (name, value) in
        [("BWDC_LOG_FILE", "bwdc.log"), ("BWDC_LOG_MAX_SIZE", "1KB"), ("BWDC_LOG_LEVEL", "debug")]
    {
        instance.set_env(name, value);
    }
    let mut child = instance.spawn(&["log", "-f", "-n", "0"]);
    let (tell, lines) = std::sync::mpsc::channel();
    let stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let lines = std::io::BufRead::lines(stdout).map_while(Result::ok);
        lines.for_each(|line| tell.send(line).unwrap_or_default());
    });
    // Once it shows something, nothing is lost from then on.
    while lines.try_recv().is_err() {
        instance.run(&["test"]).ok();
    }
    let marker = || log(&instance).lines().last().unwrap().to_owned();
    let wanted: Vec<String> = (0..4)
        .map(|_| {
            instance.run(&["test"]).ok();
            marker()
        })
        .collect();
    for line in wanted {
        assert!(lines.iter().any(|shown| shown == line), "{line}");
    }
    assert!(files(&instance).len() > 1);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
}

/// As under cron: the shell has redirected stdout and stderr to the log.
#[test]
fn output_redirected_to_the_log_appears_in_it_once() {
    let (_organization, instance) = scene();
    let sync = |log: &str| {
        let script = format!("exec {} sync {log} >>bwdc.log 2>&1", env!("CARGO_BIN_EXE_bwdc"));
        let mut command = instance.command_of(std::path::Path::new("sh"), &["-c", &script]);
        command.output().unwrap().status.code().unwrap()
    };
    let named = "--log-file bwdc.log";
    assert_eq!(sync(named), 0);
    let good = log(&instance);
    assert_eq!(good.matches("bwdc: sync ok ").count(), 1, "{good}");
    // An error before there is a run to log it.
    fs::write(instance.data_folder().join("bwdc.toml"), "x = [").unwrap();
    assert_eq!(sync(named), 1);
    let broken = log(&instance);
    let last = broken.lines().last().unwrap();
    assert!(last.contains("ERROR bwdc: ") && last.contains("bwdc.toml line 1"), "{broken}");
    assert!(broken.lines().all(|line| line.starts_with("20") && line.get(23..24) == Some("Z")), "{broken}");
    // A crontab line of the user's own, without a log file, gets the usual output.
    fs::remove_file(instance.data_folder().join("bwdc.toml")).unwrap();
    fs::remove_file(instance.folder.path().join("bwdc.log")).unwrap();
    assert_eq!(sync(""), 0);
    assert!(log(&instance).starts_with("Syncing complete.\n"), "{}", log(&instance));
}
