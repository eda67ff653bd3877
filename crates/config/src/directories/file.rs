//! CSV or JSON files.

use bwdc_connect::directory::{self, file, incomplete};
use bwdc_core::filter::NativeQuery;

use crate::kinds::{
    AskCondition, BuildInput, Built, DirectoryKind, InitQuestion, check_set_filter, set_filter,
};
use crate::place;
use crate::setting::StoredAt::In;
use crate::setting::{Type, settings};
use crate::settings::sync;
use bwdc_core::error::Result;

const SECTION: &str = "directoryFile";

settings! {
    PATH: "file.path", In(SECTION, "path"), Type::Path, "", "A folder with users.csv and groups.csv, or one .json or .csv file; relative to data.json's folder.";
}

/// CSV or JSON files. The existing connector does not know it.
pub const KIND: DirectoryKind = DirectoryKind {
    name: "file",
    number: None,
    settings: SETTINGS,
    identity: &[],
    files: &[PATH],
    secret: None,
    questions: &[InitQuestion::new(&PATH, AskCondition::Always)],
    check_filter: check_set_filter,
    takes_secret: |_| false,
    has_offer: |_| false,
    build,
};

fn build(BuildInput { values, folder, .. }: BuildInput<'_>) -> Result<Built> {
    let path = values
        .text(&PATH)?
        .ok_or_else(|| incomplete(PATH.name, "Set it with `bwdc config file.path FOLDER`."))?;
    Ok(Built {
        directory: directory::Config::File(Box::new(file::Config { path: place::resolve(folder, &path) })),
        user_filter: set_filter(&values, &sync::USER_FILTER, NativeQuery::None)?.set,
        group_filter: set_filter(&values, &sync::GROUP_FILTER, NativeQuery::None)?.set,
        warnings: Vec::new(),
    })
}
