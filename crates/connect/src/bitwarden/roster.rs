//! Contents of the organization: members, groups, memberships, seats. Complete, or an error.

use std::fmt;
use std::marker::PhantomData;

use bwdc_core::entry::{Email, ExternalId};
use bwdc_core::organization::roster::{
    Account, Group, GroupId, Held, Member, MemberId, Role, Seats, Staging, Status,
};
use bwdc_core::organization::{Basis, Kind as Rules, Roster};
use bwdc_core::text::digest;
use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::call::{CallPurpose, is_gone, not_done, odd};
use super::{Client, ServerKind, TOKEN_TIMEOUT, Token, bearer, url};
use crate::http::{HttpRequest, Response, short_json};
use crate::{Error, ErrorKind, Result};

/// Number of groups requested at the same time.
const AT_ONCE: usize = 8;

/// Flag of servers that stage newcomers (bitwarden/server `Constants.cs`).
const STAGING: &str = "/featureStates/pm-34423-staged-status";

/// Information that not every server provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered<T> {
    /// Complete.
    Read(T),
    /// The server has no such endpoint (404): Vaultwarden, or another server that supports imports only.
    NotOffered,
}

/// Members of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// All members.
    Members(Held),
    /// None: the group was deleted during the read.
    Gone,
}

/// Members of several groups, as far as they could be read.
#[derive(Debug)]
pub struct GroupMemberships {
    /// Groups that were read, in the order requested.
    pub read: Vec<(GroupId, Within)>,
    /// Reason why the others are missing; none if there are no others. After [`Kind::Credentials`] the rest can be requested with a new token.
    pub missing: Option<Error>,
}

impl GroupMemberships {
    /// Complete result, or the error.
    pub fn complete(self) -> Result<Vec<(GroupId, Within)>> {
        self.missing.map_or(Ok(self.read), Err)
    }
}

/// Description of a server by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDescription {
    /// Kind of server.
    pub kind: ServerKind,
    /// Whether newcomers can be staged.
    pub staging: Staging,
}

impl ServerKind {
    /// Rules by which the server works. Only Vaultwarden is known to have its own.
    pub fn rules(&self) -> Rules {
        match self {
            Self::Vaultwarden => Rules::Vaultwarden,
            Self::Official | Self::Other(_) => Rules::Official,
        }
    }
}

impl Client {
    /// Members and groups, without seats and memberships: two requests.
    pub async fn roster(&self, token: &Token) -> Result<Offered<RosterAnswer>> {
        let (members, groups) =
            futures_util::try_join!(self.list(token, "members"), self.list(token, "groups"))?;
        Ok(match (members, groups) {
            (Offered::Read(members), Offered::Read(groups)) => {
                Offered::Read(RosterAnswer { members, groups })
            }
            _ => Offered::NotOffered,
        })
    }

    /// All members, whatever their status.
    pub async fn members(&self, token: &Token) -> Result<Offered<Vec<Member>>> {
        Ok(match self.list(token, "members").await? {
            Offered::Read(list) => Offered::Read(list.entries::<RawMember>().await?),
            Offered::NotOffered => Offered::NotOffered,
        })
    }

    async fn list(&self, token: &Token, what: &str) -> Result<Offered<ListAnswer>> {
        let attempted = format!("Reading the {what} of the organization from {}", self.api_url());
        let response = self.read(token, &attempted, &[what]).await?;
        match response.status.as_u16() {
            404 => Ok(Offered::NotOffered),
            200..=299 => Ok(Offered::Read(ListAnswer { attempted, response })),
            _ => Err(not_done(CallPurpose::ToTell, attempted, &response)),
        }
    }

    /// Members of these groups, one request each, a few at once. Ends at the first failure with the groups read until then.
    pub async fn memberships(&self, token: &Token, groups: &[GroupId]) -> GroupMemberships {
        let asked: Vec<_> = groups.iter().map(|group| self.within(token, group)).collect();
        let mut answers = stream::iter(asked).buffered(AT_ONCE);
        let mut read = Vec::with_capacity(groups.len());
        for group in groups {
            match answers.next().await {
                Some(Ok(within)) => read.push((group.clone(), within)),
                Some(Err(error)) => return GroupMemberships { read, missing: Some(error) },
                None => break,
            }
        }
        GroupMemberships { read, missing: None }
    }

    async fn within(&self, token: &Token, group: &GroupId) -> Result<Within> {
        let attempted = format!("Reading the members of the group {group} from {}", self.api_url());
        let response = self.read(token, &attempted, &["groups", group.as_str(), "member-ids"]).await?;
        if is_gone(&response) {
            return Ok(Within::Gone);
        }
        if !response.status.is_success() {
            return Err(not_done(CallPurpose::ToTell, attempted, &response));
        }
        let ids: Vec<MemberId> = decoded(&attempted, &response)?;
        Ok(Within::Members(Held::of(ids)))
    }

    /// Seats of the subscription. None if the server does not report them: only the cloud does, and a plan may have no number.
    pub async fn seats(&self, token: &Token) -> Result<Option<Seats>> {
        let attempted = format!("Reading the subscription of the organization from {}", self.api_url());
        let response = self.read(token, &attempted, &["organization", "subscription"]).await?;
        match response.status.as_u16() {
            // A self-hosted server refuses, others have no such endpoint.
            400 | 404 | 405 => Ok(None),
            200..=299 => Ok(seats(&response.body)),
            _ => Err(not_done(CallPurpose::ToTell, attempted, &response)),
        }
    }

    /// Kind of server, and whether newcomers can be staged. The token lets the server look up this organization's flags.
    pub async fn server(&self, token: &Token) -> Result<ServerDescription> {
        let attempted = format!("Asking {} what it is", self.api_url());
        let mut request = HttpRequest::get(url(self.api_url(), "/config")?, TOKEN_TIMEOUT);
        request.headers.insert(AUTHORIZATION, bearer(token, &attempted)?);
        let response = self.reads.send(&attempted, &request).await?;
        // A server without the endpoint is an old one, or takes imports only.
        if !response.status.is_success() && response.status != StatusCode::NOT_FOUND {
            return Err(not_done(CallPurpose::ToTell, attempted, &response));
        }
        let config = short_json(&response.body).unwrap_or(Value::Null);
        let is_on = config.pointer(STAGING).and_then(Value::as_bool).unwrap_or_default();
        Ok(ServerDescription {
            kind: ServerKind::of(&config),
            staging: if is_on { Staging::On } else { Staging::Off },
        })
    }
}

/// Lists of members and groups as the server wrote them.
pub struct RosterAnswer {
    members: ListAnswer,
    groups: ListAnswer,
}

impl RosterAnswer {
    /// Digest of both: equal answers hold the same.
    pub fn digest(&self) -> String {
        digest([&self.members.response.body, &self.groups.response.body])
    }

    /// Contents, without seats and memberships.
    pub async fn decoded(self) -> Result<Roster> {
        let Self { members, groups } = self;
        let (members, groups) =
            futures_util::try_join!(members.entries::<RawMember>(), groups.entries::<RawGroup>())?;
        let mut roster = Roster::new(Rules::Official, Basis::Live).with_members(members);
        groups.into_iter().for_each(|group| roster.put_group(group));
        Ok(roster)
    }
}

impl fmt::Debug for RosterAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RosterAnswer").field(&self.digest()).finish()
    }
}

/// A list as the server wrote it.
struct ListAnswer {
    attempted: String,
    response: Response,
}

impl ListAnswer {
    /// The lists of a large organization are decoded beside each other, and beside the directory's.
    async fn entries<R: Raw + 'static>(self) -> Result<Vec<R::Entry>> {
        let Self { attempted, response } = self;
        let about = attempted.clone();
        let decoding = tokio::task::spawn_blocking(move || R::list(&about, &response));
        decoding.await.map_err(|error| Error::new(ErrorKind::Data, attempted, error))?
    }
}

/// A list of the Public API. Members and groups are not paged.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "R: Raw")]
struct List<R: Raw> {
    data: Entries<R>,
    #[serde(default)]
    continuation_token: Option<String>,
}

/// An entry as the server writes it.
trait Raw: DeserializeOwned {
    type Entry: Send + 'static;

    /// Converts it; none without an id.
    fn understood(self) -> Option<Self::Entry>;

    /// Decodes a list: as [`entries`], which is compiled here for speed, and not with what awaits it.
    fn list(attempted: &str, response: &Response) -> Result<Vec<Self::Entry>>;
}

/// Entries of a list, each converted as soon as it is read; none if one of them has no id.
struct Entries<R: Raw>(Option<Vec<R::Entry>>);

impl<'de, R: Raw> Deserialize<'de> for Entries<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Each<R>(PhantomData<R>);

        impl<'de, R: Raw> Visitor<'de> for Each<R> {
            type Value = Entries<R>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Entries<R>, A::Error> {
                let mut entries = Some(Vec::new());
                while let Some(entry) = list.next_element::<R>()? {
                    entries = entries.zip(entry.understood()).map(|(mut entries, entry)| {
                        entries.push(entry);
                        entries
                    });
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_seq(Each(PhantomData))
    }
}

/// Number, or any other value in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Other(IgnoredAny),
}

impl Loose {
    fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Other(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMember {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    status: Option<Loose>,
    #[serde(default, rename = "type")]
    role: Option<Loose>,
}

impl Raw for RawMember {
    type Entry = Member;

    fn list(attempted: &str, response: &Response) -> Result<Vec<Member>> {
        entries::<Self>(attempted, response)
    }

    fn understood(self) -> Option<Member> {
        let id = self.id.filter(|id| !id.trim().is_empty())?;
        // An invalid address finds nobody.
        let email = self.email.as_deref().and_then(Email::parse).or_else(|| Email::parse(&id))?;
        Some(Member {
            id: id.into(),
            email,
            external_id: external_id(self.external_id),
            status: self.status.and_then(Loose::number).map_or(Status::Other, Status::of_number),
            role: match self.role.and_then(Loose::number) {
                Some(0) => Role::Owner,
                Some(1) => Role::Admin,
                Some(2) => Role::User,
                _ => Role::Other,
            },
            account: if self.user_id.is_some_and(|id| !id.is_empty()) {
                Account::Linked
            } else {
                Account::None
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawGroup {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
}

impl Raw for RawGroup {
    type Entry = Group;

    fn list(attempted: &str, response: &Response) -> Result<Vec<Group>> {
        entries::<Self>(attempted, response)
    }

    fn understood(self) -> Option<Group> {
        let id = self.id.filter(|id| !id.trim().is_empty())?;
        Some(Group {
            id: id.into(),
            name: self.name.unwrap_or_default(),
            external_id: external_id(self.external_id),
            members: Held::Unread,
        })
    }
}

fn external_id(text: Option<String>) -> Option<ExternalId> {
    text.filter(|text| !text.trim().is_empty()).map(ExternalId::from)
}

fn decoded<T: DeserializeOwned>(attempted: &str, response: &Response) -> Result<T> {
    serde_json::from_slice(&response.body).map_err(|error| odd(attempted, response, &error.to_string()))
}

fn entries<R: Raw>(attempted: &str, response: &Response) -> Result<Vec<R::Entry>> {
    let list: List<R> = decoded(attempted, response)?;
    if list.continuation_token.is_some_and(|token| !token.is_empty()) {
        let reason = "the server reports that the list continues, which no known version does";
        return Err(Error::new(ErrorKind::Incomplete, attempted, reason)
            .hint("Update bwdc: the server may be newer than it."));
    }
    list.data.0.ok_or_else(|| odd(attempted, response, "an entry of the list has no id"))
}

fn seats(body: &[u8]) -> Option<Seats> {
    let subscription = short_json(body)?;
    let number = |name: &str| {
        let number = subscription.pointer(&format!("/passwordManager/{name}")).and_then(Value::as_u64)?;
        usize::try_from(number).ok()
    };
    Some(Seats { available: number("seats")?, at_most: number("maxAutoScaleSeats") })
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::{answer, harmless};

    const MEMBERS: &str = r#"{"object":"list","data":[{"object":"member","id":"m1","userId":"u","email":"A@x.org","externalId":"e","status":2,"type":0,"collections":null}],"continuationToken":null}"#;
    const GROUPS: &str = r#"{"object":"list","data":[{"object":"group","id":"g1","name":"G","externalId":null,"collections":[]}]}"#;

    fn members(body: &str) -> Result<Vec<Member>> {
        entries::<RawMember>("Reading", &answer(200, body.to_owned()))
    }

    #[test]
    fn a_member_is_read_whatever_is_gone_or_new() {
        let read = members(MEMBERS).unwrap();
        assert_eq!(
            (read[0].email.as_str(), read[0].status, read[0].role),
            ("a@x.org", Status::Confirmed, Role::Owner)
        );
        assert_eq!(read[0].account, Account::Linked);
        let odd = r#"{"data":[{"id":"m","email":null,"externalId":" ","status":7,"type":3,"new":{}},{"id":"n","status":"x","type":null},{"id":"o","email":"o@x.org","status":-1,"type":4}]}"#;
        let read = members(odd).unwrap();
        let shown: Vec<_> = read
            .iter()
            .map(|member| (member.email.as_str(), member.external_id.is_some(), member.status, member.role))
            .collect();
        assert_eq!(
            shown,
            [
                ("m", false, Status::Other, Role::Other),
                ("n", false, Status::Other, Role::Other),
                ("o@x.org", false, Status::of_number(-1), Role::Other),
            ]
        );
    }

    #[test]
    fn an_incomplete_list_is_an_error() {
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"data":null}"#,
            r#"{"data":[{"id":null}]}"#,
            r#"{"data":[{"id":"m"}"#,
            r#"{"data":[7]}"#,
            r#"{"error":"down"}"#,
        ] {
            assert_eq!(members(body).unwrap_err().kind(), ErrorKind::Data, "{body}");
        }
        assert_eq!(
            members(r#"{"data":[],"continuationToken":"x"}"#).unwrap_err().kind(),
            ErrorKind::Incomplete
        );
    }

    #[test]
    fn seats_may_be_reported_or_not() {
        let told = |text: &str| seats(text.as_bytes()).map(|seats| (seats.available, seats.at_most));
        assert_eq!(told(r#"{"passwordManager":{"seats":7,"maxAutoScaleSeats":9}}"#), Some((7, Some(9))));
        assert_eq!(told(r#"{"passwordManager":{"seats":7,"maxAutoScaleSeats":null}}"#), Some((7, None)));
        for odd in [
            "",
            "{}",
            r#"{"passwordManager":null}"#,
            r#"{"passwordManager":{"seats":null}}"#,
            r#"{"passwordManager":{"seats":-1}}"#,
        ] {
            assert_eq!(told(odd), None, "{odd}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_lists_of_the_organization(body in damaged([MEMBERS, GROUPS, r#"["m1","m2"]"#]), status in crate::fuzz::status()) {
            let answer = answer(status, body.clone());
            match entries::<RawMember>("Reading", &answer) {
                Ok(members) => prop_assert!(members.iter().all(|member| !member.id.as_str().is_empty())),
                Err(error) => harmless(&error, body.len())?,
            }
            if let Err(error) = entries::<RawGroup>("Reading", &answer) {
                harmless(&error, body.len())?;
            }
            if let Err(error) = decoded::<Vec<MemberId>>("Reading", &answer) {
                harmless(&error, body.len())?;
            }
            harmless(&not_done(CallPurpose::ToTell, "Reading".to_owned(), &answer), body.len())?;
        }

        #[test]
        fn fuzz_subscriptions(body in damaged([r#"{"passwordManager":{"seats":7,"maxAutoScaleSeats":9,"storage":null},"secretsManager":{"seats":null}}"#])) {
            let _ = seats(&body);
        }
    }
}
