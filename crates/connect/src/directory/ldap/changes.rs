//! Reads of what has changed since the last sync, by an attribute with the time of an entry's last change.

use bwdc_core::note::{Note, Noted, Step};
use bwdc_core::organization::Moment;
use jiff::{SignedDuration, Timestamp};

use super::config::{SearchSettings, and};
use super::{Ask, Ldap, ReadExtent, generalized_time};
use crate::Result;

/// Time before the last sync that is read again: clocks differ, and a server may tell a change late.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// Times from which on changes are read; none in a complete read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    pub(super) users: Option<Timestamp>,
    pub(super) groups: Option<Timestamp>,
}

impl Since {
    /// Whether everything is read.
    pub(super) fn is_complete(self) -> bool {
        self == Self::default()
    }

    /// Times for what is read, or for nothing if one is missing: what has changed there is not known.
    fn of(ask: &Ask) -> Option<Self> {
        let ReadExtent::Since { users, groups, cursor: _ } = ask.extent else { return None };
        let is_known =
            (users.is_some() || !ask.scope.has_users()) && (groups.is_some() || !ask.scope.has_groups());
        let since = Self {
            users: users.filter(|_| ask.scope.has_users()),
            groups: groups.filter(|_| ask.scope.has_groups()),
        };
        (is_known && !since.is_complete()).then_some(since)
    }

    fn latest(self) -> Option<Timestamp> {
        self.users.max(self.groups)
    }

    fn earliest(self) -> Option<Timestamp> {
        self.users.into_iter().chain(self.groups).min()
    }

    fn with_overlap(self) -> Self {
        let before = |time: Timestamp| time.checked_sub(OVERLAP).unwrap_or(Timestamp::MIN);
        Self { users: self.users.map(before), groups: self.groups.map(before) }
    }
}

impl Ldap {
    /// Times of the last syncs of users and groups, if only changes are to be read and can be.
    pub(super) async fn since(&self, ask: &Ask, server_time: Option<Moment>) -> Result<Noted<Since>> {
        let everything = |note: String| (Since::default(), vec![Note::warning(Step::Read, "", note)]);
        let Some(attribute) = &self.config.attributes.revision else { return Ok(Default::default()) };
        let Some(since) = Since::of(ask) else { return Ok(Default::default()) };
        let now = server_time.map_or_else(|| Timestamp::now().as_second(), |Moment(seconds)| seconds);
        if let Some(future) = since.latest().filter(|last| last.as_second() > now) {
            return Ok(everything(format!(
                "the last sync is stored as of {future:.0}, which is in the future, so everything was read; check the clock"
            )));
        }
        let is_known = match since.users {
            Some(_) => self.knows_revision(&self.user_bases(), &self.config.users).await?,
            None => self.knows_revision(&self.group_bases(), &self.config.groups).await?,
        };
        if is_known {
            return Ok((since.with_overlap(), Vec::new()));
        }
        Ok(everything(format!(
            "no entry has the attribute {attribute} of sync.revisionDateAttribute, so everything was read; set it to \
            `modifyTimestamp`, or clear it to always read everything"
        )))
    }

    /// Whether the revision attribute exists in the searched entries. On a server that does not know it, the condition
    /// would match nothing, and every sync after the first would find nobody.
    async fn knows_revision(&self, bases: &[&str], search: &SearchSettings) -> Result<bool> {
        let Some(attribute) = &self.config.attributes.revision else { return Ok(false) };
        let filter = and(&search.without_filter().filter(), &format!("({attribute}=*)"));
        self.exists("the revision attribute", bases, &filter).await
    }

    /// Filter for changed entries, if the administrator configured an attribute for it.
    pub(super) fn changed_since(&self, filter: &str, since: Option<Timestamp>) -> Option<String> {
        let attribute = self.config.attributes.revision.as_ref()?;
        Some(and(filter, &format!("({attribute}>={})", generalized_time::written(since?))))
    }

    /// Whether neither a group nor a person has changed. A changed person may be a member of unchanged groups, also one whom the
    /// filter leaves out.
    pub(super) async fn is_unchanged(&self, group_bases: &[&str], since: Since) -> Result<bool> {
        let Some(groups) = self.changed_since(&self.config.groups.filter(), since.groups) else {
            return Ok(false);
        };
        if self.exists("changed groups", group_bases, &groups).await? {
            return Ok(false);
        }
        match self.changed_since(&self.config.users.without_filter().filter(), since.earliest()) {
            Some(people) => Ok(!self.exists("changed users", &self.user_bases(), &people).await?),
            None => Ok(true),
        }
    }
}
