//! A real cron daemon runs what was installed. As root, in a mount namespace of its own: what is changed in /etc, /var/lib and the spool
//! is changed in copies, and the machine's own cron is not touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bwdc_sandbox::Options;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Organization, Ran};

const PROGRAM: &str = "/opt/bwdc";
const FOLDER: &str = "/var/lib/bwdc/one";

/// What others have in the crontab, with all that could go wrong in copying it.
const THEIRS: &str =
    "# mine, do not touch\nMAILTO=\"\"\n\n17 3 1 1 *\t/bin/echo 100\\% 'of' \"it\"\n@yearly /bin/true\n";

const SETUP: &str = r#"
set -e
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
for folder in /opt /run /var/lib /var/spool/cron; do mount -t tmpfs tmpfs $folder; done
mkdir /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
chmod 1730 /var/spool/cron/crontabs
rm -f /etc/cron.allow /etc/cron.deny /etc/cron.d/* /etc/crontab
sed -i '/^bwdc:/d' /etc/passwd /etc/group /etc/shadow /etc/gshadow
cp "$2" /opt/bwdc
echo ready
exec sleep 1000
"#;

struct Namespace {
    child: Child,
    folder: TempDir,
}

impl Namespace {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("bwdc-cron-").tempdir().unwrap();
        // Others have to get at what is in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", SETUP, "sh"])
            .arg(folder.path())
            .arg(env!("CARGO_BIN_EXE_bwdc"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert_eq!(line, "ready\n", "as root, with Debian's package cron: see scripts/install-test-tools");
        Self { child, folder }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.child.id().to_string(), "--mount", "--"]).args(words);
        command
            .env_clear()
            .env("HOME", "/root")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().unwrap().into()
    }

    /// `bwdc schedule`, as root.
    fn schedule(&self, words: &[&str]) -> Ran {
        self.run(&[&[PROGRAM, "schedule"], words].concat())
    }

    fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-ec", script]).ok().out
    }

    /// A file for the namespace, and the crontab of bwdc from it.
    fn crontab_is(&self, text: &str) {
        let file = self.folder.path().join("crontab");
        fs::write(&file, text).unwrap();
        self.run(&["crontab", "-u", "bwdc", file.to_str().unwrap()]).ok();
    }

    fn crontab(&self) -> String {
        self.run(&["crontab", "-u", "bwdc", "-l"]).ok().out
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const INSTALL: [&str; 10] =
    ["install", "--every", "1m", "--using", "cron", "--user", "bwdc", "--program", PROGRAM, "--appdata"];

fn install(more: &[&'static str]) -> Vec<&'static str> {
    [&INSTALL[..], &[FOLDER], more].concat()
}

/// People who are imported, with the secrets in a file that only bwdc can read.
fn set_up(namespace: &Namespace, organization: &Organization) {
    let source = namespace.folder.path().join("one");
    fs::create_dir_all(source.join("company")).unwrap();
    let data = json!({
        "stateVersion": 8,
        "environmentUrls": { "base": organization.sandbox.url() },
        "directoryType": "file",
        "directoryFile": { "path": "company" },
        "sync": { "users": true, "groups": false },
    });
    fs::write(source.join("data.json"), data.to_string()).unwrap();
    let (id, secret) = (organization.sandbox.client_id(), organization.sandbox.client_secret());
    fs::write(source.join("secrets.env"), format!("BW_CLIENTID={id}\nBW_CLIENTSECRET={secret}\n")).unwrap();
    people(namespace, "jane");
    let one = source.display();
    namespace.sh(&format!(
        "cp -r {one}/. {FOLDER}; chown -R bwdc: {FOLDER}; chmod 600 {FOLDER}/data.json {FOLDER}/secrets.env"
    ));
}

/// Who is in the directory.
fn people(namespace: &Namespace, name: &str) {
    let csv = format!("id,email\n{name},{name}@example.org\n");
    fs::write(namespace.folder.path().join("one/company/users.csv"), &csv).unwrap();
    if namespace.run(&["test", "-d", &format!("{FOLDER}/company")]).code == 0 {
        let from = namespace.folder.path().join("one/company/users.csv").display().to_string();
        namespace.run(&["cp", &from, &format!("{FOLDER}/company/users.csv")]).ok();
    }
}

/// cron looks once a minute.
fn wait_for(organization: &Organization, imports: usize, namespace: &Namespace) {
    let patience = Instant::now() + Duration::from_secs(180);
    while organization.imports() < imports {
        assert!(Instant::now() < patience, "{}", namespace.sh(&format!("cat {FOLDER}/bwdc.log || true")));
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_user_is_made_and_everything_is_as_before_after_the_removal() {
    let namespace = Namespace::start();
    namespace.sh("printf 'alice\\nbob' >/etc/cron.allow");
    let before = namespace.sh("cat /etc/passwd; cat /etc/cron.allow");
    namespace.schedule(&install(&[])).fails(1, &["There is no user bwdc", "--create-user"]);
    namespace
        .schedule(&install(&["--create-user"]))
        .fails(1, &["/etc/cron.allow has no line `bwdc`", "--fix"]);
    let dry = namespace.schedule(&install(&["--create-user", "--fix", "--dry-run"])).ok();
    assert!(dry.out.contains("useradd") && dry.out.contains("crontab -u bwdc -"), "{}", dry.out);
    assert_eq!(namespace.sh("cat /etc/passwd; cat /etc/cron.allow"), before, "nothing was changed");
    namespace.schedule(&install(&["--create-user", "--fix"])).ok();
    assert_eq!(
        namespace.sh("stat -c '%U %a' /var/lib/bwdc; getent passwd bwdc | cut -d: -f7"),
        "bwdc 700\n/usr/sbin/nologin\n"
    );
    assert_eq!(namespace.sh(&format!("stat -c '%U %a' {FOLDER}")), "bwdc 700\n");
    assert_eq!(namespace.sh("cat /etc/cron.allow"), "alice\nbob\nbwdc\n");
    let again = namespace.schedule(&install(&["--create-user", "--fix"])).ok();
    assert!(again.out.contains("Nothing to change"), "{}", again.out);
    let listed = namespace.schedule(&["list"]).ok();
    assert!(listed.out.contains("/var/lib/bwdc/one: 1m, by cron as bwdc, next "), "{}", listed.out);
    namespace.schedule(&["remove"]).ok();
    assert_eq!(namespace.sh("cat /etc/cron.allow"), "alice\nbob\n");
    assert_eq!(namespace.sh("ls /var/spool/cron/crontabs"), "", "there was no crontab before");
    namespace.schedule(&["remove"]).fails(1, &["There is no schedule."]);
    // A crontab from before cron.allow was written.
    namespace.sh("mv /etc/cron.allow /etc/kept");
    namespace.crontab_is(THEIRS);
    namespace.sh("mv /etc/kept /etc/cron.allow");
    namespace.schedule(&install(&[])).fails(1, &["--fix"]);
    namespace.schedule(&install(&["--fix"])).ok();
    assert!(namespace.crontab().starts_with(THEIRS));
    namespace.schedule(&["remove", "--all"]).ok();
    assert_eq!(namespace.schedule(&["remove", "--all"]).ok().out, "There is no schedule to remove.\n");
    namespace.sh("rm /etc/cron.allow");
    assert_eq!(namespace.crontab(), THEIRS);
    namespace.sh("echo bwdc >/etc/cron.deny");
    namespace.schedule(&install(&["--fix"])).fails(1, &["/etc/cron.deny has the line `bwdc`"]);
}

#[test]
fn cron_runs_what_is_installed() {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    namespace.sh("useradd --system --create-home --home-dir /var/lib/bwdc --shell /usr/sbin/nologin bwdc");
    namespace.crontab_is(THEIRS);
    namespace.schedule(&install(&[])).ok();
    set_up(&namespace, &organization);
    let crontab = namespace.crontab();
    assert!(crontab.starts_with(THEIRS) && crontab.contains("\n* * * * * BITWARDENCLI"), "{crontab}");
    let cron = Daemon(namespace.command(&["cron", "-f"]).spawn().unwrap());
    wait_for(&organization, 1, &namespace);
    people(&namespace, "bob");
    wait_for(&organization, 2, &namespace);
    drop(cron);
    assert_eq!(organization.emails().len(), 2);
    assert_eq!(namespace.sh(&format!("stat -c '%U' {FOLDER}/bwdc.log")), "bwdc\n");
    let log = namespace.sh(&format!("cat {FOLDER}/bwdc.log"));
    assert!(
        log.contains("Syncing complete.") && !log.contains(organization.sandbox.client_secret()),
        "{log}"
    );
    let status = namespace.run(&[PROGRAM, "status", "--json", "--appdata", FOLDER]).ok();
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let told = &status["instances"][0];
    assert_eq!((&told["lastRun"]["result"], &told["scheduler"]), (&json!("ok"), &json!("cron")), "{told}");
    assert!(told["nextRun"].is_string() && told["lastSuccess"].is_string(), "{told}");
    let shown = namespace.run(&[PROGRAM, "log", "-n", "1", "--appdata", FOLDER]).ok().out;
    assert_eq!(Some(shown.trim_end()), log.lines().last());
    people(&namespace, "carol");
    namespace.schedule(&["run-now"]).ok();
    assert_eq!(organization.imports(), 3, "run as it runs by itself");
    namespace.schedule(&["remove"]).ok();
    assert_eq!(namespace.crontab(), THEIRS);
}

/// Every command of docs/schedule.md for a server, in its order and as it is printed.
#[test]
fn the_commands_of_the_documentation() {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    namespace.sh("echo alice >/etc/cron.allow");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schedule.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let mut count = 0;
    for block in blocks {
        let block = block.replace("organization.CLIENT-ID", &organization.sandbox.client_id());
        if block.contains("install -o bwdc") {
            // What was removed by then is set up again, without the secrets that `init` kept.
            namespace.sh("rm -f /var/lib/bwdc/*/secrets.env");
        }
        let mut child = namespace
            .command(&["sh", "-ec", &format!("PATH=/opt:$PATH; {block}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let secret = format!("{}\n", organization.sandbox.client_secret());
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes());
        Ran::from(child.wait_with_output().unwrap()).ok();
        if block.contains("--create-user") {
            set_up(&namespace, &organization);
            namespace.sh(&format!("cp -a {FOLDER}/. /var/lib/bwdc/two"));
        }
        count += 1;
    }
    assert_eq!(count, 7);
    assert_eq!(organization.emails(), ["jane@example.org"]);
    assert_eq!(namespace.crontab(), "0 20 * * 1 /var/lib/bwdc/sync.sh\n");
    for folder in ["one", "two"] {
        let log = namespace.sh(&format!("cat /var/lib/bwdc/{folder}/bwdc.log"));
        assert!(log.contains("Syncing complete.") && log.contains("ended with 0"), "{log}");
    }
}

/// The files of cron that the tests leave alone.
#[test]
fn the_machine_keeps_its_own() {
    let own = || Command::new("ls").args(["-laR", "/var/spool/cron"]).output().unwrap().stdout;
    let before = own();
    let namespace = Namespace::start();
    namespace.schedule(&install(&["--create-user"])).ok();
    drop(namespace);
    assert_eq!(own(), before);
    assert!(!Path::new(FOLDER).exists());
}
