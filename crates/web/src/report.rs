//! A report of a command, kept in a file and read page by page: a plan for 50,000 people needs no more memory than a small one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bwdc_core::error::{Error, Result};
use serde::Deserialize;

/// Every so many rows the place in the file is known.
const STRIDE: usize = 64;

/// A report.
#[derive(Debug)]
pub(crate) struct Report {
    path: PathBuf,
    pub(crate) head: Head,
    pub(crate) sections: Vec<Section>,
}

/// Beginning of a report.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Head {
    pub(crate) title: String,
    pub(crate) facts: Vec<String>,
    pub(crate) totals: Vec<[String; 2]>,
}

#[derive(Deserialize)]
struct SectionHead {
    section: String,
    tone: Tone,
    lead: Option<String>,
    columns: Vec<String>,
}

/// Weight of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Danger,
    Caution,
    Good,
}

/// A table of a report.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) tone: Tone,
    pub(crate) lead: Option<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: usize,
    /// Place of each 64th row.
    places: Vec<u64>,
}

/// Some of the rows of a section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Vec<String>>,
    /// Rows that match, on all pages.
    pub(crate) matching: usize,
}

impl Report {
    /// Rows from `first` on among those that contain `search`, in any case.
    pub(crate) fn rows(&self, section: usize, search: &str, first: usize, most: usize) -> Result<Rows> {
        let Some(section) = self.sections.get(section) else {
            return Ok(Rows { rows: Vec::new(), matching: 0 });
        };
        let attempted = |error: std::io::Error| {
            Error::new(format!("Reading the report {}: {error}", self.path.display()))
        };
        let begin = if search.is_empty() { first.min(section.rows) / STRIDE } else { 0 };
        let Some(place) = section.places.get(begin) else {
            return Ok(Rows { rows: Vec::new(), matching: section.rows });
        };
        let mut file = BufReader::new(File::open(&self.path).map_err(attempted)?);
        file.seek(SeekFrom::Start(*place)).map_err(attempted)?;
        let wanted = search.to_lowercase();
        let (mut rows, mut matching) = (Vec::new(), begin * STRIDE);
        let mut line = String::new();
        for _ in begin * STRIDE..section.rows {
            line.clear();
            file.read_line(&mut line).map_err(attempted)?;
            if !wanted.is_empty() && !line.to_lowercase().contains(&wanted) {
                continue;
            }
            if matching >= first && rows.len() < most {
                rows.push(serde_json::from_str(&line).map_err(|error| attempted(error.into()))?);
            }
            matching += 1;
            if wanted.is_empty() && rows.len() == most {
                break;
            }
        }
        let matching = if wanted.is_empty() { section.rows } else { matching };
        Ok(Rows { rows, matching })
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes a report as it comes.
pub(crate) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    at: u64,
    head: Option<Head>,
    sections: Vec<Section>,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        bwdc_store::files::make_private(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            at: 0,
            head: None,
            sections: Vec::new(),
        })
    }

    pub(crate) fn line(&mut self, line: &[u8]) -> Result<()> {
        let not_understood =
            |error: serde_json::Error| Error::new(format!("Understanding a report: {error}"));
        if line.starts_with(b"{\"title\"") {
            self.head = Some(serde_json::from_slice(line).map_err(not_understood)?);
        } else if line.starts_with(b"{\"section\"") {
            let SectionHead { section, tone, lead, columns } =
                serde_json::from_slice(line).map_err(not_understood)?;
            self.sections.push(Section { title: section, tone, lead, columns, rows: 0, places: Vec::new() });
        } else if let (Some(section), true) = (self.sections.last_mut(), line.starts_with(b"[")) {
            if section.rows % STRIDE == 0 {
                section.places.push(self.at);
            }
            section.rows += 1;
        }
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|error| cannot_write(&self.path, &error))?;
        self.at += line.len() as u64 + 1;
        Ok(())
    }

    /// The report, if there was one.
    pub(crate) fn end(mut self) -> Result<Option<Report>> {
        self.file.flush().map_err(|error| cannot_write(&self.path, &error))?;
        let Self { path, head, sections, .. } = self;
        if head.is_none() {
            let _ = std::fs::remove_file(&path);
        }
        Ok(head.map(|head| Report { path, head, sections }))
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("Writing the report {}: {error}", path.display()))
        .hint("There may be no room left in the folder of the configuration.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(folder: &Path, rows: usize) -> Report {
        let mut writer = Writer::create(&folder.join("one")).unwrap();
        writer.line(br#"{"title":"Plan","facts":["A fact."],"totals":[["people","2"]]}"#).unwrap();
        for section in ["People removed", "People invited"] {
            let head = format!(
                r#"{{"section":"{section}","tone":"danger","lead":null,"columns":["Address"],"rows":{rows}}}"#
            );
            writer.line(head.as_bytes()).unwrap();
            for row in 0..rows {
                writer.line(format!(r#"["{section} P{row}@x.org"]"#).as_bytes()).unwrap();
            }
        }
        writer.end().unwrap().unwrap()
    }

    #[test]
    fn rows_are_found_page_by_page_and_by_search() {
        let folder = tempfile::tempdir().unwrap();
        let report = report(folder.path(), 1000);
        assert_eq!((report.head.title.as_str(), report.sections.len()), ("Plan", 2));
        for first in [0, 63, 64, 500, 999] {
            let Rows { rows, matching } = report.rows(1, "", first, 100).unwrap();
            assert_eq!((rows[0][0].clone(), matching), (format!("People invited P{first}@x.org"), 1000));
            assert_eq!(rows.len(), 100.min(1000 - first));
        }
        assert!(report.rows(1, "", 1000, 100).unwrap().rows.is_empty());
        let found = report.rows(0, "p99", 1, 2).unwrap();
        assert_eq!(found.matching, 11);
        assert_eq!(found.rows, [["People removed P990@x.org"], ["People removed P991@x.org"]]);
        assert_eq!(report.rows(7, "", 0, 1).unwrap().matching, 0);
        drop(report);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
