//! Logins to a tenant, and what an application may read.

use super::*;

#[test]
fn refused_logins() {
    let world = World::with(tenant());
    let sync = || world.instance.run(&["sync"]);
    world.set("key", "very-secret");
    let ran = sync().fails(
        1,
        &["HTTP 401, invalid_client: AADSTS7000215: Invalid client secret", "(trace ", "not its Secret ID"],
    );
    assert!(!ran.err.contains("very-secret"), "{}", ran.err);
    world.set("key", SECRET);
    world.entra.change(|tenant| tenant.secret.ends = "2024-01-01T00:00:00Z".to_owned());
    sync().fails(1, &["AADSTS7000222", "The client secret has expired"]);
    world.set("tenant", "nowhere.example.org");
    sync().fails(1, &["AADSTS90002: Tenant 'nowhere.example.org' not found.", "Check entra.tenant"]);
    world.set("tenant", DOMAIN);
    world.set("applicationId", TENANT);
    sync().fails(1, &["AADSTS700016", "Check entra.applicationId"]);
    for name in ["applicationId", "tenant", "key"] {
        world.set(name, Value::Null);
        sync().fails(1, &["Directory configuration incomplete.", &format!("entra.{name}")]);
        world.set(
            name,
            if name == "key" {
                SECRET
            } else if name == "tenant" {
                TENANT
            } else {
                APPLICATION
            },
        );
    }
    world.set("identityAuthority", "login.windows.net");
    sync().fails(
        1,
        &[
            "Directory configuration incomplete.",
            "entra.identityAuthority",
            "login.partner.microsoftonline.cn",
        ],
    );
    assert_eq!(world.organization.imports(), 0);
}

#[test]
fn missing_permissions_are_named() {
    let world = World::with(tenant());
    world.entra.change(|tenant| tenant.permissions = vec!["User.Read.All"]);
    let words =
        ["HTTP 403, Authorization_RequestDenied: Insufficient privileges", "Group.Read.All", "admin consent"];
    world.instance.run(&["sync"]).fails(1, &words);
    let doctor = world.doctor(1);
    assert!(doctor.contains("missing: Group.Read.All; granted: User.Read.All"), "{doctor}");
    assert!(doctor.contains("Authorization_RequestDenied"), "{doctor}");
    world.entra.change(|tenant| tenant.permissions = vec!["Group.Read.All"]);
    world.instance.run(&["sync"]).fails(1, &["HTTP 403", "User.Read.All"]);
    world.entra.change(|tenant| tenant.permissions = vec!["Directory.Read.All", "Application.Read.All"]);
    world.instance.run(&["sync"]).ok();
    let soon = jiff_in_days(10);
    world.entra.change(|tenant| tenant.secret.ends = soon.clone());
    let doctor = world.doctor(0);
    assert!(doctor.contains(&format!("Entra client secret bwdc: good until {}", &soon[..10])), "{}", doctor);
}

/// A day from now, in Graph's format.
fn jiff_in_days(days: u64) -> String {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + days * 86_400;
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"])
        .arg(format!("@{seconds}"))
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn with_a_certificate() {
    let world = World::with(tenant());
    let folder = world.instance.data_folder();
    let path = RsaKey::make().certified(&folder, 2199);
    let (other, ended) = (RsaKey::make(), RsaKey::make());
    world.set("key", Value::Null);
    world.set("certificateFile", path.file_name().unwrap().to_str().unwrap());
    world.instance.run(&["sync"]).fails(1, &["AADSTS700027", "Upload the certificate"]);
    world.entra.change(|tenant| tenant.certificate = Some(der(&path)));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
    let doctor = world.doctor(0);
    assert!(doctor.contains("by a certificate") && doctor.contains("good until 2199-12-31"), "{}", doctor);
    // A key that does not belong to the certificate.
    let mixed = fs::read_to_string(&path).unwrap();
    let mixed = mixed.split("-----BEGIN PRIVATE").next().unwrap().to_owned() + &other.private;
    fs::write(folder.join("mixed.pem"), mixed).unwrap();
    world.set("certificateFile", "mixed.pem");
    world.instance.run(&["sync"]).fails(1, &["AADSTS700027"]);
    // One that has ended.
    let ended = ended.certified(&folder, 2021);
    world.entra.change(|tenant| tenant.certificate = Some(der(&ended)));
    world.set("certificateFile", ended.to_str().unwrap());
    let doctor = world.doctor(1);
    assert!(doctor.contains("good until 2021-12-31"), "{}", doctor);
    fs::write(folder.join("broken.pem"), "no certificate").unwrap();
    for (file, reason) in [("broken.pem", "no PEM certificate"), ("missing.pem", "No such file")] {
        world.set("certificateFile", file);
        world.instance.run(&["sync"]).fails(1, &[file, reason]);
    }
}

#[test]
fn with_a_federated_token() {
    let mut world = World::with(tenant());
    let path = world.instance.data_folder().join("token");
    // Header and claims of a token like those of Kubernetes, without a valid signature.
    let token =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0.c2lnbmF0dXJl";
    fs::write(&path, format!("{token}\n")).unwrap();
    for name in ["key", "tenant", "applicationId"] {
        world.set(name, Value::Null);
    }
    world.instance.set_env("AZURE_TENANT_ID", TENANT);
    world.instance.set_env("AZURE_CLIENT_ID", APPLICATION);
    world.instance.set_env("AZURE_FEDERATED_TOKEN_FILE", path.to_str().unwrap());
    let ran = world.instance.run(&["sync"]).fails(1, &["AADSTS700213", "issuer, subject and audience"]);
    assert!(!ran.err.contains(token), "{}", ran.err);
    world.entra.change(|tenant| tenant.federated_token = Some(token.to_owned()));
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan"]));
    let doctor = world.doctor(0);
    assert!(doctor.contains("by a federated token") && !doctor.contains("entra.key"), "{}", doctor);
    world.instance.unset_env("AZURE_FEDERATED_TOKEN_FILE");
    world.instance.run(&["sync"]).fails(1, &["Directory configuration incomplete.", "entra.key"]);
    world.set("federatedTokenFile", "token");
    world.instance.run(&["sync"]).ok();
    fs::write(&path, "").unwrap();
    world.instance.run(&["sync"]).fails(1, &["Reading the federated token", "the file is empty"]);
}

#[test]
fn a_token_that_expires_half_way_is_renewed() {
    // Twenty pages of people, one after another; the recycle bin is finished long before.
    let faults = HashMap::from([(10, Fault::ExpiredToken), (16, Fault::ExpiredToken)]);
    let company = Company::of_size(60, 0, 0);
    let world = World::behaving(Tenant::from(&company), small_pages(faults));
    world.instance.run(&["config", "sync.groups", "false"]).ok();
    world.instance.run(&["sync"]).ok();
    assert_eq!(world.count("/oauth2/v2.0/token"), 3);
    assert_eq!(world.organization.emails().len(), 60);
}

#[test]
fn government_clouds() {
    let world = World::with(tenant());
    for authority in ["login.microsoftonline.us", "login.partner.microsoftonline.cn"] {
        world.instance.run(&["config", "entra.identityAuthority", authority]).ok();
        world.instance.run(&["test"]).ok();
    }
    let mut instance = world.instance;
    instance.unset_env("BWDC_ENTRA_LOGIN_URL");
    instance.set_env("BWDC_RETRY_SECONDS", "0.1");
    instance.set_env("HTTPS_PROXY", "http://127.0.0.1:1");
    instance.run(&["sync"]).fails(1, &["https://login.partner.microsoftonline.cn"]);
    instance.set_env("BWDC_ENTRA_LOGIN_URL", "http://login.example.org");
    instance.run(&["sync"]).fails(1, &["BWDC_ENTRA_LOGIN_URL", "unprotected"]);
}

#[test]
fn init_asks_for_no_secret_if_there_is_another_login() {
    let world = World::with(tenant());
    let path = RsaKey::make().certified(world.instance.folder.path(), 2199);
    world.entra.change(|tenant| tenant.certificate = Some(der(&path)));
    let mut instance = Instance::empty();
    instance.key(&world.organization.sandbox);
    for (name, value) in PlayedEntra.environment(&world.cloud) {
        instance.set_env(name, &value);
    }
    instance.set_env("AZURE_TENANT_ID", TENANT);
    let url = world.organization.sandbox.url();
    let application = format!("entra.applicationId={APPLICATION}");
    let certificate = format!("entra.certificateFile={}", path.display());
    let arguments =
        ["--nointeraction", "init", "--server", &url, "--directory", "entra", "--set", &application, "--set"];
    instance.run(&arguments.iter().copied().chain([certificate.as_str()]).collect::<Vec<_>>()).ok();
    assert_eq!(instance.data()["directoryEntra"]["tenant"], TENANT);
    instance.run(&["sync"]).ok();
    assert_eq!(world.organization.emails(), mails(&["ada", "ben", "cleo", "dan", "eve"]));
}
