//! The file of a run: a line for its head, then one for each entry.

use std::io::{BufRead, BufReader, ErrorKind, Read as _};
use std::path::Path;

use bwdc_core::error::{Error, Result};
use bwdc_core::organization::record::{GroupEntry, MemberEntry, RunRecord};
use serde::{Deserialize, Serialize};

use super::{Entry, Head, KeptRun, RunTarget, Skipped};
use crate::files::open_regular;

/// The form of the file.
const VERSION: u32 = 1;
/// Longest head that is read: a message of an error is cut long before.
const LONGEST_HEAD: u64 = 1 << 20;

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

/// An entry as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Line<'a> {
    Member(&'a MemberEntry),
    Group(&'a GroupEntry),
}

/// Text of the file.
pub(super) fn written(run: &KeptRun) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let entries = run.record.as_ref().map_or(0, |record| record.members.len() + record.groups.len());
    add(&mut text, &First { version: VERSION, entries, head: run.head.clone() })?;
    let Some(record) = &run.record else { return Ok(text) };
    record.members.iter().try_for_each(|entry| add(&mut text, &Line::Member(entry)))?;
    record.groups.iter().try_for_each(|entry| add(&mut text, &Line::Group(entry)))?;
    Ok(text)
}

fn add(text: &mut Vec<u8>, line: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *text, line)
        .map_err(|error| Error::new(format!("Writing the record of a run: {error}")))?;
    text.push(b'\n');
    Ok(())
}

pub(super) type Reading<T> = std::result::Result<T, Unreadable>;

/// Reads the head alone.
pub(super) fn head(path: &Path) -> Reading<Head> {
    opened(path).and_then(|mut file| Ok(first(&mut file)?.head))
}

/// Reads the head, and the entries whose lines are wanted.
pub(super) fn entries(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Reading<(Head, Vec<Entry>)> {
    let mut file = opened(path)?;
    let First { entries, head, .. } = first(&mut file)?;
    let (mut found, mut read) = (Vec::new(), 0);
    for line in file.lines() {
        let line = line?;
        read += 1;
        if is_wanted(&line) {
            found.push(serde_json::from_str(&line).map_err(|error| in_line(read + 1, &error))?);
        }
    }
    if read == entries {
        Ok((head, found))
    } else {
        Err(Unreadable::Damaged(format!("it has {read} changes instead of {entries}")))
    }
}

/// Reads everything.
pub(super) fn whole(path: &Path) -> Reading<KeptRun> {
    let (head, entries) = entries(path, |_| true)?;
    let record = head.target.as_ref().map(|target| record(target, &head, entries));
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
