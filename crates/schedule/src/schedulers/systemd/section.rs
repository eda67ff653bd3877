//! What a service of systemd has besides its commands (systemd.exec(5)), the same for a scheduled sync and for the daemon: its user, its
//! variables and secrets, and as little of the machine as it needs.

use crate::job::{Job, Starter, check, on_one_line};
use bwdc_core::error::{Error, Result};

/// The systemd that runs a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The system's.
    System,
    /// The user's own, which may not do what needs root: less hardening.
    User,
}

/// The lines of `[Service]` that say as whom it runs, and with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceSection<'a> {
    /// What it runs.
    pub(crate) job: &'a Job,
    /// What starts it.
    pub(crate) starter: Starter,
    /// The systemd that runs it.
    pub(crate) manager: Manager,
    /// Credentials: the name of a secret, and the file with it.
    pub(crate) credentials: &'a [(String, String)],
}

impl ServiceSection<'_> {
    /// Looks for what no unit can hold.
    pub(crate) fn check(&self) -> Result<()> {
        check(self.job)?;
        self.credentials.iter().try_for_each(|(_, file)| on_one_line("file", file))?;
        let texts = [("folder", &self.job.folder), ("program", &self.job.program)].into_iter();
        let files = self.credentials.iter().map(|(_, file)| ("file", file));
        texts.chain(files).try_for_each(|(what, text)| ends_well(what, text))
    }

    /// User, variables, secrets and folder.
    pub(crate) fn account(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.manager == Manager::System {
            lines.push(format!("User={}", escaped(&self.job.user)));
        }
        for (name, value) in self.job.environment(self.starter) {
            lines.push(format!("Environment={}", word(&format!("{name}={value}"))));
        }
        for (name, file) in self.credentials {
            // Taken as it is, blanks included: quotes would become a part of the name.
            lines.push(format!("LoadCredential={name}:{}", escaped(file)));
        }
        lines.push(format!("WorkingDirectory={}", escaped(&self.job.folder)));
        lines
    }

    /// What it may do and see.
    pub(crate) fn sandbox(&self) -> Vec<String> {
        let mut lines: Vec<String> = EVERYWHERE.iter().map(|line| (*line).to_owned()).collect();
        if self.manager == Manager::System {
            lines.extend(SYSTEM.iter().map(|line| (*line).to_owned()));
            lines.push(format!("ProtectHome={}", protect_home(self.job)));
            lines.extend(self.writable());
        }
        lines
    }

    /// Where it may write.
    pub(crate) fn writable(&self) -> impl Iterator<Item = String> {
        // Without one that is not there the others still run.
        let others = self.job.writes.all().map(|folder| word(&format!("-{folder}")));
        [word(&self.job.folder)].into_iter().chain(others).map(|folder| format!("ReadWritePaths={folder}"))
    }

    /// The same for a service that is run once. No file reads these, so that `%` begins nothing.
    pub(crate) fn properties(&self) -> impl Iterator<Item = String> {
        self.account().into_iter().chain(self.sandbox()).map(|line| line.replace("%%", "%"))
    }
}

/// What a service is run with, by a unit's text or what is added to one, for a service that is run once. No file reads these, so that `%` begins
/// nothing.
pub(crate) fn properties_in(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != "[Service]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let lines = lines.filter(|line| line.contains('=') && !line.starts_with(['#', ';']));
    let others = ["Type=", "Exec", "SuccessExitStatus=", "Timeout", "Restart", "WatchdogSec=", "KillMode="];
    let lines = lines.filter(|line| !others.iter().any(|other| line.starts_with(other)));
    lines.map(|line| line.replace("%%", "%")).collect()
}

/// systemd drops blanks at the end of a line, and takes a `\\` there for a line that goes on.
fn ends_well(what: &str, text: &str) -> Result<()> {
    if text.ends_with(|c: char| c.is_whitespace() || c == '\\') {
        return Err(Error::new(format!(
            "The {what} `{text}` ends in a space or a backslash, which a systemd unit cannot contain."
        ))
        .hint("Rename it, or choose another scheduler with `--using`."));
    }
    Ok(())
}

/// What any manager can do.
const EVERYWHERE: &[&str] = &[
    "UMask=0077",
    "LimitCORE=0",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
];

/// What needs the system's manager.
const SYSTEM: &[&str] = &[
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "DevicePolicy=closed",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "PrivateUsers=yes",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
];

/// Homes are empty, unless something that the job needs is in one: so that `BindReadOnlyPaths=` can show a folder of one.
fn protect_home(job: &Job) -> &'static str {
    let is_home = |path: &str| ["/home/", "/root/", "/run/user/"].iter().any(|home| path.starts_with(home));
    let paths = [job.folder.as_str(), &job.program].into_iter();
    // A variable may name a file: bwdc.toml, certificates, secrets.
    let values = job.variables.iter().map(|(_, value)| value.as_str());
    if paths.chain(job.writes.all().map(String::as_str)).chain(values).any(is_home) {
        "read-only"
    } else {
        "tmpfs"
    }
}

/// `%` begins a specifier.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

/// An argument of a command, in which `$` begins a variable as well; in the command's name it does not (systemd.service(5)).
pub(crate) fn argument(text: &str) -> String {
    word(&text.replace('$', "$$"))
}

/// One word of several, quoted where it must be.
pub(crate) fn word(text: &str) -> String {
    let text = escaped(text);
    if text.contains([' ', '\t', '"', '\'', '\\', ';']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}
