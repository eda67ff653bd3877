//! A sync by LDAPS beside two searches by LDAPS, with the authority that signed the server's certificate.

use super::{Plan, Report, Source, Target, beside_searches, load};

pub(crate) use super::HEAD;

/// Measures so many people, and a group for every 25.
pub(crate) fn measure(plan: &Plan, people: usize, report: &mut Report) {
    let groups = people / 25;
    let slapd = load(people, groups);
    let source = Source::by_tls(&slapd);
    report.row(&beside_searches(plan, &slapd, &source, (people, groups), Target::Sink, ", LDAPS"));
}
