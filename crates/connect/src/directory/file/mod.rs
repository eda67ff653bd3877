//! People and groups from CSV or JSON files: HR exports, tests, the demo. The formats are in `docs/directory-file.md`.

mod client;
mod config;
mod convert;
mod list;

use std::fs;
use std::path::{self, Component, Path, PathBuf};
use std::sync::Arc;

use bwdc_core::entry::{Group, ReferenceId, User};
use bwdc_core::note::{Note, Step};
use bwdc_core::snapshot::{Coverage, Cursor, Place, Snapshot};

pub use self::config::Config;
use super::lookup::{RawAttribute, Sighted, Sighting, Wanted, attribute};
use super::{Abilities, Ask, CreationTimes, Directory, Progress, ReadScope, Tombstones};
use crate::probe::Check;
use crate::{Error, ErrorKind, Result};

/// Services are often not allowed to see homes and /tmp (`ProtectHome=`, `PrivateTmp=`).
fn where_to_look(path: &Path) -> &'static str {
    let hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
    if hidden.iter().any(|folder| path.starts_with(folder)) {
        "Check file.path. A systemd service may see neither homes nor /tmp: docs/schedule.md shows how to give it access to a folder."
    } else {
        "Check file.path; a relative path starts at the folder of data.json."
    }
}

/// An export that failed looks like this; an empty directory is never intended.
fn nobody(path: &Path) -> Error {
    Error::new(ErrorKind::Incomplete, format!("Reading people from {}", path.display()), "there are no people in it").hint(
        "Check that the export is complete. People who leave stay in the file with a status such as `left`. Nothing was imported.",
    )
}

/// Beginning of the place; the path follows.
const PLACE: &str = "file ";

/// Directory of files.
#[derive(Debug)]
pub struct Files {
    config: Config,
}

impl Files {
    /// Checks that the path exists.
    pub fn open(config: Config) -> Result<Self> {
        let path = &config.path;
        let cannot = |why: &str, next_step: &str| {
            Err(Error::new(ErrorKind::Configuration, format!("Opening {}", path.display()), why)
                .hint(next_step))
        };
        match path.try_exists() {
            Ok(true) => Ok(Self { config }),
            Ok(false) => cannot("there is no such file or folder", where_to_look(path)),
            Err(error) => cannot(
                &error.to_string(),
                "The user who runs bwdc must be able to read it, and to enter the folders above it.",
            ),
        }
    }

    /// Place for what is remembered.
    fn place(&self) -> Place {
        Place::from(format!("{PLACE}{}", spelled_out(&self.config.path).display()))
    }

    fn snapshot(&self, ask: &Ask, progress: &Progress) -> Result<Snapshot> {
        let records = client::read(&self.config.path)?;
        let notes: Vec<Note> = records
            .ignored
            .iter()
            .map(|column| Note::info(Step::Read, column, "unknown columns were ignored"))
            .collect();
        let (users, groups) = convert::convert(records)?;
        if users.is_empty() {
            return Err(nobody(&self.config.path));
        }
        progress.keep(size(&users, &groups))?;
        users.iter().for_each(|_| progress.user());
        groups.iter().for_each(|_| progress.group());
        let (users, others) = if ask.scope.has_users() { (users, Vec::new()) } else { (Vec::new(), users) };
        let groups = if ask.scope.has_groups() { groups } else { Vec::new() };
        let snapshot = Snapshot {
            users,
            others,
            groups,
            other_groups: Vec::new(),
            coverage: Coverage::Full,
            population: Some(format!("file {}", self.config.path.display())),
            place: Some(self.place()),
            created: CreationTimes::default(),
            server_time: None,
            cursor: Cursor::default(),
            notes,
        };
        Ok(snapshot.in_canonical_order())
    }
}

/// Path from the root on, without `.` and `..`. Links are not resolved: one that leads to each day's export names the same directory
/// every day.
fn spelled_out(path: &Path) -> PathBuf {
    let absolute = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut spelled = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(spelled.pop()),
            component => spelled.push(component),
        }
    }
    spelled
}

/// Whether two paths lead to the same file or folder now.
fn is_same_file(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

/// In octets.
fn size(users: &[User], groups: &[Group]) -> usize {
    let of_user = |user: &User| {
        size_of::<User>()
            + 2 * user.external_id.as_str().len()
            + user.email.as_ref().map_or(0, |email| email.as_str().len())
    };
    let of_group = |group: &Group| {
        let members: usize =
            group.members.iter().map(|member| size_of::<ReferenceId>() + member.as_str().len()).sum();
        size_of::<Group>() + 2 * group.external_id.as_str().len() + group.name.len() + members
    };
    users.iter().map(of_user).chain(groups.iter().map(of_group)).sum()
}

impl Directory for Files {
    fn abilities(&self) -> Abilities {
        Abilities { tombstones: Tombstones::Yes }
    }

    fn covers(&self, place: &Place) -> bool {
        let named = place.as_str().strip_prefix(PLACE);
        named.is_some_and(|named| *place == self.place() || is_same_file(Path::new(named), &self.config.path))
    }

    async fn probe(&self, _scope: ReadScope) -> Vec<Check> {
        let path = self.config.path.display();
        match client::read(&self.config.path) {
            Ok(records) if records.users.is_empty() => {
                vec![Check::bad("Directory files", nobody(&self.config.path))]
            }
            Ok(_) => vec![Check::good("Directory files", format!("{path} can be read"))],
            Err(error) => vec![Check::bad("Directory files", error)],
        }
    }

    async fn read(&self, ask: &Ask, progress: &Arc<Progress>) -> Result<Snapshot> {
        self.snapshot(ask, progress)
    }

    async fn look_up(&self, text: &str) -> Result<Vec<Sighting>> {
        let records = client::read(&self.config.path)?;
        Ok(sightings(&records, &Wanted::of(text)))
    }
}

/// Rows with this address, id or name.
fn sightings(records: &client::Records, wanted: &Wanted) -> Vec<Sighting> {
    let at = |place: &client::RecordPosition| format!("{}, {}", place.file.display(), place.at);
    let sighting = |id: &str, kind, place, attributes| Sighting {
        id: Some(id.into()),
        kind,
        at: at(place),
        attributes,
        clauses: Vec::new(),
        disabled_by: Vec::new(),
    };
    let people = records.users.iter().filter(|user| wanted.is_any(&[Some(&user.id), Some(&user.email)]));
    let people = people.map(|user| {
        let (email, status) = (Some(&user.email), Some(&user.status).filter(|status| !status.is_empty()));
        let groups = RawAttribute { name: "groups".to_owned(), values: user.groups.clone() };
        let attributes = vec![
            attribute("id", Some(&user.id)),
            attribute("email", email),
            attribute("status", status),
            groups,
        ];
        let is_marked = status.is_some() && convert::is_marked(&user.status);
        let disabled_by = status.filter(|_| is_marked).map(|status| format!("status={status}"));
        Sighting {
            disabled_by: disabled_by.into_iter().collect(),
            ..sighting(&user.id, Sighted::Person, &user.place, attributes)
        }
    });
    let groups = records.groups.iter().filter(|group| wanted.is_any(&[Some(&group.id), Some(&group.name)]));
    let groups = groups.map(|group| {
        let attributes = vec![
            attribute("id", Some(&group.id)),
            attribute("name", Some(&group.name)),
            attribute("number of members", Some(group.members.len())),
        ];
        sighting(&group.id, Sighted::Group, &group.place, attributes)
    });
    people.chain(groups).collect()
}
