//! The page in the browser, by HTTP: who gets in, who may do what, and what each page shows and does.

pub mod client;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bwdc_sandbox::{Flavour, Options};

use self::client::{Page, path_of};
use crate::harness::{Instance, Organization, Ran, is_root};
use crate::machine::Machine;
use crate::owner::{NOBODY, command_of_user};

const USERS: &str = "id,email,name\n1,anna@x.org,Anna\n2,ben@x.org,Ben\n3,cleo@x.org,Cleo\n";
const GROUPS: &str = "id,name,members\ng1,All,1;2;3\n";

/// A planted secret that stands in no answer.
const PLANTED: &str = "pl4nted-s3cret-of-nobody";

fn scene() -> (Organization, Instance) {
    let organization = Organization::start(Options { flavour: Flavour::Official, ..Options::default() });
    let instance = Instance::files(USERS, GROUPS, &organization);
    (organization, instance)
}

#[test]
fn nobody_gets_in_without_a_log_in() {
    let (_organization, instance) = scene();
    let page = Page::start(&instance);
    let mut stranger = page.browser();
    for path in [
        "/",
        "/i/data",
        "/i/data/plan",
        "/i/data/history",
        "/i/data/history/x",
        "/i/data/people",
        "/i/data/explain?who=anna",
        "/i/data/log",
        "/tasks/x",
    ] {
        let answer = stranger.get(path);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{path}");
    }
    for path in [
        "/i/data/plan",
        "/i/data/apply",
        "/i/data/approve",
        "/i/data/sync",
        "/i/data/check",
        "/i/data/undo",
        "/i/data/undo/now",
        "/logout",
    ] {
        let answer = stranger.post(path, &[]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login")), "{path}");
    }
    assert_eq!(stranger.get("/login").has(&["bwdc web open"]).status, 200);
    stranger.cookie = Some(format!("bwdc-{}={}", page.port, "0".repeat(64)));
    assert_eq!(stranger.get("/").header("location"), Some("/login"));
    let history = instance.data_folder().join("history");
    assert!(!history.exists());
}

#[test]
fn a_link_works_once_and_only_for_whoever_opens_it() {
    let (_organization, instance) = scene();
    let page = Page::start(&instance);
    let link = instance.run(&["web", "open"]).ok().out;
    let path = path_of(link.trim()).to_owned();
    let mut preview = page.browser();
    let opened = ("Sec-Fetch-Site", "none");
    for headers in [vec![("Sec-Purpose", "prefetch"), opened], vec![("Sec-Fetch-Site", "cross-site")], vec![]]
    {
        let answer = preview.send("GET", &path, &headers, "");
        assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
        answer.has(&["Log in", "The link works once."]);
    }
    assert_eq!(preview.send("HEAD", &path, &[], "").header("set-cookie"), None);
    let mut browser = page.browser();
    let answer = browser.send("GET", &path, &[opened], "");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    assert_eq!(browser.get("/").has(&["Overview", "data", "never"]).status, 200);
    let again = page.browser().get(&path);
    assert_eq!((again.status, again.header("set-cookie")), (403, None));
    again.has(&["was used already", "bwdc web open"]);
    assert_eq!(browser.submit("/", "/logout", &[]).header("location"), Some("/login"));
    assert_eq!(browser.get("/").header("location"), Some("/login"));
    let folder = instance.data_folder().join("web");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("links"))), (0o700, 0o700));
    assert_eq!(mode(&folder.join("served.json")), 0o600);
    drop(page);
    instance.run(&["web", "open"]).fails(1, &["No page is served", "bwdc web"]);
}

#[test]
fn other_names_other_pages_and_forms_of_nobody_are_refused() {
    let (organization, instance) = scene();
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "change");
    for host in ["evil.example", "evil.example:80", "localhost.evil.example", "192.0.2.1", "", "a@localhost"]
    {
        let answer = browser.send("GET", "/", &[("Host", host)], "");
        assert!(answer.status == 421, "{host}: {}", answer.status);
    }
    assert_eq!(browser.send("GET", "/", &[("Host", "localhost:9000")], "").status, 200);
    let body = browser.get("/i/data").body;
    let token = |action: &str| {
        let form = body.split("<form ").find(|form| form.contains(&format!("action=\"{action}\""))).unwrap();
        form.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let (sync, plan) = (token("/i/data/sync"), token("/i/data/plan"));
    let good = format!("csrf={sync}");
    for headers in [
        vec![("Origin", "https://evil.example")],
        vec![("Origin", "null")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
        vec![("Host", "evil.example")],
    ] {
        let answer = browser.send("POST", "/i/data/sync", &headers, &good);
        assert!([403, 421].contains(&answer.status), "{headers:?}: {}", answer.status);
    }
    for body in [String::new(), "csrf=".to_owned(), "csrf=x".to_owned(), format!("csrf={plan}")] {
        let answer = browser.send("POST", "/i/data/sync", &[], &body);
        assert_eq!(answer.status, 403, "{body}");
    }
    let other = page.logged_in(&instance, "change").cookie;
    let mine = std::mem::replace(&mut browser.cookie, other);
    assert_eq!(browser.send("POST", "/i/data/sync", &[], &good).status, 403);
    assert_eq!(organization.imports(), 0);
    browser.cookie = mine;
    let answer = browser.send("POST", "/i/data/sync", &[], &good);
    browser.done(answer).has(&["Syncing complete."]);
    assert_eq!(organization.imports(), 1);
}

#[test]
fn guesses_are_refused_and_lock_nobody_out() {
    let (_organization, instance) = scene();
    let hash = password(&instance, "correct horse battery");
    instance.toml(&format!("[web.user.anna]\nhash = \"{hash}\"\nrole = \"approve\"\n"));
    let page = Page::start(&instance);
    let mut guesser = page.browser();
    let mut statuses = Vec::new();
    for number in 0..5_000 {
        let guess = format!("guess number {number}");
        statuses.push(guesser.submit("/login", "/login", &[("name", "anna"), ("password", &guess)]).status);
    }
    assert!(statuses.iter().filter(|status| **status == 401).count() <= 10, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    let right =
        guesser.submit("/login", "/login", &[("name", "anna"), ("password", "correct horse battery")]);
    assert_eq!((right.status, right.header("retry-after").is_some()), (429, true));
    for number in 0..5_000 {
        let answer = guesser.get(&format!("/open?token={number:064}"));
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None));
    }
    // Whoever has the machine gets in.
    assert_eq!(page.logged_in(&instance, "change").get("/").status, 200);
}

/// What stands in an address is never an option of a command.
#[test]
fn no_address_gives_a_command_an_option() {
    let (_organization, instance) = scene();
    instance.run(&["sync"]).ok();
    let folder = instance.data_folder();
    let planted = folder.join("planted");
    std::fs::create_dir(&planted).unwrap();
    let log = planted.join("written");
    std::fs::write(
        planted.join("evil.toml"),
        format!("[instance.data]\nfolder = \"{}\"\n[log]\nfile = \"{}\"\n", planted.display(), log.display()),
    )
    .unwrap();
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "look");
    let config = format!("--config={}", planted.join("evil.toml").display()).replace('/', "%2F");
    for run in [config.as_str(), "--help", "-n", "x"] {
        assert_eq!(browser.get(&format!("/i/data/history/{run}")).status, 404, "{run}");
    }
    browser.get(&format!("/i/data/explain?who={config}"));
    assert!(!log.exists());
    browser.get("/i/data/history?page=18446744073709551615").has(&["History"]);
    let neighbour = browser.send("GET", "/i/data/explain?who=anna", &[("Sec-Fetch-Site", "same-site")], "");
    assert_eq!(neighbour.status, 403);
}

/// Whoever looks at something holds up nobody else, and takes no plan away.
#[test]
fn many_questions_of_one_session_hold_up_no_sync() {
    let (organization, instance) = scene();
    let page = Page::start(&instance);
    let mut approver = page.logged_in(&instance, "approve");
    let plan = approver.submit("/i/data", "/i/data/plan", &[]);
    approver.done(plan).has(&["People invited"]);
    let mut curious = page.logged_in(&instance, "look");
    let asked: Vec<u16> =
        (0..100).map(|number| curious.get(&format!("/i/data/explain?who=nobody{number}")).status).collect();
    assert!(asked.contains(&429) && asked[0] == 303, "{asked:?}");
    let carried = approver.submit("/i/data/plan", "/i/data/apply", &[]);
    approver.done(carried);
    assert_eq!(organization.emails().len(), 3);
}

/// Who was taken out of bwdc.toml is out, and a role that was changed counts at once.
#[test]
fn users_are_those_of_the_configuration_as_it_is_now() {
    let (_organization, instance) = scene();
    let hash = password(&instance, "correct horse battery");
    let user = |role: &str| format!("[web.user.anna]\nhash = \"{hash}\"\nrole = \"{role}\"\n");
    instance.toml(&user("change"));
    let page = Page::start(&instance);
    let mut browser = page.browser();
    let form = [("name", "anna"), ("password", "correct horse battery")];
    assert_eq!(browser.submit("/login", "/login", &form).header("location"), Some("/"));
    browser.get("/").has(&["(change)"]);
    instance.toml(&user("look"));
    browser.get("/").has(&["(look)"]);
    instance.toml(&user("look").replace("anna", "ben"));
    assert_eq!(browser.get("/").header("location"), Some("/login"));
    assert_eq!(browser.submit("/login", "/login", &form).status, 401);
}

/// A second page would take the reports of the first away.
#[test]
fn a_folder_has_one_page() {
    let (_organization, instance) = scene();
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "change");
    let plan = browser.submit("/i/data", "/i/data/plan", &[]);
    browser.done(plan).has(&["People invited"]);
    let second = instance.run(&["web", "--listen", "127.0.0.1:0"]);
    second.fails(1, &["A page is served for this folder already at http://127.0.0.1:"]);
    browser.get("/i/data/plan").has(&["People invited"]);
    instance.run(&["web", "open"]).ok();
}

#[test]
fn a_password_gives_its_role() {
    let (_organization, instance) = scene();
    let hash = password(&instance, "correct horse battery");
    instance.toml(&format!(
        "[web.user.anna]\nhash = \"{hash}\"\nrole = \"approve\"\n\n[web.user.ben]\nhash = \"{hash}\"\n"
    ));
    let page = Page::start(&instance);
    for (name, role) in [("anna", "(approve)"), ("ben", "(look)")] {
        let mut browser = page.browser();
        assert_eq!(browser.submit("/login", "/login", &[("name", name), ("password", "wrong")]).status, 401);
        assert_eq!(
            browser
                .submit("/login", "/login", &[("name", "nobody"), ("password", "correct horse battery")])
                .status,
            401
        );
        let form = [("name", name), ("password", "correct horse battery")];
        assert_eq!(browser.submit("/login", "/login", &form).header("location"), Some("/"));
        browser.get("/").has(&[name, role]);
    }
}

fn password(instance: &Instance, text: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = instance.command(&["web", "password"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{text}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn each_role_may_do_what_it_is_for() {
    let (organization, instance) = scene();
    instance.run(&["sync"]).ok();
    let imports = organization.imports();
    let page = Page::start(&instance);
    let mut looker = page.logged_in(&instance, "look");
    let approver = page.logged_in(&instance, "approve").get("/i/data").body;
    assert!(approver.contains("action=\"/i/data/sync\""));
    let body = looker.get("/i/data").body;
    assert!(!body.contains("action=\"/i/data/sync\"") && body.contains("action=\"/i/data/plan\""));
    let plan = looker.submit("/i/data/plan", "/i/data/plan", &[]);
    looker.done(plan).has(&["Nothing to do."]);
    for action in ["sync", "apply", "approve", "undo", "undo/now"] {
        let path = format!("/i/data/{action}");
        let answer = looker.post(&path, &[]);
        assert_eq!(answer.status, 403, "{path}");
        answer.has(&["needs the role approve"]);
    }
    assert_eq!(organization.imports(), imports);
}

#[test]
fn a_plan_is_carried_out_and_undone_and_no_secret_is_shown() {
    let (organization, mut instance) = scene();
    instance.set_env("BWDC_LDAP_PASSWORD", PLANTED);
    instance.change(|data| {
        data["directoryLdap"]["password"] = PLANTED.into();
        data["sync"]["removeMissing"] = true.into();
    });
    let log = instance.folder.path().join("bwdc.log").display().to_string();
    instance.set_env("BWDC_LOG_FILE", &log);
    let secret = organization.sandbox.client_secret().to_owned();
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "change");
    let answer = browser.submit("/i/data", "/i/data/plan", &[]);
    browser.done(answer).has(&["People invited", "anna@x.org", "Groups created", "Carry out this plan"]);
    browser.get("/i/data/plan?q=CLEO").has(&["cleo@x.org"]);
    assert!(!browser.get("/i/data/plan?q=CLEO").body.contains("<td>anna@x.org"));
    browser.get("/i/data/plan?section=0&page=0").has(&["ben@x.org"]);
    browser.get("/i/data/plan?section=99&page=99999999999&q=%ff").has(&["Nobody and nothing matches"]);
    let answer = browser.submit("/i/data/plan", "/i/data/apply", &[]);
    browser.done(answer).has(&["Plan applied."]);
    assert_eq!(organization.emails().len(), 3);
    let again = browser.submit("/i/data/plan", "/i/data/apply", &[]);
    browser.done(again).has(&["The plan is not carried out"]);
    let history = browser.get("/i/data/history").has(&["3 invited", "web"]).body;
    let run = history.split("/i/data/history/").nth(2).unwrap().split('"').next().unwrap().to_owned();
    browser.get(&format!("/i/data/history/{run}")).has(&["People invited", "ben@x.org"]);
    let preview = browser.submit(&format!("/i/data/history/{run}"), "/i/data/undo", &[]);
    let preview_path = preview.header("location").unwrap().to_owned();
    browser.done(preview).has(&["Undo the run", "anna@x.org"]);
    assert_eq!(organization.emails().len(), 3);
    let undone = browser.submit(&preview_path, "/i/data/undo/now", &[("removals", "3")]);
    browser.done(undone).has(&["Undone."]);
    assert_eq!(organization.emails(), Vec::<String>::new());
    let explained = browser.get("/i/data/explain?who=anna%40x.org");
    browser.done(explained).has(&["Steps in", "anna@x.org"]);
    let nobody = browser.get("/i/data/explain?who=--all");
    browser.done(nobody).has(&["--all was not found."]);
    let check = browser.submit("/i/data", "/i/data/check", &[]);
    browser.done(check).has(&["Checks", "accepts the API key"]);
    browser.get("/i/data/log").has(&["the page: asked to carry out a plan", "user=link", "role=change"]);
    for wrong in [
        "/i/nobody",
        "/i/nobody/plan",
        "/tasks/..",
        "/static/x/..%2fpage.css",
        "/i/data/history/%2e%2e",
        "/nowhere",
    ] {
        let answer = browser.get(wrong);
        assert!(answer.status == 404 || answer.body.contains("has no run"), "{wrong} {}", answer.status);
    }
    for answer in &browser.log {
        assert!(!answer.contains(PLANTED) && !answer.contains(&secret), "{answer}");
        let has = |header: &str| answer.to_lowercase().contains(header);
        assert!(
            has("content-security-policy: default-src 'none'") && has("x-frame-options: deny"),
            "{answer}"
        );
        assert!(
            has("referrer-policy: same-origin") && (has("cache-control: no-store") || has("immutable")),
            "{answer}"
        );
        assert!(
            !answer.contains(" style=\"") && !answer.contains("<script>") && !answer.contains(" onclick"),
            "{answer}"
        );
    }
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(!said.contains(PLANTED) && said.contains("logged in with a link"), "{said}");
}

#[test]
fn what_is_held_back_is_approved_as_it_was_seen() {
    let (organization, instance) = scene();
    instance.change(|data| {
        data["sync"]["removeMissing"] = true.into();
        data["sync"]["limitRemovals"] = "0".into();
    });
    instance.run(&["sync"]).ok();
    let (two, one) =
        ("id,email,name\n1,anna@x.org,Anna\n2,ben@x.org,Ben\n", "id,email,name\n1,anna@x.org,Anna\n");
    instance.company(two, GROUPS);
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "approve");
    let plan = browser.submit("/i/data", "/i/data/plan", &[]);
    browser.done(plan).has(&["Held back: people", "cleo@x.org", "Approve what is held back"]);
    instance.company(one, GROUPS);
    let more = browser.submit("/i/data/plan", "/i/data/approve", &[]);
    browser.done(more).has(&["More is held back than in the plan", "ben@x.org"]);
    instance.company(two, GROUPS);
    let approved = browser.submit("/i/data/plan", "/i/data/approve", &[]);
    let approved_path = approved.header("location").unwrap().to_owned();
    browser.done(approved).has(&["Approved.", "Sync now"]);
    let synced = browser.submit(&approved_path, "/i/data/sync", &[]);
    browser.done(synced).has(&["Syncing complete."]);
    assert_eq!(organization.emails(), ["anna@x.org", "ben@x.org"]);
}

/// Memory of the process beside its workers, in KiB.
const MOST_MEMORY: u64 = 64 * 1024;

#[test]
fn many_instances_and_many_people_need_little_memory() {
    let (_organization, instance) = scene();
    let mut toml = String::from("[instance.data]\nfolder = \".\"\n");
    for number in 0..500 {
        let folder = instance.data_folder().join(format!("many/{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(instance.data_file(), folder.join("data.json")).unwrap();
        toml += &format!("[instance.n{number}]\nfolder = \"many/{number}\"\n");
    }
    instance.toml(&toml);
    let people: String = (0..20_000).map(|id| format!("{id},person{id}@x.org,Person {id}\n")).collect();
    let everybody: Vec<String> = (0..20_000).map(|id| id.to_string()).collect();
    instance.company(
        &format!("id,email,name\n{people}"),
        &format!("id,name,members\ng1,All,{}\n", everybody.join(";")),
    );
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "change");
    browser.get("/").has(&["<b>501</b> instances", "Page 1 of 6"]);
    browser.get("/?q=n49&page=0").has(&["/i/n499"]);
    let plan = browser.submit("/i/data", "/i/data/plan", &[]);
    browser.done(plan).has(&["People invited", "All 20000"]);
    browser.get("/i/data/plan?section=0&page=99").has(&["Page 100 of 100"]);
    browser.get("/i/data/plan?q=person19999").has(&["person19999@x.org"]);
    let peak = page.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} KiB");
}

#[test]
fn an_instance_is_set_up_from_nothing_and_changed() {
    let organization = Organization::start(Options { flavour: Flavour::Official, ..Options::default() });
    let instance = Instance::empty();
    instance.company(USERS, GROUPS);
    let company = instance.data_folder().join("company").display().to_string();
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "change");
    browser.get("/i/data").has(&["Nothing is set up here yet.", "/i/data/setup"]);
    browser.get("/i/data/setup").has(&["Type of the directory"]);
    let form = "/i/data/setup?directory=file";
    browser.get(form).has(&["file.path", "Client id"]);
    let url = organization.sandbox.url();
    let id = organization.sandbox.client_id();
    let mut fields = vec![
        ("set.file.path", company.as_str()),
        ("set.sync.users", "true"),
        ("set.sync.groups", "true"),
        ("set.server", url.as_str()),
        ("secret.login.clientId", id.as_str()),
        ("secret.login.clientSecret", PLANTED),
    ];
    fields.push(("do", "try"));
    let wrong = browser.submit(form, "/i/data/setup", &fields);
    browser.done(wrong).has(&["Nothing was saved.", "Back, to correct it"]);
    assert!(!instance.data_file().exists());
    browser.get("/i/data/setup").has(&["You have typed it before.", &company]);
    fields.retain(|(name, _)| *name != "secret.login.clientSecret" && *name != "do");
    let secret = organization.sandbox.client_secret().to_owned();
    let fault = [("set.file.path", company.as_str()), ("set.sync.users", "maybe"), ("do", "save")];
    browser.submit(form, "/i/data/setup", &fault).has(&["Some of the values are not possible.", "true"]);
    fields.extend([("secret.login.clientSecret", secret.as_str()), ("do", "try")]);
    let tried = browser.submit(form, "/i/data/setup", &fields);
    browser.done(tried).has(&["The directory and the login work.", "Back, to save"]);
    assert!(!instance.data_file().exists());
    fields.retain(|(name, _)| !name.starts_with("secret.") && *name != "do");
    fields.push(("do", "save"));
    let saved = browser.submit(form, "/i/data/setup", &fields);
    browser.done(saved).has(&["bwdc is set up.", "Make a plan"]);
    let synced = browser.submit("/i/data", "/i/data/sync", &[]);
    browser.done(synced).has(&["Syncing complete."]);
    assert_eq!(organization.emails().len(), 3);

    browser.get("/i/data/settings").has(&["sync.removeMissing", "secretFile.login.clientSecret"]);
    let wrong = browser.submit("/i/data/settings", "/i/data/settings", &[("set.sync.limitRemovals", "101%")]);
    wrong.has(&["sync.limitRemovals", "percentage up to 100%"]);
    browser.get("/i/data/settings/check?field=set.sync.grace&value=soon").has(&["units s, m, h, d and w"]);
    assert_eq!(browser.get("/i/data/settings/check?field=set.sync.grace&value=7d").body, "");
    let fields = [
        ("set.sync.limitRemovals", "5%"),
        ("set.sync.grace", "7d"),
        ("set.sync.users", "true"),
        ("set.sync.groups", "true"),
        ("set.file.path", company.as_str()),
        ("set.server", url.as_str()),
        ("set.directory", "file"),
    ];
    let review = browser.submit("/i/data/settings", "/i/data/settings", &fields);
    let changes = review.header("location").unwrap().to_owned();
    let before = instance.text();
    browser.get(&changes).has(&["sync.limitRemovals", "<ins>5%</ins>", "Try the connection"]);
    let tried = browser.submit(&changes, "/i/data/settings/try", &[]);
    browser.done(tried).has(&["The directory and the login work."]);
    assert_eq!(instance.text(), before);
    let saved = browser.submit(&changes, "/i/data/settings/save", &[]);
    assert!(saved.header("location").unwrap().contains("saved=yes"), "{}", saved.body);
    assert_eq!(instance.data()["sync"]["limitRemovals"], "5%");
    browser.get(&changes).has(&["Nothing was changed."]);

    browser.get("/i/data/schedule?expression=15m").has(&[
        "Every 15 minutes",
        "bwdc schedule install --every",
        "Next runs",
    ]);
    browser.get("/i/data/schedule?expression=soon").has(&["soon"]);
    browser.get("/i/data/schedule/explain?value=mon%4020:00").has(&["Monday"]);
    for answer in &browser.log {
        assert!(!answer.contains(PLANTED) && !answer.contains(&secret), "{answer}");
    }
}

#[test]
fn a_stored_secret_is_removed_and_only_settings_of_the_directory_are_shown() {
    let (_organization, instance) = scene();
    instance.run(&["config", "directory", "ldap"]).ok();
    instance.run(&["config", "ldap.password", PLANTED]).ok();
    let page = Page::start(&instance);
    let mut browser = page.logged_in(&instance, "change");
    browser.get("/i/data/settings").has(&[
        "clear.ldap.password",
        "Remove what is stored",
        "set.sync.userObjectClass",
    ]);
    let settings = "/i/data/settings";
    let typed = [("clear.ldap.password", "on"), ("secret.ldap.password", "another")];
    let review = browser.submit(settings, settings, &typed);
    let changes = review.header("location").unwrap().to_owned();
    browser.get(&changes).has(&["another secret"]);
    browser.submit(settings, settings, &[("clear.ldap.password", "on")]);
    browser.get(&changes).has(&["ldap.password", "removed"]);
    browser.get(settings).has(&["name=\"clear.ldap.password\" value=\"on\" checked"]);
    assert!(stored(&instance));
    let saved = browser.submit(&changes, "/i/data/settings/save", &[]);
    assert!(saved.header("location").unwrap().contains("saved=yes"), "{}", saved.body);
    assert!(!stored(&instance));
    assert!(!browser.get(settings).body.contains("clear.ldap.password"));
    instance.run(&["config", "directory", "file"]).ok();
    let shown = browser.get(settings);
    assert!(!shown.body.contains("sync.userObjectClass"), "{}", shown.body);
    shown.has(&["set.sync.userFilter", "set.file.path"]);
    for answer in &browser.log {
        assert!(!answer.contains(PLANTED), "{answer}");
    }
}

/// Whether the password for LDAP is set.
fn stored(instance: &Instance) -> bool {
    let list = instance.run(&["config", "list", "--response"]).ok().out;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let rows = list["data"]["data"].as_array().unwrap().clone();
    let row = rows.into_iter().find(|row| row["name"] == "ldap.password").unwrap();
    row["source"] != "not set"
}

/// Each folder of a merge has the history: what is shown does not hang on one of them.
#[test]
fn a_merge_shows_its_runs_although_a_folder_has_them_damaged() {
    let organization = Organization::start(Options::default());
    let mut machine = Machine::new();
    machine.add("hq", &organization, "h1,ann@example.org,\n", "hs,Staff,h1\n");
    machine.add("berlin", &organization, "b1,eva@example.org,\n", "bs,Staff,b1\n");
    machine.toml(
        "[instance.hq]\nfolder = \"hq\"\n[instance.berlin]\nfolder = \"berlin\"\n\
         [organization.acme]\nmerge = [\"hq\", \"berlin\"]\n",
    );
    machine.run(&["sync", "--all"]).ok();
    for file in std::fs::read_dir(machine.path("hq").join("history")).unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    let page = Page::of(machine.command(&["web", "--listen", "127.0.0.1:0"]));
    let mut browser = page.opened(&machine.run(&["web", "open", "--role", "look"]).ok().out);
    browser.get("/").has(&["/i/acme"]);
    browser.get("/i/acme").has(&["2 invited"]);
    browser.get("/i/acme/history").has(&["2 invited"]);
}

/// A certificate that was renewed is used for the next connection; one that cannot be used changes nothing.
#[test]
fn a_renewed_certificate_is_used_at_once() {
    let (_organization, instance) = scene();
    let folder = instance.data_folder();
    certificate(&folder, "first.example.org");
    let hash = password(&instance, "correct horse battery");
    instance.toml(&format!(
        "[web]\nhosts = [\"bwdc.example.org\"]\ncertificate = \"page.pem\"\nkey = \"page.key\"\n[web.user.anna]\nhash = \"{hash}\"\n"
    ));
    let page = Page::start_with(&instance, &["web", "--listen", "0.0.0.0:0"]);
    assert!(subject(page.port).contains("first.example.org"));
    certificate(&folder, "second.example.org");
    assert!(subject(page.port).contains("second.example.org"));
    std::fs::write(folder.join("page.pem"), "no certificate").unwrap();
    assert!(subject(page.port).contains("second.example.org"));
}

/// Makes `page.pem` and `page.key` for a name.
fn certificate(folder: &Path, name: &str) {
    use std::process::{Command, Stdio};
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .arg(format!("/CN={name}"))
        .arg("-keyout")
        .arg(folder.join("page.key"))
        .arg("-out")
        .arg(folder.join("page.pem"))
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is not installed: run scripts/install-test-tools").success());
}

/// The name in the certificate that a server shows.
fn subject(port: u16) -> String {
    use std::process::{Command, Stdio};
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect"]).arg(format!("127.0.0.1:{port}"));
    let output = client.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|line| line.starts_with("subject=")).unwrap_or(&text).to_owned()
}

#[test]
fn the_daemon_serves_the_same_page() {
    let (organization, instance) = scene();
    instance.change(|data| data["sync"]["interval"] = 5.into());
    let port = bwdc_testkit::free_port();
    let address = format!("127.0.0.1:{port}");
    let page = Page::of_daemon(&instance, &["daemon", "--spread", "0", "--web", &address], port);
    let mut browser = page.logged_in(&instance, "approve");
    for _ in 0..200 {
        if organization.imports() > 0 && browser.get("/").body.contains("mark good") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    browser.get("/").has(&["mark good", "in "]);
    browser.get("/i/data").has(&["Next run"]);
    let config = instance.run(&["daemon", "--web", "192.0.2.1:1"]);
    config.fails(1, &["other machines can reach it"]);
}

/// As under the package's unit: `bwdc.toml` is in /etc, where the user may not write.
#[test]
fn where_it_may_not_write_beside_bwdc_toml_it_keeps_its_own_in_an_instance() {
    if !is_root("give files to another user") {
        return;
    }
    let organization = Organization::start(Options::default());
    let machine = Machine::of_a_package(&["aachen", "berlin", "hq"], &organization);
    machine.toml_of_the_package(&["berlin", "hq"]);
    let command = |arguments: &[&str]| command_of_user(&machine.usual, NOBODY, arguments);
    let second = || Ran::from(command(&["web", "--listen", "127.0.0.1:0"]).output().unwrap());
    let is_opened = |page: &Page| {
        // Root goes on as the owner; the page of all is that of one as well.
        for arguments in [&["web", "open"] as &[&str], &["web", "open", "--instance", "hq"]] {
            let link = machine.run(arguments).ok().out;
            assert_eq!(page.opened(&link).get("/").has(&["berlin", "hq"]).status, 200);
        }
    };

    let page = Page::of(command(&["web", "--listen", "127.0.0.1:0"]));
    assert!(machine.path("berlin/web").exists() && !machine.path("etc/web").exists());
    is_opened(&page);
    second().fails(1, &["A page is served for this folder already at http://127.0.0.1:"]);
    // Another instance is the first one now.
    machine.toml_of_the_package(&["aachen", "berlin", "hq"]);
    is_opened(&page);
    second().fails(1, &["A page is served for this folder already at http://127.0.0.1:"]);
    drop(page);
    machine.toml_of_the_package(&["berlin", "hq"]);
    machine.run(&["web", "open"]).fails(1, &["No page is served for ", "/etc."]);

    // What the killed page has left would look like the daemon's.
    std::fs::remove_file(machine.path("berlin/web/served.json")).unwrap();
    let port = bwdc_testkit::free_port();
    let daemon = command(&["daemon", "--spread", "0", "--web", &format!("127.0.0.1:{port}")]);
    is_opened(&Page::of_daemon_at(daemon, &machine.path("berlin"), port));
}

#[test]
fn other_machines_need_tls_and_a_password_to_reach_it() {
    let (_organization, instance) = scene();
    let refused = instance.run(&["web", "--listen", "0.0.0.0:0"]);
    refused.fails(1, &["there is no TLS", "docs/web.md"]);
    instance.toml("[web]\ncertificate = \"a.pem\"\n");
    instance.run(&["web", "--listen", "127.0.0.1:0"]).fails(1, &["Only one of web.certificate and web.key"]);
    instance.toml("[web.user.anna]\nhash = \"secret\"\n");
    instance.run(&["web", "--listen", "127.0.0.1:0"]).fails(1, &["web.user.anna.hash", "bwdc web password"]);
}

#[test]
fn it_is_served_by_tls_and_on_a_socket_of_its_owner() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    let (_organization, instance) = scene();
    let folder = instance.data_folder();
    certificate(&folder, "bwdc.example.org");
    let hash = password(&instance, "correct horse battery");
    let web = "[web]\nhosts = [\"bwdc.example.org\"]\ncertificate = \"page.pem\"\nkey = \"page.key\"\n";
    instance.toml(&format!("{web}[web.user.anna]\nhash = \"{hash}\"\n"));
    let page = Page::start_with(&instance, &["web", "--listen", "0.0.0.0:0"]);
    let link = instance.run(&["web", "open"]).ok().out;
    assert!(link.starts_with(&format!("https://bwdc.example.org:{}/open?token=", page.port)), "{link}");
    let by_tls = |host: &str, path: &str| {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-connect"]).arg(format!("127.0.0.1:{}", page.port));
        let mut client =
            client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
        let _ = client.wait();
        answer
    };
    assert!(by_tls("evil.example", "/login").starts_with("HTTP/1.1 421"));
    let answer = by_tls("bwdc.example.org\r\nSec-Fetch-Site: none", path_of(link.trim()));
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("set-cookie: __Host-bwdc="), "{answer}");
    assert!(answer.contains("; Secure") && answer.contains("strict-transport-security"), "{answer}");
    drop(page);

    instance.toml("");
    let socket = folder.join("page.sock");
    let page = Page::start_with(&instance, &["web", "--listen", &socket.display().to_string()]);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let link = instance.run(&["web", "open"]).ok().out;
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let path = path_of(link.trim());
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("set-cookie: bwdc="), "{answer}");
    drop(page);
}
