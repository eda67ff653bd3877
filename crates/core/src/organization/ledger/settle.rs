//! Unfinished runs, and what they may have done.

use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::{Doubt, Due, Effect, GroupRecord, Journal, Ledger, Standing};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::Action;
use crate::organization::limits::{LimitName, person_key};
use crate::organization::moment::Moment;
use crate::organization::roster::{Basis, Member, Roster};

impl Ledger {
    /// The ledger before anything is computed: what an unfinished run may have done is compared with what was read; where nothing can be
    /// read, it is taken for done, and everything is sent again. To be called once in every run, before [`Ledger::roster`] where the
    /// organization cannot be read; `roster` is then `None`.
    #[must_use]
    pub fn settled(mut self, roster: Option<&Roster>, now: Moment) -> Self {
        let Some(Journal { begun, steps, mut counts }) = self.journal.take() else { return self };
        match roster.filter(|roster| roster.basis == Basis::Live) {
            Some(roster) => {
                for effects in &steps {
                    self.apply(&done(effects, roster), begun);
                    self.doubt_groups(effects);
                }
            }
            None => {
                let inside = self.people.iter().filter(|(_, record)| record.standing == Standing::In);
                let before = inside.map(|(id, record)| (id.clone(), (record.email.clone(), record.doubt)));
                let before: Known = before.collect();
                steps.iter().for_each(|effects| self.apply(effects, begun));
                let effects: Vec<Effect> = steps.into_iter().flatten().collect();
                let more = effects.iter().filter(|effect| matches!(effect, Effect::Counts { .. }));
                counts.extend(more.cloned());
                self.apply(&counts, now);
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

/// Effects that show in what was read.
fn done(effects: &[Effect], roster: &Roster) -> Vec<Effect> {
    let members = roster.members_by_external_id();
    let groups = roster.groups_by_external_id();
    let is_done = |effect: &Effect| match effect {
        Effect::In { action: Action::Restore, id, .. } => {
            is_same(&members, id, |member| !member.status.is_revoked())
        }
        Effect::In { id, email, .. } => is_same(&members, id, |member| member.email == *email),
        Effect::Out { id, email, .. } => !is_same(&members, id, |member| member.email == *email),
        Effect::Grace { id, .. } => is_same(&members, id, |member| member.status.is_revoked()),
        Effect::Renamed { to, .. } => members.contains_key(to),
        Effect::Released(id) => !members.contains_key(id),
        Effect::Protected { id, .. } => is_same(&members, id, |member| !member.status.is_revoked()),
        Effect::GroupRenamed { to, .. } => groups.contains_key(to),
        Effect::NoGroup(id) => !groups.contains_key(id),
        // Whether it was is not known: it counts, and nobody is asked too often.
        Effect::Reinvited(_) | Effect::Counts { .. } => true,
        // See `doubt_groups`.
        Effect::Group { .. } => false,
    };
    let done = effects.iter().filter(|effect| is_done(effect)).cloned();
    let active = roster.members().filter(|member| !member.status.is_revoked());
    let present = active.filter_map(|member| Some(person_key(member.external_id.as_ref()?, &member.email)));
    let present: FastSet<String> = present.collect();
    done.map(|effect| only_gone(effect, &present)).collect()
}

fn is_same(
    members: &FastMap<&ExternalId, &Member>,
    id: &ExternalId,
    holds: impl Fn(&Member) -> bool,
) -> bool {
    members.get(id).is_some_and(|member| holds(member))
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
