//! Cloud directories, simulated by the sandbox, synced into an organization. Shared requirements are here, a vendor's own ones
//! are in its file.

mod entra;
mod google;
mod okta;
mod onelogin;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bwdc_sandbox::Options;
use bwdc_sandbox::cloud::{Behaviour, Cloud, Company, Fault, Quota};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Instance, Organization, Ran};
use crate::snapshot::{FLAVOURS, organization, replays_the_plan};

/// Vendor, for the shared tests.
pub trait Played: Sync {
    /// Starts it with a company in it.
    fn start(&self, runtime: &Runtime, company: &Company, behaviour: Behaviour) -> Cloud;
    /// `directoryType`, and the section of `data.json` with all settings for reading from it, secrets included.
    fn section(&self, cloud: &Cloud) -> (u8, &'static str, Value);
    /// Variables with its address.
    fn environment(&self, _cloud: &Cloud) -> Vec<(&'static str, String)> {
        Vec::new()
    }
    /// Whether a new access token is issued when one is refused.
    fn renews_tokens(&self) -> bool;
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Instance that syncs people and groups and removes disabled people.
pub fn instance(played: &dyn Played, cloud: &Cloud, organization: &Organization) -> Instance {
    let mut instance = Instance::empty();
    let (number, section, values) = played.section(cloud);
    instance.write(&json!({
        "stateVersion": 8,
        "environmentUrls": { "base": organization.sandbox.url() },
        "directoryType": number,
        section: values,
        "sync": { "users": true, "groups": true, "removeDisabled": true },
    }));
    instance.key(&organization.sandbox);
    for (name, value) in played.environment(cloud) {
        instance.set_env(name, &value);
    }
    instance
}

/// Three entries on a page, so that there are several pages.
pub fn small_pages(faults: HashMap<usize, Fault>) -> Behaviour {
    Behaviour { page: 3, faults, ..Behaviour::default() }
}

/// Whether a vendor's groups are looked up by their id.
pub enum GroupById {
    Found,
    /// Its numbers are those of people as well.
    NotLookedUp,
}

/// One person and one group are found by what an administrator types, without the list of everybody.
pub fn one_is_looked_up(played: &dyn Played, of_groups: &str, by_id: GroupById) {
    let runtime = runtime();
    let cloud = played.start(&runtime, &Company::of_size(40, 3, 2), small_pages(HashMap::new()));
    let organization = Organization::start(Options::default());
    let instance = instance(played, &cloud, &organization);
    let found = |who: &str| -> Vec<Value> {
        let ran = instance.run(&["explain", who, "--json"]);
        let value: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{who}: {} {}", ran.out, ran.err));
        let lookup = &value["lookups"][0];
        assert!(lookup["problem"].is_null(), "{who}: {lookup}");
        lookup["entries"].as_array().cloned().unwrap_or_default()
    };
    let has = |entry: &Value, value: &str| {
        let values =
            entry["attributes"].as_object().unwrap().values().flat_map(|values| values.as_array().unwrap());
        values.into_iter().any(|own| own.as_str().is_some_and(|own| own.eq_ignore_ascii_case(value)))
    };
    let by_mail = found("USER7@example.org");
    assert!(by_mail.len() == 1 && has(&by_mail[0], "user7@example.org"), "{by_mail:?}");
    let id = by_mail[0]["externalId"].as_str().unwrap();
    assert_eq!(found(id), by_mail, "by the id {id}");
    let group = found("group2");
    assert!(group.len() == 1 && has(&group[0], of_groups), "{group:?}");
    let id = group[0]["externalId"].as_str().unwrap();
    match by_id {
        GroupById::Found => assert_eq!(found(id), group, "by the id {id}"),
        GroupById::NotLookedUp => {}
    }
    for nobody in [
        "user777@example.org",
        "user*",
        "o'neill \"x\" or id eq 'x'",
        "4711",
        "user7@example.org' or mail eq 'user8@example.org",
    ] {
        let ran = instance.run(&["explain", nobody, "--json"]);
        let value: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{nobody}: {} {}", ran.out, ran.err));
        assert_eq!((ran.code, &value["found"]), (1, &Value::Bool(false)), "{nobody}: {value}");
    }
    // A whole read, and a few requests: not the list once more, three entries a page.
    let count = |arguments: &[&str]| {
        let before = cloud.requests();
        drop(instance.run(arguments));
        cloud.requests() - before
    };
    let (plan, explain) = (count(&["plan"]), count(&["explain", "user7@example.org"]));
    assert!(explain <= plan + 6, "{explain} requests after {plan}");
}

pub fn mails(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}@example.org")).collect()
}

/// Members of the organization and their groups.
type Contents = (Vec<String>, Vec<(String, Vec<String>)>);

fn contents(organization: &Organization) -> Contents {
    let groups = organization.sandbox.groups().unwrap();
    (organization.emails(), groups.into_iter().map(|group| (group.name, group.members)).collect())
}

/// Syncs the sample company once.
struct Trial {
    ran: Ran,
    contents: Contents,
    imports: usize,
    requests: usize,
}

fn trial(played: &dyn Played, runtime: &Runtime, faults: HashMap<usize, Fault>, patience: &str) -> Trial {
    let cloud = played.start(runtime, &Company::sample(), small_pages(faults));
    let organization = Organization::start(Options::default());
    let mut instance = instance(played, &cloud, &organization);
    instance.set_env("BWDC_RETRY_SECONDS", patience);
    let ran = instance.run(&["sync"]);
    Trial {
        ran,
        contents: contents(&organization),
        imports: organization.imports(),
        requests: cloud.requests(),
    }
}

/// Runs all of them concurrently, in limited numbers: most of the time they wait.
fn in_parallel<T: Send + Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

/// A temporary failure is overcome; otherwise there is an error and no import. Never an incomplete one.
pub fn one_fault_at_every_request(played: &dyn Played) {
    let runtime = runtime();
    let healthy = trial(played, &runtime, HashMap::new(), "4");
    assert_eq!(healthy.ran.code, 0, "{}", healthy.ran.err);
    assert_eq!(
        healthy.contents.0,
        mails(&["ada", "ben", "cleo", "dan", "eve", "finn", "gina", "hugo", "iris", "jon"])
    );
    assert_eq!(healthy.contents.1.len(), Company::sample().groups.len());
    let jobs: Vec<(usize, Fault)> =
        (0..healthy.requests).flat_map(|request| Fault::ALL.map(|fault| (request, fault))).collect();
    let failed = Mutex::new(Vec::new());
    in_parallel(&jobs, |&(request, fault)| {
        let Trial { ran, contents, imports, .. } =
            trial(played, &runtime, HashMap::from([(request, fault)]), "4");
        let must_pass = matches!(fault, Fault::Limited | Fault::Internal | Fault::Reset | Fault::Cut)
            || fault == Fault::ExpiredToken && played.renews_tokens();
        let is_complete = ran.code == 0 && contents == healthy.contents;
        let is_refused =
            ran.code == 1 && imports == 0 && !ran.err.is_empty() && !ran.err.contains("panicked");
        if !is_complete && (must_pass || !is_refused) {
            failed.lock().unwrap().push(format!("{fault:?} at {request}: {} {}", ran.code, ran.err));
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), jobs.len(), failed.join("\n"));
}

/// A page token is refused at each request: a list already begun is read again from its beginning, or there is an error and no
/// import.
pub fn an_expired_page_token(played: &dyn Played) {
    let runtime = runtime();
    let healthy = trial(played, &runtime, HashMap::new(), "4");
    let requests: Vec<usize> = (0..healthy.requests).collect();
    let complete = AtomicUsize::new(0);
    in_parallel(&requests, |&request| {
        let Trial { ran, contents, imports, .. } =
            trial(played, &runtime, HashMap::from([(request, Fault::ExpiredPage)]), "4");
        if ran.code == 0 {
            assert_eq!(contents, healthy.contents, "at {request}: {}", ran.err);
            complete.fetch_add(1, Ordering::Relaxed);
        } else {
            assert_eq!((ran.code, imports), (1, 0), "at {request}: {}", ran.err);
        }
    });
    assert!(complete.into_inner() > 0, "no list was read again");
}

/// Every property that may be null or absent is so somewhere: nothing fails, and people left out are reported.
pub fn nulls_where_the_schema_allows_them(played: &dyn Played) {
    let runtime = runtime();
    let seeds: Vec<u64> = (0..12).collect();
    let nameless = AtomicUsize::new(0);
    in_parallel(&seeds, |&seed| {
        let faults = (0..1_000).map(|request| (request, Fault::Nulls(seed))).collect();
        let Trial { ran, contents, .. } = trial(played, &runtime, faults, "4");
        assert_eq!(ran.code, 0, "seed {seed}: {}", ran.err);
        assert!(!contents.0.is_empty(), "seed {seed}");
        let groups = Company::sample().groups.len();
        let told = ran.err.contains("the group has no name and was left out");
        assert_eq!(contents.1.len() < groups, told, "seed {seed}: {} {:?}", ran.err, contents.1);
        nameless.fetch_add(usize::from(told), Ordering::Relaxed);
    });
    assert!(nameless.into_inner() > 0, "no group was without a name");
}

/// No number from outside causes a crash, a hang or excessive use of memory: one answer, and all answers, with the largest possible
/// numbers.
pub fn enormous_numbers(played: &dyn Played) {
    let runtime = runtime();
    let healthy = trial(played, &runtime, HashMap::new(), "1");
    let one = (0..healthy.requests).map(|request| HashMap::from([(request, Fault::Extremes)]));
    let all = (0..1_000).map(|request| (request, Fault::Extremes)).collect();
    let jobs: Vec<HashMap<usize, Fault>> = one.chain([all]).collect();
    in_parallel(&jobs, |faults| {
        let Trial { ran, contents, imports, .. } = trial(played, &runtime, faults.clone(), "1");
        let is_refused = ran.code == 1 && imports == 0 && ran.err.len() > 20;
        let is_complete = ran.code == 0 && contents == healthy.contents;
        assert!(is_refused || is_complete, "{:?}: {} {}", faults.keys().next(), ran.code, ran.err);
        assert!(!ran.err.contains("an error in itself"), "{}", ran.err);
    });
}

/// A refusal that repeats the request shows no secret that was sent: not on the terminal, not in the log.
pub fn repeated_secrets(played: &dyn Played) {
    let runtime = runtime();
    let requests: Vec<usize> = (0..trial(played, &runtime, HashMap::new(), "1").requests.min(20)).collect();
    let told = AtomicUsize::new(0);
    in_parallel(&requests, |&request| {
        let cloud =
            played.start(&runtime, &Company::sample(), small_pages(HashMap::from([(request, Fault::Echo)])));
        let organization = Organization::start(Options::default());
        let mut instance = instance(played, &cloud, &organization);
        instance.set_env("BWDC_LOG_LEVEL", "debug");
        let ran = instance.run(&["sync", "--log-file", "bwdc.log"]);
        let log = std::fs::read_to_string(instance.folder.path().join("bwdc.log")).unwrap_or_default();
        let text = format!("{}{}{log}", ran.out, ran.err);
        let is_secret = |name: &str| ["SECRET", "TOKEN", "KEY"].iter().any(|word| name.ends_with(word));
        for (name, value) in instance.environment.iter().filter(|(name, _)| is_secret(name)) {
            assert!(value.len() < 6 || !text.contains(value.as_str()), "{name} at {request}: {text}");
        }
        for (at, scheme) in ["Bearer ", "bearer ", "SSWS ", "Basic ", "assertion="]
            .iter()
            .flat_map(|word| text.match_indices(word))
        {
            let rest = &text[at + scheme.len()..];
            let is_masked =
                rest.starts_with("[secret]") || !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
            assert!(is_masked, "{scheme} at {request}: {text}");
            told.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(told.into_inner() > 0, "no refusal was shown");
}

/// A permanent failure from one request on: an error, and no import.
pub fn faults_that_stay(played: &dyn Played) {
    let runtime = runtime();
    let requests = trial(played, &runtime, HashMap::new(), "1").requests;
    let faults = [Fault::Limited, Fault::Internal, Fault::Reset, Fault::Cut, Fault::NoJson, Fault::ErrorInOk];
    let starts = [0, requests / 2, requests - 1];
    let jobs: Vec<(usize, Fault)> =
        starts.into_iter().flat_map(|start| faults.map(|fault| (start, fault))).collect();
    in_parallel(&jobs, |&(start, fault)| {
        let faults = (start..start + 10_000).map(|number| (number, fault)).collect();
        let Trial { ran, imports, .. } = trial(played, &runtime, faults, "1");
        assert_eq!((ran.code, imports), (1, 0), "{fault:?} from {start}: {}", ran.err);
        assert!(!ran.err.contains("panicked") && ran.err.len() > 20, "{fault:?} from {start}: {}", ran.err);
    });
}

/// With a small limit and many groups: slower, complete, and not one request too many.
pub fn the_limit_is_never_exceeded(played: &dyn Played, most: u64) {
    let runtime = runtime();
    let behaviour = Behaviour {
        page: 10,
        quota: Some(Quota { most, window: Duration::from_secs(1) }),
        latency: Duration::from_millis(20),
        ..Behaviour::default()
    };
    let cloud = played.start(&runtime, &Company::of_size(40, 25, 2), behaviour);
    let organization = Organization::start(Options::default());
    let mut instance = instance(played, &cloud, &organization);
    instance.set_env("BWDC_RETRY_SECONDS", "20");
    instance.run(&["sync"]).ok();
    assert_eq!(cloud.exceeded(), 0, "{:#?}", cloud.log());
    let (people, groups) = contents(&organization);
    assert_eq!((people.len(), groups.len()), (40, 25));
    assert!(groups.iter().all(|(_, members)| members.len() == 2));
}

/// Snapshots of it replay the plan, before and after a sync, and have nobody's data.
pub fn snapshots_replay(played: &dyn Played) {
    let runtime = runtime();
    let cloud = played.start(&runtime, &Company::sample(), small_pages(HashMap::new()));
    for flavour in FLAVOURS {
        let organization = organization(flavour);
        let instance = instance(played, &cloud, &organization);
        let planted = ["example.org", "engineering", "platform", "@example", "127.0.0.1"];
        let run = |arguments: &[&str]| instance.run(arguments);
        let replayed = replays_the_plan(run, &instance.data_folder(), &planted);
        assert_eq!(replayed["summary"]["groupsCreated"], 5, "{replayed}");
        run(&["sync"]).ok();
        replays_the_plan(run, &instance.data_folder(), &planted);
    }
}
