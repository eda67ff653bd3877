use bwdc_connect::ErrorKind;
use bwdc_connect::bitwarden::{Offered, ServerKind, Within};
use bwdc_core::organization::roster::{Account, Former, GroupId, Held, Role, Seats, Staging, Status};
use bwdc_sandbox::{Edit, Fault, Options, Status as Played};

use crate::world::{Patience, World};

/// Fault of a request, after which a part must not count as the whole.
const TROUBLE: [Fault; 9] = [
    Fault::Lost,
    Fault::AnswerLost,
    Fault::AnswerCut,
    Fault::GatewayTimeout,
    Fault::Refused(429),
    Fault::Refused(500),
    Fault::Refused(502),
    Fault::Refused(503),
    Fault::Refused(504),
];

#[tokio::test]
async fn members_groups_and_memberships_are_read() {
    let world = World::official(Patience::None).await;
    world.add("a@x.org", Some("a"), Played::Invited);
    world.add("b@x.org", Some("b"), Played::Confirmed);
    world.add("c@x.org", None, Played::Staged);
    world.edit(Edit::Revoke("b@x.org".into()));
    world.add_group("One", &["a@x.org", "b@x.org"]);
    world.add_group("Empty", &[]);
    let roster = world.roster().await;
    let mut shown: Vec<_> = roster
        .members()
        .map(|member| {
            let id = member.external_id.as_ref().map(|id| id.as_str().to_owned());
            (member.email.as_str().to_owned(), id, member.status, member.role, member.account)
        })
        .collect();
    shown.sort();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            ("a@x.org".into(), text("a"), Status::Invited, Role::User, Account::None),
            ("b@x.org".into(), text("b"), Status::Revoked(Former::Unknown), Role::User, Account::Linked),
            ("c@x.org".into(), None, Status::Staged, Role::User, Account::None),
            ("owner@sandbox.example".into(), None, Status::Confirmed, Role::Owner, Account::Linked),
        ]
    );
    let one = roster.group(&world.group("One")).unwrap();
    assert_eq!(one.external_id.as_ref().unwrap().as_str(), "one");
    assert_eq!(one.members, Held::of([world.member("a@x.org"), world.member("b@x.org")]));
    assert_eq!(roster.group(&world.group("Empty")).unwrap().members, Held::of([]));
    assert_eq!(world.client.seats(&world.token).await.unwrap(), None, "a self-hosted server does not tell");
}

#[tokio::test]
async fn seats_and_flags_are_read_if_reported() {
    let world = World::cloud().await;
    assert_eq!(world.client.seats(&world.token).await.unwrap(), None, "no number, no limit");
    world.sandbox.set_seats(bwdc_sandbox::Seats { number: Some(5), most: Some(9), ..Default::default() });
    let seats = Seats { available: 5, at_most: Some(9) };
    assert_eq!(world.client.seats(&world.token).await.unwrap(), Some(seats));
    let server = world.client.server(&world.token).await.unwrap();
    assert_eq!((server.kind, server.staging), (ServerKind::Official, Staging::Off));
    let staging = Options { staging: bwdc_sandbox::Staging::On, ..Options::default() };
    let world = World::start(staging, Patience::None).await;
    assert_eq!(world.client.server(&world.token).await.unwrap().staging, Staging::On);
}

#[tokio::test]
async fn an_unreadable_server_is_reported_as_such() {
    let world = World::vaultwarden().await;
    assert!(matches!(world.client.roster(&world.token).await.unwrap(), Offered::NotOffered));
    assert_eq!(world.client.members(&world.token).await.unwrap(), Offered::NotOffered);
    assert_eq!(world.client.seats(&world.token).await.unwrap(), None);
    let server = world.client.server(&world.token).await.unwrap();
    assert_eq!(server.kind.rules(), bwdc_core::organization::Kind::Vaultwarden);
}

#[tokio::test]
async fn a_group_deleted_meanwhile_is_reported_and_the_others_are_read() {
    let world = World::official(Patience::None).await;
    let groups: Vec<GroupId> =
        (0..40).map(|at| world.add_group(&format!("g{at}"), &["owner@sandbox.example"])).collect();
    world.edit(Edit::DeleteGroup("g7".into()));
    let read = world.client.memberships(&world.token, &groups).await.complete().unwrap();
    assert_eq!(read.len(), 40);
    for ((id, within), group) in read.iter().zip(&groups) {
        assert_eq!(id, group);
        assert_eq!(*within == Within::Gone, *group == groups[7]);
    }
}

/// A separate world for each: abandoned requests may arrive after the next one.
async fn six_groups() -> (World, Vec<GroupId>) {
    let world = World::official(Patience::None).await;
    world.add("a@x.org", Some("a"), Played::Invited);
    let groups = (0..6).map(|at| world.add_group(&format!("g{at}"), &["a@x.org"])).collect();
    (world, groups)
}

#[tokio::test]
async fn a_read_is_complete_or_an_error_whatever_happens_at_whichever_request() {
    for fault in TROUBLE {
        for at in 1..=2 {
            let (world, _) = six_groups().await;
            world.inject(at, fault);
            let error = world.client.roster(&world.token).await.unwrap_err();
            assert_ne!(error.kind(), ErrorKind::Unclear, "{fault:?} at {at}: {error}");
        }
        for at in 1..=6 {
            let (world, groups) = six_groups().await;
            world.inject(at, fault);
            let memberships = world.client.memberships(&world.token, &groups).await;
            assert!(memberships.missing.is_some(), "{fault:?} at {at}");
            assert!(memberships.read.len() < groups.len());
            let whole = Within::Members(Held::of([world.member("a@x.org")]));
            let is_as_asked = memberships
                .read
                .iter()
                .zip(&groups)
                .all(|((id, within), group)| id == group && *within == whole);
            assert!(is_as_asked, "{fault:?} at {at}");
        }
    }
}

#[tokio::test]
async fn a_read_overcomes_temporary_failures() {
    let world = World::official(Patience::Some).await;
    let group = world.add_group("One", &["owner@sandbox.example"]);
    for fault in TROUBLE {
        world.inject(1, fault);
        let read = world.client.memberships(&world.token, std::slice::from_ref(&group)).await;
        assert_eq!(read.complete().unwrap().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn the_rest_is_read_with_a_new_token() {
    let world = World::official(Patience::None).await;
    let groups: Vec<GroupId> = (0..20).map(|at| world.add_group(&format!("g{at}"), &[])).collect();
    world.inject(10, Fault::ExpiredToken);
    let memberships = world.client.memberships(&world.token, &groups).await;
    assert_eq!(memberships.missing.unwrap().kind(), ErrorKind::Credentials);
    assert!(memberships.read.len() < 10);
}
