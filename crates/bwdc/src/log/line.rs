//! One event, one line.

use std::fmt::{self, Write as _};

use bwdc_connect::mask::masked;
use bwdc_core::text::{self, cut, is_harmful};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use bwdc_config::installation::Format;

/// Where lines go.
pub(super) trait Sink: Send + Sync + 'static {
    /// `line` ends with a line end and has no other.
    fn write(&self, record: &LogRecord, format: Format);
}

/// What is logged of one event.
pub(super) struct LogRecord {
    pub(super) time: Timestamp,
    pub(super) level: Level,
    message: String,
    /// Those of the run come first.
    fields: Fields,
}

impl LogRecord {
    /// What happened, without the fields.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

/// Names and values in their order.
#[derive(Clone, Default)]
struct Fields(Map<String, Value>);

/// Makes lines of events, with the fields of the run that they belong to.
pub(super) struct LineLayer<K> {
    sink: K,
    format: Format,
}

impl<K> LineLayer<K> {
    pub(super) fn new(sink: K, format: Format) -> Self {
        Self { sink, format }
    }
}

impl<S, K> Layer<S> for LineLayer<K>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    K: Sink,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        event.record(&mut fields);
        let message = match fields.0.shift_remove("message") {
            Some(Value::String(message)) => message,
            _ => String::new(),
        };
        let record = LogRecord { time: Timestamp::now(), level: *event.metadata().level(), message, fields };
        self.sink.write(&record, self.format);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, kept(&format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, kept(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }
}

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl LogRecord {
    /// Something said now that belongs to no run.
    pub(super) fn of(level: Level, message: &str) -> Self {
        Self { time: Timestamp::now(), level, message: kept(message), fields: Fields::default() }
    }

    /// With the time, ending with a line end.
    pub(super) fn line(&self, format: Format) -> String {
        match format {
            Format::Text => format!("{} {:<5} {}\n", self.time(), self.level, self.text()),
            Format::Json => format!("{}\n", self.json()),
        }
    }

    /// `bwdc: MESSAGE name=value ...`
    pub(super) fn text(&self) -> String {
        let mut text = format!("bwdc: {}", escaped(&self.message));
        for (name, value) in &self.fields.0 {
            let _ = write!(text, " {name}={}", shown(value));
        }
        text
    }

    fn json(&self) -> Value {
        let head =
            [("time", self.time()), ("level", self.level.to_string()), ("message", self.message.clone())];
        let mut map: Map<String, Value> =
            head.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        map.extend(self.fields.0.clone());
        Value::Object(map)
    }

    /// In UTC with milliseconds, always as long, so that lines can be sorted and a file's age can be read.
    fn time(&self) -> String {
        bwdc_store::iso(self.time)
    }
}

/// More of one text makes a log unreadable. What we write ourselves is shorter.
const LONGEST: usize = 4_000;

/// What a line has of a text, in either form: without what a server repeats of our secrets, and of bearable length.
fn kept(text: &str) -> String {
    cut(masked(text).into_owned(), LONGEST)
}

/// In quotes unless it is one plain word, so that a line can be taken apart again.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text,
        other => return other.to_string(),
    };
    let is_plain = |c: char| !c.is_whitespace() && !is_harmful(c) && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.clone();
    }
    format!("\"{}\"", escaped(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Without anything that ends a line or moves a cursor, and without what a server repeats of our secrets.
pub(crate) fn escaped(text: &str) -> String {
    text::escaped(&masked(text))
}

/// The same of a text with lines of its own.
pub(crate) fn escaped_lines(text: &str) -> String {
    text::escaped_lines(&masked(text))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record(fields: Value) -> LogRecord {
        let Value::Object(fields) = fields else { panic!("no object") };
        LogRecord {
            time: "2026-03-04T05:06:07.089Z".parse().unwrap(),
            level: Level::INFO,
            message: "sync ok".to_owned(),
            fields: Fields(fields),
        }
    }

    #[test]
    fn a_line_of_text_has_plain_words_and_quoted_texts() {
        let record = record(
            json!({ "instance": "hq", "users": 5, "duration": 1.25, "error": "a \"b\"\nc\u{1b}[2J \\", "empty": "" }),
        );
        assert_eq!(
            record.line(Format::Text),
            "2026-03-04T05:06:07.089Z INFO  bwdc: sync ok instance=hq users=5 duration=1.25 \
             error=\"a \\\"b\\\"\\nc\\u{1b}[2J \\\\\" empty=\"\"\n"
        );
    }

    #[test]
    fn one_word_turns_no_direction_of_writing() {
        let line = record(json!({ "group": "a\u{202e}b" })).line(Format::Text);
        assert!(line.ends_with("group=\"a\\u{202e}b\"\n"), "{line:?}");
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let line = record(json!({ "instance": "hq", "users": 5, "note": "a\nb" })).line(Format::Json);
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            json!({ "time": "2026-03-04T05:06:07.089Z", "level": "INFO", "message": "sync ok", "instance": "hq", "users": 5, "note": "a\nb" })
        );
        assert!(line.starts_with("{\"time\":\"2026-03-04T05:06:07.089Z\""));
    }

    proptest! {
        #![proptest_config(few())]

        /// One event is one line, whatever stands in it.
        #[test]
        fn fuzz_events(text in damaged_text(["no such user", "a \"b\"\nc\u{1b}[2J \\", "2026-01-01T00:00:00.000Z INFO  bwdc: sync ok"])) {
            let record = LogRecord { message: text.clone(), ..record(json!({ "instance": "hq", "error": text })) };
            let line = record.line(Format::Text);
            let body = line.strip_suffix('\n').unwrap();
            prop_assert_eq!(escaped(body), body);
            let line = record.line(Format::Json);
            prop_assert_eq!(line.matches(['\n', '\r']).count(), 1);
            let value: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!((value["message"].as_str(), value["error"].as_str()), (Some(text.as_str()), Some(text.as_str())));
        }
    }
}
