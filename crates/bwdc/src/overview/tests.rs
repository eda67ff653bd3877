use bwdc_core::organization::document::Document;
use bwdc_core::organization::pending::Pending;
use bwdc_testkit::{damaged_text, few};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Form, Overview};

fn empty_plan() -> Value {
    json!({
        "object": "plan", "version": 1, "createdAt": "2026-01-01T00:00:59Z", "expiresAt": "2026-01-02T00:00:00Z",
        "organization": {"id": "org", "server": "https://x.org", "kind": "official"},
        "basis": "live", "coverage": "full", "members": [], "groups": [], "warnings": [], "limits": [],
        "summary": {"invite": 0, "stage": 0, "adopt": 0, "relink": 0, "restore": 0, "revoke": 0, "remove": 0,
            "unchanged": 3, "groupsCreated": 0, "groupsRenamed": 0, "groupsUpdated": 0, "groupsEmptied": 0,
            "groupsDeleted": 0, "join": 0, "leave": 0, "held": 0,
            "seats": {"inUse": 4, "needed": 0, "available": null}}
    })
}

fn member(action: &str, email: &str, id: &str, cause: &str) -> Value {
    json!({"action": action, "email": email, "externalId": id, "memberId": null, "cause": cause, "held": false})
}

fn group(action: &str, name: &str, id: &str, join: &[&str], leave: &[&str]) -> Value {
    json!({"action": action, "name": name, "externalId": id, "groupId": null, "cause": "new", "held": false,
        "join": join, "leave": leave, "heldLeave": []})
}

fn plan(members: Vec<Value>, groups: Vec<Value>) -> Value {
    let mut plan = empty_plan();
    plan["members"] = members.into();
    plan["groups"] = groups.into();
    plan
}

fn written(plan: Value, form: Form) -> String {
    let plan: Document = serde_json::from_value(plan).unwrap();
    Overview::from(&plan).written(form)
}

/// Lines of the section that begins so.
fn section(text: &str, title: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
    lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn an_empty_plan_is_short() {
    let expected = "\
Plan for organization org on https://x.org
The organization was read from the server. The directory was read completely.
Made 2026-01-01 00:00 UTC, expires 2026-01-02 00:00 UTC.
Nothing to do.

Totals
  People       3 unchanged
  Groups       unchanged
  Memberships  unchanged
  Held back    nothing
  Seats        4 in use, 0 more needed
  Mails        none";
    assert_eq!(written(empty_plan(), Form::Plain), expected);
}

fn busy() -> Value {
    let mut plan = plan(
        vec![
            member("invite", "new@x.org", "5", "new"),
            member("remove", "a@x.org", "1", "deleted"),
            member("remove", "longer-name@x.org", "2", "missing"),
            member("revoke", "b@x.org", "3", "disabled"),
            member("restore", "c@x.org", "4", "returned"),
        ],
        vec![
            group("update", "Sales", "g1", &["5"], &["6"]),
            group("delete", "Old", "g2", &[], &["6", "member:7"]),
            group("create", "New", "g3", &[], &[]),
            group("rename", "After", "g4", &[], &[]),
            group("update", "Same", "g5", &[], &[]),
        ],
    );
    plan["members"].as_array_mut().unwrap().push(json!({"action": "remove", "email": "held@x.org",
        "externalId": "8", "memberId": null, "cause": "deleted", "held": true}));
    plan["addresses"] = json!({"5": "new@x.org", "6": "stays@x.org"});
    plan["groups"][0]["heldLeave"] = json!(["5"]);
    plan["groups"][3]["renamedFrom"] = "Before".into();
    plan["limits"] = json!([
        {"limit": "removals", "allowed": 2, "wanted": 3, "tripped": true},
        {"limit": "leaves", "allowed": 25, "wanted": 1, "tripped": true},
        {"limit": "repairs", "allowed": 25, "wanted": 0, "tripped": false},
    ]);
    plan["warnings"] = json!([
        {"code": "groupVanished", "subject": "Old", "text": "The group Old is not there any more."},
        {"code": "addressTaken", "subject": "z@x.org", "text": "z@x.org is not imported."},
        {"code": "mailsSent", "subject": "", "text": "One person gets an invitation by mail."},
    ]);
    plan["summary"]["remove"] = 2.into();
    plan["summary"]["leave"] = 3.into();
    plan["summary"]["held"] = 2.into();
    plan["summary"]["seats"] = json!({"inUse": 4, "needed": 1, "available": 9});
    plan
}

#[test]
fn the_dangerous_things_come_first() {
    let text = written(busy(), Form::Plain);
    let titles: Vec<&str> =
        text.lines().filter(|line| line.ends_with(')') && !line.starts_with(' ')).collect();
    let expected = [
        "Limits exceeded (2)",
        "Held back: people (1)",
        "Held back: memberships (1)",
        "People removed (2)",
        "People revoked (1)",
        "Memberships lost (3)",
        "Groups deleted or emptied (1)",
        "People restored (1)",
        "People invited (1)",
        "Memberships gained (1)",
        "Groups created (1)",
        "Groups renamed (1)",
        "Groups updated (1)",
        "Warnings (2)",
    ];
    assert_eq!(titles, expected);
    assert!(text.lines().all(|line| line.trim_end() == line));
}

#[test]
fn rows_are_aligned_and_name_people_before_ids() {
    let text = written(busy(), Form::Plain);
    assert_eq!(
        section(&text, "People removed"),
        [
            "  Address            Cause                       External id",
            "  a@x.org            deleted in the directory    1",
            "  longer-name@x.org  no longer in the directory  2",
        ]
    );
    assert_eq!(
        section(&text, "Memberships lost")[1..],
        [
            "  Sales  stays@x.org  no longer in the group in the directory",
            "  Old    stays@x.org  changed in the directory",
            "  Old    member:7     changed in the directory",
        ]
    );
    assert_eq!(section(&text, "Groups deleted")[1], "  Old    delete  2 members  g2");
    assert_eq!(section(&text, "Groups renamed")[1], "  Before  After  changed in the directory  g4");
    assert_eq!(section(&text, "Groups updated")[1], "  Same   changed in the directory  g5");
    assert_eq!(
        section(&text, "Limits exceeded")[1..],
        [
            "  Limit               Reason",
            "  sync.limitRemovals  3 people would leave within 24 hours. Allowed: 2.",
            "  sync.limitLeaves    1 membership would be lost, and none would be left.",
        ]
    );
    assert_eq!(section(&text, "Warnings")[1], "  addressTaken   z@x.org is not imported.");
    assert_eq!(
        section(&text, "Totals"),
        [
            "  People       2 removed, 3 unchanged",
            "  Groups       unchanged",
            "  Memberships  3 lost",
            "  Held back    2 changes",
            "  Seats        4 in use, 1 more needed, 9 in total",
            "  Mails        One person gets an invitation by mail.",
        ]
    );
}

#[test]
fn wide_and_long_names_keep_the_columns() {
    let long = format!("{}@x.org", "x".repeat(300));
    let members = ["田中@例え.jp", "a@x.org", &long].map(|email| member("remove", email, "9", "deleted"));
    let text = written(plan(members.into(), Vec::new()), Form::Plain);
    let lines = section(&text, "People removed");
    assert_eq!(lines[1], "  田中@例え.jp  deleted in the directory  9");
    assert_eq!(lines[2], "  a@x.org       deleted in the directory  9");
    assert_eq!(lines[3], format!("  {long}  deleted in the directory  9"));
}

#[test]
fn names_move_no_terminal_and_are_no_markup() {
    let name = "a|b `c` <img src=x> *d* @all #1\u{1b}[2J\r\n# x\u{202e}";
    let plan = plan(Vec::new(), vec![group("create", name, "g|1", &[], &[])]);
    let text = written(plan.clone(), Form::Plain);
    assert!(text.contains("\\u{1b}[2J\\r\\n# x\\u{202e}"), "{text}");
    let markdown = written(plan, Form::Markdown);
    let row = "| a\\|b \\`c\\` &lt;img src=x&gt; \\*d\\* &#64;all &#35;1\\\\u{1b}\\[2J\\\\r\\\\n# x\\\\u{202e} \
               | new in the directory | g\\|1 |";
    assert!(markdown.lines().any(|line| line == row), "{markdown}");
}

#[test]
fn colours_are_only_around_titles() {
    let coloured = written(busy(), Form::Coloured);
    assert!(coloured.contains("\u{1b}[91mPeople removed (2)\u{1b}[39m"), "{coloured}");
    let codes =
        ["\u{1b}[91m", "\u{1b}[92m", "\u{1b}[93m", "\u{1b}[39m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[22m"];
    let plain = codes.iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(plain, written(busy(), Form::Plain));
}

#[test]
fn markdown_has_headings_and_tables() {
    let markdown = written(busy(), Form::Markdown);
    assert!(markdown.starts_with("# Plan for organization org on https://x.org\n\n- The organization"));
    let table = "## People removed (2)\n\n| Address | Cause | External id |\n| --- | --- | --- |\n\
                 | a@x.org | deleted in the directory | 1 |\n";
    assert!(markdown.contains(table), "{markdown}");
    assert!(markdown.contains("| Seats | 4 in use, 1 more needed, 9 in total |"), "{markdown}");
}

fn pending() -> Value {
    let person = |email: &str| json!({"email": email, "externalId": "1", "memberId": null});
    let mut held = person("a@x.org");
    held["action"] = "remove".into();
    held["cause"] = "deleted".into();
    held["directoryId"] = Value::Null;
    let mut lost = person("b@x.org");
    lost["group"] = "Sales".into();
    lost["groupExternalId"] = "g1".into();
    lost["action"] = "leave".into();
    lost["cause"] = "new".into();
    let mut waiting = person("c@x.org");
    waiting["since"] = "2026-01-01T00:00:00Z".into();
    waiting["until"] = "2026-01-08T00:00:00Z".into();
    waiting["cause"] = "missing".into();
    waiting["revokedBy"] = "us".into();
    let mut kept = person("d@x.org");
    kept["cause"] = "disabled".into();
    kept["by"] = "protection".into();
    json!({
        "object": "pending", "createdAt": "2026-01-02T00:00:00Z", "kind": "official", "basis": "live", "stopped": false,
        "held": [{"limit": "removals", "allowed": 0, "wanted": 1, "people": [held],
            "groups": [{"name": "New", "renamedFrom": "Old", "externalId": "g2", "action": "rename", "cause": "drift"}],
            "memberships": []}],
        "heldBesides": {"people": [], "groups": [], "memberships": [lost]},
        "inGrace": [waiting], "protected": [kept],
        "toMend": [{"code": "idChanged", "subject": "e@x.org", "text": "e@x.org has another id."}],
        "vanishedGroups": [{"name": "Gone", "externalId": "g3", "members": 1}],
        "approved": [{"limit": "leaves", "until": "2026-01-03T00:00:00Z",
            "subjects": [{"email": "f@x.org", "externalId": "6", "group": null, "groupExternalId": "g4", "action": "leave"}]}],
    })
}

fn pending_written(pending: Value) -> String {
    let pending: Pending = serde_json::from_value(pending).unwrap();
    Overview::from(&pending).written(Form::Plain)
}

#[test]
fn everything_pending_is_told() {
    let expected = "\
Pending as of 2026-01-02 00:00 UTC

Held back by sync.limitRemovals: people (1)
  1 person would leave within 24 hours. Allowed: 0.
  Address  Action  Cause                     External id  Id in the directory
  a@x.org  remove  deleted in the directory  1

Held back by sync.limitRemovals: groups (1)
  Group  Action         Cause                             External id
  Old    rename to New  organization was changed by hand  g2

Held back besides: memberships (1)
  Group  Address  Action  Cause
  Sales  b@x.org  leave   no longer in the group in the directory

In grace (1)
  Address  Since                 Removed after         Cause                       External id
  c@x.org  2026-01-01 00:00 UTC  2026-01-08 00:00 UTC  no longer in the directory  1

Protected (1)
  Address  Protected by  Reason to leave            External id
  d@x.org  sync.protect  disabled in the directory  1

Ids and addresses to mend (1)
  Code       Warning
  idChanged  e@x.org has another id.

Groups no longer in the directory (1)
  Group  Members   External id
  Gone   1 member  g3

Approved for sync.limitLeaves until 2026-01-03 00:00 UTC (1)
  The next sync carries this out, unless more than this would be held back by then.
  Address  Group  Action  External id
  f@x.org  g4     leave   6";
    assert_eq!(pending_written(pending()), expected);
}

#[test]
fn nothing_pending_is_a_sentence() {
    let mut nothing = pending();
    for list in ["held", "inGrace", "protected", "toMend", "vanishedGroups", "approved"] {
        nothing[list] = json!([]);
    }
    nothing["heldBesides"]["memberships"] = json!([]);
    assert_eq!(pending_written(nothing), "Pending as of 2026-01-02 00:00 UTC\nNothing is pending.");
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn fuzz_names_in_overviews(name in damaged_text(["Sales | EMEA\u{1b}[31m", "<b>@all</b> `x`\u{202e}\n| a |"])) {
        let plan = plan(
            vec![member("remove", &name, &name, "deleted")],
            vec![group("create", &name, &name, &[&name], &[])],
        );
        for form in [Form::Plain, Form::Markdown] {
            bwdc_testkit::plain(&written(plan.clone(), form))?;
        }
        // A name adds no row and no column.
        let markdown = written(plan, Form::Markdown);
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        prop_assert!(markdown.lines().filter(|line| line.starts_with('|')).all(|line| matches!(bars(line), 3..=5)));
    }
}
