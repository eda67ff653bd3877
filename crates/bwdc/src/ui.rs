//! The only place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::{BufWriter, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use bwdc_connect::directory::{Progress, ReadCounts};
use bwdc_connect::mask::masked;
use bwdc_core::note::{NoteGroup, Severity};
use bwdc_sync::Watch;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::log::journal::{Priority, with_priority};
use crate::log::{self, escaped_lines};
use crate::overview::Form;
use bwdc_config::installation::Format;
use bwdc_core::error::{Error, Exit, Result, shown};

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) pretty: bool,
    pub(crate) raw: bool,
    pub(crate) response: bool,
    pub(crate) clean_exit: bool,
    pub(crate) quiet: bool,
    pub(crate) no_color: bool,
    pub(crate) reader: Reader,
    pub(crate) stderr: StderrTarget,
}

/// Who reads what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reader {
    #[default]
    Person,
    /// A program that shows it to somebody: reports and errors are JSON lines on stdout, and progress is lines on stderr.
    Program,
}

/// Where stderr leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StderrTarget {
    #[default]
    Plain,
    /// To systemd's journal.
    Journal,
    /// To nobody: the event log of Windows has it instead.
    EventLog,
    /// To the file that is the log, whose lines have this form.
    Log(Format),
}

impl Style {
    /// Whether whoever reads stderr reads the log there.
    pub(crate) fn has_log(self) -> bool {
        self.stderr != StderrTarget::Plain
    }

    /// Whether everything that is printed stands in the log already, and would stand there twice.
    pub(crate) fn is_in_log(self) -> bool {
        matches!(self.stderr, StderrTarget::Log(_)) && !self.response
    }
}

/// A value as JSON; `what` names it in the error.
pub(crate) fn as_json(what: &str, value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::new(format!("Writing {what} as JSON: {error}")))
}

/// What a command has to say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// A title, and perhaps a sentence.
    Message { title: String, message: Option<String> },
    /// A piece of text, or the lack of it.
    Text(Option<String>),
    /// Data, printed as JSON.
    Object(Value),
    /// Something to read as text, and as JSON where that was asked for.
    Table { text: String, value: Value },
    /// The same where whoever wrote it has made it harmless; it may have colours.
    Written { text: String, value: Value },
    /// The same of several, of which some failed.
    Failures { text: String, message: String, value: Value },
    /// The command has printed for itself.
    Nothing,
}

impl Answer {
    pub(crate) fn message(title: impl Into<String>) -> Self {
        Self::Message { title: title.into(), message: None }
    }

    /// As it is printed without JSON.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Message { title, message: Some(message) } => format!("{title}\n{message}"),
            Self::Message { title, message: None } => title.clone(),
            Self::Text(text) => text.clone().unwrap_or_default(),
            Self::Object(value) => value.to_string(),
            Self::Table { text, .. } | Self::Written { text, .. } | Self::Failures { text, .. } => {
                text.clone()
            }
            Self::Nothing => String::new(),
        }
    }

    pub(crate) fn data(&self) -> Value {
        match self {
            Self::Message { title, message } => {
                json!({ "noColor": false, "object": "message", "title": title, "message": message })
            }
            Self::Text(text) => json!({ "object": "string", "data": text }),
            Self::Object(value)
            | Self::Table { value, .. }
            | Self::Written { value, .. }
            | Self::Failures { value, .. } => value.clone(),
            Self::Nothing => Value::Null,
        }
    }
}

/// Whether somebody reads stdout as it comes.
pub(crate) fn is_read(style: Style) -> bool {
    !style.quiet && !style.response && !style.raw && std::io::stdout().is_terminal()
}

/// Prints an answer on stdout.
///
/// # Errors
/// It could not be written: a full disk, for example.
pub(crate) fn answer(answer: &Answer, style: Style) -> Result<()> {
    match text_of(answer, style) {
        Some(text) => printed(&text),
        None => Ok(()),
    }
}

/// Prints a large object on stdout as it is made, which needs no memory for the text.
///
/// # Errors
/// It could not be written: a full disk, for example.
pub(crate) fn object(object: &impl Serialize, style: Style) -> Result<()> {
    #[derive(Serialize)]
    struct Success<T> {
        success: bool,
        data: T,
    }
    if style.quiet {
        return Ok(());
    }
    let written = match style.response {
        true => streamed(&Success { success: true, data: object }, style),
        false => streamed(object, style),
    };
    written.map_err(|error| not_written(&error))
}

fn streamed(object: &impl Serialize, style: Style) -> std::io::Result<()> {
    let mut stdout = BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    let written = match style.pretty {
        true => serde_json::to_writer_pretty(&mut stdout, object),
        false => serde_json::to_writer(&mut stdout, object),
    };
    written.map_err(std::io::Error::from).and_then(|()| ended(&mut stdout)).or_else(unless_closed)
}

fn ended(stdout: &mut impl Write) -> std::io::Result<()> {
    stdout.write_all(b"\n")?;
    stdout.flush()
}

fn printed(text: &str) -> Result<()> {
    out(text).map_err(|error| not_written(&error))
}

fn not_written(error: &std::io::Error) -> Error {
    Error::new(format!("Writing the answer to stdout: {error}"))
        .hint("The command itself is done. Make room, or let the output lead elsewhere.")
}

/// What is printed, if anything.
fn text_of(answer: &Answer, style: Style) -> Option<String> {
    if style.quiet || *answer == Answer::Nothing {
        return None;
    }
    if style.response {
        let whole = match answer {
            Answer::Failures { message, .. } => {
                json!({ "success": false, "message": message, "data": answer.data() })
            }
            _ => json!({ "success": true, "data": answer.data() }),
        };
        return Some(render(&whole, style));
    }
    match answer {
        Answer::Message { .. } if style.raw => None,
        Answer::Table { text, .. } if text.is_empty() => None,
        // Names of groups, of servers and of whoever else is told of stand in these.
        Answer::Message { title, message: Some(message) } => {
            Some(format!("{}\n{}", green(&escaped_lines(title), style), escaped_lines(message)))
        }
        Answer::Message { title, message: None } => Some(green(&escaped_lines(title), style)),
        Answer::Table { text, .. } | Answer::Failures { text, .. } => Some(escaped_lines(text)),
        // A value or a script, as it is.
        Answer::Text(Some(text)) | Answer::Written { text, .. } => Some(text.clone()),
        Answer::Object(value) => Some(render(value, style)),
        Answer::Text(None) | Answer::Nothing => None,
    }
}

/// Prints on stderr that an answer could not be written on stdout: nor could this be written there as JSON.
pub(crate) fn unwritten(failure: &Error, style: Style) -> Exit {
    error(failure, Style { response: false, ..style })
}

/// Prints an error on stderr, or as JSON on stdout where that was asked for. Returns how the program ends.
pub(crate) fn error(error: &Error, style: Style) -> Exit {
    if !style.quiet {
        if style.response || style.reader == Reader::Program {
            let mut whole = Map::from_iter([("success".to_owned(), false.into())]);
            whole.extend(error_fields(error));
            let _ = out(&render(&whole.into(), style));
        } else {
            print_on_stderr(&red(&escaped_lines(&error.to_string()), style), Priority::Error, style);
        }
    }
    if style.clean_exit { Exit::Success } else { error.exit }
}

/// `message`, and `hint` where there is a next step: what the existing connector answers with stays a sentence of its own, so that
/// it can be compared.
pub(crate) fn error_fields(error: &Error) -> Map<String, Value> {
    let message = ("message".to_owned(), error.message.as_str().into());
    let hint = error.next_step.as_deref().map(|next_step| ("hint".to_owned(), next_step.into()));
    std::iter::once(message).chain(hint).collect()
}

/// Prints a usage error, which never becomes JSON.
pub(crate) fn usage(text: &str) {
    err(text.trim_end());
}

/// Prints help or the version on stdout.
pub(crate) fn help(text: &str) -> Result<()> {
    printed(text.trim_end())
}

/// Whether somebody looks at stderr and wants to read there.
pub(crate) fn is_watched(style: Style) -> bool {
    !style.quiet && !style.response && std::io::stderr().is_terminal()
}

/// One warning on stderr.
pub(crate) fn warning(text: &str, style: Style) {
    if !style.quiet {
        print_on_stderr(&format!("Warning: {}", escaped_lines(text)), Priority::Warning, style);
    }
}

/// What went well on the way, on stderr.
pub(crate) fn progress(text: &str, style: Style) {
    if !style.quiet {
        print_on_stderr(&escaped_lines(text), Priority::Info, style);
    }
}

/// A line for the journal, with its priority before it.
pub(crate) fn journal(line: &str) {
    err(line);
}

/// What was wrong with an answer, on stderr.
pub(crate) fn hint(text: &str) {
    err(text);
}

/// Prints counted notes on stderr. The journal has the warnings among them from the log.
pub(crate) fn notes(groups: &[NoteGroup<'_>], style: Style) {
    if style.quiet {
        return;
    }
    for group in groups.iter().filter(|group| !style.has_log() || group.severity != Severity::Warning) {
        let (label, priority) = match group.severity {
            Severity::Warning => ("Warning", Priority::Warning),
            Severity::Info => ("Note", Priority::Info),
        };
        print_on_stderr(&format!("{label}: {}", shown(&masked(&group.sentence()))), priority, style);
    }
}

/// The same of one of several instances.
pub(crate) fn notes_of(name: &str, groups: &[NoteGroup<'_>], style: Style) {
    for group in groups {
        let reason = format!("{name}: {}", group.sentence());
        notes(&[NoteGroup { reason: &reason, entries: Vec::new(), ..group.clone() }], style);
    }
}

/// One of several errors, on stderr; where JSON was asked for it is in the answer, and the journal has it from the log.
pub(crate) fn error_of(name: &str, error: &Error, style: Style) {
    if !style.quiet && !style.response && !style.has_log() {
        err(&red(&escaped_lines(&format!("{name}: {error}")), style));
    }
}

/// Whoever looks at this terminal, for whom warnings, progress and counts are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watcher(pub(crate) Style);

impl Watch for Watcher {
    fn warning(&self, text: &str) {
        warning(text, self.0);
    }

    fn logged_warning(&self, text: &str) {
        if !self.0.has_log() {
            warning(text, self.0);
        }
    }

    fn progress(&self, text: &str) {
        progress(text, self.0);
    }

    fn reading(&self, progress: &Arc<Progress>) -> Box<dyn Send> {
        if self.0.quiet {
            return Box::new(());
        }
        if self.0.reader == Reader::Program {
            return Box::new(CountingLines::of(Arc::clone(progress), self.0));
        }
        if !std::io::stderr().is_terminal() {
            return Box::new(());
        }
        Box::new(CountingLine::of(Arc::clone(progress)))
    }
}

/// A line each second while a directory is read, for a program that shows it.
struct CountingLines(tokio::task::AbortHandle);

impl CountingLines {
    fn of(progress: Arc<Progress>, style: Style) -> Self {
        let count = async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            loop {
                seconds.tick().await;
                self::progress(&reading(progress.counts()), style);
            }
        };
        Self(tokio::spawn(count).abort_handle())
    }
}

impl Drop for CountingLines {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A line that counts while a directory is read, and goes with this value.
struct CountingLine(ProgressBar);

impl CountingLine {
    fn of(progress: Arc<Progress>) -> Self {
        let line = ProgressBar::new_spinner();
        if let Ok(template) = ProgressStyle::with_template("{spinner} {counts}") {
            let counts = move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
                let _ = text.write_str(&reading(progress.counts()));
            };
            line.set_style(template.with_key("counts", counts));
        }
        line.enable_steady_tick(Duration::from_millis(120));
        Self(line)
    }
}

impl Drop for CountingLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn reading(ReadCounts { users, groups, requests, expected }: ReadCounts) -> String {
    let read = format!("Reading the directory: {users} users, {groups} groups");
    match requests {
        0 => read,
        _ => format!("{read}, {requests} of about {expected} requests"),
    }
}

/// What somebody answers to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(String),
    /// Enter alone.
    Enter,
    /// Back to the question before.
    Back,
    /// There is nobody, or nobody any more.
    End,
}

/// Asks on stderr and reads one line from stdin.
pub(crate) fn question(question: &str, echo: Echo) -> std::io::Result<Reply> {
    Ok(match ask_line(question, echo)? {
        None => Reply::End,
        Some(line) if line.is_empty() => Reply::Enter,
        Some(line) if line == "<" => Reply::Back,
        Some(line) => Reply::Text(line),
    })
}

/// The same where there is no question before. `None` for an empty line and at the end.
pub(crate) fn ask(question: &str, echo: Echo) -> std::io::Result<Option<String>> {
    Ok(ask_line(question, echo)?.filter(|line| !line.is_empty()))
}

/// Asks for yes or no on stderr; enter means yes, the end of stdin no.
pub(crate) fn confirm(question: &str) -> std::io::Result<bool> {
    let answer = ask_line(&format!("{question} [Y/n]"), Echo::Shown)?;
    Ok(answer.is_some_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes")))
}

/// The same where no is the safe answer: only a yes is one.
pub(crate) fn confirm_no(question: &str) -> std::io::Result<bool> {
    let answer = ask_line(&format!("{question} [y/N]"), Echo::Shown)?;
    Ok(answer.is_some_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
}

/// Whether answers are typed at a terminal.
pub(crate) fn is_typed() -> bool {
    std::io::stdin().is_terminal()
}

fn ask_line(question: &str, echo: Echo) -> std::io::Result<Option<String>> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} ")?;
    stderr.flush()?;
    match echo {
        Echo::Hidden if std::io::stdin().is_terminal() => rpassword::read_password().map(Some),
        Echo::Shown | Echo::Hidden => read_line(),
    }
}

/// Whether what is typed can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Hidden,
}

fn read_line() -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A defect of ours, or of a library.
pub(crate) fn internal_error(panic: &std::panic::PanicHookInfo<'_>) {
    err(&format!(
        "bwdc met an error in itself: {panic}\nPlease report it. What was running was not completed."
    ));
}

/// A line of a longer story, such as the demo.
pub(crate) fn say(text: &str) {
    let _ = out(text);
}

/// A line of something that goes on for as long as somebody reads it.
pub(crate) fn stream(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// A line that stands out on a terminal.
pub(crate) fn heading(text: &str, style: Style) -> String {
    painted(text, [1, 22], &std::io::stdout(), style)
}

/// How an overview is written on stdout.
pub(crate) fn form(style: Style) -> Form {
    if style.reader == Reader::Program {
        return Form::Lines;
    }
    if has_colours(&std::io::stdout(), style) { Form::Coloured } else { Form::Plain }
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Good,
    Warn,
    Fail,
    Skip,
}

impl Mark {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warn => "warning",
            Self::Fail => "failed",
            Self::Skip => "skipped",
        }
    }
}

/// A mark of four letters, coloured on a terminal.
pub(crate) fn mark(mark: Mark, style: Style) -> String {
    let (word, colour) = match mark {
        Mark::Good => ("ok  ", 92),
        Mark::Warn => ("warn", 93),
        Mark::Fail => ("FAIL", 91),
        Mark::Skip => ("skip", 90),
    };
    painted(word, [colour, 39], &std::io::stdout(), style)
}

fn render(value: &Value, style: Style) -> String {
    let text = if style.pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.unwrap_or_default()
}

fn green(text: &str, style: Style) -> String {
    painted(text, [92, 39], &std::io::stdout(), style)
}

fn red(text: &str, style: Style) -> String {
    painted(text, [91, 39], &std::io::stderr(), style)
}

/// Between two SGR codes (ECMA-48), if it goes to a terminal and colour is wanted.
fn painted(text: &str, [on, off]: [u8; 2], target: &impl IsTerminal, style: Style) -> String {
    if has_colours(target, style) { format!("\x1b[{on}m{text}\x1b[{off}m") } else { text.to_owned() }
}

fn has_colours(target: &impl IsTerminal, style: Style) -> bool {
    !style.no_color && target.is_terminal()
}

fn out(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| ended(&mut stdout)).or_else(unless_closed)
}

/// A closed pipe ends the output, not the program.
fn unless_closed(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

fn print_on_stderr(text: &str, priority: Priority, style: Style) {
    match style.stderr {
        StderrTarget::Plain => err(text),
        StderrTarget::Journal => err(&with_priority(text, priority)),
        StderrTarget::EventLog => log::event_log::report(text, priority),
        StderrTarget::Log(format) => err(&log::line_of(text, priority, format)),
    }
}

/// In one piece: stderr has no buffer, and a daemon and what it starts write to the same one.
fn err(text: &str) {
    if log::event_log::has_stderr() {
        return log::event_log::report(text, Priority::Error);
    }
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    fn answers(text: &str) -> [Answer; 3] {
        let (text, message) = (text.to_owned(), text.to_owned());
        [
            Answer::Message { title: text.clone(), message: Some(message.clone()) },
            Answer::Table { text: text.clone(), value: Value::Null },
            Answer::Failures { text, message, value: Value::Null },
        ]
    }

    /// The name that a server gives itself, or a group has, reaches the terminal by `doctor`, `status` and `update`.
    #[test]
    fn names_in_answers_move_no_terminal() {
        let style = Style { no_color: true, ..Style::default() };
        for answer in answers("organization.x on Evil\u{1b}[2J\u{9b}1A\r accepts the API key\n\tnext") {
            let text = text_of(&answer, style).unwrap();
            assert!(text.contains("Evil\\u{1b}[2J\\u{9b}1A\\r accepts the API key\n\tnext"), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_answers_that_are_printed(text in damaged_text(["good  Server: a Bitwarden server\n      what to do\n", "2 x left out: a; b"])) {
            let style = Style { no_color: true, ..Style::default() };
            for text in answers(&text).iter().filter_map(|answer| text_of(answer, style)) {
                bwdc_testkit::plain(&text)?;
            }
        }
    }
}
