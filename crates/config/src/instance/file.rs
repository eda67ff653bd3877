//! CSV or JSON files.

use bwdc_connect::directory::{self, file, incomplete};
use bwdc_core::filter::NativeQuery;

use super::{Chosen, Given, set_filter};
use crate::place;
use bwdc_core::error::Result;

pub(super) fn chosen(Given { values, folder, .. }: Given<'_>) -> Result<Chosen> {
    let path = values
        .text("file.path")?
        .ok_or_else(|| incomplete("file.path", "Set it with `bwdc config file.path FOLDER`."))?;
    Ok(Chosen {
        directory: directory::Config::File(Box::new(file::Config { path: place::resolve(folder, &path) })),
        user_filter: set_filter(&values, "sync.userFilter", NativeQuery::None)?.set,
        group_filter: set_filter(&values, "sync.groupFilter", NativeQuery::None)?.set,
        warnings: Vec::new(),
    })
}
