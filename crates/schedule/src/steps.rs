//! What is going to be done to the machine: shown by `--dry-run`, or done.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::account;
use crate::commands::{ask, run};
#[cfg(unix)]
use crate::folders;
use crate::services::ServiceChange;
use crate::shell::{command_line as windows_command_line, quoted};
use bwdc_core::error::{Error, Result};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MachineChange {
    /// Makes or replaces a file, readable by all: no secret is in it.
    Write { path: PathBuf, text: String },
    /// The same, in the UTF-16 of Windows' own tools.
    WriteUtf16 { path: PathBuf, text: String },
    /// Makes a folder for a user, who alone may look into it.
    MakeFolder { path: PathBuf, user: String },
    /// Gives a folder, and what in it is root's, to a user.
    Own { path: PathBuf, user: String },
    /// Gives one file of root's to a user.
    OwnFile { path: PathBuf, user: String },
    /// Replaces a file that is somebody else's: owner and mode stay.
    Replace { path: PathBuf, text: String },
    /// Takes a file away.
    Remove { path: PathBuf },
    /// Puts a line at the end of a file that is somebody else's.
    Append { path: PathBuf, line: String },
    /// Takes that line out again.
    TakeOut { path: PathBuf, line: String },
    /// Runs a command, with a text on its stdin if there is one.
    Run { command: Vec<String>, input: Option<String> },
    /// Runs a command that asks something on the terminal.
    Ask { command: Vec<String> },
    /// Runs a command; that it fails says only that there was nothing to do.
    Try { command: Vec<String> },
    /// Changes the service of Windows.
    Service(ServiceChange),
}

impl MachineChange {
    pub(crate) fn run(command: &[&str]) -> Self {
        Self::Run { command: owned(command), input: None }
    }

    pub(crate) fn attempt(command: &[&str]) -> Self {
        Self::Try { command: owned(command) }
    }
}

/// Words of a command.
pub(crate) fn owned(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

/// Changes to the machine, in order.
#[derive(Clone, Debug, Default)]
pub struct Steps(pub(crate) Vec<MachineChange>);

impl Steps {
    /// Those of several, or the first error.
    pub(crate) fn all(several: impl Iterator<Item = Result<Self>>) -> Result<Self> {
        let steps = several.collect::<Result<Vec<_>>>()?;
        Ok(Self(steps.into_iter().flat_map(|steps| steps.0).collect()))
    }

    /// Adds others behind them.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A file, unless it is as it should be.
    pub(crate) fn write(&mut self, path: PathBuf, text: String) {
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            self.0.push(MachineChange::Write { path, text });
        }
    }

    /// Every file and command, to read.
    ///
    /// # Errors
    /// A command cannot be written for a shell.
    pub fn text(&self) -> Result<String> {
        Ok(self.0.iter().map(MachineChange::text).collect::<Result<Vec<_>>>()?.join("\n"))
    }

    /// Every file and command, for programs.
    pub fn value(&self) -> Value {
        self.0.iter().map(MachineChange::value).collect()
    }

    /// Does everything, up to the first failure.
    ///
    /// # Errors
    /// What could not be done.
    pub fn apply(&self) -> Result<()> {
        self.0.iter().try_for_each(MachineChange::apply)
    }
}

impl MachineChange {
    fn text(&self) -> Result<String> {
        Ok(match self {
            Self::Write { path, text } | Self::WriteUtf16 { path, text } | Self::Replace { path, text } => {
                format!("# The file {}:\n{text}", path.display())
            }
            Self::MakeFolder { path, user } => {
                let path = path.display().to_string();
                let owner: &[&str] = if *user == account::own_name()? { &[] } else { &["-o", user] };
                command_line(&owned(&[&["install", "-d", "-m", "700"], owner, &[&path]].concat()))?
            }
            Self::OwnFile { path, user } => {
                command_line(&owned(&["chown", "-h", "--from=root", user, &path.display().to_string()]))?
            }
            Self::Own { path, user } => command_line(&owned(&[
                "chown",
                "-hR",
                "--from=root",
                &format!("{user}:"),
                &path.display().to_string(),
            ]))?,
            Self::Remove { path } => command_line(&owned(&[REMOVE, &path.display().to_string()]))?,
            Self::Append { path, line } => {
                format!("echo {} >>{}", quoted(line)?, quoted(&path.display().to_string())?)
            }
            Self::TakeOut { path, line } => format!("# The line {line} is taken out of {}.", path.display()),
            Self::Try { command } | Self::Ask { command } | Self::Run { command, input: None } => {
                command_line(command)?
            }
            Self::Service(change) => change.text(),
            Self::Run { command, input: Some(input) } => {
                format!("{} <<'END-OF-INPUT'\n{input}END-OF-INPUT", command_line(command)?)
            }
        })
    }

    fn value(&self) -> Value {
        match self {
            Self::Write { path, text } | Self::WriteUtf16 { path, text } | Self::Replace { path, text } => {
                json!({ "write": path, "text": text })
            }
            Self::MakeFolder { path, user } => json!({ "makeFolder": path, "user": user }),
            Self::OwnFile { path, user } => json!({ "ownFile": path, "user": user }),
            Self::Own { path, user } => json!({ "own": path, "user": user }),
            Self::Remove { path } => json!({ "remove": path }),
            Self::Append { path, line } => json!({ "append": path, "line": line }),
            Self::TakeOut { path, line } => json!({ "takeOut": path, "line": line }),
            Self::Service(change) => change.value(),
            Self::Try { command } | Self::Ask { command } => json!({ "run": command }),
            Self::Run { command, input } => json!({ "run": command, "input": input }),
        }
    }

    fn apply(&self) -> Result<()> {
        match self {
            Self::Write { path, text } => write(path, text.as_bytes()),
            Self::WriteUtf16 { path, text } => {
                let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
                write(path, &units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
            }
            Self::Replace { path, text } => {
                replace(path, text).map_err(|error| cannot("Writing", path, &error))
            }
            #[cfg(unix)]
            Self::MakeFolder { path, user } => folders::make(path, user),
            #[cfg(unix)]
            Self::OwnFile { path, user } => folders::own_file_at(path, user),
            #[cfg(unix)]
            Self::Own { path, user } => folders::own(path, user),
            // Windows has other owners, and no plan has these.
            #[cfg(not(unix))]
            Self::MakeFolder { .. } | Self::Own { .. } | Self::OwnFile { .. } => Ok(()),
            Self::Ask { command } => ask(command),
            Self::Remove { path } => match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(cannot("Removing", path, &error))
                }
                _ => Ok(()),
            },
            Self::Service(change) => change.apply(),
            Self::Append { path, line } => append(path, line),
            Self::TakeOut { path, line } => take_out(path, line),
            Self::Run { command, input } => run(command, input.as_deref()).map(drop),
            Self::Try { command } => {
                if let Err(error) = run(command, None) {
                    tracing::debug!("{error}");
                }
                Ok(())
            }
        }
    }
}

/// What takes a file away, for the shell of this system.
const REMOVE: &str = if cfg!(windows) { "del" } else { "rm" };

/// A command as the shell of this system takes it.
fn command_line(command: &[String]) -> Result<String> {
    if cfg!(windows) {
        return Ok(windows_command_line(command));
    }
    Ok(command.iter().map(|word| quoted(word)).collect::<Result<Vec<_>>>()?.join(" "))
}

/// Replaces a file in one step.
fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let replace = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".bwdc-").suffix(".tmp").tempfile_in(folder)?;
        file.write_all(content)?;
        #[cfg(unix)]
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    replace().map_err(|error| cannot("Writing", path, &error))
}

/// In one step, with the owner and the mode that it has: these are somebody else's choice. A link stays one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".bwdc-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    let known = fs::metadata(&path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        std::os::unix::fs::fchown(file.as_file(), Some(known.uid()), Some(known.gid()))?;
    }
    file.as_file().set_permissions(known.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn append(path: &Path, line: &str) -> Result<()> {
    let add = || -> std::io::Result<()> {
        let text = fs::read_to_string(path)?;
        let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        replace(path, &format!("{text}{line_end}{line}\n"))
    };
    add().map_err(|error| cannot("Writing", path, &error))
}

fn take_out(path: &Path, line: &str) -> Result<()> {
    let take = || -> std::io::Result<()> {
        let text = fs::read_to_string(path)?;
        let rest: String = text.split_inclusive('\n').filter(|known| known.trim_end() != line).collect();
        if rest == text { Ok(()) } else { replace(path, &rest) }
    };
    take().map_err(|error| cannot("Writing", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    let cannot = Error::new(format!("{what} {}: {error}", path.display()));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => cannot.hint("Run this as root."),
        _ => cannot,
    }
}
