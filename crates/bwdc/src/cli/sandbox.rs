//! `bwdc sandbox`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use bwdc_sandbox::cloud::entra::{self, Entra};
use bwdc_sandbox::cloud::google::{self, Google};
use bwdc_sandbox::cloud::okta::{self, Okta};
use bwdc_sandbox::cloud::onelogin::{self, OneLogin};
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company};
use bwdc_sandbox::{Exposure, Flavour, Identity, Limits, Options, Sandbox, Staging, Storage};
use clap::{Args, ValueEnum};
use tempfile::TempDir;

use crate::ui::{self, Answer};
use bwdc_config::env;
use bwdc_core::error::{Error, Result};
use bwdc_daemon::signals::Stop;
use bwdc_store::files::write_atomically;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Server to imitate.
    #[arg(long, value_enum, default_value = "official")]
    flavour: FlavourName,
    /// Keep the organization, its id and its API key in this SQLite file. Default: in memory only.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Port to listen on; 0 for any free port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Allow an address that other machines can reach. Some routes require no login.
    #[arg(long)]
    expose: bool,
    /// Apply the limits of Bitwarden's cloud.
    #[arg(long)]
    cloud_limits: bool,
    /// Also run a simulated cloud directory with sample people.
    #[arg(long, value_enum)]
    directory: Option<DirectoryName>,
    /// Stage new members whom the client does not want to invite, as the cloud may.
    #[arg(long)]
    staging: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FlavourName {
    Official,
    Vaultwarden,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DirectoryName {
    Entra,
    #[value(alias = "gsuite")]
    Google,
    Okta,
    #[value(name = "onelogin")]
    OneLogin,
}

/// A cloud directory, and how it is read.
struct Played {
    /// Ends when dropped.
    _cloud: Cloud,
    /// What to type, a line each.
    commands: Vec<String>,
    /// Files that are needed meanwhile.
    _files: Option<TempDir>,
}

/// Starts a cloud directory with sample people.
async fn play(directory: DirectoryName) -> std::io::Result<Played> {
    let company = Company::sample();
    let behaviour = Behaviour::default();
    Ok(match directory {
        DirectoryName::Entra => {
            let cloud = Entra::from(&company).start(behaviour).await?;
            let url = cloud.url();
            let commands = vec![
                "bwdc config directory entra".to_owned(),
                format!("bwdc config entra.tenant {}", entra::TENANT),
                format!("bwdc config entra.applicationId {}", entra::APPLICATION),
                format!("export BWDC_ENTRA_LOGIN_URL={url} BWDC_ENTRA_GRAPH_URL={url}"),
                format!("export BWDC_ENTRA_KEY={}", entra::SECRET),
            ];
            Played { _cloud: cloud, commands, _files: None }
        }
        DirectoryName::Okta => {
            let cloud = Okta::from(&company).start(behaviour).await?;
            let commands = vec![
                "bwdc config directory okta".to_owned(),
                format!("bwdc config okta.orgUrl {}", cloud.url()),
                format!("export BWDC_OKTA_TOKEN={}", okta::TOKEN),
            ];
            Played { _cloud: cloud, commands, _files: None }
        }
        DirectoryName::Google => play_google(&company, behaviour).await?,
        DirectoryName::OneLogin => {
            let cloud = OneLogin::from(&company).start(behaviour).await?;
            let commands = vec![
                format!("export BWDC_ONELOGIN_API_URL={}", cloud.url()),
                format!("export BWDC_ONELOGIN_SECRET={}", onelogin::CLIENT_SECRET),
                "bwdc config directory onelogin".to_owned(),
                format!("bwdc config onelogin.clientId {}", onelogin::CLIENT_ID),
            ];
            Played { _cloud: cloud, commands, _files: None }
        }
    })
}

/// The key file says where the token endpoint is.
async fn play_google(company: &Company, behaviour: Behaviour) -> std::io::Result<Played> {
    let cloud = Google::from(company).start(behaviour).await?;
    let files = tempfile::Builder::new().prefix("bwdc-sandbox-").tempdir()?;
    let key_file = files.path().join("service-account-key.json");
    let private = |error: Error| std::io::Error::other(error.message);
    write_atomically(&key_file, google::key_file(&cloud).as_bytes()).map_err(private)?;
    let commands = vec![
        format!("export {}={}", env::GOOGLE_API_URL, cloud.url()),
        "bwdc config directory gsuite".to_owned(),
        format!("bwdc config gsuite.keyFile '{}'", key_file.display()),
        format!("bwdc config gsuite.adminUser {}", google::ADMIN),
        format!("bwdc config gsuite.domain {}", google::DOMAIN),
    ];
    Ok(Played { _cloud: cloud, commands, _files: Some(files) })
}

pub(super) async fn run(arguments: Arguments) -> Result<Answer> {
    let options = Options {
        flavour: match arguments.flavour {
            FlavourName::Official => Flavour::Official,
            FlavourName::Vaultwarden => Flavour::Vaultwarden,
        },
        limits: if arguments.cloud_limits { Limits::Cloud } else { Limits::SelfHosted },
        staging: if arguments.staging { Staging::On } else { Staging::Off },
        identity: Identity::Made,
        storage: arguments.file.map_or(Storage::Memory, Storage::File),
        listen: SocketAddr::new(arguments.address, arguments.port),
        exposure: if arguments.expose { Exposure::AnyAddress } else { Exposure::LoopbackOnly },
    };
    let played = match arguments.directory {
        None => None,
        Some(directory) => Some(
            play(directory)
                .await
                .map_err(|error| Error::new(format!("Starting the sandbox directory: {error}")))?,
        ),
    };
    // So that a temporary folder goes, whoever ends it.
    let mut stop = Stop::listen()?;
    let sandbox = start(options).await?;
    greet(&sandbox, played.as_ref());
    tokio::select! {
        ended = sandbox.run() => ended.map_err(Error::new)?,
        () = stop.asked() => {}
    }
    Ok(Answer::Nothing)
}

/// Says where the sandbox is, and which commands use it.
fn greet(sandbox: &Sandbox, played: Option<&Played>) {
    ui::say(&format!(
        "A sandbox organization is at {url}\n\n  \
         export BITWARDENCLI_CONNECTOR_APPDATA_DIR=./rehearsal BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS=true\n  \
         export BW_CLIENTID={id}\n  \
         export BW_CLIENTSECRET={secret}\n  \
         bwdc config server {url}\n\n\
         Look inside: curl {url}/sandbox/members   (groups, log)\n\
         Ctrl-C ends it.",
        url = sandbox.url(),
        id = sandbox.client_id(),
        secret = sandbox.client_secret(),
    ));
    if let Some(played) = played {
        let commands = played.commands.join("\n  ");
        ui::say(&format!(
            "\nThere is also a directory with sample people:\n\n  {commands}\n  \
             bwdc config sync.users true\n  bwdc config sync.groups true\n  bwdc sync"
        ));
    }
}

/// Starts a sandbox.
pub(super) async fn start(options: Options) -> Result<Sandbox> {
    Sandbox::start(options).await.map_err(|error| Error::new(format!("Starting the sandbox: {error}")))
}
