//! Google Workspace.

use std::fs;
use std::path::Path;

use bwdc_connect::directory::google::{KeyFile, ServiceAccount, Tenancy};
use bwdc_connect::directory::{self, google, incomplete};
use bwdc_core::Secret;
use bwdc_core::filter::NativeQuery;

use crate::env;
use crate::kinds::{AskCondition, BuildInput, Built, DirectoryKind, InitQuestion, check_query, set_filter};
use crate::place;
use crate::secrets::declared::Older::AfterAccount;
use crate::secrets::declared::{DeclaredSecret, in_section, secret};
use crate::setting::StoredAt::In;
use crate::setting::{Setting, Type, settings};
use crate::settings::sync;
use crate::values::StoredValues;
use bwdc_core::error::{Error, Result};
use bwdc_store::files::too_open;

const SECTION: &str = "directoryGsuite";

settings! {
    DOMAIN: "gsuite.domain", In(SECTION, "domain"), Type::Host, "", "Domain to read. To read all domains, clear it and set gsuite.customer.";
    ADMIN_USER: "gsuite.adminUser", In(SECTION, "adminUser"), Type::Email, "", "Administrator whom the service account impersonates.";
    CUSTOMER: "gsuite.customer", In(SECTION, "customer"), Type::Word, "", "Customer id, such as C0abc123, or my_customer. All its domains are read if gsuite.domain is not set.";
    CLIENT_EMAIL: "gsuite.clientEmail", In(SECTION, "clientEmail"), Type::Email, "", "E-mail address of the service account, if there is no key file.";
    KEY: "gsuite.key", In(SECTION, "privateKey"), Type::Secret, "", "The service account's private key (PEM, line ends may be written as \\n), or the whole content of its key file.";
    KEY_FILE: "gsuite.keyFile", In(SECTION, "keyFile"), Type::Path, "", "The service account's JSON key file, as Google's console gives it, instead of gsuite.clientEmail and gsuite.key; relative to data.json's folder.";
}

/// Private key of the service account.
pub const SECRET: DeclaredSecret = secret! {
    name: "gsuite.key",
    what: "gsuite.key",
    variable: "BWDC_GSUITE_KEY",
    storage: in_section(SECTION, "privateKey", "secretGsuite", &[AfterAccount("gsuitePrivateKey")]),
};

/// Google Workspace.
pub const KIND: DirectoryKind = DirectoryKind {
    name: "gsuite",
    number: Some(2),
    settings: SETTINGS,
    identity: &[CLIENT_EMAIL, DOMAIN, CUSTOMER],
    files: &[KEY_FILE],
    secret: Some(&SECRET),
    questions: &[
        InitQuestion::new(&KEY_FILE, AskCondition::Optional),
        InitQuestion::new(&CLIENT_EMAIL, AskCondition::WithSecret),
        InitQuestion::new(&KEY, AskCondition::WithSecret),
        InitQuestion::new(&ADMIN_USER, AskCondition::Always),
        InitQuestion::new(&DOMAIN, AskCondition::OptionalWith(&CUSTOMER)),
    ],
    check_filter: check_query,
    takes_secret: |values| key_file(values).is_none(),
    has_offer: |_| false,
    build,
};

fn build(BuildInput { values, folder, environment, secret }: BuildInput<'_>) -> Result<Built> {
    let users = set_filter(&values, &sync::USER_FILTER, NativeQuery::Allowed)?;
    let groups = set_filter(&values, &sync::GROUP_FILTER, NativeQuery::Allowed)?;
    let mut warnings = Vec::new();
    let file = key_file(&values).map(|path| read(folder, &path, &mut warnings)).transpose()?;
    let account = ServiceAccount::new(word(&values, &CLIENT_EMAIL)?, secret, file)?;
    let admin_user = word(&values, &ADMIN_USER)?.ok_or_else(|| {
        incomplete(ADMIN_USER.name, "Set it with `bwdc config gsuite.adminUser admin@example.org`.")
    })?;
    let variable = |name: &'static str| environment.text(name).map(|text| (name, text));
    let config = google::Config {
        admin_user,
        part: part(&values, &mut warnings)?,
        user_query: users.native,
        group_query: groups.native,
        token_url: google::Config::token_url(variable(env::GOOGLE_TOKEN_URL), &account)?,
        api_url: google::Config::api_url(variable(env::GOOGLE_API_URL))?,
        network: environment.network()?,
        account,
    };
    Ok(Built {
        directory: directory::Config::Google(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings,
    })
}

/// The path of the key file as it is set. With one, no secret is looked for.
fn key_file(values: &StoredValues<'_>) -> Option<String> {
    values.text(&KEY_FILE).ok().flatten()
}

/// Without the blanks around it.
fn word(values: &StoredValues<'_>, setting: &Setting) -> Result<Option<String>> {
    Ok(values.text(setting)?.map(|text| text.trim().to_owned()))
}

/// Where both are set, the existing connector sends both, and Google then lists the domain only.
fn part(values: &StoredValues<'_>, warnings: &mut Vec<String>) -> Result<Tenancy> {
    match (word(values, &DOMAIN)?, word(values, &CUSTOMER)?) {
        (Some(domain), None) => Ok(Tenancy::Domain(domain)),
        (None, Some(customer)) => Ok(Tenancy::Customer(customer)),
        (Some(domain), Some(customer)) => {
            warnings.push(format!(
                "Only {domain} is read, because gsuite.domain is set: gsuite.customer {customer} has no effect. To read all its \
                 domains: bwdc config unset gsuite.domain; otherwise: bwdc config unset gsuite.customer."
            ));
            Ok(Tenancy::Domain(domain))
        }
        (None, None) => Err(incomplete(
            DOMAIN.name,
            "Set it with `bwdc config gsuite.domain example.org`, or gsuite.customer to read all domains.",
        )
        .into()),
    }
}

/// A key file is Google's, not ours: one that others can read is told, and used.
fn read(folder: &Path, path: &str, warnings: &mut Vec<String>) -> Result<KeyFile> {
    let path = place::resolve(folder, path);
    let shown = path.display();
    let failed = |error: std::io::Error| {
        Error::new(format!("Reading the service account's key file {shown}: {error}"))
            .hint("Check gsuite.keyFile, and that the file belongs to the user who runs bwdc.")
    };
    let metadata = fs::metadata(&path).map_err(failed)?;
    if let Some(mode) = too_open(&metadata) {
        warnings.push(format!(
            "The service account's key file {shown} can be read or written by others (mode {mode:o}). Run: chmod 600 '{shown}'"
        ));
    }
    let text = Secret::from(bwdc_store::files::read_text(&path).map_err(failed)?);
    Ok(KeyFile::parse(&shown.to_string(), &text)?)
}
