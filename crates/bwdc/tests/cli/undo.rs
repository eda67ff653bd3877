//! Runs undone, on both kinds of server: the organization is as before, or what differs was named beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use bwdc_sandbox::{Counted, Edit, Fault, Flavour, Injection, Kind, NewMember, Options, Status};
use serde_json::Value;

use crate::harness::{Instance, Organization};
use crate::machine::Machine;
use crate::organization::{BOTH, directory, scene, set};

const USERS: &str = "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n";
const GROUPS: &str = "g1,All,1;2;3\ng2,Few,1;2\n";

/// A company in step, with no limits, in which who is missing leaves.
fn company(flavour: Flavour) -> (Organization, Instance) {
    let (organization, instance) = scene(flavour, USERS, GROUPS);
    for (name, value) in [
        ("removeMissing", "true"),
        ("limitRemovals", "off"),
        ("limitLeaves", "off"),
        ("limitRepairs", "off"),
        ("inviteUsersAfterProvisioning", "true"),
    ] {
        set(&instance, &format!("sync.{name}"), value);
    }
    instance.run(&["sync"]).ok();
    for email in ["a@x.org", "b@x.org"] {
        organization.sandbox.edit(Edit::Accept(email.to_owned())).unwrap();
        organization.sandbox.edit(Edit::Confirm(email.to_owned())).unwrap();
    }
    (organization, instance)
}

/// External id and whether access is revoked, by address; external id and members, by name.
#[derive(Debug, PartialEq, Eq)]
struct State {
    members: BTreeMap<String, (Option<String>, bool)>,
    groups: BTreeMap<String, (Option<String>, BTreeSet<String>)>,
}

fn state(organization: &Organization) -> State {
    let members = organization.sandbox.members().unwrap().into_iter();
    let groups = organization.sandbox.groups().unwrap().into_iter();
    State {
        members: members.map(|one| (one.email, (one.external_id, one.status == Status::Revoked))).collect(),
        groups: groups.map(|one| (one.name, (one.external_id, one.members.into_iter().collect()))).collect(),
    }
}

/// Heads of the kept runs, in the order of time.
fn heads(instance: &Instance) -> Vec<Value> {
    heads_in(&instance.data_folder())
}

fn heads_in(folder: &Path) -> Vec<Value> {
    crate::history::kept(folder).into_iter().map(|mut lines| lines.swap_remove(0)).collect()
}

fn last_run(instance: &Instance) -> String {
    last_run_in(&instance.data_folder())
}

fn last_run_in(folder: &Path) -> String {
    heads_in(folder).last().unwrap()["run"].as_str().unwrap().to_owned()
}

fn dry(instance: &Instance, run: &str) -> Value {
    let ran = instance.run(&["undo", run, "--dry-run", "--json"]).ok();
    serde_json::from_str(&ran.out).unwrap()
}

/// Everybody and everything of which something is said beforehand.
fn named(plan: &Value) -> BTreeSet<String> {
    let lists = ["left", "lost"].map(|list| plan["undo"][list].as_array().unwrap().clone());
    let subjects = lists.into_iter().flatten().map(|entry| entry["subjects"].as_array().unwrap().clone());
    subjects.flatten().map(|subject| subject.as_str().unwrap().to_owned()).collect()
}

/// What differs, by name.
fn differing(before: &State, after: &State) -> BTreeSet<String> {
    let members = before.members.keys().chain(after.members.keys());
    let members = members.filter(|email| before.members.get(*email) != after.members.get(*email));
    let groups = before.groups.keys().chain(after.groups.keys());
    let groups = groups.filter(|name| before.groups.get(*name) != after.groups.get(*name));
    members.chain(groups).cloned().collect()
}

type Scene = (&'static str, fn(&Organization, &Instance), &'static str, &'static str);

fn nothing(_: &Organization, _: &Instance) {}

fn relink(_: &Organization, instance: &Instance) {
    set(instance, "sync.relink", "address");
}

fn grace(_: &Organization, instance: &Instance) {
    set(instance, "sync.grace", "7d");
}

fn delete_vanished(_: &Organization, instance: &Instance) {
    set(instance, "sync.vanishedGroups", "delete");
}

fn empty_vanished(_: &Organization, instance: &Instance) {
    set(instance, "sync.vanishedGroups", "empty");
}

fn in_grace(organization: &Organization, instance: &Instance) {
    grace(organization, instance);
    directory(instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
    instance.run(&["sync"]).ok();
}

fn added_by_hand(organization: &Organization, _: &Instance) {
    organization.sandbox.add_member(&by_hand("hand@x.org")).unwrap();
}

fn taken_out_by_hand(organization: &Organization, _: &Instance) {
    organization.sandbox.edit(Edit::Leave { group: "All".to_owned(), member: "c@x.org".to_owned() }).unwrap();
}

fn by_hand(email: &str) -> NewMember {
    NewMember {
        email: email.to_owned(),
        external_id: None,
        status: Status::Confirmed,
        kind: Kind::User,
        has_master_password: true,
    }
}

/// Nobody sees it on a server that cannot be read.
const BY_HAND: &str = "a change by hand is mended";

const SCENES: [Scene; 12] = [
    ("somebody is removed", nothing, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS),
    ("somebody is revoked for a time", grace, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS),
    ("somebody is restored", in_grace, USERS, GROUPS),
    (
        "newcomers",
        nothing,
        "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n5,e@x.org,\n6,f@x.org,\n",
        "g1,All,1;2;3;5\ng2,Few,1;2;6\n",
    ),
    ("a new name of a group", nothing, USERS, "g1,Everybody,1;2;3\ng2,Few,1;2\n"),
    ("memberships", nothing, USERS, "g1,All,2;4\ng2,Few,1;2\n"),
    ("a new group", nothing, USERS, "g1,All,1;2;3\ng2,Few,1;2\ng3,New,3;4\n"),
    ("a group is deleted", delete_vanished, USERS, "g1,All,1;2;3\n"),
    ("a group is emptied", empty_vanished, USERS, "g1,All,1;2;3\n"),
    ("another external id", relink, "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n44,d@x.org,\n", GROUPS),
    (
        "somebody is taken over",
        added_by_hand,
        "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n7,hand@x.org,\n",
        GROUPS,
    ),
    (BY_HAND, taken_out_by_hand, USERS, "g1,All,1;2;3;4\ng2,Few,1;2\n"),
];

#[test]
fn different_runs_are_undone_on_both_kinds_of_server() {
    for flavour in BOTH {
        let mut undone = 0;
        for (name, prepare, users, groups) in SCENES {
            if flavour == Flavour::Vaultwarden && name == BY_HAND {
                continue;
            }
            let (organization, instance) = company(flavour);
            prepare(&organization, &instance);
            let before = state(&organization);
            let runs = heads(&instance).len();
            directory(&instance, users, groups);
            instance.run(&["sync"]).ok();
            // Vaultwarden renames no group.
            if heads(&instance).len() == runs {
                assert_eq!(flavour, Flavour::Vaultwarden, "{name}");
                continue;
            }
            let run = last_run(&instance);
            let plan = dry(&instance, &run);
            assert_eq!(plan["object"], "plan");
            let changed = state(&organization);
            assert_ne!(changed, before, "{name}");
            let ran = instance.run(&["undo", &run, "--yes"]).ok();
            assert!(ran.out.contains("Undone."), "{name}: {}", ran.out);
            let after = state(&organization);
            let differing = differing(&before, &after);
            let named = named(&plan);
            assert!(
                differing.is_subset(&named),
                "{name}, {flavour:?}: {differing:?} {named:?}\n{before:?}\n{after:?}"
            );
            if flavour == Flavour::Official {
                assert_eq!(after, before, "{name}");
            }
            // Nothing is left to undo, and the undo is a run of its own.
            let again = dry(&instance, &run);
            assert_eq!(
                (again["members"].as_array().unwrap().len(), again["groups"].as_array().unwrap().len()),
                (0, 0),
                "{name}: {again}"
            );
            let head = heads(&instance).pop().unwrap();
            assert_eq!(
                (&head["command"], &head["undoes"], &head["result"]),
                (&"undo".into(), &run.as_str().into(), &"ok".into()),
                "{head}"
            );
            undone += 1;
        }
        assert!(undone >= 10, "{flavour:?}: {undone}");
    }
}

#[test]
fn an_undo_shows_what_it_does_and_asks() {
    let (organization, instance) = company(Flavour::Official);
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
    instance.run(&["sync"]).ok();
    let run = last_run(&instance);
    let before = state(&organization);
    let shown = instance.run(&["undo", &run, "--dry-run"]).ok();
    for words in [
        "People invited (1)",
        "a@x.org",
        "Memberships gained (2)",
        "Does not come back as before",
        "who must accept and be confirmed",
        "protected until",
    ] {
        assert!(shown.out.contains(words), "`{words}` is not in: {}", shown.out);
    }
    let refused = instance.run(&["undo", &run]).fails(5, &["there is no terminal to ask at", "--yes"]);
    assert!(refused.out.contains("People invited (1)"), "{}", refused.out);
    assert_eq!(state(&organization), before);
    assert_eq!(last_run(&instance), run, "nothing was kept");
    // The beginning of the id is enough.
    let ran = instance.run(&["undo", &run[..run.len() - 1], "--yes"]).ok();
    assert!(ran.err.contains("as the directory says"), "{}", ran.err);
    let nothing = instance.run(&["undo", &run, "--yes"]).ok();
    assert!(nothing.out.contains("there is nothing left to do"), "{}", nothing.out);
    let log = instance.run(&["status"]).out;
    assert!(!log.is_empty());
}

#[test]
fn whoever_came_back_stays_in_the_next_sync() {
    for flavour in BOTH {
        let (organization, instance) = company(flavour);
        directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
        instance.run(&["sync"]).ok();
        let run = last_run(&instance);
        instance.run(&["undo", &run, "--yes"]).ok();
        let after = state(&organization);
        assert!(!after.members["a@x.org"].1);
        let pending = instance.run(&["pending", "--json"]).ok();
        let pending: Value = serde_json::from_str(&pending.out).unwrap();
        let protected = &pending["protected"][0];
        assert_eq!((&protected["email"], &protected["by"]), (&"a@x.org".into(), &"undo".into()), "{pending}");
        assert!(protected["until"].is_string(), "{protected}");
        let plan = instance.run(&["plan"]).ok();
        assert!(plan.out.contains("brought back by bwdc undo, and protected until"), "{}", plan.out);
        let ran = instance.run(&["sync"]).ok();
        assert!(ran.err.contains("a@x.org would leave, but stays"), "{}", ran.err);
        assert_eq!(state(&organization), after, "{flavour:?}");
        // Without protection it is as if nothing had been undone.
        let (organization, instance) = company(flavour);
        directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
        instance.run(&["sync"]).ok();
        let removed = state(&organization);
        instance.run(&["undo", &last_run(&instance), "--yes", "--protect-for", "0"]).ok();
        instance.run(&["sync"]).ok();
        assert_eq!(state(&organization), removed, "{flavour:?}");
    }
}

#[test]
fn an_undo_of_an_undo_ends_the_protection_by_name() {
    for flavour in BOTH {
        let (organization, instance) = company(flavour);
        directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
        instance.run(&["sync"]).ok();
        let removed = state(&organization);
        instance.run(&["undo", &last_run(&instance), "--yes"]).ok();
        let undo = last_run(&instance);
        let plan = dry(&instance, &undo);
        let ended =
            plan["undo"]["lost"].as_array().unwrap().iter().find(|entry| entry["code"] == "protection");
        assert_eq!(ended.unwrap()["subjects"], serde_json::json!(["a@x.org"]), "{plan}");
        instance.run(&["undo", &undo, "--yes"]).ok();
        assert_eq!(state(&organization), removed, "{flavour:?}");
        instance.run(&["sync"]).ok();
        assert_eq!(state(&organization), removed, "{flavour:?}");
    }
}

#[test]
fn an_undo_keeps_within_the_limits() {
    let (organization, instance) = company(Flavour::Official);
    let before = state(&organization);
    let users = format!("{USERS}5,e@x.org,\n6,f@x.org,\n");
    directory(&instance, &users, "g1,Everybody,1;2;3;5\ng2,Few,1;2\n");
    instance.run(&["sync"]).ok();
    let run = last_run(&instance);
    set(&instance, "sync.limitRemovals", "1");
    let shown = instance.run(&["undo", &run, "--dry-run"]).ok().out;
    let way_out = format!("bwdc undo {run} --allow-removals 2");
    for words in ["Everything else would be done.", way_out.as_str(), "`bwdc approve` is for syncs only"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("was done"), "{shown}");
    assert!(dry(&instance, &run)["undo"]["held"]["wayOut"].as_str().unwrap().contains(&way_out));
    let held = instance.run(&["undo", &run, "--yes"]).fails(
        5,
        &[
            "e@x.org",
            "f@x.org",
            "sync.limitRemovals",
            "Everything else was done",
            &way_out,
            "`bwdc approve` is for syncs only",
        ],
    );
    assert!(held.out.contains("Limits exceeded"), "{}", held.out);
    let partly = state(&organization);
    assert!(partly.members.contains_key("e@x.org") && partly.groups.contains_key("All"), "{partly:?}");
    assert_eq!(heads(&instance).last().unwrap()["result"], "blocked");
    instance.run(&["undo", &run, "--yes", "--allow-removals", "2"]).ok();
    assert_eq!(state(&organization), before);
    set(&instance, "sync.onLimit", "stop");
    set(&instance, "sync.limitRemovals", "off");
    instance.run(&["sync"]).ok();
    let (run, there) = (last_run(&instance), state(&organization));
    set(&instance, "sync.limitRemovals", "1");
    let shown = instance.run(&["undo", &run, "--dry-run"]).ok().out;
    assert!(shown.contains("Nothing would be sent."), "{shown}");
    instance.run(&["undo", &run, "--yes"]).fails(5, &["Nothing was sent"]);
    assert_eq!(state(&organization), there);
}

#[test]
fn what_others_have_changed_since_stays_and_is_named() {
    let (organization, instance) = company(Flavour::Official);
    let users = "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n5,e@x.org,\n6,f@x.org,\n";
    directory(&instance, users, "g1,Everybody,2;3;5\ng2,Few,2\n");
    instance.run(&["sync"]).ok();
    let run = last_run(&instance);
    let edit = |edit| organization.sandbox.edit(edit).unwrap();
    edit(Edit::SetRole { member: "e@x.org".to_owned(), kind: Kind::Admin });
    edit(Edit::RenameGroup { group: "g1".to_owned(), name: "By hand".to_owned() });
    edit(Edit::SetExternalId { member: "f@x.org".to_owned(), external_id: Some("66".to_owned()) });
    organization.sandbox.add_member(&by_hand("a@x.org")).unwrap();
    let plan = dry(&instance, &run);
    let named = named(&plan);
    let shown = instance.run(&["undo", &run, "--yes"]);
    for subject in ["e@x.org", "f@x.org", "a@x.org", "By hand"] {
        assert!(
            named.contains(subject) && shown.out.contains(subject),
            "{subject}: {named:?}\n{}",
            shown.out
        );
    }
    let after = state(&organization);
    assert!(after.members.contains_key("e@x.org") && after.members.contains_key("f@x.org"));
    assert_eq!(after.members["a@x.org"].0, None);
    assert!(after.groups.contains_key("By hand"), "{after:?}");
}

#[test]
fn what_cannot_be_undone_is_refused_before_anything_is_done() {
    let (organization, mut instance) = company(Flavour::Official);
    let first = last_run(&instance);
    let requests = organization.changes_of(|| {
        instance.run(&["undo", "nowhere", "--yes"]).fails(1, &["There is no run nowhere", "bwdc history"]);
        fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
        instance.run(&["sync"]).fails(1, &["company"]);
        let failed = last_run(&instance);
        assert_ne!(failed, first);
        instance.run(&["undo", &failed, "--yes"]).fails(1, &["it changed nothing"]);
        instance.run(&["undo", &first, "--json"]).fails(1, &["--dry-run"]);
    });
    assert_eq!(requests, Vec::<String>::new());
    let other = Organization::start(Options::default());
    instance.change(|data| data["environmentUrls"]["base"] = other.sandbox.url().into());
    instance.key(&other.sandbox);
    instance.run(&["undo", &first, "--yes"]).fails(1, &["cannot be undone", "it was about"]);
    assert_eq!(other.imports(), 0);
}

/// Changes of many kinds in one run.
fn changed(flavour: Flavour) -> (Organization, Instance, State) {
    let (organization, instance) = company(flavour);
    set(&instance, "sync.relink", "address");
    set(&instance, "sync.vanishedGroups", "delete");
    let before = state(&organization);
    directory(
        &instance,
        "2,b@x.org,\n3,c@x.org,\n44,d@x.org,\n5,e@x.org,\n",
        "g1,Everybody,2;44;5\ng3,New,3\n",
    );
    instance.run(&["sync"]).ok();
    (organization, instance, before)
}

#[test]
fn a_fault_at_every_request_and_the_next_undo_finishes() {
    for flavour in BOTH {
        let (organization, instance, _) = changed(flavour);
        let run = last_run(&instance);
        let count = organization.changes_of(|| drop(instance.run(&["undo", &run, "--yes"]).ok())).len();
        let expected = state(&organization);
        assert!(count >= 2, "{count}");
        for at in 1..=count {
            for fault in [Fault::Lost, Fault::AnswerLost, Fault::Refused(400)] {
                let (organization, instance, _) = changed(flavour);
                let run = last_run(&instance);
                organization.sandbox.inject(Injection { at, counted: Counted::Changes, fault });
                let ran = instance.run(&["undo", &run, "--yes"]);
                organization.sandbox.clear_faults();
                if ran.code != 0 {
                    let again = format!("bwdc undo {run}");
                    let ran = ran.fails(1, &[again.as_str(), "ndone: "]);
                    assert_eq!(at > 1, ran.err.contains("Undone: "), "{at} {fault:?}: {}", ran.err);
                    assert_ne!(heads(&instance).last().unwrap()["result"], "ok");
                    instance.run(&["undo", &run, "--yes"]).ok();
                }
                assert_eq!(state(&organization), expected, "{flavour:?} {at} {fault:?}");
            }
        }
    }
}

#[test]
fn a_fault_at_every_read_changes_nothing() {
    let (organization, instance, before) = changed(Flavour::Official);
    let run = last_run(&instance);
    let mut requests = organization.requests_of(|| drop(instance.run(&["undo", &run, "--dry-run"]).ok()));
    requests.retain(|request| request.starts_with("GET "));
    for (request, at) in requests.iter().zip(1..) {
        // A server that does not tell the seats is as good.
        if request.contains("subscription") {
            continue;
        }
        organization.sandbox.inject(Injection { at, counted: Counted::Reads, fault: Fault::Refused(400) });
        let there = state(&organization);
        let ran = instance.run(&["undo", &run, "--yes"]);
        organization.sandbox.clear_faults();
        assert_eq!((ran.code, state(&organization)), (1, there), "{request} of {requests:?}");
    }
    instance.run(&["undo", &run, "--yes"]).ok();
    assert_eq!(state(&organization), before);
}

#[test]
fn a_run_of_a_merge_is_undone_in_all_of_its_folders() {
    let organization = Organization::start(Options::default());
    let mut machine = Machine::new();
    machine.add("hq", &organization, "h1,ann@example.org,\n", "hs,Staff,h1\n");
    machine.add("berlin", &organization, "b1,eva@example.org,\n", "bs,Berlin,b1\n");
    machine.toml(
        "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
         [organization.acme]\nmerge = [\"hq\", \"berlin\"]\n",
    );
    machine.run(&["sync", "--all"]).ok();
    let before = state(&organization);
    machine.people("berlin", "b1,eva@example.org,left\n", "bs,Berlin,\n");
    for name in ["hq", "berlin"] {
        machine.change(name, |data| data["sync"]["limitRemovals"] = "off".into());
        machine.change(name, |data| data["sync"]["limitLeaves"] = "off".into());
    }
    machine.run(&["sync", "--all"]).ok();
    assert!(!state(&organization).members.contains_key("eva@example.org"));
    let run = last_run_in(&machine.path("berlin"));
    machine.run(&["undo", &run, "--instance", "berlin", "--yes"]).fails(1, &["acme"]);
    machine.run(&["undo", &run, "--instance", "acme", "--yes"]).ok();
    assert_eq!(state(&organization), before);
    assert_eq!(last_run_in(&machine.path("hq")), last_run_in(&machine.path("berlin")));
    machine.run(&["sync", "--all"]).ok();
    assert_eq!(state(&organization), before, "eva is protected");
}

#[test]
fn a_run_that_is_still_going_is_not_undone() {
    let (organization, instance) = company(Flavour::Official);
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
    let runs = heads(&instance).len();
    let fault = Fault::AnsweredLater(4000);
    organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
    let mut sync = instance.spawn(&["sync"]);
    while heads(&instance).len() == runs {
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = last_run(&instance);
    instance.run(&["undo", &run, "--yes"]).fails(1, &["cannot be undone: it is still running"]);
    assert!(sync.wait().unwrap().success());
    instance.run(&["undo", &run, "--yes"]).ok();
    assert!(organization.member("a@x.org").is_some());
}

/// A run whose only request was lost, and whose end it did not hear.
fn lost(organization: &Organization, instance: &Instance) -> String {
    let users = format!("{USERS}5,e@x.org,\n");
    directory(instance, &users, "g1,All,1;2;3;5\ng2,Few,1;2\n");
    organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault: Fault::Lost });
    assert_eq!(instance.run(&["sync"]).code, 1);
    organization.sandbox.clear_faults();
    last_run(instance)
}

#[test]
fn what_is_not_known_of_a_run_is_said_first_and_what_a_later_run_did_stays() {
    for flavour in BOTH {
        let (organization, instance) = company(flavour);
        let before = state(&organization);
        let run = lost(&organization, &instance);
        let shown = instance.run(&["undo", &run, "--dry-run"]).ok();
        let first = shown.out.lines().find(|line| line.contains("It is not known how this run ended"));
        let said = shown.out.find("It is not known how this run ended").unwrap();
        assert!(first.unwrap().contains("Perhaps it did nothing"), "{}", shown.out);
        assert!(shown.out.find("bwdc sync").is_some_and(|at| said < at), "{}", shown.out);
        let plan = dry(&instance, &run);
        let (unclear, members) = (&plan["undo"]["unclear"], plan["members"].as_array().unwrap());
        if flavour == Flavour::Official {
            assert!(shown.out.contains("2 of the unconfirmed ones are as before the run"), "{}", shown.out);
            assert_eq!((unclear["back"].as_u64(), members.len()), (Some(2), 0), "{plan}");
        } else {
            assert!(shown.out.contains("The server cannot be read"), "{}", shown.out);
        }
        assert_eq!((&unclear["count"], &unclear["acknowledged"]), (&2.into(), &0.into()), "{plan}");
        instance.run(&["sync"]).ok();
        let done = state(&organization);
        assert_ne!(done, before);
        let later = last_run(&instance);
        assert_ne!(later, run);
        let undone = instance.run(&["undo", &run, "--yes"]).ok();
        for words in ["a later run did this too", "e@x.org", "there is nothing left to do"] {
            assert!(undone.out.contains(words), "{flavour:?}, {words}: {}", undone.out);
        }
        assert_eq!(state(&organization), done, "{flavour:?}");
        instance.run(&["undo", &later, "--yes"]).ok();
        let e = organization.member("e@x.org");
        assert!(e.is_none_or(|member| member.status == Status::Revoked), "{flavour:?}");
    }
}

#[test]
fn an_undo_that_takes_too_long_says_so_of_itself() {
    let (organization, instance) = company(Flavour::Official);
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
    instance.run(&["sync"]).ok();
    let run = last_run(&instance);
    set(&instance, "sync.timeout", "1s");
    let fault = Fault::AnsweredLater(8000);
    organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
    let ran = instance.run(&["undo", &run, "--yes"]);
    let ran = ran.fails(1, &["The undo took longer than 1 s (sync.timeout)", "is not done twice"]);
    assert!(!ran.err.contains("sync took"), "{}", ran.err);
}

/// Whoever can put a record there decides what an undo does.
#[test]
fn a_history_in_which_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let (organization, instance) = company(Flavour::Official);
    let run = last_run(&instance);
    let folder = instance.data_folder().join("history");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let before = state(&organization);
    instance.run(&["undo", &run, "--yes"]).fails(1, &["others can write there (mode 777)", "chmod 700"]);
    assert_eq!(state(&organization), before);
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
    let ran = instance.run(&["sync"]).ok();
    assert!(ran.err.contains("The history of runs cannot be kept"), "{}", ran.err);
    assert!(ran.err.contains("others can write there (mode 777)"), "{}", ran.err);
}

#[test]
fn an_undo_that_is_in_no_history_does_not_name_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let (organization, instance) = company(Flavour::Official);
    directory(&instance, "2,b@x.org,\n3,c@x.org,\n4,d@x.org,\n", GROUPS);
    instance.run(&["sync"]).ok();
    let run = last_run(&instance);
    let folder = instance.data_folder().join("history");
    // The undo reads its run; then the answer takes long enough for the folder to be opened to others.
    let fault = Fault::AnsweredLater(4000);
    organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
    let runs = heads(&instance).len();
    let undo = instance.spawn(&["undo", &run, "--yes"]);
    while heads(&instance).len() == runs {
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let ran = undo.wait_with_output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && err.contains("no undo can take it back"), "{err}");
    assert!(!err.contains("To take this back"), "{err}");
}
