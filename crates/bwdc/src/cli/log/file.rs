//! A log file with those that were put aside: its last lines, and what is written to it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lines::Choice;
use crate::log::escaped;
use crate::ui;
use bwdc_core::error::{Error, Result};

/// How often a file is looked at.
const OFTEN: Duration = Duration::from_millis(200);

/// The last lines that are wanted, also from files that were put aside.
pub(super) fn last(path: &Path, count: usize, choice: &Choice) -> Result<Vec<String>> {
    if matches!(path.try_exists(), Ok(false)) {
        return Err(Error::new(format!(
            "The log {} does not exist: nothing has been logged yet.",
            path.display()
        ))
        .hint("`bwdc status` shows whether anything has run."));
    }
    let mut newest_first = Vec::new();
    for path in std::iter::once(path.to_owned()).chain((1..).map(|number| aside(path, number))) {
        if newest_first.len() >= count {
            break;
        }
        let Some(mut file) = opened(&path).map_err(|error| unreadable(&path, &error))? else { break };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| unreadable(&path, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        newest_first.extend(text.lines().rev().filter(|line| choice.has(line)).map(escaped));
    }
    newest_first.truncate(count);
    newest_first.reverse();
    Ok(newest_first)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(format!("Reading the log {}: {error}", path.display()))
        .hint("Run this as a user who may read it: the owner of the instance's folder, or root.")
}

/// As the log names what it puts aside.
fn aside(path: &Path, number: usize) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
}

/// Shows what is written from now on, until nobody reads it any more.
pub(super) async fn follow(path: &Path, choice: &Choice) -> Result<()> {
    let mut followed = Followed::from_end(path).map_err(|error| unreadable(path, &error))?;
    loop {
        let written = followed.written().map_err(|error| unreadable(path, &error))?;
        for line in written.iter().filter(|line| choice.has(line)) {
            if ui::stream(&escaped(line)).is_err() {
                return Ok(());
            }
        }
        tokio::time::sleep(OFTEN).await;
    }
}

/// A file that is read on, also when it was put aside and another has taken its place.
struct Followed {
    path: PathBuf,
    file: Option<File>,
    /// Of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Followed {
    fn from_end(path: &Path) -> io::Result<Self> {
        let mut file = opened(path)?;
        if let Some(file) = &mut file {
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Self { path: path.to_owned(), file, rest: Vec::new() })
    }

    /// Whole lines since the last look.
    fn written(&mut self) -> io::Result<Vec<String>> {
        let mut lines = self.read()?;
        while let Some(next) = self.next()? {
            self.file = Some(next);
            lines.extend(self.read()?);
        }
        Ok(lines)
    }

    fn read(&mut self) -> io::Result<Vec<String>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        if file.metadata()?.len() < file.stream_position()? {
            // Somebody has emptied it.
            file.rewind()?;
        }
        file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.rest.split_off(whole);
        let lines = String::from_utf8_lossy(&std::mem::replace(&mut self.rest, rest)).into_owned();
        Ok(lines.lines().map(str::to_owned).collect())
    }

    /// The file that was begun after the one that is open, if there is one.
    fn next(&self) -> io::Result<Option<File>> {
        let Some(file) = &self.file else { return opened(&self.path) };
        let own = identity(&file.metadata()?);
        let is_own = |path: &Path| fs::metadata(path).is_ok_and(|found| identity(&found) == own);
        if is_own(&self.path) {
            return Ok(None);
        }
        let there = (1..).map(|number| aside(&self.path, number)).take_while(|path| path.exists());
        let number = there.enumerate().find(|(_, path)| is_own(path)).map(|(at, _)| at);
        match number {
            Some(at) if at > 0 => opened(&aside(&self.path, at)),
            _ => opened(&self.path),
        }
    }
}

/// `None` if there is no such file, or not yet.
fn opened(path: &Path) -> io::Result<Option<File>> {
    // Whoever owns the folder could lead root elsewhere, or make it wait.
    bwdc_store::privileges::check_link(path).map_err(|error| io::Error::other(error.message))?;
    match bwdc_store::files::open_regular(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What stays the same when a file gets another name.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Option<std::time::SystemTime> {
    metadata.created().ok()
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_lost_where_files_are_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bwdc.log");
        let mut followed = Followed::from_end(&path).unwrap();
        assert!(followed.written().unwrap().is_empty());
        fs::write(&path, "1\n2\nhal").unwrap();
        assert_eq!(followed.written().unwrap(), ["1", "2"]);
        fs::write(&path, "1\n2\nhalf\n").unwrap();
        // Two files later, of which nobody has looked at the first.
        fs::rename(&path, aside(&path, 1)).unwrap();
        fs::write(&path, "3\n").unwrap();
        fs::rename(aside(&path, 1), aside(&path, 2)).unwrap();
        fs::rename(&path, aside(&path, 1)).unwrap();
        fs::write(&path, "4\n").unwrap();
        assert_eq!(followed.written().unwrap(), ["half", "3", "4"]);
        fs::write(&path, "").unwrap();
        assert!(followed.written().unwrap().is_empty());
        fs::write(&path, "5\n").unwrap();
        assert_eq!(followed.written().unwrap(), ["5"]);
    }

    proptest! {
        #![proptest_config(few())]

        /// As many lines as were asked for, in their order, and nothing in them that moves a terminal.
        #[test]
        fn fuzz_log_files(
            content in damaged(["2026-03-04T05:06:09.112Z INFO  bwdc: sync ok instance=hq\n{\"level\":\"WARN\"}\nsh: not found\n"]),
            count in 0..5_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("bwdc.log");
            fs::write(&path, &content).unwrap();
            let choice = Choice { severity: super::super::lines::LineFilter::Any, instances: Vec::new() };
            let all = last(&path, usize::MAX, &choice).unwrap();
            let some = last(&path, count, &choice).unwrap();
            prop_assert_eq!(&some[..], &all[all.len() - some.len()..]);
            prop_assert_eq!(some.len(), count.min(all.len()));
            for line in &all {
                prop_assert!(!line.contains(['\n', '\r']));
                bwdc_testkit::plain(line)?;
            }
        }
    }
}
