//! What is still to be delivered, channel by channel.

use serde::{Deserialize, Serialize};

use super::Alert;
use crate::organization::{Moment, Span};

/// Number of alerts that are kept for a channel; the oldest are dropped first.
const MOST: usize = 50;
/// How long delivery is tried.
const TRIED_FOR: Span = Span::days(14);
/// How long a claim holds: longer than any delivery takes, and short enough that one of a process that was killed is soon forgotten.
const CLAIMED_FOR: Span = Span(20);

/// What is still to be delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outbox(Vec<Outgoing>);

/// An alert on its way to a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    /// Name of the channel.
    pub channel: String,
    /// Time when it was to be sent first.
    pub since: Moment,
    /// The alert.
    pub alert: Alert,
    /// Claim of who delivers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
}

/// Claim of one who delivers an alert, so that nobody else does at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    by: String,
    at: Moment,
}

impl Claim {
    /// Whether it keeps others from delivering. One of the future is of a clock that was wrong.
    fn holds_against(&self, other: &str, now: Moment) -> bool {
        self.by != other && self.at <= now && now.since(self.at) <= CLAIMED_FOR
    }
}

impl Outbox {
    /// Adds an alert for each of these channels.
    pub fn add<'a>(&mut self, alert: &Alert, channels: impl Iterator<Item = &'a str>, now: Moment) {
        let outgoing = |channel: &str| Outgoing {
            channel: channel.to_owned(),
            since: now,
            alert: alert.clone(),
            claim: None,
        };
        self.0.extend(channels.map(outgoing));
    }

    /// Drops what is too old, too much, or for a channel that is gone. Returns how many.
    pub fn prune(&mut self, is_there: impl Fn(&str) -> bool, now: Moment) -> usize {
        let before = self.0.len();
        self.0.retain(|out| is_there(&out.channel) && now.since(out.since) <= TRIED_FOR);
        let channels: std::collections::BTreeSet<String> =
            self.0.iter().map(|out| out.channel.clone()).collect();
        for channel in channels {
            let mut superfluous = self.for_channel(&channel).count().saturating_sub(MOST);
            self.0.retain(|out| {
                let drops = superfluous > 0 && out.channel == channel;
                superfluous -= usize::from(drops);
                !drops
            });
        }
        before - self.0.len()
    }

    /// Alerts for a channel, the oldest first.
    pub fn for_channel(&self, channel: &str) -> impl Iterator<Item = &Alert> {
        self.0.iter().filter(move |out| out.channel == channel).map(|out| &out.alert)
    }

    /// Claims what waits for a channel, so that only `by` delivers it, in its order. Nothing if somebody else is about to: whoever that is
    /// looks again when it is done.
    pub fn claim(&mut self, channel: &str, by: &str, now: Moment) -> Vec<Alert> {
        let own = |out: &Outgoing| out.channel == channel;
        let holds = |claim: &Claim| claim.holds_against(by, now);
        if self.0.iter().any(|out| own(out) && out.claim.as_ref().is_some_and(holds)) {
            return Vec::new();
        }
        let claimed = self.0.iter_mut().filter(|out| own(out));
        claimed
            .map(|out| {
                out.claim = Some(Claim { by: by.to_owned(), at: now });
                out.alert.clone()
            })
            .collect()
    }

    /// Lets go of what `by` has claimed and not delivered.
    pub fn release(&mut self, by: &str) {
        for out in &mut self.0 {
            out.claim.take_if(|claim| claim.by == by);
        }
    }

    /// Removes what a channel was told.
    pub fn delivered(&mut self, channel: &str, id: &str) {
        self.0.retain(|out| out.channel != channel || out.alert.id != id);
    }
}
