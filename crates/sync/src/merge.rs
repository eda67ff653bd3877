//! Several directories into one organization.
//!
//! Each directory keeps its memory in its own folder: cursor and times are its own. The ledger of the organization is the same in
//! every folder: where the copies differ, because one was synced alone in between, they are joined.

use std::fmt;
use std::path::{Path, PathBuf};

use std::sync::Arc;

use bwdc_config::installation::{self, AlertSetup};
use bwdc_core::error::{Error, Result};
use bwdc_store::tokens::TokenMemory;

use crate::context::Context;

/// The directories of one organization, the most important first.
#[derive(Debug)]
pub struct Merge {
    /// By which `bwdc.toml` knows it.
    pub name: String,
    /// The directories.
    pub members: Vec<MergeMember>,
    /// The `bwdc.toml`.
    pub path: PathBuf,
    /// How many are read side by side.
    pub at_once: usize,
}

/// One of them.
#[derive(Debug)]
pub struct MergeMember {
    /// The instance.
    pub context: Context,
    /// What its groups' names begin with.
    pub prefix: String,
}

impl Merge {
    /// A merge about which these channels are told.
    #[must_use]
    pub(crate) fn alerting(self, alerts: &Arc<AlertSetup>) -> Self {
        let with = |member: MergeMember| MergeMember { context: member.context.alerting(alerts), ..member };
        Self { members: self.members.into_iter().map(with).collect(), ..self }
    }

    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub fn with_tokens(self, tokens: &TokenMemory) -> Self {
        let with = |member: MergeMember| MergeMember {
            context: member.context.with_tokens(tokens.clone()),
            ..member
        };
        Self { members: self.members.into_iter().map(with).collect(), ..self }
    }
}

/// What to say about a folder that is to be synced alone.
pub fn not_alone(what: &dyn fmt::Display, organization: &str, path: &Path) -> Error {
    Error::new(format!(
        "{what} is merged with other directories into the organization {organization} ({}), and synced alone it could remove people whom they added.",
        path.display()
    ))
    .hint(format!("Run `bwdc sync --config {} --instance {organization}`.", path.display()))
}

/// A folder that is merged with others is not synced alone: somebody whom only this directory calls deleted may be alive in
/// another, and overwriting would remove everybody who came from there.
pub(crate) fn not_merged(context: &Context, merged_by: Option<PathBuf>) -> Result<()> {
    let Some(path) = merged_by.filter(|path| path.exists()) else {
        return Ok(());
    };
    let folder = context.file.folder();
    let found = installation::find(Some(&path), &context.environment, folder)?;
    let merging = found.as_ref().and_then(|found| found.merging(&found.instance_in(folder)?.name));
    match merging {
        Some(organization) => Err(not_alone(&folder.display(), &organization.name, &path)),
        None => Ok(()),
    }
}
