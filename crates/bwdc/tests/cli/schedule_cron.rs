//! A real cron daemon runs the installed jobs. As root, in a mount namespace of its own: changes in /etc, /var/lib and the spool
//! affect copies only, and the machine's own cron is not touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bwdc_sandbox::Options;
use bwdc_testkit::slapd::PASSWORD;
use bwdc_testkit::{Slapd, ldif};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Organization, Ran};
use crate::web::client::Page;

const PROGRAM: &str = "/opt/bwdc";
const FOLDER: &str = "/var/lib/bwdc/one";

/// Crontab of somebody else, with everything that could go wrong in copying it.
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
        // Others must be able to read its contents.
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

    /// Runs `bwdc schedule` as root.
    fn schedule(&self, words: &[&str]) -> Ran {
        self.run(&[&[PROGRAM, "schedule"], words].concat())
    }

    fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-ec", script]).ok().out
    }

    /// Removes bwdc. Other tests may run processes under the same user id at the same time, and `userdel` refuses
    /// while it sees one: `--force` continues, and ends with 0 once the user is gone.
    fn remove_user(&self) {
        self.sh("userdel --force bwdc");
        self.run(&["id", "bwdc"]).fails(1, &["no such user"]);
    }

    /// Writes a file for the namespace, and installs it as the crontab of bwdc.
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

/// Arguments for an installation before there is anything to try.
fn untried(more: &[&'static str]) -> Vec<&'static str> {
    install(&[&["--untried"], more].concat())
}

/// Sets up people to import, with the secrets in a file that only bwdc can read.
fn set_up(namespace: &Namespace, organization: &Organization, owner: &str) {
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
        "cp -r {one}/. {FOLDER}; chown -R {owner}: {FOLDER}; chmod 600 {FOLDER}/data.json {FOLDER}/secrets.env"
    ));
}

/// An instance of the user bwdc, who has a crontab already.
fn scene() -> (Namespace, Organization) {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    namespace.sh("useradd --system --create-home --home-dir /var/lib/bwdc --shell /usr/sbin/nologin bwdc");
    namespace.crontab_is(THEIRS);
    namespace.sh(&format!("install -d -o bwdc -m 700 {FOLDER}"));
    set_up(&namespace, &organization, "bwdc");
    (namespace, organization)
}

/// Replaces the people in the directory.
fn people(namespace: &Namespace, name: &str) {
    let csv = format!("id,email\n{name},{name}@example.org\n");
    fs::write(namespace.folder.path().join("one/company/users.csv"), &csv).unwrap();
    if namespace.run(&["test", "-d", &format!("{FOLDER}/company")]).code == 0 {
        let from = namespace.folder.path().join("one/company/users.csv").display().to_string();
        namespace.run(&["cp", &from, &format!("{FOLDER}/company/users.csv")]).ok();
    }
}

/// Waits for cron, which looks once a minute.
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
    namespace.schedule(&untried(&[])).fails(1, &["There is no user bwdc", "--create-user"]);
    namespace
        .schedule(&install(&["--create-user", "--fix"]))
        .fails(1, &["is not set up yet", "bwdc init", "--untried"]);
    assert_eq!(namespace.sh("cat /etc/passwd; cat /etc/cron.allow"), before, "nothing was changed");
    namespace
        .schedule(&untried(&["--create-user"]))
        .fails(1, &["/etc/cron.allow has no line `bwdc`", "--fix"]);
    let dry = namespace.schedule(&untried(&["--create-user", "--fix", "--dry-run"])).ok();
    assert!(dry.out.contains("useradd") && dry.out.contains("crontab -u bwdc -"), "{}", dry.out);
    assert_eq!(namespace.sh("cat /etc/passwd; cat /etc/cron.allow"), before, "nothing was changed");
    namespace.schedule(&untried(&["--create-user", "--fix"])).ok();
    assert_eq!(
        namespace.sh("stat -c '%U %a' /var/lib/bwdc; getent passwd bwdc | cut -d: -f7"),
        "bwdc 700\n/usr/sbin/nologin\n"
    );
    assert_eq!(namespace.sh(&format!("stat -c '%U %a' {FOLDER}")), "bwdc 700\n");
    assert_eq!(namespace.sh("cat /etc/cron.allow"), "alice\nbob\nbwdc\n");
    let again = namespace.schedule(&untried(&["--create-user", "--fix"])).ok();
    assert!(again.out.contains("Nothing to change"), "{}", again.out);
    let listed = namespace.schedule(&["list"]).ok();
    assert!(listed.out.contains("/var/lib/bwdc/one: 1m, by cron as bwdc, next "), "{}", listed.out);
    namespace.schedule(&["remove"]).ok();
    assert_eq!(namespace.sh("cat /etc/cron.allow"), "alice\nbob\n");
    assert_eq!(namespace.sh("ls /var/spool/cron/crontabs"), "", "there was no crontab before");
    namespace.schedule(&["remove"]).fails(1, &["No schedule is installed."]);
    // A crontab from before cron.allow was written.
    namespace.sh("mv /etc/cron.allow /etc/kept");
    namespace.crontab_is(THEIRS);
    namespace.sh("mv /etc/kept /etc/cron.allow");
    namespace.schedule(&untried(&[])).fails(1, &["--fix"]);
    namespace.schedule(&untried(&["--fix"])).ok();
    assert!(namespace.crontab().starts_with(THEIRS));
    namespace.schedule(&["remove", "--all"]).ok();
    assert_eq!(namespace.schedule(&["remove", "--all"]).ok().out, "There is no schedule to remove.\n");
    namespace.sh("rm /etc/cron.allow");
    assert_eq!(namespace.crontab(), THEIRS);
    namespace.sh("echo bwdc >/etc/cron.deny");
    namespace.schedule(&untried(&["--fix"])).fails(1, &["/etc/cron.deny has the line `bwdc`"]);
}

#[test]
fn cron_runs_the_installed_job() {
    let (namespace, organization) = scene();
    let installed = namespace.schedule(&install(&[])).ok();
    for part in ["The first run is at ", "bwdc status --appdata", "bwdc log --appdata"] {
        assert!(installed.out.contains(part), "{}", installed.out);
    }
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
    assert!(!log.contains(organization.sandbox.client_secret()), "{log}");
    assert_eq!(log.matches("bwdc: sync ok instance=").count(), 2, "{log}");
    assert!(
        log.lines().all(|line| line.starts_with("20") && line.contains("Z ")),
        "a log, nothing twice: {log}"
    );
    let status = namespace.run(&[PROGRAM, "status", "--json", "--appdata", FOLDER]).ok();
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let told = &status["instances"][0];
    assert_eq!((&told["lastRun"]["result"], &told["scheduler"]), (&json!("ok"), &json!("cron")), "{told}");
    assert!(told["nextRun"].is_string() && told["lastSuccess"].is_string(), "{told}");
    let shown = namespace.run(&[PROGRAM, "log", "-n", "1", "--appdata", FOLDER]).ok().out;
    assert_eq!(Some(shown.trim_end()), log.lines().last());
    assert_eq!(told["lastRun"]["by"], "cron", "{told}");
    people(&namespace, "carol");
    let ran = namespace.schedule(&["run-now"]).ok();
    assert_eq!(organization.imports(), 3, "run as it runs by itself");
    assert!(
        ran.out.contains("bwdc.log, which ends with") && ran.out.contains("bwdc: sync ok "),
        "{}",
        ran.out
    );
    namespace.schedule(&["remove"]).ok();
    assert_eq!(namespace.crontab(), THEIRS);
}

/// Runs every command of docs/schedule.md for a server, in order and as printed.
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
        if block.contains("--create-user") {
            // `bwdc init`, as root.
            namespace.sh("install -d -m 700 /var/lib/bwdc/one /var/lib/bwdc/two");
            set_up(&namespace, &organization, "root");
            namespace.sh(&format!("cp -a {FOLDER}/. /var/lib/bwdc/two"));
        }
        if block.contains("install -o bwdc") {
            // Removed instances are set up again, without the secrets that `init` stored.
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

/// Runs docs/quick-start.md as printed, except for names of servers, on a machine with cron: the job runs twice by itself, and
/// `status` says so.
#[test]
fn the_quick_start() {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    let slapd = Slapd::with(&ldif::small(5, 2, 2));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/quick-start.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let (cron, systemd): (Vec<&str>, Vec<&str>) =
        blocks.partition(|block| !block.contains("--using systemd"));
    assert_eq!((cron.len(), systemd.len()), (6, 1));
    let server = format!("ldap.hostname=127.0.0.1 --set ldap.ssl=false --set ldap.port={}", slapd.port());
    let page = cron
        .join("\n")
        .replace("organization.00000000-0000-0000-0000-000000000000", &organization.sandbox.client_id())
        .replace("https://vault.example.org", &organization.sandbox.url())
        .replace("ldap.hostname=ldap.example.org", &server)
        .replace("cn=reader,dc=example,dc=org", &slapd.reader())
        // The editor.
        .replace("\nexport BW_CLIENTID", "\nprintf %s \"$1\" >/etc/bwdc/client-secret; printf %s \"$2\" >/etc/bwdc/ldap-password\nexport BW_CLIENTID")
        .replace("--every 15m", "--every 1m");
    let script = format!("PATH=/opt:$PATH\n{page}");
    let ran =
        namespace.run(&["sh", "-ec", &script, "sh", organization.sandbox.client_secret(), PASSWORD]).ok();
    for words in [
        "Synced 2 group(s) and 5 user(s).",
        "ldap.password is in the file /etc/bwdc/ldap-password",
        "The schedule is installed.",
    ] {
        assert!(ran.out.contains(words), "`{words}` is not in: {} {}", ran.out, ran.err);
    }
    assert!(ran.err.contains("Running as bwdc, who owns /var/lib/bwdc."), "{}", ran.err);
    assert_eq!(namespace.sh("find /var/lib/bwdc ! -user bwdc"), "");
    let _cron = Daemon(namespace.command(&["cron", "-f"]).spawn().unwrap());
    let status = || namespace.run(&[PROGRAM, "status", "--appdata", "/var/lib/bwdc", "--json"]).out;
    let by_cron = || {
        let status: serde_json::Value = serde_json::from_str(&status()).unwrap();
        let last = &status["instances"][0]["lastRun"];
        (last["by"] == "cron").then(|| last["at"].as_str().unwrap().to_owned())
    };
    let mut seen = std::collections::BTreeSet::new();
    let patience = Instant::now() + Duration::from_secs(240);
    // `run-now` runs it like cron, and it runs twice more by itself.
    while seen.len() < 3 {
        seen.extend(by_cron());
        assert!(Instant::now() < patience, "{seen:?} {}", status());
        std::thread::sleep(Duration::from_millis(200));
    }
    namespace.run(&[PROGRAM, "status", "--appdata", "/var/lib/bwdc"]).ok();
    assert_eq!(organization.emails().len(), 5);
}

/// The machine's own cron files are not touched.
#[test]
fn the_machine_keeps_its_own() {
    let own = || Command::new("ls").args(["-laR", "/var/spool/cron"]).output().unwrap().stdout;
    let before = own();
    let namespace = Namespace::start();
    namespace.schedule(&untried(&["--create-user"])).ok();
    drop(namespace);
    assert_eq!(own(), before);
    assert!(!Path::new(FOLDER).exists());
}

/// README's order, as root: root owns the folder until the schedule is installed.
#[test]
fn an_instance_set_up_by_root_runs_as_the_user() {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    let (folder, url) = ("/var/lib/bwdc", organization.sandbox.url());
    let (id, secret) = (organization.sandbox.client_id(), organization.sandbox.client_secret());
    namespace.sh(&format!(
        "install -d -m 700 {folder}/company; printf 'id,email\\nann,ann@example.org\\n' >{folder}/company/users.csv\n\
         export BITWARDENCLI_CONNECTOR_APPDATA_DIR={folder} BW_CLIENTID={id} BW_CLIENTSECRET={secret}\n\
         {PROGRAM} --nointeraction init --server {url} --directory file --set file.path=company --set sync.users=true \
         --set sync.groups=false --set secrets.file=secrets.env >/dev/null"
    ));
    assert_eq!(namespace.sh(&format!("stat -c '%U' {folder} {folder}/data.json")), "root\nroot\n");
    // README's commands as printed, for a user who does not exist yet.
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let block = readme.split("## Schedule").nth(1).unwrap().split("```").nth(1).unwrap();
    let script = block.strip_prefix("sh\n").unwrap();
    let ran = namespace.run(&["sh", "-ec", &format!("PATH=/opt:$PATH\n{script}")]).ok();
    assert!(ran.out.contains("The schedule is installed."), "{}", ran.out);
    namespace.schedule(&["remove", "--all"]).ok();
    namespace.remove_user();
    namespace.sh(&format!("chown -R root: {folder}"));
    let words = ["install", "--every", "1m", "--using", "cron", "--user", "bwdc", "--appdata", folder];
    // The user exists: it gets the folder only if that was requested.
    namespace.sh("useradd --system --no-create-home --home-dir /var/lib/bwdc bwdc");
    namespace
        .schedule(&words)
        .fails(1, &["bwdc cannot enter the folder /var/lib/bwdc", "belongs to root", "--fix"]);
    namespace.remove_user();
    assert_eq!(namespace.sh("ls /var/spool/cron/crontabs"), "");
    let installed = namespace.schedule(&[&words[..], &["--create-user"]].concat()).ok();
    assert!(installed.out.contains("now belong to bwdc"), "{}", installed.out);
    let _cron = Daemon(namespace.command(&["cron", "-f"]).spawn().unwrap());
    wait_for(&organization, 1, &namespace);
    namespace.sh(&format!("printf 'id,email\\nbob,bob@example.org\\n' >{folder}/company/users.csv"));
    wait_for(&organization, 2, &namespace);
    let status = || namespace.run(&[PROGRAM, "status", "--appdata", folder]);
    let patience = Instant::now() + Duration::from_secs(30);
    while !status().out.contains("by cron") {
        assert!(Instant::now() < patience, "{}", status().out);
    }
    status().ok();
}

/// A job that would fail every night is refused now, and nothing is installed.
#[test]
fn a_trial_finds_missing_permissions_of_the_user() {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    namespace.sh(&format!(
        "useradd --system --create-home --home-dir /var/lib/bwdc bwdc; install -d -o bwdc -m 700 {FOLDER}; chmod 700 /root"
    ));
    set_up(&namespace, &organization, "bwdc");
    let refused = |words: &[&str], parts: &[&str]| {
        namespace.schedule(words).fails(1, &[parts, &["Nothing was installed."]].concat());
        assert_eq!(namespace.sh("ls /var/spool/cron/crontabs"), "");
    };
    let hidden = ["--every", "1m", "--using", "cron", "--user", "bwdc", "--appdata", FOLDER];
    let hidden = [&["install"][..], &hidden, &["--program", "/root/bwdc"]].concat();
    refused(&hidden, &["bwdc cannot run /root/bwdc", "may not enter /root.", "/usr/local/bin"]);
    namespace.sh(&format!("chown root {FOLDER}/secrets.env"));
    refused(&install(&[]), &["The trial of the sync of /var/lib/bwdc/one as bwdc failed"]);
    // A slip gives nobody the machine.
    namespace.sh("mkdir -p /srv/files && touch /srv/files/shadow");
    let slip = ["install", "--every", "1m", "--using", "cron", "--user", "bwdc", "--appdata", "/srv/files"];
    namespace
        .schedule(&[&slip[..], &["--fix", "--untried"]].concat())
        .fails(1, &["/srv/files has files in it and neither data.json nor bwdc.toml", "Nothing was changed"]);
    assert_eq!(namespace.sh("stat -c %U /srv/files/shadow"), "root\n");
    let fixed = namespace.schedule(&install(&["--fix"])).ok();
    assert!(fixed.out.contains("root's files in it now belong to bwdc"), "{}", fixed.out);
    assert_eq!(namespace.sh(&format!("stat -c %U {FOLDER}/secrets.env")), "bwdc\n");
    namespace.schedule(&["remove"]).ok();
    // A secret named by root that only root can read; one named by bwdc is not given to bwdc.
    namespace.sh(&format!(
        "install -d /etc/bwdc; mv {FOLDER}/secrets.env /etc/bwdc/secrets; chown root /etc/bwdc/secrets"
    ));
    let named = ["--fix", "--env", "BWDC_SECRETS_FILE=/etc/bwdc/secrets"];
    refused(&install(&named[1..]), &["The trial of the sync"]);
    let fixed = namespace.schedule(&install(&named)).ok();
    assert!(fixed.out.contains("/etc/bwdc/secrets now belongs to bwdc."), "{}", fixed.out);
    namespace.schedule(&["remove"]).ok();
    namespace.sh(&format!(
        "mv /etc/bwdc/secrets {FOLDER}/secrets.env; cp {FOLDER}/data.json {FOLDER}/data.kept; \
         sed -i 's#\"stateVersion\"#\"secrets\":{{\"file\":\"/etc/shadow\"}},\"stateVersion\"#' {FOLDER}/data.json; \
         grep -q /etc/shadow {FOLDER}/data.json; chown bwdc: {FOLDER}/data.json"
    ));
    refused(&install(&["--fix"]), &["The trial of the sync"]);
    assert_eq!(namespace.sh("stat -c %U /etc/shadow"), "root\n");
    namespace.sh(&format!("mv {FOLDER}/data.kept {FOLDER}/data.json; chown bwdc: {FOLDER}/data.json"));
    namespace.sh(&format!("sed -i 's/^BW_CLIENTSECRET=.*/BW_CLIENTSECRET=wrong/' {FOLDER}/secrets.env"));
    refused(&install(&[]), &["Logging in to"]);
    let untried = namespace.schedule(&untried(&[])).ok();
    assert!(untried.out.contains("The schedule is installed."), "{}", untried.out);
    // All jobs, each with its output; no missing log is named.
    namespace
        .schedule(&[
            "install",
            "--every",
            "1h",
            "--using",
            "cron",
            "--user",
            "bwdc",
            "--untried",
            "--program",
            "/nowhere/bwdc",
            "--appdata",
            "/var/lib/bwdc/two",
        ])
        .ok();
    let ran = namespace.schedule(&["run-now"]);
    ran.fails(
        1,
        &[
            "2 of 2 failed.",
            "/var/lib/bwdc/one:",
            "bwdc: sync failed",
            "/var/lib/bwdc/two:",
            "/nowhere/bwdc: not found",
        ],
    );
}

/// csh understands neither `NAME=value program` nor `2>&1`; its users keep it for their own lines.
#[test]
fn the_shell_of_a_crontab_stays_for_its_other_lines() {
    let namespace = Namespace::start();
    let organization = Organization::start(Options::default());
    namespace.sh(&format!(
        "useradd --system --create-home --home-dir /var/lib/bwdc bwdc; install -d -o bwdc -m 700 {FOLDER}"
    ));
    set_up(&namespace, &organization, "bwdc");
    let theirs = "SHELL=/bin/csh\n5 4 * * * echo hello\n";
    namespace.crontab_is(theirs);
    namespace.schedule(&install(&[])).ok();
    assert!(namespace.crontab().contains("\nSHELL=/bin/sh\n* * * * * "), "{}", namespace.crontab());
    assert!(namespace.crontab().contains("\nSHELL=/bin/csh\n# END bwdc"), "{}", namespace.crontab());
    namespace.schedule(&["run-now"]).ok();
    assert_eq!(organization.emails(), ["jane@example.org"]);
    namespace.schedule(&["remove"]).ok();
    assert_eq!(namespace.crontab(), theirs);
}

/// A user deleted first, and one who has broken their crontab.
#[test]
fn leftovers_and_broken_crontabs() {
    let namespace = Namespace::start();
    namespace.schedule(&untried(&["--create-user"])).ok();
    namespace.remove_user();
    namespace.sh("useradd --no-create-home --home-dir / eve");
    let evil = namespace.folder.path().join("evil");
    let begin = "# BEGIN bwdc schedule: made by `bwdc schedule install`, do not edit\n";
    fs::write(&evil, begin).unwrap();
    namespace.run(&["crontab", "-u", "eve", evil.to_str().unwrap()]).ok();
    let listed = namespace.schedule(&["list"]).ok();
    assert!(
        listed.out.contains("/var/lib/bwdc/one: 1m") && listed.out.contains("the user bwdc is gone"),
        "{}",
        listed.out
    );
    assert!(listed.err.contains("The crontab of eve"), "{}", listed.err);
    namespace.schedule(&["run-now"]).fails(1, &["The user bwdc no longer exists"]);
    namespace.schedule(&["remove"]).ok();
    assert_eq!(namespace.sh("ls /var/spool/cron/crontabs"), "eve\n");
    // Nor does a marker affect the terminal of `list`.
    let marker =
        r#"# bwdc-schedule: {"schedule":"1m","folder":"/x\u001b[2J\u009b","user":"eve","program":"x"}"#;
    fs::write(&evil, format!("{begin}{marker}\n* * * * * x\n# END bwdc schedule\n")).unwrap();
    namespace.run(&["crontab", "-u", "eve", evil.to_str().unwrap()]).ok();
    let listed = namespace.schedule(&["list"]).ok().out;
    assert!(!listed.contains(['\u{1b}', '\u{9b}']) && listed.contains("/x\\u{1b}[2J"), "{listed}");
}

/// The page installs and removes the schedule of whoever serves it.
#[test]
fn the_page_installs_and_removes_a_schedule() {
    let (namespace, _organization) = scene();
    let as_bwdc = |more: &[&'static str]| {
        [&["runuser", "-u", "bwdc", "--", PROGRAM, "web"], more, &["--appdata", FOLDER]].concat()
    };
    let page = Page::of(namespace.command(&as_bwdc(&["--listen", "127.0.0.1:0"])));
    let link = namespace.run(&as_bwdc(&["open"])).ok().out;
    let mut browser = page.opened(&link);
    browser.get("/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule").has(&["No schedule is installed"]);
    let offered = "/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule?expression=15m";
    let installed = browser.submit(offered, "/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule/install", &[]);
    browser.done(installed).has(&["The first run is at "]);
    let crontab = namespace.crontab();
    assert!(crontab.starts_with(THEIRS) && crontab.contains(FOLDER), "{crontab}");
    browser.get("/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule").has(&["15m", "cron", "Remove"]);
    let removed = browser.submit(
        "/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule",
        "/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule/remove",
        &[],
    );
    browser.done(removed);
    assert_eq!(namespace.crontab(), THEIRS);
    browser.get("/i/%2Fvar%2Flib%2Fbwdc%2Fone/schedule").has(&["No schedule is installed"]);
}
