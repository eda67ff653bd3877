//! Settings of syncs: what is synced, by which rules, and what it is called in an LDAP directory.

use bwdc_store::key;

use crate::setting::StoredAt::In;
use crate::setting::{Filtered, Shortest, Type, settings};

settings! {
    USERS: "sync.users", In(key::SYNC, "users"), Type::Flag, "false", "Sync people.";
    GROUPS: "sync.groups", In(key::SYNC, "groups"), Type::Flag, "false", "Sync groups.";
    USER_FILTER: "sync.userFilter", In(key::SYNC, "userFilter"), Type::Filter(Filtered::Users), "", "LDAP: a filter such as (ou=Sales). Others: include:a,b or exclude:a,b by e-mail; Entra ID also includeGroup:ID and excludeGroup:ID.";
    GROUP_FILTER: "sync.groupFilter", In(key::SYNC, "groupFilter"), Type::Filter(Filtered::Groups), "", "LDAP: a filter. Others: include:a,b or exclude:a,b by name; Entra ID also includeAdministrativeUnit:ID and excludeAdministrativeUnit:ID.";
    REMOVE_DISABLED: "sync.removeDisabled", In(key::SYNC, "removeDisabled"), Type::Flag, "false", "Remove people whose account is disabled.";
    REMOVE_MISSING: "sync.removeMissing", In(key::SYNC, "removeMissing"), Type::FlagOr("outOfScope"), "false", "Remove people who are no longer in the directory; with outOfScope, also people whom the same filters no longer match. For directories that keep no record of deleted accounts.";
    OVERWRITE_EXISTING: "sync.overwriteExisting", In(key::SYNC, "overwriteExisting"), Type::Flag, "false", "Remove members with an external id who are not in the directory.";
    VANISHED_GROUPS: "sync.vanishedGroups", In(key::SYNC, "vanishedGroups"), Type::Choice(&["keep", "empty", "delete"]), "keep", "What to do with a synced group that is no longer in the directory, or that the filter no longer matches: keep it and report it in every run, empty it, or delete it.";
    GRACE: "sync.grace", In(key::SYNC, "grace"), Type::LengthOr("0", Shortest::Second), "0", "Time between revoking and removing people who leave, such as 14d. People who return in that time get their access back; 0 removes at once.";
    PROTECT: "sync.protect", In(key::SYNC, "protect"), Type::Protected, "", "People whom no sync removes: e-mail addresses, external ids and group:NAME, separated by commas.";
    LIMIT_REMOVALS: "sync.limitRemovals", In(key::SYNC, "limitRemovals"), Type::Limit, "10%", "Most people who may leave within 24 hours without approval: off, a number, or a percentage of the synced members. A percentage always lets 5 people leave, but never the last one.";
    LIMIT_LEAVES: "sync.limitLeaves", In(key::SYNC, "limitLeaves"), Type::Limit, "25%", "Most group memberships that people who stay may lose within 24 hours without approval: off, a number, or a percentage of the synced memberships. A percentage always lets 25 go, but never the last one.";
    LIMIT_REPAIRS: "sync.limitRepairs", In(key::SYNC, "limitRepairs"), Type::Limit, "25%", "Most manual changes in the organization that a sync may reverse within 24 hours without approval: off, a number, or a percentage of the members and memberships.";
    LIMIT_INVITES: "sync.limitInvites", In(key::SYNC, "limitInvites"), Type::Limit, "off", "Most people who may be invited within 24 hours without approval: off, a number, or a percentage of the members.";
    ON_LIMIT: "sync.onLimit", In(key::SYNC, "onLimit"), Type::Choice(&["hold", "stop"]), "hold", "What to do when a limit is exceeded: hold back the changes that it counts and make all others, or stop and send nothing. Exit code 5 in both cases.";
    RELINK: "sync.relink", In(key::SYNC, "relink"), Type::Choice(&["off", "address"]), "off", "What to do when a member's id has changed in the directory: keep the old id in the organization and warn in every run (off), or give the new id to the member with the same address.";
    REINVITE: "sync.reinvite", In(key::SYNC, "reinvite"), Type::LengthOr("off", Shortest::Day), "off", "Time after which an unanswered invitation is sent again, such as 10d; at least 1d. No one gets a second invitation in the first seven days, or more than three in all.";
    VERIFY_EVERY: "sync.verifyEvery", In(key::SYNC, "verifyEvery"), Type::LengthOr("off", Shortest::Second), "24h", "Time within which the members of every group in the organization are read and compared, such as 12h; off reads only the groups that change.";
    FULL_EVERY: "sync.fullEvery", In(key::SYNC, "fullEvery"), Type::Length, "24h", "Longest time between complete reads where sync.revisionDateAttribute is set, such as 12h or 2d.";
    LARGE_IMPORT: "sync.largeImport", In(key::SYNC, "largeImport"), Type::Flag, "false", "Import more than 2,000 people and groups in batches.";
    INVITE_USERS_AFTER_PROVISIONING: "sync.inviteUsersAfterProvisioning", In(key::SYNC, "inviteUsersAfterProvisioning"), Type::Flag, "false", "Invite new members immediately, where the server could stage them instead.";
    ON_BAD_RECORD: "sync.onBadRecord", In(key::SYNC, "onBadRecord"), Type::Choice(&["stop", "skip"]), "stop", "What to do when an entry cannot be imported: stop the run, or skip the entry and end with exit code 4.";
    NESTED_GROUPS: "sync.nestedGroups", In(key::SYNC, "nestedGroups"), Type::Choice(&["kept", "all"]), "kept", "Nested groups to follow: only those that pass the group filter, or all. `all` widens access.";
    TIMEOUT: "sync.timeout", In(key::SYNC, "timeout"), Type::Length, "1h", "Time limit for a whole sync, such as 20s, 5m or 1h. After that it is aborted and nothing more is sent.";
    INTERVAL: "sync.interval", In(key::SYNC, "interval"), Type::Minutes, "5", "Minutes between syncs of a daemon.";
    USER_OBJECT_CLASS: "sync.userObjectClass", In(key::SYNC, "userObjectClass"), Type::Attribute, "person", "LDAP: object class of people.";
    USER_PATH: "sync.userPath", In(key::SYNC, "userPath"), Type::Dns, "", "LDAP: path of the people, relative to the root. Separate several with |.";
    USER_EMAIL_ATTRIBUTE: "sync.userEmailAttribute", In(key::SYNC, "userEmailAttribute"), Type::Attribute, "mail", "LDAP: attribute with the e-mail address.";
    GROUP_OBJECT_CLASS: "sync.groupObjectClass", In(key::SYNC, "groupObjectClass"), Type::Attribute, "group", "LDAP: object class of groups.";
    GROUP_PATH: "sync.groupPath", In(key::SYNC, "groupPath"), Type::Dns, "", "LDAP: path of the groups, relative to the root. Separate several with |.";
    GROUP_NAME_ATTRIBUTE: "sync.groupNameAttribute", In(key::SYNC, "groupNameAttribute"), Type::Attribute, "name", "LDAP: attribute with a group's name; cn where it is absent.";
    MEMBER_ATTRIBUTE: "sync.memberAttribute", In(key::SYNC, "memberAttribute"), Type::Attribute, "member", "LDAP: attribute with a group's members: DNs or user names.";
    REVISION_DATE_ATTRIBUTE: "sync.revisionDateAttribute", In(key::SYNC, "revisionDateAttribute"), Type::Attribute, "", "LDAP: attribute with the time of the last change; when set, syncs read only what changed since the last one.";
    CREATION_DATE_ATTRIBUTE: "sync.creationDateAttribute", In(key::SYNC, "creationDateAttribute"), Type::Attribute, "", "LDAP: kept for the existing connector; not used.";
    USE_EMAIL_PREFIX_SUFFIX: "sync.useEmailPrefixSuffix", In(key::SYNC, "useEmailPrefixSuffix"), Type::Flag, "false", "Build an address from prefix and suffix for people who have none.";
    EMAIL_PREFIX_ATTRIBUTE: "sync.emailPrefixAttribute", In(key::SYNC, "emailPrefixAttribute"), Type::Attribute, "", "LDAP: attribute with the part before the @.";
    EMAIL_SUFFIX: "sync.emailSuffix", In(key::SYNC, "emailSuffix"), Type::EmailSuffix, "", "The part of the address from the @ on.";
}
