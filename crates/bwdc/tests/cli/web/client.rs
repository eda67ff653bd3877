//! A page that runs, and a browser of a few lines.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::harness::Instance;

/// A page under way. Ends when dropped.
pub struct Page {
    child: Child,
    pub port: u16,
    _stdout: BufReader<ChildStdout>,
}

impl Page {
    pub fn start(instance: &Instance) -> Self {
        Self::start_with(instance, &["web", "--listen", "127.0.0.1:0"])
    }

    pub fn start_with(instance: &Instance, arguments: &[&str]) -> Self {
        Self::of(instance.command(arguments))
    }

    /// The page that a command serves.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("The page is served at "), "{line}");
        // A socket has none.
        let port =
            line.split(':').nth(2).and_then(|rest| rest.split('.').next()?.parse().ok()).unwrap_or_default();
        Self { child, port, _stdout: stdout }
    }

    /// The page of a daemon, which prints nothing.
    pub fn of_daemon(instance: &Instance, arguments: &[&str], port: u16) -> Self {
        Self::of_daemon_at(instance.command(arguments), &instance.data_folder(), port)
    }

    /// The page of a daemon that keeps its own in this folder.
    pub fn of_daemon_at(mut command: Command, home: &Path, port: u16) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let page = Self { child, port, _stdout: stdout };
        for _ in 0..200 {
            if home.join("web/served.json").exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        page
    }

    /// Peak memory of the process in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn browser(&self) -> Browser {
        Browser { port: self.port, cookie: None, log: Vec::new() }
    }

    /// A browser that has opened a one-time link of this role.
    pub fn logged_in(&self, instance: &Instance, role: &str) -> Browser {
        self.opened(&instance.run(&["web", "open", "--role", role]).ok().out)
    }

    /// A browser that has opened this one-time link.
    pub fn opened(&self, link: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.send("GET", path_of(link.trim()), &[("Sec-Fetch-Site", "none")], "");
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{link}");
        browser
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of an address.
pub fn path_of(url: &str) -> &str {
    &url[url.match_indices('/').nth(2).unwrap().0..]
}

pub struct Browser {
    pub port: u16,
    pub cookie: Option<String>,
    /// Everything that was answered.
    pub log: Vec<String>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    #[track_caller]
    pub fn has(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.body.contains(word), "`{word}` is not in: {} {}", self.status, self.body);
        }
        self
    }
}

impl Browser {
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// Sends the form with this action as it is on a page, with further fields.
    #[track_caller]
    pub fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let body = self.get(page).body;
        let form = body
            .split("<form ")
            .find(|form| form.contains("method=\"post\"") && form.contains(&format!("action=\"{action}\"")));
        let form = form.unwrap_or_else(|| panic!("no form {action} in {body}"));
        let mut all: Vec<(String, String)> = Vec::new();
        for input in form.split("</form>").next().unwrap().split("<input ").skip(1) {
            let of = |name: &str| {
                input.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next())
            };
            if of("type") == Some("hidden") {
                all.push((of("name").unwrap().to_owned(), of("value").unwrap_or_default().to_owned()));
            }
        }
        all.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post(action, &all)
    }

    pub fn post(&mut self, path: &str, fields: &[(String, String)]) -> Answer {
        let origin = format!("http://127.0.0.1:{}", self.port);
        self.send("POST", path, &[("Origin", &origin), ("Sec-Fetch-Site", "same-origin")], &encoded(fields))
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        if let Some(cookie) = &self.cookie {
            head += &format!("Cookie: {cookie}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            head += &format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        self.log.push(text.clone());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().filter(|cookie| !cookie.ends_with('=')).map(str::to_owned);
        }
        answer
    }

    /// Follows an answer that leads on, and waits until what it leads to is done.
    #[track_caller]
    pub fn done(&mut self, answer: Answer) -> Answer {
        assert_eq!(answer.status, 303, "{} {}", answer.status, answer.body);
        let path = answer.header("location").unwrap().to_owned();
        for _ in 0..600 {
            let page = self.get(&path);
            if !page.body.contains("class=\"mark running\"") {
                return page;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{path} does not end");
    }
}

pub fn encoded(fields: &[(String, String)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut all, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => all.push(byte.into()),
                _ => all += &format!("%{byte:02X}"),
            }
            all
        })
    };
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}
