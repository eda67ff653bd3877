//! Settings as fields of a form.

use bwdc_config::directories;
use bwdc_config::settings::{Setting, Type, general};
use bwdc_store::Data;
use maud::{Markup, html};

/// Beginning of a field's name.
pub(crate) const VALUE: &str = "set.";
/// The same of a secret, which is never shown.
pub(crate) const SECRET: &str = "secret.";

/// The same of a box that has a stored secret removed.
pub(crate) const CLEAR: &str = "clear.";

/// What is known of a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// It is no secret, or not set.
    #[default]
    Unset,
    /// It is in this place.
    In(&'a str),
    /// It is in this place, and is to be removed from it.
    Removed(&'a str),
    /// It was typed, and not saved yet.
    Typed,
}

impl Known<'_> {
    fn text(self) -> Markup {
        html! {
            @match self {
                Self::Unset => { b { "Not set." } }
                Self::In(place) | Self::Removed(place) => { b { "It is in " (place) "." } }
                Self::Typed => { b { "It is what you have typed before." } }
            }
        }
    }
}

/// What is in a field.
pub(crate) struct Filled<'a> {
    /// The value as it would be typed.
    pub(crate) value: String,
    /// What is known of a secret.
    pub(crate) secret: Known<'a>,
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
            (removal(name, filled.secret))
            div.check id=(shows) aria-live="polite" { @if let Some(fault) = filled.fault { (wrong(fault)) } }
            p.help id=(help) {
                (meaning)
                @if kind == Type::Secret { " " (filled.secret.text()) }
                @else if !default.is_empty() { " Default: " (default) "." }
            }
        }
    }
}

/// A box that has a stored secret removed.
fn removal(name: &str, secret: Known<'_>) -> Markup {
    let is_checked = matches!(secret, Known::Removed(_));
    html! {
        @if let Known::In(_) | Known::Removed(_) = secret {
            label.inline { input type="checkbox" name=(format!("{CLEAR}{name}")) value="on" checked[is_checked]; " Remove what is stored" }
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
                placeholder=(if filled.secret == Known::Unset { "" } else { "unchanged" });
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
