//! Credentials and certificates whose end is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Alert, Iso, Sender};
use crate::organization::{Moment, Span};

/// Days before the end on which somebody is told, the earliest first.
pub const THRESHOLDS: [u64; 3] = [30, 7, 1];

/// How long what was told about a credential that is gone is remembered after its end.
const REMEMBERED: Span = Span::days(90);

/// Something that ends at a known time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// What it is and where it comes from, without anything secret: `certificate of ldap.example.org:636`.
    pub name: String,
    /// Its end.
    pub ends: Iso,
}

/// What was told about a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// End that was told.
    ends: Moment,
    /// Threshold that was told last, in days; 0 once it had ended.
    days: u64,
}

/// Threshold that has been reached.
fn reached(ends: Moment, now: Moment) -> Option<u64> {
    if ends <= now {
        return Some(0);
    }
    let left = ends.since(now);
    THRESHOLDS.into_iter().rev().find(|days| left <= Span::days(*days))
}

/// Alerts about credentials that have come to another threshold.
pub(super) fn due(
    told: &mut BTreeMap<String, Told>,
    credentials: &[Credential],
    sender: &Sender<'_>,
) -> Vec<Alert> {
    // One that is still in use is remembered however long ago it ended.
    let is_in_use = |name: &str| credentials.iter().any(|credential| credential.name == name);
    told.retain(|name, told| told.ends.plus(REMEMBERED) > sender.now || is_in_use(name));
    let mut alerts = Vec::new();
    for credential in credentials {
        let ends = credential.ends.0;
        let Some(days) = reached(ends, sender.now) else { continue };
        let is_told = told.get(&credential.name).is_some_and(|told| told.ends == ends && told.days <= days);
        if !is_told {
            told.insert(credential.name.clone(), Told { ends, days });
            alerts.push(sender.expiring(credential));
        }
    }
    alerts
}
