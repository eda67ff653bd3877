//! Chromium, by its driver (W3C WebDriver).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// How often is looked for what comes soon.
const TIMES: usize = 300;

pub struct Driver {
    process: Child,
    port: u16,
    session: String,
    profile: tempfile::TempDir,
}

impl Driver {
    pub fn start() -> Self {
        let port = bwdc_testkit::free_port();
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is not installed: run scripts/install-test-tools");
        let mut driver = Self { process, port, session: String::new(), profile };
        for _ in 0..TIMES {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            pause();
        }
        let profile = format!("--user-data-dir={}", driver.profile.path().join("profile").display());
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", profile] });
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } } } });
        let answer = driver.send("POST", "/session", &capabilities);
        driver.session = answer["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        driver
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        // The driver keeps connections open: the head says how much there is.
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some((_, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let value: Value = serde_json::from_slice(&body).unwrap();
        value["value"].clone()
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        let value = self.send("POST", &format!("/session/{}/{path}", self.session), body);
        assert!(value.get("error").is_none(), "{path}: {}", value["message"]);
        value
    }

    pub fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    pub fn script(&self, script: &str, arguments: Value) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// What a script says when it has come to its end by itself.
    pub fn awaited(&self, script: &str, arguments: Value) -> Value {
        self.ask("execute/async", &json!({ "script": script, "args": arguments }))
    }

    pub fn text(&self) -> String {
        self.script("return document.body.innerText", json!([])).as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn waits_for(&self, words: &str) {
        for _ in 0..TIMES {
            if self.text().contains(words) {
                return;
            }
            pause();
        }
        panic!("`{words}` does not come: {}", self.text());
    }

    fn element(&self, xpath: &str) -> String {
        let found = self.ask("element", &json!({ "using": "xpath", "value": xpath }));
        found.as_object().and_then(|found| found.values().next()?.as_str().map(str::to_owned)).unwrap()
    }

    /// Presses what has this text: a button or a link.
    pub fn press(&self, text: &str) {
        let element =
            self.element(&format!("//button[normalize-space()='{text}'] | //a[normalize-space()='{text}']"));
        self.ask(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into the field with this id.
    pub fn fill(&self, id: &str, text: &str) {
        let element = self.element(&format!("//*[@id='{id}']"));
        self.ask(&format!("element/{element}/clear"), &json!({}));
        self.ask(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    pub fn choose(&self, id: &str, word: &str) {
        let element = self.element(&format!("//select[@id='{id}']/option[@value='{word}']"));
        self.ask(&format!("element/{element}/click"), &json!({}));
    }

    pub fn key(&self, key: &str) {
        let keys = json!({ "actions": [{ "type": "key", "id": "keys", "actions": [{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }] }] });
        self.ask("actions", &keys);
    }

    pub fn look(&self, width: u32, height: u32, scheme: &str) {
        let command =
            |cmd: &str, params: Value| self.ask("goog/cdp/execute", &json!({ "cmd": cmd, "params": params }));
        command(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        command(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// The whole page as a picture.
    pub fn picture(&self, path: &Path) {
        let shot = self.ask("goog/cdp/execute", &json!({ "cmd": "Page.captureScreenshot", "params": { "format": "png", "captureBeyondViewport": true } }));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, decoded(shot["data"].as_str().unwrap())).unwrap();
    }

    /// Errors and warnings on the console since the last time.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.ask("se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(|entry| entry["message"].to_string())
            .collect()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.send("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        // The browser of a test that has failed outlives its driver: what names its profile is ended.
        let profile = self.profile.path().display().to_string();
        let _ = Command::new("pkill").args(["-KILL", "-f", &profile]).status();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// Base64.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u32> = text.bytes().filter_map(digit).map(u32::from).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
