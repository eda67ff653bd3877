//! What `bwdc init` tries before it saves anything: the directory, and the login.

use bwdc_connect::directory::{self, Directory as _, ReadScope};
use bwdc_connect::probe::{Check, CheckOutcome};
use tokio::time::timeout;

use super::super::Interaction;
use super::super::login::{self, KeyOrigin};
use super::{Draft, Login};
use crate::cli::which::WhichOne;
use crate::ui;
use bwdc_config::Instance;
use bwdc_config::settings::general;
use bwdc_core::error::{Error, Result};
use bwdc_sync::Context;
use bwdc_sync::session;

/// Why the directory cannot be read as it is described.
pub(super) struct TrialFailure {
    pub(super) error: Error,
    cause: FailureCause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureCause {
    /// The secret is not the right one.
    Secret,
    Anything,
}

impl From<Error> for TrialFailure {
    fn from(error: Error) -> Self {
        Self { error, cause: FailureCause::Anything }
    }
}

impl Draft<'_> {
    pub(super) async fn instance(&self) -> Result<Instance> {
        let Context { file, environment, secrets, .. } = self.context;
        Instance::of(&self.data, file.folder(), environment, secrets).await
    }

    /// Looks at every step of a read.
    pub(super) async fn try_directory(&self) -> std::result::Result<(), TrialFailure> {
        let instance = self.instance().await.map_err(TrialFailure::from)?;
        for warning in &instance.warnings {
            self.context.watch.warning(warning);
        }
        let scope = instance.scope.unwrap_or(ReadScope::UsersAndGroups);
        let directory =
            directory::open(instance.directory).map_err(|error| TrialFailure::from(Error::from(error)))?;
        let longest = bwdc_sync::longest(&self.data);
        let checks = timeout(longest, directory.probe(scope)).await.map_err(|_| {
            let took =
                format!("Trying the directory took longer than {} s (sync.timeout).", longest.as_secs());
            TrialFailure::from(Error::new(took).hint("A server may hang. Nothing was saved."))
        })?;
        checks.into_iter().try_for_each(|check| self.report(check))
    }

    pub(super) fn report(&self, check: Check) -> std::result::Result<(), TrialFailure> {
        match check.outcome {
            CheckOutcome::Good(found) => self.context.watch.progress(&format!("{}: {found}", check.what)),
            CheckOutcome::Doubtful { found, next_step } => {
                self.context.watch.warning(&format!("{}: {found}. {next_step}", check.what));
            }
            CheckOutcome::Bad(error) => {
                let is_of_secret = error.kind() == bwdc_connect::ErrorKind::Credentials;
                let cause = if is_of_secret { FailureCause::Secret } else { FailureCause::Anything };
                return Err(TrialFailure { error: Error::from(error).while_doing(check.what), cause });
            }
        }
        Ok(())
    }

    /// Whether somebody wants to answer again: all answers so far are proposed. Of a login that fails, the secret alone is asked again.
    pub(super) fn again(&mut self, TrialFailure { error, cause }: &TrialFailure) -> Result<bool> {
        if self.interaction == Interaction::None {
            return Ok(false);
        }
        ui::hint(&error.to_string());
        if let (FailureCause::Secret, Some((declared, _))) = (cause, self.secrets.last()) {
            let name = declared.name;
            self.forget(name);
            ui::hint(&format!("Give {name} again, or go back with <."));
            return Ok(true);
        }
        let wants = ui::confirm("Answer again?")
            .map_err(|error| Error::new(format!("Asking whether to go on: {error}")))?;
        if wants {
            self.answered.retain(|name| [general::SERVER.name, general::DIRECTORY.name].contains(name));
            for (declared, _) in self.secrets.drain(..) {
                declared.storage.take(&mut self.data);
            }
        }
        Ok(wants)
    }

    /// Tries the key that syncs would use, which may have been given anew. The token of an earlier run proves nothing of it.
    pub(super) async fn try_kept_login(&self) -> Result<()> {
        let account = session::OrganizationLogin::of(&self.data, &self.context.secrets).await?;
        if let Some(warning) = &account.warning {
            return Err(Error::new(warning).hint("Nothing was saved."));
        }
        // A token alone, as the existing connector may leave it, lasts until it expires.
        let Ok(credentials) = account.credentials() else { return Ok(()) };
        let client = bwdc_sync::client(&self.context.file, &self.data, &self.context.environment)?;
        match client.token(credentials).await {
            Ok(_) => {
                self.context.watch.progress("Bitwarden: the server accepts the API key");
                Ok(())
            }
            Err(error) => Err(self.context.secrets.refused(error).await.also("Nothing was saved.")),
        }
    }

    /// Tries the API key. Nothing to do if a login was kept before. One that was typed is asked again if it is wrong.
    pub(super) async fn log_in(&self) -> Result<Option<Login>> {
        let is_given = self.key.client_secret.is_some();
        if !is_given && login::is_logged_in(self.context, &self.data).await? {
            return self.try_kept_login().await.map(|()| None);
        }
        if self.interaction == Interaction::Terminal {
            ui::hint(
                "You find the client id and the API key in the web vault: Settings > Organization info > View API key.",
            );
        }
        let (credentials, origin, token) = loop {
            let arguments = login::Arguments { which: WhichOne::default(), ..self.key.clone() };
            let (credentials, origin) =
                login::credentials(self.context, &self.data, arguments, self.interaction).await?;
            let client = bwdc_sync::client(&self.context.file, &self.data, &self.context.environment)?;
            match client.token(&credentials).await {
                Ok(token) => break (credentials, origin, token),
                Err(error)
                    if !is_given
                        && origin == KeyOrigin::Once
                        && error.kind() == bwdc_connect::ErrorKind::Credentials =>
                {
                    ui::hint(&self.context.secrets.refused(error).await.to_string());
                }
                Err(error) => {
                    return Err(self.context.secrets.refused(error).await.also("Nothing was saved."));
                }
            }
        };
        self.context.watch.progress("Bitwarden: the server accepts the API key");
        Ok(Some(Login { credentials, token, origin }))
    }
}
