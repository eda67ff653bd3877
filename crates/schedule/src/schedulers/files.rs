//! What schedulers have in common that keep a file for each job.

use std::fs;
use std::path::{Path, PathBuf};

use crate::job::ScheduledJob;
use crate::marker::Marker;
use bwdc_core::error::{Error, Result};

/// Two folders can have one name; a file of another's is left alone.
pub(super) fn of_this_folder(path: &Path, job: &ScheduledJob) -> Result<()> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
    match Marker::all_in(&text).pop() {
        Some(marker) if marker.folder == job.runs.folder => Ok(()),
        Some(marker) => Err(of_another(&path.display().to_string(), &marker)),
        None => Err(Error::new(format!("{} was not made by `bwdc schedule install`.", path.display()))
            .hint("Move it elsewhere, then install again.")),
    }
}

pub(super) fn of_another(place: &str, marker: &Marker) -> Error {
    Error::new(format!("{place} is for the folder {}.", marker.folder))
        .hint("Rename one of the folders: their names are too similar.")
}

/// The files of a folder with an extension, and the job that each is for, in the order of the jobs' folders.
pub(super) fn marked(folder: &Path, extension: &str) -> Vec<(PathBuf, Marker)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    let mut all: Vec<_> = files
        .filter_map(|path| {
            let marker = Marker::all_in(&fs::read_to_string(&path).ok()?).pop()?;
            Some((path, marker))
        })
        .collect();
    all.sort_by(|(_, one), (_, other)| one.folder.cmp(&other.folder));
    all
}

/// A file to read, under its name.
pub(super) fn shown(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path)
        .map_err(|error| Error::new(format!("Reading {}: {error}", path.display())))?;
    Ok(format!("# The file {}:\n{text}", path.display()))
}
