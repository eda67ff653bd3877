//! A history that is empty beside full ones: what a sync with one newcomer takes, and what `bwdc history` takes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use super::{Cost, Plan, Report, Server, Target, finish, median};

pub(super) const HEAD: &str = "\nA sync of 10,000 people with one newcomer, and `bwdc history`, with so many runs kept (`scripts/bench history/10000`). More than \
     1,000 are more than are ever kept: that sync removes the rest.\n\n\
     | runs kept | sync: wall, CPU | history: wall, CPU | sync, as a ratio to an empty history (min to max) |\n\
     | --- | --- | --- | --- |\n";
const PEOPLE: usize = 10_000;
/// Number of runs that are kept at most.
const MOST: usize = 1_000;

/// A row of the table for no run, for as many as are kept at most, and for so many.
pub(super) fn measure(plan: &Plan, files: usize, report: &mut Report) {
    let mut scenes: Vec<Scene> = [0, MOST, files].map(|files| Scene::set(plan, files)).into();
    let mut costs: Vec<Vec<[Cost; 2]>> = vec![Vec::new(); scenes.len()];
    for run in 0..=plan.runs {
        for (scene, costs) in scenes.iter_mut().zip(&mut costs) {
            let pair = scene.run(plan);
            if run > 0 {
                costs.push(pair);
            }
        }
    }
    let empty = costs.first().cloned().unwrap_or_default();
    for (scene, costs) in scenes.iter().zip(&costs) {
        report.row(&row(scene.files, costs, &empty));
    }
}

fn row(files: usize, costs: &[[Cost; 2]], empty: &[[Cost; 2]]) -> String {
    let told = |which: usize| {
        let of = |cost: fn(&Cost) -> f64| median(costs.iter().map(|pair| cost(&pair[which])).collect());
        format!("{:.3} s, {:.3} s", of(|cost| cost.wall.as_secs_f64()), of(|cost| cost.cpu.as_secs_f64()))
    };
    let pairs = costs.iter().zip(empty);
    let mut ratios: Vec<f64> =
        pairs.map(|(full, empty)| full[0].wall.as_secs_f64() / empty[0].wall.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    format!(
        "| {files} | {} | {} | **{:.2}** ({:.2} to {:.2}) |",
        told(0),
        told(1),
        median(ratios.clone()),
        ratios.first().expect("a run"),
        ratios.last().expect("a run")
    )
}

/// An organization in step with a company, and a record of a run to make others of.
struct Scene {
    files: usize,
    server: Server,
    folder: TempDir,
    people: usize,
    record: Vec<u8>,
}

impl Scene {
    fn set(plan: &Plan, files: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("bwdc-bench-").tempdir().expect("a folder");
        let server = Server::start(plan, Target::Sandbox);
        let data = format!(
            r#"{{"stateVersion":8,"environmentUrls":{{"base":"{}"}},"directoryType":"file","directoryFile":{{"path":"company"}},"sync":{{"users":true,"largeImport":true}}}}"#,
            server.url
        );
        fs::write(folder.path().join("data.json"), data).expect("a file");
        fs::create_dir(folder.path().join("company")).expect("a folder");
        let mut scene = Self { files, server, folder, people: PEOPLE, record: Vec::new() };
        scene.grow(0);
        scene.bwdc(plan, &["sync"]);
        scene.grow(1);
        scene.bwdc(plan, &["sync"]);
        let latest = scene.records().into_iter().max().expect("a record");
        scene.record = fs::read(latest).expect("a record");
        scene
    }

    /// One newcomer, with as many runs kept as the scene says.
    fn run(&mut self, plan: &Plan) -> [Cost; 2] {
        self.fill();
        self.grow(1);
        [self.bwdc(plan, &["sync"]), self.bwdc(plan, &["history"])]
    }

    fn history(&self) -> PathBuf {
        self.folder.path().join("history")
    }

    fn records(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.history()).expect("a folder");
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// As many runs of today, before all others.
    fn fill(&self) {
        let records = self.records();
        let name = records.iter().max().and_then(|path| path.file_name()?.to_str()).expect("a name");
        let day = name.split('T').next().expect("a day").to_owned();
        records.iter().for_each(|path| fs::remove_file(path).expect("a file"));
        for number in 0..self.files {
            let name = format!("{day}T{number:09}Z-{number:012x}.changed.jsonl");
            fs::write(self.history().join(name), &self.record).expect("a file");
        }
    }

    fn grow(&mut self, newcomers: usize) {
        self.people += newcomers;
        let mut text = "id,email\n".to_owned();
        for number in 0..self.people {
            writeln!(text, "p{number},p{number}@example.org").expect("a text");
        }
        fs::write(self.folder.path().join("company/users.csv"), text).expect("a file");
    }

    fn bwdc(&self, plan: &Plan, arguments: &[&str]) -> Cost {
        let output: &Path = &self.folder.path().join("stdout");
        let started = Instant::now();
        let child = Command::new(&plan.bwdc)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", self.folder.path())
            .env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS", "true")
            .env("BW_CLIENTID", &self.server.client_id)
            .env("BW_CLIENTSECRET", &self.server.client_secret)
            .stdout(File::create(output).expect("a file"))
            .spawn()
            .expect("running bwdc");
        let (is_success, cost) = finish(child, started);
        assert!(is_success, "{arguments:?}: {}", fs::read_to_string(output).unwrap_or_default());
        cost
    }
}
