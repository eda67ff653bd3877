//! Recorded runs of the existing connector (2026.6.1), each replayed and compared: exit code, stdout, stderr, data.json.
//!
//! Differences are in [`DIFFERENCES`], with the reason and the expected result; an entry that is no
//! longer needed fails the test. The same list, in words, is in `docs/compatibility.md`.
//!
//! Masked on both sides: tokens, times, the digest, ids made at random. `(help)`, `(a prompt)` and `(an uncaught error)`
//! stand for texts that are not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bwdc_sandbox::{Identity, Options};
use bwdc_testkit::slapd::PASSWORD;
use bwdc_testkit::{Slapd, ldif};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::harness::{Instance, Organization, Ran};

#[derive(Deserialize)]
struct Recordings {
    runs: Vec<Run>,
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Run {
    id: String,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    exit: i32,
    stdout: String,
    stderr: String,
    stdin: Option<String>,
    /// Content of data.json, by name; none if there was none.
    before: Option<String>,
    /// `same`, or as `before`; none if it was not recorded.
    after: Option<String>,
}

/// Part of a run that is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Facet {
    Exit,
    Out,
    Err,
    Data,
}

/// Expected result instead.
#[derive(Clone, Copy, Debug)]
enum Ours {
    /// Exactly this.
    Is(&'static str),
    /// At least these words.
    Says(&'static str),
    /// `data.json` is as it was before.
    Untouched,
    /// `data.json` has this at this place.
    Has(&'static str, &'static str),
    /// `data.json` is the same but for these keys, which only ours has.
    Adds(&'static [&'static str]),
}

struct Difference {
    runs: &'static [&'static str],
    facet: Facet,
    ours: Ours,
    reason: &'static str,
}

const fn differs(
    runs: &'static [&'static str],
    facet: Facet,
    ours: Ours,
    reason: &'static str,
) -> Difference {
    Difference { runs, facet, ours, reason }
}

use Facet::{Data, Err, Exit, Out};
use Ours::{Adds, Has, Is, Says, Untouched};

const READ_ONLY: &str = "commands that only read, and those that fail, make and change nothing; an older file is migrated in memory until something is stored";
const QUIET_START: &str = "nothing is made until something is stored, so there is nothing to announce";
const HELP: &str = "one help text, on one stream: examples are part of it";
const PARSED: &str = "server URLs are parsed and refused instead of stored unchecked";
const DIRECTORY: &str = "an unknown directory is refused";
const ONLY_NAMED: &str = "only what was named is written: no empty sections, no `ad: true` by itself";
const DAMAGED: &str = "a damaged file is never emptied";
const NOT_AN_ORGANIZATION: &str = "a client id that does not belong to an organization is refused at once";
const ARGUMENT: &str = "arguments are visible to other users, so giving the secret there is warned of";
const REVISION: &str = "a revision attribute that no entry has makes the read complete, with a warning, instead of empty; and the digest is made another way, so the first sync after the switch is sent";
const COMPLETE: &str = "with a revision attribute everything is read at least once a day, so that people whom a read of changes misses are found; the time of the last such read, and what it read, are kept";
const WHERE_IT_IS: &str =
    "data-file only says where the file is, so that one finds it when it cannot be read";

/// One line per facet and reason.
#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    differs(&["config-04"], Err, Says("is plain http, so every sync is refused"), "plain http is refused by syncs, and told when it is set"),
    differs(&["usage-06", "usage-07"], Err, Says("(Did you mean sync?)"), "the sentence stands, and below it the command that is nearly the one typed"),
    differs(&["help-06", "help-07", "help-10", "help-11"], Out, Is(concat!(env!("CARGO_PKG_VERSION"), "\n")), "our own version"),
    differs(&["help-01", "help-02", "help-23", "usage-21", "usage-22", "usage-23", "usage-30"], Out, Is(""), HELP),
    differs(&["usage-01", "notloggedin-01", "config-01", "places-01", "places-02", "places-03", "places-04", "places-05", "places-07"], Err, Says(""), QUIET_START),
    differs(&["help-01", "usage-01", "notloggedin-01", "files-04", "files-05", "files-18", "files-20", "files-21",
        "files-22", "files-23", "files-24", "files-25", "files-26"], Data, Untouched, READ_ONLY),
    differs(&["login-06"], Exit, Is("1"), "the end of input is an error"),
    differs(&["login-04"], Err, Says("Client ID is required."), "an empty variable counts as absent, so the id is asked for first"),
    differs(&["login-07"], Data, Has("/organizationId", ORGANIZATION), "answers may come from a pipe"),
    differs(&["login-07"], Out, Is("You are logged in!\n"), "answers may come from a pipe"),
    differs(&["login-16", "login-18"], Err, Says("visible to other users"), ARGUMENT),
    differs(&["login-26", "login-28"], Exit, Is("1"), NOT_AN_ORGANIZATION),
    differs(&["login-26", "login-28"], Out, Is(""), NOT_AN_ORGANIZATION),
    differs(&["login-26", "login-28"], Err, Says("it reads organization.<id>"), NOT_AN_ORGANIZATION),
    differs(&["login-26", "login-28"], Data, Untouched, NOT_AN_ORGANIZATION),
    differs(&["login-31"], Data, Has("/apiKeyClientId", "organization.11111111-2222-3333-4444-555555555555"), "blanks around the id are taken off before it is stored"),
    differs(&["sync-11", "files-19"], Out, Is("Syncing complete.\nSynced 5 group(s) and 20 user(s).\n"), REVISION),
    differs(&["sync-12"], Out, Says("Synced 5 group(s) and 20 user(s)."), REVISION),
    differs(&["sync-41"], Out, Says("Synced 5 group(s) and 20 user(s)."), REVISION),
    differs(&["sync-13"], Out, Says("user19@example.org"), REVISION),
    differs(&["files-19", "sync-10", "sync-11", "sync-12", "sync-34", "sync-36", "sync-38", "sync-40", "sync-41"], Data, Adds(&["lastFullRead", "lastFullReadOf"]), COMPLETE),
    differs(&["sync-13"], Err, Says("no entry has the attribute whenChanged"), REVISION),
    differs(&["config-08"], Data, Has("/environmentUrls/base", "null"), "the cloud with a slash is the cloud"),
    differs(&["config-11"], Data, Has("/environmentUrls/base", "https://bw.company.com"), "blanks around a URL are taken off"),
    differs(&["config-12"], Data, Has("/environmentUrls/base", "HTTPS://BW.COMPANY.COM"), "a scheme in capitals is a scheme"),
    differs(&["config-14", "config-15"], Exit, Is("1"), PARSED),
    differs(&["config-14", "config-15"], Out, Is(""), PARSED),
    differs(&["config-14", "config-15"], Err, Says("Nothing was saved"), PARSED),
    differs(&["config-14", "config-15"], Data, Untouched, PARSED),
    differs(&["config-18", "config-31"], Data, Has("/directoryType", "0"), ONLY_NAMED),
    differs(&["config-25", "config-26", "config-27", "config-28", "config-29", "config-32"], Exit, Is("1"), DIRECTORY),
    differs(&["config-25", "config-26", "config-27", "config-28", "config-29", "config-32"], Out, Is(""), DIRECTORY),
    differs(&["config-23", "config-24", "config-25", "config-26", "config-27", "config-28", "config-29"], Err, Says("Invalid directory type value."), DIRECTORY),
    differs(&["config-32"], Err, Says("No value was given for directory."), DIRECTORY),
    differs(&["config-25", "config-27"], Data, Untouched, DIRECTORY),
    differs(&["files-01", "files-02", "files-07"], Data, Untouched, DAMAGED),
    differs(&["files-01", "files-02", "files-07"], Err, Is(""), WHERE_IT_IS),
    differs(&["files-03"], Err, Says("damaged"), DAMAGED),
    differs(&["files-06", "files-12", "files-13", "files-14", "files-15", "files-16", "files-17"], Exit, Is("0"), WHERE_IT_IS),
    differs(&["files-06", "files-12", "files-14", "files-15", "files-17"], Out, Is("$APPDATA/data.json\n"), WHERE_IT_IS),
    differs(&["files-13", "files-16"], Out, Is("{\"success\":true,\"data\":{\"object\":\"string\",\"data\":\"$APPDATA/data.json\"}}\n"), WHERE_IT_IS),
    differs(&["files-06", "files-12", "files-13", "files-14", "files-15", "files-16", "files-17"], Err, Is(""), WHERE_IT_IS),
    differs(&["places-09"], Exit, Is("0"), WHERE_IT_IS),
    differs(&["places-09"], Out, Is("/dev/null/x/data.json\n"), WHERE_IT_IS),
    differs(&["places-09"], Err, Is(""), WHERE_IT_IS),
];

const ORGANIZATION: &str = "11111111-2222-3333-4444-555555555555";

/// Environment of one replay.
struct Stage {
    slapd: Slapd,
    recordings: Recordings,
}

impl Stage {
    fn set() -> Self {
        let recordings = serde_json::from_str(include_str!("recordings/runs.json")).unwrap();
        Self { slapd: Slapd::with(&company()), recordings }
    }

    fn content(&self, name: &str) -> &str {
        &self.recordings.data[name]
    }

    /// Recorded content, with the addresses of this test's servers.
    fn localized(&self, name: &str, url: &str) -> String {
        self.content(name)
            .replace("http://127.0.0.1:18180", url)
            .replace("13420", &self.slapd.port().to_string())
            .replace("dc=bitwarden,dc=com", ldif::SUFFIX)
            .replace("\"admin\"", &format!("\"{PASSWORD}\""))
    }

    fn replay(&self, run: &Run) -> Replayed {
        // One recording was made with another key, which the stand-in accepted as well.
        let key = if run.id == "login-24" { "fromenv" } else { "s3cret" };
        let identity = Identity::Given { organization: ORGANIZATION.to_owned(), key: key.to_owned() };
        let organization = Organization::start(Options { identity, ..Options::default() });
        let url = organization.sandbox.url();
        let instance = Instance::empty();
        let before = run.before.as_ref().map(|name| self.localized(name, &url)).unwrap_or_default();
        if !before.is_empty() || run.before.is_some() {
            fs::create_dir_all(instance.data_folder()).unwrap();
            fs::write(instance.data_file(), &before).unwrap();
        }
        let ran = perform(&instance, run);
        let mut facets = vec![
            (Exit, run.exit.to_string(), ran.code.to_string()),
            (Out, localize(&instance, &run.stdout), ran.out),
            (Err, localize(&instance, &run.stderr), ran.err),
        ];
        if let Some(after) = &run.after {
            let theirs = if after == "same" { before.clone() } else { self.localized(after, &url) };
            facets.push((Data, theirs, fs::read_to_string(instance.data_file()).unwrap_or_default()));
        }
        Replayed { instance, before, facets }
    }
}

/// Compares one run, theirs and ours, facet by facet.
struct Replayed {
    instance: Instance,
    before: String,
    facets: Vec<(Facet, String, String)>,
}

/// 20 people and 5 groups whose members are listed by user name.
fn company() -> String {
    let mut text = ldif::small(20, 0, 0);
    for group in 0..5 {
        text += &format!(
            "dn: cn=team{group},ou=groups,{0}\nobjectClass: posixGroup\ncn: team{group}\ngidNumber: {group}\nmemberUid: user{group}\n\n",
            ldif::SUFFIX
        );
    }
    text
}

fn perform(instance: &Instance, run: &Run) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bwdc"));
    command.args(&run.argv).env_clear().current_dir(instance.folder.path());
    command.env("HOME", instance.folder.path()).env("BWDC_RETRY_SECONDS", "0.5");
    command.envs(run.env.iter().map(|(name, value)| (name, localize(instance, value))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A run without questions may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(run.stdin.as_deref().unwrap_or_default().as_bytes());
    child.wait_with_output().unwrap().into()
}

fn localize(instance: &Instance, text: &str) -> String {
    let home = instance.folder.path().display().to_string();
    text.replace("$APPDATA", &instance.data_folder().display().to_string())
        .replace("$HOME", &home)
        .replace("$CWD", &home)
}

fn is_same(facet: Facet, theirs: &str, ours: &str) -> bool {
    match (facet, theirs) {
        (Out | Err, "(help)") => !ours.is_empty(),
        (Out | Err, "(a prompt)") => ours.contains("client_"),
        (Data, _) => match (parsed(theirs), parsed(ours)) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => theirs == ours,
        },
        _ => theirs == ours,
    }
}

fn parsed(text: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    if let Some(map) = value.as_object_mut() {
        mask(map);
    }
    Some(value)
}

/// Masks parts that differ from run to run. Numbers are compared as numbers.
fn mask(map: &mut Map<String, Value>) {
    map.remove("installedVersion");
    for name in ["accessToken", "lastUserSync", "lastGroupSync", "lastSyncHash", "appId"] {
        if let Some(value @ Value::String(_)) = map.get_mut(name) {
            *value = "(masked)".into();
        }
    }
    // `1.0` and `1` are the same number.
    for value in map.values_mut() {
        if let Some(number) =
            value.as_f64().filter(|number| value.is_f64() && *number == f64::from(*number as i32))
        {
            *value = (number as i32).into();
        }
    }
}

impl Difference {
    fn is_seen(&self, ours: &str, replayed: &Replayed) -> bool {
        match self.ours {
            Is(text) => ours == localize(&replayed.instance, text),
            Says(words) => ours.contains(words),
            Untouched => ours == replayed.before,
            Adds(keys) => {
                let theirs = replayed.facets.iter().find(|(facet, ..)| *facet == Data);
                let theirs = theirs.and_then(|(_, theirs, _)| parsed(theirs));
                parsed(ours).zip(theirs).is_some_and(|(mut ours, theirs)| {
                    let map = ours.as_object_mut();
                    let is_added = map.is_some_and(|map| keys.iter().all(|key| map.remove(*key).is_some()));
                    is_added && ours == theirs
                })
            }
            Has(place, value) => {
                parsed(ours).is_some_and(|data| data.pointer(place).map(text).as_deref() == Some(value))
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn recorded_runs_are_answered_alike() {
    let stage = Stage::set();
    let mut needed = BTreeSet::new();
    let mut wrong = Vec::new();
    for run in &stage.recordings.runs {
        let replayed = stage.replay(run);
        for (facet, theirs, ours) in &replayed.facets {
            assert!(!ours.contains("panicked"), "{} {ours}", run.id);
            if is_same(*facet, theirs, ours) {
                continue;
            }
            let is_meant = |difference: &&Difference| {
                difference.facet == *facet && difference.runs.contains(&run.id.as_str())
            };
            if DIFFERENCES.iter().find(is_meant).is_some_and(|difference| difference.is_seen(ours, &replayed))
            {
                needed.insert((run.id.as_str(), *facet));
            } else {
                wrong.push(format!(
                    "{} {:?} {facet:?}\n  theirs: {theirs:?}\n  ours:   {ours:?}",
                    run.id, run.argv
                ));
            }
        }
    }
    for difference in DIFFERENCES {
        assert!(!difference.reason.is_empty());
        let unneeded = difference.runs.iter().filter(|run| !needed.contains(&(**run, difference.facet)));
        wrong.extend(unneeded.map(|run| format!("{run} {:?}: listed, but not seen", difference.facet)));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Setting the current value again stores nothing but the migration.
#[test]
fn older_files_become_what_the_existing_connector_makes_of_them() {
    let stage = Stage::set();
    for id in ["files-18", "files-20", "files-23", "files-24", "files-25", "files-26"] {
        let run = stage.recordings.runs.iter().find(|run| run.id == id).unwrap();
        let (before, after) = (run.before.as_deref().unwrap(), run.after.as_deref().unwrap());
        let url = "http://127.0.0.1:9";
        let instance = Instance::empty();
        fs::create_dir_all(instance.data_folder()).unwrap();
        fs::write(instance.data_file(), stage.localized(before, url)).unwrap();
        instance.run(&["config", "server", url]).ok();
        assert_eq!(parsed(&instance.text()), parsed(&stage.localized(after, url)), "{id}");
    }
}
