//! The first set-up: the questions of `bwdc init` on one page, tried before anything is saved.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bwdc_config::settings::{self, Setting, Type, general, sync};
use bwdc_config::{Environment, directories, secrets};
use bwdc_store::Data;
use maud::{Markup, html};
use serde::Deserialize;

use super::fields::{self, Filled, Known, SECRET, VALUE, current};
use super::layout::{self, Frame, Place};
use super::settings::{choose, data, faults, secret_settings};
use super::{of_instance, task};
use crate::commands::Order;
use crate::drafts::Draft;
use crate::tasks::Purpose;
use crate::visit::{Answer, Fields, Posted, Refusal, Visitor};
use crate::{Instance, Part, Site};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    directory: String,
}

/// Whether an instance has nothing that could be synced.
pub(crate) fn is_new(part: &Part) -> bool {
    data(part).is_ok_and(|data| directories::of(&data).is_err())
}

fn draft_of(part: &Part) -> String {
    format!("setup {}", part.folder.display())
}

fn only_part(instance: &Instance) -> Result<&Part, Refusal> {
    instance.parts.first().ok_or_else(Refusal::not_found)
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Asked { directory }): Query<Asked>,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = only_part(&instance)?;
    let draft = site.drafts.get(visitor.0.id, &draft_of(part)).unwrap_or_default();
    let mut data = data(part)?;
    let kept = draft.value(general::DIRECTORY.name).unwrap_or_default();
    choose(&mut data, if directory.is_empty() { kept } else { &directory });
    let frame = Frame::of(&visitor.0, &instance.name, Place::Settings);
    Ok(frame.page("Set up", &form(&frame, &name, &data, &draft, &HashMap::new())))
}

fn steps(here: usize) -> Markup {
    let steps = ["Directory and organization", "Try", "Plan", "First sync", "Schedule"];
    html! { ol.steps { @for (number, step) in steps.iter().enumerate() { li aria-current=[(number == here).then_some("step")] { (step) } } } }
}

/// Settings that are asked for a kind of directory.
fn asked(data: &Data) -> Vec<&'static Setting> {
    let Ok(kind) = directories::of(data) else { return Vec::new() };
    let of_kind = kind.questions.iter().map(|question| question.setting);
    let more = if kind.name == "ldap" {
        vec!["ldap.rootPath", "ldap.tlsCaPath", "ldap.sslCaPath"]
    } else {
        Vec::new()
    };
    let more = more.into_iter().filter_map(|name| settings::find(name).ok());
    let mut all: Vec<&'static Setting> = of_kind.chain(more).collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|setting| seen.insert(setting.name));
    all.extend([&sync::USERS, &sync::GROUPS, &sync::REMOVE_DISABLED, &sync::REMOVE_MISSING]);
    all
}

fn form(
    frame: &Frame<'_>,
    name: &str,
    data: &Data,
    draft: &Draft,
    faults: &HashMap<&'static str, String>,
) -> Markup {
    let action = of_instance(name, "setup");
    let check = of_instance(name, "settings/check");
    let kind = directories::of(data).ok();
    let field = |setting: &Setting| {
        let proposal = kind.and_then(|kind| {
            let question = kind.questions.iter().find(|question| question.setting.name == setting.name)?;
            (question.propose)(data, &Environment::default())
        });
        let usual = [&sync::USERS, &sync::GROUPS]
            .iter()
            .any(|known| known.name == setting.name)
            .then(|| "true".to_owned());
        let stored = Some(current(setting, data)).filter(|text| !text.is_empty());
        let value = draft
            .value(setting.name)
            .map(str::to_owned)
            .or(stored)
            .or(proposal)
            .or(usual)
            .unwrap_or_default();
        let secret = if draft.secret(setting.name).is_some() { Known::Typed } else { Known::Unset };
        let fault = faults.get(setting.name).map(String::as_str);
        fields::field(setting, &Filled { value, secret, fault, check: &check })
    };
    html! {
        (steps(0))
        form.search method="get" action=(action) {
            label for="directory" { "Type of the directory" }
            select.short #directory name="directory" {
                @for known in directories::names() { option value=(known) selected[kind.is_some_and(|kind| kind.name == known)] { (known) } }
            }
            button.main[kind.is_none()] { "Choose" }
        }
        @if let Some(kind) = kind {
            (frame.form(&action, &html! {
                input type="hidden" name=(format!("{VALUE}directory")) value=(kind.name);
                h2 { "The directory: " (kind.name) }
                @for setting in asked(data) { (field(setting)) }
                h2 { "The organization" }
                (field(&general::SERVER))
                (key("login.clientId", "Client id", "organization.<id>, in the web vault under Settings > Organization info > View API key.", draft))
                (key("login.clientSecret", "API key", "The client secret on the same page.", draft))
                div.actions {
                    button.main name="do" value="try" { "Try the connection" }
                    button name="do" value="save" { "Try and save" }
                }
                p.weak { "Nothing is saved before the directory and the login have been tried." }
            }))
        }
    }
}

/// A part of the API key. The id is no secret, but belongs to one.
fn key(name: &str, label: &str, help: &str, draft: &Draft) -> Markup {
    let is_kept = draft.secret(name).is_some();
    let is_id = name == secrets::CLIENT_ID.name;
    html! {
        div.setting {
            label for=(format!("f-{name}")) { (label) }
            div { input id=(format!("f-{name}")) type=(if is_id { "text" } else { "password" }) name=(format!("{SECRET}{name}")) spellcheck="false"
                autocomplete=(if is_id { "off" } else { "new-password" }) placeholder=(if is_kept { "unchanged" } else { "" }) aria-describedby=(format!("h-{name}")); }
            p.help id=(format!("h-{name}")) { (help) @if is_kept { b { " You have typed it before." } } }
        }
    }
}

fn typed(fields: &Fields, before: &Draft) -> Draft {
    let value = |(field, value): (&str, &str)| {
        let setting =
            settings::find(field.strip_prefix(VALUE)?).ok().filter(|setting| setting.kind != Type::Secret)?;
        (!value.is_empty()).then(|| (setting.name.to_owned(), value.to_owned()))
    };
    let names = secret_settings().chain([secrets::CLIENT_ID.name, secrets::CLIENT_SECRET.name]);
    Draft {
        values: fields.iter().filter_map(value).collect(),
        secrets: super::settings::secrets(fields, names, before),
        cleared: Vec::new(),
    }
}

pub(crate) async fn send(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = only_part(&instance)?;
    let before = site.drafts.get(visitor.0.id, &draft_of(part)).unwrap_or_default();
    let draft = typed(&fields, &before);
    let mut data = data(part)?;
    choose(&mut data, draft.value(general::DIRECTORY.name).unwrap_or_default());
    let faults = faults(&draft, &data);
    let is_save = fields.get("do") == "save";
    let written = draft.written();
    if !faults.is_empty() {
        let frame = Frame::of(&visitor.0, &instance.name, Place::Settings);
        let told = html! { (layout::trouble("Some of the values are not possible.", None)) (form(&frame, &name, &data, &draft, &faults)) };
        return Ok(frame.page("Set up", &told));
    }
    site.drafts.keep(visitor.0.id, &draft_of(part), draft);
    visitor.did(if is_save { "set up the instance" } else { "tried the connection" }, &name);
    let (arguments, purpose) = match is_save {
        true => (vec!["init", "--stdin"], Purpose::SetUp),
        false => (vec!["init", "--stdin", "--try"], Purpose::TrySetUp),
    };
    let order = Order::new(arguments).of(&part.selection).with_stdin(written);
    Ok(task::see(&site.start(&visitor, &name, purpose, order)?))
}

/// What comes after the set-up.
pub(crate) fn afterwards(frame: &Frame<'_>, name: &str) -> Markup {
    html! {
        (steps(2))
        div.actions { (frame.form(&of_instance(name, "plan"), &html! { button.main { "Make a plan" } })) a href=(of_instance(name, "schedule")) { "Schedule" } }
    }
}

/// What comes after a trial.
pub(crate) fn tried(name: &str, went_well: bool) -> Markup {
    html! {
        (steps(usize::from(went_well)))
        p.actions { a href=(of_instance(name, "setup")) { (if went_well { "Back, to save" } else { "Back, to correct it" }) } }
    }
}
