//! Tests of the parts that need no server.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by panicking")]

use bwdc_core::entry::Status;
use bwdc_testkit::{damaged, damaged_text, few};
use jiff::Timestamp;
use proptest::prelude::*;

use super::config::{
    Attributes, Bind, Config, Flavour, Identity, OutsideGroups, Paging, PrimaryGroups, Referrals,
    SearchSettings, Security, Timeouts,
};
use super::convert::{EntryState, MemberReferences, Rest, group, member, members, person};
use super::disabled::DisabledBy;
use super::names::Names;
use super::wire::played::{self, read};
use bwdc_core::Secret;

pub(super) fn config(identity: Identity) -> Config {
    let search = || SearchSettings { path: String::new(), object_class: "person".into(), filter: None };
    Config {
        host: "localhost".into(),
        fallbacks: Vec::new(),
        port: 389,
        security: Security::Plain,
        bind: Bind::Simple { username: "reader".into(), password: Secret::from("p") },
        flavour: Flavour::ActiveDirectory,
        paging: Paging::Pages,
        root: "dc=x".into(),
        users: search(),
        groups: search(),
        attributes: Attributes {
            email: "mail".into(),
            made_email: None,
            group_name: "name".into(),
            member: "member".into(),
            revision: None,
        },
        identity,
        disabled_by: DisabledBy::ALL.to_vec(),
        primary_groups: PrimaryGroups::Ignored,
        referrals: Referrals::Report,
        outside_groups: OutsideGroups::Ignored,
        timeouts: Timeouts::default(),
    }
}

/// Entry as it comes over the wire; [`read`] reads it.
fn record(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
    let attributes: Vec<_> = attributes.iter().map(|(name, values)| (*name, values.to_vec())).collect();
    played::entry(dn, &attributes)
}

#[test]
fn names_have_no_case_and_subtypes_count_as_a_fallback() {
    let config = config(Identity::GuidOrDn);
    let email = |attributes: &[(&str, &[&[u8]])]| {
        let person = person(
            &read(&record("cn=a,dc=x", attributes)),
            &config,
            EntryState::Living,
            Timestamp::now(),
            &Names::default(),
        )
        .unwrap();
        person.user.email.map(|email| email.as_str().to_owned())
    };
    assert_eq!(email(&[("MAIL", &[b"A@x.org"])]).unwrap(), "a@x.org");
    assert_eq!(email(&[("mail;lang-en", &[b"en@x.org"]), ("mail", &[b"a@x.org"])]).unwrap(), "a@x.org");
    assert_eq!(email(&[("mail;lang-en", &[b"en@x.org"]), ("mail", &[])]).unwrap(), "en@x.org");
    assert_eq!(email(&[("mailbox", &[b"b@x.org"])]), None);
}

#[test]
fn members_of_every_form_count() {
    let found = |attributes: &[(&str, &[&[u8]])]| {
        let (found, rest) =
            members(&read(&record("cn=g,dc=x", attributes)), "member", &mut MemberReferences::default());
        (found.len(), rest)
    };
    let a: &[u8] = b"cn=a,dc=x";
    assert_eq!(found(&[("Member", &[a]), ("member;x-option", &[b"cn=b,dc=x"])]), (2, Rest::Complete));
    assert_eq!(found(&[("member", &[]), ("member;range=0-1", &[a, a])]), (2, Rest::From(2)));
    assert_eq!(found(&[("member;x-y;RANGE=2-*", &[a])]), (1, Rest::Complete));
    // A part that does not say how far it goes: requested from where it seems to end.
    assert_eq!(found(&[("member;range=0-abc", &[a])]), (1, Rest::From(1)));
    assert_eq!(found(&[("memberOf", &[a]), ("members;range=0-1", &[a])]), (0, Rest::Complete));
}

#[test]
fn a_configured_id_must_exist() {
    let of = |identity: Identity, attributes: &[(&str, &[&[u8]])]| {
        let person = person(
            &read(&record("cn=A,dc=x", attributes)),
            &config(identity),
            EntryState::Living,
            Timestamp::now(),
            &Names::default(),
        );
        person.map(|person| person.user.external_id.as_str().to_owned()).map_err(|error| error.to_string())
    };
    let guid: &[u8] =
        &[0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    assert_eq!(of(Identity::GuidOrDn, &[("objectguid", &[guid])]).unwrap(), text);
    assert_eq!(of(Identity::GuidOrDn, &[("objectGUID", &[b"short"])]).unwrap(), "cn=A,dc=x");
    assert_eq!(of(Identity::Dn, &[("objectGUID", &[guid])]).unwrap(), "cn=A,dc=x");
    assert_eq!(of(Identity::Attribute("objectGUID".into()), &[("objectGUID", &[guid])]).unwrap(), text);
    assert_eq!(of(Identity::Attribute("entryUUID".into()), &[("entryuuid", &[b"u-1"])]).unwrap(), "u-1");
    for missing in [&[][..], &[("entryUUID", &[b" ".as_slice()][..])]] {
        assert!(
            of(Identity::Attribute("entryUUID".into()), missing).unwrap_err().contains("it has no entryUUID")
        );
    }
}

fn description() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "mail",
        "MAIL",
        "mail;lang-en",
        "member",
        "member;range=0-1499",
        "member;range=18446744073709551615-18446744073709551615",
        "member;range=5-*",
        "member;lang-en",
        "member;range=9",
        "objectGUID",
        "userAccountControl",
        "accountExpires",
        "shadowExpire",
        "name",
        "cn",
        "uid",
        "",
    ]);
    prop_oneof![known.prop_map(str::to_owned), ".{0,20}"]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[cn=uo, \\\\\"+;#a-z]{0,60}".prop_map(String::into_bytes),
        Just(vec![b'x'; 100_000]),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        damaged(["512", "9223372036854775807", "TRUE", "000001010000Z", "user@example.org", "S-1-5-21-513"]),
    ]
}

proptest! {
    #![proptest_config(few())]

    /// Whatever a server sends, nothing panics, and the entry next to it comes out as it would alone.
    #[test]
    fn fuzz_entries_of_ldap(
        dn in prop_oneof![damaged_text(["CN=Jane\\0ADEL:5a,CN=Deleted Objects,DC=x", "uid=a+cn=b,dc=x"]), ".{0,60}"],
        attributes in prop::collection::vec((description(), prop::collection::vec(value(), 0..4)), 0..8),
    ) {
        let config = config(Identity::GuidOrDn);
        let odd = played::entry(&dn, &attributes);
        let good = record("cn=good,dc=x", &[("mail", &[b"good@x.org"]), ("name", &[b"Good"]), ("member", &[b"cn=good,dc=x"])]);
        let mut references = MemberReferences::default();
        let now = Timestamp::now();
        prop_assert!(person(&read(&odd), &config, EntryState::Living, now, &Names::default()).is_ok());
        prop_assert!(group(&read(&odd), &config, &mut references).is_ok());
        for mark in DisabledBy::ALL {
            let named = Config { identity: Identity::Attribute(mark.attribute().to_owned()), ..config.clone() };
            if let Err(error) = person(&read(&odd), &named, EntryState::Tombstone, now, &Names::default()) {
                crate::fuzz::harmless(&error, odd.len())?;
            }
        }
        let neighbour = person(&read(&good), &config, EntryState::Living, now, &Names::default()).unwrap();
        prop_assert_eq!(neighbour.user.email.as_ref().unwrap().as_str(), "good@x.org");
        prop_assert_eq!(neighbour.user.status, Status::Active);
        let team = group(&read(&good), &config, &mut references).unwrap().unwrap();
        prop_assert_eq!(&team.group.members[..], std::slice::from_ref(&neighbour.user.reference_id));
    }
}

proptest! {
    #![proptest_config(few())]

    /// A value leads to the same person, whatever came before and however that was spelled.
    #[test]
    fn references_do_not_depend_on_what_came_before(values in prop::collection::vec(
        prop_oneof![
            prop::sample::select(vec![
                "CN=Jane Doe,OU=People,DC=x", "cn=jane doe,ou=people,dc=x", "cn=Jane  Doe , ou=people,dc=x", "cn=Doe\\, Jane,dc=x",
                "CN=doe\\2c jane,dc=x", "uid:cn=a,dc=x", "cn=a,dc=x", "CN=A,dc=x", "jane", "JANE", " jane ", "uid:jane", "cn=,", "CN=,",
                "cn=JÜRGEN,dc=x", "cn=jürgen,dc=x", "cn=a\\,b", "cn=a\\2cb", "CN=A\\2CB",
            ]).prop_map(str::to_owned),
            "[a-bA-B=,+ ]{0,6}",
        ],
        1..12,
    )) {
        let mut before = MemberReferences::default();
        for value in &values {
            let alone = member(value.as_bytes(), &mut MemberReferences::default());
            prop_assert_eq!(member(value.as_bytes(), &mut before), alone, "{:?} of {:?}", value, &values);
        }
    }
}
