//! One instance, understood: which directory, by which rules, into which organization.

mod entra;
mod file;
mod google;
mod key_file;
mod ldap;
mod okta;
mod onelogin;
mod values;

use std::path::Path;

use bwdc_connect::bitwarden::Endpoints;
use bwdc_connect::directory::{self, Scope};
use bwdc_core::Secret;
use bwdc_core::filter::{self, FilterError, NativeQuery, SetFilter};
use bwdc_core::rules::{
    BadRecords, DisabledUsers, ExistingMembers, ImportSize, MissingPeople, Nesting, Newcomers, Rules,
};
use serde_json::Value;

use self::values::Values;
use super::env::Environment;
use super::secrets::{self, Known, Secrets};
use super::settings;
use bwdc_core::error::{Error, Result};
use bwdc_store::{Data, key};

/// Everything that one run needs to know beforehand.
#[derive(Debug)]
pub struct Instance {
    /// Type of the directory.
    pub directory: directory::Config,
    /// Entries that are synced; `None` if neither users nor groups are.
    pub scope: Option<Scope>,
    /// Rules by which is decided.
    pub rules: Rules,
    /// Warnings of every run, such as about a password that crosses the network in clear.
    pub warnings: Vec<String>,
}

/// The kinds of directory, by the number in `directoryType` and by name.
pub(crate) const DIRECTORIES: [(&str, &str); 5] =
    [("0", "ldap"), ("1", "entra"), ("2", "gsuite"), ("3", "okta"), ("4", "onelogin")];
/// The file directory has no number in the existing connector.
pub(crate) const FILE_DIRECTORY: &str = "file";

impl Instance {
    /// Understands the configuration, with the secret that it needs.
    pub async fn of(
        data: &Data,
        folder: &Path,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Self> {
        let secret = match secret_of(data) {
            Some(known) => secrets.find(data, known).await?.map(|found| found.secret),
            None => None,
        };
        let given = Given { values: Values(data), folder, environment, secret };
        let chosen = match directory_name(data)? {
            "ldap" => ldap::chosen(given)?,
            "entra" => entra::chosen(given)?,
            "gsuite" => google::chosen(given)?,
            "okta" => okta::chosen(given)?,
            "onelogin" => onelogin::chosen(given)?,
            _ => file::chosen(given)?,
        };
        let Chosen { directory, user_filter, group_filter, warnings } = chosen;
        Values(data).check_length("sync.timeout")?;
        for setting in settings::FILES_READ {
            if Values(data).text(setting)?.is_some() {
                secrets.check_file(setting)?;
            }
        }
        let scope = scope(&Values(data))?;
        // Without groups there is nobody in the groups that it keeps.
        let group_filter = group_filter.filter(|_| scope.is_some_and(Scope::has_groups));
        let rules = Rules { user_filter, group_filter, ..rules(&Values(data))? };
        Ok(Self { directory, scope, rules, warnings })
    }
}

impl Instance {
    /// Fate of members who are not in the import, without asking for anything secret.
    pub fn existing_members(data: &Data) -> Result<ExistingMembers> {
        Ok(rules(&Values(data))?.existing)
    }
}

/// What a directory's configuration is made of.
struct Given<'a> {
    values: Values<'a>,
    /// Where relative paths start.
    folder: &'a Path,
    environment: &'a Environment,
    /// The secret of [`secret_of`].
    secret: Option<Secret>,
}

/// A directory, and what the decisions need to know of its settings.
struct Chosen {
    directory: directory::Config,
    user_filter: Option<SetFilter>,
    group_filter: Option<SetFilter>,
    warnings: Vec<String>,
}

/// A filter of the directories that have set filters.
fn set_filter(values: &Values<'_>, name: &str, native: NativeQuery) -> Result<filter::Filter> {
    let text = values.text(name)?.unwrap_or_default();
    filter::parse(&text, native).map_err(|error| not_understood(name, &error))
}

fn not_understood(name: &str, error: &FilterError) -> Error {
    Error::new(format!("Understanding {name}: {error}.")).hint("Nothing was read.")
}

/// The kind of directory that is configured, by name.
pub fn directory_name(data: &Data) -> Result<&'static str> {
    let unknown = |value: &Value| {
        Error::new(format!("The directory type {value} is unknown."))
            .hint("Set it with `bwdc config directory ldap` or another of: 0-4, ldap, file.")
    };
    match data.value(key::DIRECTORY_TYPE) {
        None => Err(Error::new("No directory is configured.")
            .hint("Run `bwdc init`, or choose one with `bwdc config directory ldap` (or entra, gsuite, okta, onelogin, file).")),
        Some(value) => {
            let text = settings::text(value);
            if text == FILE_DIRECTORY {
                return Ok(FILE_DIRECTORY);
            }
            DIRECTORIES
                .iter()
                .find(|(number, name)| *number == text || *name == text)
                .map(|(_, name)| *name)
                .ok_or_else(|| unknown(value))
        }
    }
}

/// The secret without which the directory cannot be read, if there is one.
pub fn needed_secret(data: &Data, environment: &Environment) -> Option<&'static Known> {
    let is_needed =
        |known: &&Known| known.name != secrets::ENTRA_KEY.name || !entra::is_offered_credential(environment);
    secret_of(data).filter(is_needed)
}

/// The secret with which the directory is read, if it takes one.
fn secret_of(data: &Data) -> Option<&'static Known> {
    let has_password =
        || !matches!(ldap::authentication(&Values(data)), Ok(way) if way != ldap::Authentication::Password);
    match directory_name(data).ok()? {
        "ldap" => has_password().then_some(&secrets::LDAP_PASSWORD),
        "gsuite" => google::key_file(&Values(data)).is_none().then_some(&secrets::GSUITE_KEY),
        "entra" => (!entra::has_other_credential(data)).then_some(&secrets::ENTRA_KEY),
        "okta" => okta::needs_token(&Values(data)).then_some(&secrets::OKTA_TOKEN),
        "onelogin" => Some(&secrets::ONELOGIN_SECRET),
        _ => None,
    }
}

fn scope(values: &Values<'_>) -> Result<Option<Scope>> {
    Ok(match (values.flag("sync.users")?, values.flag("sync.groups")?) {
        (true, true) => Some(Scope::UsersAndGroups),
        (true, false) => Some(Scope::Users),
        (false, true) => Some(Scope::Groups),
        (false, false) => None,
    })
}

/// What is the same for every directory.
fn rules(values: &Values<'_>) -> Result<Rules> {
    let defaults = Rules::default();
    Ok(Rules {
        disabled: if values.flag("sync.removeDisabled")? { DisabledUsers::Remove } else { defaults.disabled },
        missing: missing(values)?,
        existing: if values.flag("sync.overwriteExisting")? {
            ExistingMembers::Overwrite
        } else {
            defaults.existing
        },
        size: if values.flag("sync.largeImport")? { ImportSize::Batches } else { defaults.size },
        newcomers: if values.flag("sync.inviteUsersAfterProvisioning")? {
            Newcomers::Invite
        } else {
            defaults.newcomers
        },
        bad_records: if values.is_choice("sync.onBadRecord", "skip")? {
            BadRecords::Skip
        } else {
            defaults.bad_records
        },
        nesting: if values.is_choice("sync.nestedGroups", "all")? {
            Nesting::AllGroups
        } else {
            defaults.nesting
        },
        ..defaults
    })
}

/// Who is absent from a read of changes has not left, so the two exclude each other. Only people who are synced can leave.
fn missing(values: &Values<'_>) -> Result<MissingPeople> {
    if !values.flag("sync.removeMissing")? || !values.flag("sync.users")? {
        return Ok(MissingPeople::Keep);
    }
    if directory_name(values.0)? == "ldap" && values.text("sync.revisionDateAttribute")?.is_some() {
        return Err(Error::new(
            "The settings sync.removeMissing and sync.revisionDateAttribute exclude each other: people absent from a read of changes have not left.",
        )
        .hint("Clear one: bwdc config unset sync.revisionDateAttribute, or bwdc config sync.removeMissing false."));
    }
    Ok(MissingPeople::Remove)
}

/// The organization's servers.
pub fn endpoints(data: &Data) -> Result<Endpoints> {
    let urls = data.section(key::URLS);
    let url = |name: &str| urls.value(name).and_then(Value::as_str).filter(|url| !url.trim().is_empty());
    Ok(Endpoints::resolve(url("base"), url("api"), url("identity"))?)
}

/// A base URL as it is stored: with a scheme, without trailing slashes.
pub(crate) fn server_url(text: &str) -> Result<String> {
    let text = text.trim().trim_end_matches('/');
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    Endpoints::resolve(Some(&url), None, None)?;
    Ok(url)
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
            for setting in settings::ALL {
                setting.fault(&data).map_or(Ok(()), |error| bwdc_testkit::harmless(&error, read))?;
            }
            let environment = Environment::for_demo();
            let secrets = Secrets::new(environment.clone(), file);
            let understood = Instance::of(&data, Path::new("/nowhere"), &environment, &secrets);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let results = [
                runtime.block_on(understood).map(drop),
                endpoints(&data).map(drop),
                Instance::existing_members(&data).map(drop),
            ];
            for error in results.iter().filter_map(|result| result.as_ref().err()) {
                bwdc_testkit::harmless(error, read)?;
            }
        }
    }
}
