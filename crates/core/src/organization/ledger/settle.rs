//! Unfinished runs, and what they may have done.

use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::{Doubt, Due, Effect, GroupRecord, Journal, Ledger, Standing};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::Action;
use crate::organization::limits::{LimitName, person_key};
use crate::organization::moment::Moment;
use crate::organization::roster::{Basis, Group, Member, Roster};

impl Ledger {
    /// The ledger before anything is computed: what an unfinished run may have done is compared with what was read; where nothing can be
    /// read, it is taken for done, and everything is sent again. To be called once in every run, before [`Ledger::roster`] where the
    /// organization cannot be read; `roster` is then `None`.
    #[must_use]
    pub fn settled(mut self, roster: Option<&Roster>, now: Moment) -> Self {
        let Some(Journal { begun, steps, mut counts }) = self.journal.take() else { return self };
        match roster.filter(|roster| roster.basis == Basis::Live) {
            Some(roster) => {
                let seen = Seen::of(roster);
                let done: Vec<Vec<Effect>> = steps.iter().map(|effects| seen.done(effects)).collect();
                let twice = self.known_twice(&done);
                for (done, effects) in done.iter().zip(&steps) {
                    self.apply(done, &twice, begun);
                    self.doubt_groups(effects);
                }
            }
            None => {
                let inside = self.people.iter().filter(|(_, record)| record.standing == Standing::In);
                let before = inside.map(|(id, record)| (id.clone(), (record.email.clone(), record.doubt)));
                let before: Known = before.collect();
                self.apply_all(&steps, begun);
                let effects: Vec<Effect> = steps.iter().flat_map(|effects| effects.iter().cloned()).collect();
                let more = effects.iter().filter(|effect| matches!(effect, Effect::Counts { .. }));
                counts.extend(more.cloned());
                self.apply_all(std::slice::from_ref(&counts), now);
                self.doubt_people(&effects, &before);
                self.doubt_groups(&effects);
                self.due = Due::Everything;
            }
        }
        self.journal = Some(Journal { begun, steps: Vec::new(), counts });
        self
    }

    /// Marks people who may or may not have been imported. `before` has those who were in, and what was not known about them.
    fn doubt_people(&mut self, effects: &[Effect], before: &Known) {
        let mut renamed = Known::default();
        for effect in effects {
            let (id, doubt) = match effect {
                Effect::Renamed { from, to } => {
                    let Some((email, doubt)) = before.get(from).cloned() else { continue };
                    let doubt = doubt.unwrap_or(Doubt::Id);
                    renamed.insert(to.clone(), (email, Some(doubt)));
                    (to, Some(doubt))
                }
                Effect::In { id, email, .. } => {
                    let known =
                        renamed.get(id).or_else(|| before.get(id)).filter(|(known, _)| known == email);
                    (id, known.map_or(Some(Doubt::Membership), |(_, doubt)| *doubt))
                }
                _ => continue,
            };
            if let Some(record) = self.people.get_mut(id).filter(|record| record.standing == Standing::In) {
                record.doubt = doubt;
            }
        }
    }

    /// Marks groups that may have been sent: they are read, and no difference is anybody else's doing.
    fn doubt_groups(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Group { id, name, members } = effect else { continue };
            let record = self.groups.entry(id.clone()).or_insert_with(|| GroupRecord {
                name: name.clone(),
                members: Arc::clone(members),
                verified: None,
                unsure: false,
            });
            record.verified = None;
            record.unsure = true;
        }
    }
}

/// People who were in, by id: the address, and what was not known.
type Known = FastMap<ExternalId, (Email, Option<Doubt>)>;

/// What was read, to find out what was done.
struct Seen<'a> {
    members: FastMap<&'a ExternalId, &'a Member>,
    groups: FastMap<&'a ExternalId, &'a Group>,
    /// Keys of members who have access.
    present: FastSet<String>,
}

impl<'a> Seen<'a> {
    fn of(roster: &'a Roster) -> Self {
        let active = roster.members().filter(|member| !member.status.is_revoked());
        let key = |member: &Member| Some(person_key(member.external_id.as_ref()?, &member.email));
        Self {
            members: roster.members_by_external_id(),
            groups: roster.groups_by_external_id(),
            present: active.filter_map(key).collect(),
        }
    }

    /// Effects that show in what was read.
    fn done(&self, effects: &[Effect]) -> Vec<Effect> {
        let done = effects.iter().filter(|effect| self.has(effect)).cloned();
        done.map(|effect| only_gone(effect, &self.present)).collect()
    }

    fn has(&self, effect: &Effect) -> bool {
        match effect {
            Effect::In { action: Action::Restore, id, .. } => {
                self.is_member(id, |member| !member.status.is_revoked())
            }
            Effect::In { id, email, .. } => self.is_member(id, |member| member.email == *email),
            Effect::Out { id, email, .. } => !self.is_member(id, |member| member.email == *email),
            Effect::Grace { id, .. } => self.is_member(id, |member| member.status.is_revoked()),
            Effect::Renamed { to, .. } => self.members.contains_key(to),
            Effect::Released(id) => !self.members.contains_key(id),
            Effect::Protected { id, .. } => self.is_member(id, |member| !member.status.is_revoked()),
            Effect::GroupRenamed { to, .. } => self.groups.contains_key(to),
            Effect::NoGroup(id) => !self.groups.contains_key(id),
            // Whether it was is not known: it counts, and nobody is asked too often.
            Effect::Reinvited(_) | Effect::Counts { .. } => true,
            // See `doubt_groups`.
            Effect::Group { .. } => false,
        }
    }

    fn is_member(&self, id: &ExternalId, holds: impl Fn(&Member) -> bool) -> bool {
        self.members.get(id).is_some_and(|member| holds(member))
    }
}

/// Leaves out of a count those who are still there.
fn only_gone(effect: Effect, present: &FastSet<String>) -> Effect {
    match effect {
        Effect::Counts { limit: LimitName::Removals, keys, approved } => {
            let keys = keys.into_iter().filter(|key| !present.contains(key));
            Effect::Counts { limit: LimitName::Removals, keys: keys.collect(), approved }
        }
        other => other,
    }
}
