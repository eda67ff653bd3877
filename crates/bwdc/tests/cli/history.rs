//! The history of runs: what each changed, kept in the instance's folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bwdc_sandbox::{Counted, Fault, Flavour, Injection, Options};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};
use crate::machine::Machine;

const USERS: &str = "id,email,status\nu1,ann@example.org,\nu2,bob@example.org,\n";
const GROUPS: &str = "id,name,members\ng1,Staff,u1;u2\n";

fn company() -> (Organization, Instance) {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, GROUPS, &organization);
    instance.run(&["sync"]).ok();
    (organization, instance)
}

/// Records in the order of time: the head, then the entries.
pub(crate) fn kept(folder: &Path) -> Vec<Vec<Value>> {
    let Ok(files) = fs::read_dir(folder.join("history")) else { return Vec::new() };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let lines = |text: String| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    files.iter().map(|file| settled(lines(fs::read_to_string(file).unwrap()))).collect()
}

/// The lines of a file with the people whom groups name by number, and as its last one says: a run that made everything adds its end.
fn settled(mut lines: Vec<Value>) -> Vec<Value> {
    if let Some(at) = lines.iter().position(|line| line.get("people").is_some()) {
        let people = lines.remove(at)["people"].take();
        for group in lines.iter_mut().filter_map(|line| line.get_mut("group")) {
            for list in ["join", "leave", "heldJoin", "heldLeave"] {
                for member in group.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                    *member = people[member.as_u64().unwrap() as usize].clone();
                }
            }
        }
    }
    let Some(ended) = lines.last().and_then(|last| last.get("ended")).cloned() else { return lines };
    lines.pop();
    for made in lines.iter_mut().skip(1).flat_map(|line| line.as_object_mut().unwrap().values_mut()) {
        if made["made"] == "unclear" {
            made["made"] = json!("yes");
        }
    }
    lines[0] = ended;
    lines
}

fn last(instance: &Instance) -> Vec<Value> {
    kept(&instance.data_folder()).pop().unwrap()
}

#[test]
fn a_run_keeps_what_it_changed() {
    let (organization, mut instance) = company();
    let first = last(&instance);
    let head = &first[0];
    assert_eq!((&head["command"], &head["result"], &head["exit"]), (&json!("sync"), &json!("ok"), &json!(0)));
    assert_eq!(
        (&head["counts"]["invite"], &head["counts"]["groupsCreated"]),
        (&json!(2), &json!(1)),
        "{head}"
    );
    assert_eq!((&head["kind"], &head["basis"]), (&json!("official"), &json!("live")), "{head}");
    assert_eq!(first.len(), 4, "{first:?}");
    let ann = &first[1]["member"];
    assert_eq!(
        (&ann["action"], &ann["made"], &ann["before"], &ann["after"]["email"], &ann["after"]["status"]),
        (&json!("invite"), &json!("yes"), &Value::Null, &json!("ann@example.org"), &json!("invited"))
    );
    assert_eq!(first[3]["group"]["join"].as_array().unwrap().len(), 2);
    // Nothing changed: nothing is kept.
    instance.run(&["sync"]).ok();
    assert_eq!(kept(&instance.data_folder()).len(), 1);

    instance.set_env("BWDC_STARTED_BY", "cron");
    instance.company("id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\n", GROUPS);
    instance.run(&["sync"]).ok();
    let second = last(&instance);
    assert_eq!(second[0]["by"], "cron");
    let ann = &second[1]["member"];
    assert_eq!(ann["before"]["groups"], json!({ "g1": "Staff" }), "{ann}");
    let member = organization.member("bob@example.org").unwrap();
    assert_eq!(
        (&ann["action"], &ann["cause"], &ann["after"]),
        (&json!("remove"), &json!("deleted"), &Value::Null)
    );
    assert!(ann["memberId"].is_string() && member.external_id.is_some(), "{ann}");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = instance.data_folder().join("history");
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    let secret = organization.sandbox.client_secret();
    assert!(!format!("{:?}", kept(&instance.data_folder())).contains(secret));
}

#[test]
fn runs_that_failed_or_were_held_back_are_kept() {
    let (_organization, instance) = company();
    fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
    instance.run(&["sync"]).fails(1, &["company"]);
    let failed = last(&instance);
    assert_eq!((failed.len(), &failed[0]["result"], &failed[0]["exit"]), (1, &json!("failed"), &json!(1)));
    assert!(failed[0]["message"].as_str().unwrap().contains("company"), "{failed:?}");
    instance.company("id,email,status\nu2,bob@example.org,\n", "id,name,members\n");
    instance.change(|data| {
        data["sync"]["removeMissing"] = true.into();
        data["sync"]["limitRemovals"] = "0".into();
    });
    instance.run(&["sync"]).fails(5, &["ann@example.org"]);
    let held = last(&instance);
    let ann = held.iter().find(|line| line["member"]["before"]["email"] == "ann@example.org").unwrap();
    assert_eq!((&held[0]["result"], &ann["member"]["made"]), (&json!("blocked"), &json!("held")), "{held:?}");
    assert_eq!(held[0]["counts"]["remove"], 0);
}

/// A request that the server refuses, and one of which nobody heard.
#[test]
fn what_became_of_each_request_is_kept() {
    for (fault, made) in [(Fault::Lost, "unclear"), (Fault::Refused(400), "no")] {
        let organization =
            Organization::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() });
        let instance = Instance::files(USERS, GROUPS, &organization);
        instance.run(&["sync"]).ok();
        instance.company(
            "id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\nu3,eve@example.org,\n",
            GROUPS,
        );
        organization.sandbox.inject(Injection { at: 2, counted: Counted::Changes, fault });
        instance.run(&["sync"]).fails(1, &["Request 2 of 2 failed"]);
        let failed = last(&instance);
        let of = |action: &str| {
            failed.iter().find(|line| line["member"]["action"] == action).unwrap()["member"]["made"].clone()
        };
        assert_eq!(
            (&failed[0]["result"], of("revoke"), of("invite")),
            (&json!("failed"), json!("yes"), json!(made))
        );
    }
}

/// What a plan does not have is not made when it is applied, and no limit holds it.
#[test]
fn what_an_applied_plan_does_not_have_is_not_made() {
    let (organization, instance) = company();
    instance.company("id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\n", GROUPS);
    let file = instance.folder.path().join("plan.json");
    instance.run(&["plan", "--out", file.to_str().unwrap()]).ok();
    instance.company(
        "id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\nu3,eve@example.org,\n",
        "id,name,members\ng1,Staff,u2\ng2,New,u3\n",
    );
    instance.run(&["apply", file.to_str().unwrap()]).ok();
    assert!(
        organization.member("ann@example.org").is_none() && organization.member("eve@example.org").is_none()
    );
    let applied = last(&instance);
    let made = |email: &str| {
        let of = |line: &&Value| {
            [&line["member"]["before"], &line["member"]["after"]].iter().any(|state| state["email"] == email)
        };
        applied.iter().find(of).unwrap()["member"]["made"].clone()
    };
    assert_eq!(
        (made("ann@example.org"), made("eve@example.org")),
        (json!("yes"), json!("no")),
        "{applied:?}"
    );
    let group = applied.iter().find(|line| line["group"]["after"]["name"] == "New").unwrap();
    assert_eq!(group["group"]["made"], "no", "{group}");
    let counts = &applied[0]["counts"];
    assert_eq!((&counts["held"], &counts["notMade"]), (&json!(0), &json!(2)), "{counts}");
}

#[test]
fn a_run_that_is_killed_has_left_what_it_was_about_to_do() {
    let (organization, instance) = company();
    instance.company("id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\n", GROUPS);
    let fault = Fault::AnsweredLater(60_000);
    organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
    let mut child = instance.spawn(&["sync"]);
    let started = std::time::Instant::now();
    while kept(&instance.data_folder()).len() < 2 {
        assert!(started.elapsed().as_secs() < 60);
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let cut = last(&instance);
    assert_eq!((&cut[0]["result"], &cut[0]["exit"]), (&json!("cutOff"), &Value::Null));
    assert_eq!(cut[1]["member"]["made"], "unclear", "{cut:?}");
    assert_eq!(cut[0]["counts"]["unclear"], 1);
}

/// A machine that has synced two directories into one organization.
fn merged(organization: &Organization) -> Machine {
    let mut machine = Machine::new();
    machine.add("hq", organization, "h1,ann@example.org,\n", "hs,Staff,h1\n");
    machine.add("berlin", organization, "b1,eva@example.org,\n", "bs,Team,b1\n");
    machine.toml(
        "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
         [organization.acme]\nmerge = [\"hq\", \"berlin\"]\n",
    );
    machine.run(&["sync", "--all"]).ok();
    machine
}

#[test]
fn a_merge_keeps_the_same_in_each_folder() {
    let organization = Organization::start(Options::default());
    let machine = merged(&organization);
    let [hq, berlin] = ["hq", "berlin"].map(|name| kept(&machine.path(name)));
    assert_eq!((hq.len(), hq[0].len()), (1, 5));
    assert_eq!(hq, berlin);
}

/// A record that is damaged in one folder is read in another one, and that is said.
#[test]
fn a_merge_reads_the_good_copy() {
    let organization = Organization::start(Options::default());
    let machine = merged(&organization);
    let run = kept(&machine.path("hq"))[0][0]["run"].as_str().unwrap().to_owned();
    let file = fs::read_dir(machine.path("hq").join("history")).unwrap().next().unwrap().unwrap().path();
    fs::write(&file, "{").unwrap();
    for arguments in [
        &["history", "show", &run][..],
        &["history"],
        &["history", "eva@example.org"],
        &["undo", &run, "--dry-run"],
    ] {
        let ran = machine.run(&[arguments, &["--instance", "acme"]].concat()).ok();
        assert!(ran.out.contains(&run), "{arguments:?}: {}", ran.out);
        assert!(
            ran.err.contains("is damaged: line 1") && ran.err.contains("Its copy in"),
            "{arguments:?}: {}",
            ran.err
        );
    }
}

/// A history that cannot be written is a warning, and takes nothing from the import.
#[test]
fn a_history_that_cannot_be_written_is_a_warning() {
    let organization = Organization::start(Options::default());
    let mut instance = Instance::files(USERS, GROUPS, &organization);
    fs::write(instance.data_folder().join("history"), "in the way").unwrap();
    let log = instance.folder.path().join("bwdc.log");
    instance.set_env("BWDC_LOG_FILE", log.to_str().unwrap());
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err.matches("The history of runs cannot be kept").count(), 1, "{}", ran.err);
    assert!(ran.out.contains("Synced 1 group(s) and 2 user(s)."), "{}", ran.out);
    assert_eq!(organization.emails().len(), 2);
    let logged = fs::read_to_string(&log).unwrap();
    let line = logged.lines().find(|line| line.contains("The history of runs cannot be kept")).unwrap();
    assert!(line.contains("WARN") && line.contains("run="), "{line}");
    assert_eq!(instance.run(&["status"]).ok().err, "");
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err))
}

/// A company in which ann leaves, bob moves and a group is renamed.
fn a_year() -> (Organization, Instance) {
    let (organization, instance) = company();
    instance.company(
        "id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\nu3,eve@example.org,\n",
        "id,name,members\ng1,Everybody,u2;u3\n",
    );
    instance.run(&["sync"]).ok();
    fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
    instance.run(&["sync"]).fails(1, &[]);
    (organization, instance)
}

#[test]
fn runs_are_listed_the_latest_first() {
    let (_organization, mut instance) = a_year();
    let text = instance.run(&["history"]).ok().out;
    // Nobody can be told who has started these.
    let status = instance.run(&["status"]).out;
    let shown = instance
        .run(&["history", "show", text.lines().nth(6).unwrap().split_whitespace().next().unwrap()])
        .ok()
        .out;
    for told in [&text, &status, &shown] {
        assert!(!told.contains("by unknown") && !told.contains(" unknown "), "{told}");
    }
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..2],
        ["History, the latest run first", "One of them: bwdc history show RUN."],
        "{text}"
    );
    assert!(lines[5].contains("  failed  ") && lines[5].contains("company"), "{text}");
    assert!(
        lines[6].contains("  ok  ")
            && lines[6]
                .contains("1 removed, 1 invited, 1 group renamed, 1 group updated, 1 membership gained"),
        "{text}"
    );
    assert!(lines[7].contains("2 invited, 1 group created, 2 memberships gained"), "{text}");
    let listed = json(&instance.run(&["history", "--json"]).ok());
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 3);
    for run in listed {
        for key in ["run", "at", "by", "result", "counts"] {
            assert!(!run[key].is_null(), "{key}: {run}");
        }
    }
    assert_eq!((&listed[0]["result"], &listed[1]["counts"]["remove"]), (&json!("failed"), &json!(1)));
    let ids = |arguments: &[&str]| -> Vec<String> {
        let listed = json(&instance.run(&[&["history", "--json"], arguments].concat()).ok());
        listed.as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(&[]);
    assert_eq!(ids(&["-n", "1"]), all[..1]);
    assert_eq!(ids(&["--result", "ok"]), all[1..]);
    assert_eq!(ids(&["--result", "held,failed"]), all[..1]);
    assert_eq!(ids(&["--since", "1h"]), all);
    assert!(ids(&["--since", "2999-01-01"]).is_empty());
    let text = instance.run(&["history", "--result", "cutOff"]).ok().out;
    assert_eq!(text.trim(), "No run that is kept matches.");
    let sent = json!({"users": 2, "groups": 1, "removed": 1, "leftOut": 0});
    assert_eq!((&listed[0]["sent"], &listed[1]["sent"]), (&Value::Null, &sent));
    let at = listed[1]["at"].as_str().unwrap();
    assert_eq!(ids(&["--since", at]), all[..2]);
    // It is the run that `status` and the log name.
    let status = json(&instance.run(&["status", "--json"]).fails(1, &[]));
    assert_eq!(status["instances"][0]["lastRun"]["run"], listed[0]["run"]);
    for key in ["at", "by", "result", "exit", "durationSeconds", "message"] {
        assert_eq!(status["instances"][0]["lastRun"][key], listed[0][key], "{key}");
    }
    let response = json(&instance.run(&["history", "--response"]).ok());
    assert_eq!((&response["success"], response["data"].as_array().unwrap().len()), (&json!(true), 3));
    instance.set_env("TZ", "Pacific/Kiritimati");
    assert!(instance.run(&["history"]).ok().out.contains(" +14"));
}

#[test]
fn a_run_is_shown_with_before_and_after() {
    let (_organization, instance) = a_year();
    let listed = json(&instance.run(&["history", "--json"]).ok());
    let id = listed[1]["run"].as_str().unwrap();
    let shown = json(&instance.run(&["history", "show", &id[..8], "--json"]).ok());
    assert_eq!((&shown["run"], &shown["object"]), (&json!(id), &json!("run")));
    for entry in shown["members"].as_array().unwrap().iter().chain(shown["groups"].as_array().unwrap()) {
        assert!(entry.get("before").is_some() && entry.get("after").is_some(), "{entry}");
    }
    let group = &shown["groups"][0];
    assert_eq!((&group["before"]["name"], &group["after"]["name"]), (&json!("Staff"), &json!("Everybody")));
    assert_eq!((&group["before"]["members"], &group["after"]["members"]), (&json!(2), &json!(2)));
    let text = instance.run(&["history", "show", id]).ok().out;
    for words in [
        &format!("Run {id}: ok"),
        "bwdc sync, began ",
        "People removed (1)",
        "  ann@example.org  deleted in the directory  u1           invited, in Staff",
        "People invited (1)",
        "  eve@example.org  new in the directory  u3                   invited",
        "Memberships gained (1)",
        "  Everybody  eve@example.org  added to the group in the directory",
        "  Everybody  update  changed in the directory  g1           Staff, 2 members  Everybody, 2 members",
        "  People       1 removed, 1 invited, 1 unchanged",
    ] {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
    let failed = listed[0]["run"].as_str().unwrap();
    let text = instance.run(&["history", "show", failed]).ok().out;
    assert!(text.contains("exit 1.") && text.contains("company"), "{text}");
    instance.run(&["history", "show", "zzz"]).fails(1, &["has no run zzz", "bwdc history -n 1000"]);
    instance.run(&["history", " "]).fails(1, &["The name to look for is empty."]);
    instance.run(&["history", "-n", "0"]).fails(1, &["'0'"]);
    instance.run(&["history", "show"]).fails(1, &["missing required argument 'run'"]);
    instance.run(&["history", "Human", "Resources"]).fails(1, &["more than one name", "in quotes"]);
    instance.run(&["history", "--since", "soon"]).fails(1, &["it must be a time such as 12h, 7d"]);
    instance.run(&["history", "--result", "bad"]).fails(1, &["it must be ok, leftOut"]);
}

#[test]
fn somebody_or_a_group_is_found_in_all_runs() {
    let (_organization, instance) = a_year();
    let text = instance.run(&["history", "ANN@example.org"]).ok().out;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Changes to ANN@example.org, the latest first");
    assert!(
        lines[4].contains("remove ann@example.org  deleted in the directory             invited, in Staff"),
        "{text}"
    );
    assert!(
        lines[5].contains("invite ann@example.org  new in the directory") || lines[6].contains("invite"),
        "{text}"
    );
    assert!(text.contains("join Staff"), "{text}");
    let found = |who: &str| json(&instance.run(&["history", who, "--json"]).ok()).as_array().unwrap().len();
    let counts = ["u1", "u3", "bob@example.org", "Staff", "everybody", "g1", "nobody@example.org"].map(found);
    assert_eq!(counts, [2, 1, 1, 2, 2, 2, 0]);
    let text = instance.run(&["history", "Everybody"]).ok().out;
    assert!(text.contains("update Everybody") && text.contains("Staff, 2 members"), "{text}");
    let listed = json(&instance.run(&["history", "--json"]).ok());
    let id = listed[0]["run"].as_str().unwrap();
    let ran = instance.run(&["history", id]).ok();
    assert!(ran.out.contains(&format!("No run that is kept was about {id}.")), "{}", ran.out);
    assert!(ran.err.contains(&format!("bwdc history show {id}")), "{}", ran.err);
}

#[test]
fn without_runs_there_is_nothing_to_show() {
    let instance = Instance::empty();
    let text = instance.run(&["history"]).ok().out;
    assert!(text.starts_with("No runs are kept."), "{text}");
    assert_eq!(json(&instance.run(&["history", "--json"]).ok()), json!([]));
    assert!(!instance.data_folder().join("history").exists());
    assert_eq!(json(&instance.run(&["history", "ann@example.org", "--json"]).ok()), json!([]));
}

#[test]
fn files_that_are_no_runs_are_told_and_skipped() {
    let (_organization, instance) = company();
    fs::write(instance.data_folder().join("history").join("notes\u{1b}.txt"), "x").unwrap();
    let ran = instance.run(&["history", "--json"]).ok();
    assert_eq!(json(&ran).as_array().unwrap().len(), 1);
    assert!(ran.err.contains("notes\\u{1b}.txt is left out of the history: its name is not"), "{}", ran.err);
    instance.run(&["sync"]).ok();
}

#[test]
fn a_run_under_way_is_running_and_one_that_was_killed_is_cut_off() {
    let (organization, instance) = company();
    instance.company("id,email,status\nu1,ann@example.org,deleted\nu2,bob@example.org,\n", GROUPS);
    let fault = Fault::AnsweredLater(60_000);
    organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
    let mut instance = instance;
    instance.set_env("BWDC_RETRY_SECONDS", "60");
    let mut child = instance.spawn(&["sync"]);
    let started = std::time::Instant::now();
    let latest = |result: &str| {
        let listed = json(&instance.run(&["history", "--json", "--result", result]).ok());
        listed.as_array().unwrap().first().cloned()
    };
    let running = loop {
        if let Some(run) = latest("running") {
            break run;
        }
        assert!(started.elapsed().as_secs() < 60);
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let cut = latest("cut-off").unwrap();
    assert_eq!(cut["run"], running["run"]);
    let status = json(&instance.run(&["status", "--json"]).fails(1, &[]));
    assert_eq!(status["instances"][0]["lastRun"]["run"], cut["run"]);
    let text = instance.run(&["history", "show", cut["run"].as_str().unwrap()]).ok().out;
    assert!(text.contains(": cut off\n") && text.contains("Unclear: people (1)"), "{text}");
}

#[test]
fn of_several_instances_each_is_named() {
    let organizations = [(); 2].map(|()| Organization::start(Options::default()));
    let mut machine = Machine::new();
    for (name, organization) in ["a", "b"].iter().zip(&organizations) {
        machine.add(name, organization, &format!("{name},{name}@example.org,\n"), "");
    }
    machine.toml("[instance.a]\nfolder = \"a\"\n[instance.b]\nfolder = \"b\"\n");
    machine.run(&["sync", "--instance", "a"]).ok();
    let told = json(&machine.run(&["history", "--all", "--json"]).ok());
    assert_eq!(told["data"][0]["instance"], "a");
    let lengths = [0, 1].map(|at| told["data"][at]["data"].as_array().unwrap().len());
    assert_eq!(lengths, [1, 0]);
    let text = machine.run(&["history", "--all"]).ok().out;
    assert!(text.contains("a: History") && text.contains("b: No runs are kept."), "{text}");
}
