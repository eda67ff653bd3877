//! Commands of the system, run with their own words in errors.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bwdc_core::error::{Error, Result};

/// Runs a command on this terminal.
pub(crate) fn ask(command: &[String]) -> Result<()> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let shown = command.join(" ");
    let status = Command::new(program).args(arguments).status();
    let status = status.map_err(|error| Error::new(format!("Running `{shown}`: {error}")))?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("`{shown}` ended with {status}."))) }
}

/// Runs a command and returns what it prints.
///
/// # Errors
/// It cannot be started, or it failed: how it ended, with its own words.
pub fn run(command: &[String], input: Option<&str>) -> Result<String> {
    let [program, arguments @ ..] = command else { return Ok(String::new()) };
    let shown = command.join(" ");
    let cannot = |error: std::io::Error| {
        let error_kind = error.kind();
        let failed = Error::new(format!("Running `{shown}`: {error}"));
        match error_kind {
            std::io::ErrorKind::NotFound => failed.hint(format!(
                "Install the package that provides {program}, or choose another scheduler with `--using`."
            )),
            _ => failed,
        }
    };
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::inherit() };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A command that ends early says itself why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(cannot)?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = [said(&output.stderr), said(&output.stdout)].join("\n");
    let failed = Error::new(format!("`{shown}` ended with {}: {}", output.status, words.trim()));
    Err(match hint_of_systemd(command, &words) {
        Some(hint) => failed.hint(hint),
        None => failed,
    })
}

/// What to do where a command of systemd says that it reaches none.
pub(crate) fn hint_of_systemd(command: &[String], said: &str) -> Option<&'static str> {
    let is_systemds = command.first().is_some_and(|program| program.starts_with("system"));
    let is_users = command.iter().any(|word| word == "--user");
    let hint = if is_users { NO_USER_MANAGER } else { NO_SYSTEMD };
    (is_systemds && said.contains(NOT_CONNECTED)).then_some(hint)
}

/// Beginning of the message of systemd's commands without a systemd. Their exit status is that of any other failure.
const NOT_CONNECTED: &str = "Failed to connect to";

const NO_USER_MANAGER: &str = "The systemd of this user was not found: log in as them, or have it run by `loginctl enable-linger` \
                               and set XDG_RUNTIME_DIR=/run/user/$(id -u).";
const NO_SYSTEMD: &str = "systemd does not run here: choose another scheduler with `--using`.";
