//! The service control manager, asked and told by its own interface.

#[cfg(not(windows))]
pub(super) use self::elsewhere::{delete, set_up, start, state, stop};
#[cfg(windows)]
pub(super) use self::manager::{delete, set_up, start, state, stop};

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

    use super::super::super::{ServiceState, WINDOWS_NAME};
    use super::super::{DESCRIPTION, DISPLAY_NAME, Definition, RESET, RESTARTS};
    use bwdc_core::error::{Error, Result};

    /// How long a service may take to start or to end before whoever waits is told.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// `winerror.h`.
    const ERROR_ACCESS_DENIED: i32 = 5;
    /// Wine knows neither recovery actions nor what counts as a failure.
    const ERROR_INVALID_LEVEL: i32 = 124;
    const ERROR_SERVICE_DATABASE_LOCKED: i32 = 1055;
    const ERROR_SERVICE_DOES_NOT_EXIST: i32 = 1060;
    const ERROR_SERVICE_NOT_ACTIVE: i32 = 1062;

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
        made(definition).map_err(|error| failed("Setting up", &error))
    }

    /// It runs, or is told why it does not.
    pub(in super::super) fn start() -> Result<()> {
        begun().map_err(|error| failed("Starting", &error))?;
        let ended = wait_while(Current::StartPending).map_err(|error| failed("Starting", &error))?;
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
            Err(error) if code_of(&error) == Some(ERROR_SERVICE_NOT_ACTIVE) => return Ok(()),
            other => other.map_err(|error| failed("Stopping", &error))?,
        }
        match wait_while(Current::StopPending).map_err(|error| failed("Stopping", &error))? {
            (Current::Stopped, _) => Ok(()),
            (state, _) => {
                Err(Error::new(format!("Stopping the service {WINDOWS_NAME}: it is {}.", words(state)))
                    .hint("A sync may be under way: try again in a minute."))
            }
        }
    }

    pub(in super::super) fn delete() -> Result<()> {
        let delete = || opened(ServiceAccess::DELETE)?.delete();
        delete().map_err(|error| failed("Removing", &error))
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

    /// What it is after this state, or still is when patience ends.
    fn wait_while(pending: Current) -> windows_service::Result<(Current, ServiceExitCode)> {
        let service = opened(ServiceAccess::QUERY_STATUS)?;
        let since = Instant::now();
        loop {
            let status = service.query_status()?;
            if status.current_state != pending || since.elapsed() > PATIENCE {
                return Ok((status.current_state, status.exit_code));
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn failed(what: &str, error: &windows_service::Error) -> Error {
        let said = match error {
            windows_service::Error::Winapi(error) => error.to_string(),
            other => other.to_string(),
        };
        let failed = Error::new(format!("{what} the service {WINDOWS_NAME}: {said}"));
        match code_of(error) {
            Some(ERROR_ACCESS_DENIED) => {
                failed.hint("Run this in a prompt that was opened as administrator.")
            }
            _ => failed,
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
    use super::super::Definition;
    use bwdc_core::error::{Error, Result};

    pub(in super::super) fn state() -> Result<ServiceState> {
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
