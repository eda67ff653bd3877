//! `plan`, `apply`, `pending`, `approve`: what a sync would change, told beforehand.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use bwdc_sandbox::{Flavour, Options};
use serde_json::Value;

use crate::harness::{Instance, Organization, Ran};

/// So many people, those who left, and the head of the file.
fn users(people: usize, left: usize) -> String {
    let line = |number: usize| {
        let status = if number < left { "deleted" } else { "" };
        format!("u{number},user{number}@example.org,{status}\n")
    };
    format!("id,email,status\n{}", (0..people).map(line).collect::<String>())
}

fn groups(members: &[usize]) -> String {
    let members: Vec<String> = members.iter().map(|number| format!("u{number}")).collect();
    format!("id,name,members\ng1,Staff,{}\n", members.join(";"))
}

/// A company of twenty, in step.
fn company() -> (Organization, Instance) {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(&users(20, 0), &groups(&[1, 15]), &organization);
    instance.run(&["login"]).ok();
    instance.run(&["sync"]).ok();
    (organization, instance)
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_plan_tells_what_a_sync_would_change_and_changes_nothing() {
    let (organization, instance) = company();
    let before = instance.text();
    assert!(instance.run(&["plan", "--exit-code"]).ok().out.contains("Nothing to do."));
    instance.company(&users(21, 1), &groups(&[1, 15, 20]));
    let imports = organization.imports();
    let text = instance.run(&["plan"]).ok().out;
    for words in [
        "People removed (1)\n",
        "  user0@example.org  deleted in the directory  u0",
        "Memberships gained (1)\n",
        "  Staff  user20@example.org",
    ] {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    let markdown = instance.run(&["plan", "--markdown"]).ok().out;
    assert!(markdown.contains("| user0@example.org | deleted in the directory | u0 |"), "{markdown}");
    let ran = instance.run(&["plan", "--json", "--exit-code"]).fails(2, &[]);
    let plan = json(&ran);
    assert_eq!((&plan["object"], &plan["summary"]["remove"]), (&"plan".into(), &1.into()));
    let response = json(&instance.run(&["plan", "--response"]).ok());
    assert_eq!((&response["success"], &response["data"]["object"]), (&true.into(), &"plan".into()));
    assert_eq!(organization.imports(), imports);
    assert_eq!(instance.text(), before, "a plan keeps nothing");
}

#[test]
fn members_who_are_no_longer_in_the_directory_are_told_with_their_groups() {
    let (organization, instance) = company();
    // Everybody but the first two.
    instance.company(&users(2, 0), &groups(&[1]));
    let text = instance.run(&["plan"]).ok().out;
    let row = "  Staff  user15@example.org  no longer in the directory";
    assert!(text.contains(row) && text.contains("Members no longer in the directory (18)"), "{text}");
    let plan = json(&instance.run(&["plan", "--json"]).ok());
    assert_eq!(plan["missing"].as_array().unwrap().len(), 18);
    assert_eq!(plan["missing"][0]["email"], "user10@example.org");
    for lost in ["memberships lost in this run: 1", ""] {
        let err = instance.run(&["sync"]).ok().err;
        assert!(err.contains("18 members (user") && err.contains("sync.removeMissing is off"), "{err}");
        assert!(err.contains(lost), "{err}");
    }
    assert_eq!(organization.emails().iter().filter(|email| email.starts_with("user")).count(), 20);
}

#[test]
fn a_saved_plan_is_applied_once() {
    let (organization, instance) = company();
    instance.company(&users(21, 1), &groups(&[1, 15]));
    let file = instance.data_folder().join("plan.json");
    let path = file.to_str().unwrap();
    instance.run(&["plan", "--out", path]).ok();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let saved = fs::read_to_string(&file).unwrap();
    fs::write(&file, saved.replace("user20@", "user99@")).unwrap();
    instance.run(&["apply", path]).fails(5, &["The plan is not carried out", "Nothing was sent."]);
    fs::write(&file, saved).unwrap();
    assert!(instance.run(&["apply", path]).ok().out.contains("Plan applied."));
    let emails = organization.emails();
    assert!(emails.contains(&"user20@example.org".to_owned()), "{emails:?}");
    assert!(!emails.contains(&"user0@example.org".to_owned()), "{emails:?}");
    instance.run(&["apply", path]).fails(5, &["user0@example.org"]);
    instance.run(&["plan", "--exit-code"]).ok();
}

#[test]
fn a_file_that_is_too_large_for_a_plan_is_not_read() {
    let (_organization, instance) = company();
    let path = instance.data_folder().join("large.json");
    fs::File::create(&path).unwrap().set_len(300 * 1024 * 1024).unwrap();
    instance.run(&["apply", path.to_str().unwrap()]).fails(1, &["too many for a plan"]);
}

#[test]
fn what_is_held_is_told_with_the_cause_and_the_tense_of_the_command() {
    let (_organization, instance) = company();
    instance.company(&users(20, 8), &groups(&[1, 15]));
    let cause = "Cause: deleted in the directory (8).";
    instance.run(&["test"]).fails(5, &[cause, "Everything else would be done.", "bwdc pending"]);
    instance.run(&["sync"]).fails(5, &[cause, "Everything else was done.", "bwdc pending"]);
}

#[test]
fn what_is_held_is_shown_and_approved_once() {
    let (organization, instance) = company();
    instance.company(&users(20, 8), &groups(&[1, 15]));
    instance.run(&["sync"]).fails(5, &["user0@example.org"]);
    assert_eq!(organization.emails().iter().filter(|email| email.starts_with("user")).count(), 20);
    let text = instance.run(&["pending"]).ok().out;
    assert!(text.contains("Held back by sync.limitRemovals: people (8)"), "{text}");
    let pending = json(&instance.run(&["pending", "--json"]).ok());
    assert_eq!(pending["held"][0]["people"].as_array().unwrap().len(), 8);
    let ran = instance.run(&["approve"]).fails(5, &["Nothing was approved", "bwdc approve --yes"]);
    assert!(ran.out.contains("user7@example.org"), "{}", ran.out);
    assert!(json(&instance.run(&["pending", "--json"]).ok())["approved"].as_array().unwrap().is_empty());
    assert!(instance.run(&["approve", "--yes"]).ok().out.contains("Approved."));
    let approved = json(&instance.run(&["pending", "--json"]).ok());
    assert_eq!(approved["approved"][0]["subjects"][0]["email"], "user0@example.org");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().iter().filter(|email| email.starts_with("user")).count(), 12);
    assert!(instance.run(&["approve"]).ok().out.contains("nothing to approve"));
    assert!(instance.run(&["pending"]).ok().out.contains("Nothing is pending."));
}

/// Runs a command at a terminal, which script(1) makes, and types a line.
fn at_terminal(instance: &Instance, arguments: &str, typed: &str) -> Ran {
    let line = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_bwdc"));
    let mut command = instance.command_of("script".as_ref(), &["-qec", &line, "/dev/null"]);
    let mut child = command
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn at_a_terminal_approve_asks() {
    let (_organization, instance) = company();
    instance.company(&users(20, 8), &groups(&[1, 15]));
    let approved = || json(&instance.run(&["pending", "--json"]).ok())["approved"].as_array().unwrap().len();
    for answer in ["n\n", "\n"] {
        let ran = at_terminal(&instance, "approve", answer);
        assert_eq!((ran.code, approved()), (5, 0), "{}", ran.out);
        assert!(ran.out.contains("\u{1b}[91mHeld back by sync.limitRemovals: people (8)"), "{}", ran.out);
    }
    assert_eq!(at_terminal(&instance, "approve --nointeraction", "y\n").code, 5);
    assert_eq!((at_terminal(&instance, "approve", "y\n").code, approved()), (0, 1));
}

#[test]
fn colours_are_for_terminals() {
    let (_organization, mut instance) = company();
    let has_colours = |instance: &Instance| at_terminal(instance, "plan", "").out.contains('\u{1b}');
    assert!(has_colours(&instance));
    instance.set_env("NO_COLOR", "1");
    assert!(!has_colours(&instance));
}

#[test]
fn a_server_that_cannot_be_read_is_not_verified() {
    let organization = Organization::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() });
    let instance = Instance::files(&users(3, 0), &groups(&[1]), &organization);
    instance.run(&["login"]).ok();
    assert!(instance.run(&["plan"]).ok().out.contains("People invited (3)"));
    instance.run(&["sync"]).ok();
    instance.company(&users(3, 1), &groups(&[1]));
    let text = instance.run(&["plan"]).ok().out;
    assert!(text.contains("Not verified: ") && text.contains("People revoked (1)"), "{text}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let (_organization, instance) = company();
    instance.run(&["plan", "--expires", "soon"]).fails(1, &["it must be a time such as 30m, 12h or 7d"]);
    instance.run(&["plan", "--json", "--markdown"]).fails(1, &["--markdown"]);
    instance.run(&["apply"]).fails(1, &["error: missing required argument 'file'"]);
    instance.run(&["apply", "/nowhere/plan.json"]).fails(1, &["Reading the plan /nowhere/plan.json"]);
}
