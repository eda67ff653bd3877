//! Microsoft Entra ID.

use bwdc_connect::directory::entra::{self, Authority, Credential, EntraFilter, OutsideGroups};
use bwdc_connect::directory::{self, incomplete};
use bwdc_core::filter::{FilterError, SetFilter};

use crate::env::{self, Environment};
use crate::kinds::{AskCondition, BuildInput, Built, DirectoryKind, InitQuestion, not_understood};
use crate::place;
use crate::secrets::declared::Older::{AfterAccount, Key};
use crate::secrets::declared::{DeclaredSecret, in_section, secret};
use crate::setting::StoredAt::In;
use crate::setting::{Filtered, Setting, Type, settings};
use crate::settings::sync;
use crate::values::StoredValues;
use bwdc_core::error::Result;

const SECTION: &str = "directoryEntra";

settings! {
    IDENTITY_AUTHORITY: "entra.identityAuthority", In(SECTION, "identityAuthority"), Type::Choice(Authority::HOSTS), "login.microsoftonline.com", "Where the tenant logs in: the public cloud, the US government's, or China's.";
    TENANT: "entra.tenant", In(SECTION, "tenant"), Type::Word, "", "The tenant: its id or one of its domains.";
    APPLICATION_ID: "entra.applicationId", In(SECTION, "applicationId"), Type::Word, "", "Application (client) id of the app registration.";
    KEY: "entra.key", In(SECTION, "key"), Type::Secret, "", "The application's client secret.";
    CERTIFICATE_FILE: "entra.certificateFile", In(SECTION, "certificateFile"), Type::Path, "", "PEM file with a certificate and its RSA key, used instead of a client secret; relative to data.json's folder.";
    FEDERATED_TOKEN_FILE: "entra.federatedTokenFile", In(SECTION, "federatedTokenFile"), Type::Path, "", "File with a token of another identity provider (workload identity), used instead of a client secret; relative to data.json's folder.";
    AZURE_KEY: "azure.key", In(SECTION, "key"), Type::Secret, "", "The older name of entra.key.";
}

/// Client secret of the application.
pub const SECRET: DeclaredSecret = secret! {
    name: "entra.key",
    what: "entra.key",
    variable: "BWDC_ENTRA_KEY",
    storage: in_section(
        SECTION,
        "key",
        "secretEntra",
        &[Key("secretAzure"), AfterAccount("entraIdKey"), AfterAccount("entraKey"), AfterAccount("azureKey")],
    ),
};

/// Microsoft Entra ID.
pub const KIND: DirectoryKind = DirectoryKind {
    name: "entra",
    number: Some(1),
    settings: SETTINGS,
    identity: &[TENANT, APPLICATION_ID],
    files: &[CERTIFICATE_FILE, FEDERATED_TOKEN_FILE],
    secret: Some(&SECRET),
    questions: &[
        InitQuestion::proposing(&TENANT, |_, environment| environment.text(env::AZURE_TENANT_ID)),
        InitQuestion::proposing(&APPLICATION_ID, |_, environment| environment.text(env::AZURE_CLIENT_ID)),
        InitQuestion::new(&KEY, AskCondition::WithSecret),
    ],
    check_filter,
    takes_secret: |values| !has_other_credential(values),
    has_offer: is_offered_credential,
    build,
};

fn check_filter(filtered: Filtered, text: &str) -> std::result::Result<(), String> {
    let parsed = match filtered {
        Filtered::Users => EntraFilter::of_users(text),
        Filtered::Groups => EntraFilter::of_groups(text),
    };
    parsed.map(drop).map_err(|error| error.to_string())
}

fn build(given: BuildInput<'_>) -> Result<Built> {
    let BuildInput { values, environment, .. } = &given;
    let users = filter(values, &sync::USER_FILTER, EntraFilter::of_users)?;
    let groups = filter(values, &sync::GROUP_FILTER, EntraFilter::of_groups)?;
    let authority = authority(values)?;
    let at = |variable| environment.text(variable);
    let config = entra::Config {
        authority,
        login_url: authority.login_url(env::ENTRA_LOGIN_URL, at(env::ENTRA_LOGIN_URL).as_deref())?,
        graph_url: authority.graph_url(env::ENTRA_GRAPH_URL, at(env::ENTRA_GRAPH_URL).as_deref())?,
        tenant: required(&given, &TENANT, env::AZURE_TENANT_ID)?,
        application_id: required(&given, &APPLICATION_ID, env::AZURE_CLIENT_ID)?,
        outside_groups: if values.is_choice(&sync::NESTED_GROUPS, "all")? {
            OutsideGroups::Read
        } else {
            OutsideGroups::Ignored
        },
        network: environment.network()?,
        user_filter: users.clone(),
        group_filter: groups.clone(),
        credential: credential(given)?,
    };
    Ok(Built {
        directory: directory::Config::Entra(Box::new(config)),
        user_filter: users.set.clone(),
        group_filter: names(&groups),
        warnings: Vec::new(),
    })
}

/// With a group filter of any kind, people come who are in the kept groups.
fn names(groups: &EntraFilter) -> Option<SetFilter> {
    let any = || (!groups.is_by_set_only()).then(|| SetFilter::All(Vec::new()));
    groups.set.clone().or_else(any)
}

fn filter(
    values: &StoredValues<'_>,
    setting: &Setting,
    parse: impl Fn(&str) -> std::result::Result<EntraFilter, FilterError>,
) -> Result<EntraFilter> {
    let text = values.text(setting)?.unwrap_or_default();
    parse(&text).map_err(|error| not_understood(setting, &error))
}

fn authority(values: &StoredValues<'_>) -> Result<Authority> {
    let host = values.text(&IDENTITY_AUTHORITY)?.unwrap_or_else(|| Authority::HOSTS[0].to_owned());
    Authority::named(&host).ok_or_else(|| {
        incomplete(IDENTITY_AUTHORITY.name, &format!("It is one of: {}.", Authority::HOSTS.join(", "))).into()
    })
}

/// A setting, or the variable by which workload identities are told the same.
fn required(given: &BuildInput<'_>, setting: &Setting, variable: &str) -> Result<String> {
    let value = given.values.text(setting)?.or_else(|| given.environment.text(variable));
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    value.ok_or_else(|| {
        incomplete(setting.name, &format!("Set it with `bwdc config {} VALUE`.", setting.name)).into()
    })
}

fn credential(BuildInput { values, folder, environment, secret }: BuildInput<'_>) -> Result<Credential> {
    let path = |setting: &Setting| -> Result<_> {
        Ok(values.text(setting)?.map(|path| place::resolve(folder, &path)))
    };
    if let Some(path) = path(&CERTIFICATE_FILE)? {
        return Ok(Credential::Certificate(path));
    }
    if let Some(path) = path(&FEDERATED_TOKEN_FILE)? {
        return Ok(Credential::FederatedToken(path));
    }
    let token_file = environment.path(env::AZURE_FEDERATED_TOKEN_FILE).map(Credential::FederatedToken);
    secret.map(Credential::Secret).or(token_file).ok_or_else(|| {
        incomplete(
            KEY.name,
            "Set it with `bwdc config entra.key`, or entra.certificateFile or entra.federatedTokenFile instead.",
        )
        .into()
    })
}

/// Whether the settings name a way to log in that needs no client secret.
fn has_other_credential(values: &StoredValues<'_>) -> bool {
    let is_set = |setting: &Setting| matches!(values.text(setting), Ok(Some(_)));
    is_set(&CERTIFICATE_FILE) || is_set(&FEDERATED_TOKEN_FILE)
}

/// Whether the surroundings offer one to whoever has no client secret.
fn is_offered_credential(environment: &Environment) -> bool {
    environment.is_set(env::AZURE_FEDERATED_TOKEN_FILE)
}
