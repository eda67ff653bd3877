//! Tree on more than one server: references between them, groups outside the base.

use bwdc_sandbox::Options;
use bwdc_testkit::Slapd;
use bwdc_testkit::ldif::SUFFIX;

use crate::harness::{Instance, Organization};

fn person(name: &str, unit: &str) -> String {
    format!(
        "dn: uid={name},{unit},{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nmail: {name}@example.org\n\n"
    )
}

fn group(name: &str, unit: &str, members: &[&str]) -> String {
    let members: String = members.iter().map(|member| format!("member: {member},{SUFFIX}\n")).collect();
    format!("dn: cn={name},{unit},{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n{members}\n")
}

fn unit(path: &str) -> String {
    format!("dn: {path},{SUFFIX}\nobjectClass: organizationalUnit\n\n")
}

fn head() -> String {
    format!("dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n")
}

/// Server with the branch, and one with the rest, which refers to it.
fn two_servers() -> (Slapd, Slapd) {
    let branch = Slapd::with(
        &[
            head(),
            unit("ou=branch"),
            person("bea", "ou=branch"),
            person("ben", "ou=branch"),
            group("branch", "ou=branch", &["uid=bea,ou=branch", "uid=jane,ou=people"]),
        ]
        .concat(),
    );
    let main = Slapd::with(
        &[
            head(),
            unit("ou=people"),
            person("jane", "ou=people"),
            group("everybody", "ou=people", &["uid=jane,ou=people", "cn=branch,ou=branch", "uid=ben,ou=branch"]),
            format!(
                "dn: ou=branch,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\nou: branch\nref: ldap://127.0.0.1:{}/ou=branch,{SUFFIX}\n\n",
                branch.port()
            ),
        ]
        .concat(),
    );
    (main, branch)
}

fn instance(main: &Slapd, organization: &Organization) -> Instance {
    let instance = Instance::ldap(main, organization);
    instance.change(|data| {
        data["sync"]["userPath"] = "".into();
        data["sync"]["groupPath"] = "".into();
    });
    instance
}

#[test]
fn the_part_held_by_another_server_is_reported_or_read() {
    let (main, branch) = two_servers();
    let organization = Organization::start(Options::default());
    let instance = instance(&main, &organization);
    let ran = instance.run(&["sync"]).ok();
    assert!(ran.err.contains("held by another server and was not read (ldap.referrals)"), "{}", ran.err);
    assert_eq!(organization.emails(), ["jane@example.org"]);

    instance.run(&["config", "ldap.referrals", "follow"]).ok();
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    let everybody = ["bea@example.org", "ben@example.org", "jane@example.org"];
    assert_eq!(organization.emails(), everybody);
    assert_eq!(organization.group("everybody"), everybody);
    assert_eq!(organization.group("branch"), ["bea@example.org", "jane@example.org"]);

    // A base that another server holds as a whole.
    instance.run(&["config", "sync.userPath", "ou=branch"]).ok();
    instance.run(&["config", "sync.groupPath", "ou=branch"]).ok();
    let test = instance.run(&["test"]).ok().out;
    assert!(test.contains("bea@example.org") && !test.contains("jane@example.org"), "{test}");
    instance.run(&["config", "ldap.referrals", "report"]).ok();
    instance.run(&["test"]).fails(1, &["referral (10)", "set ldap.referrals to follow"]);

    // A server that does not answer makes the read incomplete.
    instance.run(&["config", "ldap.referrals", "follow"]).ok();
    instance.run(&["config", "unset", "sync.userPath"]).ok();
    let imports = organization.imports();
    drop(branch);
    instance.run(&["sync"]).fails(1, &["Connecting to ldap://127.0.0.1", "Connection refused"]);
    assert_eq!(organization.imports(), imports);
}

#[test]
fn nobody_is_gone_because_references_are_no_longer_followed() {
    let (main, branch) = two_servers();
    let organization = Organization::start(Options::default());
    let instance = instance(&main, &organization);
    instance.run(&["config", "ldap.referrals", "follow"]).ok();
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["sync"]).ok();
    instance.run(&["config", "ldap.referrals", "report"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 3);
    // While they are followed, a person who is no longer there counts as gone.
    instance.run(&["config", "ldap.referrals", "follow"]).ok();
    instance.run(&["sync"]).ok();
    branch.modify(&format!("dn: uid=ben,ou=branch,{SUFFIX}\nchangetype: delete\n"));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["bea@example.org", "jane@example.org"]);
}

#[test]
fn a_reference_out_of_the_tree_is_not_followed() {
    let (main, branch) = two_servers();
    let organization = Organization::start(Options::default());
    let instance = instance(&main, &organization);
    instance.run(&["config", "ldap.referrals", "follow"]).ok();
    for (reference, words) in [
        (
            format!("ldap://127.0.0.1:{}/dc=elsewhere", branch.port()),
            "`dc=elsewhere` is not a part of `dc=example,dc=org`",
        ),
        ("http://127.0.0.1/ou=branch,dc=example,dc=org".to_owned(), "it does not name an LDAP server"),
    ] {
        main.refer("ou=branch", &reference);
        instance.run(&["sync"]).fails(1, &["Following the reference to", words, "Nothing was imported."]);
    }
    // An endless circle.
    main.refer("ou=branch", &format!("ldap://127.0.0.1:{}/ou=branch,{SUFFIX}", main.port()));
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["jane@example.org"]);
}

#[test]
fn members_of_groups_outside_the_base_count_if_configured() {
    let slapd = Slapd::with(
        &[
            head(),
            unit("ou=people"),
            unit("ou=groups"),
            unit("ou=old"),
            person("jane", "ou=people"),
            person("bob", "ou=people"),
            person("tom", "ou=people"),
            person("away", "ou=old"),
            group(
                "team",
                "ou=groups",
                &["uid=jane,ou=people", "cn=Outer,ou=old", "uid=away,ou=old", "cn=nobody,ou=old"],
            ),
            group("outer", "ou=old", &["uid=bob,ou=people", "cn=inner,ou=old", "cn=team,ou=groups"]),
            group("inner", "ou=old", &["uid=tom,ou=people", "cn=outer,ou=old"]),
        ]
        .concat(),
    );
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.run(&["sync"]).ok();
    assert_eq!(organization.group("team"), ["jane@example.org"]);
    instance.run(&["config", "ldap.outsideGroups", "true"]).ok();
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(organization.group("team"), ["bob@example.org", "jane@example.org", "tom@example.org"]);
    assert_eq!(organization.sandbox.groups().unwrap().len(), 1, "the others are not synced");
}
