//! Words for what happens in an organization, and why.

use bwdc_config::zone;
use bwdc_core::organization::changes::{Action, Cause, GroupAction, Way};
use bwdc_core::organization::limits::{Deed, LimitName};
use bwdc_core::organization::record::{Made, StatusWord};
use bwdc_core::organization::roster::{Basis, Role};
pub(super) use bwdc_core::text::counted;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::Tone;

pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Invite => "invite",
        Action::Stage => "add without an invitation",
        Action::Adopt => "give an external id",
        Action::Relink => "give another external id",
        Action::Restore => "restore",
        Action::Revoke => "revoke",
        Action::Remove => "remove",
        Action::Wait => "remove after the grace period",
    }
}

/// Title of a section about people to whom this happens, and its weight.
pub(super) fn people(action: Action) -> (&'static str, Tone) {
    match action {
        Action::Invite => ("People invited", Tone::Good),
        Action::Stage => ("People added without an invitation", Tone::Good),
        Action::Adopt => ("Members given an external id", Tone::Good),
        Action::Relink => ("Members given another external id", Tone::Caution),
        Action::Restore => ("People restored", Tone::Good),
        Action::Revoke => ("People revoked", Tone::Danger),
        Action::Remove => ("People removed", Tone::Danger),
        Action::Wait => ("People in grace", Tone::Caution),
    }
}

pub(super) fn status(status: StatusWord) -> &'static str {
    match status {
        StatusWord::Invited => "invited",
        StatusWord::Accepted => "accepted",
        StatusWord::Confirmed => "confirmed",
        StatusWord::Staged => "not invited yet",
        StatusWord::Revoked => "revoked",
        StatusWord::Other => "unknown status",
    }
}

pub(super) fn role(role: Role) -> Option<&'static str> {
    match role {
        Role::Owner => Some("owner"),
        Role::Admin => Some("administrator"),
        Role::User => None,
        Role::Other => Some("another role"),
    }
}

pub(super) fn made(made: Made) -> &'static str {
    match made {
        Made::Yes => "yes",
        Made::Unclear => "unclear",
        Made::No => "not made",
        Made::Held => "held back",
    }
}

pub(super) fn group_action(action: GroupAction) -> &'static str {
    match action {
        GroupAction::Create => "create",
        GroupAction::Rename => "rename",
        GroupAction::Update => "update",
        GroupAction::Empty => "empty",
        GroupAction::Delete => "delete",
    }
}

/// What is done to a person, a membership or a group.
pub(super) fn deed(deed: Deed) -> String {
    match deed {
        Deed::Member(action) => self::action(action).to_owned(),
        Deed::Membership(Way::Join) => "join".to_owned(),
        Deed::Membership(Way::Leave) => "leave".to_owned(),
        Deed::Group(action) => format!("{} the group", group_action(action)),
    }
}

pub(super) fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::New => "changed in the directory",
        Cause::Returned => "is back",
        Cause::Drift => "organization was changed by hand",
        Cause::Deleted => "deleted in the directory",
        Cause::Disabled => "disabled in the directory",
        Cause::Missing => "no longer in the directory",
        Cause::OutOfScope => "no longer matched by the filters",
        Cause::Overwrite => "not in the import (sync.overwriteExisting)",
        Cause::IdReused => "the id has another address in the directory",
        Cause::Grace => "the grace period is over",
        Cause::Undo => "as before the run",
    }
}

/// Reason for a change to a person.
pub(super) fn cause_of(action: Action, cause: Cause) -> &'static str {
    match cause {
        Cause::New if action.is_new() => "new in the directory",
        _ => self::cause(cause),
    }
}

/// Reason for a membership that comes or goes.
pub(super) fn cause_of_membership(way: Way, cause: Cause) -> &'static str {
    match (way, cause) {
        (Way::Join, Cause::New) => "added to the group in the directory",
        (Way::Leave, Cause::New) => "no longer in the group in the directory",
        _ => self::cause(cause),
    }
}

/// Reason for a change to a group.
pub(super) fn cause_of_group(action: GroupAction, cause: Cause) -> &'static str {
    match (action, cause) {
        (GroupAction::Create, Cause::New) => "new in the directory",
        _ => self::cause(cause),
    }
}

pub(super) fn setting(limit: LimitName) -> &'static str {
    match limit {
        LimitName::Removals => "sync.limitRemovals",
        LimitName::Leaves => "sync.limitLeaves",
        LimitName::Repairs => "sync.limitRepairs",
        LimitName::Invites => "sync.limitInvites",
    }
}

/// A sentence about a limit that is exceeded.
pub(super) fn exceeded(limit: LimitName, allowed: Option<usize>, wanted: usize) -> String {
    let (what, rest) = match limit {
        LimitName::Removals => (counted(wanted, "person", "people"), "leave"),
        LimitName::Leaves => (counted(wanted, "membership", "memberships"), "be lost"),
        LimitName::Repairs => (counted(wanted, "manual change", "manual changes"), "be undone"),
        LimitName::Invites => (counted(wanted, "person", "people"), "be invited"),
    };
    match (allowed, limit) {
        (Some(allowed), _) if wanted > allowed => {
            format!("{what} would {rest} within 24 hours. Allowed: {allowed}.")
        }
        (_, LimitName::Leaves) => format!("{what} would {rest}, and none would be left."),
        _ => format!("{what} would {rest}, and nobody would be left."),
    }
}

pub(super) fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Live => "The organization was read from the server.",
        Basis::Ledger => {
            "Not verified: the server cannot be read. What the organization has is known from earlier imports."
        }
    }
}

/// A time in the zone of this machine.
pub(crate) fn local(time: Timestamp) -> String {
    time.to_zoned_datetime(zone::local()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A time in UTC, to the minute.
pub(crate) fn time(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// A time in the zone of this machine, to the minute.
pub(super) fn minute(text: &str) -> String {
    minute_in(text, &zone::local())
}

/// A text with the times in it, which machines read as well, in the zone of this machine.
pub(super) fn with_times(text: &str) -> String {
    with_times_in(text, &zone::local())
}

fn minute_in(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn with_times_in(text: &str, zone: &TimeZone) -> String {
    let written = |word: &str| {
        let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        match bare.parse::<Timestamp>() {
            Ok(_) => word.replace(bare, &minute_in(bare, zone)),
            Err(_) => word.to_owned(),
        }
    };
    text.split(' ').map(written).collect::<Vec<_>>().join(" ")
}

/// The word that JSON has for it.
pub(super) fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_within_a_text_are_told_in_the_zone_of_the_machine() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let text =
            "left at 2026-03-04T22:59:30Z (deleted); removed after 2026-03-05T00:00:00Z, by u-2026 and 4711";
        assert_eq!(
            with_times_in(text, &zone),
            "left at 2026-03-05 00:59 +02 (deleted); removed after 2026-03-05 02:00 +02, by u-2026 and 4711"
        );
    }
}
