//! Simulated directories, read by the vendors' own clients: the result must be the company.
//!
//! The clients are installed by `scripts/install-vendor-clients`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by panicking"
)]

mod entra;
mod google;
mod okta;
mod onelogin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bwdc_sandbox::cloud::{Behaviour, Company, Status};
use serde_json::Value;

/// Folder used by `scripts/install-vendor-clients`.
fn clients() -> PathBuf {
    let target = std::env::current_exe().unwrap();
    let target = target.ancestors().find(|folder| folder.join("vendor-clients").is_dir());
    target
        .expect("the vendors' clients are not installed: run scripts/install-vendor-clients")
        .join("vendor-clients")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendors").join(name)
}

/// Runs a script for node; it finds the packages beside the copy made at installation.
pub fn node(name: &str, arguments: &[&str]) -> Value {
    told(&mut of_node(name, arguments))
}

/// Runs a script for node, with an authority to trust.
pub fn node_trusting(ca: &Path, name: &str, arguments: &[&str]) -> Value {
    told(of_node(name, arguments).env("NODE_EXTRA_CA_CERTS", ca))
}

fn of_node(name: &str, arguments: &[&str]) -> Command {
    // Modules are looked up beside the script itself. Another test may run the same one meanwhile: it is replaced as a whole.
    let folder = clients().join("node");
    let copy = folder.join(name);
    let file = tempfile::NamedTempFile::new_in(&folder).unwrap();
    std::fs::copy(script(name), file.path()).unwrap();
    file.persist(&copy).unwrap();
    let mut command = Command::new("node");
    command.arg(copy).args(arguments);
    command
}

/// Runs a script for Python, in the environment made at installation.
pub fn python(name: &str, arguments: &[&str]) -> Value {
    told(Command::new(clients().join("python/bin/python")).arg(script(name)).args(arguments))
}

/// Output of a script.
fn told(command: &mut Command) -> Value {
    let output = command.output().expect("starting the vendor's client");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// Two entries on a page, so that there are several pages.
pub fn small_pages() -> Behaviour {
    Behaviour { page: 2, ..Behaviour::default() }
}

/// Addresses of the people of the sample company, by the state of the account.
pub fn emails(status: Status) -> Vec<String> {
    let users = Company::sample().users;
    sorted(users.into_iter().filter(|user| user.status == status).filter_map(|user| user.email))
}

/// Names of the groups of the sample company, and of the people in each.
pub fn memberships() -> BTreeMap<String, Vec<String>> {
    let groups = Company::sample().groups;
    groups.into_iter().map(|group| (group.name, sorted(group.users))).collect()
}

pub fn sorted(list: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = list.into_iter().collect();
    list.sort();
    list
}

/// Text of an entry.
pub fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap_or_else(|| panic!("no {name} in {entry}")).to_owned()
}
