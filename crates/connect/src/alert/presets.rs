//! Bodies that chat and on-call services take, by their documentation:
//!
//! - Slack: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
//! - Microsoft Teams: <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>
//! - Mattermost: <https://developers.mattermost.com/integrate/webhooks/incoming/>
//! - ntfy: <https://docs.ntfy.sh/publish/#publish-as-json>
//! - PagerDuty: <https://developer.pagerduty.com/docs/send-alert-event>
//! - Opsgenie: <https://docs.opsgenie.com/docs/alert-api>

use bwdc_core::alert::{Alert, Event, Severity};
use reqwest::Url;
use serde_json::{Value, json};

/// Form of the body of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Our own document.
    #[default]
    Json,
    /// Incoming webhook of Slack.
    Slack,
    /// Workflow of Microsoft Teams that posts an adaptive card.
    Teams,
    /// Incoming webhook of Mattermost.
    Mattermost,
    /// Topic of ntfy.
    Ntfy,
    /// Events API v2 of PagerDuty.
    Pagerduty,
    /// Alert API of Opsgenie.
    Opsgenie,
}

impl Preset {
    /// All forms.
    pub const ALL: [Self; 7] =
        [Self::Json, Self::Slack, Self::Teams, Self::Mattermost, Self::Ntfy, Self::Pagerduty, Self::Opsgenie];

    /// Words of all.
    pub const WORDS: [&'static str; 7] = {
        let mut words = [""; 7];
        let mut at = 0;
        while at < words.len() {
            words[at] = Self::ALL[at].word();
            at += 1;
        }
        words
    };

    /// Word of the form in settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Mattermost => "mattermost",
            Self::Ntfy => "ntfy",
            Self::Pagerduty => "pagerduty",
            Self::Opsgenie => "opsgenie",
        }
    }
}

/// Where the receiver's key belongs.
pub(super) enum Authorization {
    Bearer,
    GenieKey,
    InBody,
}

/// Longest texts that the services take, in characters.
const PAGERDUTY_SUMMARY: usize = 1024;
const OPSGENIE_MESSAGE: usize = 130;

impl Preset {
    pub(super) fn authorization(self) -> Authorization {
        match self {
            Self::Json | Self::Slack | Self::Teams | Self::Mattermost | Self::Ntfy => Authorization::Bearer,
            Self::Opsgenie => Authorization::GenieKey,
            Self::Pagerduty => Authorization::InBody,
        }
    }

    /// Whether nothing is accepted there without a key.
    pub fn needs_key(self) -> bool {
        matches!(self, Self::Pagerduty | Self::Opsgenie)
    }

    pub(super) fn destination(self, url: &Url, alert: &Alert) -> Url {
        let mut url = url.clone();
        match self {
            Self::Ntfy => {
                // Documents go to the server, and name the topic.
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().pop();
                }
            }
            Self::Opsgenie if alert.event == Event::Recovered => {
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().extend([&alert.incident(), "close"]);
                }
                url.query_pairs_mut().append_pair("identifierType", "alias");
            }
            _ => {}
        }
        url
    }

    pub(super) fn body(self, url: &Url, alert: &Alert, key: Option<&str>) -> Value {
        match self {
            Self::Json => serde_json::to_value(alert).unwrap_or_default(),
            Self::Slack => json!({ "text": format!("*{}*\n{}", slack(&alert.title), slack(&alert.body())) }),
            Self::Mattermost => json!({
                "username": "bwdc",
                "text": format!("**{}**\n```\n{}\n```", alert.title, alert.body().replace("```", "'''")),
            }),
            Self::Teams => teams(alert),
            Self::Ntfy => ntfy(url, alert),
            Self::Pagerduty => pagerduty(alert, key.unwrap_or_default()),
            Self::Opsgenie => opsgenie(alert),
        }
    }
}

/// Slack's three control characters.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

fn teams(alert: &Alert) -> Value {
    let colour = match alert.severity {
        Severity::Info => "Good",
        Severity::Warning => "Warning",
        Severity::Error => "Attention",
    };
    let paragraph = |text: &str| json!({ "type": "TextBlock", "text": text, "wrap": true });
    let mut body = vec![
        json!({ "type": "TextBlock", "text": alert.title, "weight": "Bolder", "size": "Medium", "color": colour, "wrap": true }),
        paragraph(&alert.text.replace('\n', "\n\n")),
    ];
    body.extend(alert.next_step.as_deref().map(paragraph));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

fn ntfy(url: &Url, alert: &Alert) -> Value {
    let topic = url.path_segments().and_then(|path| path.rev().find(|part| !part.is_empty()));
    let priority = match alert.severity {
        Severity::Info => 3,
        Severity::Warning => 4,
        Severity::Error => 5,
    };
    json!({
        "topic": topic.unwrap_or_default(),
        "title": alert.title,
        "message": alert.body(),
        "priority": priority,
        "tags": [alert.event.word()],
    })
}

fn pagerduty(alert: &Alert, key: &str) -> Value {
    let action = if alert.event == Event::Recovered { "resolve" } else { "trigger" };
    json!({
        "routing_key": key,
        "event_action": action,
        "dedup_key": alert.incident(),
        "client": "bwdc",
        "payload": {
            "summary": cut(&alert.title, PAGERDUTY_SUMMARY),
            "source": alert.host,
            "severity": alert.severity,
            "timestamp": alert.at,
            "component": alert.instance,
            "class": alert.event,
            "custom_details": { "text": alert.text, "next_step": alert.next_step },
        },
    })
}

fn opsgenie(alert: &Alert) -> Value {
    if alert.event == Event::Recovered {
        return json!({ "source": alert.host, "note": alert.text });
    }
    let priority = match alert.severity {
        Severity::Info => "P5",
        Severity::Warning => "P3",
        Severity::Error => "P2",
    };
    json!({
        "message": cut(&alert.title, OPSGENIE_MESSAGE),
        "alias": alert.incident(),
        "description": alert.body(),
        "priority": priority,
        "source": alert.host,
        "entity": alert.instance,
        "tags": ["bwdc", alert.event.word()],
    })
}

#[cfg(test)]
mod tests {
    use bwdc_core::alert::{Privacy, Sender};
    use bwdc_core::organization::Moment;

    use super::*;

    fn alert(event: Event) -> Alert {
        let sender = Sender { instance: "hq", host: "sync01", privacy: Privacy::Named, now: Moment(0) };
        Alert { event, severity: event.severity(), text: "<a> & b".to_owned(), ..sender.trial("run1") }
    }

    #[test]
    fn bodies_have_the_documented_forms() {
        let url = Url::parse("https://example.org/base/topic").unwrap();
        let body = |preset: Preset, event| preset.body(&url, &alert(event), Some("k"));
        assert_eq!(body(Preset::Json, Event::Failed)["event"], "failed");
        assert!(body(Preset::Slack, Event::Failed)["text"].as_str().unwrap().contains("&lt;a&gt; &amp; b"));
        assert!(body(Preset::Mattermost, Event::Failed)["text"].as_str().unwrap().contains("<a> & b"));
        let teams = body(Preset::Teams, Event::Failed);
        assert_eq!(teams["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(teams["attachments"][0]["content"]["type"], "AdaptiveCard");
        let ntfy = body(Preset::Ntfy, Event::Failed);
        assert_eq!((ntfy["topic"].as_str(), ntfy["priority"].as_u64()), (Some("topic"), Some(5)));
        assert_eq!(
            Preset::Ntfy.destination(&url, &alert(Event::Failed)).as_str(),
            "https://example.org/base"
        );
        let [failed, recovered] =
            [Event::Failed, Event::Recovered].map(|event| body(Preset::Pagerduty, event));
        assert_eq!(
            (failed["event_action"].as_str(), recovered["event_action"].as_str()),
            (Some("trigger"), Some("resolve"))
        );
        assert_eq!((&failed["dedup_key"], &failed["routing_key"]), (&recovered["dedup_key"], &json!("k")));
        assert_eq!(body(Preset::Opsgenie, Event::Failed)["alias"], "bwdc/sync01/hq");
        let close = Preset::Opsgenie.destination(&url, &alert(Event::Recovered));
        assert_eq!(
            close.as_str(),
            "https://example.org/base/topic/bwdc%2Fsync01%2Fhq/close?identifierType=alias"
        );
    }
}
