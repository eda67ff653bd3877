//! Lines of the log: the beginning and the end of a run, and everybody and everything that an import changes. Their form is
//! documented in docs/log.md; alerts are made of them.

use std::time::Instant;

use bwdc_core::changes::{ImportChange, Subject};
use bwdc_core::entry::ExternalId;
use bwdc_core::error::{Exit, Result};
use bwdc_core::note::{Note, Severity, by_cause};
use bwdc_store::report::{self, rounded};
use bwdc_store::runs::RunCounts;
use tracing::Instrument as _;

use crate::outcome::{Report, Reportable};

/// The target of events about single entries, as many as the directory has: for files only.
pub const ENTRIES: &str = "bwdc::entries";

/// Span of a run: its lines have the instance and the id. At the highest level, so that what is logged at any has them.
pub(crate) fn span(name: &str, run: &str) -> tracing::Span {
    tracing::error_span!("run", instance = name, run)
}

/// Does the work of a run between its first and its last line.
pub(crate) async fn logged<T: Reportable>(
    name: &str,
    run: String,
    verb: &str,
    work: impl Future<Output = Result<T>>,
) -> Report<T> {
    let started = Instant::now();
    let span = span(name, &run);
    let work = async {
        tracing::info!("{verb} started");
        let result = work.await;
        let duration = rounded(started.elapsed().as_secs_f64());
        match &result {
            Ok(done) => log_success(verb, duration, done),
            Err(error) => report::log_failure(verb, duration, error),
        }
        (result, duration)
    };
    let (result, duration) = work.instrument(span).await;
    Report { name: name.to_owned(), run, duration, result }
}

/// The form of this line and the next is documented in docs/log.md; alerts are made of them.
fn log_success(verb: &str, duration: f64, done: &impl Reportable) {
    let notes = done.notes();
    log_notes(notes);
    let RunCounts { users, groups, removed, left_out } = done.facts();
    let notes = notes.len();
    if left_out == 0 {
        tracing::info!(duration, users, groups, removed, notes, "{verb} ok");
    } else {
        tracing::warn!(
            duration,
            users,
            groups,
            removed,
            notes,
            left_out,
            exit = Exit::LeftOut as u8,
            "{verb} ok"
        );
    }
}

/// A line for each cause, and for those who look for somebody one for each entry.
fn log_notes(notes: &[Note]) {
    for group in by_cause(notes) {
        match group.severity {
            Severity::Warning => tracing::warn!("{}", group.sentence()),
            Severity::Info => tracing::info!(count = group.entries.len(), "{}", group.reason),
        }
    }
    for Note { entry, reason, .. } in notes {
        tracing::debug!(target: ENTRIES, entry, "{reason}");
    }
}

/// What a line says of whom it is about.
#[derive(Default)]
struct Keys<'a> {
    email: Option<&'a str>,
    external_id: Option<&'a str>,
    name: Option<&'a str>,
    entry: Option<&'a str>,
}

/// A line for each change.
pub(crate) fn changes(list: &[ImportChange]) {
    for ImportChange { kind, subject, reason } in list {
        let event = kind.word();
        let Keys { email, external_id, name, entry } = keys(subject);
        let reason: &str = reason;
        tracing::info!(event, email, externalId = external_id, name, entry, reason, "{event}");
    }
}

fn keys(subject: &Subject) -> Keys<'_> {
    match subject {
        Subject::Person { email, external_id } => Keys {
            email: Some(email),
            external_id: external_id.as_ref().map(ExternalId::as_str),
            ..Keys::default()
        },
        Subject::Group { name, external_id } => {
            Keys { name: Some(name), external_id: Some(external_id.as_str()), ..Keys::default() }
        }
        Subject::Entry(entry) => of_entry(entry),
    }
}

/// People stand in notes as `ADDRESS (ID)`, or by either.
fn of_entry(entry: &str) -> Keys<'_> {
    let parts = entry.strip_suffix(')').and_then(|head| head.split_once(" ("));
    let (first, external_id) = parts.map_or((entry, None), |(first, id)| (first, Some(id)));
    // A DN may have an address in it.
    let is_address = first.contains('@') && !first.contains(|c: char| c.is_whitespace() || c == ',');
    Keys {
        email: Some(first).filter(|_| is_address),
        external_id: external_id.filter(|_| is_address),
        entry: Some(entry),
        ..Keys::default()
    }
}
