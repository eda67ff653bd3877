//! `bwdc daemon` and `bwdc status`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bwdc_sandbox::Options;
use bwdc_testkit::free_port;
use serde_json::{Value, json};

mod first_process;
mod workers;

use self::workers::children;
use crate::harness::{Instance, Organization, Ran, is_root};
use crate::machine::Machine;
use crate::owner::{NOBODY, command_of_user};

/// Folders below that of one instance, whose environment they share.
struct Company {
    instance: Instance,
    names: Vec<String>,
}

impl Company {
    fn of(count: usize, organization: &Organization) -> Self {
        let mut instance = Instance::empty();
        instance.unset_env("BITWARDENCLI_CONNECTOR_APPDATA_DIR");
        instance.key(&organization.sandbox);
        let company = Self { instance, names: (0..count).map(|number| format!("i{number}")).collect() };
        for name in &company.names {
            let folder = company.folder(name);
            fs::create_dir_all(folder.join("company")).unwrap();
            let people = format!("id,email\n{name},{name}@example.org\n");
            fs::write(folder.join("company/users.csv"), people).unwrap();
            let data = json!({
                "stateVersion": 8,
                "environmentUrls": { "base": organization.sandbox.url() },
                "directoryType": "file",
                "directoryFile": { "path": "company" },
                "sync": { "users": true, "interval": 5 },
            });
            fs::write(folder.join("data.json"), data.to_string()).unwrap();
        }
        company
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.instance.folder.path().join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut arguments = vec!["daemon", "--spread", "0"];
        for name in &self.names {
            arguments.extend(["--appdata", name]);
        }
        arguments.extend(more);
        self.instance.command(&arguments)
    }

    fn start(&self, more: &[&str]) -> Daemon {
        let log = fs::File::create(self.instance.folder.path().join("daemon.log")).unwrap();
        Daemon(self.command(more).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    /// Takes the API key from this command.
    fn key_by(&mut self, command: &str) {
        self.instance.unset_env("BW_CLIENTSECRET");
        self.instance.set_env("BW_CLIENTSECRET_EXEC", command);
    }

    /// Supplies the API key once the returned file exists.
    fn key_waits(&mut self, organization: &Organization) -> PathBuf {
        let go = self.instance.folder.path().join("go");
        let key = organization.sandbox.client_secret();
        self.key_by(&format!("sh -c 'while [ ! -e {} ]; do sleep 0.05; done; echo {key}'", go.display()));
        go
    }

    /// Log of a daemon that was started by `start`.
    fn log(&self) -> String {
        fs::read_to_string(self.instance.folder.path().join("daemon.log")).unwrap()
    }

    fn ask(&self) -> Ran {
        self.instance.run(&["--response", "status", "--appdata", "i0"])
    }

    /// Status, once it is as expected.
    fn wait_for(&self, what: &str, is_good: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let out = self.ask().out;
            let status: Value = serde_json::from_str(&out).unwrap_or_default();
            if is_good(&status["data"]) {
                return status["data"].clone();
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no {what}: {out}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn state<'a>(&self, status: &'a Value, name: &str) -> &'a Value {
        &status["instances"][name]
    }

    /// Whether each has run.
    fn all_ran(&self, status: &Value) -> bool {
        self.names.iter().all(|name| self.state(status, name)["last"].is_object())
    }
}

/// Contents of a file, once it exists.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends with the test.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, name: &str) {
        let done =
            Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status().unwrap();
        assert!(done.success());
    }

    fn end(mut self) -> i32 {
        self.signal("TERM");
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn http(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// More connections than the process may have open files, none of which sends a complete request: the daemon still serves others.
#[test]
fn silent_connections_do_not_block_the_metrics() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let port = free_port();
    let daemon = company.start(&["--metrics", &format!("127.0.0.1:{port}")]);
    company.wait_for("a run", |status| company.all_ran(status));
    let silent: Vec<TcpStream> = (0..1_100)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nX-");
            }
            stream
        })
        .collect();
    assert!(http(port, "/metrics").contains("bwdc_sync_runs_total"));
    assert!(http(port, "/healthz").starts_with("HTTP/1.1 200"));
    company.ask().ok();
    // Nor is an endless request read.
    let mut endless = TcpStream::connect(("127.0.0.1", port)).unwrap();
    endless.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let header = format!("X-Header: {}\r\n", "x".repeat(1_000));
    let refused = (0..10_000).any(|_| endless.write_all(header.as_bytes()).is_err());
    assert!(refused, "10 MB of headers were taken");
    drop(silent);
    assert_eq!(daemon.end(), 0);
}

/// The metrics need no login.
#[test]
fn other_machines_reach_the_metrics_only_if_that_is_said() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let port = free_port();
    let everywhere = format!("0.0.0.0:{port}");
    let refused: Ran = company.command(&["--metrics", &everywhere]).output().unwrap().into();
    refused.fails(1, &["can be reached from other machines", "--expose-metrics"]);
    let alone: Ran = company.command(&["--expose-metrics"]).output().unwrap().into();
    alone.fails(1, &["missing required argument"]);
    let daemon = company.start(&["--metrics", &everywhere, "--expose-metrics"]);
    company.wait_for("a run", |status| company.all_ran(status));
    assert!(http(port, "/metrics").contains("bwdc_sync_runs_total"));
    assert_eq!(daemon.end(), 0);
}

/// Schedules would run at other hours than intended.
#[test]
fn an_unknown_time_zone_is_reported_wherever_local_times_matter() {
    const WARNING: &str = "knows no time zone `Nowhere/City` (the variable TZ)";
    let organization = Organization::start(Options::default());
    let mut company = Company::of(1, &organization);
    for known in ["", "UTC", "Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        company.instance.set_env("TZ", known);
        let ran = company.instance.run(&["schedule", "explain", "0 3 * * *"]).ok();
        assert_eq!(ran.err, "", "{known}");
    }
    company.instance.set_env("TZ", "Nowhere/City");
    let ran = company.instance.run(&["schedule", "explain", "0 3 * * *"]).ok();
    assert!(ran.err.contains(WARNING), "{}", ran.err);
    assert!(ran.out.contains("03:00 UTC"), "{}", ran.out);
    let daemon = company.start(&[]);
    company.wait_for("a run", |status| company.all_ran(status));
    assert!(company.log().contains(WARNING), "{}", company.log());
    let ran = company.instance.run(&["status", "--appdata", "i0"]).ok();
    assert!(ran.err.contains(WARNING) && ran.out.contains(" UTC"), "{} {}", ran.err, ran.out);
    assert_eq!(daemon.end(), 0);
}

/// With few open files allowed: syncs and the status need some as well.
#[test]
fn silent_connections_leave_files_for_syncs() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    let port = free_port();
    let silent = |count: usize| -> Vec<TcpStream> {
        (0..count).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect()
    };
    let usual = company.command(&["--metrics", &format!("127.0.0.1:{port}")]);
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 48; exec \"$0\" \"$@\""]).arg(usual.get_program()).args(usual.get_args());
    few.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    few.current_dir(usual.get_current_dir().unwrap());
    let log = fs::File::create(company.instance.folder.path().join("daemon.log")).unwrap();
    let daemon = Daemon(few.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    until("a port", || TcpStream::connect(("127.0.0.1", port)).ok());
    let held = silent(1_000);
    company.wait_for("runs of all", |status| company.all_ran(status));
    let more = silent(500);
    assert!(http(port, "/metrics").contains("bwdc_sync_runs_total"));
    company.ask().ok();
    drop((held, more));
    assert!(!company.log().contains("Too many open files"), "{}", company.log());
    assert_eq!(daemon.end(), 0);
}

fn waits(status: &Value) -> bool {
    status["nextRun"].is_string() && status["runningSince"].is_null()
}

#[test]
fn every_instance_runs_and_a_failing_one_delays_nobody() {
    let organization = Organization::start(Options::default());
    let company = Company::of(4, &organization);
    fs::remove_dir_all(company.folder("i2").join("company")).unwrap();
    company.instance.run(&["config", "secretEnd.login.clientSecret", "3000-02-01", "--appdata", "i0"]).ok();
    let port = free_port();
    let daemon = company.start(&["--at-once", "2", "--metrics", &format!("127.0.0.1:{port}")]);
    let status = company.wait_for("runs of all", |status| company.all_ran(status));
    assert_eq!(organization.emails(), ["i0@example.org", "i1@example.org", "i3@example.org"]);
    for name in ["i0", "i1", "i3"] {
        let state = company.state(&status, name);
        assert_eq!((&state["last"]["exit"], &state["failed"]), (&json!(0), &json!(0)), "{state}");
        assert!(waits(state), "{state}");
    }
    let failing = company.state(&status, "i2");
    assert_eq!((&failing["last"]["exit"], &failing["failuresInARow"]), (&json!(1), &json!(1)));
    assert!(failing["last"]["message"].as_str().unwrap().contains("there is no such file or folder"));
    assert_eq!(failing["lastRun"]["result"], json!("failed"), "{failing}");
    let one: Value =
        serde_json::from_str(&company.instance.run(&["status", "--appdata", "i0", "--json"]).out).unwrap();
    let listed = &one["instances"][0];
    assert_eq!((&one["object"], &one["daemon"]["pid"]), (&json!("status"), &status["pid"]));
    assert_eq!(
        (&listed["name"], &listed["lastRun"]["by"], &listed["lastRun"]["result"]),
        (&json!("i0"), &json!("daemon"), &json!("ok"))
    );
    assert!(listed["lastSuccess"].is_string() && listed["nextRun"].is_string(), "{listed}");

    let ran = company.instance.run(&["status", "--appdata", "i0"]);
    assert_eq!(ran.code, 1, "one fails: {}", ran.out);
    assert!(ran.out.contains("failed 1 times in a row") && ran.out.contains("next run in "), "{}", ran.out);
    let health = http(port, "/healthz");
    assert!(
        health.starts_with("HTTP/1.1 503") && health.contains("failing: ") && health.contains("i2"),
        "{health}"
    );
    let metrics = http(port, "/metrics");
    for line in [
        "bwdc_sync_runs_total{instance=\"{}\",result=\"success\"} 1",
        "bwdc_sync_failures_in_a_row{instance=\"{}\"} 0.0",
        "bwdc_sync_requests{instance=\"{}\",peer=\"127.0.0.1\",code=\"200\"} ",
        "bwdc_credential_expiry_timestamp_seconds{instance=\"{}\",credential=\"secret login.clientSecret\"} 32506358400.0",
    ] {
        let line = line.replace("{}", "i0");
        assert!(metrics.contains(&line), "no {line} in {metrics}");
    }

    assert_eq!(daemon.end(), 0);
    assert!(!company.folder("i0").join("daemon.sock").exists());
    // Without a daemon, the folders supply the status.
    let told: Value = serde_json::from_str(&company.ask().ok().out).unwrap();
    let instance = &told["data"]["instances"][0];
    assert_eq!(
        (&instance["lastRun"]["by"], &instance["lastRun"]["exit"]),
        (&json!("daemon"), &json!(0)),
        "{told}"
    );
}

#[test]
fn one_daemon_for_one_configuration() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let daemon = company.start(&[]);
    company.wait_for("a run", |status| company.all_ran(status));
    let second: Ran = company.command(&[]).output().unwrap().into();
    second.fails(1, &["Another daemon answers at ", "Stop it first"]);
    company.wait_for("an answer of the first", |status| status["pid"] == json!(daemon.0.id()));
    assert_eq!(daemon.end(), 0);
}

/// What a container's health check and a probe ask.
#[test]
fn health_is_that_of_a_running_daemon() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    let health = || company.instance.run(&["health", "--appdata", "i0"]);
    let is_off = || health().fails(1, &["No daemon answers this user in i0.", "bwdc daemon"]);
    is_off();
    let daemon = company.start(&[]);
    company.wait_for("runs of both", |status| company.all_ran(status));
    let told = health().ok();
    assert!(
        told.out.starts_with("The daemon (process ") && told.out.contains(" 2 instance(s) are in step."),
        "{}",
        told.out
    );
    assert_eq!(told.out.lines().count(), 1);

    // A daemon that hangs is not well, and one who asks does not hang with it.
    daemon.signal("STOP");
    health().fails(1, &["No daemon answers at ", "no answer within 5 s"]);
    daemon.signal("CONT");
    assert_eq!(daemon.end(), 0);
    is_off();

    let company = Company::of(2, &organization);
    let broken = company.folder("i1").join("company/users.csv");
    fs::write(broken, "id,email\n\"x").unwrap();
    let daemon = company.start(&[]);
    company.wait_for("runs of both", |status| company.all_ran(status));
    let told = company.instance.run(&["health", "--appdata", "i0"]);
    let told = told.fails(1, &["i1: failed 1 times in a row: "]);
    assert_eq!((told.err.lines().count(), told.err.contains("i0:")), (1, false), "{}", told.err);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn clients_that_send_nothing_keep_nobody_waiting() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let daemon = company.start(&[]);
    company.wait_for("a run", |status| company.all_ran(status));
    let come = || UnixStream::connect(company.folder("i0").join("daemon.sock")).unwrap();
    let mut silent: Vec<UnixStream> = (0..20).map(|_| come()).collect();
    let mut wrong = come();
    wrong.write_all(b"secret\n").unwrap();
    company.ask().ok();
    // The answer came while they were still connected: nobody waited for them to be disconnected.
    let newest = silent.last_mut().unwrap();
    newest.set_nonblocking(true).unwrap();
    assert_eq!(newest.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    newest.set_nonblocking(false).unwrap();
    // They get no answer, and are disconnected.
    silent.push(wrong);
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        assert_eq!(told, "");
    }
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_reload_applies_the_current_configuration() {
    let organization = Organization::start(Options::default());
    let company = Company::of(2, &organization);
    let daemon = company.start(&[]);
    company.wait_for("runs of both", |status| company.all_ran(status));
    let file = company.folder("i1").join("data.json");
    let mut data: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    data["sync"]["interval"] = json!(600);
    fs::write(&file, data.to_string()).unwrap();
    daemon.signal("HUP");
    let far = |status: &Value| {
        let next = company.state(status, "i1")["nextRun"].as_str().map(str::to_owned);
        let day = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        next.is_some_and(|next| day(&next).duration_since(jiff::Timestamp::now()).as_hours() >= 9)
    };
    company.wait_for("the new interval", far);
    // An invalid one changes nothing.
    fs::write(&file, "{").unwrap();
    daemon.signal("HUP");
    let status = company.wait_for("an answer", |status| status["pid"] == json!(daemon.0.id()));
    assert!(far(&status), "{status}");
    assert_eq!(daemon.end(), 0);
}

/// As under the package's unit: the socket is in the folder of the instance that was the first at the start.
#[test]
fn it_is_found_after_a_reload_that_changes_the_first_instance() {
    if !is_root("give files to another user") {
        return;
    }
    let organization = Organization::start(Options::default());
    let machine = Machine::of_a_package(&["aachen", "berlin", "hq"], &organization);
    machine.toml_of_the_package(&["berlin", "hq"]);
    let command = || command_of_user(&machine.usual, NOBODY, &["daemon", "--spread", "0"]);
    let daemon = Daemon(command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let names = || {
        let told: Value = serde_json::from_str(&machine.run(&["--response", "status"]).out).ok()?;
        let is_ours = told["data"]["pid"] == json!(daemon.0.id());
        let instances = told["data"]["instances"].as_object().filter(|_| is_ours)?;
        Some(instances.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(until("no daemon", names), ["berlin", "hq"]);
    assert!(machine.path("berlin/daemon.sock").exists());

    machine.toml_of_the_package(&["aachen", "berlin", "hq"]);
    daemon.signal("HUP");
    let all = ["aachen", "berlin", "hq"];
    until("the daemon is lost, or has not reloaded", || names().filter(|names| *names == all));
    assert!(!machine.path("aachen/daemon.sock").exists());
    let second = Ran::from(command().output().unwrap());
    second.fails(1, &["Another daemon answers at ", "/berlin/daemon.sock"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_sync_by_somebody_else_is_not_a_failure() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let lock = fs::File::create(company.folder("i0").join("bwdc.lock")).unwrap();
    lock.lock().unwrap();
    let daemon = company.start(&[]);
    let status = company.wait_for("a run", |status| company.all_ran(status));
    let state = company.state(&status, "i0");
    assert_eq!((&state["last"]["exit"], &state["failuresInARow"]), (&json!(3), &json!(0)), "{state}");
    assert_eq!((&state["lastSuccess"], &state["busy"]), (&Value::Null, &json!(1)), "{state}");
    assert_eq!(organization.imports(), 0);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn killed_at_any_moment_it_loses_nothing() {
    let organization = Organization::start(Options::default());
    let company = Company::of(3, &organization);
    for moment in 0..24_u64 {
        let mut daemon = company.start(&[]);
        std::thread::sleep(Duration::from_millis(15 * moment));
        let workers = children(daemon.0.id());
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();
        // In every other round they are allowed to finish.
        if moment % 2 == 0 {
            let workers = workers.iter().map(u32::to_string);
            let _ = Command::new("kill").arg("-KILL").args(workers).stderr(Stdio::null()).status();
        }
        for name in &company.names {
            let data = read(&company.folder(name).join("data.json"));
            assert_eq!(data["sync"]["interval"], json!(5), "{data}");
        }
    }
    let daemon = company.start(&[]);
    company.wait_for("runs of all or their turn", |status| {
        company.names.iter().all(|name| company.state(status, name)["lastSuccess"].is_string())
    });
    assert_eq!(organization.emails().len(), 3);
    assert_eq!(daemon.end(), 0);
}

/// Constant requests do not keep it from notifying systemd's watchdog.
#[test]
fn the_watchdog_is_notified_however_busy_the_daemon_is() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let path = company.instance.folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let mut command = company.command(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    let daemon = Daemon(command.spawn().unwrap());
    company.wait_for("a run", |status| company.all_ran(status));
    systemd.set_nonblocking(true).unwrap();
    let told = || {
        let mut buffer = [0; 4096];
        let mut lines = Vec::new();
        while let Ok(length) = systemd.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    };
    let lines = told();
    assert!(lines.iter().any(|line| line == "READY=1"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("STATUS=1 instance(s), ")), "{lines:?}");
    let mut beats = 0;
    for _ in 0..4 {
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            company.ask();
        }
        beats += told().iter().filter(|line| *line == "WATCHDOG=1").count();
    }
    assert!(beats >= 3, "every second, not {beats} times in four");
    daemon.signal("HUP");
    let mut lines = Vec::new();
    until("not ready again", || {
        lines.extend(told());
        lines.iter().any(|line| line == "READY=1").then_some(())
    });
    let place = |wanted: &str| lines.iter().position(|line| line == wanted);
    assert!(place("RELOADING=1") < place("READY=1") && place("RELOADING=1").is_some(), "{lines:?}");
    assert_eq!(daemon.end(), 0);
    assert!(told().iter().any(|line| line == "STOPPING=1"));
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
