//! Instructions of whole runs, counted by `valgrind --tool=callgrind`: the same on a busy machine as on a quiet one.
//!
//! With `--limits FILE` a run that takes more than 3 % over its figure there fails; with `--write-limits FILE` the figures are written.
//! They depend on the compiler, the C library and valgrind, which the file names: with others nothing is compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Plan, Server, Source, Target, instance, load, of_instance};

pub(crate) const HEAD: &str = "\nInstructions of a whole sync from OpenLDAP into a sink (`scripts/bench instructions/10000`), all threads.\n\n\
    | users / groups | what changed | instructions | for each person |\n| --- | --- | --- | --- |\n";

/// Loss that is let through: the runs of one build differ by a tenth of a percent.
const TOLERANCE: f64 = 1.03;

/// Counts a first sync, and one with nothing to change. The figures, by name.
pub(crate) fn measure(
    plan: &Plan,
    users: usize,
    groups: usize,
    figures: &mut BTreeMap<String, u64>,
) -> String {
    let slapd = load(users, groups);
    let server = Server::start(plan, Target::Sink);
    let folder = instance(&Source::of(&slapd), &server);
    let mut rows = String::new();
    for what in ["everything", "nothing"] {
        let profile = plan.profiles.as_ref().map(|folder| folder.join(format!("callgrind.{users}.{what}")));
        let count = counted(plan, folder.path(), &server, profile.as_deref());
        figures.insert(format!("{users} {what}"), count);
        let row = format!("| {users} / {groups} | {what} | {count} | {} |\n", count / users as u64);
        print!("{row}");
        rows.push_str(&row);
    }
    rows
}

/// Instructions of one sync.
fn counted(plan: &Plan, folder: &Path, server: &Server, profile: Option<&Path>) -> u64 {
    let log = folder.join("callgrind.log");
    let own = folder.join("callgrind.out");
    let profile = profile.unwrap_or(&own);
    let status = of_instance(&mut Command::new("valgrind"), folder, &server.client_id, &server.client_secret)
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--log-file={}", log.display()))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(&plan.bwdc)
        .arg("sync")
        .stdout(Stdio::null())
        .status()
        .expect("running valgrind");
    assert!(status.success(), "bwdc sync under valgrind: {status}");
    let totals = fs::read_to_string(profile).expect("what callgrind counted");
    let total = totals.lines().rev().find_map(|line| line.strip_prefix("totals: ")).expect("a total");
    total.trim().parse().expect("a number")
}

/// What the figures depend on.
fn tools() -> Value {
    let libc = super::said("ldd", &["--version"]);
    json!({
        "rustc": super::rustc(),
        "libc": libc.lines().next(),
        "valgrind": super::said("valgrind", &["--version"]),
        // The C library chooses its functions by what the processor has.
        "avx2": fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" avx2 ")),
    })
}

/// Writes the figures, with what they depend on.
pub(crate) fn write(path: &Path, figures: &BTreeMap<String, u64>) {
    let text = serde_json::to_string_pretty(&json!({ "tools": tools(), "instructions": figures }));
    fs::write(path, text.expect("a text") + "\n").expect("writing the figures");
}

/// Fails if a figure is more than [`TOLERANCE`] times that of the file.
pub(crate) fn check(path: &Path, figures: &BTreeMap<String, u64>) {
    let text = fs::read_to_string(path).expect("the figures to compare with");
    let kept: Value = serde_json::from_str(&text).expect("JSON");
    if kept["tools"] != tools() {
        println!("{} is of {}, this is {}: nothing is compared.", path.display(), kept["tools"], tools());
        return;
    }
    for (name, count) in figures {
        let before = kept["instructions"][name].as_f64().unwrap_or_else(|| panic!("no figure of {name}"));
        let ratio = *count as f64 / before;
        println!("{name}: {ratio:.3} times the figure in {}", path.display());
        assert!(
            ratio <= TOLERANCE,
            "{name} takes {count} instructions, {ratio:.3} times the {before} in {}. Find out why: scripts/bench-instructions \
             --profiles FOLDER, then callgrind_annotate. If it is worth it, keep the new figures: scripts/bench-instructions --write",
            path.display()
        );
    }
}
