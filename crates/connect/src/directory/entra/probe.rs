//! Checks of `doctor`: login, permissions, access to each list, and what expires soon.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::client::{GroupRecord, ListRequest, Permission, SecretRecord, UserRecord};
use super::{Entra, GROUPS, Progress, ReadScope, Side, USERS, convert};
use crate::probe::{Check, ends_soon};

impl Entra {
    /// Checks every step of a read separately.
    pub(super) async fn looked_at(&self, scope: ReadScope) -> Vec<Check> {
        let mut checks = self.login_checks(scope).await;
        if checks.iter().any(Check::is_bad) {
            return checks;
        }
        checks.push(self.readable::<UserRecord>("users", USERS).await);
        if scope.has_groups() {
            checks.push(self.readable::<GroupRecord>("groups", GROUPS).await);
        }
        if !checks.iter().any(Check::is_bad) {
            checks.extend(self.filter_checks(scope).await);
        }
        checks
    }

    async fn login_checks(&self, scope: ReadScope) -> Vec<Check> {
        const LOGIN: &str = "Entra login";
        let login = self.client.login();
        let mut checks = Vec::new();
        if let Some((path, ends)) = login.certificate() {
            checks.push(until(&format!("Entra certificate {}", path.display()), ends));
        }
        let granted = match self.client.granted().await {
            Ok(granted) => granted,
            Err(error) => {
                checks.push(Check::bad(LOGIN, error));
                return checks;
            }
        };
        checks.push(Check::good(LOGIN, login.who()));
        checks.extend(granted.permissions().map(|granted| self.permissions(scope, &granted)));
        checks.extend(self.secret().await);
        checks
    }

    /// Permissions that this configuration needs, besides those that were granted.
    fn permissions(&self, scope: ReadScope, granted: &[String]) -> Check {
        const PERMISSIONS: &str = "Entra permissions";
        let has_groups = scope.has_groups() || !self.config.user_filter.is_by_set_only();
        let has_units = scope.has_groups() && !self.config.group_filter.is_by_set_only();
        let needed =
            [(Permission::Users, true), (Permission::Groups, has_groups), (Permission::Units, has_units)];
        let missing =
            needed.into_iter().filter(|(permission, is_needed)| *is_needed && !permission.is_in(granted));
        let missing: Vec<&str> = missing.map(|(permission, _)| permission.name()).collect();
        if missing.is_empty() {
            return Check::good(PERMISSIONS, granted.join(", "));
        }
        let found = if granted.is_empty() { "none".to_owned() } else { granted.join(", ") };
        let missing = missing.join(", ");
        Check::doubtful(
            PERMISSIONS,
            format!("missing: {missing}; granted: {found}"),
            "Add them in the application's registration (API permissions, Microsoft Graph, Application permissions), and grant admin \
            consent.",
        )
    }

    /// Expiry of the client secret, if the application may read its own registration.
    async fn secret(&self) -> Option<Check> {
        let secret = self.client.login().secret()?;
        let known = self.client.secrets(&self.config.application_id).await.ok()??;
        let hint: String = secret.reveal().chars().take(3).collect();
        let of_hint: Vec<&SecretRecord> =
            known.iter().filter(|record| record.hint.as_deref() == Some(hint.as_str())).collect();
        // If two begin with the same characters, it is not known which one is ours.
        let [ours] = of_hint[..] else { return None };
        let ends = ours.end_date_time.as_deref()?.parse().ok()?;
        let name = ours.display_name.as_deref().unwrap_or("without a name");
        Some(until(&format!("Entra client secret {name}"), ends))
    }

    async fn readable<T: DeserializeOwned>(&self, what: &str, wanted: ListRequest<'_>) -> Check {
        let title = format!("Entra {what}");
        match self.client.first_page::<T>(wanted).await {
            Ok((found, _)) if found.is_empty() => Check::doubtful(
                title,
                "there are none",
                "Check entra.tenant and the application's permissions.",
            ),
            Ok((found, true)) => Check::good(title, format!("more than {} can be read", found.len())),
            Ok((found, false)) => Check::good(title, format!("{} can be read", found.len())),
            Err(error) => Check::bad(title, error),
        }
    }

    /// Checks that the groups and units of the filters exist.
    async fn filter_checks(&self, scope: ReadScope) -> Vec<Check> {
        let mut checks = Vec::new();
        for (side, is_used) in [(Side::Users, scope.has_users()), (Side::Groups, scope.has_groups())] {
            for id in self.filter(side).ids().into_iter().filter(|_| is_used) {
                checks.push(self.filter_check(side, id).await);
            }
        }
        checks
    }

    async fn filter_check(&self, side: Side, id: &str) -> Check {
        match self.all_members(side, id, &Progress::default()).await {
            Ok(members) => {
                let count = convert::ids(&members, side.kind()).len();
                Check::good("Entra filter", format!("{}: {count} can be read", side.what(id)))
            }
            Err(error) => Check::bad("Entra filter", error),
        }
    }
}

fn until(what: &str, ends: Timestamp) -> Check {
    let found = format!("good until {}", ends.strftime("%Y-%m-%d"));
    if ends_soon(ends) {
        return Check::doubtful(
            what,
            found,
            "Make a new one in time, under Certificates & secrets of the application.",
        );
    }
    Check::good(what, found)
}
