//! What a run tells, and whom: what was decided in `core`, remembered by `store` and sent by `connect`, around a run.
//!
//! Nothing here fails or delays a run beyond [`LIMIT`]: what cannot be delivered by then is tried again by the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bwdc_config::Environment;
use bwdc_config::installation::{AlertSetup, Alerts, WantedChannel, Watched};
use bwdc_config::settings::{certificate_files, is_named, secret_ends};
use bwdc_connect::alert::{ChannelKind, Signal};
use bwdc_connect::tls;
use bwdc_core::alert::{
    Alert, Credential, End, Event, Incidents, Iso, LEAST_MISSED, Outbox, Outcome, Rules, RunFacts, Said,
    Sender, THRESHOLDS, Verdict, Week,
};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::metrics::{Dialect, LastRun, of_last_runs, text};
use bwdc_core::organization::changes::{Action, Summary};
use bwdc_core::organization::record::{Made, RunRecord};
use bwdc_core::organization::{Moment, Span};
use bwdc_store::alerts::{AlertMemory, Keeping};
use bwdc_store::files::write_for_everybody;
use bwdc_store::history::{Filter, History};
use bwdc_store::runs::health::Evidence;
use bwdc_store::runs::{Ending, Run, Runs, seconds};
use bwdc_store::{DataFile, RunLock};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::context::Context;
use crate::history::RunHistory;
use crate::job::SyncJob;
use crate::outcome::{Report, SyncOutcome};

/// How long everything that is told after a run may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// What a run tells, while it is under way.
pub(crate) struct Telling {
    teller: Arc<Teller>,
    /// What is sent beside the run: the beginning to pings, and what earlier runs could not deliver. A task for each channel.
    beside: Vec<(String, tokio::task::JoinHandle<()>)>,
}

/// Everything by which an instance's alerts are decided and sent.
struct Teller {
    setup: Arc<AlertSetup>,
    environment: Environment,
    /// Folder with the memory; of a merge that of the first.
    context: Context,
    instance: String,
    host: String,
    /// Name by which it claims what it delivers.
    claimant: String,
    /// What is to be delivered and could not be kept on the disk.
    unkept: Mutex<Outbox>,
}

impl Teller {
    /// Of a job, if there is anybody to be told.
    fn of(job: &SyncJob) -> Option<Self> {
        let context = *job.contexts().first()?;
        let setup = context.alert_setup();
        if let Some(fault) = &setup.fault {
            context.warn(&format!("Nobody is told how this run ends: {fault}"));
        }
        if setup.is_empty() {
            return None;
        }
        Some(Self::about(&setup, context.clone(), job.name()))
    }

    fn about(setup: &Arc<AlertSetup>, context: Context, instance: &str) -> Self {
        let environment = context.environment.clone();
        Self {
            setup: Arc::clone(setup),
            host: environment.host(),
            environment,
            context,
            instance: instance.to_owned(),
            claimant: bwdc_store::report::new_run(),
            unkept: Mutex::default(),
        }
    }

    fn alerts(&self) -> &Alerts {
        &self.setup.alerts
    }

    fn file(&self) -> &DataFile {
        &self.context.file
    }

    fn sender<'a>(&'a self, instance: &'a str) -> Sender<'a> {
        Sender { instance, host: &self.host, privacy: self.alerts().privacy, now: now() }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { after: self.alerts().after, sender: self.sender(&self.instance) }
    }

    /// Decides, and keeps what is to be told with what was.
    fn decide(&self, decide: impl Fn(Incidents) -> Verdict) {
        self.enqueue(|memory| {
            let verdict = decide(std::mem::take(&mut memory.incidents));
            memory.incidents = verdict.incidents;
            verdict.alerts
        });
    }

    /// Changes the memory, and keeps what is to be delivered with it, or else at hand.
    fn enqueue(&self, change: impl Fn(&mut AlertMemory) -> Vec<Alert>) {
        let changed = AlertMemory::change(self.file(), |memory| {
            let alerts = change(memory);
            self.add(&mut memory.outbox, &alerts);
            alerts
        });
        if changed.keeping == Keeping::Lost {
            self.add(&mut self.unkept(), &changed.value);
        }
    }

    fn add(&self, outbox: &mut Outbox, alerts: &[Alert]) {
        let channels = &self.alerts().channels;
        for alert in alerts {
            let wanting = channels.iter().filter(|channel| channel.wants(alert.event));
            outbox.add(alert, wanting.map(|channel| channel.name.as_str()), now());
        }
        let is_there = |name: &str| channels.iter().any(|channel| channel.name == name);
        let dropped = outbox.prune(is_there, now());
        if dropped > 0 {
            tracing::warn!(dropped, "alerts that could not be delivered for long are given up");
        }
    }

    fn unkept(&self) -> MutexGuard<'_, Outbox> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims what waits for a channel.
    fn claimed(&self, channel: &str) -> Vec<Alert> {
        let claim = |outbox: &mut Outbox| outbox.claim(channel, &self.claimant, now());
        let mut waiting = AlertMemory::change(self.file(), |memory| claim(&mut memory.outbox)).value;
        waiting.extend(claim(&mut self.unkept()));
        waiting
    }

    /// Forgets what was delivered.
    fn told(&self, channel: &str, alert: &Alert) {
        AlertMemory::change(self.file(), |memory| memory.outbox.delivered(channel, &alert.id));
        self.unkept().delivered(channel, &alert.id);
    }

    /// Leaves what could not be delivered to the next run.
    fn release(&self) {
        AlertMemory::change(self.file(), |memory| memory.outbox.release(&self.claimant));
    }

    /// Delivers what waits for a channel, in its order, after a signal about the run.
    async fn deliver(&self, channel: &WantedChannel, signal: Option<(Signal, String)>) {
        let name = &channel.name;
        if let Err(error) = self.delivered(channel, signal).await {
            self.context.warn(&format!("The channel {name} was not told; the next run tries again: {error}"));
        }
    }

    async fn delivered(&self, channel: &WantedChannel, signal: Option<(Signal, String)>) -> Result<()> {
        let mut waiting = self.claimed(&channel.name);
        if waiting.is_empty() && signal.is_none() {
            return Ok(());
        }
        let (open, network) = (channel.open(&self.environment)?, self.environment.network()?);
        if let (Some((signal, text)), ChannelKind::Ping(ping)) = (&signal, &open.kind) {
            ping.send(&format!("Pinging {}", channel.name), *signal, text, &network).await?;
        }
        // Whoever comes meanwhile leaves to us what it adds.
        while !waiting.is_empty() {
            for alert in &waiting {
                let back = open.tell(alert, &network).await?;
                self.told(&channel.name, alert);
                tracing::info!(channel = channel.name, alert = alert.event.word(), "alert sent: {back}");
            }
            waiting = self.claimed(&channel.name);
        }
        Ok(())
    }

    /// What is told beside the run that begins.
    fn starts(self: &Arc<Self>) -> Vec<(String, tokio::task::JoinHandle<()>)> {
        let memory = AlertMemory::of(self.file());
        let has_work = |channel: &&WantedChannel| {
            channel.is_ping() || memory.outbox.for_channel(&channel.name).next().is_some()
        };
        let start = |channel: &WantedChannel| {
            let (teller, channel) = (Arc::clone(self), channel.clone());
            let name = channel.name.clone();
            let signal = channel.is_ping().then(|| (Signal::Start, String::new()));
            let work = async move {
                if tokio::time::timeout(LIMIT, teller.deliver(&channel, signal)).await.is_err() {
                    tracing::warn!(channel = channel.name, "the channel did not answer in time");
                }
            };
            (name, tokio::spawn(work.in_current_span()))
        };
        self.alerts().channels.iter().filter(has_work).map(start).collect()
    }

    /// Writes the text file of metrics: of this instance and of all others of the same file, as their folders have it.
    fn write_metrics(&self) {
        let Some(path) = &self.alerts().textfile else { return };
        let own = self.setup.watched.iter().all(|watched| watched.name != self.instance);
        let own = own.then(|| (self.instance.as_str(), self.file().clone()));
        let others = self
            .setup
            .watched
            .iter()
            .map(|watched| (watched.name.as_str(), DataFile::in_folder(watched.folder.clone())));
        let last: Vec<(&str, LastRun)> =
            own.into_iter().chain(others).map(|(name, file)| (name, last_run(&file))).collect();
        let metrics = of_last_runs(env!("CARGO_PKG_VERSION"), last.iter().map(|(name, run)| (*name, run)));
        if let Err(error) = write_for_everybody(path, text(&metrics, Dialect::Prometheus).as_bytes()) {
            self.context.warn(&format!("The metrics were not written: {error}"));
        }
    }

    /// Whether any channel wants an event.
    fn is_wanted(&self, event: Event) -> bool {
        self.alerts().channels.iter().any(|channel| channel.wants(event))
    }

    /// Decides about what ends soon: credentials, and invitations without an answer.
    fn expiring(&self, credentials: &[Credential], invitations: &[(String, Moment)]) {
        if !self.is_wanted(Event::Expiring) {
            return;
        }
        let sender = self.sender(&self.instance);
        self.decide(|incidents| {
            let verdict = incidents.expiring(credentials, &sender);
            verdict.and(|incidents| incidents.invitations(invitations, &sender))
        });
    }

    /// Decides about the week.
    fn weekly(&self, history: &RunHistory<'_>, record: Option<&RunRecord>, credentials: &[Credential]) {
        if !self.is_wanted(Event::Weekly) {
            return;
        }
        let is_over = AlertMemory::of(self.file()).incidents.is_week_over(now());
        let week = is_over.then(|| self.week(history, record, credentials));
        let sender = self.sender(&self.instance);
        self.decide(|incidents| incidents.weekly(week.clone(), &sender));
    }

    /// The last seven days, by the history.
    fn week(&self, history: &RunHistory<'_>, record: Option<&RunRecord>, credentials: &[Credential]) -> Week {
        let since = Timestamp::now().checked_sub(SignedDuration::from_hours(7 * 24)).ok();
        let found = History::of(self.file()).heads(&Filter { since, ..Filter::default() });
        let runs = found.map(|found| found.runs).unwrap_or_default();
        let sum = |count: fn(&Summary) -> usize| runs.iter().map(|head| count(&head.counts.made)).sum();
        let soon = now().plus(Span::days(THRESHOLDS[0]));
        Week {
            runs: runs.len(),
            failed: runs.iter().filter(|head| matches!(head.result, Ending::Failed | Ending::CutOff)).count(),
            joined: sum(|made| made.invite + made.stage + made.adopt + made.restore),
            left: sum(|made| made.remove + made.revoke),
            waiting: history.in_grace(),
            held: record.map_or(0, |record| record.counts().made.held),
            expiring: credentials.iter().filter(|credential| credential.ends.0 <= soon).cloned().collect(),
        }
    }

    /// Decides about other instances of the same file, whose runs may have stopped altogether.
    fn watch_others(&self) {
        if !self.file().has_state() {
            return;
        }
        for watched in self.setup.watched.iter().filter(|watched| watched.name != self.instance) {
            let file = DataFile::in_folder(watched.folder.clone());
            let Some(overdue) = overdue_at(&self.setup, watched, &file).filter(|overdue| *overdue < now())
            else {
                continue;
            };
            if AlertMemory::of(&file).incidents.open.contains_key(&bwdc_core::alert::Trouble::Missed) {
                continue;
            }
            let sender = self.sender(&watched.name);
            let alerts = AlertMemory::change(&file, |memory| {
                let mut incidents = std::mem::take(&mut memory.incidents);
                incidents.last_success = incidents.last_success.max(last_success(&file));
                let verdict = incidents.checked(Some(overdue), &sender);
                memory.incidents = verdict.incidents;
                verdict.alerts
            });
            // This run delivers it: the other one may never come.
            self.enqueue(|_| alerts.value.clone());
        }
    }

    /// Time from which on this instance misses a success, by its schedule.
    fn scheduled(&self, incidents: &Incidents) -> Option<Moment> {
        let since = incidents.last_success.or(incidents.first_seen)?;
        scheduled(&self.setup, &self.instance, self.file(), since)
    }

    /// Decides whether this instance has missed a success before the run that begins. What was learned of intervals does not count: nobody
    /// knows whether runs were wanted in the meantime.
    fn missed_before(&self) {
        let incidents = known_incidents(self.file());
        if let Some(overdue) = self.scheduled(&incidents).filter(|overdue| *overdue < now()) {
            self.missed(overdue, None);
        }
    }

    /// Decides about a success that is missed since then. `seen` is when somebody saw the instance first, if no run of it has come to an end.
    fn missed(&self, overdue: Moment, seen: Option<Moment>) {
        let last = last_success(self.file());
        let sender = self.sender(&self.instance);
        self.decide(|mut incidents| {
            incidents.last_success = incidents.last_success.max(last);
            incidents.first_seen = incidents.first_seen.or(seen);
            incidents.checked(Some(overdue), &sender)
        });
    }

    /// Delivers what waits for the channels, side by side, within [`LIMIT`].
    async fn deliver_all(&self) {
        let deliveries = self.alerts().channels.iter().map(|channel| self.deliver(channel, None));
        let _ = tokio::time::timeout(LIMIT, futures_util::future::join_all(deliveries)).await;
        self.release();
    }
}

impl Telling {
    /// Tells that a run begins, and what the one before could not tell since it was killed. What takes time goes on beside the run.
    pub(crate) async fn begin(job: &SyncJob, history: &RunHistory<'_>) -> Option<Self> {
        let teller = Arc::new(Teller::of(job)?);
        if let Some(cut_off) = cut_off(teller.file()).await {
            let said = Said { message: cut_off.message.clone(), next_step: cut_off.hint.clone() };
            let outcome = Outcome {
                run: facts(&cut_off, history.command.word()),
                end: End::Failed(said),
                leavers: Vec::new(),
            };
            teller.decide(|incidents| incidents.after_cut_off(&outcome, &teller.rules()));
        }
        teller.missed_before();
        let beside = teller.starts();
        Some(Self { teller, beside })
    }

    /// Tells how the run ended, within [`LIMIT`].
    pub(crate) async fn end(
        self,
        report: &Report<SyncOutcome>,
        history: &RunHistory<'_>,
        record: Option<&RunRecord>,
    ) {
        let Self { teller, beside } = self;
        let leavers = record.map(leavers).unwrap_or_default();
        let outcome = outcome(report, history, leavers, &teller.environment);
        if outcome.end == End::Busy {
            // What was found at the beginning is told all the same.
            let all = futures_util::future::join_all(beside.into_iter().map(|(_, before)| before));
            let _ = tokio::time::timeout(LIMIT, all).await;
            return;
        }
        teller.decide(|incidents| {
            let verdict = incidents.after(&outcome, &teller.rules());
            if outcome.end == End::Done {
                return verdict;
            }
            let sender = teller.sender(&teller.instance);
            verdict.and(|incidents| {
                let overdue = teller.scheduled(&incidents).or_else(|| incidents.overdue_at());
                incidents.checked(overdue, &sender)
            })
        });
        let credentials = credentials(&teller.context);
        teller.write_metrics();
        teller.expiring(&credentials, &history.invitations());
        teller.weekly(history, record, &credentials);
        teller.watch_others();
        let mut tasks = JoinSet::new();
        let mut beside = beside;
        for channel in teller.alerts().channels.clone() {
            let before = beside.iter().position(|(name, _)| *name == channel.name);
            let before = before.map(|index| beside.swap_remove(index).1);
            let signal = channel.is_ping().then(|| signal(&outcome, teller.alerts()));
            let teller = Arc::clone(&teller);
            let work = async move {
                if let Some(before) = before {
                    let _ = before.await;
                }
                teller.deliver(&channel, signal).await;
            };
            tasks.spawn(work.in_current_span());
        }
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LIMIT, all).await.is_err() {
            let seconds = LIMIT.as_secs();
            teller
                .context
                .warn(&format!("Not every channel was told within {seconds} s; the next run tries again."));
        }
        teller.release();
    }
}

/// A run that never told its end, as the next one finds it. One that seems to be so may just be about to tell it.
async fn cut_off(file: &DataFile) -> Option<Run> {
    const TIMES: usize = 5;
    const MEANWHILE: Duration = Duration::from_millis(100);
    let look = || {
        let lock = RunLock::holder(file.folder());
        let runs = Runs::load(file.folder()).ok()?;
        (lock.is_none() && runs.has_begun()).then(|| runs.last(None)).flatten()
    };
    for _ in 1..TIMES {
        look()?;
        tokio::time::sleep(MEANWHILE).await;
    }
    look()
}

fn facts(run: &Run, command: &str) -> RunFacts {
    RunFacts {
        id: run.run.clone().unwrap_or_default(),
        command: command.to_owned(),
        by: run.by.as_str().to_owned(),
        at: Iso(Moment(run.at.as_second())),
        seconds: run.duration_seconds,
        exit: run.exit,
    }
}

fn outcome(
    report: &Report<SyncOutcome>,
    history: &RunHistory<'_>,
    leavers: Vec<String>,
    environment: &Environment,
) -> Outcome {
    let exit = report.result.as_ref().map_or_else(|error| error.exit, SyncOutcome::exit);
    let run = RunFacts {
        id: report.run.clone(),
        command: history.command.word().to_owned(),
        by: environment.started_by().as_str().to_owned(),
        at: Iso(Moment(history.at.as_second())),
        seconds: Some(report.duration),
        exit: Some(exit as u8),
    };
    let said = |error: &Error| Said { message: error.message.clone(), next_step: error.next_step.clone() };
    let end = match &report.result {
        Ok(_) => End::Done,
        Err(error) if error.exit == Exit::Locked => End::Busy,
        Err(error) if error.exit == Exit::Blocked => End::Held(said(error)),
        Err(error) => End::Failed(said(error)),
    };
    Outcome { run, end, leavers }
}

/// Addresses of the people whom the run removed or revoked.
fn leavers(record: &RunRecord) -> Vec<String> {
    let left = record
        .members
        .iter()
        .filter(|entry| entry.made == Made::Yes && matches!(entry.action, Action::Remove | Action::Revoke));
    left.filter_map(|entry| entry.before.as_ref()).map(|before| before.email.to_string()).collect()
}

/// What a ping is told of a run.
fn signal(outcome: &Outcome, alerts: &Alerts) -> (Signal, String) {
    let is_named = alerts.privacy == bwdc_core::alert::Privacy::Named;
    let text = |said: &Said| if is_named { said.message.clone() } else { String::new() };
    match &outcome.end {
        End::Done | End::Busy => (Signal::Success, String::new()),
        End::Held(said) | End::Failed(said) => (Signal::Fail, text(said)),
    }
}

/// Certificates and secrets of an instance whose end is known: in files that its settings name, of the servers that its settings name and that
/// this process has seen, and by what the settings say.
pub(crate) fn credentials(context: &Context) -> Vec<Credential> {
    let data = context.file.load().unwrap_or_default();
    let credential = |name: String, ends: i64| Credential { name, ends: Iso(Moment(ends)) };
    let files = certificate_files(&data, &context.environment, context.file.folder());
    let files = files.into_iter().filter_map(|(what, path, purpose)| {
        let ends = tls::end_of_file(&path, purpose)?;
        Some(credential(format!("{what} ({})", path.display()), ends))
    });
    // Of vendors' own clouds somebody else takes care.
    let seen = tls::seen().into_iter().filter(|(host, _)| is_named(&data, host));
    let servers = seen.map(|(host, ends)| credential(format!("certificate of {host}"), ends));
    let secrets = secret_ends(&data);
    let secrets =
        secrets.into_iter().map(|(name, end)| credential(format!("secret {name}"), end.as_second()));
    files.chain(servers).chain(secrets).collect()
}

fn now() -> Moment {
    Moment(Timestamp::now().as_second())
}

/// Time from which on an instance misses a success, by its schedule. Looked for only where that may be over.
fn scheduled(setup: &AlertSetup, name: &str, file: &DataFile, since: Moment) -> Option<Moment> {
    let least = since.plus(LEAST_MISSED);
    if least >= now() {
        return None;
    }
    let since = Timestamp::from_second(since.0).ok()?;
    let overdue = setup.overdue_at(name, file.folder(), since)?;
    Some(Moment(overdue.as_second()).max(least))
}

/// What metrics tell of an instance.
fn last_run(file: &DataFile) -> LastRun {
    let Ok(runs) = Runs::load(file.folder()) else { return LastRun::default() };
    let lock = RunLock::holder(file.folder());
    let last = runs.last(lock.as_deref()).map(|run| run.as_metrics()).unwrap_or_default();
    let success = runs.last_success().map(|run| seconds(run.ended()));
    LastRun { success, ..last }
}

/// The last success, by the record of runs and by `data.json`.
fn last_success(file: &DataFile) -> Option<Moment> {
    let runs = Runs::load(file.folder()).ok()?;
    let earlier_success = file.load().ok().and_then(|data| data.remembered().last_sync());
    let evidence = Evidence { runs: &runs, lock: None, earlier_success, times: None, now: Timestamp::now() };
    evidence.last_success().map(|time| Moment(time.as_second()))
}

/// Incidents of an instance, with its last success by whatever has a record of it.
fn known_incidents(file: &DataFile) -> Incidents {
    let incidents = AlertMemory::of(file).incidents;
    Incidents { last_success: incidents.last_success.max(last_success(file)), ..incidents }
}

/// Time from which on an instance misses a success: by its schedule, else by what was learned of its runs.
fn overdue_at(setup: &AlertSetup, watched: &Watched, file: &DataFile) -> Option<Moment> {
    let incidents = known_incidents(file);
    let since = incidents.last_success.or(incidents.first_seen)?;
    scheduled(setup, &watched.name, file, since).or_else(|| incidents.overdue_at())
}

/// Instances that miss a success, each with the last one. Tells the channels of those that are not told yet.
pub async fn overdue(setup: &Arc<AlertSetup>, context: &Context) -> Vec<(String, Option<Timestamp>)> {
    let own = || Arc::from([Watched::alone(&context.name, context.file.folder())]);
    let watched = if setup.watched.is_empty() { own() } else { Arc::clone(&setup.watched) };
    let mut missed = Vec::new();
    for watched in watched.iter() {
        let file = DataFile::in_folder(watched.folder.clone());
        let overdue = overdue_at(setup, watched, &file).filter(|overdue| *overdue < now());
        let Some(overdue) = overdue else { continue };
        let last = last_success(&file).and_then(|last| Timestamp::from_second(last.0).ok());
        missed.push((watched.name.clone(), last));
        let teller = Teller::about(setup, Context { file, ..context.clone() }, &watched.name);
        teller.missed(overdue, None);
        teller.deliver_all().await;
    }
    missed
}

/// Tells that a job has missed a success since then, for one who knows when it is due, and of a last success. If somebody else had another one
/// later, nothing is told.
pub async fn tell_missed(job: &SyncJob, last: Timestamp, overdue: Timestamp) {
    let Some(teller) = Teller::of(job) else { return };
    let last = Moment(last.as_second());
    if known_incidents(teller.file()).last_success > Some(last) {
        return;
    }
    teller.missed(Moment(overdue.as_second()), Some(last));
    teller.deliver_all().await;
}

/// A channel that was tried.
#[derive(Debug)]
pub struct Tried {
    /// Name of the channel.
    pub channel: String,
    /// Kind of the channel, in a word.
    pub kind: &'static str,
    /// What came back.
    pub result: Result<String>,
}

/// Sends a test through these channels, side by side.
pub async fn try_channels(context: &Context, instance: &str, channels: &[&WantedChannel]) -> Vec<Tried> {
    let host = context.environment.host();
    let sender = Sender { instance, host: &host, privacy: context.alert_setup().alerts.privacy, now: now() };
    let alert = sender.trial(&bwdc_store::report::new_run());
    let tries = channels.iter().map(|channel| async {
        let tried = async {
            let open = channel.open(&context.environment)?;
            Ok(open.tell(&alert, &context.environment.network()?).await?)
        };
        let result = tried.await;
        Tried { channel: channel.name.clone(), kind: channel.kind(), result }
    });
    futures_util::future::join_all(tries).await
}
