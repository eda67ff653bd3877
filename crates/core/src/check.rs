//! Final check before anything is sent.

use serde::{Deserialize, Serialize};

use crate::organization::requests::Extent;
use crate::plan::{BATCH_SIZE, ImportSummary, Plan};
use crate::rules::{BadRecords, ExistingMembers, ImportSize, Rules};

/// Reason why an import is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockCause {
    /// The import contradicts itself, or the server would refuse it.
    Refusable,
    /// The server would accept it, but somebody would regret it.
    Dangerous,
}

/// Single reason not to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Kind of reason.
    pub cause: BlockCause,
    /// Description of the problem.
    pub problem: String,
    /// Advice on what to do about it.
    pub next_step: String,
}

/// Size limits that the server enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerLimits {
    /// Bitwarden's cloud: 2,000 groups and 2,000 people who stay, unless the import is declared large.
    Cloud,
    /// No limits.
    SelfHosted,
}

/// Objections to an import of this: by the rules and, where everything is sent, by the server's limits. None: it may be sent.
pub fn check(plan: &Plan, rules: &Rules, limits: ServerLimits, extent: Extent) -> Vec<Finding> {
    let size = match extent {
        Extent::Everything => size(plan, limits),
        Extent::Changes => None,
    };
    bad_records(plan, rules).into_iter().chain(overwrite(plan, rules)).chain(size).collect()
}

fn bad_records(plan: &Plan, rules: &Rules) -> Vec<Finding> {
    let next_step = match (rules.bad_records, rules.existing) {
        (BadRecords::Stop, _) => {
            "Fix the entry in the directory, exclude it with a filter, or set sync.onBadRecord to `skip` to import \
             the others."
        }
        (BadRecords::Skip, ExistingMembers::Overwrite) => {
            "With sync.overwriteExisting, an entry left out would be removed from the organization: fix it in the \
             directory or switch sync.overwriteExisting off."
        }
        (BadRecords::Skip, ExistingMembers::Keep) => return Vec::new(),
    };
    let finding = |problem: &String| Finding {
        cause: BlockCause::Refusable,
        problem: problem.clone(),
        next_step: next_step.to_owned(),
    };
    plan.bad_records.iter().map(|record| finding(&record.problem)).collect()
}

fn overwrite(plan: &Plan, rules: &Rules) -> Option<Finding> {
    if rules.existing == ExistingMembers::Keep {
        return None;
    }
    let ImportSummary { groups, users, leavers } = plan.summary;
    if rules.size == ImportSize::Batches && groups + users > BATCH_SIZE {
        return Some(Finding {
            cause: BlockCause::Refusable,
            problem:
                "You cannot use the 'Remove and re-add organization users during the next sync' option with \
                      large imports."
                    .to_owned(),
            next_step: "Switch off sync.overwriteExisting or sync.largeImport.".to_owned(),
        });
    }
    (users == leavers).then(|| Finding {
        cause: BlockCause::Dangerous,
        problem:
            "No active people were found in the directory, and with sync.overwriteExisting the import would remove \
                  every member that was ever synced."
                .to_owned(),
        next_step: "Check the search base and the filters, or switch sync.overwriteExisting off.".to_owned(),
    })
}

fn size(plan: &Plan, limits: ServerLimits) -> Option<Finding> {
    if limits == ServerLimits::SelfHosted {
        return None;
    }
    let request = plan.requests.iter().find(|request| !request.large_import)?;
    let staying = request.members.iter().filter(|member| !member.deleted).count();
    let groups = request.groups.len();
    (staying > BATCH_SIZE || groups > BATCH_SIZE).then(|| Finding {
        cause: BlockCause::Refusable,
        problem: format!(
            "The import has {staying} people and {groups} groups; Bitwarden's cloud takes at most {BATCH_SIZE} of \
             each at once."
        ),
        next_step: "Set sync.largeImport to true, or narrow the filters.".to_owned(),
    })
}
