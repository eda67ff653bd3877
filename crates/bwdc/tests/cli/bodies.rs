//! Answers and files designed to break the reader: highly compressed, nested without end, or long.

use std::process::Command;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::harness::{Instance, Ran};

const TOKEN: &str = "00abcdefghijklmnopqrstuvwxyz";

/// Server that gives the same answer to every request.
struct Hostile {
    url: String,
    _runtime: Runtime,
}

impl Hostile {
    fn start(status: u16, encoding: Option<&'static str>, body: &Bytes) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        headers.extend(encoding.map(|encoding| (header::CONTENT_ENCODING, encoding.parse().unwrap())));
        let answer = (StatusCode::from_u16(status).unwrap(), headers, body.clone());
        let app = Router::new().fallback(move || async move { answer });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async { axum::serve(listener, app).await });
        Self { url, _runtime: runtime }
    }

    /// Directory and organization.
    fn instance(&self) -> Instance {
        let mut instance = Instance::empty();
        instance.write(&json!({
            "stateVersion": 8, "environmentUrls": { "base": self.url }, "directoryType": 3,
            "directoryOkta": { "orgUrl": self.url, "token": TOKEN },
            "sync": { "users": true, "groups": true },
        }));
        instance.set_env("BW_CLIENTID", "organization.11111111-2222-3333-4444-555555555555");
        instance.set_env("BW_CLIENTSECRET", "s3cret-value");
        instance.set_env("BWDC_UPDATE_URL", &self.url);
        instance.set_env("BWDC_RETRY_SECONDS", "0.1");
        instance
    }
}

/// Output of shell commands, compressed, repeated many times.
fn compressed(commands: &str, times: usize) -> Bytes {
    let printed = Command::new("sh").args(["-c", &format!("{{ {commands}; }} | gzip -1")]).output().unwrap();
    assert!(printed.status.success());
    printed.stdout.repeat(times).into()
}

/// Checks that no line is too long to read.
#[track_caller]
fn short_lines(text: &str) {
    for line in text.lines() {
        assert!(
            line.len() < 3_000,
            "a line of {}: {}",
            line.len(),
            line.chars().take(1_000).collect::<String>()
        );
    }
}

/// Runs with just enough memory for the largest permitted answer, and must end by itself.
#[track_caller]
fn fails(instance: &Instance, arguments: &[&str]) -> Ran {
    const KIB: usize = 1_000_000;
    let script = format!("ulimit -v {KIB}; exec {} \"$@\"", env!("CARGO_BIN_EXE_bwdc"));
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).args(arguments).current_dir(instance.folder.path());
    command.env_clear().envs(instance.environment.iter().map(|(name, value)| (name, value)));
    let ran: Ran = command.output().unwrap().into();
    short_lines(&ran.err);
    assert_eq!(ran.code, 1, "{arguments:?}: {} {}", ran.out, ran.err);
    ran
}

const ASKING: [&[&str]; 3] = [&["login"], &["test"], &["update"]];

#[test]
fn answers_that_decompress_to_more_than_memory() {
    // 2 GB.
    let zeros = compressed("head -c 100000000 /dev/zero", 20);
    let server = Hostile::start(200, Some("gzip"), &zeros);
    for command in ASKING {
        let ran = fails(&server.instance(), command);
        let told = format!("{}{}", ran.out, ran.err);
        assert!(told.contains("the answer is too large"), "{command:?}: {told}");
    }
    // A refusal shows its status, whatever the body.
    for status in [400, 403, 503] {
        let server = Hostile::start(status, Some("gzip"), &zeros);
        for command in ASKING {
            let ran = fails(&server.instance(), command);
            assert!(ran.err.contains(&status.to_string()), "{command:?}: {}", ran.err);
        }
    }
}

#[test]
fn small_answers_that_take_much_memory_when_parsed() {
    // 20 million numbers.
    let numbers =
        compressed("printf '{\"a\":[0'; head -c 20000000 /dev/zero | sed 's/\\x00/,0/g'; printf ']}'", 1);
    for status in [200, 400] {
        let server = Hostile::start(status, Some("gzip"), &numbers);
        for command in ASKING {
            fails(&server.instance(), command);
        }
    }
}

#[test]
fn endlessly_nested_answers() {
    for open in ["[", "{\"message\":[", "{\"access_token\":{\"a\":"] {
        for status in [200, 400] {
            let server = Hostile::start(status, None, &open.repeat(200_000).into());
            for command in ASKING {
                fails(&server.instance(), command);
            }
        }
        let deep = open.repeat(200_000);
        let instance = Instance::empty();
        instance.write(
            &json!({ "stateVersion": 8, "directoryType": "file", "directoryFile": { "path": "people" } }),
        );
        let people = instance.data_folder().join("people");
        std::fs::create_dir(&people).unwrap();
        std::fs::write(people.join("users.json"), &deep).unwrap();
        fails(&instance, &["test"]);
        std::fs::write(instance.data_file(), &deep).unwrap();
        fails(&instance, &["test"]);
        fails(&instance, &["config", "sync.interval", "17"]);
    }
    let instance = Instance::empty();
    for text in [
        "a = ".to_owned() + &"[".repeat(200_000),
        "a.".repeat(100_000),
        "[a]\n".repeat(2) + &"[".repeat(100_000),
    ] {
        std::fs::create_dir_all(instance.data_folder()).unwrap();
        std::fs::write(instance.data_folder().join("bwdc.toml"), text).unwrap();
        fails(&instance, &["sync"]);
    }
}

#[test]
fn long_texts_are_cut() {
    let long = "x".repeat(500_000);
    let texts = [
        json!({ "message": long, "error": long, "error_description": long, "errorSummary": long, "errorCode": long }),
        json!({ "errorModel": { "message": long }, "validationErrors": { &long: [long] } }),
        json!({ "tag_name": long, "html_url": long, "server": { "name": long } }),
        json!([{ "id": long, "status": long, "profile": { "login": long } }]),
        json!(long),
    ];
    for text in texts {
        for status in [200, 400, 500] {
            let server = Hostile::start(status, None, &text.to_string().into());
            for command in ["login", "test", "update", "doctor"] {
                let ran = server.instance().run(&[command]);
                short_lines(&ran.out);
                short_lines(&ran.err);
            }
        }
    }
}

/// Long values in a valid answer, such as ids of groups.
#[test]
fn long_directory_values_in_the_log() {
    let ids = [TOKEN.to_owned(), format!("{TOKEN} {}", "x".repeat(500_000)), "\u{202e}backwards".to_owned()];
    let groups: Vec<_> = ids.iter().map(|id| json!({ "id": id, "profile": {} })).collect();
    let server = Hostile::start(200, None, &json!(groups).to_string().into());
    for format in ["text", "json"] {
        let mut instance = server.instance();
        instance.set_env("BWDC_LOG_LEVEL", "debug");
        let ran = instance.run(&["test", "--log-file", "bwdc.log", "--log-format", format]).ok();
        let log = std::fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap();
        for text in [&ran.err, &log] {
            assert!(!text.contains(TOKEN) && text.contains("[secret]"), "{text:.2000}");
        }
        assert!(log.contains("... (500009 characters)"), "{log:.2000}");
        assert!(log.lines().all(|line| line.len() < 9_000), "{log:.2000}");
        // JSON escapes it for programs, and shows it to nobody.
        assert!(format == "json" || !log.contains('\u{202e}'), "{log:?}");
    }
}
