//! A kind of directory: everything that the configuration has to know of it. Each is declared once, in its own file in `directories`.

use std::path::Path;

use bwdc_connect::directory;
use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use bwdc_core::filter::{self, FilterError, NativeQuery, SetFilter};
use bwdc_store::Data;

use crate::env::Environment;
use crate::secrets::declared::DeclaredSecret;
use crate::setting::{Filtered, Setting};
use crate::values::StoredValues;

/// A kind of directory.
#[derive(Debug)]
pub struct DirectoryKind {
    /// Name, as typed after `bwdc config directory`.
    pub name: &'static str,
    /// Number in `data.json`, of one that the existing connector knows; the others stand there by name.
    pub(crate) number: Option<u64>,
    /// Settings of its own, in the order in which they are shown.
    pub(crate) settings: &'static [Setting],
    /// Settings that say whose directory it is: when one changes, so does the `id` of its section, and a secret that was kept in the
    /// operating system's store for the old directory is not sent to the new one.
    pub(crate) identity: &'static [Setting],
    /// Settings that name files with people or keys: root reads them for nobody else.
    pub(crate) files: &'static [Setting],
    /// Secret with which it is read, if there is one.
    pub(crate) secret: Option<&'static DeclaredSecret>,
    /// Questions of `bwdc init`, in their order.
    pub questions: &'static [InitQuestion],
    /// Checks a filter in the directory's language.
    pub(crate) check_filter: fn(Filtered, &str) -> std::result::Result<(), String>,
    /// Whether it is read with its secret, or logs in another way.
    pub(crate) takes_secret: fn(&StoredValues<'_>) -> bool,
    /// Whether the surroundings offer another way to log in to whoever has no secret.
    pub(crate) has_offer: fn(&Environment) -> bool,
    /// Makes its configuration.
    pub(crate) build: fn(BuildInput<'_>) -> Result<Built>,
}

impl PartialEq for DirectoryKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Question of `bwdc init` about a directory.
#[derive(Clone, Copy, Debug)]
pub struct InitQuestion {
    /// Setting that is asked for.
    pub setting: &'static Setting,
    /// When it is asked for.
    pub asked: AskCondition,
    /// Answer that follows from what is known already.
    pub propose: fn(&Data, &Environment) -> Option<String>,
}

/// Conditions of a question.
#[derive(Clone, Copy, Debug)]
pub enum AskCondition {
    /// An answer is needed.
    Always,
    /// An answer may be left out.
    Optional,
    /// An answer may be left out where this other setting is set.
    OptionalWith(&'static Setting),
    /// Asked only where this flag is on; else the answer is `false`.
    IfOn(&'static Setting),
    /// Asked only where the directory is read with its secret.
    WithSecret,
    /// Asked where the directory is read with its secret; else this other setting is asked for.
    WithSecretOr(&'static Setting),
}

impl InitQuestion {
    /// Question without a proposal.
    pub(crate) const fn new(setting: &'static Setting, asked: AskCondition) -> Self {
        Self { setting, asked, propose: |_, _| None }
    }

    /// Question with a proposal.
    pub(crate) const fn proposing(
        setting: &'static Setting,
        propose: fn(&Data, &Environment) -> Option<String>,
    ) -> Self {
        Self { setting, asked: AskCondition::Always, propose }
    }
}

/// Ingredients of a directory's configuration.
pub(crate) struct BuildInput<'a> {
    pub(crate) values: StoredValues<'a>,
    /// Where relative paths start.
    pub(crate) folder: &'a Path,
    pub(crate) environment: &'a Environment,
    /// The secret of the kind, if it takes one.
    pub(crate) secret: Option<Secret>,
}

/// Directory that was configured, and what the decisions need to know of its settings.
pub(crate) struct Built {
    pub(crate) directory: directory::Config,
    pub(crate) user_filter: Option<SetFilter>,
    pub(crate) group_filter: Option<SetFilter>,
    pub(crate) warnings: Vec<String>,
}

/// A filter of the directories that have set filters.
pub(crate) fn set_filter(
    values: &StoredValues<'_>,
    setting: &Setting,
    native: NativeQuery,
) -> Result<filter::Filter> {
    let text = values.text(setting)?.unwrap_or_default();
    filter::parse(&text, native).map_err(|error| not_understood(setting, &error))
}

/// Error of a filter that is not in the directory's language.
pub(crate) fn not_understood(setting: &Setting, error: &FilterError) -> Error {
    Error::new(format!("Understanding {}: {error}.", setting.name)).hint("Nothing was read.")
}

/// Checks a filter of a directory that has set filters alone.
pub(crate) fn check_set_filter(_filtered: Filtered, text: &str) -> std::result::Result<(), String> {
    filter::parse(text, NativeQuery::None).map(drop).map_err(|error| error.to_string())
}

/// Checks a filter of a directory that has set filters beside queries of its own.
pub(crate) fn check_query(_filtered: Filtered, text: &str) -> std::result::Result<(), String> {
    filter::parse(text, NativeQuery::Allowed).map(drop).map_err(|error| error.to_string())
}
