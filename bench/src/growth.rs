//! So many people with groups nested ten deep, beside a tenth of them: whether time and memory grow with what is synced.

use bwdc_testkit::{Slapd, ldif};

use super::again::join;
use super::{
    Cost, MEMBERS, Plan, Report, Server, Source, Target, describe, instance, load_with, median, run, searches,
};

pub(crate) const HEAD: &str = "\nTwenty of each hundred groups form a tree ten deep; the import goes into a sink. Growth is of the cost for each person: 1.00 is linear.\n\n\
    | users / groups | first sync: wall, CPU, peak | nothing since | one newcomer since | 2 x ldapsearch | as ratios to ldapsearch: first, nothing, newcomer | growth of a first sync: wall, CPU, peak |\n\
    | --- | --- | --- | --- | --- | --- | --- |\n";

/// Rows for a tenth of the people and for all; there is a group for every 25.
pub(crate) fn measure(plan: &Plan, people: usize, report: &mut Report) {
    let small = Size::measure(plan, people / 10);
    report.row(&small.row("-"));
    let large = Size::measure(plan, people);
    report.row(&large.row(&large.growth_from(&small)));
}

/// One round: everybody is new, nothing has changed, one person has come, and two searches.
struct Round {
    first: Cost,
    nothing: Cost,
    newcomer: Cost,
    searches: Cost,
}

struct Size {
    people: usize,
    groups: usize,
    rounds: Vec<Round>,
}

impl Size {
    /// A warm-up, then so many rounds.
    fn measure(plan: &Plan, people: usize) -> Self {
        let groups = people / 25;
        let slapd = load_with(|file| ldif::nested(file, people, groups, MEMBERS));
        let rounds = (0..=plan.runs).map(|number| round(plan, &slapd, people + number, groups, number));
        Self { people, groups, rounds: rounds.skip(1).collect() }
    }

    fn row(&self, growth: &str) -> String {
        let told = |of: fn(&Round) -> Cost| describe(self.rounds.iter().map(of).collect());
        let ratio = |of: fn(&Round) -> Cost| {
            let ratios = self.rounds.iter().map(|round| wall(of(round)) / wall(round.searches));
            format!("**{:.2}**", median(ratios.collect()))
        };
        format!(
            "| {} / {} | {} | {} | {} | {} | {}, {}, {} | {growth} |",
            self.people,
            self.groups,
            told(|round| round.first),
            told(|round| round.nothing),
            told(|round| round.newcomer),
            told(|round| round.searches),
            ratio(|round| round.first),
            ratio(|round| round.nothing),
            ratio(|round| round.newcomer),
        )
    }

    fn growth_from(&self, small: &Self) -> String {
        let growth = |of: fn(Cost) -> f64| {
            let each = |size: &Self| {
                median(size.rounds.iter().map(|round| of(round.first)).collect()) / size.people as f64
            };
            each(self) / each(small)
        };
        let (wall, cpu) = (growth(wall), growth(|cost| cost.cpu.as_secs_f64()));
        format!("{wall:.2}, {cpu:.2}, {:.2}", growth(|cost| cost.peak as f64))
    }
}

fn wall(cost: Cost) -> f64 {
    cost.wall.as_secs_f64()
}

fn round(plan: &Plan, slapd: &Slapd, people: usize, groups: usize, number: usize) -> Round {
    let source = Source::of(slapd);
    let server = Server::start(plan, Target::Sink);
    let folder = instance(&source, &server);
    let sync = |groups: usize, people: usize| {
        let (cost, said) = run(&plan.bwdc, folder.path(), &server.client_id, &server.client_secret);
        let expected = format!("Synced {groups} group(s) and {people} user(s).");
        assert!(said.contains(&expected), "expected `{expected}`, got: {said}");
        cost
    };
    let (first, nothing) = (sync(groups, people), sync(0, 0));
    join(slapd, &number.to_string());
    let newcomer = sync(0, 1);
    Round { first, nothing, newcomer, searches: searches(slapd, &source, people + 1, groups) }
}
