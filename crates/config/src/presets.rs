//! What directory products call things: groups of settings for `bwdc config ldap.preset` and `bwdc init`.

use bwdc_connect::directory::ldap::Product;

/// The settings of one product.
#[derive(Debug)]
pub struct Preset {
    /// Name of the product, as typed.
    pub name: &'static str,
    /// What it shares with others, and its own.
    parts: [&'static [(&'static str, &'static str)]; 2],
    /// Attribute that survives a rename, where that is known. Never set without being asked: see the LDAP page.
    pub identity: Option<&'static str>,
}

/// What most servers call things (RFC 2798, RFC 4519).
const STANDARD: &[(&str, &str)] = &[
    ("ldap.ad", "false"),
    ("sync.userObjectClass", "inetOrgPerson"),
    ("sync.userFilter", ""),
    ("sync.userEmailAttribute", "mail"),
    ("sync.groupObjectClass", "groupOfNames"),
    ("sync.groupNameAttribute", "cn"),
    ("sync.memberAttribute", "member"),
];

impl Preset {
    /// Each setting once: its own win over the shared ones.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let [shared, own] = self.parts;
        let is_own = |name: &str| own.iter().any(|(known, _)| *known == name);
        shared.iter().filter(move |(name, _)| !is_own(name)).chain(own).copied()
    }
}

/// Accounts of people (MS-SAMR, section 2.2.1.9, SAM_USER_OBJECT): no computers, managed service accounts or trusts; nor
/// contacts, which are no accounts at all; nor the accounts of the key distribution centres.
const AD_PEOPLE: &str = "(&(sAMAccountType=805306368)(!(sAMAccountName=krbtgt*)))";

/// Microsoft Active Directory, Samba.
const AD: Preset = Preset {
    name: "ad",
    parts: [
        &[],
        &[
            ("ldap.ad", "true"),
            ("ldap.disabledBy", "userAccountControl, accountExpires"),
            ("sync.userObjectClass", "user"),
            ("sync.userFilter", AD_PEOPLE),
            ("sync.userEmailAttribute", "mail"),
            ("sync.groupObjectClass", "group"),
            ("sync.groupNameAttribute", "name"),
            ("sync.memberAttribute", "member"),
        ],
    ],
    identity: Some("objectGUID"),
};

const OPENLDAP: Preset = Preset {
    name: "openldap",
    parts: [STANDARD, &[("ldap.disabledBy", "pwdAccountLockedTime, shadowExpire")]],
    identity: Some("entryUUID"),
};

/// 389 Directory Server and its kin.
const DS389: Preset = Preset {
    name: "389ds",
    parts: [STANDARD, &[("ldap.disabledBy", "nsAccountLock")]],
    identity: Some("nsUniqueId"),
};

const FREEIPA: Preset = Preset {
    name: "freeipa",
    parts: [
        STANDARD,
        &[
            ("ldap.disabledBy", "nsAccountLock"),
            ("sync.userPath", "cn=users,cn=accounts"),
            ("sync.groupPath", "cn=groups,cn=accounts"),
            ("sync.groupObjectClass", "ipausergroup"),
        ],
    ],
    identity: Some("ipaUniqueID"),
};

const EDIRECTORY: Preset =
    Preset { name: "edirectory", parts: [STANDARD, &[("ldap.disabledBy", "loginDisabled")]], identity: None };

const LLDAP: Preset = Preset {
    name: "lldap",
    parts: [
        STANDARD,
        &[
            ("sync.userPath", "ou=people"),
            ("sync.userObjectClass", "person"),
            ("sync.groupPath", "ou=groups"),
            ("sync.groupObjectClass", "groupOfUniqueNames"),
        ],
    ],
    identity: Some("entryUUID"),
};

/// What most servers have, for one that does not say what it is.
const GENERIC: Preset = Preset { name: "generic", parts: [STANDARD, &[]], identity: None };

/// All products.
pub const ALL: [&Preset; 6] = [&AD, &OPENLDAP, &DS389, &FREEIPA, &EDIRECTORY, &LLDAP];

/// Their names, for the setting's type.
pub(crate) const NAMES: &[&str] =
    &[AD.name, OPENLDAP.name, DS389.name, FREEIPA.name, EDIRECTORY.name, LLDAP.name];

/// Preset of this name, whatever its case.
pub fn named(name: &str) -> Option<&'static Preset> {
    ALL.into_iter().find(|preset| preset.name.eq_ignore_ascii_case(name))
}

/// Whether a preset leaves a value alone: a filter that is none of a preset's is the administrator's own.
pub(crate) fn is_own_filter(name: &str, stored: Option<&str>) -> bool {
    name == "sync.userFilter" && stored.is_some_and(|filter| !filter.trim().is_empty() && filter != AD_PEOPLE)
}

/// Preset to propose for a server that says which product it is.
pub fn for_product(product: Product) -> &'static Preset {
    match product {
        Product::ActiveDirectory => &AD,
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
    use crate::settings;
    use bwdc_store::Data;

    #[test]
    fn every_value_is_one_that_could_be_typed() {
        for preset in ALL {
            for (name, value) in
                preset.settings().chain(preset.identity.map(|id| ("ldap.externalIdAttribute", id)))
            {
                settings::find(name).unwrap().parse(value, &Data::default()).unwrap();
            }
            let names: Vec<_> = preset.settings().map(|(name, _)| name).collect();
            assert!(names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1));
            assert!(named(&preset.name.to_uppercase()).is_some());
        }
        assert_eq!(NAMES.len(), ALL.len());
    }
}
