//! Metrics: one list of names for the daemon's `/metrics` and for the text file of a run, and how they are written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::alert::Credential;
use crate::organization::changes::Summary;
use crate::organization::limits::LimitState;

/// A metric with its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name. That of a counter is without `_total`.
    pub name: &'static str,
    /// Meaning.
    pub help: &'static str,
    /// Kind.
    pub kind: MetricKind,
    /// Samples.
    pub samples: Vec<Sample>,
}

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It only goes up.
    Counter,
}

/// Value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: f64,
}

/// Form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Text format of Prometheus, which node_exporter reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Metric {
    /// A gauge without samples.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricKind::Gauge, samples: Vec::new() }
    }

    /// A counter without samples.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { kind: MetricKind::Counter, ..Self::gauge(name, help) }
    }

    /// Adds a sample.
    pub fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.samples.push(Sample { labels, value });
    }
}

/// Text of metrics. Those without samples are left out.
pub fn text(metrics: &[Metric], dialect: Dialect) -> String {
    let mut text = String::new();
    for metric in metrics.iter().filter(|metric| !metric.samples.is_empty()) {
        let (kind, suffix) = match metric.kind {
            MetricKind::Gauge => ("gauge", ""),
            MetricKind::Counter => ("counter", "_total"),
        };
        // OpenMetrics describes the family, Prometheus the sample.
        let described = match dialect {
            Dialect::OpenMetrics => metric.name.to_owned(),
            Dialect::Prometheus => format!("{}{suffix}", metric.name),
        };
        let _ = writeln!(text, "# HELP {described} {}.", metric.help);
        let _ = writeln!(text, "# TYPE {described} {kind}");
        for Sample { labels, value } in &metric.samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let value = match metric.kind {
                MetricKind::Counter => format!("{value}"),
                MetricKind::Gauge => format!("{value:?}"),
            };
            let _ = writeln!(text, "{}{suffix}{labels} {value}", metric.name);
        }
    }
    if dialect == Dialect::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Figures of a run, besides its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Figures {
    /// Changes that were made, by action.
    pub changes: BTreeMap<String, usize>,
    /// Changes that were held back.
    pub held: usize,
    /// Limits, each with what it allows and what there would be.
    pub limits: BTreeMap<String, LimitFigure>,
}

/// A limit in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitFigure {
    /// Number allowed. None: any number.
    pub allowed: Option<usize>,
    /// Number there would be.
    pub wanted: usize,
}

impl Figures {
    /// Figures of what a run made, and of the limits that it kept to.
    pub fn of(made: &Summary, limits: &[LimitState]) -> Self {
        let changes = [
            ("invite", made.invite),
            ("stage", made.stage),
            ("adopt", made.adopt),
            ("relink", made.relink),
            ("restore", made.restore),
            ("revoke", made.revoke),
            ("remove", made.remove),
            ("groupCreate", made.groups_created),
            ("groupRename", made.groups_renamed),
            ("groupUpdate", made.groups_updated),
            ("groupEmpty", made.groups_emptied),
            ("groupDelete", made.groups_deleted),
            ("join", made.join),
            ("leave", made.leave),
        ];
        let figure = |state: &LimitState| {
            let name = serde_json::to_value(state.limit).ok()?.as_str()?.to_owned();
            Some((name, LimitFigure { allowed: state.allowed, wanted: state.wanted }))
        };
        Self {
            changes: changes.into_iter().map(|(action, count)| (action.to_owned(), count)).collect(),
            held: made.held,
            limits: limits.iter().filter_map(figure).collect(),
        }
    }
}

/// Requests to one peer with one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    /// Host.
    pub peer: String,
    /// Status code; none where no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Number of requests.
    pub count: usize,
}

/// What a run saw of the other sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Observed {
    /// Requests that it made.
    pub requests: Vec<RequestCount>,
    /// Certificates and secrets whose end is known.
    pub credentials: Vec<Credential>,
}

/// What is told of the last run of an instance. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastRun {
    /// Last success.
    pub success: Option<f64>,
    /// Beginning of the last run.
    pub at: Option<f64>,
    /// Duration of the last run in seconds.
    pub seconds: Option<f64>,
    /// Exit code of the last run.
    pub exit: Option<u8>,
    /// People and groups that the last run sent, if it succeeded.
    pub objects: Option<(usize, usize)>,
    /// Figures of the last run.
    pub figures: Option<Figures>,
    /// What it saw of the other sides.
    pub observed: Observed,
}

/// Metrics about the last run of each instance.
pub fn of_last_runs<'a>(version: &str, runs: impl Iterator<Item = (&'a str, &'a LastRun)>) -> Vec<Metric> {
    let mut build = Metric::gauge("bwdc_build_info", "Version of the program");
    build.add(&[("version", version)], 1.0);
    let mut success =
        Metric::gauge("bwdc_sync_last_success_timestamp_seconds", "When a sync last ended well");
    let mut at = Metric::gauge("bwdc_sync_last_run_timestamp_seconds", "When the last sync began");
    let mut seconds = Metric::gauge("bwdc_sync_last_duration_seconds", "How long the last sync took");
    let mut exit = Metric::gauge("bwdc_sync_last_exit_code", "How the last sync ended: 0 is well");
    let mut objects = Metric::gauge("bwdc_sync_objects", "People and groups that the last sync sent");
    let mut changes = Metric::gauge("bwdc_sync_changes", "Changes that the last sync made");
    let mut held = Metric::gauge("bwdc_sync_held", "Changes that the last sync held back");
    let mut allowed = Metric::gauge("bwdc_sync_limit_allowed", "What a limit allows");
    let mut wanted = Metric::gauge("bwdc_sync_limit_wanted", "What counted towards a limit");
    let mut ends =
        Metric::gauge("bwdc_credential_expiry_timestamp_seconds", "When a certificate or credential ends");
    let mut requests = Metric::gauge("bwdc_sync_requests", "HTTP requests that the last sync made");
    for (instance, run) in runs {
        let of = [("instance", instance)];
        run.success.into_iter().for_each(|value| success.add(&of, value));
        run.at.into_iter().for_each(|value| at.add(&of, value));
        run.seconds.into_iter().for_each(|value| seconds.add(&of, value));
        run.exit.into_iter().for_each(|value| exit.add(&of, f64::from(value)));
        if let Some((people, groups)) = run.objects {
            objects.add(&[("instance", instance), ("kind", "user")], number(people));
            objects.add(&[("instance", instance), ("kind", "group")], number(groups));
        }
        if let Some(figures) = &run.figures {
            for (action, count) in &figures.changes {
                changes.add(&[("instance", instance), ("action", action)], number(*count));
            }
            held.add(&of, number(figures.held));
            for (limit, figure) in &figures.limits {
                let of = [("instance", instance), ("limit", limit)];
                figure.allowed.into_iter().for_each(|value| allowed.add(&of, number(value)));
                wanted.add(&of, number(figure.wanted));
            }
        }
        for RequestCount { peer, code, count } in &run.observed.requests {
            let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
            requests.add(&[("instance", instance), ("peer", peer), ("code", &code)], number(*count));
        }
        for Credential { name, ends: end } in &run.observed.credentials {
            ends.add(&[("instance", instance), ("credential", name)], number_of_seconds(end.0.0));
        }
    }
    vec![build, success, at, seconds, exit, objects, changes, held, allowed, wanted, requests, ends]
}

fn number(count: usize) -> f64 {
    count as f64
}

fn number_of_seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_in_both_forms() {
        let mut runs = Metric::counter("bwdc_sync_runs", "Syncs");
        runs.add(&[("instance", "a\"b\\c\nd")], 3.0);
        let empty = Metric::gauge("bwdc_nothing", "Nothing");
        let metrics = [runs, empty];
        let sample = "bwdc_sync_runs_total{instance=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(
            text(&metrics, Dialect::OpenMetrics),
            format!("# HELP bwdc_sync_runs Syncs.\n# TYPE bwdc_sync_runs counter\n{sample}# EOF\n")
        );
        assert_eq!(
            text(&metrics, Dialect::Prometheus),
            format!("# HELP bwdc_sync_runs_total Syncs.\n# TYPE bwdc_sync_runs_total counter\n{sample}")
        );
    }

    #[test]
    fn what_is_not_known_has_no_sample() {
        let run = LastRun { exit: Some(5), ..LastRun::default() };
        let text = text(&of_last_runs("1", [("hq", &run)].into_iter()), Dialect::Prometheus);
        assert!(text.contains("bwdc_sync_last_exit_code{instance=\"hq\"} 5.0\n"), "{text}");
        assert!(text.contains("bwdc_build_info{version=\"1\"} 1.0\n") && !text.contains("success"), "{text}");
    }
}
