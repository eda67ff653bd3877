//! Measures a whole `bwdc sync` beside two `ldapsearch` runs that fetch the same entries, in turn and in one run, because
//! absolute times on shared machines mean little.
//!
//! `bwdc-bench BWDC SINK [--runs N] [--beside FILE] [--save FILE] [--with-sandbox] [--cloud NAME] [USERS/GROUPS|KIND/SIZE|instructions/USERS ...] [--profiles FOLDER] [--limits FILE] [--write-limits FILE]`; `scripts/bench` builds and calls it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement that cannot be made must fail loudly, and prints its table"
)]

mod again;
mod clouds;
mod counting;
mod daemon;
mod growth;
mod history;
mod instructions;
mod limits;
mod listing;
mod network;
mod quarters;
mod ranges;
mod tls;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bwdc_testkit::slapd::{PASSWORD, Quirk};
use bwdc_testkit::{Slapd, ldif};
use tempfile::TempDir;
use wait4::Wait4;

/// Members per group.
const MEMBERS: usize = 100;
const SIZES: [(usize, usize); 4] = [(1_000, 50), (10_000, 500), (50_000, 2_000), (200_000, 8_000)];
const CLIENT_ID: &str = "organization.11111111-2222-3333-4444-555555555555";

/// One kind of measurement besides that of plain sizes, called as `WORD/SIZE`.
struct Kind {
    word: &'static str,
    /// Sizes that are measured unless the command line names others.
    usual: &'static [usize],
    /// What comes before its rows.
    head: &'static str,
    /// Adds the rows of one size.
    measure: fn(&Plan, usize, &mut Report),
}

const KINDS: [Kind; 11] = [
    Kind { word: "tls", usual: &[50_000], head: tls::HEAD, measure: tls::measure },
    Kind { word: "ranges", usual: &[50_000], head: HEAD, measure: ranges::measure },
    Kind { word: "again", usual: &[50_000], head: again::HEAD, measure: again::measure },
    Kind { word: "test", usual: &[50_000], head: listing::HEAD, measure: listing::measure },
    // Takes more than ten minutes for a million, so it is measured on demand.
    Kind { word: "growth", usual: &[], head: growth::HEAD, measure: growth::measure },
    Kind { word: "clouds", usual: &[10_000], head: clouds::HEAD, measure: clouds::measure },
    // Takes half an hour for 100,000: that is what the limits allow.
    Kind { word: "limits", usual: &[], head: limits::HEAD, measure: limits::measure },
    Kind { word: "daemon", usual: &[200], head: daemon::HEAD, measure: daemon::measure },
    // Takes an hour.
    Kind { word: "quarters", usual: &[], head: quarters::HEAD, measure: quarters::measure },
    Kind { word: "history", usual: &[10_000], head: history::HEAD, measure: history::measure },
    Kind { word: "network", usual: &[50_000], head: network::HEAD, measure: network::measure },
];

/// What was measured so far.
#[derive(Default)]
struct Report(String);

impl Report {
    /// Adds a row, and prints it.
    fn row(&mut self, row: &str) {
        println!("{row}");
        self.text(row);
        self.text("\n");
    }

    /// Adds what comes before rows, or what was printed before.
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// Counting instructions, whose figures are compared besides.
const INSTRUCTIONS: &str = "instructions";

/// Head of the table of plain sizes.
const HEAD: &str = "| users / groups | import into | bwdc sync: wall, CPU, peak | the other: wall, CPU, peak | wall ratio (min to max) |\n\
                    | --- | --- | --- | --- | --- |\n";

struct Plan {
    bwdc: PathBuf,
    /// Another build, such as the previous release, that does the same in turn.
    beside: Option<PathBuf>,
    sink: PathBuf,
    runs: usize,
    save: Option<PathBuf>,
    sizes: Vec<(usize, usize)>,
    /// Sizes of each kind, by its word.
    kinds: BTreeMap<&'static str, Vec<usize>>,
    instructions: Vec<usize>,
    /// Folder for the profiles that counting instructions makes.
    profiles: Option<PathBuf>,
    /// Figures of instructions to compare with.
    limits: Option<PathBuf>,
    /// File to write such figures to.
    write_limits: Option<PathBuf>,
    targets: Vec<Target>,
    /// Part of the name of the only cloud that is measured beside its limits.
    cloud: Option<String>,
}

/// Where the import goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Reads and discards: the server's own time does not count.
    Sink,
    /// The sandbox organization, which does the work.
    Sandbox,
}

/// What one process cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    /// Bytes.
    peak: u64,
}

/// The directory that is read.
struct Source {
    port: u16,
    login: String,
    /// Where people and groups are, as in `data.json`.
    sync: &'static str,
    security: Security,
}

/// How the connection to the directory is protected.
enum Security {
    Plain,
    /// LDAPS, by a certificate of the authority in this file.
    Tls(PathBuf),
}

impl Security {
    /// As in `data.json`.
    fn settings(&self) -> String {
        match self {
            Self::Plain => r#""ssl":false,"startTls":false"#.to_owned(),
            Self::Tls(authority) => {
                format!(r#""ssl":true,"startTls":false,"sslCaPath":"{}""#, authority.display())
            }
        }
    }
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Sandbox => "sandbox",
        }
    }
}

impl Source {
    fn of(slapd: &Slapd) -> Self {
        Self {
            port: slapd.port(),
            login: slapd.admin(),
            sync: r#""userObjectClass":"inetOrgPerson","userPath":"ou=people","groupObjectClass":"groupOfNames","groupPath":"ou=groups""#,
            security: Security::Plain,
        }
    }

    /// The same by LDAPS.
    fn by_tls(slapd: &Slapd) -> Self {
        let security = Security::Tls(slapd.certificates().ca.clone());
        Self { port: slapd.tls_port(), security, ..Self::of(slapd) }
    }

    /// As ldapsearch wants it.
    fn url(&self) -> String {
        match self.security {
            Security::Plain => format!("ldap://127.0.0.1:{}", self.port),
            Security::Tls(_) => format!("ldaps://127.0.0.1:{}", self.port),
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [ranges::CLIENT, port, people] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return ranges::run_client(port, people);
    }
    let plan = arguments();
    let busy = load_average();
    let mut report = Report::default();
    let startup = ["--version", "--help"].map(|option| startup(&plan.bwdc, option)).join("; ");
    report.text(&format!("{startup}\n\n"));
    let mut head = "";
    if !plan.sizes.is_empty() {
        head = HEAD;
        report.text(head);
    }
    for &(users, groups) in &plan.sizes {
        let slapd = load(users, groups);
        for &target in &plan.targets {
            report.row(&measure(&plan, &slapd, users, groups, target));
        }
    }
    for kind in &KINDS {
        for &size in plan.kinds.get(kind.word).into_iter().flatten() {
            if head != kind.head {
                head = kind.head;
                report.text(head);
            }
            (kind.measure)(&plan, size, &mut report);
        }
    }
    if !plan.instructions.is_empty() {
        report.text(&instructions(&plan));
    }
    let Report(report) = report;
    println!("\n{report}");
    if let Some(path) = &plan.save {
        save(path, &report, &plan.bwdc, &busy);
    }
}

/// Counts instructions, and compares them where that is asked for.
fn instructions(plan: &Plan) -> String {
    let mut figures = BTreeMap::new();
    let mut table = instructions::HEAD.to_owned();
    for &people in &plan.instructions {
        table.push_str(&instructions::measure(plan, people, people / 20, &mut figures));
    }
    if let Some(path) = &plan.write_limits {
        instructions::write(path, &figures);
    }
    if let Some(path) = &plan.limits {
        instructions::check(path, &figures);
    }
    table
}

fn arguments() -> Plan {
    let mut words = std::env::args().skip(1);
    let bwdc = PathBuf::from(words.next().expect("the path of bwdc"));
    let sink = PathBuf::from(words.next().expect("the path of the sink"));
    let mut plan = Plan {
        bwdc,
        beside: None,
        sink,
        runs: 5,
        save: None,
        sizes: Vec::new(),
        kinds: BTreeMap::new(),
        instructions: Vec::new(),
        profiles: None,
        limits: None,
        write_limits: None,
        targets: vec![Target::Sink],
        cloud: None,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--runs" => plan.runs = words.next().and_then(|n| n.parse().ok()).expect("--runs N"),
            "--beside" => plan.beside = Some(PathBuf::from(words.next().expect("--beside FILE"))),
            "--save" => plan.save = Some(PathBuf::from(words.next().expect("--save FILE"))),
            "--profiles" => plan.profiles = Some(PathBuf::from(words.next().expect("--profiles FOLDER"))),
            "--limits" => plan.limits = Some(PathBuf::from(words.next().expect("--limits FILE"))),
            "--write-limits" => {
                plan.write_limits = Some(PathBuf::from(words.next().expect("--write-limits FILE")));
            }
            "--cloud" => plan.cloud = Some(words.next().expect("--cloud NAME")),
            "--with-sandbox" => plan.targets.push(Target::Sandbox),
            size => plan.add(size),
        }
    }
    if plan.sizes.is_empty() && plan.kinds.is_empty() && plan.instructions.is_empty() {
        plan.sizes = SIZES.to_vec();
        plan.kinds = KINDS.iter().map(|kind| (kind.word, kind.usual.to_vec())).collect();
    }
    plan
}

impl Plan {
    /// Adds `USERS/GROUPS`, or `WORD/SIZE` of a kind.
    fn add(&mut self, wanted: &str) {
        let words = KINDS.map(|kind| kind.word).join("/SIZE, ");
        let (what, size) = wanted.split_once('/').unwrap_or_else(|| {
            panic!("`{wanted}` must be USERS/GROUPS, {words}/SIZE or {INSTRUCTIONS}/USERS")
        });
        let number =
            |text: &str| text.parse().unwrap_or_else(|_| panic!("`{text}` of `{wanted}` must be a number"));
        let size = number(size);
        if what == INSTRUCTIONS {
            self.instructions.push(size);
        } else if let Some(kind) = KINDS.iter().find(|kind| kind.word == what) {
            self.kinds.entry(kind.word).or_default().push(size);
        } else {
            self.sizes.push((number(what), size));
        }
    }
}

fn load(users: usize, groups: usize) -> Slapd {
    load_with(|file| ldif::directory(file, users, groups, MEMBERS))
}

/// OpenLDAP with the directory that this writes.
fn load_with(write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Slapd {
    let folder = tempfile::Builder::new().prefix("bwdc-bench-").tempdir().expect("a folder");
    let mut file = BufWriter::new(File::create(folder.path().join("directory.ldif")).expect("a file"));
    write(&mut file).expect("writing the directory");
    drop(file);
    Slapd::load(folder, Quirk::None)
}

/// One warm-up, then both in turn.
fn measure(plan: &Plan, slapd: &Slapd, users: usize, groups: usize, target: Target) -> String {
    beside_searches(plan, slapd, &Source::of(slapd), (users, groups), target, "")
}

/// The same from this source; `how` it is read is added to the sizes.
fn beside_searches(
    plan: &Plan,
    slapd: &Slapd,
    source: &Source,
    (users, groups): (usize, usize),
    target: Target,
    how: &str,
) -> String {
    let mut pairs: Vec<(Cost, Cost)> = Vec::new();
    let mut before: Vec<(Cost, Cost)> = Vec::new();
    for run in 0..=plan.runs {
        let ours = sync(&plan.bwdc, plan, source, users, groups, target);
        let other = plan.beside.as_ref().map(|beside| sync(beside, plan, source, users, groups, target));
        let theirs = searches(slapd, source, users, groups);
        if run > 0 {
            pairs.push((ours, theirs));
            before.extend(other.map(|other| (ours, other)));
        }
    }
    let mut text = row(&format!("{users} / {groups}{how}"), target, &pairs);
    if !before.is_empty() {
        text.push('\n');
        text.push_str(&row(&format!("{users} / {groups}{how}, beside the other build"), target, &before));
    }
    text
}

fn row(what: &str, target: Target, pairs: &[(Cost, Cost)]) -> String {
    let mut ratios: Vec<f64> =
        pairs.iter().map(|(ours, theirs)| ours.wall.as_secs_f64() / theirs.wall.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    format!(
        "| {what} | {} | {} | {} | **{:.2}** ({:.2} to {:.2}) |",
        target.name(),
        describe(pairs.iter().map(|pair| pair.0).collect()),
        describe(pairs.iter().map(|pair| pair.1).collect()),
        median(ratios.clone()),
        ratios.first().expect("a run"),
        ratios.last().expect("a run"),
    )
}

/// Medians of wall clock and processor time, and the largest peak.
fn describe(costs: Vec<Cost>) -> String {
    let wall = median(costs.iter().map(|cost| cost.wall.as_secs_f64()).collect());
    let cpu = median(costs.iter().map(|cost| cost.cpu.as_secs_f64()).collect());
    let peak = costs.iter().map(|cost| cost.peak).max().unwrap_or(0);
    format!("{wall:.2} s, {cpu:.2} s, {:.1} MiB", peak as f64 / 1_048_576.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn finish(mut child: Child, started: Instant) -> (bool, Cost) {
    let ended = child.wait4().expect("the end of a process");
    let usage = ended.rusage;
    (
        ended.status.success(),
        Cost { wall: started.elapsed(), cpu: usage.utime + usage.stime, peak: usage.maxrss },
    )
}

/// A whole `bwdc sync` from a fresh folder.
fn sync(program: &Path, plan: &Plan, source: &Source, users: usize, groups: usize, target: Target) -> Cost {
    let server = Server::start(plan, target);
    let folder = instance(source, &server);
    let (cost, said) = run(program, folder.path(), &server.client_id, &server.client_secret);
    let expected = format!("Synced {groups} group(s) and {users} user(s).");
    assert!(said.contains(&expected), "expected `{expected}`, got: {said}");
    cost
}

/// One `bwdc sync`: its cost, and what it said.
fn run(program: &Path, folder: &Path, client_id: &str, client_secret: &str) -> (Cost, String) {
    let output = folder.join("stdout");
    let started = Instant::now();
    let child = of_instance(&mut Command::new(program), folder, client_id, client_secret)
        .arg("sync")
        .stdout(File::create(&output).expect("a file"))
        .spawn()
        .expect("running bwdc");
    let (is_success, cost) = finish(child, started);
    let said = fs::read_to_string(&output).expect("what bwdc said");
    assert!(is_success, "{said}");
    (cost, said)
}

/// Gives a command the environment of an instance, and nothing else.
fn of_instance<'a>(
    command: &'a mut Command,
    folder: &Path,
    client_id: &str,
    client_secret: &str,
) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("BITWARDENCLI_CONNECTOR_APPDATA_DIR", folder)
        .env("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS", "true")
        .env("BW_CLIENTID", client_id)
        .env("BW_CLIENTSECRET", client_secret)
}

fn instance(source: &Source, server: &Server) -> TempDir {
    let folder = tempfile::Builder::new().prefix("bwdc-bench-").tempdir().expect("a folder");
    let data = format!(
        r#"{{"stateVersion":8,"environmentUrls":{{"base":"{url}"}},"directoryType":0,
        "directoryLdap":{{{security},"hostname":"127.0.0.1","port":{port},"rootPath":"{root}",
            "username":"{login}","password":"{PASSWORD}","ad":false,"pagedSearch":true}},
        "sync":{{"users":true,"groups":true,"largeImport":true,{sync},"userEmailAttribute":"mail",
            "groupNameAttribute":"cn","memberAttribute":"member","revisionDateAttribute":null}}}}"#,
        url = server.url,
        security = source.security.settings(),
        port = source.port,
        root = ldif::SUFFIX,
        login = source.login,
        sync = source.sync,
    );
    fs::write(folder.path().join("data.json"), data).expect("writing data.json");
    folder
}

/// What takes the import.
struct Server {
    process: Child,
    url: String,
    client_id: String,
    client_secret: String,
}

impl Server {
    fn start(plan: &Plan, target: Target) -> Self {
        let mut command = match target {
            Target::Sink => Command::new(&plan.sink),
            Target::Sandbox => {
                let mut command = Command::new(&plan.bwdc);
                command.arg("sandbox");
                command
            }
        };
        let mut process = command.stdout(Stdio::piped()).spawn().expect("running the server");
        let mut lines = BufReader::new(process.stdout.take().expect("its output"))
            .lines()
            .map(|line| line.expect("a line"));
        if target == Target::Sink {
            let url = lines.next().expect("the URL");
            return Self { process, url, client_id: CLIENT_ID.into(), client_secret: "secret".into() };
        }
        let mut word_after = |mark: &str| -> String {
            let line = lines.find(|line| line.contains(mark)).expect("the sandbox says how to reach it");
            line.split(mark).nth(1).expect("a word").trim().to_owned()
        };
        let url = word_after("organization is at ");
        let client_id = word_after("BW_CLIENTID=");
        let client_secret = word_after("BW_CLIENTSECRET=");
        Self { process, url, client_id, client_secret }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two paged searches, one after the other, for the same entries and attributes.
fn searches(slapd: &Slapd, source: &Source, users: usize, groups: usize) -> Cost {
    let search =
        |unit, filter, attributes, expected| search(slapd, source, unit, filter, attributes, expected);
    let people = search("ou=people", "(&(objectClass=inetOrgPerson))", &["mail"][..], users);
    let groups = search("ou=groups", "(&(objectClass=groupOfNames))", &["cn", "member"][..], groups);
    Cost { wall: people.wall + groups.wall, cpu: people.cpu + groups.cpu, peak: people.peak.max(groups.peak) }
}

fn search(
    slapd: &Slapd,
    source: &Source,
    unit: &str,
    filter: &str,
    attributes: &[&str],
    expected: usize,
) -> Cost {
    let output = slapd.folder().join("ldapsearch.out");
    let started = Instant::now();
    let child = Command::new("ldapsearch")
        .args(["-LLL", "-x", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt"])
        .args(["-H", &source.url(), "-D", &source.login, "-w", PASSWORD])
        .env("LDAPTLS_CACERT", &slapd.certificates().ca)
        .args(["-b", &format!("{unit},{}", ldif::SUFFIX), filter])
        .args(attributes)
        .stdout(File::create(&output).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("running ldapsearch");
    let (is_success, cost) = finish(child, started);
    let entries = BufReader::new(File::open(&output).expect("its output"))
        .lines()
        .filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("dn:")))
        .count();
    assert!(is_success && entries == expected, "ldapsearch found {entries} of {expected}");
    cost
}

/// Says how long the program takes where it only prints.
fn startup(bwdc: &Path, option: &str) -> String {
    let mut times: Vec<f64> = (0..20)
        .map(|_| {
            let started = Instant::now();
            let status = Command::new(bwdc).arg(option).stdout(Stdio::null()).status().expect("running bwdc");
            assert!(status.success());
            started.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (least, most) = (times[0], times[times.len() - 1]);
    format!("`bwdc {option}`: {:.1} ms (median of 20, {least:.1} to {most:.1})", median(times))
}

/// What a program says.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("a fact about the machine");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
}

/// The compiler.
fn rustc() -> String {
    said("rustc", &["--version"])
}

/// Load of the machine in the last minute, where the system tells it.
fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn save(path: &Path, report: &str, bwdc: &Path, load: &str) {
    let profile = bwdc.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let size = fs::metadata(bwdc).map_or(0.0, |metadata| metadata.len() as f64 / 1e6);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let ldapsearch = said("ldapsearch", &["-VV"])
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("ldapsearch: ")
        .to_owned();
    let text = format!(
        "# Results\n\nMade by `scripts/bench --save` in one run: `bwdc sync` from a private OpenLDAP on loopback, in turn with two \
         paged\n`ldapsearch` runs (pages of 1,000) that fetch the same entries and attributes. One warm-up, medians, the largest \
         peak,\nthe ratio pair by pair. Groups have {MEMBERS} members; ten of them form a cycle, every tenth contains another.\n\n\
         The last row: one group of everybody from a server of our own that lists 1,500 members at once, like a domain controller\nof \
         Windows, beside a bare client (ldap3, one connection) that reads the people and the ranges and counts them.\n\n\
         The second table: the cloud directories, played by the sandbox with the vendors' documented limits, beside the same requests \
         over\none connection without limits, and what the existing connector waits besides. Groups have 20 members.\n\n\
         {cores} cores, load average {load} at the start, {}, {}, {}. bwdc of the profile `{profile}`, {size:.1} MB.\n\n{report}",
        said("uname", &["-sr"]),
        rustc(),
        ldapsearch,
    );
    fs::write(path, text).expect("writing the results");
}
