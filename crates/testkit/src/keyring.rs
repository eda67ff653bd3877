//! Real Secret Service: GNOME Keyring in a D-Bus session of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Running D-Bus session with an unlocked keyring. Ends when dropped.
#[derive(Debug)]
pub struct Keyring {
    folder: TempDir,
    bus: Child,
    daemon: Child,
    address: String,
}

impl Keyring {
    /// Starts both.
    pub fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("bwdc-keyring-").tempdir().expect("a folder for the keyring");
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is not installed: run scripts/install-test-tools");
        let mut address = String::new();
        let out = bus.stdout.take().expect("the bus's output");
        BufReader::new(out).read_line(&mut address).expect("the bus's address");
        let address = address.trim().to_owned();
        let mut daemon = Command::new("gnome-keyring-daemon")
            .args(["--foreground", "--unlock", "--components=secrets"])
            .env_clear()
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon is not installed: run scripts/install-test-tools");
        daemon.stdin.take().expect("the daemon's input").write_all(b"unlock").expect("unlocking");
        let keyring = Self { folder, bus, daemon, address };
        keyring.wait();
        keyring
    }

    /// Value for `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Saves a value like libsecret's simple API, which the existing connector uses.
    pub fn save(&self, service: &str, account: &str, value: &str) {
        let mut tool = self
            .tool(&["store", "--label=test", "service", service, "account", account])
            .stdin(Stdio::piped())
            .spawn()
            .expect("secret-tool is not installed: run scripts/install-test-tools");
        tool.stdin.take().expect("its input").write_all(value.as_bytes()).expect("writing the secret");
        assert!(tool.wait().expect("secret-tool").success());
    }

    /// Saved value, as libsecret finds it.
    pub fn saved(&self, service: &str, account: &str) -> Option<String> {
        let Output { status, stdout, .. } =
            self.tool(&["lookup", "service", service, "account", account]).output().expect("secret-tool");
        status.success().then(|| String::from_utf8(stdout).expect("text"))
    }

    fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("secret-tool");
        command.args(arguments).env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    /// Waits until the bus knows the daemon's name.
    fn wait(&self) {
        let status = Command::new("gdbus")
            .args(["wait", "--session", "--timeout", "20", "org.freedesktop.secrets"])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .status()
            .expect("gdbus is not installed: run scripts/install-test-tools");
        assert!(status.success(), "the keyring did not start in {}", self.folder.path().display());
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for process in [&mut self.daemon, &mut self.bus] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
