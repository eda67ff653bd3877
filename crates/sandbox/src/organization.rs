//! Seats, plan and mail of the organization: the administrator's purchases and settings, and the server's refusals if they are not enough.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::Limits;
use crate::import::{Step, Stop};
use crate::request::Faults;
use crate::response::public_error;
use crate::store::{self, Store};

/// Seats of the organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seats {
    /// Number of paid seats; no limit if there is no number.
    pub number: Option<u32>,
    /// Number of seats up to which the cloud buys more by itself; no limit if there is no number. Self-hosted servers never buy.
    pub most: Option<u32>,
    /// Party that pays.
    pub payer: Payer,
}

/// Party that pays for more seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Payer {
    /// The organization itself: seats are bought automatically.
    #[default]
    Itself,
    /// A provider who is billed.
    Provider,
    /// A reseller.
    Reseller,
    /// Nobody; the subscription has ended.
    Cancelled,
}

/// Feature of a plan that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Feature {
    /// Imports (`useDirectory`).
    Directory,
    /// Groups (`useGroups`).
    Groups,
    /// Mail that is delivered.
    Mail,
}

#[derive(Default)]
struct State {
    seats: Seats,
    missing: HashSet<Feature>,
}

/// Seats and missing features.
#[derive(Default)]
pub(crate) struct Scene(Mutex<State>);

impl Scene {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seats(&self) -> Seats {
        self.state().seats
    }

    pub(crate) fn set_seats(&self, seats: Seats) {
        self.state().seats = seats;
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        !self.state().missing.contains(&feature)
    }

    pub(crate) fn take_away(&self, feature: Feature) {
        self.state().missing.insert(feature);
    }

    pub(crate) fn give_back(&self, feature: Feature) {
        self.state().missing.remove(&feature);
    }
}

/// Refusal in the format of the Public API.
pub(crate) fn refused(message: &str) -> Stop {
    Stop::Answer(Box::new(public_error(StatusCode::BAD_REQUEST, message, None)))
}

/// Refusal of every change that would leave nobody in charge.
pub(crate) fn last_owner() -> Stop {
    refused("Organization must have at least one confirmed owner.")
}

/// Makes room for members that take up a seat: buys seats on the cloud, or refuses.
pub(crate) fn take_seats(store: &Store, limits: Limits, more: usize) -> Step<()> {
    let seats = store.scene().seats();
    let Some(number) = seats.number else { return Ok(()) };
    let more = u32::try_from(more).unwrap_or(u32::MAX);
    let needed = store.read(store::changes::occupied)?.saturating_add(more);
    if more == 0 || needed <= number {
        return Ok(());
    }
    let message = match (limits, seats.payer) {
        (Limits::SelfHosted, _) => "Cannot autoscale on self-hosted instance.",
        (Limits::Cloud, Payer::Provider) => {
            "Seat limit has been reached. Please contact your provider to add more seats."
        }
        (Limits::Cloud, Payer::Reseller) => {
            "Seat limit has been reached. Contact your provider to purchase additional seats."
        }
        (Limits::Cloud, Payer::Cancelled) => {
            "You do not have an active subscription. Reinstate your subscription to make changes"
        }
        (Limits::Cloud, Payer::Itself) if seats.most.is_some_and(|most| needed > most) => {
            "Seat limit has been reached."
        }
        (Limits::Cloud, Payer::Itself) => {
            store.scene().set_seats(Seats { number: Some(needed), ..seats });
            store.write(|db| store::event(db, "seats added", &(needed - number).to_string()))?;
            return Ok(());
        }
    };
    Err(refused(message))
}

/// Refusal if invitations cannot be mailed. The caller has removed the new members again.
pub(crate) fn mail_failed() -> Stop {
    let errors =
        Faults::from([("An error has occurred.".to_owned(), vec!["Unable to send mail.".to_owned()])]);
    Stop::Answer(Box::new(public_error(StatusCode::BAD_REQUEST, "Errors have occurred.", Some(&errors))))
}
