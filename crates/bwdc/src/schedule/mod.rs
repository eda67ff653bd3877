//! Schedules: when syncs run, and the files of the schedulers that run them.
//!
//! Every renderer is pure: it gives text, or the reason why a scheduler cannot do what is asked. `install` alone acts.

pub(crate) mod account;
pub(crate) mod cron;
pub(crate) mod explain;
pub(crate) mod expression;
#[cfg(unix)]
pub(crate) mod folders;
pub(crate) mod install;
pub(crate) mod kubernetes;
pub(crate) mod launchd;
pub(crate) mod plan;
pub(crate) mod script;
pub(crate) mod systemd;
pub(crate) mod trial;
pub(crate) mod windows;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::expression::Schedule;
use crate::config::env;
use bwdc_core::error::{Error, Result};

/// The log in an instance's folder, where nothing else is said.
pub(crate) const USUAL_LOG: &str = "bwdc.log";

/// The sync of one instance, as every scheduler is given it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) schedule: Schedule,
    /// The program, by its absolute path: a scheduler's PATH is short.
    pub(crate) program: String,
    /// The folder of data.json.
    pub(crate) folder: String,
    pub(crate) syncs: Syncs,
    pub(crate) writes: Writes,
    pub(crate) user: String,
    /// Besides the folder's, for the environment that a scheduler leaves bare.
    pub(crate) variables: Vec<(String, String)>,
}

/// Where a job writes besides its folder, by what bwdc.toml says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writes {
    /// The folder of the log file.
    pub(crate) log: Option<String>,
    pub(crate) instances: Vec<String>,
}

impl Writes {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.log.iter().chain(&self.instances)
    }
}

/// What a job syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Syncs {
    /// The instance in the folder.
    #[default]
    Instance,
    /// All instances in bwdc.toml.
    Everything,
}

impl Syncs {
    /// The words behind the program's name.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Instance => &["sync"],
            Self::Everything => &["sync", "--all"],
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn is_instance(&self) -> bool {
        *self == Self::Instance
    }
}

impl Job {
    /// All variables of the job, the folder's first, and who starts it.
    fn environment<'a>(&'a self, by: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let folder = (env::APPDATA_DIR, self.folder.as_str());
        [folder, (env::STARTED_BY, by)]
            .into_iter()
            .chain(self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The log file, if it has one.
    fn log_file(&self) -> Option<&str> {
        log_file(&self.variables)
    }

    /// A name for its files and units, of its folder.
    pub(crate) fn name(&self) -> String {
        name_of(&self.folder)
    }

    fn marker(&self) -> Marker {
        Marker {
            schedule: self.schedule.to_string(),
            folder: self.folder.clone(),
            syncs: self.syncs,
            user: self.user.clone(),
            program: self.program.clone(),
            variables: self.variables.clone(),
        }
    }
}

/// `bwdc-srv-one` for `/srv/one`.
pub(crate) fn name_of(folder: &str) -> String {
    let words = folder.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once("bwdc").chain(words).collect::<Vec<_>>().join("-").to_lowercase()
}

fn log_file(variables: &[(String, String)]) -> Option<&str> {
    variables.iter().find(|(name, _)| name == env::LOG_FILE).map(|(_, path)| path.as_str())
}

/// What a file says about its job, on one line of a comment: so that it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) schedule: String,
    pub(crate) folder: String,
    #[serde(default, skip_serializing_if = "Syncs::is_instance")]
    pub(crate) syncs: Syncs,
    pub(crate) user: String,
    pub(crate) program: String,
    /// So that another value is a change, even where a scheduler writes its files in its own way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) variables: Vec<(String, String)>,
}

const MARKER: &str = "bwdc-schedule: ";

impl Marker {
    /// Where the job logs: what it was given, else where schedules of older versions have it.
    pub(crate) fn log_file(&self) -> PathBuf {
        log_file(&self.variables).map_or_else(|| Path::new(&self.folder).join(USUAL_LOG), PathBuf::from)
    }

    fn text(&self) -> String {
        format!("{MARKER}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// For a text or a comment in XML, found again in the raw file even if that has gone through another code page: everything
    /// but ASCII, the signs of XML and two hyphens in a row (which no comment can hold) as JSON escapes it.
    fn xml_text(&self) -> String {
        let escaped = |c: char| match c {
            '&' | '<' | '>' => format!("\\u{:04x}", u32::from(c)),
            _ if c.is_ascii() => c.to_string(),
            _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        self.text().replace("--", "-\\u002d").chars().map(escaped).collect()
    }

    /// All markers in a text.
    pub(crate) fn all_in(text: &str) -> Vec<Self> {
        let from_json = |json: &str| serde_json::Deserializer::from_str(json).into_iter().next()?.ok();
        text.match_indices(MARKER).filter_map(|(at, _)| from_json(&text[at + MARKER.len()..])).collect()
    }
}

/// Refuses what would end a line of a file.
fn on_one_line(what: &str, text: &str) -> Result<()> {
    if text.contains(['\n', '\r', '\0']) {
        return Err(Error::new(format!("The {what} `{}` contains a line break.", text.escape_debug()))
            .hint("No scheduler can store that: use another."));
    }
    Ok(())
}

/// Checks what stands in every file.
fn check(job: &Job) -> Result<()> {
    on_one_line("folder", &job.folder)?;
    on_one_line("program", &job.program)?;
    on_one_line("user", &job.user)?;
    job.writes.all().try_for_each(|folder| on_one_line("folder", folder))?;
    job.variables.iter().try_for_each(|(name, value)| on_one_line(&format!("variable {name}"), value))
}

/// As text between XML tags.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_marker_is_found_again_in_xml() {
        let marker = Marker {
            schedule: "@daily".to_owned(),
            folder: "C:\\a & b\\<M\u{fc}ller>--\u{1f980}\\\"'".to_owned(),
            syncs: Syncs::Everything,
            user: "CORP\\j\u{f8}rgen".to_owned(),
            program: "bwdc".to_owned(),
            variables: vec![("BWDC_CA_FILE".to_owned(), "C:\\<ca>.pem".to_owned())],
        };
        let text = marker.xml_text();
        assert!(text.is_ascii() && !text.contains("--") && xml(&text) == text, "{text}");
        assert_eq!(Marker::all_in(&format!("<x>{text}</x>")), [marker]);
    }

    proptest! {
        #![proptest_config(few())]

        /// What is found is found again where it is written.
        #[test]
        fn fuzz_markers(text in damaged_text([
            r#"<!-- bwdc-schedule: {"schedule":"@daily","folder":"C:\\a \u0026 b","user":"CORP\\j\u00f8rgen","program":"bwdc","syncs":"everything","variables":[["BWDC_LOG_FILE","x"]]} -->"#,
            r#"# bwdc-schedule: {"schedule":"15m","folder":"/srv/one","user":"u","program":"/usr/bin/bwdc"} bwdc-schedule: {"#,
        ])) {
            for marker in bwdc_testkit::damage::soon(|| Marker::all_in(&text)) {
                let _ = (marker.log_file(), name_of(&marker.folder));
                let written = marker.xml_text();
                prop_assert!(written.is_ascii() && !written.contains("--") && !written.contains(['\n', '<', '>', '&']));
                // A marker may have a marker in it, which is found first.
                for again in [Marker::all_in(&written), Marker::all_in(&marker.text())] {
                    prop_assert_eq!(again.first(), Some(&marker));
                }
            }
        }
    }
}
