//! OneLogin.

use bwdc_connect::directory::{self, onelogin};

use super::{Chosen, Given};
use crate::error::Result;

pub(super) fn chosen(Given { environment, .. }: Given<'_>) -> Result<Chosen> {
    let config = onelogin::Config { network: environment.network()? };
    let directory = directory::Config::OneLogin(Box::new(config));
    Ok(Chosen { directory, user_filter: None, group_filter: None, warnings: Vec::new() })
}
