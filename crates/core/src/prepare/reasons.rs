//! Reasons for which an entry is left out, where they are the same for everybody: by them, [`crate::changes::LeftOut`] knows them again.

pub(crate) const USER_FILTER: &str = "left out by the user filter";
pub(crate) const NO_KEPT_GROUP: &str = "not in any group that the group filter keeps";
pub(crate) const GROUP_FILTER: &str = "left out by the group filter";
pub(crate) const NO_ADDRESS: &str = "no e-mail address";
pub(crate) const LONG_ADDRESS: &str = "an e-mail address of more than 256 characters";
pub(crate) const DISABLED_TWIN: &str = "disabled, and an active account has the same address";

/// All of them.
pub(crate) const ALL: [&str; 6] =
    [USER_FILTER, NO_KEPT_GROUP, GROUP_FILTER, NO_ADDRESS, LONG_ADDRESS, DISABLED_TWIN];
