//! Everybody is met, whatever the administrator's own filter: living people as others, with their status, and those who left.

use bwdc_testkit::Samba;
use bwdc_testkit::samba::{self, ADMINISTRATOR, BASE};

use super::*;

/// `joe`, whom the filter keeps; `ann`, whom it leaves out; `idle`, whom it leaves out for being disabled; `gone`, who left.
fn people() -> Company {
    let person = |name: &str, status| User {
        name: name.to_owned(),
        email: Some(format!("{name}@example.org")),
        status,
    };
    let group = |name: &str, user: &str| Group {
        name: name.to_owned(),
        users: vec![user.to_owned()],
        groups: Vec::new(),
    };
    Company {
        users: vec![
            person("joe", cloud::Status::Active),
            person("ann", cloud::Status::Active),
            person("idle", cloud::Status::Disabled),
            person("gone", cloud::Status::Deleted),
        ],
        groups: vec![group("Kept", "joe")],
    }
}

async fn read_everybody(config: Config, scope: ReadScope) -> Snapshot {
    let ask = Ask { scope, extent: ReadExtent::Everything, others: Others::Always };
    directory::open(config).unwrap().read(&ask, &Arc::new(Progress::default())).await.unwrap()
}

/// Names with a letter for the status.
fn names(users: &[bwdc_core::entry::User]) -> Vec<String> {
    let name = |user: &bwdc_core::entry::User| {
        let email = user.email.as_ref().map_or(user.external_id.as_str(), |email| email.as_str());
        format!("{} {:?}", email.split('@').next().unwrap(), user.status)
    };
    let mut names: Vec<_> = users.iter().map(name).collect();
    names.sort_unstable();
    names
}

async fn check(config: Config) {
    let found = read_everybody(config.clone(), ReadScope::Users).await;
    assert_eq!(names(&found.users), ["gone Deleted", "joe Active"]);
    assert_eq!(names(&found.others), ["ann Active", "idle Disabled"]);
    assert_eq!(found.created.len(), 3 + usize::from(!matches!(config, Config::Entra(_))));
    let found = read_everybody(config, ReadScope::Groups).await;
    assert_eq!(names(&found.others), ["ann Active", "idle Disabled", "joe Active"]);
}

#[tokio::test]
async fn of_okta() {
    let mut company = Okta::from(&people());
    company.users.iter_mut().filter(|user| user.id == "00ujoe").for_each(|user| user.department = "Sales");
    let cloud = company.start(small_pages()).await.unwrap();
    for filter in
        ["profile.department eq \"Sales\"", "status eq \"ACTIVE\" and profile.department eq \"Sales\""]
    {
        let config = okta::Config { user_filter: Some(filter.to_owned()), ..okta_config(&cloud) };
        check(Config::Okta(Box::new(config))).await;
    }
}

#[tokio::test]
async fn of_google() {
    let cloud = Google::from(&people()).start(small_pages()).await.unwrap();
    let query = Some("email:joe* isSuspended=false".to_owned());
    let config = google::Config { user_query: query, ..google_config(&cloud) };
    check(Config::Google(Box::new(config))).await;
}

#[tokio::test]
async fn of_entra() {
    let cloud = Entra::from(&people()).start(small_pages()).await.unwrap();
    let config = entra_config(&cloud);
    let kept = read_everybody(Config::Entra(Box::new(config.clone())), ReadScope::Groups).await;
    let filter = format!("includeGroup:{}", kept.groups[0].external_id);
    let user_filter = entra::EntraFilter::of_users(&filter).unwrap();
    check(Config::Entra(Box::new(entra::Config { user_filter, ..config }))).await;
}

#[tokio::test]
async fn of_ldap() {
    const SHADOW: &str = "objectClass: shadowAccount\n";
    let person = |name: &str, more: &str| {
        format!(
            "dn: uid={name},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\n{more}uid: {name}\ncn: {name}\nsn: {name}\n\
             mail: {name}@example.org\n\n"
        )
    };
    let start = LDIF.split("dn: uid=joe").next().unwrap();
    let idle = format!("{SHADOW}shadowExpire: 1\n");
    let slapd = Slapd::with(
        &[start, &person("joe", ""), &person("ann", "title: x\n"), &person("idle", &idle)].concat(),
    );
    let mut config = ldap::Config { disabled_by: vec![DisabledBy::ShadowExpire], ..ldap_config(&slapd) };
    config.users.filter = Some("(&(!(title=x))(!(shadowExpire=*)))".to_owned());
    let config = Config::Ldap(Box::new(config));
    let found = read_everybody(config.clone(), ReadScope::Users).await;
    assert_eq!(
        (names(&found.users), names(&found.others)),
        (vec!["joe Active".to_owned()], vec!["ann Active".to_owned(), "idle Disabled".to_owned()])
    );
    assert_eq!(found.created.len(), 3);
}

/// A domain controller also tells its time.
#[tokio::test]
async fn of_active_directory() {
    let person = |name: &str, control: u32| {
        format!(
            "dn: CN={name},OU=Staff,{BASE}\nobjectClass: user\nsAMAccountName: {name}\nmail: {name}@example.org\nuserAccountControl: {control}\n\n"
        )
    };
    let unit = format!("dn: OU=Staff,{BASE}\nobjectClass: organizationalUnit\n\n");
    let samba = Samba::with(
        &[unit, person("joe", 544), person("ann", 544), person("idle", 546), person("gone", 544)].concat(),
    );
    samba.modify(&format!("dn: CN=gone,OU=Staff,{BASE}\nchangetype: delete\n\n"));
    let slapd = Slapd::with(LDIF);
    let mut config = ldap::Config {
        port: samba.port(),
        bind: Bind::Simple { username: ADMINISTRATOR.to_owned(), password: Secret::from(samba::PASSWORD) },
        flavour: Flavour::ActiveDirectory,
        root: BASE.to_owned(),
        disabled_by: vec![DisabledBy::UserAccountControl],
        ..ldap_config(&slapd)
    };
    config.users = SearchSettings {
        path: "OU=Staff".to_owned(),
        object_class: "user".to_owned(),
        filter: Some("(&(!(cn=ann))(!(userAccountControl:1.2.840.113556.1.4.803:=2)))".to_owned()),
    };
    let before = Timestamp::now().as_second();
    let found = read_everybody(Config::Ldap(Box::new(config)), ReadScope::Users).await;
    assert_eq!(found.place.unwrap().as_str(), "ldap subtree user ou=staff,dc=ad,dc=example,dc=org");
    // Tombstones lose their addresses.
    let statuses: Vec<Status> = found.users.iter().map(|user| user.status).collect();
    assert!(statuses.len() == 2 && statuses.contains(&Status::Deleted) && statuses.contains(&Status::Active));
    assert_eq!(names(&found.others), ["ann Active", "idle Disabled"]);
    assert_eq!(found.created.len(), 4);
    let Moment(now) = found.server_time.unwrap();
    assert!((before - 1..=before + 10).contains(&now), "{now} {before}");
    assert!(found.created.values().all(|created| (now - 600..=now).contains(&created.0)));
}
