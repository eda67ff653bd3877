//! Reads of what has changed since the last sync.

use jiff::{SignedDuration, ToSpan};

use super::*;

/// When `joe` was changed last; everything else has been as it is for years.
struct Change(SignedDuration);

impl Change {
    /// This long before the last sync.
    fn before_last_sync(self) -> (Slapd, Timestamp) {
        let last = Timestamp::now() - 10.minutes();
        let time = |time: Timestamp| time.strftime("%Y%m%d%H%M%SZ").to_string();
        let (then, of_joe) = (time(last - 10_000.hours()), time(last - self.0));
        let mut entries: Vec<String> = Vec::new();
        for entry in LDIF.trim_end().split("\n\n") {
            let changed = if entry.starts_with("dn: uid=joe") { &of_joe } else { &then };
            entries.push(format!("{entry}\ncreateTimestamp: {then}\nmodifyTimestamp: {changed}\n"));
        }
        (Slapd::with(&(entries.join("\n") + "\n")), last)
    }
}

fn config(slapd: &Slapd) -> ldap::Config {
    let mut config = ldap_config(slapd);
    config.attributes.revision = Some("modifyTimestamp".to_owned());
    config
}

async fn read(config: ldap::Config, scope: ReadScope, [users, groups]: [Option<Timestamp>; 2]) -> Snapshot {
    let extent = ReadExtent::Since { users, groups, cursor: Cursor::default() };
    let ask = Ask { scope, extent, others: Others::WhenNeeded };
    let directory = directory::open(Config::Ldap(Box::new(config))).unwrap();
    directory.read(&ask, &Arc::new(Progress::default())).await.unwrap()
}

fn counts(snapshot: &Snapshot) -> (usize, usize, Coverage) {
    (snapshot.users.len(), snapshot.groups.len(), snapshot.coverage)
}

#[tokio::test]
async fn overlap_by_an_hour() {
    let (slapd, last) = Change(SignedDuration::from_mins(50)).before_last_sync();
    let found = read(config(&slapd), ReadScope::UsersAndGroups, [Some(last); 2]).await;
    assert_eq!(counts(&found), (1, 2, Coverage::Changes), "all groups, because of one person");
    assert_eq!(found.others.len(), 2, "members of the groups");

    let (slapd, last) = Change(SignedDuration::from_mins(70)).before_last_sync();
    for scope in [ReadScope::UsersAndGroups, ReadScope::Users, ReadScope::Groups] {
        let found = read(config(&slapd), scope, [Some(last); 2]).await;
        assert_eq!(counts(&found), (0, 0, Coverage::Changes), "{scope:?}");
    }
}

#[tokio::test]
async fn any_changed_person_causes_all_groups_to_be_read() {
    let (slapd, last) = Change(SignedDuration::ZERO).before_last_sync();
    let found = read(config(&slapd), ReadScope::Groups, [None, Some(last)]).await;
    assert_eq!(counts(&found), (0, 2, Coverage::Changes));
    let mut filtered = config(&slapd);
    filtered.users.filter = Some("(uid=ann)".to_owned());
    let found = read(filtered, ReadScope::UsersAndGroups, [Some(last); 2]).await;
    assert_eq!(counts(&found), (0, 2, Coverage::Changes), "the filter leaves out the person who changed");
}

#[tokio::test]
async fn everything_is_read_if_a_time_is_missing_or_in_the_future() {
    let (slapd, last) = Change(SignedDuration::ZERO).before_last_sync();
    let future = Some(Timestamp::now() + 2.hours());
    let scope = ReadScope::UsersAndGroups;
    for (times, warnings) in [
        ([None, None], 0),
        ([None, Some(last)], 0),
        ([Some(last), None], 0),
        ([future, Some(last)], 1),
        ([Some(last), future], 1),
    ] {
        let found = read(config(&slapd), scope, times).await;
        assert_eq!(counts(&found), (3, 2, Coverage::Full), "{times:?}");
        assert_eq!(found.notes.len(), warnings, "{:?}", found.notes);
    }
    // A time that is not needed does not count.
    let found = read(config(&slapd), ReadScope::Users, [Some(last), future]).await;
    assert_eq!(counts(&found), (1, 0, Coverage::Changes));
}
