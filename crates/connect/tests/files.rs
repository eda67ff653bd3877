//! Formats of the file directory, and its errors, which name file and line.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

use std::fs;
use std::path::Path;

use std::sync::Arc;

use bwdc_connect::directory::file::{Config, Files};
use bwdc_connect::directory::{Ask, Directory, Others, Progress, ReadExtent, ReadScope};
use bwdc_core::entry::{Group, Status};
use bwdc_core::snapshot::Snapshot;
use bwdc_testkit::damaged;
use proptest::prelude::*;

fn read(path: &Path) -> Result<Snapshot, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask =
        Ask { scope: ReadScope::UsersAndGroups, extent: ReadExtent::Everything, others: Others::WhenNeeded };
    let config = Config { path: path.to_owned() };
    let files = Files::open(config).map_err(|error| error.to_string())?;
    runtime.block_on(files.read(&ask, &Arc::new(Progress::default()))).map_err(|error| error.to_string())
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn users(content: &[u8]) -> Result<Snapshot, String> {
    read(folder(&[("users.csv", content)]).path())
}

#[test]
fn headers_separators_marks_and_words_for_status() {
    for content in [
        "\u{feff}Email;Employee ID;Status\r\na@x.org;1;Active\r\nb@x.org;2;terminated\r\n",
        "E-Mail Address\tuid\tstatus\na@x.org\t1\t\nb@x.org\t2\tLEFT\n",
        "id,mail,status\n1,a@x.org,enabled\n\"2\",\"b@x.org\",removed",
    ] {
        let snapshot = users(content.as_bytes()).unwrap();
        let shown: Vec<_> =
            snapshot.users.iter().map(|user| (user.external_id.as_str(), user.status)).collect();
        assert_eq!(shown, [("1", Status::Active), ("2", Status::Deleted)], "{content}");
    }
    let by_email = users(b"email\nA@x.org\n").unwrap();
    assert_eq!(by_email.users[0].external_id.as_str(), "a@x.org");
    let ignored = users(b"id,phone number\n1,2\n").unwrap();
    assert!(ignored.notes[0].entry.starts_with("phone number in "));
}

#[test]
fn quoted_fields_may_hold_anything() {
    let content = b"id,email,note\r\n1,a@x.org,\"two\r\nlines, a comma and a \"\"quote\"\"\"\r\n\"2\",\"b@x.org\",5\" screen\n\"3\",c@x.org,\"\"";
    let found: Vec<String> =
        users(content).unwrap().users.iter().map(|user| user.external_id.as_str().to_owned()).collect();
    assert_eq!(found, ["1", "2", "3"]);
}

#[test]
fn groups_from_either_side() {
    let folder = folder(&[
        ("users.csv", b"id,email,groups\n1,a@x.org,Staff; New one\n2,b@x.org,\n3,c@x.org,g-1\n"),
        ("groups.csv", b"id,name,members\ng-1,Staff,B@X.org\ng-1,Staff,New one\n"),
    ]);
    let snapshot = read(folder.path()).unwrap();
    let shown: Vec<_> = snapshot.groups.iter().map(by_name).collect();
    assert_eq!(
        shown,
        [("New one", vec!["user:1"]), ("Staff", vec!["user:2", "group:New one", "user:1", "user:3"])]
    );
}

#[test]
fn errors_name_file_and_line() {
    for (content, words) in [
        (&b""[..], "users.csv, line 1: the file is empty"),
        (b"name\nx\n", "line 1: a column `id` or `email` is required"),
        (b"id,emial\n1,a@x.org\n", "unknown column `emial` (did you mean `email`?)"),
        (b"id,email\n1,a@x.org\n2\n", "line 3: expected 2 fields, as in the header, but found 1"),
        (b"id,email\n1,a@x.org\n,\n", "line 3: it has no id"),
        (
            b"id,email,status\n1,a@x.org,actve\n",
            "line 2: unknown status `actve` (did you mean `active`?); known are: active, enabled",
        ),
        (b"id,email\n1,a@x.org\n1,b@x.org\n", "line 3: the id `1` also occurs there with other data: line 2"),
        (b"id,mail,email\n1,a,b\n", "several columns mean `email`"),
        (b"id,email\n1,a@x.org\n2,\xff\n", "line 3: this is not UTF-8"),
        (b"\xff\xfei\0d\0", "it is in UTF-16"),
        // Blank lines and Windows line ends are counted as in an editor.
        (b"id,email\r\n\r\n1,a@x.org\r\n\r\n,\r\n", "line 5: it has no id"),
        (b"id,email\n\n\n1\n", "line 4: expected 2 fields, as in the header, but found 1"),
        // One quote too many must not swallow people.
        (
            b"id,email,note\n1,a@x.org,\"first\n2,b@x.org,second\n",
            "line 2: the quoted field that begins here is never closed",
        ),
        (
            b"id,email,note\n1,a@x.org,\"first\n2,b@x.org,\"second\"\n",
            "line 3: the quoted field that begins in line 2 continues after its closing quote",
        ),
    ] {
        let error = users(content).unwrap_err();
        assert!(error.contains(words), "{words} is not in: {error}");
    }
    let both = folder(&[("users.csv", b"id\n"), ("users.json", b"[]")]);
    assert!(read(both.path()).unwrap_err().contains("both users.csv and users.json"));
    let renamed = folder(&[("users.csv", b"id\n1\n"), ("groups.csv", b"id,name,members\ng,A,1\ng,B,1\n")]);
    assert!(read(renamed.path()).unwrap_err().contains("groups.csv, line 3: the group `g` has the name `A`"));
    assert!(read(Path::new("/nowhere")).unwrap_err().contains("no such file or folder"));
    let next_step = |path: &str| {
        let error = Files::open(Config { path: path.into() }).unwrap_err();
        error.next_step().unwrap().to_owned()
    };
    assert!(next_step("/nowhere").contains("a relative path starts at"));
    assert!(next_step("/home/nobody/nowhere").contains("A systemd service may see neither homes nor /tmp"));
    assert!(read(folder(&[]).path()).unwrap_err().contains("there is no users.csv or users.json"));
}

/// Written as the first line by spreadsheets of many countries, and read by Excel.
#[test]
fn a_first_line_declares_the_separator() {
    for content in [
        "sep=;\r\nid;email\r\n1;a@x.org\r\n",
        "\u{feff}\"sep=|\"\nid|email\n1|a@x.org\n",
        "SEP=\t\nid\temail\n1\ta@x.org",
    ] {
        assert_eq!(users(content.as_bytes()).unwrap().users[0].external_id.as_str(), "1", "{content}");
    }
    assert!(users(b"sep=;\nid;emial\n1;a@x.org\n").unwrap_err().contains("line 2: unknown column `emial`"));
    assert!(users(b"sep=;\nid;email\n;\n").unwrap_err().contains("line 3: it has no id"));
    assert!(
        users(b"sep=\nid,email\n1,a@x.org\n")
            .unwrap_err()
            .contains("line 1: `sep=` must declare a separator")
    );
}

#[test]
fn names_of_groups_may_hold_semicolons() {
    let folder = folder(&[
        (
            "users.csv",
            b"id,email,groups\n1,a@x.org,Staff;R&D; Ops\n2,b@x.org,\"\"\"Night; weekend\"\";Staff\"\n",
        ),
        ("groups.csv", b"id,name,members\ng-1,Staff,\ng-2,R&D; Ops,\ng-3,All,R&D; Ops;2\n"),
    ]);
    let snapshot = read(folder.path()).unwrap();
    let shown: Vec<_> = snapshot.groups.iter().map(by_name).collect();
    assert_eq!(
        shown,
        [
            ("Night; weekend", vec!["user:2"]),
            ("Staff", vec!["user:1", "user:2"]),
            ("R&D; Ops", vec!["user:1"]),
            ("All", vec!["group:g-2", "user:2"]),
        ]
    );
}

#[test]
fn rounded_numbers_name_line_and_column() {
    let rounded = "is a number that a spreadsheet has rounded";
    for (content, place) in [
        (&b"id,email\n1,a@x.org\n1.16E+20,b@x.org\n"[..], "line 3, column `id`: `1.16E+20`"),
        (b"employee id;email\n1,16E+20;a@x.org\n", "line 2, column `employee id`: `1,16E+20`"),
        (b"id,email,groups\n1,a@x.org,Staff;2E+15\n", "line 2, column `groups`: `2E+15`"),
    ] {
        let error = users(content).unwrap_err();
        assert!(error.contains(&format!("{place} {rounded}")), "{error}");
    }
    let members = folder(&[("users.csv", b"id\n1\n"), ("groups.csv", b"name,members\nA,1;1.16E+20\n")]);
    assert!(read(members.path()).unwrap_err().contains("groups.csv, line 2, column `members`: `1.16E+20`"));
    assert_eq!(users(b"id,email\n12e3,a@x.org\nE+5,b@x.org\n").unwrap().users.len(), 2);
}

#[test]
fn an_empty_directory_is_an_error() {
    for (name, content) in [("users.csv", &b"id,email\n"[..]), ("users.json", b"[]")] {
        let error =
            read(folder(&[(name, content), ("groups.csv", b"name,members\nA,1\n")]).path()).unwrap_err();
        assert!(error.contains("there are no people in it"), "{error}");
    }
}

/// The core reports it as a bad record; this is how it is found.
#[test]
fn ids_addresses_and_names_with_control_characters_are_found_by_their_place() {
    let people =
        "id,email,groups\n\"1\0\",a@x.org,\n2,\"b@\u{1b}[2Jx.org\",\n\n3,c@x.org,\"A\u{9b}\"\n4,d@x.org,\n";
    let groups = "id,name\ng,\"B\nC\"\n";
    let folder = folder(&[("users.csv", people.as_bytes()), ("groups.csv", groups.as_bytes())]);
    let snapshot = read(folder.path()).unwrap();
    let ends = |found: &bwdc_core::entry::FoundAs| {
        found.as_str().map(|place| place.rsplit('/').next().unwrap_or_default().to_owned())
    };
    let people: Vec<_> = snapshot.users.iter().map(|user| ends(&user.found_as)).collect();
    let place = |text: &str| Some(text.to_owned());
    assert_eq!(people, [place("users.csv, line 2"), place("users.csv, line 3"), None, None]);
    let mut groups: Vec<_> = snapshot.groups.iter().map(|group| ends(&group.found_as)).collect();
    groups.sort();
    assert_eq!(groups, [place("groups.csv, line 2"), place("users.csv, line 5")]);
}

/// Name of a group, and its members.
fn by_name(group: &Group) -> (&str, Vec<&str>) {
    (group.name.as_str(), group.members.iter().map(|member| member.as_str()).collect())
}

/// By its length, before any of it is in memory.
#[test]
fn a_file_without_end_is_refused() {
    let folder = folder(&[("users.csv", b"id\n1\n")]);
    fs::File::options().write(true).open(folder.path().join("users.csv")).unwrap().set_len(1 << 40).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(error.contains("it has 1099511627776 bytes; at most 1073741824 are read"), "{error}");
}

#[test]
fn json_errors_name_line_and_column() {
    let json = |text: &str| read(&folder(&[("company.json", text.as_bytes())]).path().join("company.json"));
    let good = json(
        r#"{"users":[{"id":"1","email":"a@x.org","status":"disabled","groups":["G"]}],"groups":[{"name":"H","members":["1"]}]}"#,
    );
    assert_eq!(good.unwrap().groups.len(), 2);
    let typo = json("{\"users\":[\n{\"id\":\"1\",\"emial\":\"a@x.org\"}]}").unwrap_err();
    assert!(
        typo.contains("unknown field `emial`, expected one of") && typo.contains("line 2 column"),
        "{typo}"
    );
    assert!(json("{").unwrap_err().contains("line 1 column 1"));
}

const CSV: [&str; 5] = [
    "id,email,status,groups\n1,a@x.org,active,Staff;R&D\n\"2\",\"b@x.org\",left,\"\"\"Night; weekend\"\";Staff\"\n",
    "\u{feff}Email;Employee ID;Status\r\na@x.org;1;Active\r\nb@x.org;2;terminated\r\n",
    "sep=|\r\nid|email\r\n1|a@x.org\r\n",
    "E-Mail Address\tuid\tphone number\na@x.org\t1\t\n",
    "id,name,members\ng-1,Staff,b@x.org;1\ng-2,R&D; Ops,Staff\n",
];
const JSON: [&str; 3] = [
    r#"{"users":[{"id":"1","email":"a@x.org","status":"disabled","groups":["G"]}],"groups":[{"name":"H","members":["1"]}]}"#,
    r#"[{"id":1,"email":null},{"email":"b@x.org"}]"#,
    r#"[{"id":"g","name":"G","members":["1","H"]}]"#,
];

/// Fails if an error does not name the file and, if it is about the content, the line.
fn told(result: &Result<Snapshot, String>, read: usize) -> Result<(), TestCaseError> {
    let Err(error) = result else { return Ok(()) };
    prop_assert!(error.len() <= 8 * read + 2_000, "{} of {read} octets", error.len());
    if error.contains("there are no people") {
        return Ok(());
    }
    let has_file = error.contains("Reading ") && [".csv", ".json"].iter().any(|end| error.contains(end));
    let has_place = ["line ", "entry ", "UTF-16"].iter().any(|place| error.contains(place));
    prop_assert!(has_file && has_place, "{error}");
    Ok(())
}

proptest! {
    #![proptest_config(bwdc_testkit::few())]

    #[test]
    fn fuzz_csv_files(people in damaged(CSV), groups in damaged(CSV)) {
        let read = people.len() + groups.len();
        told(&users(&people), people.len())?;
        told(&self::read(folder(&[("users.csv", &people), ("groups.csv", &groups)]).path()), read)?;
    }

    #[test]
    fn fuzz_json_files(people in damaged(JSON), groups in damaged(JSON)) {
        let read = people.len() + groups.len();
        let one = folder(&[("x.json", &people)]);
        told(&self::read(&one.path().join("x.json")), people.len())?;
        told(&self::read(folder(&[("users.json", &people), ("groups.json", &groups)]).path()), read)?;
    }
}
