use std::fs;

use bwdc_core::organization::changes::{Action, Cause, GroupAction};
use bwdc_core::organization::record::{GroupMember, GroupState, MemberState, StatusWord};
use bwdc_core::organization::roster::Role;
use bwdc_testkit::{damaged, few};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::runs::{self, Begun, End};
use bwdc_core::error::Exit;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_mins(minutes)
}

fn cron() -> RunStarter {
    RunStarter::named("cron").unwrap()
}

fn state(email: &str, id: &str) -> MemberState {
    MemberState {
        email: email.into(),
        external_id: Some(id.into()),
        status: StatusWord::Confirmed,
        role: Role::User,
        groups: [("g1".to_owned(), "Büro \"Süd\"".to_owned())].into(),
    }
}

fn removal(made: Made) -> MemberEntry {
    MemberEntry {
        action: Action::Remove,
        cause: Cause::Deleted,
        made,
        member_id: Some("m1".to_owned()),
        before: Some(state("ann@x.org", "u1")),
        after: None,
    }
}

fn group(made: Made) -> GroupEntry {
    let state =
        |name: &str, members| GroupState { name: name.to_owned(), external_id: "g2".to_owned(), members };
    GroupEntry {
        action: GroupAction::Update,
        cause: Cause::New,
        made,
        group_id: Some("s2".to_owned()),
        before: Some(state("Sales", 1)),
        after: Some(state("Verkauf", 2)),
        join: vec![GroupMember { email: "bob@x.org".into(), external_id: Some("u2".into()) }],
        leave: Vec::new(),
        held_join: Vec::new(),
        held_leave: Vec::new(),
    }
}

fn record(made: Made) -> RunRecord {
    RunRecord {
        kind: Kind::Official,
        basis: Basis::Live,
        members: vec![removal(made)],
        groups: vec![group(made)],
        unchanged: 7,
    }
}

fn target() -> RunTarget {
    RunTarget {
        organization: "o".to_owned(),
        server: "https://x".to_owned(),
        kind: Kind::Official,
        basis: Basis::Live,
    }
}

/// A run that ended with this exit code.
fn run(id: &str, minute: i64, exit: Exit) -> Run {
    let error = Error::new("No.").hint("Do it.").exit(exit);
    let counts = RunCounts { users: 1, groups: 1, removed: 1, left_out: 0 };
    let result = if exit == Exit::Success { Ok((exit, counts)) } else { Err(&error) };
    Run::of(&End { at: at(minute), duration: 1.5, run: id, result }, cron())
}

fn kept(id: &str, minute: i64, exit: Exit, record: Option<RunRecord>) -> KeptRun {
    let head = Head::of(&run(id, minute, exit), id, RunCommand::Sync);
    KeptRun::new(Head { target: record.as_ref().map(|_| target()), ..head }, record.map(Arc::new))
}

fn begun(id: &str, minute: i64) -> KeptRun {
    let cut_off = Begun::here(id, at(minute), cron()).cut_off();
    let head = Head { target: Some(target()), ..Head::of(&cut_off, id, RunCommand::Sync) };
    KeptRun::new(head, Some(Arc::new(record(Made::Unclear))))
}

/// Text of a file.
fn written(run: &KeptRun) -> Vec<u8> {
    let mut text = Vec::new();
    file::write(&mut text, run).unwrap();
    text
}

#[test]
fn the_end_of_a_run_that_made_everything_is_added_to_what_was_kept_before() {
    let (folder, history) = folder();
    let ended = kept("5e0c", 0, Exit::Success, Some(record(Made::Yes)));
    history.begin(&begun("5e0c", 0)).unwrap();
    history.end_as_begun(&ended).unwrap();
    assert_eq!(one(&history, "5e0c"), Some(ended.clone()));
    assert_eq!(history.heads(&Filter::default()).unwrap().runs, std::slice::from_ref(&ended.head));
    let about = history.about(&Sought::new("bob@x.org"), &Filter::default()).unwrap().runs;
    assert_eq!(about, [(ended.head.clone(), vec![Entry::Group(group(Made::Yes))])]);
    let mut files = fs::read_dir(folder.path().join("history")).unwrap();
    let path = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    assert!(path.to_string_lossy().ends_with(".changed.jsonl"), "{path:?}");
    // A line that was cut off, wherever: nobody knows what was made.
    let whole = fs::read(&path).unwrap();
    let start = written(&begun("5e0c", 0)).len();
    for end in start..whole.len() {
        let text = if end % 2 == 0 { whole[..end].to_owned() } else { [&whole[..end], &[0; 9]].concat() };
        fs::write(&path, text).unwrap();
        let kept = one(&history, "5e0c").unwrap();
        assert_eq!(kept.record.as_deref(), Some(&record(Made::Unclear)), "{end}");
        assert_eq!(history.heads(&Filter::default()).unwrap().runs[0].exit, None, "{end}");
    }
    // More lines than one end.
    fs::write(&path, [&whole[..], b"{}\n"].concat()).unwrap();
    let Found { runs, skipped } = history.about(&Sought::new("bob@x.org"), &Filter::default()).unwrap();
    assert!(runs.is_empty() && skipped[0].why.contains("3 changes instead of 2"), "{skipped:?}");
}

/// The text of a run, after these changes to it.
fn with_changes(changes: &[(&str, &str)]) -> String {
    let text = String::from_utf8(written(&kept("5e0c", 0, Exit::Success, Some(record(Made::Yes))))).unwrap();
    changes.iter().fold(text, |text, (before, after)| {
        assert!(text.contains(before), "{before}: {text}");
        text.replacen(before, after, 1)
    })
}

const BOB: &str = r#"{"email":"bob@x.org","externalId":"u2"}"#;

/// As the first form has it: people in groups are written out.
fn of_the_first_form() -> String {
    let (line, join) = (format!("{{\"people\":[{BOB}]}}\n"), format!(r#""join":[{BOB}]"#));
    with_changes(&[
        (r#""version":3"#, r#""version":1"#),
        (&line, ""),
        (r#""join":[1]"#, &join),
        (r#","before":"#, r#","after":null,"before":"#),
    ])
}

/// As the second form has it: numbers are those of the line with people.
fn of_the_second_form() -> String {
    with_changes(&[(r#""version":3"#, r#""version":2"#), (r#""join":[1]"#, r#""join":[0]"#)])
}

#[test]
fn files_of_earlier_forms_are_understood() {
    let (folder, history) = folder();
    let run = kept("5e0c", 0, Exit::Success, Some(record(Made::Yes)));
    history.end(&run).unwrap();
    let mut files = fs::read_dir(folder.path().join("history")).unwrap();
    let path = files.next().unwrap().unwrap().path();
    for text in [of_the_first_form(), of_the_second_form()] {
        fs::write(&path, text).unwrap();
        assert_eq!(one(&history, "5e0c"), Some(run.clone()));
        let about = history.about(&Sought::new("bob@x.org"), &Filter::default()).unwrap().runs;
        assert_eq!(about, [(run.head.clone(), vec![Entry::Group(group(Made::Yes))])]);
    }
}

/// A record of two members, one of whom stays, and of a group with both, and with somebody else.
fn of_members_in_a_group() -> RunRecord {
    let who = |email: &str, id: &str| GroupMember { email: email.into(), external_id: Some(id.into()) };
    let (ann, eve) = (state("ann@x.org", "u1"), state("eve@x.org", "u3"));
    let moved = MemberEntry {
        action: Action::Relink,
        after: Some(MemberState { external_id: Some("u4".into()), ..eve.clone() }),
        before: Some(eve),
        member_id: None,
        ..removal(Made::Yes)
    };
    let all = GroupEntry {
        join: vec![who("bob@x.org", "u2"), who("eve@x.org", "u4")],
        held_leave: vec![who("ann@x.org", "u1"), who("eve@x.org", "u3")],
        ..group(Made::Yes)
    };
    let members = vec![MemberEntry { before: Some(ann), ..removal(Made::Yes) }, moved];
    RunRecord { members, groups: vec![all], ..record(Made::Yes) }
}

#[test]
fn people_in_groups_whom_a_line_is_about_are_its_number() {
    let (folder, history) = folder();
    let run = kept("5e0c", 0, Exit::Success, Some(of_members_in_a_group()));
    history.end(&run).unwrap();
    let text = String::from_utf8(written(&run)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // An id that somebody does not have after the run is another one's.
    assert_eq!(lines[3], format!(r#"{{"people":[{BOB},{{"email":"eve@x.org","externalId":"u3"}}]}}"#));
    assert!(lines[4].contains(r#""join":[2,1]"#) && lines[4].contains(r#""heldLeave":[0,3]"#), "{text}");
    assert!(!text.contains("null,\"after") && !lines[1].contains("after"), "{text}");
    assert_eq!(one(&history, "5e0c"), Some(run.clone()));
    let record = of_members_in_a_group();
    let all = Entry::Group(record.groups[0].clone());
    let found = |who: &str| {
        let found = history.about(&Sought::new(who), &Filter::default()).unwrap().runs;
        found.into_iter().flat_map(|(_, entries)| entries).collect::<Vec<_>>()
    };
    let [ann, eve] = [0, 1].map(|at| Entry::Member(record.members[at].clone()));
    for who in ["ann@x.org", "u1"] {
        assert_eq!(found(who), [ann.clone(), all.clone()], "{who}");
    }
    for who in ["eve@x.org", "u3", "u4"] {
        assert_eq!(found(who), [eve.clone(), all.clone()], "{who}");
    }
    for who in ["bob@x.org", "u2", "Verkauf"] {
        assert_eq!(found(who), std::slice::from_ref(&all), "{who}");
    }
    // Of a member alone, whose line has the id on the server.
    assert_eq!(found("m1"), [ann]);
    // A number that is nobody's, and a line that has nobody.
    let path = fs::read_dir(folder.path().join("history")).unwrap().next().unwrap().unwrap().path();
    let nobody = |before: &str, after: &str| {
        fs::write(&path, text.replacen(before, after, 1)).unwrap();
        let found = history.about(&Sought::new("Verkauf"), &Filter::default()).unwrap();
        found.skipped.iter().map(ToString::to_string).collect::<String>()
    };
    let told = nobody("[2,1]", "[4,1]");
    assert!(told.contains("line 5: it names a person who is not in it"), "{told}");
    let told = nobody(lines[1], r#"{"member":{"action":"remove","cause":"deleted","made":"yes"}}"#);
    assert!(told.contains("line 5: it names a person who is not in it"), "{told}");
    let told = nobody(lines[1], r#"{"member":{}}"#);
    assert!(told.contains("line 2: missing field"), "{told}");
}

#[test]
fn a_run_whose_beginning_was_forgotten_is_kept_whole_at_its_end() {
    let (_folder, history) = folder();
    let ended = kept("5e0c", 0, Exit::Success, Some(record(Made::Yes)));
    history.begin(&begun("5e0c", 0)).unwrap();
    history.forget_begun(&begun("5e0c", 0)).unwrap();
    history.end_as_begun(&ended).unwrap();
    assert_eq!(one(&history, "5e0c"), Some(ended));
}

fn folder() -> (tempfile::TempDir, History) {
    let folder = tempfile::tempdir().unwrap();
    let history = History::of(&DataFile::in_folder(folder.path().to_owned()));
    (folder, history)
}

/// The run with this id.
fn one(history: &History, id: &str) -> Option<KeptRun> {
    history.run(id).unwrap().runs.pop()
}

fn ids(history: &History, filter: &Filter) -> Vec<String> {
    history.heads(filter).unwrap().runs.into_iter().map(|head| head.run).collect()
}

#[test]
fn a_run_comes_back_as_it_was_kept() {
    let (_folder, history) = folder();
    assert_eq!(one(&history, "5e"), None);
    assert!(history.heads(&Filter::default()).unwrap().runs.is_empty());
    let run = kept("5e0c", 0, Exit::Success, Some(record(Made::Yes)));
    history.end(&run).unwrap();
    assert_eq!(one(&history, "5e0c"), Some(run.clone()));
    assert_eq!(history.heads(&Filter::default()).unwrap().runs, std::slice::from_ref(&run.head));
    let counts = run.head.counts;
    assert_eq!((counts.made.remove, counts.made.groups_updated, counts.made.groups_renamed), (1, 1, 1));
    assert_eq!((counts.made.join, counts.made.unchanged, counts.unclear), (1, 7, 0));
    let failed = kept("77aa", 1, Exit::Failure, None);
    history.end(&failed).unwrap();
    assert_eq!(one(&history, "77"), Some(failed));
}

#[test]
fn a_run_that_never_told_its_end_is_cut_off_and_unclear() {
    let (folder, history) = folder();
    let file = DataFile::in_folder(folder.path().to_owned());
    history.begin(&begun("5e0c", 0)).unwrap();
    let read = one(&history, "5e0c").unwrap();
    assert_eq!((read.head.result, read.head.exit), (Ending::CutOff, None));
    assert!(read.record.unwrap().has(Made::Unclear));
    // While it runs it is not cut off.
    let lock = RunLock::take(folder.path(), "now").unwrap();
    runs::begin(&file, Begun::here("5e0c", at(0), cron()));
    assert_eq!(history.heads(&Filter::default()).unwrap().runs[0].result, Ending::Running);
    drop(lock);
    assert_eq!(history.heads(&Filter::default()).unwrap().runs[0].result, Ending::CutOff);
}

/// The end is written twice, and whoever reads in between is told one story.
#[test]
fn status_and_history_tell_the_same_end() {
    let (folder, history) = folder();
    let file = DataFile::in_folder(folder.path().to_owned());
    runs::begin(&file, Begun::here("5e0c", at(0), cron()));
    history.begin(&begun("5e0c", 0)).unwrap();
    let last = || Runs::load(folder.path()).unwrap().last(None).unwrap();
    assert_eq!((last().result, last().run.as_deref()), (Ending::CutOff, Some("5e0c")));
    history.end(&kept("5e0c", 0, Exit::Failure, Some(record(Made::No)))).unwrap();
    assert_eq!(last(), run("5e0c", 0, Exit::Failure));
    // The other one was written alone, as on a full disk.
    history.begin(&begun("77aa", 1)).unwrap();
    runs::end(&file, run("77aa", 1, Exit::Success));
    let head = one(&history, "77aa").unwrap().head;
    assert_eq!((head.result, head.as_run()), (Ending::Ok, last()));
}

#[test]
fn an_id_may_be_shortened_while_it_is_clear() {
    let (_folder, history) = folder();
    for (id, minute) in [("5e0c", 0), ("5e77", 1), ("5e", 2), ("5e78", 3)] {
        history.end(&kept(id, minute, Exit::Success, Some(record(Made::Yes)))).unwrap();
    }
    assert_eq!(one(&history, "5E0").unwrap().head.run, "5e0c");
    assert_eq!(one(&history, "5e").unwrap().head.run, "5e");
    assert_eq!(one(&history, "6"), None);
    assert_eq!(one(&history, "ü"), None);
    // As from a script's variable that is not set.
    assert_eq!(one(&history, ""), None);
    let error = history.run("5e7").unwrap_err();
    assert!(error.message.contains("5e77, 5e78"), "{error}");
}

#[test]
fn runs_are_selected() {
    let (_folder, history) = folder();
    for (minute, exit) in [Exit::Success, Exit::Failure, Exit::Blocked, Exit::Success].into_iter().enumerate()
    {
        let minute = i64::try_from(minute).unwrap();
        history.end(&kept(&format!("r{minute}"), minute, exit, Some(record(Made::Yes)))).unwrap();
    }
    assert_eq!(ids(&history, &Filter::default()), ["r3", "r2", "r1", "r0"]);
    assert_eq!(ids(&history, &Filter { most: Some(2), ..Filter::default() }), ["r3", "r2"]);
    assert_eq!(ids(&history, &Filter { since: Some(at(2)), ..Filter::default() }), ["r3", "r2"]);
    let failed = Filter { results: vec![Ending::Failed, Ending::Blocked], most: Some(1), since: None };
    assert_eq!(ids(&history, &failed), ["r2"]);
}

#[test]
fn somebody_is_found_by_whatever_was_known_before_or_after() {
    let (_folder, history) = folder();
    history.end(&kept("r0", 0, Exit::Success, Some(record(Made::Yes)))).unwrap();
    let found = |who: &str| {
        let found = history.about(&Sought::new(who), &Filter::default()).unwrap().runs;
        found.into_iter().flat_map(|(_, entries)| entries).collect::<Vec<_>>()
    };
    let (member, group) = (Entry::Member(removal(Made::Yes)), Entry::Group(group(Made::Yes)));
    for who in ["ann@x.org", " ANN@x.org ", "u1", "m1", "büro \"süd\""] {
        assert_eq!(found(who), std::slice::from_ref(&member), "{who}");
    }
    for who in ["Sales", "verkauf", "g2", "s2", "bob@x.org", "u2"] {
        assert_eq!(found(who), std::slice::from_ref(&group), "{who}");
    }
    for who in ["nn@x.org", "remove", "", "u"] {
        assert_eq!(found(who), [], "{who}");
    }
}

/// Where a run changed the address or the id of a member, the same person is followed.
#[test]
fn somebody_is_followed_through_other_addresses_and_ids() {
    let (_folder, history) = folder();
    let entry = |member: Option<&str>, before, after| MemberEntry {
        member_id: member.map(str::to_owned),
        before,
        after,
        ..removal(Made::Yes)
    };
    let runs = [
        entry(None, None, Some(state("ann@x.org", "u1"))),
        // Another id, by the run; another address, by somebody else.
        entry(Some("m1"), Some(state("ann@x.org", "u1")), Some(state("ann@x.org", "u9"))),
        entry(Some("m1"), Some(state("married@x.org", "u9")), None),
        // The address is of somebody else by now.
        entry(None, None, Some(state("ann@x.org", "u8"))),
        entry(Some("m8"), Some(state("ann@x.org", "u8")), None),
    ];
    for (minute, entry) in (0..).zip(runs) {
        let record = RunRecord { members: vec![entry], groups: Vec::new(), ..record(Made::Yes) };
        history.end(&kept(&format!("r{minute}"), minute, Exit::Success, Some(record))).unwrap();
    }
    let runs = |who: &str| {
        let sought = history.follow(Sought::new(who)).unwrap();
        let found = history.about(&sought, &Filter::default()).unwrap().runs;
        found.into_iter().map(|(head, _)| head.run).collect::<Vec<_>>()
    };
    // Nobody knows of the invitation in r3 that it was of another person.
    assert_eq!(runs("married@x.org"), ["r3", "r2", "r1", "r0"]);
    assert_eq!(runs("u9"), runs("married@x.org"));
    assert_eq!(runs("ann@x.org"), ["r4", "r3", "r2", "r1", "r0"]);
    assert_eq!(runs("m8"), ["r4"]);
    // A group that was renamed.
    let renamed = group(Made::Yes);
    let record = RunRecord { members: Vec::new(), groups: vec![renamed], ..record(Made::Yes) };
    history.end(&kept("g0", 20, Exit::Success, Some(record))).unwrap();
    assert_eq!(runs("Verkauf"), ["g0"]);
}

#[test]
fn damaged_and_foreign_files_are_told_and_skipped() {
    let (folder, history) = folder();
    history.end(&kept("r0", 0, Exit::Success, Some(record(Made::Yes)))).unwrap();
    history.end(&kept("r1", 1, Exit::Success, Some(record(Made::Yes)))).unwrap();
    let place = |name: &str| folder.path().join("history").join(name);
    let good = fs::read_dir(place("")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let text = fs::read_to_string(&good).unwrap();
    fs::write(&good, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    fs::write(
        place("20270101T000000000Z-later.changed.jsonl"),
        text.replace("\"version\":3", "\"version\":9"),
    )
    .unwrap();
    fs::write(place("20270102T000000000Z-empty.changed.jsonl"), "").unwrap();
    fs::write(place("20270103T000000000Z-bytes.changed.jsonl"), [0xff, 0xfe, b'\n']).unwrap();
    fs::create_dir(place("20270104T000000000Z-folder.changed.jsonl")).unwrap();
    fs::write(place("notes.txt"), "x").unwrap();
    fs::write(place(".bwdc-1.tmp"), "x").unwrap();
    let found = history.heads(&Filter::default()).unwrap();
    // Its head is whole.
    assert_eq!(found.runs.iter().map(|head| head.run.as_str()).collect::<Vec<_>>(), ["r1", "r0"]);
    let told: Vec<String> = found.skipped.iter().map(ToString::to_string).collect();
    let words = [
        "its name is not",
        "-folder.changed.jsonl",
        "-bytes",
        "is damaged: line 1",
        "later version of bwdc (form 9",
    ];
    assert_eq!(told.len(), 5, "{told:?}");
    for word in words {
        assert!(told.iter().any(|text| text.contains(word)), "{word}: {told:?}");
    }
    let error = history.run("r0").unwrap_err();
    assert!(error.message.contains("it has 0 changes instead of 2"), "{error}");
    assert_eq!(history.about(&Sought::new("u1"), &Filter::default()).unwrap().skipped.len(), 6);
    // None of them keeps a run from being kept.
    history.end(&kept("r2", 2, Exit::Success, Some(record(Made::Yes)))).unwrap();
    assert!(place("notes.txt").exists() && !place(".bwdc-1.tmp").exists());
}

/// In a merge each folder has the same: what is damaged in one is read in another, and told.
#[test]
fn a_damaged_copy_is_read_in_another_folder() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let files = folders.each_ref().map(|folder| DataFile::in_folder(folder.path().to_owned()));
    let history = History::of_merged(&files);
    for minute in 0..3 {
        let run = kept(&format!("r{minute}"), minute, Exit::Success, Some(record(Made::Yes)));
        history.end(&run).unwrap();
    }
    let names = |folder: &tempfile::TempDir| {
        let mut all: Vec<_> =
            fs::read_dir(folder.path().join("history")).unwrap().map(|file| file.unwrap().path()).collect();
        all.sort();
        all
    };
    fs::write(&names(&folders[0])[1], "{").unwrap();
    let found = history.run("r1").unwrap();
    assert_eq!(found.runs, [kept("r1", 1, Exit::Success, Some(record(Made::Yes)))]);
    let told = found.skipped[0].to_string();
    let copy = format!("Its copy in {} is used.", folders[1].path().join("history").display());
    assert!(told.contains("is damaged: line 1") && told.ends_with(&copy), "{told}");
    assert_eq!(ids(&history, &Filter::default()), ["r2", "r1", "r0"]);
    assert_eq!(ids(&history, &Filter { most: Some(2), ..Filter::default() }), ["r2", "r1"]);
    let about = history.about(&Sought::new("u1"), &Filter::default()).unwrap();
    assert_eq!((about.runs.len(), about.skipped.len()), (3, 1));
    assert_eq!(history.later(&kept("r0", 0, Exit::Success, None).head).unwrap().runs.len(), 2);
    // Nothing has it whole.
    fs::write(&names(&folders[1])[1], "{").unwrap();
    assert!(history.run("r1").unwrap_err().message.contains("is damaged: line 1"));
    assert_eq!(ids(&history, &Filter::default()), ["r2", "r0"]);
    // A folder that cannot be read at all.
    fs::remove_dir_all(folders[0].path().join("history")).unwrap();
    fs::write(folders[0].path().join("history"), "").unwrap();
    let found = history.heads(&Filter::default()).unwrap();
    assert_eq!((found.runs.len(), found.skipped.len()), (2, 2));
    assert_eq!(history.run("r2").unwrap().runs.len(), 1);
    assert!(History::of(&files[0]).heads(&Filter::default()).is_err());
}

/// Whoever can put a record there decides what an undo does.
#[cfg(unix)]
#[test]
fn a_folder_in_which_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, history) = folder();
    let run = kept("r0", 0, Exit::Success, Some(record(Made::Yes)));
    history.end(&run).unwrap();
    let place = folder.path().join("history");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o702, 0o770, 0o1777] {
        set(&place, mode);
        for error in [
            history.heads(&Filter::default()).unwrap_err(),
            history.run("r0").unwrap_err(),
            history.end(&run).unwrap_err(),
        ] {
            assert!(error.message.contains("others can write there (mode"), "{error}");
            assert!(error.next_step.as_ref().is_some_and(|hint| hint.contains("chmod 700")), "{error}");
        }
    }
    // A group that may write to everything else may write here, too.
    set(folder.path(), 0o770);
    for mode in [0o700, 0o755, 0o770] {
        set(&place, mode);
        assert_eq!(one(&history, "r0").map(|run| run.head.run).as_deref(), Some("r0"), "{mode:o}");
    }
    set(folder.path(), 0o700);
    fs::remove_dir_all(&place).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &place).unwrap();
    assert!(history.end(&run).unwrap_err().message.contains("it is no folder"));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_folder_of_another_user_is_refused() {
    let (folder, history) = folder();
    history.end(&kept("r0", 0, Exit::Success, Some(record(Made::Yes)))).unwrap();
    // Only root can give files away.
    if std::os::unix::fs::chown(folder.path().join("history"), Some(4711), None).is_ok() {
        let error = history.heads(&Filter::default()).unwrap_err();
        assert!(error.message.contains("it belongs to another user (4711)"), "{error}");
        std::os::unix::fs::chown(folder.path(), Some(4711), None).unwrap();
        assert!(history.heads(&Filter::default()).is_ok());
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, history) = folder();
    history.end(&kept("r0", 0, Exit::Success, Some(record(Made::Yes)))).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = folder.path().join("history");
    assert_eq!(mode(&place), 0o700);
    let files: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.iter().map(|file| mode(file)).collect::<Vec<_>>(), [0o600]);
}

#[test]
fn old_runs_are_forgotten() {
    let (_folder, history) = folder();
    history.end(&kept("old", 0, Exit::Success, Some(record(Made::Yes)))).unwrap();
    let day = 24 * 60;
    history.end(&kept("r399", 399 * day, Exit::Success, Some(record(Made::Yes)))).unwrap();
    assert_eq!(ids(&history, &Filter::default()), ["r399", "old"]);
    history.end(&kept("r401", 401 * day, Exit::Success, Some(record(Made::Yes)))).unwrap();
    assert_eq!(ids(&history, &Filter::default()), ["r401", "r399"]);
}

#[test]
fn what_is_worth_keeping() {
    let empty = RunRecord { members: Vec::new(), groups: Vec::new(), ..record(Made::Yes) };
    let is_kept = |exit, record| kept("r", 0, exit, record).is_worth_keeping();
    assert!(!is_kept(Exit::Success, Some(empty.clone())) && !is_kept(Exit::Success, None));
    assert!(!is_kept(Exit::Locked, None));
    assert!(is_kept(Exit::Success, Some(record(Made::Yes))));
    assert!(is_kept(Exit::Failure, None) && is_kept(Exit::Blocked, Some(empty)));
}

/// While a run ends again and again, whoever reads sees it every time.
#[test]
fn reading_while_a_run_writes_sees_every_run() {
    let (folder, history) = folder();
    let path = folder.path().to_owned();
    let writer = std::thread::spawn(move || {
        let history = History::in_folder(&path);
        for minute in 0..60 {
            history.begin(&begun(&format!("r{minute}"), minute)).unwrap();
            history
                .end(&kept(&format!("r{minute}"), minute, Exit::Success, Some(record(Made::Yes))))
                .unwrap();
        }
    });
    let mut before = 0;
    while !writer.is_finished() {
        let found = history.heads(&Filter::default()).unwrap();
        assert_eq!(found.skipped, []);
        assert!(found.runs.len() >= before, "{} after {before}", found.runs.len());
        before = found.runs.len();
    }
    writer.join().unwrap();
    assert_eq!(ids(&history, &Filter::default()).len(), 60);
}

proptest! {
    #![proptest_config(few())]

    /// What is understood is understood again when it is written, and everything else is told.
    #[test]
    fn fuzz_history(bytes in damaged([
        of_the_first_form().into_bytes(),
        of_the_second_form().into_bytes(),
        written(&kept("5e0c", 0, Exit::Success, Some(of_members_in_a_group()))),
        written(&kept("5e0c", 0, Exit::Success, Some(record(Made::Yes)))),
        written(&kept("5e0c", 0, Exit::Failure, None)),
        written(&begun("5e0c", 0)),
        [written(&begun("5e0c", 0)), file::ending(&kept("5e0c", 0, Exit::Success, None).head).unwrap()].concat(),
    ])) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("20270101T000000000Z-5e0c.changed.jsonl");
        fs::write(&path, &bytes).unwrap();
        match file::whole(&path) {
            Ok(run) => {
                let again = folder.path().join("again");
                fs::write(&again, written(&run)).unwrap();
                prop_assert_eq!(file::whole(&again).unwrap(), run);
            }
            Err(error) => bwdc_testkit::harmless(&damaged_record(error, &path), bytes.len())?,
        }
        let _ = (file::head(&path).is_ok(), file::entries(&path, |_| false).is_ok());
    }

    #[test]
    fn fuzz_name_of_a_run(name in bwdc_testkit::damaged_text(["20270101T000000000Z-5e0c.changed.jsonl", "20270101T000000123Z-a-b.nothing.jsonl"])) {
        if let Some(file) = RunFile::parse(&name) {
            prop_assert_eq!(file.name(), name);
            prop_assert!(!file.has_id(""));
        }
    }
}

fn damaged_record(error: file::Unreadable, path: &Path) -> Error {
    super::damaged(&error.of(path))
}
