//! The processes that a daemon starts for its syncs.

use std::fs;
use std::process::Command;

use super::*;
/// Result of giving an order to a worker.
fn work(instance: &Instance, order: &str) -> Ran {
    let mut worker = instance.command(&["worker"]);
    let mut worker = worker.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    worker.stdin.take().unwrap().write_all(order.as_bytes()).unwrap();
    worker.wait_with_output().unwrap().into()
}

/// The daemon's work for each sync, without the waits in between.
#[test]
fn an_access_token_is_reused_until_it_is_refused() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files("id,email\n1,ada@example.org\n", "id,name,members\n", &organization);
    // Otherwise data.json contains it.
    instance.unset_env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS");
    let folder = json!({ "Unix": instance.data_folder().as_os_str().as_encoded_bytes() });
    let place = json!({ "folder": folder, "name": "company", "company": "alone" });
    let run = |token: &Value| {
        let version = env!("CARGO_PKG_VERSION");
        let order = json!({ "version": version, "run": "r1", "errand": { "one": place }, "others": [], "token": token, "quiet": true });
        let ran = work(&instance, &order.to_string());
        let answer: Value = serde_json::from_str(&ran.ok().out).unwrap();
        answer["data"].clone()
    };
    let first = run(&Value::Null);
    assert_eq!((&first["exit"], &first["message"]), (&json!(0), &json!("Synced 0 group(s) and 1 user(s).")));
    assert!(first["token"]["token"].is_string(), "{first}");
    let second = run(&first["token"]);
    assert_eq!(second["token"], first["token"]);
    organization.sandbox.expire_tokens();
    instance.company("id,email\n1,ada@example.org\n2,grace@example.org\n", "id,name,members\n");
    let third = run(&second["token"]);
    assert_eq!(third["exit"], json!(0), "{third}");
    assert!(third["token"]["token"].is_string() && third["token"] != first["token"], "{third}");
    assert_eq!(organization.emails(), ["ada@example.org", "grace@example.org"]);
}

#[test]
fn the_worker_is_not_a_public_command() {
    let ran = Instance::empty().run(&["worker"]);
    ran.fails_with_response("its order makes no sense");
    let ran = work(&Instance::empty(), r#"{"version":"0.0.1","more":1}"#);
    ran.fails_with_response("The daemon is version 0.0.1");
    for shown in [&["--help"][..], &["completions", "bash"]] {
        let shown = Instance::empty().run(shown).ok();
        assert!(!shown.out.contains("worker"), "{}", shown.out);
    }
}

#[test]
fn its_workers_log_like_the_daemon() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    let toml = company.folder("i0").join("bwdc.toml");
    let log = "[log]\nfile = \"../logs/bwdc.log\"\nlevel = \"warn\"\nmax_size = \"1500KB\"\nmax_age = \"36h\"\nkeep = 0\n";
    fs::write(&toml, log).unwrap();
    fs::remove_dir_all(company.folder("i1").join("company")).unwrap();
    let daemon = company.start(&["--config", toml.to_str().unwrap(), "--log-format", "json"]);
    company.wait_for("runs of both", |status| company.all_ran(status));
    let log = fs::read_to_string(company.instance.folder.path().join("logs/bwdc.log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [failed] = lines.iter().filter(|line| line["level"] == "ERROR").collect::<Vec<_>>()[..] else {
        panic!("{log}")
    };
    let warns =
        |line: &&Value| line["message"].as_str().unwrap().contains(" are both synced into organization.");
    assert_eq!(lines.iter().filter(warns).count(), 2, "{log}");
    assert_eq!((&failed["message"], &failed["instance"]), (&json!("sync failed"), &json!("i1")));
    assert_eq!(daemon.end(), 0);
}

/// Processes started by a process; none are seen if there is no /proc.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Worker that is running its command for the API key, and that command.
fn at_its_command(daemon: &Daemon) -> [u32; 2] {
    until("no sync was started", || {
        let worker = *children(daemon.0.id()).first()?;
        Some([worker, *children(worker).first()?])
    })
}

/// Has each instance replace everybody, with other changes of its `data.json`.
fn overwriting(company: &Company, change: impl Fn(&str, &mut Value)) {
    for name in &company.names {
        let file = company.folder(name).join("data.json");
        let mut data = read(&file);
        data["sync"]["overwriteExisting"] = json!(true);
        change(name, &mut data);
        fs::write(&file, data.to_string()).unwrap();
    }
}

/// As `bwdc sync` refuses them.
#[test]
fn two_that_would_remove_each_others_people_are_refused() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    overwriting(&company, |_, _| {});
    let daemon = company.start(&[]);
    let status = company.wait_for("runs of both", |status| company.all_ran(status));
    for name in &company.names {
        let last = &company.state(&status, name)["last"];
        assert_eq!(last["exit"], json!(1), "{last}");
        assert!(
            last["message"].as_str().unwrap().contains("each would remove the people of the other"),
            "{last}"
        );
    }
    assert_eq!(organization.imports(), 0);
    assert_eq!(daemon.end(), 0);
}

/// Others are left out of its order by the organization that `data.json` names, and the key is another's: it is refused by all others.
#[test]
fn a_wrong_guess_of_the_organization_is_noticed() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    overwriting(&company, |name, data| {
        let own = organization.sandbox.client_id();
        let other = "organization.99999999-2222-3333-4444-555555555555".to_owned();
        let login = if name == "i1" { other } else { own };
        data["organizationId"] = json!(login.trim_start_matches("organization."));
    });
    let daemon = company.start(&[]);
    let status = company.wait_for("runs of both", |status| company.all_ran(status));
    let last = &company.state(&status, "i1")["last"];
    assert!(
        last["message"].as_str().unwrap().contains("each would remove the people of the other"),
        "{last}"
    );
    assert_eq!(company.state(&status, "i1")["runs"], json!(1));
    assert_eq!(daemon.end(), 0);
}

/// One run, without any other instance.
#[test]
fn nothing_is_synced_into_an_organization_that_was_not_assumed() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,ada@example.org\n", "id,name,members\n", &organization);
    let folder = json!({ "Unix": instance.data_folder().as_os_str().as_encoded_bytes() });
    let place = json!({ "folder": folder, "name": "company", "company": "alone" });
    let run = |assumed: &str| {
        let version = env!("CARGO_PKG_VERSION");
        let order = json!({ "version": version, "run": "r1", "errand": { "one": place }, "others": [], "assumed": assumed, "token": null, "quiet": true });
        let answer: Value = serde_json::from_str(&work(&instance, &order.to_string()).ok().out).unwrap();
        answer["data"].clone()
    };
    let own = organization.sandbox.client_id().trim_start_matches("organization.").to_lowercase();
    let refused = run("99999999-2222-3333-4444-555555555555");
    assert_eq!((&refused["exit"], &refused["organization"]), (&json!(1), &json!(own)), "{refused}");
    assert_eq!(organization.imports(), 0);
    let synced = run(&own);
    assert_eq!((&synced["exit"], &synced["organization"]), (&json!(0), &json!(own)), "{synced}");
    assert_eq!(organization.emails(), ["ada@example.org"]);
}

#[test]
fn a_damaged_instance_does_not_prevent_the_start() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    fs::write(company.folder("i1").join("data.json"), "{").unwrap();
    let daemon = company.start(&[]);
    let status = company.wait_for("runs of both", |status| company.all_ran(status));
    assert_eq!(company.state(&status, "i0")["last"]["exit"], json!(0), "{status}");
    assert_eq!(company.state(&status, "i1")["failuresInARow"], json!(1), "{status}");
    assert_eq!(organization.emails(), ["i0@example.org"]);
    assert_eq!(daemon.end(), 0);
}

/// Names of folders are bytes.
#[test]
fn a_folder_whose_name_is_not_utf_8() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let odd = company.instance.folder.path().join(std::ffi::OsStr::from_bytes(b"M\xfcller"));
    fs::rename(company.folder("i0"), &odd).unwrap();
    let mut command = company.instance.command(&["daemon", "--spread", "0"]);
    let daemon = Daemon(command.arg("--appdata").arg(&odd).stderr(Stdio::null()).spawn().unwrap());
    until("nobody was imported", || (!organization.emails().is_empty()).then_some(()));
    assert_eq!(daemon.end(), 0);
}

/// A run under a name that now stands for another folder is not a run of that folder.
#[test]
fn a_reload_during_a_run_may_change_the_meaning_of_a_name() {
    let organization = Organization::start(Options::default());
    let mut company = Company::of(2, &organization);
    let go = company.key_waits(&organization);
    let toml = company.folder("i0").join("bwdc.toml");
    let means = |folder: &str| fs::write(&toml, format!("[instance.x]\nfolder = \"../{folder}\"\n")).unwrap();
    means("i0");
    company.names.clear();
    let daemon = company.start(&["--config", toml.to_str().unwrap()]);
    let state = |status: &Value| status["instances"]["x"].clone();
    company.wait_for("a run", |status| state(status)["runningSince"].is_string());
    means("i1");
    daemon.signal("HUP");
    until("no reload", || (company.log().matches(" configured ").count() == 2).then_some(()));
    fs::write(&go, "").unwrap();
    let status = company.wait_for("the run of the other", |status| state(status)["last"].is_object());
    assert_eq!(state(&status)["runs"], json!(1), "{status}");
    assert_eq!(organization.emails(), ["i0@example.org", "i1@example.org"]);
    assert_eq!(daemon.end(), 0);
}

/// The next one takes its place.
#[cfg(target_os = "linux")]
#[test]
fn a_sync_that_hangs_is_cut_off() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    // An LDAP server that accepts the connection and sends nothing.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let data = json!({
        "stateVersion": 8,
        "environmentUrls": { "base": organization.sandbox.url() },
        "directoryType": 0,
        "directoryLdap": {
            "hostname": "127.0.0.1", "port": silent.local_addr().unwrap().port(), "rootPath": "dc=x", "username": "cn=x", "password": "p",
        },
        "sync": { "users": true, "interval": 5 },
    });
    fs::write(company.folder("i0").join("data.json"), data.to_string()).unwrap();
    let daemon = company.start(&["--at-once", "1", "--longest", "2"]);
    let status = company.wait_for("runs of both", |status| company.all_ran(status));
    let last = &company.state(&status, "i0")["last"];
    assert_eq!(last["exit"], json!(1), "{last}");
    assert!(last["message"].as_str().unwrap().contains("took longer than 2 s and was aborted"), "{last}");
    let log = company.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" instance=i0 run=")).collect();
    let run = |line: &str| line.split("run=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let [begun, ended] = lines[..] else { panic!("{log}") };
    assert!(
        begun.contains("sync started") && ended.contains("sync failed") && ended.contains(" duration=2."),
        "{log}"
    );
    assert_eq!(run(begun), run(ended));
    assert_eq!(organization.emails(), ["i1@example.org"]);
    until("it is still there", || children(daemon.0.id()).is_empty().then_some(()));
    fs::File::create(company.folder("i0").join("bwdc.lock")).unwrap().try_lock().unwrap();
    assert_eq!(daemon.end(), 0);
}

/// The daemon sees by itself that none succeeds, also while one hangs; its workers tell.
#[test]
fn a_success_that_is_missed_is_told_while_a_sync_hangs() {
    let organization = Organization::start(Options::default());
    let mut company = Company::of(1, &organization);
    let receiver = bwdc_testkit::Receiver::start();
    let toml = company.instance.folder.path().join("alerts.toml");
    let url = receiver.url("/");
    fs::write(&toml, format!("[alerts.channel.ops]\ntype = \"webhook\"\nurl = \"{url}\"\n")).unwrap();
    company.instance.set_env("BWDC_CONFIG", toml.to_str().unwrap());
    let file = company.folder("i0").join("data.json");
    let mut data: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    data["lastUserSync"] = "2026-01-01T00:00:00Z".into();
    fs::write(&file, data.to_string()).unwrap();
    let go = company.key_waits(&organization);
    let daemon = company.start(&[]);
    let event = |count: usize| {
        receiver.wait_for(count);
        let requests = receiver.take();
        let event = |body: &str| serde_json::from_str::<Value>(body).unwrap()["event"].clone();
        requests.iter().map(|request| event(&request.body)).collect::<Vec<_>>()
    };
    assert_eq!(event(1), [json!("missed")]);
    fs::write(&go, "").unwrap();
    assert_eq!(event(1), [json!("recovered")]);
    assert_eq!(daemon.end(), 0);
    assert_eq!(receiver.take().len(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn commands_of_a_sync_that_is_cut_off_end_with_it() {
    let organization = Organization::start(Options::default());
    let mut company = Company::of(1, &organization);
    let pid = company.instance.folder.path().join("pid");
    company.key_by(&format!("sh -c 'echo $$ >{}; exec sleep 60'", pid.display()));
    let daemon = company.start(&["--longest", "1"]);
    company.wait_for("a run", |status| company.all_ran(status));
    let command = format!("/proc/{}/stat", fs::read_to_string(&pid).unwrap().trim());
    let is_there = || fs::read_to_string(&command).is_ok_and(|stat| !stat.contains(") Z "));
    until("it is still there", || (!is_there()).then_some(()));
    assert_eq!(daemon.end(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_sync_killed_by_the_system_counts_as_failed() {
    let organization = Organization::start(Options::default());
    let mut company = Company::of(1, &organization);
    company.key_by("sleep 60");
    let daemon = company.start(&[]);
    let killed = at_its_command(&daemon).map(|pid| pid.to_string());
    assert!(Command::new("kill").arg("-KILL").args(killed).status().unwrap().success());
    let status = company.wait_for("a run", |status| company.all_ran(status));
    let state = company.state(&status, "i0");
    assert_eq!((&state["last"]["exit"], &state["failuresInARow"]), (&json!(1), &json!(1)), "{state}");
    let message = state["last"]["message"].as_str().unwrap();
    assert!(message.contains("ended unexpectedly: signal: 9"), "{message}");
    let log = company.log();
    let last = log.lines().find(|line| line.contains("sync failed")).unwrap_or_else(|| panic!("{log}"));
    assert!(last.contains("instance=i0") && last.contains("ended unexpectedly"), "{last}");
    assert_eq!(daemon.end(), 0);
}

/// A package is updated while the daemon runs, and somebody is editing the configuration.
#[cfg(target_os = "linux")]
#[test]
fn program_and_configuration_may_change_during_a_run() {
    let organization = Organization::start(Options::default());
    let mut company = Company::of(2, &organization);
    let program = company.instance.folder.path().join("bwdc");
    fs::copy(env!("CARGO_BIN_EXE_bwdc"), &program).unwrap();
    // The first sync waits, so that the second is started by a program file that is gone.
    let go = company.key_waits(&organization);
    let arguments = ["daemon", "--spread", "0", "--at-once", "1", "--appdata", "i0", "--appdata", "i1"];
    let toml = company.folder("i0").join("bwdc.toml");
    fs::write(&toml, "[limits]\nat_once = 1\n").unwrap();
    company.instance.set_env("BWDC_CONFIG", toml.to_str().unwrap());
    let mut command = company.instance.command_of(&program, &arguments);
    let daemon = Daemon(command.stderr(Stdio::null()).spawn().unwrap());
    at_its_command(&daemon);
    fs::remove_file(&program).unwrap();
    fs::write(&toml, "limits = \"none\"\n").unwrap();
    company.instance.unset_env("BWDC_CONFIG");
    fs::write(&go, "").unwrap();
    company.wait_for("runs of both", |status| company.all_ran(status));
    assert_eq!(organization.emails(), ["i0@example.org", "i1@example.org"]);
    assert_eq!(daemon.end(), 0);
}
