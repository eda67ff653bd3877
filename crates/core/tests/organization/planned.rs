//! Plans that were written, read again and carried out: exactly what was planned, or nothing.

use bwdc_core::organization::changes::{Action, Changes, Hold};
use bwdc_core::organization::directory::Entry;
use bwdc_core::organization::document::{Document, Moved, Unusable};
use bwdc_core::organization::roster::{Kind, Status};
use bwdc_core::organization::server::{Call, carry_out};
use bwdc_core::organization::settings::{Limit, Settings};
use bwdc_core::organization::{Span, requests};
use serde_json::{Value, json};

use crate::documents::heading;
use crate::facts::{IN, Site, directory, entry, source};
use crate::made::member;
use crate::ops::Op::{self, *};
use crate::today::{company, plan, settings};
use crate::world::{Account_, Fault, World};

/// A company in which one person comes and one leaves a group.
fn moving() -> World {
    let mut world = company(Kind::Official, 3, settings());
    world.play(&Hire(9));
    world.play(&Quit(0, 1));
    world
}

fn document(changes: &Changes) -> Document {
    Document::of(changes, heading())
}

/// What is left of the changes now, by a plan.
fn limited(planned: &Document, changes: Changes) -> Result<Changes, Vec<Moved>> {
    let fresh = document(&changes);
    changes.limited_to(planned, &fresh)
}

fn moved(names: &[&str]) -> Vec<Moved> {
    names.iter().map(|name| Moved((*name).to_owned())).collect()
}

/// Addresses of people and names of groups that are not held back.
fn free(changes: &Changes) -> Vec<String> {
    let people = changes.members.iter().filter(|change| change.hold == Hold::Free);
    let people = people.map(|change| changes.slot(change.slot).unwrap().email.to_string());
    let groups = changes.groups.iter().filter(|group| group.hold == Hold::Free);
    people.chain(groups.map(|group| group.name.clone())).collect()
}

fn edited(edit: impl FnOnce(&mut Value)) -> Result<Document, Unusable> {
    let mut value = serde_json::to_value(document(&plan(&moving()).0)).unwrap();
    edit(&mut value);
    Document::parse(&value.to_string())
}

/// A change to the company or to the organization.
type EditOfWorld = Box<dyn Fn(&mut World)>;

#[test]
fn a_plan_is_read_as_it_was_written_however_it_is_laid_out() {
    let written = document(&plan(&moving()).0);
    assert_eq!(Document::parse(&serde_json::to_string_pretty(&written).unwrap()), Ok(written.clone()));
    assert_eq!(edited(|_| {}), Ok(written));
}

#[test]
fn a_plan_that_somebody_changed_is_refused() {
    let edits: [fn(&mut Value); 10] = [
        |plan| plan["members"][0]["email"] = json!("other@x.org"),
        |plan| plan["members"][0]["held"] = json!(true),
        |plan| plan["members"] = json!([]),
        |plan| plan["groups"][0]["leave"] = json!([]),
        |plan| plan["expiresAt"] = json!("2036-01-02T00:00:00Z"),
        |plan| plan["organization"]["id"] = json!("another"),
        |plan| plan["seal"] = json!(""),
        |plan| drop(plan.as_object_mut().unwrap().remove("seal")),
        // A key that this version does not know.
        |plan| plan["comment"] = json!("checked"),
        |plan| plan["members"][0]["comment"] = json!("checked"),
    ];
    for (edit, at) in edits.into_iter().zip(0..) {
        assert_eq!(edited(edit), Err(Unusable::Edited), "edit {at}");
    }
}

#[test]
fn a_plan_of_another_version_is_told_by_its_number() {
    assert_eq!(edited(|plan| plan["version"] = json!(2)), Err(Unusable::Version(2)));
    assert_eq!(edited(|plan| plan["version"] = json!("1")), Err(Unusable::Version(0)));
}

#[test]
fn what_is_no_plan_is_told_as_such() {
    let is_no_plan = |read: Result<Document, Unusable>| matches!(read, Err(Unusable::NotAPlan(_)));
    for text in
        ["", "{", "[]", "null", r#"{"object":"pending","version":1}"#, r#"{"object":"plan","version":1}"#]
    {
        assert!(is_no_plan(Document::parse(text)), "{text}");
    }
    assert!(is_no_plan(edited(|plan| plan["object"] = json!("pending"))));
    assert!(is_no_plan(edited(|plan| plan["members"][0]["action"] = json!("promote"))));
}

#[test]
fn exactly_the_plan_is_carried_out() {
    let mut world = moving();
    world.play(&Delete(2));
    let (changes, steps) = plan(&world);
    let planned = document(&changes);
    let limited = limited(&planned, changes.clone()).unwrap();
    assert_eq!(free(&limited), ["a2@x.org", "a9@x.org", "Group 0"]);
    assert_eq!((&limited.members, &limited.groups), (&changes.members, &changes.groups));
    assert!(steps.len() > 1, "{steps:#?}");
}

#[test]
fn a_plan_whose_person_or_group_has_moved_is_refused() {
    let planned = document(&plan(&moving()).0);
    let account =
        |edit: fn(&mut Account_)| move |world: &mut World| edit(world.accounts.get_mut(&9).unwrap());
    let op = |op: Op| move |world: &mut World| world.play(&op);
    let person = &["a9@x.org"][..];
    let group = &["Group 0"][..];
    let edits: Vec<(EditOfWorld, &[&str])> = vec![
        (Box::new(account(|account| account.email = Some("b9@x.org".to_owned()))), person),
        (Box::new(account(|account| account.email = None)), person),
        (Box::new(account(|account| account.id = "another".to_owned())), person),
        (Box::new(op(Vanish(9))), person),
        (Box::new(|world| world.server.put_member(member("a9", "", Status::Invited))), person),
        (Box::new(op(Join(0, 1))), group),
        (Box::new(op(Join(0, 9))), group),
        (Box::new(op(Quit(0, 2))), group),
        (Box::new(op(RenameGroup(0))), group),
        (Box::new(op(HandQuit(0, 1))), group),
        (Box::new(op(Sync(Fault::None))), &["a9@x.org", "Group 0"]),
    ];
    for ((edit, names), at) in edits.into_iter().zip(0..) {
        let mut world = moving();
        edit(&mut world);
        assert_eq!(limited(&planned, plan(&world).0).err(), Some(moved(names)), "edit {at}");
    }
}

#[test]
fn what_is_new_since_a_plan_is_left_alone() {
    let planned = document(&plan(&moving()).0);
    let mut world = moving();
    world.play(&Hire(8));
    world.play(&Delete(2));
    world.play(&MakeGroup(5));
    world.play(&Join(5, 0));
    // The tombstone's membership ends with the person, and is no change of the group.
    let (changes, _) = plan(&world);
    assert_eq!(free(&changes), ["a2@x.org", "a8@x.org", "a9@x.org", "Group 0", "Group 5"]);
    let limited = limited(&planned, changes).unwrap();
    assert_eq!(free(&limited), ["a9@x.org", "Group 0"]);
}

#[test]
fn what_a_plan_shows_as_held_is_not_carried_out() {
    let mut world = moving();
    world.play(&Delete(2));
    let with = |limit_removals| World {
        settings: Settings { limit_removals, ..world.settings.clone() },
        ..world.clone()
    };
    let tight = with(Limit::Number(0));
    let planned = document(&plan(&tight).0);
    assert!(planned.members.iter().any(|member| member.held && member.email == "a2@x.org"));
    // Since then, the limit was lifted.
    let limited = limited(&planned, plan(&with(Limit::Off)).0).unwrap();
    assert!(!free(&limited).contains(&"a2@x.org".to_owned()));
    assert!(free(&limited).contains(&"a9@x.org".to_owned()));
}

#[test]
fn invitations_are_not_sent_again_by_a_plan() {
    let mut site = Site::new(Kind::Official, Settings { reinvite: Some(Span::DAY), ..Settings::default() });
    let before = directory(&[entry("1", "a", IN)], &[source("dc=x", "")]);
    site.sync(&before);
    site.sync(&before);
    site.now = site.now.plus(Span::days(7));
    let now = directory(&[entry("1", "a", IN), entry("2", "b", IN)], &[source("dc=x", "")]);
    let changes = site.plan(&now);
    assert_eq!(changes.reinvites.len(), 1);
    let limited = limited(&document(&changes), changes).unwrap();
    assert_eq!((free(&limited), limited.reinvites.len()), (vec!["b@x.org".to_owned()], 0));
    let roster = site.roster();
    assert_eq!(requests(&site.question(&now, &roster), &limited).len(), 1);
}

/// The id of somebody who comes was another's, and that member is there again since the plan: one would have to leave first.
#[test]
fn a_planned_invitation_does_not_wait_for_a_removal_that_is_not_planned() {
    let mut site = Site::new(Kind::Official, Settings::default());
    let all = |person| directory(&[person, entry("8", "y", IN), entry("9", "z", IN)], &[source("one", "")]);
    site.sync(&all(entry("1", "old", IN)));
    let old = site.server.members().find(|member| member.email.as_str() == "old@x.org").unwrap().clone();
    carry_out(&mut site.server, &Call::Remove(old.id.clone())).unwrap();
    let now = all(Entry { created: Some(site.now), ..entry("1", "new", IN) });
    let planned = document(&site.plan(&now));
    let names: Vec<_> = planned.members.iter().map(|member| (member.action, member.email.as_str())).collect();
    assert_eq!(names, [(Action::Invite, "new@x.org")]);
    assert!(limited(&planned, site.plan(&now)).is_ok());
    site.server.put_member(old);
    let changes = site.plan(&now);
    assert_eq!(free(&changes), ["new@x.org", "old@x.org"]);
    let refused = limited(&planned, changes).err();
    assert_eq!(refused, Some(moved(&["somebody who has to leave before others come"])));
}
