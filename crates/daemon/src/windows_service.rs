//! The daemon as a service of Windows: what its service control manager is told, and what it asks
//! ("Service Programs", Microsoft Learn). The manager starts the program, which has to say so within 30 seconds.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::{define_windows_service, service_dispatcher};

use bwdc_core::error::{Error, Exit, Result};
use bwdc_schedule::services::{WINDOWS_NAME, own_words};

/// How long it may take until the daemon runs. Other instances' folders may be on slow disks.
const START: Duration = Duration::from_secs(60);

/// How long the end may take: longer than syncs under way are waited for.
const END: Duration = Duration::from_secs(120);

/// What the program does as a service.
static MAIN: OnceLock<fn() -> Exit> = OnceLock::new();

static SERVICE: OnceLock<Service> = OnceLock::new();

/// This process, as the manager knows it.
struct Service {
    handle: ServiceStatusHandle,
    is_ending: AtomicBool,
    asked: Requests,
}

/// What the manager has asked for.
#[derive(Clone)]
pub(crate) struct Requests {
    stop: watch::Receiver<bool>,
    reload: watch::Receiver<u64>,
}

impl Requests {
    /// Waits until the service is to stop.
    pub(crate) async fn stop(&mut self) {
        if self.stop.wait_for(|is_asked| *is_asked).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until the configuration is to be read again.
    pub(crate) async fn reload(&mut self) {
        if self.reload.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// What was asked of this service, from now on. `None` in a program that Windows has not started as one.
pub(crate) fn requests() -> Option<Requests> {
    SERVICE.get().map(|service| service.asked.clone())
}

/// Whether Windows has started this program as a service. Its stderr leads nowhere then.
pub fn is_this_process() -> bool {
    SERVICE.get().is_some()
}

/// The service runs, unless it has been asked to end.
pub(crate) fn ready() {
    if SERVICE.get().is_some_and(|service| service.is_ending.load(Ordering::SeqCst)) {
        return;
    }
    tell(ServiceState::Running, Duration::ZERO, ServiceExitCode::NO_ERROR);
}

/// The service is about to end.
pub(crate) fn stopping() {
    if let Some(service) = SERVICE.get() {
        service.is_ending.store(true, Ordering::SeqCst);
    }
    tell(ServiceState::StopPending, END, ServiceExitCode::NO_ERROR);
}

/// Has Windows run `main` as the service that it has started this program for, until that has ended.
///
/// # Errors
/// Windows has not started it.
pub fn run(main: fn() -> Exit) -> Result<()> {
    MAIN.get_or_init(|| main);
    service_dispatcher::start(WINDOWS_NAME, service_main).map_err(|error| {
        Error::new(format!("Running as a service: {}", own_words(&error))).hint(
            "Only Windows starts this: `bwdc service install` tells it to. By hand it is `bwdc daemon`.",
        )
    })
}

define_windows_service!(service_main, serve);

/// Runs on a thread of its own. Windows repeats the service's name as its only argument.
fn serve(_arguments: Vec<OsString>) {
    if let (Some(main), Ok(())) = (MAIN.get(), register()) {
        tell(ServiceState::StartPending, START, ServiceExitCode::NO_ERROR);
        let exit = main();
        // With another code than 0 it is a failure, after which Windows starts it again.
        let code = match exit {
            Exit::Success => ServiceExitCode::NO_ERROR,
            other => ServiceExitCode::ServiceSpecific(other as u32),
        };
        tell(ServiceState::Stopped, Duration::ZERO, code);
    }
}

fn register() -> windows_service::Result<()> {
    let (stop, stop_asked) = watch::channel(false);
    let (reload, reload_asked) = watch::channel(0);
    let asked = Requests { stop: stop_asked, reload: reload_asked };
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Preshutdown => {
            stopping();
            stop.send_replace(true);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::ParamChange => {
            reload.send_modify(|count| *count += 1);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let handle = service_control_handler::register(WINDOWS_NAME, handler)?;
    SERVICE.get_or_init(|| Service { handle, is_ending: AtomicBool::new(false), asked });
    Ok(())
}

fn tell(current_state: ServiceState, wait_hint: Duration, exit_code: ServiceExitCode) {
    let Some(service) = SERVICE.get() else { return };
    let controls_accepted = match current_state {
        ServiceState::Running => {
            ServiceControlAccept::STOP
                | ServiceControlAccept::PRESHUTDOWN
                | ServiceControlAccept::PARAM_CHANGE
        }
        _ => ServiceControlAccept::empty(),
    };
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state,
        controls_accepted,
        exit_code,
        checkpoint: 0,
        wait_hint,
        process_id: None,
    };
    if let Err(error) = service.handle.set_service_status(status) {
        tracing::debug!(error = own_words(&error), "Windows was not told");
    }
}
