//! `bwdc worker`: one sync for a daemon. No command for people.

use std::io::Read as _;
use std::sync::Arc;

use bwdc_config::installation::of_text;
use bwdc_daemon::worker::{Order, WorkerResult, WorkerTask};
use bwdc_store::errand::InstallationText;
use bwdc_store::tokens::TokenMemory;

use super::daemon::last_organization;
use crate::log;
use crate::ui::{self, Answer, Style};
use bwdc_config::{Environment, setup};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_sync::rivals;
use bwdc_sync::session::OrganizationLogin;
use bwdc_sync::{Nobody, Reportable as _, SyncJob, Watch, of_errand, tell_missed};

/// Does what stands in the order, which the daemon hands over on stdin.
pub(super) async fn work(environment: &Environment, style: Style) -> Result<Answer> {
    let mut order = Vec::new();
    std::io::stdin()
        .read_to_end(&mut order)
        .map_err(|error| Error::new(format!("Reading the daemon's order from stdin: {error}")))?;
    let Order { run, task, errand, others, assumed, token, alerts, quiet, .. } = Order::read(&order)?;
    let log = setup::Log::of_variables(environment)?;
    log::start(environment, Style { quiet, ..style }, Some(&log));
    if !quiet {
        log::on_stderr(&log);
    }
    let tokens = TokenMemory::with(token);
    // What happens is in the log; the daemon tells the rest.
    let watch: Arc<dyn Watch> = Arc::new(Nobody);
    let alerts = alerts.map(|InstallationText { path, text }| of_text(path.into(), &text)).transpose()?;
    let alerts = alerts.map(|found| found.alert_setup()).unwrap_or_default();
    let job = of_errand(errand, environment, &watch).with_tokens(&tokens).alerting(&Arc::new(alerts));
    if let WorkerTask::TellMissed { last, since } = task {
        tell_missed(&job, last, since).await;
        let message = "Told.".to_owned();
        return done(&WorkerResult { exit: Exit::Success as u8, message, token: None, organization: None });
    }
    let login = if assumed.is_some() { organization_of_login(&job).await } else { None };
    if login != assumed {
        let message = "Nothing was synced: the organization is not the one that the daemon knew.".to_owned();
        return done(&WorkerResult {
            exit: Exit::Failure as u8,
            message,
            token: tokens.kept(),
            organization: login,
        });
    }
    let others: Vec<SyncJob> =
        others.into_iter().map(|errand| of_errand(errand, environment, &watch)).collect();
    let judgement = rivals::judgement(std::slice::from_ref(&job), &others).await;
    judgement.warnings.iter().for_each(|warning| tracing::warn!(instance = job.name(), "{warning}"));
    let report = job.sync(run, judgement.permit(&job), None, std::future::pending()).await;
    let (exit, message) = match report.result {
        Ok(outcome) => (outcome.exit(), outcome.facts().synced()),
        Err(error) => (error.exit, error.to_string()),
    };
    let organization = login.or_else(|| last_organization(&job));
    done(&WorkerResult { exit: exit as u8, message, token: tokens.kept(), organization })
}

/// Organization that a job is synced into, whatever it takes to find out.
async fn organization_of_login(job: &SyncJob) -> Option<String> {
    let context = job.contexts().into_iter().next()?;
    let data = context.file.load().ok()?;
    let login = OrganizationLogin::of(&data, &context.secrets).await.ok()?;
    Some(login.organization_id.to_lowercase())
}

fn done(result: &WorkerResult) -> Result<Answer> {
    Ok(Answer::Object(ui::as_json("what became of the sync", result)?))
}
