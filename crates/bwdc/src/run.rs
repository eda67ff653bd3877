//! One run: read, prepare, plan, check, import, commit. `sync`, `test` and the demo all come through here; several
//! directories that make one import do in [`merged`].

pub(crate) mod merged;
mod under_way;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bwdc_connect::bitwarden::{self, Client, ServerKind, Token};
use bwdc_connect::directory::{self, Abilities, Ask, Directory as _, Extent, Others, Progress, Tombstones};
use bwdc_core::changes::{Baseline, Basis, Changes, Imported};
use bwdc_core::check::{Cause, Finding, Removals, ServerLimits, Verdict};
use bwdc_core::known::KnownPeople;
use bwdc_core::note::{Note, Step};
use bwdc_core::plan::{Plan, Server, Summary, Target};
use bwdc_core::prepare::Missing;
use bwdc_core::rules::{ExistingMembers, MissingPeople};
use bwdc_core::snapshot::Cursor;
use bwdc_core::{Prepared, Rules, Snapshot};
use jiff::Timestamp;

use self::under_way::Ended;
use crate::log;
use crate::session::{self, Account};
use crate::ui::{self, Style};
use bwdc_config::{Environment, Instance, Secrets, env, installation, server, settings};
use bwdc_core::error::{Error, Exit, Result, shown};
use bwdc_store::errand::{Company, Place};
use bwdc_store::runs;
use bwdc_store::tokens::TokenMemory;
use bwdc_store::{Data, DataFile, LastImport, Memory as _, Remembered, RunLock, Success, SyncTime, iso};

/// What every command of an instance needs.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) file: DataFile,
    pub(crate) environment: Environment,
    pub(crate) secrets: Secrets,
    pub(crate) style: Style,
    /// By which the log and summaries know the instance.
    pub(crate) name: String,
    company: Company,
}

impl Context {
    /// Of a folder without a name: its own.
    pub(crate) fn new(file: DataFile, environment: Environment, style: Style) -> Self {
        let secrets = Secrets::new(environment.clone(), file.clone());
        let name =
            file.folder().file_name().unwrap_or(file.folder().as_os_str()).to_string_lossy().into_owned();
        Self { file, environment, secrets, style, name, company: Company::Alone }
    }

    /// The one in this place.
    pub(crate) fn at(place: Place, environment: Environment, style: Style) -> Self {
        let Place { folder, name, company, found_by } = place;
        let context = Self::new(DataFile::in_folder(folder.into()), environment, style).named(&name);
        Self { company, ..context.found_by(found_by.map(PathBuf::from)) }
    }

    pub(crate) fn place(&self) -> Place {
        let Self { file, secrets, name, company, .. } = self;
        let found_by = secrets.installation().map(OsString::from);
        Place { folder: file.folder().into(), name: name.clone(), company: *company, found_by }
    }

    /// One on which this `bwdc.toml` had a say.
    #[must_use]
    pub(crate) fn found_by(self, installation: Option<PathBuf>) -> Self {
        Self { secrets: self.secrets.found_by(installation), ..self }
    }

    /// One whose folder somebody named, on the command line or in `bwdc.toml`.
    #[must_use]
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// A folder that was named is there; it is not made for a slip of the pen.
    pub(crate) fn check_folder(&self) -> Result<()> {
        let folder = self.file.folder();
        if folder.is_dir() {
            return Ok(());
        }
        Err(Error::new(format!("There is no folder {}.", folder.display()))
            .hint(format!("Correct its name, or set it up: bwdc init --appdata {}", folder.display())))
    }

    /// One of several in this run: warnings say which one, and no line counts.
    #[must_use]
    pub(crate) fn among_others(self) -> Self {
        Self { company: Company::AmongOthers, ..self }
    }

    /// Says something in the log, and on stderr unless that is the journal, which has it from the log.
    pub(crate) fn warn(&self, text: &str) {
        tracing::warn!("{text}");
        if !self.style.has_log() {
            ui::warning(&self.labelled(text), self.style);
        }
    }

    /// With the name before it, where there are others.
    pub(crate) fn labelled(&self, text: &str) -> String {
        match self.company {
            Company::Alone => text.to_owned(),
            Company::AmongOthers => format!("{}: {text}", self.name),
        }
    }

    fn style_of_progress(&self) -> Style {
        Style { quiet: self.style.quiet || self.company == Company::AmongOthers, ..self.style }
    }

    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub(crate) fn with_tokens(self, tokens: TokenMemory) -> Self {
        Self { secrets: self.secrets.with_tokens(tokens), ..self }
    }
}

/// What a sync did.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What was sent; nothing if the server has it already.
    pub(crate) sent: Summary,
    pub(crate) notes: Vec<Note>,
    /// Entries that had to be left out.
    pub(crate) left_out: usize,
    /// Who came and who left, as far as this run did it.
    pub(crate) changes: Changes,
}

/// What `test` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rehearsal {
    /// Everything.
    Everything,
    /// What a sync would read now.
    SinceLastSync,
}

/// Reads, prepares, plans and checks; sends nothing and keeps nothing.
pub(crate) async fn rehearse(context: &Context, what: Rehearsal, removals: Removals) -> Result<Prepared> {
    let data = context.file.load()?;
    let account = account(context, &data).await?;
    let instance = Instance::of(&data, context.file.folder(), &context.environment, &context.secrets).await?;
    warn(&instance, context);
    let remembered = context.file.recall()?;
    let extent = match what {
        Rehearsal::Everything => Extent::Everything,
        Rehearsal::SinceLastSync => since_last_sync(remembered, &account),
    };
    let Some(reading) = read(&instance, extent, context).await? else { return Ok(nothing_read()) };
    let target = Target {
        api_url: server::endpoints(&data)?.api_url().to_owned(),
        organization_id: account.organization_id,
        server: Server::Official,
    };
    let plan = bwdc_core::plan(reading.prepared.clone(), &instance.rules, &target);
    let verdict = bwdc_core::check(&plan, &instance.rules, limits(&data)?, removals, None);
    match verdict {
        Verdict::Blocked(findings) => Err(blocked(&findings)),
        Verdict::NothingToSend | Verdict::Unchanged | Verdict::Ready => Ok(reading.prepared),
    }
}

/// A whole sync.
pub(crate) async fn sync(context: &Context, removals: Removals) -> Result<Outcome> {
    let started = Timestamp::now();
    let data = context.file.load()?;
    not_merged(context, data.remembered().merged_by)?;
    let account = account(context, &data).await?;
    let _lock = lock(context, started)?;
    let data = context.file.load()?;
    let instance = Instance::of(&data, context.file.folder(), &context.environment, &context.secrets).await?;
    warn(&instance, context);
    let organization = Organization::open(context, &data, account)?;
    let token = organization.token().await?;
    let remembered = context.file.recall()?;
    let extent = extent(&instance.rules, remembered.clone(), &organization.account);
    let Some(reading) = read(&instance, extent, context).await? else { return Ok(Outcome::nothing()) };
    let server = organization.server(&reading.prepared).await?;
    let target = Target {
        api_url: organization.client.api_url().to_owned(),
        organization_id: organization.account.organization_id.clone(),
        server,
    };
    let comparison = Comparison::of(context, &target);
    let (changes, imported) =
        Changes::of(comparison.baseline(&remembered), &reading.prepared, &instance.rules, server);
    let plan = bwdc_core::plan(reading.prepared, &instance.rules, &target);
    let last_digest = remembered.digest.as_deref();
    let sent = match bwdc_core::check(&plan, &instance.rules, limits(&data)?, removals, last_digest) {
        Verdict::Blocked(findings) => return Err(blocked(&findings)),
        Verdict::NothingToSend | Verdict::Unchanged => Summary::default(),
        Verdict::Ready => {
            organization.import(&plan, token, &[&context.file]).await?;
            plan.summary
        }
    };
    let changes = done(changes, sent);
    let record = RunRecord {
        file: &context.file,
        started,
        scope: instance.scope,
        digest: plan.digest_of_requests(),
        cursor: &plan.cursor,
        known: reading.known,
        organization_id: &organization.account.organization_id,
        merged_by: None,
    };
    commit(&[record], sent)?;
    comparison.keep(imported);
    Ok(Outcome { sent, left_out: plan.bad_records.len(), notes: notes(plan), changes })
}

/// Import before, with which this one is compared.
struct Comparison<'a> {
    context: &'a Context,
    organization_id: &'a str,
    last: Option<LastImport>,
}

impl<'a> Comparison<'a> {
    fn of(context: &'a Context, target: &'a Target) -> Self {
        let last = context.file.last_import();
        Self { context, organization_id: &target.organization_id, last }
    }

    /// By what an import is compared. What went into another organization says nothing about this one.
    fn baseline(&self, remembered: &Remembered) -> Baseline<'_> {
        let is_same = remembered.organization_id.as_deref() == Some(self.organization_id);
        match &self.last {
            Some(last) if last.organization_id == self.organization_id => Baseline::Known(&last.imported),
            None if is_same && remembered.has_synced() => Baseline::Unknown,
            Some(_) | None => Baseline::Nothing,
        }
    }

    /// A run is worth more than what the next one can tell.
    fn keep(self, imported: Imported) {
        let import = LastImport { organization_id: self.organization_id.to_owned(), imported };
        if self.last.as_ref() == Some(&import) {
            return;
        }
        if let Err(error) = self.context.file.keep_last_import(&import) {
            tracing::warn!("the next run cannot tell who is new: {error}");
        }
    }
}

/// Logs what an import changed, as soon as it did.
fn done(changes: Changes, sent: Summary) -> Changes {
    let changes = if sent.is_nothing() {
        tracing::info!("nothing has changed since the last import, so nothing was sent");
        changes.unsent()
    } else {
        changes
    };
    log::changes(&changes.list);
    changes
}

/// Nobody else syncs the folder meanwhile, and whoever looks sees that a sync is running.
fn lock(context: &Context, started: Timestamp) -> Result<RunLock> {
    let lock = RunLock::take(context.file.folder(), &iso(started))?;
    runs::begin(&context.file, context.environment.started_by(), started);
    Ok(lock)
}

/// A folder that is merged with others is not synced alone: somebody whom only this directory calls deleted may be alive in
/// another, and overwriting would remove everybody who came from there.
fn not_merged(context: &Context, merged_by: Option<PathBuf>) -> Result<()> {
    let Some(path) = merged_by.filter(|path| path.exists()) else {
        return Ok(());
    };
    let folder = context.file.folder();
    let found = installation::find(Some(&path), &context.environment, folder)?;
    let merging = found.as_ref().and_then(|found| found.merging(&found.instance_in(folder)?.name));
    match merging {
        Some(organization) => Err(merged::not_alone(&folder.display(), &organization.name, &path)),
        None => Ok(()),
    }
}

/// Notes, with a warning for each entry that was left out for being wrong.
fn notes(plan: Plan) -> Vec<Note> {
    let left_out =
        plan.bad_records.into_iter().map(|record| Note::warning(Step::Validate, record.problem, "left out"));
    plan.notes.into_iter().chain(left_out).collect()
}

impl Outcome {
    fn nothing() -> Self {
        let note =
            Note::warning(Step::Read, "", "neither sync.users nor sync.groups is on, so nothing was read");
        let changes = Changes { basis: Basis::Unknown, list: Vec::new() };
        Self { sent: Summary::default(), notes: vec![note], left_out: 0, changes }
    }
}

fn nothing_read() -> Prepared {
    Prepared {
        people: Vec::new(),
        groups: Vec::new(),
        notes: Outcome::nothing().notes,
        bad_records: Vec::new(),
        missing: Missing::default(),
        cursor: Cursor::default(),
    }
}

/// One directory, read and decided.
struct Reading {
    prepared: Prepared,
    /// Who is known after this read, if that is worth keeping.
    known: Option<KnownPeople>,
}

/// `None` if neither users nor groups are synced.
async fn read(instance: &Instance, extent: Extent, context: &Context) -> Result<Option<Reading>> {
    let Some(scope) = instance.scope else { return Ok(None) };
    let others = match instance.rules.missing {
        MissingPeople::Remove => Others::Always,
        MissingPeople::Keep => Others::WhenNeeded,
    };
    let (snapshot, abilities) = snapshot(instance, Ask { scope, extent, others }, context).await?;
    let Abilities { tombstones } = abilities;
    if tombstones == Tombstones::No && instance.rules.missing == MissingPeople::Keep {
        let prepared = bwdc_core::prepare(snapshot, &instance.rules, &KnownPeople::default());
        return Ok(Some(Reading { prepared, known: None }));
    }
    let known = context.file.known_people()?;
    let after = known.after(&snapshot);
    let changed = (after != known).then_some(after);
    let prepared = bwdc_core::prepare(snapshot, &instance.rules, &known);
    Ok(Some(Reading { prepared, known: changed }))
}

async fn snapshot(instance: &Instance, ask: Ask, context: &Context) -> Result<(Snapshot, Abilities)> {
    let directory = directory::open(instance.directory.clone())?;
    let progress = Arc::new(Progress::default());
    let reading = directory.read(&ask, &progress);
    let snapshot = match ui::with_progress(&progress, context.style_of_progress(), reading).await {
        Ok(snapshot) => snapshot,
        Err(error) => return Err(context.secrets.refused(error).await),
    };
    let (users, groups) = (snapshot.users.len(), snapshot.groups.len());
    tracing::info!(users, groups, notes = snapshot.notes.len(), "the directory was read completely");
    Ok((snapshot, directory.abilities()))
}

async fn account(context: &Context, data: &Data) -> Result<Account> {
    let account = Account::of(data, &context.secrets).await?;
    if let Some(warning) = &account.warning {
        context.warn(warning);
    }
    let before = data.organization_id().filter(|before| *before != account.organization_id);
    match before {
        Some(before) if context.company == Company::AmongOthers => {
            Err(anothers_key(before, &account.organization_id))
        }
        _ => Ok(account),
    }
}

/// A variable is the same for all instances of a run, and one company's directory must not end up in another's organization.
fn anothers_key(before: &str, now: &str) -> Error {
    Error::new(format!(
        "The API key belongs to organization.{now}, but this folder belongs to organization.{before}. This is refused in a run of several instances."
    ))
    .hint(format!(
        "A variable such as {} applies to all of them: unset it, and give each its own key in its folder's secrets.env. If the folder now belongs to another organization, sync it alone once.",
        env::CLIENT_SECRET
    ))
}

fn warn(instance: &Instance, context: &Context) {
    for warning in &instance.warnings {
        context.warn(warning);
    }
}

/// Overwriting needs everybody.
fn extent(rules: &Rules, remembered: Remembered, account: &Account) -> Extent {
    match rules.existing {
        ExistingMembers::Overwrite => Extent::Everything,
        ExistingMembers::Keep => since_last_sync(remembered, account),
    }
}

/// What was synced into another organization says nothing about this one.
fn since_last_sync(remembered: Remembered, account: &Account) -> Extent {
    let Remembered { organization_id, users_synced, groups_synced, cursor, .. } = remembered;
    if organization_id.as_ref() != Some(&account.organization_id) {
        return Extent::Everything;
    }
    let time = |synced: Option<SyncTime>| synced.and_then(|synced| synced.time());
    Extent::Since { users: time(users_synced), groups: time(groups_synced), cursor }
}

fn limits(data: &Data) -> Result<ServerLimits> {
    let is_cloud = server::endpoints(data)?.is_cloud();
    Ok(if is_cloud { ServerLimits::Cloud } else { ServerLimits::SelfHosted })
}

fn blocked(findings: &[Finding]) -> Error {
    let is_dangerous = findings.iter().any(|finding| finding.cause == Cause::Dangerous);
    let problems: Vec<String> = findings.iter().map(|finding| shown(&finding.problem)).collect();
    let mut next_steps: Vec<&str> = findings.iter().map(|finding| finding.next_step.as_str()).collect();
    next_steps.dedup();
    Error::new(problems.join("\n"))
        .hint(format!("{} Nothing was imported.", next_steps.join(" ")))
        .exit(if is_dangerous { Exit::Blocked } else { Exit::Failure })
}

/// The organization at the other end, and who we are to it.
struct Organization<'a> {
    context: &'a Context,
    client: Client,
    account: Account,
}

fn allows_plain_http(data: &Data) -> bool {
    settings::general::SERVER_ALLOW_PLAIN_HTTP.is_on(data)
}

/// A client for the servers that are configured.
pub(crate) fn client(file: &DataFile, data: &Data, environment: &Environment) -> Result<Client> {
    let endpoints = server::endpoints(data)?;
    if let (Some(url), false) = (endpoints.in_clear(), allows_plain_http(data)) {
        return Err(Error::new(format!(
            "The server {url} is reached by plain http: the API key and everybody's names and addresses would cross the network in clear."
        ))
        .hint(
            "Set the server's https address (bwdc config server https://...). If nobody can listen on that network: bwdc config \
             server.allowPlainHttp true.",
        ));
    }
    let settings = bitwarden::Config {
        endpoints,
        network: environment.network()?,
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        device_id: file.app_id(data)?,
    };
    Ok(Client::new(settings)?)
}

impl<'a> Organization<'a> {
    fn open(context: &'a Context, data: &Data, account: Account) -> Result<Self> {
        let client = client(&context.file, data, &context.environment)?;
        if let Some(url) = server::endpoints(data)?.in_clear() {
            context.warn(&format!(
                "{url} is reached by http (server.allowPlainHttp): the API key and everybody's names cross the network in clear."
            ));
        }
        Ok(Self { context, client, account })
    }

    async fn token(&self) -> Result<Token> {
        self.account.token(&self.client, &self.context.file, &self.context.secrets).await
    }

    /// Who answers there; asked only when it makes a difference.
    async fn server(&self, prepared: &Prepared) -> Result<Server> {
        if !prepared.depends_on_server() {
            return Ok(Server::Official);
        }
        Ok(match self.client.server_kind().await? {
            ServerKind::Vaultwarden => Server::Vaultwarden,
            ServerKind::Official | ServerKind::Other(_) => Server::Official,
        })
    }

    /// `files` are those of the folders that are synced by it.
    async fn import(&self, plan: &Plan, token: Token, files: &[&DataFile]) -> Result<()> {
        under_way::begin(self.context, files).await?;
        let Err(failed) = self.send(plan, token).await else { return Ok(()) };
        under_way::failed(files, failed.ended)?;
        Err(failed.error)
    }

    async fn send(&self, plan: &Plan, mut token: Token) -> std::result::Result<(), FailedImport> {
        let count = plan.requests.len();
        for (request, number) in plan.requests.iter().zip(1..) {
            if !token.is_fresh(Timestamp::now()) {
                token = self.token().await.map_err(FailedImport::before)?;
            }
            let sent = match self.client.import(&token, request).await {
                Err(error) if error.kind() == bwdc_connect::Kind::Credentials => {
                    token = self.renew(error).await.map_err(FailedImport::before)?;
                    self.client.import(&token, request).await
                }
                other => other,
            };
            if let Err(error) = sent {
                let ended = match error.kind() {
                    bwdc_connect::Kind::Unclear => Ended::Unclear,
                    _ => Ended::Surely,
                };
                return Err(FailedImport { error: self.explain(error, number, count).await, ended });
            }
        }
        Ok(())
    }

    /// A refused token is dropped, and the key tried once for another.
    async fn renew(&self, refused: bwdc_connect::Error) -> Result<Token> {
        session::forget_token(&self.context.secrets).await?;
        let again = self.account.new_token(&self.client, &self.context.file, &self.context.secrets).await;
        again.map_err(|error| Error::from(refused).hint(error.to_string()))
    }

    async fn explain(&self, error: bwdc_connect::Error, number: usize, count: usize) -> Error {
        if error.kind() == bwdc_connect::Kind::Credentials
            && let Err(other) = session::forget_token(&self.context.secrets).await
        {
            return other;
        }
        let error = Error::from(error);
        if count == 1 {
            return error;
        }
        error.while_doing(format!(
            "Batch {number} of {count} failed (the {} before it were imported; the next run repeats all)",
            number - 1
        ))
    }
}

/// An import that failed, and whether the server has done with it.
struct FailedImport {
    error: Error,
    ended: Ended,
}

impl FailedImport {
    /// It failed before a request was sent that nobody has answered.
    fn before(error: Error) -> Self {
        Self { error, ended: Ended::Surely }
    }
}

/// What a successful run leaves behind in one folder.
struct RunRecord<'a> {
    file: &'a DataFile,
    started: Timestamp,
    scope: Option<directory::Scope>,
    /// Absent if there was nothing to say.
    digest: Option<&'a str>,
    cursor: &'a Cursor,
    /// Absent if it is as it was.
    known: Option<KnownPeople>,
    organization_id: &'a str,
    /// The `bwdc.toml` of a merge.
    merged_by: Option<&'a str>,
}

/// Stores what the next run needs. The people come first: should the machine stop between the files, the next run repeats this
/// one, which is safe.
fn commit(records: &[RunRecord<'_>], changed: Summary) -> Result<()> {
    let stored = || -> Result<()> {
        for record in records {
            if let Some(known) = &record.known {
                record.file.keep_known_people(known)?;
            }
        }
        let keep = |record: &RunRecord<'_>| record.file.keep(&record.success());
        records.iter().try_for_each(keep)
    };
    stored().map_err(|error| {
        let Summary { groups, users, .. } = changed;
        error.while_doing(format!(
            "The import was done ({groups} groups, {users} users), but that could not be recorded (the next run \
             repeats it, which is safe)"
        ))
    })
}

impl RunRecord<'_> {
    fn success(&self) -> Success<'_> {
        let if_synced = |is_synced: fn(directory::Scope) -> bool| {
            self.scope.is_some_and(is_synced).then_some(self.started)
        };
        Success {
            organization_id: self.organization_id,
            digest: self.digest,
            cursor: self.cursor,
            users_synced: if_synced(directory::Scope::has_users),
            groups_synced: if_synced(directory::Scope::has_groups),
            merged_by: self.merged_by,
        }
    }
}
