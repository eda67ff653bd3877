//! OpenLDAP's own clients, to change a directory from outside.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// OpenLDAP tool, logged in to a server on this machine.
pub(crate) fn tool(name: &str, port: u16, who: &str, password: &str) -> Command {
    let mut command = Command::new(name);
    command.args(["-x", "-H", &format!("ldap://127.0.0.1:{port}"), "-D", who, "-w", password]);
    command
}

/// Applies changes in LDIF; entries without a `changetype` are added.
pub(crate) fn modify(port: u16, who: &str, password: &str, ldif: &str) {
    modify_with(port, who, password, &[], ldif);
}

/// Applies changes, with further options.
pub(crate) fn modify_with(port: u16, who: &str, password: &str, options: &[&str], ldif: &str) {
    let mut process = tool("ldapmodify", port, who, password)
        .arg("-a")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("running ldapmodify (scripts/install-test-tools installs it)");
    process.stdin.take().expect("its input").write_all(ldif.as_bytes()).expect("writing the change");
    let output = process.wait_with_output().expect("its end");
    assert!(output.status.success(), "ldapmodify: {}", String::from_utf8_lossy(&output.stderr));
}
