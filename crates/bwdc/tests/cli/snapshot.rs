//! `snapshot` and `replay`: the plan of every kind of directory and both kinds of server, without anybody's data.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bwdc_sandbox::{Flavour, Options};
use bwdc_testkit::{Slapd, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};
use crate::machine::Machine;

/// Both kinds of server.
pub const FLAVOURS: [Flavour; 2] = [Flavour::Official, Flavour::Vaultwarden];

/// An organization of this kind.
pub fn organization(flavour: Flavour) -> Organization {
    Organization::start(Options { flavour, ..Options::default() })
}

/// The plan of a snapshot is that of the directory, and nothing in the file is anybody's.
pub fn replays_the_plan(run: impl Fn(&[&str]) -> Ran, folder: &Path, planted: &[&str]) -> Value {
    let file = folder.join("snapshot.json");
    let path = file.to_str().unwrap();
    let plan = json_of(&run(&["plan", "--json"]).ok());
    run(&["snapshot", path]).ok();
    // Elsewhere: without a key, a data.json or a network.
    let elsewhere = Instance::empty();
    let replayed = json_of(&elsewhere.run(&["replay", path, "--json"]).ok());
    assert!(!elsewhere.data_file().exists());
    assert_eq!(without_names(&replayed), without_names(&plan));
    let text = fs::read_to_string(&file).unwrap();
    assert_private(&file);
    let mut values: Vec<String> = planted.iter().map(|&text| text.to_owned()).collect();
    for key in ["organization", "members", "groups", "addresses"] {
        texts(&plan[key], &mut values);
    }
    for value in values.iter().filter(|value| value.len() >= 5 && !WORDS.contains(&value.as_str())) {
        assert_absent(value, &text);
    }
    replayed
}

/// Words of a plan that are nobody's.
const WORDS: [&str; 12] = [
    "official",
    "vaultwarden",
    "invite",
    "stage",
    "adopt",
    "relink",
    "restore",
    "revoke",
    "remove",
    "create",
    "update",
    "deleted",
];

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap()
}

/// What is done and why, in numbers.
fn without_names(plan: &Value) -> Value {
    let of = |entries: &Value| {
        let number = |entry: &Value, key: &str| entry[key].as_array().map_or(0, Vec::len);
        let entry = |entry: &Value| {
            let lists = ["join", "leave", "heldLeave"].map(|key| number(entry, key));
            format!("{} {} {} {lists:?}", entry["action"], entry["cause"], entry["held"])
        };
        let mut all: Vec<String> = entries.as_array().unwrap().iter().map(entry).collect();
        all.sort();
        all
    };
    let mut codes: Vec<&str> = plan["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    let mut summary = plan["summary"].clone();
    summary.as_object_mut().unwrap().remove("seats");
    json!({
        "summary": summary, "members": of(&plan["members"]), "groups": of(&plan["groups"]), "warnings": codes,
        "limits": plan["limits"], "kind": plan["organization"]["kind"], "basis": plan["basis"], "coverage": plan["coverage"],
    })
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            // The keys of `addresses` are ids.
            if value.is_string() && key.contains(|c: char| !c.is_ascii_alphabetic()) {
                found.push(key.clone());
            }
            texts(value, found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Neither as it is, nor in other case, nor encoded.
fn assert_absent(value: &str, text: &str) {
    let hex = |value: &str| {
        value.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    let percent = |value: &str| {
        value.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02x}");
            }
            text
        })
    };
    let lower = text.to_lowercase();
    for form in [value.to_owned(), value.to_lowercase(), value.to_uppercase()] {
        for encoded in [form.clone(), hex(&form), percent(&form)] {
            assert!(!lower.contains(&encoded.to_lowercase()), "{value} is in the file as {encoded}");
        }
        // Wherever it begins in what was encoded.
        for rest in (0..3).filter_map(|skipped| form.as_bytes().get(skipped..)).filter(|rest| rest.len() >= 6)
        {
            assert!(!text.contains(&base64(rest)), "{value} is in the file in base64");
        }
    }
}

/// Without what depends on the length.
fn base64(text: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.chunks_exact(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        encoded.extend([18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63])));
    }
    encoded
}

#[cfg(unix)]
fn assert_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn assert_private(_file: &Path) {}

#[test]
fn of_ldap() {
    let slapd = Slapd::with(&ldif::small(30, 6, 5));
    for flavour in FLAVOURS {
        let organization = organization(flavour);
        let instance = Instance::ldap(&slapd, &organization);
        let replayed = replays_the_plan(
            |arguments| instance.run(arguments),
            &instance.data_folder(),
            &["dc=example", "example.org", "ou=people", "user1@", "group1", "127.0.0.1"],
        );
        assert_eq!(replayed["summary"]["groupsCreated"], 6, "{replayed}");
        instance.run(&["sync"]).ok();
        replays_the_plan(
            |arguments| instance.run(arguments),
            &instance.data_folder(),
            &["example", "group1"],
        );
    }
}

#[test]
fn of_files_with_everything_planted() {
    let users = "id,email,status\nid-planted-1,one.planted@planted.example,\nid-planted-2,two@planted.example,\n\
                 id-planted-3,planted three,\nid-planted-4,four@planted.example,deleted\nid-planted-5,five@planted.example,disabled\n";
    let groups = "id,name,members\ngid-planted,Planted Staff,id-planted-1;id-planted-2;nobody-planted\ngid-2,Other,id-planted-2\n";
    for flavour in FLAVOURS {
        let organization = organization(flavour);
        let instance =
            Instance::files(&users.replace("planted three", "three@planted.example"), groups, &organization);
        instance.change(|data| {
            data["sync"]["groupFilter"] = "include:Planted Staff,Planted Nobody".into();
            data["sync"]["userFilter"] = "exclude:planted@planted.example".into();
            data["sync"]["protect"] = "planted@x.example,id-planted-9,group:Planted Board".into();
        });
        let run = |arguments: &[&str]| instance.run(arguments);
        replays_the_plan(run, &instance.data_folder(), &["planted"]);
        instance.run(&["sync"]).ok();
        instance.company(
            &users
                .replace("planted three", "renamed@planted.example")
                .replace("id-planted-2", "id-planted-7"),
            groups,
        );
        replays_the_plan(run, &instance.data_folder(), &["planted", "staff"]);
        // A bad record: the plan is refused, and the snapshot that shows it is not.
        instance.company(users, "id,name,members\ngid-planted,Planted Staff,id-planted-1;id-planted-3\n");
        instance.run(&["plan"]).fails(1, &["planted three"]);
        let file = instance.data_folder().join("bad.json");
        let path = file.to_str().unwrap();
        instance.run(&["snapshot", path]).ok();
        assert_absent("planted", &fs::read_to_string(&file).unwrap());
        let ran = Instance::empty().run(&["replay", path]).fails(1, &["is not an e-mail address"]);
        assert!(!ran.err.to_lowercase().contains("planted"), "{}", ran.err);
    }
}

#[test]
fn what_refuses_a_plan_refuses_its_replay_with_the_same_objections() {
    let organization = organization(Flavour::Official);
    let instance =
        Instance::files("id,email,status\nu1,ann@example.org,deleted\n", "id,name,members\n", &organization);
    instance.change(|data| data["sync"]["overwriteExisting"] = true.into());
    let said =
        |ran: Ran| ran.fails(5, &["No active people were found"]).err.matches("No active people").count();
    let file = instance.data_folder().join("refused.json");
    let path = file.to_str().unwrap();
    instance.run(&["snapshot", path]).ok();
    assert_eq!((said(instance.run(&["plan"])), said(Instance::empty().run(&["replay", path]))), (1, 1));
}

#[test]
fn of_a_merge_with_a_prefix() {
    for flavour in FLAVOURS {
        let organization = organization(flavour);
        let mut machine = Machine::new();
        machine.add("hq", &organization, "h1,ann@example.org,\nh2,joe@example.org,\n", "hs,Staff,h1;h2\n");
        machine.add(
            "berlin",
            &organization,
            "b1,eva@example.org,\nb2,joe@example.org,\n",
            "bs,Staff,b1;b2\n",
        );
        machine.toml(
            "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
             [organization.acme]\nmerge = [\"hq\", \"berlin\"]\nprefix = { berlin = \"Berlin / \" }\n",
        );
        let run = |arguments: &[&str]| machine.run(&[arguments, &["--instance", "acme"]].concat());
        let run = |arguments: &[&str]| {
            if arguments[0] == "replay" { machine.run(arguments) } else { run(arguments) }
        };
        let planted = ["berlin", "example.org", "staff"];
        let replayed = replays_the_plan(run, &machine.path("hq"), &planted);
        assert_eq!(
            (&replayed["summary"]["invite"], &replayed["summary"]["groupsCreated"]),
            (&3.into(), &2.into())
        );
        machine.run(&["sync", "--all"]).ok();
        let replayed = replays_the_plan(run, &machine.path("hq"), &planted);
        assert_eq!(replayed["groups"], json!([]), "a prefix is part of the name");
        machine.people("berlin", "b1,eva@example.org,left\nb2,joe@example.org,\n", "bs,Personal,b2\n");
        replays_the_plan(run, &machine.path("hq"), &planted);
    }
}

#[test]
fn of_one_place_they_are_equal_but_for_the_time_and_the_key_stays_at_home() {
    let organization = organization(Flavour::Official);
    let instance =
        Instance::files("id,email,status\nu1,ann@example.org,\n", "id,name,members\n", &organization);
    let snapshot = |name: &str| {
        let file = instance.data_folder().join(name);
        let ran = instance.run(&["snapshot", file.to_str().unwrap()]).ok();
        assert!(ran.out.contains("1 person, 0 groups, 1 directory"), "{}", ran.out);
        (fs::read_to_string(file).unwrap(), ran)
    };
    let ((first, ran), (second, _)) = (snapshot("first.json"), snapshot("second.json"));
    let users = |text: &str| {
        serde_json::from_str::<Value>(text).unwrap()["directories"][0]["snapshot"]["users"].clone()
    };
    assert_eq!(users(&first), users(&second));
    let key = instance.data_folder().join("snapshot.key");
    assert_private(&key);
    let key = fs::read_to_string(key).unwrap();
    assert!(![&first, &ran.out, &ran.err].iter().any(|text| text.contains(key.trim())));
    let replayed =
        Instance::empty().run(&["replay", instance.data_folder().join("first.json").to_str().unwrap()]).ok();
    assert!(replayed.err.contains("1 person, 0 groups, 1 directory"), "{}", replayed.err);
    assert!(replayed.out.contains("People invited (1)"), "{}", replayed.out);
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let instance = Instance::empty();
    fs::create_dir_all(instance.data_folder()).unwrap();
    let file = instance.data_folder().join("file.json");
    let cases: [(&[u8], &str); 6] = [
        (b"id,email\n", "it is not a snapshot of bwdc"),
        (b"\xff\xfe", "it is not a snapshot of bwdc"),
        (br#"{"object":"plan","version":1}"#, "it is not a snapshot of bwdc"),
        (br#"{"object":"snapshot","version":2}"#, "its form is 2, and this version of bwdc knows 1"),
        (br#"{"object":"snapshot","version":1}"#, "it is damaged or was changed"),
        (br#"{"object":"snapshot","#, "it is damaged (line 1"),
    ];
    for (content, why) in cases {
        fs::write(&file, content).unwrap();
        instance.run(&["replay", file.to_str().unwrap()]).fails(1, &["is not replayed", why]);
    }
    instance.run(&["replay", "nowhere.json"]).fails(1, &["Reading the snapshot nowhere.json"]);
}

#[test]
fn no_other_file_is_overwritten() {
    let organization = organization(Flavour::Official);
    let instance = Instance::files("id,email\n1,a@x.org\n", "id,name,members\n", &organization);
    let file = instance.data_folder().join("notes.json");
    let path = file.to_str().unwrap();
    fs::write(&file, "{}").unwrap();
    instance.run(&["snapshot", path]).fails(
        1,
        &["notes.json is there already: it is no snapshot. It is not overwritten.", "Name another file"],
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    fs::write(&file, "").unwrap();
    instance.run(&["snapshot", path]).ok();
    instance.run(&["snapshot", path]).ok();
}
