//! Who is logged in. Sessions are in memory only: the end of the process ends them all.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bwdc_config::installation::WebRole;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// Time without a request after which a session ends.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Time after which it ends whatever happens.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// More at once are not needed: one more ends the one that was idle for longest.
const MOST: usize = 200;

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// By a one-time link.
    Link,
    /// By a password: whoever is not in bwdc.toml any more is out.
    Password,
}

/// Somebody who is logged in.
#[derive(Clone)]
pub(crate) struct Session {
    /// Digest of the cookie.
    pub(crate) id: [u8; 32],
    pub(crate) user: String,
    pub(crate) role: WebRole,
    pub(crate) entrance: Entrance,
    secret: String,
    began: Instant,
    seen: Instant,
}

impl Session {
    pub(crate) fn with_role(self, role: WebRole) -> Self {
        Self { role, ..self }
    }

    /// Token of the form that goes to this path.
    pub(crate) fn form_token(&self, path: &str) -> String {
        form_token(&self.secret, path)
    }

    pub(crate) fn is_form_token(&self, path: &str, token: &str) -> bool {
        is_same(&self.form_token(path), token)
    }
}

/// Everybody who is logged in.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, and returns its cookie's value.
    pub(crate) fn begin(&self, user: &str, role: WebRole, entrance: Entrance) -> String {
        self.begin_at(user, (role, entrance), Instant::now())
    }

    fn begin_at(&self, user: &str, (role, entrance): (WebRole, Entrance), now: Instant) -> String {
        let cookie = random();
        let id = digest(cookie.as_bytes());
        let session =
            Session { id, user: user.to_owned(), role, entrance, secret: random(), began: now, seen: now };
        let mut all = self.lock();
        all.retain(|_, session| is_alive(session, now));
        if all.len() >= MOST
            && let Some(idlest) = all.values().min_by_key(|session| session.seen).map(|session| session.id)
        {
            all.remove(&idlest);
        }
        all.insert(id, session);
        cookie
    }

    /// The session of a cookie, which goes on by that.
    pub(crate) fn of(&self, cookie: &str) -> Option<Session> {
        self.of_at(cookie, Instant::now())
    }

    fn of_at(&self, cookie: &str, now: Instant) -> Option<Session> {
        let id = digest(cookie.as_bytes());
        let mut all = self.lock();
        let session = all.get_mut(&id)?;
        if !is_alive(session, now) {
            all.remove(&id);
            return None;
        }
        session.seen = now;
        Some(session.clone())
    }

    pub(crate) fn end(&self, id: &[u8; 32]) {
        self.lock().remove(id);
    }
}

fn is_alive(session: &Session, now: Instant) -> bool {
    now.duration_since(session.seen) < IDLE && now.duration_since(session.began) < LONGEST
}

/// Token of a form, from a secret of 64 characters.
pub(crate) fn form_token(secret: &str, path: &str) -> String {
    hex(&digest(format!("{secret}{path}{secret}").as_bytes()))
}

pub(crate) fn is_same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

/// 244 random bits of the system, as text.
pub(crate) fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_when_idle_and_after_a_day_of_work() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let cookie = sessions.begin_at("anna", (WebRole::Look, Entrance::Link), now);
        assert!(sessions.of_at("another", now).is_none());
        let mut at = now;
        for _ in 0..24 {
            at += IDLE - Duration::from_secs(1);
            if at.duration_since(now) < LONGEST {
                assert_eq!(sessions.of_at(&cookie, at).unwrap().user, "anna");
            }
        }
        assert!(sessions.of_at(&cookie, now + LONGEST).is_none());
        let other = sessions.begin_at("ben", (WebRole::Change, Entrance::Link), now);
        assert!(sessions.of_at(&other, now + IDLE).is_none());
    }

    #[test]
    fn there_are_not_more_than_needed() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let first = sessions.begin_at("first", (WebRole::Look, Entrance::Link), now);
        for number in 0..MOST {
            sessions.begin_at(
                &number.to_string(),
                (WebRole::Look, Entrance::Link),
                now + Duration::from_secs(1),
            );
        }
        assert_eq!(sessions.lock().len(), MOST);
        assert!(sessions.of_at(&first, now).is_none());
    }

    #[test]
    fn a_token_is_for_one_form_of_one_session() {
        let sessions = Sessions::default();
        let one = sessions.of(&sessions.begin("anna", WebRole::Look, Entrance::Link)).unwrap();
        let other = sessions.of(&sessions.begin("anna", WebRole::Look, Entrance::Link)).unwrap();
        let token = one.form_token("/i/hq/sync");
        assert!(one.is_form_token("/i/hq/sync", &token));
        assert!(!one.is_form_token("/i/hq/undo", &token) && !other.is_form_token("/i/hq/sync", &token));
        assert!(!one.is_form_token("/i/hq/sync", ""));
    }
}
