//! `docs/bwdc-toml.md` and `docs/bwdc.schema.json` say what the types say. `BLESS=1 cargo test -p bwdc-config` writes them.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::schema;

#[test]
fn the_schema_for_editors_is_up_to_date() {
    up_to_date("bwdc.schema.json", &format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap()));
}

#[test]
fn the_reference_page_is_up_to_date() {
    up_to_date("bwdc-toml.md", &page());
}

/// What is in the page's example is what the reader takes.
#[test]
fn the_example_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bwdc.toml");
    std::fs::write(&path, EXAMPLE).unwrap();
    let found = super::find(Some(&path), &crate::Environment::default(), folder.path()).unwrap();
    assert_eq!(found.unwrap().instances.len(), 3);
}

#[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
fn up_to_date(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == expected, "docs/{name} is out of date: run BLESS=1 cargo test -p bwdc-config");
}

const EXAMPLE: &str = r#"schedule = { every = "15m" }

[instance.hq]
folder = "instances/hq"

[instance.berlin]
folder = "instances/berlin"

[instance.school]
folder = "/srv/school/bwdc"
schedule = { weekly = "mon@20:00" }

[organization.acme]
merge = ["hq", "berlin"]
prefix = { berlin = "Berlin / " }

[log]
file = "/var/log/bwdc/bwdc.log"
max_size = "20MB"
keep = 4

[limits]
at_once = 2

[alerts]
after = 2

[alerts.channel.admins]
type = "mail"
server = "smtp://mail.example.org:587"
from = "bwdc@example.org"
to = ["it@example.org"]
"#;

fn page() -> String {
    let mut page = format!(
        "# bwdc.toml\n\n\
         Made from the types in `crates/config/src/installation`; do not edit.\n\n\
         What one machine runs: instances by name, organizations that several instances are synced into together, schedules, the\n\
         log and limits. The file is optional. Without it everything is as the existing connector has it: one folder, one\n\
         `data.json`. How instances are synced together is in [many-directories.md](many-directories.md), the log in [log.md](log.md).\n\n\
         ```toml\n{EXAMPLE}```\n\n\
         - It is looked for beside `data.json`; `--config FILE` or `BWDC_CONFIG` name another one, which must be there then.\n\
         - Relative paths start at the file's folder. `~` is not understood.\n\
         - An unknown key or a wrong value is an error that names the line; nothing is synced then.\n\
         - It holds no secrets: a key that looks like one is refused. Secrets are each instance's: [secrets.md](secrets.md). The address of\n  \
         a webhook is one as well: `url_file`, or its variable ([alerts.md](alerts.md)).\n\
         - Let nobody else write to it: it decides which folders are synced, and a `data.json` may name commands. bwdc warns, and\n  \
         root runs no command for a secret then.\n\
         - Options come before variables, variables before the file; `bwdc config list` shows what applies, and from where.\n\
         - `bwdc config schema` prints a JSON Schema for editors, the same as [bwdc.schema.json](bwdc.schema.json). Editors that know\n  \
         Taplo take it from a first line `#:schema bwdc.schema.json`.\n\n\
         ## Keys\n\n\
         | key | takes | default | variable | meaning |\n| --- | --- | --- | --- | --- |\n"
    );
    rows(&mut page, "", &schema());
    page
}

fn rows(page: &mut String, table: &str, schema: &Value) {
    let Some(keys) = schema["properties"].as_object() else { return };
    for (key, schema) in keys {
        let path = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
        let each = &schema["additionalProperties"];
        if each["properties"].is_object() {
            writeln!(page, "| `[{path}.NAME]` | | | | {} |", description(schema)).unwrap();
            rows(page, &format!("{path}.NAME"), each);
        } else if schema["properties"].is_object() {
            writeln!(page, "| `[{path}]` | | | | {} |", description(schema)).unwrap();
            rows(page, &path, schema);
        } else {
            let default = match &schema["default"] {
                Value::String(text) => format!("`{text}`"),
                Value::Number(number) => format!("`{number}`"),
                Value::Bool(is_on) => format!("`{is_on}`"),
                _ => String::new(),
            };
            let (takes, variable) = (takes(schema), variable(&path));
            writeln!(page, "| `{path}` | {takes} | {default} | {variable} | {} |", description(schema))
                .unwrap();
        }
    }
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn takes(schema: &Value) -> String {
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = |choice: &Value| match choice["const"].as_str() {
            Some(text) => format!("`{text}`"),
            None => description(choice)
                .split('`')
                .nth(1)
                .map(|text| format!("`{{ {text} }}`"))
                .unwrap_or_default(),
        };
        return choices.iter().map(choice).collect::<Vec<_>>().join(" or ");
    }
    match (schema["type"].as_str().unwrap_or_default(), schema["pattern"].as_str()) {
        ("string", Some(pattern)) if pattern.contains('B') => "a size such as `10MB` (KB, MB, GB)".to_owned(),
        ("string", Some(_)) => "a time such as `12h`, `30d`, `2w`".to_owned(),
        ("string", None) => "text".to_owned(),
        ("integer", _) => format!("a number from {} to {}", schema["minimum"], schema["maximum"]),
        ("boolean", _) => "`true` or `false`".to_owned(),
        ("array", _) if schema["items"]["oneOf"].is_array() => {
            format!("a list of {}", takes(&schema["items"]))
        }
        ("array", _) => "a list of text".to_owned(),
        ("object", _) => "a table of text".to_owned(),
        (other, _) => panic!("{other} has no words yet"),
    }
}

/// Scalars of the whole process have one.
fn variable(path: &str) -> String {
    let name = format!("BWDC_{}", path.replace('.', "_").to_uppercase());
    let is_known = crate::env::ALL.iter().any(|(known, _)| *known == name);
    if is_known { format!("`{name}`") } else { String::new() }
}
