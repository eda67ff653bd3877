//! Okta.

use std::path::Path;

use bwdc_connect::directory::okta::Credentials;
use bwdc_connect::directory::{self, incomplete, okta};
use bwdc_connect::http::assertion::Signer;
use bwdc_core::Secret;
use bwdc_core::filter::NativeQuery;

use super::key_file;
use crate::kinds::{AskCondition, BuildInput, Built, DirectoryKind, InitQuestion, check_query, set_filter};
use crate::secrets::declared::Older::AfterAccount;
use crate::secrets::declared::{DeclaredSecret, in_section, secret};
use crate::setting::StoredAt::In;
use crate::setting::{Type, settings};
use crate::settings::sync;
use crate::values::StoredValues;
use bwdc_core::error::Result;

const SECTION: &str = "directoryOkta";

settings! {
    ORG_URL: "okta.orgUrl", In(SECTION, "orgUrl"), Type::Url, "", "The organization's URL, such as https://example.okta.com.";
    TOKEN: "okta.token", In(SECTION, "token"), Type::Secret, "", "The API token of a Read-Only Administrator. Not needed with okta.clientId.";
    CLIENT_ID: "okta.clientId", In(SECTION, "clientId"), Type::Word, "", "Client id of an API Services application, to log in with its private key instead of a token.";
    PRIVATE_KEY_FILE: "okta.privateKeyFile", In(SECTION, "privateKeyFile"), Type::Path, "", "The application's private key: a PEM or JWK file; relative to data.json's folder.";
    KEY_ID: "okta.keyId", In(SECTION, "keyId"), Type::Word, "", "Key id (kid), if the application has several keys and the file does not name it.";
}

/// API token of a Read-Only Administrator.
pub const SECRET: DeclaredSecret = secret! {
    name: "okta.token",
    what: "okta.token",
    variable: "BWDC_OKTA_TOKEN",
    storage: in_section(SECTION, "token", "secretOkta", &[AfterAccount("oktaToken")]),
};

/// Okta.
pub const KIND: DirectoryKind = DirectoryKind {
    name: "okta",
    number: Some(3),
    settings: SETTINGS,
    identity: &[ORG_URL],
    files: &[PRIVATE_KEY_FILE],
    secret: Some(&SECRET),
    questions: &[
        InitQuestion::new(&ORG_URL, AskCondition::Always),
        InitQuestion::new(&TOKEN, AskCondition::WithSecretOr(&PRIVATE_KEY_FILE)),
    ],
    check_filter: check_query,
    takes_secret: needs_token,
    has_offer: |_| false,
    build,
};

fn build(BuildInput { values, environment, secret, folder }: BuildInput<'_>) -> Result<Built> {
    let users = set_filter(&values, &sync::USER_FILTER, NativeQuery::Allowed)?;
    let groups = set_filter(&values, &sync::GROUP_FILTER, NativeQuery::Allowed)?;
    let url = values.text(&ORG_URL)?.ok_or_else(|| {
        incomplete(ORG_URL.name, "Set it with `bwdc config okta.orgUrl https://example.okta.com`.")
    })?;
    let org_url = okta::Config::org_url(&url)?;
    let (credentials, warnings) = match values.text(&CLIENT_ID)? {
        Some(client_id) => application(&values, folder, client_id)?,
        None => (token(secret)?, Vec::new()),
    };
    let config = okta::Config {
        org_url,
        credentials,
        user_filter: users.native,
        group_filter: groups.native,
        network: environment.network()?,
    };
    Ok(Built {
        directory: directory::Config::Okta(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings,
    })
}

/// Whether we log in with an API token, and not as an application.
fn needs_token(values: &StoredValues<'_>) -> bool {
    !matches!(values.text(&CLIENT_ID), Ok(Some(_)))
}

fn token(secret: Option<Secret>) -> Result<Credentials> {
    let next_step = "Set it with `bwdc config okta.token`, or okta.clientId and okta.privateKeyFile.";
    Ok(Credentials::Token(secret.ok_or_else(|| incomplete(TOKEN.name, next_step))?))
}

fn application(
    values: &StoredValues<'_>,
    folder: &Path,
    client_id: String,
) -> Result<(Credentials, Vec<String>)> {
    let setting = &PRIVATE_KEY_FILE;
    let path = values
        .text(setting)?
        .ok_or_else(|| incomplete(setting.name, "Set it with `bwdc config okta.privateKeyFile PATH`."))?;
    let file = key_file::read(setting.name, folder, &path)?;
    let signer = Signer::from_pem_or_jwk(&file.text, &file.named)?.with_key_id(values.text(&KEY_ID)?);
    Ok((Credentials::Application { client_id, signer }, file.warnings))
}
