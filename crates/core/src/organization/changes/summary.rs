//! Changes in numbers.

use serde::{Deserialize, Serialize};

use super::{Action, Changes, GroupAction, Hold};

/// Changes in numbers: what is done, not what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the words of the plan")]
pub struct Summary {
    pub invite: usize,
    pub stage: usize,
    pub adopt: usize,
    pub relink: usize,
    pub restore: usize,
    pub revoke: usize,
    pub remove: usize,
    pub unchanged: usize,
    pub groups_created: usize,
    pub groups_renamed: usize,
    pub groups_updated: usize,
    pub groups_emptied: usize,
    pub groups_deleted: usize,
    pub join: usize,
    pub leave: usize,
    pub held: usize,
}

impl Summary {
    /// Counts a change to a membership that is made.
    pub(in crate::organization) fn count(&mut self, action: Action) {
        match action {
            Action::Invite => self.invite += 1,
            Action::Stage => self.stage += 1,
            Action::Adopt => self.adopt += 1,
            Action::Relink => self.relink += 1,
            Action::Restore => self.restore += 1,
            Action::Revoke => self.revoke += 1,
            Action::Remove => self.remove += 1,
            Action::Wait => {}
        }
    }

    /// Counts a change to a group that is made.
    pub(in crate::organization) fn count_group(&mut self, action: GroupAction) {
        match action {
            GroupAction::Create => self.groups_created += 1,
            GroupAction::Rename => self.groups_renamed += 1,
            GroupAction::Update => self.groups_updated += 1,
            GroupAction::Empty => self.groups_emptied += 1,
            GroupAction::Delete => self.groups_deleted += 1,
        }
    }
}

impl Changes {
    /// The changes in numbers.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary { unchanged: self.unchanged, ..Summary::default() };
        for change in self.visible() {
            match change.hold {
                Hold::Held => sum.held += 1,
                Hold::Free => sum.count(change.action),
                Hold::Unplanned => {}
            }
        }
        for group in &self.groups {
            let held = group.held_leave.len() + group.held_join.len();
            sum.held += held;
            if group.hold != Hold::Free {
                sum.held += usize::from(group.hold == Hold::Held && held == 0);
                continue;
            }
            sum.join += group.join.len();
            sum.leave += group.leave.len();
            sum.count_group(group.action);
            let is_renamed_besides = group.action == GroupAction::Update && group.free_name().is_some();
            sum.groups_renamed += usize::from(is_renamed_besides);
        }
        sum
    }
}
