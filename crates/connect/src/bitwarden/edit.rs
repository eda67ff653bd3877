//! Changes to single members and groups. Each reports whether it was made, was not made, or may have been.

use bwdc_core::entry::{Email, ExternalId};
use bwdc_core::organization::roster::{GroupId, MemberId, Role};
use reqwest::Method;
use serde_json::{Value, json};

use super::call::{CallPurpose, UNCLEAR, is_gone, not_done, odd};
use super::{Client, Token, is_an_answer, message};
use crate::http::{Response, short_json};
use crate::{Error, ErrorKind, Result};

/// Outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditOutcome<T> {
    /// It was made.
    Done(T),
    /// It was certainly not made, and the server is not working on it.
    NotDone(Error),
    /// Unknown; the server may still be working on it. The kind of the error is [`Kind::Unclear`].
    Unclear(Error),
}

impl<T> EditOutcome<T> {
    fn of(result: Result<T>) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(error) if error.kind() == ErrorKind::Unclear => Self::Unclear(error),
            Err(error) => Self::NotDone(error),
        }
    }
}

/// Effect of a change that may have been made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditEffect {
    /// It was made by this request.
    Made,
    /// It had been made before: revoked or restored already, or gone.
    WasSo,
}

/// Person to be invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Address for the invitation.
    pub email: Email,
    /// Role. [`Role::Other`] cannot be assigned.
    pub role: Role,
    /// Id by which a directory knows the person.
    pub external_id: Option<ExternalId>,
    /// Groups to add the person to at once.
    pub groups: Vec<GroupId>,
}

/// Answers about a member who is revoked or active already. They are refusals with a text alone: the server sends no code.
const ALREADY_REVOKED: &str = "Already revoked";
const ALREADY_ACTIVE: &str = "Already active";

/// Change to be made, and the words that describe it.
struct Call<'a> {
    attempted: String,
    method: Method,
    path: &'a [&'a str],
    body: Option<Value>,
}

impl Client {
    /// Revokes a member's access; the membership stays, with its groups.
    pub async fn revoke(&self, token: &Token, member: &MemberId) -> EditOutcome<EditEffect> {
        self.turn(token, member, ("Revoking", "revoke"), ALREADY_REVOKED).await
    }

    /// Restores a revoked member's access, with the previous status.
    pub async fn restore(&self, token: &Token, member: &MemberId) -> EditOutcome<EditEffect> {
        self.turn(token, member, ("Restoring", "restore"), ALREADY_ACTIVE).await
    }

    async fn turn(
        &self,
        token: &Token,
        member: &MemberId,
        (doing, verb): (&str, &str),
        was_so: &str,
    ) -> EditOutcome<EditEffect> {
        let attempted = self.words(doing, "the member", member.as_str());
        let path = ["members", member.as_str(), verb];
        let answered = self.ask(token, &attempted, (Method::POST, &path), None).await;
        let says_so = answered.as_ref().is_ok_and(|response| message::of(response, None).contains(was_so));
        EditOutcome::of(match judged(attempted, answered, empty) {
            Err(error) if says_so && error.kind() == ErrorKind::Refused => Ok(EditEffect::WasSo),
            other => other.map(|()| EditEffect::Made),
        })
    }

    /// Removes a member from the organization. The account stays.
    pub async fn delete_member(&self, token: &Token, member: &MemberId) -> EditOutcome<EditEffect> {
        let attempted = self.words("Removing", "the member", member.as_str());
        self.delete(token, attempted, &["members", member.as_str()]).await
    }

    /// Deletes a group. Its members stay in the organization.
    pub async fn delete_group(&self, token: &Token, group: &GroupId) -> EditOutcome<EditEffect> {
        let attempted = self.words("Deleting", "the group", group.as_str());
        self.delete(token, attempted, &["groups", group.as_str()]).await
    }

    async fn delete(&self, token: &Token, attempted: String, path: &[&str]) -> EditOutcome<EditEffect> {
        let answered = self.ask(token, &attempted, (Method::DELETE, path), None).await;
        EditOutcome::of(match answered {
            Ok(response) if is_gone(&response) => Ok(EditEffect::WasSo),
            answered => judged(attempted, answered, empty).map(|()| EditEffect::Made),
        })
    }

    /// Changes or clears a member's external id. Everything else is read first and sent back unchanged.
    pub async fn put_member(
        &self,
        token: &Token,
        member: &MemberId,
        external_id: Option<&ExternalId>,
    ) -> EditOutcome<()> {
        let attempted = self.words("Changing the external id of", "the member", member.as_str());
        let path = ["members", member.as_str()];
        let body = self.as_it_is(token, &attempted, &path, &["type", "collections"]).await.map(|mut body| {
            set(&mut body, "externalId", json!(external_id.map(ExternalId::as_str)));
            body
        });
        self.put(token, attempted, &path, body).await
    }

    /// Changes a group's name and external id. Its collections are read first and sent back unchanged.
    pub async fn put_group(
        &self,
        token: &Token,
        group: &GroupId,
        name: &str,
        external_id: Option<&ExternalId>,
    ) -> EditOutcome<()> {
        let attempted = self.words("Changing", "the group", group.as_str());
        let path = ["groups", group.as_str()];
        let body = self.as_it_is(token, &attempted, &path, &["collections"]).await.map(|mut body| {
            set(&mut body, "name", json!(name));
            set(&mut body, "externalId", json!(external_id.map(ExternalId::as_str)));
            body
        });
        self.put(token, attempted, &path, body).await
    }

    /// Reads the current object, to be sent back.
    async fn as_it_is(&self, token: &Token, attempted: &str, path: &[&str], must: &[&str]) -> Result<Value> {
        let response = self.read(token, attempted, path).await?;
        if !response.status.is_success() {
            return Err(not_done(CallPurpose::ToTell, attempted.to_owned(), &response));
        }
        let value = short_json(&response.body).unwrap_or_default();
        let lacks = |key: &&&str| value.get(**key).is_none();
        // Without properties that would be reset, nothing can be sent back unchanged.
        match ["id"].iter().chain(must).find(lacks) {
            None => Ok(value),
            Some(key) => Err(odd(attempted, &response, &format!("it has no `{key}`"))),
        }
    }

    async fn put(
        &self,
        token: &Token,
        attempted: String,
        path: &[&str],
        body: Result<Value>,
    ) -> EditOutcome<()> {
        match body {
            // Nothing has been requested yet.
            Err(error) => EditOutcome::NotDone(error),
            Ok(body) => {
                let call = Call { attempted, method: Method::PUT, path, body: Some(body) };
                EditOutcome::of(self.change(token, call, |response| object(response).map(|_| ())).await)
            }
        }
    }

    /// Replaces the members of a group.
    pub async fn put_group_members(
        &self,
        token: &Token,
        group: &GroupId,
        members: &[MemberId],
    ) -> EditOutcome<()> {
        let ids: Vec<&str> = members.iter().map(MemberId::as_str).collect();
        let call = Call {
            attempted: self.words("Setting the members of", "the group", group.as_str()),
            method: Method::PUT,
            path: &["groups", group.as_str(), "member-ids"],
            body: Some(json!({ "memberIds": ids })),
        };
        EditOutcome::of(self.change(token, call, empty).await)
    }

    /// Sends an invitation again. Only members who have not answered can be invited again.
    pub async fn reinvite(&self, token: &Token, member: &MemberId) -> EditOutcome<()> {
        let call = Call {
            attempted: self.words("Inviting again", "the member", member.as_str()),
            method: Method::POST,
            path: &["members", member.as_str(), "reinvite"],
            body: None,
        };
        EditOutcome::of(self.change(token, call, empty).await)
    }

    /// Invites a person, with role, external id and groups.
    pub async fn invite(&self, token: &Token, invitation: &Invitation) -> EditOutcome<MemberId> {
        let attempted = self.words("Inviting", "", invitation.email.as_str());
        let role = match invitation.role {
            Role::Owner => 0,
            Role::Admin => 1,
            Role::User => 2,
            Role::Other => {
                let reason = "a role with its own permissions cannot be assigned";
                return EditOutcome::NotDone(Error::new(ErrorKind::Configuration, attempted, reason));
            }
        };
        let groups: Vec<&str> = invitation.groups.iter().map(GroupId::as_str).collect();
        let body = json!({
            "email": invitation.email.as_str(), "type": role, "groups": groups,
            "externalId": invitation.external_id.as_ref().map(ExternalId::as_str),
        });
        let call = Call { attempted, method: Method::POST, path: &["members"], body: Some(body) };
        EditOutcome::of(self.change(token, call, object).await.map(MemberId::from))
    }

    /// Creates a group without members and collections. Two groups may have the same name.
    pub async fn create_group(
        &self,
        token: &Token,
        name: &str,
        external_id: Option<&ExternalId>,
    ) -> EditOutcome<GroupId> {
        let body = json!({ "name": name, "externalId": external_id.map(ExternalId::as_str) });
        let attempted = self.words("Creating", "the group", name);
        let call = Call { attempted, method: Method::POST, path: &["groups"], body: Some(body) };
        EditOutcome::of(self.change(token, call, object).await.map(GroupId::from))
    }

    fn words(&self, doing: &str, what: &str, name: &str) -> String {
        let what = if what.is_empty() { name.to_owned() } else { format!("{what} {name}") };
        format!("{doing} {what} at {}", self.api_url())
    }

    async fn change<T>(
        &self,
        token: &Token,
        call: Call<'_>,
        understand: fn(&Response) -> Option<T>,
    ) -> Result<T> {
        let Call { attempted, method, path, body } = call;
        let answered = self.ask(token, &attempted, (method, path), body.as_ref()).await;
        judged(attempted, answered, understand)
    }
}

/// Meaning of an answer, or of its absence, for a change.
fn judged<T>(
    attempted: String,
    answered: Result<Response>,
    understand: fn(&Response) -> Option<T>,
) -> Result<T> {
    let response = match answered {
        Ok(response) => response,
        // The answer is too large: the request was received.
        Err(error) if error.kind() == ErrorKind::Data => return Err(unclear(&error)),
        Err(error) if error.kind() == ErrorKind::Unclear => return Err(error.hint(UNCLEAR)),
        Err(error) => return Err(error),
    };
    if !response.status.is_success() {
        return Err(not_done(CallPurpose::ToChange, attempted, &response));
    }
    understand(&response)
        .ok_or_else(|| unclear(&odd(&attempted, &response, "it does not say that it is done")))
}

fn unclear(error: &Error) -> Error {
    Error::new(ErrorKind::Unclear, "", error).hint(UNCLEAR)
}

/// Accepts an empty answer, or one without an error.
fn empty(response: &Response) -> Option<()> {
    is_an_answer(response).then_some(())
}

/// Id in an answer with an object.
fn object(response: &Response) -> Option<String> {
    let value = short_json(&response.body)?;
    value.get("id")?.as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

fn set(body: &mut Value, key: &str, value: Value) {
    if let Value::Object(object) = body {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::{answer, harmless};

    fn outcome(status: u16, body: &str) -> EditOutcome<String> {
        EditOutcome::of(judged("Creating".to_owned(), Ok(answer(status, body.to_owned())), object))
    }

    #[test]
    fn the_meaning_of_a_status_for_a_change() {
        assert_eq!(outcome(200, r#"{"id":"g"}"#), EditOutcome::Done("g".to_owned()));
        for status in [301, 400, 401, 403, 404, 409, 413, 425, 429, 501, 503] {
            assert!(matches!(outcome(status, ""), EditOutcome::NotDone(_)), "{status}");
        }
        for status in [408, 500, 502, 504, 520, 522, 524, 599] {
            assert!(matches!(outcome(status, ""), EditOutcome::Unclear(_)), "{status}");
        }
        for page in ["", "<html>Sign in</html>", "{}", r#"{"id":null}"#, r#"{"error":"down"}"#] {
            let EditOutcome::Unclear(error) = outcome(200, page) else { panic!("{page}") };
            assert_eq!(error.next_step(), Some(UNCLEAR));
            assert!(error.to_string().starts_with("Creating: HTTP 200"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_answers_to_changes(
            body in damaged([r#"{"object":"group","id":"g1","name":"G"}"#, r#"{"object":"error","message":"Already revoked.","errors":null}"#, ""]),
            status in crate::fuzz::status(),
        ) {
            for result in [
                judged("Changing".to_owned(), Ok(answer(status, body.clone())), object),
                judged("Changing".to_owned(), Ok(answer(status, body.clone())), empty).map(|()| "x".to_owned()),
            ] {
                match result {
                    Ok(id) => prop_assert!((200..300).contains(&status) && !id.is_empty()),
                    Err(error) => harmless(&error, body.len())?,
                }
            }
        }
    }
}
