//! Google Workspace.

use std::fs;
use std::path::Path;

use bwdc_connect::directory::google::{KeyFile, Part, ServiceAccount};
use bwdc_connect::directory::{self, google, incomplete};
use bwdc_core::Secret;
use bwdc_core::filter::NativeQuery;

use super::values::Values;
use super::{Chosen, Given, set_filter};
use crate::env;
use crate::place;
use bwdc_core::error::{Error, Result};
use bwdc_store::files::too_open;

pub(super) fn chosen(Given { values, folder, environment, secret }: Given<'_>) -> Result<Chosen> {
    let users = set_filter(&values, "sync.userFilter", NativeQuery::Allowed)?;
    let groups = set_filter(&values, "sync.groupFilter", NativeQuery::Allowed)?;
    let mut warnings = Vec::new();
    let file = key_file(&values).map(|path| read(folder, &path, &mut warnings)).transpose()?;
    let account = ServiceAccount::new(word(&values, "gsuite.clientEmail")?, secret, file)?;
    let admin_user = word(&values, "gsuite.adminUser")?.ok_or_else(|| {
        incomplete("gsuite.adminUser", "Set it with `bwdc config gsuite.adminUser admin@example.org`.")
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
    Ok(Chosen {
        directory: directory::Config::Google(Box::new(config)),
        user_filter: users.set,
        group_filter: groups.set,
        warnings,
    })
}

/// The path of the key file as it is set. With one, no secret is looked for.
pub(super) fn key_file(values: &Values<'_>) -> Option<String> {
    values.text("gsuite.keyFile").ok().flatten()
}

/// Without the blanks around it.
fn word(values: &Values<'_>, name: &str) -> Result<Option<String>> {
    Ok(values.text(name)?.map(|text| text.trim().to_owned()))
}

/// Where both are set, the existing connector sends both, and Google then lists the domain only.
fn part(values: &Values<'_>, warnings: &mut Vec<String>) -> Result<Part> {
    match (word(values, "gsuite.domain")?, word(values, "gsuite.customer")?) {
        (Some(domain), None) => Ok(Part::Domain(domain)),
        (None, Some(customer)) => Ok(Part::Customer(customer)),
        (Some(domain), Some(customer)) => {
            warnings.push(format!(
                "Only {domain} is read, because gsuite.domain is set: gsuite.customer {customer} has no effect. To read all its \
                 domains: bwdc config unset gsuite.domain; otherwise: bwdc config unset gsuite.customer."
            ));
            Ok(Part::Domain(domain))
        }
        (None, None) => Err(incomplete(
            "gsuite.domain",
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
