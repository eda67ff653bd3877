//! A sync that follows another: with nothing to change, and with one newcomer each time.

use std::path::{Path, PathBuf};

use bwdc_testkit::{Slapd, ldif};
use tempfile::TempDir;

use super::{Cost, Plan, Report, Server, Source, Target, instance, load, median, run, searches};

pub(crate) const HEAD: &str = "\nA sync that follows another, from OpenLDAP into the played official organization (`sandbox`), which the sync reads, and into a \
    sink that cannot\nbe read. Each build has a folder and a server of its own; they run in turn.\n\n\
    | users / groups | import into | what changed | bwdc sync: wall, CPU, peak | the other build | wall ratio (min to max) | 2 x ldapsearch |\n\
    | --- | --- | --- | --- | --- | --- | --- |\n";

/// One build with its folder and its server.
struct Side<'a> {
    program: &'a Path,
    folder: TempDir,
    /// Kept running.
    _server: Server,
    server: (String, String),
}

impl<'a> Side<'a> {
    fn begin(program: &'a Path, plan: &Plan, source: &Source, target: Target) -> Self {
        let server = Server::start(plan, target);
        let folder = instance(source, &server);
        let login = (server.client_id.clone(), server.client_secret.clone());
        let side = Self { program, folder, _server: server, server: login };
        // The second one reads every membership once.
        side.sync();
        side.sync();
        side
    }

    fn sync(&self) -> (Cost, String) {
        let (id, secret) = &self.server;
        run(self.program, self.folder.path(), id, secret)
    }
}

/// Measures both kinds of run into both kinds of server.
pub(crate) fn measure(plan: &Plan, users: usize, report: &mut Report) {
    let groups = users / 25;
    let slapd = load(users, groups);
    let source = Source::of(&slapd);
    let bare = super::describe((0..=plan.runs).map(|_| searches(&slapd, &source, users, groups)).collect());
    for target in [Target::Sandbox, Target::Sink] {
        let beside: Option<&PathBuf> = plan.beside.as_ref();
        let sides: Vec<Side<'_>> = std::iter::once(&plan.bwdc)
            .chain(beside)
            .map(|program| Side::begin(program, plan, &source, target))
            .collect();
        let nothing = rounds(plan, &sides, |_| {});
        report.row(&row(users, groups, target, "nothing", &nothing, &bare));
        let newcomer = rounds(plan, &sides, |round| join(&slapd, &format!("{}-{round}", target.name())));
        report.row(&row(users, groups, target, "one newcomer", &newcomer, &bare));
    }
}

/// Every side in turn, after a warm-up.
fn rounds(plan: &Plan, sides: &[Side<'_>], change: impl Fn(usize)) -> Vec<Vec<Cost>> {
    let mut rounds = Vec::new();
    for round in 0..=plan.runs {
        change(round);
        let costs: Vec<Cost> = sides.iter().map(|side| side.sync().0).collect();
        if round > 0 {
            rounds.push(costs);
        }
    }
    rounds
}

/// Adds a person to the directory.
pub(crate) fn join(slapd: &Slapd, name: &str) {
    slapd.modify(&format!(
        "dn: uid=new-{name},ou=people,{}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new-{name}\ncn: New {name}\nsn: {name}\n\
         mail: new-{name}@example.org\n",
        ldif::SUFFIX
    ));
}

fn row(users: usize, groups: usize, target: Target, what: &str, rounds: &[Vec<Cost>], bare: &str) -> String {
    let of = |side: usize| rounds.iter().filter_map(move |costs| costs.get(side).copied());
    let told = |side: usize| super::describe(of(side).collect());
    let mut ratios: Vec<f64> =
        of(0).zip(of(1)).map(|(ours, other)| ours.wall.as_secs_f64() / other.wall.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let (other, ratio) = match (ratios.first(), ratios.last()) {
        (Some(least), Some(most)) => {
            (told(1), format!("**{:.2}** ({least:.2} to {most:.2})", median(ratios.clone())))
        }
        _ => ("-".to_owned(), "-".to_owned()),
    };
    format!("| {users} / {groups} | {} | {what} | {} | {other} | {ratio} | {bare} |", target.name(), told(0))
}
