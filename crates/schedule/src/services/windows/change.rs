//! Changes to the service, done by the system's own interfaces and shown as the commands that do the same.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{control_manager, private_folder};
use crate::services::{WINDOWS_COMMAND, WINDOWS_NAME};
use crate::shell::command_line;
use crate::steps::owned;
use bwdc_core::error::Result;

/// What the service control manager knows of the service, in `HKLM`.
pub(super) const SERVICE_KEY: &str = r"SYSTEM\CurrentControlSet\Services\bwdc";

/// The service's own part of it.
pub(super) const PARAMETERS_KEY: &str = r"SYSTEM\CurrentControlSet\Services\bwdc\Parameters";

/// The source of its events.
pub(super) const EVENTS_KEY: &str = r"SYSTEM\CurrentControlSet\Services\EventLog\Application\bwdc";

/// Values: the service's variables; what it serves; that its installation came to its end, and with what.
pub(super) const ENVIRONMENT: &str = "Environment";
pub(super) const SERVED: &str = "Served";
pub(super) const COMPLETE: &str = "Complete";

/// A program of Windows whose messages are the text of an event and nothing else, and the kinds of events: errors, warnings, information.
pub(super) const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";
pub(super) const KINDS: u32 = 7;

/// The service's name for people, and what it does.
pub(super) const DISPLAY_NAME: &str = "Bitwarden directory sync";
pub(super) const DESCRIPTION: &str = "Keeps a Bitwarden organization in step with a directory (bwdc daemon).";

/// When it is started again after it has failed, the last for every further failure. A day without one counts as none before.
pub(super) const RESTARTS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(10), Duration::from_secs(60)];
pub(super) const RESET: Duration = Duration::from_secs(86_400);

/// How long a shutdown waits: a sync under way has a minute. Windows waits for 10 seconds otherwise (`SERVICE_PRESHUTDOWN_INFO`).
pub(super) const SHUTDOWN: Duration = Duration::from_secs(75);

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServiceChange {
    /// Makes the service, or changes it: not complete from now on.
    SetUp(Definition),
    /// Closes a folder to all but the service with this account.
    Close { folder: String, account: String },
    /// It is complete.
    Complete(String),
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
    /// The program's path.
    pub(super) program: String,
    /// Options of the daemon.
    pub(super) options: Vec<String>,
    /// The account.
    pub(super) user: String,
    /// `NAME=VALUE`.
    pub(super) variables: Vec<String>,
    /// The marker of what it serves.
    pub(super) served: String,
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
        match self {
            Self::SetUp(definition) => definition.commands(),
            Self::Close { folder, account } => {
                let service = format!("{account}:(OI)(CI)M");
                let system = "*S-1-5-18:(OI)(CI)F";
                let administrators = "*S-1-5-32-544:(OI)(CI)F";
                vec![owned(&[
                    "icacls",
                    folder,
                    "/inheritance:r",
                    "/grant:r",
                    system,
                    administrators,
                    &service,
                ])]
            }
            Self::Complete(text) => vec![value(PARAMETERS_KEY, COMPLETE, "REG_SZ", text)],
            Self::Start => vec![owned(&["net", "start", WINDOWS_NAME])],
            Self::Stop => vec![owned(&["net", "stop", WINDOWS_NAME])],
            Self::Delete => vec![
                owned(&["sc.exe", "delete", WINDOWS_NAME]),
                owned(&["reg", "delete", &in_machine(EVENTS_KEY), "/f"]),
            ],
        }
    }

    /// Does it.
    pub(crate) fn apply(&self) -> Result<()> {
        match self {
            Self::SetUp(definition) => control_manager::set_up(definition),
            Self::Close { folder, account } => private_folder::close_for(Path::new(folder), account),
            Self::Complete(text) => control_manager::complete(text),
            Self::Start => control_manager::start(),
            Self::Stop => control_manager::stop(),
            Self::Delete => control_manager::delete(),
        }
    }
}

impl Definition {
    /// Words behind the program's name.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        [WINDOWS_COMMAND].into_iter().chain(self.options.iter().map(String::as_str))
    }

    /// What a complete installation has: of which version, of what, and with rights in which folders.
    pub(super) fn complete(&self, folders: &[String]) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let options = self.options.join(" ");
        let variables = self.variables.join("|");
        format!("{version}|{}|{options}|{}|{variables}|{}", self.program, self.user, folders.join("|"))
    }

    fn commands(&self) -> Vec<Vec<String>> {
        let whole: Vec<String> =
            [self.program.as_str()].into_iter().chain(self.words()).map(str::to_owned).collect();
        let restarts: Vec<String> =
            RESTARTS.iter().map(|after| format!("restart/{}", after.as_millis())).collect();
        vec![
            owned(&[
                "sc.exe",
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
            owned(&["sc.exe", "description", WINDOWS_NAME, DESCRIPTION]),
            owned(&[
                "sc.exe",
                "failure",
                WINDOWS_NAME,
                "reset=",
                &RESET.as_secs().to_string(),
                "actions=",
                &restarts.join("/"),
            ]),
            owned(&["sc.exe", "failureflag", WINDOWS_NAME, "1"]),
            value(SERVICE_KEY, "PreshutdownTimeout", "REG_DWORD", &SHUTDOWN.as_millis().to_string()),
            value(SERVICE_KEY, ENVIRONMENT, "REG_MULTI_SZ", &self.variables.join(r"\0")),
            value(PARAMETERS_KEY, SERVED, "REG_SZ", &self.served),
            value(EVENTS_KEY, "EventMessageFile", "REG_EXPAND_SZ", MESSAGES),
            value(EVENTS_KEY, "TypesSupported", "REG_DWORD", &KINDS.to_string()),
        ]
    }
}

fn value(key: &str, name: &str, kind: &str, data: &str) -> Vec<String> {
    owned(&["reg", "add", &in_machine(key), "/v", name, "/t", kind, "/d", data, "/f"])
}

fn in_machine(key: &str) -> String {
    format!(r"HKLM\{key}")
}
