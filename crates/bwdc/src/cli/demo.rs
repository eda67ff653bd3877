//! `bwdc demo`: the main job on a sample company, from start to end.

use std::collections::BTreeMap;
use std::fs;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use bwdc_core::Prepared;
use bwdc_core::Secret;
use bwdc_core::entry::Status;
use bwdc_core::note::by_cause;
use bwdc_sandbox::{Group, Member, Options, Sandbox};
use clap::Args;
use tempfile::TempDir;

use super::sandbox::start;
use crate::overview::{self, Overview};
use crate::ui::{self, Answer, Style};
use bwdc_config::directories::file;
use bwdc_config::settings::{general, sync};
use bwdc_config::{Environment, env};
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::organization::Span;
use bwdc_daemon::signals::Stop;
use bwdc_store::{DataFile, report};
use bwdc_sync::{Context, ReadPurpose, Reportable as _, SyncJob, rehearse, session};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Keep the folder and the server afterwards; Ctrl-C stops them.
    #[arg(long)]
    keep: bool,
}

const MONDAY: [(&str, &str); 2] = [
    ("users.csv", include_str!("../../sample/monday/users.csv")),
    ("groups.csv", include_str!("../../sample/monday/groups.csv")),
];
const TUESDAY: [(&str, &str); 2] = [
    ("users.csv", include_str!("../../sample/tuesday/users.csv")),
    ("groups.csv", include_str!("../../sample/tuesday/groups.csv")),
];

pub(super) async fn run(arguments: Arguments, style: Style) -> Result<Answer> {
    let stage = Stage::set(style).await?;
    stage.chapter("Monday: a sample company", &company());
    stage.configure()?;
    stage.log_in().await?;
    stage.rehearse().await?;
    stage.sync("The first sync").await?;
    let before = stage.organization()?;
    show(&before);
    stage.sync_again().await?;
    stage.write(&TUESDAY)?;
    stage.chapter(
        "Tuesday: the company has changed",
        "  Nia Campbell joins, Finn Murphy leaves, Noah Fischer moves to Platform, and Web is called Web and mobile.",
    );
    stage.plan().await?;
    stage.sync("The next sync").await?;
    let after = stage.organization()?;
    ui::say(&difference(&before, &after));
    stage.write(&wednesday())?;
    stage.chapter(
        "Wednesday: a whole team is gone",
        "  All of Support are marked as deleted: sold, or a mistake in the export? A sync does not guess.",
    );
    stage.sync_held().await?;
    stage.approve().await?;
    stage.sync("what was approved").await?;
    stage.end(arguments).await?;
    Ok(Answer::Nothing)
}

/// Tuesday's company without the team Support.
fn wednesday() -> [(&'static str, String); 2] {
    let [(users, people), (groups, teams)] = TUESDAY;
    let team = teams.lines().find(|line| line.starts_with("t-support,")).unwrap_or_default();
    let is_gone = |line: &str| line.split(',').next().is_some_and(|id| team.contains(id));
    let people = people
        .lines()
        .map(|line| if is_gone(line) { line.replace(",active,", ",deleted,") } else { line.to_owned() });
    [(users, people.collect::<Vec<_>>().join("\n") + "\n"), (groups, teams.to_owned())]
}

/// The folder, the server and how we run in between.
struct Stage {
    folder: TempDir,
    sandbox: Sandbox,
    style: Style,
    context: Context,
}

/// What the organization holds.
struct Organization {
    members: Vec<Member>,
    groups: Vec<Group>,
}

impl Stage {
    fn job(&self) -> SyncJob {
        SyncJob::Usual(Box::new(self.context.clone()))
    }

    async fn set(style: Style) -> Result<Self> {
        let sandbox = start(Options::default()).await?;
        let folder = tempfile::Builder::new()
            .prefix("bwdc-demo-")
            .tempdir()
            .map_err(|error| Error::new(format!("Making a folder for the demo: {error}")))?;
        let file = DataFile::in_folder(folder.path().join("bwdc"));
        let context = Context::new(file, Environment::for_demo(), Arc::new(ui::Watcher(style)));
        let stage = Self { folder, sandbox, style, context };
        stage.write(&MONDAY)?;
        Ok(stage)
    }

    fn company_folder(&self) -> PathBuf {
        self.folder.path().join("company")
    }

    fn write(&self, files: &[(&str, impl AsRef<str>)]) -> Result<()> {
        let folder = self.company_folder();
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(&folder)?;
            files.iter().try_for_each(|(name, content)| fs::write(folder.join(name), content.as_ref()))
        };
        write().map_err(|error| {
            Error::new(format!("Writing the sample company to {}: {error}", folder.display()))
        })
    }

    fn chapter(&self, title: &str, text: &str) {
        ui::say(&format!("\n{}\n{text}", ui::heading(title, self.style)));
    }

    fn command(&self, command: &str) {
        ui::say(&format!("\n{}", ui::heading(&format!("$ {command}"), self.style)));
    }

    fn configure(&self) -> Result<()> {
        let url = self.sandbox.url();
        self.command(&format!("bwdc config server {url}    # a sandbox organization on this machine"));
        self.command("bwdc config directory file");
        self.command("bwdc config file.path ../company");
        self.context.file.update(|data| {
            general::SERVER.put(data, url);
            general::DIRECTORY.put(data, file::KIND.name);
            file::PATH.put(data, "../company");
            sync::USERS.put(data, true);
            sync::GROUPS.put(data, true);
            sync::REMOVE_DISABLED.put(data, true);
            Ok(())
        })
    }

    async fn log_in(&self) -> Result<()> {
        self.command("bwdc login");
        let Context { file, environment, secrets, .. } = &self.context;
        let client = bwdc_sync::client(file, &file.load()?, environment)?;
        let id = self.sandbox.client_id();
        let credentials = session::credentials(&id, Secret::from(self.sandbox.client_secret()));
        let token = client.token(&credentials).await?;
        session::store(secrets, &credentials, &token).await?;
        ui::say("  You are logged in!");
        Ok(())
    }

    async fn rehearse(&self) -> Result<()> {
        self.command("bwdc test    # what a sync would do; nothing is changed");
        let prepared = rehearse(&self.job(), ReadPurpose::Everything, None).await?;
        ui::say(&summary(&prepared));
        Ok(())
    }

    async fn sync(&self, title: &str) -> Result<()> {
        self.command(&format!("bwdc sync    # {}", title.to_lowercase()));
        let outcome = self.job().sync(report::new_run(), Ok(()), None, pending()).await.result?;
        ui::say(&format!("  {}", outcome.facts().synced()));
        Ok(())
    }

    async fn plan(&self) -> Result<()> {
        self.command("bwdc plan    # what a sync would change, from directory and organization");
        let planned = bwdc_sync::plan(&self.job(), Span::DAY).await?;
        ui::say(&indented(&Overview::from(&planned.document).written(ui::form(self.style))));
        Ok(())
    }

    async fn sync_held(&self) -> Result<()> {
        self.command("bwdc sync    # more people would leave than a sync removes without being told");
        match self.job().sync(report::new_run(), Ok(()), None, pending()).await.result {
            Ok(_) => Err(Error::new("The demo expected a limit to hold the sync back, and none did.")),
            Err(error) if error.exit == Exit::Blocked => {
                ui::say(&indented(&error.message));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn approve(&self) -> Result<()> {
        self.command("bwdc approve --yes    # they have really left");
        let seen = bwdc_sync::plan(&self.job(), Span::DAY).await?.pending;
        let approved = bwdc_sync::approve(&self.job(), &seen).await?;
        ui::say(&format!("  Approved until {}.", overview::time(&approved.until)));
        Ok(())
    }

    async fn sync_again(&self) -> Result<()> {
        self.sync("once more: nothing has changed, so nothing is sent").await
    }

    fn organization(&self) -> Result<Organization> {
        let told = |error| Error::new(format!("Looking into the sandbox: {error}"));
        let members = self.sandbox.members().map_err(told)?;
        Ok(Organization { members, groups: self.sandbox.groups().map_err(told)? })
    }

    async fn end(self, arguments: Arguments) -> Result<()> {
        if !arguments.keep {
            self.sandbox.stop().await;
            ui::say(
                "\nThat was all: the sandbox has stopped and its folder is gone. `bwdc demo --keep` leaves both.",
            );
            return Ok(());
        }
        let mut stop = Stop::listen()?;
        let url = self.sandbox.url();
        ui::say(&format!(
            "\nLeft for playing until Ctrl-C:\n  the company        {company}\n  the organization   {url}/sandbox/members\n  \
             export {folder_variable}={folder} {plaintext}=true\n  bwdc test --pretty",
            company = self.company_folder().display(),
            folder_variable = env::APPDATA_DIR,
            folder = self.context.file.folder().display(),
            plaintext = env::PLAINTEXT_SECRETS,
        ));
        stop.asked().await;
        self.sandbox.stop().await;
        let folder = self.folder.keep();
        ui::say(&format!("\nThe server has stopped; the folder stays: {}", folder.display()));
        Ok(())
    }
}

fn indented(text: &str) -> String {
    let lines =
        text.trim_end().lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    lines.collect::<Vec<_>>().join("\n")
}

fn company() -> String {
    let people = MONDAY[0].1.lines().count() - 1;
    let groups = MONDAY[1].1.lines().count() - 1;
    format!(
        "  {people} people in users.csv, {groups} groups in groups.csv, some inside others; two contain each other."
    )
}

fn summary(prepared: &Prepared) -> String {
    let count = |status: Status| prepared.people.iter().filter(|person| person.status == status).count();
    let mut lines = vec![format!(
        "  {} active, {} disabled and {} deleted people; {} groups",
        count(Status::Active),
        count(Status::Disabled),
        count(Status::Deleted),
        prepared.groups.len()
    )];
    let leavers = prepared.people.iter().filter(|person| person.status != Status::Active);
    lines.extend(leavers.filter_map(|person| {
        Some(format!("  {} would leave ({:?})", person.email.as_ref()?, person.status))
    }));
    lines.extend(
        by_cause(&prepared.notes)
            .iter()
            .map(|note| format!("  note: {}: {}", note.reason, note.entries.join("; "))),
    );
    lines.join("\n")
}

fn show(organization: &Organization) {
    let width = organization.groups.iter().map(|group| group.name.len()).max().unwrap_or(0);
    ui::say(&format!(
        "\n  The organization now: {} members, {} groups",
        organization.members.len(),
        organization.groups.len()
    ));
    for group in &organization.groups {
        let count = group.members.len();
        ui::say(&format!("  {:width$}  {count:>3}  {}", group.name, "#".repeat(count)));
    }
}

/// What is different, by address and by group.
fn difference(before: &Organization, after: &Organization) -> String {
    let emails = |organization: &Organization| -> Vec<String> {
        organization.members.iter().map(|member| member.email.clone()).collect()
    };
    let mut lines = changes("the organization", &emails(before), &emails(after));
    let old: BTreeMap<_, &[String]> =
        before.groups.iter().map(|group| (&group.external_id, &group.members[..])).collect();
    for group in &after.groups {
        let members = old.get(&group.external_id).copied().unwrap_or_default();
        lines.extend(changes(&group.name, members, &group.members));
    }
    lines.join("\n")
}

fn changes(what: &str, before: &[String], after: &[String]) -> Vec<String> {
    let gone =
        before.iter().filter(|email| !after.contains(email)).map(|email| format!("  - {email:30} {what}"));
    let new =
        after.iter().filter(|email| !before.contains(email)).map(|email| format!("  + {email:30} {what}"));
    gone.chain(new).collect()
}
