//! `bwdc replay`

use std::io::Read as _;
use std::path::{Path, PathBuf};

use bwdc_core::error::{Error, Result};
use bwdc_core::note::by_cause;
use bwdc_core::organization::capture::{Capture, Unreadable};
use bwdc_store::files;
use bwdc_sync::Planned;
use clap::Args;

use super::plan;
use super::planning::Wanted;
use crate::overview::{Form, Overview};
use crate::ui::{self, Answer, Style};

/// Octets of the largest snapshot that is read.
const LARGEST: u64 = 1 << 30;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// File saved by `bwdc snapshot`.
    file: PathBuf,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Print the plan as Markdown, for a ticket or a review.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

pub(super) fn run(arguments: &Arguments, style: Style) -> Result<Answer> {
    let capture = read(&arguments.file)?;
    ui::progress(&format!("The snapshot of {} has {}.", capture.created_at, capture.holds()), style);
    let Planned { document, notes, .. } = bwdc_sync::replay(&capture)?;
    ui::notes(&by_cause(&notes), style);
    let value = plan::value(&document)?;
    let wanted = match arguments.markdown {
        true => Wanted::Text(Form::Markdown),
        false => Wanted::json_or_text(arguments.json, style),
    };
    Ok(match wanted {
        Wanted::Json => Answer::Object(value),
        Wanted::Text(form) => Answer::Written { text: Overview::from(&document).written(form), value },
    })
}

fn read(path: &Path) -> Result<Capture> {
    let text = text(path)
        .map_err(|error| Error::new(format!("Reading the snapshot {}: {error}", path.display())))?;
    let text = text.ok_or_else(|| {
        let reason = format!("{} is not replayed: it has more than {LARGEST} bytes.", path.display());
        Error::new(reason).hint("Check that it is a file that bwdc snapshot has made.")
    })?;
    Capture::parse(&text).map_err(|why| refused(path, &why))
}

/// `None` if it is too large.
fn text(path: &Path) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    let mut file = files::open_regular(path)?.take(LARGEST + 1);
    match file.read_to_string(&mut text) {
        // A file that is no text is no snapshot either: that is said of it below.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(Some(String::new())),
        read => read?,
    };
    Ok(Some(text).filter(|text| text.len() as u64 <= LARGEST))
}

fn refused(path: &Path, why: &Unreadable) -> Error {
    let hint = match why {
        Unreadable::Version(_) => "Use the version of bwdc that made it, or a later one: bwdc update.",
        Unreadable::Foreign | Unreadable::Damaged | Unreadable::Malformed { .. } => {
            "Ask for the file again, or make another one: bwdc snapshot FILE."
        }
    };
    Error::new(format!("{} is not replayed: {why}.", path.display())).hint(hint)
}
