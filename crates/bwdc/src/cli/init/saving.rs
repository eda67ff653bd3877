//! What `bwdc init` keeps: answers on the way, and settings and secrets at the end.

use std::path::{Path, PathBuf};

use super::super::Interaction;
use super::super::login::{self, KeyOrigin};
use super::{Draft, Login};
use crate::ui;
use bwdc_config::instance;
use bwdc_config::secrets::{self, SecretDestination, SecretSource};
use bwdc_config::settings::{self, Setting};
use bwdc_core::error::{Error, Result};
use bwdc_sync::Context;
use bwdc_sync::session;

/// Answers so far, beside data.json.
const LATER: &str = "init-answers.json";

/// The answers in the file, of questions that there are. No secret is asked from there, nor taken.
fn kept_answers(text: &[u8]) -> Vec<(&'static Setting, String)> {
    let answers: Vec<(String, String)> = serde_json::from_slice(text).unwrap_or_default();
    let known = answers.into_iter().filter_map(|(name, text)| Some((settings::find(&name).ok()?, text)));
    known.filter(|(setting, _)| secrets::of_setting(setting.name).is_none()).collect()
}

impl Draft<'_> {
    /// What was given to this run is there for the next one as well: a file or a command that a variable names is named by a setting, and
    /// the value of a variable is kept.
    pub(super) async fn make_secrets_last(&mut self, login: Option<&Login>) -> Result<()> {
        let directory = instance::needed_secret(&self.data, &self.context.environment);
        for declared in directory.into_iter().chain([&secrets::CLIENT_ID, &secrets::CLIENT_SECRET]) {
            let Some(found) = self.context.secrets.given(&self.data, declared).await? else { continue };
            let environment = &self.context.environment;
            match found.source {
                // A login keeps its own.
                SecretSource::Variable(_) if declared.is_of_login() && login.is_some() => {}
                SecretSource::Variable(_) => self.secrets.push((declared, found.secret)),
                SecretSource::File { path, .. } if environment.is_set(&declared.file_variable()) => {
                    self.set(&declared.file, &absolute(&path)?)?;
                }
                SecretSource::Command { .. } => {
                    if let Some(line) = environment.text(&declared.command_variable()) {
                        self.set(&declared.command, &line)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// On a machine without a secret store, the secrets file is the place, if there is anything to keep.
    pub(super) async fn place_for_secrets(&mut self, login: Option<&Login>) -> Result<()> {
        let is_to_be_kept = |login: &Login| matches!(login.origin, KeyOrigin::Once | KeyOrigin::Variable);
        let has_secrets = !self.secrets.is_empty() || login.is_some_and(is_to_be_kept);
        let is_store = self.context.secrets.destination(&self.data) == SecretDestination::OsStore;
        if has_secrets && is_store && self.context.secrets.why_no_store(&self.data).await.is_some() {
            self.set(&secrets::FILE, secrets::USUAL_FILE)?;
            self.context.watch.progress(&format!(
                    "Secrets will be stored in {}, readable only by its owner, because there is no secret store here",
                    secrets::USUAL_FILE
                ));
        }
        Ok(())
    }

    /// Where answers are until all are given. No secret is among them.
    pub(super) fn later(&self) -> PathBuf {
        self.context.file.folder().join(LATER)
    }

    /// Goes on where somebody stopped.
    pub(super) fn resume(&mut self) -> Result<()> {
        if self.interaction == Interaction::None {
            return Ok(());
        }
        ui::hint(
            "Press Enter to accept the value in brackets; < goes back one question. Nothing is saved before it has been tested.",
        );
        let Ok(text) = bwdc_store::files::read_whole(&self.later()) else { return Ok(()) };
        let answers = kept_answers(&text);
        if answers.is_empty() {
            return Ok(());
        }
        let wants = ui::confirm(&format!("Continue with the {} answers from last time?", answers.len()))
            .map_err(|error| Error::new(format!("Asking whether to go on: {error}")))?;
        if wants {
            for (setting, text) in answers {
                // What is no answer to it is asked again.
                if !self.answered.contains(setting.name) && self.set(setting, &text).is_ok() {
                    self.asked.push(setting.name);
                }
            }
        }
        Ok(())
    }

    /// Keeps the answers, so that Ctrl-C loses none.
    pub(super) fn keep_for_later(&self) -> Result<()> {
        let answers: Vec<(&str, String)> = self
            .asked
            .iter()
            .filter(|name| secrets::of_setting(name).is_none())
            .filter_map(|name| Some((*name, settings::find(name).ok()?.stored_text(&self.data)?)))
            .collect();
        let text = serde_json::to_vec(&answers)
            .map_err(|error| Error::new(format!("Writing the answers so far as JSON: {error}")))?;
        let folder = self.context.file.folder();
        let is_first = !self.later().exists();
        bwdc_store::files::can_write(folder)?;
        bwdc_store::files::write_atomically(&self.later(), &text)?;
        if is_first {
            ui::hint(&format!(
                "(Ctrl-C keeps your answers, except secrets, in {}; the next `bwdc init` continues with them.)",
                self.later().display()
            ));
        }
        Ok(())
    }

    pub(super) async fn save(self, login: Option<Login>) -> Result<()> {
        let later = self.later();
        self.save_all(login).await?;
        // The answers are in their place now.
        let _ = std::fs::remove_file(later);
        Ok(())
    }

    pub(super) async fn save_all(self, login: Option<Login>) -> Result<()> {
        let Self { context, data, changes, secrets, .. } = self;
        let app_id = context.file.app_id(&data)?;
        context.file.update(|data| {
            for (setting, value) in changes {
                setting.store(data, value);
            }
            data.set_app_id(&app_id);
            Ok(())
        })?;
        let secrets: Vec<_> =
            secrets.iter().map(|(declared, secret)| (&declared.storage, Some(secret))).collect();
        if !secrets.is_empty() {
            context.secrets.keep(&secrets, |_| Ok(())).await?;
        }
        match login {
            Some(Login { credentials, token, origin }) => {
                login::keep(context, &data, &credentials, &token, origin).await
            }
            // Whose key it is, for a run that is given the key alone.
            None => match session::given_key(&data, &context.secrets).await? {
                Some((credentials, _)) => session::store_organization(&context.file, &credentials),
                None => Ok(()),
            },
        }
    }
}

/// As a setting names it: a scheduler starts elsewhere.
fn absolute(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::new(format!("Finding the file {}: {error}", path.display())))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        Error::new(format!("The name {} is not UTF-8.", path.display())).hint("Rename the file.")
    })
}

/// Where the next run finds each secret that it needs, for whoever sets it up.
pub(super) async fn where_secrets_are(context: &Context) -> Result<Vec<String>> {
    let data = context.file.load()?;
    let directory = instance::needed_secret(&data, &context.environment);
    let mut lines = Vec::new();
    for declared in directory.into_iter().chain([&secrets::CLIENT_SECRET]) {
        let lasting = context.secrets.without_variables().find(&data, declared).await?;
        lines.push(match lasting {
            Some(found) => format!("{} is in {}.", declared.name, found.source),
            None => {
                format!("{} is not stored: supply it to every run, as docs/secrets.md shows.", declared.name)
            }
        });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few, harmless};
    use proptest::prelude::*;

    use bwdc_store::Data;

    use super::*;

    #[test]
    fn no_secret_and_nothing_unknown_is_taken_from_answers() {
        let text = br#"[["ldap.password","p"],["LDAP.Port","636"],["no.such","x"],["okta.token","t"],["sync.users","true"]]"#;
        let taken: Vec<_> =
            kept_answers(text).into_iter().map(|(setting, text)| (setting.name, text)).collect();
        assert_eq!(taken, [("ldap.port", "636".to_owned()), ("sync.users", "true".to_owned())]);
    }

    proptest! {
        #![proptest_config(few())]

        /// What is taken is an answer that a question would take, is shown as one line, and is kept as it is.
        #[test]
        fn fuzz_answers_of_init(text in damaged([
            r#"[["server","https://vault.bitwarden.eu"],["directory","ldap"],["ldap.hostname","dc1.example.org"],["ldap.port","636"],["ldap.ssl","true"],["sync.userFilter","(cn=*)"]]"#,
            r#"[["directory","file"],["file.path","/srv/hr"],["exec.ldap.password","pass show 'bw'"],["ldap.password","p"],["sync.timeout","5m"]]"#,
            "[]",
        ])) {
            let mut data = Data::default();
            for (setting, text) in kept_answers(&text) {
                prop_assert!(secrets::of_setting(setting.name).is_none());
                match setting.parse(&text, &data) {
                    Ok(value) => {
                        setting.store(&mut data, value);
                        prop_assert!(setting.fault(&data).is_none());
                        prop_assert!(!setting.stored_text(&data).unwrap_or_default().contains(char::is_control));
                    }
                    Err(error) => harmless(&error, text.len())?,
                }
            }
        }
    }
}
