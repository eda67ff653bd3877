//! Names of the files: when a run began, its id, and what it is worth. By them alone they are sorted and forgotten.

use jiff::Timestamp;

use super::Head;

const END: &str = ".jsonl";
const TIME: &str = "%Y%m%dT%H%M%S%3fZ";
/// Longest id of a run that is read.
const LONGEST: usize = 100;

/// File of a run. In order of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunFile {
    /// Beginning of the run, in letters that sort like times.
    pub(super) time: String,
    pub(super) id: String,
    pub(super) worth: Worth,
}

/// What a record is worth to those who look back: when there are too many, the first go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// It changed nothing.
    Nothing,
    /// Nobody knows whether it changed anything.
    Unclear,
    /// It changed something.
    Changed,
}

impl Worth {
    const ALL: [Self; 3] = [Self::Nothing, Self::Unclear, Self::Changed];

    fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Unclear => "unclear",
            Self::Changed => "changed",
        }
    }
}

impl RunFile {
    pub(super) fn of(head: &Head, worth: Worth) -> Self {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        let id = head.run.chars().take(LONGEST).map(|c| if is_plain(&c) { c } else { '_' }).collect();
        Self { time: sortable(head.at), id, worth }
    }

    pub(super) fn name(&self) -> String {
        format!("{}-{}.{}{END}", self.time, self.id, self.worth.word())
    }

    /// Reads a name; `None` if it is another file's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (stem, worth) = name.strip_suffix(END)?.split_once('.')?;
        let worth = Worth::ALL.into_iter().find(|known| known.word() == worth)?;
        let (time, id) = stem.split_once('-')?;
        let is_time = |(at, c): (usize, char)| match at {
            8 => c == 'T',
            18 => c == 'Z',
            _ => c.is_ascii_digit(),
        };
        let is_good = time.len() == 19 && time.chars().enumerate().all(is_time) && !id.is_empty();
        is_good.then(|| Self { time: time.to_owned(), id: id.to_owned(), worth })
    }

    /// Whether the id is this one or begins so.
    pub(super) fn has_id(&self, id: &str) -> bool {
        // Every id begins with nothing.
        !id.is_empty() && self.id.get(..id.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(id))
    }

    /// Whether both are of the same run.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.time == other.time && self.id == other.id
    }

    /// Whether the run began then or later.
    pub(super) fn is_since(&self, time: Timestamp) -> bool {
        self.time >= sortable(time)
    }
}

fn sortable(time: Timestamp) -> String {
    time.strftime(TIME).to_string()
}
