//! Plans, what waits for an administrator, and what earlier runs did, laid out for people: a value first, then text or Markdown.

mod explain;
mod history;
mod lines;
mod markdown;
mod pending;
mod people;
mod plan;
#[cfg(test)]
mod tests;
mod text;
mod undo;
mod words;

pub(crate) use self::words::{local, time};

/// How an overview is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Aligned columns.
    Plain,
    /// The same in colours.
    Coloured,
    /// Markdown, for a ticket.
    Markdown,
    /// JSON lines, for a program that shows it.
    Lines,
}

/// Sections under a title, the most dangerous first, and totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overview {
    title: String,
    /// Sentences about all of it.
    facts: Vec<String>,
    sections: Vec<Section>,
    totals: Vec<[String; 2]>,
}

/// A table under a title.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section {
    title: String,
    tone: Tone,
    /// Sentence before the table.
    lead: Option<String>,
    columns: &'static [&'static str],
    /// Cells as they are: whoever writes them makes them harmless.
    rows: Vec<Vec<String>>,
}

/// Weight of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    /// Something is lost, or held back.
    Danger,
    /// Something to look at.
    Caution,
    /// Something comes.
    Good,
}

impl Section {
    fn new(title: impl Into<String>, tone: Tone, columns: &'static [&'static str]) -> Self {
        Self { title: title.into(), tone, lead: None, columns, rows: Vec::new() }
    }

    fn led(self, lead: impl Into<String>) -> Self {
        Self { lead: Some(lead.into()), ..self }
    }

    fn rows(self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        Self { rows: rows.into_iter().collect(), ..self }
    }

    /// The title with the number of rows.
    fn heading(&self) -> String {
        format!("{} ({})", self.title, self.rows.len())
    }
}

impl Overview {
    /// Adds a section, unless it is empty.
    fn add(&mut self, section: Section) {
        if !section.rows.is_empty() {
            self.sections.push(section);
        }
    }

    /// A sentence and nothing else.
    pub(crate) fn sentence(text: &str) -> Self {
        Self { title: text.to_owned(), ..Self::default() }
    }

    /// Puts a name before the title: one of several.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { title: format!("{name}: {}", self.title), ..self }
    }

    /// Writes it. The text moves no terminal, whatever the names in it are.
    pub(crate) fn written(&self, form: Form) -> String {
        match form {
            Form::Plain => text::text(self, text::Paint::None),
            Form::Coloured => text::text(self, text::Paint::Ansi),
            Form::Markdown => markdown::markdown(self),
            Form::Lines => lines::lines(self),
        }
    }
}
