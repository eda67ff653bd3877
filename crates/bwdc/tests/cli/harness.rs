//! Instance in a folder of its own, isolated from the caller's environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bwdc_sandbox::{Member, Options, Sandbox};
use bwdc_testkit::Slapd;
use bwdc_testkit::slapd::PASSWORD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The request that imports.
pub const IMPORT: &str = "POST /api/public/organization/import";

pub struct Organization {
    pub sandbox: Sandbox,
    // After the sandbox, which runs on it.
    _runtime: Runtime,
}

impl Organization {
    pub fn start(options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        Self { sandbox, _runtime: runtime }
    }

    /// Addresses of everybody but the owner.
    pub fn emails(&self) -> Vec<String> {
        let members = self.sandbox.members().unwrap();
        members.into_iter().map(|member| member.email).filter(|email| !email.starts_with("owner@")).collect()
    }

    pub fn group(&self, name: &str) -> Vec<String> {
        let groups = self.sandbox.groups().unwrap();
        groups
            .into_iter()
            .find(|group| group.name == name)
            .unwrap_or_else(|| panic!("no group {name}"))
            .members
    }

    pub fn imports(&self) -> usize {
        self.sandbox.imports().unwrap()
    }

    /// API requests while something is done, in order, without logins.
    pub fn requests_of(&self, work: impl FnOnce()) -> Vec<String> {
        let before = self.sandbox.requests().len();
        work();
        let mut requests = self.sandbox.requests().split_off(before);
        requests.retain(|request| request.contains(" /api/"));
        requests
    }

    /// Those of them that change something.
    pub fn changes_of(&self, work: impl FnOnce()) -> Vec<String> {
        let mut requests = self.requests_of(work);
        requests.retain(|request| !request.starts_with("GET "));
        requests
    }

    pub fn member(&self, email: &str) -> Option<Member> {
        self.sandbox.members().unwrap().into_iter().find(|member| member.email == email)
    }
}

pub struct Instance {
    pub folder: TempDir,
    pub environment: Vec<(String, String)>,
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Expects a failure as JSON, on stdout.
    #[track_caller]
    pub fn fails_with_response(self, words: &str) {
        let told: Value = serde_json::from_str(&self.out).unwrap();
        assert_eq!((self.code, &told["success"]), (1, &json!(false)), "{}", self.out);
        assert!(self.out.contains(words) && told["message"].is_string(), "{}", self.out);
    }

    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

impl Instance {
    /// Instance with nothing configured.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("bwdc-test-").tempdir().unwrap();
        let appdata = folder.path().join("data").display().to_string();
        let environment = [
            ("HOME", folder.path().display().to_string()),
            ("BITWARDENCLI_CONNECTOR_APPDATA_DIR", appdata),
            ("BITWARDENCLI_CONNECTOR_PLAINTEXT_SECRETS", "true".to_owned()),
            ("BWDC_RETRY_SECONDS", "0.5".to_owned()),
        ];
        Self { folder, environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec() }
    }

    /// Instance for an LDAP directory and an organization, with the API key in the environment.
    pub fn ldap(slapd: &Slapd, organization: &Organization) -> Self {
        let mut instance = Self::empty();
        instance.write(&ldap_data(slapd, &organization.sandbox.url()));
        instance.key(&organization.sandbox);
        instance
    }

    /// Instance for files and an organization.
    pub fn files(users: &str, groups: &str, organization: &Organization) -> Self {
        let mut instance = Self::empty();
        instance.company(users, groups);
        instance.write(&json!({
            "stateVersion": 8,
            "environmentUrls": { "base": organization.sandbox.url() },
            "directoryType": "file",
            "directoryFile": { "path": "company" },
            "sync": { "users": true, "groups": true },
        }));
        instance.key(&organization.sandbox);
        instance
    }

    pub fn company(&self, users: &str, groups: &str) {
        let company = self.data_folder().join("company");
        fs::create_dir_all(&company).unwrap();
        fs::write(company.join("users.csv"), users).unwrap();
        fs::write(company.join("groups.csv"), groups).unwrap();
    }

    /// Puts the organization's API key into the environment.
    pub fn key(&mut self, sandbox: &Sandbox) {
        self.set_env("BW_CLIENTID", &sandbox.client_id());
        self.set_env("BW_CLIENTSECRET", sandbox.client_secret());
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.unset_env(name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset_env(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn data_file(&self) -> PathBuf {
        self.data_folder().join("data.json")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.data_file()).unwrap()
    }

    pub fn data(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    pub fn write(&self, data: &Value) {
        fs::create_dir_all(self.data_folder()).unwrap();
        fs::write(self.data_file(), serde_json::to_string_pretty(data).unwrap()).unwrap();
        fs::set_permissions(self.data_file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes a `bwdc.toml` beside `data.json`.
    pub fn toml(&self, text: &str) {
        fs::write(self.data_folder().join("bwdc.toml"), text).unwrap();
    }

    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut data = self.data();
        change(&mut data);
        self.write(&data);
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_bwdc")), arguments)
    }

    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().stdin(Stdio::null()).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs `init` without questions, for an LDAP server without TLS.
    pub fn init(&self, organization: &Organization, port: u16, user: &str, more: &[&str]) -> Ran {
        let url = organization.sandbox.url();
        let settings = [
            "ldap.hostname=127.0.0.1".to_owned(),
            "ldap.ssl=false".to_owned(),
            format!("ldap.port={port}"),
            format!("ldap.username={user}"),
        ];
        let mut arguments = vec!["--nointeraction", "init", "--server", &url, "--directory", "ldap"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        arguments.extend(more);
        self.run(&arguments)
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

pub fn ldap_data(slapd: &Slapd, url: &str) -> Value {
    json!({
        "stateVersion": 8,
        "environmentUrls": { "base": url, "api": null, "identity": null, "webVault": null },
        "directoryType": 0,
        "directoryLdap": {
            "ssl": false, "startTls": false, "hostname": "127.0.0.1", "port": slapd.port(),
            "rootPath": "dc=example,dc=org", "username": slapd.reader(), "password": PASSWORD,
            "ad": false, "pagedSearch": true,
        },
        "sync": {
            "users": true, "groups": true, "userObjectClass": "inetOrgPerson", "userPath": "ou=people",
            "userEmailAttribute": "mail", "groupObjectClass": "groupOfNames", "groupPath": "ou=groups",
            "groupNameAttribute": "cn", "memberAttribute": "member", "revisionDateAttribute": null,
        },
    })
}

/// Reports that a test cannot run on this machine; `scripts/test` counts these lines.
#[expect(clippy::print_stderr, reason = "the summary is counted from it")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Folder of what `scripts/install-vendor-clients` installs.
pub fn vendor_clients() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let mut folders = exe.ancestors().map(|folder| folder.join("vendor-clients"));
    folders.find(|folder| folder.exists()).expect("run scripts/install-vendor-clients")
}

/// Whether the test runs as root; otherwise it is skipped.
pub fn is_root(what: &str) -> bool {
    let is_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0;
    if !is_root {
        skipped(&format!("only root can {what}"));
    }
    is_root
}
