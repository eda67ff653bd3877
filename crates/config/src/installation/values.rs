//! The values of `bwdc.toml` that are more than text. Each is also taken from a variable or an option.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bwdc_core::error::{self, Error};
use bwdc_schedule::times as expression;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `TIME LEVEL bwdc: MESSAGE name=value ...`
    #[default]
    Text,
    /// `{"time":...,"level":...,"message":...,...}`
    Json,
}

/// How important an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What failed.
    Error,
    /// And what asks for action.
    Warn,
    /// And what was done.
    #[default]
    Info,
    /// And each request and each entry that was left out.
    Debug,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("write `text` or `json`".to_owned()),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err("write `error`, `warn`, `info` or `debug`".to_owned()),
        }
    }
}

impl From<Level> for tracing::level_filters::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

/// A size in bytes: a number with `KB`, `MB` or `GB` behind it, such as `10MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[1-9][0-9]* *[KMG]B$"))]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];

impl Default for Size {
    fn default() -> Self {
        Self(10 << 20)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes)) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = UNITS.iter().find_map(|(unit, bytes)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*bytes).filter(|bytes| *bytes > 0)
        });
        size.map(Self).ok_or_else(|| "write a number with KB, MB or GB behind it, such as 10MB".to_owned())
    }
}

/// A time: a number with `h` (hours), `d` (days) or `w` (weeks) behind it, such as `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[1-9][0-9]*[hdw]$"))]
pub struct Age {
    hours: u32,
}

const HOURS: [(char, u32); 3] = [('w', 7 * 24), ('d', 24), ('h', 1)];

impl Age {
    /// Age as a length of time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.hours) * 3600)
    }
}

impl Default for Age {
    fn default() -> Self {
        Self { hours: 7 * 24 }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, hours) = if self.hours.is_multiple_of(24) { ('d', 24) } else { ('h', 1) };
        write!(f, "{}{unit}", self.hours / hours)
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hours = HOURS.iter().find_map(|(unit, hours)| {
            let number: u32 = text.strip_suffix(*unit)?.parse().ok()?;
            number.checked_mul(*hours).filter(|hours| *hours > 0)
        });
        hours
            .map(|hours| Self { hours })
            .ok_or_else(|| "write a number with h, d or w behind it, such as 12h or 30d".to_owned())
    }
}

/// How many files: from 0 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "i64", extend("minimum" = 0, "maximum" = 1000))]
pub struct Keep(pub usize);

/// How many at once: from 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "i64", extend("minimum" = 1, "maximum" = 1000))]
pub struct AtOnce(pub usize);

impl Default for Keep {
    fn default() -> Self {
        Self(8)
    }
}

impl Default for AtOnce {
    fn default() -> Self {
        Self(4)
    }
}

/// Whole numbers.
pub(super) mod numbers {
    /// A number of this range.
    pub(in crate::installation) fn within(
        number: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<usize, String> {
        let (first, last) = (*range.start(), *range.end());
        let number =
            Some(number).filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        number.ok_or_else(|| format!("write a number from {first} to {last}"))
    }
}

impl TryFrom<i64> for Keep {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        numbers::within(value, 0..=1000).map(Self)
    }
}

impl TryFrom<i64> for AtOnce {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        numbers::within(value, 1..=1000).map(Self)
    }
}

macro_rules! numbers {
    ($($name:ident)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                // What is no number at all is out of range, too.
                text.trim().parse().unwrap_or(i64::MIN).try_into()
            }
        }
    )+};
}

numbers! { Keep AtOnce }

/// A loopback address and a port, such as `127.0.0.1:9464`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Listen(pub SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
        address.map(Self).ok_or_else(|| {
            "write a loopback address and a port, such as 127.0.0.1:9464; what is served there needs no login".to_owned()
        })
    }
}

/// Where the page is served: an address and a port, such as `127.0.0.1:8444`, or the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum WebAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// Path of a socket.
    Socket(PathBuf),
}

impl Default for WebAddress {
    fn default() -> Self {
        Self::Tcp(SocketAddr::from(([127, 0, 0, 1], 8444)))
    }
}

impl FromStr for WebAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        if let Some(port) = port {
            return Ok(Self::Tcp(SocketAddr::from(([127, 0, 0, 1], port))));
        }
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) if text.contains('/') => Ok(Self::Socket(text.into())),
            Err(_) => {
                Err("write an address and a port, such as 127.0.0.1:8444, or the path of a socket".to_owned())
            }
        }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// Rights on the page, each with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebRole {
    /// See everything, make plans, explain, check.
    Look,
    /// And sync, carry out plans, approve, undo.
    Approve,
    /// And change settings and schedules.
    Change,
}

impl fmt::Display for WebRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "look",
            Self::Approve => "approve",
            Self::Change => "change",
        })
    }
}

impl FromStr for WebRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "look" => Ok(Self::Look),
            "approve" => Ok(Self::Approve),
            "change" => Ok(Self::Change),
            _ => Err("write `look`, `approve` or `change`".to_owned()),
        }
    }
}

macro_rules! of_strings {
    ($($name:ident)+) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse().map_err(|why| format!("`{text}` is not possible here: {why}"))
            }
        }
    )+};
}

of_strings! { Size Age Listen WebAddress }

/// When something is synced: one of these.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleEntry {
    /// Every so often: `every = "15m"`.
    Every(String),
    /// By a cron expression: `cron = "0 12 * * 1"`.
    Cron(String),
    /// Once a day: `at = "02:30"`.
    At(String),
    /// Once a week: `weekly = "mon@20:00"`.
    Weekly(String),
}

impl ScheduleEntry {
    /// Its key and its value in the file.
    pub fn written(&self) -> (&'static str, &str) {
        match self {
            Self::Every(text) => ("every", text),
            Self::Cron(text) => ("cron", text),
            Self::At(text) => ("at", text),
            Self::Weekly(text) => ("weekly", text),
        }
    }

    /// The times that it stands for.
    pub fn times(&self) -> error::Result<expression::Schedule> {
        let times = match self {
            Self::Every(text) => expression::Interval::parse(text).map(expression::Schedule::Every)?,
            Self::Cron(text) => expression::Schedule::cron(text)?,
            Self::At(text) => expression::Schedule::daily(text)?,
            Self::Weekly(text) => expression::Schedule::weekly(text)?,
        };
        if times == expression::Schedule::Boot {
            return Err(Error::new("@reboot does not recur").hint("Name times, or an interval."));
        }
        if let expression::Schedule::Cron(cron) = &times
            && !cron.ever_runs()
        {
            return Err(Error::new(format!("`{cron}` never runs: there is no such date"))
                .hint("Use a day that these months have."));
        }
        Ok(times)
    }
}
