//! Alerts: who is told of which incident, by real receivers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bwdc_sandbox::Options;
use bwdc_testkit::proxy::mute_server;
use bwdc_testkit::smtp::LOGIN;
use bwdc_testkit::{Certificates, Receiver, Smtp, SmtpTls};
use serde_json::Value;

use crate::harness::{Instance, Organization, Ran};

const PEOPLE: &str = "id,email\n1,ada@x.org\n2,bo@x.org\n3,cy@x.org\n";
const GROUPS: &str = "id,name,members\ng,Staff,1;2;3\n";
const EVERYTHING: &str = r#"["failed", "recovered", "held", "missed", "expiring", "leavers", "weekly"]"#;

/// A company that is in step, and a `bwdc.toml` beside it.
fn scene(toml: &str) -> (Organization, Instance) {
    let organization = Organization::start(Options::default());
    let instance = Instance::files(PEOPLE, GROUPS, &organization);
    configure(&instance, toml);
    (organization, instance)
}

fn configure(instance: &Instance, toml: &str) {
    let path = instance.data_folder().join("bwdc.toml");
    fs::write(&path, toml).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn webhook(receiver: &Receiver, more: &str) -> String {
    format!(
        "[alerts.channel.ops]\ntype = \"webhook\"\nurl = \"{}\"\nevents = {EVERYTHING}\n{more}",
        receiver.url("/hooks/S3cr3tPartOfTheAddress")
    )
}

/// Makes the directory unreadable, or readable again.
fn lose_the_directory(instance: &Instance) {
    fs::remove_file(instance.data_folder().join("company/users.csv")).unwrap();
}

fn failing(instance: &Instance) -> Ran {
    instance.run(&["sync"]).fails(1, &["users.csv"])
}

fn events(receiver: &Receiver) -> Vec<String> {
    let documents = documents(receiver);
    documents.iter().map(|document| document["event"].as_str().unwrap().to_owned()).collect()
}

fn documents(receiver: &Receiver) -> Vec<Value> {
    receiver.take().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

fn memory(instance: &Instance) -> Value {
    serde_json::from_str(&fs::read_to_string(instance.data_folder().join("alerts.json")).unwrap()).unwrap()
}

#[test]
fn failures_are_told_once_and_so_is_their_end() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    lose_the_directory(&instance);
    failing(&instance);
    assert_eq!(events(&receiver), [""; 0]);
    failing(&instance);
    let told = documents(&receiver);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["event"], &told[0]["version"], &told[0]["failures"]),
        (&"failed".into(), &1.into(), &2.into())
    );
    assert_eq!((&told[0]["object"], &told[0]["run"]["exit"]), (&"alert".into(), &1.into()));
    assert!(told[0]["text"].as_str().unwrap().contains("users.csv"), "{}", told[0]);
    failing(&instance);
    // Neither plan nor test tell anybody, whatever they find.
    instance.run(&["plan"]).fails(1, &["users.csv"]);
    instance.run(&["test"]).fails(1, &["users.csv"]);
    assert_eq!(events(&receiver), [""; 0]);
    instance.company(PEOPLE, GROUPS);
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["event"], &told[0]["ended"][0]), (&"recovered".into(), &"failed".into()));
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    assert_eq!(
        fs::metadata(instance.data_folder().join("alerts.json")).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn leavers_and_what_is_held_are_told() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["sync"]).ok();
    instance.company("id,email\n1,ada@x.org\n2,bo@x.org\n", GROUPS);
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"], &told[0]["left"]), (1, &"leavers".into(), &1.into()));
    assert_eq!(told[0]["people"][0], "cy@x.org");
    instance.run(&["config", "sync.limitRemovals", "0"]).ok();
    instance.company("id,email\n1,ada@x.org\n", GROUPS);
    for expected in [&["held"][..], &[]] {
        instance.run(&["sync"]).fails(5, &["bo@x.org"]);
        assert_eq!(events(&receiver), expected);
    }
    instance.run(&["approve", "--yes"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), ["recovered", "leavers"]);
}

#[test]
fn what_was_not_delivered_is_told_by_the_next_run() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&format!("[alerts]\nafter = 1\n{}", webhook(&receiver, "")));
    lose_the_directory(&instance);
    receiver.answer(500, "no room for S3cr3tPartOfTheAddress");
    let ran = failing(&instance);
    assert!(ran.err.contains("The channel ops was not told") && ran.err.contains("HTTP 500"), "{}", ran.err);
    assert!(!ran.err.contains("S3cr3tPart") && ran.err.contains("no room for [secret]"), "{}", ran.err);
    receiver.take();
    receiver.answer(200, "ok");
    failing(&instance);
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"]), (1, &"failed".into()));
    assert_eq!(memory(&instance)["outbox"], Value::Array(Vec::new()));
    failing(&instance);
    assert_eq!(events(&receiver), [""; 0]);
}

#[test]
fn a_run_that_was_killed_is_told_by_the_next() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&format!("[alerts]\nafter = 1\n{}", webhook(&receiver, "")));
    instance.run(&["sync"]).ok();
    let path = instance.data_folder().join("last-run.json");
    let mut runs: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    runs["running"] =
        serde_json::json!({ "at": "2026-01-01T00:00:00Z", "by": "cron", "process": 1, "run": "killed" });
    fs::write(&path, runs.to_string()).unwrap();
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    let of = |at: usize| (told[at]["event"].as_str().unwrap(), told[at]["run"]["id"].as_str().unwrap());
    assert_eq!((told.len(), of(0), of(1).0), (2, ("failed", "killed"), "recovered"));
}

/// One of any kind that hangs delays neither the others nor the run beyond the limit, and changes no exit code.
#[test]
fn a_channel_that_hangs_delays_no_other() {
    let receiver = Receiver::start();
    let port = mute_server();
    let folder = tempfile::tempdir().unwrap();
    script(&folder.path().join("hang"), "#!/bin/sh\nsleep 600 & sleep 600\n");
    let hang = folder.path().join("hang").display().to_string();
    let mail = "from = \"bwdc@example.org\"\nto = [\"it@example.org\"]";
    let kinds = [
        ("h-webhook", format!("type = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"")),
        ("h-ping", format!("type = \"ping\"\nurl = \"http://127.0.0.1:{port}/\"\nevents = [\"failed\"]")),
        ("h-smtp", format!("type = \"mail\"\nserver = \"smtp://127.0.0.1:{port}\"\n{mail}")),
        ("h-sendmail", format!("type = \"mail\"\nserver = \"sendmail:{hang}\"\n{mail}")),
        ("h-command", format!("type = \"command\"\ncommand = \"{hang}\"")),
    ];
    let mut toml = format!("[alerts]\nafter = 1\n{}", webhook(&receiver, ""));
    for (name, text) in &kinds {
        toml.push_str(&format!("[alerts.channel.{name}]\n{text}\n"));
    }
    let (_organization, instance) = scene(&toml);
    lose_the_directory(&instance);
    let began = Instant::now();
    let ran = failing(&instance);
    // The programs would go on for ten minutes.
    assert!(began.elapsed() < Duration::from_secs(60));
    for (name, _) in &kinds {
        let is_told = ran.err.contains(&format!("The channel {name} was not told"))
            || ran.err.contains("Not every channel");
        assert!(is_told, "{name}: {}", ran.err);
    }
    assert_eq!(events(&receiver), ["failed"]);
    let processes = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&processes.stdout).contains(&hang), "the programs go on");
    // The next run tries those again, and nobody else.
    assert_eq!(memory(&instance)["outbox"].as_array().unwrap().len(), kinds.len());
}

#[test]
fn a_damaged_memory_is_no_silence_and_no_failure() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["sync"]).ok();
    fs::write(instance.data_folder().join("alerts.json"), "{").unwrap();
    lose_the_directory(&instance);
    failing(&instance);
    assert_eq!(events(&receiver), ["failed"]);
    failing(&instance);
    assert_eq!(events(&receiver), [""; 0]);
}

#[test]
fn names_are_redacted_where_that_is_wanted() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&format!("[alerts]\nredact = true\n{}", webhook(&receiver, "")));
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["sync"]).ok();
    instance.company("id,email\n1,ada@x.org\n2,bo@x.org\n", GROUPS);
    instance.run(&["sync"]).ok();
    instance.run(&["config", "sync.limitRemovals", "0"]).ok();
    instance.company("id,email\n1,ada@x.org\n", GROUPS);
    instance.run(&["sync"]).fails(5, &["bo@x.org"]);
    let bodies: Vec<String> = receiver.take().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies.iter().all(|body| !body.contains("x.org")), "{bodies:?}");
}

/// Everything that a channel of each kind was told, in the order of the channels.
struct Audience {
    http: Vec<(&'static str, Receiver)>,
    smtp: Option<Smtp>,
    folder: tempfile::TempDir,
    /// How much of each was looked at before.
    seen: std::collections::BTreeMap<String, usize>,
}

const PRESETS: [&str; 7] = ["json", "slack", "teams", "mattermost", "ntfy", "pagerduty", "opsgenie"];

impl Audience {
    fn gather() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Each text that a program is told is a file.
        let keep = |name: &str, head: &str| {
            let text = format!(
                "#!/bin/sh\nd={}\nn=$(ls \"$d\" | grep -c '^{name}-')\n({head} cat) > \"$d/{name}-$(printf %03d $n)\"\n",
                folder.path().display()
            );
            script(&folder.path().join(format!("tell-{name}")), &text);
        };
        keep("command", "");
        keep("sendmail", "echo \"$@\"; ");
        fs::write(folder.path().join("key"), "k3y").unwrap();
        let http = PRESETS.into_iter().chain(["ping"]).map(|name| (name, Receiver::start())).collect();
        Self { http, smtp: Smtp::start(SmtpTls::Nothing), folder, seen: std::collections::BTreeMap::new() }
    }

    fn toml(&self) -> String {
        let here = self.folder.path().display();
        let mut toml = format!("[alerts]\ntextfile = \"{here}/bwdc.prom\"\n");
        let mut add = |name: &str, text: String| {
            toml.push_str(&format!("[alerts.channel.{name}]\nevents = {EVERYTHING}\n{text}\n"));
        };
        for (name, receiver) in &self.http {
            let key = if ["pagerduty", "opsgenie"].contains(name) {
                format!("key_file = \"{here}/key\"\n")
            } else {
                String::new()
            };
            let url = receiver.url("/topic");
            add(
                name,
                match *name {
                    "ping" => format!("type = \"ping\"\nurl = \"{url}\""),
                    preset => format!("type = \"webhook\"\nurl = \"{url}\"\npreset = \"{preset}\"\n{key}"),
                },
            );
        }
        let mail = "from = \"bwdc@example.org\"\nto = [\"it@example.org\"]";
        if let Some(smtp) = &self.smtp {
            add("smtp", format!("type = \"mail\"\nserver = \"smtp://127.0.0.1:{}\"\n{mail}", smtp.port()));
        }
        add("sendmail", format!("type = \"mail\"\nserver = \"sendmail:{here}/tell-sendmail\"\n{mail}"));
        add("command", format!("type = \"command\"\ncommand = \"{here}/tell-command\""));
        toml
    }

    /// What each channel was told since the last look.
    fn told(&mut self) -> Vec<(String, Vec<String>)> {
        let mut told = Vec::new();
        for (name, receiver) in &self.http {
            let events = receiver
                .take()
                .into_iter()
                .filter(|request| *name != "ping" || request.path.ends_with("/log"));
            told.push(((*name).to_owned(), events.map(|request| request.body).collect()));
        }
        let mut mails = self.smtp.iter().flat_map(Smtp::mails).collect::<Vec<_>>();
        told.push(("smtp".to_owned(), mails.split_off(self.count("smtp", mails.len()))));
        for name in ["sendmail", "command"] {
            let entries = fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.path());
            let mut paths: Vec<_> = entries
                .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}-")))
                .collect();
            paths.sort();
            let paths = paths.split_off(self.count(name, paths.len()));
            told.push((
                name.to_owned(),
                paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect(),
            ));
        }
        told
    }

    fn count(&mut self, name: &str, now: usize) -> usize {
        self.seen.insert(name.to_owned(), now).unwrap_or_default()
    }

    /// Each channel was told of these and of nothing else, each in words that belong to it alone.
    #[track_caller]
    fn was_told(&mut self, events: &[&str]) {
        for (channel, texts) in self.told() {
            if channel == "smtp" && self.smtp.is_none() {
                continue;
            }
            assert_eq!(texts.len(), events.len(), "{channel}: {texts:?}");
            for (text, event) in texts.iter().zip(events) {
                assert!(is_about(text, event), "{channel} of {event}: {text}");
            }
        }
    }

    fn metrics(&self) -> String {
        fs::read_to_string(self.folder.path().join("bwdc.prom")).unwrap()
    }
}

/// Whether a text is about this event, and no other. Mail and JSON break and escape some characters, but not these words.
fn is_about(text: &str, event: &str) -> bool {
    let words = [
        ("failed", "syncs of usual"),
        ("recovered", "succeeded. "),
        ("held", "A safety check held back"),
        ("missed", "three intervals"),
        ("expiring", "which the sync of usual"),
        ("leavers", "left the organization by"),
        ("weekly", "The last seven days"),
    ];
    let joined = text.replace("=\r\n", "").replace("=\n", "").replace("=20", " ");
    words.iter().all(|(known, words)| {
        joined.contains(words) == (*known == event) || (*known == "recovered" && event == "missed")
    })
}

/// Each event comes once through each kind of channel, and not again; the text file follows.
#[test]
fn each_event_comes_once_through_each_channel() {
    let mut audience = Audience::gather();
    if audience.smtp.is_none() {
        crate::harness::skipped("python3-aiosmtpd is missing");
    }
    let (_organization, mut instance) = scene("");
    let instances =
        "[instance.usual]\nfolder = \".\"\n[instance.silent]\nfolder = \"silent\"\nschedule.every = \"1h\"\n";
    configure(&instance, &format!("{instances}{}", audience.toml()));
    fs::create_dir(instance.data_folder().join("silent")).unwrap();
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["sync"]).ok();
    audience.was_told(&[]);
    assert!(audience.metrics().contains("bwdc_sync_last_exit_code{instance=\"usual\"} 0.0"));
    // Failures, and their end.
    lose_the_directory(&instance);
    for expected in [&[][..], &["failed"], &[]] {
        failing(&instance);
        audience.was_told(expected);
    }
    assert!(audience.metrics().contains("bwdc_sync_last_exit_code{instance=\"usual\"} 1.0"));
    instance.company(PEOPLE, GROUPS);
    for expected in [&["recovered"][..], &[]] {
        instance.run(&["sync"]).ok();
        audience.was_told(expected);
    }
    // Held back, and let through.
    instance.run(&["config", "sync.limitRemovals", "0"]).ok();
    instance.company("id,email\n1,ada@x.org\n2,bo@x.org\n", GROUPS);
    for expected in [&["held"][..], &[]] {
        instance.run(&["sync"]).fails(5, &["cy@x.org"]);
        audience.was_told(expected);
    }
    assert!(audience.metrics().contains("bwdc_sync_held{instance=\"usual\"} 1.0"), "{}", audience.metrics());
    instance.run(&["approve", "--yes"]).ok();
    instance.run(&["sync"]).ok();
    audience.was_told(&["recovered", "leavers"]);
    assert!(audience.metrics().contains("bwdc_sync_changes{instance=\"usual\",action=\"remove\"} 1.0"));
    // Another one that has stopped.
    let last = instance.data_folder().join("silent/last-run.json");
    fs::write(last, format!(r#"{{"last":null,"lastSuccess":{SUCCESS}}}"#)).unwrap();
    for expected in [&["missed"][..], &[]] {
        instance.run(&["sync"]).ok();
        audience.was_told(expected);
    }
    assert!(
        audience
            .metrics()
            .contains("bwdc_sync_last_success_timestamp_seconds{instance=\"silent\"} 1767225601.0"),
        "{}",
        audience.metrics()
    );
    // A certificate that has ended.
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    instance.set_env("BWDC_CA_FILE", certificates.expired.certificate.to_str().unwrap());
    for expected in [&["expiring"][..], &[]] {
        instance.run(&["sync"]).ok();
        audience.was_told(expected);
    }
    assert!(
        audience
            .metrics()
            .contains("bwdc_credential_expiry_timestamp_seconds{instance=\"usual\",credential=\"CA file")
    );
    // Another week.
    let path = instance.data_folder().join("alerts.json");
    let mut memory = memory(&instance);
    memory["incidents"]["week"] = (memory["incidents"]["week"].as_i64().unwrap() - 1).into();
    fs::write(&path, memory.to_string()).unwrap();
    for expected in [&["weekly"][..], &[]] {
        instance.run(&["sync"]).ok();
        audience.was_told(expected);
    }
    assert_eq!(super::alerts::memory(&instance)["outbox"], Value::Array(Vec::new()));
}

/// What a folder keeps of a run that succeeded long ago.
const SUCCESS: &str = r#"{"at":"2026-01-01T00:00:00Z","by":"cron","result":"ok","exit":0,"durationSeconds":1.0,"users":1,"groups":0,"removed":0,"leftOut":0,"message":"Synced."}"#;

/// sendmail gets a mail as it stands, sender and receivers as arguments, and no secret.
#[test]
fn sendmail_is_handed_the_mail() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    script(
        &here.join("sendmail"),
        &format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" > {0}/arguments\ncat > {0}/mail\nenv > {0}/env\n",
            here.display()
        ),
    );
    let (_organization, instance) = scene(&mail(&format!("sendmail:{}/sendmail", here.display()), ""));
    let ran = instance.run(&["alert", "test"]).ok();
    assert!(ran.out.contains("it (mail): sent, handed to sendmail"), "{}", ran.out);
    let read = |name: &str| fs::read_to_string(here.join(name)).unwrap();
    assert_eq!(read("arguments"), "-i\n-f\nbwdc@example.org\n--\nit@example.org\nzoe@example.org\n");
    let text = read("mail");
    assert!(text.contains("Subject: [bwdc] Test alert") && text.contains("To: it@example.org"), "{text}");
    assert!(!read("env").contains("BW_CLIENTSECRET"));
    script(&here.join("sendmail"), "#!/bin/sh\necho 'mailq full' >&2\nexit 75\n");
    instance.run(&["alert", "test"]).fails_with("it (mail): failed", "75: mailq full");
    fs::remove_file(here.join("sendmail")).unwrap();
    instance.run(&["alert", "test"]).fails_with("it (mail): failed", "No such file");
}

/// Two runs at once: only one of them delivers what waits.
#[test]
fn what_two_processes_want_to_deliver_comes_once() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&format!("[alerts]\nafter = 1\n{}", webhook(&receiver, "")));
    receiver.answer(500, "not now");
    lose_the_directory(&instance);
    failing(&instance);
    receiver.take();
    receiver.answer(200, "ok");
    receiver.hold();
    let mut first = instance.spawn(&["sync"]);
    receiver.wait_for(1);
    failing(&instance);
    receiver.release();
    assert_eq!(first.wait().unwrap().code(), Some(1));
    assert_eq!(events(&receiver), ["failed"]);
    assert_eq!(memory(&instance)["outbox"], Value::Array(Vec::new()));
}

/// Nowhere to keep what was told: trouble is told again rather than never.
#[test]
fn a_memory_that_cannot_be_written_is_no_silence() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    fs::create_dir(instance.data_folder().join("alerts.json")).unwrap();
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    lose_the_directory(&instance);
    for _ in 0..2 {
        failing(&instance);
        assert_eq!(events(&receiver), ["failed"]);
    }
}

/// One instance without `bwdc.toml`: channels by settings, by variables, or by both.
#[test]
fn channels_come_from_settings_and_variables() {
    let receiver = Receiver::start();
    let (_organization, mut instance) = scene("");
    let folder = instance.data_folder();
    fs::remove_file(folder.join("bwdc.toml")).unwrap();
    instance.run(&["alert", "test"]).fails(1, &["no channels"]);
    fs::write(folder.join("hook.url"), receiver.url("/from-a-setting")).unwrap();
    instance.run(&["config", "alerts.webhook.preset", "nobody"]).fails(1, &["json, slack"]);
    instance.run(&["config", "alerts.after", "0"]).fails(1, &["from 1 to 1000"]);
    instance.run(&["config", "alerts.webhook.urlFile", "hook.url"]).ok();
    instance.run(&["config", "alerts.events", "failed, leavers"]).ok();
    instance.run(&["config", "alerts.after", "1"]).ok();
    lose_the_directory(&instance);
    failing(&instance);
    let told = receiver.take();
    assert_eq!((told.len(), told[0].path.as_str()), (1, "/from-a-setting"));
    // A variable comes first, and its file before the setting's.
    let file = folder.join("other.url");
    fs::write(&file, receiver.url("/from-a-file-of-a-variable")).unwrap();
    instance.set_env("BWDC_ALERT_WEBHOOK_URL_FILE", file.to_str().unwrap());
    instance.set_env("BWDC_ALERT_COMMAND", "/bin/false");
    instance.run(&["alert", "test"]).fails_with("webhook (webhook): sent", "command (command): failed");
    assert_eq!(receiver.take()[0].path, "/from-a-file-of-a-variable");
    instance.set_env("BWDC_ALERT_WEBHOOK_URL", &receiver.url("/from-a-variable"));
    instance.unset_env("BWDC_ALERT_COMMAND");
    instance.run(&["alert", "test"]).ok();
    assert_eq!(receiver.take()[0].path, "/from-a-variable");
    // What does not fit together delays no run, and is told.
    instance.run(&["config", "alerts.mail.server", "sendmail"]).ok();
    let ran = failing(&instance);
    assert!(
        ran.err.contains("Nobody is told how this run ends") && ran.err.contains("`from` is missing"),
        "{}",
        ran.err
    );
    instance.run(&["alert", "test"]).fails(1, &["`from` is missing"]);
    // `[alerts]` of bwdc.toml takes the place of all settings.
    configure(&instance, &webhook(&receiver, ""));
    instance.run(&["alert", "test"]).ok();
    assert_eq!(receiver.take()[0].path, "/hooks/S3cr3tPartOfTheAddress");
}

/// The signature is what `openssl` makes of the body, as the guide says.
#[test]
fn bodies_are_signed_and_secrets_come_from_files_and_variables() {
    let receiver = Receiver::start();
    let toml = "[alerts.channel.ops]\ntype = \"webhook\"\nurl_file = \"ops.url\"\nhmac_key_file = \"ops.key\"\n\
                [alerts.channel.other-one]\ntype = \"webhook\"\n";
    let (_organization, mut instance) = scene(toml);
    let folder = instance.data_folder();
    fs::write(folder.join("ops.url"), format!("{}\n", receiver.url("/from-a-file"))).unwrap();
    fs::write(folder.join("ops.key"), "S3cr3t-key\n").unwrap();
    instance.run(&["alert", "test"]).fails_with("other-one (webhook): failed", "BWDC_ALERT_OTHER_ONE_URL");
    receiver.take();
    instance.set_env("BWDC_ALERT_OTHER_ONE_URL", &receiver.url("/from-a-variable"));
    let ran = instance.run(&["alert", "test"]).ok();
    assert_eq!(ran.out.matches("sent, HTTP 200").count(), 2, "{}", ran.out);
    let mut requests = receiver.take();
    requests.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/from-a-file", "/from-a-variable"]);
    let body = folder.join("body");
    fs::write(&body, &requests[0].body).unwrap();
    let line = format!("openssl dgst -sha256 -hmac S3cr3t-key -r < {}", body.display());
    let made = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let expected = format!("sha256={}", made.split_whitespace().next().unwrap());
    assert_eq!(requests[0].headers["x-bwdc-signature"], expected);
    assert!(!requests[1].headers.contains_key("x-bwdc-signature"));
}

impl Ran {
    #[track_caller]
    fn fails_with(self, line: &str, more: &str) {
        assert_eq!(self.code, 1, "{}\n{}", self.out, self.err);
        let all = format!("{}\n{}", self.out, self.err);
        assert!(all.contains(line) && all.contains(more), "{all}");
    }
}

fn mail(server: &str, more: &str) -> String {
    format!(
        "[alerts]\nafter = 1\n[alerts.channel.it]\ntype = \"mail\"\nserver = \"{server}\"\nfrom = \"bwdc <bwdc@example.org>\"\n\
         to = [\"it@example.org\", \"Zoë <zoe@example.org>\"]\n{more}"
    )
}

#[test]
fn mail_is_sent_by_each_kind_of_protection() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let (nothing, starttls, wrapped) =
        (SmtpTls::Nothing, SmtpTls::StartTls(&certificates.server), SmtpTls::Wrapped(&certificates.server));
    for (tls, scheme, protected) in
        [(nothing, "smtp", "False"), (starttls, "smtp", "True"), (wrapped, "smtps", "True")]
    {
        let Some(smtp) = Smtp::start(tls) else {
            crate::harness::skipped("python3-aiosmtpd is missing");
            return;
        };
        let (_organization, mut instance) =
            scene(&mail(&format!("{scheme}://127.0.0.1:{}", smtp.port()), ""));
        instance.set_env("BWDC_CA_FILE", certificates.ca.to_str().unwrap());
        instance.run(&["alert", "test"]).ok();
        lose_the_directory(&instance);
        failing(&instance);
        let mails = smtp.mails();
        assert_eq!(mails.len(), 2, "{tls:?}");
        let mail = &mails[1];
        assert!(
            mail.contains(&format!("TLS: {protected}"))
                && mail.contains("To: it@example.org,zoe@example.org"),
            "{mail}"
        );
        assert!(
            mail.contains("Subject: [bwdc] Sync of") && mail.contains("Auto-Submitted: auto-generated"),
            "{mail}"
        );
        assert!(mail.contains("Reading people from"), "{mail}");
    }
}

/// A server's own certificate in BWDC_CA_FILE is its authority, as everywhere else: also one that says that it is an authority.
#[test]
fn a_mail_server_is_trusted_by_its_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    for pair in [&certificates.self_signed, &certificates.own_authority] {
        for (tls, scheme) in [(SmtpTls::StartTls(pair), "smtp"), (SmtpTls::Wrapped(pair), "smtps")] {
            let Some(smtp) = Smtp::start(tls) else {
                crate::harness::skipped("python3-aiosmtpd is missing");
                return;
            };
            let (_organization, mut instance) =
                scene(&mail(&format!("{scheme}://localhost:{}", smtp.port()), ""));
            instance.set_env("BWDC_CA_FILE", certificates.ca.to_str().unwrap());
            instance.run(&["alert", "test"]).fails_with("it (mail): failed", "certificate");
            instance.set_env("BWDC_CA_FILE", pair.certificate.to_str().unwrap());
            instance.run(&["alert", "test"]).ok();
            assert!(smtp.mails()[0].contains("TLS: True"));
        }
    }
}

#[test]
fn a_mail_server_is_not_trusted_blindly_and_its_password_is_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let Some(smtp) = Smtp::start(SmtpTls::StartTls(&certificates.server)) else {
        crate::harness::skipped("python3-aiosmtpd is missing");
        return;
    };
    let login = format!("user = \"{}\"\npassword_file = \"mail.password\"\n", LOGIN.0);
    let (_organization, mut instance) = scene(&mail(&format!("smtp://localhost:{}", smtp.port()), &login));
    fs::write(instance.data_folder().join("mail.password"), LOGIN.1).unwrap();
    instance.run(&["alert", "test"]).fails_with("it (mail): failed", "BWDC_CA_FILE");
    instance.set_env("BWDC_CA_FILE", certificates.ca.to_str().unwrap());
    instance.run(&["alert", "test"]).ok();
    assert!(smtp.mails()[0].contains("Login: True"), "{}", smtp.mails()[0]);
    let wrong = "Wr0ng-of-the-mail-server";
    fs::write(instance.data_folder().join("mail.password"), wrong).unwrap();
    let ran = instance.run(&["alert", "test"]);
    assert!(ran.code == 1 && ran.out.contains("535") && !ran.out.contains(wrong), "{}", ran.out);
}

#[test]
fn pings_follow_each_run() {
    let receiver = Receiver::start();
    let toml =
        format!("[alerts.channel.hc]\ntype = \"ping\"\nurl = \"{}\"\n", receiver.url("/6fb62fc0-uuid"));
    let (_organization, instance) = scene(&toml);
    let paths = || receiver.take().into_iter().map(|request| request.path).collect::<Vec<_>>();
    instance.run(&["sync"]).ok();
    assert_eq!(paths(), ["/6fb62fc0-uuid/start", "/6fb62fc0-uuid"]);
    lose_the_directory(&instance);
    failing(&instance);
    assert_eq!(paths(), ["/6fb62fc0-uuid/start", "/6fb62fc0-uuid/fail"]);
    instance.run(&["alert", "test", "--channel", "hc"]).ok();
    assert_eq!(paths(), ["/6fb62fc0-uuid/log"]);
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_command_gets_the_document_and_no_secret() {
    let (_organization, instance) = scene("");
    let folder = instance.data_folder();
    script(&folder.join("tell"), "#!/bin/sh\ncat > \"$1.json\"\nenv > \"$1.env\"\n");
    let toml = format!(
        "[alerts]\nafter = 1\n[alerts.channel.c]\ntype = \"command\"\ncommand = \"{0}/tell '{0}/told; true'\"\n",
        folder.display()
    );
    configure(&instance, &toml);
    lose_the_directory(&instance);
    failing(&instance);
    let told: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("told; true.json")).unwrap()).unwrap();
    assert_eq!(told["event"], "failed");
    let variables = fs::read_to_string(folder.join("told; true.env")).unwrap();
    assert!(
        variables.contains("BWDC_ALERT_EVENT=failed") && !variables.contains("BW_CLIENTSECRET"),
        "{variables}"
    );
    script(&folder.join("tell"), "#!/bin/sh\necho 'no such room' >&2\nexit 3\n");
    instance.run(&["alert", "test"]).fails_with("c (command): failed", "no such room");
}

/// The secret part of an address is in no output, no log at any level, and no file but the one that has it.
#[test]
fn a_secret_is_nowhere() {
    let receiver = Receiver::start();
    let (_organization, mut instance) = scene(&format!("[alerts]\nafter = 1\n{}", webhook(&receiver, "")));
    let log = instance.data_folder().join("bwdc.log");
    instance.set_env("BWDC_LOG_LEVEL", "debug");
    instance.set_env("BWDC_LOG_FILE", log.to_str().unwrap());
    lose_the_directory(&instance);
    let mut outputs = Vec::new();
    for status in [500, 404, 200] {
        receiver.answer(status, "S3cr3tPartOfTheAddress");
        for command in [
            &["sync"][..],
            &["alert", "test"],
            &["--response", "alert", "test"],
            &["config", "list"],
            &["status"],
        ] {
            let ran = instance.run(command);
            outputs.extend([ran.out, ran.err]);
        }
    }
    assert!(outputs.iter().all(|text| !text.contains("S3cr3tPart")), "{outputs:?}");
    for entry in
        fs::read_dir(instance.data_folder()).unwrap().flatten().filter(|entry| entry.path().is_file())
    {
        let text = fs::read_to_string(entry.path()).unwrap();
        assert!(
            entry.file_name() == "bwdc.toml" || !text.contains("S3cr3tPart"),
            "{:?}: {text}",
            entry.path()
        );
    }
    assert!(fs::read_to_string(log).unwrap().contains("alert sent"));
}

/// A scheduler that has stopped is noticed by the runs of another instance, and by `bwdc alert check`.
#[test]
fn a_success_that_is_missed_is_told_once() {
    let receiver = Receiver::start();
    let (organization, instance) = scene("");
    let toml = format!(
        "[instance.usual]\nfolder = \".\"\n[instance.silent]\nfolder = \"silent\"\nschedule.every = \"1h\"\n{}",
        webhook(&receiver, "")
    );
    configure(&instance, &toml);
    let silent = instance.data_folder().join("silent");
    fs::create_dir(&silent).unwrap();
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    instance.run(&["alert", "check"]).ok();
    fs::write(silent.join("last-run.json"), format!(r#"{{"last":null,"lastSuccess":{SUCCESS}}}"#)).unwrap();
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!(
        (told.len(), &told[0]["event"], &told[0]["instance"]),
        (1, &"missed".into(), &"silent".into())
    );
    instance.run(&["sync"]).ok();
    instance.run(&["alert", "check"]).fails_with("No success for three intervals: silent", "");
    assert_eq!(events(&receiver), [""; 0]);
    fs::remove_file(silent.join("alerts.json")).unwrap();
    instance.run(&["alert", "check"]).fails_with("silent", "");
    assert_eq!(events(&receiver), ["missed"]);
    drop(organization);
}

/// The record of a success long ago, in place of that of the last run.
fn succeeded_long_ago(instance: &Instance) {
    let folder = instance.data_folder();
    fs::write(folder.join("last-run.json"), format!(r#"{{"last":null,"lastSuccess":{SUCCESS}}}"#)).unwrap();
    let _ = fs::remove_file(folder.join("alerts.json"));
    instance.change(|data| {
        for key in ["lastUserSync", "lastGroupSync"] {
            data[key] = "2026-01-01T00:00:00Z".into();
        }
    });
}

/// A timer of the user, as `bwdc schedule install --user` leaves it.
fn schedule_is_installed(instance: &Instance, schedule: &str) {
    let units = instance.folder.path().join(".config/systemd/user");
    fs::create_dir_all(&units).unwrap();
    let folder = instance.data_folder();
    let marker = serde_json::json!({ "schedule": schedule, "folder": folder, "user": "me", "program": "/usr/bin/bwdc" });
    fs::write(units.join("bwdc-data.timer"), format!("# bwdc-schedule: {marker}\n[Timer]\n")).unwrap();
}

/// How often a sync is wanted is known from the schedule that is installed, without `bwdc.toml` and before anything was learned.
#[test]
fn a_success_that_is_missed_by_an_installed_schedule_is_told_by_whatever_runs_next() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["sync"]).ok();
    // Nobody knows when it was to run.
    succeeded_long_ago(&instance);
    instance.run(&["alert", "check"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    // Next year.
    schedule_is_installed(&instance, "0 0 1 1 *");
    succeeded_long_ago(&instance);
    instance.run(&["alert", "check"]).ok();
    schedule_is_installed(&instance, "15m");
    instance.run(&["alert", "check"]).fails_with("No success for three intervals: data", "");
    instance.run(&["alert", "check"]).fails_with("No success for three intervals: data", "");
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"]), (1, &"missed".into()));
    assert!(told[0]["text"].as_str().unwrap().contains("2026-01-01 00:00 UTC"), "{}", told[0]);
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), ["recovered"]);
    // The run that comes at last tells both.
    succeeded_long_ago(&instance);
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), ["missed", "recovered"]);
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    // Also one that finds another one running, which hangs.
    let lock = fs::File::open(instance.data_folder().join("bwdc.lock")).unwrap();
    lock.try_lock().unwrap();
    succeeded_long_ago(&instance);
    instance.run(&["sync"]).fails(3, &[]);
    assert_eq!(events(&receiver), ["missed"]);
    lock.unlock().unwrap();
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), ["recovered"]);
}

/// A program of the package `prometheus`, fed with a text.
fn promtool(arguments: &[&str], text: &str) -> Option<(bool, String)> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        crate::harness::skipped("promtool is missing");
        return None;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    Some((ended.status.success(), said))
}

#[test]
fn each_run_writes_its_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let textfile = folder.path().join("bwdc.prom");
    let (_organization, mut instance) = scene(&format!("[alerts]\ntextfile = \"{}\"\n", textfile.display()));
    instance.set_env("BWDC_CA_FILE", certificates.ca.to_str().unwrap());
    instance.run(&["config", "secretEnd.entra.key", "3000-02-01"]).ok();
    instance.run(&["sync"]).ok();
    let text = fs::read_to_string(&textfile).unwrap();
    for line in [
        "bwdc_sync_last_exit_code{instance=\"data\"} 0.0",
        "bwdc_sync_objects{instance=\"data\",kind=\"user\"} 3.0",
        "bwdc_sync_changes{instance=\"data\",action=\"invite\"} 3.0",
        "bwdc_sync_held{instance=\"data\"} 0.0",
        "bwdc_sync_limit_wanted{instance=\"data\",limit=\"removals\"} 0.0",
        "bwdc_build_info{version=",
        "bwdc_sync_last_success_timestamp_seconds{instance=\"data\"}",
        "bwdc_credential_expiry_timestamp_seconds{instance=\"data\",credential=\"CA file of BWDC_CA_FILE",
        "bwdc_credential_expiry_timestamp_seconds{instance=\"data\",credential=\"secret entra.key\"} 32506358400.0",
        "bwdc_sync_requests{instance=\"data\",peer=\"127.0.0.1\",code=\"200\"} ",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    assert_eq!(fs::metadata(&textfile).unwrap().permissions().mode() & 0o777, 0o644);
    let Some((is_good, said)) = promtool(&["check", "metrics"], &text) else { return };
    assert!(is_good, "{said}");
    lose_the_directory(&instance);
    failing(&instance);
    let text = fs::read_to_string(&textfile).unwrap();
    assert!(text.contains("bwdc_sync_last_exit_code{instance=\"data\"} 1.0"), "{text}");
    assert!(text.contains("bwdc_sync_last_success_timestamp_seconds{"), "{text}");
}

/// The rules and the dashboard are about metrics that exist.
#[test]
fn contributed_rules_and_dashboard_fit() {
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib");
    let rules = contrib.join("prometheus-rules.yml");
    let dashboard = fs::read_to_string(contrib.join("grafana-dashboard.json")).unwrap();
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() > 5);
    let known =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/metrics.rs")).unwrap();
    for text in [fs::read_to_string(&rules).unwrap(), dashboard] {
        let names = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("bwdc_"));
        for name in names {
            assert!(known.contains(&format!("\"{name}\"")), "{name}");
        }
    }
    let Some((is_good, said)) = promtool(&["check", "rules", rules.to_str().unwrap()], "") else { return };
    assert!(is_good, "{said}");
    let (is_good, said) =
        promtool(&["test", "rules", contrib.join("prometheus-rules-test.yml").to_str().unwrap()], "")
            .unwrap();
    assert!(is_good, "{said}");
}

/// A certificate that ends soon is told by the run that sees it.
#[test]
fn what_ends_soon_is_told_once() {
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let (_organization, mut instance) = scene(&webhook(&receiver, ""));
    instance.set_env("BWDC_CA_FILE", certificates.expired.certificate.to_str().unwrap());
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"]), (1, &"expiring".into()));
    assert_eq!(told[0]["credential"]["ends"], "2021-01-01T00:00:00Z");
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
}

/// The last day of a secret stands in the settings: it is told as that of a certificate, and in both kinds of metrics.
#[test]
fn a_secret_whose_last_day_is_set_is_told() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["config", "secretEnd.entra.key", "31.1.2027"]).fails(1, &["such as 2027-01-31"]);
    instance.run(&["config", "secretEnd.login.clientSecret", "2026-02-03"]).ok();
    instance.run(&["config", "secretEnd.entra.key", "2999-01-31"]).ok();
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"]), (1, &"expiring".into()));
    assert_eq!(told[0]["credential"]["name"], "secret login.clientSecret");
    assert_eq!(told[0]["credential"]["ends"], "2026-02-03T00:00:00Z");
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
}

/// Invitations that nobody answers are told once, in one message.
#[test]
fn invitations_that_end_are_told_once() {
    let receiver = Receiver::start();
    let (organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["sync"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
    let id = organization.sandbox.client_id().replace("organization.", "");
    let path = instance.data_folder().join(format!("ledger-{id}.json"));
    let mut ledger: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for (_, record) in ledger["ledger"]["people"].as_object_mut().unwrap() {
        let first = record["invited"]["first"].as_i64().unwrap();
        record["invited"]["first"] = (first - 6 * 86_400).into();
    }
    fs::write(&path, ledger.to_string()).unwrap();
    // So that the run does not end early.
    instance.run(&["config", "sync.removeMissing", "true"]).ok();
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"], &told[0]["invitations"]), (1, &"expiring".into(), &3.into()));
    assert_eq!(told[0]["people"].as_array().unwrap().len(), 3, "{}", told[0]);
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
}

/// The first run of another week tells the last seven days, by the history.
#[test]
fn a_week_is_told_by_its_first_run() {
    let receiver = Receiver::start();
    let (_organization, instance) = scene(&webhook(&receiver, ""));
    instance.run(&["sync"]).ok();
    let path = instance.data_folder().join("alerts.json");
    let mut memory: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let week = memory["incidents"]["week"].as_i64().unwrap();
    memory["incidents"]["week"] = (week - 1).into();
    fs::write(&path, memory.to_string()).unwrap();
    instance.run(&["sync"]).ok();
    let told = documents(&receiver);
    assert_eq!((told.len(), &told[0]["event"], &told[0]["week"]["joined"]), (1, &"weekly".into(), &3.into()));
    instance.run(&["sync"]).ok();
    assert_eq!(events(&receiver), [""; 0]);
}
