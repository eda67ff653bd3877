//! From what changes to requests, in order: leavers, then people, then groups.

mod effects;
mod groups;

use std::cell::OnceCell;
use std::sync::Arc;

use foldhash::HashSet as FastSet;
use smallvec::smallvec;

use crate::entry::{Email, ExternalId};
use crate::import::{ImportGroup, ImportMember, ImportRequest};
use crate::plan::BATCH_SIZE;
use crate::rules::{ExistingMembers, ImportSize, Newcomers};

use self::effects::{Effects, Lines, Purpose};
use super::changes::{
    Action, Basing, Cause, Changes, Hold, MemberChange, Question, Slot, SlotId, Stopped, to_be_listed,
};
use super::identity::{Wanted, left, named};
use super::ledger::{Doubt, Due, Effect, Record, Standing};
use super::ranks::Ranks;
use super::roster::{Basis, Kind, MemberId};
use super::server::Call;

/// One request, and what the ledger makes of it once it is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Request.
    pub call: Call,
    /// Effects that [`super::Ledger::acknowledged`] applies.
    pub effects: Arc<[Effect]>,
}

/// Extent of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everybody and everything.
    Everything,
    /// Only changes.
    Changes,
}

/// The requests of a run, in the order in which they are sent. None where nothing changes, or where a limit stops the run.
pub fn requests(question: &Question<'_>, changes: &Changes) -> Vec<Step> {
    if changes.stopped == Stopped::Yes {
        return Vec::new();
    }
    let writing = Writing::of(question, changes);
    let mut steps = writing.leavers();
    steps.extend(writing.calls(Purpose::Leaving));
    steps.extend(writing.calls(Purpose::Staying));
    steps.extend(writing.group_calls_before());
    match writing.extent() {
        Extent::Everything => steps.extend(writing.everything()),
        Extent::Changes => steps.extend(writing.only_changes()),
    }
    steps.extend(writing.group_calls_after());
    steps.extend(writing.reinvites());
    steps
}

/// Extent of the requests of a run.
pub fn extent(question: &Question<'_>, changes: &Changes) -> Extent {
    Writing::of(question, changes).extent()
}

struct Writing<'a> {
    question: &'a Question<'a>,
    changes: &'a Changes,
    /// Made where groups have members to be put in order.
    ranks: OnceCell<Ranks<&'a ExternalId>>,
}

impl<'a> Writing<'a> {
    fn of(question: &'a Question<'a>, changes: &'a Changes) -> Self {
        Self { question, changes, ranks: OnceCell::new() }
    }
}

impl Writing<'_> {
    fn free(&self) -> impl Iterator<Item = (&MemberChange, &Slot)> {
        let free = self.changes.members.iter().filter(|change| change.hold == Hold::Free);
        free.filter_map(|change| Some((change, self.changes.slot(change.slot)?)))
    }

    fn is_vaultwarden(&self) -> bool {
        self.changes.kind == Kind::Vaultwarden
    }

    fn extent(&self) -> Extent {
        let is_overwritten = self.question.settings.existing == ExistingMembers::Overwrite
            && (self.free().next().is_some()
                || self.changes.groups.iter().any(|group| group.hold == Hold::Free));
        match (self.changes.basing, self.question.ledger.due) {
            (Basing::Record, _) => Extent::Changes,
            (Basing::Directory, Due::Everything) => Extent::Everything,
            (Basing::Directory, Due::Changes) if is_overwritten => Extent::Everything,
            (Basing::Directory, Due::Changes) => Extent::Changes,
        }
    }

    /// Leavers in requests of their own: their seats and ids are free for those who come.
    fn leavers(&self) -> Vec<Step> {
        let mut lines = Lines::default();
        for (change, slot) in self.free() {
            let is_sent = match (change.action, change.cause) {
                (_, Cause::Overwrite) => false,
                (Action::Remove, _) => true,
                (Action::Revoke, _) => self.is_vaultwarden(),
                _ => false,
            };
            if is_sent && let Some(id) = self.leaves_as(slot) {
                lines.add(member(&slot.email, id, Fate::Leaves), self.effect(change, slot));
            }
        }
        self.free_ids(&mut lines);
        lines.sorted().into_steps(|members| self.request(Vec::new(), members))
    }

    /// The external id by which a leaver is sent: on Vaultwarden it is the one that the member has afterwards.
    fn leaves_as<'a>(&self, slot: &'a Slot) -> Option<&'a ExternalId> {
        if self.is_vaultwarden() { slot.after.as_ref() } else { slot.before.as_ref() }
    }

    /// On Vaultwarden, whoever has left and has an id that somebody else is about to get is given another one.
    fn free_ids(&self, lines: &mut Lines) {
        if !self.is_vaultwarden() {
            return;
        }
        let coming = self.free().filter(|(change, slot)| change.action.is_new() || slot.before != slot.after);
        let coming = coming.filter(|(change, _)| !change.action.is_leaving());
        let coming: FastSet<&ExternalId> = coming.filter_map(|(_, slot)| slot.after.as_ref()).collect();
        if coming.is_empty() {
            return;
        }
        let renamed = self.changes.slots.iter().filter(|slot| slot.before != slot.after);
        let renamed: FastSet<&MemberId> = renamed.filter_map(|slot| slot.member.as_ref()).collect();
        for member in self.question.roster.members().filter(|member| member.status.is_revoked()) {
            let Some(id) = member.external_id.as_ref().filter(|id| coming.contains(id)) else { continue };
            if !renamed.contains(&member.id) {
                let other = left(member);
                let renamed = Effect::Renamed { from: id.clone(), to: other.clone() };
                lines.add(self::member(&member.email, &other, Fate::Leaves), smallvec![renamed]);
            }
        }
    }

    /// Single calls for those who leave or stay, where the server has them.
    fn calls(&self, purpose: Purpose) -> Vec<Step> {
        if self.is_vaultwarden() {
            return Vec::new();
        }
        let mut steps = Vec::new();
        for (change, slot) in self.free() {
            let Some(id) = slot.member.clone() else { continue };
            let call = match (purpose, change.action) {
                (Purpose::Leaving, Action::Revoke) => Call::Revoke(id),
                (Purpose::Staying, Action::Restore) => Call::Restore(id),
                (Purpose::Staying, Action::Relink) => {
                    Call::Relink { member: id, external_id: slot.after.clone() }
                }
                _ => continue,
            };
            steps.push(Step { call, effects: self.effect(change, slot).into_vec().into() });
        }
        steps
    }

    /// People who come and groups that change.
    fn only_changes(&self) -> Vec<Step> {
        let (mut people, mut staged) = (Lines::default(), Lines::default());
        for (change, slot) in self.free().filter(|(change, _)| self.is_imported(change)) {
            let Some(id) = &slot.after else { continue };
            // In an undo one person is invited again and another staged again.
            let is_apart = self.changes.basing == Basing::Record && change.action == Action::Stage;
            let lines = if is_apart { &mut staged } else { &mut people };
            lines.add(member(&slot.email, id, Fate::Stays), self.effect(change, slot));
        }
        let stage = |members| ImportRequest {
            invite_users_after_provisioning: false,
            ..self.request(Vec::new(), members)
        };
        let mut steps = staged.sorted().into_steps(stage);
        steps.extend(self.joined(people.sorted(), self.changed_groups()));
        steps
    }

    fn is_imported(&self, change: &MemberChange) -> bool {
        match change.action {
            Action::Invite | Action::Stage | Action::Adopt => true,
            Action::Relink | Action::Restore => self.is_vaultwarden(),
            Action::Revoke | Action::Remove | Action::Wait => false,
        }
    }

    /// People before groups, each at most 2,000 in a request, and [`MOST_GROUP_TEXT`]; in one request if they fit.
    fn joined(&self, people: Lines, groups: Vec<(ImportGroup, Vec<Effect>)>) -> Vec<Step> {
        let mut of_groups = in_batches(groups);
        if people.len() <= BATCH_SIZE && of_groups.len() <= 1 {
            let groups = of_groups.pop().unwrap_or_default();
            if people.len() + groups.len() == 0 {
                return Vec::new();
            }
            let (members, effects) = people.into_parts();
            return vec![self.import(groups, members, effects)];
        }
        let mut steps = people.into_steps(|members| self.request(Vec::new(), members));
        steps.extend(of_groups.into_iter().map(|groups| self.import(groups, Vec::new(), Vec::new())));
        steps
    }

    /// An import, and the effects of it: those of its people, then those of its groups.
    fn import(
        &self,
        groups: Vec<(ImportGroup, Vec<Effect>)>,
        members: Vec<ImportMember>,
        mut effects: Vec<Effect>,
    ) -> Step {
        let (groups, of_groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        effects.extend(of_groups.into_iter().flatten());
        Step { call: Call::Import(self.request(groups, members)), effects: effects.into() }
    }

    /// Everybody who stays or comes, and all groups. Where nothing can be read, everybody who has left, too.
    fn everything(&self) -> Vec<Step> {
        let mut people = self.everybody();
        self.doubtful(&mut people);
        self.protected(&mut people);
        self.departed(&mut people);
        let people = people.sorted();
        let groups = self.all_groups();
        let Question { settings, .. } = self.question;
        let entries = people.len() + groups.len();
        if entries == 0 && settings.existing == ExistingMembers::Keep {
            return Vec::new();
        }
        let is_split = settings.size == ImportSize::Batches
            && entries > BATCH_SIZE
            && settings.existing == ExistingMembers::Keep;
        let mut steps = if is_split {
            self.joined(people, groups)
        } else {
            let (members, effects) = people.into_parts();
            vec![self.import(groups, members, effects)]
        };
        for step in &mut steps {
            if let Call::Import(request) = &mut step.call {
                request.large_import = is_split;
                request.overwrite_existing = settings.existing == ExistingMembers::Overwrite;
            }
        }
        if let Some(last) = steps.last_mut() {
            let overwritten = self.free().filter(|(change, _)| change.cause == Cause::Overwrite);
            let more = overwritten.flat_map(|(change, slot)| self.effect(change, slot));
            let more: Vec<Effect> = more.collect();
            if !more.is_empty() {
                last.effects = last.effects.iter().cloned().chain(more).collect();
            }
        }
        steps
    }

    fn everybody(&self) -> Lines {
        // In the order of slots, as everybody comes.
        let mut changed: Vec<&MemberChange> = self.changes.members.iter().collect();
        changed.sort_by_key(|change| change.slot);
        let mut changed = &changed[..];
        let imported = self.changes.human_slots.iter().zip(&self.changes.identities.humans);
        let imported = imported.filter(|(_, human)| human.wanted == Wanted::Imported);
        let mut slots: Vec<SlotId> = imported.filter_map(|(slot, _)| *slot).collect();
        if self.question.settings.existing == ExistingMembers::Overwrite {
            slots.extend(&self.changes.listed);
        }
        slots.sort_unstable();
        slots.dedup();
        let mut lines = Lines::with_capacity(slots.len());
        for at in slots {
            let Some(slot) = self.changes.slot(at) else { continue };
            changed = &changed[changed.iter().take_while(|change| change.slot < at).count()..];
            let changes = &changed[..changed.iter().take_while(|change| change.slot == at).count()];
            let is_out = changes.iter().any(|change| {
                change.action.is_leaving() || (change.action.is_new() && change.hold != Hold::Free)
            });
            let Some(id) = slot.after.as_ref().filter(|_| !is_out) else { continue };
            let own = changes.iter().filter(|change| change.hold == Hold::Free && self.is_imported(change));
            lines.add(
                member(&slot.email, id, Fate::Stays),
                own.flat_map(|change| self.effect(change, slot)).collect(),
            );
        }
        lines
    }

    /// Members whom no import carries, and who have one of two external ids: from now on it is the one that groups name them by.
    fn doubtful(&self, lines: &mut Lines) {
        let is_doubtful =
            |record: &Record| record.doubt == Some(Doubt::Id) && record.standing == Standing::In;
        let mut doubtful = self.question.ledger.people().filter(|(_, record)| is_doubtful(record)).peekable();
        if doubtful.peek().is_none() {
            return;
        }
        let (listed, addresses) = lines.ids_and_addresses();
        let leaving = self.changes.members.iter().filter(|change| change.action.is_leaving());
        let leaving: FastSet<&ExternalId> =
            leaving.filter_map(|change| self.changes.slot(change.slot)?.before.as_ref()).collect();
        for (id, record) in doubtful {
            let is_listed = listed.contains(id) || addresses.contains(&record.email);
            if !is_listed && !leaving.contains(id) {
                let line = member(&record.email, id, Fate::Stays);
                let (id, email, directory_id) = (id.clone(), record.email.clone(), id.clone());
                lines.add(line, smallvec![Effect::In { action: Action::Relink, id, email, directory_id }]);
            }
        }
    }

    /// Those whom an import that replaces everybody would remove, and whom nothing but `sync.protect` names. The ledger does not know them
    /// afterwards either: they are nobody of the directory.
    fn protected(&self, lines: &mut Lines) {
        let protected = to_be_listed(self.question);
        if protected.is_empty() {
            return;
        }
        let (_, addresses) = lines.ids_and_addresses();
        for email in protected.into_iter().filter(|email| !addresses.contains(email)) {
            lines.add(member(&email, &named(&email), Fate::Stays), Effects::new());
        }
    }

    /// Those of whom only the ledger says that they have left, and tombstones that nobody knows: a server that cannot be read may have
    /// them, and no other takes notice.
    fn departed(&self, lines: &mut Lines) {
        let people = || self.question.ledger.people();
        let left = || people().filter(|(_, record)| !matches!(record.standing, Standing::In));
        let tombstones = || self.question.directory.people.iter().filter(|entry| !entry.state.is_living());
        if tombstones().next().is_none() && left().next().is_none() {
            return;
        }
        let (listed_ids, listed_emails) = lines.ids_and_addresses();
        let is_listed = |id: &ExternalId, email: Option<&Email>| {
            listed_ids.contains(id) || email.is_some_and(|email| listed_emails.contains(email))
        };
        let mut departed: Vec<ImportMember> = Vec::new();
        if self.changes.basis == Basis::Ledger {
            for (id, record) in left() {
                if !is_listed(id, Some(&record.email)) {
                    departed.push(member(&record.email, id, Fate::Leaves));
                }
            }
        }
        let (known_ids, known_emails) = self.known();
        for entry in tombstones() {
            let is_known = known_ids.contains(&entry.id)
                || entry.email.as_ref().is_some_and(|email| known_emails.contains(email))
                || self.changes.identities.by_id.contains_key(&entry.id);
            let can_be_sent = entry.email.is_some() || !self.is_vaultwarden();
            if !is_known && can_be_sent && !is_listed(&entry.id, entry.email.as_ref()) {
                let (email, external_id) = (entry.email.clone(), entry.id.clone());
                departed.push(ImportMember { email, external_id, deleted: true });
            }
        }
        departed.sort_by(|a, b| a.external_id.cmp(&b.external_id));
        departed.dedup_by(|a, b| a.external_id == b.external_id);
        departed.into_iter().for_each(|entry| lines.add(entry, Effects::new()));
    }

    /// Ids and addresses of everybody whom the ledger or the organization knows.
    fn known(&self) -> (FastSet<&ExternalId>, FastSet<&Email>) {
        let Question { ledger, roster, .. } = self.question;
        let emails = ledger.people().map(|(_, record)| &record.email);
        (
            ledger.ids().chain(roster.members().filter_map(|member| member.external_id.as_ref())).collect(),
            emails.chain(roster.members().map(|member| &member.email)).collect(),
        )
    }

    fn request(&self, groups: Vec<ImportGroup>, members: Vec<ImportMember>) -> ImportRequest {
        ImportRequest {
            groups,
            members,
            overwrite_existing: false,
            large_import: false,
            invite_users_after_provisioning: self.question.settings.newcomers == Newcomers::Invite,
        }
    }
}

/// Octets of ids and names of groups in one request, unless one group has more. Vaultwarden takes 20 MB of JSON (`src/main.rs`), ASP.NET's
/// server 30,000,000 octets by default (`KestrelServerLimits.MaxRequestBodySize`), proxies in front of them often less; and a request is in
/// memory as a whole.
const MOST_GROUP_TEXT: usize = 4_000_000;

/// Groups of one request each: at most 2,000, and [`MOST_GROUP_TEXT`].
fn in_batches(groups: Vec<(ImportGroup, Vec<Effect>)>) -> Vec<Vec<(ImportGroup, Vec<Effect>)>> {
    let mut batches: Vec<Vec<_>> = Vec::new();
    let mut text = 0;
    for (group, effects) in groups {
        let length = text_of(&group);
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_SIZE && text + length <= MOST_GROUP_TEXT => {
                text += length;
                batch.push((group, effects));
            }
            _ => {
                text = length;
                batches.push(vec![(group, effects)]);
            }
        }
    }
    batches
}

fn text_of(ImportGroup { name, external_id, member_external_ids }: &ImportGroup) -> usize {
    let members: usize = member_external_ids.iter().map(|id| id.as_str().len()).sum();
    name.len() + external_id.as_str().len() + members
}

/// Whether an entry stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Leaves,
}

fn member(email: &Email, id: &ExternalId, fate: Fate) -> ImportMember {
    ImportMember { email: Some(email.clone()), external_id: id.clone(), deleted: fate == Fate::Leaves }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: &str, length: usize) -> (ImportGroup, Vec<Effect>) {
        let members = [ExternalId::from("m".repeat(length))].into();
        let group = ImportGroup { name: String::new(), external_id: id.into(), member_external_ids: members };
        (group, Vec::new())
    }

    #[test]
    fn a_request_has_no_more_of_groups_than_servers_take() {
        let sizes = |groups| in_batches(groups).iter().map(Vec::len).collect::<Vec<_>>();
        assert!(in_batches(Vec::new()).is_empty());
        let half = MOST_GROUP_TEXT / 2;
        let groups = vec![
            group("a", half - 1),
            group("b", half - 1),
            group("c", 1),
            group("d", 2 * half),
            group("e", 0),
        ];
        assert_eq!(sizes(groups), [2, 1, 1, 1]);
        assert_eq!(sizes((0..BATCH_SIZE + 1).map(|_| group("", 0)).collect()), [BATCH_SIZE, 1]);
    }
}
