//! Real 389 Directory Server. Its tools require systemd; a script in place of `systemctl` starts and stops the
//! server for them. Instances live in the system's folders, so each has a name of its own. Needs root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::ldif::SUFFIX;
use crate::{client, free_port};

/// Account that may do everything.
pub const MANAGER: &str = "cn=Directory Manager";
/// Password of the manager.
pub const PASSWORD: &str = "Passw0rd-Strong1";

const SYSTEMCTL: &str = r#"#!/bin/sh
for last; do :; done
name=${last#dirsrv@}
pid=/run/dirsrv/slapd-$name.pid
log=/var/log/dirsrv/slapd-$name/errors
is_up() { kill -0 "$(cat "$pid" 2>/dev/null)" 2>/dev/null; }
wait_until() { for _ in $(seq 400); do "$@" && exit 0; sleep 0.05; done; exit 1; }
has_started() { grep -q 'slapd started' "$log"; }
has_stopped() { ! kill -0 "$running" 2>/dev/null; }
case "$1" in
start) mkdir -p /run/dirsrv && chown dirsrv /run/dirsrv; : >"$log"; ns-slapd -D "/etc/dirsrv/slapd-$name" -i "$pid" && wait_until has_started ;;
stop) running=$(cat "$pid") && kill "$running" && wait_until has_stopped ;;
restart) "$0" stop "$last" && "$0" start "$last" ;;
is-active) is_up ;;
esac
"#;

/// Running server. Ends and is removed when dropped.
#[derive(Debug)]
pub struct Ds389 {
    folder: TempDir,
    name: String,
    port: u16,
}

impl Ds389 {
    /// Starts a server with these entries besides its suffix.
    pub fn with(ldif: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "389 Directory Server needs root: run the tests with sudo"
        );
        let folder = tempfile::Builder::new().prefix("bwdc-389-").tempdir().expect("a folder for the server");
        let name = format!("bwdc{}", fastrand::u32(..));
        let port = free_port();
        let systemctl = folder.path().join("systemctl");
        fs::write(&systemctl, SYSTEMCTL).expect("writing the script");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("its mode");
        let answers = folder.path().join("instance.inf");
        let text = format!(
            "[general]\nconfig_version = 2\nstrict_host_checking = False\nfull_machine_name = localhost\n[slapd]\n\
             instance_name = {name}\nport = {port}\nsecure_port = {}\nroot_password = {PASSWORD}\nself_sign_cert = False\n\
             [backend-userroot]\nsuffix = {SUFFIX}\ncreate_suffix_entry = True\n",
            free_port()
        );
        fs::write(&answers, text).expect("writing the answers");
        let server = Self { folder, name, port };
        let output = tool(server.folder.path(), "dscreate").arg("from-file").arg(&answers).output();
        let output = output.expect("dscreate is not installed: run scripts/install-test-tools");
        assert!(output.status.success(), "dscreate: {}", String::from_utf8_lossy(&output.stdout));
        server.modify(ldif);
        server
    }

    /// Port of plain LDAP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the directory, in LDIF; entries without a `changetype` are added.
    pub fn modify(&self, ldif: &str) {
        client::modify(self.port, MANAGER, PASSWORD, ldif);
    }
}

fn tool(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display())).stdin(Stdio::null());
    command
}

impl Drop for Ds389 {
    fn drop(&mut self) {
        let folder = self.folder.path();
        let _ = tool(folder, "systemctl").args(["stop", &format!("dirsrv@{}", self.name)]).output();
        let _ = tool(folder, "dsctl").args([self.name.as_str(), "remove", "--do-it"]).output();
    }
}
