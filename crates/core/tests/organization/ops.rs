//! What people do to a directory, to an organization and to settings.

use bwdc_core::organization::roster::{Account, Group, Held, Kind, Member, MemberId, Role, Status};
use bwdc_core::organization::settings::{Absent, Relink, VanishedGroups};
use bwdc_core::organization::{Span, server};
use bwdc_core::rules::{DisabledUsers, Newcomers};
use proptest::prelude::*;

use crate::made::email;
use crate::world::{Account_, DirectoryGroup, Fault, Life, Soul, World};

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Hire(Soul),
    Vanish(Soul),
    Delete(Soul),
    Disable(Soul),
    Enable(Soul),
    NewId(Soul),
    NewAddress(Soul),
    NoAddress(Soul),
    UsedId(Soul, Soul),
    Swap(Soul, Soul),
    Exclude(Soul),
    Include(Soul),
    MakeGroup(u8),
    DropGroup(u8),
    RenameGroup(u8),
    NewGroupId(u8),
    Join(u8, Soul),
    Quit(u8, Soul),
    Confirm(Soul),
    Own(Soul),
    HandRemove(Soul),
    HandRevoke(Soul),
    HandRestore(Soul),
    HandInvite(Soul),
    HandJoin(u8, Soul),
    HandQuit(u8, Soul),
    HandRename(u8),
    HandDropGroup(u8),
    Absent(Absent),
    Disabled(DisabledUsers),
    Grace(u64),
    Relink(Relink),
    Vanished(VanishedGroups),
    Newcomers(Newcomers),
    ClearCache,
    Pass(u64),
    Sync(Fault),
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let soul = || 0..6_u8;
    let group = || 0..3_u8;
    let fault = prop_oneof![
        3 => Just(Fault::None),
        2 => (0..4_usize).prop_map(Fault::Lost),
        2 => (0..4_usize).prop_map(Fault::Unheard),
    ];
    let directory = prop_oneof![
        6 => soul().prop_map(Op::Hire),
        1 => soul().prop_map(Op::Vanish),
        1 => soul().prop_map(Op::Delete),
        1 => soul().prop_map(Op::Disable),
        1 => soul().prop_map(Op::Enable),
        2 => soul().prop_map(Op::NewId),
        2 => soul().prop_map(Op::NewAddress),
        1 => soul().prop_map(Op::NoAddress),
        1 => (soul(), soul()).prop_map(|(a, b)| Op::UsedId(a, b)),
        1 => (soul(), soul()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => soul().prop_map(Op::Exclude),
        1 => soul().prop_map(Op::Include),
        3 => group().prop_map(Op::MakeGroup),
        1 => group().prop_map(Op::DropGroup),
        1 => group().prop_map(Op::RenameGroup),
        1 => group().prop_map(Op::NewGroupId),
        5 => (group(), soul()).prop_map(|(g, s)| Op::Join(g, s)),
        2 => (group(), soul()).prop_map(|(g, s)| Op::Quit(g, s)),
    ];
    let by_hand = prop_oneof![
        2 => soul().prop_map(Op::Confirm),
        1 => soul().prop_map(Op::Own),
        1 => soul().prop_map(Op::HandRemove),
        1 => soul().prop_map(Op::HandRevoke),
        1 => soul().prop_map(Op::HandRestore),
        1 => soul().prop_map(Op::HandInvite),
        1 => (group(), soul()).prop_map(|(g, s)| Op::HandJoin(g, s)),
        1 => (group(), soul()).prop_map(|(g, s)| Op::HandQuit(g, s)),
        1 => group().prop_map(Op::HandRename),
        1 => group().prop_map(Op::HandDropGroup),
    ];
    let settings = prop_oneof![
        prop_oneof![Just(Absent::Keep), Just(Absent::Missing)].prop_map(Op::Absent),
        prop_oneof![Just(DisabledUsers::Keep), Just(DisabledUsers::Remove)].prop_map(Op::Disabled),
        (0..3_u64).prop_map(Op::Grace),
        prop_oneof![Just(Relink::Off), Just(Relink::Address)].prop_map(Op::Relink),
        prop_oneof![Just(VanishedGroups::Keep), Just(VanishedGroups::Empty), Just(VanishedGroups::Delete)]
            .prop_map(Op::Vanished),
        prop_oneof![Just(Newcomers::Stage), Just(Newcomers::Invite)].prop_map(Op::Newcomers),
        Just(Op::ClearCache),
    ];
    prop_oneof![
        8 => directory,
        3 => by_hand,
        1 => settings,
        1 => (1..60_u64).prop_map(Op::Pass),
        4 => fault.prop_map(Op::Sync),
    ]
}

impl World {
    pub(crate) fn play(&mut self, op: &Op) {
        self.trace.push(format!("{op:?}"));
        match op {
            Op::Absent(absent) => self.settings.absent = *absent,
            Op::Disabled(disabled) => self.settings.disabled = *disabled,
            Op::Grace(days) => self.settings.grace = Span::days(*days),
            Op::Relink(relink) => self.settings.relink = *relink,
            Op::Vanished(vanished) => self.settings.vanished_groups = *vanished,
            Op::Newcomers(newcomers) => self.settings.newcomers = *newcomers,
            Op::ClearCache => self.ledger = self.ledger.clone().cleared(),
            Op::Pass(hours) => self.pass(Span(hours * 3600)),
            Op::Sync(fault) => {
                if self.sync(*fault).is_some() {
                    self.remember();
                }
                self.pass(Span(60));
            }
            op if self.server.kind == Kind::Official => {
                self.by_hand(op);
                self.edit(op);
            }
            // Nobody can see what is done by hand on a server that cannot be read.
            Op::Confirm(_) => self.by_hand(op),
            op => self.edit(op),
        }
    }

    pub(crate) fn remember(&mut self) {
        self.moved.clear();
        let found: Vec<_> = self.accounts.keys().map(|soul| (*soul, self.member(*soul).cloned())).collect();
        for (soul, member) in found {
            match member.filter(|member| member.external_id.is_some()) {
                Some(member) => drop(self.memory.insert(soul, member.id)),
                None => drop(self.memory.remove(&soul)),
            }
        }
    }

    fn edit(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Hire(soul) => self.hire(soul),
            Op::Vanish(soul) => drop(self.accounts.remove(&soul)),
            Op::Delete(soul) => self.live(soul, Life::Tombstone),
            Op::Disable(soul) => self.live(soul, Life::Disabled),
            Op::Enable(soul) => self.live(soul, Life::Active),
            Op::NewId(soul) if self.is_known_by_address(soul) && self.may_move(soul) => {
                let id = self.fresh("id", soul);
                let account = self.accounts.get_mut(&soul).unwrap();
                (account.id, account.created) = (id, now);
            }
            Op::NewAddress(soul) if self.may_move(soul) => {
                let email = format!("{}@x.org", self.fresh("a", soul));
                self.owners.insert(email.clone(), soul);
                self.accounts.get_mut(&soul).unwrap().email = Some(email);
            }
            Op::NoAddress(soul) if self.may_move(soul) => self.accounts.get_mut(&soul).unwrap().email = None,
            Op::UsedId(soul, dead) => self.use_id(soul, dead),
            Op::Swap(a, b) => self.swap(a, b),
            Op::Exclude(soul) => self.excluded.extend([soul]),
            Op::Include(soul) => self.excluded.retain(|other| *other != soul),
            Op::MakeGroup(group) => {
                let id = self.fresh("g", group);
                let new = DirectoryGroup { name: format!("Group {group}"), id, souls: Default::default() };
                self.groups.entry(group).or_insert(new);
            }
            Op::DropGroup(group) => drop(self.groups.remove(&group)),
            Op::RenameGroup(group) => {
                let name = self.fresh("Name", group);
                self.groups.entry(group).and_modify(|group| group.name = name);
            }
            Op::NewGroupId(group) => {
                let id = self.fresh("g", group);
                self.groups.entry(group).and_modify(|group| group.id = id);
            }
            Op::Join(group, soul) => {
                self.groups.entry(group).and_modify(|group| group.souls.extend([soul]));
            }
            Op::Quit(group, soul) => {
                self.groups.entry(group).and_modify(|group| group.souls.retain(|other| *other != soul));
            }
            _ => {}
        }
    }

    /// Somebody who has another id and another address at once is somebody else to everybody.
    fn may_move(&mut self, soul: Soul) -> bool {
        let is_alive = |account: &Account_| account.life != Life::Tombstone && account.email.is_some();
        self.accounts.get(&soul).is_some_and(is_alive) && self.moved.insert(soul)
    }

    /// Whose address the organization does not have is found by the id alone.
    fn is_known_by_address(&self, soul: Soul) -> bool {
        let email = self.accounts.get(&soul).and_then(|account| account.email.as_deref());
        self.member(soul).is_none_or(|member| Some(member.email.as_str()) == email)
    }

    fn hire(&mut self, soul: Soul) {
        if self.accounts.get(&soul).is_some_and(|account| account.life != Life::Tombstone) {
            return;
        }
        // Who comes back is found by the address.
        let mine = self.server.members().filter(|member| self.soul_of(member) == Some(soul));
        let known = mine.max_by_key(|member| (!member.status.is_revoked(), member.id.clone()));
        let email = known.map_or_else(|| format!("a{soul}@x.org"), |member| member.email.to_string());
        self.owners.insert(email.clone(), soul);
        let id = self.fresh("id", soul);
        self.moved.insert(soul);
        let account = Account_ { id, email: Some(email), life: Life::Active, created: self.now };
        self.accounts.insert(soul, account);
    }

    fn live(&mut self, soul: Soul, life: Life) {
        if let Some(account) = self.accounts.get_mut(&soul).filter(|account| account.life != Life::Tombstone)
        {
            account.life = life;
        }
    }

    /// A newcomer gets the id of somebody whose account is gone, and who is known.
    fn use_id(&mut self, soul: Soul, dead: Soul) {
        let is_gone = !self.accounts.contains_key(&dead);
        let id = self.memory.get(&dead).and_then(|id| self.server.member(id)?.external_id.clone());
        let (true, false, Some(id)) = (is_gone, self.accounts.contains_key(&soul), id) else { return };
        let is_owner = |member: &Member| member.role == Role::Owner;
        // An owner stays, and the id with him: the newcomer is not imported, and that is told.
        if self.memory.get(&dead).and_then(|id| self.server.member(id)).is_some_and(is_owner) {
            return;
        }
        if self.memory.contains_key(&soul) || id.as_str().starts_with("left:") {
            return;
        }
        // Two living accounts with one id are a bad record, which `prepare` leaves out.
        if self.accounts.values().any(|account| account.id == id.as_str()) {
            return;
        }
        self.pass(Span(60));
        let email = format!("{}@x.org", self.fresh("n", soul));
        self.owners.insert(email.clone(), soul);
        self.moved.insert(soul);
        let account =
            Account_ { id: id.to_string(), email: Some(email), life: Life::Active, created: self.now };
        self.pass(Span(60));
        self.accounts.insert(soul, account);
    }

    /// Two people get each other's addresses: on Vaultwarden, an address is a person.
    fn swap(&mut self, a: Soul, b: Soul) {
        let is_left_out = |soul| self.excluded.contains(&soul) || !self.is_living(soul);
        // Whose address it is, of somebody whom the filter leaves out, the model does not say.
        if a == b || self.server.kind == Kind::Official || (is_left_out(a) && is_left_out(b)) {
            return;
        }
        let email =
            |world: &Self, soul: Soul| world.accounts.get(&soul).and_then(|account| account.email.clone());
        let (Some(first), Some(second)) = (email(self, a), email(self, b)) else { return };
        if !self.may_move(a) || !self.may_move(b) {
            return;
        }
        self.owners.insert(first.clone(), b);
        self.owners.insert(second.clone(), a);
        self.accounts.entry(a).and_modify(|account| account.email = Some(second));
        self.accounts.entry(b).and_modify(|account| account.email = Some(first));
        // A member is whoever has the address.
        for soul in [a, b] {
            self.memory.remove(&soul);
        }
    }

    fn by_hand(&mut self, op: &Op) {
        match *op {
            Op::Confirm(soul) => self.confirm(soul),
            Op::Own(soul) => self.make_owner(soul),
            Op::HandRemove(soul) => self.hand(soul, server::Call::Remove),
            Op::HandRevoke(soul) => self.hand(soul, server::Call::Revoke),
            Op::HandRestore(soul) => self.hand(soul, server::Call::Restore),
            Op::HandInvite(soul) => self.hand_invite(soul),
            Op::HandJoin(group, soul) => self.hand_group(group, |world, members| {
                members.extend(world.member(soul).map(|member| member.id.clone()));
            }),
            Op::HandQuit(group, soul) => self.hand_group(group, |world, members| {
                let gone = world.member(soul).map(|member| member.id.clone());
                members.retain(|id| Some(id) != gone.as_ref());
            }),
            Op::HandRename(group) => {
                let name = self.fresh("By hand", group);
                if let Some(found) = self.server_group(group) {
                    self.server.put_group(Group { name, ..found });
                }
            }
            Op::HandDropGroup(group) => {
                if let Some(found) = self.server_group(group) {
                    server::carry_out(&mut self.server, &server::Call::DeleteGroup(found.id)).unwrap();
                }
            }
            _ => {}
        }
    }

    fn hand(&mut self, soul: Soul, call: impl Fn(MemberId) -> server::Call) {
        if let Some(id) = self.member(soul).map(|member| member.id.clone()) {
            // Refused where it makes no sense.
            let _ = server::carry_out(&mut self.server, &call(id));
        }
    }

    fn hand_invite(&mut self, soul: Soul) {
        let Some(address) = self.accounts.get(&soul).and_then(|account| account.email.clone()) else {
            return;
        };
        let is_there = self.server.members().any(|member| self.soul_of(member) == Some(soul));
        if is_there || !self.may_move(soul) {
            return;
        }
        let id = MemberId::from(format!("hand-{}", self.fresh("m", soul)));
        self.server.put_member(Member {
            id,
            email: email(&address),
            external_id: None,
            status: Status::Confirmed,
            role: Role::User,
            account: Account::Linked,
        });
    }

    fn server_group(&self, group: u8) -> Option<Group> {
        let id = &self.groups.get(&group)?.id;
        let mut groups = self.server.groups();
        groups.find(|other| other.external_id.as_ref().is_some_and(|other| other.as_str() == id)).cloned()
    }

    fn hand_group(&mut self, group: u8, edit: impl FnOnce(&World, &mut Vec<MemberId>)) {
        let Some(found) = self.server_group(group) else { return };
        let mut members = found.members.known().to_vec();
        edit(self, &mut members);
        self.server.put_group(Group { members: Held::of(members), ..found });
    }
}
