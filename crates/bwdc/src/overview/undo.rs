//! An undo, laid out: what it would change as in a plan, what stays as it is, and what cannot come back.

use bwdc_core::error::Error;
use bwdc_core::organization::roster::Basis;
use bwdc_core::organization::undo::Unclear;
use bwdc_sync::PlannedUndo;

use super::words::counted;
use super::{Overview, Section, Tone, words};

impl From<&PlannedUndo> for Overview {
    fn from(undo: &PlannedUndo) -> Self {
        let plan = Self::from(&undo.document);
        let mut overview = Self { title: title(undo), facts: facts(undo), ..plan };
        // What a plan says there is about an approval, which is for a sync.
        for section in overview.sections.iter_mut().filter(|section| section.lead.is_some()) {
            section.lead = undo.held.as_ref().map(held);
        }
        let left = undo.left.iter().flat_map(|(why, subjects)| subjects.iter().map(|one| (one, why.text())));
        overview.add(section("Left as it is", &["Who or what", "Reason"], left));
        let lost =
            undo.lost.iter().flat_map(|(what, subjects)| subjects.iter().map(|one| (one, what.text())));
        overview.add(section("Does not come back as before", &["Who or what", "What is different"], lost));
        overview
    }
}

fn title(PlannedUndo { head, document, .. }: &PlannedUndo) -> String {
    let organization = &document.organization;
    format!("Undo of the run {} in organization {} on {}", head.run, organization.id, organization.server)
}

fn facts(undo: &PlannedUndo) -> Vec<String> {
    let PlannedUndo { head, document, back, protected_until, .. } = undo;
    let time = words::time(&head.at.to_string());
    let mut facts: Vec<String> =
        undo.unclear.iter().map(|unclear| uncertain(unclear, document.basis)).collect();
    facts.push(format!(
        "{} The run of {time} was `bwdc {}`.",
        words::basis(document.basis),
        head.command.word()
    ));
    match back {
        0 => {}
        1 => facts.push("One change of the run is back as it was before it.".to_owned()),
        _ => facts.push(format!("{back} changes of the run are back as they were before it.")),
    }
    if let Some(until) = protected_until {
        facts.push(format!("Whoever comes back is protected until {}.", words::time(until)));
    }
    if undo.is_empty() {
        facts.push("Nothing to do.".to_owned());
    }
    facts
}

/// What would become of the rest, and the way out.
fn held(error: &Error) -> String {
    let rest = error.message.lines().last().unwrap_or_default();
    let hint = error.next_step.as_deref().unwrap_or_default();
    format!("Changes that count towards them are held back. {rest} {hint}")
}

/// What is not known of a run, and what is.
fn uncertain(Unclear { count, back, acknowledged }: &Unclear, basis: Basis) -> String {
    let changes = counted(*count, "change", "changes");
    let may_be = match acknowledged {
        0 => format!(
            "It is not known how this run ended. Perhaps it did nothing: nothing confirms any of its {changes}."
        ),
        _ => format!(
            "It is not known how this run ended: nothing confirms {changes}, {acknowledged} others were made."
        ),
    };
    let known = match basis {
        Basis::Live => format!(
            "In the organization, {back} of the unconfirmed ones are as before the run: not made, or undone already. What a later run made is \
             not undone."
        ),
        Basis::Ledger => "The server cannot be read: what may have been sent is taken for done. What a later run made is not undone.".to_owned(),
    };
    format!("{may_be} {known}")
}

fn section<'a>(
    title: &str,
    columns: &'static [&'static str],
    named: impl Iterator<Item = (&'a String, &'static str)>,
) -> Section {
    Section::new(title, Tone::Caution, columns)
        .rows(named.map(|(subject, text)| vec![subject.clone(), text.to_owned()]))
}
