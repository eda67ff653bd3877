//! Okta.

use std::path::Path;

use bwdc_connect::directory::okta::Credentials;
use bwdc_connect::directory::{self, incomplete, okta};
use bwdc_connect::http::assertion::Signer;
use bwdc_core::Secret;
use bwdc_core::filter::NativeQuery;

use super::values::Values;
use super::{Chosen, Given, key_file, set_filter};
use bwdc_core::error::Result;

pub(super) fn chosen(Given { values, environment, secret, folder }: Given<'_>) -> Result<Chosen> {
    let users = set_filter(&values, "sync.userFilter", NativeQuery::Allowed)?;
    let groups = set_filter(&values, "sync.groupFilter", NativeQuery::Allowed)?;
    let url = values.text("okta.orgUrl")?.ok_or_else(|| {
        incomplete("okta.orgUrl", "Set it with `bwdc config okta.orgUrl https://example.okta.com`.")
    })?;
    let org_url = okta::Config::org_url(&url)?;
    let (credentials, warnings) = match values.text("okta.clientId")? {
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
    Ok(Chosen {
        directory: directory::Config::Okta(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings,
    })
}

/// Whether we log in with an API token, and not as an application.
pub(super) fn needs_token(values: &Values<'_>) -> bool {
    !matches!(values.text("okta.clientId"), Ok(Some(_)))
}

fn token(secret: Option<Secret>) -> Result<Credentials> {
    let next_step = "Set it with `bwdc config okta.token`, or okta.clientId and okta.privateKeyFile.";
    Ok(Credentials::Token(secret.ok_or_else(|| incomplete("okta.token", next_step))?))
}

fn application(values: &Values<'_>, folder: &Path, client_id: String) -> Result<(Credentials, Vec<String>)> {
    let setting = "okta.privateKeyFile";
    let path = values
        .text(setting)?
        .ok_or_else(|| incomplete(setting, "Set it with `bwdc config okta.privateKeyFile PATH`."))?;
    let file = key_file::read(setting, folder, &path)?;
    let signer = Signer::from_pem_or_jwk(&file.text, &file.named)?.with_key_id(values.text("okta.keyId")?);
    Ok((Credentials::Application { client_id, signer }, file.warnings))
}
