//! Incidents: what is wrong, since when, and whether it was told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::expiring::{Credential, Told};
use super::{Alert, End, Event, Outcome, Said, Sender, Week};
use crate::organization::{Moment, Span};

/// Number of beginnings of runs that are remembered, to learn how often they begin.
const STARTS: usize = 9;
/// Number of intervals that may pass without a success.
const INTERVALS: u64 = 3;
/// Least time without a success that is worth an alert, however often runs begin.
pub const LEAST_MISSED: Span = Span(15 * 60);

/// What the administrator wants.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Number of failures in a row before somebody is told.
    pub after: u32,
    /// Who tells whom.
    pub sender: Sender<'a>,
}

/// Trouble that lasts until a run succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trouble {
    /// Runs fail.
    Failed,
    /// Something is held back.
    Held,
    /// No run succeeds.
    Missed,
}

impl Trouble {
    fn event(self) -> Event {
        match self {
            Self::Failed => Event::Failed,
            Self::Held => Event::Held,
            Self::Missed => Event::Missed,
        }
    }
}

/// What is known of an instance's troubles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Incidents {
    /// Runs that failed since the last one that did not.
    pub failures: u32,
    /// Beginning of the first of those.
    pub failing_since: Option<Moment>,
    /// Troubles that were told, each with its beginning.
    pub open: BTreeMap<Trouble, Moment>,
    /// End of the last run that succeeded.
    pub last_success: Option<Moment>,
    /// Beginning of the first run that was seen.
    pub first_seen: Option<Moment>,
    /// Beginnings of the last runs that nobody started by hand.
    pub starts: Vec<Moment>,
    /// Run that was told as cut off.
    pub cut_off: Option<String>,
    /// What was told of credentials, by name.
    pub expiring: BTreeMap<String, Told>,
    /// End of the last invitation that was told to end.
    pub invitations: Option<Moment>,
    /// Week of the last digest, counted from 1970.
    pub week: Option<i64>,
}

/// Decision: what is to be told, and what is known afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What is known afterwards.
    pub incidents: Incidents,
    /// Alerts, in the order in which they are to be sent.
    pub alerts: Vec<Alert>,
}

impl Incidents {
    /// Incidents of an instance whose memory of them was lost: the next failure is told at once.
    pub fn forgotten() -> Self {
        Self { failures: u32::MAX / 2, ..Self::default() }
    }

    /// Decides what a run that is over means.
    #[must_use]
    pub fn after(mut self, outcome: &Outcome, rules: &Rules<'_>) -> Verdict {
        let sender = &rules.sender;
        let at = outcome.run.at.0;
        self.first_seen.get_or_insert(at);
        self.remember_start(outcome);
        let mut alerts = Vec::new();
        match &outcome.end {
            End::Busy => {}
            End::Done => alerts.extend(self.succeeded(outcome, sender)),
            End::Failed(said) => alerts.extend(self.failed(outcome, said, rules)),
            End::Held(said) => alerts.extend(self.held(outcome, said, sender)),
        }
        if !outcome.leavers.is_empty() {
            alerts.push(sender.leavers(outcome));
        }
        Verdict { incidents: self, alerts }
    }

    /// Decides about a run that never told its end. It failed, and is told by the next one.
    #[must_use]
    pub fn after_cut_off(mut self, outcome: &Outcome, rules: &Rules<'_>) -> Verdict {
        if self.cut_off.as_ref() == Some(&outcome.run.id) {
            return Verdict { incidents: self, alerts: Vec::new() };
        }
        self.cut_off = Some(outcome.run.id.clone());
        self.after(outcome, rules)
    }

    fn remember_start(&mut self, outcome: &Outcome) {
        if outcome.run.by == "person" || self.starts.last().is_some_and(|last| *last >= outcome.run.at.0) {
            return;
        }
        self.starts.push(outcome.run.at.0);
        let superfluous = self.starts.len().saturating_sub(STARTS);
        self.starts.drain(..superfluous);
    }

    fn succeeded(&mut self, outcome: &Outcome, sender: &Sender<'_>) -> Option<Alert> {
        let since = self.open.values().min().copied();
        let ended: Vec<Event> = std::mem::take(&mut self.open).into_keys().map(Trouble::event).collect();
        let (failures, _) = (std::mem::take(&mut self.failures), self.failing_since.take());
        self.last_success = Some(sender.now);
        since.map(|since| sender.recovered(outcome, since, ended, failures))
    }

    fn failed(&mut self, outcome: &Outcome, said: &Said, rules: &Rules<'_>) -> Option<Alert> {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(outcome.run.at.0);
        if self.failures < rules.after || self.open.contains_key(&Trouble::Failed) {
            return None;
        }
        self.open.insert(Trouble::Failed, since);
        // After a memory that was lost, nobody knows how many.
        self.failures = self.failures.min(rules.after.max(1));
        Some(rules.sender.failed(outcome, said, since, self.failures))
    }

    fn held(&mut self, outcome: &Outcome, said: &Said, sender: &Sender<'_>) -> Option<Alert> {
        self.failures = 0;
        self.failing_since = None;
        if self.open.contains_key(&Trouble::Held) {
            return None;
        }
        self.open.insert(Trouble::Held, outcome.run.at.0);
        Some(sender.held(outcome, said))
    }

    /// Usual time between the beginnings of runs, as far as that can be learned: the median of the last ones.
    pub fn learned_interval(&self) -> Option<Span> {
        let mut gaps: Vec<Span> = self.starts.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        gaps.sort_unstable();
        // Two runs are a coincidence.
        (gaps.len() >= 2).then(|| gaps[gaps.len() / 2]).filter(|gap| *gap > Span::NONE)
    }

    /// Time from which on a success is missed, by the interval that was learned.
    pub fn overdue_at(&self) -> Option<Moment> {
        let interval = self.learned_interval()?;
        let since = self.last_success.or(self.first_seen)?;
        Some(since.plus(Span(interval.0.saturating_mul(INTERVALS)).max(LEAST_MISSED)))
    }

    /// Decides whether a success is missed. `overdue_at` is the time from which on it is.
    #[must_use]
    pub fn checked(mut self, overdue_at: Option<Moment>, sender: &Sender<'_>) -> Verdict {
        let since = self.last_success.or(self.first_seen);
        let is_missed = overdue_at.is_some_and(|overdue_at| overdue_at < sender.now);
        let mut alerts = Vec::new();
        if let Some(since) = since.filter(|_| is_missed && !self.open.contains_key(&Trouble::Missed)) {
            self.open.insert(Trouble::Missed, since);
            alerts.push(sender.missed(since, self.last_success));
        }
        Verdict { incidents: self, alerts }
    }

    /// Decides which credentials are told to end soon.
    #[must_use]
    pub fn expiring(mut self, credentials: &[Credential], sender: &Sender<'_>) -> Verdict {
        let alerts = super::expiring::due(&mut self.expiring, credentials, sender);
        Verdict { incidents: self, alerts }
    }

    /// Decides which invitations are told to end: all that end within a day or have ended since, in one message.
    #[must_use]
    pub fn invitations(mut self, invitations: &[(String, Moment)], sender: &Sender<'_>) -> Verdict {
        let until = sender.now.plus(Span::DAY);
        let is_new = |ends: Moment| ends <= until && self.invitations.is_none_or(|told| ends > told);
        let ending: Vec<&(String, Moment)> = invitations.iter().filter(|(_, ends)| is_new(*ends)).collect();
        let last = ending.iter().map(|(_, ends)| *ends).max();
        self.invitations = self.invitations.max(last);
        let alert = last.map(|last| sender.invitations(&ending, last));
        Verdict { incidents: self, alerts: alert.into_iter().collect() }
    }

    /// Whether the first run of a week has come. The very first run ever tells nothing.
    pub fn is_week_over(&self, now: Moment) -> bool {
        self.week.is_some_and(|week| super::week::number(now) > week)
    }

    /// Tells the week, or notes that weeks are counted from now on.
    #[must_use]
    pub fn weekly(mut self, week: Option<Week>, sender: &Sender<'_>) -> Verdict {
        let is_over = self.is_week_over(sender.now);
        let alert = week.filter(|_| is_over).map(|week| sender.weekly(week));
        if is_over || self.week.is_none() {
            self.week = Some(super::week::number(sender.now));
        }
        Verdict { incidents: self, alerts: alert.into_iter().collect() }
    }
}

impl Verdict {
    /// The verdict with a further decision.
    #[must_use]
    pub fn and(mut self, next: impl FnOnce(Incidents) -> Self) -> Self {
        let further = next(self.incidents);
        self.alerts.extend(further.alerts);
        Self { incidents: further.incidents, alerts: self.alerts }
    }
}
