//! The requests of a run: stored before the first is sent, sent one after the other, with what came of them written down beside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bwdc_connect::bitwarden::ImportBody;
use bwdc_core::error::{Error, Result};
use bwdc_core::organization::server::Call;
use bwdc_core::organization::{Ledger, Moment, Step};
use bwdc_store::DataFile;

use crate::beside::{Beside, side_by_side};
use crate::history::RunHistory;
use crate::ledger::LedgerFiles;
use crate::organization::{FailedCall, OpenOrganization};
use crate::under_way::{self, ImportEnd};

/// Time after which it is stored again how far the run came, while single calls follow each other: the journal has them all, and what was
/// done shows in the organization.
const STORE_EVERY: Duration = Duration::from_secs(1);

/// How old the time may be at which a request began, which the next run waits after where this one is killed.
const BEGUN_EVERY: Duration = Duration::from_secs(10);

/// A request that failed, and the ledger of what was done before.
pub(crate) struct Unsent {
    pub(crate) failed: FailedCall,
    pub(crate) ledger: Option<Ledger>,
    /// Number of requests before it, which were carried out.
    pub(crate) acknowledged: usize,
}

impl Unsent {
    /// Says which of several requests it was, and how it goes on.
    pub(crate) fn explained(mut self, count: usize, further: &str) -> Self {
        if count > 1 {
            let (number, before) = (self.acknowledged + 1, self.acknowledged);
            self.failed.error = self
                .failed
                .error
                .while_doing(format!("Request {number} of {count} failed (the {before} {further})"));
        }
        self
    }
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self { failed: FailedCall::before(error), ledger: None, acknowledged: 0 }
    }
}

/// Where requests go, and where it is written down what came of them.
pub(crate) struct Sending<'b, 'a> {
    pub(crate) organization: &'b mut OpenOrganization<'a>,
    pub(crate) ledgers: &'b mut LedgerFiles<'a>,
    pub(crate) files: Vec<&'a DataFile>,
    pub(crate) history: &'b RunHistory<'b>,
}

/// The requests of a run, and the ledger that has them.
pub(crate) struct Begun {
    pub(crate) steps: Arc<[Step]>,
    ledger: Ledger,
    /// Whether the ledger is on the disk.
    stored: Result<()>,
}

impl Begun {
    /// Stores the requests in the ledger of before them. The record of the run is written beside: each takes as long as the other where
    /// much is imported.
    pub(crate) fn of(
        history: &RunHistory<'_>,
        ledgers: &mut LedgerFiles<'_>,
        now: Moment,
        steps: Arc<[Step]>,
        ledger: Ledger,
    ) -> Self {
        if steps.is_empty() {
            return Self { steps, ledger, stored: Ok(()) };
        }
        history.will_send(&steps);
        let mut ledger = ledger.begun(&steps, now);
        let span = tracing::Span::current();
        let ((), stored) = side_by_side(|| span.in_scope(|| history.begins()), || ledgers.store(&mut ledger));
        let stored = stored.or_else(|_| history.with_room(|| ledgers.store(&mut ledger)));
        Self { steps, ledger, stored }
    }
}

impl Sending<'_, '_> {
    /// Sends the requests. The ledger has all of them on the disk before the first is sent, and beside it stands how many were acknowledged.
    /// `after` makes something of the ledger after the last of them; it is computed beside them, and is of use only if all are acknowledged.
    pub(crate) async fn send<T: Send + 'static>(
        self,
        begun: Begun,
        after: impl Fn(Ledger) -> T + Send + Sync + 'static,
    ) -> std::result::Result<T, Unsent> {
        let Self { organization, ledgers, files, history } = self;
        let Begun { steps, ledger, stored } = begun;
        if steps.is_empty() {
            return Ok(after(ledger));
        }
        stored?;
        let mut stored = Instant::now();
        history.with_room(|| under_way::begin(&files))?;
        let mut begun_at = Instant::now();
        let ledger = Arc::new(ledger);
        let all = steps.len();
        let begun = Arc::clone(&ledger);
        let after = Beside::begin(move || after(Ledger::clone(&begun).acknowledged(all)));
        let mut progress = Progress::of(ledgers, history);
        let mut next = body_beside(&steps, 0);
        for (step, before) in steps.iter().zip(0..) {
            if begun_at.elapsed() >= BEGUN_EVERY {
                // Without it the next run waits for less time, should this one be killed now.
                if let Err(error) = under_way::begin(&files) {
                    tracing::warn!("that another request begins could not be recorded: {error}");
                }
                begun_at = Instant::now();
            }
            let body = next.and_then(Beside::end);
            next = body_beside(&steps, before + 1);
            history.sends();
            let sent = match (&step.call, body) {
                (Call::Import(request), Some(body)) => organization.import(request, &body).await,
                (call, _) => organization.send(call).await,
            };
            if let Err(failed) = sent {
                progress.end();
                // What it has on the disk makes room for the ledger of now.
                drop(after);
                history.failed(&step.call, failed.ended);
                let ledger = Arc::unwrap_or_clone(ledger).acknowledged(before);
                let mut ledger = if failed.ended == ImportEnd::Nothing { ledger.rejected() } else { ledger };
                history.with_room(|| {
                    ledgers.store(&mut ledger)?;
                    under_way::failed(&files, failed.ended)
                })?;
                return Err(Unsent { failed, ledger: Some(ledger), acknowledged: before });
            }
            let acknowledged = before + 1;
            history.acknowledged(acknowledged);
            if matches!(step.call, Call::Import(_)) || stored.elapsed() >= STORE_EVERY {
                progress.note(acknowledged);
                stored = Instant::now();
            }
        }
        progress.end();
        Ok(after.end())
    }
}

/// The body of a request that is an import, on its way: it is written while the one before is sent.
fn body_beside(steps: &Arc<[Step]>, at: usize) -> Option<Beside<Option<ImportBody>>> {
    let is_import = matches!(steps.get(at)?.call, Call::Import(_));
    let steps = Arc::clone(steps);
    is_import.then(|| Beside::begin(move || steps.get(at).and_then(body)))
}

/// `None` where there is none, or where sending it tells what is wrong.
fn body(step: &Step) -> Option<ImportBody> {
    match &step.call {
        Call::Import(request) => ImportBody::of(request).ok(),
        _ => None,
    }
}

/// How far a run has come, which is written to the disk beside its requests, one number at a time: on the disk is the last one but for
/// those of the moment that a write takes, or of the single calls of the last second. The run holds its lock until nothing is being written
/// any more, also where it is cut off.
struct Progress<'a> {
    ledgers: &'a LedgerFiles<'a>,
    history: &'a RunHistory<'a>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    writer: Option<thread::JoinHandle<()>>,
}

/// Numbers of requests that were acknowledged.
#[derive(Default)]
struct Acknowledged {
    last: usize,
    /// The last that was written, or could not be.
    tried: usize,
    writer: Writer,
}

/// State of the writer.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Writer {
    /// The last number is on the disk.
    #[default]
    Idle,
    /// It writes a number, and after it the last one if that is another.
    Writing,
    /// It could not write.
    Failed,
}

impl<'a> Progress<'a> {
    fn of(ledgers: &'a LedgerFiles<'a>, history: &'a RunHistory<'a>) -> Self {
        Self { ledgers, history, acknowledged: Arc::default(), writer: None }
    }

    /// Has the number of acknowledged requests written.
    fn note(&mut self, acknowledged: usize) {
        let before = {
            let mut noted = locked(&self.acknowledged);
            noted.last = acknowledged;
            std::mem::replace(&mut noted.writer, Writer::Writing)
        };
        match before {
            Writer::Writing => {}
            Writer::Idle => self.begin(),
            Writer::Failed => self.write(),
        }
    }

    fn begin(&mut self) {
        let (numbers, write) = (Arc::clone(&self.acknowledged), self.ledgers.acknowledging());
        match thread::Builder::new().spawn(move || write_numbers(&numbers, write)) {
            Ok(writer) => self.writer = Some(writer),
            Err(_) => self.write(),
        }
    }

    /// Waits until the last number is written; nothing can cut that off. The journal has every request: without their number the next run
    /// compares, or sends more again.
    fn end(mut self) {
        self.wait();
        if locked(&self.acknowledged).writer != Writer::Idle {
            self.write();
        }
    }

    fn wait(&mut self) {
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }

    /// Writes the last number here and now.
    fn write(&self) {
        let last = locked(&self.acknowledged).last;
        let write = self.ledgers.acknowledging();
        if let Err(error) = self.history.with_room(|| write(last)) {
            tracing::warn!("how far the run has come could not be recorded: {error}");
        }
        let mut numbers = locked(&self.acknowledged);
        (numbers.tried, numbers.writer) = (last, Writer::Idle);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Writes the last number, until there is no other.
fn write_numbers(numbers: &Mutex<Acknowledged>, write: impl Fn(usize) -> Result<()>) {
    loop {
        let number = {
            let mut numbers = locked(numbers);
            if numbers.tried == numbers.last {
                numbers.writer = Writer::Idle;
                return;
            }
            numbers.tried = numbers.last;
            numbers.last
        };
        if write(number).is_err() {
            locked(numbers).writer = Writer::Failed;
            return;
        }
    }
}

fn locked(numbers: &Mutex<Acknowledged>) -> MutexGuard<'_, Acknowledged> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}
