//! Real Active Directory domain controller: Samba, in a network namespace of its own, because its ports are fixed.
//! Needs root.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::client;

/// Base DN of the domain.
pub const BASE: &str = "DC=ad,DC=example,DC=org";
/// Kerberos realm.
const REALM: &str = "AD.EXAMPLE.ORG";
/// Account that may do everything.
pub const ADMINISTRATOR: &str = "Administrator@ad.example.org";
/// Password of the administrator.
pub const PASSWORD: &str = "Passw0rd-Strong1";

/// Requirements for a connection before the controller accepts a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// TLS, for logins by password and by Kerberos (`allow_sasl_over_tls`).
    Protection,
}

/// Running domain controller. Ends when dropped.
#[derive(Debug)]
pub struct Samba {
    folder: TempDir,
    process: Child,
    port: u16,
    tls_port: u16,
    catalogue_port: u16,
    kerberos_port: u16,
    certificates: Certificates,
}

impl Samba {
    /// Provisions a domain with these entries (LDIF, added before the start) and starts its controller: takes about 15 seconds.
    pub fn with(ldif: &str) -> Self {
        Self::start(ldif, Demand::Nothing)
    }

    /// Provisions a domain, with requirements.
    pub fn start(ldif: &str, demand: Demand) -> Self {
        assert!(rustix::process::geteuid().is_root(), "Samba needs root: run the tests with sudo");
        let folder = tempfile::Builder::new().prefix("bwdc-samba-").tempdir().expect("a folder for Samba");
        let certificates = Certificates::make(folder.path());
        provision(folder.path(), &certificates, demand);
        seed(folder.path(), ldif);
        let process = launch(folder.path());
        let port = relay(process.id(), 389);
        let tls_port = relay(process.id(), 636);
        let catalogue_port = relay(process.id(), 3268);
        let kerberos_port = relay(process.id(), 88);
        let samba = Self { folder, process, port, tls_port, catalogue_port, kerberos_port, certificates };
        samba.wait();
        samba
    }

    /// Port of LDAP and StartTLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Port of LDAPS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Port of the global catalogue, without TLS.
    pub fn catalogue_port(&self) -> u16 {
        self.catalogue_port
    }

    /// Settings for Kerberos clients (`KRB5_CONFIG`). The services of this controller are known by the name localhost.
    pub fn kerberos(&self) -> PathBuf {
        let path = self.folder.path().join("krb5.conf");
        let port = self.kerberos_port;
        let text = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n\n[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\n[domain_realm]\n localhost = {REALM}\n"
        );
        fs::write(&path, text).expect("writing krb5.conf");
        path
    }

    /// Puts a ticket of the administrator into a cache file.
    pub fn ticket(&self, cache: &Path) {
        let mut kinit = Command::new("kinit");
        kinit.arg("-c").arg(cache).arg(format!("Administrator@{REALM}")).env("KRB5_CONFIG", self.kerberos());
        let mut kinit = kinit.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("kinit");
        writeln!(kinit.stdin.take().expect("its input"), "{PASSWORD}").expect("typing the password");
        assert!(kinit.wait().expect("kinit").success());
    }

    /// Writes the administrator's key into a file, for tickets without a password.
    pub fn keytab(&self, path: &Path) {
        let key = Command::new("samba-tool")
            .args(["domain", "exportkeytab", "--principal", &format!("Administrator@{REALM}")])
            .arg(path)
            .arg("-s")
            .arg(self.folder.path().join("etc/smb.conf"))
            .output();
        let key = key.expect("samba-tool");
        assert!(key.status.success(), "{}", String::from_utf8_lossy(&key.stderr));
    }

    /// Authority and its certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Changes the directory over the wire, in LDIF; entries without a `changetype` are added.
    pub fn modify(&self, ldif: &str) {
        client::modify(self.port, ADMINISTRATOR, PASSWORD, ldif);
    }

    fn wait(&self) {
        let started = Instant::now();
        loop {
            // The root DSE is readable by everybody.
            let url = format!("ldap://127.0.0.1:{}", self.port);
            let mut search = Command::new("ldapsearch");
            let search =
                search.args(["-x", "-H", &url, "-b", "", "-s", "base", "dn"]).output().expect("ldapsearch");
            if search.status.success() {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "Samba did not start: see {}",
                self.folder.path().display()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{:?} is not installed: run scripts/install-test-tools ({error})", command.get_program())
    });
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn provision(folder: &Path, certificates: &Certificates, demand: Demand) {
    let database = folder.join("eadb.tdb");
    run(Command::new("samba-tool")
        .args(["domain", "provision", "--realm=AD.EXAMPLE.ORG", "--domain=EXAMPLE", "--server-role=dc"])
        .args(["--dns-backend=NONE", "--host-ip=127.0.0.1", "--host-name=dc1"])
        .arg(format!("--adminpass={PASSWORD}"))
        .arg(format!("--targetdir={}", folder.display()))
        .arg(format!("--option=posix:eadb={}", database.display()))
        .args(["--option=interfaces=lo", "--option=bind interfaces only=yes"]));
    let path = folder.join("etc/smb.conf");
    let text = fs::read_to_string(&path).expect("smb.conf");
    let services =
        text.lines().find(|line| line.contains("server services")).expect("its services").to_owned();
    // Samba requires a key that nobody else can read.
    let key = &certificates.server.key;
    fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("the key's mode");
    let ours = [
        "server services = ldap, cldap, kdc".to_owned(),
        format!(
            "ldap server require strong auth = {}",
            match demand {
                Demand::Nothing => "no",
                Demand::Protection => "allow_sasl_over_tls",
            }
        ),
        "tls enabled = yes".to_owned(),
        format!("tls keyfile = {}", key.display()),
        format!("tls certfile = {}", certificates.server.certificate.display()),
        format!("tls cafile = {}", certificates.ca.display()),
        format!("pid directory = {}", folder.display()),
        format!("log file = {}/samba.log", folder.display()),
        format!("ncalrpc dir = {}/ncalrpc", folder.display()),
    ];
    let ours = ours.map(|line| format!("\t{line}")).join("\n");
    fs::write(&path, text.replace(&services, &ours)).expect("writing smb.conf");
}

fn seed(folder: &Path, ldif: &str) {
    let path = folder.join("seed.ldif");
    fs::write(&path, ldif).expect("writing the entries");
    run(Command::new("ldbadd").arg("-H").arg(folder.join("private/sam.ldb")).arg(&path));
    run(Command::new("samba-tool")
        .args(["spn", "add", "ldap/localhost", "DC1$", "-s"])
        .arg(folder.join("etc/smb.conf")));
}

fn launch(folder: &Path) -> Child {
    Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link set lo up && exec samba --foreground --model=single -s \"$0\""])
        .arg(folder.join("etc/smb.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starting Samba")
}

/// Free port of this machine that leads to a port inside the process's network namespace: a thread of ours accepts out here
/// and connects in there, because a socket belongs to the namespace in which it was created.
fn relay(process: u32, port: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let started = Instant::now();
    let own = fs::read_link("/proc/self/ns/net").expect("our namespace");
    let path = format!("/proc/{process}/ns/net");
    while fs::read_link(&path).is_ok_and(|theirs| theirs == own)
        && started.elapsed() < Duration::from_secs(10)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    let namespace = File::open(&path).expect("Samba's network namespace");
    std::thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("entering it (this needs root)");
        for outside in listener.incoming().flatten() {
            // Until Samba listens, the caller is disconnected and tries again.
            if let Ok(inside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                join(outside, inside);
            }
        }
    });
    address.port()
}

fn join(a: TcpStream, b: TcpStream) {
    for (from, to) in [(a.try_clone(), b.try_clone()), (Ok(b), Ok(a))] {
        let (Ok(mut from), Ok(mut to)) = (from, to) else { return };
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
