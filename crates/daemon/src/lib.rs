//! `bwdc daemon`: syncs by themselves, without a scheduler.
//!
//! [`engine`] decides who runs when; here is the world around it: the clock, the runs, the signals, and those who ask.

mod clock;
pub mod control;
mod metrics;
mod notify;
pub mod signals;
pub mod status;
#[cfg(windows)]
pub mod windows_service;
pub mod worker;

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Interval, timeout};

pub use self::metrics::{Audience, MetricsAddress};
use self::signals::Signals;
use self::status::{DaemonStatus, Finished, RunVerdict};
pub use self::worker::Workers;
use self::worker::{Others, WorkerResult, WorkerTask};
use bwdc_core::alert::LEAST_MISSED;
use bwdc_core::error::{Error, Exit, Result};
pub use bwdc_schedule::times::engine::Timetable;
use bwdc_schedule::times::engine::{ConfiguredRun, Engine, RunEnd, Spread};
use bwdc_store::RunLock;
use bwdc_store::errand::{Errand, InstallationText};
use bwdc_store::report;
use bwdc_store::runs::{Run as KeptRun, Runs as KeptRuns};
use bwdc_store::tokens::KeptToken;

/// How long runs under way may take to end when we are asked to; systemd kills after 90 s.
const GRACE: Duration = Duration::from_secs(60);

/// What is to be done, as configured.
pub struct Configured<T> {
    /// How many syncs may be under way at once.
    pub at_once: usize,
    /// By how much the start of a sync may be put off, so that not all machines come at once.
    pub spread: SignedDuration,
    /// Where `/metrics` and `/healthz` are, if wanted.
    pub metrics: Option<MetricsAddress>,
    /// By name.
    pub instances: BTreeMap<String, Configuration<T>>,
    /// What else is configured on this machine, and not run by this daemon.
    pub others: Vec<Errand>,
    /// The `bwdc.toml` that says who is told when something is wrong.
    pub alerts: Option<InstallationText>,
}

/// When the configuration is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadOccasion {
    /// When the daemon starts.
    Start,
    /// There is an older one to go on with.
    Reload,
}

/// One instance.
pub struct Configuration<T> {
    /// When it is to run.
    pub timetable: T,
    /// When it last ran to a good end.
    pub last: Option<Timestamp>,
    /// What to sync.
    pub errand: Errand,
    /// Organization that it was last synced into; each run finds out whether it still is.
    pub organization: Option<String>,
}

/// What is run again and again.
struct Standing {
    errand: Errand,
    token: Option<KeptToken>,
    /// Organization that it was last synced into.
    organization: Option<String>,
    missed: Option<Missed>,
    /// Success after which none came for three intervals, once that was told.
    told: Option<Timestamp>,
}

impl Standing {
    /// Whether both may be synced into one organization.
    fn may_share(&self, other: &Self) -> bool {
        match (&self.organization, &other.organization) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        }
    }
}

/// Success that is missed, or will be.
#[derive(Clone, Copy)]
struct Missed {
    /// Last success, or the beginning of the daemon.
    last: Timestamp,
    /// When the next one is missed.
    since: Timestamp,
}

/// What those who ask are told.
struct Shared(Mutex<DaemonStatus>);

impl Shared {
    fn status(&self) -> DaemonStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, DaemonStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until it is asked to end. Those who ask for its status find it in the first of these folders that it may write to; `load`
/// reads the configuration.
///
/// # Errors
/// The first configuration cannot be read, another daemon runs for this folder, or signals cannot be heard.
pub async fn run<T: Timetable>(
    folders: &[PathBuf],
    workers: Workers,
    load: impl Fn(LoadOccasion) -> Result<Configured<T>>,
) -> Result<()> {
    let mut signals = Signals::listen()?;
    let configured = load(LoadOccasion::Start)?;
    let listener = control::open(folders).await?;
    let mut daemon = Daemon::new(configured.spread, workers);
    if let Some(address) = configured.metrics {
        metrics::serve(address, Arc::clone(&daemon.shared)).await?;
    }
    let control = tokio::spawn(control::serve(listener, Arc::clone(&daemon.shared)));
    daemon.configure(configured);
    let mut heartbeat = notify::watchdog().map(tokio::time::interval);
    notify::ready();
    loop {
        daemon.start();
        daemon.watch();
        tokio::select! {
            () = clock::until(daemon.wake_at()) => {}
            Some(_) = daemon.tellers.join_next() => {}
            (id, result) = daemon.runs.ended() => daemon.ended(id, result),
            () = beat(&mut heartbeat) => notify::alive(),
            () = signals.reload.asked() => daemon.reload(&load),
            () = signals.stop.asked() => break,
        }
    }
    daemon.stop().await;
    control.abort();
    // Its end, with which the socket goes.
    let _ = control.await;
    Ok(())
}

struct Daemon<T> {
    engine: Engine<T>,
    jobs: BTreeMap<String, Standing>,
    others: Vec<Errand>,
    alerts: Option<InstallationText>,
    workers: Workers,
    runs: Runs,
    /// Workers that tell of missed successes.
    tellers: JoinSet<()>,
    shared: Arc<Shared>,
}

impl<T: Timetable> Daemon<T> {
    fn new(spread: SignedDuration, workers: Workers) -> Self {
        let now = Timestamp::now();
        let status = DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: now,
            instances: BTreeMap::new(),
        };
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        Self {
            engine: Engine::new(1, Spread::seeded(seed, spread), now),
            jobs: BTreeMap::new(),
            others: Vec::new(),
            alerts: None,
            workers,
            runs: Runs::default(),
            tellers: JoinSet::new(),
            shared: Arc::new(Shared(Mutex::new(status))),
        }
    }

    fn configure(&mut self, configured: Configured<T>) {
        let mut wanted = BTreeMap::new();
        self.others = configured.others;
        self.alerts = configured.alerts;
        let mut before = std::mem::take(&mut self.jobs);
        for (name, Configuration { timetable, last, errand, organization }) in configured.instances {
            let same = before.remove(&name).filter(|standing| standing.errand == errand);
            let (token, told) = same.map(|standing| (standing.token, standing.told)).unwrap_or_default();
            self.jobs.insert(name.clone(), Standing { errand, token, organization, missed: None, told });
            wanted.insert(name, ConfiguredRun { timetable, last });
        }
        let mut status = self.shared.lock();
        status
            .instances
            .retain(|name, instance| wanted.contains_key(name) || instance.running_since.is_some());
        for (name, ConfiguredRun { last, .. }) in &wanted {
            let known = status.instances.entry(name.clone()).or_default();
            known.last_success = known.last_success.max(*last);
            known.last_run = self.jobs.get(name).and_then(|standing| kept(&standing.errand));
        }
        drop(status);
        tracing::info!(instances = wanted.len(), at_once = configured.at_once, "configured");
        let names: Vec<String> = wanted.keys().cloned().collect();
        self.engine.configure(configured.at_once, wanted, Timestamp::now());
        names.iter().for_each(|name| self.expect_success(name));
    }

    /// A configuration that cannot be understood changes nothing.
    fn reload(&mut self, load: &impl Fn(LoadOccasion) -> Result<Configured<T>>) {
        notify::reloading();
        match load(LoadOccasion::Reload) {
            Ok(configured) => self.configure(configured),
            Err(error) => {
                tracing::error!("The new configuration was rejected and the old one stays in force: {error}")
            }
        }
        notify::ready();
    }

    /// Starts who is due.
    fn start(&mut self) {
        let now = Timestamp::now();
        for name in self.engine.start(now) {
            let Some(Standing { errand, token, .. }) = self.jobs.get(&name) else { continue };
            let others = self.others_of(&name);
            let assumed = others.assumed.clone();
            let order = self.workers.order(errand.clone(), others, token.clone(), self.alerts.clone());
            let run = Run {
                name: name.clone(),
                id: order.run.clone(),
                errand: errand.clone(),
                assumed,
                since: Instant::now(),
            };
            self.runs.start(run, self.workers.clone().run(order));
            self.shared.lock().instances.entry(name).or_default().running_since = Some(now);
        }
        self.tell();
    }

    /// Whoever may be synced into the same organization: in each order there would else be thousands where there are thousands, and each
    /// sync would read the settings of all.
    fn others_of(&self, name: &str) -> Others {
        let Some(own) = self.jobs.get(name) else { return Others::default() };
        let beside = || self.jobs.iter().filter(|(other, _)| *other != name).map(|(_, other)| other);
        let rivals = beside().filter(|other| own.may_share(other)).map(|other| &other.errand);
        let errands = rivals.chain(&self.others).cloned().collect();
        let is_complete = beside().all(|other| own.may_share(other));
        Others { errands, assumed: own.organization.clone().filter(|_| !is_complete) }
    }

    /// When to look again, unless a run ends before.
    fn wake_at(&self) -> Option<Timestamp> {
        let missed = self.missed().map(|(_, Missed { since, .. })| since).min();
        self.engine.wake_at().into_iter().chain(missed).min()
    }

    /// Instances whose success will be missed, or is, and was not told.
    fn missed(&self) -> impl Iterator<Item = (&str, Missed)> {
        let missed = self.jobs.iter().filter_map(|(name, standing)| Some((name, standing, standing.missed?)));
        missed
            .filter(|(_, standing, missed)| standing.told != Some(missed.last))
            .map(|(name, _, missed)| (name.as_str(), missed))
    }

    /// Computes when a success of an instance is missed: after its last one, by its timetable.
    fn expect_success(&mut self, name: &str) {
        let Some(standing) = self.jobs.get_mut(name) else { return };
        let status = self.shared.lock();
        let last = status.instances.get(name).and_then(|instance| instance.last_success);
        let last = last.unwrap_or(status.started);
        let least = i64::try_from(LEAST_MISSED.0).ok().map(SignedDuration::from_secs);
        let earliest = least.and_then(|least| last.checked_add(least).ok());
        let overdue = self.engine.overdue_after(name, last);
        standing.missed =
            overdue.zip(earliest).map(|(overdue, earliest)| Missed { last, since: overdue.max(earliest) });
    }

    /// Has those told who want to know that no sync of an instance has succeeded for three intervals: that it hangs, or was never started.
    fn watch(&mut self) {
        let now = Timestamp::now();
        let missed: Vec<(String, Missed)> = self
            .missed()
            .filter(|(_, Missed { since, .. })| *since < now)
            .map(|(name, missed)| (name.to_owned(), missed))
            .collect();
        for (name, Missed { last, since }) in missed {
            let Some(standing) = self.jobs.get_mut(&name) else { continue };
            standing.told = Some(last);
            let mut order =
                self.workers.order(standing.errand.clone(), Others::default(), None, self.alerts.clone());
            order.task = WorkerTask::TellMissed { last, since };
            self.tellers.spawn(self.workers.clone().tell(order));
        }
    }

    fn ended(&mut self, id: Id, result: std::result::Result<WorkerResult, JoinError>) {
        let Some(Run { name, errand, assumed, since, .. }) = self.runs.under_way.remove(&id) else { return };
        let now = Timestamp::now();
        if self.jobs.get(&name).is_some_and(|standing| standing.errand != errand) {
            return self.repeat(name, now);
        }
        let (exit, message) = match result {
            Ok(WorkerResult { exit, message, token, organization }) => {
                let is_as_assumed = assumed.is_none() || organization == assumed;
                if let Some(standing) = self.jobs.get_mut(&name) {
                    standing.token = token;
                    // Once it was wrong, all others are looked at.
                    standing.organization = organization.filter(|_| is_as_assumed);
                }
                if !is_as_assumed {
                    return self.repeat(name, now);
                }
                (exit, message)
            }
            Err(error) => (Exit::Failure as u8, format!("an error in this program: {error}")),
        };
        let finished = Finished { at: now, seconds: since.elapsed().as_secs_f64(), exit, message };
        let ended = match RunVerdict::of(exit) {
            RunVerdict::Good => RunEnd::Well,
            RunVerdict::Busy => RunEnd::Busy,
            RunVerdict::Bad => RunEnd::Badly,
        };
        self.engine.ended(&name, ended, now);
        let mut status = self.shared.lock();
        if self.jobs.contains_key(&name) {
            let instance = status.instances.entry(name.clone()).or_default();
            instance.finish(finished);
            instance.last_run = kept(&errand);
        } else {
            status.instances.remove(&name);
        }
        drop(status);
        self.expect_success(&name);
    }

    /// Runs an instance at once: what ran is not what is wanted.
    fn repeat(&mut self, name: String, now: Timestamp) {
        self.engine.ended(&name, RunEnd::Replaced, now);
        self.shared.lock().instances.entry(name).or_default().running_since = None;
    }

    /// Keeps the status up to date.
    fn tell(&self) {
        let mut status = self.shared.lock();
        for (name, instance) in &mut status.instances {
            instance.next_run = self.engine.next_run(name);
            instance.failures_in_a_row = self.engine.failures(name);
        }
        let failing = status.in_trouble(Timestamp::now()).len();
        notify::doing(&format!(
            "{} instance(s), {} running, {failing} failing",
            status.instances.len(),
            self.engine.running()
        ));
    }

    /// Lets runs come to their end, for a while.
    async fn stop(mut self) {
        notify::stopping();
        tracing::info!(running = self.engine.running(), "asked to end");
        let all = async {
            while !self.runs.tasks.is_empty() {
                let (id, result) = self.runs.ended().await;
                self.ended(id, result);
            }
        };
        if timeout(GRACE, all).await.is_err() {
            let seconds = GRACE.as_secs();
            let error = Error::new(format!(
                "The daemon was stopped, and the sync was not done within {seconds} s: it was aborted."
            ))
            .hint("The next run repeats it.");
            for Run { name, id, since, .. } in self.runs.under_way.values() {
                report::log_lost(name, id, since.elapsed().as_secs_f64(), &error);
            }
        }
    }
}

/// The last run, as its folder keeps it.
fn kept(errand: &Errand) -> Option<KeptRun> {
    let folder = *errand.folders().first()?;
    let lock = RunLock::holder(folder);
    KeptRuns::load(folder).ok()?.last(lock.as_deref())
}

/// The time to say that we are alive, if anybody wants to hear it: whatever else happens meanwhile.
async fn beat(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// The runs under way.
#[derive(Default)]
struct Runs {
    tasks: JoinSet<WorkerResult>,
    under_way: HashMap<Id, Run>,
}

/// One of them.
struct Run {
    name: String,
    /// In the log.
    id: String,
    /// A reload may want another by the same name meanwhile.
    errand: Errand,
    /// Organization by which others were left out of its order.
    assumed: Option<String>,
    since: Instant,
}

impl Runs {
    fn start(&mut self, run: Run, work: impl Future<Output = WorkerResult> + Send + 'static) {
        let handle = self.tasks.spawn(work);
        self.under_way.insert(handle.id(), run);
    }

    /// The next one that ends; waits for ever if there is none.
    async fn ended(&mut self) -> (Id, std::result::Result<WorkerResult, JoinError>) {
        match poll_fn(|context| self.tasks.poll_join_next_with_id(context)).await {
            Some(Ok((id, done))) => (id, Ok(done)),
            Some(Err(error)) => (error.id(), Err(error)),
            None => std::future::pending().await,
        }
    }
}
