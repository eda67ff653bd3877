//! A marked block in a user's own crontab.
//!
//! The environment of a cron job is bare (crontab(5)): HOME, LOGNAME, SHELL=/bin/sh and a short PATH. So a line names the program by
//! its whole path and carries its variables itself; a setting of the crontab (`NAME=value`) would also hold for the lines below
//! the block, which are somebody else's.

use crate::job::{ScheduledJob, Starter, USUAL_LOG, check, on_one_line};
use crate::marker::Marker;
use crate::shell::quoted;
use crate::times::{Interval, Schedule};
use bwdc_core::error::{Error, Result};

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
    pub(crate) fn of(job: &ScheduledJob, mail: Option<&str>, above: &Settings<'_>) -> Result<Self> {
        mail.map_or(Ok(()), |mail| on_one_line("address", mail))?;
        let line = line(job, mail)?;
        let around = [for_shell(above), mail.map(|mail| for_mail(above, mail, &job.runs.user))];
        let (set, restore): (Vec<_>, Vec<_>) = around.into_iter().flatten().unzip();
        let lines = set.into_iter().chain([line]).chain(restore).collect();
        Ok(Self { marker: job.marker(), lines })
    }

    /// As it stands in the crontab.
    pub(crate) fn text(&self) -> String {
        std::iter::once(format!("# {}", self.marker.text()))
            .chain(self.lines.iter().cloned())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn job(&self) -> Option<&String> {
        self.lines.iter().find(|line| Setting::of(line).is_none())
    }

    /// The settings that the entry makes for its own line.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Setting<'_>> {
        self.lines.iter().map_while(|line| Setting::of(line))
    }

    /// The command as cron hands it to the shell.
    pub(crate) fn command(&self) -> Option<String> {
        let line = self.job()?;
        let fields = if line.starts_with('@') { 1 } else { 5 };
        let command = line.splitn(fields + 1, ' ').nth(fields)?;
        Some(command.replace("\\%", "%"))
    }
}

/// A line `NAME=value` of a crontab, which holds for the lines below it (crontab(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<'a> {
    line: &'a str,
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl<'a> Setting<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (name, value) = line.split_once('=')?;
        let (name, value) = (unquoted(name), unquoted(value));
        let is_name = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        is_name(name).then_some(Self { line, name, value })
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// The settings above a line, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings<'a>(pub(crate) Vec<Setting<'a>>);

impl<'a> Settings<'a> {
    fn last(&self, name: &str) -> Option<Setting<'a>> {
        self.0.iter().rev().find(|setting| setting.name == name).copied()
    }
}

/// What is set before a line, and what is set again after it.
type Around = (String, String);

/// The line is for a POSIX shell, whatever shell the crontab has for its others: csh and fish understand neither variables before
/// a command nor all redirections.
fn for_shell(above: &Settings<'_>) -> Option<Around> {
    const POSIX: [&str; 7] = ["sh", "dash", "bash", "ash", "ksh", "mksh", "zsh"];
    let shell = above.last("SHELL")?;
    let name = shell.value.rsplit('/').next().unwrap_or_default();
    (!POSIX.contains(&name)).then(|| ("SHELL=/bin/sh".to_owned(), shell.line.to_owned()))
}

/// What follows has the address again that it had: the crontab's own, else that of its owner.
fn for_mail(above: &Settings<'_>, mail: &str, owner: &str) -> Around {
    let before = above.last("MAILTO").map(|setting| setting.line.to_owned());
    (format!("MAILTO={mail}"), before.unwrap_or_else(|| format!("MAILTO={owner}")))
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

    /// What holds in the block.
    pub(crate) fn settings(&self) -> Settings<'a> {
        Settings(self.before.lines().filter_map(Setting::of).collect())
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
            // A setting of somebody's that an entry sets again may have anything in its value.
            let marker = line.starts_with('#').then(|| Marker::all_in(line).pop()).flatten();
            match (line, marker, block.entries.last_mut()) {
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
fn line(job: &ScheduledJob, mail: Option<&str>) -> Result<String> {
    check(&job.runs)?;
    let time = time(&job.schedule)?;
    // cron makes a line end of a bare `%`.
    let command = command(job, mail)?.replace('%', "\\%");
    if command.len() > LONGEST_COMMAND {
        return Err(Error::new(format!(
            "The command for {} is {} characters long; cron takes {LONGEST_COMMAND}.",
            job.runs.folder,
            command.len()
        ))
        .hint("Use shorter paths, or a script of your own: see `bwdc schedule script`."));
    }
    Ok(format!("{time} {command}"))
}

/// For the shell. The program appends to its log itself; what is said before it runs goes to the same file, where the program says
/// nothing twice. The end of that is mailed after a failure.
fn command(job: &ScheduledJob, mail: Option<&str>) -> Result<String> {
    let usual = format!("{}/{USUAL_LOG}", job.runs.folder);
    let log = quoted(job.runs.log_file().unwrap_or(&usual))?;
    let mut words = Vec::new();
    for (name, value) in job.runs.environment(Starter::Scheduler("cron")) {
        words.push(format!("{name}={}", quoted(value)?));
    }
    words.push(quoted(&job.runs.program)?);
    words.push(format!("{} >>{log} 2>&1", job.runs.syncs.words().join(" ")));
    if mail.is_some() {
        words.push(format!("|| tail -n 20 {log}"));
    }
    Ok(words.join(" "))
}

/// The time fields for a schedule, as cron reads them.
pub(crate) fn time(schedule: &Schedule) -> Result<String> {
    match schedule {
        Schedule::Cron(cron) if cron.ever_runs() => Ok(cron.to_string()),
        Schedule::Cron(cron) => Err(Error::new(format!("`{cron}` never runs: there is no such date."))),
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
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;
    use crate::{Job, Syncs, Writes};

    const NOTHING: Settings<'static> = Settings(Vec::new());

    fn job(folder: &str) -> ScheduledJob {
        ScheduledJob {
            schedule: Schedule::parse("15m").unwrap(),
            runs: Job {
                program: "/usr/bin/bwdc".to_owned(),
                folder: folder.to_owned(),
                syncs: Syncs::Instance,
                writes: Writes::default(),
                user: "bwdc".to_owned(),
                variables: vec![("BWDC_CA_FILE".to_owned(), "/etc/100% ours.pem".to_owned())],
            },
        }
    }

    #[test]
    fn blocks_come_and_go_and_leave_the_rest_as_it_was() {
        for (text, origin) in
            [("", Origin::Nothing), ("", Origin::Crontab), ("# mine\n\n5 4 * * * x%y\n", Origin::Crontab)]
        {
            let mut block = Block { origin, ..Block::default() };
            block.put(Entry::of(&job("/srv/one"), None, &NOTHING).unwrap());
            block.put(Entry::of(&job("/srv/two"), Some("ops@example.org"), &NOTHING).unwrap());
            let with = Crontab::parse(text).unwrap().with(block.clone()).unwrap();
            let after = format!("{with}7 7 * * * theirs\n");
            let parsed = Crontab::parse(&after).unwrap();
            assert_eq!(parsed.block.as_ref(), Some(&block), "{after}");
            block.put(Entry::of(&job("/srv/two"), Some("ops@example.org"), &NOTHING).unwrap());
            assert_eq!(parsed.with(block.clone()).as_ref(), Some(&after), "the same again");
            block.entries.clear();
            assert_eq!(parsed.with(block.clone()), Some(format!("{text}7 7 * * * theirs\n")));
            let left = Crontab::parse(&with).unwrap().with(block);
            assert_eq!(left.as_deref(), (origin == Origin::Crontab).then_some(text));
        }
        assert!(Crontab::parse(BEGIN).unwrap_err().to_string().contains("no `# END"));
    }

    /// What is set again after our line stands in our block, and is still no job.
    #[test]
    fn a_marker_in_somebodys_setting_is_no_job() {
        let own = format!("MAILTO=ops # {}\n", job("/srv/other").marker().text());
        let crontab = Crontab::parse(&own).unwrap();
        let mut block = Block::default();
        block.put(Entry::of(&job("/srv/one"), Some("me"), &crontab.settings()).unwrap());
        let with = crontab.with(block.clone()).unwrap();
        assert_eq!(Crontab::parse(&with).unwrap().block, Some(block));
    }

    #[test]
    fn a_line() {
        let entry = Entry::of(&job("/srv/o'ne"), None, &NOTHING).unwrap();
        assert_eq!(
            entry.lines,
            [
                "*/15 * * * * BITWARDENCLI_CONNECTOR_APPDATA_DIR=\"/srv/o'ne\" BWDC_STARTED_BY=cron BWDC_CA_FILE='/etc/100\\% ours.pem' \
              /usr/bin/bwdc sync >>\"/srv/o'ne/bwdc.log\" 2>&1"
            ]
        );
        assert!(entry.command().unwrap().contains("100% ours"));
        let mailed = Entry::of(&job("/srv/one"), Some("ops"), &NOTHING).unwrap();
        assert!(mailed.lines[1].ends_with("2>&1 || tail -n 20 /srv/one/bwdc.log"));
        assert_eq!((mailed.lines[0].as_str(), mailed.lines[2].as_str()), ("MAILTO=ops", "MAILTO=bwdc"));
        assert!(Entry::of(&job("/srv/a\nb"), None, &NOTHING).is_err());
        assert!(
            Entry::of(&job(&"/x".repeat(500)), None, &NOTHING)
                .unwrap_err()
                .message
                .contains("cron takes 998")
        );
    }

    /// The settings of a crontab for its other lines hold for those still, and not for ours.
    #[test]
    fn shells_and_addresses_of_others() {
        for (above, expected) in [
            ("SHELL=/bin/bash\n", &["MAILTO=ops", "MAILTO=bwdc"][..]),
            (
                "SHELL=/bin/sh\n SHELL = \"/usr/bin/fish\"\nMAILTO=''\n# SHELL=/bin/sh\n1 2 3 4 5 SHELL=x y\n",
                &["SHELL=/bin/sh", "MAILTO=ops", " SHELL = \"/usr/bin/fish\"", "MAILTO=''"],
            ),
        ] {
            let crontab = Crontab::parse(above).unwrap();
            let entry = Entry::of(&job("/srv/one"), Some("ops"), &crontab.settings()).unwrap();
            let set: Vec<_> = entry.lines.iter().filter(|line| Setting::of(line).is_some()).collect();
            assert_eq!(set, expected, "{above}");
            assert!(entry.command().unwrap().contains("/usr/bin/bwdc sync"), "{above}");
        }
        let forged = Entry::of(&job("/srv/one"), Some("ops\n* * * * * evil"), &NOTHING).unwrap_err();
        assert!(forged.message.contains("line break"), "{forged}");
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

    /// A crontab with two of our jobs between somebody's own.
    fn crontab() -> String {
        let mut block = Block { origin: Origin::Nothing, access: Access::Added, ..Block::default() };
        block.put(Entry::of(&job("/srv/one"), Some("ops@example.org"), &NOTHING).unwrap());
        block.put(Entry::of(&job("/srv/t\u{f6} o"), None, &NOTHING).unwrap());
        let own = Crontab::parse("# mine\nSHELL=/bin/fish\n5 4 * * * x%y\n").unwrap();
        format!("{}7 7 * * * theirs\n", own.with(block).unwrap())
    }

    proptest! {
        #![proptest_config(few())]

        /// Whatever stands in a crontab, somebody's own lines stay octet by octet, and our block is found again as it was written.
        #[test]
        fn fuzz_crontabs(text in damaged_text([crontab(), "# mine\n\n5 4 * * * x%y".to_owned(), format!("{BEGIN}\n{END}\n")])) {
            let crontab = match Crontab::parse(&text) {
                Ok(crontab) => crontab,
                Err(error) => return bwdc_testkit::harmless(&error, 0),
            };
            let Crontab { before, after, .. } = crontab;
            prop_assert!(text.starts_with(before) && text.ends_with(after));
            let own = format!("{before}{after}");
            prop_assert_eq!(crontab.with(Block::default()), Some(own.clone()));
            let mut block = crontab.block.clone().unwrap_or_default();
            for entry in &block.entries {
                let _ = (entry.command(), entry.settings().count(), entry.marker.log_file());
            }
            block.put(Entry::of(&job("/srv/new"), Some("ops"), &crontab.settings()).unwrap());
            let with = crontab.with(block.clone()).unwrap();
            let again = Crontab::parse(&with).unwrap();
            prop_assert_eq!(again.block.as_ref(), Some(&block));
            prop_assert_eq!(again.after, after);
            prop_assert_eq!(again.before.trim_end_matches('\n'), before.trim_end_matches('\n'));
            prop_assert_eq!(again.with(block), Some(with));
        }
    }
}
