//! Harms of the past, each by name, from the command line to what the organization holds, on both kinds of server.

mod at_rest;
mod changed_by_hand;
mod leaving;
mod upgrade;
mod vaultwarden;
mod who;

use bwdc_sandbox::{Flavour, Options};

use crate::harness::{Instance, Organization};

pub const BOTH: [Flavour; 2] = [Flavour::Official, Flavour::Vaultwarden];

/// Users `ID,EMAIL[,STATUS]` and groups `ID,NAME,MEMBERS`, as lines.
pub fn scene(flavour: Flavour, users: &str, groups: &str) -> (Organization, Instance) {
    let organization = Organization::start(Options { flavour, ..Options::default() });
    let instance = Instance::files(&people(users), &teams(groups), &organization);
    (organization, instance)
}

fn people(lines: &str) -> String {
    format!("id,email,status\n{lines}")
}

fn teams(lines: &str) -> String {
    format!("id,name,members\n{lines}")
}

pub fn directory(instance: &Instance, users: &str, groups: &str) {
    instance.company(&people(users), &teams(groups));
}

pub fn set(instance: &Instance, name: &str, value: &str) {
    instance.run(&["config", name, value]).ok();
}

/// People with a number each: `first..end`.
fn numbered(first: usize, end: usize) -> String {
    (first..end).map(|at| format!("{at},p{at}@x.org,\n")).collect()
}

impl Organization {
    /// Addresses of those who have access, but the owner's.
    fn active(&self) -> Vec<String> {
        let members = self.sandbox.members().unwrap();
        let active = members.into_iter().filter(|member| member.status != bwdc_sandbox::Status::Revoked);
        active.map(|member| member.email).filter(|email| !email.starts_with("owner@")).collect()
    }

    /// Members of a group who have access.
    fn active_in(&self, name: &str) -> Vec<String> {
        let active = self.active();
        self.group(name).into_iter().filter(|email| active.contains(email)).collect()
    }
}
