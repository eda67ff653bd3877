//! From what was written to what is meant: settings, secrets, `bwdc.toml`, options and the environment. Nothing here prints, and nothing
//! talks to a directory or an organization.

pub mod directories;
pub mod env;
pub mod installation;
pub mod instance;
pub mod kinds;
mod organization;
pub mod place;
pub mod secrets;
pub mod server;
mod setting;
pub mod settings;
pub mod setup;
mod values;
pub mod zone;

pub use self::env::Environment;
pub use self::instance::Instance;
pub use self::secrets::Secrets;
pub use self::setup::Setup;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::{env, secrets, settings};

    /// The reference page says what the tables say. `BLESS=1 cargo test -p bwdc-config` writes it.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
    fn the_reference_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let page = page();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page,
            "docs/configuration.md is out of date: run BLESS=1 cargo test -p bwdc-config"
        );
    }

    fn page() -> String {
        let mut page = String::from(
            "# Settings and environment\n\n\
             Made from the tables in `crates/config`; do not edit.\n\n\
             ## Settings\n\n\
             `bwdc config NAME VALUE` saves one, names are taken in any case; `bwdc config get NAME` shows it, `bwdc config unset NAME`\n\
             clears it, `bwdc config list` shows all. A value of the wrong type is refused and nothing is saved.\n\n\
             | name | type | in data.json | default | meaning |\n| --- | --- | --- | --- | --- |\n",
        );
        for setting in settings::ALL {
            let settings::Setting { name, place, kind, default, meaning } = setting;
            let place = match place {
                settings::StoredAt::Top(key) => (*key).to_owned(),
                settings::StoredAt::In(section, key) => format!("{section}.{key}"),
            };
            writeln!(page, "| `{name}` | {} | `{place}` | {default} | {meaning} |", kind.name()).unwrap();
        }
        page.push_str("\n## Environment\n\nAn empty variable counts as absent.\n\n| variable | meaning |\n| --- | --- |\n");
        for (name, meaning) in env::ALL {
            writeln!(page, "| `{name}` |{meaning} |").unwrap();
        }
        page.push_str(
            "\n## Secrets\n\nHow each can be given; in which order they are looked for is in [secrets.md](secrets.md).\n\n\
             | secret, and name of its systemd credential | its variable | a file with it | a command that prints it |\n\
             | --- | --- | --- | --- |\n",
        );
        for declared in secrets::ALL {
            let secrets::DeclaredSecret { name, variable, .. } = declared;
            let (file, command) = (declared.file_variable(), declared.command_variable());
            writeln!(
                page,
                "| `{name}` | `{variable}` | `{file}`, or the setting `secretFile.{name}` | `{command}`, or the setting `exec.{name}` |"
            )
            .unwrap();
        }
        page.push_str(
            "\nThe standard proxy variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case) apply to \
             the\nBitwarden server, not to LDAP.\n",
        );
        page
    }
}
