//! Secrets: where each is looked for, in which order, and where a new one is kept. This is the one place that decides.
//!
//! Looked for, the first that has it:
//!
//! 1. its variable, such as `BWDC_LDAP_PASSWORD`
//! 2. the file that its `_FILE` variable names (Docker, Kubernetes)
//! 3. the command that its `_EXEC` variable or its `exec.` setting names
//! 4. the file that its `secretFile.` setting names
//! 5. the file of its name in `$CREDENTIALS_DIRECTORY` (systemd)
//! 6. the secrets file
//! 7. `data.json`
//! 8. the operating system's secret store, unless secrets are kept in `data.json`
//!
//! Kept: in `data.json` if `BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS` is `true`; else in the secrets file if there is
//! one; else in the operating system's secret store.

mod command;
mod credentials;
pub(crate) mod declared;
mod os_store;
mod process_tree;
mod sealed;
mod secrets_file;
mod variable;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bwdc_core::Secret;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

pub use self::command::words as command_words;
use self::declared::DataKey::{InSection, Top};
use self::declared::Older::{AfterAccount, Key};
use self::declared::{DataKey, secret, top};
pub use self::declared::{DeclaredSecret, StorageKeys};
use self::os_store::OsStore;
use self::sealed::Form;
pub use self::secrets_file::USUAL_NAME as USUAL_FILE;
use super::env::{self, Environment};
use super::place;
use crate::directories::{self, entra};
use crate::setting::StoredAt::In;
use crate::setting::{Type, settings};
use bwdc_core::error::{Error, Result};
use bwdc_schedule::services::make_private_folder;
use bwdc_store::privileges::{self, ReferredFile};
use bwdc_store::tokens::TokenMemory;
use bwdc_store::{Data, DataFile, key};

/// What the existing connector writes in the place of a secret that is in the operating system's store.
const STORED_SECURELY: &str = "[STORED SECURELY]";

/// Client id of the organization. It is not secret, but it is kept with the key.
pub const CLIENT_ID: DeclaredSecret = secret! {
    name: "login.clientId",
    what: "the organization's client id",
    variable: env::CLIENT_ID,
    storage: top(key::CLIENT_ID, &[AfterAccount("apiKeyClientId")]),
};

/// API key of the organization.
pub const CLIENT_SECRET: DeclaredSecret = secret! {
    name: "login.clientSecret",
    what: "the organization's API key",
    variable: env::CLIENT_SECRET,
    storage: top(key::CLIENT_SECRET, &[AfterAccount("apiKeyClientSecret")]),
};

/// How many can be given from outside.
const COUNT: usize = {
    let (mut count, mut at) = (2, 0);
    while at < directories::ALL.len() {
        if directories::ALL[at].secret.is_some() {
            count += 1;
        }
        at += 1;
    }
    count
};

/// All that can be given from outside: the organization's key, and each directory's.
pub const ALL: [&DeclaredSecret; COUNT] = {
    let mut all = [&CLIENT_ID; COUNT];
    all[1] = &CLIENT_SECRET;
    let (mut count, mut at) = (2, 0);
    while at < directories::ALL.len() {
        if let Some(secret) = directories::ALL[at].secret {
            all[count] = secret;
            count += 1;
        }
        at += 1;
    }
    all
};

/// Names of the variables of all: for each its own, the one that names a file with it, and the one that names a command.
pub fn variables() -> impl Iterator<Item = String> {
    ALL.into_iter().flat_map(|declared| {
        [declared.variable.to_owned(), declared.file_variable(), declared.command_variable()]
    })
}

settings! {
    FILE: "secrets.file", In(key::SECRETS, "file"), Type::Path, "", "Secrets file, readable only by its owner. New secrets are stored there too. Relative to data.json's folder. Default: secrets.env, if it exists.";
}

/// Made from the API key, kept beside it.
pub const ACCESS_TOKEN: StorageKeys = top(key::ACCESS_TOKEN, &[AfterAccount("accessToken")]);
/// Tokens that a logout removes besides.
pub const OTHER_TOKENS: [StorageKeys; 2] = [top(key::REFRESH_TOKEN, &[]), top(key::TWO_FACTOR_TOKEN, &[])];

/// The secret of a setting.
pub fn of_setting(name: &str) -> Option<&'static DeclaredSecret> {
    let name = if name == entra::AZURE_KEY.name { entra::SECRET.name } else { name };
    ALL.into_iter().find(|declared| declared.name == name)
}

impl DeclaredSecret {
    /// Whether it is a part of the organization's API key.
    pub fn is_of_login(&self) -> bool {
        [CLIENT_ID.name, CLIENT_SECRET.name].contains(&self.name)
    }
}

/// A secret, and where it was.
#[derive(Clone, Debug)]
pub struct FoundSecret {
    /// The secret itself.
    pub secret: Secret,
    /// Place where it was.
    pub source: SecretSource,
}

/// Place where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Variable of this name.
    Variable(String),
    /// File with this secret alone.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Variable or setting that names it.
        named_by: String,
    },
    /// Command that printed it.
    Command {
        /// Program without its arguments.
        program: String,
        /// Variable or setting that names it.
        named_by: String,
    },
    /// File of systemd's credentials.
    Credential(PathBuf),
    /// File of secrets.
    SecretsFile(PathBuf),
    /// `data.json` itself.
    DataFile,
    /// Secret store of the operating system.
    OsStore,
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::File { path, named_by } => write!(f, "the file {} ({named_by})", path.display()),
            Self::Command { program, named_by } => write!(f, "the command {program} ({named_by})"),
            Self::Credential(path) => write!(f, "the systemd credential {}", path.display()),
            Self::SecretsFile(path) => write!(f, "the secrets file {}", path.display()),
            Self::DataFile => f.write_str("data.json"),
            Self::OsStore => write!(f, "{}", os_store::NAME),
        }
    }
}

/// Place where new secrets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretDestination {
    /// Into `data.json`.
    DataFile,
    /// Into this file of secrets.
    SecretsFile(PathBuf),
    /// Into the secret store of the operating system.
    OsStore,
}

impl fmt::Display for SecretDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataFile => SecretSource::DataFile.fmt(f),
            Self::SecretsFile(path) => SecretSource::SecretsFile(path.clone()).fmt(f),
            Self::OsStore => SecretSource::OsStore.fmt(f),
        }
    }
}

/// What a `None` in a change of secrets means: it is removed.
type Change<'a> = (&'a StorageKeys, Option<&'a Secret>);

/// The secrets of one instance. Cloning shares what was found out.
#[derive(Clone, Debug)]
pub struct Secrets {
    environment: Environment,
    file: DataFile,
    /// The `bwdc.toml` that names the folder of `file`, or could.
    found_by: Option<PathBuf>,
    /// Opened when it is first needed.
    os_store: Arc<OnceCell<std::result::Result<OsStore, String>>>,
    /// What commands printed, by command line.
    printed: Arc<Mutex<HashMap<String, FoundSecret>>>,
    /// Secrets in quotes, by variable.
    quoted: Arc<Mutex<BTreeMap<&'static str, SecretSource>>>,
    tokens: TokenMemory,
}

impl Secrets {
    /// Secrets of the instance with this `data.json`.
    pub fn new(environment: Environment, file: DataFile) -> Self {
        let (os_store, printed, quoted) = (Arc::default(), Arc::default(), Arc::default());
        Self { environment, file, found_by: None, os_store, printed, quoted, tokens: TokenMemory::default() }
    }

    /// Of a folder that was found by this `bwdc.toml`.
    #[must_use]
    pub fn found_by(self, installation: Option<PathBuf>) -> Self {
        Self { found_by: installation, ..self }
    }

    /// The `bwdc.toml` by which the folder was found.
    pub fn installation(&self) -> Option<&Path> {
        self.found_by.as_deref()
    }

    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub fn with_tokens(self, tokens: TokenMemory) -> Self {
        Self { tokens, ..self }
    }

    /// Secrets for a run that is given no variables of theirs: those that a scheduler's finds.
    pub fn without_variables(&self) -> Self {
        let names: Vec<String> = variables().collect();
        Self::new(self.environment.without(&names), self.file.clone()).found_by(self.found_by.clone())
    }

    /// Access tokens of earlier runs of the same program.
    pub fn tokens(&self) -> &TokenMemory {
        &self.tokens
    }

    /// The secret, from the first place that has it.
    pub async fn find(&self, data: &Data, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
        match self.given(data, declared).await? {
            Some(found) => Ok(Some(found)),
            None => self
                .kept(data, &declared.storage)
                .await
                .map_err(|error| error.while_doing(looking_for(declared))),
        }
    }

    /// The secret, from a place that is not ours to write to: these come first, and nothing of them is copied.
    pub async fn given(&self, data: &Data, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
        let found = self.given_as_it_is(data, declared).await?;
        if let Some(found) = found.as_ref().filter(|found| is_quoted(&found.secret)) {
            self.quoted.lock().await.insert(declared.variable, found.source.clone());
        }
        Ok(found)
    }

    /// A login that failed; with a hint at quotes that belong to a file and not to the secret.
    pub async fn refused(&self, error: bwdc_connect::Error) -> Error {
        let is_of_credentials = error.kind() == bwdc_connect::ErrorKind::Credentials;
        let error = Error::from(error);
        let quoted = self.quoted.lock().await;
        let Some((variable, source)) = quoted.iter().next().filter(|_| is_of_credentials) else {
            return error;
        };
        let hint = format!(
            "{variable}, from {source}, begins and ends with a quote: if the quotes are not part of the secret, remove them there."
        );
        error.also(&hint)
    }

    async fn given_as_it_is(&self, data: &Data, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
        if let Some(found) = variable::find(&self.environment, declared)? {
            return Ok(Some(found));
        }
        if let Some(command) = command::named(&self.environment, data, declared) {
            if command.is_of_data_file() {
                privileges::check_named(ReferredFile::Secret, &self.file.path(), self.installation())
                    .map_err(|error| error.while_doing(looking_for(declared)))?;
            }
            return self.printed_by(&command, declared).await.map(Some);
        }
        self.written_down(data, declared)
    }

    /// Value of one that is no secret and only to be looked at, from outside: a command could ask somebody.
    pub fn given_without_command(
        &self,
        data: &Data,
        declared: &DeclaredSecret,
    ) -> Result<Option<FoundSecret>> {
        match variable::find(&self.environment, declared)? {
            Some(found) => Ok(Some(found)),
            None => self.written_down(data, declared),
        }
    }

    /// In a file of the system's or of the administrator's.
    fn written_down(&self, data: &Data, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
        if let Some(found) = variable::find_by_setting(data, self.file.folder(), declared)? {
            // Root can read every file: who names it must be root.
            privileges::check_named(ReferredFile::Secret, &self.file.path(), self.installation())
                .map_err(|error| error.while_doing(looking_for(declared)))?;
            return Ok(Some(found));
        }
        if let Some(found) = credentials::find(&self.environment, declared)? {
            return Ok(Some(found));
        }
        let Some(path) = self.secrets_file(data) else { return Ok(None) };
        secrets_file::find(&path, declared)
    }

    /// Refuses root a file that a setting names, where somebody else could have set it.
    pub(crate) fn check_file(&self, setting: &str) -> Result<()> {
        privileges::check_named(ReferredFile::File(setting), &self.file.path(), self.installation())
    }

    /// Runs a command once, however often its secret is asked for: a password manager may ask somebody each time.
    async fn printed_by(&self, command: &command::Command, declared: &DeclaredSecret) -> Result<FoundSecret> {
        let mut printed = self.printed.lock().await;
        if let Some(found) = printed.get(&command.line) {
            return Ok(found.clone());
        }
        let found = command.run(declared).await?;
        printed.insert(command.line.clone(), found.clone());
        Ok(found)
    }

    /// The secret, from where it was kept.
    pub async fn kept(&self, data: &Data, keys: &StorageKeys) -> Result<Option<FoundSecret>> {
        let written = keys.place.written_in(data);
        if let Some(text) = written.filter(|text| *text != STORED_SECURELY) {
            return Ok(Some(FoundSecret { secret: Secret::from(text), source: SecretSource::DataFile }));
        }
        if self.environment.is_true(env::PLAINTEXT_SECRETS) && written.is_none() {
            return Ok(None);
        }
        let store = match self.os_store().await {
            Ok(store) => store,
            // Nobody said that it is there.
            Err(_) if written.is_none() => return Ok(None),
            Err(why) => return Err(no_store(why)),
        };
        for account in keys.accounts(data) {
            if let Some(secret) = store.get(&account).await.map_err(no_store)? {
                return Ok(Some(FoundSecret { secret, source: SecretSource::OsStore }));
            }
        }
        match written {
            None => Ok(None),
            Some(_) => Err(Error::new(format!(
                "data.json says that it is in {}, but it is not there for this user.",
                os_store::NAME
            ))
            .hint("Save it again, or run as the user who saved it.")),
        }
    }

    /// Why the operating system's store cannot be used, if that is so and it would be.
    pub async fn why_no_store(&self, data: &Data) -> Option<Error> {
        match self.destination(data) {
            SecretDestination::OsStore => self.os_store().await.as_ref().err().map(no_store),
            SecretDestination::DataFile | SecretDestination::SecretsFile(_) => None,
        }
    }

    /// Where new secrets go.
    pub fn destination(&self, data: &Data) -> SecretDestination {
        if self.environment.is_true(env::PLAINTEXT_SECRETS) {
            return SecretDestination::DataFile;
        }
        self.secrets_file(data).map_or(SecretDestination::OsStore, SecretDestination::SecretsFile)
    }

    /// The secrets file, if one is named or the usual one is there. In the folder of a machine with Windows it is the place in any case: the
    /// system's store is a user's there, and no service's.
    pub(crate) fn secrets_file(&self, data: &Data) -> Option<PathBuf> {
        let folder = self.file.folder();
        if let Some(path) = self.environment.path(env::SECRETS_FILE) {
            return Some(path);
        }
        let set = FILE.stored(data).and_then(Value::as_str);
        if let Some(path) = set.filter(|path| !path.trim().is_empty()) {
            return Some(place::resolve(folder, path));
        }
        let usual = folder.join(secrets_file::USUAL_NAME);
        let is_used = usual.exists() || place::is_of_machine(&self.environment, folder);
        is_used.then_some(usual)
    }

    /// Closes a folder of the machine's to all but the system, its administrators and the service, before anything is written there. Any
    /// other folder stays as it is.
    ///
    /// # Errors
    /// Somebody else has made it, or its rights cannot be set.
    pub fn make_private(&self, folder: &Path) -> Result<()> {
        match place::of_machine(&self.environment) {
            Some(machine) if place::is_of_machine(&self.environment, folder) => {
                make_private_folder(&machine, folder)
            }
            _ => Ok(()),
        }
    }

    /// Keeps secrets, or removes them, together with another change of `data.json`.
    pub async fn keep(
        &self,
        changes: &[Change<'_>],
        also: impl FnOnce(&mut Data) -> Result<()>,
    ) -> Result<SecretDestination> {
        let data = self.file.load()?;
        let destination = self.destination(&data);
        match &destination {
            SecretDestination::DataFile => {}
            SecretDestination::SecretsFile(path) => self.keep_in_file(path, &in_secrets_file(changes))?,
            SecretDestination::OsStore => self.keep_in_store(&data, changes).await?,
        }
        self.file.update(|data| {
            for (keys, secret) in changes {
                keys.place.write(data, *secret, &destination);
            }
            also(data)
        })?;
        Ok(destination)
    }

    /// A token of a sync is not in the file: only what is written there has the folder looked at.
    fn keep_in_file(&self, path: &Path, changes: &[(&'static str, Option<&Secret>)]) -> Result<()> {
        let of_machine = path.parent().filter(|folder| place::is_of_machine(&self.environment, folder));
        let form = of_machine.map_or(Form::Plain, |_| Form::Sealed);
        if let Some(folder) = of_machine.filter(|_| !changes.is_empty()) {
            self.make_private(folder)?;
        }
        secrets_file::change(path, form, changes)
    }

    /// Where there is no store, there is nothing to remove from it.
    async fn keep_in_store(&self, data: &Data, changes: &[Change<'_>]) -> Result<()> {
        let is_removal = changes.iter().all(|(_, secret)| secret.is_none());
        let store = match self.os_store().await {
            Ok(store) => store,
            Err(_) if is_removal => return Ok(()),
            Err(why) => return Err(no_store(why)),
        };
        for (keys, secret) in changes {
            match secret {
                Some(secret) => store.set(&keys.account(data), secret).await.map_err(no_store)?,
                None => {
                    for account in keys.accounts(data) {
                        store.delete(&account).await.map_err(no_store)?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn os_store(&self) -> &std::result::Result<OsStore, String> {
        self.os_store.get_or_init(OsStore::open).await
    }
}

fn looking_for(declared: &DeclaredSecret) -> String {
    format!("Looking for the secret {}", declared.name)
}

/// What is not given from outside, such as the access token, is not in the secrets file either.
fn in_secrets_file<'a>(changes: &[Change<'a>]) -> Vec<(&'static str, Option<&'a Secret>)> {
    let variable = |keys: &StorageKeys| {
        ALL.into_iter().find(|declared| declared.storage == *keys).map(|declared| declared.variable)
    };
    changes.iter().filter_map(|(keys, secret)| Some((variable(keys)?, *secret))).collect()
}

impl DataKey {
    fn written_in(self, data: &Data) -> Option<&str> {
        match self {
            Top(name) => data.text(name),
            InSection(section, name) => {
                data.section(section).value(name)?.as_str().filter(|text| !text.trim().is_empty())
            }
        }
    }

    fn write(self, data: &mut Data, secret: Option<&Secret>, destination: &SecretDestination) {
        match (self, secret, destination) {
            (Top(name), Some(secret), SecretDestination::DataFile) => data.set(name, secret.reveal()),
            (Top(name), _, _) => data.remove(name),
            (InSection(section, name), Some(secret), SecretDestination::DataFile) => {
                data.set_in(section, name, secret.reveal());
            }
            (InSection(section, name), Some(_), SecretDestination::OsStore) => {
                data.set_in(section, name, STORED_SECURELY);
            }
            (InSection(section, name), _, _) => data.remove_in(section, name),
        }
    }
}

impl StorageKeys {
    /// Text of it in `data.json`, where it is kept there.
    pub fn written_in<'a>(&self, data: &'a Data) -> Option<&'a str> {
        self.place.written_in(data)
    }

    /// Into data that is not saved.
    pub fn put(&self, data: &mut Data, secret: &Secret) {
        self.place.write(data, Some(secret), &SecretDestination::DataFile);
    }

    /// Out of data that is not saved.
    pub fn take(&self, data: &mut Data) {
        self.place.write(data, None, &SecretDestination::DataFile);
    }

    /// The key in the store under which it is saved.
    fn account(&self, data: &Data) -> String {
        let id = match self.place {
            Top(_) => None,
            InSection(section, _) => data.section(section).value("id").and_then(Value::as_str),
        };
        id.map_or_else(|| self.store_key.to_owned(), |id| format!("{}:{id}", self.store_key))
    }

    /// The keys in the store under which it may be, best first.
    fn accounts(&self, data: &Data) -> Vec<String> {
        let owners = ["activeUserId", key::ORGANIZATION_ID, key::ENTITY_ID];
        let mut accounts = vec![self.account(data), self.store_key.to_owned()];
        for older in self.older_keys {
            match older {
                Key(name) => accounts.push((*name).to_owned()),
                AfterAccount(name) => {
                    let owners = owners.iter().filter_map(|owner| data.text(owner));
                    accounts.extend(owners.map(|owner| format!("{owner}_{name}")));
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        accounts.retain(|account| seen.insert(account.clone()));
        accounts
    }
}

/// The usual server has no secret store: the choices.
fn no_store(why: impl fmt::Display) -> Error {
    Error::new(format!("{} cannot be used: {why}.", capitalized(os_store::NAME))).hint(choices())
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn choices() -> String {
    format!(
        "On a machine without one, choose where secrets are, one of:\n  \
         - a file that only its owner can read: `bwdc config secrets.file {usual}`, then `bwdc login` and `bwdc config ldap.password`\n  \
         - a file each, as Docker and Kubernetes have it: {client}_FILE=/run/secrets/..., BWDC_LDAP_PASSWORD_FILE=...\n  \
         - systemd credentials: LoadCredential=login.clientSecret:/etc/bwdc/client-secret\n  \
         - a command of your password manager: `bwdc config exec.ldap.password \"pass show bwdc/ldap\"`\n  \
         - data.json, in plain text: {plaintext}=true\n\
         See docs/secrets.md.",
        usual = secrets_file::USUAL_NAME,
        client = env::CLIENT_SECRET,
        plaintext = env::PLAINTEXT_SECRETS,
    )
}

/// The content of a file or the output of a command, without the line ends behind it.
fn trimmed(mut text: String) -> Secret {
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Secret::from(text)
}

/// Files for shells and for `docker --env-file` quote differently: what one takes off, the other keeps.
pub fn is_quoted(secret: &Secret) -> bool {
    ['"', '\''].into_iter().any(|quote| {
        let inner = secret.reveal().strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        inner.is_some_and(|inner| !inner.is_empty())
    })
}

/// A secret that is nothing is a mistake: an import must not start with it.
fn not_empty(secret: Secret, source: SecretSource, declared: &DeclaredSecret) -> Result<FoundSecret> {
    if secret.is_empty() {
        return Err(Error::new(format!("{}: {source} is empty.", looking_for(declared)))
            .hint("Put the secret there, or take the source away."));
    }
    Ok(FoundSecret { secret, source })
}

fn cannot_read(declared: &DeclaredSecret, path: &Path, why: impl fmt::Display) -> Error {
    Error::new(format!("{}: reading {}: {why}", looking_for(declared), path.display()))
}
