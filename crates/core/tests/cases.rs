//! Cases as data: each folder under `tests/cases` holds a `case.json` (a snapshot of a directory, rules, the server) and a
//! `plan.snap` (the import, the notes, the findings of the check). Review changes with
//! `cargo insta review`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect by panicking, and the cases are files"
)]

use std::fs;
use std::path::Path;

use bwdc_core::check::{ServerLimits, check};
use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};
use bwdc_core::filter::{NativeQuery, SetFilter, parse};
use bwdc_core::note::by_cause;
use bwdc_core::organization::requests::Extent;
use bwdc_core::plan::{Server, Target};
use bwdc_core::rules::{BadRecords, DisabledUsers, ExistingMembers, ImportSize, Nesting, Newcomers, Rules};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};
use bwdc_core::{plan, prepare};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for people who read the case")]
    about: String,
    #[serde(default)]
    rules: CaseRules,
    #[serde(default)]
    vaultwarden: bool,
    #[serde(default)]
    cloud: bool,
    users: Vec<CaseUser>,
    #[serde(default)]
    others: Vec<CaseUser>,
    #[serde(default)]
    groups: Vec<CaseGroup>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct CaseRules {
    user_filter: String,
    group_filter: String,
    remove_disabled: bool,
    overwrite_existing: bool,
    large_import: bool,
    invite: bool,
    skip_bad_records: bool,
    all_groups_nest: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseUser {
    id: String,
    email: Option<String>,
    #[serde(default = "active")]
    status: Status,
    found_as: Option<String>,
}

fn active() -> Status {
    Status::Active
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseGroup {
    id: String,
    name: String,
    members: Vec<String>,
    found_as: Option<String>,
}

impl CaseRules {
    fn into_rules(self) -> Rules {
        let set = |text: &str| -> Option<SetFilter> { parse(text, NativeQuery::None).unwrap().set };
        let defaults = Rules::default();
        Rules {
            user_filter: set(&self.user_filter),
            group_filter: set(&self.group_filter),
            disabled: if self.remove_disabled { DisabledUsers::Remove } else { defaults.disabled },
            existing: if self.overwrite_existing { ExistingMembers::Overwrite } else { defaults.existing },
            size: if self.large_import { ImportSize::Batches } else { defaults.size },
            newcomers: if self.invite { Newcomers::Invite } else { defaults.newcomers },
            bad_records: if self.skip_bad_records { BadRecords::Skip } else { defaults.bad_records },
            nesting: if self.all_groups_nest { Nesting::AllGroups } else { defaults.nesting },
            ..defaults
        }
    }
}

fn user(user: &CaseUser) -> User {
    User {
        external_id: ExternalId::from(user.id.as_str()),
        reference_id: ReferenceId::from(user.id.as_str()),
        email: user.email.as_deref().and_then(Email::parse),
        status: user.status,
        found_as: FoundAs::of(user.found_as.as_deref()),
    }
}

fn group(group: &CaseGroup) -> Group {
    Group {
        external_id: ExternalId::from(group.id.as_str()),
        reference_id: ReferenceId::from(group.id.as_str()),
        name: group.name.clone(),
        members: group.members.iter().map(|member| ReferenceId::from(member.as_str())).collect(),
        found_as: FoundAs::of(group.found_as.as_deref()),
    }
}

fn outcome(case: Case) -> Value {
    let snapshot = Snapshot {
        users: case.users.iter().map(user).collect(),
        others: case.others.iter().map(user).collect(),
        groups: case.groups.iter().map(group).collect(),
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: None,
        place: None,
        created: Default::default(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    };
    let rules = case.rules.into_rules();
    let target = Target {
        api_url: "https://api.example".into(),
        organization_id: "org".into(),
        server: if case.vaultwarden { Server::Vaultwarden } else { Server::Official },
    };
    let plan = plan(prepare(snapshot.in_canonical_order(), &rules), &rules, &target);
    let limits = if case.cloud { ServerLimits::Cloud } else { ServerLimits::SelfHosted };
    let findings = check(&plan, &rules, limits, Extent::Everything);
    let findings: Vec<&str> = findings.iter().map(|finding| finding.problem.as_str()).collect();
    let notes: Vec<String> = by_cause(&plan.notes)
        .iter()
        .map(|note| format!("{:?}: {}: {}", note.severity, note.reason, note.entries.join(" | ")))
        .collect();
    let bad_records: Vec<&str> = plan.bad_records.iter().map(|bad| bad.problem.as_str()).collect();
    json!({ "requests": plan.requests, "notes": notes, "badRecords": bad_records, "findings": findings })
}

#[test]
fn every_case_gives_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() >= 10, "the cases are missing");
    for name in names {
        let case_folder = folder.join(&name);
        let text = fs::read_to_string(case_folder.join("case.json")).unwrap();
        let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&case_folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_json_snapshot!("plan", outcome(case)));
    }
}
