//! OneLogin.

use bwdc_connect::directory::onelogin::{Config, Region};
use bwdc_connect::directory::{self, incomplete};
use bwdc_connect::http::base_url;
use bwdc_core::filter::NativeQuery;

use super::{Chosen, Given, set_filter};
use crate::env;
use bwdc_core::error::Result;

pub(super) fn chosen(Given { values, environment, secret, .. }: Given<'_>) -> Result<Chosen> {
    let users = set_filter(&values, "sync.userFilter", NativeQuery::None)?;
    let groups = set_filter(&values, "sync.groupFilter", NativeQuery::None)?;
    let region = if values.is_choice("onelogin.region", "eu")? { Region::Eu } else { Region::Us };
    let api_url = match (environment.text(env::ONELOGIN_API_URL), values.text("onelogin.url")?) {
        (Some(url), _) => base_url(env::ONELOGIN_API_URL, &url, "https://api.eu.onelogin.com")?,
        (None, Some(url)) => Config::account_url(&url)?,
        (None, None) => Config::api_of(region)?,
    };
    let client_id = values
        .text("onelogin.clientId")?
        .ok_or_else(|| incomplete("onelogin.clientId", "Set it with `bwdc config onelogin.clientId ID`."))?;
    let client_secret =
        secret.ok_or_else(|| incomplete("onelogin.secret", "Set it with `bwdc config onelogin.secret`."))?;
    let is_made = values.flag("sync.useEmailPrefixSuffix")?;
    let email_suffix =
        if is_made { Some(values.text("sync.emailSuffix")?.unwrap_or_default()) } else { None };
    let network = environment.network()?;
    let config = Config { api_url, client_id, client_secret, email_suffix, network };
    Ok(Chosen {
        directory: directory::Config::OneLogin(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings: Vec::new(),
    })
}
