//! The cloud directories beside what the vendors' documented limits allow: each list with the vendor's own largest pages.

use std::time::Duration;

use bwdc_sandbox::cloud::{Behaviour, Company};

use super::clouds::{MEMBERS, VENDORS, Vendor, runtime, sync};
use super::{Plan, Report, describe};

pub(crate) const HEAD: &str = "\nThe cloud directories beside their documented limits. The least time is that in which the requests that were made are possible\n\
    without more than the limit in any of its windows; none where all fit into one.\n\n\
    | cloud | each answer takes | users / groups | requests | beyond the limit | bwdc sync: wall, CPU, peak | least time | ratio |\n\
    | --- | --- | --- | --- | --- | --- | --- | --- |\n";

/// How long each answer takes, in milliseconds.
const LATENCIES: [u64; 2] = [50, 200];

/// A row for each vendor and latency; there are a tenth as many groups.
pub(crate) fn measure(plan: &Plan, users: usize, report: &mut Report) {
    let wanted =
        |vendor: &&Vendor| plan.cloud.as_ref().is_none_or(|name| vendor.name.contains(name.as_str()));
    let company = Company::of_size(users, users / 10, MEMBERS);
    for vendor in VENDORS.iter().filter(wanted) {
        for latency in LATENCIES {
            report.row(&row(plan, vendor, &company, Duration::from_millis(latency)));
        }
    }
}

fn row(plan: &Plan, vendor: &Vendor, company: &Company, latency: Duration) -> String {
    let runtime = runtime();
    let (users, groups) = (company.users.len(), company.groups.len());
    let cloud = (vendor.start)(&runtime, company, Behaviour { latency, ..Behaviour::default() });
    let ours = sync(plan, vendor, &cloud, users, groups);
    let least = cloud.least_time().as_secs_f64();
    let ratio =
        if least > 0.0 { format!("**{:.2}**", ours.wall.as_secs_f64() / least) } else { "-".to_owned() };
    format!(
        "| {} | {} ms | {users} / {groups} | {} | {} | {} | {least:.1} s | {ratio} |",
        vendor.name,
        latency.as_millis(),
        cloud.requests(),
        cloud.exceeded(),
        describe(vec![ours]),
    )
}
