//! What is synced as one, as one process hands it to another: folders by their names, and nothing of what is in them.

use std::ffi::OsString;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A job as it is handed from one process to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Errand {
    /// The folder of the existing connector, which may not be there yet.
    Usual(InstanceAddress),
    /// One that somebody named.
    One(InstanceAddress),
    /// Several that are merged into one organization.
    Merged {
        /// The organization's name in bwdc.toml.
        name: String,
        /// Its directories, each with what its groups' names begin with.
        members: Vec<(InstanceAddress, String)>,
        /// The bwdc.toml that merges them.
        path: OsString,
        /// How many are read at the same time.
        at_once: usize,
    },
}

impl Errand {
    /// Its name in the log and in summaries.
    pub fn name(&self) -> &str {
        match self {
            Self::Usual(place) | Self::One(place) => &place.name,
            Self::Merged { name, .. } => name,
        }
    }

    /// The folders in which it reads and keeps its state.
    pub fn folders(&self) -> Vec<&Path> {
        match self {
            Self::Usual(place) | Self::One(place) => vec![place.folder()],
            Self::Merged { members, .. } => members.iter().map(|(place, _)| place.folder()).collect(),
        }
    }
}

/// A `bwdc.toml` as a process has read it: the file may say something else by now.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstallationText {
    /// Path of the file.
    pub path: OsString,
    /// The file's text. The address of a webhook may stand in it.
    pub text: String,
}

impl std::fmt::Debug for InstallationText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstallationText").field("path", &self.path).finish_non_exhaustive()
    }
}

/// An instance: its folder, and what was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceAddress {
    /// The folder. Not every name of a folder is a text.
    pub folder: OsString,
    /// By which the log and summaries know it.
    pub name: String,
    /// Whether there are others in the same run.
    pub company: Company,
    /// The `bwdc.toml` by which it was found.
    pub found_by: Option<OsString>,
}

impl InstanceAddress {
    /// The folder.
    pub fn folder(&self) -> &Path {
        Path::new(&self.folder)
    }
}

/// Whether what is told has to say whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Company {
    /// It is alone.
    Alone,
    /// It is one of several.
    AmongOthers,
}
