//! From what was written to what is meant.

pub(crate) mod env;
pub(crate) mod instance;
pub(crate) mod place;
pub(crate) mod settings;

pub(crate) use self::env::Environment;
pub(crate) use self::instance::Instance;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::{env, settings};

    /// The reference page says what the tables say. `BLESS=1 cargo test -p bwdc` writes it.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
    fn the_reference_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let page = page();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "docs/configuration.md is out of date: run BLESS=1 cargo test -p bwdc");
    }

    fn page() -> String {
        let mut page = String::from(
            "# Settings and environment\n\n\
             Made from the tables in `crates/bwdc/src/config`; do not edit.\n\n\
             ## Settings\n\n\
             `bwdc config NAME VALUE` saves one in `data.json`; names are taken in any case. An empty value clears a text.\n\n\
             | name | in data.json | default | meaning |\n| --- | --- | --- | --- |\n\
             | `server` | `environmentUrls.base` | Bitwarden's US cloud | The server's base URL; `https://vault.bitwarden.eu` means the EU cloud. |\n\
             | `directory` | `directoryType` | | `ldap` (0) or `file`; `entra` (1), `gsuite` (2), `okta` (3) and `onelogin` (4) are kept but not read yet. |\n",
        );
        for setting in settings::all() {
            let settings::Setting { name, section, key, default, meaning, .. } = setting;
            writeln!(page, "| `{name}` | `{section}.{key}` | {default} | {meaning} |").unwrap();
        }
        page.push_str("\n## Environment\n\nAn empty variable counts as absent.\n\n| variable | meaning |\n| --- | --- |\n");
        for (name, meaning) in env::ALL {
            writeln!(page, "| `{name}` |{meaning} |").unwrap();
        }
        page.push_str(
            "\nThe standard proxy variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case) apply to \
             the\nBitwarden server, not to LDAP.\n",
        );
        page
    }
}
