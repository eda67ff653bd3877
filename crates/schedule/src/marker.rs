//! What a file of a scheduler says about its job, on one line of a comment, so that it is found again.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::job::{ScheduledJob, Syncs, USUAL_LOG, log_file};

/// A job, as its scheduler's file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// When it runs, as an expression.
    pub schedule: String,
    /// The folder of data.json.
    pub folder: String,
    /// Whether one instance or all.
    #[serde(default, skip_serializing_if = "Syncs::is_instance")]
    pub syncs: Syncs,
    /// User the job runs as.
    pub user: String,
    /// The program, by its absolute path.
    pub program: String,
    /// So that another value is a change, even where a scheduler writes its files in its own way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<(String, String)>,
}

impl ScheduledJob {
    /// The job, as its scheduler's file names it.
    pub(crate) fn marker(&self) -> Marker {
        Marker {
            schedule: self.schedule.to_string(),
            folder: self.runs.folder.clone(),
            syncs: self.runs.syncs,
            user: self.runs.user.clone(),
            program: self.runs.program.clone(),
            variables: self.runs.variables.clone(),
        }
    }
}

const MARKER: &str = "bwdc-schedule: ";

impl Marker {
    /// Where the job logs: what it was given, else where schedules of older versions have it.
    pub fn log_file(&self) -> PathBuf {
        log_file(&self.variables).map_or_else(|| Path::new(&self.folder).join(USUAL_LOG), PathBuf::from)
    }

    pub(crate) fn text(&self) -> String {
        text_of(MARKER, self)
    }

    /// For a text or a comment in XML.
    pub(crate) fn xml_text(&self) -> String {
        in_xml(&self.text())
    }

    /// All markers in a text.
    pub(crate) fn all_in(text: &str) -> Vec<Self> {
        all_in(MARKER, text)
    }
}

/// What a file says about what it runs, found again behind its name.
pub(crate) fn text_of(name: &str, marked: &impl Serialize) -> String {
    format!("{name}{}", serde_json::to_string(marked).unwrap_or_default())
}

/// Found again in the raw file even if that has gone through another code page: everything but ASCII, the signs of XML and two hyphens in
/// a row (which no comment can hold) as JSON escapes it.
pub(crate) fn in_xml(text: &str) -> String {
    let escaped = |c: char| match c {
        '&' | '<' | '>' => format!("\\u{:04x}", u32::from(c)),
        _ if c.is_ascii() => c.to_string(),
        _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    text.replace("--", "-\\u002d").chars().map(escaped).collect()
}

/// All that is marked by this name in a text.
pub(crate) fn all_in<T: DeserializeOwned>(name: &str, text: &str) -> Vec<T> {
    let from_json = |json: &str| serde_json::Deserializer::from_str(json).into_iter().next()?.ok();
    text.match_indices(name).filter_map(|(at, _)| from_json(&text[at + name.len()..])).collect()
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;
    use crate::job::{name_of, xml};

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

    /// In each of these, a marker goes on into the next one. No octet is looked at by more than a few of them.
    #[test]
    fn markers_without_end_take_no_time() {
        for begun in
            [r#"{"folder":""#, r#"{"folder":"a","#, r#"{""#, r#"{",":""#, r#"["#, "", r#"{\"x\":\""#, "\""]
        {
            let text = format!("{MARKER}{begun}").repeat(30_000);
            assert_eq!(bwdc_testkit::damage::soon(|| Marker::all_in(&text)), [], "{begun}");
        }
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
