//! What `bwdc.toml` and `data.json` say about a job that is to be installed.

#[cfg(unix)]
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bwdc_schedule::times::Schedule;
use bwdc_schedule::{ScheduledJob, Syncs, Writes};

use super::paths::whole;
use bwdc_config::Environment;
use bwdc_config::installation::{self, Installation};
#[cfg(unix)]
use bwdc_config::{env, place, secrets, secrets::DeclaredSecret};
use bwdc_core::error::{Error, Result};
#[cfg(unix)]
use bwdc_store::DataFile;

/// The `bwdc.toml` that a job of this folder will find.
pub(super) fn installation_of(
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

/// When everything is synced by `bwdc.toml`, if it says one time for all.
pub(super) fn same_for_all(installation: &Installation) -> Result<Schedule> {
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
pub(super) fn writes(installation: &Installation, folder: &Path, syncs: Syncs) -> Result<Writes> {
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
pub(super) fn elsewhere_than(folder: &Path, other: Option<&Path>) -> Result<Option<String>> {
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
pub(super) fn secret_files(job: &ScheduledJob) -> Vec<PathBuf> {
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
pub(super) fn secret_files(_job: &ScheduledJob) -> Vec<PathBuf> {
    Vec::new()
}
