//! A trial before a job is installed: the program itself looks at everything, as the user of the job and in the bare environment
//! that the scheduler gives it. Nothing of it is done as root.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::job::{Job, Starter, Syncs};
use crate::variables::RETRY_SECONDS;
use crate::{account, commands};
use bwdc_core::error::{Error, Result, shown};

/// The folder in which a scheduler begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// The user's home, as with cron.
    AtHome,
    /// The folder of the job, as with launchd.
    InFolder,
}

/// Answers are there or not; a scheduled sync is more patient.
pub(crate) const PATIENCE: (&str, &str) = (RETRY_SECONDS, "5");

/// What `bwdc doctor --json` prints.
#[derive(Deserialize)]
struct DoctorReport {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    check: String,
    status: String,
    found: String,
    next_step: Option<String>,
}

/// Tries a job by a command that runs the program's own `doctor` as the scheduler would run a sync.
///
/// # Errors
/// What would make the job fail, and what to do.
pub(crate) fn run(job: &Job, command: Vec<String>) -> Result<()> {
    program(job)?;
    folder(job)?;
    judge(job, &command, &output(&command)?)
}

/// Before there is such a user: what no stranger may run, they may not.
pub(crate) fn program_for_a_stranger(program: &str) -> Result<()> {
    match way(Path::new(program)).find(|part| !is_open_to_all(part)) {
        Some(closed) => Err(cannot_run("A new user", program, closed)),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.mode() & 0o001 != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_path: &Path) -> bool {
    true
}

/// Every folder on the way, then the file.
fn way(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().collect::<Vec<_>>().into_iter().rev()
}

fn program(job: &Job) -> Result<()> {
    let path = Path::new(&job.program);
    if may(job, "-x", path)? {
        return Ok(());
    }
    let mut closed = path;
    for part in way(path) {
        if !may(job, "-x", part)? {
            closed = part;
            break;
        }
    }
    Err(cannot_run(&job.user, &job.program, closed))
}

fn cannot_run(user: &str, program: &str, closed: &Path) -> Error {
    let message = if closed == Path::new(program) {
        format!("{user} cannot run {program}: it does not exist for them, or they may not execute it.")
    } else {
        format!("{user} cannot run {program}: they may not enter {}.", closed.display())
    };
    Error::new(message).hint(format!(
        "Nothing was installed. Put the program where everybody can run it, `install -m 755 {program} /usr/local/bin/bwdc`, and \
         install again by /usr/local/bin/bwdc."
    ))
}

fn folder(job: &Job) -> Result<()> {
    let path = Path::new(&job.folder);
    let (user, shown) = (&job.user, path.display());
    if !may(job, "-x", path)? || !may(job, "-w", path)? {
        let owner = owner(path).map(|owner| format!(" It belongs to {owner}.")).unwrap_or_default();
        return Err(Error::new(format!("{user} cannot enter the folder {shown} and write to it.{owner}")).hint(format!(
            "Nothing was installed. Install again with --fix, which gives the folder and root's files in it to {user}; or \
             `chown -R {user}: {shown}`, and let {user} enter every folder above it."
        )));
    }
    if job.syncs == Syncs::Instance && !may(job, "-e", &path.join("data.json"))? {
        return Err(not_set_up(&job.folder));
    }
    Ok(())
}

/// There is nothing to sync yet.
pub(crate) fn not_set_up(folder: &str) -> Error {
    Error::new(format!("{folder} is not set up yet: there is no data.json in it.")).hint(format!(
        "Nothing was installed. Set it up first (`bwdc init --appdata {folder}`), or install with --untried: every run fails until then."
    ))
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata(path).ok()?.uid();
    account::name_of(uid)
}

#[cfg(not(unix))]
fn owner(_path: &Path) -> Option<String> {
    None
}

/// What `test` says as the user.
fn may(job: &Job, what: &str, path: &Path) -> Result<bool> {
    let mut command = account::as_user(&job.user)?;
    command.extend(["test", what, &path.display().to_string()].map(str::to_owned));
    let output = output(&command)?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(1) if output.stderr.is_empty() => Ok(false),
        _ => Err(Error::new(format!("Trying it as {}: {}", job.user, said(&output)))
            .hint("Run this as root or as that user, or install with --untried.")),
    }
}

/// The words that look at everything.
pub(crate) fn doctor(job: &Job) -> Vec<String> {
    let all = (job.syncs == Syncs::Everything).then_some("--all");
    let words = [job.program.as_str(), "--nointeraction", "doctor", "--json"].into_iter().chain(all);
    words.map(str::to_owned).collect()
}

/// The trial in the bare environment of cron (crontab(5)) or launchd, and in the folder where they begin.
pub(crate) fn as_user(job: &Job, by: Starter, begins: Begins) -> Result<Vec<String>> {
    let account =
        account::find(&job.user)?.ok_or_else(|| Error::new(format!("There is no user {}.", job.user)))?;
    let home = account.home.display().to_string();
    let begins = match begins {
        Begins::AtHome => &home,
        Begins::InFolder => &job.folder,
    };
    let mut words = account::as_user(&job.user)?;
    words.extend(["env", "-i", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"].map(str::to_owned));
    words.extend([format!("HOME={home}"), format!("LOGNAME={}", job.user)]);
    let variables = job.environment(by).chain([PATIENCE]);
    words.extend(variables.map(|(name, value)| format!("{name}={value}")));
    words.extend(["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", begins].map(str::to_owned));
    words.extend(doctor(job));
    Ok(words)
}

fn output(command: &[String]) -> Result<Output> {
    let [program, arguments @ ..] = command else { return Err(Error::new("There is nothing to run.")) };
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).current_dir("/").output();
    output.map_err(|error| {
        Error::new(format!("Trying the job: running {program}: {error}"))
            .hint("Install what has this command, or install with --untried.")
    })
}

fn judge(job: &Job, command: &[String], output: &Output) -> Result<()> {
    let what = format!("The trial of the sync of {} as {}", job.folder, job.user);
    match failed(&output.stdout) {
        Some(failed) if !failed.is_empty() => Err(Error::new(format!("{what} failed:\n{}", failed.join("\n")))
            .hint("Nothing was installed. Mend that and install again; --fix mends owners, --untried installs without a trial.")),
        Some(_) if output.status.success() => Ok(()),
        _ => {
            let said = said(output);
            let hint = commands::hint_of_systemd(command, &said)
                .unwrap_or("Mend that and install again; --untried installs without a trial.");
            Err(Error::new(format!("{what} failed: {said}")).hint(format!("Nothing was installed. {hint}")))
        }
    }
}

/// The checks that failed, a line each; `None` where nothing was checked.
fn failed(stdout: &[u8]) -> Option<Vec<String>> {
    let DoctorReport { checks } = serde_json::from_slice(stdout).ok()?;
    let failed = checks.iter().filter(|check| check.status == "failed").map(Check::line).collect();
    (!checks.is_empty()).then_some(failed)
}

impl Check {
    fn line(&self) -> String {
        // The user who tried it decides what stands there.
        let of_user = |text: &str| shown(&text.replace('\n', "\n      "));
        let next =
            self.next_step.as_ref().map(|next| format!("\n    -> {}", of_user(next))).unwrap_or_default();
        format!("  {}: {}{next}", of_user(&self.check), of_user(&self.found))
    }
}

/// How it ended, in its own words.
fn said(output: &Output) -> String {
    let words =
        [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let words: Vec<String> = words.into_iter().filter(|words| !words.is_empty()).collect();
    if words.is_empty() { output.status.to_string() } else { words.join("\n") }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few, plain};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_was_checked_is_no_good_trial() {
        assert_eq!(failed(br#"{"checks":[]}"#), None);
        assert_eq!(failed(br#"{"checks":[{"check":"Lock","status":"ok","found":"x"}]}"#), Some(Vec::new()));
        let bad = br#"{"checks":[{"check":"Lock","status":"failed","found":"x","nextStep":"y"}]}"#;
        assert_eq!(failed(bad), Some(vec!["  Lock: x\n    -> y".to_owned()]));
    }

    proptest! {
        #![proptest_config(few())]

        /// No check that failed is lost, and nothing in it moves a terminal.
        #[test]
        fn fuzz_answers_of_trials(stdout in damaged([
            r#"{"object":"doctor","ok":false,"checks":[{"check":"data.json","status":"ok","found":"/srv/data.json","nextStep":null},{"check":"Directory","status":"failed","found":"no such\nhost","nextStep":"Mend it"}]}"#,
            r#"{"checks":[{"check":"Lock","status":"skipped","found":"x"},{"check":"Lock","status":"failed","found":"\u001b[2J"}]}"#,
            "sh: 1: bwdc: not found\n",
        ])) {
            let Some(lines) = failed(&stdout) else { return Ok(()) };
            // What is passed over may be no text.
            let Ok(whole) = serde_json::from_slice::<serde_json::Value>(&stdout) else { return Ok(()) };
            let checks = whole["checks"].as_array().unwrap();
            prop_assert_eq!(checks.iter().filter(|check| check["status"] == "failed").count(), lines.len());
            plain(&lines.join("\n"))?;
            let is_ours = |line: &str| line.starts_with("  ");
            prop_assert!(lines.iter().flat_map(|line| line.lines()).all(is_ours), "{lines:?}");
        }
    }
}
