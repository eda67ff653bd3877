//! systemd: the unit `bwdc.service` (systemd.service(5)).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    DAEMON, InstalledService, Keeper, Kept, Served, ServiceKeeper, ServiceRequest, ServiceState, not_ours,
};
use crate::commands;
use crate::job::{Starter, Syncs};
use crate::schedulers::Homes;
use crate::schedulers::systemd::section::{ServiceSection, argument, word};
use crate::schedulers::systemd::{Manager, added_to, disabled, run_once, runs_here, systemctl, unit_folder};
use crate::steps::{MachineChange, Steps};
use crate::trial;
use crate::variables::APPDATA_DIR;
use bwdc_core::error::{Error, Result};

/// systemd as a keeper of services.
pub(super) struct Systemd;

/// The service, without `.service`.
const NAME: &str = "bwdc";

const UNIT: &str = "bwdc.service";

/// Where packages put units (systemd.unit(5)).
const OF_PACKAGES: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

impl Keeper for Systemd {
    fn steps(&self, request: &ServiceRequest) -> Result<Steps> {
        let path = unit_folder(request.manager, &request.homes.config_home).join(UNIT);
        match (fs::read_to_string(&path), of_a_package()) {
            (Ok(text), _) if Served::of_text(&text).is_none() => return Err(not_ours(&path)),
            (Err(_), Some(package)) if request.manager == Manager::System => {
                return Err(has_a_package(&package));
            }
            _ => {}
        }
        let mut steps = Steps::default();
        steps.write(path, unit(request)?);
        if !steps.is_empty() || !is_on(request.manager) {
            for words in [&["daemon-reload"][..], &["enable", "--quiet", UNIT], &["restart", UNIT]] {
                steps.0.push(MachineChange::Run { command: systemctl(request.manager, words), input: None });
            }
        }
        Ok(steps)
    }

    fn try_out(&self, request: &ServiceRequest) -> Result<()> {
        // Without a systemd that runs, that is what fails.
        if !runs_here() {
            return Ok(());
        }
        let added = added_to(&unit_folder(request.manager, &request.homes.config_home), NAME);
        trial::run(&request.job, run_once(section(request), &added))
    }

    fn list(&self, homes: &Homes) -> Vec<InstalledService> {
        let own = |manager| (unit_folder(manager, &homes.config_home).join(UNIT), manager);
        let files = [own(Manager::System), own(Manager::User)].into_iter();
        let files = files.chain(of_a_package().map(|path| (path, Manager::System)));
        let mut found: Vec<_> = files.filter_map(|(path, manager)| installed(path, manager)).collect();
        // An administrator's unit takes the place of a package's.
        if found.len() > 1 && found.iter().any(|service| !is_a_packages(&service.place)) {
            found.retain(|service| !is_a_packages(&service.place));
        }
        found
    }
}

fn of_a_package() -> Option<PathBuf> {
    OF_PACKAGES.into_iter().map(|folder| Path::new(folder).join(UNIT)).find(|path| path.is_file())
}

fn is_a_packages(path: &Path) -> bool {
    OF_PACKAGES.into_iter().any(|folder| path.starts_with(folder))
}

fn has_a_package(package: &Path) -> Error {
    Error::new(format!("A package has brought the service already: {}.", package.display())).hint(
        "Start it, now and at every boot: `systemctl enable --now bwdc`. `systemctl edit bwdc` changes it, and no update takes that back.",
    )
}

/// Whether a service whose file is there is in use as well.
fn is_on(manager: Manager) -> bool {
    ["is-enabled", "is-active"]
        .into_iter()
        .all(|state| commands::run(&systemctl(manager, &[state, "--quiet", UNIT]), None).is_ok())
}

fn section(request: &ServiceRequest) -> ServiceSection<'_> {
    ServiceSection {
        job: &request.job,
        starter: Starter::Services,
        manager: request.manager,
        credentials: &request.credentials,
    }
}

/// The unit. Without a marker it is what a package brings, and what docs/daemon.md shows.
fn unit(request: &ServiceRequest) -> Result<String> {
    let section = section(request);
    section.check()?;
    let arguments = request.words().map(argument);
    let command: Vec<String> = [word(&request.job.program)].into_iter().chain(arguments).collect();
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let wanted_by = match request.manager {
        Manager::System => "WantedBy=multi-user.target",
        Manager::User => "WantedBy=default.target",
    };
    let all = [
        vec![
            "# Made by `bwdc service install`; `bwdc service remove` takes it away.".to_owned(),
            format!("# {}", request.served().marker()),
        ],
        lines(HEAD),
        section.account(),
        vec![format!("ExecStart={}", command.join(" "))],
        lines(LIFE),
        section.sandbox(),
        lines(&["", "[Install]", wanted_by, ""]),
    ];
    Ok(all.concat().join("\n"))
}

const HEAD: &[&str] = &[
    "[Unit]",
    "Description=Bitwarden directory sync",
    "Wants=network-online.target",
    "After=network-online.target",
    "",
    "[Service]",
    "Type=notify",
];

/// How it is told, watched, restarted and stopped: one that hangs for a minute is killed, one sync without memory does not end the others,
/// and syncs under way may end.
const LIFE: &[&str] = &[
    "ExecReload=/bin/kill -HUP $MAINPID",
    "WatchdogSec=60",
    "OOMPolicy=continue",
    "Restart=on-failure",
    "RestartSec=10",
    "KillMode=mixed",
    "TimeoutStopSec=90",
    "",
];

/// A unit of systemd.
#[derive(Debug)]
struct Unit {
    path: PathBuf,
    manager: Manager,
}

impl Kept for Unit {
    fn state(&self) -> Result<ServiceState> {
        let asked = ["show", UNIT, "--property=ActiveState,SubState,UnitFileState"];
        let text = commands::run(&systemctl(self.manager, &asked), None)?;
        Ok(state_of(&text))
    }

    fn removal(&self) -> Result<Steps> {
        if is_a_packages(&self.path) {
            return Err(Error::new(format!("{} belongs to a package.", self.path.display()))
                .hint("Stop it, now and at every boot: `systemctl disable --now bwdc`. Removing the package removes it."));
        }
        let attempt = |words: &[&str]| MachineChange::Try { command: systemctl(self.manager, words) };
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let target = match self.manager {
            Manager::System => "multi-user.target",
            Manager::User => "default.target",
        };
        Ok(Steps(vec![
            disabled(folder, target, UNIT, self.manager),
            MachineChange::Remove { path: self.path.clone() },
            attempt(&["daemon-reload"]),
            attempt(&["reset-failed", UNIT]),
        ]))
    }
}

/// `NAME=VALUE` lines of `systemctl show`.
fn state_of(text: &str) -> ServiceState {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let active = value("ActiveState");
    ServiceState {
        state: format!("{active} ({})", value("SubState")),
        is_running: ["active", "reloading"].contains(&active),
        starts_at_boot: value("UnitFileState") == "enabled",
    }
}

fn installed(path: PathBuf, manager: Manager) -> Option<InstalledService> {
    let text = fs::read_to_string(&path).ok()?;
    let served = Served::of_text(&text).or_else(|| is_a_packages(&path).then(|| of_plain_unit(&text)))?;
    let kept = Arc::new(Unit { path: path.clone(), manager });
    Some(InstalledService { keeper: ServiceKeeper::Systemd, place: path, served, kept })
}

/// What a unit without a marker serves: a package's, whose lines are plain.
fn of_plain_unit(text: &str) -> Served {
    let values = |name: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = |name: &str| values(name).into_iter().next().unwrap_or_default();
    let variables: Vec<(String, String)> = values("Environment")
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (folder, variables): (Vec<_>, Vec<_>) =
        variables.into_iter().partition(|(name, _)| name == APPDATA_DIR);
    let command = first("ExecStart");
    let mut words = command.split_whitespace().map(str::to_owned);
    let program = words.next().unwrap_or_default();
    Served {
        folder: folder.into_iter().next().map(|(_, folder)| folder).unwrap_or_default(),
        syncs: Syncs::Instance,
        user: first("User"),
        program,
        options: words.skip_while(|word| word == DAEMON).collect(),
        variables,
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;
    use crate::job::{Job, Writes};
    use crate::preparation::{JobUser, Owners, Trial};

    fn request(manager: Manager) -> ServiceRequest {
        ServiceRequest {
            keeper: ServiceKeeper::Systemd,
            user: JobUser::named(Some("bwdc")),
            job: Job {
                program: "/usr/local/bin/bwdc".to_owned(),
                folder: "/var/lib/bwdc".to_owned(),
                syncs: Syncs::Instance,
                writes: Writes::default(),
                user: "bwdc".to_owned(),
                variables: vec![("BW_CLIENTID".to_owned(), "organization.CLIENT-ID".to_owned())],
            },
            options: Vec::new(),
            homes: Homes { user: None, home: PathBuf::new(), config_home: PathBuf::new() },
            owners: Owners::Keep,
            trial: Trial::Try,
            secret_files: Vec::new(),
            manager,
            credentials: vec![("login.clientSecret".to_owned(), "/etc/bwdc/client-secret".to_owned())],
        }
    }

    #[test]
    fn the_guide_shows_the_unit() {
        let page = include_str!("../../../../docs/daemon.md");
        let shown = page.split("\n```ini\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let unit = unit(&request(Manager::System)).unwrap();
        let lines: Vec<&str> = unit.lines().skip(2).collect();
        assert_eq!(shown.trim_end(), lines.join("\n").trim_end());
    }

    #[test]
    fn the_systemd_of_a_user_is_asked_for_nothing_that_needs_root() {
        let unit = unit(&request(Manager::User)).unwrap();
        assert!(
            unit.contains("\nNoNewPrivileges=yes\n") && unit.ends_with("\nWantedBy=default.target\n"),
            "{unit}"
        );
        for line in ["User=", "PrivateDevices=", "ReadWritePaths="] {
            assert!(!unit.contains(&format!("\n{line}")), "{line}");
        }
    }

    #[test]
    fn what_a_unit_serves_is_found_again() {
        let mut asked = request(Manager::System);
        asked.options = vec!["--web".to_owned(), "127.0.0.1:8444".to_owned()];
        let text = unit(&asked).unwrap();
        assert!(text.contains("\nExecStart=/usr/local/bin/bwdc daemon --web 127.0.0.1:8444\n"), "{text}");
        assert_eq!(Served::of_text(&text), Some(asked.served()));
        // A package's has no marker.
        let plain: String = text.lines().skip(2).map(|line| format!("{line}\n")).collect();
        assert_eq!(Served::of_text(&plain), None);
        assert_eq!(of_plain_unit(&plain), asked.served());
    }

    #[test]
    fn no_line_of_a_unit_comes_from_an_option_or_a_credential() {
        let line = "/tmp/a\nExecStartPre=+/bin/evil";
        let mut asked = request(Manager::System);
        asked.options = vec!["--web".to_owned(), line.to_owned()];
        assert!(asked.steps(crate::schedulers::Mode::Show).unwrap_err().message.contains("line break"));
        let mut asked = request(Manager::System);
        asked.credentials = vec![("login.clientSecret".to_owned(), line.to_owned())];
        assert!(unit(&asked).unwrap_err().message.contains("line break"));
    }

    #[test]
    fn states_of_systemd() {
        let state = state_of("ActiveState=active\nSubState=running\nUnitFileState=enabled\n");
        assert_eq!(
            (state.state.as_str(), state.is_running, state.starts_at_boot),
            ("active (running)", true, true)
        );
        let state = state_of("ActiveState=failed\nSubState=failed\nUnitFileState=disabled\n");
        assert_eq!((state.is_running, state.starts_at_boot), (false, false));
    }

    proptest! {
        #![proptest_config(few())]

        /// What is found is found again where it is written, and what systemd says is a state.
        #[test]
        fn fuzz_services(text in damaged_text([
            "# bwdc-service: {\"folder\":\"/var/lib/bwdc\",\"user\":\"bwdc\",\"program\":\"/usr/bin/bwdc\",\"options\":[\"--web\"],\"variables\":[[\"BWDC_CONFIG\",\"x\"]]}\n",
            "[Service]\nUser=bwdc\nEnvironment=BITWARDENCLI_CONNECTOR_APPDATA_DIR=/var/lib/bwdc\nExecStart=/usr/bin/bwdc daemon --spread 0\n",
            "ActiveState=active\nSubState=running\nUnitFileState=enabled\n",
        ])) {
            if let Some(served) = Served::of_text(&text) {
                prop_assert_eq!(Served::of_text(&served.marker()), Some(served));
            }
            let plain = of_plain_unit(&text);
            prop_assert!(plain.options.iter().all(|word| !word.contains(char::is_whitespace)));
            prop_assert_eq!(state_of(&text).is_running, state_of(&text).state.starts_with("active (") || state_of(&text).state.starts_with("reloading ("));
        }
    }
}
