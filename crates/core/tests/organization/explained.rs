//! Ways of being in or out, each with the cause that an explanation names.

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status as Life, User};
use bwdc_core::explain::{
    Answer, DirectoryRead, Effect, Explanation, Facts, MembershipState, Sought, StepName, SubjectKind,
    VerdictCode, explain_from_ledger,
};
use bwdc_core::filter::SetFilter;
use bwdc_core::merge::{MergeSource, Share, merge};
use bwdc_core::organization::changes::{Action, Cause, Code, KeptBy};
use bwdc_core::organization::directory::{DirectoryNow, GroupsRead, Part, PeopleRead};
use bwdc_core::organization::limits::LimitName;
use bwdc_core::organization::record::{RunRecord, StatusWord};
use bwdc_core::organization::roster::{Held, Kind, Member, Staging, Status};
use bwdc_core::organization::server::carry_out;
use bwdc_core::organization::settings::{Absent, Limit, OnLimit, Protect, Relink, Settings, VanishedGroups};
use bwdc_core::organization::undo::Protecting;
use bwdc_core::organization::{Moment, Span, Undo, changes, requests};
use bwdc_core::prepare::Stage;
use bwdc_core::rules::{BadRecords, DisabledUsers, ExistingMembers, Newcomers, Rules};
use bwdc_core::snapshot::{Coverage, Cursor, Snapshot};
use bwdc_core::{Prepared, explain, prepare};

use crate::facts::{Site, source};
use crate::made::{group as server_group, member, owner};

/// Somebody by the id `u-NAME` and the address `NAME@x.org`.
fn user(name: &str) -> User {
    User {
        external_id: format!("u-{name}").into(),
        reference_id: format!("cn={name},ou=people,dc=x").into(),
        email: Email::parse(&format!("{name}@x.org")),
        status: Life::Active,
        found_as: FoundAs::default(),
    }
}

fn with_address(name: &str, email: &str) -> User {
    User { email: Email::parse(email), ..user(name) }
}

fn gone(name: &str, status: Life) -> User {
    User { status, ..user(name) }
}

/// A group with people by name and groups by `#NAME`.
fn group(name: &str, members: &[&str]) -> Group {
    let reference = |member: &&str| match member.strip_prefix('#') {
        Some(group) => ReferenceId::from(format!("group:{group}")),
        None => user(member).reference_id,
    };
    Group {
        external_id: format!("g-{name}").into(),
        reference_id: format!("group:{name}").into(),
        name: name.to_owned(),
        members: members.iter().map(reference).collect(),
        found_as: FoundAs::default(),
    }
}

fn read(users: &[User]) -> Snapshot {
    Snapshot {
        users: users.to_vec(),
        others: Vec::new(),
        groups: Vec::new(),
        other_groups: Vec::new(),
        coverage: Coverage::Full,
        population: None,
        place: Some("place".into()),
        created: Default::default(),
        server_time: None,
        cursor: Cursor::default(),
        notes: Vec::new(),
    }
}

/// One directory.
#[derive(Clone)]
struct Read {
    name: &'static str,
    prefix: &'static str,
    snapshot: Snapshot,
    rules: Rules,
    people: PeopleRead,
}

impl Read {
    fn of(users: &[User]) -> Self {
        let rules = Rules { bad_records: BadRecords::Skip, ..Rules::default() };
        Self { name: "one", prefix: "", snapshot: read(users), rules, people: PeopleRead::Imported }
    }

    fn groups(mut self, groups: &[Group]) -> Self {
        self.snapshot.groups = groups.to_vec();
        self
    }

    fn others(mut self, others: &[User]) -> Self {
        self.snapshot.others = others.to_vec();
        self
    }

    fn rules(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(&mut self.rules);
        self
    }

    fn without_people(mut self) -> Self {
        self.people = PeopleRead::NotImported;
        self
    }

    fn named(self, name: &'static str, prefix: &'static str) -> Self {
        Self { name, prefix, ..self }
    }
}

fn decided(directories: &[Read]) -> (Prepared, DirectoryNow) {
    let shares = directories.iter().map(|read| {
        let source = MergeSource { name: read.name.to_owned(), prefix: read.prefix.to_owned() };
        Share::of(source, read.snapshot.clone(), &read.rules)
    });
    let prepared = match directories {
        [alone] => prepare(alone.snapshot.clone(), &alone.rules),
        _ => merge(shares.collect()).prepared,
    };
    let part = |read: &'_ Read| -> Source_ { source(read.name, "") };
    let sources: Vec<Source_> = directories.iter().map(part).collect();
    let parts: Vec<Part<'_>> = directories
        .iter()
        .zip(sources)
        .map(|(read, source)| Part {
            snapshot: &read.snapshot,
            rules: &read.rules,
            source,
            people: read.people,
        })
        .collect();
    let now = DirectoryNow::of(&parts, &prepared, GroupsRead::Completely);
    (prepared, now)
}

type Source_ = bwdc_core::organization::directory::Source;

fn site(settings: Settings) -> Site {
    site_of(Kind::Official, settings)
}

fn site_of(kind: Kind, settings: Settings) -> Site {
    Site::new(kind, Settings { limit_removals: Limit::Off, limit_leaves: Limit::Off, ..settings })
}

/// Undoes the sync of these directories, with protection for a week.
fn undone(site: &mut Site, directories: &[Read]) {
    let (now, before) = (decided(directories).1, site.roster());
    let record = RunRecord::of(&site.question(&now, &before), &site.plan(&now)).all_made();
    site.sync(&now);
    let (nothing, roster) = (DirectoryNow::default(), site.roster());
    let question = site.question(&nothing, &roster);
    let undo = Undo::of(&question, &record, &[], Protecting::Until(site.now.plus(Span::days(7))));
    let steps = requests(&question, &undo.changes);
    for step in &steps {
        carry_out(&mut site.server, &step.call).unwrap();
    }
    site.ledger = site.ledger.clone().begun(&steps, site.now).acknowledged(steps.len());
    site.now = site.now.plus(Span(60));
}

/// Syncs these directories as they are.
fn synced(site: &mut Site, directories: &[Read]) {
    site.sync(&decided(directories).1);
}

fn answer(site: &Site, directories: &[Read], who: &str) -> Answer {
    answer_of(site, directories, who, &[])
}

/// `refused` has the reasons for which a sync would send nothing.
fn answer_of(site: &Site, directories: &[Read], who: &str, refused: &[String]) -> Answer {
    let sought = Sought::of(who);
    answer_to(site, directories, &sought, refused)
}

fn answer_to(site: &Site, directories: &[Read], sought: &Sought, refused: &[String]) -> Answer {
    let (prepared, now) = decided(directories);
    let roster = site.roster();
    let question = site.question(&now, &roster);
    let changes = changes(&question);
    let reads: Vec<DirectoryRead<'_>> = directories
        .iter()
        .map(|read| DirectoryRead {
            name: read.name,
            prefix: read.prefix,
            snapshot: &read.snapshot,
            rules: &read.rules,
            people: read.people,
        })
        .collect();
    let facts = Facts {
        directories: &reads,
        prepared: &prepared,
        question,
        changes: &changes,
        refused,
        written: |moment: Moment| moment.0.to_string(),
    };
    explain(&facts, sought)
}

#[track_caller]
fn explained(site: &Site, directories: &[Read], who: &str) -> Explanation {
    match answer(site, directories, who) {
        Answer::Found(explanation) => *explanation,
        other => panic!("{who}: {other:?}"),
    }
}

/// The verdict has this code and these words.
#[track_caller]
fn says(explanation: &Explanation, code: VerdictCode, words: &str) {
    let verdict = &explanation.verdict;
    assert!(verdict.code == code && verdict.text.contains(words), "{words}: {explanation:#?}");
}

#[track_caller]
fn out(read: Read, who: &str, words: &str) {
    let explanation = explained(&site(Settings::default()), &[read], who);
    says(&explanation, VerdictCode::LeftOut, words);
    assert!(explanation.next.members.is_empty(), "{explanation:#?}");
}

#[test]
fn every_step_that_leaves_somebody_out_is_named() {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let exclude = |value: &str| Some(SetFilter::Exclude(set(&[value])));
    let ada = || Read::of(&[user("ada"), user("bob")]);
    out(
        ada().rules(|rules| rules.user_filter = exclude("ada@x.org")),
        "ada@x.org",
        "`exclude:` names ada@x.org",
    );
    let include = Some(SetFilter::Include(set(&["bob@x.org"])));
    out(
        ada().rules(|rules| rules.user_filter = include.clone()),
        "u-ada",
        "`include:bob@x.org` does not name ada@x.org",
    );
    out(Read::of(&[user("bob")]).others(&[user("ada")]), "ada@x.org", "not matched by the search for people");
    let staff = Some(SetFilter::Include(set(&["staff"])));
    let in_staff = ada().groups(&[group("Staff", &["bob"])]).rules(|rules| rules.group_filter = staff);
    out(in_staff, "ada@x.org", "not in any group that the group filter keeps");
    out(Read::of(&[with_address("ada", "")]), "u-ada", "no e-mail address");
    let long = format!("{}@x.org", "a".repeat(260));
    out(Read::of(&[with_address("ada", &long)]), "u-ada", "more than 256 characters");
    let tombstone = User { email: user("ada").email, ..gone("old", Life::Deleted) };
    out(
        Read::of(&[user("ada"), tombstone]),
        "u-old",
        "an active account has the same address; accounts with the address: u-ada",
    );
    let twins = [user("ada"), with_address("ada", "other@x.org")];
    out(Read::of(&twins), "u-ada", "2 accounts have the external id u-ada");
    let rivals = [user("ada"), with_address("eve", "ada@x.org")];
    out(Read::of(&rivals), "u-eve", "2 accounts have the e-mail address ada@x.org: u-ada; u-eve");
    let disabled = User { status: Life::Disabled, ..with_address("eve", "ada@x.org") };
    out(
        Read::of(&[user("ada"), disabled]),
        "u-eve",
        "an active account has the same address; account with the address: u-ada",
    );
    out(
        Read::of(&[with_address("ada", "no address")]),
        "u-ada",
        "is not an e-mail address that the server accepts",
    );
    // A filter is not to blame for an address that is missing, or is none.
    for filter in [include.clone(), exclude("ada@x.org")] {
        let nameless = Read::of(&[with_address("ada", "")]).rules(|rules| rules.user_filter = filter);
        out(nameless, "u-ada", "Not imported: no e-mail address.");
    }
    out(
        Read::of(&[with_address("ada", "no address")]).rules(|rules| rules.user_filter = include.clone()),
        "u-ada",
        "Not imported: `no address` is not an e-mail address that the server accepts",
    );
    out(ada().groups(&[group(&"x".repeat(101), &["ada"])]), &"x".repeat(101), "at most 100");
    let sales =
        ada().groups(&[group("Sales", &["ada"])]).rules(|rules| rules.group_filter = exclude("sales"));
    out(sales, "sales", "left out by the group filter: `exclude:` names sales");
}

#[test]
fn who_comes_stays_or_leaves_is_told_with_the_cause() {
    let mut site = site(Settings::default());
    let both = Read::of(&[user("ada"), user("bob")]);
    let new = explained(&site, std::slice::from_ref(&both), "ADA@x.org ");
    says(&new, VerdictCode::Changes, "Next sync: invited: new among the people to import.");
    assert_eq!(new.directories[0].entries[0].steps.len(), 9);
    assert!(new.directories[0].entries[0].steps.iter().all(|step| step.effect == Effect::Passed));
    synced(&mut site, std::slice::from_ref(&both));
    says(&explained(&site, std::slice::from_ref(&both), "ada@x.org"), VerdictCode::Stays, "changes nothing");
    let sent = &explained(&site, std::slice::from_ref(&both), "ada@x.org").sent[0];
    assert_eq!((sent.email.as_str(), sent.external_id.as_str()), ("ada@x.org", "u-ada"));
    let left = Read::of(&[gone("ada", Life::Deleted), user("bob")]);
    says(&explained(&site, &[left], "u-ada"), VerdictCode::Changes, "removed: deleted in the directory");
    let off = Read::of(&[gone("ada", Life::Disabled), user("bob")]);
    let stays = explained(&site, std::slice::from_ref(&off), "u-ada");
    says(&stays, VerdictCode::Stays, "changes nothing");
    assert!(stays.directories[0].entries[0].steps[1].text.contains("sync.removeDisabled is false"));
    let off = off.rules(|rules| rules.disabled = DisabledUsers::Remove);
    says(
        &explained(&site, &[off], "u-ada"),
        VerdictCode::Changes,
        "disabled in the directory (sync.removeDisabled)",
    );
    let without = [Read::of(&[user("bob")])];
    says(
        &explained(&site, &without, "ada@x.org"),
        VerdictCode::NotInDirectory,
        "sync.removeMissing is false",
    );
    site.settings.absent = Absent::Missing;
    // The place of these reads is the instance's name.
    says(
        &explained(&site, &without, "ada@x.org"),
        VerdictCode::Changes,
        "no longer in the directory (sync.removeMissing)",
    );
    site.settings.absent = Absent::OutOfScope;
    let filtered = Read::of(&[user("bob")]).others(&[user("ada")]);
    says(
        &explained(&site, &[filtered], "ada@x.org"),
        VerdictCode::Changes,
        "no longer matched by the filters",
    );
}

#[test]
fn limits_grace_and_protection_are_named() {
    let all = Read::of(&[user("ada"), user("bob"), user("eve")]);
    let left = Read::of(&[gone("ada", Life::Deleted), user("bob"), user("eve")]);
    let mut site = site(Settings::default());
    site.settings.limit_invites = Limit::Number(0);
    let held = explained(&site, std::slice::from_ref(&all), "ada@x.org");
    says(&held, VerdictCode::Held, "held back by sync.limitInvites");
    assert_eq!(held.next.members[0].limit, Some(LimitName::Invites));
    site.settings.limit_invites = Limit::Off;
    synced(&mut site, std::slice::from_ref(&all));
    site.settings.limit_removals = Limit::Number(0);
    says(
        &explained(&site, std::slice::from_ref(&left), "ada@x.org"),
        VerdictCode::Held,
        "held back by sync.limitRemovals",
    );
    site.settings.limit_removals = Limit::Off;
    site.settings.protect = Protect::parse("ada@x.org");
    let kept = explained(&site, std::slice::from_ref(&left), "ada@x.org");
    says(&kept, VerdictCode::Kept, "protected by sync.protect");
    assert_eq!((kept.next.members[0].kept_by, kept.members[0].protected), (Some(KeptBy::Protection), true));
    site.settings.protect = Protect::default();
    site.settings.grace = Span::DAY;
    says(
        &explained(&site, std::slice::from_ref(&left), "ada@x.org"),
        VerdictCode::Changes,
        "revoked, and removed after",
    );
    synced(&mut site, std::slice::from_ref(&left));
    says(
        &explained(&site, std::slice::from_ref(&left), "ada@x.org"),
        VerdictCode::Waits,
        "revoked since 1060 (deleted in the directory)",
    );
    site.now = site.now.plus(Span::days(2));
    says(
        &explained(&site, std::slice::from_ref(&left), "ada@x.org"),
        VerdictCode::Changes,
        "the time of sync.grace has passed",
    );
}

#[test]
fn hand_made_changes_and_their_limit_are_named() {
    let all = [Read::of(&[user("ada"), user("bob")])];
    let mut site = site(Settings::default());
    synced(&mut site, &all);
    let mut emptied = Site::new(Kind::Official, site.settings.clone());
    emptied.ledger = site.ledger.clone();
    says(
        &explained(&emptied, &all, "ada@x.org"),
        VerdictCode::Changes,
        "changed in the organization by somebody else",
    );
    emptied.settings.limit_repairs = Limit::Number(0);
    says(&explained(&emptied, &all, "ada@x.org"), VerdictCode::Held, "held back by sync.limitRepairs");
}

#[test]
fn rules_of_the_server_are_named() {
    let mut site = site(Settings::default());
    site.server.put_member(owner("chief", "u-chief"));
    let left = [Read::of(&[gone("chief", Life::Deleted), user("bob")])];
    says(&explained(&site, &left, "chief@x.org"), VerdictCode::Kept, "an owner is never removed");
    site.server.put_member(member("hand", "", Status::Confirmed));
    says(&explained(&site, &left, "m-hand"), VerdictCode::NotManaged, "added by hand");
    site.server.put_member(member("gone", "foreign", Status::Confirmed));
    says(&explained(&site, &left, "foreign"), VerdictCode::NotInDirectory, "no import of this program gave");
    let revoked = Status::Confirmed.revoked();
    site.server.put_member(member("bob", "u-bob", revoked));
    says(
        &explained(&site, &left, "bob@x.org"),
        VerdictCode::Stays,
        "is revoked in the organization, and stays so",
    );
    // Another living human has the member's id.
    let taken = [Read::of(&[with_address("eve", "bob@x.org"), with_address("bob", "robert@x.org")])];
    let told = explained(&site, &taken, "u-eve");
    says(&told, VerdictCode::ServerRule, "the member with the address has the external id u-bob");
    let changed = [Read::of(&[with_address("new", "bob@x.org")])];
    says(&explained(&site, &changed, "bob@x.org"), VerdictCode::Stays, "imported as u-bob");
    let mut adopting = Site::new(Kind::Official, Settings::default());
    adopting.server.put_member(member("ada", "", Status::Confirmed));
    let adopted = explained(&adopting, &[Read::of(&[user("ada")])], "ada@x.org");
    says(&adopted, VerdictCode::Changes, "given an external id");
    assert_eq!(
        (adopted.next.members[0].action, adopted.next.members[0].cause),
        (Some(Action::Adopt), Some(Cause::New))
    );
}

#[test]
fn an_import_that_replaces_everybody_and_a_used_id_are_named() {
    let mut site = site(Settings { existing: ExistingMembers::Overwrite, ..Settings::default() });
    site.server.put_member(member("old", "old", Status::Confirmed));
    let all = [Read::of(&[user("ada")])];
    says(
        &explained(&site, &all, "old@x.org"),
        VerdictCode::Changes,
        "which replaces everybody (sync.overwriteExisting)",
    );
    let mut site = self::site(Settings::default());
    synced(&mut site, &all);
    let mut reused = Read::of(&[with_address("ada", "grace@x.org")]);
    reused.snapshot.created = [(ExternalId::from("u-ada"), Moment(5_000))].into_iter().collect();
    let told = explained(&site, &[reused], "ada@x.org");
    says(&told, VerdictCode::Changes, "the id has another address in the directory");
}

#[test]
fn nesting_is_told_with_its_path() {
    let groups = [
        group("Everybody", &["#Staff", "#Guests"]),
        group("Staff", &["#Sales"]),
        group("Sales", &["ada"]),
        group("Guests", &["#Hidden"]),
        group("Hidden", &["ada"]),
    ];
    let hidden = SetFilter::Exclude(["hidden".to_owned()].into());
    let read = [Read::of(&[user("ada")]).groups(&groups).rules(|rules| rules.group_filter = Some(hidden))];
    let site = site(Settings::default());
    let explanation = explained(&site, &read, "ada@x.org");
    let found: Vec<(String, MembershipState)> = explanation.directories[0].entries[0]
        .memberships
        .iter()
        .map(|membership| (membership.path.join(">"), membership.state))
        .collect();
    let expected = [
        ("Everybody>Staff>Sales", MembershipState::Imported),
        ("Staff>Sales", MembershipState::Imported),
        ("Sales", MembershipState::Imported),
        ("Guests>Hidden", MembershipState::NotThroughGroups),
        ("Hidden", MembershipState::GroupLeftOut),
    ];
    assert_eq!(found, expected.map(|(path, state)| (path.to_owned(), state)));
    let of_group = explained(&site, &read, "Sales");
    says(&of_group, VerdictCode::Changes, "created: 1 join, 0 leave");
    assert_eq!(of_group.directories[0].entries[0].memberships[0].group, "Staff");
}

#[test]
fn groups_that_vanish_lose_members_or_are_hand_made_are_told() {
    let mut site = site(Settings::default());
    let full = Read::of(&[user("ada"), user("bob")]).groups(&[group("Staff", &["ada", "bob"])]);
    synced(&mut site, std::slice::from_ref(&full));
    let without = [Read::of(&[user("ada"), user("bob")])];
    says(
        &explained(&site, &without, "staff"),
        VerdictCode::Changes,
        "stays with 2 members (sync.vanishedGroups)",
    );
    site.settings.vanished_groups = VanishedGroups::Empty;
    says(&explained(&site, &without, "staff"), VerdictCode::Changes, "emptied: 0 join, 2 leave");
    site.settings.vanished_groups = VanishedGroups::Keep;
    let smaller = [full.groups(&[group("Staff", &["bob"])])];
    let leaving = explained(&site, &smaller, "ada@x.org");
    assert_eq!(leaving.next.memberships[0].text, "leaves Staff: as in the directory");
    site.settings.limit_leaves = Limit::Number(0);
    let held = explained(&site, &smaller, "ada@x.org");
    assert_eq!(
        held.next.memberships[0].text,
        "leaves Staff: as in the directory; held back (sync.limitLeaves)"
    );
    site.server.put_group(server_group("Board", "", &[]));
    says(&explained(&site, &smaller, "board"), VerdictCode::NotManaged, "made by hand");
}

#[test]
fn a_merge_names_the_directory_that_counts() {
    let one = Read::of(&[user("ada")]).named("hr", "");
    let two = Read::of(&[with_address("eve", "ada@x.org")])
        .groups(&[group("Staff", &["eve"])])
        .named("lab", "Lab ");
    let site = site(Settings::default());
    let both = [one.clone(), two];
    let explanation = explained(&site, &both, "ada@x.org");
    says(&explanation, VerdictCode::Changes, "invited");
    let steps = &explanation.directories[1].entries[0].steps;
    let last = steps.last().unwrap();
    assert!(
        last.effect == Effect::LeftOut && last.text.contains("imported under the external id u-ada"),
        "{last:?}"
    );
    assert_eq!(explanation.directories[1].entries[0].memberships[0].group, "Lab Staff");
    says(&explained(&site, &both, "lab staff"), VerdictCode::Changes, "created");
    let contested = [one.clone(), Read::of(&[with_address("ada", "other@x.org")]).named("lab", "")];
    says(
        &explained(&site, &contested, "u-ada"),
        VerdictCode::LeftOut,
        "2 directories of the merge have the external id u-ada",
    );
    let spared = [one, Read::of(&[gone("ada", Life::Deleted)]).named("lab", "")];
    let spared = explained(&site, &spared, "u-ada");
    let last = spared.directories[1].entries[0].steps.last().unwrap();
    assert!(last.text.contains("the person is in another directory under the same external id"), "{last:?}");
}

/// The verdict that somebody is kept, by this and in these words.
#[track_caller]
fn kept(explanation: &Explanation, by: KeptBy, words: &str) {
    says(explanation, VerdictCode::Kept, words);
    assert_eq!(explanation.next.members[0].kept_by, Some(by));
}

#[test]
fn an_address_of_a_leaver_that_is_not_sent_is_told() {
    let leaver = User { email: with_address("ada", "no address").email, ..gone("ada", Life::Deleted) };
    let explanation = explained(&site(Settings::default()), &[Read::of(&[leaver, user("bob")])], "u-ada");
    let step = &explanation.directories[0].entries[0].steps[2];
    assert_eq!((step.step, step.effect), (StepName::Stage(Stage::LeaversAddress), Effect::Changed));
    assert!(
        step.text.contains("the server would not accept the address of this leaver, so it is not sent"),
        "{step:?}"
    );
    let fine = explained(&site(Settings::default()), &[Read::of(&[gone("ada", Life::Deleted)])], "u-ada");
    let texts: Vec<&str> =
        fine.directories[0].entries[0].steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "found by the search for people",
            "deleted in the directory, and leaves",
            "leaves, and the address can be sent",
            "sync.userFilter has no `include:` or `exclude:`",
            "sync.groupFilter has no `include:` or `exclude:`",
            "a leaver needs no address",
            "no active account has the same address",
            "no other account has the external id",
            "no other account to import has the address",
            "the server accepts id and address",
        ]
    );
}

#[test]
fn a_limit_that_stops_the_run_is_named() {
    let mut site = site(Settings::default());
    synced(&mut site, &[Read::of(&[user("ada"), user("bob")])]);
    site.settings.limit_removals = Limit::Number(0);
    let next = [Read::of(&[gone("ada", Life::Deleted), user("bob"), user("new")])];
    says(
        &explained(&site, &next, "new@x.org"),
        VerdictCode::Changes,
        "invited: new among the people to import.",
    );
    site.settings.on_limit = OnLimit::Stop;
    says(
        &explained(&site, &next, "new@x.org"),
        VerdictCode::Held,
        "invited: new among the people to import; nothing is sent, since a limit stops the run.",
    );
    says(&explained(&site, &next, "ada@x.org"), VerdictCode::Held, "held back by sync.limitRemovals");
}

#[test]
fn whoever_an_undo_has_brought_back_or_another_directory_has_is_kept_by_name() {
    let mut site = site(Settings::default());
    let [both, left] =
        [[Read::of(&[user("ada"), user("bob")])], [Read::of(&[gone("ada", Life::Deleted), user("bob")])]];
    synced(&mut site, &both);
    undone(&mut site, &left);
    let words = "would leave (deleted in the directory), and stays: brought back by an undo, and protected for some days";
    kept(&explained(&site, &left, "ada@x.org"), KeptBy::Undo, words);
    site.now = site.now.plus(Span::days(8));
    says(&explained(&site, &left, "ada@x.org"), VerdictCode::Changes, "removed: deleted in the directory");

    // The merge has ended: each directory has the person by an id of its own.
    let mut site = self::site(Settings::default());
    let hr = |ada: User| Read::of(&[ada, user("bob")]).named("hr", "");
    let lab = Read::of(&[with_address("eve", "ada@x.org")]).named("lab", "");
    synced(&mut site, &[hr(user("ada")), lab.clone()]);
    synced(&mut site, &[hr(gone("ada", Life::Deleted)), lab]);
    let alone = [hr(gone("ada", Life::Deleted))];
    let words = "stays: when last read, another directory had the person by another id";
    kept(&explained(&site, &alone, "ada@x.org"), KeptBy::OtherDirectory, words);
}

#[test]
fn people_who_are_read_for_the_groups_only_are_told() {
    let read = Read::of(&[]).others(&[user("ada")]).groups(&[group("Staff", &["ada"])]).without_people();
    let explanation = explained(&site(Settings::default()), &[read], "ada@x.org");
    says(&explanation, VerdictCode::LeftOut, "sync.users is off: people are read as members of groups only");
    assert_eq!(explanation.directories[0].entries[0].memberships[0].text, "imported");
}

#[test]
fn rules_of_vaultwarden_are_named() {
    let mut site = site_of(Kind::Vaultwarden, Settings::default());
    let all = |ada: User, staff: &str| {
        [Read::of(&[ada, user("bob")])
            .groups(&[Group { name: staff.to_owned(), ..group("Staff", &["ada", "bob"]) }])]
    };
    synced(&mut site, &all(user("ada"), "Staff"));
    assert_eq!(
        explained(&site, &all(user("ada"), "Staff"), "ada@x.org").members[0].member_id,
        None,
        "known from the ledger"
    );
    // Nobody is removed, an owner is like everybody else, and a group keeps its name.
    let left = all(gone("ada", Life::Deleted), "Staff");
    says(&explained(&site, &left, "ada@x.org"), VerdictCode::Changes, "revoked: deleted in the directory");
    says(
        &explained(&site, &all(user("ada"), "Everybody"), "g-Staff"),
        VerdictCode::ServerRule,
        "The directory has the name Everybody, and Staff stays: Vaultwarden renames no group.",
    );
    says(
        &explained(&site, &all(user("ada"), "Staff"), "Staff"),
        VerdictCode::Stays,
        "A group of the organization, and the next sync",
    );
    // It knows people by their addresses: the old one leaves, the new one comes.
    let married = all(with_address("ada", "married@x.org"), "Staff");
    let told = explained(&site, &married, "u-ada");
    says(&told, VerdictCode::Changes, "the id has another address in the directory");
    says(&told, VerdictCode::Changes, "invited");
    synced(&mut site, &left);
    says(
        &explained(&site, &left, "ada@x.org"),
        VerdictCode::Stays,
        "Has left at 1060 (deleted in the directory). Vaultwarden keeps the member, revoked, and the next sync changes nothing.",
    );
    // What nobody can know is not told, and what our own import did is.
    let [of_bob, of_ada] =
        ["bob@x.org", "ada@x.org"].map(|who| explained(&site, &left, who).members[0].clone());
    assert_eq!((of_bob.status, of_bob.role), (None, None));
    assert_eq!((of_ada.status, of_ada.role), (Some(StatusWord::Revoked), None));
    says(
        &explained(&site, &left, "bob@x.org"),
        VerdictCode::Stays,
        "Imported, and not left since; the next sync changes nothing.",
    );
    // Whoever has left is not missing, whatever was read.
    site.settings.absent = Absent::Missing;
    let elsewhere = [Read::of(&[user("bob")]).named("lab", "")];
    says(
        &explained(&site, &elsewhere, "ada@x.org"),
        VerdictCode::Stays,
        "Has left at 1060 (deleted in the directory).",
    );
    let filter = SetFilter::Exclude(["ada@x.org".to_owned()].into());
    let filtered = [Read::of(&[user("ada"), user("bob")]).rules(|rules| rules.user_filter = Some(filter))];
    says(
        &explained(&site, &filtered, "ada@x.org"),
        VerdictCode::LeftOut,
        "Not imported, and left at 1060 (deleted in the directory): ",
    );
    site.settings.absent = Absent::Keep;
    says(
        &explained(&site, &all(user("ada"), "Staff"), "ada@x.org"),
        VerdictCode::Changes,
        "restored: in the directory again",
    );
    let mut replaced = site_of(Kind::Vaultwarden, Settings::default());
    synced(&mut replaced, &all(user("ada"), "Staff"));
    replaced.settings.existing = ExistingMembers::Overwrite;
    let without = [Read::of(&[user("bob")])];
    says(
        &explained(&replaced, &without, "ada@x.org"),
        VerdictCode::Changes,
        "removed: not in the import, which replaces everybody (sync.overwriteExisting)",
    );
}

#[test]
fn other_ids_addresses_and_invitations_are_named() {
    let mut site = site(Settings::default());
    synced(&mut site, &[Read::of(&[user("ada"), user("bob")])]);
    let other_id = [Read::of(&[with_address("new", "ada@x.org"), user("bob")])];
    site.settings.relink = Relink::Address;
    says(
        &explained(&site, &other_id, "ada@x.org"),
        VerdictCode::Changes,
        "given another external id: new among",
    );
    site.settings.relink = Relink::Off;
    let other_address = [Read::of(&[with_address("ada", "married@x.org"), user("bob")])];
    says(
        &explained(&site, &other_address, "u-ada"),
        VerdictCode::Stays,
        "The directory has the address married@x.org",
    );
    site.settings.reinvite = Some(Span::days(8));
    site.now = site.now.plus(Span::days(9));
    says(
        &explained(&site, &[Read::of(&[user("ada"), user("bob")])], "ada@x.org"),
        VerdictCode::Changes,
        "the invitation is sent again (sync.reinvite)",
    );
    let staged = member("sam", "u-sam", Status::Staged);
    site.settings.reinvite = None;
    site.server.put_member(staged);
    says(
        &explained(&site, &[Read::of(&[user("sam")])], "u-sam"),
        VerdictCode::Stays,
        "no import invites a staged member",
    );
}

#[test]
fn groups_that_are_renamed_deleted_outside_or_refused_are_told() {
    let mut site = site(Settings::default());
    let named = |name: &str| {
        let staff = Group { name: name.to_owned(), ..group("Staff", &["ada"]) };
        Read::of(&[user("ada")]).groups(&[staff])
    };
    synced(&mut site, &[named("Staff")]);
    says(
        &explained(&site, &[named("Crew")], "g-Staff"),
        VerdictCode::Changes,
        "renamed from Staff to Crew: 0 join, 0 leave",
    );
    let two = [Read::of(&[user("ada"), user("bob")]).groups(&[group("Staff", &["ada", "bob"])])];
    says(&explained(&site, &two, "Staff"), VerdictCode::Changes, "updated: 1 join, 0 leave");
    assert_eq!(
        explained(&site, &two, "bob@x.org").next.memberships[0].text,
        "joins Staff: as in the directory"
    );
    site.settings.vanished_groups = VanishedGroups::Delete;
    says(
        &explained(&site, &[Read::of(&[user("ada")])], "Staff"),
        VerdictCode::Changes,
        "deleted: 0 join, 1 leave",
    );
    let mut outside = Read::of(&[user("ada")]).groups(&[group("Staff", &["#Outer"])]);
    outside.snapshot.other_groups = vec![group("Outer", &["ada"])];
    let told = explained(&site, std::slice::from_ref(&outside), "ada@x.org");
    let texts: Vec<&str> =
        told.directories[0].entries[0].memberships.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        texts,
        ["imported; by nesting: Staff > Outer", "outside what is synced, read for its members"]
    );
    let outer = explained(&site, &[outside], "Outer");
    says(&outer, VerdictCode::LeftOut, "outside the search for groups, read for its members only");
    assert_eq!(
        outer.directories[0].entries[0].memberships[0].text,
        "its members are members of this group too"
    );
    let long = "x".repeat(101);
    let refused = [Read::of(&[user("ada")]).groups(&[group(&long, &["ada"])])];
    let told = explained(&site, &refused, "ada@x.org");
    assert_eq!(told.directories[0].entries[0].memberships[0].text, "the group cannot be imported");
}

/// The texts of the steps of the first entry.
fn steps(explanation: &Explanation) -> Vec<&str> {
    explanation.directories[0].entries[0].steps.iter().map(|step| step.text.as_str()).collect()
}

#[test]
fn steps_that_somebody_passes_say_why() {
    let site = site(Settings::default());
    let staff = || [group("Staff", &["ada", "bob"])];
    let plain = explained(&site, &[Read::of(&[user("ada")])], "ada@x.org");
    assert_eq!(
        steps(&plain),
        [
            "found by the search for people",
            "not a leaver",
            "sync.userFilter has no `include:` or `exclude:`",
            "sync.groupFilter has no `include:` or `exclude:`",
            "has an address",
            "not a leaver",
            "no other account has the external id",
            "no other account to import has the address",
            "the server accepts id and address",
        ]
    );
    let filtered = Read::of(&[
        user("ada"),
        gone("bob", Life::Deleted),
        User { email: None, ..gone("old", Life::Deleted) },
        with_address("bare", ""),
    ])
    .groups(&staff())
    .rules(|rules| {
        rules.group_filter = Some(SetFilter::Include(["staff".to_owned()].into()));
        rules.user_filter = Some(SetFilter::Exclude(["other@x.org".to_owned()].into()));
    });
    let filtered = [filtered];
    assert_eq!(steps(&explained(&site, &filtered, "u-ada"))[3], "in a group that the group filter keeps");
    assert_eq!(steps(&explained(&site, &filtered, "u-bob"))[4], "a leaver is not looked for in groups");
    assert_eq!(
        steps(&explained(&site, &filtered, "u-old"))[3],
        "a leaver without an address cannot be checked, and is kept"
    );
    assert_eq!(steps(&explained(&site, &filtered, "u-bare"))[2], "no address that the filter could check");
    let twins = [Read::of(&[user("ada"), gone("ada", Life::Deleted)])];
    let twins = explained(&site, &twins, "u-ada");
    assert!(
        steps(&twins).iter().any(|text| text.contains("one of several accounts with the external id counts")),
        "{twins:#?}"
    );
    let disabled =
        Read::of(&[gone("ada", Life::Disabled)]).rules(|rules| rules.disabled = DisabledUsers::Remove);
    let disabled = explained(&site, &[disabled], "u-ada");
    assert_eq!(steps(&disabled)[1], "disabled, and leaves: sync.removeDisabled is true");
    let two = [Read::of(&[user("ada")]).named("hr", ""), Read::of(&[user("bob")]).named("lab", "")];
    assert_eq!(steps(&explained(&site, &two, "u-ada")).last(), Some(&"no other directory contradicts"));
    let group = explained(&site, &[Read::of(&[user("ada"), user("bob")]).groups(&staff())], "Staff");
    assert_eq!(
        steps(&group),
        [
            "found by the search for groups",
            "sync.groupFilter has no `include:` or `exclude:`; members, nested ones included: 2",
            "the server accepts id and name",
        ]
    );
    assert_eq!(plain.object, "explanation");
}

#[test]
fn memberships_that_do_not_count_say_why() {
    let groups = [group("Guests", &["#Hidden"]), group("Hidden", &["ada", "#Inner"]), group("Inner", &[])];
    let hidden = SetFilter::Exclude(["hidden".to_owned()].into());
    let read = [Read::of(&[user("ada")]).groups(&groups).rules(|rules| rules.group_filter = Some(hidden))];
    let site = site(Settings::default());
    let of = |who: &str| {
        let explanation = explained(&site, &read, who);
        explanation.directories[0].entries[0]
            .memberships
            .iter()
            .map(|one| one.text.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("ada@x.org"),
        [
            "only through a group that the group filter leaves out (sync.nestedGroups); by nesting: Guests > Hidden",
            "left out by the group filter: `exclude:` names hidden",
        ]
    );
    assert_eq!(
        of("Hidden"),
        ["the group filter leaves it out, so its members do not count here (sync.nestedGroups)"]
    );
}

#[test]
fn what_is_held_with_others_is_told() {
    let mut site = site(Settings::default());
    let staff = |members: &[&str]| [group("Staff", members)];
    let both = || Read::of(&[user("ada"), user("bob")]);
    synced(&mut site, &[both().groups(&staff(&["ada", "bob"]))]);
    // Somebody has an id that is not free.
    site.settings.limit_removals = Limit::Number(0);
    let mut reused = Read::of(&[with_address("ada", "grace@x.org"), user("bob")]);
    reused.snapshot.created = [(ExternalId::from("u-ada"), Moment(5_000))].into_iter().collect();
    says(
        &explained(&site, &[reused], "u-ada"),
        VerdictCode::Held,
        "invited: new among the people to import; held back, since somebody who must leave before is",
    );
    site.settings.limit_removals = Limit::Off;
    site.settings.limit_invites = Limit::Number(0);
    let newcomer =
        [Read::of(&[user("ada"), user("bob"), user("eve")]).groups(&staff(&["ada", "bob", "eve"]))];
    assert_eq!(
        explained(&site, &newcomer, "eve@x.org").next.memberships[0].text,
        "joins Staff: as in the directory; held back (sync.limitInvites)"
    );
    site.settings.limit_leaves = Limit::Number(0);
    site.settings.limit_invites = Limit::Off;
    let other = [Read::of(&[user("ada"), user("bob"), user("eve")]).groups(&staff(&["bob", "eve"]))];
    says(
        &explained(&site, &other, "Staff"),
        VerdictCode::Changes,
        "updated: 1 join, 0 leave; held back by sync.limitLeaves: 1 would leave (ada@x.org); bwdc approve lets it through.",
    );
    let alone = [both().groups(&staff(&["bob"]))];
    let told = explained(&site, &alone, "Staff");
    says(
        &told,
        VerdictCode::Held,
        "Next sync: not updated: held back by sync.limitLeaves: 1 would leave (ada@x.org); bwdc approve lets it through.",
    );
    assert_eq!(
        (told.next.groups[0].limits.as_slice(), told.next.groups[0].held),
        (&[LimitName::Leaves][..], true)
    );
    // Whoever is not invited joins nothing.
    site.settings.limit_invites = Limit::Number(0);
    let told = explained(&site, &newcomer, "Staff");
    says(
        &told,
        VerdictCode::Held,
        "not updated: held back by sync.limitInvites: 1 would join (eve@x.org); bwdc approve lets it through.",
    );
    assert_eq!(told.next.groups[0].held_join, ["eve@x.org"]);
    site.settings.limit_invites = Limit::Off;
    // By hand: out of the group, and another name for it.
    let staff_now = || [both().groups(&staff(&["ada", "bob"]))];
    let there = site.server.groups().next().unwrap().clone();
    let bob = site.server.members().find(|member| member.email.as_str() == "bob@x.org").unwrap().id.clone();
    site.server
        .put_group(bwdc_core::organization::roster::Group { members: Held::of([bob]), ..there.clone() });
    let joins = "joins Staff: changed in the organization by somebody else";
    assert_eq!(explained(&site, &staff_now(), "ada@x.org").next.memberships[0].text, joins);
    site.settings.limit_repairs = Limit::Number(0);
    let held = format!("{joins}; held back (sync.limitRepairs)");
    assert_eq!(explained(&site, &staff_now(), "ada@x.org").next.memberships[0].text, held);
    site.server.put_group(bwdc_core::organization::roster::Group { name: "By hand".to_owned(), ..there });
    says(
        &explained(&site, &staff_now(), "g-Staff"),
        VerdictCode::Held,
        "not renamed from By hand to Staff: held back by sync.limitRepairs; bwdc approve lets it through",
    );
}

#[test]
fn whoever_is_revoked_already_staged_or_long_gone_is_told() {
    let mut site = site(Settings { grace: Span::DAY, ..Settings::default() });
    let both = [Read::of(&[user("ada"), user("bob")])];
    synced(&mut site, &both);
    let ada = site.server.members().find(|member| member.email.as_str() == "ada@x.org").unwrap().clone();
    site.server.put_member(Member { status: ada.status.revoked(), ..ada });
    let left = [Read::of(&[gone("ada", Life::Deleted), user("bob")])];
    let waits = explained(&site, &left, "ada@x.org");
    assert!(
        waits.next.members.is_empty()
            || waits.next.members[0].text.contains("revoked already, and removed after"),
        "{waits:#?}"
    );
    assert!(!waits.next.members.is_empty(), "{waits:#?}");
    synced(&mut site, &left);
    let standing = |site: &Site| explained(site, &left, "ada@x.org").sent[0].standing.clone();
    assert_eq!(standing(&site), "left at 1060 (deleted in the directory); removed after 87460 (sync.grace)");
    site.now = site.now.plus(Span::days(2));
    synced(&mut site, &left);
    assert!(standing(&site).starts_with("left at "), "{}", standing(&site));
    says(
        &explained(&site, &left, "ada@x.org"),
        VerdictCode::NotInDirectory,
        "Not a member: left at 173920 (left, and the time of sync.grace has passed), and nothing is to be done.",
    );
    // Nobody has her any more.
    let without = [Read::of(&[user("bob")])];
    says(&explained(&site, &without, "ada@x.org"), VerdictCode::NotInDirectory, "known from earlier imports");
    says(
        &explained(&site, &[Read::of(&[gone("eve", Life::Deleted)])], "u-eve"),
        VerdictCode::NotInDirectory,
        "Not a member, and nothing is to be done.",
    );
    let mut staging = self::site(Settings::default());
    staging.settings.newcomers = Newcomers::Stage;
    staging.server.staging = Staging::On;
    says(&explained(&staging, &both, "ada@x.org"), VerdictCode::Changes, "added without an invitation: new");
}

#[test]
fn whatever_stays_as_it_is_says_why() {
    let mut site = site(Settings { absent: Absent::Missing, ..Settings::default() });
    let staff = [group("Staff", &["ada"])];
    let all = Read::of(&[user("ada"), user("bob")]).groups(&staff);
    synced(&mut site, std::slice::from_ref(&all));
    // Another place was read than the one where she was.
    let elsewhere = [Read::of(&[user("bob")]).named("lab", "")];
    says(
        &explained(&site, &elsewhere, "ada@x.org"),
        VerdictCode::NotInDirectory,
        "not every place where the person was seen was read completely",
    );
    let refused = ["Two accounts have one address.".to_owned()];
    let Answer::Found(told) = answer_of(&site, std::slice::from_ref(&all), "u-ada", &refused) else {
        panic!()
    };
    says(&told, VerdictCode::Refused, "The next sync would send nothing: Two accounts have one address.");
    let exclude = |who: &str| {
        let filter = SetFilter::Exclude([who.to_owned()].into());
        [Read::of(&[user("ada"), user("eve")]).rules(|rules| rules.user_filter = Some(filter))]
    };
    says(
        &explained(&site, &exclude("ada@x.org"), "u-ada"),
        VerdictCode::LeftOut,
        "Not imported, and stays in the organization as it is: ",
    );
    says(&explained(&site, &exclude("eve@x.org"), "u-eve"), VerdictCode::LeftOut, "Not imported: ");
    // A group that nobody has any more but the ledger.
    let mut gone = Site::new(Kind::Official, site.settings.clone());
    gone.ledger = site.ledger.clone();
    says(
        &explained(&gone, &[Read::of(&[user("ada"), user("bob")])], "Staff"),
        VerdictCode::NotInDirectory,
        "Not among the groups of the directory.",
    );
}

#[test]
fn people_in_groups_whom_the_organization_does_not_have_are_named() {
    let people = ["ada", "eve", "bob"];
    let filter =
        |left_out: &[&str]| SetFilter::Exclude(left_out.iter().map(|name| format!("{name}@x.org")).collect());
    let told = |left_out: &[&str]| {
        let read = Read::of(&people.map(user)).groups(&[group("Staff", &people)]);
        let read = read.rules(|rules| rules.user_filter = Some(filter(left_out)));
        let plan = site(Settings::default()).plan(&decided(&[read]).1);
        let texts = plan.warnings.into_iter().filter(|warning| warning.code == Code::UnknownMembers);
        texts.map(|warning| warning.text).collect::<Vec<_>>()
    };
    assert_eq!(told(&["nobody"]), Vec::<String>::new());
    assert_eq!(told(&["eve"]), ["One person in a group is not in the organization: eve@x.org."]);
    assert_eq!(
        told(&["eve", "bob"]),
        ["2 people in groups are not in the organization: bob@x.org, eve@x.org."]
    );
}

/// A run on a server that cannot be read was cut off: what it did is not known.
#[test]
fn what_an_unfinished_run_has_left_open_is_told() {
    let mut site = site_of(Kind::Vaultwarden, Settings::default());
    let all = [Read::of(&[user("ada")])];
    let (now, before) = (decided(&all).1, site.roster());
    let steps = requests(&site.question(&now, &before), &site.plan(&now));
    site.ledger = site.ledger.clone().begun(&steps, site.now).settled(None, site.now);
    let sent = &explained(&site, &all, "ada@x.org").sent[0];
    assert!(
        sent.standing
            .contains("; an unfinished run left it open what the server has done, so it is sent again"),
        "{sent:?}"
    );
}

#[test]
fn a_name_that_several_have_lists_them_and_an_unknown_one_is_nowhere() {
    let site = site(Settings::default());
    let groups = [group("Staff", &[]), Group { external_id: "g-2".into(), ..group("Staff", &[]) }];
    let mut twin = user("eve");
    twin.reference_id = "cn=ada,ou=lab,dc=x".into();
    let read = [Read::of(&[user("ada"), twin]).groups(&groups)];
    let Answer::Ambiguous(candidates) = answer(&site, &read, "staff") else { panic!() };
    assert_eq!(
        candidates.iter().map(|candidate| candidate.id.as_str()).collect::<Vec<_>>(),
        ["g-2", "g-Staff"]
    );
    let Answer::Ambiguous(candidates) = answer(&site, &read, "Ada") else { panic!() };
    assert_eq!(candidates.len(), 2);
    assert_eq!(explained(&site, &read, "cn=ada,ou=lab,dc=x").directories[0].entries[0].external_id, "u-eve");
    assert_eq!(answer(&site, &read, "nobody@x.org"), Answer::Nowhere);
}

/// Where a person and a group have one id, both are listed, and each is found by its kind: live and in the ledger.
#[test]
fn a_person_and_a_group_with_one_id_are_told_apart() {
    let mut site = site(Settings::default());
    let named = |id: &str| {
        let ada = User { external_id: id.into(), ..user("ada") };
        let staff = Group { external_id: id.into(), ..group("Staff", &["ada"]) };
        [Read::of(&[ada]).groups(&[staff])]
    };
    let read = named("7");
    synced(&mut site, &read);
    let written = |moment: Moment| moment.0.to_string();
    let answers = |who: &str| {
        let offline = explain_from_ledger(&site.ledger, &Sought::of(who), site.now, written);
        [answer(&site, &read, who), offline]
    };
    for answer in answers("7") {
        let Answer::Ambiguous(candidates) = answer else { panic!("{answer:?}") };
        let told: Vec<_> =
            candidates.iter().map(|one| (one.subject, one.name.as_str(), one.id.as_str())).collect();
        assert_eq!(told, [(SubjectKind::Person, "ada@x.org", "7"), (SubjectKind::Group, "Staff", "7")]);
    }
    for (who, subject) in [
        ("user:7", SubjectKind::Person),
        ("User: ada@x.org", SubjectKind::Person),
        ("group:7", SubjectKind::Group),
        ("GROUP:staff", SubjectKind::Group),
    ] {
        for answer in answers(who) {
            let Answer::Found(found) = answer else { panic!("{who}: {answer:?}") };
            assert_eq!(found.subject, subject, "{who}");
        }
    }
    for nobody in ["group:ada@x.org", "user:staff", "other:7"] {
        assert_eq!(answers(nobody), [Answer::Nowhere, Answer::Nowhere], "{nobody}");
    }
}

/// People and groups may have the same ids: what a directory found by a name is the one or the other.
#[test]
fn a_group_that_a_directory_found_is_not_a_person_with_its_id() {
    let site = site(Settings::default());
    let group = Group { external_id: "u-ada".into(), ..group("Staff", &[]) };
    let read = [Read::of(&[user("ada")]).groups(&[group])];
    let sought = |people: &[&str], groups: &[&str]| {
        let ids = |ids: &[&str]| ids.iter().map(|id| ExternalId::from(*id)).collect();
        let sought = Sought { people: ids(people), groups: ids(groups), ..Sought::of("by hand") };
        match answer_to(&site, &read, &sought, &[]) {
            Answer::Found(found) => found.subject,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sought(&[], &["u-ada"]), SubjectKind::Group);
    assert_eq!(sought(&["u-ada"], &[]), SubjectKind::Person);
}

#[test]
fn the_ledger_alone_tells_what_was_imported() {
    let mut site = site(Settings::default());
    synced(&mut site, &[Read::of(&[user("ada")]).groups(&[group("Staff", &["ada"])])]);
    let ask = |who: &str| {
        explain_from_ledger(&site.ledger, &Sought::of(who), site.now, |moment| moment.0.to_string())
    };
    let Answer::Found(found) = ask("u-ADA") else { panic!() };
    says(&found, VerdictCode::Recorded, "ada@x.org: imported, and not left since");
    assert_eq!(found.object, "explanation");
    assert_eq!(found.sent[0].groups, ["Staff"]);
    let Answer::Found(found) = ask("staff") else { panic!() };
    says(&found, VerdictCode::Recorded, "Staff: imported with 1 member.");
    assert_eq!(ask("nobody"), Answer::Nowhere);
}
