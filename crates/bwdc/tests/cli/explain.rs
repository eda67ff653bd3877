//! `explain`: why somebody is in or out, asked of real directories and a real organization.

use bwdc_sandbox::{Edit, Flavour, Options};
use bwdc_testkit::{Slapd, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};
use crate::machine::Machine;

const PASSWORD_OF_ADA: &str = "kept-to-herself-4711";

fn company() -> (Organization, Instance) {
    let users =
        "id,email,status\nu1,ada@example.org,\nu2,bob@example.org,\nu3,,\nu4,eve@example.org,suspended\n";
    let organization = Organization::start(Options::default());
    let instance = Instance::files(users, "id,name,members\ng1,Staff,u1;Sales\ng2,Sales,u2\n", &organization);
    instance.run(&["login"]).ok();
    instance.run(&["sync"]).ok();
    (organization, instance)
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
}

#[test]
fn a_person_a_group_and_a_member_of_the_organization_are_explained() {
    let (organization, instance) = company();
    let (before, imports) = (instance.text(), organization.imports());
    let bob = instance.run(&["explain", "BOB@example.org"]).ok().out;
    has(
        &bob,
        &[
            "BOB@example.org (person)",
            "A member, and the next sync changes nothing.",
            "Steps in",
            "external id u2",
            "Staff > Sales",
            "users.csv, line 3",
            "Imported so far",
            "In the organization",
            "Runs",
        ],
    );
    let sales = json(&instance.run(&["explain", "sales", "--json"]).ok());
    assert_eq!(
        (&sales["object"], &sales["subject"], &sales["found"]),
        (&json!("explanation"), &json!("group"), &json!(true))
    );
    assert_eq!(
        (&sales["groups"][0]["members"], &sales["groups"][0]["externalId"]),
        (&json!(1), &json!("g2"))
    );
    assert_eq!(sales["history"][0]["entries"][0]["group"]["action"], "create");
    let nameless = instance.run(&["explain", "u3"]).ok().out;
    has(&nameless, &["Not imported: no e-mail address."]);
    let eve = instance.run(&["explain", "u4"]).ok().out;
    has(
        &eve,
        &[
            "disabled, and stays: sync.removeDisabled is false",
            "status is \"suspended\" in the directory, which counts as disabled",
        ],
    );
    let owner =
        organization.sandbox.members().unwrap().into_iter().find(|member| member.email.starts_with("owner@"));
    let by_hand = instance.run(&["explain", &owner.unwrap().email]).ok().out;
    has(&by_hand, &["A member without an external id, and in no directory", "Not in the directory"]);
    assert_eq!((instance.text(), organization.imports()), (before, imports), "nothing is sent or kept");
}

#[test]
fn the_next_sync_is_told_and_what_holds_it() {
    let (_organization, instance) = company();
    instance.change(|data| data["sync"]["limitRemovals"] = "0".into());
    instance.company(
        "id,email,status\nu1,ada@example.org,left\nu2,bob@example.org,\nu5,new@example.org,\n",
        "id,name,members\n",
    );
    has(
        &instance.run(&["explain", "ada@example.org"]).ok().out,
        &["removed: deleted in the directory; held back by sync.limitRemovals: bwdc approve lets it through"],
    );
    let new = json(&instance.run(&["explain", "u5", "--json"]).ok());
    assert_eq!(
        (&new["verdict"]["code"], &new["next"]["members"][0]["cause"]),
        (&json!("changes"), &json!("new"))
    );
    has(
        &instance.run(&["explain", "Sales"]).ok().out,
        &["not among the directory's groups any more", "(sync.vanishedGroups)"],
    );
    // Two people with one address stop a sync; the explanation says so all the same.
    instance.company(
        "id,email\nu1,ada@example.org\nu2,bob@example.org\nu9,bob@example.org\n",
        "id,name,members\n",
    );
    has(
        &instance.run(&["explain", "bob@example.org"]).ok().out,
        &["2 accounts have the e-mail address bob@example.org: u2; u9", "nothing is sent"],
    );
    has(&instance.run(&["explain", "u1"]).ok().out, &["The next sync would send nothing"]);
}

/// A server whose members nobody can read: what our own imports did is told, with when and why, and nothing is made up.
#[test]
fn on_vaultwarden_the_imports_are_told_and_nothing_is_invented() {
    let organization = Organization::start(Options { flavour: Flavour::Vaultwarden, ..Options::default() });
    let company = "id,name,members\ng1,Staff,u1;u2\n";
    let instance =
        Instance::files("id,email\nu1,ada@example.org\nu2,bob@example.org\n", company, &organization);
    instance.change(|data| data["sync"]["removeMissing"] = true.into());
    instance.run(&["sync"]).ok();
    let bob = instance.run(&["explain", "bob@example.org"]).ok().out;
    has(
        &bob,
        &[
            "Imported, and not left since; the next sync changes nothing.",
            "In the organization, by earlier imports",
            "not known",
            "by the run ",
            ": bob@example.org invite: new in the directory; group Staff, create: 2 join",
        ],
    );
    assert!(!bob.contains("confirmed"), "{bob}");
    instance.company("id,email\nu2,robert@example.org\n", company);
    instance.run(&["sync"]).ok();
    // It keeps the former address as a member of its own.
    for form in [&["explain", "bob@example.org"][..], &["explain", "--offline", "bob@example.org"]] {
        let bob = instance.run(form).ok().out;
        let words = "bob@example.org is a former address: it is robert@example.org now. It was given up with the run ";
        has(&bob, &[words, " (the id has another address in the directory)"]);
    }
    let robert = instance.run(&["explain", "robert@example.org"]).ok().out;
    has(&robert, &["robert@example.org invite: new in the directory"]);
    assert!(!robert.contains("former address"), "{robert}");
    let ada = instance.run(&["explain", "ada@example.org"]).ok().out;
    has(
        &ada,
        &[
            "Has left at ",
            " (no longer in the directory (sync.removeMissing)). Vaultwarden keeps the member, revoked",
            ": ada@example.org revoke: no longer in the directory; group Staff, update: ",
        ],
    );
    assert!(!ada.contains("not every place"), "{ada}");
    // People read the time of this machine, machines ISO 8601.
    assert!(!ada.contains("Z ("), "{ada}");
    let value = json(&instance.run(&["explain", "ada@example.org", "--json"]).ok());
    let member = &value["members"][0];
    assert_eq!((&member["status"], &member["role"]), (&json!("revoked"), &Value::Null), "{member}");
    assert!(value["verdict"]["text"].as_str().unwrap().contains("Z (no longer in the directory"), "{value}");
    let value = json(&instance.run(&["explain", "u2", "--json"]).ok());
    let member = &value["members"][0];
    assert_eq!((&member["status"], &member["role"]), (&Value::Null, &Value::Null), "{member}");
}

#[test]
fn nobody_and_several_are_told_with_exit_1() {
    let (_organization, instance) = company();
    let nobody = instance.run(&["explain", "nobody@example.org"]);
    assert_eq!(nobody.code, 1);
    has(
        &nobody.out,
        &["nobody@example.org was not found.", "4 people and 2 groups", "the organization: 4 members"],
    );
    let value = instance.run(&["explain", "nobody@example.org", "--json"]);
    assert_eq!((value.code, &json(&value)["found"]), (1, &json!(false)));
    instance.company("id,email\nu1,ada@example.org\n", "id,name,members\ng1,Team,u1\ng2,Team,\n");
    let several = instance.run(&["explain", "team"]);
    assert_eq!(several.code, 1);
    has(&several.out, &["Several have the name team.", "g1", "g2"]);
    instance.run(&["explain", " "]).fails(1, &["WHO is empty"]);
}

/// Neither rows of the directory nor runs of the one are told of the other.
#[test]
fn a_person_and_a_group_with_one_id_are_told_apart() {
    let organization = Organization::start(Options::default());
    let instance =
        Instance::files("id,email\n7,ada@example.org\n", "id,name,members\n7,Board,7\n", &organization);
    instance.run(&["sync"]).ok();
    for form in [&["explain", "7"][..], &["explain", "--offline", "7"]] {
        let both = instance.run(form);
        assert_eq!(both.code, 1);
        has(&both.out, &["person", "ada@example.org", "group", "Board", "user:ID or group:ID"]);
    }
    let of = |who: &str| json(&instance.run(&["explain", who, "--json"]).ok());
    let ids = |value: &Value| -> Vec<Value> {
        let entries = value["lookups"][0]["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["attributes"].clone()).collect()
    };
    let runs = |value: &Value| value["history"][0]["entries"].as_array().unwrap().clone();
    let (person, group) = (of("user:7"), of("group:7"));
    assert_eq!((&person["subject"], ids(&person).len()), (&json!("person"), 1), "{person}");
    assert_eq!(
        (ids(&person)[0]["email"].clone(), ids(&group)[0]["name"].clone()),
        (json!(["ada@example.org"]), json!(["Board"]))
    );
    assert_eq!((&group["subject"], ids(&group).len()), (&json!("group"), 1), "{group}");
    assert!(runs(&person).iter().any(|entry| entry["member"].is_object()), "{person}");
    assert!(runs(&group).iter().all(|entry| entry["group"].is_object()), "{group}");
}

#[test]
fn offline_nothing_is_asked() {
    let (organization, instance) = company();
    std::fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
    let requests = organization.requests_of(|| {
        let ada = instance.run(&["explain", "--offline", "ada@example.org"]).ok().out;
        has(&ada, &["From our own records alone.", "imported, and not left since", "Runs", "Staff"]);
        let nobody = instance.run(&["explain", "--offline", "nobody@example.org"]);
        assert_eq!(nobody.code, 1);
        has(&nobody.out, &["earlier imports: 3 people"]);
    });
    assert_eq!(requests, Vec::<String>::new());
    Instance::empty().run(&["explain", "--offline", "x"]).fails(1, &["Nothing is known from earlier runs"]);
}

/// An address that somebody had is found by the record of the runs, live and offline: with the one of today, and since when.
#[test]
fn a_former_address_leads_to_the_person() {
    let (organization, instance) = company();
    let edit =
        Edit::SetEmail { member: "ada@example.org".to_owned(), email: "married@example.org".to_owned() };
    organization.sandbox.edit(edit).unwrap();
    instance.company(
        "id,email\nu1,married@example.org\nu2,bob@example.org\n",
        "id,name,members\ng1,Staff,u1;u2\n",
    );
    instance.run(&["sync"]).ok();
    for form in [&["explain", "ADA@example.org"][..], &["explain", "--offline", "ADA@example.org"]] {
        let told = instance.run(form).ok().out;
        let words = "ADA@example.org is a former address: it is married@example.org now. It was last known to the run ";
        has(&told, &["ADA@example.org (person)", words, "; it is another since.", "Runs"]);
    }
    // A later run knew her by the other one.
    instance.company(
        "id,email,status\nu1,married@example.org,left\nu2,bob@example.org,\n",
        "id,name,members\ng1,Staff,u2\n",
    );
    instance.run(&["sync"]).ok();
    let value = json(&instance.run(&["explain", "ada@example.org", "--json"]).ok());
    let former = &value["former"];
    assert_eq!(
        (&former["email"], &former["externalId"], &former["now"], &former["since"]),
        (&json!("ada@example.org"), &json!("u1"), &json!("married@example.org"), &value["history"][0]["at"]),
        "{value}"
    );
    assert_eq!(former["lastRun"], value["history"].as_array().unwrap().last().unwrap()["run"]);
    let never = instance.run(&["explain", "nobody@example.org", "--json"]);
    assert_eq!((never.code, &json(&never)["found"]), (1, &json!(false)));
}

/// Where it cannot be read, the way that is left is told, besides what is wrong; and that way answers.
#[test]
fn an_organization_out_of_reach_leaves_the_records() {
    let (organization, instance) = company();
    drop(organization);
    let words = ["bwdc explain --offline WHO", "answers from the last run's record"];
    instance.run(&["explain", "ada@example.org"]).fails(1, &words);
    has(
        &instance.run(&["explain", "--offline", "ada@example.org"]).ok().out,
        &["imported, and not left since"],
    );
}

/// Whom the last import left out, and why, is known without reading anything.
#[test]
fn offline_the_last_import_says_whom_it_left_out() {
    let (_organization, instance) = company();
    let offline = |who: &str| instance.run(&["explain", "--offline", who]).ok().out;
    assert!(!offline("ada@example.org").contains("The last import left it out"));
    instance.change(|data| data["sync"]["userFilter"] = "exclude:ada@example.org".into());
    instance.run(&["sync"]).ok();
    std::fs::remove_dir_all(instance.data_folder().join("company")).unwrap();
    has(&offline("ada@example.org"), &["The last import left it out: left out by the user filter."]);
    assert!(!offline("bob@example.org").contains("The last import left it out"));
    let value = json(&instance.run(&["explain", "--offline", "u1", "--json"]).ok());
    assert_eq!(value["leftOutLast"], json!(["left out by the user filter"]));
    let nobody = instance.run(&["explain", "--offline", "nobody@example.org"]);
    assert_eq!(nobody.code, 1);
    has(&nobody.out, &["the entries that the last import left out: 2, by name only in the log"]);
    // It need not be there.
    std::fs::remove_file(instance.data_folder().join("last-import.json")).unwrap();
    assert!(!offline("ada@example.org").contains("The last import left it out"));
}

/// In a merge it is said which directory has somebody, and which one's entry is imported.
#[test]
fn a_merge_says_from_which_directory_somebody_comes() {
    let organization = Organization::start(Options::default());
    let mut machine = Machine::new();
    machine.add("hq", &organization, "h1,ann@example.org,\n", "hs,Staff,h1\n");
    machine.add("berlin", &organization, "b1,ann@example.org,\nb2,eva@example.org,\n", "bs,Team,b1;b2\n");
    machine.toml(
        "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
         [organization.acme]\nmerge = [\"hq\", \"berlin\"]\n",
    );
    let explained = |who: &str| machine.run(&["explain", who, "--instance", "acme"]).ok().out;
    let eva = explained("eva@example.org");
    has(
        &eva,
        &[
            "Steps in berlin",
            "Groups in berlin",
            "Not in the directory hq",
            "invited: new among the people to import",
        ],
    );
    assert!(!eva.contains("Steps in hq"), "{eva}");
    has(
        &explained("ann@example.org"),
        &[
            "Steps in hq",
            "Steps in berlin",
            "ann@example.org is imported under the external id h1",
            "Staff",
            "Team",
        ],
    );
    let ann = json(&machine.run(&["explain", "b1", "--instance", "acme", "--json"]).ok());
    let last =
        |at: usize| ann["directories"][at]["entries"][0]["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&ann["directories"][0]["directory"], &last(0)["effect"], &last(1)["step"], &last(1)["effect"]),
        (&json!("hq"), &json!("passed"), &json!("merge"), &json!("leftOut")),
        "{ann}"
    );
    assert_eq!(
        machine.run(&["explain", "Team", "--instance", "acme"]).ok().out.matches("Steps in berlin").count(),
        1
    );
}

fn directory() -> Slapd {
    let mut head = Vec::new();
    ldif::head(&mut head).unwrap();
    let person = |uid: &str, more: &str| {
        format!(
            "dn: uid={uid},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid} (x) Doe\nsn: Doe\n\
             mail: {uid}@example.org\nuserPassword: {PASSWORD_OF_ADA}\n{more}\n"
        )
    };
    let people = [
        person("ada", "employeeType: staff\n"),
        person("eve", "employeeType: guest\n"),
        person("bob", "employeeType: staff\n"),
    ];
    let groups = "dn: cn=sales,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: sales\n\
                  member: uid=ada,ou=people,dc=example,dc=org\n\n";
    Slapd::with(&format!("{}{}{groups}", String::from_utf8(head).unwrap(), people.concat()))
}

#[test]
fn an_ldap_directory_names_the_clause_and_the_attributes_and_never_a_password() {
    let slapd = directory();
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    instance.change(|data| data["sync"]["userFilter"] = "(&(employeeType=staff)(mail=*))".into());
    instance.run(&["sync"]).ok();
    let eve = instance.run(&["explain", "eve@example.org"]).ok().out;
    has(
        &eve,
        &[
            "not matched by the search for people (sync.userFilter)",
            "uid=eve,ou=people,dc=example,dc=org",
            "(employeeType=staff)",
            "does not match",
        ],
    );
    let value = json(&instance.run(&["explain", "eve@example.org", "--json"]).ok());
    let clauses = value["lookups"][0]["entries"][0]["clauses"].as_array().unwrap();
    let failing: Vec<&Value> =
        clauses.iter().filter(|clause| clause["matches"] == json!(false)).map(|c| &c["clause"]).collect();
    assert_eq!(failing, [&json!("(employeeType=staff)"), &json!("(&(objectClass=groupOfNames))")]);
    assert_eq!(value["lookups"][0]["entries"][0]["attributes"]["mail"], json!(["eve@example.org"]));
    // By its name with brackets, by its DN, and the group.
    let by_name = instance.run(&["explain", "ada (x) Doe"]).ok().out;
    has(&by_name, &["ada@example.org", "A member, and the next sync changes nothing.", "sales"]);
    has(&instance.run(&["explain", "UID=Ada, OU=people,DC=example,DC=org"]).ok().out, &["ada@example.org"]);
    has(&instance.run(&["explain", "sales"]).ok().out, &["sales (group)", "1 member"]);
    for who in ["ada@example.org", "eve@example.org", "sales"] {
        for form in [&["explain", who][..], &["explain", who, "--json"]] {
            let ran = instance.run(form).ok();
            let told = format!("{}{}", ran.out, ran.err);
            assert!(
                !told.contains(PASSWORD_OF_ADA) && !told.to_lowercase().contains("userpassword"),
                "{told}"
            );
        }
    }
    // An asterisk stands for itself.
    assert_eq!(instance.run(&["explain", "*"]).code, 1);
}
