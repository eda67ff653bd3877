//! Windows: the service `bwdc` of its service control manager ("Services", Microsoft Learn).

mod control_manager;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{
    InstalledService, Keeper, Kept, Served, ServiceKeeper, ServiceRequest, ServiceState, WINDOWS_COMMAND,
    WINDOWS_NAME,
};
use crate::commands;
use crate::job::{self, Starter};
use crate::marker;
use crate::schedulers::Homes;
use crate::shell::command_line;
use crate::steps::{MachineChange, Steps};
use crate::trial;
use crate::variables::EVENT_LOG;
use serde_json::{Value, json};

use bwdc_core::error::{Error, Result};

/// Windows as a keeper of services.
pub(super) struct Windows;

/// The account that Windows makes for the service itself: without a password, and with no rights but those that are given to it.
pub(super) const ACCOUNT: &str = r"NT SERVICE\bwdc";

/// What the service control manager knows of the service.
const KEY: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\bwdc";

/// The service's own part of it.
const PARAMETERS: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\bwdc\Parameters";

/// The value in it that says what the service serves.
const SERVED: &str = "Served";

/// The source of its events.
const SOURCE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\bwdc";

/// A program of Windows whose messages are the text of an event and nothing else.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";

/// The service's name for people, and what it does.
const DISPLAY_NAME: &str = "Bitwarden directory sync";
const DESCRIPTION: &str = "Keeps a Bitwarden organization in step with a directory (bwdc daemon).";

/// When it is started again after it has failed, the last for every further failure. A day without one counts as none before.
const RESTARTS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(10), Duration::from_secs(60)];
const RESET: Duration = Duration::from_secs(86_400);

/// The system and its administrators, by number: their names are of the system's language ("Well-known SIDs", Microsoft Learn).
const SYSTEM: &str = "*S-1-5-18:(OI)(CI)F";
const ADMINISTRATORS: &str = "*S-1-5-32-544:(OI)(CI)F";
const ADMINISTRATORS_SID: &str = "*S-1-5-32-544";

/// Between variables in the registry. No path has it.
const SEPARATOR: &str = "|";

impl Keeper for Windows {
    fn steps(&self, request: &ServiceRequest) -> Result<Steps> {
        job::check(&request.job)?;
        let known = known();
        let served = marker::in_xml(&request.served().marker());
        if known.as_ref() == Some(&served) && control_manager::state()?.is_running {
            return Ok(Steps::default());
        }
        let mut steps = Vec::new();
        if known.is_some() {
            steps.push(MachineChange::Service(ServiceChange::Stop));
        }
        steps.push(MachineChange::Service(ServiceChange::SetUp(definition(request))));
        steps.push(value(KEY, "Environment", "REG_MULTI_SZ", &variables(request)?, &["/s", SEPARATOR]));
        steps.push(value(SOURCE, "EventMessageFile", "REG_EXPAND_SZ", MESSAGES, &[]));
        steps.push(value(SOURCE, "TypesSupported", "REG_DWORD", "7", &[]));
        for folder in request.job.writes.instances.iter().chain([&request.job.folder]) {
            steps.extend(rights(folder, &request.user.name)?);
        }
        // Last, so that what was not done to its end is done again.
        steps.push(value(PARAMETERS, SERVED, "REG_SZ", &served, &[]));
        steps.push(MachineChange::Service(ServiceChange::Start));
        Ok(Steps(steps))
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
        let served = known().and_then(|text| Served::of_text(&text));
        let installed = |served| InstalledService {
            keeper: ServiceKeeper::Windows,
            place: PathBuf::from(KEY),
            served,
            kept: Arc::new(Registered),
        };
        served.map(installed).into_iter().collect()
    }
}

/// What the service serves, as it was installed. `None` where there is none.
fn known() -> Option<String> {
    if cfg!(not(windows)) {
        return None;
    }
    let query = ["reg", "query", PARAMETERS, "/v", SERVED].map(str::to_owned);
    // It fails where there is no such value.
    value_in(&commands::run(&query, None).ok()?)
}

/// The value of kind `REG_SZ` that `reg query` has printed.
fn value_in(text: &str) -> Option<String> {
    let (_, value) = text.lines().find_map(|line| line.split_once("REG_SZ"))?;
    Some(value.trim().to_owned())
}

/// A change to the service, done by its manager itself and shown as `sc` would do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceChange {
    /// Makes it, or changes it.
    SetUp(Definition),
    /// Starts it, and waits until it runs.
    Start,
    /// Stops it if it runs, and waits for its end.
    Stop,
    /// Removes it.
    Delete,
}

/// What the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    program: String,
    options: Vec<String>,
    user: String,
}

impl ServiceChange {
    /// As commands, to read.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = self.commands().iter().map(|command| command_line(command)).collect();
        lines.join("\n")
    }

    /// As commands, for programs.
    pub(crate) fn value(&self) -> Value {
        json!({ "service": self.commands() })
    }

    fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::SetUp(definition) => definition.commands(),
            Self::Start => vec![words(&["net", "start", WINDOWS_NAME])],
            Self::Stop => vec![words(&["net", "stop", WINDOWS_NAME])],
            Self::Delete => vec![words(&["sc.exe", "delete", WINDOWS_NAME])],
        }
    }

    /// Does it.
    pub(crate) fn apply(&self) -> Result<()> {
        match self {
            Self::SetUp(definition) => control_manager::set_up(definition),
            Self::Start => control_manager::start(),
            Self::Stop => control_manager::stop(),
            Self::Delete => control_manager::delete(),
        }
    }
}

impl Definition {
    /// Words behind the program's name.
    fn words(&self) -> impl Iterator<Item = &str> {
        [WINDOWS_COMMAND].into_iter().chain(self.options.iter().map(String::as_str))
    }

    fn commands(&self) -> Vec<Vec<String>> {
        let whole: Vec<String> =
            [self.program.as_str()].into_iter().chain(self.words()).map(str::to_owned).collect();
        let restarts: Vec<String> =
            RESTARTS.iter().map(|after| format!("restart/{}", after.as_millis())).collect();
        let sc = |words: &[&str]| ["sc.exe"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        vec![
            sc(&[
                "create",
                WINDOWS_NAME,
                "binPath=",
                &command_line(&whole),
                "start=",
                "delayed-auto",
                "obj=",
                &self.user,
                "DisplayName=",
                DISPLAY_NAME,
            ]),
            sc(&["description", WINDOWS_NAME, DESCRIPTION]),
            sc(&[
                "failure",
                WINDOWS_NAME,
                "reset=",
                &RESET.as_secs().to_string(),
                "actions=",
                &restarts.join("/"),
            ]),
            sc(&["failureflag", WINDOWS_NAME, "1"]),
        ]
    }
}

fn definition(request: &ServiceRequest) -> Definition {
    Definition {
        program: request.job.program.clone(),
        options: request.options.clone(),
        user: request.user.name.clone(),
    }
}

fn variables(request: &ServiceRequest) -> Result<String> {
    let own = [(EVENT_LOG, "true")].into_iter();
    let all = request.job.environment(Starter::Services).chain(own);
    let line = |(name, value): (&str, &str)| {
        if value.contains(SEPARATOR) {
            return Err(Error::new(format!("The variable {name} has a `{SEPARATOR}`: {value}"))
                .hint("Set it for the whole machine instead (System Properties, Environment Variables)."));
        }
        Ok(format!("{name}={value}"))
    };
    all.map(line).collect::<Result<Vec<_>>>().map(|lines| lines.join(SEPARATOR))
}

fn value(key: &str, name: &str, kind: &str, data: &str, more: &[&str]) -> MachineChange {
    MachineChange::run(&[&["reg", "add", key, "/v", name, "/t", kind, "/d", data, "/f"], more].concat())
}

/// Makes a folder that nobody but the system and its administrators may look into, unless it is there already. In `%ProgramData%` everybody
/// may read otherwise.
///
/// # Errors
/// It cannot be made, or its rights cannot be set.
pub fn make_private_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let making = |error: std::io::Error| {
        Error::new(format!("Making the folder {}: {error}", folder.display()))
            .hint("Run this in a prompt that was opened as administrator.")
    };
    std::fs::create_dir_all(folder).map_err(making)?;
    let path = folder.display().to_string();
    let only = ["icacls", &path, "/inheritance:r", "/grant:r", SYSTEM, ADMINISTRATORS, "/q"];
    commands::run(&only.map(str::to_owned), None).map(drop)
}

/// Who may do what in an instance's folder: the service may change what is in it, and nobody else but the system and its administrators
/// may even look. What somebody else has put there loses the rights of its owner.
fn rights(folder: &str, user: &str) -> Result<Vec<MachineChange>> {
    let path = Path::new(folder);
    if path.parent().is_none() {
        return Err(Error::new(format!("{folder} is a whole drive, and no folder for an instance.")));
    }
    let everything = path.join("*").display().to_string();
    let user = format!("{user}:(OI)(CI)M");
    let has_files = std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let mut steps = vec![
        MachineChange::run(&["icacls", folder, "/setowner", ADMINISTRATORS_SID, "/t", "/q"]),
        MachineChange::run(&[
            "icacls",
            folder,
            "/inheritance:r",
            "/grant:r",
            SYSTEM,
            ADMINISTRATORS,
            &user,
            "/q",
        ]),
    ];
    if has_files {
        steps.push(MachineChange::run(&["icacls", &everything, "/reset", "/t", "/q"]));
    }
    Ok(steps)
}

/// The service in the registry.
#[derive(Debug)]
struct Registered;

impl Kept for Registered {
    fn state(&self) -> Result<ServiceState> {
        control_manager::state()
    }

    fn removal(&self) -> Result<Steps> {
        Ok(Steps(vec![
            MachineChange::Service(ServiceChange::Stop),
            MachineChange::Service(ServiceChange::Delete),
            MachineChange::attempt(&["reg", "delete", SOURCE, "/f"]),
        ]))
    }
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
        assert!(text.contains("|BWDC_CA_FILE=D:") && text.contains("|BWDC_EVENT_LOG=true"), "{text}");
    }

    #[test]
    fn what_is_served_is_found_again_where_the_code_page_is_another() {
        let request = request();
        let served = marker::in_xml(&request.served().marker());
        assert!(served.is_ascii(), "{served}");
        let printed = format!("\r\n{PARAMETERS}\r\n    {SERVED}    REG_SZ    {served}\r\n\r\n");
        let found = value_in(&printed).and_then(|text| Served::of_text(&text));
        assert_eq!(found, Some(request.served()));
    }

    #[test]
    fn what_would_be_taken_apart_wrongly_is_refused() {
        let mut request = request();
        request.job.variables.push(("HTTPS_PROXY".to_owned(), "http://a|b".to_owned()));
        let error = Windows.steps(&request).unwrap_err();
        assert!(error.message.contains("HTTPS_PROXY"), "{error}");
    }

    #[test]
    fn no_rights_are_taken_from_a_whole_drive() {
        assert!(rights("/", ACCOUNT).is_err());
    }
}
