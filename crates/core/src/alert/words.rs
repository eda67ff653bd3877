//! Texts of alerts.

use super::expiring::Credential;
use super::{Alert, Event, Iso, Outcome, Privacy, Said, Sender, VERSION, Week};
use crate::organization::{Moment, Span};
use crate::text::escaped_lines;

/// At most so many people are named.
const NAMED: usize = 50;
/// Length of a text beyond which it is cut: what chat systems take.
const LONGEST: usize = 2_500;

fn waiting_words(waiting: Option<usize>) -> String {
    waiting.map_or_else(String::new, |waiting| format!(", {waiting} in their grace"))
}

impl Sender<'_> {
    fn alert(&self, event: Event, id: &str, title: String, text: String) -> Alert {
        Alert {
            object: "alert".to_owned(),
            version: VERSION,
            id: format!("{id}-{event}"),
            event,
            severity: event.severity(),
            instance: self.instance.to_owned(),
            host: self.host.to_owned(),
            at: Iso(self.now),
            title,
            text: crate::text::cut(escaped_lines(&text), LONGEST),
            next_step: None,
            run: None,
            since: None,
            failures: None,
            ended: Vec::new(),
            credential: None,
            left: None,
            invitations: None,
            people: Vec::new(),
            week: None,
        }
    }

    fn about(&self, outcome: &Outcome, event: Event, title: String, text: String) -> Alert {
        Alert { run: Some(outcome.run.clone()), ..self.alert(event, &outcome.run.id, title, text) }
    }

    /// What a run said: a text that may name people.
    fn said<'a>(&self, said: &'a Said, instead: &'a str) -> &'a str {
        match self.privacy {
            Privacy::Named => &said.message,
            Privacy::Redacted => instead,
        }
    }

    fn next_step(&self, said: &Said, usual: &str) -> String {
        let own = said.next_step.as_deref().filter(|_| self.privacy == Privacy::Named);
        escaped_lines(own.unwrap_or(usual))
    }

    pub(super) fn failed(&self, outcome: &Outcome, said: &Said, since: Moment, failures: u32) -> Alert {
        let Self { instance, host, .. } = self;
        let why = self.said(said, "What it said is in the log of the machine.");
        let how_many = match failures {
            0 | 1 => format!("The sync of {instance} on {host} failed."),
            _ => format!("The last {failures} syncs of {instance} on {host} failed."),
        };
        Alert {
            next_step: Some(self.next_step(said, "See `bwdc log --errors` and `bwdc doctor`.")),
            since: Some(Iso(since)),
            failures: Some(failures),
            ..self.about(
                outcome,
                Event::Failed,
                format!("Sync of {instance} fails"),
                format!("{how_many}\n{why}"),
            )
        }
    }

    pub(super) fn recovered(
        &self,
        outcome: &Outcome,
        since: Moment,
        ended: Vec<Event>,
        failures: u32,
    ) -> Alert {
        let Self { instance, host, .. } = self;
        let what = match ended.first() {
            Some(Event::Held) => "Changes had been held back",
            Some(Event::Missed) => "None had succeeded",
            _ => "It had failed",
        };
        Alert {
            since: Some(Iso(since)),
            failures: Some(failures).filter(|failures| *failures > 0),
            ended,
            ..self.about(
                outcome,
                Event::Recovered,
                format!("Sync of {instance} works again"),
                format!("The sync of {instance} on {host} succeeded. {what} since {since}."),
            )
        }
    }

    pub(super) fn held(&self, outcome: &Outcome, said: &Said) -> Alert {
        let Self { instance, host, .. } = self;
        let why = self.said(said, "`bwdc pending` lists what is held.");
        let usual =
            "The whole list: bwdc pending. If the directory is right, let it through once: bwdc approve.";
        Alert {
            next_step: Some(self.next_step(said, usual)),
            since: Some(outcome.run.at),
            ..self.about(
                outcome,
                Event::Held,
                format!("Sync of {instance} held changes back"),
                format!("A safety check held back changes in the sync of {instance} on {host}.\n{why}"),
            )
        }
    }

    pub(super) fn missed(&self, since: Moment, last_success: Option<Moment>) -> Alert {
        let Self { instance, host, .. } = self;
        let known = match last_success {
            Some(at) => format!("The last success was on {at}."),
            None => format!("None has succeeded since the first one on {since}."),
        };
        let text = format!(
            "No sync of {instance} on {host} has succeeded for three intervals of its schedule. {known}"
        );
        Alert {
            next_step: Some(
                "Check whether its scheduler runs it: `bwdc schedule list`, `bwdc status` and `bwdc log`."
                    .to_owned(),
            ),
            since: Some(Iso(since)),
            ..self.alert(
                Event::Missed,
                &format!("{instance}-{}", since.0),
                format!("No successful sync of {instance}"),
                text,
            )
        }
    }

    pub(super) fn expiring(&self, credential: &Credential) -> Alert {
        let Self { instance, host, now, .. } = self;
        let Credential { name, ends } = credential;
        let days = ends.0.since(*now).0.div_ceil(Span::DAY.0);
        let (title, verb) = match days {
            0 => ("has expired".to_owned(), "ended"),
            1 => ("expires within a day".to_owned(), "ends"),
            _ => (format!("expires in {days} days"), "ends"),
        };
        Alert {
            next_step: Some("Renew it before then: syncs fail afterwards.".to_owned()).filter(|_| days > 0),
            credential: Some(credential.clone()),
            ..self.alert(
                Event::Expiring,
                &format!("{instance}-{}-{days}-{}", ends.0.0, crate::text::digest([name])),
                format!("{instance}: the {name} {title}"),
                format!("The {name}, which the sync of {instance} on {host} needs, {verb} on {}.", ends.0),
            )
        }
    }

    /// Addresses that may be told, and the lines of a text with them.
    fn named<'a>(&self, emails: impl ExactSizeIterator<Item = &'a String>) -> (Vec<String>, String) {
        let count = emails.len();
        let people: Vec<String> = match self.privacy {
            Privacy::Named => emails.take(NAMED).map(|email| crate::text::escaped(email)).collect(),
            Privacy::Redacted => Vec::new(),
        };
        let mut text: String = people.iter().map(|email| format!("\n{email}")).collect();
        if count > people.len() && !people.is_empty() {
            text.push_str(&format!("\nand {} more", count - people.len()));
        }
        (people, text)
    }

    pub(super) fn invitations(&self, ending: &[&(String, Moment)], last: Moment) -> Alert {
        let Self { instance, .. } = self;
        let count = ending.len();
        let (people, lines) = self.named(ending.iter().map(|(email, _)| email));
        let (noun, end, have) =
            if count == 1 { ("invitation", "ends", "has") } else { ("invitations", "end", "have") };
        Alert {
            invitations: Some(count),
            people,
            next_step: Some("Ask them to accept. To send invitations again by themselves: `bwdc config sync.reinvite 7d`.".to_owned()),
            ..self.alert(
                Event::Expiring,
                &format!("{instance}-invitations-{}", last.0),
                format!("{instance}: {count} {noun} {end} without an answer"),
                format!("{count} {noun} {end} within a day, or {have} ended, without an answer.{lines}"),
            )
        }
    }

    pub(super) fn leavers(&self, outcome: &Outcome) -> Alert {
        let Self { instance, .. } = self;
        let left = outcome.leavers.len();
        let noun = if left == 1 { "person" } else { "people" };
        let (people, lines) = self.named(outcome.leavers.iter());
        let text = format!("{left} {noun} left the organization by the sync of {instance}.{lines}");
        Alert {
            left: Some(left),
            people,
            next_step: Some(format!("To bring them back: bwdc undo {}", outcome.run.id)),
            ..self.about(outcome, Event::Leavers, format!("{left} {noun} left {instance}"), text)
        }
    }

    pub(super) fn weekly(&self, week: Week) -> Alert {
        let Self { instance, host, now, .. } = self;
        let Week { runs, failed, joined, left, waiting, held, expiring } = &week;
        let mut lines = vec![
            format!("The last seven days of {instance} on {host}:"),
            format!("{joined} joined, {left} left, {held} held back{}.", waiting_words(*waiting)),
            format!("{runs} runs changed something, were held or failed; {failed} of them failed."),
        ];
        let ends =
            |credential: &Credential| format!("The {} ends on {}.", credential.name, credential.ends.0);
        lines.extend(expiring.iter().map(ends));
        let (title, text) = (format!("Week of {instance}: {joined} joined, {left} left"), lines.join("\n"));
        Alert {
            week: Some(week),
            ..self.alert(Event::Weekly, &format!("{instance}-{}", super::week::number(*now)), title, text)
        }
    }

    /// An alert to try a channel with.
    pub fn trial(&self, id: &str) -> Alert {
        let Self { instance, host, .. } = self;
        let text = format!("This is a test from {host}: alerts about {instance} arrive here.");
        self.alert(Event::Test, id, format!("Test alert of bwdc for {instance}"), text)
    }
}
