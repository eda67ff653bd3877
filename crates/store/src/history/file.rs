//! The file of a run: a line for its head, then one for each entry. A run that did everything it was about to do adds a line with its head
//! as it ended: the entries stay as they were written before the first request.

use std::collections::hash_map::Entry as Slot;
use std::io::{BufRead, BufReader, ErrorKind, Read as _, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bwdc_core::organization::changes::{Cause, GroupAction};
use bwdc_core::organization::record::{GroupEntry, GroupMember, GroupState, Made, MemberEntry, RunRecord};
use foldhash::HashMap as FastMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Entry, Head, KeptRun, RunTarget, Skipped};
use crate::files::open_regular;

/// The form of the file.
const VERSION: u32 = 2;
/// Longest head that is read: a message of an error is cut long before.
const LONGEST_HEAD: u64 = 1 << 20;
/// Bytes at the end of a file in which its last line is looked for first.
const FIRST_TAIL: u64 = 1 << 12;

/// First line.
#[derive(Serialize, Deserialize)]
struct First {
    version: u32,
    /// Number of lines that follow.
    entries: usize,
    #[serde(flatten)]
    head: Head,
}

/// What is read first, since a later form may have other contents.
#[derive(Deserialize)]
struct Form {
    version: u32,
}

/// A line after the first, as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Line<'a> {
    Member(&'a MemberEntry),
    Group(WrittenGroup<'a>),
    Ended(&'a Head),
}

/// [`GroupEntry`], whose members are written as they are in other groups.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenGroup<'a> {
    action: GroupAction,
    cause: Cause,
    made: Made,
    group_id: &'a Option<String>,
    before: &'a Option<GroupState>,
    after: &'a Option<GroupState>,
    join: Vec<Arc<RawValue>>,
    leave: Vec<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held_join: Vec<Arc<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held_leave: Vec<Arc<RawValue>>,
}

/// Members of groups as JSON, each made once: in a first import one is in many groups, and making it costs most of the time.
#[derive(Default)]
struct Members<'a>(FastMap<&'a GroupMember, Arc<RawValue>>);

impl<'a> Members<'a> {
    fn written(&mut self, list: &'a [GroupMember]) -> std::io::Result<Vec<Arc<RawValue>>> {
        list.iter().map(|member| self.member(member)).collect()
    }

    fn member(&mut self, member: &'a GroupMember) -> std::io::Result<Arc<RawValue>> {
        match self.0.entry(member) {
            Slot::Occupied(known) => Ok(Arc::clone(known.get())),
            Slot::Vacant(place) => {
                let text = serde_json::value::to_raw_value(member)?;
                Ok(Arc::clone(place.insert(text.into())))
            }
        }
    }

    fn group(&mut self, group: &'a GroupEntry) -> std::io::Result<Line<'a>> {
        let GroupEntry { action, cause, made, group_id, before, after, join, leave, held_join, held_leave } =
            group;
        Ok(Line::Group(WrittenGroup {
            action: *action,
            cause: *cause,
            made: *made,
            group_id,
            before,
            after,
            join: self.written(join)?,
            leave: self.written(leave)?,
            held_join: self.written(held_join)?,
            held_leave: self.written(held_leave)?,
        }))
    }
}

/// The last line of a run that made every change it was about to make.
#[derive(Deserialize)]
struct Last {
    ended: Head,
}

/// Begin of a [`Last`] line.
const ENDED: &[u8] = b"{\"ended\":";

/// Writes the file.
pub(super) fn write(mut out: &mut dyn Write, run: &KeptRun) -> std::io::Result<()> {
    let record = run.record.as_deref();
    let entries = record.map_or(0, |record| record.members.len() + record.groups.len());
    add(&mut out, &First { version: VERSION, entries, head: run.head.clone() })?;
    let Some(record) = record else { return Ok(()) };
    record.members.iter().try_for_each(|entry| add(&mut out, &Line::Member(entry)))?;
    let mut members = Members::default();
    record.groups.iter().try_for_each(|entry| add(&mut out, &members.group(entry)?))
}

/// What is added to the file of a run that made every change it was about to make.
pub(super) fn ending(head: &Head) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    add(&mut text, &Line::Ended(head))?;
    Ok(text)
}

fn add(out: &mut impl Write, line: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

pub(super) type Reading<T> = std::result::Result<T, Unreadable>;

/// Reads the head alone.
pub(super) fn head(path: &Path) -> Reading<Head> {
    let mut file = opened(path)?;
    let First { head, .. } = first(&mut file)?;
    Ok(last(&mut file)?.unwrap_or(head))
}

/// The head in the last line, if there is one that is whole.
fn last(file: &mut (impl BufRead + Seek)) -> Reading<Option<Head>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut tail = Vec::new();
    for size in std::iter::successors(Some(FIRST_TAIL), |size| Some(size * 8)) {
        tail.clear();
        file.seek(SeekFrom::Start(length.saturating_sub(size)))?;
        file.take(size).read_to_end(&mut tail)?;
        let Some(lines) = tail.strip_suffix(b"\n") else { break };
        match lines.iter().rposition(|byte| *byte == b'\n') {
            Some(before) => return Ok(lines.get(before + 1..).and_then(ended)),
            None if size >= length.min(LONGEST_HEAD) => break,
            None => {}
        }
    }
    Ok(None)
}

/// The head of a last line. A line that was cut off says nothing: then nobody knows what was made.
fn ended(line: &[u8]) -> Option<Head> {
    line.starts_with(ENDED).then(|| serde_json::from_slice::<Last>(line).ok())?.map(|last| last.ended)
}

/// Reads the head, and the entries whose lines are wanted.
pub(super) fn entries(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Reading<(Head, Vec<Entry>)> {
    let mut file = opened(path)?;
    let First { entries, head, .. } = first(&mut file)?;
    let (mut found, mut read) = (Vec::new(), 0);
    for line in file.by_ref().lines().take(entries) {
        let line = line?;
        read += 1;
        if is_wanted(&line) {
            found.push(serde_json::from_str(&line).map_err(|error| in_line(read + 1, &error))?);
        }
    }
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let surplus = lines.iter().filter(|line| !is_last(line)).count();
    if read != entries || surplus > 0 {
        return Err(Unreadable::Damaged(format!("it has {} changes instead of {entries}", read + surplus)));
    }
    match lines.last().and_then(|line| ended(line)) {
        Some(ended) => {
            found.iter_mut().for_each(was_made);
            Ok((ended, found))
        }
        None => Ok((head, found)),
    }
}

/// Whether it is a [`Last`] line, or the begin of one.
fn is_last(line: &[u8]) -> bool {
    ENDED.starts_with(line.get(..ENDED.len()).unwrap_or(line))
}

fn was_made(entry: &mut Entry) {
    let (Entry::Member(MemberEntry { made, .. }) | Entry::Group(GroupEntry { made, .. })) = entry;
    if *made == Made::Unclear {
        *made = Made::Yes;
    }
}

/// Reads everything.
pub(super) fn whole(path: &Path) -> Reading<KeptRun> {
    let (head, entries) = entries(path, |_| true)?;
    let record = head.target.as_ref().map(|target| Arc::new(record(target, &head, entries)));
    Ok(KeptRun { head, record })
}

fn record(target: &RunTarget, head: &Head, entries: Vec<Entry>) -> RunRecord {
    let (mut members, mut groups) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Member(entry) => members.push(entry),
            Entry::Group(entry) => groups.push(entry),
        }
    }
    RunRecord {
        kind: target.kind,
        basis: target.basis,
        members,
        groups,
        unchanged: head.counts.made.unchanged,
    }
}

fn opened(path: &Path) -> Reading<BufReader<std::fs::File>> {
    Ok(BufReader::new(open_regular(path)?))
}

fn first(file: &mut impl BufRead) -> Reading<First> {
    let mut line = String::new();
    file.take(LONGEST_HEAD).read_line(&mut line)?;
    let Form { version } = serde_json::from_str(&line).map_err(|error| in_line(1, &error))?;
    match version {
        0..=VERSION => serde_json::from_str(&line).map_err(|error| in_line(1, &error)),
        _ => Err(Unreadable::Later(version)),
    }
}

fn in_line(number: usize, error: &serde_json::Error) -> Unreadable {
    Unreadable::Damaged(format!("line {number}: {error}"))
}

/// Reason why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It was forgotten meanwhile, or has got its last name.
    Gone,
    /// The system says so.
    Refused(std::io::Error),
    /// It is not as it was written.
    Damaged(String),
    /// A later version wrote it, in this form.
    Later(u32),
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Gone,
            // A line that is no text.
            ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Refused(error),
        }
    }
}

impl Unreadable {
    /// Reason in words, with the file.
    pub(super) fn of(self, path: &Path) -> Skipped {
        let why = match self {
            Self::Gone => "it is not there any more.".to_owned(),
            Self::Refused(error) => format!("{error}."),
            Self::Damaged(why) => format!("it is damaged: {why}."),
            Self::Later(form) => {
                format!("it was written by a later version of bwdc (form {form}, this one knows {VERSION}).")
            }
        };
        Skipped { path: path.to_owned(), why, instead: None }
    }
}
