//! The settings of LDAP directories, and what products call things: groups of settings for `bwdc config ldap.preset` and `bwdc init`.

use bwdc_connect::directory::ldap::Product;
use bwdc_connect::directory::ldap::disabled::DisabledBy;

use crate::secrets::declared::Older::AfterAccount;
use crate::secrets::declared::{DeclaredSecret, in_section, secret};
use crate::setting::StoredAt::In;
use crate::setting::{Setting, Type, settings};
use crate::settings::sync;

const SECTION: &str = "directoryLdap";

const DISABLED_ATTRIBUTES: &[&str] = &[
    DisabledBy::UserAccountControl.attribute(),
    DisabledBy::AccountExpires.attribute(),
    DisabledBy::NsAccountLock.attribute(),
    DisabledBy::PwdAccountLockedTime.attribute(),
    DisabledBy::LoginDisabled.attribute(),
    DisabledBy::ShadowExpire.attribute(),
];

settings! {
    HOSTNAME: "ldap.hostname", In(SECTION, "hostname"), Type::Hosts, "", "Host name or address of the LDAP server. Several servers of one tree, separated by commas, are tried in this order. _ldap._tcp.DOMAIN looks them up in the DNS.";
    PORT: "ldap.port", In(SECTION, "port"), Type::Port, "", "Port of the LDAP server: usually 389 for plain LDAP and StartTLS, 636 for LDAPS.";
    SSL: "ldap.ssl", In(SECTION, "ssl"), Type::Flag, "false", "Encrypt the connection: LDAPS, or StartTLS with ldap.startTls.";
    START_TLS: "ldap.startTls", In(SECTION, "startTls"), Type::Flag, "false", "Use StartTLS on the plain port; needs ldap.ssl.";
    SSL_ALLOW_UNAUTHORIZED: "ldap.sslAllowUnauthorized", In(SECTION, "sslAllowUnauthorized"), Type::Flag, "false", "Accept any server certificate. Anybody between this machine and the server can then read and change everything.";
    SSL_CA_PATH: "ldap.sslCaPath", In(SECTION, "sslCaPath"), Type::Path, "", "LDAPS: PEM file with the certificate authorities to trust instead of the system's.";
    SSL_CERT_PATH: "ldap.sslCertPath", In(SECTION, "sslCertPath"), Type::Path, "", "PEM file of the client certificate.";
    SSL_KEY_PATH: "ldap.sslKeyPath", In(SECTION, "sslKeyPath"), Type::Path, "", "PEM file of the client certificate's key.";
    TLS_CA_PATH: "ldap.tlsCaPath", In(SECTION, "tlsCaPath"), Type::Path, "", "StartTLS: PEM file with the certificate authorities to trust instead of the system's.";
    ROOT_PATH: "ldap.rootPath", In(SECTION, "rootPath"), Type::Dns, "", "Root of the tree, such as dc=example,dc=org. Separate several with |.";
    AUTHENTICATION: "ldap.authentication", In(SECTION, "authentication"), Type::Choice(&["password", "certificate", "kerberos"]), "password", "How to log in: user name and password, the client certificate (SASL EXTERNAL), or the Kerberos ticket of the user who runs bwdc (SASL GSSAPI).";
    USERNAME: "ldap.username", In(SECTION, "username"), Type::Text, "", "User name of the account that reads the directory: usually a full DN.";
    PASSWORD: "ldap.password", In(SECTION, "password"), Type::Secret, "", "Password of that account.";
    DOMAIN: "ldap.domain", In(SECTION, "domain"), Type::Word, "", "Kept for the existing connector, not used.";
    CURRENT_USER: "ldap.currentUser", In(SECTION, "currentUser"), Type::Flag, "false", "Log in as the user who runs bwdc, by Kerberos, where no ldap.username is set.";
    AD: "ldap.ad", In(SECTION, "ad"), Type::Flag, "false", "The server is Active Directory: deleted users are read too.";
    DISABLED_BY: "ldap.disabledBy", In(SECTION, "disabledBy"), Type::Words(DISABLED_ATTRIBUTES), "userAccountControl", "Attributes that mark an account as disabled. With sync.removeDisabled, these people are removed.";
    EXTERNAL_ID_ATTRIBUTE: "ldap.externalIdAttribute", In(SECTION, "externalIdAttribute"), Type::Choice(&["objectGUID", "entryUUID", "nsUniqueId", "ipaUniqueID", "dn"]), "", "Attribute that identifies people and groups in the organization. Default: objectGUID where it exists, else the DN. Read the LDAP page before you change it.";
    REFERRALS: "ldap.referrals", In(SECTION, "referrals"), Type::Choice(&["report", "follow"]), "report", "Referrals to other servers: report them in every run, or follow them with the same login and encryption.";
    OUTSIDE_GROUPS: "ldap.outsideGroups", In(SECTION, "outsideGroups"), Type::Flag, "false", "Look up groups outside sync.groupPath that are members of groups inside it, so that their members count. They are not synced themselves.";
    PRIMARY_GROUPS: "ldap.primaryGroups", In(SECTION, "primaryGroups"), Type::Flag, "false", "Active Directory: people are members of their primary group (primaryGroupID), such as Domain Users.";
    PRESET: "ldap.preset", In(SECTION, "preset"), Type::Preset(NAMES), "", "Sets object classes, attribute names and ldap.disabledBy for a product.";
    PAGED_SEARCH: "ldap.pagedSearch", In(SECTION, "pagedSearch"), Type::Flag, "true", "Read in pages of 20,000, or of what the server allows.";
}

/// Password of the account that reads the directory.
pub const SECRET: DeclaredSecret = secret! {
    name: "ldap.password",
    what: "ldap.password",
    variable: "BWDC_LDAP_PASSWORD",
    storage: in_section(SECTION, "password", "secretLdap", &[AfterAccount("ldapPassword")]),
};

/// The settings of one product.
#[derive(Debug)]
pub struct Preset {
    /// Name of the product, as typed.
    pub name: &'static str,
    /// What it shares with others, and its own.
    parts: [&'static [(&'static Setting, &'static str)]; 2],
    /// Attribute that survives a rename, where that is known. Never set without being asked: see the LDAP page.
    pub identity: Option<&'static str>,
}

/// What most servers call things (RFC 2798, RFC 4519).
const STANDARD: &[(&Setting, &str)] = &[
    (&AD, "false"),
    (&sync::USER_OBJECT_CLASS, "inetOrgPerson"),
    (&sync::USER_FILTER, ""),
    (&sync::USER_EMAIL_ATTRIBUTE, "mail"),
    (&sync::GROUP_OBJECT_CLASS, "groupOfNames"),
    (&sync::GROUP_NAME_ATTRIBUTE, "cn"),
    (&sync::MEMBER_ATTRIBUTE, "member"),
];

impl Preset {
    /// Each setting once: its own win over the shared ones.
    pub fn settings(&self) -> impl Iterator<Item = (&'static Setting, &'static str)> {
        let [shared, own] = self.parts;
        let is_own = |setting: &Setting| own.iter().any(|(declared, _)| declared.name == setting.name);
        shared.iter().filter(move |(setting, _)| !is_own(setting)).chain(own).copied()
    }
}

/// Accounts of people (MS-SAMR, section 2.2.1.9, SAM_USER_OBJECT): no computers, managed service accounts or trusts; nor
/// contacts, which are no accounts at all; nor the accounts of the key distribution centres.
const AD_PEOPLE: &str = "(&(sAMAccountType=805306368)(!(sAMAccountName=krbtgt*)))";

/// Microsoft Active Directory, Samba.
const ACTIVE_DIRECTORY: Preset = Preset {
    name: "ad",
    parts: [
        &[],
        &[
            (&AD, "true"),
            (&DISABLED_BY, "userAccountControl, accountExpires"),
            (&sync::USER_OBJECT_CLASS, "user"),
            (&sync::USER_FILTER, AD_PEOPLE),
            (&sync::USER_EMAIL_ATTRIBUTE, "mail"),
            (&sync::GROUP_OBJECT_CLASS, "group"),
            (&sync::GROUP_NAME_ATTRIBUTE, "name"),
            (&sync::MEMBER_ATTRIBUTE, "member"),
        ],
    ],
    identity: Some("objectGUID"),
};

const OPENLDAP: Preset = Preset {
    name: "openldap",
    parts: [STANDARD, &[(&DISABLED_BY, "pwdAccountLockedTime, shadowExpire")]],
    identity: Some("entryUUID"),
};

/// 389 Directory Server and its kin.
const DS389: Preset = Preset {
    name: "389ds",
    parts: [STANDARD, &[(&DISABLED_BY, "nsAccountLock")]],
    identity: Some("nsUniqueId"),
};

const FREEIPA: Preset = Preset {
    name: "freeipa",
    parts: [
        STANDARD,
        &[
            (&DISABLED_BY, "nsAccountLock"),
            (&sync::USER_PATH, "cn=users,cn=accounts"),
            (&sync::GROUP_PATH, "cn=groups,cn=accounts"),
            (&sync::GROUP_OBJECT_CLASS, "ipausergroup"),
        ],
    ],
    identity: Some("ipaUniqueID"),
};

const EDIRECTORY: Preset =
    Preset { name: "edirectory", parts: [STANDARD, &[(&DISABLED_BY, "loginDisabled")]], identity: None };

const LLDAP: Preset = Preset {
    name: "lldap",
    parts: [
        STANDARD,
        &[
            (&sync::USER_PATH, "ou=people"),
            (&sync::USER_OBJECT_CLASS, "person"),
            (&sync::GROUP_PATH, "ou=groups"),
            (&sync::GROUP_OBJECT_CLASS, "groupOfUniqueNames"),
        ],
    ],
    identity: Some("entryUUID"),
};

/// What most servers have, for one that does not say what it is.
const GENERIC: Preset = Preset { name: "generic", parts: [STANDARD, &[]], identity: None };

/// All products.
pub(crate) const PRESETS: [&Preset; 6] =
    [&ACTIVE_DIRECTORY, &OPENLDAP, &DS389, &FREEIPA, &EDIRECTORY, &LLDAP];

/// Their names, for the setting's type.
pub(crate) const NAMES: &[&str] =
    &[ACTIVE_DIRECTORY.name, OPENLDAP.name, DS389.name, FREEIPA.name, EDIRECTORY.name, LLDAP.name];

/// Preset of this name, whatever its case.
pub fn preset_named(name: &str) -> Option<&'static Preset> {
    PRESETS.into_iter().find(|preset| preset.name.eq_ignore_ascii_case(name))
}

/// Whether a preset leaves a value alone: a filter that is none of a preset's is the administrator's own.
pub(crate) fn is_own_filter(setting: &Setting, stored: Option<&str>) -> bool {
    setting.name == sync::USER_FILTER.name
        && stored.is_some_and(|filter| !filter.trim().is_empty() && filter != AD_PEOPLE)
}

/// Preset to propose for a server that says which product it is.
pub fn preset_for(product: Product) -> &'static Preset {
    match product {
        Product::ActiveDirectory => &ACTIVE_DIRECTORY,
        Product::Ds389 => &DS389,
        Product::FreeIpa => &FREEIPA,
        Product::EDirectory => &EDIRECTORY,
        Product::Lldap => &LLDAP,
        Product::OpenLdap => &OPENLDAP,
        Product::Unknown => &GENERIC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bwdc_store::Data;

    #[test]
    fn every_value_is_one_that_could_be_typed() {
        for preset in PRESETS {
            for (setting, value) in
                preset.settings().chain(preset.identity.map(|id| (&EXTERNAL_ID_ATTRIBUTE, id)))
            {
                setting.parse(value, &Data::default()).unwrap();
            }
            let names: Vec<_> = preset.settings().map(|(setting, _)| setting.name).collect();
            assert!(names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1));
            assert!(preset_named(&preset.name.to_uppercase()).is_some());
        }
        assert_eq!(NAMES.len(), PRESETS.len());
    }
}
