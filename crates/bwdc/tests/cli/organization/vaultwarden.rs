//! Vaultwarden, which can only be imported into and knows people by address.

use bwdc_sandbox::{Counted, Edit, Fault, Flavour, Identity, Injection, Options, Status};

use super::{BOTH, directory, people, scene, set, teams};
use crate::harness::{Instance, Organization};

/// The leaver has another address in the directory by now: sent with it, nobody would be found.
#[test]
fn a_leaver_whose_address_changed() {
    let (organization, instance) = scene(Flavour::Vaultwarden, "1,a@x.org,\n2,b@x.org,\n", "g,All,1;2\n");
    instance.run(&["sync"]).ok();
    directory(&instance, "1,new@x.org,left\n2,b@x.org,\n", "g,All,2\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.emails(), ["a@x.org", "b@x.org"]);
    assert_eq!(organization.active(), ["b@x.org"]);
    assert_eq!(organization.active_in("All"), ["b@x.org"]);
}

/// The old address leaves, the new one comes into the old one's groups, and leaves in its turn.
#[test]
fn an_address_that_changed() {
    let (organization, instance) = scene(Flavour::Vaultwarden, "1,a@x.org,\n2,b@x.org,\n", "g,All,1;2\n");
    set(&instance, "sync.removeMissing", "true");
    instance.run(&["sync"]).ok();
    directory(&instance, "1,new@x.org,\n2,b@x.org,\n", "g,All,1;2\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.active(), ["b@x.org", "new@x.org"]);
    assert_eq!(organization.group("All"), ["b@x.org", "new@x.org"]);
    assert!(organization.changes_of(|| drop(instance.run(&["sync"]).ok())).is_empty());
    directory(&instance, "2,b@x.org,\n", "g,All,2\n");
    instance.run(&["sync"]).ok();
    assert_eq!(organization.active(), ["b@x.org"]);
    assert_eq!(organization.active_in("All"), ["b@x.org"]);
}

/// An import of everybody would restore whoever an administrator has revoked: only the joiner is sent.
#[test]
fn an_unrelated_joiner_restores_nobody() {
    let (organization, instance) = scene(Flavour::Vaultwarden, "1,a@x.org,\n2,b@x.org,\n", "g,All,1;2\n");
    instance.run(&["sync"]).ok();
    organization.sandbox.edit(Edit::Revoke("b@x.org".into())).unwrap();
    directory(&instance, "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n", "g,All,1;2;3\n");
    let ran = instance.run(&["sync"]).ok();
    assert!(ran.out.contains("1 group(s) and 1 user(s)"), "{}", ran.out);
    assert_eq!(organization.member("b@x.org").unwrap().status, Status::Revoked);
    assert_eq!(organization.active(), ["a@x.org", "c@x.org"]);
    // The way to send everything again.
    instance.run(&["clear-cache"]).ok();
    instance.run(&["sync"]).ok();
    assert_eq!(organization.active(), ["a@x.org", "b@x.org", "c@x.org"]);
}

/// Whoever has left stays out whatever comes later, and is back with everything on return.
#[test]
fn leavers_stay_out_until_they_return() {
    let (organization, instance) = scene(Flavour::Vaultwarden, "1,a@x.org,\n2,b@x.org,\n", "g,All,1;2\n");
    set(&instance, "sync.removeMissing", "true");
    instance.run(&["sync"]).ok();
    for (users, groups, active) in [
        ("1,a@x.org,\n", "g,All,1\n", &["a@x.org"][..]),
        ("1,a@x.org,\n3,c@x.org,\n", "g,All,1;3\n", &["a@x.org", "c@x.org"]),
        ("1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n", "g,All,1;2;3\n", &["a@x.org", "b@x.org", "c@x.org"]),
    ] {
        directory(&instance, users, groups);
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active(), active);
        assert_eq!(organization.active_in("All"), active);
        // Also where everything is sent.
        instance.run(&["clear-cache"]).ok();
        instance.run(&["sync"]).ok();
        assert_eq!(organization.active(), active);
    }
}

/// A server that has refused the request has done nothing: there is no reason to send everything, which restores whoever was revoked by
/// hand. Not so where nobody heard an answer.
#[test]
fn a_refusal_leaves_nothing_to_send_again() {
    let refused = [400, 413, 422].map(|status| (Fault::Refused(status), true));
    for (fault, is_revoked) in refused.into_iter().chain([(Fault::Lost, false)]) {
        let (organization, instance) = scene(Flavour::Vaultwarden, "1,a@x.org,\n2,b@x.org,\n", "g,All,1;2\n");
        instance.run(&["sync"]).ok();
        organization.sandbox.edit(Edit::Revoke("b@x.org".into())).unwrap();
        directory(&instance, "1,a@x.org,\n2,b@x.org,\n3,c@x.org,\n", "g,All,1;2;3\n");
        organization.sandbox.inject(Injection { at: 1, counted: Counted::Changes, fault });
        instance.run(&["sync"]).fails(1, &[]);
        instance.run(&["sync"]).ok();
        let revoked = organization.member("b@x.org").unwrap().status == Status::Revoked;
        assert_eq!(revoked, is_revoked, "{fault:?}");
        assert!(organization.active().contains(&"c@x.org".to_owned()), "{fault:?}");
    }
}

/// The same login at another server, as after a move: what was imported into the one is not known to be in the other.
#[test]
fn another_server_with_the_same_login_is_not_in_step() {
    let organization = "5c1f0e6a-8a36-4f6e-9a53-0d1c2b3a4f50".to_owned();
    let identity = Identity::Given { organization, key: "a key of both servers".to_owned() };
    for flavour in BOTH {
        let start =
            || Organization::start(Options { flavour, identity: identity.clone(), ..Options::default() });
        let (before, after) = (start(), start());
        let instance = Instance::files(&people("1,a@x.org,\n2,b@x.org,\n"), &teams("g,All,1;2\n"), &before);
        for _ in 0..3 {
            let ran = instance.run(&["sync"]).ok();
            assert!(!ran.err.contains("server has changed"), "{}", ran.err);
        }
        set(&instance, "server", &after.sandbox.url());
        let is_told = flavour == Flavour::Vaultwarden;
        let (planned, ran) = (instance.run(&["plan"]), instance.run(&["sync"]).ok());
        assert_eq!(planned.out.contains("The server has changed"), is_told, "{}{}", planned.out, planned.err);
        assert_eq!(ran.err.contains("The server has changed"), is_told, "{}", ran.err);
        assert_eq!(after.active_in("All"), ["a@x.org", "b@x.org"], "{flavour:?}");
        let again = after.changes_of(|| drop(instance.run(&["sync"]).ok()));
        assert!(again.is_empty(), "{flavour:?}: {again:?}");
    }
}
