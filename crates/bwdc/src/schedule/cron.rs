//! A marked block in a user's own crontab.
//!
//! The environment of a cron job is bare (crontab(5)): HOME, LOGNAME, SHELL=/bin/sh and a short PATH. So a line names the program by
//! its whole path and carries its variables itself; a setting of the crontab (`NAME=value`) would also hold for the lines below
//! the block, which are somebody else's.

use super::expression::{Interval, Schedule};
use super::{Job, Marker, check};
use crate::error::{Error, Result};

const BEGIN: &str = "# BEGIN bwdc schedule: made by `bwdc schedule install`, do not edit";
const END: &str = "# END bwdc schedule";
const NO_CRONTAB: &str = "# There was no crontab before this.";
const ADDED_TO_ALLOW: &str = "# The user was added to cron.allow for this.";

/// What Debian's cron takes in one line (MAX_COMMAND, cron.h).
const LONGEST_COMMAND: usize = 998;

/// A crontab, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crontab<'a> {
    before: &'a str,
    pub(crate) block: Option<Block>,
    after: &'a str,
}

/// Ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) origin: Origin,
    pub(crate) access: Access,
    pub(crate) entries: Vec<Entry>,
}

/// What there was before the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    #[default]
    Crontab,
    Nothing,
}

/// What became of cron.allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    #[default]
    AsItWas,
    Added,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) marker: Marker,
    /// The job, and the settings around it.
    lines: Vec<String>,
}

impl Entry {
    /// A job's lines; a failure is mailed to `mail`, if that is given.
    pub(crate) fn of(job: &Job, mail: Option<&str>) -> Result<Self> {
        let line = line(job, mail)?;
        let lines = match mail {
            None => vec![line],
            // What follows has the crontab's usual address again: that of its owner.
            Some(mail) => vec![format!("MAILTO={mail}"), line, format!("MAILTO={}", job.user)],
        };
        Ok(Self { marker: job.marker(), lines })
    }

    /// As it stands in the crontab.
    pub(crate) fn text(&self) -> String {
        std::iter::once(format!("# {}", self.marker.text()))
            .chain(self.lines.iter().cloned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The command as cron hands it to the shell.
    pub(crate) fn command(&self) -> Option<String> {
        let line = self.lines.iter().find(|line| !line.starts_with("MAILTO="))?;
        let fields = if line.starts_with('@') { 1 } else { 5 };
        let command = line.splitn(fields + 1, ' ').nth(fields)?;
        Some(command.replace("\\%", "%"))
    }
}

impl<'a> Crontab<'a> {
    /// # Errors
    /// A block without an end: somebody has been at it.
    pub(crate) fn parse(text: &'a str) -> Result<Self> {
        let Some(begin) = text.find(BEGIN) else {
            return Ok(Self { before: text, block: None, after: "" });
        };
        let closing = format!("\n{END}\n");
        let Some(end) = text[begin..].find(&closing).map(|at| begin + at) else {
            return Err(Error::new(format!("In the crontab, the line `{BEGIN}` has no `{END}` after it."))
                .hint(
                    "Take the lines of bwdc out with `crontab -e`, and install again. Nothing was changed.",
                ));
        };
        Ok(Self {
            before: &text[..begin],
            block: Some(Block::parse(&text[begin + BEGIN.len()..end])),
            after: &text[end + closing.len()..],
        })
    }

    /// The crontab with a block, in its place or at the end; without, if nothing is in it. `None` for no crontab at all.
    pub(crate) fn with(&self, block: Block) -> Option<String> {
        let Self { before, after, .. } = self;
        if block.entries.is_empty() {
            let rest = format!("{before}{after}");
            return (!rest.is_empty() || block.origin == Origin::Crontab).then_some(rest);
        }
        let line_end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        Some(format!("{before}{line_end}{}{after}", block.text()))
    }
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match (line, Marker::all_in(line).pop(), block.entries.last_mut()) {
                (NO_CRONTAB, ..) => block.origin = Origin::Nothing,
                (ADDED_TO_ALLOW, ..) => block.access = Access::Added,
                (_, Some(marker), _) => block.entries.push(Entry { marker, lines: Vec::new() }),
                (_, None, Some(entry)) => entry.lines.push(line.to_owned()),
                (_, None, None) => {}
            }
        }
        block
    }

    /// With a job for a folder, in the place of what was there for it.
    pub(crate) fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|known| known.marker.folder == entry.marker.folder) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![BEGIN.to_owned()];
        lines.extend((self.origin == Origin::Nothing).then(|| NO_CRONTAB.to_owned()));
        lines.extend((self.access == Access::Added).then(|| ADDED_TO_ALLOW.to_owned()));
        for entry in &self.entries {
            lines.push(entry.text());
        }
        lines.push(format!("{END}\n"));
        lines.join("\n")
    }
}

/// One line of a crontab.
fn line(job: &Job, mail: Option<&str>) -> Result<String> {
    check(job)?;
    let time = time(&job.schedule)?;
    // cron makes a line end of a bare `%`.
    let command = command(job, mail)?.replace('%', "\\%");
    if command.len() > LONGEST_COMMAND {
        return Err(Error::new(format!(
            "The command for {} is {} characters long; cron takes {LONGEST_COMMAND}.",
            job.folder,
            command.len()
        ))
        .hint("Use shorter paths, or a script of your own: see `bwdc schedule script`."));
    }
    Ok(format!("{time} {command}"))
}

/// For the shell. What it says goes to bwdc.log beside data.json; the end of that is mailed after a failure.
fn command(job: &Job, mail: Option<&str>) -> Result<String> {
    let log = quoted(&format!("{}/bwdc.log", job.folder))?;
    let mut words = Vec::new();
    for (name, value) in job.environment() {
        words.push(format!("{name}={}", quoted(value)?));
    }
    words.push(quoted(&job.program)?);
    words.push(format!("{} >>{log} 2>&1", job.syncs.words().join(" ")));
    if mail.is_some() {
        words.push(format!("|| tail -n 20 {log}"));
    }
    Ok(words.join(" "))
}

/// A word for a POSIX shell.
pub(super) fn quoted(word: &str) -> Result<String> {
    let quoted = shlex::try_quote(word);
    quoted.map(Into::into).map_err(|error| Error::new(format!("Quoting `{}`: {error}", word.escape_debug())))
}

/// The time fields for a schedule, as cron reads them.
pub(crate) fn time(schedule: &Schedule) -> Result<String> {
    match schedule {
        Schedule::Cron(cron) if cron.ever_runs() => Ok(cron.to_string()),
        Schedule::Cron(cron) => Err(Error::new(format!("`{cron}` never runs: there is no such day."))),
        Schedule::Every(interval) => even(*interval),
        Schedule::Boot => Ok("@reboot".to_owned()),
    }
}

/// An interval by the clock, if it goes into an hour or a day evenly.
fn even(interval: Interval) -> Result<String> {
    let minutes = interval.minutes();
    match (minutes, minutes / 60, minutes % 60) {
        (1, ..) => Ok("* * * * *".to_owned()),
        (2..60, ..) if 60 % minutes == 0 => Ok(format!("*/{minutes} * * * *")),
        (_, 1, 0) => Ok("0 * * * *".to_owned()),
        (_, hours @ 2..24, 0) if 24 % hours == 0 => Ok(format!("0 */{hours} * * *")),
        (_, 24, 0) => Ok("0 0 * * *".to_owned()),
        _ => Err(Error::new(format!(
            "cron goes by the clock, and {interval} goes into neither an hour nor a day evenly."
        ))
        .hint(format!(
            "Use {}, or a scheduler that counts intervals: `--using systemd`.",
            nearest_even(minutes)
        ))),
    }
}

fn nearest_even(minutes: i64) -> String {
    let even = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440];
    let nearest = even.into_iter().min_by_key(|even| (even - minutes).abs()).unwrap_or(60);
    if nearest % 60 == 0 { format!("{}h", nearest / 60) } else { format!("{nearest}m") }
}

#[cfg(test)]
mod tests {
    use super::super::{Syncs, Writes};
    use super::*;

    fn job(folder: &str) -> Job {
        Job {
            schedule: Schedule::parse("15m").unwrap(),
            program: "/usr/bin/bwdc".to_owned(),
            folder: folder.to_owned(),
            syncs: Syncs::Instance,
            writes: Writes::default(),
            user: "bwdc".to_owned(),
            variables: vec![("BWDC_CA_FILE".to_owned(), "/etc/100% ours.pem".to_owned())],
        }
    }

    #[test]
    fn blocks_come_and_go_and_leave_the_rest_as_it_was() {
        for (text, origin) in
            [("", Origin::Nothing), ("", Origin::Crontab), ("# mine\n\n5 4 * * * x%y\n", Origin::Crontab)]
        {
            let mut block = Block { origin, ..Block::default() };
            block.put(Entry::of(&job("/srv/one"), None).unwrap());
            block.put(Entry::of(&job("/srv/two"), Some("ops@example.org")).unwrap());
            let with = Crontab::parse(text).unwrap().with(block.clone()).unwrap();
            let after = format!("{with}7 7 * * * theirs\n");
            let parsed = Crontab::parse(&after).unwrap();
            assert_eq!(parsed.block.as_ref(), Some(&block), "{after}");
            block.put(Entry::of(&job("/srv/two"), Some("ops@example.org")).unwrap());
            assert_eq!(parsed.with(block.clone()).as_ref(), Some(&after), "the same again");
            block.entries.clear();
            assert_eq!(parsed.with(block.clone()), Some(format!("{text}7 7 * * * theirs\n")));
            let left = Crontab::parse(&with).unwrap().with(block);
            assert_eq!(left.as_deref(), (origin == Origin::Crontab).then_some(text));
        }
        assert!(Crontab::parse(BEGIN).unwrap_err().to_string().contains("no `# END"));
    }

    #[test]
    fn a_line() {
        let entry = Entry::of(&job("/srv/o'ne"), None).unwrap();
        assert_eq!(
            entry.lines,
            [
                "*/15 * * * * BITWARDENCLI_CONNECTOR_APPDATA_DIR=\"/srv/o'ne\" BWDC_CA_FILE='/etc/100\\% ours.pem' \
              /usr/bin/bwdc sync >>\"/srv/o'ne/bwdc.log\" 2>&1"
            ]
        );
        assert!(entry.command().unwrap().contains("100% ours"));
        let mailed = Entry::of(&job("/srv/one"), Some("ops")).unwrap();
        assert!(mailed.lines[1].ends_with("2>&1 || tail -n 20 /srv/one/bwdc.log"));
        assert_eq!((mailed.lines[0].as_str(), mailed.lines[2].as_str()), ("MAILTO=ops", "MAILTO=bwdc"));
        assert!(Entry::of(&job("/srv/a\nb"), None).is_err());
        assert!(Entry::of(&job(&"/x".repeat(500)), None).unwrap_err().message.contains("cron takes 998"));
    }

    #[test]
    fn intervals_by_the_clock() {
        for (interval, expected) in
            [("1m", "* * * * *"), ("20m", "*/20 * * * *"), ("1h", "0 * * * *"), ("6h", "0 */6 * * *")]
        {
            assert_eq!(time(&Schedule::parse(interval).unwrap()).unwrap(), expected);
        }
        for (interval, near) in [
            ("7m", "Use 6m,"),
            ("45m", "Use 30m,"),
            ("90m", "Use 1h,"),
            ("5h", "Use 4h,"),
            ("2d", "Use 24h,"),
        ] {
            let error = time(&Schedule::parse(interval).unwrap()).unwrap_err().to_string();
            assert!(error.contains(near), "{error}");
        }
    }
}
