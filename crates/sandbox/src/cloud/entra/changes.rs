//! The changes of people since a link was given out ("Use delta query to track changes").

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

use super::super::{Engine, repeats_page};
use super::{
    Asked, Entity, LinkRefusal, PAGE_OF_CHANGES, Person, Tenant, USERS, answered, denied, link, refused, set,
    unsupported,
};

/// Round of changes, as encoded in the tokens: its link, the range of changes, and the progress.
struct Round {
    link: usize,
    /// Everybody if absent.
    from: Option<usize>,
    until: usize,
    offset: usize,
    select: String,
}

impl Round {
    fn token(&self) -> String {
        let Self { link, from, until, offset, select } = self;
        let from = from.map_or("all".to_owned(), |from| from.to_string());
        BASE64URL.encode(format!("{link}:{from}:{until}:{offset}:{select}"))
    }

    fn of(token: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64URL.decode(token).ok()?).ok()?;
        let parts: Vec<&str> = text.split(':').collect();
        let [link, from, until, offset, select] = parts[..] else { return None };
        let from = if from == "all" { None } else { Some(from.parse().ok()?) };
        Some(Self {
            link: link.parse().ok()?,
            from,
            until: until.parse().ok()?,
            offset: offset.parse().ok()?,
            select: select.to_owned(),
        })
    }
}

/// People who joined, changed or left since a link was issued; everybody without one; nobody with `latest`.
pub(super) async fn changes(asked: Asked) -> Response {
    let (State((entra, engine)), Query(query), parts) = &asked;
    let mut tenant = entra.tenant();
    let refusal = denied(&tenant, USERS)
        .or_else(|| unsupported(query, &["$select", "$skiptoken", "$deltatoken"]))
        .or_else(|| Entity::USER.selection(query).err().map(|refusal| *refusal));
    if let Some(refusal) = refusal {
        return refusal;
    }
    let round = match round(&tenant, engine, query) {
        Ok(round) => round,
        Err(refusal) => return *refusal,
    };
    let names: Vec<&str> = match round.select.as_str() {
        "" => Entity::USER.usual.to_vec(),
        select => select.split(',').collect(),
    };
    let people: Vec<&Person> = match round.from {
        None => tenant.present().collect(),
        Some(from) => tenant.changes(from, round.until),
    };
    let size = engine.page(None, PAGE_OF_CHANGES, PAGE_OF_CHANGES);
    let page: Vec<Value> =
        people.iter().skip(round.offset).take(size).map(|person| person.shown_changed(&names)).collect();
    let has_more = round.offset + size < people.len();
    let mut body = json!({
        "@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#users({})", names.join(",")),
        "value": page,
    });
    let (name, token, link_name) = if has_more {
        let next = Round { offset: round.offset + size, ..round };
        ("$skiptoken", next.token(), "@odata.nextLink")
    } else {
        let (link, until) = (tenant.new_link(), round.until);
        let next = Round { link, from: Some(until), until, offset: 0, ..round };
        ("$deltatoken", next.token(), "@odata.deltaLink")
    };
    body[link_name] = link(engine, parts, &HashMap::from([(name.to_owned(), token)])).into();
    if repeats_page(parts) {
        body["@odata.nextLink"] = format!("{}{}", engine.url(), parts.uri).into();
    }
    answered(parts, &body)
}

fn round(tenant: &Tenant, engine: &Engine, query: &HashMap<String, String>) -> Result<Round, Box<Response>> {
    let now = tenant.changed();
    let select = query.get("$select").cloned().unwrap_or_default();
    let bad = || {
        let text = "The sync token is badly formed.";
        Box::new(refused(StatusCode::BAD_REQUEST, "Directory_InvalidSyncToken", text))
    };
    if tenant.keeps_no_changes() {
        return Err(Box::new(refused_link(engine, LinkRefusal::NotKept)));
    }
    if let Some(token) = query.get("$skiptoken") {
        return Round::of(token).ok_or_else(bad);
    }
    match query.get("$deltatoken").map(String::as_str) {
        None => Ok(Round { link: 0, from: None, until: now, offset: 0, select }),
        Some("latest") => Ok(Round { link: 0, from: Some(now), until: now, offset: 0, select }),
        Some(token) => {
            let round = Round::of(token).ok_or_else(bad)?;
            match tenant.refusal_of(round.link) {
                None => Ok(Round { until: now, ..round }),
                Some(why) => Err(Box::new(refused_link(engine, why))),
            }
        }
    }
}

fn refused_link(engine: &Engine, why: LinkRefusal) -> Response {
    match why {
        LinkRefusal::Expired => {
            refused(StatusCode::BAD_REQUEST, "syncStateNotFound", "The sync state generation is not found.")
        }
        LinkRefusal::Malformed => {
            refused(StatusCode::BAD_REQUEST, "Request_BadRequest", "Badly formed token.")
        }
        LinkRefusal::Unavailable => {
            refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The service is unavailable.")
        }
        LinkRefusal::Denied => refused(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        ),
        LinkRefusal::NotKept => refused(
            StatusCode::BAD_REQUEST,
            "Request_UnsupportedQuery",
            "Change enumeration is not supported for requested tenant.",
        ),
        LinkRefusal::Reset => {
            let mut answer = refused(
                StatusCode::GONE,
                "resyncRequired",
                "Resync required. Replace any local items with the server's version (including deletes).",
            );
            let location = format!("{}/v1.0/users/delta?$deltatoken=", engine.url());
            set(answer.headers_mut(), "location", &location);
            answer
        }
    }
}
