//! People who left a tenant: deleted people and the links of changes.

use super::*;

#[test]
fn leavers_by_their_tombstones() {
    let world = World::with(tenant());
    world.instance.run(&["sync"]).ok();
    let first = world.link().unwrap();
    world.entra.change(|tenant| {
        tenant.set_presence("ada", Presence::Deleted);
        // Between two syncs, into the recycle bin and out of it.
        tenant.set_presence("ben", Presence::Purged);
        tenant.add(Person::named("gina"));
    });
    let bin = world.count("deletedItems");
    let told = world.test(&["test", "--last"]);
    assert_eq!(told["deletedUsers"].as_array().unwrap().len(), 2, "{told}");
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["cleo", "dan", "gina"]));
    assert_ne!(world.link().unwrap(), first);
    assert_eq!(world.count("deletedItems"), bin, "a list of changes is enough");
    // Restored, so not a leaver.
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Here));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "cleo", "dan", "gina"]));
}

#[test]
fn a_refused_link_loses_no_leavers() {
    for (why, told) in [
        (LinkRefusal::Reset, "HTTP 410, resyncRequired"),
        (LinkRefusal::Expired, "HTTP 400, syncStateNotFound"),
        (LinkRefusal::Malformed, "Badly formed token"),
    ] {
        let world = World::with(tenant());
        world.instance.run(&["sync"]).ok();
        let first = world.link().unwrap();
        world.entra.change(|tenant| {
            tenant.set_presence("ada", Presence::Deleted);
            tenant.refuse_links(why);
        });
        let ran = world.instance.run(&["sync"]).ok();
        assert!(ran.err.contains(told) && ran.err.contains("has expired"), "{}", ran.err);
        assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
        assert_ne!(world.link().unwrap(), first);
        assert_eq!(world.instance.run(&["sync"]).ok().err, "");
    }
    // The token is not sent to another server.
    let world = World::with(tenant());
    world.instance.run(&["sync"]).ok();
    world
        .instance
        .change(|data| data["userDeltaToken"] = "http://127.0.0.1:1/v1.0/users/delta?$deltatoken=x".into());
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    let ran = world.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("belongs to another server"), "{}", ran.err);
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

/// A temporary failure is no reason to give up the link: nothing else reports people who were permanently deleted meanwhile.
#[test]
fn a_temporarily_refused_link_is_kept() {
    for (why, told) in [(LinkRefusal::Unavailable, "HTTP 503"), (LinkRefusal::Denied, "HTTP 403")] {
        let world = World::with(tenant());
        world.instance.run(&["sync"]).ok();
        let first = world.link().unwrap();
        world.entra.change(|tenant| {
            tenant.set_presence("ada", Presence::Purged);
            tenant.refuse_links(why);
        });
        world.instance.run(&["sync"]).fails(1, &[told]);
        assert_eq!(world.link().unwrap(), first);
        assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
        world.entra.change(Tenant::accept_links);
        world.instance.run(&["sync"]).ok();
        assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
    }
}

/// Such as Azure AD B2C.
#[test]
fn a_tenant_without_changes_is_read_by_its_recycle_bin() {
    let world = World::with(tenant());
    world.entra.change(|tenant| tenant.refuse_links(LinkRefusal::NotKept));
    let told = world.instance.run(&["test"]).ok();
    assert!(told.err.contains("this tenant keeps no list of changes"), "{}", told.err);
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.link(), None);
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

#[test]
fn without_a_recycle_bin_there_are_still_changes() {
    let mut tenant = tenant();
    tenant.bin = Bin::Absent;
    let world = World::with(tenant);
    let ran = world.instance.run(&["sync"]).ok();
    assert!(ran.err.contains("the recycle bin cannot be read here"), "{}", ran.err);
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    assert_eq!(world.instance.run(&["sync"]).ok().err, "");
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

/// Whatever goes wrong while changes are read: Ada leaves with this sync, or nothing happens and she leaves with the next.
#[test]
fn no_fault_loses_a_leaver() {
    let healthy = World::with(tenant());
    healthy.instance.run(&["sync"]).ok();
    let first = healthy.cloud.requests();
    healthy.instance.run(&["sync"]).ok();
    let jobs: Vec<(usize, Fault)> = (first..healthy.cloud.requests())
        .flat_map(|request| Fault::ALL.map(|fault| (request, fault)))
        .collect();
    in_parallel(&jobs, |&(request, fault)| {
        let mut world = World::behaving(tenant(), small_pages(HashMap::from([(request, fault)])));
        world.instance.set_env("BWDC_RETRY_SECONDS", "4");
        world.instance.run(&["sync"]).ok();
        let link = world.link();
        world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
        let ran = world.instance.run(&["sync"]);
        let is_there = world.organization.emails().contains(&"ada@example.org".to_owned());
        assert_eq!(
            (ran.code, is_there),
            (i32::from(is_there), ran.code == 1),
            "{fault:?} at {request}: {}",
            ran.err
        );
        assert_eq!(world.link() == link, is_there, "{fault:?} at {request}: {}", ran.err);
        world.instance.run(&["sync"]).ok();
        assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]), "{fault:?} at {request}");
    });
}

#[test]
fn a_failed_import_moves_nothing() {
    let mut world = World::with(tenant());
    world.instance.run(&["sync"]).ok();
    let first = world.link().unwrap();
    world.entra.change(|tenant| tenant.set_presence("ada", Presence::Deleted));
    let (id, secret) =
        (world.organization.sandbox.client_id(), world.organization.sandbox.client_secret().to_owned());
    world.instance.set_env("BW_CLIENTSECRET", "wrong");
    world.instance.run(&["logout"]);
    assert_ne!(world.instance.run(&["sync"]).code, 0);
    assert_eq!(world.link().unwrap(), first);
    world.instance.set_env("BW_CLIENTID", &id);
    world.instance.set_env("BW_CLIENTSECRET", &secret);
    // A rehearsal moves nothing either.
    world.instance.run(&["test", "--last"]).ok();
    assert_eq!(world.link().unwrap(), first);
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
}

#[test]
fn a_person_listed_and_deleted_is_checked_again() {
    let mut tenant = tenant();
    // A server that lags behind: Ada is in the recycle bin and also in the list.
    tenant.users.push(Person { presence: Presence::Deleted, ..Person::named("ada") });
    tenant.groups.clear();
    let world = World::with(tenant);
    let ran = world.instance.run(&["sync"]).ok();
    assert!(world.organization.emails().contains(&"ada@example.org".to_owned()), "{}", ran.err);
    assert_eq!(world.link(), None);
    world.entra.change(|tenant| {
        tenant.users.retain(|user| user.id != user_id("ada") || user.presence == Presence::Deleted)
    });
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ben", "cleo", "dan"]));
    assert!(world.link().is_some());
}
