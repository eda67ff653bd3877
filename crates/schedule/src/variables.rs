//! The environment variables that a job is given. What they mean stands in `docs/configuration.md`.

/// The folder of `data.json`.
pub const APPDATA_DIR: &str = "BITWARDENCLI_CONNECTOR_APPDATA_DIR";
/// The `bwdc.toml` to use.
pub const CONFIG: &str = "BWDC_CONFIG";
/// The log file.
pub const LOG_FILE: &str = "BWDC_LOG_FILE";
/// How long a request is tried again, in seconds.
pub const RETRY_SECONDS: &str = "BWDC_RETRY_SECONDS";
/// `true`: warnings and errors also go to the event log of Windows.
pub const EVENT_LOG: &str = "BWDC_EVENT_LOG";
/// Which scheduler starts the run, in a word.
pub const STARTED_BY: &str = "BWDC_STARTED_BY";
