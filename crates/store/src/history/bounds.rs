//! Bounds of a history: how long runs are kept, and how many.

use jiff::{SignedDuration, Timestamp};

use super::name::RunFile;
use super::{Folder, Head};
use crate::files::remove_if_there;
use bwdc_core::error::Result;

/// Time for which a run is kept.
const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Number of runs that are kept.
const MOST: usize = 1_000;

impl Folder {
    /// Forgets runs that are too old or too many. The latest one stays in any case.
    pub(super) fn keep_within_bounds(&self, latest: &Head) -> Result<()> {
        let mut files = self.files()?.runs;
        files.retain(|file| file.id != latest.run);
        let earliest = latest.at.checked_sub(LONGEST).unwrap_or(Timestamp::MIN);
        superfluous(files, earliest).iter().try_for_each(|file| self.forget(file))
    }

    fn forget(&self, file: &RunFile) -> Result<()> {
        remove_if_there(&self.path.join(file.name()))
    }
}

/// Those to be forgotten beside one that stays: too old ones, then those that changed nothing, the oldest first.
fn superfluous(files: Vec<RunFile>, earliest: Timestamp) -> Vec<RunFile> {
    let (mut others, mut gone): (Vec<RunFile>, Vec<RunFile>) =
        files.into_iter().partition(|file| file.is_since(earliest));
    others.sort_by(|a, b| (a.worth, a).cmp(&(b.worth, b)));
    let too_many = (others.len() + 1).saturating_sub(MOST);
    gone.extend(others.drain(..too_many));
    gone
}

#[cfg(test)]
mod tests {
    use super::super::name::Worth;
    use super::*;

    fn file(day: usize, worth: Worth) -> RunFile {
        RunFile { time: format!("2026{:04}T000000000Z", 101 + day), id: format!("r{day}"), worth }
    }

    #[test]
    fn those_that_changed_nothing_go_first_and_the_oldest_of_them() {
        let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let all = |worth: Worth, from: usize| (from..from + 500).map(move |day| file(day, worth));
        let files: Vec<RunFile> = all(Worth::Changed, 0)
            .chain(all(Worth::Nothing, 500).take(300))
            .chain(all(Worth::Unclear, 1000))
            .collect();
        let gone = superfluous(files.clone(), begin);
        let idle = (500..800).map(|day| file(day, Worth::Nothing));
        let unclear = (1000..1001).map(|day| file(day, Worth::Unclear));
        assert_eq!(gone, idle.chain(unclear).collect::<Vec<_>>());
        assert!(superfluous(files[..999].to_vec(), begin).is_empty());
        assert_eq!(superfluous(files[..1000].to_vec(), begin), [file(500, Worth::Nothing)]);
        let later: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        assert_eq!(
            superfluous(files[..10].to_vec(), later),
            [file(0, Worth::Changed), file(1, Worth::Changed)]
        );
    }
}
