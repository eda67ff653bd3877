//! Captures: what follows from a redacted one is what follows from the original, and no text of the original is in its file.

use bwdc_core::Rules;
use bwdc_core::check::ServerLimits;
use bwdc_core::entry::{Email, FoundAs, Group, Status, User};
use bwdc_core::filter::SetFilter;
use bwdc_core::note::{Note, Step};
use bwdc_core::organization::capture::{Capture, CapturedDirectory, Pseudonyms, Unreadable};
use bwdc_core::organization::directory::{GroupsRead, PeopleRead, Place, Source};
use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::settings::{Protect, Settings};
use bwdc_core::organization::{Changes, Ledger, Moment};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};
use bwdc_testkit::{damaged_text, few, harmless};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::made::{group, member, roster};
use crate::ops::{Op, op};
use crate::stateful::{fail, no_limits};
use crate::world::{Life, Reading, World};

const KEY: [u8; 32] = [7; 32];

fn empty() -> Snapshot {
    Snapshot {
        users: Vec::new(),
        others: Vec::new(),
        groups: Vec::new(),
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: Some("all of dc=x".to_owned()),
        place: Some(Place::from("dc=x")),
        created: [].into_iter().collect(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    }
}

fn directory(name: &str, prefix: &str, snapshot: Snapshot, rules: Rules) -> CapturedDirectory {
    let source = Source {
        place: snapshot.place.clone(),
        covers: Vec::new(),
        coverage: snapshot.coverage,
        filters: "(department=Sales)".to_owned(),
    };
    let (name, prefix) = (name.to_owned(), prefix.to_owned());
    CapturedDirectory { name, prefix, snapshot, rules, source, people: PeopleRead::Imported }
}

/// The directories of a world: one, or two of which each has the other half of the people.
fn directories(world: &World, parts: u8) -> Vec<CapturedDirectory> {
    let rules = Rules {
        disabled: world.settings.disabled,
        group_filter: (parts > 1).then(|| SetFilter::Exclude(["group0v1".to_owned()].into())),
        ..Rules::default()
    };
    let part = |number: u8| {
        let mut snapshot = empty();
        snapshot.place = Some(if parts == 1 { "dc=x".into() } else { format!("dc=x{number}").into() });
        for (soul, account) in world.accounts.iter().filter(|(soul, _)| **soul % parts == number) {
            snapshot.created.insert(account.id.as_str().into(), account.created);
            let user = User {
                external_id: account.id.as_str().into(),
                reference_id: format!("ref {}", account.id).into(),
                email: account.email.as_deref().and_then(Email::parse),
                status: match account.life {
                    Life::Active => Status::Active,
                    Life::Disabled => Status::Disabled,
                    Life::Tombstone => Status::Deleted,
                },
                found_as: FoundAs::of(Some("cn=somebody")),
            };
            if world.excluded.contains(soul) { &mut snapshot.others } else { &mut snapshot.users }.push(user);
        }
        for (_, group) in world.groups.iter().filter(|(id, _)| **id % parts == number) {
            let members = group.souls.iter().filter_map(|soul| world.accounts.get(soul));
            snapshot.groups.push(Group {
                external_id: group.id.as_str().into(),
                reference_id: format!("ref {}", group.id).into(),
                name: group.name.clone(),
                members: members.map(|account| format!("ref {}", account.id).into()).collect(),
                found_as: FoundAs::default(),
            });
        }
        let prefix = if number == 0 { "" } else { "Branch " };
        directory(&format!("half {number}"), prefix, snapshot, rules.clone())
    };
    (0..parts).map(part).collect()
}

fn capture(world: &World, parts: u8) -> Capture {
    let (ledger, _, roster, ..) = world.compute(Reading::Everything);
    Capture {
        created_at: "2026-01-01T00:00:00Z".to_owned(),
        now: world.now,
        organization: "an organization".to_owned(),
        server: "https://vault.example.org/api".to_owned(),
        limits: ServerLimits::SelfHosted,
        directories: directories(world, parts),
        groups_read: GroupsRead::Completely,
        settings: world.settings.clone(),
        roster,
        ledger,
    }
}

/// Everything about changes but the names: what is done, why, and with how many.
fn shape(changes: &Changes) -> Vec<String> {
    let members = changes.members.iter().map(|change| {
        let (is_known, grace) = (change.directory_id.is_some(), change.grace);
        format!("{:?} {:?} {:?} {is_known} {grace:?}", change.action, change.cause, change.hold)
    });
    let groups = changes.groups.iter().map(|group| {
        let numbers = [&group.join, &group.leave, &group.held_join, &group.held_leave].map(Vec::len);
        format!("{:?} {:?} {:?} {numbers:?}", group.action, group.cause, group.hold)
    });
    let warnings = changes.warnings.iter().map(|warning| format!("{:?}", warning.code));
    let limits = changes
        .limits
        .iter()
        .map(|limit| format!("{:?} {:?} {} {:?}", limit.limit, limit.allowed, limit.wanted, limit.outcome));
    let mut shape: Vec<String> = members.chain(groups).chain(warnings).chain(limits).collect();
    shape.sort();
    shape
}

fn check(mut world: World, ops: &[Op], parts: u8) -> Result<(), TestCaseError> {
    for op in ops {
        world.play(op);
    }
    let original = capture(&world, parts);
    let expected = original.replay();
    let text = original.written(&Pseudonyms::by(&KEY)).unwrap();
    let read = Capture::parse(&text).map_err(|error| fail(&world, &error.to_string()))?;
    let found = read.replay();
    if (found.changes.summary(), shape(&found.changes))
        != (expected.changes.summary(), shape(&expected.changes))
    {
        let text = format!("{:#?}\nand redacted\n{:#?}", shape(&expected.changes), shape(&found.changes));
        return Err(fail(&world, &text));
    }
    prop_assert_eq!(found.prepared.bad_records.len(), expected.prepared.bad_records.len());
    if parts == 1 {
        let (.., planned, _) = world.compute(Reading::Everything);
        prop_assert_eq!(planned.summary(), expected.changes.summary(), "a replay is no plan");
    }
    Ok(())
}

fn settings() -> impl Strategy<Value = Settings> {
    let protect = prop_oneof![
        Just(Protect::default()),
        Just(Protect::parse("group:group1v1,u0v1@x.org,group:Branch group1v2")),
    ];
    (protect, any::<bool>()).prop_map(|(protect, has_limits)| {
        let settings = if has_limits { Settings::default() } else { no_limits() };
        Settings { protect, ..settings }
    })
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn a_redacted_official_world_changes_in_the_same_way(
        ops in prop::collection::vec(op(), 1..60), settings in settings(), parts in 1..3_u8,
    ) {
        check(World::new(Kind::Official, settings), &ops, parts)?;
    }

    #[test]
    fn a_redacted_vaultwarden_world_changes_in_the_same_way(
        ops in prop::collection::vec(op(), 1..60), settings in settings(), parts in 1..3_u8,
    ) {
        check(World::new(Kind::Vaultwarden, settings), &ops, parts)?;
    }

    #[test]
    fn fuzz_files_of_snapshots(text in damaged_text([planted_file(Kind::Official), planted_file(Kind::Vaultwarden)])) {
        if let Err(error) = Capture::parse(&text) {
            harmless(&error, text.len())?;
        }
        // Also where somebody made the digest of a damaged file.
        if let Ok(capture) = serde_json::from_str::<Capture>(&text) {
            capture.replay();
        }
    }
}

/// Part of every text of [`planted`].
const PLANTED: &str = "pLantEd";

fn planted_user(name: &str, email: Option<&str>) -> User {
    User {
        external_id: format!("cn={name},ou=pLantEd").into(),
        reference_id: format!("ref={name},ou=pLantEd").into(),
        email: email.and_then(Email::parse),
        status: Status::Active,
        found_as: FoundAs::of(Some("pLantEd place")),
    }
}

/// A capture with a planted text wherever there is one.
fn planted(kind: Kind) -> Capture {
    let mut snapshot = empty();
    snapshot.users = vec![
        planted_user("jane pLantEd", Some("jane.pLantEd@pLantEd.example")),
        planted_user("bad", Some("pLantEd")),
        planted_user("twice", Some("jane.pLantEd@pLantEd.example")),
        planted_user("bell", Some("pLantEd\u{7}@x.org")),
        planted_user(&"pLantEd".repeat(60), Some("long@pLantEd.example")),
    ];
    snapshot.others = vec![planted_user("other", Some("@pLantEd")), planted_user("nobody", None)];
    let members = snapshot.users.iter().map(|user| user.reference_id.clone());
    let members = members.chain(["ref=stranger pLantEd".into()]).collect();
    snapshot.groups = vec![Group {
        external_id: "cn=group pLantEd".into(),
        reference_id: "ref=pLantEd".into(),
        name: "pLantEd Staff".to_owned(),
        members,
        found_as: FoundAs::of(Some("pLantEd place")),
    }];
    snapshot.other_groups = snapshot.groups.clone();
    snapshot.population = Some("all of ou=pLantEd".to_owned());
    snapshot.place = Some("ou=pLantEd".into());
    snapshot.created.insert("cn=bad,ou=pLantEd".into(), Moment(5));
    snapshot.cursor = Cursor { users: Some("pLantEd".to_owned()), groups: Some("pLantEd".to_owned()) };
    snapshot.notes = vec![Note::info(Step::Email, "pLantEd", "pLantEd reason")];
    let set = |text: &str| SetFilter::Exclude([text.to_owned()].into());
    let rules = Rules {
        user_filter: Some(SetFilter::All(vec![set("planted@planted.example"), set("planted nobody")])),
        group_filter: Some(SetFilter::Include(
            ["planted staff".to_owned(), "planted none".to_owned()].into(),
        )),
        ..Rules::default()
    };
    let mut directory = directory("pLantEd", "", snapshot, rules);
    directory.source.filters = "pLantEd".to_owned();
    directory.source.covers = vec!["ou=pLantEd".into(), "ou=pLantEd below".into()];
    let confirmed = bwdc_core::organization::roster::Status::Confirmed;
    let members =
        [member("pLantEd", "cn=jane pLantEd,ou=pLantEd", confirmed), member("b.pLantEd", "", confirmed)];
    Capture {
        created_at: "2026-01-01T00:00:00Z".to_owned(),
        now: Moment(1_000_000),
        organization: "pLantEd".to_owned(),
        server: "https://pLantEd.example".to_owned(),
        limits: ServerLimits::Cloud,
        directories: vec![directory],
        groups_read: GroupsRead::Completely,
        settings: Settings {
            protect: Protect::parse("pLantEd@x.org,pLantEd,group:pLantEd Staff"),
            ..Settings::default()
        },
        roster: roster(kind, members, [group("pLantEd", "cn=group pLantEd", &["pLantEd"])]),
        ledger: planted_ledger(),
    }
}

fn planted_ledger() -> Ledger {
    let counted = |key: &str| serde_json::json!([{ "key": key, "at": 999_999, "approved": "no" }]);
    let text = serde_json::json!({
        "version": 1,
        "places": { "ou=pLantEd": 5 },
        "origins": [{ "places": ["ou=pLantEd"], "matched": "pLantEd" }],
        "people": { "cn=jane pLantEd,ou=pLantEd": {
            "email": "planted@x.org", "ids": { "cn=pLantEd": { "first": 1 } },
            "protection": { "until": 2_000_000, "groups": ["cn=group pLantEd"] },
        } },
        "groups": { "cn=group pLantEd": { "name": "pLantEd Staff", "members": ["cn=jane pLantEd,ou=pLantEd"] } },
        "strangers": { "cn=pLantEd": 5 },
        "server": "https://pLantEd.example/api",
        "movedFrom": "https://old.pLantEd.example/api",
        "removals": counted("cn=jane pLantEd,ou=pLantEd planted@x.org"),
        "leaves": counted("cn=group pLantEd\nmember:m-pLantEd"),
        "repairs": counted("cn=group pLantEd"),
        "invites": counted("pLantEd unknown pLantEd@x.org"),
        "approvals": [{ "limit": "removals", "keys": ["pLantEd"], "until": 2_000_000 }],
        "journal": { "begun": 5, "steps": [[
            { "in": { "action": "invite", "id": "pLantEd", "email": "planted@x.org", "directory_id": "pLantEd" } },
            { "out": { "id": "pLantEd", "becomes": "pLantEd", "member": "removed", "email": "planted@x.org", "cause": "missing" } },
            { "grace": { "id": "pLantEd", "email": "planted@x.org", "until": 5, "cause": "missing", "by": "us" } },
            { "renamed": { "from": "pLantEd", "to": "pLantEd 2" } },
            { "released": "pLantEd" },
            { "protected": { "id": "pLantEd", "protection": { "until": 5, "groups": ["pLantEd"] } } },
            { "reinvited": "pLantEd" },
            { "group": { "id": "pLantEd", "name": "pLantEd", "members": ["pLantEd"] } },
            { "groupRenamed": { "from": "pLantEd", "to": "pLantEd 2" } },
            { "noGroup": "pLantEd" },
            { "counts": { "limit": "leaves", "keys": ["pLantEd\npLantEd x@pLantEd"], "approved": "no" } },
        ]] },
    });
    serde_json::from_value(text).unwrap()
}

fn planted_file(kind: Kind) -> String {
    planted(kind).written(&Pseudonyms::by(&KEY)).unwrap()
}

#[test]
fn no_planted_text_is_in_the_file() {
    for kind in [Kind::Official, Kind::Vaultwarden] {
        let capture = planted(kind);
        let unredacted = serde_json::to_string(&capture).unwrap();
        assert!(unredacted.contains(PLANTED));
        let text = capture.written(&Pseudonyms::by(&KEY)).unwrap();
        assert!(!text.to_lowercase().contains("planted"), "{text}");
        for word in ["jane", "example", "staff", "x.org", "boss", "cn=", "ou="] {
            assert!(!text.to_lowercase().contains(word), "{word} is in {text}");
        }
        let read = Capture::parse(&text).unwrap();
        let (found, expected) = (read.replay(), capture.replay());
        assert_eq!(
            (found.changes.summary(), shape(&found.changes)),
            (expected.changes.summary(), shape(&expected.changes))
        );
        assert_eq!(found.prepared.bad_records.len(), expected.prepared.bad_records.len());
        assert!(found.prepared.bad_records.len() >= 3, "{:?}", found.prepared.bad_records);
        assert_eq!(
            read.holds().to_string().split_once("members").unwrap().0,
            "7 people, 1 group, 1 directory, and 3 "
        );
    }
}

#[test]
fn what_counted_towards_a_limit_still_does() {
    let key = |id: &str, email: &str| {
        let p = Pseudonyms::by(&KEY);
        format!("{} {}", p.text(id), p.text(email))
    };
    let redacted =
        serde_json::to_value(planted(Kind::Official).redacted(&Pseudonyms::by(&KEY)).ledger).unwrap();
    assert_eq!(redacted["removals"][0]["key"], key("cn=jane pLantEd,ou=pLantEd", "planted@x.org"));
    assert_eq!(redacted["repairs"][0]["key"], Pseudonyms::by(&KEY).text("cn=group pLantEd"));
    assert_eq!(redacted["invites"][0]["key"], key("pLantEd unknown", "pLantEd@x.org"));
}

#[test]
fn two_snapshots_of_one_place_can_be_compared_and_others_cannot() {
    let (first, second) = (planted_file(Kind::Official), planted_file(Kind::Official));
    assert_eq!(first, second);
    let other = planted(Kind::Official).written(&Pseudonyms::by(&[8; 32])).unwrap();
    assert_ne!(first, other);
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let file = planted_file(Kind::Official);
    let refused = |text: &str| Capture::parse(text).unwrap_err();
    assert_eq!(refused("{}"), Unreadable::Foreign);
    assert_eq!(refused("people: 3"), Unreadable::Foreign);
    assert_eq!(refused(r#"{"object":"plan","version":1}"#), Unreadable::Foreign);
    assert_eq!(refused(&file.replace("\"version\":1,", "\"version\":2,")), Unreadable::Version(2));
    assert!(matches!(refused(&file[..file.len() / 2]), Unreadable::Malformed { .. }));
    assert_eq!(refused(&file.replacen("\"percent\":10", "\"percent\":11", 1)), Unreadable::Damaged);
}
