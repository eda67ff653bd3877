//! One instance, understood: which directory, by which rules, into which organization.

use std::path::Path;

use bwdc_connect::directory::{self, ReadScope};
use bwdc_core::error::Result;
use bwdc_core::organization::settings::Absent;
use bwdc_core::organization::{self, Span};
use bwdc_core::rules::{
    BadRecords, DisabledUsers, ExistingMembers, ImportSize, MissingPeople, Nesting, Newcomers, Rules,
};
use bwdc_store::Data;

use crate::directories;
use crate::env::Environment;
use crate::kinds::{BuildInput, Built};
use crate::organization::{absent, full_every, organization_settings};
use crate::secrets::{DeclaredSecret, Secrets};
use crate::settings::sync;
use crate::values::StoredValues;

/// Everything that one run needs to know beforehand.
#[derive(Debug)]
pub struct Instance {
    /// Type of the directory.
    pub directory: directory::Config,
    /// Entries that are synced; `None` if neither users nor groups are.
    pub scope: Option<ReadScope>,
    /// Rules by which is decided.
    pub rules: Rules,
    /// Settings that decide what changes in the organization.
    pub organization: organization::Settings,
    /// Longest time between complete reads.
    pub full_every: Span,
    /// Warnings of every run, such as about a password that crosses the network in clear.
    pub warnings: Vec<String>,
}

impl Instance {
    /// Understands the configuration, with the secret that it needs.
    pub async fn of(
        data: &Data,
        folder: &Path,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Self> {
        let secret = match secret_of(data) {
            Some(declared) => secrets.find(data, declared).await?.map(|found| found.secret),
            None => None,
        };
        let ingredients = BuildInput { values: StoredValues(data), folder, environment, secret };
        let Built { directory, user_filter, group_filter, warnings } =
            (directories::of(data)?.build)(ingredients)?;
        StoredValues(data).check(&sync::TIMEOUT)?;
        for setting in directories::ALL.iter().flat_map(|kind| kind.files) {
            if StoredValues(data).text(setting)?.is_some() {
                secrets.check_file(setting.name)?;
            }
        }
        let scope = scope(&StoredValues(data))?;
        // Without groups there is nobody in the groups that it keeps.
        let group_filter = group_filter.filter(|_| scope.is_some_and(ReadScope::has_groups));
        let rules = Rules { user_filter, group_filter, ..rules(&StoredValues(data))? };
        let organization = Self::organization_settings(data)?;
        let full_every = full_every(&StoredValues(data))?;
        Ok(Self { directory, scope, rules, organization, full_every, warnings })
    }
}

impl Instance {
    /// Settings that decide what changes in the organization, without asking for anything secret.
    pub fn organization_settings(data: &Data) -> Result<organization::Settings> {
        organization_settings(&StoredValues(data), &rules(&StoredValues(data))?)
    }

    /// Fate of members who are not in the import, without asking for anything secret.
    pub fn existing_members(data: &Data) -> Result<ExistingMembers> {
        Ok(rules(&StoredValues(data))?.existing)
    }
}

/// The secret without which the directory cannot be read, if there is one.
pub fn needed_secret(data: &Data, environment: &Environment) -> Option<&'static DeclaredSecret> {
    let has_offer = directories::of(data).is_ok_and(|kind| (kind.has_offer)(environment));
    secret_of(data).filter(|_| !has_offer)
}

/// The secret with which the directory is read, if it takes one.
fn secret_of(data: &Data) -> Option<&'static DeclaredSecret> {
    let kind = directories::of(data).ok()?;
    kind.secret.filter(|_| (kind.takes_secret)(&StoredValues(data)))
}

fn scope(values: &StoredValues<'_>) -> Result<Option<ReadScope>> {
    Ok(match (values.flag(&sync::USERS)?, values.flag(&sync::GROUPS)?) {
        (true, true) => Some(ReadScope::UsersAndGroups),
        (true, false) => Some(ReadScope::Users),
        (false, true) => Some(ReadScope::Groups),
        (false, false) => None,
    })
}

/// What is the same for every directory.
fn rules(values: &StoredValues<'_>) -> Result<Rules> {
    let defaults = Rules::default();
    Ok(Rules {
        disabled: if values.flag(&sync::REMOVE_DISABLED)? {
            DisabledUsers::Remove
        } else {
            defaults.disabled
        },
        missing: match absent(values)? {
            Absent::Keep => MissingPeople::Keep,
            Absent::Missing | Absent::OutOfScope => MissingPeople::Remove,
        },
        existing: if values.flag(&sync::OVERWRITE_EXISTING)? {
            ExistingMembers::Overwrite
        } else {
            defaults.existing
        },
        size: if values.flag(&sync::LARGE_IMPORT)? { ImportSize::Batches } else { defaults.size },
        newcomers: if values.flag(&sync::INVITE_USERS_AFTER_PROVISIONING)? {
            Newcomers::Invite
        } else {
            defaults.newcomers
        },
        bad_records: if values.is_choice(&sync::ON_BAD_RECORD, "skip")? {
            BadRecords::Skip
        } else {
            defaults.bad_records
        },
        nesting: if values.is_choice(&sync::NESTED_GROUPS, "all")? {
            Nesting::AllGroups
        } else {
            defaults.nesting
        },
        ..defaults
    })
}

#[cfg(test)]
mod tests {
    use bwdc_store::DataFile;
    use bwdc_testkit::{DATA_FILES, damaged, few};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        /// Every setting in a file that is understood is good or told as bad.
        #[test]
        fn fuzz_settings_of_data_json(bytes in damaged(DATA_FILES)) {
            let folder = tempfile::tempdir().unwrap();
            let file = DataFile::in_folder(folder.path().to_owned());
            let read = bytes.len();
            std::fs::write(file.path(), &bytes).unwrap();
            let Ok(data) = file.load() else { return Ok(()) };
            for setting in crate::settings::ALL {
                setting.fault(&data).map_or(Ok(()), |error| bwdc_testkit::harmless(&error, read))?;
            }
            let environment = Environment::for_demo();
            let secrets = Secrets::new(environment.clone(), file);
            let understood = Instance::of(&data, Path::new("/nowhere"), &environment, &secrets);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let results = [
                runtime.block_on(understood).map(drop),
                crate::server::endpoints(&data).map(drop),
                Instance::existing_members(&data).map(drop),
            ];
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                bwdc_testkit::harmless(error, read)?;
            }
        }
    }
}
