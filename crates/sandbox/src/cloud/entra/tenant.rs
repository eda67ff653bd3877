//! Contents of the tenant, and their changes.

use std::collections::HashSet;

use crate::cloud::{Company, Status};

/// Tenant and its directory.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// People, including those who were deleted.
    pub users: Vec<Person>,
    /// Groups.
    pub groups: Vec<Team>,
    /// Administrative units.
    pub units: Vec<Unit>,
    /// Ids of groups to delete between the listing and the read of their members.
    pub vanishing: HashSet<String>,
    /// Whether the recycle bin can be read; a proxy may allow only the documented minimum.
    pub bin: Bin,
    /// Application permissions that were granted.
    pub permissions: Vec<&'static str>,
    /// Client secret of the application.
    pub secret: ClientSecret,
    /// Certificate (DER) that was uploaded for the application.
    pub certificate: Option<Vec<u8>>,
    /// Token of another identity provider that the application's federated credential trusts.
    pub federated_token: Option<String>,
    /// Ids of people in the order of their changes.
    changes: Vec<String>,
    /// Number of links to changes issued, and how many of them are no longer accepted and why.
    links: (usize, usize, LinkRefusal),
}

/// Person.
#[derive(Clone, Debug)]
pub struct Person {
    /// Object id.
    pub id: String,
    /// Mailbox address.
    pub mail: Option<String>,
    /// Sign-in name.
    pub user_principal_name: String,
    /// Whether the account is enabled.
    pub account_enabled: bool,
    /// Whether the account exists.
    pub presence: Presence,
}

/// Existence of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It exists.
    Here,
    /// Deleted, and can be restored for 30 days.
    Deleted,
    /// Permanently deleted.
    Purged,
}

/// Group.
#[derive(Clone, Debug)]
pub struct Team {
    /// Object id.
    pub id: String,
    /// Display name.
    pub display_name: String,
    /// Visibility, such as `HiddenMembership`.
    pub visibility: Option<&'static str>,
    /// Members of all kinds.
    pub members: Vec<Member>,
}

/// Administrative unit.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Object id.
    pub id: String,
    /// Members of all kinds.
    pub members: Vec<Member>,
}

/// Member of a group or unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Object id.
    pub id: String,
    /// Kind.
    pub kind: Kind,
}

/// Kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Person.
    User,
    /// Group.
    Group,
    /// Device.
    Device,
    /// Contact.
    Contact,
}

/// Client secret.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// Value.
    pub value: String,
    /// Expiry time, in RFC 3339.
    pub ends: String,
}

/// Whether the recycle bin can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bin {
    /// It can be read.
    Open,
    /// There is none.
    Absent,
}

/// Reason why a link to changes is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// It is too old ("Use delta query to track changes", token duration).
    Expired,
    /// The tenant was moved ("Use delta query to track changes", synchronization reset).
    Reset,
    /// It can no longer be decoded.
    Malformed,
    /// The service is unavailable; the link works again afterwards.
    Unavailable,
    /// The permission for it was revoked.
    Denied,
    /// The tenant has never kept a list of changes.
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

/// Object id of a person with this name.
pub fn user_id(name: &str) -> String {
    object_id(1, name)
}

/// Object id of a group with this name.
pub fn group_id(name: &str) -> String {
    object_id(2, name)
}

/// Object id of an administrative unit with this name.
pub fn unit_id(name: &str) -> String {
    object_id(3, name)
}

/// Makes an id that looks like a GUID, is the same for the same name (FNV-1a), and begins with the name, so that ids sort by name.
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
    /// Person with this name and a mailbox at example.org.
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
    /// Person with this name.
    pub fn user(name: &str) -> Self {
        Self { id: user_id(name), kind: Kind::User }
    }

    /// Group with this name.
    pub fn group(name: &str) -> Self {
        Self { id: group_id(name), kind: Kind::Group }
    }
}

impl Team {
    /// Group with this name.
    pub fn named(name: &str, members: Vec<Member>) -> Self {
        Self { id: group_id(name), display_name: name.to_owned(), visibility: None, members }
    }
}

impl Unit {
    /// Unit with this name.
    pub fn named(name: &str, members: Vec<Member>) -> Self {
        Self { id: unit_id(name), members }
    }
}

impl From<&Company> for Tenant {
    fn from(company: &Company) -> Self {
        let users = company.users.iter().map(|user| Person {
            mail: user.email.clone(),
            // Everybody has a sign-in name: people without an address are guests.
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
    /// Adds a person.
    pub fn add(&mut self, person: Person) {
        self.changes.push(person.id.clone());
        self.users.push(person);
    }

    /// Deletes, restores or permanently deletes a person.
    pub fn set_presence(&mut self, name: &str, presence: Presence) {
        let id = user_id(name);
        for person in self.users.iter_mut().filter(|person| person.id == id) {
            person.presence = presence;
        }
        self.changes.push(id);
    }

    /// Invalidates the links to changes that were issued so far.
    pub fn refuse_links(&mut self, why: LinkRefusal) {
        self.links = (self.links.0, self.links.0, why);
    }

    /// Makes links valid again that were temporarily refused.
    pub fn accept_links(&mut self) {
        self.links.1 = 0;
    }

    /// Whether there is no list of changes at all.
    pub(super) fn keeps_no_changes(&self) -> bool {
        self.links.2 == LinkRefusal::NotKept
    }

    /// Number of a new link.
    pub(super) fn new_link(&mut self) -> usize {
        self.links.0 += 1;
        self.links.0
    }

    /// Reason why a link is refused, if it is.
    pub(super) fn refusal_of(&self, link: usize) -> Option<LinkRefusal> {
        let (given, refused, why) = self.links;
        (link <= refused || link > given).then_some(why)
    }

    /// Number of changes so far.
    pub(super) fn changed(&self) -> usize {
        self.changes.len()
    }

    /// People who were changed in between, each once.
    pub(super) fn changes(&self, from: usize, until: usize) -> Vec<&Person> {
        let changed: HashSet<&String> = self.changes.iter().take(until).skip(from).collect();
        self.users.iter().filter(|person| changed.contains(&person.id)).collect()
    }

    /// Everybody whose account exists.
    pub(super) fn present(&self) -> impl Iterator<Item = &Person> {
        self.users.iter().filter(|person| person.presence == Presence::Here)
    }

    pub(super) fn group(&self, id: &str) -> Option<&Team> {
        let found = self.groups.iter().find(|group| group.id.eq_ignore_ascii_case(id));
        found.filter(|group| !self.vanishing.contains(&group.id))
    }

    /// Members as they are shown: without deleted people; hidden ones only with the permission.
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
