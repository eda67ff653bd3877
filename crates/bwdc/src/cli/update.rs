//! `bwdc update`: says whether there is a newer release. It installs nothing.

use bwdc_connect::http::HttpSettings;
use bwdc_connect::release::{self, Release};
use semver::Version;

use crate::ui::Answer;
use bwdc_config::{Environment, env};
use bwdc_core::error::{Error, Result, shown};

const OURS: &str = env!("CARGO_PKG_VERSION");

/// Address of the releases' feed, which whoever builds a release sets.
const RELEASES: Option<&str> = option_env!("BWDC_RELEASES");

pub(super) async fn run(environment: &Environment) -> Result<Answer> {
    let releases = RELEASES.filter(|address| !address.is_empty()).map(str::to_owned);
    let Some(address) = environment.text(env::UPDATE_URL).or(releases) else {
        return Ok(Answer::Message {
            title: format!("This is bwdc {OURS}."),
            message: Some(format!(
                "No release feed is configured: set {} to its address, or ask whoever packaged this program.",
                env::UPDATE_URL
            )),
        });
    };
    let settings = HttpSettings { network: environment.network()?, ..HttpSettings::default() };
    let newest = release::latest(&address, settings).await.map_err(|error| {
        Error::from(error).hint(format!("This is bwdc {OURS}. Syncs do not depend on this; try again later."))
    })?;
    Ok(compared(&newest))
}

fn compared(newest: &Release) -> Answer {
    let version = |text: &str| Version::parse(text.trim().trim_start_matches(['v', 'V'])).ok();
    let is_newer = match (version(&newest.version), version(OURS)) {
        (Some(newest), Some(ours)) => newest > ours,
        _ => newest.version.trim_start_matches('v') != OURS,
    };
    if !is_newer {
        return Answer::message("No update available.");
    }
    Answer::Message {
        title: format!("An update is available: {}", shown(&newest.version)),
        message: Some(format!("This is bwdc {OURS}. {}", shown(&newest.page)).trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few, plain};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_versions_of_releases(
            version in damaged_text(["v1.2.3-rc.1+build.5", "V999.0.0", "0.1.0"]),
            page in damaged_text(["https://example.org/releases/v1.2.3"]),
        ) {
            let Answer::Message { title, message } = compared(&Release { version, page }) else { return Ok(()) };
            plain(&title)?;
            plain(&message.unwrap_or_default())?;
        }
    }

    #[test]
    fn versions_are_compared_as_versions() {
        let title =
            |version: &str| match compared(&Release { version: version.to_owned(), page: String::new() }) {
                Answer::Message { title, .. } => title,
                other => panic!("{other:?}"),
            };
        assert_eq!(title(&format!("v{OURS}")), "No update available.");
        assert_eq!(title("0.0.9"), "No update available.");
        assert_eq!(title("v999.10.0"), "An update is available: v999.10.0");
    }
}
