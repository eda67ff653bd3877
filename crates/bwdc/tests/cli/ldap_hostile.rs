//! LDAP servers that send invalid data: reported as an error, without a crash, a hang or an import.

use std::time::{Duration, Instant};

use bwdc_sandbox::Options;
use bwdc_testkit::Scripted;
use bwdc_testkit::scripted::{Request, cookie, element, entry, message, nested, outcome};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};

const BIND_RESPONSE: u8 = 0x61;
const SEARCH_DONE: u8 = 0x65;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Runs a command against a server that accepts every login and answers searches, and other requests, like this.
fn run(words: &[&str], ldap: Value, answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Ran {
    let server = Scripted::start(answer);
    let organization = Organization::start(Options::default());
    let ran = instance(&server, &organization, ldap).run(words);
    assert_eq!(organization.imports(), 0);
    ran
}

fn instance(server: &Scripted, organization: &Organization, ldap: Value) -> Instance {
    let mut instance = Instance::empty();
    let mut directory = json!({
        "hostname": "127.0.0.1", "port": server.port(), "rootPath": "dc=x", "username": "reader", "password": "p",
    });
    directory.as_object_mut().unwrap().extend(ldap.as_object().unwrap().clone());
    instance.write(&json!({
        "stateVersion": 8,
        "environmentUrls": { "base": organization.sandbox.url() },
        "directoryType": 0,
        "directoryLdap": directory,
        "sync": { "users": true, "userObjectClass": "person", "groupObjectClass": "group" },
    }));
    instance.key(&organization.sandbox);
    instance
}

fn sync(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Ran {
    run(&["sync"], json!({}), answer)
}

/// Accepts every login and answers searches like this.
fn searches(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Ran {
    sync(move |request| match request.operation {
        0 => message(request.id, &[outcome(BIND_RESPONSE, 0, "")]),
        _ => answer(request),
    })
}

fn person(number: usize) -> Vec<u8> {
    entry(&format!("cn=p{number},dc=x"), &[("mail", &format!("p{number}@example.org"))])
}

/// Elements nested ten thousand deep use up no stack: before the login, instead of TLS, in a search, in a control.
#[test]
fn deep_nesting_does_not_crash() {
    let no_ldap = ["is not valid LDAP"];
    sync(|_| nested(10_000)).fails(1, &no_ldap);
    sync(|request| message(request.id, &[nested(10_000)])).fails(1, &no_ldap);
    sync(|request| message(request.id, &[outcome(BIND_RESPONSE, 0, ""), nested(10_000)])).fails(1, &no_ldap);
    searches(|request| message(request.id, &[element(0x64, &nested(10_000))])).fails(1, &no_ldap);
    searches(|request| {
        let control = element(0xa0, &nested(10_000));
        message(request.id, &[outcome(SEARCH_DONE, 0, ""), control])
    })
    .fails(1, &no_ldap);
    run(&["sync"], json!({ "ssl": true, "startTls": true }), |_| nested(10_000)).fails(1, &no_ldap);
}

/// Octets that are not a message, and messages without required parts.
#[test]
fn answers_that_are_not_ldap_are_reported() {
    for octets in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        b"\x30\x03\x02\x01\x01",
        b"\x30\x05\x02\x01\x01\x61\x00",
        b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\xff\x04\x00\x04\x00",
    ] {
        let octets = octets.to_vec();
        sync(move |_| octets.clone()).fails(1, &["Logging in to ldap://127.0.0.1", "is not valid LDAP"]);
    }
    // An answer to a request that was not sent.
    sync(|request| message(request.id + 1, &[outcome(BIND_RESPONSE, 0, "")]))
        .fails(1, &["is not valid LDAP"]);
}

/// A server that disconnects gives a reason (RFC 4511, section 4.4.1); Active Directory puts the OID where controls belong.
#[test]
fn a_disconnecting_server_is_quoted() {
    for goodbye in [
        message(0, &[outcome(EXTENDED_RESPONSE, 52, "going down for maintenance")]),
        message(0, &[outcome(EXTENDED_RESPONSE, 52, "going down for maintenance"), element(0x8a, b"1.3.6")]),
    ] {
        searches(move |request| [message(request.id, &[person(1)]), goodbye.clone()].concat()).fails(
            1,
            &[
                "Reading users",
                "the server ended the connection: unavailable (52): going down for maintenance",
            ],
        );
    }
}

/// Data injected before TLS must not count as received inside it.
#[test]
fn data_before_tls_does_not_count() {
    let startls = json!({ "ssl": true, "startTls": true });
    run(&["sync"], startls, |request| {
        [
            message(request.id, &[outcome(EXTENDED_RESPONSE, 0, "")]),
            message(request.id + 1, &[outcome(BIND_RESPONSE, 0, "")]),
        ]
        .concat()
    })
    .fails(1, &["is not valid LDAP"]);
}

/// A value of 100 MB is refused once its length is known: the server sends only the beginning.
#[test]
fn a_huge_value_is_refused_before_it_arrives() {
    searches(|request| {
        let whole = entry("cn=p,dc=x", &[("mail", "p@example.org"), ("jpegPhoto", "")]);
        let mut octets = message(request.id, &[whole]);
        // The lengths of the message, the entry, the list, the attribute, the set and the value grow by 100 MB.
        let more = 100_000_000_u32;
        let mut at = 0;
        while at < octets.len() {
            let length = u32::from_be_bytes(octets[at + 2..at + 6].try_into().unwrap());
            let end = at + 6 + length as usize;
            if end == octets.len() {
                octets[at + 2..at + 6].copy_from_slice(&(length + more).to_be_bytes());
                if matches!(octets[at], 4) {
                    break;
                }
                at += 6;
            } else {
                at = end;
            }
        }
        octets.extend(vec![b'x'; 3_000_000]);
        octets
    })
    .fails(1, &["the entry cn=p,dc=x has a value of 100000000 bytes in the attribute jpegPhoto", "1048576"]);
}

/// Pages without progress: without entries, with the same entries under changing cookies, with alternating cookies.
#[test]
fn pages_without_progress_come_to_an_end() {
    let page = |request: &Request, entries: Vec<Vec<u8>>, next: &[u8]| {
        let entries = entries.into_iter().map(|entry| message(request.id, &[entry]));
        let done = message(request.id, &[outcome(SEARCH_DONE, 0, ""), cookie(next)]);
        [entries.flatten().collect(), done].concat()
    };
    searches(move |request| page(request, Vec::new(), &request.search.to_be_bytes()))
        .fails(1, &["pages without an entry"]);
    searches(move |request| page(request, vec![person(1), person(2)], &request.search.to_be_bytes()))
        .fails(1, &["repeats the same page over and over"]);
    searches(move |request| {
        let turn = request.search % 2;
        page(request, vec![person(turn)], &turn.to_be_bytes())
    })
    .fails(1, &["repeats the same page over and over"]);
}

/// Once there was a next page, the end must be marked by a readable control.
#[test]
fn an_unmarked_end_is_not_an_end() {
    for controls in [None, Some(element(0xa0, &element(5, b"zzz"))), Some(element(0xa0, b""))] {
        searches(move |request| {
            let (entry, control) = match request.search {
                1 => (person(1), Some(cookie(b"next"))),
                _ => (person(2), controls.clone()),
            };
            let done = [Some(outcome(SEARCH_DONE, 0, "")), control].into_iter().flatten().collect::<Vec<_>>();
            [message(request.id, &[entry]), message(request.id, &done)].concat()
        })
        .fails(1, &["(page 2)", "Reading users"]);
    }
}

/// Endless references do not fill the memory.
#[test]
fn references_are_limited() {
    searches(|request| {
        let reference = message(request.id, &[element(0x73, &element(4, b"ldap://other.example.org/dc=x"))]);
        reference.repeat(2_000)
    })
    .fails(1, &["more than 1000 other places"]);
}

/// A list that starts over whatever range is requested.
#[test]
fn ranges_without_progress_are_an_error() {
    let answer = |request: &Request| {
        let says = |text: &str| String::from_utf8_lossy(&request.octets).contains(text);
        let done = message(request.id, &[outcome(SEARCH_DONE, 0, "")]);
        let found = match request.operation {
            0 => return message(request.id, &[outcome(BIND_RESPONSE, 0, "")]),
            _ if says("group") || says(";range=") => {
                entry("cn=g,dc=x", &[("name", "Group"), ("member;range=0-0", "cn=p1,dc=x")])
            }
            _ => person(1),
        };
        [message(request.id, &[found]), done].concat()
    };
    let server = Scripted::start(answer);
    let organization = Organization::start(Options::default());
    let instance = instance(&server, &organization, json!({}));
    instance.run(&["config", "sync.groups", "true"]).ok();
    instance.run(&["sync"]).fails(1, &["Reading the members of cn=g,dc=x from number 1 on", "no new ones"]);
    assert_eq!(organization.imports(), 0);
}

/// The password is not shown if the server repeats it.
#[test]
fn a_repeated_password_is_masked() {
    let password = json!({ "password": "hunter2 & co" });
    run(&["sync"], password, |request| {
        message(request.id, &[outcome(BIND_RESPONSE, 49, "wrong password: hunter2 & co")])
    })
    .fails(1, &["invalidCredentials (49): wrong password: [secret]"]);
}

/// Anybody with write access to the directory can add a reference: without TLS the password is not sent to it.
#[test]
fn a_reference_does_not_get_the_password() {
    let elsewhere = Scripted::start(|_| panic!("nobody should come here"));
    let reference = format!("ldap://localhost:{}/ou=a,dc=x", elsewhere.port());
    let answer = move |request: &Request| match request.operation {
        0 => message(request.id, &[outcome(BIND_RESPONSE, 0, "")]),
        _ => [
            message(request.id, &[element(0x73, &element(4, reference.as_bytes()))]),
            message(request.id, &[outcome(SEARCH_DONE, 0, "")]),
        ]
        .concat(),
    };
    run(&["sync"], json!({ "referrals": "follow" }), answer)
        .fails(1, &["the password would go to localhost without TLS"]);
}

/// `doctor` and `init` give up within the time limit of a sync, although the server is silent.
#[test]
fn doctor_and_init_come_to_an_end() {
    let server = Scripted::start(|_| Vec::new());
    let organization = Organization::start(Options::default());
    let instance = instance(&server, &organization, json!({}));
    instance.run(&["config", "sync.timeout", "2s"]).ok();
    let began = Instant::now();
    let told = instance.run(&["doctor"]);
    assert!(
        told.code == 1 && told.out.contains("the checks took longer than 2 s (sync.timeout)"),
        "{}",
        told.out
    );
    let mut fresh = Instance::empty();
    fresh.key(&organization.sandbox);
    fresh.set_env("BWDC_LDAP_PASSWORD", "p");
    let more = ["--set", "sync.timeout=2s", "--set", "ldap.rootPath=dc=x"];
    fresh.init(&organization, server.port(), "reader", &[&more[..], &["--untested"]].concat()).ok();
    let fresh = self::instance(&server, &organization, json!({}));
    fresh
        .init(&organization, server.port(), "reader", &more)
        .fails(1, &["took longer than 2 s (sync.timeout)"]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Names without end: each is refused before it is kept, wherever it stands.
#[test]
fn names_without_end_do_not_fill_the_memory() {
    searches(|request| {
        let name = format!("cn={},dc=x", "x".repeat(900_000));
        message(request.id, &[entry(&name, &[("mail", "p@example.org")])]).repeat(50)
    })
    .fails(1, &["a name of 900008 bytes; at most 16384 are read", "leave the entry out"]);
    searches(|request| {
        let server = format!("ldap://{}.example.org/dc=x", "x".repeat(900_000));
        message(request.id, &[element(0x73, &element(4, server.as_bytes()))])
    })
    .fails(1, &["refers to another place in more than 65536 bytes"]);
}
