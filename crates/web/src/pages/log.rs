//! The log, as it grows.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{self, Frame, Place};
use crate::Site;
use crate::commands::Order;
use crate::visit::{Answer, Visitor};

#[derive(Deserialize)]
pub(crate) struct Listing {
    #[serde(default)]
    errors: String,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Listing { errors }): Query<Listing>,
) -> Answer {
    let instance = site.instance(&name)?;
    let is_errors = errors == "on";
    let arguments = if is_errors { vec!["log", "-n", "300", "--errors"] } else { vec!["log", "-n", "300"] };
    let answer = site.runner.ask(Order::new(arguments).of(&instance.selection)).await;
    let frame = Frame::of(&visitor.0, &instance.name, Place::Log).refreshed(Some(3));
    let lines = match &answer {
        Ok(answer) => logs(answer),
        Err(error) => layout::trouble(&error.message, error.next_step.as_deref()),
    };
    let main = html! {
        form.search method="get" {
            label.inline { input type="checkbox" name="errors" value="on" checked[is_errors]; " Only warnings and errors" }
            button { "Show" }
        }
        section #live data-live { (lines) }
    };
    Ok(frame.page("Log", &main))
}

fn logs(answer: &Value) -> Markup {
    let logs = answer.get("logs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    html! {
        @for log in logs {
            @let place = log.get("place").and_then(Value::as_str).unwrap_or_default();
            @let lines = log.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            p.weak { (place) ", the latest line first" }
            div.scroll.log role="region" aria-label=(format!("Log {place}")) tabindex="0" {
                ol { @for line in lines.iter().rev().filter_map(Value::as_str) { li class=(weight(line)) { (line) } } }
            }
            @if lines.is_empty() { p { "There are no such lines." } }
        }
    }
}

fn weight(line: &str) -> &'static str {
    let has =
        |word: &str| line.contains(&format!(" {word} ")) || line.contains(&format!("\"level\":\"{word}\""));
    match (has("ERROR"), has("WARN")) {
        (true, _) => "danger",
        (false, true) => "caution",
        (false, false) => "",
    }
}
