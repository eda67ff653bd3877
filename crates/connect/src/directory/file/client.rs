//! Reads the files into records that know their position.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bwdc_core::did_you_mean;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::list::{self, GroupNames};
use crate::{Error, ErrorKind, Result};

/// Position of a record, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordPosition {
    pub(super) file: PathBuf,
    /// "line 17" or "entry 3".
    pub(super) at: String,
}

/// Row or object that describes a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserRecord {
    pub(super) id: String,
    pub(super) email: String,
    pub(super) status: String,
    pub(super) groups: Vec<String>,
    pub(super) place: RecordPosition,
}

/// Row or object that describes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRecord {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) members: Vec<String>,
    pub(super) place: RecordPosition,
}

/// Contents of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) users: Vec<UserRecord>,
    pub(super) groups: Vec<GroupRecord>,
    /// Columns that are not known, with the file.
    pub(super) ignored: Vec<String>,
}

/// Column names and their alternatives.
const ID: &[&str] = &["id", "externalid", "employeeid", "employee id", "uid"];
const EMAIL: &[&str] = &["email", "e-mail", "mail", "email address", "e-mail address"];
const STATUS: &[&str] = &["status"];
const GROUPS: &[&str] = &["groups"];
const NAME: &[&str] = &["name"];
const MEMBERS: &[&str] = &["members", "member"];

/// Reads the file, or the files of the folder.
pub(super) fn read(path: &Path) -> Result<Records> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mut records = Records::default();
    if metadata.is_dir() {
        read_folder(path, &mut records)?;
    } else if has_extension(path, "json") {
        let file: JsonFile = json(path)?;
        add_users(file.users, path, &mut records);
        add_groups(file.groups, path, &mut records);
    } else {
        read_users_csv(path, &mut records)?;
    }
    Ok(records)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn read_folder(folder: &Path, records: &mut Records) -> Result<()> {
    let users = either(folder, "users")?;
    let users = users.ok_or_else(|| {
        Error::new(
            ErrorKind::Configuration,
            format!("Reading people from {}", folder.display()),
            "there is no users.csv or users.json",
        )
        .hint("See docs/directory-file.md for the formats.")
    })?;
    // Groups first: their names tell how to read the groups of people.
    if let Some(groups) = either(folder, "groups")? {
        if has_extension(&groups, "json") {
            add_groups(json(&groups)?, &groups, records);
        } else {
            read_groups_csv(&groups, records)?;
        }
    }
    if has_extension(&users, "json") {
        add_users(json(&users)?, &users, records);
    } else {
        read_users_csv(&users, records)?;
    }
    Ok(())
}

/// Finds the CSV or the JSON file of this name. With both, it would be unclear which one counts.
fn either(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let [csv, json] = ["csv", "json"].map(|extension| folder.join(format!("{name}.{extension}")));
    match (csv.exists(), json.exists()) {
        (true, true) => Err(Error::new(
            ErrorKind::Configuration,
            format!("Reading {}", folder.display()),
            format!("there are both {name}.csv and {name}.json"),
        )
        .hint("Move away the one that is not to be used.")),
        (true, false) => Ok(Some(csv)),
        (false, true) => Ok(Some(json)),
        (false, false) => Ok(None),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Configuration, format!("Reading {}", path.display()), error)
        .hint("Check file.path and that the user who runs bwdc may read it.")
}

/// Error in a file's content.
pub(super) fn wrong(place: &RecordPosition, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Data, format!("Reading {}, {}", place.file.display(), place.at), reason)
        .hint("Nothing was imported.")
}

/// Ten million people have less.
const LARGEST: u64 = 1 << 30;

/// Reads the whole content, unless somebody is writing it at the moment.
fn text(path: &Path) -> Result<String> {
    let stamp = || -> std::io::Result<(u64, SystemTime)> {
        let metadata = fs::metadata(path)?;
        // Reading from a pipe could wait forever, and a device has no end.
        if !metadata.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        Ok((metadata.len(), metadata.modified()?))
    };
    let before = stamp().map_err(|error| unreadable(path, &error))?;
    if before.0 > LARGEST {
        let reason = format!("it has {} bytes; at most {LARGEST} are read", before.0);
        return Err(Error::new(ErrorKind::Data, format!("Reading {}", path.display()), reason)
            .hint("Look whether it is the right file. Nothing was imported."));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let after = stamp().map_err(|error| unreadable(path, &error))?;
    let attempted = format!("Reading {}", path.display());
    if before != after || bytes.len() as u64 != after.0 {
        return Err(Error::new(ErrorKind::Incomplete, attempted, "it changed while it was being read").hint(
            "Write exports under another name and rename them when they are complete. Nothing was imported.",
        ));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Error::new(ErrorKind::Data, attempted, "it is in UTF-16").hint("Save it as UTF-8."));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        Error::new(ErrorKind::Data, format!("Reading {}, line {line}", path.display()), "this is not UTF-8")
            .hint("Save the file as UTF-8.")
    })
}

/// CSV file, read row by row, with its columns found by name.
struct Table {
    file: PathBuf,
    header_line: u64,
    columns: Vec<String>,
    rows: Vec<(u64, csv::StringRecord)>,
}

fn table(path: &Path) -> Result<Table> {
    let text = text(path)?;
    let first = RecordPosition { file: path.to_owned(), at: "line 1".to_owned() };
    let declared = declared_separator(&text).map_err(|problem| wrong(&first, problem))?;
    let header_line = if declared.is_some() { 2 } else { 1 };
    // The line end of the declaration stays, so that lines are counted as in an editor.
    let (separator, text) = declared.unwrap_or_else(|| (usual_separator(&text), text.as_str()));
    if let Err((line, problem)) = check_quotes(text.as_bytes(), separator) {
        return Err(wrong(&RecordPosition { file: path.to_owned(), at: format!("line {line}") }, problem));
    }
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(text.as_bytes());
    let fault = |error: &csv::Error| {
        let line = error.position().map_or(1, |position| Lines::of(text).at(position));
        let place = RecordPosition { file: path.to_owned(), at: format!("line {line}") };
        match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                wrong(&place, format!("expected {expected_len} fields, as in the header, but found {len}"))
            }
            _ => wrong(&place, error),
        }
    };
    let columns: Vec<String> =
        reader.headers().map_err(|error| fault(&error))?.iter().map(str::to_lowercase).collect();
    if columns.iter().all(String::is_empty) {
        return Err(wrong(&first, "the file is empty: it has no header line"));
    }
    let mut rows = Vec::new();
    let mut lines = Lines::of(text);
    for row in reader.records() {
        let row = row.map_err(|error| fault(&error))?;
        rows.push((row.position().map_or(0, |position| lines.at(position)), row));
    }
    Ok(Table { file: path.to_owned(), header_line, columns, rows })
}

fn usual_separator(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let separator = [b',', b';', b'\t'].into_iter().max_by_key(|separator| {
        // Ties go to the comma.
        (header.bytes().filter(|byte| byte == separator).count(), *separator == b',')
    });
    separator.unwrap_or(b',')
}

/// Separator declared in a spreadsheet's first line `sep=;`, and the text after that line.
fn declared_separator(text: &str) -> std::result::Result<Option<(u8, &str)>, String> {
    let (line, rest) = text.split_at(text.find(['\r', '\n']).unwrap_or(text.len()));
    let bare = line.trim_matches('"');
    if !bare.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("sep=")) {
        return Ok(None);
    }
    match bare.as_bytes()[4..] {
        [separator] if separator.is_ascii() && !separator.is_ascii_alphanumeric() && separator != b'"' => {
            Ok(Some((separator, rest)))
        }
        _ => Err(format!("`{line}` must declare a separator of one character, such as `sep=;`")),
    }
}

/// Line numbers as in an editor: the library counts blank lines as part of the row after them.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0, line: 1 }
    }

    /// Positions must be given in ascending order.
    fn at(&mut self, position: &csv::Position) -> u64 {
        let reached = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        while let Some(byte) = self.text.get(self.at)
            && (self.at < reached || matches!(byte, b'\r' | b'\n'))
        {
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

/// Checks quotes as RFC 4180 requires: a quoted field ends before a separator or a line end. The library accepts anything, and
/// one quote too many would silently swallow the people after it.
fn check_quotes(text: &[u8], separator: u8) -> std::result::Result<(), (usize, String)> {
    let mut line = 1;
    let mut opened = None;
    let mut at_start = true;
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, opened) {
            (b'"', None) if at_start => opened = Some(line),
            (b'"', Some(_)) if bytes.next_if_eq(&b'"').is_some() => {}
            (b'"', Some(first)) => {
                let ends = |next: &u8| [separator, b'\r', b'\n'].contains(next);
                if bytes.peek().is_some_and(|next| !ends(next)) {
                    let problem = format!(
                        "the quoted field that begins in line {first} continues after its closing quote; a quote inside it must be doubled"
                    );
                    return Err((line, problem));
                }
                opened = None;
            }
            _ => {}
        }
        at_start = byte == separator || byte == b'\n';
        line += usize::from(byte == b'\n');
    }
    match opened {
        Some(first) => Err((first, "the quoted field that begins here is never closed".to_owned())),
        None => Ok(()),
    }
}

impl Table {
    fn column(&self, names: &[&str]) -> Result<Option<usize>> {
        let found: Vec<usize> =
            (0..self.columns.len()).filter(|&at| names.contains(&self.columns[at].as_str())).collect();
        match found[..] {
            [] => Ok(None),
            [at] => Ok(Some(at)),
            _ => Err(wrong(&self.header(), format!("several columns mean `{}`", names[0]))),
        }
    }

    fn header(&self) -> RecordPosition {
        self.place(self.header_line)
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, fields)| Row { table: self, line: *line, fields })
    }

    fn place(&self, line: u64) -> RecordPosition {
        RecordPosition { file: self.file.clone(), at: format!("line {line}") }
    }

    /// Ignores unknown columns and reports them; a column whose name is close to a known one is an error, so that a typo in
    /// a header does not lose a column.
    fn ignored(&self, known: &[&[&str]]) -> Result<Vec<String>> {
        let mut ignored = Vec::new();
        for column in
            self.columns.iter().filter(|column| !known.iter().any(|names| names.contains(&column.as_str())))
        {
            let near = did_you_mean(column, known.iter().map(|names| names[0])).filter(|_| column.len() > 3);
            if let Some(near) = near {
                return Err(wrong(
                    &self.header(),
                    format!("unknown column `{column}` (did you mean `{near}`?)"),
                ));
            }
            ignored.push(format!("{column} in {}", self.file.display()));
        }
        Ok(ignored)
    }
}

/// Row with its fields found by column.
struct Row<'a> {
    table: &'a Table,
    line: u64,
    fields: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    fn place(&self) -> RecordPosition {
        self.table.place(self.line)
    }

    fn text(&self, column: Option<usize>) -> &'a str {
        column.and_then(|at| self.fields.get(at)).unwrap_or_default()
    }

    /// Reads an id or a name.
    fn word(&self, column: Option<usize>) -> Result<String> {
        let word = self.text(column);
        self.check_rounding(column, word)?;
        Ok(word.to_owned())
    }

    fn words(&self, column: Option<usize>, known: &GroupNames<'_>) -> Result<Vec<String>> {
        let words = list::words(self.text(column), known).map_err(|problem| self.wrong(column, problem))?;
        words.iter().try_for_each(|word| self.check_rounding(column, word))?;
        Ok(words)
    }

    fn check_rounding(&self, column: Option<usize>, word: &str) -> Result<()> {
        if !is_rounded(word) {
            return Ok(());
        }
        Err(self.wrong(
            column,
            format!(
                "`{word}` is a number that a spreadsheet has rounded: its last digits are lost. Export the list again, with this \
                column as text"
            ),
        ))
    }

    fn wrong(&self, column: Option<usize>, problem: String) -> Error {
        let place = self.place();
        match column.and_then(|at| self.table.columns.get(at)) {
            Some(name) => {
                wrong(&RecordPosition { at: format!("{}, column `{name}`", place.at), ..place }, problem)
            }
            None => wrong(&place, problem),
        }
    }
}

/// Whether this is a long number in a spreadsheet's short form: `1.16E+20`, with a comma in some countries.
fn is_rounded(word: &str) -> bool {
    let Some((digits, exponent)) = word.split_once("E+").or_else(|| word.split_once("e+")) else {
        return false;
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    whole.len() == 1 && [whole, fraction, exponent].into_iter().all(all_digits)
}

fn read_users_csv(path: &Path, records: &mut Records) -> Result<()> {
    let table = table(path)?;
    let (id, email) = (table.column(ID)?, table.column(EMAIL)?);
    let (status, groups) = (table.column(STATUS)?, table.column(GROUPS)?);
    if id.or(email).is_none() {
        return Err(wrong(&table.header(), "a column `id` or `email` is required"));
    }
    records.ignored.extend(table.ignored(&[ID, EMAIL, STATUS, GROUPS])?);
    let known =
        GroupNames::of(records.groups.iter().flat_map(|group| [group.name.as_str(), group.id.as_str()]));
    for row in table.rows() {
        let email = row.text(email).to_owned();
        records.users.push(UserRecord {
            id: if id.is_some() { row.word(id)? } else { email.to_lowercase() },
            email,
            status: row.text(status).to_owned(),
            groups: row.words(groups, &known)?,
            place: row.place(),
        });
    }
    Ok(())
}

fn read_groups_csv(path: &Path, records: &mut Records) -> Result<()> {
    let table = table(path)?;
    let (id, name, members) = (table.column(ID)?, table.column(NAME)?, table.column(MEMBERS)?);
    if name.is_none() {
        return Err(wrong(&table.header(), "a column `name` is required"));
    }
    records.ignored.extend(table.ignored(&[ID, NAME, MEMBERS])?);
    let known = GroupNames::of(table.rows().flat_map(|row| [name, id].map(|column| row.text(column))));
    for row in table.rows() {
        let name = row.word(name)?;
        records.groups.push(GroupRecord {
            id: if id.is_some() { row.word(id)? } else { name.clone() },
            name,
            members: row.words(members, &known)?,
            place: row.place(),
        });
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFile {
    users: Vec<JsonUser>,
    #[serde(default)]
    groups: Vec<JsonGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonUser {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonGroup {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    members: Vec<String>,
}

/// Reads JSON strictly: programs write it, so an unknown field is an error, and serde_json reports line and column.
fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&text(path)?).map_err(|error| {
        Error::new(ErrorKind::Data, format!("Reading {}", path.display()), error)
            .hint("Nothing was imported.")
    })
}

fn entry(path: &Path, number: usize) -> RecordPosition {
    RecordPosition { file: path.to_owned(), at: format!("entry {}", number + 1) }
}

fn add_users(users: Vec<JsonUser>, path: &Path, records: &mut Records) {
    records.users.extend(users.into_iter().enumerate().map(|(number, user)| {
        let email = user.email.unwrap_or_default().trim().to_owned();
        UserRecord {
            id: user.id.map_or_else(|| email.to_lowercase(), |id| id.trim().to_owned()),
            email,
            status: user.status.unwrap_or_default().trim().to_owned(),
            groups: user.groups,
            place: entry(path, number),
        }
    }));
}

fn add_groups(groups: Vec<JsonGroup>, path: &Path, records: &mut Records) {
    records.groups.extend(groups.into_iter().enumerate().map(|(number, group)| {
        let name = group.name.trim().to_owned();
        GroupRecord {
            id: group.id.map_or_else(|| name.clone(), |id| id.trim().to_owned()),
            name,
            members: group.members,
            place: entry(path, number),
        }
    }));
}
