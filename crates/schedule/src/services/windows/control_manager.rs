//! The service control manager, asked and told by its own interface.

#[cfg(not(windows))]
pub(super) use self::elsewhere::{complete, completed, delete, found, served, set_up, start, state, stop};
#[cfg(windows)]
pub use self::manager::own_words;
#[cfg(windows)]
pub(super) use self::manager::{complete, completed, delete, found, served, set_up, start, state, stop};
use crate::services::WINDOWS_COMMAND;

/// A service of our name.
pub(super) struct Found {
    /// What it runs.
    pub(super) command: String,
}

impl Found {
    /// Whether `service install` has made it.
    pub(super) fn is_ours(&self) -> bool {
        self.command.split_whitespace().any(|word| word == WINDOWS_COMMAND)
    }
}

#[cfg(windows)]
mod manager {
    use std::ffi::OsString;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use windows_service::service::{
        Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
        ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType,
        ServiceState as Current, ServiceType,
    };
    use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

    use windows_registry::LOCAL_MACHINE;

    use super::super::super::{ServiceState, WINDOWS_NAME};
    use super::super::change::{
        COMPLETE, DESCRIPTION, DISPLAY_NAME, Definition, ENVIRONMENT, EVENTS_KEY, KINDS, MESSAGES,
        PARAMETERS_KEY, RESET, RESTARTS, SERVED, SERVICE_KEY, SHUTDOWN,
    };
    use super::Found;
    use bwdc_core::error::{Error, Result};

    /// How long a service may take to start or to end before whoever waits is told.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// `winerror.h`.
    const ERROR_ACCESS_DENIED: i32 = 5;
    /// Wine knows neither recovery actions nor what counts as a failure.
    const ERROR_INVALID_LEVEL: i32 = 124;
    const ERROR_SERVICE_DATABASE_LOCKED: i32 = 1055;
    const ERROR_SERVICE_ALREADY_RUNNING: i32 = 1056;
    const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
    const ERROR_SERVICE_NOT_ACTIVE: i32 = 1062;
    const ERROR_SERVICE_LOGON_FAILED: i32 = 1069;
    const ERROR_SERVICE_MARKED_FOR_DELETE: i32 = 1072;

    /// The service of our name. `None` where there is none.
    pub(in super::super) fn found() -> Result<Option<Found>> {
        match opened(ServiceAccess::QUERY_CONFIG).and_then(|service| service.query_config()) {
            Ok(config) => Ok(Some(Found { command: config.executable_path.display().to_string() })),
            Err(error) if code_of(&error) == Some(ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
            Err(error) => Err(failed("Asking for", &error)),
        }
    }

    /// The marker of what it serves.
    pub(in super::super) fn served() -> Option<String> {
        LOCAL_MACHINE.open(PARAMETERS_KEY).ok()?.get_string(SERVED).ok()
    }

    /// With what its installation came to its end, if it did.
    pub(in super::super) fn completed() -> Option<String> {
        LOCAL_MACHINE.open(PARAMETERS_KEY).ok()?.get_string(COMPLETE).ok()
    }

    pub(in super::super) fn complete(text: &str) -> Result<()> {
        let write = || LOCAL_MACHINE.create(PARAMETERS_KEY)?.set_string(COMPLETE, text);
        write().map_err(|error| not_registered(&error))
    }

    pub(in super::super) fn state() -> Result<ServiceState> {
        let asked = || {
            let service = opened(ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG)?;
            Ok((service.query_status()?.current_state, service.query_config()?.start_type))
        };
        let (current, start) = asked().map_err(|error| failed("Asking for", &error))?;
        Ok(ServiceState {
            state: words(current).to_owned(),
            is_running: current == Current::Running,
            starts_at_boot: start == ServiceStartType::AutoStart,
        })
    }

    pub(in super::super) fn set_up(definition: &Definition) -> Result<()> {
        if let Ok(key) = LOCAL_MACHINE.options().read().write().open(PARAMETERS_KEY)
            && key.get_type(COMPLETE).is_ok()
        {
            key.remove_value(COMPLETE).map_err(|error| not_registered(&error))?;
        }
        made(definition).map_err(|error| failed("Setting up", &error))?;
        registered(definition).map_err(|error| not_registered(&error))
    }

    /// What it serves, with which variables, and who has the texts of its events.
    fn registered(definition: &Definition) -> windows_registry::Result<()> {
        LOCAL_MACHINE.create(PARAMETERS_KEY)?.set_string(SERVED, &definition.served)?;
        let variables: Vec<&str> = definition.variables.iter().map(String::as_str).collect();
        LOCAL_MACHINE.create(SERVICE_KEY)?.set_multi_string(ENVIRONMENT, &variables)?;
        let events = LOCAL_MACHINE.create(EVENTS_KEY)?;
        events.set_expand_string("EventMessageFile", MESSAGES)?;
        events.set_u32("TypesSupported", KINDS)
    }

    fn not_registered(error: &dyn std::fmt::Display) -> Error {
        Error::new(format!("Writing what Windows is to know of the service {WINDOWS_NAME}: {error}"))
            .hint("Run this in a prompt that was opened as administrator.")
    }

    /// It runs, or is told why it does not.
    pub(in super::super) fn start() -> Result<()> {
        match begun() {
            // It was started again after a failure meanwhile, perhaps with what it was before.
            Err(error) if code_of(&error) == Some(ERROR_SERVICE_ALREADY_RUNNING) => {
                stop()?;
                begun()
            }
            other => other,
        }
        .map_err(|error| not_started(&error))?;
        let is_begun = |state| state != Current::StartPending;
        let ended = wait_until(is_begun).map_err(|error| failed("Starting", &error))?;
        match ended {
            (Current::Running, _) => Ok(()),
            (state, code) => Err(Error::new(format!(
                "Starting the service {WINDOWS_NAME}: it is {} ({}).",
                words(state),
                exit(code)
            ))
            .hint("It is installed. The event log (Application, source bwdc) and bwdc.log in its folder say why.")),
        }
    }

    pub(in super::super) fn stop() -> Result<()> {
        let end = || opened(ServiceAccess::STOP | ServiceAccess::QUERY_STATUS)?.stop().map(drop);
        match end() {
            Err(error)
                if [Some(ERROR_SERVICE_NOT_ACTIVE), Some(ERROR_SERVICE_DOES_NOT_EXIST)]
                    .contains(&code_of(&error)) =>
            {
                return Ok(());
            }
            other => other.map_err(|error| failed("Stopping", &error))?,
        }
        let is_ended = |state| state == Current::Stopped;
        match wait_until(is_ended).map_err(|error| failed("Stopping", &error))? {
            (Current::Stopped, _) => Ok(()),
            (state, _) => {
                Err(Error::new(format!("Stopping the service {WINDOWS_NAME}: it is {}.", words(state)))
                    .hint("A sync may be under way: try again in a minute."))
            }
        }
    }

    pub(in super::super) fn delete() -> Result<()> {
        let delete = || opened(ServiceAccess::DELETE)?.delete();
        match delete() {
            Err(error) if code_of(&error) == Some(ERROR_SERVICE_DOES_NOT_EXIST) => {}
            other => other.map_err(|error| failed("Removing", &error))?,
        }
        match LOCAL_MACHINE.open(EVENTS_KEY) {
            Ok(_) => LOCAL_MACHINE.remove_tree(EVENTS_KEY).map_err(|error| not_registered(&error)),
            Err(_) => Ok(()),
        }
    }

    /// While the machine starts, its services are started one after the other, and nothing else is.
    fn begun() -> windows_service::Result<()> {
        let service = opened(ServiceAccess::START | ServiceAccess::QUERY_STATUS)?;
        let since = Instant::now();
        loop {
            match service.start::<OsString>(&[]) {
                Err(error)
                    if code_of(&error) == Some(ERROR_SERVICE_DATABASE_LOCKED)
                        && since.elapsed() < PATIENCE =>
                {
                    sleep(Duration::from_millis(500));
                }
                other => return other,
            }
        }
    }

    fn made(definition: &Definition) -> windows_service::Result<()> {
        let info = info(definition);
        // Recovery actions that start it want the right to.
        let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
        let service = match opened(access) {
            Ok(service) => {
                service.change_config(&info)?;
                service
            }
            Err(error) if code_of(&error) == Some(ERROR_SERVICE_DOES_NOT_EXIST) => {
                let access_to_manager = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
                ServiceManager::local_computer(None::<&str>, access_to_manager)?
                    .create_service(&info, access)?
            }
            Err(error) => return Err(error),
        };
        service.set_description(DESCRIPTION)?;
        service.set_delayed_auto_start(true)?;
        service.set_preshutdown_timeout(SHUTDOWN)?;
        match restarted_after_failure(&service) {
            Err(error) if code_of(&error) == Some(ERROR_INVALID_LEVEL) => {
                tracing::warn!("this system starts no service again after a failure");
                Ok(())
            }
            other => other,
        }
    }

    fn restarted_after_failure(service: &Service) -> windows_service::Result<()> {
        let restart = |delay| ServiceAction { action_type: ServiceActionType::Restart, delay };
        service.update_failure_actions(ServiceFailureActions {
            reset_period: ServiceFailureResetPeriod::After(RESET),
            reboot_msg: None,
            command: None,
            actions: Some(RESTARTS.map(restart).to_vec()),
        })?;
        // Ending with an error counts as a failure as well.
        service.set_failure_actions_on_non_crash_failures(true)
    }

    fn info(definition: &Definition) -> ServiceInfo {
        ServiceInfo {
            name: WINDOWS_NAME.into(),
            display_name: DISPLAY_NAME.into(),
            service_type: ServiceType::OWN_PROCESS,
            start_type: ServiceStartType::AutoStart,
            error_control: ServiceErrorControl::Normal,
            executable_path: definition.program.clone().into(),
            launch_arguments: definition.words().map(OsString::from).collect(),
            dependencies: Vec::new(),
            account_name: Some(definition.user.clone().into()),
            account_password: None,
        }
    }

    fn opened(access: ServiceAccess) -> windows_service::Result<Service> {
        ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)?
            .open_service(WINDOWS_NAME, access)
    }

    /// What it is once it is so, or when patience ends.
    fn wait_until(
        is_reached: impl Fn(Current) -> bool,
    ) -> windows_service::Result<(Current, ServiceExitCode)> {
        let service = opened(ServiceAccess::QUERY_STATUS)?;
        let since = Instant::now();
        loop {
            let status = service.query_status()?;
            if is_reached(status.current_state) || since.elapsed() > PATIENCE {
                return Ok((status.current_state, status.exit_code));
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// The manager was asked already, so that this is about the program.
    fn not_started(error: &windows_service::Error) -> Error {
        let failed = said("Starting", error);
        match code_of(error) {
            Some(ERROR_ACCESS_DENIED) => failed.hint(
                "Its account may not run the program: put it into C:\\Program Files\\bwdc, then install again.",
            ),
            Some(ERROR_SERVICE_LOGON_FAILED) => failed.hint(
                "Its account needs the right \"Log on as a service\", and a password where it has one: enter it in services.msc (Log On), then start the service there.",
            ),
            _ => failed,
        }
    }

    fn failed(what: &str, error: &windows_service::Error) -> Error {
        let failed = said(what, error);
        match code_of(error) {
            Some(ERROR_ACCESS_DENIED) => {
                failed.hint("Run this in a prompt that was opened as administrator.")
            }
            Some(ERROR_SERVICE_MARKED_FOR_DELETE) => {
                failed.hint("It is being removed: close services.msc and Task Manager, then try again.")
            }
            _ => failed,
        }
    }

    fn said(what: &str, error: &windows_service::Error) -> Error {
        Error::new(format!("{what} the service {WINDOWS_NAME}: {}", own_words(error)))
    }

    /// An error of the service control manager in the system's own words.
    pub fn own_words(error: &windows_service::Error) -> String {
        match error {
            windows_service::Error::Winapi(error) => error.to_string(),
            other => other.to_string(),
        }
    }

    fn code_of(error: &windows_service::Error) -> Option<i32> {
        match error {
            windows_service::Error::Winapi(error) => error.raw_os_error(),
            _ => None,
        }
    }

    fn exit(code: ServiceExitCode) -> String {
        match code {
            ServiceExitCode::Win32(code) => format!("error {code} of Windows"),
            ServiceExitCode::ServiceSpecific(code) => format!("exit code {code}"),
        }
    }

    /// As `sc query` names them.
    fn words(state: Current) -> &'static str {
        match state {
            Current::Stopped => "STOPPED",
            Current::StartPending => "START_PENDING",
            Current::StopPending => "STOP_PENDING",
            Current::Running => "RUNNING",
            Current::ContinuePending => "CONTINUE_PENDING",
            Current::PausePending => "PAUSE_PENDING",
            Current::Paused => "PAUSED",
        }
    }
}

/// Another system's steps are only shown.
#[cfg(not(windows))]
mod elsewhere {
    use super::super::super::ServiceState;
    use super::super::change::Definition;
    use super::Found;
    use bwdc_core::error::{Error, Result};

    pub(in super::super) fn state() -> Result<ServiceState> {
        Err(only_there())
    }

    pub(in super::super) fn found() -> Result<Option<Found>> {
        Ok(None)
    }

    pub(in super::super) fn served() -> Option<String> {
        None
    }

    pub(in super::super) fn completed() -> Option<String> {
        None
    }

    pub(in super::super) fn complete(_text: &str) -> Result<()> {
        Err(only_there())
    }

    pub(in super::super) fn set_up(_definition: &Definition) -> Result<()> {
        Err(only_there())
    }

    pub(in super::super) fn start() -> Result<()> {
        Err(only_there())
    }

    pub(in super::super) fn stop() -> Result<()> {
        Err(only_there())
    }

    pub(in super::super) fn delete() -> Result<()> {
        Err(only_there())
    }

    fn only_there() -> Error {
        Error::new("Only Windows has such a service.").hint("Leave out --using windows on this system.")
    }
}
