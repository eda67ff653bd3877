//! Attributes that mark an account as disabled, by directory.

use jiff::{SignedDuration, Timestamp};

/// `ADS_UF_ACCOUNTDISABLE`, see Microsoft's description of `userAccountControl`.
const ACCOUNT_DISABLED: i64 = 0x2;
/// Seconds from 1601, the start of Windows' file times, to 1970.
const WINDOWS_EPOCH: i64 = 11_644_473_600;
/// Units of a file time (tenths of microseconds) per second.
const TICKS: i64 = 10_000_000;
/// Value an administrator writes to lock an account permanently (draft-behera-ldap-password-policy, pwdAccountLockedTime). Any
/// other time is a temporary lock after wrong passwords.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// Attribute, with the meaning of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DisabledBy {
    /// Flags of Active Directory.
    UserAccountControl,
    /// Expiry of an Active Directory account, a file time; 0 and the largest number mean never.
    AccountExpires,
    /// 389 Directory Server, FreeIPA and Oracle: `true`.
    NsAccountLock,
    /// Password policy of OpenLDAP, if an administrator has locked the account.
    PwdAccountLockedTime,
    /// eDirectory: `TRUE`.
    LoginDisabled,
    /// Expiry of a Unix account in days since 1970 (shadow(5)); negative means never.
    ShadowExpire,
}

impl DisabledBy {
    /// All attributes.
    pub const ALL: [Self; 6] = [
        Self::UserAccountControl,
        Self::AccountExpires,
        Self::NsAccountLock,
        Self::PwdAccountLockedTime,
        Self::LoginDisabled,
        Self::ShadowExpire,
    ];

    /// Name of the attribute.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::UserAccountControl => "userAccountControl",
            Self::AccountExpires => "accountExpires",
            Self::NsAccountLock => "nsAccountLock",
            Self::PwdAccountLockedTime => "pwdAccountLockedTime",
            Self::LoginDisabled => "loginDisabled",
            Self::ShadowExpire => "shadowExpire",
        }
    }

    /// Finds one by the attribute's name, in any case.
    pub fn named(attribute: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.attribute().eq_ignore_ascii_case(attribute))
    }

    /// Whether this value marks the account as disabled.
    pub(super) fn says_so(self, value: &str, now: Timestamp) -> bool {
        let value = value.trim();
        let number = value.parse::<i64>().ok();
        match self {
            Self::UserAccountControl => number.is_some_and(|flags| flags & ACCOUNT_DISABLED != 0),
            Self::AccountExpires => number.is_some_and(|time| {
                let is_never = time == 0 || time == i64::MAX;
                !is_never && time / TICKS - WINDOWS_EPOCH <= now.as_second()
            }),
            Self::NsAccountLock | Self::LoginDisabled => value.eq_ignore_ascii_case("true"),
            Self::PwdAccountLockedTime => value == LOCKED_FOR_GOOD,
            Self::ShadowExpire => number.is_some_and(|days| {
                days >= 0 && SignedDuration::from_hours(24 * days.min(1_000_000)).as_secs() <= now.as_second()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_marks_it_in_its_own_way() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let yesterday = (now.as_second() - 86_400 + WINDOWS_EPOCH) * TICKS;
        let tomorrow = (now.as_second() + 86_400 + WINDOWS_EPOCH) * TICKS;
        for (mark, value, expected) in [
            (DisabledBy::UserAccountControl, "514", true),
            (DisabledBy::UserAccountControl, "512", false),
            (DisabledBy::UserAccountControl, "-2147483646", true),
            (DisabledBy::AccountExpires, "0", false),
            (DisabledBy::AccountExpires, "9223372036854775807", false),
            (DisabledBy::AccountExpires, &yesterday.to_string(), true),
            (DisabledBy::AccountExpires, &tomorrow.to_string(), false),
            (DisabledBy::NsAccountLock, "TRUE", true),
            (DisabledBy::NsAccountLock, "false", false),
            (DisabledBy::LoginDisabled, "TRUE", true),
            (DisabledBy::PwdAccountLockedTime, "000001010000Z", true),
            (DisabledBy::PwdAccountLockedTime, "20260101000000Z", false),
            (DisabledBy::ShadowExpire, "-1", false),
            (DisabledBy::ShadowExpire, "1", true),
            (DisabledBy::ShadowExpire, "20000", true),
            (DisabledBy::ShadowExpire, "30000", false),
            (DisabledBy::ShadowExpire, "99999999999", false),
            (DisabledBy::UserAccountControl, "nonsense", false),
            (DisabledBy::AccountExpires, "", false),
        ] {
            assert_eq!(mark.says_so(value, now), expected, "{mark:?} {value}");
        }
        assert!(
            DisabledBy::ALL
                .iter()
                .all(|mark| DisabledBy::named(&mark.attribute().to_uppercase()) == Some(*mark))
        );
    }
}
