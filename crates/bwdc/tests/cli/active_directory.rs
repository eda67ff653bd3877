//! Samba's Active Directory into the sandbox: one domain, one story. Provisioning takes 15 seconds, hence one test.

use std::fmt::Write as _;
use std::fs;

use bwdc_sandbox::Options;
use bwdc_testkit::dns::Dns;
use bwdc_testkit::samba::{ADMINISTRATOR, BASE, Demand, PASSWORD};
use bwdc_testkit::{Samba, Slapd, ldif};
use serde_json::{Value, json};

use crate::harness::{Instance, Organization, Ran};

/// More members than a Windows domain controller lists at once.
const BIG: usize = 2_500;

/// `userAccountControl` of an active account without a password.
const ENABLED: u32 = 544;
const DISABLED: u32 = 546;

fn user(name: &str, place: &str, control: u32) -> String {
    format!(
        "dn: CN={name},{place},{BASE}\nobjectClass: user\nsAMAccountName: {name}\nmail: {name}@ad.example.org\nuserAccountControl: {control}\n\n"
    )
}

fn seed() -> String {
    let mut ldif = format!(
        "dn: OU=Staff,{BASE}\nobjectClass: organizationalUnit\n\ndn: OU=Branch,OU=Staff,{BASE}\nobjectClass: organizationalUnit\n\ndn: OU=Teams,{BASE}\nobjectClass: organizationalUnit\n\n"
    );
    for name in ["jane", "bob", "gone", "mover"] {
        ldif += &user(name, "OU=Staff", ENABLED);
    }
    ldif += &user("idle", "OU=Staff", DISABLED);
    for number in 0..BIG {
        let _ = write!(
            ldif,
            "dn: CN=u{number},OU=Staff,{BASE}\nobjectClass: user\nsAMAccountName: u{number}\nmail: u{number}@ad.example.org\nuserAccountControl: {ENABLED}\n\n"
        );
    }
    let mut group = |name: &str, members: &[String]| {
        let _ = writeln!(ldif, "dn: CN={name},OU=Teams,{BASE}\nobjectClass: group\nsAMAccountName: {name}");
        for member in members {
            let _ = writeln!(ldif, "member: {member},{BASE}");
        }
        ldif.push('\n');
    };
    let staff = |name: &str| format!("CN={name},OU=Staff");
    group("Inner", &["jane", "bob", "idle"].map(staff));
    group("Outer", &["CN=Inner,OU=Teams".to_owned(), staff("mover")]);
    group("Big", &(0..BIG).map(|number| staff(&format!("u{number}"))).collect::<Vec<_>>());
    ldif
}

fn instance(samba: &Samba, organization: &Organization) -> Instance {
    let mut instance = Instance::empty();
    instance.write(&json!({
        "stateVersion": 8,
        "environmentUrls": { "base": organization.sandbox.url() },
        "directoryType": 0,
        "directoryLdap": {
            "hostname": "127.0.0.1", "port": samba.port(), "ssl": false, "rootPath": BASE,
            "username": ADMINISTRATOR, "password": PASSWORD, "ad": true, "pagedSearch": true,
        },
        "sync": {
            "users": true, "groups": true, "removeDisabled": true, "userPath": "OU=Staff", "groupPath": "OU=Teams",
            "userObjectClass": "person", "userEmailAttribute": "mail", "groupObjectClass": "group",
            "groupNameAttribute": "name", "memberAttribute": "member",
        },
    }));
    instance.key(&organization.sandbox);
    instance
}

fn mail(name: &str) -> String {
    format!("{name}@ad.example.org")
}

fn id(instance: &Instance, name: &str) -> Option<String> {
    let test: Value = serde_json::from_str(&instance.run(&["test"]).ok().out).unwrap();
    let users = test["enabledUsers"].as_array().unwrap();
    let user = users.iter().find(|user| user["displayName"] == mail(name))?;
    Some(user["externalId"].as_str().unwrap().to_owned())
}

#[test]
fn a_domain_from_start_to_end() {
    let samba = Samba::with(&seed());
    let organization = Organization::start(Options::default());
    let instance = instance(&samba, &organization);

    // Joiners; a disabled account is not imported.
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.out, format!("Syncing complete.\nSynced 3 group(s) and {} user(s).\n", BIG + 5));
    assert_eq!(ran.err, "");
    let emails = organization.emails();
    assert_eq!(emails.len(), BIG + 4);
    assert!(!emails.contains(&mail("idle")));
    assert_eq!(organization.group("Big").len(), BIG);
    assert_eq!(organization.group("Outer"), [mail("bob"), mail("jane"), mail("mover")]);
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));

    // A GUID in its usual form, which survives a rename and a move.
    let before = id(&instance, "mover").unwrap();
    assert_eq!(before.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    samba.modify(&format!(
        "dn: CN=mover,OU=Staff,{BASE}\nchangetype: modrdn\nnewrdn: CN=moved\ndeleteoldrdn: 1\nnewsuperior: OU=Branch,OU=Staff,{BASE}\n"
    ));
    assert_eq!(id(&instance, "mover").unwrap(), before);

    // A leaver whose tombstone has lost the address; one who is disabled; a joiner; a change of teams.
    samba.modify(&format!(
        "dn: CN=gone,OU=Staff,{BASE}\nchangetype: delete\n\n\
         dn: CN=bob,OU=Staff,{BASE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: {DISABLED}\n\n\
         {}\
         dn: CN=Inner,OU=Teams,{BASE}\nchangetype: modify\nadd: member\nmember: CN=new,OU=Staff,{BASE}\n-\ndelete: member\nmember: CN=jane,OU=Staff,{BASE}\n",
        user("new", "OU=Staff", ENABLED)
    ));
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    let emails = organization.emails();
    for (name, stays) in [("gone", false), ("bob", false), ("new", true), ("jane", true), ("mover", true)] {
        assert_eq!(emails.contains(&mail(name)), stays, "{name}");
    }
    assert_eq!(organization.group("Outer"), [mail("mover"), mail("new")]);

    // The same over LDAPS and StartTLS, and the result of doctor.
    let ca = samba.certificates().ca.display().to_string();
    for tls in [
        json!({ "ssl": true, "port": samba.tls_port(), "sslCaPath": ca }),
        json!({ "ssl": true, "startTls": true, "port": samba.port(), "tlsCaPath": ca }),
    ] {
        instance.change(|data| {
            for (key, value) in tls.as_object().unwrap() {
                data["directoryLdap"][key] = value.clone();
            }
        });
        assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."), "{tls}");
        let doctor = instance.run(&["doctor"]).ok();
        assert!(doctor.out.contains("ok    LDAP groups: attribute member: has values"), "{}", doctor.out);
    }

    // The global catalogue gives the same result.
    instance.change(|data| {
        data["directoryLdap"]["ssl"] = false.into();
        data["directoryLdap"]["startTls"] = false.into();
        data["directoryLdap"]["port"] = samba.catalogue_port().into();
    });
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));

    // Only changes are read: a wrong password in between changes nothing.
    instance.run(&["config", "sync.revisionDateAttribute", "whenChanged"]).ok();
    instance.change(|data| data["directoryLdap"]["password"] = "wrong".into());
    instance.run(&["sync"]).fails(1, &["invalidCredentials (49)", "The password is wrong."]);
    instance.change(|data| data["directoryLdap"]["password"] = PASSWORD.into());
    assert_eq!(organization.emails(), emails);

    // The domain's root has references to its other partitions, which contain no people.
    instance.run(&["config", "unset", "sync.revisionDateAttribute"]).ok();
    instance.run(&["config", "unset", "sync.userPath"]).ok();
    instance.run(&["config", "unset", "sync.groupPath"]).ok();
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "", "no warning on every run");

    // The class `person` of an old data file includes contacts and computers: they are imported as before, and counted.
    samba.modify(&format!(
        "dn: CN=Supplier,OU=Staff,{BASE}\nobjectClass: contact\nmail: sales@supplier.example\n\n\
         dn: CN=pc-0815,OU=Staff,{BASE}\nobjectClass: computer\nsAMAccountName: pc-0815$\nmail: pc-0815@ad.example.org\n\
         userAccountControl: 4096\n"
    ));
    let told = "2 of the entries read as people are contacts, computers or service accounts";
    let ran = instance.run(&["test"]).ok();
    assert!(ran.err.contains(told) && ran.err.contains("sales@supplier.example"), "{}", ran.err);
    instance.run(&["config", "sync.userObjectClass", "user"]).ok();
    instance.run(&["config", "sync.userFilter", "(sAMAccountType=805306368)"]).ok();
    let ran = instance.run(&["test"]).ok();
    assert!(!ran.err.contains("of those read") && !ran.out.contains("sales@supplier.example"), "{}", ran.err);

    // Everybody's primary group is Domain Users, whose entry does not list them.
    assert!(organization.group("Domain Users").is_empty());
    instance.run(&["config", "ldap.primaryGroups", "true"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.group("Domain Users").len(), organization.emails().len());

    // Set up by init on a fresh machine: the server supplies its product and its base DN.
    let mut fresh = Instance::empty();
    fresh.key(&organization.sandbox);
    fresh.set_env("BWDC_LDAP_PASSWORD", PASSWORD);
    fresh.init(&organization, samba.port(), ADMINISTRATOR, &[]).ok();
    assert_eq!(fresh.data()["directoryLdap"]["rootPath"], BASE);
    assert_eq!(fresh.data()["directoryLdap"]["ad"], true);
    assert_eq!(fresh.data()["directoryLdap"]["disabledBy"], "userAccountControl, accountExpires");
    // Set up without primary groups, it would take everybody out of Domain Users.
    let members = organization.group("Domain Users");
    fresh
        .run(&["sync"])
        .fails(5, &["memberships in groups would be lost", "in Domain Users", "bwdc approve"]);
    assert_eq!(organization.group("Domain Users"), members);
    fresh.run(&["config", "ldap.primaryGroups", "true"]).ok();
    fresh.run(&["sync"]).ok();
    assert!(members.iter().all(|email| organization.group("Domain Users").contains(email)));
}

/// A controller with today's defaults of Samba and Windows: unprotected connections are refused.
#[test]
fn a_hardened_domain() {
    let samba = Samba::start(&seed(), Demand::Protection);
    let organization = Organization::start(Options::default());
    let mut instance = instance(&samba, &organization);
    let set = |instance: &Instance, settings: Value| {
        instance.change(|data| {
            for (key, value) in settings.as_object().unwrap() {
                data["directoryLdap"][key] = value.clone();
            }
        });
    };
    instance.run(&["sync"]).fails(1, &["strongerAuthRequired (8)", "set ldap.ssl to true (LDAPS"]);

    // Kerberos needs no password. The ticket is found in its usual place.
    set(
        &instance,
        json!({ "hostname": "localhost", "authentication": "kerberos", "username": null, "password": null }),
    );
    instance.run(&["sync"]).fails(1, &["needs a protected connection", "LDAPS"]);
    let ca = samba.certificates().ca.display().to_string();
    set(&instance, json!({ "ssl": true, "port": samba.tls_port(), "sslCaPath": ca }));
    instance.set_env("KRB5_CONFIG", &samba.kerberos().display().to_string());
    let cache = instance.folder.path().join("tickets");
    instance.set_env("KRB5CCNAME", &format!("FILE:{}", cache.display()));
    instance.run(&["sync"]).fails(1, &["Logging in to ldaps://localhost", "Kerberos ticket", "klist"]);
    samba.ticket(&cache);
    let ran = instance.run(&["sync"]).ok();
    assert_eq!(ran.err, "");
    assert_eq!(organization.group("Big").len(), BIG);
    assert_eq!(organization.group("Outer"), [mail("bob"), mail("jane"), mail("mover")]);

    // A keytab works for a job without a login; `currentUser` has the same effect if no user name is set. With StartTLS.
    let keytab = instance.folder.path().join("keytab");
    samba.keytab(&keytab);
    fs::remove_file(&cache).unwrap();
    instance.set_env("KRB5_CLIENT_KTNAME", &keytab.display().to_string());
    set(&instance, json!({ "authentication": null, "currentUser": true }));
    set(&instance, json!({ "startTls": true, "port": samba.port(), "tlsCaPath": ca }));
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));
    assert!(instance.run(&["doctor"]).ok().out.contains("the server accepts the Kerberos ticket"));

    // Set up by init: with a ticket, no name and no password are asked for.
    let mut fresh = Instance::empty();
    fresh.key(&organization.sandbox);
    for name in ["KRB5_CONFIG", "KRB5CCNAME", "KRB5_CLIENT_KTNAME"] {
        let (_, value) = instance.environment.iter().find(|(known, _)| known == name).unwrap().clone();
        fresh.set_env(name, &value);
    }
    let url = organization.sandbox.url();
    let settings = [
        "ldap.hostname=localhost".to_owned(),
        "ldap.authentication=kerberos".to_owned(),
        format!("ldap.port={}", samba.tls_port()),
        format!("ldap.sslCaPath={ca}"),
    ];
    let mut arguments = vec!["--nointeraction", "init", "--server", &url, "--directory", "ldap"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let ran = fresh.run(&arguments).ok();
    assert!(ran.err.contains("the server accepts the Kerberos ticket"), "{}", ran.err);
    fresh.run(&["sync"]).ok();

    // As before, with a password.
    set(&instance, json!({ "username": ADMINISTRATOR, "password": PASSWORD }));
    // The other instance has invited somebody who is disabled, which this one does not leave so.
    assert!(organization.emails().contains(&mail("idle")));
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 1 user(s)."));
    assert!(!organization.emails().contains(&mail("idle")));
    assert!(instance.run(&["sync"]).ok().out.contains("Synced 0 group(s) and 0 user(s)."));
}

/// The DNS names the domain controllers; we ask through the system's resolver.
#[test]
fn servers_found_in_the_dns() {
    let slapd = Slapd::with(&ldif::small(3, 1, 3));
    let organization = Organization::start(Options::default());
    let instance = Instance::ldap(&slapd, &organization);
    let folder = instance.folder.path();
    let dns = Dns::start(
        folder,
        &[
            "--srv-host=_ldap._tcp.ad.example.org,dc2.ad.example.org,389,10",
            "--srv-host=_ldap._tcp.ad.example.org,dc1.ad.example.org,389,0",
            "--srv-host=_ldap._tcp.forged.example.org,dc1.ad.example.org,389",
            "--address=/dc1.ad.example.org/127.0.0.77",
            "--address=/dc2.ad.example.org/127.0.0.1",
        ],
    );
    let sync = |service: &str| -> Ran {
        instance.run(&["config", "ldap.hostname", service]).ok();
        let script = "mount --bind \"$1\" /etc/resolv.conf && exec \"$2\" sync";
        let mut command = instance.command_of("unshare".as_ref(), &["-m", "sh", "-c", script, "sh"]);
        command.arg(&dns.resolv_conf).arg(env!("CARGO_BIN_EXE_bwdc"));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap().into()
    };
    // The first does not answer, the second does.
    let ran = sync("_ldap._tcp.ad.example.org").ok();
    assert!(ran.out.contains("Synced 1 group(s) and 3 user(s)."), "{}", ran.out);
    assert!(ran.err.contains("Connecting to ldap://dc1.ad.example.org"), "{}", ran.err);
    assert!(ran.err.contains("the next server of ldap.hostname was read instead"), "{}", ran.err);
    sync("_ldap._tcp.nowhere.example.org")
        .fails(1, &["Looking up the servers of _ldap._tcp.nowhere.example.org"]);
    sync("_ldap._tcp.forged.example.org")
        .fails(1, &["dc1.ad.example.org is not within the domain forged.example.org"]);
}
