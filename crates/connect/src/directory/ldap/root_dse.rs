//! Root DSE: a server's description of itself (RFC 4512, section 5.1).

use std::borrow::Cow;

use bwdc_core::organization::Moment;

use super::client::Connection;
use super::config::{Config, Flavour, Paging};
use super::request::SearchRequest;
use super::wire::{Depth, Entry};
use super::{Ldap, discovery, first_reachable, generalized_time, nothing};
use crate::{ErrorKind, Result};

/// Description of a server, as far as it gives one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootDse {
    /// Roots of its trees, the usual one first.
    pub naming_contexts: Vec<String>,
    /// Product.
    pub product: Product,
}

/// Products whose naming conventions are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// Microsoft Active Directory, or Samba.
    ActiveDirectory,
    /// OpenLDAP.
    OpenLdap,
    /// 389 Directory Server, Red Hat Directory Server.
    Ds389,
    /// FreeIPA, which is a 389 Directory Server with its own tree.
    FreeIpa,
    /// eDirectory, under its various owners.
    EDirectory,
    /// LLDAP.
    Lldap,
    /// Another product, or one that does not say.
    #[default]
    Unknown,
}

/// `LDAP_CAP_ACTIVE_DIRECTORY_OID` (MS-ADTS, section 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &[u8] = b"1.2.840.113556.1.4.800";
const ATTRIBUTES: [&str; 6] = [
    "defaultNamingContext",
    "namingContexts",
    "supportedCapabilities",
    "vendorName",
    "vendorVersion",
    "objectClass",
];

/// Time by a server's clock (MS-ADTS, section 3.1.1.3.2.6).
const CURRENT_TIME: &str = "currentTime";

impl Ldap {
    /// Time by the server's clock, which only Active Directory tells.
    pub(super) async fn server_time(&self) -> Result<Option<Moment>> {
        if self.config.flavour != Flavour::ActiveDirectory {
            return Ok(None);
        }
        let config = Config { paging: Paging::Unpaged, ..(*self.config).clone() };
        let request = SearchRequest { attributes: vec![CURRENT_TIME.to_owned()], ..of_root_dse() };
        let mut found = None;
        let mut connection = Connection::open(&config).await?;
        let read = connection
            .search(&request, |record| {
                found = record.text(CURRENT_TIME).and_then(|text| generalized_time::read(&text));
                Ok(())
            })
            .await;
        connection.close().await;
        match read {
            Err(error) if !matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Refused) => {
                Err(error)
            }
            _ => Ok(found),
        }
    }
}

fn of_root_dse() -> SearchRequest {
    SearchRequest {
        what: "the server's description of itself",
        base: String::new(),
        scope: Depth::Base,
        filter: "(objectClass=*)".to_owned(),
        attributes: ATTRIBUTES.map(str::to_owned).to_vec(),
        controls: Vec::new(),
    }
}

/// Asks a server for its product and the roots of its trees.
pub async fn root_dse(config: &Config) -> Result<RootDse> {
    // The root DSE is one entry: some servers refuse to page it.
    let config = Config { paging: Paging::Unpaged, ..config.clone() };
    let request = of_root_dse();
    let mut found = RootDse::default();
    let (config, _) = first_reachable(discovery::servers(&config).await?, "").await?;
    let mut connection = Connection::open(&config).await?;
    connection
        .search(&request, |record| {
            found = RootDse { naming_contexts: naming_contexts(record), product: product(record) };
            Ok(())
        })
        .await?;
    if found.product == Product::Ds389 && is_freeipa(&mut connection, &found).await? {
        found.product = Product::FreeIpa;
    }
    connection.close().await;
    Ok(found)
}

fn naming_contexts(record: &Entry<'_>) -> Vec<String> {
    let mut contexts: Vec<String> =
        record.text("defaultNamingContext").map(Cow::into_owned).into_iter().collect();
    for context in record.values("namingContexts") {
        let context = String::from_utf8_lossy(context).into_owned();
        if !contexts.contains(&context) {
            contexts.push(context);
        }
    }
    contexts
}

fn product(record: &Entry<'_>) -> Product {
    let says = |attribute: &str, word: &str| {
        let mut values = record.values(attribute);
        values.any(|value| String::from_utf8_lossy(value).to_lowercase().contains(word))
    };
    let vendors = [
        ("389", Product::Ds389),
        ("lldap", Product::Lldap),
        ("novell", Product::EDirectory),
        ("netiq", Product::EDirectory),
        ("micro focus", Product::EDirectory),
        ("opentext", Product::EDirectory),
    ];
    if record.values("supportedCapabilities").any(|oid| oid == ACTIVE_DIRECTORY) {
        return Product::ActiveDirectory;
    }
    if says("objectClass", "openldaprootdse") {
        return Product::OpenLdap;
    }
    let vendor = vendors.iter().find(|(word, _)| says("vendorName", word) || says("vendorVersion", word));
    vendor.map_or(Product::Unknown, |(_, product)| *product)
}

/// FreeIPA keeps its people under `cn=accounts`.
async fn is_freeipa(connection: &mut Connection<'_>, found: &RootDse) -> Result<bool> {
    let Some(root) = found.naming_contexts.iter().find(|context| context.to_lowercase().starts_with("dc="))
    else {
        return Ok(false);
    };
    let request = SearchRequest {
        what: "FreeIPA's accounts",
        base: format!("cn=users,cn=accounts,{root}"),
        scope: Depth::Base,
        filter: "(objectClass=*)".to_owned(),
        attributes: nothing(),
        controls: Vec::new(),
    };
    match connection.exists(&request).await {
        Err(error) if matches!(error.kind(), ErrorKind::Configuration | ErrorKind::Refused) => Ok(false),
        other => Ok(other?.0),
    }
}
