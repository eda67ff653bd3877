//! Machine with several instances, each in a folder of its own beside the usual one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};
use crate::owner::{NOBODY, give_folder};

pub struct Machine {
    /// The usual folder, which is empty, and the environment.
    pub usual: Instance,
}

impl Machine {
    pub fn new() -> Self {
        Self { usual: Instance::empty() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.usual.folder.path().join(name)
    }

    /// Instances as a package has them: they belong to a user who may only read `bwdc.toml`. As root.
    pub fn of_a_package(names: &[&str], organization: &Organization) -> Self {
        let mut machine = Self::new();
        fs::set_permissions(machine.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(machine.path("etc")).unwrap();
        for name in names {
            machine.add(name, organization, "1,ann@example.org,\n", "");
            machine.change(name, |data| data["sync"]["interval"] = json!(5));
            give_folder(&machine.path(name), NOBODY);
        }
        machine.usual.set_env("BWDC_CONFIG", &machine.path("etc/bwdc.toml").display().to_string());
        machine
    }

    /// Has `bwdc.toml` name these.
    pub fn toml_of_the_package(&self, names: &[&str]) {
        let text: String =
            names.iter().map(|name| format!("[instance.{name}]\nfolder = \"../{name}\"\n")).collect();
        fs::write(self.path("etc/bwdc.toml"), text).unwrap();
    }

    /// Instance with people in a file and a login of its own.
    pub fn add(&self, name: &str, organization: &Organization, users: &str, groups: &str) {
        self.people(name, users, groups);
        self.write(
            name,
            &json!({
                "stateVersion": 8,
                "environmentUrls": { "base": organization.sandbox.url() },
                "directoryType": "file",
                "directoryFile": { "path": "company" },
                "sync": { "users": true, "groups": true },
                "apiKeyClientId": organization.sandbox.client_id(),
                "apiKeyClientSecret": organization.sandbox.client_secret(),
                "organizationId": organization.sandbox.client_id().trim_start_matches("organization."),
            }),
        );
    }

    pub fn people(&self, name: &str, users: &str, groups: &str) {
        let company = self.path(name).join("company");
        fs::create_dir_all(&company).unwrap();
        fs::write(company.join("users.csv"), format!("id,email,status\n{users}")).unwrap();
        fs::write(company.join("groups.csv"), format!("id,name,members\n{groups}")).unwrap();
    }

    pub fn write(&self, name: &str, data: &Value) {
        private(&self.path(name).join("data.json"), &serde_json::to_string_pretty(data).unwrap());
    }

    pub fn data(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name).join("data.json")).unwrap()).unwrap()
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut data = self.data(name);
        change(&mut data);
        self.write(name, &data);
    }

    /// Writes `bwdc.toml` beside the folders; a variable names it.
    pub fn toml(&mut self, text: &str) {
        let path = self.path("bwdc.toml");
        private(&path, text);
        self.usual.set_env("BWDC_CONFIG", &path.display().to_string());
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.usual.run(arguments)
    }

    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        self.usual.command(arguments)
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
