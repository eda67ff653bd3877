//! Small DNS server: dnsmasq, on a loopback address of its own, because resolv.conf cannot contain ports. Needs root.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Running server. Ends when dropped.
#[derive(Debug)]
pub struct Dns {
    process: Child,
    /// File for a machine that asks this server, to use as `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
}

impl Dns {
    /// Answers from these dnsmasq options and nothing else.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let [a, b, ..] = std::process::id().to_le_bytes();
        let address = Ipv4Addr::new(127, 53, b, a.max(2));
        let resolv_conf = folder.join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {address}\noptions timeout:1 attempts:1\n"))
            .expect("resolv.conf");
        let mut process = Command::new("dnsmasq")
            .args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--user=root",
            ])
            .args(["--local=/org/", "--pid-file="])
            .arg(format!("--listen-address={address}"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dnsmasq is not installed: run scripts/install-test-tools");
        // The server is not listening while the address can still be bound.
        while UdpSocket::bind((address, 53)).is_ok() {
            assert!(
                process.try_wait().expect("its state").is_none(),
                "dnsmasq does not start (this needs root)"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, resolv_conf }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
