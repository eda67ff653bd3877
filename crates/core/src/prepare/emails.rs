//! Addresses: nobody joins without one; somebody who leaves may have lost it.

use super::validate::too_long;
use super::{Draft, Fate, Person, reasons};
use crate::entry::Email;
use crate::note::{Note, Step};
use crate::text::control_character;

/// Length of the longest address that the server accepts, in UTF-16 code units as it counts them.
const LONGEST_EMAIL: usize = 256;

/// Drops addresses of leavers that the server would not accept; it would refuse the whole import.
pub(super) fn drop_unusable(mut draft: Draft) -> Draft {
    for person in draft.people.iter_mut().filter(|person| person.fate == Fate::Leaves) {
        person.email = person.email.take().filter(is_usable);
    }
    draft
}

/// Leaves out people who stay and have no usable address.
pub(super) fn require(mut draft: Draft) -> Draft {
    let mut people = Vec::with_capacity(draft.people.len());
    for person in draft.people {
        match person.fate {
            Fate::Leaves => people.push(person),
            Fate::Stays => match reason_to_drop(&person) {
                Some(reason) => draft.notes.push(Note::info(Step::Email, person.label(), reason)),
                None => people.push(person),
            },
        }
    }
    Draft { people, ..draft }
}

fn reason_to_drop(person: &Person) -> Option<&'static str> {
    match &person.email {
        None => Some(reasons::NO_ADDRESS),
        Some(email) if is_too_long(email) => Some(reasons::LONG_ADDRESS),
        Some(_) => None,
    }
}

fn is_too_long(email: &Email) -> bool {
    too_long(email.as_str(), LONGEST_EMAIL).is_some()
}

pub(super) fn is_usable(email: &Email) -> bool {
    why_unusable(email).is_none()
}

/// Reason why nobody can be imported with an address.
pub(super) fn why_unusable(email: &Email) -> Option<String> {
    if is_too_long(email) { Some(reasons::LONG_ADDRESS.to_owned()) } else { problem(email) }
}

/// Reason why an address cannot be imported: the server's rule (.NET's `EmailAddressAttribute`: exactly one `@`, neither first nor
/// last), or control characters.
pub(super) fn problem(email: &Email) -> Option<String> {
    if let Some(problem) = control_character("the e-mail address", email.as_str()) {
        return Some(problem);
    }
    let text = email.as_str();
    let is_accepted = text.matches('@').count() == 1 && !text.starts_with('@') && !text.ends_with('@');
    (!is_accepted).then(|| {
        format!("`{email}` is not an e-mail address that the server accepts (one @, neither first nor last)")
    })
}
