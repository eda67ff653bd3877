//! What waits for an administrator, as a document.

use bwdc_core::organization::changes::Action;
use bwdc_core::organization::limits::Deed;
use bwdc_core::organization::pending::{Pending, Way};
use bwdc_core::organization::roster::{Kind, Status};
use bwdc_core::organization::settings::{Absent, Limit, OnLimit, Protect, Settings, VanishedGroups};
use bwdc_core::organization::{Moment, Question, Span};
use serde_json::{Value, json};

use crate::made::member;
use crate::ops::Op::*;
use crate::today::{company, settings};
use crate::world::{Fault, Reading, World};

fn written(moment: Moment) -> String {
    format!("T{}", moment.0)
}

fn pending(world: &World) -> Pending {
    let (ledger, directory, roster, changes, _) = world.compute(Reading::Everything);
    let question = Question {
        directory: &directory,
        roster: &roster,
        ledger: &ledger,
        settings: &world.settings,
        now: world.now,
    };
    let pending = Pending::of(&question, &changes, written);
    let text = serde_json::to_string(&pending).unwrap();
    assert_eq!(serde_json::from_str::<Pending>(&text).unwrap(), pending);
    pending
}

fn value(pending: &Pending) -> Value {
    serde_json::to_value(pending).unwrap()
}

#[test]
fn nothing_waits_in_a_company_in_step() {
    let pending = pending(&company(Kind::Official, 3, settings()));
    assert!(pending.is_empty() && pending.held_besides.is_empty());
    assert_eq!(pending.object, "pending");
}

#[test]
fn leavers_over_the_limit_are_named() {
    let mut world = company(Kind::Official, 3, Settings { limit_removals: Limit::Number(0), ..settings() });
    world.play(&Delete(1));
    let pending = pending(&world);
    let member_id =
        world.server.members().find(|member| member.email.as_str() == "a1@x.org").unwrap().id.to_string();
    let expected = json!([{
        "limit": "removals", "allowed": 0, "wanted": 1,
        "people": [{"email": "a1@x.org", "externalId": "id1v3", "memberId": member_id, "directoryId": null,
            "action": "remove", "cause": "deleted"}],
        "groups": [], "memberships": [],
    }]);
    assert_eq!(value(&pending)["held"], expected);
    assert!(pending.held_besides.is_empty(), "a held leaver's memberships are no change");
}

#[test]
fn memberships_lost_are_named_with_their_groups() {
    let mut world = company(Kind::Official, 3, Settings { limit_leaves: Limit::Number(1), ..settings() });
    world.play(&Quit(0, 1));
    world.play(&Quit(0, 2));
    let pending = pending(&world);
    let held = &pending.held[0].held;
    let names: Vec<_> = held
        .memberships
        .iter()
        .map(|lost| (lost.group.as_str(), lost.person.email.as_str(), lost.action))
        .collect();
    assert_eq!(names, [("Group 0", "a1@x.org", Way::Leave), ("Group 0", "a2@x.org", Way::Leave)]);
    assert!(held.people.is_empty() && held.groups.is_empty());
}

#[test]
fn a_group_whose_end_is_held_is_named_with_its_members() {
    let mut world = company(Kind::Official, 3, settings());
    world.settings.vanished_groups = VanishedGroups::Delete;
    world.play(&DropGroup(0));
    let pending = pending(&world);
    let held = &pending.held[0].held;
    assert_eq!((held.groups[0].name.as_str(), held.memberships.len()), ("Group 0", 3));
    assert_eq!(value(&pending)["held"][0]["groups"][0]["action"], "delete");
    assert_eq!(
        (pending.vanished_groups[0].name.as_str(), pending.vanished_groups[0].members),
        ("Group 0", 3)
    );
}

#[test]
fn repairs_over_the_limit_are_named() {
    let mut world = company(Kind::Official, 3, Settings { limit_repairs: Limit::Number(0), ..settings() });
    world.play(&HandRemove(1));
    world.play(&HandRename(0));
    world.play(&HandQuit(0, 2));
    let pending = pending(&world);
    let held = &pending.held[0].held;
    assert_eq!(held.people[0].person.email, "a1@x.org");
    assert_eq!(held.groups[0].name, "Group 0");
    assert!(held.groups[0].renamed_from.is_some());
    let emails: Vec<&str> = held.memberships.iter().map(|edge| edge.person.email.as_str()).collect();
    assert!(emails.contains(&"a2@x.org"), "{emails:?}");
}

#[test]
fn a_run_that_is_stopped_names_everything() {
    let stop = Settings { on_limit: OnLimit::Stop, limit_removals: Limit::Number(0), ..settings() };
    let mut world = company(Kind::Official, 3, stop);
    world.play(&Delete(1));
    world.play(&Hire(9));
    world.play(&Join(0, 9));
    world.play(&MakeGroup(3));
    let pending = pending(&world);
    assert!(pending.stopped);
    assert_eq!(pending.held[0].held.people.len(), 1);
    let besides = &pending.held_besides;
    assert_eq!(besides.people[0].person.email, "a9@x.org");
    assert!(
        besides.memberships.iter().any(|edge| edge.person.email == "a9@x.org" && edge.group == "Group 0")
    );
    assert_eq!(besides.groups[0].name, "Group 3");
}

#[test]
fn people_in_grace_are_named_until_they_are_removed() {
    let mut world = company(Kind::Official, 12, Settings { grace: Span::days(3), ..settings() });
    world.play(&Delete(1));
    let since = world.now;
    world.play(&Sync(Fault::None));
    for days in [0, 4] {
        world.pass(Span::days(days));
        let pending = pending(&world);
        let [waiting] = &pending.in_grace[..] else { panic!("{pending:#?}") };
        assert_eq!(waiting.person.email, "a1@x.org");
        assert_eq!((&waiting.since, &waiting.until), (&written(since), &written(since.plus(Span::days(3)))));
        assert_eq!(value(&pending)["inGrace"][0]["cause"], "deleted");
    }
}

#[test]
fn the_protected_and_what_is_to_be_mended_are_named() {
    let protect = Protect::parse("a1@x.org");
    let mut world = company(Kind::Official, 5, Settings { protect, absent: Absent::Missing, ..settings() });
    world.play(&Vanish(1));
    world.play(&NewId(2));
    world.play(&NewAddress(3));
    world.server.put_member(member("b", "twin", Status::Confirmed));
    world.server.put_member(member("c", "twin", Status::Confirmed));
    let pending = pending(&world);
    let value = value(&pending);
    assert_eq!(value["protected"][0]["email"], "a1@x.org");
    assert_eq!(
        (&value["protected"][0]["cause"], &value["protected"][0]["by"]),
        (&json!("missing"), &json!("protection"))
    );
    let codes: Vec<&Value> =
        value["toMend"].as_array().unwrap().iter().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, [&json!("addressDiffers"), &json!("idChanged"), &json!("duplicateExternalId")]);
    let text = value["toMend"][2]["text"].as_str().unwrap();
    assert!(text.contains("b@x.org, c@x.org"), "{text}");
}

#[test]
fn approvals_name_whom_they_are_about() {
    let limits = Settings { limit_removals: Limit::Number(0), limit_leaves: Limit::Number(0), ..settings() };
    let mut world = company(Kind::Official, 5, limits);
    world.play(&Delete(1));
    world.play(&Quit(0, 2));
    let seen = pending(&world);
    let (.., changes, _) = world.compute(Reading::Everything);
    world.ledger = world.ledger.clone().approved(&changes, world.now);
    let approved = &pending(&world).approved;
    assert_eq!(pending(&world).held, []);
    let until = written(world.now.plus(Span::DAY));
    assert!(approved.iter().all(|approval| approval.until == until));
    assert_eq!(approved[0].subjects[0].email.as_deref(), Some("a1@x.org"));
    assert_eq!(approved[1].subjects[0].email.as_deref(), Some("a2@x.org"));
    assert_eq!(approved[1].subjects[0].group.as_deref(), Some("Group 0"));
    let actions = approved.iter().map(|approval| approval.subjects[0].action);
    let expected = [Deed::Member(Action::Remove), Deed::Membership(Way::Leave)];
    assert_eq!(actions.collect::<Vec<_>>(), expected.map(Some));
    assert!(seen.has_shown(&pending(&world)), "nothing is held any more");
    world.play(&Delete(3));
    assert!(!seen.has_shown(&pending(&world)), "somebody else leaves");
}
