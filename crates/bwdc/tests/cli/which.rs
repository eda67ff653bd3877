//! Selection of instances: every command about a single one accepts `--appdata` and `--instance`, and `--all` if it can
//! be about several.

use std::fs;

use bwdc_sandbox::Options;
use serde_json::Value;

use crate::harness::{Instance, Organization};
use crate::machine::Machine;

const TOML: &str = "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n";

fn machine(organization: &Organization) -> Machine {
    let mut machine = Machine::new();
    machine.add("hq", organization, "ann,ann@example.org,\n", "");
    machine.add("berlin", organization, "bob,bob@example.org,\n", "");
    machine.toml(TOML);
    machine
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_folder_or_a_name_selects_the_instance() {
    let organization = Organization::start(Options::default());
    let machine = machine(&organization);
    let (hq, berlin) = (machine.path("hq"), machine.path("berlin"));
    for which in [["--appdata", "hq"], ["--instance", "hq"]] {
        let ran = |arguments: &[&str]| machine.run(&[arguments, &which].concat()).ok().out;
        assert_eq!(ran(&["data-file"]), format!("{}\n", hq.join("data.json").display()));
        assert_eq!(ran(&["config", "sync.interval", "30"]), "Saved setting `sync.interval`.\n");
        assert_eq!(machine.data("hq")["sync"]["interval"], 30);
        assert_eq!(machine.data("berlin")["sync"]["interval"], Value::Null);
        assert_eq!(ran(&["clear-cache"]), "The sync cache has been cleared.\n");
        assert_eq!(ran(&["last-sync", "users"]), "");
        assert!(ran(&["doctor"]).contains("Everything is in order."));
    }
    machine.run(&["logout", "--instance", "berlin"]).ok();
    machine
        .run(&["last-sync", "users", "--appdata", &berlin.display().to_string()])
        .fails(1, &["You are not logged in."]);
    let key = [organization.sandbox.client_id(), organization.sandbox.client_secret().to_owned()];
    let login = ["login", "--instance", "berlin", &key[0], &key[1]];
    machine.run(&login).ok();
    assert_eq!(machine.data("berlin")["apiKeyClientId"], key[0]);
    // The usual folder was not created.
    assert!(!machine.usual.data_file().exists());
}

#[test]
fn all_of_them_answer_with_their_names() {
    let organization = Organization::start(Options::default());
    let machine = machine(&organization);
    machine.run(&["sync", "--all"]).ok();
    let last = machine.run(&["last-sync", "users", "--all"]).ok().out;
    let names: Vec<&str> = last.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(names, ["berlin", "hq"], "{last}");
    machine.run(&["logout", "--instance", "hq"]).ok();
    let ran = machine.run(&["last-sync", "users", "--instance", "hq", "--instance", "berlin"]);
    let ran = ran.fails(1, &["hq: You are not logged in."]);
    assert!(ran.out.starts_with("hq: failed.\nberlin: 20"), "{}", ran.out);
    let told = json(&machine.run(&["--response", "last-sync", "users", "--all"]).out);
    assert_eq!(told["message"], "1 of 2 failed: hq");
    assert_eq!(told["data"]["data"][1]["message"], "You are not logged in.");
    let all = machine.run(&["data-file", "--all"]).ok().out;
    assert!(all.contains(&format!("berlin: {}", machine.path("berlin").display())), "{all}");
    machine.run(&["clear-cache", "--all"]).ok();
    assert_eq!(machine.data("hq")["lastUserSync"], Value::Null);
    assert!(machine.run(&["doctor", "--all"]).out.contains("berlin: "));
}

#[test]
fn a_typo_creates_no_folder_but_init_does() {
    let organization = Organization::start(Options::default());
    let machine = machine(&organization);
    for command in [
        &["config", "list"][..],
        &["login"],
        &["logout"],
        &["clear-cache"],
        &["doctor"],
        &["last-sync", "users"],
    ] {
        let ran = machine.run(&[command, &["--appdata", "hqq"]].concat());
        ran.fails(1, &["There is no folder", "bwdc init --appdata"]);
        machine.run(&[command, &["--instance", "hqq"]].concat()).fails(1, &["has no instance `hqq`", "hq"]);
    }
    assert!(!machine.path("hqq").exists());
    fs::create_dir(machine.path("people")).unwrap();
    fs::write(machine.path("people/users.csv"), "id,email\n1,a@example.org\n").unwrap();
    let people = machine.path("people").display().to_string();
    let url = organization.sandbox.url();
    let set = format!("file.path={people}");
    let init = [
        "--nointeraction",
        "init",
        "--appdata",
        "new",
        "--untested",
        "--server",
        &url,
        "--directory",
        "file",
        "--set",
        &set,
    ];
    machine.run(&init).ok();
    assert_eq!(machine.data("new")["directoryType"], "file");
}

/// A merge is several folders: fine for commands that handle each, refused for those about a single one.
#[test]
fn a_merge_stands_for_its_directories() {
    let organization = Organization::start(Options::default());
    let mut machine = machine(&organization);
    machine.toml(&format!("{TOML}[organization.both]\nmerge = [\"hq\", \"berlin\"]\n"));
    let all = machine.run(&["data-file", "--instance", "both"]).ok().out;
    assert_eq!(all.lines().count(), 2);
    machine
        .run(&["config", "list", "--instance", "both"])
        .fails(1, &["a merge of several directories", "hq, berlin"]);
}

/// A command that a hint names is about the instance that was selected.
#[test]
fn a_hint_says_how_its_command_selects_the_instance() {
    let instance = Instance::empty();
    let folder = instance.data_folder().join("one of two");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.to_str().unwrap();
    let words = format!("add --appdata '{path}' to the command");
    fs::write(folder.join("data.json"), "{}").unwrap();
    instance.run(&["people", "--appdata", path]).fails(1, &["bwdc sync", &words]);
    let plain = instance.run(&["people"]).fails(1, &["bwdc sync"]);
    assert!(!plain.err.contains("to the command"), "{}", plain.err);
}
