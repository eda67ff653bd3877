//! The history of runs: what each changed, kept in the instance's folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bwdc_sandbox::{Counted, Fault, Flavour, Injection, Options};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization};
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
fn kept(folder: &Path) -> Vec<Vec<Value>> {
    let Ok(files) = fs::read_dir(folder.join("history")) else { return Vec::new() };
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let lines = |text: String| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    files.iter().map(|file| lines(fs::read_to_string(file).unwrap())).collect()
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
    for (fault, made) in [(Fault::Lost, "unclear"), (Fault::Refused(400), "unclear")] {
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

#[test]
fn a_merge_keeps_the_same_in_each_folder() {
    let organization = Organization::start(Options::default());
    let mut machine = Machine::new();
    machine.add("hq", &organization, "h1,ann@example.org,\n", "hs,Staff,h1\n");
    machine.add("berlin", &organization, "b1,eva@example.org,\n", "bs,Team,b1\n");
    machine.toml(
        "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
         [organization.acme]\nmerge = [\"hq\", \"berlin\"]\n",
    );
    machine.run(&["sync", "--all"]).ok();
    let [hq, berlin] = ["hq", "berlin"].map(|name| kept(&machine.path(name)));
    assert_eq!((hq.len(), hq[0].len()), (1, 5));
    assert_eq!(hq, berlin);
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
