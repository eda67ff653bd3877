//! An overview as lines of JSON, for a program that shows it: a head, then each section, its rows behind it.

use serde::Serialize;

use super::{Overview, Section, Tone};

#[derive(Serialize)]
struct Head<'a> {
    title: &'a str,
    facts: &'a [String],
    totals: &'a [[String; 2]],
}

#[derive(Serialize)]
struct SectionHead<'a> {
    section: &'a str,
    tone: &'static str,
    lead: Option<&'a str>,
    columns: &'a [&'a str],
    rows: usize,
}

pub(super) fn lines(overview: &Overview) -> String {
    let Overview { title, facts, sections, totals } = overview;
    let mut lines = vec![line(&Head { title, facts, totals })];
    for Section { title, tone, lead, columns, rows } in sections {
        let (lead, tone) = (lead.as_deref(), word(*tone));
        lines.push(line(&SectionHead { section: title, tone, lead, columns, rows: rows.len() }));
        lines.extend(rows.iter().map(line));
    }
    lines.join("\n")
}

fn word(tone: Tone) -> &'static str {
    match tone {
        Tone::Danger => "danger",
        Tone::Caution => "caution",
        Tone::Good => "good",
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
