//! Groups that the server lists in parts, like a Windows domain controller.

use bwdc_sandbox::Options;
use bwdc_testkit::Capped;
use bwdc_testkit::capped::{Entry, Fault};
use serde_json::json;

use crate::harness::{Instance, Organization};

const BASE: &str = "dc=example,dc=org";
/// `MaxValRange` of a domain controller.
const CAP: usize = 1_500;

fn entry(dn: String, attributes: &[(&str, &[String])]) -> Entry {
    let attributes = attributes.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
    Entry { dn, attributes }
}

fn person(number: usize) -> String {
    format!("CN=user{number},OU=People,{BASE}")
}

fn group(name: &str, members: &[String]) -> Entry {
    let text = |text: &str| [text.to_owned()];
    entry(
        format!("CN={name},OU=Groups,{BASE}"),
        &[("objectClass", &text("group")), ("name", &text(name)), ("member", members)],
    )
}

fn directory(people: usize, sizes: &[usize]) -> Vec<Entry> {
    let text = |text: String| [text];
    let mut entries = vec![entry(BASE.to_owned(), &[])];
    entries.extend((0..people).map(|number| {
        entry(
            person(number),
            &[
                ("objectClass", &text("person".to_owned())),
                ("mail", &text(format!("user{number}@example.org"))),
            ],
        )
    }));
    let members: Vec<String> = (0..people).map(person).collect();
    entries
        .extend(sizes.iter().enumerate().map(|(at, size)| group(&format!("group{at}"), &members[..*size])));
    entries
}

fn instance(server: &Capped, organization: &Organization) -> Instance {
    let mut instance = Instance::empty();
    instance.write(&json!({
        "stateVersion": 8,
        "environmentUrls": { "base": organization.sandbox.url() },
        "directoryType": 0,
        "directoryLdap": {
            "hostname": "127.0.0.1", "port": server.port(), "rootPath": BASE, "username": "reader", "password": "p",
        },
        "sync": {
            "users": true, "groups": true, "userPath": "OU=People", "groupPath": "OU=Groups", "userObjectClass": "person",
            "groupObjectClass": "group", "largeImport": true,
        },
    }));
    instance.key(&organization.sandbox);
    instance
}

#[test]
fn every_member_arrives_however_many_parts_it_takes() {
    let sizes = [25_000, CAP - 1, CAP, CAP + 1, 2 * CAP, 2 * CAP + 1, 0, 7_000, 1, 4_500];
    let server = Capped::start(directory(25_000, &sizes), CAP, Fault::None);
    let organization = Organization::start(Options::default());
    let instance = instance(&server, &organization);
    let out = instance.run(&["test"]).ok().out;
    let test: serde_json::Value = serde_json::from_str(&out).unwrap();
    let found: Vec<usize> = test["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["userIds"].as_array().unwrap().len())
        .collect();
    assert_eq!(found, sizes);
    assert_eq!(test["enabledUsers"].as_array().unwrap().len(), 25_000);
    // The first part comes with the group: 16 more for the largest.
    let more = |size: usize| size.saturating_sub(1) / CAP;
    assert_eq!(server.ranges(), sizes.map(more).iter().sum::<usize>());
}

#[test]
fn a_list_that_stops_half_way_is_an_error() {
    for (fault, words) in [
        (
            Fault::NoMoreValues,
            &["Reading the members of CN=group0", "from number 1500 on", "the server sent no new ones"][..],
        ),
        (Fault::RefusesRanges, &["more members", "unwillingToPerform (53): this is not served today"]),
    ] {
        let server = Capped::start(directory(2_000, &[2_000, 10]), CAP, fault);
        let organization = Organization::start(Options::default());
        instance(&server, &organization).run(&["sync"]).fails(1, words);
        assert_eq!(organization.imports(), 0);
    }
}

#[test]
fn a_server_without_paging_can_be_read() {
    for (fault, is_paged) in [(Fault::IgnoresPages, true), (Fault::RefusesPages, false)] {
        let server = Capped::start(directory(7_000, &[3_000]), CAP, fault);
        let organization = Organization::start(Options::default());
        let instance = instance(&server, &organization);
        if fault == Fault::RefusesPages {
            instance
                .run(&["test"])
                .fails(1, &["unavailableCriticalExtension (12)", "set ldap.pagedSearch to false"]);
        }
        instance.run(&["config", "ldap.pagedSearch", &is_paged.to_string()]).ok();
        let test: serde_json::Value = serde_json::from_str(&instance.run(&["test"]).ok().out).unwrap();
        assert_eq!(test["enabledUsers"].as_array().unwrap().len(), 7_000, "{fault:?}");
    }
}

/// Active Directory silently hides entries from accounts without the permission: the container of deleted entries is visible or not.
#[test]
fn an_account_that_may_not_see_deleted_entries_is_reported() {
    let organization = Organization::start(Options::default());
    let container = entry(
        format!("CN=Deleted Objects,{BASE}"),
        &[("objectClass", &["top".to_owned(), "container".to_owned()])],
    );
    for (more, is_told) in [(vec![], true), (vec![container], false)] {
        let units = ["People", "Groups"].map(|unit| entry(format!("OU={unit},{BASE}"), &[]));
        let entries = directory(3, &[2]).into_iter().chain(units).chain(more).collect();
        let server = Capped::start(entries, CAP, Fault::None);
        let instance = instance(&server, &organization);
        instance.change(|data| data["directoryLdap"]["ad"] = true.into());
        for command in ["test", "sync", "doctor"] {
            let ran = instance.run(&[command]).ok();
            let told = format!("{}{}", ran.out, ran.err);
            let told = told.contains("this account may not see CN=Deleted Objects,dc=example,dc=org");
            assert_eq!(told, is_told, "{command}: {} {}", ran.out, ran.err);
        }
    }
}
