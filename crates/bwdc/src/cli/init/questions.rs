//! The questions of `bwdc init`.

use std::time::Duration;

use bwdc_connect::directory::{self, ldap};
use bwdc_core::Secret;
use serde_json::Value;
use tokio::time::timeout;

use super::super::Interaction;
use super::Draft;
use crate::ui::{self, Echo, Reply};
use bwdc_config::directories::ldap::settings::{
    EXTERNAL_ID_ATTRIBUTE, PRESET, Preset, ROOT_PATH, SSL, SSL_CA_PATH, START_TLS, TLS_CA_PATH, preset_for,
    preset_named,
};
use bwdc_config::kinds::{AskCondition, InitQuestion};
use bwdc_config::secrets::{self, DeclaredSecret};
use bwdc_config::settings::{Setting, general, sync};
use bwdc_config::{directories, instance};
use bwdc_core::error::{Error, Result};

/// Where the questions go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Next,
    Back,
}

/// For how long a server is asked what it is. Without that, the usual is proposed.
const LOOK: Duration = Duration::from_secs(30);

/// What becomes of those who leave.
const LEAVERS: &[&Setting] = &[&sync::REMOVE_DISABLED, &sync::REMOVE_MISSING];

/// What has to be known to answer.
const REMOVE_DISABLED: &str = sync::REMOVE_DISABLED.name;
const REMOVE_MISSING: &str = sync::REMOVE_MISSING.name;

fn explanation(setting: &Setting) -> Option<&'static str> {
    match setting.name {
        REMOVE_DISABLED => Some(
            "People whom the directory reports as deleted always lose access. Remove people who are disabled there as well?",
        ),
        REMOVE_MISSING => Some(
            "Most LDAP servers and files do not report deleted people: they are just missing. Remove people who are missing from a complete read? (Never many at once: see docs/leaving.md.)",
        ),
        _ => None,
    }
}

impl Draft<'_> {
    /// Everything that has to be known, one after the other.
    pub(super) async fn questions(&mut self) -> Result<Direction> {
        for setting in [&general::SERVER, &general::DIRECTORY] {
            if self.question(setting, general_proposal(setting)).await? == Direction::Back {
                return Ok(Direction::Back);
            }
        }
        self.directory_questions().await
    }

    /// The last question is asked again, with what was answered as the proposal.
    pub(super) fn go_back(&mut self) {
        let Some(name) = self.asked.pop() else {
            ui::hint("This is the first question.");
            return;
        };
        self.forget(name);
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.answered.remove(name);
        self.secrets.retain(|(declared, _)| declared.name != name);
        if let Some(declared) = secrets::of_setting(name) {
            declared.storage.take(&mut self.data);
        }
    }

    /// Asks for a setting that was not given.
    pub(super) async fn question(
        &mut self,
        setting: &'static Setting,
        proposal: Option<String>,
    ) -> Result<Direction> {
        let name = setting.name;
        if self.answered.contains(name) {
            return Ok(Direction::Next);
        }
        if let Some(declared) = secrets::of_setting(name) {
            return self.secret_question(declared, setting).await;
        }
        let now = setting.stored_text(&self.data);
        let proposed = now.or(proposal).or_else(|| Some(setting.default.to_owned()));
        let proposed = proposed.filter(|text| !text.is_empty());
        if self.interaction == Interaction::None {
            let value = proposed.ok_or_else(|| missing(name))?;
            return self.set(setting, &value).map(|()| Direction::Next);
        }
        loop {
            let answer = match (self.ask(setting, proposed.as_deref(), Echo::Shown)?, &proposed) {
                (Reply::Back, _) => return Ok(Direction::Back),
                (Reply::Text(text), _) => text,
                (Reply::Enter, Some(proposed)) => proposed.clone(),
                (Reply::Enter, None) => {
                    ui::hint("An answer is required.");
                    continue;
                }
                (Reply::End, _) => return Err(missing(name)),
            };
            match self.set(setting, &answer) {
                Ok(()) => return self.answer_given(name),
                Err(error) => ui::hint(&error.to_string()),
            }
        }
    }

    pub(super) async fn secret_question(
        &mut self,
        declared: &'static DeclaredSecret,
        setting: &Setting,
    ) -> Result<Direction> {
        let is_there = self.context.secrets.find(&self.data, declared).await?.is_some();
        if is_there {
            return Ok(Direction::Next);
        }
        if self.interaction == Interaction::None {
            return Err(Error::new(format!("The secret {} is missing.", declared.name)).hint(format!(
                "Set {0} or {0}_FILE, or use another of the ways in docs/secrets.md.",
                declared.variable
            )));
        }
        let secret = loop {
            match self.ask(setting, None, Echo::Hidden)? {
                Reply::Back => return Ok(Direction::Back),
                Reply::Text(text) => break Secret::from(text),
                Reply::Enter => ui::hint("An answer is required."),
                Reply::End => return Err(missing(declared.name)),
            }
        };
        declared.storage.put(&mut self.data, &secret);
        self.secrets.push((declared, secret));
        self.answer_given(declared.name)
    }

    pub(super) fn answer_given(&mut self, name: &'static str) -> Result<Direction> {
        self.asked.push(name);
        self.keep_for_later()?;
        Ok(Direction::Next)
    }

    pub(super) fn ask(&self, setting: &Setting, proposed: Option<&str>, echo: Echo) -> Result<Reply> {
        let Setting { name, meaning, .. } = setting;
        let explained = explanation(setting).map(|text| format!("{text}\n")).unwrap_or_default();
        let proposed = proposed.map(|text| format!(" [{text}]")).unwrap_or_default();
        ui::question(&format!("{explained}{name}: {meaning}{proposed}\n>"), echo)
            .map_err(|error| Error::new(format!("Asking for {name}: {error}")))
    }

    pub(super) async fn directory_questions(&mut self) -> Result<Direction> {
        let kind = directories::of(&self.data)?;
        for question in kind.questions {
            if self.directory_question(question).await? == Direction::Back {
                return Ok(Direction::Back);
            }
        }
        if kind == &directories::ldap::KIND
            && (self.authority_question()? == Direction::Back
                || self.look_at_ldap_server().await? == Direction::Back)
        {
            return Ok(Direction::Back);
        }
        let of_leavers = if self.interaction == Interaction::Terminal { LEAVERS } else { &[] };
        for setting in [&sync::USERS, &sync::GROUPS].into_iter().chain(of_leavers.iter().copied()) {
            if self.question(setting, general_proposal(setting)).await? == Direction::Back {
                return Ok(Direction::Back);
            }
        }
        Ok(Direction::Next)
    }

    async fn directory_question(&mut self, question: &InitQuestion) -> Result<Direction> {
        let InitQuestion { setting, asked, propose } = *question;
        let needs_secret = || instance::needed_secret(&self.data, &self.context.environment).is_some();
        let setting = match asked {
            AskCondition::Always => setting,
            AskCondition::Optional => return self.optional_question(setting),
            AskCondition::OptionalWith(other) if other.stored(&self.data).is_some() => {
                return self.optional_question(setting);
            }
            AskCondition::OptionalWith(_) => setting,
            // A way of doing what is off: there is nothing to ask.
            AskCondition::IfOn(flag) => {
                if !flag.is_on(&self.data) {
                    self.set(setting, "false")?;
                }
                setting
            }
            // A certificate needs neither name nor password, and a key file has both.
            AskCondition::WithSecret if !needs_secret() => return Ok(Direction::Next),
            AskCondition::WithSecretOr(other) if !needs_secret() => other,
            AskCondition::WithSecret | AskCondition::WithSecretOr(_) => setting,
        };
        let proposal = propose(&self.data, &self.context.environment);
        self.question(setting, proposal).await
    }

    /// The file of the authority that signed the server's certificate; none for one that the system knows.
    pub(super) fn authority_question(&mut self) -> Result<Direction> {
        let setting = match (SSL.is_on(&self.data), START_TLS.is_on(&self.data)) {
            (false, _) => return Ok(Direction::Next),
            (true, true) => &TLS_CA_PATH,
            (true, false) => &SSL_CA_PATH,
        };
        self.optional_question(setting)
    }

    pub(super) fn optional_question(&mut self, setting: &'static Setting) -> Result<Direction> {
        let name = setting.name;
        if self.interaction == Interaction::None || self.answered.contains(name) {
            return Ok(Direction::Next);
        }
        let now = setting.stored(&self.data).and_then(Value::as_str).map(str::to_owned);
        match self.ask(setting, now.as_deref(), Echo::Shown)? {
            Reply::Back => return Ok(Direction::Back),
            Reply::Text(path) => self.set(setting, &path)?,
            Reply::Enter | Reply::End => {
                self.answered.insert(name);
            }
        }
        self.answer_given(name)
    }

    /// Where the tree begins and what things are called, as far as the server says so.
    pub(super) async fn look_at_ldap_server(&mut self) -> Result<Direction> {
        let root = &ROOT_PATH;
        let said = match self.instance().await?.directory {
            directory::Config::Ldap(config) => {
                let limit = LOOK.min(bwdc_sync::longest(&self.data));
                match timeout(limit, ldap::root_dse(&config)).await {
                    Ok(said) => said.map_err(Error::from),
                    Err(_) => Err(Error::new(format!(
                        "Asking the LDAP server where its tree begins: no answer within {} s.",
                        limit.as_secs()
                    ))
                    .hint("Check ldap.hostname, ldap.port and the firewall.")),
                }
            }
            _ => Ok(ldap::RootDse::default()),
        };
        let said = match said {
            // Without an answer there is nothing to propose: the error tells why.
            Err(error) if self.interaction == Interaction::None && root.stored(&self.data).is_none() => {
                return Err(error.also("Nothing was saved."));
            }
            said => said.unwrap_or_default(),
        };
        if root.stored(&self.data).is_none()
            && let Some(context) =
                said.naming_contexts.iter().find(|context| context.to_lowercase().contains("dc="))
        {
            root.store(&mut self.data, context.as_str().into());
        }
        if self.question(root, None).await? == Direction::Back {
            return Ok(Direction::Back);
        }
        let chosen = PRESET.stored(&self.data).and_then(Value::as_str).and_then(preset_named);
        self.name_things(chosen.unwrap_or_else(|| preset_for(said.product)))?;
        Ok(Direction::Next)
    }

    /// What was not said otherwise is as the product has it.
    pub(super) fn name_things(&mut self, preset: &Preset) -> Result<()> {
        for (setting, value) in preset.settings() {
            if setting.stored(&self.data).is_none() {
                self.set(setting, value)?;
            }
        }
        self.choose_identity(preset)
    }

    /// An id that survives renames, where nobody is known by another one yet. What was set up before keeps what it has: its
    /// organization knows its people by that.
    pub(super) fn choose_identity(&mut self, preset: &Preset) -> Result<()> {
        let setting = &EXTERNAL_ID_ATTRIBUTE;
        let is_set = setting.stored(&self.data).is_some();
        // Active Directory's is the usual one.
        let Some(attribute) = preset.identity.filter(|attribute| !is_set && *attribute != "objectGUID")
        else {
            return Ok(());
        };
        if self.is_new {
            return self.set(setting, attribute);
        }
        self.context.watch.progress(&format!(
                "Note: people and groups are identified by their DN, which changes when they are renamed. For an organization that has never been synced, `bwdc config ldap.externalIdAttribute {attribute}` is better; see the LDAP page."
            ));
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    Error::new(format!("The setting {name} is missing.")).hint(format!(
        "Give it with `--set {name}=VALUE`, or answer the questions on a terminal. Nothing was saved."
    ))
}

/// What follows without further answers.
fn general_proposal(setting: &Setting) -> Option<String> {
    let proposals = [
        (&general::DIRECTORY, directories::ldap::KIND.name),
        (&sync::USERS, "true"),
        (&sync::GROUPS, "true"),
    ];
    let found = proposals.into_iter().find(|(declared, _)| declared.name == setting.name);
    found.map(|(_, answer)| answer.to_owned())
}
