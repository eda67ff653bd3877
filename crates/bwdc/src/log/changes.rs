//! A line for everybody and everything that an import changes. Its form is documented in docs/log.md.

use bwdc_core::changes::{Change, Subject};

/// What a line says of whom it is about.
#[derive(Default)]
struct Keys<'a> {
    email: Option<&'a str>,
    external_id: Option<&'a str>,
    name: Option<&'a str>,
    entry: Option<&'a str>,
}

pub(crate) fn changes(list: &[Change]) {
    for Change { kind, subject, reason } in list {
        let event = kind.word();
        let Keys { email, external_id, name, entry } = keys(subject);
        tracing::info!(event, email, externalId = external_id, name, entry, reason, "{event}");
    }
}

fn keys(subject: &Subject) -> Keys<'_> {
    match subject {
        Subject::Person { email, external_id, found_as } => Keys {
            email: email.as_deref(),
            external_id: Some(external_id.as_str()),
            entry: if email.is_none() { found_as.as_str() } else { None },
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
