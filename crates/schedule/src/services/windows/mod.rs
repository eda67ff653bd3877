//! Windows: the service `bwdc` of its service control manager ("Services", Microsoft Learn).

mod change;
mod control_manager;
mod private_folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::change::ServiceChange;
use self::change::{Definition, SERVICE_KEY};
#[cfg(windows)]
pub use self::control_manager::own_words;
use super::{
    InstalledService, Keeper, Kept, Served, ServiceKeeper, ServiceRequest, ServiceState, WINDOWS_NAME,
};
use crate::job::{self, Starter};
use crate::preparation::is_empty_or_an_instances;
use crate::schedulers::Homes;
use crate::steps::{MachineChange, Steps};
use crate::trial;
use crate::variables::EVENT_LOG;
use bwdc_core::error::{Error, Result};

/// Windows as a keeper of services.
pub(super) struct Windows;

/// The account that Windows makes for the service itself, without a password.
pub(super) const ACCOUNT: &str = r"NT SERVICE\bwdc";

impl Keeper for Windows {
    fn steps(&self, request: &ServiceRequest) -> Result<Steps> {
        job::check(&request.job)?;
        let found = control_manager::found()?;
        if let Some(other) = found.as_ref().filter(|found| !found.is_ours()) {
            return Err(not_ours(&other.command));
        }
        let folders = folders(request)?;
        let definition = Definition::of(request);
        let complete = definition.complete(&folders);
        if control_manager::completed().as_ref() == Some(&complete) && control_manager::state()?.is_running {
            return Ok(Steps::default());
        }
        let mut changes = Vec::new();
        if found.is_some() {
            changes.push(ServiceChange::Stop);
        }
        changes.push(ServiceChange::SetUp(definition));
        let close = |folder| ServiceChange::Close { folder, account: request.user.name.clone() };
        changes.extend(folders.into_iter().map(close));
        changes.push(ServiceChange::Complete(complete));
        changes.push(ServiceChange::Start);
        Ok(Steps(changes.into_iter().map(MachineChange::Service).collect()))
    }

    /// Nobody but Windows can run something as the service's account: only what is missing is told.
    fn try_out(&self, request: &ServiceRequest) -> Result<()> {
        let folder = Path::new(&request.job.folder);
        if ["data.json", "bwdc.toml"].iter().any(|name| folder.join(name).is_file()) {
            return Ok(());
        }
        Err(trial::not_set_up(&request.job.folder))
    }

    fn list(&self, _homes: &Homes) -> Vec<InstalledService> {
        let found = control_manager::found().ok().flatten().filter(control_manager::Found::is_ours);
        let installed = |_| InstalledService {
            keeper: ServiceKeeper::Windows,
            place: PathBuf::from(SERVICE_KEY),
            served: control_manager::served().and_then(|text| Served::of_text(&text)).unwrap_or_else(unknown),
            kept: Arc::new(Registered),
        };
        found.map(installed).into_iter().collect()
    }
}

/// What a service serves whose installation ended too soon.
fn unknown() -> Served {
    let unknown = || "unknown: install it again".to_owned();
    Served {
        folder: unknown(),
        syncs: crate::job::Syncs::Instance,
        user: unknown(),
        program: unknown(),
        options: Vec::new(),
        variables: Vec::new(),
    }
}

fn not_ours(command: &str) -> Error {
    Error::new(format!(
        "There is a service {WINDOWS_NAME} that was not made by `bwdc service install`: it runs {command}."
    ))
    .hint(format!("Remove it (`sc.exe delete {WINDOWS_NAME}`), then install again."))
}

/// Folders that the service may change, each an instance's.
fn folders(request: &ServiceRequest) -> Result<Vec<String>> {
    let all: Vec<String> =
        request.job.writes.instances.iter().chain([&request.job.folder]).cloned().collect();
    for folder in &all {
        let path = Path::new(folder);
        if path.parent().is_none() || !is_empty_or_an_instances(path) {
            return Err(Error::new(format!(
                "{folder} has files in it and neither data.json nor bwdc.toml: its rights are not changed."
            ))
            .hint("Nothing was changed. Check the folder's name; set it up first with `bwdc init --appdata DIR`."));
        }
        if cfg!(windows) && !path.is_dir() {
            return Err(trial::not_set_up(folder));
        }
    }
    Ok(all)
}

impl Definition {
    fn of(request: &ServiceRequest) -> Self {
        let own = [(EVENT_LOG, "true")].into_iter();
        let variables = request.job.environment(Starter::Services).chain(own);
        Self {
            program: request.job.program.clone(),
            options: request.options.clone(),
            user: request.user.name.clone(),
            variables: variables.map(|(name, value)| format!("{name}={value}")).collect(),
            served: request.served().marker(),
        }
    }
}

/// The service in the registry.
#[derive(Debug)]
struct Registered;

impl Kept for Registered {
    fn state(&self) -> Result<ServiceState> {
        control_manager::state()
    }

    fn removal(&self) -> Result<Steps> {
        Ok(Steps([ServiceChange::Stop, ServiceChange::Delete].map(MachineChange::Service).to_vec()))
    }
}

/// Makes a folder of the machine's that only the system, its administrators and the service may look into, with the one that all of them are in;
/// closes what is there, if nobody else has made it. Elsewhere than on Windows it does nothing.
///
/// # Errors
/// It is somebody else's, leads elsewhere, or its rights cannot be set.
pub fn make_private_folder(of_machine: &Path, folder: &Path) -> Result<()> {
    private_folder::close(of_machine)?;
    let within = folder.strip_prefix(of_machine).unwrap_or(Path::new(""));
    let mut path = of_machine.to_owned();
    for part in within {
        path.push(part);
        private_folder::close(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Job, Syncs, Writes};
    use crate::preparation::{JobUser, Owners, Trial};
    use crate::schedulers::systemd::Manager;

    fn request() -> ServiceRequest {
        ServiceRequest {
            keeper: ServiceKeeper::Windows,
            user: JobUser::named(Some(ACCOUNT)),
            job: Job {
                program: r"C:\Program Files\bwdc\bwdc.exe".to_owned(),
                folder: r"C:\ProgramData\bwdc".to_owned(),
                syncs: Syncs::Instance,
                writes: Writes::default(),
                user: ACCOUNT.to_owned(),
                variables: vec![("BWDC_CA_FILE".to_owned(), r"D:\Zertifikate für uns\ca.pem".to_owned())],
            },
            options: vec!["--web".to_owned(), "127.0.0.1:8444".to_owned()],
            homes: Homes { user: None, home: PathBuf::new(), config_home: PathBuf::new() },
            owners: Owners::Keep,
            trial: Trial::Try,
            secret_files: Vec::new(),
            manager: Manager::System,
            credentials: Vec::new(),
        }
    }

    #[test]
    fn the_steps_are_shown_as_commands_of_windows() {
        let text = Windows.steps(&request()).unwrap().text().unwrap();
        for line in [
            r#"sc.exe create bwdc binPath= "\"C:\Program Files\bwdc\bwdc.exe\" service-process --web 127.0.0.1:8444" start= delayed-auto obj= "NT SERVICE\bwdc" DisplayName= "Bitwarden directory sync""#,
            "sc.exe failure bwdc reset= 86400 actions= restart/10000/restart/10000/restart/60000",
            "net start bwdc",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
        assert!(
            text.contains(r"\0BWDC_CA_FILE=D:\Zertifikate") && text.contains(r"\0BWDC_EVENT_LOG=true"),
            "{text}"
        );
    }

    #[test]
    fn another_folder_or_version_is_installed_again() {
        let request = request();
        let definition = Definition::of(&request);
        let one = std::slice::from_ref(&request.job.folder);
        let complete = definition.complete(one);
        assert_eq!(complete, Definition::of(&request).complete(one));
        let more = [request.job.folder.clone(), r"D:\acme".to_owned()];
        assert_ne!(complete, definition.complete(&more));
        assert!(complete.contains(env!("CARGO_PKG_VERSION")), "{complete}");
        assert_eq!(Served::of_text(&definition.served), Some(request.served()));
    }

    #[test]
    fn no_rights_are_taken_from_what_is_no_instances() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let mut request = request();
        for other in [folder.path().to_str().unwrap(), "/"] {
            request.job.folder = other.to_owned();
            assert!(Windows.steps(&request).is_err(), "{other}");
        }
    }
}
