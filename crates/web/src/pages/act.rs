//! Commands that need no page of their own.

use std::sync::Arc;

use axum::extract::{Path, State};

use super::task;
use crate::Site;
use crate::commands::Order;
use crate::tasks::Purpose;
use crate::visit::{Answer, Posted};

pub(crate) async fn sync(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    visitor.did("started a sync", &name);
    let order = Order::new(["sync"]).of(&instance.selection);
    Ok(task::see(&site.start(&visitor, &name, Purpose::Sync, order)?))
}

pub(crate) async fn check(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    visitor.did("started a check", &name);
    let order = Order::new(["doctor", "--json"]).of(&instance.selection);
    Ok(task::see(&site.start(&visitor, &name, Purpose::Check, order)?))
}
