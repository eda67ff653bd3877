//! Refusals of an LDAP server, with their meaning and advice for each.

use std::time::Duration;

use super::config::Paging;
use super::wire::{Broken, LONGEST_VALUE, Outcome};
use crate::{Error, ErrorKind, Result};

/// `sizeLimitExceeded` of RFC 4511, appendix A.
pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// `adminLimitExceeded` of RFC 4511, appendix A.
pub(super) const ADMIN_LIMIT_EXCEEDED: u32 = 11;

/// `referral` of RFC 4511, section 4.1.10.
pub(super) const REFERRAL: u32 = 10;

/// Result codes of RFC 4511, appendix A.1, by name.
fn name(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        80 => "other",
        _ => "unknown result",
    }
}

fn words_of(result: &Outcome) -> String {
    let Outcome { code, text, matched, .. } = result;
    let mut told = format!("{} ({code})", name(*code));
    if !text.trim_matches(['\0', ' ', '\n']).is_empty() {
        told = format!("{told}: {}", text.trim_matches(['\0', ' ', '\n']));
    }
    if !matched.is_empty() {
        told = format!("{told} (the part that exists is `{matched}`)");
    }
    told
}

/// Error for the outcome of a bind.
pub(super) fn of_bind(attempted: &str, result: &Outcome) -> Result<()> {
    let (kind, hint) = match result.code {
        0 => return Ok(()),
        49 => (ErrorKind::Credentials, bad_credentials(&result.text)),
        48 | 50 | 53 => {
            (ErrorKind::Credentials, "The server does not allow this account to log in this way.")
        }
        8 | 13 => (
            ErrorKind::Configuration,
            "The server requires a protected connection: set ldap.ssl to true (LDAPS, usually port 636), or ldap.ssl \
            and ldap.startTls (StartTLS on the plain port). If it is protected, the server does not accept Kerberos inside TLS \
            (Samba: `ldap server require strong auth = allow_sasl_over_tls`).",
        ),
        10 => (
            ErrorKind::Configuration,
            "The server refers to another one: set ldap.hostname to a server that holds the tree.",
        ),
        34 => (
            ErrorKind::Configuration,
            "ldap.username is not a name that the server accepts; use the full DN.",
        ),
        _ => (ErrorKind::Refused, "The server's log has details."),
    };
    Err(Error::new(kind, attempted, words_of(result)).hint(hint))
}

/// Active Directory gives the reason in a hexadecimal "data" field of the text.
fn bad_credentials(text: &str) -> &'static str {
    let reasons = [
        ("data 525", "There is no such user. Check ldap.username."),
        ("data 52e", "The password is wrong. Check ldap.password."),
        ("data 530", "The account may not log in at this time."),
        ("data 531", "The account may not log in from this machine."),
        ("data 532", "The account's password has expired."),
        ("data 533", "The account is disabled."),
        ("data 701", "The account has expired."),
        ("data 773", "The account must change its password first."),
        ("data 775", "The account is locked."),
    ];
    reasons
        .iter()
        .find(|(mark, _)| text.contains(mark))
        .map_or("Check ldap.username (usually a full DN) and ldap.password.", |(_, reason)| reason)
}

/// Error for the outcome of a search. Anything but success means that entries are missing.
pub(super) fn of_search(attempted: &str, result: &Outcome, paging: Paging) -> Result<()> {
    let (kind, hint) = match result.code {
        0 => return Ok(()),
        3 => (
            ErrorKind::Incomplete,
            "The search took longer than the server allows. Narrow the base or the filter, index the attributes in \
             the filter, or have the limit raised for this account. Nothing was imported.",
        ),
        4 if paging == Paging::Pages => (
            ErrorKind::Incomplete,
            "The server does not send more entries than this to this account, not even in small pages. Have the limit raised for this \
            account (389 Directory Server: nsSizeLimit, nsPagedSizeLimit; OpenLDAP: size.prtotal). Nothing was imported.",
        ),
        4 => (
            ErrorKind::Incomplete,
            "The server does not send more entries than this to this account. Set ldap.pagedSearch to true, or have the \
            limit raised for this account. Nothing was imported.",
        ),
        11 => (
            ErrorKind::Incomplete,
            "An administrative limit of the server was reached. Have it raised for this account (389 Directory Server: \
            nsLookThroughLimit), let the account search by nsUniqueId there, or narrow the base or the filter. Nothing was imported.",
        ),
        10 => (
            ErrorKind::Incomplete,
            "Another server holds the base: set ldap.hostname to that server, correct the base, or set ldap.referrals to \
            follow.",
        ),
        12 if paging == Paging::Pages => (
            ErrorKind::Refused,
            "The server does not support a control that the search needs. If it is paging, set ldap.pagedSearch to \
             false.",
        ),
        12 => (ErrorKind::Refused, "The server does not support a control that the search needs."),
        32 => (
            ErrorKind::Configuration,
            "There is no entry with this base DN, or the account may not see it. Check ldap.rootPath, sync.userPath \
             and sync.groupPath.",
        ),
        34 => (
            ErrorKind::Configuration,
            "The base is not a valid DN. Check ldap.rootPath, sync.userPath and sync.groupPath.",
        ),
        50 | 1 => {
            (ErrorKind::Refused, "The account may not read here. Check ldap.username and its permissions.")
        }
        _ => (ErrorKind::Refused, "The server's log has details."),
    };
    let mut error = Error::new(kind, attempted, words_of(result)).hint(hint);
    if let (10, [first, ..]) = (result.code, &result.referrals[..]) {
        error = Error::new(kind, attempted, format!("{} to {first}", words_of(result))).hint(hint);
    }
    Err(error)
}

/// Refusals that a smaller page may avoid: the server's limits on entries, and OpenLDAP's on pages.
pub(super) fn is_about_size(result: &Outcome) -> bool {
    matches!(result.code, SIZE_LIMIT_EXCEEDED | 53)
}

/// Error for a TCP connection that failed.
pub(super) fn no_connection(attempted: &str, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            "Nothing is listening there. Check ldap.port (389 plain or StartTLS, 636 LDAPS) and that the server is running."
        }
        _ => "Check ldap.hostname, DNS and the firewall.",
    };
    Error::new(ErrorKind::Unreachable, attempted, error).hint(hint)
}

/// Error for a server that does not answer.
pub(super) fn no_answer(attempted: &str, limit: Duration) -> Error {
    Error::new(ErrorKind::Unreachable, attempted, format!("no answer within {} s", limit.as_secs_f32()))
        .hint("Check that the server is up, the port is right and no firewall drops the connection. Nothing was imported.")
}

/// Error for an answer that is not LDAP.
pub(super) fn malformed(attempted: &str) -> Error {
    Error::new(ErrorKind::Data, attempted, "the answer is not valid LDAP")
        .hint("Check that ldap.port is an LDAP port.")
}

/// Error for a connection that can no longer be used.
pub(super) fn broken(attempted: &str, broken: Broken) -> Error {
    match broken {
        Broken::Cut => {
            Error::new(ErrorKind::Unreachable, attempted, "the connection was cut before the answer was complete")
                .hint("Nothing was imported. Check the network and the server's log; the next run starts over.")
        }
        Broken::Silence(limit) => no_answer(attempted, limit),
        Broken::Malformed => malformed(attempted),
        Broken::Ended(outcome) => {
            let reason = format!("the server ended the connection: {}", words_of(&outcome));
            Error::new(ErrorKind::Unreachable, attempted, reason)
                .hint("Nothing was imported. The server's log has details; the next run starts over.")
        }
        Broken::StartTls(outcome) => of_start_tls(attempted, &outcome),
        Broken::TooLong(found) => {
            let dn: String = found.dn.chars().take(200).collect();
            let (attribute, length) = (&found.attribute, found.length);
            let reason = format!("the entry {dn} has a value of {length} bytes in the attribute {attribute}");
            Error::new(ErrorKind::Data, attempted, reason).hint(format!(
                "At most {LONGEST_VALUE} bytes are read. Shorten it, or exclude the entry with a filter. Nothing was imported."
            ))
        }
        Broken::Name(reason) => Error::new(ErrorKind::Configuration, attempted, reason)
            .hint("ldap.hostname must be a name or an address that a certificate can have."),
        Broken::Io(error) => of_io(attempted, &error),
        #[cfg(feature = "kerberos")]
        Broken::Kerberos(reason) => Error::new(ErrorKind::Credentials, attempted, reason).hint(
            "Check that the user who runs this has a ticket (klist; KRB5CCNAME names the cache) or a keytab \
             (KRB5_CLIENT_KTNAME), that ldap.hostname is the server's full name, and that its clock agrees with this one.",
        ),
    }
}

fn of_start_tls(attempted: &str, result: &Outcome) -> Error {
    Error::new(ErrorKind::Tls, format!("{attempted} with StartTLS"), words_of(result)).hint(
        "The server refuses StartTLS. Set ldap.startTls to false for LDAPS (usually port 636), or have TLS set up on \
        the server.",
    )
}

fn of_io(attempted: &str, error: &std::io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) => Error::new(ErrorKind::Tls, attempted, tls).hint(crate::tls::hint(
            tls,
            "name the authority's PEM file in ldap.sslCaPath (LDAPS) or ldap.tlsCaPath (StartTLS)",
            "ldap.hostname (with ldap.port, ldap.ssl and ldap.startTls)",
        )),
        None => Error::new(ErrorKind::Unreachable, attempted, error)
            .hint("Check that the port matches ldap.ssl and ldap.startTls, and check the server's log. Nothing was imported."),
    }
}
