//! `bwdc status` without a daemon: result of the last run of each instance, whoever started it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bwdc_sandbox::Options;
use bwdc_testkit::proxy::mute_server;
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};
use crate::machine::Machine;

const USERS: &str = "id,email,status\n1,ann@example.org,\n2,bob@example.org,\n";
const GROUPS: &str = "id,name,members\ng,Staff,1;2\n";

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err))
}

/// First instance, and the exit code.
fn status(instance: &Instance) -> (Value, i32) {
    let ran = instance.run(&["status", "--json"]);
    let told = json_of(&ran);
    assert_eq!(told["object"], "status");
    (told["instances"][0].clone(), ran.code)
}

#[test]
fn each_run_leaves_its_result() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, GROUPS, &organization);
    let (before, code) = status(&instance);
    assert_eq!((&before["lastRun"], &before["lastSuccess"], code), (&Value::Null, &Value::Null, 1));

    instance.set_env("BWDC_STARTED_BY", "cron");
    instance.run(&["sync"]).ok();
    let (good, code) = status(&instance);
    let last = &good["lastRun"];
    assert_eq!((code, &good["name"], &good["ok"]), (0, &json!("data"), &json!(true)), "{good}");
    let told = ["by", "result", "exit", "users", "groups", "removed", "leftOut", "message"]
        .map(|key| last[key].clone());
    let sentence = "Synced 1 group(s) and 2 user(s).";
    assert_eq!(
        told,
        [json!("cron"), json!("ok"), json!(0), json!(2), json!(1), json!(0), json!(0), json!(sentence)]
    );
    assert!(last["durationSeconds"].as_f64().unwrap() > 0.0);
    for time in [&last["at"], &good["lastSuccess"]] {
        time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    let file = instance.data_folder().join("last-run.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = instance.run(&["status"]).ok().out;
    assert!(
        text.contains("by cron: ok, exit 0") && text.contains(sentence) && text.contains("the same"),
        "{text}"
    );
    let response = json_of(&instance.run(&["--response", "status"]).ok());
    assert_eq!(response["data"]["instances"][0]["lastRun"], *last);
    assert!(!text.contains("no changes"), "{text}");
    instance.run(&["sync"]).ok();
    let text = instance.run(&["status"]).ok().out;
    assert!(text.contains("Synced 0 group(s) and 0 user(s). There were no changes to send."), "{text}");
    let (good, _) = status(&instance);

    // After a failure the last successful run is still known.
    instance.set_env("BWDC_STARTED_BY", "systemd");
    fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
    instance.run(&["sync"]).fails(1, &["company"]);
    let (bad, code) = status(&instance);
    let last = &bad["lastRun"];
    assert_eq!(
        (code, &last["result"], &last["exit"], &last["by"]),
        (1, &json!("failed"), &json!(1), &json!("systemd"))
    );
    assert_eq!(bad["lastSuccess"], good["lastSuccess"]);
    assert!(bad["trouble"].as_str().unwrap().contains("company") && bad["nextStep"].is_string(), "{bad}");
    let text = instance.run(&["status"]).fails(1, &[]).out;
    assert!(text.contains("by systemd: failed, exit 1") && text.contains("  to do"), "{text}");

    instance.company(USERS, GROUPS);
    instance.run(&["sync"]).ok();
    assert_eq!(status(&instance).1, 0);
}

#[test]
fn a_run_that_was_killed_was_cut_off() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, GROUPS, &organization);
    instance.run(&["sync"]).ok();
    let server = mute_server();
    instance.change(|data| data["environmentUrls"]["base"] = format!("http://127.0.0.1:{server}").into());
    let mut child = instance.spawn(&["sync"]);
    let running = until(|| Some(status(&instance).0).filter(|told| told["runningSince"].is_string()));
    assert_eq!(running["lastRun"]["result"], "ok");
    let locked = instance.run(&["sync"]);
    locked.fails(3, &["Another sync of"]);
    let (told, code) = status(&instance);
    assert_eq!(
        (&told["lastRun"]["result"], &told["lastRun"]["exit"], code),
        (&json!("locked"), &json!(3), 0),
        "{told}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let (told, code) = status(&instance);
    assert_eq!(
        (&told["lastRun"]["result"], &told["lastRun"]["exit"], code),
        (&json!("cutOff"), &Value::Null, 1)
    );
    assert_eq!((&told["lastRun"]["at"], &told["runningSince"]), (&running["runningSince"], &Value::Null));
}

/// Contents of a file, once it exists.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed().as_secs() < 60);
        std::thread::yield_now();
    }
}

#[test]
fn instances_of_bwdc_toml_are_shown_and_overdue_after_three_intervals() {
    let organizations = [(); 3].map(|()| Organization::start(Options::default()));
    let mut machine = Machine::new();
    for (name, organization) in
        [("alone", &organizations[0]), ("a", &organizations[1]), ("b", &organizations[1])]
    {
        machine.add(name, organization, &format!("{name},{name}@example.org,\n"), "");
    }
    let instances =
        ["alone", "a", "b"].map(|name| format!("[instance.{name}]\nfolder = \"{name}\"\n")).concat();
    machine
        .toml(&format!("schedule.every = \"1h\"\n{instances}[organization.both]\nmerge = [\"a\", \"b\"]\n"));
    machine.run(&["sync", "--all"]).ok();
    // A merge leaves its result in each of its folders.
    for name in ["a", "b"] {
        let kept: Value =
            serde_json::from_str(&fs::read_to_string(machine.path(name).join("last-run.json")).unwrap())
                .unwrap();
        assert_eq!(kept["last"]["users"], 2, "{kept}");
    }
    let told = json_of(&machine.run(&["status", "--json"]).ok());
    let names: Vec<&str> =
        told["instances"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alone", "both"]);
    assert_eq!(
        json_of(&machine.run(&["status", "--json", "--instance", "b"]).ok())["instances"][0]["lastRun"]["users"],
        2
    );

    for (hours, code, words) in [(2, 0, ""), (4, 1, "No run has succeeded for three intervals.")] {
        aged(&machine, "alone", hours);
        let ran = machine.run(&["status", "--instance", "alone"]);
        assert!(ran.code == code && ran.out.contains(words), "{}", ran.out);
    }
    machine.run(&["status", "--all"]).fails(1, &[]);
    let nowhere = machine.run(&["status", "--appdata", "nowhere"]).fails(1, &[]);
    assert!(nowhere.out.contains("There is no folder"), "{}", nowhere.out);
}

/// Moves everything this many hours into the past.
fn aged(machine: &Machine, name: &str, hours: i64) {
    let earlier = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    let path = machine.path(name).join("last-run.json");
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for which in ["last", "lastSuccess"] {
        kept[which]["at"] = earlier.to_string().into();
    }
    fs::write(&path, kept.to_string()).unwrap();
    machine.change(name, |data| {
        data["lastUserSync"] = earlier.to_string().into();
        data["lastGroupSync"] = earlier.to_string().into();
    });
}

/// Syncs of the existing connector, and of this one before it stored results, count as well.
#[test]
fn an_earlier_success_is_known_from_the_data_file() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, GROUPS, &organization);
    let now = jiff::Timestamp::now().to_string();
    instance.change(|data| data["lastUserSync"] = now.as_str().into());
    let (told, code) = status(&instance);
    assert_eq!((&told["lastRun"], &told["lastSuccess"], code), (&Value::Null, &json!(now), 0));
    // A damaged one is named, and replaced by the next run.
    fs::write(instance.data_folder().join("last-run.json"), "{").unwrap();
    let (told, code) = status(&instance);
    assert!(code == 1 && told["trouble"].as_str().unwrap().contains("last-run.json"), "{told}");
    instance.run(&["sync"]).ok();
    assert_eq!(status(&instance).1, 0);
}

/// An installed schedule supplies the next run and its scheduler; bwdc.toml alone does not say who runs it.
#[test]
fn the_next_run_is_that_of_the_installed_schedule() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, GROUPS, &organization);
    instance.run(&["sync"]).ok();
    let (told, _) = status(&instance);
    assert_eq!((&told["nextRun"], &told["scheduler"]), (&Value::Null, &Value::Null));
    let units = instance.folder.path().join("config/systemd/user");
    fs::create_dir_all(&units).unwrap();
    instance.set_env("XDG_CONFIG_HOME", &instance.folder.path().join("config").display().to_string());
    let timer = |schedule: &str| {
        let folder = instance.data_folder().display().to_string();
        let marker =
            json!({ "schedule": schedule, "folder": folder, "user": "bwdc", "program": "/usr/bin/bwdc" });
        fs::write(units.join("bwdc-x.timer"), format!("# bwdc-schedule: {marker}\n")).unwrap();
    };
    timer("30 3 * * *");
    let (told, code) = status(&instance);
    assert_eq!((&told["scheduler"], code), (&json!("systemd"), 0), "{told}");
    assert!(told["nextRun"].as_str().unwrap().contains(":30:00"), "{told}");
    timer("15m");
    let (told, _) = status(&instance);
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let interval = time(&told["nextRun"]).duration_since(time(&told["lastRun"]["at"]));
    assert_eq!(interval, jiff::SignedDuration::from_mins(15));
}
