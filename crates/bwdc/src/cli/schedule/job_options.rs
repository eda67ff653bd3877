//! What `schedule install` and `service install` are both told about a job: as whom it runs, with what, and how it gets there.

use std::path::{Path, PathBuf};

use bwdc_schedule::schedulers::systemd;
use bwdc_schedule::{Accounts, JobUser, Machine, MissingUser, Owners, Steps, Trial};
use clap::Args;

use super::paths::whole;
use crate::ui::{self, Answer, Style};
use bwdc_config::env::{self, Environment};
use bwdc_config::{secrets, setup};
use bwdc_core::error::{Error, Result};

#[derive(Debug, Args)]
pub(in crate::cli) struct JobOptions {
    /// User to run it as.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) user: Option<String>,
    /// Create the user if it does not exist: a system account without a login shell.
    #[arg(long, requires = "user")]
    create_user: bool,
    /// Print the files and commands without changing anything.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Set an environment variable for it (no secrets), such as BWDC_CA_FILE=/etc/ours.pem. The variables of your shell are not passed on.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Path of the program to run. Default: this one.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) program: Option<PathBuf>,
    /// Fix what would make it fail: give the user the folder, root's files in it and the secret files named by
    /// root; for cron, add the user to cron.allow.
    #[arg(long)]
    fix: bool,
    /// Install without a trial run as that user.
    #[arg(long)]
    untried: bool,
    /// systemd: use the user's own manager (systemctl --user).
    #[arg(long)]
    user_manager: bool,
    /// systemd: a secret from a file that only root can read: login.clientSecret=/etc/bwdc/key.
    #[arg(long, value_name = "NAME=FILE")]
    credential: Vec<String>,
}

impl JobOptions {
    /// The user, or else the usual one, and the home where it is another's than that of whoever asks.
    pub(in crate::cli) fn account(
        &self,
        accounts: Accounts,
        usual: Option<&str>,
    ) -> Result<(JobUser, Option<PathBuf>)> {
        let name = self.user.as_deref().or(usual);
        if accounts == Accounts::Named {
            return Ok((JobUser::named(name), None));
        }
        let missing = if self.create_user { MissingUser::Create } else { MissingUser::Refuse };
        let user = JobUser::find(name, missing)?;
        let other = (!user.is_own()?).then(|| user.home());
        Ok((user, other))
    }

    /// Whether owners are mended.
    pub(in crate::cli) fn owners(&self) -> Owners {
        if self.fix { Owners::Fix } else { Owners::Keep }
    }

    /// Whether it is tried.
    pub(in crate::cli) fn trial(&self) -> Trial {
        if self.untried { Trial::Skip } else { Trial::Try }
    }

    /// The user's own systemd where that was wanted, or where nothing else is allowed.
    pub(in crate::cli) fn manager(&self, accounts: Accounts, user: &JobUser) -> Result<systemd::Manager> {
        let is_users = match accounts {
            Accounts::OfTheSystem => self.user_manager || (user.is_own()? && !bwdc_schedule::is_root()),
            Accounts::Named => self.user_manager,
        };
        Ok(if is_users { systemd::Manager::User } else { systemd::Manager::System })
    }

    /// The variables of the job, with a warning for those of this shell that it will not have.
    pub(in crate::cli) fn variables(
        &self,
        environment: &Environment,
        options: &setup::GlobalOptions,
        machine: Machine,
        style: Style,
    ) -> Result<Vec<(String, String)>> {
        let mut variables = self.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>>>()?;
        variables.extend(on_the_command_line(options, machine)?);
        for warning in forgotten(environment, &variables, machine) {
            ui::warning(&warning, style);
        }
        Ok(variables)
    }

    /// Secrets from files of root's.
    pub(in crate::cli) fn credentials(&self) -> Result<Vec<(String, String)>> {
        self.credential.iter().map(|text| credential(text)).collect()
    }
}

/// What holds for every command, as variables of the job.
fn on_the_command_line(options: &setup::GlobalOptions, machine: Machine) -> Result<Vec<(String, String)>> {
    let setup::GlobalOptions { config, log_file, log_format } = options;
    let path = |path: &PathBuf, option| match machine {
        Machine::This => whole(path),
        Machine::Another { .. } => absolute_there(path, option),
    };
    let paths = [(env::CONFIG, config, "--config"), (env::LOG_FILE, log_file, "--log-file")];
    let given = paths.into_iter().filter_map(|(name, given, option)| Some((name, given.as_ref()?, option)));
    let mut all = given
        .map(|(name, given, option)| Ok((name.to_owned(), path(given, option)?)))
        .collect::<Result<Vec<_>>>()?;
    all.extend(log_format.iter().map(|format| (env::LOG_FORMAT.to_owned(), format.clone())));
    Ok(all)
}

/// A path of another machine, which has no folder to begin at.
fn absolute_there(path: &Path, option: &str) -> Result<String> {
    let text = path.display().to_string();
    let has_drive = text.get(1..3).is_some_and(|after| after == ":\\" || after == ":/");
    if text.starts_with('/') || text.starts_with("\\\\") || has_drive {
        return Ok(text);
    }
    Err(Error::new(format!("`{option} {text}` is not an absolute path."))
        .hint("Use an absolute path such as /var/lib/bwdc/bwdc.toml or C:\\ProgramData\\bwdc\\bwdc.toml."))
}

/// `NAME=VALUE`, if it is nothing that others must not see.
fn variable(text: &str) -> Result<(String, String)> {
    let (name, value) = named(text, "--env")?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(
            Error::new(format!("`{name}` is not a valid variable name.")).hint("Give --env NAME=VALUE.")
        );
    }
    if secrets::ALL.iter().any(|known| known.variable == name && name != env::CLIENT_ID) {
        return Err(Error::new(format!(
            "{name} is secret, and other users can read the files of schedules and services."
        ))
        .hint("Put it into a file that only the user can read; docs/secrets.md shows how."));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn named<'a>(text: &'a str, option: &str) -> Result<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| {
        Error::new(format!("`{option} {text}` has no `=`.")).hint(format!("Give {option} NAME=VALUE."))
    })
}

/// What is set here and will not be there.
fn forgotten(environment: &Environment, given: &[(String, String)], machine: Machine) -> Vec<String> {
    // Another machine has none of this one's variables in any case.
    if machine != Machine::This {
        return Vec::new();
    }
    let plain =
        [env::PLAINTEXT_SECRETS, env::SECRETS_FILE, env::CA_FILE, env::NODE_EXTRA_CA_CERTS, env::CONFIG];
    let is_forgotten =
        |name: &&str| environment.is_set(name) && !given.iter().any(|(known, _)| known == name);
    let mut warnings: Vec<String> = plain
        .iter()
        .filter(|name| is_forgotten(name))
        .map(|name| format!("{name} is set here, but is not passed on: give it with --env {name}=..."))
        .collect();
    let secret = secrets::ALL.iter().map(|known| known.variable).filter(|name| is_forgotten(name));
    warnings.extend(secret.map(|name| {
        format!("{name} is set here, but is not passed on: keep it in a file, as docs/secrets.md shows.")
    }));
    warnings
}

fn credential(text: &str) -> Result<(String, String)> {
    let (name, file) = named(text, "--credential")?;
    if !secrets::ALL.iter().any(|known| known.name == name) {
        let known = secrets::ALL.map(|known| known.name).join(", ");
        return Err(Error::new(format!("There is no secret `{name}`.")).hint(format!("There are {known}.")));
    }
    Ok((name.to_owned(), whole(Path::new(file))?))
}

/// What would be done, if there is anything to do.
pub(in crate::cli) fn shown_only(steps: &Steps, nothing: &str) -> Result<Answer> {
    if steps.is_empty() {
        return Ok(Answer::message(nothing));
    }
    Ok(Answer::Table { text: steps.text()?, value: steps.value() })
}
