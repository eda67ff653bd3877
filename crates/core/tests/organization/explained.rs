//! Ways of being in or out, each with the cause that an explanation names.

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status as Life, User};
use bwdc_core::explain::{
    Answer, DirectoryRead, Effect, Explanation, Facts, MembershipState, Sought, VerdictCode,
    explain_from_ledger,
};
use bwdc_core::filter::SetFilter;
use bwdc_core::merge::{MergeSource, Share, merge};
use bwdc_core::organization::changes::{Action, Cause, KeptBy};
use bwdc_core::organization::directory::{DirectoryNow, GroupsRead, Part, PeopleRead};
use bwdc_core::organization::limits::LimitName;
use bwdc_core::organization::roster::{Kind, Status};
use bwdc_core::organization::settings::{Absent, Limit, Protect, Settings, VanishedGroups};
use bwdc_core::organization::{Moment, Span, changes};
use bwdc_core::rules::{BadRecords, DisabledUsers, ExistingMembers, Rules};
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
}

impl Read {
    fn of(users: &[User]) -> Self {
        let rules = Rules { bad_records: BadRecords::Skip, ..Rules::default() };
        Self { name: "one", prefix: "", snapshot: read(users), rules }
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
            people: PeopleRead::Imported,
            created: read.snapshot.created.clone(),
        })
        .collect();
    let now = DirectoryNow::of(&parts, &prepared, GroupsRead::Completely);
    (prepared, now)
}

type Source_ = bwdc_core::organization::directory::Source;

fn site(settings: Settings) -> Site {
    Site::new(Kind::Official, Settings { limit_removals: Limit::Off, limit_leaves: Limit::Off, ..settings })
}

/// Syncs these directories as they are.
fn synced(site: &mut Site, directories: &[Read]) {
    site.sync(&decided(directories).1);
}

fn answer(site: &Site, directories: &[Read], who: &str) -> Answer {
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
            people: PeopleRead::Imported,
        })
        .collect();
    let facts = Facts {
        directories: &reads,
        prepared: &prepared,
        question,
        changes: &changes,
        refused: &[],
        written: |moment: Moment| moment.0.to_string(),
    };
    explain(&facts, &Sought { text: who.to_owned(), ids: Vec::new() })
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
        ada().rules(|rules| rules.user_filter = include),
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
    says(&told, VerdictCode::Changes, "the id or the address belongs to somebody else now");
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

#[test]
fn the_ledger_alone_tells_what_was_imported() {
    let mut site = site(Settings::default());
    synced(&mut site, &[Read::of(&[user("ada")]).groups(&[group("Staff", &["ada"])])]);
    let ask = |who: &str| {
        let sought = Sought { text: who.to_owned(), ids: Vec::new() };
        explain_from_ledger(&site.ledger, &sought, site.now, |moment| moment.0.to_string())
    };
    let Answer::Found(found) = ask("u-ADA") else { panic!() };
    says(&found, VerdictCode::Recorded, "ada@x.org: imported, and not left since");
    assert_eq!(found.sent[0].groups, ["Staff"]);
    let Answer::Found(found) = ask("staff") else { panic!() };
    says(&found, VerdictCode::Recorded, "Staff: imported with 1 members");
    assert_eq!(ask("nobody"), Answer::Nowhere);
}
