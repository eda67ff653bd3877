//! Who is told what, and when: from how runs ended and what was told before to the alerts that are to be sent.
//!
//! ```text
//! Outcome, Incidents, Rules --> Verdict { incidents, alerts } --> Outbox --> channels
//! ```
//!
//! Everything here takes values and returns values. An incident is told once, and its end once. What could not be delivered stays in the
//! [`Outbox`] for the next run.

mod expiring;
mod incidents;
mod outbox;
mod week;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::expiring::{Credential, THRESHOLDS};
pub use self::incidents::{Incidents, LEAST_MISSED, Rules, Trouble, Verdict};
pub use self::outbox::{Outbox, Outgoing};
pub use self::week::Week;
use crate::organization::Moment;

/// Form of [`Alert`] as JSON. A later form with other meanings has another number; new keys may come without one.
pub const VERSION: u32 = 1;

/// Something that a channel can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// Several runs in a row failed.
    Failed,
    /// A run succeeded after somebody was told of trouble.
    Recovered,
    /// A limit or another safety check held changes back.
    Held,
    /// No run has succeeded for three intervals.
    Missed,
    /// A credential or certificate ends soon.
    Expiring,
    /// People left the organization.
    Leavers,
    /// A week in numbers.
    Weekly,
    /// Somebody tries the channel.
    Test,
}

impl Event {
    /// Events of a channel that names none: those that ask for action, and their end.
    pub const USUAL: [Self; 5] = [Self::Failed, Self::Recovered, Self::Held, Self::Missed, Self::Expiring];

    /// Events that a channel may want.
    pub const WANTED: [Self; 7] = [
        Self::Failed,
        Self::Recovered,
        Self::Held,
        Self::Missed,
        Self::Expiring,
        Self::Leavers,
        Self::Weekly,
    ];

    /// Words of those.
    pub const WORDS: [&'static str; 7] = {
        let mut words = [""; 7];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::WANTED[at].word();
            at += 1;
        }
        words
    };

    /// Word of the event in settings and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Held => "held",
            Self::Missed => "missed",
            Self::Expiring => "expiring",
            Self::Leavers => "leavers",
            Self::Weekly => "weekly",
            Self::Test => "test",
        }
    }

    /// Urgency of the event.
    pub fn severity(self) -> Severity {
        match self {
            Self::Failed | Self::Missed => Severity::Error,
            Self::Held | Self::Expiring => Severity::Warning,
            Self::Recovered | Self::Leavers | Self::Weekly | Self::Test => Severity::Info,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Urgency of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is to be done.
    Info,
    /// Somebody should look at it in the next days.
    Warning,
    /// The organization is no longer kept in step.
    Error,
}

/// Whether people's names and addresses may be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// They may.
    #[default]
    Named,
    /// They may not, and no text that could have them either.
    Redacted,
}

/// Run that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Facts about the run.
    pub run: RunFacts,
    /// End of the run.
    pub end: End,
    /// Addresses of the people who left by it.
    pub leavers: Vec<String>,
}

/// Facts about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFacts {
    /// Name of the run in the log.
    pub id: String,
    /// `sync`, `apply` or `undo`.
    pub command: String,
    /// Who started it: `cron`, `systemd`, `daemon`, `person` and so on.
    pub by: String,
    /// Beginning.
    pub at: Iso,
    /// Duration; none of a run that could not tell its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Exit code, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
}

/// End of a run, as far as alerts are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It did its work.
    Done,
    /// Something was held back.
    Held(Said),
    /// It did not do its work.
    Failed(Said),
    /// Another run was under way: it says nothing about the instance.
    Busy,
}

/// Last words of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What happened.
    pub message: String,
    /// Next step for an administrator.
    pub next_step: Option<String>,
}

/// What is told, as a JSON document: the body of a webhook, the input of a command. Everything else is made from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Always `alert`.
    pub object: String,
    /// Form of the document.
    pub version: u32,
    /// Id of the alert. One that is sent again has the same id.
    pub id: String,
    /// Event.
    pub event: Event,
    /// Urgency.
    pub severity: Severity,
    /// Instance, or the organization of a merge.
    pub instance: String,
    /// Machine that tells it.
    pub host: String,
    /// Time of the decision.
    pub at: Iso,
    /// One line.
    pub title: String,
    /// Several sentences.
    pub text: String,
    /// Next step for an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// Run that the alert is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunFacts>,
    /// Beginning of the trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Iso>,
    /// Runs that failed in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// Troubles that have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Event>,
    /// What ends soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Number of people who left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// Number of invitations that end or have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitations: Option<usize>,
    /// Their addresses, at most 50. None where people are not to be named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// Week in numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub week: Option<Week>,
}

impl Alert {
    /// Key of the incident: the alert that begins it and the one that ends it have the same.
    pub fn incident(&self) -> String {
        let Self { event, instance, host, credential, .. } = self;
        match (event, credential) {
            (Event::Failed | Event::Held | Event::Missed | Event::Recovered, _) => {
                format!("bwdc/{host}/{instance}")
            }
            (_, Some(credential)) => format!("bwdc/{host}/{instance}/expiring/{}", credential.name),
            _ => format!("bwdc/{host}/{instance}/{}", self.id),
        }
    }

    /// Text and next step.
    pub fn body(&self) -> String {
        match &self.next_step {
            Some(next_step) => format!("{}\n\n{next_step}", self.text),
            None => self.text.clone(),
        }
    }
}

/// A moment that is written as ISO 8601 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Iso(pub Moment);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iso())
    }
}

impl Serialize for Iso {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Iso {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Moment::parse(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("it must be a time such as 2026-02-28T17:05:09Z"))
    }
}

/// Whom an alert is about, and who tells it.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Instance, or the organization of a merge.
    pub instance: &'a str,
    /// Machine.
    pub host: &'a str,
    /// Whether people may be named.
    pub privacy: Privacy,
    /// Time of the decision.
    pub now: Moment,
}

#[cfg(test)]
mod tests;
