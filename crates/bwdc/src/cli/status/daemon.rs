//! What a daemon says of itself.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{length, shown};
use crate::ui;
use bwdc_core::error::Result;
use bwdc_daemon::status::{DaemonStatus, InstanceStatus};

/// As the daemon tells it, with the names of the instances in them, too.
pub(in crate::cli) fn response(status: &DaemonStatus) -> Result<Value> {
    let mut value = json(status)?;
    if let Some(instances) = value.get_mut("instances").and_then(Value::as_object_mut) {
        name(instances);
    }
    Ok(value)
}

/// In the form that is the same without a daemon.
pub(super) fn listing(status: &DaemonStatus) -> Result<Value> {
    let mut value = response(status)?;
    let instances = value.get_mut("instances").and_then(Value::as_object_mut).map(std::mem::take);
    let list: Vec<Value> = instances.into_iter().flatten().map(|(_, instance)| instance).collect();
    let DaemonStatus { version, pid, started, .. } = status;
    let daemon = json!({ "version": version, "pid": pid, "started": started });
    Ok(json!({ "object": "status", "daemon": daemon, "instances": list }))
}

fn name(instances: &mut Map<String, Value>) {
    for (name, instance) in instances {
        instance["name"] = name.as_str().into();
    }
}

fn json(status: &DaemonStatus) -> Result<Value> {
    ui::as_json("the status", status)
}

pub(in crate::cli) fn described(status: &DaemonStatus, now: Timestamp) -> String {
    let mut text = format!(
        "bwdc {} (process {}), running for {}\n",
        status.version,
        status.pid,
        length(now.duration_since(status.started))
    );
    for (name, instance) in &status.instances {
        let _ = write!(text, "\n{name}\n  {}\n  {}\n", doing(instance, now), last(instance, now));
        if let Some(trouble) = instance.trouble(now) {
            let _ = writeln!(text, "  {trouble}");
        }
    }
    text.trim_end().to_owned()
}

fn doing(instance: &InstanceStatus, now: Timestamp) -> String {
    match (instance.running_since, instance.next_run) {
        (Some(since), _) => format!("running for {}", length(now.duration_since(since))),
        (None, Some(next)) => {
            format!("next run in {}, at {}", length(next.duration_since(now)), shown(next))
        }
        (None, None) => "will not run again".to_owned(),
    }
}

fn last(instance: &InstanceStatus, now: Timestamp) -> String {
    match (&instance.last, instance.last_success) {
        (Some(last), _) => format!(
            "last run {} ago, {:.1} s, exit {}: {}",
            length(now.duration_since(last.at)),
            last.seconds,
            last.exit,
            last.message.replace('\n', "\n    ")
        ),
        (None, Some(success)) => format!("last good run at {}, before this daemon", shown(success)),
        (None, None) => "never ran".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_status_of_a_daemon(text in damaged([
            r#"{"version":"1.0.0","pid":7,"started":"2026-01-01T00:00:00Z","instances":{"hq":{"runningSince":null,"nextRun":"2026-01-01T00:00:00Z","last":{"at":"2026-01-01T00:00:00Z","seconds":1.5,"exit":1,"message":"No.\\nAt all."},"runs":2,"failed":1,"failuresInARow":1,"lastSuccess":"-009999-01-02T01:59:59Z"}}}"#,
            r#"{"version":"1","pid":1,"started":"9999-12-30T22:00:00Z","instances":{"a":{"runs":18446744073709551615,"failed":0,"failuresInARow":4294967295,"runningSince":"9999-12-30T22:00:00Z"}}}"#,
        ])) {
            let Ok(status) = serde_json::from_slice::<DaemonStatus>(&text) else { return Ok(()) };
            for now in [Timestamp::MIN, Timestamp::now(), Timestamp::MAX] {
                prop_assert!(described(&status, now).len() <= 40 * text.len() + 1_000);
            }
            let _ = (response(&status), listing(&status));
        }
    }
}
