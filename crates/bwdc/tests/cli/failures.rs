//! Failures between us and the directory: a clear error, nothing imported, `data.json` unchanged.

use bwdc_sandbox::Options;
use bwdc_testkit::proxy::{canned_server, mute_server};
use bwdc_testkit::slapd::Quirk;
use bwdc_testkit::{Cut, CutProxy, Slapd, free_port, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization};

/// Logs in first, so that the failing sync has nothing to store.
fn prepared(slapd: &Slapd, organization: &Organization, ldap: Value) -> Instance {
    let instance = Instance::ldap(slapd, organization);
    instance.run(&["login"]).ok();
    instance.change(|data| {
        for (key, value) in ldap.as_object().unwrap() {
            data["directoryLdap"][key] = value.clone();
        }
    });
    instance
}

#[track_caller]
fn refuses(instance: &Instance, organization: &Organization, words: &[&str]) {
    let before = instance.text();
    let ran = instance.run(&["sync"]).fails(1, words);
    assert_eq!(ran.out, "");
    assert_eq!(instance.text(), before);
    assert_eq!((organization.imports(), organization.emails().len()), (0, 0));
    // The same error as one JSON object.
    let json: Value = serde_json::from_str(&instance.run(&["sync", "--response"]).out).unwrap();
    assert_eq!(json["success"], false);
    for word in words {
        assert!(json.to_string().contains(word), "{json}");
    }
}

#[test]
fn errors_in_the_settings_are_named() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let missing = "/nowhere/ca.pem";
    let closed = free_port();
    let tls = slapd.tls_port();
    let not_tls = slapd.port();
    for (ldap, words) in [
        (
            json!({ "password": "wrong" }),
            &["Logging in to ldap://127.0.0.1", "cn=reader", "invalidCredentials (49)", "ldap.password"][..],
        ),
        (
            json!({ "rootPath": "dc=example,dc=com" }),
            &["under `ou=", ",dc=example,dc=com`", "noSuchObject (32)", "ldap.rootPath"],
        ),
        (
            json!({ "rootPath": "dc=wrong,dc=example,dc=org" }),
            &["noSuchObject (32)", "the part that exists is `dc=example,dc=org`"],
        ),
        (
            json!({ "ssl": true, "port": tls, "sslCaPath": missing }),
            &["Reading the certificates in /nowhere/ca.pem", "No such file"],
        ),
        (
            json!({ "ssl": true, "port": tls, "sslCaPath": slapd.certificates().other_ca }),
            &["ldaps://127.0.0.1", "UnknownIssuer", "ldap.sslCaPath"],
        ),
        (json!({ "ssl": true, "port": tls }), &["UnknownIssuer"]),
        (
            json!({ "ssl": true, "startTls": true, "tlsCaPath": slapd.certificates().other_ca }),
            &["UnknownIssuer", "ldap.tlsCaPath"],
        ),
        (
            json!({ "ssl": true, "port": not_tls, "sslCaPath": slapd.certificates().ca }),
            &["ldaps://127.0.0.1", "port matches ldap.ssl"],
        ),
        (json!({ "port": closed }), &["Connection refused", "Nothing is listening there"]),
        (json!({ "hostname": "no-such-host.invalid" }), &["no-such-host.invalid", "DNS"]),
        (json!({ "startTls": true }), &["contradict each other"]),
        (json!({ "hostname": null }), &["Directory configuration incomplete.", "ldap.hostname"]),
        (json!({ "port": null }), &["Directory configuration incomplete.", "ldap.port"]),
        (json!({ "port": 70000 }), &["ldap.port", "1 to 65535"]),
        (json!({ "username": null }), &["Username/password are not configured."]),
        (json!({ "password": "" }), &["Username/password are not configured."]),
        (json!({ "password": "[STORED SECURELY]" }), &["ldap.password", "secret store"]),
        (json!({ "ssl": "yes" }), &["ldap.ssl", "true or false"]),
    ] {
        let instance = prepared(&slapd, &organization, ldap.clone());
        refuses(&instance, &organization, words);
        assert!(!instance.run(&["sync"]).err.contains("correct horse"), "{ldap}");
    }
}

#[test]
fn an_expired_certificate_is_named_as_such() {
    let slapd = Slapd::start(&ldif::small(5, 1, 2), Quirk::Expired);
    let organization = Organization::start(Options::default());
    let ca = &slapd.certificates().ca;
    let ldaps = json!({ "ssl": true, "port": slapd.tls_port(), "sslCaPath": ca });
    refuses(&prepared(&slapd, &organization, ldaps), &organization, &["expired", "have it renewed"]);
    let start_tls = json!({ "ssl": true, "startTls": true, "tlsCaPath": ca });
    refuses(&prepared(&slapd, &organization, start_tls), &organization, &["expired", "have it renewed"]);
}

/// They are of no use where nothing goes over TLS, or where a file is named in their place.
#[test]
fn the_authorities_of_the_system_are_needed_where_they_are_to_vouch() {
    let slapd = Slapd::start(&ldif::small(5, 1, 2), Quirk::None);
    let organization = Organization::start(Options::default());
    let ldaps = json!({ "ssl": true, "port": slapd.tls_port() });
    let mut instance = prepared(&slapd, &organization, ldaps);
    instance.set_env("SSL_CERT_FILE", "/nowhere/ca.pem");
    instance.set_env("SSL_CERT_DIR", "/nowhere");
    let words =
        ["reading the system's trusted certificates: ", "Install the package ca-certificates", "sslCaPath"];
    refuses(&instance, &organization, &words);
    instance.change(|data| {
        data["directoryLdap"]["sslCaPath"] = slapd.certificates().ca.display().to_string().into();
    });
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails().len(), 5);
}

#[test]
fn a_server_that_requires_tls_says_what_to_switch_on() {
    let slapd = Slapd::start(&ldif::small(5, 1, 2), Quirk::WantsTls);
    let organization = Organization::start(Options::default());
    refuses(&prepared(&slapd, &organization, json!({})), &organization, &["(13)", "set ldap.ssl to true"]);
}

#[test]
fn a_size_limit_is_never_a_short_list() {
    let slapd = Slapd::start(&ldif::small(500, 1, 2), Quirk::SizeLimit(100));
    let organization = Organization::start(Options::default());
    for paged in [true, false] {
        let instance = prepared(&slapd, &organization, json!({ "pagedSearch": paged }));
        refuses(&instance, &organization, &["LimitExceeded", "Nothing was imported", "users"]);
    }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    for ldap in [json!({ "port": mute_server() }), json!({ "port": mute_server(), "ssl": true })] {
        let mut instance = prepared(&slapd, &organization, ldap);
        instance.set_env("BWDC_SILENCE_SECONDS", "0.4");
        refuses(&instance, &organization, &["no answer within 0.4 s"]);
    }
}

#[test]
fn a_server_that_is_not_ldap_is_named() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    for answer in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x01", b""]
    {
        let instance = prepared(&slapd, &organization, json!({ "port": canned_server(answer) }));
        refuses(&instance, &organization, &["127.0.0.1"]);
    }
}

/// The connection ends after every 211th byte of a whole run in turn, or falls silent: always an error, never a part.
#[test]
fn a_connection_cut_anywhere_never_imports_a_part() {
    let slapd = Slapd::with(&ldif::small(60, 4, 6));
    let organization = Organization::start(Options::default());
    let whole = CutProxy::start(slapd.port(), Cut::Never);
    let rehearsal = prepared(&slapd, &organization, json!({ "port": whole.port() }));
    rehearsal.run(&["test"]).ok();
    let length = whole.bytes();
    assert!(length > 5_000, "{length}");
    for cut in (0..length - 20).step_by(211).map(Cut::CloseAfter).chain([Cut::SilenceAfter(length / 2)]) {
        let proxy = CutProxy::start(slapd.port(), cut);
        let mut instance = prepared(&slapd, &organization, json!({ "port": proxy.port() }));
        instance.set_env("BWDC_SILENCE_SECONDS", "1");
        let before = instance.text();
        let ran = instance.run(&["sync"]).fails(1, &["127.0.0.1"]);
        assert_eq!((ran.out.as_str(), instance.text()), ("", before), "{cut:?}");
        assert_eq!(organization.imports(), 0, "{cut:?}");
    }
}

#[test]
fn filters_are_checked_before_anything_is_read() {
    let slapd = Slapd::with(&ldif::small(5, 1, 2));
    let organization = Organization::start(Options::default());
    let instance = prepared(&slapd, &organization, json!({}));
    instance.change(|data| data["sync"]["userFilter"] = json!("(&(uid=a)"));
    refuses(&instance, &organization, &["sync.userFilter", "a closing bracket is missing, at character 10"]);
}

#[test]
fn accounts_with_the_same_address_are_all_named() {
    let organization = Organization::start(Options::default());
    let users = "id,email\n1,a@example.org\n2,A@example.org\n3,a@example.org\n4,b@example.org\n";
    let instance = Instance::files(users, "name,members\nAll,1;4\n", &organization);
    instance
        .run(&["sync"])
        .fails(1, &["3 accounts have the e-mail address a@example.org: 1; 2; 3", "sync.onBadRecord"]);
    instance.run(&["test"]).fails(1, &["3 accounts"]);
    assert_eq!(organization.imports(), 0);
    instance.change(|data| data["sync"]["onBadRecord"] = json!("skip"));
    let rehearsed = instance.run(&["test"]).ok();
    assert!(rehearsed.err.contains("left out: 3 accounts have the e-mail address"), "{}", rehearsed.err);
    let ran =
        instance.run(&["sync"]).fails(4, &["left out: 3 accounts have the e-mail address a@example.org"]);
    assert!(ran.out.contains("Synced 1 group(s) and 1 user(s)."));
    assert_eq!(organization.emails(), ["b@example.org"]);
}

#[test]
fn overwriting_with_nobody_is_held_back() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,a@example.org\n", "name,members\n", &organization);
    instance.run(&["sync"]).ok();
    instance.change(|data| data["sync"]["overwriteExisting"] = json!(true));
    instance.company("id,email\n", "name,members\n");
    instance.run(&["sync"]).fails(1, &["there are no people in it", "Nothing was imported"]);
    instance.company("id,email,status\n1,a@example.org,left\n", "name,members\n");
    instance.run(&["sync"]).fails(5, &["No active people were found", "Nothing was imported"]);
    assert_eq!(organization.emails(), ["a@example.org"]);
}

#[test]
fn a_mistyped_filter_keyword_stops_the_run() {
    let organization = Organization::start(Options::default());
    let instance = Instance::files("id,email\n1,a@example.org\n", "name,members\n", &organization);
    instance.change(|data| data["sync"]["userFilter"] = json!("exlude:a@example.org"));
    instance.run(&["sync"]).fails(1, &["sync.userFilter", "did you mean `exclude`?"]);
    assert_eq!(organization.imports(), 0);
}
