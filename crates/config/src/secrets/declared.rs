//! A secret: its name, its variable, and how it stands where it is kept.

use crate::setting::Setting;

/// A secret, wherever it may be.
#[derive(Debug)]
pub struct DeclaredSecret {
    /// Its name: a setting, or the part of a login. Also the name of its systemd credential.
    pub name: &'static str,
    /// Its variable; `_FILE` and `_EXEC` are put behind it for the other two.
    pub variable: &'static str,
    /// How it stands where it is kept.
    pub storage: StorageKeys,
    /// Setting that names a file with it.
    pub file: Setting,
    /// Setting that names a command that prints it.
    pub command: Setting,
    /// Setting with its last day.
    pub end: Setting,
}

impl DeclaredSecret {
    /// The variable that names a file with it.
    pub fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable)
    }

    /// The variable that names a command that prints it.
    pub fn command_variable(&self) -> String {
        format!("{}_EXEC", self.variable)
    }
}

/// How a secret stands in `data.json` and in the operating system's store: as the existing connector has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageKeys {
    pub(crate) place: DataKey,
    /// Its key in the store; `:<id>` follows where the section has an `id`.
    pub(crate) store_key: &'static str,
    /// What state version 3 and 4 put behind the account's id, and other older names.
    pub(crate) older_keys: &'static [Older],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataKey {
    Top(&'static str),
    InSection(&'static str, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Older {
    /// The whole key.
    Key(&'static str),
    /// What follows `<account>_`.
    AfterAccount(&'static str),
}

pub(crate) const fn top(name: &'static str, older_keys: &'static [Older]) -> StorageKeys {
    StorageKeys { place: DataKey::Top(name), store_key: name, older_keys }
}

pub(crate) const fn in_section(
    section: &'static str,
    name: &'static str,
    store_key: &'static str,
    older_keys: &'static [Older],
) -> StorageKeys {
    StorageKeys { place: DataKey::InSection(section, name), store_key, older_keys }
}

/// Makes a secret, with the settings that name a file with it and a command that prints it.
macro_rules! secret {
    (name: $name:literal, what: $what:literal, variable: $variable:expr, storage: $storage:expr,) => {
        $crate::secrets::declared::DeclaredSecret {
            name: $name,
            variable: $variable,
            storage: $storage,
            file: $crate::setting::setting(
                concat!("secretFile.", $name),
                $crate::setting::StoredAt::In(bwdc_store::key::SECRET_FILES, $name),
                $crate::setting::Type::Path,
                "",
                concat!(
                    "A file with ",
                    $what,
                    " and nothing else, such as /etc/bwdc/",
                    $name,
                    "; relative to data.json's folder."
                ),
            ),
            command: $crate::setting::setting(
                concat!("exec.", $name),
                $crate::setting::StoredAt::In(bwdc_store::key::SECRET_COMMANDS, $name),
                $crate::setting::Type::Command,
                "",
                concat!("A command that prints ", $what, ", such as `pass show bwdc/", $name, "`."),
            ),
            end: $crate::setting::setting(
                concat!("secretEnd.", $name),
                $crate::setting::StoredAt::In(bwdc_store::key::SECRET_ENDS, $name),
                $crate::setting::Type::Day,
                "",
                concat!(
                    "Day on which ",
                    $what,
                    " ends, such as 2027-01-31: alerts tell it 30, 7 and 1 days before."
                ),
            ),
        }
    };
}
pub(crate) use secret;
