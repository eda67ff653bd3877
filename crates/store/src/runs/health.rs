//! Whether an instance is in step, judged by how its runs went and when they are due.

use jiff::{SignedDuration, Timestamp};

use super::{Ending, Run, Runs};

/// Evidence by which an instance is judged.
pub struct Evidence<'a> {
    /// Runs of the instance.
    pub runs: &'a Runs,
    /// Holder of the folder's lock.
    pub lock: Option<&'a str>,
    /// Last success as `data.json` has it, whoever did it.
    pub earlier_success: Option<Timestamp>,
    /// First time after another when a run is due, if that is known.
    pub times: Option<&'a dyn Fn(Timestamp) -> Option<Timestamp>>,
    /// Time of the judgement.
    pub now: Timestamp,
}

/// Fault of an instance and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthProblem {
    /// Fault, in a sentence.
    pub what: String,
    /// Next step for an administrator.
    pub next_step: String,
}

/// Where nobody knows when runs are due, one a day is expected.
const USUAL: SignedDuration = SignedDuration::from_hours(24);

/// So many intervals may pass without a good run.
const INTERVALS: usize = 3;

impl Evidence<'_> {
    /// Time when the directory and the organization were last in step.
    pub fn last_success(&self) -> Option<Timestamp> {
        match (&self.runs.last_success, self.earlier_success) {
            (Some(run), Some(other)) if other > run.ended() => Some(other),
            // `data.json` has a moment within the same run.
            (Some(run), _) => Some(run.at),
            (None, other) => other,
        }
    }

    /// Reason to look at the instance.
    pub fn trouble(&self) -> Option<HealthProblem> {
        self.hanging().or_else(|| self.failed()).or_else(|| self.locked()).or_else(|| self.overdue())
    }

    fn hanging(&self) -> Option<HealthProblem> {
        let begun = self.runs.running(self.lock)?;
        self.is_long_ago(begun.at).then(|| HealthProblem {
            what: "The sync that is running began more than three intervals ago.".to_owned(),
            next_step: format!(
                "It may be hanging: check `bwdc log`, and stop it ({}).",
                self.lock.unwrap_or("unknown")
            ),
        })
    }

    fn failed(&self) -> Option<HealthProblem> {
        let Run { result, message, hint, .. } = self.runs.last(self.lock)?;
        let is_failure = matches!(result, Ending::Failed | Ending::Blocked | Ending::CutOff);
        is_failure.then(|| HealthProblem {
            what: message,
            next_step: hint.unwrap_or_else(|| "See `bwdc log --errors` and `bwdc doctor`.".to_owned()),
        })
    }

    fn locked(&self) -> Option<HealthProblem> {
        let since = self.runs.locked_since?;
        self.is_long_ago(since).then(|| HealthProblem {
            what: "For more than three intervals, every run has found another sync running.".to_owned(),
            next_step: match self.lock {
                Some(holder) => {
                    format!("That sync may be hanging: check `bwdc log`, and stop it ({holder}).")
                }
                None => "It has ended since: run `bwdc sync`, and schedule syncs further apart.".to_owned(),
            },
        })
    }

    fn overdue(&self) -> Option<HealthProblem> {
        let Some(at) = self.last_success() else {
            return Some(HealthProblem {
                what: "No run has succeeded yet.".to_owned(),
                next_step: "Run `bwdc sync`, or `bwdc doctor` to look for the reason.".to_owned(),
            });
        };
        let ended = self.runs.last_success.as_ref().map(Run::ended).max(Some(at)).unwrap_or(at);
        self.is_long_ago(ended).then(|| HealthProblem {
            what: match self.times {
                Some(_) => "No run has succeeded for three intervals.".to_owned(),
                None => "No run has succeeded for three days.".to_owned(),
            },
            next_step: "Check whether its scheduler runs it: `bwdc schedule list` and `bwdc log`.".to_owned(),
        })
    }

    /// Whether so many runs have become due since.
    fn is_long_ago(&self, time: Timestamp) -> bool {
        let next = |time: Timestamp| match self.times {
            Some(times) => times(time),
            None => time.checked_add(USUAL).ok(),
        };
        (0..INTERVALS).try_fold(time, |time, _| next(time)).is_some_and(|due| due < self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Begun, RunStarter};
    use super::*;
    use crate::runs::{End, RunCounts};
    use bwdc_core::error::{Error, Exit};

    /// Every quarter of an hour.
    fn quarterly(time: Timestamp) -> Option<Timestamp> {
        time.checked_add(SignedDuration::from_mins(15)).ok()
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
    }

    fn by() -> RunStarter {
        RunStarter::named("cron").unwrap()
    }

    /// One that began then and took a minute.
    fn run(minutes: i64, exit: Exit) -> Run {
        let error = Error::new("no").exit(exit);
        let facts = RunCounts { users: 1, groups: 0, removed: 0, left_out: 0 };
        let result = match exit {
            Exit::Success | Exit::LeftOut => Ok((exit, facts)),
            _ => Err(&error),
        };
        Run::of(&End { at: at(minutes), duration: 60.0, run: "r", result }, by())
    }

    fn trouble(runs: &Runs, lock: Option<&str>, now: i64) -> Option<String> {
        let evidence = Evidence { runs, lock, earlier_success: None, times: Some(&quarterly), now: at(now) };
        evidence.trouble().map(|trouble| trouble.what)
    }

    fn after(runs: &[Run]) -> Runs {
        runs.iter().cloned().fold(Runs::default(), Runs::and)
    }

    #[test]
    fn a_failure_is_trouble_and_keeps_the_last_good_run() {
        let runs = after(&[run(0, Exit::Success), run(15, Exit::Failure)]);
        assert_eq!(trouble(&runs, None, 16).as_deref(), Some("no"));
        assert_eq!(runs.last_success.as_ref().unwrap().at, at(0));
        let runs = runs.and(run(30, Exit::LeftOut));
        assert_eq!(trouble(&runs, None, 31), None);
        assert_eq!(runs.last_success.unwrap().at, at(30));
    }

    #[test]
    fn three_intervals_without_a_good_run_are_trouble() {
        let runs = after(&[run(0, Exit::Success)]);
        assert_eq!(trouble(&runs, None, 46), None);
        assert_eq!(trouble(&runs, None, 47).unwrap(), "No run has succeeded for three intervals.");
        assert_eq!(trouble(&Runs::default(), None, 0).unwrap(), "No run has succeeded yet.");
        let unknown =
            Evidence { runs: &runs, lock: None, earlier_success: None, times: None, now: at(3 * 24 * 60) };
        assert_eq!(unknown.trouble(), None);
        let later = Evidence { now: at(3 * 24 * 60 + 2), ..unknown };
        assert_eq!(later.trouble().unwrap().what, "No run has succeeded for three days.");
        let within = Evidence { earlier_success: Some(at(1)), ..later };
        assert_eq!(within.last_success(), Some(at(0)));
        let known = Evidence { earlier_success: Some(at(4000)), ..within };
        assert_eq!((known.trouble(), known.last_success()), (None, Some(at(4000))));
    }

    /// Cron's script may count exit code 3 as a success; here it does not stay hidden.
    #[test]
    fn a_lock_that_is_held_for_three_intervals_is_trouble() {
        let begun = Begun { at: at(15), by: by(), process: 0, run: None };
        let runs = Runs { running: Some(begun), ..after(&[run(0, Exit::Success)]) };
        let holder = Some("process 7, since then");
        assert_eq!(trouble(&runs, holder, 40), None);
        let runs = runs.and(run(30, Exit::Locked)).and(run(45, Exit::Locked));
        assert_eq!(runs.last.as_ref().unwrap().result, Ending::Locked);
        assert!(trouble(&runs, holder, 61).unwrap().contains("began more than three intervals ago"));
        // Another holder each time.
        let runs = Runs { running: None, ..runs };
        let late = Evidence {
            runs: &runs,
            lock: None,
            earlier_success: Some(at(70)),
            times: Some(&quarterly),
            now: at(76),
        };
        assert!(late.trouble().unwrap().what.contains("found another sync running"));
        assert_eq!(trouble(&runs.and(run(75, Exit::Success)), None, 77), None);
    }

    #[test]
    fn one_that_never_told_its_end_was_cut_off() {
        let begun = Begun { at: at(15), by: by(), process: 0, run: None };
        let runs = Runs { running: Some(begun), ..after(&[run(0, Exit::Success)]) };
        let last = runs.last(None).unwrap();
        assert_eq!((last.at, last.result, last.exit), (at(15), Ending::CutOff, None));
        assert!(trouble(&runs, None, 16).unwrap().contains("was interrupted"));
        assert_eq!(runs.last(Some("somebody")).unwrap().at, at(0));
    }
}
