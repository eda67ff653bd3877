//! Whoever follows a run: a terminal, a daemon, a test, nobody.

use std::fmt::Debug;
use std::sync::Arc;

use bwdc_connect::directory::Progress;

/// Whoever follows a run. What a run has to say goes there or into the log, never to a terminal by itself.
pub trait Watch: Debug + Send + Sync {
    /// Tells something that somebody should look at.
    fn warning(&self, text: &str);

    /// Tells a warning that the log has already.
    fn logged_warning(&self, text: &str);

    /// Tells what went well on the way.
    fn progress(&self, text: &str);

    /// Shows the counts of a read until the value is dropped.
    fn reading(&self, progress: &Arc<Progress>) -> Box<dyn Send>;
}

/// Nobody: what happens is in the log.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Watch for Nobody {
    fn warning(&self, _text: &str) {}

    fn logged_warning(&self, _text: &str) {}

    fn progress(&self, _text: &str) {}

    fn reading(&self, _progress: &Arc<Progress>) -> Box<dyn Send> {
        Box::new(())
    }
}
