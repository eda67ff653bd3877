//! `bwdc web`: the page in the browser.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bwdc_config::env;
use bwdc_config::installation::{Installation, WebAddress, WebRole, WebSection};
use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use bwdc_core::organization::Span;
use bwdc_daemon::signals::Stop;
use bwdc_sync::SyncJob;
use bwdc_web::{Access, CertificateFiles, Instance, Machine, Part, Program, Server, SocketAccess, WebUser};
use clap::{Args, Subcommand};
use jiff::SignedDuration;

use super::daemon::homes;
use super::which::{Which, Wish};
use super::{Interaction, Invocation};
use crate::log;
use crate::ui::{self, Answer, Echo};
use bwdc_config::settings;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Address and port, or path of a socket. Default: web.listen in bwdc.toml, or 127.0.0.1:8444. An address that other machines can
    /// reach needs a certificate and a password.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<WebAddress>,
    #[command(flatten)]
    more: AccessArguments,
    #[command(flatten)]
    which: Which,
}

/// Options that the daemon has as well.
#[derive(Debug, Default, Clone, Args)]
pub(super) struct AccessArguments {
    /// Let the group of a socket's folder connect to it, and not only the owner.
    #[arg(long)]
    web_group: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a link that logs in once.
    Open(OpenArguments),
    /// Ask for a password, or read it from stdin, and print its hash for bwdc.toml.
    Password,
}

#[derive(Debug, Args)]
struct OpenArguments {
    /// Rights of whoever opens the link: `look`, `approve` or `change`.
    #[arg(long, value_name = "ROLE", default_value_t = WebRole::Change)]
    role: WebRole,
    /// Time for which the link can be opened: at most 24h.
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "10m")]
    lasts: Span,
    #[command(flatten)]
    which: Which,
}

/// An address as it is typed; a relative path starts here.
pub(super) fn address(text: &str) -> std::result::Result<WebAddress, String> {
    match text.parse()? {
        WebAddress::Socket(path) => {
            std::path::absolute(path).map(WebAddress::Socket).map_err(|error| error.to_string())
        }
        tcp @ WebAddress::Tcp(SocketAddr::V4(_) | SocketAddr::V6(_)) => Ok(tcp),
    }
}

fn time(text: &str) -> std::result::Result<Span, String> {
    let time = settings::length(text).map(|length| Span(length.as_secs()));
    time.filter(|time| *time <= Span::DAY)
        .ok_or_else(|| "it must be a time such as 10m or 1h, at most 24h".to_owned())
}

impl Arguments {
    /// The instances that it is about.
    pub(super) fn which(&self) -> Option<&Which> {
        match &self.action {
            None => Some(&self.which),
            Some(Action::Open(arguments)) => Some(&arguments.which),
            Some(Action::Password) => None,
        }
    }
}

pub(super) async fn run(
    arguments: Arguments,
    invocation: Invocation,
    interaction: Interaction,
) -> Result<Answer> {
    let Arguments { action, listen, more, which } = arguments;
    match action {
        None => serve(listen, &more, &which, invocation).await,
        Some(Action::Open(arguments)) => open(&arguments, &invocation),
        Some(Action::Password) => password(interaction),
    }
}

async fn serve(
    listen: Option<WebAddress>,
    more: &AccessArguments,
    which: &Which,
    invocation: Invocation,
) -> Result<Answer> {
    let style = invocation.style;
    if !style.quiet {
        log::on_stderr(&invocation.setup.log);
    }
    let mut stop = Stop::listen()?;
    let server = server(listen, more, which, invocation).await?;
    if !style.quiet {
        ui::say(&format!("The page is served at {}. To log in: bwdc web open", server.url()));
    }
    let changes = server.changes();
    tokio::select! {
        () = server.run() => {}
        () = stop.asked() => tracing::info!("the page was asked to end"),
    }
    tokio::select! {
        () = changes.ended() => {}
        () = stop.asked() => tracing::warn!("asked a second time: a change under way is cut off"),
    }
    Ok(Answer::Nothing)
}

/// The page, listening.
pub(super) async fn server(
    listen: Option<WebAddress>,
    more: &AccessArguments,
    which: &Which,
    invocation: Invocation,
) -> Result<Server> {
    let web = invocation.setup.installation.as_ref().map(|found| found.web.clone());
    let address = listen.or_else(|| web.as_ref()?.listen.clone()).unwrap_or_default();
    let access = access(address, more, web)?;
    let homes = homes(which, &invocation)?;
    let program = program(which, &invocation);
    let which = which.clone();
    let invocation = Arc::new(invocation.quietly());
    let configured = Arc::clone(&invocation);
    let users = Box::new(move || users(configured.again()?.setup.installation.map(|found| found.web)));
    let instances = Box::new(move || instances(&which, &invocation.again()?));
    bwdc_web::listen(access, Machine { homes, instances, users, program }).await
}

fn access(address: WebAddress, more: &AccessArguments, web: Option<WebSection>) -> Result<Access> {
    let socket = if more.web_group { SocketAccess::Group } else { SocketAccess::Owner };
    let Some(WebSection { hosts, certificate, key, .. }) = web else {
        return Ok(Access { address, hosts: Vec::new(), certificate: None, socket });
    };
    let certificate = match (certificate, key) {
        (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
        (None, None) => None,
        _ => {
            return Err(Error::new("Only one of web.certificate and web.key is set in bwdc.toml.")
                .hint("Set both, or neither."));
        }
    };
    Ok(Access { address, hosts, certificate, socket })
}

/// Who logs in with a password.
fn users(web: Option<WebSection>) -> Result<Vec<WebUser>> {
    let user = |(name, hash, role): (String, String, WebRole)| {
        let password = hash
            .parse()
            .map_err(|why| Error::new(format!("web.user.{name}.hash in bwdc.toml is no hash: {why}.")))?;
        Ok(WebUser { name, password, role })
    };
    web.map(|web| web.users).unwrap_or_default().into_iter().map(user).collect()
}

/// What was given on the command line, for the commands that the page starts.
fn program(which: &Which, invocation: &Invocation) -> Program {
    let options = &invocation.options;
    let absolute =
        |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone()).into_os_string();
    let config = options.config.as_ref().map(|path| (env::CONFIG, absolute(path)));
    let log_file = options.log_file.as_ref().map(|path| (env::LOG_FILE, absolute(path)));
    let log_format = options.log_format.as_ref().map(|format| (env::LOG_FORMAT, format.into()));
    let variables = config.into_iter().chain(log_file).chain(log_format).collect();
    Program { variables, all: which.arguments() }
}

fn instances(which: &Which, invocation: &Invocation) -> Result<Vec<Instance>> {
    let installation = invocation.setup.installation.as_ref();
    let jobs = which.standing(invocation, Wish::Test)?;
    Ok(jobs.iter().map(|job| instance(job, installation)).collect())
}

fn instance(job: &SyncJob, installation: Option<&Installation>) -> Instance {
    let is_named =
        |name: &str| installation.is_some_and(|found| found.instances.iter().any(|known| known.name == name));
    // In one word: a name may begin with a hyphen.
    let by_name = |name: &str| vec![format!("--instance={name}").into()];
    let parts: Vec<Part> = job
        .contexts()
        .into_iter()
        .map(|context| {
            let folder = context.file.folder().to_owned();
            let selection = match job {
                SyncJob::Usual(_) => Vec::new(),
                _ if is_named(&context.name) => by_name(&context.name),
                _ => vec!["--appdata".into(), folder.clone().into()],
            };
            Part { name: context.name.clone(), folder, selection }
        })
        .collect();
    let selection = match (job, parts.first()) {
        (SyncJob::Merged(merge), _) => by_name(&merge.name),
        (_, Some(part)) => part.selection.clone(),
        (_, None) => Vec::new(),
    };
    Instance { name: job.name().to_owned(), parts, selection }
}

fn open(OpenArguments { role, lasts, which }: &OpenArguments, invocation: &Invocation) -> Result<Answer> {
    let places = places_of_page(which, invocation)?;
    let lasts = SignedDuration::from_secs(i64::try_from(lasts.0).unwrap_or(600));
    bwdc_web::open_link(&places, *role, lasts).map(|link| Answer::Text(Some(link)))
}

/// Where to look for a page of these instances, which may be one of all that `bwdc.toml` names.
fn places_of_page(which: &Which, invocation: &Invocation) -> Result<Vec<PathBuf>> {
    let mut places = homes(which, invocation)?;
    if invocation.setup.installation.is_some() {
        places.extend(homes(&Which::default(), invocation)?);
    }
    Ok(places)
}

fn password(interaction: Interaction) -> Result<Answer> {
    let ask = |question: &str| {
        let answer = ui::ask(question, Echo::Hidden)
            .map_err(|error| Error::new(format!("Asking for the password: {error}")))?;
        answer.map(Secret::from).ok_or_else(|| Error::new("No password was given."))
    };
    let password = ask("Password:")?;
    if interaction == Interaction::Terminal && ui::is_typed() && ask("Again:")? != password {
        return Err(Error::new("The two are not the same.").hint("Nothing was made; run it again."));
    }
    bwdc_web::hash(&password).map(|hash| Answer::Text(Some(hash)))
}
