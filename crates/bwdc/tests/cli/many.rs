//! Many directories: by variable, by option, by name; in parallel, one summary, one exit code.

use std::process::Command;

use bwdc_sandbox::Options;
use serde_json::Value;

use crate::harness::{Instance, Organization, Ran};
use crate::machine::Machine;

fn organizations<const N: usize>() -> [Organization; N] {
    std::array::from_fn(|_| Organization::start(Options::default()))
}

fn two(first: &Organization, second: &Organization) -> Machine {
    let mut machine = Machine::new();
    machine.add("hq", first, "h1,ann@example.org,\nh2,joe@example.org,\n", "g1,Staff,h1;h2\n");
    machine.add("berlin", second, "b1,eva@example.org,\n", "");
    machine.toml("[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n");
    machine
}

#[test]
fn the_variable_accepts_relative_paths_as_the_existing_connector_does() {
    let [organization] = organizations();
    let machine = Machine::new();
    machine.add("instance-1", &organization, "1,ann@example.org,\n", "");
    for folder in ["./instance-1", "instance-1/", "./instance-1//", "x/../instance-1"] {
        std::fs::create_dir_all(machine.path("x")).unwrap();
        let mut command = machine.usual.command(&["sync"]);
        command.env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", folder);
        Ran::from(command.output().unwrap()).ok();
        let mut command = machine.usual.command(&["data-file"]);
        let ran = Ran::from(command.env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", folder).output().unwrap()).ok();
        assert!(
            ran.out.trim_end().ends_with("instance-1/data.json") && ran.out.starts_with('/'),
            "{}",
            ran.out
        );
    }
    assert_eq!(organization.emails(), ["ann@example.org"]);
}

#[test]
fn several_folders_are_synced_in_one_go() {
    let [a, b] = organizations();
    let machine = two(&a, &b);
    let ran = machine.run(&["sync", "--appdata", "./hq", "--appdata", "berlin/"]).ok();
    assert_eq!(
        ran.out,
        "hq: Synced 1 group(s) and 2 user(s).\nberlin: Synced 0 group(s) and 1 user(s).\n\
         Total: 2 of 2 synced, 1 group(s) and 3 user(s).\n"
    );
    assert_eq!((a.emails().len(), b.emails().len()), (2, 1));
    // A single one gives the usual answer.
    let ran = machine.run(&["sync", "--appdata", "hq"]).ok();
    assert_eq!(ran.out, "Syncing complete.\nSynced 0 group(s) and 0 user(s).\n");
    machine
        .run(&["sync", "--appdata", "hq", "--appdata", "./hq"])
        .fails(1, &["the same folder", "Name it once"]);
    machine.run(&["sync", "--appdata", "~/hq"]).fails(1, &["only expanded by a shell"]);
}

#[test]
fn all_or_some_are_selected() {
    let [a, b] = organizations();
    let machine = two(&a, &b);
    machine.run(&["sync"]).fails(1, &["no data.json", "names berlin, hq", "--instance NAME or --all"]);
    let ran = machine.run(&["sync", "--instance", "berlin"]).ok();
    assert_eq!(ran.out, "Syncing complete.\nSynced 0 group(s) and 1 user(s).\n");
    let ran = machine.run(&["sync", "--all"]).ok();
    assert_eq!(
        ran.out,
        "berlin: Synced 0 group(s) and 0 user(s).\nhq: Synced 1 group(s) and 2 user(s).\n\
         Total: 2 of 2 synced, 1 group(s) and 2 user(s).\n"
    );
    machine
        .run(&["sync", "--instance", "berln"])
        .fails(1, &["has no instance `berln`", "Did you mean berlin?"]);
    machine.run(&["sync", "--all", "--instance", "hq"]).fails(1, &["cannot be used with"]);
    let alone = Instance::empty();
    alone.run(&["sync", "--all"]).fails(1, &["There is no bwdc.toml in", "--config FILE"]);
}

/// A single installation is unaffected, even with a `bwdc.toml` beside it.
#[test]
fn the_usual_folder_is_still_the_usual_one() {
    let [organization] = organizations();
    let instance = Instance::files("id,email\n1,ann@example.org\n", "id,name,members\n", &organization);
    std::fs::write(instance.data_folder().join("bwdc.toml"), "[instance.other]\nfolder = \"other\"\n")
        .unwrap();
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.out, "Syncing complete.\nSynced 0 group(s) and 1 user(s).\n");
    assert_eq!(ran.err, "");
}

#[test]
fn a_failing_one_stops_no_other_and_decides_the_exit_code() {
    let [a, b] = organizations();
    let mut machine = two(&a, &b);
    machine.add("lost", &a, "", "");
    machine.toml(
        "[instance.gone]\nfolder = \"gone\"\n[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n",
    );
    let ran = machine.run(&["sync", "--all"]).fails(1, &["gone: There is no folder", "Correct its name"]);
    assert!(ran.out.contains("gone: failed.\n") && ran.out.contains("Total: 2 of 3 synced"), "{}", ran.out);
    assert!(!machine.path("gone").exists());
    assert_eq!((a.emails().len(), b.emails().len()), (2, 1));

    let ran = machine.run(&["--response", "sync", "--all"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["success"], false);
    assert_eq!(value["message"], "1 of 3 failed: gone");
    assert_eq!(value["data"]["total"]["succeeded"], 2);
    let gone = &value["data"]["data"][1];
    assert_eq!(
        (&gone["instance"], &gone["success"], &gone["exit"]),
        (&"gone".into(), &false.into(), &1.into())
    );
    assert!(gone["message"].as_str().unwrap().contains("There is no folder"));
    let ran = machine.run(&["--cleanexit", "sync", "--all"]);
    assert_eq!(ran.code, 0);
}

/// 1 before 5 before 3 before 4.
#[test]
fn the_worst_exit_code_counts() {
    let [a, b] = organizations();
    let machine = two(&a, &b);
    machine.people("berlin", "b1,eva@example.org,\nb2,no-address,\n", "");
    machine.change("berlin", |data| data["sync"]["onBadRecord"] = "skip".into());
    let both = ["sync", "--all"];
    let ran = machine.run(&both);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("Warning: berlin: 1 x left out"), "{}", ran.err);
    let value: Value = serde_json::from_str(&machine.run(&["--response", "sync", "--all"]).out).unwrap();
    assert_eq!((&value["success"], &value["data"]["data"][0]["leftOut"]), (&true.into(), &1.into()));

    let lock = machine.path("hq").join("bwdc.lock");
    let mut holder = holder_of(Command::new("flock").arg(lock).args(["sh", "-c", "echo held; read line"]));
    let ran = machine.run(&both).fails(3, &["hq: Another sync of"]);
    assert!(ran.out.contains("hq: not done: another sync of it is running."), "{}", ran.out);
    drop(holder.stdin.take());
    holder.wait().unwrap();

    machine.change("hq", |data| data["sync"]["overwriteExisting"] = true.into());
    machine.people("hq", "h1,ann@example.org,left\n", "");
    let ran = machine.run(&both).fails(5, &["hq: No active people were found in the directory"]);
    assert!(ran.out.contains("hq: something was held back: see bwdc pending."), "{}", ran.out);
    machine.people("berlin", "b1,eva@example.org,odd\n", "");
    machine.run(&both).fails(1, &["hq: No active people were found", "berlin: "]);
}

fn holder_of(command: &mut Command) -> std::process::Child {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn two_instances_of_one_organization_are_reported_or_refused() {
    let [organization, other] = organizations();
    let mut machine = two(&organization, &organization);
    machine.add("rome", &other, "r1,ida@example.org,\n", "");
    let ran = machine.run(&["sync", "--all"]).ok();
    assert!(
        ran.err.contains("are both synced into organization.") && ran.err.contains("merge = [...]"),
        "{}",
        ran.err
    );
    machine.change("hq", |data| data["sync"]["overwriteExisting"] = true.into());
    machine.toml(
        "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n[instance.rome]\nfolder = \"rome\"\n",
    );
    let imports = organization.imports();
    let words = ["each would remove the people of the other", "Until then none of them is synced."];
    let ran = machine.run(&["sync", "--all"]).fails(1, &words);
    assert!(
        ran.out.contains("rome: Synced 0 group(s) and 1 user(s).") && ran.out.contains("Total: 1 of 3"),
        "{}",
        ran.out
    );
    machine.run(&["sync", "--appdata", "hq", "--appdata", "berlin"]).fails(1, &words);
    // Even if only one of them runs.
    machine.run(&["sync", "--instance", "berlin"]).fails(1, &words);
    machine.run(&["sync", "--instance", "rome"]).ok();
    // However the server's address is written, and whether or not the other could log in.
    machine.change("berlin", |data| {
        let base = organization.sandbox.url().replace("127.0.0.1", "localhost");
        data["environmentUrls"]["base"] = base.into();
    });
    machine.run(&["sync", "--instance", "hq"]).fails(1, &words);
    machine.change("berlin", |data| {
        data.as_object_mut()
            .unwrap()
            .retain(|key, _| !key.starts_with("apiKey") && !key.starts_with("access"));
    });
    for run in [&["sync", "--instance", "hq"][..], &["sync", "--all"]] {
        machine.run(run).fails(1, &words);
    }
    // If it is not known, nobody is removed.
    std::fs::write(machine.path("berlin").join("data.json"), "{").unwrap();
    machine
        .run(&["sync", "--instance", "hq"])
        .fails(1, &["data.json of berlin cannot be read", "hq would then remove its people"]);
    machine.run(&["sync", "--instance", "rome"]).ok();
    assert_eq!((organization.imports(), organization.emails().len()), (imports, 3));
}

/// A variable applies to all: nobody's people may go into another organization because of it.
#[test]
fn a_key_of_another_organization_is_refused() {
    let [a, b] = organizations();
    let mut machine = two(&a, &b);
    for name in ["hq", "berlin"] {
        machine
            .change(name, |data| data.as_object_mut().unwrap().retain(|key, _| !key.starts_with("apiKey")));
    }
    machine.usual.key(&a.sandbox);
    let ran = machine.run(&["sync", "--all"]).fails(1, &["berlin: The API key belongs to organization."]);
    assert!(ran.out.contains("hq: Synced 1 group(s) and 2 user(s)."), "{}", ran.out);
    assert_eq!((a.emails().len(), b.imports()), (2, 0));
}

#[test]
fn test_shows_the_import_of_each() {
    let [a, b] = organizations();
    let machine = two(&a, &b);
    let ran = machine.run(&["test", "--all"]).ok();
    let list: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(list[0]["instance"], "berlin");
    assert_eq!(list[1]["data"]["enabledUsers"][0]["displayName"], "ann@example.org");
    let one: Value = serde_json::from_str(&machine.run(&["test", "--instance", "hq"]).ok().out).unwrap();
    assert_eq!(one, list[1]["data"]);
    assert_eq!((a.imports(), b.imports()), (0, 0));
}

#[test]
fn twenty_instances_in_parallel() {
    let organizations: [Organization; 5] = organizations();
    let mut machine = Machine::new();
    let mut toml = "[limits]\nat_once = 7\n".to_owned();
    for number in 0..20 {
        let name = format!("i{number:02}");
        let users: String =
            (0..=number).map(|at| format!("{name}-{at},{name}-{at}@example.org,\n")).collect();
        machine.add(&name, &organizations[number % 5], &users, "");
        toml += &format!("[instance.{name}]\nfolder = \"{name}\"\n");
    }
    machine.toml(&toml);
    let ran = machine.run(&["sync", "--all"]).ok();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 21);
    for (number, line) in lines[..20].iter().enumerate() {
        assert_eq!(*line, format!("i{number:02}: Synced 0 group(s) and {} user(s).", number + 1));
    }
    assert_eq!(lines[20], "Total: 20 of 20 synced, 0 group(s) and 210 user(s).");
    let everybody: usize = organizations.iter().map(|organization| organization.emails().len()).sum();
    assert_eq!(everybody, 210);
}

#[test]
fn plans_of_several_are_named() {
    let [a, b] = organizations();
    let machine = two(&a, &b);
    let text = machine.run(&["plan", "--all"]).ok().out;
    for name in ["berlin: Plan for organization ", "hq: Plan for organization "] {
        assert!(text.contains(name), "{text}");
    }
    let plans = machine.run(&["plan", "--all", "--json", "--exit-code"]);
    let value: Value = serde_json::from_str(&plans.out).unwrap();
    assert_eq!((plans.code, value["data"].as_array().unwrap().len()), (2, 2));
    assert_eq!(value["data"][0]["data"]["object"], "plan");
    machine.run(&["plan", "--all", "--out", "plan.json"]).fails(1, &["--out saves the plan of one instance"]);
    machine.run(&["apply", "--all", "plan.json"]).fails(1, &["plan.json"]);
    std::fs::remove_dir_all(machine.path("hq")).unwrap();
    let ran = machine.run(&["pending", "--all"]).fails(1, &["hq: There is no folder"]);
    assert!(ran.out.starts_with("berlin: Pending as of "), "{}", ran.out);
}
