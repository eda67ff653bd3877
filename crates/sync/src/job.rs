//! What is synced as one: an instance, or several that are merged.

use std::sync::Arc;

use bwdc_config::Environment;
use bwdc_config::installation::AlertSetup;
use bwdc_core::error::{Error, Result};
use bwdc_store::errand::Errand;
use bwdc_store::tokens::TokenMemory;

use crate::context::Context;
use crate::merge::{Merge, MergeMember};
use crate::watch::Watch;

/// What is synced as one. Nothing is shared between two: a process may run as many side by side as it likes.
#[derive(Debug)]
pub enum SyncJob {
    /// The folder of the existing connector, which may not be there yet.
    Usual(Box<Context>),
    /// One that somebody named.
    One(Box<Context>),
    /// Several that are merged.
    Merged(Merge),
}

impl SyncJob {
    /// Its name in the log and in summaries.
    pub fn name(&self) -> &str {
        match self {
            Self::Usual(context) | Self::One(context) => &context.name,
            Self::Merged(merge) => &merge.name,
        }
    }

    /// Everybody's settings, first the one that speaks for all.
    pub fn contexts(&self) -> Vec<&Context> {
        match self {
            Self::Usual(context) | Self::One(context) => vec![context],
            Self::Merged(merge) => merge.members.iter().map(|member| &member.context).collect(),
        }
    }

    /// What another process has to know to do it.
    pub fn errand(&self) -> Errand {
        match self {
            Self::Usual(context) => Errand::Usual(context.place()),
            Self::One(context) => Errand::One(context.place()),
            Self::Merged(Merge { name, members, path, at_once }) => Errand::Merged {
                name: name.clone(),
                members: members
                    .iter()
                    .map(|member| (member.context.place(), member.prefix.clone()))
                    .collect(),
                path: path.clone().into(),
                at_once: *at_once,
            },
        }
    }

    /// With the tokens of earlier runs of the same program.
    #[must_use]
    pub fn with_tokens(self, tokens: &TokenMemory) -> Self {
        match self {
            Self::Usual(context) => Self::Usual(Box::new(context.with_tokens(tokens.clone()))),
            Self::One(context) => Self::One(Box::new(context.with_tokens(tokens.clone()))),
            Self::Merged(merge) => Self::Merged(merge.with_tokens(tokens)),
        }
    }

    /// A job about which these channels are told.
    #[must_use]
    pub fn alerting(self, alerts: &Arc<AlertSetup>) -> Self {
        match self {
            Self::Usual(context) => Self::Usual(Box::new(context.alerting(alerts))),
            Self::One(context) => Self::One(Box::new(context.alerting(alerts))),
            Self::Merged(merge) => Self::Merged(merge.alerting(alerts)),
        }
    }

    /// The `bwdc.toml` of a merge.
    pub(crate) fn merged_by(&self) -> Option<String> {
        match self {
            Self::Usual(_) | Self::One(_) => None,
            Self::Merged(merge) => Some(merge.path.display().to_string()),
        }
    }

    /// An error of one of its directories; of several it says which.
    pub(crate) fn about(&self, context: &Context, error: Error) -> Error {
        match self {
            Self::Usual(_) | Self::One(_) => error,
            Self::Merged(_) => error.while_doing(&context.name),
        }
    }

    /// Why a job without a directory cannot run.
    pub(crate) fn has_nothing(&self) -> Error {
        Error::new(format!("{} has no directories.", self.name()))
    }

    /// Folders that were named are there.
    pub fn check_folders(&self) -> Result<()> {
        match self {
            Self::Usual(_) => Ok(()),
            Self::One(_) | Self::Merged(_) => self.contexts().into_iter().try_for_each(Context::check_folder),
        }
    }
}

/// The job that an errand is, here.
pub fn of_errand(errand: Errand, environment: &Environment, watch: &Arc<dyn Watch>) -> SyncJob {
    let context = |place| Context::at(place, environment.clone(), Arc::clone(watch));
    match errand {
        Errand::Usual(place) => SyncJob::Usual(Box::new(context(place))),
        Errand::One(place) => SyncJob::One(Box::new(context(place))),
        Errand::Merged { name, members, path, at_once } => {
            let member = |(place, prefix)| MergeMember { context: context(place), prefix };
            let members = members.into_iter().map(member).collect();
            SyncJob::Merged(Merge { name, members, path: path.into(), at_once })
        }
    }
}
