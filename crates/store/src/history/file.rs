//! The file of a run: a line for its head, then one for each entry, members before groups. People in groups are numbers: those of the lines
//! of members, the first being 0, then those of people whom no such line is about, who are in a line before those of groups. In form 2 that
//! line has everybody in groups, and numbers are its own; form 1 has people in groups written out.
//!
//! A run that did everything it was about to do adds a line with its head as it ended: the entries stay as they were written before the
//! first request.

use std::io::{BufRead, BufReader, ErrorKind, Read as _, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bwdc_core::organization::changes::{Action, Cause};
use bwdc_core::organization::record::{GroupEntry, GroupMember, Made, MemberEntry, MemberState, RunRecord};
use foldhash::{HashMap as FastMap, HashSet as FastSet};
use serde::{Deserialize, Serialize};

use super::{Entry, Head, KeptRun, RunTarget, Skipped};
use crate::files::open_regular;

/// The form of the file.
const VERSION: u32 = 3;
/// The last form in which lines of members have no numbers.
const NUMBERS_OF_PEOPLE_LINE: u32 = 2;
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
    People(&'a [&'a GroupMember]),
    Member(WrittenMember<'a>),
    Group(&'a GroupEntry<u32>),
    Ended(&'a Head),
}

/// A member's entry, without what it does not have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMember<'a> {
    action: Action,
    cause: Cause,
    made: Made,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a MemberState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a MemberState>,
}

impl<'a> From<&'a MemberEntry> for WrittenMember<'a> {
    fn from(MemberEntry { action, cause, made, member_id, before, after }: &'a MemberEntry) -> Self {
        Self {
            action: *action,
            cause: *cause,
            made: *made,
            member_id: member_id.as_deref(),
            before: before.as_ref(),
            after: after.as_ref(),
        }
    }
}

/// Address and external id.
type Key<'a> = (&'a str, Option<&'a str>);

/// Addresses of the texts of a key.
type Place = (usize, Option<usize>);

/// Numbers of people in groups. Most of them share their texts with the line of a member: those are found by where these are.
struct Numbers<'a> {
    members: &'a [MemberEntry],
    by_place: FastMap<Place, u32>,
    /// Made when somebody is not found by that.
    by_text: Option<FastMap<Key<'a>, u32>>,
    /// People whom no line of a member is about, each once.
    others: Vec<&'a GroupMember>,
}

impl<'a> Numbers<'a> {
    fn after(members: &'a [MemberEntry]) -> Self {
        let by_place = numbered(members).map(|(key, number)| (place(key), number)).collect();
        Self { members, by_place, by_text: None, others: Vec::new() }
    }

    fn of(&mut self, member: &'a GroupMember) -> u32 {
        let Self { members, by_place, by_text, others } = self;
        let key = key_of(member);
        if let Some(number) = by_place.get(&place(key)) {
            return *number;
        }
        let by_text = by_text.get_or_insert_with(|| numbered(members).collect());
        *by_text.entry(key).or_insert_with(|| {
            others.push(member);
            u32::try_from(members.len() + others.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// Numbers of the lines of members.
fn numbered(members: &[MemberEntry]) -> impl Iterator<Item = (Key<'_>, u32)> {
    let keys = members.iter().map(|entry| entry.state().map(key_of_state));
    keys.zip(0..).filter_map(|(key, number)| Some((key?, number)))
}

fn place((email, external_id): Key<'_>) -> Place {
    (email.as_ptr().addr(), external_id.map(|id| id.as_ptr().addr()))
}

fn key_of_state(MemberState { email, external_id, .. }: &MemberState) -> Key<'_> {
    (email, external_id.as_deref())
}

fn key_of(GroupMember { email, external_id }: &GroupMember) -> Key<'_> {
    (email, external_id.as_deref())
}

/// A line about a member, as it is read.
#[derive(Deserialize)]
struct MemberLine {
    member: MemberEntry,
}

impl MemberLine {
    fn of(line: &str, number: usize) -> Reading<MemberEntry> {
        let Self { member } = serde_json::from_str(line).map_err(|error| in_line(number, &error))?;
        Ok(member)
    }
}

/// Beginning of a [`MemberLine`].
const MEMBER: &str = "{\"member\":";

/// A line about a group, as it is read.
#[derive(Deserialize)]
struct GroupLine {
    group: GroupEntry<ReadMember>,
}

/// A person's number, or the person, as the first form has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum ReadMember {
    Number(usize),
    Member(GroupMember),
}

impl ReadMember {
    fn number(&self) -> Option<usize> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Member(_) => None,
        }
    }
}

/// The line with people in groups.
#[derive(Deserialize)]
struct PeopleLine {
    people: Vec<GroupMember>,
}

/// Beginning of a [`PeopleLine`].
const PEOPLE: &str = "{\"people\":";

/// The last line of a run that made every change it was about to make.
#[derive(Deserialize)]
struct Last {
    ended: Head,
}

/// Beginning of a [`Last`] line.
const ENDED: &[u8] = b"{\"ended\":";

/// Writes the file.
pub(super) fn write(out: &mut impl Write, run: &KeptRun) -> std::io::Result<()> {
    let record = run.record.as_deref();
    let entries = record.map_or(0, |record| record.members.len() + record.groups.len());
    add(out, &First { version: VERSION, entries, head: run.head.clone() })?;
    let Some(record) = record else { return Ok(()) };
    record.members.iter().try_for_each(|entry| add(out, &Line::Member(entry.into())))?;
    let mut numbers = Numbers::after(&record.members);
    let groups: Vec<GroupEntry<u32>> =
        record.groups.iter().filter_map(|group| group.naming(|member| Some(numbers.of(member)))).collect();
    if !numbers.others.is_empty() {
        add(out, &Line::People(&numbers.others))?;
    }
    groups.iter().try_for_each(|group| add(out, &Line::Group(group)))
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

/// Reads the head, and the entries that are wanted by their text: that of a line, or of somebody in a group.
pub(super) fn entries(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Reading<(Head, Vec<Entry>)> {
    let mut file = opened(path)?;
    let First { version, entries, head } = first(&mut file)?;
    let (people, wanted) = (Vec::new(), FastSet::default());
    let mut reading =
        Entries { is_wanted, numbering: Numbering::of(version), people, wanted, found: Vec::new() };
    let (mut read, mut number) = (0, 1);
    let mut lines = file.by_ref().lines();
    while read < entries {
        let Some(line) = lines.next().transpose()? else { break };
        number += 1;
        if line.starts_with(PEOPLE) {
            reading.people(&line, number)?;
            continue;
        }
        read += 1;
        if line.starts_with(MEMBER) {
            reading.member(line, number)?;
        } else {
            reading.group(&line, number)?;
        }
    }
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    // What has no end was cut off.
    let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &rest[..end]);
    let lines: Vec<&[u8]> = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let surplus = lines.iter().filter(|line| !line.starts_with(ENDED)).count();
    if read != entries || surplus > 0 {
        return Err(Unreadable::Damaged(format!("it has {} changes instead of {entries}", read + surplus)));
    }
    let mut found = reading.found;
    match lines.last().and_then(|line| ended(line)) {
        Some(ended) => {
            found.iter_mut().for_each(was_made);
            Ok((ended, found))
        }
        None => Ok((head, found)),
    }
}

/// Whose numbers people in groups have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbering {
    /// Those of the line with people in groups.
    People,
    /// Those of the lines of members, then those of that line.
    MembersAndPeople,
}

impl Numbering {
    fn of(version: u32) -> Self {
        if version > NUMBERS_OF_PEOPLE_LINE { Self::MembersAndPeople } else { Self::People }
    }
}

/// Somebody who has a number.
enum Person {
    /// Nobody, where the line of a member has neither a state before nor one after.
    Known(Option<GroupMember>),
    /// The one whom this line is about, the line with this number.
    Unread(String, usize),
}

impl From<&MemberEntry> for Person {
    fn from(entry: &MemberEntry) -> Self {
        let person = |MemberState { email, external_id, .. }: &MemberState| GroupMember {
            email: Arc::clone(email),
            external_id: external_id.clone(),
        };
        Self::Known(entry.state().map(person))
    }
}

/// Entries that are wanted.
struct Entries<W> {
    is_wanted: W,
    numbering: Numbering,
    people: Vec<Person>,
    /// Numbers of those people who are wanted.
    wanted: FastSet<usize>,
    found: Vec<Entry>,
}

impl<W: Fn(&str) -> bool> Entries<W> {
    fn people(&mut self, line: &str, number: usize) -> Reading<()> {
        let PeopleLine { people } = serde_json::from_str(line).map_err(|error| in_line(number, &error))?;
        let is_wanted =
            |person: &&GroupMember| serde_json::to_string(person).is_ok_and(|text| (self.is_wanted)(&text));
        if (self.is_wanted)(line) {
            let all = (self.people.len()..).zip(&people);
            self.wanted.extend(all.filter(|(_, person)| is_wanted(person)).map(|(at, _)| at));
        }
        self.people.extend(people.into_iter().map(|person| Person::Known(Some(person))));
        Ok(())
    }

    fn member(&mut self, line: String, number: usize) -> Reading<()> {
        let is_wanted = (self.is_wanted)(&line);
        let entry = is_wanted.then(|| MemberLine::of(&line, number)).transpose()?;
        if self.numbering == Numbering::MembersAndPeople {
            self.wanted.extend(is_wanted.then_some(self.people.len()));
            self.people.push(entry.as_ref().map_or_else(|| Person::Unread(line, number), Person::from));
        }
        self.found.extend(entry.map(Entry::Member));
        Ok(())
    }

    fn group(&mut self, line: &str, number: usize) -> Reading<()> {
        let is_wanted = (self.is_wanted)(line);
        if !is_wanted && self.wanted.is_empty() {
            return Ok(());
        }
        let GroupLine { group } = serde_json::from_str(line).map_err(|error| in_line(number, &error))?;
        let mut numbers = group.people().filter_map(ReadMember::number);
        if is_wanted || numbers.any(|number| self.wanted.contains(&number)) {
            self.read_people(&group)?;
            let nobody = || Unreadable::Damaged(format!("line {number}: it names a person who is not in it"));
            let group = group.naming(|member| self.person(member)).ok_or_else(nobody)?;
            self.found.push(Entry::Group(group));
        }
        Ok(())
    }

    /// Reads the lines that people in a group have.
    fn read_people(&mut self, group: &GroupEntry<ReadMember>) -> Reading<()> {
        for number in group.people().filter_map(ReadMember::number) {
            if let Some(person) = self.people.get_mut(number)
                && let Person::Unread(line, number) = person
            {
                *person = Person::from(&MemberLine::of(line, *number)?);
            }
        }
        Ok(())
    }

    /// `None` if the number is nobody's.
    fn person(&self, member: &ReadMember) -> Option<GroupMember> {
        match member {
            ReadMember::Number(number) => match self.people.get(*number)? {
                Person::Known(person) => person.clone(),
                Person::Unread(..) => None,
            },
            ReadMember::Member(member) => Some(member.clone()),
        }
    }
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
