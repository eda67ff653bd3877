//! What was done, for whoever looks later: a line for each event in a file, in the journal, on the debug console.
//!
//! `tracing` carries the events; the layer here makes lines of them, because their form is documented and scripts rely on it
//! (docs/log.md). No crate appends from several processes, rotates by size and age and opens files safely in folders that
//! others can write to, so that is ours too: [`file::Appender`].

pub(crate) mod event_log;
mod file;
pub(crate) mod journal;
mod line;

pub(crate) use self::file::{can_append, end};
pub(crate) use self::line::{escaped, escaped_lines};

use std::sync::{Mutex, PoisonError};

use bwdc_connect::http::RETRIES;
use bwdc_sync::ENTRIES;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::line::{LineLayer, Sink};
use crate::ui::{self, Style};
use bwdc_config::installation::Format;
use bwdc_config::{Environment, env, setup};

/// Where stderr leads: to systemd's journal; to nobody, in a service of Windows, whose event log has it instead; or, as in a schedule for cron, to the very file that the log is appended to. Then
/// what the log says is not said again on stderr.
pub(crate) fn stderr(environment: &Environment, options: &setup::GlobalOptions) -> ui::StderrTarget {
    if journal::is_on_stderr(environment) {
        return ui::StderrTarget::Journal;
    }
    if event_log::has_stderr() {
        return ui::StderrTarget::EventLog;
    }
    match setup::Log::is_on_stderr(environment, options, is_stderr) {
        Some(format) => ui::StderrTarget::Log(format),
        None => ui::StderrTarget::Plain,
    }
}

#[cfg(unix)]
fn is_stderr(path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
    file.is_some_and(|file| journal::stderr() == Some((file.dev(), file.ino())))
}

#[cfg(not(unix))]
fn is_stderr(_path: &std::path::Path) -> bool {
    false
}

/// What is said on stderr, as a line of the log, without its line end.
pub(crate) fn line_of(text: &str, priority: journal::Priority, format: Format) -> String {
    line::LogRecord::of(priority.into(), text).line(format).trim_end().to_owned()
}

/// Starts logging, as far as anything asks for it. Fails never: a sync is worth more than its log.
pub(crate) fn start(environment: &Environment, style: Style, log: Option<&setup::Log>) {
    let console = environment.is_true(env::DEBUG).then(|| console(style));
    let file = log.and_then(|log| {
        let appender = file::Appender::new(log, style)?;
        Some(lines(appender, log, ours(log.level.value.into())))
    });
    let is_journal = style.stderr == ui::StderrTarget::Journal && !style.quiet;
    let journal = log.filter(|_| is_journal).map(|log| {
        let targets = ours(log.level.value.into()).with_target(ENTRIES, LevelFilter::OFF);
        lines(journal::JournalSink, log, targets)
    });
    let event_log = log.filter(|_| event_log::is_wanted(environment)).map(|log| {
        let targets = ours(LevelFilter::WARN).with_target(ENTRIES, LevelFilter::OFF);
        lines(event_log::EventLogSink, log, targets)
    });
    let terminal = ui::is_watched(style).then(|| {
        LineLayer::new(Terminal { style, last: Mutex::default() }, Format::Text)
            .with_filter(Targets::new().with_target(RETRIES, LevelFilter::DEBUG))
    });
    let is_none = console.is_none() && file.is_none() && journal.is_none() && event_log.is_none();
    if is_none && terminal.is_none() {
        return;
    }
    let logs = tracing_subscriber::registry().with(console).with(file).with(journal).with(event_log);
    let _ = logs.with(terminal).try_init();
}

/// On stderr, if there is no other log: for a daemon in the foreground.
pub(crate) fn on_stderr(log: &setup::Log) {
    let targets = ours(log.level.value.into()).with_target(ENTRIES, LevelFilter::OFF);
    let _ = tracing_subscriber::registry().with(lines(Stderr, log, targets)).try_init();
}

/// What somebody who waits wants to know: what failed, and that it is tried again. The same once.
struct Terminal {
    style: Style,
    last: Mutex<String>,
}

impl Sink for Terminal {
    fn write(&self, record: &line::LogRecord, _format: Format) {
        let what = record.message().split(": ").next().unwrap_or_default().to_owned();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != what {
            ui::progress(record.message(), self.style);
            *last = what;
        }
    }
}

/// Lines as in the file.
struct Stderr;

impl Sink for Stderr {
    fn write(&self, record: &line::LogRecord, format: Format) {
        ui::journal(record.line(format).trim_end());
    }
}

/// Our own events; the libraries' are for their developers, and nobody has looked through them for secrets.
fn ours(level: LevelFilter) -> Targets {
    [
        "bwdc",
        "bwdc_config",
        "bwdc_connect",
        "bwdc_daemon",
        "bwdc_sandbox",
        "bwdc_schedule",
        "bwdc_store",
        "bwdc_sync",
        "bwdc_web",
    ]
    .into_iter()
    .fold(Targets::new(), |targets, name| targets.with_target(name, level))
}

fn lines<S, K>(sink: K, log: &setup::Log, targets: Targets) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    K: Sink,
{
    LineLayer::new(sink, log.format.value).with_filter(targets)
}

/// The debug log of the existing connector: on the console, and on stderr where stdout is for JSON.
fn console<S>(style: Style) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let targets = ours(LevelFilter::DEBUG).with_target(ENTRIES, LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    if style.response {
        lines.with_writer(std::io::stderr).with_filter(targets).boxed()
    } else {
        lines.with_filter(targets).boxed()
    }
}
