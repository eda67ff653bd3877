//! A CronJob of Kubernetes, with a Secret and a volume for its state ("CronJob", kubernetes.io).

use crate::job::{ScheduledJob, Starter, check};
use crate::schedulers::cron;
use crate::times::Schedule;
use crate::times::cron::{CronExpression, Days};
use bwdc_core::error::{Error, Result};

/// What a CronJob has besides its times.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image of the container.
    pub image: String,
    /// The zone of the times; the cluster's own, if it is not given.
    pub zone: Option<String>,
    /// Where a sync keeps what the next one needs.
    pub state: State,
}

/// Where a sync keeps what the next one needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In a volume.
    Volume,
    /// Nowhere; the settings are in a ConfigMap.
    Nowhere,
}

impl State {
    /// The object that has data.json.
    fn object(self, name: &str) -> String {
        match self {
            Self::Volume => format!(
                "# data.json and what a sync remembers.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {name}
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 100Mi
"
            ),
            Self::Nowhere => format!(
                "# The settings, made elsewhere by `bwdc init`, without secrets. Better than to fill them in here:
#   kubectl create configmap {name} --from-file=data.json
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  data.json: FILL-IN
"
            ),
        }
    }

    /// Further arguments of the sync.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Volume => &[],
            Self::Nowhere => &["--state", "none"],
        }
    }

    /// What a mount of the folder has besides its path.
    fn mount(self) -> &'static str {
        match self {
            Self::Volume => "",
            Self::Nowhere => "\n                  readOnly: true",
        }
    }

    /// Where the folder of the pod comes from.
    fn source(self, name: &str) -> String {
        match self {
            Self::Volume => {
                format!("persistentVolumeClaim:\n                claimName: {name}")
            }
            Self::Nowhere => format!("configMap:\n                name: {name}"),
        }
    }
}

/// The manifests, as YAML.
pub(crate) fn manifests(job: &ScheduledJob, options: &Options) -> Result<String> {
    check(&job.runs)?;
    let name = job.runs.name();
    // RFC 1123: the name of a CronJob leaves room for what its jobs are called.
    if name.len() > 52 {
        return Err(Error::new(format!(
            "The name `{name}` is longer than the 52 characters of a CronJob's."
        ))
        .hint("Use a folder with a shorter path."));
    }
    let zone = options.zone.as_ref().map(|zone| format!("  timeZone: {}\n", text(zone))).unwrap_or_default();
    let variables: String = job
        .runs
        .environment(Starter::Scheduler("kubernetes"))
        .chain([("CREDENTIALS_DIRECTORY", "/run/secrets/bwdc")])
        .map(|(name, value)| {
            format!("                - name: {}\n                  value: {}\n", text(name), text(value))
        })
        .collect();
    Ok(format!(
        "# {marker}
# The secrets, by the names in docs/secrets.md. Better than to fill them in here:
#   kubectl create secret generic {name} --from-file=login.clientId --from-file=login.clientSecret
apiVersion: v1
kind: Secret
metadata:
  name: {name}
type: Opaque
stringData:
  login.clientId: organization.FILL-IN
  login.clientSecret: FILL-IN
---
{object}---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: {time}
{zone}  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 300
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: 3600
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            fsGroup: 65532
            # Else each mount would open the files to the group.
            fsGroupChangePolicy: OnRootMismatch
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: bwdc
              image: {image}
              command: [{program}]
              args: [{sync}]
              env:
{variables}              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              resources:
                requests:
                  cpu: 50m
                  memory: 64Mi
                limits:
                  memory: 512Mi
              volumeMounts:
                - name: state
                  mountPath: {folder}{mount}
                - name: secrets
                  mountPath: /run/secrets/bwdc
                  readOnly: true
          volumes:
            - name: state
              {source}
            - name: secrets
              secret:
                secretName: {name}
                defaultMode: 288
",
        marker = job.marker().text(),
        time = text(&time(&job.schedule)?),
        image = text(&options.image),
        program = text(&job.runs.program),
        sync = [job.runs.syncs.words(), options.state.arguments()].concat().join(", "),
        object = options.state.object(&name),
        mount = options.state.mount(),
        source = options.state.source(&name),
        folder = text(&job.runs.folder),
    ))
}

/// A text in YAML, which takes every JSON string.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The fields for Kubernetes, in numbers: its parser (robfig/cron) has no 7 for Sunday, and counts `*/2` as a day field that is given.
fn time(schedule: &Schedule) -> Result<String> {
    let fields = match schedule {
        Schedule::Boot => {
            return Err(Error::new("A CronJob has no start of a machine to run at.")
                .hint("Give times or an interval."));
        }
        other => cron::time(other)?,
    };
    match Schedule::cron(&fields)? {
        Schedule::Cron(cron) => numbers(&cron),
        _ => Ok(fields),
    }
}

fn numbers(cron: &CronExpression) -> Result<String> {
    let (minute, hour, month) = (cron.minute.numbers("-"), cron.hour.numbers("-"), cron.month.numbers("-"));
    let (of_month, of_week) = (cron.day_of_month.numbers("-"), cron.day_of_week.numbers("-"));
    let (of_month, of_week) = match cron.days() {
        Days::Every => ("*".to_owned(), "*".to_owned()),
        Days::OfMonth => (of_month, "*".to_owned()),
        Days::OfWeek => ("*".to_owned(), of_week),
        Days::Either => (of_month, of_week),
        Days::Both => {
            return Err(Error::new(format!(
                "`{cron}` means the days that match both day fields; Kubernetes runs on those that match either."
            ))
            .hint("Give only one of the day fields."));
        }
    };
    Ok(format!("{minute} {hour} {of_month} {month} {of_week}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_its_parser_reads_alike() {
        for (expression, expected) in [
            ("0 12 * jan-mar 7", "0 12 * 1-3 0"),
            ("*/20 * * * *", "0,20,40 * * * *"),
            ("0 0 */2 * *", "0 0 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * *"),
            ("0 0 1 * mon", "0 0 1 * 1"),
            ("0 0 1-31 * 5", "0 0 * * *"),
            ("1h", "0 * * * *"),
        ] {
            assert_eq!(time(&Schedule::parse(expression).unwrap()).unwrap(), expected, "{expression}");
        }
        for refused in ["@reboot", "0 0 */2 * 1", "7m"] {
            assert!(time(&Schedule::parse(refused).unwrap()).is_err(), "{refused}");
        }
    }
}
