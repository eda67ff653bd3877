//! What a sync changed, for people at a terminal. Scripts have the sentence that they know, and the log.

use bwdc_core::changes::{ChangeKind, ImportChange, Subject};

use crate::log::escaped;
use crate::ui::{self, Style};
use bwdc_sync::SyncOutcome;

/// At most so many of a kind are named.
const NAMED: usize = 20;

/// Empty unless somebody reads it.
pub(super) fn lines(outcome: &SyncOutcome, style: Style) -> Vec<String> {
    if ui::is_read(style) { lines_for(outcome) } else { Vec::new() }
}

fn lines_for(outcome: &SyncOutcome) -> Vec<String> {
    let list = &outcome.changes;
    let named: Vec<String> = [
        named(list, "Joined", |kind| {
            matches!(kind, ChangeKind::Invite | ChangeKind::Stage | ChangeKind::Restore)
        }),
        named(list, "Taken over", |kind| matches!(kind, ChangeKind::Adopt | ChangeKind::Relink)),
        named(list, "Left", ChangeKind::is_leaving),
        named(list, "Group", |kind| {
            matches!(kind, ChangeKind::GroupCreate | ChangeKind::GroupChange | ChangeKind::GroupDelete)
        }),
    ]
    .concat();
    match (named.is_empty(), outcome.sent.is_nothing()) {
        (_, true) => vec!["Nothing has changed since the last sync, so nothing was sent.".to_owned()],
        (true, false) => vec!["Nobody joined or left, and no group changed.".to_owned()],
        (false, false) => named,
    }
}

fn named(list: &[ImportChange], word: &str, is_meant: impl Fn(ChangeKind) -> bool) -> Vec<String> {
    let meant: Vec<&ImportChange> = list.iter().filter(|change| is_meant(change.kind)).collect();
    let shown = meant.iter().take(NAMED);
    let shown =
        shown.map(|ImportChange { subject, reason, .. }| format!("{word}: {} ({reason})", name(subject)));
    let more = (meant.len() > NAMED).then(|| format!("{word}: {} more, see the log", meant.len() - NAMED));
    shown.map(|line| escaped(&line)).chain(more).collect()
}

fn name(subject: &Subject) -> &str {
    match subject {
        Subject::Person { email, .. } => email,
        Subject::Group { name, .. } => name,
        Subject::Entry(entry) => entry,
    }
}
