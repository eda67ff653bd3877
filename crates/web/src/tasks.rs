//! Commands under way and those that ended, for whoever comes back to look at them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use crate::commands::{Form, Order, Outcome, Runner, Turn};

/// Ended tasks that are kept.
const KEPT: usize = 60;
/// Commands of one session that look at something, under way or waiting.
const AT_ONCE_EACH: usize = 4;
/// Lines of progress that are kept of one.
const LINES: usize = 200;
/// For how long nobody minds to wait for a page.
const SOON: Duration = Duration::from_secs(2);

/// What a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A plan, saved in this file so that it can be carried out.
    Plan(PathBuf),
    Apply,
    Approve,
    Sync,
    Check,
    /// A run's changes.
    Run(String),
    UndoPreview(String),
    Undo(String),
    Explain(String),
    /// Everybody whom imports have brought.
    People,
    SetUp,
    TrySetUp,
    Try,
    Schedule,
}

impl Purpose {
    /// Whether something may be changed by it.
    pub(crate) fn is_change(&self) -> bool {
        matches!(
            self,
            Self::Apply | Self::Approve | Self::Sync | Self::Undo(_) | Self::SetUp | Self::Schedule
        )
    }

    /// Heading.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Plan(_) => "Plan".to_owned(),
            Self::Apply => "Carry out the plan".to_owned(),
            Self::Approve => "Approve".to_owned(),
            Self::Sync => "Sync now".to_owned(),
            Self::Check => "Check".to_owned(),
            Self::Run(run) => format!("Run {run}"),
            Self::UndoPreview(run) => format!("Undo of the run {run}: preview"),
            Self::Undo(run) => format!("Undo of the run {run}"),
            Self::Explain(who) => format!("Explain {who}"),
            Self::People => "People and groups".to_owned(),
            Self::SetUp => "Set up".to_owned(),
            Self::TrySetUp | Self::Try => "Try the connection".to_owned(),
            Self::Schedule => "Schedule".to_owned(),
        }
    }
}

/// One command.
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) instance: String,
    pub(crate) purpose: Purpose,
    pub(crate) began: Timestamp,
    /// Session of whoever started it.
    by: [u8; 32],
    /// Digest of what was asked.
    asked: [u8; 32],
    state: Mutex<State>,
    /// Wakes whoever waits for the end.
    over: Notify,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    ended: Option<Arc<Ended>>,
}

/// End of a command.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

impl Task {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ended(&self) -> Option<Arc<Ended>> {
        self.lock().ended.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    pub(crate) fn path(&self) -> String {
        format!("/tasks/{}", self.id)
    }

    /// Waits for the end, for as long as nobody minds.
    pub(crate) async fn soon(&self) {
        let over = self.over.notified();
        if self.ended().is_none() {
            let _ = timeout(SOON, over).await;
        }
    }

    /// A count of a read takes the place of the one before.
    fn tell(&self, line: String) {
        let is_count = |line: &str| line.starts_with("Reading the directory: ");
        let mut state = self.lock();
        if is_count(&line) && state.lines.back().is_some_and(|last| is_count(last)) {
            state.lines.pop_back();
        }
        if state.lines.len() >= LINES {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Purpose::Plan(file) = &self.purpose {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// All of them, the latest last.
pub(crate) struct Tasks {
    reports: PathBuf,
    all: Mutex<VecDeque<Arc<Task>>>,
}

impl Tasks {
    pub(crate) fn new(reports: PathBuf) -> Self {
        Self { reports, all: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Task>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that nobody else has, for a report or a plan.
    pub(crate) fn new_file(&self) -> PathBuf {
        self.reports.join(Uuid::new_v4().simple().to_string())
    }

    pub(crate) fn of_id(&self, id: &str) -> Option<Arc<Task>> {
        self.lock().iter().find(|task| task.id == id).cloned()
    }

    /// The latest of an instance for which this holds.
    pub(crate) fn latest(&self, instance: &str, is_meant: impl Fn(&Purpose) -> bool) -> Option<Arc<Task>> {
        let all = self.lock();
        all.iter().rev().find(|task| task.instance == instance && is_meant(&task.purpose)).cloned()
    }

    /// Whether a change is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.lock().iter().any(|task| task.purpose.is_change() && task.ended().is_none())
    }

    /// Starts a command for a session. If just this is under way already, it is that; a plan under way is as good as another one.
    pub(crate) fn start(
        self: &Arc<Self>,
        runner: &Arc<Runner>,
        by: [u8; 32],
        instance: &str,
        purpose: Purpose,
        order: Order,
    ) -> Result<Arc<Task>, TooMany> {
        let asked = order.digest();
        let is_same = |task: &&Arc<Task>| {
            let is_same = match (&task.purpose, &purpose) {
                (Purpose::Plan(_), Purpose::Plan(_)) => true,
                (one, other) => one == other && task.asked == asked,
            };
            task.instance == instance && is_same && task.ended().is_none()
        };
        let mut all = self.lock();
        if let Some(running) = all.iter().find(is_same) {
            return Ok(Arc::clone(running));
        }
        let is_waiting = |task: &&Arc<Task>| task.by == by && task.ended().is_none();
        if !purpose.is_change() && all.iter().filter(is_waiting).count() >= AT_ONCE_EACH {
            return Err(TooMany);
        }
        let task = Arc::new(Task {
            id: Uuid::new_v4().simple().to_string(),
            instance: instance.to_owned(),
            purpose,
            began: Timestamp::now(),
            by,
            asked,
            state: Mutex::default(),
            over: Notify::new(),
        });
        all.push_back(Arc::clone(&task));
        forget(&mut all);
        drop(all);
        let turn = if task.purpose.is_change() { Turn::Change } else { Turn::Look };
        let (started, runner) = (Arc::clone(&task), Arc::clone(runner));
        tokio::spawn(async move {
            let began = Instant::now();
            let outcome = runner.run(order, turn, |line| started.tell(line)).await;
            let ended = Arc::new(Ended { outcome, took: began.elapsed() });
            started.lock().ended = Some(ended);
            started.over.notify_waiters();
        });
        Ok(task)
    }

    /// The command with a report as its answer, in a file of its own.
    pub(crate) fn reporting(&self, order: Order) -> Order {
        Order { form: Form::Report(self.new_file()), ..order }
    }
}

/// A session has as many commands under way as it may.
#[derive(Debug)]
pub(crate) struct TooMany;

/// Forgets the oldest that have ended while there are more than are kept; plans last, since somebody may be about to carry one out.
fn forget(all: &mut VecDeque<Arc<Task>>) {
    while all.len() > KEPT {
        let is_other = |task: &Arc<Task>| task.ended().is_some() && !matches!(task.purpose, Purpose::Plan(_));
        let oldest = all.iter().position(is_other);
        let Some(oldest) = oldest.or_else(|| all.iter().position(|task| task.ended().is_some())) else {
            return;
        };
        all.remove(oldest);
    }
}
