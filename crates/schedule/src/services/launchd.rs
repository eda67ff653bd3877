//! launchd: the property list `bwdc.daemon` (launchd.plist(5)).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{InstalledService, Keeper, Kept, Served, ServiceKeeper, ServiceRequest, ServiceState, not_ours};
use crate::account;
use crate::commands;
use crate::job::Starter;
use crate::marker;
use crate::schedulers::Homes;
use crate::schedulers::launchd::property_list::{Domain, List, integer, key};
use crate::schedulers::launchd::{launchd_domain, list_folder, loaded, unloaded};
use crate::steps::Steps;
use crate::trial;
use bwdc_core::error::Result;

/// launchd as a keeper of services.
pub(super) struct Launchd;

const LABEL: &str = "bwdc.daemon";

impl Keeper for Launchd {
    fn steps(&self, request: &ServiceRequest) -> Result<Steps> {
        let is_own = request.user.is_own()? && !account::is_root();
        let domain = if is_own { Domain::User } else { Domain::System };
        let folder = list_folder(domain, &request.homes.home);
        let path = path_in(&folder);
        if fs::read_to_string(&path).is_ok_and(|text| Served::of_text(&text).is_none()) {
            return Err(not_ours(&path));
        }
        loaded(LABEL, text(request, domain)?, domain, &folder)
    }

    fn try_out(&self, request: &ServiceRequest) -> Result<()> {
        let command = trial::as_user(&request.job, Starter::Services, trial::Begins::InFolder)?;
        trial::run(&request.job, command)
    }

    fn list(&self, homes: &Homes) -> Vec<InstalledService> {
        if cfg!(not(unix)) {
            return Vec::new();
        }
        let of = |domain| installed(path_in(&list_folder(domain, &homes.home)), domain);
        [Domain::System, Domain::User].into_iter().filter_map(of).collect()
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join(format!("{LABEL}.plist"))
}

fn text(request: &ServiceRequest, domain: Domain) -> Result<String> {
    let list = List {
        label: LABEL.to_owned(),
        command: "service",
        marker: marker::in_xml(&request.served().marker()),
        words: request.words().map(str::to_owned).collect(),
        starter: Starter::Services,
        job: &request.job,
        domain,
    };
    list.text(&life())
}

/// Started at the boot, or at the user's login; again when it fails, not more often than every ten seconds. Syncs under way may end.
fn life() -> String {
    [
        format!("{}\t<true/>\n", key(1, "RunAtLoad")),
        format!("{}\t<dict>\n{}\t\t<false/>\n\t</dict>\n", key(1, "KeepAlive"), key(2, "SuccessfulExit")),
        format!("{}{}", key(1, "ThrottleInterval"), integer(1, 10)),
        format!("{}{}", key(1, "ExitTimeOut"), integer(1, 90)),
    ]
    .concat()
}

/// A job of launchd.
#[derive(Debug)]
struct Loaded {
    path: PathBuf,
    domain: Domain,
}

impl Loaded {
    fn target(&self) -> Result<String> {
        Ok(format!("{}/{LABEL}", launchd_domain(self.domain)?))
    }
}

impl Kept for Loaded {
    fn state(&self) -> Result<ServiceState> {
        let print = ["launchctl".to_owned(), "print".to_owned(), self.target()?];
        Ok(commands::run(&print, None).map_or_else(|_| not_loaded(), |text| state_of(&text)))
    }

    fn removal(&self) -> Result<Steps> {
        Ok(unloaded(&self.target()?, &self.path))
    }
}

/// launchd knows nothing of it: it was taken out by hand, or will be read at the next boot.
fn not_loaded() -> ServiceState {
    ServiceState { state: "not loaded".to_owned(), is_running: false, starts_at_boot: true }
}

/// What `launchctl print` says, which begins with the job's own lines.
fn state_of(text: &str) -> ServiceState {
    let state = text.lines().find_map(|line| line.trim().strip_prefix("state = ")).unwrap_or("unknown");
    ServiceState { state: state.to_owned(), is_running: state == "running", starts_at_boot: true }
}

fn installed(path: PathBuf, domain: Domain) -> Option<InstalledService> {
    let served = Served::of_text(&fs::read_to_string(&path).ok()?)?;
    let kept = Arc::new(Loaded { path: path.clone(), domain });
    Some(InstalledService { keeper: ServiceKeeper::Launchd, place: path, served, kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_launchd() {
        let printed = "system/bwdc.daemon = {\n\tactive count = 1\n\tstate = running\n\tpid = 7\n\t\tstate = active\n}\n";
        assert!(state_of(printed).is_running);
        assert!(!state_of("system/bwdc.daemon = {\n\tstate = not running\n}\n").is_running);
        assert_eq!(state_of("").state, "unknown");
    }
}
