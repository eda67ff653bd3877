//! Finding, reading and checking `bwdc.toml`. What is wrong is told with its line, and never with the line's text: somebody
//! may have put a secret there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bwdc_core::did_you_mean;
use toml::Spanned;

use super::{
    Content, Installation, InstanceEntry, MergedInstance, MergedOrganization, NamedInstance,
    OrganizationEntry, ScheduleEntry, WebAddress, WebEntry, WebSection, WebUserEntry,
};
use crate::env::{self, Environment};
use bwdc_core::error::{Error, Result};

/// Its usual name, beside `data.json`.
pub const FILE: &str = "bwdc.toml";

/// The file that is named, or the one beside `data.json` if it is there.
pub fn find(option: Option<&Path>, environment: &Environment, folder: &Path) -> Result<Option<Installation>> {
    let named = option.map(Path::to_owned).or_else(|| environment.path(env::CONFIG));
    let path = named.clone().unwrap_or_else(|| folder.join(FILE));
    // Beside data.json it need not be there, nor the folder; what is wrong with that is another's to tell.
    if named.is_none() && !path.try_exists().unwrap_or(false) {
        return Ok(None);
    }
    let text = bwdc_store::files::read_regular(&path)
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).map_err(std::io::Error::other))
        .map_err(|error| Error::new(format!("Reading {}: {error}", path.display())))?;
    let path = std::path::absolute(&path)
        .map_err(|error| Error::new(format!("Finding {}: {error}", path.display())))?;
    Reader { path, text: &text }.understood().map(Some)
}

/// The file as another process has read it.
///
/// # Errors
/// It cannot be understood.
pub fn of_text(path: PathBuf, text: &str) -> Result<Installation> {
    Reader { path, text }.understood()
}

/// A path from the file; a relative one starts at the file's folder.
pub(super) fn resolve(file: &Path, path: &str) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new("."));
    folder.join(path).components().collect()
}

struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
}

impl Reader<'_> {
    fn understood(self) -> Result<Installation> {
        let content: Content = toml::from_str(self.text).map_err(|error| self.misread(&error))?;
        let Content { instance, organization, schedule, log, limits, daemon, web, alerts } = content;
        schedule.iter().try_for_each(|schedule| self.check_schedule(schedule, None))?;
        if let Some(file) = &log.file {
            self.check_path(file)?;
        }
        let mut names = HashSet::new();
        let mut instances = self.instances(instance, &mut names)?;
        let mut merged = HashSet::new();
        let mut organizations = Vec::new();
        for (name, entry) in organization {
            self.check_name(&name, &mut names)?;
            let members = self.members(&entry, &instances, &mut merged)?;
            entry.schedule.iter().try_for_each(|schedule| self.check_schedule(schedule, Some(&name)))?;
            let schedule = entry.schedule.or_else(|| schedule.clone());
            organizations.push(MergedOrganization { name: name.into_inner(), members, schedule });
        }
        for instance in instances.iter_mut().filter(|instance| !merged.contains(&instance.name)) {
            instance.schedule = instance.schedule.take().or_else(|| schedule.clone());
        }
        let web = self.web(web)?;
        let alerts = alerts.understood(&self.path).map_err(|wrong| self.wrong(wrong.at, wrong.why))?;
        let text = self.text.into();
        Ok(Installation { path: self.path, instances, organizations, log, limits, daemon, web, alerts, text })
    }

    fn web(&self, entry: WebEntry) -> Result<WebSection> {
        let WebEntry { listen, hosts, certificate, key, user } = entry;
        [&certificate, &key].into_iter().flatten().try_for_each(|file| self.check_path(file))?;
        let absolute = |file: Option<Spanned<String>>| file.map(|file| resolve(&self.path, file.get_ref()));
        let listen = listen.map(|listen| match listen {
            WebAddress::Socket(path) => WebAddress::Socket(resolve(&self.path, &path.display().to_string())),
            tcp @ WebAddress::Tcp(_) => tcp,
        });
        let users = user.into_iter().map(|(name, WebUserEntry { hash, role })| (name, hash, role)).collect();
        Ok(WebSection { listen, hosts, certificate: absolute(certificate), key: absolute(key), users })
    }

    fn instances(
        &self,
        entries: BTreeMap<Spanned<String>, InstanceEntry>,
        names: &mut HashSet<String>,
    ) -> Result<Vec<NamedInstance>> {
        let mut instances = Vec::new();
        // Comparing each folder with each other one takes longer than a sync where there are thousands.
        let mut owners: HashMap<PathBuf, String> = HashMap::new();
        for (name, InstanceEntry { folder: written, schedule }) in entries {
            self.check_name(&name, names)?;
            self.check_path(&written)?;
            schedule.iter().try_for_each(|schedule| self.check_schedule(schedule, Some(&name)))?;
            let folder = resolve(&self.path, written.get_ref());
            if let Some(other) = owners.insert(folder.clone(), name.get_ref().clone()) {
                return Err(self.wrong(written.span(), format!("the folder already belongs to {other}")));
            }
            instances.push(NamedInstance { name: name.into_inner(), folder, schedule });
        }
        Ok(instances)
    }

    fn members(
        &self,
        entry: &OrganizationEntry,
        instances: &[NamedInstance],
        merged: &mut HashSet<String>,
    ) -> Result<Vec<MergedInstance>> {
        if entry.merge.get_ref().len() < 2 {
            return Err(self.wrong(entry.merge.span(), "a merge needs at least two instances"));
        }
        let mut members = Vec::new();
        for name in entry.merge.get_ref() {
            let instance = self.instance(name, instances)?;
            if !merged.insert(instance.name.clone()) {
                return Err(self.wrong(name.span(), format!("{} is already merged", instance.name)));
            }
            if instance.schedule.is_some() {
                let problem =
                    format!("{} has a schedule of its own, but is synced with the others", instance.name);
                return Err(self
                    .wrong(name.span(), problem)
                    .hint("Give the organization a schedule instead."));
            }
            let prefix = prefix(&entry.prefix, &instance.name);
            members.push(MergedInstance {
                name: instance.name.clone(),
                folder: instance.folder.clone(),
                prefix,
            });
        }
        let stray =
            entry.prefix.keys().find(|name| members.iter().all(|member| member.name != *name.get_ref()));
        match stray {
            Some(name) => Err(self.wrong(name.span(), format!("`{}` is not in `merge`", name.get_ref()))),
            None => Ok(members),
        }
    }

    fn instance<'a>(
        &self,
        name: &Spanned<String>,
        instances: &'a [NamedInstance],
    ) -> Result<&'a NamedInstance> {
        instances.iter().find(|instance| instance.name == *name.get_ref()).ok_or_else(|| {
            let error = self.wrong(name.span(), format!("there is no instance `{}`", name.get_ref()));
            let names = || instances.iter().map(|instance| instance.name.as_str());
            error.hint(match did_you_mean(name.get_ref(), names()) {
                Some(near) => format!("Did you mean {near}?"),
                None => format!("Name it with a table [instance.{}].", name.get_ref()),
            })
        })
    }

    /// Names stand in logs, on command lines and in metrics, where an instance and an organization must not be confused.
    fn check_name(&self, name: &Spanned<String>, names: &mut HashSet<String>) -> Result<()> {
        let text = name.get_ref();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 64 || !text.chars().all(is_allowed) {
            let problem = format!("`{}` is not a valid name", text.escape_debug());
            return Err(self
                .wrong(name.span(), problem)
                .hint("Use up to 64 letters, digits, `-`, `_` and `.`."));
        }
        if !names.insert(text.clone()) {
            let problem = format!("there is an instance `{text}`; the organization needs another name");
            return Err(self.wrong(name.span(), problem));
        }
        Ok(())
    }

    fn check_path(&self, path: &Spanned<String>) -> Result<()> {
        let text = path.get_ref();
        if text.trim().is_empty() || text.contains(char::is_control) {
            return Err(self.wrong(path.span(), "a path is expected here"));
        }
        if text == "~" || text.starts_with("~/") {
            let error = self.wrong(path.span(), format!("`{text}` is only expanded by a shell"));
            return Err(error.hint("Write out the home folder."));
        }
        Ok(())
    }

    fn check_schedule(&self, schedule: &ScheduleEntry, of: Option<&Spanned<String>>) -> Result<()> {
        let Err(error) = schedule.times() else { return Ok(()) };
        let wrong = self.wrong(of.map_or(0..0, Spanned::span), format!("the schedule: {}", error.message));
        Err(wrong.hint(error.next_step.unwrap_or_default()))
    }

    fn wrong(&self, span: Range<usize>, problem: impl std::fmt::Display) -> Error {
        let line = 1 + self.text.get(..span.start).unwrap_or_default().matches('\n').count();
        Error::new(format!("{} line {line}: {problem}.", self.path.display()))
    }

    /// What the TOML reader says, in our words where it is about keys.
    fn misread(&self, error: &toml::de::Error) -> Error {
        let message = error.message().lines().next().unwrap_or_default().trim_end_matches('.');
        let wrong = |problem: &str| self.wrong(error.span().unwrap_or(0..0), problem);
        let mut quoted = message.split('`').skip(1).step_by(2);
        if message.starts_with(UNKNOWN_FIELD) {
            let key = quoted.next().unwrap_or_default();
            return unknown_key(
                wrong(&format!("the key `{key}` is unknown")),
                key,
                &quoted.collect::<Vec<_>>(),
            );
        }
        if message.starts_with(MISSING_FIELD) {
            return wrong(&format!("the key `{}` is missing", quoted.next().unwrap_or_default()));
        }
        wrong(message)
    }
}

/// Beginnings of serde's messages about keys (`serde::de::Error`). The TOML reader passes on the text alone, without a kind.
const UNKNOWN_FIELD: &str = "unknown field";
const MISSING_FIELD: &str = "missing field";

fn prefix(prefixes: &BTreeMap<Spanned<String>, String>, instance: &str) -> String {
    let found = prefixes.iter().find(|(name, _)| name.get_ref() == instance);
    found.map(|(_, prefix)| prefix.clone()).unwrap_or_default()
}

/// Words in the names of keys that somebody would put a secret behind.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "token", "key", "credential"];

fn unknown_key(error: Error, key: &str, known: &[&str]) -> Error {
    let lower = key.to_lowercase();
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        return error.hint(
            "Secrets do not belong in this file. Put them in secrets.env in the instance's folder, a systemd credential or a variable: docs/secrets.md lists all places. If this was a real secret, change it.",
        );
    }
    error.hint(match did_you_mean(key, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Known here: {}.", known.join(", ")),
    })
}

impl Installation {
    /// Whoever can write to the file decides which folders are synced, and so which commands run.
    #[cfg(unix)]
    pub fn warning(&self) -> Option<String> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(&self.path).ok()?;
        let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
        let own = rustix::process::geteuid().as_raw();
        let path = self.path.display();
        if mode & 0o022 != 0 {
            return Some(format!(
                "{path} can be written by users other than its owner (mode {mode:o}), who could then decide what is synced: chmod go-w"
            ));
        }
        (owner != own && owner != 0).then(|| {
            format!(
                "{path} belongs to another user (id {owner}), who can decide what is synced: give it to root"
            )
        })
    }

    /// Windows gives a user's files to that user alone unless told otherwise.
    #[cfg(not(unix))]
    pub fn warning(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Installation> {
        Reader { path: PathBuf::from("/etc/bwdc/bwdc.toml"), text }.understood()
    }

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let error = read(text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }

    const TWO: &str = "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"/srv/berlin\"\n";

    #[test]
    fn what_is_written_is_understood() {
        let text = format!(
            "schedule = {{ every = \"15m\" }}\n{TWO}[instance.lone]\nfolder = \"../lone\"\nschedule.cron = \"0 12 * * 1\"\n\
             [organization.acme]\nmerge = [\"hq\", \"berlin\"]\nprefix = {{ berlin = \"Berlin / \" }}\n\
             [log]\nfile = \"log/bwdc.log\"\nformat = \"json\"\nmax_size = \"1MB\"\nmax_age = \"2w\"\nkeep = 3\n\
             [limits]\nat_once = 2\n[daemon]\nlisten = \"127.0.0.1:9464\"\n"
        );
        let read = read(&text).unwrap();
        let folders: Vec<_> =
            read.instances.iter().map(|instance| instance.folder.to_str().unwrap()).collect();
        assert_eq!(folders, ["/srv/berlin", "/etc/bwdc/hq", "/etc/bwdc/../lone"]);
        assert_eq!(read.instances[0].schedule, None);
        assert_eq!(read.instances[2].schedule, Some(ScheduleEntry::Cron("0 12 * * 1".to_owned())));
        let acme = &read.organizations[0];
        let members: Vec<_> =
            acme.members.iter().map(|member| (member.name.as_str(), member.prefix.as_str())).collect();
        assert_eq!(members, [("hq", ""), ("berlin", "Berlin / ")]);
        assert_eq!(acme.schedule, Some(ScheduleEntry::Every("15m".to_owned())));
        assert_eq!(read.log_file().unwrap(), Path::new("/etc/bwdc/log/bwdc.log"));
        assert_eq!(read.log.max_age.unwrap().to_string(), "14d");
        assert_eq!(read.limits.at_once.unwrap().0, 2);
        assert_eq!(read.merging("hq").unwrap().name, "acme");
        assert!(read.merging("lone").is_none());
    }

    #[test]
    fn unknown_keys_are_told_with_line_and_suggestion() {
        refused(
            "[log]\n\nfil = \"x\"",
            &["/etc/bwdc/bwdc.toml line 3", "`fil` is unknown", "Did you mean `file`?"],
        );
        refused("[instanze.a]\nfolder = \"a\"", &["line 1", "`instanze`", "`instance`"]);
        refused("[limits]\nparrots = 1", &["`parrots` is unknown", "Known here: at_once"]);
        refused("[instance.a]\nschedule.every = \"1h\"", &["line 1", "the key `folder` is missing"]);
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for key in ["password", "client_secret", "ldapPassword", "api-key", "token"] {
            let text = format!("[instance.a]\nfolder = \"a\"\n{key} = \"hunter2\"\n");
            refused(&text, &["line 3", "Secrets do not belong in this file", "secrets.env"]);
            assert!(!read(&text).unwrap_err().to_string().contains("hunter2"));
        }
    }

    #[test]
    fn wrong_values_are_told_with_line_and_what_is_allowed() {
        refused("[log]\nmax_size = \"10 parrots\"", &["line 2", "`10 parrots`", "KB, MB or GB"]);
        refused("[log]\nmax_size = 5", &["line 2", "integer `5`", "a string"]);
        refused("[log]\nmax_age = \"0d\"", &["line 2", "12h or 30d"]);
        refused("[log]\nformat = \"xml\"", &["line 2", "`xml`", "`text` or `json`"]);
        refused("[limits]\nat_once = 0", &["line 2", "from 1 to 1000"]);
        refused("[daemon]\nlisten = \"0.0.0.0:80\"", &["line 2", "loopback"]);
        refused("schedule = { evry = \"15m\" }", &["line 1", "`evry`", "`every`"]);
        refused("schedule = { every = \" \" }", &["line 1", "an interval is from one minute"]);
        refused("schedule = { cron = \"0 0 31 2 *\" }", &["line 1", "never runs: there is no such date"]);
        refused("a = 1\na = 2", &["line 2"]);
        refused("[log", &["line 1"]);
    }

    #[test]
    fn instances_and_organizations_fit_together() {
        let with = |more: &str| format!("{TWO}{more}");
        refused(&with("[instance.third]\nfolder = \"./hq\""), &["line 6", "already belongs to hq"]);
        refused(&with("[organization.a]\nmerge = [\"hq\"]"), &["line 6", "at least two instances"]);
        refused(
            &with("[organization.a]\nmerge = [\"hq\", \"berln\"]"),
            &["line 6", "`berln`", "mean berlin"],
        );
        refused(&with("[organization.a]\nmerge = [\"hq\", \"hq\"]"), &["line 6", "already merged"]);
        refused(&with("[organization.hq]\nmerge = [\"hq\", \"berlin\"]"), &["line 5", "another name"]);
        refused(
            &with("[organization.a]\nmerge = [\"hq\", \"berlin\"]\nprefix = { rome = \"R\" }"),
            &["line 7", "`rome` is not in `merge`"],
        );
        refused("[instance.\"a b\"]\nfolder = \"x\"", &["line 1", "`a b` is not a valid name"]);
        refused("[instance.a]\nfolder = \"~/x\"", &["line 2", "only expanded by a shell"]);
        refused(
            "[instance.a]\nfolder = \"a\"\nschedule.at = \"02:30\"\n[instance.b]\nfolder = \"b\"\n[organization.o]\nmerge = [\"a\", \"b\"]",
            &["line 7", "a schedule of its own"],
        );
    }

    #[test]
    fn values_read_as_they_are_written() {
        use super::super::{Age, Size};
        for (text, bytes) in [("10MB", 10 << 20), ("1 GB", 1 << 30), ("3KB", 3 << 10)] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes);
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
        for text in ["10", "MB", "-1MB", "0KB", "99999999999GB", "10mb"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert_eq!("36h".parse::<Age>().unwrap().to_string(), "36h");
        assert_eq!("48h".parse::<Age>().unwrap().to_string(), "2d");
    }

    #[test]
    fn channels_are_understood() {
        let read = read(
            "[alerts]\nafter = 3\nredact = true\n\
             [alerts.channel.ops]\ntype = \"webhook\"\nurl = \"https://hooks.example.org/S3cr3t\"\nevents = [\"failed\", \"recovered\"]\n\
             [alerts.channel.it]\ntype = \"mail\"\nserver = \"smtp://mail.example.org:587\"\nfrom = \"bwdc <bwdc@example.org>\"\nto = [\"it@example.org\"]\n\
             [alerts.channel.hc]\ntype = \"ping\"\nurl_file = \"hc.url\"\n",
        )
        .unwrap();
        let channels: Vec<_> =
            read.alerts.channels.iter().map(|one| (one.name.as_str(), one.events.len())).collect();
        assert_eq!((read.alerts.after, channels), (3, vec![("hc", 0), ("it", 5), ("ops", 2)]));
        assert!(!format!("{read:?}").contains("S3cr3t"));
        let shown = format!("{:?}", read.listing());
        assert!(shown.contains("alerts.channel.ops.type") && !shown.contains("S3cr3t"), "{shown}");
    }

    #[test]
    fn wrong_channels_are_told_with_line_and_without_their_address() {
        let channel = |text: &str| format!("[alerts.channel.x]\n{text}");
        for (text, words) in [
            ("type = \"webhook\"\nurl = \"http://example.org/S3cr3t\"", &["line 3", "this machine only"][..]),
            ("type = \"webhook\"\nurl = \"S3cr3t\"", &["line 3", "must be a URL"]),
            ("type = \"webhook\"\nurl = 5", &["line 3", "a string"]),
            ("type = \"pigeon\"", &["line 2", "pigeon"]),
            ("type = \"mail\"\nserver = \"smtp://h:25\"\nfrom = \"a@b.org\"", &["line 2", "`to` is missing"]),
            (
                "type = \"mail\"\nserver = \"smtp://h:25?tls=off\"\nfrom = \"a@b.org\"\nto = [\"c@d.org\"]",
                &["line 3", "this machine only"],
            ),
            (
                "type = \"mail\"\nserver = \"smtp://h:25\"\nfrom = \"nobody\"\nto = [\"c@d.org\"]",
                &["line 4", "`nobody` is no mail address"],
            ),
            (
                "type = \"ping\"\nurl = \"https://x/S3cr3t\"\nto = [\"a\"]",
                &["line 2", "has `to`, which its type does not have"],
            ),
            ("type = \"webhook\"\nevents = [\"faild\"]", &["line 3", "faild"]),
            ("type = \"command\"\ncommand = \"a 'b\"", &["line 3", "a quote in it is not closed"]),
            ("type = \"mail\"\npassword = \"S3cr3t\"", &["line 3", "Secrets do not belong in this file"]),
        ] {
            refused(&channel(text), words);
            assert!(!read(&channel(text)).unwrap_err().to_string().contains("S3cr3t"), "{text}");
        }
        refused("[alerts]\nafter = 0", &["line 2", "from 1 to 1000"]);
    }

    const SAMPLES: [&str; 4] = [
        "[alerts]\nafter = 2\nredact = true\n[alerts.channel.ops]\ntype = \"webhook\"\nurl = \"https://hooks.example.org/T0\"\npreset = \"slack\"\nevents = [\"failed\"]\n\
         [alerts.channel.it]\ntype = \"mail\"\nserver = \"smtps://mail.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n\
         [alerts.channel.c]\ntype = \"command\"\ncommand = \"logger -t bwdc\"\n",
        "schedule = { every = \"15m\" }\n[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"/srv/berlin\"\n\
         [instance.lone]\nfolder = \"../lone\"\nschedule.cron = \"0 12 * * 1\"\n\
         [organization.acme]\nmerge = [\"hq\", \"berlin\"]\nprefix = { berlin = \"Berlin / \" }\n",
        "[log]\nfile = \"log/bwdc.log\"\nformat = \"json\"\nlevel = \"warn\"\nmax_size = \"1 MB\"\nmax_age = \"2w\"\nkeep = 3\n\
         [limits]\nat_once = 2\n[daemon]\nlisten = \"127.0.0.1:9464\"\n",
        "# mine\r\n[instance.\"a.b\"]\r\nfolder = 'C:\\srv'\r\nschedule = { weekly = \"mon@20:00\" }\r\n",
    ];

    proptest! {
        #![proptest_config(few())]

        /// A file is understood, with names and folders that stand for something, or told with a line of it.
        #[test]
        fn fuzz_bwdc_toml(text in damaged_text(SAMPLES)) {
            match bwdc_testkit::damage::soon(|| read(&text)) {
                Ok(read) => {
                    let names = || read.instances.iter().map(|instance| &instance.name).chain(read.organizations.iter().map(|o| &o.name));
                    prop_assert_eq!(names().collect::<HashSet<_>>().len(), names().count());
                    prop_assert!(names().all(|name| (1..=64).contains(&name.len()) && name.is_ascii()));
                    prop_assert!(read.instances.iter().all(|instance| instance.folder.is_absolute()));
                    prop_assert!(read.organizations.iter().all(|organization| organization.members.len() >= 2));
                    for (_, value) in read.listing() {
                        prop_assert!(value.len() <= 2 * text.len() + 100);
                    }
                    for schedule in names().filter_map(|name| read.schedule_of(name)) {
                        prop_assert!(schedule.times().is_ok());
                    }
                    if let Some(size) = read.log.max_size {
                        prop_assert_eq!(size.to_string().parse(), Ok(size));
                    }
                    if let Some(age) = read.log.max_age {
                        prop_assert_eq!(age.to_string().parse(), Ok(age));
                    }
                }
                Err(error) => {
                    bwdc_testkit::harmless(&error, text.len())?;
                    let line = bwdc_testkit::line_in(&error.message);
                    prop_assert!(line.is_some_and(|line| line <= 1 + text.matches('\n').count()), "{}", error);
                }
            }
        }
    }
}
