//! A year in the life of a person, as `explain` foretells it, a sync does it and `history` remembers it: joins, moves, marries, is
//! disabled, comes back, leaves.

use bwdc_sandbox::{Options, Status};
use serde_json::Value;

use crate::harness::{Instance, Organization};

const OTHERS: &str = "e2,bob@x.org,\ne3,cid@x.org,\n";

struct Life {
    organization: Organization,
    instance: Instance,
}

impl Life {
    fn begin() -> Self {
        let organization = Organization::start(Options::default());
        let instance = Instance::files("id,email,status\n", "id,name,members\n", &organization);
        instance.run(&["config", "sync.removeDisabled", "true"]).ok();
        let life = Self { organization, instance };
        life.directory("", "staff,Staff,e2\ncrew,Crew,e3\n");
        life.sync();
        life
    }

    fn directory(&self, ann: &str, groups: &str) {
        let users = format!("id,email,status\n{ann}{OTHERS}");
        self.instance.company(&users, &format!("id,name,members\n{groups}"));
    }

    fn sync(&self) {
        self.instance.run(&["sync"]).ok();
    }

    /// The verdict's code, and all that is said.
    fn explained(&self, who: &str) -> (String, Value) {
        let told: Value =
            serde_json::from_str(&self.instance.run(&["explain", who, "--json"]).ok().out).unwrap();
        assert_eq!(told["object"], "explanation");
        (told["verdict"]["code"].as_str().unwrap().to_owned(), told)
    }

    /// What is foretold: the verdict, and words that must be somewhere in it.
    fn foretells(&self, who: &str, verdict: &str, words: &[&str]) {
        let (code, told) = self.explained(who);
        assert_eq!(code, verdict, "{told:#}");
        for word in words {
            assert!(told.to_string().contains(word), "`{word}` is not in {told:#}");
        }
    }

    fn status(&self, email: &str) -> Option<Status> {
        self.organization.member(email).map(|member| member.status)
    }

    /// What each run did to the person, the earliest first.
    fn past(&self, who: &str) -> Vec<String> {
        let runs: Vec<Value> =
            serde_json::from_str(&self.instance.run(&["history", who, "--json"]).ok().out).unwrap();
        let action = |entry: &Value| {
            format!("{} {}", entry["action"].as_str().unwrap(), entry["cause"].as_str().unwrap())
        };
        let of_run = |run: &Value| run["members"].as_array().unwrap().iter().map(action).collect::<Vec<_>>();
        runs.iter().rev().flat_map(of_run).collect()
    }
}

#[test]
fn a_year_is_foretold_done_and_remembered() {
    let life = Life::begin();
    let out = life.instance.run(&["explain", "ann@x.org", "--json"]);
    assert_eq!(out.code, 1, "{}", out.out);

    life.directory("e1,ann@x.org,\n", "staff,Staff,e1;e2\ncrew,Crew,e3\n");
    life.foretells("ann@x.org", "changes", &["invite", "Staff"]);
    life.sync();
    assert_eq!(life.organization.group("Staff"), ["ann@x.org", "bob@x.org"]);
    life.foretells("e1", "stays", &["Staff"]);

    life.directory("e1,ann@x.org,\n", "staff,Staff,e2\ncrew,Crew,e1;e3\n");
    life.foretells("ann@x.org", "changes", &["Staff", "Crew"]);
    life.sync();
    assert_eq!(life.organization.group("Crew"), ["ann@x.org", "cid@x.org"]);

    life.directory("e1,ann.wed@x.org,\n", "staff,Staff,e2\ncrew,Crew,e1;e3\n");
    life.foretells("ann.wed@x.org", "stays", &["ann@x.org", "ann.wed@x.org", "addressDiffers"]);
    life.sync();
    assert_eq!(life.status("ann@x.org"), Some(Status::Invited), "who is known keeps the account");

    life.directory("e1,ann.wed@x.org,disabled\n", "staff,Staff,e2\ncrew,Crew,e1;e3\n");
    life.foretells("e1", "changes", &["remove", "disabled"]);
    life.sync();
    assert_eq!(life.status("ann@x.org"), None);

    life.directory("e1,ann.wed@x.org,\n", "staff,Staff,e2\ncrew,Crew,e1;e3\n");
    // The id alone does not say that it is the same human: the address is another one than was imported.
    life.foretells("ann.wed@x.org", "changes", &["invite", "new"]);
    life.sync();
    assert_eq!(life.status("ann.wed@x.org"), Some(Status::Invited));

    life.directory("e1,ann.wed@x.org,left\n", "staff,Staff,e2\ncrew,Crew,e3\n");
    life.foretells("ann.wed@x.org", "changes", &["remove", "deleted"]);
    life.sync();
    assert_eq!(life.organization.emails(), ["bob@x.org", "cid@x.org"]);

    let past = ["invite new", "remove disabled", "invite new", "remove deleted"];
    assert_eq!(life.past("e1"), past);
    let offline = life.instance.run(&["explain", "e1", "--offline"]).ok();
    assert!(offline.out.contains("ann.wed@x.org"), "{}", offline.out);
}
