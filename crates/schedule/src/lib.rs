//! When syncs run, and the schedulers that run them.
//!
//! [`times`] understands expressions and says when the next run is. A [`ScheduleRequest`] is all that an administrator wants of a
//! schedule, complete before anything is done; [`schedulers`] has a folder for each scheduler, which renders its files, finds what is
//! installed, installs and removes. Every renderer is pure: it gives text, or the reason why a scheduler cannot do what is asked.
//! What is to be done to the machine are [`Steps`], to be shown or carried out.
//!
//! Nothing here knows what a sync is.

mod account;
mod commands;
#[cfg(unix)]
mod folders;
mod job;
mod marker;
mod preparation;
mod request;
pub mod schedulers;
mod script;
pub mod services;
mod shell;
mod steps;
pub mod times;
mod trial;
pub mod variables;

pub use account::{SystemAccount, find as find_account, home_of_new, is_root, own_name};
pub use commands::run;
pub use job::{Job, ScheduledJob, Syncs, USUAL_LOG, Writes};
pub use marker::Marker;
pub use preparation::{InstallOutcome, JobUser, MissingUser, Owners, Trial};
pub use request::{RequestOptions, ScheduleRequest};
pub use schedulers::{Accounts, Homes, Installed, Machine, ScheduleListing, Scheduler};
pub use script::Script;
pub use services::{InstalledService, ServiceKeeper, ServiceRequest, ServiceState};
pub use shell::quoted;
pub use steps::Steps;
