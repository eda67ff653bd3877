//! Okta.

use bwdc_connect::directory::{self, incomplete, okta};
use bwdc_core::filter::NativeQuery;

use super::{Chosen, Given, set_filter};
use crate::error::Result;

pub(super) fn chosen(Given { values, environment, secret, .. }: Given<'_>) -> Result<Chosen> {
    let users = set_filter(&values, "sync.userFilter", NativeQuery::Allowed)?;
    let groups = set_filter(&values, "sync.groupFilter", NativeQuery::Allowed)?;
    let url = values.text("okta.orgUrl")?.ok_or_else(|| {
        incomplete("okta.orgUrl", "Set it with `bwdc config okta.orgUrl https://example.okta.com`.")
    })?;
    let token = secret.ok_or_else(|| incomplete("okta.token", "Set it with `bwdc config okta.token`."))?;
    let config = okta::Config {
        org_url: okta::Config::org_url(&url)?,
        token,
        user_filter: users.native,
        group_filter: groups.native,
        network: environment.network()?,
    };
    Ok(Chosen {
        directory: directory::Config::Okta(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings: Vec::new(),
    })
}
