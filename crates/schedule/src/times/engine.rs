//! Who runs when, decided without a clock: times come in, names to start come out.
//!
//! - One run of an instance at a time, and so many of all at once.
//! - What was missed (sleep, downtime, a full house) is one run, as soon as possible.
//! - Times that pass while an instance runs are not caught up: the next one counts from the end of the run.
//! - While an instance fails, waits of 5, 10, 20, 40 and then 60 minutes take the place of its times.
//! - Each instance has an offset of its own, at most a tenth of the time between two runs, so that a thousand machines with the same
//!   schedule do not arrive in the same second.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;
use jiff::{SignedDuration, Timestamp};

/// The wait after the first failure; it doubles up to the longest.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// What was missed is caught up within this time.
const CATCH_UP: SignedDuration = SignedDuration::from_secs(30);
/// A clock that goes back by more than this was set.
const SET_BACK: SignedDuration = SignedDuration::from_secs(60);

/// Number of intervals that may pass without a success.
const INTERVALS: usize = 3;

/// When an instance is to run.
pub trait Timetable {
    /// The first time after this one; `None` if there is none.
    fn next_after(&self, time: Timestamp) -> Option<Timestamp>;

    /// Time when so many runs after this time were due that a success is missed; `None` if there are not so many.
    fn overdue_after(&self, time: Timestamp) -> Option<Timestamp> {
        (0..INTERVALS).try_fold(time, |time, _| self.next_after(time))
    }

    /// Whether what never ran is due at once; else it has missed nothing, and waits for its time.
    fn is_due_at_first(&self) -> bool {
        false
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Back to the timetable.
    Well,
    /// Somebody else was at it: back to the timetable, and what failed before still counts.
    Busy,
    /// What ran is not what is wanted by now: that runs at once.
    Replaced,
    /// Try again after a while.
    Badly,
}

/// What an instance is to do, as configured.
#[derive(Clone, Debug)]
pub struct ConfiguredRun<T> {
    /// When it is to run.
    pub timetable: T,
    /// When it last ran to a good end, before this program was started.
    pub last: Option<Timestamp>,
}

/// All instances.
#[derive(Debug)]
pub struct Engine<T> {
    instances: BTreeMap<String, Instance<T>>,
    at_once: usize,
    spread: Spread,
    seen: Timestamp,
}

#[derive(Debug)]
struct Instance<T> {
    timetable: T,
    phase: Phase,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until this time; `None` if never again.
    Waiting {
        until: Option<Timestamp>,
    },
    Running,
    /// Configured no more, and still running.
    Leaving,
}

/// Where one machine's offsets come from.
#[derive(Clone, Debug)]
pub struct Spread {
    seed: FixedState,
    largest: SignedDuration,
}

impl Spread {
    /// Equal seeds give equal offsets; none is larger than the largest.
    pub fn seeded(seed: u64, largest: SignedDuration) -> Self {
        Self { seed: FixedState::with_seed(seed), largest }
    }

    /// From nothing up to the largest.
    fn offset(&self, name: &str, largest: SignedDuration) -> SignedDuration {
        let largest = largest.min(self.largest).max(SignedDuration::ZERO);
        let share = self.seed.hash_one(name) % 10_000;
        largest * i32::try_from(share).unwrap_or(0) / 10_000
    }
}

impl<T: Timetable> Engine<T> {
    /// With nothing to do yet.
    pub fn new(at_once: usize, spread: Spread, now: Timestamp) -> Self {
        Self { instances: BTreeMap::new(), at_once: at_once.max(1), spread, seen: now }
    }

    /// Takes a configuration, the first one or another. What runs goes on; what is not wanted any more ends with its run.
    pub fn configure(&mut self, at_once: usize, wanted: BTreeMap<String, ConfiguredRun<T>>, now: Timestamp) {
        self.at_once = at_once.max(1);
        self.instances.retain(|name, instance| match instance.phase {
            Phase::Waiting { .. } => wanted.contains_key(name),
            Phase::Running | Phase::Leaving => true,
        });
        for (name, instance) in &mut self.instances {
            if !wanted.contains_key(name) {
                instance.phase = Phase::Leaving;
            }
        }
        for (name, ConfiguredRun { timetable, last }) in wanted {
            let first = self.first(&name, &timetable, last, now);
            match self.instances.get_mut(&name) {
                Some(known) => known.take(timetable, first),
                None => {
                    let phase = Phase::Waiting { until: first };
                    self.instances.insert(name, Instance { timetable, phase, failures: 0 });
                }
            }
        }
    }

    /// When an instance runs first: at once if a time passed since its last run.
    fn first(&self, name: &str, timetable: &T, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let due = last.and_then(|last| timetable.next_after(last));
        if due.map_or(timetable.is_due_at_first(), |due| due <= now) {
            return now.checked_add(self.spread.offset(name, CATCH_UP)).ok();
        }
        // An interval counts from the last run, whenever it is looked at; a clock that was ahead then must not put it off.
        let next = self.next(name, timetable, now)?;
        let after_last = last.and_then(|last| self.next(name, timetable, last)).filter(|time| *time > now);
        Some(after_last.map_or(next, |time| time.min(next)))
    }

    /// The next time by the timetable, with the offset.
    fn next(&self, name: &str, timetable: &T, now: Timestamp) -> Option<Timestamp> {
        let next = timetable.next_after(now)?;
        let after = timetable.next_after(next).unwrap_or(next);
        let offset = self.spread.offset(name, after.duration_since(next) / 10);
        next.checked_add(offset).ok()
    }

    /// Who is to start now, the longest overdue first. They count as running from here on.
    pub fn start(&mut self, now: Timestamp) -> Vec<String> {
        self.notice(now);
        let running = self.running();
        let mut due: Vec<(Timestamp, String)> = self
            .instances
            .iter()
            .filter_map(|(name, instance)| Some((instance.due().filter(|time| *time <= now)?, name.clone())))
            .collect();
        due.sort();
        due.truncate(self.at_once.saturating_sub(running));
        let names: Vec<String> = due.into_iter().map(|(_, name)| name).collect();
        for name in &names {
            if let Some(instance) = self.instances.get_mut(name) {
                instance.phase = Phase::Running;
            }
        }
        names
    }

    /// A clock that was set back must not put off what was near.
    fn notice(&mut self, now: Timestamp) {
        let is_set_back = self.seen.duration_since(now) > SET_BACK;
        self.seen = now;
        if !is_set_back {
            return;
        }
        let next: Vec<(String, Option<Timestamp>)> = self
            .instances
            .iter()
            .map(|(name, instance)| (name.clone(), self.next(name, &instance.timetable, now)))
            .collect();
        for (name, next) in next {
            if let Some(Instance { phase: Phase::Waiting { until }, .. }) = self.instances.get_mut(&name) {
                *until = match (*until, next) {
                    (Some(until), Some(next)) => Some(until.min(next)),
                    (until, next) => until.or(next),
                };
            }
        }
    }

    /// Takes note of the end of a run.
    pub fn ended(&mut self, name: &str, ended: RunEnd, now: Timestamp) {
        let Some(instance) = self.instances.get(name) else { return };
        if instance.phase == Phase::Leaving {
            self.instances.remove(name);
            return;
        }
        let (failures, until) = match ended {
            RunEnd::Well => (0, self.next(name, &instance.timetable, now)),
            RunEnd::Busy => (instance.failures, self.next(name, &instance.timetable, now)),
            RunEnd::Replaced => (0, Some(now)),
            RunEnd::Badly => {
                let failures = instance.failures.saturating_add(1);
                (failures, now.checked_add(wait_after(failures)).ok())
            }
        };
        if let Some(instance) = self.instances.get_mut(name) {
            instance.failures = failures;
            instance.phase = Phase::Waiting { until };
        }
    }

    /// When to look again, unless a run ends before; `None` if there is nothing to wait for.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.running() >= self.at_once {
            return None;
        }
        self.instances.values().filter_map(Instance::due).min()
    }

    /// How many runs are under way.
    pub fn running(&self) -> usize {
        self.instances.values().filter(|instance| !matches!(instance.phase, Phase::Waiting { .. })).count()
    }

    /// When an instance runs next; `None` while it runs, and if it is will not run again.
    pub fn next_run(&self, name: &str) -> Option<Timestamp> {
        self.instances.get(name)?.due()
    }

    /// Time when a success is missed of an instance whose last one was then.
    pub fn overdue_after(&self, name: &str, last: Timestamp) -> Option<Timestamp> {
        self.instances.get(name)?.timetable.overdue_after(last)
    }

    /// How often it failed since its last good end.
    pub fn failures(&self, name: &str) -> u32 {
        self.instances.get(name).map_or(0, |instance| instance.failures)
    }
}

impl<T> Instance<T> {
    fn due(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Waiting { until } => until,
            Phase::Running | Phase::Leaving => None,
        }
    }

    /// A new configuration. A failing instance keeps to its wait, unless the new timetable has an earlier time.
    fn take(&mut self, timetable: T, first: Option<Timestamp>) {
        self.timetable = timetable;
        self.phase = match self.phase {
            Phase::Running | Phase::Leaving => Phase::Running,
            Phase::Waiting { until: Some(until) } if self.failures > 0 => {
                Phase::Waiting { until: Some(first.map_or(until, |first| first.min(until))) }
            }
            Phase::Waiting { .. } => Phase::Waiting { until: first },
        };
    }
}

/// 5, 10, 20, 40, 60, 60... minutes.
fn wait_after(failures: u32) -> SignedDuration {
    let doubled = FIRST_WAIT.checked_mul(1 << failures.saturating_sub(1).min(10));
    doubled.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::Schedule;
    use super::*;

    /// Every so many minutes of the clock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Every(i64);

    impl Timetable for Every {
        fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
            let gap = self.0 * 60;
            Timestamp::from_second((time.as_second().div_euclid(gap) + 1) * gap).ok()
        }
    }

    const LARGEST: SignedDuration = SignedDuration::from_mins(5);

    fn spread() -> Spread {
        Spread::seeded(7, LARGEST)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn wanted(minutes: &[i64]) -> BTreeMap<String, ConfiguredRun<Every>> {
        let instance = |(number, minutes): (usize, &i64)| {
            (format!("i{number}"), ConfiguredRun { timetable: Every(*minutes), last: None })
        };
        minutes.iter().enumerate().map(instance).collect()
    }

    fn engine(at_once: usize, minutes: &[i64]) -> Engine<Every> {
        let mut engine = Engine::new(at_once, spread(), at(0));
        engine.configure(at_once, wanted(minutes), at(0));
        engine
    }

    #[test]
    fn what_was_missed_is_one_run_soon_after_the_start() {
        let mut engine = Engine::new(1, spread(), at(0));
        let last = Some(at(-86_400));
        engine.configure(
            1,
            BTreeMap::from([("i".to_owned(), ConfiguredRun { timetable: Every(60), last })]),
            at(0),
        );
        let first = engine.wake_at().unwrap();
        assert!(first >= at(0) && first <= at(30), "{first}");
        assert_eq!(engine.start(first), ["i"]);
        assert!(engine.start(first).is_empty());
        engine.ended("i", RunEnd::Well, first);
        assert!(engine.wake_at().unwrap() > at(600));
    }

    /// After each time a fixed while, as an interval is.
    #[derive(Clone, Copy, Debug)]
    struct After(i64);

    impl Timetable for After {
        fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
            time.checked_add(SignedDuration::from_mins(self.0)).ok()
        }
    }

    #[test]
    fn an_interval_counts_from_the_last_run_however_often_it_is_read() {
        let mut engine = Engine::new(1, Spread::seeded(1, SignedDuration::ZERO), at(0));
        let wanted = |last| {
            BTreeMap::from([("i".to_owned(), ConfiguredRun { timetable: After(60), last: Some(last) })])
        };
        for now in [0, 600, 1_200] {
            engine.configure(1, wanted(at(-600)), at(now));
            assert_eq!(engine.wake_at(), Some(at(3_000)), "at {now}");
        }
        // A clock that was ahead.
        engine.configure(1, wanted(at(90_000)), at(1_200));
        assert_eq!(engine.wake_at(), Some(at(4_800)));
    }

    #[test]
    fn failures_are_tried_again_after_longer_and_longer_waits() {
        let mut engine = engine(1, &[1_440]);
        let mut now = engine.wake_at().unwrap();
        for minutes in [5, 10, 20, 40, 60, 60] {
            assert_eq!(engine.start(now), ["i0"]);
            engine.ended("i0", RunEnd::Badly, now);
            assert_eq!(engine.wake_at().unwrap().duration_since(now), SignedDuration::from_mins(minutes));
            now = engine.wake_at().unwrap();
        }
        assert_eq!(engine.failures("i0"), 6);
        engine.start(now);
        engine.ended("i0", RunEnd::Busy, now);
        assert_eq!(engine.failures("i0"), 6);
        now = engine.wake_at().unwrap();
        engine.start(now);
        engine.ended("i0", RunEnd::Well, now);
        assert_eq!(engine.failures("i0"), 0);
        assert!(engine.wake_at().unwrap().duration_since(now) > SignedDuration::from_hours(12));
    }

    #[test]
    fn a_reload_keeps_what_runs_and_forgets_what_is_not_wanted() {
        let mut engine = engine(2, &[5, 5]);
        let now = at(600);
        assert_eq!(engine.start(now).len(), 2);
        engine.configure(2, wanted(&[5]), now);
        assert_eq!(engine.running(), 2);
        assert!(engine.start(at(1_200)).is_empty());
        engine.ended("i1", RunEnd::Well, at(1_200));
        engine.ended("i0", RunEnd::Well, at(1_200));
        assert_eq!(engine.start(at(1_800)), ["i0"]);
    }

    #[test]
    fn a_clock_that_is_set_back_puts_nothing_off() {
        let mut engine = engine(1, &[5]);
        assert!(engine.start(at(-36_000)).is_empty());
        assert!(engine.wake_at().unwrap() <= at(-36_000 + 600));
    }

    /// What may happen in a year.
    #[derive(Clone, Debug)]
    enum Happening {
        /// The machine sleeps for so many minutes.
        Suspend(i64),
        Reload(Vec<i64>),
    }

    fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
        let minutes = prop::collection::vec(5_i64..2_000, 1..6);
        let what =
            prop_oneof![(1_i64..5_000).prop_map(Happening::Suspend), minutes.prop_map(Happening::Reload),];
        prop::collection::vec((0_i64..525_600, what), 0..8)
    }

    /// A run of one instance, for the check afterwards.
    #[derive(Clone, Debug)]
    struct Run {
        name: String,
        from: Timestamp,
        to: Timestamp,
        ended: RunEnd,
    }

    struct Year {
        runs: Vec<Run>,
        most_at_once: usize,
        /// When the machine slept, or was told another configuration.
        disturbed: Vec<(Timestamp, Timestamp)>,
    }

    /// Plays a year: `lengths` and `failing` decide what becomes of each run, in turn.
    fn year(
        at_once: usize,
        minutes: &[i64],
        mut happenings: Vec<(i64, Happening)>,
        lengths: &[i64],
        failing: &[bool],
    ) -> Year {
        happenings.sort_by_key(|(minute, _)| *minute);
        let mut coming: Vec<_> = happenings.into_iter().rev().collect();
        let mut engine = engine(at_once, minutes);
        let mut under_way: Vec<(Timestamp, Run)> = Vec::new();
        let mut year = Year { runs: Vec::new(), most_at_once: 0, disturbed: Vec::new() };
        let mut now = at(0);
        let mut count = 0;
        while now < at(525_600 * 60) {
            under_way.sort_by_key(|(end, _)| *end);
            let end = under_way.first().map(|(end, _)| *end);
            let happening = coming.last().map(|(minute, _)| at(minute * 60));
            let Some(next) = [engine.wake_at(), end, happening].into_iter().flatten().min() else { break };
            now = now.max(next);
            if happening.is_some_and(|time| time <= now) {
                match coming.pop() {
                    Some((_, Happening::Suspend(length))) => {
                        year.disturbed.push((now, now + SignedDuration::from_mins(length)));
                        now += SignedDuration::from_mins(length);
                    }
                    Some((_, Happening::Reload(minutes))) => {
                        year.disturbed.push((now, now));
                        engine.configure(at_once, wanted(&minutes), now);
                    }
                    None => {}
                }
            }
            let (over, rest) = under_way.into_iter().partition(|(end, _)| *end <= now);
            under_way = rest;
            for (_, run) in over {
                engine.ended(&run.name, run.ended, now);
                year.runs.push(Run { to: now, ..run });
            }
            for name in engine.start(now) {
                let length = lengths[count % lengths.len()];
                let ended = if failing[count % failing.len()] { RunEnd::Badly } else { RunEnd::Well };
                count += 1;
                under_way
                    .push((now + SignedDuration::from_secs(length), Run { name, from: now, to: now, ended }));
            }
            year.most_at_once = year.most_at_once.max(under_way.len());
        }
        year
    }

    /// A schedule on the clock of a place where that changes.
    struct Local(Schedule, TimeZone);

    impl Timetable for Local {
        fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
            let local = time.to_zoned_datetime(self.1.clone());
            self.0.next_after(&local).map(|next| next.timestamp())
        }
    }

    const EXPRESSIONS: [&str; 6] =
        ["*/15 * * * *", "30 2 * * *", "0 1,3 * * *", "0 12 * * 1", "45 2 * * sun", "10 0-5 1,15 * 6"];
    const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_year_of_schedules_across_clock_changes_misses_no_run(
            expression in prop::sample::select(&EXPRESSIONS[..]),
            zone in prop::sample::select(&ZONES[..]),
            lengths in prop::collection::vec(1_i64..600, 1..7),
            sleeps in prop::collection::vec((0_i64..525_600, 1_i64..3_000), 0..6),
        ) {
            let local = || Local(Schedule::parse(expression).unwrap(), TimeZone::get(zone).unwrap());
            let wanted = BTreeMap::from([("i".to_owned(), ConfiguredRun { timetable: local(), last: None })]);
            let none = Spread::seeded(7, SignedDuration::ZERO);
            let mut engine = Engine::new(1, none, at(0));
            engine.configure(1, wanted, at(0));
            let end = at(525_600 * 60);
            let mut sleeps: Vec<_> = sleeps.into_iter().map(|(minute, length)| (at(minute * 60), length)).collect();
            sleeps.sort();
            let (mut now, mut planned) = (at(0), local().next_after(at(0)).unwrap());
            for length in lengths.iter().cycle() {
                prop_assert_eq!(engine.wake_at(), Some(planned));
                now = now.max(planned);
                // Whatever passed meanwhile is one run, when the machine is awake again.
                while let Some(&(from, length)) = sleeps.first().filter(|(from, _)| *from <= now) {
                    now = now.max(from + SignedDuration::from_mins(length));
                    sleeps.remove(0);
                }
                if now >= end {
                    break;
                }
                prop_assert_eq!(engine.start(now), ["i"]);
                prop_assert!(engine.start(now).is_empty());
                now += SignedDuration::from_secs(*length);
                engine.ended("i", RunEnd::Well, now);
                planned = local().next_after(now).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_year_without_overlaps_and_without_missed_times(
            at_once in 1_usize..5,
            minutes in prop::collection::vec(5_i64..2_000, 1..6),
            happenings in happenings(),
            lengths in prop::collection::vec(1_i64..1_500, 1..7),
            failing in prop::collection::vec(prop::bool::weighted(0.2), 1..9),
        ) {
            let played = year(at_once, &minutes, happenings.clone(), &lengths, &failing);
            let again = year(at_once, &minutes, happenings, &lengths, &failing);
            prop_assert_eq!(format!("{:?}", played.runs), format!("{:?}", again.runs));
            prop_assert!(played.most_at_once <= at_once);
            let names: BTreeSet<&String> = played.runs.iter().map(|run| &run.name).collect();
            for name in names {
                let runs: Vec<&Run> = played.runs.iter().filter(|run| run.name == *name).collect();
                for pair in runs.windows(2) {
                    let (one, next) = (pair[0], pair[1]);
                    prop_assert!(one.to <= next.from, "{} overlaps", name);
                    check_gap(&played, at_once, &minutes, one, next)?;
                }
            }
        }
    }

    /// The time between two runs is what the timetable or the failure says, where nothing came in between.
    fn check_gap(
        year: &Year,
        at_once: usize,
        minutes: &[i64],
        one: &Run,
        next: &Run,
    ) -> Result<(), TestCaseError> {
        let is_disturbed = year.disturbed.iter().any(|(from, to)| *to >= one.from && *from <= next.from);
        let reloaded = year.disturbed.iter().any(|(from, to)| from == to && *from <= next.from);
        // Another run in the way may have taken the last place.
        let is_full = at_once < minutes.len();
        if is_disturbed || reloaded || is_full {
            return Ok(());
        }
        let number: usize = one.name[1..].parse().unwrap();
        let gap = next.from.duration_since(one.to);
        if one.ended == RunEnd::Badly {
            prop_assert!(gap >= FIRST_WAIT && gap <= LONGEST_WAIT, "{gap:?} after a failure");
            return Ok(());
        }
        let planned = Every(minutes[number]).next_after(one.to).unwrap();
        let late = next.from.duration_since(planned);
        prop_assert!(late >= SignedDuration::ZERO && late <= LARGEST, "{} is {late:?} late", next.name);
        Ok(())
    }
}
