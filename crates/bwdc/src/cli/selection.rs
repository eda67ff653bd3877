//! Options that select an instance, as they were typed: the commands that a hint names need them as well.

use std::ffi::OsString;

use bwdc_core::error::Error;
use bwdc_schedule::quoted;

/// Options with a value that select an instance.
const SELECTING: [&str; 3] = ["--appdata", "--instance", "--config"];

/// What selects one instance on a command line, quoted for a shell. `None` if nothing does, or several are selected.
pub(super) fn typed(arguments: &[OsString]) -> Option<String> {
    let mut arguments =
        arguments.iter().map(|argument| argument.to_string_lossy()).take_while(|argument| argument != "--");
    let mut found: Vec<(&str, String)> = Vec::new();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (&*argument, None),
        };
        let Some(option) = SELECTING.into_iter().find(|option| *option == name) else { continue };
        found.push((option, value.or_else(|| arguments.next().map(|value| value.into_owned()))?));
    }
    let instances = found.iter().filter(|(option, _)| *option != "--config").count();
    if found.is_empty() || instances > 1 {
        return None;
    }
    let words = found.iter().map(|(option, value)| Some(format!("{option} {}", quoted(value).ok()?)));
    words.collect::<Option<Vec<_>>>().map(|words| words.join(" "))
}

/// The error, with what its commands need to be about this instance.
pub(super) fn completed(error: Error, selection: Option<&str>) -> Error {
    let hint = error.next_step.as_deref().unwrap_or_default();
    let is_named = SELECTING.iter().any(|option| hint.contains(option));
    match selection {
        Some(selection) if names_a_command(hint) && !is_named => {
            let hint = format!("{hint}\nFor this instance, add {selection} to the command.");
            Error { next_step: Some(hint), ..error }
        }
        _ => error,
    }
}

/// Whether a text has a command of bwdc, and not only its name.
fn names_a_command(text: &str) -> bool {
    let words = text.match_indices("bwdc ").filter_map(|(at, found)| text[at + found.len()..].chars().next());
    let mut words = words.filter(char::is_ascii_lowercase);
    words.next().is_some()
        && (text.contains(": bwdc ") || text.contains("`bwdc ") || text.starts_with("bwdc "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> Option<String> {
        typed(&line.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_of_one_instance_are_found_as_they_were_typed() {
        assert_eq!(of(&["bwdc", "sync"]), None);
        assert_eq!(of(&["bwdc", "sync", "--appdata", "/srv/a b"]).as_deref(), Some("--appdata '/srv/a b'"));
        assert_eq!(of(&["bwdc", "sync", "--instance=hq"]).as_deref(), Some("--instance hq"));
        assert_eq!(
            of(&["bwdc", "--config", "x.toml", "sync", "--instance", "hq"]).as_deref(),
            Some("--config x.toml --instance hq")
        );
        assert_eq!(of(&["bwdc", "sync", "--instance", "hq", "--instance", "berlin"]), None);
        assert_eq!(of(&["bwdc", "explain", "--", "--appdata", "x"]), None);
        assert_eq!(of(&["bwdc", "sync", "--appdata"]), None);
    }

    #[test]
    fn only_hints_with_a_command_are_completed() {
        let of =
            |hint: &str| completed(Error::new("No.").hint(hint), Some("--instance hq")).next_step.unwrap();
        assert_eq!(
            of("Look at it: bwdc pending"),
            "Look at it: bwdc pending\nFor this instance, add --instance hq to the command."
        );
        for hint in ["Update bwdc and try again.", "Name it: bwdc sync --appdata DIR"] {
            assert_eq!(of(hint), hint);
        }
    }
}
