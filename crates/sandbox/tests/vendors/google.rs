//! `google-api-python-client`, and the discovery document that comes with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bwdc_sandbox::cloud::google::{
    self, ADMIN, CLIENT_EMAIL, COMMON_PARAMETERS, DOMAIN, GROUPS_PARAMETERS, Google, MEMBERS_PARAMETERS,
    Member, PRIVATE_KEY, SCOPES, Team, USERS_PARAMETERS, key_file,
};
use bwdc_sandbox::cloud::{Cloud, Company, Status};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{clients, emails, memberships, python, small_pages, sorted, text};

async fn played() -> Cloud {
    let mut google = Google::from(&Company::sample());
    google.groups.push(Team::named("Everybody", vec![Member::customer()]));
    google.start(small_pages()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn google_api_python_client_reads_the_same_people() {
    let cloud = played().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    fs::write(&path, key_file(&cloud)).unwrap();
    let told = python("google_client.py", &[&cloud.url(), &path.display().to_string(), ADMIN, DOMAIN]);
    let mails = |list: &str, is_suspended: Option<bool>| {
        let found = told[list].as_array().unwrap().iter();
        let found = found.filter(|user| is_suspended.is_none_or(|wanted| user["suspended"] == wanted));
        sorted(found.map(|user| text(user, "primaryEmail")))
    };
    assert_eq!(mails("users", Some(false)), emails(Status::Active));
    assert_eq!(mails("users", Some(true)), emails(Status::Disabled));
    assert_eq!(mails("deleted", None), emails(Status::Deleted));
    let members = |group: &Value, kind: &str| {
        let members = group["members"].as_array().unwrap().iter().filter(|member| member["type"] == kind);
        sorted(members.map(|member| text(member, "id").trim_start_matches("id-of-").to_owned()))
    };
    let groups = told["groups"].as_array().unwrap();
    let people: BTreeMap<_, _> = groups
        .iter()
        .filter(|group| group["name"] != "Everybody")
        .map(|group| (text(group, "name"), members(group, "USER")))
        .collect();
    assert_eq!(people, memberships());
    let engineering = groups.iter().find(|group| group["name"] == "Engineering").unwrap();
    assert_eq!(members(engineering, "GROUP"), ["group-Platform", "group-Web"]);
    let everybody = groups.iter().find(|group| group["name"] == "Everybody").unwrap();
    assert_eq!(members(everybody, "CUSTOMER"), [google::CUSTOMER]);
}

/// Google's machine-readable description of its API.
fn discovery() -> Value {
    let folder = clients().join("python/lib");
    let python = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let document: PathBuf =
        python.join("site-packages/googleapiclient/discovery_cache/documents/admin.directory_v1.json");
    serde_json::from_str(&fs::read_to_string(document).unwrap()).unwrap()
}

/// Properties of an answer that are not in the schema, or have another type.
fn faults(schemas: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return faults(schemas, &schemas[name], value, place);
    }
    let is_right = match schema["type"].as_str() {
        Some("any") => true,
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("array") => {
            let entries = value.as_array().into_iter().flatten();
            return entries.flat_map(|entry| faults(schemas, &schema["items"], entry, place)).collect();
        }
        Some("object") => {
            let fields = value.as_object().into_iter().flatten();
            return fields
                .flat_map(|(name, field)| {
                    faults(schemas, &schema["properties"][name], field, &format!("{place}.{name}"))
                })
                .collect();
        }
        _ => false,
    };
    if is_right { Vec::new() } else { vec![format!("{place}: {value} is not {schema}")] }
}

async fn access_token(cloud: &Cloud, http: &reqwest::Client) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": CLIENT_EMAIL, "sub": ADMIN, "scope": SCOPES.join(" "), "aud": format!("{}/token", cloud.url()),
        "iat": now, "exp": now + 3600,
    });
    let key = EncodingKey::from_rsa_pem(PRIVATE_KEY.as_bytes()).unwrap();
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
    let answer = http.post(format!("{}/token", cloud.url())).form(&form).send().await.unwrap();
    text(&answer.json().await.unwrap(), "access_token")
}

#[tokio::test]
async fn every_answer_conforms_to_the_discovery_document() {
    let (cloud, document) = (played().await, discovery());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = access_token(&cloud, &http).await;
    for (path, schema) in [
        ("users?customer=my_customer", "Users"),
        ("users?domain=example.org&query=isSuspended%3Dtrue", "Users"),
        ("users?domain=example.org&showDeleted=true", "Users"),
        ("groups?domain=example.org", "Groups"),
        ("groups/id-of-group-Engineering/members", "Members"),
        ("groups/id-of-group-Everybody/members", "Members"),
        ("groups/id-of-group-Board/members", "Members"),
    ] {
        let url = format!("{}/admin/directory/v1/{path}", cloud.url());
        let answer: Value = http.get(url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
        assert!(answer["kind"].is_string(), "{answer}");
        let faults = faults(&document["schemas"], &document["schemas"][schema], &answer, schema);
        assert!(faults.is_empty(), "{path}: {faults:#?}");
    }
}

#[test]
fn every_parameter_and_scope_is_in_the_discovery_document() {
    let document = discovery();
    assert!(COMMON_PARAMETERS.iter().all(|name| document["parameters"][name].is_object()));
    assert!(SCOPES.iter().all(|scope| document["auth"]["oauth2"]["scopes"][scope].is_object()));
    for (resource, path, parameters) in [
        ("users", "admin/directory/v1/users", &USERS_PARAMETERS[..]),
        ("groups", "admin/directory/v1/groups", &GROUPS_PARAMETERS[..]),
        ("members", "admin/directory/v1/groups/{groupKey}/members", &MEMBERS_PARAMETERS[..]),
    ] {
        let method = &document["resources"][resource]["methods"]["list"];
        assert_eq!((method["path"].as_str(), method["httpMethod"].as_str()), (Some(path), Some("GET")));
        for name in parameters {
            assert_eq!(method["parameters"][name]["location"], "query", "{resource}: {name}");
        }
    }
}
