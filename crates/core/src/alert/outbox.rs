//! What is still to be delivered, channel by channel.

use serde::{Deserialize, Serialize};

use super::Alert;
use crate::organization::{Moment, Span};

/// Number of alerts that are kept for a channel; the oldest are dropped first.
const MOST: usize = 50;
/// How long delivery is tried.
const TRIED_FOR: Span = Span::days(14);

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
}

impl Outbox {
    /// Adds an alert for each of these channels.
    pub fn add<'a>(&mut self, alert: &Alert, channels: impl Iterator<Item = &'a str>, now: Moment) {
        let outgoing =
            |channel: &str| Outgoing { channel: channel.to_owned(), since: now, alert: alert.clone() };
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

    /// Removes what a channel was told.
    pub fn delivered(&mut self, channel: &str, id: &str) {
        self.0.retain(|out| out.channel != channel || out.alert.id != id);
    }
}
