//! `people`: whom imports have brought, as earlier runs have kept it.

use bwdc_sandbox::Options;
use serde_json::{Value, json};

use crate::harness::{Instance, Organization};

const USERS: &str = "id,email,status\nu1,ada@example.org,\nu2,bob@example.org,\n";
const GROUPS: &str = "id,name,members\ng1,Staff,u1;u2\ng2,Sales,u2\n";

fn listed(instance: &Instance, arguments: &[&str]) -> Value {
    let ran = instance.run(&[&["people", "--json"], arguments].concat()).ok();
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn whoever_was_imported_is_listed_with_groups_and_leavers_with_the_cause() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(USERS, GROUPS, &organization);
    instance.run(&["people"]).fails(1, &["Nothing is known from earlier runs", "bwdc sync"]);
    instance.run(&["sync"]).ok();
    let everybody = listed(&instance, &[]);
    assert_eq!(everybody["object"], "people");
    assert_eq!(
        everybody["people"],
        json!([
            {"email": "ada@example.org", "externalId": "u1", "standing": "in", "groups": ["Staff"]},
            {"email": "bob@example.org", "externalId": "u2", "standing": "in", "groups": ["Sales", "Staff"]},
        ])
    );
    assert_eq!(
        listed(&instance, &["SAL"])["groups"],
        json!([{"name": "Sales", "externalId": "g2", "members": 1}])
    );
    assert_eq!(listed(&instance, &["ADA@"])["people"].as_array().unwrap().len(), 1);
    let nobody = instance.run(&["people", "zoe"]).ok().out;
    assert!(nobody.contains("Nobody and nothing matches."), "{nobody}");
    instance.company(&USERS.replace("ada@example.org,", "ada@example.org,deleted"), GROUPS);
    instance.run(&["sync"]).ok();
    // Nothing is read but what was kept.
    std::fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
    let ada = &listed(&instance, &["u1"])["people"][0];
    assert_eq!((&ada["standing"], &ada["cause"]), (&json!("left"), &json!("deleted")));
    assert!(ada["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{ada}");
    let text = instance.run(&["people"]).ok().out;
    for words in
        ["People (1)", "bob@example.org  u2           Sales, Staff", "Groups (2)", "deleted in the directory"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}
