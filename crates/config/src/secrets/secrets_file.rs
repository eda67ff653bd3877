//! A file of secrets, readable by its owner only: `NAME=value` lines with the names of the variables. What follows the
//! `=` is the secret, as it is, to the end of the line: no quotes, no escapes. Empty lines and `#` lines are skipped. In the folder
//! of a machine with Windows those that this program writes are sealed for it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use bwdc_core::Secret;
use zeroize::Zeroizing;

use super::{ALL, DeclaredSecret, FoundSecret, SecretSource, sealed, sealed::Form};
use bwdc_core::error::{Error, Result};
use bwdc_store::files::{open_copy, too_open, write_atomically};

/// Beside `data.json`; used if it is there.
pub const USUAL_NAME: &str = "secrets.env";

pub(super) fn find(path: &Path, declared: &DeclaredSecret) -> Result<Option<FoundSecret>> {
    let Some(text) = read(path).map_err(|error| error.while_doing(super::looking_for(declared)))? else {
        return Ok(None);
    };
    let value = entries(path, &text)?.into_iter().rev().find(|(name, _)| *name == declared.variable);
    match value {
        None => Ok(None),
        Some((_, value)) => {
            let secret = sealed::opened(value).map_err(|error| {
                error.while_doing(format!(
                    "Reading {} from the secrets file {}",
                    declared.variable,
                    path.display()
                ))
            })?;
            super::not_empty(secret, SecretSource::SecretsFile(path.to_owned()), declared).map(Some)
        }
    }
}

/// Sets or removes lines; the others stay.
pub(super) fn change(path: &Path, form: Form, changes: &[(&str, Option<&Secret>)]) -> Result<()> {
    let before = read(path)?.unwrap_or_default();
    let after = changed(path, &before, form, changes)?;
    if *after == *before { Ok(()) } else { write_atomically(path, after.as_bytes()) }
}

fn changed(
    path: &Path,
    before: &str,
    form: Form,
    changes: &[(&str, Option<&Secret>)],
) -> Result<Zeroizing<String>> {
    entries(path, before)?;
    let is_changed = |line: &str| changes.iter().any(|(name, _)| is_of(line, name));
    let mut after = Zeroizing::new(String::new());
    // The mark would hide the first name.
    for line in without_mark(before).split_inclusive('\n').filter(|line| !is_changed(line)) {
        after.push_str(line);
    }
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    for (name, secret) in changes {
        let Some(secret) = secret else { continue };
        if secret.reveal().contains(['\n', '\r']) {
            return Err(Error::new(format!(
                "Writing {}: the secret {name} has several lines.",
                path.display()
            ))
            .hint(format!("Write line ends in it as \\n, or name a file with it in {name}_FILE.")));
        }
        let written = sealed::written(secret, form)?;
        for part in [name, "=", &written, "\n"] {
            after.push_str(part);
        }
    }
    Ok(after)
}

/// The text behind a byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn is_of(line: &str, name: &str) -> bool {
    line.split_once('=').is_some_and(|(left, _)| left.trim() == name)
}

/// The text of the file, or nothing if there is none. Refused if others could read it.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let reading = || format!("Reading the secrets file {}", path.display());
    let copy = open_copy(path).ok().flatten();
    let mut file = match copy.map_or_else(|| File::open(path), Ok) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::new(format!("{}: {error}", reading()))
                .hint("It must belong to the user who runs bwdc."));
        }
    };
    let metadata = file.metadata().map_err(|error| Error::new(format!("{}: {error}", reading())))?;
    if let Some(mode) = too_open(&metadata) {
        return Err(Error::new(format!(
            "{}: others than its owner can read or write it (mode {mode:o}).",
            reading()
        ))
        .hint(format!("Run: chmod 600 '{}', and change the secrets in it.", path.display())));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(|error| Error::new(format!("{}: {error}", reading())))?;
    Ok(Some(text))
}

/// The lines, with what is wrong in them.
fn entries<'a>(path: &Path, text: &'a str) -> Result<Vec<(&'a str, &'a str)>> {
    let mut entries = Vec::new();
    for (line, number) in without_mark(text).lines().zip(1..) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let wrong = |what: String| {
            Error::new(format!("Reading the secrets file {}, line {number}: {what}", path.display()))
        };
        let Some((name, value)) = line.split_once('=') else {
            return Err(wrong("it has no `=`.".to_owned()).hint("A line reads like: BWDC_LDAP_PASSWORD=..."));
        };
        let name = name.trim();
        if !ALL.iter().any(|declared| declared.variable == name) {
            let names = ALL.map(|declared| declared.variable);
            let hint = bwdc_core::did_you_mean(name, names).map_or_else(
                || format!("One of: {}.", names.join(", ")),
                |near| format!("Did you mean {near}?"),
            );
            return Err(wrong("there is no secret of this name.".to_owned()).hint(hint));
        }
        // Of a line end that was written twice, and of one that is the file's last.
        entries.push((name, value.trim_end_matches('\r')));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;
    use crate::directories::ldap::settings::SECRET as LDAP_PASSWORD;
    use crate::secrets::CLIENT_SECRET;

    #[test]
    fn lines_are_taken_as_they_are_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.env");
        assert!(find(&path, &LDAP_PASSWORD).unwrap().is_none());
        let secret = Secret::from(" p=a\"s's $HOME # \\n ");
        change(&path, Form::Plain, &[("BWDC_LDAP_PASSWORD", Some(&secret))]).unwrap();
        assert_eq!(find(&path, &LDAP_PASSWORD).unwrap().unwrap().secret, secret);
        let written = fs::read_to_string(&path).unwrap();
        write_atomically(&path, format!("# mine\n\nBW_CLIENTID = a\n{written}").as_bytes()).unwrap();
        change(
            &path,
            Form::Plain,
            &[("BWDC_LDAP_PASSWORD", None), ("BW_CLIENTSECRET", Some(&Secret::from("k")))],
        )
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n\nBW_CLIENTID = a\nBW_CLIENTSECRET=k\n");
        assert!(find(&path, &LDAP_PASSWORD).unwrap().is_none());
        assert_eq!(find(&path, &CLIENT_SECRET).unwrap().unwrap().secret.reveal(), "k");
    }

    /// As an editor on Windows saves them.
    #[test]
    fn marks_and_line_ends_keep_no_secret_from_being_removed() {
        let path = Path::new("secrets.env");
        let text = "\u{feff}BW_CLIENTSECRET=old\r\nBWDC_OKTA_TOKEN=t\r\r\nBWDC_LDAP_PASSWORD=p\r";
        assert_eq!(
            entries(path, text).unwrap()[1..],
            [("BWDC_OKTA_TOKEN", "t"), ("BWDC_LDAP_PASSWORD", "p")]
        );
        let after = changed(path, text, Form::Plain, &[("BW_CLIENTSECRET", None)]).unwrap();
        assert_eq!(*after, "BWDC_OKTA_TOKEN=t\r\r\nBWDC_LDAP_PASSWORD=p\r\n");
        let after = changed(path, &after, Form::Plain, &[("BW_CLIENTID", Some(&Secret::from("a")))]).unwrap();
        assert_eq!(entries(path, &after).unwrap()[..2], entries(path, text).unwrap()[1..]);
    }

    #[test]
    fn what_is_wrong_is_named_without_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.env");
        for (text, words) in [
            ("BWDC_LDAP_PASSWORT=hunter2\n", "Did you mean BWDC_LDAP_PASSWORD?"),
            ("\nhunter2\n", "line 2: it has no `=`"),
            ("BWDC_LDAP_PASSWORD=\n", "is empty"),
        ] {
            write_atomically(&path, text.as_bytes()).unwrap();
            let error = find(&path, &LDAP_PASSWORD).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
        let lines = Secret::from("a\nb");
        assert!(change(&path, Form::Plain, &[("BWDC_GSUITE_KEY", Some(&lines))]).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.env");
        write_atomically(&path, b"BWDC_LDAP_PASSWORD=hunter2\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = find(&path, &LDAP_PASSWORD).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:o}")), "{error}");
        }
    }

    proptest! {
        #![proptest_config(few())]

        /// A file is understood or told with its line and without a secret; a secret that is put in is found, and the others stay.
        #[test]
        fn fuzz_secrets_file(text in damaged_text([
            "# mine\n\nBW_CLIENTID = a\nBW_CLIENTSECRET= p=a\"s's $HOME # \\n \nBWDC_LDAP_PASSWORD=hunter2hunter2\n",
            "\u{feff}BWDC_GSUITE_KEY=-----BEGIN PRIVATE KEY-----\\nhunter2hunter2\r\nBWDC_OKTA_TOKEN=\r\n",
        ]), secret in damaged_text(["hunter2 #\"'\\n", " k "])) {
            let path = Path::new("/srv/secrets.env");
            let before = match entries(path, &text) {
                Ok(before) => before,
                Err(error) => {
                    bwdc_testkit::harmless(&error, 0)?;
                    prop_assert!(bwdc_testkit::line_in(&error.message).is_some_and(|line| line <= 1 + text.matches('\n').count()), "{}", error);
                    prop_assert!(!error.to_string().contains("hunter2hunter2"), "{}", error);
                    return Ok(());
                }
            };
            let secret = Secret::from(secret);
            let Ok(after) = changed(path, &text, Form::Plain, &[(LDAP_PASSWORD.variable, Some(&secret)), (CLIENT_SECRET.variable, None)]) else {
                prop_assert!(secret.reveal().contains(['\n', '\r']));
                return Ok(());
            };
            let after = entries(path, &after).unwrap();
            let is_other = |(name, _): &&(&str, &str)| *name != LDAP_PASSWORD.variable && *name != CLIENT_SECRET.variable;
            let others: Vec<_> = before.iter().filter(is_other).collect();
            prop_assert_eq!(after.iter().filter(is_other).collect::<Vec<_>>(), others);
            prop_assert_eq!(after.last(), Some(&(LDAP_PASSWORD.variable, secret.reveal())));
            prop_assert!(after.iter().all(|(name, _)| *name != CLIENT_SECRET.variable));
        }
    }
}
