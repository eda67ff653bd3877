//! An overview as Markdown: headings and tables, and nothing in a name that a ticket would take for either.

use super::{Overview, Section};
use crate::log::escaped;

pub(super) fn markdown(overview: &Overview) -> String {
    let mut parts = vec![format!("# {}", harmless(&overview.title))];
    let facts: Vec<String> = overview.facts.iter().map(|fact| format!("- {}", harmless(fact))).collect();
    parts.extend(Some(facts.join("\n")).filter(|facts| !facts.is_empty()));
    overview.sections.iter().for_each(|section| parts.extend(section_parts(section)));
    if !overview.totals.is_empty() {
        parts.push("## Totals".to_owned());
        let rows = overview.totals.iter().map(|total| total.as_slice());
        parts.push(table(&["Of", "Number"], rows));
    }
    parts.join("\n\n")
}

fn section_parts(section: &Section) -> Vec<String> {
    let mut parts = vec![format!("## {}", harmless(&section.heading()))];
    parts.extend(section.lead.iter().map(|lead| harmless(lead)));
    parts.push(table(section.columns, section.rows.iter().map(Vec::as_slice)));
    parts
}

fn table<'a>(columns: &[&str], rows: impl Iterator<Item = &'a [String]>) -> String {
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = row(columns.iter().map(|column| harmless(column)).collect());
    let rule = row(columns.iter().map(|_| "---".to_owned()).collect());
    let rows = rows.map(|cells| row(cells.iter().map(|cell| harmless(cell)).collect()));
    [head, rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// Text that Markdown shows as it is: no markup, no HTML, no end of a cell, and nobody who is mentioned.
fn harmless(text: &str) -> String {
    let text = escaped(text);
    let mut before = ' ';
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => harmless.extend(['\\', c]),
            '<' => harmless.push_str("&lt;"),
            '>' => harmless.push_str("&gt;"),
            '&' => harmless.push_str("&amp;"),
            '@' if !before.is_alphanumeric() => harmless.push_str("&#64;"),
            '#' if !before.is_alphanumeric() => harmless.push_str("&#35;"),
            _ => harmless.push(c),
        }
        before = c;
    }
    harmless
}
