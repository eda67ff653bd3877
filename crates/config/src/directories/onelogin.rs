//! OneLogin.

use bwdc_connect::directory::onelogin::{Config, Region};
use bwdc_connect::directory::{self, incomplete};
use bwdc_connect::http::base_url;
use bwdc_core::filter::NativeQuery;

use crate::env;
use crate::kinds::{
    AskCondition, BuildInput, Built, DirectoryKind, InitQuestion, check_set_filter, set_filter,
};
use crate::secrets::declared::Older::AfterAccount;
use crate::secrets::declared::{DeclaredSecret, in_section, secret};
use crate::setting::StoredAt::In;
use crate::setting::{Type, settings};
use crate::settings::sync;
use bwdc_core::error::Result;

const SECTION: &str = "directoryOnelogin";

settings! {
    REGION: "onelogin.region", In(SECTION, "region"), Type::Choice(&["us", "eu"]), "us", "Region of the account.";
    URL: "onelogin.url", In(SECTION, "url"), Type::Url, "", "The account's own address, such as https://example.onelogin.com, instead of the region's.";
    CLIENT_ID: "onelogin.clientId", In(SECTION, "clientId"), Type::Word, "", "The id of the API credential pair; it needs the scope Read Users.";
    SECRET: "onelogin.secret", In(SECTION, "clientSecret"), Type::Secret, "", "The secret of the API credential pair.";
}

/// Secret of the API credential pair.
pub const API_SECRET: DeclaredSecret = secret! {
    name: "onelogin.secret",
    what: "onelogin.secret",
    variable: "BWDC_ONELOGIN_SECRET",
    storage: in_section(SECTION, "clientSecret", "secretOneLogin", &[AfterAccount("oneLoginClientSecret")]),
};

/// OneLogin.
pub const KIND: DirectoryKind = DirectoryKind {
    name: "onelogin",
    number: Some(4),
    settings: SETTINGS,
    identity: &[CLIENT_ID, REGION, URL],
    files: &[],
    secret: Some(&API_SECRET),
    questions: &[
        InitQuestion::new(&REGION, AskCondition::Always),
        InitQuestion::new(&CLIENT_ID, AskCondition::Always),
        InitQuestion::new(&SECRET, AskCondition::Always),
    ],
    check_filter: check_set_filter,
    takes_secret: |_| true,
    has_offer: |_| false,
    build,
};

fn build(BuildInput { values, environment, secret, .. }: BuildInput<'_>) -> Result<Built> {
    let users = set_filter(&values, &sync::USER_FILTER, NativeQuery::None)?;
    let groups = set_filter(&values, &sync::GROUP_FILTER, NativeQuery::None)?;
    let region = if values.is_choice(&REGION, "eu")? { Region::Eu } else { Region::Us };
    let api_url = match (environment.text(env::ONELOGIN_API_URL), values.text(&URL)?) {
        (Some(url), _) => base_url(env::ONELOGIN_API_URL, &url, "https://api.eu.onelogin.com")?,
        (None, Some(url)) => Config::account_url(&url)?,
        (None, None) => Config::api_of(region)?,
    };
    let client_id = values
        .text(&CLIENT_ID)?
        .ok_or_else(|| incomplete(CLIENT_ID.name, "Set it with `bwdc config onelogin.clientId ID`."))?;
    let client_secret =
        secret.ok_or_else(|| incomplete(SECRET.name, "Set it with `bwdc config onelogin.secret`."))?;
    let is_made = values.flag(&sync::USE_EMAIL_PREFIX_SUFFIX)?;
    let email_suffix =
        if is_made { Some(values.text(&sync::EMAIL_SUFFIX)?.unwrap_or_default()) } else { None };
    let network = environment.network()?;
    let config = Config { api_url, client_id, client_secret, email_suffix, network };
    Ok(Built {
        directory: directory::Config::OneLogin(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings: Vec::new(),
    })
}
