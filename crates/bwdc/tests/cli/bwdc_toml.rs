//! `bwdc.toml`: errors are reported with their line, and effective values are shown with their source.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::Instance;
use crate::machine::Machine;

#[test]
fn unknown_keys_and_wrong_values_stop_every_command() {
    let mut machine = Machine::new();
    for (text, words) in [
        (
            "[log]\n\nmax_sise = \"1MB\"\n",
            &["bwdc.toml line 3", "`max_sise` is unknown", "Did you mean `max_size`?"][..],
        ),
        ("[limits]\nat_once = \"many\"\n", &["line 2", "invalid type: string", "i64"]),
        (
            "[instance.a]\nfolder = \"a\"\npassword = \"hunter2\"\n",
            &["line 3", "Secrets do not belong in this file"],
        ),
        ("[instance.a\n", &["line 1"]),
    ] {
        machine.toml(text);
        for command in [&["sync"][..], &["config", "list"], &["data-file"]] {
            let ran = machine.run(command).fails(1, words);
            assert!(!ran.err.contains("hunter2"));
        }
    }
    machine.run(&["--config", "nowhere.toml", "sync"]).fails(1, &["Reading nowhere.toml"]);
    // Commands that need no installation still work.
    machine.run(&["config", "schema"]).ok();
}

#[test]
fn the_list_shows_the_source_of_each_value() {
    let mut machine = Machine::new();
    machine.toml("[log]\nfile = \"logs/bwdc.log\"\nformat = \"json\"\nkeep = 3\n[limits]\nat_once = 9\n");
    machine.usual.set_env("BWDC_LIMITS_AT_ONCE", "2");
    let ran = machine.run(&["--log-format", "text", "config", "list"]).ok();
    let line = |name: &str| {
        ran.out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{}", ran.out))
    };
    assert!(line("log.file").ends_with("/logs/bwdc.log  (bwdc.toml)"), "{}", line("log.file"));
    assert!(line("log.format").ends_with("  text  (the option --log-format)"));
    assert!(line("log.keep").ends_with("  3  (bwdc.toml)"));
    assert!(line("log.max_size").ends_with("  10MB  (default)"));
    assert!(line("limits.at_once").ends_with("  2  (the variable BWDC_LIMITS_AT_ONCE)"));
    let value: Value =
        serde_json::from_str(&machine.run(&["--response", "config", "list"]).ok().out).unwrap();
    let rows = value["data"]["data"].as_array().unwrap();
    let keep = rows.iter().find(|row| row["name"] == "log.keep").unwrap();
    assert_eq!((&keep["value"], &keep["source"]), (&"3".into(), &"bwdc.toml".into()));
    machine.usual.set_env("BWDC_LOG_LEVEL", "loud");
    machine.run(&["sync"]).fails(1, &["`loud` in the variable BWDC_LOG_LEVEL", "`debug`"]);
    // Without the file, the list is as before.
    let alone = Instance::empty();
    assert!(!alone.run(&["config", "list"]).ok().out.contains("log.file"));
}

#[test]
fn the_list_shows_instances_and_merges() {
    let mut machine = Machine::new();
    machine.toml(
        "schedule.every = \"15m\"\n[instance.berlin]\nfolder = \"berlin\"\n[instance.bonn]\nfolder = \"/srv/bonn\"\n\
         [instance.rome]\nfolder = \"rome\"\nschedule.cron = \"0 12 * * 1\"\n\
         [organization.acme]\nmerge = [\"bonn\", \"berlin\"]\nprefix = { bonn = \"Bonn / \" }\n",
    );
    let shown = machine.run(&["config", "list"]).ok().out;
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .filter(|line| line.starts_with("instance.") || line.starts_with("organization."))
        .map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect())
        .collect();
    let (berlin, rome) = (machine.path("berlin"), machine.path("rome"));
    let wanted = [
        ["instance.berlin.folder", &berlin.display().to_string(), "(bwdc.toml)"],
        ["instance.bonn.folder", "/srv/bonn", "(bwdc.toml)"],
        ["instance.rome.folder", &rome.display().to_string(), "(bwdc.toml)"],
        ["instance.rome.schedule.cron", "0 12 * * 1", "(bwdc.toml)"],
        ["organization.acme.merge", "bonn, berlin", "(bwdc.toml)"],
        ["organization.acme.prefix.bonn", "Bonn /", "(bwdc.toml)"],
        ["organization.acme.schedule.every", "15m", "(bwdc.toml)"],
    ];
    assert_eq!(rows, wanted, "{shown}");
}

#[test]
fn it_is_found_beside_data_json_by_variable_and_by_option() {
    let instance = Instance::empty();
    fs::create_dir_all(instance.data_folder()).unwrap();
    fs::write(instance.data_folder().join("bwdc.toml"), "[limits]\nat_once = 11\n").unwrap();
    fs::write(instance.folder.path().join("other.toml"), "[limits]\nat_once = 12\n").unwrap();
    assert!(instance.run(&["config", "list"]).ok().out.contains("11  (bwdc.toml)"));
    assert!(instance.run(&["config", "list", "--config", "other.toml"]).ok().out.contains("12  (bwdc.toml)"));
    // Its value is not a command.
    instance.run(&["--config", "other.toml", "syncc"]).fails(1, &["Invalid command: syncc"]);
}

#[test]
fn a_file_that_others_can_write_is_reported() {
    let mut machine = Machine::new();
    machine.toml("[limits]\nat_once = 1\n");
    assert_eq!(machine.run(&["data-file"]).ok().err, "");
    fs::set_permissions(machine.path("bwdc.toml"), fs::Permissions::from_mode(0o664)).unwrap();
    let ran = machine.run(&["data-file"]).ok();
    assert!(ran.err.contains("can be written by users other than its owner (mode 664)"), "{}", ran.err);
}

#[test]
fn the_schema_is_printed() {
    let instance = Instance::empty();
    let value: Value = serde_json::from_str(&instance.run(&["config", "schema"]).ok().out).unwrap();
    assert_eq!(value["properties"]["log"]["properties"]["format"]["default"], "text");
    let value: Value =
        serde_json::from_str(&instance.run(&["--response", "config", "schema"]).ok().out).unwrap();
    assert_eq!(value["data"]["title"], "bwdc.toml");
}

#[test]
fn doctor_checks_it_and_the_log() {
    let mut machine = Machine::new();
    machine.toml("[instance.a]\nfolder = \"a\"\n[log]\nfile = \"bwdc.log\"\n");
    let ran = machine.run(&["doctor"]);
    assert!(ran.out.contains("bwdc.toml names 1 instance(s) and 0 merge(s)"), "{}", ran.out);
    assert!(ran.out.contains("ok    Log: "), "{}", ran.out);
    machine.toml("[log]\nfile = \"/dev/full\"\n");
    let ran = machine.run(&["doctor"]);
    assert!(
        ran.out.contains("warn  Log: /dev/full cannot be written: it is not a regular file"),
        "{}",
        ran.out
    );
}
