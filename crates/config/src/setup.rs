//! What applies to the whole process: `bwdc.toml`, variables over it, options over these.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::env::{self, Environment};
use super::installation::{self, Age, AtOnce, Format, Installation, Keep, Level, Listen, Size};
use bwdc_core::error::{Error, Result};
use bwdc_store::privileges::{self, ReferredFile};

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub struct GlobalOptions {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--log-file`
    pub log_file: Option<PathBuf>,
    /// `--log-format`
    pub log_format: Option<String>,
}

/// Everything that is not one instance's.
#[derive(Debug)]
pub struct Setup {
    /// `bwdc.toml`, if there is one.
    pub installation: Option<Installation>,
    /// Log of the process.
    pub log: Log,
    /// How many are synced at once.
    pub at_once: Effective<AtOnce>,
    /// Address of the daemon's metrics.
    pub listen: Option<Effective<Listen>>,
}

/// Where is logged, what, and for how long.
#[derive(Clone, Debug)]
pub struct Log {
    /// Absolute. Nothing is logged to a file without it.
    pub file: Option<Effective<PathBuf>>,
    /// Form of a line.
    pub format: Effective<Format>,
    /// Least important events.
    pub level: Effective<Level>,
    /// Size at which another file is begun.
    pub max_size: Effective<Size>,
    /// Age, likewise.
    pub max_age: Effective<Age>,
    /// How many older files are kept.
    pub keep: Effective<Keep>,
}

/// A value, and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective<T> {
    /// The value itself.
    pub value: T,
    /// Place where it was.
    pub origin: ValueOrigin,
}

/// Place where a value was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// Option of the command line.
    Option(&'static str),
    /// Variable of the environment.
    Variable(&'static str),
    /// `bwdc.toml`.
    BwdcToml,
    /// Nowhere.
    Default,
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) => write!(f, "the option {name}"),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::BwdcToml => f.write_str(installation::FILE),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Setup {
    /// `folder` is the one of `data.json`, beside which `bwdc.toml` is looked for.
    pub fn of(options: &GlobalOptions, environment: &Environment, folder: &Path) -> Result<Self> {
        let installation = installation::find(options.config.as_deref(), environment, folder)?;
        let written = installation.as_ref();
        let log = Log::of(options, environment, written)?;
        let at_once = written.and_then(|installation| installation.limits.at_once);
        let at_once = chosen(environment, env::LIMITS_AT_ONCE, at_once)?;
        let listen = given(
            environment,
            env::DAEMON_LISTEN,
            written.and_then(|installation| installation.daemon.listen),
        )?;
        Ok(Self { installation, log, at_once, listen })
    }

    /// Refuses root a log where somebody else could have written its name into `bwdc.toml`.
    pub fn check_log(&self) -> Result<()> {
        let is_written = self.log.file.as_ref().is_some_and(|file| file.origin == ValueOrigin::BwdcToml);
        match &self.installation {
            Some(found) if is_written => privileges::check_named(ReferredFile::Log, &found.path, None),
            _ => Ok(()),
        }
    }

    /// Each value by its key in `bwdc.toml`, as text, with where it came from. Empty if nothing was configured at all.
    pub fn listing(&self) -> Vec<(String, Option<(String, ValueOrigin)>)> {
        fn shown<T: fmt::Display>(chosen: &Effective<T>) -> Option<(String, ValueOrigin)> {
            Some((chosen.value.to_string(), chosen.origin))
        }
        let Log { file, format, level, max_size, max_age, keep } = &self.log;
        let rows = vec![
            ("log.file", file.as_ref().map(|file| (file.value.display().to_string(), file.origin))),
            ("log.format", shown(format)),
            ("log.level", shown(level)),
            ("log.max_size", shown(max_size)),
            ("log.max_age", shown(max_age)),
            ("log.keep", shown(keep)),
            ("limits.at_once", shown(&self.at_once)),
            ("daemon.listen", self.listen.map(|listen| (listen.value.0.to_string(), listen.origin))),
        ];
        let is_default = |(_, row): &(_, Option<(String, ValueOrigin)>)| {
            row.as_ref().is_none_or(|(_, origin)| *origin == ValueOrigin::Default)
        };
        if self.installation.is_none() && rows.iter().all(is_default) {
            return Vec::new();
        }
        let named = self.installation.iter().flat_map(Installation::listing);
        let named = named.map(|(name, value)| (name, Some((value, ValueOrigin::BwdcToml))));
        rows.into_iter().map(|(name, row)| (name.to_owned(), row)).chain(named).collect()
    }
}

impl Log {
    /// The form of the lines, if the file that an option or a variable names is where stderr leads. What bwdc.toml says does not
    /// count: what is wrong with that has to be told as well.
    pub fn is_on_stderr(
        environment: &Environment,
        options: &GlobalOptions,
        is_stderr: impl Fn(&Path) -> bool,
    ) -> Option<Format> {
        let file = options.log_file.clone().or_else(|| environment.path(env::LOG_FILE))?;
        let format = options.log_format.clone().or_else(|| environment.text(env::LOG_FORMAT));
        let format = format.and_then(|text| text.parse().ok()).unwrap_or_default();
        is_stderr(&file).then_some(format)
    }

    fn of(
        options: &GlobalOptions,
        environment: &Environment,
        written: Option<&Installation>,
    ) -> Result<Self> {
        let log = written.map(|installation| &installation.log);
        let format = match &options.log_format {
            Some(text) => Some(Effective {
                value: parsed(text, "--log-format")?,
                origin: ValueOrigin::Option("--log-format"),
            }),
            None => None,
        };
        Ok(Self {
            file: log_file(options, environment, written)?,
            format: match format {
                Some(format) => format,
                None => chosen(environment, env::LOG_FORMAT, log.and_then(|log| log.format))?,
            },
            level: chosen(environment, env::LOG_LEVEL, log.and_then(|log| log.level))?,
            max_size: chosen(environment, env::LOG_MAX_SIZE, log.and_then(|log| log.max_size))?,
            max_age: chosen(environment, env::LOG_MAX_AGE, log.and_then(|log| log.max_age))?,
            keep: chosen(environment, env::LOG_KEEP, log.and_then(|log| log.keep))?,
        })
    }

    /// As another process handed it down by [`Self::variables`].
    pub fn of_variables(environment: &Environment) -> Result<Self> {
        Self::of(&GlobalOptions::default(), environment, None)
    }

    /// By which a process started by this one logs like this one.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let Self { file, format, level, max_size, max_age, keep } = self;
        let file = file.as_ref().map(|file| (env::LOG_FILE, file.value.clone().into()));
        let others = [
            (env::LOG_FORMAT, format.value.to_string().into()),
            (env::LOG_LEVEL, level.value.to_string().into()),
            (env::LOG_MAX_SIZE, max_size.value.to_string().into()),
            (env::LOG_MAX_AGE, max_age.value.to_string().into()),
            (env::LOG_KEEP, keep.value.to_string().into()),
        ];
        file.into_iter().chain(others).collect()
    }
}

fn log_file(
    options: &GlobalOptions,
    environment: &Environment,
    written: Option<&Installation>,
) -> Result<Option<Effective<PathBuf>>> {
    let option = options.log_file.clone().map(|path| (path, ValueOrigin::Option("--log-file")));
    let variable =
        || environment.path(env::LOG_FILE).map(|path| (path, ValueOrigin::Variable(env::LOG_FILE)));
    let in_file = || Some((written?.log_file()?, ValueOrigin::BwdcToml));
    let Some((path, origin)) = option.or_else(variable).or_else(in_file) else { return Ok(None) };
    let value = std::path::absolute(&path)
        .map_err(|error| Error::new(format!("Finding the log file {}: {error}", path.display())))?;
    Ok(Some(Effective { value, origin }))
}

fn chosen<T: FromStr<Err = String> + Default>(
    environment: &Environment,
    variable: &'static str,
    written: Option<T>,
) -> Result<Effective<T>> {
    let given = given(environment, variable, written)?;
    Ok(given.unwrap_or_else(|| Effective { value: T::default(), origin: ValueOrigin::Default }))
}

fn given<T: FromStr<Err = String>>(
    environment: &Environment,
    variable: &'static str,
    written: Option<T>,
) -> Result<Option<Effective<T>>> {
    match environment.text(variable) {
        Some(text) => {
            let value = parsed(&text, &format!("the variable {variable}"))?;
            Ok(Some(Effective { value, origin: ValueOrigin::Variable(variable) }))
        }
        None => Ok(written.map(|value| Effective { value, origin: ValueOrigin::BwdcToml })),
    }
}

fn parsed<T: FromStr<Err = String>>(text: &str, place: &str) -> Result<T> {
    text.parse().map_err(|why| Error::new(format!("`{text}` in {place} is not possible: {why}.")))
}
