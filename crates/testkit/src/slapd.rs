//! Private OpenLDAP server.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::{Certificates, Pair};
use crate::ldif::SUFFIX;
use crate::{client, free_port};

/// Password of all accounts.
pub const PASSWORD: &str = "correct horse battery staple";

/// Folders where Debian puts `slapd`; they are not in the PATH of ordinary users.
const PATHS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

/// Difference from the usual server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quirk {
    /// Not at all.
    #[default]
    None,
    /// Its certificate expired in 2021.
    Expired,
    /// It presents a self-signed certificate.
    SelfSigned,
    /// It requires a certificate from its clients.
    WantsClientCertificate,
    /// Ordinary accounts get at most this many entries, paged or not.
    SizeLimit(u32),
    /// It refuses binds without TLS.
    WantsTls,
}

/// Running slapd. Ends when dropped.
#[derive(Debug)]
pub struct Slapd {
    folder: TempDir,
    process: Child,
    port: u16,
    tls_port: u16,
    certificates: Certificates,
}

impl Slapd {
    /// Starts a server with this directory in it. It also has an account `cn=reader,dc=example,dc=org`, which may read
    /// everything and to which limits apply.
    pub fn with(ldif: &str) -> Self {
        Self::start(ldif, Quirk::None)
    }

    /// Starts a server with this directory and a quirk.
    pub fn start(ldif: &str, quirk: Quirk) -> Self {
        let folder = tempfile::Builder::new().prefix("bwdc-slapd-").tempdir().expect("a folder for slapd");
        fs::write(folder.path().join("directory.ldif"), ldif).expect("writing the directory");
        Self::load(folder, quirk)
    }

    /// Starts a server from a folder that contains `directory.ldif` already, for large ones.
    pub fn load(folder: TempDir, quirk: Quirk) -> Self {
        let certificates = Certificates::make(folder.path());
        fs::create_dir(folder.path().join("db")).expect("a folder for the database");
        fs::write(folder.path().join("slapd.conf"), configuration(folder.path(), &certificates, quirk))
            .expect("writing slapd.conf");
        let mut ldif = fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("directory.ldif"))
            .expect("the directory");
        write!(
            ldif,
            "\ndn: cn=reader,{SUFFIX}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
             cn: reader\nuserPassword: {PASSWORD}\n"
        )
        .expect("adding the reader");
        let output = Command::new(tool("slapadd"))
            .args(["-q", "-f"])
            .arg(folder.path().join("slapd.conf"))
            .arg("-l")
            .arg(folder.path().join("directory.ldif"))
            .output()
            .expect("running slapadd");
        assert!(output.status.success(), "slapadd: {}", String::from_utf8_lossy(&output.stderr));
        let (process, port, tls_port) = launch(folder.path());
        Self { folder, process, port, tls_port, certificates }
    }

    /// Port of plain LDAP and StartTLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Port of LDAPS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Authority and its certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Folder of the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Account without limits.
    pub fn admin(&self) -> String {
        format!("cn=admin,{SUFFIX}")
    }

    /// Ordinary account that may read everything.
    pub fn reader(&self) -> String {
        format!("cn=reader,{SUFFIX}")
    }

    /// Changes the directory, in LDIF; entries without a `changetype` are added.
    pub fn modify(&self, ldif: &str) {
        client::modify(self.port, &self.admin(), PASSWORD, ldif);
    }

    /// Changes the target of a referral object.
    pub fn refer(&self, path: &str, url: &str) {
        let dn = format!("{path},{SUFFIX}");
        let ldif = format!("dn: {dn}\nchangetype: modify\nreplace: ref\nref: {url}\n");
        client::modify_with(self.port, &self.admin(), PASSWORD, &["-M"], &ldif);
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tool(name: &str) -> PathBuf {
    PATHS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{name} is not installed: run scripts/install-test-tools"))
}

fn configuration(folder: &Path, certificates: &Certificates, quirk: Quirk) -> String {
    let Pair { certificate, key } = match quirk {
        Quirk::Expired => &certificates.expired,
        Quirk::SelfSigned => &certificates.self_signed,
        _ => &certificates.server,
    };
    let schemas: String = ["core", "cosine", "inetorgperson", "nis"]
        .iter()
        .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
        .collect();
    let global = match quirk {
        Quirk::WantsClientCertificate => {
            "TLSVerifyClient demand\nauthz-regexp cn=reader cn=reader,dc=example,dc=org\n"
        }
        Quirk::WantsTls => "security simple_bind=128\n",
        _ => "",
    };
    let limit = match quirk {
        Quirk::SizeLimit(limit) => format!("limits * size={limit} size.prtotal={limit} size.pr=unlimited\n"),
        _ => "limits * size=unlimited\n".to_owned(),
    };
    let folder = folder.display();
    format!(
        "{schemas}\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         pidfile {folder}/slapd.pid\nloglevel 0\nsizelimit unlimited\n\
         TLSCACertificateFile {ca}\nTLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n{global}\
         database mdb\nmaxsize 8589934592\nsuffix \"{SUFFIX}\"\nrootdn \"cn=admin,{SUFFIX}\"\nrootpw \"{PASSWORD}\"\n\
         directory {folder}/db\ndbnosync\nindex objectClass eq\n{limit}\
         access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n",
        ca = certificates.ca.display(),
        certificate = certificate.display(),
        key = key.display(),
    )
}

/// Starts slapd; if another process takes a free port first, it is tried again with others.
fn launch(folder: &Path) -> (Child, u16, u16) {
    for _ in 0..5 {
        let (port, tls_port) = (free_port(), free_port());
        let mut process = Command::new(tool("slapd"))
            .args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"), "-f"])
            .arg(folder.join("slapd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("running slapd");
        if answers(&mut process, port) && answers(&mut process, tls_port) {
            return (process, port, tls_port);
        }
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!("slapd does not start; its configuration is in {}", folder.display());
}

fn answers(process: &mut Child, port: u16) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if process.try_wait().is_ok_and(|ended| ended.is_some()) {
            return false;
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
