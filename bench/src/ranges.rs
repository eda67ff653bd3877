//! One group whose members come in ranges of 1,500, beside a client that asks for the same and for nothing else.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Instant;

use bwdc_testkit::Capped;
use bwdc_testkit::capped::{Entry, Fault};
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Ldap, LdapConnAsync, Scope, SearchEntry};

use super::{Cost, Plan, Report, Security, Source, Target, finish, row, sync};

/// `MaxValRange` of a domain controller of Windows.
const CAP: usize = 1_500;
const ROOT: &str = "dc=example,dc=org";

/// Measures a group of all these people.
pub(crate) fn measure(plan: &Plan, people: usize, report: &mut Report) {
    let server = Capped::start(directory(people), CAP, Fault::None);
    let source = Source {
        port: server.port(),
        login: "reader".to_owned(),
        sync: r#""userObjectClass":"person","userPath":"ou=people","groupObjectClass":"group","groupPath":"ou=groups""#,
        security: Security::Plain,
    };
    let mut pairs = Vec::new();
    for run in 0..=plan.runs {
        let ours = sync(&plan.bwdc, plan, &source, people, 1, Target::Sink);
        let theirs = client(server.port(), people);
        if run > 0 {
            pairs.push((ours, theirs));
        }
    }
    report.row(&row(&format!("{people} in one group, by ranges of {CAP}"), Target::Sink, &pairs));
}

fn directory(people: usize) -> Vec<Entry> {
    let dn = |number: usize| format!("cn=Person {number},ou=people,{ROOT}");
    let entry = |dn: String, class: &str, attribute: (&str, Vec<String>)| Entry {
        dn,
        attributes: vec![
            ("objectClass".to_owned(), vec![class.to_owned()]),
            (attribute.0.to_owned(), attribute.1),
        ],
    };
    // The group first: the server looks for an entry from the start.
    let mut group =
        entry(format!("cn=all,ou=groups,{ROOT}"), "group", ("member", (0..people).map(dn).collect()));
    group.attributes.push(("cn".to_owned(), vec!["all".to_owned()]));
    let person = |number| entry(dn(number), "person", ("mail", vec![format!("person{number}@example.org")]));
    std::iter::once(group).chain((0..people).map(person)).collect()
}

/// The other client as a process of its own: this program, called with [`CLIENT`].
fn client(port: u16, people: usize) -> Cost {
    let started = Instant::now();
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args([CLIENT, &port.to_string(), &people.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("running the client");
    let (is_success, cost) = finish(child, started);
    assert!(is_success, "the client did not find everybody");
    cost
}

/// The first argument that makes this program the client.
pub(crate) const CLIENT: &str = "range-client";

/// Reads the people in pages of 1,000, then the members from range to range, and counts them.
pub(crate) fn run_client(port: &str, people: &str) {
    let people: usize = people.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (connection, mut ldap) =
            LdapConnAsync::new(&format!("ldap://127.0.0.1:{port}")).await.expect("the server");
        tokio::spawn(connection.drive());
        ldap.simple_bind("reader", "p").await.and_then(|answer| answer.success()).expect("the login");
        assert_eq!(count_people(&mut ldap).await, people);
        assert_eq!(count_members(&mut ldap).await, people);
    });
}

async fn count_people(ldap: &mut Ldap) -> usize {
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(1_000))];
    let base = format!("ou=people,{ROOT}");
    let search = ldap
        .streaming_search_with(adapters, &base, Scope::Subtree, "(objectClass=person)", vec!["mail"])
        .await;
    let mut search = search.expect("the search");
    let mut people = HashSet::new();
    while let Some(entry) = search.next().await.expect("an entry") {
        people.insert(SearchEntry::construct(entry).dn);
    }
    people.len()
}

async fn count_members(ldap: &mut Ldap) -> usize {
    let base = format!("cn=all,ou=groups,{ROOT}");
    let mut members = HashSet::new();
    let mut from = Some(0);
    while let Some(start) = from {
        let wanted = format!("member;range={start}-*");
        let found = ldap.search(&base, Scope::Base, "(objectClass=*)", vec![&wanted]).await;
        let (entries, _) = found.and_then(|found| found.success()).expect("a range");
        let entry = SearchEntry::construct(entries.into_iter().next().expect("the group"));
        let (name, values) = entry.attrs.into_iter().next().expect("members");
        from = name.rsplit('-').next().and_then(|high| high.parse::<usize>().ok()).map(|high| high + 1);
        members.extend(values);
    }
    members.len()
}
