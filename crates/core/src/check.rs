//! Final check before anything is sent.

use crate::plan::{BATCH_SIZE, ImportSummary, Plan};
use crate::prepare::Missing;
use crate::rules::{BadRecords, ExistingMembers, ImportSize, Rules};

/// Decision whether a plan may be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to import.
    NothingToSend,
    /// The server already has exactly this.
    Unchanged,
    /// The import may be sent.
    Ready,
    /// The import must not be sent.
    Blocked(Vec<Finding>),
}

impl Verdict {
    /// Adds further objections to the import.
    #[must_use]
    pub fn with(self, more: Vec<Finding>) -> Self {
        match self {
            Self::Blocked(mut findings) => {
                findings.extend(more);
                Self::Blocked(findings)
            }
            Self::NothingToSend | Self::Unchanged | Self::Ready if more.is_empty() => self,
            Self::NothingToSend | Self::Unchanged | Self::Ready => Self::Blocked(more),
        }
    }
}

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerLimits {
    /// Bitwarden's cloud: 2,000 groups and 2,000 people who stay, unless the import is declared large.
    Cloud,
    /// No limits.
    SelfHosted,
}

/// Number of missing people who may be removed without confirmation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removals {
    /// A tenth of the people last known, and at least ten.
    #[default]
    Few,
    /// The number an administrator gave for this run.
    UpTo(usize),
}

/// Largest number of removals that is always allowed.
const FEW: usize = 10;

/// Largest number of people named in a finding.
const NAMED: usize = 20;

/// Checks a plan against the rules, the server's limits, the allowed removals and the last import.
pub fn check(
    plan: &Plan,
    rules: &Rules,
    limits: ServerLimits,
    removals: Removals,
    last_digest: Option<&str>,
) -> Verdict {
    let findings: Vec<Finding> = bad_records(plan, rules)
        .into_iter()
        .chain(overwrite(plan, rules))
        .chain(missing(plan, removals))
        .chain(size(plan, limits))
        .collect();
    if !findings.is_empty() {
        return Verdict::Blocked(findings);
    }
    if plan.requests.is_empty() {
        return Verdict::NothingToSend;
    }
    if last_digest == Some(plan.digest.as_str()) {
        return Verdict::Unchanged;
    }
    Verdict::Ready
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

fn missing(plan: &Plan, removals: Removals) -> Option<Finding> {
    too_many_gone(&plan.missing, removals, "", plan.missing.people.len())
}

/// A directory that suddenly lacks many people is more often a mistake than a wave of leavers: a moved subtree, a changed
/// permission, a replica that is not filled yet. `from` names the directory; `in_all` is how many are missing in this run.
pub(crate) fn too_many_gone(
    missing: &Missing,
    removals: Removals,
    from: &str,
    in_all: usize,
) -> Option<Finding> {
    let Missing { people, known } = missing;
    let count = people.len();
    let is_allowed = match removals {
        Removals::Few => count <= FEW || count * 10 <= *known,
        Removals::UpTo(number) => count <= number,
    };
    if is_allowed {
        return None;
    }
    let named = people.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = if count > NAMED { format!("; and {} more", count - NAMED) } else { String::new() };
    Some(Finding {
        cause: BlockCause::Dangerous,
        problem: format!(
            "{count} of the {known} people of the last complete read{from} are no longer in the directory, and sync.removeMissing \
             would remove them: {named}{more}"
        ),
        next_step: format!(
            "Check the search base, the account's rights and the server. If they have really left, run once: bwdc sync \
             --allow-removals {in_all}."
        ),
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
