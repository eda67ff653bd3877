//! Who is in the tenant, and what has become of them since.

use std::collections::HashSet;

use crate::cloud::{Company, Status};

/// A tenant and its directory.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Everybody, those who were deleted too.
    pub users: Vec<Person>,
    /// Their groups.
    pub groups: Vec<Team>,
    /// Administrative units.
    pub units: Vec<Unit>,
    /// Ids of groups that are deleted between being listed and their members being read.
    pub vanishing: HashSet<String>,
    /// Whether there is a recycle bin to look into; a proxy may let the documented minimum through only.
    pub bin: Bin,
    /// The application permissions that were granted.
    pub permissions: Vec<&'static str>,
    /// The application's client secret.
    pub secret: ClientSecret,
    /// The certificate (DER) that was uploaded for the application.
    pub certificate: Option<Vec<u8>>,
    /// The token of another identity provider that the application's federated credential trusts.
    pub federated_token: Option<String>,
    /// Ids of people in the order of their changes.
    changes: Vec<String>,
    /// How many links to changes were given out, and of these, how many are not accepted any more and why.
    links: (usize, usize, LinkRefusal),
}

/// A person.
#[derive(Clone, Debug)]
pub struct Person {
    /// The object id.
    pub id: String,
    /// The mailbox.
    pub mail: Option<String>,
    /// The sign-in name.
    pub user_principal_name: String,
    /// Whether signing in is possible.
    pub account_enabled: bool,
    /// Whether the account is there.
    pub presence: Presence,
}

/// Whether an account is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Here,
    /// Deleted, and can be restored for 30 days.
    Deleted,
    /// Deleted for good.
    Purged,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Team {
    /// The object id.
    pub id: String,
    /// What people see.
    pub display_name: String,
    /// Such as `HiddenMembership`.
    pub visibility: Option<&'static str>,
    /// Who and what is in it.
    pub members: Vec<Member>,
}

/// An administrative unit.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The object id.
    pub id: String,
    /// Who and what is in it.
    pub members: Vec<Member>,
}

/// A member of a group or unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its object id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person.
    User,
    /// A group.
    Group,
    /// A device.
    Device,
    /// A contact.
    Contact,
}

/// A client secret.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// Its value.
    pub value: String,
    /// When it ends, in RFC 3339.
    pub ends: String,
}

/// Whether the recycle bin can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bin {
    /// It can.
    Open,
    /// There is none.
    Absent,
}

/// Why a link to changes is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// It is too old ("Use delta query to track changes", token duration).
    Expired,
    /// The tenant was moved (the same, synchronization reset).
    Reset,
    /// It cannot be read any more.
    Malformed,
    /// The service is not well; the link is good again when it is.
    Unavailable,
    /// The right to it was taken away.
    Denied,
    /// The tenant keeps no list of changes, and never did.
    NotKept,
}

impl Kind {
    pub(super) fn odata_type(self) -> &'static str {
        match self {
            Self::User => "#microsoft.graph.user",
            Self::Group => "#microsoft.graph.group",
            Self::Device => "#microsoft.graph.device",
            Self::Contact => "#microsoft.graph.orgContact",
        }
    }
}

/// The object id of a person of this name.
pub fn user_id(name: &str) -> String {
    object_id(1, name)
}

/// The object id of a group of this name.
pub fn group_id(name: &str) -> String {
    object_id(2, name)
}

/// The object id of an administrative unit of this name.
pub fn unit_id(name: &str) -> String {
    object_id(3, name)
}

/// Looks like a GUID, is the same for the same name (FNV-1a), and begins with the name, so that ids are in the order of names.
fn object_id(kind: u16, name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let begin = name.bytes().chain([0; 4]).take(4).fold(0_u32, |begin, byte| begin << 8 | u32::from(byte));
    format!(
        "{begin:08x}-{kind:04x}-4{:03x}-8{:03x}-{:012x}",
        hash >> 60,
        hash >> 48 & 0xfff,
        hash & 0xffff_ffff_ffff
    )
}

impl Person {
    /// Somebody of this name, with a mailbox at example.org.
    pub fn named(name: &str) -> Self {
        Self {
            id: user_id(name),
            mail: Some(format!("{name}@example.org")),
            user_principal_name: format!("{name}@example.org"),
            account_enabled: true,
            presence: Presence::Here,
        }
    }
}

impl Member {
    /// A person of this name.
    pub fn user(name: &str) -> Self {
        Self { id: user_id(name), kind: Kind::User }
    }

    /// A group of this name.
    pub fn group(name: &str) -> Self {
        Self { id: group_id(name), kind: Kind::Group }
    }
}

impl Team {
    /// A group of this name.
    pub fn named(name: &str, members: Vec<Member>) -> Self {
        Self { id: group_id(name), display_name: name.to_owned(), visibility: None, members }
    }
}

impl Unit {
    /// A unit of this name.
    pub fn named(name: &str, members: Vec<Member>) -> Self {
        Self { id: unit_id(name), members }
    }
}

impl From<&Company> for Tenant {
    fn from(company: &Company) -> Self {
        let users = company.users.iter().map(|user| Person {
            mail: user.email.clone(),
            // Nobody is without a sign-in name: who has no address is somebody else's guest.
            user_principal_name: user
                .email
                .clone()
                .unwrap_or_else(|| format!("{}_elsewhere.example#EXT#@sandbox.onmicrosoft.com", user.name)),
            account_enabled: user.status != Status::Disabled,
            presence: if user.status == Status::Deleted { Presence::Deleted } else { Presence::Here },
            ..Person::named(&user.name)
        });
        let groups = company.groups.iter().map(|group| {
            let users = group.users.iter().map(|name| Member::user(name));
            let groups = group.groups.iter().map(|name| Member::group(name));
            Team::named(&group.name, users.chain(groups).collect())
        });
        Self {
            users: users.collect(),
            groups: groups.collect(),
            units: Vec::new(),
            vanishing: HashSet::new(),
            bin: Bin::Open,
            permissions: vec!["User.Read.All", "Group.Read.All", "AdministrativeUnit.Read.All"],
            secret: ClientSecret { value: super::SECRET.to_owned(), ends: "2199-12-31T00:00:00Z".to_owned() },
            certificate: None,
            federated_token: None,
            changes: Vec::new(),
            links: (0, 0, LinkRefusal::Expired),
        }
    }
}

impl Tenant {
    /// Somebody comes.
    pub fn add(&mut self, person: Person) {
        self.changes.push(person.id.clone());
        self.users.push(person);
    }

    /// Somebody is deleted, restored or deleted for good.
    pub fn set_presence(&mut self, name: &str, presence: Presence) {
        let id = user_id(name);
        for person in self.users.iter_mut().filter(|person| person.id == id) {
            person.presence = presence;
        }
        self.changes.push(id);
    }

    /// The links to changes that were given out so far are not accepted any more.
    pub fn refuse_links(&mut self, why: LinkRefusal) {
        self.links = (self.links.0, self.links.0, why);
    }

    /// Links that were refused for a while are good again.
    pub fn accept_links(&mut self) {
        self.links.1 = 0;
    }

    /// Whether there is no list of changes at all.
    pub(super) fn keeps_no_changes(&self) -> bool {
        self.links.2 == LinkRefusal::NotKept
    }

    /// The number of a new link.
    pub(super) fn new_link(&mut self) -> usize {
        self.links.0 += 1;
        self.links.0
    }

    /// Why a link is refused, if it is.
    pub(super) fn refusal_of(&self, link: usize) -> Option<LinkRefusal> {
        let (given, refused, why) = self.links;
        (link <= refused || link > given).then_some(why)
    }

    /// How many changes there were so far.
    pub(super) fn changed(&self) -> usize {
        self.changes.len()
    }

    /// The people who were changed in between, each once.
    pub(super) fn changes(&self, from: usize, until: usize) -> Vec<&Person> {
        let changed: HashSet<&String> = self.changes.iter().take(until).skip(from).collect();
        self.users.iter().filter(|person| changed.contains(&person.id)).collect()
    }

    /// Everybody who is there.
    pub(super) fn present(&self) -> impl Iterator<Item = &Person> {
        self.users.iter().filter(|person| person.presence == Presence::Here)
    }

    pub(super) fn group(&self, id: &str) -> Option<&Team> {
        let found = self.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id));
        found.filter(|group| !self.vanishing.contains(&group.id))
    }

    /// Members as they are told: deleted people are none, and hidden ones are shown to few.
    pub(super) fn shown_members(&self, group: &Team) -> Vec<Member> {
        let is_hidden = group.visibility == Some("HiddenMembership");
        if is_hidden && !self.permissions.contains(&"Member.Read.Hidden") {
            return Vec::new();
        }
        self.without_deleted(&group.members)
    }

    pub(super) fn without_deleted(&self, members: &[Member]) -> Vec<Member> {
        let gone = self.users.iter().filter(|person| person.presence != Presence::Here);
        let gone: HashSet<&String> = gone.map(|person| &person.id).collect();
        members.iter().filter(|member| !gone.contains(&member.id)).cloned().collect()
    }

    /// Members of the group and of all groups in it, each once.
    pub(super) fn transitive_members(&self, group: &Team) -> Vec<Member> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut left = vec![group];
        while let Some(group) = left.pop() {
            for member in self.shown_members(group) {
                if seen.insert(member.clone()) {
                    left.extend(self.group(&member.id).filter(|_| member.kind == Kind::Group));
                    found.push(member);
                }
            }
        }
        found
    }
}
