//! Settings as fields of a form.

use bwdc_config::directories;
use bwdc_config::settings::{Setting, Type, general};
use bwdc_store::Data;
use maud::{Markup, html};

/// Beginning of a field's name.
pub(crate) const VALUE: &str = "set.";
/// The same of a secret, which is never shown.
pub(crate) const SECRET: &str = "secret.";

/// What is in a field.
pub(crate) struct Filled<'a> {
    /// The value as it would be typed.
    pub(crate) value: String,
    /// What is known of a secret: where it is.
    pub(crate) secret: &'a str,
    /// What is wrong with the value.
    pub(crate) fault: Option<&'a str>,
    /// Address that checks a value as it is typed.
    pub(crate) check: &'a str,
}

/// A setting with its help.
pub(crate) fn field(setting: &Setting, filled: &Filled<'_>) -> Markup {
    let Setting { name, kind, default, meaning, .. } = *setting;
    let (id, shows, help) = (format!("f-{name}"), format!("c-{name}"), format!("h-{name}"));
    html! {
        div.setting {
            label for=(id) { (name) }
            div { (input(setting, filled, &id, &shows, &help)) }
            div.check id=(shows) aria-live="polite" { @if let Some(fault) = filled.fault { (wrong(fault)) } }
            p.help id=(help) {
                (meaning)
                @if kind == Type::Secret { " " @if filled.secret.is_empty() { b { "Not set." } } @else { b { "It is in " (filled.secret) "." } } }
                @else if !default.is_empty() { " Default: " (default) "." }
            }
        }
    }
}

/// What is wrong with a value.
pub(crate) fn wrong(fault: &str) -> Markup {
    html! { p.danger-text.danger { (super::layout::lines(fault)) } }
}

fn input(setting: &Setting, filled: &Filled<'_>, id: &str, shows: &str, help: &str) -> Markup {
    let Setting { name, kind, default, .. } = *setting;
    let described = format!("{help} {shows}");
    let field = format!("{VALUE}{name}");
    match words(kind) {
        _ if kind == Type::Secret => html! {
            input id=(id) type="password" name=(format!("{SECRET}{name}")) autocomplete="new-password" aria-describedby=(described)
                placeholder=(if filled.secret.is_empty() { "" } else { "unchanged" });
        },
        Some(words) => html! {
            select id=(id) name=(field) aria-describedby=(described) {
                option value="" selected[filled.value.is_empty()] { @if default.is_empty() { "Not set" } @else { "Default: " (default) } }
                @for word in words { option value=(word) selected[filled.value == word] { (word) } }
            }
        },
        None => html! {
            input id=(id) type="text" name=(field) value=(filled.value) placeholder=(default) aria-describedby=(described) spellcheck="false"
                autocapitalize="off" autocomplete="off" data-check=(filled.check) data-shows=(shows) aria-invalid=[filled.fault.map(|_| "true")];
        },
    }
}

/// The words of a setting that takes nothing else.
fn words(kind: Type) -> Option<Vec<&'static str>> {
    match kind {
        Type::Flag => Some(vec!["true", "false"]),
        Type::FlagOr(word) => Some(vec!["true", "false", word]),
        Type::Choice(words) | Type::Preset(words) => Some(words.to_vec()),
        Type::Directory => Some(directories::names()),
        _ => None,
    }
}

/// The value as it would be typed; a directory by its name.
pub(crate) fn current(setting: &Setting, data: &Data) -> String {
    if setting.name == general::DIRECTORY.name {
        return directories::of(data).map(|kind| kind.name.to_owned()).unwrap_or_default();
    }
    setting.stored_text(data).unwrap_or_default()
}
