//! What `bwdc.toml` and `data.json` say about a job that is to be installed.

#[cfg(unix)]
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bwdc_schedule::times::Schedule;
use bwdc_schedule::{Job, Machine, Syncs, Writes};

use super::paths::whole;
use bwdc_config::Environment;
use bwdc_config::env;
use bwdc_config::installation::{self, Installation};
#[cfg(unix)]
use bwdc_config::{place, secrets, secrets::DeclaredSecret};
use bwdc_core::error::{Error, Result};
#[cfg(unix)]
use bwdc_store::DataFile;
use bwdc_store::privileges::{self, ReferredFile};

/// The program, for whom and on which machine.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct JobTarget<'a> {
    /// The program's path.
    pub(in crate::cli) program: &'a str,
    /// The folder of bwdc.toml or data.json.
    pub(in crate::cli) folder: &'a str,
    /// The user's name.
    pub(in crate::cli) user: &'a str,
    /// The machine that it is for.
    pub(in crate::cli) machine: Machine,
    /// The log file, where whatever runs the job has no other log.
    pub(in crate::cli) default_log: Option<&'a str>,
}

/// A job, by what was said at the command line and in its `bwdc.toml`.
///
/// # Errors
/// It would fail every time, or somebody else has named its log.
pub(in crate::cli) fn job(
    target: &JobTarget<'_>,
    syncs: Syncs,
    installation: Option<&Installation>,
    variables: &[(String, String)],
) -> Result<Job> {
    let JobTarget { program, folder, user, machine, default_log } = *target;
    let path = Path::new(folder);
    let log_file = value_of(variables, env::LOG_FILE).map(Path::new);
    let written = installation.and_then(Installation::log_file);
    if let Some(found) = installation.filter(|_| written.is_some() && user == ROOT) {
        // The job gets it as a variable, and does not ask any more who has named it.
        privileges::check_named(ReferredFile::Log, &found.path, None)?;
    }
    let writes = installation.map(|installation| writes(installation, path, syncs)).transpose()?;
    let mut writes = writes.unwrap_or_default();
    if let Some(log_file) = log_file.filter(|_| machine == Machine::This) {
        writes.log = elsewhere_than(path, log_file.parent())?;
    }
    let usual = match (log_file, default_log) {
        (None, Some(default)) => {
            let path = written.as_deref().map_or_else(|| Ok(default.to_owned()), whole)?;
            Some((env::LOG_FILE.to_owned(), path))
        }
        _ => None,
    };
    Ok(Job {
        program: program.to_owned(),
        folder: folder.to_owned(),
        syncs,
        writes,
        user: user.to_owned(),
        variables: variables.iter().cloned().chain(usual).collect(),
    })
}

/// The user to whom every file is open.
const ROOT: &str = "root";

/// A variable of a job.
pub(in crate::cli) fn value_of<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
    variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The `bwdc.toml` that a job of this folder will find.
pub(in crate::cli) fn installation_of(
    folder: &Path,
    config: Option<&Path>,
    syncs: Syncs,
) -> Result<Option<Installation>> {
    let nothing = Environment::default();
    match installation::find(config, &nothing, folder)? {
        None if syncs == Syncs::Everything => {
            Err(Error::new(format!("There is no bwdc.toml in {}.", folder.display()))
                .hint("Give it with --config FILE, or leave out --all."))
        }
        found => Ok(found),
    }
}

/// Refuses one secret for several, as which it would count before what each has of its own. A merge has one organization, and so one API key.
pub(in crate::cli) fn check_credentials(
    credentials: &[(String, String)],
    installation: &Installation,
) -> Result<()> {
    let instances = installation.instances.len();
    let organizations = installation.alone().count() + installation.organizations.len();
    let shared = credentials.iter().find_map(|(name, _)| {
        let is_organizations = name.starts_with("login.");
        let (count, what) =
            if is_organizations { (organizations, "organizations") } else { (instances, "instances") };
        (count > 1)
            .then(|| format!("all {count} {what} in {} the secret {name}", installation.path.display()))
    });
    shared.map_or(Ok(()), |shared| {
        Err(Error::new(format!("--credential would give {shared}, in place of their own."))
            .hint("Leave it out, and keep each instance's secrets in its folder (secrets.env) or name a file to each (secretFile.NAME): docs/secrets.md."))
    })
}

/// When everything is synced by `bwdc.toml`, if it says one time for all.
pub(in crate::cli) fn same_for_all(installation: &Installation) -> Result<Schedule> {
    let alone = installation.alone().map(|instance| instance.schedule.as_ref());
    let mut all = alone.chain(installation.organizations.iter().map(|merge| merge.schedule.as_ref()));
    let first = all.next().flatten();
    let path = installation.path.display();
    match first {
        Some(first) if all.all(|other| other == Some(first)) => first.times(),
        _ => Err(Error::new(format!("{path} has no single schedule for all instances."))
            .hint("Give one, such as --every 15m, or run each on its own schedule with `bwdc daemon`.")),
    }
}

/// Where a job of this folder writes besides it, by what `bwdc.toml` says.
///
/// # Errors
/// That such a job would fail every time.
fn writes(installation: &Installation, folder: &Path, syncs: Syncs) -> Result<Writes> {
    let is_elsewhere = |path: &&Path| !path.starts_with(folder);
    let log = elsewhere_than(folder, installation.log_file().as_deref().and_then(Path::parent))?;
    let instances = match syncs {
        Syncs::Everything => {
            let folders = installation.instances.iter().map(|instance| instance.folder.as_path());
            folders.filter(is_elsewhere).map(whole).collect::<Result<_>>()?
        }
        Syncs::Instance => {
            may_run_alone(installation, folder)?;
            Vec::new()
        }
    };
    Ok(Writes { log, instances })
}

/// A folder, unless it is in the instance's, or that itself.
fn elsewhere_than(folder: &Path, other: Option<&Path>) -> Result<Option<String>> {
    other.filter(|other| !other.starts_with(folder)).map(whole).transpose()
}

fn may_run_alone(installation: &Installation, folder: &Path) -> Result<()> {
    let path = installation.path.display();
    let instance = installation.instance_in(folder);
    let refused = match instance.and_then(|instance| installation.merging(&instance.name)) {
        Some(merge) => {
            format!(
                "{} is merged into {} by {path} and cannot be synced alone.",
                folder.display(),
                merge.name
            )
        }
        None if instance.is_none()
            && !installation.instances.is_empty()
            && !folder.join("data.json").exists() =>
        {
            format!("There is no data.json in {}, but {path} has instances.", folder.display())
        }
        None => return Ok(()),
    };
    Err(Error::new(refused).hint("Use --all to sync all of them."))
}

/// The files with secrets outside the folder that only root can read. They are named by root: on this command line, or in a
/// data.json that nobody else could have written.
#[cfg(unix)]
pub(in crate::cli) fn secret_files(job: &Job) -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = Path::new(&job.folder);
    let is_roots_alone = |path: &Path| {
        path.symlink_metadata().is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0)
    };
    let file = DataFile::in_folder(folder.to_owned());
    let data = if is_roots_alone(folder) && is_roots_alone(&file.path()) { file.load().ok() } else { None };
    let in_data: Vec<PathBuf> = data.map_or_else(Vec::new, |data| {
        let all = secrets::ALL.iter().map(|declared| declared.file).chain([secrets::FILE]);
        let named = all.filter_map(|setting| setting.stored(&data)?.as_str());
        named.map(|path| place::resolve(folder, path)).collect()
    });
    let names =
        secrets::ALL.into_iter().map(DeclaredSecret::file_variable).chain([env::SECRETS_FILE.to_owned()]);
    let names: BTreeSet<String> = names.collect();
    let given = job.variables.iter().filter(|(name, _)| names.contains(name));
    let all = given.map(|(_, path)| PathBuf::from(path)).chain(in_data);
    let is_hidden = |path: &Path| {
        path.symlink_metadata()
            .is_ok_and(|found| found.is_file() && found.uid() == 0 && found.mode() & 0o004 == 0)
    };
    all.filter(|path| !path.starts_with(folder) && is_hidden(path)).collect()
}

#[cfg(not(unix))]
pub(in crate::cli) fn secret_files(_job: &Job) -> Vec<PathBuf> {
    Vec::new()
}
