//! `bwdc test`, which lists everybody, for people and for programs.

use std::fs::{self, File};
use std::process::Command;
use std::time::Instant;

use super::{
    Cost, Plan, Report, Server, Source, Target, describe, finish, instance, load, of_instance, searches,
};

pub(crate) const HEAD: &str = "\n`bwdc test` from OpenLDAP, before any sync: everybody is listed.\n\n\
    | users / groups | command | wall, CPU, peak | 2 x ldapsearch | listed |\n\
    | --- | --- | --- | --- | --- |\n";

const COMMANDS: [&[&str]; 2] = [&["test"], &["test", "--response"]];

/// A row for each form of the list, of so many people and a group for every 25.
pub(crate) fn measure(plan: &Plan, people: usize, report: &mut Report) {
    let groups = people / 25;
    let slapd = load(people, groups);
    let source = Source::of(&slapd);
    for command in COMMANDS {
        let runs: Vec<(Cost, u64, Cost)> = (0..=plan.runs)
            .map(|_| {
                let (cost, size) = list(plan, &source, command);
                (cost, size, searches(&slapd, &source, people, groups))
            })
            .skip(1)
            .collect();
        let listed = runs.iter().map(|(_, size, _)| *size).max().unwrap_or(0) as f64 / 1e6;
        report.row(&format!(
            "| {people} / {groups} | `bwdc {}` | {} | {} | {listed:.1} MB |",
            command.join(" "),
            describe(runs.iter().map(|(ours, ..)| *ours).collect()),
            describe(runs.iter().map(|(.., theirs)| *theirs).collect()),
        ));
    }
}

/// What one list cost, and how many octets it has.
fn list(plan: &Plan, source: &Source, command: &[&str]) -> (Cost, u64) {
    let server = Server::start(plan, Target::Sink);
    let folder = instance(source, &server);
    let output = folder.path().join("stdout");
    let started = Instant::now();
    let mut program = Command::new(&plan.bwdc);
    let child = of_instance(&mut program, folder.path(), &server.client_id, &server.client_secret)
        .args(command)
        .stdout(File::create(&output).expect("a file"))
        .spawn()
        .expect("running bwdc");
    let (is_success, cost) = finish(child, started);
    assert!(is_success, "{}", fs::read_to_string(&output).unwrap_or_default());
    (cost, fs::metadata(&output).expect("a file").len())
}
