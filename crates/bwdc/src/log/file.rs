//! A log file that several processes append to at once, begun anew when it is large or old.
//!
//! A line is one `write` to a file opened with `O_APPEND`, so that lines of several processes never mix. The file is opened for
//! each line: whoever holds none cannot write on into one that somebody else has put aside. Putting it aside happens under a
//! lock, which is tried and never waited for: a process that is stopped while it has it must not stop the others' syncs.

use std::fs::{self, File, OpenOptions};
#[cfg(unix)]
use std::io::SeekFrom;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::line::{LogRecord, Sink};
use crate::ui::{self, Style};
use bwdc_config::installation::Format;
use bwdc_config::setup;

/// Appends lines. What goes wrong is told once on stderr, and never more than that: a full disk must not stop a sync.
pub(super) struct Appender {
    path: PathBuf,
    limits: Limits,
    style: Style,
    /// Whether somebody knows that it does not work.
    is_told: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    max_size: u64,
    max_age: Duration,
    /// How many older files stay.
    keep: usize,
}

impl Appender {
    /// `None` if no file is configured.
    pub(super) fn new(log: &setup::Log, style: Style) -> Option<Self> {
        let path = log.file.as_ref()?.value.clone();
        let limits = Limits {
            max_size: log.max_size.value.0,
            max_age: log.max_age.value.duration(),
            keep: log.keep.value.0,
        };
        Some(Self { path, limits, style, is_told: AtomicBool::new(false) })
    }

    fn append(&self, line: &str, time: Timestamp) -> io::Result<()> {
        let mut file = open_in_folder(&self.path)?;
        if self.is_full(&mut file, line, time)? && self.put_aside(line, time)? {
            file = open_in_folder(&self.path)?;
        }
        let is_torn = is_torn(&mut file)?;
        mark_writing(&file);
        let text = if is_torn { format!("\n{line}") } else { line.to_owned() };
        // One call and no second for the rest, which could land behind another process's line.
        let written = file.write(text.as_bytes())?;
        if written < text.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn is_full(&self, file: &mut File, line: &str, now: Timestamp) -> io::Result<bool> {
        let size = file.metadata()?.len();
        if size == 0 {
            return Ok(false);
        }
        if size + line.len() as u64 > self.limits.max_size {
            return Ok(true);
        }
        let is_old = |begun| now.duration_since(begun).unsigned_abs() > self.limits.max_age;
        Ok(begun(file).is_some_and(is_old))
    }

    /// Moves every file on by one number, unless somebody else does or did. Whether there may be a new file now.
    fn put_aside(&self, line: &str, now: Timestamp) -> io::Result<bool> {
        let lock = open(&self.beside("lock"))?;
        if lock.try_lock().is_err() {
            return Ok(false);
        }
        // Another process may have done it between our look and our lock.
        if !self.is_full(&mut open_in_folder(&self.path)?, line, now)? {
            return Ok(true);
        }
        self.move_on()?;
        Ok(true)
    }

    /// From the oldest to the newest, so that each finds its new place free.
    fn move_on(&self) -> io::Result<()> {
        let Limits { keep, .. } = self.limits;
        if keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            let there = (1..keep).take_while(|number| self.beside(number).exists()).count();
            for number in (1..=there).rev() {
                fs::rename(self.beside(number), self.beside(number + 1))?;
            }
            fs::rename(&self.path, self.beside(1))?;
        }
        // More were kept once.
        (keep + 1..).take_while(|number| fs::remove_file(self.beside(number)).is_ok()).for_each(drop);
        Ok(())
    }

    fn beside(&self, end: impl std::fmt::Display) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{end}"));
        name.into()
    }
}

impl Sink for Appender {
    fn write(&self, record: &LogRecord, format: Format) {
        if let Err(error) = self.append(&record.line(format), record.time)
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            let path = self.path.display();
            ui::warning(
                &format!("Writing the log {path}: {error}. The run continues without a log."),
                self.style,
            );
        }
    }
}

/// Whether the last line was cut short, by a full disk or the end of the machine. A line that another process is writing just
/// now looks the same, but that one has marked the file as being written to.
#[cfg(unix)]
fn is_torn(file: &mut File) -> io::Result<bool> {
    if ends_with_line(file)? || file.try_lock().is_err() {
        return Ok(false);
    }
    let is_torn = !ends_with_line(file)?;
    file.unlock()?;
    Ok(is_torn)
}

/// Marks the file as being written to, until it is closed. Whoever cannot writes all the same.
#[cfg(unix)]
fn mark_writing(file: &File) {
    let _ = file.try_lock_shared();
}

#[cfg(unix)]
fn ends_with_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Locks keep others from writing on Windows, so that there is no such mark.
#[cfg(not(unix))]
fn is_torn(_file: &mut File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(unix))]
fn mark_writing(_file: &File) {}

/// When the first line was written, by its own word: creation times are not kept everywhere, and not by copies.
fn begun(file: &mut File) -> Option<Timestamp> {
    const JSON_BEFORE_TIME: &str = "{\"time\":\"";
    let mut head = [0; 33];
    file.rewind().ok()?;
    file.read_exact(&mut head).ok()?;
    let head = std::str::from_utf8(&head).ok()?;
    let head = head.strip_prefix(JSON_BEFORE_TIME).unwrap_or(head);
    head.get(..24)?.parse().ok()
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o750);
    builder.create(folder)
}

/// The last lines of a log, whoever it belongs to: only of a regular file, and a bounded part of that.
pub(crate) fn end(path: &Path, lines: usize) -> io::Result<String> {
    const MOST: u64 = 64 * 1024;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    let mut file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    file.seek(io::SeekFrom::Start(metadata.len().saturating_sub(MOST)))?;
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

/// Whether lines could be written, tried.
pub(crate) fn can_append(path: &Path) -> io::Result<()> {
    open_in_folder(path).map(drop)
}

fn open_in_folder(path: &Path) -> io::Result<File> {
    match open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_folder(path)?;
            open(path)
        }
        other => other,
    }
}

/// Opens the file to append to, or makes it with mode 640, which a group of log readers can be given.
///
/// In a folder that everybody may write to, such as /tmp, somebody may have put a link there that leads to a file of ours, or a
/// file of theirs: neither is written to.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    let is_shared = is_shared(path);
    #[cfg(unix)]
    if is_shared {
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, no_follow);
    }
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match options.clone().create_new(true).open(path) {
                Ok(file) => {
                    set_mode(&file)?;
                    file
                }
                // Another process was first.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path)?,
                Err(error) => return Err(error),
            }
        }
        other => other?,
    };
    check(&file, is_shared)?;
    Ok(file)
}

#[cfg(unix)]
fn is_shared(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    folder.is_some_and(|folder| folder.mode() & 0o002 != 0)
}

#[cfg(unix)]
fn set_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o640))
}

#[cfg(unix)]
fn check(file: &File, is_shared: bool) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.nlink() == 1;
    if is_shared && !is_ours {
        return Err(io::Error::other(
            "it is in a folder that everybody can write to, and belongs to somebody else or is a link",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn is_shared(_path: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn set_mode(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn check(file: &File, _is_shared: bool) -> io::Result<()> {
    if file.metadata()?.is_file() { Ok(()) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn appender(path: &Path, max_size: u64, keep: usize) -> Appender {
        let limits = Limits { max_size, max_age: Duration::from_secs(3600), keep };
        let style = Style { quiet: true, ..Style::default() };
        Appender { path: path.to_owned(), limits, style, is_told: AtomicBool::new(false) }
    }

    fn add(appender: &Appender, line: &str, time: &str) -> io::Result<()> {
        appender.append(line, time.parse().unwrap())
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    const NOON: &str = "2026-01-01T12:00:00.000Z";

    #[test]
    fn a_large_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/bwdc.log");
        let appender = appender(&path, 20, 2);
        for line in ["one 23456789\n", "two 23456789\n", "three 3456789\n", "four 3456789\n"] {
            add(&appender, line, NOON).unwrap();
        }
        assert_eq!(read(&path), "four 3456789\n");
        assert_eq!(read(&appender.beside(1)), "three 3456789\n");
        assert_eq!(read(&appender.beside(2)), "two 23456789\n");
        assert!(!appender.beside(3).exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&appender.beside(1))), (0o640, 0o640));
    }

    #[test]
    fn an_old_file_is_put_aside() {
        for first in [
            "2026-01-01T12:00:00.000Z INFO  bwdc: x",
            "{\"time\":\"2026-01-01T12:00:00.000Z\",\"level\":\"INFO\"}",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let appender = appender(&folder.path().join("bwdc.log"), 1000, 2);
            add(&appender, &format!("{first}\n"), NOON).unwrap();
            add(&appender, "same hour\n", "2026-01-01T12:59:59.000Z").unwrap();
            assert!(!appender.beside(1).exists());
            add(&appender, "next\n", "2026-01-01T13:00:01.000Z").unwrap();
            assert_eq!(read(&appender.path), "next\n");
            assert_eq!(read(&appender.beside(1)), format!("{first}\nsame hour\n"));
        }
    }

    #[test]
    fn a_torn_line_is_ended_first() {
        let folder = tempfile::tempdir().unwrap();
        let appender = appender(&folder.path().join("bwdc.log"), 1000, 2);
        fs::write(&appender.path, "half a li").unwrap();
        add(&appender, "whole\n", NOON).unwrap();
        assert_eq!(read(&appender.path), "half a li\nwhole\n");
    }

    #[test]
    fn nobody_waits_for_somebody_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let appender = appender(&folder.path().join("bwdc.log"), 5, 2);
        let lock = open(&appender.beside("lock")).unwrap();
        lock.lock().unwrap();
        add(&appender, "one\n", NOON).unwrap();
        add(&appender, "two\n", NOON).unwrap();
        assert_eq!(read(&appender.path), "one\ntwo\n");
    }

    #[test]
    fn links_in_a_folder_for_everybody_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("bwdc.log"), folder.path().join("victim"));
        fs::write(&victim, "").unwrap();
        symlink(&victim, &path).unwrap();
        let appender = appender(&path, 1000, 2);
        add(&appender, "an administrator's own link\n", NOON).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(add(&appender, "not this\n", NOON).is_err());
        fs::remove_file(&path).unwrap();
        fs::hard_link(&victim, &path).unwrap();
        assert!(add(&appender, "nor this\n", NOON).is_err());
        assert_eq!(read(&victim), "an administrator's own link\n");
        fs::remove_file(&path).unwrap();
        add(&appender, "but this\n", NOON).unwrap();
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let error = add(&appender(Path::new("/dev/full"), 1000, 2), "x\n", NOON).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
    }
}
