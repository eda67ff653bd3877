//! An overview as text in columns.

use unicode_width::UnicodeWidthStr as _;

use super::{Overview, Section, Tone};
use crate::log::escaped;

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    None,
    /// SGR codes (ECMA-48).
    Ansi,
}

const BOLD: [u8; 2] = [1, 22];
const DIM: [u8; 2] = [2, 22];

/// Cells that are wider do not make their column wider.
const WIDEST: usize = 48;

impl Paint {
    fn on(self, text: &str, [on, off]: [u8; 2]) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Ansi => format!("\x1b[{on}m{text}\x1b[{off}m"),
        }
    }
}

fn colour(tone: Tone) -> [u8; 2] {
    match tone {
        Tone::Danger => [91, 39],
        Tone::Caution => [93, 39],
        Tone::Good => [92, 39],
    }
}

pub(super) fn text(overview: &Overview, paint: Paint) -> String {
    let mut lines = vec![paint.on(&escaped(&overview.title), BOLD)];
    lines.extend(overview.facts.iter().map(|fact| escaped(fact)));
    for section in &overview.sections {
        lines.push(String::new());
        lines.extend(section_lines(section, paint));
    }
    if !overview.totals.is_empty() {
        lines.push(String::new());
        lines.push(paint.on("Totals", BOLD));
        let rows: Vec<Vec<String>> = overview.totals.iter().map(|total| cells(total)).collect();
        lines.extend(aligned(&rows));
    }
    lines.join("\n")
}

fn section_lines(section: &Section, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.on(&escaped(&section.heading()), colour(section.tone))];
    lines.extend(section.lead.iter().map(|lead| format!("  {}", escaped(lead))));
    let head = section.columns.iter().map(|column| (*column).to_owned()).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(section.rows.iter().map(|row| cells(row))).collect();
    let mut table = aligned(&rows).into_iter();
    lines.extend(table.next().map(|head| paint.on(&head, DIM)));
    lines.extend(table);
    lines
}

fn cells(row: &[String]) -> Vec<String> {
    row.iter().map(|cell| escaped(cell)).collect()
}

/// Rows with each column as wide as its widest cell, on a terminal.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let widths = rows.iter().filter_map(|row| Some(row.get(column)?.width()));
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded = row.iter().zip(widths).map(|(cell, width)| {
        let missing = width.saturating_sub(cell.width());
        format!("  {cell}{}", " ".repeat(missing))
    });
    padded.collect::<String>().trim_end().to_owned()
}
