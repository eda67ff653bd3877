//! `bwdc schedule`: its output, judged by the programs that read it: cron, systemd, Apple's format, Microsoft's schema, Kubernetes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bwdc_sandbox::Options;
use serde_json::Value;

use crate::harness::{Instance, Organization, vendor_clients};

/// Expressions of every kind.
const EXPRESSIONS: [&str; 12] = [
    "0 12 * * 1",
    "*/15 * * * *",
    "* 3 * * *",
    "5,35 9-17 * jan-mar mon-fri",
    "30 4 1,15 * 5",
    "0 0 29 2 *",
    "*/7 */5 * * *",
    "0 0 * * 7",
    "10-40/10 6,18 28-31 * *",
    "0 0 1-31 * 5",
    "@weekly",
    "0 2 * 6 sat",
];

fn me() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn answer(instance: &Instance, words: &[&str]) -> Value {
    let ran = instance.run(&[&["--response", "schedule"], words].concat()).ok();
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    answer["data"].clone()
}

/// Writes the files of `install --dry-run` to a folder.
fn written(instance: &Instance, words: &[&str]) -> Vec<PathBuf> {
    let me = me();
    let words = [&["install", "--user", &me, "--program", "/bin/true", "--dry-run"], words].concat();
    let steps = answer(instance, &words);
    let write = |step: &Value| {
        let name = Path::new(step["write"].as_str()?).file_name().unwrap();
        let path = instance.folder.path().join(name);
        fs::write(&path, step["text"].as_str().unwrap()).unwrap();
        Some(path)
    };
    steps.as_array().unwrap().iter().filter_map(write).collect()
}

#[track_caller]
fn accepted(program: &str, arguments: &[&str]) -> String {
    // The user's systemd would have it from their session.
    let mut command = Command::new(program);
    let output = command.args(arguments).env("XDG_RUNTIME_DIR", std::env::temp_dir()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

#[test]
fn explained() {
    let instance = Instance::empty();
    let ran = instance.run(&[
        "schedule",
        "explain",
        "30 2 * * 1",
        "--tz",
        "Europe/Berlin",
        "--from",
        "2026-01-01T00:00",
    ]);
    let out = ran.ok().out;
    for line in ["At 02:30, on Monday.", "  │  │ │ │ └─ day of week   Monday", "  Mon 2026-01-05 02:30 CET"]
    {
        assert!(out.contains(line), "`{line}` is not in:\n{out}");
    }
    let error = instance.run(&["schedule", "explain", "0 12 * * mo"]);
    error.fails(
        1,
        &["`mo` is not a valid day of week, at character 10\n  0 12 * * mo\n           ^\nA day of week is"],
    );
    let error = instance.run(&["--response", "schedule", "explain", "61 * * * *"]);
    assert!(
        error.out.starts_with("{\"success\":false,\"message\":\"61 is not a valid minute"),
        "{}",
        error.out
    );
    instance
        .run(&["schedule", "explain", "@daily", "--tz", "Mars/Olympus"])
        .fails(1, &["Mars/Olympus", "IANA"]);
    instance
        .run(&["schedule", "list", "x"])
        .fails(1, &["too many arguments for 'list'. Expected 0 arguments but got 1: x."]);
    instance.run(&["schedule"]).fails(1, &["Usage: bwdc schedule", "explain"]);
}

#[test]
fn install_asks_for_required_options() {
    let instance = Instance::empty();
    let install = |words: &[&str]| instance.run(&[&["schedule", "install", "--dry-run"], words].concat());
    install(&[]).fails(1, &["No time was given", "--every 15m"]);
    install(&["--at", "1:00", "--every", "5m"]).fails(1, &["cannot be used with"]);
    let me = me();
    let user = ["--user", &me];
    let cron = |words: &[&str]| install(&[&user[..], &["--using", "cron"], words].concat());
    cron(&["--every", "7m"]).fails(1, &["goes into neither an hour nor a day evenly", "Use 6m"]);
    cron(&["--cron", "0 0 31 2 *"]).fails(1, &["never runs"]);
    cron(&["--at", "1:00", "--env", "BW_CLIENTSECRET=x"])
        .fails(1, &["BW_CLIENTSECRET is secret", "secrets.md"]);
    cron(&["--at", "1:00", "--env", "x"]).fails(1, &["has no `=`"]);
    install(&["--user", "no such", "--at", "1:00"]).fails(1, &["is not a valid user name"]);
    let using = |using: &str, words: &[&str]| install(&[&user[..], &["--using", using], words].concat());
    using("launchd", &["--cron", "0 0 */2 * 1"]).fails(1, &["launchd", "either"]);
    using("task-scheduler", &["--cron", "*/7 1,5,6 */5 * 1"]).fails(1, &["both day fields"]);
    using("task-scheduler", &["--cron", "1,5,8,21,33,34,36 1,2,6,9,13,14,16 1 * 1"])
        .fails(1, &["triggers", "at most 48"]);
    let alike = ["--at", "1:00", "--appdata", "/srv/a-b", "--appdata", "/srv/a/b"];
    using("systemd", &alike).fails(1, &["would both be called bwdc-srv-a-b", "Rename"]);
    using("kubernetes", &["--cron", "@reboot"]).fails(1, &["no start of a machine"]);
    using("systemd", &["--at", "1:00", "--credential", "x=/y"])
        .fails(1, &["no secret `x`", "login.clientSecret"]);
}

/// It would count before what each has of its own.
#[test]
fn no_instance_is_given_the_secret_of_another() {
    let instance = Instance::empty();
    let me = me();
    let folder = instance.folder.path().display().to_string();
    let always = ["--dry-run", "--using", "systemd", "--user", &me, "--program", "/bin/true", "--appdata"];
    let run = |command: &[&str], more: &[&str]| {
        instance.run(&[command, &["install"], &always[..], &[folder.as_str()], more].concat())
    };
    let schedule = |more: &[&str]| run(&["schedule"], &[&["--at", "1:00", "--all"], more].concat());
    let service = |more: &[&str]| run(&["service"], more);
    let two = "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n";
    let toml = |text: &str| fs::write(instance.folder.path().join("bwdc.toml"), text).unwrap();
    let (key, password) =
        (["--credential", "login.clientSecret=/etc/key"], ["--credential", "ldap.password=/etc/pw"]);

    toml(two);
    for ran in [schedule(&key), service(&key)] {
        ran.fails(
            1,
            &["all 2 organizations in ", "bwdc.toml the secret login.clientSecret", "secretFile.NAME"],
        );
    }
    for ran in [schedule(&password), service(&password)] {
        ran.fails(
            1,
            &["all 2 instances in ", "the secret ldap.password, in place of their own", "secrets.env"],
        );
    }
    schedule(&[]).ok();
    service(&[]).ok();
    // One organization has one key.
    toml(&format!("{two}[organization.acme]\nmerge = [\"hq\", \"berlin\"]\n"));
    for ran in [schedule(&key), service(&key)] {
        assert!(ran.ok().out.contains("\nLoadCredential=login.clientSecret:/etc/key\n"));
    }
    for ran in [schedule(&password), service(&password)] {
        ran.fails(1, &["all 2 instances in "]);
    }
    toml("[instance.hq]\nfolder = \"hq\"\n");
    for ran in [schedule(&password), service(&password)] {
        assert!(ran.ok().out.contains("\nLoadCredential=ldap.password:/etc/pw\n"));
    }
    let several = run(&["schedule"], &[&["--at", "1:00", "--appdata", "/srv/b"], &key[..]].concat());
    several.fails(1, &["the instances in all these folders one secret", "by a command of its own"]);
}

#[test]
fn everything_named_in_bwdc_toml() {
    let instance = Instance::empty();
    let place = |name: &str| instance.folder.path().join(name).display().to_string();
    let (home, away, log) = (place("home"), place("away"), place("log"));
    fs::create_dir_all(&home).unwrap();
    let toml = format!(
        "[log]\nfile = \"{log}/bwdc.log\"\n[instance.hq]\nfolder = \"hq\"\n[instance.away]\nfolder = \"{away}\"\n\
         [organization.acme]\nmerge = [\"hq\", \"away\"]\n"
    );
    fs::write(format!("{home}/bwdc.toml"), &toml).unwrap();
    let me = me();
    let install = |words: &[&str]| {
        let always =
            ["schedule", "install", "--dry-run", "--at", "02:30", "--user", &me, "--program", "/bin/true"];
        instance.run(&[&always[..], words].concat())
    };
    let all = |using: &str| install(&["--using", using, "--all", "--appdata", &home]).ok().out;
    let systemd = all("systemd");
    for line in [
        "ExecStart=/bin/true sync --all".to_owned(),
        format!("ReadWritePaths={home}"),
        format!("ReadWritePaths=-{log}"),
        format!("ReadWritePaths=-{away}"),
        format!("install -d -m 700 {log}"),
    ] {
        let is_there = systemd.lines().any(|known| known == line);
        assert!(is_there || (me != "root" && line.starts_with("Read")), "no {line} in {systemd}");
    }
    assert!(
        !systemd.contains(&format!("install -d -m 700 {away}")),
        "instances are not made for a slip of the pen"
    );
    assert!(all("cron").contains("/bin/true sync --all >>"), "{}", all("cron"));
    assert!(
        all("cron").contains(&format!(" BWDC_STARTED_BY=cron BWDC_LOG_FILE={log}/bwdc.log ")),
        "{}",
        all("cron")
    );
    let own =
        install(&["--using", "cron", "--appdata", "/srv/one", "--log-file", "/var/log/b/x.log"]).ok().out;
    assert!(
        own.contains("BWDC_LOG_FILE=/var/log/b/x.log ") && own.contains(">>/var/log/b/x.log 2>&1"),
        "{own}"
    );
    for (folder, using) in [("/srv/a ", "systemd"), ("/srv/a\\", "systemd")] {
        install(&["--using", using, "--appdata", folder]).fails(1, &["ends in a space or a backslash"]);
    }
    install(&["--using", "cron", "--appdata", "/srv/one", "--mail-to", "ops\n* * * * * evil"])
        .fails(1, &["line break"]);
    let launchd = all("launchd");
    assert!(launchd.contains("<string>sync</string>\n\t\t<string>--all</string>"), "{launchd}");
    assert!(all("task-scheduler").contains("sync --all &gt;\""), "{}", all("task-scheduler"));
    assert!(all("kubernetes").contains("args: [sync, --all]"), "{}", all("kubernetes"));
    let files = written(&instance, &["--using", "systemd", "--at", "02:30", "--all", "--appdata", &home]);
    let user = if me == "root" { "--system" } else { "--user" };
    assert_eq!(accepted("systemd-analyze", &["verify", "--man=no", user, files[0].to_str().unwrap()]), "");

    let named = ["--config", &format!("{home}/bwdc.toml"), "--using", "cron"];
    let hq = format!("{home}/hq");
    let elsewhere = install(&[&named[..], &["--all", "--appdata", &away]].concat()).ok().out;
    assert!(elsewhere.contains(&format!("BWDC_CONFIG={home}/bwdc.toml ")), "{elsewhere}");
    install(&["--using", "cron", "--all", "--appdata", &home, "--appdata", &away])
        .fails(1, &["several folders"]);
    // A home that the job needs is not hidden from it; a credential's path is used as given.
    let in_home =
        ["--env", "BWDC_CA_FILE=/home/adm/ca.pem", "--credential", "login.clientSecret=/etc/my keys/5%"];
    let units = install(&[&["--using", "systemd", "--appdata", &away], &in_home[..]].concat()).ok().out;
    assert!(units.contains("\nLoadCredential=login.clientSecret:/etc/my keys/5%%\n"), "{units}");
    assert!(me != "root" || units.contains("\nProtectHome=read-only\n"), "{units}");
    let there = ["--config", "a/bwdc.toml", "--using", "kubernetes", "--all"];
    install(&there).fails(1, &["is not an absolute path", "/var/lib/bwdc/bwdc.toml"]);
    // The file may contain the schedule.
    let by_file = |more: &str| {
        fs::write(format!("{home}/bwdc.toml"), format!("{more}\n{toml}")).unwrap();
        let words = [
            "schedule",
            "install",
            "--dry-run",
            "--using",
            "cron",
            "--all",
            "--user",
            &me,
            "--appdata",
            &home,
        ];
        instance.run(&words)
    };
    assert!(by_file("schedule.at = \"03:15\"").ok().out.contains("\n15 3 * * * "));
    by_file("").fails(1, &["has no single schedule for all instances", "--every 15m"]);
    let other = "schedule.at = \"03:15\"\n[instance.rome]\nfolder = \"rome\"\nschedule.every = \"1h\"";
    by_file(other).fails(1, &["has no single schedule for all instances"]);
    // A job that would fail every night is refused now.
    install(&["--using", "cron", "--appdata", &home]).fails(1, &["no data.json", "has instances", "--all"]);
    install(&[&named[..], &["--appdata", &hq]].concat()).fails(1, &["is merged into acme", "--all"]);
    install(&["--using", "cron", "--all", "--appdata", &away])
        .fails(1, &["There is no bwdc.toml", "--config"]);
}

/// Every expression accepted here is accepted by cron.
#[test]
fn cron_accepts_what_we_accept() {
    let instance = Instance::empty();
    let fields = ["*", "*/2", "1", "1-5", "1-5/2", "1,3", "*,2", "1-2,*/3", "007", "1-1", "*/99"];
    let shifted = fields.iter().cycle();
    let all: Vec<String> = EXPRESSIONS
        .iter()
        .map(|text| (*text).to_owned())
        .chain(
            (0..55)
                .map(|n| shifted.clone().skip(n).step_by(3).take(5).copied().collect::<Vec<_>>().join(" ")),
        )
        .collect();
    let mut lines = String::new();
    for expression in &all {
        answer(&instance, &["explain", expression]);
        lines.push_str(&format!("{expression} /bin/true\n"));
    }
    let file = instance.folder.path().join("crontab");
    fs::write(&file, lines).unwrap();
    accepted("crontab", &["-n", file.to_str().unwrap()]);
}

#[test]
fn units_are_sound() {
    let instance = Instance::empty();
    let folder = instance.folder.path().join("an instance with 100%");
    fs::create_dir_all(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let options = ["--using", "systemd", "--appdata", folder, "--env", "BWDC_CA_FILE=/etc/a \"b\" 5%.pem"];
    let credential = ["--credential", "login.clientSecret=/etc/bwdc/key"];
    for when in EXPRESSIONS
        .iter()
        .flat_map(|expression| [["--cron", expression]])
        .chain([["--every", "7m"], ["--cron", "@reboot"]])
    {
        let files = written(&instance, &[&options[..], &credential, &when].concat());
        let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(files.len(), 2);
        let mut arguments = vec!["verify", "--man=no"];
        if me() != "root" {
            arguments.push("--user");
        }
        arguments.extend(&files);
        assert_eq!(accepted("systemd-analyze", &arguments), "", "{when:?}");
        let timer = fs::read_to_string(files[1]).unwrap();
        for event in timer.lines().filter_map(|line| line.strip_prefix("OnCalendar=")) {
            accepted("systemd-analyze", &["calendar", event]);
        }
    }
}

#[test]
fn the_service_is_hardened() {
    let instance = Instance::empty();
    // As for a separate user: whether it exists does not matter here.
    let files = written(&instance, &["--using", "systemd", "--at", "02:30"]);
    let service = fs::read_to_string(&files[0]).unwrap();
    if me() == "root" {
        let service = service.replace("User=root", "User=bwdc");
        fs::write(&files[0], &service).unwrap();
        let file = files[0].to_str().unwrap();
        let told = accepted(
            "systemd-analyze",
            &["security", "--offline=true", "--threshold=20", "--no-pager", file],
        );
        let overall = told.lines().find(|line| line.contains("Overall exposure level")).unwrap();
        let level: f64 = overall.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(level <= 2.0, "{overall}");
    }
    for line in ["NoNewPrivileges=yes", "SystemCallFilter=@system-service", "UMask=0077"] {
        assert!(service.contains(line), "{service}");
    }
}

#[test]
fn property_lists_are_valid() {
    let instance = Instance::empty();
    let options = ["--using", "launchd", "--appdata", "/Users/Shared/a & b--c", "--env", "BWDC_CA_FILE=<x>"];
    for when in EXPRESSIONS
        .iter()
        .map(|expression| ["--cron", expression])
        .chain([["--every", "7m"], ["--cron", "@reboot"]])
    {
        let list = instance_plist(&instance, &[&options[..], &when].concat());
        let json = read(&list);
        assert_eq!(
            json["EnvironmentVariables"]["BITWARDENCLI_CONNECTOR_APPDATA_DIR"],
            "/Users/Shared/a & b--c"
        );
        assert_eq!(json["EnvironmentVariables"]["BWDC_CA_FILE"], "<x>");
        assert_eq!(json["ProgramArguments"][1], "sync");
        let triggers = ["StartCalendarInterval", "StartInterval", "RunAtLoad"];
        assert_eq!(triggers.iter().filter(|key| !json[**key].is_null()).count(), 1, "{json}");
    }
    let list = instance_plist(&instance, &[&options[..], &["--weekly", "mon,thu@20:00"]].concat());
    let json = read(&list);
    assert_eq!(
        json["StartCalendarInterval"],
        serde_json::json!([
            { "Minute": 0, "Hour": 20, "Weekday": 1 }, { "Minute": 0, "Hour": 20, "Weekday": 4 }
        ])
    );
}

/// The daemon as a job of launchd: started with the machine, and again when it fails.
#[test]
fn the_service_of_launchd() {
    let instance = Instance::empty();
    let me = me();
    let words = [
        "--config",
        "/Users/Shared/b--c/bwdc.toml",
        "--response",
        "service",
        "install",
        "--using",
        "launchd",
        "--user",
        &me,
        "--program",
        "/bin/true",
        "--dry-run",
        "--appdata",
        "/Users/Shared/a & b--c",
        "--",
        "--web",
        "127.0.0.1:8444",
    ];
    instance.run(&words).fails_with_response("/Users/Shared/b--c/bwdc.toml");
    let steps: Value = serde_json::from_str(&instance.run(&[&words[2..]].concat()).ok().out).unwrap();
    let steps = steps["data"].as_array().unwrap();
    let file = steps.iter().find(|step| step["write"].is_string()).unwrap();
    assert!(file["write"].as_str().unwrap().ends_with("/bwdc.daemon.plist"), "{file}");
    let path = instance.folder.path().join("bwdc.daemon.plist");
    fs::write(&path, file["text"].as_str().unwrap()).unwrap();
    let json = read(&path);
    assert_eq!(json["Label"], "bwdc.daemon");
    assert_eq!(
        json["ProgramArguments"],
        serde_json::json!(["/bin/true", "daemon", "--web", "127.0.0.1:8444"])
    );
    assert_eq!((&json["RunAtLoad"], &json["KeepAlive"]["SuccessfulExit"]), (&true.into(), &false.into()));
    assert_eq!(json["EnvironmentVariables"]["BITWARDENCLI_CONNECTOR_APPDATA_DIR"], "/Users/Shared/a & b--c");
    assert_eq!(json["EnvironmentVariables"]["BWDC_STARTED_BY"], Value::Null, "the daemon starts the runs");
    assert_eq!(json["StandardErrorPath"], "/Users/Shared/a & b--c/bwdc.log");
    assert!(steps.iter().any(|step| step["run"][1] == "bootstrap"), "{steps:?}");
}

/// Converted by plistutil, and read by Python.
fn read(list: &Path) -> Value {
    let binary = list.with_extension("bin");
    let (list, binary) = (list.to_str().unwrap(), binary.to_str().unwrap());
    accepted("plistutil", &["-i", list, "-o", binary, "-f", "bin"]);
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    serde_json::from_str(&accepted("python3", &["-c", script, binary])).unwrap()
}

fn instance_plist(instance: &Instance, words: &[&str]) -> PathBuf {
    let files = written(instance, words);
    assert_eq!(files.len(), 1);
    files[0].clone()
}

#[test]
fn tasks_are_valid_by_the_schema() {
    let instance = Instance::empty();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/task_scheduler.xsd");
    let file = instance.folder.path().join("task.xml");
    let options = ["install", "--using", "task-scheduler", "--appdata", "C:\\ProgramData\\a & b"];
    for when in EXPRESSIONS
        .iter()
        .map(|expression| ["--cron", expression])
        .chain([["--every", "7m"], ["--cron", "@reboot"]])
    {
        // Needs more triggers than a task can have.
        if when[1] == "*/7 */5 * * *" {
            continue;
        }
        let tasks = answer(&instance, &[&options[..], &when].concat());
        let xml = tasks[0]["xml"].as_str().unwrap();
        assert!(xml.contains("<MultipleInstancesPolicy>IgnoreNew<"), "{xml}");
        // As a file in UTF-16, which is what `schtasks` writes itself; and in UTF-8.
        let utf16: Vec<u8> =
            "\u{feff}".encode_utf16().chain(xml.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [utf16, xml.as_bytes().to_vec()] {
            fs::write(&file, bytes).unwrap();
            accepted("xmllint", &["--noout", "--schema", schema.to_str().unwrap(), file.to_str().unwrap()]);
        }
    }
    let tasks = answer(&instance, &[&options[..], &["--weekly", "mon@20:00", "--user", "bwdc"]].concat());
    let xml = tasks[0]["xml"].as_str().unwrap();
    for part in [
        "<Monday />",
        "T20:00:00</StartBoundary>",
        "<UserId>bwdc</UserId>",
        "<LogonType>Password</LogonType>",
    ] {
        assert!(xml.contains(part), "{xml}");
    }
    assert_eq!(
        tasks[0]["schtasks"],
        "schtasks /Create /TN \\bwdc\\bwdc-c-programdata-a-b /XML bwdc-c-programdata-a-b.xml /RU bwdc /RP * /F"
    );
}

/// Validated by the schemas of Kubernetes itself.
#[test]
fn manifests_are_valid() {
    let instance = Instance::empty();
    let tool = vendor_clients().join("python/bin/kubernetes-validate");
    let file = instance.folder.path().join("bwdc.yaml");
    let options = [
        "install",
        "--using",
        "kubernetes",
        "--image",
        "registry.example.org/bwdc:1",
        "--tz",
        "Europe/Berlin",
    ];
    for when in [["--every", "15m"], ["--cron", "30 4 1,15 * 5"], ["--weekly", "sun@20:00"]] {
        let manifests = answer(&instance, &[&options[..], &when].concat());
        let yaml = manifests["yaml"].as_str().unwrap();
        fs::write(&file, yaml).unwrap();
        accepted(tool.to_str().unwrap(), &["--strict", file.to_str().unwrap()]);
        assert!(yaml.contains("concurrencyPolicy: Forbid") && yaml.contains("kind: PersistentVolumeClaim"));
    }
    let stateless = [&options[..], &["--every", "15m", "--state", "none"]].concat();
    let manifests = answer(&instance, &stateless);
    let yaml = manifests["yaml"].as_str().unwrap();
    fs::write(&file, yaml).unwrap();
    accepted(tool.to_str().unwrap(), &["--strict", file.to_str().unwrap()]);
    assert!(yaml.contains("args: [sync, --state, none]") && yaml.contains("kind: ConfigMap"), "{yaml}");
    assert!(!yaml.contains("PersistentVolumeClaim"), "{yaml}");
    let refused = |more: &[&str]| {
        let words = ["schedule", "install", "--every", "15m", "--state", "none", "--dry-run", "--user"];
        instance.run(&[&words[..], &[me().as_str()], more].concat())
    };
    refused(&["--using", "cron"]).fails(1, &["a job without a volume, which cron does not make"]);
    refused(&["--using", "kubernetes", "--all"]).fails(1, &["cannot be used with"]);
}

#[test]
fn a_script_of_ones_own() {
    let good = Organization::start(Options::default());
    let instance = Instance::files("id,email\njane,jane@example.org\n", "id,name,members\n", &good);
    instance.change(|data| data["sync"]["groups"] = false.into());
    let bad = instance.folder.path().join("bad 'one'");
    fs::create_dir_all(&bad).unwrap();
    for folder in [&instance.data_folder(), &bad] {
        let file = folder.join("client-secret");
        fs::write(&file, format!("{}\n", good.sandbox.client_secret())).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let id = good.sandbox.client_id();
    let (one, two) = (bad.to_str().unwrap().to_owned(), instance.data_folder().display().to_string());
    let script = instance.run(&[
        "schedule",
        "script",
        "--shell",
        "sh",
        "--appdata",
        &one,
        "--appdata",
        &two,
        "--client-id",
        &id,
    ]);
    let path = instance.folder.path().join("sync.sh");
    fs::write(&path, script.ok().out).unwrap();
    let run = || {
        let output = Command::new("sh").arg(&path).env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        output.status.code().unwrap()
    };
    let log = |folder: &Path| fs::read_to_string(folder.join("bwdc.log")).unwrap();
    assert_eq!(run(), 1, "the first one is not set up");
    assert_eq!(good.emails(), ["jane@example.org"], "it went on with the second");
    assert!(log(&bad).contains("ended with 1"), "{}", log(&bad));
    assert!(log(&instance.data_folder()).contains("Syncing complete."));
    assert!(!log(&instance.data_folder()).contains(good.sandbox.client_secret()));
    fs::copy(instance.data_file(), bad.join("data.json")).unwrap();
    fs::create_dir(bad.join("company")).unwrap();
    fs::copy(instance.data_folder().join("company/users.csv"), bad.join("company/users.csv")).unwrap();
    assert_eq!(run(), 0, "{}", log(&bad));
    fs::set_permissions(bad.join("client-secret"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(run(), 1);
    assert!(log(&bad).contains("chmod 600"), "{}", log(&bad));
}
