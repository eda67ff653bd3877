//! A process's user, and whom folders belong to.

use std::ffi::CString;
use std::fmt;
use std::fs::FileType;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd;

use super::ReferredFile;
use bwdc_core::error::{Error, Result};

const ROOT: u32 = 0;

/// User whom a folder belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process's own user; also whenever that is not root, since nobody else can become another.
    Ourselves,
    /// Another user, whom root can become.
    Another(SystemUser),
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemUser {
    uid: u32,
    gid: u32,
    /// As in /etc/passwd; a container may have folders of users that it has no names for.
    account: Option<Account>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    name: String,
    home: PathBuf,
    groups: Groups,
}

/// Groups of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Groups {
    /// As the C library finds them.
    OfTheLibrary,
    /// As the system's tools told them.
    These(Vec<u32>),
}

/// A user whom the C library does not know, as the system's tools tell it: a static program reads /etc/passwd alone, and this is how
/// it learns of users of a directory (NSS: sssd, winbind).
fn system_knows(uid: u32) -> Option<SystemUser> {
    let (name, gid, home) = passwd_entry(&answer_of("getent", &["passwd", &uid.to_string()])?)?;
    let groups = answer_of("id", &["-G", &name])?;
    let groups = groups.split_whitespace().map(|group| group.parse().ok()).collect::<Option<_>>()?;
    Some(SystemUser { uid, gid, account: Some(Account { name, home, groups: Groups::These(groups) }) })
}

/// Name, group and home in a line of passwd(5).
fn passwd_entry(line: &str) -> Option<(String, u32, PathBuf)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(2)?.parse().ok()?;
    let home = fields.nth(1)?;
    Some((name.to_owned(), gid, PathBuf::from(home)))
}

/// What a tool of the system prints, if it succeeds.
fn answer_of(tool: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

impl fmt::Display for SystemUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(Account { name, .. }) => f.write_str(name),
            None => write!(f, "user {}", self.uid),
        }
    }
}

impl SystemUser {
    fn of(uid: u32, gid: u32) -> Result<Self> {
        let found = unistd::User::from_uid(uid.into())
            .map_err(|error| Error::new(format!("Looking up the user {uid}: {}", error.desc())))?;
        if let Some(user) = found {
            let account = Account { name: user.name, home: user.dir, groups: Groups::OfTheLibrary };
            return Ok(Self { uid, gid: user.gid.as_raw(), account: Some(account) });
        }
        Ok(system_knows(uid).unwrap_or(Self { uid, gid, account: None }))
    }

    /// What to write before a command to run it as this user.
    fn prefix(&self) -> String {
        match &self.account {
            Some(Account { name, .. }) => format!("sudo -u {name}"),
            None => format!("setpriv --reuid {} --regid {} --clear-groups", self.uid, self.gid),
        }
    }

    /// Goes on as this user: takes the user and the groups, then starts this very program again with the same arguments, so that
    /// nothing (a home folder, a session's secret store) is left of root's environment. Returns only if that failed.
    pub fn run_this_program_again(&self, variables: &[(&str, &Path)]) -> Error {
        if let Err(error) = self.take_over() {
            return error;
        }
        let program = program();
        let mut command = Command::new(&program);
        command.arg0(std::env::args_os().next().unwrap_or_default()).args(std::env::args_os().skip(1));
        self.set_environment(&mut command);
        let error = command.envs(variables.iter().copied()).exec();
        Error::new(format!("Starting {} as {self}: {error}", program.display())).hint(
            "Let this user read and run the program: put it into a folder such as /usr/local/bin, with mode 755.",
        )
    }

    fn take_over(&self) -> Result<()> {
        let gid = unistd::Gid::from_raw(self.gid);
        let groups = match &self.account {
            Some(Account { groups: Groups::These(groups), .. }) => {
                unistd::setgroups(&groups.iter().copied().map(unistd::Gid::from_raw).collect::<Vec<_>>())
            }
            Some(Account { name, .. }) => CString::new(name.as_str())
                .map_err(|_| nix::errno::Errno::EINVAL)
                .and_then(|name| unistd::initgroups(&name, gid)),
            None => unistd::setgroups(&[gid]),
        };
        groups
            .and_then(|()| unistd::setgid(gid))
            .and_then(|()| unistd::setuid(self.uid.into()))
            .map_err(|error| {
                Error::new(format!("Going on as {self}, who owns the folder: {}", error.desc())).hint(format!(
                    "Here root may not become another user. Run this as that user ({}), or give the folder to root.",
                    self.prefix()
                ))
            })
    }

    fn set_environment(&self, command: &mut Command) {
        const OF_ROOTS_SESSION: [&str; 9] = [
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "XDG_RUNTIME_DIR",
            "DBUS_SESSION_BUS_ADDRESS",
            "MAIL",
            "KRB5CCNAME",
            "SSH_AUTH_SOCK",
        ];
        for name in OF_ROOTS_SESSION {
            command.env_remove(name);
        }
        if let Some(Account { name, home, .. }) = &self.account {
            command.env("HOME", home).env("USER", name).env("LOGNAME", name);
        } else {
            command.env("HOME", "/").env_remove("USER").env_remove("LOGNAME");
        }
    }
}

/// This very program, also where the user may not enter the folders above it.
fn program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("bwdc"))
}

/// The one user to whom all these folders belong.
///
/// # Errors
/// They belong to several users: a process is one user only.
pub fn owner_of_all(folders: &[PathBuf]) -> Result<Owner> {
    if !unistd::geteuid().is_root() {
        return Ok(Owner::Ourselves);
    }
    let mut owners: Vec<(&PathBuf, Owner)> = Vec::new();
    for folder in folders {
        owners.push((folder, owner(folder)?));
    }
    let Some((first, owner)) = owners.first().cloned() else { return Ok(Owner::Ourselves) };
    match owners.iter().find(|(_, other)| *other != owner) {
        None => Ok(owner),
        Some((folder, other)) => Err(Error::new(format!(
            "The folders belong to different users: {} to {}, {} to {}. One run is one user's.",
            first.display(),
            name(&owner),
            folder.display(),
            name(other)
        ))
        .hint("Run it once for each of the users (--instance, --appdata), run `bwdc daemon`, or give the folders to one user.")),
    }
}

fn name(owner: &Owner) -> String {
    match owner {
        Owner::Ourselves => "root".to_owned(),
        Owner::Another(user) => user.to_string(),
    }
}

fn owner(folder: &Path) -> Result<Owner> {
    let (uid, gid) = responsible(folder)?;
    if uid == ROOT { Ok(Owner::Ourselves) } else { SystemUser::of(uid, gid).map(Owner::Another) }
}

/// The owner of the folder; of the nearest one above it while there is none; and where the way there leads over another
/// user's link, that user: such a link is worth no more than the rights of whoever made it.
fn responsible(folder: &Path) -> Result<(u32, u32)> {
    for part in folder.ancestors().collect::<Vec<_>>().into_iter().rev() {
        match std::fs::symlink_metadata(part) {
            Ok(found) if found.is_symlink() && found.uid() != ROOT => return Ok((found.uid(), found.gid())),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(cannot_look(part, &error)),
        }
    }
    for part in folder.ancestors() {
        match std::fs::metadata(part) {
            Ok(found) => return Ok((found.uid(), found.gid())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(cannot_look(part, &error)),
        }
    }
    Ok((ROOT, ROOT))
}

fn cannot_look(path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("Looking whom {} belongs to: {error}", path.display()))
}

/// Whom a file or the nearest folder above it belongs to, whoever we are.
fn owner_of_path(path: &Path) -> Option<SystemUser> {
    let found = path.ancestors().find_map(|part| std::fs::metadata(part).ok())?;
    SystemUser::of(found.uid(), found.gid()).ok()
}

/// Remedy where this user has no right to a path of another's.
pub fn cannot_as(path: &Path) -> Option<String> {
    let owner = owner_of_path(path)?;
    let ourselves = unistd::geteuid().as_raw();
    (owner.uid != ourselves).then(|| {
        let us =
            SystemUser::of(ourselves, ROOT).map_or_else(|_| ourselves.to_string(), |user| user.to_string());
        format!(
            "It belongs to {owner}, and this runs as {us}. Run it as that user: {} bwdc ...",
            owner.prefix()
        )
    })
}

/// Refuses root what a file names, such as the commands and files of secrets in a `data.json`, where somebody else has written the file or
/// could, or could put another in its place; likewise the `bwdc.toml` by which the `data.json` was found.
pub fn check_named(named: ReferredFile<'_>, file: &Path, found_by: Option<&Path>) -> Result<()> {
    if !unistd::geteuid().is_root() {
        return Ok(());
    }
    for path in std::iter::once(file).chain(found_by) {
        let weak = weak_point(path).map_err(|error| cannot_look(path, &error))?;
        if let Some(weak) = weak {
            return Err(weak.refusal(named, file, path));
        }
    }
    Ok(())
}

/// Refuses root a program that somebody else has written or could, or could put another in its place.
pub fn check_program(program: &Path) -> Result<()> {
    if !unistd::geteuid().is_root() {
        return Ok(());
    }
    match weak_point(program).map_err(|error| cannot_look(program, &error))? {
        Some(weak) => Err(weak.refusal_of_program(program)),
        None => Ok(()),
    }
}

/// Refuses root to write where a link leads that another user has made.
pub fn check_link(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.is_symlink() || found.uid() == ROOT || !unistd::geteuid().is_root() {
        return Ok(());
    }
    let owner = SystemUser::of(found.uid(), found.gid())?;
    Err(Error::new(format!(
        "{} is a link that belongs to {owner}, and root does not go where another user's link leads.",
        path.display()
    ))
    .hint("Remove the link, and let only root write to the folder; or give the folder to the user who runs bwdc."))
}

/// A file, folder or link by which another user than root decides what a path leads to.
struct WeakPoint {
    path: PathBuf,
    kind: FileType,
    uid: u32,
    gid: u32,
    mode: u32,
}

impl WeakPoint {
    fn refusal(&self, named: ReferredFile<'_>, file: &Path, path: &Path) -> Error {
        let found_by = if path == file { String::new() } else { format!(", found by {},", path.display()) };
        let (what, refused) = match named {
            ReferredFile::Secret => ("where a secret is".to_owned(), "neither runs nor reads what"),
            ReferredFile::File(setting) => {
                (format!("a file to read ({setting})"), "neither runs nor reads what")
            }
            ReferredFile::Log => ("where the log is".to_owned(), "does not write where"),
        };
        let refused = format!(
            "{}{found_by} names {what}, and root {refused} another user could have written there",
            file.display()
        );
        self.refusal_with_remedy(&refused, file)
    }

    fn refusal_of_program(&self, program: &Path) -> Error {
        let refused =
            format!("Root does not run {}, which another user could have written", program.display());
        self.refusal_with_remedy(&refused, program)
    }

    /// Why it is refused, and what to do.
    fn refusal_with_remedy(&self, refused: &str, file: &Path) -> Error {
        let owner = match SystemUser::of(self.uid, self.gid) {
            Ok(owner) => owner,
            Err(error) => return error,
        };
        let (place, what) = (self.path.display(), if self.kind.is_dir() { "folder" } else { "file" });
        let because =
            if self.path == file { String::new() } else { format!(" because of the {what} {place}") };
        let refusal =
            Error::new(format!("{refused}{because} (owner {owner}, mode {:o}).", self.mode & 0o7777));
        let remedy = self.remedy();
        refusal.hint(match owner.uid {
            ROOT => format!("To use it, {remedy}."),
            _ => format!("Run this as the owner ({} bwdc ...), or {remedy}.", owner.prefix()),
        })
    }

    fn remedy(&self) -> String {
        let place = self.path.display();
        match self.kind {
            kind if kind.is_dir() => format!(
                "make the folder root's alone: chown root '{place}'; chmod go-w '{place}'; or move everything to a folder that only \
                 root can write to, such as /etc/bwdc"
            ),
            kind if kind.is_symlink() => format!("make the link root's: chown -h root '{place}'"),
            _ if self.mode & 0o111 != 0 => {
                format!("make the file root's alone: chown root '{place}'; chmod go-w '{place}'")
            }
            _ => format!("make the file root's alone: chown root '{place}'; chmod 600 '{place}'"),
        }
    }
}

/// The first on the way to a file, through every folder and every link, that is not root's alone. In a folder with the sticky bit, such
/// as /tmp, nobody replaces what is root's.
fn weak_point(path: &Path) -> io::Result<Option<WeakPoint>> {
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    /// As many as Linux follows.
    const MOST_LINKS: u32 = 40;
    let mut links = 0;
    let mut ahead: Vec<PathBuf> = parts(&std::path::absolute(path)?);
    let mut here = PathBuf::new();
    while let Some(part) = ahead.pop() {
        if part == Path::new("..") {
            here.pop();
            continue;
        }
        let next = here.join(part);
        let found = match std::fs::symlink_metadata(&next) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = found.file_type();
        let is_shared = !kind.is_symlink() && found.mode() & WRITABLE_BY_OTHERS != 0;
        let is_sticky = kind.is_dir() && found.mode() & STICKY != 0;
        if found.uid() != ROOT || (is_shared && !is_sticky) {
            let (uid, gid, mode) = (found.uid(), found.gid(), found.mode());
            return Ok(Some(WeakPoint { path: next, kind, uid, gid, mode }));
        }
        if kind.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::from_raw_os_error(nix::errno::Errno::ELOOP as i32));
            }
            ahead.extend(parts(&std::fs::read_link(&next)?));
        } else {
            here = next;
        }
    }
    Ok(None)
}

/// The parts of a path, the first last; that of an absolute one is `/`.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .map(|part| PathBuf::from(part.as_os_str()))
        .filter(|part| part != Path::new("."))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_has_name_group_and_home() {
        let entry = passwd_entry(r"EXAMPLE\sync:*:1200001104:1200000513:Sync:/home/EXAMPLE/sync:/bin/bash");
        assert_eq!(
            entry,
            Some((r"EXAMPLE\sync".to_owned(), 1_200_000_513, PathBuf::from("/home/EXAMPLE/sync")))
        );
        for odd in ["", "sync", "sync:x:1:group:Sync:/home/sync:/bin/sh", ":x:1:2:Sync:/home:/bin/sh"] {
            assert_eq!(passwd_entry(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_systems_tools_know_root() {
        let root = system_knows(0).map(|user| user.account.map(|account| (account.name, account.home)));
        assert_eq!(root, Some(Some(("root".to_owned(), PathBuf::from("/root")))));
        assert_eq!(system_knows(3_999_999_999), None);
    }
}
