//! From what was written to what is meant.

pub(crate) mod env;
pub(crate) mod instance;
pub(crate) mod place;
pub(crate) mod settings;

pub(crate) use self::env::Environment;
pub(crate) use self::instance::Instance;
