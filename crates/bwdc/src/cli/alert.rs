//! `bwdc alert`

use bwdc_config::installation::WantedChannel;
use bwdc_core::did_you_mean;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_sync::{Context, Tried, overdue, try_channels};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Invocation;
use super::which::WhichOne;
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test through each channel and print what came back. Exits with 1 if one failed.
    Test(TestArguments),
    /// Check whether an instance has had no success for three intervals, and tell the channels. Exits with 1 if so.
    Check,
}

#[derive(Debug, Args)]
struct TestArguments {
    /// Name of a channel. May be repeated. Default: all.
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    #[command(flatten)]
    which: WhichOne,
}

impl Arguments {
    /// The instances in whose folders it works.
    pub(super) fn contexts(&self, invocation: &Invocation) -> Vec<Context> {
        match &self.action {
            Action::Test(arguments) => arguments.which.new_context(invocation).into_iter().collect(),
            Action::Check => Vec::new(),
        }
    }
}

pub(super) async fn run(invocation: &Invocation, arguments: Arguments) -> Result<(Answer, Exit)> {
    match arguments.action {
        Action::Test(arguments) => test(invocation, &arguments).await,
        Action::Check => check(invocation).await,
    }
}

async fn test(invocation: &Invocation, arguments: &TestArguments) -> Result<(Answer, Exit)> {
    let context = arguments.which.new_context(invocation)?;
    let setup = context.alert_setup();
    if let Some(fault) = &setup.fault {
        return Err(Error { next_step: fault.next_step.clone(), ..Error::new(fault.message.clone()) });
    }
    let channels = chosen(&setup.alerts.channels, &arguments.channels)?;
    let tried = try_channels(&context, &context.name, &channels).await;
    let failed: Vec<&str> =
        tried.iter().filter(|one| one.result.is_err()).map(|one| one.channel.as_str()).collect();
    let text = tried.iter().map(line).collect::<Vec<_>>().join("\n");
    let value = json!({ "object": "list", "data": tried.iter().map(value).collect::<Vec<_>>() });
    if failed.is_empty() {
        return Ok((Answer::Table { text, value }, Exit::Success));
    }
    let message = format!("{} of {} channels failed: {}", failed.len(), tried.len(), failed.join(", "));
    Ok((Answer::Failures { text, message, value }, Exit::Failure))
}

/// The channels that were named, or all.
fn chosen<'a>(all: &'a [WantedChannel], names: &[String]) -> Result<Vec<&'a WantedChannel>> {
    if all.is_empty() {
        return Err(Error::new("There are no channels to alert.")
            .hint("Add one to bwdc.toml: [alerts.channel.NAME], or by `bwdc config alerts.mail.server` and the like. docs/alerts.md has examples of each kind."));
    }
    if names.is_empty() {
        return Ok(all.iter().collect());
    }
    let find = |name: &String| {
        all.iter().find(|channel| channel.name == *name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|channel| channel.name.as_str()).collect();
            let error = Error::new(format!("There is no channel `{name}`."));
            error.hint(match did_you_mean(name, known.iter().copied()) {
                Some(near) => format!("Did you mean {near}?"),
                None => format!("Channels: {}.", known.join(", ")),
            })
        })
    };
    names.iter().map(find).collect()
}

fn line(Tried { channel, kind, result }: &Tried) -> String {
    match result {
        Ok(back) => format!("{channel} ({kind}): sent, {back}"),
        Err(error) => format!("{channel} ({kind}): failed. {error}"),
    }
}

fn value(Tried { channel, kind, result }: &Tried) -> Value {
    let mut value = json!({ "channel": channel, "type": kind, "success": result.is_ok() });
    match result {
        Ok(back) => value["answer"] = json!(back),
        Err(error) => {
            for (key, field) in ui::error_fields(error) {
                value[key] = field;
            }
        }
    }
    value
}

async fn check(invocation: &Invocation) -> Result<(Answer, Exit)> {
    let context = invocation.context();
    let missed = overdue(&context.alert_setup(), &context).await;
    let names: Vec<&str> = missed.iter().map(|(name, _)| name.as_str()).collect();
    let value = json!({
        "object": "alertCheck",
        "missed": missed.iter().map(|(name, last)| json!({ "instance": name, "lastSuccess": last })).collect::<Vec<_>>(),
    });
    if names.is_empty() {
        return Ok((Answer::Table { text: "No success is missed.".to_owned(), value }, Exit::Success));
    }
    let message = format!("No success for three intervals: {}", names.join(", "));
    Ok((Answer::Failures { text: message.clone(), message, value }, Exit::Failure))
}
