//! The organization's servers.

use bwdc_connect::bitwarden::Endpoints;
use bwdc_core::error::Result;
use bwdc_store::Data;
use serde_json::Value;

use crate::setting::Setting;
use crate::settings::general::{SERVER, SERVER_API, SERVER_IDENTITY};

/// The addresses of the organization's servers.
pub fn endpoints(data: &Data) -> Result<Endpoints> {
    let url = |setting: &Setting| {
        let url = setting.stored(data).and_then(Value::as_str);
        url.filter(|url| !url.trim().is_empty())
    };
    Ok(Endpoints::resolve(url(&SERVER), url(&SERVER_API), url(&SERVER_IDENTITY))?)
}

/// A base URL as it is stored: with a scheme, without trailing slashes.
pub(crate) fn server_url(text: &str) -> Result<String> {
    let text = text.trim_start().trim_end_matches(|c: char| c == '/' || c.is_whitespace());
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    Endpoints::resolve(Some(&url), None, None)?;
    Ok(url)
}
