//! A real systemd runs the installed jobs, as the first process of its own namespaces. As root. Its tree has this machine's
//! `/usr`, read-only, and everything else fresh in a tmpfs; its network is a loopback of its own. If a kernel or a container
//! does not allow that, the tests say so and end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Ran;

const FOLDER: &str = "/var/lib/bwdc";
const UNIT: &str = "bwdc-var-lib-bwdc";
const SECRET: &str = "/etc/bwdc/client-secret";

/// Probe whether everything the test needs is allowed.
const PROBE: &str = r"
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/group /mnt/proc
mount -t cgroup2 cgroup2 /mnt/group
mkdir /mnt/group/bwdc-probe-$1
rmdir /mnt/group/bwdc-probe-$1
mount -t proc proc /mnt/proc
mknod /mnt/null c 1 3
: >/mnt/null
";

/// Makes the tree in the folder `$1`, runs systemd in it (`$3`), and removes its processes and control groups when the test ends.
const OUTSIDE: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir usr etc var run tmp proc sys dev root home opt srv mnt group old
for link in bin sbin lib lib64; do [ ! -L /$link ] || ln -s usr/$link $link; done
mount --bind /usr usr
mount -o remount,bind,ro usr
mount -t tmpfs -o mode=755 tmpfs usr/local
mkdir usr/local/bin var/lib var/log var/log/journal etc/systemd etc/systemd/system etc/default
cp "$2" usr/local/bin/bwdc
for name in passwd group shadow gshadow nsswitch.conf login.defs ld.so.cache ssl pam.d dbus-1 security environment hosts \
    alternatives default/useradd; do
    [ ! -e /etc/$name ] || cp -a /etc/$name etc/$name
done
for name in passwd group shadow gshadow; do sed -i '/^bwdc:/d' etc/$name; done
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
: >etc/fstab
ln -s /dev/null etc/systemd/system/console-getty.service
touch etc/.updated var/.updated
mount -t cgroup2 cgroup2 group
group=group/bwdc-test-$$
mkdir $group
unshare --fork --kill-child --pid --net --mount --propagation private --uts --ipc sh -c "$3" sh $group &
trap 'kill -9 $init || true; wait 2>/dev/null || true; find $group -depth -type d -exec rmdir {} +' EXIT
until init=$(cat /proc/$!/task/$!/children) && [ -n "$init" ]; do sleep 0.02; done
echo $init
read -r _ || true
"#;

/// Enters the control group `$1`, then namespaces without a way back.
const INSIDE: &str = r#"
set -e
echo 0 >"$1/cgroup.procs"
exec unshare --cgroup sh -c '
set -e
umount group
mount -t proc -o nosuid,nodev,noexec proc proc
for path in sys sysrq-trigger; do
    [ -e proc/$path ] || continue
    mount --bind proc/$path proc/$path
    mount -o remount,bind,ro proc/$path
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mount -t tmpfs -o mode=755,nosuid tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
number() { mknod -m 666 dev/$1 c $2 $3; }
number null 1 3; number zero 1 5; number full 1 7; number random 1 8; number urandom 1 9; number tty 5 0
ln -s null dev/console
ln -s /proc/self/fd dev/fd
hostname bwdc-test
pivot_root . old
cd /
umount -l old
rmdir old
mount --make-rshared /
exec setpriv --bounding-set \
    -sys_module,-sys_rawio,-sys_time,-audit_control,-audit_read,-syslog,-mac_admin,-mac_override,-wake_alarm,-block_suspend \
    env -i container=bwdc-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=no --log-target=journal
'
"#;

const PATH: &str = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Machine {
    outside: Child,
    /// First process, as numbered here.
    init: String,
    id: String,
    _folder: TempDir,
}

impl Machine {
    /// Boots systemd; `None` if it is not allowed.
    fn boot() -> Option<Self> {
        let number = std::process::id().to_string();
        let spaces = ["--fork", "--pid", "--net", "--mount", "--propagation", "private", "--uts", "--ipc"];
        let probe =
            Command::new("unshare").args(spaces).args(["sh", "-c", PROBE, "sh", &number]).output().unwrap();
        if !probe.status.success() {
            skipped(&String::from_utf8_lossy(&probe.stderr));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("bwdc-systemd-").tempdir().unwrap();
        let mut outside = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", OUTSIDE, "sh"])
            .arg(folder.path())
            .args([env!("CARGO_BIN_EXE_bwdc"), INSIDE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut init = String::new();
        BufReader::new(outside.stdout.take().unwrap()).read_line(&mut init).unwrap();
        let init = init.trim().to_owned();
        assert!(!init.is_empty(), "as root, with what scripts/install-test-tools installs");
        let mut machine = Self { outside, init, id: String::new(), _folder: folder };
        machine.wait_for("systemd", "systemctl is-system-running | grep -qE 'running|degraded'");
        assert_eq!(machine.sh("systemctl --failed --no-legend"), "");
        machine.organization();
        Some(machine)
    }

    /// Starts the organization to sync into, with its API key in a file for root.
    fn organization(&mut self) {
        self.sh(
            "systemd-run --quiet --unit=sandbox -p StandardOutput=file:/run/sandbox bwdc sandbox --port 4000",
        );
        self.wait_for("the sandbox", "grep -q BW_CLIENTSECRET /run/sandbox");
        let told = self.sh("cat /run/sandbox");
        let of = |name: &str| told.split(name).nth(1).unwrap().lines().next().unwrap().to_owned();
        self.id = of("BW_CLIENTID=");
        self.write(SECRET, &of("BW_CLIENTSECRET="));
        self.sh(&format!("chmod 600 {SECRET}"));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]);
        command.args(["--", "timeout", "60"]).args(words);
        command.env_clear().env("HOME", "/root").env("PATH", PATH).current_dir("/").stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().unwrap().into()
    }

    #[track_caller]
    fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-ec", script]).ok().out
    }

    /// Runs `bwdc schedule` as root.
    fn schedule(&self, words: &[&str]) -> Ran {
        self.run(&[&["bwdc", "schedule"], words].concat())
    }

    /// Writes a file of the machine that everybody may read.
    fn write(&self, path: &str, text: &str) {
        let mut command = self.command(&["install", "-D", "-m", "644", "/dev/stdin", path]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{path}");
    }

    #[track_caller]
    fn wait_for(&self, what: &str, script: &str) {
        let started = Instant::now();
        while self.run(&["sh", "-c", script]).code != 0 {
            assert!(Path::new(&format!("/proc/{}", self.init)).exists(), "systemd ended");
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "no {what}: {}",
                self.run(&["sh", "-c", "systemctl --failed; journalctl -n 40 --no-pager"]).out
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Sets up an instance in an existing folder, with a directory of files.
    fn set_up(&self, folder: &str, owner: &str) {
        let data = json!({
            "stateVersion": 8,
            "environmentUrls": { "base": "http://127.0.0.1:4000" },
            "directoryType": "file",
            "directoryFile": { "path": "company" },
            "sync": { "users": true, "groups": false, "interval": 5, "onBadRecord": "skip" },
        });
        self.write(&format!("{folder}/data.json"), &data.to_string());
        self.write(&format!("{folder}/company/users.csv"), "id,email\n");
        self.sh(&format!(
            "chmod 600 {folder}/data.json; chown -R {owner}: {folder}; chmod 755 {folder}/company; chmod 644 {folder}/company/users.csv"
        ));
    }

    /// Replaces the people in the directory.
    fn people(&self, folder: &str, rows: &str) {
        self.sh(&format!("printf 'id,email\\n{rows}' >{folder}/company/users.csv"));
    }

    /// Members of the organization besides its owner.
    fn emails(&self) -> Vec<String> {
        let ask =
            r"exec 3<>/dev/tcp/127.0.0.1/4000; printf 'GET /sandbox/members HTTP/1.0\r\n\r\n' >&3; cat <&3";
        let answer = self.run(&["bash", "-ec", ask]).ok().out;
        let members: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let members = members.as_array().unwrap().iter().filter(|member| member["kind"] == "user");
        members.map(|member| member["email"].as_str().unwrap().to_owned()).collect()
    }

    /// Priority and text of the messages of a unit's own processes.
    fn journal(&self, unit: &str) -> Vec<(u8, String)> {
        let text = self
            .sh(&format!("journalctl --sync; journalctl _SYSTEMD_UNIT={unit}.service -o json --no-pager"));
        let line = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let priority = entry["PRIORITY"].as_str().unwrap().parse().unwrap();
            (priority, entry["MESSAGE"].as_str().unwrap().to_owned())
        };
        text.lines().map(line).collect()
    }

    fn property(&self, unit: &str, name: &str) -> String {
        self.sh(&format!("systemctl show {unit} -p {name} --value")).trim().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.outside.stdin.take());
        let _ = self.outside.wait();
    }
}

#[allow(clippy::print_stderr, reason = "a test that does nothing has to say so")]
fn skipped(why: &str) {
    eprintln!("skipped: a systemd cannot be booted in namespaces here: {}", why.trim());
}

fn install(machine: &Machine, when: &[&'static str]) -> Vec<String> {
    let credential = format!("login.clientSecret={SECRET}");
    let id = format!("BW_CLIENTID={}", machine.id);
    let words = ["install", "--using", "systemd", "--user", "bwdc", "--create-user", "--appdata", FOLDER];
    let more = ["--credential", &credential, "--env", &id, "--random-delay", "0"];
    [&words[..], &more, when].concat().into_iter().map(str::to_owned).collect()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn the_hardened_service_syncs_and_leaves_no_trace() {
    let Some(machine) = Machine::boot() else { return };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let files = "find /etc/systemd /var/lib/systemd /run/systemd/transient -type f -o -type l | sort; systemctl list-units -a --no-legend 'bwdc*'";
    let before = machine.sh(files);
    let nightly = install(&machine, &["--cron", "30 3 * * *"]);
    machine.set_up(FOLDER, "root");
    machine.people(FOLDER, "jane,jane@example.org\\n");
    // A file in somebody's home, which the service cannot see.
    machine.sh(&format!("mkdir /home/hr; mv {FOLDER}/company /home/hr; sed -i 's#\"company\"#\"/home/hr/company\"#' {FOLDER}/data.json"));
    machine.schedule(&words(&nightly)).fails(1, &["The trial of the sync", "may see neither homes nor /tmp"]);
    assert_eq!(machine.sh(files), before);
    machine.sh(&format!("mv /home/hr/company {FOLDER}; rmdir /home/hr; sed -i 's#\"/home/hr/company\"#\"company\"#' {FOLDER}/data.json"));
    machine.schedule(&[&words(&nightly)[..], &["--fix"]].concat()).ok();

    machine.schedule(&["run-now"]).ok();
    assert_eq!(machine.emails(), ["jane@example.org"]);
    assert_eq!(
        machine.sh("stat -c '%U %a' /var/lib/bwdc /var/lib/bwdc/ledger-*.json"),
        "bwdc 700\nbwdc 600\n"
    );
    let again = machine.schedule(&words(&nightly)).ok();
    assert!(again.out.contains("Nothing to change"), "{}", again.out);
    let listed = machine.schedule(&["list"]).ok().out;
    assert!(listed.starts_with("/var/lib/bwdc: 30 3 * * *, by systemd as bwdc, next "), "{listed}");
    let status = machine.run(&["bwdc", "status", "--json", "--appdata", FOLDER]).ok().out;
    let status: Value = serde_json::from_str(&status).unwrap();
    let told = &status["instances"][0];
    assert_eq!(
        (&told["lastRun"]["by"], &told["lastRun"]["result"]),
        (&json!("systemd"), &json!("ok")),
        "{told}"
    );
    assert_eq!(told["scheduler"], "systemd");
    assert!(told["nextRun"].as_str().is_some_and(|time| time.contains(":30:00")), "{told}");
    let timers = machine.sh("systemctl list-timers --no-legend 'bwdc*'");
    assert!(timers.contains(&format!("{UNIT}.timer")) && timers.contains(":30:"), "{timers}");
    let show = machine.schedule(&["show"]).ok().out;
    assert!(show.contains("OnCalendar=*-*-* 3:30:00") && !show.contains("secret="), "{show}");

    // A disabled one does not count as a schedule.
    machine.sh(&format!("systemctl disable --quiet --now {UNIT}.timer"));
    let again = machine.schedule(&words(&nightly)).ok();
    assert!(again.out.contains("The schedule is installed."), "{}", again.out);
    assert_eq!(
        machine.sh(&format!("systemctl is-enabled {UNIT}.timer; systemctl is-active {UNIT}.timer")),
        "enabled\nactive\n"
    );

    // The timer makes up for a missed run, once, by itself.
    machine.people(FOLDER, "jane,jane@example.org\\nbob,bob@example.org\\n");
    machine.sh(&format!(
        "systemctl stop {UNIT}.timer; touch -d '3 days ago' /var/lib/systemd/timers/stamp-{UNIT}.timer; systemctl start {UNIT}.timer"
    ));
    machine.wait_for(
        "sync by the timer",
        &format!("journalctl -u {UNIT} -o cat | grep -c '^bwdc: sync ok' | grep -qx 2"),
    );
    assert_eq!(machine.emails().len(), 2);

    // Entries left out, but done (4); then failed.
    machine.people(FOLDER, "jane,jane@example.org\\nodd,no address\\n");
    machine.schedule(&["run-now"]).ok();
    assert_eq!(machine.property(&format!("{UNIT}.service"), "ExecMainStatus"), "4");
    assert_eq!(machine.sh("systemctl --failed --no-legend"), "");
    let home = format!("sed -i 's#\"company\"#\"/home/hr/company\"#' {FOLDER}/data.json");
    machine.sh(&format!("{home}; mkdir /home/hr; cp -r {FOLDER}/company /home/hr"));
    let failed = machine.schedule(&["run-now"]);
    failed.fails(1, &["`systemctl start", "Its output: `journalctl -u bwdc-var-lib-bwdc -n 20`."]);
    assert!(machine.sh("systemctl --failed --no-legend").contains(&format!("{UNIT}.service")));
    let status = machine.run(&["systemctl", "status", UNIT]).out;
    assert!(status.contains("status=1/FAILURE"), "{status}");

    // The log is the unit's journal, and the status shows the failure.
    let log = machine.run(&["bwdc", "log", "-n", "5", "--appdata", FOLDER]).ok().out;
    assert!(log.lines().count() == 5 && log.contains("bwdc: sync failed instance=bwdc run="), "{log}");
    let errors = machine.run(&["bwdc", "log", "--errors", "--appdata", FOLDER]).ok().out;
    assert!(errors.contains("bwdc: sync failed ") && !errors.contains("bwdc: sync started"), "{errors}");
    let status = machine.run(&["bwdc", "status", "--appdata", FOLDER]).fails(1, &[]).out;
    assert!(status.contains("by systemd: failed, exit 1") && status.contains("/home/hr/company"), "{status}");

    // Each warning and each failure once, with its priority and its run, and no secret.
    let journal = machine.journal(UNIT);
    let of = |priority: u8| {
        journal.iter().filter(|(known, _)| *known == priority).map(|(_, text)| text).collect::<Vec<_>>()
    };
    let [error] = of(3)[..] else { panic!("{journal:?}") };
    assert!(error.starts_with("bwdc: sync failed instance=bwdc run=") && error.contains("exit=1"), "{error}");
    assert!(error.contains("A systemd service may see neither homes nor /tmp"), "{error}");
    let [left_out, missing, done] = of(4)[..] else { panic!("{journal:?}") };
    assert!(left_out.starts_with("bwdc: 1 x left out: ") && left_out.contains(" run="), "{left_out}");
    assert!(
        missing.starts_with("bwdc: No longer in the directory: 1 member (bob@example.org)."),
        "{missing}"
    );
    assert!(done.starts_with("bwdc: sync ok ") && done.contains("left_out=1"), "{done}");
    let secret = machine.sh(&format!("cat {SECRET}"));
    assert!(!machine.sh("journalctl --no-pager -o export").contains(secret.trim()));

    // As the documentation shows for a folder in a home.
    machine.write(
        &format!("/etc/systemd/system/{UNIT}.service.d/override.conf"),
        "[Service]\nBindReadOnlyPaths=/home/hr\n",
    );
    machine.sh("systemctl daemon-reload");
    machine.schedule(&["run-now"]).ok();
    machine.schedule(&words(&nightly)).ok();
    machine.sh(&format!("rm -r /etc/systemd/system/{UNIT}.service.d"));
    machine.schedule(&words(&nightly)).fails(1, &["The trial of the sync"]);

    machine.schedule(&["remove"]).ok();
    assert_eq!(machine.sh(files), before);
    machine.schedule(&["remove"]).fails(1, &["No schedule is installed."]);
    // At the start of the machine means then, not now.
    machine.schedule(&words(&install(&machine, &["--cron", "@reboot", "--untried"]))).ok();
    let again = machine.schedule(&words(&install(&machine, &["--cron", "@reboot", "--untried"]))).ok();
    assert!(again.out.contains("Nothing to change"), "{}", again.out);
    assert_eq!(machine.run(&["systemctl", "is-active", &format!("{UNIT}.timer")]).out, "inactive\n");
    machine.schedule(&["remove", "--all"]).ok();
    assert_eq!(machine.sh(files), before);

    let group = machine.sh("cat /proc/1/cgroup");
    assert_eq!(group.lines().last().unwrap(), "0::/init.scope", "{group}");
    drop(machine);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts, "this machine is as it was");
}

/// Two directories into one organization, in folders that the service may write to because bwdc.toml names them.
#[test]
fn everything_named_in_bwdc_toml() {
    let Some(machine) = Machine::boot() else { return };
    let toml = "[log]\nfile = \"/var/log/bwdc/bwdc.log\"\n[instance.hq]\nfolder = \"hq\"\n[instance.away]\nfolder = \"/srv/away\"\n\
                [organization.acme]\nmerge = [\"hq\", \"away\"]\n";
    machine.sh(
        "useradd --system --create-home --home-dir /var/lib/bwdc bwdc; mkdir -p /var/lib/bwdc/hq /srv/away",
    );
    machine.write("/var/lib/bwdc/bwdc.toml", toml);
    for (folder, person) in [("/var/lib/bwdc/hq", "ann"), ("/srv/away", "bob")] {
        machine.set_up(folder, "bwdc");
        machine.people(folder, &format!("{person},{person}@example.org\\n"));
    }
    let all = install(&machine, &["--at", "03:30", "--all"]);
    machine.schedule(&words(&all)).ok();
    machine.schedule(&["run-now"]).ok();
    assert_eq!(machine.emails(), ["ann@example.org", "bob@example.org"]);
    let log = machine.sh("cat /var/log/bwdc/bwdc.log");
    assert!(log.lines().any(|line| line.contains("sync ok instance=acme")), "{log}");
    assert!(machine.sh("ls /srv/away").contains("ledger-"));
    let listed = machine.schedule(&["list"]).ok().out;
    assert!(
        listed.starts_with("/var/lib/bwdc: all instances in bwdc.toml, 30 3 * * *, by systemd"),
        "{listed}"
    );
    assert!(machine.schedule(&words(&all)).ok().out.contains("Nothing to change"));
    machine.schedule(&["remove"]).ok();
}

#[test]
fn the_systemd_of_a_user() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh("useradd --create-home --shell /bin/sh ann; mkdir /home/ann/sync; loginctl enable-linger ann");
    machine.set_up("/home/ann/sync", "ann");
    machine.people("/home/ann/sync", "ann,ann@example.org\\n");
    machine.sh(&format!("install -o ann -m 600 {SECRET} /home/ann/secret"));
    let user = machine.sh("id -u ann").trim().to_owned();
    machine.wait_for("systemd of ann", &format!("test -S /run/user/{user}/systemd/private"));
    let run = |more: &str, command: &str| {
        machine.run(&["sh", "-c", &format!("exec runuser -u ann -- env HOME=/home/ann {more} {command}")])
    };
    let bus = format!("XDG_RUNTIME_DIR=/run/user/{user}");
    let install = format!(
        "bwdc schedule install --using systemd --at 03:30 --appdata /home/ann/sync --credential login.clientSecret=/home/ann/secret --env BW_CLIENTID={}",
        machine.id
    );
    run("", &install).fails(1, &["Failed to connect to", "loginctl enable-linger", "XDG_RUNTIME_DIR"]);
    // An interrupted installation is completed.
    let installed = run(&bus, &install).ok();
    assert!(installed.out.contains("The schedule is installed."), "{}", installed.out);
    assert!(run(&bus, &install).ok().out.contains("Nothing to change"));
    run(&bus, "bwdc schedule run-now").ok();
    assert_eq!(machine.emails(), ["ann@example.org"]);
    let timers = run(&bus, "systemctl --user list-timers --no-legend").ok().out;
    assert!(timers.contains("bwdc-home-ann-sync.timer"), "{timers}");
    run("", "bwdc schedule remove").fails(1, &["Failed to connect to"]);
    run(&bus, "bwdc schedule remove").ok();
    assert_eq!(machine.sh("find /home/ann/.config /home/ann/.local -type f -o -type l"), "");
    assert_eq!(run(&bus, "systemctl --user list-units -a --no-legend 'bwdc*'").ok().out, "");
}

/// Installs the service as docs/daemon.md says, whose unit is the one that is shown there.
#[test]
fn the_daemon_of_the_documentation() {
    let Some(machine) = Machine::boot() else { return };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/daemon.md");
    let page = fs::read_to_string(page).unwrap();
    let page = page.split("### systemd").nth(1).unwrap();
    let block = |kind: &str, number: usize| {
        let rest = page.split(&format!("\n```{kind}\n")).nth(number + 1).unwrap();
        rest.split("\n```").next().unwrap().replace("organization.CLIENT-ID", &machine.id)
    };
    assert!(block("ini", 0).contains("\nOOMPolicy=continue\n"), "one large sync must not end the others");
    let secret = machine.sh(&format!("cat {SECRET}; rm {SECRET}"));
    let mut child = machine.command(&["sh", "-ec", &block("sh", 0)]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());

    // What would fail is not installed.
    let files = "find /etc/systemd -type f -o -type l | sort; id bwdc 2>&1";
    let before = machine.sh(&format!("{files} || true"));
    machine.run(&["sh", "-ec", &block("sh", 1)]).fails(1, &["not set up yet", "Nothing was installed"]);
    assert_eq!(machine.sh(&format!("{files} || true")), before);
    let said = machine.run(&["bwdc", "service", "install", "--user", "root", "--", "--appdata", "/x"]);
    said.fails(1, &["The daemon does not take these options: unexpected argument '--appdata'"]);
    machine.run(&["bwdc", "service", "status"]).fails(1, &["No service is installed."]);

    // At once, and again soon: what an administrator has added stays.
    let soon = "[Service]\nExecStart=\nExecStart=/usr/local/bin/bwdc daemon --spread 0\nRestartSec=1\n";
    machine.write("/etc/systemd/system/bwdc.service.d/soon.conf", soon);
    machine.sh(&format!("mkdir {FOLDER}"));
    machine.set_up(FOLDER, "root");
    machine.people(FOLDER, "jane,jane@example.org\\nodd,no address\\n");
    let told = machine.sh(&block("sh", 1));
    assert!(
        told.contains("The service is installed and running.") && told.contains("now belong to bwdc"),
        "{told}"
    );
    let unit = machine.sh("sed 1,2d /etc/systemd/system/bwdc.service");
    assert_eq!(unit.trim_end(), block("ini", 0));
    assert_eq!(machine.sh("stat -c '%U %a' /var/lib/bwdc /var/lib/bwdc/data.json"), "bwdc 700\nbwdc 600\n");
    let again = machine.sh(&block("sh", 1));
    assert!(again.contains("Nothing to change"), "{again}");
    // As hardened as a unit made by `schedule install`.
    let exposure = machine
        .sh("systemd-analyze security --offline=yes --no-pager /etc/systemd/system/bwdc.service | tail -1");
    let level: f64 = exposure.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(level <= 2.0, "{exposure}");

    machine.wait_for("sync", "journalctl -u bwdc -o cat | grep -q '^bwdc: sync ok'");
    let told = machine.sh(&block("sh", 2));
    for line in [
        "  installed     /etc/systemd/system/bwdc.service, by systemd",
        "  serves        /var/lib/bwdc, as bwdc",
        "  runs          /usr/local/bin/bwdc daemon",
        "  state         active (running)",
        "  at boot       it starts",
    ] {
        assert!(told.contains(&format!("{line}\n")), "no {line}: {told}");
    }
    assert!(told.contains(" exit 4: ") && told.contains("x left out: "), "{told}");
    assert_eq!(machine.emails(), ["jane@example.org"]);
    let state = |name: &str| machine.property("bwdc", name);
    assert_eq!(state("StatusText"), "1 instance(s), 0 running, 0 failing");
    assert!(machine.run(&["runuser", "-u", "bwdc", "--", "bwdc", "status", "--appdata", FOLDER]).code == 0);
    // A warning is in the journal, once, with its run.
    let journal = machine.journal("bwdc");
    let warnings: Vec<_> = journal.iter().filter(|(_, text)| text.contains("x left out: ")).collect();
    assert!(matches!(warnings[..], [(4, text)] if text.contains(" run=")), "{journal:?}");

    machine.sh("systemctl reload bwdc");
    machine.wait_for("reload", "journalctl -u bwdc -o cat | grep -c '^bwdc: configured' | grep -qx 2");

    // An invalid configuration: the old one stays, and the journal says so.
    machine.sh(&format!(
        "cp {FOLDER}/data.json /run/data.json; echo '{{' >{FOLDER}/data.json; systemctl reload bwdc"
    ));
    machine
        .wait_for("error", "journalctl -u bwdc -o cat -p err | grep -q 'The new configuration was rejected'");
    machine.sh(&format!("cat /run/data.json >{FOLDER}/data.json"));
    assert_eq!(state("ActiveState"), "active");

    // Killed, it is restarted; silent, it is killed.
    let first = state("MainPID");
    machine.sh("systemctl kill --signal=KILL bwdc");
    machine.wait_for("another start", &format!("p=$(systemctl show bwdc -p MainPID --value); [ $p != 0 ] && [ $p != {first} ] && bwdc status --appdata {FOLDER}"));
    assert_eq!(state("NRestarts"), "1");
    machine.write("/etc/systemd/system/bwdc.service.d/x.conf", "[Service]\nWatchdogSec=2\n");
    machine.sh("systemctl daemon-reload; systemctl restart bwdc");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(
        (state("NRestarts").as_str(), state("ActiveState").as_str()),
        ("0", "active"),
        "it tells that it lives"
    );
    machine.sh("systemctl kill --signal=STOP bwdc");
    machine.wait_for("kill by the watchdog", "journalctl -u bwdc -o cat | grep -q 'Watchdog timeout'");
    machine.wait_for("start after that", &format!("bwdc status --appdata {FOLDER}"));

    // A sync in progress is allowed to finish, with its child processes.
    machine.sh(&format!("echo '[Service]\nLoadCredential=' >>/etc/systemd/system/bwdc.service.d/x.conf; install -o bwdc -m 600 {SECRET} /run/key; runuser -u bwdc -- env BITWARDENCLI_CONNECTOR_APPDATA_DIR={FOLDER} bwdc config exec.login.clientSecret \"/bin/sh -c 'sleep 5; cat /run/key'\"; runuser -u bwdc -- env BITWARDENCLI_CONNECTOR_APPDATA_DIR={FOLDER} bwdc clear-cache; systemctl daemon-reload; systemctl restart bwdc"));
    machine.wait_for("run", "systemctl show bwdc -p StatusText --value | grep -q ', 1 running,'");
    machine.sh("systemctl stop bwdc");
    assert_eq!(state("Result"), "success");
    let log = machine.sh("journalctl -u bwdc -o cat");
    let end = log.split("bwdc: asked to end running=1").nth(1).unwrap();
    assert!(end.contains("bwdc: sync ok "), "{log}");
    assert_eq!(machine.sh(&format!("ls {FOLDER}/daemon.sock || true")), "");

    // Stopped is not running, and a removal leaves the folder alone.
    let status = machine.run(&["bwdc", "service", "status"]).fails(1, &[]).out;
    assert!(
        status.contains("  state         inactive (dead)") && status.contains("no daemon answers"),
        "{status}"
    );
    let status = machine.run(&["bwdc", "--response", "service", "status"]).fails(1, &[]).out;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["data"]["serves"]["user"], "bwdc", "{status}");
    machine.run(&["bwdc", "service", "remove"]).ok();
    assert_eq!(
        machine
            .sh("ls /etc/systemd/system/bwdc.service /etc/systemd/system/*.wants/bwdc.service 2>&1 || true")
            .matches("No such file")
            .count(),
        2
    );
    assert!(machine.sh(&format!("ls {FOLDER}")).contains("ledger-"));
    machine.run(&["bwdc", "service", "remove"]).fails(1, &["No service is installed."]);
}

/// systemd puts values for `$` and `%`, and separates words at blanks.
#[test]
fn an_option_of_the_service_comes_as_it_was_typed() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh(&format!("mkdir {FOLDER}"));
    machine.set_up(FOLDER, "root");
    let socket = format!("{FOLDER}/a$HOME ${{USER}}%n.sock");
    let install = ["bwdc", "service", "install", "--user", "bwdc", "--create-user", "--untried"];
    machine.run(&[&install[..], &["--appdata", FOLDER, "--", "--web", &socket]].concat()).ok();
    machine.wait_for("page", &format!("test -S '{socket}'"));
}

/// A package's unit is left alone, and the status is about it.
#[test]
fn the_service_of_a_package() {
    let Some(machine) = Machine::boot() else { return };
    machine.sh(&format!("mkdir {FOLDER}"));
    machine.set_up(FOLDER, "root");
    let install =
        ["bwdc", "service", "install", "--user", "bwdc", "--create-user", "--untried", "--appdata", FOLDER];
    let unit = machine.run(&[&install[..], &["--dry-run"]].concat()).ok().out;
    let unit = unit.split("[Unit]").nth(1).unwrap().split("\nsystemctl ").next().unwrap();
    // This machine's /usr is read-only: over a copy of the folder.
    machine.sh("mkdir /run/units; cp -a /usr/lib/systemd/system/. /run/units; mount --bind /run/units /usr/lib/systemd/system");
    machine.write("/usr/lib/systemd/system/bwdc.service", &format!("[Unit]{unit}"));
    machine.sh("systemctl daemon-reload");
    machine.run(&install).fails(
        1,
        &[
            "A package has brought the service already: /usr/lib/systemd/system/bwdc.service.",
            "systemctl enable --now bwdc",
        ],
    );
    machine.sh(&format!(
        "id bwdc || useradd --system bwdc; chown -R bwdc {FOLDER}; systemctl enable --now bwdc"
    ));
    let told = machine.run(&["bwdc", "service", "status"]).out;
    assert!(
        told.contains("/usr/lib/systemd/system/bwdc.service, by systemd")
            && told.contains("active (running)"),
        "{told}"
    );
    assert!(told.contains("  serves        /var/lib/bwdc, as bwdc") && told.contains("(process "), "{told}");
    machine
        .run(&["bwdc", "service", "remove"])
        .fails(1, &["belongs to a package", "systemctl disable --now bwdc"]);
}
