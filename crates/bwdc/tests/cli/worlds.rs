//! Random companies and organizations: a plan that is carried out leaves nothing to do, and the organization is what it said.

use std::collections::{BTreeMap, BTreeSet};

use bwdc_sandbox::{Edit, Flavour, Kind, NewMember, Options, Status};
use bwdc_testkit::few;
use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{Instance, Organization};

const PEOPLE: u8 = 10;
const GROUPS: u8 = 3;
const PROTECT: &str = "p1@x.org,group:G0";

/// A change to the company or, by hand, to the organization.
#[derive(Clone, Debug)]
enum Turn {
    /// A person is in the directory, or not, with this status.
    Person(u8, Option<&'static str>),
    NewId(u8),
    NewAddress(u8),
    Join(u8, u8),
    Leave(u8, u8),
    /// A group of the directory comes or goes.
    Group(u8),
    Rename(u8),
    ByHand(Hand),
}

#[derive(Clone, Debug)]
enum Hand {
    Remove(u8),
    Revoke(u8),
    Restore(u8),
    Confirm(u8),
    NoExternalId(u8),
    Address(u8),
    Guest(u8),
    RenameGroup(u8),
    DeleteGroup(u8),
    Join(u8, u8),
    Leave(u8, u8),
}

fn hand() -> impl Strategy<Value = Hand> {
    let person = 0..PEOPLE;
    let group = 0..GROUPS;
    prop_oneof![
        person.clone().prop_map(Hand::Remove),
        person.clone().prop_map(Hand::Revoke),
        person.clone().prop_map(Hand::Restore),
        person.clone().prop_map(Hand::Confirm),
        person.clone().prop_map(Hand::NoExternalId),
        person.clone().prop_map(Hand::Address),
        person.clone().prop_map(Hand::Guest),
        group.clone().prop_map(Hand::RenameGroup),
        group.clone().prop_map(Hand::DeleteGroup),
        (group.clone(), person.clone()).prop_map(|(group, person)| Hand::Join(group, person)),
        (group, person).prop_map(|(group, person)| Hand::Leave(group, person)),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let person = 0..PEOPLE;
    let group = 0..GROUPS;
    let status = prop_oneof![
        1 => Just(None),
        2 => Just(Some("")),
        1 => Just(Some("disabled")),
        2 => Just(Some("deleted")),
    ];
    prop_oneof![
        4 => (person.clone(), status).prop_map(|(person, status)| Turn::Person(person, status)),
        1 => person.clone().prop_map(Turn::NewId),
        1 => person.clone().prop_map(Turn::NewAddress),
        2 => (group.clone(), person.clone()).prop_map(|(group, person)| Turn::Join(group, person)),
        2 => (group.clone(), person).prop_map(|(group, person)| Turn::Leave(group, person)),
        1 => group.clone().prop_map(Turn::Group),
        1 => group.prop_map(Turn::Rename),
        4 => hand().prop_map(Turn::ByHand),
    ]
}

/// Settings that every kind of server understands.
fn settings() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let one = |name: &'static str, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (name, value))
    };
    (
        one("removeMissing", &["false", "true", "outOfScope"]),
        one("removeDisabled", &["false", "true"]),
        one("grace", &["0", "7d"]),
        one("vanishedGroups", &["keep", "empty", "delete"]),
        one("relink", &["off", "address"]),
        one("onLimit", &["hold", "stop"]),
        one("limitRemovals", &["off", "off", "10%", "1"]),
        one("limitLeaves", &["off", "off", "25%", "0"]),
        one("limitRepairs", &["off", "off", "25%"]),
        one("protect", &["", PROTECT]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, j)| vec![a, b, c, d, e, f, g, h, i, j])
}

#[derive(Clone, Debug)]
struct Account {
    id: String,
    email: String,
    status: &'static str,
}

struct World {
    organization: Organization,
    instance: Instance,
    people: BTreeMap<u8, Account>,
    groups: BTreeMap<u8, (String, BTreeSet<u8>)>,
    versions: usize,
}

impl World {
    fn new(flavour: Flavour, settings: &[(&str, &str)]) -> Self {
        let organization = Organization::start(Options { flavour, ..Options::default() });
        let people = (0..PEOPLE - 2).map(|at| (at, account(at))).collect();
        let members = |group: u8| (0..PEOPLE - 2).filter(|at| at % GROUPS == group).collect();
        let groups = (0..GROUPS).map(|at| (at, (format!("G{at}"), members(at)))).collect();
        let instance = Instance::files("id,email\n", "id,name,members\n", &organization);
        instance.change(|data| {
            for (name, value) in settings.iter().filter(|(_, value)| !value.is_empty()) {
                data["sync"][*name] = match *value {
                    "true" => true.into(),
                    "false" => false.into(),
                    text => text.into(),
                };
            }
        });
        let world = Self { organization, instance, people, groups, versions: 0 };
        world.write();
        world.instance.run(&["login"]).ok();
        world
    }

    fn write(&self) {
        let users: String = self
            .people
            .values()
            .map(|Account { id, email, status }| format!("{id},{email},{status}\n"))
            .collect();
        let ids = |members: &BTreeSet<u8>| -> Vec<&str> {
            members.iter().filter_map(|at| Some(self.people.get(at)?.id.as_str())).collect()
        };
        let groups: String = self
            .groups
            .iter()
            .map(|(at, (name, members))| format!("g{at},{name},{}\n", ids(members).join(";")))
            .collect();
        self.instance.company(&format!("id,email,status\n{users}"), &format!("id,name,members\n{groups}"));
    }

    fn version(&mut self) -> usize {
        self.versions += 1;
        self.versions
    }

    fn take(&mut self, turn: &Turn) {
        let version = self.version();
        match turn {
            Turn::Person(at, None) => drop(self.people.remove(at)),
            Turn::Person(at, Some(status)) => {
                self.people.entry(*at).or_insert_with(|| account(*at)).status = status;
            }
            Turn::NewId(at) => {
                if let Some(person) = self.people.get_mut(at) {
                    person.id = format!("p{at}v{version}");
                }
            }
            Turn::NewAddress(at) => {
                if let Some(person) = self.people.get_mut(at) {
                    person.email = format!("p{at}v{version}@x.org");
                }
            }
            Turn::Join(group, at) => {
                if let Some((_, members)) = self.groups.get_mut(group) {
                    members.insert(*at);
                }
            }
            Turn::Leave(group, at) => {
                if let Some((_, members)) = self.groups.get_mut(group) {
                    members.remove(at);
                }
            }
            Turn::Group(at) => {
                if self.groups.remove(at).is_none() {
                    self.groups.insert(*at, (format!("G{at}"), BTreeSet::from([*at])));
                }
            }
            Turn::Rename(at) => {
                if let Some((name, _)) = self.groups.get_mut(at) {
                    *name = format!("G{at}v{version}");
                }
            }
            Turn::ByHand(hand) => self.by_hand(hand, version),
        }
    }

    /// Of somebody who is not there nothing can be changed.
    fn by_hand(&self, hand: &Hand, version: usize) {
        let email =
            |at: &u8| self.people.get(at).map_or_else(|| account(*at).email, |person| person.email.clone());
        let group = |at: &u8| format!("g{at}");
        let edit = match hand {
            Hand::Remove(at) => Edit::Remove(email(at)),
            Hand::Revoke(at) => Edit::Revoke(email(at)),
            Hand::Restore(at) => Edit::Restore(email(at)),
            Hand::Confirm(at) => Edit::Confirm(email(at)),
            Hand::NoExternalId(at) => Edit::SetExternalId { member: email(at), external_id: None },
            Hand::Address(at) => {
                Edit::SetEmail { member: email(at), email: format!("hand{at}v{version}@x.org") }
            }
            Hand::Guest(at) => Edit::Add(NewMember {
                email: email(at),
                external_id: None,
                status: Status::Confirmed,
                kind: Kind::User,
                has_master_password: true,
            }),
            Hand::RenameGroup(at) => Edit::RenameGroup { group: group(at), name: format!("Hand{version}") },
            Hand::DeleteGroup(at) => Edit::DeleteGroup(group(at)),
            Hand::Join(at, person) => Edit::Join { group: group(at), member: email(person) },
            Hand::Leave(at, person) => Edit::Leave { group: group(at), member: email(person) },
        };
        let is_there_already =
            matches!(hand, Hand::Guest(_)) && self.organization.member(&edit_name(&edit)).is_some();
        if !is_there_already {
            let _ = self.organization.sandbox.edit(edit);
        }
    }

    fn plan(&self) -> Value {
        let ran = self.instance.run(&["plan", "--json"]).ok();
        serde_json::from_str(&ran.out).unwrap()
    }

    /// What the organization holds: members by id with external id and whether they are revoked, groups by external id with the
    /// members' ids.
    fn holds(&self) -> Holds {
        let members = self.organization.sandbox.members().unwrap();
        let ids: BTreeMap<&str, &str> = members.iter().map(|m| (m.email.as_str(), m.id.as_str())).collect();
        let groups = self.organization.sandbox.groups().unwrap();
        Holds {
            groups: groups
                .iter()
                .map(|group| {
                    let members = group.members.iter().map(|email| ids[email.as_str()].to_owned()).collect();
                    let key = group.external_id.clone().unwrap_or_else(|| group.id.clone());
                    (key, (group.name.clone(), members))
                })
                .collect(),
            members: members
                .into_iter()
                .map(|m| (m.id, (m.email, m.external_id, m.status == Status::Revoked)))
                .collect(),
        }
    }
}

fn edit_name(edit: &Edit) -> String {
    match edit {
        Edit::Add(member) => member.email.clone(),
        _ => String::new(),
    }
}

fn account(at: u8) -> Account {
    Account { id: format!("p{at}"), email: format!("p{at}@x.org"), status: "" }
}

#[derive(Clone, Debug, PartialEq)]
struct Holds {
    members: BTreeMap<String, (String, Option<String>, bool)>,
    groups: BTreeMap<String, (String, BTreeSet<String>)>,
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// What the plan says that the organization will hold. Newcomers are known by address, since nobody knows their id.
fn predicted(before: &Holds, plan: &Value) -> Holds {
    let mut after = before.clone();
    for member in list(plan, "members").iter().filter(|member| member["held"] == false) {
        let id = text(&member["memberId"]);
        match (member["action"].as_str().unwrap(), id) {
            ("invite" | "stage", _) => {
                let email = text(&member["email"]).unwrap();
                after.members.insert(email.clone(), (email, text(&member["externalId"]), false));
            }
            ("remove", Some(id)) => {
                after.members.remove(&id);
                after.groups.values_mut().for_each(|(_, members)| {
                    members.remove(&id);
                });
            }
            (action, Some(id)) => {
                let entry = after.members.get_mut(&id).unwrap();
                match action {
                    "adopt" | "relink" => entry.1 = text(&member["externalId"]),
                    "revoke" => entry.2 = true,
                    "restore" => entry.2 = false,
                    other => panic!("unknown action {other}"),
                }
            }
            (action, None) => panic!("{action} of nobody"),
        }
    }
    let ids: BTreeMap<String, String> = after
        .members
        .iter()
        .chain(&before.members)
        .filter_map(|(id, (_, external_id, _))| Some((external_id.clone()?, id.clone())))
        .collect();
    let id = |name: &Value| {
        let name = name.as_str().unwrap();
        name.strip_prefix("member:").map_or_else(|| ids[name].clone(), str::to_owned)
    };
    for group in list(plan, "groups").iter().filter(|group| group["held"] == false) {
        let key = text(&group["externalId"]).unwrap();
        if group["action"] == "delete" {
            after.groups.remove(&key);
            continue;
        }
        let old = text(&group["groupId"]).and_then(|_| after.groups.remove(&key));
        let (_, mut members) = old.unwrap_or_default();
        members.extend(list(group, "join").iter().map(id));
        for gone in list(group, "leave").iter().map(id) {
            members.remove(&gone);
        }
        after.groups.insert(key, (text(&group["name"]).unwrap(), members));
    }
    after
}

/// By address instead of the ids that nobody could know.
fn by_address(holds: Holds) -> Holds {
    let address = |id: &String| holds.members.get(id).map_or_else(|| id.clone(), |(email, ..)| email.clone());
    Holds {
        groups: holds
            .groups
            .iter()
            .map(|(key, (name, members))| {
                (key.clone(), (name.clone(), members.iter().map(address).collect()))
            })
            .collect(),
        members: holds.members.iter().map(|(id, member)| (address(id), member.clone())).collect(),
    }
}

fn is_held(entry: &&Value) -> bool {
    entry["held"] == true
}

/// Whether all that is left to do is held back.
fn all_held(plan: &Value) -> bool {
    let groups_held = |group: &&Value| {
        is_held(group) || (list(group, "join").is_empty() && list(group, "leave").is_empty())
    };
    list(plan, "members").iter().all(|member| is_held(&member))
        && list(plan, "groups").iter().all(|group| groups_held(&group))
}

fn check(flavour: Flavour, settings: &[(&'static str, &'static str)], turns: &[Turn]) {
    let mut world = World::new(flavour, settings);
    world.instance.run(&["sync"]);
    let is_protecting = settings.contains(&("protect", PROTECT));
    for turn in turns {
        let is_left_out = match turn {
            // Somebody whom a group protects, whose account gets another address and whose entry another id, ends that protection with
            // the second run: known, and not mended.
            Turn::ByHand(Hand::Address(_)) => is_protecting || flavour == Flavour::Vaultwarden,
            Turn::ByHand(_) => flavour == Flavour::Vaultwarden,
            _ => false,
        };
        if !is_left_out {
            world.take(turn);
        }
    }
    world.write();
    let plan = world.plan();
    let before = world.holds();
    let file = world.instance.folder.path().join("plan.json");
    world.instance.run(&["plan", "--out", file.to_str().unwrap()]).ok();
    let applied = world.instance.run(&["apply", file.to_str().unwrap()]);
    let any_held = list(&plan, "limits").iter().any(|limit| limit["tripped"] == true);
    assert_eq!(applied.code, if any_held { 5 } else { 0 }, "{plan:#}\n{}", applied.err);
    if flavour == Flavour::Official {
        assert_eq!(by_address(world.holds()), by_address(predicted(&before, &plan)), "{plan:#}");
    }
    let again = world.plan();
    assert!(all_held(&again), "first {plan:#}\nthen {again:#}");
    if !any_held {
        assert!(list(&again, "members").is_empty() && list(&again, "groups").is_empty(), "{again:#}");
    }
}

/// Twenty worlds take a few seconds; PROPTEST_CASES asks for more.
fn worlds() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => few(),
        None => ProptestConfig { cases: 20, ..few() },
    }
}

proptest! {
    #![proptest_config(worlds())]

    #[test]
    fn what_a_plan_says_is_what_its_application_does(settings in settings(), turns in prop::collection::vec(turn(), 0..14)) {
        check(Flavour::Official, &settings, &turns);
    }

    #[test]
    fn on_vaultwarden_too_nothing_is_left_to_do(settings in settings(), turns in prop::collection::vec(turn(), 0..14)) {
        check(Flavour::Vaultwarden, &settings, &turns);
    }
}
