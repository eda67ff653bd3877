//! Conversion of LDAP entries to people and groups. Pure: no connection in sight.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};
use bwdc_core::organization::Moment;

use jiff::Timestamp;

use super::config::{Attributes, Config, Identity, PrimaryGroups};
use super::disabled::DisabledBy;
use super::dn;
use super::generalized_time;
use super::names::Names;
use super::wire::{Entry, text};
use crate::{Error, ErrorKind, Result};

/// Active Directory's id of an entry, 16 bytes.
pub(super) const OBJECT_GUID: &str = "objectGUID";
/// User name, to which `memberUid` refers.
pub(super) const UID: &str = "uid";
/// Number of a person's primary group, and that of a group (MS-ADA3, attributes primaryGroupID and primaryGroupToken).
const PRIMARY_GROUP_ID: &str = "primaryGroupID";
const PRIMARY_GROUP_TOKEN: &str = "primaryGroupToken";
/// Kind of account of an Active Directory entry (MS-SAMR, section 2.2.1.9); a contact has none.
const ACCOUNT_TYPE: &str = "sAMAccountType";
/// `SAM_USER_OBJECT`: computers and managed service accounts have other numbers.
pub(super) const USER_ACCOUNT: &str = "805306368";
/// Creation time of an entry (RFC 4512, section 3.4.2), and in Active Directory (MS-ADA3, attribute whenCreated).
const CREATED: [&str; 2] = ["createTimestamp", "whenCreated"];
/// Name of a group that has no other.
pub(super) const COMMON_NAME: &str = "cn";

/// Prefix of references by user name. No normalised DN begins like this, because attribute names have no colon.
const BY_UID: &str = "uid:";

/// References to members, each stored once, however many groups it occurs in.
#[derive(Debug, Default)]
pub(super) struct MemberReferences {
    known: foldhash::HashSet<Arc<str>>,
    /// The same for the whole read.
    names: Names,
    /// References by names as the server spells them, where that is not the normal form.
    spelled: foldhash::HashMap<Box<str>, ReferenceId>,
    /// Buffer for normalising names, most of which are known already.
    buffer: String,
    /// Octets of names that have come since [`Self::grown`].
    new: usize,
}

impl MemberReferences {
    pub(super) fn of(names: &Names) -> Self {
        Self { names: names.clone(), ..Self::default() }
    }

    fn text(&mut self, text: &str) -> ReferenceId {
        intern((&mut self.known, &mut self.new), &self.names, text)
    }

    /// Reference of a DN that has come before, spelled like this or in its normal form, which is its own.
    fn known(&self, dn: &str) -> Option<ReferenceId> {
        match self.known.get(dn) {
            Some(known) if !dn.starts_with(BY_UID) => Some(ReferenceId::from(Arc::clone(known))),
            _ => self.spelled.get(dn).cloned(),
        }
    }

    fn dn(&mut self, dn: &str) -> ReferenceId {
        let known = (&mut self.known, &mut self.new);
        let reference = match dn::normalise(dn, &mut self.buffer) {
            Some(normal) => intern(known, &self.names, normal),
            None => intern(known, &self.names, &dn.to_lowercase()),
        };
        if reference.as_str() != dn {
            self.spelled.insert(dn.into(), reference.clone());
            self.new += size_of::<(Box<str>, ReferenceId)>() + dn.len();
        }
        reference
    }

    /// By how many octets there are more since it was asked last.
    pub(super) fn grown(&mut self) -> usize {
        std::mem::take(&mut self.new)
    }
}

fn intern(
    (known, new): (&mut foldhash::HashSet<Arc<str>>, &mut usize),
    names: &Names,
    text: &str,
) -> ReferenceId {
    if let Some(known) = known.get(text) {
        return ReferenceId::from(Arc::clone(known));
    }
    let reference = names.once(text, || text.into());
    known.insert(reference.shared());
    *new += size_of::<Arc<str>>() + text.len();
    reference
}

/// The id of an entry, and the reference to it, which no other entry has. One text where they are equal.
fn ids(record: &Entry<'_>, config: &Config, names: &Names) -> Result<(ExternalId, ReferenceId)> {
    let external_id = external_id(record, &config.identity)?;
    let mut buffer = String::new();
    let dn = record.dn();
    let normal = match dn::normalise(&dn, &mut buffer) {
        Some(normal) => normal,
        None => &dn.to_lowercase(),
    };
    let is_id = normal == external_id.as_str();
    let reference = names.once(normal, || if is_id { external_id.shared() } else { normal.into() });
    let external_id = if is_id { ExternalId::from(reference.shared()) } else { external_id };
    Ok((external_id, reference))
}

/// Attributes to request. Unknown ones do no harm: servers omit them.
pub(super) fn user_attributes(config: &Config, members: MemberValues) -> Vec<String> {
    let Attributes { email, made_email, .. } = &config.attributes;
    let mut names = vec![email.clone()];
    names.extend(CREATED.map(str::to_owned));
    names.extend(identity_attribute(config).map(str::to_owned));
    names.extend(config.disabled_by.iter().map(|mark| mark.attribute().to_owned()));
    names.extend(of_primary_groups(config, PRIMARY_GROUP_ID).map(str::to_owned));
    names.extend(made_email.iter().map(|made| made.prefix_attribute.clone()));
    if config.may_read_others_as_people() {
        names.push(ACCOUNT_TYPE.to_owned());
    }
    if members == MemberValues::MaybeUids {
        names.push(UID.to_owned());
    }
    names
}

/// Attributes to request.
pub(super) fn group_attributes(config: &Config) -> Vec<String> {
    let Attributes { group_name, member, .. } = &config.attributes;
    let mut names = vec![group_name.clone(), COMMON_NAME.to_owned(), member.clone()];
    names.extend(identity_attribute(config).map(str::to_owned));
    names.extend(of_primary_groups(config, PRIMARY_GROUP_TOKEN).map(str::to_owned));
    names
}

/// Attribute, if it is used.
fn of_primary_groups(config: &Config, attribute: &'static str) -> Option<&'static str> {
    match config.primary_groups {
        PrimaryGroups::Members => Some(attribute),
        PrimaryGroups::Ignored => None,
    }
}

fn identity_attribute(config: &Config) -> Option<&str> {
    match &config.identity {
        Identity::GuidOrDn => Some(OBJECT_GUID),
        Identity::Attribute(name) => Some(name),
        Identity::Dn => None,
    }
}

/// Possible contents of the member attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberValues {
    /// DNs only, as the standard requires (RFC 4519, sections 2.17 and 2.40).
    Dns,
    /// Possibly user names.
    MaybeUids,
}

/// Contents to expect of the configured member attribute.
pub(super) fn member_values(config: &Config) -> MemberValues {
    let member = &config.attributes.member;
    if member.eq_ignore_ascii_case("member") || member.eq_ignore_ascii_case("uniqueMember") {
        MemberValues::Dns
    } else {
        MemberValues::MaybeUids
    }
}

/// Person, and the name by which `memberUid` would refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PersonEntry {
    pub(super) user: User,
    pub(super) uid: Option<Box<str>>,
    /// See [`numbered`].
    pub(super) primary_group: Option<Box<str>>,
    pub(super) kind: AccountKind,
    pub(super) created: Option<Moment>,
}

impl PersonEntry {
    /// In octets.
    pub(super) fn size(&self) -> usize {
        let User { external_id, reference_id, email, .. } = &self.user;
        let texts =
            [Some(external_id.as_str()), Some(reference_id.as_str()), email.as_ref().map(Email::as_str)];
        let more = [self.uid.as_deref(), self.primary_group.as_deref()];
        size_of::<Self>() + texts.into_iter().chain(more).flatten().map(str::len).sum::<usize>()
    }
}

/// Kind of entry that was read as a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountKind {
    /// A person, as far as one can tell.
    Person,
    /// A contact, a computer or a managed service account of Active Directory, if the class `person` includes them.
    Other,
}

/// Whether an entry was found among the active ones or among the tombstones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryState {
    Living,
    Tombstone,
}

/// Converts one person, as of now.
pub(super) fn person(
    record: &Entry<'_>,
    config: &Config,
    found: EntryState,
    now: Timestamp,
    names: &Names,
) -> Result<PersonEntry> {
    let (external_id, reference_id) = ids(record, config, names)?;
    let is_found_by_id = external_id.as_str() == &*record.dn();
    let found_as = if is_found_by_id { FoundAs::default() } else { FoundAs::from(&reference_id) };
    let user = User {
        external_id,
        reference_id,
        found_as,
        email: email(record, &config.attributes),
        status: status(record, config, found, now),
    };
    let uid = record.text(UID).map(|uid| uid.to_lowercase().into_boxed_str());
    Ok(PersonEntry {
        user,
        uid,
        primary_group: of_primary_groups(config, PRIMARY_GROUP_ID).and_then(|name| numbered(record, name)),
        kind: account_kind(record, config),
        created: CREATED
            .iter()
            .filter_map(|name| record.text(name))
            .find_map(|text| generalized_time::read(&text)),
    })
}

fn account_kind(record: &Entry<'_>, config: &Config) -> AccountKind {
    let is_person = || record.text(ACCOUNT_TYPE).is_some_and(|kind| kind == USER_ACCOUNT);
    if config.may_read_others_as_people() && !is_person() { AccountKind::Other } else { AccountKind::Person }
}

fn status(record: &Entry<'_>, config: &Config, found: EntryState, now: Timestamp) -> Status {
    let is_disabled =
        |mark: &DisabledBy| record.text(mark.attribute()).is_some_and(|value| mark.says_so(&value, now));
    match found {
        EntryState::Tombstone => Status::Deleted,
        EntryState::Living if config.disabled_by.iter().any(is_disabled) => Status::Disabled,
        EntryState::Living => Status::Active,
    }
}

fn email(record: &Entry<'_>, attributes: &Attributes) -> Option<Email> {
    let own = record.text(&attributes.email).and_then(|value| Email::parse(&value));
    own.or_else(|| {
        let made = attributes.made_email.as_ref()?;
        let prefix = record.text(&made.prefix_attribute)?;
        let prefix = prefix.trim();
        if prefix.is_empty() { None } else { Email::parse(&format!("{prefix}{}", made.suffix)) }
    })
}

/// Id by which the organization knows an entry. An entry without the configured attribute is an error: under another id
/// it would become a second member.
fn external_id(record: &Entry<'_>, identity: &Identity) -> Result<ExternalId> {
    let guid = || record.values(OBJECT_GUID).next().and_then(guid);
    match identity {
        Identity::Dn => Ok(ExternalId::from(&*record.dn())),
        Identity::GuidOrDn => Ok(guid().map_or_else(|| ExternalId::from(&*record.dn()), ExternalId::from)),
        Identity::Attribute(name) if name.eq_ignore_ascii_case(OBJECT_GUID) => {
            guid().map(ExternalId::from).ok_or_else(|| no_identity(record, name))
        }
        Identity::Attribute(name) => match record.text(name).filter(|id| !id.trim().is_empty()) {
            Some(id) => Ok(ExternalId::from(id.trim())),
            None => Err(no_identity(record, name)),
        },
    }
}

fn no_identity(record: &Entry<'_>, name: &str) -> Error {
    Error::new(ErrorKind::Data, format!("Reading the entry {}", record.dn()), format!("it has no {name}")).hint(
        "ldap.externalIdAttribute names this attribute: check that the server has it and that the account may read it. Nothing \
        was imported.",
    )
}

/// Formats a GUID in the usual text form: the first three fields are little-endian (MS-DTYP, section 2.3.4.2).
fn guid(bytes: &[u8]) -> Option<String> {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (at, &from) in order.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{:02x}", bytes[from]);
    }
    Some(text)
}

/// Group whose members are complete, or the point at which the server stopped listing them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRecord {
    pub(super) group: Group,
    pub(super) rest: Rest,
    /// See [`numbered`].
    pub(super) token: Option<Box<str>>,
}

impl GroupRecord {
    /// In octets, without the names of members, which are counted by themselves.
    pub(super) fn size(&self) -> usize {
        let Group { external_id, reference_id, name, members, .. } = &self.group;
        let texts = external_id.as_str().len() + reference_id.as_str().len() + name.len();
        size_of::<Self>() + texts + size_of_val(&**members)
    }
}

/// Rest of a long list of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Complete,
    /// The values from this number on.
    From(usize),
}

impl Rest {
    /// Whether a list requested from this number on has made progress.
    pub(super) fn is_after(self, from: usize) -> bool {
        match self {
            Self::Complete => true,
            Self::From(next) => next > from,
        }
    }
}

/// Converts one group; `None` if it has no name.
pub(super) fn group(
    record: &Entry<'_>,
    config: &Config,
    references: &mut MemberReferences,
) -> Result<Option<GroupRecord>> {
    let name = record
        .text(&config.attributes.group_name)
        .filter(|name| !name.is_empty())
        .or_else(|| record.text(COMMON_NAME).filter(|name| !name.is_empty()));
    let Some(name) = name else { return Ok(None) };
    let (members, rest) = members(record, &config.attributes.member, references);
    let (external_id, reference_id) = ids(record, config, &references.names)?;
    let group =
        Group { reference_id, external_id, name: name.into_owned(), members, found_as: FoundAs::default() };
    Ok(Some(GroupRecord {
        group,
        rest,
        token: of_primary_groups(config, PRIMARY_GROUP_TOKEN).and_then(|name| numbered(record, name)),
    }))
}

/// Members in an entry. Active Directory sends long lists in parts, as `member;range=0-1499`, the last one as
/// `member;range=1500-*` (MS-ADTS, section 3.1.1.3.1.3.3).
pub(super) fn members(
    record: &Entry<'_>,
    attribute: &str,
    references: &mut MemberReferences,
) -> (Vec<ReferenceId>, Rest) {
    let mut members = Vec::new();
    let mut rest = Rest::Complete;
    for found in record.attributes().filter(|found| found.is_of(attribute)) {
        if let Some(next) = found.description().split(';').skip(1).find_map(range) {
            rest = next.unwrap_or_else(|| Rest::From(found.values.count()));
        }
        members.extend(found.values.map(|value| member(value, references)));
    }
    (members, rest)
}

/// Rest after a part of a list, if the option marks one; `None` inside if it does not say how far it goes. Other
/// options do not change whose values they are.
fn range(option: &str) -> Option<Option<Rest>> {
    let (key, range) = option.split_once('=')?;
    if !key.eq_ignore_ascii_case("range") {
        return None;
    }
    let high = range.split_once('-').map(|(_, high)| high);
    Some(match high {
        Some("*") => Some(Rest::Complete),
        Some(high) => high.parse::<usize>().ok().map(|high| Rest::From(high.saturating_add(1))),
        None => None,
    })
}

/// Makes a reference: a value with both `=` and `,` is a DN, any other a user name.
pub(super) fn member(value: &[u8], references: &mut MemberReferences) -> ReferenceId {
    let text = text(value);
    if text.contains('=') && text.contains(',') {
        references.known(&text).unwrap_or_else(|| references.dn(&text))
    } else {
        references.text(&format!("{BY_UID}{}", text.trim().to_lowercase()))
    }
}

/// Number that is unique in its domain, with the domain: it links `primaryGroupID` and `primaryGroupToken`.
fn numbered(record: &Entry<'_>, attribute: &str) -> Option<Box<str>> {
    let number = record.text(attribute)?;
    let dn = record.dn().to_lowercase();
    let domain = &dn[dn.find("dc=")?..];
    Some(format!("{} {domain}", number.trim()).into_boxed_str())
}

/// Makes people members of their primary groups.
pub(super) fn join_primary_groups(groups: &mut [GroupRecord], people: &[PersonEntry]) {
    let mut members: HashMap<&str, Vec<&ReferenceId>> = HashMap::new();
    for person in people {
        if let Some(group) = person.primary_group.as_deref() {
            members.entry(group).or_default().push(&person.user.reference_id);
        }
    }
    for record in groups {
        let found = record.token.as_deref().and_then(|token| members.get(token));
        record.group.members.extend(found.into_iter().flatten().copied().cloned());
    }
}

/// Replaces references by user name with those of the people who have it. Unknown names stay and are counted later.
pub(super) fn resolve_uids(groups: &mut [Group], people: &[PersonEntry]) {
    let uids: HashMap<&str, &ReferenceId> = people
        .iter()
        .filter_map(|person| person.uid.as_deref().map(|uid| (uid, &person.user.reference_id)))
        .collect();
    if uids.is_empty() {
        return;
    }
    for member in groups.iter_mut().flat_map(|group| &mut group.members) {
        if let Some(found) = member.as_str().strip_prefix(BY_UID).and_then(|uid| uids.get(uid)) {
            *member = (*found).clone();
        }
    }
}
