//! Settings: all of an instance, checked as they are typed, looked at before they are saved.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse as _, Response};
use bwdc_config::directories::{self, ldap};
use bwdc_config::settings::{self, Setting, Type, general};
use bwdc_core::Secret;
use bwdc_store::{Data, DataFile};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::fields::{self, CLEAR, Filled, Known, SECRET, VALUE, current};
use super::layout::{self, Frame, Place};
use super::{escaped, of_instance, task};
use crate::commands::Order;
use crate::drafts::Draft;
use crate::tasks::Purpose;
use crate::visit::{Answer, Fields, Posted, Refusal, Visitor, see};
use crate::{Instance, Part, Site};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    part: String,
    #[serde(default)]
    saved: String,
}

/// The folder of an instance that is meant.
fn part<'a>(instance: &'a Instance, name: &str) -> Result<&'a Part, Refusal> {
    let named = instance.parts.iter().find(|part| part.name == name);
    named.or_else(|| instance.parts.first().filter(|_| name.is_empty())).ok_or_else(Refusal::not_found)
}

pub(crate) fn data(part: &Part) -> Result<Data, Refusal> {
    Ok(DataFile::in_folder(part.folder.clone()).load()?)
}

/// Key of the draft of a part.
fn draft_of(part: &Part) -> String {
    format!("settings {}", part.folder.display())
}

/// What this visitor has typed and not saved.
fn draft(site: &Site, visitor: &Visitor, part: &Part) -> Arc<Draft> {
    site.drafts.get(visitor.0.id, &draft_of(part)).unwrap_or_default()
}

/// Address of a page about the settings of a part.
fn address(name: &str, page: &str, part: &Part) -> String {
    format!("{}?part={}", of_instance(name, page), escaped(&part.name))
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Asked { part: wanted, saved }): Query<Asked>,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = part(&instance, &wanted)?;
    let places = places(&site, part).await?;
    let before = html! { @if !saved.is_empty() { div.notice.good role="status" { p { "Saved." } } } };
    let draft = draft(&site, &visitor, part);
    let form = Form {
        name: &name,
        part,
        data: &data(part)?,
        places: &places,
        draft: &draft,
        faults: &HashMap::new(),
    };
    Ok(form.page(&visitor, &instance, &before))
}

/// Where each secret is, as `bwdc config list` says it.
async fn places(site: &Site, part: &Part) -> Result<HashMap<String, String>, Refusal> {
    let list = site.runner.ask(Order::new(["config", "list"]).of(&part.selection)).await?;
    let rows = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |row: &Value| {
        let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("name")?, text("source").filter(|source| source != "not set").unwrap_or_default()))
    };
    Ok(rows.iter().filter_map(row).collect())
}

struct Form<'a> {
    name: &'a str,
    part: &'a Part,
    data: &'a Data,
    places: &'a HashMap<String, String>,
    draft: &'a Draft,
    faults: &'a HashMap<&'static str, String>,
}

/// Settings under a title.
type Group = (&'static str, Vec<&'static Setting>);

fn groups(data: &Data) -> Vec<Group> {
    let kind = directories::of(data).map(|kind| kind.name).unwrap_or_default();
    let begins = |setting: &Setting, what: &str| setting.name.split('.').next() == Some(what);
    let all = |is_in: &dyn Fn(&Setting) -> bool| {
        settings::ALL.iter().filter(|setting| is_in(setting)).collect::<Vec<_>>()
    };
    let is_place = |setting: &Setting| {
        begins(setting, "secretFile")
            || begins(setting, "secretEnd")
            || begins(setting, "exec")
            || begins(setting, "secrets")
    };
    let is_other_kind =
        |setting: &Setting| directories::names().iter().any(|name| begins(setting, name) && *name != kind);
    let is_azure = |setting: &Setting| begins(setting, "azure");
    let of_other = |setting: &Setting| {
        let of = setting.name.split('.').nth(1).unwrap_or_default();
        directories::names().iter().any(|name| *name == of && *name != kind)
    };
    let is_of_ldap = |setting: &Setting| matches!(setting.kind, Type::Attribute | Type::Dns);
    vec![
        (
            "Organization and directory",
            all(&|setting| {
                !begins(setting, "sync")
                    && !begins(setting, "alerts")
                    && !is_place(setting)
                    && !begins(setting, kind)
                    && !is_other_kind(setting)
                    && !is_azure(setting)
            }),
        ),
        ("The directory", all(&|setting| begins(setting, kind))),
        (
            "What is synced",
            all(&|setting| {
                begins(setting, "sync")
                    && (kind == ldap::KIND.name || kind.is_empty() || !is_of_ldap(setting))
            }),
        ),
        ("Alerts", all(&|setting| begins(setting, "alerts"))),
        ("Where secrets are", all(&|setting| is_place(setting) && !of_other(setting))),
    ]
}

impl Form<'_> {
    fn page(&self, visitor: &Visitor, instance: &Instance, before: &Markup) -> Response {
        let frame = Frame::of(&visitor.0, &instance.name, Place::Settings);
        let action = of_instance(self.name, "settings");
        let check = of_instance(self.name, "settings/check");
        let groups = groups(self.data);
        let main = html! {
            (before)
            @if instance.parts.len() > 1 {
                nav aria-label="Directories" { @for part in &instance.parts {
                    a href=(address(self.name, "settings", part)) aria-current=[(part.name == self.part.name).then_some("page")] { (part.name) }
                } }
            }
            @if !self.draft.is_empty() { div.notice.caution { p { "There are changes that have not been saved." } } }
            (frame.form(&action, &html! {
                input type="hidden" name="part" value=(self.part.name);
                @for (title, settings) in &groups {
                    details.section open {
                        summary { h2 { (title) " " span.count { "(" (settings.len()) ")" } } }
                        @for setting in settings { (self.field(setting, &check)) }
                    }
                }
                div.actions.sticky { button.main { "Look at the changes" } }
            }))
        };
        frame.page("Settings", &main)
    }

    fn field(&self, setting: &Setting, check: &str) -> Markup {
        let value = self.draft.value(setting.name).map_or_else(|| current(setting, self.data), str::to_owned);
        let place = self.places.get(setting.name).map(String::as_str).filter(|place| !place.is_empty());
        let secret = match (self.draft.secret(setting.name), place) {
            (Some(_), _) => Known::Typed,
            (None, Some(place)) if self.draft.is_cleared(setting.name) => Known::Removed(place),
            (None, Some(place)) => Known::In(place),
            (None, None) => Known::Unset,
        };
        let fault = self.faults.get(setting.name).map(String::as_str);
        fields::field(setting, &Filled { value, secret, fault, check })
    }
}

#[derive(Deserialize)]
pub(crate) struct Typed {
    field: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    directory: String,
}

/// What is wrong with a value, if anything.
pub(crate) async fn check(
    State(site): State<Arc<Site>>,
    _: Visitor,
    Path(name): Path<String>,
    Query(Typed { field, value, directory }): Query<Typed>,
) -> Answer {
    let instance = site.instance(&name)?;
    let mut data = data(part(&instance, "")?)?;
    choose(&mut data, &directory);
    let setting = settings::find(field.strip_prefix(VALUE).unwrap_or(&field))?;
    let fault = if setting.kind == Type::Secret { None } else { fault(setting, &value, &data) };
    Ok(Html(html! { @if let Some(fault) = fault { (fields::wrong(&fault)) } }.into_string()).into_response())
}

/// Filters are checked in the language of the directory.
pub(crate) fn choose(data: &mut Data, directory: &str) {
    if let (false, Ok(value)) = (directory.is_empty(), general::DIRECTORY.parse(directory, data)) {
        general::DIRECTORY.put(data, value);
    }
}

fn fault(setting: &Setting, value: &str, data: &Data) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let told = setting.parse(value, data).err()?.to_string();
    Some(told.replace(" Nothing was saved.", ""))
}

/// What was typed and differs from what is stored.
fn typed(fields: &Fields, data: &Data, before: &Draft) -> Draft {
    let known = |field: &str, prefix: &str| settings::find(field.strip_prefix(prefix)?).ok();
    let values = fields.iter().filter_map(|(field, value)| {
        let setting = known(field, VALUE).filter(|setting| setting.kind != Type::Secret)?;
        (value != current(setting, data)).then(|| (setting.name.to_owned(), value.to_owned()))
    });
    // What is ticked counts, whatever was typed before: it is what the page shows last.
    let is_cleared = |name: &&str| fields.get(&format!("{CLEAR}{name}")) == "on" && !is_typed(fields, name);
    let cleared: Vec<String> = secret_settings().filter(is_cleared).map(str::to_owned).collect();
    let secrets = secrets(fields, secret_settings(), before);
    let secrets = secrets.into_iter().filter(|(name, _)| !cleared.contains(name)).collect();
    Draft { values: values.collect(), secrets, cleared }
}

fn is_typed(fields: &Fields, secret: &str) -> bool {
    !fields.get(&format!("{SECRET}{secret}")).is_empty()
}

/// Names of the settings that are secrets.
pub(crate) fn secret_settings() -> impl Iterator<Item = &'static str> {
    settings::ALL.iter().filter(|setting| setting.kind == Type::Secret).map(|setting| setting.name)
}

/// Secrets of these names: as they were typed now, else as they were typed before.
pub(crate) fn secrets(
    fields: &Fields,
    names: impl Iterator<Item = &'static str>,
    before: &Draft,
) -> Vec<(String, Secret)> {
    let secret = |name: &str| {
        let typed = Secret::from(fields.get(&format!("{SECRET}{name}")));
        let kept = || before.secret(name).cloned();
        Some((name.to_owned(), Some(typed).filter(|typed| !typed.is_empty()).or_else(kept)?))
    };
    names.filter_map(secret).collect()
}

/// What is wrong with the values of a draft, by setting.
pub(crate) fn faults(draft: &Draft, data: &Data) -> HashMap<&'static str, String> {
    let faulty = |(name, value): &(String, String)| {
        let setting = settings::find(name).ok()?;
        Some((setting.name, fault(setting, value, data)?))
    };
    draft.values.iter().filter_map(faulty).collect()
}

/// Shows what would be saved; or the form again, with what is wrong.
pub(crate) async fn review(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = part(&instance, fields.get("part"))?;
    let stored = data(part)?;
    let draft = typed(&fields, &stored, &draft(&site, &visitor, part));
    let mut data = stored.clone();
    choose(&mut data, draft.value(general::DIRECTORY.name).unwrap_or_default());
    let faults = faults(&draft, &data);
    if !faults.is_empty() {
        let places = places(&site, part).await?;
        let told = format!(
            "{} of the values cannot be saved: {}.",
            faults.len(),
            faults.keys().copied().collect::<Vec<_>>().join(", ")
        );
        let form = Form { name: &name, part, data: &stored, places: &places, draft: &draft, faults: &faults };
        return Ok(form.page(&visitor, &instance, &layout::trouble(&told, None)));
    }
    site.drafts.keep(visitor.0.id, &draft_of(part), draft);
    Ok(see(&address(&name, "settings/changes", part)))
}

pub(crate) async fn changes(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Asked { part: wanted, .. }): Query<Asked>,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = part(&instance, &wanted)?;
    let draft = draft(&site, &visitor, part);
    let frame = Frame::of(&visitor.0, &instance.name, Place::Settings);
    Ok(frame.page("Changed settings", &reviewed(&frame, &name, part, &data(part)?, &draft, None)))
}

fn reviewed(
    frame: &Frame<'_>,
    name: &str,
    part: &Part,
    data: &Data,
    draft: &Draft,
    trouble: Option<Markup>,
) -> Markup {
    let settings = of_instance(name, "settings");
    let back = address(name, "settings", part);
    if draft.is_empty() {
        return html! { p { "Nothing was changed." } p { a href=(back) { "Settings" } } };
    }
    let is_identity = draft.value("ldap.externalIdAttribute").is_some();
    let rows = html! {
        @for (name, value) in &draft.values {
            @let before = settings::find(name).map(|setting| current(setting, data)).unwrap_or_default();
            tr { th scope="row" { (name) } td.wrap { del { (before) } @if before.is_empty() { span.weak { "not set" } } }
                td.wrap { ins { (value) } @if value.is_empty() { span.weak { "not set" } } } }
        }
        @for name in &draft.cleared { tr { th scope="row" { (name) } td { span.weak { "a secret" } } td { span.weak { "removed" } } } }
        @for (name, _) in &draft.secrets { tr { th scope="row" { (name) } td { span.weak { "a secret" } } td { ins { "another secret" } } } }
    };
    let hidden = html! { input type="hidden" name="part" value=(part.name); };
    html! {
        @if let Some(trouble) = trouble { (trouble) }
        (layout::table("Changed settings", &["Setting", "Before", "After"], &rows))
        div.actions {
            (frame.form(&format!("{settings}/save"), &html! {
                (hidden)
                @if is_identity {
                    p { label.inline { input type="checkbox" name="yes" value="on"; " Change the ids of people and groups: after a sync, every group is created a second time, and people lose their old groups." } }
                }
                button.main { "Save" }
            }))
            (frame.form(&format!("{settings}/try"), &html! { (hidden) button { "Try the connection" } }))
            (frame.form(&format!("{settings}/discard"), &html! { (hidden) button { "Discard" } }))
            a href=(back) { "Change more" }
        }
        p.weak { "Trying reads the directory and logs in to the organization with these settings, and saves nothing." }
    }
}

pub(crate) async fn save(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = part(&instance, fields.get("part"))?;
    let draft = draft(&site, &visitor, part);
    let arguments = ["config", "import"].into_iter().chain((fields.get("yes") == "on").then_some("--yes"));
    let order = Order::new(arguments).of(&part.selection).with_stdin(draft.written());
    visitor.did(&format!("saved {}", draft.names().join(", ")), &name);
    match site.runner.ask(order).await {
        Ok(_) => {
            site.drafts.forget(visitor.0.id, &draft_of(part));
            Ok(see(&format!("{}&saved=yes", address(&name, "settings", part))))
        }
        Err(error) => {
            let frame = Frame::of(&visitor.0, &instance.name, Place::Settings);
            let trouble = layout::trouble(&error.message, error.next_step.as_deref());
            Ok(frame.page(
                "Changed settings",
                &reviewed(&frame, &name, part, &data(part)?, &draft, Some(trouble)),
            ))
        }
    }
}

pub(crate) async fn discard(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = part(&instance, fields.get("part"))?;
    site.drafts.forget(visitor.0.id, &draft_of(part));
    Ok(see(&address(&name, "settings", part)))
}

pub(crate) async fn try_out(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let part = part(&instance, fields.get("part"))?;
    let draft = draft(&site, &visitor, part);
    visitor.did(&format!("tried the connection with {}", draft.names().join(", ")), &name);
    let order = Order::new(["init", "--try", "--stdin"]).of(&part.selection).with_stdin(draft.written());
    Ok(task::see(&site.start(&visitor, &name, Purpose::Try, order)?))
}
