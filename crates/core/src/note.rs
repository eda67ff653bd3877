//! Notes on why an entry was dropped, changed or merged: the answer to "why is this person missing?".

use std::fmt;

/// Importance of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As configured; useful when looking for a person.
    Info,
    /// An administrator should act on it.
    Warning,
}

/// Step between the directory and the import at which a note was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// While reading the directory.
    Read,
    /// `include:` and `exclude:` filters.
    Filter,
    /// Missing and over-long addresses.
    Email,
    /// Two accounts with the same address.
    Duplicates,
    /// Entries that the server would refuse.
    Validate,
    /// Nested groups and their members.
    Groups,
    /// People who leave.
    Leavers,
    /// What the organization holds.
    Organization,
}

/// Change to an entry, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Importance.
    pub severity: Severity,
    /// Step that decided it.
    pub step: Step,
    /// Entry: an e-mail address, a DN, a vendor's id, a group's name; empty if the note is about the whole read.
    pub entry: String,
    /// Sentence without the entry in it, equal for equal causes so that notes can be counted.
    pub reason: String,
}

impl Note {
    /// Makes a note for information.
    pub fn info(step: Step, entry: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self { severity: Severity::Info, step, entry: entry.to_string(), reason: reason.into() }
    }

    /// Makes a note that asks for action.
    pub fn warning(step: Step, entry: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, step, entry: entry.to_string(), reason: reason.into() }
    }
}

/// A value, and why parts of it were dropped or changed on the way to it.
pub type Noted<T> = (T, Vec<Note>);

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry.as_str() {
            "" => f.write_str(&self.reason),
            entry => write!(f, "{entry}: {}", self.reason),
        }
    }
}

/// Notes with the same cause, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteGroup<'a> {
    /// Importance.
    pub severity: Severity,
    /// Step that decided it.
    pub step: Step,
    /// Shared reason.
    pub reason: &'a str,
    /// Entries in the order they were found; empty for notes about the whole read.
    pub entries: Vec<&'a str>,
}

/// At most this many entries are named for one cause.
const NAMED: usize = 5;

impl NoteGroup<'_> {
    /// One cause, with the first entries that it met.
    pub fn sentence(&self) -> String {
        let count = self.entries.len();
        if count == 0 {
            return self.reason.to_owned();
        }
        let named = self.entries.iter().take(NAMED).copied().collect::<Vec<_>>().join("; ");
        let more = if count > NAMED { format!("; and {} more", count - NAMED) } else { String::new() };
        format!("{count} x {}: {named}{more}", self.reason)
    }
}

/// Groups notes by cause, warnings first, otherwise in order of first appearance.
pub fn by_cause(notes: &[Note]) -> Vec<NoteGroup<'_>> {
    let mut groups: Vec<NoteGroup<'_>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for note in notes {
        let key = (note.severity, note.step, note.reason.as_str());
        let at = *index.entry(key).or_insert_with(|| {
            groups.push(NoteGroup {
                severity: note.severity,
                step: note.step,
                reason: &note.reason,
                entries: Vec::new(),
            });
            groups.len() - 1
        });
        if !note.entry.is_empty() {
            groups[at].entries.push(&note.entry);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.severity));
    groups
}
