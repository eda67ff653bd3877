//! The page in a browser, from nothing to a first sync and on: what is shown and pressed, by somebody with a script and without, with axe-core
//! looking for what keeps people out. Pictures of each page are in `target/page`.

mod driver;

use std::path::PathBuf;

use bwdc_sandbox::{Flavour, Options};
use serde_json::{Value, json};

use self::driver::Driver;
use crate::harness::{Instance, Organization};
use crate::web::client::Page;

const USERS: &str = include_str!("../../../sample/monday/users.csv");
const GROUPS: &str = include_str!("../../../sample/monday/groups.csv");

struct Session {
    driver: Driver,
    page: Page,
    axe: String,
}

impl Session {
    fn start(instance: &Instance) -> Self {
        let page = Page::start(instance);
        let driver = Driver::start();
        let axe = target().join("vendor-clients/node/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe)
            .expect("axe-core is not installed: run scripts/install-vendor-clients");
        let link = instance.run(&["web", "open"]).ok().out;
        driver.open(link.trim());
        Self { driver, page, axe }
    }

    fn go(&self, path: &str) {
        self.driver.open(&format!("http://127.0.0.1:{}{path}", self.page.port));
    }

    /// Looks at what is open: for everybody, light and dark, narrow and wide.
    #[track_caller]
    fn look(&self, name: &str) {
        for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 320), ("dark", 320)] {
            self.driver.look(width, 900, scheme);
            let wider = self.driver.script(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
                json!([]),
            );
            assert_eq!(wider, 0, "{name} is wider than {width}");
            self.serious(name, scheme);
            self.driver.picture(&target().join(format!("page/{name}-{scheme}-{width}.png")));
        }
        self.driver.look(1280, 900, "light");
        let complaints = self.driver.complaints();
        assert!(complaints.is_empty(), "{name}: {complaints:?}");
    }

    #[track_caller]
    fn serious(&self, name: &str, scheme: &str) {
        self.driver.script(&self.axe, json!([]));
        let script = "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations.map((one) => [one.impact, one.id, one.help, one.nodes.slice(0, 3).map((node) => node.html)])), (error) => done([['critical', String(error)]]))";
        let found = self.driver.awaited(script, json!([]));
        let found: Vec<Value> = found.as_array().cloned().unwrap_or_default();
        assert!(found.is_empty(), "{name}, {scheme}: {found:#?}");
    }
}

fn target() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_bwdc"));
    program.parent().and_then(|folder| folder.parent()).unwrap().to_owned()
}

#[test]
fn from_nothing_to_a_schedule() {
    let organization = Organization::start(Options { flavour: Flavour::Official, ..Options::default() });
    let mut instance = Instance::empty();
    let log = instance.folder.path().join("bwdc.log").display().to_string();
    instance.set_env("BWDC_LOG_FILE", &log);
    instance.company(USERS, GROUPS);
    let company = instance.data_folder().join("company").display().to_string();
    let session = Session::start(&instance);
    let driver = &session.driver;

    driver.waits_for("Overview");
    driver.press("data");
    driver.waits_for("Nothing is set up here yet.");
    driver.press("Set it up");
    driver.choose("directory", "file");
    driver.press("Choose");
    driver.waits_for("Client id");
    driver.fill("f-file.path", &company);
    driver.fill("f-server", "ftp://wrong");
    driver.waits_for("cannot be");
    driver.fill("f-server", &organization.sandbox.url());
    driver.fill("f-login.clientId", &organization.sandbox.client_id());
    driver.fill("f-login.clientSecret", organization.sandbox.client_secret());
    session.look("setup");
    driver.press("Try the connection");
    driver.waits_for("The directory and the login work.");
    session.look("tried");
    driver.press("Back, to save");
    driver.press("Try and save");
    driver.waits_for("bwdc is set up.");
    session.look("set-up");
    driver.press("Make a plan");
    driver.waits_for("People invited");
    session.look("plan");
    driver.press("Carry out this plan");
    driver.waits_for("Plan applied.");
    session.look("applied");
    assert!(organization.emails().len() > 30);

    // Somebody leaves, by mistake: held back, approved, synced, undone.
    session.go("/i/data/settings");
    driver.waits_for("sync.removeMissing");
    session.look("settings");
    driver.choose("f-sync.removeMissing", "true");
    driver.fill("f-sync.limitRemovals", "0");
    driver.press("Look at the changes");
    driver.waits_for("Changed settings");
    session.look("changed-settings");
    driver.press("Save");
    driver.waits_for("Saved.");
    let (mut lines, people): (Vec<&str>, usize) = (USERS.lines().collect(), organization.emails().len());
    let email = organization.emails().pop().unwrap();
    let gone = lines.remove(lines.iter().position(|line| line.contains(&email)).unwrap()).to_owned();
    instance.company(&format!("{}\n", lines.join("\n")), GROUPS);
    session.go("/i/data/plan");
    driver.press("Make another plan");
    driver.waits_for("Held back: people");
    session.look("held");
    driver.press("Approve what is held back");
    driver.waits_for("Approved.");
    session.look("approved");
    driver.press("Sync now");
    driver.waits_for("Syncing complete.");
    assert_eq!(organization.emails().len(), people - 1, "{gone}");
    driver.press("History");
    driver.waits_for("removed");
    session.look("history");
    driver.script("document.querySelector('tbody a').click()", json!([]));
    driver.waits_for("People re");
    session.look("run");
    driver.press("Undo: show what would be done");
    driver.waits_for("Undo the run");
    session.look("undo");
    driver.press("Undo the run");
    driver.waits_for("Undone.");
    assert_eq!(organization.emails().len(), people);

    session.go("/i/data/people");
    session.look("people");
    driver.press("List everybody");
    driver.waits_for("List everybody anew");
    driver.waits_for("As of the last run.");
    session.look("everybody");
    driver.script("document.querySelector('tbody a').click()", json!([]));
    driver.waits_for("the next sync changes nothing");
    session.go("/i/data/people");
    driver.fill("who", &email);
    driver.press("Explain");
    driver.waits_for("Next sync");
    session.look("explained");

    session.go("/i/data/schedule");
    driver.fill("expression", "0 12 * * 1");
    driver.waits_for("Monday");
    driver.press("Explain");
    driver.waits_for("bwdc schedule install --cron '0 12 * * 1'");
    session.look("schedule");
    session.go("/i/data/log");
    driver.waits_for("the page: asked to undo the run");
    session.look("log");
    session.go("/i/data");
    driver.press("Check everything");
    driver.waits_for("It works.");
    session.look("check");
    session.go("/i/data");
    session.look("instance");
    session.go("/");
    driver.waits_for("data");
    session.look("overview");
    // By the keyboard: the first stop leads past the navigation.
    session.go("/");
    driver.key("\u{e004}");
    assert_eq!(driver.script("return document.activeElement.className", json!([])), "skip");
    driver.press("Log out");
    driver.waits_for("bwdc web open");
    session.look("log-in");
}
