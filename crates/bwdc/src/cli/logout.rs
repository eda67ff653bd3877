//! `bwdc logout`

use crate::ui::Answer;
use bwdc_config::secrets::SecretSource;
use bwdc_core::error::{Error, Result};
use bwdc_sync::Context;
use bwdc_sync::session;

pub(super) async fn run(context: &Context) -> Result<Answer> {
    let data = context.file.load()?;
    let is_kept = session::kept_login(&data, &context.secrets).await?.is_some();
    match session::given_key(&data, &context.secrets).await? {
        Some((_, SecretSource::SecretsFile(_))) => {}
        Some((_, source)) if !is_kept => {
            return Err(Error::new("You are not logged in.").hint(format!(
                "The API key comes from {source}: syncs keep working as long as it is set there."
            )));
        }
        None if !is_kept => return Err(session::not_logged_in(&context.secrets, &data).await),
        _ => {}
    }
    session::forget(&context.secrets).await?;
    Ok(Answer::message("You have logged out."))
}
