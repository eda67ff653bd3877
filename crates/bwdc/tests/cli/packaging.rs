//! The packages for Debian and for RPM, and the units in them. `packaging/test-deb` and `packaging/test-rpm` install them in a system.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::Ran;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bwdc");

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn packaged(name: &str) -> String {
    fs::read_to_string(repository().join("packaging/linux").join(name)).unwrap()
}

fn run(words: &[&str]) -> Ran {
    Command::new(words[0]).args(&words[1..]).env("LC_ALL", "C").output().unwrap().into()
}

/// From the first line of the hardening to its last.
fn hardening(unit: &str) -> &str {
    let (from, end) = (unit.find("UMask=").unwrap(), "ProtectHome=tmpfs\n");
    &unit[from..unit.find(end).unwrap() + end.len()]
}

/// Lines of a unit without those that begin like one of these.
fn without<'a>(unit: &'a str, beginnings: &[&str]) -> Vec<&'a str> {
    unit.lines().filter(|line| !beginnings.iter().any(|beginning| line.starts_with(beginning))).collect()
}

/// The guide's own unit is tested for being as hardened as those of `bwdc schedule`.
#[test]
fn the_units_are_those_of_the_guide() {
    let page = fs::read_to_string(repository().join("docs/daemon.md")).unwrap();
    let documented = page.split("\n```ini\n").nth(1).unwrap().split("```").next().unwrap();
    let documented = documented.replace("/usr/local/bin/", "/usr/bin/");
    let daemon = packaged("bwdc.service");
    let only_documented = ["Environment=BW_CLIENTID=", "LoadCredential=login.clientSecret:"];
    let only_packaged = ["Documentation=", "Environment=BWDC_CONFIG=", "AppArmorProfile="];
    assert_eq!(without(&daemon, &only_packaged), without(&documented, &only_documented));
    assert_eq!(hardening(&packaged("bwdc@.service")), hardening(&daemon));
}

#[test]
fn systemd_knows_all_that_the_units_say() {
    let folder = tempfile::tempdir().unwrap();
    let units = ["bwdc.service", "bwdc@.service", "bwdc@.timer"];
    for unit in units {
        // The program need not be installed here.
        fs::write(folder.path().join(unit), packaged(unit).replace("/usr/bin/bwdc", PROGRAM)).unwrap();
    }
    let systemd = |words: &[&str]| -> Ran {
        let mut command = Command::new("systemd-analyze");
        command.args(words).env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()));
        command.output().unwrap().into()
    };
    let verified = systemd(&["verify", "--man=no", "bwdc.service", "bwdc@hq.service", "bwdc@hq.timer"]).ok();
    assert_eq!((verified.out.as_str(), verified.err.as_str()), ("", ""));
    for unit in ["bwdc.service", "bwdc@.service"] {
        let path = folder.path().join(unit);
        // An exposure of more than 2.0 is a failure.
        let words = ["security", "--offline=yes", "--no-pager", "--threshold=20", path.to_str().unwrap()];
        systemd(&words).ok();
    }
}

#[test]
fn apparmor_knows_the_profile() {
    let profile = repository().join("packaging/linux/usr.bin.bwdc");
    // As root, or with its folder in the PATH.
    run(&["env", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "apparmor_parser", "-QK", profile.to_str().unwrap()])
        .ok();
    assert!(packaged("bwdc.service").contains("\nAppArmorProfile=-bwdc\n"));
    assert!(packaged("usr.bin.bwdc").contains("\nprofile bwdc "));
}

#[test]
fn the_configuration_sets_nothing_and_its_examples_are_valid() {
    let written = packaged("bwdc.toml");
    let is_set = |line: &&str| !line.is_empty() && !line.starts_with('#');
    assert_eq!(written.lines().find(is_set), None);
    // A line of an example has no blank after the sign.
    let example = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => format!("{key}\n"),
        _ => "\n".to_owned(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bwdc.toml");
    fs::write(&path, written.lines().map(example).collect::<String>()).unwrap();
    let config = path.to_str().unwrap();
    let appdata = folder.path().to_str().unwrap();
    let listed = run(&[PROGRAM, "--config", config, "config", "list", "--appdata", appdata]).ok().out;
    for row in
        ["instance.hq.folder", "organization.acme.merge", "alerts.channel.admins.type", "daemon.listen"]
    {
        assert!(listed.contains(row), "{row}: {listed}");
    }
}

/// Packages of a program that does nothing: it is static, as a released one, and soon packed. Man pages and completions are ours.
struct Packages {
    folder: TempDir,
}

impl Packages {
    fn new() -> Self {
        let packages = Self { folder: tempfile::tempdir().unwrap() };
        let source = packages.path("program.c");
        fs::write(&source, "int main(void) { return 0; }").unwrap();
        let program = packages.path("program");
        run(&["gcc", "-O2", "-static", "-s", "-Wl,--build-id=none", "-o", &program, &source]).ok();
        packages
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Makes a package, and says where it is.
    fn make(&self, kind: &str, architecture: &str, out: &str) -> String {
        let script = repository().join("packaging").join(kind).join("build");
        let mut command = Command::new(script);
        command.args([self.path("program"), architecture.to_owned(), self.path(out)]);
        command.env("BWDC_NATIVE", PROGRAM).env("BWDC_XZ", "0").env("SOURCE_DATE_EPOCH", "1767225600");
        let made: Ran = command.output().unwrap().into();
        made.ok().out.trim_end().to_owned()
    }

    /// Two at different times and places, which must be the same bytes.
    fn make_twice(&self, kind: &str, architecture: &str) -> String {
        let first = self.make(kind, architecture, "one");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let second = self.make(kind, architecture, "other");
        assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "{first} differs from {second}");
        first
    }
}

/// Mode, owner and what else precedes a path, by path; without the pages and what only one format has.
fn common(listed: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (before, path) = line.split_once('/').map(|(before, _)| line.split_at(before.len())).unwrap();
        (path.to_owned(), before.trim_end_matches('.').to_owned())
    };
    let of_one = [
        "/usr/share/doc/",
        "/usr/share/lintian",
        "/usr/share/licenses",
        "/usr/share/man/",
        "/usr/share/zsh/",
    ];
    let is_common = |(path, _): &(String, String)| !of_one.iter().any(|folder| path.starts_with(folder));
    listed.lines().map(line).filter(is_common).collect()
}

#[test]
fn the_debian_package() {
    let packages = Packages::new();
    let package = packages.make_twice("deb", "amd64");
    assert!(package.ends_with("_amd64.deb"), "{package}");
    let said = run(&["lintian", "--allow-root", "--pedantic", "-IE", "--fail-on", "warning", &package]).ok();
    // This program has no text that looks misspelt, as a released one does.
    let unused =
        |line: &&str| line.starts_with("N: ") || line.contains(" unused-override spelling-error-in-binary ");
    assert_eq!(said.out.lines().find(|line| !unused(line)), None, "{}", said.out);

    let root = packages.path("root");
    run(&["dpkg-deb", "-R", &package, &root]).ok();
    assert_eq!(
        fs::read(packages.path("program")).unwrap(),
        fs::read(packages.path("root/usr/bin/bwdc")).unwrap()
    );
    let listed = run(&["sh", "-ec", &format!("dpkg-deb --fsys-tarfile {package} | tar -tv --numeric-owner | awk '$1 !~ /^d/ {{ sub(\"/\", \":\", $2); print $1, $2, $6 }}'")]).ok().out;
    let files = common(&listed);
    let expected: BTreeMap<_, _> =
        installed().map(|(path, mode)| (path.to_owned(), format!("{mode} 0:0 "))).collect();
    assert_eq!(files, expected);
    let control = |name: &str| fs::read_to_string(packages.path(&format!("root/DEBIAN/{name}"))).unwrap();
    assert_eq!(control("conffiles"), "/etc/apparmor.d/usr.bin.bwdc\n/etc/bwdc/bwdc.toml\n");
    assert!(control("control").contains(&format!("\nVersion: {}-1\n", env!("CARGO_PKG_VERSION"))));
    pages(&packages.path("root/usr/share/man/man1"));

    let other = packages.make("deb", "arm64", "one");
    assert_eq!(run(&["dpkg-deb", "-f", &other, "Architecture"]).ok().out, "arm64\n");
}

#[test]
fn the_rpm_package() {
    let packages = Packages::new();
    let package = packages.make_twice("rpm", "x86_64");
    assert!(package.ends_with(".x86_64.rpm"), "{package}");
    let rules = repository().join("packaging/rpm/rpmlint.toml");
    let said = run(&["rpmlint", "--strict", "--config", rules.to_str().unwrap(), &package]);
    assert!(said.code == 0 && said.out.contains(" 0 errors, 0 warnings"), "{}{}", said.out, said.err);

    let form = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILENAMES}\n]";
    let listed = run(&["rpm", "-qp", "--qf", form, &package]).ok().out;
    let files = common(&listed);
    let expected = installed().map(|(path, mode)| {
        // Configuration that is not replaced.
        let kept = if path.starts_with("/etc/") { "cn" } else { "" };
        (path.to_owned(), format!("{mode} root:root {kept} "))
    });
    let folders = [("/etc/bwdc", "drwxr-x--- root:bwdc  "), ("/var/lib/bwdc", "drwx------ bwdc:bwdc  ")];
    let folders = folders.map(|(path, owner)| (path.to_owned(), owner.to_owned()));
    assert_eq!(files, expected.chain(folders).collect());
    let version = run(&["rpm", "-qp", "--qf", "%{VERSION}-%{RELEASE}", &package]).ok().out;
    assert_eq!(version, format!("{}-1", env!("CARGO_PKG_VERSION")));
    let unpacked = packages.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    run(&["sh", "-ec", &format!("cd {unpacked}; rpm2cpio {package} | cpio -idm --quiet")]).ok();
    assert_eq!(
        fs::read(packages.path("program")).unwrap(),
        fs::read(format!("{unpacked}/usr/bin/bwdc")).unwrap()
    );
    pages(&format!("{unpacked}/usr/share/man/man1"));

    let other = packages.make("rpm", "aarch64", "one");
    assert_eq!(run(&["rpm", "-qp", "--qf", "%{ARCH}/%{OS}", &other]).ok().out, "aarch64/linux");
}

/// What both install, with its mode.
fn installed() -> impl Iterator<Item = (&'static str, &'static str)> {
    let data = [
        "/etc/apparmor.d/usr.bin.bwdc",
        "/etc/bwdc/bwdc.toml",
        "/usr/lib/systemd/system/bwdc.service",
        "/usr/lib/systemd/system/bwdc@.service",
        "/usr/lib/systemd/system/bwdc@.timer",
        "/usr/lib/sysusers.d/bwdc.conf",
        "/usr/lib/tmpfiles.d/bwdc.conf",
        "/usr/share/bash-completion/completions/bwdc",
        "/usr/share/fish/vendor_completions.d/bwdc.fish",
    ];
    data.into_iter().map(|path| (path, "-rw-r--r--")).chain([("/usr/bin/bwdc", "-rwxr-xr-x")])
}

/// One page for each command, as the program writes them.
fn pages(folder: &str) {
    let own = tempfile::tempdir().unwrap();
    run(&[PROGRAM, "man", own.path().to_str().unwrap()]).ok();
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let compressed: Vec<_> = names(own.path()).into_iter().map(|name| format!("{name}.gz")).collect();
    assert!(compressed.contains(&"bwdc-sync.1.gz".to_owned()));
    assert_eq!(names(Path::new(folder)), compressed);
}
