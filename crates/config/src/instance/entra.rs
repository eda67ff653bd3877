//! Microsoft Entra ID.

use bwdc_connect::directory::entra::{self, Authority, Credential, Filter, OutsideGroups};
use bwdc_connect::directory::{self, incomplete};
use bwdc_core::filter::{FilterError, SetFilter};

use super::{Chosen, Given, Values, not_understood};
use crate::env::{self, Environment};
use crate::place;
use bwdc_core::error::Result;
use bwdc_store::Data;

pub(super) fn chosen(given: Given<'_>) -> Result<Chosen> {
    let Given { values, environment, .. } = &given;
    let users = filter(values, "sync.userFilter", Filter::of_users)?;
    let groups = filter(values, "sync.groupFilter", Filter::of_groups)?;
    let authority = authority(values)?;
    let at = |variable| environment.text(variable);
    let config = entra::Config {
        authority,
        login_url: authority.login_url(env::ENTRA_LOGIN_URL, at(env::ENTRA_LOGIN_URL).as_deref())?,
        graph_url: authority.graph_url(env::ENTRA_GRAPH_URL, at(env::ENTRA_GRAPH_URL).as_deref())?,
        tenant: required(&given, "entra.tenant", env::AZURE_TENANT_ID)?,
        application_id: required(&given, "entra.applicationId", env::AZURE_CLIENT_ID)?,
        outside_groups: if values.is_choice("sync.nestedGroups", "all")? {
            OutsideGroups::Read
        } else {
            OutsideGroups::Ignored
        },
        network: environment.network()?,
        user_filter: users.clone(),
        group_filter: groups.clone(),
        credential: credential(given)?,
    };
    Ok(Chosen {
        directory: directory::Config::Entra(Box::new(config)),
        user_filter: users.set.clone(),
        group_filter: names(&groups),
        warnings: Vec::new(),
    })
}

/// With a group filter of any kind, people come who are in the kept groups.
fn names(groups: &Filter) -> Option<SetFilter> {
    let any = || (!groups.is_by_set_only()).then(|| SetFilter::All(Vec::new()));
    groups.set.clone().or_else(any)
}

fn filter(
    values: &Values<'_>,
    name: &str,
    parse: impl Fn(&str) -> std::result::Result<Filter, FilterError>,
) -> Result<Filter> {
    let text = values.text(name)?.unwrap_or_default();
    parse(&text).map_err(|error| not_understood(name, &error))
}

fn authority(values: &Values<'_>) -> Result<Authority> {
    const NAME: &str = "entra.identityAuthority";
    let host = values.text(NAME)?.unwrap_or_else(|| Authority::HOSTS[0].to_owned());
    Authority::named(&host)
        .ok_or_else(|| incomplete(NAME, &format!("It is one of: {}.", Authority::HOSTS.join(", "))).into())
}

/// A setting, or the variable by which workload identities are told the same.
fn required(given: &Given<'_>, name: &str, variable: &str) -> Result<String> {
    let value = given.values.text(name)?.or_else(|| given.environment.text(variable));
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    value.ok_or_else(|| incomplete(name, &format!("Set it with `bwdc config {name} VALUE`.")).into())
}

fn credential(Given { values, folder, environment, secret }: Given<'_>) -> Result<Credential> {
    let path = |name: &str| -> Result<_> { Ok(values.text(name)?.map(|path| place::resolve(folder, &path))) };
    if let Some(path) = path("entra.certificateFile")? {
        return Ok(Credential::Certificate(path));
    }
    if let Some(path) = path("entra.federatedTokenFile")? {
        return Ok(Credential::FederatedToken(path));
    }
    let token_file = environment.path(env::AZURE_FEDERATED_TOKEN_FILE).map(Credential::FederatedToken);
    secret.map(Credential::Secret).or(token_file).ok_or_else(|| {
        incomplete(
            "entra.key",
            "Set it with `bwdc config entra.key`, or entra.certificateFile or entra.federatedTokenFile instead.",
        )
        .into()
    })
}

/// Whether the settings name a way to log in that needs no client secret.
pub(super) fn has_other_credential(data: &Data) -> bool {
    let is_set = |name: &str| matches!(Values(data).text(name), Ok(Some(_)));
    is_set("entra.certificateFile") || is_set("entra.federatedTokenFile")
}

/// Whether the surroundings offer one to whoever has no client secret.
pub(super) fn is_offered_credential(environment: &Environment) -> bool {
    environment.is_set(env::AZURE_FEDERATED_TOKEN_FILE)
}
