//! Everybody whom imports have brought, laid out.

use bwdc_sync::{KnownPeople, KnownPerson, KnownStanding};

use super::words;
use super::{Overview, Section, Tone};

const PEOPLE: &[&str] = &["Address", "External id", "Groups"];
const LEAVERS: &[&str] = &["Address", "External id", "State", "Since", "Cause"];
const GROUPS: &[&str] = &["Group", "External id", "Members"];

impl Overview {
    /// People and groups that imports have brought.
    pub(crate) fn of_people(known: &KnownPeople) -> Self {
        let KnownPeople { people, groups } = known;
        let mut overview = Self::sentence("People and groups that imports have brought");
        let fact = match people.is_empty() && groups.is_empty() {
            true => "Nobody and nothing matches.",
            false => "As of the last run. Why somebody is in or out: bwdc explain ADDRESS.",
        };
        overview.facts.push(fact.to_owned());
        let is_in = |person: &&KnownPerson| person.standing == KnownStanding::In;
        let (present, leavers): (Vec<_>, Vec<_>) = people.iter().partition(is_in);
        overview.add(Section::new("People", Tone::Good, PEOPLE).rows(present.into_iter().map(present_row)));
        overview.add(
            Section::new("Groups", Tone::Good, GROUPS).rows(
                groups.iter().map(|group| {
                    vec![group.name.clone(), group.external_id.clone(), group.members.to_string()]
                }),
            ),
        );
        overview.add(
            Section::new("People who have left, or are leaving", Tone::Caution, LEAVERS)
                .rows(leavers.into_iter().map(leaver_row)),
        );
        overview
    }
}

fn present_row(person: &KnownPerson) -> Vec<String> {
    vec![person.email.clone(), person.external_id.clone(), person.groups.join(", ")]
}

fn leaver_row(person: &KnownPerson) -> Vec<String> {
    let time = |time: &Option<String>| time.as_deref().map(words::time).unwrap_or_default();
    let state = match &person.until {
        Some(_) => format!("removed on {}", time(&person.until)),
        None => "has left".to_owned(),
    };
    let cause = person.cause.map(words::cause).unwrap_or_default().to_owned();
    vec![person.email.clone(), person.external_id.clone(), state, time(&person.since), cause]
}
