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

impl Changes {
    /// The changes in numbers.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary { unchanged: self.unchanged, ..Summary::default() };
        for change in self.visible() {
            match (change.hold, change.action) {
                (Hold::Held, _) => sum.held += 1,
                (Hold::Free, Action::Invite) => sum.invite += 1,
                (Hold::Free, Action::Stage) => sum.stage += 1,
                (Hold::Free, Action::Adopt) => sum.adopt += 1,
                (Hold::Free, Action::Relink) => sum.relink += 1,
                (Hold::Free, Action::Restore) => sum.restore += 1,
                (Hold::Free, Action::Revoke) => sum.revoke += 1,
                (Hold::Free, Action::Remove) => sum.remove += 1,
                (Hold::Free, Action::Wait) => {}
            }
        }
        for group in &self.groups {
            let held = group.held_leave.len() + group.held_join.len();
            sum.held += held;
            if group.hold == Hold::Held {
                sum.held += usize::from(held == 0);
                continue;
            }
            sum.join += group.join.len();
            sum.leave += group.leave.len();
            match group.action {
                GroupAction::Create => sum.groups_created += 1,
                GroupAction::Rename => sum.groups_renamed += 1,
                GroupAction::Update => {
                    sum.groups_updated += 1;
                    sum.groups_renamed += usize::from(group.free_name().is_some());
                }
                GroupAction::Empty => sum.groups_emptied += 1,
                GroupAction::Delete => sum.groups_deleted += 1,
            }
        }
        sum
    }
}
