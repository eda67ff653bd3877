//! Settings of alerts, for an instance without `[alerts]` in a `bwdc.toml`: a channel of each kind. Each may come from a variable.

use bwdc_connect::alert::Preset;
use bwdc_core::alert::Event;

use crate::setting::StoredAt::In;
use crate::setting::{Type, settings};

const SECTION: &str = "alerts";

settings! {
    AFTER: "alerts.after", In(SECTION, "after"), Type::Count, "2", "Number of failures in a row before somebody is told.";
    REDACT: "alerts.redact", In(SECTION, "redact"), Type::Flag, "false", "Keep people's names and addresses, and every text that may have them, out of alerts.";
    TEXTFILE: "alerts.textfile", In(SECTION, "textfile"), Type::Path, "", "Text file with metrics that is written after each run, for node_exporter: `/path/bwdc.prom`.";
    EVENTS: "alerts.events", In(SECTION, "events"), Type::Words(&Event::WORDS), "failed, recovered, held, missed, expiring", "Events that the channels are told; a ping is told of each run besides.";
    WEBHOOK_URL_FILE: "alerts.webhook.urlFile", In(SECTION, "webhook.urlFile"), Type::Path, "", "File with the address of a webhook: whoever knows it can use it. Or the variable BWDC_ALERT_WEBHOOK_URL has it.";
    WEBHOOK_PRESET: "alerts.webhook.preset", In(SECTION, "webhook.preset"), Type::Choice(&Preset::WORDS), "json", "Form of the webhook's body.";
    WEBHOOK_KEY_FILE: "alerts.webhook.keyFile", In(SECTION, "webhook.keyFile"), Type::Path, "", "File with the key of the webhook's receiver: PagerDuty's routing key, Opsgenie's API key, ntfy's access token.";
    WEBHOOK_HMAC_KEY_FILE: "alerts.webhook.hmacKeyFile", In(SECTION, "webhook.hmacKeyFile"), Type::Path, "", "File with the key by which the webhook's body is signed (HMAC-SHA256).";
    MAIL_SERVER: "alerts.mail.server", In(SECTION, "mail.server"), Type::Word, "", "Mail server: `smtp://host:port` (STARTTLS), `smtps://host:port`, `sendmail` or `sendmail:/path`.";
    MAIL_FROM: "alerts.mail.from", In(SECTION, "mail.from"), Type::Text, "", "Sender of the mail.";
    MAIL_TO: "alerts.mail.to", In(SECTION, "mail.to"), Type::Text, "", "Receivers of the mail, separated by commas.";
    MAIL_USER: "alerts.mail.user", In(SECTION, "mail.user"), Type::Text, "", "User at the mail server.";
    MAIL_PASSWORD_FILE: "alerts.mail.passwordFile", In(SECTION, "mail.passwordFile"), Type::Path, "", "File with that user's password. Or the variable BWDC_ALERT_MAIL_PASSWORD has it.";
    PING_URL_FILE: "alerts.ping.urlFile", In(SECTION, "ping.urlFile"), Type::Path, "", "File with the address of a dead man's switch in the form of healthchecks.io. Or the variable BWDC_ALERT_PING_URL has it.";
    COMMAND: "alerts.command", In(SECTION, "command"), Type::Command, "", "Program with its arguments that gets the alert as JSON on stdin. No shell runs it.";
}
