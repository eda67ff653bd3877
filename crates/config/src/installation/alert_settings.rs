//! Alerts of one instance by its settings and by variables, read by the reader of `[alerts]`.

use bwdc_core::error::{Error, Result};
use bwdc_store::{Data, DataFile};

use super::alerts::{Alerts, AlertsEntry, VARIABLES};
use crate::Environment;
use crate::setting::Setting;
use crate::settings::alerts as names;

/// Channels: the name, which is the type, its keys, and the variable by which it exists without any of them.
type Kind = (&'static str, &'static [(&'static str, &'static Setting)], Option<&'static str>);

const KINDS: [Kind; 4] = [
    (
        "webhook",
        &[
            ("url_file", &names::WEBHOOK_URL_FILE),
            ("preset", &names::WEBHOOK_PRESET),
            ("key_file", &names::WEBHOOK_KEY_FILE),
            ("hmac_key_file", &names::WEBHOOK_HMAC_KEY_FILE),
        ],
        Some("BWDC_ALERT_WEBHOOK_URL"),
    ),
    (
        "mail",
        &[
            ("server", &names::MAIL_SERVER),
            ("from", &names::MAIL_FROM),
            ("to", &names::MAIL_TO),
            ("user", &names::MAIL_USER),
            ("password_file", &names::MAIL_PASSWORD_FILE),
        ],
        None,
    ),
    ("ping", &[("url_file", &names::PING_URL_FILE)], Some("BWDC_ALERT_PING_URL")),
    ("command", &[("command", &names::COMMAND)], None),
];

/// Variable over a setting: `BWDC_ALERT_MAIL_PASSWORD_FILE` over `alerts.mail.passwordFile`.
pub(crate) fn variable(setting: &Setting) -> String {
    let mut name = VARIABLES.trim_end_matches('_').to_owned();
    for part in setting.name.split('.').skip(1) {
        name.push('_');
        for c in part.chars() {
            if c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        }
    }
    name
}

/// Alerts that the settings of an instance and the variables want.
///
/// # Errors
/// They do not fit together.
pub(super) fn of_settings(file: &DataFile, data: &Data, environment: &Environment) -> Result<Alerts> {
    let value = |setting: &Setting| {
        let text = environment.text(&variable(setting)).or_else(|| setting.stored_text(data));
        text.filter(|text| !text.trim().is_empty())
    };
    let mut text = String::new();
    for (key, setting) in [("after", &names::AFTER), ("redact", &names::REDACT)] {
        text.extend(value(setting).map(|value| format!("{key} = {}\n", value.trim())));
    }
    text.extend(value(&names::TEXTFILE).map(|path| format!("textfile = {}\n", quoted(&path))));
    let events =
        value(&names::EVENTS).map(|events| format!("events = {}\n", list(&events))).unwrap_or_default();
    for (kind, keys, by_variable) in KINDS {
        let set: Vec<(&str, String)> =
            keys.iter().filter_map(|(key, setting)| Some((*key, value(setting)?))).collect();
        if set.is_empty() && by_variable.is_none_or(|name| !environment.is_set(name)) {
            continue;
        }
        text.push_str(&format!("[channel.{kind}]\ntype = \"{kind}\"\n{events}"));
        for (key, value) in set {
            let value = if key == "to" { list(&value) } else { quoted(&value) };
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    let wrong = |why: &str| {
        Error::new(format!("The settings of alerts are wrong: {why}."))
            .hint("Correct them with `bwdc config`, or their variables; `bwdc alert test` tries them.")
    };
    let entry: AlertsEntry = toml::from_str(&text).map_err(|error| wrong(error.message()))?;
    entry.understood(&file.path()).map_err(|error| wrong(&error.why))
}

/// Text in quotes, which JSON and TOML write alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(text: &str) -> String {
    let parts: Vec<String> = text.split(',').map(|part| quoted(part.trim())).collect();
    format!("[{}]", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_the_settings() {
        for (setting, expected) in [
            (&names::AFTER, "BWDC_ALERT_AFTER"),
            (&names::MAIL_PASSWORD_FILE, "BWDC_ALERT_MAIL_PASSWORD_FILE"),
            (&names::WEBHOOK_HMAC_KEY_FILE, "BWDC_ALERT_WEBHOOK_HMAC_KEY_FILE"),
            (&names::COMMAND, "BWDC_ALERT_COMMAND"),
        ] {
            assert_eq!(variable(setting), expected);
        }
    }

    #[test]
    fn settings_are_read_as_the_file_is() {
        let file = DataFile::in_folder("/srv/hq".into());
        let read = |settings: &[(&Setting, &str)]| {
            let mut data = Data::default();
            settings.iter().for_each(|(setting, text)| setting.put(&mut data, *text));
            of_settings(&file, &data, &Environment::default())
        };
        assert!(read(&[]).unwrap().channels.is_empty());
        let mail = [
            (&names::MAIL_SERVER, "sendmail"),
            (&names::MAIL_FROM, "bwdc <bwdc@example.org>"),
            (&names::MAIL_TO, "it@example.org, \"Z \\\" <z@example.org>"),
        ];
        let why = read(&mail).unwrap_err().message;
        assert!(why.contains("no mail address"), "{why}");
        let good = [
            mail[0],
            mail[1],
            (&names::MAIL_TO, "it@example.org, z@example.org"),
            (&names::EVENTS, "failed, weekly"),
        ];
        let alerts = read(&good).unwrap();
        assert_eq!((alerts.channels.len(), alerts.channels[0].kind(), alerts.after), (1, "mail", 2));
        assert_eq!(
            alerts.channels[0].events,
            [bwdc_core::alert::Event::Failed, bwdc_core::alert::Event::Weekly]
        );
        assert!(read(&mail[..1]).unwrap_err().message.contains("the key `from` is missing"));
    }
}
